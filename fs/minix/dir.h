/* SPDX-License-Identifier: BSD-2-Clause */
/* Between dir.c, index.c and known.c: the slots of directories. */
#ifndef FS_MINIX_DIR_H
#define FS_MINIX_DIR_H

#include "fs/minix/internal.h"

uint32_t slot_ino(const struct fsys *fs, const void *slot);
const char *slot_name(const struct fsys *fs, const void *slot);
uint32_t slot_name_bytes(const struct fsys *fs, const void *slot);
bool slot_is_named(const struct fsys *fs, const void *slot, struct fsys_name name);

/* Looked at in one iteration: also on a disk that says that a directory is endless. */
enum { DIR_SCAN_BLOCKS = 1024 };
uint32_t dir_block_count(const struct fsys *fs, const struct fsys_node *dir);
/* The slots of a block, COUNT of them. */
int dir_peek_slots(struct fsys *fs, struct fsys_node *dir, uint32_t block,
		   const uint8_t **slots, uint32_t *count);
void dir_read_ahead(struct fsys *fs, struct fsys_node *dir, uint32_t block);

/* ---- index.c: large directories ------------------------------------------- */

/* Is the directory large enough, and is there memory for one more index? */
bool index_wanted(struct fsys *fs, const struct fsys_node *dir);
/* As dir_lookup(); makes the index first, which may take several runs. */
int index_lookup(struct fsys *fs, struct fsys_node *dir, struct fsys_name name,
		 uint32_t *ino, uint32_t *slot_bytes);
/* An entry is being made, or removed (or the operation is undone: no matter). */
void index_add(struct fsys *fs, const struct fsys_node *dir, struct fsys_name name,
	       uint32_t slot_bytes);
void index_freed(struct fsys *fs, const struct fsys_node *dir, uint32_t slot_bytes);
/* Where to look for a free slot. */
uint32_t index_free_slot(const struct fsys *fs, const struct fsys_node *dir);
/* The inode is another directory now. */
void index_forget(struct fsys *fs, uint32_t ino);

/* ---- known.c: what was looked up ------------------------------------------ */

/* True: what dir_lookup() would find is known; *INO is 0 if there is no such name. */
bool known_find(struct fsys *fs, const struct fsys_node *dir, struct fsys_name name,
		uint32_t *ino, uint32_t *slot_bytes);
/* That was found; INO 0: nothing. */
void known_keep(struct fsys *fs, const struct fsys_node *dir, struct fsys_name name,
		uint32_t ino, uint32_t slot_bytes);

#endif
