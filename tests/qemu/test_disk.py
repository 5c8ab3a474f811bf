# SPDX-License-Identifier: BSD-2-Clause
"""What the host writes is read right in the guest, and the other way round."""
import hashlib
import os
import subprocess

import pytest

from conftest import console, minixfs


def sha(data):
    return hashlib.sha256(data).hexdigest()


def test_host_to_guest_and_back(guest, image, tmp_path, fsck):
    data = os.urandom(9_000_001)
    source = tmp_path / "source"
    source.write_bytes(data)
    minixfs("mkdir", image, "/deep")
    minixfs("add", image, source, "/deep/source")
    result = guest("sha256sum </deep/source; cp /deep/source /root/copy; mkdir /root/d; "
                   "for i in $(seq 1 300); do echo $i >/root/d/file$i; done; rm /root/d/file1*; sync", image=image)
    assert result.text.split()[0] == sha(data)
    assert sha(minixfs("cat", image, "/root/copy")) == sha(data)
    assert minixfs("cat", image, "/root/d/file200") == b"200\n"
    listing = minixfs("ls", image, "/root/d").decode()
    assert "file23" in listing and "file1" not in listing
    fsck(image)


def test_image_survives_reboots(guest, image, fsck):
    for boot in range(3):
        result = guest(f"cat /root/boots 2>/dev/null; echo boot {boot} >>/root/boots", image=image)
        assert result.text == "".join(f"boot {i}\n" for i in range(boot))
    fsck(image)



TOLD = "XINIM: root=N"  # the last line of what rs says when there is no root filesystem


def test_no_disk_is_told():
    text = console("--disk", "none", until=TOLD)
    assert "XINIM: no root filesystem" in text and "build/xinim.img" in text, text
    assert "virtio_blk: no matching device" in text and "no filesystem: no disk" in text, text
    assert "PANIC" not in text


def bad_garbage(path, _):
    path.write_bytes(os.urandom(4 << 20))


def bad_truncated(path, image):
    with open(image, "rb") as stream:
        path.write_bytes(stream.read(64 << 10))


def bad_magic(path, image):
    overwrite(path, image, 24, b"\xff\xff")


def bad_geometry(path, image):
    """More inodes than there can be."""
    overwrite(path, image, 0, b"\xff\xff\xff\xff")


def bad_root_inode(path, image):
    """All inodes are zero; maps and superblock are right."""
    data = image.read_bytes()[:64 << 10]
    maps = int.from_bytes(data[1024 + 6:1024 + 8], "little") + int.from_bytes(data[1024 + 8:1024 + 10], "little")
    overwrite(path, image, (2 - 1 + maps) * 1024, bytes(1024))


def overwrite(path, image, offset, data):
    """A copy of the image with other bytes at this offset behind its first 1024."""
    subprocess.run(["cp", "--sparse=always", image, path], check=True)
    with open(path, "r+b") as stream:
        stream.seek(1024 + offset)
        stream.write(data)


@pytest.mark.parametrize("spoil,reason", [
    (bad_garbage, "no MINIX superblock"), (bad_truncated, "larger than its device"),
    (bad_magic, "no MINIX superblock"), (bad_geometry, "not a usable MINIX filesystem"),
    (bad_root_inode, "not a usable MINIX filesystem")])
def test_bad_disk_is_told(tmp_path, image, spoil, reason):
    bad = tmp_path / "bad.img"
    spoil(bad, image)
    text = console("--image", bad, until=TOLD)
    assert "XINIM: no root filesystem" in text and "build/xinim.img" in text, text
    assert reason in text, text
    assert "PANIC" not in text


def test_exec_without_a_root_ends_at_once(guest):
    result = guest("echo never", append="root=7", expect=127)
    assert "root= names no disk or partition" in result.errors and "no shell" in result.errors, result.errors
    assert "never" not in result.text


def partitioned(path, root, label):
    """A disk with a small first partition and the standard image in the second; its offset in bytes."""
    offset = 4 << 20
    with open(path, "wb") as stream:
        stream.truncate(300 << 20)
    table = f"label: {label}\nstart=2048, size=4096\nstart={offset // 512}, size=536576\n"
    subprocess.run(["sfdisk", "-q", str(path)], input=table, text=True, check=True)
    subprocess.run(["dd", f"if={root / 'build/xinim.img'}", f"of={path}", "bs=1M", f"seek={offset >> 20}",
                    "conv=sparse,notrunc", "status=none"], check=True)
    return offset


@pytest.mark.parametrize("label,option", [("gpt", ""), ("gpt", "root=2"), ("dos", ""), ("dos", "root=/dev/vda2")])
def test_partitions(tmp_path, root, label, option):
    """The root filesystem in the second partition of a GPT and of an MBR disk."""
    disk = tmp_path / "disk.img"
    offset = partitioned(disk, root, label)
    script = tmp_path / "exec"
    script.write_text("echo written >/root/w; sync; sed -n 1p /proc/mounts; echo fi''ne\n", encoding="utf-8")
    minixfs("add", disk, script, "/etc/xinim-exec", "--mode", "755", "--offset", offset)
    text = console("--image", disk, "--append", option, until="XINIM-END", settle=60)
    assert "vda2: MINIX V3" in text and "\nfine" in text, text
    assert minixfs("cat", disk, "/root/w", "--offset", offset) == b"written\n"
    minixfs("check", disk, "--offset", offset)


def test_root_that_is_no_partition(tmp_path, root):
    disk = tmp_path / "disk.img"
    partitioned(disk, root, "gpt")
    text = console("--image", disk, "--append", "root=1", until=TOLD)
    assert "vda1: not a usable MINIX filesystem" in text and "XINIM: no root filesystem" in text, text
