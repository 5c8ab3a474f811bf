# SPDX-License-Identifier: BSD-2-Clause
"""Hostile programs, hostile services, broken manifests, little memory: the rest goes on."""
import os
import pathlib
import re
import subprocess
import sys

import pytest

from conftest import PATIENCE

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "soak"))
import gauges  # noqa: E402

ALIVE = "seq 1 1000 | md5sum; echo x >/root/alive; cat /root/alive; svc list"
MD5 = "53d025127ae99ab79e8502aae2d9bea6"
STANDARD = ("devmgr", "pm", "rs", "tty", "vfs", "minix", "virtio_blk", "uart16550")


def assert_alive(text):
    """What ALIVE prints: right results, and every service running, never restarted."""
    assert MD5 in text and "\nx\n" in text, text
    for name in STANDARD:
        assert re.search(rf"^{name} +running +[\d.]+ s +0 ", text, re.M), text


@pytest.fixture
def program(root):
    """Path of a program of tests/guest, built."""
    def build(name):
        subprocess.run(["make", "-s", f"build/guest/{name}"], cwd=root, check=True)
        return f"{root}/build/guest/{name}:/bin/{name}"
    return build


# ---- memory

@pytest.mark.parametrize("mem", [32, 64, 1024])
def test_memory_sizes(guest, mem):
    result = guest("for i in 1 2 3; do ls -lR /bin | wc -l; done; dd if=/dev/zero of=/root/z bs=64k count=64 2>/dev/null; "
                   "wc -c </root/z; " + ALIVE, mem=mem)
    assert "4194304" in result.text
    assert_alive(result.text)


@pytest.mark.parametrize("mem", [32, 128])
def test_programs_that_eat_all_memory(guest, program, mem):
    """Three at once; the shell beside them can still start programs and write files."""
    result = guest("hungry 2 & hungry 2 & hungry 2 & for i in 1 2 3; do sleep 1; ls /bin/sh; echo $i >/root/x; echo round $(cat /root/x); done; "
                   "wait; tail /dev/zero 2>&1; " + ALIVE + "; svc log -k | grep -c 'out of memory'", mem=mem,
                   file=program("hungry"))
    assert result.text.count("hungry: ok") == 3 and "FAILED" not in result.text, result.text
    assert re.findall(r"^round (.*)$", result.text, re.M) == ["1", "2", "3"], result.text
    assert int(result.text.split()[-1]) >= 1  # the kernel said whom it ended
    assert_alive(result.text)


@pytest.mark.parametrize("mem", [64, 256])
def test_fork_bomb(guest, program, mem):
    result = guest("bomb 3; bomb 1; ps | grep -c '[b]omb'; " + ALIVE, mem=mem, file=program("bomb"))
    assert result.text.startswith("bomb: ok\nbomb: ok\n0\n"), result.text
    assert_alive(result.text)


HOSTILE = """
gauge() {{ sleep 3; echo GAUGE; cat /proc/xinim/kernel; echo JSON; /bin/svc stats --json; echo END; }}
hostile {seconds}; gauge; hostile {seconds}; gauge; {alive}
"""


def test_hostile_programs(guest, program):
    """Scenario i: opens without end, deadlines of a microsecond, a thousand threads, cycles of passed descriptors, spinners."""
    seconds = 120 if os.environ.get("XINIM_SOAK") else 2
    text = guest(HOSTILE.format(seconds=seconds, alive=ALIVE), file=program("hostile")).text.replace("\r", "")
    print(re.findall("^p99.*|^.* opens,.*", text, re.M))
    parts = [gauges.parse(part.partition("END")[0]) for part in text.split("GAUGE\n")[1:]]
    assert text.count("hostile: ok") == 2 and len(parts) == 2, text
    assert not gauges.complaints(*parts), (gauges.complaints(*parts), text)
    assert all(int(n) for n in re.findall(r"(\d+) (?:opens|waits|calls|cycles|stuffed)", text)), text
    assert_alive(text)


# ---- system calls

def test_wild_linux_calls(guest, program):
    result = guest("wild; " + ALIVE, file=program("wild"))
    assert "wild: all numbers survived" in result.text and "wild: ok" in result.text, result.text
    assert_alive(result.text)


def test_unknown_call_is_logged_once(guest, program):
    """wild makes each call 30 times, in a process of its own: one line for each number."""
    result = guest("wild >/dev/null; svc log -k | grep 'not implemented'", file=program("wild"))
    numbers = re.findall(r"wild: system call (\d+) \(\w+\) not implemented", result.text)
    assert len(numbers) > 50 and "450" in numbers, result.text
    assert len(numbers) == len(set(numbers)), result.text


@pytest.mark.parametrize("smp,seed", [(1, 1), (2, 3), (4, 5)])
def test_wild_native_calls(guest, root, archive, smp, seed):
    """A service makes 500,000 random calls with handles of every kind; the kernel and the others stay."""
    subprocess.run(["make", "-s", "build/bin/fuzz"], cwd=root, check=True)
    path = archive({"bin/fuzz": "build/bin/fuzz", "manifest/fuzz": "tests/native/fuzz/manifest"})
    result = guest("n=0; until svc log -k | grep -q 'fuzz .*done: [5-9]'; do sleep 1; n=$((n + 1)); [ $n -lt 500 ] || break; done; "
                   "svc log -k | grep -a 'fuzz .*done\\|fuzz.*exception'; " + ALIVE, archive=path, smp=smp,
                   append=f"fuzz=500000 seed={seed}", qemu="-device virtio-rng-pci")
    assert re.search(r"fuzz +done: 5\d\d\d\d\d calls", result.text), result.text
    assert_alive(result.text)


# ---- manifests

BROKEN = {
    "unknown_key": ("kind server\ncolour blue\n", "manifest, line 2: unknown key"),
    "no_kind": ("heartbeat off\n", "manifest.*kind"),
    "bad_number": ("kind driver\nioports 0x3f8 many\n", "manifest, line 2: "),
    "no_binary": ("kind server\n", "bin/no_binary|binary"),
    "cycle_a": ("kind server\nneeds cycle_b\n", "manifest, line 2: `cycle_a` needs itself, in a circle"),
    "cycle_b": ("kind server\nneeds rs\nneeds cycle_a\n", "manifest, line 3: `cycle_b` needs itself, in a circle"),
    "unknown_need": ("kind server\nneeds nobody\n", "manifest, line 2: needs unknown service `nobody`"),
    "garbage": (b"\0\xff\x80kind".decode("latin-1") * 300, "manifest"),
    "Bad-Name": ("kind server\n", "name"),
    "elf": ("kind server\n", "executable|ELF"),
}


def test_broken_manifests(guest, root, tmp_path, archive):
    """Each is told on the console, with its line, and costs that service only."""
    changes = {"bin/elf": root / "README.md"}
    for name, (text, _) in BROKEN.items():
        path = tmp_path / name
        path.write_bytes(text.encode("latin-1"))
        changes[f"manifest/{name}"] = path
        if name not in ("no_binary", "elf"):
            changes[f"bin/{name}"] = "build/bin/devmgr"
    # --log shows what the console had on stderr
    result = subprocess.run([str(root / "xinim"), "exec", "--log", "--archive", str(archive(changes)), "--", ALIVE],
                            capture_output=True, timeout=PATIENCE, check=False)
    console, text = result.stderr.decode(errors="replace"), result.stdout.decode(errors="replace")
    assert result.returncode == 0, text + console
    for name, (_, pattern) in BROKEN.items():
        assert re.search(rf"\] {name[:15]} +.*({pattern})", console), f"{name}: {pattern}\n{console}"
    assert_alive(text)


def test_missing_server_is_told(root, archive):
    """No vfs: no shell, but a reason."""
    result = subprocess.run([str(root / "xinim"), "exec", "--archive", str(archive({"bin/vfs": None})), "--", "true"],
                            capture_output=True, timeout=PATIENCE, check=False)
    assert result.returncode == 127
    assert b"XINIM: vfs is not there" in result.stderr and b"no shell" in result.stderr, result.stderr.decode()
