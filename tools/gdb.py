# SPDX-License-Identifier: BSD-2-Clause
"""Commands for gdb on a XINIM guest (./xinim gdb).

  xinim-ps                       all processes, as the kernel knows them
  xinim-symbols NAME             load the symbols of a service (or `personality`)
  xinim-break NAME FUNCTION      stop in that function, in that service only

All services are linked at the same address, so load one service's symbols at a time: a
second xinim-symbols replaces the first.
"""
import os

import gdb

BUILD = os.path.dirname(gdb.objfiles()[0].filename)
PROCESS = "((struct process *)({:#x}))"
loaded = []


def processes():
    head = gdb.parse_and_eval("&all_processes")
    kind = gdb.lookup_type("struct process")
    offset = next(field.bitpos // 8 for field in kind.fields() if field.name == "all_link")
    link = head["next"]
    while int(link) != int(head):
        yield gdb.Value(int(link) - offset).cast(kind.pointer())
        link = link["next"]


class Ps(gdb.Command):
    """All processes: id, name, threads, state."""

    def __init__(self):
        super().__init__("xinim-ps", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        print(f"{'KOID':>6} {'NAME':16} THREADS STATE")
        for process in processes():
            print(f"{int(process['obj']['koid']):6} {process['name'].string():16} {int(process['thread_count']):7} {int(process['state'])}")


def load(name):
    path = os.path.join(BUILD, "personality", "linux.elf") if name == "personality" else os.path.join(BUILD, "bin", name)
    if not os.path.exists(path):
        raise gdb.GdbError(f"{path} is not there: no service {name}, or not built")
    for old in loaded:
        gdb.execute(f"remove-symbol-file {old}")
    loaded[:] = []
    gdb.execute(f"add-symbol-file {path}", to_string=True)
    text = next(line.split()[0] for line in gdb.execute("info files", to_string=True).splitlines() if ".text in " + path in line)
    loaded.append(f"-a {text}")
    print(f"symbols of {name} from {path}")


class Symbols(gdb.Command):
    """xinim-symbols NAME: load a service's symbols."""

    def __init__(self):
        super().__init__("xinim-symbols", gdb.COMMAND_FILES)

    def invoke(self, argument, from_tty):
        load(argument.strip())


class Break(gdb.Command):
    """xinim-break NAME FUNCTION: a breakpoint that stops only in that service."""

    def __init__(self):
        super().__init__("xinim-break", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        if len(words) != 2:
            raise gdb.GdbError("xinim-break NAME FUNCTION")
        load(words[0])
        point = gdb.Breakpoint(words[1], type=gdb.BP_HARDWARE_BREAKPOINT)
        point.condition = f'$_streq(cpus[$_thread - 1].current->process->name, "{words[0]}")'


Ps()
Symbols()
Break()
