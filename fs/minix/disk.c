/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The device: a session with the block driver that outlives the driver
 * (lib/blockcli). Transfers go between the device and the pool, which holds the
 * slots of store.c and the snapshots of metadata.
 *
 * OPENING until the session is up for the first time, MOUNTING until the
 * filesystem on it is understood; then READY for ever. Without the boot option
 * root=NAME ("" the whole disk, or the number of a partition) the whole disk
 * is tried, then its partitions. FAILED: there is none; we stay, so that vfs
 * gets an answer. A further instance (minix.1, ...) is IDLE until it is told
 * what to mount; it looks for that disk at each driver.
 */

#include "fs/minix/server.h"

#include "lib/blockcli/blockcli.h"
#include "lib/c/stdlib.h"
#include "lib/c/string.h"

enum {
	TRANSFERS_MAX = 256,
	SNAPSHOT_BYTES_MIN = 512 * 1024,
	POOL_BYTES_MIN = 1 << 20,
	POOL_BYTES_MAX = 8 << 20,
	META_BYTES_MIN = 1 << 20,
	META_BYTES_MAX = 32 << 20,
	INDEX_ENTRIES_MAX = 1 << 18,
	INODE_SLOTS = 6144,
};

struct disk_transfer {
	struct block_request request;
	void (*done)(void *ctx, int status);
	void *ctx;
	struct disk_transfer *next_free;
};

enum disk_state disk_state;
struct minix_setup disk_setup;

static struct block_client *client;
static struct disk_transfer transfers[TRANSFERS_MAX];
static struct disk_transfer *free_transfers;
static uint32_t free_count;
static struct block_request flush;
static bool flushing;
static struct minix_index indexes[2];
static uint8_t *pool;
static uint64_t pool_bytes;
uint8_t *disk_slots;
uint64_t disk_slots_bytes;
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

static const char *const drivers[] = {
	"virtio_blk", "virtio_blk.1", "virtio_blk.2", "virtio_blk.3", "ahci", "ahci.1", "loop",
};
static char chosen[16];                 /* on demand: the disk or partition, "vdb1" */
static int failure;
static bool any_disk;                   /* has been opened */

/* ---- transfers --------------------------------------------------------------- */

uint32_t disk_room(void)
{
	return free_count;
}

uint32_t disk_transfer_bytes_max(void)
{
	return disk.max_request_bytes;
}

static void transfer_done(struct block_request *request, int status)
{
	struct disk_transfer *t = request->ctx;

	t->next_free = free_transfers;
	free_transfers = t;
	free_count++;
	if (status)
		server_log("%s of %u bytes at %llu: error %d",
			   request->op == BLOCK_READ ? "read" : "write",
			   request->length_bytes,
			   (unsigned long long)request->offset_bytes, status);
	t->done(t->ctx, status);
	server_progress();
}

void disk_transfer(uint32_t op, uint32_t flags, uint64_t offset_bytes, void *data, uint32_t length_bytes,
		   void (*done)(void *ctx, int status), void *ctx)
{
	struct disk_transfer *t = free_transfers;

	free_transfers = t->next_free;
	free_count--;
	t->done = done;
	t->ctx = ctx;
	t->request.op = op;
	t->request.flags = flags;
	t->request.length_bytes = length_bytes;
	t->request.offset_bytes = offset_bytes;
	t->request.pool_offset = (uint8_t *)data - pool;
	t->request.done = transfer_done;
	t->request.ctx = t;
	block_submit(client, &t->request);
}

static void cache_read_ended(void *first, int status)
{
	cache_read_done(&fs.cache, first, status);
}

static void cache_write_ended(void *first, int status)
{
	cache_write_done(&fs.cache, first, status);
}

static int start(struct cache_buf *first, uint32_t op, void (*done)(void *, int))
{
	uint32_t block_size = fs.cache.block_size;

	if (!free_count)
		return -X_EAGAIN;
	disk_transfer(op, 0, (uint64_t)first->blkno * block_size, first->io_data, first->run_blocks * block_size, done, first);
	return 0;
}

static int start_read(void *ctx, struct cache_buf *first)
{
	(void)ctx;
	return start(first, BLOCK_READ, cache_read_ended);
}

static int start_write(void *ctx, struct cache_buf *first)
{
	(void)ctx;
	return start(first, BLOCK_WRITE, cache_write_ended);
}

static void flush_done(struct block_request *request, int status)
{
	(void)request;
	flushing = false;
	if (status && cache_lost)
		cache_flush_lost(&fs.cache);
	else
		cache_flush_done(&fs.cache, status);
	cache_lost = false;
	store_flushed();
	server_progress();
}

static int start_flush(void *ctx)
{
	(void)ctx;
	if (flushing)
		return -X_EAGAIN;
	flushing = true;
	flush = (struct block_request){ .op = BLOCK_FLUSH, .done = flush_done };
	block_submit(client, &flush);
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
	store_lost();
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

/* The size that cache= asks for, or a share of the memory it may have. */
static uint64_t share_of_memory(uint64_t share, uint64_t least, uint64_t most)
{
	const char *option = boot_option("cache");      /* MiB */
	uint64_t bytes = option ? strtoul(option, NULL, 10) << 20 : 0;

	if (!bytes)
		bytes = server_memory_bytes() / share;
	return bytes < least ? least : bytes > most ? most : bytes;
}

static x_handle_t make_pool(void)
{
	uint64_t bytes = POOL_BYTES_MAX;

	while (bytes > POOL_BYTES_MIN && bytes > share_of_memory(32, POOL_BYTES_MIN, POOL_BYTES_MAX))
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
	uint64_t snapshots = pool_bytes / 8 > SNAPSHOT_BYTES_MIN ? pool_bytes / 8 : SNAPSHOT_BYTES_MIN;
	uint64_t meta = share_of_memory(32, META_BYTES_MIN, META_BYTES_MAX);

	memory->snapshots = pool;
	memory->snapshot_bytes = snapshots;
	disk_slots = pool + snapshots;
	disk_slots_bytes = pool_bytes - snapshots;
	memory->frames = server_memory(meta);
	memory->frame_bytes = meta;
	memory->buf_count = meta / MINIX_BLOCK_SIZE_MIN;
	memory->bufs = server_memory(memory->buf_count * sizeof(*memory->bufs));
	memory->hash_size = 1;
	while (memory->hash_size < memory->buf_count / 2)
		memory->hash_size *= 2;
	memory->hash = server_memory(memory->hash_size * sizeof(*memory->hash));
}

/* Room for names of large directories: a 128th of the memory for each index. */
static void set_up_indexes(void)
{
	uint64_t bytes = share_of_memory(128, 64 * 1024,
					 INDEX_ENTRIES_MAX * sizeof(struct minix_index_entry));
	uint32_t i;

	disk_setup.indexes = indexes;
	disk_setup.index_count = sizeof(indexes) / sizeof(indexes[0]);
	disk_setup.index_entries = (uint32_t)(bytes / sizeof(struct minix_index_entry));
	for (i = 0; i < disk_setup.index_count; i++)
		indexes[i].entries = server_memory(disk_setup.index_entries *
						   sizeof(struct minix_index_entry));
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
	if (!failure)
		failure = -X_ENXIO;
	server_log("no filesystem: %s", why);
	set_state(DISK_FAILED);
}

/* The next driver that may have the chosen disk. */
static bool next_driver(void)
{
	while (++candidate < sizeof(drivers) / sizeof(drivers[0]))
		if (boot_handle(drivers[candidate]) != X_NO_HANDLE)
			return true;
	return false;
}

static void try_next(const char *why)
{
	if (disk_on_demand()) {
		if (failure || !next_driver()) {
			fail(why);
			return;
		}
		set_state(DISK_OPENING);
		block_close(client);
		open_candidate();
		return;
	}
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
		server_log("%s: not a usable MINIX filesystem: %s (error %d)", disk.name,
			   fs.reason ? fs.reason : "it can't be read", status);
		failure = -X_EINVAL;
		try_next(no_volume);
		return;
	}
	server_log("%s: MINIX V%u, %u blocks of %u bytes, %s%s", disk.name, fs.version,
		   fs.zone_count, fs.block_size, fs.was_clean ? "clean" : "was not unmounted",
		   fs.limits.read_only ? ", read-only" : "");
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
	const char *name = disk_on_demand() ? chosen : boot_option("root");
	const char *driver = disk_on_demand() ? drivers[candidate] : candidates[candidate].driver;

	if (name && !strncmp(name, "/dev/", 5))
		name += 5;
	if (name && !disk_on_demand() && !strncmp(name, "sd", 2))
		driver = "ahci";
	client = block_open(boot_handle(driver), name ? name : candidates[candidate].name, pool_memory,
			    pool_bytes, opened, NULL);
	if (!client)
		server_die("no room for another block session");
	block_on_cache_lost(client, on_cache_lost);
}

static void set_up(void)
{
	pool_memory = make_pool();
	map_pool(pool_memory);
	set_up_memory(&disk_setup.memory);
	disk_setup.ops = &disk_ops;
	disk_setup.inodes = server_table(INODE_SLOTS, sizeof(*disk_setup.inodes), &disk_setup.inode_slots);
	disk_setup.keep_unlinked = content_keep_unlinked;
	set_up_indexes();
	store_init(share_of_memory(8, 1 << 20, UINT64_MAX));
	for (free_count = 0; free_count < TRANSFERS_MAX; free_count++) {
		transfers[free_count].next_free = free_transfers;
		free_transfers = &transfers[free_count];
	}
	open_candidate();
}

bool disk_on_demand(void)
{
	return strchr(boot->name, '.');
}

int disk_failure(void)
{
	return failure;
}

int disk_choose(const char *path)
{
	if (!disk_on_demand() || disk_state != DISK_IDLE)
		return 0;
	if (!strncmp(path, "/dev/", 5))
		path += 5;
	if (!*path || strlen(path) >= sizeof(chosen))
		return -X_ENXIO;
	strlcpy(chosen, path, sizeof(chosen));
	set_up();
	return 0;
}

void disk_open(void)
{
	disk_state = disk_on_demand() ? DISK_IDLE : DISK_OPENING;
	if (disk_on_demand())
		server_ready();
	else
		set_up();
}
