/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Operations under way. One goes over its range in pieces of at most a
 * transfer; a piece:
 *
 *   WAITING   for memory, or until no other operation is at its blocks
 *   READING   the disk fills the memory: for a read, or (FILLING) for a write
 *   FILLING   that does not cover its first and last block
 *   WRITING   the memory is filled from the program, the disk takes it
 *   CHANGING  flush, discard, write-zeroes: no data
 *
 * The call is answered when all is done, or at the first error with what was
 * done before it.
 */
#include "servers/bdev/bdev.h"

#define F_O_DSYNC 010000u
#define SCATTERED_BYTES (128u << 10) /* few enough pages, wherever each is */

enum op_state { OP_FREE, OP_WAITING, OP_READING, OP_FILLING, OP_WRITING, OP_CHANGING };

struct op {
	enum op_state state;
	enum op_kind kind;
	struct node *node;
	uint64_t call_id, sequence;
	uint64_t offset, bytes, done; /* of the call */
	bool moves_cursor, durable;
	/* the piece */
	uint64_t from;                /* its first byte, aligned down */
	uint32_t head, length;        /* bytes of the first block that are not asked for; bytes that are */
	bool partial;                 /* a write that does not cover its blocks */
	uint32_t direct_max;          /* bytes of the window that will do at once; 0: it must be copied */
	bool direct;                  /* this piece's data is in the window */
	uint32_t extent_count;
	struct block_request request;
	struct block_extent extents[BLOCK_EXTENTS]; /* last: not cleared with the rest */
};

static struct op ops[OPS_MAX];
uint64_t requests_ended;
static struct { uint64_t sequence; uint32_t waiting, under_way; } count;

/* ------------------------------------------------------------------------------- end */

static void set_partial(struct op *o, bool partial)
{
	struct node *n = o->node;

	if (o->partial == partial)
		return;
	o->partial = partial;
	n->partial += partial ? 1 : -1u;
	if (!n->partial)
		route_resume(n);
}

static void op_end(struct op *o, int status)
{
	struct x_out *out = out_answer_entry(o->call_id);
	bool transfer = o->kind == OP_READ || o->kind == OP_WRITE;

	out->msg.status = transfer && o->done ? (int32_t)o->done : status;
	if (o->moves_cursor && transfer && o->done) {
		out->flags = X_ANSWER_CURSOR;
		out->value = o->offset + o->done;
	}
	o->state = OP_FREE;
	o->node->ops--;
	count.under_way--;
	set_partial(o, false);
	node_settle(o->node);
}

static void give_memory_back(struct op *o)
{
	pool_put(o->extents, o->extent_count);
	o->extent_count = 0;
}

/* ------------------------------------------------------------------------ the windows */

/* Between the program's window and the piece's memory. 0 or an error. */
static int copy(struct op *o, bool to_program)
{
	uint64_t skip = o->head, left = o->length, at = o->done;

	for (uint32_t i = 0; i < o->extent_count && left; i++) {
		const struct block_extent *e = &o->extents[i];
		uint64_t part;
		int64_t n;

		if (skip >= e->bytes) {
			skip -= e->bytes;
			continue;
		}
		part = e->bytes - skip < left ? e->bytes - skip : left;
		n = to_program ? window_write(o->call_id, 0, at, pool_at(e->pool_offset + skip), part)
			       : window_read(o->call_id, 0, at, pool_at(e->pool_offset + skip), part);
		if (n < 0)
			return (int)n;
		if ((uint64_t)n < part)
			return -X_EFAULT;
		at += part;
		left -= part;
		skip = 0;
	}
	return 0;
}

/* -------------------------------------------------------------------------- the piece */

static uint32_t blocks_bytes(const struct op *o)
{
	uint32_t block = o->node->info.logical_block_bytes;

	return (o->head + o->length + block - 1) & ~(block - 1);
}

static bool carries_data(const struct op *o)
{
	return o->kind == OP_READ || o->kind == OP_WRITE;
}

/* Large pieces of whole blocks go between the disk and the program's memory. */
static uint32_t direct_bytes(const struct op *o)
{
	const struct block_info *i = block_info_of(o->node->client);
	uint64_t left = o->bytes - o->done;

	if (!carries_data(o) || !block_takes_windows(o->node->client) || left < BLOCK_WINDOW_MIN ||
	    (o->offset + o->done) % i->logical_block_bytes)
		return 0;
	if (left > i->max_request_bytes)
		left = i->max_request_bytes;
	if (left > o->direct_max)
		left = o->direct_max;
	return (uint32_t)(left - left % i->logical_block_bytes);
}

/* However scattered the memory is, the device's segments must do. */
static uint64_t transfer_max(const struct block_info *i)
{
	uint32_t segment = i->max_segment_bytes ? i->max_segment_bytes : CHUNK_BYTES;
	uint32_t a_chunk = (CHUNK_BYTES + segment - 1) / segment, chunks = i->max_segments / a_chunk;
	uint64_t most = chunks ? (uint64_t)chunks * CHUNK_BYTES : segment;

	if (most > i->max_request_bytes)
		most = i->max_request_bytes;
	return most < TRANSFER_MAX ? most : TRANSFER_MAX;
}

static uint64_t piece_max(const struct op *o)
{
	const struct block_info *i = block_info_of(o->node->client);

	switch (o->kind) {
	case OP_DISCARD: return i->max_discard_bytes;
	case OP_ZEROES: return i->max_write_zeroes_bytes;
	default: return transfer_max(i);
	}
}

static void cut_piece(struct op *o)
{
	uint32_t block = o->node->info.logical_block_bytes;
	uint64_t at = o->offset + o->done, left = o->bytes - o->done, most = piece_max(o);

	o->length = direct_bytes(o);
	o->direct = o->length != 0;
	o->from = at & ~(uint64_t)(block - 1);
	o->head = (uint32_t)(at - o->from);
	if (!o->direct)
		o->length = (uint32_t)(left < most - o->head ? left : most - o->head);
	set_partial(o, o->kind == OP_WRITE && (o->head || o->length % block));
}

/* Blocks that are read to be written again must not change in between. */
static bool must_wait_for(const struct op *o, const struct op *other)
{
	if (other->node != o->node || other->state < OP_READING || other->state > OP_WRITING || other == o)
		return false;
	if (o->kind != OP_WRITE || other->kind != OP_WRITE || !(o->partial || other->partial))
		return false;
	return o->from < other->from + blocks_bytes(other) && other->from < o->from + blocks_bytes(o);
}

static bool may_begin(const struct op *o)
{
	if (o->kind != OP_WRITE || !o->node->partial) /* mostly: and so the others are not looked at */
		return true;
	if (o->partial && !route_stopped(o->node))
		return false;
	for (uint32_t i = 0; i < OPS_MAX; i++)
		if (ops[i].state != OP_FREE && must_wait_for(o, &ops[i]))
			return false;
	return true;
}

static void piece_done(struct block_request *request, int status);

static void submit(struct op *o, enum op_state state, uint32_t op)
{
	uint32_t bytes = blocks_bytes(o);

	o->state = state;
	o->request = (struct block_request){
		.op = op, .offset_bytes = o->from, .done = piece_done, .ctx = o,
		.flags = o->durable && op != BLOCK_READ && op != BLOCK_FLUSH ? BLOCK_FUA : 0,
	};
	if (op != BLOCK_FLUSH)
		o->request.length_bytes = bytes;
	if (carries_data(o) && o->direct) {
		o->request.flags |= BLOCK_WINDOW;
		o->request.window = (struct block_window){ .call = o->call_id, .offset = (uint32_t)o->done };
	} else if (carries_data(o)) {
		o->request.extents = o->extents;
		o->request.extent_count = o->extent_count;
	}
	block_submit(o->node->client, &o->request);
}

static void write_piece(struct op *o)
{
	int err = o->direct ? 0 : copy(o, false);

	if (err) {
		give_memory_back(o);
		op_end(o, err);
		return;
	}
	submit(o, OP_WRITING, BLOCK_WRITE);
}

/* False: it still waits. */
static bool piece_begin(struct op *o)
{
	static const uint32_t changes[] = {
		[OP_FLUSH] = BLOCK_FLUSH, [OP_DISCARD] = BLOCK_DISCARD, [OP_ZEROES] = BLOCK_WRITE_ZEROES,
	};

	if (!carries_data(o)) {
		submit(o, OP_CHANGING, changes[o->kind]);
		return true;
	}
	if (!may_begin(o))
		return false;
	if (!o->direct) {
		o->extent_count = pool_get(blocks_bytes(o), o->extents);
		if (!o->extent_count)
			return false;
	}
	if (o->kind == OP_READ)
		submit(o, OP_READING, BLOCK_READ);
	else if (o->partial)
		submit(o, OP_FILLING, BLOCK_READ);
	else
		write_piece(o);
	return true;
}

static void piece_next(struct op *o)
{
	if (o->kind != OP_FLUSH)
		cut_piece(o);
	o->state = OP_WAITING;
	if (!piece_begin(o))
		count.waiting++;
}

static void piece_done(struct block_request *request, int status)
{
	struct op *o = request->ctx;
	bool was_filling = o->state == OP_FILLING;

	requests_ended++;
	if (!status && was_filling) {
		write_piece(o);
		return;
	}
	if (status == -X_E2BIG && o->direct) {
		o->direct_max = o->length > SCATTERED_BYTES ? SCATTERED_BYTES : 0;
		piece_next(o);
		return;
	}
	if (!status && o->state == OP_READING && !o->direct)
		status = copy(o, true);
	if (carries_data(o))
		give_memory_back(o);
	if (!status && o->kind != OP_FLUSH)
		o->done += o->length;
	if (status || o->kind == OP_FLUSH || o->done == o->bytes)
		op_end(o, status);
	else
		piece_next(o);
}

/* The oldest first. Bounded: each goes on at most once. */
bool op_retry(void)
{
	uint32_t waiting = count.waiting;
	bool any = waiting;

	count.waiting = 0;
	for (uint64_t last = 0; waiting; waiting--) {
		struct op *oldest = NULL;

		for (uint32_t i = 0; i < OPS_MAX; i++)
			if (ops[i].state == OP_WAITING && ops[i].sequence > last &&
			    (!oldest || ops[i].sequence < oldest->sequence))
				oldest = &ops[i];
		if (!oldest)
			break;
		last = oldest->sequence;
		if (!piece_begin(oldest))
			count.waiting++;
	}
	return any;
}

/* ----------------------------------------------------------------------------- start */

static struct op *op_new(struct node *n, const struct x_in *in, enum op_kind kind)
{
	static uint32_t hint;
	struct op *o;

	if (count.under_way == OPS_MAX)
		return NULL;
	while (ops[hint % OPS_MAX].state != OP_FREE)
		hint++;
	o = &ops[hint % OPS_MAX];
	memset(o, 0, offsetof(struct op, extents));
	o->kind = kind;
	o->node = n;
	o->call_id = in->id;
	o->sequence = ++count.sequence;
	o->direct_max = UINT32_MAX;
	n->ops++;
	count.under_way++;
	return o;
}

static void start(struct op *o, uint64_t offset, uint64_t bytes)
{
	o->offset = offset;
	o->bytes = bytes;
	piece_next(o);
}

void op_start(struct node *n, const struct x_in *in, enum op_kind kind, uint64_t offset, uint64_t bytes)
{
	struct op *o = op_new(n, in, kind);

	if (o)
		start(o, offset, bytes);
	else
		out_status(in->id, -X_EAGAIN);
}

void op_transfer(struct node *n, const struct x_in *in)
{
	bool write = in->msg.op == FILE_WRITE, at_cursor = !(in->msg.status & FILE_AT);
	uint64_t size = node_size(n), offset = at_cursor ? in->cursor : in->msg.a[0], bytes;
	uint32_t flags = write ? X_WIN_READ : X_WIN_WRITE;
	struct op *o;

	bytes = in->win_count && in->win[0].flags & flags ? in->win[0].len : 0;
	if (!node_may(in, write)) {
		out_status(in->id, -X_EBADF);
		return;
	}
	if (!bytes || offset >= size) { /* behind the end is nothing to read, and no room */
		out_status(in->id, bytes && write ? -X_ENOSPC : 0);
		return;
	}
	if (bytes > size - offset)
		bytes = size - offset;
	o = op_new(n, in, write ? OP_WRITE : OP_READ);
	if (!o) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	o->moves_cursor = at_cursor;
	o->durable = in->status_flags & F_O_DSYNC;
	start(o, offset, bytes);
}
