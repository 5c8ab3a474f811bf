# SPDX-License-Identifier: BSD-2-Clause
"""The commands that documents name are run: `./xinim exec` and `svc` in code, the session of gdb.

That targets of make, options and verbs exist is looked at by tools/checkdocs.py; README.md and the
tutorial have tests of their own.
"""
import pathlib
import re
import shlex
import subprocess
import sys
import time

import pytest

from conftest import PATIENCE

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import docs  # noqa: E402

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
CODE = sorted(set(re.findall(r"`([^`\n]+)`", "\n".join(page.read_text(encoding="utf-8") for page in PAGES))))
EXEC = [code for code in CODE if code.startswith("./xinim exec ") and "…" not in code and not code.startswith("./xinim exec --trace=")]
# Without placeholders (`svc kill NAME`), alternatives, and the verbs that want a name or a terminal.
SVC = [code for code in CODE if re.fullmatch(r"svc (list|tree|log|stats|help|(status|kill|inject|log) [a-z_ -]+)", code)]


@pytest.mark.parametrize("command", EXEC)
def test_exec(command):
    result = subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout or "--log" in command or "--trace" in command, "it says nothing"


def test_svc(guest):
    assert {"svc list", "svc tree", "svc log", "svc log -k", "svc stats", "svc kill rs", "svc kill virtio_blk"} <= set(SVC)
    script = "".join(f"/bin/{code} >/tmp/out || echo FAILED: {code}; [ -s /tmp/out ] || echo SILENT: {code}; " for code in SVC)
    text = guest(script + "echo all").text
    assert "FAILED" not in text and text.strip().endswith("all"), text
    assert not re.search(r"SILENT: svc (list|tree|log|stats|status|help)", text), text


def test_gdb_session():
    """Both breakpoints of the session in docs/debugging.md are hit, and the processes listed."""
    block, = (one for one in docs.blocks((ROOT / "docs/debugging.md").read_text(encoding="utf-8")) if one.words == ["gdb"])
    start, *lines = block.text.splitlines()
    socket = ROOT / "build/gdb.sock"
    socket.unlink(missing_ok=True)
    with subprocess.Popen([ROOT / "xinim", "run", "--gdb"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as guest:
        try:
            deadline = time.monotonic() + PATIENCE
            while not socket.exists() and time.monotonic() < deadline:
                time.sleep(0.1)
            text = subprocess.run(shlex.split(start), cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False,
                                  input="\n".join(line.removeprefix("(gdb) ") for line in lines) + "\nkill\n").stdout
        finally:
            guest.terminate()
            socket.unlink(missing_ok=True)
    stops = re.findall(r"hit Breakpoint (\d), (\w+) \(", text)
    assert stops == [("1", "kernel_main"), ("2", "server_main")], text
    assert re.search(r"^ *\d+ minix +1 ", text, re.M), text
