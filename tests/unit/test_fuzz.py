# SPDX-License-Identifier: BSD-2-Clause
"""A short run of the fuzzers, the same every time; longer ones by hand: tests/fuzz/run SECONDS."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_minix_core_survives_nonsense():
    result = subprocess.run([ROOT / "tests/fuzz/run", "60", "2000"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, (result.stdout + result.stderr)[-4000:]
