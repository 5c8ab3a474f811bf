/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of bdev, the server behind /dev/vda, /dev/sda1 and so on: calls on
 * its port. Opening one is DEV_OPEN (proto/dev.h) with a[0] = the node's rdev.
 */
#ifndef PROTO_BDEV_H
#define PROTO_BDEV_H

#include "proto/dev.h"

enum bdev_op {
	BDEV_WATCH = 0xa00, /* a[0] count known, 0 at first; win0 (write): struct bdev_node[]; answered
	                    when the list of disks and partitions is another one -> status bytes,
	                    a[0] its count */
	BDEV_TEXT,       /* a[0] BDEV_TEXT_*; win0 (write) -> status length */
};

#define BDEV_TEXT_PARTITIONS 1u /* /proc/partitions */
#define BDEV_TEXT_STATS      2u /* /proc/xinim/block */

struct bdev_node {
	char name[16];
	uint64_t rdev;           /* major << 8 | minor */
};

/* ioctl(2) of a node, _IOW('X', 1, char[64]): a command of BLOCK_CONTROL
 * (proto/block.h) without the disk's name. */
#define BDEV_IOCTL_CONTROL 0x40405801u
#define BDEV_CONTROL_BYTES 64u

_Static_assert(sizeof(struct bdev_node) == 24, "struct bdev_node");

#endif
