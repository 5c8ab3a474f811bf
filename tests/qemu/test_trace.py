# SPDX-License-Identifier: BSD-2-Clause
"""./xinim exec --trace: which calls a command made, and who answered what."""
import re
import subprocess

from conftest import PATIENCE, soon

LINE = re.compile(r" *\d+\.\d{6}  (\S+) (->|<-) (\S+) +(.*)")


def trace(root, option, command, *options):
    """The command's output, and the trace as (caller, arrow, server, text)."""
    result = subprocess.run([root / "xinim", "exec", "--timeout", str(PATIENCE), option, *options, "--", command], capture_output=True,
                            text=True, timeout=PATIENCE + 60, check=True)
    lines = result.stderr.replace("\r", "").splitlines()
    matches = [LINE.fullmatch(line) for line in lines]
    assert lines and all(matches), result.stderr
    return result.stdout, [match.groups() for match in matches]


def test_path_of_an_open(root):
    output, calls = trace(root, "--trace", "cat /etc/hostname; cat /nowhere; true")
    cat = [call for call in calls if "etc/hostname" in call[3]]
    program = cat[0][0]
    assert cat[0][1:3] == ("->", "vfs") and 'VFS_OPEN' in cat[0][3] and '"/etc/hostname"' in cat[0][3], output
    assert cat[1][:3] == ("vfs", "->", "minix") and '"etc/hostname"' in cat[1][3]
    answer = calls[calls.index(cat[0]):]
    assert any(c[:3] == (program, "<-", "vfs") and re.search(r"VFS_OPEN @\w+ = 0, \d+ us", c[3]) for c in answer)
    assert any(re.search(r"VFS_OPEN @\w+ = -ENOENT, ", c[3]) for c in calls)
    assert any("PM_FORK" in c[3] for c in calls) and any("PM_EXIT" in c[3] for c in calls)
    assert not any("?" in c[2] for c in calls), [c for c in calls if "?" in c[2]]
    # Each answer belongs to a call before it.
    assert sum(c[1] == "<-" for c in calls) <= sum(c[1] == "->" for c in calls)


def test_of_two_only(root):
    _, calls = trace(root, "--trace=pm,minix", "ls /etc >/dev/null")
    assert calls and all({"pm", "minix"} & {caller, server} for caller, _, server, _ in calls)


def test_bulk_needs_no_calls(root):
    """128 MiB over a connection, in blocks of 128 KiB: after a beginning, while the window grows, neither end calls net for its
    data (but for small remainders, which are not left in the pool): of 1,024 writes, and as many reads or more."""
    subprocess.run(["make", "-s", "build/guest/bulk"], cwd=root, check=True)
    output, calls = trace(root, "--trace=net", "/root/bulk take 127.0.0.1 5001 128 & " +
                          soon("grep -q ' 0100007F:1389 .* 0A ' /proc/net/tcp") + "; /root/bulk send 127.0.0.1 5001 128; wait",
                          "--file", f"{root}/build/guest/bulk:/root/bulk")
    assert f"send: {128 << 20} bytes" in output and f"take: {128 << 20} bytes" in output, output
    for what in ("FILE_WRITE", "FILE_READ"):
        assert sum(arrow == "->" and server == "net" and what in text for _, arrow, server, text in calls) < 400, what
