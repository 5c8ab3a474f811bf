# SPDX-License-Identifier: BSD-2-Clause
"""rs itself dies, hangs and is killed while it restarts others: no service and no program notices.

XINIM_SOAK=1: 500 rounds of its deaths, not 60."""
import os
import pathlib
import random
import re
import signal
import subprocess
import time

from conftest import PATIENCE, outages, soon

ROUNDS = 500 if os.environ.get("XINIM_SOAK") else 60
DISK = """
set -e
dd if=/dev/urandom of=/root/a bs=65536 count=16 2>/dev/null
sum=$(sha256sum </root/a)
handles() {{ /bin/svc status rs | grep "^handles"; }}
/bin/svc kill virtio_blk
""" + soon(outages("virtio_blk", 1)) + "; " + soon('{{ was=$(handles); sleep 1; [ "$(handles)" = "$was" ]; }}') + """
/bin/svc status rs
n=0
while [ $n -lt {rounds} ]; do
    /bin/svc inject rs entry $((n % {entries} + 1))
    /bin/svc kill virtio_blk || true # or it is on its way back yet
    cp /root/a /root/b
    [ "$(sha256sum </root/b)" = "$sum" ] || {{ echo WRONG; exit 1; }}
    n=$((n + 1))
done
until /bin/svc status virtio_blk | grep -q "^state *running"; do usleep 20000; done
/bin/svc inject rs verify # and with it what is left of `entry` has struck, or never will
""" + soon('[ "$(handles)" = "$was" ]') + """; usleep 500000; sync
[ "$(sha256sum </root/a)" = "$sum" ] || {{ echo WRONG; exit 1; }}
/bin/svc status rs
/bin/svc status virtio_blk
/bin/svc list
/bin/svc log -k | grep -E "VERIFIER|failed|cold|hangs" || true
"""


def figures(text, key):
    return [int(n) for n in re.findall(rf"^{key} +(\d+)", text, re.M)]


def test_rs_dies_while_it_restarts_a_driver(guest, image, fsck):
    """Scenario j: at the 1st, 2nd, 3rd ... entry to the kernel from the order to kill the driver."""
    text = guest(DISK.format(rounds=ROUNDS, entries=75), image=image, smp=4, timeout=10 * ROUNDS).text
    assert "WRONG" not in text, text
    assert figures(text, "warm")[1] >= ROUNDS * 2 // 3, text
    handles = figures(text, "handles")
    assert handles[0] == handles[1], text
    assert len(re.findall(r"^virtio_blk +running", text, re.M)) == 1, text
    assert text.count("VERIFIER: on") == text.count("VERIFIER") == 1, text
    others = re.findall(r"^(\w+) +running +\S+ s +(\d+)", text, re.M)
    assert {name for name, restarts in others if restarts != "0"} == {"rs", "virtio_blk"}, text
    fsck(image)


def test_rs_goes_on_after_any_death(guest):
    """Killed, by an exception, by exit, hung, waiting or spinning (the kernel sees to it); what it knew it knows."""
    text = guest(f"""
        for f in exception exit hang loop; do /bin/svc inject rs $f || echo WRONG $f; done
        /bin/svc kill rs || echo WRONG kill
        /bin/svc kill tty; {soon(outages("tty", 1))}
        /bin/svc status rs; /bin/svc log; /bin/svc list""").text
    assert "WRONG" not in text, text
    line = re.search(r"^restarts +5(.*)$", text, re.M)
    assert line and sorted(line[1].split()) == sorted("exit 1 exception 1 hang 2 requested 1".split()), text
    assert re.search(r"devmgr +ready", text) and text.count("rs         restarted warm") == 5, text
    assert re.search(r"^tty +running +\S+ s +1", text, re.M), text
    assert re.search(r"rs +in server_inject < .*server_main", text), text # the backtrace has names


def test_host_stands_still(root):
    """The emulator is stopped again and again, from the start of the machine on: that is nobody's time, so nobody hangs."""
    draw = random.Random(1)
    work = "i=0; while [ $i -lt 60 ]; do seq 1 300 >/root/x; sync; cat /root/x | md5sum >/tmp/y; i=$((i + 1)); done; "
    with subprocess.Popen([root / "xinim", "exec", "--timeout", str(PATIENCE), "--", work + "/bin/svc list; /bin/svc log"],
                          stdout=subprocess.PIPE, text=True) as front:
        children, stops = pathlib.Path(f"/proc/{front.pid}/task/{front.pid}/children"), 0
        while front.poll() is None and stops < 25:
            time.sleep(draw.uniform(0.01, 0.2))
            for child in map(int, children.read_text(encoding="ascii").split()):
                try:
                    os.kill(child, signal.SIGSTOP)
                    time.sleep(0.7)
                    os.kill(child, signal.SIGCONT)
                    stops += 1
                except ProcessLookupError:
                    pass  # one that made the image ready has ended
        text = front.communicate()[0]
    others = re.findall(r"^(\w+) +running +\S+ s +(\d+)", text, re.M)
    assert front.returncode == 0 and stops >= 3 and len(others) >= 10, text
    assert all(restarts == "0" for _, restarts in others), text


def test_inject_of_each_kind(guest):
    """Every fault in a warm server, a filesystem, a driver that starts cold, and rs: it happens, and is got over."""
    ends = {"exit": "exit", "exception": "exception", "hang": "hang", "loop": "hang", "random": "requested", "garbage": "garbage"}
    names = ["tty", "tmpfs", "virtio_blk", "uart16550", "devmgr"]
    text = guest(f"""
        for s in {" ".join(names)}; do k=0
            for f in {" ".join(ends)}; do k=$((k + 1)); /bin/svc inject $s $f || echo WRONG >>/root/seen
                {soon(outages("$s", "$k"))}
                echo "SEEN $s $f $(/bin/svc status $s | grep "^last cause")" >>/root/seen
            done
            m() {{ grep "^$s " /proc/xinim/stats | cut -d" " -f11; }} # what it has mapped
            was=$(m); /bin/svc inject $s leak; {soon("[ $(($(m) - was)) -ge 1000 ]")}; echo "LEAK $s $(($(m) - was))" >>/root/seen
            /bin/svc inject $s slow || echo "WRONG slow" >>/root/seen; /bin/svc kill $s; {soon(outages("$s", 7))}
        done; cat /root/seen; /bin/svc list""").text.replace("\r", "")
    assert "WRONG" not in text, text
    for name in names:
        for fault, cause in ends.items():
            assert re.search(rf"^SEEN {name} {fault} last cause +{cause}:", text, re.M), (name, fault, text)
        assert int(re.search(rf"^LEAK {name} (-?\d+)", text, re.M)[1]) >= 1000, (name, text)
        assert re.search(rf"^{name} +running +\S+ s +7 ", text, re.M), text


def test_nonsense_of_rs_is_found(guest):
    """It asks itself, as it asks the others: nothing but right answers comes from it soon, nobody else takes harm."""
    text = guest("""
        k=0; for seed in "" 1 2 3; do k=$((k + 1)); /bin/svc inject rs garbage $seed; n=0
            until grep -q "^rs running [0-9]* [0-9]* $k garbage" /proc/xinim/services || [ $n = 1000 ]; do usleep 50000; n=$((n + 1)); done
        done 2>/dev/null
        echo; /bin/svc status rs; /bin/svc list; /bin/svc log""").text.replace("\r", "")
    assert re.search(r"^restarts +4  garbage 4\nlast cause +garbage:", text, re.M), text
    assert text.count("rs         answers nonsense: killed") == 4, text
    others = re.findall(r"^(?!rs )(\w+) +running +\S+ s +(\d+)", text, re.M)
    assert len(others) >= 10 and all(restarts == "0" for _, restarts in others), text


def test_spent(guest):
    """What a command cost: of each service, the kernel and the devices; with the command's own status."""
    text = guest("/bin/svc spent sh -c 'dd if=/dev/vda of=/dev/null bs=64k count=128 2>&1; exit 3'; echo status $?;"
                 "/bin/svc spent nothing.there; echo status $?").text.replace("\r", "")
    disk = re.search(r"^vda: read (\d+) requests, (\d+) bytes; .* (\d+) starts of the device$", text, re.M)
    assert disk and int(disk[1]) >= 128 and int(disk[2]) >= 8 << 20 and int(disk[3]) >= 1, text
    driver = re.search(r"^virtio_blk +([\d.]+) +(\d+) +(\d+) +([\d.]+) +([\d.]+) +([\d.]+)$", text, re.M)
    assert driver and float(driver[1]) > 0 and int(driver[2]) >= 128 and float(driver[5]) >= 10, text
    assert re.search(r"[1-9]\d* switches of process", text) and re.search(r"^\d{3,} KiB copied", text, re.M), text
    assert "status 3\n" in text and "nothing.there: No such file" in text and "status 127\n" in text, text


WRONG = {"": "usage: svc list", "frobnicate": "no such command: frobnicate", "status nobody": "no such service: nobody",
         "start": "too few arguments", "list x": "too many arguments", "kill cold": "kill: whom?", "kill rs cold": "no cold start",
         "stop rs": "rs cannot be asked to stop", "start vfs": "vfs is running", "inject vfs bogus": "`bogus` is no fault",
         "inject vfs entry": "wants a number", "inject vfs exit 3": "takes no number", "inject virtio_blk verify": "starts anew",
         "inject rs random": "rs gives the orders", "spent": "too few arguments", "log -3": "`-3` is not a number", "stats --yaml": "`--yaml` is unknown",
         "status ''": "it is empty", "status 'a b'": "blanks in it"}
STATUS = {"status nobody": 3, "kill rs cold": 1, "stop rs": 1, "start vfs": 1, "inject virtio_blk verify": 1, "inject rs random": 1}


def test_svc_says_what_is_wrong(guest):
    """Used wrongly in every way: what is wrong goes to standard error, the exit status tells of which kind it was."""
    text = guest("".join(f"/bin/svc {words} 2>&1 >/dev/null | head -1; /bin/svc {words} >/dev/null 2>&1; echo \"[$?]\"\n" for words in WRONG) +
                 "for c in '' kill inject; do /bin/svc $c --help && echo '[0]'; done").text.replace("\r", "")
    parts = text.split("]\n")
    for part, (words, said) in zip(parts, WRONG.items()):
        assert said in part and part.endswith(f"[{STATUS.get(words, 2)}"), (words, text)
    helps = parts[len(WRONG):]
    assert helps[0].count("svc ") > 10 and "Exit status" in helps[0], text
    assert helps[1].startswith("usage: svc kill NAME") and helps[2].startswith("usage: svc inject NAME FAULT"), text


def test_top(guest):
    """Without a terminal it prints one look: the rates of a second."""
    text = guest("/bin/svc kill tty; /bin/svc top; /bin/svc list").text
    row = re.search(r"^tty +running +\d+\.\d +\d+ +\d+ +(\d+) +(\d+) +\d+\r?$", text, re.M)
    assert row and row[1] == "1" and int(row[2]) > 100, text
    assert re.search(r"^rs +running +\d+\.\d +([1-9]\d*) +([1-9]\d*) ", text, re.M), text
    assert re.search(r"^(ahci|e1000) +absent .*no matching device", text, re.M), text
