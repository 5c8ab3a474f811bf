/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files: objects on our port, one for each open. The object's id is the
 * slot (from 1) and, above it, how often the slot was used. The inode is held
 * until the last handle is gone. What may be done was decided at open.
 */

#include "fs/minix/server.h"

enum { LISTING_BYTES = 32 * 1024, LISTING_BATCH = 64 };

#define O_DSYNC_BIT 010000u             /* in status flags; O_SYNC has it too */

struct open_file {
	bool used;
	bool readable, writable;
	bool is_dir;
	uint32_t generation;
	uint32_t ino;                   /* 0: its mount is gone */
	struct minix_caller opener;     /* groups: below */
	uint32_t groups[FILE_GROUPS_MAX];
};

static struct open_file files[FILES_MAX];
static uint32_t file_count;
static uint32_t search_from;

/* ---- opening and closing ---------------------------------------------------------- */

static uint64_t object_id(const struct open_file *file)
{
	return (uint64_t)file->generation << 32 | (file - files + 1);
}

static struct open_file *find_file(uint64_t object)
{
	uint32_t slot = (uint32_t)object - 1;

	if (slot >= FILES_MAX || !files[slot].used ||
	    files[slot].generation != object >> 32)
		return NULL;
	return &files[slot];
}

static struct open_file *find_free(void)
{
	uint32_t i;

	for (i = 0; i < FILES_MAX; i++) {
		struct open_file *file = &files[(search_from + i) % FILES_MAX];

		if (file->used)
			continue;
		search_from = (search_from + i + 1) % FILES_MAX;
		return file;
	}
	return NULL;
}

static void keep_opener(struct open_file *file, const struct minix_caller *who)
{
	file->opener = *who;
	if (file->opener.group_count > FILE_GROUPS_MAX)
		file->opener.group_count = FILE_GROUPS_MAX;
	memcpy(file->groups, who->groups,
	       file->opener.group_count * sizeof(file->groups[0]));
	file->opener.groups = file->groups;
}

int64_t file_open(uint32_t ino, uint32_t open_flags, const struct minix_caller *who)
{
	static const uint32_t not_kept = F_O_CREAT | F_O_EXCL | F_O_TRUNC |
					 F_O_NOCTTY | F_O_CLOEXEC;
	struct open_file *file = find_free();
	uint32_t access = open_flags & F_O_ACCMODE;
	struct minix_attr attr;
	int64_t status;

	if (!file)
		return -X_ENFILE;
	status = minix_getattr(&fs, ino, &attr);
	if (!status)
		status = minix_hold(&fs, ino);
	if (status)
		return status;
	file->generation++;
	file->ino = ino;
	file->is_dir = MINIX_ISDIR(attr.mode);
	file->readable = access != F_O_WRONLY;
	file->writable = access != F_O_RDONLY;
	keep_opener(file, who);
	status = x_mint(server_port, object_id(file), X_MINT_CURSOR,
			X_READY_IN | X_READY_OUT, open_flags & ~not_kept);
	if (status < 0) {
		minix_release(&fs, ino, 1);
		return status;
	}
	file->used = true;
	file_count++;
	return status;
}

void file_closure(uint64_t object, uint64_t mints)
{
	struct open_file *file = find_file(object);

	if (!file || mints != 1)
		return;
	if (file->ino)
		minix_release(&fs, file->ino, 1);
	file->used = false;
	file_count--;
	server_progress();
}

uint32_t file_open_count(void)
{
	return file_count;
}

void file_forget_all(void)
{
	uint32_t i;

	for (i = 0; i < FILES_MAX; i++)
		files[i].ino = 0;
}

/* ---- reading and writing ------------------------------------------------------------- */

static int copy_in(void *ctx, uint32_t offset, void *data, uint32_t length)
{
	const struct request *r = ctx;

	return window_read(r->in.id, 0, r->done_bytes + offset, data, length) ==
	       length ? 0 : -X_EFAULT;
}

static int copy_out(void *ctx, uint32_t offset, void *data, uint32_t length)
{
	const struct request *r = ctx;

	return window_write(r->in.id, 0, r->done_bytes + offset, data, length) ==
	       length ? 0 : -X_EFAULT;
}

static bool uses_cursor(const struct request *r)
{
	return !(r->in.msg.status & FILE_AT);
}

static int64_t find_offset(struct request *r, const struct open_file *file)
{
	struct minix_attr attr;
	int64_t status;

	r->offset = uses_cursor(r) ? r->in.cursor : r->in.msg.a[0];
	if (r->offset > INT64_MAX)
		return -X_EINVAL;
	if (r->in.msg.op != FILE_WRITE || !(r->in.status_flags & F_O_APPEND))
		return 0;
	status = minix_getattr(&fs, file->ino, &attr);
	if (!status)
		r->offset = attr.size_bytes;
	return status;
}

static int64_t finish_transfer(struct request *r)
{
	r->set_cursor = uses_cursor(r);
	r->cursor = r->offset + r->done_bytes;
	return r->done_bytes;
}

static int64_t do_read(struct request *r, struct open_file *file,
		       const struct minix_caller *who)
{
	uint32_t length = r->in.win[0].len;
	int64_t n;

	if (!file->readable)
		return -X_EBADF;
	if (!r->started) {
		n = find_offset(r, file);
		if (n)
			return n;
		r->started = true;
	}
	do {
		n = minix_read(&fs, who, file->ino, r->offset + r->done_bytes,
			       length - r->done_bytes, copy_out, r);
		if (n == -X_EWAIT || n == -X_EAGAIN || (n < 0 && !r->done_bytes))
			return n;
		if (n > 0)
			r->done_bytes += n;
	} while (n > 0 && r->done_bytes < length);
	return finish_transfer(r);
}

static int64_t write_some(struct request *r, struct open_file *file,
			  const struct minix_caller *who)
{
	uint32_t length = r->in.win[0].len;
	int64_t n;

	do {
		n = minix_write(&fs, who, file->ino, r->offset + r->done_bytes,
				length - r->done_bytes, copy_in, r);
		if (n == -X_EWAIT || n == -X_EAGAIN || (n < 0 && !r->done_bytes))
			return n;
		if (n > 0)
			r->done_bytes += n;
	} while (n > 0 && r->done_bytes < length);
	page_file_changed(file->ino);
	return 0;
}

static int64_t do_write(struct request *r, struct open_file *file,
			const struct minix_caller *who)
{
	int64_t status;

	if (!file->writable)
		return -X_EBADF;
	r->ino = file->ino;
	if (request_writer_ahead(r))
		return -X_EWAIT;
	if (!r->started) {
		status = find_offset(r, file);
		if (status)
			return status;
		r->started = true;
	}
	if (r->sync.state == CACHE_SYNC_NEW) {
		status = write_some(r, file, who);
		if (status)
			return status;
	}
	if (r->in.status_flags & O_DSYNC_BIT) {
		status = minix_sync(&fs, &r->sync, file->ino);
		if (status)
			return status;
	}
	return finish_transfer(r);
}

static int64_t do_truncate(struct request *r, struct open_file *file,
			   const struct minix_caller *who)
{
	int64_t status;

	if (!file->writable || r->in.msg.a[0] > INT64_MAX)
		return -X_EINVAL;
	r->ino = file->ino;
	if (request_writer_ahead(r))
		return -X_EWAIT;
	status = minix_truncate(&fs, who, file->ino, r->in.msg.a[0], false);
	if (!status)
		page_file_changed(file->ino);
	return status;
}

/* ---- attributes ------------------------------------------------------------------------ */

void file_fill_attr(const struct minix_attr *attr, struct file_attr *out)
{
	memset(out, 0, sizeof(*out));
	out->dev = mount_id;
	out->ino = attr->ino;
	out->mode = attr->mode;
	out->nlink = attr->link_count;
	out->uid = attr->uid;
	out->gid = attr->gid;
	out->rdev = (attr->minor & 0xff) | (uint64_t)attr->major << 8 |
		    (uint64_t)(attr->minor & ~0xffu) << 12;
	out->size = attr->size_bytes;
	out->blocks = attr->blocks_512;
	out->block_bytes = attr->block_size;
	out->atime_ns = attr->atime_sec * 1000000000ull;
	out->mtime_ns = attr->mtime_sec * 1000000000ull;
	out->ctime_ns = attr->ctime_sec * 1000000000ull;
}

static int64_t give(struct request *r, const void *data, uint32_t length)
{
	return window_write(r->in.id, 0, 0, data, length) == length ? 0 : -X_EFAULT;
}

static int64_t do_stat(struct request *r, struct open_file *file,
		       const struct minix_caller *who)
{
	struct file_attr out;
	struct minix_attr attr;
	int64_t status = minix_getattr(&fs, file->ino, &attr);

	(void)who;
	if (status)
		return status;
	file_fill_attr(&attr, &out);
	return give(r, &out, sizeof(out));
}

static int64_t do_setattr(struct request *r, struct open_file *file,
			  const struct minix_caller *who)
{
	const uint64_t *a = r->in.msg.a;
	struct minix_setattr set = {
		.mask = a[0] & ~(uint64_t)ATTR_SIZE,
		.mode = (uint32_t)a[1], .uid = a[1] >> 32, .gid = a[2],
		.atime_sec = a[4] / 1000000000u, .mtime_sec = a[5] / 1000000000u,
	};
	int64_t status;

	if (a[0] & ATTR_SIZE) {
		if (!file->writable)
			return -X_EINVAL;
		status = minix_truncate(&fs, who, file->ino, a[3], false);
		if (status)
			return status;
		page_file_changed(file->ino);
	}
	return set.mask ? minix_setattr(&fs, who, file->ino, &set) : 0;
}

static int64_t do_size(struct request *r, struct open_file *file,
		       const struct minix_caller *who)
{
	struct minix_attr attr;
	int64_t status = minix_getattr(&fs, file->ino, &attr);

	(void)who;
	if (!status)
		r->reply.a[0] = attr.size_bytes;
	return status;
}

static int64_t do_statfs(struct request *r, struct open_file *file,
			 const struct minix_caller *who)
{
	struct file_statfs out;

	(void)file;
	(void)who;
	mount_statfs(&out);
	return give(r, &out, sizeof(out));
}

static int64_t do_ident(struct request *r, struct open_file *file,
			const struct minix_caller *who)
{
	(void)who;
	if (!file->is_dir)
		return -X_ENOTDIR;
	r->reply.a[0] = mount_id;
	r->reply.a[1] = file->ino;
	return 0;
}

static int64_t do_sync(struct request *r, struct open_file *file,
		       const struct minix_caller *who)
{
	(void)who;
	return minix_sync(&fs, &r->sync, file->is_dir ? 0 : file->ino);
}

static int64_t do_mmap(struct request *r, struct open_file *file,
		       const struct minix_caller *who)
{
	struct minix_attr attr;
	int64_t status;

	(void)who;
	if (file->is_dir)
		return -X_ENODEV;
	if (!file->readable)
		return -X_EACCES;
	status = minix_getattr(&fs, file->ino, &attr);
	if (status)
		return status;
	status = page_object(file->ino, attr.size_bytes);
	if (status < 0)
		return status;
	r->handle = status;
	r->reply.a[0] = attr.size_bytes;
	return 0;
}

/* ---- listing --------------------------------------------------------------------------- */

static uint8_t listing[LISTING_BYTES];
static struct minix_dirent entries[LISTING_BATCH];

/* Puts an entry at the end of the listing; false if it doesn't fit. */
static bool list_entry(const struct minix_dirent *entry, uint32_t *length,
		       uint32_t capacity)
{
	uint32_t bytes = (offsetof(struct file_dirent, name) + entry->name_bytes + 1 +
			  7) & ~7u;
	struct file_dirent *out = (void *)(listing + *length);

	if (bytes > capacity - *length)
		return false;
	memset(out, 0, bytes);
	out->ino = entry->ino;
	out->next = entry->next_cursor;
	out->reclen = bytes;
	out->type = entry->mode >> 12;
	memcpy(out->name, entry->name, entry->name_bytes);
	*length += bytes;
	return true;
}

static int64_t fill_listing(const struct open_file *file,
			    const struct minix_caller *who, uint32_t capacity,
			    uint64_t *cursor)
{
	uint32_t length = 0;

	for (;;) {
		int64_t i, n = minix_readdir(&fs, who, file->ino, *cursor, entries,
					     LISTING_BATCH);

		if (n <= 0)
			return length ? (int64_t)length : n;
		for (i = 0; i < n; i++) {
			if (!list_entry(&entries[i], &length, capacity))
				return length ? (int64_t)length : -X_EINVAL;
			*cursor = entries[i].next_cursor;
		}
	}
}

static int64_t do_readdir(struct request *r, struct open_file *file,
			  const struct minix_caller *who)
{
	uint32_t capacity = r->in.win[0].len;
	uint64_t cursor = r->in.cursor;
	int64_t length;

	if (!file->is_dir)
		return -X_ENOTDIR;
	if (cursor > UINT32_MAX)
		return 0;
	if (capacity > LISTING_BYTES)
		capacity = LISTING_BYTES;
	length = fill_listing(file, who, capacity, &cursor);
	if (length < 0)
		return length;
	if (length && window_write(r->in.id, 0, 0, listing, length) != length)
		return -X_EFAULT;
	r->set_cursor = true;
	r->cursor = cursor;
	return length;
}

/* ---- dispatch ----------------------------------------------------------------------------- */

typedef int64_t (*file_fn)(struct request *r, struct open_file *file,
			   const struct minix_caller *who);

static const file_fn handlers[] = {
	[FILE_READ - FILE_READ] = do_read,
	[FILE_WRITE - FILE_READ] = do_write,
	[FILE_STAT - FILE_READ] = do_stat,
	[FILE_SETATTR - FILE_READ] = do_setattr,
	[FILE_READDIR - FILE_READ] = do_readdir,
	[FILE_SYNC - FILE_READ] = do_sync,
	[FILE_MMAP - FILE_READ] = do_mmap,
	[FILE_STATFS - FILE_READ] = do_statfs,
	[FILE_IDENT - FILE_READ] = do_ident,
	[FILE_SIZE - FILE_READ] = do_size,
	[FILE_TRUNCATE - FILE_READ] = do_truncate,
};

int64_t file_request(struct request *r)
{
	uint32_t index = r->in.msg.op - FILE_READ;
	struct open_file *file = find_file(r->in.object);
	struct minix_caller who;

	if (r->in.msg.op == FILE_IOCTL)
		return -X_ENOTTY;
	if (!file || !file->ino)
		return -X_EIO;
	if (index >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[index])
		return -X_ENOSYS;
	who = file->opener;
	who.time_sec = server_time_sec();
	return handlers[index](r, file, &who);
}
