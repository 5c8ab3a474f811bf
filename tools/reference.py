#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""reference.py [--check]: docs/reference.md, docs/services.md, and the numbers in README.md.

reference.md: the native system calls (include/xinim/syscall.h), the errors, the operations of
each protocol (proto/). services.md: every service with its manifest and what its source says
of itself. README.md: the table of bench/results/results.md. --check: fail if a document is not as it would be.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = {  # where a service is told of at length
    "rs": "restart.md", "vfs": "vfs.md", "pm": "pm.md", "tty": "tty.md", "uart16550": "tty.md",
    "devmgr": "devices.md", "net": "network.md", "minix": "files.md", "tmpfs": "files.md", "bdev": "storage.md",
    "loop": "storage.md",
    "virtio_blk": "storage.md", "ahci": "storage.md", "virtio_net": "network-drivers.md", "e1000": "network-drivers.md",
}

# Rows of bench/results/results.md that README.md shows: the strong and the weak of each kind.
SHOWN = (r"\| (row|---|.*\(exact\)|boot|memory|.* TCP (in|out), 1 stream|.* UDP out,|.* TCP connections|"
         r".*(read|write) (1 MiB|4 KiB) depth (1|32)|.* file read 1 MiB, not cached) ")


def comment_text(comment):
    """The words of a C comment, its lines kept."""
    lines = comment.strip().removeprefix("/*").removesuffix("*/").split("\n")
    return "\n".join(re.sub(r"^\s*\* ?", "", line) if number else line.strip() for number, line in enumerate(lines)).strip()


def flat(comment):
    return re.sub(r"\s+", " ", comment_text(comment)).replace("|", "\\|")


def head(path):
    """The first comment of a file behind the licence."""
    match = re.match(r"(?:/\* SPDX.*?\*/\s*|// SPDX[^\n]*\n)(/\*.*?\*/)", path.read_text(encoding="utf-8"), re.S)
    return comment_text(match[1]) if match else ""


def calls():
    """Sections of syscall.h: (title, [(prototype, text)])."""
    text = (ROOT / "include/xinim/syscall.h").read_text(encoding="utf-8")
    numbers = dict(re.findall(r"S\((\w+), (\d+)\)", (ROOT / "include/xinim/abi.h").read_text(encoding="utf-8")))
    sections = []
    for part in re.split(r"^/\* ---- ", text[text.index("static inline int64_t x_null"):], flags=re.M):
        title = re.match(r"([^-\n]*?) ----.*\*/", part)
        rows, title_end = [], title.end() if title else 0
        for match in re.finditer(r"(/\*(?:(?!\*/).)*\*/\s*)?^static inline (?:__attribute__\(\(\w+\)\) )?(\w+) x_(\w+)\(([^)]*)\)",
                                 part[title_end:], re.M | re.S):
            comment, result, name, parameters = match.groups()
            called = re.search(r"X_CALL\d\((\w+)", part[title_end + match.end():])
            number = numbers.get(name) or (numbers.get(called[1], "") if called else "")
            parameters = re.sub(r"\s+", " ", parameters)
            rows.append((number, f"{result} x_{name}({parameters})", flat(comment) if comment else ""))
        if rows:
            sections.append((title[1] if title else "nothing", rows))
    return sections


def operations(path):
    """Operations of a protocol: (name, text) of every enum whose values have numbers of their own."""
    text = path.read_text(encoding="utf-8")
    for body in re.findall(r"enum \w*(?:_op|_call)? \{(.*?)\n\};", text, re.S):
        if not re.search(r"= 0x[0-9a-f]+00|= 0x\d[48c]0|= 0x\d50", body):
            continue
        for line in re.finditer(r"([A-Z][A-Z0-9_]+)(?: = (0x[0-9a-f]+))?,[ \t]*(/\*.*?\*/)?", body, re.S):
            yield line[1], flat(line[3]) if line[3] else ""


def reference():
    lines = ["# Reference", "", "By `tools/reference.py` from `include/xinim/` and `proto/`: change it there, then `make docs`.", "",
             "## Native system calls", "", flat(re.search(r"/\*\n \* C wrappers.*?\*/", (ROOT / "include/xinim/syscall.h").read_text(encoding="utf-8"), re.S)[0]),
             "Structures and flags are in `include/xinim/abi.h`.", ""]
    for title, rows in calls():
        lines += [f"### {title[0].upper()}{title[1:]}", "", "| number | call | |", "| ---: | --- | --- |"]
        lines += [f"| {number} | `{prototype}` | {text} |" for number, prototype, text in rows]
        lines.append("")
    errors = re.findall(r'E\((\w+), (\d+), "(.*?)"\)', (ROOT / "include/xinim/error.h").read_text(encoding="utf-8"))
    lines += ["## Errors", "", "`-X_NAME`; up to 511 the numbers are Linux's.", "", "| name | number | text |", "| --- | ---: | --- |"]
    lines += [f"| {name} | {number} | {text} |" for name, number, text in errors]
    lines += ["", "## Protocols", "", "Messages are 64 bytes (`struct x_msg`): operation, status, seven words. `->` is the answer.", ""]
    for path in sorted((ROOT / "proto").glob("*.h")):
        lines += [f"### proto/{path.name}", "", "```text", head(path), "```", ""]
        rows = list(operations(path))
        if rows:
            lines += ["| operation | |", "| --- | --- |"] + [f"| `{name}` | {text} |" for name, text in rows] + [""]
    return "\n".join(lines)


def services():
    lines = ["# The services", "", "By `tools/reference.py` from manifests and sources: change it there, then `make docs`. "
             "What the lines of a manifest mean is in [manifest.md](manifest.md).", ""]
    manifests = {path.parent.name: path for pattern in ("servers/*/manifest", "fs/*/manifest", "drivers/*/*/manifest")
                 for path in ROOT.glob(pattern)}
    for name in sorted(manifests):
        folder = manifests[name].parent
        main = next((folder / candidate for candidate in ("main.c", f"{name}.c") if head_exists(folder / candidate)), None)
        header = next((path for path in (folder / f"{name}.h", folder / "main.h") if path.exists()), None)
        lines += [f"## {name}", ""]
        if name in PAGES:
            lines += [f"At length: [{PAGES[name]}]({PAGES[name]}). Source: `{folder.relative_to(ROOT)}/`.", ""]
        else:
            lines += [f"Source: `{folder.relative_to(ROOT)}/`.", ""]
        for source in (main, header):
            if source and head(source):
                lines += ["```text", head(source), "```", ""]
        words = [line for line in manifests[name].read_text(encoding="utf-8").splitlines() if line and "SPDX" not in line]
        lines += ["```text", *words, "```", ""]
    return "\n".join(lines)


def readme():
    """README.md with the table of numbers as bench/results/results.md has it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    results = (ROOT / "bench/results/results.md").read_text(encoding="utf-8").splitlines()
    said = next((line for line in results if re.match(r"\d{4}-\d\d-\d\d", line)), "")
    table = [line for line in results if re.match(SHOWN, line)]
    begin, end = "by tools/reference.py -->\n", "<!-- end of numbers -->"
    at = text.index(begin) + len(begin)
    return text[:at] + "\n".join([said, "", *table]) + "\n" + text[text.index(end):]


def head_exists(path):
    return path.exists() and head(path)


def main():
    wrong = []
    for name, make in (("docs/reference.md", reference), ("docs/services.md", services), ("README.md", readme)):
        new, path = make().rstrip("\n") + "\n", ROOT / name
        if sys.argv[1:] == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != new:
                wrong.append(f"{name} is not what the sources say: run `make docs`")
        else:
            path.write_text(new, encoding="utf-8")
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
