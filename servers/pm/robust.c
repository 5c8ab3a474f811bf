/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SIGKILL of a process that holds robust futexes (set_robust_list(2)): others wait for
 * them. They are released by its own personality, which can do so as the process could:
 * SIGKILL's notification is posted, that nothing masks. Who has not ended soon (its
 * personality is broken, or all its threads are in calls that are not interrupted) is
 * killed as everybody else, at once, and so is who is stopped.
 */
#include "personality/linux/layout.h"
#include "servers/pm/pm.h"

#define PATIENCE_NS 50000000u

/* As the C library keeps it: a list that leads back to its head, and what is being locked now. */
struct robust_head { uint64_t next; int64_t offset; uint64_t pending; };

/* Anonymous memory only: a file's page might have to be waited for. */
static bool read_memory(const struct proc *p, uint64_t addr, void *to, uint64_t bytes)
{
	struct x_mem_region r;

	return x_mem_query(p->process, addr, &r) >= 0 && r.start <= addr && r.end >= addr + bytes && !r.memory_koid &&
	       x_space_copy(p->process, addr, to, bytes, 0) >= 0;
}

static bool thread_holds(const struct proc *p, const struct pers_thread_head *t)
{
	struct robust_head head;

	return t->tid && t->robust_list && read_memory(p, t->robust_list, &head, sizeof(head)) &&
	       (head.pending || (head.next & ~1ull) != t->robust_list);
}

/* Slots are used from the first on, and stay mapped. */
static bool any_held(const struct proc *p)
{
	struct pers_thread_head t;

	for (uint32_t slot = 0; slot < PERS_STACK_SLOTS; slot++) {
		if (!read_memory(p, PERS_STACK_TOP(slot) - PERS_STACK_BYTES, &t, sizeof(t)))
			break;
		if (thread_holds(p, &t))
			return true;
	}
	return false;
}

static void patience_over(void *ctx)
{
	proc_kill(ctx, SIGNAL_KILL);
}

bool robust_end(struct proc *p)
{
	if (p->ending || p->state != PROC_RUNNING || !any_held(p))
		return false;
	p->ending = true;
	out_do(X_SYS_notify_post, p->process, 0, 1ull << (SIGNAL_KILL - 1), 0, 0);
	p->end_patience.fn = patience_over;
	p->end_patience.ctx = p;
	timer_set(&p->end_patience, server_now_ns + PATIENCE_NS);
	return true;
}

void robust_ended(struct proc *p)
{
	timer_clear(&p->end_patience);
	p->ending = false;
}
