# SPDX-License-Identifier: BSD-2-Clause
"""./xinim's words when something on the host is not as it must be: one clear sentence, status 126."""
import fcntl
import os
import pathlib
import socket
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
needs_build = pytest.mark.skipif(not (ROOT / "build/xinim.archive").exists(), reason="needs the build: make")


def said(*arguments, **environment):
    result = subprocess.run([ROOT / "xinim", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60,
                            stdin=subprocess.DEVNULL, env={**os.environ, **environment})
    assert result.returncode == 126, (result.returncode, result.stdout, result.stderr)
    lines = result.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("xinim: "), result.stderr
    return lines[0]


@pytest.fixture
def fake_qemu(tmp_path):
    def make(version):
        path = tmp_path / "qemu"
        path.write_text(f"#!/bin/sh\necho 'QEMU emulator version {version}'\n", encoding="utf-8")
        path.chmod(0o755)
        return str(path)
    return make


def test_options():
    assert "there is no option --mme; did you mean --mem?" in said("run", "--mme", "5")
    assert "exec needs a command" in said("exec")
    assert "--smp takes 1 to 16" in said("run", "--smp", "99")
    assert "A command goes behind --" in said("exec", "ls", "--", "true")
    assert "--trace is for exec" in said("run", "--trace")
    assert "invalid choice" in said("walk")


def test_qemu(fake_qemu):
    assert "no-such-qemu is not installed (Debian: apt-get install qemu-system-x86)" in said("run", XINIM_QEMU="no-such-qemu")
    assert "QEMU 5.2 is too old; 7.2 or newer is needed" in said("run", XINIM_QEMU=fake_qemu("5.2.0"))


@pytest.mark.skipif(os.path.exists("/dev/kvm"), reason="there is a /dev/kvm here")
def test_no_kvm(fake_qemu):
    assert "/dev/kvm is not there; without --accel kvm" in said("run", "--accel", "kvm", XINIM_QEMU=fake_qemu("7.2.0"))


def test_port_taken(fake_qemu):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        words = said("run", "--forward", f"{port}:80", XINIM_QEMU=fake_qemu("7.2.0"))
    assert f"port {port} of this machine is taken" in words and f"make demo PORT={port + 1}" in words


@needs_build
def test_images(fake_qemu, tmp_path):
    qemu = {"XINIM_QEMU": fake_qemu("7.2.0")}
    assert "no such image" in said("run", "--image", tmp_path / "none", **qemu)
    odd = tmp_path / "odd"
    odd.write_bytes(b"x" * 1000)
    assert "is no disk image: 1000 bytes" in said("run", "--image", odd, **qemu)
    wrong = tmp_path / "wrong"
    wrong.write_bytes(bytes(1 << 20))
    assert "wrong" in said("exec", "--image", wrong, "--", "true", **qemu)
    with wrong.open("rb") as other:  # as another guest has it
        fcntl.flock(other, fcntl.LOCK_EX)
        assert "is in use by another guest; give this one a copy" in said("run", "--image", wrong, **qemu)


@needs_build
def test_disk_full(fake_qemu, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(full)]
    command = ["unshare", "-rm", "sh", "-c", f"{' '.join(mount)} && TMPDIR={full} exec {ROOT}/xinim run"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                            env={**os.environ, "XINIM_QEMU": fake_qemu("7.2.0")})
    if "unshare" in result.stderr or "mount" in result.stderr:
        pytest.skip("needs a mount namespace for a full disk")
    assert result.returncode == 126 and "the disk image cannot be copied" in result.stderr and "MiB free" in result.stderr


def test_gdb_without_guest():
    if (ROOT / "build/gdb.sock").exists():
        pytest.skip("a guest with --gdb runs, or ran, here")
    assert "start one in another terminal by ./xinim run --gdb" in said("gdb")


def test_decode():
    text = subprocess.run([ROOT / "tools/decode"], input="nothing here\n", capture_output=True, text=True, check=True).stdout
    assert text == "nothing here\n"
