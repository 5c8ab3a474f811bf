/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/ipc for unit tests of servers: what a server sends is kept here to be
 * looked at, windows are buffers of the test. Included once, by the test.
 */
#ifndef TESTS_UNIT_FAKE_IPC_H
#define TESTS_UNIT_FAKE_IPC_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ipc/server.h"

enum { FAKE_OUT_MAX = 4096, FAKE_CALLS_MAX = 4096 };

struct fake_start { struct x_out out; reply_fn done; void *ctx; bool live; };
struct fake_call {              /* a client's call: its windows and its answer */
	uint64_t id;
	void *win[X_MAX_WINDOWS];
	uint32_t len[X_MAX_WINDOWS];
	int answers;
	struct x_msg msg;
	uint32_t handles[X_MAX_HANDLES], handle_count;
	uint64_t cursor;
};

static struct fake_start fake_starts[FAKE_OUT_MAX];
static unsigned fake_start_count, fake_start_next;
static struct fake_call fake_calls[FAKE_CALLS_MAX];
static unsigned fake_call_count;
static struct x_out *fake_answers[FAKE_OUT_MAX];
static unsigned fake_answer_count;
static unsigned fake_closes, fake_mints, fake_cancels;
static struct { uint64_t id; uint32_t levels, pulse; } fake_ready[FAKE_OUT_MAX];
static unsigned fake_ready_count;
static struct server_timer *fake_timers;

const struct x_boot_page *boot;
x_handle_t server_port = 7;
uint64_t server_now_ns = 1000;

static __attribute__((unused)) int fake_reopens; /* X_OBJ_REOPEN, unless */
static __attribute__((unused)) bool fake_stale;
static uint64_t fake_epoch; /* of server_epoch(), if not 0 */

static const char *fake_handles = "minix pm tty rs";
static const char *fake_rootflags;

static inline x_handle_t boot_handle_number(const char *name)
{
	const char *at = strstr(fake_handles, name);

	return at ? (x_handle_t)(2000 + (at - fake_handles)) : X_NO_HANDLE;
}
x_handle_t boot_handle(const char *name) { return boot_handle_number(name); }
const char *boot_arg(unsigned index) { (void)index; return NULL; }
const char *boot_option(const char *key) { return strcmp(key, "rootflags") ? NULL : fake_rootflags; }
void server_run(const struct server_ops *ops) { (void)ops; abort(); }
void server_ready(void) {}
void server_defer_ready(void) {}
void server_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	abort();
}
void server_log(const char *fmt, ...) { (void)fmt; }
static uint32_t fake_complaints;
void server_spoil(void *entry, size_t bytes) { (void)entry, (void)bytes; }
void server_complain(x_handle_t peer) { fake_complaints += peer != X_NO_HANDLE; }
void *server_memory(size_t bytes) { return calloc(1, bytes); }

static inline struct fake_call *fake_call_of(uint64_t id)
{
	for (unsigned i = 0; i < fake_call_count; i++)
		if (fake_calls[i].id == id)
			return &fake_calls[i];
	fprintf(stderr, "no such call %lu\n", (unsigned long)id);
	abort();
}

static inline void fake_fix_answers(void)
{
	for (unsigned i = 0; i < fake_answer_count; i++) {
		struct x_out *o = fake_answers[i];
		struct fake_call *c = fake_call_of(o->id);

		c->answers++;
		c->msg = o->msg;
		if (o->copy_len)
			memcpy(c->win[o->copy_window], (void *)(uintptr_t)o->copy_src, o->copy_len);
		memcpy(c->handles, o->handles, sizeof(c->handles));
		c->handle_count = o->handle_count;
		c->cursor = o->value;
		free(o);
	}
	fake_answer_count = 0;
}

struct x_out *out_answer_entry(uint64_t call_id)
{
	struct x_out *o = calloc(1, sizeof(*o));

	o->kind = X_OUT_ANSWER;
	o->id = call_id;
	fake_answers[fake_answer_count++] = o;
	return o;
}
void out_answer(uint64_t call_id, const struct x_msg *msg) { out_answer_entry(call_id)->msg = *msg; }
void out_status(uint64_t call_id, int64_t status) { out_answer_entry(call_id)->msg.status = (int32_t)status; }
void out_signal(x_handle_t e, uint64_t bits) { (void)e; (void)bits; }
void out_signal_past(x_handle_t e, uint64_t bits, const uint32_t *word, uint32_t old, uint32_t now)
{
	(void)e;
	(void)bits;
	(void)word;
	(void)old;
	(void)now;
}
void out_close(x_handle_t h) { fake_closes += h != X_NO_HANDLE; }
void out_ready(uint64_t object, uint32_t mask, uint32_t levels, uint32_t pulse)
{
	(void)mask;
	fake_ready[fake_ready_count].id = object;
	fake_ready[fake_ready_count].levels = levels;
	fake_ready[fake_ready_count++].pulse = pulse;
}
void out_store32(volatile uint32_t *addr, uint32_t value) { *addr = value; }
void out_closure_ack(uint64_t object) { (void)object; }
void out_cancel(uint64_t cookie) { (void)cookie; fake_cancels++; }
struct x_out *out_start(x_handle_t target, reply_fn done, void *ctx, uint64_t *cookie)
{
	struct fake_start *s = &fake_starts[fake_start_count % FAKE_OUT_MAX];

	if (fake_start_count - fake_start_next == FAKE_OUT_MAX)
		abort();
	memset(s, 0, sizeof(*s));
	s->out.kind = X_OUT_START;
	s->out.target = target;
	s->done = done;
	s->ctx = ctx;
	s->live = true;
	if (cookie)
		*cookie = fake_start_count + 1;
	fake_start_count++;
	return &s->out;
}
/* The oldest started call that has not been answered, or NULL. */
static inline struct fake_start *fake_next_start(void)
{
	return fake_start_next < fake_start_count ? &fake_starts[fake_start_next % FAKE_OUT_MAX] : NULL;
}
static inline void fake_reply(struct fake_start *s, const struct x_in *in)
{
	reply_fn done = s->done;
	void *ctx = s->ctx;

	fake_start_next++;
	s->live = false;
	done(ctx, in);
	in_close_handles(in);
}

int64_t window_read(uint64_t id, unsigned window, uint64_t offset, void *dst, size_t len)
{
	struct fake_call *c = fake_call_of(id);

	if (window >= X_MAX_WINDOWS || !c->win[window] || c->answers)
		return -X_ENOENT;
	if (offset >= c->len[window])
		return 0;
	if (len > c->len[window] - offset)
		len = c->len[window] - offset;
	memcpy(dst, (char *)c->win[window] + offset, len);
	return (int64_t)len;
}
int64_t window_read_payload(uint64_t call_id, unsigned window, uint64_t offset, void *dst, size_t len)
{
	return window_read(call_id, window, offset, dst, len);
}

uint64_t server_epoch(void) { return fake_epoch ? fake_epoch : fake_answer_count; }

#ifdef XINIM_FAKE_SYSCALLS /* at once: the tests know of no commit */
void out_do(uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	x_syscall6(number, a, b, c, d, e, 0);
}
void out_do_result(int64_t *result, uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	*result = x_syscall6(number, a, b, c, d, e, 0);
}
#endif

void *out_keep(const void *data, size_t bytes)
{
	static char kept[65536] __attribute__((aligned(16)));
	static size_t at;

	at = at + bytes + 16 > sizeof(kept) ? 0 : (at + 15) & ~(size_t)15;
	memcpy(kept + at, data, bytes);
	at += bytes;
	return kept + at - bytes;
}

int64_t window_write(uint64_t id, unsigned window, uint64_t offset, const void *src, size_t len)
{
	struct fake_call *c = fake_call_of(id);

	if (window >= X_MAX_WINDOWS || !c->win[window] || c->answers)
		return -X_ENOENT;
	if (offset >= c->len[window])
		return 0;
	if (len > c->len[window] - offset)
		len = c->len[window] - offset;
	memcpy((char *)c->win[window] + offset, src, len);
	return (int64_t)len;
}
int64_t window_string(uint64_t id, unsigned window, uint32_t window_len, char *dst, size_t size)
{
	int64_t n;

	if (!window_len)
		return -X_EFAULT;
	if (window_len >= size)
		return -X_ENAMETOOLONG;
	n = window_read(id, window, 0, dst, window_len);
	if (n < 0)
		return n;
	dst[n] = 0;
	return (int64_t)strlen(dst);
}

void timer_clear(struct server_timer *t)
{
	struct server_timer **link;

	for (link = &fake_timers; *link; link = &(*link)->next)
		if (*link == t) {
			*link = t->next;
			break;
		}
	t->deadline_ns = 0;
}
void timer_set(struct server_timer *t, uint64_t deadline_ns)
{
	timer_clear(t);
	t->deadline_ns = deadline_ns;
	t->next = fake_timers;
	fake_timers = t;
}
/* Lets time pass up to the next timer within `ns`; false: there is none. */
static inline bool fake_run_timer(uint64_t ns)
{
	struct server_timer *t, *first = NULL;

	for (t = fake_timers; t; t = t->next)
		if (!first || t->deadline_ns < first->deadline_ns)
			first = t;
	if (!first || first->deadline_ns > server_now_ns + ns)
		return false;
	if (first->deadline_ns > server_now_ns)
		server_now_ns = first->deadline_ns;
	timer_clear(first);
	first->fn(first->ctx);
	return true;
}

/* A client's call; windows are added by fake_window(). */
static inline struct fake_call *fake_call_new(struct x_in *in, uint64_t object, uint32_t op)
{
	static uint64_t next = 100;
	struct fake_call *c = &fake_calls[fake_call_count++];

	if (fake_call_count > FAKE_CALLS_MAX)
		abort();
	memset(c, 0, sizeof(*c));
	memset(in, 0, sizeof(*in));
	c->id = in->id = next++;
	in->kind = X_IN_CALL;
	in->object = object;
	in->account = 42;
	in->msg.op = op;
	return c;
}
static inline void fake_window(struct fake_call *c, struct x_in *in, const void *data, uint32_t len, uint32_t flags)
{
	c->win[in->win_count] = (void *)(uintptr_t)data;
	c->len[in->win_count] = len;
	in->win[in->win_count].len = len;
	in->win[in->win_count].flags = flags;
	in->win_count++;
}

/* sys.c of vfs and the like */
static uint64_t fake_mint_ids[FAKE_OUT_MAX];
static int64_t fake_mint_error;
int64_t sys_mint(uint64_t id, uint32_t flags, uint32_t ready, uint32_t status_flags);
int64_t sys_mint(uint64_t id, uint32_t flags, uint32_t ready, uint32_t status_flags)
{
	(void)flags, (void)ready, (void)status_flags;
	if (fake_mint_error)
		return fake_mint_error;
	fake_mint_ids[fake_mints % FAKE_OUT_MAX] = id;
	return 5000 + fake_mints++;
}
int64_t sys_memory(uint32_t bytes);
int64_t sys_memory(uint32_t bytes) { (void)bytes; return 1; }
void *sys_map(x_handle_t memory, uint32_t offset, uint32_t bytes);
void *sys_map(x_handle_t memory, uint32_t offset, uint32_t bytes) { (void)memory; (void)offset; return calloc(1, bytes); }
static __attribute__((unused)) unsigned fake_unmaps;
void sys_unmap_later(void *at, uint32_t bytes);
void sys_unmap_later(void *at, uint32_t bytes) { (void)bytes; fake_unmaps++; free(at); }

/* A pipe that the kernel carries: entries count at once, as does what the tests move. */
static __attribute__((unused)) struct x_flow_pipe fake_flow;
static __attribute__((unused)) struct x_flow_state fake_flow_state = { .stopped = 1 };
static __attribute__((unused)) bool fake_flow_busy; /* it does not stop at once */

int64_t sys_flow_pipe(const struct x_flow_pipe *pipe);
int64_t sys_flow_pipe(const struct x_flow_pipe *pipe) { fake_flow = *pipe; return 0; }
int64_t sys_flow_state(uint64_t object, struct x_flow_state *state);
int64_t sys_flow_state(uint64_t object, struct x_flow_state *state)
{
	*state = fake_flow_state;
	return object == fake_flow.reader ? 0 : -X_ENOENT;
}

struct x_out *out_flow(uint64_t object, uint32_t which, uint32_t mode, uint64_t tell, uint64_t timeout_ns)
{
	(void)tell, (void)timeout_ns;
	if (object != fake_flow.reader || which != X_FLOW_PIPE)
		abort();
	if (mode == X_FLOW_STOP)
		fake_flow_state.stopped |= !fake_flow_busy;
	else
		fake_flow_state = (struct x_flow_state){ 0 };
	return NULL;
}

int64_t sys_window_move(uint64_t from, uint64_t from_offset, uint64_t to, uint64_t to_offset, uint32_t bytes);
int64_t sys_window_move(uint64_t from, uint64_t from_offset, uint64_t to, uint64_t to_offset, uint32_t bytes)
{
	struct fake_call *f = fake_call_of(from);

	if (from_offset >= f->len[0])
		return 0;
	if (bytes > f->len[0] - from_offset)
		bytes = f->len[0] - (uint32_t)from_offset;
	return window_write(to, 0, to_offset, (char *)f->win[0] + from_offset, bytes);
}
uint64_t sys_handle_koid(x_handle_t h);
uint64_t sys_handle_koid(x_handle_t h) { return h; }
uint32_t sys_handle_refs(x_handle_t h);
uint32_t sys_handle_refs(x_handle_t h) { (void)h; return 2; }
int64_t sys_handle_dup(x_handle_t h);
int64_t sys_handle_dup(x_handle_t h) { return h; }
int64_t sys_handle_reopen(x_handle_t h);
int64_t sys_handle_reopen(x_handle_t h) { return fake_stale ? -X_EDEAD : (int64_t)h + 100000 * ++fake_reopens; }
int64_t sys_handle_flags(x_handle_t h);
int64_t sys_handle_flags(x_handle_t h) { (void)h; return 2; }
/* The object behind a handle that sys_mint gave. */
static inline uint64_t fake_object_of(x_handle_t h)
{
	return h >= 5000 && h < 5000 + fake_mints ? fake_mint_ids[(h - 5000) % FAKE_OUT_MAX] : 0;
}

#endif
