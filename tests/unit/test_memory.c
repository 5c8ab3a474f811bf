/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory objects: kinds, the pager protocol, and that all comes back. */
// sources: kernel/core/frame.c kernel/core/heap.c kernel/core/account.c kernel/core/memory.c kernel/core/content.c kernel/core/span.c tests/unit/fake_arch.c
// cflags: -DDIRECT_MAP_BASE=fake_ram_base -DFAKE_CURRENT_THREAD -DFAKE_USER_COPY -include tests/unit/fake_arch.h
#include "kernel/core/port.h"

#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t frames_before, heap_before;
static struct port *pager;
static struct memory *paged;
static uint8_t buffer[16 * PAGE_SIZE];

static int setup(void **state)
{
	(void)state;
	frames_before = frame_free_count();
	heap_before = kheap_bytes();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(kheap_bytes(), heap_before);
	assert_true(frames_before <= frame_free_count() + 14); /* empty slabs */
	return 0;
}

static struct memory *create(uint64_t bytes, uint32_t flags)
{
	struct x_mem_create c = { .bytes = bytes, .flags = flags, .align = 0x10000 };
	struct memory *m;

	assert_int_equal(memory_create(&c, NULL, &m), 0);
	return m;
}

static void test_demand_zero(void **state)
{
	struct memory *m = create(1ull << 40, 0);
	static const uint64_t pages[] = { 0, 63, 64, 4095, 4096, (1ull << 28) - 1 };
	paddr_t p, again;

	(void)state;
	assert_int_equal(memory_page_if_present(m, 7, &p), -X_EWAIT);
	for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
		assert_int_equal(memory_page(m, pages[i], &p), 0);
		assert_int_equal(*(uint64_t *)phys_to_virt(p), 0);
		assert_int_equal(frame_refs(p), 2);
		assert_int_equal(memory_page_if_present(m, pages[i], &again), 0);
		assert_int_equal(p, again);
		frame_unref(p);
		frame_unref(p);
	}
	assert_int_equal(m->resident, ARRAY_SIZE(pages));
	assert_int_equal(memory_page(m, 1ull << 28, &p), -X_EINVAL);
	object_unref(&m->obj);
}

static void test_contiguous(void **state)
{
	struct memory *m = create(300 * PAGE_SIZE - 5, X_MEM_CONTIGUOUS | X_MEM_BELOW_16M);
	paddr_t first, p;

	(void)state;
	assert_int_equal(m->resident, 300);
	assert_int_equal(memory_page(m, 0, &first), 0);
	frame_unref(first);
	assert_int_equal(first % 0x10000, 0);
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(memory_page(m, i, &p), 0);
		assert_int_equal(p, first + i * PAGE_SIZE);
		assert_true(p < 16ull << 20);
		frame_unref(p);
	}
	object_unref(&m->obj);
}

static void test_copy(void **state)
{
	struct memory *m = create(5 * PAGE_SIZE, X_MEM_POPULATE);
	uint8_t in[9000], out[9000];

	(void)state;
	assert_int_equal(m->resident, 5);
	for (unsigned i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)rand();
	assert_int_equal(memory_copy(m, 1234, (uint64_t)in, sizeof(in), true), 0);
	assert_int_equal(memory_copy(m, 1234, (uint64_t)out, sizeof(out), false), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(memory_copy(m, 5 * PAGE_SIZE - 10, (uint64_t)in, 11, true), -X_EINVAL);
	assert_int_equal(memory_copy(m, UINT64_MAX - 5, (uint64_t)in, 100, true), -X_EINVAL);
	assert_int_equal(memory_copy(m, 0, 0, 100, true), -X_EFAULT);
	object_unref(&m->obj);
}

static void test_refuses(void **state)
{
	struct x_mem_create c = { .bytes = 0 };
	struct memory *m;

	(void)state;
	assert_int_equal(memory_create(&c, NULL, &m), -X_EINVAL);
	c.bytes = UINT64_MAX - 3;
	assert_int_equal(memory_create(&c, NULL, &m), -X_EINVAL);
	c.bytes = 4096;
	c.flags = 1u << 20;
	assert_int_equal(memory_create(&c, NULL, &m), -X_EINVAL);
	c.flags = X_MEM_PAGED;
	assert_int_equal(memory_create(&c, NULL, &m), -X_EINVAL);
	c.flags = X_MEM_POPULATE;
	c.bytes = 1ull << 30; /* more than there is */
	assert_int_equal(memory_create(&c, NULL, &m), -X_ENOMEM);
	c.flags = X_MEM_CONTIGUOUS;
	assert_int_equal(memory_create(&c, NULL, &m), -X_ENOMEM);
	assert_int_equal(memory_create_physical(123, 4096, false, &m), -X_EINVAL);
}

/* ---- paged ---- */

static void paged_start(uint64_t pages)
{
	struct x_mem_create c = { .bytes = pages * PAGE_SIZE, .flags = X_MEM_PAGED, .id = 77 };

	pager = fake_port();
	assert_int_equal(memory_create(&c, pager, &paged), 0);
	for (unsigned i = 0; i < sizeof(buffer); i++)
		buffer[i] = (uint8_t)(i / PAGE_SIZE + 1);
}

static void paged_end(void)
{
	object_unref(&paged->obj);
	assert_true(list_empty(&pager->paged));
	assert_true(list_empty(&pager->pages));
	fake_port_free(pager);
}

static struct page_request *take_request(void)
{
	struct page_request *r;

	assert_false(list_empty(&pager->pages));
	r = list_first(&pager->pages, struct page_request, item_link);
	list_remove(&r->item_link);
	return r;
}

static int supply_all(struct waitq *q)
{
	struct page_request *r = take_request();

	(void)q;
	assert_int_equal(memory_supply(paged, r->offset, (uint64_t)buffer, r->bytes, 0), 0);
	return 0;
}

static void test_cluster(void **state)
{
	paddr_t p;

	(void)state;
	paged_start(40);
	fake_wait = supply_all;
	assert_int_equal(memory_page(paged, 18, &p), 0); /* asks for 16..31 */
	assert_int_equal(*(uint8_t *)phys_to_virt(p), 3);
	frame_unref(p);
	assert_int_equal(paged->resident, 16);
	fake_wait = NULL; /* no more waiting for these */
	assert_int_equal(memory_page(paged, 31, &p), 0);
	frame_unref(p);
	fake_wait = supply_all;
	assert_int_equal(memory_page(paged, 39, &p), 0); /* the last cluster: 32..39 */
	frame_unref(p);
	assert_int_equal(paged->resident, 24);
	paged_end();
}

/* The pager supplies piece by piece, the end of the file last and short. */
static int supply_pieces(struct waitq *q)
{
	static unsigned step;

	(void)q;
	switch (step++) {
	case 0:
		assert_int_equal(take_request()->bytes, 16 * PAGE_SIZE);
		memory_supply(paged, 0, (uint64_t)buffer, PAGE_SIZE, 0);
		return 0;
	case 1: /* the waiter must not have asked again */
		assert_true(list_empty(&pager->pages));
		memory_supply(paged, PAGE_SIZE, (uint64_t)buffer, 3 * PAGE_SIZE + 7, 0);
		return 0;
	default:
		fail();
		return 0;
	}
}

static void test_pieces(void **state)
{
	uint8_t *at;
	paddr_t p;

	(void)state;
	paged_start(16);
	fake_wait = supply_pieces;
	assert_int_equal(memory_page(paged, 4, &p), 0);
	at = phys_to_virt(p);
	assert_int_equal(at[6], 4);
	assert_int_equal(at[7], 0);
	assert_int_equal(at[PAGE_SIZE - 1], 0);
	frame_unref(p);
	assert_int_equal(paged->resident, 5);
	paged_end(); /* with a request that is not finished */
}

static int fail_some(struct waitq *q)
{
	(void)q;
	take_request();
	assert_int_equal(memory_supply(paged, 0, 0, 4 * PAGE_SIZE, -X_EIO), 0);
	return 0;
}

static int killed(struct waitq *q)
{
	(void)q;
	return -X_EINTR;
}

static int pager_dies(struct waitq *q)
{
	(void)q;
	memory_pager_gone(paged);
	return 0;
}

static void test_failures(void **state)
{
	paddr_t p;

	(void)state;
	paged_start(16);
	fake_wait = fail_some;
	assert_int_equal(memory_page(paged, 2, &p), -X_EIO);
	fake_wait = killed;
	assert_int_equal(memory_page(paged, 9, &p), -X_EINTR); /* of the old request */
	assert_true(list_empty(&pager->pages));
	assert_int_equal(memory_page(paged, 1, &p), -X_EINTR); /* asked again */
	assert_false(list_empty(&pager->pages));
	fake_wait = pager_dies;
	assert_int_equal(memory_page(paged, 9, &p), -X_EIO);
	fake_wait = NULL;
	assert_int_equal(memory_page(paged, 9, &p), -X_EIO);
	assert_int_equal(memory_supply(paged, 0, (uint64_t)buffer, 100, 0), 0);
	assert_int_equal(memory_page(paged, 0, &p), 0);
	frame_unref(p);
	assert_int_equal(memory_supply(paged, 0, (uint64_t)buffer, 17 * PAGE_SIZE, 0), -X_EINVAL);
	assert_int_equal(memory_supply(paged, 1, (uint64_t)buffer, PAGE_SIZE, 0), -X_EINVAL);
	assert_int_equal(memory_supply(paged, PAGE_SIZE, 0, PAGE_SIZE, 0), 0); /* zeroes */
	paged_end();
}

/* What is there already is not replaced: it may have been written to. */
static void test_supply_keeps(void **state)
{
	paddr_t p;

	(void)state;
	paged_start(16);
	memory_supply(paged, 0, (uint64_t)buffer, 2 * PAGE_SIZE, 0);
	assert_int_equal(memory_page(paged, 0, &p), 0);
	memset(phys_to_virt(p), 0x99, PAGE_SIZE);
	memory_supply(paged, 0, (uint64_t)buffer, 4 * PAGE_SIZE, 0);
	assert_int_equal(*(uint8_t *)phys_to_virt(p), 0x99);
	frame_unref(p);
	assert_int_equal(paged->resident, 4);
	paged_end();
}

static uint64_t state_of(uint64_t index)
{
	uint64_t *slot = memory_slot(paged, index);

	return slot ? *slot & PAGE_STATE & ~PAGE_USED : UINT64_MAX;
}

static void test_dirty_pages(void **state)
{
	struct x_dirty d = { .addr = (uint64_t)buffer, .len = 4 * PAGE_SIZE };

	(void)state;
	paged_start(16);
	memset(buffer, 7, sizeof(buffer));
	assert_int_equal(memory_supply(paged, 0, (uint64_t)buffer, 8 * PAGE_SIZE, X_SUPPLY_BACKED), 0);
	assert_int_equal(memory_supply(paged, 8 * PAGE_SIZE, 0, PAGE_SIZE, 0), 0);
	assert_int_equal(content_may_write(paged, 8), -X_EWAIT); /* not backed */
	assert_int_equal(content_may_write(paged, 9), -X_EWAIT); /* missing */
	for (uint64_t i = 2; i < 8; i++)
		assert_int_equal(content_may_write(paged, i), 0);
	assert_int_equal(pager->dirty_pages, 6);
	assert_false(list_empty(&pager->dirty));
	pager->dirty_limit = 6;
	assert_int_equal(content_may_write(paged, 2), 0); /* dirty already */
	assert_int_equal(content_may_write(paged, 1), -X_EWAIT);
	memset(buffer, 0, sizeof(buffer));
	assert_int_equal(content_clean(paged, &d), 4 * PAGE_SIZE);
	assert_int_equal(d.offset, 2 * PAGE_SIZE);
	assert_int_equal(buffer[4 * PAGE_SIZE - 1], 7);
	assert_int_equal(state_of(2), PAGE_BACKED | PAGE_PIN);
	d.offset += 4 * PAGE_SIZE;
	assert_int_equal(content_clean(paged, &d), 2 * PAGE_SIZE);
	d.offset += 2 * PAGE_SIZE;
	assert_int_equal(content_clean(paged, &d), 0);
	assert_int_equal(pager->dirty_pages, 0);
	assert_true(list_empty(&pager->dirty));
	assert_int_equal(content_control(paged, X_CONTENT_LOST, 2 * PAGE_SIZE, PAGE_SIZE), 0);
	assert_int_equal(content_control(paged, X_CONTENT_STORED, 3 * PAGE_SIZE, 20 * PAGE_SIZE), 0);
	assert_int_equal(state_of(2), PAGE_BACKED | PAGE_DIRTY);
	assert_int_equal(state_of(3), PAGE_BACKED);
	/* Pages in use by others stay dirty when they are cleaned. */
	frame_ref(*memory_slot(paged, 2) & ~PAGE_STATE);
	d.offset = 0;
	assert_int_equal(content_clean(paged, &d), PAGE_SIZE);
	assert_int_equal(state_of(2), PAGE_BACKED | PAGE_DIRTY | PAGE_PIN);
	frame_unref(*memory_slot(paged, 2) & ~PAGE_STATE);
	assert_int_equal(content_control(paged, X_CONTENT_HOLD, 0, 20 * PAGE_SIZE), 9 * PAGE_SIZE);
	assert_int_equal(pager->dirty_pages, 9);
	paged_end();
}

static void test_size(void **state)
{
	paddr_t p;

	(void)state;
	paged_start(16);
	memset(buffer, 7, sizeof(buffer));
	memory_supply(paged, 0, (uint64_t)buffer, 10 * PAGE_SIZE, X_SUPPLY_BACKED);
	for (uint64_t i = 0; i < 10; i++)
		content_may_write(paged, i);
	assert_int_equal(content_control(paged, X_CONTENT_SIZE, 17 * PAGE_SIZE, 0), -X_EFBIG);
	assert_int_equal(content_control(paged, X_CONTENT_SIZE, 3 * PAGE_SIZE + 100, 0), 0);
	assert_int_equal(paged->resident, 4);
	assert_int_equal(pager->dirty_pages, 4);
	assert_int_equal(memory_page(paged, 4, &p), -X_EINVAL);
	assert_int_equal(memory_page(paged, 3, &p), 0);
	assert_int_equal(((uint8_t *)phys_to_virt(p))[99], 7);
	assert_int_equal(((uint8_t *)phys_to_virt(p))[100], 0);
	((uint8_t *)phys_to_virt(p))[200] = 9;          /* through a mapping, behind the end */
	assert_int_equal(content_control(paged, X_CONTENT_SIZE, 6 * PAGE_SIZE, 0), 0);
	assert_int_equal(((uint8_t *)phys_to_virt(p))[200], 0);
	assert_int_equal(state_of(3), PAGE_DIRTY);      /* to be backed anew */
	assert_int_equal(memory_page_if_present(paged, 4, &p), -X_EWAIT);
	frame_unref(*memory_slot(paged, 3) & ~PAGE_STATE);
	paged_end();
}

static void test_zeros(void **state)
{
	paddr_t p[4];

	(void)state;
	paged_start(16);
	memset(buffer, 7, sizeof(buffer));
	memory_supply(paged, 0, (uint64_t)buffer, 4 * PAGE_SIZE, X_SUPPLY_BACKED);
	assert_int_equal(content_control(paged, X_CONTENT_ZERO, PAGE_SIZE - 1, PAGE_SIZE + 3), 0);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(memory_page(paged, i, &p[i]), 0);
	assert_int_equal(((uint8_t *)phys_to_virt(p[0]))[PAGE_SIZE - 2], 7);
	assert_int_equal(((uint8_t *)phys_to_virt(p[0]))[PAGE_SIZE - 1], 0);
	assert_int_equal(((uint8_t *)phys_to_virt(p[1]))[PAGE_SIZE - 1], 0);
	assert_int_equal(((uint8_t *)phys_to_virt(p[2]))[1], 0);
	assert_int_equal(((uint8_t *)phys_to_virt(p[2]))[2], 7);
	/* A hole: whole pages are gone, the others zeros. */
	assert_int_equal(content_control(paged, X_CONTENT_PUNCH, PAGE_SIZE, 2 * PAGE_SIZE + 5), 0);
	assert_int_equal(paged->resident, 2);
	assert_int_equal(((uint8_t *)phys_to_virt(p[3]))[4], 0);
	assert_int_equal(((uint8_t *)phys_to_virt(p[3]))[5], 7);
	assert_int_equal(content_control(paged, X_CONTENT_ZERO, 0, 100 * PAGE_SIZE), 0);
	assert_int_equal(((uint8_t *)phys_to_virt(p[3]))[5], 0);
	for (uint64_t i = 0; i < 4; i++)
		frame_unref(p[i]);
	paged_end();
}

static void test_reclaim(void **state)
{
	paddr_t p;

	(void)state;
	paged_start(16);
	memory_supply(paged, 0, (uint64_t)buffer, 10 * PAGE_SIZE, X_SUPPLY_BACKED);
	content_may_write(paged, 0);
	assert_int_equal(memory_page(paged, 1, &p), 0);
	*memory_slot(paged, 2) |= PAGE_PIN;
	*memory_slot(paged, 3) |= PAGE_USED;
	assert_int_equal(memory_reclaim(2, NULL), 2);
	assert_int_equal(paged->resident, 8);
	assert_int_equal(memory_reclaim(300, NULL), 5);       /* with the one used before */
	assert_int_equal(paged->resident, 3);
	frame_unref(p);
	assert_int_equal(memory_reclaim(300, NULL), 1);
	assert_int_equal(memory_reclaim(300, NULL), 0);
	paged_end();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_demand_zero), TEST(test_contiguous), TEST(test_copy), TEST(test_refuses),
		TEST(test_cluster), TEST(test_pieces), TEST(test_failures), TEST(test_supply_keeps),
		TEST(test_dirty_pages), TEST(test_size), TEST(test_zeros), TEST(test_reclaim),
	};

	fake_machine(48ull << 20);
	fake_range(0, 48ull << 20, true);
	frame_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
