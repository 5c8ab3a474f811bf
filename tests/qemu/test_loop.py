# SPDX-License-Identifier: BSD-2-Clause
"""Loop devices: disks over files, mounted, while the server in the middle dies."""
import subprocess

import pytest

from conftest import soon

SCRIPT = r"""
set -e
mkdir /m
cp /empty.img /there; cp /empty.img /tmp/here
losetup /dev/loop1 /there
mount /dev/loop1 /m
work() { i=0; while [ $i -lt 250 ]; do mkdir /m/d$i; echo $i $1 >/m/d$i/f; i=$((i+1)); done; rm -r /m/d1*; sync; }
work one &
WAIT
wait
cat /m/*/f | md5sum
umount /m
losetup -d /dev/loop1
mount -o loop /there /m
cat /m/*/f | md5sum
umount /m
mount -o loop,ro /tmp/here /m
! echo x >/m/x
umount /m
! mount -o loop /bin/busybox /m
SOON # the end of a mount takes its time
losetup -a
/bin/svc list
"""


def expected():
    numbers = [i for i in sorted(range(250), key=str) if not str(i).startswith("1")]
    text = "".join(f"{i} one\n" for i in numbers)
    return subprocess.run(["md5sum"], input=text, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("kills", [0, 12])
def test_mounts(guest, image, root, tmp_path, fsck, kills):
    empty = tmp_path / "empty.img"
    minixfs = root / "build/tools/minixfs"
    subprocess.run([minixfs, "mkfs", empty, "4"], check=True)
    script = tmp_path / "script"
    script.write_text(SCRIPT.replace("SOON", soon('[ -z "$(losetup -a)" ]')).replace("WAIT", f"k=0; while [ $k -lt {kills} ]; do sleep 0.1; /bin/svc kill loop; "
                                     "k=$((k+1)); done"))
    result = guest("sh /script", file=[f"{empty}:/empty.img", f"{script}:/script"], image=image)
    lines = result.text.splitlines()
    assert lines[0] == lines[1] == expected(), result.text
    assert not any(line.startswith("/dev/loop") for line in lines), "a device was left behind"
    (tmp_path / "there").write_bytes(subprocess.run([minixfs, "cat", image, "/there"], capture_output=True,
                                                    check=True).stdout)
    fsck(tmp_path / "there")
    fsck(image)
    service = next(line for line in lines if line.startswith("loop "))
    assert (service.split()[-1] == "0") == (kills == 0), service
