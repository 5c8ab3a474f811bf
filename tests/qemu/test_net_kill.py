# SPDX-License-Identifier: BSD-2-Clause
"""The network stack and its drivers made to die under streams to the host, through a
tap: eight connections, every byte compared both ways; a listener the host asks all the
time; one edge-triggered epoll client (tests/guest/streams.c)."""
import os
import subprocess

import pytest
from conftest import PATIENCE, soon
from wire import Tap

pytestmark = pytest.mark.skipif(not Tap.possible(), reason="needs root and /dev/net/tun for a tap of its own")

# XINIM_SOAK=N: N minutes each, more connections; unset: seconds.
SOAK = int(os.environ.get("XINIM_SOAK", "0"))
DRIVER = {"virtio": "virtio_net", "e1000": "e1000"}


def streams(root, nic, disturb, seconds, count=8, **options):
    """What the guest printed. `disturb` is a shell loop's body, run until the streams have ended."""
    subprocess.run(["make", "-s", "build/guest/streams"], cwd=root, check=True)
    program, wire = str(root / "build/guest/streams"), Tap()
    server = subprocess.Popen(wire.command([program, "serve", "10.0.9.1", "5001"]), stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout.readline() == "listens\n"
        command = ("ifconfig eth0 10.0.9.2 netmask 255.255.255.0; " + soon("ping -c 1 -W 1 10.0.9.1 >/dev/null") + ";"
                   f"(n=0; while [ ! -e /tmp/end ]; do n=$((n + 1)); {disturb}; done) >/dev/null & "
                   f"/root/streams run 10.0.9.1 5001 {count} {seconds}; echo status $?; touch /tmp/end; wait; "
                   f"/bin/svc status net; /bin/svc status {DRIVER[nic]}; /bin/svc log -k | tail -30")
        arguments = [str(root / "xinim"), "exec", "--nic", nic, "--net", wire.option, "--append", "net.dhcp=off",
                     "--file", f"{program}:/root/streams", "--timeout", str(PATIENCE + seconds)]
        for key, value in options.items():
            arguments += [f"--{key}", *([] if value is True else [str(value)])]
        result = subprocess.run(wire.command([*arguments, "--", command]), capture_output=True, text=True, check=False)
        text = result.stdout + result.stderr
        if server.poll() is not None:
            text += server.stdout.read()
        assert "streams: ok" in text and "status 0" in text, text
        print(next(line for line in text.splitlines() if "streams: ok" in line))
        return text
    finally:
        server.kill()
        server.communicate()
        wire.close()


def field(text, service, name):
    """A number of `svc status`."""
    part = text[text.index(f"service      {service}\n"):] if f"service      {service}\n" in text else text
    return int(next(line for line in part.splitlines() if line.startswith(name)).split()[1])


@pytest.mark.parametrize("nic", ["virtio", "e1000"])
def test_net_killed(root, nic):
    """`net` every 100 to 500 ms."""
    text = streams(root, nic, "/bin/svc kill net; usleep $((100000 + n % 5 * 100000))", 60 * SOAK or 4)
    assert "incarnation  1" in text, text


@pytest.mark.parametrize("nic", ["virtio", "e1000"])
def test_driver_fails(root, nic):
    """The driver killed, hanging, faulting, and `net` killed in between."""
    driver = DRIVER[nic]
    streams(root, nic, f"case $((n % 4)) in 0) /bin/svc inject {driver} hang;; 1) /bin/svc kill {driver};; "
            f"2) /bin/svc inject {driver} exception;; 3) /bin/svc kill net;; esac; usleep 700000", 60 * SOAK or 5)


@pytest.mark.skipif(not SOAK, reason="long: XINIM_SOAK=N")
def test_thousand_streams(root):
    """1,000 connections at once, `net` killed every second."""
    streams(root, "virtio", "/bin/svc kill net; sleep 1", 60 * SOAK, count=1000)
