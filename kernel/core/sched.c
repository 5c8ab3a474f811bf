/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduling and waiting.
 *
 * Every CPU has a run queue of three fixed bands (drivers before servers
 * before programs, these in two ranks), first in first out within a rank, a time slice against
 * threads of the same rank, and a list of the deadlines of threads that began
 * to wait on it. An idle CPU takes work from others before it halts.
 */
#include "port.h"
#include "sched.h"

#define SLICE_NS 10000000ull
#define SLICE_LONGEST_NS (32 * SLICE_NS) /* of one that nobody waits for to end */

static struct run_queue queues[MAX_CPUS];
struct process process_none = { .name = "idle", .account = &kernel_account };
struct list all_processes = { &all_processes, &all_processes };

static struct run_queue *queue_of(uint32_t cpu)
{
	return &queues[cpu];
}

void sched_init_cpu(uint32_t cpu)
{
	struct run_queue *q = queue_of(cpu);

	for (uint32_t i = 0; i < RANKS; i++)
		list_init(&q->ready[i]);
	list_init(&q->timers);
	q->armed_ns = X_FOREVER;
	q->slice_ns = SLICE_NS;
	q->idle.process = &process_none;
	q->idle.cpu = cpu;
	q->idle.band = BANDS;
	q->idle.rank = RANKS;
	q->idle.state = THREAD_RUNNING;
	list_init(&q->idle.run_link);
	list_init(&q->idle.wait_link);
	list_init(&q->idle.timer_link);
	if (arch_thread_init(&q->idle, NULL))
		panic("no memory for an idle thread");
	cpus[cpu].rq = q;
	cpus[cpu].current = &q->idle;
}

/* ------------------------------------------------------------------- timers */

static void timer_insert(struct thread *t, uint64_t deadline)
{
	struct run_queue *q = this_cpu()->rq;
	struct list *at = q->timers.prev;

	t->wait_deadline = deadline;
	while (at != &q->timers && container_of(at, struct thread, timer_link)->wait_deadline > deadline)
		at = at->prev;
	list_insert_before(&t->timer_link, at->next);
}

static void timers_expire(void)
{
	struct run_queue *q = this_cpu()->rq;
	uint64_t now = arch_time_ns();

	while (!list_empty(&q->timers)) {
		struct thread *t = list_first(&q->timers, struct thread, timer_link);

		if (t->wait_deadline > now)
			break;
		thread_wake(t, -X_ETIMEDOUT);
	}
}

/*
 * Set this CPU's timer for whatever comes first. A running thread always has
 * its slice's end armed: others are queued here from other CPUs without a word.
 * A timer that is set too early is left alone, for it costs one tick, where
 * setting it at every switch costs more.
 */
static void timer_rearm(void)
{
	struct cpu *cpu = this_cpu();
	struct run_queue *q = cpu->rq;
	uint64_t next = X_FOREVER;

	if (!list_empty(&q->timers))
		next = list_first(&q->timers, struct thread, timer_link)->wait_deadline;
	if (cpu->current != &q->idle)
		next = MIN(next, cpu->current->slice_end_ns);
	if (q->owed)
		next = MIN(next, q->owed_ns);
	if (next < q->armed_ns) {
		q->armed_ns = next;
		arch_timer_arm(next);
	}
}

/*
 * What a program writes to a socket or closes is mostly followed by more of that kind, or by a call of the same
 * server, so the server is better woken once, when the program waits for something: it has all of it in one iteration,
 * and the CPU (leave_cpu_to()). A program that computes instead keeps it waiting for OWED_NS.
 */
#define OWED_NS 100000ull

static void wake_owed(struct run_queue *q)
{
	struct port *p = q->owed;
	struct thread *reader = waitq_first(&p->receivers);

	q->owed = NULL;
	if (reader && p->item_count)
		thread_wake(reader, 0);
	object_unref(&p->obj);
}

void sched_wake_later(struct port *p)
{
	struct run_queue *q = this_cpu()->rq;

	if (list_empty(&p->receivers.threads) || q->owed == p)
		return;
	if (q->owed)
		wake_owed(q);
	object_ref(&p->obj);
	q->owed = p;
	q->owed_ns = arch_time_ns() + OWED_NS;
	timer_rearm();
}

void sched_tick(void)
{
	struct cpu *cpu = this_cpu();
	struct thread *t = cpu->current;
	uint64_t now = arch_time_ns(), late_ns = now > cpu->rq->armed_ns ? now - cpu->rq->armed_ns : 0;

	cpu->rq->armed_ns = X_FOREVER;
	judge(cpu, t, now);
	process_watch(t->process, late_ns);
	timers_expire();
	if (cpu->rq->owed && cpu->rq->owed_ns <= arch_time_ns())
		wake_owed(cpu->rq);
	if (t != &cpu->rq->idle && arch_time_ns() >= t->slice_end_ns) {
		if (cpu->rq->count) {
			cpu->need_resched = true;
		} else { /* nobody waits: another slice, longer; enqueue() ends it */
			cpu->rq->slice_ns = MIN(2 * cpu->rq->slice_ns, SLICE_LONGEST_NS);
			t->slice_end_ns = arch_time_ns() + cpu->rq->slice_ns;
		}
	}
	if (!cpu->need_resched)
		timer_rearm();
}

/* --------------------------------------------------------------- run queues */

/*
 * Of programs, who computes waits behind who waits for something now and then, as
 * does who asked for it (nice), and whoever is more than a few of one process: so a program
 * that computes, or has a thousand threads, does not have others wait for all of them
 * (decision 60). Those behind come when nobody is in front, or as dequeue_starved() says.
 */
#define BURST_NS         (SLICE_NS / 2)
#define THREADS_IN_FRONT 4u

static uint32_t rank_of(const struct thread *t)
{
	const struct process *p = t->process;

	if (t->band < X_BAND_PROGRAM)
		return t->band;
	return p->background || t->burst_ns >= BURST_NS || p->threads_in_front >= THREADS_IN_FRONT ? BANDS : X_BAND_PROGRAM;
}

static void push(struct run_queue *q, struct thread *t)
{
	if (list_empty(&q->ready[t->rank]))
		q->waits_ns[t->rank] = arch_time_ns();
	list_push_back(&q->ready[t->rank], &t->run_link);
	t->process->threads_in_front += t->rank == X_BAND_PROGRAM;
}

static void pull(struct run_queue *q, struct thread *t)
{
	list_remove(&t->run_link);
	q->count--;
	t->process->threads_in_front -= t->rank == X_BAND_PROGRAM;
}

static void queue_next(struct run_queue *q)
{
	if (!q->next)
		return;
	push(q, q->next);
	q->next = NULL;
}

/* The only one to wait for its waker's CPU is past the queues, for that one will mostly block soon. */
static void enqueue(struct thread *t, uint32_t cpu)
{
	struct run_queue *q = queue_of(cpu);
	struct cpu *c = &cpus[cpu];

	t->state = THREAD_READY;
	t->cpu = cpu;
	if (!q->count && c == this_cpu()) {
		q->next = t;
	} else {
		queue_next(q);
		push(q, t);
	}
	q->count++;
	if (c->current == &q->idle || q->slice_ns > SLICE_NS || (c->current->rank > t->rank && arch_time_ns() >= q->kept_until_ns)) {
		c->need_resched = true;
		if (c != this_cpu())
			arch_send_resched(cpu);
	}
}

uint32_t sched_waiting(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < cpu_count; i++)
		n += __atomic_load_n(&queue_of(i)->count, __ATOMIC_RELAXED);
	return n;
}

static bool cpu_is_idle(uint32_t cpu)
{
	return cpus[cpu].online && cpus[cpu].current == &queue_of(cpu)->idle && queue_of(cpu)->count == 0;
}

static bool may_run_on(const struct thread *t, uint32_t cpu)
{
	return cpus[cpu].online && (!t->affinity || (t->affinity >> cpu & 1));
}

/* A CPU that would leave what it does for this thread: nothing of its rank or
 * better runs or waits there. */
static bool cpu_would_yield(const struct thread *t, uint32_t cpu)
{
	struct run_queue *q = queue_of(cpu);

	for (uint32_t rank = 0; rank <= t->rank; rank++)
		if (!list_empty(&q->ready[rank]))
			return false;
	if (q->next && q->next->rank <= t->rank)
		return false;
	return may_run_on(t, cpu) && cpus[cpu].current->rank > t->rank;
}

/* Its thread makes room: it is about to block, or has ended; or it is the idle one, and an
 * interrupt wakes somebody. Another CPU that idles would have to be woken too. */
static bool leaves_cpu(const struct thread *t)
{
	return t->leaving || t->state == THREAD_DEAD || t->band == BANDS;
}

/* Where a thread runs next: where its waker is about to make room, where it
 * ran before if that CPU idles, on any idle CPU, where it displaces a thread of
 * lower rank, else where it ran before. Without the last but one a server waits
 * out another's time slice while the next CPU runs a program. */
static uint32_t choose_cpu(const struct thread *t)
{
	uint32_t mine = this_cpu()->id;

	if (cpu_count == 1)
		return mine;
	if (leaves_cpu(current()) && may_run_on(t, mine) && queue_of(mine)->count == 0)
		return mine;
	if (may_run_on(t, t->cpu) && cpu_is_idle(t->cpu))
		return t->cpu;
	for (uint32_t i = 0; i < cpu_count; i++)
		if (may_run_on(t, i) && cpu_is_idle(i))
			return i;
	if (cpu_would_yield(t, t->cpu))
		return t->cpu;
	for (uint32_t i = 0; i < cpu_count; i++)
		if (cpu_would_yield(t, i))
			return i;
	if (may_run_on(t, t->cpu))
		return t->cpu;
	for (uint32_t i = 0; i < cpu_count; i++)
		if (may_run_on(t, i))
			return i;
	return mine; /* no CPU of its set is online */
}

void sched_make_ready(struct thread *t)
{
	KASSERT(t->state != THREAD_READY && t->state != THREAD_RUNNING && !this_cpu()->sharing);
	t->rank = rank_of(t);
	enqueue(t, choose_cpu(t));
}

/* Somebody has come to wait for this CPU: its thread has no more than a usual slice left. */
static void end_long_slice(struct cpu *c)
{
	uint64_t now = arch_time_ns();

	judge(c, c->current, now);
	c->rq->slice_ns = SLICE_NS;
	c->current->slice_end_ns = MIN(c->current->slice_end_ns, now + SLICE_NS);
	timer_rearm();
}

/*
 * Whoever wakes a thread and is about to block leaves the CPU to it, past the
 * queues, with what is left of the time slice; so nothing has to be armed
 * either. Only while nobody else waits for this CPU. If the waker does not block
 * after all, or others come, it queues like them.
 */
static bool leave_cpu_to(struct thread *t)
{
	struct cpu *c = this_cpu();

	if (!sched_may_hand_over(t))
		return false;
	t->state = THREAD_READY;
	t->cpu = c->id;
	t->rank = rank_of(t);
	c->rq->next = t;
	c->rq->count = 1;
	if (c->current->rank > t->rank)
		c->need_resched = true;
	if (c->rq->slice_ns > SLICE_NS)
		end_long_slice(c);
	return true;
}

static struct thread *dequeue_rank(struct run_queue *q, uint32_t rank, uint32_t cpu)
{
	list_for_each(t, &q->ready[rank], struct thread, run_link) {
		if (!may_run_on(t, cpu))
			continue;
		pull(q, t);
		q->waits_ns[rank] = arch_time_ns();
		return t;
	}
	return NULL;
}

static struct thread *dequeue(struct run_queue *q, uint32_t cpu)
{
	struct thread *t = NULL;

	for (uint32_t rank = 0; !t && rank < RANKS; rank++)
		t = dequeue_rank(q, rank, cpu);
	return t;
}

/*
 * What a rank is sure of, however busy those above it are: when none of its
 * threads has run for STARVED_NS, though one waits, it has the CPU for KEPT_NS,
 * in which not even a thread that wakes displaces it. So a driver or server that
 * spins, or is kept busy by a client, leaves a twentieth of its CPU to each.
 */
#define STARVED_NS 100000000ull
#define KEPT_NS      5000000ull

static struct thread *dequeue_starved(struct cpu *cpu, uint64_t now)
{
	struct run_queue *q = cpu->rq;
	struct thread *t;

	for (uint32_t rank = 1; rank < RANKS; rank++) {
		if (list_empty(&q->ready[rank]) || now < q->waits_ns[rank] + STARVED_NS)
			continue;
		t = dequeue_rank(q, rank, cpu->id);
		if (t) {
			q->kept_until_ns = now + KEPT_NS;
			return t;
		}
	}
	return NULL;
}

static struct thread *pick_next(struct cpu *cpu, uint64_t now)
{
	struct thread *t = dequeue_starved(cpu, now);

	if (!t)
		t = dequeue(cpu->rq, cpu->id);
	for (uint32_t i = 1; !t && i < cpu_count; i++) {
		uint32_t other = (cpu->id + i) % cpu_count;

		if (!cpus[other].online || !queue_of(other)->count)
			continue;
		queue_next(queue_of(other));
		t = dequeue(queue_of(other), cpu->id);
	}
	return t ? t : &cpu->rq->idle;
}

void sched_free_dead(struct cpu *cpu)
{
	struct thread *t = cpu->rq->dead;

	if (!t || t == cpu->current)
		return;
	cpu->rq->dead = NULL;
	thread_free(t);
}

void schedule(void)
{
	struct cpu *cpu = this_cpu();
	struct run_queue *q = cpu->rq;
	struct thread *prev = cpu->current, *next;
	uint64_t now = arch_time_ns();

	KASSERT(!cpu->sharing);
	if (q->owed) {
		prev->leaving = prev->state != THREAD_RUNNING;
		wake_owed(q);
		prev->leaving = false;
	}
	next = q->next;
	if (q->dead)
		sched_free_dead(cpu);
	cpu->need_resched = false;
	if (next && q->count == 1 && prev->state != THREAD_RUNNING) { /* see leave_cpu_to() */
		q->next = NULL;
		q->count = 0;
		next->slice_end_ns = prev->slice_end_ns;
	} else {
		if (q->slice_ns > SLICE_NS) {
			judge(cpu, prev, now);
			q->slice_ns = SLICE_NS;
		}
		if (prev->state == THREAD_RUNNING && prev != &q->idle) {
			judge(cpu, prev, now);
			prev->rank = rank_of(prev);
			enqueue(prev, may_run_on(prev, cpu->id) ? cpu->id : choose_cpu(prev));
		}
		queue_next(q);
		cpu->need_resched = false;
		next = pick_next(cpu, now);
		next->slice_end_ns = now < q->kept_until_ns ? q->kept_until_ns : now + SLICE_NS;
		next->cpu = cpu->id;
	}
	next->state = THREAD_RUNNING;
	if (next != prev)
		account_switch(cpu, prev, next, now);
	if (prev->state == THREAD_DEAD) {
		KASSERT(!q->dead);
		q->dead = prev;
	}
	/* Before the switch: a new thread does not come back here. */
	if (q->armed_ns > next->slice_end_ns || !list_empty(&q->timers))
		timer_rearm();
	if (next != prev)
		arch_switch(prev, next);
}

void sched_stop_thread(struct thread *t)
{
	if (t->state == THREAD_RUNNING && t->cpu != this_cpu()->id) {
		cpus[t->cpu].need_resched = true;
		arch_send_resched(t->cpu);
	} else if (t == current()) {
		this_cpu()->need_resched = true;
	}
}

void sched_set_affinity(struct thread *t, uint64_t cpu_set)
{
	struct run_queue *q = queue_of(t->cpu);

	t->affinity = cpu_set;
	if (may_run_on(t, t->cpu))
		return;
	if (t->state == THREAD_READY) {
		queue_next(q);
		pull(q, t);
		enqueue(t, choose_cpu(t));
	} else {
		sched_stop_thread(t); /* goes elsewhere by itself, if it runs */
	}
}

void sched_start_cpu(void)
{
	struct cpu *cpu = this_cpu();

	cpu->online = true;
	for (;;) {
		uint64_t start;

		schedule();
		if (cpu->need_resched || cpu->rq->count)
			continue;
		sched_free_dead(cpu);
		cpu->idle = true;
		start = arch_time_ns();
		kernel_unlock();
		arch_idle_wait();
		kernel_lock();
		cpu->idle = false;
		cpu->idle_ns += arch_time_ns() - start;
	}
}

/* ------------------------------------------------------------------ waiting */

int thread_wait(struct waitq *q, uint64_t deadline, uint32_t flags)
{
	struct thread *t = current();
	uint64_t patience = flags & WAIT_AT_PORT ? X_FOREVER : process_patience(t->process);

	if (t->killed && !(flags & WAIT_UNKILLABLE))
		return -X_EINTR;
	if ((flags & WAIT_INTERRUPTIBLE) && thread_notifications(t))
		return -X_EINTR;
	if (deadline != X_FOREVER && deadline <= arch_time_ns())
		return -X_ETIMEDOUT;
	if (deadline != X_FOREVER || patience != X_FOREVER)
		timer_insert(t, deadline < patience ? deadline : patience);
	block_on(t, q, flags);
	schedule();
	if (t->wait_result == -X_ETIMEDOUT && patience < deadline)
		process_kill(t->process, X_DEATH_KILLED, -X_ETIMEDOUT); /* a hang: nobody else finds it */
	return t->wait_result;
}

void sched_start_timer(struct thread *t, uint64_t deadline)
{
	timer_insert(t, deadline);
	timer_rearm();
}

void thread_wake(struct thread *t, int result)
{
	if (t->state != THREAD_BLOCKED)
		return;
	unblock(t, result);
	if (!current()->leaving || !leave_cpu_to(t))
		sched_make_ready(t);
}

void waitq_wake_all(struct waitq *q, int result)
{
	while (!list_empty(&q->threads))
		thread_wake(waitq_first(q), result);
}

struct thread *waitq_first(struct waitq *q)
{
	return list_empty(&q->threads) ? NULL : list_first(&q->threads, struct thread, wait_link);
}
