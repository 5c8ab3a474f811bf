/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * io_uring: the rings themselves. A ring's memory is two memory objects (rings; submission
 * entries), mapped by the program and here, and the struct uring, in a place of its own in
 * the personality's scratch area. Its descriptor is an eventfd of pm, which is made to look
 * readable only when somebody polls it: see uring_before_wait().
 *
 * Not here: submission by a kernel thread (SQPOLL), polled I/O (IOPOLL), entries of double
 * size, provided buffers. A child has its parent's descriptor but no ring behind it.
 */
#include "personality/linux/uring.h"

#define URING_AREA    (PERS_SCRATCH + 0x20000000ull) /* behind the threads' buffers */
#define URING_STRIDE  0x4000000ull
#define SQES_AT       0x1000000ull
#define STATE_AT      0x2000000ull
#define BUFFERS_AT    0x3000000ull
#define FILES_AT      0x3100000ull
#define STATE_END     0x3200000ull
#define ENTRIES_MAX   32768u
#define REQUESTS_MAX  16384u

#define OFF_CQ_RING   0x8000000ull
#define OFF_SQES      0x10000000ull

#define SETUP_CQSIZE        8u
#define SETUP_CLAMP         16u
#define SETUP_R_DISABLED    64u
#define SETUP_SUBMIT_ALL    128u
#define SETUP_COOP_TASKRUN  256u
#define SETUP_TASKRUN_FLAG  512u
#define SETUP_SINGLE_ISSUER 4096u
#define SETUP_DEFER_TASKRUN 8192u
#define SETUP_KNOWN (SETUP_CQSIZE | SETUP_CLAMP | SETUP_R_DISABLED | SETUP_SUBMIT_ALL | SETUP_COOP_TASKRUN | \
		     SETUP_TASKRUN_FLAG | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN)

/* SINGLE_MMAP NODROP SUBMIT_STABLE RW_CUR_POS FAST_POLL POLL_32BITS EXT_ARG NATIVE_WORKERS
 * CQE_SKIP LINKED_FILE */
#define FEATURES 0x1b6fu

_Static_assert(URING_STRIDE * URINGS + URING_AREA <= PERS_SCRATCH_END, "rings fit in");
_Static_assert(sizeof(struct uring) + REQUESTS_MAX * sizeof(struct uring_request) <= BUFFERS_AT - STATE_AT, "requests fit in");
_Static_assert(sizeof(struct uring_shared) % 64 == 0, "rings are aligned");

struct ring_offsets { uint32_t o[8]; uint64_t user_address; };
struct uring_params {
	uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, reserved[3];
	struct ring_offsets sq, cq;
};
_Static_assert(sizeof(struct uring_params) == 120, "struct io_uring_params");

/* -------------------------------------------------------------------- finding */

/* Held until uring_drop(). NULL: no ring. */
static struct uring *hold(uint64_t fd)
{
	struct x_handle_info info = { 0 };
	struct uring *u = NULL;

	if (!process.ring_end || check_fd(fd))
		return NULL;
	process_lock();
	for (uint32_t i = 0; i < process.ring_end && !u; i++)
		if (process.rings[i] && !process.rings[i]->closing && process.rings[i]->fd == (uint32_t)fd)
			u = process.rings[i];
	if (!u && x_handle_info((x_handle_t)fd, &info) >= 0)
		for (uint32_t i = 0; i < process.ring_end && !u; i++)
			if (process.rings[i] && !process.rings[i]->closing && process.rings[i]->koid == info.koid)
				u = process.rings[i];
	if (u) {
		u->fd = (uint32_t)fd;
		u->holds++;
	}
	process_unlock();
	return u;
}

void uring_hold(struct uring *u)
{
	process_lock();
	u->holds++;
	process_unlock();
}

static void give_up(struct uring *u)
{
	x_handle_t handles[] = { u->rings_memory, u->sqes_memory, u->event, u->port, u->set };

	for (uint32_t i = 0; i < sizeof(handles) / sizeof(*handles); i++)
		if (handles[i])
			x_handle_close(handles[i]);
	x_mem_unmap(X_SELF, URING_AREA + u->index * URING_STRIDE, STATE_END);
}

void uring_drop(struct uring *u)
{
	uint32_t index = u->index;

	process_lock();
	if (--u->holds == 0) {
		give_up(u);
		process.rings[index] = NULL;
	}
	process_unlock();
}

/* The child has none of its parent's: only their descriptors. */
void uring_after_fork(void)
{
	for (uint32_t i = 0; i < process.ring_end; i++)
		if (process.rings[i])
			x_mem_unmap(X_SELF, URING_AREA + i * URING_STRIDE, STATE_END);
	memset(process.rings, 0, sizeof(process.rings));
	process.ring_end = 0;
}

/* -------------------------------------------------------------------- setting up */

static int64_t map_here(uint64_t at, uint64_t bytes, x_handle_t memory)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = memory, .addr = at, .len = bytes, .prot = X_PROT_READ | X_PROT_WRITE,
		.flags = X_MAP_FIXED | X_MAP_PERSONALITY | (memory == X_NO_HANDLE ? X_MAP_PRIVATE : 0),
	};

	return x_mem_map(&m);
}

/* Both memories, mapped at base: 0 or -X_ENOMEM. */
static int64_t make_memory(struct uring *u, uint64_t base)
{
	struct x_mem_create rings = { .bytes = u->rings_bytes }, sqes = { .bytes = u->sqes_bytes };
	int64_t a = x_mem_create(&rings), b = x_mem_create(&sqes);

	u->rings_memory = a > 0 ? (x_handle_t)a : 0;
	u->sqes_memory = b > 0 ? (x_handle_t)b : 0;
	if (a < 0 || b < 0 || map_here(base, u->rings_bytes, u->rings_memory) < 0 ||
	    map_here(base + SQES_AT, u->sqes_bytes, u->sqes_memory) < 0)
		return -X_ENOMEM;
	return 0;
}

static void lay_out(struct uring *u, uint64_t base)
{
	u->shared = (struct uring_shared *)base;
	u->array = (uint32_t *)(base + sizeof(struct uring_shared) + u->cq_entries * sizeof(struct uring_cqe));
	u->sqes = (struct uring_sqe *)(base + SQES_AT);
	u->buffers = (struct linux_iovec *)(base + BUFFERS_AT);
	u->files = (x_handle_t *)(base + FILES_AT);
	u->shared->sq_mask = u->sq_entries - 1;
	u->shared->cq_mask = u->cq_entries - 1;
	u->shared->sq_entries = u->sq_entries;
	u->shared->cq_entries = u->cq_entries;
}

/* [L] held. fd is its descriptor. NULL: no memory, or too many. */
static struct uring *make(const struct uring_params *p, uint64_t fd)
{
	struct x_handle_info info;
	uint32_t i = 0;
	struct uring *u;
	uint64_t base;
	int64_t event;

	while (i < URINGS && process.rings[i])
		i++;
	base = URING_AREA + i * URING_STRIDE;
	if (i == URINGS || map_here(base + STATE_AT, STATE_END - STATE_AT, X_NO_HANDLE) < 0)
		return NULL;
	u = (struct uring *)(base + STATE_AT);
	u->index = i;
	u->flags = p->flags;
	u->fd = (uint32_t)fd;
	u->holds = 1;
	u->sq_entries = p->sq_entries;
	u->cq_entries = p->cq_entries;
	u->requests_max = u->cq_entries + 1024 < REQUESTS_MAX ? u->cq_entries + 1024 : REQUESTS_MAX;
	u->rings_bytes = sizeof(struct uring_shared) + u->cq_entries * sizeof(struct uring_cqe) + u->sq_entries * 4ull;
	u->sqes_bytes = u->sq_entries * sizeof(struct uring_sqe);
	event = x_handle_dup((x_handle_t)fd, 0, X_SLOT_NATIVE, 0);
	u->event = event > 0 ? (x_handle_t)event : 0;
	if (event < 0 || x_handle_info(u->event, &info) < 0 || make_memory(u, base)) {
		give_up(u);
		return NULL;
	}
	u->koid = info.koid;
	u->set_deadline_ns = X_FOREVER;
	lay_out(u, base);
	process.rings[i] = u;
	if (i >= process.ring_end)
		process.ring_end = i + 1;
	return u;
}

static uint32_t power_of_two(uint32_t n) { return n < 2 ? 1 : 1u << (32 - __builtin_clz(n - 1)); }

/* Sizes: 0 or -X_EINVAL. */
static int64_t settle_params(struct uring_params *p, uint32_t entries)
{
	uint32_t cq_max = 2 * ENTRIES_MAX;

	if (p->reserved[0] || p->reserved[1] || p->reserved[2] || p->flags & ~SETUP_KNOWN)
		return -X_EINVAL;
	if ((p->flags & SETUP_DEFER_TASKRUN && !(p->flags & SETUP_SINGLE_ISSUER)) ||
	    (p->flags & SETUP_TASKRUN_FLAG && !(p->flags & (SETUP_COOP_TASKRUN | SETUP_DEFER_TASKRUN))))
		return -X_EINVAL;
	if (!entries || (entries > ENTRIES_MAX && !(p->flags & SETUP_CLAMP)))
		return -X_EINVAL;
	p->sq_entries = power_of_two(entries < ENTRIES_MAX ? entries : ENTRIES_MAX);
	if (!(p->flags & SETUP_CQSIZE)) {
		p->cq_entries = 2 * p->sq_entries;
		return 0;
	}
	if (!p->cq_entries || (p->cq_entries > cq_max && !(p->flags & SETUP_CLAMP)))
		return -X_EINVAL;
	p->cq_entries = power_of_two(p->cq_entries < cq_max ? p->cq_entries : cq_max);
	return p->cq_entries < p->sq_entries ? -X_EINVAL : 0;
}

#define SHARED(field) ((uint32_t)offsetof(struct uring_shared, field))

int64_t linux_io_uring_setup(struct sys *s)
{
	struct sys event = { .frame = s->frame, .thread = s->thread, .a = { 0, F_O_CLOEXEC | F_O_NONBLOCK } };
	struct uring_params p;
	struct uring *u;
	int64_t fd;

	if (copy_in(&p, s->a[1], sizeof(p)))
		return -X_EFAULT;
	fd = settle_params(&p, (uint32_t)s->a[0]);
	if (fd)
		return fd;
	p.features = FEATURES;
	p.sq = (struct ring_offsets){ { SHARED(sq_head), SHARED(sq_tail), SHARED(sq_mask), SHARED(sq_entries),
		SHARED(sq_flags), SHARED(sq_dropped), SHARED(cqes) + p.cq_entries * (uint32_t)sizeof(struct uring_cqe) }, 0 };
	p.cq = (struct ring_offsets){ { SHARED(cq_head), SHARED(cq_tail), SHARED(cq_mask), SHARED(cq_entries),
		SHARED(cq_overflow), SHARED(cqes), SHARED(cq_flags) }, 0 };
	if (copy_out(s->a[1], &p, sizeof(p)))
		return -X_EFAULT;
	fd = linux_eventfd2(&event);
	if (fd < 0)
		return fd;
	process_lock();
	u = make(&p, (uint64_t)fd);
	process_unlock();
	if (!u)
		x_handle_close((x_handle_t)fd);
	return u ? fd : -X_ENOMEM;
}

/* mmap of a ring's descriptor: an address, or -X_ENODEV if it is none. */
int64_t uring_map(struct x_mem_map *m, uint64_t fd)
{
	struct uring *u = hold(fd);
	bool sqes = m->offset == OFF_SQES;
	int64_t at = -X_EINVAL;

	if (!u)
		return -X_ENODEV;
	if ((sqes || m->offset == 0 || m->offset == OFF_CQ_RING) &&
	    m->len <= (((sqes ? u->sqes_bytes : u->rings_bytes) + X_PAGE_SIZE - 1) & ~((uint64_t)X_PAGE_SIZE - 1))) {
		m->memory = sqes ? u->sqes_memory : u->rings_memory;
		m->offset = 0;
		at = x_mem_map(m);
		at = at == -X_EFAULT || at == -X_ERANGE ? -X_ENOMEM : linux_error(at);
	}
	uring_drop(u);
	return at;
}

/* ------------------------------------------------------------------ its descriptor */

static bool has_completions(const struct uring *u)
{
	return u->overflow.first || u->cq_tail != __atomic_load_n(&u->shared->cq_head.value, __ATOMIC_ACQUIRE);
}

/* The eventfd as it should look. It is never waited for. */
void uring_ring(struct uring *u)
{
	uint64_t one = 1, value;

	if (!u->watched || u->ringing == has_completions(u))
		return;
	u->ringing = !u->ringing;
	if (u->ringing)
		file_transfer(u->event, FILE_WRITE, (uint64_t)&one, sizeof(one), -1, 0);
	else
		file_transfer(u->event, FILE_READ, (uint64_t)&value, sizeof(value), -1, 0);
}

/* Before a wait that may include rings: the program has taken completions without telling. */
void uring_before_wait(void)
{
	for (uint32_t i = 0; i < process.ring_end; i++) {
		struct uring *u;

		process_lock();
		u = process.rings[i] && process.rings[i]->watched && !process.rings[i]->closing ? process.rings[i] : NULL;
		if (u)
			u->holds++;
		process_unlock();
		if (!u)
			continue;
		uring_lock(u);
		uring_ring(u);
		uring_unlock(u);
		uring_drop(u);
	}
}

void uring_watch(uint64_t fd)
{
	struct uring *u = hold(fd);

	if (!u)
		return;
	uring_lock(u);
	u->watched = true;
	uring_ring(u);
	uring_unlock(u);
	uring_drop(u);
}

/* A descriptor was closed or replaced: of which rings was it the last? Ours is one handle
 * of the event; that it lies in the wait set is another use. */
void uring_fd_closed(void)
{
	for (uint32_t i = 0; i < process.ring_end; i++) {
		struct x_handle_info info;
		struct uring *u = process.rings[i];

		if (!u || u->closing)
			continue;
		u->fd = X_NO_HANDLE;
		if (x_handle_info(u->event, &info) < 0 || info.refs > (u->set ? 2u : 1u))
			continue;
		uring_close(u);
		uring_drop(u);
	}
}

/* ------------------------------------------------------------------------ entering */

#define ENTER_GETEVENTS 1u
#define ENTER_EXT_ARG   8u

static void hold_chain(struct uring *u, struct uring_request **first, struct uring_request **last, struct uring_request *r)
{
	if (*last)
		(*last)->next = uring_number(u, r);
	else
		*first = r;
	*last = r;
}

/* A chain, or one request. If one of them is not valid none is done. */
static void issue(struct uring_run *run, struct uring_request *first)
{
	struct uring *u = run->ring;
	bool bad = false, later = first->sqe.flags & IOSQE_IO_DRAIN;

	for (struct uring_request *r = first; r; r = uring_request(u, r->next))
		bad |= r->failed;
	uring_lock(u);
	if (bad) {
		for (struct uring_request *r = first, *next; r; r = next) {
			next = uring_request(u, r->next);
			r->next = 0;
			uring_due(u, r, r->failed ? r->result : -X_ECANCELED);
		}
	} else if (later || u->deferred.first) {
		uring_push(u, &u->deferred, first);
		first = NULL;
	}
	uring_unlock(u);
	if (!bad && first)
		uring_go(run, first);
	else
		uring_pump(run);
}

/* The next entry of the submission ring: false if there is none. */
static bool next_entry(struct uring *u, struct uring_sqe *e)
{
	while (u->sq_head != __atomic_load_n(&u->shared->sq_tail.value, __ATOMIC_ACQUIRE)) {
		uint32_t at = u->array[u->sq_head & (u->sq_entries - 1)];

		if (at < u->sq_entries) {
			*e = *(volatile struct uring_sqe *)&u->sqes[at];
			return true;
		}
		u->sq_head++;
		u->shared->sq_dropped++;
	}
	return false;
}

/* How many were taken, or -X_EAGAIN: no room for another. */
static int64_t submit(struct uring_run *run, uint32_t count)
{
	struct uring *u = run->ring;
	struct uring_request *first = NULL, *last = NULL, *r;
	struct uring_sqe e;
	uint32_t done = 0;
	bool room = true;

	while (done < count && next_entry(u, &e)) {
		bool stop;

		r = u->started < URING_STARTED_MAX ? uring_take(u) : NULL;
		room = r != NULL;
		if (!r)
			break;
		__atomic_store_n(&u->shared->sq_head.value, ++u->sq_head, __ATOMIC_RELEASE);
		done++;
		r->sqe = e;
		r->result = (int32_t)uring_check(&e);
		r->failed = r->result != 0;
		stop = r->failed && !(u->flags & SETUP_SUBMIT_ALL);
		hold_chain(u, &first, &last, r);
		if (!(e.flags & (IOSQE_IO_LINK | IOSQE_IO_HARDLINK)) || stop) {
			issue(run, first);
			first = last = NULL;
		}
		if (stop)
			break;
	}
	if (first) /* a chain ends where submitting does */
		issue(run, first);
	__atomic_store_n(&u->shared->sq_head.value, u->sq_head, __ATOMIC_RELEASE);
	uring_pump(run);
	return done || room ? (int64_t)done : -X_EAGAIN;
}

struct getevents { uint64_t mask, deadline_ns; bool masked; };

static int64_t get_argument(struct sys *s, uint32_t flags, struct getevents *g)
{
	struct { uint64_t mask; uint32_t mask_bytes, pad; uint64_t timeout; } arg = { s->a[4], (uint32_t)s->a[5], 0, 0 };
	int64_t error = 0;

	*g = (struct getevents){ .deadline_ns = X_FOREVER };
	if (flags & ENTER_EXT_ARG) {
		if (s->a[5] != sizeof(arg))
			return -X_EINVAL;
		if (copy_in(&arg, s->a[4], sizeof(arg)))
			return -X_EFAULT;
	}
	if (arg.timeout)
		error = deadline_from_timespec(arg.timeout, &g->deadline_ns);
	g->masked = arg.mask != 0;
	return error || !arg.mask ? error : use_signal_mask(s, arg.mask, arg.mask_bytes, &g->mask);
}

/* Until so many can be fetched: 0, -X_ETIME, -X_EINTR. */
static int64_t wait_for(struct uring *u, uint32_t count, uint64_t deadline)
{
	int64_t n = 0;

	if (count > u->cq_entries)
		count = u->cq_entries;
	for (;;) {
		uint32_t seen, have;

		uring_lock(u);
		uring_flush_overflow(u);
		have = u->cq_tail - __atomic_load_n(&u->shared->cq_head.value, __ATOMIC_ACQUIRE);
		seen = u->posted;
		if (have < count && n == 0) {
			u->want = !u->waiters || count < u->want ? count : u->want;
			u->waiters++;
		}
		uring_unlock(u);
		if (have >= count || n)
			return have >= count ? 0 : n == -X_ETIMEDOUT ? -X_ETIME : n;
		n = x_futex_wait(&u->posted, seen, deadline, ~0u);
		n = n == -X_ETIMEDOUT || n == -X_EINTR ? n : 0;
		uring_lock(u);
		u->waiters--;
		uring_unlock(u);
	}
}

static int64_t get_events(struct sys *s, struct uring *u, const struct getevents *g, bool submitted)
{
	int64_t n;

	if (g->masked)
		install_mask(s, g->mask);
	n = wait_for(u, (uint32_t)s->a[2], g->deadline_ns);
	if (g->masked && (n != -X_EINTR || submitted))
		install_mask(s, s->frame->mask);
	return n == -X_EINTR && !submitted ? wait_interrupted(s, g->masked ? &g->mask : NULL) : n;
}

int64_t linux_io_uring_enter(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[3];
	struct uring_run run = { .thread = s->thread };
	struct getevents g;
	int64_t done = 0, n = 0;
	struct uring *u;

	if (flags & ~(ENTER_GETEVENTS | ENTER_EXT_ARG))
		return -X_EINVAL;
	u = hold(s->a[0]);
	if (!u)
		return check_fd(s->a[0]) || x_handle_cloexec((x_handle_t)s->a[0], -1) < 0 ? -X_EBADF : -X_EOPNOTSUPP;
	run.ring = u;
	if (u->flags & SETUP_R_DISABLED)
		done = -X_EBADFD;
	if (!done && (uint32_t)s->a[1]) {
		word_lock(&u->submitting);
		done = submit(&run, (uint32_t)s->a[1]);
		word_unlock(&u->submitting);
	}
	if (done >= 0 && (flags & ENTER_GETEVENTS) && done == (uint32_t)s->a[1]) {
		n = get_argument(s, flags, &g);
		if (!n)
			n = get_events(s, u, &g, done > 0);
	}
	uring_drop(u);
	return done ? done : n;
}

int64_t uring_control(uint64_t fd, int64_t (*act)(struct uring *u, const uint64_t *a), const uint64_t *a)
{
	struct uring *u = hold(fd);
	int64_t result;

	if (!u)
		return check_fd(fd) || x_handle_cloexec((x_handle_t)fd, -1) < 0 ? -X_EBADF : -X_EOPNOTSUPP;
	word_lock(&u->submitting);
	result = act(u, a);
	word_unlock(&u->submitting);
	uring_drop(u);
	return result;
}

void uring_enable(struct uring *u) { u->flags &= ~SETUP_R_DISABLED; }
bool uring_is_disabled(const struct uring *u) { return u->flags & SETUP_R_DISABLED; }
