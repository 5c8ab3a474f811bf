/* SPDX-License-Identifier: BSD-2-Clause */
/* The filesystem core on a host; see host.h. */

#include "tools/minixfs/check.h"
#include "tools/minixfs/host.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xinim/error.h>

enum {
	META_BYTES = 8 << 20,
	SNAPSHOT_BYTES = 1 << 20,
	INODE_SLOTS = 1024,
	HASH_SIZE = 1 << 14,
	INDEX_COUNT = 2,
	INDEX_ENTRIES = 1 << 15,
};

uint32_t host_random(struct host_disk *disk, uint32_t below)
{
	disk->random = disk->random * 6364136223846793005u + 1442695040888963407u;
	return (disk->random >> 33) % below;
}

/* ---- the disk ------------------------------------------------------------ */

static int transfer(struct host_disk *disk, const struct host_transfer *t)
{
	struct cache *cache = &disk->fs.cache;
	size_t length;
	off_t offset;
	ssize_t moved;

	if (disk->options.fail_one_in &&
	    !host_random(disk, disk->options.fail_one_in))
		return -X_EIO;
	if (t->what == HOST_FLUSH)
		return 0;
	length = (size_t)t->first->run_blocks * cache->block_size;
	offset = disk->offset_bytes + (uint64_t)t->first->blkno * cache->block_size;
	moved = t->what == HOST_READ
		? pread(disk->fd, t->first->io_data, length, offset)
		: pwrite(disk->fd, t->first->io_data, length, offset);
	return moved == (ssize_t)length ? 0 : -X_EIO;
}

static uint64_t sum_of(const struct host_disk *disk, const struct host_transfer *t)
{
	size_t length, i;
	uint64_t sum = 0;

	if (t->what != HOST_WRITE)
		return 0;
	length = (size_t)t->first->run_blocks * disk->fs.cache.block_size;
	for (i = 0; i < length; i++)
		sum = sum * 31 + t->first->io_data[i];
	return sum;
}

static void finish(struct host_disk *disk, const struct host_transfer *t)
{
	struct cache *cache = &disk->fs.cache;
	int status = transfer(disk, t);

	if (disk->options.slow && t->sum != sum_of(disk, t))
		disk->torn_writes++;

	switch (t->what) {
	case HOST_READ:
		cache_read_done(cache, t->first, status);
		break;
	case HOST_WRITE:
		cache_write_done(cache, t->first, status);
		break;
	case HOST_FLUSH:
		cache_flush_done(cache, status);
		break;
	}
}

static int start(struct host_disk *disk, struct host_transfer t)
{
	uint32_t max = disk->options.queue_max ? disk->options.queue_max
					       : HOST_QUEUE_MAX;

	if (!disk->options.slow) {
		finish(disk, &t);
		return 0;
	}
	if (disk->queue_count == max)
		return -X_EAGAIN;
	t.sum = sum_of(disk, &t);
	disk->queue[disk->queue_count++] = t;
	return 0;
}

static int start_read(void *ctx, struct cache_buf *first)
{
	return start(ctx, (struct host_transfer){ HOST_READ, first, 0 });
}

static int start_write(void *ctx, struct cache_buf *first)
{
	return start(ctx, (struct host_transfer){ HOST_WRITE, first, 0 });
}

static int start_flush(void *ctx)
{
	return start(ctx, (struct host_transfer){ HOST_FLUSH, NULL, 0 });
}

static bool pretend_miss(void *ctx)
{
	struct host_disk *disk = ctx;

	return disk->options.miss_one_in &&
	       !host_random(disk, disk->options.miss_one_in);
}

static const struct cache_ops disk_ops = {
	.start_read = start_read,
	.start_write = start_write,
	.start_flush = start_flush,
	.pretend_miss = pretend_miss,
};

bool host_pump(struct host_disk *disk)
{
	struct host_transfer t;
	uint32_t i;

	if (!disk->queue_count)
		return false;
	i = host_random(disk, disk->queue_count);
	t = disk->queue[i];
	disk->queue[i] = disk->queue[--disk->queue_count];
	finish(disk, &t);
	cache_start(&disk->fs.cache);
	return true;
}

bool host_again(struct host_disk *disk, int64_t status)
{
	if (status == -X_EWAIT) {
		disk->waits++;
		host_pump(disk);
		return true;
	}
	if (status == -X_EAGAIN) {
		int reap;

		while ((reap = fsys_reap(&disk->fs)) != 0)
			if (reap == -X_EWAIT)
				host_pump(disk);
		return true;
	}
	return false;
}

/* ---- opening and closing --------------------------------------------------- */

static void *take_memory(struct host_disk *disk, int slot, size_t bytes)
{
	disk->memory[slot] = calloc(1, bytes);
	if (!disk->memory[slot])
		abort();
	return disk->memory[slot];
}

static void set_up(struct host_disk *disk, struct minix_setup *setup,
		   uint64_t file_bytes)
{
	const struct host_options *options = &disk->options;
	uint32_t meta = options->meta_frames_bytes ? options->meta_frames_bytes
						   : META_BYTES;
	struct cache_memory *memory = &setup->memory;

	memset(setup, 0, sizeof(*setup));
	memory->buf_count = meta / MINIX_BLOCK_SIZE_MIN;
	memory->bufs = take_memory(disk, 0, memory->buf_count * sizeof(*memory->bufs));
	memory->hash_size = HASH_SIZE;
	memory->hash = take_memory(disk, 1, HASH_SIZE * sizeof(*memory->hash));
	memory->frame_bytes = meta;
	memory->frames = take_memory(disk, 2, meta);
	memory->snapshot_bytes = SNAPSHOT_BYTES;
	memory->snapshots = take_memory(disk, 4, SNAPSHOT_BYTES);
	setup->inode_slots = options->inode_slots ? options->inode_slots
						  : INODE_SLOTS;
	setup->inodes = take_memory(disk, 5, setup->inode_slots *
				    sizeof(*setup->inodes));
	setup->ops = &disk_ops;
	setup->ctx = disk;
	setup->device_bytes = file_bytes > disk->offset_bytes ?
			      file_bytes - disk->offset_bytes : 0;
	setup->read_only = options->read_only;
	setup->indexes = disk->indexes;
	setup->index_count = INDEX_COUNT;
	setup->index_entries = INDEX_ENTRIES;
	disk->indexes[0].entries = take_memory(disk, 3, INDEX_COUNT * INDEX_ENTRIES *
					       sizeof(struct minix_index_entry));
	disk->indexes[1].entries = disk->indexes[0].entries + INDEX_ENTRIES;
}

/* ---- the bytes of files ----------------------------------------------------- */

/* What was asked of the disk for these bytes before comes before. */
static void settle(struct host_disk *disk, uint32_t zone)
{
	uint32_t i = 0;

	while (i < disk->queue_count) {
		struct host_transfer t = disk->queue[i];

		if (t.what == HOST_FLUSH || zone < t.first->blkno ||
		    zone >= t.first->blkno + t.first->run_blocks) {
			i++;
			continue;
		}
		disk->queue[i] = disk->queue[--disk->queue_count];
		finish(disk, &t);
	}
}

static int move_bytes(struct host_disk *disk, uint32_t zone, uint32_t in_block,
		      void *data, uint32_t length, bool write)
{
	off_t at = disk->offset_bytes + (uint64_t)zone * disk->fs.block_size + in_block;
	ssize_t n;

	if (disk->options.fail_one_in && !host_random(disk, disk->options.fail_one_in))
		return -X_EIO;
	settle(disk, zone);
	n = write ? pwrite(disk->fd, data, length, at) : pread(disk->fd, data, length, at);
	return n == (ssize_t)length ? 0 : -X_EIO;
}

static uint32_t piece(const struct host_disk *disk, uint64_t at, uint64_t length)
{
	uint32_t room = disk->fs.block_size - at % disk->fs.block_size;

	return length < room ? length : room;
}

static int64_t zone_of(struct host_disk *disk, uint32_t ino, uint64_t at, uint32_t *zone)
{
	return HOST_RUN(disk, minix_map(&disk->fs, ino, at / disk->fs.block_size, 1, zone));
}

int64_t host_read(struct host_disk *disk, uint32_t ino, uint64_t offset, void *out,
		  size_t length)
{
	uint32_t size = disk->fs.block_size, done = 0;
	struct fsys_attr attr;
	int64_t status = HOST_RUN(disk, fsys_getattr(&disk->fs, ino, &attr));

	if (status)
		return status;
	if (FSYS_ISDIR(attr.mode))
		return -X_EISDIR;
	if (offset >= attr.size_bytes)
		return 0;
	if (length > attr.size_bytes - offset)
		length = attr.size_bytes - offset;
	while (done < length) {
		uint32_t n = piece(disk, offset + done, length - done), zone;

		status = zone_of(disk, ino, offset + done, &zone);
		if (!status && zone)
			status = move_bytes(disk, zone, (offset + done) % size,
					    (char *)out + done, n, false);
		else
			memset((char *)out + done, 0, n);
		if (status)
			return status;
		done += n;
	}
	return done;
}

/* The bytes behind the end in its last block become part of the file. */
static int64_t zero_tail(struct host_disk *disk, uint32_t ino, uint64_t size)
{
	static char zeros[MINIX_BLOCK_SIZE_MAX];
	uint32_t in_block = size % disk->fs.block_size, zone;
	int64_t status;

	if (!in_block)
		return 0;
	status = zone_of(disk, ino, size, &zone);
	if (status || !zone)
		return status;
	return move_bytes(disk, zone, in_block, zeros, disk->fs.block_size - in_block, true);
}

static int64_t write_block(struct host_disk *disk, const struct fsys_caller *who,
			   uint32_t ino, uint64_t at, const void *data,
			   uint32_t length, uint64_t old_size)
{
	static char block[MINIX_BLOCK_SIZE_MAX];
	uint32_t size = disk->fs.block_size, before, zone;
	bool backed;
	int64_t status = zone_of(disk, ino, at, &before);

	if (!status)
		status = HOST_RUN(disk, fsys_write(&disk->fs, who, ino, at, length, &backed));
	if (status <= 0)
		return status;
	length = status;
	status = zone_of(disk, ino, at, &zone);
	if (status)
		return status;
	memset(block, 0, size);
	memcpy(block + at % size, data, length);
	if (!before || at - at % size >= old_size)
		status = move_bytes(disk, zone, 0, block, size, true);
	else
		status = move_bytes(disk, zone, at % size, block + at % size, length, true);
	return status ? status : (int64_t)length;
}

int64_t host_write(struct host_disk *disk, const struct fsys_caller *who, uint32_t ino,
		   uint64_t offset, const void *data, size_t length)
{
	struct fsys_attr attr;
	size_t done = 0;
	int64_t status = HOST_RUN(disk, fsys_getattr(&disk->fs, ino, &attr));

	if (!status && FSYS_ISREG(attr.mode) && offset > attr.size_bytes)
		status = zero_tail(disk, ino, attr.size_bytes);
	while (!status && done < length) {
		int64_t n = write_block(disk, who, ino, offset + done, (const char *)data + done,
					piece(disk, offset + done, length - done),
					attr.size_bytes);

		if (n < 0)
			return done ? (int64_t)done : n;
		done += n;
	}
	return status ? status : (int64_t)done;
}

int64_t host_truncate(struct host_disk *disk, const struct fsys_caller *who, uint32_t ino,
		      uint64_t size_bytes, bool check)
{
	struct fsys_attr attr;
	int64_t status = HOST_RUN(disk, fsys_may_truncate(&disk->fs, who, ino, size_bytes, check));

	if (!status)
		status = HOST_RUN(disk, fsys_getattr(&disk->fs, ino, &attr));
	if (!status && size_bytes > attr.size_bytes)
		status = zero_tail(disk, ino, attr.size_bytes);
	if (!status)
		status = HOST_RUN(disk, fsys_truncate(&disk->fs, who, ino, size_bytes, check));
	return status;
}

void host_abandon(struct host_disk *disk)
{
	size_t i;

	for (i = 0; i < sizeof(disk->memory) / sizeof(disk->memory[0]); i++)
		free(disk->memory[i]);
	if (disk->fd >= 0)
		close(disk->fd);
	free(disk);
}

int host_open(const char *path, const struct host_options *options,
	      struct host_disk **out, const char **reason)
{
	struct host_disk *disk = calloc(1, sizeof(*disk));
	struct minix_setup setup;
	int64_t status;

	*reason = NULL;
	if (!disk)
		return -X_ENOMEM;
	if (options)
		disk->options = *options;
	disk->offset_bytes = disk->options.offset_bytes;
	disk->random = disk->options.seed;
	disk->fd = open(path, disk->options.read_only ? O_RDONLY : O_RDWR);
	if (disk->fd < 0) {
		*reason = "cannot open the image";
		host_abandon(disk);
		return -X_ENOENT;
	}
	set_up(disk, &setup, disk_bytes(disk->fd));
	minix_init(&disk->fs, &setup);
	status = HOST_RUN(disk, minix_mount(&disk->fs));
	if (status) {
		*reason = disk->fs.reason;
		host_abandon(disk);
		return status;
	}
	*out = disk;
	return 0;
}

int host_close(struct host_disk *disk)
{
	struct cache_sync sync = { 0 };
	int64_t status = HOST_RUN(disk, minix_unmount(&disk->fs, &sync, true));

	while (host_pump(disk))
		;
	host_abandon(disk);
	return status;
}
