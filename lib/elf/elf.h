/* SPDX-License-Identifier: BSD-2-Clause */
/* ELF for x86-64, as far as programs are loaded and core files written: elf(5), System V ABI, chapters 4 and 5. */
#ifndef LIB_ELF_H
#define LIB_ELF_H

#include <stdint.h>

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_header) == 64 && sizeof(struct elf_phdr) == 56, "elf(5)");

enum { ET_EXEC = 2, ET_DYN = 3, ET_CORE = 4, EM_X86_64 = 62 };
enum { PT_LOAD = 1, PT_INTERP = 3, PT_NOTE = 4, PT_PHDR = 6 };
enum { PF_X = 1, PF_W = 2, PF_R = 4 };

#endif
