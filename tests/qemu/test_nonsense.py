# SPDX-License-Identifier: BSD-2-Clause
"""Servers and drivers that answer nonsense: whoever asked gets an error and tells rs, nobody waits for ever or believes it,
and when the service has been replaced all is as before. XINIM_SOAK=N: with N seeds each (`tests/soak/run --only nonsense`
draws them at random)."""
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

from conftest import PATIENCE

SOAK_DIR = pathlib.Path(__file__).resolve().parents[1] / "soak"
sys.path.insert(0, str(SOAK_DIR))
SPEC = importlib.util.spec_from_file_location("campaign_nonsense", SOAK_DIR / "campaigns/nonsense.py")
NONSENSE = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(NONSENSE)

SEEDS = int(os.environ.get("XINIM_SOAK", "1"))
# One of each kind: filesystems, what programs call, what servers call, drivers.
SERVICES = ["tmpfs", "minix", "vfs", "pm", "tty", "net", "bdev", "loop", "devmgr", "virtio_blk", "ahci", "virtio_net", "uart16550"]


@pytest.fixture
def answers(guest, root, tmp_path):
    """Runs the program `nonsense` for each service with seeds from `first` on; what is printed."""
    def run(services, first, count, seconds, **options):
        subprocess.run(["make", "-s", "build/guest/nonsense"], cwd=root, check=True)
        (tmp_path / "work").write_text(NONSENSE.WORK, encoding="ascii")
        (tmp_path / "check").write_text(NONSENSE.CHECK, encoding="ascii")
        script = "".join(f"/root/nonsense {s} {first + i} {first + i + count - 1} {seconds} /root/work /root/check\n"
                         for i, s in enumerate(services))
        return guest(script + "/bin/svc stats; /bin/svc log", net="user", timeout=PATIENCE + len(services) * count * 20,
                     file=[f"{root}/build/guest/nonsense:/root/nonsense", f"{tmp_path}/work:/root/work",
                           f"{tmp_path}/check:/root/check"], **options).text
    return run


def test_every_service_in_turn(answers):
    text = answers(SERVICES, 1, SEEDS, 1 if SEEDS == 1 else 2)
    for service in SERVICES:
        assert f"{service} ALL RIGHT" in text, text
    found = re.findall(r"(\w+) +answers nonsense: killed", text)
    assert len(set(found)) >= 4, text  # found and replaced while it was at it, not only by the order to kill it
    assert set(re.findall(r"^(\w+) +[1-9]\d* +\d+ +\d+ +[\d.]+ +[\d.]+ ", text, re.M)) <= set(SERVICES), text  # nobody else died of it
