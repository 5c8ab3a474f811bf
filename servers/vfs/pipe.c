/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes: a ring of 64 KiB, two objects (its ends), and calls that are parked
 * until there is data or room.
 *
 * An end is one object however often it is duplicated, so an end is open until
 * its one closure. Reader gone: writes end with -X_EPIPE (what was written
 * before counts). Writer gone: reads get what is left, then 0.
 *
 * Parked calls are served in order of arrival, per end. A write of up to
 * PIPE_ATOMIC bytes goes in whole or waits; a longer one goes in as room
 * comes, and a parked one keeps later ones behind it.
 *
 * After each change pump() lets both sides go on as far as they can, then
 * tells the kernel the readiness of both ends.
 */

#include "servers/vfs/vfs.h"

enum {
	RING_BYTES = 65536,
	PIPE_ATOMIC = 4096,
	PARKED_MAX = 1024,
	PARKED_PER_ACCOUNT = 256,
	PIPES_PER_ACCOUNT = 128,
	IOCTL_FIONREAD = 0x541b,
	PIPE_DEV = 12,
	PIPEFS_MAGIC = 0x50495045,
};
_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "ring positions are masked");
_Static_assert((PIPES_MAX & (PIPES_MAX - 1)) == 0, "ids are split by a mask");

struct parked {                 /* a call that waits */
	uint64_t call_id;       /* 0: free */
	uint64_t account;
	uint32_t bytes, done;   /* of its window */
	uint16_t next;          /* index + 1 in its queue */
};

struct queue { uint16_t first, last; }; /* index + 1, 0: empty */

struct end {
	bool open;
	struct queue queue;
	uint32_t ready;         /* as the kernel was told */
};

struct pipe {
	uint64_t serial;        /* 0: free; both object ids end in it */
	uint64_t account;
	uint8_t *ring;          /* stays with the slot once allocated */
	uint32_t head, count;   /* bytes */
	struct end reader, writer;
	uint32_t uid, gid;
	uint64_t created_ns;
};

static struct pipe pipes[PIPES_MAX];
static struct parked parked[PARKED_MAX];
static uint64_t next_serial = 1;

/* ---- ids ---- */

static uint64_t read_id(const struct pipe *p) { return object_id(KIND_PIPE_READ, p->serial); }
static uint64_t write_id(const struct pipe *p) { return object_id(KIND_PIPE_WRITE, p->serial); }

static struct pipe *find(uint64_t id)
{
	struct pipe *p = &pipes[id % PIPES_MAX];

	return p->serial && p->serial == (id & 0x00ffffffffffffffull) ? p : NULL;
}

static bool is_reader(uint64_t id) { return object_kind(id) == KIND_PIPE_READ; }

/* ---- the ring ---- */

static uint32_t room(const struct pipe *p) { return RING_BYTES - p->count; }

/* Both move up to `bytes` and give how many, or an error if it was none. */
static int64_t ring_to_window(struct pipe *p, uint64_t call_id, uint32_t offset, uint32_t bytes)
{
	uint32_t done = 0, piece;
	int64_t copied;

	while (done < bytes && p->count) {
		piece = RING_BYTES - p->head;
		if (piece > p->count)
			piece = p->count;
		if (piece > bytes - done)
			piece = bytes - done;
		copied = window_write(call_id, 0, offset + done, p->ring + p->head, piece);
		if (copied <= 0)
			return done ? (int64_t)done : -X_EFAULT;
		p->head = (p->head + (uint32_t)copied) & (RING_BYTES - 1);
		p->count -= (uint32_t)copied;
		done += (uint32_t)copied;
	}
	return done;
}

static int64_t window_to_ring(struct pipe *p, uint64_t call_id, uint32_t offset, uint32_t bytes)
{
	uint32_t done = 0, piece, tail;
	int64_t copied;

	while (done < bytes && room(p)) {
		tail = (p->head + p->count) & (RING_BYTES - 1);
		piece = RING_BYTES - tail;
		if (piece > room(p))
			piece = room(p);
		if (piece > bytes - done)
			piece = bytes - done;
		copied = window_read(call_id, 0, offset + done, p->ring + tail, piece);
		if (copied <= 0)
			return done ? (int64_t)done : -X_EFAULT;
		p->count += (uint32_t)copied;
		done += (uint32_t)copied;
	}
	return done;
}

/* ---- parked calls ---- */

static struct parked *park(const struct x_in *in, struct queue *q, uint32_t bytes, uint32_t done)
{
	struct parked *free_slot = NULL, *w;
	uint32_t same = 0;

	for (w = parked; w < parked + PARKED_MAX; w++) {
		if (!w->call_id)
			free_slot = free_slot ? free_slot : w;
		else
			same += w->account == in->account;
	}
	if (!free_slot || same >= PARKED_PER_ACCOUNT)
		return NULL;
	*free_slot = (struct parked){ in->id, in->account, bytes, done, 0 };
	if (q->last)
		parked[q->last - 1].next = (uint16_t)(free_slot - parked + 1);
	else
		q->first = (uint16_t)(free_slot - parked + 1);
	q->last = (uint16_t)(free_slot - parked + 1);
	return free_slot;
}

static struct parked *first(const struct queue *q)
{
	return q->first ? &parked[q->first - 1] : NULL;
}

static void unpark(struct queue *q, struct parked *w)
{
	uint16_t self = (uint16_t)(w - parked + 1), before = 0, at;

	for (at = q->first; at && at != self; at = parked[at - 1].next)
		before = at;
	if (!at)
		return;
	if (before)
		parked[before - 1].next = w->next;
	else
		q->first = w->next;
	if (q->last == self)
		q->last = before;
	w->call_id = 0;
}

static void finish_first(struct queue *q, int64_t status)
{
	struct parked *w = first(q);

	out_status(w->call_id, status);
	unpark(q, w);
}

/* ---- going on ---- */

static bool fits(const struct pipe *p, uint32_t bytes)
{
	return room(p) && (bytes > PIPE_ATOMIC || bytes <= room(p));
}

static bool pump_reader(struct pipe *p)
{
	struct parked *w = first(&p->reader.queue);

	if (!w || (!p->count && p->writer.open))
		return false;
	finish_first(&p->reader.queue, p->count ? ring_to_window(p, w->call_id, 0, w->bytes) : 0);
	return true;
}

static bool pump_writer(struct pipe *p)
{
	struct parked *w = first(&p->writer.queue);
	int64_t copied;

	if (!w)
		return false;
	if (!p->reader.open) {
		finish_first(&p->writer.queue, w->done ? (int64_t)w->done : -X_EPIPE);
		return true;
	}
	if (!fits(p, w->bytes))
		return false;
	copied = window_to_ring(p, w->call_id, w->done, w->bytes - w->done);
	if (copied < 0) {
		finish_first(&p->writer.queue, w->done ? (int64_t)w->done : copied);
		return true;
	}
	w->done += (uint32_t)copied;
	if (w->done == w->bytes)
		finish_first(&p->writer.queue, w->done);
	return copied > 0;
}

static void tell(struct end *e, uint64_t id, uint32_t now, uint32_t pulse)
{
	if (!e->open || (now == e->ready && !pulse))
		return;
	out_ready(id, X_READY_IN | X_READY_OUT | X_READY_HUP | X_READY_ERR, now, pulse);
	e->ready = now;
}

static uint32_t reader_levels(const struct pipe *p)
{
	return (p->count ? X_READY_IN : 0) | (p->writer.open ? 0 : X_READY_HUP);
}

static uint32_t writer_levels(const struct pipe *p)
{
	return (room(p) >= PIPE_ATOMIC ? X_READY_OUT : 0) | (p->reader.open ? 0 : X_READY_ERR);
}

/* wrote, read: data moved since the last pump, for edge-triggered waiters. */
static void pump(struct pipe *p, bool wrote, bool read)
{
	bool went_on;

	do {
		went_on = pump_reader(p);
		read |= went_on;
		if (pump_writer(p))
			went_on = wrote = true;
	} while (went_on);
	tell(&p->reader, read_id(p), reader_levels(p), wrote && p->count ? X_READY_IN : 0);
	tell(&p->writer, write_id(p), writer_levels(p),
	     read && room(p) >= PIPE_ATOMIC ? X_READY_OUT : 0);
}

/* ---- read, write ---- */

static void read_pipe(struct pipe *p, const struct x_in *in)
{
	uint32_t bytes = in_window(in, 0, X_WIN_WRITE);

	if (!bytes || (!p->count && !p->writer.open)) {
		out_status(in->id, 0);
	} else if (p->count && !p->reader.queue.first) {
		out_status(in->id, ring_to_window(p, in->id, 0, bytes));
		pump(p, false, true);
	} else if (in->status_flags & F_O_NONBLOCK) {
		out_status(in->id, -X_EAGAIN);
	} else if (!park(in, &p->reader.queue, bytes, 0)) {
		out_status(in->id, -X_EAGAIN);
	}
}

static void write_pipe(struct pipe *p, const struct x_in *in)
{
	uint32_t bytes = in_window(in, 0, X_WIN_READ);
	bool blocks = !(in->status_flags & F_O_NONBLOCK);
	int64_t done = 0;

	if (!p->reader.open || !bytes) {
		out_status(in->id, bytes ? -X_EPIPE : 0);
		return;
	}
	if (!p->writer.queue.first && fits(p, bytes))
		done = window_to_ring(p, in->id, 0, bytes);
	if (done < 0 || done == bytes || (done && !blocks))
		out_status(in->id, done);
	else if (!blocks)
		out_status(in->id, -X_EAGAIN);
	else if (!park(in, &p->writer.queue, bytes, (uint32_t)done))
		out_status(in->id, done ? done : -X_EAGAIN);
	if (done > 0)
		pump(p, true, false);
}

/* ---- other calls ---- */

static void stat_pipe(const struct pipe *p, const struct x_in *in)
{
	struct file_attr attr = {
		.dev = PIPE_DEV, .ino = p->serial, .mode = F_S_IFIFO | 0600, .nlink = 1,
		.uid = p->uid, .gid = p->gid, .block_bytes = PIPE_ATOMIC,
		.atime_ns = p->created_ns, .mtime_ns = p->created_ns, .ctime_ns = p->created_ns,
	};

	out_status(in->id, window_write(in->id, 0, 0, &attr, sizeof(attr)) < (int64_t)sizeof(attr) ?
			   -X_EFAULT : 0);
}

static int64_t ioctl_pipe(const struct pipe *p, const struct x_in *in)
{
	if (in->msg.a[0] != IOCTL_FIONREAD)
		return -X_ENOTTY;
	return window_write(in->id, 0, 0, &p->count, 4) < 4 ? -X_EFAULT : 0;
}

static int64_t statfs_pipe(const struct x_in *in)
{
	struct file_statfs fs = { .type = PIPEFS_MAGIC, .block_bytes = PIPE_ATOMIC, .name_max = FS_NAME_MAX };

	return window_write(in->id, 0, 0, &fs, sizeof(fs)) < (int64_t)sizeof(fs) ? -X_EFAULT : 0;
}

static int64_t other_call(const struct pipe *p, const struct x_in *in)
{
	switch (in->msg.op) {
	case FILE_READ: case FILE_WRITE: return -X_EBADF;       /* of the other end */
	case FILE_IOCTL: return ioctl_pipe(p, in);
	case FILE_STATFS: return statfs_pipe(in);
	case FILE_READDIR: case FILE_IDENT: return -X_ENOTDIR;
	case FILE_SIZE: return -X_ESPIPE;
	case FILE_SYNC: case FILE_TRUNCATE: return -X_EINVAL;
	case FILE_MMAP: return -X_ENODEV;
	case FILE_SETATTR: return -X_EPERM;
	default: return -X_ENOSYS;
	}
}

void pipe_call(const struct x_in *in)
{
	struct pipe *p = find(in->object);
	bool reader = is_reader(in->object), data = in->msg.op == FILE_READ || in->msg.op == FILE_WRITE;

	close_handles(in, 0);
	if (!p)
		out_status(in->id, -X_EBADF);
	else if (data && in->msg.status & FILE_AT)
		out_status(in->id, -X_ESPIPE);
	else if (in->msg.op == FILE_READ && reader)
		read_pipe(p, in);
	else if (in->msg.op == FILE_WRITE && !reader)
		write_pipe(p, in);
	else if (in->msg.op == FILE_STAT)
		stat_pipe(p, in);
	else
		out_status(in->id, other_call(p, in));
}

/* ---- life ---- */

static struct pipe *find_free(uint64_t account)
{
	struct pipe *fresh = NULL, *used = NULL, *p;
	uint32_t same = 0;

	for (p = pipes; p < pipes + PIPES_MAX; p++) {
		if (p->serial)
			same += p->account == account;
		else if (p->ring)
			used = used ? used : p;
		else
			fresh = fresh ? fresh : p;
	}
	return same >= PIPES_PER_ACCOUNT ? NULL : used ? used : fresh;
}

static void begin(struct pipe *p, uint64_t account, const struct session *s)
{
	uint8_t *ring = p->ring ? p->ring : server_memory(RING_BYTES);

	memset(p, 0, sizeof(*p));
	p->ring = ring;
	p->serial = next_serial++ * PIPES_MAX + (uint64_t)(p - pipes);
	p->account = account;
	p->uid = s->creds.uid;
	p->gid = s->creds.gid;
	p->created_ns = sys_realtime_ns();
	p->reader.open = p->writer.open = true;
	p->writer.ready = X_READY_OUT;
}

void pipe_create(const struct x_in *in, const struct session *s)
{
	struct pipe *p = find_free(in->account);
	uint32_t nonblock = in->msg.a[0] & F_O_NONBLOCK;
	int64_t reader, writer;
	struct x_out *out;

	close_handles(in, 0);
	if (!p) {
		out_status(in->id, -X_ENFILE);
		return;
	}
	begin(p, in->account, s);
	reader = sys_mint(read_id(p), 0, 0, F_O_RDONLY | nonblock);
	writer = reader < 0 ? reader : sys_mint(write_id(p), 0, X_READY_OUT, F_O_WRONLY | nonblock);
	if (writer < 0) {
		p->writer.open = false;
		if (reader < 0)
			p->serial = 0;
		else    /* its closure frees the pipe */
			out_close((x_handle_t)reader);
		out_status(in->id, writer);
		return;
	}
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)reader;
	out->handles[1] = (x_handle_t)writer;
	out->handle_count = 2;
}

void pipe_closed(uint64_t id)
{
	struct pipe *p = find(id);

	if (!p)
		return;
	if (is_reader(id))
		p->reader.open = false;
	else
		p->writer.open = false;
	pump(p, false, false);
	if (!p->reader.open && !p->writer.open)
		p->serial = 0;
}

/* The caller of a parked call wants to go: with what is done, or empty-handed. */
static bool cancel_in(struct queue *q, uint64_t call_id)
{
	for (uint16_t at = q->first; at; at = parked[at - 1].next) {
		struct parked *w = &parked[at - 1];

		if (w->call_id != call_id)
			continue;
		out_status(call_id, w->done ? (int64_t)w->done : -X_EINTR);
		unpark(q, w);
		return true;
	}
	return false;
}

bool pipe_cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < PIPES_MAX; i++) {
		struct pipe *p = &pipes[i];

		if (!p->serial)
			continue;
		if (cancel_in(&p->reader.queue, call_id))
			return true;
		if (cancel_in(&p->writer.queue, call_id)) {
			pump(p, false, false); /* a shorter one behind it may fit */
			return true;
		}
	}
	return false;
}
