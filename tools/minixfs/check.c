/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checking a MINIX filesystem, V1 to V3: everything reachable from the root is
 * walked once, and what was found is compared with the bitmaps and the link
 * counts. Shares the format with the filesystem core and nothing else, so
 * that a mistake there shows here.
 */

#include "tools/minixfs/check.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/minix/minix_format.h"
#include "lib/fs/fsys.h"

enum { REPORTS_MAX = 100 };

struct check {
	int fd;
	uint64_t offset_bytes;
	FILE *report;
	struct check_result *result;

	struct minix_super_disk super;          /* of V1 and V2 as if it were V3's */
	uint32_t version, name_bytes, inode_bytes, entry_bytes, number_bytes;
	uint32_t block_size;
	uint32_t first_zone;
	uint8_t *inode_map, *zone_map;
	struct minix_inode_disk *inodes;        /* [0] is inode 1; as if of V3 */
	uint32_t *owner;                        /* of each zone; 0: none */
	uint32_t *links;                        /* names found of each inode */
	uint32_t *parent;                       /* of each directory */
	uint32_t *todo;                         /* directories to walk */
	uint32_t todo_count;
};

__attribute__((format(printf, 2, 3)))
static void problem(struct check *c, const char *format, ...)
{
	va_list arguments;

	if (c->result->problems++ >= REPORTS_MAX || !c->report)
		return;
	va_start(arguments, format);
	vfprintf(c->report, format, arguments);
	va_end(arguments);
	fputc('\n', c->report);
}

static bool read_blocks(struct check *c, uint32_t block, uint32_t count, void *out)
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

static bool bit_is_set(const uint8_t *map, uint32_t bit)
{
	return map[bit / 8] >> bit % 8 & 1;
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
	struct stat st;

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
	if (fstat(c->fd, &st) ||
	    c->offset_bytes + (uint64_t)s->zone_count * c->block_size >
	    (uint64_t)st.st_size)
		return "the filesystem is larger than its image";
	return NULL;
}

/* From the last to the first, in place. */
static void widen_inodes(struct check *c)
{
	const struct minix_old_inode_disk *old = (const void *)c->inodes;
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
	good = read_blocks(c, block, s->inode_map_blocks, c->inode_map);
	block += s->inode_map_blocks;
	good = good && read_blocks(c, block, s->zone_map_blocks, c->zone_map);
	block += s->zone_map_blocks;
	good = good && read_blocks(c, block, table_blocks, c->inodes);
	if (good && c->version == 1)
		widen_inodes(c);
	return good ? NULL : "cannot read the image";
}

static void unload(struct check *c)
{
	free(c->inode_map);
	free(c->zone_map);
	free(c->inodes);
	free(c->owner);
	free(c->links);
	free(c->parent);
	free(c->todo);
}

/* ---- zones ----------------------------------------------------------------- */

static bool claim_zone(struct check *c, uint32_t ino, uint32_t zone)
{
	if (zone < c->first_zone || zone >= c->super.zone_count) {
		problem(c, "inode %u: zone %u lies outside the data area", ino, zone);
		return false;
	}
	if (c->owner[zone]) {
		problem(c, "inode %u: zone %u belongs to inode %u too", ino, zone,
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

static void walk_tree(struct check *c, struct file *file, uint32_t zone,
		      int level, uint64_t first, uint64_t span)
{
	uint32_t per = c->block_size / c->number_bytes;
	void *numbers;
	uint32_t i;

	if (!zone || !claim_zone(c, file->ino, zone))
		return;
	if (level == 0) {
		if (first >= file->blocks)
			problem(c, "inode %u: zone %u lies behind its end", file->ino,
				zone);
		else if (first < file->zone_max)
			file->zones[first] = zone;
		return;
	}
	numbers = malloc(c->block_size);
	if (numbers && read_blocks(c, zone, 1, numbers))
		for (i = 0; i < per; i++)
			walk_tree(c, file, c->version == 1 ? ((uint16_t *)numbers)[i] : ((uint32_t *)numbers)[i],
				  level - 1,
				  first + i * (span / per), span / per);
	else
		problem(c, "inode %u: zone %u can't be read", file->ino, zone);
	free(numbers);
}

static void walk_zones(struct check *c, struct file *file,
		       const struct minix_inode_disk *inode)
{
	uint64_t per = c->block_size / c->number_bytes;
	uint64_t first = MINIX_DIRECT_ZONES;
	uint64_t span = per;
	int i;

	file->blocks = ((uint64_t)inode->size_bytes + c->block_size - 1) /
		       c->block_size;
	for (i = 0; i < MINIX_DIRECT_ZONES; i++)
		walk_tree(c, file, inode->zone[i], 0, i, 1);
	for (i = 1; i <= (c->version == 1 ? 2 : 3); i++, first += span, span *= per)
		walk_tree(c, file, inode->zone[MINIX_ZONE_SINGLE + i - 1], i, first,
			  span);
}

/* ---- inodes and directories ------------------------------------------------- */

static void walk_inode(struct check *c, uint32_t ino)
{
	const struct minix_inode_disk *inode = &c->inodes[ino - 1];
	struct file file = { .ino = ino };

	c->result->inodes_used++;
	switch (inode->mode & FSYS_S_IFMT) {
	case FSYS_S_IFREG:
		c->result->files++;
		walk_zones(c, &file, inode);
		break;
	case FSYS_S_IFLNK:
		c->result->others++;
		if (!inode->size_bytes || inode->size_bytes > c->block_size)
			problem(c, "inode %u: a link of %u bytes", ino,
				inode->size_bytes);
		walk_zones(c, &file, inode);
		break;
	case FSYS_S_IFDIR:
		/* Its zones are walked with its entries. */
		c->result->directories++;
		c->todo[c->todo_count++] = ino;
		break;
	case FSYS_S_IFCHR:
	case FSYS_S_IFBLK:
	case FSYS_S_IFIFO:
	case FSYS_S_IFSOCK:
		c->result->others++;
		break;
	default:
		problem(c, "inode %u: its mode is %o", ino, inode->mode);
	}
	if (inode->size_bytes > c->super.max_size_bytes)
		problem(c, "inode %u: its size is %u", ino, inode->size_bytes);
}

static void check_dot(struct check *c, uint32_t dir, uint32_t index,
		      const struct minix_dirent_disk *slot)
{
	static const char *const names[] = { ".", ".." };
	uint32_t wanted = index ? c->parent[dir] : dir;

	if (strncmp(slot->name, names[index], MINIX_NAME_MAX))
		problem(c, "directory %u: entry %u is not \"%s\"", dir, index,
			names[index]);
	else if (slot->ino != wanted)
		problem(c, "directory %u: \"%s\" is %u, not %u", dir, names[index],
			slot->ino, wanted);
}

static bool name_is_good(const struct minix_dirent_disk *slot)
{
	size_t length = strnlen(slot->name, MINIX_NAME_MAX);

	return length && !memchr(slot->name, '/', length) &&
	       strcmp(slot->name, ".") && strcmp(slot->name, "..");
}

static void check_entry(struct check *c, uint32_t dir, uint32_t index,
			const struct minix_dirent_disk *slot)
{
	uint32_t ino = slot->ino;

	if (index < 2)
		check_dot(c, dir, index, slot);
	else if (ino && !name_is_good(slot))
		problem(c, "directory %u: entry %u has a bad name", dir, index);
	if (!ino)
		return;
	if (ino > c->super.inode_count) {
		problem(c, "directory %u: entry %u is inode %u, which can't be", dir,
			index, ino);
		return;
	}
	c->links[ino]++;
	if (index < 2)
		return;
	if (c->links[ino] == 1) {
		c->parent[ino] = dir;
		walk_inode(c, ino);
	} else if (FSYS_ISDIR(c->inodes[ino - 1].mode)) {
		problem(c, "directory %u: inode %u is a directory elsewhere too", dir,
			ino);
	}
}

static int compare_names(const void *a, const void *b)
{
	return strncmp(((const struct minix_dirent_disk *)a)->name,
		       ((const struct minix_dirent_disk *)b)->name, MINIX_NAME_MAX);
}

static void check_doubles(struct check *c, uint32_t dir,
			  struct minix_dirent_disk *slots, uint64_t count)
{
	uint64_t used = 0, i;

	for (i = 0; i < count; i++)
		if (slots[i].ino)
			slots[used++] = slots[i];
	qsort(slots, used, sizeof(*slots), compare_names);
	for (i = 1; i < used; i++)
		if (!compare_names(&slots[i - 1], &slots[i]))
			problem(c, "directory %u: \"%.60s\" is there twice", dir,
				slots[i].name);
}

static void walk_dir(struct check *c, uint32_t dir)
{
	const struct minix_inode_disk *inode = &c->inodes[dir - 1];
	uint64_t count = inode->size_bytes / c->entry_bytes;
	struct file file = { .ino = dir };
	struct minix_dirent_disk *slots;
	uint8_t *raw;
	uint64_t i;

	if (inode->size_bytes % c->entry_bytes || count < 2)
		problem(c, "directory %u: its size is %u", dir, inode->size_bytes);
	if (inode->size_bytes / c->block_size > c->super.zone_count)
		return;
	file.zone_max = (inode->size_bytes + c->block_size - 1) / c->block_size;
	file.zones = calloc(file.zone_max + 1, sizeof(*file.zones));
	raw = calloc(file.zone_max + 1, c->block_size);
	slots = calloc(count + 1, sizeof(*slots));
	if (!file.zones || !slots || !raw)
		abort();
	walk_zones(c, &file, inode);
	for (i = 0; i < file.zone_max; i++)
		if (!file.zones[i])
			problem(c, "directory %u: it has a hole", dir);
		else if (!read_blocks(c, file.zones[i], 1,
				      raw + i * c->block_size))
			problem(c, "directory %u: it can't be read", dir);
	for (i = 0; i < count; i++) {
		const uint8_t *from = raw + i * c->entry_bytes;

		slots[i].ino = c->version == 3 ? *(const uint32_t *)from : *(const uint16_t *)from;
		memcpy(slots[i].name, from + c->entry_bytes - c->name_bytes, c->name_bytes);
		check_entry(c, dir, i, &slots[i]);
	}
	check_doubles(c, dir, slots, count);
	free(slots);
	free(raw);
	free(file.zones);
}

/* ---- what was found against what is noted -------------------------------- */

static void compare_inodes(struct check *c)
{
	uint32_t ino;

	if (!bit_is_set(c->inode_map, 0))
		problem(c, "bit 0 of the inode bitmap is clear");
	for (ino = 1; ino <= c->super.inode_count; ino++) {
		bool used = bit_is_set(c->inode_map, ino);

		if (used && !c->links[ino])
			problem(c, "inode %u: marked used, but has no name", ino);
		if (!used && c->links[ino])
			problem(c, "inode %u: marked free, but has a name", ino);
		if (c->links[ino] && c->links[ino] != c->inodes[ino - 1].link_count)
			problem(c, "inode %u: %u links are noted, %u found", ino,
				c->inodes[ino - 1].link_count, c->links[ino]);
		if (!used && c->inodes[ino - 1].mode)
			problem(c, "inode %u: free, but its mode is %o", ino,
				c->inodes[ino - 1].mode);
	}
}

static void compare_zones(struct check *c)
{
	uint32_t zone;

	if (!bit_is_set(c->zone_map, 0))
		problem(c, "bit 0 of the zone bitmap is clear");
	for (zone = c->first_zone; zone < c->super.zone_count; zone++) {
		bool used = bit_is_set(c->zone_map, zone - c->first_zone + 1);

		if (used && !c->owner[zone])
			problem(c, "zone %u: marked used, but is nobody's", zone);
		if (!used && c->owner[zone])
			problem(c, "zone %u: marked free, but is of inode %u", zone,
				c->owner[zone]);
	}
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
	if (!wrong && !FSYS_ISDIR(c.inodes[0].mode))
		wrong = "the root is not a directory";
	if (!wrong) {
		c.parent[FSYS_ROOT_INO] = FSYS_ROOT_INO;
		walk_inode(&c, FSYS_ROOT_INO);
		while (c.todo_count)
			walk_dir(&c, c.todo[--c.todo_count]);
		compare_inodes(&c);
		compare_zones(&c);
	}
	unload(&c);
	return wrong;
}
