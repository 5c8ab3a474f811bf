/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the Linux personality share.
 *
 * The personality runs in the program's own process, on the upcall stack of
 * the thread that entered it (layout.h). Within a thread it is never entered
 * twice: notifications wait for x_resume. Between threads of a process the
 * data in `process` is shared; fields say by what they are guarded:
 *   [L] process.lock    [T] only the thread itself    [I] fixed after start
 *
 * Handlers of system calls take a struct sys and return what rax is to be: a
 * result, a negated Linux error, or one of the RESTART codes below, which
 * main.c turns into -EINTR or a repeated call in one place.
 */
#ifndef PERSONALITY_LINUX_PERS_H
#define PERSONALITY_LINUX_PERS_H

#include <stdbool.h>
#include <stddef.h>
#include <xinim/syscall.h>
#include "lib/c/string.h"
#include "personality/linux/layout.h"
#include "personality/linux/linux_abi.h"
#include "proto/file.h"
#include "proto/pm.h"
#include "proto/vfs.h"

/* Everything is in one image: no reference goes through a table. */
#pragma GCC visibility push(hidden)

/* An interruptible call met a signal: what to do with it (values never leave). */
#define RESTART_SYS    512 /* again, unless a handler without SA_RESTART runs */
#define RESTART_NOINTR 513 /* again, always */
#define RESTART_NOHAND 514 /* again, unless a handler runs */
#define RESTART_BLOCK  516 /* go on by restart_syscall, unless a handler runs */

#define LINUX_SYSCALL_MAX 452u
#define LINUX_SYS_RESTART 219u

/* Which wait restart_syscall goes on with. */
enum restart_kind { RESTART_NONE, RESTART_SLEEP, RESTART_POLL, RESTART_FUTEX };

struct pers_thread { /* at the bottom of its upcall stack slot */
	uint32_t slot;           /* [I] */
	uint32_t tid;            /* [L] */
	uint64_t robust_list;    /* [T] user address */
	uint32_t number;         /* [L] the kernel's thread number */
	uint64_t tkilled;        /* signals sent by tgkill within the process (atomic) */
	uint64_t clear_tid;      /* [T] user address, 0: none */
	struct linux_stack altstack; /* [T] */
	bool mask_saved;         /* [T] a temporary mask is in the frame; the real one: */
	uint64_t saved_mask;
	uint64_t discard;        /* [T] pending bits to drop at the next resume */
	enum restart_kind restart; /* [T] */
	uint64_t restart_deadline_ns;
	uint64_t restart_args[3];
	void *scratch;           /* [T] PERS_SCRATCH_BUFFER bytes, 0 until used */
	struct x_upcall before;  /* [T] the frame before a signal was put on the stack */
	char name[16];           /* [T] PR_SET_NAME */
	uint64_t timer_slack_ns; /* [T] kept only: difference to the default */
	x_handle_t file;         /* [T] a handle that is no descriptor but may be used as one; 0: none */
	uint64_t trace_mode;     /* [T] TRACE_*: how its tracer wants it to run; 0: it is not traced */
	bool stepping;           /* [T] RFLAGS_TF is the tracer's */
	enum { NO_CALL_STOP, CALL_BEGINS, CALL_ENDS } call_stop; /* [T] while it is stopped so */
	struct linux_siginfo *stop_info; /* [T] while it is stopped with a signal */
	uint64_t call_number;    /* [T] of the system call being served, for the tracer; NO_CALL: none */
	const uint8_t *fpu_kept; /* its FPU image, while a core file is written; NULL: not known */
	bool nowait;             /* [T] what would have to wait is -X_EAGAIN: see call_interruptible */
};

#define NO_CALL UINT64_MAX

#define PERS_SCRATCH_BUFFER 65536u

#define AIO_CONTEXTS 64u
#define URINGS 64u
struct uring;

struct aio_context {
	uint64_t address;        /* its memory, and its id; 0: unused */
	x_handle_t port;
	uint32_t count;          /* of slots */
	uint32_t next;           /* where to look for a free one */
	uint32_t under_way, ended;
};

struct pers_process {
	uint32_t lock;           /* 0 free, 1 held, 2 held and waited for */
	bool started;            /* [I] */
	uint32_t threads;        /* [L] living */
	uint32_t slot_end;       /* [L] slots from here up were never used */
	uint32_t slot_used[PERS_STACK_SLOTS]; /* 1: in use; zeroed by the kernel at thread end */
	uint64_t slot_mapped[PERS_STACK_SLOTS / 64]; /* [L] */
	struct linux_sigaction actions[SIGNAL_MAX + 1]; /* [L] to write */
	uint64_t ignored, caught; /* [L] to write; by actions: SIG_IGN, a handler */
	uint64_t brk;            /* [L] as the program sees it */
	uint64_t capabilities[3], capable_uid; /* capset, kept only; of which effective uid, + 1 */
	uint64_t timer_slack_ns; /* of the maker, kept only: difference to the default */
	uint32_t dumpable;
	uint32_t keep_caps, no_new_privs; /* prctl, kept only */
	uint32_t xsave;          /* 0: not known, 1: no, 2: yes */
	uint32_t io_priority;    /* ioprio_set + 1, kept only; 0: never set */
	uint32_t barriers;       /* membarrier commands registered for */
	uint32_t persona;        /* personality(2), kept only */
	uint64_t cap_unbounded, ambient; /* capabilities out of the bounding set; kept only */
	uint32_t secure_bits, thp_disabled; /* kept only */
	uint64_t deadline_policy[3]; /* sched_setattr: runtime, deadline, period, kept only */
	bool lock_future;        /* mlockall: new mappings are locked */
	struct aio_context aio[AIO_CONTEXTS]; /* [L] to make and end */
	struct uring *rings[URINGS]; /* [L] to make and end */
	uint32_t ring_end;       /* [L] rings from here up were never used; 0: there is none */
	bool record_locks, file_locks; /* such locks were asked for: closing matters */
	uint64_t signalfd_set;   /* signals that a signalfd was ever asked for (atomic) */
	uint32_t core, core_waiting; /* 1: a core file is being written; threads that wait for its end */
	uint64_t logged[LINUX_SYSCALL_MAX / 64 + 1]; /* numbers reported as missing */
};

extern struct pers_process process;

struct sys { /* one system call being served */
	struct x_upcall *frame;
	struct pers_thread *thread;
	uint64_t a[6];
	bool keep_regs;          /* frame->regs are complete: don't set rax */
};

static inline const volatile struct pm_ids *ids(void)
{
	return (const volatile struct pm_ids *)PM_IDS_PAGE;
}
static inline const struct pers_start *start_info(void)
{
	return (const struct pers_start *)PERS_START;
}

/* For short stretches. A lock is 0 free, 1 held, 2 held and waited for. */
void word_lock(uint32_t *word);
void word_unlock(uint32_t *word);
static inline void process_lock(void) { word_lock(&process.lock); }
static inline void process_unlock(void) { word_unlock(&process.lock); }

/* ---- calls.c: native calls, with errors made Linux's ---- */
int64_t linux_error(int64_t native);
void call_init(struct x_call *c, uint32_t op);
void call_window_at(struct x_call *c, uint64_t addr, uint64_t len, uint32_t flags);
#define call_window(c, addr, len, flags) call_window_at(c, (uint64_t)(addr), len, flags)
int64_t call_plain(x_handle_t h, struct x_call *c);         /* ends only with its answer */
int64_t call_interruptible(x_handle_t h, struct x_call *c); /* -RESTART_SYS on a signal */
int64_t call_pm(struct x_call *c, uint32_t op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3);
int32_t job_flags(void); /* FILE_NO_*, for msg.status: what a terminal must know of the caller */
int64_t check_fd(uint64_t fd); /* 0 or -X_EBADF; the range only */
/* Room for new descriptors; closes what came above the limit. */
void call_receive_fds(struct x_call *c, bool cloexec);
/* The one that came with an answer: the call's own error, or -X_EIO if there is none. */
int64_t call_new_fd(const struct x_call *c, int64_t result);

bool capable(uint32_t capability); /* ident.c */

/* ---- user.c: the program's memory. 0 or -X_EFAULT ---- */
bool user_range(uint64_t addr, uint64_t len);     /* may be the program's: checked before any use */
int64_t copy_in(void *dst, uint64_t src, uint64_t len);
int64_t copy_out(uint64_t dst, const void *src, uint64_t len);
int64_t user_string_length(uint64_t addr, uint64_t max); /* max: no NUL in that many bytes */
int64_t user_probe(uint64_t addr, uint64_t len, bool write); /* first byte can be used */
int64_t clear_user(uint64_t addr, uint64_t len);
void *thread_scratch(struct pers_thread *t);      /* NULL: no memory */

/* entry.S: these stop at a fault and return -X_EFAULT */
int64_t pers_copy(void *dst, const void *src, uint64_t len);
int64_t pers_strnlen(const char *s, uint64_t max);
int64_t pers_touch(const void *addr, uint64_t write);
int64_t pers_cmpxchg32(uint32_t *addr, uint32_t expected, uint32_t desired, uint32_t *old);

/* ---- signal.c, sigframe.c, fault.c ---- */
static inline uint64_t signal_bit(uint32_t sig) { return 1ull << (sig - 1); }
void signals_start(const struct pers_start *start);
/* Acts on pending signals until one needs a handler; code: 0, or the RESTART
 * code system call `number` ended with. Returns the bits dealt with. */
uint64_t signals_deliver(struct pers_thread *t, struct x_upcall *frame, uint64_t pending,
			 int64_t code, uint64_t number);
uint64_t signals_pending(struct x_upcall *frame);
void signal_force(struct pers_thread *t, struct x_upcall *frame, const struct linux_siginfo *info);
__attribute__((noreturn)) void process_end(uint32_t wait_status);
void restart_settle(struct x_regs *regs, int64_t code, uint64_t number, bool handler, bool sa_restart);
void fault_upcall(struct pers_thread *t, struct x_upcall *frame);
int64_t post_signal_self(struct pers_thread *t, uint32_t sig); /* thread-directed, own process */
uint64_t signals_all(struct x_upcall *frame); /* pending, masked or not */
/* Wait until one of `set` is pending, blocked or not, or another interrupts: all that is. */
uint64_t signals_wait(struct sys *s, uint64_t set, uint64_t deadline);
bool signal_take(struct sys *s, uint64_t set, struct linux_siginfo *info); /* the lowest pending one */
void install_mask(struct sys *s, uint64_t mask); /* the kernel's, while this call waits; to be put back */
int64_t use_signal_mask(struct sys *s, uint64_t set_addr, uint64_t set_size, uint64_t *mask);

struct sigframe_place { uint64_t frame, fpstate; };
#define FXSAVE_BYTES 512u
#define XSAVE_BYTES 832u          /* x87, SSE, AVX */
#define FPSTATE_BYTES (XSAVE_BYTES + 4u) /* and a closing mark */
bool altstack_active(const struct linux_stack *alt, uint64_t rsp);
int sigframe_place(const struct linux_stack *alt, const struct linux_sigaction *action,
		   uint64_t rsp, struct sigframe_place *place);
void sigframe_fill(struct linux_rt_sigframe *f, const struct x_upcall *frame, uint64_t sigmask,
		   const struct linux_stack *alt, const struct linux_sigaction *action,
		   const struct linux_siginfo *info, uint64_t fpstate);
void sigframe_enter(struct x_regs *regs, uint32_t sig, const struct linux_sigaction *action,
		    uint64_t frame);
void sigframe_restore(struct x_regs *regs, const struct linux_ucontext *uc);

void signals_ignore(uint64_t but); /* [L] the kernel is told what is ignored, but for those; what is traced ignores nothing */
bool has_xsave(void);
void fpu_save(uint8_t *image);     /* FPSTATE_BYTES, aligned to 64 */
void fpu_restore(uint8_t *image);  /* nothing in it may fault */

/* ---- trace.c ---- */
static inline bool is_traced(void) { return ids()->traced != 0; }
struct x_upcall *frame_of(const struct pers_thread *t); /* how it came here */
/* Stops for the tracer, if this thread has one. Returns the signal that is to be acted on. */
uint32_t trace_signal(struct pers_thread *t, struct linux_siginfo *info);
void trace_group(struct pers_thread *t, uint32_t sig); /* the default action of a stop signal */
void trace_event(struct pers_thread *t, enum pm_trace_event event, uint64_t message);
void trace_syscall(struct pers_thread *t, bool ends); /* its beginning and end */
bool trace_stepped(struct pers_thread *t); /* a step that the tracer wanted: no longer */

struct user_regs;
void user_regs_get(const struct pers_thread *t, struct user_regs *u);

/* ---- core.c ---- */
/* A core file, if the signal makes one and the process may: was it written? */
bool core_dump(struct pers_thread *t, const struct linux_siginfo *info);
__attribute__((noreturn)) void core_wait(struct pers_thread *t); /* another thread writes one */

/* ---- path.c ---- */
int64_t path_call(struct x_call *c, uint32_t op, uint64_t dirfd, uint64_t path, bool may_be_empty);
int64_t open_again(uint64_t fd, uint32_t flags); /* what the descriptor is of, as another open file */
int64_t open_path(uint64_t dirfd, uint64_t path, uint32_t flags); /* a descriptor */

/* ---- lock.c ---- */
bool lock_command(uint32_t command);  /* of fcntl */
int64_t lock_fcntl(uint64_t fd, uint32_t command, uint64_t addr);
void lock_closing(uint64_t fd);       /* before a descriptor is closed */
void lock_closed(void);               /* after */

/* ---- thread.c ---- */
/* Whose stack that is on. */
static inline struct pers_thread *thread_on(const void *address)
{
	uint32_t slot = (uint32_t)(((uint64_t)address - PERS_STACKS) / PERS_STACK_STRIDE);

	return (struct pers_thread *)(PERS_STACK_TOP(slot) - PERS_STACK_BYTES);
}
static inline struct pers_thread *thread_in_slot(uint32_t slot)
{
	return (struct pers_thread *)(PERS_STACK_TOP(slot) - PERS_STACK_BYTES);
}
struct pers_thread *thread_here(void); /* whose stack this is */
/* A thread of the personality's own, which is no thread of the program's; no signal reaches it. */
int64_t thread_helper(void (*entry)(void *), void *arg);
__attribute__((noreturn)) void thread_helper_end(void);
void thread_start_first(struct pers_thread *t);
void threads_after_fork(struct pers_thread *t);
struct pers_thread *thread_by_tid(uint32_t tid); /* [L] held */
int64_t thread_clone(struct sys *s, uint64_t flags, uint64_t stack, uint64_t parent_tid,
		     uint64_t child_tid, uint64_t tls);

/* ---- convert.c: pure conversions ---- */
void convert_stat(struct linux_stat *out, const struct file_attr *in);
void convert_statx(struct linux_statx *out, const struct file_attr *in);
void convert_statfs(struct linux_statfs *out, const struct file_statfs *in);
void convert_wait_status(struct linux_siginfo *info, uint32_t pid, uint32_t status);
bool convert_timespec(const struct linux_timespec *t, uint64_t *ns); /* false: not valid */
bool convert_timeval(const struct linux_timeval *t, uint64_t *ns);
struct linux_timespec to_timespec(uint64_t ns);
struct linux_timeval to_timeval(uint64_t ns);
uint64_t deadline_after(uint64_t now_ns, uint64_t ns);  /* saturates below X_FOREVER */

/* ---- poll.c, epoll.c, fd.c ---- */
uint32_t poll_wanted(int16_t events);                      /* POLL* -> X_READY_* */
int16_t poll_happened(uint32_t ready, int16_t events);     /* and back, as asked for */
int64_t wait_interrupted(struct sys *s, const uint64_t *mask); /* a signal ended a wait with this mask */
int64_t install_fd(int64_t handle, bool cloexec);          /* a new handle (or error) becomes a descriptor */
int64_t room_for_descriptor(void);                         /* before something is made or cut: -X_EMFILE */
int64_t duplicate(uint64_t fd, uint64_t lowest, uint32_t flags);

int64_t fd_attributes(uint64_t fd, struct file_attr *attr);
/* As read or write; the buffer is trusted; offset < 0: at the cursor; flags: FILE_*. */
int64_t file_transfer(uint64_t fd, uint32_t op, uint64_t buf, uint64_t len, int64_t offset, int32_t flags);
int64_t broken_pipe(struct sys *s, int64_t result); /* SIGPIPE if it is -X_EPIPE */
bool fd_is_of_messages(uint64_t fd); /* a socket that is no stream: each read or write is a whole message */
int64_t transfer_user(uint64_t fd, uint32_t op, uint64_t buf, uint64_t len, int64_t offset);
int64_t below_size_limit(struct sys *s, uint64_t fd, int64_t offset, uint64_t *len);

/* ---- signalfd.c ---- */
int64_t signalfd_read(struct sys *s);      /* read(2); -X_EIO: no signalfd */
void signalfd_posted(uint32_t sig);        /* sent within the process */

/* ---- aio.c ---- */
void aio_after_fork(void);

/* ---- uring.c ---- */
void uring_after_fork(void);
int64_t uring_map(struct x_mem_map *m, uint64_t fd); /* an address; -X_ENODEV: no ring */
void uring_watch(uint64_t fd);  /* somebody will wait for it, if it is a ring */
void uring_before_wait(void);   /* makes rings look as they are */
void uring_fd_closed(void);     /* after a descriptor was closed or replaced */

/* ---- ioctl.c ---- */
struct ioctl_shape { uint32_t bytes, flags; }; /* X_WIN_READ: the server reads the argument */
struct ioctl_shape ioctl_shape(uint32_t command);

/* ---- socket.c ---- */
/* More memory that a socket's ioctl points to, as window 1. 0, -X_EFAULT, -X_ENOTTY (no socket), -X_ESRCH or -X_EINVAL
 * (no such owner). */
int64_t socket_ioctl_window(uint64_t fd, struct x_call *c, uint32_t command, uint64_t arg);
int64_t socket_ioctl_fault(uint64_t fd, uint32_t command); /* the answer if the argument is at a bad address */
int64_t socket_set_owner(uint64_t fd, int32_t who);        /* F_SETOWN: kept, no signal is sent; -X_ESRCH, -X_EINVAL */
int64_t socket_owner(uint64_t fd);                         /* F_GETOWN: 0 of what is no socket */
int64_t socket_for_interfaces(uint64_t fd); /* a descriptor to be closed, or -X_ENOTTY */

/* ---- pidfd.c ---- */
int64_t pidfd_open(uint32_t pid, uint32_t flags);
/* For waitid: the pid; WNOHANG is added if the pidfd does not wait. */
int64_t pidfd_waited(uint32_t fd, int64_t *pid, uint32_t *options);

/* ---- time.c ---- */
int64_t set_realtime(uint64_t ns);
uint64_t now_ns(void);
bool clock_can_wake(uint32_t id);                          /* for timers */
int64_t deadline_from_timespec(uint64_t addr, uint64_t *deadline_ns); /* relative; 0: forever */
uint64_t deadline_from_realtime(uint64_t realtime_ns);
int64_t sleep_restart(struct sys *s);
int64_t poll_restart(struct sys *s);
int64_t futex_restart(struct sys *s);
int64_t read_random(struct sys *s, uint64_t buf, uint64_t len);

void pers_log(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* ---- dispatch ---- */
typedef int64_t sys_fn(struct sys *s);
#define L(name, number, state) sys_fn linux_##name;
#define N(name, number)
#include "personality/linux/syscalls.h"
#undef L
#undef N

#pragma GCC visibility pop

#endif
