/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFS_SOCKET, VFS_SOCKETPAIR: UNIX sockets are vfs's own (unix.h); any other is made by the server of its family, which is told for
 * whom: the session's credentials are known here and cannot be forged.
 */

#include "proto/socket.h"
#include "servers/vfs/vfs.h"

enum { STREAM = 1, DATAGRAM = 2, RAW = 3, TCP = 6, UDP = 17 }; /* types, protocols */
enum { FAMILY_UNIX = 1, FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_NETLINK = 16, FAMILY_PACKET = 17 };

static const char *server_of(uint32_t family)
{
	switch (family) {
	case FAMILY_INET: case FAMILY_INET6: case FAMILY_NETLINK: case FAMILY_PACKET: return "net";
	default: return NULL;
	}
}

/* No other family has pairs; Linux looks at type and protocol first. */
static int64_t internet_pair(uint32_t type, uint32_t protocol)
{
	bool known = (type == STREAM && (!protocol || protocol == TCP)) ||
		     (type == DATAGRAM && (!protocol || protocol == UDP)) || (type == RAW && protocol);

	return known ? -X_EOPNOTSUPP : -X_EPROTONOSUPPORT;
}

static void start_unix(struct request *r)
{
	int64_t handle;

	if (r->in.msg.op == VFS_SOCKETPAIR) {
		unix_create_pair(&r->in);
		request_drop(r);
		return;
	}
	handle = unix_create(&r->in);
	if (handle < 0)
		request_finish(r, handle);
	else
		request_finish_handle(r, (x_handle_t)handle);
}

void socket_start(struct request *r)
{
	const char *name = server_of((uint32_t)r->in.msg.a[0]);
	x_handle_t server = name ? boot_handle(name) : X_NO_HANDLE;
	struct x_msg msg = {
		.op = SOCK_CREATE,
		.a = { r->in.msg.a[0], r->in.msg.a[1], r->who.uid | (uint64_t)r->who.gid << 32, r->koid },
	};

	if ((uint32_t)r->in.msg.a[0] == FAMILY_UNIX)
		start_unix(r);
	else if (server == X_NO_HANDLE)
		request_finish(r, -X_EAFNOSUPPORT);
	else if (r->in.msg.op == VFS_SOCKETPAIR)
		request_finish(r, internet_pair((uint32_t)(r->in.msg.a[0] >> 32), (uint32_t)r->in.msg.a[1]));
	else
		request_handle_call(r, REQUEST_CALL, 0, server, &msg, NULL, 0);
}
