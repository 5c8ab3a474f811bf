/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop: commit and receive, dispatch, timers.
 *
 * The received batch and the place in it are lasting state, like all else: an
 * early commit between two items leaves the rest of the batch to be done.
 */
#include "lib/ipc/internal.h"

#define OUTBOX_HIGH (X_MAX_OUT / 2) /* commit early from here on */

static struct x_in batch[X_MAX_BATCH];
static uint32_t batch_count, batch_next;

uint32_t server_commit(struct x_in *in, uint32_t in_max, uint64_t deadline_ns)
{
	struct x_commit c = {
		.out = (uintptr_t)outbox, .out_count = outbox_count,
		.in = (uintptr_t)in, .in_max = in_max, .deadline_ns = deadline_ns,
	};
	int64_t n = x_commit_receive(server_port, &c);

	if (n == -X_EPROTO && c.out_error_at < outbox_count)
		server_die("outbox entry %u (kind %u) refused: error %d", c.out_error_at,
			   outbox[c.out_error_at].kind, c.out_error);
	if (n < 0)
		server_die("commit failed: error %d", (int)n);
	outbox_count = 0;
	server_now_ns = c.now_ns;
	return n;
}

static void commit_early(const struct server_ops *ops)
{
	if (outbox_count < OUTBOX_HIGH)
		return;
	if (ops->batch_end)
		ops->batch_end();
	server_commit(NULL, 0, 0);
}

static void receive_call(const struct server_ops *ops, const struct x_in *in)
{
	if (ops->call) {
		ops->call(in);
		return;
	}
	for (uint32_t i = 0; i < in->handle_count; i++)
		out_close(in->handles[i]);
	out_status(in->id, -X_ENOSYS);
}

static void receive_event(const struct server_ops *ops, const struct x_in *in)
{
	if (cookie_kind(in->id) == COOKIE_CONTROL)
		control_event(ops, in->msg.a[0]);
	else if (cookie_kind(in->id) == COOKIE_BOUND)
		bound_event(in);
}

static void dispatch(const struct server_ops *ops, const struct x_in *in)
{
	switch (in->kind) {
	case X_IN_CALL:
		receive_call(ops, in);
		break;
	case X_IN_REPLY:
		started_reply(in);
		break;
	case X_IN_EVENT:
		receive_event(ops, in);
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
	}
}

void server_run(const struct server_ops *ops)
{
	control_ready_by_default();
	for (;;) {
		if (ops->batch_end)
			ops->batch_end();
		batch_count = 0;
		batch_count = server_commit(batch, X_MAX_BATCH, timer_next_deadline());
		for (batch_next = 0; batch_next < batch_count; batch_next++) {
			dispatch(ops, &batch[batch_next]);
			commit_early(ops);
		}
		timer_run_due();
	}
}

void server_exit(void)
{
	server_commit(NULL, 0, 0);
	for (;;)
		x_proc_exit(0);
}
