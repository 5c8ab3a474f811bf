/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pages of a file have room, and the bytes of small files that have no
 * content just now. A file has a table of tables of numbers, one a page:
 *
 *   0      a hole
 *   ROOM   it has room; its bytes are the content's
 *   else   a piece of the heap that holds its bytes
 */

#include "fs/tmpfs/tmpfs.h"

#define ROOM UINT32_MAX

/* The number of a page; NULL: no table has it. MAKE: makes what is missing. */
static uint32_t *number_of(struct fsys *fs, const struct fsys_node *ip, uint64_t page, bool make)
{
	struct tmpfs_extra *extra = extra_of(fs, ip);
	uint64_t number = page / TMPFS_TABLE_PAGES;
	uint32_t *table;

	if (!extra->tables && make)
		extra->tables = heap_alloc(TMPFS_TABLES_MAX * 4);
	if (!extra->tables || number >= TMPFS_TABLES_MAX)
		return NULL;
	table = (uint32_t *)heap_at(extra->tables) + number;
	if (!*table && make) {
		*table = heap_alloc(TMPFS_TABLE_PAGES * 4);
		if (*table && extra->tables_end <= number)
			extra->tables_end = (uint32_t)number + 1;
	}
	return *table ? (uint32_t *)heap_at(*table) + page % TMPFS_TABLE_PAGES : NULL;
}

bool pages_has(struct fsys *fs, struct fsys_node *ip, uint64_t page)
{
	const uint32_t *number = number_of(fs, ip, page, false);

	return number && *number;
}

int pages_charge(struct fsys *fs, struct fsys_node *ip, uint64_t offset, uint64_t end,
		 uint64_t *done)
{
	for (*done = offset; *done < end; *done = (*done / TMPFS_PAGE + 1) * TMPFS_PAGE) {
		uint32_t *number = number_of(fs, ip, *done / TMPFS_PAGE, true);

		if (!number || (!*number && fs->pages_used >= fs->pages_max))
			return -X_ENOSPC;
		if (*number)
			continue;
		*number = ROOM;
		fs->pages_used++;
		ip->zone[0]++;          /* how many it has */
	}
	*done = end;
	return 0;
}

/* Pages from FIRST on of a table are holes from now on. Few stores: they are logged.
 * A table of which all goes is freed next: it stays as it is. */
static void drop_pages(struct fsys *fs, struct fsys_node *ip, uint32_t *table, uint32_t first)
{
	uint32_t rooms = 0, count = 0, i;

	for (i = first; i < TMPFS_TABLE_PAGES && count < ip->zone[0]; i++) {
		count += table[i] != 0;
		rooms += table[i] == ROOM;
		if (table[i] && table[i] != ROOM)
			heap_free(table[i], TMPFS_PAGE);
	}
	if (!count)
		return;
	if (first)
		memset(table + first, 0, (TMPFS_TABLE_PAGES - first) * sizeof(*table));
	fs->pages_used -= rooms;
	ip->zone[0] -= count;
}

void pages_trim(struct fsys *fs, struct fsys_node *ip, uint64_t size_bytes)
{
	uint64_t keep = (size_bytes + TMPFS_PAGE - 1) / TMPFS_PAGE;
	struct tmpfs_extra *extra = extra_of(fs, ip);
	uint32_t *tables, i;

	if (!extra->tables)
		return;
	tables = heap_at(extra->tables);
	for (i = keep / TMPFS_TABLE_PAGES; i < extra->tables_end; i++) {
		uint32_t first = i == keep / TMPFS_TABLE_PAGES ? keep % TMPFS_TABLE_PAGES : 0;

		if (!tables[i])
			continue;
		drop_pages(fs, ip, heap_at(tables[i]), first);
		if (first)
			continue;
		heap_free(tables[i], TMPFS_TABLE_PAGES * 4);
		tables[i] = 0;
	}
	if (keep)
		return;
	heap_free(extra->tables, TMPFS_TABLES_MAX * 4);
	extra->tables = extra->tables_end = 0;
}

bool pages_keep(struct fsys *fs, struct fsys_node *ip, uint64_t page, const void *data)
{
	uint32_t *number = number_of(fs, ip, page, false), piece;

	if (!number || *number != ROOM)
		return true;            /* cut off meanwhile, or no room was made for it: zeros */
	fs->pages_used--;               /* the heap's chunks are counted */
	piece = heap_alloc(TMPFS_PAGE);
	if (!piece) {
		fs->pages_used++;
		return false;
	}
	memcpy(heap_at(piece), data, TMPFS_PAGE);
	*number = piece;
	return true;
}

const void *pages_kept(struct fsys *fs, struct fsys_node *ip, uint64_t page)
{
	const uint32_t *number = number_of(fs, ip, page, false);

	return number && *number && *number != ROOM ? heap_at(*number) : NULL;
}

void pages_unkeep(struct fsys *fs, struct fsys_node *ip, uint64_t page)
{
	uint32_t *number = number_of(fs, ip, page, false);

	if (!number || !*number || *number == ROOM)
		return;
	heap_free(*number, TMPFS_PAGE);
	*number = ROOM;
	fs->pages_used++;
}

/* A hole from now on. */
static void pages_free(struct fsys *fs, struct fsys_node *ip, uint64_t page)
{
	uint32_t *number = number_of(fs, ip, page, false);

	if (!number || !*number)
		return;
	if (*number == ROOM)
		fs->pages_used--;
	else
		heap_free(*number, TMPFS_PAGE);
	*number = 0;
	ip->zone[0]--;
}

uint64_t pages_count(struct fsys *fs, const struct fsys_node *ip)
{
	(void)fs;
	return ip->zone[0];
}

/* ---- the room of files (fsys.h) ------------------------------------------------------ */

enum { BYTES_AT_ONCE = 256 * 1024, PUNCH_AT_ONCE = 1024 * TMPFS_PAGE };

static int get_regular(struct fsys *fs, uint32_t ino, struct fsys_node **ip)
{
	int status = inode_get(fs, ino, ip);

	if (status)
		return status;
	if (FSYS_ISDIR((*ip)->mode))
		return -X_EISDIR;
	return FSYS_ISREG((*ip)->mode) ? 0 : -X_EINVAL;
}

int64_t fsys_write(struct fsys *fs, const struct fsys_caller *who, uint32_t ino,
		   uint64_t offset, uint32_t length_bytes, bool *backed)
{
	uint64_t end = offset + length_bytes, done;
	uint64_t limit = (offset / TMPFS_PAGE * TMPFS_PAGE) + BYTES_AT_ONCE;
	struct fsys_node *ip;
	int status = fs->limits.read_only ? -X_EROFS : get_regular(fs, ino, &ip);

	if (status || !length_bytes)
		return status;
	if (offset >= fs->limits.file_max)
		return -X_EFBIG;
	if (limit > fs->limits.file_max)
		limit = fs->limits.file_max;
	status = pages_charge(fs, ip, offset, end < limit ? end : limit, &done);
	if (done == offset)
		return status;
	*backed = true;
	if (done > ip->size_bytes)
		ip->size_bytes = done;
	ip->mtime_ns = ip->ctime_ns = who->time_ns;
	attr_clear_set_id(ip, who);
	return (int64_t)(done - offset);
}

int64_t fsys_punch(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, uint64_t offset,
		   uint64_t end)
{
	uint64_t at = offset;
	struct fsys_node *ip;
	int status = fs->limits.read_only ? -X_EROFS : get_regular(fs, ino, &ip);

	if (status)
		return status;
	for (; at < end && at - offset < PUNCH_AT_ONCE; at += TMPFS_PAGE)
		pages_free(fs, ip, at / TMPFS_PAGE);
	ip->mtime_ns = ip->ctime_ns = who->time_ns;
	attr_clear_set_id(ip, who);
	return at - offset;
}

int fsys_room_at(struct fsys *fs, uint32_t ino, uint64_t offset, bool *room, uint64_t *next)
{
	struct fsys_node *ip;
	int status = get_regular(fs, ino, &ip);
	const uint32_t *number;
	uint64_t span;

	if (status)
		return status;
	number = number_of(fs, ip, offset / TMPFS_PAGE, false);
	span = number ? TMPFS_PAGE : (uint64_t)TMPFS_PAGE * TMPFS_TABLE_PAGES;
	*room = number && *number;
	*next = (offset / span + 1) * span;
	return 0;
}

int fsys_back(struct fsys *fs, uint32_t ino, uint64_t offset, uint32_t length_bytes)
{
	struct fsys_node *ip;
	uint64_t done;
	int status = fs->limits.read_only ? -X_EROFS : get_regular(fs, ino, &ip);

	return status ? status : pages_charge(fs, ip, offset, offset + length_bytes, &done);
}

int fsys_may_truncate(struct fsys *fs, const struct fsys_caller *who, uint32_t ino,
		      uint64_t size_bytes, bool check)
{
	struct fsys_node *ip;
	int status = get_regular(fs, ino, &ip);

	if (!status && check)
		status = access_check(ip, who, FSYS_W);
	if (!status && fs->limits.read_only)
		status = -X_EROFS;
	return !status && size_bytes > fs->limits.file_max ? -X_EFBIG : status;
}

int fsys_truncate(struct fsys *fs, const struct fsys_caller *who, uint32_t ino,
		  uint64_t size_bytes, bool check)
{
	struct fsys_node *ip;
	int status = fsys_may_truncate(fs, who, ino, size_bytes, check);

	if (status)
		return status;
	ip = &fs->nodes[ino - 1];
	if (size_bytes < ip->size_bytes)
		pages_trim(fs, ip, size_bytes);
	ip->size_bytes = size_bytes;
	ip->mtime_ns = ip->ctime_ns = who->time_ns;
	attr_clear_set_id(ip, who);
	return 0;
}
