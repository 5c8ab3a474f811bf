# SPDX-License-Identifier: BSD-2-Clause
"""docs/tutorial-driver.md: its files are put together, built and run, step by step, as it says."""
import os
import pathlib
import shutil
import subprocess
import sys

from conftest import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import docs  # noqa: E402

# What is built already and takes room, or that other tests make or use meanwhile.
NOT_COPIED = ["rootfs*", "unit", "soak", "guest", "*.iso", "peer", "bench", "fuzz", "coverage", "dist*", ".git", "packages", "qemu-10",
              "local", "tests", "*.sock", "*.png", "__pycache__"]


def tree_copy(to):
    """A tree of its own with the objects built so far: the tutorial changes what is in the archive."""
    shutil.copytree(ROOT, to, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))


def test_driver_tutorial(tmp_path):
    tree, service = tmp_path / "xinim", tmp_path / "edu"
    service.mkdir()
    tree_copy(tree)
    output, ran = "", 0
    for block in docs.blocks((ROOT / "docs/tutorial-driver.md").read_text(encoding="utf-8")):
        if docs.apply(block, service):
            continue
        if block.words == ["sh", "run"]:
            result = subprocess.run(["bash", "-ec", block.text], cwd=tree, capture_output=True, text=True, timeout=PATIENCE,
                                    check=False, env={**os.environ, "HOME": str(tmp_path), "MAKEFLAGS": ""})
            output = result.stdout.replace("\r", "") + result.stderr
            assert result.returncode == 0, f"line {block.line}:\n{output[-8000:]}"
            ran += 1
        elif block.words == ["expect"]:
            docs.expect(block, output)
        else:
            raise AssertionError(f"line {block.line}: what is to be done with {block.words}?")
    assert ran == 5
