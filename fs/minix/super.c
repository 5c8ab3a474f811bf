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

static void start_cache(struct fsys *fs, uint32_t block_size)
{
	uint32_t run = fs->setup.transfer_bytes_max / block_size;

	cache_init(&fs->cache, fs->setup.ops, fs->setup.ctx, &fs->setup.memory,
		   block_size, fs->setup.device_bytes);
	if (run && run < fs->cache.run_blocks_max)
		fs->cache.run_blocks_max = run;
}

void minix_init(struct fsys *fs, const struct minix_setup *setup)
{
	memset(fs, 0, sizeof(*fs));
	fs->setup = *setup;
	fs->limits.read_only = setup->read_only;
	fs->limits.no_atime = setup->no_atime;
	fs->limits.time_grain_ns = FSYS_SEC;
	memset(setup->inodes, 0, setup->inode_slots * sizeof(*setup->inodes));
	start_cache(fs, MINIX_BLOCK_SIZE_MIN);
}

static int get_super(struct fsys *fs, struct cache_buf **buf, void **super)
{
	uint32_t block_size = fs->cache.block_size;
	int status = cache_get(&fs->cache, MINIX_SUPER_OFFSET_BYTES / block_size,
			       buf);

	if (!status)
		*super = (*buf)->frame + MINIX_SUPER_OFFSET_BYTES % block_size;
	return status;
}

static int refuse(struct fsys *fs, const char *reason)
{
	fs->reason = reason;
	return -X_EINVAL;
}

/* The superblock of V1 and V2 as if it were V3's; or as it is. */
static void widen_super(const void *disk, struct minix_super_disk *super,
			uint32_t *version, uint32_t *name_max)
{
	const struct minix_old_super_disk *old = disk;

	memcpy(super, disk, sizeof(*super));
	*version = 3;
	*name_max = MINIX_NAME_MAX;
	if (super->magic == MINIX_V3_MAGIC)
		return;
	*version = 0;
	*name_max = old->magic == MINIX_V1_LONG_MAGIC || old->magic == MINIX_V2_LONG_MAGIC ? 30 : 14;
	if (old->magic == MINIX_V1_MAGIC || old->magic == MINIX_V1_LONG_MAGIC)
		*version = 1;
	if (old->magic == MINIX_V2_MAGIC || old->magic == MINIX_V2_LONG_MAGIC)
		*version = 2;
	*super = (struct minix_super_disk){
		.inode_count = old->inode_count,
		.inode_map_blocks = old->inode_map_blocks,
		.zone_map_blocks = old->zone_map_blocks,
		.first_data_zone = old->first_data_zone,
		.log_zone_size = old->log_zone_size,
		.flags = old->flags,
		.max_size_bytes = old->max_size_bytes,
		.zone_count = *version == 1 ? old->zone_count : old->zone_count_long,
		.block_size_bytes = MINIX_BLOCK_SIZE_MIN,
	};
}

static uint16_t *super_flags(const struct fsys *fs, void *super)
{
	return fs->version == 3 ? &((struct minix_super_disk *)super)->flags
				: &((struct minix_old_super_disk *)super)->flags;
}

static int check_format(struct fsys *fs, const struct minix_super_disk *super,
			uint32_t version, uint32_t name_max)
{
	uint32_t size = super->block_size_bytes;

	if (!version)
		return refuse(fs, "no MINIX superblock");
	if (size < MINIX_BLOCK_SIZE_MIN || size > MINIX_BLOCK_SIZE_MAX || size & (size - 1))
		return refuse(fs, "the block size is not 1, 2, 4, 8, 16 or 32 KiB");
	if (super->log_zone_size)
		return refuse(fs, "zones of several blocks are not supported");
	if (fs->setup.memory.frame_bytes / size < MINIX_FRAMES_MIN ||
	    fs->setup.memory.snapshot_bytes / size < MINIX_FRAMES_MIN / 4)
		return refuse(fs, "too little memory for so large blocks");
	fs->version = version;
	fs->inode_bytes = version == 1 ? sizeof(struct minix_old_inode_disk)
				       : sizeof(struct minix_inode_disk);
	fs->dirent_bytes = version == 3 ? sizeof(struct minix_dirent_disk) : name_max + 2;
	fs->number_bytes = version == 1 ? 2 : 4;
	fs->limits.name_max = name_max;
	fs->limits.block_bytes = size;
	fs->limits.id_max = UINT16_MAX;
	fs->limits.link_max = version == 1 ? MINIX_V1_LINK_MAX : MINIX_LINK_MAX;
	fs->limits.link_text_max = size - 1 < FSYS_LINK_TEXT_MAX - 1 ? size - 1 : FSYS_LINK_TEXT_MAX - 1;
	return 0;
}

static uint32_t blocks_for(uint64_t count, uint32_t per_block)
{
	return (count + per_block - 1) / per_block;
}

/* Lays out the disk as the superblock says, if that is possible at all. */
static int check_layout(struct fsys *fs, const struct minix_super_disk *super)
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
	fs->limits.inode_max = fs->inode_count;
	if (!fs->inode_count || fs->inode_count >= UINT32_MAX - 1)
		return refuse(fs, "the superblock has a wild number of inodes");
	fs->inode_table_blocks = blocks_for(fs->inode_count,
					    size / fs->inode_bytes);
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

static int set_max_size(struct fsys *fs, const struct minix_super_disk *super)
{
	uint64_t max = map_blocks_max(fs) * fs->block_size;

	if (!super->max_size_bytes)
		return refuse(fs, "the superblock allows no file");
	if (max > UINT32_MAX - MINIX_BLOCK_SIZE_MAX)
		max = UINT32_MAX - MINIX_BLOCK_SIZE_MAX;
	fs->max_size_bytes = super->max_size_bytes < max ? super->max_size_bytes : max;
	fs->limits.file_max = fs->max_size_bytes;
	return 0;
}

static int read_super(struct fsys *fs)
{
	struct minix_super_disk copy;
	uint32_t version, name_max;
	struct cache_buf *buf;
	void *super;
	int status = get_super(fs, &buf, &super);

	if (status)
		return status;
	widen_super(super, &copy, &version, &name_max);
	status = check_format(fs, &copy, version, name_max);
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

static int set_clean_flag(struct fsys *fs, bool clean)
{
	struct cache_buf *buf;
	void *super;
	int status;

	if (fs->limits.read_only)
		return 0;
	op_begin(fs);
	status = get_super(fs, &buf, &super);
	if (!status && !!(*super_flags(fs, super) & MINIX_FLAG_CLEAN) != clean) {
		status = op_modify(buf, super_flags(fs, super), sizeof(uint16_t));
		if (!status)
			*super_flags(fs, super) ^= MINIX_FLAG_CLEAN;
	}
	return op_end(fs, status);
}

/* Counting is no transaction: what was counted before a wait stays counted. */
static int count_free(struct fsys *fs, uint32_t first_block, uint32_t bits,
		      uint32_t *free_count)
{
	int status = bitmap_count_free(fs, first_block, bits, &fs->count_block,
				       free_count);

	cache_start(&fs->cache);
	return status;
}

static int check_root(struct fsys *fs)
{
	struct fsys_node *root;
	int status;

	op_begin(fs);
	status = inode_get_dir(fs, FSYS_ROOT_INO, &root);
	if (status == -X_ENOTDIR)
		status = fsys_damaged(fs, "the root is not a directory");
	return op_end(fs, status);
}

/*
 * Brings in the inodes of one table block that are in use but have no link:
 * files that were open and unlinked when the power went.
 */
static int find_unlinked(struct fsys *fs)
{
	uint32_t per_block = fs->block_size / fs->inode_bytes;
	uint32_t ino = fs->count_block * per_block + 1;
	uint32_t end = ino + per_block;

	for (; ino < end && ino <= fs->inode_count; ino++) {
		void *slot;
		struct cache_buf *buf;
		bool used;
		int status = inode_slot(fs, ino, &buf, &slot);

		if (status)
			return status;
		if (!inode_slot_is_unlinked(fs, slot))
			continue;
		status = bitmap_inode_is_used(fs, ino, &used);
		if (!status && used)
			status = inode_load_unlinked(fs, ino);
		if (status && status != -X_EUCLEAN)
			return status;
	}
	return 0;
}

static int reclaim(struct fsys *fs)
{
	while (fs->count_block < fs->inode_table_blocks) {
		uint32_t ahead;
		int status = fsys_reap(fs);

		if (status)
			return status;
		op_begin(fs);
		for (ahead = 1; ahead < 32; ahead++)
			if (fs->count_block + ahead < fs->inode_table_blocks)
				cache_prefetch(&fs->cache, fs->inode_table_block +
					       fs->count_block + ahead);
		status = op_end(fs, find_unlinked(fs));
		if (status)
			return status;
		fs->count_block++;
	}
	return fsys_reap(fs);
}

static int mount_step(struct fsys *fs)
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
		if (fs->was_clean || fs->limits.read_only)
			return 0;
		return reclaim(fs);
	default:
		return 0;
	}
}

int minix_mount(struct fsys *fs)
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
static int make_clean(struct fsys *fs, struct cache_sync *sync)
{
	int status = fsys_reap(fs);

	if (!status)
		status = cache_sync(&fs->cache, sync);
	if (!status && !fs->damage_count)
		status = set_clean_flag(fs, true);
	if (!status)
		memset(sync, 0, sizeof(*sync));
	return status;
}

int minix_make_read_only(struct fsys *fs, struct cache_sync *sync)
{
	int status = fs->limits.read_only ? 0 : make_clean(fs, sync);

	if (status)
		return status;
	fs->limits.read_only = true;
	return cache_sync(&fs->cache, sync);
}

bool minix_protect(struct fsys *fs)
{
	if (!fs->damage_count || fs->limits.read_only || fs->state != MINIX_MOUNTED)
		return false;
	fs->limits.read_only = true;
	return true;
}

int minix_make_writable(struct fsys *fs)
{
	if (!fs->limits.read_only)
		return 0;
	if (fs->setup.read_only || fs->damage_count)
		return -X_EROFS;
	fs->limits.read_only = false;
	return set_clean_flag(fs, false);
}

int minix_unmount(struct fsys *fs, struct cache_sync *sync, bool force)
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

int minix_sync(struct fsys *fs, struct cache_sync *sync)
{
	return cache_sync(&fs->cache, sync);
}

const struct fsys_limits *fsys_limits(const struct fsys *fs)
{
	return &fs->limits;
}

void fsys_usage(const struct fsys *fs, const struct fsys_node *ip,
		uint64_t *blocks_512, uint32_t *block_size)
{
	*block_size = fs->block_size;
	*blocks_512 = FSYS_ISDEV(ip->mode) ? 0 : map_zones_of_size(fs, ip->size_bytes) *
						 (fs->block_size / 512);
}

void fsys_statfs(const struct fsys *fs, struct fsys_statfs *out)
{
	static const uint32_t magics[] = { MINIX_V1_MAGIC, MINIX_V2_MAGIC, MINIX_V3_MAGIC };

	memset(out, 0, sizeof(*out));
	out->type = magics[fs->version - 1];
	if (fs->limits.name_max == 30)
		out->type = fs->version == 1 ? MINIX_V1_LONG_MAGIC : MINIX_V2_LONG_MAGIC;
	out->block_size = fs->block_size;
	out->blocks = fs->zone_count - fs->first_data_zone;
	out->blocks_free = fs->alloc.free_zones;
	out->inodes = fs->inode_count;
	out->inodes_free = fs->alloc.free_inodes;
	out->name_max = fs->limits.name_max;
	out->read_only = fs->limits.read_only;
}
