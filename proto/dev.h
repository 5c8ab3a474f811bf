/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of servers behind character devices of /dev (tty, rs): a call on
 * the server's port opens a device and gives a file object (proto/file.h).
 */
#ifndef PROTO_DEV_H
#define PROTO_DEV_H

#include "proto/file.h"

enum dev_op {
	DEV_OPEN = 0x400, /* a[0] DEV_* number, a[1] open flags, a[2] koid of the process that
	                     opens, a[3] dev, a[4] ino, a[5] rdev of the node, for FILE_STAT
	                     (0: not known) -> handle[0]; the object's status flags are the open flags */
	DEV_SESSION_END, /* pm to tty: the leader of session a[0] is gone: SIGHUP and SIGCONT to the
	                     terminal's foreground group, and the session has no terminal any more.
	                     0: pm begins anew, all sessions are gone, and nobody is left to signal */
};

#define DEV_NODE    0u /* a service with `node` in its manifest: /dev/<its name> */
#define DEV_CONSOLE 1u /* tty: /dev/console, /dev/ttyS0 */
#define DEV_CTTY    2u /* tty: /dev/tty, the opener's controlling terminal, or -X_ENXIO */
#define DEV_SVC     3u /* rs: /dev/svc, the control channel of svc(1) */
#define DEV_SERIAL  4u /* tty: /dev/ttyS0, the console as a terminal that a session may take */
#define DEV_PTMX    5u /* tty: /dev/ptmx; also answers a[0] number of the pseudo-terminal and
			  handle[1] an event, told (bit 0) when it is gone */
#define DEV_PTS     0x100u /* tty: + n: /dev/pts/n; -X_EIO while locked or gone */

#endif
