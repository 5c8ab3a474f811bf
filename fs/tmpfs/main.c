/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tmpfs: the server of a filesystem in memory; see tmpfs.h. Called by vfs on
 * its port (proto/fs.h), by programs on their open files (proto/file.h), by the
 * kernel for missing pages.
 */

#include "lib/fs/clean.h"
#include "fs/tmpfs/tmpfs.h"
#include "lib/c/stdlib.h"
#include "lib/fs/server.h"

enum { ROUNDS_MAX = 4, REAP_STEPS_MAX = 4 };

#define TICK_NS 1000000000ull
#define BYTES_PER_NODE (16 * 1024)

static struct fsys tmpfs;
struct fsys *const volume = &tmpfs;

static bool progress;
static struct server_timer tick_timer, soon_timer;
static uint64_t realtime_offset_ns;

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
	int64_t realtime_ns = x_clock(X_CLOCK_REALTIME), now_ns = x_clock(X_CLOCK_MONOTONIC);

	if (realtime_ns > 0)
		realtime_offset_ns = realtime_ns - now_ns;
}

static void tick(void *ctx)
{
	(void)ctx;
	sample_clock();
	content_tidy();
	tmpfs.reap_idle = false;
	server_progress();
	timer_set(&tick_timer, server_now_ns + TICK_NS);
}

static void soon(void *ctx)
{
	(void)ctx;
	server_progress();
}

static bool reap_some(void)
{
	int step, status = 0;

	for (step = 0; step < REAP_STEPS_MAX && !status; step++) {
		status = fsys_reap(&tmpfs);
		if (status != -X_EAGAIN)
			return false;
		status = 0;
	}
	return true;
}

static void batch_end(void)
{
	bool again = false;
	int round = 0;

	while (progress && round++ < ROUNDS_MAX) {
		progress = false;
		again = request_run_all();
		again |= content_run_all();
		again |= reap_some();
		(void)mount_stopping();
	}
	if (progress || again)
		timer_set(&soon_timer, server_now_ns);
}

static uint64_t option(const char *key, uint64_t otherwise)
{
	const char *text = boot_option(key);
	uint64_t value = text ? strtoul(text, NULL, 10) : 0;

	return value ? value : otherwise;
}

uint64_t volume_memory_bytes(void)
{
	return server_memory_bytes();
}

static void set_limits(void)
{
	uint64_t memory = volume_memory_bytes();

	tmpfs.pages_max = option("tmpfs.size", memory / 2 >> 20) * ((1 << 20) / TMPFS_PAGE);
	tmpfs.node_count = option("tmpfs.inodes", memory / BYTES_PER_NODE);
	tmpfs.node_max = tmpfs.node_count;
	tmpfs.nodes = server_memory(tmpfs.node_count * sizeof(tmpfs.nodes[0]));
	tmpfs.extras = server_memory(tmpfs.node_count * sizeof(tmpfs.extras[0]));
	tmpfs.keep_unlinked = content_keep_unlinked;
	tmpfs.limits = (struct fsys_limits){
		.id_max = UINT32_MAX - 1, .link_max = UINT32_MAX - 1, .name_max = FSYS_NAME_MAX,
		.link_text_max = FSYS_LINK_TEXT_MAX - 1, .inode_max = tmpfs.node_count,
		.file_max = (uint64_t)TMPFS_TABLES_MAX * TMPFS_TABLE_PAGES * TMPFS_PAGE,
		.time_grain_ns = 1,
	};
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
	sample_clock();
	set_limits();
	tmpfs_init(&tmpfs, server_time_ns());
	tick_timer.fn = tick;
	soon_timer.fn = soon;
	timer_set(&tick_timer, server_now_ns + TICK_NS);
	server_run(&ops);
}
