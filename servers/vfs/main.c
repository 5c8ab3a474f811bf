/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vfs: names. It resolves paths over all mounted filesystems for the Linux
 * processes (one session object each), and serves pipes, /dev and the devices
 * that need no driver. Data of files doesn't pass through it.
 *
 * Boot handles: "minix" (the root filesystem's port), "pm", "tty", "rs", "bdev".
 */

#include "servers/vfs/vfs.h"

static void session_call(const struct x_in *in)
{
	struct session *s = session_find(in->object);

	if (s)
		op_session_call(s, in);
	else
		file_refuse(in);
}

static void call(const struct x_in *in)
{
	if (!in->object) {
		op_control_call(in);
		return;
	}
	switch (object_kind(in->object)) {
	case KIND_SESSION: session_call(in); break;
	case KIND_PIPE: pipe_call(in); break;
	case KIND_DEVICE: device_call(in); break;
	case KIND_DEVDIR: devfs_dir_call(in); break;
	case KIND_PLACE: place_call(in); break;
	case KIND_UNIX: unix_call(in); break;
	default: file_refuse(in); break;
	}
}

static void closure(uint64_t object, uint64_t mints)
{
	(void)mints;    /* every object is minted once, and ids are not used again */
	switch (object_kind(object)) {
	case KIND_SESSION: session_closed(object); break;
	case KIND_PIPE: pipe_closed(object); break;
	case KIND_PLACE: place_closed(object); break;
	case KIND_UNIX: unix_closed(object); break;
	default: break;
	}
}

static void cancel(uint64_t call_id)
{
	struct parked *w = parked_find(call_id);

	if (w && object_kind(w->owner) == KIND_PIPE)
		pipe_cancel(w);
	else if (w)
		unix_cancel(w);
	else if (!fifo_cancel(call_id) && !lock_cancel(call_id))
		request_cancel(call_id);
}

static void flow(uint64_t object, uint32_t which, const struct x_flow_state *state)
{
	(void)which;    /* there are only those with two ends */
	if (object_kind(object) == KIND_PIPE)
		pipe_flow(object, state);
	else
		unix_flow(object);
}

static const struct server_ops ops = {
	.call = call,
	.flow = flow,
	.closure = closure,
	.cancel = cancel,
	.batch_end = rights_settle,
};

void server_main(void)
{
	random_init();
	devfs_init();
	mounts_init();
	blockdev_init();
	server_run(&ops);
}
