# SPDX-License-Identifier: BSD-2-Clause
"""The console as a person uses it: `./xinim run` on a pseudo-terminal."""
import os
import pty
import random
import re
import select
import signal
import subprocess
import time
import tty

import pytest

from conftest import PATIENCE

PROMPT = r"xinim:\S*# \x1b\[6n" # busybox asks the terminal where its cursor is
CTRL_C, CTRL_D, CTRL_Z, ESCAPE, UP = "\x03", "\x04", "\x1a", "\x1b", "\x1b[A"


class Console:
    """What was printed and not yet expected is in `text`."""

    def __init__(self, root, image, *options):
        master, slave = pty.openpty()
        tty.setraw(slave)
        self.process = subprocess.Popen([str(root / "xinim"), "run", "--image", str(image), *options],
                                        stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.master = master
        self.text = ""

    def more(self, timeout):
        """Reads what is there, waiting for it; False at the end of the line."""
        if not select.select([self.master], [], [], timeout)[0]:
            raise AssertionError(f"no more than {self.text[-2000:]!r} in {timeout:g} s")
        try:
            data = os.read(self.master, 65536)
        except OSError: # the other side is closed
            return False
        # QEMU lets its terminal put a carriage return before each newline, too.
        self.text = (self.text + data.decode(errors="replace")).replace("\r\r\n", "\r\n")
        return bool(data)

    def expect(self, pattern, timeout=PATIENCE):
        """Waits for the pattern; returns what was printed before it, the match is consumed."""
        end = time.monotonic() + timeout
        while not (match := re.search(pattern, self.text, re.MULTILINE)):
            left = end - time.monotonic()
            assert left > 0, f"{pattern!r} not in {self.text[-2000:]!r}"
            assert self.more(left), f"ended with {self.text[-2000:]!r}, without {pattern!r}"
        before, self.text = self.text[:match.start()], self.text[match.end():]
        return before

    def type(self, text):
        os.write(self.master, text.encode())

    def prompt(self):
        """Up to the next prompt."""
        return self.expect(PROMPT).replace("\r\n", "\n")

    def run(self, command):
        """One command line: what it printed."""
        self.type(command + "\r")
        printed = self.prompt()
        echo, _, output = printed.partition("\n")
        assert echo.replace("\x1b[J", "").endswith(command), f"echo {echo!r} of {command!r}"
        return output

    def start(self, command, inside="{}"):
        """Comes back when the command has begun, with the terminal as the shell sets it for programs."""
        self.type(inside.format("echo be''gun; " + command) + "\r")
        self.expect(r"^begun\r\n")

    def ended(self, timeout):
        while self.more(timeout):
            pass
        return self.process.wait(timeout)

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def console(root, image):
    start = time.monotonic()
    console = Console(root, image)
    try:
        console.prompt()
        console.boot_s = time.monotonic() - start
        yield console
    finally:
        console.close()


def test_commands_and_history(console):
    assert re.search(r"\bbin\b.*\betc\b.*\bdev\b", console.run("ls /"), re.DOTALL)
    assert console.run("echo one").strip() == "one"
    assert console.run("echo two").strip() == "two"
    console.type(UP + UP + "\r")
    assert "\none\n" in console.prompt()
    assert console.run("stty size").strip() == "24 80"
    console.type("echo abd\x7fc\r")
    assert "\nabc\n" in console.prompt()
    assert console.run("tty").strip() in ("/dev/console", "/dev/ttyS0")


def test_control_c_ends_the_foreground(console):
    """At once, and at every moment of the exec that follows: what the job itself printed proves that it
    is in the foreground. (Typed before that it is the shell's, there as on Linux, which waits for its job.)"""
    for delay in [0, 0] + [random.uniform(0, 0.03) for _ in range(8)]:
        console.start("exec sleep 100", inside='sh -c "{}"')
        time.sleep(delay)
        console.type(CTRL_C)
        console.prompt()
        assert console.run("echo $?").strip() == "130", f"typed {delay:g} s after the start"
    console.start("cat", inside="sleep 100 | (sleep 0.1; {})")
    console.type(CTRL_C)
    console.prompt()
    assert "sleep 100" not in console.run("ps | grep -v grep")
    console.type("half a line" + CTRL_C)
    console.prompt()
    assert console.run("echo whole").strip() == "whole"


def test_jobs(console):
    console.start("exec sleep 100", inside='sh -c "{}"')
    console.type(CTRL_Z)
    assert "Stopped" in console.prompt()
    assert re.search(r"\[1\].*Stopped.*sleep 100", console.run("jobs"))
    assert re.search(r"sleep 100", console.run("bg"))
    assert re.search(r"\[1\].*Running.*sleep 100", console.run("jobs"))
    console.run("kill %1")
    console.start("cat")
    console.type("before\r")
    console.expect(r"before\r\nbefore\r\n")
    console.type(CTRL_Z)
    assert "Stopped" in console.prompt()
    console.type("fg; echo ended $?\r")
    console.expect(r"^cat\r\n")
    console.type("after\r")
    console.expect(r"after\r\nafter\r\n")
    console.type(CTRL_C)
    console.prompt()
    assert "cat" not in console.run("jobs")


def test_background_reader_is_stopped(console):
    console.run("cat &")
    deadline = time.monotonic() + PATIENCE
    while "Stopped" not in console.run("jobs"):
        assert time.monotonic() < deadline, "cat was not stopped (SIGTTIN)"
    console.type("fg\r")
    console.expect(r"^cat\r\n")
    console.type("through\r")
    console.expect(r"through\r\nthrough\r\n")
    console.type(CTRL_D)
    console.prompt()
    assert "cat" not in console.run("jobs")


def test_pipelines_in_the_foreground(console):
    assert console.run("seq 1 1000 | grep 7 | wc -l").strip() == "271"
    console.start("cat | tr a-z A-Z")
    console.type("shout\r" + CTRL_D)
    assert "SHOUT" in console.prompt()
    console.start("cat | tee /dev/null")
    console.type("once\r")
    console.expect(r"once\r\nonce\r\n") # all of the pipeline is running
    console.type(CTRL_Z)
    assert "Stopped" in console.prompt()
    console.type("fg\r")
    console.expect(r"^cat \| tee /dev/null\r\n")
    console.type("again\r")
    console.expect(r"again\r\nagain\r\n")
    console.type(CTRL_D)
    console.prompt()
    assert console.run("jobs") == ""


def test_vi_edits_and_saves(console):
    console.type("vi /root/note\r")
    console.expect(r"~.*/root/note")
    console.type("ifirst line\rsecond" + ESCAPE)
    console.expect(r"- /root/note \[Modified\]")
    console.type(":wq\r")
    console.prompt()
    assert console.run("cat /root/note") == "first line\nsecond\n"
    console.type("vi /root/note\r")
    console.expect(r"second")
    console.type("ddGA")
    console.expect(r"I /root/note \[Modified\]")
    console.type("more" + ESCAPE)
    console.expect(r"- /root/note") # only then: escape and a letter could be a key
    console.type("ZZ")
    console.prompt()
    assert console.run("cat /root/note") == "secondmore\n"
    assert "icanon" in console.run("stty -a") and "-icanon" not in console.run("stty -a")


def test_shell_ends_and_comes_again(console):
    """Control-D and exit: init starts a new shell, which owns the terminal."""
    console.run("(trap '' HUP; sleep 50) & sleep 50 &")
    before = console.run("echo $$").strip()
    console.type("exit\r")
    console.expect(r"exit\r\n")
    console.prompt()
    after = console.run("echo $$").strip()
    assert after.isdigit() and after != before
    assert "job control" not in console.text
    console.type(CTRL_D)
    console.prompt()
    assert console.run("echo $$").strip() not in (before, after)
    console.start("exec sleep 100", inside='sh -c "{}"')
    console.type(CTRL_C)
    console.prompt()


def test_foreground_job_hears_of_the_end_of_its_session(console):
    """The shell is killed under its foreground job: SIGHUP reaches the job."""
    console.run("(until [ -e /tmp/trapped ]; do sleep 0.1; done; kill -9 $$) &")
    console.type("sh -c 'trap \"echo got hup; exit\" HUP; >/tmp/trapped; while :; do sleep 0.2; done'\r")
    console.expect(r"^got hup")
    console.prompt()
    assert "while" not in console.run("ps | grep -v grep | grep while")


def test_poweroff_is_quick_and_leaves_a_clean_disk(console, image, fsck):
    console.run("seq 1 10000 > /root/numbers; mkdir /root/d; rm /etc/hostname")
    console.type("poweroff\r")
    console.expect(r"poweroff\r\n")
    start = time.monotonic()
    assert console.ended(PATIENCE) == 0
    # init gives programs a second to end, by SIGTERM then SIGKILL. If a service did not stop it would be ten more; the host
    # may be slow, but then it was when the guest started.
    assert time.monotonic() - start < 4 + 3 * console.boot_s
    fsck(image)


def frame_of_top(console):
    """The next whole screen of `svc top`, as lines without escapes; which of them is shown reversed."""
    console.expect(r"\x1b\[H")
    text = console.expect(r"(?=\x1b\[H)")
    lines = [line for line in text.split("\r\n")]
    plain = [re.sub(r"\x1b\[[?0-9;]*[a-zA-Z]", "", line) for line in lines]
    chosen = [p.split()[0] for line, p in zip(lines, plain) if "\x1b[7m" in line]
    return plain, chosen


def frame_where(console, condition):
    """Within some screens the condition holds."""
    for _ in range(60): # each key makes one
        plain, chosen = frame_of_top(console)
        if condition(plain, chosen):
            return plain, chosen
    pytest.fail(f"not seen, the last: {plain}, chosen {chosen}")


def names_in(plain):
    return [line.split()[0] for line in plain[2:] if re.search(r" (running|absent) ", line)]


def test_top_fills_the_screen_and_takes_keys(console):
    assert console.run("stty size").strip() == "24 80"
    console.type("(until svc status tty | grep -q 'restarts *2'; do sleep 0.5; done; stty rows 9 cols 40 </dev/console) & svc top\r")
    plain, chosen = frame_where(console, lambda p, c: len(p) > 10)
    assert len(plain) <= 24 and all(len(line) <= 80 for line in plain), plain
    assert plain[0].startswith("sort:") and plain[1].split()[:2] == ["NAME", "STATE"] and len(chosen) == 1, plain
    console.type("n")
    plain, _ = frame_where(console, lambda p, c: names_in(p) == sorted(names_in(p)))
    names = names_in(plain)
    assert "tty" in names and "vfs" in names, plain
    for _ in range(names.index("tty") + 20): # k stops at the first
        console.type("k")
    frame_where(console, lambda p, c: c == [names[0]])
    for _ in range(names.index("tty")):
        console.type("j")
    frame_where(console, lambda p, c: c == ["tty"])
    console.type("K")
    plain, _ = frame_where(console, lambda p, c: p[-1].startswith("killed tty"))
    frame_where(console, lambda p, c: any(re.match(r"tty +running +\d+\.\d +\d+ +\d+ +1 ", line) for line in p))
    console.type("K")
    frame_where(console, lambda p, c: len(p) <= 9 and all(len(line) <= 40 for line in p) and c == ["tty"])
    console.type("q")
    console.prompt()
    assert "-icanon" not in console.run("stty -a") # the terminal is as it was


SAFE = r"^svc> "


def safe(console, command):
    console.type(command + "\r")
    return console.expect(SAFE).replace("\r\n", "\n")


def test_safe_mode(console):
    """Without vfs no program can run: the console takes svc's commands, and the way back is one of them."""
    console.type("stty raw -echo; svc stop vfs\r")
    console.expect(r"XINIM: +vfs: stopped\r\n(.*\r\n)*XINIM: Safe mode")
    console.expect(SAFE)
    assert re.search(r"^vfs +dead .*stopped", safe(console, "svc list"), re.M)
    assert "state        running" in safe(console, "status pm")
    assert "vfs        stopping -> dead" in safe(console, "log 40")
    assert "not a command of svc" in safe(console, "frobnicate now") and "no such service: nobody" in safe(console, "status nobody")
    assert "boot " in safe(console, "help")
    safe(console, "kill tty rs") # under its very feet
    console.type("start vfs\r")
    console.expect(SAFE)
    console.type("boot\r")
    console.prompt()
    assert console.run("echo $((6 * 7))").strip() == "42"


def test_safe_mode_without_pm(root, image, archive):
    console = Console(root, image, "--archive", str(archive({"bin/pm": None})))
    try:
        console.expect(SAFE)
        assert "no binary" in safe(console, "status pm")
        assert "cannot be started" in safe(console, "start pm")
        deadline = time.monotonic() + PATIENCE
        while "vfs        tmpfs on /tmp: mounted" not in (log := safe(console, "log -k")): # nobody waits for it here
            assert time.monotonic() < deadline, log
        console.type("poweroff\r")
        assert console.ended(PATIENCE) == 0
    finally:
        console.close()
