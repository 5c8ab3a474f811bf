/* SPDX-License-Identifier: BSD-2-Clause */
/* The filesystem core on a host; see host.h. */

#include "tools/minixfs/host.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xinim/error.h>

enum {
	META_BYTES = 8 << 20,
	DATA_BYTES = 16 << 20,
	SNAPSHOT_BYTES = 1 << 20,
	INODE_SLOTS = 1024,
	HASH_SIZE = 1 << 14,
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
	minix_begin_iteration(&disk->fs);
	if (status == -X_EWAIT) {
		disk->waits++;
		host_pump(disk);
		return true;
	}
	if (status == -X_EAGAIN) {
		int reap;

		while ((reap = minix_reap(&disk->fs)) != 0)
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
	uint32_t data = options->data_frames_bytes ? options->data_frames_bytes
						   : DATA_BYTES;
	struct cache_memory *memory = &setup->memory;

	memset(setup, 0, sizeof(*setup));
	memory->buf_count = (meta + data) / MINIX_BLOCK_SIZE_MIN;
	memory->bufs = take_memory(disk, 0, memory->buf_count * sizeof(*memory->bufs));
	memory->hash_size = HASH_SIZE;
	memory->hash = take_memory(disk, 1, HASH_SIZE * sizeof(*memory->hash));
	memory->frame_bytes[CACHE_META] = meta;
	memory->frames[CACHE_META] = take_memory(disk, 2, meta);
	memory->frame_bytes[CACHE_DATA] = data;
	memory->frames[CACHE_DATA] = take_memory(disk, 3, data);
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
	setup->strict_iterations = options->slow;
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
	struct stat st;
	int64_t status;

	*reason = NULL;
	if (!disk)
		return -X_ENOMEM;
	if (options)
		disk->options = *options;
	disk->offset_bytes = disk->options.offset_bytes;
	disk->random = disk->options.seed;
	disk->fd = open(path, disk->options.read_only ? O_RDONLY : O_RDWR);
	if (disk->fd < 0 || fstat(disk->fd, &st)) {
		*reason = "cannot open the image";
		host_abandon(disk);
		return -X_ENOENT;
	}
	set_up(disk, &setup, st.st_size);
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
