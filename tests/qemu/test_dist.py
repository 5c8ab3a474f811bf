# SPDX-License-Identifier: BSD-2-Clause
"""`make dist`: complete, its checksums right, it boots as its README says, and made again it has the same bytes."""
import os
import re
import subprocess

from conftest import PATIENCE


def make_dist(root):
    subprocess.run(["make", "-s", "dist"], cwd=root, check=True, capture_output=True, env={**os.environ, "MAKEFLAGS": ""})
    return (root / "build/dist/SHA256SUMS").read_text(encoding="utf-8")


def heard(guest, what):
    """Reads what the guest says, up to this."""
    said = b""
    while not re.search(what, said):
        data = os.read(guest.stdout.fileno(), 65536)
        assert data, said.decode(errors="replace")[-3000:]
        said += data


def type_line(guest, line):
    guest.stdin.write(line + b"\n")
    guest.stdin.flush()


def test_dist(root):
    first = make_dist(root)
    names = {line.split()[1] for line in first.splitlines()}
    assert {name.rpartition(".")[2] for name in names} == {"README", "elf", "archive", "img", "iso"}
    folder = root / "build/dist"
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    readme = (folder / "README").read_text(encoding="utf-8")
    command = readme[readme.index("qemu-system"):readme.index("\n\n", readme.index("qemu-system"))].replace("\\\n", " ")
    with subprocess.Popen(["timeout", "--foreground", str(PATIENCE), "bash", "-c", f"exec {command}"], cwd=folder,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as guest:
        heard(guest, b":/# ")
        type_line(guest, b"echo $((6*7))answer")
        heard(guest, b"\\n42answer")
        type_line(guest, b"poweroff")
        said = guest.communicate()[0]
    assert guest.returncode == 0, said
    # it was written to while it ran: made again, all is as it was
    assert make_dist(root) == first
