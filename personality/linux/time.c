/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clocks, sleeping, the interval timer. Deadlines of native waits are on the
 * monotonic clock.
 */
#include "personality/linux/pers.h"

#define CAP_SYS_TIME 25u

uint64_t now_ns(void)
{
	return (uint64_t)x_clock(X_CLOCK_MONOTONIC);
}

uint64_t deadline_from_realtime(uint64_t realtime_ns)
{
	uint64_t wall = (uint64_t)x_clock(X_CLOCK_REALTIME), now = now_ns();

	if (realtime_ns == X_FOREVER)
		return X_FOREVER;
	return realtime_ns > wall ? deadline_after(now, realtime_ns - wall) : now;
}

static int64_t get_timespec(uint64_t addr, uint64_t *ns)
{
	struct linux_timespec t;

	if (copy_in(&t, addr, sizeof(t)))
		return -X_EFAULT;
	return convert_timespec(&t, ns) ? 0 : -X_EINVAL;
}

int64_t deadline_from_timespec(uint64_t addr, uint64_t *deadline_ns)
{
	uint64_t ns;
	int64_t error;

	*deadline_ns = X_FOREVER;
	if (!addr)
		return 0;
	error = get_timespec(addr, &ns);
	if (!error)
		*deadline_ns = deadline_after(now_ns(), ns);
	return error;
}

enum { REALTIME, MONOTONIC, PROCESS_CPU, THREAD_CPU, MONOTONIC_RAW, REALTIME_COARSE,
       MONOTONIC_COARSE, BOOTTIME, REALTIME_ALARM, BOOTTIME_ALARM, TAI = 11 };

/* The native clock behind a Linux one, or -1. CPU clocks of other processes
 * and of threads all show the own process's. */
static int native_clock(int32_t id)
{
	switch (id) {
	case REALTIME: case REALTIME_COARSE: case REALTIME_ALARM: case TAI:
		return X_CLOCK_REALTIME;
	case MONOTONIC: case MONOTONIC_RAW: case MONOTONIC_COARSE: case BOOTTIME: case BOOTTIME_ALARM:
		return X_CLOCK_MONOTONIC;
	case PROCESS_CPU: case THREAD_CPU:
		return X_CLOCK_PROCESS;
	default:
		return id < 0 && (id & 3) != 3 ? X_CLOCK_PROCESS : -1; /* 3: of a descriptor */
	}
}

bool clock_can_wake(uint32_t id)
{
	return id == REALTIME || id == MONOTONIC || id == BOOTTIME || id == REALTIME_ALARM ||
	       id == BOOTTIME_ALARM;
}

int64_t linux_clock_gettime(struct sys *s)
{
	int clock = native_clock((int32_t)s->a[0]);
	struct linux_timespec t;

	if (clock < 0)
		return -X_EINVAL;
	t = to_timespec((uint64_t)x_clock((uint32_t)clock));
	return copy_out(s->a[1], &t, sizeof(t));
}

int64_t linux_clock_getres(struct sys *s)
{
	static const struct linux_timespec resolution = { 0, 1 };

	if (native_clock((int32_t)s->a[0]) < 0)
		return -X_EINVAL;
	return s->a[1] ? copy_out(s->a[1], &resolution, sizeof(resolution)) : 0;
}

int64_t linux_gettimeofday(struct sys *s)
{
	static const struct linux_timezone utc;
	struct linux_timeval t = to_timeval((uint64_t)x_clock(X_CLOCK_REALTIME));

	if (s->a[0] && copy_out(s->a[0], &t, sizeof(t)))
		return -X_EFAULT;
	return s->a[1] ? copy_out(s->a[1], &utc, sizeof(utc)) : 0;
}

int64_t linux_time(struct sys *s)
{
	int64_t seconds = x_clock(X_CLOCK_REALTIME) / 1000000000;

	return s->a[0] && copy_out(s->a[0], &seconds, 8) ? -X_EFAULT : seconds;
}

/* ---------------------------------------------------------------- setting the clock */

int64_t set_realtime(uint64_t ns)
{
	struct x_call c;
	int64_t error = capable(CAP_SYS_TIME) ? call_pm(&c, PM_SETTIME, ns, 0, 0, 0) : -X_EPERM;

	return error < 0 ? error : 0;
}

int64_t linux_settimeofday(struct sys *s)
{
	struct linux_timezone zone;
	struct linux_timeval t;
	uint64_t ns;

	if (s->a[0] && copy_in(&t, s->a[0], sizeof(t)))
		return -X_EFAULT;
	if (s->a[1] && copy_in(&zone, s->a[1], sizeof(zone)))
		return -X_EFAULT;
	if (s->a[0] && !convert_timeval(&t, &ns))
		return -X_EINVAL;
	if (!capable(CAP_SYS_TIME))
		return -X_EPERM;
	return s->a[0] ? set_realtime(ns) : 0;
}

int64_t linux_clock_settime(struct sys *s)
{
	int32_t id = (int32_t)s->a[0];
	uint64_t ns;
	int64_t error;

	if (id != REALTIME)
		return -X_EINVAL;
	error = get_timespec(s->a[1], &ns);
	if (error)
		return error;
	return set_realtime(ns);
}

struct linux_timex {
	uint32_t modes, pad0;
	int64_t offset, freq, maxerror, esterror;
	int32_t status, pad1;
	int64_t constant, precision, tolerance;
	struct linux_timeval time;
	int64_t tick, rest[8];
	int32_t tail[12];
};
_Static_assert(sizeof(struct linux_timex) == 208, "struct timex");
#define STA_UNSYNC 0x40
#define TIME_ERROR 5 /* not synchronised */


enum { ADJ_OFFSET = 1, ADJ_FREQUENCY = 2, ADJ_MAXERROR = 4, ADJ_ESTERROR = 8, ADJ_STATUS = 0x10, ADJ_TIMECONST = 0x20,
       ADJ_TAI = 0x80, ADJ_SETOFFSET = 0x100, ADJ_MICRO = 0x1000, ADJ_NANO = 0x2000, ADJ_TICK = 0x4000,
       ADJ_SINGLESHOT = 0x8000, ADJ_READONLY = 0x2000 | 0x8000 };
#define TICK_LOWEST 9000
#define TICK_HIGHEST 11000
#define FREQUENCY_HIGHEST 32768000
#define STA_NANO 0x2000

/* What was asked for, told again; only for the process itself. */
static struct linux_timex kept = {
	.maxerror = 16000000, .esterror = 16000000, .status = STA_UNSYNC, .constant = 2, .precision = 1,
	.tolerance = FREQUENCY_HIGHEST, .tick = 10000,
};

/* A jump of the offset given in `offset` (old style) or `time`. */
static int64_t jump(const struct linux_timex *t)
{
	int64_t unit = t->modes & ADJ_NANO ? 1 : 1000, ns = 0;

	if (t->modes & ADJ_SETOFFSET) {
		if (t->time.usec < 0 || t->time.usec * unit >= 1000000000)
			return -X_EINVAL;
		ns = t->time.sec * 1000000000 + t->time.usec * unit;
	} else if (t->modes == (ADJ_OFFSET | ADJ_SINGLESHOT)) {
		ns = t->offset * 1000;
	}
	return ns ? set_realtime((uint64_t)(x_clock(X_CLOCK_REALTIME) + ns)) : 0;
}

/* The rate of the clock is the machine's: what sets it is kept and told. */
static int64_t adjust_clock(uint64_t addr)
{
	bool single = false;
	struct linux_timex t;
	int64_t error;

	if (copy_in(&t, addr, sizeof(t)))
		return -X_EFAULT;
	single = t.modes & ADJ_SINGLESHOT;
	if (single && (t.modes & ~(uint32_t)ADJ_READONLY) != ADJ_OFFSET)
		return -X_EINVAL;
	if (t.modes && t.modes != (ADJ_OFFSET | ADJ_READONLY) && !capable(CAP_SYS_TIME))
		return -X_EPERM;
	if (!single && (t.modes & ADJ_TICK) && (t.tick < TICK_LOWEST || t.tick > TICK_HIGHEST))
		return -X_EINVAL;
	error = t.modes == (ADJ_OFFSET | ADJ_READONLY) ? 0 : jump(&t);
	if (error)
		return error;
	if (!single) {
		if (t.modes & ADJ_FREQUENCY)
			kept.freq = t.freq > FREQUENCY_HIGHEST ? FREQUENCY_HIGHEST :
				    t.freq < -FREQUENCY_HIGHEST ? -FREQUENCY_HIGHEST : t.freq;
		if (t.modes & ADJ_MAXERROR)
			kept.maxerror = t.maxerror;
		if (t.modes & ADJ_ESTERROR)
			kept.esterror = t.esterror;
		if (t.modes & ADJ_STATUS)
			kept.status = t.status;
		if (t.modes & ADJ_TIMECONST)
			kept.constant = t.constant;
		if (t.modes & ADJ_TICK)
			kept.tick = t.tick;
		if (t.modes & ADJ_NANO)
			kept.status |= STA_NANO;
		else if (t.modes & ADJ_MICRO)
			kept.status &= ~STA_NANO;
	}
	t.offset = kept.offset;
	t.freq = kept.freq;
	t.maxerror = kept.maxerror;
	t.esterror = kept.esterror;
	t.status = kept.status;
	t.constant = kept.constant;
	t.precision = kept.precision;
	t.tolerance = kept.tolerance;
	t.tick = kept.tick;
	t.time = to_timeval((uint64_t)x_clock(X_CLOCK_REALTIME));
	if (kept.status & STA_NANO)
		t.time.usec = x_clock(X_CLOCK_REALTIME) % 1000000000;
	return copy_out(addr, &t, sizeof(t)) ? -X_EFAULT : TIME_ERROR;
}

int64_t linux_adjtimex(struct sys *s) { return adjust_clock(s->a[0]); }

int64_t linux_clock_adjtime(struct sys *s)
{
	if (native_clock((int32_t)s->a[0]) < 0)
		return -X_EINVAL;
	return (int32_t)s->a[0] == REALTIME ? adjust_clock(s->a[1]) : -X_EOPNOTSUPP;
}

/* --------------------------------------------------------------------- sleeping */

/* Until the deadline. A signal: remember how to go on, tell what is left. */
static int64_t sleep_until(struct pers_thread *t, uint64_t deadline, uint64_t remaining)
{
	int64_t error = x_wait(NULL, 0, deadline, NULL);
	struct linux_timespec left;
	uint64_t now;

	if (error != -X_EINTR)
		return error < 0 ? linux_error(error) : 0;
	now = now_ns();
	left = to_timespec(deadline > now ? deadline - now : 0);
	if (remaining && copy_out(remaining, &left, sizeof(left)))
		return -X_EFAULT;
	t->restart = RESTART_SLEEP;
	t->restart_deadline_ns = deadline;
	t->restart_args[0] = remaining;
	return -RESTART_BLOCK;
}

int64_t sleep_restart(struct sys *s)
{
	return sleep_until(s->thread, s->thread->restart_deadline_ns, s->thread->restart_args[0]);
}

int64_t linux_nanosleep(struct sys *s)
{
	uint64_t ns;
	int64_t error = get_timespec(s->a[0], &ns);

	return error ? error : sleep_until(s->thread, deadline_after(now_ns(), ns), s->a[1]);
}

/* Who sets the clock wakes nobody: it is looked at every second. */
static int64_t sleep_until_realtime(uint64_t realtime_ns)
{
	uint64_t deadline, look;
	int64_t error;

	do {
		deadline = deadline_from_realtime(realtime_ns);
		look = deadline_after(now_ns(), 1000000000);
		error = x_wait(NULL, 0, deadline < look ? deadline : look, NULL);
	} while (!error && deadline > look);
	return error;
}

int64_t linux_clock_nanosleep(struct sys *s)
{
	int clock = native_clock((int32_t)s->a[0]);
	uint64_t ns;
	int64_t error;

	if (clock < 0)
		return -X_EINVAL;
	if (!clock_can_wake((uint32_t)s->a[0]) && (uint32_t)s->a[0] != TAI)
		return -X_EOPNOTSUPP;
	error = get_timespec(s->a[2], &ns);
	if (error)
		return error;
	if (!((uint32_t)s->a[1] & TIMER_ABSTIME))
		return sleep_until(s->thread, deadline_after(now_ns(), ns), s->a[3]);
	error = clock == X_CLOCK_REALTIME ? sleep_until_realtime(ns) : x_wait(NULL, 0, ns, NULL);
	return error == -X_EINTR ? -RESTART_NOHAND : linux_error(error);
}

int64_t linux_restart_syscall(struct sys *s)
{
	switch (s->thread->restart) {
	case RESTART_SLEEP: return sleep_restart(s);
	case RESTART_POLL: return poll_restart(s);
	case RESTART_FUTEX: return futex_restart(s);
	default: return -X_EINTR;
	}
}

/* ------------------------------------------------------------------ alarm, itimer */

static int64_t interval_timer(uint32_t which, bool set, uint64_t first_ns, uint64_t interval_ns,
			      uint64_t *left_ns, uint64_t *old_interval_ns)
{
	struct x_call c;
	int64_t error = call_pm(&c, PM_ALARM, set, first_ns, interval_ns, which);

	*left_ns = c.msg.a[0];
	*old_interval_ns = c.msg.a[1];
	return error < 0 ? error : 0;
}

int64_t linux_alarm(struct sys *s)
{
	uint64_t left, interval;
	int64_t error = interval_timer(0, true, (uint64_t)(uint32_t)s->a[0] * 1000000000, 0, &left,
				       &interval);

	if (error)
		return error;
	/* Linux rounds to the nearest second, but never a running alarm to 0. */
	return left && left < 500000000 ? 1 : (int64_t)((left + 500000000) / 1000000000);
}

static int64_t put_itimer(uint64_t addr, uint64_t left, uint64_t interval)
{
	struct linux_itimerval value = { to_timeval(interval), to_timeval(left) };

	return copy_out(addr, &value, sizeof(value));
}

int64_t linux_setitimer(struct sys *s)
{
	struct linux_itimerval value = { { 0, 0 }, { 0, 0 } };
	uint64_t first, interval, left, old;
	int64_t error;

	if (s->a[1] && copy_in(&value, s->a[1], sizeof(value)))
		return -X_EFAULT;
	if ((uint32_t)s->a[0] > 2 || !convert_timeval(&value.value, &first) ||
	    !convert_timeval(&value.interval, &interval))
		return -X_EINVAL;
	error = interval_timer((uint32_t)s->a[0], true, first, interval, &left, &old);
	if (error || !s->a[2])
		return error;
	return put_itimer(s->a[2], left, old);
}

int64_t linux_getitimer(struct sys *s)
{
	uint64_t left = 0, interval = 0;
	int64_t error;

	if ((uint32_t)s->a[0] > 2)
		return -X_EINVAL;
	error = interval_timer((uint32_t)s->a[0], false, 0, 0, &left, &interval);
	return error ? error : put_itimer(s->a[1], left, interval);
}

/* ------------------------------------------------------------- timer_create ... */

#define SIGEV_SIGNAL 0
#define SIGEV_NONE 1
#define SIGEV_THREAD 2
#define SIGEV_THREAD_ID 4

struct linux_sigevent { uint64_t value; int32_t signo, notify, tid, pad[11]; };

static int64_t timer_request(enum pm_timer_op op, uint64_t id, struct x_call *c)
{
	c->msg.op = PM_TIMER;
	c->msg.a[0] = op;
	c->msg.a[1] = (uint32_t)id;
	return call_plain(X_SLOT_PM, c);
}

int64_t linux_timer_create(struct sys *s)
{
	struct linux_sigevent event = { .signo = SIGALRM, .notify = SIGEV_SIGNAL };
	uint32_t clock = (uint32_t)s->a[0], id;
	struct x_call c;
	int64_t error;

	if (s->a[1] && copy_in(&event, s->a[1], sizeof(event)))
		return -X_EFAULT;
	if (!clock_can_wake(clock) && clock != PROCESS_CPU && clock != THREAD_CPU && clock != TAI)
		return -X_EINVAL;
	if (event.notify != SIGEV_SIGNAL && event.notify != SIGEV_NONE && event.notify != SIGEV_THREAD &&
	    event.notify != SIGEV_THREAD_ID)
		return -X_EINVAL;
	if (event.notify != SIGEV_NONE && (event.signo <= 0 || event.signo > (int32_t)SIGNAL_MAX))
		return -X_EINVAL;
	call_init(&c, 0);
	c.msg.a[2] = event.notify == SIGEV_NONE ? 0 : (uint32_t)event.signo;
	c.msg.a[3] = event.notify == SIGEV_THREAD_ID ? (uint32_t)event.tid : 0;
	c.msg.a[4] = event.value;
	c.msg.a[5] = s->a[1] != 0;
	error = timer_request(PM_TIMER_CREATE, clock, &c);
	if (error < 0)
		return error;
	id = (uint32_t)c.msg.a[0];
	if (copy_out(s->a[2], &id, sizeof(id))) {
		call_init(&c, 0);
		timer_request(PM_TIMER_DELETE, id, &c);
		return -X_EFAULT;
	}
	return 0;
}

static int64_t put_timer(uint64_t addr, const struct x_call *c)
{
	struct linux_itimerspec value = { to_timespec(c->msg.a[1]), to_timespec(c->msg.a[0]) };

	return copy_out(addr, &value, sizeof(value));
}

int64_t linux_timer_settime(struct sys *s)
{
	struct linux_itimerspec value;
	uint64_t first, interval;
	struct x_call c;
	int64_t error;

	if (!s->a[2])
		return -X_EINVAL;
	if (copy_in(&value, s->a[2], sizeof(value)))
		return -X_EFAULT;
	if (!convert_timespec(&value.value, &first) || !convert_timespec(&value.interval, &interval))
		return -X_EINVAL;
	call_init(&c, 0);
	c.msg.a[2] = first;
	c.msg.a[3] = interval;
	c.msg.a[4] = (uint32_t)s->a[1] & TIMER_ABSTIME;
	error = timer_request(PM_TIMER_SET, s->a[0], &c);
	if (error < 0)
		return error;
	return s->a[3] ? put_timer(s->a[3], &c) : 0;
}

int64_t linux_timer_gettime(struct sys *s)
{
	struct x_call c;
	int64_t error;

	call_init(&c, 0);
	error = timer_request(PM_TIMER_GET, s->a[0], &c);
	return error < 0 ? error : put_timer(s->a[1], &c);
}

int64_t linux_timer_getoverrun(struct sys *s)
{
	struct x_call c;
	int64_t error;

	call_init(&c, 0);
	error = timer_request(PM_TIMER_OVERRUN, s->a[0], &c);
	return error < 0 ? error : (int64_t)c.msg.a[0];
}

int64_t linux_timer_delete(struct sys *s)
{
	struct x_call c;
	int64_t error;

	call_init(&c, 0);
	error = timer_request(PM_TIMER_DELETE, s->a[0], &c);
	return error < 0 ? error : 0;
}
