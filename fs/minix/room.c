/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The room of regular files: which zones hold which blocks, how large files
 * are; and symbolic links. Each operation gives room to at most
 * MINIX_IO_BLOCKS blocks. The bytes themselves are no business of this core.
 */

#include "fs/minix/internal.h"

enum { PUNCH_BLOCKS_LOOKED_AT = 2048 };

static int get_regular(struct fsys *fs, uint32_t ino, struct fsys_node **ip)
{
	int status = inode_get(fs, ino, ip);

	if (status)
		return status;
	if (FSYS_ISDIR((*ip)->mode))
		return -X_EISDIR;
	return FSYS_ISREG((*ip)->mode) ? 0 : -X_EINVAL;
}

/* ---- looking -------------------------------------------------------------- */

static int map_run(struct fsys *fs, uint32_t ino, uint32_t file_block,
		   uint32_t count, uint32_t *zones)
{
	struct fsys_node *ip;
	uint32_t i;
	int status = inode_get(fs, ino, &ip);

	for (i = 0; i < count && !status; i++)
		status = map_lookup(fs, ip, file_block + i, &zones[i]);
	return status;
}

int minix_map(struct fsys *fs, uint32_t ino, uint32_t file_block,
	      uint32_t count, uint32_t *zones)
{
	op_begin(fs);
	return op_end(fs, map_run(fs, ino, file_block, count, zones));
}

int fsys_room_at(struct fsys *fs, uint32_t ino, uint64_t offset, bool *room, uint64_t *next)
{
	uint32_t zone = 0;
	int status = minix_map(fs, ino, offset / fs->block_size, 1, &zone);

	*room = zone != 0;
	*next = (offset / fs->block_size + 1) * fs->block_size;
	return status;
}

/* ---- writing ---------------------------------------------------------------- */

/*
 * Gives room to the blocks of [*at, end); *AT: how far that came. If the disk
 * is full it ends between two pages, unless all lies in one: who writes the
 * bytes has those pages in memory that aren't written whole.
 */
static int take_blocks(struct fsys *fs, struct fsys_node *ip, uint64_t *at,
		       uint64_t end)
{
	bool in_one = *at >> 12 == (end - 1) >> 12, fresh;
	uint32_t size = fs->block_size, zone;
	struct minix_savepoint before;
	uint64_t next = *at;

	op_save(fs, &before);
	while (next < end) {
		int status;

		if (in_one || next % 4096 == 0) {
			op_save(fs, &before);
			*at = next;
		}
		status = map_alloc(fs, ip, next / size, &zone, &fresh);
		if (status) {
			op_undo_to(fs, &before);
			return status;
		}
		next += size - next % size;
	}
	*at = end;
	return 0;
}

/* Have all blocks of the pages around [from, end) room, as far as the file goes? */
static int find_backed(struct fsys *fs, struct fsys_node *ip, uint64_t from,
		       uint64_t end, bool *backed)
{
	uint64_t at = from & ~4095ull;
	uint32_t zone;

	end = (end + 4095) & ~4095ull;
	if (end > ip->size_bytes)
		end = ip->size_bytes;
	*backed = true;
	for (; at < end && *backed; at += fs->block_size - at % fs->block_size) {
		int status = map_lookup(fs, ip, at / fs->block_size, &zone);

		if (status)
			return status;
		*backed = zone != 0;
	}
	return 0;
}

/* What a truncation cut off is freed first; never, if the disk is too damaged. */
static int check_trimmed(const struct fsys_node *ip)
{
	if (!ip->trim)
		return 0;
	return ip->damaged ? -X_EUCLEAN : -X_EAGAIN;
}

static int check_write(struct fsys *fs, uint32_t ino, uint64_t offset,
		       struct fsys_node **ip)
{
	int status = fs->limits.read_only ? -X_EROFS : get_regular(fs, ino, ip);

	if (status)
		return status;
	if (offset >= fs->max_size_bytes)
		return -X_EFBIG;
	return check_trimmed(*ip);
}

static int64_t write_file(struct fsys *fs, const struct fsys_caller *who,
			  uint32_t ino, uint64_t offset, uint32_t length_bytes,
			  bool *backed)
{
	uint64_t grain = fs->block_size > 4096 ? fs->block_size : 4096;
	uint64_t at = offset, end = offset + length_bytes, limit;
	struct fsys_node *ip;
	int status = check_write(fs, ino, offset, &ip);

	if (status || !length_bytes)
		return status;
	limit = offset - offset % grain + MINIX_IO_BLOCKS * MINIX_BLOCK_SIZE_MIN;
	if (limit > fs->max_size_bytes)
		limit = fs->max_size_bytes;
	if (end > limit)
		end = limit;
	status = op_modify_inode(fs, ip);
	if (!status)
		status = take_blocks(fs, ip, &at, end);
	if (status && (status != -X_ENOSPC || at == offset))
		return status;
	if (at > ip->size_bytes)
		ip->size_bytes = at;
	status = find_backed(fs, ip, offset, at, backed);
	if (status)
		return status;
	ip->mtime_ns = ip->ctime_ns = who->time_ns;
	attr_clear_set_id(ip, who);
	return (int64_t)(at - offset);
}

int64_t fsys_write(struct fsys *fs, const struct fsys_caller *who,
		   uint32_t ino, uint64_t offset, uint32_t length_bytes,
		   bool *backed)
{
	op_begin(fs);
	return op_end(fs, write_file(fs, who, ino, offset, length_bytes, backed));
}

static int back(struct fsys *fs, uint32_t ino, uint64_t offset, uint32_t length_bytes)
{
	uint64_t end = offset + length_bytes;
	struct fsys_node *ip;
	int status = check_write(fs, ino, offset, &ip);

	if (status)
		return status;
	if (end > ip->size_bytes)
		end = ip->size_bytes;
	if (offset >= end)
		return 0;
	status = op_modify_inode(fs, ip);
	return status ? status : take_blocks(fs, ip, &offset, end);
}

int fsys_back(struct fsys *fs, uint32_t ino, uint64_t offset, uint32_t length_bytes)
{
	op_begin(fs);
	return op_end(fs, back(fs, ino, offset, length_bytes));
}

/* ---- holes ---------------------------------------------------------------- */

static int64_t punch_file(struct fsys *fs, const struct fsys_caller *who, uint32_t ino,
			  uint64_t offset, uint64_t end)
{
	struct fsys_node *ip;
	uint32_t freed = 0, looked = 0;
	uint64_t at = offset;
	int status = check_write(fs, ino, offset, &ip);

	if (!status)
		status = op_modify_inode(fs, ip);
	if (status)
		return status;
	for (; at < end && freed < MINIX_TRIM_ZONES && looked < PUNCH_BLOCKS_LOOKED_AT; at += fs->block_size, looked++) {
		status = map_free(fs, ip, at / fs->block_size);
		if (status < 0)
			return status;
		freed += (uint32_t)status;
	}
	ip->mtime_ns = ip->ctime_ns = who->time_ns;
	attr_clear_set_id(ip, who);
	return (int64_t)(at - offset);
}

int64_t fsys_punch(struct fsys *fs, const struct fsys_caller *who, uint32_t ino,
		   uint64_t offset, uint64_t end)
{
	op_begin(fs);
	return op_end(fs, punch_file(fs, who, ino, offset, end));
}

/* ---- truncating ---------------------------------------------------------- */

static int may_truncate(struct fsys *fs, const struct fsys_caller *who,
			uint32_t ino, uint64_t size_bytes, bool check,
			struct fsys_node **ip)
{
	int status = get_regular(fs, ino, ip);

	if (!status && check)
		status = access_check(*ip, who, FSYS_W);
	if (!status && fs->limits.read_only)
		status = -X_EROFS;
	if (!status && size_bytes > fs->max_size_bytes)
		status = -X_EFBIG;
	return status;
}

int fsys_may_truncate(struct fsys *fs, const struct fsys_caller *who,
		      uint32_t ino, uint64_t size_bytes, bool check)
{
	struct fsys_node *ip;

	op_begin(fs);
	return op_end(fs, may_truncate(fs, who, ino, size_bytes, check, &ip));
}

static int truncate_file(struct fsys *fs, const struct fsys_caller *who,
			 uint32_t ino, uint64_t size_bytes, bool check)
{
	struct fsys_node *ip;
	int status = may_truncate(fs, who, ino, size_bytes, check, &ip);

	if (!status && size_bytes > ip->size_bytes)
		status = check_trimmed(ip);
	if (!status)
		status = op_modify_inode(fs, ip);
	if (status)
		return status;
	if (size_bytes < ip->size_bytes)
		ip->trim = true;
	ip->size_bytes = size_bytes;
	ip->mtime_ns = ip->ctime_ns = who->time_ns;
	attr_clear_set_id(ip, who);
	return 0;
}

int fsys_truncate(struct fsys *fs, const struct fsys_caller *who,
		  uint32_t ino, uint64_t size_bytes, bool check)
{
	op_begin(fs);
	return op_end(fs, truncate_file(fs, who, ino, size_bytes, check));
}

/* ---- symbolic links ------------------------------------------------------- */

int link_read(struct fsys *fs, struct fsys_node *ip, char *out, uint32_t capacity)
{
	struct cache_buf *buf;
	uint32_t zone, length;
	int status;

	if (!FSYS_ISLNK(ip->mode))
		return -X_EINVAL;
	status = map_lookup(fs, ip, 0, &zone);
	if (!status && !zone)
		status = fsys_damaged(fs, "a symbolic link has no text");
	if (!status)
		status = cache_get(&fs->cache, zone, &buf);
	if (status)
		return status;
	/* Some count the NUL behind the text as part of it. */
	for (length = 0; length < ip->size_bytes && buf->frame[length];)
		length++;
	if (length > capacity)
		length = capacity;
	memcpy(out, buf->frame, length);
	return length;
}

int link_write(struct fsys *fs, struct fsys_node *ip, const char *target,
	       uint32_t target_bytes)
{
	struct cache_buf *buf;
	uint32_t zone;
	bool fresh;
	int status = map_alloc(fs, ip, 0, &zone, &fresh);

	if (!status)
		status = cache_get_fresh(&fs->cache, zone, &buf);
	if (!status)
		status = op_note_fresh(fs, buf);
	if (status)
		return status;
	memcpy(buf->frame, target, target_bytes);
	ip->size_bytes = target_bytes;
	return 0;
}
