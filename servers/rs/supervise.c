/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What happens to a service in its life: start, ready, stop, death, restart.
 * One function per event; the states are drawn in service.h. Nothing here
 * waits: each wait is a state with a deadline.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "proto/rs.h"
#include "servers/rs/events.h"
#include "servers/rs/service.h"
#include "servers/rs/symbols.h"

static void ms_text(char *buf, size_t size, uint64_t ns)
{
	uint64_t us = ns / 1000;

	snprintf(buf, size, "%llu.%llu ms", (unsigned long long)(us / 1000),
		 (unsigned long long)(us % 1000 / 100));
}

/* --------------------------------------------------------------------- start */

static bool has_settled(const struct service *s)
{
	return s->is_rs || s->state == SERVICE_RUNNING || s->state == SERVICE_FAILED ||
	       (s->state == SERVICE_DEAD && !s->wanted);
}

static bool needs_met(const struct service *s)
{
	for (uint32_t i = 0; i < service_count; i++)
		if ((s->needs & 1ull << i) && !has_settled(&services[i]))
			return false;
	return true;
}

static bool graph_changed;

void service_graph_changed(void)
{
	graph_changed = true;
}

void service_start_eligible(void)
{
	while (graph_changed) {
		graph_changed = false;
		for (uint32_t i = 0; i < service_count && !shutting_down; i++) {
			struct service *s = &services[i < graph.count ? graph.order[i] : i];

			if (s->wanted && s->state == SERVICE_DEAD && needs_met(s))
				service_start(s);
		}
		init_check();
	}
}

void service_fail(struct service *s, const char *why)
{
	event_announce(s->name, "failed: %s", why);
	service_absent(s, why);
}

void service_absent(struct service *s, const char *why)
{
	s->wanted = false;
	spawn_unprepare(s);
	spawn_forget(s, "it is given up");
	service_set_state(s, SERVICE_FAILED, 0, "%s", why);
	if (shutting_down)
		poweroff_step();
}

void service_start(struct service *s)
{
	s->wanted = true;
	s->restarts = s->incarnation ? s->restarts + 1 : 0;
	service_set_state(s, SERVICE_STARTING, STARTUP_DEADLINE_NS, "%s", "");
	if (s->manifest->match[0] && s->device == X_NO_HANDLE)
		claim_device(s);
	else
		service_launch(s);
}

void service_launch(struct service *s)
{
	const char *wrong = spawn(s);

	if (wrong)
		service_fail(s, wrong);
}

/* --------------------------------------------------------------------- ready */

/* Drivers only: what is up there depends on them, and they are small. */
static uint64_t prepare_after(const struct service *s)
{
	return s->manifest->kind == KIND_DRIVER && s->manifest->restart ? PREPARE_AFTER_NS : 0;
}

static void ready_first(struct service *s)
{
	char took[24];

	ms_text(took, sizeof(took), s->ready_ns - s->started_ns);
	service_set_state(s, SERVICE_RUNNING, prepare_after(s), "%s", "");
	event_announce(s->name, "ready (%s)", took);
}

static void ready_again(struct service *s)
{
	const char *how = s->warm_ns ? "restarted warm" : "restarted";
	char took[24];

	outage_add(&s->outages, s->ready_ns - s->down_ns);
	ms_text(took, sizeof(took), s->ready_ns - s->down_ns);
	service_set_state(s, SERVICE_RUNNING, prepare_after(s), "after %s", took);
	event_announce(s->name, "%s after %s (%s), %s outage", how, cause_name(s->last_cause), s->last_text, took);
}

void service_on_event(void *service, uint64_t bits)
{
	struct service *s = service;

	if (bits & RS_EVENT_GAVE_UP_ITEM) {
		s->items_failed++;
		s->warm_streak = 0; /* the culprit is found; lib/ipc counts how many */
		event_announce(s->name, "failed an item on which it had died twice");
	}
	complaints_of(s, bits);
	if (bits & RS_EVENT_FAILED) {
		s->cannot_start = true;
		service_kill(s, CAUSE_EXIT);
		return;
	}
	if (!(bits & RS_EVENT_READY))
		return;
	s->ready_ns = x_clock(X_CLOCK_MONOTONIC);
	s->was_ready = s->has_served = true;
	if (s->state == SERVICE_STARTING)
		ready_first(s);
	else if (s->state == SERVICE_RECOVERING)
		ready_again(s);
}

/* ---------------------------------------------------------------- stop, kill */

/* An outage lasts from the first death to ready, however many tries it takes. */
static void mark_down(struct service *s, uint64_t since_ns)
{
	if (s->state != SERVICE_RECOVERING && s->state != SERVICE_CRASHED)
		s->down_ns = since_ns;
}

void service_stop(struct service *s, enum stop_goal goal)
{
	s->stop_goal = goal;
	if (s->process == X_NO_HANDLE) { /* claiming, or waiting for its restart */
		s->claiming = false;
		service_set_state(s, SERVICE_DEAD, 0, "stopped");
		s->wanted = goal == STOP_TO_RESTART;
		return;
	}
	s->kill_cause = CAUSE_REQUESTED;
	mark_down(s, x_clock(X_CLOCK_MONOTONIC));
	out_signal(s->control, RS_CONTROL_STOP);
	service_set_state(s, SERVICE_STOPPING,
			  s->manifest->kind == KIND_FS ? STOP_FILES_NS : STOP_DEADLINE_NS, "asked to stop");
}

void service_kill(struct service *s, enum cause cause)
{
	if (s->process == X_NO_HANDLE || s->state == SERVICE_STOPPING || s->state == SERVICE_CRASHED)
		return;
	s->kill_cause = cause;
	mark_down(s, x_clock(X_CLOCK_MONOTONIC));
	service_set_state(s, SERVICE_CRASHED, DEATH_DEADLINE_NS, "killed: %s", cause_name(cause));
	out_do(X_SYS_proc_kill, s->process, (uint64_t)-X_ECANCELED, 0, 0, 0);
}

/* --------------------------------------------------------------------- death */

static enum cause cause_of(const struct service *s, const struct x_proc_info *i)
{
	if (i->death == X_DEATH_EXCEPTION)
		return CAUSE_EXCEPTION;
	if (i->death == X_DEATH_MEMORY)
		return CAUSE_MEMORY;
	if (s->kill_cause != CAUSE_NONE)
		return s->kill_cause;
	if (i->death == X_DEATH_KILLED && i->status == -X_ETIMEDOUT) /* by the kernel: rs itself */
		return CAUSE_HANG;
	return i->death == X_DEATH_EXIT ? CAUSE_EXIT : CAUSE_KILLED;
}

static void describe_exception(struct service *s, const struct x_proc_info *i)
{
	char names[EVENT_TEXT];
	uint64_t bytes;
	const void *image = spawn_binary(s, &bytes);
	const char *name = image ? symbol_name(image, bytes, i->fault_rip) : NULL;

	snprintf(s->last_text, sizeof(s->last_text), "vector %u at 0x%llx, address 0x%llx%s%.40s", i->vector,
		 (unsigned long long)i->fault_rip, (unsigned long long)i->fault_address, name ? ", in " : "", name ? name : "");
	event_add(s->name, "backtrace %llx %llx %llx %llx %llx", (unsigned long long)i->backtrace[0],
		  (unsigned long long)i->backtrace[1], (unsigned long long)i->backtrace[2],
		  (unsigned long long)i->backtrace[3], (unsigned long long)i->backtrace[4]);
	if (image && symbols_of_backtrace(names, sizeof(names), image, bytes, i->backtrace, sizeof(i->backtrace) / sizeof(i->backtrace[0])))
		event_add(s->name, "%s", names);
}

void service_record_death(struct service *s, const struct x_proc_info *i)
{
	s->last_cause = cause_of(s, i);
	s->cause_count[s->last_cause]++;
	if (s->budget_text[0] && s->last_cause == s->kill_cause) {
		strlcpy(s->last_text, s->budget_text, sizeof(s->last_text));
		return;
	}
	switch (s->last_cause) {
	case CAUSE_EXCEPTION:
		describe_exception(s, i);
		break;
	case CAUSE_EXIT:
		snprintf(s->last_text, sizeof(s->last_text), "exit status %d", i->status);
		break;
	case CAUSE_HANG:
		strlcpy(s->last_text, "no progress within its deadline", sizeof(s->last_text));
		break;
	case CAUSE_TIMEOUT:
		strlcpy(s->last_text, "not ready in time", sizeof(s->last_text));
		break;
	case CAUSE_DMA:
		snprintf(s->last_text, sizeof(s->last_text), "its device reached for memory it was not granted");
		break;
	case CAUSE_REQUESTED:
		strlcpy(s->last_text, "by svc", sizeof(s->last_text));
		break;
	case CAUSE_DEPENDENCY:
		strlcpy(s->last_text, "it cannot go on without one that died", sizeof(s->last_text));
		break;
	default:
		snprintf(s->last_text, sizeof(s->last_text), "status %d", i->status);
	}
}

static void recover(struct service *s);

/* Whether a death is to be blamed on what the service was doing. */
static bool is_its_own(const struct service *s)
{
	return !s->injected && s->last_cause != CAUSE_REQUESTED && s->last_cause != CAUSE_KILLED &&
	       s->last_cause != CAUSE_DEPENDENCY;
}

/* NULL, or why a service that could be restarted warm is not. */
static const char *why_cold(struct service *s, const struct x_proc_info *i)
{
	if (s->last_cause == CAUSE_DEPENDENCY)
		return "what it remembers is of no use any more";
	if (shutting_down || s->cold)
		return "as asked for";
	if (!s->was_ready)
		return "it was not ready yet";
	if (s->cannot_start || (i->death == X_DEATH_EXIT && i->status == RS_EXIT_COLD))
		return "it says so itself";
	if (s->last_cause == CAUSE_TIMEOUT)
		return "it did not get on";
	if (s->warm_streak >= WARM_TRIES)
		return "too many deaths in a row";
	return NULL;
}

/* False: it has to be a cold start. */
static bool restart_warm(struct service *s, const struct x_proc_info *i)
{
	uint64_t now = x_clock(X_CLOCK_MONOTONIC);
	const char *cold = why_cold(s, i);
	bool blame = is_its_own(s);

	if (!s->manifest->warm_log_kib || i->state != X_PROC_HALTED)
		return false;
	if (cold) {
		event_announce(s->name, "cold restart: %s", cold);
		return false;
	}
	if (now - s->warm_ns > WARM_GOOD_RUN_NS)
		s->warm_streak = 0;
	s->warm_streak += blame;
	s->warm_ns = now;
	s->restarts++;
	s->warm_restarts++;
	service_set_state(s, SERVICE_RECOVERING, WARM_DEADLINE_NS, "warm, after %s: %s",
			  cause_name(s->last_cause), s->last_text);
	spawn_warm(s, blame && s->last_cause != CAUSE_GARBAGE); /* found by what has nothing to do with it */
	return true;
}

/* One that it needs or uses and that does no better, or NULL: perhaps the reason. */
static const struct service *fellow_sufferer(const struct service *s)
{
	uint64_t now = x_clock(X_CLOCK_MONOTONIC);

	for (uint32_t i = 0; i < graph.count; i++)
		if ((s->needs | s->uses) & 1ull << i && policy_is_shaky(&services[i].policy, now))
			return &services[i];
	return NULL;
}

static void give_up(struct service *s)
{
	const struct service *other = fellow_sufferer(s);
	char why[sizeof(s->why)];

	snprintf(why, sizeof(why), "more than %u crashes in %u s, last: %s (%.40s)%s%s%s", POLICY_CRASHES,
		 (unsigned)(POLICY_WINDOW_NS / 1000000000), cause_name(s->last_cause), s->last_text,
		 other ? "; " : "", other ? other->name : "", other ? ", which it uses, crashes too" : "");
	service_fail(s, why);
}

/* What the policy makes of a crash. done: it ended of itself, with status 0. */
static void decide(struct service *s, bool done)
{
	uint64_t now = x_clock(X_CLOCK_MONOTONIC);
	bool requested = s->last_cause == CAUSE_REQUESTED || s->last_cause == CAUSE_DEPENDENCY || s->injected;
	/* It may have died before it was heard that it is ready. */
	uint64_t uptime = s->ready_ns && s->down_ns > s->ready_ns ? s->down_ns - s->ready_ns : 0;
	struct policy_decision d = policy_crash(&s->policy, now, uptime, requested);
	char why[112];

	if (s->policy.streak >= KEEP_DEATHS && !requested)
		spawn_forget(s, "perhaps it keeps dying of them");
	if (!shutting_down && !s->manifest->restart && !requested && !done) {
		snprintf(why, sizeof(why), "not to be restarted after %s: %.60s", cause_name(s->last_cause), s->last_text);
		service_fail(s, why);
	} else if (shutting_down || (!s->manifest->restart && !requested)) {
		s->wanted = false;
		service_set_state(s, SERVICE_DEAD, 0, "%s: %s", cause_name(s->last_cause), s->last_text);
	} else if (s->cannot_start && !s->has_served) {
		service_fail(s, "it says that it cannot start (see `svc log -k`)");
	} else if (s->last_cause == CAUSE_TIMEOUT && s->policy.streak >= STARTUP_TRIES) {
		service_fail(s, "it does not become ready");
	} else if (d.verdict == POLICY_GIVE_UP) {
		give_up(s);
	} else if (d.delay_ns || s->cannot_start) {
		/* What could start before is short of memory, say: in a while it may not be. */
		uint64_t delay_ns = s->cannot_start && d.delay_ns < CANNOT_START_NS ? CANNOT_START_NS : d.delay_ns;

		service_set_state(s, SERVICE_CRASHED, delay_ns, "restart in %llu ms", (unsigned long long)(delay_ns / 1000000));
	} else {
		recover(s);
	}
}

static void recover(struct service *s)
{
	const char *wrong;

	s->restarts++;
	service_set_state(s, SERVICE_RECOVERING, STARTUP_DEADLINE_NS, "%s: %s", cause_name(s->last_cause),
			  s->last_text);
	wrong = spawn(s);
	if (!wrong)
		return;
	/* Most likely memory is short for a moment: a crash like others, but
	 * tried again later in any case. */
	s->last_cause = CAUSE_MEMORY;
	s->cause_count[CAUSE_MEMORY]++;
	s->injected = false;
	s->ready_ns = 0;
	strlcpy(s->last_text, wrong, sizeof(s->last_text));
	if (policy_crash(&s->policy, x_clock(X_CLOCK_MONOTONIC), 0, false).verdict == POLICY_GIVE_UP)
		service_fail(s, wrong);
	else
		service_set_state(s, SERVICE_CRASHED, 100000000, "%s", wrong);
}

static void stopped(struct service *s)
{
	s->last_cause = CAUSE_REQUESTED;
	if (s->stop_goal == STOP_TO_RESTART && !shutting_down) {
		init_on_death(s);
		recover(s);
		return;
	}
	s->wanted = false;
	spawn_unprepare(s);
	service_set_state(s, SERVICE_DEAD, 0, "stopped");
	init_on_death(s);
	if (shutting_down)
		poweroff_step();
}

void service_on_death(void *service, uint64_t bits)
{
	struct service *s = service;
	bool was_stopping = s->state == SERVICE_STOPPING;
	struct x_proc_info i = { .death_ns = server_now_ns };

	(void)bits;
	x_proc_info(s->process, &i);
	if (!was_stopping)
		mark_down(s, i.death_ns); /* unless it was killed: then it has been down since before */
	service_record_death(s, &i);
	if (!was_stopping && restart_warm(s, &i))
		return;
	spawn_reap(s);
	if (s->cold)
		spawn_forget(s, "as asked for");
	if (was_stopping) {
		stopped(s);
		return;
	}
	if (s->state != SERVICE_CRASHED)
		service_set_state(s, SERVICE_CRASHED, 0, "%s: %s", cause_name(s->last_cause), s->last_text);
	if (s->last_cause != CAUSE_REQUESTED && !s->cannot_start)
		event_announce(s->name, "crashed: %s, %s", cause_name(s->last_cause), s->last_text);
	init_on_death(s);
	decide(s, i.death == X_DEATH_EXIT && i.status == 0);
}

/* ----------------------------------------------------------------- deadlines */

static void stop_overdue(struct service *s)
{
	if (s->kill_cause == CAUSE_KILLED) {
		event_announce(s->name, "does not die; left as it is");
		service_fail(s, "its process does not die");
		return;
	}
	s->kill_cause = CAUSE_KILLED;
	service_set_state(s, SERVICE_STOPPING, DEATH_DEADLINE_NS, "did not stop in time: killed");
	out_do(X_SYS_proc_kill, s->process, (uint64_t)-X_ECANCELED, 0, 0, 0);
}

/* A filesystem that stops has as long as its disk needs to write out what there is. */
static bool gets_on(struct service *s)
{
	uint64_t seen = s->seen_delivered;
	struct x_port_info i;

	if (s->state != SERVICE_STOPPING || s->kill_cause == CAUSE_KILLED || s->manifest->kind != KIND_FS ||
	    server_now_ns - s->state_since_ns > STOP_FILES_MOST_NS || x_port_info(s->port, &i) < 0)
		return false;
	s->seen_delivered = i.delivered;
	return i.delivered - seen >= STOP_FILES_ITEMS;
}

/*
 * Only a service's own time judges it (RECOVERY.md 15). So its deadline is over when each of its parts was, and
 * it had a CPU in it if it wanted one: a machine that stands still costs it one part, and what came for rs
 * meanwhile, behind the timer, is looked at before the next.
 */
static bool time_is_over(struct service *s)
{
	if (gets_on(s)) {
		s->parts = 0;
		poweroff_goes_on();
	} else {
		s->parts += s->claiming || heartbeat_had_a_chance(s);
	}
	if (s->parts >= DEADLINE_PARTS)
		return true;
	timer_set(&s->deadline, server_now_ns + s->part_ns);
	return false;
}

void service_on_deadline(void *service)
{
	struct service *s = service;

	switch (s->state) {
	case SERVICE_STARTING:
		if (!time_is_over(s))
			break;
		if (s->claiming) {
			s->claiming = false;
			service_fail(s, "devmgr does not answer");
		} else {
			service_kill(s, CAUSE_TIMEOUT);
		}
		break;
	case SERVICE_RECOVERING:
		if (time_is_over(s))
			service_kill(s, CAUSE_TIMEOUT);
		break;
	case SERVICE_STOPPING:
		if (time_is_over(s))
			stop_overdue(s);
		break;
	case SERVICE_CRASHED:
		if (s->process == X_NO_HANDLE)
			recover(s);
		else
			service_fail(s, "its process does not die");
		break;
	case SERVICE_RUNNING:
		spawn_prepare(s);
		break;
	case SERVICE_DEAD:
	case SERVICE_FAILED:
		break;
	}
}
