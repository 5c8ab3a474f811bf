# SPDX-License-Identifier: BSD-2-Clause
"""Code blocks of documents: ``` followed by words says what a test does with them.

  ```c file=main.c       the whole of a file of the service that a tutorial builds
  ```c replace=main.c    a text in that file, a line ====, what takes its place
  ```sh run              commands for the host, in the tree's top directory
  ```guest               commands for the guest's shell
  ```expect              regular expressions, a line each, found in this order in what the
                         block before printed
"""
import re
from dataclasses import dataclass


@dataclass
class Block:
    line: int
    words: list
    text: str


def blocks(document):
    """All fenced blocks of the text, in order."""
    found, current = [], None
    for number, line in enumerate(document.splitlines(), 1):
        if current is None and line.startswith("```"):
            current = Block(number, line[3:].split(), "")
        elif current is not None and line.rstrip() == "```":
            found.append(current)
            current = None
        elif current is not None:
            current.text += line + "\n"
    assert current is None, f"line {current.line}: the block does not end"
    return found


def apply(block, folder):
    """A `file=` or `replace=` block: writes the file it speaks of; True if it was one."""
    kind, _, name = next((word.partition("=") for word in block.words if "=" in word), ("", "", ""))
    if kind == "file":
        (folder / name).write_text(block.text, encoding="utf-8")
    elif kind == "replace":
        old, new = (part.removesuffix("\n") for part in block.text.split("====\n"))
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text, f"line {block.line}: {name} has no {old!r}"
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    return kind in ("file", "replace")


def expect(block, output):
    """Every pattern of an `expect` block is found, each behind the one before."""
    at = 0
    for pattern in block.text.splitlines():
        match = re.compile(pattern, re.M).search(output, at)
        assert match, f"line {block.line}: no {pattern!r} in\n{output[at:][-4000:]}"
        at = match.end()


def same_kind(shown, output):
    """Every line of a captured `output` block is found in order; numbers, checksums and blanks may differ."""
    at = 0
    for line in shown.splitlines():
        if line.strip() in ("", "…"):
            continue
        pattern = re.escape(line.strip()).replace("\\ ", " ")
        pattern = re.sub(r"[0-9a-f]{64}", "[0-9a-f]{64}", pattern)
        pattern = re.sub(r"(?<![{\[0-9a-f-])\d+(\\\.\d+)?", r"[\\d.]+", pattern)
        pattern = re.sub(r" +", r" +", pattern)
        match = re.compile(rf"^\s*{pattern}", re.M).search(output, at)
        assert match, f"no line like {line!r} ({pattern}) in\n{output[at:][-4000:]}"
        at = match.end()
