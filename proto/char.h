/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol between tty and a serial-line driver (uart16550): calls on the
 * driver's port. Small and rare data, so it travels in calls.
 */
#ifndef PROTO_CHAR_H
#define PROTO_CHAR_H

#include <xinim/abi.h>

enum char_op {
	CHAR_WRITE = 0x700, /* win0 (read): bytes to send -> status: bytes taken; answered when they
	                       are in the driver's queue (back-pressure) */
	CHAR_READ,          /* win0 (write) -> status: bytes received; parks until there is one */
	CHAR_CONFIG,        /* a[0] baud rate; -> 0 */
};

#endif
