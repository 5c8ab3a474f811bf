#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Make the kernel's symbol table for backtraces.

    ksyms.py --empty > ksyms.S        table for the first link
    nm -n kernel | ksyms.py > ksyms.S table of that link, for the second one
    nm -n a.elf | ksyms.py --check b.elf
                                      fails unless both have the same text symbols

The table lies in .ksyms, which the linker script puts behind the text, so that
linking it in moves no function.
"""
import subprocess
import sys


def text_symbols(lines):
    """[(address, name)] of the functions between text_start and text_end."""
    symbols, start, end = [], None, None
    for line in lines:
        fields = line.split()
        if len(fields) != 3:
            continue
        address, kind, name = int(fields[0], 16), fields[1], fields[2]
        if name == "text_start":
            start = address
        elif name == "text_end":
            end = address
        elif kind in "tT" and name not in ("kernel_start", "text_end"):
            symbols.append((address, name))
    if start is None or end is None:
        return 0, []
    unique = {}
    for address, name in sorted(symbols):
        if start <= address < end:
            unique.setdefault(address, name)
    return start, sorted(unique.items())


def emit(start, symbols):
    print("/* Made by tools/ksyms.py */")
    print('\t.section .ksyms, "a"\n\t.balign 8')
    print("\t.globl ksym_count, ksym_table, ksym_names")
    print(f"ksym_count: .long {len(symbols)}\nksym_table:")
    at = 0
    for address, name in symbols:
        print(f"\t.long {address - start}, {at}")
        at += len(name) + 1
    print("ksym_names:")
    for _, name in symbols:
        print(f'\t.asciz "{name}"')
    print('\t.byte 0\n\t.section .note.GNU-stack, "", @progbits')


def main():
    if sys.argv[1:] == ["--empty"]:
        emit(0, [])
        return 0
    found = text_symbols(sys.stdin)
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        nm = subprocess.run(["nm", "-n", sys.argv[2]], check=True, capture_output=True, text=True)
        if text_symbols(nm.stdout.splitlines()) != found:
            print("ksyms: linking the symbol table moved the text", file=sys.stderr)
            return 1
        return 0
    emit(*found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
