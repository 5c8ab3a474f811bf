/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checkpoints: what the next incarnation finds after a save, after a death in the
 * middle of one, and in memory that was damaged in any way.
 */
// sources: lib/c/strlcpy.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "lib/ipc/internal.h"
#include "lib/ipc/keep.h"

#define SLOTS 8u

static _Alignas(16) unsigned char memory[SLOTS * KEEP_SLOT_BYTES];
static struct x_boot_page page = { .keep_bytes = sizeof(memory) };
const struct x_boot_page *boot = &page;
static bool granted = true;
static unsigned complaints;
static void *map_at;

x_handle_t boot_handle(const char *name)
{
	return granted && !strcmp(name, "keep") ? 9 : X_NO_HANDLE;
}

void server_log(const char *fmt, ...)
{
	complaints += strstr(fmt, "discarded") != NULL;
}

void server_die(const char *fmt, ...)
{
	fail_msg("%s", fmt);
	abort();
}

int64_t x_syscall6(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	const struct x_mem_map *m = (const void *)a;

	assert_int_equal(n, X_SYS_mem_map);
	assert_true(m->memory == 9 && m->len == sizeof(memory));
	(void)b, (void)c, (void)d, (void)e, (void)f;
	return (int64_t)(uintptr_t)map_at;
}

/* The next incarnation: it maps the memory anew, as it is. */
static void die_and_return(void);

static void fresh(void)
{
	memset(memory, 0, sizeof(memory));
	complaints = 0;
	die_and_return();
}

#include "lib/ipc/keep.c"

static void die_and_return(void)
{
	slots = NULL;
	map_at = memory;
}

static uint32_t load(const char *name)
{
	uint32_t value = 0;

	return keep_load(name, 1, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

static int save(const char *name, uint32_t value)
{
	return keep_save(name, 1, &value, sizeof(value));
}

static void saves_and_loads(void **state)
{
	(void)state;
	fresh();
	assert_int_equal(load("a"), 0);
	for (uint32_t i = 1; i < 50; i++) {
		assert_int_equal(save("a", i), 0);
		assert_int_equal(save("b", 1000 + i), 0);
		die_and_return();
		assert_int_equal(load("a"), i);
		assert_int_equal(load("b"), 1000 + i);
	}
	assert_int_equal(complaints, 0);
}

static void refuses(void **state)
{
	char big[KEEP_DATA_BYTES + 1] = { 0 };

	(void)state;
	fresh();
	assert_int_equal(keep_save("a", 1, big, sizeof(big)), -X_EINVAL);
	assert_int_equal(keep_save("a", 1, big, sizeof(big) - 1), 0);
	assert_int_equal(save("", 1), -X_EINVAL);
	assert_int_equal(save("0123456789abcdef", 1), -X_EINVAL);
	assert_int_equal(save("b", 1), 0);
	assert_int_equal(save("c", 1), 0);
	assert_int_equal(save("d", 1), 0); /* each has taken one slot ... */
	assert_int_equal(save("e", 1), -X_ENOSPC);
	for (int i = 0; i < 3; i++)
		for (char name[2] = "a"; name[0] <= 'd'; name[0]++)
			assert_int_equal(save(name, 2), 0); /* ... and there are two for each */
	assert_int_equal(save("e", 1), -X_ENOSPC);
	granted = false;
	die_and_return();
	assert_int_equal(save("a", 1), -X_ENOENT);
	assert_int_equal(keep_load("a", 1, big, sizeof(big)), -X_ENOENT);
	granted = true;
}

static void other_versions_are_discarded(void **state)
{
	uint64_t value;

	(void)state;
	fresh();
	save("a", 5);
	save("a", 6);
	assert_int_equal(keep_load("a", 2, &value, sizeof(value)), -X_ENOENT);
	assert_int_equal(complaints, 1);
	assert_int_equal(load("a"), 0);
	save("a", 7);
	assert_int_equal(keep_load("a", 1, &value, 2), -X_ENOENT); /* larger than expected */
}

/* Died at any byte of a save: as if that slot had any part of old and new. */
static void a_torn_save_leaves_the_one_before(void **state)
{
	unsigned char before[sizeof(memory)], after[sizeof(memory)];

	(void)state;
	fresh();
	for (uint32_t i = 1; i <= 4; i++)
		save("a", i * 0x01010101u);
	memcpy(before, memory, sizeof(before));
	save("a", 0x05050505u);
	memcpy(after, memory, sizeof(after));
	for (size_t cut = 0; cut < 2 * KEEP_SLOT_BYTES; cut++) {
		uint32_t found;

		memcpy(memory, after, cut);
		memcpy(memory + cut, before + cut, sizeof(memory) - cut);
		die_and_return();
		found = load("a");
		assert_true(found == 0x04040404u || found == 0x05050505u);
	}
}

/* Any bit turned over: the value before, or none, but never a wrong one. */
static void damage_is_never_believed(void **state)
{
	unsigned char good[sizeof(memory)];

	(void)state;
	fresh();
	save("a", 1);
	save("a", 2);
	memcpy(good, memory, sizeof(good));
	for (size_t bit = 0; bit < 2 * KEEP_SLOT_BYTES * 8; bit++) {
		uint32_t found;

		memcpy(memory, good, sizeof(good));
		memory[bit / 8] ^= 1u << bit % 8;
		die_and_return();
		found = load("a");
		assert_true(found == 1 || found == 2);
		assert_int_equal(save("a", 3), 0);
		assert_int_equal(load("a"), 3);
	}
	assert_true(complaints > 0);
	for (unsigned round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(memory); i++)
			memory[i] = rand();
		die_and_return();
		assert_int_equal(load("a"), 0);
		assert_int_equal(save("a", 9), 0);
		assert_int_equal(load("a"), 9);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saves_and_loads), cmocka_unit_test(refuses),
		cmocka_unit_test(other_versions_are_discarded), cmocka_unit_test(a_torn_save_leaves_the_one_before),
		cmocka_unit_test(damage_is_never_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
