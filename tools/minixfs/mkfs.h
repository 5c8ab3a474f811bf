/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_MINIXFS_MKFS_H
#define TOOLS_MINIXFS_MKFS_H

#include <stdint.h>

struct mkfs_options {
	uint64_t offset_bytes;          /* where in the file it begins */
	uint64_t size_bytes;
	uint32_t version;               /* 1 to 3; 0: 3 */
	uint32_t name_bytes;            /* 14 or 30, V3: 60; 0: the longest */
	uint32_t block_size;
	uint32_t inode_count;           /* 0: one for each 4 KiB */
	uint32_t time_sec;
};

/* Makes an empty filesystem in an open file: NULL, or what is wrong. */
const char *mkfs(int fd, const struct mkfs_options *options);

#endif
