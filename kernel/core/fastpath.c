/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way most calls go: a thread calls a server that waits for nothing else,
 * the server answers and waits again, all on one CPU.
 *
 *   caller  sys_call             fast_call: queue the call, run the server
 *   server  sys_commit_receive   receives it like any other item
 *           sys_commit_receive   fast_commit: answer it, run the caller
 *   caller  sys_call             returns
 *
 * Nothing is allocated (calls come from call.c's reserve), no queue is walked; a
 * timer is set only for a caller with a deadline. What is done is what the general
 * path does for the same call; what is left out is only what could not apply.
 * Both halves first look whether the case is theirs, and change nothing if not:
 * then call.c and port.c go on as if they had not been asked.
 */
#include "call.h"
#include "sched.h"
#include "trace.h"

/* Nobody is before us, nor before the server on this CPU. */
bool fast_call(struct call *c, uint64_t deadline, uint32_t wait_flags)
{
	struct port *p = c->port;
	struct thread *server = waitq_first(&p->receivers);

	if (!server || p->item_count || !list_empty(&p->pages) ||
	    !sched_may_hand_over(server) || !thread_may_wait(current(), wait_flags))
		return false;
	if (deadline != X_FOREVER && deadline <= arch_time_ns())
		return false;
	c->item.queued_ns = current()->switched_in_ns; /* near enough: it is not going to wait */
	list_push_back(&p->items, &c->item.link);
	p->item_count++;
	thread_hand_over(&c->done, deadline, wait_flags, server);
	return true;
}

/* The call that was received last is the only one of this iteration, and open; and
 * its caller sleeps for it: not if its patience has ended, and it is about to run. */
static struct call *only_call(struct port *p, uint64_t id)
{
	struct call *c = container_of(p->delivered.next, struct call, item.link);

	if (list_empty(&p->delivered) || p->delivered.next != p->delivered.prev || c->item.kind != X_IN_CALL)
		return NULL;
	if (c->id != id || c->state != CALL_TAKEN || c->handle_count)
		return NULL;
	return c->thread && c->thread->waiting_on == &c->done ? c : NULL;
}

/* All of them may be given away; else the general path says what is wrong. */
static bool handles_may_travel(struct x_out *o, uint64_t from)
{
	const struct handle *h;

	if (o->handle_count > X_MAX_HANDLES ||
	    copy_from_user(o->handles, from + offsetof(struct x_out, handles), sizeof(o->handles)))
		return false;
	for (uint32_t i = 0; i < o->handle_count; i++) {
		h = handle_slot(&current_process()->handles, o->handles[i]);
		if (!h || !handle_may_travel(h))
			return false;
	}
	return true;
}

/*
 * An outbox of one answer to a caller that blocks. *c holds the head of the
 * commit. True: done, and the wait for the next item is over, with its result in
 * *wait.
 */
bool fast_commit(struct port *p, struct x_commit *c, int *wait)
{
	struct x_out o; /* up to its windows: there are none */
	struct call *call;

	if (c->out_count != 1 || !c->in_max || current()->killed ||
	    copy_from_user(&o, c->out, offsetof(struct x_out, win)) ||
	    o.kind != X_OUT_ANSWER || o.win_count || o.flags & X_ANSWER_HOME)
		return false;
	if (o.handle_count && !handles_may_travel(&o, c->out))
		return false;
	call = only_call(p, o.id);
	if (call && o.copy_len) { /* may block: the caller may be gone, or others have come */
		if (port_window_copy(p, o.id, o.copy_window, 0, o.copy_src, o.copy_len, true) < 0)
			return false;
		call = only_call(p, o.id);
	}
	if (!call)
		return false;
	if (p->item_count || !list_empty(&p->pages) || !list_empty(&p->pages_delivered) ||
	    !sched_may_hand_over(call->thread) ||
	    (c->deadline_ns != X_FOREVER && c->deadline_ns <= arch_time_ns()))
		return false;
	port_commit_point(p);
	port_unqueue(p, &call->item);
	call_leave_server(call);
	if (o.handle_count)
		answer_take_handles(call, &o);
	if ((o.flags & X_ANSWER_CURSOR) && call->record)
		call->record->cursor = o.value;
	call->msg = o.msg;
	call->state = CALL_DONE;
	trace_answer(call);
	*wait = thread_hand_over(&p->receivers, c->deadline_ns, 0, call->thread);
	return true;
}
