/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals: who may send which to whom, and what pm does itself. Kill, stop and
 * continue are done here, without the help of the process; every other signal
 * is a notification bit, and the process's personality does the rest.
 */
#include "lib/c/slots.h"
#include "servers/pm/pm.h"

bool signal_allowed(const struct proc *from, const struct proc *to, uint32_t signal)
{
	const struct pm_ids *f = &from->ids, *t = &to->ids;

	if (f->euid == 0 || f->euid == t->uid || f->euid == t->suid || f->uid == t->uid ||
	    f->uid == t->suid)
		return true;
	return signal == SIGNAL_CONT && f->sid == t->sid;
}

/* ---- what goes with a signal ----
 * Of one below SIGNAL_QUEUED only the first is told, until it is taken. */

enum { QUEUED_MAX = 4096, RLIMIT_SIGPENDING = 11 };

static struct queued {
	struct proc *proc;       /* NULL: free */
	uint32_t signal, thread;
	uint64_t order;
	struct signal_info info;
} queue[QUEUED_MAX];
static uint64_t queue_order;
static uint32_t queue_used, queue_end; /* all from queue_end up are free */

#define for_each_queued(q) for (struct queued *q = queue; q < queue + queue_end; q++)

bool signals_full(void)
{
	return queue_used == QUEUED_MAX;
}

static void queue_add(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info)
{
	struct queued *at = SLOT_FIND(queue, queue_end, proc);

	if (!at)
		return;
	SLOT_TAKEN(queue, queue_end, at);
	*at = (struct queued){ p, signal, thread, ++queue_order, *info };
	queue_used++;
}

static void queue_remove(struct queued *q)
{
	q->proc = NULL;
	queue_used--;
	SLOTS_TRIM(queue, queue_end, proc);
}

void signals_drop(struct proc *p)
{
	for_each_queued(q)
		if (q->proc == p)
			queue_remove(q);
}

bool signal_queued(const struct proc *p, uint32_t signal, const struct signal_info *info)
{
	for_each_queued(q)
		if (q->proc == p && q->signal == signal && q->info.code == info->code && q->info.pid == info->pid)
			return true;
	return false;
}

static uint64_t queued_count(const struct proc *p)
{
	uint64_t count = 0;

	for_each_queued(q)
		count += q->proc == p;
	return count;
}

/* The oldest for the thread itself, or else for the process. */
static struct queued *queue_first(const struct proc *p, uint32_t thread, uint32_t signal)
{
	struct queued *first = NULL;

	for_each_queued(q) {
		if (q->proc != p || q->signal != signal || (q->thread && q->thread != thread))
			continue;
		if (!first || (q->thread && !first->thread) ||
		    (!q->thread == !first->thread && q->order < first->order))
			first = q;
	}
	return first;
}

/* At once, not at the commit, for the result counts: should pm die before that,
 * the signal is posted twice, which is once unless it was taken meanwhile. */
static int notify(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info)
{
	int64_t was = x_notify_post(p->process, thread, signal_bit(signal));

	if (signal >= SIGNAL_QUEUED && (was == SIGNAL_SENT || was == SIGNAL_WAS_PENDING))
		queue_add(p, thread, signal, info);
	else if (was == SIGNAL_SENT)
		p->info[signal] = *info;
	return was < 0 ? SIGNAL_IGNORED : (int)was;
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

static void resume(struct proc *p)
{
	if (p->state != PROC_STOPPED)
		return;
	proc_enter(p, PROC_RUNNING);
	p->report_stop = false;
	p->report_continue = true;
	if (p->stop_call)
		out_status(p->stop_call, 0);
	p->stop_call = 0;
	out_do(X_SYS_proc_suspend, p->process, 0, 0, 0, 0);
	signal_parent(p, CHILD_CONTINUED, SIGNAL_CONT);
}

/* thread: the kernel's number, 0: the process. The sender's right was checked. */
int signal_post(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info)
{
	if (!proc_alive(p) || signal == 0 || signal > SIGNAL_MAX)
		return SIGNAL_IGNORED;
	switch (signal) {
	case SIGNAL_KILL:
		if (!proc_is_init(p))
			proc_kill(p, SIGNAL_KILL);
		return SIGNAL_SENT;
	case SIGNAL_STOP:
		if (!proc_is_init(p))
			stop(p, SIGNAL_STOP);
		return SIGNAL_SENT;
	case SIGNAL_CONT:
		resume(p);
		break;
	}
	return notify(p, thread, signal, info);
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
	out_status(in->id, result);
	if (self) /* last: it may end or stop the caller */
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
	if (signal >= SIGNAL_QUEUED && (signals_full() || queued_count(to) >= p->rlimit[RLIMIT_SIGPENDING].soft)) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	out_status(in->id, 0);
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

void siginfo_call(struct proc *p, const struct x_in *in)
{
	uint64_t signal = in->msg.a[0];
	uint32_t thread = (uint32_t)in->msg.a[1];
	const struct signal_info *i;
	struct queued *q = NULL;
	struct x_msg msg = { 0 };

	if (signal == 0 || signal > SIGNAL_MAX) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	if (signal >= SIGNAL_QUEUED) {
		q = queue_first(p, thread, (uint32_t)signal);
		if (!q) {
			out_status(in->id, -X_EAGAIN);
			return;
		}
	}
	i = q ? &q->info : &p->info[signal];
	msg.a[0] = (uint64_t)(int64_t)i->code;
	msg.a[1] = i->pid;
	msg.a[2] = i->uid;
	msg.a[3] = i->value;
	out_answer(in->id, &msg);
	if (!q)
		return;
	queue_remove(q);
	q = queue_first(p, thread, (uint32_t)signal);
	if (q)
		x_notify_post(p->process, q->thread, signal_bit((uint32_t)signal));
}

void sigflush_call(struct proc *p, const struct x_in *in)
{
	for_each_queued(q)
		if (q->proc == p && (in->msg.a[0] & signal_bit(q->signal)))
			queue_remove(q);
	out_status(in->id, 0);
}
