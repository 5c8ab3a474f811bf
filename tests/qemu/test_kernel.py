# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's own promises: scheduling, IPC under torture, nothing leaks."""
import os
import subprocess

import pytest


@pytest.mark.parametrize("smp", [1, 2])
def test_busy_loops_do_not_starve_others(guest, smp):
    """As many endless loops as CPUs: what wakes on a busy CPU still gets its turn."""
    loops = "(while :; do :; done)& " * smp
    result = guest(f"{loops} for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.01; done; echo done; kill $(jobs -p)",
                   smp=smp, timeout=60)
    assert "done\n" in result.text


@pytest.mark.parametrize("smp", [1, 2, 4, 8, 16])
def test_torture(root, tmp_path, smp):
    """Random calls, handles, kills and resets: right answers, nothing left (tests/native/torture)."""
    subprocess.run(["make", "-s", "build/torture.archive"], cwd=root, check=True)
    log = tmp_path / "log"
    subprocess.run([os.environ.get("XINIM_QEMU", "qemu-system-x86_64"), "-M", "q35", "-m", "128", "-smp", str(smp),
                    "-display", "none", "-nodefaults", "-no-reboot", "-serial", f"file:{log}",
                    "-accel", "tcg,thread=multi", "-cpu", "max",
                    "-append", f"seed={smp}", "-kernel", str(root / "build/xinim.elf"),
                    "-initrd", str(root / "build/torture.archive")],
                   timeout=120, check=True)
    text = log.read_text(errors="replace")
    assert "torture ok\n" in text, text[-4000:]
