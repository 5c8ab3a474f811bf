/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions (proto/block.h): opened by a call, then spoken through two rings, until the client closes
 * the session object. A dead one keeps its memory until its last request has ended.
 *
 * Index stores are outbox entries, as are the events that tell of them: they take effect with the
 * iteration that made them. Everything in ring memory is the client's to change at any time; it
 * is copied before it is looked at.
 */
#include "servers/loop/loop.h"

#include "lib/c/stdio.h"

static struct session sessions[SESSIONS_MAX];
static uint64_t next_object;

/* ---- the end ---- */

static void unmap(uint8_t *memory, uint64_t bytes)
{
	if (memory)
		out_do(X_SYS_mem_unmap, X_SELF, (uint64_t)(uintptr_t)memory, bytes, 0, 0);
}

static void session_free(struct session *s)
{
	unmap(s->ring_memory, BLOCK_RING_BYTES);
	unmap(s->pool, s->pool_bytes);
	if (s->doorbell != X_NO_HANDLE)
		server_unbind(s->doorbell);
	out_close(s->doorbell);
	out_close(s->completion_event);
	s->object = 0;
}

static void session_end(struct session *s)
{
	struct disk *d = s->disk;

	s->dead = true;
	if (!s->in_flight)
		session_free(s);
	disk_settle(d);
}

void session_closed(uint64_t object)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i].object == object && !sessions[i].dead)
			session_end(&sessions[i]);
}

static void session_broken(struct session *s, const char *why)
{
	server_log("a session on loop%u is dropped: %s", disk_number(s->disk), why);
	out_ready(s->object, X_READY_HUP, X_READY_HUP, 0);
	session_end(s);
}

uint32_t session_count(const struct disk *d)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		count += sessions[i].object && !sessions[i].dead && sessions[i].disk == d;
	return count;
}

/* ---- the beginning ---- */

static void tell_limits(const struct session *s)
{
	struct block_limits *limits = (void *)(s->ring_memory + BLOCK_LIMITS_OFFSET);
	bool punches = s->disk->can_punch && !s->disk->read_only;
	uint32_t change = limits->change + 1;

	*limits = (struct block_limits){
		.size_bytes = s->disk->bytes, .max_request_bytes = REQUEST_BYTES_MAX,
		.max_discard_bytes = punches ? DISCARD_BYTES_MAX : 0, .discard_granularity_bytes = punches ? X_PAGE_SIZE : 0,
		.max_write_zeroes_bytes = punches ? DISCARD_BYTES_MAX : 0, .max_segments = BLOCK_EXTENTS, .change = change,
	};
}

void session_limits(const struct disk *d)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		if (!sessions[i].object || sessions[i].dead || sessions[i].disk != d)
			continue;
		tell_limits(&sessions[i]);
		out_signal(sessions[i].completion_event, BLOCK_EVENT_LIMITS);
	}
}

static void rung(void *ctx, uint64_t bits)
{
	struct session *s = ctx;

	(void)bits;
	s->waiting = true; /* consumed at the end of the batch */
}

static int map(x_handle_t memory, uint64_t bytes, uint8_t **out)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = memory, .len = bytes, .prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_WIRED,
	};
	int64_t addr = x_mem_map(&m);

	if (addr < 0)
		return (int)addr;
	*out = (uint8_t *)addr;
	return 0;
}

static int set_up(struct session *s, const struct x_in *in, x_handle_t *for_client)
{
	int64_t h;
	int err = map(in->handles[0], BLOCK_RING_BYTES, &s->ring_memory);

	if (!err)
		err = map(in->handles[1], s->pool_bytes, &s->pool);
	if (err)
		return err;
	ring_init(&s->requests, s->ring_memory + BLOCK_REQUESTS_OFFSET, BLOCK_RING_SLOTS, sizeof(struct block_ring_request));
	ring_init(&s->completions, s->ring_memory + BLOCK_COMPLETIONS_OFFSET, BLOCK_RING_SLOTS,
		  sizeof(struct block_ring_completion));
	tell_limits(s);
	h = x_event_create();
	if (h < 0)
		return (int)h;
	s->doorbell = (x_handle_t)h;
	err = server_bind(s->doorbell, rung, s);
	h = err ? err : x_handle_dup(s->doorbell, X_R_WRITE | X_R_TRANSFER, X_SLOT_NATIVE, 0);
	if (h < 0)
		return (int)h;
	*for_client = (x_handle_t)h;
	h = x_mint(server_port, s->object, 0, 0, 0);
	if (h < 0)
		out_close(*for_client);
	return (int)h;
}

static void answer(const struct x_in *in, const struct session *s, x_handle_t object, x_handle_t doorbell)
{
	const struct disk *d = s->disk;
	uint32_t block = d->block_bytes ? d->block_bytes : SECTOR;
	struct x_out *out = out_answer_entry(in->id);
	char name[16];

	memset(name, 0, sizeof(name));
	snprintf(name, sizeof(name), "loop%u", disk_number(d));
	out->msg.a[0] = d->bytes - d->bytes % block;
	out->msg.a[1] = block | (uint64_t)block << 32;
	out->msg.a[2] = REQUEST_BYTES_MAX | (uint64_t)(d->read_only ? BLOCK_INFO_READ_ONLY : 0) << 32;
	out->msg.a[3] = in->msg.a[2] ? in->msg.a[2] : 1; /* the file forgets nothing */
	memcpy(&out->msg.a[4], name, sizeof(name));
	out->handles[0] = object;
	out->handles[1] = doorbell;
	out->handle_count = 2;
}

static struct session *find_free(void)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (!sessions[i].object)
			return &sessions[i];
	return NULL;
}

void session_open(const struct x_in *in, struct disk *d)
{
	struct session *s = find_free();
	x_handle_t doorbell = X_NO_HANDLE;
	int object = !s ? -X_EBUSY : in->handle_count < 3 || !in->msg.a[1] ? -X_EINVAL : 0;
	bool made = object == 0;

	if (made) {
		*s = (struct session){
			.object = ++next_object, .disk = d, .waiting = true, .generation = (uint32_t)in->msg.a[0],
			.completion_event = in->handles[2], .doorbell = X_NO_HANDLE, .pool_bytes = in->msg.a[1],
		};
		object = set_up(s, in, &doorbell);
		if (object < 0)
			session_free(s);
	}
	/* The mappings are enough; data goes by way of calls, not of windows. */
	for (uint32_t i = 0; i < in->handle_count; i++)
		if (i != 2 || !made)
			out_close(in->handles[i]);
	if (object < 0)
		out_status(in->id, object);
	else
		answer(in, s, (x_handle_t)object, doorbell);
}

/* ---- requests ---- */

uint8_t *session_data(const struct session *s, uint64_t offset, uint64_t bytes)
{
	if (offset % 8 || !bytes || bytes % SECTOR || offset > s->pool_bytes || bytes > s->pool_bytes - offset)
		return NULL;
	return s->pool + offset;
}

void session_complete(struct session *s, uint32_t id, int status)
{
	struct block_ring_completion c = { .generation = s->generation, .id = id, .status = status };

	s->in_flight--;
	s->in_use[id / 64] &= ~(1ull << (id % 64));
	s->waiting = true;      /* it may have had to wait for room */
	server_spoil(&c, sizeof(c));
	if (!s->dead && ring_push(&s->completions, &c))
		session_broken(s, "its completion ring is full, or the index is wrong");
	else if (s->dead && !s->in_flight)
		session_free(s);
}

static void accept(struct session *s, const struct block_ring_request *in)
{
	if (in->generation != s->generation || in->id >= BLOCK_RING_SLOTS || (s->in_use[in->id / 64] >> (in->id % 64) & 1)) {
		session_broken(s, "wrong generation or id");
		return;
	}
	s->in_use[in->id / 64] |= 1ull << (in->id % 64);
	s->in_flight++;
	op_start(s, in);
}

static void consume(struct session *s)
{
	struct block_ring_request in;
	int got = 1;

	while (!s->dead && op_room()) {
		int space = ring_space(&s->completions);

		if (space < 0 || (uint32_t)space <= s->in_flight)
			break;
		got = ring_pop(&s->requests, &in);
		if (got <= 0)
			break;
		accept(s, &in);
	}
	if (got < 0 && !s->dead)
		session_broken(s, "an impossible request index");
	if (!got)
		s->waiting = false;
}

void session_consume_all(void)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i].object && !sessions[i].dead && sessions[i].waiting)
			consume(&sessions[i]);
}

/* Told of every request that comes after the last one taken, of those in the meantime at once. */
static void publish(struct session *s)
{
	uint32_t old = s->completions.published;

	if (ring_unpublished(&s->requests)) {
		out_store32(ring_index_word(&s->requests, false), ring_index_take(&s->requests));
		if (ring_arm_consumer(&s->requests))
			out_signal(s->doorbell, BLOCK_EVENT_RING);
	}
	if (!ring_unpublished(&s->completions))
		return;
	out_store32(ring_index_word(&s->completions, true), ring_index_take(&s->completions));
	out_signal_past(s->completion_event, BLOCK_EVENT_RING, ring_event_word(&s->completions, true), old,
			s->completions.published);
}

void session_publish_all(void)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i].object && !sessions[i].dead)
			publish(&sessions[i]);
}
