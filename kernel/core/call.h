/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between call.c (the life of a call) and port.c (queues and commits).
 */
#ifndef CALL_H
#define CALL_H

#include "port.h"

struct call *call_create(void);
/* fastpath.c: false, and nothing changed, if the case is not theirs */
bool fast_call(struct call *c, uint64_t deadline, uint32_t wait_flags);
bool fast_commit(struct port *p, struct x_commit *c, int *wait);
void call_leave_port(struct call *c);
void call_hurry(struct call *c);
void call_leave_server(struct call *c); /* it is answered: out of the port, windows closed */
void answer_take_handles(struct call *c, const struct x_out *o); /* port.c */
void port_commit_point(struct port *p); /* the epoch advances, a new iteration begins */
void call_free(struct call *c);
int call_target(struct call *c, uint32_t h);
int call_target_gone(struct call *c); /* 0 or an error */
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
void call_orphan(struct call *c);
void call_cancel_started(struct port *origin, uint64_t cookie);
void call_drop_handles(struct call *c);
void port_queue(struct port *p, struct item *i); /* a call: see call_line_up() */
void port_queue_quietly(struct port *p, struct item *i); /* the receiver goes on waiting */
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
/* Between an open call's window and user memory: bytes, short at the window's end. */
int64_t port_window_copy(struct port *p, uint64_t id, uint32_t window, uint64_t offset, uint64_t addr,
			 uint64_t len, bool to_window);

#endif
