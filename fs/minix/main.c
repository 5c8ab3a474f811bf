/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * minix: the server of one mounted MINIX filesystem.
 *
 * Called by vfs on its port (proto/fs.h), by programs on their open files
 * (proto/file.h), by the kernel for missing pages. Uses a block driver.
 *
 * Boot options: root=N, root=vda or root=/dev/vda1, the disk or partition to
 * use; cache=, MiB, instead of
 * shares of the memory: for metadata, and for what is dirty.
 */

#include "lib/fs/clean.h"
#include "fs/minix/server.h"

enum {
	ROUNDS_MAX = 4,                 /* of running what waits, an iteration */
	REAP_STEPS_MAX = 1,             /* a round: each fills a good part of the undo log */
	WRITE_BACK_RUNS = 32,           /* of metadata */
	SYNC_EVERY_TICKS = 5,
};

#define TICK_NS 1000000000ull

struct fsys fs;
struct fsys *const volume = &fs;

static bool progress;
static struct server_timer tick_timer, soon_timer;
static uint64_t realtime_offset_ns;
static uint32_t ticks;
static bool syncing;
static struct store_sync background_sync;

void server_progress(void)
{
	progress = true;
}

uint64_t server_time_ns(void)
{
	return server_now_ns + realtime_offset_ns;
}

static void sample_clock(void)
{
	int64_t realtime_ns = x_clock(X_CLOCK_REALTIME);
	int64_t now_ns = x_clock(X_CLOCK_MONOTONIC);

	if (realtime_ns > 0)
		realtime_offset_ns = realtime_ns - now_ns;
}

/* ---- what is done beside requests ------------------------------------------------- */

static bool reap_some(void)
{
	int step, status = 0;

	for (step = 0; step < REAP_STEPS_MAX; step++) {
		status = fsys_reap(&fs);
		if (status != -X_EAGAIN)
			break;
	}
	return status == -X_EAGAIN;
}

static void go_on_syncing(void)
{
	if (syncing && store_sync(&background_sync, 0) != -X_EWAIT)
		syncing = false;
}

/* So that a power cut loses little. */
static void write_back(void)
{
	cache_write_back(&fs.cache, WRITE_BACK_RUNS);
	if (ticks % SYNC_EVERY_TICKS || syncing || store_is_stable())
		return;
	memset(&background_sync, 0, sizeof(background_sync));
	syncing = true;
}

static void tick(void *ctx)
{
	(void)ctx;
	ticks++;
	sample_clock();
	if (mounted) {
		write_back();
		content_tidy();
		fs.reap_idle = false;
	}
	server_progress();
	timer_set(&tick_timer, server_now_ns + TICK_NS);
}

static void soon(void *ctx)
{
	(void)ctx;
	server_progress();
}

/* ---- the loop's hooks ---------------------------------------------------------------- */

static void protect(void)
{
	if (minix_protect(&fs))
		server_log("damaged (%s): read-only from now on; to be checked with `minixfs check`",
			   fs.reason ? fs.reason : "an inode cannot be freed");
}

/* True if there is more to do at once. */
static bool run_what_waits(void)
{
	bool again;

	disk_step();
	again = request_run_all();
	if (mounted) {
		again |= content_run_all();
		store_run();
		again |= reap_some();
		go_on_syncing();
	}
	again |= mount_stopping() && progress;
	return again;
}

static void batch_end(void)
{
	bool again = false;
	int round = 0;

	do {
		if (progress) {
			progress = false;
			again = run_what_waits();
		}
		protect();
		disk_batch_end();
	} while (progress && ++round < ROUNDS_MAX);
	if (progress || again)
		timer_set(&soon_timer, server_now_ns);
}

static bool state_check(void)
{
	content_rolled_back();
	pages_unclean();
	return true;
}

static const struct server_ops ops = {
	.state_check = state_check,
	.call = request_take,
	.cancel = request_cancel,
	.closure = file_closure,
	.page = content_page_missing,
	.batch_end = batch_end,
	.stop = mount_stop,
};

void server_main(void)
{
	server_defer_ready();
	sample_clock();
	tick_timer.fn = tick;
	soon_timer.fn = soon;
	disk_open();
	timer_set(&tick_timer, server_now_ns + TICK_NS);
	server_run(&ops);
}
