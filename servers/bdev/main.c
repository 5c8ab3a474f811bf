/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bdev: what arrives, by the object it was called on (bdev.h tells the rest).
 */
#include "servers/bdev/bdev.h"

#define ROUNDS_MAX 8u /* bounds an iteration */

static void port_call(const struct x_in *in)
{
	switch (in->msg.op) {
	case DEV_OPEN: node_open(in); break;
	case BDEV_WATCH: disks_watch(in); break;
	case BDEV_TEXT: text_answer(in); break;
	default: out_status(in->id, -X_ENOSYS); break;
	}
}

static void file_stat(const struct node *n, const struct x_in *in)
{
	struct file_attr attr = {
		.ino = n->rdev, .mode = F_S_IFBLK | 0660, .nlink = 1, .rdev = n->rdev, .block_bytes = 4096,
	};

	attr.atime_ns = attr.mtime_ns = attr.ctime_ns = (uint64_t)x_clock(X_CLOCK_REALTIME);
	out_status(in->id, window_write(in->id, 0, 0, &attr, sizeof(attr)) < (int64_t)sizeof(attr) ? -X_EFAULT : 0);
}

static void file_size(const struct node *n, const struct x_in *in)
{
	struct x_msg msg = { .a = { node_size(n) } };

	out_answer(in->id, &msg);
}

static void file_call(struct node *n, const struct x_in *in)
{
	switch (in->msg.op) {
	case FILE_READ: case FILE_WRITE: op_transfer(n, in); break;
	case FILE_SYNC: op_start(n, in, OP_FLUSH, 0, 0); break;
	case FILE_IOCTL: ioctl_call(n, in); break;
	case FILE_STAT: file_stat(n, in); break;
	case FILE_SIZE: file_size(n, in); break;
	case FILE_SETATTR: out_status(in->id, -X_EPERM); break;
	case FILE_READDIR: case FILE_IDENT: out_status(in->id, -X_ENOTDIR); break;
	case FILE_TRUNCATE: out_status(in->id, -X_EINVAL); break;
	case FILE_MMAP: out_status(in->id, -X_ENODEV); break;
	default: out_status(in->id, -X_ENOSYS); break;
	}
}

static void call(const struct x_in *in)
{
	struct node *n;

	n = in->object ? node_of_object(in->object) : NULL;
	if (n && in->msg.op == FILE_IOCTL && LOOP_IS_COMMAND(in->msg.a[0])) {
		ioctl_loop(n, in);
		return;
	}
	in_close_handles(in);
	if (!in->object)
		port_call(in);
	else if (n)
		file_call(n, in);
	else
		out_status(in->id, -X_ENXIO);
}

static void closure(uint64_t object, uint64_t mints)
{
	(void)mints; /* every object is minted once, and ids are not used again */
	node_closed(object);
}

static void cancel(uint64_t call_id)
{
	if (!disks_cancel(call_id))
		node_cancel(call_id); /* else an operation: the disk will end it soon */
}

static void batch_end(void)
{
	uint64_t ended;

	/* What has ended made room for those that wait, and they may have asked for something; until
	 * nothing more ends: then an event will come. */
	block_batch_end();
	for (uint32_t round = 0; round < ROUNDS_MAX && op_retry(); round++) {
		ended = requests_ended;
		block_batch_end();
		if (requests_ended == ended)
			break;
	}
}

void server_main(void)
{
	static const struct server_ops ops = {
		.call = call, .closure = closure, .cancel = cancel, .batch_end = batch_end,
	};

	disks_init();
	server_run(&ops);
}
