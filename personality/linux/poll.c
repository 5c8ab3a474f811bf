/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll and select: one native wait over the descriptors' handles. Readiness
 * lives in the kernel, so no server is asked.
 */
#include "personality/linux/pers.h"

#define SELECT_MAX 1024u
#define POLL_MAX (PERS_SCRATCH_BUFFER / sizeof(struct x_wait_item))
#define POLL_IN  (POLLIN | POLLRDNORM | POLLRDBAND)
#define POLL_OUT (POLLOUT | POLLWRNORM | POLLWRBAND)

uint32_t poll_wanted(int16_t events)
{
	return (events & POLL_IN ? X_READY_IN : 0) | (events & POLL_OUT ? X_READY_OUT : 0) |
	       (events & POLLPRI ? X_READY_PRI : 0) | (events & POLLRDHUP ? X_READY_RDHUP : 0);
}

int16_t poll_happened(uint32_t ready, int16_t events)
{
	int r = 0;

	if (ready & X_READY_IN)
		r |= events & (POLLIN | POLLRDNORM);
	if (ready & X_READY_OUT)
		r |= events & (POLLOUT | POLLWRNORM);
	if (ready & X_READY_PRI)
		r |= events & POLLPRI;
	if (ready & (X_READY_ERR | X_READY_DEAD))
		r |= POLLERR;
	if (ready & X_READY_RDHUP)
		r |= events & POLLRDHUP;
	if (ready & (X_READY_HUP | X_READY_DEAD))
		r |= POLLHUP;
	return (int16_t)r;
}

static void set_item(struct x_wait_item *item, uint32_t fd, uint32_t mask)
{
	*item = (struct x_wait_item){ .handle = fd, .mask = mask };
}

/* Which handles can't be waited on: they are set to X_NO_HANDLE with all of
 * `ready` set. Returns how many. */
static uint32_t drop_bad(struct x_wait_item *items, uint32_t count)
{
	struct x_handle_info info;
	uint32_t bad = 0;

	for (uint32_t i = 0; i < count; i++) {
		items[i].ready = 0;
		if (items[i].handle == X_NO_HANDLE)
			continue;
		if (items[i].handle < X_SLOT_FD_END && x_handle_info(items[i].handle, &info) >= 0)
			continue;
		items[i].handle = X_NO_HANDLE;
		items[i].ready = UINT32_MAX;
		bad++;
	}
	return bad;
}

/* A handle of ours behind a descriptor number would be waited on: none are
 * there below X_SLOT_FD_END, and above it set_item's callers don't go. */
static int64_t wait_items(struct x_wait_item *items, uint32_t count, uint64_t deadline,
			  const uint64_t *mask, uint32_t *bad)
{
	int64_t n;

	for (uint32_t i = 0; process.ring_end && i < count; i++)
		uring_watch(items[i].handle);
	uring_before_wait();
	n = x_wait(items, count, deadline, mask);
	*bad = 0;
	if (n != -X_EBADF && n != -X_EWRONGTYPE && n != -X_ERIGHTS)
		return n;
	*bad = drop_bad(items, count);
	if (*bad == 0)
		return n;
	return 0;
}

/* ------------------------------------------------------------------------- poll */

static int64_t poll_results(uint64_t addr, uint32_t count, const struct x_wait_item *items)
{
	int64_t hits = 0;

	for (uint32_t i = 0; i < count; i++) {
		struct linux_pollfd p;
		int16_t revents = 0;

		if (copy_in(&p, addr + i * sizeof(p), sizeof(p)))
			return -X_EFAULT;
		if (items[i].ready == UINT32_MAX)
			revents = POLLNVAL;
		else if (p.fd >= 0)
			revents = poll_happened(items[i].ready, p.events);
		hits += revents != 0;
		if (copy_out(addr + i * sizeof(p) + offsetof(struct linux_pollfd, revents), &revents, 2))
			return -X_EFAULT;
	}
	return hits;
}

static int64_t load_items(uint64_t addr, uint32_t count, struct x_wait_item *items, bool *bad_number)
{
	for (uint32_t i = 0; i < count; i++) {
		struct linux_pollfd p;

		if (copy_in(&p, addr + i * sizeof(p), sizeof(p)))
			return -X_EFAULT;
		set_item(&items[i], p.fd < 0 ? X_NO_HANDLE : (uint32_t)p.fd, poll_wanted(p.events));
		if (p.fd >= (int32_t)X_SLOT_FD_END)
			*bad_number = true;
	}
	return 0;
}

/* mask: temporary signal mask or NULL. Answers -X_EINTR at a signal. */
static int64_t poll_wait(struct pers_thread *t, uint64_t addr, uint32_t count, uint64_t deadline,
			 const uint64_t *mask)
{
	struct x_wait_item *items = NULL;
	bool bad_number = false;
	uint32_t bad = 0;
	int64_t n;

	if (count > POLL_MAX || count > ids()->rlimit_nofile)
		return -X_EINVAL;
	if (count) {
		items = thread_scratch(t);
		if (!items)
			return -X_ENOMEM;
	}
	n = load_items(addr, count, items, &bad_number);
	if (n)
		return n;
	if (bad_number)
		bad = drop_bad(items, count);
	if (bad == 0)
		n = wait_items(items, count, deadline, mask, &bad);
	if (n < 0)
		return n == -X_EINTR ? n : linux_error(n);
	if (bad) { /* there is an answer already: don't wait, but see what else is ready */
		struct x_wait_item saved;

		for (uint32_t i = 0; i < count; i++) {
			if (items[i].ready == UINT32_MAX || items[i].handle == X_NO_HANDLE)
				continue;
			saved = items[i];
			if (x_wait(&saved, 1, 0, NULL) > 0)
				items[i].ready = saved.ready;
		}
	}
	return poll_results(addr, count, items);
}

static int64_t poll_restartable(struct pers_thread *t, uint64_t addr, uint32_t count, uint64_t deadline)
{
	int64_t n = poll_wait(t, addr, count, deadline, NULL);

	if (n != -X_EINTR)
		return n;
	t->restart = RESTART_POLL;
	t->restart_deadline_ns = deadline;
	t->restart_args[0] = addr;
	t->restart_args[1] = count;
	return -RESTART_BLOCK;
}

int64_t poll_restart(struct sys *s)
{
	struct pers_thread *t = s->thread;

	return poll_restartable(t, t->restart_args[0], (uint32_t)t->restart_args[1],
				t->restart_deadline_ns);
}

int64_t linux_poll(struct sys *s)
{
	int32_t ms = (int32_t)s->a[2];
	uint64_t deadline = X_FOREVER;

	if (ms >= 0)
		deadline = ms ? deadline_after(now_ns(), (uint64_t)ms * 1000000) : 0;
	return poll_restartable(s->thread, s->a[0], (uint32_t)s->a[1], deadline);
}

/* After a wait with a temporary mask ended by a signal: that mask chooses the
 * handler, the old one comes back after it. */
int64_t wait_interrupted(struct sys *s, const uint64_t *mask)
{
	if (mask) {
		s->thread->saved_mask = s->frame->mask;
		s->thread->mask_saved = true;
		s->frame->mask = *mask;
	}
	return -RESTART_NOHAND;
}

#define STICKY_TIMEOUTS 0x4000000u

/* What is left of a relative time-out, where Linux tells it. */
static void put_remaining(uint64_t addr, uint64_t deadline, bool timeval)
{
	uint64_t now = now_ns(), left = deadline > now ? deadline - now : 0;
	struct linux_timespec ts = to_timespec(left);
	struct linux_timeval tv = to_timeval(left);

	if (addr && deadline != X_FOREVER && !(process.persona & STICKY_TIMEOUTS))
		copy_out(addr, timeval ? (void *)&tv : (void *)&ts, sizeof(ts));
}

int64_t linux_ppoll(struct sys *s)
{
	uint64_t deadline, mask;
	int64_t error = deadline_from_timespec(s->a[2], &deadline);

	if (!error && s->a[3])
		error = use_signal_mask(s, s->a[3], s->a[4], &mask);
	if (error)
		return error;
	error = poll_wait(s->thread, s->a[0], (uint32_t)s->a[1], deadline, s->a[3] ? &mask : NULL);
	put_remaining(s->a[2], deadline, false);
	return error == -X_EINTR ? wait_interrupted(s, s->a[3] ? &mask : NULL) : error;
}

/* ----------------------------------------------------------------------- select */

struct fd_sets { uint64_t bits[3][SELECT_MAX / 64]; }; /* read, write, except */

static int64_t load_sets(uint32_t count, const uint64_t addr[3], struct fd_sets *sets)
{
	memset(sets, 0, sizeof(*sets));
	for (int k = 0; k < 3; k++)
		if (addr[k] && copy_in(sets->bits[k], addr[k], (count + 63) / 64 * 8))
			return -X_EFAULT;
	return 0;
}

static int64_t store_sets(uint32_t count, const uint64_t addr[3], const struct fd_sets *sets)
{
	for (int k = 0; k < 3; k++)
		if (addr[k] && copy_out(addr[k], sets->bits[k], (count + 63) / 64 * 8))
			return -X_EFAULT;
	return 0;
}

static uint32_t select_items(uint32_t count, const struct fd_sets *sets, struct x_wait_item *items)
{
	uint32_t used = 0;

	for (uint32_t fd = 0; fd < count; fd++) {
		uint64_t bit = 1ull << (fd % 64);
		uint32_t mask = 0;

		if (sets->bits[0][fd / 64] & bit)
			mask |= X_READY_IN;
		if (sets->bits[1][fd / 64] & bit)
			mask |= X_READY_OUT;
		if (sets->bits[2][fd / 64] & bit)
			mask |= X_READY_PRI;
		if (mask)
			set_item(&items[used++], fd, mask);
	}
	return used;
}

static int64_t select_results(const struct x_wait_item *items, uint32_t used, struct fd_sets *sets)
{
	const uint32_t failed = X_READY_ERR | X_READY_DEAD;
	const uint32_t ready[3] = { X_READY_IN | X_READY_HUP | failed, X_READY_OUT | failed, X_READY_PRI };
	const uint32_t asked[3] = { X_READY_IN, X_READY_OUT, X_READY_PRI };
	int64_t hits = 0;

	memset(sets, 0, sizeof(*sets));
	for (uint32_t i = 0; i < used; i++)
		for (int k = 0; k < 3; k++)
			if ((items[i].mask & asked[k]) && (items[i].ready & ready[k])) {
				sets->bits[k][items[i].handle / 64] |= 1ull << (items[i].handle % 64);
				hits++;
			}
	return hits;
}

static int64_t select_wait(struct pers_thread *t, int32_t nfds, const uint64_t addr[3],
			   uint64_t deadline, const uint64_t *mask)
{
	struct fd_sets sets;
	struct x_wait_item *items;
	uint32_t count, used, bad;
	int64_t n;

	if (nfds < 0)
		return -X_EINVAL;
	count = nfds < (int32_t)SELECT_MAX ? (uint32_t)nfds : SELECT_MAX;
	n = load_sets(count, addr, &sets);
	if (n)
		return n;
	items = thread_scratch(t);
	if (!items)
		return -X_ENOMEM;
	used = select_items(count, &sets, items);
	n = wait_items(items, used, deadline, mask, &bad);
	if (bad)
		return -X_EBADF;
	if (n < 0)
		return n == -X_EINTR ? n : linux_error(n);
	n = select_results(items, used, &sets);
	return store_sets(count, addr, &sets) ? -X_EFAULT : n;
}

int64_t linux_select(struct sys *s)
{
	struct linux_timeval tv;
	uint64_t deadline = X_FOREVER, ns;
	int64_t n;

	if (s->a[4]) {
		if (copy_in(&tv, s->a[4], sizeof(tv)))
			return -X_EFAULT;
		if (tv.sec >= 0 && tv.usec >= 1000000) { /* Linux lets these carry over */
			tv.sec += tv.usec / 1000000;
			tv.usec %= 1000000;
		}
		if (!convert_timeval(&tv, &ns))
			return -X_EINVAL;
		deadline = deadline_after(now_ns(), ns);
	}
	n = select_wait(s->thread, (int32_t)s->a[0], &s->a[1], deadline, NULL);
	put_remaining(s->a[4], deadline, true);
	return n == -X_EINTR ? wait_interrupted(s, NULL) : n;
}

int64_t linux_pselect6(struct sys *s)
{
	struct { uint64_t set, size; } arg = { 0, 0 };
	uint64_t deadline, mask;
	int64_t n = deadline_from_timespec(s->a[4], &deadline);

	if (!n && s->a[5] && copy_in(&arg, s->a[5], sizeof(arg)))
		n = -X_EFAULT;
	if (!n && arg.set)
		n = use_signal_mask(s, arg.set, arg.size, &mask);
	if (n)
		return n;
	n = select_wait(s->thread, (int32_t)s->a[0], &s->a[1], deadline, arg.set ? &mask : NULL);
	put_remaining(s->a[4], deadline, false);
	return n == -X_EINTR ? wait_interrupted(s, arg.set ? &mask : NULL) : n;
}
