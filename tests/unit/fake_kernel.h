/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For unit tests of drivers and of their clients: memory objects, events and
 * handles as a process of its own would see them, and lib/ipc with an outbox
 * that takes effect when the test says so (fake_commit). A device's address of
 * a byte is its address in the test. Included once, by the test, which is
 * compiled with `-DXINIM_FAKE_SYSCALLS`.
 */
#ifndef TESTS_UNIT_FAKE_KERNEL_H
#define TESTS_UNIT_FAKE_KERNEL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/ipc/server.h"

#define FAKE_HANDLES 4096
#define FAKE_OUTS    1024

struct fake_object {
	enum x_object_type type;
	uint8_t *memory;
	uint64_t bytes;
	uint64_t bits;           /* event: signalled and not yet delivered; object: readiness */
	event_fn fn;             /* bound */
	void *ctx;
	int handles;
};

static struct fake_object *fake_handle[FAKE_HANDLES]; /* by handle */
static struct fake_object fake_objects[FAKE_HANDLES];
static uint32_t fake_handle_next = 100, fake_object_next;
static struct x_out fake_outs[FAKE_OUTS];
static uint32_t fake_out_count;
static struct { reply_fn done; void *ctx; } fake_started[FAKE_OUTS];
static uint32_t fake_started_count;
static void (*fake_on_answer)(const struct x_out *answer);   /* the test's */
static void (*fake_on_start)(const struct x_out *start, reply_fn done, void *ctx);
static const struct server_ops *fake_ops;
static jmp_buf fake_run_jump, fake_die_jump;
static bool fake_may_die;
static struct server_timer *fake_timers;
static char fake_window[X_MAX_WINDOWS][8192];
/* A test with a device of its own: where memory comes from that it can reach, and what is asked of it. */
static void *(*fake_memory)(uint64_t bytes);
static int64_t (*fake_device)(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d);

static const struct x_boot_page fake_boot = { .name = "test" };
const struct x_boot_page *boot = &fake_boot;
x_handle_t server_port = 7;
uint64_t server_now_ns = 1000000;

static inline x_handle_t fake_give(struct fake_object *o)
{
	if (fake_handle_next == FAKE_HANDLES || fake_object_next >= FAKE_HANDLES)
		abort();
	o->handles++;
	fake_handle[fake_handle_next] = o;
	return fake_handle_next++;
}

static inline struct fake_object *fake_new(enum x_object_type type)
{
	struct fake_object *o = &fake_objects[fake_object_next++ % FAKE_HANDLES];

	*o = (struct fake_object){ .type = type };
	return o;
}

static inline int64_t fake_mem_create(const struct x_mem_create *c)
{
	struct fake_object *o = fake_new(X_TYPE_MEMORY);

	o->bytes = (c->bytes + 4095) & ~4095ull;
	o->memory = fake_memory ? fake_memory(o->bytes) : aligned_alloc(4096, o->bytes);
	memset(o->memory, 0, o->bytes);
	return fake_give(o);
}

static inline int64_t fake_mem_map(const struct x_mem_map *m)
{
	struct fake_object *o = fake_handle[m->memory];

	return o && o->type == X_TYPE_MEMORY && m->len <= o->bytes ? (int64_t)(uintptr_t)o->memory : -X_EINVAL;
}

static inline int64_t fake_dma_map(struct x_dma_map *m)
{
	struct fake_object *o = fake_handle[m->memory];
	struct x_dma_segment *s = (void *)(uintptr_t)m->segments;

	if (!o || o->type != X_TYPE_MEMORY || m->offset + m->len > o->bytes)
		return -X_EINVAL;
	s[0] = (struct x_dma_segment){ (uintptr_t)o->memory, m->len };
	m->segment_count = 1;
	return 0;
}

static inline void fake_close(x_handle_t h)
{
	if (h < FAKE_HANDLES && fake_handle[h]) {
		fake_handle[h]->handles--;
		fake_handle[h] = NULL;
	}
}

static void (*fake_on_yield)(void);
static uint64_t fake_minted; /* the last object's id */

int64_t x_syscall6(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	(void)e;
	(void)f;
	if (fake_device && (n == X_SYS_device_map || n == X_SYS_device_config || n == X_SYS_device_irq ||
			    n == X_SYS_device_ctl))
		return fake_device(n, a, b, c, d);
	switch (n) {
	case X_SYS_mem_create: return fake_mem_create((void *)a);
	case X_SYS_mem_map: return fake_mem_map((void *)a);
	case X_SYS_mem_unmap: return 0;
	case X_SYS_dma_map: return fake_dma_map((void *)a);
	case X_SYS_event_create: return fake_give(fake_new(X_TYPE_EVENT));
	case X_SYS_event_signal: fake_handle[a]->bits |= b; return 0;
	case X_SYS_handle_dup: return fake_handle[a] ? (int64_t)fake_give(fake_handle[a]) : -X_EBADF;
	case X_SYS_handle_close: fake_close(a); return 0;
	case X_SYS_mint:
		fake_minted = b;
		return fake_give(fake_new(X_TYPE_OBJECT));
	case X_SYS_clock: return server_now_ns;
	case X_SYS_yield: /* others wait for the CPU, unless the test goes on there */
		if (!fake_on_yield)
			return 1;
		fake_on_yield();
		return 0;
	case X_SYS_device_ctl: return b == X_DEV_VECTORS;
	case X_SYS_device_irq: return 0;
	case X_SYS_window_lend: return 0;
	case X_SYS_dma_window: return -X_ENOSPC;
	}
	fprintf(stderr, "system call %d is not faked\n", (int)n);
	abort();
}

/* ---- lib/ipc ---- */
x_handle_t boot_handle(const char *name) { return strcmp(name, "device") ? X_NO_HANDLE : 50; }
const char *boot_option(const char *key) { (void)key; return NULL; }
void server_ready(void) {}
void server_defer_ready(void) {}
void server_run(const struct server_ops *ops) { fake_ops = ops; longjmp(fake_run_jump, 1); }
void server_die(const char *fmt, ...)
{
	va_list ap;

	if (fake_may_die)
		longjmp(fake_die_jump, 1);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	abort();
}
void server_exit(void) { abort(); }
static uint64_t fake_epoch;
static bool fake_careful;
uint64_t server_epoch(void) { return fake_epoch; }
bool server_careful(void) { return fake_careful; }

static uint32_t fake_complaints;
void server_spoil(void *entry, size_t bytes) { (void)entry, (void)bytes; }
void server_complain(x_handle_t peer) { fake_complaints += peer != X_NO_HANDLE; }
void server_log(const char *fmt, ...)
{
	va_list ap;

	if (!getenv("VERBOSE"))
		return;
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static inline struct x_out *fake_out(uint32_t kind)
{
	struct x_out *o = &fake_outs[fake_out_count++];

	if (fake_out_count > FAKE_OUTS)
		abort();
	*o = (struct x_out){ .kind = kind };
	return o;
}
struct x_out *out_answer_entry(uint64_t id) { struct x_out *o = fake_out(X_OUT_ANSWER); o->id = id; return o; }
void out_answer(uint64_t id, const struct x_msg *msg) { out_answer_entry(id)->msg = *msg; }
void out_status(uint64_t id, int64_t status) { out_answer_entry(id)->msg.status = status; }
void out_signal(x_handle_t h, uint64_t bits) { struct x_out *o = fake_out(X_OUT_SIGNAL); o->target = h; o->value = bits; }
void out_signal_past(x_handle_t h, uint64_t bits, const uint32_t *word, uint32_t old, uint32_t now)
{
	struct x_out *o = fake_out(X_OUT_SIGNAL);

	o->target = h;
	o->value = bits;
	o->addr = (uintptr_t)word;
	o->mask = old;
	o->pulse = now;
}
/* As the kernel decides it. */
static bool fake_signal_wanted(const struct x_out *o)
{
	return !o->addr || o->pulse - *(const uint32_t *)(uintptr_t)o->addr - 1 < o->pulse - o->mask;
}
void out_do(uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	x_syscall6(number, a, b, c, d, e, 0);
}
void out_do_result(int64_t *result, uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	*result = x_syscall6(number, a, b, c, d, e, 0);
}
void out_close(x_handle_t h) { if (h != X_NO_HANDLE) fake_out(X_OUT_CLOSE)->target = h; }
void out_ready(uint64_t object, uint32_t mask, uint32_t levels, uint32_t pulse)
{
	struct x_out *o = fake_out(X_OUT_READY);

	(void)mask;
	(void)pulse;
	o->id = object;
	o->value = levels;
}
void out_store32(volatile uint32_t *addr, uint32_t value)
{ struct x_out *o = fake_out(X_OUT_STORE32); o->addr = (uintptr_t)addr; o->value = value; }
void out_closure_ack(uint64_t object) { fake_out(X_OUT_CLOSURE_ACK)->id = object; }
struct x_out *out_start(x_handle_t target, reply_fn done, void *ctx, uint64_t *cookie)
{
	struct x_out *o = fake_out(X_OUT_START);

	(void)cookie;
	o->target = target;
	o->id = fake_started_count;
	fake_started[fake_started_count].done = done;
	fake_started[fake_started_count++].ctx = ctx;
	return o;
}
int server_bind(x_handle_t h, event_fn fn, void *ctx)
{
	fake_handle[h]->fn = fn;
	fake_handle[h]->ctx = ctx;
	return 0;
}
void server_unbind(x_handle_t h) { if (fake_handle[h]) fake_handle[h]->fn = NULL; }
int64_t window_string(uint64_t id, unsigned w, uint32_t len, char *dst, size_t size)
{
	(void)id;
	if (len >= size)
		return -X_ENAMETOOLONG;
	memcpy(dst, fake_window[w], len);
	dst[len] = 0;
	return len;
}
int64_t window_read(uint64_t id, unsigned w, uint64_t offset, void *dst, size_t len)
{
	(void)id;
	if (offset + len > sizeof(fake_window[w]))
		abort();
	memcpy(dst, fake_window[w] + offset, len);
	return len;
}
int64_t window_write(uint64_t id, unsigned w, uint64_t offset, const void *src, size_t len)
{
	(void)id;
	if (offset + len > sizeof(fake_window[w]))
		abort();
	memcpy(fake_window[w] + offset, src, len);
	return len;
}
void timer_clear(struct server_timer *t)
{
	for (struct server_timer **at = &fake_timers; *at; at = &(*at)->next)
		if (*at == t) {
			*at = t->next;
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

/* Run the timers that are due. */
static inline void fake_run_timers(void)
{
	struct server_timer *due[64];
	unsigned count = 0;

	for (struct server_timer *t = fake_timers; t; t = t->next)
		if (t->deadline_ns <= server_now_ns)
			due[count++] = t;
	for (unsigned i = 0; i < count; i++) {
		timer_clear(due[i]);
		due[i]->fn(due[i]->ctx);
	}
}

/* The outbox takes effect, in order. */
static inline void fake_commit(void)
{
	for (uint32_t i = 0; i < fake_out_count; i++) {
		struct x_out *o = &fake_outs[i];

		if (o->kind == X_OUT_ANSWER && fake_on_answer)
			fake_on_answer(o);
		else if (o->kind == X_OUT_START && fake_on_start)
			fake_on_start(o, fake_started[o->id].done, fake_started[o->id].ctx);
		else if (o->kind == X_OUT_SIGNAL && fake_handle[o->target] && fake_signal_wanted(o))
			fake_handle[o->target]->bits |= o->value;
		else if (o->kind == X_OUT_CLOSE)
			fake_close(o->target);
		else if (o->kind == X_OUT_STORE32)
			*(uint32_t *)(uintptr_t)o->addr = o->value;
	}
	fake_out_count = fake_started_count = 0;
}

/* Deliver what is signalled on bound objects; number of deliveries. */
static inline unsigned fake_deliver(void)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < fake_object_next; i++) {
		struct fake_object *o = &fake_objects[i];
		uint64_t bits = o->bits;

		if (!bits || !o->fn)
			continue;
		o->bits = 0;
		o->fn(o->ctx, bits);
		count++;
	}
	return count;
}

#endif
