/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/region: death after any instruction. Random stores to a region, each behind
 * its hook, are run one machine instruction at a time (trap flag, SIGTRAP); after
 * each the server is taken to be dead: the region is rolled back and compared with
 * what was last committed, then all is put back and the next instruction runs.
 * Now and then the rollback dies, too, after each of its instructions.
 */
// sources: lib/region/log.c
// cflags: -fno-sanitize=alignment
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>
#define __asan_store1_noabort hook_store1
#define __asan_store2_noabort hook_store2
#define __asan_store4_noabort hook_store4
#define __asan_store8_noabort hook_store8
#define __asan_store16_noabort hook_store16
#define __asan_storeN_noabort hook_storeN
#define __asan_loadN_noabort hook_loadN
#define __asan_handle_no_return hook_no_return
#include "lib/region/hooks.c"

#define BYTES     1024u
#define LOG_BYTES 8192u
#define ITERATIONS 20u
#define NESTED_EVERY 5003u

static unsigned char *const memory = (unsigned char *)REGION_START;
static volatile uint64_t port_epoch; /* the kernel's */

/* All that lasts beyond a death. */
struct lasting { unsigned char memory[BYTES], log[LOG_BYTES]; struct region_control control; };
static struct lasting saved[2]; /* by depth: of the stores, of the rollback */
static unsigned char before[BYTES], after[BYTES]; /* the commit under way */
static uint64_t epoch_before, deaths, nested, wrong;
static volatile sig_atomic_t depth;
static bool nest;

static void save(struct lasting *l)
{
	memcpy(l->memory, memory, BYTES);
	memcpy(l->log, (void *)REGION_LOG, LOG_BYTES);
	l->control = region;
}

static void put_back(const struct lasting *l)
{
	memcpy(memory, l->memory, BYTES);
	memcpy((void *)REGION_LOG, l->log, LOG_BYTES);
	region = l->control;
}

#define STEP_BEGIN() __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq" ::: "memory", "cc")
#define STEP_END()   __asm__ volatile("pushfq; andq $~0x100, (%%rsp); popfq" ::: "memory", "cc")

static void recover_and_compare(void)
{
	bool sound = region_rollback(port_epoch);

	wrong += !sound || memcmp(memory, port_epoch == epoch_before ? before : after, BYTES) ||
		 region.epoch != port_epoch || region_log_bytes() != 0;
}

/* One instruction has been run since the last time. */
static void died(int signal)
{
	struct lasting *mine = &saved[depth];

	(void)signal;
	save(mine);
	if (depth == 0) {
		deaths++;
		if (nest && deaths % NESTED_EVERY == 0) {
			depth = 1;
			STEP_BEGIN();
			region_rollback(port_epoch);
			STEP_END();
			depth = 0;
		}
		put_back(mine);
	} else {
		nested++;
	}
	recover_and_compare();
	put_back(mine);
}

static uint32_t random32(void)
{
	static uint64_t seed = 20260101;

	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return seed >> 33;
}

/* As compiled code does: the hook, then the store. */
static void random_store(void)
{
	unsigned char value[64];
	size_t bytes = 1u << random32() % 5, at;

	for (size_t i = 0; i < sizeof(value); i++)
		value[i] = random32();
	if (random32() % 5 == 0)
		bytes = 1 + random32() % sizeof(value); /* of a copy of a structure */
	at = random32() % (BYTES - bytes);
	STEP_BEGIN();
	switch (bytes) {
	case 1: hook_store1(REGION_START + at); break;
	case 2: hook_store2(REGION_START + at); break;
	case 4: hook_store4(REGION_START + at); break;
	case 8: hook_store8(REGION_START + at); break;
	case 16: hook_store16(REGION_START + at); break;
	default: hook_storeN(REGION_START + at, bytes);
	}
	for (size_t i = 0; i < bytes; i++)
		((volatile unsigned char *)memory)[at + i] = value[i];
	STEP_END();
}

static void iteration(void)
{
	epoch_before = port_epoch;
	memcpy(before, memory, BYTES);
	for (uint32_t n = random32() % 24; n--;)
		random_store();
	memcpy(after, memory, BYTES);
	STEP_BEGIN();
	port_epoch++; /* the kernel takes the commit ... */
	region_commit(port_epoch); /* ... and the server hears of it */
	STEP_END();
}

static void step_through(bool with_nested)
{
	struct sigaction old, action = { .sa_handler = died, .sa_flags = SA_NODEFER };

	deaths = nested = wrong = 0;
	nest = with_nested;
	sigaction(SIGTRAP, &action, &old);
	for (uint32_t i = 0; i < ITERATIONS; i++)
		iteration();
	sigaction(SIGTRAP, &old, NULL);
	print_message("%llu deaths, %llu in a rollback\n", (unsigned long long)deaths, (unsigned long long)nested);
	assert_int_equal(wrong, 0);
	assert_true(deaths > 10 * ITERATIONS);
	assert_true(!with_nested || nested > 1000);
}

static void death_after_any_instruction(void **state)
{
	(void)state;
	step_through(false);
}

static void death_in_the_rollback(void **state)
{
	(void)state;
	step_through(true);
}

static sigjmp_buf full;

static void overrun(int signal)
{
	(void)signal;
	siglongjmp(full, 1);
}

/* The guard page stops it ahead of the store; all is undone. */
static void full_log_is_death(void **state)
{
	struct sigaction old, action = { .sa_handler = overrun, .sa_flags = SA_NODEFER };
	volatile uint32_t stores = 0;

	(void)state;
	memcpy(before, memory, BYTES);
	sigaction(SIGSEGV, &action, &old);
	if (!sigsetjmp(full, 1))
		for (;; stores++) {
			hook_store8(REGION_START + stores % 100 * 8);
			memory[stores % 100 * 8] ^= 0xff;
		}
	sigaction(SIGSEGV, &old, NULL);
	assert_int_equal(stores, LOG_BYTES / sizeof(struct region_entry));
	assert_true(region_rollback(port_epoch));
	assert_memory_equal(memory, before, BYTES);
}

static void nonsense_is_refused(void **state)
{
	static const struct region_entry bad[] = {
		{ REGION_START | 9ull << 56, 0 },           /* longer than an entry holds */
		{ (REGION_START - 8) | 8ull << 56, 0 },     /* outside the region */
		{ (REGION_END - 4) | 8ull << 56, 0 },
		{ REGION_START | REGION_LONG, LOG_BYTES },  /* begins ahead of the log */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		region_commit(port_epoch);
		*region.head++ = bad[i];
		assert_false(region_rollback(port_epoch));
		assert_true(region_rollback(port_epoch + 1)); /* of another epoch: void, whatever it says */
	}
}

/* The stack, the log, what is mapped elsewhere: none of it is logged. */
static void outside_nothing_is_logged(void **state)
{
	uint64_t local = 1;

	(void)state;
	region_commit(port_epoch);
	hook_store8((uintptr_t)&local);
	hook_store16(REGION_LOG);
	hook_storeN(REGION_START - 64, 64);
	hook_storeN(REGION_START, 0);
	assert_int_equal(region_log_bytes(), 0);
}

static int set_up(void **state)
{
	void *log = (void *)REGION_LOG, *at;

	(void)state;
	at = mmap(memory, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (at != memory)
		return -1;
	at = mmap(log, LOG_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (at != log)
		return -1;
	at = mmap((char *)log + LOG_BYTES, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (at != (char *)log + LOG_BYTES)
		return -1;
	region_open(log, port_epoch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(death_after_any_instruction), cmocka_unit_test(death_in_the_rollback),
		cmocka_unit_test(full_log_is_death), cmocka_unit_test(nonsense_is_refused),
		cmocka_unit_test(outside_nothing_is_logged),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
