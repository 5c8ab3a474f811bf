# SPDX-License-Identifier: BSD-2-Clause
import contextlib
import pathlib

from campaign import Campaign as Base

MIB = 1 << 20
SECOND = pathlib.Path(__file__).resolve().parents[3] / "build/soak-second.img"


class Campaign(Base):
    about = "a second disk written and read by 1 to 64 threads, every block checked, its driver killed meanwhile"
    programs = ("blockio",)
    script = r"""
disk=
for d in vda vdb sdb; do # the one of its size: the other is the root's
	[ "$(blockdev --getsize64 /dev/$d 2>/dev/null)" = 67108864 ] && disk=/dev/$d
done
case $disk in /dev/vda) driver=virtio_blk ;; /dev/vdb) driver=virtio_blk.1 ;; /dev/sdb) driver=ahci ;; *) wrong "no second disk"; exit 0 ;; esac
threads=$(( 1 << SEED % 7 )) mode=
[ $((SEED / 7 % 3)) = 0 ] || mode=direct
/root/soak-blockio verify $disk 5 $threads $mode >$WORK/said 2>&1 &
verifier=$!
while kill -0 $verifier 2>/dev/null; do
	draw 1900000
	usleep $(( 100000 + drawn ))
	/bin/svc kill $driver 2>/dev/null
done
wait $verifier
status=$?
n=$(sed -n 's/ operations, all right//p' $WORK/said)
what="$threads threads on $disk $mode, seed $SEED, status $status: $(tail -1 $WORK/said)"
if [ -z "$n" ] && { [ $status = 137 ] || grep -q "Cannot allocate memory" $WORK/said; }; then
	cat /proc/meminfo /proc/xinim/kernel >&2
	short_of_memory "$what"
fi
case $n in '') wrong "$what" ;; *) did $n ;; esac
"""

    def options(self, random):
        kind, more = random.choice(["virtio", "ahci"]), random.choice([["--no-iommu"], []])
        device = {"virtio": "virtio-blk-pci,drive=second", "ahci": "ide-hd,drive=second,bus=ide.1"}[kind]
        return [*more, "--qemu", f"-blockdev driver=file,node-name=file2,filename={SECOND} "
                f"-blockdev driver=raw,node-name=second,file=file2 -device {device}"]

    @contextlib.contextmanager
    def host(self, root, random):
        del root, random
        with open(SECOND, "wb") as stream:
            stream.truncate(64 * MIB)
        try:
            yield {}
        finally:
            SECOND.unlink(missing_ok=True)
