# SPDX-License-Identifier: BSD-2-Clause
"""`minixfs repair`: whatever bytes of the bitmaps, the inodes and the first directories are damaged, afterwards it
and fsck.minix find nothing wrong; and what is whole is not changed."""
import pathlib
import random
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VERSIONS = [(1, 14), (1, 30), (2, 14), (2, 30), (3, 60)]
INODES, SEEDS = 300, 8


def minixfs(*arguments, check=True):
    return subprocess.run([ROOT / "build/tools/minixfs", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=check)


@pytest.fixture(scope="module", autouse=True)
def tool():
    subprocess.run(["make", "-s", "build/tools/minixfs"], cwd=ROOT, check=True)


def make_image(tmp_path, version, names):
    tree, path = tmp_path / "tree", tmp_path / "image"
    for directory in ("a/b", "c"):
        (tree / directory).mkdir(parents=True)
    for i in range(1, 31):
        (tree / f"a/f{i}").write_bytes(bytes([i]) * i * 700)
        (tree / f"c/g{i}").write_text(str(i), encoding="utf-8")
    (tree / "a/b/link").symlink_to("../f1")
    minixfs("mkfs", path, 4, "--version", version, "--names", names, "--inodes", INODES)
    minixfs("tree", path, tree)
    return path


@pytest.mark.parametrize("version, names", VERSIONS)
def test_repaired(tmp_path, version, names):
    path = make_image(tmp_path, version, names)
    whole = path.read_bytes()
    minixfs("repair", path)
    assert path.read_bytes() == whole
    metadata_end = (4 + INODES * (32 if version == 1 else 64) // 1024 + 30) * 1024
    for seed in range(SEEDS):
        choice = random.Random(seed)
        image = bytearray(whole)
        for _ in range(choice.randint(1, 12)):
            image[choice.randrange(2048, metadata_end)] = choice.randrange(256)
        path.write_bytes(image)
        repair = minixfs("repair", path, check=False)
        theirs = subprocess.run(["fsck.minix", "-f", path], capture_output=True, text=True, check=False)
        assert (repair.returncode, theirs.returncode) == (0, 0), f"seed {seed}: {repair.stdout}{repair.stderr}{theirs.stdout}"


def test_what_lost_its_name(tmp_path):
    """A directory's block is empty: what was in it is in lost+found, with its content."""
    path = make_image(tmp_path, 3, 60)
    image = bytearray(path.read_bytes())
    at = image.find(b"g7" + bytes(58)) - 4
    assert at > 0
    image[at:at + 64] = bytes(64)
    path.write_bytes(image)
    assert "it had no name" in minixfs("repair", path).stdout
    listing = minixfs("ls", path, "/lost+found").stdout
    name = listing.split()[-1]
    assert name.startswith("#") and minixfs("cat", path, f"/lost+found/{name}").stdout == "7", listing
