/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The content of paged objects: the state of their pages, their size, and
 * giving memory back. abi.h tells what the states are for; they are the low
 * bits of the tree's leaf slots.
 *
 * A shared mapping of a clean page can't be written (PT_CLEAN): the first write
 * comes here and makes the page dirty. Cleaning a page makes it so again in
 * every mapping, before its bytes are copied out; so no write is lost.
 */
#include "port.h"
#include "space.h"

#define PAGE_SHIFT   12
#define RECLAIM_SCAN 256u /* pages looked at for each that is wanted, at most */
#define FILES_SHARE  8u    /* of the memory: more than that of files goes though it is in use */
#define MAPPED_SCAN  8192u /* pages and mappings looked at, at most, when mapped ones go */

static struct list paged_objects = { &paged_objects, &paged_objects };

void content_init(struct memory *m)
{
	m->capacity = m->pages;
	m->content = m->pages << PAGE_SHIFT;
	list_init(&m->dirty_link);
	list_init(&m->reclaim_link);
	list_init(&m->mappings);
	if (m->flags & X_MEM_PAGED) {
		list_push_back(&paged_objects, &m->reclaim_link);
		frame_reclaim = memory_reclaim;
	}
}

void content_forget(struct memory *m)
{
	m->pager->dirty_pages -= m->dirty;
	list_remove(&m->dirty_link);
}

void content_destroy(struct memory *m)
{
	list_remove(&m->reclaim_link);
}

/* ---- dirty pages ---- */

void content_mark_dirty(struct memory *m, uint64_t *slot, uint64_t index)
{
	*slot |= PAGE_USED;
	if (*slot & PAGE_DIRTY)
		return;
	*slot |= PAGE_DIRTY;
	m->written_ns = arch_time_ns();
	if (m->pager == NULL)
		return;
	m->pager->dirty_pages++;
	if (m->dirty++ == 0) {
		list_push_back(&m->pager->dirty, &m->dirty_link);
		m->dirty_first = m->dirty_last = index;
	}
	m->dirty_first = MIN(m->dirty_first, index);
	m->dirty_last = MAX(m->dirty_last, index);
}

static void mark_clean(struct memory *m, uint64_t *slot)
{
	if (!(*slot & PAGE_DIRTY))
		return;
	*slot &= ~PAGE_DIRTY;
	if (m->pager == NULL)
		return;
	m->pager->dirty_pages--;
	if (--m->dirty == 0)
		list_remove(&m->dirty_link);
}

int content_may_write(struct memory *m, uint64_t index)
{
	uint64_t *slot = memory_slot(m, index);

	if (!(m->flags & X_MEM_PAGED))
		return 0;
	if (slot == NULL || !(*slot & PAGE_BACKED) || m->pager == NULL)
		return -X_EWAIT;
	if (!(*slot & PAGE_DIRTY) && m->pager->dirty_pages >= m->pager->dirty_limit)
		return -X_EWAIT;
	content_mark_dirty(m, slot, index);
	return 0;
}

/* Where a region maps a page, or 0. */
static uint64_t mapped_at(const struct region *r, uint64_t index)
{
	uint64_t offset = index << PAGE_SHIFT;

	if (offset < r->offset || offset - r->offset >= r->end - r->start)
		return 0;
	return r->start + (offset - r->offset);
}

/* No mapping of the page can be written any more. True if nobody but mappings
 * uses its frame, so that nobody is writing to it. */
static bool protect(struct memory *m, uint64_t index, paddr_t frame)
{
	uint32_t users = 1;

	list_for_each(r, &m->mappings, struct region, mapping_link) {
		uint64_t va = mapped_at(r, index);
		uint32_t flags;
		paddr_t p;

		if (va == 0 || !pt_get(r->space->page_table, va, &p, &flags) || p != frame)
			continue;
		users++;
		if (region_private(r) || (flags & PT_CLEAN))
			continue;
		(void)pt_map(r->space->page_table, va, p, region_pte_flags(r, (flags & PT_KEPT) | PT_CLEAN));
		tlb_flush(r->space, va, va + PAGE_SIZE);
	}
	return frame_refs(frame) == users;
}

/* The first dirty page from INDEX on; without a pager nobody counts them. */
static uint64_t dirty_from(const struct memory *m, uint64_t index)
{
	uint64_t last = m->pager != NULL ? m->dirty_last : UINT64_MAX, *slot;

	if (m->pager != NULL)
		index = m->dirty == 0 ? m->capacity : MAX(index, m->dirty_first);
	while ((slot = memory_next(m, &index)) != NULL && index <= last && !(*slot & PAGE_DIRTY))
		index++;
	return index;
}

int64_t content_clean(struct memory *m, struct x_dirty *d)
{
	uint64_t index, done = 0;
	uint64_t *slot;

	if (!(m->flags & X_MEM_PAGED) || d->len % PAGE_SIZE != 0 || d->len == 0)
		return -X_EINVAL;
	index = dirty_from(m, d->offset >> PAGE_SHIFT);
	d->offset = index << PAGE_SHIFT;
	while (done < d->len && (slot = memory_slot(m, index)) != NULL && (*slot & PAGE_DIRTY) &&
	       (*slot & PAGE_PINS) != PAGE_PINS) {
		paddr_t frame = *slot & ~PAGE_STATE;
		bool quiet = protect(m, index, frame);

		if (copy_to_user(d->addr + done, phys_to_virt(frame), PAGE_SIZE))
			return -X_EFAULT;
		slot = memory_slot(m, index); /* the copy may have blocked */
		if (slot == NULL || (*slot & ~PAGE_STATE) != frame)
			break;
		if (quiet)
			mark_clean(m, slot);
		*slot += PAGE_PIN;
		done += PAGE_SIZE;
		index++;
	}
	/* The next one's turn. */
	if (done == 0 && m->dirty != 0) {
		list_remove(&m->dirty_link);
		list_push_back(&m->pager->dirty, &m->dirty_link);
	}
	return (int64_t)done;
}

static void unpin(struct memory *m, uint64_t first, uint64_t end, bool lost)
{
	for (uint64_t index = first; index < end; index++) {
		uint64_t *slot = memory_slot(m, index);

		if (slot == NULL || !(*slot & PAGE_PINS))
			continue;
		*slot -= PAGE_PIN;
		if (lost)
			content_mark_dirty(m, slot, index);
	}
}

static int64_t hold(struct memory *m, uint64_t offset, uint64_t len)
{
	uint64_t at = offset;

	while (at < offset + len) {
		uint64_t *slot = memory_slot(m, at >> PAGE_SHIFT);

		if (slot == NULL)
			break;
		content_mark_dirty(m, slot, at >> PAGE_SHIFT);
		at = ALIGN_DOWN(at, PAGE_SIZE) + PAGE_SIZE;
	}
	return (int64_t)(MIN(at, offset + len) - offset);
}

/* ---- size ---- */

static uint64_t address_of(const struct region *r, uint64_t index)
{
	uint64_t offset = index << PAGE_SHIFT;

	return offset > r->offset ? r->start + MIN(offset - r->offset, r->end - r->start) : r->start;
}

static void unmap_pages(struct region *r, uint64_t first, uint64_t end)
{
	uint64_t va = address_of(r, first), end_va = address_of(r, end);
	uint32_t flags;
	paddr_t p;

	space_note_peak(r->space);
	for (; pt_next(r->space->page_table, &va, end_va, &p, &flags); va += PAGE_SIZE) {
		if (flags & PT_ANON)
			continue; /* a private copy */
		pt_clear(r->space->page_table, va);
		tlb_flush(r->space, va, va + PAGE_SIZE);
		r->space->resident_pages--;
		frame_unref(p);
	}
}

static void drop_page(struct memory *m, uint64_t *slot)
{
	paddr_t frame = *slot & ~PAGE_STATE;

	mark_clean(m, slot);
	*slot = 0;
	m->resident--;
	account_sub(m->account, PAGE_SIZE);
	frame_unref(frame);
}

/* The pages [first, end) are gone, from all mappings too. */
static void drop_pages(struct memory *m, uint64_t first, uint64_t end)
{
	uint64_t *slot;

	list_for_each(r, &m->mappings, struct region, mapping_link)
		unmap_pages(r, first, end);
	for (; (slot = memory_next(m, &first)) != NULL && first < end; first++)
		drop_page(m, slot);
}

/* What is resident of these bytes. */
static void zero_bytes(struct memory *m, uint64_t offset, uint64_t end)
{
	for (uint64_t next; offset < end; offset = next) {
		uint64_t *slot = memory_slot(m, offset >> PAGE_SHIFT);

		next = MIN(ALIGN_DOWN(offset, PAGE_SIZE) + PAGE_SIZE, end);
		if (slot != NULL)
			memset((char *)phys_to_virt(*slot & ~PAGE_STATE) + offset % PAGE_SIZE, 0, next - offset);
	}
}

static void punch(struct memory *m, uint64_t offset, uint64_t end)
{
	uint64_t first = ALIGN_UP(offset, PAGE_SIZE), last = ALIGN_DOWN(end, PAGE_SIZE);

	zero_bytes(m, offset, MIN(first, end));
	if (last < first)
		return;
	zero_bytes(m, last, end);
	drop_pages(m, first >> PAGE_SHIFT, last >> PAGE_SHIFT);
}

static int resize(struct memory *m, uint64_t bytes)
{
	uint64_t cut = MIN(bytes, m->content), pages = ALIGN_UP(bytes, PAGE_SIZE) >> PAGE_SHIFT;
	uint64_t old = m->pages;
	uint64_t *slot = memory_slot(m, cut >> PAGE_SHIFT);

	if (pages > m->capacity)
		return -X_EFBIG;
	if (slot != NULL && cut % PAGE_SIZE != 0 && bytes != m->content) {
		paddr_t frame = *slot & ~PAGE_STATE;

		if (bytes > m->content) {
			*slot &= ~PAGE_BACKED;
			(void)protect(m, cut >> PAGE_SHIFT, frame);
		}
		memset((char *)phys_to_virt(frame) + cut % PAGE_SIZE, 0, PAGE_SIZE - cut % PAGE_SIZE);
	}
	m->content = bytes;
	m->pages = pages;
	if (pages >= old)
		return 0;
	drop_pages(m, pages, m->capacity);
	memory_fail_requests(m, pages, old);
	return 0;
}

int64_t content_control(struct memory *m, uint32_t op, uint64_t offset, uint64_t len)
{
	uint64_t first = offset >> PAGE_SHIFT;

	if (!(m->flags & X_MEM_PAGED) || offset > UINT64_MAX - PAGE_SIZE - len)
		return -X_EINVAL;
	switch (op) {
	case X_CONTENT_SIZE:
		return resize(m, offset);
	case X_CONTENT_HOLD:
		return hold(m, offset, len);
	case X_CONTENT_STORED:
	case X_CONTENT_LOST:
		unpin(m, first, MIN(ALIGN_UP(offset + len, PAGE_SIZE) >> PAGE_SHIFT, m->pages), op == X_CONTENT_LOST);
		return 0;
	case X_CONTENT_PUNCH:
		punch(m, offset, MIN(offset + len, m->pages << PAGE_SHIFT));
		return 0;
	case X_CONTENT_ZERO:
		zero_bytes(m, offset, MIN(offset + len, m->pages << PAGE_SHIFT));
		return 0;
	case X_CONTENT_ASK:
		m->ask_writes = offset != 0;
		return 0;
	}
	return -X_EINVAL;
}

/* ---- giving memory back ---- */

/* The next page of an object that nobody uses and nobody needs kept is dropped;
 * one used lately is spared until the next round. */
static bool reclaim_page(struct memory *m, uint64_t *slot)
{
	if (*slot & (PAGE_DIRTY | PAGE_PINS) || frame_refs(*slot & ~PAGE_STATE) != 1 || m->pager == NULL)
		return false;
	if (*slot & PAGE_USED) {
		*slot &= ~PAGE_USED;
		return false;
	}
	drop_page(m, slot);
	return true;
}

uint64_t memory_reclaim(uint64_t want, const struct account *of)
{
	static uint32_t rest; /* allocations to go before trying anew, when there was nothing */
	/* Who has no other memory to get is given it if there is a page to be had: the second time round none is spared. */
	uint64_t most = want * RECLAIM_SCAN + (of ? 2 * of->used / PAGE_SIZE : 0), freed = 0;

	if (rest > 0 && want < RECLAIM_SCAN && of == NULL) {
		rest--;
		return 0;
	}
	for (uint64_t seen = 0; seen < most && freed < want && !list_empty(&paged_objects); seen++) {
		struct memory *m = list_first(&paged_objects, struct memory, reclaim_link);
		bool his = of == NULL || m->account == of;
		uint64_t *slot = his ? memory_next(m, &m->clock) : NULL;

		if (slot != NULL) {
			m->clock++;
			freed += reclaim_page(m, slot);
			continue;
		}
		m->clock = his ? 0 : m->clock;
		list_remove(&m->reclaim_link);
		list_push_back(&paged_objects, &m->reclaim_link);
		seen += 15;
	}
	rest = freed > 0 || of != NULL ? 0 : 64;
	return freed;
}

bool memory_files_are_many(void)
{
	uint64_t pages = 0;

	list_for_each(m, &paged_objects, struct memory, reclaim_link)
		pages += m->resident - m->dirty;
	return pages > frame_total() / FILES_SHARE;
}

/* Out of all mappings that need not have it; it goes if these alone kept it. */
static bool take_mapped_page(struct memory *m, uint64_t index, uint64_t *slot, uint64_t *seen)
{
	if (*slot & (PAGE_DIRTY | PAGE_PINS) || m->pager == NULL)
		return false;
	list_for_each(r, &m->mappings, struct region, mapping_link) {
		if (mapped_at(r, index) != 0 && !(r->flags & (X_MAP_WIRED | X_MAP_LOCKED)))
			unmap_pages(r, index, index + 1);
		++*seen;
	}
	if (frame_refs(*slot & ~PAGE_STATE) != 1)
		return false;
	drop_page(m, slot);
	return true;
}

/* One after the other, the oldest first: which of them are in use is not known. */
uint64_t memory_reclaim_mapped(uint64_t want)
{
	static uint32_t rest; /* calls to go before trying anew, when there was nothing */
	uint64_t freed = 0;

	if (rest > 0) {
		rest--;
		return 0;
	}
	for (uint64_t seen = 0; seen < MAPPED_SCAN && freed < want && !list_empty(&paged_objects); seen++) {
		struct memory *m = list_first(&paged_objects, struct memory, reclaim_link);
		uint64_t *slot = memory_next(m, &m->mapped_clock);

		if (slot != NULL) {
			freed += take_mapped_page(m, m->mapped_clock++, slot, &seen);
			continue;
		}
		m->mapped_clock = 0;
		list_remove(&m->reclaim_link);
		list_push_back(&paged_objects, &m->reclaim_link);
		seen += 15;
	}
	rest = freed > 0 ? 0 : 16;
	return freed;
}
