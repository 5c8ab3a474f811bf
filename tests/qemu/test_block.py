# SPDX-License-Identifier: BSD-2-Clause
"""Disks as files: /dev/vdb, /dev/sdb, their partitions, and what becomes of them when drivers die."""
import pathlib
import re
import subprocess

import pytest

from conftest import PATIENCE, outages, soon
from test_cables import Monitor

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
        def write_pattern(data):
            (tmp_path / "pattern").write_bytes(data)
            return tmp_path / "pattern"

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


def test_whole_blocks_go_to_the_driver(guest, second):
    """The driver answers programs itself; what is not of whole blocks, or beyond the end, it sends to bdev, before and after its
    death."""
    name, pattern = second.name, bytes(range(256)) * 40
    second.file.write_bytes(bytes(32 * MIB))
    text = guest(f"""
        count() {{ sed -n '/^{name}$/,/^driver/s/^calls *//p' /proc/xinim/block; }}
        dd if=/dev/{name} of=/dev/null bs=4k count=100 2>/dev/null; count
        dd if=/dev/{name} of=/dev/null bs=1M count=5 2>/dev/null; count
        /bin/svc kill {second.driver}; cat /dev/{name} | wc -c
        dd if=/pattern of=/dev/{name} bs=1000 seek=7 conv=notrunc,fsync 2>/dev/null; count
        dd if=/dev/{name} bs=1000 skip=7 count=10 2>/dev/null | cmp -n 10000 - /pattern && echo same
        dd if=/dev/{name} of=/dev/null bs=4k count=100 2>/dev/null; count""",
                 file=f"{second.write_pattern(pattern)}:/pattern", qemu=second.qemu()).text
    counts = [(int(done), int(home)) for done, home in re.findall(r"^(\d+) of programs, (\d+) sent home", text, re.M)]
    assert len(counts) == 4 and f"{32 * MIB}" in text and "same" in text, text
    assert counts[0][0] >= 100 and counts[1][0] - counts[0][0] >= 5, text
    assert counts[2][1] > counts[1][1] and counts[3][0] - counts[2][0] >= 100, text


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


def test_what_tools_tell(guest, second):
    """blockdev, blkdiscard, /proc and svc, of blocks of 512 bytes over physical ones of 4096."""
    name = second.name
    text = guest(f"""
        for what in ss ro size64; do blockdev --get$what /dev/{name}; done; grep -A 2 ^{name}$ /proc/xinim/block
        dd if=/bin/busybox of=/dev/{name} bs=64k count=4 conv=fsync 2>/dev/null
        blkdiscard -o 65536 -l 65536 /dev/{name} && echo discarded; grep -A 9 ^{name}$ /proc/xinim/block | grep ^discard
        dd if=/dev/{name} bs=64k skip=2 count=2 2>/dev/null >/tmp/rest; dd if=/bin/busybox bs=64k skip=2 count=2 2>/dev/null | cmp - /tmp/rest && echo same
        blkdiscard -o 100 -l 512 /dev/{name} 2>&1 | grep -c -i invalid; svc status {second.driver} | head -8""",
                 qemu=second.qemu(more=",physical_block_size=4096,serial=ABC123,discard_granularity=512"
                                  if second.kind == "ahci" else ",physical_block_size=4096,serial=ABC123")).text
    assert text.startswith(f"512\n0\n{32 * MIB}\n") and "ABC123" in text and "blocks of 512, physical 4096" in text, text
    assert "discarded" in text and re.search(r"^discard +[1-9]\d* operations", text, re.M), text
    assert "same" in text and re.search(r"^1$", text, re.M), text


def test_disk_that_cannot_be_written(guest, tmp_path):
    path = tmp_path / "second.img"
    path.write_bytes(b"\xa5" * 4 * MIB)
    text = guest("blockdev --getro /dev/vdb; dd if=/dev/vdb bs=1M 2>/dev/null | tr -d '\\245' | wc -c; "
                 "dd if=/dev/zero of=/dev/vdb bs=4k count=1 2>&1 | head -1",
                 qemu=f"-drive if=none,id=second,file={path},format=raw,readonly=on -device virtio-blk-pci,drive=second").text
    assert text.splitlines()[:2] == ["1", "0"] and "Read-only file system" in text, text
    assert path.read_bytes() == b"\xa5" * 4 * MIB


def test_disk_grows(root, tmp_path):
    """QEMU's block_resize, by a monitor of its own, while the disk is open."""
    path, monitor = tmp_path / "second.img", tmp_path / "monitor"
    with open(path, "wb") as stream:
        stream.truncate(32 * MIB)
    command = ("exec 3</dev/vdb; blockdev --getsize64 /dev/vdb; " + soon("[ $(blockdev --getsize64 /dev/vdb) = 67108864 ]") +
               "; dd if=/dev/vdb bs=1M skip=60 count=4 2>&1 >/dev/null | head -1; grep vdb /proc/partitions")
    with subprocess.Popen([root / "xinim", "exec", "--timeout", str(PATIENCE), "--qemu",
                           f"-blockdev driver=file,node-name=second,filename={path} -device virtio-blk-pci,drive=second"
                           f" -qmp unix:{monitor},server=on,wait=off", "--", command], stdout=subprocess.PIPE, text=True) as guest:
        assert guest.stdout.readline() == f"{32 * MIB}\n"
        Monitor(monitor)("block_resize", **{"node-name": "second", "size": 64 * MIB})
        text = guest.communicate()[0]
    assert "4+0 records in" in text and re.search(r"65536 vdb$", text, re.M), text


def test_media_come_and_go(root, tmp_path):
    """An ATAPI drive that is empty at the start: media put in, taken out, and exchanged under an open file and a driver that dies."""
    monitor, discs = tmp_path / "monitor", [tmp_path / "first.iso", tmp_path / "other.iso"]
    for number, disc in enumerate(discs):
        disc.write_bytes(bytes([number + 65]) * (number + 1) * MIB)
    first = soon("[ \"$(head -c 3 /dev/sdc 2>/dev/null)\" = AAA ]")
    command = (f"head -c 3 /dev/sdc || echo EMPTY; {first}; cat /dev/sdc | tr -d A | wc -c; exec 3</dev/sdc; echo FIRST; " +
               soon("! head -c 3 /dev/sdc") + "; echo OUT; " +
               soon("[ \"$(head -c 3 /dev/sdc 2>/dev/null)\" = BBB ]") + "; blockdev --getsize64 /dev/sdc; svc kill ahci; "
               "cat /dev/sdc | tr -d B | wc -c; grep sdc /proc/partitions; echo OTHER; " + first + "; echo BACK")
    with subprocess.Popen([root / "xinim", "exec", "--timeout", str(PATIENCE), "--qemu",
                           f"-device ide-cd,bus=ide.2,id=drive -qmp unix:{monitor},server=on,wait=off", "--", f"({command}) 2>&1"],
                          stdout=subprocess.PIPE, text=True) as guest:
        lines = []

        def until(word):
            while not lines or word not in lines[-1]:
                lines.append(guest.stdout.readline())
                assert lines[-1], "".join(lines)

        until("EMPTY")
        qmp = Monitor(monitor)
        qmp("blockdev-change-medium", id="drive", filename=str(discs[0]), format="raw")
        until("FIRST")
        assert lines[-2] == "0\n", lines
        qmp("eject", id="drive")
        until("OUT")
        qmp("blockdev-change-medium", id="drive", filename=str(discs[1]), format="raw")
        until("OTHER")
        assert lines[-4] == f"{2 * MIB}\n" and lines[-3] == "0\n" and re.search(r"2048 sdc$", lines[-2], re.M), lines
        qmp("blockdev-change-medium", id="drive", filename=str(discs[0]), format="raw")
        until("BACK")
        guest.communicate()


@pytest.mark.parametrize("scheduler", ["deadline", "fair"])
def test_other_schedulers(guest, second, blockio, scheduler):
    text = guest(f"/blockio verify /dev/{second.name} 3 16 direct; grep -A 5 ^{second.name}$ /proc/xinim/block",
                 file=blockio, qemu=second.qemu(), append=f"scheduler={scheduler}").text
    assert operations(text) > 100
    assert f"[{scheduler}]" in text, text


def test_schedulers_change_under_load(guest, second, blockio):
    text = guest(f"""
        /blockio verify /dev/{second.name} 5 16 direct & verifier=$!
        while kill -0 $verifier 2>/dev/null; do
            for s in deadline fair none; do blkctl {second.name} scheduler $s; usleep 50000; done
        done
        blkctl {second.name} scheduler deadline; wait; grep -A 5 ^{second.name}$ /proc/xinim/block""",
                 file=blockio, qemu=second.qemu()).text
    assert operations(text) > 50 and "[deadline]" in text, text


def test_driver_dies_while_the_disk_is_written_raw(guest, second, blockio):
    """The program sees no error, and not one wrong byte."""
    text = guest(f"""
        /blockio verify /dev/{second.name} 12 8 direct &
        for i in 1 2 3 4 5 6 7 8 9 10; do usleep 700000; /bin/svc kill {second.driver}; {soon(outages(second.driver, "$i"))}; done
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


def test_fio_verifies(guest, second):
    """Debian's fio, unmodified, with libaio and io_uring, checks what it wrote while the driver is killed every second."""
    subprocess.run(["make", "-s", "rootfs"], cwd=ROOT, check=True)
    common = f"fio --name=x --filename=/dev/{second.name} --direct=1 --verify=crc32c --verify_fatal=1 --output-format=terse"
    aio, ring = "--ioengine=libaio", "--ioengine=io_uring"
    text = guest(f"""
        (while :; do sleep 1; svc kill {second.driver}; done) & killer=$!
        for depth in 1 8 64; do
            {common} {aio} --rw=randwrite --bs=4k --size=4M --iodepth=$depth >/tmp/out && echo random $depth || cat /tmp/out
            {common} {ring} --rw=write --bs=1M --size=24M --iodepth=$depth >/tmp/out && echo sequential $depth || cat /tmp/out
            {common} {ring} --fixedbufs --registerfiles --rw=randwrite --bs=4k --size=4M --iodepth=$depth >/tmp/out && echo fixed $depth || cat /tmp/out
        done; kill $killer""", qemu=second.qemu(), rootfs=True, mem=512).text
    assert re.findall(r"^(random|sequential|fixed) (\d+)$", text, re.M) == [
        (kind, depth) for depth in ("1", "8", "64") for kind in ("random", "sequential", "fixed")], text


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
        printf 'n\\np\\n1\\n2048\\n+4M\\nn\\np\\n2\\n\\n\\nw\\n' | fdisk /dev/{name} >/dev/null 2>&1; {soon(f"[ -b /dev/{name}2 ]")}
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


@pytest.mark.parametrize("options", [{"no-iommu": True}, {}], ids=["", "iommu"])
def test_reads_abandoned_in_the_middle(guest, second, blockio, options):
    """A slow disk writes to memory whose owner was killed, or whose driver was: no other memory changes."""
    second.file.write_bytes(b"\xd1" * (8 * MIB))
    qemu = (f"-object throttle-group,id=slow,x-iops-total=6 -blockdev driver=file,node-name=file2,filename={second.file}"
            " -blockdev driver=raw,node-name=raw2,file=file2"
            f" -blockdev driver=throttle,node-name=second,throttle-group=slow,file=raw2 -device {KINDS[second.kind][2]}")
    text = guest(f"(sleep 2; /bin/svc kill {second.driver}; sleep 1; /bin/svc kill {second.driver}) & "
                 f"/blockio abandon /dev/{second.name} 6; wait; grep -A 12 ^{second.name} /proc/xinim/block",
                 mem=128, file=blockio, qemu=qemu, **options).text
    assert "nothing changed" in text and "WRONG" not in text, text


ERRORS = {"write once": ("write", 'once = "on"', True), "write for ever": ("write", "", False),
          "flush once": ("flush", 'once = "on"', True), "read for ever": ("read", "", False)}


@pytest.mark.parametrize("case", list(ERRORS))
def test_errors_at_depth(guest, second, blockio, case):
    """Errors of the device while 16 threads use it: what happens once is done again; what does not stop is
    told to who asked, and nobody waits for ever or gets another's data."""
    iotype, once, unnoticed = ERRORS[case]
    sector = "" if iotype == "flush" else 'sector = "20480"\n'  # at 10 MiB
    config = second.file.parent / "blkdebug.conf"
    config.write_text(f'[inject-error]\nevent = "none"\niotype = "{iotype}"\nerrno = "5"\n{sector}{once}\n', encoding="utf-8")
    via = f"driver=blkdebug,node-name=second,image=file2,config={config}"
    name = second.name
    check = (f"/blockio verify /dev/{name} 3 16 direct" if unnoticed else
             f"dd if=/dev/zero of=/dev/{name} bs=64k seek=80 count=16 2>&1 | head -1; "
             f"for i in 1 2 3 4 5 6; do dd if=/dev/{name} of=/tmp/o$i bs=128k skip=$((i * 20)) count=20 2>&1 | grep -c error & done; "
             f"for i in 1 2 3; do dd if=/bin/busybox of=/dev/{name} bs=128k seek=$((150 + i * 20)) count=5 conv=fsync 2>&1 "
             f"| grep -c error & done; dd if=/bin/busybox of=/dev/{name} bs=64k seek=160 count=1 conv=fsync 2>&1 | grep -c error; wait")
    text = guest(f"{check}; grep -A 14 ^{name}$ /proc/xinim/block; dmesg | grep {name}:", file=blockio, qemu=second.qemu(via)).text
    if unnoticed:
        assert operations(text) > 50
        assert "errors        0 " in text and re.search(r"retries [1-9]|: error, interrupt", text), text
    else:
        failed = text.partition(name + "\n")[0].split().count("1")
        assert failed == 1, text  # the one that met the sector
        assert re.search(r"errors +[1-9]\d* retries [3-9]", text), text


DAMAGE = {"primary header": (512, 92, "backup", 2), "primary entries": (1024, 128, "backup", 2),
          "backup header": (-512, 92, "backup GPT is damaged", 2), "both headers": (None, 0, "both copies", 0)}


@pytest.mark.parametrize("case", list(DAMAGE))
def test_damaged_gpt(guest, tmp_path, case):
    """Read from the copy that is whole, or refused; the log has the reason and the way to mend it."""
    at, length, reason, parts = DAMAGE[case]
    path = tmp_path / "second.img"
    with open(path, "wb") as stream:
        stream.truncate(32 * MIB)
    subprocess.run(["sfdisk", "-q", str(path)], input=TABLES["gpt"], text=True, check=True)
    with open(path, "r+b") as stream:
        for place in [at] if at else [512, 32 * MIB - 512]:
            stream.seek(place % (32 * MIB))
            stream.write(b"\xa5" * (length or 92))
    text = guest("grep vdb /proc/partitions; dmesg | grep 'vdb: partition table'",
                 qemu=f"-drive if=none,id=second,file={path},format=raw -device virtio-blk-pci,drive=second").text
    assert len(re.findall(r" vdb[12]$", text, re.M)) == parts, text
    assert reason in text, text


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
