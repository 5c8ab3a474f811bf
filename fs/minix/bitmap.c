/* SPDX-License-Identifier: BSD-2-Clause */
/* The inode and zone bitmaps: finding, taking and giving back bits. */

#include "fs/minix/internal.h"

uint32_t bitmap_zone_bits(const struct fsys *fs)
{
	return fs->zone_count - fs->first_data_zone + 1;
}

/* The block that holds a bit, and the word in it. */
static int bit_word(struct fsys *fs, uint32_t first_block, uint32_t bit,
		    struct cache_buf **buf, uint32_t **word)
{
	uint32_t per_block = fs->block_size * 8;
	int status = cache_get(&fs->cache, first_block + bit / per_block,
			       buf);

	if (!status)
		*word = (uint32_t *)(void *)(*buf)->frame + bit % per_block / 32;
	return status;
}

/* The first clear bit of [from, end), all in one block; END if there is none. */
static uint32_t scan_block(const uint32_t *words, uint32_t per_block,
			   uint32_t from, uint32_t end)
{
	uint32_t bit = from;

	while (bit < end) {
		uint32_t word = words[bit % per_block / 32] >> (bit % 32);

		if (word == UINT32_MAX >> (bit % 32)) {
			bit = (bit | 31) + 1;
			continue;
		}
		bit += __builtin_ctz(~word);
		return bit < end ? bit : end;
	}
	return end;
}

/* Looks for a clear bit in [1, bits), from a hint on and around. */
static int find_clear(struct fsys *fs, uint32_t first_block, uint32_t bits,
		      uint32_t hint, uint32_t *found)
{
	uint32_t per_block = fs->block_size * 8;
	uint32_t blocks = (bits + per_block - 1) / per_block;
	uint32_t bit = hint > 0 && hint < bits ? hint : 1;
	uint32_t visited;

	/* One more than there are: the first block is looked at in two parts. */
	for (visited = 0; visited <= blocks; visited++) {
		uint32_t end = (bit / per_block + 1) * per_block;
		struct cache_buf *buf;
		uint32_t *word;
		int status = bit_word(fs, first_block, bit, &buf, &word);

		if (status)
			return status;
		if (end > bits)
			end = bits;
		*found = scan_block((const void *)buf->frame, per_block, bit, end);
		if (*found < end)
			return 0;
		bit = end < bits ? end : 1;
	}
	return -X_ENOSPC;
}

static int change_bit(struct fsys *fs, uint32_t first_block, uint32_t bit,
		      bool set)
{
	uint32_t mask = 1u << bit % 32;
	struct cache_buf *buf;
	uint32_t *word;
	int status = bit_word(fs, first_block, bit, &buf, &word);

	if (status)
		return status;
	if (!!(*word & mask) == set)
		return fsys_damaged(fs, "a bit of a bitmap is not as expected");
	status = op_modify(buf, word, sizeof(*word));
	if (status)
		return status;
	*word ^= mask;
	return 0;
}

static int no_space(const struct fsys *fs)
{
	return fs->reap_count && !fs->reap_idle ? -X_EAGAIN : -X_ENOSPC;
}

static int alloc_bit(struct fsys *fs, uint32_t first_block, uint32_t bits,
		     uint32_t hint, uint32_t *bit)
{
	int status = find_clear(fs, first_block, bits, hint, bit);

	if (status == -X_ENOSPC)
		return no_space(fs);
	return status ? status : change_bit(fs, first_block, *bit, true);
}

int bitmap_alloc_inode(struct fsys *fs, uint32_t near_ino, uint32_t *ino)
{
	uint32_t hint = fs->alloc.inode_hint > near_ino ? fs->alloc.inode_hint
							: near_ino;
	int status;

	if (!fs->alloc.free_inodes)
		return no_space(fs);
	status = alloc_bit(fs, fs->inode_map_block, fs->inode_count + 1, hint, ino);
	if (status)
		return status;
	fs->alloc.free_inodes--;
	fs->alloc.inode_hint = *ino + 1;
	return 0;
}

int bitmap_free_inode(struct fsys *fs, uint32_t ino)
{
	int status = change_bit(fs, fs->inode_map_block, ino, false);

	if (status)
		return status;
	fs->alloc.free_inodes++;
	if (ino < fs->alloc.inode_hint)
		fs->alloc.inode_hint = ino;
	return 0;
}

int bitmap_alloc_zone(struct fsys *fs, uint32_t goal, uint32_t *zone)
{
	uint32_t hint = fs->alloc.zone_hint;
	uint32_t bit;
	int status;

	if (!fs->alloc.free_zones)
		return no_space(fs);
	if (goal >= fs->first_data_zone && goal < fs->zone_count)
		hint = goal - fs->first_data_zone + 1;
	status = alloc_bit(fs, fs->zone_map_block, bitmap_zone_bits(fs), hint, &bit);
	if (status)
		return status;
	fs->alloc.free_zones--;
	fs->alloc.zone_hint = bit + 1;
	*zone = fs->first_data_zone + bit - 1;
	return 0;
}

int bitmap_free_zone(struct fsys *fs, uint32_t zone)
{
	int status = change_bit(fs, fs->zone_map_block,
				zone - fs->first_data_zone + 1, false);

	if (status)
		return status;
	fs->alloc.free_zones++;
	return op_note_freed(zone);
}

int bitmap_inode_is_used(struct fsys *fs, uint32_t ino, bool *used)
{
	struct cache_buf *buf;
	uint32_t *word;
	int status = bit_word(fs, fs->inode_map_block, ino, &buf, &word);

	if (!status)
		*used = *word >> ino % 32 & 1;
	return status;
}

static uint32_t count_clear(const uint32_t *words, uint32_t bits)
{
	uint32_t clear = 0;
	uint32_t i;

	for (i = 0; i < bits / 32; i++)
		clear += __builtin_popcount(~words[i]);
	if (bits % 32)
		clear += __builtin_popcount(~words[i] & ((1u << bits % 32) - 1));
	return clear;
}

int bitmap_count_free(struct fsys *fs, uint32_t first_block, uint32_t bits,
		      uint32_t *next_block, uint32_t *free_count)
{
	uint32_t per_block = fs->block_size * 8;
	uint32_t blocks = (bits + per_block - 1) / per_block;
	uint32_t ahead;

	for (ahead = *next_block; ahead < blocks && ahead < *next_block + 32; ahead++)
		cache_prefetch(&fs->cache, first_block + ahead);
	while (*next_block < blocks) {
		uint32_t in_block = bits - *next_block * per_block;
		struct cache_buf *buf;
		int status = cache_get(&fs->cache, first_block + *next_block,
				       &buf);

		if (status)
			return status;
		if (in_block > per_block)
			in_block = per_block;
		*free_count += count_clear((const void *)buf->frame, in_block);
		++*next_block;
		op_forget(fs);
	}
	return 0;
}
