/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending and receiving on sockets. Up to three buffers are windows of one
 * call; more are gathered in the thread's buffer first, so that a message stays
 * one message. Control messages: socket_control.c.
 */
#include "personality/linux/socket.h"

#define MSG_NOSIGNAL     0x4000u
#define MSG_TRUNC        0x20u
#define MSG_WAITALL      0x100u
#define MSG_DONTWAIT     0x40u
#define MSG_WAITFORONE   0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u
#define MESSAGES_MAX     1024u

struct linux_mmsghdr { struct linux_msghdr header; uint32_t length, pad; };

struct buffers {
	struct linux_iovec v[SOCK_DATA_WINDOWS];
	uint32_t count;
	uint64_t total;
	bool gathered;            /* v[0] is the thread's buffer */
};

static int64_t sigpipe(struct sys *s, int64_t result, uint32_t flags)
{
	if (result == -X_EPIPE && !(flags & MSG_NOSIGNAL))
		post_signal_self(s->thread, SIGPIPE);
	return result;
}

static int64_t get_vector(uint64_t iov, uint64_t index, struct linux_iovec *v)
{
	if (copy_in(v, iov + index * sizeof(*v), sizeof(*v)))
		return -X_EFAULT;
	if ((int64_t)v->len < 0)
		return -X_EINVAL;
	return user_range(v->base, v->len) ? 0 : -X_EFAULT;
}

/* Between the vectors and the thread's buffer. */
static int64_t move(const struct linux_msghdr *m, uint8_t *buf, uint64_t bytes, bool gather)
{
	uint64_t done = 0;

	for (uint64_t i = 0; i < m->iov_count && done < bytes; i++) {
		struct linux_iovec v;
		uint64_t part;
		int64_t error = get_vector(m->iov, i, &v);

		if (error)
			return error;
		part = v.len < bytes - done ? v.len : bytes - done;
		if (gather ? copy_in(buf + done, v.base, part) : copy_out(v.base, buf + done, part))
			return -X_EFAULT;
		done += part;
	}
	return 0;
}

/* One flow fills one buffer: of what is received whole, several are one to it. */
static bool is_message_fd(uint64_t fd, uint32_t count)
{
	return count > 1 && fd_is_of_messages(fd);
}

static int64_t find_buffers(struct sys *s, uint64_t fd, const struct linux_msghdr *m, struct buffers *b, bool write)
{
	struct linux_iovec v;

	memset(b, 0, sizeof(*b));
	if (m->iov_count > LINUX_IOV_MAX)
		return -X_EMSGSIZE;
	for (uint64_t i = 0; i < m->iov_count; i++) {
		int64_t error = get_vector(m->iov, i, &v);

		if (!error && v.len)
			error = user_probe(v.base, v.len, write);
		if (error)
			return error;
		if (!v.len)
			continue;
		if (b->count < SOCK_DATA_WINDOWS)
			b->v[b->count] = v;
		b->count++;
		b->total += v.len;
	}
	if (b->count <= (write && is_message_fd(fd, b->count) ? 1 : SOCK_DATA_WINDOWS))
		return 0;
	b->gathered = true;
	b->v[0].base = (uint64_t)thread_scratch(s->thread);
	if (!b->v[0].base)
		return -X_ENOMEM;
	if (b->total > PERS_SCRATCH_BUFFER) /* a stream: the first part of it */
		b->total = PERS_SCRATCH_BUFFER;
	b->v[0].len = b->total;
	b->count = 1;
	return write ? 0 : move(m, (uint8_t *)b->v[0].base, b->total, true);
}

/* ---- sending ---- */

/* What a flow can have, if there is one: all that is to be sent. */
static bool flow_sends(const struct buffers *b, const struct linux_msghdr *m, uint32_t flags)
{
	return b->count == 1 && b->v[0].len == b->total && !m->name && !m->control_length &&
	       !(flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT));
}

static int64_t send_buffers(uint64_t fd, const struct buffers *b, const struct linux_msghdr *m, uint32_t flags)
{
	struct socket_address a;
	struct x_call c;
	int64_t error;

	call_init(&c, SOCK_SEND);
	c.msg.status = flow_sends(b, m, flags) ? FILE_STREAMS : 0;
	c.msg.a[0] = flags;
	for (uint32_t i = 0; i < b->count; i++)
		call_window(&c, b->v[i].base, b->v[i].len, X_WIN_READ);
	if (m->name) {
		error = put_address(&c, &a, m->name, m->name_length);
		if (error)
			return socket_check(fd, error);
	}
	error = control_send(fd, &c, &a, m);
	return error ? socket_check(fd, error) : socket_call(fd, &c);
}

/* One buffer longer than a window goes in several calls, of a stream. */
static int64_t send_long(uint64_t fd, struct buffers *b, const struct linux_msghdr *m, uint32_t flags)
{
	struct linux_msghdr rest = { .name = m->name, .name_length = m->name_length };
	uint64_t done = 0, base = b->v[0].base;

	while (done < b->total) {
		uint64_t part = b->total - done < X_WINDOW_MAX ? b->total - done : X_WINDOW_MAX;
		int64_t n;

		b->v[0] = (struct linux_iovec){ base + done, part };
		n = send_buffers(fd, b, done ? &rest : m, flags);
		if (n < 0)
			return done ? (int64_t)done : n;
		done += (uint64_t)n;
		if ((uint64_t)n < part)
			break;
	}
	return (int64_t)done;
}

/* Without a call, if the socket has a flow: bytes, or -X_EWAIT. */
static int64_t send_by_flow(uint64_t fd, const struct buffers *b, const struct linux_msghdr *m, uint32_t flags)
{
	if (!flow_sends(b, m, flags))
		return -X_EWAIT;
	return x_stream_flow((x_handle_t)fd, X_STREAM_WRITE | (flags & MSG_DONTWAIT ? X_STREAM_NOWAIT : 0),
			     (void *)b->v[0].base, b->v[0].len, NULL);
}

/* What a flow can't have goes by a call. */
static int64_t send_all(uint64_t fd, struct buffers *b, const struct linux_msghdr *m, uint32_t flags)
{
	int64_t done = 0, n;

	do {
		while ((n = send_by_flow(fd, b, m, flags)) >= 0) {
			done += n;
			if ((uint64_t)n >= b->total)
				return done;
			b->v[0] = (struct linux_iovec){ b->v[0].base + (uint64_t)n, b->v[0].len - (uint64_t)n };
			b->total -= (uint64_t)n;
		}
		if (n != -X_EWAIT)
			return done ? done : n == -X_EINTR ? -RESTART_SYS : linux_error(n);
		n = b->count == 1 && b->total > X_WINDOW_MAX ? send_long(fd, b, m, flags) : send_buffers(fd, b, m, flags);
	} while (n == -X_EWAIT); /* it can go without a call by now */
	return n < 0 && done ? done : n + done;
}

static int64_t send_message(struct sys *s, uint64_t fd, const struct linux_msghdr *m, uint32_t flags)
{
	struct buffers b;
	int64_t error = check_fd(fd);

	if (!error)
		error = find_buffers(s, fd, m, &b, false);
	if (error)
		return error == -X_EBADF ? error : socket_check(fd, error);
	return sigpipe(s, send_all(fd, &b, m, flags), flags);
}

int64_t linux_sendto(struct sys *s)
{
	struct buffers b = { .count = 1, .total = s->a[2] };
	struct linux_msghdr m = { .name = s->a[4], .name_length = (uint32_t)s->a[5] };
	uint32_t flags = (uint32_t)s->a[3];

	if (check_fd(s->a[0]))
		return -X_EBADF;
	if (b.total > 0x7ffff000)
		b.total = 0x7ffff000;
	if (b.total && user_probe(s->a[1], b.total, false))
		return socket_check(s->a[0], -X_EFAULT);
	b.v[0] = (struct linux_iovec){ s->a[1], b.total };
	return sigpipe(s, send_all(s->a[0], &b, &m, flags), flags);
}

int64_t linux_sendmsg(struct sys *s)
{
	struct linux_msghdr m;

	if (copy_in(&m, s->a[1], sizeof(m)))
		return socket_check(s->a[0], -X_EFAULT);
	if ((int32_t)m.name_length < 0)
		return socket_check(s->a[0], -X_EINVAL);
	return send_message(s, s->a[0], &m, (uint32_t)s->a[2]);
}

int64_t linux_sendmmsg(struct sys *s)
{
	uint32_t count = (uint32_t)s->a[2] < MESSAGES_MAX ? (uint32_t)s->a[2] : MESSAGES_MAX, done;
	int64_t n = 0;

	for (done = 0; done < count; done++) {
		uint64_t at = s->a[1] + done * sizeof(struct linux_mmsghdr);
		struct linux_mmsghdr m;
		uint32_t length;

		if (copy_in(&m, at, sizeof(m))) {
			n = -X_EFAULT;
			break;
		}
		n = send_message(s, s->a[0], &m.header, (uint32_t)s->a[3]);
		if (n < 0)
			break;
		length = (uint32_t)n;
		if (copy_out(at + offsetof(struct linux_mmsghdr, length), &length, sizeof(length)))
			break;
	}
	return done || !count ? done : n;
}

/* ---- receiving ---- */

#define FLOW_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL | MSG_WAITALL | MSG_CMSG_CLOEXEC)

static int64_t receive_call(uint64_t fd, const struct buffers *b, const struct linux_msghdr *m, uint32_t flags,
			    struct x_call *c, struct socket_address *a)
{
	int64_t n;

	call_init(c, SOCK_RECV);
	c->msg.status = flags & ~FLOW_FLAGS ? 0 : FILE_STREAMS;
	c->msg.a[0] = flags;
	for (uint32_t i = 0; i < b->count; i++)
		call_window(c, b->v[i].base, b->v[i].len, X_WIN_WRITE);
	if (a)
		want_address(c, a);
	if (m)
		control_want(c, m, flags);
	n = socket_call(fd, c);
	return n > 0 && (uint64_t)n > b->total && !(flags & MSG_TRUNC) ? -X_EIO : n;
}

/* MSG_WAITALL: a part has been received, for the rest a call is needed. */
static int64_t receive_rest(uint64_t fd, uint64_t base, uint64_t len, uint32_t flags)
{
	struct buffers rest = { .v = { { base, len } }, .count = 1, .total = len };
	struct x_call c;

	return receive_call(fd, &rest, NULL, flags, &c, NULL);
}

/* What has come in bulk needs no call: bytes, an error, or -X_EWAIT. Of a datagram *from is its
 * sender; it may be longer than the bytes: *length, else 0. */
static int64_t receive_flow(uint64_t fd, const struct buffers *b, uint32_t flags, struct x_flow_address *from,
			    uint64_t *length)
{
	uint32_t op = X_STREAM_READ | (flags & MSG_DONTWAIT ? X_STREAM_NOWAIT : 0);
	uint64_t done = 0;
	bool last = false, all = (flags & MSG_WAITALL) && !(flags & MSG_DONTWAIT) && !fd_is_of_messages(fd);

	*length = 0;
	if (flags & ~FLOW_FLAGS)
		return -X_EWAIT;
	if (!b->total) {
		int64_t n = x_stream_flow((x_handle_t)fd, op, NULL, 0, from);

		*length = n > 0 ? (uint64_t)n : 0;
		return n > 0 ? 0 : n;
	}
	for (uint32_t i = 0; i < b->count; i++)
		for (uint64_t at = 0; at < b->v[i].len && !last;) {
			uint64_t room = b->v[i].len - at;
			int64_t n = x_stream_flow((x_handle_t)fd, op, (void *)(b->v[i].base + at), room, from);

			if (n == -X_EWAIT && done && all)
				n = receive_rest(fd, b->v[i].base + at, room, flags);
			if (n == -X_EWAIT && done && all) /* there is something without a call by now */
				continue;
			if (n <= 0)
				return done ? (int64_t)done : n;
			if ((uint64_t)n > room) {
				*length = (uint64_t)n;
				return (int64_t)room;
			}
			at += (uint64_t)n;
			done += (uint64_t)n;
			last = !all && (uint64_t)n < room && (uint64_t)n < X_STREAM_MAX;
			op |= all ? 0 : X_STREAM_GOES_ON;
		}
	return (int64_t)done;
}

static int64_t receive_buffers(uint64_t fd, struct buffers *b, const struct linux_msghdr *m, uint32_t flags,
			       struct x_call *c, struct socket_address *a)
{
	struct x_flow_address from = { .length = 0 };
	uint64_t length;
	int64_t n;

	call_init(c, SOCK_RECV); /* no control messages */
	while ((n = receive_flow(fd, b, flags, a ? &from : NULL, &length)) == -X_EWAIT) {
		n = receive_call(fd, b, m, flags, c, a);
		if (n != -X_EWAIT) /* or there is something without a call by now */
			return n;
	}
	if (n < 0)
		return n == -X_EINTR ? -RESTART_SYS : linux_error(n);
	c->msg = (struct x_msg){ .a = { length > (uint64_t)n ? MSG_TRUNC : 0, from.length } };
	memcpy(&c->msg.a[2], from.bytes, sizeof(from.bytes));
	return n;
}

/* m is updated as recvmsg(2) says. */
static int64_t receive_message(struct sys *s, uint64_t fd, struct linux_msghdr *m, uint32_t flags)
{
	struct socket_address a;
	struct buffers b;
	struct x_call c;
	int64_t n = check_fd(fd), error;

	if (!n)
		n = find_buffers(s, fd, m, &b, true);
	if (n)
		return n == -X_EBADF ? n : socket_check(fd, n);
	n = receive_buffers(fd, &b, m, flags, &c, m->name || (m->control && m->control_length) ? &a : NULL);
	if (n < 0)
		return n;
	if (b.gathered) {
		uint64_t got = (uint64_t)n < b.total ? (uint64_t)n : b.total;

		error = move(m, (uint8_t *)b.v[0].base, got, false);
		if (error)
			return error;
	}
	if (m->name) {
		error = give_address(&c, &a, m->name, m->name_length, &m->name_length);
		if (error)
			return error;
	}
	m->flags = (int32_t)c.msg.a[0];
	error = control_give(fd, &c, &a, m, flags);
	return error ? error : n;
}

int64_t linux_recvfrom(struct sys *s)
{
	struct buffers b = { .count = 1, .total = s->a[2] };
	struct socket_address a;
	uint32_t length;
	struct x_call c;
	int32_t room;
	int64_t n, error;

	if (check_fd(s->a[0]))
		return -X_EBADF;
	if (b.total > X_WINDOW_MAX)
		b.total = X_WINDOW_MAX;
	if (b.total && user_probe(s->a[1], b.total, true))
		return socket_check(s->a[0], -X_EFAULT);
	b.v[0] = (struct linux_iovec){ s->a[1], b.total };
	n = receive_buffers(s->a[0], &b, NULL, (uint32_t)s->a[3], &c, s->a[4] ? &a : NULL);
	if (n < 0 || !s->a[4])
		return n;
	if (copy_in(&room, s->a[5], sizeof(room)))
		return -X_EFAULT;
	if (room < 0)
		return -X_EINVAL;
	error = give_address(&c, &a, s->a[4], (uint32_t)room, &length);
	if (!error && copy_out(s->a[5], &length, sizeof(length)))
		error = -X_EFAULT;
	return error ? error : n;
}

int64_t linux_recvmsg(struct sys *s)
{
	struct linux_msghdr m;
	int64_t n;

	if (copy_in(&m, s->a[1], sizeof(m)))
		return socket_check(s->a[0], -X_EFAULT);
	if ((int32_t)m.name_length < 0)
		return socket_check(s->a[0], -X_EINVAL);
	n = receive_message(s, s->a[0], &m, (uint32_t)s->a[2]);
	if (n >= 0 && copy_out(s->a[1], &m, sizeof(m)))
		return -X_EFAULT;
	return n;
}

int64_t socket_vectors(struct sys *s, bool read)
{
	struct linux_msghdr m = { .iov = s->a[1], .iov_count = s->a[2] };

	return read ? receive_message(s, s->a[0], &m, 0) : send_message(s, s->a[0], &m, MSG_NOSIGNAL);
}

int64_t linux_recvmmsg(struct sys *s)
{
	uint32_t count = (uint32_t)s->a[2] < MESSAGES_MAX ? (uint32_t)s->a[2] : MESSAGES_MAX, done;
	uint32_t flags = (uint32_t)s->a[3];
	uint64_t deadline = X_FOREVER;
	int64_t n = s->a[4] ? deadline_from_timespec(s->a[4], &deadline) : 0;

	if (n)
		return n;
	for (done = 0; done < count; done++) {
		uint64_t at = s->a[1] + done * sizeof(struct linux_mmsghdr);
		struct linux_mmsghdr m;

		if (copy_in(&m, at, sizeof(m))) {
			n = -X_EFAULT;
			break;
		}
		n = receive_message(s, s->a[0], &m.header, flags & ~MSG_WAITFORONE);
		if (n < 0)
			break;
		m.length = (uint32_t)n;
		if (copy_out(at, &m, sizeof(m))) {
			n = -X_EFAULT;
			break;
		}
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (now_ns() >= deadline) { /* looked at after each message, as Linux does */
			done++;
			break;
		}
	}
	return done || !count ? done : n;
}
