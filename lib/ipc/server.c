/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: commit and receive, dispatch, timers.
 *
 * The received batch and the place in it are lasting state, like all else: an
 * early commit between two items leaves the rest of the batch to be done.
 */
#include "lib/ipc/internal.h"
#include "proto/rs.h"

static REGION_SCRATCH struct x_in batch[X_MAX_BATCH]; /* filled by the kernel only */
static uint32_t batch_count, batch_next;
static const struct server_ops *ops;
REGION_SCRATCH uint64_t server_delay_ns;

REGION_UNLOGGED uint32_t server_commit(struct x_in *in, uint32_t in_max, uint64_t deadline_ns)
{
	struct x_commit c = { .out = (uintptr_t)outbox, .in = (uintptr_t)in, .in_max = in_max, .deadline_ns = deadline_ns };
	int64_t n;

	if (outbox_garbage)
		outbox_spoil();
	c.out_count = outbox_count;
	warm_before_commit();
	n = x_commit_receive(server_port, &c);
	if (n == -X_EPROTO && c.out_error_at < outbox_count)
		server_die("outbox entry %u (kind %u) refused: error %d", c.out_error_at,
			   outbox[c.out_error_at].kind, c.out_error);
	if (n < 0)
		server_die("commit failed: error %d", (int)n);
	warm_after_commit(c.epoch);
	outbox_forget();
	server_now_ns = c.now_ns;
	return n;
}

static void end_batch(void)
{
	if (ops->batch_end && !warm_begin(WARM_BATCH_END, 0, 0))
		ops->batch_end();
}

static void commit_early(void)
{
	if (!outbox_is_high() && !warm_log_is_half_full())
		return;
	end_batch();
	server_commit(NULL, 0, 0);
}

static bool is_probe(const struct x_in *in)
{
	return in->kind == X_IN_CALL && in->object == 0 && in->msg.op == RS_PROBE;
}

static void answer_probe(const struct x_in *in)
{
	struct x_msg msg = { .a = { ~in->msg.a[0] } };

	in_close_handles(in);
	out_answer(in->id, &msg);
}

static void receive_call(const struct x_in *in)
{
	if (is_probe(in)) {
		answer_probe(in);
		return;
	}
	if (ops->call) {
		ops->call(in);
		return;
	}
	in_close_handles(in);
	out_status(in->id, -X_ENOSYS);
}

static void receive_event(const struct x_in *in)
{
	if (cookie_kind(in->id) == COOKIE_CONTROL)
		control_event(ops, in->msg.a[0]);
	else if (cookie_kind(in->id) == COOKIE_BOUND)
		bound_event(in);
}

static void dispatch(const struct x_in *in)
{
	switch (in->kind) {
	case X_IN_CALL:
		receive_call(in);
		break;
	case X_IN_REPLY:
		started_reply(in);
		break;
	case X_IN_EVENT:
		receive_event(in);
		break;
	case X_IN_CLOSURE:
		if (ops->closure)
			ops->closure(in->object, in->msg.a[0]);
		out_closure_ack(in->object);
		break;
	case X_IN_CANCEL:
		if (ops->cancel)
			ops->cancel(in->id);
		break;
	case X_IN_PAGE:
		if (ops->page)
			ops->page(in);
		break;
	case X_IN_FLOW:
		if (ops->flow)
			ops->flow(in->object, in->msg.op, (const struct x_flow_state *)in->msg.a);
		break;
	}
}

/* An item that has killed us twice (warm.c): an error for its sender, or nothing. */
static void fail_item(const struct x_in *in)
{
	static REGION_SCRATCH struct x_in failed;

	if (in->kind == X_IN_REPLY) {
		failed = *in;
		failed.msg = (struct x_msg){ .status = -X_EIO };
		started_reply(&failed);
		return;
	}
	if (is_probe(in)) {
		answer_probe(in);
		return;
	}
	in_close_handles(in);
	if (in->kind == X_IN_CALL)
		out_status(in->id, -X_EIO);
	else if (in->kind == X_IN_CLOSURE)
		out_closure_ack(in->object);
}

static void delay(void)
{
	uint64_t until = (uint64_t)x_clock(X_CLOCK_MONOTONIC) + server_delay_ns;

	while (server_delay_ns && (uint64_t)x_clock(X_CLOCK_MONOTONIC) < until)
		x_yield();
}

/* A place in the batch is lasting state: an early commit leaves the rest to be done. */
static void finish_batch(void)
{
	while (batch_next < batch_count) {
		const struct x_in *in = &batch[batch_next++];

		if (server_delay_ns)
			delay();
		if (warm_begin(in->kind, in->kind == X_IN_PAGE ? in->msg.a[0] : in->id, in->object))
			fail_item(in);
		else
			dispatch(in);
		commit_early();
	}
}

void server_loop(void)
{
	uint32_t n;

	for (;;) {
		finish_batch();
		timer_run_due();
		end_batch();
		batch_count = batch_next = 0;
		n = server_commit(batch, warm_batch_max(), timer_next_deadline());
		batch_count = n; /* the first store of the new iteration */
	}
}

void server_run(const struct server_ops *operations)
{
	ops = operations;
	batch_count = batch_next = 0;
	control_ready_by_default();
	server_loop();
}

bool server_state_check(void)
{
	return !ops->state_check || ops->state_check();
}

void server_exit(void)
{
	server_commit(NULL, 0, 0);
	for (;;)
		x_proc_exit(0);
}
