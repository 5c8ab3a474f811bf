/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of locks against a model: one byte of owner and type per byte of file. */
#include "servers/vfs/lock.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { BYTES = 64, OWNERS = 4, FILES = 2 };

static uint8_t model[FILES][OWNERS + 1][BYTES]; /* type, LOCK_NONE: none */

static struct lock make(unsigned file, unsigned owner, unsigned type, uint64_t start, uint64_t end)
{
	return (struct lock){
		.class = LOCK_RECORD, .type = (uint8_t)type, .file = { 7, file }, .owner = { owner, owner & 1 },
		.start = start, .end = end,
	};
}

static bool model_conflict(unsigned file, unsigned owner, unsigned type, uint64_t start, uint64_t end)
{
	for (unsigned o = 1; o <= OWNERS; o++)
		for (uint64_t at = start; o != owner && at <= end; at++)
			if (model[file][o][at] == LOCK_WRITE || (type == LOCK_WRITE && model[file][o][at] == LOCK_READ))
				return true;
	return false;
}

/* Every byte is as the model has it, and nothing overlaps or could be joined. */
static void compare(void)
{
	unsigned have = 0, runs = 0;

	for (unsigned f = 0; f < FILES; f++)
		for (unsigned o = 1; o <= OWNERS; o++)
			for (unsigned at = 0; at < BYTES; at++) {
				uint8_t type = model[f][o][at];
				struct lock one = make(f, o, type, at, at);

				if (type != LOCK_NONE) {
					assert_true(lock_has(&one));
					runs += !at || model[f][o][at - 1] != type;
				}
			}
	for (unsigned i = 0; i < never_used; i++)
		have += locks[i].class != 0;
	assert_int_equal(have, runs);
	assert_int_equal(have, used);
}

static void test_model(void **state)
{
	(void)state;
	memset(model, LOCK_NONE, sizeof(model));
	srandom(1);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned f = random() % FILES, o = 1 + random() % OWNERS, type = random() % 3;
		uint64_t start = random() % BYTES, end = start + random() % (BYTES - start);
		struct lock want = make(f, o, type, start, end);
		bool conflict = type != LOCK_NONE && model_conflict(f, o, type, start, end);

		assert_int_equal(conflict, lock_conflict(&want) != NULL);
		if (conflict)
			continue;
		assert_int_equal(lock_set(&want), 0);
		memset(&model[f][o][start], (int)type, end - start + 1);
		if (round % 500 == 499) {
			lock_drop(want.owner, &want.file);
			memset(model[f][o], LOCK_NONE, BYTES);
		}
		if (round % 16 == 0)
			compare();
	}
	for (unsigned o = 1; o <= OWNERS; o++)
		lock_drop((struct lock_owner){ o, o & 1 }, NULL);
	assert_int_equal(used, 0);
}

static void test_limit(void **state)
{
	struct lock l;
	unsigned i;

	(void)state;
	for (i = 0; i < LOCKS_PER_OWNER; i++) {
		l = make(0, 1, LOCK_READ, i * 2, i * 2);
		assert_int_equal(lock_set(&l), 0);
	}
	l = make(0, 1, LOCK_READ, i * 2, i * 2);
	assert_int_equal(lock_set(&l), -X_ENOLCK);
	l = make(0, 1, LOCK_NONE, 0, INT64_MAX);
	assert_int_equal(lock_set(&l), 0);
	assert_int_equal(used, 0);
	assert_false(lock_held(l.owner));
}

static void test_classes(void **state)
{
	struct lock record = make(0, 1, LOCK_WRITE, 0, INT64_MAX), whole = make(0, 2, LOCK_WRITE, 0, INT64_MAX);

	(void)state;
	whole.class = LOCK_FLOCK;
	assert_int_equal(lock_set(&record), 0);
	assert_null(lock_conflict(&whole));
	assert_int_equal(lock_set(&whole), 0);
	assert_true(lock_drop(record.owner, NULL));
	assert_true(lock_drop(whole.owner, NULL));
	assert_false(lock_drop(whole.owner, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model), cmocka_unit_test(test_limit), cmocka_unit_test(test_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
