# SPDX-License-Identifier: BSD-2-Clause
"""The same images in a newer QEMU than the distribution's: version 10, by tools/newer-qemu.

`XINIM_QEMU=build/qemu-10/qemu make test` runs all tests there; this is the short form.
"""
import subprocess

import pytest

from conftest import soon

WORK = ("head -c 8M /dev/urandom >/root/x; sha256sum </root/x; (sleep 0.2; /bin/svc kill {driver}; /bin/svc kill {net}) & "
        "cp /root/x /root/y; wait; sync; sha256sum </root/y; " +
        soon("ping -c 1 -W 1 10.0.2.2 >/dev/null 2>&1") + "; ping -c 2 10.0.2.2; /bin/svc list")


@pytest.fixture
def newer(root, monkeypatch):
    subprocess.run([root / "tools/newer-qemu", root / "build"], check=True, timeout=600)
    qemu = root / "build/qemu-10/qemu"
    version = subprocess.run([qemu, "--version"], capture_output=True, text=True, check=True).stdout
    assert "version 10." in version
    monkeypatch.setenv("XINIM_QEMU", str(qemu))


@pytest.mark.parametrize("options", [{}, {"no-iommu": True, "machine": "pc", "disk": "ahci", "nic": "e1000"},
                                     {"disk": "ahci", "nic": "e1000e", "smp": 4}], ids=lambda options: "-".join(map(str, options.values())))
def test_disk_and_network_with_dying_drivers(guest, newer, options):
    driver = "ahci" if options.get("disk") else "virtio_blk"
    net = "e1000" if options.get("nic") else "virtio_net"
    text = guest(WORK.format(driver=driver, net=net), net="user", **options).text
    first, second = (line.split()[0] for line in text.splitlines() if line.endswith("  -"))
    assert first == second
    assert " 0% packet loss" in text, text
    for service in (driver, net):
        line, = (line.split() for line in text.splitlines() if line.startswith(service + " "))
        assert line[1] == "running" and line[4] == "1", text
