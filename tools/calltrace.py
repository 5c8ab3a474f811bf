#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The trace of calls that a guest's kernel left in its memory (kernel/core/trace.h), as lines of text:

     12.345678  sh -> vfs            VFS_OPEN "/etc/passwd" 0x8000
     12.345810  sh <- vfs            VFS_OPEN = 0, 132 us

`./xinim exec --trace` uses it. Names of operations and errors are read from proto/ and include/.
"""
import mmap
import pathlib
import re
import struct

ROOT = pathlib.Path(__file__).resolve().parents[1]
MAGIC = b"XINIM call trace"
HEAD = struct.Struct("<16sQQ96x")
RECORD = struct.Struct("<QQQQQ4QIIiI16s32s")
CALL, ANSWER = 1, 2


class TraceError(Exception):
    """The memory holds no trace; the text says why that may be."""


def operations():
    """Number of an operation -> its name. Every protocol has numbers of its own."""
    names = {}
    for path in (ROOT / "proto").glob("*.h"):
        for body in re.findall(r"enum \w* \{(.*?)\};", path.read_text(encoding="utf-8"), re.S):
            number = -1
            for match in re.finditer(r"([A-Z]\w+)\s*(?:=\s*(\w+))?\s*,?", re.sub(r"/\*.*?\*/", "", body, flags=re.S)):
                number = int(match[2], 0) if match[2] and match[2][0].isdigit() else number + 1
                if number >= 0x100:
                    names[number] = match[1]
    return names


def errors():
    text = (ROOT / "include/xinim/error.h").read_text(encoding="utf-8")
    return {-int(number): f"-{name}" for name, number in re.findall(r"E\((\w+), (\d+), ", text)}


class Record:
    def __init__(self, values):
        self.number, self.time_ns, self.call, self.object, self.server, *rest = values
        self.arguments, rest = rest[:4], rest[4:]
        self.kind, self.op, self.status, self.window_bytes, process, self.text = rest
        self.process = process.split(b"\0")[0].decode("utf-8", "replace")


def ring(memory):
    """The whole records in order of their numbers."""
    with open(memory, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as view:
        at = view.find(MAGIC)
        while at >= 0 and at % mmap.PAGESIZE:
            at = view.find(MAGIC, at + 1)
        if at < 0:
            raise TraceError("the guest left no trace of calls (too little memory for it? it takes 8 MiB)")
        _, last, records = HEAD.unpack_from(view, at)
        found = []
        for number in range(max(1, last - records + 1), last + 1):
            record = Record(RECORD.unpack_from(view, at + HEAD.size + (number - 1) % records * RECORD.size))
            if record.number == number:
                found.append(record)
    return found


def between(records, begin, end):
    """Those from the write that begins with `begin` (bytes) to the one that matches `end`."""
    first = next((i for i, r in enumerate(records) if begin in r.text), None)
    last = next((i for i, r in enumerate(records) if end.search(r.text)), len(records))
    return records[0 if first is None else first + 1:last], first is not None


def arguments_of(record):
    words = [f"{value:#x}" if value > 9 else str(value) for value in record.arguments]
    while words and words[-1] == "0":
        words.pop()
    if record.window_bytes:
        text = record.text[:record.window_bytes].rstrip(b"\0")
        quoted = "".join(chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\x{c:02x}" for c in text)
        more = "..." if record.window_bytes > len(record.text) else ""
        words.insert(0, f'"{quoted}"{more}' if text else f"[{record.window_bytes}]")
    return " ".join(words)


def lines(memory, begin, end, names):
    """Text lines of the calls made between the two marks, of the processes named (none: of all)."""
    try:
        records, whole = between(ring(memory), begin, end)
    except TraceError as error:
        yield f"xinim: {error}"
        return
    known_ops, known_errors = operations(), errors()
    servers = {r.server: r.process for r in records if r.kind == ANSWER}
    answered = {r.call: r.process for r in records if r.kind == ANSWER}
    called = {r.call: r for r in records if r.kind == CALL}
    if not whole:
        yield f"xinim: the trace holds {len(records)} records only; what came first is lost"
    for record in records:
        call = called.get(record.call)
        if not call:  # made before the command began
            continue
        ends = call.process, answered.get(record.call) or servers.get(call.server, "?")
        if names and not set(names) & set(ends):
            continue
        op = known_ops.get(call.op, f"{call.op:#x}") + (f" @{call.object:x}" if call.object else "")
        if record.kind == CALL:
            arrow, text = "->", f"{op} {arguments_of(record)}".rstrip()
        else:
            result = known_errors.get(record.status, record.status)
            arrow, text = "<-", f"{op} = {result}, {(record.time_ns - call.time_ns) // 1000} us"
        yield f"{record.time_ns // 1000 / 1e6:12.6f}  {ends[0]} {arrow} {ends[1]:<{max(1, 20 - len(ends[0]))}} {text}"
