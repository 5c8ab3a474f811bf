/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Threads of a process: upcall stack slots (layout.h), clone for pthreads, and
 * the end of a thread.
 *
 * A slot is in use while process.slot_used[slot] is 1. The kernel zeroes the
 * word when the thread is gone for good (x_thread_exit), so a slot is never
 * given away while somebody still stands on its stack. Slots stay mapped.
 */
#include "personality/linux/pers.h"

struct pers_thread *thread_here(void)
{
	return thread_on(__builtin_frame_address(0));
}

void thread_start_first(struct pers_thread *t)
{
	memset(t, 0, sizeof(*t));
	t->tid = ids()->pid;
	t->number = 1;
	process.slot_used[0] = 1;
	process.slot_mapped[0] = 1;
	process.slot_end = 1;
	process.threads = 1;
}

/* In the child: we are the only thread, whatever slot the parent's had. */
void threads_after_fork(struct pers_thread *t)
{
	for (uint32_t slot = 0; slot < process.slot_end; slot++)
		process.slot_used[slot] = slot == t->slot;
	process.threads = 1;
	process.lock = 0;
	process.core = process.core_waiting = 0;
	aio_after_fork();
	uring_after_fork();
	t->tid = ids()->pid;
	t->number = 1;
	t->tkilled = 0;
	if (t->trace_mode) {
		t->trace_mode = 0;
		trace_stepped(t);
		signals_ignore(0);
	}
	t->clear_tid = 0;
	t->robust_list = 0;
	process.timer_slack_ns += t->timer_slack_ns;
	t->timer_slack_ns = 0;
}

struct pers_thread *thread_by_tid(uint32_t tid)
{
	for (uint32_t slot = 0; slot < process.slot_end; slot++)
		if (__atomic_load_n(&process.slot_used[slot], __ATOMIC_ACQUIRE) &&
		    thread_in_slot(slot)->tid == tid)
			return thread_in_slot(slot);
	return NULL;
}

static bool map_slot(uint32_t slot)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = X_NO_HANDLE,
		.addr = PERS_STACK_TOP(slot) - PERS_STACK_BYTES, .len = PERS_STACK_BYTES,
		.prot = X_PROT_READ | X_PROT_WRITE,
		.flags = X_MAP_FIXED | X_MAP_PRIVATE | X_MAP_PERSONALITY,
	};
	uint64_t bit = 1ull << (slot % 64);

	if (process.slot_mapped[slot / 64] & bit)
		return true;
	if (x_mem_map(&m) < 0)
		return false;
	process.slot_mapped[slot / 64] |= bit;
	return true;
}

/* [L] held. */
static struct pers_thread *slot_take(void)
{
	for (uint32_t slot = 0; slot < PERS_STACK_SLOTS; slot++) {
		struct pers_thread *t;
		void *scratch = NULL;

		if (__atomic_load_n(&process.slot_used[slot], __ATOMIC_ACQUIRE))
			continue;
		if (!map_slot(slot))
			return NULL;
		t = thread_in_slot(slot);
		if (slot < process.slot_end)
			scratch = t->scratch; /* stays mapped from one owner to the next */
		memset(t, 0, sizeof(*t));
		t->slot = slot;
		t->scratch = scratch;
		process.slot_used[slot] = 1;
		if (slot >= process.slot_end)
			process.slot_end = slot + 1;
		return t;
	}
	return NULL;
}

/* [L] held: tgkill finds the thread only once its kernel number is known. */
static int64_t thread_create(struct sys *s, struct pers_thread *t, uint64_t flags, uint64_t stack,
			     uint64_t tls)
{
	struct x_regs regs = s->frame->regs;
	struct x_thread_create create = {
		.process = X_SELF, .upcall_stack = PERS_STACK_TOP(t->slot),
		.thread_word = (uint64_t)t, .mask = s->frame->mask, .regs = (uint64_t)&regs,
	};
	int64_t number;

	regs.rax = 0;
	if (stack)
		regs.rsp = stack;
	if (flags & CLONE_SETTLS)
		regs.fs_base = tls;
	create.fs_base = regs.fs_base;
	create.entry = regs.rip;
	create.stack = regs.rsp;
	number = x_thread_create(&create);
	if (number > 0)
		t->number = (uint32_t)number;
	return number;
}

int64_t thread_clone(struct sys *s, uint64_t flags, uint64_t stack, uint64_t parent_tid,
		     uint64_t child_tid, uint64_t tls)
{
	struct x_call c;
	struct pers_thread *t;
	uint32_t tid;
	int64_t error = call_pm(&c, PM_THREAD, 0, 0, 0, 0);

	if (error < 0)
		return error;
	tid = (uint32_t)c.msg.a[0];
	if (((flags & CLONE_PARENT_SETTID) && copy_out(parent_tid, &tid, sizeof(tid))) ||
	    ((flags & CLONE_CHILD_SETTID) && copy_out(child_tid, &tid, sizeof(tid)))) {
		call_pm(&c, PM_THREAD_END, tid, 0, 0, 0);
		return -X_EFAULT;
	}
	process_lock();
	t = slot_take();
	if (!t) {
		process_unlock();
		call_pm(&c, PM_THREAD_END, tid, 0, 0, 0);
		return -X_EAGAIN;
	}
	t->tid = tid;
	t->clear_tid = flags & CLONE_CHILD_CLEARTID ? child_tid : 0;
	memcpy(t->name, s->thread->name, sizeof(t->name));
	process.threads++;
	error = thread_create(s, t, flags, stack, tls);
	if (error < 0) {
		process.slot_used[t->slot] = 0;
		process.threads--;
	}
	process_unlock();
	if (error < 0) {
		call_pm(&c, PM_THREAD_END, tid, 0, 0, 0);
		return linux_error(error);
	}
	call_pm(&c, PM_THREAD_BIND, tid, (uint64_t)error, s->thread->tid, 0);
	if (is_traced())
		trace_event(s->thread, TRACE_CLONE, tid);
	return tid;
}

#define HELPER_FRAME 4096u /* left free at the top, where a thread has its upcall's frame */

int64_t thread_helper(void (*entry)(void *), void *arg)
{
	struct x_thread_create create = {
		.process = X_SELF, .entry = (uint64_t)entry, .arg = (uint64_t)arg, .mask = ~0ull,
	};
	struct pers_thread *t;
	int64_t number = -X_EAGAIN;

	process_lock();
	t = slot_take();
	if (t) {
		create.upcall_stack = PERS_STACK_TOP(t->slot);
		create.thread_word = (uint64_t)t;
		create.stack = PERS_STACK_TOP(t->slot) - HELPER_FRAME - 8;
		number = x_thread_create(&create);
		if (number < 0)
			process.slot_used[t->slot] = 0;
	}
	process_unlock();
	return number;
}

void thread_helper_end(void)
{
	for (;;)
		x_thread_exit(&process.slot_used[thread_here()->slot]);
}

/* Robust list, then the word pthread_join waits for, then the thread. */
int64_t linux_exit(struct sys *s)
{
	static const uint32_t zero;
	struct pers_thread *t = s->thread;
	struct x_call c;
	bool last;

	if (is_traced())
		trace_event(t, TRACE_EXIT, (s->a[0] & 0xff) << 8);
	if (t->robust_list)
		x_thread_robust(0, 0); /* its memory may be another's as soon as its end is told */
	if (t->tid != ids()->pid)
		call_pm(&c, PM_THREAD_END, t->tid, 0, 0, 0);
	if (t->clear_tid && !copy_out(t->clear_tid, &zero, sizeof(zero)))
		x_futex_wake((uint32_t *)t->clear_tid, 1, ~0u, NULL, 0);
	process_lock();
	last = --process.threads == 0;
	t->tid = 0;
	process_unlock();
	if (last)
		process_end(((uint32_t)s->a[0] & 0xff) << 8);
	x_thread_exit(&process.slot_used[t->slot]);
	return -X_EIO; /* not reached */
}

int64_t linux_set_tid_address(struct sys *s)
{
	s->thread->clear_tid = s->a[0];
	return s->thread->tid;
}

int64_t linux_gettid(struct sys *s) { return s->thread->tid; }

int64_t linux_set_robust_list(struct sys *s)
{
	if (s->a[1] != 24)
		return -X_EINVAL;
	s->thread->robust_list = s->a[0];
	x_thread_robust(s->a[0], s->thread->tid);
	return 0;
}

int64_t linux_get_robust_list(struct sys *s)
{
	static const uint64_t bytes = 24;

	struct pers_thread *t = s->thread;
	struct x_call c;
	uint64_t list;

	process_lock();
	if ((uint32_t)s->a[0])
		t = thread_by_tid((uint32_t)s->a[0]);
	list = t ? t->robust_list : 0;
	process_unlock();
	if (!t) /* another process's are not told */
		return call_pm(&c, PM_GETPGID, (uint32_t)s->a[0], 0, 0, 0) < 0 ? -X_ESRCH : -X_EPERM;
	if (copy_out(s->a[1], &list, 8) || copy_out(s->a[2], &bytes, 8))
		return -X_EFAULT;
	return 0;
}
