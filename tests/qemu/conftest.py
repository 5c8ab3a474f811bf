# SPDX-License-Identifier: BSD-2-Clause
"""Runs commands in guests through ./xinim exec, the way a user does."""
import os
import pathlib
import re
import selectors
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The guest's time is what its instructions take, 8 ns each, whatever else the host does.
EXACT = {"smp": 1, "qemu": "-icount shift=3,sleep=off"}
# The same, but while it has nothing to do its time is the host's, as its disk's is.
STEADY = {"smp": 1, "qemu": "-icount shift=3,sleep=on"}
sys.path.append(str(ROOT / "tools"))

import bootarchive


# How long a guest, or a program that talks to one, may take, in s: it ends what hangs. Ten times what the slowest needs on
# a host that has nothing else to do, for hosts have.
PATIENCE = 600


class Guest:
    """One `./xinim exec`: options as keywords, e.g. smp=1, file="a:/b", iso=True, rootfs=True."""

    def __call__(self, command, timeout=PATIENCE, expect=0, **options):
        arguments = [str(ROOT / "xinim"), "exec", "--timeout", str(timeout)]
        for key, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                arguments += [f"--{key}"] if one is True else [f"--{key}", str(one)]
        result = subprocess.run([*arguments, "--", command], capture_output=True, timeout=timeout + 60, check=False)
        result.text = result.stdout.decode(errors="replace")
        result.errors = result.stderr.decode(errors="replace")
        if expect is not None:
            assert result.returncode == expect, f"status {result.returncode}\n{result.text[-4000:]}\n{result.errors[-8000:]}"
        return result


def soon(condition):
    """For a guest's script: waits until the condition holds (for a minute of the guest's, what comes then tells)."""
    return f"_n=0; until {condition} || [ $_n = 600 ]; do usleep 100000; _n=$((_n + 1)); done"


def outages(service, count):
    """A condition for soon(): the service was away so often, and is back."""
    return f'/bin/svc status {service} 2>/dev/null | grep -q "^outages *{count} "'


@pytest.fixture
def guest():
    return Guest()


@pytest.fixture
def root():
    return ROOT


@pytest.fixture
def image(tmp_path, root):
    """A copy of the standard disk image that the test may keep and look at."""
    path = tmp_path / "disk.img"
    subprocess.run(["cp", "--sparse=always", str(root / "build/xinim.img"), str(path)], check=True)
    return path


def console(*arguments, until=None, seconds=PATIENCE, settle=0.5):
    """What `./xinim run` prints, until the pattern (and what follows within `settle` s) or the time-out."""
    text, deadline, seen = b"", time.monotonic() + seconds, False
    with subprocess.Popen([str(ROOT / "xinim"), "run", *map(str, arguments)], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0 and selector.select(left):
            data = os.read(process.stdout.fileno(), 65536)
            text += data
            if not data:
                break
            if until and not seen and re.search(until.encode(), text):
                seen, deadline = True, time.monotonic() + settle
        process.terminate()  # and with it QEMU
    return text.decode(errors="replace")


def minixfs(*arguments):
    return subprocess.run([str(ROOT / "build/tools/minixfs"), *map(str, arguments)], capture_output=True, check=True).stdout


@pytest.fixture
def fsck():
    """Both checkers must find the image clean."""
    def check(path):
        ours = subprocess.run([str(ROOT / "build/tools/minixfs"), "check", str(path)], capture_output=True, text=True, check=False)
        assert ours.returncode == 0, ours.stdout + ours.stderr
        theirs = subprocess.run(["fsck.minix", "-f", str(path)], capture_output=True, text=True, check=False)
        assert theirs.returncode == 0, theirs.stdout + theirs.stderr
    return check


@pytest.fixture
def archive(tmp_path):
    """A boot archive with more files, or without some: archive({"manifest/x": path, "bin/tty": None})."""
    return lambda changes: bootarchive.make(tmp_path / "archive", changes)
