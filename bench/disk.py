# SPDX-License-Identifier: BSD-2-Clause
"""The rows of disks: Debian's fio, unmodified and the same file in both guests, on whole
disks with O_DIRECT, and on files of a MINIX filesystem that both mount."""
import json
import os
import re
import subprocess

import guests

IMAGE_MIB = 512
SMALL = 4096  # bytes of a request where requests are counted
FILES_MIB = 256  # of the MINIX filesystem
TREE = guests.BUILD / "rootfs-debian"
DEVICES = {"virtio-blk": ("vd", ["-object", "iothread,id=io{n}"], "virtio-blk-pci,drive=bench{n},iothread=io{n}"),
           "AHCI": ("sd", [], "ide-hd,drive=bench{n},bus=ide.{n}")}

# (row, what of fio's figures, its arguments)
ENGINE = "--ioengine=libaio --direct=1 --iodepth={}"
RAW = [(f"{name} 1 MiB depth {depth}", "MB/s", f"--rw={rw} --bs=1M {ENGINE.format(depth)}")
       for name, rw, depth in (("read", "read", 32), ("read", "read", 1), ("write", "write", 32))]
RAW += [(f"random {name} 4 KiB depth {depth}", "IOPS", f"--rw=rand{name} --bs=4k {ENGINE.format(depth)}")
        for name in ("read", "write") for depth in (1, 8, 32)]
RAW += [("random read 4 KiB by 32 threads", "IOPS", "--rw=randread --bs=4k --ioengine=psync --direct=1 --numjobs=32 --thread")]
# Of XINIM's alone: the same with the driver killed every second.
KILLED = [(name + ", driver killed every second", unit, arguments) for name, unit, arguments in RAW
          if name in ("read 1 MiB depth 32", "random read 4 KiB depth 32", "random write 4 KiB depth 32")]
# A file of its own each, so that what is read was not just written; the mount before is fresh, but of what is to be cached.
FILE = [("file write 1 MiB, then fsync", "MB/s", "--rw=write --bs=1M --ioengine=psync --size=96M --end_fsync=1", "w"),
        ("file read 1 MiB, not cached", "MB/s", "--rw=read --bs=1M --ioengine=psync --size=96M", "a"),
        ("file read 1 MiB, cached", "MB/s", "--rw=read --bs=1M --ioengine=psync --size=96M --loops=8", "a"),
        ("file read 4 KiB, not cached", "MB/s", "--rw=read --bs=4k --ioengine=psync --size=96M", "a"),
        ("file random read 4 KiB, not cached", "IOPS", "--rw=randread --bs=4k --ioengine=psync --size=32M", "b"),
        ("file random read 4 KiB, cached", "IOPS", "--rw=randread --bs=4k --ioengine=psync --size=32M --loops=4", "b"),
        ("file random write 4 KiB, fsync each", "IOPS", "--rw=randwrite --bs=4k --ioengine=psync --size=32M --fsync=1 --io_size=2M",
         "b")]
KILLS, LOG_MS = "/tmp/kills", 100  # when the driver was killed; fio logs so often what it moved
LOGGED = f"--write_bw_log=/tmp/moved --log_avg_msec={LOG_MS} --log_unix_epoch=1"
PERCENTILES = ("50.000000", "90.000000", "99.000000", "99.900000")  # of the time for one request
COMMON = "--name=x --group_reporting --output-format=json --invalidate=0 --randseed=7"


def programs(system):
    """fio and its libraries for Linux's initial file system; XINIM has them on its disk."""
    if system.name == "XINIM":
        return []
    fio, libraries = TREE / "usr/bin/fio", TREE / "usr/lib/x86_64-linux-gnu"
    text = subprocess.run(["ldd", fio], capture_output=True, text=True, check=True,
                          env={"LD_LIBRARY_PATH": f"{libraries}:{libraries}/ceph"}).stdout
    found = re.findall(rf"=> {TREE}(\S+)", text)
    if "not found" in text or not found:
        raise guests.GuestError(f"fio's libraries are not all in {TREE}:\n{text}")
    return [(fio, "/bin/fio")] + [(f"{TREE}{path}", path) for path in found]


def prepare():
    """The disk, not sparse: holes are read without reading. And a filesystem with files to be read."""
    folder = guests.BUILD / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    disk, files, source = folder / "disk.img", folder / "files.img", folder / "source"
    if not disk.exists():
        with open(disk, "wb") as stream:
            for _ in range(IMAGE_MIB):
                stream.write(os.urandom(1 << 20))
    if not files.exists():
        minixfs = guests.BUILD / "tools/minixfs"
        subprocess.run([minixfs, "mkfs", files, str(FILES_MIB), "--block-size", "4096"], check=True)
        for name, mib in (("a", 96), ("b", 32)):
            source.write_bytes(os.urandom(mib << 20))
            subprocess.run([minixfs, "add", files, source, f"/{name}"], check=True)
        source.unlink()
    fresh = folder / "files-run.img"
    subprocess.run(["cp", "--sparse=always", files, fresh], check=True)
    return disk, fresh


def figure(text, unit):
    """Of fio's report: whatever of reads and writes there was. (figure, {percentile: microseconds for one request})"""
    job = json.loads(text)["jobs"][0]
    if job["error"]:
        raise guests.GuestError(f"fio: error {job['error']}")
    part = max((job["read"], job["write"]), key=lambda part: part["total_ios"])
    times = part["clat_ns"].get("percentile", {})
    return (part["bw_bytes"] / 1e6 if unit == "MB/s" else part["iops"],
            {str(float(key)): times[key] / 1000 for key in PERCENTILES if key in times})


def reports(text):
    """{row: (fio's report, what was printed after it)}, as text"""
    return {name: (report, after) for name, report, after in
            re.findall(r"^ROW (.*)\n(?:[^{].*\n)*(\{\n(?:.*\n)*?\})\n((?:(?!ROW ).*\n)*)", text, re.M)}


def course(text, unit):
    """How it went: of fio's log and the times of kills, both by the guest's clock (see Row.details)."""
    moved = [(int(ms) / 1000, int(kib) * 1024) for ms, kib in re.findall(r"^(\d{13}), (\d+), \d", text, re.M)]
    if not moved:
        return {}
    begin = moved[0][0] - LOG_MS / 1000
    return {"points": [[round(at - begin, 3), bytes_s / (1e6 if unit == "MB/s" else SMALL)] for at, bytes_s in moved],
            "kills": [round(float(at) - begin, 3) for at in re.findall(r"^KILL (\S+)$", text, re.M)], "unit": unit}


def wanted(rows, only):
    """Those of a list whose names are in `only`, or all of them."""
    return [row for row in rows if only is None or row[0] in only]


def job(prefix, seconds, first, driver, only):
    """The guest's script: each row's name, then fio's report. `driver` is to be killed, if there is one."""
    raw, files = (f"/dev/{prefix}{'abc'[first + n]}" for n in (0, 1))
    lines = ["mkdir -p /mnt/files"]
    for name, _, arguments in wanted(RAW, only):
        lines += [f"echo 'ROW {name}'", f"fio {COMMON} --filename={raw} --size={IMAGE_MIB}M --runtime={seconds} --time_based {arguments}"]
    for name, _, arguments in wanted(KILLED, only) if driver else []:
        lines += [f"echo 'ROW {name}'; rm -f {KILLS}",
                  f"(while :; do sleep 1; date +'KILL %s.%N' >>{KILLS}; svc kill {driver}; done) >/dev/null 2>&1 & killer=$!",
                  f"fio {COMMON} {LOGGED} --filename={raw} --size={IMAGE_MIB}M --runtime={2 * seconds} --time_based {arguments}",
                  f"kill $killer; cat {KILLS} /tmp/moved_bw.1.log"]
    for name, _, arguments, file in wanted(FILE, only):
        if ", cached" not in name:
            lines += ["umount /mnt/files 2>/dev/null", f"mount -t minix {files} /mnt/files || echo no mount"]
        lines += [f"echo 'ROW {name}'", f"fio {COMMON} --filename=/mnt/files/{file} {arguments}"]
    return "\n".join([*lines, "rm -f /mnt/files/w; umount /mnt/files 2>/dev/null"]) + "\n"


def disk(system, seconds=3, devices=tuple(DEVICES), smp=2, log=None, iommu=False, only=None):
    """Throughput of each kind of disk. `only`: names of rows, else all."""
    results = {}
    images = prepare()
    for kind in devices:
        prefix, objects, device = DEVICES[kind]
        qemu = []
        for n, image in enumerate(images):
            qemu += ["-blockdev", f"driver=file,node-name=file{n}b,filename={image},aio=threads",
                     "-blockdev", f"driver=raw,node-name=bench{n},file=file{n}b",
                     *(word.format(n=n) for word in objects), "-device", device.format(n=n)]
        own = system.name == "XINIM" and prefix == "vd"  # its own disk is the first
        driver = ("virtio_blk.1" if own else "ahci") if system.name == "XINIM" else None
        text = system.run(job(prefix, seconds, 1 if own else 0, driver, only), programs(system), qemu=qemu, mem=1024, smp=smp,
                          rootfs=True, iommu=iommu, append=os.environ.get("XINIM_BENCH_APPEND", "")).text
        if log:
            print(text, file=log)
        found = reports(text)
        for name, unit, *_ in wanted(RAW + (KILLED if driver else []) + FILE, only):
            try:
                value, times = figure(found[name][0], unit)
                results[f"{kind} {name}"] = (value, unit, True, {
                    "percentiles_us": times, "course": course(found[name][1], unit) if "killed" in name else {}})
            except (KeyError, ValueError, guests.GuestError) as error:
                print(f"{system.name}: {kind} {name}: {type(error).__name__} {error}")
    return results
