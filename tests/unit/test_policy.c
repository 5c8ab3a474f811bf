/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Restart policy with a time of the test's own; statistics of outages.
 */
// sources: servers/rs/policy.c servers/rs/outage.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include "servers/rs/outage.h"
#include "servers/rs/policy.h"

#define MS 1000000ull
#define S 1000000000ull

static struct policy p;
static uint64_t now;

static int reset(void **state)
{
	policy_reset(&p);
	now = 100 * S;
	return 0;
}

static void expect(uint64_t uptime, bool requested, enum policy_verdict verdict, uint64_t delay)
{
	struct policy_decision d = policy_crash(&p, now, uptime, requested);

	assert_int_equal(d.verdict, verdict);
	if (verdict == POLICY_RESTART)
		assert_int_equal(d.delay_ns, delay);
}

static void at_once_the_first_time(void **state)
{
	expect(0, false, POLICY_RESTART, 0);
}

static void backs_off(void **state)
{
	static const uint64_t delays_ms[] = { 0, 1, 2, 4, 8, 16, 32, 64, 128, 256 };

	for (int i = 0; i < 10; i++) {
		expect(10 * MS, false, POLICY_RESTART, delays_ms[i] * MS);
		now += delays_ms[i] * MS + 10 * MS;
	}
	expect(10 * MS, false, POLICY_GIVE_UP, 0);
}

static void delay_is_capped(void **state)
{
	for (int i = 0; i < 40; i++) {
		uint64_t delay = i == 0 ? 0 : i > 10 ? 1 * S : (1ull << (i - 1)) * MS;

		expect(10 * MS, false, POLICY_RESTART, delay);
		now += 4 * S; /* 10 crashes take more than 30 s */
	}
}

static void a_good_run_makes_good(void **state)
{
	expect(0, false, POLICY_RESTART, 0);
	expect(0, false, POLICY_RESTART, 1 * MS);
	expect(1 * S, false, POLICY_RESTART, 0);
	expect(999 * MS, false, POLICY_RESTART, 1 * MS);
}

static void good_runs_still_count_towards_giving_up(void **state)
{
	for (int i = 0; i < 10; i++) {
		expect(2 * S, false, POLICY_RESTART, 0);
		now += 2 * S;
	}
	expect(2 * S, false, POLICY_GIVE_UP, 0);
}

static void old_crashes_are_forgotten(void **state)
{
	for (int i = 0; i < 100; i++) {
		expect(3 * S, false, POLICY_RESTART, 0);
		now += 30 * S / 10 + 1;
	}
}

static void requested_counts_for_nothing(void **state)
{
	for (int i = 0; i < 50; i++) {
		expect(90 * MS, true, POLICY_RESTART, 0);
		now += 100 * MS;
	}
	expect(0, false, POLICY_RESTART, 0);
}

static void outages(void **state)
{
	static struct outages o;
	struct outage_summary s = outage_summarise(&o);

	assert_int_equal(s.max_ns, 0);
	outage_add(&o, 5);
	outage_add(&o, 1);
	s = outage_summarise(&o);
	assert_int_equal(s.min_ns, 1);
	assert_int_equal(s.median_ns, 3);
	assert_int_equal(s.max_ns, 5);
	outage_add(&o, 100);
	assert_int_equal(outage_summarise(&o).median_ns, 5);
	for (uint64_t i = 0; i < OUTAGE_SAMPLES; i++)
		outage_add(&o, 1000 - i);
	s = outage_summarise(&o);
	assert_int_equal(o.count, 3 + OUTAGE_SAMPLES);
	assert_int_equal(s.min_ns, 1001 - OUTAGE_SAMPLES);
	assert_int_equal(s.max_ns, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(at_once_the_first_time, reset), cmocka_unit_test_setup(backs_off, reset),
		cmocka_unit_test_setup(delay_is_capped, reset), cmocka_unit_test_setup(a_good_run_makes_good, reset),
		cmocka_unit_test_setup(good_runs_still_count_towards_giving_up, reset),
		cmocka_unit_test_setup(old_crashes_are_forgotten, reset),
		cmocka_unit_test_setup(requested_counts_for_nothing, reset), cmocka_unit_test(outages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
