#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""checkapi.py: every function that a header of include/, proto/ or lib/ offers is documented.

A function counts as documented if a comment stands in its line, above it, or above the group of
declarations (no blank line between) that it is in. Names that say all need no more than their
group's comment. internal.h of a library is not public, and lib/c
is the C standard's.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FUNCTION = re.compile(r"^(?!\s|#|typedef|struct [\w]+ \{|enum|//)(?:[\w*]+[ *]+)+\**(\w+)\((?!\*)[^;{]*(?:;|\{|$)")


def undocumented(path):
    """Names of functions without a comment."""
    documented, inside = False, False
    for line in path.read_text(encoding="utf-8").splitlines():
        if inside:
            inside = "*/" not in line
            continue
        if not line.strip():
            documented = False
            continue
        match = FUNCTION.match(line)
        comment = "/*" in line or line.lstrip().startswith("//")
        if match and not comment and not documented:
            yield match[1]
        if comment:
            documented = True
            inside = "/*" in line and "*/" not in line.split("/*")[-1]


def main():
    headers = [*ROOT.glob("include/xinim/*.h"), *ROOT.glob("proto/*.h"), *ROOT.glob("lib/*/*.h")]
    wrong = 0
    for path in sorted(headers):
        if path.name == "internal.h" or path.parent.name == "c":  # lib/c: the C standard's
            continue
        for name in undocumented(path):
            print(f"{path.relative_to(ROOT)}: {name}() has no comment")
            wrong += 1
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
