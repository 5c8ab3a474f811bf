/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One call of proto/fs.h to a mounted filesystem, which is another process or
 * devfs. Both take the same struct fs_call; a process is answered later.
 */

#include "servers/vfs/vfs.h"

bool fs_status_is_loss(int64_t status)
{
	return status == -X_EDEAD || status == -X_ESTALE_HANDLE;
}

static bool is_type(uint64_t mode)
{
	uint64_t type = mode & F_S_IFMT;

	return type == F_S_IFREG || type == F_S_IFDIR || type == F_S_IFLNK || type == F_S_IFCHR || type == F_S_IFBLK ||
	       type == F_S_IFIFO || type == F_S_IFSOCK;
}

static bool stays_in_path(const struct fs_call *call, uint64_t start, uint64_t bytes)
{
	return start <= call->path_bytes && bytes <= call->path_bytes - start;
}

/* Can a filesystem have answered this? */
static bool makes_sense(const struct fs_call *call)
{
	const uint64_t *r = call->r;

	if (call->status == -X_ESYMLINK || call->status == -X_ECROSS)
		return r[1] && stays_in_path(call, 0, r[1]);
	if (call->status < 0)
		return call->status != -X_EWAIT && call->status != -X_ELOCAL;
	switch (call->op) {
	case FS_READLINK: case FS_PATH: case FS_XATTR:
		return call->status <= call->data_bytes;
	case FS_MOUNT:
		return !call->status && r[0];
	case FS_LOOKUP:
		return !call->status && r[0] && is_type(r[1]);
	case FS_PARENT:
		return !call->status && r[0] && stays_in_path(call, r[1], r[2]);
	case FS_OPEN:
		return !call->status && r[0] && is_type(r[1]) && call->handle != X_NO_HANDLE;
	default:
		return !call->status;
	}
}

/* Nor is it known by now what the filesystem holds, and what was meant by what it said before:
 * as if it had started anew. */
static void refuse(struct fs_call *call)
{
	server_log("%s on %s answers nonsense to operation 0x%x: status %d, words 0x%llx 0x%llx 0x%llx", call->mount->type,
		   call->mount->path, call->op, (int)call->status, (unsigned long long)call->r[0],
		   (unsigned long long)call->r[1], (unsigned long long)call->r[2]);
	server_complain(call->mount->port);
	if (call->handle != X_NO_HANDLE)
		out_close(call->handle);
	call->handle = X_NO_HANDLE;
	/* What belongs to a mount is done once more. */
	call->status = call->owner == call->mount ? -X_ESTALE_HANDLE : -X_EIO;
	mount_lost(call->mount);
}

/* An open file, or one that a link leads to. */
static bool brings_handle(const struct fs_call *call)
{
	return call->status == -X_ESYMLINK || (call->status >= 0 && call->op == FS_OPEN);
}

static void reply(void *ctx, const struct x_in *in)
{
	struct fs_call *call = ctx;

	call->pending = false;
	known_change_ended(call);
	call->status = in->msg.status;
	memcpy(call->r, in->msg.a, sizeof(call->r));
	call->handle = brings_handle(call) ? in_take(in, 0) : X_NO_HANDLE;
	if (!makes_sense(call))
		refuse(call);
	call->done(call);
}

static void set_window(struct x_out *out, unsigned i, const void *data, uint32_t bytes, uint32_t flags)
{
	out->win[i].addr = (uintptr_t)data;
	out->win[i].len = bytes;
	out->win[i].flags = flags;
}

static void start_remote(struct fs_call *call)
{
	struct x_out *out = out_start(call->mount->port, reply, call, &call->cookie);

	call->pending = true;
	out->msg.op = call->op;
	memcpy(out->msg.a, call->a, sizeof(call->a));
	/* An empty window still needs an address of ours. */
	set_window(out, 0, call->path_bytes ? call->path : (const char *)call->r, call->path_bytes,
		   X_WIN_READ);
	set_window(out, 1, call->data_bytes ? call->data : call->r, call->data_bytes,
		   call->op == FS_XATTR ? X_WIN_READ | X_WIN_WRITE : call->data_write ? X_WIN_WRITE : X_WIN_READ);
	out->win_count = 2;
	if (call->who->group_count) {
		set_window(out, 2, call->who->groups, call->who->group_count * 4, X_WIN_READ);
		out->win_count = 3;
	}
}

bool fs_submit(struct fs_call *call)
{
	if (!call->who)
		call->who = &creds_root;
	call->a[2] = call->who->uid | (uint64_t)call->who->gid << 32;
	call->a[5] = call->koid;
	call->a[6] = call->who->group_count;
	call->status = 0;
	call->handle = X_NO_HANDLE;
	if (call->mount->internal)
		return devfs_call(call);
	known_change_begins(call);
	start_remote(call);
	return false;
}

static void released(void *ctx, const struct x_in *in)
{
	(void)ctx;
	(void)in;       /* a filesystem that lost it has no hold left either */
}

void fs_release(struct mount *m, uint64_t inode, uint64_t count)
{
	struct x_out *out;

	if (m->internal || m->state == MOUNT_FREE || m->port == X_NO_HANDLE)
		return;
	out = out_start(m->port, released, NULL, NULL);
	out->msg.op = FS_RELEASE;
	out->msg.a[0] = inode;
	out->msg.a[1] = count;
}
