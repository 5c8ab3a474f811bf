/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block client against a driver of the test's own, which does what is
 * outstanding in any order, dies at any point, forgets or invents completions.
 * The disk must end up as if nothing had happened.
 */
// sources: lib/blockcli/client.c lib/blockcli/order.c lib/blockcli/session.c lib/ring/ring.c lib/c/strlcpy.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include "tests/unit/fake_kernel.h"

#include <cmocka.h>
#include "lib/blockcli/blockcli.h"
#include "lib/ring/ring.h"

#define BLOCK    512u
#define BLOCKS   64u
#define REQUESTS 48u
#define POOL     (REQUESTS * 8 * BLOCK)

/* ------------------------------------------------------------------- the driver */

static struct {
	bool open_waits;            /* a BLOCK_OPEN is in the port's queue */
	reply_fn opened;
	void *opened_ctx;
	x_handle_t handles[3];
	bool serving;
	uint32_t generation;
	uint8_t *rings;             /* of this incarnation */
	struct fake_object *object, *completion;
	struct ring requests, completions;
	struct block_ring_request out[BLOCK_RING_SLOTS]; /* taken, not completed */
	unsigned out_count;
	uint64_t epoch;
	int open_status;
	bool passive;               /* takes nothing by itself */
	unsigned incarnations, flushes;
	uint32_t disk[BLOCKS];      /* one value a block */
} drv;

/* -------------------------------------------------------------------- the client */

static struct block_client *client;
static struct block_request reqs[REQUESTS];
static bool busy[REQUESTS];
static int status_of[REQUESTS];
static uint32_t expected_read[REQUESTS][8];
static uint32_t model[BLOCKS];  /* the disk as the order of submission makes it */
static uint32_t (*pool)[BLOCK / 4];
static int open_result = 1;
static unsigned done_count, cache_lost;

static bool overlap(const struct block_ring_request *a, const struct block_ring_request *b)
{
	return a->offset_bytes < b->offset_bytes + b->length_bytes && b->offset_bytes < a->offset_bytes + a->length_bytes;
}

static void on_start(const struct x_out *o, reply_fn done, void *ctx)
{
	assert_int_equal(o->msg.op, BLOCK_OPEN);
	assert_int_equal(o->handle_count, 3);
	assert_false(drv.open_waits);
	drv.open_waits = true;
	drv.opened = done;
	drv.opened_ctx = ctx;
	drv.generation = o->msg.a[0];
	memcpy(drv.handles, o->handles, sizeof(drv.handles));
}

static void driver_serve(void)
{
	struct x_in in = { .kind = X_IN_REPLY };

	if (!drv.open_waits)
		return;
	drv.open_waits = false;
	in.msg.status = drv.open_status;
	if (!drv.open_status) {
		assert_ptr_not_equal(fake_handle[drv.handles[0]]->memory, drv.rings);
		drv.rings = fake_handle[drv.handles[0]]->memory;
		for (unsigned i = 0; i < BLOCK_RING_BYTES; i++)
			assert_int_equal(drv.rings[i], 0);
		drv.completion = fake_handle[drv.handles[2]];
		ring_init(&drv.requests, drv.rings + BLOCK_REQUESTS_OFFSET, BLOCK_RING_SLOTS, 32);
		ring_init(&drv.completions, drv.rings + BLOCK_COMPLETIONS_OFFSET, BLOCK_RING_SLOTS, 16);
		*(struct block_limits *)(drv.rings + BLOCK_LIMITS_OFFSET) = (struct block_limits){
			.size_bytes = BLOCKS * BLOCK, .max_request_bytes = 8 * BLOCK, .max_discard_bytes = 8 * BLOCK,
			.max_write_zeroes_bytes = 8 * BLOCK,
		};
		drv.out_count = 0;
		drv.serving = true;
		drv.incarnations++;
		in.msg.a[0] = BLOCKS * BLOCK;
		in.msg.a[1] = BLOCK | (uint64_t)BLOCK << 32;
		in.msg.a[2] = 8 * BLOCK | (uint64_t)BLOCK_INFO_CALLS << 32;
		in.msg.a[3] = drv.epoch;
		drv.object = fake_new(X_TYPE_OBJECT);
		in.handles[0] = fake_give(drv.object);
		in.handles[1] = fake_give(fake_new(X_TYPE_EVENT));
		in.handle_count = 2;
	}
	for (int i = 0; i < 3; i++)
		fake_close(drv.handles[i]);
	drv.opened(drv.opened_ctx, &in);
	in_close_handles(&in); /* as lib/ipc does */
}

static void driver_die(void)
{
	if (!drv.serving)
		return;
	drv.serving = false;
	drv.object->bits |= X_READY_DEAD;
}

/* What is outstanding together must not depend on order. */
static void driver_take(unsigned max)
{
	struct block_ring_request r;

	while (drv.serving && max-- && ring_pop(&drv.requests, &r) > 0) {
		assert_int_equal(r.generation, drv.generation);
		for (unsigned i = 0; i < drv.out_count; i++) {
			const struct block_ring_request *o = &drv.out[i];

			assert_int_not_equal(o->id, r.id);
			if (r.op != BLOCK_READ || o->op != BLOCK_READ)
				assert_false(overlap(o, &r) && r.op != BLOCK_FLUSH && o->op != BLOCK_FLUSH);
		}
		drv.out[drv.out_count++] = r;
	}
	if (drv.serving)
		ring_release(&drv.requests);
}

static void execute(const struct block_ring_request *r)
{
	for (uint32_t i = 0; i < r->length_bytes / BLOCK; i++) {
		uint32_t *data = &pool[r->pool_offset / BLOCK + i][0], *block = &drv.disk[r->offset_bytes / BLOCK + i];

		if (r->op == BLOCK_WRITE)
			*block = *data;
		else
			*data = *block;
	}
	drv.flushes += r->op == BLOCK_FLUSH;
}

static void complete(struct block_ring_completion c)
{
	assert_int_equal(ring_push(&drv.completions, &c), 0);
	if (ring_publish(&drv.completions))
		drv.completion->bits |= 1;
}

/* Do one of those taken; tell of it or not. */
static void driver_do(unsigned index, bool tell)
{
	struct block_ring_request r = drv.out[index];

	execute(&r);
	if (!tell)
		return;
	drv.out[index] = drv.out[--drv.out_count];
	complete((struct block_ring_completion){ r.generation, r.id, 0, 0 });
}

/* ------------------------------------------------------------------------- tests */

static void done(struct block_request *r, int status)
{
	unsigned i = r - reqs;

	assert_true(busy[i]);
	busy[i] = false;
	status_of[i] = status;
	done_count++;
	if (!status && r->op == BLOCK_READ)
		for (uint32_t b = 0; b < r->length_bytes / BLOCK; b++)
			assert_int_equal(pool[i * 8 + b][0], expected_read[i][b]);
	if (!status && r->op == BLOCK_FLUSH) /* every write submitted before is done */
		for (unsigned k = 0; k < REQUESTS; k++)
			assert_false(busy[k] && reqs[k].op == BLOCK_WRITE && reqs[k].sequence < r->sequence);
}

static void submit(unsigned i, uint32_t op, uint32_t block, uint32_t count)
{
	static uint32_t value;
	struct block_request *r = &reqs[i];

	assert_false(busy[i]);
	*r = (struct block_request){
		.op = op, .length_bytes = count * BLOCK, .offset_bytes = (uint64_t)block * BLOCK,
		.pool_offset = i * 8 * BLOCK, .done = done,
	};
	busy[i] = true;
	status_of[i] = 1;
	for (uint32_t b = 0; b < count && block + b < BLOCKS; b++) {
		if (op == BLOCK_WRITE)
			model[block + b] = pool[i * 8 + b][0] = ++value;
		else
			expected_read[i][b] = model[block + b];
	}
	block_submit(client, r);
}

static void opened(void *ctx, int status, const struct block_info *info)
{
	(void)ctx;
	assert_int_equal(open_result, 1); /* once */
	open_result = status;
	if (!status)
		assert_int_equal(info->size_bytes, BLOCKS * BLOCK);
}

static void on_lost(void *ctx) { (void)ctx; cache_lost++; }

/* One iteration of the client's loop. */
static void iterate(void)
{
	fake_run_timers();
	fake_deliver();
	block_batch_end();
	fake_commit();
}

static void settle(void)
{
	for (int i = 0; i < 300; i++) {
		server_now_ns += 10000000;
		driver_serve();
		if (!drv.passive)
			driver_take(1000);
		while (drv.serving && !drv.passive && drv.out_count)
			driver_do(0, true);
		iterate();
	}
}

static void opens(void **state)
{
	x_handle_t memory = fake_mem_create(&(struct x_mem_create){ .bytes = POOL });

	(void)state;
	fake_on_start = on_start;
	pool = (void *)fake_handle[memory]->memory;
	client = block_open(9, "1", memory, POOL, opened, NULL);
	block_on_cache_lost(client, on_lost);
	submit(0, BLOCK_WRITE, 0, 1); /* before it is open */
	iterate();
	assert_true(drv.open_waits);
	assert_int_equal(open_result, 1);
	settle();
	assert_int_equal(open_result, 0);
	assert_int_equal(status_of[0], 0);
	assert_int_equal(drv.disk[0], model[0]);
}

static void bounds(void **state)
{
	(void)state;
	submit(0, BLOCK_READ, BLOCKS, 1);
	submit(1, BLOCK_READ, BLOCKS - 1, 2);
	submit(2, BLOCK_READ, 0, 0);
	submit(3, 77, 0, 1);
	assert_true(busy[0] && busy[1]); /* not from inside block_submit() */
	settle();
	for (int i = 0; i < 4; i++)
		assert_int_equal(status_of[i], -X_EINVAL);
}

static void order(void **state)
{
	(void)state;
	drv.passive = true;
	submit(0, BLOCK_WRITE, 0, 4);
	submit(1, BLOCK_READ, 3, 2);    /* waits for 0 */
	submit(2, BLOCK_READ, 8, 1);
	submit(3, BLOCK_FLUSH, 0, 0);   /* waits for 0 */
	submit(4, BLOCK_WRITE, 4, 1);   /* waits for 1, which is not sent yet */
	submit(5, BLOCK_WRITE, 20, 1);  /* later than the flush: may go */
	iterate();
	driver_take(100);
	assert_int_equal(drv.out_count, 3);
	driver_do(0, true);
	iterate();
	driver_take(100);
	assert_int_equal(drv.out_count, 4); /* 2, 5, 1, 3 */
	drv.passive = false;
	settle();
	assert_memory_equal(drv.disk, model, sizeof(model));
}

/* Die at every point of a fixed script: after n steps of take or do. */
static void every_point(void **state)
{
	(void)state;
	for (unsigned point = 0; point < 40; point++) {
		unsigned steps = 0;

		drv.passive = true;
		submit(0, BLOCK_WRITE, 0, 8);
		submit(1, BLOCK_WRITE, 4, 8);
		submit(2, BLOCK_FLUSH, 0, 0);
		submit(3, BLOCK_READ, 2, 4);
		submit(4, BLOCK_WRITE, 30, 2);
		while (busy[0] || busy[1] || busy[2] || busy[3] || busy[4]) {
			if (steps++ == point) {
				driver_die();
				iterate();
			}
			driver_serve();
			if (steps % 2)
				driver_take(1);
			else if (drv.serving && drv.out_count)
				driver_do(0, steps % 3); /* sometimes done and not told of */
			iterate();
			assert_true(steps < 1000);
		}
		for (int i = 0; i < 5; i++)
			assert_int_equal(status_of[i], 0);
		assert_memory_equal(drv.disk, model, sizeof(model));
	}
	drv.passive = false;
}

static void random_deaths(void **state)
{
	unsigned started = done_count, submitted = 0;

	(void)state;
	srand(7);
	drv.passive = true;
	while (submitted < 20000) {
		unsigned i = rand() % REQUESTS, what = rand() % 100;

		if (!busy[i] && submitted++ < 20000) {
			uint32_t count = 1 + rand() % 8, block = rand() % (BLOCKS - count);

			submit(i, what < 45 ? BLOCK_READ : what < 95 ? BLOCK_WRITE : BLOCK_FLUSH,
			       what < 95 ? block : 0, what < 95 ? count : 0);
		}
		driver_take(rand() % 4);
		if (drv.serving && drv.out_count)
			driver_do(rand() % drv.out_count, rand() % 8);
		if (rand() % 400 == 0)
			driver_die();
		if (rand() % 3 == 0)
			driver_serve();
		if (rand() % 2)
			iterate();
	}
	drv.passive = false;
	settle();
	assert_int_equal(done_count - started, submitted);
	assert_memory_equal(drv.disk, model, sizeof(model));
	for (unsigned i = 0; i < REQUESTS; i++)
		assert_false(busy[i]);
}

static void poison(void **state)
{
	unsigned before = drv.incarnations;

	(void)state;
	drv.passive = true;
	submit(0, BLOCK_READ, 0, 1);
	for (int i = 0; i < 20 && busy[0]; i++) {
		iterate();
		driver_take(1);
		driver_die();
		iterate();
		driver_serve();
		server_now_ns += 1000000;
		iterate();
	}
	drv.passive = false;
	assert_int_equal(status_of[0], -X_EIO);
	assert_int_equal(drv.incarnations - before, 6);
	settle();
}

/* A driver that invents completions is dropped, and asked again later. */
static void lying_driver(void **state)
{
	static const struct block_ring_completion lies[] = {
		{ 0, 0, 0, 0 }, { 1, BLOCK_RING_SLOTS, 0, 0 }, { 1, 200, 0, 0 }, { 1, 7, 5, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct block_ring_completion lie = lies[i];
		unsigned before = drv.incarnations;

		lie.generation = lie.generation ? drv.generation : drv.generation - 1;
		submit(0, BLOCK_WRITE, i, 1);
		complete(lie);
		iterate();
		drv.serving = false;
		settle();
		assert_int_equal(drv.incarnations, before + 1);
		assert_int_equal(status_of[0], 0);
	}
	((struct ring_shared *)(void *)(drv.rings + BLOCK_COMPLETIONS_OFFSET))->tail = 77777;
	drv.completion->bits |= 1;
	iterate();
	drv.serving = false;
	settle();
	submit(0, BLOCK_READ, 0, 1);
	settle();
	assert_int_equal(status_of[0], 0);
}

static void epoch(void **state)
{
	(void)state;
	submit(0, BLOCK_WRITE, 0, 1);
	settle();
	driver_die();
	settle();
	submit(1, BLOCK_FLUSH, 0, 0);
	settle();
	assert_int_equal(status_of[1], 0);      /* same epoch: the cache lives on */
	driver_die();
	drv.epoch++;
	settle();
	assert_int_equal(cache_lost, 0);        /* nothing was unflushed */
	submit(0, BLOCK_WRITE, 0, 1);
	settle();
	driver_die();
	drv.epoch++;
	settle();
	assert_int_equal(cache_lost, 1);
	submit(1, BLOCK_FLUSH, 0, 0);
	submit(2, BLOCK_FLUSH, 0, 0);
	settle();
	assert_int_equal(status_of[1], -X_EIO); /* said once */
	assert_int_equal(status_of[2], 0);
}

/* What the driver wrote for calls is covered by a flush, or lost, as our own is. */
static void epoch_of_calls(void **state)
{
	struct block_calls *count = (void *)(drv.rings + BLOCK_CALLS_OFFSET);
	unsigned lost = cache_lost;

	(void)state;
	assert_int_not_equal(block_session_of(client), X_NO_HANDLE);
	count->writes = 3;
	submit(1, BLOCK_FLUSH, 0, 0);
	settle();
	driver_die();
	drv.epoch++;
	settle();
	assert_int_equal(cache_lost, lost);     /* they were flushed */
	count = (void *)(drv.rings + BLOCK_CALLS_OFFSET);
	count->writes = 2;
	driver_die();
	settle();
	assert_int_equal(cache_lost, lost);     /* the cache lives on */
	driver_die();
	drv.epoch++;
	settle();
	assert_int_equal(cache_lost, lost + 1);
	submit(1, BLOCK_FLUSH, 0, 0);
	submit(2, BLOCK_FLUSH, 0, 0);
	settle();
	assert_int_equal(status_of[1], -X_EIO);
	assert_int_equal(status_of[2], 0);
}

/* They are done again by the next incarnation, which has no calls under way. */
static void calls_stopped(void **state)
{
	(void)state;
	drv.passive = true;
	submit(1, BLOCK_CALLS_STOP, 0, 0);
	settle();
	assert_int_equal(status_of[1], 1);
	driver_die();
	drv.passive = false;
	settle();
	assert_int_equal(status_of[1], 0);
}

/* No driver for long: requests fail rather than wait; later it is found again. */
static void degraded(void **state)
{
	(void)state;
	driver_die();
	drv.open_status = -X_ENODEV;
	submit(0, BLOCK_READ, 0, 1);
	for (int i = 0; i < 30; i++)
		settle();
	assert_int_equal(status_of[0], -X_EIO);
	submit(1, BLOCK_READ, 0, 1);
	settle();
	assert_int_equal(status_of[1], -X_EIO);
	drv.open_status = 0;
	for (int i = 0; i < 5; i++)
		settle();
	submit(1, BLOCK_READ, 0, 1);
	settle();
	assert_int_equal(status_of[1], 0);
}

static void wrong_name(void **state)
{
	(void)state;
	driver_die();
	iterate();
	drv.open_waits = false; /* that one's open is not answered any more */
	drv.open_status = -X_ENXIO;
	open_result = 1;
	client = block_open(9, "7", 100, POOL, opened, NULL);
	iterate();
	settle();
	assert_int_equal(open_result, -X_ENXIO);
	submit(5, BLOCK_READ, 0, 1);
	settle();
	assert_int_equal(status_of[5], -X_EIO);
}

/* As when the disk's partitions are tried one after the other. */
static void closed(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		block_close(client);
		drv.open_waits = false;
		drv.open_status = -X_ENXIO;
		open_result = 1;
		client = block_open(9, "9", 100, POOL, opened, NULL);
		assert_non_null(client);
		iterate();
		settle();
		assert_int_equal(open_result, -X_ENXIO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens), cmocka_unit_test(bounds), cmocka_unit_test(order),
		cmocka_unit_test(every_point), cmocka_unit_test(random_deaths), cmocka_unit_test(poison),
		cmocka_unit_test(lying_driver), cmocka_unit_test(epoch), cmocka_unit_test(epoch_of_calls),
		cmocka_unit_test(calls_stopped), cmocka_unit_test(degraded),
		cmocka_unit_test(wrong_name), cmocka_unit_test(closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
