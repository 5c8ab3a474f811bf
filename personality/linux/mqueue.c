/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * POSIX message queues: pm's work (servers/pm/mqueue.c). A queue's descriptor is
 * an open file, whose flags and readiness are where those of all others are.
 */
#include "personality/linux/pers.h"

struct linux_mq_attr { int64_t flags, maxmsg, msgsize, curmsgs, reserved[4]; };

struct linux_sigevent {
	uint64_t value;
	int32_t signo, notify;
	uint8_t pad[48];
};
_Static_assert(sizeof(struct linux_sigevent) == 64, "struct sigevent");
enum { SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD };

#define NAME_END 4096u

/* The name as window 0. */
static int64_t name_window(struct x_call *c, uint64_t name)
{
	int64_t length = user_string_length(name, NAME_END);

	if (length < 0)
		return length;
	if (length == 0)
		return -X_ENOENT;
	if (length > 255)
		return -X_ENAMETOOLONG;
	call_window(c, name, (uint64_t)length, X_WIN_READ);
	return 0;
}

static uint64_t masked(uint64_t mode)
{
	struct x_call c;

	call_init(&c, VFS_UMASK);
	c.msg.a[0] = ~0ull;
	return call_plain(X_SLOT_VFS, &c) < 0 ? mode : mode & ~c.msg.a[0] & 0777;
}

int64_t linux_mq_open(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[1];
	struct linux_mq_attr attr;
	struct x_call c;
	int64_t error;

	call_init(&c, PM_MQ);
	c.msg.a[0] = PM_MQ_OPEN;
	c.msg.a[1] = flags;
	if ((flags & F_O_CREAT) && s->a[3]) {
		if (copy_in(&attr, s->a[3], sizeof(attr)))
			return -X_EFAULT;
		c.msg.a[3] = (uint64_t)attr.maxmsg;
		c.msg.a[4] = (uint64_t)attr.msgsize;
		c.msg.a[5] = 1;
	}
	if (flags & F_O_CREAT)
		c.msg.a[2] = masked(s->a[2]);
	error = name_window(&c, s->a[0]);
	if (!error)
		error = room_for_descriptor();
	if (error)
		return error;
	call_receive_fds(&c, true);
	return call_new_fd(&c, call_plain(X_SLOT_PM, &c));
}

int64_t linux_mq_unlink(struct sys *s)
{
	struct x_call c;
	int64_t error;

	call_init(&c, PM_MQ);
	c.msg.a[0] = PM_MQ_UNLINK;
	error = name_window(&c, s->a[0]);
	return error ? error : call_plain(X_SLOT_PM, &c);
}

/* What is no queue is no descriptor for these calls. */
static int64_t queue_call(uint64_t fd, struct x_call *c)
{
	int64_t error;

	if (check_fd(fd))
		return -X_EBADF;
	c->msg.status = 0;
	error = call_interruptible((x_handle_t)fd, c);
	return error == -X_ENOSYS || error == -X_EINVAL || error == -X_EOPNOTSUPP || error == -X_ENOTTY ? -X_EBADF : error;
}

/* Begins a call with the deadline at `timeout`: an absolute time of day, 0: none. */
static int64_t timed_call(struct x_call *c, uint32_t op, uint64_t timeout)
{
	struct linux_timespec t;
	uint64_t ns;

	call_init(c, op);
	c->msg.a[1] = X_FOREVER;
	if (!timeout)
		return 0;
	if (copy_in(&t, timeout, sizeof(t)))
		return -X_EFAULT;
	if (!convert_timespec(&t, &ns))
		return -X_EINVAL;
	c->msg.a[1] = deadline_from_realtime(ns);
	return 0;
}

int64_t linux_mq_timedsend(struct sys *s)
{
	struct x_call c;
	int64_t error = timed_call(&c, MQ_SEND, s->a[4]);

	if (!error && (uint32_t)s->a[3] >= 32768)
		error = -X_EINVAL;
	if (!error)
		error = user_probe(s->a[1], s->a[2], false);
	if (error)
		return error;
	if (s->a[2] > X_WINDOW_MAX)
		return -X_EMSGSIZE;
	c.msg.a[0] = (uint32_t)s->a[3];
	call_window(&c, s->a[1], s->a[2], X_WIN_READ);
	error = queue_call(s->a[0], &c);
	return error < 0 ? error : 0;
}

int64_t linux_mq_timedreceive(struct sys *s)
{
	uint32_t priority;
	struct x_call c;
	int64_t n = timed_call(&c, MQ_RECEIVE, s->a[4]);

	if (!n)
		n = user_probe(s->a[1], s->a[2], true);
	if (n)
		return n;
	call_window(&c, s->a[1], s->a[2], X_WIN_WRITE);
	n = queue_call(s->a[0], &c);
	priority = (uint32_t)c.msg.a[0];
	if (n >= 0 && s->a[3] && copy_out(s->a[3], &priority, sizeof(priority)))
		return -X_EFAULT;
	return n;
}

int64_t linux_mq_notify(struct sys *s)
{
	struct linux_sigevent event;
	struct x_call c;

	call_init(&c, MQ_NOTIFY);
	if (s->a[1]) {
		if (copy_in(&event, s->a[1], sizeof(event)))
			return -X_EFAULT;
		if ((event.notify != SIGEV_SIGNAL && event.notify != SIGEV_NONE) ||
		    (event.notify == SIGEV_SIGNAL && (event.signo < 1 || event.signo > SIGNAL_MAX)))
			return -X_EINVAL;
		c.msg.a[0] = 1;
		c.msg.a[1] = event.notify == SIGEV_SIGNAL ? (uint32_t)event.signo : 0;
		c.msg.a[2] = event.value;
	}
	return queue_call(s->a[0], &c);
}

int64_t linux_mq_getsetattr(struct sys *s)
{
	struct linux_mq_attr attr, old = { 0 };
	int64_t error, flags;
	struct x_call c;

	if (s->a[1] && copy_in(&attr, s->a[1], sizeof(attr)))
		return -X_EFAULT;
	if (s->a[1] && (attr.flags & ~(int64_t)F_O_NONBLOCK))
		return -X_EINVAL;
	call_init(&c, MQ_ATTR);
	error = queue_call(s->a[0], &c);
	if (error < 0)
		return error;
	flags = x_object_ctl((x_handle_t)s->a[0], X_OBJ_GET_FLAGS, 0);
	if (flags < 0)
		return -X_EBADF;
	old.flags = flags & (int64_t)F_O_NONBLOCK;
	old.maxmsg = (int64_t)c.msg.a[0];
	old.msgsize = (int64_t)c.msg.a[1];
	old.curmsgs = (int64_t)c.msg.a[2];
	if (s->a[1])
		x_object_ctl((x_handle_t)s->a[0], X_OBJ_SET_FLAGS,
			     ((uint64_t)flags & ~(uint64_t)F_O_NONBLOCK) | (uint64_t)attr.flags);
	return s->a[2] ? copy_out(s->a[2], &old, sizeof(old)) : 0;
}
