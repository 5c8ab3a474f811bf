/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Run queues, and leaving the CPU to a certain thread (sched.c, fastpath.c).
 */
#ifndef SCHED_H
#define SCHED_H

#include "kernel/arch/x86_64/arch.h"

#define BANDS 3u
#define RANKS (BANDS + 1)       /* programs have two queues: rank_of() */

struct run_queue {
	struct list ready[RANKS];
	struct thread *next;        /* ready too, and in no list: see leave_cpu_to() */
	uint32_t count;             /* of threads in ready[], and next */
	uint64_t waits_ns[RANKS];   /* since when a thread of ready[] waits and none of its rank ran */
	uint64_t kept_until_ns;     /* the running one has waited long: not displaced before */
	struct list timers;         /* struct thread.timer_link, earliest first */
	uint64_t slice_ns;          /* of the running thread */
	uint64_t armed_ns;          /* what this CPU's timer is set to, FOREVER: off */
	struct port *owed;          /* referenced: its reader is to be woken, at owed_ns at the latest; or NULL */
	uint64_t owed_ns;
	struct thread idle;
	struct thread *dead;        /* left its stack for good; to be freed */
};

/* Nothing is to be weighed: no other thread waits for this CPU, and t may run on it. */
static inline bool sched_may_hand_over(const struct thread *t)
{
	const struct cpu *c = this_cpu();

	return !c->rq->count && !c->need_resched && (!t->affinity || (t->affinity >> c->id & 1));
}

/* Threads that wait for a CPU; without the lock, so nearly. */
uint32_t sched_waiting(void);

/* Something lies in this port that need not be looked at before the running thread makes way, or for a moment. */
void sched_wake_later(struct port *p);

/* What thread_wait() asks first. */
static inline bool thread_may_wait(const struct thread *t, uint32_t flags)
{
	return !t->killed && !((flags & WAIT_INTERRUPTIBLE) && thread_notifications(t));
}

/* ---- pieces of a wait and of a switch; others than sched.c go by thread_hand_over() ---- */

static inline void block_on(struct thread *t, struct waitq *q, uint32_t flags)
{
	t->wait_flags = flags;
	t->waiting_on = q;
	if (q)
		list_push_back(&q->threads, &t->wait_link);
	t->state = THREAD_BLOCKED;
}

static inline void unblock(struct thread *t, int result)
{
	if (t->waiting_on)
		list_remove(&t->wait_link);
	if (!list_empty(&t->timer_link))
		list_remove(&t->timer_link);
	t->waiting_on = NULL;
	t->wait_result = result;
}

/* No piece counts for more than two slices: if the timer did not come in between,
 * it was the machine under us that stood still, not the thread that ran. */
static inline void judge(struct cpu *cpu, struct thread *t, uint64_t now)
{
	uint64_t ran = now - t->judged_ns, most = 2 * cpu->rq->slice_ns;

	t->system_ns += ran;
	if (ran > most)
		ran = most;
	t->process->ran_ns += ran;
	t->burst_ns = t->state == THREAD_BLOCKED ? 0 : t->burst_ns + ran;
	t->judged_ns = now;
}

static inline void account_switch(struct cpu *cpu, struct thread *prev, struct thread *next, uint64_t now)
{
	judge(cpu, prev, now);
	next->judged_ns = now;
	cpu->switches++;
	next->process->switches += prev->process != next->process;
	cpu->current = next;
}

void sched_free_dead(struct cpu *cpu);                          /* who left its stack for good */
void sched_start_timer(struct thread *t, uint64_t deadline_ns); /* t is blocked on this CPU */

/*
 * thread_wait(), with the CPU going at once to `to`, which is blocked and is
 * woken with result 0. Both questions above have been answered with yes, and the
 * deadline is not over. The rest of the time slice goes along.
 */
static inline int thread_hand_over(struct waitq *q, uint64_t deadline, uint32_t flags, struct thread *to, uint64_t now)
{
	struct cpu *cpu = this_cpu();
	struct thread *t = cpu->current;

	block_on(t, q, flags);
	unblock(to, 0);
	account_switch(cpu, t, to, now);
	to->state = THREAD_RUNNING;
	to->cpu = cpu->id;
	to->slice_end_ns = t->slice_end_ns;
	if (cpu->rq->dead)
		sched_free_dead(cpu);
	if (deadline != X_FOREVER)
		sched_start_timer(t, deadline);
	arch_switch(t, to);
	return t->wait_result;
}

#endif
