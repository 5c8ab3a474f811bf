# SPDX-License-Identifier: BSD-2-Clause
"""Network drivers, without the network stack: tests/native/netecho is at the
guest's end of the cable (in place of `net`), this file at the other."""
import json
import select
import socket
import struct
import subprocess
import time

import bootarchive
import pytest
from conftest import PATIENCE, outages, soon
from wire import Echo, Tap, Wire, order, pattern, HOST_MAC, BROADCAST

NICS = ["virtio", "e1000", "e1000e"]
DRIVER = {"virtio": "virtio_net", "e1000": "e1000", "e1000e": "e1000"}
HOST_IP, GUEST_IP = bytes([10, 0, 9, 1]), bytes([10, 0, 9, 2])
MULTICAST = bytes.fromhex("01005e000905")


def ones_sum(data, start=0):
    data += b"\0" * (len(data) % 2)
    total = start + sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@pytest.fixture(scope="module")
def archive(root, tmp_path_factory):
    """The boot archive with netecho in the place of net."""
    subprocess.run(["make", "-s", "build/bin/netecho"], cwd=root, check=True)
    return bootarchive.make(tmp_path_factory.mktemp("net") / "archive", {
        "bin/netecho": "build/bin/netecho", "manifest/netecho": "tests/native/netecho/manifest",
        "bin/net": None, "manifest/net": None})


@pytest.fixture(scope="module")
def root():
    from conftest import ROOT
    return ROOT


@pytest.fixture
def start(root, archive, tmp_path):
    """start(nic, command) boots a guest that runs the command; gives its wire, netecho and process."""
    running = []

    def begin(nic, command="sleep 10000", tap=False, **options):
        wire = Tap() if tap else Wire(tmp_path)
        arguments = [str(root / "xinim"), "exec", "--archive", str(archive), "--nic", nic, "--net", wire.option,
                     "--append", f"netecho={DRIVER[nic]}", "--timeout", str(2 * PATIENCE)]
        for key, value in options.items():
            arguments += [f"--{key}", *([] if value is True else [str(value)])]
        process = subprocess.Popen(wire.command([*arguments, "--", command]), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        running.append((wire, process))
        echo = Echo(wire)
        echo.process = process
        echo.stats(timeout=PATIENCE)
        return wire, echo

    yield begin
    for wire, process in running:
        process.terminate()
        process.communicate()
        wire.close()


def answer(wire, right, timeout=PATIENCE):
    """The next frame that is `right`."""
    until = time.monotonic() + timeout
    while (left := until - time.monotonic()) > 0:
        frame = wire.receive(left)
        if frame and right(frame):
            return frame
    raise AssertionError("no answer")


def ipv4(mac, protocol, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 7, 0, 64, protocol, 0, HOST_IP, GUEST_IP)
    header = header[:10] + struct.pack("!H", ~ones_sum(header) & 0xFFFF) + header[12:]
    return mac + HOST_MAC + b"\x08\x00" + header + payload


def echo_all_sizes(wire, echo):
    for size in (1, 17, 18, 63, 64, 65, 500, 1000, 1469, 1470):
        sent = order(b"E", to=echo.mac, number=size, payload=pattern(size, size))
        wire.send(sent)
        got = answer(wire, lambda frame: frame[12:15] == b"\x88\xb5E")
        assert got[:12] == HOST_MAC + echo.mac and got[12:len(sent)] == sent[12:]


@pytest.mark.parametrize("nic", NICS)
def test_protocols(start, nic):
    """ARP, ICMP, UDP (checksummed by the device where it can), frames of many sizes, both machines' interrupts."""
    wire, echo = start(nic, **({} if nic == "virtio" else {"no-iommu": True}))
    wire.send(BROADCAST + HOST_MAC + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + HOST_MAC + HOST_IP + bytes(6) + GUEST_IP)
    got = answer(wire, lambda frame: frame[12:14] == b"\x08\x06")
    assert got[20:42] == b"\0\2" + echo.mac + GUEST_IP + HOST_MAC + HOST_IP
    ping = struct.pack("!BBHHH", 8, 0, 0, 1, 1) + pattern(1, 56)
    ping = ping[:2] + struct.pack("!H", ~ones_sum(ping) & 0xFFFF) + ping[4:]
    wire.send(ipv4(echo.mac, 1, ping))
    got = answer(wire, lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == 1)
    assert got[34] == 0 and got[38:98] == ping[4:] and ones_sum(got[34:98]) == 0xFFFF
    for size in (1, 2, 100, 1471, 1472):
        datagram = struct.pack("!HHHH", 4000, 7, 8 + size, 0) + pattern(size, size)
        wire.send(ipv4(echo.mac, 17, datagram))
        got = answer(wire, lambda frame: frame[12:14] == b"\x08\x00" and frame[23] == 17)
        assert got[34:38] == struct.pack("!HH", 7, 4000) and got[42:42 + size] == pattern(size, size)
        assert ones_sum(got[26:34] + struct.pack("!HH", 17, 8 + size) + got[34:42 + size]) == 0xFFFF
    echo_all_sizes(wire, echo)
    # Many at once, each byte looked at by netecho.
    before = echo.stats()
    for number in range(2000):
        wire.send(order(b"X", to=echo.mac, number=number, size=400, payload=pattern(number, 400)))
    after = echo.stats()
    assert after["bad"] == 0 and after["failed"] == 0 and after["sunk"] > before["sunk"]
    wire.send(order(b"B", to=echo.mac, number=5, count=300, size=1000))
    for number in range(5, 305):
        got = answer(wire, lambda frame: frame[12:15] == b"\x88\xb5X")
        assert struct.unpack_from("<I", got, 16)[0] == number and got[30:] == pattern(number, 1000)


@pytest.mark.parametrize("nic", NICS)
def test_filter(start, nic):
    """Multicast by address, all multicast, promiscuous."""
    wire, echo = start(nic, machine="pc" if nic == "e1000" else "q35")

    def heard(to):
        before = echo.stats()["sunk"]
        wire.send(order(b"X", to=to, payload=bytes(60)))
        return echo.stats()["sunk"] - before  # asked behind it, on the same wire

    def configure(mode=0, addresses=b"", yes=(), no=()):
        """What is heard then: in the end, for a device takes a moment for it (the E1000 of QEMU a second)."""
        wire.send(order(b"C", to=echo.mac, count=len(addresses) // 6, size=mode, payload=addresses))
        deadline = time.monotonic() + PATIENCE
        while not all(map(heard, yes)) or any(map(heard, no)):
            assert time.monotonic() < deadline, (mode, addresses, yes, no)

    other, another = bytes.fromhex("020000000977"), bytes.fromhex("01005e000801")
    configure(yes=[echo.mac, BROADCAST], no=[MULTICAST, other])
    configure(addresses=bytes.fromhex("3333000000fb") + MULTICAST, yes=[MULTICAST], no=[another])
    # The e1000 of QEMU looks unicast up in the table too.
    configure(mode=2, yes=[MULTICAST, another], no=[other] if nic == "virtio" else [])
    configure(mode=1, yes=[other])
    configure(no=[other, MULTICAST])


def qmp(path, command, **arguments):
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(path))
        stream = monitor.makefile("rw")
        stream.readline()
        for line in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            while "return" not in (reply := json.loads(stream.readline())):
                assert "error" not in reply, reply


@pytest.mark.parametrize("nic", NICS)
def test_link(start, nic, tmp_path):
    """The cable is pulled and put back; then everything works as before."""
    monitor = tmp_path / "qmp"
    command = ("for what in down up; do n=0; until svc log -k | grep 'netecho  *link' | tail -1 | grep -q \"link $what\"; "
               "do sleep 1; n=$((n + 1)); [ $n -lt 60 ] || break; done; echo $what; done; sleep 10000")
    wire, echo = start(nic, command, qemu=f"-qmp unix:{monitor},server=on,wait=off")
    qmp(monitor, "set_link", name="net0", up=False)
    assert echo.process.stdout.readline() == b"down\n"
    qmp(monitor, "set_link", name="net0", up=True)
    assert echo.process.stdout.readline() == b"up\n"
    assert echo.stats()["link"] == 1
    echo_all_sizes(wire, echo)


def stream(wire, echo, seconds, window=48):
    """A windowed stream of numbered frames through the guest and back, sent again until echoed; every byte is
    compared. Returns (frames, frames sent again)."""
    out, number, again, end = {}, 0, 0, time.monotonic() + seconds
    while time.monotonic() < end or out:
        now = time.monotonic()
        while len(out) < window and now < end:
            out[number] = [order(b"E", to=echo.mac, number=number, payload=pattern(number, 1200)), now]
            wire.send(out[number][0])
            number += 1
        frame = wire.receive(0.05)
        if frame and frame[12:15] == b"\x88\xb5E":
            sent = out.pop(struct.unpack_from("<I", frame, 16)[0], None)
            assert sent is None or frame[12:] == sent[0][12:]
        if frame is None or number % 16 == 0:
            for entry in out.values():
                if now - entry[1] > 0.3:
                    wire.send(entry[0])
                    entry[1] = now
                    again += 1
        assert now < end + PATIENCE, f"{len(out)} frames never came back"
    return number, again


@pytest.mark.parametrize("nic", NICS)
def test_killed(start, nic):
    """The driver killed every 100 ms under a stream; then made to hang, fault and exit."""
    again = soon(outages(DRIVER[nic], "$n"))
    kills = (f"n=0; while [ $n -lt 40 ]; do svc kill {DRIVER[nic]} >/dev/null; n=$((n + 1)); {again}; usleep 100000; done; "
             f"for how in hang exception exit; do svc inject {DRIVER[nic]} $how; n=$((n + 1)); {again}; done; echo done; sleep 10000")
    wire, echo = start(nic, kills)
    frames = again = 0
    while not select.select([echo.process.stdout], [], [], 0)[0] or frames < 1000:
        sent, sent_again = stream(wire, echo, 2)
        frames, again = frames + sent, again + sent_again
    assert echo.process.stdout.readline() == b"done\n"
    counts = echo.stats()
    print(nic, frames, "frames,", again, "sent again,", counts["reopened"], "sessions more")
    assert counts["bad"] == 0 and counts["reopened"] >= 10
    before = echo.stats()["reopened"]
    echo_all_sizes(wire, echo)
    assert echo.stats()["reopened"] == before


@pytest.mark.parametrize("options", [["packed=on"], ["packed=on", "event_idx=off", "indirect_desc=off"], ["indirect_desc=off"]])
def test_virtio_rings(start, options):
    """The kinds of rings a virtio device may offer, the driver killed now and then."""
    wire, echo = start("virtio", "n=0; while [ $n -lt 6 ]; do usleep 400000; svc kill virtio_net; n=$((n + 1)); " +
                       soon(outages("virtio_net", "$n")) + "; done; sleep 10000",
                       qemu=" ".join(f"-global virtio-net-pci.{option}" for option in options))
    frames, counts, deadline = 0, echo.stats(), time.monotonic() + PATIENCE
    while counts["reopened"] < 3 or frames < 500:
        assert time.monotonic() < deadline, counts
        frames += stream(wire, echo, 1)[0]
        counts = echo.stats()
    assert counts["bad"] == 0


def tcp(mac, payload):
    length = 20 + len(payload)
    pseudo = ones_sum(HOST_IP + GUEST_IP + struct.pack("!HH", 6, length))
    segment = struct.pack("!HHIIBBHHH", 9, 9, 0, 0, 0x50, 0x10, 1000, pseudo, 0) + payload
    return ipv4(mac, 6, segment)


def check_segments(frames, number, size):
    """TCP segments of one packet that was cut: sequence, lengths, both checksums; returns the payload."""
    data = b""
    for frame in frames:
        total = struct.unpack_from("!H", frame, 16)[0]
        assert total <= 1500 and ones_sum(frame[14:34]) == 0xFFFF
        assert struct.unpack_from("!I", frame, 38)[0] == (number * size + len(data)) % (1 << 32)
        segment = frame[34:14 + total]
        assert ones_sum(frame[26:34] + struct.pack("!HH", 6, len(segment)) + segment) == 0xFFFF
        data += segment[20:]
    return data


@pytest.mark.skipif(not Tap.possible(), reason="needs root and /dev/net/tun for a tap of its own")
@pytest.mark.parametrize("nic", NICS)
def test_offloads(start, nic):
    """Packets of 64 KiB: whole to and from virtio, cut by the e1000; QEMU's e1000e hands them on whole."""
    wire, echo = start(nic, tap=True)
    size, count = 64000, 20
    for burst in range(0, count, 4):
        wire.send(order(b"B", to=echo.mac, number=burst, count=4, size=size, gso=1448))
        for number in range(burst, burst + 4):
            frames, length = [], 0
            while length < size:
                header, frame = wire.receive_whole(PATIENCE)
                assert frame is not None, f"packet {number}: {length} bytes came"
                if frame[12:14] == b"\x08\x00" and frame[23] == 6:
                    frames.append(frame)
                    length += len(frame) - 54
            if nic != "e1000":
                assert header[1] == 1 and header[3] == 1448 and len(frames) == 1
                assert frames[0][54:] == pattern(number, size)
            else:
                assert check_segments(frames, number, size) == pattern(number, size)
    if nic == "virtio":
        before = echo.stats()
        for number in range(count):
            payload = struct.pack("!I", number) + bytes(size - 4)
            wire.send(tcp(echo.mac, payload), struct.pack("<BBHHHH", 1, 1, 54, 1448, 34, 16))
        after = echo.stats()
        assert after["joined"] - before["joined"] == count and after["sunk"] - before["sunk"] == count
        assert after["bytes"] - before["bytes"] >= count * (size + 54)


STREAMS = """
import hashlib, socket, threading
DATA = bytes(range(251)) * 6000
BLOCK = 64 * 1024 * 80
enough = threading.Event()
def listen(port):
    listener = socket.create_server(("10.0.9.1", port))
    print("listens", flush=True)
    return listener.accept()[0]
def take(port):
    # The guest sends the same block again and again.
    connection, block, count = listen(port), hashlib.md5(), 0
    while data := connection.recv(min(1 << 18, BLOCK - count % BLOCK)):
        block.update(data)
        count += len(data)
        if count % BLOCK == 0:
            print("block", block.hexdigest(), flush=True)
            block = hashlib.md5()
    print("in", "whole" if count and count % BLOCK == 0 else count, flush=True)
def give(port):
    connection, sum = listen(port), hashlib.md5()
    while not enough.is_set():
        connection.sendall(DATA)
        sum.update(DATA)
    connection.close()
    print("out", sum.hexdigest(), flush=True)
for i in range(4):
    threading.Thread(target=take, args=(5001 + i,)).start()
    threading.Thread(target=give, args=(6001 + i,)).start()
listen(7001)
enough.set()
"""


@pytest.mark.skipif(not Tap.possible(), reason="needs root and /dev/net/tun for a tap of its own")
@pytest.mark.parametrize("nic", ["virtio", "e1000"])
def test_connections(root, nic):
    """Eight checksummed TCP streams of the real stack that last as long as eight kills of the driver: no byte wrong, none lost."""
    wire = Tap()
    server = subprocess.Popen(wire.command(["/usr/bin/python3", "-c", STREAMS]), stdout=subprocess.PIPE, text=True)
    command = ("ifconfig eth0 10.0.9.2 netmask 255.255.255.0; dd if=/dev/urandom of=/tmp/f bs=64k count=80 2>/dev/null; "
               "md5sum /tmp/f; P=; for i in 1 2 3 4; do "
               "while [ ! -e /tmp/enough ]; do cat /tmp/f; done | nc 10.0.9.1 500$i & P=\"$P $!\"; "
               "(nc 10.0.9.1 600$i </dev/null | md5sum) & P=\"$P $!\"; done; "
               f"for i in 1 2 3 4 5 6 7 8; do usleep 200000; svc kill {DRIVER[nic]} >/dev/null; {soon(outages(DRIVER[nic], '$i'))}; done; "
               "touch /tmp/enough; nc 10.0.9.1 7001 </dev/null; wait $P; svc status " + DRIVER[nic])
    try:
        for _ in range(9):
            server.stdout.readline()  # that all listen
        result = subprocess.run(wire.command([str(root / "xinim"), "exec", "--nic", nic, "--net", wire.option,
                                              "--timeout", str(PATIENCE), "--", command]), capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr
        text = server.communicate(timeout=PATIENCE)[0].split("\n")
        block = result.stdout.split()[0]
        assert {line for line in text if line.startswith("block")} == {f"block {block}"}, (text, result.stdout)
        assert text.count("in whole") == 4, (text, result.stdout)
        sent = [line.split()[1] for line in text if line.startswith("out")]
        received = [line.split()[0] for line in result.stdout.splitlines() if line.endswith("  -")]
        assert len(sent) == 4 and sorted(sent) == sorted(received), (text, result.stdout)
        restarts = int(next(line for line in result.stdout.splitlines() if line.startswith("restarts")).split()[1])
        assert restarts == 8, result.stdout
    finally:
        server.kill()
        server.communicate()
        wire.close()


@pytest.mark.skipif(not Tap.possible(), reason="needs root and /dev/net/tun for a tap of its own")
@pytest.mark.parametrize("nic", ["virtio", "e1000"])
def test_bulk(root, nic):
    """One stream each way in blocks of 128 KiB, every byte compared. The e1000 cuts packets of 64 KiB, and the host
    acknowledges them in part: those parts, too, must leave the send buffer."""
    subprocess.run(["make", "-s", "build/guest/bulk"], cwd=root, check=True)
    bulk, wire, ends = str(root / "build/guest/bulk"), Tap(), []
    try:
        for how, port in (("take", 5001), ("give", 5002)):
            ends.append(subprocess.Popen(wire.command([bulk, how, "10.0.9.1", str(port), "160"]), stdout=subprocess.PIPE,
                                         text=True))
            assert ends[-1].stdout.readline() == "listens\n"
        command = ("ifconfig eth0 10.0.9.2 netmask 255.255.255.0; for how in send:5001 receive:5002; do "
                   "/root/bulk ${how%:*} 10.0.9.1 ${how#*:} 160; done; cat /proc/net/tcp")
        result = subprocess.run(wire.command([str(root / "xinim"), "exec", "--nic", nic, "--net", wire.option, "--append",
                                              "net.dhcp=off", "--file", f"{bulk}:/root/bulk", "--timeout", str(PATIENCE), "--",
                                              command]), capture_output=True, text=True, check=False)
        print(result.stdout)
        for how in ("send", "receive"):
            assert f"{how}: {160 << 20} bytes" in result.stdout, result.stdout + result.stderr
        for end in ends:
            assert end.wait(timeout=PATIENCE) == 0, end.stdout.read()
    finally:
        for end in ends:
            end.kill()
            end.communicate()
        wire.close()
