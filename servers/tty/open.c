/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The objects that programs hold: opens of the console, of pseudo-terminals
 * and of their masters; and their readiness.
 */
#include "terminal.h"

#define RDEV_CONSOLE (5u << 8 | 1u)
#define ROOM_LOW     256u /* fewer bytes free: not writable */

static struct open opens[OPENS_MAX];
static uint64_t next_object = 1;

struct open *open_find(uint64_t object)
{
	for (struct open *o = opens; o < opens + OPENS_MAX; o++)
		if (o->object == object)
			return o;
	return NULL;
}

/* ---- readiness ---- */

static uint32_t levels(const struct open *o)
{
	const struct terminal *t = o->terminal;
	uint32_t now = 0;

	if (o->hung)
		return X_READY_IN | X_READY_OUT | X_READY_HUP | X_READY_ERR;
	if (o->master) {
		now |= t->out_head != t->out_tail || t->packet_status ? X_READY_IN : 0;
		now |= t->packet_status ? X_READY_PRI : 0;
		now |= t->slave_seen && !t->slaves ? X_READY_HUP : 0;
		return now | (line_full(t) ? 0 : X_READY_OUT);
	}
	if (line_can_read(t, t->termios.cc[VTIME] ? 1 : INPUT_BYTES))
		now |= X_READY_IN;
	return now | (output_free(t) > ROOM_LOW && !t->stopped ? X_READY_OUT : 0);
}

void opens_tell(void)
{
	uint32_t now, pulse;

	for (struct open *o = opens; o < opens + OPENS_MAX; o++) {
		if (!o->object)
			continue;
		now = levels(o);
		pulse = !o->master && o->terminal->arrived ? now & X_READY_IN : 0;
		if (now == o->ready && !pulse)
			continue;
		out_ready(o->object, X_READY_IN | X_READY_OUT | X_READY_PRI | X_READY_HUP | X_READY_ERR, now, pulse);
		o->ready = now;
	}
	for (struct terminal *t = terminals; t < terminals + TERMINALS_MAX; t++)
		t->arrived = false;
}

/* ---- opening ---- */

int64_t open_new(struct terminal *t, bool master, const struct x_in *in, struct open **out)
{
	struct open *o = open_find(0);
	int64_t handle;

	if (!o)
		return -X_ENFILE;
	*o = (struct open){
		.terminal = t, .master = master, .dev = in->msg.a[3], .ino = in->msg.a[4],
		.rdev = in->msg.a[5] ? in->msg.a[5] : RDEV_CONSOLE,
	};
	o->ready = levels(o);
	handle = x_mint(server_port, next_object, 0, o->ready, file_status_flags((uint32_t)in->msg.a[1]));
	if (handle < 0)
		return handle;
	o->object = next_object++;
	if (!master) {
		t->slaves++;
		t->slave_seen = true;
	}
	*out = o;
	return handle;
}

static void open_slave(struct terminal *t, const struct x_in *in)
{
	struct x_out *out;
	struct open *o;
	int64_t handle = open_new(t, false, in, &o);

	if (handle < 0) {
		out_status(in->id, handle);
		return;
	}
	out = out_answer_entry(in->id);
	out->handle_count = 1;
	out->handles[0] = (x_handle_t)handle;
}

/* The terminal that DEV_OPEN names, or NULL; *status says why. */
static struct terminal *named(const struct request *r, int64_t *status)
{
	uint64_t number = r->in.msg.a[0];
	struct terminal *t = console;

	*status = -X_ENXIO;
	if (number == DEV_CTTY)
		return jobs_terminal_of(r->known ? r->sid : 0);
	if (number >= DEV_PTS)
		t = number - DEV_PTS < PTYS_MAX ? &terminals[number - DEV_PTS + 1] : NULL;
	*status = -X_ENOENT; /* vfs has not heard of its end yet */
	if (t && !t->used)
		return NULL;
	*status = -X_EIO;
	if (!t || (t->pty && (!t->master || t->locked)))
		return NULL;
	*status = -X_EBUSY;
	return t->exclusive && r->uid ? NULL : t;
}

/* A session's leader without a terminal gets the first it opens (/dev/console
 * and /dev/tty apart), unless it says O_NOCTTY. */
static void acquire(struct terminal *t, const struct request *r)
{
	bool noctty = r->in.msg.a[1] & F_O_NOCTTY || r->in.msg.a[0] == DEV_CONSOLE || r->in.msg.a[0] == DEV_CTTY;

	if (noctty || !r->known || r->pid != r->sid || t->sid || jobs_terminal_of(r->sid))
		return;
	jobs_take(t, r);
}

void open_who_known(struct request *r)
{
	struct x_in in = r->in;
	int64_t status;
	struct terminal *t = named(r, &status);

	r->state = FREE;
	if (!t) {
		out_status(in.id, status);
		return;
	}
	acquire(t, r);
	open_slave(t, &in);
}

void open_call(const struct x_in *in)
{
	struct request *r;

	if (in->msg.a[0] == DEV_PTMX) {
		pty_open_master(in);
		return;
	}
	if (in->msg.a[0] != DEV_CONSOLE && in->msg.a[0] != DEV_SERIAL && in->msg.a[0] != DEV_CTTY &&
	    in->msg.a[0] < DEV_PTS) {
		out_status(in->id, -X_ENXIO);
		return;
	}
	r = request_new(in);
	if (r)
		jobs_ask(r);
}

/* ---- the rest ---- */

void open_stat(const struct open *o, const struct x_in *in)
{
	struct file_attr attr = {
		.dev = o->dev, .ino = o->ino, .rdev = o->rdev, .mode = F_S_IFCHR | (o->terminal->pty && !o->master ? 0620 : 0666),
		.nlink = 1, .block_bytes = 1024,
	};

	out_status(in->id, window_write(in->id, 0, 0, &attr, sizeof(attr)) == sizeof(attr) ? 0 : -X_EFAULT);
}

void open_closed(uint64_t object)
{
	struct open *o = open_find(object);
	struct terminal *t = o ? o->terminal : NULL;

	if (!o)
		return;
	o->object = 0;
	if (o->master) {
		pty_master_closed(t);
	} else {
		t->slaves--;
		if (t->pty)
			pty_slave_closed(t);
	}
}

void opens_hang_up(struct terminal *t)
{
	for (struct open *o = opens; o < opens + OPENS_MAX; o++)
		if (o->object && o->terminal == t && !o->master)
			o->hung = true;
	requests_fail(t, 0, 0);
}
