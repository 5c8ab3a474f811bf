# SPDX-License-Identifier: BSD-2-Clause
"""The rows of the network: a tap in a network namespace of our own, Debian's
iperf3 at both ends of it. Needs root."""
import json
import os
import re
import subprocess
import time

import guests

HOST, GUEST = "10.0.9.1", "10.0.9.2"
IPERF_PORT, REPLIES_PORT, HTTP_PORT, ORDER_PORT = 5201, 5300, 80, 5301
DEVICES = {"virtio-net": ("virtio-net-pci,romfile=", "virtio_net"), "E1000": ("e1000,romfile=", "e1000")}
LIBRARIES = ["lib64/ld-linux-x86-64.so.2"] + [f"usr/lib/x86_64-linux-gnu/{name}" for name in
                                              ("libiperf.so.0", "libsctp.so.1", "libcrypto.so.3", "libssl.so.3")] + [
                                                  f"lib/x86_64-linux-gnu/{name}" for name in ("libc.so.6", "libm.so.6")]
DATAGRAM_BYTES = 1400
DATAGRAMS = ["-u", "-b", "0", "-l", str(DATAGRAM_BYTES)]
IPERF_ROWS = [("TCP in, 1 stream", []), ("TCP out, 1 stream", ["-R"]),
              ("TCP in, 4 streams", ["-P", "4"]), ("TCP out, 4 streams", ["-P", "4", "-R"]),
              ("UDP in, 1400 bytes", DATAGRAMS),
              ("UDP out, 1400 bytes", [*DATAGRAMS, "-R"])]
# Of XINIM's alone: the same while a service is killed every second.
KILLED = [(f"{title}, {name} killed every second", options, victim) for name, victim in (("driver", None), ("net", "net"))
          for title, options in IPERF_ROWS[:2]]


class Cable:
    """A network namespace with a tap in it; the host's end has an address."""

    def __init__(self):
        self.name = f"xinim-bench-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        for command in ("ip link set lo up", "ip tuntap add dev tap0 mode tap vnet_hdr", "ip link set tap0 up",
                        f"ip addr add {HOST}/24 dev tap0"):
            subprocess.run([*self.inside, *command.split()], check=True)

    @property
    def inside(self):
        return ["ip", "netns", "exec", self.name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "netns", "del", self.name], check=True)


def iperf_report(cable, seconds, options):
    command = [*cable.inside, "timeout", str(seconds + 15), "iperf3", "-J", "-c", GUEST, "-t", str(seconds), *options]
    result = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout or "{}")
    if "error" in result or "end" not in result:
        raise guests.GuestError(f"iperf3 {' '.join(options)}: {result.get('error', 'no answer')}")
    return result


def iperf(cable, seconds, options):
    """(value, unit): Gbit/s, or packets/s, that the receiving program has read. (Packets less those lost would count as read
    all that the sender had under way behind the last one that was: what is missing is seen by the next number only.)"""
    received = iperf_report(cable, seconds, options)["end"]["sum_received"]
    if "-u" not in options:
        return received["bits_per_second"] / 1e9, "Gbit/s"
    return received["bytes"] / DATAGRAM_BYTES / received["seconds"], "packets/s"


# Orders to the guest, one every second; prints when each was given.
ORDERS = """
import socket, sys, time
address, order, count = (sys.argv[1], int(sys.argv[2])), sys.argv[3].encode(), int(sys.argv[4])
begin = time.monotonic()
for number in range(1, count + 1):
    time.sleep(max(0, begin + number - time.monotonic()))
    with socket.create_connection(address, timeout=10) as s:
        s.sendall(order + b"\\n")
    print(time.monotonic())
"""


def orders(cable, order, count):
    """The process that gives them."""
    return subprocess.Popen([*cable.inside, "timeout", "60", "/usr/bin/python3", "-c", ORDERS, GUEST, str(ORDER_PORT), order,
                             str(count)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def killed(cable, seconds, options, victim):
    """(Gbit/s, unit, higher is better, details) while the guest's service `victim` is killed every second."""
    with orders(cable, victim, seconds - 1) as killer:
        begin = time.monotonic()
        result = iperf_report(cable, seconds, [*options, "-i", "0.1"])
        kills = [round(float(at) - begin, 3) for at in killer.stdout.read().split()]
    points = [[interval["sum"]["start"], interval["sum"]["bits_per_second"] / 1e9] for interval in result["intervals"]]
    return (result["end"]["sum_received"]["bits_per_second"] / 1e9, "Gbit/s", True,
            {"course": {"points": points, "kills": kills, "unit": "Gbit/s"}})


def ping(cable):
    """Mean round-trip time in ms."""
    text = subprocess.run([*cable.inside, "ping", "-q", "-c", "50", "-i", "0.02", GUEST], capture_output=True, text=True,
                          check=False).stdout
    match = re.search(r"= [\d.]+/([\d.]+)/", text)
    if not match:
        raise guests.GuestError(f"ping: {text}")
    return float(match[1])


PROBE = """
import socket, sys, time
address, request, seconds = (sys.argv[1], int(sys.argv[2])), sys.argv[3].encode(), float(sys.argv[4])
begin, count = time.monotonic(), 0
while time.monotonic() - begin < seconds:
    with socket.create_connection(address, timeout=10) as s:
        s.sendall(request)
        while s.recv(65536):
            pass
    count += 1
print(count / (time.monotonic() - begin))
"""


def per_second(cable, port, request, seconds):
    """Connections a second: connect, ask, read to the end, one after the other."""
    result = subprocess.run([*cable.inside, "timeout", str(seconds + 20), "/usr/bin/python3", "-c", PROBE, GUEST, str(port),
                             request, str(seconds)], capture_output=True, text=True, check=False)
    if result.returncode:
        raise guests.GuestError(f"port {port}: {result.stderr[-300:]}")
    return float(result.stdout)


def measure(cable, name, seconds, results, only=None, kills=False):
    """All rows of one device, or those named, into `results`. A row that fails is said and left out. `kills`: with KILLED."""
    def row(title, function, *arguments):
        if only is not None and title not in only:
            return
        try:
            results[f"{name} {title}"] = function(*arguments)
        except guests.GuestError as error:
            print(f"{name} {title}: {error}")
    row("ping", lambda: (ping(cable), "ms", False))
    for title, options in IPERF_ROWS:
        row(title, lambda options=options: (*iperf(cable, seconds, options), True))
        time.sleep(0.3)  # iperf3 serves one client at a time, and takes a moment to see it go
    for title, options, victim in KILLED if kills else []:
        row(title, killed, cable, 2 * seconds, options, victim or DEVICES[name][1])
        time.sleep(0.3)
    row("TCP connections", lambda: (per_second(cable, REPLIES_PORT, "hello", seconds), "per s", True))
    row("HTTP requests", lambda: (per_second(cable, HTTP_PORT, "GET /page HTTP/1.0\r\n\r\n", seconds), "per s", True))


def job(system):
    iperf3 = "/root/ld-linux-x86-64.so.2 --library-path /root /root/iperf3" if system.name == "XINIM" else "iperf3"
    return (f"ifconfig eth0 {GUEST} netmask 255.255.255.0 up\nmkdir -p /tmp/www; echo hello >/tmp/www/page\n"
            f"{iperf3} -s >/dev/null 2>&1 &\nreplies {REPLIES_PORT} &\nhttpd -p {HTTP_PORT} -h /tmp/www\n"
            f"sleep 1; echo NET-READY\n"
            f"while victim=$(nc -l -p {ORDER_PORT} </dev/null); [ \"$victim\" != end ]; do svc kill $victim >/dev/null; done\n")


def net(system, seconds=3, devices=tuple(DEVICES), smp=2, log=None, iommu=False, only=None):
    """Throughput, rates and times between host and guest, for each device. `only`: names of rows, else all."""
    results = {}
    programs = [guests.BUILD / "bench/replies"]
    if system.name == "XINIM":
        root = guests.PEER / "root"
        programs += [(root / path, "/root/" + path.rsplit("/", 1)[1]) for path in LIBRARIES]
        programs.append((root / "usr/bin/iperf3", "/root/iperf3"))
    for name in devices:
        with Cable() as cable:
            def follow(line, cable=cable, name=name):
                if log:
                    print(line, file=log)
                if "NET-READY" not in line:
                    return
                measure(cable, name, seconds, results, only, kills=system.name == "XINIM")
                orders(cable, "end", 1).communicate()
            system.run(job(system), programs, mem=1024, smp=smp, wrap=cable.inside, while_running=follow, iommu=iommu,
                       append="net.dhcp=off " + os.environ.get("XINIM_BENCH_APPEND", ""),
                       qemu=["-netdev", "tap,id=bench,ifname=tap0,script=no,downscript=no",
                             "-device", f"{DEVICES[name][0]},netdev=bench"])
    return results
