/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed virtqueues against a model of the device: chains and tables over many
 * rounds of the ring, finished in any order, kicks only where wanted, and lies.
 */
// sources: lib/virtio/packed.c lib/virtio/virtqueue.c
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include "lib/virtio/virtqueue.h"
#include <xinim/error.h>

#define SIZE 12u /* no power of two: packed rings need not be */

static struct virtqueue q;
static struct dma_buffer memory;

/* The device: what it has taken and not yet finished. */
static struct taken { uint16_t id, places; uint32_t segments, writable; uint64_t first; } taken[SIZE];
static unsigned taken_count;
static struct { uint16_t next, used; bool avail_wrap, used_wrap; } dev;

static void start(bool event_idx, bool indirect)
{
	memory.bytes = virtqueue_bytes(16, true);
	if (!memory.virt)
		memory.virt = aligned_alloc(4096, memory.bytes);
	memory.iova = (uintptr_t)memory.virt;
	assert_int_equal(virtqueue_init_packed(&q, &memory, SIZE, event_idx, indirect), 0);
	taken_count = 0;
	dev.next = dev.used = 0;
	dev.avail_wrap = dev.used_wrap = true;
}

static bool available(const struct virtq_packed_desc *d)
{
	return !!(d->flags & VIRTQ_DESC_AVAIL) == dev.avail_wrap && !!(d->flags & VIRTQ_DESC_USED) != dev.avail_wrap;
}

static void step(struct taken *t)
{
	const struct virtq_packed_desc *d = &q.ring[dev.next], *table = d;
	uint32_t count = 1;

	assert_true(available(d));
	if (d->flags & VIRTQ_DESC_INDIRECT) {
		table = (const void *)(uintptr_t)d->addr;
		count = d->len / sizeof(*d);
	}
	if (!t->segments)
		t->first = table[0].addr;
	for (uint32_t i = 0; i < count; i++) {
		t->segments++;
		if (table[i].flags & VIRTQ_DESC_WRITE)
			t->writable += table[i].len;
	}
	t->id = d->id;
	t->places++;
	if (++dev.next == SIZE) {
		dev.next = 0;
		dev.avail_wrap = !dev.avail_wrap;
	}
}

static void device_take(void)
{
	while (taken_count < SIZE && available(&q.ring[dev.next])) {
		struct taken *t = &taken[taken_count++];
		bool more = true;

		*t = (struct taken){ 0 };
		while (more) {
			more = q.ring[dev.next].flags & VIRTQ_DESC_NEXT;
			step(t);
		}
	}
}

static void device_finish(unsigned index, uint16_t id, uint32_t len)
{
	struct virtq_packed_desc *d = &q.ring[dev.used];

	d->id = id;
	d->len = len;
	d->flags = dev.used_wrap ? VIRTQ_DESC_AVAIL | VIRTQ_DESC_USED : 0;
	dev.used += taken[index].places;
	if (dev.used >= SIZE) {
		dev.used -= SIZE;
		dev.used_wrap = !dev.used_wrap;
	}
	taken[index] = taken[--taken_count];
}

static void rounds(bool event_idx, bool indirect)
{
	uint32_t token = 1, added = 0, reaped = 0, written, got;
	bool outstanding[4096] = { false };

	start(event_idx, indirect);
	srand(1);
	while (reaped < 3000) {
		struct virtq_segment s[5];
		uint32_t out = 1 + rand() % 2, in = rand() % 3;

		for (uint32_t i = 0; i < out + in; i++)
			s[i] = (struct virtq_segment){ .iova = token * 100 + i, .bytes = 10 + i };
		if (rand() % 2 && added < 4000 && !virtqueue_add(&q, s, out, in, token)) {
			outstanding[token++] = true;
			added++;
		}
		if (rand() % 3 == 0)
			virtqueue_publish(&q);
		if (rand() % 2)
			device_take();
		if (taken_count && rand() % 2) {
			unsigned index = rand() % taken_count;

			device_finish(index, taken[index].id, taken[index].writable);
		}
		while (virtqueue_reap(&q, &got, &written) == 1) {
			assert_true(got < 4096 && outstanding[got]);
			outstanding[got] = false;
			reaped++;
		}
	}
}

static void chains(void **state) { (void)state; rounds(false, false); }
static void tables(void **state) { (void)state; rounds(true, true); }

static const struct virtq_segment two[2] = { { 0x1000, 16 }, { 0x2000, 512 } };

static void nothing_is_visible_before_it_is_published(void **state)
{
	uint32_t token, written;

	(void)state;
	start(false, true);
	for (uint32_t i = 0; i < SIZE; i++)
		assert_int_equal(virtqueue_add(&q, two, 1, 1, i), 0);
	assert_int_equal(virtqueue_add(&q, two, 1, 1, 99), -X_EAGAIN);
	device_take();
	assert_int_equal(taken_count, 0);
	assert_true(virtqueue_publish(&q));
	device_take();
	assert_int_equal(taken_count, SIZE);
	assert_int_equal(virtqueue_reap(&q, &token, &written), 0);
	assert_false(virtqueue_arm(&q));
	device_finish(3, taken[3].id, 512);
	assert_true(virtqueue_arm(&q));
	assert_int_equal(virtqueue_reap(&q, &token, &written), 1);
	assert_int_equal(token, 3);
	assert_int_equal(written, 512);
}

static void kicks(void **state)
{
	(void)state;
	start(true, true);
	q.device_event->flags = VIRTQ_EVENT_NEVER;
	virtqueue_add(&q, two, 1, 1, 1);
	assert_false(virtqueue_publish(&q));
	q.device_event->flags = VIRTQ_EVENT_PLACE;
	q.device_event->place = 3 | 1 << 15; /* at the fourth */
	virtqueue_add(&q, two, 1, 1, 2);
	assert_false(virtqueue_publish(&q));
	virtqueue_add(&q, two, 1, 1, 3);
	virtqueue_add(&q, two, 1, 1, 4);
	assert_true(virtqueue_publish(&q));
	virtqueue_add(&q, two, 1, 1, 5);
	assert_true(virtqueue_publish(&q)); /* still wanted: it may have stopped */
	q.device_event->place = 5 | 1 << 15;
	assert_false(virtqueue_publish(&q)); /* nothing new */
	virtqueue_add(&q, two, 1, 1, 6);
	assert_true(virtqueue_publish(&q));
	q.device_event->place = 1; /* in the next round */
	for (uint32_t i = 6; i < SIZE; i++) {
		virtqueue_add(&q, two, 1, 1, i);
		assert_false(virtqueue_publish(&q));
	}
}

/* Over the end of the ring, too: five at a time, twelve places. */
static void interrupts_later(void **state)
{
	uint32_t token, written;

	(void)state;
	start(true, true);
	for (unsigned round = 0; round < 10; round++) {
		uint16_t place = q.used_idx + 3;

		for (uint32_t i = 0; i < 5; i++)
			assert_int_equal(virtqueue_add(&q, two, 1, 1, i), 0);
		virtqueue_publish(&q);
		device_take();
		assert_false(virtqueue_arm_after(&q, 3));
		assert_int_equal(q.driver_event->place & 0x7fff, place % SIZE);
		assert_int_equal(q.driver_event->place >> 15, place < SIZE ? q.used_wrap : !q.used_wrap);
		for (unsigned i = 0; i < 3; i++)
			device_finish(0, taken[0].id, 0);
		assert_false(virtqueue_arm_after(&q, 3));
		device_finish(0, taken[0].id, 0);
		assert_true(virtqueue_arm_after(&q, 3));
		device_finish(0, taken[0].id, 0);
		while (virtqueue_reap(&q, &token, &written) == 1)
			;
		assert_int_equal(q.in_flight, 0);
		assert_false(virtqueue_arm_after(&q, 3));
	}
}

static void lies(void **state)
{
	static const struct { uint16_t id; uint32_t len; } lie[] = { { SIZE, 1 }, { 60000, 1 }, { 7, 1 }, { 0, 513 } };
	uint32_t token, written;

	(void)state;
	for (unsigned i = 0; i < sizeof(lie) / sizeof(lie[0]); i++) {
		start(false, true);
		virtqueue_add(&q, two, 1, 1, 5);
		virtqueue_publish(&q);
		device_take();
		device_finish(0, lie[i].id, lie[i].len);
		assert_int_equal(virtqueue_reap(&q, &token, &written), -X_EPROTO);
	}
	start(false, true); /* used without anything being there to be used */
	q.ring[0].flags = VIRTQ_DESC_AVAIL | VIRTQ_DESC_USED;
	assert_int_equal(virtqueue_reap(&q, &token, &written), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(interrupts_later), cmocka_unit_test(chains), cmocka_unit_test(tables),
		cmocka_unit_test(nothing_is_visible_before_it_is_published), cmocka_unit_test(kicks), cmocka_unit_test(lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
