# SPDX-License-Identifier: BSD-2-Clause
"""Builds each tests/unit/test_*.c under ASan and UBSan and runs it.

A test names what it is linked with in its first lines:
  // sources: kernel/core/frame.c tests/unit/fake_arch.c
  // cflags: -DSOMETHING
"""
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "unit"
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
CFLAGS = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-fno-omit-frame-pointer", "-I.", "-Iinclude"]


def header(source, key):
    """The words after `// key:` in a test's source; file names with wildcards are expanded."""
    words = []
    for line in source.read_text(encoding="utf-8").splitlines():
        match = re.match(rf"\s*(?://|\*)\s*{key}:(.*)", line)
        if match:
            for word in match[1].split():
                words += sorted(str(p.relative_to(ROOT)) for p in ROOT.glob(word)) if "*" in word else [word]
    return words


@pytest.mark.parametrize("name", sorted(p.stem for p in (ROOT / "tests/unit").glob("test_*.c")))
def test_unit(name):
    source = ROOT / "tests" / "unit" / f"{name}.c"
    OUT.mkdir(parents=True, exist_ok=True)
    binary = OUT / name
    subprocess.run(["gcc", *CFLAGS, *SANITIZE, *header(source, "cflags"), str(source.relative_to(ROOT)),
                    *header(source, "sources"), "-lcmocka", "-lpthread", "-o", str(binary)], cwd=ROOT, check=True)
    result = subprocess.run([str(binary)], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
