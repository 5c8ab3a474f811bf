# SPDX-License-Identifier: BSD-2-Clause
"""The IOMMU: everything works with it, and a device reaches only what it was granted."""
import hashlib
import re
import subprocess

import pytest

WORK = "dd if=/dev/zero bs=64k count=160 2>/dev/null | tr '\\0' x >/root/x; sync; md5sum </root/x; "


def checksum():
    return hashlib.md5(b"x" * (160 * 65536)).hexdigest()


@pytest.mark.parametrize("smp", [1, 4])
def test_disk_and_console(guest, smp):
    result = guest(WORK + "/bin/svc kill virtio_blk; md5sum </root/x; /bin/svc log -k | grep -i iommu", smp=smp)
    assert result.text.count(checksum()) == 2
    assert "on, devices reach only what is theirs" in result.text
    assert "was not granted" not in result.text


@pytest.fixture
def evil_archive(root, archive):
    subprocess.run(["make", "-s", "build/bin/evil"], cwd=root, check=True)
    return archive({"bin/evil": "build/bin/evil", "manifest/evil": "tests/native/evil/manifest"})


def test_without(guest, evil_archive):
    """What is not protected then, and that the log says so."""
    text = guest("n=0; until /bin/svc log -k | grep -q 'evil .*nobody'; do sleep 0.2; n=$((n + 1)); [ $n -lt 200 ] || break; done;"
                 "/bin/svc log -k | grep -iE 'iommu|evil'",
                 archive=evil_archive, qemu="-device edu", append="evil=spy", **{"no-iommu": True}).text
    assert "NONE: a driver's device can reach all memory" in text and "nobody stops me: I have read it" in text, text


@pytest.mark.parametrize("mode", ["dma", "spy", "flood"])
def test_evil_driver(guest, evil_archive, mode):
    """Its device writes over the kernel, or reads it; or it floods with interrupts and keeps its CPU."""
    told = {"flood": "hangs: killed"}.get(mode, "reached for memory it was not granted: killed")
    result = guest(f"n=0; until /bin/svc log | grep -q 'evil .*{told}'; do sleep 0.2; n=$((n + 1)); [ $n -lt 200 ] || break; done; "
                   + WORK + "/bin/svc log; /bin/svc log -k; /bin/svc list",
                   archive=evil_archive, qemu="-device edu", append=f"evil={mode}")
    assert checksum() in result.text
    assert re.search(f"evil .*{told}", result.text), result.text
    assert "LOST" not in result.text and "nobody stops me" not in result.text
    if mode != "flood":
        kind = {"dma": "write", "spy": "read"}[mode]
        assert re.search(f"stopped a {kind} at 0x200000, which it was not granted", result.text), result.text
    for name in ("virtio_blk", "minix", "vfs", "pm", "tty", "devmgr"):
        assert re.search(rf"^{name} +running +\S+ s +0 ", result.text, re.M), result.text
