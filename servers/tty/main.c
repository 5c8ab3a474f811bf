/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tty: terminals. Line discipline and job control of the console, over a
 * serial-line driver (proto/char.h), and of pseudo-terminals. Programs hold
 * file objects (proto/file.h) that vfs got for them by DEV_OPEN.
 *
 * A request that must know who the caller is (reads, changes, job control)
 * first asks pm.
 */
#include "terminal.h"

struct terminal terminals[TERMINALS_MAX];
static struct request requests[REQUESTS_MAX];
static bool stopping;

/* ------------------------------------------------------------------- requests */

struct request *request_new(const struct x_in *in)
{
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		if (requests[i].state != FREE)
			continue;
		memset(&requests[i], 0, sizeof(requests[i]));
		requests[i].in = *in;
		requests[i].object = in->object;
		return &requests[i];
	}
	out_status(in->id, -X_EAGAIN);
	return NULL;
}

void request_end(struct request *r, int64_t status)
{
	timer_clear(&r->timeout);
	out_status(r->in.id, status);
	r->state = FREE;
}

/* ---- reading ---- */

static void read_now(struct request *r)
{
	struct terminal *t = r->terminal;
	uint32_t want = r->in.win[0].len, n;
	uint8_t bytes[1024];

	n = line_take(t, bytes, want < sizeof(bytes) ? want : sizeof(bytes));
	request_end(r, n ? window_write(r->in.id, 0, 0, bytes, n) : 0);
	if (t->pty)
		requests_run(t, PARKED_WRITE); /* the master's */
}

static void read_timed_out(void *ctx)
{
	struct request *r = ctx;

	if (r->state == PARKED_READ)
		read_now(r);
}

static void arm(struct request *r)
{
	r->timeout.fn = read_timed_out;
	r->timeout.ctx = r;
	timer_set(&r->timeout, server_now_ns + r->terminal->termios.cc[VTIME] * 100000000ull);
}

/* Non-canonical reads may end without data, or with fewer bytes than VMIN a
 * while after the last (termios(3), VMIN and VTIME). */
static bool read_may_wait(struct request *r)
{
	const struct terminal *t = r->terminal;
	const uint8_t *cc = t->termios.cc;
	uint32_t have = line_readable(t);

	if (t->termios.lflag & ICANON)
		return true;
	if (!cc[VMIN] && !cc[VTIME])
		return false;
	if (cc[VTIME] && (!cc[VMIN] ? !r->timeout.deadline_ns : have > r->seen))
		arm(r);
	r->seen = have;
	return true;
}

static void read_try(struct request *r)
{
	struct terminal *t = r->terminal;
	struct open *o = open_find(r->object);

	if (!o || o->hung)
		request_end(r, 0);
	else if (o->master)
		pty_read(r);
	else if (line_can_read(t, r->in.win[0].len))
		read_now(r);
	else if (r->cancelled)
		request_end(r, -X_EINTR);
	else if (r->in.status_flags & F_O_NONBLOCK)
		request_end(r, line_readable(t) && !(t->termios.lflag & ICANON) ? 0 : -X_EAGAIN);
	else if (!read_may_wait(r))
		read_now(r);
	else
		r->state = PARKED_READ;
}

/* ---- writing ---- */

static void write_try(struct request *r)
{
	struct open *o = open_find(r->object);
	uint8_t bytes[1024];

	r->state = PARKED_WRITE;
	if (!o || o->hung) {
		request_end(r, -X_EIO);
		return;
	}
	if (o->master) {
		pty_write(r);
		return;
	}
	while (r->done < r->in.win[0].len) {
		uint32_t left = r->in.win[0].len - r->done, taken;
		int64_t n = window_read(r->in.id, 0, r->done, bytes, left < sizeof(bytes) ? left : sizeof(bytes));

		if (n <= 0) {
			request_end(r, r->done ? (int64_t)r->done : n);
			return;
		}
		taken = output_write(r->terminal, bytes, (uint32_t)n);
		r->done += taken;
		if (taken == n)
			continue;
		/* Full: wait for the other side, or say how far it went. */
		if (r->cancelled || r->in.status_flags & F_O_NONBLOCK)
			request_end(r, r->done ? (int64_t)r->done : r->cancelled ? -X_EINTR : -X_EAGAIN);
		break;
	}
	if (r->state != FREE && r->done == r->in.win[0].len)
		request_end(r, r->done);
	if (r->terminal->pty)
		requests_run(r->terminal, PARKED_READ); /* the master's */
}

/* ---- going on ---- */

void request_run(struct request *r)
{
	switch (r->in.msg.op) {
	case DEV_OPEN:
		open_who_known(r);
		break;
	case FILE_READ:
		if (jobs_check_read(r))
			read_try(r);
		break;
	case FILE_WRITE:
		if (jobs_check_change(r))
			write_try(r);
		break;
	default:
		ioctl_run(r);
	}
}

static void run_one(struct request *r)
{
	if (r->state == PARKED_READ)
		read_try(r);
	else if (r->state == PARKED_WRITE)
		write_try(r);
	else
		ioctl_run(r);
}

/* Each at most once: one that goes on may call this again. */
void requests_run(struct terminal *t, enum request_state which)
{
	static bool running[PARKED_DRAIN + 1];

	if (running[which])
		return;
	running[which] = true;
	for (uint32_t i = 0; i < REQUESTS_MAX; i++)
		if (requests[i].state == which && requests[i].terminal == t)
			run_one(&requests[i]);
	running[which] = false;
}

void requests_fail(struct terminal *t, uint32_t sid, int64_t read_status)
{
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = &requests[i];
		struct open *o = open_find(r->object);

		if (r->state < PARKED_READ || r->state > PARKED_DRAIN || r->terminal != t || (o && o->master))
			continue;
		if (sid && (r->state != PARKED_READ || r->sid != sid))
			continue;
		request_end(r, r->state == PARKED_READ ? read_status : r->done ? (int64_t)r->done : -X_EIO);
	}
}

void terminal_room(struct terminal *t)
{
	requests_run(t, PARKED_WRITE);
	if (!output_pending(t))
		requests_run(t, PARKED_DRAIN);
	if (t == console)
		console_submit();
}

void terminal_input(struct terminal *t)
{
	requests_run(t, PARKED_READ);
}

/* ---------------------------------------------------------------------- calls */

static void ioctl_call(struct request *r, const struct open *o)
{
	uint32_t command = (uint32_t)r->in.msg.a[0];

	if (o->hung && command != TIOCNOTTY && command != TIOCSPGRP)
		request_end(r, -X_EIO);
	else if (ioctl_needs_who(command))
		jobs_ask(r);
	else
		ioctl_run(r);
}

static void file_call(const struct x_in *in, const struct open *o)
{
	struct request *r = request_new(in);
	bool data = in->msg.op == FILE_READ || in->msg.op == FILE_WRITE;

	if (!r)
		return;
	r->terminal = o->terminal;
	if (data && !(in->msg.op == FILE_READ ? file_may_read(in->status_flags) : file_may_write(in->status_flags)))
		request_end(r, -X_EBADF);
	else if (data && in->msg.status & FILE_AT)
		request_end(r, -X_ESPIPE);
	else if (data && (!in->win_count || !in->win[0].len))
		request_end(r, 0);
	else if (in->msg.op == FILE_READ && (o->master || o->hung))
		read_try(r);
	else if (in->msg.op == FILE_READ)
		jobs_ask(r);
	else if (in->msg.op == FILE_WRITE && !o->master && !o->hung && o->terminal->termios.lflag & TOSTOP)
		jobs_ask(r);
	else if (in->msg.op == FILE_WRITE)
		write_try(r);
	else if (in->msg.op == FILE_IOCTL)
		ioctl_call(r, o);
	else
		request_end(r, in->msg.op == FILE_SETATTR ? 0 : file_default(in->msg.op));
}

static void call(const struct x_in *in)
{
	const struct open *o = in->object ? open_find(in->object) : NULL;

	in_close_handles(in);
	if (in->object && !o)
		out_status(in->id, -X_EIO);
	else if (o && in->msg.op == FILE_STAT)
		open_stat(o, in);
	else if (o)
		file_call(in, o);
	else if (in->msg.op == DEV_OPEN)
		open_call(in);
	else if (in->msg.op == DEV_SESSION_END)
		jobs_session_end(in);
	else
		out_status(in->id, -X_ENOSYS);
}

static void cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = &requests[i];

		if (r->state == FREE || r->in.id != call_id)
			continue;
		r->cancelled = true;
		if (r->state == PARKED_READ || r->state == PARKED_DRAIN)
			request_end(r, -X_EINTR);
		else if (r->state == PARKED_WRITE)
			request_end(r, r->done ? (int64_t)r->done : -X_EINTR);
		return; /* asking pm: ends when pm answers */
	}
}

static void closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	open_closed(object);
}

/* The line's driver is there as long as we are: what was written goes to it first. */
static void stop(void)
{
	stopping = true;
}

static void batch_end(void)
{
	console_submit();
	opens_tell();
	if (stopping && (console->stopped || !output_pending(console)))
		server_exit();
}

static const struct server_ops ops = {
	.call = call, .closure = closure, .cancel = cancel, .batch_end = batch_end, .stop = stop,
};

void server_main(void)
{
	x_handle_t pm = boot_handle("pm"), driver = boot_handle("uart16550");

	if (driver == X_NO_HANDLE || pm == X_NO_HANDLE)
		server_die("the manifest must let it use uart16550 and pm");
	jobs_init(pm);
	console_init(driver);
	server_run(&ops);
}
