/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces, page by page: faults, copy on write, pinning for windows,
 * copies between spaces. space.h tells what page table entries mean.
 *
 * Only space_fault can block, and only for a page that a pager must supply;
 * everything found before is looked up again afterwards.
 */
#include "space.h"

#define PAGE_SHIFT 12

static uint64_t memory_index(const struct region *r, uint64_t va)
{
	return (r->offset + (va - r->start)) >> PAGE_SHIFT;
}

/* Enter a frame that no entry holds yet; takes over the caller's reference. */
static int page_enter(struct space *s, struct region *r, uint64_t va, paddr_t p, uint32_t kept)
{
	int error = pt_map(s->page_table, va, p, region_pte_flags(r, kept));

	if (error == 0 && !(kept & PT_PHYSICAL))
		s->resident_pages++;
	else if (error != 0 && !(kept & PT_PHYSICAL))
		frame_unref(p);
	return error;
}

/* A copy for this space alone: refs = 1, or NO_FRAME. */
static paddr_t frame_copy(paddr_t from)
{
	paddr_t p = frame_alloc(0);

	if (p != NO_FRAME)
		memcpy(phys_to_virt(p), phys_to_virt(from), PAGE_SIZE);
	return p;
}

/* ---- pages that are there ---- */

static int copy_on_write(struct space *s, struct region *r, uint64_t va, paddr_t old, uint32_t flags)
{
	bool sole = (flags & PT_ANON) && frame_refs(old) == 1;
	paddr_t p;
	int error;

	if (!sole && memory_denied())
		return -X_ENOMEM;
	p = sole ? old : frame_copy(old);
	if (p == NO_FRAME)
		return -X_ENOMEM;
	error = pt_map(s->page_table, va, p, region_pte_flags(r, PT_ANON));
	if (sole || error != 0) {
		if (!sole)
			frame_unref(p);
		return error;
	}
	tlb_flush(s, va, va + PAGE_SIZE);
	frame_unref(old);
	return 0;
}

/* ---- pages that are not ---- */

static int enter_zeroed(struct space *s, struct region *r, uint64_t va)
{
	paddr_t p = frame_alloc(FRAME_ZERO);

	return p != NO_FRAME ? page_enter(s, r, va, p, PT_ANON) : -X_ENOMEM;
}

/* All of [va, end), which is not there, in one run: what a device reaches is then
 * few segments. False: not done, or not all of it. */
static bool enter_run(struct space *s, struct region *r, uint64_t va, uint64_t end)
{
	uint64_t pages = (end - va) >> PAGE_SHIFT;
	paddr_t run = frame_free_count() > frame_total() / 8 ? frame_alloc_run(pages, PAGE_SIZE, FRAME_ZERO) : NO_FRAME;
	int error = run == NO_FRAME ? -X_ENOMEM : 0;

	for (uint64_t i = 0; run != NO_FRAME && i < pages; i++) {
		if (error == 0)
			error = page_enter(s, r, va + i * PAGE_SIZE, run + i * PAGE_SIZE, PT_ANON); /* frees it if not */
		else
			frame_unref(run + i * PAGE_SIZE);
	}
	return error == 0;
}

/* A first touch that follows on a page already there looks like a sweep: give
 * it the rest of the aligned cluster too, as far as memory is to be had. */
static int settle_anonymous(struct space *s, struct region *r, uint64_t va, uint32_t access)
{
	uint64_t end = MIN(ALIGN_DOWN(va, PAGE_CLUSTER * PAGE_SIZE) + PAGE_CLUSTER * PAGE_SIZE, r->end), next;
	uint32_t flags;
	int error;
	paddr_t p;

	if (!(access & FAULT_WRITE) || va == r->start || !pt_get(s->page_table, va - PAGE_SIZE, &p, &flags))
		return enter_zeroed(s, r, va);
	for (next = va + PAGE_SIZE; next < end && !pt_get(s->page_table, next, &p, &flags); next += PAGE_SIZE)
		;
	if (next > va + PAGE_SIZE && enter_run(s, r, va, next))
		return 0;
	error = pt_get(s->page_table, va, &p, &flags) ? 0 : enter_zeroed(s, r, va);
	for (va += PAGE_SIZE; error == 0 && va < next; va += PAGE_SIZE)
		if (pt_get(s->page_table, va, &p, &flags) || enter_zeroed(s, r, va) != 0)
			break;
	return error;
}

/* The first write through a shared mapping to a page that was clean. */
static int write_clean(struct space *s, struct region *r, uint64_t va, paddr_t p)
{
	int error = memory_index(r, va) < r->memory->pages ? content_may_write(r->memory, memory_index(r, va)) : -X_EIO;

	return error != 0 ? error : pt_map(s->page_table, va, p, region_pte_flags(r, 0));
}

/* What an entry for an object's own frame keeps. */
static uint32_t memory_kept(const struct region *r)
{
	if (r->memory->physical)
		return PT_PHYSICAL | (r->memory->cached ? 0 : PT_UNCACHED);
	if (region_private(r))
		return PT_COW;
	return r->memory->flags & X_MEM_PAGED ? PT_CLEAN : 0;
}

/* Map what else is resident in the aligned cluster; fails silently. */
static void map_neighbours(struct space *s, struct region *r, uint64_t va)
{
	uint64_t start = ALIGN_DOWN(va, PAGE_CLUSTER * PAGE_SIZE);
	uint64_t end = MIN(start + PAGE_CLUSTER * PAGE_SIZE, r->end);

	for (va = MAX(start, r->start); va < end; va += PAGE_SIZE) {
		uint32_t flags;
		paddr_t p;

		if (pt_get(s->page_table, va, &p, &flags))
			continue;
		if (memory_page_if_present(r->memory, memory_index(r, va), &p) != 0)
			continue;
		if (page_enter(s, r, va, p, memory_kept(r)) != 0)
			return;
	}
}

static int settle_memory(struct space *s, struct region *r, uint64_t va, uint32_t access)
{
	struct memory *m = r->memory;
	uint64_t index = memory_index(r, va);
	paddr_t p, copy;
	int error;

	if (index >= m->pages)
		return -X_EIO;
	if (m->flags & X_MEM_PAGED)
		error = memory_page_if_present(m, index, &p);
	else
		error = memory_page(m, index, &p); /* never blocks */
	if (error != 0)
		return error;
	if (!region_private(r) && (access & FAULT_WRITE)) {
		error = content_may_write(m, index);
		if (error == 0)
			return page_enter(s, r, va, p, memory_kept(r) & ~PT_CLEAN);
		if (!m->physical)
			frame_unref(p);
		return error;
	}
	if (!(access & FAULT_WRITE)) {
		error = page_enter(s, r, va, p, memory_kept(r));
		if (error == 0)
			map_neighbours(s, r, va);
		return error;
	}
	copy = frame_copy(p);
	frame_unref(p);
	return copy != NO_FRAME ? page_enter(s, r, va, copy, PT_ANON) : -X_ENOMEM;
}

/* Make one page of a region right for an access that the region allows: 0,
 * -X_EWAIT if a pager must supply it first, -X_ENOMEM, -X_EIO beyond the end. */
static int page_settle(struct space *s, struct region *r, uint64_t va, uint32_t access)
{
	uint32_t flags;
	paddr_t p;

	if (pt_get(s->page_table, va, &p, &flags)) {
		if ((access & FAULT_WRITE) && (flags & PT_COW))
			return copy_on_write(s, r, va, p, flags);
		if ((access & FAULT_WRITE) && (flags & PT_CLEAN))
			return write_clean(s, r, va, p);
		return 0; /* another thread was faster, or a stale TLB entry */
	}
	if (memory_denied())
		return -X_ENOMEM;
	if (r->memory == NULL)
		return settle_anonymous(s, r, va, access);
	return settle_memory(s, r, va, access);
}

int region_populate(struct space *s, struct region *r, uint64_t start, uint64_t end)
{
	uint32_t access = r->prot & X_PROT_WRITE ? FAULT_WRITE : 0;

	if (r->prot == 0)
		return 0;
	/* What can't succeed must not first take all there is from everybody. */
	if (r->memory == NULL && (end - start) >> PAGE_SHIFT > frame_free_count() + s->resident_pages)
		return -X_ENOMEM;
	for (uint64_t va = start; va < end; va += PAGE_SIZE) {
		int error = page_settle(s, r, va, access);

		if (error != 0 && error != -X_EWAIT)
			return error == -X_EIO ? -X_EINVAL : error;
	}
	return 0;
}

/* ---- faults ---- */

/* Stretch a stack down to va, if it may. */
static bool grow_down(struct space *s, struct region *r, uint64_t va)
{
	uint64_t floor = X_USER_MIN;

	if (!(r->flags & X_MAP_GROWSDOWN) || r->end - va > STACK_BYTES_MAX)
		return false;
	if (r->link.prev != &s->regions)
		floor = container_of(r->link.prev, struct region, link)->end + STACK_GUARD;
	if (r->start >= X_PERS_END)
		floor = MAX(floor, X_PERS_END);
	if (va < floor)
		return false;
	r->start = va;
	return true;
}

static bool access_ok(const struct region *r, uint32_t access)
{
	if (access & FAULT_WRITE)
		return (r->prot & X_PROT_WRITE) != 0;
	if (access & FAULT_EXEC)
		return (r->prot & X_PROT_EXEC) != 0;
	return r->prot != 0; /* the machine has no mapping that can't be read */
}

/* Block until the page at va is resident in its memory object, and may be
 * written if that is wanted. */
static int wait_for_page(struct region *r, uint64_t va, uint32_t access)
{
	struct memory *m = r->memory;
	uint64_t index = memory_index(r, va);
	bool write = (access & FAULT_WRITE) && !region_private(r);
	paddr_t p;
	int error;

	object_ref(&m->obj); /* the region may go meanwhile */
	error = memory_page(m, index, &p);
	if (error == 0)
		frame_unref(p);
	if (error == 0 && write && content_may_write(m, index) != 0)
		error = memory_wait_writable(m, index);
	object_unref(&m->obj);
	return error;
}

static int fault_loop(struct space *s, uint64_t va, uint32_t access)
{
	for (;;) {
		struct region *r = space_find(s, va);
		int error;

		if (r == NULL || !access_ok(r, access))
			return -X_EFAULT;
		if (r->start > va && !grow_down(s, r, va))
			return -X_EFAULT;
		error = page_settle(s, r, va, access);
		if (error == -X_EWAIT)
			error = wait_for_page(r, va, access);
		else
			return error;
		if (error != 0)
			return error;
	}
}

int space_fault(struct space *s, uint64_t addr, uint32_t access)
{
	int error;

	object_ref(&s->obj); /* an exec may drop it while this thread waits */
	do
		error = fault_loop(s, ALIGN_DOWN(addr, PAGE_SIZE), access);
	while (error == -X_ENOMEM && (error = memory_shortage()) == 0);
	object_unref(&s->obj);
	return error;
}

/* ---- pins and copies ---- */

static int pin_page(struct space *s, uint64_t va, bool write, paddr_t *frame)
{
	for (;;) {
		uint32_t flags;
		int error;

		if (pt_get(s->page_table, va, frame, &flags) && !(flags & PT_NOACCESS) &&
		    (!write || (flags & PT_WRITE))) {
			/* Device registers are no buffer; the boot archive is. */
			if ((flags & PT_PHYSICAL) &&
			    ((flags & PT_UNCACHED) || !frame_is_ram(*frame)))
				return -X_EFAULT;
			frame_ref(*frame);
			return 0;
		}
		error = space_fault(s, va, write ? FAULT_WRITE : 0);
		if (error != 0)
			return error;
	}
}

uint64_t space_pin(struct space *s, uint64_t addr, uint64_t len, bool write, paddr_t *frames)
{
	uint64_t done = 0;

	if (addr >= X_USER_MAX)
		return 0;
	len = MIN(len, X_USER_MAX - addr);
	object_ref(&s->obj);
	for (uint32_t i = 0; done < len; i++) {
		uint64_t va = addr + done;

		if (pin_page(s, ALIGN_DOWN(va, PAGE_SIZE), write, &frames[i]) != 0)
			break;
		done += MIN(len - done, PAGE_SIZE - va % PAGE_SIZE);
	}
	object_unref(&s->obj);
	return done;
}

void frames_unpin(paddr_t *frames, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		frame_unref(frames[i]);
}

int space_copy(struct space *s, uint64_t addr, uint64_t user_buf, uint64_t len, bool write)
{
	int error = 0;

	if (addr >= X_USER_MAX || len > X_USER_MAX - addr)
		return -X_EFAULT;
	object_ref(&s->obj);
	while (len > 0 && error == 0) {
		uint64_t in_page = addr % PAGE_SIZE, n = MIN(len, PAGE_SIZE - in_page);
		paddr_t frame;
		char *at;

		error = pin_page(s, addr - in_page, write, &frame);
		if (error != 0)
			break;
		at = (char *)phys_to_virt(frame) + in_page;
		error = write ? copy_from_user(at, user_buf, n) : copy_to_user(user_buf, at, n);
		frame_unref(frame);
		addr += n;
		user_buf += n;
		len -= n;
	}
	object_unref(&s->obj);
	return error;
}

int space_identify(struct space *s, uint64_t addr, uint64_t *koid, uint64_t *offset)
{
	struct region *r = space_find(s, addr);

	if (r == NULL || r->start > addr)
		return -X_EFAULT;
	if (region_private(r)) {
		*koid = s->obj.koid;
		*offset = addr;
	} else {
		*koid = r->memory->obj.koid;
		*offset = r->offset + (addr - r->start);
	}
	return 0;
}
