/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of pm share: the table of Linux processes and who does what.
 *
 *   main.c      sorts what arrives by the kind of object it was made on
 *   table.c     the process table: slots, pids, lookups, ids pages, sessions
 *   fork.c spawn.c          birth
 *   exec*.c elf.c stack.c pers.c image.c    replacement of the program
 *   exit.c wait.c           death, orphans, zombies
 *   signal.c post.c job.c   signals, groups, sessions, stop and continue
 *   trace.c                 ptrace
 *   thread.c ids.c timer.c limits.c power.c the smaller calls
 *   counter.c               eventfd and timerfd
 *   signalfd.c mqueue.c     signalfd, POSIX message queues
 *   sysv*.c                 System V IPC
 *   sysctl.c                /proc/sys
 *   proctree.c procfs.c procfile.c proctext*.c config.c   the filesystem /proc
 *
 * All state is static and bounded; a call that has to wait is remembered by
 * its id in the struct of what it waits for.
 */
#ifndef SERVERS_PM_PM_H
#define SERVERS_PM_PM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "proto/file.h"
#include "proto/pm.h"
#include "proto/vfs.h"

enum {
	PROCS_MAX = 256,
	PID_MAX = 32768,
	GROUPS_MAX = 32,        /* supplementary; size of pm_ids.groups */
	THREADS_MAX = 2048,     /* tids beside the pids, over all processes */
	WAITS_MAX = 512,        /* PM_WAIT calls parked */
	SIGNAL_MAX = 64,
	RLIMITS = 16,
	EXE_BYTES = 512,
	CMDLINE_BYTES = 1024,
	COMM_BYTES = 16,
};

#define NS_PER_SECOND 1000000000ull

/* Signals that pm itself treats specially. */
enum {
	SIGNAL_HUP = 1, SIGNAL_KILL = 9, SIGNAL_SEGV = 11, SIGNAL_ALRM = 14, SIGNAL_CHLD = 17,
	SIGNAL_CONT = 18, SIGNAL_STOP = 19, SIGNAL_XCPU = 24, SIGNAL_VTALRM = 26, SIGNAL_PROF = 27,
	SIGNAL_QUEUED = 32, /* from here up each one sent arrives */
};

/* siginfo codes */
enum {
	INFO_USER = 0, INFO_QUEUE = -1, INFO_TIMER = -2, INFO_MESSAGE = -3, INFO_TKILL = -6, INFO_KERNEL = 0x80,
	CHILD_EXITED = 1, CHILD_KILLED, CHILD_DUMPED, CHILD_TRAPPED, CHILD_STOPPED, CHILD_CONTINUED,
};

/* ---- object ids: kind << 56 | generation << 16 | index ---- */
enum object_kind { OBJECT_SESSION = 1, OBJECT_PROCFILE, OBJECT_COUNTER, OBJECT_PIDFD, OBJECT_SIGNALFD, OBJECT_MQUEUE };

static inline uint64_t object_id(enum object_kind kind, uint32_t generation, uint32_t index)
{
	return (uint64_t)kind << 56 | (uint64_t)generation << 16 | index;
}
static inline uint32_t object_kind(uint64_t id) { return (uint32_t)(id >> 56); }
static inline uint32_t object_generation(uint64_t id) { return (uint32_t)(id >> 16); }
static inline uint32_t object_index(uint64_t id) { return id & 0xffff; }

/* ---- processes ---- */

enum proc_state {
	PROC_FREE,
	PROC_FORKING,   /* waits for its session with vfs; not visible yet */
	PROC_SPAWNING,  /* the first process, until its first exec succeeded; not visible */
	PROC_RUNNING,
	PROC_STOPPED,   /* suspended by a stop signal */
	PROC_DYING,     /* killed; the kernel has not reported its death yet */
	PROC_ZOMBIE,    /* dead, not yet waited for; only numbers are left */
};

struct signal_info { int32_t code; uint32_t pid, uid; uint64_t value; }; /* value: si_status, si_value */
struct rlimit_pair { uint64_t soft, hard; };
enum { RLIMIT_CPU = 0, RLIMIT_FSIZE = 1, RLIMIT_DATA = 2, RLIMIT_STACK = 3, RLIMIT_CORE = 4, RLIMIT_NPROC = 6, RLIMIT_NOFILE = 7,
       RLIMIT_AS = 9, RLIMIT_SIGPENDING = 11, RLIMIT_MSGQUEUE = 12, RLIMIT_NICE = 13, RLIMIT_RTPRIO = 14 };
struct exec;

struct proc {
	uint8_t state;           /* set by proc_enter() only */
	bool execed;             /* its parent may not move it to a group any more */
	uint32_t traces;         /* so many tracees, ended ones included */
	bool report_stop;        /* stopped, not yet told by wait */
	bool report_continue;    /* same for continued */
	bool exec_waiting;       /* exec_in waits for a free struct exec */
	uint32_t generation;
	uint32_t stop_signal;
	int32_t wait_status;     /* ZOMBIE: as wait4 gives it */
	int32_t nice, oom_adjust;
	uint32_t policy, rt_priority; /* PM_SCHED */
	bool sched_reset;        /* its children have the usual policy */
	bool subreaper;          /* PM_PRCTL_SUBREAPER: its orphans become its children */
	uint32_t exit_signal;    /* for the parent, when it ends; 0: none */
	uint32_t death_signal;   /* for itself, when its parent ends; 0: none */
	uint32_t children;       /* PM_CHILDREN_* */
	struct proc *parent;     /* NULL: none (the first process) */
	struct proc *maker;      /* FORKING: who asked for it */
	uint32_t maker_generation;
	struct pm_ids ids;       /* what the ids page shows */

	x_handle_t process;
	x_handle_t vfs;          /* its vfs session too; kept for the first process only */
	x_handle_t program;      /* the open file that it runs, which so is not written to; or X_NO_HANDLE */
	uint64_t koid;
	uint64_t vfs_session;    /* id at vfs */
	uint64_t start_ns;

	/* open calls that wait for something of this process; 0: none */
	uint64_t fork_call;      /* FORKING: of the parent, to be answered */
	bool fork_waits;         /* FORKING: PM_FORK_WAIT */
	uint32_t fork_tid;       /* FORKING: the parent's thread */
	uint64_t vfork_call;     /* of the parent, until exec or death */
	uint64_t stop_call;      /* own PM_STOP_SELF */

	struct exec *exec;       /* exec under way */
	struct x_in exec_in;
	uint64_t exec_order;     /* exec_waiting: first come, first served */

	uint32_t tty, tty_pgrp;                  /* a session's leader: its terminal (rdev) and that one's group; 0: none */
	uint64_t user_ns, system_ns;             /* ZOMBIE: its own */
	uint64_t children_user_ns, children_system_ns;
	uint64_t peak_kib, children_peak_kib;    /* resident: ZOMBIE: its own; the largest of those waited for */
	struct signal_info info[SIGNAL_MAX + 1];
	struct rlimit_pair rlimit[RLIMITS];

	/* what it runs, for /proc */
	uint64_t code_start, code_end, stack_start, brk_start;
	uint64_t arg_start, arg_end, env_start, env_end;
	char comm[COMM_BYTES];
	uint32_t cmdline_bytes;
	char exe[EXE_BYTES];     /* from here on not cleared by proc_new(), but for the first byte */
	char cmdline[CMDLINE_BYTES];
};
extern struct proc procs[PROCS_MAX];
extern uint32_t procs_end;   /* all slots from here up are free */

#define for_each_proc(p) for (struct proc *p = procs; p < procs + procs_end; p++)

static inline uint32_t proc_slot(const struct proc *p) { return (uint32_t)(p - procs); }
/* Has a pid that others may see. */
static inline bool proc_visible(const struct proc *p) { return p->state >= PROC_RUNNING; }
static inline bool proc_alive(const struct proc *p)
{
	return p->state == PROC_RUNNING || p->state == PROC_STOPPED;
}
static inline bool proc_is_init(const struct proc *p) { return p->ids.pid == 1; }

/* ---- table.c ---- */
void table_init(void);
void proc_enter(struct proc *p, enum proc_state state);
struct proc *proc_new(void);                 /* NULL: full. Zeroed, with a generation */
void proc_free(struct proc *p);              /* closes what it holds */
void proc_close_handles(struct proc *p);
uint32_t pid_allocate(void);                 /* 0: none free */
struct proc *proc_by_pid(uint32_t pid);      /* visible ones, zombies included; or NULL */
struct proc *proc_by_koid(uint64_t koid);
struct proc *proc_by_object(uint64_t object);/* of a session that is still good; or NULL */
struct proc *proc_init(void);                /* pid 1 or NULL */
int proc_learn_koid(struct proc *p);
/* Session object for the process into its slot X_SLOT_PM, vfs into X_SLOT_VFS. */
int proc_give_sessions(struct proc *p, x_handle_t vfs);
void clock_changed(void);                    /* it was set */
void ids_publish(struct proc *p);            /* p->ids -> the page the process reads */
int ids_map(const struct proc *p, x_handle_t space);
uint32_t procs_count(void);                  /* visible, zombies included */
uint32_t pid_last(void);                     /* most recent one, for loadavg */

/* ---- fork.c, spawn.c ---- */
void fork_call(struct proc *p, const struct x_in *in);
void fork_release_parent(struct proc *child);/* vfork: the parent may go on */
void spawn_call(const struct x_in *in);
void spawn_finished(struct proc *p, int status); /* by exec */

/* ---- exec.c ---- */
void exec_call(struct proc *p, const struct x_in *in);
/* Begin with the arguments of an open call (PM_EXEC or PMCTL_SPAWN). Handles in
 * `in` are taken over. Failure is answered; never returns an error. */
void exec_begin(struct proc *p, const struct x_in *in);
void exec_abandon(struct proc *p);           /* the process died */
void exec_serve_waiting(void);               /* at the end of a batch */

/* ---- exit.c, wait.c ---- */
void exit_call(struct proc *p, const struct x_in *in);
int proc_watch(struct proc *p);              /* hear of its death */
void proc_kill(struct proc *p, int wait_status);
void proc_reap(struct proc *p);              /* a zombie nobody needs any more */
void wait_call(struct proc *p, const struct x_in *in);
void children_call(struct proc *p, const struct x_in *in);
void waits_check(struct proc *parent);       /* something changed with a child */
void waits_drop(struct proc *p);             /* the waiter died */
bool wait_cancel(uint64_t call_id);

/* ---- signal.c ---- */
static inline uint64_t signal_bit(uint32_t signal) { return 1ull << (signal - 1); }
void signal_post(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info);
/* By that timer of p's. */
void signal_post_of(int32_t timer, struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info);
void signal_parent(struct proc *child, int code, int status); /* SIGCHLD, wakes waits */
bool signal_allowed(const struct proc *from, const struct proc *to, uint32_t signal);
void kill_call(struct proc *p, const struct x_in *in);
void tgkill_call(struct proc *p, const struct x_in *in);
void stop_self_call(struct proc *p, const struct x_in *in);
void signal_unstop(struct proc *p); /* a stopped one runs on, and nobody is told */
void pgrp_signal(uint32_t pgrp, uint32_t signal, const struct signal_info *info);

/* ---- post.c ---- */
enum { NO_TIMER = INT32_MIN };
/* With the next commit, to the personality alone; timer: the id of p's that sends it, or NO_TIMER. */
void post(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info, int32_t timer);
void posts_settle(void);                     /* what became of those of the last commit */
void signals_drop(struct proc *p);           /* what is queued for it */
bool signals_full(void);
uint64_t signals_queued(const struct proc *p);
/* The same, with the same sender, is queued already. */
bool signal_queued(const struct proc *p, uint32_t signal, const struct signal_info *info);
void siginfo_call(struct proc *p, const struct x_in *in);
void sigflush_call(struct proc *p, const struct x_in *in);

/* ---- job.c ---- */
bool pgrp_orphaned(uint32_t pgrp, const struct proc *without);
bool pgrp_has_stopped(uint32_t pgrp);
struct proc *pgrp_member(uint32_t pgrp);     /* any living one, or NULL */
void setpgid_call(struct proc *p, const struct x_in *in);
void getpgid_call(struct proc *p, const struct x_in *in);
void setsid_call(struct proc *p, const struct x_in *in);
void getsid_call(struct proc *p, const struct x_in *in);
void job_leader_died(const struct proc *p);  /* tells tty */
void job_all_died(void); /* at a cold start: of an earlier pm */
void who_call(const struct x_in *in);
void signal_pgrp_call(const struct x_in *in);
void pgrp_info_call(const struct x_in *in);
void session_hangup_call(const struct x_in *in);
void session_tty_call(const struct x_in *in);
const struct proc *session_leader(const struct proc *p); /* of p's session; NULL: it has ended */

/* ---- thread.c ---- */
bool tid_in_use(uint32_t tid);
uint32_t thread_count(const struct proc *p); /* tids beside the first */
uint32_t thread_next(const struct proc *p, uint32_t from); /* its lowest thread id from there on, its pid included; 0: none */
struct proc *thread_owner(uint32_t tid); /* of a thread, the first one's included; NULL: of nobody */
uint32_t thread_number(const struct proc *p, uint32_t tid); /* kernel's number; 0: none */
const char *thread_name(const struct proc *p, uint32_t tid);
void thread_set_name(struct proc *p, uint32_t tid, const char name[COMM_BYTES]);
void threads_drop(const struct proc *p);
void thread_call(struct proc *p, const struct x_in *in);
void thread_bind_call(struct proc *p, const struct x_in *in);
void thread_end_call(struct proc *p, const struct x_in *in);

/* ---- ids.c ---- */
void setids_call(struct proc *p, const struct x_in *in);
/* Tell vfs; when it knows, the call is answered with result, or without a call
 * (0) the process, which is suspended, goes on. */
void creds_send(struct proc *p, uint64_t call_id, uint64_t result);
bool creds_in_group(const struct pm_ids *ids, uint32_t gid);
/* want: 4 read, 2 write, 1 execute; with the fsuid */
bool creds_may(const struct pm_ids *ids, const struct file_attr *attr, uint32_t want);

/* ---- timer.c ---- */
void alarm_call(struct proc *p, const struct x_in *in);
void timer_call(struct proc *p, const struct x_in *in);
void timers_clock_set(void);                 /* those until a time of day end at another */
/* RLIMIT_CPU of p is another: -X_EAGAIN, no timer is left to see to it. */
int cpu_limit_watch(struct proc *p);
void timers_drop(struct proc *p, bool all);  /* at exec only those of timer_create */
void timer_was_told(const struct proc *p, int32_t id); /* its signal was new: overruns begin anew */

/* ---- limits.c, power.c ---- */
void limits_default(struct proc *p);
void rlimit_call(struct proc *p, const struct x_in *in);
void rusage_call(struct proc *p, const struct x_in *in);
void load_averages(uint64_t average[3]); /* proctext.c; in 65536ths */
void sysinfo_call(struct proc *p, const struct x_in *in);
void priority_call(struct proc *p, const struct x_in *in);
void sched_call(struct proc *p, const struct x_in *in);
#define SYSTEM_NAME_BYTES 65
extern char system_names[2][SYSTEM_NAME_BYTES]; /* of the host, of the domain */
void hostname_call(struct proc *p, const struct x_in *in);
void reboot_call(struct proc *p, const struct x_in *in);
void settime_call(struct proc *p, const struct x_in *in);
void prctl_call(struct proc *p, const struct x_in *in);
void power_off(x_handle_t session);          /* the first process is gone; its vfs session */

/* ---- counter.c: eventfd, timerfd ---- */
enum { CLOCK_REALTIME = 0, CLOCK_MONOTONIC = 1, CLOCK_PROCESS_CPU = 2, CLOCK_THREAD_CPU = 3,
       CLOCK_REALTIME_ALARM = 8, CLOCK_TAI = 11 };
/* When a Linux clock shows when_ns, or that long from now: monotonic, not 0. */
uint64_t clock_deadline(uint32_t clock, uint64_t when_ns, bool absolute);
bool clock_is_wall(uint32_t clock);
void counters_clock_set(void);               /* as timers_clock_set() */
void eventfd_call(struct proc *p, const struct x_in *in);
void timerfd_call(struct proc *p, const struct x_in *in);
void counter_call(const struct x_in *in);
void counter_closed(uint64_t object);
bool counter_cancel(uint64_t call_id);

/* ---- signalfd.c, mqueue.c ---- */
void signalfd_call(struct proc *p, const struct x_in *in);
void signalfd_file_call(const struct x_in *in);
void signalfd_closed(uint64_t object);
void signalfds_posted(const struct proc *p, uint32_t signal);
void mq_call(struct proc *p, const struct x_in *in);
void mqueue_file_call(const struct x_in *in);
void mqueue_closed(uint64_t object);
bool mqueue_cancel(uint64_t call_id);

/* ---- random.c ---- */
void random_bytes(void *out, size_t bytes);

/* ---- trace.c ---- */
void trace_call(struct proc *p, const struct x_in *in);
bool trace_cancel(uint64_t call_id);
/* Has `waiter` (who: as wait4) news of one it traces? 1: msg is the answer; 0; -X_ECHILD: it traces none such. */
int trace_look(const struct proc *waiter, int32_t who, bool take, struct x_msg *msg);
bool traced_posts(struct proc *p, uint32_t thread, uint32_t signal, const struct signal_info *info); /* SIGSTOP, SIGCONT of one that is traced */
/* Made by the thread `maker` of parent: traced, too, if the tracer said so. */
void trace_born(struct proc *parent, uint32_t maker, struct proc *child, uint32_t tid, enum pm_trace_event how);
bool trace_holds_vfork(struct proc *parent, uint32_t tid, struct proc *child); /* its stop, not the call, waits for the child */
void trace_vfork_done(struct proc *child);
void trace_exec(struct proc *p);
void trace_thread_ended(struct proc *p, uint32_t tid);
void trace_ended(struct proc *p); /* died: tracer or traced */
uint32_t tracer_pid(const struct proc *p);
bool trace_stopped(const struct proc *p); /* its first thread */

/* ---- pidfd.c ---- */
bool may_look_into(const struct proc *who, const struct proc *p);
struct proc *proc_by_any_id(uint32_t id); /* of any of its threads */
void pidfd_call(struct proc *p, const struct x_in *in);
void pidfd_file_call(const struct x_in *in);
void pidfd_process_call(struct proc *p, const struct x_in *in); /* p: the process meant; NULL: gone */
void pidfd_closed(uint64_t object);
void pidfds_ended(const struct proc *p);
/* Between the first window of a call and p's memory at addr: bytes, or -X_EFAULT if not even one. */
enum memory_access { MEMORY_READ, MEMORY_WRITE, MEMORY_FORCE /* written to, may the process write there or not */ };
int64_t memory_copy(const struct proc *p, const struct x_in *in, uint64_t addr, enum memory_access access);
void vm_call(struct proc *p, const struct x_in *in);
void kcmp_call(struct proc *p, const struct x_in *in);

/* ---- sysv*.c: System V IPC ---- */
void shm_call(struct proc *p, const struct x_in *in);
void sem_call(struct proc *p, const struct x_in *in);
void msg_call(struct proc *p, const struct x_in *in);
void shm_inherit(const struct proc *child, const struct proc *parent);
void sysv_drop(struct proc *p, bool ends);   /* at exec and at the end */
bool sysv_cancel(uint64_t call_id);

/* ---- answers ---- */
static inline void answer_value(uint64_t call_id, uint64_t value)
{
	struct x_msg msg = { .a = { value } };

	out_answer(call_id, &msg);
}

/* An error (negative), or a value. */
static inline void answer_result(uint64_t call_id, int64_t result)
{
	if (result < 0)
		out_status(call_id, result);
	else
		answer_value(call_id, (uint64_t)result);
}

/* Answers FILE_STAT of what is in no directory: a signalfd, a pidfd. */
static inline void file_stat_anonymous(uint64_t call_id)
{
	struct file_attr attr = { .dev = 15, .ino = 1, .mode = 0600, .nlink = 1, .block_bytes = X_PAGE_SIZE };

	out_status(call_id, window_write(call_id, 0, 0, &attr, sizeof(attr)) == sizeof(attr) ? 0 : -X_EFAULT);
}

/* Handles of pm itself. */
extern x_handle_t vfs_port, tty_port, rs_port, net_port, bdev_port;

#endif
