/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Opening a FIFO (fifo(7)): for reading it waits for a writer, for writing for
 * a reader; O_NONBLOCK doesn't wait, and for writing without a reader is
 * -X_ENXIO. For both it never waits.
 *
 * Who waits counts as open already: its object exists, its handle is kept here
 * until the other side comes, or until the caller goes.
 */

#include "servers/vfs/pipe.h"

enum { OPENINGS_MAX = 256 };

static struct opening {
	uint64_t call_id;       /* 0: free */
	struct pipe *pipe;
	x_handle_t handle;
	uint32_t reader_count, writer_count; /* goes on when one of these changes: */
	bool for_reader;        /* the readers' */
} openings[OPENINGS_MAX];

static struct opening *opening_new(void)
{
	for (struct opening *o = openings; o < openings + OPENINGS_MAX; o++)
		if (!o->call_id)
			return o;
	return NULL;
}

static void answer_handle(uint64_t call_id, x_handle_t handle)
{
	struct x_out *out = out_answer_entry(call_id);

	out->handles[0] = handle;
	out->handle_count = 1;
}

/* Somebody came: those that wait for such a one go on. */
static void wake(const struct pipe *p)
{
	for (struct opening *o = openings; o < openings + OPENINGS_MAX; o++) {
		if (!o->call_id || o->pipe != p)
			continue;
		if (o->for_reader ? o->reader_count == p->reader_count : o->writer_count == p->writer_count)
			continue;
		answer_handle(o->call_id, o->handle);
		o->call_id = 0;
	}
}

/* The object is made; its handle goes to the client, now or later. */
static void opened(struct request *r, struct pipe *p, uint32_t mode, x_handle_t handle, bool blocks)
{
	bool waits = blocks && (mode == PIPE_READS ? !p->writers : mode == PIPE_WRITES ? !p->readers : false);
	struct opening *o = waits ? opening_new() : NULL;

	if (waits && (!o || r->cancelled)) {
		out_close(handle);
		request_finish(r, o ? -X_EINTR : -X_EAGAIN);
		return;
	}
	p->reader_count += mode & PIPE_READS ? 1 : 0;
	p->writer_count += mode & PIPE_WRITES ? 1 : 0;
	wake(p);
	pipe_tell(p, false);
	if (!waits) {
		request_finish_handle(r, handle);
		return;
	}
	*o = (struct opening){
		.call_id = r->call_id, .pipe = p, .handle = handle, .reader_count = p->reader_count,
		.writer_count = p->writer_count, .for_reader = mode == PIPE_WRITES,
	};
	request_drop(r);
}

void fifo_open(struct request *r, struct place place, uint32_t flags)
{
	static const uint8_t modes[] = { PIPE_READS, PIPE_WRITES, PIPE_READS | PIPE_WRITES, 0 };
	uint32_t mode = modes[flags & F_O_ACCMODE];
	bool blocks = !(flags & F_O_NONBLOCK);
	struct pipe *p = pipe_at(place);
	bool fresh = !p;
	int64_t handle;

	if (!mode || (mode == PIPE_WRITES && !blocks && (!p || !p->readers))) {
		request_finish(r, mode ? -X_ENXIO : -X_EINVAL);
		return;
	}
	if (fresh) {
		p = pipe_new(r->account);
		if (!p || !hold_share(place)) {
			if (p)
				pipe_unused(p);
			request_finish(r, -X_ENFILE);
			return;
		}
		p->place = place;
	}
	handle = pipe_open_object(p, mode, file_status_flags(flags));
	if (handle < 0) {
		if (fresh) {
			hold_drop(place);
			pipe_unused(p);
		}
		request_finish(r, handle);
		return;
	}
	opened(r, p, mode, (x_handle_t)handle, blocks);
}

/* The closure of its object does the rest. */
bool fifo_cancel(uint64_t call_id)
{
	for (struct opening *o = openings; o < openings + OPENINGS_MAX; o++) {
		if (o->call_id != call_id)
			continue;
		out_status(call_id, -X_EINTR);
		out_close(o->handle);
		o->call_id = 0;
		return true;
	}
	return false;
}
