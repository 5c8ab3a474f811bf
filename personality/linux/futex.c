/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * futex(2) over the kernel's futexes. Those are keyed by memory object and
 * offset, so private and shared ones are the same thing.
 * Not here: priority inheritance (-ENOSYS).
 */
#include "personality/linux/pers.h"

/* relative: FUTEX_WAIT, whose time-out must not start anew when repeated. */
static int64_t futex_wait(struct pers_thread *t, uint64_t word, uint32_t expected,
			  uint64_t deadline, uint32_t bitset, bool relative)
{
	int64_t error = x_futex_wait((uint32_t *)word, expected, deadline, bitset);

	if (error != -X_EINTR)
		return linux_error(error);
	if (deadline == X_FOREVER || !relative)
		return -RESTART_SYS;
	t->restart = RESTART_FUTEX;
	t->restart_deadline_ns = deadline;
	t->restart_args[0] = word;
	t->restart_args[1] = expected;
	t->restart_args[2] = bitset;
	return -RESTART_BLOCK;
}

int64_t futex_restart(struct sys *s)
{
	struct pers_thread *t = s->thread;

	return futex_wait(t, t->restart_args[0], (uint32_t)t->restart_args[1],
			  t->restart_deadline_ns, (uint32_t)t->restart_args[2], true);
}

static int64_t futex_deadline(const struct sys *s, bool relative, uint64_t *deadline)
{
	struct linux_timespec ts;
	uint64_t ns;

	*deadline = X_FOREVER;
	if (!s->a[3])
		return 0;
	if (copy_in(&ts, s->a[3], sizeof(ts)))
		return -X_EFAULT;
	if (!convert_timespec(&ts, &ns))
		return -X_EINVAL;
	if (relative)
		*deadline = deadline_after(now_ns(), ns);
	else if ((uint32_t)s->a[1] & FUTEX_CLOCK_REALTIME)
		*deadline = deadline_from_realtime(ns);
	else
		*deadline = ns;
	return 0;
}

static int64_t futex_requeue(const struct sys *s, bool compare)
{
	uint32_t value;

	if ((s->a[4] & 3) || !user_range(s->a[4], 4))
		return s->a[4] & 3 ? -X_EINVAL : -X_EFAULT;
	if ((int32_t)s->a[2] < 0 || (int32_t)s->a[3] < 0)
		return -X_EINVAL;
	if (copy_in(&value, s->a[0], 4) || user_probe(s->a[4], 4, false))
		return -X_EFAULT;
	if (compare && value != (uint32_t)s->a[5])
		return -X_EAGAIN;
	return linux_error(x_futex_wake((uint32_t *)s->a[0], (uint32_t)s->a[2], ~0u,
					(uint32_t *)s->a[4], (uint32_t)s->a[3]));
}

/* What FUTEX_WAKE_OP does to the second word, and whether it then wakes there. */
static bool wake_op(uint32_t encoded, uint32_t old, uint32_t *new)
{
	int32_t operand = (int32_t)(encoded << 8) >> 20, compared = (int32_t)(encoded << 20) >> 20;
	uint32_t value = (uint32_t)operand;

	if (encoded >> 31)
		value = 1u << (value & 31);
	switch (encoded >> 28 & 7) {
	case 0: *new = value; break;
	case 1: *new = old + value; break;
	case 2: *new = old | value; break;
	case 3: *new = old & ~value; break;
	default: *new = old ^ value;
	}
	switch (encoded >> 24 & 15) {
	case 0: return (int32_t)old == compared;
	case 1: return (int32_t)old != compared;
	case 2: return (int32_t)old < compared;
	case 3: return (int32_t)old <= compared;
	case 4: return (int32_t)old > compared;
	default: return (int32_t)old >= compared;
	}
}

static int64_t futex_wake_op(const struct sys *s)
{
	uint32_t encoded = (uint32_t)s->a[5], old, new, seen;
	int64_t woken, more;
	bool second;

	if ((s->a[4] & 3) || (encoded >> 28 & 7) > 4 || (encoded >> 24 & 15) > 5)
		return s->a[4] & 3 ? -X_EINVAL : -X_ENOSYS;
	if (copy_in(&old, s->a[4], 4))
		return -X_EFAULT;
	for (;;) {
		second = wake_op(encoded, old, &new);
		if (pers_cmpxchg32((uint32_t *)s->a[4], old, new, &seen))
			return -X_EFAULT;
		if (seen == old)
			break;
		old = seen;
	}
	woken = x_futex_wake((uint32_t *)s->a[0], (uint32_t)s->a[2], ~0u, NULL, 0);
	if (woken < 0 || !second)
		return linux_error(woken);
	more = x_futex_wake((uint32_t *)s->a[4], (uint32_t)s->a[3], ~0u, NULL, 0);
	return more < 0 ? linux_error(more) : woken + more;
}

int64_t linux_futex(struct sys *s)
{
	uint32_t op = (uint32_t)s->a[1] & ~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME);
	uint32_t bitset = op == FUTEX_WAIT_BITSET || op == FUTEX_WAKE_BITSET ? (uint32_t)s->a[5] : ~0u;
	uint64_t deadline;
	int64_t error;

	if (s->a[0] & 3)
		return -X_EINVAL;
	error = user_probe(s->a[0], 4, false);
	if (error)
		return error;
	if (bitset == 0)
		return -X_EINVAL;
	switch (op) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		error = futex_deadline(s, op == FUTEX_WAIT, &deadline);
		return error ? error : futex_wait(s->thread, s->a[0], (uint32_t)s->a[2], deadline,
						  bitset, op == FUTEX_WAIT);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
		return linux_error(x_futex_wake((uint32_t *)s->a[0], (uint32_t)s->a[2], bitset, NULL, 0));
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(s, op == FUTEX_CMP_REQUEUE);
	case FUTEX_WAKE_OP:
		return futex_wake_op(s);
	default:
		return -X_ENOSYS;
	}
}
