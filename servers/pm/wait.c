/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Waiting for children: PM_WAIT, answered at once or parked until a child
 * changes its state. A parked call is looked at again by waits_check().
 */
#include "lib/c/slots.h"
#include "servers/pm/pm.h"

/* options of wait4 and waitid */
#define WAIT_NOHANG    1u
#define WAIT_STOPPED   2u
#define WAIT_EXITED    4u
#define WAIT_CONTINUED 8u
#define WAIT_NOWAIT    0x1000000u
#define WAIT_ALL       0x40000000u /* whatever their exit signal is */
#define WAIT_CLONE     0x80000000u /* only those with another one than SIGCHLD */

static struct wait {
	uint64_t call_id;        /* 0: free */
	struct proc *waiter;
	int32_t who;             /* as wait4 has it; 0 was replaced by -group */
	uint32_t options;
	uint64_t order;
} waits[WAITS_MAX];

static uint64_t wait_order;
static uint32_t waits_end; /* all from here up are free */

#define for_each_wait(w) for (struct wait *w = waits; w < waits + waits_end; w++)

static void wait_free(struct wait *w)
{
	w->call_id = 0;
	SLOTS_TRIM(waits, waits_end, call_id);
}

void children_call(struct proc *p, const struct x_in *in)
{
	p->children = (uint32_t)in->msg.a[0];
	out_status(in->id, 0);
}

static bool is_meant(const struct wait *w, const struct proc *child)
{
	bool other = child->exit_signal != SIGNAL_CHLD;

	if (!proc_visible(child) || child->parent != w->waiter)
		return false;
	if (!(w->options & WAIT_ALL) && other != ((w->options & WAIT_CLONE) != 0))
		return false;
	if (w->who > 0)
		return child->ids.pid == (uint32_t)w->who;
	return w->who == -1 || child->ids.pgrp == (uint32_t)-w->who;
}

static void child_times(const struct proc *child, struct x_msg *msg)
{
	struct x_proc_info info;

	msg->a[2] = child->user_ns;
	msg->a[3] = child->system_ns;
	msg->a[6] = child->peak_kib > child->children_peak_kib ? child->peak_kib : child->children_peak_kib;
	if (child->state != PROC_ZOMBIE && x_proc_info(child->process, &info) >= 0) {
		msg->a[2] = info.cpu_user_ns;
		msg->a[3] = info.cpu_system_ns;
		msg->a[6] = info.peak_pages * (X_PAGE_SIZE / 1024);
	}
}

/* The child has news of a kind that w asks for: its wait status. */
static bool has_news(const struct wait *w, const struct proc *child, int *status)
{
	if (child->state == PROC_ZOMBIE && (w->options & WAIT_EXITED)) {
		*status = child->wait_status;
		return true;
	}
	if (child->report_stop && (w->options & WAIT_STOPPED)) {
		*status = 0x7f | (int)child->stop_signal << 8;
		return true;
	}
	if (child->report_continue && (w->options & WAIT_CONTINUED)) {
		*status = 0xffff;
		return true;
	}
	return false;
}

static void take_news(struct proc *child)
{
	if (child->state == PROC_ZOMBIE) {
		proc_reap(child);
		return;
	}
	child->report_stop = child->report_continue = false;
}

/* 1: msg is the answer. 0: children, but no news. -X_ECHILD: nobody to wait for. */
static int wait_look(const struct wait *w, struct x_msg *msg)
{
	int result = -X_ECHILD, status;

	if (w->waiter->traces)
		result = trace_look(w->waiter, w->who, !(w->options & WAIT_NOWAIT), msg);
	if (result > 0)
		return result;
	for_each_proc(child) {
		if (!is_meant(w, child))
			continue;
		result = 0;
		if (!has_news(w, child, &status))
			continue;
		*msg = (struct x_msg){ .a = { child->ids.pid, (uint64_t)status } };
		child_times(child, msg);
		msg->a[4] = child->ids.uid;
		if (!(w->options & WAIT_NOWAIT))
			take_news(child);
		return 1;
	}
	return result;
}

static void wait_park(const struct wait *wanted)
{
	struct wait *w = SLOT_FIND(waits, waits_end, call_id);

	if (!w) {
		out_status(wanted->call_id, -X_EAGAIN);
		return;
	}
	SLOT_TAKEN(waits, waits_end, w);
	*w = *wanted;
	w->order = ++wait_order;
}

void wait_call(struct proc *p, const struct x_in *in)
{
	struct wait w = { .call_id = in->id, .waiter = p, .who = (int32_t)in->msg.a[0],
			  .options = (uint32_t)in->msg.a[1] };
	struct x_msg msg = { 0 };
	int result;

	if (in->msg.a[2] != 1)
		w.options |= WAIT_EXITED;
	if (w.who == INT32_MIN || !(w.options & (WAIT_EXITED | WAIT_STOPPED | WAIT_CONTINUED))) {
		out_status(in->id, w.who == INT32_MIN ? -X_ESRCH : -X_EINVAL);
		return;
	}
	if (w.who == 0)
		w.who = -(int32_t)p->ids.pgrp;
	result = wait_look(&w, &msg);
	if (result < 0)
		out_status(in->id, result);
	else if (result > 0 || (w.options & WAIT_NOHANG))
		out_answer(in->id, &msg);
	else
		wait_park(&w);
}

static struct wait *oldest_after(const struct proc *waiter, uint64_t order)
{
	struct wait *found = NULL;

	for_each_wait(w)
		if (w->call_id && w->waiter == waiter && w->order > order &&
		    (!found || w->order < found->order))
			found = w;
	return found;
}

/* In the order in which they came, so that no waiter starves. */
void waits_check(struct proc *parent)
{
	struct wait *w = oldest_after(parent, 0);

	while (w) {
		uint64_t order = w->order;
		struct x_msg msg;
		int result = wait_look(w, &msg);

		if (result > 0)
			out_answer(w->call_id, &msg);
		else if (result < 0)
			out_status(w->call_id, result);
		if (result != 0)
			wait_free(w);
		w = oldest_after(parent, order);
	}
}

void waits_drop(struct proc *p)
{
	for_each_wait(w)
		if (w->waiter == p)
			wait_free(w);
}

bool wait_cancel(uint64_t call_id)
{
	for_each_wait(w) {
		if (w->call_id != call_id || !call_id)
			continue;
		wait_free(w);
		out_status(call_id, -X_EINTR);
		return true;
	}
	return false;
}
