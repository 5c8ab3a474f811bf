/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of services and the setter of their states.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"

struct service services[SERVICE_MAX];
uint32_t service_count;

const char *service_state_name(enum service_state s)
{
	static const char *const names[] = {
		[SERVICE_DEAD] = "dead", [SERVICE_STARTING] = "starting", [SERVICE_RUNNING] = "running",
		[SERVICE_STOPPING] = "stopping", [SERVICE_CRASHED] = "crashed",
		[SERVICE_RECOVERING] = "recovering", [SERVICE_FAILED] = "failed",
	};

	return names[s];
}

const char *service_shown_state(const struct service *s)
{
	return s->state == SERVICE_FAILED && s->absent ? "absent" : service_state_name(s->state);
}

const char *cause_name(enum cause c)
{
	static const char *const names[CAUSE_COUNT] = {
		[CAUSE_NONE] = "none", [CAUSE_EXIT] = "exit", [CAUSE_EXCEPTION] = "exception",
		[CAUSE_MEMORY] = "memory", [CAUSE_HANG] = "hang", [CAUSE_TIMEOUT] = "start-up timeout",
		[CAUSE_KILLED] = "killed", [CAUSE_REQUESTED] = "requested",
		[CAUSE_DEPENDENCY] = "dependency", [CAUSE_DMA] = "forbidden DMA",
		[CAUSE_CPU] = "CPU time", [CAUSE_GARBAGE] = "garbage",
	};

	return names[c];
}

struct service *service_find(const char *name)
{
	for (uint32_t i = 0; i < service_count; i++)
		if (!strcmp(services[i].name, name))
			return &services[i];
	return NULL;
}

/* By how long it is in this state. */
static bool is_judged(enum service_state state)
{
	return state == SERVICE_STARTING || state == SERVICE_RECOVERING || state == SERVICE_STOPPING;
}

void service_set_state(struct service *s, enum service_state state, uint64_t deadline_ns, const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	vsnprintf(s->why, sizeof(s->why), why, ap);
	va_end(ap);
	event_add(s->name, "%s -> %s%s%s", service_state_name(s->state), service_state_name(state),
		  s->why[0] ? ": " : "", s->why);
	s->failed_recoveries += s->state == SERVICE_RECOVERING &&
		(state == SERVICE_RECOVERING || state == SERVICE_CRASHED || state == SERVICE_FAILED);
	s->state = state;
	s->state_since_ns = x_clock(X_CLOCK_MONOTONIC);
	s->part_ns = deadline_ns / DEADLINE_PARTS;
	s->parts = 0;
	if (deadline_ns)
		timer_set(&s->deadline, s->state_since_ns + (is_judged(state) ? s->part_ns : deadline_ns));
	else
		timer_clear(&s->deadline);
	service_graph_changed();
}

void service_init(struct service *s, const char *name, const struct manifest *m, uint32_t base,
		  uint32_t instance)
{
	memset(s, 0, sizeof(*s));
	strlcpy(s->name, name, sizeof(s->name));
	s->manifest = m;
	s->base = base;
	s->instance = instance;
	s->port = s->process = s->control = s->rs_event = s->device = s->keep = X_NO_HANDLE;
	s->spare.process = X_NO_HANDLE;
	s->deadline.fn = service_on_deadline;
	s->deadline.ctx = s;
}

struct service *service_add_instance(struct service *s, uint32_t instance)
{
	struct service *n = &services[service_count];
	char name[NAME_BYTES];
	int64_t port;

	if (service_count == SERVICE_MAX)
		return NULL;
	if (snprintf(name, sizeof(name), "%s.%u", s->manifest->name, instance) >= (int)sizeof(name))
		return NULL;
	port = x_port_create();
	if (port < 0)
		return NULL;
	service_init(n, name, s->manifest, s->base, instance);
	n->port = port;
	n->needs = s->needs;
	n->uses = s->uses;
	service_count++;
	return n;
}
