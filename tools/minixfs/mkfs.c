/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Making an empty MINIX V3 filesystem: superblock, bitmaps with all that
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
	uint32_t block_size;
	uint32_t zone_count, inode_count;
	uint32_t inode_map_blocks, zone_map_blocks, inode_table_blocks;
	uint32_t first_data_zone;
};

static uint32_t divide_up(uint64_t a, uint64_t b)
{
	return (a + b - 1) / b;
}

static const char *lay_out(const struct mkfs_options *options, struct layout *l)
{
	uint32_t size = options->block_size;
	uint32_t inodes_per_block = size / sizeof(struct minix_inode_disk);
	uint64_t zones = options->size_bytes / size;
	uint64_t inodes = options->inode_count ? options->inode_count
			: options->size_bytes / BYTES_PER_INODE;
	uint64_t first;

	if (size != 1024 && size != 2048 && size != 4096)
		return "the block size must be 1024, 2048 or 4096";
	if (zones > UINT32_MAX - 1)
		return "too many blocks";
	/* first_data_zone has 16 bits; half of them are for the inodes. */
	if (inodes > 32768ull * inodes_per_block)
		inodes = 32768ull * inodes_per_block;
	inodes = (uint64_t)divide_up(inodes ? inodes : 1, inodes_per_block) *
		 inodes_per_block;
	l->block_size = size;
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

static void fill_super(const struct layout *l, uint8_t *head)
{
	struct minix_super_disk *super =
		(void *)(head + MINIX_SUPER_OFFSET_BYTES);

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

static void fill_root(const struct layout *l, const struct mkfs_options *options,
		      uint8_t *table, uint8_t *block)
{
	struct minix_inode_disk *root = (void *)table;
	struct minix_dirent_disk *slots = (void *)block;

	root->mode = FSYS_S_IFDIR | 0755;
	root->link_count = 2;
	root->size_bytes = 2 * sizeof(*slots);
	root->atime_sec = root->mtime_sec = root->ctime_sec = options->time_sec;
	root->zone[0] = l->first_data_zone;
	slots[0].ino = slots[1].ino = MINIX_ROOT_INO;
	memcpy(slots[0].name, ".", 1);
	memcpy(slots[1].name, "..", 2);
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
	area = calloc(1, size);
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
