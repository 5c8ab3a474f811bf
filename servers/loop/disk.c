/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Disks and the files they lie on. To bind one the file is asked what it is and how long
 * (two calls, of which the second answers the ioctl that wanted it).
 */
#include "servers/loop/loop.h"

struct disk disks[LOOP_DISKS];

void disk_resized(struct disk *d)
{
	uint64_t bytes = d->file_bytes > d->offset ? d->file_bytes - d->offset : 0;

	if (d->size_limit && bytes > d->size_limit)
		bytes = d->size_limit;
	d->bytes = bytes - bytes % (d->block_bytes ? d->block_bytes : SECTOR);
	session_limits(d);
	list_changed();
}

void disk_unbind(struct disk *d)
{
	out_close(d->file);
	*d = (struct disk){ .file = X_NO_HANDLE };
	disk_resized(d);
}

void disk_settle(struct disk *d)
{
	if (d->state == DISK_BOUND && d->autoclear && !d->bind_call && session_count(d) == 0)
		disk_unbind(d);
}

static void bind_failed(struct disk *d, int status)
{
	out_close(d->file);
	d->file = X_NO_HANDLE;
	d->state = DISK_FREE;
	out_status(d->bind_call, status);
	d->bind_call = 0;
}

void disk_configure(struct disk *d, const struct loop_info64 *info)
{
	d->offset = info->offset;
	d->size_limit = info->size_limit;
	d->autoclear = info->flags & LOOP_AUTOCLEAR;
	memcpy(d->file_name, info->file_name, sizeof(d->file_name));
	d->file_name[sizeof(d->file_name) - 1] = 0;
}

static void bound(struct disk *d)
{
	d->state = DISK_BOUND;
	disk_configure(d, &d->config.info);
	d->read_only |= d->config.info.flags & LOOP_READ_ONLY;
	d->can_punch = (d->attr.mode & F_S_IFMT) == F_S_IFREG;
	d->block_bytes = d->config.block_bytes;
}

/* Its length is known: of a disk that is being bound, or only looked at again. */
static void measured(void *ctx, const struct x_in *reply)
{
	struct disk *d = ctx;

	if (reply->msg.status < 0 && d->state == DISK_BINDING) {
		bind_failed(d, reply->msg.status);
		return;
	}
	if (reply->msg.status >= 0) {
		d->file_bytes = reply->msg.a[0];
		if (d->state == DISK_BINDING)
			bound(d);
		disk_resized(d);
	}
	out_status(d->bind_call, reply->msg.status < 0 ? -X_EIO : 0); /* behind the news of the size */
	d->bind_call = 0;
	disk_settle(d);
}

static void ask_size(struct disk *d)
{
	struct x_out *out = out_start(d->file, measured, d, NULL);

	out->msg.op = FILE_SIZE;
}

static void stated(void *ctx, const struct x_in *reply)
{
	struct disk *d = ctx;
	uint32_t type = d->attr.mode & F_S_IFMT;

	if (reply->msg.status < 0)
		bind_failed(d, reply->msg.status);
	else if (type != F_S_IFREG && (type != F_S_IFBLK || d->attr.rdev >> 8 == LOOP_MAJOR))
		bind_failed(d, -X_EINVAL); /* a loop on a loop could be one on itself */
	else
		ask_size(d);
}

void disk_bind(struct disk *d, uint64_t call_id, x_handle_t file, const struct loop_config *config)
{
	int64_t flags = x_object_ctl(file, X_OBJ_GET_FLAGS, 0);
	struct x_out *out;

	*d = (struct disk){ .state = DISK_BINDING, .file = file, .bind_call = call_id, .config = *config };
	if (flags < 0 || (flags & F_O_ACCMODE) == F_O_WRONLY) {
		bind_failed(d, -X_EBADF);
		return;
	}
	d->read_only = (flags & F_O_ACCMODE) == F_O_RDONLY;
	out = out_start(file, stated, d, NULL);
	out->msg.op = FILE_STAT;
	out->win[0] = (struct x_window){ (uintptr_t)&d->attr, sizeof(d->attr), X_WIN_WRITE };
	out->win_count = 1;
}

void disk_measure(struct disk *d, uint64_t call_id)
{
	if (d->bind_call) {
		out_status(call_id, -X_EBUSY);
		return;
	}
	d->bind_call = call_id;
	ask_size(d);
}
