# SPDX-License-Identifier: BSD-2-Clause
"""Disks as files: /dev/vdb, /dev/sdb, their partitions, and what becomes of them when drivers die."""
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIB = 1 << 20
KINDS = {"virtio": ("vd", "virtio_blk.1", "virtio-blk-pci,drive=second"),
         "ahci": ("sd", "ahci", "ide-hd,drive=second,bus=ide.1")}


@pytest.fixture(params=list(KINDS))
def second(request, tmp_path):
    """A second disk: its name, its driver, its file, QEMU's arguments (with `via`: a filter over the file)."""
    prefix, driver, device = KINDS[request.param]
    path = tmp_path / "second.img"
    with open(path, "wb") as stream:
        stream.truncate(32 * MIB)

    class Second:
        kind, name = request.param, prefix + "b"
        file = path

        @staticmethod
        def qemu(via="driver=raw,node-name=second,file=file2", more=""):
            return f"-blockdev driver=file,node-name=file2,filename={path} -blockdev {via} -device {device}{more}"
    Second.driver = driver
    return Second


@pytest.fixture
def blockio():
    subprocess.run(["make", "-s", "build/guest/blockio"], cwd=ROOT, check=True)
    return f"{ROOT}/build/guest/blockio:/blockio"


def operations(text):
    match = re.search(r"(\d+) operations, all right", text)
    assert match and "WRONG" not in text, text
    return int(match[1])


@pytest.mark.parametrize("mode", ["", "direct"], ids=["plain", "direct"])
def test_nothing_is_mixed_up(guest, second, blockio, mode):
    text = guest(f"/blockio verify /dev/{second.name} 4 8 {mode}; svc list", file=blockio, qemu=second.qemu()).text
    assert operations(text) > 100
    assert all(line.split()[4] == "0" for line in text.partition("NAME ")[2].splitlines()[1:] if " absent " not in line)


def test_conforms(guest, second, blockio):
    """The whole disk and a partition of it."""
    subprocess.run(["sfdisk", "-q", str(second.file)], input=TABLES["gpt"], text=True, check=True)
    text = guest(f"/blockio conform /dev/{second.name}2 && /blockio conform /dev/{second.name}; cat /proc/xinim/block",
                 file=blockio, qemu=second.qemu()).text
    assert text.count("it conforms") == 2 and "WRONG" not in text, text
    if second.kind == "ahci" or "discard 0 " not in text.partition(second.name)[2]:
        assert re.search(r"^discard +[1-9]", text.partition(second.name + "\n")[2], re.M), text


@pytest.mark.parametrize("options", ["num-queues=4,queue-size=16", "packed=on", "packed=on,event_idx=off",
                                     "packed=on,indirect_desc=off,queue-size=64", "discard=off,write-zeroes=off", "write-cache=off",
                                     "logical_block_size=4096,physical_block_size=4096", "vectors=0",
                                     "disable-modern=off,disable-legacy=on,event_idx=off,indirect_desc=off"])
def test_virtio_features(guest, blockio, tmp_path, options):
    path = tmp_path / "second.img"
    with open(path, "wb") as stream:
        stream.truncate(32 * MIB)
    if "vectors=0" in options:
        machine = {"machine": "pc"}  # INTx is routed there
    else:
        machine = {}
    text = guest("/blockio verify /dev/vdb 2 16 direct; /blockio conform /dev/vdb; cat /proc/xinim/block", file=blockio,
                 qemu=f"-drive if=none,id=second,file={path},format=raw -device virtio-blk-pci,drive=second,{options}",
                 **machine).text
    assert operations(text) > 50 and ("it conforms" in text), text
    if "write-cache=off" in options:
        assert "no write cache" in text.partition("vdb")[2], text


def test_disk_grows(guest, tmp_path):
    """QEMU's block_resize, by a monitor of its own, while the disk is open."""
    path, monitor = tmp_path / "second.img", tmp_path / "monitor"
    with open(path, "wb") as stream:
        stream.truncate(32 * MIB)

    def grow():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with socket.socket(socket.AF_UNIX) as line:
                    line.connect(str(monitor))
                    line.sendall(b'{"execute":"qmp_capabilities"}\n')
                    time.sleep(0.2)
                    line.sendall(b'{"execute":"block_resize","arguments":{"node-name":"second","size":67108864}}\n')
                    time.sleep(1)
                    if b"return" in line.recv(65536):
                        grown.append(True)
            except OSError:
                pass
            time.sleep(1)
            if done:
                return

    grown, done = [], []
    worker = threading.Thread(target=grow)
    worker.start()
    try:
        text = guest("exec 3</dev/vdb; n=0; until [ $(blockdev --getsize64 /dev/vdb) = 67108864 ] || [ $n -gt 40 ]; do"
                     " usleep 500000; n=$((n + 1)); done; dd if=/dev/vdb bs=1M skip=60 count=4 2>&1 >/dev/null | head -1;"
                     " grep vdb /proc/partitions",
                     qemu=f"-blockdev driver=file,node-name=second,filename={path} -device virtio-blk-pci,drive=second"
                          f" -qmp unix:{monitor},server=on,wait=off").text
    finally:
        done.append(True)
        worker.join()
    assert "4+0 records in" in text and re.search(r"65536 vdb$", text, re.M), text


@pytest.mark.parametrize("scheduler", ["deadline", "fair"])
def test_other_schedulers(guest, second, blockio, scheduler):
    text = guest(f"/blockio verify /dev/{second.name} 3 16 direct; grep -A 5 ^{second.name}$ /proc/xinim/block",
                 file=blockio, qemu=second.qemu(), append=f"scheduler={scheduler}").text
    assert operations(text) > 100
    assert f"[{scheduler}]" in text, text


def test_driver_dies_while_the_disk_is_written_raw(guest, second, blockio):
    """The program sees no error, and not one wrong byte."""
    text = guest(f"""
        /blockio verify /dev/{second.name} 12 8 direct &
        for i in 1 2 3 4 5 6 7 8 9 10; do usleep 700000; /bin/svc kill {second.driver}; done
        wait; /bin/svc status {second.driver}""", file=blockio, qemu=second.qemu()).text
    assert operations(text) > 100
    assert re.search(r"^restarts +10\b", text, re.M), text


def test_bdev_dies_while_the_disk_is_written_raw(guest, second, blockio):
    """bdev goes on where it was: open files stay, operations end once."""
    text = guest(f"""
        /blockio verify /dev/{second.name} 10 8 &
        for i in 1 2 3 4 5 6 7 8; do usleep 700000; /bin/svc kill bdev; done
        wait; /bin/svc status bdev""", file=blockio, qemu=second.qemu()).text
    assert operations(text) > 100
    assert re.search(r"^restarts +[1-8]\b", text, re.M), text


TABLES = {
    "gpt": "label: gpt\nstart=2048, size=4096, name=first\nstart=8192, size=4096\n",
    "dos": "label: dos\nstart=2048, size=4096\nstart=8192, size=20480, type=5\nstart=10240, size=2048\nstart=14336, size=2048\n",
}


@pytest.mark.parametrize("label,parts", [("gpt", {1: 2048, 2: 2048}), ("dos", {1: 2048, 5: 1024, 6: 1024})])
def test_partitions(guest, second, label, parts):
    subprocess.run(["sfdisk", "-q", str(second.file)], input=TABLES[label], text=True, check=True)
    name = second.name
    last = max(parts)
    start = {("gpt", 2): 8192, ("dos", 6): 14336}[label, last]
    text = guest(f"""
        cat /proc/partitions; ls -l /dev/{name}*
        dd if=/bin/busybox of=/dev/{name}{last} bs=1000 count=700 2>/dev/null; sync
        dd if=/dev/{name} bs=512 skip={start} count=1400 2>/dev/null | head -c 700000 | md5sum
        head -c 700000 /bin/busybox | md5sum
        dd if=/dev/zero of=/dev/{name}{last} bs=64k 2>&1 | grep -v records
        blockdev --getsize64 /dev/{name}{last}; blockdev --getss /dev/{name}; blockdev --getro /dev/{name}
        """, qemu=second.qemu()).text
    for number, kib in parts.items():
        assert re.search(rf"^ *\d+ +\d+ +{kib} {name}{number}$", text, re.M), text
        assert re.search(rf"^brw-rw---- .* /dev/{name}{number}$", text, re.M), text
    sums = re.findall(r"^([0-9a-f]{32})  -$", text, re.M)
    assert len(sums) == 2 and sums[0] == sums[1], text
    assert "No space left on device" in text, text
    assert text.splitlines()[-3:] == [str(parts[last] * 1024), "512", "0"], text
    data = second.file.read_bytes()
    assert data[start * 512:start * 512 + 1000] == bytes(1000)  # overwritten in the end
    assert data[:440] == bytes(440) and data[510:512] == b"\x55\xaa"  # the table is as it was


def test_table_written_in_the_guest(guest, second):
    """fdisk's BLKRRPART: refused while a partition is open, else the nodes appear."""
    name = second.name
    text = guest(f"""
        printf 'n\\np\\n1\\n2048\\n+4M\\nn\\np\\n2\\n\\n\\nw\\n' | fdisk /dev/{name} >/dev/null 2>&1; usleep 300000
        grep {name} /proc/partitions
        exec 3</dev/{name}2; blockdev --rereadpt /dev/{name}; echo busy $?; exec 3<&-
        blockdev --rereadpt /dev/{name}; echo free $?""", qemu=second.qemu()).text
    assert re.search(rf" {name}1$", text, re.M) and re.search(rf" {name}2$", text, re.M), text
    assert "busy 1" in text and "free 0" in text, text


def test_a_failing_sector_is_an_error_and_nothing_else(guest, second):
    """Reads of one sector fail for ever, another fails once: the first is EIO, the second is not noticed."""
    config = second.file.parent / "blkdebug.conf"
    config.write_text('[inject-error]\nevent = "none"\niotype = "read"\nerrno = "5"\nsector = "2048"\n\n'
                      '[inject-error]\nevent = "none"\niotype = "read"\nerrno = "5"\nsector = "8192"\nonce = "on"\n', encoding="utf-8")
    via = f"driver=blkdebug,node-name=second,image=file2,config={config}"
    name = second.name
    text = guest(f"""
        dd if=/dev/{name} of=/dev/null bs=512 skip=2048 count=1 2>&1 | tail -1
        dd if=/dev/{name} of=/dev/null bs=512 skip=8192 count=1 2>&1 | head -1
        for i in 1 2 3 4; do dd if=/dev/{name} of=/dev/null bs=64k skip=$((i * 37)) count=8 2>&1 | head -1; done
        grep -A 12 ^{name}$ /proc/xinim/block""", qemu=second.qemu(via)).text
    assert "Input/output error" in text, text
    assert text.count("1+0 records in") == 1 and text.count("8+0 records in") == 4, text
    assert re.search(r"errors +1 retries [4-9]", text), text


def test_failing_flush_is_told(guest, second):
    config = second.file.parent / "blkdebug.conf"
    config.write_text('[inject-error]\nevent = "none"\niotype = "flush"\nerrno = "5"\n', encoding="utf-8")
    via = f"driver=blkdebug,node-name=second,image=file2,config={config}"
    text = guest(f"dd if=/bin/busybox of=/dev/{second.name} bs=64k count=4 conv=fsync 2>&1 | tail -1;"
                 f"dd if=/dev/{second.name} bs=64k count=4 2>/dev/null | cmp -n 262144 - /bin/busybox && echo same",
                 qemu=second.qemu(via)).text
    assert "Input/output error" in text and "same" in text, text


def test_sata_disk_taken_out_and_put_back(guest, blockio, tmp_path):
    """Its port is switched off for a while, for QEMU cannot unplug it. Requests wait for it."""
    path = tmp_path / "second.img"
    with open(path, "wb") as stream:
        stream.truncate(32 * MIB)
    text = guest("""
        /blockio verify /dev/sdb 8 4 direct &
        usleep 1500000; blkctl sdb replug 500; usleep 2500000; blkctl sdb replug 700; wait
        dmesg | grep -c 'sdb: unplugged'""", file=blockio,
                 qemu=f"-drive if=none,id=second,file={path},format=raw -device ide-hd,drive=second,bus=ide.1").text
    assert "all right" in text or "fsync" in text, text  # a flush may tell of the lost cache
    assert "WRONG: block" not in text, text
