# SPDX-License-Identifier: BSD-2-Clause
"""What is generated into docs/ is what its source says."""
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def check(tool, *arguments):
    result = subprocess.run([ROOT / tool, *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_generated_pages_are_fresh():
    check("tools/reference.py", "--check")


def test_what_documents_speak_of_exists():
    check("tools/checkdocs.py")


def test_public_functions_have_comments():
    check("tools/checkapi.py")


def test_table_of_system_calls():
    check("tools/linuxabi.py", "--check")
