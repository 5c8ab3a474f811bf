/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Process groups and sessions: the rules of setpgid(2) and setsid(2), when a
 * group is orphaned, and what tty asks about them.
 */
#include "proto/dev.h"
#include "servers/pm/pm.h"

struct proc *pgrp_member(uint32_t pgrp)
{
	for_each_proc(p)
		if (proc_alive(p) && p->ids.pgrp == pgrp)
			return p;
	return NULL;
}

/* One that is being killed counts until its death is reported. */
static bool is_member(const struct proc *p, uint32_t pgrp)
{
	return proc_visible(p) && p->state != PROC_ZOMBIE && p->ids.pgrp == pgrp;
}

/* No member has a parent outside the group but inside the session, who could
 * continue it. `without` counts as gone. */
bool pgrp_orphaned(uint32_t pgrp, const struct proc *without)
{
	for_each_proc(p) {
		const struct proc *parent = p->parent;

		if (!is_member(p, pgrp) || p == without)
			continue;
		if (parent && parent != without && parent->state != PROC_ZOMBIE &&
		    parent->ids.pgrp != pgrp && parent->ids.sid == p->ids.sid)
			return false;
	}
	return true;
}

bool pgrp_has_stopped(uint32_t pgrp)
{
	for_each_proc(p)
		if (p->state == PROC_STOPPED && p->ids.pgrp == pgrp)
			return true;
	return false;
}

static int setpgid_check(const struct proc *caller, const struct proc *p, uint32_t pgid)
{
	const struct proc *member = pgrp_member(pgid);

	if (p == NULL || !proc_alive(p) || (p != caller && p->parent != caller))
		return -X_ESRCH;
	if (p != caller && p->ids.sid != caller->ids.sid)
		return -X_EPERM;
	if (p != caller && p->execed)
		return -X_EACCES;
	if (p->ids.sid == p->ids.pid)
		return -X_EPERM;
	if (pgid != p->ids.pid && (!member || member->ids.sid != caller->ids.sid))
		return -X_EPERM;
	return 0;
}

void setpgid_call(struct proc *caller, const struct x_in *in)
{
	int32_t pid = (int32_t)in->msg.a[0], pgid = (int32_t)in->msg.a[1];
	struct proc *p = pid == 0 ? caller : proc_by_pid((uint32_t)pid);
	int err;

	if (pgid < 0) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	if (pgid == 0 && p)
		pgid = (int32_t)p->ids.pid;
	err = setpgid_check(caller, p, (uint32_t)pgid);
	if (err == 0) {
		p->ids.pgrp = (uint32_t)pgid;
		ids_publish(p);
	}
	out_status(in->id, err);
}

static const struct proc *named(const struct proc *caller, const struct x_in *in)
{
	return in->msg.a[0] == 0 ? caller : proc_by_pid((uint32_t)in->msg.a[0]);
}

void getpgid_call(struct proc *caller, const struct x_in *in)
{
	const struct proc *p = named(caller, in);

	if (p)
		answer_value(in->id, p->ids.pgrp);
	else
		out_status(in->id, -X_ESRCH);
}

void getsid_call(struct proc *caller, const struct x_in *in)
{
	const struct proc *p = named(caller, in);

	if (p)
		answer_value(in->id, p->ids.sid);
	else
		out_status(in->id, -X_ESRCH);
}

void setsid_call(struct proc *caller, const struct x_in *in)
{
	for_each_proc(p) {
		if (proc_visible(p) && p->ids.pgrp == caller->ids.pid) {
			out_status(in->id, -X_EPERM);
			return;
		}
	}
	caller->ids.pgrp = caller->ids.sid = caller->ids.pid;
	ids_publish(caller);
	answer_value(in->id, caller->ids.sid);
}

/* ---- with tty ---- */

static void session_end_told(void *ctx, const struct x_in *reply)
{
	(void)ctx; /* a tty that does not know the session has nothing to end */
	(void)reply;
}

static void tell_session_end(uint32_t sid)
{
	struct x_out *out;

	if (tty_port == X_NO_HANDLE)
		return;
	out = out_start(tty_port, session_end_told, NULL, NULL);
	out->msg.op = DEV_SESSION_END;
	out->msg.a[0] = sid;
}

void job_leader_died(const struct proc *p)
{
	tell_session_end(p->ids.sid);
}

void job_all_died(void)
{
	tell_session_end(0);
}

void who_call(const struct x_in *in)
{
	const struct proc *p = proc_by_koid(in->msg.a[0]);
	struct x_msg msg = { 0 };

	if (!p) {
		out_status(in->id, -X_ESRCH);
		return;
	}
	msg.a[0] = p->ids.pid | (uint64_t)p->ids.pgrp << 32;
	msg.a[1] = p->ids.sid;
	msg.a[2] = p->ids.uid;
	msg.a[3] = pgrp_orphaned(p->ids.pgrp, NULL);
	out_answer(in->id, &msg);
}

void signal_pgrp_call(const struct x_in *in)
{
	struct signal_info info = { .code = INFO_KERNEL };
	uint32_t pgrp = (uint32_t)in->msg.a[0];

	if (in->msg.a[1] > SIGNAL_MAX || pgrp == 0) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	out_status(in->id, pgrp_member(pgrp) ? 0 : -X_ESRCH);
	pgrp_signal(pgrp, (uint32_t)in->msg.a[1], &info);
}

void pgrp_info_call(const struct x_in *in)
{
	const struct proc *p = pgrp_member((uint32_t)in->msg.a[0]);
	struct x_msg msg = { 0 };

	if (!p) {
		out_status(in->id, -X_ESRCH);
		return;
	}
	msg.a[0] = p->ids.sid;
	msg.a[1] = pgrp_orphaned(p->ids.pgrp, NULL);
	out_answer(in->id, &msg);
}

void session_hangup_call(const struct x_in *in)
{
	struct signal_info info = { .code = INFO_KERNEL };
	struct proc *leader = proc_by_pid((uint32_t)in->msg.a[0]);
	uint32_t foreground = (uint32_t)in->msg.a[1];

	out_status(in->id, 0);
	if (leader && leader->ids.sid == leader->ids.pid) {
		signal_post(leader, 0, SIGNAL_HUP, &info);
		signal_post(leader, 0, SIGNAL_CONT, &info);
	}
	if (foreground) {
		pgrp_signal(foreground, SIGNAL_HUP, &info);
		pgrp_signal(foreground, SIGNAL_CONT, &info);
	}
}

void session_tty_call(const struct x_in *in)
{
	struct proc *leader = proc_by_pid((uint32_t)in->msg.a[0]);

	out_status(in->id, 0);
	if (!leader || leader->ids.sid != leader->ids.pid)
		return;
	leader->tty = (uint32_t)in->msg.a[1];
	leader->tty_pgrp = leader->tty ? (uint32_t)in->msg.a[2] : 0;
}

const struct proc *session_leader(const struct proc *p)
{
	const struct proc *leader = proc_by_pid(p->ids.sid);

	return leader && leader->ids.sid == leader->ids.pid ? leader : NULL;
}
