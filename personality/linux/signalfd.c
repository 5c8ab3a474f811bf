/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signalfd. The descriptor is pm's (servers/pm/signalfd.c), which knows the set
 * and makes it ready for poll; the signals are the reader's own, and are taken
 * here: by the thread that reads, from what is pending for it or its process.
 */
#include "personality/linux/pers.h"

struct linux_signalfd_siginfo { /* signalfd(2) */
	uint32_t signo;
	int32_t error, code;
	uint32_t pid, uid;
	int32_t fd;
	uint32_t tid, band, overrun, trapno;
	int32_t status, value;
	uint64_t pointer, utime, stime, address;
	uint8_t pad[48];
};
_Static_assert(sizeof(struct linux_signalfd_siginfo) == 128, "struct signalfd_siginfo");

static void tell(struct linux_signalfd_siginfo *out, const struct linux_siginfo *in)
{
	*out = (struct linux_signalfd_siginfo){
		.signo = (uint32_t)in->signo, .code = in->code,
		.pid = (uint32_t)in->child.pid, .uid = in->child.uid,
	};
	if (in->signo == SIGCHLD && in->code > 0) {
		out->status = in->child.status;
		out->utime = (uint64_t)in->child.utime;
		out->stime = (uint64_t)in->child.stime;
	} else {
		out->value = (int32_t)in->value;
		out->pointer = in->value;
	}
}

/* What of `set` is pending into the buffer: bytes, 0 if nothing is. */
static int64_t take(struct sys *s, uint64_t set, uint64_t buf, uint64_t room)
{
	struct linux_signalfd_siginfo out;
	struct linux_siginfo info;
	uint64_t done = 0;

	while (room - done >= sizeof(out) && signal_take(s, set, &info)) {
		tell(&out, &info);
		if (copy_out(buf + done, &out, sizeof(out)))
			return done ? (int64_t)done : -X_EFAULT;
		done += sizeof(out);
	}
	return (int64_t)done;
}

/* The set, and how many signals of it were sent so far. -X_EIO: no signalfd. */
static int64_t ask(uint64_t fd, uint64_t *set, uint64_t *posted)
{
	struct x_call c;
	int64_t result;

	call_init(&c, FILE_READ);
	c.flags |= X_CALL_KILLABLE;
	result = x_call((x_handle_t)fd, &c);
	*set = c.msg.a[0];
	*posted = c.msg.a[1];
	return result == -X_ELOCAL ? 0 : -X_EIO;
}

int64_t signalfd_read(struct sys *s)
{
	uint64_t fd = s->a[0], set, posted;
	int64_t flags, n, error = ask(fd, &set, &posted);
	struct x_call c;

	if (error)
		return error;
	if (s->a[2] < sizeof(struct linux_signalfd_siginfo))
		return -X_EINVAL;
	flags = x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0);
	for (;;) {
		n = take(s, set, s->a[1], s->a[2]);
		if (n || (flags > 0 && ((uint64_t)flags & F_O_NONBLOCK)))
			break;
		if (!(signals_wait(s, set, X_FOREVER) & set))
			return -RESTART_SYS;
	}
	if (!(signals_all(s->frame) & set)) {
		call_init(&c, SIGNALFD_EMPTY);
		c.msg.a[0] = posted;
		call_plain((x_handle_t)fd, &c);
	}
	return n ? n : -X_EAGAIN;
}

void signalfd_posted(uint32_t sig)
{
	struct x_call c;

	if (process.signalfd_set & signal_bit(sig))
		call_pm(&c, PM_SIGNALFD, PM_SIGNALFD_POSTED, sig, 0, 0);
}

static int64_t create(uint64_t set, uint32_t flags, bool pending)
{
	struct x_call c;

	call_init(&c, PM_SIGNALFD);
	c.msg.a[0] = PM_SIGNALFD_CREATE;
	c.msg.a[1] = set;
	c.msg.a[2] = flags & F_O_NONBLOCK;
	c.msg.a[3] = pending;
	call_receive_fds(&c, flags & F_O_CLOEXEC);
	return call_new_fd(&c, call_plain(X_SLOT_PM, &c));
}

static int64_t change(uint64_t fd, uint64_t set, bool pending)
{
	uint64_t old, posted;
	struct x_call c;
	int64_t error;

	if (check_fd(fd) || x_handle_cloexec((x_handle_t)fd, -1) < 0)
		return -X_EBADF;
	if (ask(fd, &old, &posted))
		return -X_EINVAL;
	call_init(&c, SIGNALFD_SET);
	c.msg.a[0] = set;
	c.msg.a[1] = pending;
	error = call_plain((x_handle_t)fd, &c);
	return error < 0 ? error : (int64_t)(uint32_t)fd;
}

static int64_t signalfd(struct sys *s, uint32_t flags)
{
	uint64_t set;
	bool pending;

	if (s->a[2] != 8 || (flags & ~(F_O_NONBLOCK | F_O_CLOEXEC)))
		return -X_EINVAL;
	if (copy_in(&set, s->a[1], 8))
		return -X_EFAULT;
	set &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
	__atomic_fetch_or(&process.signalfd_set, set, __ATOMIC_RELAXED);
	pending = signals_all(s->frame) & set;
	return (int32_t)s->a[0] == -1 ? create(set, flags, pending) : change(s->a[0], set, pending);
}

int64_t linux_signalfd4(struct sys *s) { return signalfd(s, (uint32_t)s->a[3]); }
int64_t linux_signalfd(struct sys *s) { return signalfd(s, 0); }
