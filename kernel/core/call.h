/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between call.c (the life of a call) and port.c (queues and commits).
 */
#ifndef CALL_H
#define CALL_H

#include "port.h"

/* A few ended calls are kept for the next ones: the heap costs more than the
 * rest of a call's making and end. Tests build with none, to see what is used
 * after its end. */
#ifndef CALLS_KEPT
#define CALLS_KEPT 32u
#endif
extern struct call *kept_calls[CALLS_KEPT + 1];
extern uint32_t kept_count;
extern uint64_t next_call_id;
struct call *call_make(void); /* one more; or NULL */

static inline struct call *call_create(void)
{
	struct call *c = kept_count ? kept_calls[--kept_count] : call_make();

	if (!c)
		return NULL;
	c->state = CALL_QUEUED;
	c->cancelled = c->orphan = c->held = c->tried = c->item.behind = false;
	c->id = next_call_id++;
	c->account = current_process()->obj.koid;
	return c;
}

/* The end of what has no part in anything any more: no handles, no thread, in no list. */
static inline void call_end(struct call *c)
{
	if (c->win_count) {
		c->win_count = 0;
		c->lent = 0;
		clear_words(c->in.win, sizeof(c->in.win));
	}
	if (c->record) {
		handle_drop((struct handle){ .object = &c->record->obj });
		c->record = NULL;
		c->object = c->cursor = c->status_flags = 0;
		if (c->via)
			object_unref(&c->via->obj);
		c->via = NULL;
	}
	c->thread = NULL;
	if (c->port)
		object_unref(&c->port->obj);
	c->port = NULL;
	if (kept_count + 1 < ARRAY_SIZE(kept_calls))
		kept_calls[kept_count++] = c;
	else
		kfree(c);
}

/* The end of struct x_call, after what only some calls have. */
struct call_head {
	uint32_t win_count, handle_count, flags, recv_min, recv_end, reserved;
	uint64_t deadline_ns;
};
_Static_assert(sizeof(struct x_call) - offsetof(struct x_call, win_count) == sizeof(struct call_head) &&
	       sizeof(struct x_call) - offsetof(struct x_call, deadline_ns) ==
	       sizeof(struct call_head) - offsetof(struct call_head, deadline_ns), "struct call_head");

/* call.c: what not every call needs, and the wait of one whose caller has not (or has) handed over already */
int call_give_windows(struct call *c, uint64_t user_call, uint32_t count);
int call_give_handles(struct call *c, uint64_t user_call, const struct call_head *head);
int call_return_handles(struct call *c, uint64_t user_call, const struct call_head *head);
int call_acquire_cursor(struct call *c, uint64_t deadline);
void call_release_cursor(struct call *c); /* which it has */
int call_await(struct call *c, uint64_t deadline, bool handed_over);

/* File I/O is not: programs take no EINTR from a disk. */
static inline bool call_is_interruptible(const struct call *c)
{
	return (c->flags & X_CALL_INTERRUPTIBLE) && !(c->record && (c->record->flags & X_MINT_CURSOR));
}
void call_hurry(struct call *c);
void call_leave_server(struct call *c); /* it is answered: out of the port, windows closed */
void call_close_windows(struct call *c);
void answer_take_handles(struct call *c, const struct x_out *o); /* port.c */
/* The epoch advances, a new iteration begins. */
static inline void port_commit_point(struct port *p)
{
	struct process *me = current_process();

	p->epoch++;
	p->iteration_ns = 0;
	if (me->loop_port == p->obj.koid) {
		me->commits++;
		me->commit_ran_ns = me->ran_ns;
	}
}
void call_free(struct call *c);
int call_pin_windows(struct call *c, const struct x_window *win, uint32_t count);
/* The right to read a port travels in no message: in its own queue it would
 * keep the port, its callers and itself for ever. x_proc_grant passes it on. */
static inline bool handle_may_travel(const struct handle *h)
{
	return (h->rights & X_R_TRANSFER) &&
	       !(h->object->type == X_TYPE_PORT && (h->rights & X_R_RECEIVE));
}
int call_take_handles(struct call *c, const uint32_t *slots, uint32_t count, bool move);
/* Answer: ends the call. */
void call_complete(struct call *c, const struct x_msg *answer);
void call_fail(struct call *c, int status);
/* Its server is no more: -X_EDEAD, but not before devices are done with its windows. */
void call_fail_when_quiet(struct call *c);
void call_device_done(struct call *c); /* with one of its windows; it may be gone from here on */
void call_orphan(struct call *c);
void call_cancel_started(struct port *origin, uint64_t cookie);
void call_drop_handles(struct call *c);
void port_queue(struct port *p, struct item *i); /* a call: see call_line_up() */
void port_queue_quietly(struct port *p, struct item *i); /* the receiver goes on waiting */
void port_queue_later(struct port *p, struct item *i);   /* until we make way, or for a moment: sched_wake_later() */
/* Or from what is delivered; harmless if on neither. */
static inline void port_unqueue(struct port *p, struct item *i)
{
	if (list_empty(&i->link))
		return;
	list_remove(&i->link);
	p->item_count -= !i->delivered;
	if (i->few) {
		--*i->few;
		i->few = NULL;
	}
	i->delivered = false;
}
static inline void call_leave_port(struct call *c)
{
	port_unqueue(c->port, &c->item);
	port_unqueue(c->port, &c->cancel_item);
	if (!list_empty(&c->open_link)) {
		list_remove(&c->open_link);
		c->port->open_count--;
	}
}

/* port_find_call() */
static inline struct list *call_bucket(struct port *p, uint64_t id)
{
	return &p->open_calls[id % CALL_BUCKETS];
}
static inline struct call *call_find(struct port *p, uint64_t id)
{
	list_for_each(c, call_bucket(p, id), struct call, open_link)
		if (c->id == id)
			return c;
	return NULL;
}

/* It is its server's now: what that is told of it is complete but for handles. */
static inline void call_tell(struct call *c, uint64_t now)
{
	if (c->record) {
		c->object = c->via ? c->via->id : c->record->id;
		c->cursor = c->record->cursor;
		c->status_flags = c->record->status_flags;
	}
	c->state = CALL_TAKEN;
	c->taken_ns = now;
	c->item.delivered = true;
	list_push_back(&c->port->delivered, &c->item.link);
	list_push_back(call_bucket(c->port, c->id), &c->open_link);
	c->port->open_count++;
}

/* Where it goes: 0 or an error. */
static inline int call_target(struct call *c, uint32_t h)
{
	struct handle *held = handle_slot(&current_process()->handles, h);

	if (!held)
		return -X_EBADF;
	if (held->object->type != X_TYPE_OBJECT && held->object->type != X_TYPE_PORT)
		return -X_EWRONGTYPE;
	if (!(held->rights & X_R_CALL))
		return -X_ERIGHTS;
	if (held->object->type == X_TYPE_OBJECT) {
		struct record *r = container_of(held->object, struct record, obj);

		if (!r->port)
			return -X_ESTALE_HANDLE;
		c->record = r;
		c->port = r->port;
		r->obj.handles++;
		object_ref(&r->obj);
	} else {
		c->port = container_of(held->object, struct port, obj);
	}
	object_ref(&c->port->obj);
	if (c->record && c->record->route)
		route_take(c);
	return 0;
}

/* Pinning and waiting may have blocked since call_target(): 0 or an error. */
static inline int call_target_gone(struct call *c)
{
	if (c->record && !c->record->port)
		return -X_ESTALE_HANDLE;
	if (c->via && route_is_stale(c))
		route_leave(c);
	return c->port->reader_handles ? 0 : -X_EDEAD;
}

/* fastpath.c's slower side in port.c: a whole outbox; what there is to receive. */
int port_commit(struct port *p, struct x_commit *c);
int64_t port_receive(struct port *p, const struct x_commit *c);

/* Between an open call's window and user memory: bytes, short at the window's end. */
int64_t port_window_copy(struct port *p, uint64_t id, uint32_t window, uint64_t offset, uint64_t addr,
			 uint64_t len, bool to_window);

#endif
