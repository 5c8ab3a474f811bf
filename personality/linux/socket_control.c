/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control messages (cmsg(3)). Of UNIX sockets: descriptors and credentials. A
 * call carries four descriptors; more go ahead of it, and are fetched after it, in
 * calls of their own. Those of the network pass as they are.
 */
#include "personality/linux/socket.h"

#define SOL_SOCKET      1
#define SCM_RIGHTS      1
#define SCM_CREDENTIALS 2
#define MSG_CTRUNC       0x8u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define CONTROL_MOST    65536u
#define RIGHTS_MOST     253u /* SCM_MAX_FD */

struct linux_cmsghdr { uint64_t length; int32_t level, type; };
struct linux_ucred { int32_t pid; uint32_t uid, gid; };

#define CMSG_DATA_AT   sizeof(struct linux_cmsghdr)
#define CMSG_ALIGN(n)  (((n) + 7) & ~7ull)

/* ---- sending ---- */

static int64_t attach(uint64_t fd, struct x_call *c)
{
	struct x_call ahead;
	int64_t result;

	call_init(&ahead, SOCK_ATTACH);
	memcpy(ahead.handles, c->handles, sizeof(ahead.handles));
	ahead.handle_count = c->handle_count;
	c->handle_count = 0;
	result = socket_call(fd, &ahead);
	return result < 0 ? result : 0;
}

static int64_t send_rights(uint64_t fd, struct x_call *c, uint64_t addr, uint64_t count)
{
	struct x_handle_info info;
	int64_t error = 0;
	int32_t right;

	if (count > RIGHTS_MOST)
		return -X_EINVAL;
	for (uint64_t i = 0; i < count && !error; i++) {
		if (copy_in(&right, addr + i * 4, sizeof(right)))
			return -X_EFAULT;
		if (check_fd((uint64_t)(int64_t)right) || x_handle_info((x_handle_t)right, &info) < 0)
			return -X_EBADF;
		if (c->handle_count == X_MAX_HANDLES)
			error = attach(fd, c);
		c->handles[c->handle_count++] = (x_handle_t)right;
	}
	return error;
}

/* One may only say what is true, root apart; vfs adds what it knows itself. */
static int64_t check_credentials(uint64_t addr)
{
	const volatile struct pm_ids *own = ids();
	struct linux_ucred cred;

	if (copy_in(&cred, addr, sizeof(cred)))
		return -X_EFAULT;
	if (own->euid == 0)
		return 0;
	if ((uint32_t)cred.pid != own->pid || (cred.uid != own->uid && cred.uid != own->euid && cred.uid != own->suid) ||
	    (cred.gid != own->gid && cred.gid != own->egid && cred.gid != own->sgid))
		return -X_EPERM;
	return 0;
}

/* Into the call's last window; what does not fit there is nothing that a socket knows. */
static int64_t send_other(struct x_call *c, struct socket_address *a, uint64_t addr, uint64_t length)
{
	uint64_t used = c->msg.a[6] & 0xffff, bytes = CMSG_ALIGN(length);

	if (bytes > sizeof(a->control) - used || (!used && c->win_count > SOCK_ADDRESS_WINDOW))
		return 0;
	memset(a->control + used, 0, bytes);
	if (copy_in(a->control + used, addr, length))
		return -X_EFAULT;
	while (c->win_count < SOCK_ADDRESS_WINDOW)
		call_window(c, 0, 0, X_WIN_READ);
	if (!used)
		call_window(c, a, sizeof(*a), X_WIN_READ);
	c->msg.a[6] = SOCK_CONTROL_HERE | (used + bytes);
	return 0;
}

int64_t control_send(uint64_t fd, struct x_call *c, struct socket_address *a, const struct linux_msghdr *m)
{
	uint64_t at = 0;

	if (!m->control || !m->control_length)
		return 0;
	if (m->control_length > CONTROL_MOST)
		return -X_ENOBUFS;
	while (m->control_length - at >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;
		int64_t error = 0;

		if (copy_in(&h, m->control + at, sizeof(h)))
			return -X_EFAULT;
		if (h.length < sizeof(h) || h.length > m->control_length - at)
			return -X_EINVAL;
		if (h.level == SOL_SOCKET && h.type == SCM_RIGHTS)
			error = send_rights(fd, c, m->control + at + CMSG_DATA_AT, (h.length - CMSG_DATA_AT) / 4);
		else if (h.level == SOL_SOCKET && h.type == SCM_CREDENTIALS)
			error = h.length == CMSG_DATA_AT + sizeof(struct linux_ucred) ?
					check_credentials(m->control + at + CMSG_DATA_AT) : -X_EINVAL;
		else if (h.level == SOL_SOCKET)
			error = -X_EINVAL;
		else
			error = send_other(c, a, m->control + at, h.length);
		if (error)
			return error;
		at += CMSG_ALIGN(h.length);
		if (at > m->control_length)
			break;
	}
	return 0;
}

/* ---- receiving ---- */

static uint64_t rights_room(uint64_t control_length)
{
	uint64_t room = control_length > CMSG_DATA_AT ? (control_length - CMSG_DATA_AT) / 4 : 0;

	return room < RIGHTS_MOST ? room : RIGHTS_MOST;
}

void control_want(struct x_call *c, const struct linux_msghdr *m, uint32_t flags)
{
	c->msg.a[6] = m->control ? rights_room(m->control_length) : 0;
	call_receive_fds(c, flags & MSG_CMSG_CLOEXEC);
}

/* A control message at *at, cut if there is no room for all of it. */
static int64_t put_control(struct linux_msghdr *m, uint64_t *at, int32_t level, int32_t type, const void *data,
			   uint64_t bytes)
{
	struct linux_cmsghdr h = { CMSG_DATA_AT + bytes, level, type };
	uint64_t room = m->control_length - *at;

	if (room < sizeof(h)) {
		m->flags |= (int32_t)MSG_CTRUNC;
		return 0;
	}
	if (h.length > room) {
		m->flags |= (int32_t)MSG_CTRUNC;
		h.length = room;
	}
	if (copy_out(m->control + *at, &h, sizeof(h)) ||
	    copy_out(m->control + *at + CMSG_DATA_AT, data, h.length - CMSG_DATA_AT))
		return -X_EFAULT;
	*at += CMSG_ALIGN(h.length);
	if (*at > m->control_length)
		*at = m->control_length;
	return 0;
}

/* All descriptors of the message: those of the answer, and the rest. */
static uint32_t collect(uint64_t fd, struct x_call *c, int32_t *rights, uint32_t flags)
{
	uint32_t count = 0, left = (uint32_t)(c->msg.a[6] >> 32);

	for (uint32_t i = 0; i < c->handle_count; i++)
		rights[count++] = (int32_t)c->handles[i];
	while (left && count + X_MAX_HANDLES <= RIGHTS_MOST + X_MAX_HANDLES) {
		struct x_call more;

		call_init(&more, SOCK_TAKE);
		call_receive_fds(&more, flags & MSG_CMSG_CLOEXEC);
		if (socket_call(fd, &more) < 0 || !more.handle_count)
			break;
		for (uint32_t i = 0; i < more.handle_count; i++)
			rights[count++] = (int32_t)more.handles[i];
		left = (uint32_t)(more.msg.a[6] >> 32);
	}
	return count;
}

static int64_t give_others(const struct socket_address *a, uint64_t bytes, struct linux_msghdr *m)
{
	uint64_t from = 0, at = 0;
	int64_t error = 0;

	while (!error && bytes <= sizeof(a->control) && bytes - from >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;

		memcpy(&h, a->control + from, sizeof(h));
		if (h.length < sizeof(h) || h.length > bytes - from)
			break;
		error = put_control(m, &at, h.level, h.type, a->control + from + CMSG_DATA_AT, h.length - CMSG_DATA_AT);
		from += CMSG_ALIGN(h.length);
		if (from > bytes)
			break;
	}
	m->control_length = at;
	return error;
}

static int64_t give_none(struct linux_msghdr *m)
{
	m->flags |= (int32_t)MSG_CTRUNC;
	m->control_length = 0;
	return 0;
}

int64_t control_give(uint64_t fd, struct x_call *c, const struct socket_address *a, struct linux_msghdr *m,
		     uint32_t flags)
{
	struct linux_ucred cred = { (int32_t)(c->msg.a[0] >> 32), (uint32_t)(c->msg.a[1] >> 32), (uint32_t)c->msg.a[6] };
	int32_t rights[RIGHTS_MOST + X_MAX_HANDLES];
	uint64_t at = 0, room;
	uint32_t count;
	int64_t error = 0;

	if (c->msg.a[6] & SOCK_CONTROL_HERE)
		return m->control ? give_others(a, c->msg.a[6] & 0xffff, m) : give_none(m);
	count = collect(fd, c, rights, flags);
	if (cred.pid && m->control)
		error = put_control(m, &at, SOL_SOCKET, SCM_CREDENTIALS, &cred, sizeof(cred));
	else if (cred.pid)
		m->flags |= (int32_t)MSG_CTRUNC;
	room = m->control ? rights_room(m->control_length - at) : 0;
	if (count > room)
		m->flags |= (int32_t)MSG_CTRUNC;
	while (count > room)
		x_handle_close((x_handle_t)rights[--count]);
	if (count && !error)
		error = put_control(m, &at, SOL_SOCKET, SCM_RIGHTS, rights, (uint64_t)count * 4);
	m->control_length = at;
	return error;
}
