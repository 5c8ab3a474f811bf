/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/file.h: calls on open files. Data moves between the cache's frames and
 * the caller's window, a block at a time, by the kernel.
 */
#include "fs/minix/server.h"
#include "lib/c/string.h"

#define NS_PER_SEC 1000000000ull

static struct open_file files[OPEN_FILES_MAX];
static uint64_t generation = 1;

struct open_file *file_find(uint64_t object)
{
	struct open_file *f = &files[object % OPEN_FILES_MAX];

	return object && f->object == object ? f : NULL;
}

int64_t file_open(uint32_t ino, uint32_t flags, const struct minix_caller *who, bool directory)
{
	for (uint32_t i = 0; i < OPEN_FILES_MAX; i++) {
		struct open_file *f = &files[i];
		uint64_t object = generation * OPEN_FILES_MAX + i;
		int64_t h;

		if (f->object)
			continue;
		h = x_mint(server_port, object, X_MINT_CURSOR, X_READY_IN | X_READY_OUT,
			   flags & ~(F_O_CREAT | F_O_EXCL | F_O_TRUNC | F_O_NOCTTY | F_O_CLOEXEC));
		if (h < 0)
			return h;
		generation++;
		*f = (struct open_file){
			.object = object, .ino = ino, .flags = flags, .uid = who->uid, .gid = who->gid,
			.directory = directory,
		};
		return h;
	}
	return -X_ENFILE;
}

void file_closed(uint64_t object)
{
	struct open_file *f = file_find(object);

	if (!f)
		return;
	minix_release(volume, f->ino, 1);
	f->object = 0;
	request_again(); /* the inode may have to be freed */
}

/* A new vfs: its predecessor's files and holds are nobody's. */
void files_forget_all(void)
{
	for (uint32_t i = 0; i < OPEN_FILES_MAX; i++)
		files[i].object = 0;
	for (uint32_t i = 0; i < volume->setup.inode_slots; i++) {
		struct minix_inode *inode = &volume->setup.inodes[i];

		if (inode->ino && inode->holds)
			minix_release(volume, inode->ino, inode->holds);
		if (inode->ino)
			inode->mounted_on = false;
	}
}

/* ---- data ---- */

static bool may_read(const struct open_file *f)
{
	return !(f->flags & F_O_PATH) && (f->flags & F_O_ACCMODE) != F_O_WRONLY;
}

static bool may_write(const struct open_file *f)
{
	return !(f->flags & F_O_PATH) && (f->flags & F_O_ACCMODE) != F_O_RDONLY;
}

static int to_window(void *ctx, uint32_t offset, void *data, uint32_t bytes)
{
	struct request *r = ctx;
	int64_t n = window_write(r->in.id, 0, r->done + offset, data, bytes);

	return n == bytes ? 0 : n < 0 ? (int)n : -X_EFAULT;
}

static int from_window(void *ctx, uint32_t offset, void *data, uint32_t bytes)
{
	struct request *r = ctx;
	int64_t n = window_read(r->in.id, 0, r->done + offset, data, bytes);

	return n == bytes ? 0 : n < 0 ? (int)n : -X_EFAULT;
}

/* The data's end: bytes moved, or why none were; the cursor goes along. */
static int64_t data_end(struct request *r, int64_t status)
{
	struct x_out *o;

	if (r->done)
		status = r->done;
	if (status < 0)
		return status;
	o = out_answer_entry(r->in.id);
	o->msg.status = status;
	if (!(r->in.msg.status & FILE_AT)) {
		o->flags |= X_ANSWER_CURSOR;
		o->value = r->offset + r->done;
	}
	r->answered = true;
	return 0;
}

static int64_t do_read(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);
	uint32_t len = r->in.win_count ? r->in.win[0].len : 0;

	if (!f)
		return -X_EBADF;
	while (r->done < len) {
		int64_t n = minix_read(volume, &r->who, f->ino, r->offset + r->done, len - r->done, to_window, r);

		if (n == -X_EWAIT || n == -X_EAGAIN)
			return n;
		if (n <= 0)
			return data_end(r, n);
		r->done += n;
	}
	return data_end(r, 0);
}

static int64_t do_write(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);
	uint32_t len = r->in.win_count ? r->in.win[0].len : 0;
	struct minix_attr attr;

	if (!f)
		return -X_EBADF;
	if ((r->in.status_flags & F_O_APPEND) && !r->progress) {
		int64_t status = minix_getattr(volume, f->ino, &attr);

		if (status)
			return status;
		r->offset = attr.size_bytes;
		r->progress = 1;
	}
	while (r->done < len) {
		int64_t n = minix_write(volume, &r->who, f->ino, r->offset + r->done, len - r->done,
					from_window, r);

		if (n == -X_EWAIT || n == -X_EAGAIN)
			return n;
		if (n <= 0)
			return data_end(r, n);
		r->done += n;
		pages_changed(f->ino);
	}
	return data_end(r, 0);
}

/* ---- directories ---- */

#define ENTRY_BYTES(name_bytes) ((19u + (name_bytes) + 1u + 7u) & ~7u)

static uint8_t dirent_type(uint32_t mode)
{
	return (mode & F_S_IFMT) >> 12;
}

static int64_t do_readdir(struct request *r)
{
	static struct minix_dirent entries[32];
	static uint8_t out[32 * ENTRY_BYTES(MINIX_NAME_MAX)];
	const struct open_file *f = file_find(r->in.object);
	uint32_t room = r->in.win_count ? r->in.win[0].len : 0, used = 0;
	int64_t n;

	if (!f)
		return -X_EBADF;
	if (!f->directory)
		return -X_ENOTDIR;
	if (r->in.cursor > UINT32_MAX)
		return 0;
	r->offset = r->in.cursor;
	n = minix_readdir(volume, &r->who, f->ino, r->offset, entries, 32);
	if (n < 0)
		return n;
	for (int64_t i = 0; i < n; i++) {
		uint32_t bytes = ENTRY_BYTES(entries[i].name_bytes);
		struct file_dirent *d = (void *)(out + used);

		if (used + bytes > room)
			break;
		memset(d, 0, bytes);
		d->ino = entries[i].ino;
		d->next = entries[i].next_cursor;
		d->reclen = bytes;
		d->type = dirent_type(entries[i].mode);
		memcpy(d->name, entries[i].name, entries[i].name_bytes);
		used += bytes;
		r->offset = entries[i].next_cursor;
	}
	if (n && !used)
		return -X_EINVAL; /* not even one fits */
	if (used && window_write(r->in.id, 0, 0, out, used) != used)
		return -X_EFAULT;
	r->done = used;
	/* the cursor is that of the next entry, not a byte count */
	r->offset -= used;
	return data_end(r, 0);
}

/* ---- attributes ---- */

static int64_t do_stat(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);
	struct minix_attr attr;
	struct file_attr out;
	int64_t status;

	if (!f)
		return -X_EBADF;
	status = minix_getattr(volume, f->ino, &attr);
	if (status)
		return status;
	fill_attr(&attr, &out);
	status = window_write(r->in.id, 0, 0, &out, sizeof(out));
	return status < 0 ? status : 0;
}

static int64_t truncate_open(struct request *r, const struct open_file *f, uint64_t size)
{
	int64_t status = f->directory || !may_write(f) ? -X_EINVAL
			 : minix_truncate(volume, &r->who, f->ino, size, false);

	if (!status)
		pages_changed(f->ino);
	return status;
}

static int64_t do_setattr(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);
	const uint64_t *a = r->in.msg.a;
	struct minix_setattr set = {
		.mask = (uint32_t)a[0] & ~ATTR_SIZE, .mode = (uint32_t)a[1], .uid = a[1] >> 32,
		.gid = (uint32_t)a[2], .atime_sec = a[4] / NS_PER_SEC, .mtime_sec = a[5] / NS_PER_SEC,
	};

	if (!f || (f->flags & F_O_PATH))
		return -X_EBADF;
	if ((a[0] & ATTR_SIZE) && !r->progress) {
		int64_t status = truncate_open(r, f, a[3]);

		if (status)
			return status;
		r->progress = 1;
	}
	return set.mask ? minix_setattr(volume, &r->who, f->ino, &set) : 0;
}

static int64_t do_truncate(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);

	return f ? truncate_open(r, f, r->in.msg.a[0]) : -X_EBADF;
}

static int64_t do_sync(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);

	return f ? minix_sync(volume, &r->sync, f->directory ? 0 : f->ino) : -X_EBADF;
}

static int64_t do_statfs(struct request *r)
{
	struct file_statfs s;
	int64_t n;

	fill_statfs(&s);
	n = window_write(r->in.id, 0, 0, &s, sizeof(s));
	return n < 0 ? n : 0;
}

static int64_t do_ident(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);

	if (!f || !f->directory)
		return -X_ENOTDIR;
	r->reply.a[0] = mount_id;
	r->reply.a[1] = f->ino;
	return 0;
}

static int64_t do_size(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);
	struct minix_attr attr;
	int64_t status;

	if (!f)
		return -X_EBADF;
	status = minix_getattr(volume, f->ino, &attr);
	r->reply.a[0] = attr.size_bytes;
	return status;
}

static int64_t do_mmap(struct request *r)
{
	const struct open_file *f = file_find(r->in.object);
	struct minix_attr attr;
	struct x_out *o;
	int64_t h;

	if (!f || !may_read(f))
		return -X_EACCES;
	if (f->directory)
		return -X_ENODEV;
	h = minix_getattr(volume, f->ino, &attr);
	if (!h)
		h = pages_object(f->ino, attr.size_bytes);
	if (h < 0)
		return h;
	o = out_answer_entry(r->in.id);
	o->msg.a[0] = attr.size_bytes;
	o->handle_count = 1;
	o->handles[0] = (uint32_t)h;
	r->answered = true;
	return 0;
}

static int64_t refuse(const struct open_file *f, const struct x_in *in)
{
	if (in->msg.op == FILE_READ && f->directory)
		return -X_EISDIR;
	if ((in->msg.op == FILE_READ || in->msg.op == FILE_READDIR) && !may_read(f))
		return -X_EBADF;
	if (in->msg.op == FILE_WRITE && !may_write(f))
		return -X_EBADF;
	if (in->msg.op == FILE_IOCTL)
		return -X_ENOTTY;
	if ((in->msg.op == FILE_STAT || in->msg.op == FILE_STATFS) && in->win_count == 0)
		return -X_EFAULT;
	return 0;
}

static int64_t (*const steps[])(struct request *r) = {
	[FILE_READ - FILE_READ] = do_read,       [FILE_WRITE - FILE_READ] = do_write,
	[FILE_STAT - FILE_READ] = do_stat,       [FILE_SETATTR - FILE_READ] = do_setattr,
	[FILE_READDIR - FILE_READ] = do_readdir, [FILE_SYNC - FILE_READ] = do_sync,
	[FILE_MMAP - FILE_READ] = do_mmap,       [FILE_STATFS - FILE_READ] = do_statfs,
	[FILE_IDENT - FILE_READ] = do_ident,     [FILE_SIZE - FILE_READ] = do_size,
	[FILE_TRUNCATE - FILE_READ] = do_truncate,
};

void file_call(const struct x_in *in)
{
	const struct open_file *f = file_find(in->object);
	uint32_t op = in->msg.op - FILE_READ;
	struct request *r;
	int64_t status;

	for (uint32_t i = 0; i < in->handle_count; i++)
		out_close(in->handles[i]);
	status = f ? refuse(f, in) : -X_EBADF;
	if (!status && (op >= sizeof(steps) / sizeof(steps[0]) || !steps[op]))
		status = -X_ENOSYS;
	if (status) {
		out_status(in->id, status);
		return;
	}
	r = request_new(in, steps[op]);
	if (!r)
		return;
	who_is(r, f->uid | (uint64_t)f->gid << 32, 0);
	r->offset = in->msg.status & FILE_AT ? in->msg.a[0] : in->cursor;
	if ((int64_t)r->offset < 0) {
		out_status(in->id, -X_EINVAL);
		r->step = NULL;
		return;
	}
	request_start(r);
}
