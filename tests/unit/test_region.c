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

/* What was free is not restored, and the verifier does not miss it; all around it is, and
 * so is what goes beyond what can be remembered. */
static void test_free_memory(void **state)
{
	static unsigned char snapshot[PAGE], work[PAGE];
	const uint64_t words[2] = { 1, 2 };
	size_t before;

	(void)state;
	put(page(0), 8, PAGE);
	region_commit(4);
	region_snapshot(snapshot, PAGE);
	before = region_log_bytes();
	region_fill(page(0) + 64, 40);
	region_put(page(0) + 128, words, sizeof(words));
	assert_int_equal(region_log_bytes(), before);
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(page(0)[64 + i], 0);
	assert_memory_equal(page(0) + 128, words, sizeof(words));
	assert_int_equal(page(0)[63] + page(0)[104] + page(0)[144], 24);
	put(page(0) + 256, 9, 8);
	assert_true(region_undo_copy(work, PAGE));
	assert_null(region_compare(snapshot, work, PAGE));
	page(0)[60] = 1;
	assert_true(region_undo_copy(work, PAGE));
	assert_ptr_equal(region_compare(snapshot, work, PAGE), page(0) + 60);
	page(0)[60] = 8;
	for (unsigned i = 0; i < 100; i++)
		region_fill(page(0) + 512, 8);
	assert_true(region_log_bytes() > before);
	assert_true(region_rollback(4));
	assert_int_equal(page(0)[64], 0);
	assert_int_equal(page(0)[256], 8);
	region_fill(page(0) + 64, 8);
	region_commit(5);
	region_snapshot(snapshot, PAGE);
	page(0)[64] = 7; /* free memory is that of one iteration */
	assert_true(region_undo_copy(work, PAGE));
	assert_non_null(region_compare(snapshot, work, PAGE));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rollback), cmocka_unit_test(test_memory_gone),
					    cmocka_unit_test(test_free_memory) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
