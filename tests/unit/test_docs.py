# SPDX-License-Identifier: BSD-2-Clause
"""What is generated into docs/ is what its source says."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_table_of_system_calls():
    result = subprocess.run([ROOT / "tools/linuxabi.py", "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
