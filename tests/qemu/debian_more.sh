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
printf 'Subsystem sftp /usr/lib/openssh/sftp-server\nUsePAM no\nStrictModes no\n' >/etc/ssh/sshd_config
echo 'sshd:x:104:65534::/run/sshd:/bin/false' >>/etc/passwd
mkdir -p /run/sshd
try sshd "ssh-keygen -q -t ed25519 -N '' -f host && /usr/sbin/sshd -h /tmp/host -p 2223 -E /tmp/sshd.log && sleep 1 && \
	ssh -o StrictHostKeyChecking=no -i id -p 2223 root@127.0.0.1 'echo far' | grep -q far"
try sftp "printf 'get /etc/passwd p.txt\n' | sftp -q -o StrictHostKeyChecking=no -i id -P 2223 root@127.0.0.1 && cmp p.txt /etc/passwd"
try rsync "rsync -a -e 'ssh -o StrictHostKeyChecking=no -i id -p 2223' /etc/ssh/ root@127.0.0.1:/tmp/copy && diff -r /etc/ssh /tmp/copy"
seq 1000 >l.txt
try less "less -FX l.txt | grep -qx 1000"
try zsh "zsh -c 'for i in {1..3}; do (echo \$i) & done; wait; print -l /etc/**/passwd(.N)' | grep -c . | grep -qx 4"
try gawk "gawk 'BEGIN { \"echo piped\" | getline d; print d }' | grep -qx piped"
try jq "echo '{\"a\": [1, 2]}' | jq -c .a[1] | grep -qx 2"
try socat "(socat TCP-LISTEN:9999,reuseaddr EXEC:cat,pty &); sleep 1; (echo hi; sleep 2) | socat - TCP:127.0.0.1:9999 | grep -q hi"
cat >e.exp <<'END'
spawn sh
send "echo h\$((6 * 7))\r"
expect h42
send exit\r
expect eof
END
try expect "expect e.exp | grep -q h42"
try wget "wget -q -O - http://127.0.0.1:8080/ | grep -q page"
try openssl "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=x -keyout k.pem -out c.pem 2>/dev/null && openssl verify -CAfile c.pem c.pem"
try tls "(openssl s_server -accept 4433 -key k.pem -cert c.pem -www >/dev/null 2>&1 &); sleep 2; curl -sk https://127.0.0.1:4433/ | grep -qi cipher"
try memcached "memcached -u root -l 127.0.0.1 -d && sleep 1 && \
	printf 'set a 0 0 2\r\nhi\r\nget a\r\nquit\r\n' | busybox nc 127.0.0.1 11211 | grep -q hi"
echo 'postgres:x:105:65534::/tmp:/bin/sh' >>/etc/passwd
mkdir -m 777 /tmp/pg
pg() { busybox su postgres -c "/usr/lib/postgresql/15/bin/$*"; }
pg initdb -D /tmp/pg/d >initdb.txt 2>&1; pg pg_ctl -D /tmp/pg/d -o "'-k /tmp/pg'" -l /tmp/pg/log -w start >start.txt
try postgres "/usr/lib/postgresql/15/bin/psql -h /tmp/pg -U postgres -Atc 'select count(*) from generate_series(1, 1000)' | grep -qx 1000"
pg pg_ctl -D /tmp/pg/d -m fast stop >/dev/null
try ip "ip addr show lo | grep -q 127.0.0.1 && ss -tln | grep -q :8080"
try ping "ping -c 2 127.0.0.1 | grep -q '2 received'"
try rg "rg -n '^99$' l.txt | grep -qx 99:99"
try fzf "fzf -f 999 <l.txt | grep -qx 999"
try lua "lua5.4 -e 'print(io.popen(\"echo piped\"):read())' | grep -qx piped"
try ruby "ruby3.1 -e 'q = Queue.new; 4.times.map { |i| Thread.new { q << i } }.each(&:join); puts q.size' | grep -qx 4"
try tcl "echo 'puts [gets [open |date]]; puts [expr {6 * 7}]' | tclsh8.6 | grep -qx 42"
try erlang "erl -noshell -eval 'S = self(), [spawn(fun() -> S ! X end) || X <- [1, 2, 3]], io:format(\"~p~n\", [lists:sum([receive Y -> Y end || _ <- [1, 2, 3]])]), halt().' | grep -qx 6"
try ltrace "ltrace -e strlen ls / 2>&1 | grep -q 'exited (status 0)'"
try valgrind "valgrind --tool=none ./x 2>&1 | grep -qx 3"
kill $sleeper
