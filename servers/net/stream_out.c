/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A stream's bytes sent without a call: a connection lends free chunks of the pool to the kernel,
 * as extents of a flow (X_FLOW_OUT, include/xinim/abi.h). The program's send fills them, and
 * waits in the kernel when none is left. What is filled when we run next goes to lwIP where it
 * lies, by reference, and is acknowledged and given back as what was sent by calls (pieces, tcp_send.c).
 *
 *   none --new; or 128 KiB sent by plain calls--> SERVING --reason against it; STOP--> ENDING --stopped--> none
 *
 * A new connection lends one chunk, while half of them are free: what it has to say is mostly short. One
 * that has sent 128 KiB lends as many as its send limit lets it.
 *
 * Reasons: the connection is over, or shut; an error to be told; a call that a flow can't
 * do (MSG_MORE, several buffers); nothing sent for a second; memory is short. While it is
 * ENDING, and without one, the program makes calls. A call is looked at behind all that was
 * filled before it: stream_out_sync(). The FIN waits for what lwIP had no room for.
 *
 * `filled` is the kernel's count, which no death of ours takes back; `given` is, with what
 * was done with the bytes. Chunks are lent by a commit or not at all.
 */
#include "lib/c/string.h"
#include "lwip/priv/tcp_priv.h"
#include "servers/net/net.h"

#define BULK_BYTES    (128u * 1024)  /* sent: more will be */
#define LIMIT_MOST    (2u * 1024 * 1024) /* the send buffer that it grows to */
#define LIMIT_LEAST   (256u * 1024)  /* SO_SNDBUF: with less room than some chunks, by calls */
#define REFUSALS_MOST 4u             /* calls that it could not do: then this connection has none any more */
#define LENT_MOST     (X_FLOW_EXTENTS - 1u)
#define IDLE_NS       1000000000u
#define MUCH_UNDER_WAY CHUNK_LARGE   /* bytes given and not acknowledged */
#define REST_NS       20000000u

struct stream_out {
	struct chunk *first, *last;     /* lent; of the first, `used` bytes are given */
	uint32_t lent;                  /* chunks */
	uint64_t filled, given;         /* bytes: by programs; to lwIP */
	uint64_t filled_ns;             /* when some were filled last */
	uint64_t timeout_ns;            /* as the kernel was told */
	bool ending, stopped;
	uint64_t ended_in;              /* the iteration that told the kernel */
};

bool stream_out_serves(const struct sock *s) { return s->stream_out && !s->stream_out->ending; }

bool stream_out_waits(const struct sock *s) { return s->stream_out && s->stream_out->given != s->stream_out->filled; }

static bool is_idle(const struct stream_out *f)
{
	return f->first && f->given == f->filled && server_now_ns - f->filled_ns >= IDLE_NS;
}

bool stream_out_is_due(const struct sock *s)
{
	return stream_out_waits(s) || (stream_out_serves(s) && is_idle(s->stream_out));
}

/* ---- what was filled ---- */

/* What comes after shutdown() is nobody's. */
static void learn(struct sock *s, const struct x_flow_state *state)
{
	struct stream_out *f = s->stream_out;

	if (state->bytes > f->filled && !s->shut_write) { /* it may have been asked since this was told */
		f->filled = state->bytes;
		f->filled_ns = server_now_ns;
	}
	f->stopped |= f->ending && flow_has_stopped(state, f->ended_in);
}

static void drop_first(struct stream_out *f)
{
	struct chunk *c = f->first;

	f->first = c->next;
	if (!f->first)
		f->last = NULL;
	c->next = NULL;
	f->lent--;
	chunk_drop(c);
}

/* The rest, in a chunk that is not full yet, is worth no segment of its own while much is under way: the next send
 * fills the chunk, or an acknowledgement comes, or lwIP's timer. */
static bool rest_may_wait(const struct sock *s)
{
	const struct tcp_pcb *pcb = s->pcb.tcp;

	return !s->stream_out->ending && !s->shut_write && !tcp_nagle_disabled(pcb) &&
	       pcb->snd_lbb - pcb->lastack >= MUCH_UNDER_WAY && server_now_ns - s->stream_out->filled_ns < REST_NS;
}

static void give(struct sock *s, bool all)
{
	struct stream_out *f = s->stream_out;
	err_t err = s->connected && s->pcb.tcp ? ERR_OK : ERR_CONN;

	while (f->given != f->filled && f->first && err == ERR_OK) {
		struct chunk *c = f->first;
		uint64_t left = f->filled - f->given;
		uint32_t part = c->lent - c->used < left ? c->lent - c->used : (uint32_t)left;

		if (part < c->lent - c->used && !all && rest_may_wait(s))
			return;
		err = tcp_give(s, c, part, part < left);
		if (err != ERR_OK)
			break;
		s->more = false;
		f->given += part;
		if (c->used == c->lent)
			drop_first(f);
	}
	if (err != ERR_OK && err != ERR_MEM) /* lost, as what was in flight */
		f->given = f->filled;
}

void stream_out_sync(struct sock *s)
{
	struct x_flow_state state;

	if (x_flow_state(server_port, s->id, X_FLOW_OUT, &state))
		return;
	learn(s, &state);
	give(s, true);
	sock_mark(s, 0);
}

void stream_out_told(uint64_t object, const struct x_flow_state *state)
{
	struct sock *s = sock_find(object);

	if (!s || !s->stream_out)
		return;
	learn(s, state);
	sock_mark(s, 0);
}

/* ---- lending ---- */

static uint32_t room_of(const struct sock *s)
{
	const struct stream_out *f = s->stream_out;
	uint32_t held = s->sending_bytes + f->lent * CHUNK_LARGE;

	return s->send_limit > held ? s->send_limit - held : 0;
}

/* The program has filled all that was lent, and all of it is under way: so it waits for acknowledgements because
 * of our limit, and not of the peer's window or the network. Memory permitting it may have more under way. */
static void grow_limit(struct sock *s)
{
	if (!s->send_limit_set && !s->stream_out->first && !s->pcb.tcp->unsent && s->send_limit < LIMIT_MOST &&
	    s->send_limit < pool_share() && chunks_are_plenty(CHUNK_LARGE))
		s->send_limit *= 2;
}

/* As with calls: a sender goes on when a good part is free. False: there is nothing to lend. */
static bool lend(struct sock *s)
{
	struct stream_out *f = s->stream_out;
	struct x_out *o = NULL;
	uint32_t room, most = s->sent_bytes < BULK_BYTES ? 1 : LENT_MOST;

	if (f->timeout_ns != s->send_timeout_ns)
		o = out_flow(s->id, X_FLOW_OUT, 0, 1, s->send_timeout_ns);
	f->timeout_ns = s->send_timeout_ns;
	grow_limit(s);
	room = room_of(s);
	if (room < s->send_limit / 3)
		return true;
	for (; room >= CHUNK_LARGE && f->lent < most && chunks_are_plenty(CHUNK_LARGE); room -= CHUNK_LARGE) {
		struct chunk *c = chunk_get(CHUNK_LARGE);

		if (!c)
			break;
		c->lent = tcp_usable(s->pcb.tcp, c);
		if (f->last)
			f->last->next = c;
		else
			f->first = c;
		f->last = c;
		f->lent++;
		if (!o || o->msg.op == X_FLOW_OUT_EXTENTS)
			o = out_flow(s->id, X_FLOW_OUT, 0, 1, s->send_timeout_ns);
		o->msg.a[2 * o->msg.op] = (uint64_t)(c->data - pool.virt);
		o->msg.a[2 * o->msg.op++ + 1] = c->lent;
	}
	return f->lent;
}

/* ---- its states ---- */

static void end(struct sock *s)
{
	struct stream_out *f = s->stream_out;

	if (f->ending)
		return;
	f->ending = true;
	f->ended_in = server_epoch();
	s->plain_from = s->sent_bytes;
	out_flow(s->id, X_FLOW_OUT, X_FLOW_STOP, 1, 0);
}

void stream_out_call(struct sock *s)
{
	s->plain_from = s->sent_bytes;
	if (!stream_out_serves(s))
		return;
	s->stream_refusals++;
	end(s);
}

static bool may_serve(const struct sock *s)
{
	return s->connected && s->pcb.tcp && !s->orphan && !s->listener && !s->error && !s->shut_write &&
	       s->send_limit >= LIMIT_LEAST && !memory_is_short();
}

static void begin(struct sock *s)
{
	struct stream_out *f;
	struct x_flow_state state;
	bool worth = s->sent_bytes - s->plain_from >= BULK_BYTES ? chunks_are_plenty(CHUNK_LARGE) :
			!s->had_stream_out && chunks_abound();
	int64_t status;

	if (!worth || s->wait[WAIT_SEND] || s->stream_refusals >= REFUSALS_MOST || !may_serve(s))
		return;
	s->had_stream_out = true;
	f = heap_allocate_zeroed(1, sizeof(*f));
	if (!f)
		return;
	status = x_flow_set(server_port, s->id, X_FLOW_OUT, pool.memory, F_O_NONBLOCK);
	/* One that it had before goes on with its count. */
	if ((status && status != -X_EEXIST) || x_flow_state(server_port, s->id, X_FLOW_OUT, &state) || !state.stopped) {
		s->plain_from = s->sent_bytes;
		heap_free(f);
		return;
	}
	f->filled = f->given = state.bytes;
	f->filled_ns = server_now_ns;
	s->stream_out = f;
	lend(s);
}

void stream_out_drop(struct sock *s)
{
	struct stream_out *f = s->stream_out;

	if (!f)
		return;
	while (f->first)
		drop_first(f);
	heap_free(f);
	s->stream_out = NULL;
}

void stream_out_settle(struct sock *s)
{
	struct stream_out *f = s->stream_out;

	if (!f) {
		begin(s);
		return;
	}
	give(s, false);
	if (!may_serve(s) || is_idle(f) || (!f->ending && !lend(s)))
		end(s);
	if (f->stopped && f->given == f->filled)
		stream_out_drop(s);
}

void stream_out_closed(struct sock *s)
{
	if (!s->stream_out)
		return;
	stream_out_sync(s);
	s->stream_out->ending = s->stream_out->stopped = true;
}
