/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Options of UNIX sockets (socket(7), unix(7)) and their ioctls. Those that
 * mean nothing here are taken and given back as 0, as in Linux.
 */

#include "servers/vfs/unix.h"

enum { SOL_SOCKET = 1, IOCTL_FIONREAD = 0x541b, IOCTL_OUTQ = 0x5411, IOCTL_ATMARK = 0x8905 };
enum { IOCTL_FIOSETOWN = 0x8901, IOCTL_SPGRP, IOCTL_FIOGETOWN, IOCTL_GPGRP };
enum {
	SO_DEBUG = 1, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF,
	SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK, SO_PRIORITY, SO_LINGER, SO_REUSEPORT = 15, SO_PASSCRED,
	SO_PEERCRED, SO_RCVLOWAT, SO_SNDLOWAT, SO_RCVTIMEO, SO_SNDTIMEO, SO_BINDTODEVICE = 25, SO_TIMESTAMP = 29,
	SO_ACCEPTCONN = 30, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33, SO_PROTOCOL = 38, SO_DOMAIN = 39,
};
enum { BUFFER_MIN = 2304, SEND_MIN = 4608, BUFFER_LIMIT = 212992 };

struct timeval { int64_t sec, usec; };

static void answer(const struct x_in *in, const void *value, uint32_t bytes)
{
	uint32_t room = in_window(in, 0, X_WIN_WRITE);

	if (bytes > room)
		bytes = room;
	out_status(in->id, bytes && window_write(in->id, 0, 0, value, bytes) < (int64_t)bytes ? -X_EFAULT : (int64_t)bytes);
}

static void answer_int(const struct x_in *in, uint32_t value)
{
	answer(in, &value, sizeof(value));
}

static void answer_time(const struct x_in *in, uint64_t ns)
{
	struct timeval tv = { (int64_t)(ns / 1000000000), (int64_t)(ns / 1000 % 1000000) };

	answer(in, &tv, sizeof(tv));
}

static void answer_peer(const struct unix_socket *s, const struct x_in *in)
{
	struct unix_creds none = { 0, UINT32_MAX, UINT32_MAX };
	bool known = s->state == UNIX_CONNECTED;

	answer(in, known ? &s->peer_creds : s->state == UNIX_LISTENING ? &s->creds : &none, sizeof(none));
}

void unix_getopt(struct unix_socket *s, const struct x_in *in)
{
	static const uint32_t linger[2];

	if (in->msg.a[0] != SOL_SOCKET) {
		out_status(in->id, -X_EOPNOTSUPP);
		return;
	}
	switch (in->msg.a[1]) {
	case SO_TYPE: answer_int(in, s->type); break;
	case SO_DOMAIN: answer_int(in, UNIX_FAMILY); break;
	case SO_ERROR:
		answer_int(in, (uint32_t)s->error);
		s->error = 0;
		unix_tell(s, 0);
		break;
	case SO_SNDBUF: answer_int(in, s->send_buffer); break;
	case SO_RCVBUF: answer_int(in, s->receive_buffer); break;
	case SO_PASSCRED: answer_int(in, s->pass_creds); break;
	case SO_PEERCRED: answer_peer(s, in); break;
	case SO_ACCEPTCONN: answer_int(in, s->state == UNIX_LISTENING); break;
	case SO_RCVLOWAT: case SO_SNDLOWAT: answer_int(in, 1); break;
	case SO_RCVTIMEO: answer_time(in, s->receive_timeout_ns); break;
	case SO_SNDTIMEO: answer_time(in, s->send_timeout_ns); break;
	case SO_LINGER: answer(in, linger, sizeof(linger)); break;
	case SO_BINDTODEVICE: out_status(in->id, 0); break; /* to none */
	case SO_DEBUG: case SO_REUSEADDR: case SO_DONTROUTE: case SO_BROADCAST: case SO_KEEPALIVE:
	case SO_OOBINLINE: case SO_NO_CHECK: case SO_PRIORITY: case SO_REUSEPORT: case SO_TIMESTAMP:
	case SO_PROTOCOL:
		answer_int(in, 0);
		break;
	default: out_status(in->id, -X_ENOPROTOOPT); break;
	}
}

/* Linux doubles what is asked for and keeps it in bounds. */
static uint32_t buffer_size(uint32_t value, uint32_t least)
{
	if (value > BUFFER_LIMIT)
		value = BUFFER_LIMIT;
	return value * 2 < least ? least : value * 2;
}

static int64_t take_time(const struct x_in *in, uint64_t *ns)
{
	struct timeval tv;

	if (in_window(in, 0, X_WIN_READ) < sizeof(tv))
		return -X_EINVAL;
	if (window_read(in->id, 0, 0, &tv, sizeof(tv)) != sizeof(tv))
		return -X_EFAULT;
	if (tv.usec < 0 || tv.usec >= 1000000)
		return -X_EDOM;
	*ns = tv.sec < 0 || tv.sec > INT32_MAX ? 0 : (uint64_t)tv.sec * 1000000000 + (uint64_t)tv.usec * 1000;
	return 0;
}

static int64_t set_timeout(struct unix_socket *s, const struct x_in *in, uint64_t *ns)
{
	struct unix_socket *reader = ns == &s->receive_timeout_ns ? s : unix_peer(s);

	if (reader && unix_connects(s))
		unix_never_flows(reader);
	return take_time(in, ns);
}

/* Nothing of it goes by a device: it can be bound to none, which it is. */
static int64_t bind_to_device(const struct x_in *in)
{
	char first = '\0';

	if (in_window(in, 0, X_WIN_READ) && window_read(in->id, 0, 0, &first, 1) != 1)
		return -X_EFAULT;
	return first ? -X_ENODEV : 0;
}

static int64_t set(struct unix_socket *s, const struct x_in *in)
{
	uint32_t value;

	if (in->msg.a[0] != SOL_SOCKET)
		return -X_EOPNOTSUPP;
	if (in->msg.a[1] == SO_RCVTIMEO)
		return set_timeout(s, in, &s->receive_timeout_ns);
	if (in->msg.a[1] == SO_SNDTIMEO)
		return set_timeout(s, in, &s->send_timeout_ns);
	if (in->msg.a[1] == SO_BINDTODEVICE)
		return bind_to_device(in);
	if (in_window(in, 0, X_WIN_READ) < sizeof(value))
		return -X_EINVAL;
	if (window_read(in->id, 0, 0, &value, sizeof(value)) != sizeof(value))
		return -X_EFAULT;
	switch (in->msg.a[1]) {
	case SO_PASSCRED:
		unix_never_flows(s);
		s->pass_creds = value != 0;
		return 0;
	case SO_SNDBUF: case SO_SNDBUFFORCE: s->send_buffer = buffer_size(value, SEND_MIN); return 0;
	case SO_RCVBUF: case SO_RCVBUFFORCE: s->receive_buffer = buffer_size(value, BUFFER_MIN); return 0;
	case SO_DEBUG: case SO_REUSEADDR: case SO_DONTROUTE: case SO_BROADCAST: case SO_KEEPALIVE:
	case SO_OOBINLINE: case SO_NO_CHECK: case SO_PRIORITY: case SO_REUSEPORT: case SO_TIMESTAMP:
	case SO_LINGER: case SO_RCVLOWAT:
		return 0;
	default: return -X_ENOPROTOOPT;
	}
}

void unix_setopt(struct unix_socket *s, const struct x_in *in)
{
	out_status(in->id, set(s, in));
}

/* Bytes that a read may take: of a datagram socket, of the first message. */
static uint32_t readable(const struct unix_socket *s)
{
	const struct unix_record *r = unix_record_at(s->first);

	return s->type == TYPE_DGRAM ? (r ? r->bytes : 0) : unix_waiting(s);
}

int64_t unix_ioctl(struct unix_socket *s, const struct x_in *in)
{
	const struct unix_socket *peer = unix_peer(s);
	uint32_t value;

	if (in->msg.a[0] == IOCTL_FIONREAD && s->state == UNIX_LISTENING)
		return -X_EINVAL;
	if (in->msg.a[0] == IOCTL_ATMARK && s->type != TYPE_STREAM)
		return -X_EOPNOTSUPP;
	switch (in->msg.a[0]) {
	case IOCTL_FIONREAD: value = readable(s); break;
	case IOCTL_OUTQ: value = peer ? unix_waiting(peer) : 0; break;
	case IOCTL_ATMARK: value = 0; break;
	case IOCTL_FIOGETOWN: case IOCTL_GPGRP: value = (uint32_t)s->owner; break;
	case IOCTL_FIOSETOWN: case IOCTL_SPGRP:
		return window_read(in->id, 0, 0, &s->owner, sizeof(s->owner)) < (int64_t)sizeof(s->owner) ? -X_EFAULT : 0;
	default: return -X_ENOTTY;
	}
	return window_write(in->id, 0, 0, &value, sizeof(value)) < (int64_t)sizeof(value) ? -X_EFAULT : 0;
}
