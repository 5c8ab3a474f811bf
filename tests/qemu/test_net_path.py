# SPDX-License-Identifier: BSD-2-Clause
"""Ways that are narrower than the wire, hosts that are not there, and connections that nobody reads: the guest against
the host through a tap, a network namespace of its own behind it."""
import subprocess

import pytest
from conftest import PATIENCE
from wire import Tap

pytestmark = pytest.mark.skipif(not Tap.possible(), reason="needs root and /dev/net/tun for a tap of its own")

MTU = 900
TAKE = """
import socket, zlib
listener, count, total = socket.create_server(("10.0.8.2", 5001)), 0, 0
print("listens", flush=True)
connection = listener.accept()[0]
while data := connection.recv(1 << 16):
    count, total = count + len(data), zlib.crc32(data, total)
print(count, total, flush=True)
"""
GIVE = """
import socket, threading
def give(connection):
    try:
        while True:
            connection.sendall(bytes(1 << 16))
    except OSError:
        pass
listener = socket.create_server(("10.0.9.1", 5001), backlog=64)
print("listens", flush=True)
while True:
    threading.Thread(target=give, args=(listener.accept()[0],), daemon=True).start()
"""


@pytest.fixture
def wire():
    tap = Tap()
    yield tap
    tap.close()


def run(root, wire, nic, command):
    result = subprocess.run(wire.command([str(root / "xinim"), "exec", "--nic", nic, "--net", wire.option, "--append", "net.dhcp=off",
                                          "--timeout", str(PATIENCE), "--", command]), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def far(wire):
    """A second namespace, behind a link that is narrower; the first one is the router before it."""
    name = wire.name + "far"
    wire.ip("netns", "add", name)
    try:
        wire.ip("link", "add", "near", "netns", wire.name, "type", "veth", "peer", "name", "far", "netns", name)
        for place, link, end in ((wire.name, "near", 1), (name, "far", 2)):
            for words in (["link", "set", link, "mtu", str(MTU if place == wire.name else 1500), "up"],
                          ["addr", "add", f"10.0.8.{end}/24", "dev", link]):
                subprocess.run(["ip", "-n", place, *words], check=True)
        wire.ip("-n", name, "route", "add", "default", "via", "10.0.8.1")
        wire.inside("sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
        yield name
    finally:
        wire.ip("netns", "del", name)


@pytest.mark.parametrize("nic", ["virtio", "e1000"])
def test_narrow_way(root, wire, far, nic):
    """A router that says that segments are too long for the next link (RFC 1191) gets shorter ones, and cuts none."""
    end = subprocess.Popen(["ip", "netns", "exec", far, "/usr/bin/python3", "-c", TAKE], stdout=subprocess.PIPE, text=True)
    try:
        assert end.stdout.readline() == "listens\n"
        text = run(root, wire, nic, "ifconfig eth0 10.0.9.2 netmask 255.255.255.0; route add default gw 10.0.9.1;"
                   "dd if=/dev/urandom of=/tmp/f bs=65536 count=48 2>/dev/null; nc 10.0.8.2 5001 </tmp/f; gzip -c /tmp/f | tail -c 8 |"
                   " od -A n -t u4")
        crc, count = text.split()
        assert end.stdout.readline().split() == [count, crc]
    finally:
        end.kill()
        end.communicate()
    told = wire.inside("cat", "/proc/net/snmp").splitlines()
    ip = dict(zip(*(line.split() for line in told if line.startswith("Ip:"))))
    assert int(ip["FragCreates"]) == 0 and int(ip["FragFails"]) > 0, ip


def test_nobody_there(root, wire):
    """No answer for the next hop's address: the same error as Linux gives, after three seconds and not after two minutes."""
    text = run(root, wire, "virtio", "ifconfig eth0 10.0.9.2 netmask 255.255.255.0; timeout 60 nc 10.0.9.77 5001 </dev/null 2>&1; echo $?")
    assert "No route to host" in text and text.split()[-1] == "1", text
