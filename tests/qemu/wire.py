# SPDX-License-Identifier: BSD-2-Clause
"""The host's end of a guest's network cable, for tests of network drivers.

Wire is a pair of UNIX datagram sockets (QEMU's `-netdev dgram`): whole frames,
nothing lost, no privileges. Tap is a tap interface with the virtio-net header,
in a network namespace of its own that close() removes: that is where devices
do their offloads. Both send and receive frames; Tap also their metadata.
"""
import ctypes
import os
import pathlib
import select
import shutil
import socket
import struct
import subprocess
import time

from conftest import PATIENCE

HOST_MAC = bytes.fromhex("020000000901")
BROADCAST = b"\xff" * 6
TYPE_ORDER = 0x88B5
ORDER = struct.Struct("<6s6s2sccIIIH")  # tests/native/netecho/main.c


def pattern(number, size):
    """Payload of packet `number`, as netecho computes it."""
    table = pattern.tables.get((number % 256, size))
    if table is None:
        table = bytes((number * 7 + at + (at >> 8)) & 0xFF for at in range(size))
        pattern.tables[(number % 256, size)] = table
    return table


pattern.tables = {}


def order(code, to=BROADCAST, number=0, count=0, size=0, gso=0, flag=b"\0", payload=b""):
    return ORDER.pack(to, HOST_MAC, struct.pack("!H", TYPE_ORDER), code, flag, number, count, size, gso) + payload


class Wire:
    def __init__(self, directory):
        self.ours, self.theirs = pathlib.Path(directory) / "host", pathlib.Path(directory) / "guest"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.bind(str(self.ours))
        self.socket.settimeout(PATIENCE)  # a guest that takes nothing
        self.option = f"dgram:{self.theirs},{self.ours}"

    def send(self, frame):
        try:
            self.socket.sendto(frame, str(self.theirs))
        except (FileNotFoundError, ConnectionRefusedError):
            pass  # nobody at the other end: it is lost

    def receive(self, timeout=1.0):
        """The next frame, or None after `timeout` seconds without one."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return None
        return self.socket.recv(1 << 17)

    def command(self, command):
        return command

    def close(self):
        self.socket.close()


class Tap:
    """frames carry struct virtio_net_hdr (10 bytes) in front, both ways."""
    HEADER = struct.Struct("<BBHHHH")

    def __init__(self):
        self.name = f"xnet{os.getpid()}"
        self.ip("netns", "add", self.name)
        try:
            for words in (["tuntap", "add", "dev", "tap0", "mode", "tap", "vnet_hdr"],
                          ["link", "set", "tap0", "address", "02:00:00:00:09:01", "up"],
                          ["addr", "add", "10.0.9.1/24", "dev", "tap0"]):
                self.inside("ip", *words)
            self.socket = self.open_socket()
        except BaseException:
            self.ip("netns", "del", self.name)
            raise
        self.option = "tap:tap0"

    @staticmethod
    def ip(*words):
        subprocess.run(["ip", *words], check=True, capture_output=True)

    @staticmethod
    def possible():
        """May this user make namespaces, and is there /dev/net/tun?"""
        return os.geteuid() == 0 and os.path.exists("/dev/net/tun") and shutil.which("ip") is not None

    def command(self, command):
        return ["ip", "netns", "exec", self.name, *command]

    def inside(self, *words):
        return subprocess.run(self.command(words), check=True, capture_output=True, text=True).stdout

    def open_socket(self):
        """A packet socket on the tap, made inside the namespace."""
        libc = ctypes.CDLL(None, use_errno=True)
        home = os.open("/proc/self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        if libc.setns(there, 0):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        finally:
            libc.setns(home, 0)
            os.close(home)
            os.close(there)
        sock.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
        sock.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        sock.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
        sock.bind(("tap0", 3))
        return sock

    def send(self, frame, header=bytes(10)):
        self.socket.send(header + frame)

    def receive(self, timeout=1.0):
        if not select.select([self.socket], [], [], timeout)[0]:
            return None
        return self.socket.recv(1 << 17)[10:]

    def receive_whole(self, timeout=1.0):
        """The next frame with its header: (flags, gso_type, hdr_len, gso_size, csum_start, csum_offset), frame."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return None, None
        data = self.socket.recv(1 << 17)
        return self.HEADER.unpack_from(data), data[10:]

    def close(self):
        self.socket.close()
        self.ip("netns", "del", self.name)


class Echo:
    """netecho at the other end."""

    def __init__(self, wire):
        self.wire = wire
        self.tag = 0
        self.mac = None

    def stats(self, timeout=PATIENCE):
        """netecho's counts."""
        words = self.ask(b"S", timeout).split()
        return {key: int(value) for key, value in zip(words[::2], words[1::2])}

    def driver(self, timeout=PATIENCE):
        """The driver's counts, by name; rx and tx of the second line are left out."""
        words = self.ask(b"D", timeout).splitlines()[2].split()
        return {key: int(value) for key, value in zip(words[::2], words[1::2])}

    def ask(self, code, timeout):
        """Asks until there is an answer; its text."""
        deadline, tags = time.monotonic() + timeout, set()
        while time.monotonic() < deadline:
            self.tag = self.tag % 200 + 1
            tags.add(self.tag)
            self.wire.send(order(code, flag=bytes([self.tag])))
            until = time.monotonic() + 0.5
            while (left := until - time.monotonic()) > 0:
                frame = self.wire.receive(left)
                if frame and frame[12:15] == b"\x88\xb5" + code and frame[15] in tags:
                    self.mac = frame[6:12]
                    return frame[16:].rstrip(b"\0").decode()
        raise AssertionError("netecho does not answer")
