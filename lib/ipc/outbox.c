/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The outbox: effects that take place together at the next commit.
 *
 * An entry handed out is the caller's to fill until the next out_*() call. An
 * outbox that is full is committed on the spot; the server's loop commits
 * early (between items) to make that rare, since it splits an iteration.
 *
 * It is no part of the region, so functions that store nowhere else have no hooks.
 */
#include "lib/c/error.h"
#include "lib/c/string.h"
#include "lib/ipc/internal.h"

REGION_SCRATCH struct x_out outbox[X_MAX_OUT];
REGION_SCRATCH uint32_t outbox_count;

REGION_SCRATCH bool outbox_starts;

#define KEEP_BYTES 16384u
static REGION_SCRATCH char kept[KEEP_BYTES] __attribute__((aligned(16)));
static REGION_SCRATCH size_t kept_bytes;

REGION_UNLOGGED static struct x_out *out_entry(uint32_t kind)
{
	struct x_out *o;

	if (outbox_count == X_MAX_OUT)
		outbox_spill();
	o = &outbox[outbox_count++];
	memset(o, 0, sizeof(*o));
	o->kind = kind;
	return o;
}

bool outbox_is_high(void)
{
	return outbox_count >= X_MAX_OUT / 2 || kept_bytes > KEEP_BYTES / 2;
}

void outbox_forget(void)
{
	outbox_count = 0;
	outbox_starts = false;
	kept_bytes = 0;
}

/* A region's iteration can't be split in the middle of an item. */
void outbox_spill(void)
{
	if (region_is_open())
		server_die("one item makes more than %u outbox entries", X_MAX_OUT);
	server_commit(NULL, 0, 0);
}

REGION_UNLOGGED void out_status(uint64_t call_id, int64_t status)
{
	struct x_out *o = out_answer_entry(call_id);

	o->msg.status = status;
}

void out_answer(uint64_t call_id, const struct x_msg *msg)
{
	struct x_out *o = out_answer_entry(call_id);

	o->msg = *msg;
}

REGION_UNLOGGED struct x_out *out_answer_entry(uint64_t call_id)
{
	struct x_out *o = out_entry(X_OUT_ANSWER);

	o->id = call_id;
	return o;
}

REGION_UNLOGGED void out_signal(x_handle_t event, uint64_t bits)
{
	struct x_out *o = out_entry(X_OUT_SIGNAL);

	o->target = event;
	o->value = bits;
}

void out_signal_past(x_handle_t event, uint64_t bits, const uint32_t *word, uint32_t old, uint32_t now)
{
	struct x_out *o = out_entry(X_OUT_SIGNAL);

	o->target = event;
	o->value = bits;
	o->addr = (uintptr_t)word;
	o->mask = old;
	o->pulse = now;
}

REGION_UNLOGGED struct x_out *out_flow(uint64_t object, uint32_t which, uint32_t mode, uint64_t tell, uint64_t timeout_ns)
{
	struct x_out *o = out_entry(X_OUT_FLOW);

	o->id = object;
	o->mask = which;
	o->flags = mode;
	o->value = timeout_ns;
	o->msg.a[6] = tell;
	return o;
}

REGION_UNLOGGED void out_close(x_handle_t h)
{
	struct x_out *o;

	if (h == X_NO_HANDLE)
		return;
	o = out_entry(X_OUT_CLOSE);
	o->target = h;
}

REGION_UNLOGGED void out_ready(uint64_t object, uint32_t mask, uint32_t levels, uint32_t pulse)
{
	struct x_out *o = out_entry(X_OUT_READY);

	o->id = object;
	o->mask = mask;
	o->value = levels;
	o->pulse = pulse;
}

REGION_UNLOGGED void out_store32(volatile uint32_t *addr, uint32_t value)
{
	struct x_out *o = out_entry(X_OUT_STORE32);

	o->addr = (uintptr_t)addr;
	o->value = value;
}

REGION_UNLOGGED void out_do(uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	out_do_result(NULL, number, a, b, c, d, e);
}

void out_do_result(int64_t *result, uint32_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e)
{
	struct x_out *o = out_entry(X_OUT_DO);

	o->id = number;
	o->addr = (uintptr_t)result;
	o->msg.a[0] = a;
	o->msg.a[1] = b;
	o->msg.a[2] = c;
	o->msg.a[3] = d;
	o->msg.a[4] = e;
}

/* Aligned for any structure. */
void *out_keep(const void *data, size_t bytes)
{
	void *copy = kept + kept_bytes;

	if (bytes > KEEP_BYTES - kept_bytes)
		server_die("more than %u bytes kept for one commit", KEEP_BYTES);
	memcpy(copy, data, bytes);
	kept_bytes = (kept_bytes + bytes + 15) & ~(size_t)15;
	return copy;
}

REGION_UNLOGGED void out_closure_ack(uint64_t object)
{
	struct x_out *o = out_entry(X_OUT_CLOSURE_ACK);

	o->id = object;
}

/* ------------------------------------------------------------- started calls */

#define STARTED_MAX 1024u

static struct started {
	reply_fn done;          /* NULL: free */
	void *ctx;
	uint32_t generation;
	x_handle_t target;
} started[STARTED_MAX];
static uint32_t started_hint;

static uint32_t started_allocate(void)
{
	for (uint32_t i = 0; i < STARTED_MAX; i++) {
		uint32_t index = (started_hint + i) % STARTED_MAX;

		if (!started[index].done) {
			started_hint = index + 1;
			return index;
		}
	}
	server_die("more than %u calls under way", STARTED_MAX);
}

static void ignore_reply(void *ctx, const struct x_in *in)
{
	(void)ctx;
	(void)in;
}

struct x_out *out_start(x_handle_t target, reply_fn done, void *ctx, uint64_t *cookie)
{
	uint32_t index = started_allocate();
	struct started *s = &started[index];
	struct x_out *o = out_entry(X_OUT_START);

	outbox_starts = true;
	s->done = done ? done : ignore_reply;
	s->ctx = ctx;
	s->generation++;
	s->target = target;
	o->target = target;
	o->id = cookie_make(COOKIE_STARTED, s->generation, index);
	if (cookie)
		*cookie = o->id;
	return o;
}

void out_cancel(uint64_t cookie)
{
	struct x_out *o = out_entry(X_OUT_CANCEL);

	o->id = cookie;
}

/* The slot is free before done() runs: it may start the next call. */
void started_reply(const struct x_in *in)
{
	uint32_t index = cookie_index(in->id);
	struct started *s = &started[index % STARTED_MAX];
	reply_fn done = s->done;

	if (index >= STARTED_MAX || !done || s->generation != cookie_generation(in->id)) {
		in_close_handles(in);
		return;
	}
	s->done = NULL;
	if (in->msg.status < 0 && !x_error_is_known(in->msg.status)) {
		static REGION_SCRATCH struct x_in nonsense;

		server_complain(s->target);
		nonsense = *in;
		nonsense.msg.status = -X_EIO;
		in = &nonsense;
	}
	done(s->ctx, in);
	in_close_handles(in); /* errors with handles, more of them than were asked for, ... */
}
