/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files: objects on our port, one for each open. The object's id is the
 * slot (from 1) and, above it, how often the slot was used. The inode is held
 * until the last handle is gone. What may be done was decided at open.
 */

#include "lib/fs/server.h"
#include "lib/ipc/file.h"
#include "lib/region/region.h"

enum { LISTING_BYTES = 32 * 1024, LISTING_BATCH = 64 };

struct open_file {
	bool used;
	bool readable, writable;
	bool runs;                      /* F_O_RUN */
	bool no_exec;                   /* F_O_NOEXEC */
	bool is_dir;
	bool no_atime;                  /* O_NOATIME: reads are calls, which are not noted */
	bool streams;                   /* it has the content as its stream */
	uint32_t generation;
	uint32_t opened_by;             /* FS_OPEN's a[4] */
	uint32_t ino;                   /* 0: its mount is gone */
	struct fsys_caller opener;     /* groups: below */
	uint32_t groups[FILE_GROUPS_MAX];
};

static struct open_file *files;
static uint32_t files_max;
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

	if (slot >= files_max || !files[slot].used ||
	    files[slot].generation != object >> 32)
		return NULL;
	return &files[slot];
}

static struct open_file *find_free(void)
{
	uint32_t i;

	if (!files)
		files = server_table(FILES_MAX, sizeof(*files), &files_max);

	for (i = 0; i < files_max; i++) {
		struct open_file *file = &files[(search_from + i) % files_max];

		if (file->used)
			continue;
		search_from = (search_from + i + 1) % files_max;
		return file;
	}
	return NULL;
}

static void keep_opener(struct open_file *file, const struct fsys_caller *who)
{
	uint32_t count = who->group_count < FILE_GROUPS_MAX ? who->group_count : FILE_GROUPS_MAX;

	file->opener.uid = who->uid;
	file->opener.gid = who->gid;
	file->opener.group_count = count;
	file->opener.groups = file->groups;
	if (count)
		memcpy(file->groups, who->groups, count * sizeof(file->groups[0]));
}

/* A program that runs is not written to. */
static int begin_use(const struct open_file *file)
{
	if (!file->runs && !file->writable)
		return 0;
	return fsys_begin_use(volume, file->ino, file->runs ? FSYS_RUNS : FSYS_WRITES);
}

static void let_go(const struct open_file *file)
{
	if (file->runs || file->writable)
		fsys_end_use(volume, file->ino, file->runs ? FSYS_RUNS : FSYS_WRITES);
	fsys_release(volume, file->ino, 1);
}

int64_t file_open(uint32_t ino, bool is_dir, uint32_t open_flags, uint32_t opened_by, const struct fsys_caller *who)
{
	static const uint32_t not_kept = F_O_CREAT | F_O_EXCL | F_O_TRUNC |
					 F_O_NOCTTY | F_O_CLOEXEC | F_O_TMPFILE | F_O_RUN | F_O_NOEXEC | F_O_NOWRITE;
	struct open_file *file = find_free();
	int64_t status;

	if (!file)
		return -X_ENFILE;
	status = fsys_hold(volume, ino);
	if (status)
		return status;
	file->generation++;
	file->ino = ino;
	file->is_dir = is_dir;
	file->streams = false;
	file->no_atime = open_flags & F_O_NOATIME;
	file->readable = file_may_read(open_flags);
	file->writable = file_may_write(open_flags);
	file->opened_by = opened_by;
	file->runs = open_flags & F_O_RUN;
	file->no_exec = open_flags & F_O_NOEXEC;
	status = begin_use(file);
	if (status) {
		fsys_release(volume, ino, 1);
		return status;
	}
	keep_opener(file, who);
	status = x_mint(server_port, object_id(file), X_MINT_CURSOR | X_MINT_QUIET | X_MINT_REOPEN,
			X_READY_IN | X_READY_OUT, open_flags & ~not_kept);
	if (status < 0) {
		let_go(file);
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
		let_go(file);
	file->used = false;
	file_count--;
	server_progress();
}

uint32_t file_open_count(void)
{
	return file_count;
}

uint32_t file_opened_by(uint32_t id, uint32_t run)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < files_max; i++) {
		if (!files[i].used || !files[i].ino || files[i].opened_by != id)
			continue;
		count++;
		if (run)
			files[i].no_exec = run == 2;
	}
	return count;
}

bool file_any_writable(void)
{
	uint32_t i;

	for (i = 0; i < files_max; i++)
		if (files[i].used && files[i].ino && files[i].writable)
			return true;
	return false;
}

void file_forget_all(void)
{
	uint32_t i;

	for (i = 0; i < files_max; i++) {
		if (files[i].used && files[i].ino)
			let_go(&files[i]);
		files[i].ino = 0;
	}
}

/* ---- reading and writing ------------------------------------------------------------- */

static bool uses_cursor(const struct request *r)
{
	return !(r->in.msg.status & FILE_AT);
}

static int64_t finish_transfer(struct request *r)
{
	r->set_cursor = uses_cursor(r);
	r->cursor = r->offset + r->done_bytes;
	return r->done_bytes;
}

/* The content, which serves the file's next transfers without us. */
static int get_content(const struct request *r, struct open_file *file,
		       struct content **c)
{
	int status = file->is_dir ? -X_EISDIR : content_get(file->ino, c);

	if (status || file->streams)
		return status;
	file->streams = true;
	content_attach(*c, r->in.object, file->readable && !file->no_atime, file->writable);
	return 0;
}

/* Where the transfer begins. */
static int find_offset(struct request *r, const struct content *c)
{
	r->offset = uses_cursor(r) ? r->in.cursor : r->in.msg.a[0];
	if (r->offset > INT64_MAX)
		return -X_EINVAL;
	if (r->in.msg.op == FILE_WRITE && r->in.status_flags & F_O_APPEND)
		r->offset = c->bytes;
	r->started = true;
	return 0;
}

/* Between the caller's window and the content, at done_bytes: bytes or error. */
static int64_t move(struct request *r, struct content *c, uint64_t length, bool to_window,
		    bool backed)
{
	struct x_window_copy copy = {
		.id = r->in.id, .to_window = to_window, .offset = r->done_bytes,
		.addr = r->offset + r->done_bytes, .len = length, .memory = c->memory,
		.window2 = backed ? X_COPY_BACKED : 0,
	};

	return x_window_copy(server_port, &copy);
}

static int64_t do_read(struct request *r, struct open_file *file,
		       const struct fsys_caller *who)
{
	uint64_t length = r->in.win[0].len, at;
	struct content *c;
	int64_t n;

	if (!file->readable)
		return -X_EBADF;
	n = get_content(r, file, &c);
	if (!n && !r->started)
		n = find_offset(r, c);
	if (n)
		return n;
	while (at = r->offset + r->done_bytes, r->done_bytes < length && at < c->bytes) {
		uint64_t left = length - r->done_bytes;

		n = move(r, c, left < c->bytes - at ? left : c->bytes - at, true, false);
		if (n > 0) {
			r->done_bytes += n;
			continue;
		}
		if (!n)
			n = content_fetch(c, at, left < CONTENT_PAGE ? left : CONTENT_PAGE);
		if (n)
			return n == -X_EWAIT || n == -X_EAGAIN || !r->done_bytes ? n : r->done_bytes;
		/* It may be there at once, or must be waited for. */
		n = move(r, c, 1, true, false);
		if (n <= 0)
			return n ? n : -X_EWAIT;
	}
	if (r->done_bytes && !file->no_atime)
		(void)fsys_touch(volume, file->ino, who->time_ns, 0);
	return finish_transfer(r);
}

/*
 * Pages that will hold old bytes besides the new ones of [from, end) are in
 * memory and stay: at both ends, and where the file ended.
 */
static int hold_edges(struct content *c, uint64_t from, uint64_t end)
{
	const uint64_t edges[] = { end > c->bytes ? c->bytes : 0, from, end };
	int i;

	for (i = 0; i < 3; i++) {
		uint64_t page = edges[i] - edges[i] % CONTENT_PAGE;
		int status = 0;

		if (edges[i] % CONTENT_PAGE && page < c->bytes)
			status = content_hold(c, page, 1);
		if (status)
			return status;
	}
	return 0;
}

/* One operation's worth. */
static int64_t write_part(struct request *r, struct content *c, const struct fsys_caller *who,
			  uint32_t length)
{
	uint64_t at = r->offset + r->done_bytes, in_page = CONTENT_PAGE - at % CONTENT_PAGE, old = c->bytes;
	bool backed = false;
	int64_t n = hold_edges(c, at, at + length), copied;

	if (!n)
		n = blocks_hold(c, at, at + length);
	if (!n)
		n = fsys_write(volume, who, c->ino, at, length, &backed);
	if (n == -X_ENOSPC && length > in_page)
		return write_part(r, c, who, in_page);
	if (n <= 0)
		return n;
	if (at + n > old) {
		content_resize(c, at + n);
		copied = blocks_grow(c, who, old, at);
		if (copied)
			return copied;
	}
	copied = move(r, c, n, false, backed);
	if (copied != n)
		return copied < 0 ? copied : -X_EFAULT;
	r->done_bytes += n;
	return n;
}

static int64_t write_some(struct request *r, struct content *c,
			  const struct fsys_caller *who)
{
	uint32_t length = r->in.win[0].len;
	int64_t n = 1;

	while (n > 0 && r->done_bytes < length) {
		if (store_writers_wait())
			return -X_EWAIT;
		n = write_part(r, c, who, length - r->done_bytes);
		if (n == -X_EWAIT || n == -X_EAGAIN || (n < 0 && !r->done_bytes))
			return n;
	}
	return 0;
}

static int64_t do_write(struct request *r, struct open_file *file,
			const struct fsys_caller *who)
{
	struct content *c;
	int64_t status;

	if (!file->writable)
		return -X_EBADF;
	r->ino = file->ino;
	if (request_writer_ahead(r))
		return -X_EWAIT;
	status = get_content(r, file, &c);
	if (!status && !r->started)
		status = find_offset(r, c);
	if (!status && !r->written)
		status = write_some(r, c, who);
	if (status)
		return status;
	r->written = true;
	if (who->uid)
		content_mode(file->ino, 0);     /* its set-id bits are gone */
	if (r->in.status_flags & F_O_DSYNC) {
		status = store_sync(&r->sync, file->ino);
		if (status)
			return status;
	}
	return finish_transfer(r);
}

int file_truncate(const struct fsys_caller *who, uint32_t ino, uint64_t size_bytes,
		  bool check)
{
	struct content *c = content_find(ino);
	struct fsys_attr attr;
	int status = fsys_may_truncate(volume, who, ino, size_bytes, check);

	if (!status)
		status = fsys_check_use(volume, ino);
	if (!status && c)
		status = content_get(ino, &c);  /* it may be cut off at this moment */
	if (!status)
		status = fsys_getattr(volume, ino, &attr);
	/* What lies behind the end in its page and block becomes part of the file: zeros. */
	if (!status && size_bytes > attr.size_bytes && blocks_end_inside(attr.size_bytes)) {
		status = content_get(ino, &c);
		if (!status && attr.size_bytes % CONTENT_PAGE)
			status = content_hold(c, attr.size_bytes - attr.size_bytes % CONTENT_PAGE, 1);
	}
	if (!status)
		status = fsys_truncate(volume, who, ino, size_bytes, check);
	if (status || !c)
		return status;
	content_resize(c, size_bytes);
	return size_bytes > attr.size_bytes ? blocks_grow(c, who, attr.size_bytes, size_bytes) : 0;
}

static int64_t do_truncate(struct request *r, struct open_file *file,
			   const struct fsys_caller *who)
{
	if (!file->writable || r->in.msg.a[0] > INT64_MAX)
		return -X_EINVAL;
	r->ino = file->ino;
	if (request_writer_ahead(r))
		return -X_EWAIT;
	return file_truncate(who, file->ino, r->in.msg.a[0], false);
}

static int64_t do_allocate(struct request *r, struct open_file *file,
			   const struct fsys_caller *who)
{
	if (!file->writable)
		return -X_EBADF;
	if (file->is_dir)
		return -X_EISDIR;
	r->ino = file->ino;
	if (request_writer_ahead(r))
		return -X_EWAIT;
	return allocate_run(r, who);
}

enum { SEEK_STEPS = 4096 };             /* of an iteration */

static int64_t do_seek(struct request *r, struct open_file *file,
		       const struct fsys_caller *who)
{
	bool for_hole = r->in.msg.a[1];
	struct fsys_attr attr;
	int64_t status = file->is_dir ? -X_EISDIR : fsys_getattr(volume, file->ino, &attr);
	int step;

	(void)who;
	if (!r->started)
		r->offset = r->in.msg.a[0];
	r->started = true;
	for (step = 0; !status && r->offset < attr.size_bytes; step++) {
		uint64_t next;
		bool room;

		status = fsys_room_at(volume, file->ino, r->offset, &room, &next);
		if (status || room != for_hole)
			break;
		if (step == SEEK_STEPS)
			return -X_EAGAIN;
		r->offset = next;
	}
	if (status)
		return status;
	if (r->offset >= attr.size_bytes) {
		if (!for_hole || r->in.msg.a[0] >= attr.size_bytes)
			return -X_ENXIO;
		r->offset = attr.size_bytes;
	}
	r->reply.a[0] = r->offset;
	return 0;
}

/* ---- attributes ------------------------------------------------------------------------ */

void file_fill_attr(const struct fsys_attr *attr, struct file_attr *out)
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
	out->atime_ns = attr->atime_ns;
	out->mtime_ns = attr->mtime_ns;
	out->ctime_ns = attr->ctime_ns;
}

static int64_t give(struct request *r, const void *data, uint32_t length)
{
	return window_write(r->in.id, 0, 0, data, length) == length ? 0 : -X_EFAULT;
}

static int64_t do_stat(struct request *r, struct open_file *file,
		       const struct fsys_caller *who)
{
	struct file_attr out;
	struct fsys_attr attr;
	int64_t status;

	(void)who;
	content_note_times(file->ino);
	status = fsys_getattr(volume, file->ino, &attr);
	if (status)
		return status;
	file_fill_attr(&attr, &out);
	r->reply.a[2] = file->opened_by;
	return give(r, &out, sizeof(out));
}

static int64_t do_setattr(struct request *r, struct open_file *file,
			  const struct fsys_caller *who)
{
	const uint64_t *a = r->in.msg.a;
	struct fsys_setattr set = {
		.mask = a[0] & ~(uint64_t)ATTR_SIZE,
		.atime_ns = a[4], .mtime_ns = a[5],
	};
	int64_t status;

	if (a[0] & (ATTR_MODE | ATTR_UID | ATTR_GID)) /* that vfs must know, and asks for by FS_SETATTR */
		return -X_EPERM;
	if (a[0] & ATTR_SIZE) {
		if (!file->writable)
			return -X_EINVAL;
		status = file_truncate(who, file->ino, a[3], false);
		if (status)
			return status;
	}
	content_note_times(file->ino);  /* or they would come later */
	return set.mask ? fsys_setattr(volume, who, file->ino, &set) : 0;
}

static int64_t do_size(struct request *r, struct open_file *file,
		       const struct fsys_caller *who)
{
	struct fsys_attr attr;
	int64_t status = fsys_getattr(volume, file->ino, &attr);

	(void)who;
	if (!status)
		r->reply.a[0] = attr.size_bytes;
	return status;
}

static int64_t do_statfs(struct request *r, struct open_file *file,
			 const struct fsys_caller *who)
{
	struct file_statfs out;

	(void)file;
	(void)who;
	mount_statfs(&out);
	return give(r, &out, sizeof(out));
}

static int64_t do_ident(struct request *r, struct open_file *file,
			const struct fsys_caller *who)
{
	(void)who;
	if (!file->is_dir)
		return -X_ENOTDIR;
	r->reply.a[0] = mount_id;
	r->reply.a[1] = file->ino;
	r->reply.a[2] = file->opened_by;
	return 0;
}

static int64_t do_sync(struct request *r, struct open_file *file,
		       const struct fsys_caller *who)
{
	(void)who;
	return store_sync(&r->sync, file->is_dir ? 0 : file->ino);
}

static int64_t do_mmap(struct request *r, struct open_file *file,
		       const struct fsys_caller *who)
{
	struct content *c;
	int64_t status;

	(void)who;
	if (file->is_dir)
		return -X_ENODEV;
	if (!file->readable)
		return -X_EACCES;
	status = content_get(file->ino, &c);
	if (!status)
		status = content_lend(c, file->writable && !fsys_limits(volume)->read_only, !file->no_exec);
	if (status < 0)
		return status;
	r->handle = status;
	r->reply.a[0] = c->bytes;
	return 0;
}

/* ---- listing --------------------------------------------------------------------------- */

static REGION_SCRATCH uint8_t listing[LISTING_BYTES] __attribute__((aligned(8)));
static REGION_SCRATCH struct fsys_dirent entries[LISTING_BATCH];

/* Puts an entry at the end of the listing; false if it doesn't fit. */
static bool list_entry(const struct fsys_dirent *entry, uint32_t *length,
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
			    const struct fsys_caller *who, uint32_t capacity,
			    uint64_t *cursor)
{
	uint32_t length = 0;

	for (;;) {
		int64_t i, n = fsys_readdir(volume, who, file->ino, *cursor, entries,
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
			  const struct fsys_caller *who)
{
	uint32_t capacity = r->in.win[0].len;
	uint64_t cursor = r->in.cursor;
	struct fsys_attr attr;
	int64_t length;

	if (!file->is_dir)
		return -X_ENOTDIR;
	if (fsys_getattr(volume, file->ino, &attr) == 0 && attr.link_count == 0)
		return -X_ENOENT; /* removed */
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
			   const struct fsys_caller *who);

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
	[FILE_SEEK - FILE_READ] = do_seek,
	[FILE_ALLOCATE - FILE_READ] = do_allocate,
};

int64_t file_request(struct request *r)
{
	uint32_t index = r->in.msg.op - FILE_READ;
	struct open_file *file = find_file(r->in.object);
	struct fsys_caller who;

	if (r->in.msg.op == FILE_IOCTL)
		return -X_ENOTTY;
	if (!file || !file->ino)
		return -X_EIO;
	if (index >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[index])
		return -X_ENOSYS;
	who = file->opener;
	who.time_ns = attr_time(volume, server_time_ns());
	return handlers[index](r, file, &who);
}
