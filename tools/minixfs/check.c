/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a MINIX filesystem, V1 to V3: everything reachable from the root is
 * walked once, and what was found is compared with the bitmaps and the link
 * counts. Shares the format with the filesystem core and nothing else, so
 * that a mistake there shows here.
 */

#include "tools/minixfs/check_state.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REPORTS_MAX = 100 };

void check_problem(struct check *c, const char *format, ...)
{
	va_list arguments;

	if (c->result->problems++ >= REPORTS_MAX || !c->report)
		return;
	va_start(arguments, format);
	vfprintf(c->report, format, arguments);
	va_end(arguments);
	fputc('\n', c->report);
}

uint64_t disk_bytes(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);

	return end < 0 ? 0 : (uint64_t)end;
}

bool check_read(struct check *c, uint32_t block, uint32_t count, void *out)
{
	size_t length = (size_t)count * c->block_size;
	uint64_t at = c->offset_bytes + (uint64_t)block * c->block_size;
	size_t done = 0;

	while (done < length) {
		ssize_t n = pread(c->fd, (char *)out + done, length - done, at + done);

		if (n <= 0)
			return false;
		done += n;
	}
	return true;
}

bool check_write(struct check *c, uint32_t block, uint32_t count, const void *data)
{
	size_t length = (size_t)count * c->block_size;

	return pwrite(c->fd, data, length, c->offset_bytes + (uint64_t)block * c->block_size) == (ssize_t)length;
}

/* ---- loading ----------------------------------------------------------- */

static bool find_version(struct check *c)
{
	struct minix_old_super_disk old;

	memcpy(&old, &c->super, sizeof(old));
	c->version = 3;
	c->name_bytes = MINIX_NAME_MAX;
	if (c->super.magic != MINIX_V3_MAGIC) {
		bool first = old.magic == MINIX_V1_MAGIC || old.magic == MINIX_V1_LONG_MAGIC;

		if (!first && old.magic != MINIX_V2_MAGIC && old.magic != MINIX_V2_LONG_MAGIC)
			return false;
		c->version = first ? 1 : 2;
		c->name_bytes = old.magic == MINIX_V1_MAGIC || old.magic == MINIX_V2_MAGIC ? 14 : 30;
		c->super = (struct minix_super_disk){
			.inode_count = old.inode_count, .inode_map_blocks = old.inode_map_blocks,
			.zone_map_blocks = old.zone_map_blocks,
			.first_data_zone = old.first_data_zone, .log_zone_size = old.log_zone_size,
			.max_size_bytes = old.max_size_bytes, .block_size_bytes = 1024,
			.zone_count = first ? old.zone_count : old.zone_count_long,
		};
	}
	c->inode_bytes = c->version == 1 ? 32 : 64;
	c->entry_bytes = c->name_bytes + (c->version == 3 ? 4 : 2);
	c->number_bytes = c->version == 1 ? 2 : 4;
	return true;
}

static const char *check_super(struct check *c)
{
	const struct minix_super_disk *s = &c->super;
	uint64_t bits, first;

	if (pread(c->fd, &c->super, sizeof(c->super),
		  c->offset_bytes + MINIX_SUPER_OFFSET_BYTES) != sizeof(c->super))
		return "cannot read the superblock";
	if (!find_version(c))
		return "no MINIX superblock";
	c->block_size = s->block_size_bytes;
	if (c->block_size < MINIX_BLOCK_SIZE_MIN || c->block_size > MINIX_BLOCK_SIZE_MAX ||
	    c->block_size & (c->block_size - 1))
		return "wild block size";
	if (s->log_zone_size)
		return "zones of several blocks are not supported";
	bits = c->block_size * 8ull;
	first = 2ull + s->inode_map_blocks + s->zone_map_blocks +
		(s->inode_count * (uint64_t)c->inode_bytes + c->block_size - 1) / c->block_size;
	c->first_zone = s->first_data_zone ? s->first_data_zone : first;
	if (!s->inode_count || first > c->first_zone || c->first_zone >= s->zone_count)
		return "the superblock's layout is impossible";
	if (s->inode_map_blocks * bits < s->inode_count + 1ull ||
	    s->zone_map_blocks * bits < s->zone_count - c->first_zone + 1ull)
		return "a bitmap is too small";
	if (c->offset_bytes + (uint64_t)s->zone_count * c->block_size > disk_bytes(c->fd))
		return "the filesystem is larger than its image";
	return NULL;
}

static void widen_inodes(struct check *c)
{
	const struct minix_old_inode_disk *old = c->old_inodes;
	uint32_t i = c->super.inode_count, zone;

	while (i-- > 0) {
		struct minix_old_inode_disk from = old[i];
		struct minix_inode_disk *to = &c->inodes[i];

		memset(to, 0, sizeof(*to));
		to->mode = from.mode;
		to->link_count = from.link_count;
		to->size_bytes = from.size_bytes;
		for (zone = 0; zone < MINIX_OLD_ZONES; zone++)
			to->zone[zone] = from.zone[zone];
	}
}

static const char *load(struct check *c)
{
	const struct minix_super_disk *s = &c->super;
	uint32_t table_blocks = (s->inode_count * (uint64_t)c->inode_bytes + c->block_size - 1) /
				c->block_size;
	uint32_t block = MINIX_FIRST_BITMAP_BLOCK;
	bool good;

	c->inode_map = malloc((size_t)s->inode_map_blocks * c->block_size);
	c->zone_map = malloc((size_t)s->zone_map_blocks * c->block_size);
	c->inodes = malloc((size_t)table_blocks * c->block_size * (64 / c->inode_bytes));
	c->owner = calloc(s->zone_count, sizeof(*c->owner));
	c->links = calloc(s->inode_count + 1ull, sizeof(*c->links));
	c->parent = calloc(s->inode_count + 1ull, sizeof(*c->parent));
	c->todo = calloc(s->inode_count + 1ull, sizeof(*c->todo));
	if (!c->inode_map || !c->zone_map || !c->inodes || !c->owner ||
	    !c->links || !c->parent || !c->todo)
		return "out of memory";
	good = check_read(c, block, s->inode_map_blocks, c->inode_map);
	block += s->inode_map_blocks;
	good = good && check_read(c, block, s->zone_map_blocks, c->zone_map);
	block += s->zone_map_blocks;
	if (c->version == 1)
		c->old_inodes = malloc((size_t)table_blocks * c->block_size);
	good = good && check_read(c, block, table_blocks, c->old_inodes ? (void *)c->old_inodes : c->inodes);
	if (good && c->version == 1)
		widen_inodes(c);
	return good ? NULL : "cannot read the image";
}

static void unload(struct check *c)
{
	free(c->inode_map);
	free(c->zone_map);
	free(c->inodes);
	free(c->old_inodes);
	free(c->owner);
	free(c->links);
	free(c->parent);
	free(c->todo);
}

/* ---- zones ----------------------------------------------------------------- */

static bool claim_zone(struct check *c, uint32_t ino, uint32_t zone)
{
	if (zone < c->first_zone || zone >= c->super.zone_count) {
		check_problem(c, "inode %u: zone %u lies outside the data area", ino, zone);
		return false;
	}
	if (c->owner[zone]) {
		check_problem(c, "inode %u: zone %u belongs to inode %u too", ino, zone,
			c->owner[zone]);
		return false;
	}
	c->owner[zone] = ino;
	c->result->zones_used++;
	return true;
}

struct file {
	uint32_t ino;
	uint32_t *zones;        /* of the first blocks, for directories */
	uint64_t zone_max;
	uint64_t blocks;        /* by the file's size */
};

/* Gives a zone back that was claimed. */
static bool unclaim(struct check *c, uint32_t zone)
{
	c->owner[zone] = 0;
	c->result->zones_used--;
	return false;
}

static bool walk_tree(struct check *c, struct file *file, uint32_t zone, int level, uint64_t first, uint64_t span);

static void walk_numbers(struct check *c, struct file *file, uint32_t zone, int level,
			 uint64_t first, uint64_t span)
{
	uint32_t per = c->block_size / c->number_bytes, i;
	void *numbers = malloc(c->block_size);
	bool changed = false;

	if (!numbers || !check_read(c, zone, 1, numbers)) {
		check_problem(c, "inode %u: zone %u can't be read", file->ino, zone);
		free(numbers);
		return;
	}
	for (i = 0; i < per; i++) {
		uint32_t number = c->version == 1 ? ((uint16_t *)numbers)[i] : ((uint32_t *)numbers)[i];

		if (walk_tree(c, file, number, level - 1, first + i * (span / per), span / per))
			continue;
		changed = true;
		if (c->version == 1)
			((uint16_t *)numbers)[i] = 0;
		else
			((uint32_t *)numbers)[i] = 0;
	}
	if (changed && c->repair)
		check_write(c, zone, 1, numbers);
	free(numbers);
}

/* False: nothing may point there. */
static bool walk_tree(struct check *c, struct file *file, uint32_t zone,
		      int level, uint64_t first, uint64_t span)
{
	if (!zone)
		return true;
	if (!claim_zone(c, file->ino, zone))
		return false;
	if (level > 0) {
		walk_numbers(c, file, zone, level, first, span);
		return true;
	}
	if (first >= file->blocks) {
		check_problem(c, "inode %u: zone %u lies behind its end", file->ino, zone);
		return unclaim(c, zone);
	}
	if (first < file->zone_max)
		file->zones[first] = zone;
	return true;
}

static void walk_pointer(struct check *c, struct file *file, uint32_t *zone, int level,
			 uint64_t first, uint64_t span)
{
	if (!walk_tree(c, file, *zone, level, first, span) && c->repair)
		*zone = 0;
}

static void walk_zones(struct check *c, struct file *file,
		       struct minix_inode_disk *inode)
{
	uint64_t per = c->block_size / c->number_bytes;
	uint64_t first = MINIX_DIRECT_ZONES;
	uint64_t span = per;
	int i;

	file->blocks = ((uint64_t)inode->size_bytes + c->block_size - 1) /
		       c->block_size;
	for (i = 0; i < MINIX_DIRECT_ZONES; i++)
		walk_pointer(c, file, &inode->zone[i], 0, i, 1);
	for (i = 1; i <= (c->version == 1 ? 2 : 3); i++, first += span, span *= per)
		walk_pointer(c, file, &inode->zone[MINIX_ZONE_SINGLE + i - 1], i, first, span);
}

/* ---- inodes and directories ------------------------------------------------- */

static bool check_sizes(struct check *c, uint32_t ino, struct minix_inode_disk *inode)
{
	if (inode->size_bytes > c->super.max_size_bytes) {
		check_problem(c, "inode %u: its size is %u", ino, inode->size_bytes);
		if (c->repair)
			inode->size_bytes = c->super.max_size_bytes;
	}
	if (FSYS_ISLNK(inode->mode) && (!inode->size_bytes || inode->size_bytes > c->block_size)) {
		check_problem(c, "inode %u: a link of %u bytes", ino, inode->size_bytes);
		return false;
	}
	if (!FSYS_ISDIR(inode->mode))
		return true;
	if (inode->size_bytes / c->entry_bytes < 2 || inode->size_bytes / c->block_size > c->super.zone_count) {
		check_problem(c, "directory %u: its size is %u", ino, inode->size_bytes);
		return false;
	}
	if (inode->size_bytes % c->entry_bytes) {
		check_problem(c, "directory %u: its size is %u", ino, inode->size_bytes);
		if (c->repair)
			inode->size_bytes -= inode->size_bytes % c->entry_bytes;
	}
	return true;
}

bool check_inode(struct check *c, uint32_t ino)
{
	struct minix_inode_disk *inode = &c->inodes[ino - 1];
	struct file file = { .ino = ino };

	switch (inode->mode & FSYS_S_IFMT) {
	case FSYS_S_IFREG: case FSYS_S_IFLNK: case FSYS_S_IFDIR: case FSYS_S_IFCHR:
	case FSYS_S_IFBLK: case FSYS_S_IFIFO: case FSYS_S_IFSOCK:
		break;
	default:
		check_problem(c, "inode %u: its mode is %o", ino, inode->mode);
		return false;
	}
	if (!check_sizes(c, ino, inode))
		return false;
	c->result->inodes_used++;
	c->result->files += FSYS_ISREG(inode->mode);
	c->result->directories += FSYS_ISDIR(inode->mode);
	c->result->others += !FSYS_ISREG(inode->mode) && !FSYS_ISDIR(inode->mode);
	if (FSYS_ISDIR(inode->mode)) /* its zones are walked with its entries */
		c->todo[c->todo_count++] = ino;
	else if (FSYS_ISREG(inode->mode) || FSYS_ISLNK(inode->mode))
		walk_zones(c, &file, inode);
	return true;
}

/* False: it is not what it must be. */
static bool check_dot(struct check *c, uint32_t dir, uint32_t index,
		      const struct minix_dirent_disk *slot)
{
	static const char *const names[] = { ".", ".." };
	uint32_t wanted = index ? c->parent[dir] : dir;

	c->links[wanted]++;
	if (strncmp(slot->name, names[index], MINIX_NAME_MAX))
		check_problem(c, "directory %u: entry %u is not \"%s\"", dir, index,
			names[index]);
	else if (slot->ino != wanted)
		check_problem(c, "directory %u: \"%s\" is %u, not %u", dir, names[index],
			slot->ino, wanted);
	else
		return true;
	return false;
}

static bool name_is_good(const struct minix_dirent_disk *slot)
{
	size_t length = strnlen(slot->name, MINIX_NAME_MAX);

	return length && !memchr(slot->name, '/', length) &&
	       strcmp(slot->name, ".") && strcmp(slot->name, "..");
}

/* False: the entry may not stay. */
static bool check_entry(struct check *c, uint32_t dir, uint32_t index,
			const struct minix_dirent_disk *slot)
{
	uint32_t ino = slot->ino;

	if (!ino)
		return true;
	if (!name_is_good(slot)) {
		check_problem(c, "directory %u: entry %u has a bad name", dir, index);
		return false;
	}
	if (ino > c->super.inode_count) {
		check_problem(c, "directory %u: entry %u is inode %u, which can't be", dir,
			index, ino);
		return false;
	}
	if (c->links[ino] && FSYS_ISDIR(c->inodes[ino - 1].mode)) {
		check_problem(c, "directory %u: inode %u is a directory elsewhere too", dir,
			ino);
		return false;
	}
	if (c->links[ino]++)
		return true;
	c->parent[ino] = dir;
	if (check_inode(c, ino))
		return true;
	c->links[ino]--;
	return false;
}

/* A directory's blocks, and its entries as if they were V3's. */
struct listing {
	uint64_t count, blocks;
	uint32_t *zones;
	uint8_t *raw;
	struct minix_dirent_disk *slots;
	bool changed;
};

static void set_entry(struct check *c, struct listing *l, uint64_t index, uint32_t ino, const char *name)
{
	uint8_t *at = l->raw + index * c->entry_bytes;

	memset(at, 0, c->entry_bytes);
	if (c->version == 3)
		*(uint32_t *)at = ino;
	else
		*(uint16_t *)at = ino;
	memcpy(at + c->entry_bytes - c->name_bytes, name, strlen(name));
	l->slots[index].ino = ino;
	l->changed = true;
}

/* Of names that are there twice the later goes; its inode has one link too many till the next pass. */
static void check_doubles(struct check *c, uint32_t dir, struct listing *l)
{
	uint64_t i, k, buckets = l->count * 2 + 1;
	uint32_t *first = calloc(buckets, sizeof(*first));

	for (i = 0; first && i < l->count; i++) {
		uint64_t hash = 5381;

		if (!l->slots[i].ino)
			continue;
		for (k = 0; k < MINIX_NAME_MAX && l->slots[i].name[k]; k++)
			hash = hash * 33 + (uint8_t)l->slots[i].name[k];
		for (k = hash % buckets; first[k]; k = (k + 1) % buckets)
			if (!strncmp(l->slots[first[k] - 1].name, l->slots[i].name, MINIX_NAME_MAX))
				break;
		if (!first[k]) {
			first[k] = i + 1;
			continue;
		}
		check_problem(c, "directory %u: \"%.60s\" is there twice", dir, l->slots[i].name);
		if (c->repair)
			set_entry(c, l, i, 0, "");
	}
	free(first);
}

/* A directory ends ahead of a hole; one that has no beginning is none. */
static void cut_at(struct check *c, uint32_t dir, struct listing *l, uint64_t block)
{
	struct minix_inode_disk *inode = &c->inodes[dir - 1];

	check_problem(c, "directory %u: it has a hole", dir);
	if (!c->repair)
		return;
	if (!block)
		inode->mode = 0;
	else if (inode->size_bytes > block * c->block_size)
		inode->size_bytes = block * c->block_size;
	if (l->count > block * c->block_size / c->entry_bytes)
		l->count = block * c->block_size / c->entry_bytes;
}

static void load_listing(struct check *c, uint32_t dir, struct listing *l)
{
	uint64_t i;

	for (i = 0; i < l->blocks; i++)
		if (!l->zones[i])
			cut_at(c, dir, l, i);
		else if (!check_read(c, l->zones[i], 1, l->raw + i * c->block_size))
			check_problem(c, "directory %u: it can't be read", dir);
	for (i = 0; i < l->count; i++) {
		const uint8_t *from = l->raw + i * c->entry_bytes;

		l->slots[i].ino = c->version == 3 ? *(const uint32_t *)from : *(const uint16_t *)from;
		memcpy(l->slots[i].name, from + c->entry_bytes - c->name_bytes, c->name_bytes);
	}
}

static void check_listing(struct check *c, uint32_t dir, struct listing *l)
{
	uint64_t i;

	for (i = 0; i < l->count; i++) {
		if (i < 2) {
			if (!check_dot(c, dir, i, &l->slots[i]) && c->repair)
				set_entry(c, l, i, i ? c->parent[dir] : dir, i ? ".." : ".");
		} else if (!check_entry(c, dir, i, &l->slots[i]) && c->repair) {
			set_entry(c, l, i, 0, "");
		}
	}
	check_doubles(c, dir, l);
	for (i = 0; l->changed && i < l->blocks; i++)
		if (l->zones[i])
			check_write(c, l->zones[i], 1, l->raw + i * c->block_size);
}

static void walk_dir(struct check *c, uint32_t dir)
{
	struct minix_inode_disk *inode = &c->inodes[dir - 1];
	struct listing l = { .count = inode->size_bytes / c->entry_bytes,
			     .blocks = (inode->size_bytes + c->block_size - 1) / c->block_size };
	struct file file = { .ino = dir, .zone_max = l.blocks };

	l.zones = file.zones = calloc(l.blocks + 1, sizeof(*l.zones));
	l.raw = calloc(l.blocks + 1, c->block_size);
	l.slots = calloc(l.count + 1, sizeof(*l.slots));
	if (!l.zones || !l.slots || !l.raw)
		abort();
	walk_zones(c, &file, inode);
	load_listing(c, dir, &l);
	check_listing(c, dir, &l);
	free(l.slots);
	free(l.raw);
	free(l.zones);
}

void check_walk(struct check *c)
{
	while (c->todo_count)
		walk_dir(c, c->todo[--c->todo_count]);
}

/* ---- what was found against what is noted -------------------------------- */

static void compare_inodes(struct check *c)
{
	uint32_t ino;

	if (!check_bit(c->inode_map, 0))
		check_problem(c, "bit 0 of the inode bitmap is clear");
	for (ino = 1; ino <= c->super.inode_count; ino++) {
		bool used = check_bit(c->inode_map, ino);

		if (used && !c->links[ino])
			check_problem(c, "inode %u: marked used, but has no name", ino);
		if (!used && c->links[ino])
			check_problem(c, "inode %u: marked free, but has a name", ino);
		if (c->links[ino] && c->links[ino] != c->inodes[ino - 1].link_count)
			check_problem(c, "inode %u: %u links are noted, %u found", ino,
				c->inodes[ino - 1].link_count, c->links[ino]);
		if (!used && c->inodes[ino - 1].mode)
			check_problem(c, "inode %u: free, but its mode is %o", ino,
				c->inodes[ino - 1].mode);
	}
}

static void compare_zones(struct check *c)
{
	uint32_t zone;

	if (!check_bit(c->zone_map, 0))
		check_problem(c, "bit 0 of the zone bitmap is clear");
	for (zone = c->first_zone; zone < c->super.zone_count; zone++) {
		bool used = check_bit(c->zone_map, zone - c->first_zone + 1);

		if (used && !c->owner[zone])
			check_problem(c, "zone %u: marked used, but is nobody's", zone);
		if (!used && c->owner[zone])
			check_problem(c, "zone %u: marked free, but is of inode %u", zone,
				c->owner[zone]);
	}
}

/* One pass over the tree of names. */
static const char *check_tree(struct check *c)
{
	memset(c->owner, 0, c->super.zone_count * sizeof(*c->owner));
	memset(c->links, 0, (c->super.inode_count + 1ull) * sizeof(*c->links));
	memset(c->parent, 0, (c->super.inode_count + 1ull) * sizeof(*c->parent));
	memset(c->result, 0, sizeof(*c->result));
	c->parent[FSYS_ROOT_INO] = FSYS_ROOT_INO;
	if (!FSYS_ISDIR(c->inodes[0].mode) || !check_inode(c, FSYS_ROOT_INO))
		return "the root is not a directory";
	check_walk(c);
	return NULL;
}

const char *check_disk(int fd, uint64_t offset_bytes, FILE *report,
		       struct check_result *result)
{
	struct check c = { .fd = fd, .offset_bytes = offset_bytes,
			   .report = report, .result = result };
	const char *wrong;

	memset(result, 0, sizeof(*result));
	wrong = check_super(&c);
	if (!wrong)
		wrong = load(&c);
	if (!wrong)
		wrong = check_tree(&c);
	if (!wrong) {
		compare_inodes(&c);
		compare_zones(&c);
	}
	unload(&c);
	return wrong;
}

static const char *repair_once(int fd, uint64_t offset_bytes, FILE *report)
{
	enum { PASSES_MAX = 32 };
	struct check_result result = { 0 };
	struct check c = { .fd = fd, .offset_bytes = offset_bytes, .report = report,
			   .result = &result, .repair = true };
	const char *wrong = check_super(&c);
	int pass = 0;

	if (!wrong)
		wrong = load(&c);
	do
		if (!wrong)
			wrong = check_tree(&c);
	while (!wrong && result.problems && ++pass < PASSES_MAX);
	if (!wrong && result.problems)
		wrong = "it gets no better";
	if (!wrong) {
		repair_lost(&c);
		if (!repair_tables(&c))
			wrong = "cannot write the image";
	}
	unload(&c);
	return wrong;
}

const char *repair_disk(int fd, uint64_t offset_bytes, FILE *report)
{
	enum { ROUNDS_MAX = 8 };        /* in what was lost there may be more that is wrong */
	struct check_result result = { .problems = 1 };
	const char *wrong = NULL;
	int round;

	for (round = 0; !wrong && result.problems && round < ROUNDS_MAX; round++) {
		wrong = repair_once(fd, offset_bytes, report);
		if (!wrong)
			wrong = check_disk(fd, offset_bytes, NULL, &result);
	}
	return wrong;
}
