# SPDX-License-Identifier: BSD-2-Clause
"""The disk driver dies under load, in every way, and no program notices."""
import re

import pytest

WORK = """
set -e
dd if=/dev/urandom of=/root/a bs=65536 count={blocks} 2>/dev/null
sum=$(sha256sum </root/a)
( {fault} ) &
killer=$!
i=0
while kill -0 $killer 2>/dev/null; do
	cp /root/a /root/b
	[ "$(sha256sum </root/b)" = "$sum" ] || {{ echo WRONG; exit 1; }}
	i=$((i + 1))
done
wait $killer
sync
[ "$(sha256sum </root/a)" = "$sum" ] || {{ echo WRONG; exit 1; }}
echo "rounds $i"
svc status virtio_blk
"""


@pytest.mark.parametrize("fault,times", [("kill", 50), ("inject exception", 20), ("inject exit", 20), ("inject hang", 8)])
def test_disk_driver_dies_under_load(guest, image, fsck, fault, times):
    verb, _, kind = fault.partition(" ")
    loop = f"n=0; while [ $n -lt {times} ]; do svc {verb} virtio_blk {kind} >/dev/null || exit 1; usleep 150000; n=$((n+1)); done"
    if kind == "hang":
        loop = loop.replace("150000", "900000")
    blocks = 1024 if fault == "kill" else 128
    result = guest(WORK.format(fault=loop, blocks=blocks), image=image, timeout=300)
    assert "WRONG" not in result.text
    restarts = re.search(r"restarts\D+(\d+)", result.text)
    assert restarts and int(restarts[1]) >= times, result.text
    print(result.text)
    fsck(image)
