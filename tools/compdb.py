#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints compile_commands.json, from what `make` would run for every object."""
import json
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]


def commands():
    """The compiler calls of a build from nothing, one source file each."""
    text = subprocess.run(["make", "-n", "-B", "all"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for line in text.replace("\\\n", " ").splitlines():
        match = re.match(r"\s*(?:gcc|clang)\b.* -c (\S+\.[cS]) -o (\S+)", line)
        if match and not match[1].startswith("build/"):
            yield {"directory": str(ROOT), "file": match[1], "command": line.strip()}


if __name__ == "__main__":
    print(json.dumps(list(commands()), indent=1))
