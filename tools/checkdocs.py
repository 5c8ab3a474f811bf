#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""checkdocs.py: what the documents speak of exists. Prints what does not, and fails.

Looked at, in README.md, CONTRIBUTING.md and all other *.md of the tree:
  - relative links, with the heading behind `#`;
  - paths of files in `code`, as `kernel/core/main.c` or `tests/qemu/test_heal.py`;
  - `make TARGET`, `./xinim MODE` and its --options, `svc VERB`, in `code` and blocks;
  - that every page of docs/ is in the contents, docs/README.md;
  - functions and variables in the lists of what lies together in the kernel, hot_*.ld.
"""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TOPS = "kernel|include|proto|servers|fs|drivers|lib|personality|user|tools|tests|bench|docs|rootfs"
PATH = re.compile(rf"(?<![\w./~-])(?:{TOPS})/[\w./*{{}},-]*[\w*}}/]")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?\n(.*?)```|`([^`\n]+)`", re.S)


def known():
    """Targets of make, modes and options of ./xinim, verbs of svc: from where they are defined."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w./-]+):(?!=)", makefile, re.M))
    front = subprocess.run([ROOT / "xinim", "--help"], capture_output=True, text=True, check=True).stdout
    modes = set(re.search(r"\{(run[\w,]*)\}", front)[1].split(","))
    options = set(re.findall(r"--[\w-]+", front))
    svc = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "user/svc").glob("*.c"))
    verbs = set(re.findall(r'\{ "(\w+)", \d, \d', svc)) | set(re.findall(r"svc ([a-z]+)", svc))
    return targets, modes, options, verbs


def anchors(path):
    """GitHub's names of the headings."""
    names = set()
    for heading in re.findall(r"^#+ +(.*)$", path.read_text(encoding="utf-8"), re.M):
        names.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return names


def check_links(path, text):
    for link in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.S)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists():
            yield f"link to {link}: no such file"
        elif anchor and target.suffix == ".md" and anchor not in anchors(target):
            yield f"link to {link}: no such heading"


def expand(text):
    """a/{b,c}.h -> a/b.h a/c.h"""
    match = re.search(r"\{([^{}]*)\}", text)
    if not match:
        return [text]
    return [one for part in match[1].split(",") for one in expand(text[:match.start()] + part + text[match.end():])]


def check_paths(code):
    for mention in PATH.findall(code):
        for name in expand(mention):
            if re.search(r"[{}]|\b[A-Z]{2,}\b(?!\.md)", name):  # NAME stands for something
                continue
            if not (any(ROOT.glob(name.rstrip("/"))) or any(ROOT.glob(f"{name}.*"))):
                yield f"{name}: no such file"


def check_commands(code, names):
    targets, modes, options, verbs = names
    for words in re.findall(r"(?:^|[\s`(;])make((?: +[\w.=\"$/~-]+)+)", code):
        for word in words.split():
            if "=" not in word and not word.startswith("-") and word not in targets:
                yield f"make {word}: no such target"
            if word.startswith("-"):
                break
    for mode, rest in re.findall(r"\./xinim +([a-z]+)([^\n]*)", code):
        if mode not in modes:
            yield f"./xinim {mode}: no such mode"
        for option in re.findall(r"(?<!\S)--[\w-]+", re.split(r"(?<!\S)--(?!\S)|'", rest)[0]):
            if option not in options:
                yield f"./xinim {mode} {option}: no such option"
    for verb in re.findall(r"(?:^|[\s;(|`'\"])(?:/bin/)?svc +([a-z]+)", code):
        if verb not in verbs:
            yield f"svc {verb}: no such command"


def check_hot_lists():
    source = "".join(path.read_text(encoding="utf-8") for path in [*ROOT.glob("kernel/**/*.[ch]")])
    words = set(re.findall(r"\w+", source))
    for path in ROOT.glob("kernel/arch/*/hot_*.ld"):
        for name in re.findall(r"\(\.(?:text|rodata|data|bss)\.(\w+)", path.read_text(encoding="utf-8")):
            # handlers of system calls are made by a macro
            if name not in words and name.removeprefix("call_") not in words:
                yield f"{path.relative_to(ROOT)}: {name}: not in the kernel"


def documents():
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if listed:
        return [ROOT / name for name in listed if (ROOT / name).exists()]
    return [path for path in ROOT.rglob("*.md") if "build" not in path.parts]


def main():
    names, wrong = known(), 0
    for path in documents():
        text = path.read_text(encoding="utf-8")
        code = [block or inline for block, inline in CODE.findall(text)]
        prose_paths = [mention for mention in code if "\n" not in mention]
        for complaint in sorted({*check_links(path, text),
                                 *(c for piece in prose_paths for c in check_paths(piece)),
                                 *(c for piece in code if path.name != "limits.md" for c in check_commands(piece, names))}):
            print(f"{path.relative_to(ROOT)}: {complaint}")
            wrong += 1
    for complaint in check_hot_lists():
        print(complaint)
        wrong += 1
    contents = ROOT / "docs/README.md"
    linked = {(contents.parent / link.partition("#")[0]).resolve() for link in LINK.findall(contents.read_text(encoding="utf-8"))}
    for page in sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md")]):
        if page != contents and page.resolve() not in linked:
            print(f"docs/README.md: {page.relative_to(ROOT)} is not in the contents")
            wrong += 1
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
