# SPDX-License-Identifier: BSD-2-Clause
"""As much of the W3C WebDriver protocol as the dashboard's test needs, to a headless Chromium."""
import base64
import json
import pathlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

from conftest import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = ["chromium", "chromium-driver", "fonts-dejavu-core"]


def missing():
    """Why there is no browser, or None. Installs Debian's packages if they are not there."""
    if not shutil.which("chromedriver"):
        result = subprocess.run([ROOT / "tools/install-packages", *PACKAGES], capture_output=True, text=True, check=False)
        if result.returncode:
            return f"no Chromium, and it could not be installed: {result.stderr.strip()[-300:]}"
    return None if shutil.which("chromedriver") else "the package chromium-driver has no chromedriver"


class Browser:
    """A Chromium of its own with one window; use as a context manager."""

    def __init__(self, width, height, dark=False):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{port}"
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--window-size={width},{height}"]
        if dark:
            arguments.append("--blink-settings=preferredColorScheme=0")
        self.session = None
        deadline = time.monotonic() + PATIENCE
        while self.session is None:
            try:
                answer = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}})
                self.session = answer["sessionId"]
            except urllib.error.URLError as error:
                if isinstance(error, urllib.error.HTTPError) or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def ask(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, json.dumps(body).encode() if body is not None else None,
                                         {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self.ask("DELETE", f"/session/{self.session}")
        finally:
            self.driver.terminate()
            self.driver.wait()

    def command(self, method, path, body=None):
        return self.ask(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def script(self, text, *arguments):
        return self.command("POST", "/execute/sync", {"script": text, "args": list(arguments)})

    def keys(self, text):
        """Types: "\\ue004" is Tab, "\\ue007" Enter."""
        actions = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.command("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def size(self, width, height):
        self.command("POST", "/window/rect", {"width": width, "height": height})

    def emulate_width(self, width, height):
        """A phone's screen; windows of desktops have a least width."""
        self.command("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}})

    def screenshot(self, path):
        path.write_bytes(base64.b64decode(self.command("GET", "/screenshot")))

    def wait(self, condition, seconds=PATIENCE):
        """Until the JavaScript expression is true; its value."""
        deadline = time.monotonic() + seconds
        while not (value := self.script(f"return {condition}")):
            assert time.monotonic() < deadline, f"never: {condition}\n" + self.script("return document.body.innerText")
            time.sleep(0.2)
        return value
