/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals. Signal n is notification bit n-1: the kernel keeps what is pending,
 * the mask of each thread and the set that is ignored; here are the actions,
 * the frames on the program's stack, and the system calls about them.
 *
 * The ignore set in the kernel holds every signal whose action is "ignore" by
 * choice or by default; the kernel drops such a signal when it is sent.
 */
#include "personality/linux/pers.h"

#define B(sig) (1ull << ((sig) - 1))
#define UNMASKABLE     (B(SIGKILL) | B(SIGSTOP))
#define DEFAULT_IGNORE (B(SIGCHLD) | B(SIGCONT) | B(SIGURG) | B(SIGWINCH))
#define DEFAULT_STOP   (B(SIGSTOP) | B(SIGTSTP) | B(SIGTTIN) | B(SIGTTOU))

static uint64_t ignored_by(uint32_t sig, uint64_t handler)
{
	if (handler == SIG_IGN)
		return signal_bit(sig);
	return handler == SIG_DFL ? signal_bit(sig) & DEFAULT_IGNORE : 0;
}

/* By choice, or by default and not caught. */
static uint64_t all_ignored(void)
{
	return process.ignored | (DEFAULT_IGNORE & ~process.caught);
}

void signals_ignore(uint64_t but)
{
	x_notify_ignore(is_traced() ? 0 : all_ignored() & ~but, process.ignored, process.caught);
}

/* [L] What the kernel is to know of a signal's action. */
static void set_action(uint32_t sig, uint64_t handler)
{
	uint64_t bit = signal_bit(sig);
	uint64_t ignored = (process.ignored & ~bit) | (handler == SIG_IGN ? bit : 0);
	uint64_t caught = (process.caught & ~bit) | (handler > SIG_IGN ? bit : 0);

	if (ignored == process.ignored && caught == process.caught)
		return;
	process.ignored = ignored;
	process.caught = caught;
	signals_ignore(0);
}

void signals_start(const struct pers_start *start)
{
	process.ignored = start->ignore & ~UNMASKABLE;
	for (uint32_t sig = 1; sig <= SIGNAL_MAX; sig++)
		if (process.ignored & signal_bit(sig))
			process.actions[sig].handler = SIG_IGN;
	signals_ignore(0);
}

void process_end(uint32_t wait_status)
{
	struct x_call c;

	if (is_traced())
		trace_event(thread_here(), TRACE_EXIT, wait_status);
	for (;;) {
		call_pm(&c, PM_EXIT, wait_status, 0, 0, 0);
		x_proc_exit((int)wait_status); /* pm could not be asked */
	}
}

void install_mask(struct sys *s, uint64_t mask)
{
	s->frame->installed_mask = mask;
	x_notify_mask(mask, NULL);
}

/* All that is pending, masked or not; the kernel learns the mask as it is now. */
uint64_t signals_all(struct x_upcall *frame)
{
	uint64_t pending = 0;

	frame->installed_mask = frame->mask;
	x_notify_mask(frame->mask, &pending);
	return pending;
}

uint64_t signals_pending(struct x_upcall *frame)
{
	return signals_all(frame) & ~frame->mask;
}

/* ------------------------------------------------------------------ delivery */

/* The program's FPU state is in the registers: the personality uses none. In the
 * frame Linux marks an XSAVE image in the bytes that FXSAVE leaves to software. */
#define XSAVE_MAGIC1 0x46505853u
#define XSAVE_MAGIC2 0x46505845u
#define XSAVE_FEATURES 7u
#define UC_FP_XSTATE 1ull

struct xsave_mark { uint32_t magic1, bytes; uint64_t features; uint32_t xsave_bytes, pad[7]; };
enum { MARK_AT = 464, HEADER_AT = 512, HEADER_BYTES = 64 };

/* The system has switched on what XSAVE saves (CPUID leaf 1, OSXSAVE). */
bool has_xsave(void)
{
	uint32_t a = 1, b, c = 0, d;

	if (process.xsave == 0) {
		__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		process.xsave = c & (1u << 27) ? 2 : 1;
	}
	return process.xsave == 2;
}

void fpu_save(uint8_t *image)
{
	const struct xsave_mark mark = { XSAVE_MAGIC1, FPSTATE_BYTES, XSAVE_FEATURES, XSAVE_BYTES, { 0 } };
	const uint32_t end = XSAVE_MAGIC2;

	memset(image, 0, FPSTATE_BYTES);
	if (!has_xsave()) {
		__asm__ volatile("fxsave64 %0" : "=m"(*(uint8_t (*)[FXSAVE_BYTES])image));
		memset(image + MARK_AT, 0, sizeof(mark)); /* no extended state follows */
		return;
	}
	__asm__ volatile("xsave64 (%0)" : : "r"(image), "a"(XSAVE_FEATURES), "d"(0) : "memory");
	memcpy(image + MARK_AT, &mark, sizeof(mark));
	memcpy(image + XSAVE_BYTES, &end, sizeof(end));
}

/* What the program left in the frame: nothing in it may fault here. */
void fpu_restore(uint8_t *image)
{
	uint32_t *mxcsr = (uint32_t *)(image + 24), end;
	struct xsave_mark mark;
	uint64_t features;

	*mxcsr &= 0xffff;
	memcpy(&mark, image + MARK_AT, sizeof(mark));
	memcpy(&end, image + XSAVE_BYTES, sizeof(end));
	if (!has_xsave() || mark.magic1 != XSAVE_MAGIC1 || mark.bytes != FPSTATE_BYTES || end != XSAVE_MAGIC2) {
		__asm__ volatile("fxrstor64 %0" : : "m"(*(uint8_t (*)[FXSAVE_BYTES])image));
		return;
	}
	memcpy(&features, image + HEADER_AT, sizeof(features));
	features &= mark.features & XSAVE_FEATURES;
	memset(image + HEADER_AT, 0, HEADER_BYTES);
	memcpy(image + HEADER_AT, &features, sizeof(features));
	__asm__ volatile("xrstor64 (%0)" : : "r"(image), "a"(XSAVE_FEATURES), "d"(0) : "memory");
}

static int64_t push_frame(struct pers_thread *t, struct x_upcall *frame,
			  const struct linux_siginfo *info, const struct linux_sigaction *action)
{
	uint8_t fpu[FPSTATE_BYTES] __attribute__((aligned(64)));
	struct linux_rt_sigframe f;
	struct sigframe_place place;
	uint64_t sigmask = t->mask_saved ? t->saved_mask : frame->mask;

	if (sigframe_place(&t->altstack, action, frame->regs.rsp, &place))
		return -X_EFAULT;
	fpu_save(fpu);
	sigframe_fill(&f, frame, sigmask, &t->altstack, action, info, place.fpstate);
	if (has_xsave())
		f.uc.flags |= UC_FP_XSTATE;
	if (copy_out(place.fpstate, fpu, sizeof(fpu)) || copy_out(place.frame, &f, sizeof(f)))
		return -X_EFAULT;
	sigframe_enter(&frame->regs, (uint32_t)info->signo, action, place.frame);
	return 0;
}

/* Run a handler: false if its frame could not be made (then it is SIGSEGV's turn). */
static bool enter_handler(struct pers_thread *t, struct x_upcall *frame,
			  const struct linux_siginfo *info)
{
	uint32_t sig = (uint32_t)info->signo;
	struct linux_sigaction action;

	process_lock();
	action = process.actions[sig];
	process_unlock();
	if (push_frame(t, frame, info, &action))
		return false;
	if ((uint32_t)t->altstack.flags & SS_AUTODISARM)
		memset(&t->altstack, 0, sizeof(t->altstack));
	t->mask_saved = false;
	frame->mask |= action.mask & ~UNMASKABLE;
	if (!(action.flags & SA_NODEFER))
		frame->mask |= signal_bit(sig);
	if (action.flags & SA_RESETHAND) {
		process_lock();
		process.actions[sig].handler = SIG_DFL;
		set_action(sig, SIG_DFL);
		process_unlock();
	}
	return true;
}

/* A frame that cannot be made is a SIGSEGV, whose own may lie elsewhere. */
static void run_handler(struct pers_thread *t, struct x_upcall *frame, const struct linux_siginfo *info)
{
	const struct linux_siginfo fault = { .signo = SIGSEGV, .code = SI_KERNEL };

	if (enter_handler(t, frame, info))
		return;
	if (info->signo == SIGSEGV || (frame->mask & signal_bit(SIGSEGV)) ||
	    process.actions[SIGSEGV].handler <= SIG_IGN || !enter_handler(t, frame, &fault))
		process_end(SIGSEGV);
}

/* Fills in who sent it; false: a queued one that is not there. */
static bool signal_origin(struct pers_thread *t, uint32_t sig, uint64_t flags,
			  struct linux_siginfo *info)
{
	uint64_t bit = signal_bit(sig);
	struct x_call c;

	memset(info, 0, sizeof(*info));
	info->signo = (int32_t)sig;
	if (__atomic_fetch_and(&t->tkilled, ~bit, __ATOMIC_RELAXED) & bit) {
		info->code = SI_TKILL;
		info->child.pid = (int32_t)ids()->pid;
		info->child.uid = ids()->uid;
	} else if ((flags & SA_SIGINFO) || sig >= SIGRTMIN) { /* nobody else looks */
		if (call_pm(&c, PM_SIGINFO, sig, t->number, 0, 0) < 0)
			return sig < SIGRTMIN;
		info->code = (int32_t)c.msg.a[0];
		info->child.pid = (int32_t)c.msg.a[1];
		info->child.uid = (uint32_t)c.msg.a[2];
		info->value = c.msg.a[3];
	}
	return true;
}

/*
 * Queued signals: the bit is taken before pm is asked for the oldest one; if
 * there are more, pm sets it again. False: there was none.
 */
static bool take_queued(struct pers_thread *t, uint32_t sig, struct linux_siginfo *info)
{
	return x_notify_take(signal_bit(sig)) > 0 && signal_origin(t, sig, SA_SIGINFO, info);
}

__attribute__((noreturn))
static void process_die(struct pers_thread *t, const struct linux_siginfo *info)
{
	process_end((uint32_t)info->signo | (core_dump(t, info) ? 0x80 : 0));
}

/* Default action other than "ignore": true if it was to stop. */
static bool default_action(struct pers_thread *t, uint32_t sig)
{
	struct linux_siginfo info;
	struct x_call c;

	if (signal_bit(sig) & DEFAULT_STOP) {
		if (is_traced()) {
			trace_group(t, sig);
			return true;
		}
		call_pm(&c, PM_STOP_SELF, sig, 0, 0, 0);
		return true;
	}
	if (ids()->pid == 1) /* init dies of nothing it did not ask for */
		return true;
	signal_origin(t, sig, sig < SIGRTMIN ? SA_SIGINFO : 0, &info);
	process_die(t, &info);
}

uint64_t signals_deliver(struct pers_thread *t, struct x_upcall *frame, uint64_t pending,
			 int64_t code, uint64_t number)
{
	uint64_t candidates = pending & ~frame->mask, taken = 0;

	if ((candidates & B(SIGKILL)) && __atomic_load_n(&process.core, __ATOMIC_ACQUIRE))
		core_wait(t);
	while (candidates) {
		uint32_t sig = (uint32_t)__builtin_ctzll(candidates) + 1;
		struct linux_sigaction action = process.actions[sig];
		struct linux_siginfo info;

		candidates &= candidates - 1;
		if (is_traced()) {
			if (!take_queued(t, sig, &info))
				continue;
			sig = trace_signal(t, &info);
			if (t->call_number == NO_CALL)
				code = 0; /* so the tracer wants it */
			if (!sig)
				continue;
			action = process.actions[sig];
		} else if (sig >= SIGRTMIN && action.handler > SIG_IGN) {
			if (!take_queued(t, sig, &info))
				continue;
		} else {
			taken |= signal_bit(sig);
		}
		if (ignored_by(sig, action.handler) || (sig == SIGSTOP && !is_traced()))
			continue; /* pm stops who is not traced; the notification was to look for a tracer who is gone */
		if (action.handler == SIG_DFL) {
			default_action(t, sig);
			continue;
		}
		if (code)
			restart_settle(&frame->regs, code, number, true, action.flags & SA_RESTART);
		if (sig < SIGRTMIN && !is_traced())
			signal_origin(t, sig, action.flags, &info);
		run_handler(t, frame, &info);
		return taken;
	}
	if (code)
		restart_settle(&frame->regs, code, number, false, false);
	if (t->mask_saved) {
		frame->mask = t->saved_mask;
		t->mask_saved = false;
	}
	return taken;
}

/* A fault of the program itself: blocked or ignored, it is fatal. */
void signal_force(struct pers_thread *t, struct x_upcall *frame, const struct linux_siginfo *fault)
{
	struct linux_siginfo told = *fault, *info = &told;
	uint32_t sig = is_traced() ? trace_signal(t, info) : (uint32_t)info->signo;
	uint64_t handler;

	if (!sig)
		return;
	handler = process.actions[sig].handler;
	if ((frame->mask & signal_bit(sig)) || handler == SIG_DFL || handler == SIG_IGN)
		process_die(t, info);
	run_handler(t, frame, info);
}

/* ------------------------------------------------------------ the system calls */

int64_t linux_rt_sigaction(struct sys *s)
{
	uint32_t sig = (uint32_t)s->a[0];
	struct linux_sigaction new, old;
	struct x_call c;
	uint64_t ignored;

	if (s->a[3] != 8 || sig < 1 || sig > SIGNAL_MAX)
		return -X_EINVAL;
	if (s->a[1] && copy_in(&new, s->a[1], sizeof(new)))
		return -X_EFAULT;
	if (s->a[1] && (signal_bit(sig) & UNMASKABLE))
		return -X_EINVAL;
	process_lock();
	old = process.actions[sig];
	if (s->a[1]) {
		new.mask &= ~UNMASKABLE;
		process.actions[sig] = new;
		ignored = process.ignored;
		set_action(sig, new.handler);
		if (process.ignored != ignored && sig >= SIGRTMIN)
			call_pm(&c, PM_SIGFLUSH, signal_bit(sig), 0, 0, 0);
	}
	process_unlock();
	if (s->a[1] && sig == SIGCHLD)
		call_pm(&c, PM_CHILDREN,
			(new.handler == SIG_IGN || (new.flags & SA_NOCLDWAIT) ? PM_CHILDREN_REAP : 0) |
			(new.flags & SA_NOCLDSTOP ? PM_CHILDREN_NO_STOP : 0), 0, 0, 0);
	return s->a[2] ? copy_out(s->a[2], &old, sizeof(old)) : 0;
}

int64_t linux_rt_sigprocmask(struct sys *s)
{
	uint64_t set, old = s->frame->mask;

	if (s->a[3] != 8)
		return -X_EINVAL;
	if (s->a[1]) {
		if (copy_in(&set, s->a[1], 8))
			return -X_EFAULT;
		set &= ~UNMASKABLE;
		switch ((uint32_t)s->a[0]) {
		case SIG_BLOCK: s->frame->mask = old | set; break;
		case SIG_UNBLOCK: s->frame->mask = old & ~set; break;
		case SIG_SETMASK: s->frame->mask = set; break;
		default: return -X_EINVAL;
		}
	}
	return s->a[2] ? copy_out(s->a[2], &old, 8) : 0;
}

static int64_t set_altstack(struct pers_thread *t, const struct linux_stack *new, uint64_t rsp)
{
	uint32_t mode = (uint32_t)new->flags & ~SS_AUTODISARM;

	if (altstack_active(&t->altstack, rsp))
		return -X_EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -X_EINVAL;
	if (mode == SS_DISABLE) {
		memset(&t->altstack, 0, sizeof(t->altstack));
		return 0;
	}
	if (new->size < LINUX_MINSIGSTKSZ)
		return -X_ENOMEM;
	t->altstack = *new;
	t->altstack.flags = (int32_t)((uint32_t)new->flags & SS_AUTODISARM);
	return 0;
}

int64_t linux_sigaltstack(struct sys *s)
{
	struct linux_stack new, old = s->thread->altstack;
	int64_t error = 0;

	if (s->a[0] && copy_in(&new, s->a[0], sizeof(new)))
		return -X_EFAULT;
	if (old.size == 0)
		old.flags = SS_DISABLE;
	else if (altstack_active(&old, s->frame->regs.rsp))
		old.flags |= SS_ONSTACK;
	if (s->a[0])
		error = set_altstack(s->thread, &new, s->frame->regs.rsp);
	if (!error && s->a[1])
		error = copy_out(s->a[1], &old, sizeof(old));
	return error;
}

/* The restorer ran `ret` into the frame: rsp points behind its return address. */
int64_t linux_rt_sigreturn(struct sys *s)
{
	uint8_t fpu[FPSTATE_BYTES] __attribute__((aligned(64)));
	struct linux_ucontext uc;

	if (copy_in(&uc, s->frame->regs.rsp, sizeof(uc)) ||
	    (uc.mcontext.fpstate && copy_in(fpu, uc.mcontext.fpstate, FXSAVE_BYTES)))
		process_end(SIGSEGV);
	/* A frame of the program's own making may have no more than that. */
	if (uc.mcontext.fpstate && copy_in(fpu + FXSAVE_BYTES, uc.mcontext.fpstate + FXSAVE_BYTES,
					   FPSTATE_BYTES - FXSAVE_BYTES))
		memset(fpu + FXSAVE_BYTES, 0, FPSTATE_BYTES - FXSAVE_BYTES);
	sigframe_restore(&s->frame->regs, &uc);
	s->frame->mask = uc.sigmask & ~UNMASKABLE;
	if (uc.mcontext.fpstate)
		fpu_restore(fpu);
	set_altstack(s->thread, &uc.stack, s->frame->regs.rsp);
	s->keep_regs = true;
	return 0;
}

/* Install a temporary mask for the wait to come; it is undone (main path) or
 * goes into the signal frame (if a handler runs). */
int64_t use_signal_mask(struct sys *s, uint64_t set_addr, uint64_t set_size, uint64_t *mask)
{
	if (set_size != 8)
		return -X_EINVAL;
	if (copy_in(mask, set_addr, 8))
		return -X_EFAULT;
	*mask &= ~UNMASKABLE;
	(void)s;
	return 0;
}

int64_t linux_rt_sigsuspend(struct sys *s)
{
	uint64_t mask;
	int64_t error = use_signal_mask(s, s->a[0], s->a[1], &mask);

	if (error)
		return error;
	error = x_wait(NULL, 0, X_FOREVER, &mask);
	if (error != -X_EINTR)
		return linux_error(error);
	s->thread->saved_mask = s->frame->mask;
	s->thread->mask_saved = true;
	s->frame->mask = mask;
	return -RESTART_NOHAND;
}

int64_t linux_pause(struct sys *s)
{
	int64_t error = x_wait(NULL, 0, X_FOREVER, NULL);

	(void)s;
	return error == -X_EINTR ? -RESTART_NOHAND : linux_error(error);
}

int64_t linux_rt_sigpending(struct sys *s)
{
	uint64_t pending;

	if (s->a[1] > 8)
		return -X_EINVAL;
	pending = signals_all(s->frame) & s->frame->mask;
	return copy_out(s->a[0], &pending, s->a[1]);
}

/* Wait with the signals of `set` open, default-ignored ones included. */
uint64_t signals_wait(struct sys *s, uint64_t set, uint64_t deadline)
{
	uint64_t mask = s->frame->mask & ~set, pending;

	process_lock();
	if (all_ignored() & set)
		signals_ignore(set);
	process_unlock();
	pending = signals_all(s->frame);
	if (!(pending & set)) {
		x_wait(NULL, 0, deadline, &mask);
		pending = signals_all(s->frame);
	}
	process_lock();
	if (all_ignored() & set)
		signals_ignore(0);
	process_unlock();
	return pending;
}

bool signal_take(struct sys *s, uint64_t set, struct linux_siginfo *info)
{
	uint64_t pending = signals_all(s->frame) & set;
	uint32_t sig;

	for (; pending; pending &= pending - 1) {
		sig = (uint32_t)__builtin_ctzll(pending) + 1;
		if (x_notify_take(signal_bit(sig)) > 0 && signal_origin(s->thread, sig, SA_SIGINFO, info))
			return true;
	}
	return false;
}

int64_t linux_rt_sigtimedwait(struct sys *s)
{
	uint64_t set, deadline = X_FOREVER, pending;
	struct linux_siginfo info;
	uint32_t sig;

	if (s->a[3] != 8)
		return -X_EINVAL;
	if (copy_in(&set, s->a[0], 8))
		return -X_EFAULT;
	set &= ~UNMASKABLE;
	if (s->a[2]) {
		int64_t error = deadline_from_timespec(s->a[2], &deadline);

		if (error)
			return error;
	}
	pending = signals_wait(s, set, deadline);
	if (!(pending & set))
		return (pending & ~s->frame->mask & ~all_ignored()) ? -X_EINTR : -X_EAGAIN;
	/* one that is ignored again by now is not pending any more, but was */
	sig = (uint32_t)__builtin_ctzll(pending & set) + 1;
	if (sig >= SIGRTMIN) {
		if (!take_queued(s->thread, sig, &info))
			return -X_EAGAIN;
	} else {
		s->thread->discard |= signal_bit(sig);
		signal_origin(s->thread, sig, SA_SIGINFO, &info);
	}
	if (s->a[1] && copy_out(s->a[1], &info, sizeof(info)))
		return -X_EFAULT;
	return sig;
}

/* -------------------------------------------------------------------- sending */

int64_t post_signal_self(struct pers_thread *t, uint32_t sig)
{
	int64_t error;

	__atomic_fetch_or(&t->tkilled, signal_bit(sig), __ATOMIC_RELAXED);
	error = x_notify_post(X_SELF, t->number, signal_bit(sig));
	if (error >= 0)
		signalfd_posted(sig);
	if (error < 0)
		__atomic_fetch_and(&t->tkilled, ~signal_bit(sig), __ATOMIC_RELAXED);
	return error;
}

/* To a thread: one of this process is found here, others by pm. Signals that
 * act on the process whatever it says always go through pm. */
static int64_t thread_kill(struct sys *s, uint32_t tgid, uint32_t tid, uint32_t sig)
{
	struct pers_thread *target;
	struct x_call c;
	int64_t error = -X_ESRCH;
	(void)s;

	if (sig > SIGNAL_MAX || (int32_t)tid <= 0)
		return -X_EINVAL;
	if (sig && (sig >= SIGRTMIN || (signal_bit(sig) & (UNMASKABLE | B(SIGCONT)))))
		return call_pm(&c, PM_TGKILL, tgid, tid, sig, 0);
	process_lock();
	target = thread_by_tid(tid);
	if (target && tgid == ids()->pid)
		error = sig ? post_signal_self(target, sig) : 0;
	process_unlock();
	if (!target)
		return call_pm(&c, PM_TGKILL, tgid, tid, sig, 0);
	return linux_error(error);
}

int64_t linux_kill(struct sys *s)
{
	struct x_call c;

	if ((uint32_t)s->a[1] > SIGNAL_MAX)
		return -X_EINVAL;
	return call_pm(&c, PM_KILL, (uint64_t)(int64_t)(int32_t)s->a[0], (uint32_t)s->a[1], 0, 0);
}

int64_t linux_tgkill(struct sys *s)
{
	if ((int32_t)s->a[0] <= 0)
		return -X_EINVAL;
	return thread_kill(s, (uint32_t)s->a[0], (uint32_t)s->a[1], (uint32_t)s->a[2]);
}

int64_t linux_tkill(struct sys *s)
{
	uint32_t tid = (uint32_t)s->a[0], tgid = ids()->pid;
	bool own;

	process_lock();
	own = thread_by_tid(tid) != NULL;
	process_unlock();
	return thread_kill(s, own ? tgid : tid, tid, (uint32_t)s->a[1]);
}

/* A program may pose only as itself: not as the kernel, or as kill(2). */
static int64_t queued_info(uint64_t addr, uint32_t sig, bool self, struct linux_siginfo *info)
{
	if (copy_in(info, addr, sizeof(*info)))
		return -X_EFAULT;
	if (sig > SIGNAL_MAX)
		return -X_EINVAL;
	return (info->code >= 0 || info->code == SI_TKILL) && !self ? -X_EPERM : 0;
}

int64_t linux_rt_sigqueueinfo(struct sys *s)
{
	uint32_t pid = (uint32_t)s->a[0], sig = (uint32_t)s->a[1];
	struct linux_siginfo info;
	struct x_call c;
	int64_t error = queued_info(s->a[2], sig, pid == ids()->pid, &info);

	if (error)
		return error;
	if ((int32_t)pid <= 0)
		return -X_ESRCH;
	call_init(&c, PM_KILL);
	c.msg.a[0] = pid;
	c.msg.a[1] = sig;
	c.msg.a[2] = 1;
	c.msg.a[3] = (uint32_t)info.code;
	c.msg.a[4] = info.value;
	error = call_plain(X_SLOT_PM, &c);
	return error < 0 ? error : 0;
}

int64_t linux_rt_tgsigqueueinfo(struct sys *s)
{
	uint32_t tgid = (uint32_t)s->a[0], tid = (uint32_t)s->a[1], sig = (uint32_t)s->a[2];
	struct linux_siginfo info;
	struct x_call c;
	int64_t error = queued_info(s->a[3], sig, tgid == ids()->pid, &info);

	if (error)
		return error;
	if ((int32_t)tgid <= 0 || (int32_t)tid <= 0)
		return -X_EINVAL;
	call_init(&c, PM_TGKILL);
	c.msg.a[0] = tgid;
	c.msg.a[1] = tid;
	c.msg.a[2] = sig;
	c.msg.a[3] = 1;
	c.msg.a[4] = (uint32_t)info.code;
	c.msg.a[5] = info.value;
	error = call_plain(X_SLOT_PM, &c);
	return error < 0 ? error : 0;
}
