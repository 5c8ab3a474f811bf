# SPDX-License-Identifier: BSD-2-Clause
from campaign import Campaign as Base

# All that asks some server something. What comes of it does not matter, but that it ends.
WORK = r"""
for D in /tmp/nonsense /root/nonsense.d; do
	mkdir -p $D; i=0
	while [ $i -lt 3 ]; do
		echo hello >$D/f$i; cat $D/f$i; ls -l $D; mv $D/f$i $D/g$i; dd if=/dev/zero of=$D/h bs=4096 count=20; stat $D/h; find $D
		rm -rf $D/h; ln -s f1 $D/l$i; readlink $D/l$i; df $D; (cd $D && pwd); i=$((i + 1))
	done
	ps; cat /proc/mounts /proc/xinim/services /proc/self/status; ls /proc /dev; ifconfig; route; stty -a </dev/console; sleep 0.05
	wget -T 1 -q -O - http://10.0.2.2:9/; seq 1 100 | grep -c 7; mknod $D/fifo p; (echo x >$D/fifo & cat $D/fifo); rm $D/fifo
	losetup /dev/loop0 $D/g0; dd if=/dev/loop0 of=/dev/null; losetup -d /dev/loop0; dd if=$(ls /dev/[sv]da | head -1) of=/dev/null bs=4096 count=5
	sync; blockdev --getsize64 /dev/[sv]da; sleep 9 & kill $!; wait
done >/dev/null 2>&1
"""
# Everything is as it was.
CHECK = r"""
exec 2>/dev/null
for D in /tmp/nonsense /root/nonsense.d; do
	rm -rf $D && mkdir -p $D && echo hello >$D/f && [ "$(cat $D/f)" = hello ] && rm -r $D || exit 1
done
cmp /bin/busybox /bin/busybox && [ "$(seq 1 2000 | grep -c 7 | cat)" = 542 ] && ls /dev /proc >/dev/null && ps >/dev/null &&
	ifconfig lo >/dev/null && stty -a </dev/console >/dev/null && cat /proc/xinim/block >/dev/null && /bin/svc list >/dev/null &&
	dd if=$(ls /dev/[sv]da | head -1) of=/dev/null bs=4096 count=5
"""


class Campaign(Base):
    about = "services that answer nonsense, one after the other (not together with others: --only nonsense)"
    programs = ("nonsense",)
    network = True
    optional = True
    script = f"""
cat >/root/nonsense.work <<'END'{WORK}END
cat >/root/nonsense.check <<'END'{CHECK}END
pick $(running_but " rs ")
/root/soak-nonsense $picked $SEED $SEED 2 /root/nonsense.work /root/nonsense.check >/root/nonsense.said 2>&1 && did 1 ||
	wrong "$picked: $(cat /root/nonsense.said); $(/bin/svc status $picked | head -9)"
rm /root/nonsense.*
"""
