# SPDX-License-Identifier: BSD-2-Clause
"""A hostile network: what is on the wire beside honest connections, made here byte by
byte. The stack must not die, must not grow, and must go on answering."""
import hashlib
import os
import random
import re
import socket
import struct
import subprocess
import time

import pytest

from conftest import PATIENCE
from wire import Tap, HOST_MAC, BROADCAST

pytestmark = pytest.mark.skipif(not Tap.possible(), reason="needs root and /dev/net/tun for a tap of its own")

# XINIM_SOAK=N makes N times as much of everything, with both drivers; unset: the short form.
SOAK = int(os.environ.get("XINIM_SOAK", "0"))
SCALE = 3 * SOAK or 1
HOST, GUEST = bytes([10, 0, 9, 1]), bytes([10, 0, 9, 2])
ALL_NODES, HOST6 = bytes.fromhex("ff02" + 13 * "00" + "01"), bytes.fromhex("fe80" + 6 * "00" + "000000fffe000901")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(protocol, payload, source=HOST, to=GUEST, ident=1, fragment=0, ttl=64, options=b""):
    header = struct.pack("!BBHHHBBH4s4s", 0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), ident, fragment,
                         ttl, protocol, 0, source, to) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ip6(protocol, payload, source=HOST6, to=ALL_NODES, hops=255):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), protocol, hops, source, to) + payload


def with_sum(segment, at, protocol, source=HOST, to=GUEST):
    pseudo = source + to + struct.pack("!II" if len(source) == 16 else "!HH", *((len(segment), protocol) if
                                       len(source) == 16 else (protocol, len(segment))))
    return segment[:at] + struct.pack("!H", checksum(pseudo + segment)) + segment[at + 2:]


def tcp(port, to_port, flags, seq=0, ack=0, payload=b"", options=b"", window=1000, source=HOST):
    header = struct.pack("!HHIIBBHHH", port, to_port, seq, ack, (5 + len(options) // 4) << 4, flags, window, 0, 0)
    return with_sum(header + options + payload, 16, 6, source)


def udp(to_port, payload, source=HOST):
    return with_sum(struct.pack("!HHHH", 999, to_port, 8 + len(payload), 0) + payload, 6, 17, source)


def icmp(kind, code, rest):
    return struct.pack("!BBH", kind, code, checksum(struct.pack("!BBH", kind, code, 0) + rest)) + rest


def icmp6(kind, rest, source=HOST6, to=ALL_NODES):
    return ip6(58, with_sum(struct.pack("!BBH", kind, 0, 0) + rest, 2, 58, source, to), source, to)


class Attacker:
    def __init__(self, wire, mac):
        self.wire, self.mac, self.random = wire, mac, random.Random(7)

    def send(self, packet, kind=0x800, to=None):
        try:
            self.wire.send((to or self.mac) + HOST_MAC + struct.pack("!H", kind) + packet)
        except OSError:
            pass  # the tap's queue is full: lost, as on any wire

    def address(self):
        return bytes([10, 0, 9, self.random.randrange(3, 255)])

    def mutilated(self):
        """Right packets of each kind with bytes changed, cut off, or put behind."""
        good = [(0x800, ip4(6, tcp(7777, 80, 2, options=bytes([2, 4, 5, 180, 4, 2, 3, 3, 7, 0, 0, 0])))),
                (0x800, ip4(6, tcp(7778, 80, 0x10, 5, 5, b"x" * 50, bytes([1, 1, 5, 18]) + bytes(16)))),
                (0x800, ip4(17, udp(68, b"\2\1\6\0" + bytes(300)))), (0x800, ip4(17, udp(53, b"x" * 30))),
                (0x800, ip4(1, icmp(8, 0, bytes(60)))), (0x800, ip4(1, icmp(3, 4, bytes(4) + ip4(6, tcp(80, 7777, 16))))),
                (0x800, ip4(2, icmp(0x11, 10, bytes(4)))), (0x800, ip4(17, udp(9, b"o" * 20), options=b"\x83\x0b\4" + GUEST * 2 + b"\0")),
                (0x806, struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + HOST_MAC + HOST + bytes(6) + GUEST),
                (0x86DD, icmp6(135, bytes(4) + ALL_NODES + b"\1\1" + HOST_MAC)),
                (0x86DD, icmp6(134, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + b"\3\4\x40\xc0" + bytes(12) + bytes(16))),
                (0x86DD, ip6(0, b"\x3a\0\5\2\0\0\1\0" + bytes(40))), (0x86DD, ip6(44, b"\x11\0\0\1\0\0\0\7" + bytes(64))),
                (0x86DD, ip6(43, b"\x11\2\0\1" + bytes(20 + 24))), (0x86DD, ip6(60, b"\x3c\0\1\4" * 40))]
        for _ in range(2000 * SCALE):
            kind, packet = self.random.choice(good)
            packet = bytearray(packet)
            for _ in range(self.random.randrange(4)):
                packet[self.random.randrange(len(packet))] = self.random.randrange(256)
            if self.random.random() < 0.3:
                del packet[self.random.randrange(len(packet)):]
            if self.random.random() < 0.1:
                packet += self.random.randbytes(self.random.randrange(400))
            if kind == 0x800 and len(packet) >= 20 and self.random.random() < 0.7:
                packet[10:12] = b"\0\0"
                packet[10:12] = struct.pack("!H", checksum(bytes(packet[:(packet[0] & 15) * 4])))
            self.send(bytes(packet), kind, BROADCAST if self.random.random() < 0.1 else None)
        for size in range(60):
            self.wire.send((self.mac + HOST_MAC + b"\x08\x00" + bytes(60))[:max(size, 14)])

    def fragments(self):
        for ident in range(500 * SCALE):  # never whole; overlapping; tiny; beyond 64 KiB
            source = self.address()
            self.send(ip4(17, bytes(8), source, ident=ident, fragment=0x2000))
            self.send(ip4(17, bytes(24), source, ident=ident, fragment=0x2000 | self.random.randrange(4)))
            self.send(ip4(17, bytes(1400), source, ident=ident, fragment=0x2000 | self.random.randrange(8192)))
            if ident % 3 == 0:
                self.send(ip4(17, bytes(1400), source, ident=ident, fragment=8191))

    def floods(self):
        r = self.random
        for n in range(2000 * SCALE):
            source = self.address()
            self.send(ip4(6, tcp(r.randrange(1024, 65536), 80, 2, r.randrange(1 << 32), source=source,
                                 options=b"\2\4\5\xb4"), source))  # SYN flood
            self.send(struct.pack("!HHBBH", 1, 0x800, 6, 4, r.choice((1, 2))) + r.randbytes(6) + self.address() + bytes(6) +
                      GUEST, 0x806)
            if n % 4 == 0:
                self.send(ip4(1, icmp(5, 1, self.address() + ip4(6, tcp(80, 7777, 16), GUEST, HOST))))  # redirects
                to = bytes.fromhex("fe80" + 6 * "00") + r.randbytes(8)
                self.send(icmp6(136, b"\x60\0\0\0" + to + b"\2\1" + r.randbytes(6), to), 0x86DD)
                self.send(icmp6(135, bytes(4) + to + b"\1\1" + r.randbytes(6), to), 0x86DD)
                prefix = bytes.fromhex("20010db8") + r.randbytes(4) + bytes(8)
                self.send(icmp6(134, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + struct.pack("!BBBBIII", 3, 4, 64, 0xC0,
                                86400, 14400, 0) + prefix, to), 0x86DD)
        for port in range(1, 2000):  # a scan: SYN, FIN, no flags, all flags
            for flags in (2, 1, 0, 0x3F):
                self.send(ip4(6, tcp(40000, port, flags, 1, 1)))
            if port % 8 == 0:
                self.send(ip4(17, udp(port, b"scan")))


class Guest:
    """A guest with httpd on port 80 that ends when asked; /svc tells of `net`."""

    def __init__(self, root, tmp_path, wire, nic, *extra):
        self.wire, self.content = wire, os.urandom(1 << 20)
        (tmp_path / "page").write_bytes(self.content)
        files = {"end": "touch /tmp/end; echo ok", "svc": "/bin/svc status net"}
        arguments = [str(root / "xinim"), "exec", "--nic", nic, "--net", wire.option, "--timeout", str(PATIENCE * (SOAK + 1)),
                     "--file", f"{tmp_path}/page:/home/user/page"]
        for name, body in files.items():
            path = tmp_path / name
            path.write_text(f"#!/bin/sh\nexport PATH=/bin:/usr/bin:/sbin\nprintf 'Content-Type: text/plain\\r\\n\\r\\n'\n{body}\n")
            path.chmod(0o755)
            arguments += ["--file", f"{path}:/root/{name}"]
        command = ("mkdir -p /home/user/cgi-bin; mv /root/end /root/svc /home/user/cgi-bin/; "
                   "ifconfig eth0 10.0.9.2 netmask 255.255.255.0; httpd -p 80 -h /home/user; "
                   "while [ ! -e /tmp/end ]; do sleep 1; done; /bin/svc log -k | grep net")
        self.process = subprocess.Popen(wire.command([*arguments, "--append", " ".join(["net.dhcp=off", *extra]), "--", command]),
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.http("/cgi-bin/svc", tries=60)
        neighbour = self.wire.inside("ip", "neigh", "show", "10.0.9.2")
        self.mac = bytes.fromhex(re.search(r"lladdr (\S+)", neighbour).group(1).replace(":", ""))

    def http(self, path, tries=20, options=""):
        script = ("import socket,sys,time\ns=socket.socket()\ns.settimeout(20)\n" + options +
                  f"\ns.connect(('10.0.9.2',80))\ns.sendall(b'GET {path} HTTP/1.0\\r\\n\\r\\n')\n"
                  "if 'slow' in sys.argv: time.sleep(3)\n"
                  "d=b''\nwhile p:=s.recv(65536): d+=p\nsys.stdout.buffer.write(d.partition(b'\\r\\n\\r\\n')[2])")
        for _ in range(tries):
            got = subprocess.run(self.wire.command(["/usr/bin/python3", "-c", script, *(["slow"] if "RCVBUF" in options else [])]),
                                 capture_output=True, check=False)
            if got.returncode == 0 and got.stdout:
                return got.stdout
            time.sleep(0.5)
        raise AssertionError(f"no answer from the guest: {got.stderr.decode()[-500:]}")

    def status(self):
        text = self.http("/cgi-bin/svc").decode()
        return {line.split()[0]: line for line in text.splitlines() if line}

    def end(self):
        self.http("/cgi-bin/end")
        text = self.process.communicate(timeout=PATIENCE)[0]
        assert self.process.returncode == 0, text
        return text

    def stop(self):
        self.process.terminate()
        self.process.communicate()


@pytest.fixture
def start(root, tmp_path):
    running = []

    def begin(nic, *extra):
        wire = Tap()
        running.append(wire)
        guest = Guest(root, tmp_path, wire, nic, *extra)
        running.append(guest)
        return guest
    yield begin
    for one in reversed(running):
        one.stop() if isinstance(one, Guest) else one.close()


def kib(status):
    return int(status["memory"].split()[1])


@pytest.mark.parametrize("nic", ["virtio", "e1000"] if SOAK else ["virtio"])
def test_hostile(start, nic):
    guest = start(nic)
    attacker, memory = Attacker(guest.wire, guest.mac), []
    for attack in (attacker.mutilated, attacker.fragments, attacker.floods, attacker.floods, attacker.fragments):
        attack()
        assert hashlib.md5(guest.http("/page")).digest() == hashlib.md5(guest.content).digest()
        status = guest.status()
        memory.append(kib(status))
        assert status["warm"].split()[1] == "0," and status["restarts"].split()[1] == "0", status
    deadline = time.monotonic() + PATIENCE
    while (now := kib(guest.status())) > memory[2] + 1024: # some of what came may wait yet
        assert time.monotonic() < deadline, (memory, now)
    # A tiny segment size, and a window that is shut for three seconds.
    assert guest.http("/page", options="s.setsockopt(6, 2, 88)") == guest.content
    assert guest.http("/page", options="s.setsockopt(1, 8, 2048)  # RCVBUF") == guest.content
    guest.end()


def test_poison(start):
    """Packets on which net dies are dropped, each by itself; connections stay, nothing starts cold."""
    guest = start("virtio", "net.poison=POISON")
    attacker = Attacker(guest.wire, guest.mac)
    for number in range(5):
        attacker.send(ip4(17, udp(9, b"POISON%d" % number)))
        assert guest.http("/page", tries=3) == guest.content
    for number in range(4):
        attacker.send(ip4(17, udp(9, b"POISON%d" % number)))
    assert guest.http("/page", tries=3) == guest.content
    status = guest.status()
    assert status["incarnation"].split()[1] == "1" and "items failed 9," in status["warm"], status
    assert "cold" not in guest.end()
