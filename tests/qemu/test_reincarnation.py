# SPDX-License-Identifier: BSD-2-Clause
"""rs itself dies, hangs and is killed while it restarts others: no service and no program notices."""
import re

DISK = """
set -e
dd if=/dev/urandom of=/root/a bs=65536 count=16 2>/dev/null
sum=$(sha256sum </root/a)
/bin/svc kill virtio_blk; usleep 300000
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
usleep 500000
sync
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
    text = guest(DISK.format(rounds=60, entries=75), image=image, smp=4, timeout=170).text
    assert "WRONG" not in text, text
    assert figures(text, "warm")[1] >= 40, text
    handles = figures(text, "handles")
    assert handles[0] == handles[1], text
    assert len(re.findall(r"^virtio_blk +running", text, re.M)) == 1, text
    assert text.count("VERIFIER: on") == text.count("VERIFIER") == 1, text
    others = re.findall(r"^(\w+) +running +\S+ s +(\d+)", text, re.M)
    assert {name for name, restarts in others if restarts != "0"} == {"rs", "virtio_blk"}, text
    fsck(image)


def test_rs_goes_on_after_any_death(guest):
    """Killed, by an exception, by exit, hung, waiting or spinning (the kernel sees to it); what it knew it knows."""
    text = guest("""
        for f in exception exit hang loop; do /bin/svc inject rs $f || echo WRONG $f; done
        /bin/svc kill rs || echo WRONG kill
        /bin/svc kill tty; usleep 300000
        /bin/svc status rs; /bin/svc log; /bin/svc list""").text
    assert "WRONG" not in text, text
    line = re.search(r"^restarts +5(.*)$", text, re.M)
    assert line and sorted(line[1].split()) == sorted("exit 1 exception 1 hang 2 requested 1".split()), text
    assert re.search(r"devmgr +ready", text) and text.count("rs         restarted warm") == 5, text
    assert re.search(r"^tty +running +\S+ s +1", text, re.M), text



def test_top(guest):
    """Without a terminal it prints one look: the rates of a second."""
    text = guest("/bin/svc kill tty; /bin/svc top; /bin/svc list").text
    row = re.search(r"^tty +running +\d+\.\d +\d+ +\d+ +(\d+) +(\d+) +\d+\r?$", text, re.M)
    assert row and row[1] == "1" and int(row[2]) > 100, text
    assert re.search(r"^rs +running +\d+\.\d +([1-9]\d*) +([1-9]\d*) ", text, re.M), text
    assert re.search(r"^(ahci|e1000) +absent .*no matching device", text, re.M), text
