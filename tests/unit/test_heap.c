/* SPDX-License-Identifier: BSD-2-Clause */
/* The kernel heap: contents stay, alignment, nothing leaks, misuse is caught. */
// sources: kernel/core/frame.c kernel/core/heap.c kernel/core/account.c tests/unit/fake_arch.c
// cflags: -DDIRECT_MAP_BASE=fake_ram_base -DFAKE_CURRENT_THREAD -DFAKE_USER_COPY -include tests/unit/fake_arch.h
#include "kernel/core/mm.h"

#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT 3000

static size_t random_size(void)
{
	switch (rand() % 8) {
	case 0: return (size_t)rand() % 60000;
	case 1: return (size_t)1 << (rand() % 12);
	default: return (size_t)rand() % 2200;
	}
}

static void test_random_work(void **state)
{
	static struct { uint8_t *p; size_t n; uint8_t fill; } all[COUNT];
	uint64_t frames = frame_free_count();

	(void)state;
	for (unsigned step = 0; step < 200000; step++) {
		unsigned i = (unsigned)rand() % COUNT;

		if (all[i].p == NULL) {
			all[i].n = random_size();
			all[i].p = kmalloc(all[i].n);
			if (all[i].p == NULL)
				continue;
			assert_int_equal((uint64_t)all[i].p % 16, 0);
			all[i].fill = (uint8_t)rand();
			memset(all[i].p, all[i].fill, all[i].n);
			continue;
		}
		for (size_t k = 0; k < all[i].n; k += 1 + all[i].n / 50)
			assert_int_equal(all[i].p[k], all[i].fill);
		kfree(all[i].p);
		all[i].p = NULL;
	}
	for (unsigned i = 0; i < COUNT; i++)
		kfree(all[i].p);
	assert_int_equal(kheap_bytes(), 0);
	assert_true(frames - frame_free_count() <= 14); /* one empty slab a class */
}

static void test_zeroed_and_aligned(void **state)
{
	(void)state;
	for (size_t n = 1; n < 9000; n += 13) {
		uint8_t *p = kzalloc(n);

		for (size_t k = 0; k < n; k++)
			assert_int_equal(p[k], 0);
		memset(p, 0xff, n);
		kfree(p);
	}
	for (size_t n = 16; n <= 512; n *= 2) {
		void *p = kmalloc(n);

		assert_int_equal((uint64_t)p % n, 0);
		kfree(p);
	}
	kfree(NULL);
}

static void test_out_of_memory(void **state)
{
	void **all = calloc(20000, sizeof(*all));
	unsigned n = 0;

	(void)state;
	assert_null(kmalloc(1ull << 50));
	while ((all[n] = kmalloc(4096)) != NULL)
		n++;
	assert_null(kmalloc(2000 * 4096));
	while (n-- > 0)
		kfree(all[n]);
	free(all);
	assert_int_equal(kheap_bytes(), 0);
}

/* What is asked for is charged until it is freed; over the limit there is nothing. */
static void test_accounts(void **state)
{
	struct account *a = account_create(true), *other = account_create(false);
	uint64_t heap = kheap_bytes();
	void *small[100], *large;

	(void)state;
	a->kernel_limit = 100 * 96 + 3 * 4096;
	for (int i = 0; i < 100; i++)
		assert_non_null(small[i] = kmalloc_for(i % 2 ? a : other, 90));
	assert_int_equal(a->kernel, 50 * 96);
	assert_int_equal(other->used, 50 * 96);
	assert_non_null(large = kmalloc_for(a, 3 * 4096 - 100));
	assert_int_equal(a->used, 50 * 96 + 3 * 4096);
	assert_null(kmalloc_for(a, 2 * 4096));
	for (int i = 0; i < 50; i++)
		assert_non_null(kzalloc_for(a, 96)); /* for good */
	assert_null(kmalloc_for(a, 1));
	assert_non_null(kmalloc_for(other, 1));
	for (int i = 0; i < 100; i++)
		kfree(small[i]);
	assert_int_equal(other->used, 16);
	kfree(large);
	assert_int_equal(a->kernel, 50 * 96);
	account_close(other); /* it is still charged for something */
	assert_int_equal(kheap_bytes(), heap + 50 * 96 + 16);
}

static void free_twice(void *p)
{
	kfree(p);
	kfree(p);
}

static void store_after_free(void *p)
{
	kfree(p);
	((uint64_t *)p)[1] = 42;
	(void)kmalloc(64);
}

static void free_inside(void *p)
{
	kfree((char *)p + 16);
}

static void test_misuse(void **state)
{
	(void)state;
	assert_true(fake_panics(free_inside, kmalloc(64)));
	assert_true(fake_panics(free_twice, kmalloc(128)));
	assert_true(fake_panics(store_after_free, kmalloc(64)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_work),
		cmocka_unit_test(test_zeroed_and_aligned),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_misuse), /* last: leaves the heap damaged */
	};

	srand(2);
	fake_machine(48ull << 20);
	fake_range(0, 48ull << 20, true);
	frame_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
