# SPDX-License-Identifier: BSD-2-Clause
"""The filesystem server with many writers and hardly any cache."""

APPENDERS = """
for i in 1 2 3 4 5 6 7 8; do
	( for j in $(seq 1 150); do echo "line $i $j" >>/root/lines; done ) &
done
for i in 1 2 3 4; do
	( dd if=/dev/zero bs=300000 count=6 2>/dev/null | tr '\\0' $i >>/root/big ) &
done
wait
sort -u /root/lines | wc -l
wc -c </root/big
sync
"""


def test_appends_are_not_lost(guest, image, fsck):
    for cache in (1, 16):
        result = guest("rm -f /root/lines /root/big\n" + APPENDERS, append=f"cache={cache}", image=image)
        assert result.text.split() == ["1200", "7200000"], result.text
    fsck(image)


def test_disk_runs_full(guest, image, fsck):
    result = guest("dd if=/dev/zero of=/root/all bs=1M 2>&1 | grep -c 'No space'; mkdir /root/no 2>&1 | grep -c 'No space'; "
                   "rm /root/all; mkdir /root/yes && echo made; sync", image=image)
    assert result.text.split() == ["1", "1", "made"], result.text
    fsck(image)
