/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef TOOLS_MINIXFS_CHECK_H
#define TOOLS_MINIXFS_CHECK_H

#include <stdint.h>
#include <stdio.h>

struct check_result {
	uint32_t problems;
	uint32_t inodes_used, zones_used;
	uint32_t directories, files, others;
};

/* How large an image, or a disk, is. */
uint64_t disk_bytes(int fd);

/*
 * Checks the filesystem at an offset of an open file, independently of the
 * filesystem core, and tells of each problem (REPORT may be NULL). NULL, or
 * why it couldn't be checked at all.
 */
const char *check_disk(int fd, uint64_t offset_bytes, FILE *report,
		       struct check_result *result);

/*
 * Puts right what is wrong, telling of each step: no zone is in two files, every name leads
 * to an inode, what is used but lost its name is in /lost+found, and the bitmaps and counts
 * of links are what is found. To be checked afterwards. NULL, or why it can't be.
 */
const char *repair_disk(int fd, uint64_t offset_bytes, FILE *report);

#endif
