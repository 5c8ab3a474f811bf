# SPDX-License-Identifier: BSD-2-Clause
"""Started by GRUB, from BIOS and UEFI."""
import subprocess

import pytest
from conftest import console


@pytest.mark.parametrize("options", [{"iso": True}, {"iso": True, "machine": "pc", "smp": 1}, {"uefi": True, "mem": 512}],
                         ids=["q35", "pc", "uefi"])
def test_from_the_cd(guest, options):
    assert guest("head -1 /proc/mounts", **options).text.startswith("/dev/vda / minix")


def test_written_to_a_disk(root, tmp_path):
    """The image alone is a whole system: boot loader and root filesystem."""
    disk = tmp_path / "disk.img"
    subprocess.run(["cp", "--sparse=always", str(root / "build/xinim.iso"), str(disk)], check=True)
    text = console("--uefi", "--disk", "none", "--mem", "512", "--qemu",
                   f"-drive if=none,id=disk,format=raw,file={disk} -device virtio-blk-pci,drive=disk,bootindex=0",
                   until=":/# ")
    assert "vda4: MINIX V3" in text
    assert ":/# " in text


def test_no_command_line_from_outside(root):
    result = subprocess.run([str(root / "xinim"), "run", "--iso", "--append", "panic=halt"], capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "GRUB" in result.stderr
