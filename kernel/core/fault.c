/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces, page by page: faults, copy on write, pinning for windows,
 * copies between spaces. space.h tells what page table entries mean.
 *
 * Only space_fault can block, and only for a page that a pager must supply;
 * everything found before is looked up again afterwards.
 */
#include "space.h"
#include "span.h"

#define PAGE_SHIFT 12

static uint64_t memory_index(const struct region *r, uint64_t va)
{
	return (r->offset + (va - r->start)) >> PAGE_SHIFT;
}

/* Enter a frame that no entry holds yet; takes over the caller's reference. */
static int page_enter(struct space *s, struct region *r, uint64_t va, paddr_t p, uint32_t kept)
{
	int error = pt_map(s->page_table, va, p, region_pte_flags(r, kept));

	if (error == 0)
		page_counted(s, kept, 1);
	else if (!(kept & PT_PHYSICAL))
		frame_unref(p);
	return error;
}

/* Where a fault may leave the kernel lock while it fills new pages; then what it
 * found before must be looked at again. */
#define FAULT_MAY_LEAVE 4u

static bool access_ok(const struct region *r, uint32_t access)
{
	if (access & FAULT_WRITE)
		return (r->prot & X_PROT_WRITE) != 0;
	if (access & FAULT_EXEC)
		return (r->prot & X_PROT_EXEC) != 0;
	return r->prot != 0; /* the machine has no mapping that can't be read */
}

/* The region that allows this access now, or NULL; after leaving the lock. */
static struct region *region_now(struct space *s, uint64_t va, uint32_t access)
{
	struct region *r = space_find(s, va);

	return r != NULL && r->start <= va && access_ok(r, access) ? r : NULL;
}

/* A copy for this space alone: refs = 1, or NO_FRAME. *left: the lock was left. */
static paddr_t frame_copy(paddr_t from, uint32_t access, bool *left)
{
	paddr_t p = frame_alloc(0);

	*left = false;
	if (p == NO_FRAME)
		return p;
	frame_ref(from);
	*left = (access & FAULT_MAY_LEAVE) && kernel_leave(PAGE_SIZE);
	memcpy(phys_to_virt(p), phys_to_virt(from), PAGE_SIZE);
	kernel_return(*left);
	frame_unref(from);
	return p;
}

/* ---- pages that are there ---- */

static int copy_on_write(struct space *s, struct region *r, uint64_t va, paddr_t old, uint32_t flags,
			 uint32_t access)
{
	bool sole = (flags & PT_ANON) && frame_refs(old) == 1, left;
	uint32_t flags_now;
	paddr_t p, now;
	int error;

	if (sole)
		return pt_map(s->page_table, va, old, region_pte_flags(r, PT_ANON));
	if (memory_denied() || (space_full(s) && !account_make_room(s->account, PAGE_SIZE)))
		return -X_ENOMEM;
	p = frame_copy(old, access, &left);
	if (p == NO_FRAME)
		return -X_ENOMEM;
	if (left)
		r = region_now(s, va, access);
	if (left && (r == NULL || !pt_get(s->page_table, va, &now, &flags_now) || now != old || flags_now != flags)) {
		frame_unref(p);
		return 0; /* it will fault again, if need be */
	}
	error = pt_map(s->page_table, va, p, region_pte_flags(r, PT_ANON));
	if (error != 0) {
		frame_unref(p);
		return error;
	}
	page_counted(s, flags, -1);
	page_counted(s, PT_ANON, 1);
	tlb_flush(s, va, va + PAGE_SIZE);
	frame_unref(old);
	return 0;
}

/* ---- pages that are not ---- */

/* How many pages a first touch is to bring. One that follows on a page already
 * there looks like a sweep: it gets the rest of the aligned cluster too. */
static uint32_t pages_wanted(struct space *s, const struct region *r, uint64_t va, uint32_t access)
{
	uint64_t end = MIN(ALIGN_DOWN(va, PAGE_CLUSTER * PAGE_SIZE) + PAGE_CLUSTER * PAGE_SIZE, r->end);
	uint64_t room = (s->account->limit - s->account->used) / PAGE_SIZE;
	uint32_t flags, wanted = 1;
	paddr_t p;

	if (!(access & FAULT_WRITE) || va == r->start || !pt_get(s->page_table, va - PAGE_SIZE, &p, &flags))
		return 1;
	while (va + wanted * PAGE_SIZE < end && wanted < room && !pt_get(s->page_table, va + wanted * PAGE_SIZE, &p, &flags))
		wanted++;
	return wanted;
}

static int settle_anonymous(struct space *s, struct region *r, uint64_t va, uint32_t access)
{
	paddr_t fresh[PAGE_CLUSTER], run, p;
	uint32_t wanted = pages_wanted(s, r, va, access), count = 0, flags;
	int error = 0, first = 0;
	bool left;

	/* In one run, if there is plenty: what a device reaches is then few segments. */
	run = wanted > 1 && frame_free_count() > frame_total() / 8 ? frame_alloc_run(wanted, PAGE_SIZE, 0) : NO_FRAME;
	for (; run != NO_FRAME && count < wanted; count++)
		fresh[count] = run + count * PAGE_SIZE;
	while (count < wanted && (fresh[count] = frame_alloc(0)) != NO_FRAME)
		count++;
	if (count == 0)
		return -X_ENOMEM;
	left = (access & FAULT_MAY_LEAVE) && kernel_leave(count * PAGE_SIZE);
	for (uint32_t i = 0; i < count; i++) {
		memset(phys_to_virt(fresh[i]), 0, PAGE_SIZE);
		if (left)
			tlb_service();
	}
	kernel_return(left);
	for (uint32_t i = 0; i < count; i++, va += PAGE_SIZE) {
		if (left)
			r = region_now(s, va, access);
		if (error == 0 && r != NULL && r->memory == NULL && !(left && pt_get(s->page_table, va, &p, &flags)))
			error = page_enter(s, r, va, fresh[i], PT_ANON);
		else
			frame_unref(fresh[i]);
		if (i == 0)
			first = error; /* the others are a gift */
	}
	return first;
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
	paddr_t p, copy, now;
	uint32_t flags;
	bool left;
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
	copy = frame_copy(p, access, &left);
	if (!m->physical)
		frame_unref(p);
	if (copy == NO_FRAME)
		return -X_ENOMEM;
	if (left)
		r = region_now(s, va, access);
	if (left && (r == NULL || r->memory != m || !region_private(r) || memory_index(r, va) != index ||
		     pt_get(s->page_table, va, &now, &flags))) {
		frame_unref(copy);
		return 0;
	}
	return page_enter(s, r, va, copy, PT_ANON);
}

static int page_settle(struct space *s, struct region *r, uint64_t va, uint32_t access);
static bool grow_down(struct space *s, struct region *r, uint64_t va);

/* The lender's page as it is there, if it is, and none is here. */
static int enter_lent(struct space *s, struct region *r, uint64_t va)
{
	uint32_t flags;
	paddr_t p;

	if (pt_get(s->page_table, va, &p, &flags) || !pt_get(s->lender->page_table, va, &p, &flags))
		return 0;
	frame_ref(p);
	return page_enter(s, r, va, p, flags & PT_KEPT);
}

/* A page that is another space's: made right there, then entered here as it is there. */
static int settle_lent(struct space *s, struct region *r, uint64_t va, uint32_t access)
{
	struct region *lent = space_find(s->lender, va);
	uint64_t lent_start;
	uint32_t flags;
	paddr_t old;
	int error;

	if (lent == NULL || (lent->start > va && !grow_down(s->lender, lent, va)) || !access_ok(lent, access) ||
	    lent->memory != r->memory || !region_private(lent) ||
	    (r->memory != NULL && memory_index(lent, va) != memory_index(r, va)))
		return -X_EFAULT; /* changed, or gone with its process */
	error = page_settle(s->lender, lent, va, access & ~FAULT_MAY_LEAVE);
	if (error != 0)
		return error == -X_ENOMEM && space_full(s->lender) ? -X_EFAULT : error;
	if (pt_get(s->page_table, va, &old, &flags)) {
		pt_clear(s->page_table, va);
		tlb_flush(s, va, va + PAGE_SIZE);
		page_counted(s, flags, -1);
		frame_unref(old);
	}
	error = enter_lent(s, r, va);
	lent_start = ALIGN_DOWN(va, PAGE_CLUSTER * PAGE_SIZE);
	for (uint64_t at = MAX(lent_start, r->start); error == 0 && at < MIN(lent_start + PAGE_CLUSTER * PAGE_SIZE, r->end);
	     at += PAGE_SIZE)
		enter_lent(s, r, at); /* neighbours are a gift */
	return error;
}

/* Make one page of a region right for an access that the region allows: 0,
 * -X_EWAIT if a pager must supply it first, -X_ENOMEM, -X_EIO beyond the end. */
static int page_settle(struct space *s, struct region *r, uint64_t va, uint32_t access)
{
	uint32_t flags;
	paddr_t p;

	if (pt_get(s->page_table, va, &p, &flags)) {
		if ((access & FAULT_WRITE) && (flags & PT_COW) && (r->flags & REGION_LENT))
			return settle_lent(s, r, va, access);
		if ((access & FAULT_WRITE) && (flags & PT_COW))
			return copy_on_write(s, r, va, p, flags, access);
		if ((access & FAULT_WRITE) && (flags & PT_CLEAN))
			return write_clean(s, r, va, p);
		return 0; /* another thread was faster, or a stale TLB entry */
	}
	if (memory_denied() || (space_full(s) && !account_make_room(s->account, PAGE_SIZE)))
		return -X_ENOMEM;
	if (r->flags & REGION_LENT)
		return settle_lent(s, r, va, access);
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
	if (r->memory == NULL && ((end - start) >> PAGE_SHIFT > frame_free_count() + s->resident_pages ||
				  end - start > s->account->limit))
		return -X_ENOMEM;
	for (uint64_t va = start; va < end; va += PAGE_SIZE) {
		int error = page_settle(s, r, va, access);

		if (error != 0 && error != -X_EWAIT)
			return error == -X_EIO ? -X_EINVAL : error;
	}
	return 0;
}

/* ---- copies ---- */

/* One private page for the child: shared, until one writes. But a frame that is
 * not marked as shared and has several references is pinned: it stays the
 * parent's and the child gets a copy, or else a transfer under way would end in
 * the wrong one. Wired pages are copied too, so that both stay free of faults. */
static int clone_page(struct space *s, struct space *child, struct region *r, uint64_t va,
		      paddr_t p, uint32_t flags, uint32_t *at_once)
{
	uint32_t kept = PT_ANON | PT_COW;
	bool likely = (flags & PT_WRITE) && *at_once > 0;
	int error;

	if (!(flags & PT_COW) && (likely || frame_refs(p) > 1 || (r->flags & X_MAP_WIRED))) {
		paddr_t copy = frame_alloc(0);

		if (copy == NO_FRAME)
			return -X_ENOMEM;
		memcpy(phys_to_virt(copy), phys_to_virt(p), PAGE_SIZE);
		p = copy;
		kept = PT_ANON;
		*at_once -= likely;
	} else {
		frame_ref(p);
	}
	error = pt_map(child->page_table, va, p, region_pte_flags(r, kept));
	if (error != 0) {
		frame_unref(p);
		return error;
	}
	child->resident_pages++;
	if (kept & ~flags & PT_COW)
		error = pt_map(s->page_table, va, p, region_pte_flags(r, kept));
	return error;
}

int region_clone_pages(struct space *s, struct space *child, struct region *r, uint32_t *at_once)
{
	uint64_t before = child->resident_pages;
	uint32_t flags;
	int error = 0;
	paddr_t p;

	if (!region_private(r))
		return 0;
	for (uint64_t va = r->start;
	     error == 0 && pt_next(s->page_table, &va, r->end, &p, &flags); va += PAGE_SIZE)
		if (flags & PT_ANON)
			error = clone_page(s, child, r, va, p, flags, at_once);
	account_add(child->account, (child->resident_pages - before) * PAGE_SIZE);
	return error;
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
	if (frames_low() && memory_files_are_many()) /* pages of files for others of them */
		(void)memory_reclaim_mapped(2 * PAGE_CLUSTER);
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
		error = page_settle(s, r, va, access | FAULT_MAY_LEAVE);
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
	while (error == -X_ENOMEM && !space_full(s) && (error = memory_shortage()) == 0);
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

int space_copy(struct space *s, uint64_t addr, uint64_t user_buf, uint64_t len, bool write)
{
	int error = 0;

	if (addr >= X_USER_MAX || len > X_USER_MAX - addr)
		return -X_EFAULT;
	object_ref(&s->obj);
	while (len > 0 && error == 0) {
		struct span at;

		span_begin(&at, addr, len);
		for (uint32_t pages = span_pages(&at); at.count < pages && error == 0; at.count += error == 0)
			error = pin_page(s, ALIGN_DOWN(addr, PAGE_SIZE) + at.count * PAGE_SIZE, write,
					 &at.frames[at.count]);
		span_cut(&at);
		if (span_copy_user(&at, user_buf, write) != 0)
			error = -X_EFAULT;
		addr += at.bytes;
		user_buf += at.bytes;
		len -= at.bytes;
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
		*koid = r->flags & REGION_LENT ? s->lender->obj.koid : s->obj.koid;
		*offset = addr;
	} else {
		*koid = r->memory->obj.koid;
		*offset = r->offset + (addr - r->start);
	}
	return 0;
}
