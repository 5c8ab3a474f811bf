# SPDX-License-Identifier: BSD-2-Clause
"""The kernel's own promises: scheduling, IPC under torture, nothing leaks."""
import pytest


@pytest.mark.parametrize("smp", [1, 2])
def test_busy_loops_do_not_starve_others(guest, smp):
    """As many endless loops as CPUs: what wakes on a busy CPU still gets its turn."""
    loops = "(while :; do :; done)& " * smp
    result = guest(f"{loops} for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.01; done; echo done; kill $(jobs -p)",
                   smp=smp, timeout=60)
    assert "done\n" in result.text
