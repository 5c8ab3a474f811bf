/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mock: a transactional server that dies on request, for tests/qemu/test_warm.py.
 * Its state is a counter, a copy of it in another place, and a list on the heap.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "lib/region/region.h"
#include "tests/native/mock/mock.h"

#define SLOTS 64u

static struct state { uint64_t counter; bool sound; uint64_t ring[SLOTS]; } state = { .sound = true };
static struct state copy;           /* stored as a whole */
static uint64_t *heap;
static struct server_timer bad;
static REGION_SCRATCH uint64_t died_for; /* call id */

static void die(void)
{
	*(volatile uint32_t *)(uintptr_t)(state.counter * 0 + 0x18) = 1;
}

static void bad_timer(void *ctx)
{
	(void)ctx;
	state.counter += 1000;
	die();
}

static bool state_check(void)
{
	return state.sound && !memcmp(&state, &copy, sizeof(state)) && heap[0] == state.counter;
}

static void add(uint64_t n)
{
	state.counter += n;
	state.ring[state.counter % SLOTS] = state.counter;
	heap[0] = state.counter;
	copy = state;
}

/* Of a call to ourselves: no operation of ours. */
static void bad_reply(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	add(reply->msg.status == -X_EIO ? 10 : 1000);
	if (reply->msg.status != -X_EIO)
		die();
}

static void call(const struct x_in *in)
{
	struct x_msg msg = { 0 };

	switch (in->msg.op) {
	case MOCK_ADD:
		add(1);
		break;
	case MOCK_POISON:
		add(1000);
		die();
		break;
	case MOCK_BAD_TIMER:
		timer_set(&bad, server_now_ns + 1000000);
		break;
	case MOCK_BAD_REPLY:
		out_start(server_port, bad_reply, NULL, NULL)->msg.op = 0;
		break;
	case MOCK_SPOIL:
		state.sound = false;
		copy = state;
		break;
	case MOCK_DIE:
		if (died_for != in->id) {
			died_for = in->id;
			add(1000);
			die();
		}
		break;
	default:
		out_status(in->id, -X_ENOSYS);
		return;
	}
	msg.a[0] = state.counter;
	out_answer(in->id, &msg);
}

static const struct server_ops ops = { .call = call, .state_check = state_check };

void server_main(void)
{
	bad.fn = bad_timer;
	heap = server_memory(X_PAGE_SIZE);
	copy = state;
	server_run(&ops);
}
