# SPDX-License-Identifier: BSD-2-Clause
"""The network stack with real programs: the guest's busybox against the host,
through QEMU's user network, and over the guest's loopback."""
import functools
import hashlib
import http.server
import os
import socket
import threading
import time

import pytest

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


UP = "for i in $(seq 100); do ifconfig eth0 | grep -q 'inet addr' && break; usleep 100000; done; "


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
                 "udhcpc -i eth0 -n -q -t 5 -T 2 2>&1; ping -c 1 10.0.2.2",
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


def fetch(port, path, tries=100):
    for _ in range(tries):
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
                 "while [ ! -e /tmp/end ] && [ $i -lt 600 ]; do i=$((i+1)); usleep 200000;"
                 "  [ $((i % 4)) = 1 ] && /bin/svc kill net; [ $((i % 4)) = 3 ] && /bin/svc kill virtio_net; done >/dev/null;"
                 "/bin/svc status net", forward=f"{port}:80", file=[f"{tmp_path}/page:/root/page", f"{script}:/root/end"]).text
    asking.join(timeout=60)
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


def test_thousand_connections(guest, root):
    import subprocess
    subprocess.run(["make", "-s", "build/guest/connections"], cwd=root, check=True)
    text = guest("/program; cat /proc/net/tcp | wc -l; svc status net", file=f"{root}/build/guest/connections:/program").text
    assert "connections: ok" in text, text
    assert "restarts     0" in text
