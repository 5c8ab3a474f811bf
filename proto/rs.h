/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of rs, beside DEV_OPEN of DEV_SVC (the text channel of svc(1),
 * see docs/svc.md): calls on its port.
 */
#ifndef PROTO_RS_H
#define PROTO_RS_H

#include <xinim/abi.h>

enum rs_op {
	RS_POWEROFF = 0x800, /* a[0] 0 power off, 1 reboot: after VFS_SYNC by the caller. Answered never */
	RS_COMPLAIN,         /* win0 (read): service name; a peer broke its protocol: probe it */
};

/* Bits of the event behind every service's boot handle "rs_event" (X_R_WRITE);
 * the boot handle "rs" is the port of rs, in services whose manifest uses it ... */
#define RS_EVENT_READY 1u   /* the service is ready to serve */
#define RS_EVENT_FAILED 2u  /* it cannot start (no device, bad arguments): don't restart at once */
/* ... and of its boot handle "control" (bound to its own port by lib/ipc) */
#define RS_CONTROL_STOP 1u  /* finish what is open and exit 0 */
#define RS_CONTROL_PING 2u  /* answer by signalling RS_EVENT_PONG from the event loop */
#define RS_EVENT_PONG 4u
/* fault injection by `svc inject`, acted on by lib/ipc */
#define RS_CONTROL_HANG 0x10u      /* spin for ever without receiving */
#define RS_CONTROL_EXCEPTION 0x20u /* store to an unmapped address */
#define RS_CONTROL_EXIT 0x40u      /* exit(1) */

#endif
