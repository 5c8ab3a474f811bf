/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mockcli: additions for five seconds, each answered with one more than the one before,
 * while the test has mock die; then the steps of the ladder. One call at a time.
 */
#include "lib/ipc/server.h"
#include "tests/native/mock/mock.h"

#define ADDING_NS 5000000000ull
#define DISARM_NS 3000000000ull /* for the test to take back its last order to die */

static const struct step { uint32_t op; int32_t status; int64_t counter; const char *name; } steps[] = {
	{ MOCK_DIE, 0, 0, "death once: tried again" },
	{ MOCK_ADD, 0, 1, "nothing of it was lost or done twice" },
	{ MOCK_POISON, -X_EIO, 0, "death twice: the call fails" },
	{ MOCK_ADD, 0, 1, "what it did is undone" },
	{ MOCK_BAD_TIMER, 0, 0, "a timer that kills" },
	{ 0, 0, 1, "is given up" },
	{ MOCK_BAD_REPLY, 0, 0, "a reply that kills" },
	{ 0, 0, 11, "becomes an error" },
	{ MOCK_SPOIL, 0, 0, "an unsound state" },
	{ MOCK_POISON, -X_EDEAD, 0, "is not gone on with: the open call dies with it" },
	{ MOCK_ADD, 0, -1, "and the counter begins anew" },
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

static uint64_t begin_ns, expected, additions;
static bool added;
static uint32_t step;
static struct server_timer pause;

static void next(void);

static void answered(void *ctx, const struct x_in *reply)
{
	const struct step *s = &steps[step];

	(void)ctx;
	if (!added) {
		if (reply->msg.status || reply->msg.a[0] != expected + 1)
			server_die("addition %llu: status %d, counter %llu", (unsigned long long)additions,
				   reply->msg.status, (unsigned long long)reply->msg.a[0]);
		expected++;
		additions++;
		if (!begin_ns)
			begin_ns = server_now_ns;
		added = server_now_ns > begin_ns + ADDING_NS;
		if (!added) {
			next();
			return;
		}
		server_log("%llu additions", (unsigned long long)additions);
		timer_set(&pause, server_now_ns + DISARM_NS);
		return;
	}
	expected = s->counter < 0 ? 1 : expected + s->counter;
	server_log("%s: %s", reply->msg.status == s->status && (s->status || reply->msg.a[0] == expected) ? "ok" : "WRONG",
		   s->name);
	step++;
	timer_set(&pause, server_now_ns + 1200000000); /* a good run */
}

static void go_on(void *ctx)
{
	(void)ctx;
	if (step == STEPS)
		server_log("done");
	else
		next();
}

static void next(void)
{
	struct x_out *o = out_start(boot_handle("mock"), answered, NULL, NULL);

	o->msg.op = !added || !steps[step].op ? MOCK_ADD : steps[step].op;
}

static const struct server_ops ops = { 0 };

void server_main(void)
{
	pause.fn = go_on;
	next();
	server_run(&ops);
}
