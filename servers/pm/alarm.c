/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ITIMER_REAL: one timer per process, SIGALRM at its end. It survives exec.
 */
#include "servers/pm/pm.h"

#define INTERVAL_MIN_NS 1000000ull /* a program cannot keep pm busy with less */

static void expired(void *ctx)
{
	struct proc *p = ctx;
	struct signal_info info = { .code = INFO_KERNEL };

	if (p->alarm_interval_ns)
		timer_set(&p->alarm, server_now_ns + p->alarm_interval_ns);
	signal_post(p, 0, SIGNAL_ALRM, &info);
}

static uint64_t remaining(const struct proc *p)
{
	uint64_t deadline = p->alarm.deadline_ns;

	if (deadline == 0)
		return 0;
	return deadline > server_now_ns ? deadline - server_now_ns : 1;
}

void alarm_call(struct proc *p, const struct x_in *in)
{
	struct x_msg msg = { .a = { remaining(p), p->alarm_interval_ns } };
	uint64_t first = in->msg.a[1], interval = in->msg.a[2];

	if (in->msg.a[0] == 1) {
		if (interval && interval < INTERVAL_MIN_NS)
			interval = INTERVAL_MIN_NS;
		p->alarm_interval_ns = interval;
		p->alarm.fn = expired;
		p->alarm.ctx = p;
		if (first == 0)
			timer_clear(&p->alarm);
		else if (first >= X_FOREVER / 2) /* centuries */
			timer_set(&p->alarm, X_FOREVER / 2);
		else
			timer_set(&p->alarm, server_now_ns + first);
	}
	out_answer(in->id, &msg);
}
