# SPDX-License-Identifier: BSD-2-Clause
"""The dashboard of `make demo`, served by the guest itself, while what serves it dies."""
import json
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from conftest import PATIENCE


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Page:
    def __init__(self, port):
        self.base = f"http://127.0.0.1:{port}"

    def get(self, path, data=None, timeout=PATIENCE):
        with urllib.request.urlopen(self.base + path, data, timeout=timeout) as answer:
            return answer.read().decode()

    def services(self):
        return {service["name"]: service for service in json.loads(self.get("/cgi-bin/state"))["services"]}

    def wait(self, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.get("/", timeout=20)
            except OSError:
                assert time.monotonic() < deadline, "no page"
                time.sleep(0.3)


@pytest.fixture
def page(root):
    """page(command, *options): a guest that runs the command; its page."""
    guests = []

    def start(command, *options):
        port = free_port()
        guests.append(subprocess.Popen([str(root / "xinim"), "exec", "--timeout", str(PATIENCE), "--forward", f"{port}:80", *options, "--", command],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return Page(port)

    yield start
    for guest in guests:
        guest.terminate()
        guest.wait()


def test_goes_on(page):
    page = page("sleep 10000", "--append", "demo")
    assert "<title>XINIM</title>" in page.wait()
    victims = ["virtio_net", "net", "vfs", "pm", "minix", "virtio_blk"]
    for name in victims:
        assert page.get("/cgi-bin/act", f"kill {name}\n".encode()) == "done\n"
        deadline = time.monotonic() + PATIENCE
        while page.services()[name]["restarts"] == 0:
            assert time.monotonic() < deadline, name
            time.sleep(0.2)
    services = page.services()
    assert all(services[name]["restarts"] == 1 and services[name]["state"] == "running" for name in victims), services
    for bad, status in [("kill nosuch", 409), ("format vfs", 400), ("kill x;y", 400), ("", 400)]:
        with pytest.raises(urllib.error.HTTPError) as error:
            page.get("/cgi-bin/act", f"{bad}\n".encode())
        assert error.value.code == status, bad


def test_no_buttons_without_demo(page):
    page = page("httpd -p 80 -h /www; sleep 10000")
    page.wait()
    with pytest.raises(urllib.error.HTTPError) as error:
        page.get("/cgi-bin/act", b"kill vfs\n")
    assert error.value.code == 403
    assert page.services()["vfs"]["restarts"] == 0
