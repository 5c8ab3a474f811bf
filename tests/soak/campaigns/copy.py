# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base


class Campaign(Base):
    about = "4 MiB written to the disk, copied, synced, moved, and compared by checksum"
    script = r"""
dd if=/dev/urandom of=$WORK/a bs=65536 count=64 2>/dev/null || wrong "dd: $?"
sum=$(sha256sum <$WORK/a)
for i in 1 2 3; do
	cp $WORK/a $WORK/b && sync && mv $WORK/b $WORK/c || wrong "copying: $?"
	[ "$(sha256sum <$WORK/c)" = "$sum" ] && did 4 || wrong "the copy differs"
done
rm -f $WORK/?
"""
