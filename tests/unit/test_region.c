/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The undo log: what was noted comes back, newest first, and memory that was mapped
 * since the last commit, and is gone when the log is undone, is left alone.
 */
// sources: lib/region/log.c
#include <stdarg.h>
#include <setjmp.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>
#include "lib/region/region.h"

#define PAGE 4096u

static unsigned char *page(unsigned n)
{
	return (unsigned char *)REGION_START + n * PAGE;
}

static void *mapped(uintptr_t at, size_t bytes)
{
	void *p = mmap((void *)at, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	return p;
}

static void put(unsigned char *at, int value, size_t bytes)
{
	region_note(at, bytes);
	memset(at, value, bytes);
}

static void test_rollback(void **state)
{
	(void)state;
	mapped(REGION_START, 2 * PAGE);
	region_open(mapped(REGION_LOG, 16 * PAGE), 1);
	put(page(0), 1, 100);
	region_commit(2);
	put(page(0) + 16, 2, 3);
	put(page(0) + 8, 3, 50);
	put(page(1), 4, PAGE);
	assert_true(region_rollback(2));
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(page(0)[i], 1);
	assert_int_equal(page(1)[0], 0);
	put(page(0), 9, 4);
	assert_true(region_rollback(3)); /* the commit had happened: the log is void */
	assert_int_equal(page(0)[0], 9);
}

static void test_memory_gone(void **state)
{
	(void)state;
	region.mapped_end = (uintptr_t)page(2);
	put(page(0), 5, 8);
	mapped((uintptr_t)page(2), PAGE);
	put(page(2), 6, 64);
	put(page(0) + 8, 7, 8);
	munmap(page(2), PAGE);
	assert_true(region_rollback(3));
	assert_int_equal(page(0)[0], 9);
	assert_int_equal(page(0)[9], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rollback), cmocka_unit_test(test_memory_gone) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
