/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Scheduling as programs ask for it. The kernel has one band for programs and
 * puts threads where it likes: policies, priorities and affinities are checked,
 * kept and told.
 */
#include "personality/linux/pers.h"

enum { POLICY_OTHER, POLICY_FIFO, POLICY_RR, POLICY_BATCH, POLICY_IDLE = 5, POLICY_DEADLINE };
#define RESET_ON_FORK 0x40000000u
#define PRIORITY_MAX 99

int64_t linux_sched_yield(struct sys *s) { (void)s; x_yield(); return 0; }

static uint64_t all_cpus(void)
{
	struct x_system_info info;

	if (x_system_info(&info) < 0 || info.cpus == 0)
		return 1;
	return info.cpus >= 64 ? UINT64_MAX : (1ull << info.cpus) - 1;
}

/* pm keeps what belongs to a process; -X_ESRCH, -X_EPERM. */
static int64_t sched_call(enum pm_sched_op op, uint64_t pid, uint64_t policy, uint64_t value, struct x_call *c)
{
	if ((int32_t)pid < 0)
		return -X_EINVAL;
	call_init(c, PM_SCHED);
	c->msg.a[0] = op;
	c->msg.a[1] = (uint32_t)pid;
	c->msg.a[2] = policy;
	c->msg.a[3] = value;
	return call_plain(X_SLOT_PM, c);
}

int64_t linux_sched_getaffinity(struct sys *s)
{
	struct x_call c;
	uint64_t mask;
	int64_t error;

	if ((uint32_t)s->a[1] < 8 || (s->a[1] & 7))
		return -X_EINVAL;
	error = sched_call(PM_SCHED_GET, (uint32_t)s->a[0] ? s->a[0] : s->thread->tid, 0, 0, &c);
	if (error < 0)
		return (int32_t)s->a[0] < 0 ? -X_ESRCH : error;
	mask = c.msg.a[2] ? c.msg.a[2] & all_cpus() : all_cpus();
	return copy_out(s->a[2], &mask, 8) ? -X_EFAULT : 8;
}

int64_t linux_sched_setaffinity(struct sys *s)
{
	uint64_t mask = 0;
	struct x_call c;
	int64_t error;

	if (copy_in(&mask, s->a[2], (uint32_t)s->a[1] < 8 ? (uint32_t)s->a[1] : 8))
		return -X_EFAULT;
	error = sched_call(PM_SCHED_GET, s->a[0], 0, 0, &c);
	if (error < 0)
		return (int32_t)s->a[0] < 0 ? -X_ESRCH : error;
	if (!(mask & all_cpus()))
		return -X_EINVAL;
	error = sched_call(PM_SCHED_SET_AFFINITY, (uint32_t)s->a[0] ? s->a[0] : s->thread->tid, 0, mask & all_cpus(), &c);
	return error < 0 ? error : 0;
}

/* The kernel tells the number of the CPU as the limit of a segment (kernel/arch/x86_64/cpu.c). */
int64_t linux_getcpu(struct sys *s)
{
	static const uint32_t node;
	uint32_t cpu = 0;

	__asm__ volatile("lsll %1, %0" : "+r"(cpu) : "r"(X_CPU_SELECTOR) : "cc");
	if ((s->a[0] && copy_out(s->a[0], &cpu, 4)) || (s->a[1] && copy_out(s->a[1], &node, 4)))
		return -X_EFAULT;
	return 0;
}

/* -------------------------------------------------------------------- policies */

static bool valid(uint32_t policy, int32_t priority)
{
	switch (policy) {
	case POLICY_FIFO: case POLICY_RR: return priority >= 1 && priority <= PRIORITY_MAX;
	case POLICY_OTHER: case POLICY_BATCH: case POLICY_IDLE: return priority == 0;
	default: return false;
	}
}

static int64_t set_policy(uint64_t pid, uint32_t policy, int32_t priority, bool deadline)
{
	struct x_call c;
	int64_t error;

	if (!valid(policy & ~RESET_ON_FORK, priority) &&
	    !(deadline && (policy & ~RESET_ON_FORK) == POLICY_DEADLINE && priority == 0))
		return -X_EINVAL;
	error = sched_call(PM_SCHED_SET_POLICY, pid, policy, (uint32_t)priority, &c);
	return error < 0 ? error : 0;
}

int64_t linux_sched_getscheduler(struct sys *s)
{
	struct x_call c;
	int64_t error = sched_call(PM_SCHED_GET, s->a[0], 0, 0, &c);

	return error < 0 ? error : (int64_t)c.msg.a[0];
}

int64_t linux_sched_setscheduler(struct sys *s)
{
	int32_t priority;

	if (!s->a[2] || (int32_t)s->a[0] < 0 || (int32_t)s->a[1] < 0)
		return -X_EINVAL;
	if (copy_in(&priority, s->a[2], 4))
		return -X_EFAULT;
	return set_policy(s->a[0], (uint32_t)s->a[1], priority, false);
}

int64_t linux_sched_getparam(struct sys *s)
{
	struct x_call c;
	uint32_t priority;
	int64_t error;

	if (!s->a[1])
		return -X_EINVAL;
	error = sched_call(PM_SCHED_GET, s->a[0], 0, 0, &c);
	priority = (uint32_t)c.msg.a[1];
	return error < 0 ? error : copy_out(s->a[1], &priority, 4);
}

int64_t linux_sched_setparam(struct sys *s)
{
	struct x_call c;
	int32_t priority;
	int64_t error;

	if (!s->a[1] || (int32_t)s->a[0] < 0)
		return -X_EINVAL;
	if (copy_in(&priority, s->a[1], 4))
		return -X_EFAULT;
	error = sched_call(PM_SCHED_GET, s->a[0], 0, 0, &c);
	return error < 0 ? error : set_policy(s->a[0], (uint32_t)c.msg.a[0], priority, false);
}

static int64_t policy_limit(uint64_t policy, int64_t real_time)
{
	switch ((uint32_t)policy) {
	case POLICY_FIFO: case POLICY_RR: return real_time;
	case POLICY_OTHER: case POLICY_BATCH: case POLICY_IDLE: case POLICY_DEADLINE: return 0;
	default: return -X_EINVAL;
	}
}

int64_t linux_sched_get_priority_max(struct sys *s) { return policy_limit(s->a[0], PRIORITY_MAX); }
int64_t linux_sched_get_priority_min(struct sys *s) { return policy_limit(s->a[0], 1); }

int64_t linux_sched_rr_get_interval(struct sys *s)
{
	struct linux_timespec slice = { 0, 10000000 };
	struct x_call c;
	int64_t error = sched_call(PM_SCHED_GET, s->a[0], 0, 0, &c);

	if (error < 0)
		return error;
	if (c.msg.a[0] == POLICY_FIFO)
		slice.nsec = 0;
	return copy_out(s->a[1], &slice, sizeof(slice));
}

struct linux_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};
#define SCHED_ATTR_SIZE_0 48u

int64_t linux_sched_setattr(struct sys *s)
{
	struct linux_sched_attr attr = { 0 };
	uint32_t size;

	if (!s->a[1] || (int32_t)s->a[0] < 0 || s->a[2])
		return -X_EINVAL;
	if (copy_in(&size, s->a[1], 4))
		return -X_EFAULT;
	if (size == 0)
		size = SCHED_ATTR_SIZE_0;
	if (size < SCHED_ATTR_SIZE_0 || size > X_PAGE_SIZE)
		return -X_E2BIG;
	if (copy_in(&attr, s->a[1], size < sizeof(attr) ? size : sizeof(attr)))
		return -X_EFAULT;
	if ((attr.policy & ~RESET_ON_FORK) == POLICY_DEADLINE) {
		if (attr.runtime < 1024 || attr.deadline < attr.runtime || (attr.period && attr.period < attr.deadline))
			return -X_EINVAL;
		process.deadline_policy[0] = attr.runtime;
		process.deadline_policy[1] = attr.deadline;
		process.deadline_policy[2] = attr.period ? attr.period : attr.deadline;
	}
	return set_policy(s->a[0], attr.policy, (int32_t)attr.priority, true);
}

int64_t linux_sched_getattr(struct sys *s)
{
	struct linux_sched_attr attr = { .size = SCHED_ATTR_SIZE_0 };
	uint32_t size = (uint32_t)s->a[2];
	struct x_call c;
	int64_t error;

	if (!s->a[1] || (int32_t)s->a[0] < 0 || size < SCHED_ATTR_SIZE_0 || size > X_PAGE_SIZE || s->a[3])
		return -X_EINVAL;
	error = sched_call(PM_SCHED_GET, s->a[0], 0, 0, &c);
	if (error < 0)
		return error;
	attr.policy = (uint32_t)c.msg.a[0];
	attr.priority = (uint32_t)c.msg.a[1];
	if ((attr.policy & ~RESET_ON_FORK) == POLICY_DEADLINE) { /* as the process last set it for any of its own */
		attr.runtime = process.deadline_policy[0];
		attr.deadline = process.deadline_policy[1];
		attr.period = process.deadline_policy[2];
	}
	return copy_out(s->a[1], &attr, SCHED_ATTR_SIZE_0);
}

/* ------------------------------------------------------------ priorities of I/O */

#define IOPRIO_CLASS(p) ((p) >> 13)

/* No disk scheduler looks at it: kept for the process itself. */
int64_t linux_ioprio_set(struct sys *s)
{
	uint32_t which = (uint32_t)s->a[0], priority = (uint32_t)s->a[2], level = priority & 0x1fff;
	struct x_call c;
	int64_t error;

	if (which < 1 || which > 3 || IOPRIO_CLASS(priority) > 3 || (IOPRIO_CLASS(priority) % 3 && level > 7) ||
	    (IOPRIO_CLASS(priority) == 0 && level))
		return -X_EINVAL;
	if (IOPRIO_CLASS(priority) == 1 && ids()->euid != 0)
		return -X_EPERM;
	error = which == 1 ? sched_call(PM_SCHED_GET, s->a[1], 0, 0, &c) : 0;
	if (error < 0)
		return -X_ESRCH;
	process.io_priority = priority + 1;
	return 0;
}

int64_t linux_ioprio_get(struct sys *s)
{
	uint32_t which = (uint32_t)s->a[0];
	struct x_call c;

	if (which < 1 || which > 3)
		return -X_EINVAL;
	if (which == 1 && sched_call(PM_SCHED_GET, s->a[1], 0, 0, &c) < 0)
		return -X_ESRCH;
	return process.io_priority ? (int64_t)process.io_priority - 1 : 4 /* class none, the middle */;
}
