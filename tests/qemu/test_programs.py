# SPDX-License-Identifier: BSD-2-Clause
"""The programs of tests/guest: the same output in the guest as on the host."""
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = sorted(p.stem for p in (ROOT / "tests/guest").glob("*.c"))
GUEST_ONLY = ["wild"] # wild numbers may name real things of the host
ELSEWHERE = ["hungry"] # has a test of its own


def build(name):
    subprocess.run(["make", "-s", f"build/guest/{name}"], cwd=ROOT, check=True)
    return ROOT / "build/guest" / name


@pytest.mark.parametrize("name", [n for n in PROGRAMS if n not in GUEST_ONLY + ELSEWHERE])
def test_same_as_on_the_host(guest, tmp_path, name):
    program = build(name)
    host = subprocess.run([program], cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    assert host.returncode == 0, host.stdout
    result = guest("cd /tmp; /program | cat; svc list", file=f"{program}:/program")
    output, _, services = result.text.partition("NAME ")
    assert output.splitlines() == host.stdout.splitlines()
    assert all(line.split()[4] == "0" for line in services.splitlines()[1:]), "a service was restarted"


@pytest.mark.parametrize("name", GUEST_ONLY)
def test_in_the_guest(guest, name):
    program = build(name)
    result = guest("cd /tmp; /program; svc list", file=f"{program}:/program")
    output, _, services = result.text.partition("NAME ")
    assert output.splitlines()[-1] == f"{name}: ok"
    assert all(line.split()[4] == "0" for line in services.splitlines()[1:]), "a service was restarted"
