/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of pm, the process manager.
 *
 * PM_* calls come from Linux processes on their session object (slot
 * X_SLOT_PM). PMCTL_* calls come from rs and tty on the port itself. pm also
 * serves the proc tree to vfs (proto/fs.h, proto/file.h).
 *
 * Signal n is notification bit n-1.
 */
#ifndef PROTO_PM_H
#define PROTO_PM_H

#include <xinim/abi.h>

/* The read-only page with the process's ids, in every Linux process. */
#define PM_IDS_PAGE (X_PERS_END - 0x10000ull)
struct pm_ids {
	uint32_t pid, ppid, pgrp, sid;
	uint32_t uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	uint32_t ngroups, groups[32];
	uint32_t traced; /* threads of it that are traced */
	uint64_t rlimit_nofile, rlimit_stack, rlimit_fsize, rlimit_as, rlimit_data;
	uint64_t tsc_base, ns_per_tsc_32, realtime_offset_ns; /* as in x_system_info: for the vDSO */
};

enum pm_op {
	PM_FORK = 0x500, /* a[0] PM_FORK_*, a[1] signal to the parent at the end, a[2] caller's tid -> a[0] child's pid (0 in the child). With
	                    PM_FORK_WAIT (vfork) answered when the child has exec'd or ended */
	PM_EXEC,         /* win0 path, win1 argv strings (NUL after each), win2 envp strings;
	                    a[0] argc, a[1] envc, a[2] 1 = handle[0] is the file (fexecve,
	                    /proc/self/exe), with win0 still its path; a[3] ignore set and a[4]
	                    notification mask of the new program; on success never answered: the
	                    process is replaced */
	PM_EXIT,         /* a[0] wait status as wait4 gives it (exit code << 8, or the signal,
	                    | 0x80 core). Never answered */
	PM_WAIT,         /* a[0] pid argument of wait4 (sign-extended), a[1] options
	                    -> a[0] pid or 0, a[1] status, a[2] user ns, a[3] system ns, a[4] uid, a[5] 1 = of one it traces,
	                    a[6] largest size of it and of those it waited for, KiB;
	                    parks. a[2] 1 = waitid: only what WEXITED 4, WUNTRACED (WSTOPPED) 2,
	                    WCONTINUED 8 name; WNOWAIT 0x1000000 leaves the child as it is */
	PM_KILL,         /* a[0] pid as kill(2) takes it (sign-extended), a[1] signal; with a[2] = 1
	                    a[3] si_code and a[4] si_value (rt_sigqueueinfo) */
	PM_TGKILL,       /* a[0] tgid, a[1] tid, a[2] signal; with a[3] = 1 a[4] si_code, a[5] si_value */
	PM_STOP_SELF,    /* a[0] signal: default action "stop"; returns after SIGCONT */
	PM_SETPGID,      /* a[0] pid, a[1] pgid */
	PM_GETPGID,      /* a[0] pid -> a[0]; */
	PM_SETSID,       /* -> a[0] */
	PM_GETSID,       /* a[0] pid -> a[0] */
	PM_SETIDS,       /* a[0] what: 0 setuid, 1 setgid, 2 setreuid, 3 setregid, 4 setresuid,
	                    5 setresgid, 6 setfsuid, 7 setfsgid, 8 setgroups (win0 u32[]); a[1..3] */
	PM_ALARM,        /* a[0] 1 = set; a[1] first ns, a[2] interval ns, a[3] ITIMER_* -> a[0] left, a[1] interval */
	PM_RUSAGE,       /* a[0] who (RUSAGE_SELF 0, CHILDREN -1) -> a[0] user ns, a[1] system ns, a[2] max rss KiB */
	PM_RLIMIT,       /* a[0] pid (0 self), a[1] resource, a[2] 1 = set; a[3] soft, a[4] hard -> a[0] old soft, a[1] old hard */
	PM_SIGINFO,      /* a[0] signal, a[1] the kernel's number of the thread that took it -> a[0] si_code,
	                    a[1] si_pid, a[2] si_uid, a[3] si_status or si_value, for siginfo_t. Signals
	                    from 32 up are queued: -X_EAGAIN: none left; another one is posted again */
	PM_THREAD,       /* a new thread id for clone(CLONE_THREAD) -> a[0] tid; see PM_THREAD_BIND */
	PM_SYSINFO,      /* -> a[0] procs, a[1..3] load averages in 65536ths */
	PM_REBOOT,       /* a[0] LINUX_REBOOT_CMD_*: needs uid 0; power off, restart */
	PM_PRIORITY,     /* a[0] 1 = set, a[1] which, a[2] who, a[3] value -> a[0] 20-nice */
	PM_THREAD_BIND,  /* a[0] tid of PM_THREAD, a[1] the kernel's number of that thread: from now
	                    on PM_TGKILL reaches it; a[2] tid of its maker. The tid of the first thread is the pid */
	PM_THREAD_END,   /* a[0] tid: free again (exec and exit free all but the first) */

	PM_SIGFLUSH,     /* a[0] set of signals now ignored: forget what is queued of them */
	PM_TIMER,        /* a[0] enum pm_timer_op. CREATE: a[1] clock, a[2] signal (0: none), a[3] tid
	                    (0: the process), a[4] si_value if a[5] -> a[0] id. Others: a[1] id; SET: a[2]
	                    first ns, a[3] interval ns, a[4] 1 = absolute; SET, GET -> a[0] left,
	                    a[1] interval; OVERRUN -> a[0] */
	PM_SCHED,        /* a[0] enum pm_sched_op, a[1] pid (0: self), a[2] policy, a[3] priority or CPUs
	                    -> a[0] policy, a[1] priority, a[2] CPUs (0: all). Kept and told */
	PM_HOSTNAME,     /* a[0] 1 = set (needs uid 0; win0 read), 0 = get (win0 write); a[1] 1 = domain */
	PM_CHILDREN,     /* a[0] PM_CHILDREN_*: what happens to children that end or stop */
	PM_EVENTFD,      /* a[0] count, a[1] 1 = semaphore, a[2] O_NONBLOCK or 0 -> handle[0] */
	PM_TIMERFD,      /* a[1] Linux's clock, a[2] O_NONBLOCK or 0 -> handle[0]: FILE_TIMER_* */

	PM_PIDFD,        /* a[0] pid, a[1] O_NONBLOCK or 0 -> handle[0]: PIDFD_* */
	PM_VM,           /* a[0] pid, a[1] 1 = write there, a[2] its address; win0 the caller's side
	                    -> status: bytes */
	PM_KCMP,         /* a[0], a[1] pids, a[2] what, a[3], a[4] descriptors -> a[0] 0 the same, 1, 2 */
	PM_SETTIME,      /* a[0] ns since 1970 that it is now: needs uid 0 */
	PM_PRCTL,        /* a[0] enum pm_prctl, a[1] 1 = set, a[2] value -> a[0] value */
	PM_SHM,          /* System V IPC: proto/sysv.h */
	PM_SEM,
	PM_MSG,
	PM_SIGNALFD,     /* a[0] PM_SIGNALFD_CREATE: a[1] set, a[2] O_NONBLOCK or 0, a[3] 1 = something is pending
	                    -> handle[0]: SIGNALFD_*. PM_SIGNALFD_POSTED: a[1] signal that the process sent to itself */
	PM_MQ,           /* a[0] enum pm_mq_op, win0 name (no slash). OPEN: a[1] F_O_* flags, a[2] mode, a[3] messages,
	                    a[4] bytes of each, if a[5] -> handle[0]: MQ_* */
	PM_TRACE,        /* a[0] enum pm_trace_op: ptrace */

	PMCTL_SPAWN = 0x580, /* win0 path, win1 argv strings, win2 envp strings, a[0] argc, a[1] envc:
	                    the first Linux process, pid 1, with descriptors 0-2 on /dev/console */
	PMCTL_WHO,       /* a[0] koid -> a[0] pid | pgrp<<32, a[1] sid, a[2] uid, a[3] 1 = its group is
	                    orphaned; -X_ESRCH */
	PMCTL_SIGNAL_PGRP, /* a[0] pgrp, a[1] signal: from a terminal */
	PMCTL_PGRP_INFO, /* a[0] pgrp -> a[0] sid, a[1] 1 = orphaned; -X_ESRCH */
	PMCTL_SESSION_HANGUP, /* a[0] sid: SIGHUP + SIGCONT to its leader, and to
	                    group a[1] (the terminal's foreground group) unless 0 */
	PMCTL_SESSION_TTY, /* a[0] sid: its terminal is device a[1] (rdev, 0: none), with foreground group a[2] */
};

#define PM_FORK_WAIT   1u
#define PM_FORK_LEND   4u /* private memory is the caller's own until exec or end (CLONE_VM) */
#define PM_FORK_PARENT 2u /* the child of the caller's parent (CLONE_PARENT) */

enum pm_prctl { PM_PRCTL_SUBREAPER, PM_PRCTL_DEATH_SIGNAL, PM_PRCTL_NAME /* a[1] tid, a[2], a[3] 16 bytes */ };

/* Calls on a pidfd. -X_ESRCH: its process has been waited for. */
enum pidfd_op {
	PIDFD_PID = 0x5c0, /* -> a[0] */
	PIDFD_SIGNAL,      /* a[0] signal; with a[1] = 1 a[2] si_code, a[3] si_value */
	PIDFD_GETFD,       /* a[0] a descriptor of the process -> handle[0]; -X_EPERM, -X_EBADF */
};

/*
 * ptrace. Who is traced stops by itself: its personality makes PM_TRACE_STOP, which is answered
 * when the tracer wants it to go on (PM_TRACE_GO), or wants something of it (PM_TRACE_ASK: registers,
 * memory; what, is between the two personalities, in ptrace's own numbers). It does that and says so by
 * PM_TRACE_REPLY, which is answered in the same way. win0 of both (read, write) are
 * PM_TRACE_BYTES for what goes along. SIGSTOP's notification makes a running one look.
 */
#define PM_TRACE_BYTES 1024u
enum pm_trace_op {
	PM_TRACE_ME,     /* by the parent; a[1] own tid */
	PM_TRACE_ATTACH, /* a[1] tid, a[2] 1 = PTRACE_SEIZE, a[3] its options */
	PM_TRACE_RESUME, /* a[1] tid, a[2] PTRACE_*: CONT, SYSCALL, SINGLESTEP, LISTEN, DETACH, KILL, INTERRUPT, a[3] signal */
	PM_TRACE_OPTIONS, /* a[1] tid, a[2] PTRACE_O_* */
	PM_TRACE_MESSAGE, /* a[1] tid -> a[0] of the last event */
	PM_TRACE_REQUEST, /* a[1] tid, a[2] request, a[3], a[4], win0 what goes along; a[5] bytes of it that are sent
	                     -> a[0], win0. -X_ESRCH: it is not stopped */
	PM_TRACE_STOP,   /* a[1] own tid, a[2] enum pm_trace_stop, a[3] signal, or message of the event, a[4] event
	                    -> a[0] enum pm_trace_answer. GO: a[1] PTRACE_CONT etc., DETACH if not traced (any more), a[2] signal,
	                    a[3] 1 = it was a stop at an exec. ASK: a[1..3] as REQUEST's a[2..4], a[4] bytes of win0, a[5] status told */
	PM_TRACE_REPLY,  /* a[1] own tid, a[2] result, a[3] value, a[4] bytes of win0 -> as PM_TRACE_STOP */
};
enum pm_trace_stop { PM_TRACE_SIGNAL, PM_TRACE_GROUP, PM_TRACE_CALL, PM_TRACE_EVENT };
enum pm_trace_answer { PM_TRACE_GO, PM_TRACE_ASK };
/* Linux's numbers. */
enum pm_trace_event { TRACE_FORK = 1, TRACE_VFORK, TRACE_CLONE, TRACE_EXEC, TRACE_VFORK_DONE, TRACE_EXIT,
		      TRACE_EVENT_STOP = 128 };
enum pm_trace_request { TRACE_CONT = 7, TRACE_KILL = 8, TRACE_SINGLESTEP = 9, TRACE_DETACH = 17, TRACE_SYSCALL = 24,
			TRACE_INTERRUPT = 0x4207, TRACE_LISTEN = 0x4208 };
#define TRACE_OPT_SYSGOOD  1u
#define TRACE_OPT_EVENTS   0x7eu   /* bit n: event n */
#define TRACE_OPT_EXITKILL (1u << 20)

enum pm_signalfd_op { PM_SIGNALFD_CREATE, PM_SIGNALFD_POSTED };
enum pm_mq_op { PM_MQ_OPEN, PM_MQ_UNLINK };

/* Calls on a signalfd. FILE_READ is answered -X_ELOCAL: a[0] the set, a[1] how many signals of
 * it were seen; the caller is to take its own. */
enum signalfd_op {
	SIGNALFD_SET = 0x5d0, /* a[0] the new set, a[1] 1 = something of it is pending */
	SIGNALFD_EMPTY,       /* a[0] as FILE_READ gave it: by then nothing of the set was pending */
};

/* Calls on a POSIX message queue. Deadlines are monotonic, X_FOREVER: none; -X_ETIMEDOUT. */
enum mq_op {
	MQ_SEND = 0x5e0,   /* win0 message, a[0] priority, a[1] deadline; -X_EMSGSIZE */
	MQ_RECEIVE,        /* win0 (write), a[1] deadline -> status: bytes, a[0] priority; -X_EMSGSIZE */
	MQ_NOTIFY,         /* a[0] 1 = register, 0 = the caller's registration ends; a[1] signal or 0, a[2] si_value */
	MQ_ATTR,           /* -> a[0] room for messages, a[1] bytes of each, a[2] messages there */
};

#define PM_CHILDREN_REAP    1u /* no zombies are left */
#define PM_CHILDREN_NO_STOP 2u /* no SIGCHLD when they stop or go on */

#define PM_SCHED_RESET 0x40000000u /* in a policy: not for children (SCHED_RESET_ON_FORK) */
enum pm_sched_op { PM_SCHED_GET, PM_SCHED_SET_POLICY, PM_SCHED_SET_AFFINITY };
enum pm_timer_op { PM_TIMER_CREATE, PM_TIMER_SET, PM_TIMER_GET, PM_TIMER_OVERRUN, PM_TIMER_DELETE };

#endif
