/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a stream received, given out by the kernel: packets are appended to the flow (X_FLOW_IN) of
 * its object, which it has from the beginning, and the program's recv copies from the pool, or waits, without
 * a call. What came before a connection was accepted is published with it. Of the queue `received`
 *
 *   | published: in the flow, not known to be taken | not yet |
 *                                                   ^ flow_next, flow_offset
 *
 * What was taken is counted by the kernel (flow_sync). Until then its packets stay
 * in the queue, and their chunks; then the window opens. What lies outside of the
 * pool is given out by calls, as all is of a connection without a flow: the flow is
 * then `last`, and the program calls when it has taken the rest. So it does at the
 * stream's end. A call that a flow can't do (MSG_TRUNC) stops it; it begins anew after
 * FLOW_BEGINS, and twice as much each time.
 */
#include "lwip/priv/tcp_priv.h"
#include "servers/net/net.h"

#define FLOW_BEGINS (128u * 1024) /* received since one was stopped */

struct extent { uint64_t offset; uint32_t bytes; };

void received_drop(struct sock *s, uint32_t bytes)
{
	s->received_bytes -= bytes;
	while (bytes) {
		struct packet *d = s->received;
		uint32_t left = d->p->tot_len - d->offset, part = left < bytes ? left : bytes;

		d->offset += part;
		bytes -= part;
		if (part < left)
			break;
		s->received = d->next;
		if (!s->received)
			s->received_last = NULL;
		s->received_count--;
		s->held -= d->held;
		pbuf_free(d->p);
		heap_free(d);
	}
	if (!s->received)
		pack_let_go(s);
	if (s->flow_in && !s->flow_published) {
		s->flow_next = s->received;
		s->flow_offset = s->received ? s->received->offset : 0;
	}
}

bool flow_has_stopped(const struct x_flow_state *state, uint64_t stopped_in)
{
	return state->stopped && server_epoch() != stopped_in;
}

/* The kernel's count is kept when net dies: it may be ahead of what we know, never behind. */
void flow_sync(struct sock *s)
{
	struct x_flow_state state;
	uint32_t bytes;

	if (!s->flow_in || x_flow_state(server_port, s->id, X_FLOW_IN, &state))
		return;
	bytes = s->kind == SOCKET_TCP ? (uint32_t)(state.bytes - s->flow_moved) : 0;
	if (s->kind != SOCKET_TCP)
		datagrams_taken(s, state.extents);
	s->flow_taken = state.extents;
	if (bytes) {
		s->flow_moved = state.bytes;
		s->flow_published -= bytes;
		received_drop(s, bytes);
		tcp_open_window(s, bytes);
	}
	if (s->flow_stopping && flow_has_stopped(&state, s->flow_stopped_in)) {
		s->flow_in = s->flow_stopping = false;
		s->flow_published = 0;
	}
}

static void count_stop(struct sock *s)
{
	s->flow_stops += s->flow_stops < 16;
	s->flow_stop_bytes = s->got_bytes;
	s->calls_received = 0;
}

/* One that it had before goes on with its counts. */
bool flow_open(struct sock *s, uint32_t which)
{
	struct x_flow_state state;
	int64_t status = x_flow_set(server_port, s->id, which, pool.memory, F_O_NONBLOCK);

	if ((status && status != -X_EEXIST) || x_flow_state(server_port, s->id, which & X_FLOW_OUT, &state) || !state.stopped) {
		count_stop(s);
		return false;
	}
	s->flow_in = true;
	s->flow_mode = X_FLOW_STOP; /* until something is said of it */
	s->flow_next = s->received;
	s->flow_offset = s->received ? s->received->offset : 0;
	s->flow_appended = s->flow_taken = state.extents;
	s->flow_moved = state.bytes;
	return true;
}

/* What is told is as it was when the batch was received: settling asks anew. */
void flow_told(uint64_t object)
{
	struct sock *s = sock_find(object);

	if (s)
		sock_mark(s, 0);
}

void flow_stop(struct sock *s)
{
	if (s->flow_stopping)
		return;
	count_stop(s);
	s->flow_stopping = true;
	s->flow_stopped_in = server_epoch();
	out_flow(s->id, X_FLOW_IN, X_FLOW_STOP, 1, 0);
	sock_mark(s, 0);
}

bool flow_could(const struct waiter *w)
{
	return !(w->flags & ~(L_MSG_DONTWAIT | L_MSG_WAITALL | L_MSG_NOSIGNAL));
}

/* What is in the flow goes before what a call can have: -X_EWAIT, it is to be asked again; or
 * SOCK_WAIT, until it is stopped. A stream's call without room takes nothing. */
int64_t flow_goes_first(struct sock *s, const struct waiter *w)
{
	flow_sync(s);
	if (s->flow_stopping)
		return SOCK_WAIT;
	if (!s->flow_in || s->flow_appended == s->flow_taken || (w->flags & L_MSG_PEEK) ||
	    (s->kind == SOCKET_TCP && (!s->flow_published || !w->total)))
		return 0;
	if (!w->done && flow_could(w))
		return -X_EWAIT;
	flow_stop(s);
	return SOCK_WAIT;
}

bool flow_hides_received(const struct sock *s)
{
	return s->flow_in && !s->flow_stopping && !((s->flow_mode & X_FLOW_LAST) && s->flow_next);
}

static bool begin(struct sock *s)
{
	bool too_soon = s->flow_stops && s->got_bytes - s->flow_stop_bytes < (uint64_t)FLOW_BEGINS << s->flow_stops;

	return !too_soon && s->connected && !s->orphan && !s->listener && !s->peer_fin && pool.virt && flow_open(s, X_FLOW_IN);
}

/* What is next to be published, as far as it lies in one piece in the pool. */
static bool next_extent(const struct sock *s, struct extent *e)
{
	const struct pbuf *p = s->flow_next->p;
	uint32_t skip = s->flow_offset;

	for (; p && skip >= p->len; p = p->next)
		skip -= p->len;
	if (!p || !chunk_of(p->payload))
		return false;
	e->offset = (uint64_t)((uint8_t *)p->payload + skip - pool.virt);
	e->bytes = p->len - skip;
	return true;
}

static void advance(struct sock *s, uint32_t bytes)
{
	s->flow_offset += bytes;
	s->flow_published += bytes;
	if (s->flow_offset < s->flow_next->p->tot_len)
		return;
	s->flow_next = s->flow_next->next;
	s->flow_offset = 0;
}

/* As many as there is room for; true: the next is none that the flow can have. */
static bool gather(struct sock *s, struct extent *list, uint32_t *count)
{
	uint32_t room = X_FLOW_EXTENTS - (uint32_t)(s->flow_appended - s->flow_taken);
	struct extent e;

	for (*count = 0; s->flow_next;) {
		struct extent *last = &list[*count - 1];

		if (!next_extent(s, &e))
			return true;
		if (*count && last->offset + last->bytes == e.offset) {
			last->bytes += e.bytes;
		} else if (*count < room) {
			list[(*count)++] = e;
		} else {
			return false;
		}
		advance(s, e.bytes);
	}
	return false;
}

static uint32_t tell_when(const struct sock *s)
{
	uint32_t step = tcp_window_limit(s) / 4;

	/* What waits for room must not wait for more than is there. */
	if (s->flow_next && step > s->flow_published / 2)
		step = s->flow_published / 2;
	return step ? step : 1;
}

static void publish(struct sock *s)
{
	struct extent list[X_FLOW_EXTENTS];
	uint32_t count, mode, tell, done = 0;
	struct x_out *out = NULL;
	bool stuck = gather(s, list, &count);

	mode = stuck || s->peer_fin || s->error || s->shut_read || !s->pcb.tcp ? X_FLOW_LAST : 0;
	tell = tell_when(s);
	if (!count && mode == s->flow_mode && tell == s->flow_tell && s->flow_timeout_ns == s->receive_timeout_ns)
		return;
	do {
		out = out_flow(s->id, X_FLOW_IN, mode, tell, s->receive_timeout_ns);
		for (uint32_t i = 0; i < X_FLOW_OUT_EXTENTS && done < count; i++, done++) {
			out->msg.a[2 * i] = list[done].offset;
			out->msg.a[2 * i + 1] = list[done].bytes;
			out->msg.op = i + 1;
		}
	} while (done < count);
	s->flow_appended += count;
	s->flow_mode = mode;
	s->flow_tell = tell;
	s->flow_timeout_ns = s->receive_timeout_ns;
}

void flow_publish(struct sock *s)
{
	if ((s->flow_in && !s->flow_stopping) || begin(s))
		publish(s);
}

/* Chunks of what programs have taken since are free again: of connections that fell silent, too. */
void flows_sync(void)
{
	for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
		struct sock *s = pcb->callback_arg;

		if (s && ((s->flow_in && s->flow_published) || (stream_out_serves(s) && memory_is_short())))
			sock_mark(s, 0);
	}
	datagram_flows_sync();
}
