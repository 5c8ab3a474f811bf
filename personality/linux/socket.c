/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Socket system calls: each becomes one call on the descriptor's object
 * (proto/socket.h), straight to the server that has the socket; socket(2) goes
 * through vfs, which knows the family's server. Messages are in socket_msg.c.
 */
#include "personality/linux/socket.h"

#define FAMILY_MAX   46u /* AF_MAX of Linux 6.1 */
#define TYPE_MAX     11u
#define FAMILY_INET  2u
#define TYPE_DATAGRAM 2u

/* What is no socket does not know the operation. */
int64_t socket_result(int64_t result)
{
	return result == -X_ENOSYS ? -X_ENOTSOCK : result;
}

int64_t socket_call(uint64_t fd, struct x_call *c)
{
	struct x_handle_info info;
	int64_t result;

	if (check_fd(fd))
		return -X_EBADF;
	result = socket_result(call_interruptible((x_handle_t)fd, c));
	/* An epoll set, an eventfd, a timerfd: nobody is there to be called. */
	if (result == -X_EINVAL && x_handle_info((x_handle_t)fd, &info) >= 0 && info.type != X_TYPE_OBJECT)
		return -X_ENOTSOCK;
	return result;
}

/* ---- addresses ---- */

int64_t put_address(struct x_call *c, struct socket_address *a, uint64_t addr, uint64_t length)
{
	int32_t bytes = (int32_t)length;

	if (bytes < 0 || bytes > (int32_t)sizeof(a->bytes))
		return -X_EINVAL;
	if (bytes && copy_in(a->bytes, addr, (uint64_t)bytes))
		return -X_EFAULT;
	c->msg.a[1] = (uint64_t)bytes;
	if ((uint32_t)bytes <= SOCK_ADDRESS_INLINE) {
		memcpy(&c->msg.a[2], a->bytes, (size_t)bytes);
		return 0;
	}
	while (c->win_count < SOCK_ADDRESS_WINDOW)
		call_window(c, 0, 0, X_WIN_READ);
	call_window(c, a->bytes, (uint64_t)bytes, X_WIN_READ);
	return 0;
}

void want_address(struct x_call *c, struct socket_address *a)
{
	while (c->win_count < SOCK_ADDRESS_WINDOW)
		call_window(c, 0, 0, X_WIN_READ);
	call_window(c, a, sizeof(*a), X_WIN_WRITE);
}

int64_t give_address(const struct x_call *c, struct socket_address *a, uint64_t addr, uint32_t room, uint32_t *length)
{
	uint64_t bytes = (uint32_t)c->msg.a[1]; /* above it the sender of a UNIX message */

	if (bytes > sizeof(a->bytes))
		return -X_EIO;
	if (bytes <= SOCK_ADDRESS_INLINE)
		memcpy(a->bytes, &c->msg.a[2], bytes);
	*length = (uint32_t)bytes;
	if (bytes > room)
		bytes = room;
	return bytes && copy_out(addr, a->bytes, bytes) ? -X_EFAULT : 0;
}

/* With the room and then the length at `length_addr`, as accept(2) has it. */
static int64_t give_sized_address(const struct x_call *c, struct socket_address *a, uint64_t addr, uint64_t length_addr)
{
	uint32_t length;
	int32_t room;
	int64_t error;

	if (copy_in(&room, length_addr, sizeof(room)))
		return -X_EFAULT;
	if (room < 0)
		return -X_EINVAL;
	error = give_address(c, a, addr, (uint32_t)room, &length);
	return error ? error : copy_out(length_addr, &length, sizeof(length)) ? -X_EFAULT : 0;
}

/* ---- making sockets ---- */

/* VFS_SOCKET or VFS_SOCKETPAIR; the call is the caller's to look at. */
static int64_t ask_socket(struct x_call *c, uint32_t op, const uint64_t *a)
{
	uint32_t flags = (uint32_t)a[1] & ~0xfu, type = (uint32_t)a[1] & 0xf;

	if (flags & ~(F_O_NONBLOCK | F_O_CLOEXEC))
		return -X_EINVAL;
	if ((uint32_t)a[0] >= FAMILY_MAX)
		return -X_EAFNOSUPPORT;
	if (type >= TYPE_MAX)
		return -X_EINVAL;
	call_init(c, op);
	c->msg.a[0] = (uint32_t)a[0] | (uint64_t)type << 32;
	c->msg.a[1] = (uint32_t)a[2] | (flags & F_O_NONBLOCK ? (uint64_t)SOCK_F_NONBLOCK << 32 : 0);
	call_receive_fds(c, flags & F_O_CLOEXEC);
	return call_plain(X_SLOT_VFS, c);
}

int64_t linux_socket(struct sys *s)
{
	struct x_call c;

	return call_new_fd(&c, ask_socket(&c, VFS_SOCKET, s->a));
}

int64_t linux_socketpair(struct sys *s)
{
	struct x_call c;
	int64_t result = user_probe(s->a[3], 8, true);
	int32_t fds[2];

	if (!result)
		result = ask_socket(&c, VFS_SOCKETPAIR, s->a);
	if (result < 0)
		return result;
	fds[0] = (int32_t)c.handles[0];
	fds[1] = (int32_t)c.handles[1];
	result = c.handle_count == 2 ? copy_out(s->a[3], fds, sizeof(fds)) : -X_EIO;
	for (uint32_t i = 0; result && i < c.handle_count; i++)
		x_handle_close(c.handles[i]);
	return result;
}

/* ---- connections ---- */

static int64_t with_address(struct sys *s, uint32_t op)
{
	struct socket_address a;
	struct x_call c;
	int64_t error;

	call_init(&c, op);
	error = put_address(&c, &a, s->a[1], s->a[2]);
	return error ? socket_check(s->a[0], error) : socket_call(s->a[0], &c);
}

int64_t linux_bind(struct sys *s) { return with_address(s, SOCK_BIND); }
int64_t linux_connect(struct sys *s) { return with_address(s, SOCK_CONNECT); }

int64_t linux_listen(struct sys *s)
{
	struct x_call c;

	call_init(&c, SOCK_LISTEN);
	c.msg.a[0] = (uint64_t)(int64_t)(int32_t)s->a[1];
	return socket_call(s->a[0], &c);
}

static int64_t accept_with(struct sys *s, uint32_t flags)
{
	struct socket_address a;
	struct x_call c;
	int64_t result;

	if (flags & ~(F_O_NONBLOCK | F_O_CLOEXEC))
		return -X_EINVAL;
	call_init(&c, SOCK_ACCEPT);
	c.msg.a[0] = flags & F_O_NONBLOCK;
	if (s->a[1])
		want_address(&c, &a);
	call_receive_fds(&c, flags & F_O_CLOEXEC);
	result = socket_call(s->a[0], &c);
	if (result < 0)
		return result;
	if (c.handle_count != 1)
		return -X_EIO;
	result = s->a[1] ? give_sized_address(&c, &a, s->a[1], s->a[2]) : 0;
	if (result) {
		x_handle_close(c.handles[0]);
		return result;
	}
	return (int64_t)c.handles[0];
}

int64_t linux_accept(struct sys *s) { return accept_with(s, 0); }
int64_t linux_accept4(struct sys *s) { return accept_with(s, (uint32_t)s->a[3]); }

int64_t linux_shutdown(struct sys *s)
{
	struct x_call c;

	call_init(&c, SOCK_SHUTDOWN);
	c.msg.a[0] = (uint32_t)s->a[1];
	return socket_call(s->a[0], &c);
}

static int64_t get_name(struct sys *s, uint64_t whose)
{
	struct socket_address a;
	struct x_call c;
	int64_t result;

	call_init(&c, SOCK_NAME);
	c.msg.a[0] = whose;
	want_address(&c, &a);
	result = socket_call(s->a[0], &c);
	return result < 0 ? result : give_sized_address(&c, &a, s->a[1], s->a[2]);
}

int64_t linux_getsockname(struct sys *s) { return get_name(s, 0); }
int64_t linux_getpeername(struct sys *s) { return get_name(s, 1); }

/* ---- options ---- */

#define OPTION_MOST 4096u

/* What is wrong with an argument counts only on a socket. */
int64_t socket_check(uint64_t fd, int64_t error)
{
	struct x_call c;
	int64_t result;

	call_init(&c, SOCK_NAME);
	result = socket_call(fd, &c);
	return result == -X_EBADF || result == -X_ENOTSOCK ? result : error;
}

int64_t linux_setsockopt(struct sys *s)
{
	int32_t length = (int32_t)s->a[4];
	struct x_call c;

	if (length < 0)
		return -X_EINVAL;
	if (length && user_probe(s->a[3], (uint64_t)length < OPTION_MOST ? (uint64_t)length : OPTION_MOST, false))
		return socket_check(s->a[0], -X_EFAULT);
	call_init(&c, SOCK_SETOPT);
	c.msg.a[0] = (uint32_t)s->a[1];
	c.msg.a[1] = (uint32_t)s->a[2];
	call_window(&c, s->a[3], (uint64_t)length < OPTION_MOST ? (uint64_t)length : OPTION_MOST, X_WIN_READ);
	return socket_call(s->a[0], &c);
}

int64_t linux_getsockopt(struct sys *s)
{
	struct x_call c;
	int64_t result;
	int32_t length;

	if (copy_in(&length, s->a[4], sizeof(length)))
		return socket_check(s->a[0], -X_EFAULT);
	if (length < 0)
		return socket_check(s->a[0], -X_EINVAL);
	if (length > (int32_t)OPTION_MOST)
		length = OPTION_MOST;
	if (length && user_probe(s->a[3], (uint64_t)length, true))
		return socket_check(s->a[0], -X_EFAULT);
	call_init(&c, SOCK_GETOPT);
	c.msg.a[0] = (uint32_t)s->a[1];
	c.msg.a[1] = (uint32_t)s->a[2];
	call_window(&c, s->a[3], (uint64_t)length, X_WIN_WRITE);
	result = socket_call(s->a[0], &c);
	if (result < 0)
		return result;
	length = (int32_t)result;
	return copy_out(s->a[4], &length, sizeof(length)) ? -X_EFAULT : 0;
}

/* ---- ioctl ---- */

/* Interfaces may be asked about on a socket of any family (netdevice(7)); one of the network's
 * answers for those whose server knows nothing of them. */
int64_t socket_for_interfaces(uint64_t fd)
{
	const uint64_t datagram[3] = { FAMILY_INET, TYPE_DATAGRAM | F_O_CLOEXEC, 0 };
	struct x_call c;

	if (socket_check(fd, 0) || ask_socket(&c, VFS_SOCKET, datagram) < 0)
		return -X_ENOTTY;
	return c.handle_count == 1 ? (int64_t)c.handles[0] : -X_ENOTTY;
}

#define SIOCADDRT   0x890bu
#define SIOCDELRT   0x890cu
#define SIOCGIFCONF 0x8912u
#define RTENTRY_DEVICE 88u /* offset of rt_dev */
#define DEVICE_NAME_MAX 16u

#define FIOSETOWN  0x8901u
#define SIOCSPGRP  0x8902u
#define FIOGETOWN  0x8903u
#define SIOCATMARK 0x8905u

/* A terminal's command on a socket is none, wherever its argument is, and sockets without a stream have no mark: the
 * server says so, without a window. */
int64_t socket_ioctl_fault(uint64_t fd, uint32_t command)
{
	struct x_call c;
	int64_t result;

	if ((command >> 8 != 0x54 && command != SIOCATMARK) || socket_check(fd, 0))
		return -X_EFAULT;
	call_init(&c, FILE_IOCTL);
	c.msg.a[0] = command;
	result = call_interruptible((x_handle_t)fd, &c);
	return command == SIOCATMARK && result == -X_ENOTTY ? -X_EFAULT : result; /* of Internet sockets it is read first */
}

/* A process, or a group by its negative number, that can own a file (fcntl(2), F_SETOWN). */
static int64_t check_owner(int32_t who)
{
	struct x_call c;
	int64_t error;

	if (who == INT32_MIN)
		return -X_EINVAL;
	error = who > 0 ? call_pm(&c, PM_GETPGID, (uint32_t)who, 0, 0, 0) :
		who < -1 ? call_pm(&c, PM_KILL, (uint64_t)(int64_t)who, 0, 0, 0) : 0;
	return error == -X_ESRCH ? error : 0;
}

static int64_t owner_call(uint64_t fd, uint32_t command, int32_t *who)
{
	struct x_call c;

	call_init(&c, FILE_IOCTL);
	c.msg.a[0] = command;
	call_window(&c, who, sizeof(*who), command == FIOSETOWN ? X_WIN_READ : X_WIN_WRITE);
	return call_interruptible((x_handle_t)fd, &c);
}

/* Of other files nobody keeps the owner. */
int64_t socket_set_owner(uint64_t fd, int32_t who)
{
	int64_t error = check_owner(who);

	return error || socket_check(fd, 0) ? error : owner_call(fd, FIOSETOWN, &who);
}

int64_t socket_owner(uint64_t fd)
{
	int32_t who = 0;
	int64_t error = socket_check(fd, 0) ? 0 : owner_call(fd, FIOGETOWN, &who);

	return error ? error : who;
}

static int64_t ioctl_window(struct x_call *c, uint32_t command, uint64_t arg)
{
	int32_t who;
	struct { int32_t length, pad; uint64_t buffer; } list;
	uint64_t device;
	int64_t length;

	if (command == SIOCGIFCONF) {
		if (copy_in(&list, arg, sizeof(list)))
			return -X_EFAULT;
		if (list.buffer && list.length > 0 && user_probe(list.buffer, (uint64_t)list.length, true))
			return -X_EFAULT;
		if (list.buffer)
			call_window(c, list.buffer, list.length > 0 ? (uint64_t)list.length : 0, X_WIN_WRITE);
	} else if (command == SIOCADDRT || command == SIOCDELRT) {
		if (copy_in(&device, arg + RTENTRY_DEVICE, sizeof(device)))
			return -X_EFAULT;
		length = device ? user_string_length(device, DEVICE_NAME_MAX) : 0;
		if (length < 0)
			return -X_EFAULT;
		if (length)
			call_window(c, device, (uint64_t)length, X_WIN_READ);
	} else if (command == FIOSETOWN || command == SIOCSPGRP) {
		return copy_in(&who, arg, sizeof(who)) ? -X_EFAULT : check_owner(who);
	}
	return 0;
}

int64_t socket_ioctl_window(uint64_t fd, struct x_call *c, uint32_t command, uint64_t arg)
{
	int64_t error = ioctl_window(c, command, arg);

	if (error)
		error = socket_check(fd, error);
	return error == -X_ENOTSOCK ? -X_ENOTTY : error;
}
