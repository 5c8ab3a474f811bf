/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What pm needs to know of an ELF64 program: its segments, where it starts,
 * who interprets it. Pure: reads a header given in memory, trusts nothing.
 * (System V ABI, "Object Files" and the AMD64 supplement.)
 */
#ifndef SERVERS_PM_ELF_H
#define SERVERS_PM_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ELF_SEGMENTS_MAX = 24, ELF_PHDR_BYTES = 56, ELF_HEADER_BYTES = 64 };

struct elf_segment {     /* PT_LOAD with memory, in order of address, not overlapping */
	uint64_t vaddr, offset; /* equal modulo the page size */
	uint64_t file_bytes, mem_bytes;
	uint32_t prot;   /* X_PROT_* */
};

struct elf_image {
	bool movable;            /* ET_DYN: loads anywhere */
	bool has_interp;
	uint32_t segment_count;
	uint32_t phdr_count;
	uint64_t entry;          /* inside [low, high) */
	uint64_t phdr_vaddr;     /* of the program headers in memory, 0: not loaded */
	uint64_t low, high;      /* page-aligned span of all segments */
	uint64_t align;          /* of the load address, at least a page */
	uint64_t interp_offset, interp_bytes; /* in the file, 2..4096, with NUL */
	struct elf_segment segments[ELF_SEGMENTS_MAX];
};

/*
 * header: the first `bytes` of a file of file_bytes; the program headers must
 * lie within. Addresses of an immovable image must be in [min, max), the span
 * of a movable one must be smaller than that. 0 or -X_ENOEXEC.
 */
int elf_parse(const void *header, size_t bytes, uint64_t file_bytes, uint64_t min, uint64_t max,
	      struct elf_image *out);

#endif
