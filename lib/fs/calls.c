/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Calls of vfs: each is a walk, then one operation of the core. They run
 * within one iteration, or again from the start.
 */

#include "lib/fs/server.h"
#include "lib/ipc/file.h"
#include "lib/region/region.h"

/* Of the call being run. */
static REGION_SCRATCH char path[FS_PATH_MAX];
static REGION_SCRATCH char second_name[FS_PATH_MAX];
static REGION_SCRATCH char link_text[FSYS_LINK_TEXT_MAX];
static REGION_SCRATCH uint32_t groups[GROUPS_MAX];
static REGION_SCRATCH struct fsys_caller who;

/* ---- taking a call apart ------------------------------------------------------- */

static int64_t read_window(const struct request *r, uint32_t window, void *out,
			   uint32_t capacity)
{
	uint32_t length = r->in.win[window].len;

	if (window >= r->in.win_count || !length)
		return 0;
	if (length > capacity)
		return -X_ENAMETOOLONG;
	return window_read(r->in.id, window, 0, out, length);
}

static void read_caller(const struct request *r)
{
	uint64_t count = r->in.msg.a[6];
	int64_t got = 0;

	if (count > GROUPS_MAX)
		count = GROUPS_MAX;
	if (count && r->in.win_count > 2)
		got = window_read(r->in.id, 2, 0, groups, count * sizeof(groups[0]));
	who.uid = r->in.msg.a[2];
	who.gid = r->in.msg.a[2] >> 32;
	who.groups = groups;
	who.group_count = got > 0 ? got / sizeof(groups[0]) : 0;
	who.time_ns = attr_time(volume, server_time_ns());
}

/* Where a walk ended early, for vfs to go on from. */
static void tell_where(struct request *r, int64_t status,
		       const struct fsys_walk *walk)
{
	if (status == -X_ESYMLINK) {
		r->reply.a[0] = walk->parent_ino;
		r->reply.a[1] = walk->consumed_bytes;
		r->reply.a[2] = walk->link_bytes;
		if (r->in.win_count > 1 && r->in.win[1].flags == X_WIN_WRITE)
			window_write(r->in.id, 1, 0, link_text, walk->link_bytes);
	} else if (status == -X_ECROSS) {
		r->reply.a[0] = walk->ino;
		r->reply.a[1] = walk->consumed_bytes;
		r->reply.a[2] = walk->up;
	}
}

static int64_t walk_path(struct request *r, uint32_t flags, struct fsys_walk *walk)
{
	int64_t length = read_window(r, 0, path, sizeof(path));
	int64_t status;

	if (length < 0)
		return length;
	if ((uint32_t)r->in.msg.a[1] & FS_NOFOLLOW)
		flags |= FSYS_WALK_NOFOLLOW;
	*walk = (struct fsys_walk){
		.start_ino = r->in.msg.a[0], .path = path, .path_bytes = length,
		.flags = flags, .link = link_text, .link_capacity = sizeof(link_text),
	};
	status = fsys_walk(volume, &who, walk);
	tell_where(r, status, walk);
	return status;
}

static struct fsys_name last_name(const struct fsys_walk *walk)
{
	return (struct fsys_name){ walk->path + walk->name_offset,
				    walk->name_bytes, walk->must_be_dir };
}

/* A single component, perhaps with slashes behind it. */
static int64_t plain_name(const char *text, int64_t length, struct fsys_name *out)
{
	if (length < 0)
		return length;
	out->text = text;
	out->bytes = length;
	while (out->bytes && text[out->bytes - 1] == '/')
		out->bytes--;
	out->must_be_dir = out->bytes < length;
	return memchr(text, '/', out->bytes) ? -X_EINVAL : 0;
}

static uint32_t mode_of(const struct request *r)
{
	return r->in.msg.a[1] >> 32;
}

/* ---- looking ---------------------------------------------------------------------- */

static int64_t do_lookup(struct request *r)
{
	struct file_attr file_attr;
	struct fsys_attr attr;
	struct fsys_walk walk;
	int64_t status = walk_path(r, 0, &walk);

	if (!status)
		content_note_times(walk.ino);
	if (!status)
		status = fsys_getattr(volume, walk.ino, &attr);
	if (!status && (uint32_t)r->in.msg.a[1] & FS_HOLD)
		status = mount_hold(walk.ino);
	if (status)
		return status;
	r->reply.a[0] = walk.ino;
	r->reply.a[1] = attr.mode;
	if (r->in.win_count > 1 && r->in.win[1].flags & X_WIN_WRITE) {
		file_fill_attr(&attr, &file_attr);
		window_write(r->in.id, 1, 0, &file_attr, sizeof(file_attr));
	}
	return 0;
}

static int64_t do_parent(struct request *r)
{
	struct fsys_walk walk;
	int64_t status = walk_path(r, FSYS_WALK_PARENT, &walk);

	if (!status)
		status = mount_hold(walk.ino);
	if (status)
		return status;
	r->reply.a[0] = walk.ino;
	r->reply.a[1] = walk.name_offset;
	r->reply.a[2] = walk.name_bytes;
	return 0;
}

static int64_t do_access(struct request *r)
{
	struct fsys_attr attr;
	struct fsys_walk walk;
	int64_t status = walk_path(r, 0, &walk);

	if (!status)
		status = fsys_getattr(volume, walk.ino, &attr);
	if (status)
		return status;
	r->reply.a[1] = attr.mode;
	if (r->in.msg.a[3] & FS_NOWRITE && r->in.msg.a[3] & 2 && (FSYS_ISREG(attr.mode) || FSYS_ISDIR(attr.mode)))
		return -X_EROFS;
	return fsys_access(volume, &who, walk.ino, r->in.msg.a[3] & 7);
}

static int64_t do_readlink(struct request *r)
{
	struct fsys_walk walk;
	int64_t length = walk_path(r, FSYS_WALK_NOFOLLOW, &walk);

	if (!length)
		length = fsys_readlink(volume, walk.ino, link_text, sizeof(link_text));
	if (length <= 0)
		return length;
	return window_write(r->in.id, 1, 0, link_text, length);
}

static int64_t do_path(struct request *r)
{
	int64_t length = r->in.msg.a[3] ? fsys_name_of(volume, r->in.msg.a[0], path, sizeof(path)) :
			 fsys_path_of(volume, r->in.msg.a[0], path, sizeof(path));

	if (length < 0)
		return length;
	if (length > r->in.win[1].len)
		return -X_ERANGE;
	return window_write(r->in.id, 1, 0, path, length);
}

/* What is not in memory to be looked up waits for it. */
static int64_t do_mapped(struct request *r)
{
	static REGION_SCRATCH struct fs_mapped mapped[FS_MAPPED_MAX];
	static REGION_SCRATCH uint64_t koids[FS_MAPPED_MAX];
	int64_t bytes = read_window(r, 0, koids, sizeof(koids)), count = bytes / (int64_t)sizeof(koids[0]), i;

	if (bytes < 0)
		return bytes;
	memset(mapped, 0, sizeof(mapped));
	for (i = 0; i < count; i++) {
		struct fs_mapped *m = &mapped[i];
		const struct content *c = koids[i] ? content_by_koid(koids[i]) : NULL;
		int length = c ? fsys_name_of(volume, c->ino, path, sizeof(path)) : 0;

		if (length == -X_EWAIT || length == -X_EAGAIN)
			return length;
		if (!c)
			continue;
		m->ino = c->ino;
		m->dev = (uint32_t)mount_id;
		if (length > 0 && length < (int)sizeof(m->path))
			memcpy(m->path, path, (size_t)length);
	}
	bytes = count * (int64_t)sizeof(mapped[0]);
	if (bytes > r->in.win[1].len)
		return -X_ERANGE;
	return window_write(r->in.id, 1, 0, mapped, (uint64_t)bytes) == bytes ? 0 : -X_EFAULT;
}

/* ---- opening ------------------------------------------------------------------------ */

/* The file that O_CREAT asks for. A link or mount there: vfs goes on. */
static int64_t find_or_create(struct request *r, uint32_t flags, uint32_t *ino,
			      bool *created)
{
	struct fsys_walk walk;
	int64_t status = walk_path(r, FSYS_WALK_PARENT, &walk);
	int64_t length;

	if (status)
		return status;
	status = fsys_create(volume, &who, walk.ino, last_name(&walk), mode_of(r),
			      flags & F_O_EXCL, ino, created);
	if (status == -X_ESYMLINK && (uint32_t)r->in.msg.a[1] & FS_NOFOLLOW)
		return -X_ELOOP;
	if (status != -X_ESYMLINK && status != -X_ECROSS)
		return status;
	walk.parent_ino = walk.ino;
	walk.ino = *ino;
	walk.consumed_bytes = walk.path_bytes;
	walk.up = false;
	if (status == -X_ESYMLINK) {
		length = fsys_readlink(volume, *ino, link_text, sizeof(link_text));
		if (length < 0)
			return length;
		walk.link_bytes = length;
	}
	tell_where(r, status, &walk);
	return status;
}

/* The directory that O_TMPFILE is asked of gets a file without a name, held once. */
static int64_t make_unnamed(struct request *r, uint32_t flags, uint32_t *ino)
{
	struct fsys_walk walk;
	int64_t status = walk_path(r, 0, &walk);

	return status ? status : fsys_make_unnamed(volume, &who, walk.ino, mode_of(r), !(flags & F_O_EXCL), ino);
}

/* O_CREAT where nothing may be made: what is there is opened. */
static int64_t find_only(struct request *r, uint32_t flags, uint32_t *ino)
{
	struct fsys_walk walk;
	int64_t status = walk_path(r, 0, &walk);

	*ino = walk.ino;
	if (status == -X_ENOENT) {
		status = walk_path(r, FSYS_WALK_PARENT, &walk);
		return status ? status : -X_EROFS;
	}
	return !status && flags & F_O_EXCL ? -X_EEXIST : status;
}

static int64_t find_file(struct request *r, uint32_t flags, uint32_t *ino,
			 bool *created)
{
	struct fsys_walk walk;
	int64_t status;

	*created = flags & F_O_TMPFILE;
	if (*created)
		return flags & F_O_NOWRITE ? -X_EROFS : make_unnamed(r, flags, ino);
	if (flags & F_O_CREAT && flags & F_O_NOWRITE)
		return find_only(r, flags, ino);
	if (flags & F_O_CREAT)
		return find_or_create(r, flags, ino, created);
	status = walk_path(r, 0, &walk);
	*ino = walk.ino;
	return status;
}

static int64_t check_open(uint32_t ino, const struct fsys_attr *attr, uint32_t flags)
{
	static const uint32_t wanted[] = { FSYS_R, FSYS_W, FSYS_R | FSYS_W, FSYS_R | FSYS_W };
	uint32_t want = wanted[flags & F_O_ACCMODE];

	if (flags & F_O_TRUNC)
		want |= FSYS_W;
	if (FSYS_ISLNK(attr->mode))
		return -X_ELOOP;
	if (FSYS_ISDIR(attr->mode) && (flags & F_O_CREAT || want & FSYS_W))
		return -X_EISDIR;
	if (flags & F_O_NOATIME && who.uid && who.uid != attr->uid)
		return -X_EPERM;
	if (flags & F_O_DIRECTORY && !FSYS_ISDIR(attr->mode))
		return -X_ENOTDIR;
	if (want & FSYS_W && flags & F_O_NOWRITE && FSYS_ISREG(attr->mode))
		return -X_EROFS;
	if ((file_may_write(flags) || flags & F_O_TRUNC) && FSYS_ISREG(attr->mode) && fsys_check_use(volume, ino))
		return -X_ETXTBSY;
	return fsys_access(volume, &who, ino, want);
}

static uint64_t device_of(const struct fsys_attr *attr)
{
	return (attr->minor & 0xff) | (uint64_t)attr->major << 8 |
	       (uint64_t)(attr->minor & ~0xffu) << 12;
}

/*
 * Nothing may wait behind the creation, or the call would find its own file
 * when it runs again: the new inode is in core, so nothing does.
 */
static int64_t do_open(struct request *r)
{
	uint32_t flags = r->in.msg.a[3];
	struct fsys_attr attr;
	uint32_t ino = 0;
	bool created;
	int64_t status = find_file(r, flags, &ino, &created);

	if (!status)
		status = fsys_getattr(volume, ino, &attr);
	if (!status && !created)
		status = check_open(ino, &attr, flags);
	if (status)
		return status;
	r->reply.a[0] = ino;
	r->reply.a[1] = attr.mode;
	if (!FSYS_ISREG(attr.mode) && !FSYS_ISDIR(attr.mode)) {
		r->reply.a[2] = device_of(&attr);
		return -X_ENXIO;
	}
	if (flags & F_O_TRUNC && FSYS_ISREG(attr.mode) && attr.size_bytes) {
		status = file_truncate(&who, ino, 0, false);
		if (status)
			return status;
	}
	status = file_open(ino, FSYS_ISDIR(attr.mode), flags, (uint32_t)r->in.msg.a[4], &who);
	if (flags & F_O_TMPFILE)
		fsys_release(volume, ino, 1);
	if (status < 0)
		return status;
	r->handle = status;
	return 0;
}

/* ---- names ---------------------------------------------------------------------------- */

static int64_t do_mkdir(struct request *r)
{
	struct fsys_walk walk;
	uint32_t ino;
	int64_t status = walk_path(r, FSYS_WALK_PARENT, &walk);

	return status ? status : fsys_mkdir(volume, &who, walk.ino, last_name(&walk),
					     mode_of(r), &ino);
}

static int64_t do_mknod(struct request *r)
{
	uint64_t device = r->in.msg.a[3];
	uint32_t major = device >> 8 & 0xfff;
	uint32_t minor = (device & 0xff) | (device >> 12 & 0xfff00);
	struct fsys_walk walk;
	uint32_t ino;
	int64_t status = walk_path(r, FSYS_WALK_PARENT, &walk);

	return status ? status : fsys_mknod(volume, &who, walk.ino, last_name(&walk),
					     mode_of(r), major, minor, &ino);
}

static int64_t do_symlink(struct request *r)
{
	struct fsys_walk walk;
	uint32_t ino;
	int64_t status = walk_path(r, FSYS_WALK_PARENT, &walk);
	int64_t length;

	if (status)
		return status;
	length = read_window(r, 1, second_name, sizeof(second_name));
	if (length < 0)
		return length;
	return fsys_symlink(volume, &who, walk.ino, last_name(&walk), second_name,
			     length, &ino);
}

static int64_t do_unlink(struct request *r)
{
	struct fsys_walk walk;
	int64_t status = walk_path(r, FSYS_WALK_PARENT, &walk);

	if (status)
		return status;
	if (r->in.msg.op == FS_RMDIR)
		return fsys_rmdir(volume, &who, walk.ino, last_name(&walk));
	return fsys_unlink(volume, &who, walk.ino, last_name(&walk));
}

static int64_t do_link(struct request *r)
{
	struct fsys_walk walk;
	int64_t status = walk_path(r, FSYS_WALK_PARENT, &walk);

	return status ? status : fsys_link(volume, &who, r->in.msg.a[3], walk.ino,
					    last_name(&walk));
}

static int64_t do_rename(struct request *r)
{
	const uint64_t *a = r->in.msg.a;
	struct fsys_name old_name, new_name;
	int64_t status = plain_name(path, read_window(r, 0, path, sizeof(path)),
				    &old_name);

	if (!status)
		status = plain_name(second_name,
				    read_window(r, 1, second_name, sizeof(second_name)),
				    &new_name);
	if (status)
		return status;
	return fsys_rename(volume, &who, a[0], old_name, a[3], new_name,
			    (uint32_t)a[4]);
}

/* ---- attributes ------------------------------------------------------------------------- */

static int64_t do_setattr(struct request *r)
{
	struct fs_setattr in;
	struct fsys_setattr set;
	struct fsys_walk walk;
	int64_t status = walk_path(r, 0, &walk);

	if (status)
		return status;
	if (window_read(r->in.id, 1, 0, &in, sizeof(in)) != sizeof(in))
		return -X_EFAULT;
	if (in.mask & ATTR_SIZE) {
		status = file_truncate(&who, walk.ino, in.size, true);
		if (status)
			return status;
	}
	set = (struct fsys_setattr){
		.mask = in.mask & ~ATTR_SIZE, .mode = in.mode, .uid = in.uid,
		.gid = in.gid, .atime_ns = in.atime_ns, .mtime_ns = in.mtime_ns,
	};
	content_note_times(walk.ino);   /* or they would come later */
	status = set.mask ? fsys_setattr(volume, &who, walk.ino, &set) : 0;
	if (!status && set.mask & FSYS_SET_MODE)
		content_mode(walk.ino, set.mode);
	return status;
}

/* ---- extended attributes ---------------------------------------------------------------- */

static int64_t do_xattr(struct request *r)
{
	uint32_t op = r->in.msg.a[3] & FS_XATTR_OP, flags = r->in.msg.a[3] >> 8 & 3, value_bytes = r->in.msg.a[3] >> 32;
	struct fsys_walk walk;
	struct fsys_name name = { second_name, 0, false };
	const uint8_t *out = NULL;
	int64_t status = walk_path(r, 0, &walk), length;

	if (status)
		return status;
	length = op == FS_XATTR_LIST ? 0 : read_window(r, 1, second_name, sizeof(second_name));
	if (length < 0)
		return length;
	name.bytes = (uint32_t)strnlen(second_name, (size_t)length);
	if (op != FS_XATTR_LIST && (name.bytes == 0 || name.bytes > FSYS_NAME_MAX))
		return -X_ERANGE;
	if (op == FS_XATTR_SET && (name.bytes == length || value_bytes > length - name.bytes - 1))
		return -X_EINVAL;
	switch (op) {
	case FS_XATTR_SET:
		return fsys_set_xattr(volume, &who, walk.ino, name, second_name + name.bytes + 1, value_bytes, flags);
	case FS_XATTR_REMOVE:
		return fsys_remove_xattr(volume, &who, walk.ino, name);
	case FS_XATTR_GET: status = fsys_get_xattr(volume, &who, walk.ino, name, &out); break;
	case FS_XATTR_LIST: status = fsys_list_xattrs(volume, &who, walk.ino, &out); break;
	}
	return status > 0 && window_write(r->in.id, 1, 0, out, (size_t)status) != status ? -X_EFAULT : status;
}

/* ---- dispatch ----------------------------------------------------------------------------- */

static const request_fn handlers[] = {
	[FS_LOOKUP - FS_MOUNT] = do_lookup,
	[FS_PARENT - FS_MOUNT] = do_parent,
	[FS_OPEN - FS_MOUNT] = do_open,
	[FS_ACCESS - FS_MOUNT] = do_access,
	[FS_READLINK - FS_MOUNT] = do_readlink,
	[FS_MKDIR - FS_MOUNT] = do_mkdir,
	[FS_MKNOD - FS_MOUNT] = do_mknod,
	[FS_SYMLINK - FS_MOUNT] = do_symlink,
	[FS_UNLINK - FS_MOUNT] = do_unlink,
	[FS_RMDIR - FS_MOUNT] = do_unlink,
	[FS_LINK - FS_MOUNT] = do_link,
	[FS_RENAME - FS_MOUNT] = do_rename,
	[FS_SETATTR - FS_MOUNT] = do_setattr,
	[FS_PATH - FS_MOUNT] = do_path,
	[FS_MAPPED - FS_MOUNT] = do_mapped,
	[FS_XATTR - FS_MOUNT] = do_xattr,
};

int64_t fs_request(struct request *r)
{
	uint32_t index = r->in.msg.op - FS_MOUNT;

	if (index >= sizeof(handlers) / sizeof(handlers[0]) || !handlers[index])
		return mount_request(r);
	if (!mounted)
		return -X_ESTALE_HANDLE;
	read_caller(r);
	return handlers[index](r);
}
