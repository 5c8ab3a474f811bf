/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Address spaces against a model that knows, page by page, what is mapped, with
 * which protection, and what one should read there; then cases of their own.
 */
// sources: kernel/core/frame.c kernel/core/heap.c kernel/core/account.c kernel/core/memory.c kernel/core/content.c kernel/core/span.c kernel/core/space.c kernel/core/fault.c tests/unit/fake_arch.c
// cflags: -DDIRECT_MAP_BASE=fake_ram_base -DFAKE_CURRENT_THREAD -DFAKE_USER_COPY -include tests/unit/fake_arch.h
#include "kernel/core/space.h"
#include "kernel/core/port.h"

#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define PAGES   48u
#define BASE    0x10000000ull
#define SPACES  3u
#define OBJECTS 2u           /* 0: anonymous, 1: paged */
#define R X_PROT_READ
#define W X_PROT_WRITE
#define X X_PROT_EXEC

struct model_page {
	bool mapped, private, own;   /* own: private content below */
	uint32_t prot;
	int object;                  /* -1: anonymous */
	uint64_t index;              /* page of the object */
	uint32_t value;
};

static struct space *spaces[SPACES];
static struct model_page model[SPACES][PAGES];
static struct memory *objects[OBJECTS];
static uint32_t object_values[OBJECTS][PAGES];
static struct port *pager;
static uint32_t next_value = 1000;

static uint64_t va_of(unsigned page)
{
	return BASE + page * (uint64_t)PAGE_SIZE;
}

/* ---- the pager: page i of object 1 holds 500 + i, or what was written ---- */

static int supply(struct waitq *q)
{
	struct page_request *r = list_first(&pager->pages, struct page_request, item_link);
	static uint32_t buffer[PAGE_CLUSTER][PAGE_SIZE / 4];

	(void)q;
	assert_false(list_empty(&pager->pages));
	for (uint64_t i = 0; i < r->bytes / PAGE_SIZE; i++)
		buffer[i][0] = r->offset / PAGE_SIZE + i < PAGES ? object_values[1][r->offset / PAGE_SIZE + i] : 0;
	list_remove(&r->item_link);
	assert_int_equal(memory_supply(objects[1], r->offset, (uint64_t)buffer, r->bytes, X_SUPPLY_BACKED), 0);
	return 0;
}

static uint32_t expected(const struct model_page *p)
{
	if (p->own)
		return p->value;
	return p->object < 0 ? 0 : object_values[p->object][p->index];
}

/* ---- comparing ---- */

/* Whatever an entry allows must be right without any further fault. */
static void check_entry(unsigned s, unsigned i, paddr_t pa, uint32_t flags)
{
	const struct model_page *p = &model[s][i];

	assert_true(p->mapped);
	assert_int_equal((flags & PT_NOACCESS) != 0, p->prot == 0);
	assert_int_equal((flags & PT_EXEC) != 0, (p->prot & X) != 0);
	assert_true(frame_refs(pa) > 0);
	assert_int_equal(*(uint32_t *)phys_to_virt(pa), expected(p));
	if (flags & PT_WRITE) {
		assert_true(p->prot & W);
		assert_true(!p->private || ((flags & PT_ANON) && !(flags & PT_COW)));
		if (p->private)
			assert_int_equal(frame_refs(pa), 1);
	}
}

static bool same_region(const struct model_page *a, const struct model_page *b)
{
	return a->mapped && b->mapped && a->prot == b->prot && a->private == b->private &&
	       a->object == b->object && (a->object < 0 || a->index + 1 == b->index);
}

/* The list of regions is exactly the model's runs: neighbours are joined. */
static void check_regions(unsigned s)
{
	unsigned i = 0;

	list_for_each(r, &spaces[s]->regions, struct region, link) {
		unsigned n = 1;

		while (i < PAGES && !model[s][i].mapped)
			i++;
		assert_true(i < PAGES);
		while (i + n < PAGES && same_region(&model[s][i + n - 1], &model[s][i + n]))
			n++;
		assert_int_equal(r->start, va_of(i));
		assert_int_equal(r->end, va_of(i + n));
		assert_int_equal(r->prot, model[s][i].prot);
		i += n;
	}
	while (i < PAGES && !model[s][i].mapped)
		i++;
	assert_int_equal(i, PAGES);
}

static void check_all(void)
{
	assert_int_equal(fake_stale, 0);
	for (unsigned s = 0; s < SPACES; s++) {
		uint64_t va = 0, resident = 0;
		uint32_t flags;
		paddr_t pa;

		if (spaces[s] == NULL)
			continue;
		for (; pt_next(spaces[s]->page_table, &va, X_USER_MAX, &pa, &flags); va += PAGE_SIZE) {
			assert_true(va >= BASE && va < va_of(PAGES));
			check_entry(s, (unsigned)((va - BASE) / PAGE_SIZE), pa, flags);
			resident++;
		}
		assert_int_equal(spaces[s]->resident_pages, resident);
		check_regions(s);
	}
}

/* ---- operations ---- */

static void op_map(unsigned s, unsigned first, unsigned n)
{
	static const uint32_t prots[] = { 0, R, R | W, R | W, R | W, R | X, R | W | X };
	int object = rand() % 3 - 1;
	struct x_mem_map m = {
		.addr = va_of(first), .len = n * PAGE_SIZE - (unsigned)rand() % PAGE_SIZE,
		.prot = prots[rand() % 7],
		.flags = X_MAP_FIXED | (rand() % 2 ? X_MAP_PRIVATE : 0),
		.offset = (uint64_t)(rand() % 4) * PAGE_SIZE,
	};
	uint32_t prot = m.prot;

	m.prot |= SPACE_MAX_PROT(7);
	if (m.offset / PAGE_SIZE + n > PAGES)
		m.offset = 0;
	assert_int_equal(space_map(spaces[s], &m, object < 0 ? NULL : objects[object]), m.addr);
	for (unsigned i = 0; i < n; i++)
		model[s][first + i] = (struct model_page){
			.mapped = true, .private = object < 0 || (m.flags & X_MAP_PRIVATE),
			.prot = prot, .object = object, .index = m.offset / PAGE_SIZE + i,
		};
}

static void op_unmap(unsigned s, unsigned first, unsigned n)
{
	assert_int_equal(space_unmap(spaces[s], va_of(first), n * PAGE_SIZE), 0);
	for (unsigned i = 0; i < n; i++)
		model[s][first + i].mapped = false;
}

static void op_protect(unsigned s, unsigned first, unsigned n)
{
	uint32_t prot = (uint32_t)rand() % 8;
	bool whole = true;

	for (unsigned i = 0; i < n; i++)
		whole &= model[s][first + i].mapped;
	assert_int_equal(space_protect(spaces[s], va_of(first), n * PAGE_SIZE, prot),
			 whole ? 0 : -X_ENOMEM);
	for (unsigned i = 0; i < n && whole; i++)
		model[s][first + i].prot = prot;
}

static uint32_t *frame_at(unsigned s, unsigned i, bool write)
{
	uint32_t flags;
	paddr_t pa;

	assert_true(pt_get(spaces[s]->page_table, va_of(i), &pa, &flags));
	assert_false(flags & PT_NOACCESS);
	assert_true(!write || (flags & PT_WRITE));
	return phys_to_virt(pa);
}

static void op_read(unsigned s, unsigned i)
{
	struct model_page *p = &model[s][i];
	int error = space_fault(spaces[s], va_of(i) + (unsigned)rand() % PAGE_SIZE, 0);

	assert_int_equal(error, p->mapped && p->prot != 0 ? 0 : -X_EFAULT);
	if (error == 0)
		assert_int_equal(*frame_at(s, i, false), expected(p));
}

static void op_exec(unsigned s, unsigned i)
{
	struct model_page *p = &model[s][i];

	assert_int_equal(space_fault(spaces[s], va_of(i), FAULT_EXEC),
			 p->mapped && (p->prot & X) ? 0 : -X_EFAULT);
}

static void model_write(struct model_page *p, uint32_t value)
{
	if (p->private) {
		p->own = true;
		p->value = value;
	} else {
		object_values[p->object][p->index] = value;
	}
}

static void op_write(unsigned s, unsigned i)
{
	struct model_page *p = &model[s][i];
	int error = space_fault(spaces[s], va_of(i), FAULT_WRITE);

	assert_int_equal(error, p->mapped && (p->prot & W) ? 0 : -X_EFAULT);
	if (error != 0)
		return;
	*frame_at(s, i, true) = next_value;
	model_write(p, next_value++);
}

/* Through another process: one value across the end of a page. */
static void op_copy(unsigned s, unsigned i)
{
	struct model_page *p = &model[s][i];
	uint32_t value = next_value++, back;
	bool may = p->mapped && (p->prot & W);

	assert_int_equal(space_copy(spaces[s], va_of(i), (uint64_t)&value, 4, true),
			 may ? 0 : -X_EFAULT);
	if (may)
		model_write(p, value);
	if (p->mapped && p->prot != 0) {
		assert_int_equal(space_copy(spaces[s], va_of(i), (uint64_t)&back, 4, false), 0);
		assert_int_equal(back, expected(p));
	}
}

static void op_pin(unsigned s, unsigned first, unsigned n)
{
	paddr_t frames[PAGES];
	bool write = rand() % 2;
	uint64_t bytes = n * PAGE_SIZE - 100, pinned = 0;
	uint64_t got = space_pin(spaces[s], va_of(first) + 50, bytes, write, frames);

	for (unsigned i = 0; i < n && pinned < bytes; i++) {
		struct model_page *p = &model[s][first + i];

		if (!p->mapped || p->prot == 0 || (write && !(p->prot & W)))
			break;
		pinned += i == 0 ? PAGE_SIZE - 50 : PAGE_SIZE;
		assert_int_equal(*(uint32_t *)phys_to_virt(frames[i]), expected(p));
	}
	assert_int_equal(got, MIN(pinned, bytes));
	if (got > 0)
		frames_unref(frames, (uint32_t)((got + 49) / PAGE_SIZE + 1));
	/* A private page that was pinned for writing counts as written to. */
	for (unsigned i = 0; write && i * (uint64_t)PAGE_SIZE < got + 50 && got > 0; i++) {
		struct model_page *p = &model[s][first + i];

		if (p->private && !p->own) {
			p->value = expected(p);
			p->own = true;
		}
	}
}

static void op_clone(unsigned s)
{
	unsigned to = (unsigned)rand() % SPACES;

	if (to == s)
		return;
	if (spaces[to] != NULL)
		object_unref(&spaces[to]->obj);
	assert_int_equal(space_clone(spaces[s], false, &kernel_account, &spaces[to]), 0);
	memcpy(model[to], model[s], sizeof(model[s]));
}

static bool in_one_region(unsigned s, unsigned first, unsigned n)
{
	if (!model[s][first].mapped)
		return false;
	for (unsigned i = first + 1; i < first + n; i++)
		if (!same_region(&model[s][i - 1], &model[s][i]))
			return false;
	return true;
}

static void op_move(unsigned s, unsigned first, unsigned n)
{
	unsigned new_n = 1 + (unsigned)rand() % 12;
	unsigned to = (unsigned)rand() % (PAGES - new_n);
	struct model_page moved[PAGES];
	bool overlap = to < first + n && first < to + new_n;
	bool one = in_one_region(s, first, n);
	int64_t got = space_move(spaces[s], va_of(first), n * PAGE_SIZE, new_n * PAGE_SIZE,
				 va_of(to), X_MAP_FIXED);

	if (to == first)
		overlap = false;
	if (one && to == first && new_n > n) { /* in place: only into free room */
		for (unsigned i = n; i < new_n; i++)
			if (first + i >= PAGES || model[s][first + i].mapped)
				overlap = true;
		assert_int_equal(got, overlap ? -X_ENOMEM : (int64_t)va_of(to));
	} else {
		assert_int_equal(got, !one ? -X_EFAULT : overlap && new_n >= n ? -X_EINVAL : got);
	}
	if (got < 0) { /* shrinking comes first, even if the move is refused then */
		if (one && new_n < n && overlap)
			for (unsigned i = new_n; i < n; i++)
				model[s][first + i].mapped = false;
		return;
	}
	assert_int_equal(got, va_of(to));
	for (unsigned i = 0; i < new_n; i++) {
		moved[i] = model[s][first + (i < n ? i : n - 1)];
		if (i >= n) {
			moved[i].index += i - (n - 1);
			moved[i].own = false;
		}
	}
	for (unsigned i = 0; i < n; i++)
		model[s][first + i].mapped = false;
	memcpy(&model[s][to], moved, new_n * sizeof(moved[0]));
}

static uint64_t taken_back;

/* All that was written is stored, then memory is short. */
static void op_take_back(unsigned n)
{
	static uint8_t stored[PAGE_SIZE];
	struct x_dirty d = { .addr = (uintptr_t)stored, .len = PAGE_SIZE };

	while (content_clean(objects[1], &d) > 0)
		content_control(objects[1], X_CONTENT_STORED, d.offset, PAGE_SIZE);
	taken_back += memory_reclaim_mapped(n);
}

static void step(void)
{
	unsigned s = (unsigned)rand() % SPACES;
	unsigned first = (unsigned)rand() % PAGES;
	unsigned n = 1 + (unsigned)rand() % MIN(PAGES - first, 10u);

	if (spaces[s] == NULL)
		return;
	switch (rand() % 24) {
	case 0: case 1: op_map(s, first, n); break;
	case 2: op_unmap(s, first, n); break;
	case 3: case 4: op_protect(s, first, n); break;
	case 5: case 6: case 7: case 8: op_read(s, first); break;
	case 9: op_exec(s, first); break;
	case 10: op_pin(s, first, n); break;
	case 11: op_copy(s, first); break;
	case 12: op_clone(s); break;
	case 13: op_move(s, first, n); break;
	case 14: op_take_back(n); break;
	default: op_write(s, first); break;
	}
}

/* ---- set-up ---- */

static uint64_t frames_before;

static int setup(void **state)
{
	struct x_mem_create c = { .bytes = 2 * PAGES * PAGE_SIZE };

	(void)state;
	frames_before = frame_free_count();
	assert_int_equal(kheap_bytes(), 0);
	memset(model, 0, sizeof(model));
	memset(object_values, 0, sizeof(object_values));
	fake_wait = supply;
	pager = fake_port();
	assert_int_equal(memory_create(&c, NULL, &objects[0]), 0);
	c.flags = X_MEM_PAGED;
	assert_int_equal(memory_create(&c, pager, &objects[1]), 0);
	for (unsigned i = 0; i < PAGES; i++)
		object_values[1][i] = 500 + i;
	assert_int_equal(space_create(false, &kernel_account, &spaces[0]), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned s = 0; s < SPACES; s++) {
		if (spaces[s] != NULL)
			object_unref(&spaces[s]->obj);
		spaces[s] = NULL;
	}
	for (unsigned i = 0; i < OBJECTS; i++) {
		assert_int_equal(objects[i]->obj.refs, 1);
		object_unref(&objects[i]->obj);
	}
	fake_port_free(pager);
	fake_pt_map_budget = -1;
	fake_process = NULL;
	assert_int_equal(fake_stale, 0);
	assert_int_equal(kheap_bytes(), 0);
	assert_true(frames_before <= frame_free_count() + 14); /* empty slabs */
	return 0;
}

static void test_model(void **state)
{
	(void)state;
	taken_back = 0;
	for (unsigned i = 0; i < 20000; i++) {
		step();
		check_all();
	}
	assert_true(taken_back > 10);
}

/* ---- single cases ---- */

static int64_t map(struct space *s, uint64_t addr, uint64_t len, uint32_t prot, uint32_t flags,
		   struct memory *mem, uint64_t offset)
{
	struct x_mem_map m = { .addr = addr, .len = len, .prot = prot, .flags = flags, .offset = offset };

	return space_map(s, &m, mem);
}

/* Pages of files that are mapped: clean ones go, but for those that are locked, or somebody is about to use. */
static void test_reclaim_of_mapped(void **state)
{
	struct space *s = spaces[0];
	uint64_t addr = (uint64_t)map(s, 0, 8 * PAGE_SIZE, R | W, 0, objects[1], 0);
	uint64_t resident, taken = 0;
	paddr_t pin;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		assert_int_equal(space_fault(s, addr + i * PAGE_SIZE, i == 3 ? FAULT_WRITE : 0), 0);
	assert_int_equal(space_pin(s, addr + 5 * PAGE_SIZE, PAGE_SIZE, false, &pin), PAGE_SIZE);
	assert_int_equal(space_advise(s, addr, 2 * PAGE_SIZE, X_MAP_LOCKED, 0), 0);
	resident = objects[1]->resident;
	for (unsigned i = 0; i < 20; i++) /* it may not look, if there was nothing lately */
		taken += memory_reclaim_mapped(300);
	assert_int_equal(taken, 4 + resident - 8);
	assert_int_equal(s->resident_pages, 3);
	frame_unref(pin);
	assert_int_equal(space_fault(s, addr + 6 * PAGE_SIZE, 0), 0);
}

static void test_placement(void **state)
{
	struct space *s = spaces[0];
	int64_t a = map(s, 0, 0x5000, R, 0, NULL, 0), b = map(s, 0, 0x3000, R, 0, NULL, 0), c;

	(void)state;
	assert_int_equal(b + 0x3000, a);
	assert_false(list_empty(&s->regions));
	assert_true(s->regions.next == s->regions.prev); /* joined */
	assert_int_equal(map(s, 0x400123, 0x1000, R, 0, NULL, 0), 0x400000); /* hint */
	c = map(s, 0x400000, 0x1000, R, 0, NULL, 0);                         /* taken */
	assert_int_equal(c, b - 0x1000);
	assert_int_equal(space_unmap(s, (uint64_t)a, 0x5000), 0);
	assert_int_equal(map(s, 0, 0x4000, R, 0, NULL, 0), a + 0x1000);      /* reused */
	assert_int_equal(map(s, 0, X_USER_MAX, R, 0, NULL, 0), -X_ENOMEM);
	assert_int_equal(map(s, 0, UINT64_MAX, R, 0, NULL, 0), -X_EINVAL);
	assert_int_equal(map(s, 0, 0, R, 0, NULL, 0), -X_EINVAL);
	assert_int_equal(map(s, 0x400000, 1, R, X_MAP_FIXED | X_MAP_NOREPLACE, NULL, 0), -X_EEXIST);
	assert_int_equal(map(s, 0x400001, 1, R, X_MAP_FIXED, NULL, 0), -X_EINVAL);
	assert_int_equal(map(s, 0x1000, 1, R, X_MAP_FIXED, NULL, 0), -X_EINVAL);
	assert_int_equal(map(s, X_USER_MAX - 0x1000, 0x2000, R, X_MAP_FIXED, NULL, 0), -X_EINVAL);
	assert_int_equal(map(s, 0, 1, R, 0, objects[0], UINT64_MAX - 0xfff), -X_EINVAL);
	assert_int_equal(map(s, 0, 1, R, 0, objects[0], 5), -X_EINVAL);
	assert_int_equal(space_unmap(s, UINT64_MAX - 0xfff, 0x2000), -X_EINVAL);
	assert_int_equal(space_unmap(s, 0x400000, UINT64_MAX), -X_EINVAL);
	assert_int_equal(space_protect(s, 0x400000, 0x1000, 8), -X_EINVAL);
}

static void test_personality_range(void **state)
{
	static struct process p;
	struct space *s = spaces[0];
	int64_t a;

	(void)state;
	assert_int_equal(map(s, X_PERS_BASE, 0x1000, R, X_MAP_FIXED, NULL, 0), -X_EINVAL);
	assert_int_equal(map(s, X_PERS_BASE - 0x1000, 0x2000, R, X_MAP_FIXED | X_MAP_PERSONALITY, NULL, 0),
			 -X_EINVAL);
	assert_int_equal(map(s, X_PERS_BASE, 0x4000, R | X, X_MAP_FIXED | X_MAP_PERSONALITY, NULL, 0),
			 X_PERS_BASE);
	a = map(s, 0, 0x1000, R | W, X_MAP_PERSONALITY, NULL, 0);
	assert_true(a >= (int64_t)X_PERS_BASE && a < (int64_t)X_PERS_END);
	p.space = s;
	fake_process = &p;
	assert_int_equal(space_unmap(s, X_PERS_BASE, 0x1000), -X_EINVAL);
	assert_int_equal(space_unmap(s, X_PERS_BASE - 0x1000, 0x2000), -X_EINVAL);
	assert_int_equal(space_protect(s, X_PERS_BASE, 0x1000, R | W), -X_EINVAL);
	assert_int_equal(space_move(s, X_PERS_BASE, 0x1000, 0x1000, 0x500000, X_MAP_FIXED), -X_EINVAL);
	fake_process = NULL;
	assert_int_equal(space_unmap(s, X_PERS_BASE, 0x1000), 0); /* by its supervisor */
}

static void test_rights(void **state)
{
	struct space *s = spaces[0];

	(void)state;
	/* A shared mapping by a handle that only reads can't be raised. */
	map(s, BASE, 0x1000, R | SPACE_MAX_PROT(R), X_MAP_FIXED, objects[0], 0);
	assert_int_equal(space_protect(s, BASE, 0x1000, R | W), -X_EACCES);
	map(s, BASE, 0x1000, R, X_MAP_FIXED, objects[0], 0);
	assert_int_equal(space_protect(s, BASE, 0x1000, R | W), -X_EACCES);
	map(s, BASE, 0x1000, R | SPACE_MAX_PROT(R | W), X_MAP_FIXED, objects[0], 0);
	assert_int_equal(space_protect(s, BASE, 0x1000, R | W), 0);
	map(s, BASE, 0x1000, R | SPACE_MAX_PROT(R), X_MAP_FIXED | X_MAP_PRIVATE, objects[0], 0);
	assert_int_equal(space_protect(s, BASE, 0x1000, R | W), 0);
	assert_int_equal(space_protect(s, BASE, 0x1000, R | X), -X_EACCES);
	/* Beyond the end of the object is an I/O error, not a bad address. */
	map(s, BASE, 0x1000, R, X_MAP_FIXED, objects[0], 2 * PAGES * PAGE_SIZE);
	assert_int_equal(space_fault(s, BASE, 0), -X_EIO);
}

static void test_stack(void **state)
{
	struct space *s = spaces[0];
	const uint64_t top = 0x700000000000ull;
	int64_t a;

	(void)state;
	map(s, top - 0x2000, 0x2000, R | W, X_MAP_FIXED | X_MAP_GROWSDOWN, NULL, 0);
	assert_int_equal(space_fault(s, top - 0x100000, FAULT_WRITE), 0);
	assert_int_equal(space_fault(s, top - STACK_BYTES_MAX - 1, FAULT_WRITE), -X_EFAULT);
	assert_int_equal(space_fault(s, top, FAULT_WRITE), -X_EFAULT);
	a = map(s, top - 0x200000, 0x1000, R, 0, NULL, 0); /* a hint in its room is not taken */
	assert_true(a + 0x1000 <= (int64_t)(top - STACK_BYTES_MAX) || a > (int64_t)top);
	map(s, top - 0x400000, 0x1000, R, X_MAP_FIXED, NULL, 0);
	assert_int_equal(space_fault(s, top - 0x300000, FAULT_WRITE), -X_EFAULT); /* the gap */
	assert_int_equal(space_fault(s, top - 0x2ff000, FAULT_WRITE), 0);
}

/* A transfer into a pinned page must reach the process that pinned it. */
static void test_pin_and_fork(void **state)
{
	struct space *s = spaces[0];
	paddr_t frame, now;
	uint32_t flags, value;

	(void)state;
	map(s, BASE, 0x1000, R | W, X_MAP_FIXED, NULL, 0);
	assert_int_equal(space_pin(s, BASE, 100, true, &frame), 100);
	assert_int_equal(space_clone(s, false, &kernel_account, &spaces[1]), 0);
	assert_int_equal(space_fault(s, BASE, FAULT_WRITE), 0);
	*(uint32_t *)phys_to_virt(frame) = 4711;
	assert_true(pt_get(s->page_table, BASE, &now, &flags));
	assert_int_equal(now, frame);
	space_copy(spaces[1], BASE, (uint64_t)&value, 4, false);
	assert_int_equal(value, 0);
	/* Taking the right to write away and giving it back changes nothing. */
	space_protect(s, BASE, 0x1000, 0);
	space_protect(s, BASE, 0x1000, R | W);
	assert_int_equal(space_fault(s, BASE, FAULT_WRITE), 0);
	assert_true(pt_get(s->page_table, BASE, &now, &flags));
	assert_int_equal(now, frame);
	space_unmap(s, BASE, 0x1000);
	assert_int_equal(frame_refs(frame), 1);
	frames_unref(&frame, 1);
}

static uint32_t word_at(struct space *s, uint64_t va)
{
	uint32_t value = 0;

	assert_int_equal(space_copy(s, va, (uint64_t)&value, 4, false), 0);
	return value;
}

static void put_word(struct space *s, uint64_t va, uint32_t value)
{
	assert_int_equal(space_copy(s, va, (uint64_t)&value, 4, true), 0);
}

/* A child that is lent its parent's memory: stores of either are seen by both,
 * whatever state the page was in; the personality's part is a copy. */
static void test_lent(void **state)
{
	struct space *s = spaces[0], *child;
	uint64_t koid, offset, own;

	(void)state;
	map(s, BASE, 0x4000, R | W, X_MAP_FIXED, NULL, 0);
	map(s, X_PERS_BASE, 0x1000, R | W, X_MAP_FIXED | X_MAP_PERSONALITY, NULL, 0);
	map(s, BASE + 0x20000, 0x1000, R | W, X_MAP_FIXED, NULL, 0);
	put_word(s, BASE, 1);                /* alone */
	put_word(s, X_PERS_BASE, 1);
	assert_int_equal(space_clone(s, false, &kernel_account, &spaces[1]), 0);
	put_word(s, BASE + 0x1000, 2);       /* made after: the first one may be in two spaces */
	assert_int_equal(space_clone(s, true, &kernel_account, &spaces[2]), 0);
	child = spaces[2];
	assert_int_equal(child->resident_pages, 1); /* of the personality */
	assert_int_equal(word_at(child, BASE), 1);
	put_word(child, BASE, 11);
	put_word(child, BASE + 0x1000, 12);
	put_word(child, BASE + 0x2000, 13);
	put_word(child, X_PERS_BASE, 14);
	assert_int_equal(word_at(s, BASE), 11);
	assert_int_equal(word_at(s, BASE + 0x1000), 12);
	assert_int_equal(word_at(s, BASE + 0x2000), 13);
	assert_int_equal(word_at(s, X_PERS_BASE), 1);
	assert_int_equal(word_at(spaces[1], BASE), 1);
	put_word(s, BASE + 0x1000, 22);
	assert_int_equal(word_at(child, BASE + 0x1000), 22);
	space_identify(s, BASE, &own, &offset);
	space_identify(child, BASE, &koid, &offset);
	assert_true(koid == own);
	/* What the child maps is its own; what the parent took away is gone. */
	space_unmap(child, BASE, 0x1000);
	map(child, BASE, 0x1000, R | W, X_MAP_FIXED, NULL, 0);
	put_word(child, BASE, 99);
	assert_int_equal(word_at(s, BASE), 11);
	space_unmap(s, BASE + 0x20000, 0x1000);
	assert_int_equal(space_fault(child, BASE + 0x20000, FAULT_WRITE), -X_EFAULT);
	/* A copy of the child has what the child sees. */
	object_unref(&spaces[1]->obj);
	assert_int_equal(space_clone(child, true, &kernel_account, &spaces[1]), 0);
	assert_null(spaces[1]->lender);
	put_word(s, BASE + 0x2000, 33);
	assert_int_equal(word_at(spaces[1], BASE + 0x2000), 13);
	assert_int_equal(word_at(spaces[1], BASE), 99);
	assert_int_equal(word_at(child, BASE + 0x2000), 33);
}

/* As if nothing had been written since the last clone: all pages are shared. */
static void clone_shared(struct space *s, struct space **child)
{
	assert_int_equal(space_protect(s, BASE, PAGE_SIZE, R), 0);
	assert_int_equal(space_clone(s, false, &kernel_account, child), 0);
	assert_int_equal(space_protect(s, BASE, PAGE_SIZE, R | W), 0);
}

static void test_clone_copies_what_was_written(void **state)
{
	struct space *s = spaces[0];
	paddr_t p, copy;
	uint32_t flags, child_flags;
	unsigned own = 0;

	(void)state;
	map(s, BASE, 20 * PAGE_SIZE, R | W, X_MAP_FIXED, NULL, 0);
	for (unsigned i = 0; i < 20; i++)
		space_fault(s, va_of(i), FAULT_WRITE);
	assert_int_equal(space_clone(s, false, &kernel_account, &spaces[1]), 0);
	for (unsigned i = 0; i < 20; i++) {
		assert_true(pt_get(s->page_table, va_of(i), &p, &flags));
		assert_true(pt_get(spaces[1]->page_table, va_of(i), &copy, &child_flags));
		assert_int_equal(flags, child_flags);
		assert_int_equal(p == copy, (flags & PT_COW) != 0);
		assert_int_equal((flags & PT_WRITE) == 0, (flags & PT_COW) != 0);
		own += p != copy;
	}
	assert_true(own > 0 && own < 20);
}

static void test_sole_owner_keeps_its_frame(void **state)
{
	struct space *s = spaces[0];
	paddr_t before, after;
	uint32_t flags;

	(void)state;
	map(s, BASE, 0x1000, R | W, X_MAP_FIXED, NULL, 0);
	space_fault(s, BASE, FAULT_WRITE);
	pt_get(s->page_table, BASE, &before, &flags);
	clone_shared(s, &spaces[1]);
	object_unref(&spaces[1]->obj);
	spaces[1] = NULL;
	space_fault(s, BASE, FAULT_WRITE);
	pt_get(s->page_table, BASE, &after, &flags);
	assert_int_equal(before, after);
	assert_true(flags & PT_WRITE);
}

static unsigned resident(struct space *s, uint64_t start, uint64_t end)
{
	uint32_t flags, n = 0;
	paddr_t p;

	for (; pt_next(s->page_table, &start, end, &p, &flags); start += PAGE_SIZE)
		n++;
	return n;
}

static void test_fault_around(void **state)
{
	struct space *s = spaces[0];

	(void)state;
	map(s, BASE, 64 * PAGE_SIZE, R, X_MAP_FIXED, objects[1], 0);
	assert_int_equal(space_fault(s, va_of(20), 0), 0);
	assert_int_equal(resident(s, BASE, va_of(64)), 16);
	map(s, BASE, 64 * PAGE_SIZE, R | W, X_MAP_FIXED, NULL, 0);
	space_fault(s, va_of(3), FAULT_WRITE);
	assert_int_equal(resident(s, BASE, va_of(64)), 1);
	space_fault(s, va_of(4), FAULT_WRITE); /* a sweep: the rest of the cluster */
	assert_int_equal(resident(s, BASE, va_of(64)), 13);
}

static void test_wired(void **state)
{
	struct memory *small, *huge;
	struct x_mem_create c = { .bytes = 8 * PAGE_SIZE };
	struct space *s;
	uint64_t free_frames;
	paddr_t p, own;
	uint32_t flags;

	(void)state;
	assert_int_equal(space_create(true, &kernel_account, &s), 0);
	assert_int_equal(memory_create(&c, NULL, &small), 0);
	assert_int_equal(map(s, 0, 0x1000, R | W | X, 0, NULL, 0), -X_EPERM);
	assert_int_equal(map(s, BASE, 8 * PAGE_SIZE, R | W, X_MAP_FIXED, NULL, 0), BASE);
	assert_int_equal(resident(s, BASE, va_of(8)), 8);
	assert_int_equal(space_protect(s, BASE, 0x1000, R | W | X), -X_EPERM);
	assert_int_equal(map(s, 0, 9 * PAGE_SIZE, R, 0, small, 0), -X_EINVAL);
	/* A private page is the space's own before the first store. */
	assert_int_equal(map(s, BASE, 8 * PAGE_SIZE, R, X_MAP_FIXED | X_MAP_PRIVATE, small, 0), BASE);
	pt_get(s->page_table, BASE, &p, &flags);
	assert_true(flags & PT_COW);
	assert_int_equal(space_protect(s, BASE, 8 * PAGE_SIZE, R | W), 0);
	pt_get(s->page_table, BASE, &own, &flags);
	assert_true(own != p && (flags & PT_WRITE));
	/* Out of memory: nothing stays behind. */
	free_frames = frame_free_count();
	assert_int_equal(map(s, 0, 1ull << 30, R | W, 0, NULL, 0), -X_ENOMEM);
	fake_pt_map_budget = 5;
	assert_int_equal(map(s, 0, 8 * PAGE_SIZE, R | W, 0, small, 0), -X_ENOMEM);
	fake_pt_map_budget = -1;
	c.bytes = 1ull << 30;
	assert_int_equal(memory_create(&c, NULL, &huge), 0);
	assert_int_equal(map(s, 0, 1ull << 30, R | W, 0, huge, 0), -X_ENOMEM);
	object_unref(&huge->obj);
	assert_true(free_frames <= frame_free_count() + 14);
	assert_int_equal(s->resident_pages, 8);
	/* Growing a mapping fills it, or leaves it as it was. */
	map(s, va_of(40), PAGE_SIZE, R | W, X_MAP_FIXED, NULL, 0);
	assert_int_equal(space_move(s, va_of(40), PAGE_SIZE, 4 * PAGE_SIZE, 0, 0), va_of(40));
	assert_int_equal(s->resident_pages, 12);
	assert_int_equal(space_move(s, va_of(40), 4 * PAGE_SIZE, 1ull << 30, va_of(99), X_MAP_FIXED),
			 -X_ENOMEM);
	assert_int_equal(s->resident_pages, 12);
	assert_int_equal(resident(s, va_of(40), va_of(44)), 12 - 8);
	object_unref(&s->obj);
	object_unref(&small->obj);
}

/* Every point at which page tables may fail to grow. */
static void test_no_memory_for_tables(void **state)
{
	struct space *s = spaces[0];
	int64_t error;

	(void)state;
	map(s, BASE, 8 * PAGE_SIZE, R | W, X_MAP_FIXED, NULL, 0);
	for (unsigned i = 0; i < 8; i++)
		space_fault(s, va_of(i), FAULT_WRITE);
	for (int budget = 0; budget < 8; budget++) {
		fake_pt_map_budget = budget;
		assert_int_equal(space_clone(s, false, &kernel_account, &spaces[1]), -X_ENOMEM);
		error = space_move(s, BASE, 8 * PAGE_SIZE, 8 * PAGE_SIZE, va_of(100), X_MAP_FIXED);
		assert_int_equal(error, -X_ENOMEM);
		fake_pt_map_budget = -1;
		assert_int_equal(resident(s, BASE, va_of(8)), 8);
		assert_int_equal(s->resident_pages, 8);
		assert_int_equal(fake_stale, 0);
		for (unsigned i = 0; i < 8; i++)
			assert_int_equal(space_fault(s, va_of(i), FAULT_WRITE), 0);
	}
	spaces[1] = NULL;
}

static int unmap_meanwhile(struct waitq *q)
{
	space_unmap(spaces[0], BASE, 4 * PAGE_SIZE);
	return supply(q);
}

static int kill_meanwhile(struct waitq *q)
{
	(void)q;
	return -X_EINTR;
}

static int fail_meanwhile(struct waitq *q)
{
	(void)q;
	memory_pager_gone(objects[1]);
	return 0;
}

static void test_while_waiting(void **state)
{
	struct space *s = spaces[0];

	(void)state;
	map(s, BASE, 4 * PAGE_SIZE, R, X_MAP_FIXED, objects[1], 0);
	fake_wait = unmap_meanwhile;
	assert_int_equal(space_fault(s, BASE, 0), -X_EFAULT);
	map(s, BASE, PAGE_SIZE, R, X_MAP_FIXED, objects[1], 20 * PAGE_SIZE);
	fake_wait = kill_meanwhile;
	assert_int_equal(space_fault(s, BASE, 0), -X_EINTR);
	fake_wait = fail_meanwhile;
	assert_int_equal(space_fault(s, BASE, 0), -X_EIO);
}

/* ---- what others do while a fault has left the kernel lock ---- */

static struct space *away_space;

static void away_unmap(void) { assert_int_equal(space_unmap(away_space, BASE, 4 * PAGE_SIZE), 0); }
static void away_protect(void) { assert_int_equal(space_protect(away_space, BASE, 4 * PAGE_SIZE, R), 0); }
static void away_fault(void) { assert_int_equal(space_fault(away_space, BASE, FAULT_WRITE), 0); }
static void away_replace(void) { map(away_space, BASE, PAGE_SIZE, R | W, X_MAP_FIXED, NULL, 0); }

static void test_while_away(void **state)
{
	void (*const others[])(void) = { away_unmap, away_protect, away_fault, away_replace };
	uint64_t free_frames = 0;
	uint32_t flags;
	paddr_t p;

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		unsigned what = i % 4;
		bool copy = i / 4 % 2, there; /* copy on write, or a first touch */
		struct space *child = NULL;
		int error;

		assert_int_equal(space_create(false, &kernel_account, &away_space), 0);
		map(away_space, BASE, 4 * PAGE_SIZE, R | W, X_MAP_FIXED, NULL, 0);
		if (copy) {
			assert_int_equal(space_fault(away_space, BASE, FAULT_WRITE), 0);
			clone_shared(away_space, &child);
		}
		fake_away = others[what];
		error = space_fault(away_space, BASE, FAULT_WRITE);
		assert_null(fake_away);
		assert_int_equal(error, 0);
		/* Whose page it is now: nobody's, the others' or the fault's, never two. */
		there = (bool[]){ false, copy, true, !copy }[what];
		assert_int_equal(pt_get(away_space->page_table, BASE, &p, &flags), there);
		assert_int_equal(away_space->resident_pages, there);
		if (what >= 2 && there)
			assert_true((flags & PT_WRITE) && frame_refs(p) == 1);
		assert_int_equal(space_fault(away_space, BASE, FAULT_WRITE), what < 2 ? -X_EFAULT : 0);
		object_unref(&away_space->obj);
		if (child != NULL)
			object_unref(&child->obj);
		if (i == 8)
			free_frames = frame_free_count();
	}
	assert_int_equal(frame_free_count(), free_frames);
}

static void test_limits(void **state)
{
	struct account mine = { .limit = 1 << 20, .kernel_limit = 1 << 20 }, other = mine;
	struct space *s, *child;

	(void)state;
	assert_int_equal(space_create(false, &mine, &s), 0);
	mine.limit = mine.used + 6 * PAGE_SIZE; /* one for the tables, and a region */
	assert_int_equal(map(s, BASE, 16 * PAGE_SIZE, R | W, X_MAP_FIXED, NULL, 0), BASE);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(space_fault(s, va_of(i), FAULT_WRITE), 0);
	assert_int_equal(mine.used - mine.kernel, 5 * PAGE_SIZE);
	assert_int_equal(space_fault(s, va_of(5), FAULT_WRITE), -X_ENOMEM);
	/* A copy is charged to another, with all that is shared; unmapping makes room. */
	assert_int_equal(space_clone(s, false, &other, &child), 0);
	assert_int_equal(other.used - other.kernel, 5 * PAGE_SIZE);
	assert_int_equal(mine.used - mine.kernel, 5 * PAGE_SIZE);
	assert_int_equal(space_fault(child, va_of(5), FAULT_WRITE), 0);
	assert_int_equal(space_fault(child, va_of(0), FAULT_WRITE), 0);
	assert_int_equal(other.used - other.kernel, child->resident_pages * PAGE_SIZE);
	object_unref(&child->obj);
	assert_int_equal(other.used, 0);
	assert_int_equal(space_unmap(s, BASE, PAGE_SIZE), 0);
	assert_int_equal(space_fault(s, va_of(5), FAULT_WRITE), 0);
	/* Mappings: the kernel's memory for them is charged, too. */
	mine.limit = 1 << 20;
	mine.kernel_limit = mine.kernel;
	assert_int_equal(space_protect(s, va_of(8), PAGE_SIZE, R), -X_ENOMEM);
	assert_int_equal(map(s, va_of(40), PAGE_SIZE, R, X_MAP_FIXED, NULL, 0), -X_ENOMEM);
	mine.kernel_limit = 1 << 20;
	assert_int_equal(space_protect(s, va_of(8), PAGE_SIZE, R), 0);
	object_unref(&s->obj);
	assert_int_equal(mine.used, 0);
}

static void test_physical(void **state)
{
	struct space *s = spaces[0];
	struct memory *m, *rom;
	uint32_t flags;
	paddr_t p;

	(void)state;
	assert_int_equal(memory_create_physical(0xfe000000, 0x4000, false, &m), 0);
	assert_int_equal(map(s, 0, 0x5000, R | W, 0, m, 0), -X_EINVAL);
	assert_int_equal(map(s, BASE, 0x4000, R | W, X_MAP_FIXED, m, 0), BASE);
	assert_int_equal(space_fault(s, BASE + 0x1000, FAULT_WRITE), 0);
	assert_true(pt_get(s->page_table, BASE + 0x1000, &p, &flags));
	assert_int_equal(p, 0xfe001000);
	assert_int_equal(flags, PT_WRITE | PT_PHYSICAL | PT_UNCACHED);
	assert_int_equal(space_pin(s, BASE, 10, true, &p), 0);
	assert_int_equal(s->resident_pages, 0);
	assert_int_equal(space_clone(s, false, &kernel_account, &spaces[1]), 0);
	assert_int_equal(space_fault(spaces[1], BASE, FAULT_WRITE), 0);
	object_unref(&m->obj);
	/* The boot archive: RAM nobody counts, good for windows. */
	assert_int_equal(memory_create_physical(boot_info.archive_paddr, 0x1000, true, &rom), 0);
	assert_int_equal(map(s, BASE, 0x1000, R | W, X_MAP_FIXED | X_MAP_PRIVATE, rom, 0), -X_EINVAL);
	assert_int_equal(map(s, BASE, 0x1000, R, X_MAP_FIXED, rom, 0), BASE);
	assert_int_equal(space_pin(s, BASE, 10, false, &p), 10);
	assert_int_equal(p, boot_info.archive_paddr);
	frames_unref(&p, 1);
	object_unref(&rom->obj);
}

static void test_identify_and_query(void **state)
{
	struct space *s = spaces[0];
	struct x_mem_region q;
	uint64_t koid, offset;

	(void)state;
	map(s, BASE, 0x2000, R | W, X_MAP_FIXED, objects[0], 0x3000);
	map(s, BASE + 0x4000, 0x2000, R | W, X_MAP_FIXED, NULL, 0);
	assert_int_equal(space_identify(s, BASE + 0x1004, &koid, &offset), 0);
	assert_int_equal(koid, objects[0]->obj.koid);
	assert_int_equal(offset, 0x4004);
	assert_int_equal(space_identify(s, BASE + 0x4008, &koid, &offset), 0);
	assert_int_equal(koid, s->obj.koid);
	assert_int_equal(offset, BASE + 0x4008);
	assert_int_equal(space_identify(s, BASE + 0x3000, &koid, &offset), -X_EFAULT);
	assert_int_equal(space_query(s, BASE + 0x2000, &q), 0);
	assert_int_equal(q.start, BASE + 0x4000);
	assert_int_equal(q.end, BASE + 0x6000);
	assert_int_equal(q.resident_pages, 0);
	assert_int_equal(space_query(s, BASE + 0x6000, &q), -X_ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_model), TEST(test_placement), TEST(test_personality_range), TEST(test_rights),
		TEST(test_stack), TEST(test_pin_and_fork), TEST(test_lent), TEST(test_clone_copies_what_was_written),
		TEST(test_sole_owner_keeps_its_frame),
		TEST(test_fault_around), TEST(test_reclaim_of_mapped), TEST(test_wired), TEST(test_no_memory_for_tables),
		TEST(test_while_waiting), TEST(test_while_away), TEST(test_limits),
		TEST(test_physical), TEST(test_identify_and_query),
	};

	srand(3);
	fake_machine(64ull << 20);
	fake_range(0, 64ull << 20, true);
	boot_info.archive_paddr = 40ull << 20;
	boot_info.archive_bytes = 1ull << 20;
	frame_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
