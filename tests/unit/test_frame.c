/* SPDX-License-Identifier: BSD-2-Clause */
/* Property tests of the frame allocator against a map of who owns what. */
// sources: kernel/core/heap.c kernel/core/account.c tests/unit/fake_arch.c
// cflags: -DDIRECT_MAP_BASE=fake_ram_base -DFAKE_CURRENT_THREAD -DFAKE_USER_COPY -include tests/unit/fake_arch.h
#include "kernel/core/frame.c"

#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static void start(void)
{
	memset(zones, 0, sizeof(zones));
	cached.count = zeroed.count = 0;
	frame_limit = total_pages = array_bytes = array_paddr = 0;
	frame_init();
}

static bool usable_page(uint64_t p)
{
	bool usable = false;

	for (uint32_t i = 0; i < boot_info.range_count; i++) {
		const struct boot_range *r = &boot_info.ranges[i];

		if (p + PAGE_SIZE <= r->base || p >= r->base + r->bytes)
			continue;
		if (!r->usable)
			return false;
		if (p >= r->base && p + PAGE_SIZE <= r->base + r->bytes)
			usable = true;
	}
	if (p + PAGE_SIZE > boot_info.archive_paddr &&
	    p < boot_info.archive_paddr + boot_info.archive_bytes)
		return false;
	return usable;
}

#define RUNS 400
struct run { paddr_t base; uint64_t count; };

/* Every page given out is usable, outside the array, and nobody else's. */
static void claim(uint8_t *owned, struct run r, uint64_t align, uint32_t flags)
{
	assert_int_equal(r.base & (align - 1), 0);
	for (uint64_t i = 0; i < r.count; i++) {
		paddr_t p = r.base + i * PAGE_SIZE;

		assert_true(p != 0 && usable_page(p));
		assert_true(p < array_paddr || p >= array_paddr + array_bytes);
		assert_int_equal(owned[p / PAGE_SIZE], 0);
		assert_int_equal(frame_refs(p), 1);
		owned[p / PAGE_SIZE] = 1;
		if (flags & FRAME_BELOW_16M)
			assert_true(p < 16 * MIB);
		if (flags & FRAME_BELOW_4G)
			assert_true(p < 4 * GIB);
		if (flags & FRAME_ZERO)
			for (uint32_t k = 0; k < PAGE_SIZE / 8; k += 37)
				assert_int_equal(((uint64_t *)phys_to_virt(p))[k], 0);
		memset(phys_to_virt(p), 0xa5, 64);
	}
}

static void release(uint8_t *owned, struct run *r)
{
	for (uint64_t i = 0; i < r->count; i++) {
		paddr_t p = r->base + i * PAGE_SIZE;

		owned[p / PAGE_SIZE] = 0;
		if (rand() % 4) {
			frame_unref(p);
		} else {
			memset(phys_to_virt(p), 0, PAGE_SIZE);
			frame_unref_zeroed(p);
		}
	}
	r->count = 0;
}

static void random_work(unsigned steps, uint64_t max_run)
{
	uint8_t *owned = calloc(frame_limit, 1);
	struct run runs[RUNS] = { 0 };
	uint64_t before = frame_free_count(), out = 0;

	for (unsigned step = 0; step < steps; step++) {
		struct run *r = &runs[rand() % RUNS];
		uint32_t flags = (uint32_t)rand() % 8;
		uint64_t align = PAGE_SIZE << (rand() % 6);

		if (r->count != 0) {
			out -= r->count;
			release(owned, r);
		} else if (rand() % 2) {
			r->base = frame_alloc(flags);
			r->count = r->base != NO_FRAME;
			claim(owned, *r, PAGE_SIZE, flags);
		} else {
			r->count = 1 + (uint64_t)rand() % max_run;
			r->base = frame_alloc_run(r->count, align, flags);
			if (r->base == NO_FRAME)
				r->count = 0;
			claim(owned, *r, align, flags);
		}
		out += step < steps ? r->count : 0;
		assert_int_equal(frame_free_count(), before - out);
	}
	for (unsigned i = 0; i < RUNS; i++)
		release(owned, &runs[i]);
	assert_int_equal(frame_free_count(), before);
	free(owned);
}

/* All of it can be had page by page, and joins again afterwards. */
static void test_small_machine(void **state)
{
	uint64_t count, n = 0;
	paddr_t *all;

	(void)state;
	fake_machine(32 * MIB);
	fake_range(0, 0x9f000, true);
	fake_range(MIB, 31 * MIB, true);
	fake_range(2 * MIB, MIB + 123, false);
	boot_info.archive_paddr = 20 * MIB + 5;
	boot_info.archive_bytes = 3 * MIB;
	start();
	count = frame_free_count();
	assert_true(count > (32 - 1 - 1 - 3 - 1) * 256);
	assert_true(array_paddr >= 23 * MIB);
	all = calloc(count, sizeof(*all));
	while ((all[n] = frame_alloc(0)) != NO_FRAME)
		if (++n == count)
			break;
	assert_int_equal(n, count);
	assert_int_equal(frame_alloc(0), NO_FRAME);
	assert_int_equal(frame_free_count(), 0);
	while (n-- > 0)
		frame_unref(all[n]);
	free(all);
	assert_int_equal(frame_free_count(), count);
	random_work(20000, 200);
	/* 4..16 MiB is free in one piece: an 8 MiB block is among it */
	assert_int_not_equal(frame_alloc_run(2048, PAGE_SIZE, FRAME_BELOW_16M), NO_FRAME);
	assert_true(frame_is_ram(20 * MIB + PAGE_SIZE));
	assert_true(frame_is_ram(2 * MIB));
	assert_false(frame_is_ram(0xa0000));
	frame_ref(20 * MIB); /* not counted: harmless */
	frame_unref(20 * MIB);
}

static void test_large_machine(void **state)
{
	(void)state;
	fake_machine(9 * GIB + 512 * MIB);
	fake_range(0, 0x9fc00, true);
	fake_range(0x9fc00, 0x400, false);
	fake_range(MIB, 2 * GIB - MIB, true);
	fake_range(0xb0000000, 0x10000000, false);
	fake_range(4 * GIB, 5 * GIB + 512 * MIB, true);
	start();
	assert_true(array_paddr >= 4 * GIB);
	assert_true(frame_alloc(0) >= 4 * GIB);
	assert_true(frame_alloc(FRAME_BELOW_4G) >= 16 * MIB);
	assert_true(frame_alloc_run(1ull << MAX_ORDER, PAGE_SIZE, 0) >= 4 * GIB);
	assert_int_equal(frame_alloc_run((1ull << MAX_ORDER) + 1, PAGE_SIZE, 0), NO_FRAME);
	assert_int_equal(frame_alloc_run(0, PAGE_SIZE, 0), NO_FRAME);
	assert_int_equal(frame_alloc_run(1, 3 * PAGE_SIZE, 0), NO_FRAME);
	random_work(5000, 3000);
}

static void test_falls_back_downwards(void **state)
{
	paddr_t p, low = UINT64_MAX;

	(void)state;
	fake_machine(64 * MIB);
	fake_range(0, 64 * MIB, true);
	start();
	p = frame_alloc(0);
	assert_true(p >= 16 * MIB);
	while ((p = frame_alloc(0)) != NO_FRAME)
		low = MIN(low, p);
	assert_int_equal(low, PAGE_SIZE); /* frame 0 never */
}

static void unref_twice(void *p)
{
	frame_unref(*(paddr_t *)p);
	frame_unref(*(paddr_t *)p);
}

static void test_double_free_panics(void **state)
{
	paddr_t p;

	(void)state;
	fake_machine(32 * MIB);
	fake_range(0, 32 * MIB, true);
	start();
	p = frame_alloc(0);
	assert_true(fake_panics(unref_twice, &p));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small_machine),
		cmocka_unit_test(test_large_machine),
		cmocka_unit_test(test_falls_back_downwards),
		cmocka_unit_test(test_double_free_panics),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
