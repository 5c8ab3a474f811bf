/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of loop, the server of /dev/loop0 and so on: disks whose bytes are those of a
 * file. It speaks proto/block.h as a driver does, and answers DEV_OPEN (proto/dev.h) with the object of
 * /dev/loop-control. What bdev is told to do with a disk by ioctl(2) it passes on by LOOP_IOCTL.
 */
#ifndef PROTO_LOOP_H
#define PROTO_LOOP_H

#include "proto/dev.h"

enum loop_op {
	LOOP_IOCTL = 0xe00, /* a[0] command LOOP_*, a[1] disk, a[2] the argument's value, win0 (read|write): what
	                    it leads to; handle[0] the file, for those that bring one. As in loop(4) */
};

enum { LOOP_DISKS = 8, LOOP_ARGUMENT_BYTES = 304 };
#define LOOP_MAJOR 7u /* of their device numbers; the minor is the disk */

/* ioctl commands, as Linux numbers them */
#define LOOP_SET_FD         0x4c00u
#define LOOP_CLR_FD         0x4c01u
#define LOOP_SET_STATUS     0x4c02u
#define LOOP_GET_STATUS     0x4c03u
#define LOOP_SET_STATUS64   0x4c04u
#define LOOP_GET_STATUS64   0x4c05u
#define LOOP_CHANGE_FD      0x4c06u
#define LOOP_SET_CAPACITY   0x4c07u
#define LOOP_SET_DIRECT_IO  0x4c08u
#define LOOP_SET_BLOCK_SIZE 0x4c09u
#define LOOP_CONFIGURE      0x4c0au
#define LOOP_CTL_ADD        0x4c80u
#define LOOP_CTL_REMOVE     0x4c81u
#define LOOP_CTL_GET_FREE   0x4c82u
/* Of a disk, not of /dev/loop-control. */
#define LOOP_IS_COMMAND(command) ((command) >= LOOP_SET_FD && (command) <= LOOP_CONFIGURE)

#define LOOP_READ_ONLY 1u /* flags of struct loop_info64 */
#define LOOP_AUTOCLEAR 4u

struct loop_info64 {
	uint64_t device, inode, rdevice;
	uint64_t offset, size_limit;    /* bytes; 0: no limit */
	uint32_t number, encrypt_type, encrypt_key_bytes, flags;
	char file_name[64], crypt_name[64];
	uint8_t encrypt_key[32];
	uint64_t init[2];
};
struct loop_info {                      /* of the older commands */
	int32_t number;
	uint64_t device, inode, rdevice;
	int32_t offset, encrypt_type, encrypt_key_bytes, flags;
	char name[64];
	uint8_t encrypt_key[32];
	uint64_t init[2];
	char reserved[4];
};
struct loop_config {
	uint32_t fd, block_bytes;       /* 0: 512 */
	struct loop_info64 info;
	uint64_t reserved[8];
};
_Static_assert(sizeof(struct loop_info64) == 232, "struct loop_info64");
_Static_assert(sizeof(struct loop_info) == 168, "struct loop_info");
_Static_assert(sizeof(struct loop_config) == LOOP_ARGUMENT_BYTES, "struct loop_config");

#endif
