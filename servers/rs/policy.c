/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Restart policy.
 */
#include "servers/rs/policy.h"

static uint64_t backoff_ns(uint32_t streak)
{
	uint64_t delay = POLICY_DELAY_MIN_NS;

	if (streak <= 1)
		return 0;
	while (--streak > 1 && delay < POLICY_DELAY_MAX_NS)
		delay *= 2;
	return delay < POLICY_DELAY_MAX_NS ? delay : POLICY_DELAY_MAX_NS;
}

/* The ring is full of crashes younger than the window: this is one too many. */
static bool too_many(const struct policy *p, uint64_t now_ns)
{
	uint64_t oldest = p->crash_ns[p->crashes % POLICY_CRASHES];

	return p->crashes >= POLICY_CRASHES && now_ns - oldest <= POLICY_WINDOW_NS;
}

struct policy_decision policy_crash(struct policy *p, uint64_t now_ns, uint64_t uptime_ns, bool requested)
{
	struct policy_decision d = { POLICY_RESTART, 0 };

	if (requested)
		return d;
	if (too_many(p, now_ns))
		d.verdict = POLICY_GIVE_UP;
	p->crash_ns[p->crashes++ % POLICY_CRASHES] = now_ns;
	p->streak = uptime_ns >= POLICY_GOOD_RUN_NS ? 1 : p->streak + 1;
	d.delay_ns = backoff_ns(p->streak);
	return d;
}

bool policy_is_shaky(const struct policy *p, uint64_t now_ns)
{
	uint32_t back = POLICY_CRASHES / 2;

	return p->crashes >= back && now_ns - p->crash_ns[(p->crashes - back) % POLICY_CRASHES] <= POLICY_WINDOW_NS;
}

void policy_reset(struct policy *p)
{
	*p = (struct policy){ 0 };
}
