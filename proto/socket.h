/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of sockets. SOCK_CREATE is a call of vfs on the port of net, which
 * answers with a socket object; all others are calls on that object, straight
 * from the Linux program that holds it as a descriptor. A socket also speaks
 * FILE_READ, FILE_WRITE (as SOCK_RECV and SOCK_SEND without flags and
 * address), FILE_STAT and FILE_IOCTL of proto/file.h. O_NONBLOCK is read from
 * the object's status flags. Levels, names, flags and addresses are Linux's, so
 * that nothing is translated but the place they stand in.
 *
 * An address (struct sockaddr without more) travels in the message: its length
 * in a[1], its bytes in a[2..5] if it has at most SOCK_ADDRESS_INLINE of them,
 * else in win3. A server of other families does it the same way.
 *
 * UNIX sockets are served by vfs. With them handles of a SOCK_SEND are
 * descriptors for the receiver (SCM_RIGHTS), and the answer of a SOCK_RECV that
 * asked for some brings them: X_MAX_HANDLES at once, more by SOCK_ATTACH before
 * and SOCK_TAKE after it.
 *
 * Servers of files that are no sockets answer these calls with -X_ENOSYS, which
 * the personality makes ENOTSOCK.
 */
#ifndef PROTO_SOCKET_H
#define PROTO_SOCKET_H

#include "proto/file.h"

enum sock_op {
	SOCK_CREATE = 0xc00, /* a[0] family | type << 32, a[1] protocol | SOCK_F_* << 32,
	                    a[2] effective uid | gid << 32, a[3] koid of the process
	                    -> handle[0]. -X_EAFNOSUPPORT, -X_EPROTONOSUPPORT, -X_EPROTOTYPE,
	                    -X_ESOCKTNOSUPPORT, -X_EINVAL, -X_EPERM, -X_ENFILE, -X_ENOBUFS */
	SOCK_BIND,       /* address */
	SOCK_CONNECT,    /* address; parks until connected unless O_NONBLOCK */
	SOCK_LISTEN,     /* a[0] backlog */
	SOCK_ACCEPT,     /* a[0] O_NONBLOCK of the new one -> handle[0], address of the peer; parks */
	SOCK_SEND,       /* a[0] MSG_*; address or length 0; win0..win2 (read): data; parks
	                    -> status bytes; -X_EPIPE: SIGPIPE is the caller's to raise */
	SOCK_RECV,       /* a[0] MSG_*; win0..win2 (write): room; parks -> status bytes (of the
	                    datagram with MSG_TRUNC), a[0] MSG_* of what came, address of the sender */
	SOCK_SHUTDOWN,   /* a[0] SHUT_RD 0, SHUT_WR 1, SHUT_RDWR 2 */
	SOCK_NAME,       /* a[0] 0 own, 1 the peer's -> address */
	SOCK_GETOPT,     /* a[0] level, a[1] name; win0 (write): value -> status its length */
	SOCK_SETOPT,     /* a[0] level, a[1] name; win0 (read): value */

	/* UNIX sockets: a[6] of SOCK_RECV: descriptors wanted; of its answer: sender's gid |
	 * descriptors left for SOCK_TAKE << 32; a[0] high: sender's pid, a[1] high: its uid, all
	 * three 0 unless SO_PASSCRED is set. */
	SOCK_ATTACH = 0xc40, /* handles: to go with the caller's next SOCK_SEND, before its own */
	SOCK_TAKE,       /* -> handles of the caller's last SOCK_RECV, a[6] those left << 32 */

	SOCK_TEXT = 0xc80, /* from pm on the port: a[0] enum sock_text; win0 (write): text of a file of
	                    /proc/net from byte a[1] on -> status bytes */
};

#define SOCK_F_NONBLOCK 1u

/* Control messages of the network (not UNIX sockets), as Linux lays them out: in win3 from
 * byte SOCK_CONTROL_AT on, and a[6] is SOCK_CONTROL_HERE | their bytes. SOCK_SEND brings them so
 * (if the address is short), the answer of a SOCK_RECV that has such a window gives them. */
#define SOCK_CONTROL_HERE (1ull << 63)
#define SOCK_CONTROL_AT   128u
#define SOCK_CONTROL_MOST 256u

#define SOCK_ADDRESS_INLINE 32u
#define SOCK_DATA_WINDOWS    3u
#define SOCK_ADDRESS_WINDOW  3u

enum sock_text {
	SOCK_TEXT_DEV, SOCK_TEXT_ROUTE, SOCK_TEXT_ARP, SOCK_TEXT_TCP, SOCK_TEXT_TCP6, SOCK_TEXT_UDP,
	SOCK_TEXT_UDP6, SOCK_TEXT_RAW, SOCK_TEXT_RAW6, SOCK_TEXT_IF_INET6, SOCK_TEXT_PACKET,
	SOCK_TEXT_RESOLV, SOCK_TEXT_SOCKSTAT, SOCK_TEXT_NETSTAT, SOCK_TEXT_COUNT
};

#endif
