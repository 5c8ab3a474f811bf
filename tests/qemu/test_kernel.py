# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's own promises: scheduling, IPC under torture, nothing leaks."""
import os
import subprocess

import pytest

from conftest import PATIENCE


@pytest.mark.parametrize("smp", [1, 2])
def test_busy_loops_do_not_starve_others(guest, smp):
    """As many endless loops as CPUs: what wakes on a busy CPU still gets its turn."""
    loops = "(while :; do :; done)& " * smp
    result = guest(f"{loops} for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.01; done; echo done; kill $(jobs -p)", smp=smp)
    assert "done\n" in result.text


def instead_of_rs(root, tmp_path, name, smp, memory):
    """The log of a native program that runs as the first process."""
    subprocess.run(["make", "-s", f"build/{name}.archive"], cwd=root, check=True)
    log = tmp_path / "log"
    subprocess.run([os.environ.get("XINIM_QEMU", "qemu-system-x86_64"), "-M", "q35", "-m", str(memory), "-smp", str(smp),
                    "-display", "none", "-nodefaults", "-no-reboot", "-serial", f"file:{log}",
                    "-accel", "tcg,thread=multi", "-cpu", "max",
                    "-append", f"seed={smp}", "-kernel", str(root / "build/xinim.elf"),
                    "-initrd", str(root / f"build/{name}.archive")],
                   timeout=PATIENCE, check=True)
    return log.read_text(errors="replace")


@pytest.mark.parametrize("smp", [1, 2, 4, 8, 16])
def test_torture(root, tmp_path, smp):
    """Random calls, handles, kills and resets: right answers, nothing left (tests/native/torture)."""
    text = instead_of_rs(root, tmp_path, "torture", smp, 128)
    assert "torture ok\n" in text, text[-4000:]


@pytest.mark.parametrize("smp", [1, 2])
def test_hoard(root, tmp_path, smp):
    """Who makes things without end is refused, its neighbours are not, and all comes back (tests/native/hoard)."""
    text = instead_of_rs(root, tmp_path, "hoard", smp, 64)
    assert "hoard ok\n" in text, text[-4000:]


@pytest.mark.parametrize("smp", [1, 2, 4])
def test_read_together(guest, root, smp):
    """Many read one open file at one cursor: each byte once, though pages become dirty, and the buffers' pages go."""
    subprocess.run(["make", "-s", "build/guest/together"], cwd=root, check=True)
    result = guest("/together /root/x 6 20", smp=smp, file=f"{root}/build/guest/together:/together")
    assert "together: ok" in result.text, result.text[-4000:]
