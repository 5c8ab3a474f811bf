/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rs as a service among the others. The kernel restarts it in place; it goes on
 * at its last commit and learns here that it had died, and of what. Services
 * notice nothing. There is no cold start for it: three deaths without a commit
 * between them are a kernel panic (RECOVERY.md 23).
 */
#include "servers/rs/events.h"
#include "servers/rs/service.h"

static struct service *self(void)
{
	for (uint32_t i = 0; i < service_count; i++)
		if (services[i].is_rs)
			return &services[i];
	server_die("rs is not in its own table");
}

void self_kill(enum cause cause)
{
	self()->kill_cause = cause;
	out_do(X_SYS_proc_kill, X_SELF, (uint64_t)-X_ECANCELED, 0, 0, 0);
}

static bool is_sound(const struct service *s)
{
	return s->manifest && s->state <= SERVICE_FAILED && s->deadline.fn == service_on_deadline && s->deadline.ctx == s;
}

bool self_restarted(void)
{
	struct service *s = self();
	struct x_proc_info i = { 0 };
	uint64_t outage_ns;

	for (uint32_t k = 0; k < service_count; k++)
		if (!is_sound(&services[k]))
			return false;
	x_proc_info(X_SELF, &i);
	service_record_death(s, &i);
	/* Who hangs has served nobody since the iteration began. */
	outage_ns = server_now_ns - (s->last_cause == CAUSE_HANG ? server_cut_ns() : i.death_ns);
	outage_add(&s->outages, outage_ns);
	s->kill_cause = CAUSE_NONE;
	s->restarts++;
	s->warm_restarts++;
	event_announce(s->name, "restarted warm after %s (%s), %llu us outage", cause_name(s->last_cause), s->last_text,
		       (unsigned long long)outage_ns / 1000);
	for (uint32_t k = 0; k < service_count; k++)
		spawn_distrust(&services[k]);
	return true;
}
