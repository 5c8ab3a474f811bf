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

/* What thread_wait() asks first. */
static inline bool thread_may_wait(const struct thread *t, uint32_t flags)
{
	return !t->killed && !((flags & WAIT_INTERRUPTIBLE) && thread_notifications(t));
}

/*
 * thread_wait(), with the CPU going at once to `to`, which is blocked and is
 * woken with result 0. Both questions above have been answered with yes, and the
 * deadline is not over. The rest of the time slice goes along.
 */
int thread_hand_over(struct waitq *q, uint64_t deadline, uint32_t flags, struct thread *to);

#endif
