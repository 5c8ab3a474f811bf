/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes without calls: one that is used much, by one object to read and one to write, becomes
 * a flow of the kernel's (X_FLOW_PIPE in include/xinim/abi.h). The ring's buffer is its memory, so
 * neither beginning nor end moves a byte. It ends with the closure of an end, with another open,
 * and with calls that the kernel knows nothing of; what is in it then is in the ring.
 */

#include "servers/vfs/pipe.h"

enum { CALLS_BEFORE = 8 };      /* short pipelines end before it pays */

/* The kernel has it from this commit on; who waits is to ask there. */
static bool begin(struct pipe *p)
{
	struct x_flow_pipe args = {
		.reader = pipe_end(p, PIPE_READS), .writer = pipe_end(p, PIPE_WRITES), .bytes = p->ring.capacity,
		.nowait = F_O_NONBLOCK,
	};

	if (!args.reader || !args.writer || p->ring.count || p->writing.first || !queue_can_stream(&p->reading) ||
	    !ring_reserve(&p->ring))
		return false;
	args.memory = buffer_memory(p->ring.buffer);
	args.offset = buffer_offset(p->ring.buffer);
	if (sys_flow_pipe(&args))
		return false;
	p->flow = PIPE_FLOWS;
	p->flow_id = args.reader;
	p->flow_epoch = server_epoch();
	out_flow(p->flow_id, X_FLOW_PIPE, 0, UINT64_MAX, 0);
	pipe_tell(p, false);
	while (p->reading.first)
		parked_finish(queue_first(&p->reading), -X_EWAIT);
	return true;
}

static void end(struct pipe *p, const struct x_flow_state *state)
{
	struct parked *w;

	p->flow = PIPE_BY_CALL;
	p->calls = p->calls == PIPE_NO_FLOW ? PIPE_NO_FLOW : 0;
	ring_is(&p->ring, (uint32_t)state->extents, (uint32_t)state->waiting);
	while ((w = queue_first(&p->later)))
		parked_finish(w, pipe_later(p, w));
	pipe_pump(p);
	pipe_tell(p, p->ring.count != 0);
}

bool pipe_settle(struct pipe *p)
{
	struct x_flow_state state;

	if (p->flow == PIPE_BY_CALL)
		return true;
	/* Of one that begins with this commit the kernel knows nothing yet. */
	if (p->flow_epoch == server_epoch() || sys_flow_state(p->flow_id, &state) || !state.stopped)
		return false;
	end(p, &state);
	return true;
}

void pipe_flow(uint64_t object, const struct x_flow_state *state)
{
	struct pipe *p = pipe_of(object);

	if (p && p->flow != PIPE_BY_CALL && p->flow_epoch != server_epoch() && state->stopped)
		end(p, state);
}

bool pipe_leave(struct pipe *p)
{
	if (pipe_settle(p))
		return true;
	if (p->flow == PIPE_FLOWS)
		out_flow(p->flow_id, X_FLOW_PIPE, X_FLOW_STOP, UINT64_MAX, 0);
	p->flow = PIPE_STOPS;
	return false;
}

bool pipe_by_kernel(struct pipe *p, const struct x_in *in, uint32_t bytes)
{
	bool streams = in->msg.status & FILE_STREAMS, reads = in->msg.op == FILE_READ;

	if (p->flow == PIPE_BY_CALL) {
		if (!streams || p->calls == PIPE_NO_FLOW || ++p->calls < CALLS_BEFORE || !begin(p))
			return false;
		out_status(in->id, -X_EWAIT);
		return true;
	}
	if (pipe_settle(p))
		return false;
	if (p->flow == PIPE_FLOWS && streams) {
		out_status(in->id, -X_EWAIT);
		return true;
	}
	pipe_leave(p);
	if (pipe_never_waits(in) || !park(in, reads ? &p->reading : &p->writing, in->object, bytes, 0))
		out_status(in->id, -X_EAGAIN);
	return true;
}
