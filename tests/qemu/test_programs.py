# SPDX-License-Identifier: BSD-2-Clause
"""The programs of tests/guest: the same output in the guest as on the host."""
import pathlib
import re
import subprocess

import pytest

from conftest import PATIENCE, minixfs

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Named one by one: the others (bomb, hungry) would do to the host what they are
# to do to a guest, and have tests of their own.
SAME = ["again", "aio", "control", "datagrams", "epoll", "fifo", "files", "fpu", "ipc", "kin", "limits", "locks", "memory",
        "pipeflow", "names", "processes", "pty", "queued", "queues", "received", "room", "sending", "signals", "sockerr", "sockets",
        "splice", "system", "threads", "timers", "trace", "unix", "unixflow", "uring", "waiting", "xattrs"]
ON_DISK = ["names", "room"]  # the latter with the argument "plain": no counting of holes, no room behind the end
GUEST_ONLY = ["loopdev", "wild"]  # would change things of the host


def restarts(line):
    """Of a line of `svc list`: the number behind the uptime, which is "-" for what does not run."""
    return int(re.search(r"(?: s|-) +(\d+)", line)[1])


def build(name):
    subprocess.run(["make", "-s", f"build/guest/{name}"], cwd=ROOT, check=True)
    return ROOT / "build/guest" / name


@pytest.mark.parametrize("name", SAME)
def test_same_as_on_the_host(guest, tmp_path, name):
    program = build(name)
    # In a session of its own, as in the guest: in a container the caller's may lie outside and have no number.
    host = subprocess.run([program], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                          check=False, start_new_session=True)
    assert host.returncode == 0, host.stdout
    result = guest("cd /tmp; /program | cat; svc list", file=f"{program}:/program")
    output, _, services = result.text.partition("NAME ")
    assert output.splitlines() == host.stdout.splitlines()
    assert all(restarts(line) == 0 for line in services.splitlines()[1:]), "a service was restarted"


def test_core_file_has_all_threads(guest, image, tmp_path):
    """The host's gdb finds each thread where it was: failing, computing, and in a system call."""
    program, core = build("threads"), tmp_path / "core"
    guest("ulimit -c unlimited; cd /root; /program fail; sync", image=image, file=f"{program}:/program")
    core.write_bytes(minixfs("cat", image, "/root/core"))
    text = subprocess.run(["gdb", "-q", "-batch", "-nx", "-ex", "thread apply all backtrace", program, core],
                          capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    threads = re.split(r"^Thread ", text, flags=re.M)[1:]
    assert len(threads) == 3, text
    for function in ("fail_with_threads", "compute", "pause"):
        assert sum(f" {function} (" in thread for thread in threads) == 1, text


@pytest.mark.parametrize("name", ON_DISK)
def test_on_the_disk(guest, image, fsck, name):
    program = build(name)
    result = guest("mkdir /d; cd /d; /program plain; cd /; sync; svc list", image=image,
                   file=f"{program}:/program")
    output, _, services = result.text.partition("NAME ")
    assert output.splitlines()[-1] == f"{name}: ok", output
    assert all(restarts(line) == 0 for line in services.splitlines()[1:]), "a service was restarted"
    fsck(image)


@pytest.mark.parametrize("name", GUEST_ONLY)
def test_in_the_guest(guest, name):
    program = build(name)
    result = guest("cd /tmp; /program; svc list", file=f"{program}:/program")
    output, _, services = result.text.partition("NAME ")
    assert output.splitlines()[-1] == f"{name}: ok"
    assert all(restarts(line) == 0 for line in services.splitlines()[1:]), "a service was restarted"


def test_core_file(guest):
    """Only if RLIMIT_CORE lets it be; an ELF core with the registers' note."""
    text = guest("""cd /tmp; sh -c 'kill -SEGV $$'; echo $?; ls core 2>/dev/null
        ulimit -c unlimited; sh -c 'kill -SEGV $$'; echo $?; od -A n -t x1 -N 18 core; strings core | grep -c 'CORE$'""").text
    lines = text.split("\n")
    assert lines[:2] == ["Segmentation fault", "139"]
    assert lines[2:4] == ["Segmentation fault (core dumped)", "139"]
    assert lines[4].split()[:6] == ["7f", "45", "4c", "46", "02", "01"]
    assert int(lines[6]) >= 5  # notes
