/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client of a block driver for unit tests of drivers: its rings and its pool
 * of POOL bytes. The test defines POOL and device_run(), which lets its model of
 * the device work. Included once, behind fake_kernel.h.
 */
#ifndef TESTS_UNIT_BLOCKDRV_CLIENT_H
#define TESTS_UNIT_BLOCKDRV_CLIENT_H

#include "lib/ring/ring.h"
#include "proto/block.h"

static struct {
	x_handle_t memory, pool, event, doorbell;
	uint32_t generation;
	struct ring requests, completions;
	uint8_t *data, *rings;
	struct x_out answer;
	int answers;
	int32_t status[BLOCK_RING_SLOTS];
	unsigned done;
} cl;

static void on_answer(const struct x_out *a) { cl.answer = *a; cl.answers++; }

static void iterate(void)
{
	for (int i = 0; i < 20; i++) {
		device_run();
		fake_run_timers();
		unsigned delivered = fake_deliver();
		fake_ops->batch_end();
		fake_commit();
		if (i > 2 && !delivered)
			break;
	}
}

static void client_open(const char *name, uint32_t pool_bytes)
{
	struct x_in in = { .kind = X_IN_CALL, .id = 1, .msg.op = BLOCK_OPEN, .win_count = 1 };

	cl.memory = fake_mem_create(&(struct x_mem_create){ .bytes = BLOCK_RING_BYTES });
	cl.pool = fake_mem_create(&(struct x_mem_create){ .bytes = POOL });
	cl.event = fake_give(fake_new(X_TYPE_EVENT));
	cl.data = fake_handle[cl.pool]->memory;
	cl.rings = fake_handle[cl.memory]->memory;
	ring_init(&cl.requests, cl.rings + BLOCK_REQUESTS_OFFSET, BLOCK_RING_SLOTS, 32);
	ring_init(&cl.completions, cl.rings + BLOCK_COMPLETIONS_OFFSET, BLOCK_RING_SLOTS, 16);
	strcpy(fake_window[0], name);
	in.win[0].len = strlen(name);
	in.msg.a[0] = ++cl.generation;
	in.msg.a[1] = pool_bytes;
	in.handles[0] = cl.memory;
	in.handles[1] = cl.pool;
	in.handles[2] = cl.event;
	in.handle_count = 3;
	cl.answers = 0;
	fake_ops->call(&in);
	iterate();
	assert_int_equal(cl.answers, 1);
	cl.doorbell = cl.answer.handles[1];
}

static void send(uint32_t id, uint32_t op, uint64_t offset, uint32_t len, uint64_t at)
{
	struct block_ring_request r = {
		.generation = cl.generation, .id = id, .op = op, .length_bytes = len, .offset_bytes = offset, .pool_offset = at,
	};

	assert_int_equal(ring_push(&cl.requests, &r), 0);
	cl.status[id] = 99;
}

static unsigned receive(void)
{
	struct block_ring_completion c;
	unsigned count = 0;

	while (ring_pop(&cl.completions, &c) > 0) {
		assert_int_equal(c.generation, cl.generation);
		cl.status[c.id] = c.status;
		count++;
	}
	ring_release(&cl.completions);
	return count;
}

static unsigned run(void)
{
	if (ring_publish(&cl.requests))
		fake_handle[cl.doorbell]->bits |= BLOCK_EVENT_RING;
	iterate();
	return receive();
}

static inline int one(uint32_t op, uint64_t offset, uint32_t len, uint64_t at)
{
	send(3, op, offset, len, at);
	assert_int_equal(run(), 1);
	return cl.status[3];
}

#endif
