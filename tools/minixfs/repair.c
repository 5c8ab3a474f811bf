/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is left to put right when the tree of names is good: what has a link count and
 * no name (a power cut fell between the two halves of a rename, or of making or removing
 * a file) gets one, and bitmaps, link counts and the inode table become what was found.
 */

#include "tools/minixfs/check_state.h"

#include <stdlib.h>
#include <string.h>

enum { NAMES_MAX = 100 };               /* lost+found.N */

static void say(struct check *c, const char *what, uint32_t number, const char *change)
{
	if (c->report)
		fprintf(c->report, "%s %u: %s\n", what, number, change);
}

/* ---- lost files ------------------------------------------------------------- */

/* Used, with links, and nobody leads there. Others without a name were on their way out. */
static bool is_lost(const struct check *c, uint32_t ino)
{
	const struct minix_inode_disk *inode = &c->inodes[ino - 1];

	return !c->links[ino] && inode->mode && inode->link_count && check_bit(c->inode_map, ino);
}

/* Directories first: what is in them is not lost any more. */
static uint32_t find_lost(struct check *c, uint32_t parent, uint32_t *lost)
{
	uint32_t count = 0, ino, dirs;

	for (dirs = 2; dirs-- > 0;)
		for (ino = 1; ino <= c->super.inode_count; ino++) {
			if (!is_lost(c, ino) || FSYS_ISDIR(c->inodes[ino - 1].mode) != (bool)dirs || ino == parent)
				continue;
			c->links[ino] = 1;
			c->parent[ino] = parent;
			if (!check_inode(c, ino)) {
				c->links[ino] = 0;
				continue;
			}
			check_walk(c);
			if (!c->inodes[ino - 1].mode)
				c->links[ino] = 0; /* a directory without a beginning */
			else
				lost[count++] = ino;
		}
	return count;
}

static uint32_t free_inode(const struct check *c)
{
	uint32_t ino;

	for (ino = FSYS_ROOT_INO + 1; ino <= c->super.inode_count; ino++)
		if (!c->links[ino] && !c->inodes[ino - 1].mode)
			return ino;
	return 0;
}

static uint32_t take_zone(struct check *c, uint32_t ino)
{
	uint32_t zone;

	for (zone = c->first_zone; zone < c->super.zone_count; zone++)
		if (!c->owner[zone]) {
			c->owner[zone] = ino;
			return zone;
		}
	return 0;
}

static void put_entry(const struct check *c, uint8_t *at, uint32_t ino, const char *name)
{
	memset(at, 0, c->entry_bytes);
	if (c->version == 3)
		*(uint32_t *)at = ino;
	else
		*(uint16_t *)at = ino;
	memcpy(at + c->entry_bytes - c->name_bytes, name, strlen(name));
}

/* An entry in a directory: in a free slot, or behind the last, in the direct blocks. */
static bool add_name(struct check *c, uint32_t dir, uint32_t ino, const char *name)
{
	struct minix_inode_disk *inode = &c->inodes[dir - 1];
	uint32_t at = 2 * c->entry_bytes, most = MINIX_DIRECT_ZONES * c->block_size;
	uint8_t *block = calloc(1, c->block_size);
	bool good = false;

	for (; block && at < most; at += c->entry_bytes) {
		uint32_t *zone = &inode->zone[at / c->block_size], in_block = at % c->block_size;
		bool fresh = at >= inode->size_bytes && !*zone;

		if (fresh)
			*zone = take_zone(c, dir);
		if (!*zone || (!fresh && !check_read(c, *zone, 1, block)))
			break;
		if (fresh)
			memset(block, 0, c->block_size);
		if (at < inode->size_bytes && (c->version == 3 ? *(uint32_t *)(block + in_block) : *(uint16_t *)(block + in_block)))
			continue;
		put_entry(c, block + in_block, ino, name);
		good = check_write(c, *zone, 1, block);
		if (at >= inode->size_bytes)
			inode->size_bytes = at + c->entry_bytes;
		break;
	}
	free(block);
	return good;
}

static bool name_is_taken(struct check *c, const char *name)
{
	const struct minix_inode_disk *root = &c->inodes[FSYS_ROOT_INO - 1];
	uint8_t *block = calloc(1, c->block_size);
	bool taken = false;
	uint32_t at;

	for (at = 0; block && at < root->size_bytes && at < MINIX_DIRECT_ZONES * c->block_size; at += c->entry_bytes) {
		const uint8_t *entry = block + at % c->block_size;

		if (at % c->block_size == 0 && !check_read(c, root->zone[at / c->block_size], 1, block))
			break;
		taken |= !strncmp((const char *)entry + c->entry_bytes - c->name_bytes, name, c->name_bytes);
	}
	free(block);
	return taken;
}

/* A new directory in the root. False: there is no room. */
static bool make_directory(struct check *c, uint32_t ino)
{
	uint32_t zone = take_zone(c, ino), n;
	uint8_t *block = calloc(1, c->block_size);
	char name[32] = "lost+found";
	bool good;

	for (n = 1; n < NAMES_MAX && name_is_taken(c, name); n++)
		snprintf(name, sizeof(name), "lost+found.%u", n);
	if (!zone || !block) {
		free(block);
		return false;
	}
	c->inodes[ino - 1] = (struct minix_inode_disk){ .mode = FSYS_S_IFDIR | 0700, .size_bytes = 2 * c->entry_bytes,
							 .zone = { zone } };
	put_entry(c, block, ino, ".");
	put_entry(c, block + c->entry_bytes, FSYS_ROOT_INO, "..");
	good = check_write(c, zone, 1, block) && add_name(c, FSYS_ROOT_INO, ino, name);
	free(block);
	if (!good) {
		c->owner[zone] = 0;
		memset(&c->inodes[ino - 1], 0, sizeof(c->inodes[0]));
		return false;
	}
	c->links[ino] += 2;             /* beside the ".." of those that are in it */
	c->links[FSYS_ROOT_INO]++;
	return true;
}

void repair_lost(struct check *c)
{
	uint32_t *lost = calloc(c->super.inode_count + 1ull, sizeof(*lost)), count = 0, i;
	uint32_t dir = free_inode(c);
	bool made;

	/* Their zones are known before any is taken for the directory. */
	if (lost && dir)
		count = find_lost(c, dir, lost);
	made = count && make_directory(c, dir);
	for (i = 0; i < count; i++) {
		char name[16];

		snprintf(name, sizeof(name), "#%u", lost[i]);
		if (made && add_name(c, dir, lost[i], name))
			say(c, "inode", lost[i], "it had no name, and is in lost+found now");
		else if (--c->links[lost[i]] == 0)
			say(c, "inode", lost[i], "it had no name, and there is no room for one");
	}
	free(lost);
}

/* ---- tables ------------------------------------------------------------------ */

static void set_bit(uint8_t *map, uint32_t bit, bool used)
{
	if (used)
		map[bit / 8] |= 1u << bit % 8;
	else
		map[bit / 8] &= ~(1u << bit % 8);
}

static void settle_inodes(struct check *c)
{
	uint32_t ino;

	set_bit(c->inode_map, 0, true);
	for (ino = 1; ino <= c->super.inode_count; ino++) {
		struct minix_inode_disk *inode = &c->inodes[ino - 1];

		if (check_bit(c->inode_map, ino) != !!c->links[ino])
			say(c, "inode", ino, "its bit is wrong");
		set_bit(c->inode_map, ino, c->links[ino]);
		if (!c->links[ino])
			memset(inode, 0, sizeof(*inode));
		else if (inode->link_count != c->links[ino])
			say(c, "inode", ino, "its link count is wrong");
		inode->link_count = c->links[ino];
	}
}

static void settle_zones(struct check *c)
{
	uint32_t zone;

	set_bit(c->zone_map, 0, true);
	for (zone = c->first_zone; zone < c->super.zone_count; zone++) {
		/* What belonged to a file that is given up is free. */
		bool used = c->owner[zone] && c->links[c->owner[zone]];

		if (check_bit(c->zone_map, zone - c->first_zone + 1) != used)
			say(c, "zone", zone, "its bit is wrong");
		set_bit(c->zone_map, zone - c->first_zone + 1, used);
	}
}

static void narrow_inodes(struct check *c)
{
	uint32_t i, zone;

	for (i = 0; i < c->super.inode_count; i++) {
		const struct minix_inode_disk *from = &c->inodes[i];
		struct minix_old_inode_disk *to = &c->old_inodes[i];

		if (!from->mode)
			memset(to, 0, sizeof(*to));
		to->mode = from->mode;
		to->link_count = from->link_count;
		to->size_bytes = from->size_bytes;
		for (zone = 0; zone < MINIX_OLD_ZONES; zone++)
			to->zone[zone] = from->zone[zone];
	}
}

bool repair_tables(struct check *c)
{
	const struct minix_super_disk *s = &c->super;
	uint32_t block = MINIX_FIRST_BITMAP_BLOCK;
	uint32_t table_blocks = (s->inode_count * (uint64_t)c->inode_bytes + c->block_size - 1) / c->block_size;
	bool good;

	settle_inodes(c);
	settle_zones(c);
	if (c->version == 1)
		narrow_inodes(c);
	good = check_write(c, block, s->inode_map_blocks, c->inode_map);
	block += s->inode_map_blocks;
	good = check_write(c, block, s->zone_map_blocks, c->zone_map) && good;
	block += s->zone_map_blocks;
	return check_write(c, block, table_blocks, c->old_inodes ? (const void *)c->old_inodes : c->inodes) && good;
}
