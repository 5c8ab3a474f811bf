# SPDX-License-Identifier: BSD-2-Clause
"""What is on the disk if the power fails: the disk's writes are logged (QEMU's blklogwrites) and done again
up to each flush. At every such point the filesystem must be whole, and what was fsynced before must be there.
Between two flushes a disk may have done any of the writes since the first: then `minixfs repair` must make
it whole, and lose nothing that the first made durable."""
import os
import pathlib
import random
import re
import struct
import subprocess

import pytest

from conftest import console, minixfs

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAGIC, FLUSH, DISCARD = 0x6A736677736872, 1, 4
SOAK = int(os.environ.get("XINIM_SOAK", "0"))
POINTS_MAX = 40  # flushes looked at: each costs a check of the whole image
CUTS = 12 if not SOAK else 400  # cuts between flushes

# Each line of /root/said is fsynced: from then on it must survive.
WORK = """
mkdir /root/d
i=0
while [ $i -lt 30 ]; do
    echo "line $i" >>/root/said; dd if=/dev/zero of=/root/d/f$i bs=1k count=$((i * 7 + 1)) conv=fsync 2>/dev/null
    [ $((i % 3)) = 1 ] && mv /root/d/f$i /root/d/g$i && ln /root/d/g$i /root/h$i
    [ $((i % 5)) = 4 ] && rm /root/d/f$((i - 1))
    mkdir -p /root/k$i/l && mv /root/k$i /root/d/k && mv /root/d/k/l /root/l && mv /root/d/k /root/l/k$i
    cp /root/said /root/new && mv /root/new /root/last
    rm -r /root/l; sync; {between}
    i=$((i + 1))
done
echo fi''nished
"""


def log_entries(path):
    """(offset, data, flags) of each entry of a log."""
    log = path.read_bytes()
    magic, version, count, sector = struct.unpack_from("<QQQI", log)
    assert magic == MAGIC and version == 1, "not a log of blklogwrites"
    at = sector
    for _ in range(count):
        first, sectors, flags, length = struct.unpack_from("<QQQQ", log, at)
        at += sector
        data = b"" if flags & DISCARD else log[at:at + sectors * sector]
        at += len(data)
        yield first * sector, data, flags
        assert length <= sectors * sector or flags & DISCARD


def whole(image):
    check = subprocess.run([ROOT / "build/tools/minixfs", "check", image], capture_output=True, text=True, check=False)
    return "" if check.returncode == 0 else check.stdout + check.stderr


def lines_said(image):
    said = subprocess.run([ROOT / "build/tools/minixfs", "cat", image, "/root/said"], capture_output=True, text=True, check=False).stdout
    return len(re.findall(r"^line \d+$", said, re.M))


def files_expected(lines):
    """What WORK has in /root/d for good when so many lines are there, but for what it works on: {name: bytes}."""
    files = {}
    for i in range(lines - 2):
        if i % 3 == 1:
            files[f"g{i}"] = (i * 7 + 1) * 1024
        elif i % 5 != 3:
            files[f"f{i}"] = (i * 7 + 1) * 1024
    return files


def cut_power(base, writes, path, seed, by_both):
    """The state of the last flush and any of the writes since, repaired: is all there that was durable?"""
    choice = random.Random(seed)
    subprocess.run(["cp", "--sparse=always", base, path], check=True)
    with open(path, "r+b") as stream:
        for offset, data in writes:
            if choice.random() < 0.5:
                stream.seek(offset)
                stream.write(data)
    lines = lines_said(base)
    repair = subprocess.run([ROOT / "build/tools/minixfs", "repair", path], capture_output=True, text=True, check=False)
    assert repair.returncode == 0, f"seed {seed}: {repair.stdout}{repair.stderr}"
    assert not whole(path), f"seed {seed}: {whole(path)}"
    if by_both:
        theirs = subprocess.run(["fsck.minix", "-f", path], capture_output=True, text=True, check=False)
        assert theirs.returncode == 0, f"seed {seed}: {theirs.stdout}{theirs.stderr}"
    assert lines_said(path) >= lines, f"seed {seed}: {lines_said(path)} lines, {lines} were durable\n{repair.stdout}"
    if lines > 2:
        there = minixfs("ls", path, "/root/d").decode()
        for name, size in files_expected(lines).items():
            assert re.search(rf"\b{size}\b.* {name}$", there, re.M), f"seed {seed}: {name} of {size} bytes is lost\n{repair.stdout}{there}"


# The driver dies between the answer to a write and the flush, and the disk is taken out and put back.
UNPLUGGED = "(usleep 60000; /bin/svc kill ahci; usleep 40000; blkctl sda replug 30) & [ $((i % 3)) = 2 ] && wait"


@pytest.mark.parametrize("device,between,kind", [
    ("virtio-blk-pci,drive=logged", "true", None),
    ("virtio-blk-pci,drive=logged", "[ $((i % 4)) = 3 ] && /bin/svc kill virtio_blk", None),
    ("ide-hd,drive=logged,bus=ide.0", UNPLUGGED, None),
    ("virtio-blk-pci,drive=logged", "[ $((i % 4)) = 3 ] && /bin/svc kill minix", (1, 30, 1024)),
    ("virtio-blk-pci,drive=logged", "true", (2, 30, 1024)),
    ("virtio-blk-pci,drive=logged", "true", (3, 60, 8192))], ids=["quiet", "kills", "unplugged", "V1", "V2", "large blocks"])
def test_every_flush_is_a_whole_filesystem(image, tmp_path, device, between, kind):
    if kind:
        image = tmp_path / "kind.img"
        minixfs("mkfs", image, 60, "--version", kind[0], "--names", kind[1], "--block-size", kind[2])
        minixfs("tree", image, ROOT / "build/rootfs")
    disk, log, start, script = tmp_path / "work.img", tmp_path / "log", tmp_path / "start.img", tmp_path / "exec"
    script.write_text(". /etc/shrc\n" + WORK.format(between=between), encoding="utf-8")
    minixfs("add", image, script, "/etc/xinim-exec", "--mode", "755")
    for copy in (disk, start):
        subprocess.run(["cp", "--sparse=always", image, copy], check=True)
    with open(log, "wb") as stream:
        stream.truncate(0)
    text = console("--disk", "none", "--qemu",
                   f"-blockdev driver=file,node-name=d,filename={disk} -blockdev driver=file,node-name=l,filename={log} "
                   f"-blockdev driver=blklogwrites,node-name=logged,file=d,log=l -device {device}",
                   until="XINIM-END", settle=60)
    assert "\nfinished" in text, text
    entries = list(log_entries(log))
    flushes = [i for i, (_, _, flags) in enumerate(entries) if flags & FLUSH]
    assert len(flushes) >= 30, f"{len(flushes)} flushes in {len(entries)} entries"
    looked_at = set(flushes[::max(1, len(flushes) // POINTS_MAX)]) | {flushes[-1]}
    cuts = set(random.Random(len(entries)).sample(range(len(entries)), CUTS if CUTS < len(entries) else len(entries)))
    lines, since = 0, []
    with open(start, "r+b") as stream:
        for number, (offset, data, flags) in enumerate(entries):
            since.append((offset, data))
            if number in cuts:
                cut_power(start, since, tmp_path / "cut.img", number, not kind or kind[2] == 1024)
            if not flags & FLUSH:
                continue
            for offset_, data_ in since:
                stream.seek(offset_)
                stream.write(data_)
            stream.flush()
            since = []
            if number not in looked_at:
                continue
            problems = whole(start)
            assert not problems, f"at flush {number} of {len(entries)}:\n{problems}"
            now = lines_said(start)
            assert now >= lines, f"at flush {number}: {now} lines, {lines} before"
            lines = now
    assert lines == 30
