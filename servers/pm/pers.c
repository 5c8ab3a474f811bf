/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The personality: read once from the boot archive, mapped in every new
 * address space (personality/linux/layout.h).
 *
 * One memory object holds the image as it lies in memory, from X_PERS_BASE to
 * the end of its last file-backed page; what follows a segment's file part in
 * its last page is zero there, as .bss wants it.
 */
#include "servers/pm/exec.h"

static struct elf_image elf;
static struct x_personality personality;
static x_handle_t memory; /* READ | EXEC only */
static bool loaded;
static uint64_t vdso;

static uint8_t page[X_PAGE_SIZE];

static int check_header(void)
{
	struct pers_header h;

	memcpy(&h, page, sizeof(h));
	if (h.magic != PERS_MAGIC || h.header_bytes != sizeof(h) || h.start_version != PERS_START_VERSION)
		return -X_ENOEXEC;
	if (h.text_start < elf.low || h.text_end > elf.high || h.upcall_entry < h.text_start ||
	    h.upcall_entry >= h.text_end || h.fixups < elf.low || h.fixups > elf.high ||
	    h.leave > h.leave_end || h.leave_end > h.text_end || h.vdso < elf.low || h.vdso >= elf.high)
		return -X_ENOEXEC;
	if (h.fixup_count == 0 && h.fixups_end > h.fixups)
		h.fixup_count = (h.fixups_end - h.fixups) / (2 * sizeof(uint64_t));
	if (h.fixup_count > (elf.high - h.fixups) / (2 * sizeof(uint64_t)))
		return -X_ENOEXEC;
	vdso = h.vdso;
	personality = (struct x_personality){ .entry = h.upcall_entry, .base = h.text_start,
					      .end = h.text_end, .fixups = h.fixups,
					      .fixup_count = h.fixup_count,
					      .leave = h.leave, .leave_end = h.leave_end };
	return 0;
}

static int64_t copy_segment(x_handle_t blob, x_handle_t to, const struct elf_segment *s)
{
	uint64_t at = s->vaddr, end = s->vaddr + s->file_bytes;
	int64_t err = 0;

	while (at < end && err >= 0) {
		uint64_t n = X_PAGE_SIZE - at % X_PAGE_SIZE;

		if (n > end - at)
			n = end - at;
		err = x_mem_copy(blob, s->offset + (at - s->vaddr), page, n, 0);
		if (err >= 0)
			err = x_mem_copy(to, at - X_PERS_BASE, page, n, 1);
		at += n;
	}
	return err;
}

static int64_t copy_image(x_handle_t blob)
{
	struct x_mem_create create = { .bytes = elf.high - X_PERS_BASE };
	int64_t h = x_mem_create(&create), err = h, restricted;

	for (uint32_t i = 0; i < elf.segment_count && err >= 0; i++)
		err = copy_segment(blob, (x_handle_t)h, &elf.segments[i]);
	if (err < 0)
		return err;
	restricted = x_handle_dup((x_handle_t)h, X_R_READ | X_R_EXEC, 0, 0);
	x_handle_close((x_handle_t)h);
	memory = (x_handle_t)restricted;
	return restricted;
}

static int64_t load(x_handle_t blob)
{
	int64_t err = x_mem_copy(blob, 0, page, sizeof(page), 0);

	if (err >= 0)
		err = elf_parse(page, sizeof(page), UINT64_MAX, X_PERS_BASE, PERS_IMAGE_END, &elf);
	if (err >= 0 && (elf.movable || elf.low != X_PERS_BASE || elf.has_interp))
		err = -X_ENOEXEC;
	if (err >= 0)
		err = copy_image(blob);
	if (err >= 0)
		err = x_mem_copy(memory, 0, page, sizeof(page), 0);
	return err >= 0 ? check_header() : err;
}

/* Without it no program runs, but /proc and what is asked of pm still work. */
void pers_init(x_handle_t blob)
{
	int64_t err = load(blob);

	loaded = err >= 0;
	if (!loaded)
		server_log("the personality cannot be used: %d", (int)err);
}

uint64_t pers_vdso(void)
{
	return vdso;
}

const struct x_personality *pers_entry(void)
{
	return &personality;
}

static int64_t map(x_handle_t space, x_handle_t from, uint64_t addr, uint64_t end, uint32_t prot,
		   uint32_t flags)
{
	struct x_mem_map m = {
		.space = space, .memory = from, .offset = from == X_NO_HANDLE ? 0 : addr - X_PERS_BASE,
		.addr = addr, .len = end - addr, .prot = prot,
		.flags = flags | X_MAP_FIXED | X_MAP_PERSONALITY,
	};

	return addr < end ? x_mem_map(&m) : 0;
}

static int64_t map_segment(x_handle_t space, const struct elf_segment *s)
{
	uint64_t page_mask = X_PAGE_SIZE - 1;
	uint64_t start = s->vaddr & ~page_mask, end = (s->vaddr + s->mem_bytes + page_mask) & ~page_mask;
	uint64_t file_end = (s->vaddr + s->file_bytes + page_mask) & ~page_mask;
	uint32_t flags = s->prot & X_PROT_WRITE ? X_MAP_PRIVATE : 0;
	int64_t err;

	if (s->file_bytes == 0)
		file_end = start;
	err = map(space, memory, start, file_end, s->prot, flags);
	return err < 0 ? err : map(space, X_NO_HANDLE, file_end, end, s->prot, 0);
}

int pers_map(x_handle_t space)
{
	uint64_t top = PERS_STACK_TOP(0);
	int64_t err = loaded ? 0 : -X_ENOEXEC;

	for (uint32_t i = 0; i < elf.segment_count && err >= 0; i++)
		err = map_segment(space, &elf.segments[i]);
	if (err >= 0)
		err = map(space, X_NO_HANDLE, top - PERS_STACK_BYTES, top, X_PROT_READ | X_PROT_WRITE, 0);
	if (err >= 0)
		err = map(space, X_NO_HANDLE, PERS_START, PERS_START + PERS_START_BYTES,
			  X_PROT_READ | X_PROT_WRITE, 0);
	return err < 0 ? (int)err : 0;
}
