/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mapping the segments of a program into a new address space.
 *
 * Whole pages of the file are private mappings of its memory object. The page
 * in which a segment's file part ends, when zeroes must follow (.bss), is
 * anonymous memory filled by a read: writing zeroes into the mapped file page
 * would have pm wait for the filesystem.
 */
#include "servers/pm/exec.h"

#define PAGE_MASK ((uint64_t)X_PAGE_SIZE - 1)
#define PIE_BASE  0x0000555555554000ull
#define INTERP_GAP (16ull << 20) /* room for the kernel's own choices above */

static uint64_t page_down(uint64_t a) { return a & ~PAGE_MASK; }
static uint64_t page_up(uint64_t a) { return (a + PAGE_MASK) & ~PAGE_MASK; }

static uint64_t random_pages(uint32_t bits)
{
	uint64_t r;

	random_bytes(&r, sizeof(r));
	return (r & ((1ull << bits) - 1)) * X_PAGE_SIZE;
}

int image_place(struct exec *e, struct exec_image *i)
{
	uint64_t span = i->elf.high - i->elf.low, base;

	i->bias = 0;
	if (!i->elf.movable)
		return i == &e->image[0] ? 0 : -X_ENOEXEC;
	if (i == &e->image[0])
		base = PIE_BASE + random_pages(20);
	else
		base = PROGRAM_MAX - INTERP_GAP - span - random_pages(12);
	if (span > PROGRAM_MAX / 4 || base > PROGRAM_MAX)
		return -X_ENOEXEC;
	base = base / i->elf.align * i->elf.align;
	i->bias = base - i->elf.low;
	return 0;
}

static int64_t map(const struct exec *e, x_handle_t memory, uint64_t addr, uint64_t end, uint64_t offset,
		   uint32_t prot)
{
	struct x_mem_map m = {
		.space = e->space, .memory = memory, .offset = offset, .addr = addr, .len = end - addr,
		.prot = prot, .flags = X_MAP_FIXED | X_MAP_PRIVATE,
	};

	return addr < end ? x_mem_map(&m) : 0;
}

/* Zeroes follow the file part inside its last page. */
static bool has_tail(const struct elf_segment *s)
{
	return s->file_bytes > 0 && s->mem_bytes > s->file_bytes && ((s->vaddr + s->file_bytes) & PAGE_MASK);
}

static int64_t map_segment(const struct exec *e, const struct exec_image *i, const struct elf_segment *s)
{
	uint64_t start = page_down(s->vaddr), end = page_up(s->vaddr + s->mem_bytes);
	uint64_t file_end = s->vaddr + s->file_bytes;
	int64_t err;

	if (s->file_bytes == 0)
		file_end = start;
	else
		file_end = has_tail(s) ? page_down(file_end) : page_up(file_end);
	err = map(e, i->memory, start + i->bias, file_end + i->bias, page_down(s->offset), s->prot);
	if (err < 0)
		return err;
	/* A tail must be writable until it has its contents: image_tail_done(). */
	return map(e, X_NO_HANDLE, file_end + i->bias, end + i->bias, 0,
		   has_tail(s) ? s->prot | X_PROT_WRITE : s->prot);
}

int image_tail_done(const struct exec *e, const struct exec_image *i)
{
	const struct elf_segment *s = &i->elf.segments[i->tail - 1];
	uint64_t start = page_down(s->vaddr + s->file_bytes), end = page_up(s->vaddr + s->mem_bytes);

	if (s->prot & X_PROT_WRITE)
		return 0;
	return (int)x_mem_protect(e->space, start + i->bias, end - start, s->prot);
}

int image_map(struct exec *e, struct exec_image *i)
{
	int64_t err = 0;

	for (uint32_t n = 0; n < i->elf.segment_count && err >= 0; n++)
		err = map_segment(e, i, &i->elf.segments[n]);
	i->tail = 0;
	return err < 0 ? (int)err : 0;
}

bool image_next_tail(struct exec_image *i, uint64_t *addr, uint64_t *offset, uint32_t *bytes)
{
	while (i->tail < i->elf.segment_count) {
		const struct elf_segment *s = &i->elf.segments[i->tail++];
		uint64_t file_end = s->vaddr + s->file_bytes, start = page_down(file_end);

		if (!has_tail(s))
			continue;
		/* From the page's start, also if the segment begins later in it. */
		*addr = start + i->bias;
		*offset = page_down(s->offset) + (start - page_down(s->vaddr));
		*bytes = (uint32_t)(file_end - start);
		return true;
	}
	return false;
}
