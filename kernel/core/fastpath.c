/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * x_call and x_commit_receive, as straight as they go for most calls: a thread calls a
 * server that waits for nothing else, the server answers and waits again, all on one CPU.
 *
 *   caller  sys_call             fast_call: the call is taken for the server, which runs
 *   server  sys_commit_receive   receive_handed: copies it out
 *           sys_commit_receive   fast_commit: answers it, runs the caller
 *   caller  sys_call             copies the answer out
 *
 * Nothing is allocated (calls come from those that are kept), no queue is walked; a
 * timer is set only for a caller with a deadline. What is done is what the general
 * path does for the same call; what is left out is only what could not apply.
 * Each half first looks whether the case is its own, and changes nothing if not:
 * then call.c and port.c go on as if it had not been asked. Where user memory is not
 * there as it is (user_try_copy()), nothing has been changed either.
 */
#include "call.h"
#include "sched.h"
#include "trace.h"

/* ---------------------------------------------------------------------- x_call */

/* Nobody is before us, nor before the server on this CPU: it has received the call before it
 * runs. What undoes a delivery undoes this one, too, so receive_handed() looks for the call. */
static inline bool fast_call(struct call *c, uint64_t deadline)
{
	uint32_t wait_flags = call_is_interruptible(c) ? WAIT_INTERRUPTIBLE : 0;
	struct port *p = c->port;
	struct thread *server;
	uint64_t now;

	if (list_empty(&p->receivers.threads) || p->item_count || !list_empty(&p->pages) || c->handle_count)
		return false;
	server = list_first(&p->receivers.threads, struct thread, wait_link);
	if (!sched_may_hand_over(server) || !thread_may_wait(current(), wait_flags))
		return false;
	now = arch_time_ns();
	if (deadline <= now)
		return false;
	c->item.queued_ns = now;
	call_tell(c, now);
	p->received++;
	server->handed = c->id;
	thread_hand_over(NULL, deadline, wait_flags, server, now);
	return true;
}

static inline int call_prepare(struct call *c, uint32_t h, uint64_t user_call, const struct call_head *head)
{
	int err = 0;

	if (!user_try_message(&c->msg, user_call))
		err = copy_from_user(&c->msg, user_call, sizeof(c->msg));
	if (!err)
		err = call_target(c, h);
	if (!err && head->win_count)
		err = call_give_windows(c, user_call, head->win_count);
	if (!err && (head->flags & X_CALL_CURSOR) && c->record && (c->record->flags & X_MINT_CURSOR))
		err = call_acquire_cursor(c, head->deadline_ns);
	if (!err)
		err = call_target_gone(c);
	if (!err && head->handle_count)
		err = call_give_handles(c, user_call, head);
	return err;
}

int64_t sys_call(uint32_t h, uint64_t user_call)
{
	uint64_t user_head = user_call + offsetof(struct x_call, win_count);
	struct call_head head;
	struct call *c;
	bool handed_over;
	int64_t err;

	if (!user_range(user_call, sizeof(struct x_call)) ||
	    (!user_try_copy(&head, (const void *)user_head, sizeof(head)) &&
	     copy_from_user(&head, user_head, sizeof(head))))
		return -X_EFAULT;
	if (head.win_count > X_MAX_WINDOWS || head.handle_count > X_MAX_HANDLES)
		return -X_EINVAL;
	c = call_create();
	if (!c)
		return -X_ENOMEM;
	c->flags = head.flags;
	err = call_prepare(c, h, user_call, &head);
	if (err) {
		call_free(c);
		return err;
	}
	c->thread = current();
	trace_call(c);
	handed_over = fast_call(c, head.deadline_ns);
	if (!handed_over || c->state != CALL_DONE) {
		err = call_await(c, head.deadline_ns, handed_over);
		if (err)
			return err;
	}
	if (head.handle_count | c->handle_count)
		err = call_return_handles(c, user_call, &head);
	if (!err && !user_try_copy((void *)user_call, &c->msg, sizeof(c->msg)))
		err = copy_to_user(user_call, &c->msg, sizeof(c->msg));
	if (!err)
		err = c->msg.status;
	call_end(c);
	return err;
}

/* ------------------------------------------------------------ x_commit_receive */

/* The call that was received last is the only one of this iteration, and open; and
 * its caller sleeps for it: not if its patience has ended, and it is about to run. */
static inline struct call *only_call(struct port *p, uint64_t id)
{
	struct call *c = container_of(p->delivered.next, struct call, item.link);

	if (list_empty(&p->delivered) || p->delivered.next != p->delivered.prev || c->item.kind != X_IN_CALL)
		return NULL;
	if (c->id != id || c->state != CALL_TAKEN || c->handle_count)
		return NULL;
	return c->thread && c->thread->state == THREAD_BLOCKED ? c : NULL;
}

/* call_leave_server() for such a one: it is delivered and open, nothing else of it is queued. */
static inline void leave_server(struct port *p, struct call *c)
{
	list_remove(&c->item.link);
	c->item.delivered = false;
	list_remove(&c->open_link);
	p->open_count--;
	if (c->record && c->record->cursor_user == c)
		call_release_cursor(c);
	if (c->win_count)
		call_close_windows(c);
}

/* All of them may be given away; else the general path says what is wrong. */
static bool handles_may_travel(struct x_out *o, uint64_t from, uint32_t count)
{
	const struct handle *h;

	o->handle_count = count;
	if (count > X_MAX_HANDLES ||
	    copy_from_user(o->handles, from + offsetof(struct x_out, handles), sizeof(o->handles)))
		return false;
	for (uint32_t i = 0; i < count; i++) {
		h = handle_slot(&current_process()->handles, o->handles[i]);
		if (!h || !handle_may_travel(h))
			return false;
	}
	return true;
}

static __attribute__((noinline)) struct call *fast_answer_window(struct port *p, uint64_t id, uint64_t out)
{
	struct { uint64_t src; uint32_t len, window; } copy; /* as in struct x_out */

	if (copy_from_user(&copy, out + offsetof(struct x_out, copy_src), sizeof(copy)) ||
	    port_window_copy(p, id, copy.window, 0, copy.src, copy.len, true) < 0)
		return NULL;
	return only_call(p, id); /* that may have blocked: the caller may be gone, or others have come */
}

/*
 * An outbox of one answer to a caller that blocks. True: done, and the wait for
 * the next item is over, with its result in *wait.
 */
static inline bool fast_commit(struct port *p, const struct x_commit *c, int *wait)
{
	struct { uint32_t kind, flags; uint64_t id; } head; /* of struct x_out */
	struct { uint32_t copy_len, copy_window, win_count, handle_count; } more;
	const char *out = (const char *)c->out;
	struct x_out o; /* only what the answer has of these: handles, the cursor */
	struct call *call;
	uint64_t now;

	if (!user_range(c->out, sizeof(struct x_out)) || !user_try_copy(&head, out, sizeof(head)) ||
	    !user_try_copy(&more, out + offsetof(struct x_out, copy_len), sizeof(more)))
		return false;
	if (head.kind != X_OUT_ANSWER || more.win_count || (head.flags & X_ANSWER_HOME))
		return false;
	if ((head.flags & X_ANSWER_CURSOR) && !user_try_copy(&o.value, out + offsetof(struct x_out, value), sizeof(o.value)))
		return false;
	if (more.handle_count && !handles_may_travel(&o, c->out, more.handle_count))
		return false;
	call = only_call(p, head.id);
	if (call && more.copy_len)
		call = fast_answer_window(p, head.id, c->out);
	if (!call || p->item_count || !list_empty(&p->pages) || !list_empty(&p->pages_delivered) ||
	    current()->killed || !sched_may_hand_over(call->thread))
		return false;
	now = arch_time_ns();
	/* The request is lost with this, as after the commit point. */
	if (c->deadline_ns <= now || !user_try_message(&call->msg, c->out + offsetof(struct x_out, msg)))
		return false;
	port_commit_point(p);
	leave_server(p, call);
	if (more.handle_count)
		answer_take_handles(call, &o);
	if ((head.flags & X_ANSWER_CURSOR) && call->record)
		call->record->cursor = o.value;
	call->state = CALL_DONE;
	trace_answer(call);
	*wait = thread_hand_over(&p->receivers, c->deadline_ns, 0, call->thread, now);
	return true;
}

/* What fast_call() has left for us. 0: it is gone, or was given back (port_undo()), and may be another's by now. */
static inline int64_t receive_handed(struct port *p, uint64_t to)
{
	struct thread *t = current();
	struct call *c = call_find(p, t->handed);
	struct x_in in;

	t->handed = 0;
	if (!c || c->tried)
		return 0;
	if (user_range(to, sizeof(in)) && user_try_copy((void *)to, &c->in, sizeof(in)))
		return 1;
	in = c->in;
	return copy_to_user(to, &in, sizeof(in)) ? -X_EFAULT : 1;
}

int64_t sys_commit_receive(uint32_t port_handle, uint64_t user_commit)
{
	const uint64_t user_result = user_commit + offsetof(struct x_commit, epoch);
	struct process *me = current_process();
	struct x_commit c;
	struct handle *h;
	struct port *p;
	int waited = 0;
	int64_t n = 0;

	if (!user_range(user_commit, sizeof(c)) ||
	    (!user_try_copy(&c, (const void *)user_commit, offsetof(struct x_commit, epoch)) &&
	     copy_from_user(&c, user_commit, offsetof(struct x_commit, epoch))))
		return -X_EFAULT;
	h = handle_slot(&me->handles, port_handle);
	if (!h || h->object->type != X_TYPE_PORT || !(h->rights & X_R_RECEIVE))
		return !h ? -X_EBADF : h->object->type != X_TYPE_PORT ? -X_EWRONGTYPE : -X_ERIGHTS;
	p = container_of(h->object, struct port, obj);
	object_ref(&p->obj);
	p->reader = me->obj.koid;
	if (!me->loop_port)
		me->loop_port = p->obj.koid;
	c.out_error = 0;
	c.out_error_at = 0;
	if (c.out_count > X_MAX_OUT || c.in_max > X_MAX_BATCH)
		n = -X_EINVAL;
	else if (c.out_count != 1 || !c.in_max || !fast_commit(p, &c, &waited))
		n = port_commit(p, &c);
	c.now_ns = 0;
	while (n == 0 && c.in_max && !waited) {
		if (current()->handed) {
			n = receive_handed(p, c.in);
			c.now_ns = current()->judged_ns; /* it has run since then */
		}
		if (n == 0)
			n = port_receive(p, &c);
		if (n == 0)
			waited = c.deadline_ns ? thread_wait(&p->receivers, c.deadline_ns, WAIT_INTERRUPTIBLE | WAIT_AT_PORT) : -X_ETIMEDOUT;
	}
	if (n == 0 && waited == -X_EINTR && (me->flags & X_PROC_LINUX)) /* services do not ask for it */
		n = -X_EINTR;
	/* The deadline passing also begins an iteration: timers are run in it. */
	if (!c.now_ns || n == 0)
		c.now_ns = arch_time_ns();
	if (n >= 0)
		p->iteration_ns = c.now_ns;
	c.epoch = p->epoch;
	object_unref(&p->obj);
	if (!user_try_copy((void *)user_result, &c.epoch, sizeof(c) - offsetof(struct x_commit, epoch)) &&
	    copy_to_user(user_result, &c.epoch, sizeof(c) - offsetof(struct x_commit, epoch)))
		return -X_EFAULT;
	return n;
}
