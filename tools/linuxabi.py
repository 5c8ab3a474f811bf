#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""linuxabi.py [--check]: docs/linux-abi.md from personality/linux/syscalls.h.

The state of each system call stands there; behind one that is PARTLY there a
comment says what is missing. --check: fail if the document is not as it would be.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCE = ROOT / "personality/linux/syscalls.h"
DOCUMENT = ROOT / "docs/linux-abi.md"
ENTRY = re.compile(r"^([LN])\((\w+), (\d+)(?:, (DONE|PARTLY))?\)(?: /\* (.*) \*/)?$")
WORDS = {"DONE": "done", "PARTLY": "partly", None: "ENOSYS"}


def entries():
    for number, line in enumerate(SOURCE.read_text(encoding="utf-8").splitlines(), 1):
        if not line.startswith(("L(", "N(")):
            continue
        match = ENTRY.match(line)
        if not match or (match[1] == "L") != bool(match[4]):
            sys.exit(f"{SOURCE}:{number}: not an entry: {line}")
        if (match[4] == "PARTLY") != bool(match[5]):
            sys.exit(f"{SOURCE}:{number}: what is missing is said of PARTLY entries, and only of these: {line}")
        yield int(match[3]), match[2], match[4], match[5] or ""


def document():
    rows = sorted(entries())
    count = {state: sum(row[2] == state for row in rows) for state in WORDS}
    text = ["# Linux system calls", "",
            "By `tools/linuxabi.py` from `personality/linux/syscalls.h`: change it there, then `make docs/linux-abi.md`.", "",
            f"{count['DONE']} done, {count['PARTLY']} partly, {count[None]} not there (`ENOSYS`, and a line in the log once "
            "per number and process). What belongs to several calls is in [linux.md](linux.md).", "",
            "| number | name | state | what is missing or different |", "| ---: | --- | --- | --- |"]
    text += [f"| {number} | `{name}` | {WORDS[state]} | {missing} |" for number, name, state, missing in rows]
    return "\n".join(text) + "\n"


def main():
    new = document()
    if sys.argv[1:] == ["--check"]:
        if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != new:
            sys.exit(f"{DOCUMENT.relative_to(ROOT)} is not what syscalls.h says: run `make docs/linux-abi.md`")
    else:
        DOCUMENT.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
