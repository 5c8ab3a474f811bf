/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes, threads, scheduling, waiting.
 */
#ifndef THREAD_H
#define THREAD_H

#include "mm.h"

struct call;
struct waitq { struct list threads; };  /* threads by wait_link */
static inline void waitq_init(struct waitq *q) { list_init(&q->threads); }

enum thread_state { THREAD_READY, THREAD_RUNNING, THREAD_BLOCKED, THREAD_DEAD };

#define KSTACK_SIZE 16384u

struct thread {
	struct arch_thread *arch;   /* FPU area, saved kernel stack pointer (arch.h) */
	struct x_regs *regs;        /* user registers, at the top of the kernel stack */
	struct process *process;
	struct list process_link;   /* process->threads */
	uint32_t id;                /* unique in its process */
	uint32_t state;
	uint32_t refs;              /* 1 while alive + wait/call pointers */

	/* scheduling */
	struct list run_link;
	uint32_t band, cpu;         /* last CPU */
	uint32_t rank;              /* run queue that it is or was in: its band or, of a program, behind */
	uint64_t burst_ns;          /* ran since it last waited */
	uint64_t slice_end_ns;
	uint64_t affinity;          /* bit per CPU; 0: all */
	bool leaving;               /* is about to block: whom it wakes may have its CPU */

	/* waiting */
	struct list wait_link;
	struct waitq *waiting_on;
	uint64_t wait_deadline;
	uint32_t wait_flags;
	struct list timer_link;     /* a CPU's list of deadlines, earliest first */
	int wait_result;

	/* notifications and upcalls */
	uint64_t pending, mask;
	uint64_t upcall_stack;      /* user address, 0: no personality */
	uint64_t thread_word;

	void (*first)(struct thread *t); /* runs before user mode is first entered */
	struct call *fork_call;     /* new fork child: the answer it is to return with */

	/* death */
	bool killed;
	bool away;                  /* in the kernel without the lock: a fault has to take it */
	uint64_t futex_koid, futex_offset;
	uint32_t futex_bitset;
	uint32_t robust_owner;      /* how the words of its list name it (robust.c) */
	uint64_t robust_list;       /* user address, 0: none */

	uint64_t fs_base, gs_base;
	uint64_t user_ns, system_ns;
	uint64_t judged_ns;         /* until when its running is counted */
	uint64_t handed;            /* id of the call that it was woken with, already taken for it; or 0 */
	void *kstack;
	struct account *account;    /* its process's, when that is no more, too */
};

struct process {
	struct object obj;
	char name[16];
	uint32_t state;             /* enum x_proc_state */
	uint32_t flags, band;       /* X_PROC_LINUX; X_BAND_* */
	struct account *account;
	struct space *space;
	struct handle_table handles;
	struct list threads;
	uint32_t thread_count, next_thread_id;
	uint32_t threads_in_front;  /* ready, and before those behind (sched.c) */
	uint32_t calls_in_front;    /* queued, and before those behind (call.c) */
	bool background;            /* all its threads are behind */
	struct list all_link;
	uint64_t creator;           /* koid of the process that made it, 0: the kernel */
	bool suspended, dying, replacing; /* replacing: exec waits for the threads to end */
	uint64_t loop_port;         /* koid of the port it received from first */
	uint32_t commits;           /* of that port: stamps handles and mappings */
	struct waitq suspend_wait;  /* threads parked by suspension */
	struct waitq ended;         /* exec: waits for thread_count 0 */
	uint64_t pending, ignore;   /* process-directed notification bits */
	struct x_personality personality;
	struct list calls;          /* struct call.caller_link: calls it has under way */
	/* for x_proc_info */
	uint64_t told_ignored, told_caught;
	uint32_t death, vector;
	int status;
	uint64_t fault_address, fault_error, fault_backtrace[16];
	struct x_regs fault_regs;
	uint64_t user_ns, system_ns, start_ns, death_ns;
	uint64_t ran_ns;            /* running time, see x_proc_info */
	uint64_t commit_ran_ns;     /* that at its last commit */
	uint64_t watched_ran_ns;    /* ... and at the last look of process_watch() */
	uint64_t switches;          /* of a CPU to it, from another process or from idleness */
	uint64_t peak_pages;        /* of the programs that it ran before */
};

/* ---- sched.c ---- */
extern struct list all_processes; /* current() and current_process() are in arch.h */
void sched_init_cpu(uint32_t cpu);
__attribute__((noreturn)) void sched_start_cpu(void); /* idle loop of a CPU */
void schedule(void);                   /* switch to the best thread; returns when run again */
void sched_make_ready(struct thread *t);
void sched_tick(void);                 /* LAPIC timer: expire timers and the slice */
void sched_set_affinity(struct thread *t, uint64_t cpu_set); /* one online, or 0: all */
void sched_stop_thread(struct thread *t); /* make it leave its CPU at once (IPI) */

#define WAIT_INTERRUPTIBLE 1u /* unmasked notifications end the wait */
#define WAIT_UNKILLABLE    2u
#define WAIT_AT_PORT       4u /* for what its port delivers: there the first process may wait */
/* Block the current thread on q until woken: 0 (or what the waker gave),
 * -X_ETIMEDOUT, -X_EINTR (killed, or a notification if interruptible). */
int thread_wait(struct waitq *q, uint64_t deadline_ns, uint32_t flags);
void thread_wake(struct thread *t, int result); /* from whatever it waits on */
void waitq_wake_all(struct waitq *q, int result);
struct thread *waitq_first(struct waitq *q); /* or NULL */

/* ---- thread.c / process.c ---- */
int process_create(const char *name, uint32_t flags, uint32_t band, struct process **out);
int thread_create(struct process *p, const struct x_thread_create *c, const struct x_regs *regs,
		  struct thread **out);
/* The same with a function to run in the kernel first (NULL: none); not started yet. */
int thread_create_with(struct process *p, const struct x_thread_create *c, const struct x_regs *regs,
		       void (*first)(struct thread *t), struct thread **out);
/* Everything below is safe on any thread, including the current one. */
void process_kill(struct process *p, uint32_t death, int status);
void process_watch(struct process *p, uint64_t late_ns); /* at each tick in which it runs: how late that is */
uint64_t process_patience(const struct process *p); /* until when it may wait elsewhere than at its port */
void thread_exit_current(void) __attribute__((noreturn));
void thread_free(struct thread *t); /* scheduler only: it has left its stack */
/* On the way back to user mode: death, suspension, scheduling, notifications
 * (upcall). Called by arch with the lock held, interrupts off. */
void thread_return_to_user(struct x_regs *regs);
static inline uint64_t thread_notifications(const struct thread *t) /* that are to be told now */
{
	return (t->pending | t->process->pending) & ~t->mask & ~t->process->ignore;
}
int process_exec(struct process *p, struct space *space, const struct x_proc_exec *e);
int64_t process_add_thread(struct process *p, const struct x_thread_create *c, const struct x_regs *regs);
void process_suspend(struct process *p, bool on);
int process_reset(struct process *p, const struct x_thread_create *c);
int process_start_first(struct process *p, const struct x_thread_create *c);
uint64_t process_cpu_ns(const struct process *p);
int process_notify(struct process *p, uint32_t thread_id, uint64_t bits); /* X_NOTIFY_* or error */
void thread_set_mask(struct thread *t, uint64_t mask);
uint64_t thread_take_notifications(struct thread *t, uint64_t bits); /* those that were pending */
/* Make the current thread enter the personality when it leaves the kernel; it dies if its
 * block can't be written. System calls do the same in trap.S. */
void thread_upcall(uint32_t reason, uint32_t vector, uint64_t error, uint64_t address);
int64_t sys_resume(uint64_t user_frame, uint64_t taken);
extern struct process process_none; /* of idle threads and of threads that have ended */

/* ---- entries from arch (syscall.c, trap.c), lock held ---- */
void kernel_main(void) __attribute__((noreturn)); /* CPU 0, after arch set up */
/* Native calls that look at nothing that others change, and change nothing of theirs: without the lock. */
#define SYSCALLS_UNLOCKED (1ull << X_SYS_null | 1ull << X_SYS_clock | 1ull << X_SYS_yield)
/* Begin on the shared side of the kernel lock. */
static inline bool syscall_may_share(uint64_t number) { return number == X_SYS_stream; }
struct args;
typedef int64_t (*syscall_fn)(const struct args *a);
extern const syscall_fn syscall_table[X_SYSCALL_COUNT];
static inline void trap_syscall(struct x_regs *regs, uint64_t number)
{
	regs->rax = (uint64_t)(number < X_SYSCALL_COUNT ? syscall_table[number]((const struct args *)regs) : -X_ENOSYS);
}
bool syscall_may_defer(uint64_t number); /* X_OUT_DO */
int64_t syscall_deferred(uint64_t number, const uint64_t *args);
/* vector 14: address = cr2. user: from user mode. Returns false: unhandled
 * kernel fault (arch then tries its own fix-ups, then panics). */
bool trap_exception(struct x_regs *regs, uint32_t vector, uint64_t error, uint64_t address, bool user);
void trap_irq(uint32_t vector);        /* device interrupt: device.c */

#endif
