/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Death: PM_EXIT and kill ask the kernel for it; its report makes a zombie,
 * hands the children to the first process and tells the parent.
 */
#include "servers/pm/pm.h"

/* Ends it; the rest happens when the kernel reports the death. */
void proc_kill(struct proc *p, int wait_status)
{
	if (!proc_alive(p))
		return;
	proc_enter(p, PROC_DYING);
	out_do(X_SYS_proc_kill, p->process, (uint32_t)wait_status, 0, 0, 0);
}

void exit_call(struct proc *p, const struct x_in *in)
{
	proc_kill(p, (int)(in->msg.a[0] & 0xffff));
}

/* Wait status from what the kernel knows. */
static int32_t wait_status_of(const struct x_proc_info *info)
{
	switch (info->death) {
	case X_DEATH_KILLED:    /* by us: it is a wait status already */
		return info->status & 0xffff;
	case X_DEATH_EXIT:      /* its personality ended by itself */
		return (info->status & 0xff) << 8;
	case X_DEATH_MEMORY:
		return SIGNAL_KILL;
	}
	return SIGNAL_SEGV;     /* broken beyond its own signal handling */
}

static void take_results(struct proc *p)
{
	struct x_proc_info info = { .death = X_DEATH_EXCEPTION };

	if (x_proc_info(p->process, &info) < 0)
		server_log("pid %u died, and there is no word of it", p->ids.pid);
	if (info.death == X_DEATH_EXCEPTION)
		server_log("pid %u (%s): exception %u at %llx, address %llx", p->ids.pid, p->comm,
			   info.vector, (unsigned long long)info.fault_rip,
			   (unsigned long long)info.fault_address);
	p->wait_status = wait_status_of(&info);
	p->user_ns = info.cpu_user_ns;
	p->system_ns = info.cpu_system_ns;
	p->peak_kib = info.peak_pages * (X_PAGE_SIZE / 1024);
}

void proc_reap(struct proc *p)
{
	if (p->parent) {
		uint64_t peak = p->peak_kib > p->children_peak_kib ? p->peak_kib : p->children_peak_kib;

		if (p->parent->children_peak_kib < peak)
			p->parent->children_peak_kib = peak;
		p->parent->children_user_ns += p->user_ns + p->children_user_ns;
		p->parent->children_system_ns += p->system_ns + p->children_system_ns;
	}
	proc_free(p);
}

/* Its children become those of the first process. */
static void give_children_away(struct proc *p)
{
	struct proc *init = proc_init();
	struct signal_info info = { .code = INFO_USER, .pid = p->ids.pid, .uid = p->ids.uid };

	for (struct proc *q = p->parent; q && q != init; q = q->parent)
		if (q->subreaper && proc_alive(q)) {
			init = q;
			break;
		}
	if (init == p)
		init = NULL;
	for_each_proc(child) {
		if (child->state == PROC_FREE || child->parent != p)
			continue;
		if (child->state == PROC_FORKING) {
			child->parent = NULL; /* fork_session() undoes it */
			continue;
		}
		child->parent = init;
		child->ids.ppid = init ? init->ids.pid : 0;
		child->exit_signal = SIGNAL_CHLD;
		if (child->death_signal && proc_alive(child))
			signal_post(child, 0, child->death_signal, &info);
		if (child->state != PROC_ZOMBIE)
			ids_publish(child);
		else if (init)
			signal_parent(child, CHILD_EXITED, child->wait_status >> 8);
		else
			proc_reap(child);
	}
}

/* Groups that p's death leaves without anybody who could continue them. */
static void wake_orphaned_groups(const struct proc *p)
{
	struct signal_info info = { .code = INFO_KERNEL };

	for_each_proc(q) {
		uint32_t pgrp = q->ids.pgrp;
		bool concerned = q == p || q->parent == p;

		if (!concerned || !proc_visible(q) || !pgrp_has_stopped(pgrp) ||
		    pgrp_orphaned(pgrp, NULL) || !pgrp_orphaned(pgrp, p))
			continue;
		pgrp_signal(pgrp, SIGNAL_HUP, &info);
		pgrp_signal(pgrp, SIGNAL_CONT, &info);
	}
}

static void tell_parent(struct proc *p)
{
	struct proc *parent = p->parent;
	int status = p->wait_status;
	bool nobody = !parent || (parent->children & PM_CHILDREN_REAP);

	if (nobody)
		proc_enter(p, PROC_DYING); /* no zombie for a wait to find */
	if (parent && (status & 0x7f) == 0)
		signal_parent(p, CHILD_EXITED, status >> 8 & 0xff);
	else if (parent)
		signal_parent(p, status & 0x80 ? CHILD_DUMPED : CHILD_KILLED, status & 0x7f);
	if (!nobody)
		return;
	proc_reap(p);
	if (parent)
		waits_check(parent);
}

/* Without the first process there is no system of programs. */
static void init_died(int status, x_handle_t session)
{
	struct signal_info info = { .code = INFO_KERNEL };

	server_log("the first process has ended, status %#x", (unsigned)status);
	for_each_proc(p)
		if (proc_alive(p))
			signal_post(p, 0, SIGNAL_KILL, &info);
	power_off(session);
}

static void died(void *ctx, uint64_t bits)
{
	struct proc *p = ctx;
	bool was_init = proc_is_init(p), was_spawning = p->state == PROC_SPAWNING;
	x_handle_t session = p->vfs;

	(void)bits;
	if (p->process == X_NO_HANDLE)
		return;
	take_results(p);
	exec_abandon(p);
	if (was_spawning) {
		spawn_finished(p, -X_ESRCH);
		return;
	}
	timers_drop(p, true);
	signals_drop(p);
	waits_drop(p);
	trace_ended(p);
	threads_drop(p);
	sysv_drop(p, true);
	fork_release_parent(p);
	if (p->ids.sid == p->ids.pid)
		job_leader_died(p);
	p->vfs = X_NO_HANDLE; /* of the first process: still needed to end the system */
	proc_close_handles(p);
	proc_enter(p, PROC_DYING); /* counts for its group no more */
	wake_orphaned_groups(p);
	give_children_away(p);
	proc_enter(p, PROC_ZOMBIE);
	pidfds_ended(p);
	if (was_init)
		init_died(p->wait_status, session);
	tell_parent(p);
}

int proc_watch(struct proc *p)
{
	return server_bind(p->process, died, p);
}
