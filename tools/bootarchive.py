# SPDX-License-Identifier: BSD-2-Clause
"""Boot archives that differ from the one that was built: for tests and benchmarks."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]


def make(path, changes):
    """Writes the boot archive of the build to `path`, with `changes`: {name in it: file, or None: left out}."""
    plan = subprocess.run(["make", "-n", "-W", "build/tools/mkarchive", "build/xinim.archive"], cwd=ROOT,
                          capture_output=True, text=True, check=True).stdout.replace("\\\n", " ")
    line = next(line for line in plan.splitlines() if "tools/mkarchive build/xinim.archive" in line)
    entries = dict(word.split("=", 1) for word in line.split() if "=" in word) | changes
    subprocess.run([str(ROOT / "build/tools/mkarchive"), str(path),
                    *(f"{name}={source}" for name, source in entries.items() if source)], cwd=ROOT, check=True)
    return path
