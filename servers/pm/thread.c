/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Thread ids: the numbers of a process's threads beside the first, taken from
 * the same space as pids, and the kernel's thread numbers behind them.
 */
#include "lib/c/slots.h"
#include "servers/pm/pm.h"

static struct thread_id {
	const struct proc *proc; /* NULL: free */
	uint32_t tid;
	uint32_t number;         /* the kernel's; 0: not told yet */
	char name[COMM_BYTES];   /* empty: the process's */
} threads[THREADS_MAX];
static uint32_t threads_end; /* all from here up are free */

#define for_each_thread(t) for (struct thread_id *t = threads; t < threads + threads_end; t++)

enum { THREADS_PER_PROC = 1024 };

static void thread_free(struct thread_id *t)
{
	t->proc = NULL;
	SLOTS_TRIM(threads, threads_end, proc);
}

static struct thread_id *thread_find(const struct proc *p, uint32_t tid)
{
	for_each_thread(t)
		if (t->proc == p && t->tid == tid)
			return t;
	return NULL;
}

bool tid_in_use(uint32_t tid)
{
	for_each_thread(t)
		if (t->proc && t->tid == tid)
			return true;
	return false;
}

uint32_t thread_count(const struct proc *p)
{
	uint32_t count = 0;

	for_each_thread(t)
		count += t->proc == p;
	return count;
}

uint32_t thread_number(const struct proc *p, uint32_t tid)
{
	struct thread_id *t;

	if (tid == p->ids.pid)
		return 1;
	t = thread_find(p, tid);
	return t ? t->number : 0;
}

uint32_t thread_next(const struct proc *p, uint32_t from)
{
	uint32_t next = p->ids.pid >= from ? p->ids.pid : 0;

	for_each_thread(t)
		if (t->proc == p && t->tid >= from && (!next || t->tid < next))
			next = t->tid;
	return next;
}

struct proc *thread_owner(uint32_t tid)
{
	for_each_thread(t)
		if (t->proc && t->tid == tid)
			return proc_by_pid(t->proc->ids.pid);
	return proc_by_pid(tid);
}

const char *thread_name(const struct proc *p, uint32_t tid)
{
	struct thread_id *t = thread_find(p, tid);

	return t && t->name[0] ? t->name : p->comm;
}

void thread_set_name(struct proc *p, uint32_t tid, const char name[COMM_BYTES])
{
	struct thread_id *t = thread_find(p, tid);

	memcpy(t ? t->name : p->comm, name, COMM_BYTES - 1);
}

void threads_drop(const struct proc *p)
{
	for_each_thread(t)
		if (t->proc == p)
			thread_free(t);
}

void thread_call(struct proc *p, const struct x_in *in)
{
	struct thread_id *t = SLOT_FIND(threads, threads_end, proc);
	uint32_t tid = thread_count(p) < THREADS_PER_PROC ? pid_allocate() : 0;

	if (!tid || !t) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	SLOT_TAKEN(threads, threads_end, t);
	*t = (struct thread_id){ .proc = p, .tid = tid };
	answer_value(in->id, tid);
}

void thread_bind_call(struct proc *p, const struct x_in *in)
{
	struct thread_id *t = thread_find(p, (uint32_t)in->msg.a[0]);

	if (t) {
		t->number = (uint32_t)in->msg.a[1];
		trace_born(p, (uint32_t)in->msg.a[2], p, t->tid, TRACE_CLONE);
	}
	out_status(in->id, t ? 0 : -X_ESRCH);
}

void thread_end_call(struct proc *p, const struct x_in *in)
{
	struct thread_id *t = thread_find(p, (uint32_t)in->msg.a[0]);

	if (t) {
		trace_thread_ended(p, t->tid);
		thread_free(t);
	}
	out_status(in->id, t ? 0 : -X_ESRCH);
}
