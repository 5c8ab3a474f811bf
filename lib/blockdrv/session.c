/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions: the rings, and the end of a client (closure of the session object)
 * or of its disk.
 *
 * A dead session keeps its pool until the device has given back what is in
 * flight: only then are its handles closed.
 */
#include "lib/blockdrv/internal.h"
#include "lib/c/string.h"

#define CONSUME_BATCH 32u /* of one session before the next has its turn */

static uint32_t turn;

void bdrv_session_free(struct blockdrv_session *s)
{
	if (s->ring_memory)
		x_mem_unmap(X_SELF, (uint64_t)(uintptr_t)s->ring_memory, BLOCK_RING_BYTES);
	if (s->doorbell != X_NO_HANDLE) {
		server_unbind(s->doorbell);
		out_close(s->doorbell);
	}
	if (s->pool != X_NO_HANDLE)
		out_close(s->pool);
	if (s->completion_event != X_NO_HANDLE)
		out_close(s->completion_event);
	if (s->client != X_NO_HANDLE)
		out_close(s->client);
	dma_import_drop(&s->import);
	s->object = 0;
}

static void session_end(struct blockdrv_session *s)
{
	s->dead = true;
	if (!s->in_flight)
		bdrv_session_free(s);
}

struct blockdrv_session *bdrv_session_of(uint64_t object)
{
	for (uint32_t i = 0; i < bdrv.session_limit; i++)
		if (bdrv.sessions[i].object == object)
			return &bdrv.sessions[i];
	return NULL;
}

void bdrv_session_closure(uint64_t object)
{
	struct blockdrv_session *s = bdrv_session_of(object);

	if (s && !s->dead)
		session_end(s);
}

/* Nothing more is done for it, and it is told by a hang-up of its object. */
static void session_broken(struct blockdrv_session *s, const char *why)
{
	server_log("session %u on %s dropped: %s", (unsigned)(s - bdrv.sessions), s->disk->name, why);
	out_ready(s->object, X_READY_HUP, X_READY_HUP, 0);
	session_end(s);
}

void bdrv_session_hang_up(struct disk *d)
{
	for (uint32_t i = 0; i < bdrv.session_limit; i++) {
		struct blockdrv_session *s = &bdrv.sessions[i];

		if (s->object && !s->dead && s->disk == d)
			session_broken(s, "the disk is gone");
	}
}

bool bdrv_session_uses_partitions(const struct disk *d)
{
	for (uint32_t i = 0; i < bdrv.session_limit; i++) {
		const struct blockdrv_session *s = &bdrv.sessions[i];

		if (s->object && !s->dead && s->disk == d && s->partition)
			return true;
	}
	return false;
}

void bdrv_session_limits(struct blockdrv_session *s)
{
	const struct blockdrv_geometry *g = &s->disk->geometry;
	struct block_limits *limits = (void *)(s->ring_memory + BLOCK_LIMITS_OFFSET);
	uint32_t change = limits->change + 1;

	*limits = (struct block_limits){
		.size_bytes = s->size_bytes, .max_request_bytes = g->max_request_bytes,
		.max_discard_bytes = g->max_discard_bytes,
		.discard_granularity_bytes = g->discard_granularity_bytes,
		.max_write_zeroes_bytes = g->max_write_zeroes_bytes,
		.max_segments = g->max_segments < BLOCKDRV_SEGMENTS ? g->max_segments : BLOCKDRV_SEGMENTS,
		.max_segment_bytes = g->max_segment_bytes, .change = change,
	};
}

static void doorbell(void *ctx, uint64_t bits)
{
	struct blockdrv_session *s = ctx;

	(void)bits;
	s->waiting = true; /* consumed at the end of the batch */
}

int bdrv_session_doorbell(struct blockdrv_session *s, x_handle_t *for_client)
{
	int64_t event = x_event_create(), copy;
	int err;

	if (event < 0)
		return event;
	s->doorbell = event;
	err = server_bind(s->doorbell, doorbell, s);
	if (err)
		return err;
	copy = x_handle_dup(s->doorbell, X_R_WRITE | X_R_TRANSFER, X_SLOT_NATIVE, 0);
	if (copy < 0)
		return copy;
	*for_client = copy;
	return 0;
}

/* -------------------------------------------------------------------- requests */

static bool id_used(const struct blockdrv_session *s, uint32_t id)
{
	return s->in_use[id / 64] >> (id % 64) & 1;
}

/* One run of the pool, behind the segments there are; the new count or an error. */
static int add_run(struct blockdrv_session *s, struct blockdrv_request *r, int count, uint64_t at, uint64_t bytes)
{
	int more;

	if (at % 8 || !bytes || bytes % 512)
		return -X_EINVAL;
	if (count == (int)BLOCKDRV_SEGMENTS)
		return -X_E2BIG;
	more = dma_import_translate(&s->import, at, bytes, &r->segments[count], BLOCKDRV_SEGMENTS - count);
	if (more <= 0)
		return more ? more : -X_EINVAL;
	if (count && r->segments[count - 1].iova + r->segments[count - 1].bytes == r->segments[count].iova) {
		r->segments[count - 1].bytes += r->segments[count].bytes;
		memmove(&r->segments[count], &r->segments[count + 1], (more - 1) * sizeof(r->segments[0]));
		more--;
	}
	return count + more;
}

static int translate_vector(struct blockdrv_session *s, const struct block_ring_request *in,
			    struct blockdrv_request *r)
{
	const struct block_extent *vector = (const void *)(s->ring_memory + BLOCK_VECTORS_OFFSET);
	uint64_t sum = 0;
	int count = 0;

	if (in->extent_count > BLOCK_EXTENTS)
		return -X_EINVAL;
	for (uint32_t i = 0; i < in->extent_count; i++) {
		struct block_extent e;

		/* Copied before it is looked at: the client may write there. */
		memcpy(&e, (const void *)&vector[in->id * BLOCK_EXTENTS + i], sizeof(e));
		count = add_run(s, r, count, e.pool_offset, e.bytes);
		if (count < 0)
			return count;
		sum += e.bytes;
	}
	return sum == in->length_bytes ? count : -X_EINVAL;
}

/* Devices take what is aligned to words. */
static bool window_suits(const struct blockdrv_request *r, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (r->segments[i].iova % 4 || r->segments[i].bytes % 4)
			return false;
	return true;
}

int bdrv_session_use_window(const struct disk *d, x_handle_t port, const struct block_window *window, uint32_t bytes,
			    struct blockdrv_request *r)
{
	struct x_dma_window use = {
		.device = d->geometry.device, .port = port, .write = r->op == BLOCK_READ,
		.call = window->call, .window = window->window, .offset = window->offset,
		.len = bytes, .segments = (uintptr_t)r->segments, .segment_max = BLOCKDRV_SEGMENTS,
	};
	int64_t number = port == X_NO_HANDLE ? -X_E2BIG : x_dma_window(&use);
	int count = -X_E2BIG;

	if (number < 0)
		return -X_E2BIG;
	if (window_suits(r, use.segment_count))
		count = bdrv_request_fit_segments(d, r->segments, (int)use.segment_count);
	if (count <= 0) {
		x_dma_release(d->geometry.device, (uint32_t)number);
		return -X_E2BIG;
	}
	r->window = (int)number;
	r->segment_count = (uint32_t)count;
	return 0;
}

static int translate_window(struct blockdrv_session *s, const struct block_ring_request *in,
			    struct blockdrv_request *r)
{
	struct block_window window;

	memcpy(&window, s->ring_memory + BLOCK_VECTORS_OFFSET + in->id * BLOCK_EXTENTS * sizeof(window), sizeof(window));
	return bdrv_session_use_window(s->disk, s->client, &window, in->length_bytes, r);
}

static int translate_data(struct blockdrv_session *s, const struct block_ring_request *in, struct blockdrv_request *r)
{
	int count;

	if (in->length_bytes > s->disk->geometry.max_request_bytes)
		return -X_EINVAL;
	if (in->flags & BLOCK_WINDOW)
		return translate_window(s, in, r);
	count = in->extent_count ? translate_vector(s, in, r)
				 : add_run(s, r, 0, in->pool_offset, in->length_bytes);
	if (count > 0)
		count = bdrv_request_fit_segments(s->disk, r->segments, count);
	if (count <= 0)
		return -X_EINVAL;
	r->segment_count = count;
	return 0;
}

/* Done by the device, or by writing the same zeroes again and again. */
static int translate_zeroes(struct blockdrv_session *s, struct blockdrv_request *r)
{
	const struct blockdrv_geometry *g = &s->disk->geometry;
	const struct dma_buffer *zeroes;
	uint32_t left = r->length_bytes, count = 0, most = ZEROES_BYTES;

	if (!g->max_write_zeroes_bytes || r->length_bytes > g->max_write_zeroes_bytes)
		return -X_EINVAL;
	zeroes = bdrv_zeroes(s->disk);
	if (!zeroes)
		return 0; /* the device does it */
	if (g->max_segment_bytes && g->max_segment_bytes < most)
		most = g->max_segment_bytes;
	for (; left; count++) {
		uint32_t bytes = left < most ? left : most;

		if (count == g->max_segments || count == BLOCKDRV_SEGMENTS)
			return -X_EINVAL;
		r->segments[count] = (struct x_dma_segment){ zeroes->iova, bytes };
		left -= bytes;
	}
	r->segment_count = count;
	r->op = BLOCK_WRITE;
	return 0;
}

static int check_range(const struct blockdrv_session *s, const struct block_ring_request *in)
{
	uint32_t block = s->disk->geometry.logical_block_bytes;

	if (!in->length_bytes || in->length_bytes % block || in->offset_bytes % block)
		return -X_EINVAL;
	return in->length_bytes > s->size_bytes || in->offset_bytes > s->size_bytes - in->length_bytes ? -X_EINVAL : 0;
}

/* 0, or why it can't be done. Fills the device's view. */
static int translate(struct blockdrv_session *s, const struct block_ring_request *in, struct blockdrv_request *r)
{
	const struct blockdrv_geometry *g = &s->disk->geometry;
	int err;

	r->op = r->kind = in->op;
	r->length_bytes = in->length_bytes;
	r->offset_bytes = s->offset_bytes + in->offset_bytes;
	if (in->op < BLOCK_READ || in->op > BLOCK_WRITE_ZEROES)
		return -X_EOPNOTSUPP;
	if (in->op == BLOCK_FLUSH) {
		r->offset_bytes = 0;
		r->length_bytes = 0;
		return 0;
	}
	if (in->op != BLOCK_READ && g->read_only)
		return -X_EROFS;
	err = check_range(s, in);
	if (err)
		return err;
	r->wants_fua = in->flags & BLOCK_FUA && (in->op == BLOCK_WRITE || in->op == BLOCK_WRITE_ZEROES);
	switch (in->op) {
	case BLOCK_DISCARD:
		return !g->max_discard_bytes ? -X_EOPNOTSUPP : in->length_bytes > g->max_discard_bytes ? -X_EINVAL : 0;
	case BLOCK_WRITE_ZEROES:
		return translate_zeroes(s, r);
	}
	return translate_data(s, in, r);
}

static void push_completion(struct blockdrv_session *s, uint32_t id, int status)
{
	struct block_ring_completion c = { .generation = s->generation, .id = id, .status = status };

	/* At most BLOCK_RING_SLOTS are outstanding, so there is room unless the
	 * client does not release what it has seen. */
	server_spoil(&c, sizeof(c));
	if (ring_push(&s->completions, &c))
		session_broken(s, "completion ring is full or its index is wrong");
}

static void set_in_flight(struct blockdrv_session *s, uint32_t id)
{
	s->in_use[id / 64] |= 1ull << (id % 64);
	s->in_flight++;
}

static void calls_stop(struct blockdrv_session *s, const struct block_ring_request *in)
{
	s->calls_stopped = in->op == BLOCK_CALLS_STOP;
	if (!s->calls_stopped || !s->calls || s->stop_waits) {
		push_completion(s, in->id, s->stop_waits ? -X_EINVAL : 0);
		return;
	}
	s->stop_waits = true;
	s->stop_id = in->id;
	set_in_flight(s, in->id);
}

static void accept(struct blockdrv_session *s, const struct block_ring_request *in, struct blockdrv_request *r)
{
	struct disk *d = s->disk;
	int err;

	if (in->generation != s->generation || in->id >= BLOCK_RING_SLOTS || id_used(s, in->id)) {
		session_broken(s, "wrong generation or id");
		return;
	}
	if (in->op == BLOCK_CALLS_STOP || in->op == BLOCK_CALLS_GO) {
		calls_stop(s, in);
		return;
	}
	err = translate(s, in, r);
	if (err || (in->op == BLOCK_FLUSH && d->geometry.no_write_cache)) {
		*(err ? &d->stats.refused : &d->stats.ops[BLOCK_FLUSH]) += 1;
		push_completion(s, in->id, err);
		return;
	}
	r->session = s;
	r->id = in->id;
	bdrv_request_queue(d, r);
	set_in_flight(s, in->id);
}

/* Room in the completion ring for every request accepted: the peer's slots not
 * yet released count too, so that a client cannot make us overflow it. */
static bool may_accept(struct blockdrv_session *s)
{
	int space = ring_space(&s->completions);

	if (space < 0) {
		session_broken(s, "impossible completion index");
		return false;
	}
	return s->disk->pending.count < PENDING_MAX && (uint32_t)space > s->in_flight;
}

static bool session_consume(struct blockdrv_session *s)
{
	struct block_ring_request in;
	uint32_t taken = 0;
	int got = 1;

	while (taken < CONSUME_BATCH && !s->dead && may_accept(s)) {
		struct blockdrv_request *r = bdrv_request_get();

		if (!r)
			break;
		got = ring_pop(&s->requests, &in);
		if (got <= 0)
			break;
		accept(s, &in, r);
		taken++;
	}
	if (got < 0 && !s->dead)
		session_broken(s, "impossible request index");
	if (!got)
		s->waiting = false;
	if (s->object && !s->dead)
		ring_release(&s->requests); /* the client never waits for space: ids bound it */
	return taken > 0;
}

bool bdrv_session_consume_all(void)
{
	bool any = false;

	for (uint32_t i = 0; i < bdrv.session_limit; i++) {
		struct blockdrv_session *s = &bdrv.sessions[(turn + i) % bdrv.session_limit];

		if (s->object && !s->dead && s->waiting && bdrv_serving(s->disk))
			any |= session_consume(s);
	}
	turn++;
	return any;
}

static void complete(struct blockdrv_session *s, uint32_t id, int status)
{
	s->in_flight--;
	s->in_use[id / 64] &= ~(1ull << (id % 64));
	if (!s->dead)
		push_completion(s, id, status);
}

void bdrv_session_complete(struct blockdrv_session *s, struct blockdrv_request *r, int status)
{
	if (r->call) {
		bdrv_calls_end(s, r, status);
		s->in_flight--;
		if (!--s->calls && s->stop_waits) {
			s->stop_waits = false;
			complete(s, s->stop_id, 0);
		}
	} else {
		complete(s, r->id, status);
	}
	if (s->dead && !s->in_flight)
		bdrv_session_free(s);
}

bool bdrv_session_publish_all(void)
{
	bool told = false;

	for (uint32_t i = 0; i < bdrv.session_limit; i++) {
		struct blockdrv_session *s = &bdrv.sessions[i];

		if (s->object && !s->dead && ring_publish(&s->completions)) {
			out_signal(s->completion_event, BLOCK_EVENT_RING);
			told = true;
		}
	}
	return told;
}

/* A broken index is left to session_consume(). */
bool bdrv_session_look_all(void)
{
	bool more = false;

	for (uint32_t i = 0; i < bdrv.session_limit; i++) {
		struct blockdrv_session *s = &bdrv.sessions[i];

		if (s->object && !s->dead && !s->waiting && bdrv_serving(s->disk) && ring_available(&s->requests))
			more = s->waiting = true;
	}
	return more;
}

bool bdrv_session_arm_all(void)
{
	bool more = false;

	for (uint32_t i = 0; i < bdrv.session_limit; i++) {
		struct blockdrv_session *s = &bdrv.sessions[i];

		/* Those still waiting hold more than fits now: a completion, not a
		 * doorbell, gets them going again. */
		if (s->object && !s->dead && !s->waiting && bdrv_serving(s->disk) && ring_arm_consumer(&s->requests)) {
			s->waiting = true;
			more = true;
		}
	}
	return more;
}
