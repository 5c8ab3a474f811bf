/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions: BLOCK_OPEN, the rings, and the end of a client (closure of the
 * session object).
 *
 * A dead session keeps its pool until the device has given back what is in
 * flight: only then are its handles closed.
 */
#include "lib/blockdrv/internal.h"
#include "lib/c/string.h"

#define CONSUME_BATCH 32u /* of one session before the next has its turn */

static struct {
	struct x_in waiting[SESSIONS_MAX]; /* BLOCK_OPEN, BLOCK_LIST that came too early */
	uint32_t waiting_count;
	uint64_t next_object;
	uint32_t turn;
} opens;

static void session_free(struct blockdrv_session *s)
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
	dma_import_drop(&s->import);
	s->object = 0;
}

static void session_end(struct blockdrv_session *s)
{
	s->dead = true;
	if (!s->in_flight)
		session_free(s);
}

void bdrv_session_closure(uint64_t object)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (bdrv.sessions[i].object == object && !bdrv.sessions[i].dead)
			session_end(&bdrv.sessions[i]);
	out_closure_ack(object);
}

/* The client broke the protocol: nothing more is done for it, and it is told
 * by a hang-up of its object. */
static void session_broken(struct blockdrv_session *s, const char *why)
{
	server_log("session %u dropped: %s", (unsigned)(s - bdrv.sessions), why);
	out_ready(s->object, X_READY_HUP, X_READY_HUP, 0);
	session_end(s);
}

/* ------------------------------------------------------------------------ open */

/* "" or "0": the disk; "7", or "vda7" for disk vda: partition 7. */
static bool find_range(const char *name, struct blockdrv_session *s, char *full)
{
	size_t prefix = strlen(bdrv.name);
	uint32_t number = 0;

	if (!strncmp(name, bdrv.name, prefix))
		name += prefix;
	for (; *name >= '0' && *name <= '9' && number < 1000; name++)
		number = number * 10 + (*name - '0');
	if (*name)
		return false;
	strlcpy(full, bdrv.name, NAME_BYTES);
	if (!number) {
		s->offset_bytes = 0;
		s->size_bytes = bdrv.geometry.size_bytes;
		return true;
	}
	for (uint32_t i = 0; i < bdrv.scan.count; i++) {
		const struct partition *p = &bdrv.scan.partitions[i];
		char digits[4] = { '0' + number / 100 % 10, '0' + number / 10 % 10, '0' + number % 10, 0 };

		if (p->number != number)
			continue;
		s->offset_bytes = p->offset_bytes;
		s->size_bytes = p->size_bytes;
		strlcpy(full + prefix, digits + (number < 10 ? 2 : number < 100 ? 1 : 0), NAME_BYTES - prefix);
		return true;
	}
	return false;
}

static void session_doorbell(void *ctx, uint64_t bits)
{
	struct blockdrv_session *s = ctx;

	(void)bits;
	s->waiting = true; /* consumed at the end of the batch */
}

static int session_map(struct blockdrv_session *s, const struct x_in *in)
{
	struct x_mem_map map = {
		.space = X_SELF, .memory = in->handles[0], .len = BLOCK_RING_BYTES,
		.prot = X_PROT_READ | X_PROT_WRITE,
	};
	int64_t addr = x_mem_map(&map);

	if (addr < 0)
		return addr;
	s->ring_memory = (void *)addr;
	ring_init(&s->requests, s->ring_memory + BLOCK_REQUESTS_OFFSET, BLOCK_RING_SLOTS,
		  sizeof(struct block_ring_request));
	ring_init(&s->completions, s->ring_memory + BLOCK_COMPLETIONS_OFFSET, BLOCK_RING_SLOTS,
		  sizeof(struct block_ring_completion));
	return dma_import(bdrv.geometry.device, s->pool, in->msg.a[1], &s->import);
}

static int make_doorbell(struct blockdrv_session *s, x_handle_t *for_client)
{
	int64_t event = x_event_create(), copy;
	int err;

	if (event < 0)
		return event;
	s->doorbell = event;
	err = server_bind(s->doorbell, session_doorbell, s);
	if (err)
		return err;
	copy = x_handle_dup(s->doorbell, X_R_WRITE | X_R_TRANSFER, X_SLOT_NATIVE, 0);
	if (copy < 0)
		return copy;
	*for_client = copy;
	return 0;
}

static void answer_open(const struct x_in *in, x_handle_t object, x_handle_t doorbell,
			const struct blockdrv_session *s, const char *name)
{
	const struct blockdrv_geometry *g = &bdrv.geometry;
	struct x_out *out = out_answer_entry(in->id);

	out->msg.a[0] = s->size_bytes;
	out->msg.a[1] = g->logical_block_bytes | (uint64_t)g->physical_block_bytes << 32;
	out->msg.a[2] = g->max_request_bytes | (uint64_t)(g->read_only ? BLOCK_INFO_READ_ONLY : 0) << 32;
	out->msg.a[3] = g->cache_epoch;
	memcpy(&out->msg.a[4], name, NAME_BYTES);
	out->handles[0] = object;
	out->handles[1] = doorbell;
	out->handle_count = 2;
}

/* "" or "0", without or with the disk's name before it. */
static bool is_whole_disk(const char *name)
{
	size_t prefix = strlen(bdrv.name);

	if (!strncmp(name, bdrv.name, prefix))
		name += prefix;
	return !name[0] || !strcmp(name, "0");
}

/* The name in window 0, "" without one; 0 or negated error. */
static int64_t wanted_name(const struct x_in *in, char *name)
{
	int64_t len = 0;

	if (in->win_count && in->win[0].len)
		len = window_string(in->id, 0, in->win[0].len, name, NAME_BYTES);
	if (len < 0)
		return len;
	name[len] = 0;
	return 0;
}

/* All of a session, or an error and nothing but what session_free() undoes. */
static int session_make(struct blockdrv_session *s, const struct x_in *in, const char *wanted)
{
	char full[NAME_BYTES] = "";
	x_handle_t doorbell = X_NO_HANDLE;
	int64_t object;
	int err;

	if (!find_range(wanted, s, full))
		return -X_ENXIO;
	err = session_map(s, in);
	if (!err)
		err = make_doorbell(s, &doorbell);
	if (err)
		return err;
	object = x_mint(server_port, s->object, 0, 0, 0);
	if (object < 0) {
		out_close(doorbell);
		return object;
	}
	s->waiting = true;
	answer_open(in, object, doorbell, s, full);
	server_log("session on %s, pool of %llu KiB", full, (unsigned long long)(in->msg.a[1] >> 10));
	return 0;
}

static struct blockdrv_session *session_get(void)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (!bdrv.sessions[i].object)
			return &bdrv.sessions[i];
	return NULL;
}

static void refuse_open(const struct x_in *in, int err)
{
	for (uint32_t i = 0; i < in->handle_count; i++)
		out_close(in->handles[i]);
	out_status(in->id, err);
}

static void open_now(const struct x_in *in, const char *wanted)
{
	struct blockdrv_session *s = session_get();
	int err;

	if (in->handle_count != 3 || !in->msg.a[1]) {
		refuse_open(in, -X_EINVAL);
		return;
	}
	if (!s) {
		refuse_open(in, -X_EBUSY);
		return;
	}
	*s = (struct blockdrv_session){
		.object = ++opens.next_object, .generation = in->msg.a[0],
		.pool = in->handles[1], .completion_event = in->handles[2], .doorbell = X_NO_HANDLE,
	};
	err = session_make(s, in, wanted);
	out_close(in->handles[0]); /* the mapping is enough */
	if (err) {
		session_free(s);
		out_status(in->id, err);
	}
}

/* Answers the call, unless the partitions must be known first and aren't yet. */
static bool serve(const struct x_in *in)
{
	char wanted[NAME_BYTES];
	int64_t err;

	if (in->msg.op == BLOCK_LIST) {
		if (!bdrv.scanned)
			return false;
		for (uint32_t i = 0; i < in->handle_count; i++)
			out_close(in->handles[i]);
		bdrv_list_answer(in);
		return true;
	}
	err = wanted_name(in, wanted);
	if (!err && !bdrv.scanned && !is_whole_disk(wanted))
		return false;
	if (err)
		refuse_open(in, err);
	else
		open_now(in, wanted);
	return true;
}

void bdrv_session_call(const struct x_in *in)
{
	if (bdrv.state == DRIVER_SERVING && serve(in))
		return;
	if (opens.waiting_count == SESSIONS_MAX)
		refuse_open(in, -X_EBUSY);
	else
		opens.waiting[opens.waiting_count++] = *in;
}

void bdrv_session_retry(void)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < opens.waiting_count; i++)
		if (!serve(&opens.waiting[i]))
			opens.waiting[kept++] = opens.waiting[i];
	opens.waiting_count = kept;
}

void bdrv_session_cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < opens.waiting_count; i++) {
		if (opens.waiting[i].id != call_id)
			continue;
		refuse_open(&opens.waiting[i], -X_ECANCELED);
		opens.waiting[i] = opens.waiting[--opens.waiting_count];
		return;
	}
}

/* -------------------------------------------------------------------- requests */

static bool id_used(const struct blockdrv_session *s, uint32_t id)
{
	return s->in_use[id / 64] >> (id % 64) & 1;
}

/* 0, or why it can't be done. Fills the device's view. */
static int translate(struct blockdrv_session *s, const struct block_ring_request *in, struct blockdrv_request *r)
{
	uint32_t block = bdrv.geometry.logical_block_bytes;
	int count;

	r->op = in->op;
	r->length_bytes = in->length_bytes;
	if (in->op == BLOCK_FLUSH) {
		r->offset_bytes = 0;
		r->length_bytes = 0;
		return 0;
	}
	if (in->op != BLOCK_READ && in->op != BLOCK_WRITE)
		return -X_EOPNOTSUPP;
	if (in->op == BLOCK_WRITE && bdrv.geometry.read_only)
		return -X_EROFS;
	if (!in->length_bytes || in->length_bytes % block || in->offset_bytes % block || in->pool_offset % 8 ||
	    in->length_bytes > bdrv.geometry.max_request_bytes)
		return -X_EINVAL;
	if (in->length_bytes > s->size_bytes || in->offset_bytes > s->size_bytes - in->length_bytes)
		return -X_EINVAL;
	r->offset_bytes = s->offset_bytes + in->offset_bytes;
	count = dma_import_translate(&s->import, in->pool_offset, in->length_bytes, r->segments, BLOCKDRV_SEGMENTS);
	if (count > 0)
		count = bdrv_request_fit_segments(r->segments, count);
	if (count <= 0)
		return -X_EINVAL;
	r->segment_count = count;
	return 0;
}

static void push_completion(struct blockdrv_session *s, uint32_t id, int status)
{
	struct block_ring_completion c = { .generation = s->generation, .id = id, .status = status };

	/* At most BLOCK_RING_SLOTS are outstanding, so there is room unless the
	 * client does not release what it has seen. */
	if (ring_push(&s->completions, &c))
		session_broken(s, "completion ring is full or its index is wrong");
}

static void accept(struct blockdrv_session *s, const struct block_ring_request *in, struct blockdrv_request *r)
{
	int err;

	if (in->generation != s->generation || in->id >= BLOCK_RING_SLOTS || id_used(s, in->id)) {
		session_broken(s, "wrong generation or id");
		return;
	}
	err = translate(s, in, r);
	if (err || (in->op == BLOCK_FLUSH && bdrv.geometry.no_write_cache)) {
		*(err ? &bdrv.stats.refused : &bdrv.stats.flushes) += 1;
		push_completion(s, in->id, err);
		return;
	}
	r->session = s;
	r->id = in->id;
	s->in_use[in->id / 64] |= 1ull << (in->id % 64);
	s->in_flight++;
	bdrv_request_queue(r);
}

/* Room in the completion ring for every request accepted: the peer's slots not
 * yet released count too, so that a client cannot make us overflow it. */
static bool may_accept(struct blockdrv_session *s)
{
	int space = ring_space(&s->completions);

	if (space < 0)
		session_broken(s, "impossible completion index");
	return space > (int)s->in_flight;
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

	if (bdrv.state != DRIVER_SERVING)
		return false;
	for (uint32_t i = 0; i < SESSIONS_MAX && !bdrv_request_pending(); i++) {
		struct blockdrv_session *s = &bdrv.sessions[(opens.turn + i) % SESSIONS_MAX];

		if (s->object && !s->dead && s->waiting)
			any |= session_consume(s);
	}
	opens.turn++;
	return any;
}

void bdrv_session_complete(struct blockdrv_session *s, struct blockdrv_request *r, int status)
{
	s->in_flight--;
	s->in_use[r->id / 64] &= ~(1ull << (r->id % 64));
	if (!s->dead)
		push_completion(s, r->id, status);
	else if (!s->in_flight)
		session_free(s);
}

void bdrv_session_publish_all(void)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		struct blockdrv_session *s = &bdrv.sessions[i];

		if (s->object && !s->dead && ring_publish(&s->completions))
			out_signal(s->completion_event, BLOCK_EVENT_RING);
	}
}

bool bdrv_session_arm_all(void)
{
	bool more = false;

	if (bdrv.state != DRIVER_SERVING)
		return false;
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		struct blockdrv_session *s = &bdrv.sessions[i];

		/* Those still waiting hold more than fits now: a completion, not a
		 * doorbell, gets them going again. */
		if (s->object && !s->dead && !s->waiting && ring_arm_consumer(&s->requests)) {
			s->waiting = true;
			more = true;
		}
	}
	return more;
}
