/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Hangs. One timer looks at all running services: how old is the iteration of
 * its event loop (kernel's account, costs the service nothing), and does it
 * answer a ping. Only a service's own time judges it (RECOVERY.md 15): the age
 * counts by successive looks, so that a machine that stood still between two
 * looks does not make everyone late; and only by those between which the service
 * had a CPU when it wanted one.
 *
 * The manifest's deadline is what a busy host needs, too. Where looks come in
 * time an iteration of one and a half periods is a hang already, so that one is
 * found within two periods; the later they come, the more patience. An alarm
 * that was false costs a warm restart: for a while there is no second one.
 */
#include "proto/rs.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"

#define MS 1000000ull
#define TICK_NS (HEARTBEAT_PERIOD_MS * MS / 2)
#define PUNCTUAL_NS     (2 * MS)        /* a look that is less late than this comes in time */
#define LATENESS_WEIGHT 8u              /* patience for looks that came late */
#define PATIENCE_NS     10000000000ull  /* after a hang that was not asked for */

static struct server_timer tick;
static uint64_t late_ns;                /* how late looks were of late: the worst, fading */

bool heartbeat_had_a_chance(struct service *s)
{
	uint64_t elapsed_ns = server_now_ns - s->last_asked_ns, ran_ns;
	struct x_proc_info i;

	if (x_proc_info(s->process, &i) < 0)
		return true;
	ran_ns = i.ran_ns - s->last_ran_ns;
	s->last_ran_ns = i.ran_ns;
	s->last_asked_ns = server_now_ns;
	s->little_ns += ran_ns;
	if (i.runnable == 0 || ran_ns > elapsed_ns / 4 || s->little_ns >= elapsed_ns) {
		s->little_ns = 0;
		return true;
	}
	if (s->ping_ns)
		s->ping_ns += elapsed_ns;
	return false;
}

/* In an iteration, and since the look before it neither ran nor was ready to: it waits,
 * and not at its port. No server has a reason to; so no deadline is needed. */
static bool waits_elsewhere(struct service *s)
{
	struct x_proc_info i;
	bool same;

	if (x_proc_info(s->process, &i) < 0)
		return false;
	same = i.ran_ns == s->seen_ran_ns;
	s->seen_ran_ns = i.ran_ns;
	return same && i.runnable == 0;
}

static uint64_t deadline_of(const struct service *s, uint64_t now)
{
	uint64_t full_ns = s->manifest->heartbeat_deadline_ms * MS;
	uint64_t quick_ns = s->manifest->heartbeat_period_ms * MS * 3 / 2 + LATENESS_WEIGHT * late_ns;

	return s->verifying || now < s->patient_ns || quick_ns > full_ns ? full_ns : quick_ns;
}

static bool iteration_too_old(struct service *s, uint64_t now)
{
	uint64_t period_ns = s->manifest->heartbeat_period_ms * MS / 2; /* of looks */
	uint64_t deadline_ns = deadline_of(s, now);
	uint64_t elapsed_ns = now - s->last_look_ns;
	struct x_port_info i;
	bool waits;

	if (elapsed_ns < period_ns)
		return false;
	s->last_look_ns = now;
	if (!heartbeat_had_a_chance(s) || x_port_info(s->port, &i) < 0)
		return false;
	waits = i.iteration_ns && waits_elsewhere(s);
	if (i.iteration_ns == 0 || i.iteration_ns != s->seen_iteration_ns) {
		s->seen_iteration_ns = i.iteration_ns;
		s->seen_looks = 0;
		return false;
	}
	s->seen_looks++;
	if (waits)
		return s->seen_looks >= 2;
	/* One look less than there were: the first came at any time within. */
	return now > i.iteration_ns && now - i.iteration_ns > deadline_ns &&
	       (s->seen_looks + 1) * (period_ns > TICK_NS ? period_ns : TICK_NS) >= deadline_ns;
}

static bool ping_overdue(struct service *s, uint64_t now)
{
	if (s->ping_ns)
		return now > s->ping_ns + PING_DEADLINE_NS;
	if (now - s->last_ping_ns < PING_PERIOD_NS)
		return false;
	s->ping_ns = s->last_ping_ns = now;
	service_probe(s);
	return false;
}

/* Since when nobody was served: the outage begins there, not with the kill. */
static void hung(struct service *s, uint64_t since)
{
	event_announce(s->name, "hangs: killed");
	if (!s->injected)
		s->patient_ns = server_now_ns + PATIENCE_NS;
	service_kill(s, CAUSE_HANG);
	if (s->state == SERVICE_CRASHED)
		s->down_ns = since;
}

/* As after a stop of the machine: a ping is given its full time again. */
static void forgive(uint64_t late_ns)
{
	for (uint32_t i = 0; i < service_count; i++)
		if (services[i].ping_ns)
			services[i].ping_ns += late_ns;
}

static void look(void *ctx)
{
	static uint64_t expected_ns;
	uint64_t now = server_now_ns;

	(void)ctx;
	late_ns -= late_ns / 16;
	if (expected_ns && now > expected_ns + PUNCTUAL_NS && now > expected_ns + late_ns)
		late_ns = now - expected_ns;
	if (expected_ns && now > expected_ns + 2 * TICK_NS)
		forgive(now - expected_ns);
	for (uint32_t i = 0; i < service_count; i++) {
		struct service *s = &services[i];

		if (s->state == SERVICE_FAILED || service_is_spare(s))
			undertaker_bury(s);
		if (s->state != SERVICE_RUNNING || !(s->is_rs || s->manifest->heartbeat_period_ms))
			continue;
		if (s->is_rs) /* its hangs are the kernel's to find */
			ping_overdue(s, now);
		else if (iteration_too_old(s, now))
			hung(s, s->seen_iteration_ns);
		else if (ping_overdue(s, now))
			hung(s, s->ping_ns);
		else
			budget_look(s);
	}
	expected_ns = now + TICK_NS;
	timer_set(&tick, expected_ns);
}

void heartbeat_start(void)
{
	tick.fn = look;
	timer_set(&tick, server_now_ns + TICK_NS);
}
