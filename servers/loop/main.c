/* SPDX-License-Identifier: BSD-2-Clause */
/* loop: what arrives (loop.h tells the rest). */
#include "servers/loop/loop.h"

#include "lib/c/stdio.h"
#include "lib/c/stdlib.h"
#include "lib/ipc/watchers.h"

#define CONTROL_OBJECT (1ull << 63) /* of /dev/loop-control; sessions count from 1 */

static struct {
	uint64_t changes;
	struct watchers watchers;
	uint64_t control_serial;
} watch = { .changes = 1 };

/* ---- the list ---- */

static void list(const struct x_in *in)
{
	char text[LOOP_DISKS * 64];
	uint32_t at = 0;

	for (uint32_t i = 0; i < LOOP_DISKS; i++)
		at += (uint32_t)snprintf(text + at, sizeof(text) - at, "loop%u 0 %llu %s\n", i,
					 (unsigned long long)disks[i].bytes, disks[i].read_only ? "ro" : "rw");
	out_status(in->id, window_write(in->id, 0, 0, text, at));
}

static void watch_call(const struct x_in *in)
{
	struct x_msg msg = { .a = { watch.changes } };

	if (in->msg.a[0] != watch.changes)
		out_answer(in->id, &msg);
	else
		watchers_add(&watch.watchers, in->id);
}

void list_changed(void)
{
	struct x_msg msg = { .a = { ++watch.changes } };
	uint64_t call_id;

	while ((call_id = watchers_next(&watch.watchers)))
		out_answer(call_id, &msg);
}

static void cancel(uint64_t call_id) { watchers_cancel(&watch.watchers, call_id); }

/* ---- calls ---- */

/* "loop3" */
static struct disk *named(const struct x_in *in)
{
	char name[16] = "";
	uint64_t number;
	char *end;

	if (!in->win_count || window_string(in->id, 0, in->win[0].len, name, sizeof(name)) < 0 || strncmp(name, "loop", 4))
		return NULL;
	number = strtoull(name + 4, &end, 10);
	return name[4] && !*end && number < LOOP_DISKS ? &disks[number] : NULL;
}

static void identify(const struct x_in *in, const struct disk *d)
{
	struct block_identity id = { .bus = "loop" };

	memcpy(id.model, d->file_name, sizeof(id.model) - 1);
	out_status(in->id, window_write(in->id, 1, 0, &id, sizeof(id)) < (int64_t)sizeof(id) ? -X_EFAULT : 0);
}

static void open_control(const struct x_in *in)
{
	int64_t handle = x_mint(server_port, CONTROL_OBJECT | ++watch.control_serial, 0, X_READY_IN | X_READY_OUT,
				(uint32_t)in->msg.a[1] & (F_O_ACCMODE | F_O_NONBLOCK));
	struct x_out *out;

	if (handle < 0) {
		out_status(in->id, handle);
		return;
	}
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)handle;
	out->handle_count = 1;
}

static void port_call(const struct x_in *in)
{
	struct disk *d = in->msg.op >= BLOCK_OPEN && in->msg.op <= BLOCK_CONTROL && in->msg.op != BLOCK_LIST ? named(in) : NULL;

	switch (in->msg.op) {
	case BLOCK_OPEN:
		if (d) {
			session_open(in, d);
			return;
		}
		in_close_handles(in);
		out_status(in->id, -X_ENXIO);
		return;
	case LOOP_IOCTL:
		control_disk(in);
		return;
	}
	in_close_handles(in);
	switch (in->msg.op) {
	case BLOCK_LIST: list(in); break;
	case BLOCK_WATCH: watch_call(in); break;
	case BLOCK_IDENTIFY:
		if (d)
			identify(in, d);
		else
			out_status(in->id, -X_ENXIO);
		break;
	case BLOCK_STATS: case BLOCK_CONTROL: out_status(in->id, -X_EINVAL); break;
	case DEV_OPEN: open_control(in); break;
	default: out_status(in->id, -X_ENOSYS); break;
	}
}

static void call(const struct x_in *in)
{
	if (!in->object) {
		port_call(in);
		return;
	}
	in_close_handles(in);
	if (in->object & CONTROL_OBJECT)
		control_call(in);
	else /* sessions speak through their rings */
		out_status(in->id, -X_ENOSYS);
}

static void closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	if (!(object & CONTROL_OBJECT))
		session_closed(object);
}

static void batch_end(void)
{
	session_consume_all();
	session_publish_all();
}

void server_main(void)
{
	static const struct server_ops ops = {
		.call = call, .closure = closure, .cancel = cancel, .batch_end = batch_end,
	};

	for (uint32_t i = 0; i < LOOP_DISKS; i++)
		disks[i].file = X_NO_HANDLE;
	server_run(&ops);
}
