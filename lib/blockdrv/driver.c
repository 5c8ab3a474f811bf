/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The block driver as a whole: its states, the event loop's work at the end of
 * each batch, timeouts and resets.
 */
#include "lib/blockdrv/internal.h"
#include "lib/c/stdlib.h"
#include "lib/c/string.h"
#include "proto/rs.h"

#define TICK_NS             1000000000ull
#define PROGRESS_TIMEOUT_NS 30000000000ull
#define REQUEST_TIMEOUTS    10u /* one request may take so many progress timeouts */
#define RESETS_MAX          3u
#define ROUNDS_MAX          4u  /* of one batch: bounds an iteration */

struct driver bdrv;

static struct {
	struct server_timer tick;
	bool start_wanted;      /* ops->start() is to run at the end of the batch */
	bool scan_begun;
	x_handle_t again;       /* event: come back without waiting */
	uint64_t poll_ns;       /* spin for completions so long after a kick */
} loop;

static void set_state(enum driver_state state)
{
	static const char *const names[] = { "starting", "serving", "resetting" };

	if (state != bdrv.state)
		server_log("%s: %s -> %s", bdrv.name, names[bdrv.state], names[state]);
	bdrv.state = state;
}

/* ---------------------------------------------------------- from the device code */

void blockdrv_failed(const char *why)
{
	x_handle_t rs = boot_handle("rs_event");

	if (rs != X_NO_HANDLE)
		x_event_signal(rs, RS_EVENT_FAILED);
	server_die("%s", why);
}

void blockdrv_broken(const char *why)
{
	server_log("%s: %s", bdrv.name, why);
	if (++bdrv.resets_in_row > RESETS_MAX) {
		bdrv.ops->stop();
		server_die("gave up after %u resets in a row", RESETS_MAX);
	}
	bdrv.stats.resets++;
	set_state(DRIVER_RESETTING);
	/* Not from here: the device code is in the middle of something. */
	loop.start_wanted = true;
}

static bool geometry_holds(const struct blockdrv_geometry *g)
{
	uint32_t block = g->logical_block_bytes;

	return block >= 512 && block <= 65536 && !(block & (block - 1)) && g->size_bytes >= block &&
	       !(g->size_bytes % block) && g->max_request_bytes >= block && g->max_segments;
}

void blockdrv_ready(const struct blockdrv_geometry *g)
{
	bool known = bdrv.geometry.size_bytes;

	if (!geometry_holds(g))
		blockdrv_failed("the device tells an impossible geometry");
	if (known && (g->size_bytes != bdrv.geometry.size_bytes ||
		      g->logical_block_bytes != bdrv.geometry.logical_block_bytes))
		server_die("the device is another one after its reset");
	bdrv.geometry = *g;
	bdrv.geometry.max_request_bytes -= g->max_request_bytes % g->logical_block_bytes;
	set_state(DRIVER_SERVING);
	bdrv_session_retry();
	if (loop.scan_begun)
		return;
	/* Who uses the whole disk, and has waited for a restart, does not wait
	 * for the scan too. */
	loop.scan_begun = true;
	server_ready();
	bdrv_scan_begin();
}

void bdrv_driver_scanned(void)
{
	bdrv.scanned = true;
	bdrv_session_retry();
}

/* --------------------------------------------------------------------- timeouts */

static uint64_t progress_timeout(void)
{
	return bdrv.ops->progress_timeout_ns ? bdrv.ops->progress_timeout_ns : PROGRESS_TIMEOUT_NS;
}

/*
 * A slow device with a deep queue is not a broken one: what counts is that
 * anything completes at all. Only a request passed over for very long, while
 * others complete, is taken as lost too.
 */
static void tick(void *ctx)
{
	const struct blockdrv_request *oldest = bdrv_request_oldest();

	(void)ctx;
	if (!oldest || !bdrv_driver_running())
		return;
	if (server_now_ns - bdrv.progress_ns > progress_timeout())
		blockdrv_broken("no completion in time");
	else if (server_now_ns - oldest->submitted_ns > REQUEST_TIMEOUTS * progress_timeout())
		blockdrv_broken("a request was lost");
}

/* -------------------------------------------------------------------- event loop */

static void on_call(const struct x_in *in)
{
	if (in->object) { /* sessions speak through their rings */
		for (uint32_t i = 0; i < in->handle_count; i++)
			out_close(in->handles[i]);
		out_status(in->id, -X_ENOSYS);
		return;
	}
	if (in->msg.op == BLOCK_OPEN || in->msg.op == BLOCK_LIST) {
		bdrv_session_call(in);
		return;
	}
	for (uint32_t i = 0; i < in->handle_count; i++)
		out_close(in->handles[i]);
	out_status(in->id, -X_ENOSYS);
}

static void on_closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	bdrv_session_closure(object);
}

static void start_device(void)
{
	loop.start_wanted = false;
	bdrv_request_take_back_all();
	bdrv.ops->start();
}

static void spin_for_completions(void)
{
	uint64_t until = (uint64_t)x_clock(X_CLOCK_MONOTONIC) + loop.poll_ns;
	uint32_t submitted = bdrv_request_submitted_count();

	while (bdrv_driver_running() && bdrv_request_submitted_count() == submitted &&
	       (uint64_t)x_clock(X_CLOCK_MONOTONIC) < until)
		bdrv.ops->poll();
}

/* Device -> completions; rings -> device; completions -> clients. true: more to do. */
static bool one_round(void)
{
	bool more = false;

	if (loop.start_wanted)
		start_device();
	if (bdrv_driver_running())
		bdrv.ops->poll();
	if (bdrv_driver_running()) {
		bdrv_session_consume_all();
		bdrv_scan_continue();
		if (bdrv_request_submit_all())
			bdrv.ops->kick();
		if (loop.poll_ns && bdrv_request_submitted_count())
			spin_for_completions();
	}
	bdrv_session_publish_all();
	if (bdrv_driver_running())
		more = bdrv.ops->arm();
	more |= bdrv_session_arm_all();
	return more || loop.start_wanted;
}

static void on_batch_end(void)
{
	bool more = true;

	for (unsigned round = 0; more && round < ROUNDS_MAX; round++)
		more = one_round();
	if (more)
		out_signal(loop.again, 1);
	if (bdrv_request_submitted_count() && !loop.tick.deadline_ns)
		timer_set(&loop.tick, server_now_ns + TICK_NS);
}

static void on_again(void *ctx, uint64_t bits)
{
	(void)ctx;
	(void)bits;
}

/* Each disk has an instance of the driver of its own: "virtio_blk" drives vda,
 * "virtio_blk.1" vdb, and so on. */
static char disk_letter(void)
{
	const char *dot = strchr(boot->name, '.');
	unsigned long instance = dot ? strtoul(dot + 1, NULL, 10) : 0;

	return 'a' + (instance < 26 ? instance : 25);
}

static void read_options(void)
{
	const char *name = boot_option("disk"), *poll;

	if (name) {
		strlcpy(bdrv.name, name, NAME_BYTES - 3); /* room for a partition number */
	} else {
		strlcpy(bdrv.name, bdrv.ops->disk_prefix, NAME_BYTES - 4);
		bdrv.name[strlen(bdrv.name)] = disk_letter();
	}
	poll = boot_option("poll_us");
	loop.poll_ns = poll ? strtoul(poll, NULL, 10) * 1000 : 0;
	if (loop.poll_ns > 1000000)
		loop.poll_ns = 1000000;
}

void blockdrv_run(const struct blockdrv_ops *ops)
{
	static const struct server_ops server = {
		.call = on_call, .closure = on_closure, .cancel = bdrv_session_cancel, .batch_end = on_batch_end,
	};
	int64_t again;

	bdrv.ops = ops;
	read_options();
	bdrv_request_init();
	loop.tick.fn = tick;
	again = x_event_create();
	if (again < 0)
		server_die("no event: %d", (int)again);
	loop.again = again;
	if (server_bind(loop.again, on_again, NULL))
		server_die("cannot bind an event");
	server_defer_ready();
	loop.start_wanted = true;
	start_device();
	server_run(&server);
}
