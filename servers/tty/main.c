/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tty: the console terminal. Line discipline, job control, over a serial-line
 * driver (proto/char.h). Programs hold file objects (proto/file.h) that vfs
 * got for them by DEV_OPEN; all opens share the one terminal.
 *
 * A request that must know who the caller is (reads, and ioctls of job
 * control) first asks pm, by the caller's koid, which nobody can forge.
 */
#include "lib/c/string.h"
#include "proto/char.h"
#include "proto/dev.h"
#include "proto/pm.h"
#include "terminal.h"

#define OPENS_MAX 128u
#define REQUESTS_MAX 64u
#define RDEV_CONSOLE (5u << 8 | 1u)
#define SIGHUP_ 1u
#define SIGCONT_ 18u
#define SIGTTIN_ 21u
#define SIGWINCH_ 28u

enum request_state { FREE, ASKING, PARKED_READ, PARKED_WRITE, SIGNALLING };

struct request {
	enum request_state state;
	struct x_in in;
	uint32_t done;              /* writes: bytes taken */
	uint32_t pid, pgrp, sid, uid;
	bool cancelled;
	struct server_timer timeout; /* VTIME */
};

static struct request requests[REQUESTS_MAX];
static struct open {
	uint64_t object;          /* id, 0: free */
	uint64_t dev, ino, rdev;  /* of the node it was opened by */
} opens[OPENS_MAX];
static uint64_t next_object = 1;
static x_handle_t pm, driver;
static uint8_t line_bytes[256];
static struct server_timer line_retry;

static void request_run(struct request *r);

/* ------------------------------------------------------------------ readiness */

static void update_ready(bool pulse)
{
	static uint32_t last = ~0u;
	uint32_t levels = (line_can_read(1) ? X_READY_IN : 0) | (output_free() > 256 ? X_READY_OUT : 0);

	if (levels == last && !pulse)
		return;
	last = levels;
	for (uint32_t i = 0; i < OPENS_MAX; i++)
		if (opens[i].object)
			out_ready(opens[i].object, X_READY_IN | X_READY_OUT, levels, pulse ? X_READY_IN : 0);
}

/* ------------------------------------------------------------------- requests */

static struct request *request_new(const struct x_in *in)
{
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		if (requests[i].state != FREE)
			continue;
		memset(&requests[i], 0, sizeof(requests[i]));
		requests[i].in = *in;
		return &requests[i];
	}
	out_status(in->id, -X_EAGAIN);
	return NULL;
}

static void request_end(struct request *r, int64_t status)
{
	timer_clear(&r->timeout);
	out_status(r->in.id, status);
	r->state = FREE;
}

static void read_try(struct request *r)
{
	uint8_t bytes[1024];
	uint32_t want = r->in.win[0].len, n;
	int64_t status;

	if (!line_can_read(want)) {
		if (r->cancelled)
			request_end(r, -X_EINTR);
		return;
	}
	n = line_take(bytes, want < sizeof(bytes) ? want : sizeof(bytes));
	status = n ? window_write(r->in.id, 0, 0, bytes, n) : 0;
	request_end(r, status);
}

static void read_timed_out(void *ctx)
{
	struct request *r = ctx;

	if (r->state == PARKED_READ)
		request_end(r, 0);
}

/* Non-canonical reads may end without data (VMIN, VTIME). */
static void read_park(struct request *r)
{
	const struct termios *t = &terminal.termios;

	r->state = PARKED_READ;
	read_try(r);
	if (r->state != PARKED_READ)
		return;
	if (r->in.status_flags & F_O_NONBLOCK) {
		request_end(r, -X_EAGAIN);
	} else if (!(t->lflag & ICANON) && t->cc[VMIN] == 0) {
		r->timeout.fn = read_timed_out;
		r->timeout.ctx = r;
		if (t->cc[VTIME])
			timer_set(&r->timeout, server_now_ns + t->cc[VTIME] * 100000000ull);
		else
			request_end(r, 0);
	}
}

static void write_try(struct request *r)
{
	uint8_t bytes[1024];

	while (r->done < r->in.win[0].len) {
		uint32_t left = r->in.win[0].len - r->done;
		int64_t n = window_read(r->in.id, 0, r->done, bytes, left < sizeof(bytes) ? left : sizeof(bytes));
		uint32_t taken;

		if (n <= 0) {
			request_end(r, r->done ? (int64_t)r->done : n);
			return;
		}
		taken = output_write(bytes, n);
		r->done += taken;
		if (taken < n) { /* full: wait for the line, or say how far it went */
			if (r->cancelled)
				request_end(r, r->done ? (int64_t)r->done : -X_EINTR);
			else if (r->in.status_flags & F_O_NONBLOCK)
				request_end(r, r->done ? (int64_t)r->done : -X_EAGAIN);
			return;
		}
	}
	request_end(r, r->done);
}

static void run_parked(enum request_state which)
{
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		if (requests[i].state != which)
			continue;
		if (which == PARKED_READ)
			read_try(&requests[i]);
		else
			write_try(&requests[i]);
	}
}

void terminal_room(void)
{
	run_parked(PARKED_WRITE);
	output_submit();
	update_ready(false);
}

/* -------------------------------------------------------------- asking of pm */

static void ignore_reply(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	(void)reply;
}

static void signal_group(uint32_t pgrp, uint32_t signal, reply_fn done, void *ctx)
{
	struct x_out *o = out_start(pm, done, ctx, NULL);

	o->msg.op = PMCTL_SIGNAL_PGRP;
	o->msg.a[0] = pgrp;
	o->msg.a[1] = signal;
}

void terminal_signal(uint32_t signal)
{
	if (terminal.pgrp)
		signal_group(terminal.pgrp, signal, ignore_reply, NULL);
}

static void who_answered(void *ctx, const struct x_in *reply)
{
	struct request *r = ctx;

	if (reply->msg.status == 0) {
		r->pid = reply->msg.a[0];
		r->pgrp = reply->msg.a[0] >> 32;
		r->sid = reply->msg.a[1];
		r->uid = reply->msg.a[2];
	}
	if (r->cancelled)
		request_end(r, -X_EINTR);
	else
		request_run(r);
	run_parked(PARKED_READ);
	update_ready(false);
}

static void ask_who(struct request *r)
{
	struct x_out *o;

	r->state = ASKING;
	o = out_start(pm, who_answered, r, NULL);
	o->msg.op = PMCTL_WHO;
	o->msg.a[0] = r->in.account;
}

/* -------------------------------------------------------------------- ioctls */

static void ioctl_out(struct request *r, const void *data, uint32_t len)
{
	int64_t n = r->in.win_count ? window_write(r->in.id, 0, 0, data, len) : -X_EFAULT;

	request_end(r, n < 0 ? n : n == len ? 0 : -X_EFAULT);
}

static bool ioctl_in(struct request *r, void *data, uint32_t len)
{
	if (r->in.win_count && window_read(r->in.id, 0, 0, data, len) == len)
		return true;
	request_end(r, -X_EFAULT);
	return false;
}

static void set_termios(struct request *r, bool flush)
{
	struct termios old = terminal.termios, new;

	if (!ioctl_in(r, &new, sizeof(new)))
		return;
	if (flush)
		line_flush_input();
	terminal.termios = new;
	line_settings_changed(&old);
	request_end(r, 0);
}

static void set_winsize(struct request *r)
{
	struct winsize new;

	if (!ioctl_in(r, &new, sizeof(new)))
		return;
	if (memcmp(&new, &terminal.winsize, sizeof(new))) {
		terminal.winsize = new;
		terminal_signal(SIGWINCH_);
	}
	request_end(r, 0);
}

static void flush(struct request *r, uint64_t what)
{
	if (what > 2) {
		request_end(r, -X_EINVAL);
		return;
	}
	if (what != 1)
		line_flush_input();
	if (what != 0)
		output_flush();
	request_end(r, 0);
}

/* Becoming the controlling terminal of the caller's session. A superuser may
 * take it from another session, as init does for a new shell. */
static void set_controlling(struct request *r)
{
	if (r->pid == 0 || r->pid != r->sid || (terminal.sid && terminal.sid != r->sid && r->uid != 0)) {
		request_end(r, -X_EPERM);
		return;
	}
	terminal.sid = r->sid;
	terminal.pgrp = r->pgrp;
	request_end(r, 0);
}

static void set_group(struct request *r)
{
	uint32_t pgrp;

	if (!ioctl_in(r, &pgrp, sizeof(pgrp)))
		return;
	if (r->sid == 0 || r->sid != terminal.sid) {
		request_end(r, -X_ENOTTY);
	} else if ((int32_t)pgrp <= 0) {
		request_end(r, -X_EINVAL);
	} else {
		terminal.pgrp = pgrp;
		request_end(r, 0);
	}
}

static void give_up_controlling(struct request *r)
{
	if (r->sid == 0 || r->sid != terminal.sid) {
		request_end(r, -X_ENOTTY);
		return;
	}
	if (r->pid == r->sid) {
		terminal_signal(SIGHUP_);
		terminal.sid = terminal.pgrp = 0;
	}
	request_end(r, 0);
}

static bool needs_who(uint32_t command)
{
	return command == TIOCSCTTY || command == TIOCSPGRP || command == TIOCNOTTY ||
	       command == TIOCGPGRP || command == TIOCGSID;
}

static void ioctl_run(struct request *r)
{
	uint32_t value;

	switch ((uint32_t)r->in.msg.a[0]) {
	case TCGETS:
		ioctl_out(r, &terminal.termios, sizeof(terminal.termios));
		break;
	case TCSETS:
	case TCSETSW:
		set_termios(r, false);
		break;
	case TCSETSF:
		set_termios(r, true);
		break;
	case TIOCGWINSZ:
		ioctl_out(r, &terminal.winsize, sizeof(terminal.winsize));
		break;
	case TIOCSWINSZ:
		set_winsize(r);
		break;
	case TIOCSCTTY:
		set_controlling(r);
		break;
	case TIOCNOTTY:
		give_up_controlling(r);
		break;
	case TIOCSPGRP:
		set_group(r);
		break;
	case TIOCGPGRP:
	case TIOCGSID:
		if (r->sid == 0 || r->sid != terminal.sid) {
			request_end(r, -X_ENOTTY);
			break;
		}
		value = (uint32_t)r->in.msg.a[0] == TIOCGSID ? terminal.sid : terminal.pgrp;
		ioctl_out(r, &value, sizeof(value));
		break;
	case FIONREAD:
		value = line_readable();
		ioctl_out(r, &value, sizeof(value));
		break;
	case TIOCOUTQ:
		value = output_pending();
		ioctl_out(r, &value, sizeof(value));
		break;
	case TCFLSH:
		flush(r, r->in.msg.a[1]);
		break;
	case TCSBRK:
	case TCSBRKP:
	case TCXONC:
		request_end(r, 0);
		break;
	default:
		request_end(r, -X_ENOTTY);
	}
}

/* ----------------------------------------------------------------- job control */

static void ttin_sent(void *ctx, const struct x_in *reply)
{
	struct request *r = ctx;

	/* Nobody left to stop or to continue it: POSIX wants an error. */
	request_end(r, reply->msg.status < 0 ? -X_EIO : -X_EINTR);
}

static void read_run(struct request *r)
{
	if (r->sid && r->sid == terminal.sid && r->pgrp != terminal.pgrp) {
		r->state = SIGNALLING;
		signal_group(r->pgrp, SIGTTIN_, ttin_sent, r);
		return;
	}
	read_park(r);
}

static void request_run(struct request *r)
{
	if (r->in.msg.op == FILE_READ)
		read_run(r);
	else
		ioctl_run(r);
}

/* The leader of session `sid` is gone, and with it the session's claim: what
 * it left behind must not take the next session's input. */
static void session_end(const struct x_in *in)
{
	uint32_t sid = (uint32_t)in->msg.a[0];

	out_status(in->id, 0);
	if (sid == 0 || sid != terminal.sid)
		return;
	terminal_signal(SIGHUP_);
	terminal_signal(SIGCONT_);
	terminal.sid = terminal.pgrp = 0;
	line_flush_input();
	for (uint32_t i = 0; i < REQUESTS_MAX; i++)
		if (requests[i].state == PARKED_READ && requests[i].sid == sid)
			request_end(&requests[i], -X_EIO);
}

/* ---------------------------------------------------------------------- calls */

static void open_console(const struct x_in *in)
{
	struct x_out *o;
	int64_t h;
	uint32_t i = 0;

	while (i < OPENS_MAX && opens[i].object)
		i++;
	if (i == OPENS_MAX) {
		out_status(in->id, -X_ENFILE);
		return;
	}
	h = x_mint(server_port, next_object, 0, X_READY_OUT | (line_can_read(1) ? X_READY_IN : 0),
		   (uint32_t)in->msg.a[1]);
	if (h < 0) {
		out_status(in->id, h);
		return;
	}
	opens[i] = (struct open){
		.object = next_object++, .dev = in->msg.a[3], .ino = in->msg.a[4],
		.rdev = in->msg.a[5] ? in->msg.a[5] : RDEV_CONSOLE,
	};
	o = out_answer_entry(in->id);
	o->handle_count = 1;
	o->handles[0] = (uint32_t)h;
}

static void open_controlling_answered(void *ctx, const struct x_in *reply)
{
	struct request *r = ctx;
	uint64_t sid = reply->msg.a[1];

	if (reply->msg.status == 0 && sid && sid == terminal.sid)
		open_console(&r->in);
	else
		out_status(r->in.id, -X_ENXIO);
	r->state = FREE;
}

static void open_controlling(const struct x_in *in)
{
	struct request *r = request_new(in);
	struct x_out *o;

	if (!r)
		return;
	r->state = SIGNALLING;
	o = out_start(pm, open_controlling_answered, r, NULL);
	o->msg.op = PMCTL_WHO;
	o->msg.a[0] = in->msg.a[2];
}

static void stat_console(const struct x_in *in)
{
	struct file_attr attr = {
		.mode = F_S_IFCHR | 0666, .nlink = 1, .block_bytes = 1024,
	};
	int64_t n;

	for (uint32_t i = 0; i < OPENS_MAX; i++) {
		if (opens[i].object != in->object)
			continue;
		attr.dev = opens[i].dev;
		attr.ino = opens[i].ino;
		attr.rdev = opens[i].rdev;
	}
	n = window_write(in->id, 0, 0, &attr, sizeof(attr));
	out_status(in->id, n < 0 ? n : 0);
}

static void file_call(const struct x_in *in)
{
	struct request *r = request_new(in);

	if (!r)
		return;
	switch (in->msg.op) {
	case FILE_READ:
		if (in->win_count == 0 || in->win[0].len == 0)
			request_end(r, in->win_count ? 0 : -X_EINVAL);
		else
			ask_who(r);
		break;
	case FILE_WRITE:
		r->state = PARKED_WRITE;
		write_try(r);
		break;
	case FILE_IOCTL:
		if (needs_who((uint32_t)in->msg.a[0]))
			ask_who(r);
		else
			ioctl_run(r);
		break;
	default:
		request_end(r, in->msg.op == FILE_SIZE ? -X_ESPIPE : in->msg.op == FILE_IDENT ? -X_ENOTDIR :
			       in->msg.op == FILE_MMAP ? -X_ENODEV : -X_EINVAL);
	}
}

static void call(const struct x_in *in)
{
	for (uint32_t i = 0; i < in->handle_count; i++)
		out_close(in->handles[i]);
	if (in->object && in->msg.op == FILE_STAT)
		stat_console(in);
	else if (in->object)
		file_call(in);
	else if (in->msg.op == DEV_OPEN && in->msg.a[0] == DEV_CONSOLE)
		open_console(in);
	else if (in->msg.op == DEV_OPEN && in->msg.a[0] == DEV_CTTY)
		open_controlling(in);
	else if (in->msg.op == DEV_SESSION_END)
		session_end(in);
	else
		out_status(in->id, in->msg.op == DEV_OPEN ? -X_ENXIO : -X_ENOSYS);
}

static void cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = &requests[i];

		if (r->state == FREE || r->in.id != call_id)
			continue;
		r->cancelled = true;
		if (r->state == PARKED_READ)
			request_end(r, -X_EINTR);
		else if (r->state == PARKED_WRITE)
			request_end(r, r->done ? (int64_t)r->done : -X_EINTR);
		return; /* asking pm: ends when pm answers */
	}
}

static void closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	for (uint32_t i = 0; i < OPENS_MAX; i++)
		if (opens[i].object == object)
			opens[i].object = 0;
}

/* ------------------------------------------------------------------- the line */

static void line_read(void *ctx);

static void line_answered(void *ctx, const struct x_in *reply)
{
	int32_t n = reply->msg.status;

	(void)ctx;
	for (int32_t i = 0; i < n && i < (int32_t)sizeof(line_bytes); i++)
		line_input(line_bytes[i]);
	if (n < 0 && n != -X_EDEAD)
		timer_set(&line_retry, server_now_ns + 100000000);
	else
		line_read(NULL);
	run_parked(PARKED_READ);
	update_ready(n > 0);
}

static void line_read(void *ctx)
{
	struct x_out *o = out_start(driver, line_answered, NULL, NULL);

	(void)ctx;
	o->msg.op = CHAR_READ;
	o->win_count = 1;
	o->win[0] = (struct x_window){
		.addr = (uint64_t)line_bytes, .len = sizeof(line_bytes), .flags = X_WIN_WRITE,
	};
}

static void batch_end(void)
{
	output_submit();
	update_ready(false);
}

static const struct server_ops ops = {
	.call = call, .closure = closure, .cancel = cancel, .batch_end = batch_end,
};

void server_main(void)
{
	pm = boot_handle("pm");
	driver = boot_handle("uart16550");
	if (driver == X_NO_HANDLE || pm == X_NO_HANDLE)
		server_die("the manifest must let it use uart16550 and pm");
	line_init();
	output_init(driver);
	line_retry.fn = line_read;
	line_read(NULL);
	server_run(&ops);
}
