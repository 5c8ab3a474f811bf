/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One-shot timers, in a list by deadline. The kernel knows only the first
 * deadline: it is how long the receive waits.
 */
#include "lib/ipc/internal.h"

static struct server_timer *waiting; /* by deadline */
static struct server_timer *due;     /* taken off `waiting`, about to run */

static bool list_take(struct server_timer **list, struct server_timer *t)
{
	for (; *list; list = &(*list)->next) {
		if (*list != t)
			continue;
		*list = t->next;
		t->next = NULL;
		return true;
	}
	return false;
}

void timer_clear(struct server_timer *t)
{
	if (!t->deadline_ns)
		return;
	if (!list_take(&waiting, t))
		list_take(&due, t);
	t->deadline_ns = 0;
}

void timer_set(struct server_timer *t, uint64_t deadline_ns)
{
	struct server_timer **at = &waiting;

	timer_clear(t);
	t->deadline_ns = deadline_ns ? deadline_ns : 1;
	while (*at && (*at)->deadline_ns <= t->deadline_ns)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
}

uint64_t timer_next_deadline(void)
{
	return waiting ? waiting->deadline_ns : X_FOREVER;
}

/* Timers set by those that run now wait for the next iteration, even if they
 * are due already: an iteration is bounded. */
void timer_run_due(void)
{
	struct server_timer **end = &waiting, *rest;

	if (!waiting || waiting->deadline_ns > server_now_ns)
		return;
	while (*end && (*end)->deadline_ns <= server_now_ns)
		end = &(*end)->next;
	rest = *end;
	*end = NULL;
	due = waiting;
	waiting = rest;
	while (due) {
		struct server_timer *t = due;

		due = t->next;
		t->next = NULL;
		t->deadline_ns = 0;
		if (!warm_begin(WARM_TIMER, (uintptr_t)t, 0))
			t->fn(t->ctx);
	}
}
