/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making an empty MINIX filesystem, V1 to V3: superblock, bitmaps with all that
 * doesn't exist marked as used, the inode table, and a root directory.
 */

#include "tools/minixfs/mkfs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/minix/minix_format.h"
#include "lib/fs/fsys.h"

enum { BYTES_PER_INODE = 4096 };

struct layout {
	uint32_t version, name_bytes;
	uint32_t block_size, inode_bytes;
	uint32_t zone_count, inode_count;
	uint32_t inode_map_blocks, zone_map_blocks, inode_table_blocks;
	uint32_t first_data_zone;
};

static uint32_t divide_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static const char *check_options(const struct mkfs_options *options, struct layout *l)
{
	uint32_t size = options->block_size;

	l->version = options->version ? options->version : 3;
	l->name_bytes = options->name_bytes ? options->name_bytes : l->version == 3 ? 60 : 30;
	l->inode_bytes = l->version == 1 ? sizeof(struct minix_old_inode_disk)
					 : sizeof(struct minix_inode_disk);
	l->block_size = size;
	if (l->version > 3)
		return "the version must be 1, 2 or 3";
	if (size < MINIX_BLOCK_SIZE_MIN || size > MINIX_BLOCK_SIZE_MAX || size & (size - 1))
		return "the block size must be a power of two, 1024 to 32768";
	if (l->version < 3 && size != MINIX_BLOCK_SIZE_MIN)
		return "only version 3 has other block sizes than 1024";
	if (l->version == 3 ? l->name_bytes != 60 : l->name_bytes != 14 && l->name_bytes != 30)
		return "names have 60 bytes in version 3, in the others 14 or 30";
	return NULL;
}

static const char *lay_out(const struct mkfs_options *options, struct layout *l)
{
	const char *wrong = check_options(options, l);
	uint32_t size = l->block_size, inodes_per_block;
	uint64_t zones, inodes, first;

	if (wrong)
		return wrong;
	inodes_per_block = size / l->inode_bytes;
	zones = options->size_bytes / size;
	inodes = options->inode_count ? options->inode_count
				      : options->size_bytes / BYTES_PER_INODE;
	if (l->version == 1 && zones > UINT16_MAX)
		zones = UINT16_MAX;     /* the rest isn't used */
	if (zones > UINT32_MAX - 1)
		return "too many blocks";
	/* first_data_zone has 16 bits; half of them are for the inodes. */
	if (inodes > 32768ull * inodes_per_block)
		inodes = 32768ull * inodes_per_block;
	if (l->version < 3 && inodes > UINT16_MAX / inodes_per_block * inodes_per_block)
		inodes = UINT16_MAX / inodes_per_block * inodes_per_block;
	inodes = (uint64_t)divide_up(inodes ? inodes : 1, inodes_per_block) *
		 inodes_per_block;
	l->zone_count = zones;
	l->inode_count = inodes;
	l->inode_map_blocks = divide_up(inodes + 1, size * 8ull);
	l->zone_map_blocks = divide_up(zones + 1, size * 8ull);
	l->inode_table_blocks = inodes / inodes_per_block;
	first = MINIX_FIRST_BITMAP_BLOCK + l->inode_map_blocks +
		(uint64_t)l->zone_map_blocks + l->inode_table_blocks;
	if (first > UINT16_MAX)
		return "too large for this block size";
	if (first + 1 > zones)
		return "too small";
	l->first_data_zone = first;
	return NULL;
}

static void fill_old_super(const struct layout *l, struct minix_old_super_disk *super)
{
	super->inode_count = l->inode_count;
	super->inode_map_blocks = l->inode_map_blocks;
	super->zone_map_blocks = l->zone_map_blocks;
	super->first_data_zone = l->first_data_zone;
	super->flags = MINIX_FLAG_CLEAN;
	if (l->version == 1) {
		super->zone_count = l->zone_count;
		super->max_size_bytes = (7 + 512 + 512 * 512) * 1024;
		super->magic = l->name_bytes == 14 ? MINIX_V1_MAGIC : MINIX_V1_LONG_MAGIC;
	} else {
		super->zone_count_long = l->zone_count;
		super->max_size_bytes = 0x7fffffff;
		super->magic = l->name_bytes == 14 ? MINIX_V2_MAGIC : MINIX_V2_LONG_MAGIC;
	}
}

static void fill_super(const struct layout *l, uint8_t *head)
{
	struct minix_super_disk *super = (void *)(head + MINIX_SUPER_OFFSET_BYTES);

	if (l->version < 3) {
		fill_old_super(l, (void *)super);
		return;
	}
	super->inode_count = l->inode_count;
	super->inode_map_blocks = l->inode_map_blocks;
	super->zone_map_blocks = l->zone_map_blocks;
	super->first_data_zone = l->first_data_zone;
	super->flags = MINIX_FLAG_CLEAN;
	super->max_size_bytes = 0x7fffffff;
	super->zone_count = l->zone_count;
	super->magic = MINIX_V3_MAGIC;
	super->block_size_bytes = l->block_size;
}

/* Bits 0 and 1 are used (the reserved one, the root); so is all from BITS on. */
static void fill_bitmap(uint8_t *map, size_t map_bytes, uint32_t bits)
{
	uint64_t bit;

	map[0] |= 3;
	for (bit = bits; bit < map_bytes * 8; bit++)
		map[bit / 8] |= 1u << bit % 8;
}

static void fill_entry(const struct layout *l, uint8_t *block, uint32_t index, const char *name)
{
	uint8_t *slot = block + index * (l->version == 3 ? 64 : l->name_bytes + 2);

	slot[0] = MINIX_ROOT_INO;       /* little endian, 16 or 32 bits */
	strcpy((char *)slot + (l->version == 3 ? 4 : 2), name);
}

static void fill_root(const struct layout *l, const struct mkfs_options *options,
		      uint8_t *table, uint8_t *block)
{
	uint32_t size = 2 * (l->version == 3 ? 64 : l->name_bytes + 2);
	struct minix_inode_disk *root = (void *)table;
	struct minix_old_inode_disk *old = (void *)table;

	if (l->version == 1) {
		old->mode = FSYS_S_IFDIR | 0755;
		old->link_count = 2;
		old->size_bytes = size;
		old->mtime_sec = options->time_sec;
		old->zone[0] = l->first_data_zone;
	} else {
		root->mode = FSYS_S_IFDIR | 0755;
		root->link_count = 2;
		root->size_bytes = size;
		root->atime_sec = root->mtime_sec = root->ctime_sec = options->time_sec;
		root->zone[0] = l->first_data_zone;
	}
	fill_entry(l, block, 0, ".");
	fill_entry(l, block, 1, "..");
}

const char *mkfs(int fd, const struct mkfs_options *options)
{
	struct layout l;
	const char *wrong = lay_out(options, &l);
	uint8_t *area, *inode_map, *zone_map, *table;
	size_t size, done = 0;

	if (wrong)
		return wrong;
	size = (size_t)(l.first_data_zone + 1) * l.block_size;
	area = calloc(1, size > 8192 ? size : 8192);
	if (!area)
		return "out of memory";
	inode_map = area + MINIX_FIRST_BITMAP_BLOCK * l.block_size;
	zone_map = inode_map + (size_t)l.inode_map_blocks * l.block_size;
	table = zone_map + (size_t)l.zone_map_blocks * l.block_size;
	fill_super(&l, area);
	fill_bitmap(inode_map, (size_t)l.inode_map_blocks * l.block_size,
		    l.inode_count + 1);
	fill_bitmap(zone_map, (size_t)l.zone_map_blocks * l.block_size,
		    l.zone_count - l.first_data_zone + 1);
	fill_root(&l, options, table,
		  area + (size_t)l.first_data_zone * l.block_size);
	while (done < size) {
		ssize_t n = pwrite(fd, area + done, size - done,
				   options->offset_bytes + done);

		if (n <= 0)
			break;
		done += n;
	}
	free(area);
	return done < size ? "cannot write the image" : NULL;
}
