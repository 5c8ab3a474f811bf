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

static void reply(void *ctx, const struct x_in *in)
{
	struct fs_call *call = ctx;

	call->pending = false;
	call->status = in->msg.status;
	memcpy(call->r, in->msg.a, sizeof(call->r));
	call->handle = in->handle_count ? in->handles[0] : X_NO_HANDLE;
	for (uint32_t i = 1; i < in->handle_count && i < X_MAX_HANDLES; i++)
		out_close(in->handles[i]);
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
