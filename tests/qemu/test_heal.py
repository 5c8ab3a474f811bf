# SPDX-License-Identifier: BSD-2-Clause
"""Services die under load, in every way, and no program notices."""
import json
import re

import pytest

from conftest import outages as away
from conftest import soon

# A shell copies and checks a file, over and over, while another injects faults
# into the disk's driver. Any error of any program ends the script (set -e).
WORK = """
set -e
dd if=/dev/urandom of=/root/a bs=65536 count={blocks} 2>/dev/null
sum=$(sha256sum </root/a)
(n=0; while [ $n -lt {times} ]; do
	{fault}
	n=$((n + 1))
	until /bin/svc status {driver} | grep -q "^outages *$n "; do usleep 20000; done
	usleep 100000
done) &
killer=$!
i=0
while kill -0 $killer 2>/dev/null; do
	cp /root/a /root/b
	[ "$(sha256sum </root/b)" = "$sum" ] || {{ echo WRONG; exit 1; }}
	i=$((i + 1))
done
wait $killer
sync
[ "$(sha256sum </root/a)" = "$sum" ] || {{ echo WRONG; exit 1; }}
echo "rounds $i"
/bin/svc status {driver}
"""
MIB = 16  # blocks of 64 KiB


def outages(status):
    """(count, median ms, worst ms) of `svc status`."""
    match = re.search(r"outages +(\d+) +min \S+ ms +median (\S+) ms +max (\S+) ms", status)
    assert match, status
    return int(match[1]), float(match[2]), float(match[3])


def causes(status):
    line = re.search(r"^restarts +\d+(.*)$", status, re.M)
    assert line, status
    return {name: int(count) for name, count in re.findall(r"([a-z][a-z -]*?) (\d+)", line[1])}


@pytest.mark.parametrize("disk,driver", [("virtio", "virtio_blk"), ("ahci", "ahci")], ids=["virtio", "ahci"])
@pytest.mark.parametrize("fault,cause,times,mib", [
    ("kill {driver}", "requested", 50, 64),
    ("inject {driver} exception", "exception", 20, 16),
    ("inject {driver} exit", "exit", 20, 16),
    ("inject {driver} hang", "hang", 6, 16),
], ids=["kill", "exception", "exit", "hang"])
def test_disk_driver_dies_under_load(guest, image, fsck, disk, driver, fault, cause, times, mib):
    if disk == "ahci" and cause != "requested":
        times //= 2  # what differs between the drivers is how they start: a few times will do
    fault = fault.format(driver=driver)
    work = WORK.format(driver=driver, fault=f"/bin/svc {fault}", times=times, blocks=mib * MIB)
    status = guest(work, image=image, disk=disk).text
    assert "WRONG" not in status
    count, median, worst = outages(status)
    print(f"{fault}: {count} outages, median {median} ms, worst {worst} ms; {status}")
    assert causes(status) == {cause: times}, status
    assert count == times
    fsck(image)


def test_status_says_why(guest):
    text = guest("/bin/svc inject virtio_blk exception; " +
                 soon("/bin/svc log 20 | grep -q 'virtio_blk *restarted after'") +
                 "; /bin/svc status virtio_blk; /bin/svc log 20").text
    assert re.search(r"last cause +exception: vector 14 at 0x[0-9a-f]+, address 0x10\b", text), text
    assert re.search(r"virtio_blk +restarted after exception \(.*\), [\d.]+ ms outage", text), text


@pytest.mark.parametrize("service", ["uart16550", "devmgr"])
def test_no_output_is_lost(guest, service):
    """The serial driver may lose what its device had taken already: a few characters."""
    text = guest(f"""
        i=0
        while [ $i -lt 300 ]; do
            echo "line $i of some text that goes to the console"
            i=$((i + 1))
            [ $((i % 30)) = 15 ] && /bin/svc kill {service} && usleep 50000
        done
        /bin/svc status {service}""").text
    lines = text.replace("\r", "").splitlines()
    want = [f"line {i} of some text that goes to the console" for i in range(300)]
    missing = len(want) - sum(line in set(lines) for line in want)
    assert missing <= (10 if service == "uart16550" else 0), text
    assert 5 <= causes(text)["requested"] <= 10, text  # a kill before it is back is none


def test_disk_driver_returns_after_devmgr(guest):
    """The device is granted to the driver's instance, not to its process."""
    text = guest("set -e; /bin/svc kill devmgr; /bin/svc kill virtio_blk; dd if=/bin/busybox of=/tmp/x 2>/dev/null;"
                 f"cmp /bin/busybox /tmp/x; {soon(away('devmgr', 1))}; {soon(away('virtio_blk', 1))}; /bin/svc list").text
    assert re.search(r"^devmgr +running .* 1 ", text, re.M) and re.search(r"^virtio_blk +running .* 1 ", text, re.M), text


@pytest.mark.parametrize("service", ["pm", "vfs"])
def test_programs_end_with_what_they_need(guest, service):
    """Cold restarts of pm and vfs end all programs, and say so; init starts again."""
    result = guest(f"echo before; /bin/svc kill {service} cold; sleep 1000; echo after", expect=127)
    assert re.search(rf"XINIM: {service} died \(requested: by svc\); all programs end, init starts again", result.text)
    assert "before" in result.text and "after" not in result.text


def test_terminal_is_opened_anew_after_a_cold_tty(guest):
    """Who had it open has lost it; that is all."""
    text = guest(f"/bin/svc kill tty cold; until {away('tty', 1)}; do usleep 50000; done;"
                 "echo lost; exec >/dev/console 2>&1; echo found; /bin/svc status tty").text
    assert "lost" not in text and "found" in text and re.search(r"^state +running", text, re.M), text


def test_files_are_there_after_minix_died(guest, image, fsck):
    text = guest("set -e; echo kept >/root/f; sync; /bin/svc kill minix; usleep 200000; cat /root/f; echo more >/root/g;"
                 "sync; cat /root/g", image=image).text
    assert "kept" in text and "more" in text
    fsck(image)


def test_what_the_kernel_holds(guest):
    # What starts the machine has ended when nothing changes any more; and a process that has ended is there for a moment.
    text = guest("held() { grep -E '^(processes|spaces) ' /proc/xinim/kernel; }\n"
                 "one_more() { echo \"$was\" | while read name count; do echo $name $((count + 1)); done; }\n" +
                 soon('{ was=$(held); usleep 200000; [ "$(held)" = "$was" ]; }') + '; cat /proc/xinim/kernel; sleep 1000 &\n' +
                 soon('{ now=$(held); [ "$now" = "$(one_more)" ]; }') + '; echo; echo "$was"; echo; echo "$now"').text
    memory, before, after = (dict(line.split() for line in part.splitlines() if line) for part in text.replace("\r", "").split("\n\n"))
    assert int(memory["memory_kib"]) > int(memory["free_kib"]) > 0
    assert int(after["processes"]) == int(before["processes"]) + 1 and int(after["spaces"]) == int(before["spaces"]) + 1, text


def test_stats(guest):
    text = guest(f"/bin/svc kill tty; {soon(away('tty', 1))}" + """; /bin/svc stats --json; echo END; /bin/svc stats; /bin/svc stats --yaml; echo $?
        for n in 1 2 3 4 5 6; do /bin/svc inject pm entry $n; (true); usleep 50000; done; echo JSON; /bin/svc stats --json""").text
    text, _, later = text.partition("JSON")
    stats, later = json.loads(text.partition("END")[0]), json.loads(later)
    one, total = {"requested": 1}, stats["total"]
    assert total["crashes"] == total["recoveries"] == total["outages"]["count"] == 1 and total["causes"] == one, text
    assert total["failed_recoveries"] == 0 and total["memory_kib"] > 0 and total["cpu_ms"] > 0 and total["uptime_ms"] > 0, text
    assert total["outages"]["min_ms"] == total["outages"]["median_ms"] == total["outages"]["max_ms"] > 0, text
    services = {service["name"]: service for service in stats["services"]}
    assert services["tty"]["crashes"] == services["tty"]["restarts"] == services["tty"]["outages"]["count"] == 1
    assert services["tty"]["outages"]["max_ms"] > 0 and services["tty"]["causes"] == one and services["tty"]["starts"] == 2
    # pm dies in the midst of calls, which come again.
    pm = {service["name"]: service for service in later["services"]}["pm"]
    assert pm["crashes"] >= 3 and later["total"]["redelivered"] >= pm["redelivered"] >= 1, later
    assert services["vfs"]["crashes"] == 0 and services["vfs"]["state"] == "running"
    assert all(service["memory_kib"] > 0 and service["handles"] > 0 and service["mapped_kib"] > 0 for service in services.values() if service["state"] == "running")
    assert "in total: 1 crashes, 1 recoveries, 0 more that failed" in text and re.search(r"^outages: min \d+\.\d ms, median", text, re.M), text
    assert text.rstrip().endswith("2"), text


def test_figures_in_proc(guest):
    """/proc/xinim: for any program, by columns; what `svc` tells is the same."""
    text = guest(f"""/bin/svc kill tty; {soon(away('tty', 1))}
        for f in services stats events; do echo FILE; cat /proc/xinim/$f; done; /bin/svc kill rs; {soon(away('rs', 1))}; /bin/svc status rs""").text
    services, stats, events = (part.replace("\r", "").splitlines()[1:] for part in text.split("FILE")[1:])
    rows = {line.split()[0]: line.split(None, 6) for line in services[1:] if line}
    assert services[0].startswith("name state incarnation uptime_ms restarts last_cause why")
    assert rows["tty"][1] == "running" and rows["tty"][4:6] == ["1", "requested"] and rows["e1000"][1] == "absent", services
    figures = {line.split()[0]: dict(zip(stats[0].split(), line.split())) for line in stats[1:] if line}
    assert figures["tty"]["crashes"] == figures["tty"]["warm_restarts"] == figures["tty"]["outages"] == "1", stats
    assert figures["tty"]["starts"] == "2" and figures["tty"]["by_requested"] == "1" and figures["tty"]["by_exit"] == "0", stats
    assert int(figures["tty"]["outage_max_us"]) > 0 and int(figures["vfs"]["received"]) > 100, stats
    assert any("restarted warm after requested" in line for line in events), events
    assert re.search(r"outages +1  min \d+\.\d+ ms", text), text


def test_disk_driver_remembers(guest):
    """A disk's scheduler and counts outlive its driver; a cold restart by svc discards them."""
    text = guest("""blkctl vda scheduler fair; cat /bin/busybox >/dev/null; dd if=/dev/vda of=/dev/null bs=64k count=64 2>/dev/null
        sleep 2; echo FILE; grep -E "^(read|scheduler)" /proc/xinim/block
        /bin/svc kill virtio_blk; """ + soon(away("virtio_blk", 1)) + """; echo FILE; grep -E "^(read|scheduler)" /proc/xinim/block
        /bin/svc kill virtio_blk cold; """ + soon(away("virtio_blk", 2)) + """; echo FILE; grep -E "^(read|scheduler)" /proc/xinim/block; /bin/svc log 30""").text
    before, after, cold = text.split("FILE")[1:]
    count = [int(re.search(r"^read +(\d+) operations", part, re.M)[1]) for part in (before, after, cold)]
    assert count[1] >= count[0] > 60 and count[2] < count[0], text
    assert "[fair]" in before and "[fair]" in after and "[fair]" not in cold, text
    assert "its checkpoints are discarded: as asked for" in cold, text
