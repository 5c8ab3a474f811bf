/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event loop of every native server and driver.
 *
 * server_run() repeats: commit the outbox and receive a batch; hand each item
 * to its function; run due timers. That is one iteration. All effects on
 * others are out_*() entries, which take effect together at the next commit
 * (the loop commits early between two items when the outbox is half full).
 * Nothing here blocks but the receive itself. All lasting state is static
 * data: no state may live on the stack across iterations.
 *
 * A service whose manifest says `restart warm` goes on after its death at the
 * top of this loop, with its state as of the last commit (warm.c,
 * docs/recovery.md: rules for authors of servers).
 *
 * Single-threaded. Failures of our own (outbox refused, tables full) are
 * fatal: server_die() logs and exits, and rs restarts it.
 */
#ifndef LIB_IPC_SERVER_H
#define LIB_IPC_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <xinim/syscall.h>

/* Entry of the service, called by lib/ipc's start code; ends in server_run(). */
void server_main(void);

struct server_ops {
	/* A client's call; answer now or later, exactly once, by in->id. Handles
	 * in in->handles belong to the server. */
	void (*call)(const struct x_in *in);
	void (*closure)(uint64_t object, uint64_t mints);  /* may be NULL; acknowledged by the loop */
	void (*cancel)(uint64_t call_id);                  /* may be NULL: ignored */
	void (*page)(const struct x_in *in);               /* may be NULL */
	void (*flow)(uint64_t object, uint32_t which, const struct x_flow_state *state); /* may be NULL */
	void (*batch_end)(void);  /* before each commit: submit what was gathered; may be NULL */
	/* After a warm restart: is the state sound? If not it starts cold. May be NULL. */
	bool (*state_check)(void);
	/* rs asks to stop: finish what is open, then server_exit(); NULL: exit at once */
	void (*stop)(void);
};

extern const struct x_boot_page *boot;   /* the bootstrap page */
extern x_handle_t server_port;           /* boot handle "port" */
extern uint64_t server_now_ns;           /* monotonic, sampled once an iteration */

/* Boot handle by name, or X_NO_HANDLE. */
x_handle_t boot_handle(const char *name);
/* i-th argument of the manifest's `args` line, or NULL. */
const char *boot_arg(unsigned index);
/* Value of key=value in args, then in the kernel command line, or NULL.
 * Copies into a static buffer. */
const char *boot_option(const char *key);

__attribute__((noreturn)) void server_run(const struct server_ops *ops);
__attribute__((noreturn, format(printf, 1, 2))) void server_die(const char *fmt, ...);
/* End this incarnation in good order: the outbox is committed first. */
__attribute__((noreturn)) void server_exit(void);
/* The number of commits so far: what was released in this very iteration may still
 * be needed by a rollback. */
uint64_t server_epoch(void);
/* When the iteration began that the last warm restart has undone: nobody has been
 * served since. 0: there was none. */
uint64_t server_cut_ns(void);
/* A part of batch_end's work that can do without being done, such as one packet
 * received: `object` and `id` name it, the same ones after a rollback. true: it has
 * killed the service twice and is to be dropped. server_part_end(): what follows is
 * no longer its fault. server_careful(): after deaths of our own; one part an
 * iteration, please, so that they can be told apart. */
bool server_part(uint64_t object, uint64_t id);
void server_part_end(void);
bool server_careful(void);
/* One line to the kernel log, prefixed by the service's name. */
__attribute__((format(printf, 1, 2))) void server_log(const char *fmt, ...);
/* Tell rs that the service is ready to serve (also done by server_run at its
 * first commit if it was not done before). */
void server_ready(void);
/* The peer behind this boot handle broke its protocol (an impossible index, an answer
 * that makes no sense): rs is told, and probes it. Errors outside the error list in
 * answers to started calls are complained of by themselves. */
void server_complain(x_handle_t peer);
void server_defer_ready(void);           /* call before server_run: wait for server_ready() */

/* A fault on purpose (RS_CONTROL_* of proto/rs.h), once: not again when the iteration
 * that it ended is done again. For rs, which has no control event. */
void server_inject(uint64_t bits);

/* Nonsense into an entry of a ring that is an answer, if that was asked for
 * (`svc inject NAME garbage SEED`); else nothing happens. */
void server_spoil(void *entry, size_t bytes);

/* ---- outbox ----
 * An entry handed out is to be filled before the next out_*() call: a full
 * outbox is committed on the spot. */
void out_status(uint64_t call_id, int64_t status);           /* answer without data */
void out_answer(uint64_t call_id, const struct x_msg *msg);
/* The full answer: the entry is zeroed but for kind and id; fill msg, handles,
 * copy_*, flags/value (X_ANSWER_CURSOR). */
struct x_out *out_answer_entry(uint64_t call_id);
void out_signal(x_handle_t event, uint64_t bits);
/* Only if the step of an index from old to now goes past *word, as that is when the stores
 * ahead of this in the outbox have been made. */
void out_signal_past(x_handle_t event, uint64_t bits, const uint32_t *word, uint32_t old, uint32_t now);
void out_close(x_handle_t h);
/* The i-th handle that came with a call, or a reply: the caller's from now on. X_NO_HANDLE: there
 * is none. The items of a batch lie in memory that can be written to. */
static inline x_handle_t in_take(const struct x_in *in, uint32_t i)
{
	x_handle_t h = i < in->handle_count && i < X_MAX_HANDLES ? in->handles[i] : X_NO_HANDLE;

	if (h != X_NO_HANDLE)
		((struct x_in *)(uintptr_t)in)->handles[i] = X_NO_HANDLE;
	return h;
}
/* Those that nobody took. */
static inline void in_close_handles(const struct x_in *in)
{
	for (uint32_t i = 0; i < in->handle_count; i++)
		out_close(in_take(in, i));
}
void out_ready(uint64_t object, uint32_t mask, uint32_t levels, uint32_t pulse);
/* A flow's state from the commit on (X_OUT_FLOW): mode X_FLOW_LAST, X_FLOW_STOP or 0; tell us when
 * so many extents + bytes were moved. Extents may be put into msg.op, msg.a[]. */
struct x_out *out_flow(uint64_t object, uint32_t which, uint32_t mode, uint64_t tell, uint64_t timeout_ns);
void out_store32(volatile uint32_t *addr, uint32_t value);
void out_closure_ack(uint64_t object);
/* A system call with an effect on others, or an unmapping (syscall_may_defer() in
 * kernel/core/syscall.c), made at the commit; its result is nobody's. What it
 * points to must be static or from out_keep(). */
void out_do(uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
/* The same; *result, outside the region or REGION_SCRATCH, is there after the commit. */
void out_do_result(int64_t *result, uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e);
/* A copy that lasts until the commit. */
void *out_keep(const void *data, size_t bytes);

/* Started calls: done(ctx, reply) runs when the answer (X_IN_REPLY: msg,
 * handles) has come. Exactly once (NULL: nobody cares). The returned entry is to be filled: msg,
 * win, handles, flags; it is zeroed but for target. *cookie (may be NULL) names
 * it for out_cancel. Of the handles that came those are kept that done() has taken with in_take(). */
typedef void (*reply_fn)(void *ctx, const struct x_in *reply);
struct x_out *out_start(x_handle_t target, reply_fn done, void *ctx, uint64_t *cookie);
void out_cancel(uint64_t cookie);

/* Something bound to our port: fn(ctx, bits). */
typedef void (*event_fn)(void *ctx, uint64_t bits);
int server_bind(x_handle_t h, event_fn fn, void *ctx);
void server_unbind(x_handle_t h);

/* ---- windows of open calls: bytes copied (short at the window's end) or error ---- */
int64_t window_read(uint64_t call_id, unsigned window, uint64_t offset, void *dst, size_t len);
/* Into memory that nobody would miss after a rollback, for it held nothing of
 * use at the last commit: not logged. */
int64_t window_read_payload(uint64_t call_id, unsigned window, uint64_t offset, void *dst, size_t len);
int64_t window_write(uint64_t call_id, unsigned window, uint64_t offset, const void *src, size_t len);
/* A NUL-terminated string: window contents up to size-1 bytes, NUL added.
 * Returns the length, -X_ENAMETOOLONG if it does not fit, -X_EFAULT if empty window. */
int64_t window_string(uint64_t call_id, unsigned window, uint32_t window_len, char *dst, size_t size);

/* ---- timers: one-shot, in the server's own memory ---- */
struct server_timer {
	uint64_t deadline_ns;   /* 0: not set */
	void (*fn)(void *ctx);
	void *ctx;
	struct server_timer *next; /* list by deadline */
};
void timer_set(struct server_timer *t, uint64_t deadline_ns); /* moves it if set */
void timer_clear(struct server_timer *t);

/* Anonymous wired memory for the life of the process; dies if there is none. In
 * a service restarted warm it is part of the region, _payload is not. */
void *server_memory(size_t bytes);
void *server_memory_payload(size_t bytes);

#endif
