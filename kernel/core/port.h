/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports, object records, calls, events: the IPC objects.
 *
 * The life of a call (struct call.state):
 *
 *   QUEUED --receive--> TAKEN --answer--> DONE
 *      ^                  |
 *      +---- port_undo ---+  its reader died before it committed
 *
 * What is received is consumed by the next commit. Until then it is on the
 * port's list `delivered`; if its reader is restarted in place it goes back to
 * the head of the queue (RECOVERY.md 2).
 *
 * A QUEUED call that is cancelled just leaves the queue. For a TAKEN one the
 * server gets an X_IN_CANCEL item and still answers; there is exactly one
 * answer. If the caller is gone by then (orphan), the windows are closed at
 * once and the call ends when its cancel item is delivered.
 */
#ifndef PORT_H
#define PORT_H

#include "thread.h"
#include "kernel/arch/x86_64/arch.h"

#define CALL_BUCKETS 64u
#define STARTED_MAX  1024u /* calls under way that one port of a program may have started */
#ifndef STARTED_IN_FRONT /* tests start fewer */
#define STARTED_IN_FRONT 64u /* of these; further ones queue behind others' */
#endif

struct port {
	struct object obj;
	struct list items;        /* struct item.link, in order of arrival; but for */
	struct list crowd;        /* calls of programs that have a few in `items` already */
	uint32_t item_count;      /* of both */
	struct list delivered;    /* struct item.link: received, consumed by the next commit */
	struct list pages;        /* struct page_request.item_link */
	struct list pages_delivered;
	struct list open_calls[CALL_BUCKETS]; /* TAKEN calls, by id */
	uint32_t open_count;
	struct list records[CALL_BUCKETS];    /* by object id */
	struct list started;      /* calls this port made: struct call.origin_link */
	uint32_t started_count;
	struct list bindings;
	struct list paged;        /* memory objects paged by this port */
	struct list dirty;        /* those with dirty pages: struct memory.dirty_link */
	uint64_t dirty_pages, dirty_limit;
	uint64_t page_hits, page_requests; /* x_port_info */
	struct waitq receivers;
	uint32_t reader_handles;  /* with X_R_RECEIVE; at 0 it will never be read again */
	uint64_t reader;          /* koid of the process that received last */
	uint64_t epoch, iteration_ns, received, redelivered;
};

struct record { /* X_TYPE_OBJECT: the open file description */
	struct object obj;
	struct port *port;        /* referenced; NULL: stale */
	uint64_t id, cursor, mints;
	uint64_t born;            /* the port's epoch when it was minted */
	uint32_t status_flags, ready, flags;
	uint32_t minted_flags;    /* what status_flags were at first */
	uint32_t own_ready;       /* as its server says; `ready` is with what its flows say */
	uint32_t pulses[8];       /* per readiness bit, for edge triggers */
	struct list hash_link;
	struct list watchers;     /* struct watch.link */
	const void *cursor_user;  /* the call (X_CALL_CURSOR) or, in a stream, the thread under way */
	struct waitq cursor_wait;
	struct item closure;
	bool closing;             /* closure queued or delivered, not acknowledged */
	struct memory *stream;    /* referenced; NULL: none */
	uint32_t stream_flags, stream_refuse;
	uint64_t stream_next;     /* where the last read ended */
	struct flow *flow[2];     /* IN, OUT, or NULL */
	struct record *route;     /* referenced; NULL: none. Where calls with these operations go: */
	uint32_t route_first, route_last;
	struct record *origin;    /* X_OBJ_REOPEN: of what; held by a handle. In the port's table it is behind that */
};

struct event {
	struct object obj;
	uint64_t bits;
	struct list watchers;
};

struct entry;
struct watch { struct list link; struct thread *thread; struct entry *entry; }; /* one of them */

struct waitset {
	struct object obj;
	struct list entries;      /* struct entry.set_link */
	struct list ready;        /* entries that may be ready: ready_link */
	struct list watchers;
	uint32_t count;
	uint64_t pulse;
};

enum call_state { CALL_QUEUED, CALL_TAKEN, CALL_DONE };

struct call_window {
	uint32_t len, flags, page_offset, frame_count;
	paddr_t *frames;          /* frame_count of them; inline_frames if it fits */
	paddr_t inline_frames[2];
	struct dma_window *dma;   /* NULL, or a device's use of it */
};

struct dma_window {               /* a window lent to a device, while that may reach it (dma.c) */
	struct call *call;
	struct call_window *of;   /* of that call; NULL: it is closed, and the frames are ours */
	paddr_t *frames, inline_frames[2];
	uint32_t frame_count;     /* 0: not in use */
	bool quarantined;
};

struct call {
	/* Links: in no list when the call ends, so never initialised again. */
	struct item item, cancel_item, reply_item;
	struct list open_link;    /* port->open_calls while TAKEN */
	struct list origin_link;  /* port->started */
	/* Down to win: set for every call, or 0 in one that is kept (call_end()). */
	uint32_t state, flags;
	bool cancelled, orphan;
	bool held;                /* failed, out of its port; its caller is told when no device uses its windows */
	bool tried;               /* taken by one who died of something: not for the next incarnation */
	uint64_t cookie, taken_ns;
	uint64_t lent_to;         /* koid of the device that the windows `lent` (bits) are lent to */
	uint64_t lent;
	struct port *port;        /* referenced */
	struct record *record;    /* referenced and counted as a handle; may be NULL */
	struct record *via;       /* referenced: routed, port is its port; or NULL */
	struct thread *thread;    /* waiting caller, or NULL */
	struct port *origin;      /* started call: where the reply goes (referenced) */
	struct account *payer;    /* started call: charged to this one */
	union {                   /* as its server gets it: call_tell() sees to the rest of it */
		struct x_in in;
		struct {
			uint32_t kind, win_count;
			uint64_t id, object, cursor;
			uint32_t status_flags, handle_count;
			uint64_t account;
			struct x_msg msg; /* request, then answer */
		};
	};
	struct call_window win[X_MAX_WINDOWS];
	struct handle handles[X_MAX_HANDLES];
};

_Static_assert(offsetof(struct call, msg) == offsetof(struct call, in.msg), "struct call is laid out as struct x_in");

void port_init(void);
int port_create(struct port **out);
void port_reset(struct port *p);
void port_undo(struct port *p, const struct process *reader); /* back to the last commit */
void port_reader_gone(struct port *p); /* a handle with X_R_RECEIVE was dropped */
struct page_request;
int port_post_page(struct port *pager, struct memory *m, struct page_request *r);

/* system call bodies; user pointers as integers */
int64_t sys_mint(uint32_t port, uint64_t id, uint32_t flags, uint32_t ready, uint32_t status_flags);
int64_t sys_call(uint32_t h, uint64_t user_call);
int64_t sys_commit_receive(uint32_t port, uint64_t user_commit);
int64_t sys_window_copy(uint32_t port, uint64_t user_copy);
int64_t sys_object_ctl(uint32_t h, uint32_t op, uint64_t value);
int64_t sys_bind(uint32_t h, uint32_t port, uint64_t cookie);
int64_t sys_port_info(uint32_t h, uint64_t user_info);
int64_t sys_proc_fork(uint64_t user_fork);

struct call *port_find_call(struct port *p, uint64_t id);
struct record *record_find(struct port *p, uint64_t id);
/* It leaves its port; its closure, if there is one, will not be acknowledged any more: r may be gone. */
void record_forget(struct record *r);
void record_set_ready(struct record *r, uint32_t mask, uint32_t levels, uint32_t pulse);

/* route.c */
int64_t sys_route(uint32_t port, uint64_t id, uint32_t to, uint32_t first, uint32_t last);
void route_drop(struct record *r);
void route_take(struct call *c);       /* to where calls on its object are routed */
bool route_is_stale(const struct call *c);
void route_leave(struct call *c);      /* home, not yet queued anywhere */
void route_go_home(struct call *c);    /* from the queue, or from who has taken it; it may fail, and be gone */
void routes_go_home(struct port *p);   /* all that were routed to it */

/* stream.c */
int64_t sys_stream_set(uint32_t port, uint64_t id, uint32_t memory, uint32_t flags, uint32_t refuse);
/* Copies between a program's memory and m's: the bytes done, or, of none, an error
 * (-X_EFAULT: a bad address; -X_EWAIT: the pager is to be asked by a call; those of memory_page()). */
int64_t stream_transfer(struct memory *m, uint64_t buf, uint64_t len, uint64_t offset, bool write);
int64_t sys_stream(uint32_t h, uint32_t op, uint64_t buf, uint64_t len, int64_t offset, uint64_t from);
int64_t sys_port_dirty(uint32_t port, uint64_t limit, uint64_t user_id);

/* flow.c */
int64_t sys_flow_set(uint32_t port, uint64_t id, uint32_t which, uint32_t memory, uint32_t nowait);
int64_t sys_flow_state(uint32_t port, uint64_t id, uint32_t which, uint64_t user_state);
int64_t sys_flow_pipe(uint32_t port, uint64_t user_pipe);
int64_t flow_move(struct record *r, uint32_t op, uint64_t buf, uint64_t len, uint64_t from);
int flow_check(struct port *p, const struct x_out *o);         /* X_OUT_FLOW */
void flow_apply(struct port *p, const struct x_out *o);
void flow_deliver(struct item *it, struct x_in *in);           /* X_IN_FLOW */
void flow_settled(struct item *it);                            /* its delivery has been committed */
uint32_t flows_ready(const struct record *r);
void flows_wake(struct record *r);     /* it has become stale */
void flows_forget(struct record *r);   /* it leaves its port: nothing is to be told any more */
void flows_closing(struct record *r);  /* its last handle is gone */
void flows_destroy(struct record *r);

/* waitset.c */
int64_t sys_waitset_create(void);
int64_t sys_waitset_ctl(uint32_t h, uint32_t op, uint32_t slot, uint64_t what, uint64_t data);
int64_t sys_waitset_wait(uint32_t h, uint64_t events, uint32_t max, uint64_t deadline, uint64_t mask);
void waitset_poke(struct entry *e);           /* its object changed */
uint32_t waitset_ready(struct waitset *s);    /* X_READY_IN or 0 */
void waitset_forget(struct list *watchers);   /* the object's last handle is gone */

/* event.c, wait.c */
struct list *watchers_of(struct object *o);   /* of an object, event or wait set */
uint32_t ready_of(struct object *o, uint32_t mask);
int event_create(struct event **out);
void event_signal(struct object *event, uint64_t bits);
void watchers_wake(struct list *watchers);
int64_t sys_wait(uint64_t items, uint32_t count, uint64_t deadline, uint64_t mask);
int64_t sys_futex_wait(uint64_t word, uint32_t expected, uint64_t deadline, uint32_t bitset);
/* ---- robust.c ---- */
void robust_release(void); /* what the current thread holds: it ends */
int64_t sys_thread_robust(uint64_t list, uint32_t owner);
int64_t sys_futex_wake(uint64_t word, uint32_t count, uint32_t bitset, uint64_t word2, uint32_t requeue);
void futex_init(void);

#endif
