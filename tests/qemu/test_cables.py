# SPDX-License-Identifier: BSD-2-Clause
"""Several network devices at once; cables that are pulled and put back under
traffic, or lose frames; the MTU as set by ifconfig."""
import functools
import hashlib
import http.server
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest
from conftest import PATIENCE, soon
from wire import Tap

NICS = ["virtio", "e1000"]


def up(interface):
    """For a guest's script: it has an address."""
    return soon(f"ifconfig {interface} | grep -q 'inet addr'") + "; "


@pytest.fixture
def web(tmp_path):
    """A file of 8 MiB on an HTTP server of the host's: the port, and the file's MD5."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass
    content = os.urandom(8 << 20)
    (tmp_path / "file").write_bytes(content)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], hashlib.md5(content).hexdigest()
    server.shutdown()


class Monitor:
    """QEMU's QMP at a UNIX socket, as soon as there is one."""

    def __init__(self, path):
        deadline = time.monotonic() + PATIENCE
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(str(path)):
            assert time.monotonic() < deadline, "QEMU has no monitor"
            time.sleep(0.1)
        self.lines = self.socket.makefile()
        self.lines.readline()
        self("qmp_capabilities")

    def __call__(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while "return" not in (reply := json.loads(self.lines.readline())):
            assert "error" not in reply, reply


def frames(path):
    """Frames of a capture of QEMU's filter-dump."""
    data, at = path.read_bytes(), 24
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def dhcp_requests(path):
    return sum(1 for f in frames(path) if f[12:14] == b"\x08\x00" and f[23] == 17 and f[36:38] == b"\x00\x43" and
               b"\x35\x01\x03" in f[282:])


@pytest.mark.parametrize("nic", NICS)
def test_pulled_under_traffic(root, web, tmp_path, nic):
    """Downloads go on when the cable is back, and the lease is asked for again."""
    port, digest = web
    monitor, capture = tmp_path / "qmp", tmp_path / "capture"
    command = (up("eth0") + f"echo begin; until wget -q -O /dev/null http://10.0.2.2:{port}/pulled 2>/dev/null; do "
               f"wget -q -O - http://10.0.2.2:{port}/file | md5sum; done; ifconfig eth0; echo end")
    guest = subprocess.Popen([str(root / "xinim"), "exec", "--nic", nic, "--net", "user", "--timeout", str(PATIENCE), "--qemu",
                              f"-qmp unix:{monitor},server=on,wait=off -object filter-dump,id=f0,netdev=net0,file={capture}",
                              "--", command], stdout=subprocess.PIPE, text=True)
    try:
        qmp = Monitor(monitor)
        assert guest.stdout.readline() == "begin\n"
        leases = dhcp_requests(capture)
        for _ in range(3):
            time.sleep(0.5)
            qmp("set_link", name="net0", up=False)
            time.sleep(0.7)
            qmp("set_link", name="net0", up=True)
        (tmp_path / "pulled").touch()
        text, _ = guest.communicate(timeout=PATIENCE)
    finally:
        guest.kill()
    sums = [line.split()[0] for line in text.splitlines() if line.endswith("  -")]
    assert sums and set(sums) == {digest} and "inet addr:10.0.2.15" in text and "RUNNING" in text, text
    assert leases >= 1 and dhcp_requests(capture) > leases, "no lease was asked for when the cable was back"


def test_two_devices(guest, web):
    """VirtIO and E1000, each in a network of its own, both with an address by DHCP."""
    port, digest = web
    text = guest(up("eth0") + up("eth1") + "ifconfig; route -n; for n in 2 3; do ping -c 1 10.0.$n.2;"
                 f"wget -q -O - http://10.0.$n.2:{port}/file | md5sum; done; /bin/svc kill e1000; /bin/svc kill net;"
                 f"for n in 2 3; do wget -q -O - http://10.0.$n.2:{port}/file | md5sum; done; ifconfig eth1 down;"
                 "echo routes $(route -n | grep -c eth1); ping -c 1 10.0.2.2",
                 nic="virtio", net="user", qemu="-netdev user,id=net1,net=10.0.3.0/24 -device e1000,netdev=net1").text
    assert "inet addr:10.0.2.15" in text and "inet addr:10.0.3.15" in text, text
    assert text.count(digest) == 4 and text.count(" 0% packet loss") == 3 and "routes 0\n" in text, text


@pytest.mark.parametrize("nic", NICS)
def test_mtu(guest, web, tmp_path, nic):
    """Nothing longer than the MTU leaves, neither segments that the device cuts nor datagrams; TCP tells the other
    end; data still arrives both ways."""
    port, digest = web
    capture = tmp_path / "capture"
    text = guest(up("eth0") + "ifconfig eth0 mtu 600; ifconfig eth0; cat /proc/net/dev >/tmp/x;"
                 f"wget -q -O - http://10.0.2.2:{port}/file | md5sum; ping -c 1 -s 2000 10.0.2.2;"
                 f"dd if=/dev/zero bs=65536 count=4 2>/dev/null | nc -w 1 10.0.2.2 {port} | head -c 9; echo;"
                 "ifconfig eth0 mtu 9999 2>&1; ifconfig eth0 mtu 60 2>&1; true", nic=nic, net="user",
                 qemu=f"-object filter-dump,id=f0,netdev=net0,file={capture}").text
    assert "MTU:600" in text and digest in text and " 0% packet loss" in text, text
    assert text.count("SIOCSIFMTU") == 2, text
    seen, syns = False, []
    for f in frames(capture):
        if f[12:14] != b"\x08\x00" or f[26:30] != bytes((10, 0, 2, 15)):
            continue
        tcp = 14 + (f[14] & 15) * 4
        if f[23] == 6 and f[tcp + 13] & 2:
            syns.append(struct.unpack_from(">H", f, tcp + 22)[0])
            seen = True
        assert not seen or len(f) <= 614, len(f)
    assert syns and set(syns) == {560}, syns


def test_tshark_finds_no_fault(guest, root, web, tmp_path):
    """What the guest sends as DHCP client, resolver, pinger (fragments, too), and of TCP, is as the RFCs have it: tshark
    dissects it without a complaint, and all checksums are right (the e1000 makes them ahead of the capture)."""
    subprocess.run([root / "tools/install-packages", "tshark"], check=True, timeout=900)
    port, content = web
    capture = tmp_path / "capture"
    text = guest(up("eth0") + "ping -c 2 10.0.2.2; ping -c 1 -s 4000 10.0.2.2; nslookup localhost 10.0.2.3;"
                 f"wget -q -O - http://10.0.2.2:{port}/file | md5sum;"
                 "ping -6 -c 1 fec0::2; nc -w 1 10.0.2.2 1 </dev/null; echo end",
                 nic="e1000", net="user", qemu=f"-object filter-dump,id=dump,netdev=net0,file={capture}").text
    assert content in text and "end" in text
    fields = ["-e", "frame.number", "-e", "_ws.col.Protocol", "-e", "_ws.col.Info", "-e", "_ws.expert.message"]
    checks = [word for name in ("ip", "tcp", "udp") for word in ("-o", f"{name}.check_checksum:TRUE")]

    def shown(what):
        command = ["tshark", "-n", "-r", str(capture), *checks, "-Y", f"eth.src == 52:54:00:12:34:56 && ({what})", "-T", "fields",
                   *fields]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
    sent = shown("frame")
    assert {"DHCP", "ARP", "ICMP", "DNS", "HTTP", "TCP", "ICMPv6"} <= {line.split("\t")[1] for line in sent.splitlines()}, sent
    assert not (bad := shown("_ws.malformed || _ws.expert.severity == error || ip.checksum.status == Bad || "
                             "tcp.checksum.status == Bad || udp.checksum.status == Bad || icmp.checksum.status == Bad || "
                             "icmpv6.checksum.status == Bad")), bad


@pytest.mark.skipif(not Tap.possible(), reason="needs root and /dev/net/tun for a tap of its own")
def test_sending_under_loss(root, tmp_path):
    """24 MiB through a cable (lossy.c) that loses 0.5 % of what the guest sends: all bytes arrive, and not by
    time-outs one by one."""
    subprocess.run(["make", "-s", "build/guest/bulk"], cwd=root, check=True)
    subprocess.run(["cc", "-O2", "-o", str(tmp_path / "lossy"), str(root / "tests/qemu/lossy.c")], check=True)
    bulk, wire = str(root / "build/guest/bulk"), Tap()
    ends = [["take", str(bulk), "take", "10.0.9.1", "5001", "24"],
            ["lossy", str(tmp_path / "lossy"), "tap0", str(tmp_path / "host"), str(tmp_path / "guest"), "5"]]
    processes = []
    try:
        for _, *command in ends:
            processes.append(subprocess.Popen(wire.command(command), stdout=subprocess.PIPE, text=True))
            assert processes[-1].stdout.readline() in ("listens\n", "ready\n")
        result = subprocess.run([str(root / "xinim"), "exec", "--nic", "virtio", "--net",
                                 f"dgram:{tmp_path}/guest,{tmp_path}/host", "--append", "net.dhcp=off", "--file",
                                 f"{bulk}:/root/bulk", "--timeout", str(PATIENCE), "--",
                                 "ifconfig eth0 10.0.9.2 netmask 255.255.255.0; /root/bulk send 10.0.9.1 5001 24"],
                                capture_output=True, text=True, check=False)
        print(result.stdout)
        assert f"send: {24 << 20} bytes" in result.stdout, result.stdout + result.stderr
        assert processes[0].wait(timeout=PATIENCE) == 0, processes[0].stdout.read()
        processes[1].kill()
        told = processes[1].communicate()[0].split()
        silences = told[told.index("lost"):].count("silence")
        assert told.count("lost") > 30 and silences < told.count("lost") / 2, (told.count("lost"), silences)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        wire.close()
