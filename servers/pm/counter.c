/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors that count: eventfd, and timerfd, whose count is that of its
 * expirations. Served as files (proto/file.h): read takes the count, or waits
 * for one; write adds to that of an eventfd.
 */
#include "lib/c/slots.h"
#include "proto/socket.h"
#include "servers/pm/pm.h"

enum { COUNTERS_MAX = 1024, PARKED_MAX = 256 };

#define COUNT_MAX (UINT64_MAX - 1)

enum counter_kind { COUNTER_FREE, COUNTER_EVENT, COUNTER_SEMAPHORE, COUNTER_TIMER };

static struct counter {
	uint8_t kind;
	uint32_t generation;
	uint64_t count;          /* timer: expirations not yet read, but for those since deadline_ns */
	uint32_t clock;
	uint64_t deadline_ns;    /* timer: next expiration, monotonic; 0: disarmed */
	uint64_t interval_ns;
	uint64_t wall_ns;        /* timer: deadline_ns is this time of day; 0: it is not one */
	bool cancels, cancelled; /* timer: setting the clock ends it; did so, and nobody was told yet */
	uint64_t created_ns;
	struct server_timer timer;
} counters[COUNTERS_MAX];

static struct parked {
	uint64_t call_id;        /* 0: free */
	struct counter *counter;
	bool writes;
	uint64_t value, order;
} parked[PARKED_MAX];
static uint64_t parked_order;
static uint32_t parked_end;      /* all from here up are free */

#define for_each_parked(p) for (struct parked *p = parked; p < parked + parked_end; p++)

static void unpark(struct parked *p)
{
	p->call_id = 0;
	SLOTS_TRIM(parked, parked_end, call_id);
}

static uint64_t counter_object(const struct counter *c)
{
	return object_id(OBJECT_COUNTER, c->generation, (uint32_t)(c - counters));
}

static struct counter *counter_of(uint64_t object)
{
	struct counter *c = &counters[object_index(object) % COUNTERS_MAX];

	return c->kind != COUNTER_FREE && counter_object(c) == object ? c : NULL;
}

/* ---- expiration ---- */

/* Count what has expired by now, and set the next one. */
static void timer_advance(struct counter *c)
{
	uint64_t times = 1;

	if (!c->deadline_ns || c->deadline_ns > server_now_ns)
		return;
	if (c->interval_ns) {
		times += (server_now_ns - c->deadline_ns) / c->interval_ns;
		c->deadline_ns += times * c->interval_ns;
		c->wall_ns += c->wall_ns ? times * c->interval_ns : 0;
	} else {
		c->deadline_ns = c->wall_ns = 0;
	}
	c->count += times;
}

static bool take(struct counter *c, uint64_t *value)
{
	if (c->kind == COUNTER_TIMER)
		timer_advance(c);
	if (c->count == 0)
		return false;
	*value = c->kind == COUNTER_SEMAPHORE ? 1 : c->count;
	c->count -= *value;
	return true;
}

static bool give(struct counter *c, uint64_t value)
{
	if (value > COUNT_MAX - c->count)
		return false;
	c->count += value;
	return true;
}

static void read_done(uint64_t call_id, uint64_t value)
{
	int64_t n = window_write(call_id, 0, 0, &value, sizeof(value));

	out_status(call_id, n == sizeof(value) ? n : -X_EFAULT);
}

static struct parked *first_parked(const struct counter *c, bool writes)
{
	struct parked *first = NULL;

	for_each_parked(p)
		if (p->call_id && p->counter == c && p->writes == writes && (!first || p->order < first->order))
			first = p;
	return first;
}

/* To the first who reads it since. */
static bool tell_cancelled(struct counter *c, uint64_t call_id)
{
	if (!c->cancelled)
		return false;
	c->cancelled = false;
	c->count = 0;
	out_status(call_id, -X_ECANCELED);
	return true;
}

/* A timer that nobody reads is left alone after its first expiration. */
static void timer_arm(struct counter *c)
{
	if (c->deadline_ns && c->count == 0)
		timer_set(&c->timer, c->deadline_ns);
	else
		timer_clear(&c->timer);
}

/* The count changed: go on with those who wait, tell those who poll. */
static void changed(struct counter *c, bool pulse)
{
	struct parked *reader, *writer;
	uint64_t value;
	bool moved = true;

	while (moved) {
		moved = false;
		reader = first_parked(c, false);
		if (reader && tell_cancelled(c, reader->call_id)) {
			unpark(reader);
			moved = true;
		} else if (reader && take(c, &value)) {
			read_done(reader->call_id, value);
			unpark(reader);
			moved = true;
		}
		writer = first_parked(c, true);
		if (writer && give(c, writer->value)) {
			out_status(writer->call_id, 8);
			unpark(writer);
			moved = true;
		}
	}
	out_ready(counter_object(c), X_READY_IN | X_READY_OUT,
		  (c->count ? X_READY_IN : 0) |
		  (c->kind != COUNTER_TIMER && c->count < COUNT_MAX ? X_READY_OUT : 0),
		  pulse && c->count ? X_READY_IN : 0);
	if (c->kind == COUNTER_TIMER)
		timer_arm(c);
}

static void expired(void *ctx)
{
	struct counter *c = ctx;

	timer_advance(c);
	changed(c, true);
}

/* ---- making and ending ---- */

static struct counter *counter_new(enum counter_kind kind)
{
	for (struct counter *c = counters; c < counters + COUNTERS_MAX; c++) {
		uint32_t generation = c->generation + 1;

		if (c->kind != COUNTER_FREE)
			continue;
		*c = (struct counter){ .kind = (uint8_t)kind, .generation = generation,
				       .created_ns = server_now_ns };
		c->timer.fn = expired;
		c->timer.ctx = c;
		return c;
	}
	return NULL;
}

static void hand_out(const struct x_in *in, struct counter *c, uint32_t ready)
{
	struct x_out *out;
	int64_t h = -X_ENFILE;

	if (c)
		h = x_mint(server_port, counter_object(c), 0, ready,
			   F_O_RDWR | ((uint32_t)in->msg.a[2] & F_O_NONBLOCK));
	if (h < 0) {
		if (c)
			c->kind = COUNTER_FREE;
		out_status(in->id, h);
		return;
	}
	out = out_answer_entry(in->id);
	out->handles[0] = (x_handle_t)h;
	out->handle_count = 1;
}

void eventfd_call(struct proc *p, const struct x_in *in)
{
	struct counter *c = counter_new(in->msg.a[1] ? COUNTER_SEMAPHORE : COUNTER_EVENT);

	(void)p;
	if (c)
		c->count = (uint32_t)in->msg.a[0];
	hand_out(in, c, X_READY_OUT | (c && c->count ? X_READY_IN : 0));
}

void timerfd_call(struct proc *p, const struct x_in *in)
{
	struct counter *c = counter_new(COUNTER_TIMER);

	(void)p;
	if (c)
		c->clock = (uint32_t)in->msg.a[1];
	hand_out(in, c, 0);
}

void counter_closed(uint64_t object)
{
	struct counter *c = counter_of(object);

	if (!c)
		return;
	timer_clear(&c->timer);
	c->kind = COUNTER_FREE;
}

bool counter_cancel(uint64_t call_id)
{
	for_each_parked(p) {
		if (p->call_id != call_id)
			continue;
		unpark(p);
		out_status(call_id, -X_EINTR);
		return true;
	}
	return false;
}

/* ---- calls ---- */

static void park(struct counter *c, const struct x_in *in, bool writes, uint64_t value)
{
	struct parked *p = SLOT_FIND(parked, parked_end, call_id);

	if ((in->status_flags & F_O_NONBLOCK) || !p) {
		out_status(in->id, in->status_flags & F_O_NONBLOCK ? -X_EAGAIN : -X_ENOMEM);
		return;
	}
	SLOT_TAKEN(parked, parked_end, p);
	*p = (struct parked){ in->id, c, writes, value, ++parked_order };
}

static void read_call(struct counter *c, const struct x_in *in)
{
	uint64_t value;

	if (in->win_count == 0 || in->win[0].len < sizeof(value)) {
		out_status(in->id, -X_EINVAL);
	} else if (tell_cancelled(c, in->id)) {
		changed(c, false);
	} else if (first_parked(c, false) || !take(c, &value)) {
		park(c, in, false, 0);
	} else {
		read_done(in->id, value);
		changed(c, false);
	}
}

static void write_call(struct counter *c, const struct x_in *in)
{
	uint64_t value;

	if (c->kind == COUNTER_TIMER || in->win_count == 0 || in->win[0].len < sizeof(value) ||
	    window_read(in->id, 0, 0, &value, sizeof(value)) != sizeof(value) || value == UINT64_MAX) {
		out_status(in->id, -X_EINVAL);
	} else if (first_parked(c, true) || !give(c, value)) {
		park(c, in, true, value);
	} else {
		out_status(in->id, sizeof(value));
		changed(c, value != 0);
	}
}

static void old_setting(struct counter *c, struct x_msg *msg)
{
	timer_advance(c);
	msg->a[0] = c->deadline_ns ? c->deadline_ns - server_now_ns : 0;
	msg->a[1] = c->interval_ns;
}

uint64_t clock_deadline(uint32_t clock, uint64_t when_ns, bool absolute)
{
	uint64_t realtime, now;

	if (!absolute)
		return when_ns >= X_FOREVER / 2 - server_now_ns ? X_FOREVER / 2 : server_now_ns + when_ns;
	if (!clock_is_wall(clock))
		return when_ns;
	realtime = (uint64_t)x_clock(X_CLOCK_REALTIME);
	now = (uint64_t)x_clock(X_CLOCK_MONOTONIC);
	return when_ns > realtime ? now + (when_ns - realtime) : 1;
}

bool clock_is_wall(uint32_t clock)
{
	return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM || clock == CLOCK_TAI;
}

void counters_clock_set(void)
{
	for (struct counter *c = counters; c < counters + COUNTERS_MAX; c++) {
		if (c->kind != COUNTER_TIMER || !c->wall_ns)
			continue;
		c->deadline_ns = clock_deadline(c->clock, c->wall_ns, true);
		c->cancelled = c->cancels;
		c->count += c->cancels && !c->count; /* so that it is ready */
		timer_advance(c);
		changed(c, true);
	}
}

static void set_call(struct counter *c, const struct x_in *in)
{
	struct x_msg msg = { 0 };
	uint64_t first = in->msg.a[0];

	old_setting(c, &msg);
	c->count = 0;
	c->cancelled = false;
	c->interval_ns = in->msg.a[1];
	c->deadline_ns = first ? clock_deadline(c->clock, first, in->msg.a[2] & 1) : 0;
	c->wall_ns = in->msg.a[2] & 1 && clock_is_wall(c->clock) ? first : 0;
	c->cancels = in->msg.a[2] & 2;
	if (first && c->deadline_ns == 0)
		c->deadline_ns = 1;
	out_answer(in->id, &msg);
	timer_advance(c);
	changed(c, true);
}

static void stat_call(const struct counter *c, const struct x_in *in)
{
	struct file_attr attr = {
		.dev = 15, .ino = 1, .mode = 0600, .nlink = 1, .block_bytes = X_PAGE_SIZE,
		.atime_ns = c->created_ns, .mtime_ns = c->created_ns, .ctime_ns = c->created_ns,
	};

	out_status(in->id, window_write(in->id, 0, 0, &attr, sizeof(attr)) == sizeof(attr) ? 0 : -X_EFAULT);
}

void counter_call(const struct x_in *in)
{
	struct counter *c = counter_of(in->object);
	struct x_msg msg = { 0 };

	if (!c) {
		out_status(in->id, -X_ESTALE_HANDLE);
		return;
	}
	switch (in->msg.op) {
	case FILE_READ:
		read_call(c, in);
		break;
	case FILE_WRITE:
		write_call(c, in);
		break;
	case FILE_STAT:
		stat_call(c, in);
		break;
	case FILE_SIZE:
		out_status(in->id, -X_ESPIPE);
		break;
	case FILE_IOCTL:
		out_status(in->id, -X_ENOTTY);
		break;
	case FILE_TIMER_SET:
	case FILE_TIMER_GET:
		if (c->kind != COUNTER_TIMER) {
			out_status(in->id, -X_EINVAL);
		} else if (in->msg.op == FILE_TIMER_SET) {
			set_call(c, in);
		} else {
			old_setting(c, &msg);
			out_answer(in->id, &msg);
			changed(c, false);
		}
		break;
	default: /* what is asked of sockets is not even known */
		out_status(in->id, in->msg.op >= SOCK_CREATE ? -X_ENOSYS : -X_EINVAL);
	}
}
