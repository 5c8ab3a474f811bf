# SPDX-License-Identifier: BSD-2-Clause
"""What guests ran of our programs: the blocks that tools/qemu-covered has left, found in the ELF files by address and bytes.

All services are linked to the same address, so a block belongs to each program that has these bytes there. Lines are those
of the programs' line tables (DWARF 5, 6.2). A branch is a conditional jump to either side; a side counts as
taken if the jump has run and what lies there has: by another way, perhaps.
"""
import bisect
import gzip
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
BLOCKS = ROOT / "build/coverage/guests"
SYSTEM = re.compile(r"^(kernel|servers|drivers|fs|lib|personality)/")
JUMP = re.compile(r"^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*j(?!mp)\w+\s+([0-9a-f]+)")
ROW = re.compile(r"^0x([0-9a-f]+)\s+(\d+)\s+\d+\s+(\d+)\s+\d+\s+\d+\s*(.*)$")


def programs():
    return [ROOT / "build/xinim.elf", ROOT / "build/personality/linux.elf", *sorted((ROOT / "build/bin").iterdir())]


class Program:
    """The executable bytes of an ELF file, and which of them have run."""

    def __init__(self, path):
        self.path = path
        self.parts = []  # (address, bytes, a flag for each)
        data = path.read_bytes()
        text = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
        for match in re.finditer(r"PROGBITS\s+([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+) \S+\s+\w*X", text):
            address, offset, size = (int(word, 16) for word in match.groups())
            self.parts.append((address, data[offset:offset + size], bytearray(size)))

    def mark(self, address, code):
        for start, data, ran in self.parts:
            at = address - start
            if 0 <= at < len(data) and data[at:at + len(code)] == code:
                ran[at:at + len(code)] = b"\1" * len(code)

    def has_run(self, address):
        return any(0 <= address - start < len(data) and ran[address - start] for start, data, ran in self.parts)

    def lines(self):
        """(address, file, line) of each statement, in the order of the table."""
        text = subprocess.run(["llvm-dwarfdump", "--debug-line", self.path], capture_output=True, text=True, check=True).stdout
        folders, files, index = {}, {}, None
        for row in text.splitlines():
            if row.startswith("debug_line["):
                folders, files = {}, {}
            elif row.startswith("include_directories["):
                folders[int(row[20:row.index("]")])] = row.split('"')[1]
            elif row.startswith("file_names["):
                index = int(row[11:row.index("]")])
            elif row.lstrip().startswith("name: "):
                files[index] = row.split('"')[1]
            elif row.lstrip().startswith("dir_index: ") and not files[index].startswith("/"):
                folder = folders.get(int(row.split(":")[1]), ".")
                files[index] = str(pathlib.PurePath(folder) / files[index])
            else:
                match = ROW.match(row)
                if match and "is_stmt" in match[4] and "end_sequence" not in match[4] and int(match[2]):
                    yield int(match[1], 16), files[int(match[3])], int(match[2])

    def jumps(self):
        """(address, next address, target) of each conditional jump."""
        text = subprocess.run(["objdump", "-d", "-w", self.path], capture_output=True, text=True, check=True).stdout
        for row in text.splitlines():
            match = JUMP.match(row)
            if match:
                address = int(match[1], 16)
                yield address, address + len(match[2].split()), int(match[3], 16)


def collected(found):
    """Mark in all programs what guests ran."""
    seen = set()
    for path in BLOCKS.glob("*.gz"):
        try:
            with gzip.open(path, "rt", encoding="ascii") as stream:
                seen.update(stream.read().splitlines())
        except EOFError:  # ended before its time
            continue
    for block in seen:
        address, code = block.split()
        for program in found:
            program.mark(int(address, 16), bytes.fromhex(code))


def measure():
    """({file: {line: reached}}, {file: (sides of branches taken, of how many)})"""
    found = [Program(path) for path in programs()]
    collected(found)
    lines, sides = {}, {}
    for program in found:
        table = sorted(program.lines())
        addresses = [row[0] for row in table]
        for address, file, line in table:
            if SYSTEM.match(file):
                reached = lines.setdefault(file, {})
                reached[line] = reached.get(line, False) or program.has_run(address)
        for address, after, target in program.jumps():
            file = table[max(0, bisect.bisect(addresses, address) - 1)][1]
            if SYSTEM.match(file):
                taken, count = sides.get(file, (0, 0))
                ran = program.has_run(address)
                sides[file] = (taken + (ran and program.has_run(after)) + (ran and program.has_run(target)), count + 2)
    return lines, sides
