/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every block driver must do, whatever its device: bounds, patterns, vectors,
 * many requests at once, ranges, and that nothing acknowledged is lost when it is
 * killed. For drivers over models and over QEMU's devices alike. Included once,
 * behind blockdrv_client.h, by a test that defines:
 *   device_wait()   the device has time to work: until an interrupt, or a timer of the driver's
 *   disk_look()     what is on the disk, past the driver
 * The part of the disk in use is cut into stripes, one for each id of a request: no two
 * requests that are outstanding overlap. What stands in them is known at any time, but for
 * what a write was about to change: that may be as before, or as it was to be.
 */
#ifndef TESTS_UNIT_BLOCK_SUITE_H
#define TESTS_UNIT_BLOCK_SUITE_H

#include "tests/unit/blockdrv_client.h"

#include <sys/mman.h>

#define STRIPE     16384u
#define WINDOW     (1u << 20)
#define WINDOWS    4u
#define STRIPES    (POOL / STRIPE < BLOCK_RING_SLOTS ? POOL / STRIPE : BLOCK_RING_SLOTS)
#define PIECES_MAX 8u
#define WAITS_MAX  100000u

static void device_wait(void);
static void disk_look(uint64_t offset, void *to, uint32_t bytes);

/* Outlives a driver's process. */
static struct suite {
	uint32_t random;
	uint32_t done;               /* requests that were answered, and were right */
	uint8_t expected[BLOCK_RING_SLOTS][STRIPE];
	struct { bool out; uint32_t offset, bytes, seed; } writing[BLOCK_RING_SLOTS];
} *suite;

static struct {
	uint64_t bytes, base;        /* of the session's disk or partition; where it begins on the disk */
	uint32_t block, stripes;
	uint64_t at[BLOCK_RING_SLOTS]; /* where each stripe is */
	const struct block_limits *limits;
	/* outstanding ones */
	struct { bool out; uint32_t op, offset, bytes, pieces, piece_bytes; } flight[BLOCK_RING_SLOTS];
	uint32_t outstanding;
} now;

static uint32_t draw(uint32_t below)
{
	suite->random = suite->random * 1103515245 + 12345;
	return (suite->random >> 8) % below;
}

static void suite_init(void)
{
	suite = mmap(NULL, sizeof(*suite), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	suite->random = 1;
}

/* The first MiB, the last, and those around the ends of 28 bits and of 32 bits of sectors. */
static void lay_stripes(void)
{
	const uint64_t begins[WINDOWS] = {
		0, (1ull << 28) * 512 - WINDOW / 2, (1ull << 32) * 512 - WINDOW / 2, now.bytes - WINDOW,
	};

	now.stripes = 0;
	for (uint32_t w = 0; w < WINDOWS && now.bytes > WINDOW; w++)
		for (uint32_t i = 0; i < WINDOW / STRIPE && now.stripes < STRIPES; i++)
			if (begins[w] + WINDOW <= now.bytes && i % (BLOCK_RING_SLOTS / STRIPES) == 0)
				now.at[now.stripes++] = begins[w] + i * STRIPE;
	for (uint64_t at = 0; now.bytes <= WINDOW && at + STRIPE <= now.bytes && now.stripes < STRIPES; at += STRIPE)
		now.at[now.stripes++] = at;
}

static void suite_open(const char *name, uint64_t base)
{
	client_open(name, POOL);
	assert_int_equal(cl.answer.msg.status, 0);
	memset(&now, 0, sizeof(now));
	now.base = base;
	now.bytes = cl.answer.msg.a[0];
	now.block = (uint32_t)cl.answer.msg.a[1];
	now.limits = (void *)(cl.rings + BLOCK_LIMITS_OFFSET);
	assert_int_equal(now.limits->size_bytes, now.bytes);
	assert_true(now.limits->max_request_bytes >= STRIPE);
	lay_stripes();
	assert_true(now.stripes >= 4);
}

static void fill(uint8_t *to, uint32_t bytes, uint32_t seed)
{
	for (uint32_t i = 0; i < bytes; i += 4) {
		uint32_t word = seed * 2654435761u + i * 40503u;

		memcpy(to + i, &word, 4);
	}
}

/* ------------------------------------------------------------------------ one request */

static int ask(uint32_t op, uint64_t offset, uint32_t bytes, uint64_t at)
{
	unsigned waits = 0;

	send(0, op, offset, bytes, at);
	while (!run()) {
		assert_true(++waits < WAITS_MAX);
		device_wait();
	}
	return cl.status[0];
}

static void suite_bounds(void **state)
{
	(void)state;
	assert_int_equal(ask(BLOCK_READ, 0, now.block, 0), 0);
	assert_int_equal(ask(BLOCK_READ, now.bytes - now.block, now.block, 0), 0);
	assert_int_equal(ask(BLOCK_READ, now.bytes, now.block, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, now.bytes - now.block, 2 * now.block, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_WRITE, now.bytes - now.block, 2 * now.block, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, UINT64_MAX - now.block + 1, now.block, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, now.block / 2, now.block, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, 0, now.block / 2, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, 0, 0, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, 0, now.block, 4), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, 0, now.block, POOL), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, 0, now.block, POOL - now.block / 2), -X_EINVAL);
	assert_int_equal(ask(BLOCK_READ, 0, now.limits->max_request_bytes + now.block, 0), -X_EINVAL);
	assert_int_equal(ask(BLOCK_CALLS_GO + 1, 0, now.block, 0), -X_EOPNOTSUPP);
	assert_int_equal(ask(BLOCK_FLUSH, 0, 0, 0), 0);
}

/* The largest request there is, from its one end to the other. */
static void suite_largest(void **state)
{
	uint32_t bytes = now.limits->max_request_bytes < POOL / 2 ? now.limits->max_request_bytes : POOL / 2;
	uint64_t at;
	uint8_t *seen;

	(void)state;
	if (bytes > now.bytes)
		bytes = now.bytes;
	at = now.bytes - bytes;
	seen = malloc(bytes);
	fill(cl.data, bytes, 7);
	assert_int_equal(ask(BLOCK_WRITE, at, bytes, 0), 0);
	disk_look(now.base + at, seen, bytes);
	assert_memory_equal(seen, cl.data, bytes);
	memset(cl.data, 0, bytes);
	assert_int_equal(ask(BLOCK_READ, at, bytes, 0), 0);
	assert_memory_equal(seen, cl.data, bytes);
	free(seen);
	for (uint32_t i = 0; i < now.stripes; i++) /* the load begins behind it */
		disk_look(now.base + now.at[i], suite->expected[i], STRIPE);
}

/* ----------------------------------------------------------------- discard, write zeroes */

static void suite_ranges(void **state)
{
	uint32_t zeroes = now.limits->max_write_zeroes_bytes < STRIPE ? now.limits->max_write_zeroes_bytes : STRIPE;
	uint64_t at = now.at[now.stripes - 1];
	uint8_t *expected = suite->expected[now.stripes - 1];

	(void)state;
	fill(cl.data, STRIPE, 3);
	assert_int_equal(ask(BLOCK_WRITE, at, STRIPE, 0), 0);
	assert_true(zeroes > 2 * now.block);
	assert_int_equal(ask(BLOCK_WRITE_ZEROES, at + now.block, zeroes - 2 * now.block, 0), 0);
	memset(cl.data + now.block, 0, zeroes - 2 * now.block);
	disk_look(now.base + at, expected, STRIPE);
	assert_memory_equal(expected, cl.data, STRIPE);
	if (!now.limits->max_discard_bytes) {
		assert_int_equal(ask(BLOCK_DISCARD, at, now.block, 0), -X_EOPNOTSUPP);
		return;
	}
	assert_int_equal(ask(BLOCK_DISCARD, at + STRIPE / 2, STRIPE / 4, 0), 0);
	assert_int_equal(ask(BLOCK_DISCARD, now.bytes - now.block, 2 * now.block, 0), -X_EINVAL);
	disk_look(now.base + at, expected, STRIPE); /* discarded blocks are anything */
	assert_memory_equal(expected, cl.data, STRIPE / 2);
	assert_memory_equal(expected + STRIPE / 4 * 3, cl.data + STRIPE / 4 * 3, STRIPE / 4);
}

/* ------------------------------------------------------------------- many, at random places */

/* Byte `i` of a request's data is there in the pool: the pieces of a vector stand in reverse order. */
static uint8_t *data_of(uint32_t id, uint32_t i)
{
	uint32_t size = now.flight[id].piece_bytes, piece = i / size;

	return cl.data + id * STRIPE + (now.flight[id].pieces - 1 - piece) * size + i % size;
}

static void send_vector(uint32_t id, struct block_ring_request *r)
{
	struct block_extent *e = (struct block_extent *)(cl.rings + BLOCK_VECTORS_OFFSET) + id * BLOCK_EXTENTS;
	uint32_t left = r->length_bytes, size = now.flight[id].piece_bytes;

	if (now.flight[id].pieces == 1) {
		r->pool_offset = id * STRIPE;
		return;
	}
	r->extent_count = now.flight[id].pieces;
	for (uint32_t i = 0; left; i++) {
		e[i] = (struct block_extent){ .pool_offset = data_of(id, i * size) - cl.data, .bytes = left < size ? left : size };
		left -= e[i].bytes;
	}
}

static void begin(uint32_t id)
{
	uint32_t blocks = STRIPE / now.block, first = draw(blocks), count = 1 + draw(blocks - first);
	struct block_ring_request r = { .generation = cl.generation, .id = id };

	now.flight[id].op = draw(16) ? BLOCK_READ + draw(2) : BLOCK_FLUSH;
	now.flight[id].out = true;
	now.outstanding++;
	r.op = now.flight[id].op;
	if (r.op != BLOCK_FLUSH) {
		uint32_t most = now.limits->max_segments < PIECES_MAX ? now.limits->max_segments : PIECES_MAX;
		uint32_t per_piece = (count + most - 1) / most + draw(count);

		now.flight[id].offset = first * now.block;
		r.length_bytes = now.flight[id].bytes = count * now.block;
		r.offset_bytes = now.at[id] + first * now.block;
		now.flight[id].piece_bytes = per_piece * now.block;
		now.flight[id].pieces = (count + per_piece - 1) / per_piece;
		if (now.flight[id].pieces * now.flight[id].piece_bytes > STRIPE) /* the last would be past the stripe's memory */
			now.flight[id].pieces = 1, now.flight[id].piece_bytes = r.length_bytes;
		send_vector(id, &r);
	}
	if (r.op == BLOCK_WRITE) {
		uint8_t data[STRIPE];

		suite->writing[id].seed = draw(1u << 24);
		suite->writing[id].offset = now.flight[id].offset;
		suite->writing[id].bytes = r.length_bytes;
		suite->writing[id].out = true;
		r.flags = draw(8) ? 0 : BLOCK_FUA;
		fill(data, r.length_bytes, suite->writing[id].seed);
		for (uint32_t i = 0; i < r.length_bytes; i += now.block)
			memcpy(data_of(id, i), data + i, now.block);
	} else if (r.op == BLOCK_READ) {
		for (uint32_t i = 0; i < r.length_bytes; i += now.block)
			memset(data_of(id, i), 0x5a, now.block);
	}
	assert_int_equal(ring_push(&cl.requests, &r), 0);
	cl.status[id] = 99;
}

static void end(uint32_t id)
{
	uint32_t offset = now.flight[id].offset;

	now.flight[id].out = false;
	now.outstanding--;
	assert_int_equal(cl.status[id], 0);
	suite->done++;
	if (now.flight[id].op == BLOCK_WRITE) {
		fill(suite->expected[id] + offset, now.flight[id].bytes, suite->writing[id].seed);
		suite->writing[id].out = false;
	}
	for (uint32_t i = 0; now.flight[id].op == BLOCK_READ && i < now.flight[id].bytes; i += now.block)
		assert_memory_equal(data_of(id, i), suite->expected[id] + offset + i, now.block);
}

static void (*meanwhile)(uint32_t done); /* the test's; NULL: nothing */

static void load(uint32_t count, uint32_t depth)
{
	uint32_t done = 0, begun = 0, waits = 0;

	while (done < count) {
		for (uint32_t i = 0; i < now.stripes && now.outstanding < depth && begun < count; i++) {
			uint32_t id = draw(now.stripes);

			if (now.flight[id].out)
				continue;
			begin(id);
			begun++;
		}
		if (!run()) {
			assert_true(++waits < WAITS_MAX);
			device_wait();
			continue;
		}
		for (uint32_t id = 0; id < now.stripes; id++)
			if (now.flight[id].out && cl.status[id] != 99) {
				end(id);
				done++;
			}
		if (meanwhile)
			meanwhile(done);
	}
}

/* All that was answered is there. What was under way when a driver died is there or not, block by block. */
static void check_disk(void)
{
	uint8_t seen[STRIPE], new[STRIPE];

	for (uint32_t id = 0; id < now.stripes; id++) {
		uint8_t *expected = suite->expected[id];
		uint32_t offset = suite->writing[id].offset, bytes = suite->writing[id].out ? suite->writing[id].bytes : 0;

		disk_look(now.base + now.at[id], seen, STRIPE);
		fill(new, bytes, suite->writing[id].seed);
		for (uint32_t i = 0; i < bytes; i += now.block)
			if (!memcmp(seen + offset + i, new + i, now.block))
				memcpy(expected + offset + i, new + i, now.block);
		suite->writing[id].out = false;
		assert_memory_equal(seen, expected, STRIPE);
	}
}

static void suite_one_by_one(void **state)
{
	(void)state;
	load(200, 1);
	check_disk();
}

static void suite_many(void **state)
{
	(void)state;
	load(2000, now.stripes);
	load(500, 8);
	check_disk();
}

#define SUITE cmocka_unit_test(suite_bounds), cmocka_unit_test(suite_largest), cmocka_unit_test(suite_ranges), \
	cmocka_unit_test(suite_one_by_one), cmocka_unit_test(suite_many)

#endif
