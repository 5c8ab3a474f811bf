/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of devmgr: calls on its port, from rs.
 */
#ifndef PROTO_DEVMGR_H
#define PROTO_DEVMGR_H

#include <xinim/abi.h>

enum devmgr_op {
	DEVMGR_CLAIM = 0x600, /* win0 (read): match text of a manifest, e.g. "pci:1af4:1042,1af4:1001"
	                    or "pci-class:010601"; a[0] index of the match wanted (0, 1, ..)
	                    -> handle[0] device (all rights), a[0] bdf; win1 (write, 16 bytes): its name.
	                    -X_ENODEV: no (further) such device */
	DEVMGR_LIST,     /* win0 (write): text, a line a device -> length */
};

#endif
