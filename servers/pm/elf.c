/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading the headers of ELF64 programs.
 */
#include "servers/pm/elf.h"

#include <xinim/abi.h>

#include "lib/c/string.h"
#include "lib/elf/elf.h"

#define PAGE_MASK ((uint64_t)X_PAGE_SIZE - 1)
#define ALIGN_MAX (1ull << 30)

_Static_assert(sizeof(struct elf_header) == ELF_HEADER_BYTES, "elf_header");
_Static_assert(sizeof(struct elf_phdr) == ELF_PHDR_BYTES, "elf_phdr");

static bool range_fits(uint64_t start, uint64_t length, uint64_t end)
{
	return start <= end && length <= end - start;
}

static bool header_good(const struct elf_header *h, size_t bytes)
{
	static const uint8_t ident[7] = { 0x7f, 'E', 'L', 'F', 2 /* 64 bits */, 1 /* little endian */, 1 };

	return memcmp(h->ident, ident, sizeof(ident)) == 0 &&
	       (h->type == ET_EXEC || h->type == ET_DYN) && h->machine == EM_X86_64 && h->version == 1 &&
	       h->phentsize == sizeof(struct elf_phdr) && h->phnum > 0 &&
	       range_fits(h->phoff, (uint64_t)h->phnum * sizeof(struct elf_phdr), bytes);
}

static uint32_t prot_of(uint32_t flags)
{
	return (flags & PF_R ? X_PROT_READ : 0) | (flags & PF_W ? X_PROT_WRITE : 0) |
	       (flags & PF_X ? X_PROT_EXEC : 0);
}

static bool add_segment(struct elf_image *out, const struct elf_phdr *p, uint64_t file_bytes, uint64_t max)
{
	struct elf_segment *last = NULL, *s;

	if (p->memsz == 0)
		return true;
	if (out->segment_count > 0)
		last = &out->segments[out->segment_count - 1];
	if (out->segment_count == ELF_SEGMENTS_MAX || p->filesz > p->memsz ||
	    !range_fits(p->offset, p->filesz, file_bytes) || !range_fits(p->vaddr, p->memsz, max) ||
	    ((p->vaddr ^ p->offset) & PAGE_MASK) || (last && p->vaddr < last->vaddr + last->mem_bytes))
		return false;
	/* Memory that is zeroed behind a segment's file part is its alone. */
	if (last && last->mem_bytes > last->file_bytes &&
	    (p->vaddr & ~PAGE_MASK) < last->vaddr + last->mem_bytes)
		return false;
	if ((p->align & (p->align - 1)) || p->align > ALIGN_MAX)
		return false;
	if (p->align > out->align)
		out->align = p->align;
	s = &out->segments[out->segment_count++];
	*s = (struct elf_segment){ p->vaddr, p->offset, p->filesz, p->memsz, prot_of(p->flags) };
	return true;
}

static bool set_interp(struct elf_image *out, const struct elf_phdr *p, uint64_t file_bytes)
{
	if (out->has_interp || p->filesz < 2 || p->filesz > 4096 ||
	    !range_fits(p->offset, p->filesz, file_bytes))
		return false;
	out->has_interp = true;
	out->interp_offset = p->offset;
	out->interp_bytes = p->filesz;
	return true;
}

static bool take_phdr(struct elf_image *out, const struct elf_phdr *p, uint64_t file_bytes, uint64_t max)
{
	switch (p->type) {
	case PT_LOAD:
		return add_segment(out, p, file_bytes, max);
	case PT_INTERP:
		return set_interp(out, p, file_bytes);
	case PT_PHDR:
		out->phdr_vaddr = p->vaddr;
		break;
	}
	return true;
}

/* Without a PT_PHDR: the segment that holds them in the file. */
static void find_phdrs(struct elf_image *out, const struct elf_header *h)
{
	for (uint32_t i = 0; i < out->segment_count && out->phdr_vaddr == 0; i++) {
		const struct elf_segment *s = &out->segments[i];

		if (h->phoff >= s->offset && h->phoff - s->offset < s->file_bytes)
			out->phdr_vaddr = s->vaddr + (h->phoff - s->offset);
	}
}

static bool span_good(struct elf_image *out, uint64_t min, uint64_t max)
{
	const struct elf_segment *first = &out->segments[0], *last;

	if (out->segment_count == 0)
		return false;
	last = &out->segments[out->segment_count - 1];
	out->low = first->vaddr & ~PAGE_MASK;
	if (last->vaddr + last->mem_bytes > max - PAGE_MASK)
		return false;
	out->high = (last->vaddr + last->mem_bytes + PAGE_MASK) & ~PAGE_MASK;
	if (out->entry < out->low || out->entry >= out->high)
		return false;
	return out->movable ? out->high - out->low < max - min : out->low >= min;
}

int elf_parse(const void *header, size_t bytes, uint64_t file_bytes, uint64_t min, uint64_t max,
	      struct elf_image *out)
{
	struct elf_header h;
	struct elf_phdr p;

	memset(out, 0, sizeof(*out));
	if (bytes < sizeof(h))
		return -X_ENOEXEC;
	memcpy(&h, header, sizeof(h));
	if (!header_good(&h, bytes))
		return -X_ENOEXEC;
	out->movable = h.type == ET_DYN;
	out->entry = h.entry;
	out->phdr_count = h.phnum;
	out->align = X_PAGE_SIZE;
	for (uint32_t i = 0; i < h.phnum; i++) {
		memcpy(&p, (const uint8_t *)header + h.phoff + i * sizeof(p), sizeof(p));
		if (!take_phdr(out, &p, file_bytes, max))
			return -X_ENOEXEC;
	}
	find_phdrs(out, &h);
	return span_good(out, min, max) ? 0 : -X_ENOEXEC;
}
