/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fork and vfork. The kernel's clone of the process exists, but does not run,
 * while vfs makes its session (PROC_FORKING); then it is given its identity
 * and started. vfork is a fork whose parent is answered later.
 */
#include "servers/pm/pm.h"

/* What a child has of its parent; all the rest is zero from proc_new(). */
static void inherit(struct proc *child, const struct proc *parent)
{
	int64_t program = x_handle_dup(parent->program, 0, 0, 0);

	child->program = program < 0 ? X_NO_HANDLE : (x_handle_t)program;
	child->ids = parent->ids;
	child->ids.pid = 0; /* not a number yet */
	child->ids.traced = 0;
	child->ids.ppid = parent->ids.pid;
	child->nice = parent->nice;
	child->oom_adjust = parent->oom_adjust;
	if (!parent->sched_reset || parent->policy == 0) {
		child->policy = parent->policy;
		child->rt_priority = parent->rt_priority;
	}
	if (parent->sched_reset && child->nice < 0)
		child->nice = 0;
	child->children = parent->children;
	child->code_start = parent->code_start;
	child->code_end = parent->code_end;
	child->stack_start = parent->stack_start;
	child->brk_start = parent->brk_start;
	child->arg_start = parent->arg_start;
	child->arg_end = parent->arg_end;
	child->env_start = parent->env_start;
	child->env_end = parent->env_end;
	memcpy(child->rlimit, parent->rlimit, sizeof(child->rlimit));
	memcpy(child->comm, parent->comm, sizeof(child->comm));
	strlcpy(child->exe, parent->exe, sizeof(child->exe));
	memcpy(child->cmdline, parent->cmdline, parent->cmdline_bytes);
	child->cmdline_bytes = parent->cmdline_bytes;
}

/* A child that never ran: gone without a trace. */
static void fork_undo(struct proc *child, int64_t status)
{
	uint64_t call = child->fork_call;

	if (child->process != X_NO_HANDLE)
		out_do(X_SYS_proc_kill, child->process, (uint32_t)0, 0, 0, 0);
	proc_free(child);
	out_status(call, status == -X_ENOMEM ? -X_ENOMEM : -X_EAGAIN);
}

static void fork_finish(struct proc *child)
{
	shm_inherit(child, child->maker);
	cpu_limit_watch(child); /* without room for a timer its CPU time is not limited */
	if (child->fork_waits && !trace_holds_vfork(child->maker, child->fork_tid, child))
		child->vfork_call = child->fork_call;
	else
		answer_value(child->fork_call, child->ids.pid);
	child->fork_call = 0;
}

/* vfs has made the child's session. */
static void fork_session(void *ctx, const struct x_in *reply)
{
	struct proc *child = ctx;
	int64_t err = reply->msg.status;

	if (err >= 0 && reply->handle_count == 0)
		err = -X_EPROTO;
	if (err >= 0 && (!child->parent || !proc_alive(child->maker) || child->maker->generation != child->maker_generation))
		err = -X_ESRCH;
	if (err >= 0) {
		child->vfs_session = reply->msg.a[0];
		err = proc_give_sessions(child, reply->handles[0]);
	}
	if (err >= 0)
		err = ids_map(child, child->process);
	if (err >= 0)
		err = proc_watch(child);
	if (err >= 0)
		ids_publish(child);
	if (err < 0) {
		fork_undo(child, err);
		return;
	}
	proc_enter(child, PROC_RUNNING);
	trace_born(child->maker, child->fork_tid, child, child->ids.pid,
		   child->fork_waits ? TRACE_VFORK : child->exit_signal == SIGNAL_CHLD ? TRACE_FORK : TRACE_CLONE);
	out_do(X_SYS_proc_suspend, child->process, 0, 0, 0, 0);
	fork_finish(child);
}

static void ask_session(struct proc *child)
{
	struct x_out *out = out_start(vfs_port, fork_session, child, NULL);

	out->msg.op = VFSCTL_SESSION;
	out->msg.a[0] = child->koid;
	out->msg.a[1] = child->maker->vfs_session;
	out->msg.a[2] = child->ids.pid;
}

static int64_t make_clone(struct proc *child, const struct x_in *in)
{
	struct x_proc_fork clone = {
		.port = server_port, .resource = boot_handle("resource"), .call_id = in->id,
		.lend = (in->msg.a[0] & PM_FORK_LEND) != 0,
	};
	int64_t h = x_proc_fork(&clone);

	if (h < 0)
		return h;
	child->process = (x_handle_t)h;
	return proc_learn_koid(child);
}

/* RLIMIT_NPROC, of which uid 0 is free. */
static bool too_many(const struct proc *p)
{
	uint64_t count = 0;

	if (p->ids.uid == 0 || p->ids.euid == 0)
		return false;
	for_each_proc(q)
		count += proc_visible(q) && q->ids.uid == p->ids.uid;
	return count >= p->rlimit[RLIMIT_NPROC].soft;
}

void fork_call(struct proc *p, const struct x_in *in)
{
	struct proc *child = too_many(p) ? NULL : proc_new();
	int64_t err = 0;

	if (!child) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	inherit(child, p);
	child->maker = p;
	child->maker_generation = p->generation;
	child->parent = p;
	if ((in->msg.a[0] & PM_FORK_PARENT) && p->parent) {
		child->parent = p->parent;
		child->ids.ppid = p->parent->ids.pid;
	}
	child->exit_signal = (uint32_t)in->msg.a[1] <= SIGNAL_MAX ? (uint32_t)in->msg.a[1] : 0;
	child->fork_call = in->id;
	child->fork_tid = (uint32_t)in->msg.a[2];
	child->fork_waits = (in->msg.a[0] & PM_FORK_WAIT) != 0;
	child->ids.pid = pid_allocate();
	proc_enter(child, PROC_FORKING);
	err = child->ids.pid ? make_clone(child, in) : -X_EAGAIN;
	if (err < 0)
		fork_undo(child, err);
	else
		ask_session(child);
}

void fork_release_parent(struct proc *child)
{
	if (child->vfork_call)
		answer_value(child->vfork_call, child->ids.pid);
	child->vfork_call = 0;
	trace_vfork_done(child);
}
