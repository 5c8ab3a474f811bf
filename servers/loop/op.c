/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests under way. Data goes run by run: a call on the file whose window is the run's place in the
 * client's pool. What the file has no bytes for (it was cut meanwhile) reads as zeros. A write with
 * BLOCK_FUA ends with a sync of the file.
 */
#include "servers/loop/loop.h"

struct op {
	struct session *session;        /* NULL: free */
	uint32_t id, kind;
	bool fua;
	uint64_t offset;                /* in the file, of the next byte */
	uint32_t left;                  /* bytes still to go */
	uint32_t run, run_done;         /* the run that goes now, and how much of it went */
	uint32_t run_count;
	struct block_extent runs[BLOCK_EXTENTS];
};
static struct op ops[OPS_MAX];

bool op_room(void)
{
	for (uint32_t i = 0; i < OPS_MAX; i++)
		if (!ops[i].session)
			return true;
	return false;
}

static void end(struct op *op, int status)
{
	struct session *s = op->session;

	op->session = NULL;
	session_complete(s, op->id, status);
}

static void next(struct op *op);

/* ---- answers of the file ---- */

static void synced(void *ctx, const struct x_in *reply)
{
	end(ctx, reply->msg.status < 0 ? -X_EIO : 0);
}

static void allocated(void *ctx, const struct x_in *reply)
{
	int status = reply->msg.status;

	end(ctx, status >= 0 || status == -X_EOPNOTSUPP ? status : -X_EIO);
}

static void moved(void *ctx, const struct x_in *reply)
{
	struct op *op = ctx;
	struct block_extent *run = &op->runs[op->run];
	int64_t n = reply->msg.status;
	uint32_t room = run->bytes - op->run_done;

	if (n < 0 || n > room || (!n && op->kind == BLOCK_WRITE)) {
		end(op, -X_EIO);
		return;
	}
	if (!n) {
		memset(op->session->pool + run->pool_offset + op->run_done, 0, room);
		n = room;
	}
	op->run_done += (uint32_t)n;
	op->offset += (uint64_t)n;
	op->left -= (uint32_t)n;
	next(op);
}

/* ---- calls on it ---- */

static void sync(struct op *op)
{
	struct x_out *out = out_start(op->session->disk->file, synced, op, NULL);

	out->msg.op = FILE_SYNC;
	out->msg.a[0] = 1;
}

static void next(struct op *op)
{
	struct x_out *out;
	struct block_extent *run;

	if (op->session->dead || op->session->disk->state != DISK_BOUND) {
		end(op, -X_EIO);
		return;
	}
	if (op->run < op->run_count && op->run_done == op->runs[op->run].bytes) {
		op->run++;
		op->run_done = 0;
	}
	if (op->run == op->run_count) {
		if (op->fua)
			sync(op);
		else
			end(op, 0);
		return;
	}
	run = &op->runs[op->run];
	out = out_start(op->session->disk->file, moved, op, NULL);
	out->msg.op = op->kind == BLOCK_READ ? FILE_READ : FILE_WRITE;
	out->msg.status = FILE_AT;
	out->msg.a[0] = op->offset;
	out->win[0] = (struct x_window){
		(uint64_t)(uintptr_t)(op->session->pool + run->pool_offset + op->run_done), run->bytes - op->run_done,
		op->kind == BLOCK_READ ? X_WIN_WRITE : X_WIN_READ,
	};
	out->win_count = 1;
}

static void allocate(struct op *op)
{
	struct x_out *out = out_start(op->session->disk->file, allocated, op, NULL);

	out->msg.op = FILE_ALLOCATE;
	out->msg.a[0] = FALLOC_KEEP_SIZE | (op->kind == BLOCK_DISCARD ? FALLOC_PUNCH_HOLE : FALLOC_ZERO_RANGE);
	out->msg.a[1] = op->offset;
	out->msg.a[2] = op->left;
}

/* ---- the beginning ---- */

static int take_runs(struct op *op, const struct block_ring_request *in)
{
	const struct session *s = op->session;
	uint64_t sum = 0;

	if (in->extent_count > BLOCK_EXTENTS)
		return -X_EINVAL;
	op->run_count = in->extent_count ? in->extent_count : 1;
	if (in->extent_count)
		memcpy(op->runs, s->ring_memory + BLOCK_VECTORS_OFFSET + in->id * BLOCK_EXTENTS * sizeof(op->runs[0]),
		       in->extent_count * sizeof(op->runs[0]));
	else
		op->runs[0] = (struct block_extent){ .pool_offset = in->pool_offset, .bytes = in->length_bytes };
	for (uint32_t i = 0; i < op->run_count; i++) {
		if (!session_data(s, op->runs[i].pool_offset, op->runs[i].bytes))
			return -X_EINVAL;
		sum += op->runs[i].bytes;
	}
	return sum == in->length_bytes ? 0 : -X_EINVAL;
}

/* 0, or why it can't be done. */
static int check(const struct disk *d, const struct block_ring_request *in)
{
	uint32_t most = in->op == BLOCK_DISCARD || in->op == BLOCK_WRITE_ZEROES ? DISCARD_BYTES_MAX : REQUEST_BYTES_MAX;

	if (in->op < BLOCK_READ || in->op > BLOCK_WRITE_ZEROES)
		return -X_EOPNOTSUPP;
	if (in->flags & BLOCK_WINDOW)
		return -X_E2BIG;
	if (d->state != DISK_BOUND)
		return -X_EIO;
	if (in->op == BLOCK_FLUSH)
		return 0;
	if (in->op != BLOCK_READ && d->read_only)
		return -X_EROFS;
	if (!in->length_bytes || in->length_bytes % SECTOR || in->offset_bytes % SECTOR || in->length_bytes > most ||
	    in->offset_bytes > d->bytes || in->length_bytes > d->bytes - in->offset_bytes)
		return -X_EINVAL;
	return most == DISCARD_BYTES_MAX && !d->can_punch ? -X_EOPNOTSUPP : 0;
}

void op_start(struct session *s, const struct block_ring_request *in)
{
	struct op *op = ops;
	int err = check(s->disk, in);

	while (op->session)
		op++;
	op->session = s;
	op->id = in->id;
	op->kind = in->op;
	op->fua = in->flags & BLOCK_FUA && in->op == BLOCK_WRITE;
	op->offset = s->disk->offset + in->offset_bytes;
	op->left = in->length_bytes;
	op->run = op->run_done = op->run_count = 0;
	if (!err && (in->op == BLOCK_READ || in->op == BLOCK_WRITE))
		err = take_runs(op, in);
	if (err)
		end(op, err);
	else if (in->op == BLOCK_FLUSH)
		sync(op);
	else if (in->op == BLOCK_READ || in->op == BLOCK_WRITE)
		next(op);
	else
		allocate(op);
}
