/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * proto/fs.h: what vfs asks. One step function an operation.
 */
#include "fs/minix/server.h"
#include "lib/c/string.h"

#define ARG_FLAGS(r) ((uint32_t)(r)->in.msg.a[1])
#define ARG_MODE(r)  ((uint32_t)((r)->in.msg.a[1] >> 32))
#define NS_PER_SEC 1000000000ull
#define MINIX3_MAGIC_TYPE 0x4d5au

bool volume_mounted;
uint64_t mount_id;

void fill_attr(const struct minix_attr *from, struct file_attr *to)
{
	*to = (struct file_attr){
		.dev = mount_id, .ino = from->ino, .mode = from->mode, .nlink = from->link_count,
		.uid = from->uid, .gid = from->gid, .rdev = (uint64_t)from->major << 8 | from->minor,
		.size = from->size_bytes, .blocks = from->blocks_512, .block_bytes = from->block_size,
		.atime_ns = from->atime_sec * NS_PER_SEC, .mtime_ns = from->mtime_sec * NS_PER_SEC,
		.ctime_ns = from->ctime_sec * NS_PER_SEC,
	};
}

void fill_statfs(struct file_statfs *to)
{
	struct minix_statfs s;

	minix_statfs(volume, &s);
	*to = (struct file_statfs){
		.type = MINIX3_MAGIC_TYPE, .block_bytes = s.block_size, .blocks = s.blocks,
		.blocks_free = s.blocks_free, .files = s.inodes, .files_free = s.inodes_free,
		.name_max = s.name_max, .flags = volume->read_only ? 1 : 0, .fsid = mount_id,
	};
}

/* Into the caller's window 1, if there is one. */
static int64_t give(struct request *r, const void *data, uint32_t bytes)
{
	int64_t n;

	if (r->in.win_count < 2 || r->in.win[1].len == 0)
		return 0;
	n = window_write(r->in.id, 1, 0, data, bytes);
	return n < 0 ? n : 0;
}

/* Walk the request's path; fills the answer when the walk must go on elsewhere. */
static int64_t walk(struct request *r, struct minix_walk *w, uint32_t flags)
{
	int64_t status;

	*w = (struct minix_walk){
		.start_ino = r->in.msg.a[0], .path = r->path, .path_bytes = r->path_bytes, .flags = flags,
		.link = r->text, .link_capacity = sizeof(r->text),
	};
	if (r->in.msg.a[0] > UINT32_MAX)
		return -X_EINVAL;
	status = minix_walk(volume, &r->who, w);
	if (status == -X_ESYMLINK) {
		r->reply.a[0] = w->parent_ino;
		r->reply.a[1] = w->consumed_bytes;
		r->reply.a[2] = w->link_bytes;
		if (r->in.win_count > 1 && (r->in.win[1].flags & X_WIN_WRITE))
			give(r, r->text, w->link_bytes);
	} else if (status == -X_ECROSS) {
		r->reply.a[0] = w->ino;
		r->reply.a[1] = w->consumed_bytes;
		r->reply.a[2] = w->up;
	}
	return status;
}

static int64_t walk_to_end(struct request *r, struct minix_walk *w)
{
	return walk(r, w, ARG_FLAGS(r) & FS_NOFOLLOW ? MINIX_WALK_NOFOLLOW : 0);
}

static struct minix_name last_name(const struct request *r, const struct minix_walk *w)
{
	return (struct minix_name){
		.text = r->path + w->name_offset, .bytes = w->name_bytes, .must_be_dir = w->must_be_dir,
	};
}

static int64_t do_lookup(struct request *r)
{
	struct minix_walk w;
	struct minix_attr attr;
	struct file_attr out;
	int64_t status = walk_to_end(r, &w);

	if (!status)
		status = minix_getattr(volume, w.ino, &attr);
	if (!status && (ARG_FLAGS(r) & FS_HOLD))
		status = minix_hold(volume, w.ino);
	if (status)
		return status;
	fill_attr(&attr, &out);
	r->reply.a[0] = w.ino;
	r->reply.a[1] = attr.mode;
	return give(r, &out, sizeof(out));
}

static int64_t do_parent(struct request *r)
{
	struct minix_walk w;
	int64_t status = walk(r, &w, MINIX_WALK_PARENT);

	if (!status)
		status = minix_hold(volume, w.ino);
	if (status)
		return status;
	r->reply.a[0] = w.ino;
	r->reply.a[1] = w.name_offset;
	r->reply.a[2] = w.name_bytes;
	return 0;
}

/* ---- open ---- */

static bool wants_write(uint32_t flags)
{
	return (flags & F_O_ACCMODE) != F_O_RDONLY;
}

static uint32_t wanted_access(uint32_t flags)
{
	switch (flags & F_O_ACCMODE) {
	case F_O_RDONLY:
		return MINIX_R | (flags & F_O_TRUNC ? MINIX_W : 0);
	case F_O_WRONLY:
		return MINIX_W;
	default:
		return MINIX_R | MINIX_W;
	}
}

/* Find or make the file; from then on the request holds it. */
static int64_t open_find(struct request *r, uint32_t flags, bool *created)
{
	struct minix_walk w;
	uint32_t follow = (flags & F_O_NOFOLLOW) || (ARG_FLAGS(r) & FS_NOFOLLOW) ||
			  (flags & (F_O_CREAT | F_O_EXCL)) == (F_O_CREAT | F_O_EXCL) ? MINIX_WALK_NOFOLLOW : 0;
	int64_t status = walk(r, &w, follow);

	*created = false;
	if (status == 0 && (flags & F_O_CREAT) && (flags & F_O_EXCL))
		return -X_EEXIST;
	if (status == -X_ENOENT && (flags & F_O_CREAT)) {
		struct minix_walk parent;

		status = walk(r, &parent, MINIX_WALK_PARENT);
		if (status)
			return status;
		if (parent.must_be_dir)
			return -X_EISDIR;
		status = minix_create(volume, &r->who, parent.ino, last_name(r, &parent), ARG_MODE(r),
				      flags & F_O_EXCL, &w.ino, created);
	}
	if (!status)
		status = minix_hold(volume, w.ino);
	if (!status)
		r->ino = w.ino;
	return status;
}

/* May it be opened so? Answers for what this server cannot open itself. */
static int64_t open_check(struct request *r, uint32_t flags, bool created, struct minix_attr *attr)
{
	uint32_t type;
	int64_t status = minix_getattr(volume, r->ino, attr);

	if (status)
		return status;
	type = attr->mode & F_S_IFMT;
	if (flags & F_O_PATH)
		return 0;
	if (type == F_S_IFLNK)
		return -X_ELOOP;
	if (type == F_S_IFDIR && (wants_write(flags) || (flags & (F_O_TRUNC | F_O_CREAT))))
		return -X_EISDIR;
	if (type != F_S_IFDIR && (flags & F_O_DIRECTORY))
		return -X_ENOTDIR;
	if (!created)
		status = minix_access(volume, &r->who, r->ino, wanted_access(flags));
	if (!status && volume->read_only && type == F_S_IFREG && (wants_write(flags) || (flags & F_O_TRUNC)))
		status = -X_EROFS;
	if (!status && type != F_S_IFREG && type != F_S_IFDIR) {
		r->reply.a[0] = r->ino;
		r->reply.a[1] = attr->mode;
		r->reply.a[2] = (uint64_t)attr->major << 8 | attr->minor;
		status = -X_ENXIO;
	}
	return status;
}

enum { OPEN_FIND, OPEN_CHECK, OPEN_CHECK_CREATED };

static int64_t do_open(struct request *r)
{
	uint32_t flags = r->in.msg.a[3];
	struct minix_attr attr;
	struct x_out *o;
	bool created;
	int64_t status;

	if (r->progress == OPEN_FIND) {
		status = open_find(r, flags, &created);
		if (status)
			return status;
		r->progress = created ? OPEN_CHECK_CREATED : OPEN_CHECK;
	}
	status = open_check(r, flags, r->progress == OPEN_CHECK_CREATED, &attr);
	if (!status && (flags & F_O_TRUNC) && (attr.mode & F_S_IFMT) == F_S_IFREG && attr.size_bytes) {
		status = minix_truncate(volume, &r->who, r->ino, 0, false);
		pages_changed(r->ino);
	}
	if (status == -X_EWAIT || status == -X_EAGAIN)
		return status;
	if (!status)
		status = file_open(r->ino, flags, &r->who, (attr.mode & F_S_IFMT) == F_S_IFDIR);
	if (status < 0) {
		minix_release(volume, r->ino, 1);
		return status;
	}
	o = out_answer_entry(r->in.id);
	o->msg.a[0] = r->ino;
	o->msg.a[1] = attr.mode;
	o->handle_count = 1;
	o->handles[0] = (uint32_t)status;
	r->answered = true;
	return 0;
}

static int64_t do_access(struct request *r)
{
	struct minix_walk w;
	int64_t status = walk_to_end(r, &w);
	struct minix_attr attr;
	uint32_t want = r->in.msg.a[3] & 7;

	if (!status)
		status = minix_access(volume, &r->who, w.ino, want);
	if (!status && (want & MINIX_W) && volume->read_only) {
		status = minix_getattr(volume, w.ino, &attr);
		if (!status && ((attr.mode & F_S_IFMT) == F_S_IFREG || (attr.mode & F_S_IFMT) == F_S_IFDIR))
			status = -X_EROFS;
	}
	return status;
}

static int64_t do_readlink(struct request *r)
{
	struct minix_walk w;
	int64_t status = walk(r, &w, MINIX_WALK_NOFOLLOW);

	if (!status)
		status = minix_readlink(volume, w.ino, r->text, sizeof(r->text));
	if (status > 0) {
		int64_t n = status < (int64_t)sizeof(r->text) ? status : (int64_t)sizeof(r->text);

		n = window_write(r->in.id, 1, 0, r->text, n);
		return n;
	}
	return status;
}

/* ---- making and removing names ---- */

static int64_t do_mkdir(struct request *r)
{
	struct minix_walk w;
	uint32_t ino;
	int64_t status = walk(r, &w, MINIX_WALK_PARENT);

	if (status)
		return status;
	if (w.name_bytes == 0)
		return -X_EEXIST;
	return minix_mkdir(volume, &r->who, w.ino, last_name(r, &w), ARG_MODE(r), &ino);
}

static int64_t do_mknod(struct request *r)
{
	struct minix_walk w;
	uint32_t ino;
	uint64_t rdev = r->in.msg.a[3];
	int64_t status = walk(r, &w, MINIX_WALK_PARENT);

	if (status)
		return status;
	if (w.name_bytes == 0)
		return -X_EEXIST;
	return minix_mknod(volume, &r->who, w.ino, last_name(r, &w), ARG_MODE(r), rdev >> 8 & 0xff,
			   rdev & 0xff, &ino);
}

static int64_t do_symlink(struct request *r)
{
	struct minix_walk w;
	uint32_t ino;
	int64_t status = walk(r, &w, MINIX_WALK_PARENT);

	if (status)
		return status;
	if (w.name_bytes == 0)
		return -X_EEXIST;
	status = window_read(r->in.id, 1, 0, r->text, sizeof(r->text));
	if (status <= 0)
		return status ? status : -X_ENOENT;
	if (r->in.win[1].len > sizeof(r->text))
		return -X_ENAMETOOLONG;
	return minix_symlink(volume, &r->who, w.ino, last_name(r, &w), r->text, status, &ino);
}

static int64_t do_unlink(struct request *r)
{
	struct minix_walk w;
	bool directory = r->in.msg.op == FS_RMDIR;
	int64_t status = walk(r, &w, MINIX_WALK_PARENT);

	if (status)
		return status;
	if (w.name_bytes == 0)
		return directory ? -X_EBUSY : -X_EISDIR;
	return directory ? minix_rmdir(volume, &r->who, w.ino, last_name(r, &w))
			 : minix_unlink(volume, &r->who, w.ino, last_name(r, &w));
}

static int64_t do_link(struct request *r)
{
	struct minix_walk w;
	int64_t status = walk(r, &w, MINIX_WALK_PARENT);

	if (status)
		return status;
	if (w.name_bytes == 0)
		return -X_EEXIST;
	return minix_link(volume, &r->who, r->in.msg.a[3], w.ino, last_name(r, &w));
}

static bool strip_slashes(const char *text, uint32_t *bytes)
{
	uint32_t n = *bytes;

	while (n && text[n - 1] == '/')
		n--;
	if (n == *bytes)
		return false;
	*bytes = n;
	return true;
}

static int64_t do_rename(struct request *r)
{
	struct minix_name old = { .text = r->path, .bytes = r->path_bytes }, new = { .text = r->text };
	int64_t n = window_read(r->in.id, 1, 0, r->text, sizeof(r->text));

	if (n < 0)
		return n;
	new.bytes = n;
	old.must_be_dir = strip_slashes(old.text, &old.bytes);
	new.must_be_dir = strip_slashes(new.text, &new.bytes);
	return minix_rename(volume, &r->who, r->in.msg.a[0], old, r->in.msg.a[3], new,
			    r->in.msg.a[4] ? MINIX_RENAME_NOREPLACE : 0);
}

/* ---- attributes, sync, mounting ---- */

static int64_t do_setattr(struct request *r)
{
	struct minix_walk w;
	struct fs_setattr a;
	struct minix_setattr set;
	int64_t status = walk_to_end(r, &w);

	if (status)
		return status;
	if (window_read(r->in.id, 1, 0, &a, sizeof(a)) != sizeof(a))
		return -X_EFAULT;
	set = (struct minix_setattr){
		.mask = a.mask & ~ATTR_SIZE, .mode = a.mode, .uid = a.uid, .gid = a.gid,
		.atime_sec = a.atime_ns / NS_PER_SEC, .mtime_sec = a.mtime_ns / NS_PER_SEC,
	};
	if ((a.mask & ATTR_SIZE) && !r->progress) {
		status = minix_truncate(volume, &r->who, w.ino, a.size, true);
		if (status)
			return status;
		pages_changed(w.ino);
		r->progress = 1;
	}
	return set.mask ? minix_setattr(volume, &r->who, w.ino, &set) : 0;
}

static int64_t do_sync(struct request *r)
{
	return minix_sync(volume, &r->sync, 0);
}

static int64_t do_statfs(struct request *r)
{
	struct file_statfs s;

	fill_statfs(&s);
	return give(r, &s, sizeof(s));
}

static int64_t do_path(struct request *r)
{
	int64_t n = minix_path_of(volume, r->in.msg.a[0], r->path, sizeof(r->path));

	if (n > 0 && window_write(r->in.id, 1, 0, r->path, n) != n)
		return -X_ERANGE;
	return n;
}

static int64_t do_mark_mount(struct request *r)
{
	return minix_mark_mount(volume, r->in.msg.a[0], r->in.msg.a[1] != 0);
}

static int64_t do_release(struct request *r)
{
	if (r->in.msg.a[1] > UINT32_MAX || !minix_release(volume, r->in.msg.a[0], r->in.msg.a[1]))
		return -X_EINVAL;
	return 0;
}

static int64_t do_mount(struct request *r)
{
	struct file_statfs s;
	struct minix_attr root;
	int64_t status;

	if (volume_pending())
		return -X_EWAIT;
	if (volume->state != MINIX_MOUNTED)
		return -X_ENODEV;
	if (volume_mounted)
		files_forget_all();
	status = minix_getattr(volume, MINIX_ROOT_INO, &root);
	if (!status)
		status = minix_hold(volume, MINIX_ROOT_INO);
	if (status)
		return status;
	mount_id = r->in.msg.a[0];
	if (r->in.msg.a[1] & FS_RDONLY)
		volume->read_only = true;
	volume_mounted = true;
	r->reply.a[0] = MINIX_ROOT_INO;
	r->reply.a[1] = volume->read_only;
	fill_statfs(&s);
	return give(r, &s, sizeof(s));
}

static int64_t do_unmount(struct request *r)
{
	int64_t status = minix_unmount(volume, &r->sync, r->in.msg.a[1] & 1);

	if (!status)
		volume_mounted = false;
	return status;
}

static int64_t (*const steps[])(struct request *r) = {
	[FS_MOUNT - FS_MOUNT] = do_mount,     [FS_UNMOUNT - FS_MOUNT] = do_unmount,
	[FS_LOOKUP - FS_MOUNT] = do_lookup,   [FS_PARENT - FS_MOUNT] = do_parent,
	[FS_OPEN - FS_MOUNT] = do_open,       [FS_ACCESS - FS_MOUNT] = do_access,
	[FS_READLINK - FS_MOUNT] = do_readlink, [FS_MKDIR - FS_MOUNT] = do_mkdir,
	[FS_MKNOD - FS_MOUNT] = do_mknod,     [FS_SYMLINK - FS_MOUNT] = do_symlink,
	[FS_UNLINK - FS_MOUNT] = do_unlink,   [FS_RMDIR - FS_MOUNT] = do_unlink,
	[FS_LINK - FS_MOUNT] = do_link,       [FS_RENAME - FS_MOUNT] = do_rename,
	[FS_SETATTR - FS_MOUNT] = do_setattr, [FS_STATFS - FS_MOUNT] = do_statfs,
	[FS_RELEASE - FS_MOUNT] = do_release, [FS_SYNC - FS_MOUNT] = do_sync,
	[FS_PATH - FS_MOUNT] = do_path,       [FS_MARK_MOUNT - FS_MOUNT] = do_mark_mount,
};

void fs_call(const struct x_in *in)
{
	uint32_t op = in->msg.op - FS_MOUNT;
	struct request *r;
	int64_t n;

	for (uint32_t i = 0; i < in->handle_count; i++)
		out_close(in->handles[i]);
	if (op >= sizeof(steps) / sizeof(steps[0])) {
		out_status(in->id, -X_ENOSYS);
		return;
	}
	if (!volume_mounted && in->msg.op != FS_MOUNT) {
		out_status(in->id, -X_ESTALE_HANDLE);
		return;
	}
	r = request_new(in, steps[op]);
	if (!r)
		return;
	if (in->win_count && (in->win[0].flags & X_WIN_READ)) {
		n = window_read(in->id, 0, 0, r->path, sizeof(r->path));
		r->path_bytes = n > 0 ? n : 0;
	}
	who_is(r, in->msg.a[2], in->msg.a[6]);
	request_start(r);
}
