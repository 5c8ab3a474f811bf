# SPDX-License-Identifier: BSD-2-Clause
"""What README.md shows is what one gets: its guest commands are run, its output compared."""
import re
import subprocess
import sys
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import docs  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_captured_output(guest):
    output, compared = "", 0
    for block in docs.blocks(README):
        if block.words == ["guest"]:
            output = guest(block.text.replace("svc ", "/bin/svc ")).text.replace("\r", "")
        elif block.words == ["output"]:
            docs.same_kind(block.text, output)
            compared += 1
            sums = re.findall(r"\b[0-9a-f]{64}\b", output)
            assert len(sums) == 2 and sums[0] == sums[1], output
    assert compared == 1


def test_make_demo_says_what_readme_says(root):
    """`make demo` leads the port into the guest, and turns the buttons on."""
    text = subprocess.run(["make", "-n", "demo"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert "http://localhost:8080" in text and "./xinim run --forward 8080:80 --append demo" in text


def test_help_lists_every_target_with_a_text(root):
    text = subprocess.run(["make", "-s", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    for target in ("all", "run", "demo", "test", "unit", "check", "docs", "soak", "coverage", "dist", "iso", "rootfs", "bench", "clean"):
        assert re.search(rf"make {target} +\S", text), text


def test_other_commands_of_the_readme(guest, root):
    """The rows of "What to try" that end by themselves."""
    text = guest("uname -a; ls -l /; /bin/svc list; /bin/svc tree; /bin/svc log").text
    assert "XINIM" in text and "virtio_blk" in text
    page = guest("httpd -p 80 -h /www; wget -q -O - http://127.0.0.1/ | head -3", net="user").text
    assert "<!DOCTYPE html>" in page
