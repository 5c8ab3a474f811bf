/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports that nobody serves any more. Calls to a service that has failed for
 * good are answered with X_ENODEV, so that its clients can tell their users
 * instead of waiting for ever.
 */
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "servers/rs/service.h"

static REGION_SCRATCH struct x_in in[X_MAX_BATCH];
static REGION_SCRATCH struct x_out out[X_MAX_BATCH];

static int64_t exchange(struct service *s, uint32_t out_count)
{
	struct x_commit c = {
		.out = (uintptr_t)out, .out_count = out_count, .in = (uintptr_t)in, .in_max = X_MAX_BATCH,
	};

	return x_commit_receive(s->port, &c);
}

/* Returns the number of entries made. */
static uint32_t answer_all(uint32_t in_count)
{
	uint32_t n = 0;

	memset(out, 0, sizeof(out));
	for (uint32_t i = 0; i < in_count; i++) {
		for (uint32_t h = 0; h < in[i].handle_count; h++)
			x_handle_close(in[i].handles[h]);
		if (in[i].kind == X_IN_CALL) {
			out[n].kind = X_OUT_ANSWER;
			out[n].id = in[i].id;
			out[n++].msg.status = -X_ENODEV;
		} else if (in[i].kind == X_IN_CLOSURE) {
			out[n].kind = X_OUT_CLOSURE_ACK;
			out[n++].id = in[i].object;
		}
	}
	return n;
}

/* Bounded: what comes in meanwhile is met at the next look. */
void undertaker_bury(struct service *s)
{
	int64_t n = exchange(s, 0);

	if (n > 0)
		n = exchange(s, answer_all(n));
	if (n > 0) {
		struct x_commit c = { .out = (uintptr_t)out, .out_count = answer_all(n) };

		x_commit_receive(s->port, &c);
	}
}
