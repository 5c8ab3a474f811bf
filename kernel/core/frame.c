/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Physical frames: a buddy allocator over three zones.
 *
 * Every page up to the end of the highest usable range has a struct frame, in
 * one array that frame_init places in RAM. Free memory is kept as naturally
 * aligned blocks of 2^order pages, on a list for each zone and order; the
 * first frame of a block is its head, the others are FRAME_FREE_TAIL. Blocks
 * never cross a zone, and a freed block joins its buddy whenever that is free.
 *
 * Single frames come from, and go back to, a small stack first (FRAME_CACHED):
 * most are given back soon after they were taken, and joining a block to split
 * it again is dear. Another holds pages that are zero already: tables of address
 * spaces that ended. Both are given up when a block is not to be had otherwise.
 *
 * Memory is taken from the highest zone that will do, so that the scarce low
 * zones stay for devices that need them. Called under the kernel lock.
 */
#include "mm.h"

#define PAGE_SHIFT 12
#define MAX_ORDER  15u             /* 128 MiB, the longest contiguous run */
#define NO_PFN     0u              /* frame 0 is never given out: ends lists */

enum zone_id { ZONE_16M, ZONE_4G, ZONE_REST, ZONE_COUNT };

struct zone {
	uint32_t lists[MAX_ORDER + 1]; /* head frame number by order */
	uint32_t orders;               /* bit k: lists[k] is not empty */
	uint64_t free_pages;
};

static const uint64_t zone_end_pfn[ZONE_COUNT] = {
	(16ull << 20) >> PAGE_SHIFT, (4ull << 30) >> PAGE_SHIFT, UINT64_MAX,
};

static struct zone zones[ZONE_COUNT];
struct frame *frames;
uint64_t frame_limit;              /* frames[0 .. frame_limit) exist */
static uint64_t total_pages;
uint64_t (*frame_reclaim)(uint64_t want, const struct account *of);

#define CACHED_MAX 64u
static struct cache {
	uint32_t count;
	uint32_t pfn[CACHED_MAX];      /* none of the lowest zone */
} cached, zeroed;

#define LOW_SHARE 16u /* of all memory: below that, others' pages are taken back */
#define RECLAIM_PAGES 32u

static enum zone_id zone_of(uint64_t pfn)
{
	if (pfn < zone_end_pfn[ZONE_16M])
		return ZONE_16M;
	return pfn < zone_end_pfn[ZONE_4G] ? ZONE_4G : ZONE_REST;
}

/* ---- free lists ---- */

static void list_add_block(uint32_t pfn, uint32_t order)
{
	struct zone *z = &zones[zone_of(pfn)];
	struct frame *f = &frames[pfn];

	f->state = FRAME_FREE;
	f->order = (uint8_t)order;
	f->refs = 0;
	f->prev = NO_PFN;
	f->next = z->lists[order];
	if (f->next != NO_PFN)
		frames[f->next].prev = pfn;
	z->lists[order] = pfn;
	z->orders |= 1u << order;
	z->free_pages += 1ull << order;
}

static void list_take_block(uint32_t pfn)
{
	struct zone *z = &zones[zone_of(pfn)];
	struct frame *f = &frames[pfn];

	if (f->prev != NO_PFN)
		frames[f->prev].next = f->next;
	else
		z->lists[f->order] = f->next;
	if (f->next != NO_PFN)
		frames[f->next].prev = f->prev;
	if (z->lists[f->order] == NO_PFN)
		z->orders &= ~(1u << f->order);
	z->free_pages -= 1ull << f->order;
	f->state = FRAME_FREE_TAIL;
}

/* Give back an aligned block, joining it with free buddies. */
static void free_block(uint32_t pfn, uint32_t order)
{
	frames[pfn].state = FRAME_FREE_TAIL;
	while (order < MAX_ORDER) {
		uint64_t buddy = pfn ^ (1ull << order);

		if (buddy >= frame_limit || zone_of(buddy) != zone_of(pfn) ||
		    frames[buddy].state != FRAME_FREE || frames[buddy].order != order)
			break;
		list_take_block((uint32_t)buddy);
		pfn &= ~(1u << order);
		order++;
	}
	list_add_block(pfn, order);
}

/* Give back any range of frames as the largest aligned blocks it holds. */
static void free_range(uint64_t pfn, uint64_t end)
{
	while (pfn < end) {
		uint32_t order = MIN((uint32_t)__builtin_ctzll(pfn), MAX_ORDER);

		while (pfn + (1ull << order) > end ||
		       zone_of(pfn) != zone_of(pfn + (1ull << order) - 1))
			order--;
		for (uint64_t i = pfn; i < pfn + (1ull << order); i++)
			frames[i].state = FRAME_FREE_TAIL;
		free_block((uint32_t)pfn, order);
		pfn += 1ull << order;
	}
}

/* A block of exactly 2^order pages, off all lists, or NO_PFN. */
static uint32_t take_from_zone(struct zone *z, uint32_t order)
{
	uint32_t fitting = z->orders & ~((1u << order) - 1);
	uint32_t pfn, have;

	if (fitting == 0)
		return NO_PFN;
	have = (uint32_t)__builtin_ctz(fitting);
	pfn = z->lists[have];
	list_take_block(pfn);
	while (have > order) {
		have--;
		list_add_block(pfn + (1u << have), have);
	}
	return pfn;
}

static uint32_t take_block(uint32_t order, uint32_t flags)
{
	int zone = ZONE_REST;

	if (flags & FRAME_BELOW_16M)
		zone = ZONE_16M;
	else if (flags & FRAME_BELOW_4G)
		zone = ZONE_4G;
	for (; zone >= ZONE_16M; zone--) {
		uint32_t pfn = take_from_zone(&zones[zone], order);

		if (pfn != NO_PFN)
			return pfn;
	}
	return NO_PFN;
}

static bool caches_empty(void)
{
	bool any = cached.count + zeroed.count > 0;

	while (cached.count > 0)
		free_block(cached.pfn[--cached.count], 0);
	while (zeroed.count > 0)
		free_block(zeroed.pfn[--zeroed.count], 0);
	return any;
}

/* ---- the interface ---- */

paddr_t frame_alloc_run(uint64_t count, uint64_t align, uint32_t flags)
{
	uint64_t need = MAX(count, align >> PAGE_SHIFT);
	uint32_t order = 0, pfn;
	paddr_t base;

	if (count == 0 || need > (1ull << MAX_ORDER) || (align & (align - 1)) != 0)
		return NO_FRAME;
	while ((1ull << order) < need)
		order++;
	while ((pfn = take_block(order, flags)) == NO_PFN)
		if (!caches_empty() && (!frame_reclaim || !frame_reclaim(1ull << order, NULL)))
			return NO_FRAME;
	for (uint64_t i = pfn; i < pfn + count; i++) {
		frames[i].state = FRAME_USED;
		frames[i].refs = 1;
	}
	free_range(pfn + count, pfn + (1ull << order));
	base = (paddr_t)pfn << PAGE_SHIFT;
	if (flags & FRAME_ZERO)
		memset(phys_to_virt(base), 0, count << PAGE_SHIFT);
	return base;
}

bool frames_low(void)
{
	return frame_free_count() < total_pages / LOW_SHARE;
}

paddr_t frame_alloc(uint32_t flags)
{
	uint32_t pfn;
	paddr_t p;

	if (frame_reclaim && frames_low())
		frame_reclaim(RECLAIM_PAGES, NULL);
	if (zeroed.count > 0 && flags == FRAME_ZERO) {
		pfn = zeroed.pfn[--zeroed.count];
		flags = 0;
	} else if (cached.count > 0 && !(flags & (FRAME_BELOW_4G | FRAME_BELOW_16M))) {
		pfn = cached.pfn[--cached.count];
	} else {
		pfn = take_block(0, flags);
	}
	if (pfn == NO_PFN && caches_empty())
		pfn = take_block(0, flags);
	p = (paddr_t)pfn << PAGE_SHIFT;
	if (pfn == NO_PFN)
		return NO_FRAME;
	frames[pfn].state = FRAME_USED;
	frames[pfn].refs = 1;
	if (flags & FRAME_ZERO)
		memset(phys_to_virt(p), 0, PAGE_SIZE);
	return p;
}

/* Frames that were never given out (boot archive, device memory) have no
 * count: referencing them is harmless. */
static struct frame *counted(paddr_t p)
{
	struct frame *f = frame_struct(p);

	if (f != NULL && f->state == FRAME_USED && f->refs > 0)
		return f;
	KASSERT(f == NULL || f->state == FRAME_ABSENT || f->state == FRAME_RESERVED);
	return NULL;
}

void frame_ref(paddr_t p)
{
	struct frame *f = counted(p);

	if (f != NULL)
		f->refs++;
}

static void unref_into(struct cache *c, paddr_t p)
{
	struct frame *f = counted(p);

	if (f == NULL || --f->refs > 0)
		return;
	if (c->count < CACHED_MAX && p >> PAGE_SHIFT >= zone_end_pfn[ZONE_16M]) {
		f->state = FRAME_CACHED;
		c->pfn[c->count++] = (uint32_t)(p >> PAGE_SHIFT);
	} else {
		free_block((uint32_t)(p >> PAGE_SHIFT), 0);
	}
}

void frame_unref(paddr_t p)
{
	unref_into(&cached, p);
}

void frames_unref(const paddr_t *p, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		frame_unref(p[i]);
}

void frame_unref_zeroed(paddr_t p)
{
	unref_into(&zeroed, p);
}

uint32_t frame_refs(paddr_t p)
{
	struct frame *f = counted(p);

	return f != NULL ? f->refs : 0;
}

bool frame_is_ram(paddr_t p)
{
	struct frame *f = frame_struct(p);

	return f != NULL && f->state != FRAME_ABSENT;
}

uint64_t frame_total(void)
{
	return total_pages;
}

uint64_t frame_free_count(void)
{
	return zones[ZONE_16M].free_pages + zones[ZONE_4G].free_pages +
	       zones[ZONE_REST].free_pages + cached.count + zeroed.count;
}

/* ---- start ---- */

/* The i-th span of whole pages that is in use although a usable range may
 * cover it: the unusable ranges, then the boot archive. */
static bool busy_span(uint32_t i, uint64_t *start, uint64_t *end)
{
	uint64_t base = boot_info.archive_paddr, bytes = boot_info.archive_bytes;

	if (i < boot_info.range_count) {
		base = boot_info.ranges[i].base;
		bytes = boot_info.ranges[i].usable ? 0 : boot_info.ranges[i].bytes;
	}
	*start = ALIGN_DOWN(base, PAGE_SIZE);
	*end = ALIGN_UP(base + bytes, PAGE_SIZE);
	return bytes != 0;
}

/* The end of whatever is in the way at `at`; `at` if that page is free. */
static uint64_t busy_until(uint64_t at)
{
	uint64_t start, end;

	for (uint32_t i = 0; i <= boot_info.range_count; i++)
		if (busy_span(i, &start, &end) && at >= start && at < end)
			return end;
	return at;
}

/* Where the next thing in the way begins after the free page `at`. */
static uint64_t free_until(uint64_t at, uint64_t limit)
{
	uint64_t start, end;

	for (uint32_t i = 0; i <= boot_info.range_count; i++)
		if (busy_span(i, &start, &end) && start > at)
			limit = MIN(limit, start);
	return limit;
}

/* Calls fn(start, end) for each run of bytes in whole pages that is RAM and
 * not in use by the boot; stops when it returns true. */
static void for_each_free_run(bool (*fn)(uint64_t start, uint64_t end))
{
	for (uint32_t i = 0; i < boot_info.range_count; i++) {
		const struct boot_range *r = &boot_info.ranges[i];
		uint64_t at = MAX(ALIGN_UP(r->base, PAGE_SIZE), (uint64_t)PAGE_SIZE);
		uint64_t end = ALIGN_DOWN(r->base + r->bytes, PAGE_SIZE);

		while (r->usable && at < end) {
			uint64_t next = busy_until(at);

			if (next > at) {
				at = next;
				continue;
			}
			next = free_until(at, end);
			if (fn(at, next))
				return;
			at = next;
		}
	}
}

static uint64_t array_bytes, array_paddr;

/* The array goes to the end of the highest run of RAM that holds it. */
static bool place_array(uint64_t start, uint64_t end)
{
	if (end - start >= array_bytes && end > array_paddr)
		array_paddr = end - array_bytes;
	return false;
}

static bool release_run(uint64_t start, uint64_t end)
{
	if (end == array_paddr + array_bytes)
		end = array_paddr;
	if (start < end)
		free_range(start >> PAGE_SHIFT, end >> PAGE_SHIFT);
	return false;
}

static void mark_ram(uint64_t base, uint64_t bytes)
{
	uint64_t end = ALIGN_UP(base + bytes, PAGE_SIZE) >> PAGE_SHIFT;

	for (uint64_t pfn = base >> PAGE_SHIFT; pfn < MIN(end, frame_limit); pfn++) {
		if (frames[pfn].state == FRAME_ABSENT)
			total_pages++;
		frames[pfn].state = FRAME_RESERVED;
	}
}

void frame_init(void)
{
	for (uint32_t i = 0; i < boot_info.range_count; i++) {
		const struct boot_range *r = &boot_info.ranges[i];

		if (r->usable)
			frame_limit = MAX(frame_limit, (r->base + r->bytes) >> PAGE_SHIFT);
	}
	if (boot_info.archive_bytes != 0)
		frame_limit = MAX(frame_limit, ALIGN_UP(boot_info.archive_paddr +
				  boot_info.archive_bytes, PAGE_SIZE) >> PAGE_SHIFT);
	array_bytes = ALIGN_UP(frame_limit * sizeof(struct frame), PAGE_SIZE);
	for_each_free_run(place_array);
	if (array_paddr == 0)
		panic("no room for %lu frame descriptors", (unsigned long)frame_limit);
	frames = phys_to_virt(array_paddr);
	memset(frames, 0, array_bytes);
	for (uint32_t i = 0; i < boot_info.range_count; i++)
		if (boot_info.ranges[i].usable)
			mark_ram(boot_info.ranges[i].base, boot_info.ranges[i].bytes);
	mark_ram(boot_info.archive_paddr, boot_info.archive_bytes);
	for_each_free_run(release_run);
	klog("memory: %lu MiB, %lu MiB free\n", (unsigned long)(total_pages >> 8),
	     (unsigned long)(frame_free_count() >> 8));
}
