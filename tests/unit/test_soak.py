# SPDX-License-Identifier: BSD-2-Clause
"""The frame of `make soak`: what its gauges call a leak, and that its campaigns load."""
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/soak"))
import gauges  # noqa: E402


def printed(free_kib, objects, handles):
    stats = {"services": [{"name": "vfs", "handles": handles, "mapped_kib": 100}]}
    return f"memory_kib 9\nfree_kib {free_kib}\r\nobjects {objects}\nJSON\n{json.dumps(stats)}\n"


def test_gauges():
    first = gauges.parse(printed(50000, 10, 7))
    assert first == {"free_kib": 50000, "objects": 10, "vfs.handles": 7, "vfs.mapped_kib": 100}
    assert not gauges.complaints(first, gauges.parse(printed(60000, 0, 0)))
    assert not gauges.complaints(first, gauges.parse(printed(49000, 11, 8)))
    said = gauges.complaints(first, gauges.parse(printed(30000, 100, 70)))
    assert [text.split(":")[0] for text in said] == ["free_kib", "objects", "vfs.handles"]


def test_campaigns_load():
    text = subprocess.run([ROOT / "tests/soak/run", "--list"], capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in text.splitlines()}
    assert names == {path.stem for path in (ROOT / "tests/soak/campaigns").glob("*.py")}
    assert all(len(line.split()) > 2 for line in text.splitlines())
    wrong = subprocess.run([ROOT / "tests/soak/run", "--only", "nosuch"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "no campaign nosuch" in wrong.stderr
