/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows: data of a socket that needs no call. A flow is a bounded list of extents
 * of a memory object of the server's. With its commits, and never otherwise, the
 * server appends; programs move bytes from the head (IN) or to it (OUT), in order.
 * What was moved is counted, and neither the death of the server nor that of the
 * program takes it back.
 *
 *   running    extents are appended and used up. None left: the program waits here
 *   last       the same, but: none left, and the program makes a call
 *   stopped    no extents; the program makes a call. So it begins
 *
 * The server is told (X_IN_FLOW) when enough has been moved since it was told
 * last, and when a stop is complete: after it nothing is moved any more.
 *
 * A pipe is a flow that two objects of a server share: what programs write to one
 * others read from the other, and the server has nothing to do with it until it is
 * stopped, by the server or by the closure of an end. What is in it is the server's then.
 *
 * The bytes are moved without the kernel lock. Meanwhile the flow is `busy`, and
 * others who want to move some the same way wait for that; appending does not.
 */
#include "call.h"

#define DATAGRAM_HEADER 4u /* OUT: u32 length, ahead of the data */

enum { READS, WRITES }; /* which way a program moves bytes: an index */

struct flow_extent { uint64_t offset; uint32_t bytes; };

struct flow {
	struct record *record;     /* that it is of; of a pipe: to read from, NULL when that is gone */
	struct record *writer;     /* of a pipe: the other end, in the same way */
	struct memory *memory;     /* referenced */
	struct item item;          /* X_IN_FLOW */
	struct waitq waiting[2];   /* programs, by what they want: for extents, or until it is not busy */
	uint64_t appended, taken;  /* extents, ever: those between are in the ring. Of a pipe: bytes */
	uint64_t bytes;            /* moved, ever */
	uint64_t told;             /* taken + bytes, when the server was told */
	uint64_t tell, timeout_ns;
	uint64_t offset;           /* of a pipe: where its bytes are in the memory, and how many fit */
	uint32_t size;
	uint32_t which, mode;      /* X_FLOW_IN, ...; X_FLOW_LAST, X_FLOW_STOP */
	uint32_t nowait;           /* status flags with which nobody waits */
	uint32_t used;             /* bytes of the head extent, of a stream */
	uint32_t busy;             /* bits: 1 << READS, 1 << WRITES */
	bool stop_untold;
	struct x_flow_address *from; /* by extent, of datagrams IN; else NULL */
	struct flow_extent ring[]; /* X_FLOW_EXTENTS; a pipe has none */
};

static bool is_out(const struct flow *f)
{
	return f->which & X_FLOW_OUT;
}

static bool is_pipe(const struct flow *f)
{
	return f->which == X_FLOW_PIPE;
}

static bool is_empty(const struct flow *f)
{
	return f->taken == f->appended;
}

/* That a program can move `bytes`, or some of them: less than X_PIPE_ATOMIC go into a pipe at once or wait. */
static bool is_ready(const struct flow *f, uint32_t way, uint64_t bytes)
{
	if (!is_pipe(f))
		return !is_empty(f);
	if (f->mode & X_FLOW_STOP)
		return false;
	return way == READS ? !is_empty(f) : f->size - (f->appended - f->taken) >= MIN(bytes, X_PIPE_ATOMIC);
}

uint32_t flows_ready(const struct record *r)
{
	const struct flow *in = r->flow[READS], *out = r->flow[WRITES];

	return (in && is_ready(in, READS, 1) ? X_READY_IN : 0) |
	       (out && is_ready(out, WRITES, X_PIPE_ATOMIC) ? X_READY_OUT : 0);
}

static void set_ready(struct record *r, uint32_t pulse)
{
	if (r)
		record_set_ready(r, 0, 0, pulse);
}

/* The one as whose the server is told, or NULL. */
static struct record *told_as(const struct flow *f)
{
	if (f->record && f->record->port)
		return f->record;
	return f->writer && f->writer->port ? f->writer : NULL;
}

void flows_forget(struct record *r)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct flow *f = r->flow[i];
		struct record *other = f ? f->record == r ? f->writer : f->record : NULL;

		if (f && (!other || !other->port))
			port_unqueue(r->port, &f->item);
	}
}

static void wake_for(struct flow *f, uint32_t way)
{
	if (!list_empty(&f->waiting[way].threads))
		waitq_wake_all(&f->waiting[way], 0);
}

static void wake(struct flow *f)
{
	wake_for(f, READS);
	wake_for(f, WRITES);
}

void flows_wake(struct record *r)
{
	for (uint32_t i = 0; i < 2; i++)
		if (r->flow[i])
			wake(r->flow[i]);
}

void flows_destroy(struct record *r)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct flow *f = r->flow[i];

		if (!f)
			continue;
		if (f->writer == r)
			f->writer = NULL;
		else
			f->record = NULL;
		if (f->record || f->writer)
			continue;
		object_unref(&f->memory->obj);
		kfree(f->from);
		kfree(f);
	}
}

/* ---- the server's side ---- */

#define LITTLE_BYTES 16384u

/* A little that a stream is to send waits for what comes with it: more of it, or its end. */
static void flow_tell(struct flow *f)
{
	struct record *r = told_as(f);
	uint64_t untold = f->taken + f->bytes - f->told;

	if (!r || !list_empty(&f->item.link) || (!f->stop_untold && (is_pipe(f) || untold < f->tell)))
		return;
	if (f->which == X_FLOW_OUT && untold < LITTLE_BYTES)
		port_queue_later(r->port, &f->item);
	else
		port_queue(r->port, &f->item);
}

static struct flow *flow_of(struct item *it)
{
	return container_of(it, struct flow, item);
}

void flow_settled(struct item *it)
{
	flow_tell(flow_of(it));
}

static void fill_state(const struct flow *f, struct x_flow_state *s)
{
	s->extents = f->taken;
	s->bytes = f->bytes;
	s->waiting = f->appended - f->taken;
	s->stopped = (f->mode & X_FLOW_STOP) && !f->busy;
}

void flow_deliver(struct item *it, struct x_in *in)
{
	struct flow *f = flow_of(it);
	struct x_flow_state s;

	f->stop_untold = false;
	f->told = f->taken + f->bytes;
	fill_state(f, &s);
	in->object = told_as(f)->id;
	in->msg.op = f->which;
	memcpy(in->msg.a, &s, sizeof(s));
}

static struct flow *make(struct record *r, uint32_t which)
{
	struct flow *f = kzalloc(sizeof(*f) + (which == X_FLOW_PIPE ? 0 : X_FLOW_EXTENTS * sizeof(f->ring[0])));

	if (f && which == (X_FLOW_IN | X_FLOW_DATAGRAM)) {
		f->from = kzalloc(X_FLOW_EXTENTS * sizeof(*f->from));
		if (!f->from) {
			kfree(f);
			return NULL;
		}
	}
	if (!f)
		return NULL;
	f->record = r;
	f->which = which;
	f->mode = X_FLOW_STOP;
	f->tell = UINT64_MAX;
	f->item.kind = X_IN_FLOW;
	list_init(&f->item.link);
	waitq_init(&f->waiting[READS]);
	waitq_init(&f->waiting[WRITES]);
	return f;
}

/* What it moves bytes of; m is referenced, and let go if there was an error. */
static int64_t give_memory(struct flow *f, struct memory *m, uint32_t nowait, int err)
{
	if (err) {
		object_unref(&m->obj);
		return err;
	}
	if (f->memory)
		object_unref(&f->memory->obj);
	f->memory = m;
	f->nowait = nowait;
	return 0;
}

int64_t sys_flow_set(uint32_t port, uint64_t id, uint32_t which, uint32_t memory, uint32_t nowait)
{
	int err;
	struct object *p = handle_get(port, X_TYPE_PORT, X_R_RECEIVE, &err), *o;
	struct record *r;
	struct memory *m;
	struct flow *f;

	if (!p)
		return err;
	r = record_find(container_of(p, struct port, obj), id);
	object_unref(p);
	o = handle_get(memory, X_TYPE_MEMORY, X_R_READ | X_R_WRITE, &err);
	if (!o)
		return err;
	m = container_of(o, struct memory, obj);
	f = r ? r->flow[which & X_FLOW_OUT] : NULL;
	err = !r ? -X_ENOENT : which > (X_FLOW_OUT | X_FLOW_DATAGRAM) || (m->flags & X_MEM_PAGED) ? -X_EINVAL : 0;
	if (!err && f) /* again, of an iteration that was undone: it has never been used */
		err = f->appended || f->busy || f->which != which ? -X_EEXIST : 0;
	else if (!err && !(f = r->flow[which & X_FLOW_OUT] = make(r, which)))
		err = -X_ENOMEM;
	return give_memory(f, m, nowait, err);
}

/* The pipe that both are ends of, made if neither has a flow. */
static int pipe_between(struct record *reader, struct record *writer, struct flow **out)
{
	struct flow *f;

	if (!reader || !writer)
		return -X_ENOENT;
	if (reader == writer || reader->flow[READS] != writer->flow[WRITES])
		return -X_EINVAL;
	f = reader->flow[READS];
	if (f) { /* again: it is stopped, or that was of an iteration that was undone */
		*out = f;
		return !is_pipe(f) ? -X_EINVAL : !(f->mode & X_FLOW_STOP) || f->busy ? -X_EEXIST : 0;
	}
	*out = f = make(reader, X_FLOW_PIPE);
	if (!f)
		return -X_ENOMEM;
	f->writer = writer;
	reader->flow[READS] = writer->flow[WRITES] = f;
	return 0;
}

int64_t sys_flow_pipe(uint32_t port, uint64_t user_pipe)
{
	int err;
	struct object *p, *o;
	struct x_flow_pipe args;
	struct memory *m;
	struct flow *f = NULL;

	if (copy_from_user(&args, user_pipe, sizeof(args)))
		return -X_EFAULT;
	o = handle_get(args.memory, X_TYPE_MEMORY, X_R_READ | X_R_WRITE, &err);
	if (!o)
		return err;
	m = container_of(o, struct memory, obj);
	p = handle_get(port, X_TYPE_PORT, X_R_RECEIVE, &err);
	if (p) {
		struct port *of = container_of(p, struct port, obj);
		uint64_t end = m->pages * PAGE_SIZE;

		err = !args.bytes || args.bytes > end || args.offset > end - args.bytes || (m->flags & X_MEM_PAGED) ? -X_EINVAL :
		      pipe_between(record_find(of, args.reader), record_find(of, args.writer), &f);
		object_unref(p);
	}
	if (!err) {
		f->offset = args.offset;
		f->size = args.bytes;
	}
	return give_memory(f, m, args.nowait, err);
}

int64_t sys_flow_state(uint32_t port, uint64_t id, uint32_t which, uint64_t user_state)
{
	int err;
	struct object *p = handle_get(port, X_TYPE_PORT, X_R_RECEIVE, &err);
	struct x_flow_state s;
	struct record *r;

	if (!p)
		return err;
	r = record_find(container_of(p, struct port, obj), id);
	object_unref(p);
	if (!r || !r->flow[which & X_FLOW_OUT])
		return -X_ENOENT;
	fill_state(r->flow[which & X_FLOW_OUT], &s);
	return copy_to_user(user_state, &s, sizeof(s));
}

static uint32_t extents_of(const struct flow *f, const struct x_out *o)
{
	return MIN(o->msg.op, is_pipe(f) ? 0u : f->from ? 1u : X_FLOW_OUT_EXTENTS);
}

static int check_extent(const struct flow *f, uint64_t offset, uint64_t bytes)
{
	bool datagram = f->which & X_FLOW_DATAGRAM;
	uint64_t end = f->memory->pages * PAGE_SIZE;

	if (offset > end || bytes > end - offset || bytes > UINT32_MAX || (!bytes && !datagram))
		return -X_EINVAL;
	return datagram && is_out(f) && (bytes < DATAGRAM_HEADER || offset % DATAGRAM_HEADER) ? -X_EINVAL : 0;
}

int flow_check(struct port *p, const struct x_out *o)
{
	struct record *r = record_find(p, o->id);
	struct flow *f = r ? r->flow[o->mask & X_FLOW_OUT] : NULL;

	if (!f) /* closed meanwhile, and acknowledged */
		return 0;
	if (o->msg.op != extents_of(f, o) || ((o->flags & X_FLOW_STOP) && o->msg.op))
		return -X_EINVAL;
	for (uint32_t i = 0; i < o->msg.op; i++)
		if (check_extent(f, o->msg.a[2 * i], o->msg.a[2 * i + 1]))
			return -X_EINVAL;
	return 0;
}

/* Nothing is moved any more: what is left in the ring, or the pipe, is the server's again. */
static void stop(struct flow *f)
{
	f->mode |= X_FLOW_STOP;
	if (!f->busy) {
		if (!is_pipe(f))
			f->appended = f->taken;
		f->used = 0;
		f->stop_untold = true;
		set_ready(f->record, 0);
		set_ready(f->writer, 0);
		flow_tell(f);
	}
}

void flows_closing(struct record *r)
{
	for (uint32_t i = 0; i < 2; i++) {
		struct flow *f = r->flow[i];

		if (f && is_pipe(f) && !(f->mode & X_FLOW_STOP)) {
			stop(f);
			wake(f);
		}
	}
}

/* Not if an end is gone by now: that it is stopped is told once more. */
static void start_pipe(struct flow *f)
{
	if (!(f->mode & X_FLOW_STOP) || f->busy)
		return;
	if (!f->record || f->record->closing || !f->writer || f->writer->closing) {
		f->appended = f->taken;
		stop(f);
		return;
	}
	f->mode = 0;
	f->appended = f->taken = 0;
	f->stop_untold = false;
	set_ready(f->record, 0);
	set_ready(f->writer, 0);
}

void flow_apply(struct port *p, const struct x_out *o)
{
	struct record *r = record_find(p, o->id);
	struct flow *f = r ? r->flow[o->mask & X_FLOW_OUT] : NULL;
	uint32_t count = f ? extents_of(f, o) : 0, pulse = 0;

	if (!f)
		return;
	f->tell = MAX(o->msg.a[6], 1ull);
	f->timeout_ns = o->value;
	if (o->flags & X_FLOW_STOP) {
		if (!(f->mode & X_FLOW_STOP))
			stop(f);
	} else if (is_pipe(f)) {
		start_pipe(f);
	} else {
		f->mode = o->flags & X_FLOW_LAST;
		if (count && (!is_out(f) || is_empty(f)))
			pulse = is_out(f) ? X_READY_OUT : X_READY_IN;
	}
	for (uint32_t i = 0; i < count && !(f->mode & X_FLOW_STOP); i++) {
		uint64_t offset = o->msg.a[2 * i], bytes = o->msg.a[2 * i + 1];

		if (f->appended - f->taken == X_FLOW_EXTENTS || check_extent(f, offset, bytes)) {
			stop(f); /* more than there is room for: the rest goes by calls */
			break;
		}
		if (f->from)
			memcpy(&f->from[f->appended % X_FLOW_EXTENTS], &o->msg.a[2], sizeof(*f->from));
		f->ring[f->appended++ % X_FLOW_EXTENTS] = (struct flow_extent){ offset, (uint32_t)bytes };
	}
	record_set_ready(r, 0, 0, pulse);
	wake(f);
	flow_tell(f);
}

/* ---- the programs' side ---- */

static int64_t move_stream(struct flow *f, uint64_t buf, uint64_t len)
{
	uint64_t done = 0;

	while (done < len && !is_empty(f) && !(f->mode & X_FLOW_STOP)) {
		struct flow_extent *e = &f->ring[f->taken % X_FLOW_EXTENTS];
		uint64_t part = MIN(len - done, e->bytes - f->used);
		int64_t n = stream_transfer(f->memory, buf + done, part, e->offset + f->used, is_out(f));

		if (n < 0)
			return done ? (int64_t)done : n;
		done += (uint64_t)n;
		f->bytes += (uint64_t)n;
		f->used += (uint32_t)n;
		if (f->used == e->bytes) {
			f->used = 0;
			f->taken++;
		}
		if ((uint64_t)n < part)
			break;
	}
	return (int64_t)done;
}

static int set_length(struct flow *f, uint64_t at, uint32_t length)
{
	paddr_t frame;
	int err = memory_page(f->memory, at / PAGE_SIZE, &frame);

	if (err)
		return err;
	*(uint32_t *)((char *)phys_to_virt(frame) + at % PAGE_SIZE) = length;
	frame_unref(frame);
	return 0;
}

/* One datagram; its length, of which the buffer has got what it has room for. */
static int64_t move_datagram(struct flow *f, uint64_t buf, uint64_t len, uint64_t from)
{
	struct flow_extent *e = &f->ring[f->taken % X_FLOW_EXTENTS];
	uint64_t ahead = is_out(f) ? DATAGRAM_HEADER : 0, part = MIN(len, e->bytes);
	int64_t n;

	if (is_out(f) && len > e->bytes - ahead)
		return -X_EWAIT;
	n = stream_transfer(f->memory, buf, part, e->offset + ahead, is_out(f));
	if (n == (int64_t)part && is_out(f) && set_length(f, e->offset, (uint32_t)len))
		n = -X_EFAULT;
	if (n == (int64_t)part && from && f->from &&
	    copy_to_user(from, &f->from[f->taken % X_FLOW_EXTENTS], sizeof(*f->from)))
		n = -X_EFAULT;
	if (n != (int64_t)part)
		return -X_EFAULT;
	f->taken++;
	f->bytes += is_out(f) ? (uint64_t)n : e->bytes;
	return is_out(f) ? n : e->bytes;
}

static int64_t move_piped(struct flow *f, uint32_t way, uint64_t buf, uint64_t len)
{
	uint64_t *at = way == WRITES ? &f->appended : &f->taken, done = 0;

	/* Who gets less than it wanted must have left the pipe full, or empty: it may wait for a change now. */
	while (done < len) {
		uint64_t held = f->appended - f->taken, from = *at % f->size;
		uint64_t part = MIN(MIN(len - done, way == WRITES ? f->size - held : held), f->size - from);
		int64_t n = part ? stream_transfer(f->memory, buf + done, part, f->offset + from, way == WRITES) : 0;

		if (n < 0)
			return done ? (int64_t)done : n;
		done += (uint64_t)n;
		*at += (uint64_t)n;
		if (!n || (uint64_t)n < part)
			break;
	}
	if (is_empty(f) && f->busy == 1u << READS) /* the next bytes go where caches are warm */
		f->taken = f->appended = 0;
	return (int64_t)done;
}

static bool may_move(const struct record *r, const struct flow *f, uint32_t way, uint64_t len)
{
	return !(f->mode & X_FLOW_STOP) && r->port && !(f->busy & 1u << way) && is_ready(f, way, len);
}

/* Until there is something to move, and nobody else does: 0. */
static int64_t await(struct record *r, struct flow *f, uint32_t op, uint64_t len)
{
	bool nowait = (op & (X_STREAM_NOWAIT | X_STREAM_GOES_ON)) || (r->status_flags & f->nowait);
	uint32_t way = op & X_STREAM_WRITE ? WRITES : READS;
	uint64_t deadline = 0;

	while (!may_move(r, f, way, len)) {
		bool busy = f->busy & 1u << way;
		int err;

		if ((f->mode & X_FLOW_STOP) || !r->port || (!busy && (f->mode & X_FLOW_LAST)))
			return op & X_STREAM_GOES_ON ? -X_EAGAIN : -X_EWAIT;
		if (!busy && nowait)
			return -X_EAGAIN;
		if (!deadline)
			deadline = f->timeout_ns ? arch_time_ns() + f->timeout_ns : X_FOREVER;
		err = thread_wait(&f->waiting[way], deadline, WAIT_INTERRUPTIBLE);
		if (err)
			return err == -X_ETIMEDOUT ? -X_EAGAIN : err;
	}
	return 0;
}

/* Those at the other end of a pipe can go on, maybe. */
static void tell_other_end(struct flow *f, uint32_t way)
{
	if (way == WRITES) {
		set_ready(f->record, X_READY_IN);
		wake_for(f, READS);
	} else if (is_ready(f, WRITES, X_PIPE_ATOMIC)) {
		if (f->writer && !(f->writer->ready & X_READY_OUT))
			set_ready(f->writer, 0);
		wake_for(f, WRITES);
	}
}

int64_t flow_move(struct record *r, uint32_t op, uint64_t buf, uint64_t len, uint64_t from)
{
	uint32_t way = op & X_STREAM_WRITE ? WRITES : READS;
	struct flow *f = r->flow[way];
	/* read(2) of no bytes takes no datagram, recv(2) does; each sends one. */
	bool empty = op & (X_STREAM_FLOW | X_STREAM_WRITE);
	struct handle held;
	int64_t n;

	if (!f || ((f->mode & X_FLOW_STOP) && !(op & X_STREAM_GOES_ON)) ||
	    (!len && !(empty && (f->which & X_FLOW_DATAGRAM))))
		return -X_EWAIT;
	held = handle_hold(&r->obj, 0); /* as calls do: its closure comes behind us */
	n = await(r, f, op, len);
	if (!n) {
		f->busy |= 1u << way;
		n = f->which & X_FLOW_DATAGRAM ? move_datagram(f, buf, len, from) :
		    is_pipe(f) ? move_piped(f, way, buf, MIN(len, X_STREAM_MAX)) : move_stream(f, buf, MIN(len, X_STREAM_MAX));
		f->busy &= ~(1u << way);
		if (f->mode & X_FLOW_STOP)
			stop(f);
		if (!is_ready(f, way, X_PIPE_ATOMIC))
			record_set_ready(r, 0, 0, 0);
		wake_for(f, way);
		if (is_pipe(f))
			tell_other_end(f, way);
		flow_tell(f);
	}
	handle_drop(held);
	return n;
}
