/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The operations of proto/vfs.h: which one it is, and those on one path that
 * end where the walk ends. Others are in op_*.c.
 */

#include "lib/c/stdio.h"
#include "proto/socket.h"
#include "servers/vfs/vfs.h"

enum { ACCESS_ALL = 7 };
enum { DESCRIPTOR_STAT, DESCRIPTOR_SET }; /* phases of what is about a descriptor itself */

enum last path_last(const char *path, int64_t bytes)
{
	int64_t end = bytes, start;

	while (end > 0 && path[end - 1] == '/')
		end--;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	if (start == end)
		return LAST_ROOT;
	if (end - start == 1 && path[start] == '.')
		return LAST_DOT;
	if (end - start == 2 && path[start] == '.' && path[start + 1] == '.')
		return LAST_DOT_DOT;
	return LAST_NAME;
}

/* What making or removing a name that is none is answered, as in Linux. */
static int32_t refusal_of(uint32_t op, enum last last)
{
	if (last == LAST_NAME)
		return 0;
	if (op == FS_UNLINK)
		return -X_EISDIR;
	if (op != FS_RMDIR)
		return -X_EEXIST;
	return last == LAST_ROOT ? -X_EBUSY : last == LAST_DOT ? -X_EINVAL : -X_ENOTEMPTY;
}

static int dir_handle(const struct request *r)
{
	return r->in.handle_count ? 0 : -1;
}

/* An operation on the name at the end of a path. */
static void start_name(struct request *r, uint32_t fs_op, uint32_t mode, uint64_t a3)
{
	int64_t bytes = walk_take_path(r, 0, r->path);

	if (bytes > 0)
		r->refusal = refusal_of(fs_op, path_last(r->path, bytes));
	r->walk.op = r->refusal ? (uint32_t)FS_LOOKUP : fs_op;
	r->walk.mode = mode;
	r->walk.a3 = a3;
	walk_begin(r, bytes, dir_handle(r));
}

/* An operation on what a path leads to. */
static void start_file(struct request *r, uint32_t fs_op, bool nofollow, uint64_t a3)
{
	r->walk.op = fs_op;
	r->walk.flags = nofollow ? FS_NOFOLLOW : 0;
	r->walk.a3 = a3;
	walk_begin(r, walk_take_path(r, 0, r->path), dir_handle(r));
}

/* AT_EMPTY_PATH: about the descriptor itself, so its server is asked. */
static bool start_descriptor(struct request *r)
{
	struct x_msg stat = { .op = FILE_STAT };

	if (!r->in.handle_count || request_window(r, 0))
		return false;
	request_handle_call(r, REQUEST_CALL, DESCRIPTOR_STAT, r->in.handles[0], &stat, r->text,
			    sizeof(struct file_attr));
	return true;
}

static void start_stat(struct request *r)
{
	if (!start_descriptor(r))
		start_file(r, FS_LOOKUP, r->in.msg.a[0] & 1, 0);
}

static void start_access(struct request *r)
{
	if (r->in.msg.a[0] & ~(uint64_t)ACCESS_ALL) {
		request_finish(r, -X_EINVAL);
		return;
	}
	if (!(r->in.msg.a[1] & 1)) {
		r->who.uid = r->who.ruid;
		r->who.gid = r->who.rgid;
	}
	if (!start_descriptor(r))
		start_file(r, FS_ACCESS, false, r->in.msg.a[0]);
}

static void start_mknod(struct request *r, const struct session *s)
{
	uint32_t mode = (uint32_t)r->in.msg.a[0], type = mode & F_S_IFMT;

	if ((type == F_S_IFCHR || type == F_S_IFBLK) && r->who.uid) {
		request_finish(r, -X_EPERM);
		return;
	}
	if (type == F_S_IFDIR) {
		request_finish(r, -X_EPERM);
		return;
	}
	if (!type)
		type = F_S_IFREG;
	start_name(r, FS_MKNOD, type | session_mode(s, mode & 07777), r->in.msg.a[1]);
}

static void start_symlink(struct request *r)
{
	int64_t bytes = walk_take_path(r, 1, r->data);

	if (bytes <= 0) {
		request_finish(r, bytes ? bytes : -X_ENOENT);
		return;
	}
	r->walk.data = r->data;
	r->walk.data_bytes = (uint32_t)bytes;
	start_name(r, FS_SYMLINK, 0777, 0);
}

static void start_setattr(struct request *r)
{
	struct fs_setattr set;

	if (window_read(r->call_id, 1, 0, &set, sizeof(set)) != sizeof(set)) {
		request_finish(r, -X_EFAULT);
		return;
	}
	memcpy(r->data, &set, sizeof(set));
	if (start_descriptor(r))
		return;
	r->walk.data = r->data;
	r->walk.data_bytes = sizeof(set);
	r->walk.a4 = set.mask & ATTR_SIZE ? set.size : set.gid;
	start_file(r, FS_SETATTR, r->in.msg.a[0] & 1, set.mask | (uint64_t)set.uid << 32);
}

/* Name and value come and go by r->data, which has room for a bit less than a page of both. */
static void start_xattr(struct request *r)
{
	uint32_t bytes = request_window(r, 1);

	if (bytes > BUFFER_BYTES || window_read(r->call_id, 1, 0, r->data, bytes) != bytes) {
		request_finish(r, bytes > BUFFER_BYTES ? -X_E2BIG : -X_EFAULT);
		return;
	}
	if (start_descriptor(r))
		return;
	r->walk.data = r->data;
	r->walk.data_bytes = BUFFER_BYTES;
	start_file(r, FS_XATTR, r->in.msg.a[0] & 1, r->in.msg.a[1]);
}

static void answer_umask(struct session *s, const struct x_in *in)
{
	struct x_msg msg = { .a = { s->umask } };

	if (in->msg.a[0] != ~0ull)
		s->umask = in->msg.a[0] & 0777;
	in_close_handles(in);
	out_answer(in->id, &msg);
}

static void start(struct request *r, struct session *s)
{
	const uint64_t *a = r->in.msg.a;

	switch (r->in.msg.op) {
	case VFS_OPEN: open_start(r, s); break;
	case VFS_STAT: start_stat(r); break;
	case VFS_ACCESS: start_access(r); break;
	case VFS_READLINK:
		if (!start_descriptor(r))
			start_file(r, FS_READLINK, true, 0);
		break;
	case VFS_CHDIR: case VFS_CHROOT: chdir_start(r); break;
	case VFS_GETCWD: getcwd_start(r, s); break;
	case VFS_MKDIR: start_name(r, FS_MKDIR, a[0] & 01777 & ~s->umask, 0); break;
	case VFS_MKNOD: start_mknod(r, s); break;
	case VFS_UNLINK: start_name(r, a[0] & 1 ? FS_RMDIR : FS_UNLINK, 0, 0); break;
	case VFS_SYMLINK: start_symlink(r); break;
	case VFS_LINK: case VFS_RENAME: pair_start(r); break;
	case VFS_SETATTR: start_setattr(r); break;
	case VFS_XATTR: start_xattr(r); break;
	case VFS_STATFS: start_file(r, FS_LOOKUP, false, 0); break;
	case VFS_SYNC: sync_start(r); break;
	case VFS_FLOCK: case VFS_LOCK: case VFS_LOCK_CLOSED: lock_start(r); break;
	case VFS_MOUNT: case VFS_UMOUNT: mountop_start(r); break;
	case VFS_SOCKET: case VFS_SOCKETPAIR: socket_start(r); break;
	default: request_finish(r, -X_ENOSYS); break;
	}
}

void op_session_call(struct session *s, const struct x_in *in)
{
	struct request *r;

	if (in->msg.op == VFS_UMASK) {
		answer_umask(s, in);
		return;
	}
	if (in->msg.op == VFS_PIPE) {
		pipe_create(in, s);
		return;
	}
	if (in->msg.op == VFS_OPEN && known_open(s, in))
		return;
	r = request_new(in, s);
	if (r)
		start(r, s);
}

/* ---- pm's calls on the port ---- */

/* Mount texts are small: a line of at most ~200 bytes a mount. */
static void answer_mounts(struct request *r)
{
	int64_t bytes = r->data_bytes;
	uint32_t room = request_window(r, 0);

	if (r->in.msg.a[0] == VFS_MOUNTS_UNIX)
		bytes = unix_list(r->data, BUFFER_BYTES);
	else if (r->in.msg.a[0] != VFS_MOUNTS_CACHE)
		bytes = mount_list(r->data, BUFFER_BYTES, r->in.msg.a[0] == VFS_MOUNTS_INFO);
	if (bytes > room)
		bytes = room;
	request_finish_data(r, 0, r->data, (uint32_t)bytes, bytes);
}

/* A filesystem that met damage has become read-only by itself: each is asked whether it is. */
static void ask_mounts(struct request *r)
{
	for (; r->in.msg.a[0] != VFS_MOUNTS_UNIX && r->first.mount < MOUNTS_MAX; r->first.mount++) {
		const struct mount *m = &mounts[r->first.mount];
		struct fs_call *call;

		if (m->state != MOUNT_READY || mount_is_bind(m) || m->makes_up_names)
			continue;
		call = request_prepare(r, &mounts[r->first.mount], FS_STATFS, m->root);
		call->data = r->text;
		call->data_bytes = sizeof(struct file_statfs);
		call->data_write = true;
		request_call(r, 0);
		return;
	}
	answer_mounts(r);
}

static void mounts_asked(struct request *r)
{
	struct mount *m = &mounts[r->first.mount++];
	const uint64_t *a = r->call.r;
	struct file_statfs fs;
	int n;

	memcpy(&fs, r->text, sizeof(fs));
	if (r->call.status >= 0) {
		m->rdonly |= fs.flags & 1;
		n = snprintf(r->data + r->data_bytes, BUFFER_BYTES - r->data_bytes,
			     "%s %s hits %llu requests %llu dirty_pages %llu files %llu metadata_hits %llu metadata_misses %llu\n",
			     m->path, m->type, (unsigned long long)a[0], (unsigned long long)a[1], (unsigned long long)a[2],
			     (unsigned long long)a[3], (unsigned long long)a[4], (unsigned long long)a[5]);
		if (n > 0 && (uint32_t)n < BUFFER_BYTES - r->data_bytes)
			r->data_bytes += (uint32_t)n;
	}
	ask_mounts(r);
}

static void answer_cwd(struct request *r)
{
	const struct session *s = session_find(r->in.msg.a[0]);

	if (!s) {
		request_finish(r, -X_ESRCH);
		return;
	}
	request_act_for(r, s);
	getcwd_start(r, s);
}

void op_boot(struct request *r, int64_t status)
{
	if (status < 0)
		request_finish(r, status);
	else if (r->in.msg.op == VFSCTL_SESSION)
		session_start(r);
	else
		request_finish(r, 0);
}

void op_control_call(const struct x_in *in)
{
	struct request *r;

	if (in->msg.op == VFSCTL_CREDS) {
		in_close_handles(in);
		out_status(in->id, session_set_creds(in));
		return;
	}
	r = request_new(in, NULL);
	if (!r)
		return;
	switch (in->msg.op) {
	case VFSCTL_SESSION: case VFSCTL_READY:
		request_boot(r);
		break;
	case VFSCTL_EXEC: exec_start(r); break;
	case VFSCTL_MOUNTS: ask_mounts(r); break;
	case VFSCTL_CWD: answer_cwd(r); break;
	case VFSCTL_NAME_OF: name_of_start(r); break;
	case VFSCTL_MAPPED: mapped_start(r); break;
	case VFS_SYNC: sync_start(r); break;    /* for pm's reboot */
	default: request_finish(r, -X_ENOSYS); break;
	}
}

/* ---- going on ---- */

/* The filesystem allows it; a mount without programs does not. */
static void access_checked(struct request *r)
{
	bool program = (r->call.r[1] & F_S_IFMT) == F_S_IFREG && r->in.msg.a[0] & 1;

	request_finish(r, program && mounts[r->walk.at.mount].options & MOUNT_NOEXEC ? -X_EACCES : 0);
}

/* f_flags has the mount's options under their numbers, and says that it has. */
static void add_mount_flags(struct request *r)
{
	const uint64_t valid = 0x20, relatime = 4096, nosymfollow = 0x2000;
	const struct mount *m = &mounts[r->walk.at.mount];
	struct file_statfs fs;

	memcpy(&fs, r->text, sizeof(fs));
	fs.flags |= valid | (bind_is_rdonly(r->walk.at) ? 1 : 0) | (m->options & ~(uint32_t)MOUNT_NOSYMFOLLOW) |
		    (m->options & MOUNT_NOSYMFOLLOW ? nosymfollow : 0) | (m->options & MOUNT_NOATIME ? 0 : relatime);
	memcpy(r->text, &fs, sizeof(fs));
}

static void file_walked(struct request *r)
{
	int64_t status = r->call.status;
	uint32_t room = request_window(r, 1);

	if (status < 0) {
		request_finish(r, r->in.msg.op == VFS_XATTR && status == -X_ENOSYS ? -X_EOPNOTSUPP : status);
		return;
	}
	switch (r->in.msg.op) {
	case VFS_XATTR:
		if (status > BUFFER_BYTES || status > room)
			status = -X_EIO;
		request_finish_data(r, 1, r->data, status > 0 ? (uint32_t)status : 0, status);
		break;
	case VFS_ACCESS:
		access_checked(r);
		break;
	case VFS_STAT:
		request_finish_data(r, 1, r->text, sizeof(struct file_attr), 0);
		break;
	case VFS_STATFS:
		add_mount_flags(r);
		request_finish_data(r, 1, r->text, sizeof(struct file_statfs), 0);
		break;
	case VFS_READLINK:
		if (status > BUFFER_BYTES)
			status = -X_EIO;
		else if (status > room)
			status = room;
		request_finish_data(r, 1, r->text, status > 0 ? (uint32_t)status : 0, status);
		break;
	default:
		request_finish(r, 0);
		break;
	}
}

/* The path may have led into another mount than where it began. */
static void statfs_walked(struct request *r)
{
	struct place p = walk_place(r);
	struct fs_call *call;

	if (r->call.status < 0) {
		request_finish(r, r->call.status);
		return;
	}
	call = request_prepare(r, &mounts[p.mount], FS_STATFS, p.inode);
	call->data = r->text;
	call->data_bytes = sizeof(struct file_statfs);
	call->data_write = true;
	request_call(r, 0);
}

/* The file's server said where it is: there it is changed, with the caller's rights. What
 * is in no filesystem (a pipe, a socket) changes itself. */
static void descriptor_setattr(struct request *r, const struct file_attr *attr)
{
	struct mount *m = mount_opened_by(r, attr->dev);
	struct fs_setattr set;
	struct fs_call *call;

	memcpy(&set, r->data, sizeof(set));
	if (!m) {
		struct x_msg msg = {
			.op = FILE_SETATTR,
			.a = { set.mask, set.mode | (uint64_t)set.uid << 32, set.gid, set.size, set.atime_ns, set.mtime_ns },
		};

		request_handle_call(r, REQUEST_CALL, DESCRIPTOR_SET, r->in.handles[0], &msg, NULL, 0);
		return;
	}
	if (bind_is_rdonly((struct place){ mount_slot(m), 0 })) {
		request_finish(r, -X_EROFS);
		return;
	}
	call = request_prepare(r, m, FS_SETATTR, attr->ino);
	call->a[3] = set.mask | (uint64_t)set.uid << 32;
	call->a[4] = set.gid;
	call->data = r->data;
	call->data_bytes = sizeof(set);
	request_call(r, DESCRIPTOR_SET);
}

static void descriptor_xattr(struct request *r, const struct file_attr *attr)
{
	bool change = (r->in.msg.a[1] & FS_XATTR_OP) == FS_XATTR_SET || (r->in.msg.a[1] & FS_XATTR_OP) == FS_XATTR_REMOVE;
	struct mount *m = mount_opened_by(r, attr->dev);
	struct fs_call *call;

	if (!m) { /* such a file can have none of the user's */
		request_finish(r, change && !memcmp(r->data, "user.", 5) ? -X_EPERM : -X_EOPNOTSUPP);
		return;
	}
	if (change && bind_is_rdonly((struct place){ mount_slot(m), 0 })) {
		request_finish(r, -X_EROFS);
		return;
	}
	call = request_prepare(r, m, FS_XATTR, attr->ino);
	call->a[3] = r->in.msg.a[1];
	call->data = r->data;
	call->data_bytes = BUFFER_BYTES;
	request_call(r, DESCRIPTOR_SET);
}

static void descriptor_readlink(struct request *r, const struct file_attr *attr)
{
	struct mount *m = mount_by_id(attr->dev);
	struct fs_call *call;

	if (!m || (attr->mode & F_S_IFMT) != F_S_IFLNK) {
		request_finish(r, -X_ENOENT);
		return;
	}
	call = request_prepare(r, m, FS_READLINK, attr->ino);
	call->a[1] = FS_NOFOLLOW;
	call->data = r->text;
	call->data_bytes = BUFFER_BYTES;
	call->data_write = true;
	request_call(r, DESCRIPTOR_SET);
}

static void descriptor_called(struct request *r)
{
	struct file_attr attr;

	memcpy(&attr, r->text, sizeof(attr));
	if (r->call.status >= 0 && r->in.msg.op == VFS_SETATTR && r->phase != DESCRIPTOR_SET) {
		descriptor_setattr(r, &attr);
		return;
	}
	if (r->call.status >= 0 && r->in.msg.op == VFS_READLINK && r->phase != DESCRIPTOR_SET) {
		descriptor_readlink(r, &attr);
		return;
	}
	if (r->call.status >= 0 && r->in.msg.op == VFS_XATTR && r->phase != DESCRIPTOR_SET) {
		descriptor_xattr(r, &attr);
		return;
	}
	if (r->call.status >= 0 && r->in.msg.op == VFS_ACCESS &&
	    !creds_allow(&r->who, attr.mode, attr.uid, attr.gid, r->in.msg.a[0] & ACCESS_ALL))
		r->call.status = -X_EACCES;
	file_walked(r);
}

void op_walked(struct request *r)
{
	if (r->refusal) {
		request_finish(r, r->call.status < 0 ? r->call.status : r->refusal);
		return;
	}
	switch (r->in.msg.op) {
	case VFS_OPEN: open_walked(r); break;
	case VFSCTL_EXEC: exec_walked(r); break;
	case VFS_CHDIR: case VFS_CHROOT: chdir_walked(r); break;
	case VFS_LINK: case VFS_RENAME: pair_walked(r); break;
	case SOCK_BIND: unix_bind_walked(r); break;
	case SOCK_CONNECT: case SOCK_SEND: unix_lookup_walked(r); break;
	case VFS_MOUNT: case VFS_UMOUNT: mountop_walked(r); break;
	case VFS_STATFS: statfs_walked(r); break;
	default: file_walked(r); break;
	}
}

void op_called(struct request *r)
{
	switch (r->in.msg.op) {
	case VFS_OPEN: case VFS_SOCKET: open_called(r); break;
	case VFSCTL_EXEC: exec_called(r); break;
	case VFS_GETCWD: case VFSCTL_CWD: getcwd_called(r); break;
	case VFSCTL_NAME_OF: name_of_called(r); break;
	case VFSCTL_MAPPED: mapped_called(r); break;
	case VFSCTL_MOUNTS: mounts_asked(r); break;
	case VFS_LINK: case VFS_RENAME: pair_called(r); break;
	case VFS_MOUNT: case VFS_UMOUNT: mountop_called(r); break;
	case VFS_SYNC: sync_called(r); break;
	case VFS_FLOCK: case VFS_LOCK: case VFS_LOCK_CLOSED: lock_called(r); break;
	case FILE_STAT: place_called(r); break;
	default: descriptor_called(r); break;
	}
}
