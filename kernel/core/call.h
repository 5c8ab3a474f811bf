/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between call.c (the life of a call) and port.c (queues and commits).
 */
#ifndef CALL_H
#define CALL_H

#include "port.h"

struct call *call_create(void);
void call_free(struct call *c);
int call_target(struct call *c, uint32_t h);
int call_target_gone(const struct call *c); /* 0 or an error */
int call_pin_windows(struct call *c, const struct x_window *win, uint32_t count);
bool handle_may_travel(const struct handle *h);
int call_take_handles(struct call *c, const uint32_t *slots, uint32_t count, bool move);
/* Answer: ends the call; here: the answering thread is about to block. */
void call_complete(struct call *c, const struct x_msg *answer, bool here);
void call_fail(struct call *c, int status);
void call_orphan(struct call *c);
void call_cancel_started(struct port *origin, uint64_t cookie);
void call_drop_handles(struct call *c);
void port_queue(struct port *p, struct item *i, bool here);
void port_unqueue(struct port *p, struct item *i); /* or from what is delivered; harmless if on neither */
/* Between an open call's window and user memory: bytes, short at the window's end. */
int64_t port_window_copy(struct port *p, uint64_t id, uint32_t window, uint64_t offset, uint64_t addr,
			 uint64_t len, bool to_window);
/* Between an open call's window and the content of a paged object. */
int64_t port_content_copy(struct port *p, struct memory *m, const struct x_window_copy *w);
int64_t call_window_to_window(struct call *from, uint32_t from_window, uint64_t from_offset,
			      struct call *to, uint32_t to_window, uint64_t to_offset, uint64_t len);

#endif
