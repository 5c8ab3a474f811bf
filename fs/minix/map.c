/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a file's blocks to zones: seven direct ones, then a single, a double
 * and a triple indirect tree. A zone number of 0 is a hole.
 */

#include "fs/minix/internal.h"

/* Where a zone number is kept: in an inode (buf NULL) or an indirect block. */
struct place {
	struct cache_buf *buf;
	void *number;                   /* 16 bits in an indirect block of V1 */
};

/* The way to a file block: an index in the inode, then one a level. */
struct route {
	uint32_t levels;
	uint32_t index[4];
};

static uint32_t number_at(const struct fsys *fs, const struct place *place)
{
	if (place->buf && fs->version == 1)
		return *(const uint16_t *)place->number;
	return *(const uint32_t *)place->number;
}

static uint32_t numbers_per_block(const struct fsys *fs)
{
	return fs->block_size / fs->number_bytes;
}

static int levels_max(const struct fsys *fs)
{
	return fs->version == 1 ? 2 : 3;
}

uint64_t map_blocks_max(const struct fsys *fs)
{
	uint64_t per = numbers_per_block(fs), blocks = MINIX_DIRECT_ZONES, span = per;
	int level;

	for (level = 1; level <= levels_max(fs); level++, span *= per)
		blocks += span;
	return blocks;
}

uint64_t map_zones_of_size(const struct fsys *fs, uint64_t size_bytes)
{
	uint64_t per = numbers_per_block(fs);
	uint64_t blocks = (size_bytes + fs->block_size - 1) / fs->block_size;
	uint64_t total = blocks;
	uint64_t left = blocks > MINIX_DIRECT_ZONES ? blocks - MINIX_DIRECT_ZONES : 0;
	uint64_t span = per;
	int level;

	for (level = 1; left && level <= 3; level++, span *= per) {
		uint64_t here = left < span ? left : span;
		uint64_t need = here;
		int depth;

		for (depth = 0; depth < level; depth++) {
			need = (need + per - 1) / per;
			total += need;
		}
		left -= here;
	}
	return total;
}

static int find_route(struct fsys *fs, uint32_t file_block, struct route *out)
{
	uint32_t per = numbers_per_block(fs);
	uint64_t left = file_block;
	uint64_t span = per;
	uint32_t level;

	if (left < MINIX_DIRECT_ZONES) {
		out->levels = 0;
		out->index[0] = left;
		return 0;
	}
	left -= MINIX_DIRECT_ZONES;
	for (level = 1; level <= (uint32_t)levels_max(fs) && left >= span; level++) {
		left -= span;
		span *= per;
	}
	if (level > (uint32_t)levels_max(fs))
		return -X_EFBIG;
	out->levels = level;
	out->index[0] = MINIX_ZONE_SINGLE + level - 1;
	while (level > 0) {
		out->index[level--] = left % per;
		left /= per;
	}
	return 0;
}

static int check_zone(struct fsys *fs, uint32_t zone)
{
	if (zone >= fs->first_data_zone && zone < fs->zone_count)
		return 0;
	return fsys_damaged(fs, "a file has a zone outside the data area");
}

/* PLACE is kept for a change; without KEEP, good until the next cache call. */
static int get_indirect(struct fsys *fs, uint32_t zone, uint32_t index,
			bool keep, struct place *out)
{
	int status = check_zone(fs, zone);

	if (!status)
		status = keep ? cache_get(&fs->cache, zone, &out->buf)
			      : cache_peek(&fs->cache, zone, &out->buf);
	if (!status)
		out->number = out->buf->frame + index * fs->number_bytes;
	return status;
}

int map_lookup(struct fsys *fs, struct fsys_node *ip, uint32_t file_block,
	       uint32_t *zone)
{
	struct route route;
	struct place place;
	uint32_t level;
	int status = find_route(fs, file_block, &route);

	if (status)
		return status;
	*zone = ip->zone[route.index[0]];
	for (level = 1; *zone && level <= route.levels; level++) {
		status = get_indirect(fs, *zone, route.index[level], false, &place);
		if (status)
			return status;
		*zone = number_at(fs, &place);
	}
	return *zone ? check_zone(fs, *zone) : 0;
}

static int set_number(struct fsys *fs, struct fsys_node *ip,
		      const struct place *place, uint32_t zone)
{
	int status;

	if (place->buf)
		status = op_modify(place->buf, place->number, fs->number_bytes);
	else
		status = op_modify_inode(fs, ip);
	if (status)
		return status;
	if (place->buf && fs->version == 1)
		*(uint16_t *)place->number = zone;
	else
		*(uint32_t *)place->number = zone;
	return 0;
}

/* Fills the hole at PLACE with a new zone. */
static int fill(struct fsys *fs, struct fsys_node *ip,
		const struct place *place, bool indirect)
{
	struct cache_buf *buf;
	uint32_t zone;
	int status = bitmap_alloc_zone(fs, ip->goal_zone, &zone);

	if (status)
		return status;
	if (indirect) {
		status = cache_get_fresh(&fs->cache, zone, &buf);
		if (!status)
			status = op_note_fresh(fs, buf);
		if (status)
			return status;
	}
	ip->goal_zone = zone + 1;
	return set_number(fs, ip, place, zone);
}

int map_alloc(struct fsys *fs, struct fsys_node *ip, uint32_t file_block,
	      uint32_t *zone, bool *fresh)
{
	struct place place = { NULL, NULL };
	struct route route;
	uint32_t level;
	int status = find_route(fs, file_block, &route);

	if (status)
		return status;
	*fresh = false;
	place.number = &ip->zone[route.index[0]];
	for (level = 0;; level++) {
		if (!number_at(fs, &place)) {
			status = fill(fs, ip, &place, level < route.levels);
			if (status)
				return status;
			*fresh = true;
		}
		if (level == route.levels)
			break;
		status = get_indirect(fs, number_at(fs, &place), route.index[level + 1],
				      true, &place);
		if (status)
			return status;
	}
	*zone = number_at(fs, &place);
	ip->goal_zone = *zone + 1;
	return check_zone(fs, *zone);
}

/* ---- freeing ------------------------------------------------------------- */

int map_free(struct fsys *fs, struct fsys_node *ip, uint32_t file_block)
{
	struct place place = { NULL, NULL };
	struct route route;
	uint32_t level, zone;
	int status = find_route(fs, file_block, &route);

	if (status)
		return status;
	place.number = &ip->zone[route.index[0]];
	for (level = 0; number_at(fs, &place) && level < route.levels; level++) {
		status = get_indirect(fs, number_at(fs, &place), route.index[level + 1], true, &place);
		if (status)
			return status;
	}
	zone = number_at(fs, &place);
	if (!zone)
		return 0;
	status = check_zone(fs, zone);
	if (!status)
		status = set_number(fs, ip, &place, 0);
	if (!status)
		status = bitmap_free_zone(fs, zone);
	return status ? status : 1;
}

struct trim {
	struct fsys *fs;
	struct fsys_node *ip;
	uint32_t zones_left;            /* that this step may still free */
};

static int trim_free(struct trim *trim, const struct place *place)
{
	struct fsys *fs = trim->fs;
	uint32_t zone = number_at(fs, place);
	int status;

	if (!trim->zones_left)
		return -X_EAGAIN;
	trim->zones_left--;
	status = check_zone(fs, zone);
	if (!status)
		status = set_number(fs, trim->ip, place, 0);
	return status ? status : bitmap_free_zone(fs, zone);
}

/*
 * Frees the blocks from KEEP on of the tree at PLACE, whose leaves are LEVEL
 * below, and the tree itself if nothing of it is kept. At most three deep.
 */
static int trim_tree(struct trim *trim, const struct place *place, int level,
		     uint64_t keep)
{
	uint32_t per = numbers_per_block(trim->fs);
	uint64_t child_span = 1;
	struct place block;
	uint32_t first, i;
	int status, depth;

	if (level == 0 || !number_at(trim->fs, place))
		return number_at(trim->fs, place) && !keep ? trim_free(trim, place) : 0;
	for (depth = 1; depth < level; depth++)
		child_span *= per;
	first = keep / child_span;
	status = get_indirect(trim->fs, number_at(trim->fs, place), 0, true, &block);
	for (i = per; !status && i-- > first;) {
		struct place child = { block.buf,
				       (uint8_t *)block.number + i * trim->fs->number_bytes };

		if (number_at(trim->fs, &child))
			status = trim_tree(trim, &child, level - 1,
					   i == first ? keep % child_span : 0);
	}
	if (status)
		return status;
	return keep ? 0 : trim_free(trim, place);
}

int map_trim(struct fsys *fs, struct fsys_node *ip)
{
	struct trim trim = { fs, ip, MINIX_TRIM_ZONES };
	uint64_t keep = (ip->size_bytes + fs->block_size - 1) /
			fs->block_size;
	uint64_t per = numbers_per_block(fs);
	uint64_t start = map_blocks_max(fs);
	uint64_t span = levels_max(fs) == 3 ? per * per * per : per * per;
	int level, index;
	int status = op_modify_inode(fs, ip);

	for (level = levels_max(fs); !status && level > 0; level--, span /= per) {
		struct place place = { NULL, &ip->zone[MINIX_ZONE_SINGLE + level - 1] };

		start -= span;
		if (keep < start + span)
			status = trim_tree(&trim, &place, level,
					   keep > start ? keep - start : 0);
	}
	for (index = MINIX_DIRECT_ZONES - 1; !status && index >= (int64_t)keep; index--) {
		struct place place = { NULL, &ip->zone[index] };

		status = trim_tree(&trim, &place, 0, 0);
	}
	if (!status || status == -X_EAGAIN)
		ip->goal_zone = 0;
	return status;
}
