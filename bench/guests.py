# SPDX-License-Identifier: BSD-2-Clause
"""The two systems under test: the same QEMU, the same flags, the same programs."""
import os
import pathlib
import re
import shlex
import stat
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build"
PEER = BUILD / "peer"
QEMU = os.environ.get("XINIM_QEMU", "qemu-system-x86_64")
# rep movsb is slow in software emulation, and Linux believes the flags that praise it.
CPU = "max,-erms,-fsrm"
LINUX_APPEND = "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable clocksource=tsc"

# As ./xinim --iommu has it.
IOMMU = ["-device", "intel-iommu,intremap=on,aw-bits=48",
         *(word for device in ("virtio-blk-pci", "virtio-net-pci") for option in ("disable-legacy", "iommu_platform")
           for word in ("-global", f"{device}.{option}=on"))]


class GuestError(Exception):
    """A guest did not do what was asked; the text has the end of its console."""


def cpio_entry(name, data, mode):
    """One file of a cpio archive, format newc."""
    header = "070701" + "".join(f"{field:08x}" for field in
                                (0, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0))
    entry = header.encode() + name.encode() + b"\0"
    entry += b"\0" * (-len(entry) % 4) + data
    return entry + b"\0" * (-len(entry) % 4)


def cpio(files):
    """A cpio archive of {path: bytes}, every file executable."""
    folders = sorted({str(parent) for name in files for parent in pathlib.PurePath(name).parents if str(parent) != "."})
    entries = [cpio_entry(name, b"", stat.S_IFDIR | 0o755) for name in folders]
    entries += [cpio_entry(name, data, stat.S_IFREG | 0o755) for name, data in files.items()]
    return b"".join(entries) + cpio_entry("TRAILER!!!", b"", 0)


def exact_flags():
    """One instruction is one nanosecond, and waiting costs nothing on the host."""
    return ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"]


class Guest:
    """What `run` returns: the text between the marks, and seconds from QEMU's start to the first."""

    def __init__(self, text, boot_s):
        self.text = text
        self.boot_s = boot_s


class System:
    """Base: builds QEMU's command line; `run` waits for the job's output."""

    name = begin = end = None
    pid = 0  # of the emulator that ran last

    def command(self, workdir, job, programs, exact, smp, mem, qemu, append, rootfs, iommu):
        raise NotImplementedError

    def cpu_s(self):
        """CPU time that the emulator has used so far."""
        return sum(int(path.read_text(encoding="utf-8").split()[0]) for path in pathlib.Path(f"/proc/{self.pid}/task").glob("*/schedstat")) / 1e9

    def run(self, job, programs=(), qemu=(), exact=False, smp=2, mem=512, timeout=300, wrap=(), while_running=None,
            append="", rootfs=False, iommu=False):
        """Run the shell script `job` with host programs (path or (path, guest path)) at hand.

        `wrap` stands before QEMU's command (ip netns exec ...). while_running(line)
        is called with each line of the job's output as it comes. `append` is XINIM's
        for the kernel's command line, as is `rootfs`: with Debian's programs on its disk.
        `iommu`: VT-d is there, and used.
        """
        with tempfile.TemporaryDirectory(prefix="xinim-bench-") as workdir:
            command = [*wrap, *self.command(workdir, job, programs, exact, smp, mem, qemu, append, rootfs, iommu)]
            started = time.monotonic()
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, cwd=ROOT) as guest:
                self.pid = guest.pid
                try:
                    return self.follow(guest, started, timeout, while_running)
                finally:
                    guest.kill()

    def follow(self, guest, started, timeout, while_running):
        text, boot_s, console = "", None, ""
        os.set_blocking(guest.stdout.fileno(), False)
        pending = ""
        while time.monotonic() - started < timeout:
            data = guest.stdout.read()
            if data is None:
                time.sleep(0.002)
                continue
            if not data:
                break
            console += data.decode(errors="replace")
            pending += data.decode(errors="replace").replace("\r", "")
            *lines, pending = pending.split("\n")
            for line in lines:
                if boot_s is None:
                    if self.begin in line:
                        boot_s = time.monotonic() - started
                    continue
                if self.end in line:
                    return Guest(text, boot_s)
                text += line + "\n"
                if while_running:
                    while_running(line)
        raise GuestError(f"{self.name}: no end of the job\n{console[-3000:]}")


class Linux(System):
    """Debian's stock kernel and busybox in an initramfs."""

    name, begin, end = "Linux", "BENCH-BEGIN", "BENCH-END"

    def __init__(self):
        subprocess.run([ROOT / "bench/peer/build", PEER], check=True)
        image = (PEER / "vmlinuz").read_bytes()
        self.version = image[0x200 + int.from_bytes(image[0x20e:0x210], "little"):].split(b" ", 1)[0].decode()

    def command(self, workdir, job, programs, exact, smp, mem, qemu, append, rootfs, iommu):
        files = {"job": (job + "\n").encode()}
        for path, inside in map(placed, programs):
            files[inside.lstrip("/")] = pathlib.Path(path).read_bytes()
        initrd = pathlib.Path(workdir, "initrd")
        packed = (PEER / "initrd").read_bytes()
        initrd.write_bytes(packed + b"\0" * (-len(packed) % 512) + cpio(files))
        return [QEMU, "-M", "q35", *(exact_flags() if exact else ["-accel", "tcg,thread=multi"]), "-cpu", CPU,
                "-smp", str(smp), "-m", str(mem), "-kernel", str(PEER / "vmlinuz"), "-initrd", str(initrd),
                "-append", LINUX_APPEND + (" intel_iommu=on" if iommu else ""), *(IOMMU if iommu else []),
                "-display", "none", "-no-reboot", "-nodefaults", "-serial", "stdio", *qemu]


class Xinim(System):
    """This tree's build."""

    name, begin, end = "XINIM", "BENCH-BEGIN", "BENCH-END"

    def __init__(self):
        header = (ROOT / "kernel/core/kernel.h").read_text(encoding="ascii")
        self.version = re.search(r'XINIM_VERSION "(.*)"', header)[1]

    def command(self, workdir, job, programs, exact, smp, mem, qemu, append, rootfs, iommu):
        script = pathlib.Path(workdir, "job")
        script.write_text(job + "\n", encoding="utf-8")
        files = [f"{script}:/job"] + [f"{path}:{inside}" for path, inside in map(placed, programs)]
        flags = ["-cpu", CPU, *(exact_flags() if exact else []), *qemu]
        return [str(ROOT / "xinim"), "exec", "--iommu" if iommu else "--no-iommu", "--smp", str(smp), "--mem", str(mem), "--timeout", "3600",
                *(["--rootfs"] if rootfs else []), *(["--append", append] if append else []),
                *(word for file in files for word in ("--file", file)), "--qemu", shlex.join(flags), "--",
                "echo BENCH-BEGIN; sh /job; echo BENCH-END"]


def placed(program):
    """(host path, guest path) of an entry of `programs`."""
    return program if isinstance(program, tuple) else (program, "/bin/" + pathlib.Path(program).name)
