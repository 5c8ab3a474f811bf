# SPDX-License-Identifier: BSD-2-Clause
"""Many deaths in a row: nothing is left behind, and nobody notices. tests/native/killer gives the orders.

XINIM_SOAK=1 makes the campaigns as long as they are meant: 1,000 deaths, a minute of them."""
import os
import pathlib
import re
import subprocess
import sys
import time

import pytest

from conftest import EXACT, PATIENCE, STEADY
from test_interactive import ESCAPE, PROMPT, Console

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "soak"))
import gauges  # noqa: E402

LONG = bool(os.environ.get("XINIM_SOAK"))
MANIFEST = "kind server\nneeds rs\nuses {uses} rs\nheartbeat off\nrestart never\nargs rounds={rounds} skip={skip} ways={ways} {more}\n"
MOCK = "kind server\nrestart {restart}\nheartbeat 100 100\n"
WARM = "vfs pm tty net minix tmpfs devmgr bdev loop mock"


@pytest.fixture
def killer(root, archive, tmp_path):
    """A boot archive with the killer and its mock victims: one that restarts warm, one cold."""
    def make(uses, rounds, ways="kill", skip="rs", more=""):
        subprocess.run(["make", "-s", "build/bin/killer", "build/bin/mock"], cwd=root, check=True)
        files = {}
        for name, binary, text in (("killer", "killer", MANIFEST.format(uses=uses, rounds=rounds, ways=ways, skip=skip, more=more)),
                                   ("mock", "mock", MOCK.format(restart="warm 64")), ("coldmock", "mock", MOCK.format(restart="always"))):
            path = tmp_path / f"manifest.{name}"
            path.write_text(text, encoding="ascii")
            files |= {f"bin/{name}": f"build/bin/{binary}", f"manifest/{name}": path}
        return archive(files)
    return make


FLAT = """
(while :; do /bin/svc log -k | grep "killer .*deaths" >>/tmp/said; sleep 1; done) & # the log is too short for a thousand deaths
wait_for_killer() { until /bin/svc status killer | grep -Eq "^state *(dead|failed)"; do sleep 1; done; }
gauge() { sync; sleep 1; echo GAUGE; cat /proc/xinim/kernel; echo JSON; /bin/svc stats --json; echo END; }
wait_for_killer; gauge
/bin/svc start killer; wait_for_killer; gauge
sleep 2; sort -u /tmp/said
/bin/svc list
"""


def campaign(guest, path, **options):
    text = guest(FLAT, archive=path, timeout=1500 if LONG else PATIENCE, **options).text.replace("\r", "")
    parts = [gauges.parse(part.partition("END")[0]) for part in text.split("GAUGE\n")[1:]]
    assert len(parts) == 2 and not gauges.complaints(*parts), (gauges.complaints(*parts), text)
    assert not re.search(r"^\w+ +failed", text, re.M), text
    print(text)
    return text


def deaths(text, name, way="kill"):
    """What each of the two campaigns says: (deaths, calls lost)."""
    return [(int(n), int(lost)) for n, lost in re.findall(rf"killer +{name} {way}: (\d+) deaths, .* us, (\d+) calls lost", text)]


MORTAL = """
gauge() {{ sync; sleep 1; echo GAUGE; cat /proc/xinim/kernel; echo JSON; /bin/svc stats --json; echo END; }}
cd /root; /mortal {first} {seed}; gauge; /mortal {then} {seed}0; gauge; /bin/svc list
"""


def test_killed_programs_leave_nothing(guest, root):
    """Killed at random instants of writing, forking, mapping, connecting: no object, page or handle stays."""
    subprocess.run(["make", "-s", "build/guest/mortal"], cwd=root, check=True)
    seed = int(time.time()) if LONG else 1
    text = guest(MORTAL.format(first=1000 if LONG else 60, then=9000 if LONG else 60, seed=seed % 100000),
                 file=f"{root}/build/guest/mortal:/mortal", timeout=1500 if LONG else PATIENCE).text.replace("\r", "")
    parts = [gauges.parse(part.partition("END")[0]) for part in text.split("GAUGE\n")[1:]]
    assert text.count("mortal: ok") == 2 and len(parts) == 2, text
    assert not gauges.complaints(*parts), (seed, gauges.complaints(*parts), text)
    assert all(n == "0" for n in re.findall(r"^\w+ +running +\S+ s +(\d+)", text, re.M)), text


@pytest.mark.parametrize("name", ["mock", "coldmock", "virtio_blk"])
def test_one_service_dies_again_and_again(guest, killer, name):
    rounds = 500 if LONG else 50
    text = campaign(guest, killer(name, rounds))
    assert [n for n, _ in deaths(text, name)] == [rounds, rounds], text
    assert int(re.search(rf"^{name} +running +\S+ s +(\d+)", text, re.M)[1]) == 2 * rounds, text


@pytest.mark.parametrize("name", ["mock", "coldmock"])
def test_it_serves_again_within_milliseconds(guest, killer, name):
    """From the order to kill it to its next answer, as a client sees it; counted in instructions."""
    text = guest("until /bin/svc status killer | grep -Eq '^state *(dead|failed)'; do sleep 1; done; /bin/svc log -k | grep 'killer '",
                 archive=killer(name, 40, ways="kill,exception,exit"), **EXACT).text
    figures = re.findall(rf"killer +{name} (\w+): 40 deaths, median (\d+) us, worst (\d+) us, 0 calls lost", text)
    print(figures)
    assert [way for way, _, _ in figures] == ["kill", "exception", "exit"], text
    assert all(int(median) < 3000 and int(worst) < 10000 for _, median, worst in figures), text


def test_all_services_die_in_turn(guest, killer):
    rounds = 50 if LONG else 6
    names = WARM.split() + ["coldmock", "virtio_blk"]
    text = campaign(guest, killer(" ".join(names), rounds, more="spread=yes"))
    for name in names:
        assert [n for n, _ in deaths(text, name)] == [rounds, rounds], text
        assert re.search(rf"^{name} +running +\S+ s +{2 * rounds} ", text, re.M), text


# Every byte is compared: files, names, a second disk on the other controller, streams, pipes. What fails says so.
TOGETHER = """
over() {{ /bin/svc status killer | grep -Eq "^state *(dead|failed)"; }}
cd /root; mkdir tree /tmp/tree
(until over; do /blockio verify /dev/sdb 3 4 || echo WRONG disk; done) >/root/disk 2>&1 & disk=$!
(until over; do /tree /root/tree 7 400 2 | tail -1 >t1; /tree /tmp/tree 7 400 2 | tail -1 >t2
    [ -s t1 ] && cmp t1 t2 || {{ echo WRONG tree; cat t1 t2; }}; echo t; done) >/root/trees 2>&1 & trees=$!
(until over; do /bulk take 127.0.0.1 5001 4 & usleep 300000
    n=0; until said=$(/bulk send 127.0.0.1 5001 4 2>&1); do
        case $said in *onnect*) ;; *) echo WRONG "$said"; break ;; esac
        n=$((n + 1)); [ $n -lt 40 ] || {{ echo WRONG "$said"; break; }}; usleep 100000; done
    wait $! || echo WRONG stream; done) >/root/streams 2>&1 & streams=$!
dd if=/dev/urandom of=a bs=65536 count=32 2>/dev/null; sum=$(sha256sum <a); i=0
until over; do
    cp a b && mv b c && [ "$(sha256sum <c)" = "$sum" ] || echo WRONG copy
    [ "$(seq 1 2000 | grep -c 7 | cat)" = 542 ] || echo WRONG pipeline
    (exit 7) & wait $!; [ $? = 7 ] || echo WRONG status
    i=$((i + 1))
done
wait $disk $trees $streams; sync; [ "$(sha256sum <a)" = "$sum" ] || echo WRONG file
echo copies $i, trees $(grep -c ^t trees), streams $(grep -c /s streams), disk $(grep -c "all right" disk)
cat disk trees streams | grep -v "^t" | tail -40
/bin/svc log -k | grep -E "killer .*deaths|cold|hangs"; /bin/svc list
"""


def test_several_die_at_the_same_instant(guest, root, image, fsck, killer, tmp_path):
    """Two or three of all servers and both disks' drivers, drawn by lot, rs among them, with one commit."""
    rounds, seed = (100, int(time.time()) % 100000) if LONG else (4, 1)
    names = WARM.split() + ["coldmock", "virtio_blk", "ahci"]
    programs = ["blockio", "tree", "bulk"]
    subprocess.run(["make", "-s", *(f"build/guest/{name}" for name in programs)], cwd=root, check=True)
    second = tmp_path / "second.img"
    with open(second, "wb") as stream:
        stream.truncate(32 << 20)
    path = killer(" ".join(names), rounds, ways="together", more=f"spread=yes pause_ms=150 seed={seed}", skip="none")
    text = guest(TOGETHER.format(), archive=path, image=image, file=[f"{root}/build/guest/{name}:/{name}" for name in programs],
                 qemu=f"-drive file={second},format=raw,if=none,id=second -device ide-hd,drive=second,bus=ide.1",
                 timeout=1500 if LONG else PATIENCE).text
    print(text)
    assert "WRONG" not in text and "cold" not in re.sub("coldmock", "", text) and "hangs" not in text, (seed, text)
    assert min(int(n) for n in re.search(r"copies (\d+), trees (\d+), streams (\d+), disk (\d+)", text).groups()) >= 1, (seed, text)
    for name in [*names, "rs"]:
        assert [n for n, _ in deaths(text, name, "together")] == [rounds], (seed, text)
        assert int(re.search(rf"^{name} +running +\S+ s +(\d+)", text, re.M)[1]) >= rounds, (seed, text)
    fsck(image)


@pytest.mark.parametrize("name", ["coldmock", "virtio_blk", "mock", "minix"])
def test_dies_again_while_it_recovers(guest, killer, name):
    """A second order up to 3 ms behind the first: it is back as soon, and a warm one with its state."""
    rounds = 200 if LONG else 25
    text = campaign(guest, killer(name, rounds, ways="twice"), **STEADY)
    worst = [int(us) for us in re.findall(rf"{name} twice: {rounds} deaths, .* worst (\d+) us", text)]
    assert len(worst) == 2 and max(worst) < 900000, text
    assert "cold" not in re.sub("coldmock", "", text), text


def test_a_session_goes_on(root, image, killer):
    """Each server, rs and the disk's driver die once a second: a pipeline, a background job and vi see nothing of it."""
    seconds = 60 if LONG else 12
    victims = [*WARM.split(), "virtio_blk", "rs"]
    path = killer(" ".join(victims[:-1]), seconds, skip="none", more="spread=yes pause_ms=70")
    console = Console(root, image, "--archive", str(path))
    try:
        console.prompt()
        console.run(f"(for i in $(seq {seconds});do echo $i;sleep 1;done)>/root/job&")
        console.type("vi /root/text\r")
        console.expect("~")
        console.type("i")
        for line in range(seconds):
            console.type(f"line {line} of some text\r")
            console.expect(rf" {line + 2}/{line + 2} ") # vi counts; its text comes with the cursor's moves in it
        console.type(ESCAPE)
        console.expect(r"- /root/text") # only then: what follows could be a key's sequence
        console.type(":wq\r")
        console.prompt()
        for _ in range(seconds):
            output = console.run("seq 1 500 | sed s/1/x/ | tr x 1 | md5sum").strip()
            assert output == console.run("seq 1 500 | md5sum").strip(), output
        console.type("wait\r")
        console.prompt()
        assert console.run("cat /root/job").split() == [str(i + 1) for i in range(seconds)]
        lines = [line for line in console.run("cat /root/text").splitlines() if line]
        assert lines == [f"line {i} of some text" for i in range(seconds)]
        listed = console.run("svc list")
        for name in victims:
            restarts = re.search(rf"^{name} +running +\S+ s +(\d+)", listed, re.M)
            assert restarts and int(restarts[1]) >= seconds // 2, listed
    finally:
        console.close()


PARKED = """
mkfifo /root/f
cat /root/f >/root/read & reader=$!
(until /bin/svc status killer | grep -Eq "^state *(dead|failed)"; do usleep 300000; done; echo late) | cat >/root/late & parked=$!
sleep 1000000 & sleeper=$!
(trap 'exit 7' TERM; while :; do sleep 1; done) & stopped=$!
exec 5>/root/f # behind those that are to outlive its last close
i=0
until [ -s /root/late ]; do
    echo "line $i" >&5
    kill -STOP $stopped; kill -CONT $stopped
    (usleep 20000; echo one) | cat >/root/one; [ "$(cat /root/one)" = one ] || echo WRONG pipe
    (exit 3) & wait $!; [ $? = 3 ] || echo WRONG status
    i=$((i + 1))
done
exec 5>&-
wait $reader || echo WRONG reader
wait $parked || echo WRONG parked
[ "$(cat /root/late)" = late ] || echo WRONG late
j=0; while [ $j -lt $i ]; do echo "line $j"; j=$((j + 1)); done | cmp - /root/read || echo WRONG bytes
kill -0 $sleeper || echo WRONG sleeper; kill $sleeper; wait $sleeper; [ $? = 143 ] || echo WRONG sleeper status
kill -TERM $stopped; wait $stopped; [ $? = 7 ] || echo WRONG stopped
echo rounds $i
/bin/svc log -k | grep "killer "; /bin/svc list
"""


def test_parked_calls_outlive_their_servers(guest, killer):
    """Scenario c: vfs, pm and tty die under a parked reader, sleepers, job control and last closes: each byte comes once."""
    rounds = 334 if LONG else 25
    text = guest(PARKED, archive=killer("vfs pm tty", rounds, more="spread=yes pause_ms=60"), timeout=1500 if LONG else PATIENCE).text
    assert "WRONG" not in text and int(re.search(r"rounds (\d+)", text)[1]) >= 3, text
    for name in ("vfs", "pm", "tty"):
        assert [n for n, _ in deaths(text, name)] == [rounds], text
        assert re.search(rf"^{name} +running +\S+ s +{rounds} ", text, re.M), text


# What it prints must be the same whenever the filesystem dies meanwhile.
SCRIPT = """
work() {{
    w=/root/w
    mkdir $w; mkdir $w 2>/dev/null || echo there already
    echo one >$w/a; mv $w/a $w/b; [ -e $w/a ] && echo WRONG a
    (set -C; echo x >$w/b) 2>/dev/null || echo exclusive
    (set -C; echo new >$w/c) && cat $w/c
    echo two >>$w/b; cat $w/b
    rm $w/c; [ -e $w/c ] && echo WRONG c
    ls $w; rm $w/b; rmdir $w && echo removed
}}
work >/tmp/want 2>&1; work >/tmp/want 2>&1
cat /tmp/want
n={first}
while [ $n -lt {last} ]; do
    /bin/svc inject minix entry $n
    work >/tmp/got 2>&1
    cmp -s /tmp/want /tmp/got || {{ echo WRONG entry $n; cat /tmp/got; }}
    n=$((n + {step}))
done
usleep 300000; sync
/bin/svc status minix; /bin/svc log -k | grep -E "cold|hangs|VERIFIER" || true
"""


def test_filesystem_dies_at_every_entry(guest, image, fsck):
    """Scenario a: at the Nth entry to the kernel since the script's start, for every N (each 11th in CI); it has some 220."""
    text = guest(SCRIPT.format(first=1, last=300, step=1 if LONG else 11), image=image, timeout=1500 if LONG else PATIENCE).text
    assert "there already\nexclusive\nnew\none\ntwo\nb\nremoved" in text.replace("\r", ""), text
    assert "WRONG" not in text and "cold" not in text and "hangs" not in text, text
    assert int(re.search(r"^warm +(\d+)", text, re.M)[1]) >= (150 if LONG else 12), text
    fsck(image)
