# SPDX-License-Identifier: BSD-2-Clause
"""The network stack with real programs: the guest's busybox against the host,
through QEMU's user network, and over the guest's loopback."""
import functools
import hashlib
import http.server
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import EXACT, PATIENCE, soon

NICS = ["virtio", "e1000"]


@pytest.fixture
def web(tmp_path):
    """An HTTP server of the host's; guests reach it as 10.0.2.2."""
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield tmp_path, server.server_address[1]
    server.shutdown()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


UP = soon("ifconfig eth0 | grep -q 'inet addr'") + "; "


@pytest.mark.parametrize("nic", NICS)
def test_busybox(guest, web, nic):
    """DHCP without a program's help, and busybox's network tools."""
    directory, port = web
    content = os.urandom(3 << 20)
    (directory / "file").write_bytes(content)
    text = guest(UP + "ifconfig; route -n; cat /etc/resolv.conf; ping -c 2 10.0.2.2; ping -c 1 localhost;"
                 f"wget -q -O /tmp/file http://10.0.2.2:{port}/file; md5sum /tmp/file; arp -an; netstat -rn;"
                 f"wget -q -O /dev/null http://10.0.2.2:{port}/nothing || echo not found;"
                 "cat /proc/net/dev /proc/net/route /proc/net/arp /proc/net/if_inet6;"
                 "udhcpc -i eth0 -n -q -t 5 -T 2 2>&1; ping -c 1 10.0.2.2;"
                 "arp -s 10.0.2.77 02:00:00:00:00:77 && arp -an 10.0.2.77; arp -d 10.0.2.77 && arp -an 10.0.2.77",
                 nic=nic, net="user").text
    assert "inet addr:10.0.2.15  Bcast:10.0.2.255  Mask:255.255.255.0" in text
    assert "inet addr:127.0.0.1  Mask:255.0.0.0" in text
    assert "nameserver 10.0.2.3" in text
    assert text.count(" 0% packet loss") == 3
    assert "lease of 10.0.2.15 obtained from 10.0.2.2" in text
    assert hashlib.md5(content).hexdigest() in text
    assert "(10.0.2.2) at 52:55:0a:00:02:02 [ether]  on eth0" in text
    assert "0.0.0.0         10.0.2.2        0.0.0.0         UG" in text
    assert "not found" in text
    assert text.count("(10.0.2.77) at 02:00:00:00:00:77 [ether]") == 1, text


def fetch(port, path):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
                s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                data = b""
                while part := s.recv(1 << 16):
                    data += part
                if data:
                    return data.partition(b"\r\n\r\n")[2]
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError("no answer from the guest")


def test_forward(guest, tmp_path):
    """The host asks the guest's httpd, while net and its driver are killed."""
    content = os.urandom(1 << 20)
    (tmp_path / "page").write_bytes(content)
    port, got = free_port(), []

    def ask():
        for _ in range(6):
            got.append(fetch(port, "/page"))
        fetch(port, "/cgi-bin/end")

    asking = threading.Thread(target=ask)
    asking.start()
    script = tmp_path / "end"
    script.write_text("#!/bin/sh\ntouch /tmp/end\necho 'Content-Type: text/plain'\necho\necho end\n")
    script.chmod(0o755)
    text = guest("mkdir -p /home/user/cgi-bin; mv /root/end /home/user/cgi-bin/; mv /root/page /home/user/;"
                 "httpd -p 80 -h /home/user; i=0;"
                 "while [ ! -e /tmp/end ] && [ $i -lt 3000 ]; do i=$((i+1)); usleep 200000;"
                 "  [ $((i % 4)) = 1 ] && /bin/svc kill net; [ $((i % 4)) = 3 ] && /bin/svc kill virtio_net; done >/dev/null;"
                 "/bin/svc status net", forward=f"{port}:80", file=[f"{tmp_path}/page:/root/page", f"{script}:/root/end"]).text
    asking.join(timeout=PATIENCE)
    assert [len(data) for data in got] == [len(content)] * 6
    assert all(data == content for data in got)
    assert "incarnation  1" in text, "net did not keep its state"


STREAMS = r"""
dd if=/dev/urandom of=/tmp/data bs=65536 count=48 2>/dev/null
want=$(md5sum </tmp/data)
httpd -p 8080 -h /tmp
n=0; while [ $n -lt 8 ]; do n=$((n+1))
  ( i=0; while [ $i -lt 4 ]; do i=$((i+1))
      got=$(wget -q -O - http://127.0.0.1:8080/data | md5sum); [ "$got" = "$want" ] && echo right || echo wrong
    done; echo done ) >/tmp/result.$n & done
k=0; while [ $k -lt 25 ]; do k=$((k+1)); usleep 100000; /bin/svc kill net >/dev/null; done
wait
cat /tmp/result.*; /bin/svc status net
"""


def test_net_killed_under_streams(guest, tmp_path):
    script = tmp_path / "streams"
    script.write_text(STREAMS)
    text = guest("sh /root/streams", file=f"{script}:/root/streams").text
    assert text.count("right") == 32 and "wrong" not in text and text.count("done") == 8, text
    assert "incarnation  1" in text


STORM = r"""
[ $1 = local ] || UP
/root/storm "$@" & p=$!; k=0
while kill -0 $p 2>/dev/null; do
  k=$((k+1)); usleep $((50000 + k * 7919 % 100 * 1000))
  if [ $((k % 2)) = 0 ] || [ $DRIVER = none ]; then /bin/svc kill net; else /bin/svc kill $DRIVER; fi
done >/dev/null
wait $p; /bin/svc status net
""".replace("UP", "{ " + soon("ifconfig eth0 | grep -q 10.0.2.") + "; }")


@pytest.mark.parametrize("driver", ["none", "virtio_net", "e1000"])
def test_every_byte(guest, root, tmp_path, driver):
    """Streams in all the ways there are to send and to receive (tests/guest/storm.c), while net and its driver are
    killed every 50 to 150 ms: over the loopback, and with the host as the other end. XINIM_SOAK: ten minutes each."""
    subprocess.run(["make", "-s", "build/guest/storm"], cwd=root, check=True)
    (tmp_path / "storm.sh").write_text(STORM)
    seconds = 600 if os.environ.get("XINIM_SOAK") else 6
    options = {"file": [f"{root}/build/guest/storm:/root/storm", f"{tmp_path}/storm.sh:/root/storm.sh"], "timeout": seconds + PATIENCE}
    if driver == "none":
        text = guest(f"DRIVER=none sh /root/storm.sh local 6 {seconds} {os.getpid()}", **options).text
    else:
        port = free_port()
        host = subprocess.Popen([root / "build/guest/storm", "listen", str(port)], stdout=subprocess.PIPE, start_new_session=True)
        try:
            text = guest(f"DRIVER={driver} sh /root/storm.sh connect 10.0.2.2 {port} 6 {seconds} {os.getpid()}",
                         net="user", nic=driver.removesuffix("_net"), **options).text
        finally:
            os.killpg(host.pid, signal.SIGKILL)
        said = host.communicate()[0].decode()
        assert "WRONG" not in said, said
    assert "storm: ok" in text and "WRONG" not in text, text
    assert "incarnation  1" in text, text


POOL = r"""
dd if=/dev/urandom of=/tmp/data bs=65536 count=3 2>/dev/null
want=$(md5sum </tmp/data); n=0
while [ $n -lt 16 ]; do n=$((n+1))
  /bin/svc restart net >/dev/null; httpd -p 8080 -h /tmp; /bin/svc inject net entry $n >/dev/null
  [ "$(wget -q -O - http://127.0.0.1:8080/data | md5sum)" = "$want" ] && echo right || echo wrong at $n
  killall httpd
done
/bin/svc status net
"""


def test_net_killed_while_it_makes_its_pool(guest, tmp_path):
    """At each entry into the kernel from the first connection on: what was mapped in the iteration that is
    done over is gone."""
    (tmp_path / "pool").write_text(POOL)
    text = guest("sh /root/pool", file=f"{tmp_path}/pool:/root/pool").text
    assert text.count("right") == 16 and "wrong" not in text, text
    assert "killed 16" in text, text


def test_who_only_listens_acknowledges_at_once(guest, root):
    """Little things sent one way: the second of two waits for the first one's acknowledgement (RFC 1122, 4.2.3.4), which
    must not wait for data to go with it. In the time of counted instructions, which is the same on every host."""
    subprocess.run(["make", "-s", "build/guest/oneway"], cwd=root, check=True)
    us = int(guest("chmod +x /program; /program", file=f"{root}/build/guest/oneway:/program", **EXACT).text)
    assert us < 5000  # one delayed acknowledgement in each round: 25,000


def test_net_killed_under_datagrams(guest, root):
    """Datagrams that go without a call (the kernel's flows): none is lost, doubled or out of order."""
    subprocess.run(["make", "-s", "build/guest/datagrams"], cwd=root, check=True)
    text = guest("/program 6 & k=0; while [ $k -lt 40 ]; do k=$((k + 1)); usleep 150000; /bin/svc kill net; done >/dev/null;"
                 "for n in 40 90 160 250 410; do /bin/svc inject net entry $n; /program; done; wait; /bin/svc status net",
                 file=f"{root}/build/guest/datagrams:/program").text
    assert text.count("datagrams: ok") == 6, text
    assert "incarnation  1" in text


def test_thousand_connections(guest, root):
    subprocess.run(["make", "-s", "build/guest/connections"], cwd=root, check=True)
    text = guest("/program; cat /proc/net/tcp | wc -l; svc status net", file=f"{root}/build/guest/connections:/program").text
    assert "connections: ok" in text, text
    assert "restarts     0" in text


def test_short_connections_leak_nothing(guest, root):
    """Connections made and closed one after the other: `net` needs no more memory for the last than for the first, but for
    what happens to be on its way (calls in its port's queue are in pages of the kernel's)."""
    subprocess.run(["make", "-s", "build/guest/connections"], cwd=root, check=True)
    count = 50000 if os.environ.get("XINIM_SOAK") else 3000
    text = guest("memory() { /bin/svc status net | sed -n 's/^memory *\\([0-9]*\\).*/\\1/p'; }\n"
                 f"/program {count}; was=$(memory); /program {count}; " + soon("{ now=$(memory); [ $now -le $((was + 64)) ]; }") +
                 "; svc status net; echo held $was $now",
                 file=f"{root}/build/guest/connections:/program", timeout=PATIENCE + count // 10).text
    was, now = map(int, re.search(r"^held (\d+) (\d+)", text, re.M).groups())
    assert text.count("connections: ok") == 2 and text.count("restarts     0") == 1, text
    assert now <= was + 64, text  # 22 bytes for each connection


def test_netlink(guest):
    """busybox's ip shows and changes interfaces, addresses and routes."""
    text = guest(UP + "ip addr; ip route; ip route get 10.0.2.2; ip neigh; echo; ip addr add 10.9.9.1/24 dev eth0;"
                 "ip link set eth0 mtu 1400; ip route add 10.8.0.0/16 via 10.9.9.7; ip route; ip addr show eth0;"
                 "ip route del 10.8.0.0/16; ip route; ip link set eth0 down; ip link show eth0; ip link show nope 2>&1;"
                 "su user -c 'ip link set eth0 up' 2>&1; ip addr add 10.9.9.1/24 dev eth0 2>&1; true", net="user").text
    before, _, after = text.partition("\n\n")
    assert "1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536" in before and "inet 127.0.0.1/8 scope host lo" in before, text
    assert "2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500" in before, text
    assert "inet 10.0.2.15/24 brd 10.0.2.255 scope global eth0" in before and "inet6 fe80::" in before, text
    assert "default via 10.0.2.2 dev eth0" in before and "10.0.2.0/24 dev eth0" in before and "src 10.0.2.15" in before, text
    assert "10.0.2.2 dev eth0  src 10.0.2.15" in before, text
    assert after.count("10.8.0.0/16 via 10.9.9.7 dev eth0") == 1 and "inet 10.9.9.1/24" in after and "mtu 1400" in after, text
    assert "2: eth0: <BROADCAST,MULTICAST> mtu 1400" in after, text
    assert "not permitted" in after and "File exists" in after and "nope" in after, text


@pytest.mark.skipif(not os.environ.get("XINIM_SOAK"), reason="long: XINIM_SOAK=1")
@pytest.mark.parametrize("nic", NICS)
def test_gigabyte(guest, web, nic):
    """1 GB by wget while files are written, read and compared, and `net` and its driver die now and then."""
    directory, port = web
    digest = hashlib.md5()
    with (directory / "file").open("wb") as file:
        for _ in range(1000):
            part = os.urandom(1000000)
            digest.update(part)
            file.write(part)
    driver = {"virtio": "virtio_net", "e1000": "e1000"}[nic]
    text = guest(UP + "dd if=/dev/urandom of=/tmp/a bs=65536 count=64 2>/dev/null;"
                 "(n=0; while [ ! -e /tmp/end ]; do n=$((n + 1)); cp /tmp/a /root/b; cmp /tmp/a /root/b || echo differs;"
                 f"[ $((n % 8)) = 3 ] && /bin/svc kill net; [ $((n % 8)) = 7 ] && /bin/svc kill {driver}; done) & "
                 f"wget -q -O - http://10.0.2.2:{port}/file | md5sum; touch /tmp/end; wait",
                 nic=nic, net="user", timeout=1200).text
    assert digest.hexdigest() in text and "differs" not in text, text


def test_flow_comes_back(root, guest):
    """After a call that the kernel can't settle a UDP socket that receives much does so without calls of net again."""
    subprocess.run(["make", "-s", "build/guest/received"], cwd=root, check=True)
    text = guest("cat /proc/xinim/stats; /root/received again 3000; cat /proc/xinim/stats", net="none",
                 file=f"{root}/build/guest/received:/root/received").text
    head = next(line for line in text.splitlines() if line.startswith("name ")).split()
    before, after = (int(line.split()[head.index("received")]) for line in text.splitlines() if line.startswith("net "))
    assert "received again: ok" in text
    assert after - before < 1.5 * 3000, f"{after - before} calls and events for 3000 datagrams, each sent by one call"
