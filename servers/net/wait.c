/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Parked calls. A call is first tried as a waiter that lies in static memory;
 * if it has to wait, a copy of it is parked at its socket, in order of arrival,
 * and found again by its id when its caller has lost patience.
 */
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "servers/net/net.h"

#define HASH_SIZE 1024u
#define PARKED_PER_ACCOUNT 1024u

static struct waiter *by_call[HASH_SIZE];
static REGION_SCRATCH struct waiter current; /* from waiter_of() to the end of the item */
static struct { uint64_t account; uint32_t count; } parked[256]; /* by hash of the account */

static struct waiter **bucket(uint64_t call_id)
{
	return &by_call[call_id % HASH_SIZE];
}

static uint32_t *parked_of(uint64_t account)
{
	return &parked[account % 256].count;
}

struct waiter *waiter_of(struct sock *s, const struct x_in *in, uint32_t what)
{
	uint32_t count = in->win_count < SOCK_DATA_WINDOWS ? in->win_count : SOCK_DATA_WINDOWS;

	memset(&current, 0, sizeof(current));
	current.sock = s;
	current.call_id = in->id;
	current.account = in->account;
	current.what = what;
	current.control.hop_limit = current.control.tos = -1;
	current.control_room = in->win_count > SOCK_ADDRESS_WINDOW ? in->win[SOCK_ADDRESS_WINDOW].len : 0;
	for (uint32_t i = 0; i < count; i++) {
		current.window[i] = in->win[i].len;
		current.total += in->win[i].len;
	}
	return &current;
}

struct waiter *waiter_first(const struct sock *s, uint32_t what)
{
	return s->wait[what];
}

static void timed_out(void *ctx)
{
	struct waiter *w = ctx;

	w->timed_out = true;
	sock_mark(w->sock, 0);
}

void waiter_park(const struct waiter *from, uint64_t timeout_ns)
{
	struct sock *s = from->sock;
	struct waiter *w = NULL;

	if (*parked_of(from->account) < PARKED_PER_ACCOUNT)
		w = heap_allocate(sizeof(*w));
	if (!w) {
		out_status(from->call_id, from->done ? (int64_t)from->done : -X_ENOBUFS);
		return;
	}
	*w = *from;
	++*parked_of(w->account);
	w->next = NULL;
	if (s->wait_last[w->what])
		s->wait_last[w->what]->next = w;
	else
		s->wait[w->what] = w;
	s->wait_last[w->what] = w;
	w->hash_next = *bucket(w->call_id);
	*bucket(w->call_id) = w;
	memset(&w->timer, 0, sizeof(w->timer));
	if (timeout_ns) {
		w->timer.fn = timed_out;
		w->timer.ctx = w;
		timer_set(&w->timer, server_now_ns + timeout_ns);
	}
}

static void unlink_waiter(struct waiter *w)
{
	struct sock *s = w->sock;
	struct waiter *before = NULL, **at;

	for (at = bucket(w->call_id); *at; at = &(*at)->hash_next) {
		if (*at == w) {
			*at = w->hash_next;
			break;
		}
	}
	for (at = &s->wait[w->what]; *at && *at != w; at = &(*at)->next)
		before = *at;
	*at = w->next;
	if (s->wait_last[w->what] == w)
		s->wait_last[w->what] = before;
	timer_clear(&w->timer);
	--*parked_of(w->account);
	heap_free(w);
}

void waiter_end(struct waiter *w, int64_t status)
{
	out_status(w->call_id, status);
	if (w != &current)
		unlink_waiter(w);
}

void waiter_end_with(struct waiter *w, const struct x_msg *msg)
{
	out_answer(w->call_id, msg);
	if (w != &current)
		unlink_waiter(w);
}

void waiter_drop(struct waiter *w) { unlink_waiter(w); }

int64_t waiter_patience(const struct waiter *w, int64_t status)
{
	if (status != SOCK_WAIT || !(w->flags & L_MSG_DONTWAIT) || w->sock->flow_stopping)
		return status;
	return w->done ? (int64_t)w->done : -X_EAGAIN;
}

void waiters_end_all(struct sock *s, uint32_t what, int64_t status)
{
	while (s->wait[what])
		waiter_end(s->wait[what], s->wait[what]->done ? (int64_t)s->wait[what]->done : status);
}

void waiter_cancel(uint64_t call_id)
{
	for (struct waiter *w = *bucket(call_id); w; w = w->hash_next) {
		if (w->call_id != call_id)
			continue;
		waiter_end(w, w->done ? (int64_t)w->done : -X_EINTR);
		return;
	}
}
