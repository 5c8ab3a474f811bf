/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Resource limits and use, priorities, counts. What limits have an effect is where
 * that is: CPU in timer.c, MSGQUEUE in mqueue.c, SIGPENDING in signal.c, NOFILE, FSIZE, STACK,
 * MEMLOCK and CORE in the personality. The others are kept and told.
 */
#include "servers/pm/pm.h"

#define UNLIMITED UINT64_MAX

void limits_default(struct proc *p)
{
	for (uint32_t i = 0; i < RLIMITS; i++)
		p->rlimit[i] = (struct rlimit_pair){ UNLIMITED, UNLIMITED };
	p->rlimit[RLIMIT_STACK].soft = 8ull << 20;
	p->rlimit[RLIMIT_MSGQUEUE] = (struct rlimit_pair){ 819200, 819200 };
	p->rlimit[RLIMIT_CORE].soft = 0;
	p->rlimit[RLIMIT_NPROC] = (struct rlimit_pair){ PROCS_MAX, PROCS_MAX };
	p->rlimit[RLIMIT_NOFILE] = (struct rlimit_pair){ X_SLOT_FD_END, X_SLOT_FD_END };
	p->rlimit[RLIMIT_NICE] = p->rlimit[RLIMIT_RTPRIO] = (struct rlimit_pair){ 0, 0 };
}

static int rlimit_set(const struct proc *caller, struct proc *p, uint32_t which, struct rlimit_pair new)
{
	struct rlimit_pair *limit = &p->rlimit[which];

	if (new.soft > new.hard)
		return -X_EINVAL;
	if (new.hard > limit->hard && caller->ids.euid != 0)
		return -X_EPERM;
	if (which == RLIMIT_NOFILE && new.hard > X_SLOT_FD_END)
		return -X_EPERM;
	*limit = new;
	return which == RLIMIT_CPU ? cpu_limit_watch(p) : 0;
}

void rlimit_call(struct proc *caller, const struct x_in *in)
{
	struct proc *p = in->msg.a[0] ? proc_by_pid((uint32_t)in->msg.a[0]) : caller;
	uint64_t which = in->msg.a[1];
	struct x_msg msg = { 0 };
	int err = 0;

	if (!p || !proc_alive(p))
		err = -X_ESRCH;
	else if (which >= RLIMITS)
		err = -X_EINVAL;
	else if (p != caller && caller->ids.euid != 0 && caller->ids.uid != p->ids.uid)
		err = -X_EPERM;
	if (!err) {
		msg.a[0] = p->rlimit[which].soft;
		msg.a[1] = p->rlimit[which].hard;
		if (in->msg.a[2] == 1)
			err = rlimit_set(caller, p, (uint32_t)which,
					 (struct rlimit_pair){ in->msg.a[3], in->msg.a[4] });
	}
	if (err) {
		out_status(in->id, err);
		return;
	}
	ids_publish(p);
	out_answer(in->id, &msg);
}

void rusage_call(struct proc *p, const struct x_in *in)
{
	struct x_proc_info info;
	struct x_msg msg = { 0 };
	int32_t who = (int32_t)in->msg.a[0];

	if (who == -1) {
		msg.a[0] = p->children_user_ns;
		msg.a[1] = p->children_system_ns;
		msg.a[2] = p->children_peak_kib;
	} else if ((who != 0 && who != 1) || x_proc_info(p->process, &info) < 0) {
		out_status(in->id, -X_EINVAL);
		return;
	} else {
		msg.a[0] = info.cpu_user_ns;
		msg.a[1] = info.cpu_system_ns;
		msg.a[2] = info.peak_pages * (X_PAGE_SIZE / 1024);
	}
	out_answer(in->id, &msg);
}

void sysinfo_call(struct proc *p, const struct x_in *in)
{
	struct x_msg msg = { .a = { procs_count() } };

	(void)p;
	load_averages(&msg.a[1]);
	out_answer(in->id, &msg);
}

/* ---- priorities: kept and told; the scheduler has one band for programs ---- */

static bool priority_means(const struct proc *caller, uint64_t which, uint32_t who, const struct proc *p)
{
	if (!proc_alive(p))
		return false;
	switch (which) {
	case 0:
		return who ? p->ids.pid == who : p == caller;
	case 1:
		return p->ids.pgrp == (who ? who : caller->ids.pgrp);
	}
	return p->ids.uid == (who ? who : caller->ids.uid);
}

static int priority_set(const struct proc *caller, struct proc *p, int nice)
{
	if (caller->ids.euid != 0 && caller->ids.euid != p->ids.uid)
		return -X_EPERM;
	if (caller->ids.euid != 0 && nice < p->nice)
		return -X_EACCES;
	p->nice = nice;
	x_proc_background(p->process, nice > 0);
	return 0;
}

void priority_call(struct proc *caller, const struct x_in *in)
{
	uint64_t which = in->msg.a[1];
	int64_t value = (int64_t)in->msg.a[3];
	int nice = value < -20 ? -20 : value > 19 ? 19 : (int)value, lowest = 20, err = -X_ESRCH;

	if (which > 2) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	for_each_proc(p) {
		if (!priority_means(caller, which, (uint32_t)in->msg.a[2], p))
			continue;
		err = 0;
		if (in->msg.a[0] == 1)
			err = priority_set(caller, p, nice);
		if (p->nice < lowest)
			lowest = p->nice;
		if (err)
			break;
	}
	if (err)
		out_status(in->id, err);
	else
		answer_value(in->id, (uint64_t)(20 - lowest));
}

/* ---- policies and affinities ---- */

static int sched_set(const struct proc *caller, struct proc *p, uint32_t id, const struct x_in *in)
{
	uint32_t policy = (uint32_t)in->msg.a[2], priority = (uint32_t)in->msg.a[3];

	if (caller->ids.euid != 0 && caller->ids.euid != p->ids.uid && caller->ids.euid != p->ids.euid)
		return -X_EPERM;
	if (in->msg.a[0] == PM_SCHED_SET_AFFINITY) {
		int64_t was = x_thread_affinity(p->process, thread_number(p, id), in->msg.a[3]);

		return was < 0 ? (int)was : 0;
	}
	if (caller->ids.euid != 0 && priority > p->rt_priority && priority > p->rlimit[RLIMIT_RTPRIO].soft)
		return -X_EPERM;
	p->policy = policy & ~PM_SCHED_RESET;
	p->sched_reset = policy & PM_SCHED_RESET;
	p->rt_priority = priority;
	return 0;
}

void sched_call(struct proc *caller, const struct x_in *in)
{
	uint32_t pid = (uint32_t)in->msg.a[1];
	struct proc *p = pid ? proc_by_pid(pid) : caller;
	struct x_msg msg = { 0 };
	int err = 0;

	for (struct proc *q = procs; !p && q < procs + PROCS_MAX; q++)
		if (proc_alive(q) && thread_number(q, pid))
			p = q;
	if (!p)
		err = -X_ESRCH;
	else if (in->msg.a[0] != PM_SCHED_GET)
		err = sched_set(caller, p, pid ? pid : p->ids.pid, in);
	if (err) {
		out_status(in->id, err);
		return;
	}
	msg.a[0] = p->policy | (p->sched_reset ? PM_SCHED_RESET : 0);
	msg.a[1] = p->rt_priority;
	msg.a[2] = proc_alive(p) ? (uint64_t)x_thread_affinity(p->process, thread_number(p, pid ? pid : p->ids.pid), 0) : 0;
	out_answer(in->id, &msg);
}

/* ---- prctl ---- */

void prctl_call(struct proc *p, const struct x_in *in)
{
	bool death = in->msg.a[0] == PM_PRCTL_DEATH_SIGNAL;
	uint64_t was = death ? p->death_signal : p->subreaper;

	if (in->msg.a[0] == PM_PRCTL_NAME) {
		thread_set_name(p, (uint32_t)in->msg.a[1], (const char *)&in->msg.a[2]);
		out_status(in->id, 0);
		return;
	}
	if (in->msg.a[1] == 1 && death)
		p->death_signal = in->msg.a[2] <= SIGNAL_MAX ? (uint32_t)in->msg.a[2] : 0;
	else if (in->msg.a[1] == 1)
		p->subreaper = in->msg.a[2] != 0;
	answer_value(in->id, was);
}

/* ---- names of the system ---- */

char system_names[2][SYSTEM_NAME_BYTES] = { "xinim", "(none)" };

void hostname_call(struct proc *p, const struct x_in *in)
{
	char *name = system_names[in->msg.a[1] == 1], new[SYSTEM_NAME_BYTES] = { 0 };
	uint32_t bytes = in->win_count ? in->win[0].len : 0;

	if (in->msg.a[0] == 1 && p->ids.euid != 0) {
		out_status(in->id, -X_EPERM);
	} else if (in->msg.a[0] != 1) {
		uint32_t len = (uint32_t)strlen(name) + 1;

		window_write(in->id, 0, 0, name, len < bytes ? len : bytes);
		out_status(in->id, 0);
	} else if (bytes >= sizeof(new) || (bytes && window_read(in->id, 0, 0, new, bytes) != bytes)) {
		out_status(in->id, -X_EINVAL);
	} else {
		memcpy(name, new, sizeof(new));
		out_status(in->id, 0);
	}
}
