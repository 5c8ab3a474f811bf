# SPDX-License-Identifier: BSD-2-Clause
"""Programs of Debian that people try first, from the disk of `make rootfs-more`: a long build, so only with XINIM_SOAK."""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
IMAGE = ROOT / "build" / "rootfs-more.img"
SCRIPT = pathlib.Path(__file__).with_name("debian_more.sh")

pytestmark = pytest.mark.skipif(not os.environ.get("XINIM_SOAK"), reason="a campaign: XINIM_SOAK=1")


def test_programs_do_their_work(guest, tmp_path):
    subprocess.run(["make", "-s", "rootfs-more"], cwd=ROOT, check=True)
    image = tmp_path / "more.img"
    subprocess.run(["cp", "--sparse=always", IMAGE, image], check=True)
    result = guest("sh /more.sh", image=image, file=f"{SCRIPT}:/more.sh", timeout=900, net="user")
    lines = result.text.splitlines()
    failed = [line for line in lines if line.startswith("FAILED")]
    assert not failed, result.text
    assert sum(line.startswith("ok ") for line in lines) == 40, result.text
