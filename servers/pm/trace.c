/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptrace: who traces whom, and the stops.
 *
 * A thread that is traced stops by itself: its personality says why (PM_TRACE_STOP), and the
 * answer to that call lets it go on. What the tracer wants of it meanwhile (registers, memory) is
 * carried to it and back (PM_TRACE_ASK, _REPLY): pm looks into neither. One that runs is made to
 * look here by the notification of SIGSTOP, whose meaning is kept here (`due`, `stop_sent`).
 *
 *   running --PM_TRACE_STOP--> stopped, told to wait --PM_TRACE_RESUME--> running
 *                               | ^
 *           PM_TRACE_REQUEST -> asked: ask_call is set, stop_call is not
 *
 * One whose tracer is not its parent ends for both: for the tracer its record stays until told.
 */
#include "lib/c/slots.h"
#include "servers/pm/pm.h"

enum { TRACEES_MAX = 512, TRAP = 5 };

/* What one that looks here because of SIGSTOP's notification stops for. */
enum due { DUE_NOTHING, DUE_TRAP /* PTRACE_INTERRUPT, or traced from birth */, DUE_GROUP, DUE_EXEC };

static struct tracee {
	struct proc *tracer;     /* NULL: free */
	struct proc *proc;       /* NULL: it has ended, and the tracer is to be told */
	uint32_t tid;
	uint32_t options;
	bool seized;
	bool stop_sent;          /* SIGSTOP was sent to it, and not seen yet */
	bool stopped;
	bool news;               /* status was not told by wait yet */
	bool listening;          /* PTRACE_LISTEN */
	bool continued;          /* SIGCONT came while it was stopped with its group */
	bool at_exec;            /* stopped so */
	enum due due;
	uint32_t due_signal;     /* DUE_GROUP */
	int32_t status;          /* as wait4 gives it */
	uint64_t message;
	uint64_t stop_call;      /* its call that waits; 0: it runs, or was asked */
	uint64_t ask_call;       /* of the tracer, which it was asked to serve; 0: none */
	uint64_t mode, signal;   /* of its last, or a held, resumption */
	struct proc *vfork;      /* its child that has its memory */
	bool held;               /* resumed, but vfork is not over */
} tracees[TRACEES_MAX];
static uint32_t tracees_end; /* all from here up are free */

#define for_each_tracee(t) for (struct tracee *t = tracees; t < tracees + tracees_end; t++)

static struct tracee *tracee_of(const struct proc *p, uint32_t tid)
{
	for_each_tracee(t)
		if (t->tracer && t->proc == p && t->tid == tid)
			return t;
	return NULL;
}

static struct tracee *traced_by(const struct proc *tracer, uint32_t tid)
{
	for_each_tracee(t)
		if (t->tracer == tracer && t->proc && t->tid == tid)
			return t;
	return NULL;
}

static void tracee_free(struct tracee *t)
{
	t->tracer->traces--;
	t->tracer = NULL;
	SLOTS_TRIM(tracees, tracees_end, tracer);
}

/* The process has one traced thread less. */
static void untie(struct tracee *t)
{
	t->proc->ids.traced--;
	ids_publish(t->proc);
	t->proc = NULL;
}

static void look(struct tracee *t)
{
	out_do(X_SYS_notify_post, t->proc->process, thread_number(t->proc, t->tid), signal_bit(SIGNAL_STOP), 0, 0);
}

static void let_go(uint64_t call, uint64_t mode, uint64_t signal, bool at_exec)
{
	struct x_msg msg = { .a = { PM_TRACE_GO, mode, signal, at_exec } };

	out_answer(call, &msg);
}

static void tell(struct tracee *t)
{
	struct signal_info info = { CHILD_TRAPPED, t->tid, t->proc ? t->proc->ids.uid : 0, (uint32_t)t->status >> 8 };

	t->news = true;
	if (proc_alive(t->tracer) && !(t->tracer->children & PM_CHILDREN_NO_STOP))
		signal_post(t->tracer, 0, SIGNAL_CHLD, &info);
	waits_check(t->tracer);
}

static struct tracee *tracee_new(struct proc *tracer, struct proc *p, uint32_t tid, uint32_t options, bool seized)
{
	struct tracee *t = SLOT_FIND(tracees, tracees_end, tracer);

	if (!t)
		return NULL;
	SLOT_TAKEN(tracees, tracees_end, t);
	*t = (struct tracee){ .tracer = tracer, .proc = p, .tid = tid, .options = options, .seized = seized,
			      .mode = TRACE_CONT };
	tracer->traces++;
	p->ids.traced++;
	ids_publish(p);
	return t;
}

/* ---- the beginning ---- */

static void trace_me(struct proc *p, const struct x_in *in)
{
	uint32_t tid = (uint32_t)in->msg.a[1];
	bool good = p->parent && thread_number(p, tid) && !tracee_of(p, tid);

	if (!good)
		out_status(in->id, -X_EPERM);
	else
		out_status(in->id, tracee_new(p->parent, p, tid, 0, false) ? 0 : -X_EAGAIN);
}

static void attach(struct proc *tracer, const struct x_in *in)
{
	uint32_t tid = (uint32_t)in->msg.a[1];
	struct proc *p = proc_by_any_id(tid);
	bool seize = in->msg.a[2] != 0;
	struct tracee *t;

	if (!p || !proc_alive(p)) {
		out_status(in->id, -X_ESRCH);
		return;
	}
	if (p == tracer || !may_look_into(tracer, p) || tracee_of(p, tid)) {
		out_status(in->id, -X_EPERM);
		return;
	}
	t = tracee_new(tracer, p, tid, (uint32_t)in->msg.a[3], seize);
	if (!t) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	t->stop_sent = !seize;
	if (p->state == PROC_STOPPED) { /* from now on it is stopped by the tracer, who waits for that */
		t->due = seize ? DUE_GROUP : DUE_NOTHING;
		t->due_signal = p->stop_signal;
		t->ask_call = in->id;
		signal_unstop(p);
	} else {
		out_status(in->id, 0);
	}
	if (t->stop_sent || t->due)
		look(t);
}

void trace_born(struct proc *parent, uint32_t maker, struct proc *child, uint32_t tid, enum pm_trace_event how)
{
	struct tracee *of = tracee_of(parent, maker), *t;

	if (!of || !(of->options & 1u << how))
		return;
	t = tracee_new(of->tracer, child, tid, of->options, of->seized);
	if (!t)
		return;
	t->due = t->seized ? DUE_TRAP : DUE_NOTHING;
	t->stop_sent = !t->seized;
	look(t);
}

bool trace_holds_vfork(struct proc *parent, uint32_t tid, struct proc *child)
{
	struct tracee *t = tracee_of(parent, tid);

	if (!t || !(t->options & 1u << TRACE_VFORK))
		return false;
	t->vfork = child;
	return true;
}

/* ---- stops ---- */

/* 0: no stop is due. */
static uint32_t looked(struct tracee *t)
{
	enum due due = t->due;

	t->due = DUE_NOTHING;
	if (due != DUE_NOTHING && t->stop_sent)
		look(t); /* again, for that */
	switch (due) {
	case DUE_TRAP:
		return TRAP | TRACE_EVENT_STOP << 8;
	case DUE_GROUP:
		return t->due_signal | TRACE_EVENT_STOP << 8;
	case DUE_EXEC:
		t->at_exec = true;
		return t->options & 1u << TRACE_EXEC ? TRAP | TRACE_EXEC << 8 : TRAP;
	case DUE_NOTHING:
		break;
	}
	if (!t->stop_sent)
		return 0;
	t->stop_sent = false;
	return SIGNAL_STOP;
}

/* What the tracer is to be told, without the 0x7f; 0: nothing, it goes on. */
static uint32_t reason(struct tracee *t, const struct x_msg *msg)
{
	uint32_t value = (uint32_t)msg->a[3], event = (uint32_t)msg->a[4];

	switch (msg->a[2]) {
	case PM_TRACE_SIGNAL:
		return value == SIGNAL_STOP ? looked(t) : value & 0x7f;
	case PM_TRACE_GROUP:
		return t->seized ? (value & 0x7f) | TRACE_EVENT_STOP << 8 : value & 0x7f;
	case PM_TRACE_CALL:
		return t->options & TRACE_OPT_SYSGOOD ? TRAP | 0x80 : TRAP;
	}
	if (event > TRACE_EXIT || !(t->options & TRACE_OPT_EVENTS & 1u << event))
		return 0;
	t->message = msg->a[3];
	return TRAP | event << 8;
}

static void stop_call(struct proc *p, const struct x_in *in)
{
	struct tracee *t = tracee_of(p, (uint32_t)in->msg.a[1]);
	uint32_t why;

	if (!t) {
		let_go(in->id, TRACE_DETACH, in->msg.a[2] == PM_TRACE_SIGNAL && in->msg.a[3] != SIGNAL_STOP ? in->msg.a[3] : 0,
		       false);
		return;
	}
	why = reason(t, &in->msg);
	if (!why) {
		let_go(in->id, t->mode, 0, false);
		return;
	}
	if (t->due == DUE_TRAP)
		t->due = DUE_NOTHING; /* any stop will do */
	t->status = (int32_t)(why << 8 | 0x7f);
	t->stopped = true;
	t->continued = false;
	t->stop_call = in->id;
	if (t->ask_call) /* to attach to one that was stopped */
		out_status(t->ask_call, 0);
	t->ask_call = 0;
	tell(t);
}

/* Again, of one that is stopped: SIGCONT or PTRACE_INTERRUPT came while it listened. */
static void stop_anew(struct tracee *t)
{
	t->listening = t->continued = false;
	t->status = (TRAP | TRACE_EVENT_STOP << 8) << 8 | 0x7f;
	tell(t);
}

static bool group_stopped(const struct tracee *t)
{
	uint32_t signal = (uint32_t)t->status >> 8 & 0xff;

	return t->stopped && t->status >> 16 == TRACE_EVENT_STOP && signal != TRAP;
}

bool traced_posts(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info)
{
	for_each_tracee(t) {
		if (!t->tracer || t->proc != p)
			continue;
		if (signal == SIGNAL_STOP && (!thread || thread == thread_number(p, t->tid))) {
			p->info[SIGNAL_STOP] = *info;
			t->stop_sent = true;
			look(t);
			return true; /* the others stop when it is delivered */
		}
		if (signal != SIGNAL_CONT)
			continue;
		t->stop_sent = false;
		if (t->due == DUE_GROUP)
			t->due = DUE_TRAP;
		if (t->listening)
			stop_anew(t);
		else
			t->continued |= group_stopped(t);
	}
	return false;
}

/* ---- going on ---- */

static void go_on(struct tracee *t)
{
	t->stopped = t->listening = t->news = t->held = false;
	if (t->stop_call)
		let_go(t->stop_call, t->mode, t->signal, t->at_exec);
	t->stop_call = 0;
	t->at_exec = false;
}

static void resume(struct tracee *t, uint64_t mode, uint64_t signal)
{
	t->mode = mode;
	t->signal = signal;
	if (t->vfork && mode != TRACE_DETACH) {
		t->held = true;
		t->stopped = t->news = false;
	} else {
		go_on(t);
	}
}

void trace_vfork_done(struct proc *child)
{
	for_each_tracee(t) {
		if (!t->tracer || t->vfork != child)
			continue;
		t->vfork = NULL;
		if (t->held)
			go_on(t);
	}
}

/* It is no longer traced. */
static void release(struct tracee *t, uint64_t signal)
{
	if (t->proc && t->vfork && t->stop_call) {
		t->vfork->vfork_call = t->stop_call; /* as if it had never been traced */
		t->stop_call = 0;
		t->vfork = NULL;
	}
	if (t->ask_call)
		out_status(t->ask_call, -X_ESRCH);
	t->ask_call = 0;
	if (t->proc) {
		struct proc *p = t->proc;
		bool stop = signal == SIGNAL_STOP || t->stop_sent;
		struct signal_info info = { .code = INFO_KERNEL };

		t->mode = TRACE_DETACH;
		t->signal = signal == SIGNAL_STOP ? 0 : signal;
		go_on(t);
		untie(t);
		if (stop)
			signal_post(p, 0, SIGNAL_STOP, &info);
	}
	tracee_free(t);
}

static void resume_call(struct proc *tracer, const struct x_in *in)
{
	struct tracee *t = traced_by(tracer, (uint32_t)in->msg.a[1]);
	uint64_t how = in->msg.a[2], signal = in->msg.a[3];
	struct signal_info info = { INFO_USER, tracer->ids.pid, tracer->ids.uid, 0 };
	bool always = how == TRACE_KILL || how == TRACE_INTERRUPT;

	if (!t || !(always || (t->stopped && t->stop_call)) || (how == TRACE_INTERRUPT && !t->seized)) {
		out_status(in->id, t && how == TRACE_INTERRUPT ? -X_EIO : -X_ESRCH);
		return;
	}
	if ((!always && signal > SIGNAL_MAX) || (how == TRACE_LISTEN && !(t->seized && t->status >> 16 == TRACE_EVENT_STOP))) {
		out_status(in->id, -X_EIO);
		return;
	}
	out_status(in->id, 0);
	switch (how) {
	case TRACE_KILL:
		signal_post(t->proc, 0, SIGNAL_KILL, &info);
		return;
	case TRACE_INTERRUPT:
		if (t->listening) {
			stop_anew(t);
		} else if (!t->stopped && !t->due) {
			t->due = DUE_TRAP;
			look(t);
		}
		return;
	case TRACE_LISTEN:
		t->listening = true;
		t->news = false;
		if (t->continued)
			stop_anew(t);
		return;
	case TRACE_DETACH:
		release(t, signal);
		return;
	}
	resume(t, how, signal);
}

/* ---- what the tracer wants of it ---- */

static void carry(uint64_t from, uint64_t to, uint64_t bytes)
{
	uint8_t part[PM_TRACE_BYTES];
	int64_t got;

	if (!bytes)
		return;
	got = window_read(from, 0, 0, part, bytes < sizeof(part) ? bytes : sizeof(part));
	if (got > 0)
		window_write(to, 0, 0, part, (size_t)got);
}

static void request_call(struct proc *tracer, const struct x_in *in)
{
	struct tracee *t = traced_by(tracer, (uint32_t)in->msg.a[1]);
	struct x_msg msg = { .a = { PM_TRACE_ASK, in->msg.a[2], in->msg.a[3], in->msg.a[4], in->msg.a[5] } };

	if (!t || !t->stopped || t->listening || !t->stop_call) {
		out_status(in->id, t && t->ask_call ? -X_EBUSY : -X_ESRCH);
		return;
	}
	carry(in->id, t->stop_call, in->msg.a[5]);
	msg.a[5] = (uint32_t)t->status;
	t->ask_call = in->id;
	out_answer(t->stop_call, &msg);
	t->stop_call = 0;
}

static void reply_call(struct proc *p, const struct x_in *in)
{
	struct tracee *t = tracee_of(p, (uint32_t)in->msg.a[1]);
	struct x_msg msg = { .status = (int32_t)in->msg.a[2], .a = { in->msg.a[3] } };

	if (!t || !t->stopped || t->stop_call) { /* nobody waits for it any more */
		let_go(in->id, TRACE_DETACH, 0, false);
		return;
	}
	t->stop_call = in->id;
	if (!t->ask_call)
		return; /* the tracer has lost patience */
	if (msg.status > 0 || msg.status <= -512)
		msg.status = -X_EIO;
	if (msg.status == 0)
		carry(in->id, t->ask_call, in->msg.a[4]);
	out_answer(t->ask_call, &msg);
	t->ask_call = 0;
}

static void options_call(struct proc *tracer, const struct x_in *in)
{
	struct tracee *t = traced_by(tracer, (uint32_t)in->msg.a[1]);

	if (t && t->stopped)
		t->options = (uint32_t)in->msg.a[2];
	out_status(in->id, t && t->stopped ? 0 : -X_ESRCH);
}

static void message_call(struct proc *tracer, const struct x_in *in)
{
	struct tracee *t = traced_by(tracer, (uint32_t)in->msg.a[1]);

	if (t && t->stopped)
		answer_value(in->id, t->message);
	else
		out_status(in->id, -X_ESRCH);
}

void trace_call(struct proc *p, const struct x_in *in)
{
	static void (*const ops[])(struct proc *, const struct x_in *) = {
		[PM_TRACE_ME] = trace_me, [PM_TRACE_ATTACH] = attach, [PM_TRACE_RESUME] = resume_call,
		[PM_TRACE_OPTIONS] = options_call, [PM_TRACE_MESSAGE] = message_call,
		[PM_TRACE_REQUEST] = request_call, [PM_TRACE_STOP] = stop_call, [PM_TRACE_REPLY] = reply_call,
	};

	if (in->msg.a[0] < sizeof(ops) / sizeof(ops[0]))
		ops[in->msg.a[0]](p, in);
	else
		out_status(in->id, -X_EINVAL);
}

/* One of the two was killed. */
bool trace_cancel(uint64_t call_id)
{
	for_each_tracee(t) {
		if (!t->tracer || (t->ask_call != call_id && t->stop_call != call_id))
			continue;
		if (t->ask_call == call_id)
			t->ask_call = 0;
		else
			t->stop_call = 0;
		out_status(call_id, -X_EINTR);
		return true;
	}
	return false;
}

/* ---- wait, /proc ---- */

static bool is_meant(const struct tracee *t, int32_t who)
{
	if (who > 0)
		return t->tid == (uint32_t)who;
	return who == -1 || (t->proc && t->proc->ids.pgrp == (uint32_t)-who);
}

int trace_look(const struct proc *waiter, int32_t who, bool take, struct x_msg *msg)
{
	int result = -X_ECHILD;

	for_each_tracee(t) {
		if (t->tracer != waiter || !is_meant(t, who))
			continue;
		result = 0;
		if (!t->news)
			continue;
		*msg = (struct x_msg){ .a = { t->tid, (uint32_t)t->status, 0, 0, t->proc ? t->proc->ids.uid : 0, t->stopped } };
		if (!take)
			return 1;
		t->news = false;
		if (!t->proc)
			tracee_free(t);
		return 1;
	}
	return result;
}

uint32_t tracer_pid(const struct proc *p)
{
	for_each_tracee(t)
		if (t->tracer && t->proc == p)
			return t->tracer->ids.pid;
	return 0;
}

bool trace_stopped(const struct proc *p)
{
	const struct tracee *t = p->ids.traced ? tracee_of(p, p->ids.pid) : NULL;

	return t && t->stopped;
}

/* ---- exec and the end ---- */

/* For the tracer; for a child of its own the zombie is all it needs. */
static void ended(struct tracee *t, int32_t status)
{
	bool child = t->proc->parent == t->tracer && t->tid == t->proc->ids.pid;

	if (t->ask_call)
		out_status(t->ask_call, -X_ESRCH);
	t->ask_call = t->stop_call = 0;
	t->stopped = t->news = false;
	t->vfork = NULL;
	untie(t);
	if (child) {
		tracee_free(t);
		return;
	}
	t->status = status;
	tell(t);
}

/* The threads but one are gone, and that has the first one's id. */
void trace_exec(struct proc *p)
{
	for_each_tracee(t) {
		if (!t->tracer || t->proc != p)
			continue;
		if (t->tid != p->ids.pid) {
			ended(t, 0);
			continue;
		}
		t->stopped = t->held = false;
		t->stop_call = 0;
		t->message = p->ids.pid;
		if (!t->seized || (t->options & 1u << TRACE_EXEC)) {
			t->due = DUE_EXEC;
			out_do(X_SYS_notify_post, p->process, 1, signal_bit(SIGNAL_STOP), 0, 0);
		}
	}
}

void trace_thread_ended(struct proc *p, uint32_t tid)
{
	struct tracee *t = tracee_of(p, tid);

	if (t)
		ended(t, 0);
}

void trace_ended(struct proc *p)
{
	struct signal_info info = { .code = INFO_KERNEL };

	for_each_tracee(t) {
		if (t->tracer && t->proc == p)
			ended(t, p->wait_status);
		if (t->tracer != p)
			continue;
		if (t->proc && (t->options & TRACE_OPT_EXITKILL))
			signal_post(t->proc, 0, SIGNAL_KILL, &info);
		release(t, 0);
	}
}
