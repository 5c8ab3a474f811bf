# SPDX-License-Identifier: BSD-2-Clause
# What test_debian_more.py runs in the guest: each program does some work, and says ok NAME or FAILED NAME.
export TERM=xterm HOME=/root
cd /tmp || exit
try() { # NAME COMMAND...: within a minute
	name=$1; shift
	if timeout 60 sh -c "$*" >out.txt 2>&1; then echo "ok $name"; else echo "FAILED $name"; cat out.txt; fi
}
cat >x.c <<'END'
#include <stdio.h>
int main(void)
{
	int a = 3;
	printf("%d\n", a);
	return 0;
}
END
sleep 300 & sleeper=$!
exec 9>open.txt

try ps "ps -eo pid,args | grep -q '[s]leep 300'"
try top "top -b -n 1 | grep -q 'load average'"
try pgrep "pgrep -f 'sleep 300' | grep -qx $sleeper"
try pmap "pmap $sleeper | grep -q libc.so.6"
try pstree "pstree -p | grep -q 'sleep($sleeper)'"
try lsof "lsof -p $$ | grep -q /tmp/open.txt"
try vim "printf 'hello\n' >v.txt; vim.tiny -es -c s/hello/goodbye/ -c wq v.txt; grep -q goodbye v.txt"
try tmux "tmux new-session -d 'echo seen >t.txt; sleep 9'; sleep 3; tmux kill-server; grep -q seen t.txt"
try screen "screen -dmS s sh -c 'echo seen >s.txt'; sleep 3; grep -q seen s.txt"
try perl "perl -MSocket -e 'exit(fork() ? (wait, 0)[1] : 0)'"
try curl "echo page >index.html; busybox httpd -p 8080 -h /tmp; sleep 1; curl -s http://127.0.0.1:8080/ | grep -q page"
try gcc "gcc-12 -g -o x x.c && ./x | grep -qx 3"
try gdb "gdb -q -batch -ex 'break 5' -ex run -ex 'p a' x | grep -q '1 = 3'"
try strace "strace -f sh -c 'true; /bin/true' 2>&1 | grep -q 'exited with 0'"
try git "git init -q r && cd r && git -c user.name=a -c user.email=b commit -q --allow-empty -m one && git log | grep -q one"
mkdir -p /etc/dropbear .ssh; rm -rf /root/.ssh; mkdir -m 700 /root/.ssh
try ssh "dropbearkey -t ed25519 -f key && dropbear -r key -p 2222 && ssh-keygen -q -t ed25519 -N '' -f id && \
	cp id.pub /root/.ssh/authorized_keys && sleep 1 && \
	ssh -o StrictHostKeyChecking=no -i id -p 2222 root@127.0.0.1 'echo far' | grep -q far"
kill $sleeper
