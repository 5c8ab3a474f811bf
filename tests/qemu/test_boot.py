# SPDX-License-Identifier: BSD-2-Clause
"""It boots, on every machine it should, and says clearly when it can't."""
import os
import subprocess
import time

import pytest

from conftest import PATIENCE


@pytest.mark.parametrize("machine,smp", [("q35", 1), ("q35", 2), ("q35", 4), ("pc", 2)])
def test_boots_to_a_shell(guest, machine, smp):
    result = guest("echo hello; grep -c ^processor /proc/cpuinfo", machine=machine, smp=smp)
    assert result.text == f"hello\n{smp}\n"


def test_small_memory(guest):
    assert guest("echo small", mem=32).text == "small\n"


def test_exit_status_comes_through(guest):
    guest("exit 37", expect=37)


def test_timeout_has_its_own_status(guest):
    guest("sleep 1000", timeout=8, expect=124)


def run_xinim(root, *arguments):
    return subprocess.run([str(root / "xinim"), *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_panic_has_its_own_status(root, tmp_path):
    """An archive without rs is a panic with a reason."""
    empty = tmp_path / "archive"
    subprocess.run([str(root / "build/tools/mkarchive"), str(empty), f"nothing={root / 'README.md'}"], check=True)
    result = run_xinim(root, "exec", "--archive", str(empty), "--", "true")
    assert result.returncode == 125
    assert "bin/rs" in result.stderr


def test_panic_is_told_after_the_restart(root, tmp_path):
    """The report survives a reset in memory; the next start begins its log with it."""
    archive, log = tmp_path / "archive", tmp_path / "log"
    subprocess.run([str(root / "build/tools/mkarchive"), str(archive), f"nothing={root / 'README.md'}"], check=True)
    with subprocess.Popen([os.environ.get("XINIM_QEMU", "qemu-system-x86_64"), "-M", "q35", "-m", "64", "-display", "none",
                           "-nodefaults", "-serial", f"file:{log}", "-accel", "tcg", "-cpu", "max", "-append", "panic=reboot",
                           "-kernel", str(root / "build/xinim.elf"), "-initrd", str(archive)]) as qemu:
        deadline, text = time.monotonic() + PATIENCE, ""
        while "end of what was kept" not in text and time.monotonic() < deadline:
            time.sleep(0.2)
            text = log.read_text(errors="replace") if log.exists() else ""
        qemu.kill()
    first, kept = text.split("kept from the panic before this start:")[:2]
    assert "XINIM KERNEL PANIC" in first
    kept = kept.split("end of what was kept")[0]
    assert "bin/rs" in kept and "XINIM KERNEL PANIC: end of report" in kept and "backtrace:" in kept, kept


def test_rs_that_is_no_elf(root, tmp_path):
    archive = tmp_path / "archive"
    subprocess.run([str(root / "build/tools/mkarchive"), str(archive), f"bin/rs={root / 'README.md'}"], check=True)
    result = run_xinim(root, "exec", "--archive", str(archive), "--", "true")
    assert result.returncode == 125
    assert "not an executable" in result.stderr


def test_garbage_archive(root, tmp_path):
    archive = tmp_path / "archive"
    archive.write_bytes(bytes(range(256)) * 64)
    result = run_xinim(root, "exec", "--archive", str(archive), "--", "true")
    assert result.returncode == 125
    assert "boot archive" in result.stderr


def test_missing_qemu(root, monkeypatch):
    monkeypatch.setenv("XINIM_QEMU", "qemu-system-none")
    result = run_xinim(root, "exec", "--", "true")
    assert result.returncode == 126
    assert "not installed" in result.stderr


def test_old_qemu(root, monkeypatch, tmp_path):
    old = tmp_path / "qemu"
    old.write_text("#!/bin/sh\necho QEMU emulator version 5.2.0\n", encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setenv("XINIM_QEMU", str(old))
    result = run_xinim(root, "exec", "--", "true")
    assert result.returncode == 126
    assert "too old" in result.stderr


def test_missing_image(root):
    result = run_xinim(root, "exec", "--image", "/no/such/image", "--", "true")
    assert result.returncode == 126
    assert "no such image" in result.stderr
