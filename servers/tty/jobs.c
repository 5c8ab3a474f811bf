/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Job control: POSIX.1-2017 chapter 11.1, credentials of callers from pm by
 * koid, which nobody can forge. Signals go out through pm, too.
 */
#include "proto/pm.h"
#include "terminal.h"

static x_handle_t pm = X_NO_HANDLE;

void jobs_init(x_handle_t handle)
{
	pm = handle;
}

/* ---- asking and signalling ---- */

static void who_answered(void *ctx, const struct x_in *reply)
{
	struct request *r = ctx;

	if (reply->msg.status == 0) {
		r->known = true;
		r->pid = (uint32_t)reply->msg.a[0];
		r->pgrp = (uint32_t)(reply->msg.a[0] >> 32);
		r->sid = (uint32_t)reply->msg.a[1];
		r->uid = (uint32_t)reply->msg.a[2];
		r->orphaned = reply->msg.a[3] & 1;
	}
	if (r->cancelled)
		request_end(r, -X_EINTR);
	else
		request_run(r);
}

void jobs_ask(struct request *r)
{
	struct x_out *o;

	r->state = ASKING;
	o = out_start(pm, who_answered, r, NULL);
	o->msg.op = PMCTL_WHO;
	o->msg.a[0] = r->in.msg.op == DEV_OPEN ? r->in.msg.a[2] : r->in.account;
}

static void signal_group(uint32_t pgrp, uint32_t signal, reply_fn done, void *ctx)
{
	struct x_out *o = out_start(pm, done, ctx, NULL);

	o->msg.op = PMCTL_SIGNAL_PGRP;
	o->msg.a[0] = pgrp;
	o->msg.a[1] = signal;
}

void jobs_signal(const struct terminal *t, uint32_t signal)
{
	if (t->pgrp)
		signal_group(t->pgrp, signal, NULL, NULL);
}

/* ---- the background ---- */

static bool in_background(const struct request *r)
{
	const struct terminal *t = r->terminal;

	return r->sid && r->sid == t->sid && t->pgrp && r->pgrp != t->pgrp;
}

/* The signal is on its way; the call is made again when its default or handler
 * is done with. */
static void stop_sent(void *ctx, const struct x_in *reply)
{
	struct request *r = ctx;

	request_end(r, reply->msg.status < 0 ? -X_EIO : -X_EINTR);
}

static void stop_caller(struct request *r, uint32_t signal)
{
	r->state = SIGNALLING;
	signal_group(r->pgrp, signal, stop_sent, r);
}

bool jobs_check_read(struct request *r)
{
	if (!in_background(r))
		return true;
	if (r->in.msg.status & FILE_NO_TTIN || r->orphaned)
		request_end(r, -X_EIO);
	else
		stop_caller(r, SIGTTIN_);
	return false;
}

/* Writes under TOSTOP, and what changes the terminal. */
bool jobs_check_change(struct request *r)
{
	if (!in_background(r) || r->in.msg.status & FILE_NO_TTOU)
		return true;
	if (r->orphaned)
		request_end(r, -X_EIO);
	else
		stop_caller(r, SIGTTOU_);
	return false;
}

/* ---- sessions ---- */

struct terminal *jobs_terminal_of(uint32_t sid)
{
	for (struct terminal *t = terminals; sid && t < terminals + TERMINALS_MAX; t++)
		if (t->used && t->sid == sid)
			return t;
	return NULL;
}

/* For /proc: what the terminal of session `sid` is now. */
static void tell_pm(const struct terminal *t, uint32_t sid)
{
	struct x_out *o = out_start(pm, NULL, NULL, NULL);
	uint32_t number = terminal_number(t);

	o->msg.op = PMCTL_SESSION_TTY;
	o->msg.a[0] = sid;
	o->msg.a[1] = !t->sid ? 0 : t->pty ? PTS_RDEV | (number - 1) : SERIAL_RDEV;
	o->msg.a[2] = t->pgrp;
}

void jobs_take(struct terminal *t, const struct request *r)
{
	if (t->sid && t->sid != r->sid) {
		uint32_t robbed = t->sid;

		t->sid = t->pgrp = 0;
		tell_pm(t, robbed);
	}
	t->sid = r->sid;
	t->pgrp = r->pgrp;
	tell_pm(t, t->sid);
}

/* Only a leader without a terminal gets one, and none that is another
 * session's, unless the superuser says so (ioctl_tty(2)). */
void jobs_set_controlling(struct request *r)
{
	struct terminal *t = r->terminal, *has = jobs_terminal_of(r->sid);
	bool steal = r->in.msg.a[1] == 1 && r->uid == 0;

	if (r->known && r->pid == r->sid && t->sid == r->sid) {
		request_end(r, 0);
	} else if (!r->known || r->pid != r->sid || has || (t->sid && !steal)) {
		request_end(r, -X_EPERM);
	} else {
		jobs_take(t, r);
		request_end(r, 0);
	}
}

static void group_known(void *ctx, const struct x_in *reply)
{
	struct request *r = ctx;
	struct terminal *t = r->terminal;
	uint32_t pgrp = (uint32_t)r->seen;

	if (reply->msg.status < 0) {
		request_end(r, -X_ESRCH);
	} else if ((uint32_t)reply->msg.a[0] != t->sid) {
		request_end(r, -X_EPERM);
	} else {
		t->pgrp = pgrp;
		tell_pm(t, t->sid);
		request_end(r, 0);
	}
}

void jobs_set_group(struct request *r)
{
	struct terminal *t = r->terminal;
	struct x_out *o;
	int32_t pgrp;

	if (!r->in.win_count || window_read(r->in.id, 0, 0, &pgrp, sizeof(pgrp)) != sizeof(pgrp)) {
		request_end(r, -X_EFAULT);
	} else if (!r->sid || r->sid != t->sid) {
		request_end(r, -X_ENOTTY);
	} else if (pgrp < 0) {
		request_end(r, -X_EINVAL);
	} else {
		r->state = SIGNALLING;
		r->seen = (uint32_t)pgrp;
		o = out_start(pm, group_known, r, NULL);
		o->msg.op = PMCTL_PGRP_INFO;
		o->msg.a[0] = (uint32_t)pgrp;
	}
}

static void forget(struct terminal *t)
{
	uint32_t sid = t->sid;

	t->sid = t->pgrp = 0;
	if (sid)
		tell_pm(t, sid);
}

/* TIOCNOTTY: a leader gives it up for its whole session. */
void jobs_give_up(struct request *r)
{
	struct terminal *t = r->terminal;

	if (!r->sid || r->sid != t->sid) {
		request_end(r, -X_ENOTTY);
		return;
	}
	if (r->pid == r->sid) {
		jobs_signal(t, SIGHUP_);
		jobs_signal(t, SIGCONT_);
		forget(t);
	}
	request_end(r, 0);
}

void jobs_hangup(struct terminal *t)
{
	struct x_out *o;

	if (!t->sid)
		return;
	o = out_start(pm, NULL, NULL, NULL);
	o->msg.op = PMCTL_SESSION_HANGUP;
	o->msg.a[0] = t->sid;
	o->msg.a[1] = t->pgrp;
	forget(t);
}

/* The leader of session `sid` is gone, and with it the session's claim: what
 * it left behind must not take the console's next session's input. A
 * pseudo-terminal goes on as nobody's, as in Linux. */
void jobs_session_end(const struct x_in *in)
{
	uint32_t sid = (uint32_t)in->msg.a[0];
	struct terminal *t = jobs_terminal_of(sid);

	out_status(in->id, 0);
	if (!sid) /* a new pm: its numbers begin again, and would be taken for those of the old */
		for (struct terminal *each = terminals; each < terminals + TERMINALS_MAX; each++)
			forget(each);
	if (!t)
		return;
	jobs_signal(t, SIGHUP_);
	if (!t->pty)
		jobs_signal(t, SIGCONT_);
	forget(t);
	if (t->pty)
		return;
	line_flush_input(t);
	requests_fail(t, sid, -X_EIO);
}
