/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFS_SOCKET: a socket is made by the server of its family, which is told for
 * whom: the session's credentials are known here and cannot be forged.
 */

#include "proto/socket.h"
#include "servers/vfs/vfs.h"

enum { FAMILY_INET = 2, FAMILY_INET6 = 10, FAMILY_PACKET = 17 };

static const char *server_of(uint32_t family)
{
	switch (family) {
	case FAMILY_INET: case FAMILY_INET6: case FAMILY_PACKET: return "net";
	default: return NULL;
	}
}

void socket_start(struct request *r)
{
	const char *name = server_of((uint32_t)r->in.msg.a[0]);
	x_handle_t server = name ? boot_handle(name) : X_NO_HANDLE;
	struct x_msg msg = {
		.op = SOCK_CREATE,
		.a = { r->in.msg.a[0], r->in.msg.a[1], r->who.uid | (uint64_t)r->who.gid << 32, r->koid },
	};

	if (server == X_NO_HANDLE)
		request_finish(r, -X_EAFNOSUPPORT);
	else
		request_handle_call(r, REQUEST_CALL, 0, server, &msg, NULL, 0);
}
