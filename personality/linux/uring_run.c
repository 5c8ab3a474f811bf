/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io_uring: the life of a request, from its place in a chain to the completion ring.
 *
 * FREE -> HELD -> RUNNING -> (STARTED | ARMED -> RUNNING)* -> FREE, by way of DUE if its
 * result came while something else was being done, or of OVERFLOW if the ring was full.
 *
 * Nothing here calls itself: what a completion brings about (the rest of a chain that
 * failed, a timeout that is due) is queued, and whoever works on the ring ends with
 * uring_pump().
 */
#include "personality/linux/uring.h"

#define KICK UINT64_MAX /* cookie of the call that only wakes */

void uring_lock(struct uring *u) { word_lock(&u->lock); }

void uring_unlock(struct uring *u)
{
	bool wake = u->wake;
	x_handle_t bell = u->bell ? u->eventfd : 0;
	uint64_t one = 1;

	u->wake = u->bell = false;
	word_unlock(&u->lock);
	if (wake)
		x_futex_wake(&u->posted, UINT32_MAX, ~0u, NULL, 0);
	if (bell)
		file_transfer(bell, FILE_WRITE, (uint64_t)&one, sizeof(one), -1, FILE_NOWAIT);
}

/* -------------------------------------------------------------------- requests */

struct uring_request *uring_take(struct uring *u)
{
	struct uring_request *r = NULL;

	uring_lock(u);
	if (u->free) {
		r = uring_request(u, u->free);
		u->free = r->next;
	} else if (u->used_end < u->requests_max) {
		r = &u->requests[u->used_end++];
	}
	if (r) {
		uint32_t generation = r->generation + 1;

		memset(r, 0, sizeof(*r));
		r->generation = generation;
		r->state = URING_HELD;
		r->deadline_ns = X_FOREVER;
		u->live++;
	}
	uring_unlock(u);
	return r;
}

static void put(struct uring *u, struct uring_request *r)
{
	r->state = URING_FREE;
	r->next = u->free;
	u->free = uring_number(u, r);
}

void uring_push(struct uring *u, struct uring_queue *q, struct uring_request *r)
{
	uint32_t number = uring_number(u, r);

	r->queue = 0;
	if (q->first)
		uring_request(u, q->last)->queue = number;
	else
		q->first = number;
	q->last = number;
}

static struct uring_request *pop(struct uring *u, struct uring_queue *q)
{
	struct uring_request *r = uring_request(u, q->first);

	if (r)
		q->first = r->queue;
	return r;
}

void uring_due(struct uring *u, struct uring_request *r, int32_t result)
{
	r->state = URING_DUE;
	r->result = result;
	uring_push(u, &u->due, r);
}

/* ------------------------------------------------------------------ completions */

static bool put_cqe(struct uring *u, const struct uring_request *r, int32_t result, uint32_t flags)
{
	uint32_t have = u->cq_tail - __atomic_load_n(&u->shared->cq_head.value, __ATOMIC_ACQUIRE);

	if (have >= u->cq_entries)
		return false;
	u->shared->cqes[u->cq_tail & (u->cq_entries - 1)] = (struct uring_cqe){ r->sqe.user_data, result, flags };
	__atomic_store_n(&u->shared->cq_tail.value, ++u->cq_tail, __ATOMIC_RELEASE);
	u->posted++;
	u->wake |= u->waiters && have + 1 >= u->want;
	u->bell = true;
	return true;
}

void uring_flush_overflow(struct uring *u)
{
	struct uring_request *r;

	while ((r = uring_request(u, u->overflow.first)) && put_cqe(u, r, r->result, r->cqe_flags)) {
		pop(u, &u->overflow);
		put(u, r);
	}
	if (!u->overflow.first)
		__atomic_fetch_and(&u->shared->sq_flags, ~IORING_SQ_CQ_OVERFLOW, __ATOMIC_RELAXED);
}

/* One of several of a request that goes on; lost (and counted) if there is no room. */
void uring_post(struct uring *u, const struct uring_request *r, int32_t result, uint32_t flags)
{
	if (u->overflow.first || !put_cqe(u, r, result, flags))
		u->shared->cq_overflow++;
	u->sequence++;
	uring_ring(u);
}

/* The rest of the chain: what comes next, or NULL with all of it cancelled. */
static struct uring_request *chain_on(struct uring *u, struct uring_request *r, int64_t result)
{
	struct uring_request *next = uring_request(u, r->next);

	r->next = 0;
	if (!next || r->sqe.flags & IOSQE_IO_HARDLINK || result >= (int64_t)r->bytes ||
	    (r->sqe.opcode == IORING_OP_TIMEOUT && result == -X_ETIME && r->sqe.op_flags & 32))
		return next;
	while (next) {
		struct uring_request *after = uring_request(u, next->next);

		next->next = 0;
		uring_due(u, next, -X_ECANCELED);
		next = after;
	}
	return NULL;
}

/* It has ended. What is to be done next of its chain, or NULL. */
static struct uring_request *finish(struct uring_run *run, struct uring_request *r, int64_t result)
{
	struct uring *u = run->ring;
	struct uring_request *next, *guard;

	uring_lock(u);
	uring_disarm(u, r);
	guard = uring_request(u, r->guard);
	r->guard = 0;
	if (guard) {
		guard->guarded = 0;
		if (guard->state == URING_ARMED)
			uring_due(u, guard, -X_ECANCELED);
	}
	if (r->guarded)
		uring_request(u, r->guarded)->guard = 0;
	next = chain_on(u, r, result);
	u->live--;
	if (r->sqe.opcode != IORING_OP_TIMEOUT)
		u->sequence++;
	r->result = (int32_t)result;
	if (r->sqe.flags & IOSQE_CQE_SKIP && result >= 0) {
		put(u, r);
	} else if (!u->overflow.first && put_cqe(u, r, r->result, r->cqe_flags)) {
		put(u, r);
	} else {
		r->state = URING_OVERFLOW;
		uring_push(u, &u->overflow, r);
		__atomic_fetch_or(&u->shared->sq_flags, IORING_SQ_CQ_OVERFLOW, __ATOMIC_RELAXED);
	}
	if (u->counted)
		uring_count(u);
	uring_ring(u);
	uring_unlock(u);
	return next;
}

/* ---------------------------------------------------------------------- running */

/* What comes next in its chain may be the timeout of this one, which starts with it. */
static void begin_guarded(struct uring *u, struct uring_request *r)
{
	struct uring_request *guard;
	uint64_t deadline;

	uring_lock(u);
	r->state = URING_RUNNING;
	guard = uring_request(u, r->next);
	if (guard && guard->sqe.opcode == IORING_OP_LINK_TIMEOUT && !uring_guard_deadline(&guard->sqe, &deadline)) {
		r->next = guard->next;
		guard->next = 0;
		r->guard = uring_number(u, guard);
		guard->guarded = uring_number(u, r);
	}
	uring_unlock(u);
	if (r->guard) {
		struct uring_run run = { .ring = u };

		uring_arm(&run, guard, 0, deadline);
	}
}

static void run_chain(struct uring_run *run, struct uring_request *r)
{
	while (r) {
		int64_t result;

		begin_guarded(run->ring, r);
		result = uring_begin(run, r);
		if (result == URING_PENDING)
			return;
		r = finish(run, r, result);
	}
}

static void start_calls(struct uring_run *run)
{
	struct x_commit commit = { .out = (uintptr_t)run->out, .out_count = run->count };
	struct uring *u = run->ring;

	if (!run->count)
		return;
	if (x_commit_receive(u->port, &commit) < 0) {
		uring_lock(u);
		for (uint32_t i = 0; i < run->count; i++) {
			u->started--;
			uring_due(u, &u->requests[run->out[i].id], -X_EAGAIN);
		}
		uring_unlock(u);
	}
	run->count = 0;
}

/* The next that is due (*due), or whose turn it is: one that drains waits for all before it. */
static struct uring_request *next_queued(struct uring *u, bool *due)
{
	struct uring_request *r;

	uring_lock(u);
	r = pop(u, &u->due);
	*due = r != NULL;
	if (!r && u->deferred.first) {
		uint32_t waiting = 0;

		for (uint32_t n = u->deferred.first; n; n = uring_request(u, n)->queue)
			for (uint32_t m = n; m; m = uring_request(u, m)->next)
				waiting++;
		if (!(uring_request(u, u->deferred.first)->sqe.flags & IOSQE_IO_DRAIN) || u->live == waiting)
			r = pop(u, &u->deferred);
	}
	uring_unlock(u);
	return r;
}

void uring_pump(struct uring_run *run)
{
	struct uring_request *r;
	bool due;

	do {
		start_calls(run);
		while ((r = next_queued(run->ring, &due)))
			run_chain(run, due ? finish(run, r, r->result) : r);
	} while (run->count);
}

void uring_go(struct uring_run *run, struct uring_request *r)
{
	run_chain(run, r);
	if (run->ring->due.first || run->ring->deferred.first)
		uring_pump(run);
}

void uring_complete(struct uring_run *run, struct uring_request *r, int64_t result)
{
	run_chain(run, finish(run, r, result));
}

/* ---------------------------------------------------------------------- helpers */

static void answers(void *arg)
{
	struct uring_run run = { .ring = arg, .thread = thread_here() };
	struct uring *u = arg;
	struct x_in in[URING_BATCH];
	bool over;

	do {
		struct x_commit commit = { .in = (uintptr_t)in, .in_max = URING_BATCH, .deadline_ns = X_FOREVER };
		int64_t n = x_commit_receive(u->port, &commit);

		for (int64_t i = 0; i < n; i++) {
			for (uint32_t k = 0; k < in[i].handle_count; k++) /* none of these answers has any */
				x_handle_close(in[i].handles[k]);
			if (in[i].kind == X_IN_REPLY && in[i].id < u->requests_max) {
				struct uring_request *r = &u->requests[in[i].id];
				int64_t result = uring_answered(&run, r, in[i].msg.status);

				if (result != URING_PENDING)
					uring_complete(&run, r, result);
			}
		}
		uring_pump(&run);
		uring_lock(u);
		over = u->closing && !u->started;
		uring_unlock(u);
	} while (!over);
	uring_drop(u);
	thread_helper_end();
}

int64_t uring_start_call(struct uring_run *run, struct uring_request *r, const struct x_out *out)
{
	struct uring *u = run->ring;
	int64_t port = 0;

	uring_lock(u);
	if (!u->port && (port = x_port_create()) > 0) {
		u->port = (x_handle_t)port;
		uring_hold(u);
		if (thread_helper(answers, u) < 0) {
			uring_drop(u);
			x_handle_close(u->port);
			u->port = 0;
		}
	}
	if (u->port) {
		u->started++;
		r->state = URING_STARTED;
	}
	uring_unlock(u);
	if (!u->port)
		return -X_ENOMEM;
	run->out[run->count] = *out;
	run->out[run->count].kind = X_OUT_START;
	run->out[run->count++].id = uring_number(u, r) - 1;
	if (run->count == URING_BATCH)
		start_calls(run);
	return URING_PENDING;
}

/* One of those armed is ready. */
static void happened(struct uring_run *run, const struct x_waitset_event *e)
{
	struct uring *u = run->ring;
	struct uring_request *r = uring_request(u, (uint32_t)e->data);
	int64_t result;
	bool mine;

	if (!r)
		return;
	uring_lock(u);
	mine = r->state == URING_ARMED && r->generation == (uint32_t)(e->data >> 32);
	if (mine)
		r->state = URING_RUNNING;
	uring_unlock(u);
	if (!mine)
		return;
	result = uring_again(run, r, e->ready);
	if (result != URING_PENDING)
		uring_complete(run, r, result);
}

static void waits(void *arg)
{
	struct uring_run run = { .ring = arg, .thread = thread_here() };
	struct uring *u = arg;
	struct x_waitset_event events[URING_BATCH];

	for (;;) {
		uint64_t deadline;
		bool over;
		int64_t n;

		uring_lock(u);
		deadline = u->set_deadline_ns = uring_expire(u);
		over = u->closing;
		uring_unlock(u);
		uring_pump(&run);
		if (over)
			break;
		n = x_waitset_wait(u->set, events, URING_BATCH, deadline, NULL);
		for (int64_t i = 0; i < n; i++)
			happened(&run, &events[i]);
	}
	uring_drop(u);
	thread_helper_end();
}

/* Our event can always be written: asked for once, it is told of at once. */
void uring_kick(struct uring *u)
{
	if (u->set)
		x_waitset_ctl(u->set, X_WAITSET_CHANGE, u->event, X_READY_OUT | X_WAITSET_ONCE << 16, 0);
}

/* Lock held. */
static bool make_set(struct uring *u)
{
	int64_t set = u->set ? 0 : x_waitset_create();

	if (set <= 0)
		return set == 0;
	u->set = (x_handle_t)set;
	uring_hold(u);
	if (x_waitset_ctl(u->set, X_WAITSET_ADD, u->event, X_READY_OUT | X_WAITSET_ONCE << 16, 0) >= 0 &&
	    thread_helper(waits, u) >= 0)
		return true;
	uring_drop(u);
	x_handle_close(u->set);
	u->set = 0;
	return false;
}

/* Into the set: by a handle of its own, for what the program closes meanwhile stays open. */
static int64_t put_in_set(struct uring *u, struct uring_request *r)
{
	uint64_t once = r->sqe.opcode == IORING_OP_POLL_ADD && (r->sqe.len & 1) ? X_WAITSET_EDGE : X_WAITSET_ONCE;
	uint64_t what = r->wanted | X_READY_ERR | X_READY_HUP | once << 16;
	int64_t h;

	if (r->own_file)
		return x_waitset_ctl(u->set, X_WAITSET_CHANGE, r->file, what, uring_number(u, r) | (uint64_t)r->generation << 32);
	h = x_handle_dup(r->file, 0, X_SLOT_NATIVE, 0);
	if (h < 0)
		return -X_ENOMEM;
	r->file = (x_handle_t)h;
	r->own_file = true;
	return x_waitset_ctl(u->set, X_WAITSET_ADD, r->file, what, uring_number(u, r) | (uint64_t)r->generation << 32);
}

int64_t uring_arm(struct uring_run *run, struct uring_request *r, uint32_t wanted, uint64_t deadline_ns)
{
	struct uring *u = run->ring;
	int64_t error = 0;

	uring_lock(u);
	r->wanted = wanted;
	r->deadline_ns = deadline_ns;
	if (r->cancelled || u->closing)
		error = -X_ECANCELED;
	else if (!make_set(u))
		error = -X_ENOMEM;
	else if (wanted)
		error = put_in_set(u, r);
	if (!error) {
		r->state = URING_ARMED;
		if (deadline_ns < u->set_deadline_ns)
			uring_kick(u);
	}
	uring_unlock(u);
	return error ? error : URING_PENDING;
}

void uring_disarm(struct uring *u, struct uring_request *r)
{
	if (!r->own_file)
		return;
	x_waitset_ctl(u->set, X_WAITSET_DELETE, r->file, 0, 0);
	x_handle_close(r->file);
	r->own_file = false;
}

/* The last descriptor is gone: what waits is given up, and the helpers end. Those who
 * read and write still do so into the program's memory, and are waited for. */
void uring_close(struct uring *u)
{
	struct x_out out[2] = { { .kind = X_OUT_START, .id = KICK, .target = X_SLOT_VFS } };
	struct x_commit commit = { .out = (uintptr_t)out, .out_count = 1 };

	uring_lock(u);
	u->closing = true;
	for (uint32_t i = 0; i < u->used_end; i++) {
		struct uring_request *r = &u->requests[i];

		if (r->state == URING_ARMED)
			uring_due(u, r, -X_ECANCELED);
		if (r->state == URING_STARTED && r->sqe.opcode == IORING_OP_CONNECT)
			uring_cancel(u, r);
	}
	uring_unregister_all(u);
	uring_kick(u);
	uring_unlock(u);
	out[0].msg = (struct x_msg){ .op = VFS_UMASK, .a = { ~0ull } };
	if (u->port)
		x_commit_receive(u->port, &commit);
}
