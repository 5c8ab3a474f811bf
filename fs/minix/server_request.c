/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Requests: their table, and running them until they are answered.
 */
#include "fs/minix/server.h"
#include "lib/c/string.h"

static struct request requests[REQUESTS_MAX];
static struct server_timer soon;

static void nothing(void *ctx)
{
	(void)ctx;
}

/* A timer due at once ends the next receive. */
void request_again(void)
{
	soon.fn = nothing;
	timer_set(&soon, 1);
}

uint32_t now_sec(void)
{
	return x_clock(X_CLOCK_REALTIME) / 1000000000;
}

void who_is(struct request *r, uint64_t ids, uint64_t group_count)
{
	r->who.uid = ids;
	r->who.gid = ids >> 32;
	r->who.groups = r->groups;
	r->who.group_count = 0;
	r->who.time_sec = now_sec();
	if (group_count > GROUPS_MAX)
		group_count = GROUPS_MAX;
	if (group_count && r->in.win_count > 2 &&
	    window_read(r->in.id, 2, 0, r->groups, group_count * sizeof(uint32_t)) ==
		    (int64_t)(group_count * sizeof(uint32_t)))
		r->who.group_count = group_count;
}

struct request *request_new(const struct x_in *in, int64_t (*step)(struct request *r))
{
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = &requests[i];

		if (r->step)
			continue;
		memset(r, 0, offsetof(struct request, path));
		memset(&r->path_bytes, 0, sizeof(r->path_bytes));
		memset(&r->text_bytes, 0, sizeof(*r) - offsetof(struct request, text_bytes));
		r->in = *in;
		r->step = step;
		return r;
	}
	if (in->kind == X_IN_CALL)
		out_status(in->id, -X_EAGAIN);
	return NULL;
}

static void run(struct request *r)
{
	int64_t status = r->step(r);

	if (status == -X_EWAIT)
		return;
	if (status == -X_EAGAIN) {
		request_again();
		return;
	}
	if (!r->answered) {
		r->reply.status = status;
		out_answer(r->in.id, &r->reply);
	}
	r->step = NULL;
}

void request_start(struct request *r)
{
	run(r);
}

void request_run_waiting(void)
{
	static uint32_t first; /* whose turn it is: nobody waits for ever */

	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = &requests[(first + i) % REQUESTS_MAX];

		if (r->step)
			run(r);
	}
	first = (first + 1) % REQUESTS_MAX;
}

void request_cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
		struct request *r = &requests[i];

		if (!r->step || r->in.kind != X_IN_CALL || r->in.id != call_id)
			continue;
		if (r->ino && r->progress && r->in.msg.op == FS_OPEN)
			minix_release(volume, r->ino, 1);
		out_status(call_id, r->done ? (int64_t)r->done : -X_EINTR);
		r->step = NULL;
	}
}
