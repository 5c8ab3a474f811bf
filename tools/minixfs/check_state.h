/* SPDX-License-Identifier: BSD-2-Clause */
/* Between check.c, which finds what is wrong, and repair.c, which puts it right. */
#ifndef TOOLS_MINIXFS_CHECK_STATE_H
#define TOOLS_MINIXFS_CHECK_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "fs/minix/minix_format.h"
#include "lib/fs/fsys.h"
#include "tools/minixfs/check.h"

struct check {
	int fd;
	uint64_t offset_bytes;
	FILE *report;
	struct check_result *result;

	struct minix_super_disk super;          /* of V1 and V2 as if it were V3's */
	uint32_t version, name_bytes, inode_bytes, entry_bytes, number_bytes;
	uint32_t block_size;
	uint32_t first_zone;
	uint8_t *inode_map, *zone_map;
	struct minix_inode_disk *inodes;        /* [0] is inode 1; as if of V3 */
	uint32_t *owner;                        /* of each zone; 0: none */
	uint32_t *links;                        /* names found of each inode */
	uint32_t *parent;                       /* of each directory */
	uint32_t *todo;                         /* directories to walk */
	uint32_t todo_count;
	/* What is found wrong is put right. A pass may uncover more, so they are repeated. */
	bool repair;
	struct minix_old_inode_disk *old_inodes; /* V1: as they are on the disk */
};

__attribute__((format(printf, 2, 3)))
void check_problem(struct check *c, const char *format, ...);
bool check_read(struct check *c, uint32_t block, uint32_t count, void *out);
bool check_write(struct check *c, uint32_t block, uint32_t count, const void *data);
/* False: it is nothing that a name may lead to. */
bool check_inode(struct check *c, uint32_t ino);
/* What can be reached from the directories that wait in todo. */
void check_walk(struct check *c);

static inline bool check_bit(const uint8_t *map, uint32_t bit)
{
	return map[bit / 8] >> bit % 8 & 1;
}

/* ---- repair.c: after passes have made the tree of names good ---- */

/* What is used but has no name gets one, in a new directory /lost+found (or lost+found.N). */
void repair_lost(struct check *c);
/* Links, bitmaps and unused inodes become what was found. False: it can't be written. */
bool repair_tables(struct check *c);

#endif
