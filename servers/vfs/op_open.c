/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFS_OPEN, and VFSCTL_EXEC, which opens a program for pm.
 *
 * A filesystem gives the file object itself. For a device node it says
 * -X_ENXIO and which device; then device.c takes over.
 */

#include "servers/vfs/vfs.h"

/* ---- open ---- */

/* O_TMPFILE comes with O_DIRECTORY, so that systems without it refuse. */
static bool is_bad_tmpfile(uint32_t flags)
{
	return flags & F_O_TMPFILE && !(flags & F_O_PATH) &&
	       (!(flags & F_O_DIRECTORY) || flags & F_O_CREAT || (flags & F_O_ACCMODE) == F_O_RDONLY);
}

void open_start(struct request *r, const struct session *s)
{
	uint32_t flags = (uint32_t)r->in.msg.a[0];

	if (is_bad_tmpfile(flags)) {
		request_finish(r, -X_EINVAL);
		return;
	}
	r->resolve = (uint32_t)r->in.msg.a[2];
	r->walk.flags = flags & F_O_NOFOLLOW ? FS_NOFOLLOW : 0;
	if (flags & F_O_PATH) {
		r->walk.op = FS_LOOKUP;
		r->walk.flags |= FS_HOLD;
	} else {
		r->walk.op = FS_OPEN;
		r->walk.mode = session_mode(s, r->in.msg.a[1] & 07777);
		r->walk.a3 = flags & ~(F_O_RUN | F_O_NOEXEC);
		known_expect(r, s);
	}
	walk_begin(r, walk_take_path(r, 0, r->path), r->in.handle_count ? 0 : -1);
}

static void open_place(struct request *r)
{
	uint32_t flags = (uint32_t)r->in.msg.a[0];

	if (!hold_adopt(walk_place(r))) {
		request_finish(r, -X_ENFILE);
	} else if (flags & F_O_DIRECTORY && (r->call.r[1] & F_S_IFMT) != F_S_IFDIR) {
		request_hold(r, walk_place(r));
		request_finish(r, -X_ENOTDIR);
	} else {
		place_open(r, walk_place(r), flags);
	}
}

/* The filesystem allowed it; while it is open here its inode must stay. */
static void hold_fifo(struct request *r, struct place p)
{
	request_prepare(r, &mounts[p.mount], FS_LOOKUP, p.inode)->a[1] = FS_HOLD;
	request_call(r, OPEN_FIFO);
}

static void fifo_held(struct request *r)
{
	struct place p = place_in_fs(walk_place(r));

	if (r->call.status < 0) {
		request_finish(r, r->call.status);
	} else if (!hold_adopt(p)) {
		request_finish(r, -X_ENFILE);
	} else {
		request_hold(r, p);
		fifo_open(r, p, (uint32_t)r->in.msg.a[0]);
	}
}

/* The filesystem met a device node where none may be opened. */
static bool is_refused_device(const struct request *r)
{
	uint32_t type = r->call.r[1] & F_S_IFMT;

	return r->call.status == -X_ENXIO && (type == F_S_IFCHR || type == F_S_IFBLK) &&
	       mounts[r->walk.at.mount].options & MOUNT_NODEV;
}

void open_walked(struct request *r)
{
	const struct fs_call *call = &r->call;
	uint32_t flags = (uint32_t)r->in.msg.a[0];

	if (is_refused_device(r))
		request_finish(r, -X_EACCES);
	else if (call->status == -X_ENXIO && (call->r[1] & F_S_IFMT) == F_S_IFCHR)
		device_open(r, call->r[2], flags);
	else if (call->status == -X_ENXIO && (call->r[1] & F_S_IFMT) == F_S_IFBLK)
		blockdev_open(r, call->r[2], flags);
	else if (call->status == -X_ENXIO && (call->r[1] & F_S_IFMT) == F_S_IFIFO)
		hold_fifo(r, place_in_fs(walk_place(r)));
	else if (call->status < 0)
		request_finish(r, call->status);
	else if (flags & F_O_PATH)
		open_place(r);
	else
		open_called(r);
}

static void open_done(struct request *r)
{
	request_finish_handle(r, known_keep(r, r->call.handle));
}

void open_called(struct request *r)
{
	if (r->phase == OPEN_FIFO)
		fifo_held(r);
	else if (r->phase == OPEN_PTMX)
		device_ptmx_opened(r);
	else if (r->call.status < 0)
		request_finish(r, r->call.status);
	else if (r->call.handle == X_NO_HANDLE)
		request_finish(r, -X_EIO);
	else
		open_done(r);
}

/* ---- exec: execute permission is enough, it need not be readable ---- */

void exec_start(struct request *r)
{
	const struct session *s = session_find(r->in.msg.a[0]);
	struct x_msg stat = { .op = FILE_STAT };

	if (!s) {
		request_finish(r, -X_ESRCH);
		return;
	}
	request_act_for(r, s);
	if (r->in.handle_count && !request_window(r, 0)) {
		request_handle_call(r, REQUEST_CALL, EXEC_STAT, r->in.handles[0], &stat, r->data,
				    sizeof(struct file_attr));
		return;
	}
	r->walk.op = FS_LOOKUP;
	r->walk.flags = FS_HOLD;
	walk_begin(r, walk_take_path(r, 0, r->path), -1);
}

/* May this be run under the options of its mount? Without set-id bits where they mean nothing. */
static bool may_run(const struct request *r, const struct mount *m, struct file_attr *attr)
{
	if (m && m->options & MOUNT_NOSUID)
		attr->mode &= ~(uint32_t)(F_S_ISUID | F_S_ISGID);
	return !(m && m->options & MOUNT_NOEXEC) && (attr->mode & F_S_IFMT) == F_S_IFREG &&
	       creds_allow(&r->who, attr->mode, attr->uid, attr->gid, 1);
}

static void open_program(struct request *r, struct mount *m, uint64_t inode)
{
	struct fs_call *call = request_prepare(r, m, FS_OPEN, inode);

	call->who = &creds_root;
	call->a[3] = F_O_RDONLY | F_O_RUN;
	call->a[4] = m->id;
	request_call(r, EXEC_OPEN);
}

void exec_walked(struct request *r)
{
	const struct fs_call *call = &r->call;
	struct file_attr attr;
	struct place p = walk_place(r);

	if (call->status < 0) {
		request_finish(r, call->status);
		return;
	}
	if (!hold_adopt(p)) {
		request_finish(r, -X_ENFILE);
		return;
	}
	request_hold(r, p);
	memcpy(&attr, r->text, sizeof(attr));
	if (!may_run(r, &mounts[p.mount], &attr)) {
		request_finish(r, -X_EACCES);
		return;
	}
	memcpy(r->data, &attr, sizeof(attr));
	open_program(r, &mounts[p.mount], p.inode);
}

/* The program was given by descriptor. One that has no name (memfd_create) is read by that: Linux
 * does not take who made it for a writer. */
static void exec_stated(struct request *r)
{
	struct file_attr attr;
	struct mount *m;

	memcpy(&attr, r->data, sizeof(attr));
	m = mount_opened_by(r, attr.dev);
	if (r->call.status >= 0 && !may_run(r, m, &attr))
		r->call.status = -X_EACCES;
	if (r->call.status < 0) {
		request_finish(r, r->call.status);
	} else if (m && attr.nlink) {
		memcpy(r->data, &attr, sizeof(attr)); /* without the bits that mean nothing */
		open_program(r, m, attr.ino);
	} else {
		request_finish_data(r, 1, &attr, sizeof(attr), 0);
	}
}

void exec_called(struct request *r)
{
	if (r->phase == EXEC_STAT) {
		exec_stated(r);
		return;
	}
	if (r->call.status >= 0 && r->call.handle != X_NO_HANDLE &&
	    window_write(r->call_id, 1, 0, r->data, sizeof(struct file_attr)) < (int64_t)sizeof(struct file_attr)) {
		out_close(r->call.handle);
		r->call.status = -X_EFAULT;
	}
	open_called(r);
}
