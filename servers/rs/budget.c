/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a service may take, by its manifest: CPU time, and time for an answer.
 * Looked at with the heartbeat. Only its own doing counts: time for which it ran,
 * calls that it has taken. (The kernel sees to the memory.)
 */
#include "lib/c/stdio.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"

#define CPU_WINDOW_NS 1000000000ull

static void overdrawn(struct service *s, enum cause cause)
{
	event_announce(s->name, "%s: killed", s->budget_text);
	service_kill(s, cause);
}

/* Over the budget in each of so many windows, one after the other. */
static bool cpu_is_over(struct service *s, const struct x_proc_info *i)
{
	uint64_t elapsed_ns = server_now_ns - s->cpu_window_ns, ran_ns = i->ran_ns - s->cpu_ran_ns;
	bool over = ran_ns > elapsed_ns / 100 * s->manifest->cpu_percent;

	if (!s->manifest->cpu_percent || elapsed_ns < CPU_WINDOW_NS)
		return false;
	s->cpu_over = over && s->cpu_window_ns ? s->cpu_over + 1 : 0;
	s->cpu_window_ns = server_now_ns;
	s->cpu_ran_ns = i->ran_ns;
	if (s->cpu_over < s->manifest->cpu_seconds)
		return false;
	snprintf(s->budget_text, sizeof(s->budget_text), "took more than %u %% of a CPU for %u s", s->manifest->cpu_percent,
		 s->manifest->cpu_seconds);
	s->cpu_over = 0;
	return true;
}

static bool call_is_too_old(struct service *s)
{
	uint64_t limit_ns = s->manifest->answer_ms * 1000000ull;
	struct x_port_info p;

	if (!limit_ns || x_port_info(s->port, &p) < 0 || !p.oldest_open_ns || server_now_ns < p.oldest_open_ns + limit_ns)
		return false;
	snprintf(s->budget_text, sizeof(s->budget_text), "has not answered a call for %u ms", s->manifest->answer_ms);
	return true;
}

void budget_look(struct service *s)
{
	struct x_proc_info i;

	if (!s->manifest->cpu_percent && !s->manifest->answer_ms)
		return;
	if (x_proc_info(s->process, &i) < 0)
		return;
	if (cpu_is_over(s, &i))
		overdrawn(s, CAUSE_CPU);
	else if (call_is_too_old(s))
		overdrawn(s, CAUSE_HANG);
}
