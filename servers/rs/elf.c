/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ELF64 images: statically linked, fixed address, write xor execute, no two
 * segments in one page.
 */
#include <elf.h>
#include <stddef.h>
#include <xinim/abi.h>
#include "lib/c/string.h"
#include "servers/rs/elf.h"

static const char *check_header(const Elf64_Ehdr *h, uint64_t bytes)
{
	if (bytes < sizeof(*h) || memcmp(h->e_ident, ELFMAG, SELFMAG))
		return "not an ELF file";
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
	    h->e_machine != EM_X86_64 || h->e_version != EV_CURRENT)
		return "not an ELF file for x86-64";
	if (h->e_type != ET_EXEC)
		return "not linked at a fixed address";
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phoff % 8 || h->e_phoff > bytes ||
	    h->e_phnum > (bytes - h->e_phoff) / sizeof(Elf64_Phdr))
		return "program headers lie outside the file";
	return NULL;
}

static uint32_t prot_of(uint32_t flags)
{
	return (flags & PF_R ? X_PROT_READ : 0) | (flags & PF_W ? X_PROT_WRITE : 0) |
	       (flags & PF_X ? X_PROT_EXEC : 0);
}

static const char *add_segment(struct elf_image *e, const Elf64_Phdr *p, uint64_t bytes, uint64_t limit)
{
	struct elf_segment *s = &e->segment[e->segment_count];
	uint64_t start = p->p_vaddr & ~(uint64_t)(X_PAGE_SIZE - 1), end;

	if (p->p_memsz == 0)
		return NULL;
	if (e->segment_count == ELF_SEGMENTS_MAX)
		return "too many segments";
	if (p->p_filesz > p->p_memsz || p->p_offset > bytes || p->p_filesz > bytes - p->p_offset)
		return "a segment lies outside the file";
	if (p->p_vaddr < X_USER_MIN || p->p_vaddr >= limit || p->p_memsz > limit - p->p_vaddr)
		return "a segment lies outside the address range";
	if ((p->p_flags & PF_W) && (p->p_flags & PF_X))
		return "a segment is both writable and executable";
	end = (p->p_vaddr + p->p_memsz + X_PAGE_SIZE - 1) & ~(uint64_t)(X_PAGE_SIZE - 1);
	for (uint32_t i = 0; i < e->segment_count; i++)
		if (start < e->segment[i].map_addr + e->segment[i].map_bytes && e->segment[i].map_addr < end)
			return "two segments share a page";
	*s = (struct elf_segment){
		.map_addr = start, .map_bytes = end - start, .addr = p->p_vaddr,
		.file_offset = p->p_offset, .file_bytes = p->p_filesz, .prot = prot_of(p->p_flags),
	};
	e->segment_count++;
	return NULL;
}

static const char *check_entry(const struct elf_image *e)
{
	for (uint32_t i = 0; i < e->segment_count; i++) {
		const struct elf_segment *s = &e->segment[i];

		if ((s->prot & X_PROT_EXEC) && e->entry >= s->addr && e->entry - s->addr < s->file_bytes)
			return NULL;
	}
	return "the entry point is not in executable memory";
}

const char *elf_check(struct elf_image *e, const void *image, uint64_t bytes, uint64_t limit)
{
	const Elf64_Ehdr *h = image;
	const char *wrong = check_header(h, bytes);

	if (wrong)
		return wrong;
	e->entry = h->e_entry;
	e->segment_count = 0;
	for (uint32_t i = 0; i < h->e_phnum; i++) {
		const Elf64_Phdr *p = (const Elf64_Phdr *)((const char *)image + h->e_phoff) + i;

		if (p->p_type == PT_INTERP || p->p_type == PT_DYNAMIC)
			return "not statically linked";
		if (p->p_type == PT_TLS)
			return "thread-local data is not supported";
		if (p->p_type == PT_LOAD)
			wrong = add_segment(e, p, bytes, limit);
		if (wrong)
			return wrong;
	}
	return check_entry(e);
}
