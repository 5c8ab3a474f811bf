# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base


class Campaign(Base):
    about = "random operations on files, names and mappings, on the disk and in /tmp: both must give the same"
    programs = ("tree",)
    script = r"""
mkdir -p $WORK/disk /tmp/soak.files
a=$(/root/soak-tree $WORK/disk $SEED 1500 2 | tail -1)
b=$(/root/soak-tree /tmp/soak.files $SEED 1500 2 | tail -1)
case $a in '') wrong "no result: disk $WORK seed $SEED" ;; "$b") did 3000 ;; *) wrong "disk '$a', tmpfs '$b', seed $SEED" ;; esac
rm -rf $WORK/disk /tmp/soak.files
"""
