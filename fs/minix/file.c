/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of regular files. Each operation moves at most MINIX_IO_BLOCKS
 * blocks: first everything is found, allocated and made resident, then, when
 * nothing can fail any more, bytes are moved.
 */

#include "fs/minix/internal.h"

enum { READ_AHEAD_MIN_BYTES = 32 * 1024, READ_AHEAD_MAX_BYTES = 256 * 1024 };

static const uint8_t zeros[MINIX_BLOCK_SIZE_MAX];

int file_touch_atime(struct minix_fs *fs, struct minix_inode *ip,
		     const struct minix_caller *who)
{
	uint32_t now = who->time_sec;
	int status;

	if (fs->read_only || fs->setup.no_atime)
		return 0;
	if (ip->atime_sec > ip->mtime_sec && ip->atime_sec > ip->ctime_sec &&
	    now - ip->atime_sec < 24 * 60 * 60)
		return 0;
	if (now == ip->atime_sec)
		return 0;
	status = op_modify_inode(fs, ip);
	if (!status)
		ip->atime_sec = now;
	return status;
}

void file_clear_set_id(struct minix_inode *ip, const struct minix_caller *who)
{
	if (who->uid == 0)
		return;
	ip->mode &= ~MINIX_S_ISUID;
	if (ip->mode & MINIX_S_IXGRP)
		ip->mode &= ~MINIX_S_ISGID;
}

static int get_regular(struct minix_fs *fs, uint32_t ino, struct minix_inode **ip)
{
	int status = inode_get(fs, ino, ip);

	if (status)
		return status;
	if (MINIX_ISDIR((*ip)->mode))
		return -X_EISDIR;
	return MINIX_ISREG((*ip)->mode) ? 0 : -X_EINVAL;
}

/* ---- the part of a transfer that falls into one block ------------------- */

struct piece {
	struct cache_buf *buf;          /* NULL: a hole */
	bool fresh;
	uint32_t in_block;              /* offset */
	uint32_t length_bytes;
};

static uint8_t *piece_data(const struct piece *piece)
{
	return piece->buf ? piece->buf->frame + piece->in_block
			  : (uint8_t *)(uintptr_t)zeros;
}

/* Copies pieces that follow each other in memory in one go. */
static int copy_pieces(const struct piece *pieces, uint32_t count,
		       minix_copy_fn copy, void *ctx)
{
	uint32_t offset = 0;
	uint32_t i = 0;

	while (i < count) {
		uint8_t *data = piece_data(&pieces[i]);
		uint32_t length = 0;
		int status;

		do
			length += pieces[i++].length_bytes;
		while (i < count && piece_data(&pieces[i]) == data + length);
		status = copy(ctx, offset, data, length);
		if (status)
			return status;
		offset += length;
	}
	return 0;
}

static struct piece piece_at(const struct minix_fs *fs, uint64_t offset,
			     uint64_t end)
{
	struct piece piece = { NULL, false, offset % fs->block_size, 0 };
	uint64_t left = end - offset;

	piece.length_bytes = fs->block_size - piece.in_block;
	if (left < piece.length_bytes)
		piece.length_bytes = left;
	return piece;
}

static uint64_t bounded_end(const struct minix_fs *fs, uint64_t offset,
			    uint32_t length_bytes)
{
	uint64_t limit = (offset / fs->block_size + MINIX_IO_BLOCKS) * fs->block_size;

	return offset + length_bytes < limit ? offset + length_bytes : limit;
}

/* ---- reading ------------------------------------------------------------ */

static void prefetch(struct minix_fs *fs, struct minix_inode *ip, uint32_t block,
		     uint32_t end)
{
	uint32_t file_end = ((uint64_t)ip->size_bytes + fs->block_size - 1) /
			    fs->block_size;
	uint32_t zone;

	for (; block < end && block < file_end; block++)
		if (!map_lookup(fs, ip, block, &zone) && zone)
			cache_prefetch(&fs->cache, zone, CACHE_DATA);
}

/* A reader that goes on where it left off gets ever more ahead of it. */
static void read_ahead(struct minix_fs *fs, struct minix_inode *ip,
		       uint32_t block, uint32_t end)
{
	uint32_t min = READ_AHEAD_MIN_BYTES / fs->block_size;
	uint32_t max = READ_AHEAD_MAX_BYTES / fs->block_size;
	bool goes_on = block == ip->read_next_block ||
		       block + 1 == ip->read_next_block;
	uint32_t ahead = ip->read_ahead_blocks * 2;

	ip->read_next_block = end;
	if (!goes_on) {
		ip->read_ahead_blocks = ip->read_ahead_end = 0;
		return;
	}
	if (end + ip->read_ahead_blocks / 2 < ip->read_ahead_end)
		return;
	if (max > fs->cache.frames[CACHE_DATA] / 8)
		max = fs->cache.frames[CACHE_DATA] / 8;
	ahead = ahead < min ? min : ahead > max ? max : ahead;
	prefetch(fs, ip, end > ip->read_ahead_end ? end : ip->read_ahead_end,
		 end + ahead);
	ip->read_ahead_blocks = ahead;
	ip->read_ahead_end = end + ahead;
}

static int find_piece(struct minix_fs *fs, struct minix_inode *ip,
		      uint64_t offset, struct piece *piece)
{
	uint32_t zone;
	int status = map_lookup(fs, ip, offset / fs->block_size, &zone);

	if (!status && zone)
		status = cache_get(&fs->cache, zone, CACHE_DATA, &piece->buf);
	return status;
}

static int64_t read_pieces(struct minix_fs *fs, struct minix_inode *ip,
			   uint64_t offset, uint64_t end, minix_copy_fn copy_out,
			   void *ctx)
{
	struct piece pieces[MINIX_IO_BLOCKS];
	uint64_t at = offset;
	uint32_t count = 0;
	int status = 0;

	while (at < end) {
		pieces[count] = piece_at(fs, at, end);
		status = find_piece(fs, ip, at, &pieces[count]);
		if (status == -X_EWAIT)
			prefetch(fs, ip, at / fs->block_size + 1,
				 (end - 1) / fs->block_size + 1);
		if (status)
			break;
		at += pieces[count++].length_bytes;
	}
	if (status && !count)
		return status;
	/* What is there is a good answer. */
	status = copy_pieces(pieces, count, copy_out, ctx);
	return status ? status : (int64_t)(at - offset);
}

static int64_t read_file(struct minix_fs *fs, const struct minix_caller *who,
			 uint32_t ino, uint64_t offset, uint32_t length_bytes,
			 minix_copy_fn copy_out, void *ctx)
{
	struct minix_inode *ip;
	uint64_t end;
	int64_t moved;
	int status = get_regular(fs, ino, &ip);

	if (status)
		return status;
	if (!length_bytes || offset >= ip->size_bytes)
		return 0;
	status = file_touch_atime(fs, ip, who);
	if (status)
		return status;
	end = bounded_end(fs, offset, length_bytes);
	if (end > ip->size_bytes)
		end = ip->size_bytes;
	moved = read_pieces(fs, ip, offset, end, copy_out, ctx);
	if (moved > 0)
		read_ahead(fs, ip, offset / fs->block_size,
			   (offset + moved + fs->block_size - 1) / fs->block_size);
	return moved;
}

int64_t minix_read(struct minix_fs *fs, const struct minix_caller *who,
		   uint32_t ino, uint64_t offset, uint32_t length_bytes,
		   minix_copy_fn copy_out, void *ctx)
{
	op_begin(fs);
	return op_end(fs, read_file(fs, who, ino, offset, length_bytes, copy_out,
				    ctx));
}

/* ---- symbolic links ------------------------------------------------------- */

int file_read_link(struct minix_fs *fs, uint32_t ino, char *out,
		   uint32_t capacity)
{
	struct minix_inode *ip;
	struct cache_buf *buf;
	uint32_t zone, length;
	int status = inode_get(fs, ino, &ip);

	if (status)
		return status;
	if (!MINIX_ISLNK(ip->mode))
		return -X_EINVAL;
	status = map_lookup(fs, ip, 0, &zone);
	if (!status && !zone)
		status = minix_damaged(fs, "a symbolic link has no text");
	if (!status)
		status = cache_get(&fs->cache, zone, CACHE_META, &buf);
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

int minix_readlink(struct minix_fs *fs, uint32_t ino, char *out,
		   uint32_t capacity)
{
	op_begin(fs);
	return op_end(fs, file_read_link(fs, ino, out, capacity));
}

/* ---- writing ------------------------------------------------------------ */

static int take_piece(struct minix_fs *fs, struct minix_inode *ip,
		      uint64_t offset, struct piece *piece)
{
	bool whole = piece->length_bytes == fs->block_size;
	uint32_t zone;
	int status = map_alloc(fs, ip, offset / fs->block_size, &zone,
			       &piece->fresh);

	if (status)
		return status;
	if (piece->fresh)
		status = cache_get_fresh(&fs->cache, zone, CACHE_DATA, &piece->buf);
	else if (whole)
		status = cache_get_whole(&fs->cache, zone, &piece->buf,
					 &piece->fresh);
	else
		status = cache_get_writable(&fs->cache, zone, CACHE_DATA,
					    &piece->buf);
	if (!status && piece->fresh)
		status = op_note_fresh(fs, piece->buf);
	if (!status)
		piece->buf->owner = ip->ino;
	return status;
}

/* Makes room for as many pieces as there is space for. */
static int take_pieces(struct minix_fs *fs, struct minix_inode *ip,
		       uint64_t offset, uint64_t *end, struct piece *pieces,
		       uint32_t *count)
{
	uint64_t at = offset;

	for (*count = 0; at < *end; at += pieces[(*count)++].length_bytes) {
		struct minix_savepoint before;
		int status;

		op_save(fs, &before);
		pieces[*count] = piece_at(fs, at, *end);
		status = take_piece(fs, ip, at, &pieces[*count]);
		if (status == -X_ENOSPC && *count) {
			op_undo_to(fs, &before);
			*end = at;
			return 0;
		}
		if (status)
			return status;
	}
	return 0;
}

/*
 * The rest of the file's last block is to become part of the file: finds it,
 * to be zeroed. (Whoever made the disk may have left anything there.)
 */
static int take_tail(struct minix_fs *fs, struct minix_inode *ip,
		     struct cache_buf **buf)
{
	uint32_t zone;
	int status;

	*buf = NULL;
	if (ip->size_bytes % fs->block_size == 0)
		return 0;
	status = map_lookup(fs, ip, ip->size_bytes / fs->block_size, &zone);
	if (status || !zone)
		return status;
	status = cache_get_writable(&fs->cache, zone, CACHE_DATA, buf);
	if (!status)
		(*buf)->owner = ip->ino;
	return status;
}

static void zero_from(struct minix_fs *fs, struct cache_buf *buf, uint32_t from)
{
	if (!buf)
		return;
	cache_mark_dirty(&fs->cache, buf);
	memset(buf->frame + from, 0, fs->block_size - from);
}

static int fill_pieces(struct minix_fs *fs, const struct piece *pieces,
		       uint32_t count, minix_copy_fn copy_in, void *ctx)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		const struct piece *piece = &pieces[i];

		if (piece->fresh && piece->length_bytes < fs->block_size)
			memset(piece->buf->frame, 0, fs->block_size);
		if (!piece->fresh)
			cache_mark_dirty(&fs->cache, piece->buf);
	}
	return copy_pieces(pieces, count, copy_in, ctx);
}

static int check_write(struct minix_fs *fs, uint32_t ino, uint64_t offset,
		       struct minix_inode **ip)
{
	int status = fs->read_only ? -X_EROFS : get_regular(fs, ino, ip);

	if (status)
		return status;
	if (offset >= fs->max_size_bytes)
		return -X_EFBIG;
	if ((*ip)->trim)
		return -X_EAGAIN;
	if (fs->cache.dirty_count[CACHE_DATA] <= fs->cache.dirty_limit)
		return 0;
	/* Writers wait for the device when they are too far ahead of it. */
	fs->cache.want_write_back = true;
	return -X_EWAIT;
}

static int64_t write_file(struct minix_fs *fs, const struct minix_caller *who,
			  uint32_t ino, uint64_t offset, uint32_t length_bytes,
			  minix_copy_fn copy_in, void *ctx)
{
	struct piece pieces[MINIX_IO_BLOCKS];
	struct cache_buf *tail = NULL;
	struct minix_inode *ip;
	uint32_t old_size, count;
	uint64_t end;
	int status = check_write(fs, ino, offset, &ip);

	if (status || !length_bytes)
		return status;
	end = bounded_end(fs, offset, length_bytes);
	if (end > fs->max_size_bytes)
		end = fs->max_size_bytes;
	status = op_modify_inode(fs, ip);
	if (!status && offset > ip->size_bytes)
		status = take_tail(fs, ip, &tail);
	if (!status)
		status = take_pieces(fs, ip, offset, &end, pieces, &count);
	if (status)
		return status;
	old_size = ip->size_bytes;
	if (end > old_size)
		ip->size_bytes = end;
	ip->mtime_sec = ip->ctime_sec = who->time_sec;
	file_clear_set_id(ip, who);
	zero_from(fs, tail, old_size % fs->block_size);
	status = fill_pieces(fs, pieces, count, copy_in, ctx);
	return status ? status : (int64_t)(end - offset);
}

int64_t minix_write(struct minix_fs *fs, const struct minix_caller *who,
		    uint32_t ino, uint64_t offset, uint32_t length_bytes,
		    minix_copy_fn copy_in, void *ctx)
{
	op_begin(fs);
	return op_end(fs, write_file(fs, who, ino, offset, length_bytes, copy_in,
				     ctx));
}

/* ---- truncating ---------------------------------------------------------- */

static int truncate_file(struct minix_fs *fs, const struct minix_caller *who,
			 uint32_t ino, uint64_t size_bytes, bool check)
{
	struct cache_buf *tail = NULL;
	struct minix_inode *ip;
	uint32_t zero_at;
	int status = get_regular(fs, ino, &ip);

	if (!status && check)
		status = access_check(ip, who, MINIX_W);
	if (!status && fs->read_only)
		status = -X_EROFS;
	if (!status && size_bytes > fs->max_size_bytes)
		status = -X_EFBIG;
	if (!status && ip->trim && size_bytes > ip->size_bytes)
		status = -X_EAGAIN;
	if (!status)
		status = op_modify_inode(fs, ip);
	if (status)
		return status;
	zero_at = ip->size_bytes;
	if (size_bytes < ip->size_bytes) {
		zero_at = size_bytes;
		ip->size_bytes = size_bytes;
		ip->trim = true;
	}
	status = take_tail(fs, ip, &tail);
	if (status)
		return status;
	ip->size_bytes = size_bytes;
	ip->mtime_sec = ip->ctime_sec = who->time_sec;
	file_clear_set_id(ip, who);
	zero_from(fs, tail, zero_at % fs->block_size);
	return 0;
}

int minix_truncate(struct minix_fs *fs, const struct minix_caller *who,
		   uint32_t ino, uint64_t size_bytes, bool check)
{
	op_begin(fs);
	return op_end(fs, truncate_file(fs, who, ino, size_bytes, check));
}
