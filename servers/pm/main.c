/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pm, the process manager: start, and what goes where.
 *
 * Calls come on three kinds of object: the sessions of Linux processes
 * (PM_*), the port itself (PMCTL_* of rs and tty, FS_* of vfs), and open
 * files of /proc (FILE_*).
 */
#include "servers/pm/exec.h"
#include "servers/pm/sysctl.h"

x_handle_t vfs_port, tty_port, rs_port, net_port, bdev_port;

typedef void session_fn(struct proc *p, const struct x_in *in);

static session_fn *const session_ops[] = {
	[PM_FORK - PM_FORK] = fork_call,
	[PM_EXEC - PM_FORK] = exec_call,
	[PM_EXIT - PM_FORK] = exit_call,
	[PM_WAIT - PM_FORK] = wait_call,
	[PM_KILL - PM_FORK] = kill_call,
	[PM_TGKILL - PM_FORK] = tgkill_call,
	[PM_STOP_SELF - PM_FORK] = stop_self_call,
	[PM_SETPGID - PM_FORK] = setpgid_call,
	[PM_GETPGID - PM_FORK] = getpgid_call,
	[PM_SETSID - PM_FORK] = setsid_call,
	[PM_GETSID - PM_FORK] = getsid_call,
	[PM_SETIDS - PM_FORK] = setids_call,
	[PM_ALARM - PM_FORK] = alarm_call,
	[PM_RUSAGE - PM_FORK] = rusage_call,
	[PM_RLIMIT - PM_FORK] = rlimit_call,
	[PM_SIGINFO - PM_FORK] = siginfo_call,
	[PM_THREAD - PM_FORK] = thread_call,
	[PM_SYSINFO - PM_FORK] = sysinfo_call,
	[PM_REBOOT - PM_FORK] = reboot_call,
	[PM_PRIORITY - PM_FORK] = priority_call,
	[PM_THREAD_BIND - PM_FORK] = thread_bind_call,
	[PM_THREAD_END - PM_FORK] = thread_end_call,
	[PM_SCHED - PM_FORK] = sched_call,
	[PM_HOSTNAME - PM_FORK] = hostname_call,
	[PM_CHILDREN - PM_FORK] = children_call,
	[PM_EVENTFD - PM_FORK] = eventfd_call,
	[PM_TIMER - PM_FORK] = timer_call,
	[PM_SIGFLUSH - PM_FORK] = sigflush_call,
	[PM_TIMERFD - PM_FORK] = timerfd_call,
	[PM_PIDFD - PM_FORK] = pidfd_call,
	[PM_VM - PM_FORK] = vm_call,
	[PM_KCMP - PM_FORK] = kcmp_call,
	[PM_SETTIME - PM_FORK] = settime_call,
	[PM_PRCTL - PM_FORK] = prctl_call,
	[PM_SHM - PM_FORK] = shm_call,
	[PM_SEM - PM_FORK] = sem_call,
	[PM_MSG - PM_FORK] = msg_call,
	[PM_SIGNALFD - PM_FORK] = signalfd_call,
	[PM_MQ - PM_FORK] = mq_call,
	[PM_TRACE - PM_FORK] = trace_call,
};

static void refuse(const struct x_in *in, int status)
{
	in_close_handles(in);
	out_status(in->id, status);
}

static void session_call(const struct x_in *in)
{
	uint32_t index = in->msg.op - PM_FORK;
	struct proc *p = proc_by_object(in->object);

	if (!p || p->koid != in->account) {
		refuse(in, -X_ESRCH);
		return;
	}
	if (index >= sizeof(session_ops) / sizeof(session_ops[0]) || !session_ops[index]) {
		refuse(in, -X_ENOSYS);
		return;
	}
	if (in->msg.op != PM_EXEC)
		in_close_handles(in);
	session_ops[index](p, in);
}

static void port_call(const struct x_in *in)
{
	in_close_handles(in); /* no operation here takes any */
	switch (in->msg.op) {
	case PMCTL_SPAWN:
		spawn_call(in);
		break;
	case PMCTL_WHO:
		who_call(in);
		break;
	case PMCTL_SIGNAL_PGRP:
		signal_pgrp_call(in);
		break;
	case PMCTL_PGRP_INFO:
		pgrp_info_call(in);
		break;
	case PMCTL_SESSION_HANGUP:
		session_hangup_call(in);
		break;
	case PMCTL_SESSION_TTY:
		session_tty_call(in);
		break;
	default:
		procfs_call(in);
	}
}

static const struct {
	void (*call)(const struct x_in *in);
	void (*closed)(uint64_t object);
} files[] = { /* what is open in pm as a descriptor, by kind */
	[OBJECT_PROCFILE] = { procfile_call, procfile_closed },
	[OBJECT_COUNTER] = { counter_call, counter_closed },
	[OBJECT_PIDFD] = { pidfd_file_call, pidfd_closed },
	[OBJECT_SIGNALFD] = { signalfd_file_call, signalfd_closed },
	[OBJECT_MQUEUE] = { mqueue_file_call, mqueue_closed },
};

static bool is_file(uint64_t object)
{
	uint32_t kind = object_kind(object);

	return kind < sizeof(files) / sizeof(files[0]) && files[kind].call;
}

void pm_call(const struct x_in *in)
{
	if (in->object == 0) {
		port_call(in);
	} else if (object_kind(in->object) == OBJECT_SESSION) {
		session_call(in);
	} else if (is_file(in->object)) {
		in_close_handles(in);
		files[object_kind(in->object)].call(in);
	} else {
		refuse(in, -X_ESTALE_HANDLE);
	}
}

/* A session's last handle goes with its process, of whose death pm hears anyway. */
void pm_closure(uint64_t object, uint64_t mints)
{
	(void)mints;
	if (is_file(object))
		files[object_kind(object)].closed(object);
	out_closure_ack(object);
}

/* Calls that park otherwise end by themselves, or with their process. */
void pm_cancel(uint64_t call_id)
{
	if (!wait_cancel(call_id) && !counter_cancel(call_id) && !mqueue_cancel(call_id) && !sysv_cancel(call_id) &&
	    !trace_cancel(call_id))
		procfs_cancel(call_id);
}

static const struct server_ops ops = {
	.call = pm_call, .closure = pm_closure, .cancel = pm_cancel, .batch_end = exec_serve_waiting,
};

void server_main(void)
{
	vfs_port = boot_handle("vfs");
	net_port = boot_handle("net");
	bdev_port = boot_handle("bdev");
	tty_port = boot_handle("tty");
	rs_port = boot_handle("rs");
	table_init();
	pers_init(boot_handle("personality"));
	procfs_init();
	sysctl_init();
	job_all_died();
	server_run(&ops);
}
