/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces: the ordered list of regions and the calls that change it.
 * What happens to single pages is in fault.c, the meaning of entries in space.h.
 *
 * Neighbouring regions that continue each other are joined, so the list stays
 * short; lookups start from the last hit. New mappings are placed downwards
 * from below the personality, from map_hint on, which rises when something
 * above it is unmapped. When entries lose rights or go, the TLBs are flushed
 * before any frame is given back.
 */
#include "space.h"

#define PAGE_SHIFT 12
#define MAP_TOP    (X_PERS_BASE - (1ull << 20)) /* above: the boot page */
#define GATHER_MAX 128u
#define ADVICE     (X_MAP_LOCKED | X_MAP_WIPE | X_MAP_NOFORK)
#define REGIONS_MAX 65536u /* of one space: its list is walked */

/* Frames on their way out: freed after one flush for all. */
struct gather {
	struct space *space;
	uint64_t start, end; /* entries cleared, not flushed */
	uint32_t count;
	paddr_t frames[GATHER_MAX];
};

static struct region *entry(struct list *link)
{
	return container_of(link, struct region, link);
}

static uint64_t region_bytes(const struct region *r)
{
	return r->end - r->start;
}

/* ---- pages of a range ---- */

static void gather_flush(struct gather *g)
{
	if (g->start < g->end)
		tlb_flush(g->space, g->start, g->end);
	for (uint32_t i = 0; i < g->count; i++)
		frame_unref(g->frames[i]);
	g->start = UINT64_MAX;
	g->end = 0;
	g->count = 0;
}

static void unmap_pages(struct space *s, uint64_t start, uint64_t end)
{
	struct gather g = { .space = s, .start = UINT64_MAX };
	uint32_t flags;
	paddr_t p;

	for (uint64_t va = start; pt_next(s->page_table, &va, end, &p, &flags); va += PAGE_SIZE) {
		pt_clear(s->page_table, va);
		g.start = MIN(g.start, va);
		g.end = va + PAGE_SIZE;
		page_counted(s, flags, -1);
		if (!(flags & PT_PHYSICAL))
			g.frames[g.count++] = p;
		if (g.count == GATHER_MAX)
			gather_flush(&g);
	}
	gather_flush(&g);
}

/* Bring the entries of a region in line with its protection. */
static void update_pages(struct space *s, const struct region *r)
{
	bool reduced = false;
	uint32_t old;
	paddr_t p;
	int error;

	for (uint64_t va = r->start; pt_next(s->page_table, &va, r->end, &p, &old); va += PAGE_SIZE) {
		uint32_t flags = region_pte_flags(r, old & PT_KEPT);

		if (flags == old)
			continue;
		error = pt_map(s->page_table, va, p, flags);
		KASSERT(error == 0); /* the table is there */
		if ((old & ~flags & (PT_WRITE | PT_EXEC)) || (flags & ~old & PT_NOACCESS))
			reduced = true;
	}
	if (reduced)
		tlb_flush(s, r->start, r->end);
}

/* ---- the list of regions ---- */

struct region *space_find(struct space *s, uint64_t addr)
{
	struct list *at = s->last_hit != NULL ? &s->last_hit->link : s->regions.next;

	while (at != &s->regions && entry(at)->end <= addr)
		at = at->next;
	while (at->prev != &s->regions && entry(at->prev)->end > addr)
		at = at->prev;
	if (at == &s->regions)
		return NULL;
	s->last_hit = entry(at);
	return s->last_hit;
}

/* A region that is now in the list of s uses its memory object. */
static void region_hold_memory(struct space *s, struct region *r)
{
	r->space = s;
	s->region_count++;
	list_init(&r->mapping_link);
	if (r->memory == NULL)
		return;
	object_ref(&r->memory->obj);
	if (r->memory->flags & X_MEM_PAGED)
		list_push_back(&r->memory->mappings, &r->mapping_link);
}

static void region_insert(struct space *s, struct region *r)
{
	struct region *above = space_find(s, r->start);

	list_insert_before(&r->link, above != NULL ? &above->link : &s->regions);
	region_hold_memory(s, r);
}

/* Its pages are gone or belong to another region already. */
static void region_free(struct space *s, struct region *r)
{
	if (s->last_hit == r)
		s->last_hit = NULL;
	s->region_count--;
	list_remove(&r->link);
	list_remove(&r->mapping_link);
	if (r->memory != NULL)
		object_unref(&r->memory->obj);
	kfree(r);
}

static bool continues(const struct region *a, const struct region *b)
{
	return a->end == b->start && a->prot == b->prot && a->flags == b->flags &&
	       a->max_prot == b->max_prot && a->memory == b->memory && a->born == b->born &&
	       !(a->flags & X_MAP_GROWSDOWN) &&
	       (a->memory == NULL || a->offset + region_bytes(a) == b->offset);
}

/* Join with both neighbours; returns what r has become. */
static struct region *region_join(struct space *s, struct region *r)
{
	struct region *other = entry(r->link.next);

	if (&other->link != &s->regions && continues(r, other)) {
		r->end = other->end;
		region_free(s, other);
	}
	other = entry(r->link.prev);
	if (&other->link != &s->regions && continues(other, r)) {
		other->end = r->end;
		region_free(s, r);
		return other;
	}
	return r;
}

/* Join wherever regions meet in [start, end]. */
static void join_range(struct space *s, uint64_t start, uint64_t end)
{
	struct region *r = space_find(s, start > 0 ? start - 1 : 0);

	while (r != NULL && r->start <= end) {
		r = region_join(s, r);
		r = r->link.next != &s->regions ? entry(r->link.next) : NULL;
	}
}

static struct region *region_alloc(const struct space *s)
{
	return s->region_count < REGIONS_MAX ? kmalloc_for(s->account, sizeof(struct region)) : NULL;
}

/* Make sure that no region lies across addr. */
static int split_at(struct space *s, uint64_t addr)
{
	struct region *r = space_find(s, addr), *low;

	if (r == NULL || r->start >= addr)
		return 0;
	low = region_alloc(s);
	if (low == NULL)
		return -X_ENOMEM;
	*low = *r;
	low->end = addr;
	r->offset += addr - r->start;
	r->start = addr;
	list_insert_before(&low->link, &r->link);
	region_hold_memory(s, low);
	return 0;
}

static int split_range(struct space *s, uint64_t start, uint64_t end)
{
	int error = split_at(s, start);

	return error != 0 ? error : split_at(s, end);
}

/* ---- checks ---- */

static bool in_user_range(uint64_t addr, uint64_t len)
{
	return addr % PAGE_SIZE == 0 && len % PAGE_SIZE == 0 && len > 0 &&
	       addr >= X_USER_MIN && addr < X_USER_MAX && len <= X_USER_MAX - addr;
}

static bool meets_personality(uint64_t addr, uint64_t len)
{
	return addr < X_PERS_END && addr + len > X_PERS_BASE;
}

static bool is_current(const struct space *s)
{
	return current() != NULL && current_process() != NULL && current_process()->space == s;
}

/* A range that unmap, protect and move may change. */
static bool may_change(const struct space *s, uint64_t addr, uint64_t len)
{
	return in_user_range(addr, len) && !(meets_personality(addr, len) && is_current(s));
}

/* Rounds a length up to pages; 0 if that is too much for any space. */
static uint64_t whole_pages(uint64_t len)
{
	return len <= X_USER_MAX ? ALIGN_UP(len, PAGE_SIZE) : 0;
}

static bool breaks_w_xor_x(const struct space *s, uint32_t prot)
{
	return s->wired && (prot & X_PROT_WRITE) && (prot & X_PROT_EXEC);
}

/* ---- finding room ---- */

/* Where a region's room begins: a stack keeps what it may still grow into. */
static uint64_t room_start(const struct region *r)
{
	uint64_t reserve = STACK_BYTES_MAX + STACK_GUARD;

	if (!(r->flags & X_MAP_GROWSDOWN))
		return r->start;
	return r->end > reserve ? MIN(r->start, r->end - reserve) : 0;
}

/* The highest address in [low, limit - len] with len free bytes, or 0. */
static uint64_t room_below(struct space *s, uint64_t limit, uint64_t low, uint64_t len)
{
	struct region *above = space_find(s, limit);
	struct list *at = above != NULL ? &above->link : &s->regions;
	uint64_t top = limit;

	for (;;) {
		uint64_t bottom = low;

		if (at != &s->regions)
			top = MIN(top, room_start(entry(at)));
		at = at->prev;
		if (at != &s->regions)
			bottom = MAX(low, entry(at)->end);
		if (top > bottom && top - bottom >= len)
			return top - len;
		if (at == &s->regions || top <= low)
			return 0;
	}
}

static bool is_free(struct space *s, uint64_t addr, uint64_t len)
{
	struct region *r = space_find(s, addr);

	return r == NULL || room_start(r) >= addr + len;
}

/* Room for a mapping without a fixed address, or 0. */
static uint64_t find_room(struct space *s, uint64_t hint, uint64_t len, bool personality)
{
	uint64_t addr;

	hint = ALIGN_DOWN(hint, PAGE_SIZE);
	if (in_user_range(hint, len) && meets_personality(hint, len) == personality &&
	    (!personality || (hint >= X_PERS_BASE && hint + len <= X_PERS_END)) &&
	    is_free(s, hint, len))
		return hint;
	if (personality)
		return room_below(s, X_PERS_END, X_PERS_BASE, len);
	addr = room_below(s, s->map_hint, X_USER_MIN, len);
	if (addr == 0)
		addr = room_below(s, MAP_TOP, X_USER_MIN, len);
	if (addr != 0)
		s->map_hint = addr;
	return addr;
}

/* ---- map ---- */

static int check_backing(const struct space *s, const struct x_mem_map *m, const struct memory *mem,
			 uint64_t len)
{
	if (mem == NULL)
		return 0;
	if ((m->flags & X_MAP_GROWSDOWN) || m->offset % PAGE_SIZE != 0 ||
	    m->offset > UINT64_MAX - len)
		return -X_EINVAL;
	if ((s->wired || mem->physical) && m->offset + len > mem->pages << PAGE_SHIFT)
		return -X_EINVAL;
	if (mem->physical && (m->flags & X_MAP_PRIVATE) && (m->prot & X_PROT_WRITE))
		return -X_EINVAL;
	return 0;
}

/* The address for a mapping, checked against the flags; clears what FIXED replaces. */
static int choose_address(struct space *s, const struct x_mem_map *m, uint64_t len, uint64_t *addr)
{
	bool personality = (m->flags & X_MAP_PERSONALITY) != 0;

	if (!(m->flags & X_MAP_FIXED)) {
		*addr = find_room(s, m->addr, len, personality);
		return *addr != 0 ? 0 : -X_ENOMEM;
	}
	*addr = m->addr;
	if (!in_user_range(m->addr, len))
		return -X_EINVAL;
	if (meets_personality(m->addr, len) &&
	    !(personality && m->addr >= X_PERS_BASE && m->addr + len <= X_PERS_END))
		return -X_EINVAL;
	return 0;
}

static int unmap_range(struct space *s, uint64_t start, uint64_t end)
{
	int error = split_range(s, start, end);
	struct region *r;

	if (error != 0)
		return error;
	unmap_pages(s, start, end);
	while ((r = space_find(s, start)) != NULL && r->start < end)
		region_free(s, r);
	if (end > s->map_hint)
		s->map_hint = MIN(end, MAP_TOP);
	return 0;
}

static int clear_for_fixed(struct space *s, uint64_t addr, uint64_t len, uint32_t flags)
{
	struct region *r = space_find(s, addr);

	if (r == NULL || r->start >= addr + len)
		return 0;
	if (flags & X_MAP_NOREPLACE)
		return -X_EEXIST;
	return unmap_range(s, addr, addr + len);
}

static uint32_t max_prot_of(const struct x_mem_map *m, const struct memory *mem)
{
	uint32_t all = X_PROT_READ | X_PROT_WRITE | X_PROT_EXEC;
	uint32_t given = (m->prot >> 8) & all;

	if (mem != NULL && mem->physical && (m->flags & X_MAP_PRIVATE))
		all &= ~X_PROT_WRITE;
	if (mem == NULL)
		return all;
	if (m->flags & X_MAP_PRIVATE) /* writing needs no right: it is to a copy */
		return given != 0 ? all & (given | X_PROT_WRITE | m->prot) : all;
	return all & (given | m->prot);
}

static struct region *region_new(const struct space *s, const struct x_mem_map *m, struct memory *mem,
				 uint64_t addr, uint64_t len)
{
	uint32_t kept = X_MAP_PRIVATE | X_MAP_WIRED | X_MAP_GROWSDOWN | ADVICE;
	struct region *r = region_alloc(s);

	if (r == NULL)
		return NULL;
	memset(r, 0, sizeof(*r));
	list_init(&r->link);
	r->start = addr;
	r->end = addr + len;
	r->prot = m->prot & (X_PROT_READ | X_PROT_WRITE | X_PROT_EXEC);
	r->max_prot = max_prot_of(m, mem);
	r->flags = m->flags & kept;
	if (mem == NULL)
		r->flags |= X_MAP_PRIVATE;
	else if (mem->physical)
		r->flags &= ~X_MAP_PRIVATE;
	if (s->wired && !(m->flags & X_MAP_LAZY))
		r->flags |= X_MAP_WIRED;
	if (meets_personality(addr, len))
		r->flags |= X_MAP_PERSONALITY;
	if (is_current(s))
		r->born = current_process()->commits;
	r->memory = mem;
	r->offset = mem != NULL ? m->offset : 0;
	return r;
}

int64_t space_map(struct space *s, const struct x_mem_map *m, struct memory *mem)
{
	uint64_t len = whole_pages(m->len), addr;
	struct region *r;
	int error;

	if (len == 0)
		return -X_EINVAL;
	if (breaks_w_xor_x(s, m->prot))
		return -X_EPERM;
	error = check_backing(s, m, mem, len);
	if (error == 0)
		error = choose_address(s, m, len, &addr);
	if (error != 0)
		return error;
	r = region_new(s, m, mem, addr, len);
	if (r == NULL)
		return -X_ENOMEM;
	error = clear_for_fixed(s, addr, len, m->flags);
	if (error != 0) {
		kfree(r);
		return error;
	}
	region_insert(s, r);
	if (r->flags & X_MAP_WIRED)
		error = region_populate(s, r, r->start, r->end);
	if (error != 0) {
		unmap_pages(s, r->start, r->end);
		region_free(s, r);
		return error;
	}
	region_join(s, r);
	return (int64_t)addr;
}

/* ---- unmap, protect ---- */

int space_unmap(struct space *s, uint64_t addr, uint64_t len)
{
	len = whole_pages(len);
	if (!may_change(s, addr, len))
		return -X_EINVAL;
	return unmap_range(s, addr, addr + len);
}

/* Is all of the range mapped, and may have this protection? */
static int check_protect(struct space *s, uint64_t addr, uint64_t end, uint32_t prot)
{
	while (addr < end) {
		struct region *r = space_find(s, addr);

		if (r == NULL || r->start > addr)
			return -X_ENOMEM;
		if (prot & ~r->max_prot)
			return -X_EACCES;
		addr = r->end;
	}
	return 0;
}

int space_protect(struct space *s, uint64_t addr, uint64_t len, uint32_t prot)
{
	uint64_t end;
	int error;

	len = whole_pages(len);
	if (!may_change(s, addr, len) || (prot & ~(X_PROT_READ | X_PROT_WRITE | X_PROT_EXEC)))
		return -X_EINVAL;
	if (breaks_w_xor_x(s, prot))
		return -X_EPERM;
	end = addr + len;
	error = check_protect(s, addr, end, prot);
	if (error == 0)
		error = split_range(s, addr, end);
	if (error != 0)
		return error;
	for (uint64_t at = addr; at < end;) {
		struct region *r = space_find(s, at);

		r->prot = prot;
		update_pages(s, r);
		if ((r->flags & X_MAP_WIRED) && error == 0)
			error = region_populate(s, r, r->start, r->end);
		at = r->end;
	}
	join_range(s, addr, end);
	return error;
}

int space_advise(struct space *s, uint64_t addr, uint64_t len, uint32_t set, uint32_t clear)
{
	uint64_t end = addr + whole_pages(len);
	bool later = set & X_MAP_LOCKED_LATER;
	int error;

	set &= ~X_MAP_LOCKED_LATER;
	if (!may_change(s, addr, whole_pages(len)) || ((set | clear) & ~ADVICE))
		return -X_EINVAL;
	error = check_protect(s, addr, end, 0);
	if (error == 0)
		error = split_range(s, addr, end);
	for (uint64_t at = addr; at < end && error == 0;) {
		struct region *r = space_find(s, at);

		if ((set & X_MAP_WIPE) && r->memory != NULL)
			error = -X_EINVAL;
		else if ((set & X_MAP_LOCKED) && !later)
			error = region_populate(s, r, r->start, r->end);
		if (error == 0)
			r->flags = (r->flags & ~clear) | set;
		at = r->end;
	}
	join_range(s, addr, end);
	return error;
}

/* ---- move ---- */

/* Enter the pages of [from, from + len) at `to` too; on failure none. */
static int alias_pages(struct space *s, uint64_t from, uint64_t to, uint64_t len)
{
	uint64_t va = from, undo = to;
	uint32_t flags;
	paddr_t p;

	for (; pt_next(s->page_table, &va, from + len, &p, &flags); va += PAGE_SIZE) {
		int error = pt_map(s->page_table, to + (va - from), p, flags);

		if (error == 0)
			continue;
		for (; pt_next(s->page_table, &undo, to + (va - from), &p, &flags); undo += PAGE_SIZE)
			pt_clear(s->page_table, undo);
		tlb_flush(s, to, to + len);
		return error;
	}
	return 0;
}

/* The frames' references have passed to the new entries. */
static void forget_pages(struct space *s, uint64_t start, uint64_t end)
{
	uint32_t flags;
	paddr_t p;

	for (uint64_t va = start; pt_next(s->page_table, &va, end, &p, &flags); va += PAGE_SIZE)
		pt_clear(s->page_table, va);
	tlb_flush(s, start, end);
}

static int64_t grow_in_place(struct space *s, struct region *r, uint64_t old, uint64_t new_len)
{
	uint64_t old_end = r->end;
	int error = 0;

	r->end = old + new_len;
	if (r->flags & X_MAP_WIRED)
		error = region_populate(s, r, old_end, r->end);
	if (error != 0) {
		unmap_pages(s, old_end, r->end);
		r->end = old_end;
		return error;
	}
	region_join(s, r);
	return (int64_t)old;
}

/* Take a whole region elsewhere. What can fail comes first: the growth is made
 * as a region of its own, then stretched over the old pages. */
static int64_t relocate(struct space *s, struct region *r, uint64_t to, uint64_t new_len)
{
	uint64_t from = r->start, len = region_bytes(r);
	struct region *moved = region_alloc(s);
	int error = 0;

	if (moved == NULL)
		return -X_ENOMEM;
	*moved = *r;
	moved->start = to + len;
	moved->end = to + new_len;
	moved->offset = r->offset + len;
	region_insert(s, moved);
	if (moved->flags & X_MAP_WIRED)
		error = region_populate(s, moved, moved->start, moved->end);
	if (error == 0)
		error = alias_pages(s, from, to, len);
	if (error != 0) {
		unmap_pages(s, moved->start, moved->end);
		region_free(s, moved);
		return error;
	}
	moved->start = to;
	moved->offset = r->offset;
	forget_pages(s, from, from + len);
	region_free(s, r);
	if (from + len > s->map_hint)
		s->map_hint = MIN(from + len, MAP_TOP);
	region_join(s, moved);
	return (int64_t)to;
}

static int64_t move_to(struct space *s, uint64_t old, uint64_t old_len, uint64_t new_len,
		       uint64_t new_addr, uint32_t flags)
{
	int error = 0;

	if (flags & X_MAP_FIXED) {
		if (!may_change(s, new_addr, new_len) || meets_personality(new_addr, new_len) ||
		    (new_addr < old + old_len && old < new_addr + new_len))
			return -X_EINVAL;
		error = clear_for_fixed(s, new_addr, new_len, flags);
	} else {
		new_addr = find_room(s, new_addr, new_len, false);
		error = new_addr != 0 ? 0 : -X_ENOMEM;
	}
	if (error == 0)
		error = split_range(s, old, old + old_len);
	if (error != 0)
		return error;
	return relocate(s, space_find(s, old), new_addr, new_len);
}

/* The region that holds the whole old range, if it may get new_len bytes. */
static int check_move(struct space *s, uint64_t old, uint64_t old_len, uint64_t new_len,
		      struct region **out)
{
	struct region *r;
	uint64_t offset;

	if (!may_change(s, old, old_len) || new_len == 0)
		return -X_EINVAL;
	r = space_find(s, old);
	if (r == NULL || r->start > old || r->end < old + old_len)
		return -X_EFAULT;
	if (r->flags & REGION_LENT)
		return -X_ENOMEM;
	offset = r->offset + (old - r->start);
	if (r->memory != NULL && offset > UINT64_MAX - new_len)
		return -X_EINVAL;
	if (r->memory != NULL && (r->memory->physical || s->wired) &&
	    offset + new_len > r->memory->pages << PAGE_SHIFT)
		return -X_EINVAL;
	*out = r;
	return 0;
}

int64_t space_move(struct space *s, uint64_t old, uint64_t old_len, uint64_t new_len,
		   uint64_t new_addr, uint32_t flags)
{
	struct region *r;
	int error;

	old_len = whole_pages(old_len);
	new_len = whole_pages(new_len);
	error = check_move(s, old, old_len, new_len, &r);
	if (error != 0)
		return error;
	if ((flags & X_MAP_FIXED) && new_addr != old) {
		if (new_len < old_len) {
			error = unmap_range(s, old + new_len, old + old_len);
			old_len = new_len;
		}
		return error != 0 ? error : move_to(s, old, old_len, new_len, new_addr, flags);
	}
	if (new_len == old_len)
		return (int64_t)old;
	if (new_len < old_len) {
		error = unmap_range(s, old + new_len, old + old_len);
		return error != 0 ? error : (int64_t)old;
	}
	if (r->end == old + old_len && may_change(s, old, new_len) &&
	    is_free(s, r->end, new_len - old_len))
		return grow_in_place(s, r, old, new_len);
	if (flags & (X_MAP_NOREPLACE | X_MAP_FIXED))
		return -X_ENOMEM;
	return move_to(s, old, old_len, new_len, new_addr, flags);
}

/* ---- query ---- */

int space_query(struct space *s, uint64_t addr, struct x_mem_region *out)
{
	struct region *r = space_find(s, addr);
	uint32_t flags;
	paddr_t p;

	if (r == NULL)
		return -X_ENOENT;
	memset(out, 0, sizeof(*out));
	out->start = r->start;
	out->end = r->end;
	out->prot = r->prot;
	out->flags = r->flags & ~REGION_LENT;
	if (r->memory != NULL && (r->memory->flags & X_MEM_PAGED))
		out->flags |= X_MAP_PAGED;
	out->memory_koid = r->memory != NULL ? r->memory->obj.koid : 0;
	out->offset = r->offset;
	for (uint64_t va = r->start; pt_next(s->page_table, &va, r->end, &p, &flags); va += PAGE_SIZE)
		out->resident_pages++;
	addr = MAX(ALIGN_DOWN(addr, PAGE_SIZE), r->start);
	out->run_present = pt_get(s->page_table, addr, &p, &flags);
	uint64_t va = addr;

	if (!out->run_present && !pt_next(s->page_table, &va, r->end, &p, &flags))
		va = r->end;
	while (out->run_present && va < r->end && pt_get(s->page_table, va, &p, &flags))
		va += PAGE_SIZE;
	out->run_pages = (va - addr) >> PAGE_SHIFT;
	return 0;
}

/* ---- clone ---- */

/* A page that may be written was so since the last clone, or was copied by that: most
 * likely it will be written again, by both. So many are copied at once, which saves up to
 * two faults each. */
#define COPIED_AT_ONCE 12u

static int clone_region(struct space *s, struct space *child, struct region *r, uint32_t *at_once)
{
	struct region *copy = region_alloc(child);
	int error = 0;

	if (r->flags & X_MAP_NOFORK) {
		kfree(copy);
		return 0;
	}
	if (copy == NULL)
		return -X_ENOMEM;
	*copy = *r;
	copy->flags &= ~(REGION_LENT | X_MAP_LOCKED); /* locks are not inherited */
	if (child->lender != NULL && region_private(r) && !(r->flags & (X_MAP_PERSONALITY | X_MAP_WIPE)))
		copy->flags |= REGION_LENT;
	list_push_front(&child->regions, &copy->link);
	region_hold_memory(child, copy);
	if (!(copy->flags & REGION_LENT) && !(r->flags & X_MAP_WIPE))
		error = region_clone_pages(r->flags & REGION_LENT ? s->lender : s, child, r, at_once);
	if (error == 0 && (r->flags & X_MAP_WIRED))
		error = region_populate(child, copy, copy->start, copy->end);
	return error;
}

int space_clone(struct space *s, bool lend, struct account *account, struct space **out)
{
	/* Not while another thread may be writing: the copy would be of no one moment. */
	bool still = s->cpus_active == 0 && (s->lender == NULL || s->lender->cpus_active == 0);
	uint32_t at_once = still && frame_free_count() > frame_total() / 8 ? COPIED_AT_ONCE : 0;
	struct space *child;
	int error = space_create(s->wired, account, &child);

	if (error != 0)
		return error;
	child->map_hint = s->map_hint;
	if (lend && s->lender == NULL) { /* one step: faults recurse */
		object_ref(&s->obj);
		child->lender = s;
	}
	/* From the top: stacks first. */
	for (struct list *at = s->regions.prev; at != &s->regions && error == 0; at = at->prev)
		error = clone_region(s, child, entry(at), &at_once);
	tlb_flush(s, X_USER_MIN, X_USER_MAX); /* the parent may write no longer */
	if (s->lender != NULL)
		tlb_flush(s->lender, X_USER_MIN, X_USER_MAX);
	if (error != 0)
		object_unref(&child->obj);
	else
		*out = child;
	return error;
}

/* ---- making and destroying ---- */

/* The quick way for a space in which nothing runs any more: no flush. Up to that
 * many pages, and the part of the region that they were in. */
static void drop_pages(struct space *s, struct region *r, uint32_t most)
{
	uint64_t va = r->start, charged = 0;
	uint32_t flags;
	paddr_t p;

	space_note_peak(s);
	for (; most > 0 && pt_next(s->page_table, &va, r->end, &p, &flags); va += PAGE_SIZE, most--) {
		pt_clear(s->page_table, va);
		if (flags & PT_PHYSICAL)
			continue;
		s->resident_pages--;
		charged += flags & PT_ANON ? PAGE_SIZE : 0;
		frame_unref(p);
	}
	account_sub(s->account, charged);
	if (most > 0) {
		region_free(s, r);
	} else {
		r->offset += va - r->start;
		r->start = va;
	}
}

#define DROP_PAGES 256u /* between two turns for others */

void space_clear(struct space *s, bool breathe)
{
	if (!tlb_forget(s))
		unmap_pages(s, 0, X_USER_MAX);
	while (!list_empty(&s->regions)) {
		drop_pages(s, entry(s->regions.next), breathe ? DROP_PAGES : UINT32_MAX);
		if (breathe)
			kernel_lock_breathe();
	}
	s->map_hint = MAP_TOP;
}

static void space_destroy(struct object *o)
{
	struct space *s = container_of(o, struct space, obj);

	space_clear(s, false);
	KASSERT(s->resident_pages == 0); /* the tables are zero, and are given to others as such */
	arch_space_gone(s);
	pt_destroy(s->page_table);
	if (s->lender != NULL)
		object_unref(&s->lender->obj);
	kfree(s);
}

static const struct object_ops space_ops = { .destroy = space_destroy };

/* Where mappings begin: up to 64 GiB below the top, by the clock's low bits. */
static uint64_t random_top(const struct space *s)
{
	uint64_t x = arch_time_ns() + s->obj.koid * 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return MAP_TOP - ((x >> 40) << PAGE_SHIFT);
}

int space_create(bool wired, struct account *account, struct space **out)
{
	struct space *s = kzalloc_for(account, sizeof(*s));

	if (s == NULL)
		return -X_ENOMEM;
	s->page_table = pt_create(account);
	if (s->page_table == NO_FRAME) {
		kfree(s);
		return -X_ENOMEM;
	}
	object_init(&s->obj, X_TYPE_SPACE, &space_ops);
	list_init(&s->regions);
	s->wired = wired;
	s->map_hint = random_top(s);
	s->account = account;
	*out = s;
	return 0;
}

void space_undo(struct space *s, uint32_t born)
{
	list_for_each(r, &s->regions, struct region, link) {
		if (r->born != born || !born)
			continue;
		unmap_pages(s, r->start, r->end);
		region_free(s, r);
	}
}
