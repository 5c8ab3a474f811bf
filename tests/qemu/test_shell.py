# SPDX-License-Identifier: BSD-2-Clause
"""The same busybox prints the same in the guest as on the host."""
import subprocess

import pytest

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
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_as_on_the_host(guest, tmp_path, name):
    script = "\n".join(line[8:] if line.startswith("        ") else line for line in SCRIPTS[name].splitlines())
    host = subprocess.run(["/bin/busybox", "sh", "-c", script], cwd=tmp_path, capture_output=True, timeout=120, check=False,
                          env={"PATH": "/bin:/sbin:/usr/bin", "HOME": "/root"})
    path = tmp_path / "script.sh"
    path.write_text(script, encoding="utf-8")
    result = guest("cd /tmp; sh /script.sh 2>/dev/null", file=f"{path}:/script.sh")
    assert result.text == host.stdout.decode()


def test_first_commands(guest):
    result = guest("uname -a; ls -l /; cat /proc/mounts; echo hi > /tmp/x; wc /tmp/x")
    assert "x86_64" in result.text
    assert "minix" in result.text
    assert "1         1         3 /tmp/x" in result.text


def test_ps_shows_processes(guest):
    result = guest("sleep 100 & ps; kill $!")
    assert "sleep 100" in result.text
    assert "init" in result.text
