/* SPDX-License-Identifier: BSD-2-Clause */
/* lib/ring: order, full and empty, lying peers, event suppression, two threads. */
// sources: lib/ring/ring.c
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lib/ring/ring.h"
#include <xinim/error.h>

#define COUNT 8

static struct ring_shared *shared;
static struct ring p, c;

static int setup(void **state)
{
	(void)state;
	shared = calloc(1, RING_BYTES(COUNT, 4));
	ring_init(&p, shared, COUNT, 4);
	ring_init(&c, shared, COUNT, 4);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(shared);
	return 0;
}

static void start_at(uint32_t index)
{
	shared->head = shared->tail = shared->consumer_event = shared->producer_event = index;
	p.mine = p.published = p.peer = c.mine = c.published = c.peer = index;
}

static void fill_and_drain(void **state)
{
	uint32_t v;

	(void)state;
	start_at(UINT32_MAX - 2); /* across the wrap */
	for (uint32_t round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < COUNT; i++)
			assert_int_equal(ring_push(&p, &i), 0);
		assert_int_equal(ring_push(&p, &v), -X_EAGAIN);
		assert_int_equal(ring_pop(&c, &v), 0); /* not yet published */
		ring_publish(&p);
		for (uint32_t i = 0; i < COUNT; i++) {
			assert_int_equal(ring_pop(&c, &v), 1);
			assert_int_equal(v, i);
		}
		assert_int_equal(ring_pop(&c, &v), 0);
		assert_int_equal(ring_push(&p, &v), -X_EAGAIN); /* not yet released */
		ring_release(&c);
		assert_int_equal(ring_space(&p), COUNT);
	}
}

static void many_at_once(void **state)
{
	uint32_t v[COUNT + 1], got;

	(void)state;
	start_at(UINT32_MAX - 2);
	assert_int_equal(ring_pop_many(&c, v, COUNT), 0);
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < COUNT - 1; i++)
			assert_int_equal(ring_push(&p, &i), 0);
		ring_publish(&p);
		assert_int_equal(ring_pop_many(&c, v, 2), 2);
		for (got = 2; got < COUNT - 1;) { /* in one or two runs */
			int n = ring_pop_many(&c, v + got, COUNT);

			assert_true(n > 0);
			got += (uint32_t)n;
		}
		assert_int_equal(got, COUNT - 1);
		for (uint32_t i = 0; i < COUNT - 1; i++)
			assert_int_equal(v[i], i);
		assert_int_equal(ring_pop_many(&c, v, COUNT), 0);
		ring_release(&c);
	}
}

static void lying_producer(void **state)
{
	uint32_t v = 1;

	(void)state;
	ring_push(&p, &v);
	ring_publish(&p);
	shared->tail = COUNT + 1;
	assert_int_equal(ring_pop(&c, &v), -X_EPROTO);
	shared->tail = UINT32_MAX; /* back */
	assert_int_equal(ring_available(&c), -X_EPROTO);
	shared->tail = 1;
	assert_int_equal(ring_pop(&c, &v), 1);
	shared->tail = 0; /* back behind what was seen */
	assert_int_equal(ring_pop(&c, &v), -X_EPROTO);
}

static void lying_consumer(void **state)
{
	uint32_t v = 1;

	(void)state;
	ring_push(&p, &v);
	shared->head = 1; /* not even published */
	assert_int_equal(ring_space(&p), -X_EPROTO);
	shared->head = 0;
	ring_publish(&p);
	shared->head = 1;
	assert_int_equal(ring_space(&p), COUNT);
	shared->head = 0;
	assert_int_equal(ring_space(&p), -X_EPROTO);
}

static void suppression(void **state)
{
	uint32_t v = 0;

	(void)state;
	ring_push(&p, &v);
	assert_true(ring_publish(&p));  /* a fresh ring is armed */
	ring_push(&p, &v);
	assert_false(ring_publish(&p)); /* the consumer is awake */
	assert_true(ring_arm_consumer(&c));
	while (ring_pop(&c, &v) > 0)
		;
	assert_false(ring_arm_consumer(&c));
	assert_false(ring_publish(&p)); /* nothing new */
	ring_push(&p, &v);
	ring_push(&p, &v);
	assert_true(ring_publish(&p));
	ring_release(&c);
	assert_int_equal(ring_space(&p), COUNT - 2);
	assert_true(ring_arm_producer(&p));
	assert_false(ring_release(&c)); /* nothing new */
	ring_pop(&c, &v);
	assert_true(ring_release(&c));
	ring_pop(&c, &v);
	assert_false(ring_release(&c));
}

/* Each side sleeps on its flag only if arming said that it may. A notification
 * lost would be an endless wait. */
#define ITEMS 300000u
static int wake_consumer, wake_producer;

static void sleep_until(int *flag)
{
	while (!__atomic_exchange_n(flag, 0, __ATOMIC_SEQ_CST))
		sched_yield();
}

static void *producer(void *arg)
{
	for (uint32_t i = 0; i < ITEMS;) {
		while (i < ITEMS && ring_push(&p, &i) == 0)
			i++;
		if (ring_publish(&p))
			__atomic_store_n(&wake_consumer, 1, __ATOMIC_SEQ_CST);
		if (i < ITEMS && !ring_arm_producer(&p))
			sleep_until(&wake_producer);
	}
	return arg;
}

static void two_threads(void **state)
{
	pthread_t thread;
	uint32_t v, expected = 0;

	(void)state;
	pthread_create(&thread, NULL, producer, NULL);
	while (expected < ITEMS) {
		while (ring_pop(&c, &v) > 0)
			if (v != expected++)
				fail_msg("%u instead of %u", v, expected - 1);
		if (ring_release(&c))
			__atomic_store_n(&wake_producer, 1, __ATOMIC_SEQ_CST);
		if (expected < ITEMS && !ring_arm_consumer(&c))
			sleep_until(&wake_consumer);
	}
	pthread_join(thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fill_and_drain, setup, teardown),
		cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(lying_producer, setup, teardown),
		cmocka_unit_test_setup_teardown(lying_consumer, setup, teardown),
		cmocka_unit_test_setup_teardown(suppression, setup, teardown),
		cmocka_unit_test_setup_teardown(two_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
