/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * chaos: a counter behind a port that fails in one way at one point of its life.
 *
 *   fault=exit|exception|hang|loop|kill|leak|burn|slow|murder|none
 *   at=start|idle|call|recovery|stop|always
 *
 * leak takes memory and burn CPU time without end, slow never answers, murder has
 * those die that it may use; the others end or stop it at once. Each point is met once, but for `always`: in each life.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "lib/region/region.h"
#include "tests/native/mock/mock.h"

#define IDLE_NS 300000000ull
#define STEP_NS   2000000ull

static uint64_t counter;
static char fault[16], point[16];
static struct server_timer timer;
static REGION_SCRATCH uint32_t deaths; /* of this process */

static bool is(const char *name)
{
	return !strcmp(fault, name);
}

static void burn(void *ctx)
{
	uint64_t until = (uint64_t)x_clock(X_CLOCK_MONOTONIC) + STEP_NS;

	(void)ctx;
	while (is("burn") && (uint64_t)x_clock(X_CLOCK_MONOTONIC) < until)
		;
	if (is("leak"))
		memset(server_memory_payload(1u << 18), 1, 1u << 18);
	timer_set(&timer, server_now_ns + (is("leak") ? STEP_NS * 10 : 1));
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
	if (!is("leak") && !is("burn"))
		return;
	timer.fn = burn;
	burn(NULL);
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

static void idle(void *ctx)
{
	(void)ctx;
	if (is("murder")) {
		murder();
		return;
	}
	if ((at("idle") || at("recovery")) && first())
		fail();
}

static bool state_check(void)
{
	if (at("recovery") && deaths == 1)
		fail();
	return true;
}

static void call(const struct x_in *in)
{
	struct x_msg msg = { 0 };

	if (in->msg.op == MOCK_DIE)
		x_proc_exit(4);
	if (in->msg.op != MOCK_ADD) {
		out_status(in->id, -X_ENOSYS);
		return;
	}
	if (is("slow") && boot->incarnation == 1)
		return;
	msg.a[0] = ++counter;
	if (at("call") && first())
		fail();
	out_answer(in->id, &msg);
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
	timer.fn = idle;
	timer_set(&timer, server_now_ns + IDLE_NS);
	server_run(&ops);
}
