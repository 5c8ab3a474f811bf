# SPDX-License-Identifier: BSD-2-Clause
"""Servers die and go on with their state: no program notices."""
import re
import subprocess

import pytest

from conftest import soon

# A shell works with pipelines, background jobs and exit statuses while servers are killed at short intervals.
SESSION = """
killers=
for s in {services}; do
    (while :; do /bin/svc {fault}; usleep {pause}; done) >/dev/null 2>&1 &
    killers="$killers $!"
done
sum=$(seq 1 500 | md5sum)
(i=0; while [ $i -lt {rounds} ]; do echo line $i; i=$((i + 1)); usleep 30000; done) >/root/job 2>&1 & job=$!
(usleep 200000; exec sleep 2) & sleeper=$!
i=0
while [ $i -lt {rounds} ]; do
    [ "$(seq 1 500 | sed s/1/x/ | tr x 1 | md5sum)" = "$sum" ] || echo WRONG pipeline
    (exit 7) & wait $!; [ $? = 7 ] || echo WRONG status
    mkdir /root/d$i && mv /root/d$i /root/e$i && rmdir /root/e$i || echo WRONG file
    i=$((i + 1))
    for w in some words for the terminal; do echo $w; done
done
wait $job || echo WRONG job
[ $(wc -l </root/job) = {rounds} ] || echo WRONG lines $(wc -l </root/job)
wait $sleeper || echo WRONG sleeper
kill $killers; usleep 500000 # the last order may be on its way
for s in {services}; do """ + soon('/bin/svc status $s | grep -q "^state *running"') + """; /bin/svc status $s; done
/bin/svc log -k | grep -E "VERIFIER|cold|hangs"
echo done $i
"""


def restarted(text, service):
    """Number of warm restarts that `svc status` reports."""
    match = re.search(rf"name +{service}\n(?:.+\n)*?warm +(\d+)", text)
    assert match, text
    return int(match[1])


def session(guest, services, fault="kill $s", pause=150000, rounds=25, **options):
    text = guest(SESSION.format(services=" ".join(services), fault=fault, pause=pause, rounds=rounds), **options).text
    assert "WRONG" not in text and f"done {rounds}" in text, text
    assert "cold" not in text and "hangs" not in text, text
    print(text)
    return text


SERVERS = ["tty", "vfs", "pm", "minix", "tmpfs", "devmgr"]
BUSY = ["tty", "vfs", "pm", "minix"]


def test_shell_session_goes_on(guest):
    text = session(guest, SERVERS)
    for service in SERVERS:
        assert restarted(text, service) >= 4, text
        assert re.search(rf"name +{service}\nstate +running", text), text


@pytest.mark.parametrize("service", BUSY)
def test_death_at_any_entry_to_the_kernel(guest, service):
    """Entry 1, 2, 3 ... from when the server hears of it."""
    text = session(guest, [service], fault="inject $s entry $((n = n % 23 + 1))", pause=60000, rounds=12)
    assert restarted(text, service) >= 5, text


def test_signals_come_once(guest, root):
    """With what was sent along, though pm dies at any entry to the kernel."""
    subprocess.run(["make", "-s", "build/guest/queued"], cwd=root, check=True)
    text = guest("(n=0; while :; do /bin/svc inject pm entry $((n = n % 41 + 1)); usleep 5000; done) >/dev/null 2>&1 & k=$!; "
                 "/queued 400; kill $k; /bin/svc status pm; /bin/svc log -k | grep -E 'cold|hangs'; true",
                 file=f"{root}/build/guest/queued:/queued").text
    assert "queued: ok" in text and "FAILED" not in text and "cold" not in text and "hangs" not in text, text
    assert restarted(text, "pm") >= 20, text


@pytest.mark.parametrize("program, streams", [("pipeflow 16", 1), ("unixflow 2", 4)])
def test_pipes_go_on_while_vfs_dies(guest, root, program, streams):
    """What the kernel carries has nothing to do with vfs; what changes hands meanwhile is lost nowhere."""
    name = program.split()[0]
    subprocess.run(["make", "-s", f"build/guest/{name}"], cwd=root, check=True)
    text = guest("(while :; do /bin/svc kill vfs; usleep 70000; done) >/dev/null 2>&1 & killer=$!;"
                 f"for i in 1 2 3; do /{program}; done; kill $killer; usleep 300000; /bin/svc status vfs",
                 file=f"{root}/build/guest/{name}:/{name}").text
    assert text.count("all right") == 3 * streams and "WRONG" not in text, text
    assert restarted(text, "vfs") >= 4, text


def test_every_store_is_logged(guest):
    """The servers compare, at each commit, what undoing their logs would give with copies."""
    text = session(guest, SERVERS, fault="inject $s verify; sleep 1000", rounds=4)
    assert text.count("VERIFIER: on") == text.count("VERIFIER") == len(SERVERS), text


# mkdir, rename, O_EXCL, unlink, append, truncate: what they do is seen at once and at the end.
FILES = """
killer() {{ n=0; while :; do /bin/svc inject minix entry $((n = n % {entries} + 1)); usleep 15000; done; }}
killer >/dev/null 2>&1 & k=$!
mkdir /root/w; sum=$(seq 1 3000 | md5sum); i=0
while [ $i -lt {rounds} ]; do
    w=/root/w/$i
    mkdir $w || echo WRONG mkdir
    mkdir $w 2>/dev/null && echo WRONG mkdir twice
    seq 1 3000 >$w/a
    mv $w/a $w/b || echo WRONG rename
    [ "$(md5sum <$w/b)" = "$sum" ] || echo WRONG contents
    (set -C; echo x >$w/b) 2>/dev/null && echo WRONG O_EXCL
    echo more >>$w/b
    [ $(wc -l <$w/b) = 3001 ] || echo WRONG append
    ln $w/b $w/c && rm $w/b || echo WRONG unlink
    [ -e $w/b ] && echo WRONG still there
    : >$w/c; [ -s $w/c ] && echo WRONG truncate
    echo $i >$w/d
    [ $((i % 4)) = 0 ] && sync
    i=$((i + 1))
done
kill $k; usleep 300000; sync
cat /root/w/*/d | sort | md5sum; seq 0 $((i - 1)) | sort | md5sum
/bin/svc status minix
/bin/svc log -k | grep -E "VERIFIER|cold|hangs" || true
"""


def test_filesystem_dies_at_any_entry(guest, image, fsck):
    """Scenario a: what a script sees and leaves is as without any death."""
    text = guest(FILES.format(rounds=16, entries=60), image=image).text
    assert "WRONG" not in text and "cold" not in text and "hangs" not in text, text
    sums = re.findall(r"^[0-9a-f]{32}", text, re.M)
    assert len(sums) == 2 and sums[0] == sums[1], text
    assert restarted(text, "minix") >= 20, text
    fsck(image)


# Both anew, for what was started with the system may be done before there is a shell. Waits in steps, for the host may be
# slow, until the client is done.
LADDER = """
said() { /bin/svc log -k | awk '/mockcli +ready/ { all = "" } { all = all $0 "\\n" } END { printf "%s", all }'; }
/bin/svc stop mockcli; /bin/svc stop mock; """ + soon('/bin/svc status mock | grep -q "^state *dead"') + """
/bin/svc start mock; """ + soon('/bin/svc status mock | grep -q "^state *running"') + """
was=$(/bin/svc log -k | grep -c "mockcli *ready"); /bin/svc start mockcli
""" + soon('[ $(/bin/svc log -k | grep -c "mockcli *ready") -gt $was ]') + """
n=0
while ! said | grep -q "mockcli .*additions"; do
    /bin/svc inject mock entry $((n = n % 29 + 1)); usleep 10000
done
/bin/svc inject mock entry 100000000
until said | grep -Eq "mockcli +(done$|addition)"; do usleep 200000; done
said | grep -E "mock"
/bin/svc status mock
"""


def test_ladder(guest, root, archive):
    """A counter under deaths at any entry; then: retry, fail the item, start cold."""
    subprocess.run(["make", "-s", "build/bin/mock", "build/bin/mockcli"], cwd=root, check=True)
    files = {f"bin/{name}": "build/bin/" + name for name in ("mock", "mockcli")}
    files |= {f"manifest/{name}": f"tests/native/{name}/manifest" for name in ("mock", "mockcli")}
    text = guest(LADDER, archive=archive(files)).text
    assert "WRONG" not in text and text.count("mockcli    ok:") == 11 and "mockcli    done" in text, text
    assert text.count("killed it twice: failed") == 3 and "state is unsound" in text and "cold restart: it says so itself" in text, text
    assert restarted(text, "mock") >= 9, text # eight of the ladder; of those before it more or less, as soon as there is a shell
