/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pseudo-terminals (pty(7)): the master's side.
 *
 * Opening /dev/ptmx makes a terminal, locked, and its master object; vfs gets
 * an event with it, told when the terminal is gone, and shows it in /dev/pts
 * meanwhile. What the master writes is typed, what is written it reads. The
 * slave's last close is -X_EIO for the master until it is opened again; the
 * master's close hangs the terminal up.
 */
#include "terminal.h"

void pty_packet(struct terminal *t, uint8_t status)
{
	if (t->packet)
		t->packet_status |= status;
}

/* ---- making ---- */

static struct terminal *terminal_new(void)
{
	for (uint32_t i = 1; i < TERMINALS_MAX; i++)
		if (!terminals[i].used)
			return &terminals[i];
	return NULL;
}

static void terminal_free(struct terminal *t)
{
	out_signal(t->gone, 1);
	out_close(t->gone);
	t->used = false;
}

void pty_open_master(const struct x_in *in)
{
	struct terminal *t = terminal_new();
	int64_t event, copy, handle;
	struct x_out *out;
	struct open *o;

	if (!t) {
		out_status(in->id, -X_ENOSPC);
		return;
	}
	event = x_event_create();
	copy = event < 0 ? event : x_handle_dup((x_handle_t)event, 0, X_SLOT_NATIVE, 0);
	if (copy < 0) {
		if (event >= 0)
			out_close((x_handle_t)event);
		out_status(in->id, copy);
		return;
	}
	memset(t, 0, sizeof(*t));
	t->used = t->pty = t->locked = true;
	t->gone = (x_handle_t)event;
	line_init(t);
	handle = open_new(t, true, in, &o);
	if (handle < 0) {
		out_close((x_handle_t)copy);
		terminal_free(t);
		out_status(in->id, handle);
		return;
	}
	t->master = o->object;
	out = out_answer_entry(in->id);
	out->msg.a[0] = terminal_number(t) - 1;
	out->handles[0] = (x_handle_t)handle;
	out->handles[1] = (x_handle_t)copy;
	out->handle_count = 2;
}

void pty_master_closed(struct terminal *t)
{
	t->master = 0;
	jobs_hangup(t);
	opens_hang_up(t);
	if (!t->slaves)
		terminal_free(t);
}

void pty_slave_closed(struct terminal *t)
{
	if (t->slaves)
		return;
	requests_run(t, PARKED_READ);   /* the master's read ends */
	if (!t->master && t->used)
		terminal_free(t);
}

/* ---- reading and writing ---- */

/* The slave was open and is not any more. */
static bool slave_gone(const struct terminal *t)
{
	return t->slave_seen && !t->slaves;
}

static int64_t read_packet(struct request *r)
{
	struct terminal *t = r->terminal;
	uint8_t status = t->packet_status;

	t->packet_status = 0;
	return window_write(r->in.id, 0, 0, &status, 1);
}

void pty_read(struct request *r)
{
	struct terminal *t = r->terminal;
	uint32_t want = r->in.win[0].len, at = t->packet ? 1 : 0, n;
	uint8_t bytes[1024];

	if (t->packet_status) {
		request_end(r, read_packet(r));
		return;
	}
	if (t->out_head == t->out_tail) {
		if (slave_gone(t))
			request_end(r, -X_EIO);
		else if (r->cancelled)
			request_end(r, -X_EINTR);
		else if (r->in.status_flags & F_O_NONBLOCK)
			request_end(r, -X_EAGAIN);
		else
			r->state = PARKED_READ;
		return;
	}
	bytes[0] = 0;
	want = want < sizeof(bytes) ? want : sizeof(bytes);
	n = want > at ? output_take(t, bytes + at, want - at) + at : want;
	request_end(r, window_write(r->in.id, 0, 0, bytes, n));
	terminal_room(t);
}

void pty_write(struct request *r)
{
	struct terminal *t = r->terminal;
	uint8_t bytes[256];
	uint32_t used;
	int64_t n;

	r->state = PARKED_WRITE;
	while (r->done < r->in.win[0].len && !line_full(t)) {
		uint32_t left = r->in.win[0].len - r->done;

		n = window_read(r->in.id, 0, r->done, bytes, left < sizeof(bytes) ? left : sizeof(bytes));
		if (n <= 0) {
			request_end(r, r->done ? (int64_t)r->done : n);
			return;
		}
		for (used = 0; used < n && !line_full(t); used++)
			line_input(t, bytes[used]);
		r->done += used;
	}
	if (r->done == r->in.win[0].len || r->cancelled || r->in.status_flags & F_O_NONBLOCK)
		request_end(r, r->done ? (int64_t)r->done : r->cancelled ? -X_EINTR :
			       r->in.win[0].len ? -X_EAGAIN : 0);
	terminal_input(t);
}

/* ---- ioctls ---- */

static bool take_int(struct request *r, int32_t *value)
{
	if (r->in.win_count && window_read(r->in.id, 0, 0, value, sizeof(*value)) == sizeof(*value))
		return true;
	request_end(r, -X_EFAULT);
	return false;
}

static void give_int(struct request *r, int32_t value)
{
	int64_t n = r->in.win_count ? window_write(r->in.id, 0, 0, &value, sizeof(value)) : 0;

	request_end(r, n == sizeof(value) ? 0 : -X_EFAULT);
}

static void send_signal(struct request *r)
{
	uint32_t signal = (uint32_t)r->in.msg.a[1];

	if (signal < 1 || signal > 64) {
		request_end(r, -X_EINVAL);
		return;
	}
	jobs_signal(r->terminal, signal);
	request_end(r, 0);
}

bool pty_ioctl(struct request *r)
{
	struct terminal *t = r->terminal;
	int32_t value;

	switch ((uint32_t)r->in.msg.a[0]) {
	case TIOCGPTN: give_int(r, (int32_t)terminal_number(t) - 1); break;
	case TIOCGPTLCK: give_int(r, t->locked); break;
	case TIOCGPKT: give_int(r, t->packet); break;
	case TIOCSPTLCK:
		if (take_int(r, &value)) {
			t->locked = value != 0;
			request_end(r, 0);
		}
		break;
	case TIOCPKT:
		if (take_int(r, &value)) {
			t->packet = value != 0;
			t->packet_status = 0;
			request_end(r, 0);
		}
		break;
	case TIOCSIG: send_signal(r); break;
	default: return false;
	}
	return true;
}
