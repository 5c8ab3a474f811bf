/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who a process is: ids (read from the page pm keeps for it), sessions and
 * groups, credentials, limits, prctl.
 */
#include "personality/linux/pers.h"

int64_t linux_getpid(struct sys *s) { (void)s; return ids()->pid; }
int64_t linux_getppid(struct sys *s) { (void)s; return ids()->ppid; }
int64_t linux_getpgrp(struct sys *s) { (void)s; return ids()->pgrp; }
int64_t linux_getuid(struct sys *s) { (void)s; return ids()->uid; }
int64_t linux_geteuid(struct sys *s) { (void)s; return ids()->euid; }
int64_t linux_getgid(struct sys *s) { (void)s; return ids()->gid; }
int64_t linux_getegid(struct sys *s) { (void)s; return ids()->egid; }

/* A call to pm whose result is the first word of its answer. */
static int64_t pm_value(uint32_t op, uint64_t a0, uint64_t a1)
{
	struct x_call c;
	int64_t error = call_pm(&c, op, a0, a1, 0, 0);

	return error < 0 ? error : (int64_t)c.msg.a[0];
}

int64_t linux_setpgid(struct sys *s)
{
	struct x_call c;
	int64_t error;

	if ((int32_t)s->a[0] < 0 || (int32_t)s->a[1] < 0)
		return -X_EINVAL;
	error = call_pm(&c, PM_SETPGID, (uint32_t)s->a[0], (uint32_t)s->a[1], 0, 0);
	return error < 0 ? error : 0;
}

int64_t linux_getpgid(struct sys *s)
{
	uint32_t pid = (uint32_t)s->a[0];

	return pid == 0 || pid == ids()->pid ? (int64_t)ids()->pgrp : pm_value(PM_GETPGID, pid, 0);
}

int64_t linux_getsid(struct sys *s)
{
	uint32_t pid = (uint32_t)s->a[0];

	return pid == 0 || pid == ids()->pid ? (int64_t)ids()->sid : pm_value(PM_GETSID, pid, 0);
}

int64_t linux_setsid(struct sys *s) { (void)s; return pm_value(PM_SETSID, 0, 0); }

/* ------------------------------------------------------------------ credentials */

enum { SETUID, SETGID, SETREUID, SETREGID, SETRESUID, SETRESGID, SETFSUID, SETFSGID, SETGROUPS };

static int64_t set_ids(const struct sys *s, uint64_t what)
{
	struct x_call c;
	int64_t error = call_pm(&c, PM_SETIDS, what, (uint32_t)s->a[0], (uint32_t)s->a[1],
				(uint32_t)s->a[2]);

	return error < 0 ? error : 0;
}

int64_t linux_setuid(struct sys *s) { return set_ids(s, SETUID); }
int64_t linux_setgid(struct sys *s) { return set_ids(s, SETGID); }
int64_t linux_setreuid(struct sys *s) { return set_ids(s, SETREUID); }
int64_t linux_setregid(struct sys *s) { return set_ids(s, SETREGID); }
int64_t linux_setresuid(struct sys *s) { return set_ids(s, SETRESUID); }
int64_t linux_setresgid(struct sys *s) { return set_ids(s, SETRESGID); }

/* These two answer the old id and never an error. */
int64_t linux_setfsuid(struct sys *s)
{
	uint32_t old = ids()->fsuid;

	set_ids(s, SETFSUID);
	return old;
}

int64_t linux_setfsgid(struct sys *s)
{
	uint32_t old = ids()->fsgid;

	set_ids(s, SETFSGID);
	return old;
}

static int64_t put_three(const struct sys *s, uint32_t a, uint32_t b, uint32_t c)
{
	if (copy_out(s->a[0], &a, 4) || copy_out(s->a[1], &b, 4) || copy_out(s->a[2], &c, 4))
		return -X_EFAULT;
	return 0;
}

int64_t linux_getresuid(struct sys *s) { return put_three(s, ids()->uid, ids()->euid, ids()->suid); }
int64_t linux_getresgid(struct sys *s) { return put_three(s, ids()->gid, ids()->egid, ids()->sgid); }

int64_t linux_getgroups(struct sys *s)
{
	uint32_t groups[32], count = ids()->ngroups;
	int32_t room = (int32_t)s->a[0];

	if (room < 0)
		return -X_EINVAL;
	if (count > 32)
		count = 32;
	if (room == 0)
		return count;
	if ((uint32_t)room < count)
		return -X_EINVAL;
	for (uint32_t i = 0; i < count; i++)
		groups[i] = ids()->groups[i];
	return copy_out(s->a[1], groups, count * 4) ? -X_EFAULT : (int64_t)count;
}

int64_t linux_setgroups(struct sys *s)
{
	uint32_t groups[32], count = (uint32_t)s->a[0];
	struct x_call c;
	int64_t error;

	if (ids()->euid != 0)
		return -X_EPERM;
	if (count > 65536)
		return -X_EINVAL;
	if (count > 32) /* as many as there is room for in a process's page */
		return user_probe(s->a[1], 4, false) || user_probe(s->a[1] + count * 4 - 4, 4, false) ? -X_EFAULT : -X_EINVAL;
	if (copy_in(groups, s->a[1], count * 4))
		return -X_EFAULT;
	call_init(&c, PM_SETIDS);
	c.msg.a[0] = SETGROUPS;
	c.msg.a[1] = count;
	call_window(&c, groups, count * 4, X_WIN_READ);
	error = call_plain(X_SLOT_PM, &c);
	return error < 0 ? error : 0;
}

/* Capabilities give nothing here: servers look at the ids. What a process says it
 * has, of all that uid 0 has, is kept and told. */
#define CAPABILITY_VERSION_1 0x19980330u
#define CAPABILITY_VERSION_2 0x20071026u
#define CAPABILITY_VERSION_3 0x20080522u
#define CAPABILITIES 0x1ffffffffffull

static int64_t capability_words(uint64_t header, uint32_t *words)
{
	static const uint32_t preferred = CAPABILITY_VERSION_3;
	uint32_t version;

	if (copy_in(&version, header, 4))
		return -X_EFAULT;
	*words = version == CAPABILITY_VERSION_1 ? 1 : 2;
	if (version == CAPABILITY_VERSION_1 || version == CAPABILITY_VERSION_2 ||
	    version == CAPABILITY_VERSION_3)
		return 0;
	return copy_out(header, &preferred, 4) ? -X_EFAULT : -X_EINVAL;
}

/* The header's pid names a process that there is; -X_ESRCH. */
static int64_t capability_target(uint64_t header)
{
	struct x_call c;
	int32_t pid;

	if (copy_in(&pid, header + 4, 4))
		return -X_EFAULT;
	if (pid < 0)
		return -X_EINVAL;
	return pid == 0 || (uint32_t)pid == ids()->pid ? 0 :
	       call_pm(&c, PM_GETPGID, (uint32_t)pid, 0, 0, 0) < 0 ? -X_ESRCH : 0;
}

enum { EFFECTIVE, PERMITTED, INHERITABLE };

/* They begin, and change, with the effective uid. */
static void capabilities_follow(void)
{
	if (process.capable_uid == ids()->euid + 1ull)
		return;
	process.capable_uid = ids()->euid + 1ull;
	process.capabilities[EFFECTIVE] = process.capabilities[PERMITTED] = ids()->euid == 0 ? CAPABILITIES : 0;
}

/* A process that gave up a capability does not do what it is for. */
bool capable(uint32_t capability)
{
	capabilities_follow();
	return ids()->euid == 0 && (process.capabilities[EFFECTIVE] >> capability & 1);
}

int64_t linux_capget(struct sys *s)
{
	uint32_t words, data[6] = { 0 };
	int64_t error = capability_words(s->a[0], &words);

	if (error)
		return error == -X_EINVAL && !s->a[1] ? 0 : error;
	if (!s->a[1])
		return 0;
	error = capability_target(s->a[0]);
	if (error)
		return error;
	capabilities_follow();
	for (uint32_t i = 0; i < words; i++)
		for (uint32_t set = 0; set < 3; set++)
			data[i * 3 + set] = (uint32_t)(process.capabilities[set] >> 32 * i);
	return copy_out(s->a[1], data, words * 12);
}

int64_t linux_capset(struct sys *s)
{
	uint32_t words, data[6];
	int64_t error = capability_words(s->a[0], &words);

	if (!error)
		error = copy_in(data, s->a[1], words * 12);
	if (error)
		return error;
	{
		uint64_t new[3];
		int32_t pid;

		if (copy_in(&pid, s->a[0] + 4, 4))
			return -X_EFAULT;
		if (pid && (uint32_t)pid != ids()->pid)
			return -X_EPERM;
		capabilities_follow();
		for (uint32_t set = 0; set < 3; set++)
			new[set] = (data[set] | (words == 2 ? (uint64_t)data[set + 3] << 32 : 0)) & CAPABILITIES;
		if ((new[PERMITTED] & ~process.capabilities[PERMITTED]) || (new[EFFECTIVE] & ~new[PERMITTED]) ||
		    (new[INHERITABLE] & ~(process.capabilities[INHERITABLE] | process.capabilities[PERMITTED])) ||
		    (new[INHERITABLE] & ~process.capabilities[INHERITABLE] & process.cap_unbounded))
			return -X_EPERM;
		memcpy(process.capabilities, new, sizeof(new));
		return 0;
	}
}

/* ----------------------------------------------------------------------- limits */

static int64_t limit_call(uint32_t pid, uint32_t resource, uint64_t new, uint64_t old)
{
	struct linux_rlimit limit = { 0, 0 };
	struct x_call c;
	int64_t error;

	if (resource >= RLIMIT_NLIMITS)
		return -X_EINVAL;
	if (new && copy_in(&limit, new, sizeof(limit)))
		return -X_EFAULT;
	if (new && limit.soft > limit.hard)
		return -X_EINVAL;
	call_init(&c, PM_RLIMIT);
	c.msg.a[0] = pid;
	c.msg.a[1] = resource;
	c.msg.a[2] = new != 0;
	c.msg.a[3] = limit.soft;
	c.msg.a[4] = limit.hard;
	error = call_plain(X_SLOT_PM, &c);
	if (error < 0)
		return error;
	limit = (struct linux_rlimit){ c.msg.a[0], c.msg.a[1] };
	return old ? copy_out(old, &limit, sizeof(limit)) : 0;
}

int64_t linux_prlimit64(struct sys *s)
{
	return limit_call((uint32_t)s->a[0], (uint32_t)s->a[1], s->a[2], s->a[3]);
}

int64_t linux_getrlimit(struct sys *s)
{
	return s->a[1] ? limit_call(0, (uint32_t)s->a[0], 0, s->a[1]) : -X_EFAULT;
}

int64_t linux_setrlimit(struct sys *s)
{
	return s->a[1] ? limit_call(0, (uint32_t)s->a[0], s->a[1], 0) : -X_EFAULT;
}

int64_t linux_getpriority(struct sys *s)
{
	struct x_call c;
	int64_t error = call_pm(&c, PM_PRIORITY, 0, (uint32_t)s->a[0], (uint32_t)s->a[1], 0);

	return error < 0 ? error : (int64_t)c.msg.a[0];
}

int64_t linux_setpriority(struct sys *s)
{
	struct x_call c;
	int64_t error = call_pm(&c, PM_PRIORITY, 1, (uint32_t)s->a[0], (uint32_t)s->a[1],
				(uint64_t)(int64_t)(int32_t)s->a[2]);

	return error < 0 ? error : 0;
}

/* ------------------------------------------------------------------------ prctl */

#define PR_SET_PDEATHSIG 1
#define PR_GET_PDEATHSIG 2
#define PR_GET_DUMPABLE 3
#define PR_SET_DUMPABLE 4
#define PR_GET_KEEPCAPS 7
#define PR_SET_KEEPCAPS 8
#define PR_SET_NAME 15
#define PR_GET_NAME 16
#define PR_GET_SECCOMP 21
#define PR_SET_TIMING 14
#define PR_GET_TIMING 13
#define PR_CAPBSET_READ 23
#define PR_CAPBSET_DROP 24
#define PR_GET_TSC 25
#define PR_SET_TSC 26
#define PR_GET_SECUREBITS 27
#define PR_SET_SECUREBITS 28
#define PR_SET_THP_DISABLE 41
#define PR_GET_THP_DISABLE 42
#define PR_CAP_AMBIENT 47
#define PR_GET_SPECULATION_CTRL 52
#define CAP_SETPCAP 8u
#define CAP_LAST 40u
#define SECURE_NO_AMBIENT_RAISE 0x40u
#define PR_GET_TIMERSLACK 30
#define PR_SET_TIMERSLACK 29
#define PR_SET_NO_NEW_PRIVS 38
#define PR_GET_NO_NEW_PRIVS 39

static int64_t set_name(struct pers_thread *t, uint64_t addr)
{
	int64_t len = user_string_length(addr, sizeof(t->name) - 1);
	uint64_t words[2];
	struct x_call c;

	if (len < 0)
		return len;
	memset(t->name, 0, sizeof(t->name));
	len = copy_in(t->name, addr, (uint64_t)len);
	if (len)
		return len;
	memcpy(words, t->name, sizeof(words)); /* for /proc */
	call_pm(&c, PM_PRCTL, PM_PRCTL_NAME, t->tid, words[0], words[1]);
	return 0;
}

#define PR_SET_CHILD_SUBREAPER 36
#define PR_GET_CHILD_SUBREAPER 37

static int64_t prctl_of_pm(uint64_t what, bool set, uint64_t value)
{
	struct x_call c;
	int64_t error = call_pm(&c, PM_PRCTL, what, set, value, 0);

	return error < 0 ? error : (int64_t)c.msg.a[0];
}

enum { AMBIENT_IS_SET = 1, AMBIENT_RAISE, AMBIENT_LOWER, AMBIENT_CLEAR_ALL };

/* Ambient ones are of those permitted and inheritable; kept. */
static int64_t ambient(uint64_t what, uint64_t capability, bool more)
{
	uint64_t bit = 1ull << (capability & 63);

	if (what == AMBIENT_CLEAR_ALL && !capability && !more) {
		process.ambient = 0;
		return 0;
	}
	if (what < AMBIENT_IS_SET || what > AMBIENT_LOWER || capability > CAP_LAST || more)
		return -X_EINVAL;
	capabilities_follow();
	process.ambient &= process.capabilities[PERMITTED] & process.capabilities[INHERITABLE];
	if (what == AMBIENT_IS_SET)
		return (process.ambient & bit) != 0;
	if (what == AMBIENT_LOWER)
		process.ambient &= ~bit;
	else if (!(process.capabilities[PERMITTED] & process.capabilities[INHERITABLE] & bit) ||
		 (process.secure_bits & SECURE_NO_AMBIENT_RAISE))
		return -X_EPERM;
	else
		process.ambient |= bit;
	return 0;
}

static const uint32_t tsc_readable = 1;

int64_t linux_prctl(struct sys *s)
{
	struct pers_thread *t = s->thread;
	uint64_t arg = s->a[1];

	switch ((uint32_t)s->a[0]) {
	case PR_SET_NAME: return set_name(s->thread, arg);
	case PR_GET_NAME: return copy_out(arg, s->thread->name, sizeof(s->thread->name));
	case PR_SET_PDEATHSIG:
		if (arg > SIGNAL_MAX)
			return -X_EINVAL;
		return prctl_of_pm(PM_PRCTL_DEATH_SIGNAL, true, arg) < 0 ? -X_EIO : 0;
	case PR_GET_PDEATHSIG: {
		int32_t value = (int32_t)prctl_of_pm(PM_PRCTL_DEATH_SIGNAL, false, 0);

		return copy_out(arg, &value, 4);
	}
	case PR_SET_CHILD_SUBREAPER: return prctl_of_pm(PM_PRCTL_SUBREAPER, true, arg != 0) < 0 ? -X_EIO : 0;
	case PR_GET_CHILD_SUBREAPER: {
		int32_t value = (int32_t)prctl_of_pm(PM_PRCTL_SUBREAPER, false, 0);

		return copy_out(arg, &value, 4);
	}
	case PR_GET_DUMPABLE: return process.dumpable;
	case PR_SET_DUMPABLE:
		if (arg > 1)
			return -X_EINVAL;
		process.dumpable = (uint32_t)arg;
		return 0;
	case PR_CAPBSET_READ: return arg <= CAP_LAST ? (int64_t)(~process.cap_unbounded >> arg & 1) : -X_EINVAL;
	case PR_CAPBSET_DROP:
		if (!capable(CAP_SETPCAP))
			return -X_EPERM;
		if (arg > CAP_LAST)
			return -X_EINVAL;
		process.cap_unbounded |= 1ull << arg;
		return 0;
	case PR_GET_SECUREBITS: return process.secure_bits;
	case PR_SET_SECUREBITS:
		if (!capable(CAP_SETPCAP) || (arg & ~0xffull))
			return -X_EPERM;
		process.secure_bits = (uint32_t)arg;
		return 0;
	case PR_CAP_AMBIENT: return ambient(arg, s->a[2], s->a[3] || s->a[4]);
	case PR_GET_TIMING: return 0;
	case PR_SET_TIMING: return arg ? -X_EINVAL : 0;
	case PR_GET_TSC: return copy_out(arg, &tsc_readable, sizeof(tsc_readable));
	case PR_SET_TSC: return arg == tsc_readable ? 0 : -X_EINVAL;
	case PR_SET_THP_DISABLE:
		if (s->a[2] || s->a[3] || s->a[4])
			return -X_EINVAL;
		process.thp_disabled = arg != 0;
		return 0;
	case PR_GET_THP_DISABLE:
		return arg || s->a[2] || s->a[3] || s->a[4] ? -X_EINVAL : (int64_t)process.thp_disabled;
	case PR_GET_SPECULATION_CTRL: /* nothing is done about it */
		return s->a[2] || s->a[3] || s->a[4] ? -X_EINVAL : arg <= 2 ? 0 : -X_ENODEV;
	case PR_GET_TIMERSLACK: return (int64_t)(t->timer_slack_ns + process.timer_slack_ns) + 50000;
	case PR_SET_TIMERSLACK:
		t->timer_slack_ns = (int64_t)arg > 0 ? arg - 50000 - process.timer_slack_ns : 0;
		return 0;
	case PR_GET_KEEPCAPS: return process.keep_caps;
	case PR_SET_KEEPCAPS:
		if (arg > 1)
			return -X_EINVAL;
		process.keep_caps = (uint32_t)arg;
		return 0;
	case PR_SET_NO_NEW_PRIVS:
		if (arg != 1 || s->a[2] || s->a[3] || s->a[4])
			return -X_EINVAL;
		process.no_new_privs = 1;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return arg || s->a[2] || s->a[3] || s->a[4] ? -X_EINVAL : (int64_t)process.no_new_privs;
	case PR_GET_SECCOMP: return 0;
	default: return -X_EINVAL;
	}
}

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004
#define ARCH_GET_CPUID 0x1011
#define ARCH_SET_CPUID 0x1012

int64_t linux_arch_prctl(struct sys *s)
{
	struct x_regs *r = &s->frame->regs;

	switch ((uint32_t)s->a[0]) {
	case ARCH_SET_FS:
		if (s->a[1] >= X_USER_MAX)
			return -X_EPERM;
		r->fs_base = s->a[1];
		return linux_error(x_thread_set_fs(s->a[1]));
	case ARCH_SET_GS:
		if (s->a[1] >= X_USER_MAX)
			return -X_EPERM;
		r->gs_base = s->a[1];
		return 0;
	case ARCH_GET_CPUID: return 1;
	case ARCH_SET_CPUID: return -X_ENODEV; /* the machine cannot fault it, or is not asked to */
	case ARCH_GET_FS: return copy_out(s->a[1], &r->fs_base, 8);
	case ARCH_GET_GS: return copy_out(s->a[1], &r->gs_base, 8);
	default: return -X_EINVAL;
	}
}

/* Kept and told; programs behave the same under each. */
int64_t linux_personality(struct sys *s)
{
	uint32_t old = process.persona;

	if ((uint32_t)s->a[0] != UINT32_MAX)
		process.persona = (uint32_t)s->a[0];
	return old;
}
