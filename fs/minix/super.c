/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Mounting and unmounting.
 *
 *   NEW -> COUNTING_INODES      the superblock makes sense
 *       -> COUNTING_ZONES -> CHECKING_ROOT
 *       -> RECLAIMING           only if the disk wasn't unmounted cleanly
 *       -> MOUNTED -> UNMOUNTED
 *
 * The superblock's CLEAN flag (MINIX 3's; util-linux keeps zero there and
 * ignores it) is off while mounted for writing.
 */

#include "fs/minix/internal.h"

static void start_cache(struct minix_fs *fs, uint32_t block_size)
{
	uint32_t run = fs->setup.transfer_bytes_max / block_size;

	cache_init(&fs->cache, fs->setup.ops, fs->setup.ctx, &fs->setup.memory,
		   block_size, fs->setup.device_bytes);
	fs->cache.strict_iterations = fs->setup.strict_iterations;
	if (run && run < fs->cache.run_blocks_max)
		fs->cache.run_blocks_max = run;
}

void minix_init(struct minix_fs *fs, const struct minix_setup *setup)
{
	memset(fs, 0, sizeof(*fs));
	fs->setup = *setup;
	fs->read_only = setup->read_only;
	memset(setup->inodes, 0, setup->inode_slots * sizeof(*setup->inodes));
	start_cache(fs, MINIX_BLOCK_SIZE_MIN);
}

static int get_super(struct minix_fs *fs, struct cache_buf **buf,
		     struct minix_super_disk **super)
{
	uint32_t block_size = fs->cache.block_size;
	int status = cache_get(&fs->cache, MINIX_SUPER_OFFSET_BYTES / block_size,
			       CACHE_META, buf);

	if (!status)
		*super = (void *)((*buf)->frame +
				  MINIX_SUPER_OFFSET_BYTES % block_size);
	return status;
}

static int refuse(struct minix_fs *fs, const char *reason)
{
	fs->reason = reason;
	return -X_EINVAL;
}

static int check_format(struct minix_fs *fs, const struct minix_super_disk *super)
{
	uint32_t size = super->block_size_bytes;

	if (super->magic != MINIX_V3_MAGIC)
		return refuse(fs, "no MINIX V3 superblock");
	if (size != 1024 && size != 2048 && size != 4096)
		return refuse(fs, "the block size is not 1, 2 or 4 KiB");
	if (super->log_zone_size)
		return refuse(fs, "zones of several blocks are not supported");
	return 0;
}

static uint32_t blocks_for(uint64_t count, uint32_t per_block)
{
	return (count + per_block - 1) / per_block;
}

/* Lays out the disk as the superblock says, if that is possible at all. */
static int check_layout(struct minix_fs *fs, const struct minix_super_disk *super)
{
	uint32_t size = super->block_size_bytes;
	uint64_t bits = (uint64_t)size * 8;
	uint64_t data;

	fs->block_size = size;
	fs->inode_count = super->inode_count;
	fs->zone_count = super->zone_count;
	fs->inode_map_block = MINIX_FIRST_BITMAP_BLOCK;
	fs->inode_map_blocks = super->inode_map_blocks;
	fs->zone_map_block = fs->inode_map_block + fs->inode_map_blocks;
	fs->zone_map_blocks = super->zone_map_blocks;
	fs->inode_table_block = fs->zone_map_block + fs->zone_map_blocks;
	if (!fs->inode_count || fs->inode_count >= UINT32_MAX - 1)
		return refuse(fs, "the superblock has a wild number of inodes");
	fs->inode_table_blocks = blocks_for(fs->inode_count,
					    size / sizeof(struct minix_inode_disk));
	data = (uint64_t)fs->inode_table_block + fs->inode_table_blocks;
	if (super->first_data_zone && super->first_data_zone < data)
		return refuse(fs, "the inode table overlaps the data");
	if (super->first_data_zone)
		data = super->first_data_zone;
	if (data >= fs->zone_count)
		return refuse(fs, "there is no data area");
	fs->first_data_zone = data;
	if (fs->zone_count > fs->setup.device_bytes / size)
		return refuse(fs, "the filesystem is larger than its device");
	if (fs->inode_map_blocks * bits < (uint64_t)fs->inode_count + 1)
		return refuse(fs, "the inode bitmap is too small");
	if (fs->zone_map_blocks * bits < bitmap_zone_bits(fs))
		return refuse(fs, "the zone bitmap is too small");
	return 0;
}

static int set_max_size(struct minix_fs *fs, const struct minix_super_disk *super)
{
	uint64_t max = map_blocks_max(fs->block_size) * fs->block_size;

	if (!super->max_size_bytes)
		return refuse(fs, "the superblock allows no file");
	if (max > UINT32_MAX - MINIX_BLOCK_SIZE_MAX)
		max = UINT32_MAX - MINIX_BLOCK_SIZE_MAX;
	fs->max_size_bytes = super->max_size_bytes < max ? super->max_size_bytes : max;
	return 0;
}

static int read_super(struct minix_fs *fs)
{
	struct minix_super_disk copy, *super;
	struct cache_buf *buf;
	int status = get_super(fs, &buf, &super);

	if (status)
		return status;
	copy = *super;
	status = check_format(fs, &copy);
	if (!status)
		status = check_layout(fs, &copy);
	if (!status)
		status = set_max_size(fs, &copy);
	if (status)
		return status;
	fs->was_clean = copy.flags & MINIX_FLAG_CLEAN;
	fs->alloc.inode_hint = 1;
	fs->alloc.zone_hint = 1;
	/* The cache begins again with the real block size. */
	start_cache(fs, fs->block_size);
	return 0;
}

static int set_clean_flag(struct minix_fs *fs, bool clean)
{
	struct minix_super_disk *super;
	struct cache_buf *buf;
	int status;

	if (fs->read_only)
		return 0;
	op_begin(fs);
	status = get_super(fs, &buf, &super);
	if (!status && !!(super->flags & MINIX_FLAG_CLEAN) != clean) {
		status = op_modify(fs, buf, &super->flags, sizeof(super->flags));
		if (!status)
			super->flags ^= MINIX_FLAG_CLEAN;
	}
	return op_end(fs, status);
}

/* Counting is no transaction: what was counted before a wait stays counted. */
static int count_free(struct minix_fs *fs, uint32_t first_block, uint32_t bits,
		      uint32_t *free_count)
{
	int status = bitmap_count_free(fs, first_block, bits, &fs->count_block,
				       free_count);

	cache_start(&fs->cache);
	return status;
}

static int check_root(struct minix_fs *fs)
{
	struct minix_inode *root;
	int status;

	op_begin(fs);
	status = inode_get_dir(fs, MINIX_ROOT_INO, &root);
	if (status == -X_ENOTDIR)
		status = minix_damaged(fs, "the root is not a directory");
	return op_end(fs, status);
}

/*
 * Brings in the inodes of one table block that are in use but have no link:
 * files that were open and unlinked when the power went.
 */
static int find_unlinked(struct minix_fs *fs)
{
	uint32_t per_block = fs->block_size / sizeof(struct minix_inode_disk);
	uint32_t ino = fs->count_block * per_block + 1;
	uint32_t end = ino + per_block;

	for (; ino < end && ino <= fs->inode_count; ino++) {
		struct minix_inode_disk *slot;
		struct cache_buf *buf;
		bool used;
		int status = inode_slot(fs, ino, &buf, &slot);

		if (status)
			return status;
		if (!slot->mode || slot->link_count)
			continue;
		status = bitmap_inode_is_used(fs, ino, &used);
		if (!status && used)
			status = inode_load_unlinked(fs, ino);
		if (status && status != -X_EUCLEAN)
			return status;
	}
	return 0;
}

static int reclaim(struct minix_fs *fs)
{
	while (fs->count_block < fs->inode_table_blocks) {
		uint32_t ahead;
		int status = minix_reap(fs);

		if (status)
			return status;
		op_begin(fs);
		for (ahead = 1; ahead < 32; ahead++)
			if (fs->count_block + ahead < fs->inode_table_blocks)
				cache_prefetch(&fs->cache, fs->inode_table_block +
					       fs->count_block + ahead, CACHE_META);
		status = op_end(fs, find_unlinked(fs));
		if (status)
			return status;
		fs->count_block++;
	}
	return minix_reap(fs);
}

static int mount_step(struct minix_fs *fs)
{
	switch ((enum minix_state)fs->state) {
	case MINIX_NEW:
		return read_super(fs);
	case MINIX_COUNTING_INODES:
		return count_free(fs, fs->inode_map_block, fs->inode_count + 1,
				  &fs->alloc.free_inodes);
	case MINIX_COUNTING_ZONES:
		return count_free(fs, fs->zone_map_block, bitmap_zone_bits(fs),
				  &fs->alloc.free_zones);
	case MINIX_CHECKING_ROOT:
		return check_root(fs);
	case MINIX_RECLAIMING:
		if (fs->was_clean || fs->read_only)
			return 0;
		return reclaim(fs);
	default:
		return 0;
	}
}

int minix_mount(struct minix_fs *fs)
{
	while (fs->state < MINIX_MOUNTED) {
		int status = mount_step(fs);

		if (fs->state == MINIX_NEW)
			cache_start(&fs->cache);
		if (status)
			return status;
		fs->state++;
		fs->count_block = 0;
	}
	return set_clean_flag(fs, false);
}

/* Writes all out, then marks the disk clean: to be synced once more. */
static int make_clean(struct minix_fs *fs, struct cache_sync *sync)
{
	int status = minix_reap(fs);

	if (!status)
		status = cache_sync(&fs->cache, sync);
	if (!status && !fs->damage_count)
		status = set_clean_flag(fs, true);
	if (!status)
		memset(sync, 0, sizeof(*sync));
	return status;
}

int minix_make_read_only(struct minix_fs *fs, struct cache_sync *sync)
{
	int status = fs->read_only ? 0 : make_clean(fs, sync);

	if (status)
		return status;
	fs->read_only = true;
	return cache_sync(&fs->cache, sync);
}

int minix_unmount(struct minix_fs *fs, struct cache_sync *sync, bool force)
{
	uint32_t i;
	int status;

	for (i = 0; !force && i < fs->setup.inode_slots; i++)
		if (fs->setup.inodes[i].ino && fs->setup.inodes[i].holds)
			return -X_EBUSY;
	if (fs->state == MINIX_MOUNTED) {
		status = make_clean(fs, sync);
		if (status)
			return status;
		fs->state = MINIX_UNMOUNTED;
	}
	return cache_sync(&fs->cache, sync);
}

void minix_begin_iteration(struct minix_fs *fs)
{
	cache_begin_iteration(&fs->cache);
}

int minix_sync(struct minix_fs *fs, struct cache_sync *sync, uint32_t ino)
{
	if (sync->state == CACHE_SYNC_NEW)
		sync->owner = ino;
	return cache_sync(&fs->cache, sync);
}

void minix_statfs(const struct minix_fs *fs, struct minix_statfs *out)
{
	out->block_size = fs->block_size;
	out->blocks = fs->zone_count - fs->first_data_zone;
	out->blocks_free = fs->alloc.free_zones;
	out->inodes = fs->inode_count;
	out->inodes_free = fs->alloc.free_inodes;
	out->name_max = MINIX_NAME_MAX;
}
