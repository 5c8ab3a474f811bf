# SPDX-License-Identifier: BSD-2-Clause
"""Debian's own programs (make rootfs): the same output in the guest as on the host."""
import pathlib
import subprocess

import pytest

from conftest import PATIENCE

HERE = pathlib.Path(__file__).resolve().parent
CHECKS, RUNNER = HERE / "debian_checks.txt", HERE / "debian_checks.sh"


def outputs(text):
    """What each check printed, by its command line."""
    result = {}
    for part in text.split("\n== "):
        command, _, output = part.removeprefix("== ").partition("\n")
        result[command] = output.strip("\n")
    return result


@pytest.fixture
def rootfs(root):
    """The tree of the image on the host, whose programs run here too."""
    subprocess.run(["make", "-s", "rootfs"], cwd=root, check=True)
    return root / "build/rootfs-debian"


def on_the_host(rootfs, tmp_path):
    environment = {"PATH": f"{rootfs}/usr/bin:{rootfs}/usr/sbin", "LD_LIBRARY_PATH": f"{rootfs}/usr/lib/x86_64-linux-gnu"}
    result = subprocess.run([rootfs / "usr/bin/bash", RUNNER, CHECKS, tmp_path], env=environment, capture_output=True,
                            stdin=subprocess.DEVNULL, text=True, timeout=2 * PATIENCE, check=True, start_new_session=True)
    return outputs(result.stdout)


def test_same_as_on_the_host(guest, rootfs, tmp_path):
    want = on_the_host(rootfs, tmp_path)
    result = guest("mkdir /tmp/checks; bash /checks.sh /checks /tmp/checks", rootfs=True, timeout=2 * PATIENCE,
                   file=[f"{RUNNER}:/checks.sh", f"{CHECKS}:/checks"])
    got = outputs(result.text)
    different = [f"== {command}\n{got.get(command)}\n   on the host:\n{output}"
                 for command, output in want.items() if got.get(command) != output]
    assert not different, f"{len(different)} of {len(want)} differ\n" + "\n".join(different)
    assert len(want) > 300
