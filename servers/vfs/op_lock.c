/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFS_FLOCK, VFS_LOCK and VFS_LOCK_CLOSED.
 *
 * Which file it is about is asked of the file's server (FILE_STAT of the
 * handle). A lock of an open file (flock, OFD) is the object's: while there is
 * one, a handle of the object is kept here, and when that is the last one left
 * the open file is gone and the lock with it. The kernel tells nobody of that,
 * so it is looked at when a process that has such locks closes something or
 * ends, and every SWEEP_NS besides.
 *
 * A call that has to wait is kept in waits[]; each time something was
 * unlocked all of them are tried, in order of arrival.
 */

#include "lib/c/slots.h"
#include "servers/vfs/lock.h"

enum { OWNERS_MAX = 512, LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8 };
#define SWEEP_NS      (250ull * 1000 * 1000)
#define SWEEP_IDLE_NS (2000ull * 1000 * 1000)

static struct lock_wait {
	uint64_t call_id;       /* 0: free */
	uint64_t order;
	struct lock want;
	x_handle_t handle;      /* of an object's lock: to be kept if it is got */
} waits[LOCK_WAITS_MAX];

static struct object_owner {
	uint64_t koid;          /* 0: free */
	x_handle_t handle;
} owners[OWNERS_MAX];
static uint32_t owners_end;     /* all from here up are free */

#define for_each_owner(o) for (struct object_owner *o = owners; o < owners + owners_end; o++)

static uint64_t next_order = 1;
static struct server_timer sweep_timer;

static void sweep(void *ctx);

static void arm(uint64_t ns)
{
	sweep_timer.fn = sweep;
	if (!sweep_timer.deadline_ns || sweep_timer.deadline_ns > server_now_ns + ns)
		timer_set(&sweep_timer, server_now_ns + ns);
}

/* ---- owners that are open files ---- */

static struct object_owner *owner_find(uint64_t koid)
{
	for_each_owner(o)
		if (o->koid == koid)
			return o;
	return NULL;
}

/* Takes the handle over. */
static bool owner_keep(uint64_t koid, x_handle_t handle)
{
	struct object_owner *o = owner_find(koid);

	if (o) {
		out_close(handle);
		return true;
	}
	o = owner_find(0);
	if (!o && owners_end < OWNERS_MAX)
		o = &owners[owners_end++];
	if (!o)
		return false;
	*o = (struct object_owner){ koid, handle };
	arm(SWEEP_IDLE_NS);
	return true;
}

static void owner_drop(struct object_owner *o)
{
	out_close(o->handle);
	o->koid = 0;
	SLOTS_TRIM(owners, owners_end, koid);
}

static void owner_unlocked(struct lock_owner owner)
{
	struct object_owner *o = owner.object ? owner_find(owner.id) : NULL;

	if (o && !lock_held(owner))
		owner_drop(o);
}

/* ---- waiting ---- */

static void wait_end(struct lock_wait *w, int64_t status)
{
	out_status(w->call_id, status);
	if (w->handle != X_NO_HANDLE)
		out_close(w->handle);
	w->call_id = 0;
}

static int64_t grant(const struct lock *want, x_handle_t *handle)
{
	int64_t status = lock_set(want);

	if (status || !want->owner.object || want->type == LOCK_NONE)
		return status;
	if (owner_keep(want->owner.id, *handle)) {
		*handle = X_NO_HANDLE;
		return 0;
	}
	lock_drop(want->owner, &want->file);
	return -X_ENOLCK;
}

static struct lock_wait *first_after(uint64_t order)
{
	struct lock_wait *first = NULL;

	for (struct lock_wait *w = waits; w < waits + LOCK_WAITS_MAX; w++)
		if (w->call_id && w->order > order && (!first || w->order < first->order))
			first = w;
	return first;
}

/* Something was unlocked: whoever can go on, does. */
static void wake(void)
{
	uint64_t order = 0;
	struct lock_wait *w;

	while ((w = first_after(order))) {
		order = w->order;
		if (!lock_conflict(&w->want))
			wait_end(w, grant(&w->want, &w->handle));
	}
}

/* Would waiting for `blocker` be waiting for oneself? Follows who waits for
 * whom; a process waits for at most as many locks as there are waits. */
static bool deadlock(const struct lock *want, const struct lock *blocker)
{
	struct lock_owner at = blocker->owner;
	const struct lock *next;

	for (uint32_t step = 0; step < LOCK_WAITS_MAX; step++) {
		if (lock_owner_equal(at, want->owner))
			return true;
		next = NULL;
		for (struct lock_wait *w = waits; w < waits + LOCK_WAITS_MAX && !next; w++)
			if (w->call_id && w->want.class == LOCK_RECORD && lock_owner_equal(w->want.owner, at))
				next = lock_conflict(&w->want);
		if (!next)
			return false;
		at = next->owner;
	}
	return false;
}

/* 1: it waits, and the request is over. */
static int64_t wait_for(struct request *r, const struct lock *want, const struct lock *blocker)
{
	struct lock_wait *w = SLOT_FIND(waits, LOCK_WAITS_MAX, call_id);

	if (want->class == LOCK_RECORD && !want->owner.object && deadlock(want, blocker))
		return -X_EDEADLK;
	if (r->cancelled)
		return -X_EINTR;
	if (!w)
		return -X_ENOLCK;
	*w = (struct lock_wait){ r->call_id, next_order++, *want, X_NO_HANDLE };
	if (want->owner.object) {
		w->handle = r->in.handles[0];
		r->in.handles[0] = X_NO_HANDLE;
	}
	request_drop(r);
	arm(SWEEP_NS);
	return 1;
}

bool lock_cancel(uint64_t call_id)
{
	for (struct lock_wait *w = waits; w < waits + LOCK_WAITS_MAX; w++) {
		if (w->call_id != call_id)
			continue;
		wait_end(w, -X_EINTR);
		return true;
	}
	return false;
}

/* ---- ends ---- */

/* Open files of which only our handle is left. */
static bool drop_closed(void)
{
	bool any = false;

	for_each_owner(o) {
		struct lock_owner owner = { o->koid, true };
		uint32_t held = 1;

		if (!o->koid)
			continue;
		for (struct lock_wait *w = waits; w < waits + LOCK_WAITS_MAX; w++)
			held += w->call_id && w->handle != X_NO_HANDLE && lock_owner_equal(w->want.owner, owner);
		if (sys_handle_refs(o->handle) > held)
			continue;
		lock_drop(owner, NULL);
		owner_drop(o);
		any = true;
	}
	return any;
}

static void sweep(void *ctx)
{
	(void)ctx;
	if (drop_closed())
		wake();
	if (first_after(0))
		arm(SWEEP_NS);
	for_each_owner(o)
		if (o->koid)
			arm(SWEEP_IDLE_NS);
}

void lock_session_closed(uint64_t session)
{
	bool any = lock_drop((struct lock_owner){ session, false }, NULL);

	any |= drop_closed();
	if (any)
		wake();
}

/* ---- calls ---- */

static uint32_t open_mode(const struct request *r)
{
	int64_t flags = sys_handle_flags(r->in.handles[0]);

	return flags < 0 ? F_O_PATH : (uint32_t)flags;
}

static int64_t take_flock(const struct request *r, struct lock *want, bool *waits_for)
{
	uint64_t op = r->in.msg.a[0];

	*waits_for = !(op & LOCK_NB);
	want->class = LOCK_FLOCK;
	want->end = INT64_MAX;
	want->owner.object = true;
	switch (op & ~(uint64_t)LOCK_NB) {
	case LOCK_SH: want->type = LOCK_READ; return 0;
	case LOCK_EX: want->type = LOCK_WRITE; return 0;
	case LOCK_UN: want->type = LOCK_NONE; return 0;
	default: return -X_EINVAL;
	}
}

static int64_t take_record(const struct request *r, struct lock *want, bool *waits_for)
{
	const uint64_t *a = r->in.msg.a;
	uint32_t mode = open_mode(r);

	*waits_for = (a[0] & VFS_LOCK_OP) == VFS_LOCK_WAIT;
	want->class = LOCK_RECORD;
	want->type = (uint8_t)a[1];
	want->start = a[2];
	want->end = a[3];
	want->owner.object = a[0] & VFS_LOCK_OFD;
	want->pid = want->owner.object ? UINT32_MAX : (uint32_t)a[4];
	if (a[1] > LOCK_NONE || want->start > want->end || want->end > INT64_MAX)
		return -X_EINVAL;
	if ((a[0] & VFS_LOCK_OP) == VFS_LOCK_GET)
		return 0;
	if ((want->type == LOCK_READ && !file_may_read(mode)) ||
	    (want->type == LOCK_WRITE && !file_may_write(mode)))
		return -X_EBADF;
	return 0;
}

static int64_t take(const struct request *r, struct lock *want, bool *waits_for)
{
	int64_t status;

	*want = (struct lock){ 0 };
	if (!r->in.handle_count || open_mode(r) & F_O_PATH)
		return -X_EBADF;
	status = r->in.msg.op == VFS_FLOCK ? take_flock(r, want, waits_for) : take_record(r, want, waits_for);
	want->owner.id = want->owner.object ? sys_handle_koid(r->in.handles[0]) : r->session;
	return status;
}

void lock_start(struct request *r)
{
	struct x_msg stat = { .op = FILE_STAT };
	struct lock want;
	bool waits_for;
	int64_t status;

	if (r->in.msg.op == VFS_LOCK_CLOSED && !r->in.handle_count) {
		if (drop_closed())
			wake();
		request_finish(r, 0);
		return;
	}
	status = r->in.msg.op == VFS_LOCK_CLOSED ? 0 : take(r, &want, &waits_for);
	if (status)
		request_finish(r, status);
	else
		request_handle_call(r, REQUEST_CALL, 0, r->in.handles[0], &stat, r->text, sizeof(struct file_attr));
}

static void answer_get(struct request *r, const struct lock *want)
{
	const struct lock *l = lock_conflict(want);
	struct x_msg msg = { .a = { LOCK_NONE } };

	if (l) {
		msg.a[0] = l->type;
		msg.a[1] = l->start;
		msg.a[2] = l->end;
		msg.a[3] = l->pid;
	}
	out_answer(r->call_id, &msg);
	request_drop(r);
}

/* What flock has of another kind it gives up before it asks for the new. */
static bool give_up_other(const struct lock *want)
{
	struct lock none = *want;

	if (want->class != LOCK_FLOCK || lock_has(want))
		return false;
	none.type = LOCK_NONE;
	lock_set(&none);
	return true;
}

static void lock_or_wait(struct request *r, struct lock *want, bool waits_for)
{
	bool unlocked = give_up_other(want);
	const struct lock *blocker = lock_conflict(want);
	int64_t status;

	if (blocker && drop_closed()) {
		unlocked = true;
		blocker = lock_conflict(want);
	}
	if (!blocker)
		status = grant(want, &r->in.handles[0]);
	else
		status = waits_for ? wait_for(r, want, blocker) : -X_EAGAIN;
	if (status <= 0)
		request_finish(r, status);
	owner_unlocked(want->owner);
	if (unlocked || !blocker)
		wake();
}

void lock_called(struct request *r)
{
	struct file_attr attr;
	struct lock want;
	bool waits_for;
	int64_t status;

	if (r->call.status < 0) {
		request_finish(r, r->call.status);
		return;
	}
	memcpy(&attr, r->text, sizeof(attr));
	if (r->in.msg.op == VFS_LOCK_CLOSED) {
		struct lock_file file = { attr.dev, attr.ino };

		if (lock_drop((struct lock_owner){ r->session, false }, &file))
			wake();
		request_finish(r, 0);
		return;
	}
	status = take(r, &want, &waits_for);
	want.file = (struct lock_file){ attr.dev, attr.ino };
	if (status)
		request_finish(r, status);
	else if (want.class == LOCK_RECORD && (r->in.msg.a[0] & VFS_LOCK_OP) == VFS_LOCK_GET)
		answer_get(r, &want);
	else
		lock_or_wait(r, &want, waits_for);
}
