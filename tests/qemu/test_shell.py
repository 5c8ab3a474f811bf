# SPDX-License-Identifier: BSD-2-Clause
"""The same busybox prints the same in the guest as on the host."""
import signal
import subprocess

import pytest

from conftest import PATIENCE, soon

SCRIPTS = {
    "files": """
        mkdir w; cd w; umask 022
        echo one >a; echo two >>a; cat a; wc a; wc -c <a
        cp a b; cmp a b && echo same; mv b c; ls; ls -l a | cut -c1-10
        ln a hard; ln -s a soft; readlink soft; cat soft; stat -c '%h %s %F' hard
        mkdir -p d/e/f; rmdir d/e/f; ls -R d; rm -r d; ls d 2>&1
        echo x >d/none 2>/dev/null; echo "status $?"
        touch -d '2020-01-02 03:04:05' t; date -u -r t +%Y-%m-%dT%H:%M:%S
        chmod 600 a; stat -c %a a; rm a hard soft; ls
        i=0; while [ $i -lt 200 ]; do echo $i >n$i; i=$((i+1)); done; ls | wc -l; cat n* | sort -n | tail -2
        dd if=/dev/zero of=hole bs=1 count=1 seek=100000 2>/dev/null; wc -c <hole; od -An -c hole | head -2
        truncate -s 10 hole; wc -c <hole; mv n1 n2; cat n2; find . -name 'n19*' | sort
    """,
    "pipes": """
        seq 1 1000 | grep 7 | wc -l
        seq 1 100000 | md5sum
        (echo a; echo b >&2; echo c) 2>&1 | sort -r
        yes | head -n 5 | tr y z
        cat <<END | sed s/x/y/
        x1
        x2
END
        echo $(echo nested $(echo deeper)); false | true; echo $?
        for i in 1 2 3; do echo $i; done | while read x; do echo "got $x"; done
        { echo 1; echo 2; } >f; read a <f; echo $a; exec 3<f; read b <&3; read c <&3; echo "$b $c"
        head -c 200000 /dev/zero | wc -c; printf 'a\\0b' | od -An -tx1
    """,
    "jobs": """
        sleep 0.2 & p=$!; wait $p; echo "wait $?"
        (exit 3) & wait $!; echo "exit $?"
        sleep 60 & kill $!; wait $! 2>/dev/null; echo "killed $?"
        sleep 60 & kill -9 $!; wait $! 2>/dev/null; echo "killed $?"
        sh -c 'kill -TERM $$'; echo "self $?"
        trap 'echo trapped' USR1; kill -USR1 $$; echo after
        (trap 'echo bye' EXIT; exit 4); echo $?
        nosuchprogram 2>/dev/null; echo $?; /etc/passwd 2>/dev/null; echo $?
        sh -c 'exit 300'; echo $?; timeout 1 sleep 10; echo $?
        ( sleep 0.3; echo late ) & echo early; wait
        set -o pipefail 2>/dev/null; false | true; echo $?
    """,
    "programs": """
        echo hello world | awk '{ print $2, $1 }'; expr 6 \\* 7; echo 'scale=3; 22/7' | bc 2>/dev/null || echo nobc
        printf '%s\\n' b a c | sort; echo abc | rev; echo test | sha256sum; seq 5 | tac
        seq 1 20000 >n; gzip n; gunzip n.gz; md5sum <n; tar cf t.tar n; tar tf t.tar; tar xOf t.tar n | md5sum
        echo 'a b c' | xargs -n1 echo item; find /etc/passwd; basename /a/b/c; dirname /a/b/c
        diff /etc/passwd /etc/passwd && echo nodiff; env -i A=1 env; date -u -d @86400 +%F
        vi -c ':q' /etc/passwd </dev/null >/dev/null 2>&1; echo vi; id -u; test -w /tmp && echo writable
        cut -d: -f1 /etc/passwd | head -1; tr a-z A-Z </dev/null; sed -n 1p n; tail -n1 n; uniq n | wc -l
    """,
    "text": """
        seq 1 30 >n; head -n 3 n; tail -n 2 n; tail -c 4 n; head -c 5 n; tail -n +29 n; head -n -27 n
        sed -n '5p;7,9p' n; sed -e 's/1/one/g' -e '/2/d' n | head -5; sed '$!d' n; printf 'a\nb\n' | sed 'N;s/\n/-/'
        cp n m; sed -i 's/^3$/three/' m; diff n m; diff -u n m | tail -n +3; echo "diff $?"; cmp n m; echo "cmp $?"
        diff -u n m >p; patch n <p; cmp n m && echo patched
        awk 'BEGIN { FS=":" } { s += $1 } END { printf "%d %.2f %s\n", s, s / 7, toupper("done") }' n
        awk '{ a[$1 % 3]++ } END { for (k in a) print k, a[k] }' n | sort; awk 'BEGIN { "echo sub" | getline x; print x; exit 3 }'; echo "awk $?"
        sort -rn n | head -2; printf 'b 2\na 10\nc 1\n' | sort -k2n; printf 'x\nx\ny\n' | uniq -c; printf 'b\na\nb\n' | sort -u
        cut -c2-3 n | tail -2; cut -d: -f1,3 --output-delimiter=, /etc/none 2>/dev/null; printf 'a:b:c\n' | cut -d: -f2-
        tr -d 0-4 <n | tr -s '\n' | tail -3; tr '[:lower:]' '[:upper:]' <<END
shout
END
        echo a | tee t1 t2; cat t1 t2; echo b | tee -a t1; cat t1; paste t1 t2; nl n | tail -2; fold -w 3 <<END
abcdefg
END
        od -An -tx1 t1; od -c t1; hexdump -C t1; xxd t1 2>/dev/null; strings t1; split -l 10 n part; ls part*; wc -l partab
        expand <<END
a	b
END
        grep -n '^2' n; grep -c 1 n; grep -v '[12]' n; grep -q nothing n; echo "grep $?"; grep -rl three . | sort; egrep 'a|b' t1
        tac t1; rev t1; md5sum n; sha1sum n; sha256sum n; sha512sum n; cksum n; base64 t1; crc32 n 2>/dev/null; sum n
        printf '%5d|%-5s|%05.1f|%x|%o|%c|%%\n' 42 ab 3.14159 255 8 z; printf '%s %s\n' 1 2 3; printf '%b' 'x\ty\n'
        expr 3 + 4; expr abc : 'a\\(.\\)'; expr length hello; expr 1 \\> 2; echo $?; echo $((0x1f + 010 * 3)) $((7 % 3)) $((1 << 20))
        seq -s, 1 5; seq 10 -3 1; seq -w 8 11; yes no | head -2; factor 360 2>/dev/null; echo hello | sed 's/\\(h\\)\\(e\\)/\2\1/'
    """,
    "trees": """
        umask 022; mkdir -p d/e/f d/g; echo 1 >d/1; echo 2 >d/e/2; echo 3 >d/e/f/3; chmod 755 d/1; ln -s ../1 d/g/l; ln d/1 d/h
        find d | sort; find d -type f -name '[12]' | sort; find d -type l; find d -mindepth 2 -type d | sort; find d -perm 755 -type f | sort
        find d -type f -exec cat {} + | sort; find d -type f -exec echo got {} \\; | sort; find d -links 2 -type f | sort; find d -size -1k -type f | sort
        find d -name '*' -print0 | xargs -0 -n 3 echo | wc -l; ls d | xargs -I% echo "<%>"; echo 1 2 3 | xargs -n 2; false | xargs echo empty
        tar cf t.tar d; tar tf t.tar | sort; mkdir x; tar xf t.tar -C x; find x | sort; cmp d/e/f/3 x/d/e/f/3; readlink x/d/g/l; stat -c %h x/d/1
        tar czf t.tgz d; tar tzf t.tgz | wc -l; gzip -c t.tar | gunzip -c | cmp - t.tar && echo gz; bzip2 -c d/1 | bunzip2 -c
        gzip -k t.tar; ls t.tar.gz; zcat t.tar.gz | tar t | wc -l; (cd d; find . | sort | cpio -o -H newc 2>/dev/null) | cpio -t 2>/dev/null | head -3
        cp -r d c; find c | sort; cp -a d a; readlink a/g/l; stat -c '%a %s %h %F %n' a/1 a/g/l; stat -c '%a %h %F' a/e; rm -rf c; ls c 2>/dev/null; echo "ls $?"
        mv a b; ls b; mv b/1 b/e/; ls b/e; mv -f b/e/1 b/e/2; cat b/e/2; rmdir b 2>/dev/null; echo "rmdir $?"; rm b 2>/dev/null; echo "rm $?"; rm -r b
        ln -s nowhere dang; cat dang 2>/dev/null; echo "cat $?"; test -L dang && echo link; test -e dang || echo dangling; ln -sf d dang; ls dang/; rm dang
        ln -s loop loop; cat loop 2>&1; rm loop; mkdir -m 700 p; stat -c %a p; chmod u+x,g=r,o-rwx d/1; stat -c %a d/1; chmod -R 644 p; stat -c %a p
        touch -t 200102030405.06 o; stat -c %Y o; touch -r o o2; test o -nt o2; echo $?; touch n; test n -nt o && echo newer; date -u -r o +%s
        dd if=/dev/zero of=z bs=1k count=10 2>/dev/null; dd if=z of=y bs=512 skip=2 seek=1 count=3 2>/dev/null; wc -c y; dd if=/dev/zero of=z bs=1 seek=5 count=1 conv=notrunc 2>/dev/null; wc -c z
        du -s x >/dev/null; echo "du $?"; realpath d/../d/e | sed 's,.*/d/,d/,'; pwd -P | wc -l; basename $(pwd) >/dev/null; cd d/e; cd ..; ls; cd - >/dev/null; mktemp -d q.XXXXXX | cut -c1-2
        install -m 750 d/1 inst; stat -c %a inst; truncate -s 1M big; ls -l big | awk '{ print $5 }'; cat big | wc -c; sync; fsync big; echo "fsync $?"; test -s big && echo size
        echo data >ro; chmod 444 ro; test -r ro && echo r; [ -d d ] && [ -f ro ] && echo both; [ a = b ] || echo no; [ 3 -lt 5 ] && echo lt; cat d/g/l; which cat >/dev/null; echo $?
        for i in 1 2 3; do echo $i >>app; done; cat app; >app; wc -c <app; cat none nofile 2>/dev/null; echo "cat $?"; ls -a d; ls -1 d; ls -p d; ls -F d | head -3; unlink inst; ls inst 2>/dev/null; echo $?
        mkdir deep; (cd deep; i=0; while [ $i -lt 40 ]; do mkdir dir; cd dir; i=$((i+1)); done; pwd | tr -cd / | wc -c >/dev/null; echo in >f); find deep -name f | tr -cd / | wc -c; rm -r deep
        echo quota | dd bs=2 count=2 2>/dev/null; echo; readlink -f d/g/l | sed 's,.*/,,'; rm -f n; mkfifo ff; stat -c %F ff; ls -l ff | cut -c1; rm ff; tree d 2>/dev/null | head -3
    """,
    "environment": """
        env -i A=1 B=2 env | sort; A=5 sh -c 'echo $A'; export X=y; sh -c 'echo $X'; unset X; sh -c 'echo "[$X]"'; env -u HOME sh -c 'echo "[$HOME]"'; printenv HOME
        nice -n 5 sh -c nice; nice; nohup true 2>/dev/null; echo "nohup $?"; setsid true; echo "setsid $?"; usleep 1000; echo "usleep $?"
        id -u; id -g; id -un; whoami; groups | cut -d' ' -f1; test $(id -u) = 0 && echo root; hostname >/dev/null; uname -s -m >/dev/null; echo "uname $?"; arch
        date -u -d '2024-02-29 12:34:56' '+%Y %j %U %a %b %s'; date -u -d @0; TZ=UTC-2 date -d @0 +%H; cal 2 2024; date +%Y | grep -q 20 && echo year
        getopt -o ab: -- -a -b x y; while getopts ab: o -a -b z; do echo $o $OPTARG; done; set -- 1 2 3; shift; echo $# $1 "$@"
        timeout 60 true; echo $?; timeout 0.2 sleep 5; echo $?; timeout -s KILL 0.2 sleep 5 2>/dev/null; echo $?; time -p true 2>/dev/null; echo $?
        f() { local a=1; echo "f $1 $a"; return 4; }; f x; echo $?; case abc in a*) echo star;; esac; echo ${HOME#/} ${HOME:-x} ${none:-def} ${#HOME}
        x=abcabc; echo ${x%b*} ${x##*b} ${x/b/X} ${x:1:2}; for i in $(seq 3); do [ $i = 2 ] && continue; echo $i; done; until true; do :; done; echo $(( (5 > 3) ? 1 : 0 ))
        (ulimit -n 20; ulimit -n); ulimit -c 0; ulimit -c; (umask 077; umask; touch u; stat -c %a u); eval 'echo eval $((1+1))'; exec 4>fd4; echo via4 >&4; exec 4>&-; cat fd4
        sh -c 'exit 5' || echo "or $?"; ! false && echo not; { sleep 0.1; echo bg; } & wait; echo $?; sh -c 'kill -INT $$; echo no'; echo "int $?"; sh -c 'kill -SEGV $$'; echo "segv $?"
        cat /proc/self/cmdline | tr '\0' ' '; echo; test $(cut -d' ' -f1 /proc/self/stat) -gt 1 && echo stat
        sh -c 'echo $PPID' | grep -q "^$$\\$" && echo ppid; sh -c 'sleep 0.3 & echo started'; chroot / /bin/busybox echo chrooted; su root -c 'echo su $(id -u)' 2>/dev/null; yes | head -c 100000 | wc -c
        mkfifo fifo; flock lock echo locked; (flock 9; echo inlock) 9>lock; test -p fifo && echo isfifo; cat </dev/null; echo x >/dev/null; head -c 3 /dev/urandom | wc -c
        test -c /dev/null && echo char; tty >/dev/null </dev/null; echo "tty $?"; kill -l 9; kill -0 $$ && echo alive; kill -0 99999 2>/dev/null; echo $?
        trap 'echo int; exit 9' INT; (sleep 0.2; kill -INT $$) & while :; do sleep 1; done
    """,
}


def default_sigint():
    """In the child: a shell cannot trap what it was started to ignore, as background jobs are."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def normal(text):
    """Without the margin that the scripts have here (here-documents have none)."""
    return "\n".join(line[8:] if line.startswith("        ") else line for line in text.splitlines())


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_as_on_the_host(guest, tmp_path, name):
    script = normal(SCRIPTS[name])
    path = tmp_path / "script.sh"
    path.write_text(script, encoding="utf-8")
    work = tmp_path / "work"
    work.mkdir()
    applets = tmp_path / "applets"
    applets.mkdir()
    subprocess.run(["/bin/busybox", "--install", "-s", str(applets)], check=True)
    host = subprocess.run(["/bin/busybox", "sh", str(path)], cwd=work, capture_output=True, timeout=PATIENCE, check=False,
                          stdin=subprocess.DEVNULL, env={"PATH": str(applets), "HOME": "/root"},
                          preexec_fn=default_sigint)
    # Through a pipe: programs print differently on a terminal.
    result = guest("cd /tmp; sh /script.sh 2>/dev/null | cat", file=f"{path}:/script.sh")
    assert result.text.splitlines() == host.stdout.decode().splitlines()


def test_processes_by_name(guest):
    """Not on the host: there are others' processes of that name."""
    result = guest("sleep 1000 & sleep 1000 & " + soon("[ $(pidof sleep | wc -w) = 2 ]") +
                   "; pidof sleep | wc -w; killall sleep; wait; pidof sleep; echo $?")
    assert result.text.split() == ["2", "1"], result.text


def test_output_survives_a_childs_end(guest):
    """awk runs in a shell's copy, with its SIGCHLD handler: a write that need not wait is not interrupted."""
    result = guest("""i=0; while [ $i -lt 150 ]; do awk 'BEGIN { "echo sub" | getline x; print x }' | cat; i=$((i + 1)); done""")
    assert result.text == "sub\n" * 150


def test_first_commands(guest):
    result = guest("uname -a; ls -l /; cat /proc/mounts; echo hi > /tmp/x; wc /tmp/x")
    assert "x86_64" in result.text
    assert "minix" in result.text
    assert "1         1         3 /tmp/x" in result.text


def test_mount_options(guest):
    """noexec and nodev refuse, /proc/mounts says so, and a remount without them takes them back."""
    result = guest("""cp /bin/busybox /tmp/true; mknod /tmp/null c 1 3
        mount -o remount,noexec,nodev,nosuid -t tmpfs tmpfs /tmp
        /tmp/true 2>/dev/null; echo $?; cat /tmp/null 2>&1; grep ' /tmp ' /proc/mounts
        mount -o remount -t tmpfs tmpfs /tmp; /tmp/true && cat /tmp/null && grep ' /tmp ' /proc/mounts""")
    assert result.text.splitlines() == [
        "126",
        "cat: can't open '/tmp/null': Permission denied",
        "tmpfs /tmp tmpfs rw,nosuid,nodev,noexec,relatime 0 0",
        "tmpfs /tmp tmpfs rw,relatime 0 0",
    ]


def test_ps_shows_processes(guest):
    # The child is `sh` until its exec: wait for what is to be seen.
    result = guest("sleep 100 & until ps | grep -q '[s]leep 100'; do usleep 20000; done; ps; kill $!")
    assert "sleep 100" in result.text
    assert "init" in result.text


def test_descriptors_by_name(guest):
    """/dev/stdin and its like lead to the open file itself, also where that has no name."""
    result = guest("""cd /tmp; echo piped | cat /dev/stdin; echo out > /dev/stdout; echo named > f
        cat /dev/fd/0 < f; rm f; exec 5> f; echo kept >&5; rm f; cat /proc/self/fd/5; exec 5>&-
        cat /proc/self/fd/9; ls /proc/1/fd/ | head -3; readlink /proc/self/fd/0 < /tmp; readlink /proc/self/fd/0 < /dev/zero
        A=1 B=two sh -c 'tr "\\0" "\\n" < /proc/self/environ' | grep -E '^[AB]='""")
    lines = result.text.splitlines()
    assert lines[:4] == ["piped", "out", "named", "kept"]
    assert "No such file" in lines[4]
    assert lines[5:] == ["0", "1", "2", "/tmp", "/dev/zero", "A=1", "B=two"]
