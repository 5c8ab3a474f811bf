/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What open(O_PATH) gives: a place in the tree that can be asked what it is
 * and be started from, but not be read or written.
 */

#include "servers/vfs/vfs.h"

struct path_object {
	uint64_t id;            /* 0: free */
	struct place place;     /* held */
	bool directory;
};

static struct path_object objects[PLACES_MAX];
static uint64_t next_serial = 1;

static struct path_object *find(uint64_t id)
{
	struct path_object *o = &objects[id % PLACES_MAX];

	return o->id == id ? o : NULL;
}
_Static_assert((PLACES_MAX & (PLACES_MAX - 1)) == 0, "ids are split by a mask");

void place_open(struct request *r, struct place p, uint32_t flags)
{
	uint32_t i;
	int64_t handle;

	for (i = 0; i < PLACES_MAX && objects[i].id; i++)
		;
	if (i == PLACES_MAX) {
		hold_drop(p);
		request_finish(r, -X_ENFILE);
		return;
	}
	objects[i].id = object_id(KIND_PLACE, next_serial++ * PLACES_MAX + i);
	objects[i].place = p;
	objects[i].directory = (r->call.r[1] & F_S_IFMT) == F_S_IFDIR;
	handle = sys_mint(objects[i].id, 0, 0, flags & (F_O_PATH | F_O_DIRECTORY | F_O_NOFOLLOW));
	if (handle < 0) {
		objects[i].id = 0;
		hold_drop(p);
		request_finish(r, handle);
		return;
	}
	request_finish_handle(r, (x_handle_t)handle);
}

bool places_use_mount(uint32_t mount)
{
	for (uint32_t i = 0; i < PLACES_MAX; i++)
		if (objects[i].id && objects[i].place.mount == mount)
			return true;
	return false;
}

void place_closed(uint64_t id)
{
	struct path_object *o = find(id);

	if (!o)
		return;
	hold_drop(o->place);
	o->id = 0;
}

/* FILE_STAT asks the filesystem again. */
void place_stat(const struct x_in *in, struct place p)
{
	struct request *r = request_new(in, NULL);
	struct fs_call *call;

	if (!r)
		return;
	call = request_prepare(r, &mounts[p.mount], FS_LOOKUP, p.inode);
	call->a[1] = FS_NOFOLLOW;
	call->data = r->text;
	call->data_bytes = sizeof(struct file_attr);
	call->data_write = true;
	r->walk.at = p;
	request_call(r, 0);
}

void place_called(struct request *r)
{
	struct x_msg msg = { .a = { [2] = mounts[r->walk.at.mount].id } };

	if (r->call.status < 0) {
		request_finish(r, r->call.status);
	} else if (window_write(r->call_id, 0, 0, r->text, sizeof(struct file_attr)) < (int64_t)sizeof(struct file_attr)) {
		request_finish(r, -X_EFAULT);
	} else {
		out_answer(r->call_id, &msg);
		request_drop(r);
	}
}

void place_call(const struct x_in *in)
{
	const struct path_object *o = find(in->object);
	struct x_msg msg = { .op = 0 };

	if (!o) {
		file_refuse(in);
	} else if (in->msg.op == FILE_STAT) {
		place_stat(in, o->place);
	} else if (in->msg.op == FILE_IDENT && o->directory) {
		msg.a[0] = mount_fs(&mounts[o->place.mount])->id;
		msg.a[1] = o->place.inode;
		msg.a[2] = mounts[o->place.mount].id;
		in_close_handles(in);
		out_answer(in->id, &msg);
	} else {
		in_close_handles(in);
		out_status(in->id, in->msg.op == FILE_IDENT ? -X_ENOTDIR : -X_EBADF);
	}
}
