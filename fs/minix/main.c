/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * minix: a MINIX V3 filesystem on a block device; one process a mount.
 *
 * Start: OPENING (a session with the driver for each candidate: the whole
 * disk, then its first partitions) -> MOUNTING (superblock and bitmaps read)
 * -> SERVING, or FAILED with the reason in the log: then it stays up, so that
 * vfs gets an answer, but offers nothing.
 *
 * Options (manifest `args` or kernel command line): root=NAME the disk ("") or
 * partition number to use; cache=MIB.
 */
#include "fs/minix/server.h"
#include "lib/blockcli/blockcli.h"
#include "lib/c/stdlib.h"
#include "lib/c/string.h"

#define TRANSFERS 128u
#define SNAPSHOT_BYTES (1u << 20)
#define INODE_SLOTS 2048u
#define WRITE_BACK_NS 1000000000ull /* dirty blocks are written this often ... */
#define WRITE_BACK_RUNS 64u         /* ... at most so many runs at a time */

enum { OPENING, MOUNTING, SERVING, FAILED };

static struct minix_fs fs;
struct minix_fs *volume = &fs;
static uint32_t state = OPENING;
static struct block_client *client;
static struct block_info disk;
static struct block_request transfers[TRANSFERS];
static uint8_t *pool;
static x_handle_t pool_memory;
static uint64_t pool_bytes;
static struct minix_setup setup;
static struct server_timer write_back;
static struct cache_sync stop_sync;
static bool stopping;

static const char *const candidates[] = { "", "1", "2", "3" };
static uint32_t candidate;

bool volume_pending(void)
{
	return state == OPENING || state == MOUNTING;
}

/* ---- the device below the cache ---- */

static void transfer_done(struct block_request *t, int status)
{
	struct cache_buf *first = t->ctx;
	uint32_t op = t->op;

	t->ctx = NULL;
	t->done = NULL;
	if (op == BLOCK_READ)
		cache_read_done(&fs.cache, first, status);
	else if (op == BLOCK_WRITE)
		cache_write_done(&fs.cache, first, status);
	else
		cache_flush_done(&fs.cache, status);
	request_again();
}

static int transfer(uint32_t op, struct cache_buf *first)
{
	for (uint32_t i = 0; i < TRANSFERS; i++) {
		struct block_request *t = &transfers[i];

		if (t->done)
			continue;
		memset(t, 0, sizeof(*t));
		t->op = op;
		t->done = transfer_done;
		t->ctx = first;
		if (first) {
			t->offset_bytes = (uint64_t)first->blkno * fs.cache.block_size;
			t->length_bytes = first->run_blocks * fs.cache.block_size;
			t->pool_offset = first->io_data - pool;
		}
		block_submit(client, t);
		return 0;
	}
	return -X_EAGAIN;
}

static int start_read(void *ctx, struct cache_buf *first)
{
	(void)ctx;
	return transfer(BLOCK_READ, first);
}

static int start_write(void *ctx, struct cache_buf *first)
{
	(void)ctx;
	return transfer(BLOCK_WRITE, first);
}

static int start_flush(void *ctx)
{
	(void)ctx;
	return transfer(BLOCK_FLUSH, NULL);
}

static void device_cache_lost(void *ctx)
{
	(void)ctx;
	cache_epoch_lost(&fs.cache);
}

static const struct cache_ops cache_ops = {
	.start_read = start_read, .start_write = start_write, .start_flush = start_flush,
};

/* ---- start ---- */

static void open_candidate(void);

static void fail(const char *why)
{
	server_log("no filesystem: %s", why);
	state = FAILED;
	server_ready();
}

static void next_candidate(const char *why)
{
	if (boot_option("root") || ++candidate == sizeof(candidates) / sizeof(candidates[0])) {
		fail(why);
		return;
	}
	state = OPENING;
	open_candidate();
}

static void mount_step(void)
{
	int status = minix_mount(&fs);

	if (status == -X_EWAIT || status == -X_EAGAIN)
		return;
	if (status) {
		const char *why = fs.reason ? fs.reason : "read error";

		server_log("%s: not a usable MINIX V3 filesystem: %s (error %d)", disk.name, why, status);
		next_candidate("no MINIX filesystem on the disk or its partitions");
		return;
	}
	server_log("%s: MINIX V3, %u blocks of %u bytes, %s%s", disk.name, fs.zone_count, fs.block_size,
		   fs.was_clean ? "clean" : "was not unmounted", fs.read_only ? ", read-only" : "");
	state = SERVING;
	server_ready();
}

static void opened(void *ctx, int status, const struct block_info *info)
{
	(void)ctx;
	if (status) {
		next_candidate(candidate ? "no MINIX filesystem on the disk or its partitions"
					 : "no disk that can be read");
		return;
	}
	disk = *info;
	setup.device_bytes = info->size_bytes;
	setup.read_only = info->read_only;
	minix_init(&fs, &setup);
	state = MOUNTING;
}

static void open_candidate(void)
{
	const char *name = boot_option("root");

	client = block_open(boot_handle("virtio_blk"), name ? name : candidates[candidate], pool_memory,
			    pool_bytes, opened, NULL);
	if (!client)
		server_die("no room for another block session");
	block_on_cache_lost(client, device_cache_lost);
}

/* An eighth of the free memory for file data, between 1 and 64 MiB. */
static uint64_t data_cache_bytes(void)
{
	const char *option = boot_option("cache");
	struct x_system_info info;
	uint64_t bytes = option ? strtoul(option, NULL, 10) << 20 : 0;

	if (!bytes && x_system_info(&info) == 0)
		bytes = info.free_bytes / 8;
	if (bytes < 1u << 20)
		bytes = 1u << 20;
	if (bytes > 64u << 20)
		bytes = 64u << 20;
	return bytes & ~0xffffull;
}

static void take_pool(uint64_t bytes)
{
	struct x_mem_create create = { .bytes = bytes, .flags = X_MEM_CONTIGUOUS };
	struct x_mem_map map = { .space = X_SELF, .len = bytes, .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t memory = x_mem_create(&create), address;

	map.memory = memory;
	address = memory < 0 ? memory : x_mem_map(&map);
	if (address < 0)
		server_die("no contiguous memory for a cache of %llu KiB", (unsigned long long)bytes >> 10);
	pool_memory = memory;
	pool = (uint8_t *)address;
	pool_bytes = bytes;
}

static void take_memory(void)
{
	struct cache_memory *m = &setup.memory;
	uint64_t data = data_cache_bytes(), meta = data / 4;

	take_pool(data + SNAPSHOT_BYTES);
	m->frames[CACHE_DATA] = pool;
	m->frame_bytes[CACHE_DATA] = data;
	m->snapshots = pool + data;
	m->snapshot_bytes = SNAPSHOT_BYTES;
	m->frames[CACHE_META] = server_memory(meta);
	m->frame_bytes[CACHE_META] = meta;
	m->buf_count = (data + meta) / MINIX_BLOCK_SIZE_MIN;
	m->bufs = server_memory(m->buf_count * sizeof(*m->bufs));
	m->hash_size = 8192;
	m->hash = server_memory(m->hash_size * sizeof(*m->hash));
	setup.inode_slots = INODE_SLOTS;
	setup.inodes = server_memory(INODE_SLOTS * sizeof(*setup.inodes));
	setup.ops = &cache_ops;
}

/* ---- the loop ---- */

static void write_back_due(void *ctx)
{
	(void)ctx;
	cache_write_back(&fs.cache, WRITE_BACK_RUNS);
}

static void stop_step(void)
{
	int status = state == SERVING ? minix_unmount(&fs, &stop_sync, true) : 0;

	if (status == -X_EAGAIN)
		request_again();
	if (status == -X_EWAIT || status == -X_EAGAIN)
		return;
	if (status)
		server_log("stopped without all on the disk: error %d", status);
	server_exit();
}

/* Everything that a completion, a freed frame or a new iteration may have
 * made possible; then the device gets what has gathered. */
static void batch_end(void)
{
	if (state == OPENING) {
		block_batch_end();
		return;
	}
	minix_begin_iteration(&fs);
	if (state == MOUNTING)
		mount_step();
	request_run_waiting();
	if (state == SERVING && fs.reap_count && minix_reap(&fs) == -X_EAGAIN)
		request_again();
	if (stopping)
		stop_step();
	cache_start(&fs.cache);
	if (state == SERVING && !cache_is_stable(&fs.cache) && !write_back.deadline_ns)
		timer_set(&write_back, server_now_ns + WRITE_BACK_NS);
	block_batch_end();
}

static void call(const struct x_in *in)
{
	if (in->object)
		file_call(in);
	else
		fs_call(in);
}

static void closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	file_closed(object);
}

static void stop(void)
{
	stopping = true;
}

static const struct server_ops ops = {
	.call = call, .closure = closure, .cancel = request_cancel, .page = pages_wanted, .batch_end = batch_end,
	.stop = stop,
};

void server_main(void)
{
	write_back.fn = write_back_due;
	server_defer_ready();
	take_memory();
	open_candidate();
	server_run(&ops);
}
