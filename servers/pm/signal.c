/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: who may send which to whom, and what pm does itself. Kill, stop and
 * continue are done here, without the help of the process; every other signal
 * is a notification bit, and the process's personality does the rest.
 */
#include "servers/pm/pm.h"

bool signal_allowed(const struct proc *from, const struct proc *to, uint32_t signal)
{
	const struct pm_ids *f = &from->ids, *t = &to->ids;

	if (f->euid == 0 || f->euid == t->uid || f->euid == t->suid || f->uid == t->uid ||
	    f->uid == t->suid)
		return true;
	return signal == SIGNAL_CONT && f->sid == t->sid;
}

void signal_parent(struct proc *child, int code, int status)
{
	struct proc *parent = child->parent;
	struct signal_info info = { code, child->ids.pid, child->ids.uid, (uint32_t)status };

	uint32_t signal = code >= CHILD_STOPPED ? SIGNAL_CHLD : child->exit_signal;

	if (!parent)
		return;
	if (signal && proc_alive(parent) && !(code >= CHILD_STOPPED && (parent->children & PM_CHILDREN_NO_STOP)))
		signal_post(parent, 0, signal, &info);
	waits_check(parent);
}

static void stop(struct proc *p, uint32_t signal)
{
	if (p->state != PROC_RUNNING)
		return;
	proc_enter(p, PROC_STOPPED);
	out_do(X_SYS_proc_suspend, p->process, 1, 0, 0, 0);
	p->stop_signal = signal;
	p->report_stop = true;
	p->report_continue = false;
	signal_parent(p, CHILD_STOPPED, (int)signal);
}

void signal_unstop(struct proc *p)
{
	proc_enter(p, PROC_RUNNING);
	p->report_stop = false;
	if (p->stop_call)
		out_status(p->stop_call, 0);
	p->stop_call = 0;
	out_do(X_SYS_proc_suspend, p->process, 0, 0, 0, 0);
}

static void resume(struct proc *p)
{
	if (p->state != PROC_STOPPED)
		return;
	signal_unstop(p);
	p->report_continue = true;
	signal_parent(p, CHILD_CONTINUED, SIGNAL_CONT);
}

/* thread: the kernel's number, 0: the process. The sender's right was checked. */
void signal_post(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info)
{
	signal_post_of(NO_TIMER, p, thread, signal, info);
}

void signal_post_of(int32_t timer, struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info)
{
	if (!proc_alive(p) || signal == 0 || signal > SIGNAL_MAX)
		return;
	switch (signal) {
	case SIGNAL_KILL:
		if (!proc_is_init(p))
			proc_kill(p, SIGNAL_KILL);
		return;
	case SIGNAL_STOP:
		if (!proc_is_init(p) && !(p->ids.traced && traced_posts(p, thread, signal, info)))
			stop(p, SIGNAL_STOP);
		return;
	case SIGNAL_CONT:
		resume(p);
		if (p->ids.traced)
			traced_posts(p, thread, signal, info);
		break;
	}
	post(p, thread, signal, info, timer);
}

void pgrp_signal(uint32_t pgrp, uint32_t signal, const struct signal_info *info)
{
	for_each_proc(p)
		if (proc_alive(p) && p->ids.pgrp == pgrp)
			signal_post(p, 0, signal, info);
}

/* ---- kill ---- */

static struct signal_info info_from(const struct proc *sender, int code)
{
	return (struct signal_info){ code, sender->ids.pid, sender->ids.uid, 0 };
}

static bool acts_here(uint32_t signal)
{
	return signal == SIGNAL_KILL || signal == SIGNAL_STOP;
}

static bool kill_means(const struct proc *sender, int32_t who, const struct proc *p)
{
	if (!proc_visible(p))
		return false;
	if (who > 0) /* any of its threads names a process */
		return p->ids.pid == (uint32_t)who || thread_number(p, (uint32_t)who);
	if (who == 0)
		return p->ids.pgrp == sender->ids.pgrp;
	if (who == -1)
		return p != sender && !proc_is_init(p);
	return p->ids.pgrp == (uint32_t)-who;
}

void kill_call(struct proc *p, const struct x_in *in)
{
	int32_t who = (int32_t)in->msg.a[0];
	uint64_t signal = in->msg.a[1];
	struct signal_info info = info_from(p, in->msg.a[2] == 1 ? (int)in->msg.a[3] : INFO_USER);
	int result = -X_ESRCH;
	bool self = false;

	if (in->msg.a[2] == 1)
		info.value = in->msg.a[4];

	if (signal > SIGNAL_MAX || who == INT32_MIN) {
		out_status(in->id, signal > SIGNAL_MAX ? -X_EINVAL : -X_ESRCH);
		return;
	}
	for_each_proc(q) {
		if (!kill_means(p, who, q))
			continue;
		if (!signal_allowed(p, q, (uint32_t)signal)) {
			if (result != 0)
				result = -X_EPERM;
			continue;
		}
		result = signal >= SIGNAL_QUEUED && signals_full() ? -X_EAGAIN : 0;
		if (q == p)
			self = true;
		else
			signal_post(q, 0, (uint32_t)signal, &info);
	}
	if (self && !acts_here((uint32_t)signal)) /* it is there when the call returns */
		signal_post(p, 0, (uint32_t)signal, &info);
	out_status(in->id, result);
	if (self && acts_here((uint32_t)signal)) /* last: it may end or stop the caller */
		signal_post(p, 0, (uint32_t)signal, &info);
}

void tgkill_call(struct proc *p, const struct x_in *in)
{
	struct proc *to = proc_by_pid((uint32_t)in->msg.a[0]);
	uint32_t tid = (uint32_t)in->msg.a[1], thread = 0;
	uint64_t signal = in->msg.a[2];
	struct signal_info info = info_from(p, in->msg.a[3] == 1 ? (int)in->msg.a[4] : INFO_TKILL);

	if (in->msg.a[3] == 1)
		info.value = in->msg.a[5];
	if (signal > SIGNAL_MAX || (int32_t)tid <= 0) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	if (to)
		thread = thread_number(to, tid);
	if (!to || !thread || !signal_allowed(p, to, (uint32_t)signal)) {
		out_status(in->id, to && thread ? -X_EPERM : -X_ESRCH);
		return;
	}
	if (signal >= SIGNAL_QUEUED && (signals_full() || signals_queued(to) >= p->rlimit[RLIMIT_SIGPENDING].soft)) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	if (!acts_here((uint32_t)signal))
		signal_post(to, thread, (uint32_t)signal, &info);
	out_status(in->id, 0);
	if (acts_here((uint32_t)signal))
		signal_post(to, thread, (uint32_t)signal, &info);
}

/* The default action "stop" of a signal that the personality took. */
void stop_self_call(struct proc *p, const struct x_in *in)
{
	uint64_t signal = in->msg.a[0];

	if (signal == 0 || signal > SIGNAL_MAX) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	/* Nobody could continue it: only SIGSTOP stops such a process. */
	if (proc_is_init(p) || p->stop_call || p->state != PROC_RUNNING ||
	    (signal != SIGNAL_STOP && pgrp_orphaned(p->ids.pgrp, NULL))) {
		out_status(in->id, 0);
		return;
	}
	p->stop_call = in->id;
	stop(p, (uint32_t)signal);
}
