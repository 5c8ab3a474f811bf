/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The cache's device: a session with the block driver that outlives the
 * driver (lib/blockcli). Transfers go straight between the device and the
 * pool, which holds the data frames and the snapshots of metadata.
 *
 * OPENING until the session is up for the first time, MOUNTING until the
 * filesystem on it is understood; then READY for ever. Without the boot option
 * root=NAME ("" the whole disk, or the number of a partition) the whole disk
 * is tried, then its partitions. FAILED: there is none; we stay, so that vfs
 * gets an answer.
 */

#include "fs/minix/server.h"

#include "lib/blockcli/blockcli.h"
#include "lib/c/stdlib.h"

enum {
	TRANSFERS_MAX = 64,
	POOL_BYTES_MIN = 1 << 20,
	POOL_BYTES_MAX = 64 << 20,
};

struct disk_transfer {
	struct block_request request;
	struct cache_buf *first;        /* NULL for a flush */
	bool used;
};

enum disk_state disk_state;
struct minix_setup disk_setup;

static struct block_client *client;
static struct disk_transfer transfers[TRANSFERS_MAX];
static struct disk_transfer flush;
static struct minix_inode inodes[INODE_SLOTS];
static uint8_t *pool;
static uint64_t pool_bytes;
static bool cache_lost;                 /* the next flush will fail for it */
static x_handle_t pool_memory;
static struct block_info disk;

/* The first disk of each driver, and its partitions. */
static const struct { const char *driver, *name; } candidates[] = {
	{ "virtio_blk", "" }, { "virtio_blk", "1" }, { "virtio_blk", "2" }, { "virtio_blk", "3" },
	{ "virtio_blk", "4" },
	{ "ahci", "" }, { "ahci", "1" }, { "ahci", "2" }, { "ahci", "3" }, { "ahci", "4" },
};
static uint32_t candidate;
static bool any_disk;                   /* has been opened */

/* ---- transfers --------------------------------------------------------------- */

static void transfer_done(struct block_request *request, int status)
{
	struct disk_transfer *t = request->ctx;

	t->used = false;
	if (request->op == BLOCK_READ)
		cache_read_done(&fs.cache, t->first, status);
	else
		cache_write_done(&fs.cache, t->first, status);
	if (status)
		server_log("%s of %u bytes at %llu: error %d",
			   request->op == BLOCK_READ ? "read" : "write",
			   request->length_bytes,
			   (unsigned long long)request->offset_bytes, status);
	server_progress();
}

static int start(struct cache_buf *first, uint32_t op)
{
	uint32_t block_size = fs.cache.block_size;
	uint32_t i;

	for (i = 0; i < TRANSFERS_MAX; i++) {
		struct disk_transfer *t = &transfers[i];

		if (t->used)
			continue;
		t->used = true;
		t->first = first;
		t->request.op = op;
		t->request.length_bytes = first->run_blocks * block_size;
		t->request.offset_bytes = (uint64_t)first->blkno * block_size;
		t->request.pool_offset = first->io_data - pool;
		t->request.done = transfer_done;
		t->request.ctx = t;
		block_submit(client, &t->request);
		return 0;
	}
	return -X_EAGAIN;
}

static int start_read(void *ctx, struct cache_buf *first)
{
	(void)ctx;
	return start(first, BLOCK_READ);
}

static int start_write(void *ctx, struct cache_buf *first)
{
	(void)ctx;
	return start(first, BLOCK_WRITE);
}

static void flush_done(struct block_request *request, int status)
{
	(void)request;
	flush.used = false;
	if (status && cache_lost)
		cache_flush_lost(&fs.cache);
	else
		cache_flush_done(&fs.cache, status);
	cache_lost = false;
	server_progress();
}

static int start_flush(void *ctx)
{
	(void)ctx;
	if (flush.used)
		return -X_EAGAIN;
	flush.used = true;
	flush.request.op = BLOCK_FLUSH;
	flush.request.length_bytes = 0;
	flush.request.offset_bytes = 0;
	flush.request.pool_offset = 0;
	flush.request.done = flush_done;
	flush.request.ctx = &flush;
	block_submit(client, &flush.request);
	return 0;
}

static const struct cache_ops disk_ops = {
	.start_read = start_read,
	.start_write = start_write,
	.start_flush = start_flush,
};

static void on_cache_lost(void *ctx)
{
	(void)ctx;
	cache_lost = true;
	cache_epoch_lost(&fs.cache);
	server_log("the disk lost its cache: writing again");
	server_progress();
}

void disk_batch_end(void)
{
	if (disk_state == DISK_MOUNTING || disk_state == DISK_READY)
		cache_start(&fs.cache);
	block_batch_end();
}

/* ---- opening ------------------------------------------------------------------ */

/* The largest contiguous pool up to an eighth of what is free. */
static x_handle_t make_pool(void)
{
	const char *option = boot_option("cache");      /* MiB */
	struct x_system_info info;
	uint64_t bytes = POOL_BYTES_MAX;
	uint64_t limit = option ? strtoul(option, NULL, 10) << 20 : 0;

	if (!limit && x_system_info(&info) == 0)
		limit = info.free_bytes / 8;
	while (bytes > POOL_BYTES_MIN && bytes > limit)
		bytes /= 2;
	for (; bytes >= POOL_BYTES_MIN; bytes /= 2) {
		struct x_mem_create create = { .bytes = bytes,
					       .flags = X_MEM_CONTIGUOUS };
		int64_t memory = x_mem_create(&create);

		if (memory >= 0) {
			pool_bytes = bytes;
			return memory;
		}
	}
	server_die("no memory for the cache");
}

static void map_pool(x_handle_t memory)
{
	struct x_mem_map map = {
		.space = X_SELF, .memory = memory, .len = pool_bytes,
		.prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_WIRED,
	};
	int64_t address = x_mem_map(&map);

	if (address < 0)
		server_die("the cache can't be mapped: error %d", (int)address);
	pool = (uint8_t *)address;
}

static void set_up_memory(struct cache_memory *memory)
{
	uint64_t snapshots = pool_bytes / 16;
	uint64_t meta = pool_bytes / 4;

	memory->snapshots = pool;
	memory->snapshot_bytes = snapshots;
	memory->frames[CACHE_DATA] = pool + snapshots;
	memory->frame_bytes[CACHE_DATA] = pool_bytes - snapshots;
	memory->frames[CACHE_META] = server_memory(meta);
	memory->frame_bytes[CACHE_META] = meta;
	memory->buf_count = (pool_bytes - snapshots + meta) / MINIX_BLOCK_SIZE_MIN;
	memory->bufs = server_memory(memory->buf_count * sizeof(*memory->bufs));
	memory->hash_size = 1;
	while (memory->hash_size < memory->buf_count / 2)
		memory->hash_size *= 2;
	memory->hash = server_memory(memory->hash_size * sizeof(*memory->hash));
}

static void set_state(enum disk_state state)
{
	disk_state = state;
	if (state == DISK_READY || state == DISK_FAILED)
		server_ready();
	server_progress();
}

static const char no_volume[] = "no MINIX filesystem on the disk or its partitions";

static void open_candidate(void);

static void fail(const char *why)
{
	server_log("no filesystem: %s", why);
	set_state(DISK_FAILED);
}

static void try_next(const char *why)
{
	if (boot_option("root") ||
	    ++candidate == sizeof(candidates) / sizeof(candidates[0])) {
		fail(why);
		return;
	}
	set_state(DISK_OPENING);
	block_close(client);
	open_candidate();
}

void disk_step(void)
{
	int status;

	if (disk_state != DISK_MOUNTING)
		return;
	status = minix_mount(&fs);
	if (status == -X_EWAIT)
		return;
	if (status == -X_EAGAIN) {
		server_progress();
		return;
	}
	if (status) {
		server_log("%s: not a usable MINIX V3 filesystem: %s (error %d)", disk.name,
			   fs.reason ? fs.reason : "it can't be read", status);
		try_next(no_volume);
		return;
	}
	server_log("%s: MINIX V3, %u blocks of %u bytes, %s%s; cache of %llu KiB",
		   disk.name, fs.zone_count, fs.block_size,
		   fs.was_clean ? "clean" : "was not unmounted",
		   fs.read_only ? ", read-only" : "",
		   (unsigned long long)pool_bytes >> 10);
	set_state(DISK_READY);
}

static void opened(void *ctx, int status, const struct block_info *info)
{
	(void)ctx;
	if (status) { /* the driver has failed for good, or there is no such disk or partition */
		try_next(!boot_option("root") ? any_disk ? no_volume : "no disk"
			 : status == -X_ENODEV ? "no disk" : "root= names no disk or partition there is");
		return;
	}
	any_disk = true;
	disk = *info;
	disk_setup.device_bytes = info->size_bytes;
	disk_setup.read_only = info->read_only;
	disk_setup.transfer_bytes_max = info->max_request_bytes;
	minix_init(&fs, &disk_setup);
	set_state(DISK_MOUNTING);
}

static void open_candidate(void)
{
	const char *name = boot_option("root");

	const char *driver = candidates[candidate].driver;

	if (name && !strncmp(name, "/dev/", 5))
		name += 5;
	if (name && !strncmp(name, "sd", 2))
		driver = "ahci";
	client = block_open(boot_handle(driver), name ? name : candidates[candidate].name, pool_memory,
			    pool_bytes, opened, NULL);
	if (!client)
		server_die("no room for another block session");
	block_on_cache_lost(client, on_cache_lost);
}

void disk_open(void)
{
	pool_memory = make_pool();
	map_pool(pool_memory);
	set_up_memory(&disk_setup.memory);
	disk_setup.ops = &disk_ops;
	disk_setup.inodes = inodes;
	disk_setup.inode_slots = INODE_SLOTS;
	disk_setup.strict_iterations = true;
	open_candidate();
}
