/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams sent without a call (the kernel's flows, include/xinim/abi.h): a connected UDP
 * socket that sends much is given slots, small chunks of the pool. The kernel copies each
 * datagram into the next one, its length ahead of it; what is filled when we run next is
 * sent at once, and each slot replaced by a fresh one.
 *
 *   none --sends by call--> SERVING <--error, shutdown, MSG_MORE; passed--> CALLS
 *     ^                        |
 *     +--slots taken back-- ENDING: idle, or memory is short
 *
 * In CALLS and ENDING the kernel answers "make a call", and the slots are ours again once it
 * says that it has stopped. With no slot left it answers so, too. Who calls hears what the
 * socket has to say, behind all that was filled before: send_flow_sync().
 *
 * `filled` counts slots as the kernel told, `sent` those done with. Neither what was
 * filled nor the kernel's count is undone by a death of ours; `sent` is, with what it sent.
 */
#include "lib/c/string.h"
#include "servers/net/net.h"

#define SLOTS      48u
#define SENDS_FIRST 12u           /* by call, before a socket has a flow */
#define LENGTH_BYTES 4u
#define WHICH      (X_FLOW_OUT | X_FLOW_DATAGRAM)
#define SWEEP_NS   1000000000u   /* who has sent nothing since the last one gives its slots back */

enum serving { FLOW_SERVING, FLOW_CALLS, FLOW_ENDING };

struct send_flow {
	struct send_flow *next;
	struct sock *sock;
	enum serving state;
	uint64_t appended, filled, sent; /* slots; sent <= filled <= appended */
	uint64_t swept;                  /* filled at the last sweep */
	bool stopping;                   /* the kernel has not said yet that it has stopped */
	uint64_t stopped_in;             /* the iteration that told it to */
	struct chunk *slot[SLOTS];
};

static struct send_flow *flows;
static struct server_timer sweep_timer;

static struct chunk **slot_of(struct send_flow *f, uint64_t number) { return &f->slot[number % SLOTS]; }

bool send_flow_waits(const struct sock *s) { return s->send_flow && s->send_flow->sent != s->send_flow->filled; }

/* ---- slots ---- */

static void refill(struct send_flow *f)
{
	struct { uint64_t offset, bytes; } extents[SLOTS];
	uint32_t count = 0;

	while (f->appended - f->sent < SLOTS && chunks_are_plenty(CHUNK_SMALL)) {
		struct chunk *c = chunk_get_buffer(CHUNK_SMALL);

		if (!c)
			break;
		*slot_of(f, f->appended++) = c;
		extents[count].offset = (uint64_t)(c->data - pool.virt);
		extents[count++].bytes = c->size;
	}
	for (uint32_t i = 0; i < count; i += X_FLOW_OUT_EXTENTS) {
		struct x_out *o = out_flow(f->sock->id, WHICH, X_FLOW_LAST, 1, 0);

		o->msg.op = count - i < X_FLOW_OUT_EXTENTS ? count - i : X_FLOW_OUT_EXTENTS;
		memcpy(o->msg.a, extents + i, o->msg.op * sizeof(extents[0]));
	}
}

/* Stopped: what was not filled is ours again. */
static void learn(struct send_flow *f, const struct x_flow_state *state)
{
	if (state->extents > f->filled && state->extents <= f->appended)
		f->filled = state->extents;
	if (!f->stopping || !flow_has_stopped(state, f->stopped_in))
		return;
	f->stopping = false;
	while (f->appended != f->filled)
		chunk_drop(*slot_of(f, --f->appended));
}

static void ask(struct send_flow *f)
{
	struct x_flow_state state;

	if (!x_flow_state(server_port, f->sock->id, WHICH, &state))
		learn(f, &state);
}

/* ---- sending ---- */

static err_t send_first(struct sock *s, struct chunk *c, uint32_t bytes)
{
	struct pbuf *p = chunk_pbuf(c, c->data + LENGTH_BYTES, bytes);
	err_t err;

	if (!p)
		return ERR_MEM;
	err = udp_sendto(s->pcb.udp, p, &s->peer, s->peer_port);
	pbuf_free(p);
	return err;
}

/* An error is the next sender's to hear; this one has gone. */
static err_t send_slot(struct sock *s, struct burst *b, struct chunk *c)
{
	uint32_t bytes;
	err_t err;

	memcpy(&bytes, c->data, sizeof(bytes));
	if (bytes > c->size - LENGTH_BYTES)
		bytes = c->size - LENGTH_BYTES;
	if (burst_takes(b, bytes))
		return burst_send(b, c, c->data + LENGTH_BYTES, bytes);
	edge_note_headers(b);
	err = send_first(s, c, bytes);
	edge_note_headers(NULL);
	return err;
}

static void send_filled(struct send_flow *f)
{
	struct burst burst = { .to = NULL };

	while (f->sent != f->filled) {
		struct chunk *c = *slot_of(f, f->sent);
		err_t err = send_slot(f->sock, &burst, c);

		if (err == ERR_WOULDBLOCK) /* the driver's queue is full: senders_may_go() */
			return;
		if (err != ERR_OK && !f->sock->error)
			f->sock->error = (int)-errno_of(err);
		chunk_drop(c);
		f->sent++;
	}
}

/* ---- its states ---- */

static void unlink_flow(struct send_flow *f)
{
	struct send_flow **at = &flows;

	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	f->sock->send_flow = NULL;
	for (; f->sent != f->appended; f->sent++)
		chunk_drop(*slot_of(f, f->sent));
	heap_free(f);
	if (!flows)
		timer_clear(&sweep_timer);
}

static void set_state(struct send_flow *f, enum serving state)
{
	if (f->state == FLOW_SERVING && state != FLOW_SERVING) {
		out_flow(f->sock->id, WHICH, X_FLOW_STOP, 1, 0);
		f->stopping = true;
		f->stopped_in = server_epoch();
	}
	f->state = state;
}

static void end_later(struct send_flow *f)
{
	set_state(f, FLOW_ENDING);
	sock_mark(f->sock, 0);
}

static void sweep(void *ctx)
{
	(void)ctx;
	for (struct send_flow *f = flows; f; f = f->next) {
		if (f->swept == f->filled || pool_is_short())
			end_later(f);
		f->swept = f->filled;
	}
	timer_set(&sweep_timer, server_now_ns + SWEEP_NS);
}

/* One that it had before goes on with its count. */
static void open_flow(struct sock *s)
{
	struct send_flow *f = heap_allocate_zeroed(1, sizeof(*f));
	struct x_flow_state state;
	int64_t status = f ? x_flow_set(server_port, s->id, WHICH, pool.memory, 0) : -X_ENOMEM;

	if ((status && status != -X_EEXIST) || x_flow_state(server_port, s->id, WHICH, &state) || !state.stopped) {
		heap_free(f);
		return;
	}
	f->sock = s;
	f->appended = f->filled = f->sent = f->swept = state.extents;
	f->next = flows;
	flows = f;
	s->send_flow = f;
	if (!sweep_timer.deadline_ns) {
		sweep_timer.fn = sweep;
		timer_set(&sweep_timer, server_now_ns + SWEEP_NS);
	}
	refill(f);
}

void send_flow_note(struct sock *s)
{
	if (s->kind != SOCKET_UDP || s->send_flow || !s->connected || ++s->calls_sent < SENDS_FIRST)
		return;
	s->calls_sent = 0;
	if (chunks_are_plenty(CHUNK_SMALL))
		open_flow(s);
}

void send_flow_told(uint64_t object, const struct x_flow_state *state)
{
	struct sock *s = sock_find(object);

	if (!s || !s->send_flow)
		return;
	learn(s->send_flow, state);
	sock_mark(s, 0);
}

void send_flow_sync(struct sock *s)
{
	ask(s->send_flow);
	send_filled(s->send_flow);
}

void send_flow_settle(struct sock *s)
{
	struct send_flow *f = s->send_flow;
	bool calls = !s->connected || s->error || s->shut_write || s->gathered;

	send_filled(f);
	if (f->state == FLOW_ENDING) {
		if (!f->stopping && f->sent == f->filled)
			unlink_flow(f);
		return;
	}
	if (f->stopping) /* it begins anew when it has ended */
		return;
	set_state(f, calls ? FLOW_CALLS : FLOW_SERVING);
	if (!calls)
		refill(f);
}

/* There is another peer now: what could not be sent to the old one is lost. */
void send_flow_discard(struct sock *s)
{
	struct send_flow *f = s->send_flow;

	for (; f->sent != f->filled; f->sent++)
		chunk_drop(*slot_of(f, f->sent));
}

/* Nobody has a handle any more, so nobody is writing. What the driver has no room for is lost. */
void send_flow_drop(struct sock *s)
{
	send_flow_sync(s);
	unlink_flow(s->send_flow);
}
