/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chaos: a counter behind a port that fails in one way at one point of its life.
 *
 *   fault=exit|exception|hang|loop|kill|leak|burn|slow|garbage|murder|none
 *   at=start|idle|call|recovery|stop|always
 *
 * leak takes memory until there is none, burn takes CPU time and garbage answers nonsense from then on; slow
 * never answers a call, and takes its time elsewhere; murder has those die that it may use; the others end or
 * stop it at once. Each point is met once, but for `always`: in each life.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "lib/region/region.h"
#include "proto/rs.h"
#include "tests/native/mock/mock.h"

#define IDLE_NS 300000000ull
#define STEP_NS   2000000ull
#define SLOW_NS  40000000ull

static uint64_t counter;
static char fault[16], point[16];
static struct server_timer timer;
static uint64_t parked;                /* a call that slow left open */
static REGION_SCRATCH uint32_t deaths; /* of this process */
static REGION_SCRATCH bool burning;    /* in this life */

static bool is(const char *name)
{
	return !strcmp(fault, name);
}

static void burn(void *ctx)
{
	uint64_t until = (uint64_t)x_clock(X_CLOCK_MONOTONIC) + STEP_NS;

	(void)ctx;
	if (!burning)
		return;
	while ((uint64_t)x_clock(X_CLOCK_MONOTONIC) < until)
		;
	timer_set(&timer, server_now_ns + 1);
}

static void take_time(uint64_t ns)
{
	uint64_t until = (uint64_t)x_clock(X_CLOCK_MONOTONIC) + ns;

	while ((uint64_t)x_clock(X_CLOCK_MONOTONIC) < until)
		x_yield();
}

static volatile uint32_t *volatile unmapped = (uint32_t *)0x20;

static void fail(void)
{
	uint32_t word = 0;

	deaths++;
	if (is("exit"))
		x_proc_exit(3);
	if (is("kill"))
		x_proc_kill(X_SELF, -X_EIO);
	if (is("exception"))
		*unmapped = 0;
	while (is("hang"))
		x_futex_wait(&word, 0, X_FOREVER, ~0u);
	while (is("loop"))
		__asm__ volatile("pause");
	while (is("leak"))
		memset(server_memory_payload(1u << 16), 1, 1u << 16);
	if (is("garbage"))
		server_inject(RS_CONTROL_GARBAGE);
	if (is("slow"))
		take_time(SLOW_NS);
	if (!is("burn"))
		return;
	burning = true;
	timer.fn = burn;
	timer_set(&timer, server_now_ns + 1);
}

static bool at(const char *name)
{
	return !strcmp(point, name) || (!strcmp(point, "always") && !strcmp(name, "idle"));
}

/* In this life, and in one before the first death only, if not always. */
static bool first(void)
{
	return !strcmp(point, "always") || (boot->incarnation == 1 && deaths == 0);
}

/* Out of grief, if the other is not there any more. */
static void murdered(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	if (reply->msg.status)
		x_proc_exit(4);
}

/* Whom it may call dies of it. */
static void murder(void)
{
	for (uint32_t i = 0; i < boot->handle_count; i++)
		if (!strncmp(boot->handles[i].name, "c_", 2))
			out_start(boot->handles[i].handle, murdered, NULL, NULL)->msg.op = MOCK_DIE;
	timer_set(&timer, server_now_ns + IDLE_NS);
}

/* The first of the deaths that lead to recovery. */
static void die_first(void)
{
	if (is("slow")) {
		deaths++;
		x_proc_exit(3);
	}
}

static void idle(void *ctx)
{
	(void)ctx;
	if (is("murder")) {
		murder();
		return;
	}
	if (at("recovery") && first())
		die_first();
	if ((at("idle") || at("recovery")) && first())
		fail();
}

static void answer(uint64_t call_id)
{
	struct x_msg msg = { .a = { counter } };

	out_answer(call_id, &msg);
}

static bool state_check(void)
{
	burning = false;
	timer.fn = idle;
	if (parked)
		answer(parked);
	parked = 0;
	if (at("recovery") && deaths == 1)
		fail();
	return true;
}

static void call(const struct x_in *in)
{
	bool now = at("call") && first();

	if (in->msg.op == MOCK_DIE)
		x_proc_exit(4);
	if (in->msg.op != MOCK_ADD) {
		out_status(in->id, -X_ENOSYS);
		return;
	}
	counter++;
	if (now && is("slow")) {
		deaths++;
		parked = in->id;
		return;
	}
	if (now)
		fail();
	answer(in->id);
}

static void stop(void)
{
	if (at("stop") && first())
		fail();
	server_exit();
}

static const struct server_ops ops = { .call = call, .state_check = state_check, .stop = stop };

void server_main(void)
{
	strlcpy(fault, boot_option("fault"), sizeof(fault));
	strlcpy(point, boot_option("at"), sizeof(point));
	if ((at("start") && first()) || (at("recovery") && boot->incarnation == 2))
		fail();
	if (!burning) {
		timer.fn = idle;
		timer_set(&timer, server_now_ns + IDLE_NS);
	}
	server_run(&ops);
}
