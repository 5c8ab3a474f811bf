/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes of programs, which a client (bdev) has routed to its
 * session's object (proto/block.h): without the client, and its two switches
 * of address space, between program and driver.
 *
 * Here is only the plain case: whole blocks of a disk that serves. All else goes
 * home, to the client, as does what is under way when this driver dies (the kernel
 * sees to that); it comes again by the client's ring, so that replay and its
 * limits are those of lib/blockcli.
 *
 * Small data passes through a buffer of ours, copied by the kernel with the answer;
 * larger goes between the disk and the program's memory.
 */
#include "lib/blockdrv/internal.h"
#include "proto/file.h"

#define BUFFERS      128u
#define BUFFER_BYTES 16384u

static struct {
	struct dma_pool buffers;
	bool answered;
} calls;

/* Who was not sent here by a route has no home to be sent to. */
static void send_home(struct blockdrv_session *s, uint64_t call)
{
	struct x_out *out = out_answer_entry(call);

	if (s)
		s->disk->stats.sent_home++;
	out->flags = X_ANSWER_HOME;
	out->msg.status = -X_ENOSYS;
	calls.answered = true;
}

/* Fewer, where memory is short. */
static bool has_buffers(const struct disk *d)
{
	for (uint32_t count = BUFFERS; !calls.buffers.count && count >= BUFFERS / 16; count /= 4)
		if (!dma_pool_init(&calls.buffers, d->geometry.device, BUFFER_BYTES, X_PAGE_SIZE, count, 0))
			break;
	return calls.buffers.count;
}

static bool use_buffer(const struct disk *d, const struct x_in *in, struct blockdrv_request *r)
{
	int count;

	r->buffer = has_buffers(d) ? dma_pool_get(&calls.buffers) : -1;
	if (r->buffer < 0)
		return false;
	r->segments[0] = (struct x_dma_segment){ dma_pool_iova(&calls.buffers, (uint32_t)r->buffer), r->length_bytes };
	count = bdrv_request_fit_segments(d, r->segments, 1);
	if (count > 0 && (r->op == BLOCK_READ || window_read(in->id, 0, 0, dma_pool_virt(&calls.buffers, (uint32_t)r->buffer),
							     r->length_bytes) == r->length_bytes)) {
		r->segment_count = (uint32_t)count;
		return true;
	}
	dma_pool_put(&calls.buffers, (uint32_t)r->buffer);
	r->buffer = -1;
	return false;
}

static bool use_window(const struct disk *d, const struct x_in *in, struct blockdrv_request *r)
{
	struct block_window window = { .call = in->id };

	return !x_window_lend(server_port, in->id, 0, d->geometry.device) &&
	       !bdrv_session_use_window(d, server_port, &window, r->length_bytes, r);
}

/* The plain case? Then all of r but its data. */
static bool describe(const struct blockdrv_session *s, const struct x_in *in, struct blockdrv_request *r)
{
	const struct blockdrv_geometry *g = &s->disk->geometry;
	bool write = in->msg.op == FILE_WRITE, at = in->msg.status & FILE_AT;
	uint64_t offset = at ? in->msg.a[0] : in->cursor;
	uint32_t bytes = in->win[0].len, block = g->logical_block_bytes;

	if ((in->msg.op != FILE_READ && !write) || (write && g->read_only) ||
	    !(in->win[0].flags & (write ? X_WIN_READ : X_WIN_WRITE)))
		return false;
	if (!bytes || bytes > g->max_request_bytes || bytes % block || offset % block || bytes > s->size_bytes ||
	    offset > s->size_bytes - bytes)
		return false;
	r->op = r->kind = write ? BLOCK_WRITE : BLOCK_READ;
	r->offset_bytes = s->offset_bytes + offset;
	r->length_bytes = bytes;
	r->wants_fua = write && in->status_flags & F_O_DSYNC;
	r->moves_cursor = !at;
	r->call = in->id;
	return true;
}

static bool take(struct blockdrv_session *s, const struct x_in *in)
{
	struct disk *d = s->disk;
	struct blockdrv_request *r;

	if (s->dead || s->calls_stopped || !bdrv_serving(d) || d->pending.count >= PENDING_MAX)
		return false;
	r = bdrv_request_get();
	if (!r || !describe(s, in, r))
		return false;
	if (!(r->length_bytes < BUFFER_BYTES ? use_buffer(d, in, r) : use_window(d, in, r)))
		return false;
	r->session = s;
	bdrv.round_ns = server_now_ns;
	bdrv_request_queue(d, r);
	s->in_flight++;
	s->calls++;
	d->stats.calls++;
	return true;
}

void bdrv_calls_take(const struct x_in *in)
{
	struct blockdrv_session *s = bdrv_session_of(in->object);

	in_close_handles(in);
	if (!s || !take(s, in))
		send_home(s, in->id);
}

/* The buffer is another call's only in a later iteration, when the answer has been copied. */
void bdrv_calls_end(struct blockdrv_session *s, struct blockdrv_request *r, int status)
{
	struct x_out *out;

	if (r->buffer >= 0)
		dma_pool_put(&calls.buffers, (uint32_t)r->buffer);
	/* The disk is gone: the client knows how long to wait for another. Or the data is too scattered: it copies. */
	if (s->dead || status == -X_E2BIG) {
		send_home(s, r->call);
		return;
	}
	calls.answered = true;
	out = out_answer_entry(r->call);
	out->msg.status = status ? status : (int32_t)r->own_bytes;
	if (status)
		return;
	if (r->kind == BLOCK_WRITE && !r->wants_fua)
		((struct block_calls *)(void *)(s->ring_memory + BLOCK_CALLS_OFFSET))->writes++;
	if (r->kind == BLOCK_READ && r->buffer >= 0) {
		out->copy_src = (uintptr_t)dma_pool_virt(&calls.buffers, (uint32_t)r->buffer);
		out->copy_len = r->own_bytes;
	}
	if (r->moves_cursor) {
		out->flags = X_ANSWER_CURSOR;
		out->value = r->offset_bytes - s->offset_bytes + r->own_bytes;
	}
}

bool bdrv_calls_answered(void)
{
	bool answered = calls.answered;

	calls.answered = false;
	return answered;
}
