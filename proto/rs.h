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
	RS_INSTANCE_START = 0x802,   /* a[0], a[1] name of a service with `instances`: a further one is started
	                        -> a[0] its number (its port is boot handle "name.number"); -X_ENFILE */
	RS_INSTANCE_STOP,    /* a[0], a[1] name, a[2] number: it is told to end */
	RS_TEXT,             /* a[0] RS_TEXT_*; win0 (write) -> status length, cut to the window */
};

/* From rs on a service's own port, each second and when a peer complains; answered by
 * lib/ipc: a[0] -> ~a[0]. A service whose answers are nonsense gets this one wrong, too. */
#define RS_PROBE 0x8f0u

#define RS_TEXT_SERVICES 1u /* /proc/xinim/services */
#define RS_TEXT_STATS    2u /* /proc/xinim/stats */
#define RS_TEXT_EVENTS   3u /* /proc/xinim/events */

/* Bits of the event behind every service's boot handle "rs_event" (X_R_WRITE);
 * the boot handle "rs" is the port of rs, in services whose manifest uses it ... */
#define RS_EVENT_READY 1u   /* the service is ready to serve */
#define RS_EVENT_FAILED 2u  /* it cannot start (no device, bad arguments): don't restart at once */
/* ... and of its boot handle "control" (bound to its own port by lib/ipc) */
#define RS_CONTROL_STOP 1u  /* finish what is open and exit 0 */
#define RS_EVENT_GAVE_UP_ITEM 8u /* warm: one item was failed, having killed the service twice */
/* The peer behind the i-th boot handle broke its protocol: to be probed. */
#define RS_EVENT_PEERS 48u
#define RS_EVENT_PEER(i) (1ull << (16 + (i)))
/* fault injection by `svc inject`, acted on by lib/ipc */
#define RS_CONTROL_HANG 0x10u      /* wait for ever, and not at its port */
#define RS_CONTROL_EXCEPTION 0x20u /* store to an unmapped address */
#define RS_CONTROL_EXIT 0x40u      /* exit(1) */
#define RS_CONTROL_SLOW 0x80u      /* 20 ms for each item from now on; until its next death */
#define RS_CONTROL_LEAK 0x100u     /* 1 MiB */
#define RS_CONTROL_VERIFY 0x200u   /* check its undo log at each commit from now on */
#define RS_CONTROL_ENTRY 0x400u    /* die at the Nth entry to the kernel from now: N in bits 32.. */
#define RS_CONTROL_ENTRY_SHIFT 32
#define RS_CONTROL_LOOP 0x800u     /* spin for ever */
#define RS_CONTROL_GARBAGE 0x1000u /* answers of nonsense from now on, seed in bits 32..; until its next death */
#define RS_CONTROL_FAULTS 0xffffffff00001ff0ull

/* x_proc_exit status of a service that was restarted warm and wants to start cold:
 * its state is unsound, or one and the same piece of work keeps killing it. */
#define RS_EXIT_COLD 75

#endif
