/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes: fork, exec, exit, wait, and what belongs to a process as a whole.
 * All of it is pm's work; here are the arguments.
 *
 * vfork, and clone with CLONE_VM (posix_spawn), share what was mapped then with
 * the child, but for the personality and so handlers and descriptors; of what
 * one of them maps, unmaps or protects later the other sees nothing.
 */
#include "personality/linux/pers.h"

/* Linux's limits: 32 pages for one string; strings together here. */
#define EXEC_STRING_MAX (32u * X_PAGE_SIZE)
#define EXEC_BUFFER_MAX X_WINDOW_MAX
#define EXEC_BUFFERS (PERS_SCRATCH + 0x10000000ull)

struct fork_args { uint64_t flags, stack, parent_tid, child_tid, tls; bool wait; };
#define CLONE_PARENT 0x8000ull
#define CLONE_SIGNAL_BITS 0xffull

static void trace_fork(struct pers_thread *t, const struct fork_args *f, uint64_t pid)
{
	bool usual = (f->flags & CLONE_SIGNAL_BITS) == SIGCHLD;

	trace_event(t, f->wait ? TRACE_VFORK : usual ? TRACE_FORK : TRACE_CLONE, pid);
	if (f->wait)
		trace_event(t, TRACE_VFORK_DONE, pid);
}

/* The child runs on from here with its own copy of everything. Calls under the
 * lock, so that the copy of what the lock guards is whole; but not while the
 * parent may have to wait for long. */
static int64_t fork_process(struct sys *s, const struct fork_args *f)
{
	struct x_call c;
	uint32_t pid;
	int64_t error;

	if (!f->wait)
		process_lock();
	error = call_pm(&c, PM_FORK, (f->wait ? PM_FORK_WAIT : 0) | (f->flags & CLONE_PARENT ? PM_FORK_PARENT : 0) |
			(f->flags & CLONE_VM ? PM_FORK_LEND : 0),
			f->flags & CLONE_SIGNAL_BITS, s->thread->tid, 0);
	if (error < 0 || c.msg.a[0] != 0) {
		if (!f->wait)
			process_unlock();
		if (error < 0)
			return error;
		if (is_traced())
			trace_fork(s->thread, f, c.msg.a[0]);
		return (int64_t)c.msg.a[0];
	}
	threads_after_fork(s->thread);
	if (f->stack)
		s->frame->regs.rsp = f->stack;
	if (f->flags & CLONE_SETTLS) {
		s->frame->regs.fs_base = f->tls;
		x_thread_set_fs(f->tls);
	}
	pid = ids()->pid;
	if (f->flags & CLONE_PARENT_SETTID) /* in its copy too, or before the parent goes on */
		copy_out(f->parent_tid, &pid, sizeof(pid));
	if (f->flags & CLONE_CHILD_SETTID)
		copy_out(f->child_tid, &pid, sizeof(pid));
	if (f->flags & CLONE_CHILD_CLEARTID)
		s->thread->clear_tid = f->child_tid;
	return 0;
}

int64_t linux_fork(struct sys *s) { return fork_process(s, &(struct fork_args){ .flags = SIGCHLD }); }
int64_t linux_vfork(struct sys *s) { return fork_process(s, &(struct fork_args){ .flags = SIGCHLD | CLONE_VM, .wait = true }); }

#define CLONE_NEWNS   0x20000ull
#define CLONE_PIDFD   0x1000ull
#define CLONE_DETACHED 0x400000ull

/* Four patterns: fork, vfork, posix_spawn, pthread. */
/* Arguments as clone's; pidfd: where CLONE_PIDFD puts it. */
static int64_t clone_any(struct sys *s, uint64_t pidfd)
{
	uint64_t flags = s->a[0];
	struct fork_args f = {
		.flags = flags, .stack = s->a[1], .parent_tid = s->a[2], .child_tid = s->a[3], .tls = s->a[4],
		.wait = flags & CLONE_VFORK,
	};
	const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
	int64_t pid;

	if ((flags & (CLONE_SIGHAND | CLONE_VM)) == CLONE_SIGHAND ||
	    (flags & (CLONE_THREAD | CLONE_SIGHAND)) == CLONE_THREAD ||
	    (flags & (CLONE_FS | CLONE_NEWNS)) == (CLONE_FS | CLONE_NEWNS) ||
	    ((flags & CLONE_PIDFD) && (flags & (CLONE_THREAD | CLONE_DETACHED))))
		return -X_EINVAL;
	if (flags & CLONE_NEW_ANY)
		return -X_EPERM;
	if ((flags & CLONE_PIDFD) && user_probe(pidfd, 4, true))
		return -X_EFAULT;
	if (flags & CLONE_THREAD) {
		if ((flags & thread) != thread || s->a[1] == 0)
			return -X_EINVAL;
		return thread_clone(s, flags, s->a[1], s->a[2], s->a[3], s->a[4]);
	}
	pid = fork_process(s, &f);
	if (pid > 0 && (flags & CLONE_PARENT_SETTID)) {
		uint32_t tid = (uint32_t)pid;

		copy_out(s->a[2], &tid, sizeof(tid));
	}
	if (pid > 0 && (flags & CLONE_PIDFD)) {
		int32_t fd = (int32_t)pidfd_open((uint32_t)pid, 0);

		copy_out(pidfd, &fd, sizeof(fd));
	}
	return pid;
}

int64_t linux_clone(struct sys *s)
{
	if ((s->a[0] & (CLONE_PIDFD | CLONE_PARENT_SETTID)) == (CLONE_PIDFD | CLONE_PARENT_SETTID))
		return -X_EINVAL; /* both in one place */
	return clone_any(s, s->a[2]);
}

struct linux_clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls;
	uint64_t set_tid, set_tid_size, cgroup;
};
#define CLONE_ARGS_SIZE_0 64u

int64_t linux_clone3(struct sys *s)
{
	struct linux_clone_args args = { 0 };
	uint64_t size = s->a[1];

	if (size < CLONE_ARGS_SIZE_0)
		return -X_EINVAL;
	if (size > X_PAGE_SIZE)
		return -X_E2BIG;
	if (copy_in(&args, s->a[0], size < sizeof(args) ? size : sizeof(args)))
		return -X_EFAULT;
	for (uint64_t at = sizeof(args); at < size; at++) { /* what this system does not know must be 0 */
		uint8_t byte;

		if (copy_in(&byte, s->a[0] + at, 1))
			return -X_EFAULT;
		if (byte)
			return -X_E2BIG;
	}
	if ((args.flags & (CLONE_SIGNAL_BITS | CLONE_DETACHED)) ||
	    ((args.flags & CLONE_PIDFD) && (args.flags & CLONE_PARENT_SETTID) && args.pidfd == args.parent_tid) || args.exit_signal > SIGNAL_MAX ||
	    args.set_tid_size || !args.stack != !args.stack_size ||
	    ((args.flags & CLONE_THREAD) && args.exit_signal))
		return -X_EINVAL;
	if (args.stack && !user_range(args.stack, args.stack_size))
		return -X_EINVAL;
	s->a[0] = args.flags | args.exit_signal;
	s->a[1] = args.stack ? args.stack + args.stack_size : 0;
	s->a[2] = args.parent_tid;
	s->a[3] = args.child_tid;
	s->a[4] = args.tls;
	return clone_any(s, args.pidfd);
}

/* ------------------------------------------------------------------------- exec */

struct exec_strings { uint64_t buf; uint64_t bytes; uint32_t count; };

/* Gather the strings of a NULL-ended array, each with its NUL, at buf. */
static int64_t gather_strings(uint64_t array, struct exec_strings *e)
{
	for (uint64_t i = 0; array; i++) {
		uint64_t string;
		int64_t len;

		if (copy_in(&string, array + i * 8, 8))
			return -X_EFAULT;
		if (!string)
			break;
		len = user_string_length(string, EXEC_STRING_MAX);
		if (len < 0)
			return len;
		if (len == EXEC_STRING_MAX || e->bytes + (uint64_t)len + 1 > EXEC_BUFFER_MAX)
			return -X_E2BIG;
		if (pers_copy((void *)(e->buf + e->bytes), (const void *)string, (uint64_t)len))
			return -X_EFAULT;
		e->bytes += (uint64_t)len;
		*(char *)(e->buf + e->bytes++) = 0;
		e->count++;
	}
	return 0;
}

/* Two buffers a thread, in its own part of the scratch area; touched lazily.
 * They are mapped afresh for each try: the region of the personality can be
 * mapped over but, so that no program does it, never unmapped. */
static int64_t exec_buffers(const struct pers_thread *t, struct x_mem_map *m)
{
	*m = (struct x_mem_map){
		.space = X_SELF, .memory = X_NO_HANDLE,
		.addr = EXEC_BUFFERS + (uint64_t)t->slot * 2 * EXEC_BUFFER_MAX,
		.len = 2 * EXEC_BUFFER_MAX, .prot = X_PROT_READ | X_PROT_WRITE,
		.flags = X_MAP_FIXED | X_MAP_PRIVATE | X_MAP_PERSONALITY,
	};
	return linux_error(x_mem_map(m));
}

/* c has the path as window 0, and the file as a handle if there is one. On
 * success the answer never comes: this program is no more. */
static int64_t exec(struct sys *s, struct x_call *c, uint64_t argv, uint64_t envp)
{
	struct exec_strings args = { 0 }, env = { 0 };
	struct x_mem_map m;
	int64_t error = exec_buffers(s->thread, &m);

	if (error < 0)
		return error;
	args.buf = m.addr;
	env.buf = m.addr + EXEC_BUFFER_MAX;
	error = gather_strings(argv, &args);
	if (!error)
		error = gather_strings(envp, &env);
	if (!error) {
		call_window(c, (void *)args.buf, args.bytes, X_WIN_READ);
		call_window(c, (void *)env.buf, env.bytes, X_WIN_READ);
		c->msg.a[0] = args.count;
		c->msg.a[1] = env.count;
		c->msg.a[2] = c->handle_count;
		c->msg.a[3] = process.ignored;
		c->msg.a[4] = s->frame->mask;
		error = call_plain(X_SLOT_PM, c);
	}
	return error > 0 ? -X_EIO : error;
}

static int64_t exec_path(struct x_call *c, uint64_t path, bool may_be_empty)
{
	int64_t len = user_string_length(path, LINUX_PATH_MAX);

	if (len < 0)
		return len;
	if (len >= (int64_t)LINUX_PATH_MAX)
		return -X_ENAMETOOLONG;
	call_init(c, PM_EXEC);
	call_window(c, (const void *)path, (uint64_t)len, X_WIN_READ);
	return len || may_be_empty ? 0 : -X_ENOENT;
}

int64_t linux_execve(struct sys *s)
{
	struct x_call c;
	int64_t error = exec_path(&c, s->a[0], false);

	return error ? error : exec(s, &c, s->a[1], s->a[2]);
}

/* By path, an open file (fexecve), or a path below a directory: then the file is opened first. */
int64_t linux_execveat(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[4];
	struct x_call c;
	char first = 0;
	int64_t error, file = -1, file_flags;

	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -X_EINVAL;
	error = exec_path(&c, s->a[1], flags & AT_EMPTY_PATH);
	if (error)
		return error;
	if (c.win[0].len == 0) {
		if (check_fd(s->a[0]))
			return -X_EBADF;
		file_flags = x_object_ctl((x_handle_t)s->a[0], X_OBJ_GET_FLAGS, 0);
		if (file_flags >= 0 && (file_flags & F_O_PATH)) {
			file = open_again(s->a[0], F_O_CLOEXEC);
			if (file < 0)
				return file;
		}
		c.handles[c.handle_count++] = (x_handle_t)(file < 0 ? (int64_t)s->a[0] : file);
	} else if (((int32_t)s->a[0] != LINUX_AT_FDCWD && (copy_in(&first, s->a[1], 1) || first != '/')) ||
		   (flags & AT_SYMLINK_NOFOLLOW)) {
		file = open_path(s->a[0], s->a[1], F_O_CLOEXEC | (flags & AT_SYMLINK_NOFOLLOW ? F_O_NOFOLLOW : 0));
		if (file < 0)
			return file;
		c.handles[c.handle_count++] = (x_handle_t)file;
	}
	error = exec(s, &c, s->a[2], s->a[3]);
	if (file >= 0)
		x_handle_close((x_handle_t)file);
	return error;
}

/* ----------------------------------------------------------------- end and wait */

int64_t linux_exit_group(struct sys *s)
{
	process_end(((uint32_t)s->a[0] & 0xff) << 8);
}

static int64_t wait_for(int64_t pid, uint32_t options, bool waitid, struct x_call *c)
{
	call_init(c, PM_WAIT);
	c->msg.a[0] = (uint64_t)pid;
	c->msg.a[1] = options;
	c->msg.a[2] = waitid;
	return call_interruptible(X_SLOT_PM, c);
}

static int64_t put_rusage(uint64_t addr, uint64_t user_ns, uint64_t system_ns, uint64_t max_rss_kib)
{
	struct linux_rusage usage = { 0 };

	usage.utime = to_timeval(user_ns);
	usage.stime = to_timeval(system_ns);
	usage.maxrss = (int64_t)max_rss_kib;
	return copy_out(addr, &usage, sizeof(usage));
}

#define WNOTHREAD 0x20000000u /* of the calling thread only: there is no such difference */

int64_t linux_wait4(struct sys *s)
{
	uint32_t options = (uint32_t)s->a[2], status;
	struct x_call c;
	int64_t error;

	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | 0xe0000000u))
		return -X_EINVAL;
	error = s->a[1] ? user_probe(s->a[1], 4, true) : 0;
	if (error)
		return error;
	error = wait_for((int32_t)s->a[0], options & ~WNOTHREAD, false, &c);
	if (error < 0)
		return error;
	status = (uint32_t)c.msg.a[1];
	if (c.msg.a[0] && s->a[1] && copy_out(s->a[1], &status, sizeof(status)))
		return -X_EFAULT;
	if (c.msg.a[0] && s->a[3] && put_rusage(s->a[3], c.msg.a[2], c.msg.a[3], c.msg.a[6]))
		return -X_EFAULT;
	return (int64_t)c.msg.a[0];
}

/* What P_ALL, P_PID, P_PGID ask, as the pid argument of wait4. */
static int64_t waitid_pid(uint32_t type, int32_t id, int64_t *pid)
{
	switch (type) {
	case 0: *pid = -1; return 0;
	case 1: *pid = id; return id > 0 ? 0 : -X_EINVAL;
	case 2: *pid = -(int64_t)id; return id >= 0 ? 0 : -X_EINVAL;
	default: return -X_EINVAL;
	}
}

int64_t linux_waitid(struct sys *s)
{
	uint32_t options = (uint32_t)s->a[3];
	struct linux_siginfo info;
	struct x_call c;
	int64_t pid, error;

	if ((options & ~(WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | 0xe0000000u)) ||
	    !(options & (WUNTRACED | WEXITED | WCONTINUED)))
		return -X_EINVAL;
	if ((uint32_t)s->a[0] == 3) /* P_PIDFD */
		error = pidfd_waited((uint32_t)s->a[1], &pid, &options);
	else
		error = waitid_pid((uint32_t)s->a[0], (int32_t)s->a[1], &pid);
	if (!error && s->a[2])
		error = user_probe(s->a[2], sizeof(info), true);
	if (error)
		return error;
	error = wait_for(pid, options & ~WNOTHREAD, true, &c);
	if (error < 0)
		return error;
	if (!c.msg.a[0] && (uint32_t)s->a[0] == 3 && !((uint32_t)s->a[3] & WNOHANG))
		return -X_EAGAIN; /* the pidfd does not wait */
	convert_wait_status(&info, (uint32_t)c.msg.a[0], (uint32_t)c.msg.a[1]);
	if (c.msg.a[5]) { /* of one that is traced, with its event */
		info.code = CLD_TRAPPED;
		info.child.status = (int32_t)((uint32_t)c.msg.a[1] >> 8);
	}
	if (c.msg.a[0])
		info.child.uid = (uint32_t)c.msg.a[4];
	if (s->a[2] && copy_out(s->a[2], &info, sizeof(info)))
		return -X_EFAULT;
	if (s->a[4] && c.msg.a[0])
		return put_rusage(s->a[4], c.msg.a[2], c.msg.a[3], c.msg.a[6]);
	return 0;
}

int64_t linux_getrusage(struct sys *s)
{
	int32_t who = (int32_t)s->a[0];
	struct x_call c;
	int64_t error;

	if (who != 0 && who != -1 && who != 1)
		return -X_EINVAL;
	error = call_pm(&c, PM_RUSAGE, who == 1 ? 0 : (uint64_t)(int64_t)who, 0, 0, 0);
	return error < 0 ? error : put_rusage(s->a[1], c.msg.a[0], c.msg.a[1], c.msg.a[2]);
}

#define TICK_NS 10000000ull /* the clock tick of times(2) and AT_CLKTCK: 100 Hz */

int64_t linux_times(struct sys *s)
{
	struct linux_tms tms = { 0 };
	struct x_call c;

	if (call_pm(&c, PM_RUSAGE, 0, 0, 0, 0) >= 0) {
		tms.utime = (int64_t)(c.msg.a[0] / TICK_NS);
		tms.stime = (int64_t)(c.msg.a[1] / TICK_NS);
	}
	if (call_pm(&c, PM_RUSAGE, (uint64_t)-1, 0, 0, 0) >= 0) {
		tms.cutime = (int64_t)(c.msg.a[0] / TICK_NS);
		tms.cstime = (int64_t)(c.msg.a[1] / TICK_NS);
	}
	if (s->a[0] && copy_out(s->a[0], &tms, sizeof(tms)))
		return -X_EFAULT;
	return (int64_t)(now_ns() / TICK_NS);
}
