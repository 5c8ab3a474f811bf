/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux personality: entry by upcall, dispatch of system calls, the
 * decision between -EINTR and a repeated call, and the way out by x_resume.
 */
#include <stdarg.h>
#include "lib/c/stdio.h"
#include "personality/linux/pers.h"

struct pers_process process;

extern char pers_entry[], pers_text_start[], pers_text_end[], pers_fixups[], pers_fixups_end[],
	pers_leave_end[], pers_vdso[];
void pers_leave(struct x_upcall *frame);
_Static_assert(offsetof(struct x_upcall, pending) == 24 && offsetof(struct x_upcall, regs) == 56 &&
	       offsetof(struct x_regs, rip) == 128 && offsetof(struct x_regs, rsp) == 56, "pers_leave");
void pers_upcall(struct x_upcall *frame);

__attribute__((section(".pers_header"), used))
const struct pers_header pers_header = {
	.magic = PERS_MAGIC,
	.header_bytes = sizeof(struct pers_header),
	.start_version = PERS_START_VERSION,
	.upcall_entry = (uint64_t)pers_entry,
	.text_start = (uint64_t)pers_text_start,
	.text_end = (uint64_t)pers_text_end,
	.fixups = (uint64_t)pers_fixups,
	.fixup_count = 0, /* a link-time difference is no constant of C: see fixups_end */
	.fixups_end = (uint64_t)pers_fixups_end,
	.leave = (uint64_t)pers_leave,
	.leave_end = (uint64_t)pers_leave_end,
	.vdso = (uint64_t)pers_vdso,
};

struct syscall_entry { const char *name; sys_fn *fn; };

static const struct syscall_entry syscalls[LINUX_SYSCALL_MAX + 1] = {
#define L(name, number, state) [number] = { #name, linux_##name },
#define N(name, number) [number] = { #name, NULL },
#include "personality/linux/syscalls.h"
#undef L
#undef N
};

/* A lock for short stretches: spins through the kernel only when contended.
 * -X_EINTR (a signal is pending) is no reason to give up, so it just retries. */
void word_lock(uint32_t *word)
{
	uint32_t expected = 0;

	if (__atomic_compare_exchange_n(word, &expected, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0)
		x_futex_wait(word, 2, X_FOREVER, ~0u);
}

void word_unlock(uint32_t *word)
{
	if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2)
		x_futex_wake(word, 1, ~0u, NULL, 0);
}

void pers_log(const char *fmt, ...)
{
	char line[160];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (len > 0)
		x_log_write(line, (size_t)len < sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

static void process_start(struct pers_thread *t)
{
	const struct pers_start *start = start_info();

	process.brk = start->brk_start;
	process.dumpable = 1;
	thread_start_first(t);
	strlcpy(t->name, start->comm, sizeof(t->name));
	signals_start(start);
	process.started = true;
}

#define RSEQ 334u

static int64_t missing(struct pers_thread *t, uint64_t number)
{
	uint64_t bit;

	/* Every C library asks for rseq and does without. */
	if (number > LINUX_SYSCALL_MAX || number == RSEQ)
		return -X_ENOSYS;
	bit = 1ull << (number % 64);
	if (!(__atomic_fetch_or(&process.logged[number / 64], bit, __ATOMIC_RELAXED) & bit))
		pers_log("linux: %u %s: system call %u (%s) not implemented\n", ids()->pid, t->name,
			 (unsigned)number, syscalls[number].name ? syscalls[number].name : "?");
	return -X_ENOSYS;
}

/*
 * Leave. Another thread may have taken a signal of the process between our
 * looking at it and now: the kernel then refuses with -X_EAGAIN, and what was
 * made of it is forgotten. Any other refusal means that the program set
 * registers it cannot have.
 */
__attribute__((noreturn))
static void resume(struct pers_thread *t, struct x_upcall *frame, uint64_t taken)
{
	int64_t error;

	taken |= t->discard;
	t->discard = 0;
	error = x_resume(frame, taken);
	if (error == -X_EAGAIN) {
		*frame = t->before;
		x_resume(frame, 0);
	}
	process_end(SIGSEGV);
}

/* The one place where an interrupted call's fate is decided. */
void restart_settle(struct x_regs *regs, int64_t code, uint64_t number, bool handler, bool sa_restart)
{
	bool again = !handler || code == RESTART_NOINTR || (code == RESTART_SYS && sa_restart);

	if (!again) {
		regs->rax = (uint64_t)-(int64_t)X_EINTR;
		return;
	}
	regs->rax = code == RESTART_BLOCK ? LINUX_SYS_RESTART : number;
	regs->rip -= 2; /* the length of `syscall` */
}

static bool is_restart(int64_t result)
{
	return result == -RESTART_SYS || result == -RESTART_NOINTR ||
	       result == -RESTART_NOHAND || result == -RESTART_BLOCK;
}

#define RFLAGS_TF 0x100u

/* The short way back from an ordinary call; returns if it is not to be had. A
 * program that steps itself would trap before the personality is left. */
static void leave(const struct pers_thread *t, struct x_upcall *frame)
{
	uint64_t special = (frame->mask ^ frame->installed_mask) | t->discard | t->trace_mode; /* one test for all */

	if (!special && !(frame->regs.rflags & RFLAGS_TF))
		pers_leave(frame);
}

/* The tracer sees the call as it begins, and may change it. Returns its number. */
static uint64_t trace_begin(struct sys *s)
{
	struct x_regs *r = &s->frame->regs;

	r->rax = (uint64_t)-(int64_t)X_ENOSYS;
	trace_syscall(s->thread, false);
	memcpy(s->a, (const uint64_t[]){ r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 }, sizeof(s->a));
	return s->thread->call_number;
}

static void trace_end(struct pers_thread *t)
{
	if (t->trace_mode == TRACE_SYSCALL)
		trace_syscall(t, true);
	if (trace_stepped(t)) {
		struct linux_siginfo info = { .signo = SIGTRAP, .code = TRAP_TRACE, .address = frame_of(t)->regs.rip };

		signal_force(t, frame_of(t), &info);
	}
}

static void serve_syscall(struct pers_thread *t, struct x_upcall *frame)
{
	struct x_regs *r = &frame->regs;
	uint64_t number = r->rax, taken = 0;
	struct sys s = {
		.frame = frame, .thread = t,
		.a = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 },
	};
	int64_t result;

	t->call_number = number;
	if (t->trace_mode == TRACE_SYSCALL)
		number = trace_begin(&s);
	if (number <= LINUX_SYSCALL_MAX && syscalls[number].fn)
		result = syscalls[number].fn(&s);
	else
		result = missing(t, number);
	if (!s.keep_regs) {
		r->rax = (uint64_t)result;
		if (!is_restart(result))
			leave(t, frame);
		if (t->trace_mode)
			trace_end(t);
		if (is_restart(result)) {
			t->before = *frame;
			if (t->mask_saved)
				t->before.mask = t->saved_mask;
			restart_settle(&t->before.regs, -result, number, false, false);
			taken = signals_deliver(t, frame, signals_pending(frame), -result, number);
		}
	} else if (t->trace_mode) {
		trace_end(t);
	}
	if (!taken && t->discard)
		t->before = *frame;
	resume(t, frame, taken);
}

void pers_upcall(struct x_upcall *frame)
{
	struct pers_thread *t = thread_on(frame);
	uint64_t taken = 0;

	if (!process.started)
		process_start(t);
	if (frame->reason == X_UP_SYSCALL)
		serve_syscall(t, frame);
	t->call_number = NO_CALL;
	t->before = *frame;
	if (frame->reason == X_UP_FAULT)
		fault_upcall(t, frame);
	else
		taken = signals_deliver(t, frame, frame->pending, 0, 0);
	resume(t, frame, taken);
}
