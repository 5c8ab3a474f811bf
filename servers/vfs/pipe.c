/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes and FIFOs: a ring (ring.c), the objects that are open on it, and calls
 * that are parked until there is data or room (park.c). fifo.c opens FIFOs.
 *
 * An object stands for one open(2) however often it is duplicated; it counts
 * as a reader, a writer or both until its one closure. No reader left: writes
 * end with -X_EPIPE (what was written before counts). No writer left: reads get
 * what is left, then 0.
 *
 * Parked calls are served in order of arrival, per side. A write of up to
 * PIPE_ATOMIC bytes goes in whole or waits; a longer one goes in as room
 * comes, and a parked one keeps later ones behind it. Where a reader and a
 * writer are there at once, the kernel copies from one to the other: the ring
 * is only for what nobody waits for.
 *
 * All of that is for pipes that are used little, or oddly: pipe_flow.c has the others.
 */

#include "lib/c/slots.h"
#include "servers/vfs/pipe.h"

enum {
	PIPES_PER_ACCOUNT = 512,
	IOCTL_FIONREAD = 0x541b,
	PIPE_DEV = 12,
	PIPEFS_MAGIC = 0x50495045,
};
_Static_assert((PIPE_OPENS_MAX & (PIPE_OPENS_MAX - 1)) == 0, "ids are split by a mask");

static struct pipe pipes[PIPES_MAX];
static uint32_t pipes_end; /* all from here up are free */
static struct pipe_open opens[PIPE_OPENS_MAX];
static uint16_t free_open, never_used_open; /* index + 1; count */
static uint64_t next_serial = 1;

#define for_each_pipe(p) for (struct pipe *p = pipes; p < pipes + pipes_end; p++)

static void pipe_free(struct pipe *p)
{
	p->used = false;
	SLOTS_TRIM(pipes, pipes_end, used);
}

/* ---- open objects ---- */

static struct pipe_open *find(uint64_t id)
{
	struct pipe_open *o = &opens[id % PIPE_OPENS_MAX];

	return o->id == id ? o : NULL;
}

struct pipe *pipe_of(uint64_t object)
{
	struct pipe_open *o = find(object);

	return o ? o->pipe : NULL;
}

uint64_t pipe_end(const struct pipe *p, uint32_t mode)
{
	const struct pipe_open *a = &opens[p->opens - 1], *b = a->next ? &opens[a->next - 1] : NULL;

	if (!b || b->next || (a->mode | b->mode) != (PIPE_READS | PIPE_WRITES) || (a->mode & b->mode))
		return 0;
	return a->mode == mode ? a->id : b->id;
}

static uint32_t side(const struct pipe_open *o, uint32_t mode)
{
	return o->mode & mode ? 1 : 0;
}

static struct pipe_open *open_new(struct pipe *p, uint32_t mode)
{
	uint16_t self = free_open;
	struct pipe_open *o;

	if (self)
		free_open = opens[self - 1].next;
	else if (never_used_open < PIPE_OPENS_MAX)
		self = ++never_used_open;
	else
		return NULL;
	o = &opens[self - 1];
	*o = (struct pipe_open){
		.id = object_id(KIND_PIPE, next_serial++ * PIPE_OPENS_MAX + self - 1u),
		.pipe = p, .mode = (uint8_t)mode, .next = p->opens,
	};
	p->opens = self;
	p->readers += side(o, PIPE_READS);
	p->writers += side(o, PIPE_WRITES);
	return o;
}

/* The pipe goes with the last. */
static void open_free(struct pipe_open *o)
{
	struct pipe *p = o->pipe;
	uint16_t self = (uint16_t)(o - opens + 1), *link = &p->opens;

	while (*link != self)
		link = &opens[*link - 1].next;
	*link = o->next;
	p->readers -= side(o, PIPE_READS);
	p->writers -= side(o, PIPE_WRITES);
	*o = (struct pipe_open){ .next = free_open };
	free_open = self;
	if (p->opens)
		return;
	ring_free(&p->ring);
	if (p->place.inode)
		hold_drop(p->place);
	pipe_free(p);
}

/* ---- readiness ---- */

/* A reader that never met a writer is not told that there is none. */
static uint32_t levels(const struct pipe_open *o)
{
	const struct pipe *p = o->pipe;
	bool ours = p->flow == PIPE_BY_CALL; /* else the kernel knows what can be read and written */
	uint32_t now = 0;

	if (o->mode & PIPE_READS)
		now |= (ours && p->ring.count ? X_READY_IN : 0) | (!p->writers && o->met_writer ? X_READY_HUP : 0);
	if (o->mode & PIPE_WRITES)
		now |= (ours && ring_room(&p->ring) >= PIPE_ATOMIC ? X_READY_OUT : 0) | (p->readers ? 0 : X_READY_ERR);
	return now;
}

/* wrote: bytes came into the ring, for edge-triggered waiters. */
void pipe_tell(struct pipe *p, bool wrote)
{
	uint32_t now, pulse;

	for (uint16_t at = p->opens; at; at = opens[at - 1].next) {
		struct pipe_open *o = &opens[at - 1];

		o->met_writer |= p->writers != 0;
		now = levels(o);
		pulse = wrote && o->mode & PIPE_READS && now & o->ready & X_READY_IN ? X_READY_IN : 0;
		if (now == o->ready && !pulse)
			continue;
		out_ready(o->id, X_READY_IN | X_READY_OUT | X_READY_HUP | X_READY_ERR, now, pulse);
		o->ready = now;
	}
}

/* ---- going on ---- */

static bool fits(const struct pipe *p, uint32_t bytes, uint32_t done)
{
	uint32_t room = ring_room(&p->ring);

	return room && (bytes > PIPE_ATOMIC || done || bytes <= room);
}

/* For a reader: from the ring, then straight from writers that wait. */
static int64_t feed(struct pipe *p, uint64_t call_id, uint32_t bytes)
{
	int64_t done = ring_take(&p->ring, call_id, 0, 0, bytes), moved;
	struct parked *w;

	while (done >= 0 && done < bytes && !p->ring.count && (w = queue_first(&p->writing))) {
		moved = sys_window_move(w->call_id, w->done, call_id, (uint64_t)done,
					w->bytes - w->done < bytes - done ? w->bytes - w->done : bytes - (uint32_t)done);
		if (moved <= 0)
			break;
		done += moved;
		w->done += (uint32_t)moved;
		if (w->done == w->bytes)
			parked_finish(w, w->done);
	}
	return done;
}

/* Parked writers go on as far as there is room. True: bytes came in. */
static bool pump_writers(struct pipe *p)
{
	bool wrote = false;
	struct parked *w;
	int64_t n;

	while ((w = queue_first(&p->writing))) {
		if (!p->readers) {
			parked_finish(w, w->done ? (int64_t)w->done : -X_EPIPE);
			continue;
		}
		if (!fits(p, w->bytes, w->done))
			break;
		n = ring_put(&p->ring, w->call_id, 0, w->done, w->bytes - w->done);
		wrote |= n > 0;
		w->done += n > 0 ? (uint32_t)n : 0;
		if (n < 0 || w->done == w->bytes)
			parked_finish(w, w->done ? (int64_t)w->done : n);
		else
			break;
	}
	return wrote;
}

static void pump_readers(struct pipe *p)
{
	struct parked *w;

	while ((w = queue_first(&p->reading)) && (p->ring.count || !p->writers))
		parked_finish(w, p->ring.count ? feed(p, w->call_id, w->bytes) : 0);
}

void pipe_pump(struct pipe *p)
{
	bool wrote;

	if (p->flow != PIPE_BY_CALL)
		return;
	wrote = pump_writers(p);
	pump_readers(p);
	wrote |= pump_writers(p);
	pipe_tell(p, wrote);
}

/* ---- read, write ---- */

bool pipe_never_waits(const struct x_in *in)
{
	return in->status_flags & F_O_NONBLOCK || in->msg.status & FILE_NOWAIT;
}

static int64_t peek(const struct pipe *p, uint64_t call_id, uint32_t bytes)
{
	uint32_t count = p->ring.count;

	if (!bytes || (!count && !p->writers))
		return 0;
	return count ? ring_peek(&p->ring, 0, call_id, 0, 0, bytes < count ? bytes : count) : -X_EAGAIN;
}

/* Now, or when the flow has stopped. */
static void now_or_later(struct pipe *p, const struct x_in *in, uint32_t bytes)
{
	struct parked now = { .call_id = in->id, .op = in->msg.op, .flags = (uint32_t)in->msg.a[0], .bytes = bytes };

	if (pipe_leave(p))
		out_status(in->id, pipe_later(p, &now));
	else if (!park(in, &p->later, in->object, bytes, 0))
		out_status(in->id, -X_EAGAIN);
}

static void peek_pipe(struct pipe *p, const struct x_in *in, uint32_t bytes)
{
	p->calls = PIPE_NO_FLOW; /* whoever peeks will again */
	now_or_later(p, in, bytes);
}

static void read_ring(struct pipe *p, const struct x_in *in, uint32_t bytes)
{
	if (!p->ring.count && !p->writers) {
		out_status(in->id, 0);
	} else if (p->ring.count && !p->reading.first) {
		if (p->writing.first)
			out_status(in->id, feed(p, in->id, bytes));
		else
			ring_answer(&p->ring, in->id, bytes);
		pipe_tell(p, p->writing.first ? pump_writers(p) : false);
	} else if (pipe_never_waits(in) || !park(in, &p->reading, in->object, bytes, 0)) {
		out_status(in->id, -X_EAGAIN);
	}
}

static void read_pipe(struct pipe *p, const struct x_in *in)
{
	uint32_t bytes = in_window(in, 0, X_WIN_WRITE);

	if (in->msg.status & FILE_PEEK)
		peek_pipe(p, in, bytes);
	else if (!bytes)
		out_status(in->id, 0);
	else if (!pipe_by_kernel(p, in, bytes))
		read_ring(p, in, bytes);
}

/* To readers that wait, which is when the ring is empty. */
static int64_t hand_over(struct pipe *p, const struct x_in *in, uint32_t bytes)
{
	struct parked *r;
	int64_t done = 0, moved;

	while (done < bytes && (r = queue_first(&p->reading))) {
		moved = sys_window_move(in->id, (uint64_t)done, r->call_id, 0,
					r->bytes < bytes - done ? r->bytes : bytes - (uint32_t)done);
		if (moved <= 0)
			return done ? done : -X_EFAULT;
		parked_finish(r, moved);
		done += moved;
	}
	return done;
}

static void write_pipe(struct pipe *p, const struct x_in *in)
{
	uint32_t bytes = in_window(in, 0, X_WIN_READ);
	bool blocks = !pipe_never_waits(in);
	int64_t done = 0, put = 0;

	if (!bytes) {
		out_status(in->id, 0);
		return;
	}
	if (pipe_by_kernel(p, in, bytes))
		return;
	if (!p->readers) {
		out_status(in->id, -X_EPIPE);
		return;
	}
	if (!p->writing.first)
		done = hand_over(p, in, bytes);
	if (done >= 0 && done < bytes && !p->writing.first && fits(p, bytes, (uint32_t)done)) {
		put = ring_put(&p->ring, in->id, 0, (uint32_t)done, bytes - (uint32_t)done);
		done = put >= 0 ? done + put : done ? done : put;
	}
	if (done < 0 || done == bytes || (done && !blocks))
		out_status(in->id, done);
	else if (!blocks || !park(in, &p->writing, in->object, bytes, (uint32_t)done))
		out_status(in->id, done ? done : -X_EAGAIN);
	if (put > 0)
		pipe_tell(p, true);
}

/* ---- other calls ---- */

static void stat_pipe(const struct pipe *p, const struct x_in *in)
{
	struct file_attr attr = {
		.dev = PIPE_DEV, .ino = p->serial, .mode = F_S_IFIFO | 0600, .nlink = 1,
		.uid = p->uid, .gid = p->gid, .block_bytes = PIPE_ATOMIC,
		.atime_ns = p->created_ns, .mtime_ns = p->created_ns, .ctime_ns = p->created_ns,
	};

	if (p->place.inode)
		place_stat(in, p->place);
	else
		out_status(in->id, window_write(in->id, 0, 0, &attr, sizeof(attr)) < (int64_t)sizeof(attr) ?
				   -X_EFAULT : 0);
}

static int64_t ioctl_pipe(struct pipe *p, const struct x_in *in)
{
	struct x_flow_state state = { 0 };
	uint32_t count;

	if (in->msg.a[0] != IOCTL_FIONREAD)
		return -X_ENOTTY;
	if (!pipe_settle(p))
		sys_flow_state(p->flow_id, &state);
	count = p->ring.count + (uint32_t)state.waiting;
	return window_write(in->id, 0, 0, &count, 4) < 4 ? -X_EFAULT : 0;
}

static int64_t statfs_pipe(const struct x_in *in)
{
	struct file_statfs fs = { .type = PIPEFS_MAGIC, .block_bytes = PIPE_ATOMIC, .name_max = FS_NAME_MAX };

	return window_write(in->id, 0, 0, &fs, sizeof(fs)) < (int64_t)sizeof(fs) ? -X_EFAULT : 0;
}

/* Rounded up to a power of two (fcntl(2), F_SETPIPE_SZ). */
static int64_t set_size(struct pipe *p, uint32_t want)
{
	uint32_t bytes = PIPE_ATOMIC;
	int64_t status;

	while (bytes < want)
		bytes *= 2;
	status = ring_resize(&p->ring, bytes);
	if (status)
		return status;
	pipe_pump(p);
	return bytes;
}

int64_t pipe_later(struct pipe *p, const struct parked *w)
{
	return w->op == FILE_PIPE_SIZE ? set_size(p, w->flags) : peek(p, w->call_id, w->bytes);
}

static void size_pipe(struct pipe *p, const struct x_in *in)
{
	if (in->msg.a[0] > PIPE_BYTES_MAX)
		out_status(in->id, -X_EPERM);
	else if (in->msg.a[0])
		now_or_later(p, in, 0);
	else
		out_status(in->id, (int32_t)p->ring.capacity);
}

static int64_t other_call(struct pipe *p, const struct x_in *in)
{
	switch (in->msg.op) {
	case FILE_READ: case FILE_WRITE: return -X_EBADF;       /* of the other end */
	case FILE_IOCTL: return ioctl_pipe(p, in);
	case FILE_STATFS: return statfs_pipe(in);
	case FILE_SYNC: case FILE_TRUNCATE: return -X_EINVAL;
	case FILE_SETATTR: return 0;
	default: return file_default(in->msg.op);
	}
}

void pipe_call(const struct x_in *in)
{
	struct pipe_open *o = find(in->object);
	bool data = in->msg.op == FILE_READ || in->msg.op == FILE_WRITE;

	in_close_handles(in);
	if (!o)
		out_status(in->id, -X_EBADF);
	else if (data && in->msg.status & FILE_AT)
		out_status(in->id, -X_ESPIPE);
	else if (in->msg.op == FILE_READ && o->mode & PIPE_READS)
		read_pipe(o->pipe, in);
	else if (in->msg.op == FILE_WRITE && o->mode & PIPE_WRITES)
		write_pipe(o->pipe, in);
	else if (in->msg.op == FILE_STAT)
		stat_pipe(o->pipe, in);
	else if (in->msg.op == FILE_PIPE_SIZE)
		size_pipe(o->pipe, in);
	else
		out_status(in->id, other_call(o->pipe, in));
}

/* ---- life ---- */

struct pipe *pipe_new(uint64_t account)
{
	struct pipe *fresh = SLOT_FIND(pipes, pipes_end, used);
	uint32_t same = 0;

	for_each_pipe(p)
		same += p->used && p->account == account;
	if (!fresh || same >= PIPES_PER_ACCOUNT)
		return NULL;
	SLOT_TAKEN(pipes, pipes_end, fresh);
	*fresh = (struct pipe){
		.used = true, .serial = next_serial++, .account = account, .ring.capacity = PIPE_BYTES,
		.created_ns = sys_realtime_ns(),
	};
	return fresh;
}

void pipe_unused(struct pipe *p)
{
	if (!p->opens)
		pipe_free(p);
}

struct pipe *pipe_at(struct place place)
{
	for_each_pipe(p)
		if (p->used && p->place.inode && place_equal(p->place, place))
			return p;
	return NULL;
}

int64_t pipe_open_object(struct pipe *p, uint32_t mode, uint32_t status_flags)
{
	struct pipe_open *o = open_new(p, mode);
	int64_t handle;

	if (!o)
		return -X_ENFILE;
	pipe_leave(p);
	o->met_writer = p->writers != 0;
	o->ready = levels(o);
	handle = sys_mint(o->id, 0, o->ready, status_flags);
	if (handle < 0)
		open_free(o);
	return handle;
}

int64_t pipe_reopen(uint64_t ino, uint32_t flags)
{
	static const uint8_t modes[] = { PIPE_READS, PIPE_WRITES, PIPE_READS | PIPE_WRITES };

	if ((flags & F_O_ACCMODE) == F_O_ACCMODE)
		return -X_EINVAL;
	for_each_pipe(p) {
		int64_t handle;

		if (!p->used || p->serial != ino || p->place.inode)
			continue;
		handle = pipe_open_object(p, modes[flags & F_O_ACCMODE], file_status_flags(flags));
		pipe_tell(p, false);
		return handle;
	}
	return -X_ENXIO;
}

void pipe_create(const struct x_in *in, const struct session *s)
{
	struct pipe *p = pipe_new(in->account);
	uint32_t nonblock = in->msg.a[0] & F_O_NONBLOCK;
	int64_t reader, writer;
	struct x_out *out;

	in_close_handles(in);
	if (!p) {
		out_status(in->id, -X_ENFILE);
		return;
	}
	p->uid = s->creds.uid;
	p->gid = s->creds.gid;
	reader = pipe_open_object(p, PIPE_READS, F_O_RDONLY | nonblock);
	if (reader < 0) {
		pipe_free(p);
		out_status(in->id, reader);
		return;
	}
	writer = pipe_open_object(p, PIPE_WRITES, F_O_WRONLY | nonblock);
	if (writer < 0) { /* the reader's closure frees the pipe */
		out_close((x_handle_t)reader);
		out_status(in->id, writer);
		return;
	}
	pipe_tell(p, false);
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)reader;
	out->handles[1] = (x_handle_t)writer;
	out->handle_count = 2;
}

void pipe_closed(uint64_t id)
{
	struct pipe_open *o = find(id);
	struct pipe *p = o ? o->pipe : NULL;

	if (!o)
		return;
	pipe_leave(p); /* the kernel knows of the closure, too: it has stopped, or is about to */
	open_free(o);
	if (p->used)
		pipe_pump(p);
}

/* The caller of a parked call wants to go: with what is done, or empty-handed. */
bool pipe_cancel(struct parked *w)
{
	struct pipe_open *o = find(w->owner);

	if (!o)
		return false;
	parked_finish(w, w->done ? (int64_t)w->done : -X_EINTR);
	pipe_pump(o->pipe); /* a shorter one behind it may fit */
	return true;
}
