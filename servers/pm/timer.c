/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers that send signals: the interval timers of setitimer (ids below 0,
 * which survive exec) and those of timer_create (ids from 0).
 *
 * A timer of a CPU clock cannot end before that much time has passed on the
 * wall: it is looked at then, and set again for what is missing.
 */
#include "lib/c/slots.h"
#include "servers/pm/pm.h"

enum { TIMERS_MAX = 1024, TIMERS_PER_PROCESS = 64 };

#define INTERVAL_MIN_NS 1000000ull /* a program cannot keep pm busy with less */

#define CPU_LIMIT_ID INT32_MIN      /* the watch of RLIMIT_CPU */

enum timer_clock { WALL, CPU_USER, CPU_ALL };

static struct ptimer {
	struct proc *proc;       /* NULL: free */
	int32_t id;              /* -1 - which: setitimer's; CPU_LIMIT_ID */
	uint8_t clock;           /* enum timer_clock */
	uint32_t linux_clock;
	uint32_t signal;         /* 0: none */
	uint32_t thread;         /* the kernel's number, 0: the process */
	uint64_t value;          /* goes with the signal */
	uint64_t deadline_ns;    /* on its clock; 0: disarmed */
	uint64_t interval_ns;
	uint64_t wall_ns;        /* deadline_ns is this time of day; 0: it is not one */
	uint64_t overrun;        /* expirations since the signal was sent */
	uint64_t overrun_told;
	struct server_timer timer;
} timers[TIMERS_MAX];
static uint32_t timers_end; /* all from here up are free */

#define for_each_timer(t) for (struct ptimer *t = timers; t < timers + timers_end; t++)

static uint64_t clock_now(const struct ptimer *t)
{
	struct x_proc_info info;

	if (t->clock == WALL)
		return server_now_ns;
	if (x_proc_info(t->proc->process, &info) < 0)
		return 0;
	return info.cpu_user_ns + (t->clock == CPU_ALL ? info.cpu_system_ns : 0);
}

static struct ptimer *timer_find(const struct proc *p, int32_t id)
{
	for_each_timer(t)
		if (t->proc == p && t->id == id)
			return t;
	return NULL;
}

/* again: not for the first time, so not too soon. */
static void arm(struct ptimer *t, uint64_t now, bool again)
{
	uint64_t left;

	if (t->deadline_ns == 0) {
		timer_clear(&t->timer);
		return;
	}
	left = t->deadline_ns > now ? t->deadline_ns - now : 0;
	if (left < INTERVAL_MIN_NS && (again || t->clock != WALL))
		left = INTERVAL_MIN_NS;
	timer_set(&t->timer, left >= X_FOREVER / 2 - server_now_ns ? X_FOREVER / 2 : server_now_ns + left);
}

static void send(struct ptimer *t, uint64_t times)
{
	struct signal_info info = { .code = INFO_KERNEL };

	if (t->id >= 0)
		info = (struct signal_info){ INFO_TIMER, (uint32_t)t->id, 0, t->value };
	posts_settle();
	t->overrun += times;
	/* Of one timer only one signal is under way. */
	if (t->signal && !signal_queued(t->proc, t->signal, &info))
		signal_post_of(t->id, t->proc, t->thread, t->signal, &info);
}

void timer_was_told(const struct proc *p, int32_t id)
{
	struct ptimer *t = timer_find(p, id);

	if (!t || !t->overrun)
		return;
	t->overrun_told = t->overrun - 1;
	t->overrun = 0;
}

/* RLIMIT_CPU: from its first value on SIGXCPU each second, at its second the end. */
static void cpu_limit_reached(struct ptimer *t, uint64_t now)
{
	const struct rlimit_pair *limit = &t->proc->rlimit[RLIMIT_CPU];
	struct signal_info info = { .code = INFO_KERNEL };

	if (now / NS_PER_SECOND >= limit->hard) {
		signal_post(t->proc, 0, SIGNAL_KILL, &info);
		return;
	}
	t->deadline_ns = now - now % NS_PER_SECOND + NS_PER_SECOND;
	arm(t, now, true);
	signal_post(t->proc, 0, SIGNAL_XCPU, &info);
}

static void expired(void *ctx)
{
	struct ptimer *t = ctx;
	uint64_t now = clock_now(t), times = 1;

	if (now < t->deadline_ns) {
		arm(t, now, true);
		return;
	}
	if (t->id == CPU_LIMIT_ID) {
		cpu_limit_reached(t, now);
		return;
	}
	if (t->interval_ns)
		times += (now - t->deadline_ns) / t->interval_ns;
	t->deadline_ns = t->interval_ns ? t->deadline_ns + times * t->interval_ns : 0;
	t->wall_ns = t->wall_ns && t->interval_ns ? t->wall_ns + times * t->interval_ns : 0;
	arm(t, now, true);
	send(t, times);
}

static void current_setting(const struct ptimer *t, struct x_msg *msg)
{
	uint64_t now = clock_now(t);

	msg->a[0] = t->deadline_ns == 0 ? 0 : t->deadline_ns > now ? t->deadline_ns - now : 1;
	msg->a[1] = t->interval_ns;
}

static void set(struct ptimer *t, uint64_t first_ns, uint64_t interval_ns, bool absolute)
{
	uint64_t now = clock_now(t);

	t->interval_ns = interval_ns;
	t->overrun = t->overrun_told = 0;
	t->wall_ns = absolute && t->clock == WALL && clock_is_wall(t->linux_clock) ? first_ns : 0;
	if (first_ns == 0)
		t->deadline_ns = 0;
	else if (t->clock == WALL)
		t->deadline_ns = clock_deadline(t->linux_clock, first_ns, absolute);
	else
		t->deadline_ns = absolute ? first_ns : first_ns >= X_FOREVER / 2 ? X_FOREVER / 2 : now + first_ns;
	arm(t, now, false);
}

void timers_clock_set(void)
{
	for_each_timer(t) {
		if (!t->proc || !t->wall_ns)
			continue;
		t->deadline_ns = clock_deadline(t->linux_clock, t->wall_ns, true);
		arm(t, clock_now(t), false);
	}
}

static struct ptimer *timer_new(struct proc *p, int32_t id, enum timer_clock clock)
{
	struct ptimer *t = SLOT_FIND(timers, timers_end, proc);

	if (!t)
		return NULL;
	SLOT_TAKEN(timers, timers_end, t);
	*t = (struct ptimer){ .proc = p, .id = id, .clock = (uint8_t)clock, .linux_clock = CLOCK_MONOTONIC };
	t->timer.fn = expired;
	t->timer.ctx = t;
	return t;
}

static void timer_free(struct ptimer *t)
{
	timer_clear(&t->timer);
	t->proc = NULL;
	SLOTS_TRIM(timers, timers_end, proc);
}

void timers_drop(struct proc *p, bool all)
{
	for_each_timer(t)
		if (t->proc == p && (all || t->id >= 0))
			timer_free(t);
}

/* ---- RLIMIT_CPU ---- */

int cpu_limit_watch(struct proc *p)
{
	const struct rlimit_pair *limit = &p->rlimit[RLIMIT_CPU];
	uint64_t first = limit->soft < limit->hard ? limit->soft : limit->hard;
	struct ptimer *t = timer_find(p, CPU_LIMIT_ID);

	if (first >= X_FOREVER / 2 / NS_PER_SECOND) {
		if (t)
			timer_free(t);
		return 0;
	}
	if (!t)
		t = timer_new(p, CPU_LIMIT_ID, CPU_ALL);
	if (!t)
		return -X_EAGAIN;
	t->deadline_ns = first ? first * NS_PER_SECOND : 1; /* as Linux takes 0 for 1 */
	arm(t, clock_now(t), false);
	return 0;
}

/* ---- setitimer ---- */

void alarm_call(struct proc *p, const struct x_in *in)
{
	static const uint32_t signals[] = { SIGNAL_ALRM, SIGNAL_VTALRM, SIGNAL_PROF };
	uint64_t which = in->msg.a[3];
	struct ptimer *t;
	struct x_msg msg = { 0 };

	if (which > 2) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	t = timer_find(p, -1 - (int32_t)which);
	if (t)
		current_setting(t, &msg);
	if (in->msg.a[0] == 1 && !t && in->msg.a[1]) {
		t = timer_new(p, -1 - (int32_t)which, (enum timer_clock)which);
		if (!t) {
			out_status(in->id, -X_EAGAIN);
			return;
		}
		t->signal = signals[which];
	}
	if (in->msg.a[0] == 1 && t)
		set(t, in->msg.a[1], in->msg.a[2], false);
	if (t && t->deadline_ns == 0)
		timer_free(t);
	out_answer(in->id, &msg);
}

/* ---- timer_create and its like ---- */

static int create(struct proc *p, const struct x_in *in, struct x_msg *msg)
{
	uint32_t clock = (uint32_t)in->msg.a[1], signal = (uint32_t)in->msg.a[2], tid = (uint32_t)in->msg.a[3];
	enum timer_clock kind = clock == CLOCK_PROCESS_CPU || clock == CLOCK_THREAD_CPU ? CPU_ALL : WALL;
	uint32_t thread = tid ? thread_number(p, tid) : 0;
	struct ptimer *t;
	int32_t id = 0;

	if (signal > SIGNAL_MAX || (tid && !thread))
		return -X_EINVAL;
	while (id < TIMERS_PER_PROCESS && timer_find(p, id))
		id++;
	t = id < TIMERS_PER_PROCESS ? timer_new(p, id, kind) : NULL;
	if (!t)
		return -X_EAGAIN;
	t->linux_clock = clock;
	t->signal = signal;
	t->thread = thread;
	t->value = in->msg.a[5] ? in->msg.a[4] : (uint64_t)id;
	msg->a[0] = (uint64_t)id;
	return 0;
}

void timer_call(struct proc *p, const struct x_in *in)
{
	struct x_msg msg = { 0 };
	struct ptimer *t = timer_find(p, (int32_t)in->msg.a[1]);
	int err = 0;

	posts_settle();
	if (in->msg.a[0] == PM_TIMER_CREATE)
		err = create(p, in, &msg);
	else if (!t || t->id < 0)
		err = -X_EINVAL;
	if (err) {
		out_status(in->id, err);
		return;
	}
	switch (in->msg.a[0]) {
	case PM_TIMER_SET:
		current_setting(t, &msg);
		set(t, in->msg.a[2], in->msg.a[3], in->msg.a[4]);
		break;
	case PM_TIMER_GET:
		current_setting(t, &msg);
		break;
	case PM_TIMER_OVERRUN:
		msg.a[0] = t->overrun_told < INT32_MAX ? t->overrun_told : INT32_MAX;
		break;
	case PM_TIMER_DELETE:
		timer_free(t);
		break;
	}
	out_answer(in->id, &msg);
}
