/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open devices. The session with the driver is opened with the first file
 * object and ends when the last is closed and nothing is under way.
 *
 * A file object has no state but its id: serial << 16 | access mode << 8 | node.
 */
#include "servers/bdev/bdev.h"

#define WAITING_MAX 32u

static struct {
	struct x_in waiting[WAITING_MAX]; /* DEV_OPEN of nodes that are being opened */
	uint32_t waiting_count;
	uint64_t serial;
} opens;

struct node *node_by_rdev(uint64_t rdev)
{
	for (uint32_t i = 0; i < NODES_MAX; i++)
		if (nodes[i].state != NODE_FREE && nodes[i].there && nodes[i].rdev == rdev)
			return &nodes[i];
	return NULL;
}

struct node *node_of_object(uint64_t object)
{
	struct node *n = &nodes[(object & 0xff) % NODES_MAX];

	return n->state == NODE_OPEN ? n : NULL;
}

bool node_may(const struct x_in *in, bool write)
{
	uint32_t mode = in->object >> 8 & F_O_ACCMODE;

	return mode == F_O_RDWR || mode == (write ? F_O_WRONLY : F_O_RDONLY);
}

uint64_t node_size(const struct node *n)
{
	return block_info_of(n->client)->size_bytes;
}

static void make_object(struct node *n, const struct x_in *in)
{
	uint32_t flags = (uint32_t)in->msg.a[1];
	uint64_t object = ++opens.serial << 16 | (flags & F_O_ACCMODE) << 8 | (uint64_t)(n - nodes);
	struct x_out *out;
	int64_t handle;

	if ((flags & F_O_ACCMODE) != F_O_RDONLY && n->info.read_only) {
		out_status(in->id, -X_EROFS);
		return;
	}
	flags &= ~(F_O_CREAT | F_O_EXCL | F_O_TRUNC | F_O_CLOEXEC | F_O_NOCTTY);
	handle = x_mint(server_port, object, X_MINT_CURSOR, X_READY_IN | X_READY_OUT, flags);
	if (handle < 0) {
		out_status(in->id, handle);
		return;
	}
	n->objects++;
	route_object(n, object);
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)handle;
	out->handle_count = 1;
}

static void opened(void *ctx, int status, const struct block_info *info)
{
	struct node *n = ctx;
	uint32_t kept = 0;

	n->state = NODE_OPEN;
	n->calls = CALLS_GO;
	if (!status)
		n->info = *info;
	for (uint32_t i = 0; i < opens.waiting_count; i++) {
		const struct x_in *in = &opens.waiting[i];

		if (in->msg.a[0] != n->rdev) {
			opens.waiting[kept++] = *in;
			continue;
		}
		if (status)
			out_status(in->id, status == -X_ENODEV ? -X_ENXIO : status);
		else
			make_object(n, in);
	}
	opens.waiting_count = kept;
	node_settle(n);
}

static void reopened(void *ctx)
{
	route_node(ctx);
}

static int begin(struct node *n)
{
	int err = pool_init();

	if (err)
		return err;
	n->client = block_open(drivers[n->driver].port, n->name, pool_memory(), pool_bytes(), opened, n);
	if (!n->client)
		return -X_ENFILE;
	block_on_reopen(n->client, reopened);
	n->state = NODE_OPENING;
	return 0;
}

void node_open(const struct x_in *in)
{
	struct node *n = node_by_rdev(in->msg.a[0]);
	int err = 0;

	if (!n) {
		out_status(in->id, -X_ENXIO);
	} else if (n->state == NODE_OPEN) {
		make_object(n, in);
	} else if (opens.waiting_count == WAITING_MAX) {
		out_status(in->id, -X_EBUSY);
	} else {
		if (n->state == NODE_CLOSED)
			err = begin(n);
		if (err)
			out_status(in->id, err);
		else
			opens.waiting[opens.waiting_count++] = *in;
	}
}

bool node_cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < opens.waiting_count; i++) {
		if (opens.waiting[i].id != call_id)
			continue;
		opens.waiting[i] = opens.waiting[--opens.waiting_count];
		out_status(call_id, -X_ECANCELED);
		return true;
	}
	return false;
}

void node_settle(struct node *n)
{
	if (n->state != NODE_OPEN || n->objects || n->ops)
		return;
	block_close(n->client);
	n->client = NULL;
	n->state = n->there ? NODE_CLOSED : NODE_FREE;
}

void node_closed(uint64_t object)
{
	struct node *n = node_of_object(object);

	route_forget(object);
	if (!n || !n->objects)
		return;
	n->objects--;
	node_settle(n);
}
