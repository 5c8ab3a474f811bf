/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors of processes, and what is done with other processes by number:
 * their memory, and whether two have something in common. All by pm.
 */
#include "personality/linux/pers.h"

#define PIDFD_NONBLOCK 04000u
#define IOV_MAX 1024u

int64_t pidfd_open(uint32_t pid, uint32_t flags)
{
	struct x_call c;

	call_init(&c, PM_PIDFD);
	c.msg.a[0] = pid;
	c.msg.a[1] = flags & PIDFD_NONBLOCK;
	call_receive_fds(&c, true);
	return call_new_fd(&c, call_plain(X_SLOT_PM, &c));
}

int64_t linux_pidfd_open(struct sys *s)
{
	if (((uint32_t)s->a[1] & ~PIDFD_NONBLOCK) || (int32_t)s->a[0] <= 0)
		return -X_EINVAL;
	return pidfd_open((uint32_t)s->a[0], (uint32_t)s->a[1]);
}

/* A call on the pidfd; -X_EBADF if it is another descriptor. */
static int64_t pidfd_call(uint64_t fd, struct x_call *c)
{
	int64_t error = check_fd(fd) ? -X_EBADF : call_plain((x_handle_t)fd, c);

	return error == -X_ENOSYS || error == -X_EINVAL || error == -X_EOPNOTSUPP ? -X_EBADF : error;
}

int64_t pidfd_waited(uint32_t fd, int64_t *pid, uint32_t *options)
{
	struct x_call c;
	int64_t flags, error;

	call_init(&c, PIDFD_PID);
	error = pidfd_call(fd, &c);
	if (error < 0)
		return error == -X_ESRCH ? -X_ECHILD : error;
	*pid = (int64_t)c.msg.a[0];
	flags = x_object_ctl(fd, X_OBJ_GET_FLAGS, 0);
	if (flags >= 0 && (flags & PIDFD_NONBLOCK))
		*options |= WNOHANG;
	return 0;
}

int64_t linux_pidfd_send_signal(struct sys *s)
{
	struct linux_siginfo info;
	struct x_call c;
	int64_t error;

	if ((uint32_t)s->a[3])
		return -X_EINVAL;
	if (s->a[2] && copy_in(&info, s->a[2], sizeof(info)))
		return -X_EFAULT;
	call_init(&c, PIDFD_PID);
	error = pidfd_call(s->a[0], &c);
	if (error < 0)
		return error;
	if (s->a[2] && (uint32_t)info.signo != (uint32_t)s->a[1])
		return -X_EINVAL;
	if (s->a[2] && (info.code >= 0 || info.code == SI_TKILL) && c.msg.a[0] != ids()->pid)
		return -X_EPERM;
	if ((uint32_t)s->a[1] > SIGNAL_MAX)
		return -X_EINVAL;
	call_init(&c, PIDFD_SIGNAL);
	c.msg.a[0] = (uint32_t)s->a[1];
	c.msg.a[1] = s->a[2] != 0;
	if (s->a[2]) {
		c.msg.a[2] = (uint64_t)(int64_t)info.code;
		c.msg.a[3] = info.value;
	}
	error = pidfd_call(s->a[0], &c);
	return error < 0 ? error : 0;
}

int64_t linux_pidfd_getfd(struct sys *s)
{
	struct x_call c;

	if ((uint32_t)s->a[2])
		return -X_EINVAL;
	call_init(&c, PIDFD_GETFD);
	c.msg.a[0] = (uint32_t)s->a[1];
	call_receive_fds(&c, true);
	return call_new_fd(&c, pidfd_call(s->a[0], &c));
}

/* ----------------------------------------------------- memory of other processes */

struct vec { uint64_t base, len; };

/* The first that is not empty, from *at on. */
static int64_t next_vec(uint64_t array, uint64_t count, uint64_t *at, struct vec *v)
{
	while (v->len == 0 && *at < count) {
		if (copy_in(v, array + *at * sizeof(*v), sizeof(*v)))
			return -X_EFAULT;
		(*at)++;
	}
	return 0;
}

static int64_t check_vecs(uint64_t array, uint64_t count)
{
	uint64_t total = 0;

	if (count > IOV_MAX)
		return -X_EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		struct vec v;

		if (copy_in(&v, array + i * sizeof(v), sizeof(v)))
			return -X_EFAULT;
		if ((int64_t)v.len < 0 || (int64_t)(total += v.len) < 0)
			return -X_EINVAL;
	}
	return 0;
}

static int64_t process_memory(struct sys *s, bool write)
{
	uint64_t local_at = 0, remote_at = 0, done = 0;
	struct vec local = { 0, 0 }, remote = { 0, 0 };
	int64_t error = s->a[5] ? -X_EINVAL : check_vecs(s->a[1], s->a[2]);

	if (!error)
		error = check_vecs(s->a[3], s->a[4]);
	while (!error) {
		struct x_call c;
		uint64_t part;

		error = next_vec(s->a[1], s->a[2], &local_at, &local);
		if (!error)
			error = next_vec(s->a[3], s->a[4], &remote_at, &remote);
		part = local.len < remote.len ? local.len : remote.len;
		if (error || (part == 0 && done))
			break;
		part = part < X_WINDOW_MAX ? part : X_WINDOW_MAX;
		call_init(&c, PM_VM);
		c.msg.a[0] = (uint32_t)s->a[0];
		c.msg.a[1] = write;
		c.msg.a[2] = remote.base;
		if (part && !user_range(local.base, part)) {
			error = -X_EFAULT;
			break;
		}
		if (part)
			call_window_at(&c, local.base, part, write ? X_WIN_READ : X_WIN_WRITE);
		error = call_plain(X_SLOT_PM, &c);
		if (error < 0)
			break;
		if (part && error == 0) {
			error = -X_EFAULT;
			break;
		}
		done += (uint64_t)error;
		if ((uint64_t)error < part || part == 0)
			break;
		local.base += part;
		local.len -= part;
		remote.base += part;
		remote.len -= part;
		error = 0;
	}
	return done ? (int64_t)done : error < 0 ? error : 0;
}

int64_t linux_process_vm_readv(struct sys *s) { return process_memory(s, false); }
int64_t linux_process_vm_writev(struct sys *s) { return process_memory(s, true); }

int64_t linux_kcmp(struct sys *s)
{
	struct x_call c;
	int64_t error;

	if ((int32_t)s->a[0] <= 0 || (int32_t)s->a[1] <= 0)
		return -X_ESRCH;
	call_init(&c, PM_KCMP);
	c.msg.a[0] = (uint32_t)s->a[0];
	c.msg.a[1] = (uint32_t)s->a[1];
	c.msg.a[2] = (uint32_t)s->a[2];
	c.msg.a[3] = s->a[3];
	c.msg.a[4] = s->a[4];
	error = call_plain(X_SLOT_PM, &c);
	return error < 0 ? error : (int64_t)c.msg.a[0];
}

/* A process alone shares with nobody what it could stop sharing; other spaces
 * of names than the one there is cannot be had. */
int64_t linux_unshare(struct sys *s)
{
	const uint64_t private = 0x00040e00ull; /* SYSVSEM, FILES, FS */
	const uint64_t whole = 0x00010900ull;   /* THREAD, SIGHAND, VM */
	const uint64_t spaces = 0x7e020080ull;  /* CLONE_NEW* */
	uint64_t flags = s->a[0];

	if (flags & ~(private | whole | spaces))
		return -X_EINVAL;
	if (flags & spaces)
		return -X_EPERM;
	return (flags & (whole | private)) && __atomic_load_n(&process.threads, __ATOMIC_RELAXED) > 1 ? -X_EINVAL : 0;
}
