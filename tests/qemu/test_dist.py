# SPDX-License-Identifier: BSD-2-Clause
"""`make dist`: complete, its checksums right, it boots as its README says, and made again it has the same bytes."""
import os
import subprocess


def make_dist(root):
    subprocess.run(["make", "-s", "dist"], cwd=root, check=True, capture_output=True, env={**os.environ, "MAKEFLAGS": ""})
    return (root / "build/dist/SHA256SUMS").read_text(encoding="utf-8")


def test_dist(root):
    first = make_dist(root)
    names = {line.split()[1] for line in first.splitlines()}
    assert {name.rpartition(".")[2] for name in names} == {"README", "elf", "archive", "img", "iso"}
    folder = root / "build/dist"
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    readme = (folder / "README").read_text(encoding="utf-8")
    command = readme[readme.index("qemu-system"):readme.index("\n\n", readme.index("qemu-system"))].replace("\\\n", " ")
    said = subprocess.run(["bash", "-c", f"(sleep 12; echo 'echo $((6*7))answer'; sleep 3; echo poweroff; sleep 5) | timeout 60 {command}"],
                          cwd=folder, capture_output=True, text=True, errors="replace", check=False).stdout
    assert "42answer" in said, said[-3000:]
    # it was written to while it ran: made again, all is as it was
    assert make_dist(root) == first
