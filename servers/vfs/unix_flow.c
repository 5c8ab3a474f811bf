/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Streams without calls: what one socket is sent much of by its peer's write(2), and reads, becomes a
 * flow of the kernel's, as pipes do (pipe_flow.c): the memory is the ring's, so neither beginning nor
 * end moves a byte. Each direction by itself, and named after the socket that reads.
 *
 * It ends with all that the kernel knows nothing of: descriptors and options of a message, peeking,
 * shutdown, time-outs, the closure of an end. Calls that come until it has ended wait, even of those
 * who never wait; what is in it then is in the ring, as one record.
 */

#include "servers/vfs/unix.h"

enum { CALLS_BEFORE = 8, CALLS_NEVER = UINT8_MAX };

static bool fit(const struct unix_socket *s, const struct unix_socket *from)
{
	return s->type == TYPE_STREAM && from && s->has_object && from->has_object && !s->error && !s->shut_read &&
	       !from->shut_write && !s->pass_creds && !s->receive_timeout_ns && !from->send_timeout_ns;
}

/* The kernel has it from this commit on; who waits is to ask there. */
static bool begin(struct unix_socket *s)
{
	struct unix_socket *from = unix_peer(s);
	struct x_flow_pipe args = { .reader = s->id, .bytes = s->ring.capacity, .nowait = F_O_NONBLOCK };

	if (!fit(s, from) || s->records || s->ring.count || s->sending.first || !queue_can_stream(&s->receiving) ||
	    !ring_reserve(&s->ring))
		return false;
	args.writer = from->id;
	args.memory = buffer_memory(s->ring.buffer);
	args.offset = buffer_offset(s->ring.buffer);
	if (sys_flow_pipe(&args) || !unix_record_reserve())
		return false; /* a flow that is not started is none */
	s->flow = UNIX_FLOWS;
	s->flow_epoch = server_epoch();
	s->flow_creds = from->creds;
	out_flow(s->id, X_FLOW_PIPE, 0, UINT64_MAX, 0);
	unix_tell(s, 0);
	unix_tell(from, 0);
	while (s->receiving.first)
		parked_finish(queue_first(&s->receiving), -X_EWAIT);
	return true;
}

static void refuse_hurried(struct queue *q)
{
	struct parked *w = queue_first(q), *next;

	for (; w; w = next) {
		next = queue_next(w);
		if (!w->hurried)
			continue;
		rights_drop(w->rights);
		parked_finish(w, w->done ? (int64_t)w->done : -X_EAGAIN);
	}
}

static void end(struct unix_socket *s, const struct x_flow_state *state)
{
	struct unix_record *r;

	s->flow = UNIX_BY_CALL;
	s->calls = s->calls == CALLS_NEVER ? CALLS_NEVER : 0;
	unix_record_unreserve();
	ring_is(&s->ring, (uint32_t)state->extents, (uint32_t)state->waiting);
	if (s->ring.count) {
		r = unix_record_new(s);
		r->bytes = s->ring.count;
		r->creds = s->flow_creds;
	}
	unix_pump(s, s->records != 0);
	refuse_hurried(&s->receiving);
	refuse_hurried(&s->sending);
}

/* What the kernel says of it; false: it goes on. */
static bool stopped(const struct unix_socket *s, struct x_flow_state *state)
{
	/* Of one that begins with this commit the kernel knows nothing yet. */
	return s->flow_epoch != server_epoch() && !sys_flow_state(s->id, state) && state->stopped;
}

static bool settle(struct unix_socket *s)
{
	struct x_flow_state state;

	if (s->flow != UNIX_BY_CALL && stopped(s, &state))
		end(s, &state);
	return s->flow == UNIX_BY_CALL;
}

void unix_flow(uint64_t object)
{
	struct unix_socket *s = unix_find(object);

	if (s)
		settle(s);
}

bool unix_leave(struct unix_socket *s)
{
	if (settle(s))
		return true;
	if (s->flow == UNIX_FLOWS)
		out_flow(s->id, X_FLOW_PIPE, X_FLOW_STOP, UINT64_MAX, 0);
	s->flow = UNIX_STOPS;
	return false;
}

void unix_never_flows(struct unix_socket *s)
{
	s->calls = CALLS_NEVER;
	unix_leave(s);
}

bool unix_by_kernel(struct unix_socket *s, const struct x_in *in)
{
	bool streams = in->msg.status & FILE_STREAMS;

	if (s->type != TYPE_STREAM)
		return false;
	if (s->flow == UNIX_BY_CALL) {
		if (!streams || s->calls == CALLS_NEVER || ++s->calls < CALLS_BEFORE || !begin(s))
			return false;
	} else if (settle(s)) {
		return false;
	} else if (s->flow != UNIX_FLOWS || !streams) {
		return false;
	}
	out_status(in->id, -X_EWAIT);
	return true;
}

uint32_t unix_waiting(const struct unix_socket *s)
{
	struct x_flow_state state = { 0 };

	if (s->flow != UNIX_BY_CALL && s->flow_epoch != server_epoch())
		sys_flow_state(s->id, &state);
	return s->ring.count + (uint32_t)state.waiting;
}

/* The peer may still be writing to the memory: then that stays until the peer goes, too. */
void unix_flow_closed(struct unix_socket *s)
{
	struct unix_socket *peer = unix_peer(s);
	struct x_flow_state state;

	if (s->flow == UNIX_BY_CALL)
		return;
	unix_record_unreserve();
	if (peer && !stopped(s, &state)) {
		peer->lent = s->ring.buffer;
		s->ring.buffer = 0;
	}
	s->flow = UNIX_BY_CALL;
}
