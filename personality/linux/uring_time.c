/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io_uring: requests that only wait (for readiness, time, a number of completions), and
 * the cancelling of others. Who is looked for is found by looking at all that are there.
 */
#include "personality/linux/uring.h"

#define TIMEOUT_ABS          1u
#define TIMEOUT_UPDATE       2u
#define TIMEOUT_BOOTTIME     4u
#define TIMEOUT_REALTIME     8u
#define LINK_TIMEOUT_UPDATE  16u
#define TIMEOUT_ETIME_SUCCESS 32u

#define POLL_MULTI       1u
#define POLL_UPDATE_EVENTS 2u
#define POLL_UPDATE_DATA 4u

#define CANCEL_ALL   1u
#define CANCEL_FD    2u
#define CANCEL_ANY   4u
#define CANCEL_FIXED 8u

/* --------------------------------------------------------------------- timeouts */

static int64_t deadline_of(uint64_t addr, uint32_t flags, uint64_t *deadline_ns)
{
	struct linux_timespec ts;
	uint64_t ns;

	if (copy_in(&ts, addr, sizeof(ts)))
		return -X_EFAULT;
	if (ts.sec < 0 || ts.nsec < 0)
		return -X_EINVAL;
	ts.sec += ts.nsec / 1000000000; /* these may carry over */
	ts.nsec %= 1000000000;
	if (!convert_timespec(&ts, &ns))
		ns = INT64_MAX;
	if (flags & TIMEOUT_ABS)
		*deadline_ns = flags & TIMEOUT_REALTIME ? deadline_from_realtime(ns) : ns;
	else
		*deadline_ns = deadline_after(now_ns(), ns);
	return 0;
}

static bool clocks_valid(uint32_t flags)
{
	return (flags & (TIMEOUT_BOOTTIME | TIMEOUT_REALTIME)) != (TIMEOUT_BOOTTIME | TIMEOUT_REALTIME);
}

int64_t uring_guard_deadline(const struct uring_sqe *e, uint64_t *deadline_ns)
{
	const uint32_t known = TIMEOUT_ABS | TIMEOUT_BOOTTIME | TIMEOUT_REALTIME | TIMEOUT_ETIME_SUCCESS;

	return e->len != 1 || e->op_flags & ~known || !clocks_valid(e->op_flags) ? -X_EINVAL :
	       deadline_of(e->addr, e->op_flags, deadline_ns);
}

int64_t uring_timeout(struct uring_run *run, struct uring_request *r)
{
	struct uring *u = run->ring;
	uint64_t deadline;
	int64_t error = uring_guard_deadline(&r->sqe, &deadline);

	if (error || !(uint32_t)r->sqe.off)
		return error ? error : uring_arm(run, r, 0, deadline);
	uring_lock(u);
	r->sequence = u->sequence + (uint32_t)r->sqe.off;
	u->counted++;
	uring_unlock(u);
	return uring_arm(run, r, 0, deadline);
}

static void disarm_timeout(struct uring *u, struct uring_request *r, int32_t result)
{
	if (r->sqe.opcode == IORING_OP_TIMEOUT && (uint32_t)r->sqe.off)
		u->counted--;
	uring_due(u, r, result);
}

void uring_count(struct uring *u)
{
	for (uint32_t i = 0; i < u->used_end; i++) {
		struct uring_request *r = &u->requests[i];

		if (r->state == URING_ARMED && r->sqe.opcode == IORING_OP_TIMEOUT && (uint32_t)r->sqe.off &&
		    (int32_t)(u->sequence - r->sequence) >= 0)
			disarm_timeout(u, r, 0);
	}
}

uint64_t uring_expire(struct uring *u)
{
	uint64_t next = X_FOREVER, now = now_ns();

	for (uint32_t i = 0; i < u->used_end; i++) {
		struct uring_request *r = &u->requests[i], *guarded;

		if (r->state != URING_ARMED || r->deadline_ns == X_FOREVER)
			continue;
		if (r->deadline_ns > now) {
			next = r->deadline_ns < next ? r->deadline_ns : next;
			continue;
		}
		guarded = uring_request(u, r->guarded);
		if (guarded && uring_cancel(u, guarded) == -X_EALREADY && !guarded->cancelled) {
			disarm_timeout(u, r, -X_EALREADY);
			continue;
		}
		disarm_timeout(u, r, -X_ETIME);
	}
	return next;
}

/* Armed, by what the program calls it. */
static struct uring_request *find(struct uring *u, uint64_t user_data, uint32_t opcode)
{
	for (uint32_t i = 0; i < u->used_end; i++)
		if (u->requests[i].state == URING_ARMED && u->requests[i].sqe.opcode == opcode &&
		    u->requests[i].sqe.user_data == user_data)
			return &u->requests[i];
	return NULL;
}

int64_t uring_timeout_remove(struct uring *u, const struct uring_sqe *e)
{
	uint32_t opcode = e->op_flags & LINK_TIMEOUT_UPDATE ? IORING_OP_LINK_TIMEOUT : IORING_OP_TIMEOUT;
	bool update = e->op_flags & (TIMEOUT_UPDATE | LINK_TIMEOUT_UPDATE);
	struct uring_request *r;
	uint64_t deadline = 0;
	int64_t error = 0;

	if (update ? (e->op_flags & ~(TIMEOUT_UPDATE | LINK_TIMEOUT_UPDATE | TIMEOUT_ABS | TIMEOUT_BOOTTIME | TIMEOUT_REALTIME)) ||
		     !clocks_valid(e->op_flags) : e->op_flags != 0)
		return -X_EINVAL;
	if (update)
		error = deadline_of(e->off, e->op_flags, &deadline);
	if (error)
		return error;
	uring_lock(u);
	r = find(u, e->addr, opcode);
	if (!r) {
		error = -X_ENOENT;
	} else if (update) {
		r->deadline_ns = deadline;
		uring_kick(u);
	} else {
		disarm_timeout(u, r, -X_ECANCELED);
	}
	uring_unlock(u);
	return error;
}

/* -------------------------------------------------------------------------- polls */

int64_t uring_poll_add(struct uring_run *run, struct uring_request *r)
{
	uint32_t wanted = poll_wanted((int16_t)r->sqe.op_flags);
	static const uint64_t all = ~0ull;
	struct x_wait_item item = { .handle = r->file, .mask = wanted };
	int64_t n;

	if (r->sqe.len & ~POLL_MULTI)
		return -X_EINVAL;
	n = x_wait(&item, 1, 0, &all);
	if (n == -X_EBADF)
		return -X_EBADF;
	if (n == -X_EWRONGTYPE) /* always ready, as files are */
		return (uint16_t)poll_happened(X_READY_IN | X_READY_OUT, (int16_t)r->sqe.op_flags);
	if (n > 0 && !(r->sqe.len & POLL_MULTI))
		return (uint16_t)poll_happened(item.ready, (int16_t)r->sqe.op_flags);
	return uring_arm(run, r, wanted | X_READY_ERR, X_FOREVER); /* of several the set tells what is there already, too */
}

int64_t uring_poll_remove(struct uring *u, const struct uring_sqe *e)
{
	uint32_t update = e->len & (POLL_UPDATE_EVENTS | POLL_UPDATE_DATA);
	struct uring_request *r;
	int64_t error = 0;

	if (e->len & ~(POLL_UPDATE_EVENTS | POLL_UPDATE_DATA | POLL_MULTI) || (!update && e->len) ||
	    (!(update & POLL_UPDATE_DATA) && e->off) || (!(update & POLL_UPDATE_EVENTS) && e->op_flags))
		return -X_EINVAL;
	uring_lock(u);
	r = find(u, e->addr, IORING_OP_POLL_ADD);
	if (!r)
		error = -X_ENOENT;
	else if (!update)
		uring_due(u, r, -X_ECANCELED);
	if (!error && update & POLL_UPDATE_DATA)
		r->sqe.user_data = e->off;
	if (!error && update & POLL_UPDATE_EVENTS) {
		uint64_t once = r->sqe.len & POLL_MULTI ? X_WAITSET_EDGE : X_WAITSET_ONCE;

		r->sqe.op_flags = e->op_flags;
		x_waitset_ctl(u->set, X_WAITSET_CHANGE, r->file, poll_wanted((int16_t)e->op_flags) | X_READY_ERR | X_READY_HUP |
			      once << 16, uring_number(u, r) | (uint64_t)r->generation << 32);
	}
	uring_unlock(u);
	return error;
}

/* --------------------------------------------------------------------- cancelling */

int64_t uring_cancel(struct uring *u, struct uring_request *r)
{
	struct x_out out = { .kind = X_OUT_CANCEL, .id = uring_number(u, r) - 1 };
	struct x_commit commit = { .out = (uintptr_t)&out, .out_count = 1 };

	switch (r->state) {
	case URING_ARMED:
		disarm_timeout(u, r, -X_ECANCELED);
		return 0;
	case URING_STARTED: /* what reads or writes a file ends soon by itself */
		if (r->sqe.opcode == IORING_OP_CONNECT) {
			r->cancelled = true;
			x_commit_receive(u->port, &commit);
		}
		return -X_EALREADY;
	case URING_RUNNING:
		r->cancelled = true;
		return -X_EALREADY;
	default:
		return -X_ENOENT;
	}
}

static bool meant(const struct uring_request *r, const struct uring_sqe *e)
{
	if (r->state != URING_ARMED && r->state != URING_STARTED)
		return false;
	if (e->op_flags & CANCEL_ANY)
		return true;
	if (e->op_flags & CANCEL_FD)
		return r->sqe.fd == e->fd && !(r->sqe.flags & IOSQE_FIXED_FILE) == !(e->op_flags & CANCEL_FIXED || e->flags & IOSQE_FIXED_FILE);
	return r->sqe.user_data == e->addr;
}

/* With ALL or ANY the result is how many. */
int64_t uring_async_cancel(struct uring *u, const struct uring_request *who)
{
	const struct uring_sqe *e = &who->sqe;
	bool all = e->op_flags & (CANCEL_ALL | CANCEL_ANY);
	int64_t result = all ? 0 : -X_ENOENT;

	if (e->op_flags & ~(CANCEL_ALL | CANCEL_FD | CANCEL_ANY | CANCEL_FIXED) || e->len ||
	    ((e->op_flags & CANCEL_ANY) && (e->op_flags & CANCEL_FD)))
		return -X_EINVAL;
	uring_lock(u);
	for (uint32_t i = 0; i < u->used_end; i++) {
		struct uring_request *r = &u->requests[i];
		int64_t n;

		if (r == who || !meant(r, e))
			continue;
		n = uring_cancel(u, r);
		if (!all) {
			result = n;
			break;
		}
		result += n == 0;
	}
	uring_unlock(u);
	return result;
}
