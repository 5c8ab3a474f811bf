/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the filesystem core share, besides lib/fs/backend.h. All
 * functions answer 0 or a negative error and run inside an operation.
 */
#ifndef FS_MINIX_INTERNAL_H
#define FS_MINIX_INTERNAL_H

#include "fs/minix/minix.h"

#include <string.h>

/* ---- op.c: the transaction --------------------------------------------- */

/* Before the bytes AT in a resident metadata block are changed. */
int op_modify(struct cache_buf *buf, void *at,
	      uint32_t length_bytes);
/* The in-core inode is new: forgotten if the operation is undone. */
int op_note_loaded(struct fsys_node *ip);
int op_note_fresh(struct fsys *fs, struct cache_buf *buf);
/* The zone's buffer is forgotten if the operation commits. */
int op_note_freed(uint32_t zone);
void op_save(const struct fsys *fs, struct minix_savepoint *point);
void op_undo_to(struct fsys *fs, const struct minix_savepoint *point);

/* ---- bitmap.c ----------------------------------------------------------- */

int bitmap_alloc_inode(struct fsys *fs, uint32_t near_ino, uint32_t *ino);
int bitmap_free_inode(struct fsys *fs, uint32_t ino);
int bitmap_inode_is_used(struct fsys *fs, uint32_t ino, bool *used);
int bitmap_alloc_zone(struct fsys *fs, uint32_t goal, uint32_t *zone);
int bitmap_free_zone(struct fsys *fs, uint32_t zone);
/* Adds up free bits of one bitmap, a block a step; -X_EWAIT in between. */
int bitmap_count_free(struct fsys *fs, uint32_t first_block, uint32_t bits,
		      uint32_t *next_block, uint32_t *free_count);
uint32_t bitmap_zone_bits(const struct fsys *fs);

/* ---- inode.c ------------------------------------------------------------ */

struct fsys_node *inode_find(const struct fsys *fs, uint32_t ino);
/* The slot in the inode table, for reading or encoding. */
int inode_slot(struct fsys *fs, uint32_t ino, struct cache_buf **buf, void **slot);
void inode_encode(const struct fsys *fs, const struct fsys_node *ip, void *out);
void inode_unhash(struct fsys *fs, struct fsys_node *ip);
/* Brings in an inode without links, for fsys_reap() to free. */
int inode_load_unlinked(struct fsys *fs, uint32_t ino);
/* Is it an inode without links? */
bool inode_slot_is_unlinked(const struct fsys *fs, const void *slot);
/* The type bits of an inode, without bringing it in core. */
int inode_peek_type(struct fsys *fs, uint32_t ino, uint16_t *mode);
bool inode_needs_reap(const struct fsys_node *ip);

/* ---- map.c: from a file's blocks to zones -------------------------------- */

/* ZONE is 0 for a hole. */
int map_lookup(struct fsys *fs, struct fsys_node *ip, uint32_t file_block,
	       uint32_t *zone);
/* As map_lookup(), but fills a hole; FRESH: this was one. */
int map_alloc(struct fsys *fs, struct fsys_node *ip, uint32_t file_block,
	      uint32_t *zone, bool *fresh);
/* Makes a hole of a block: 1, or 0 if it was one. Indirect blocks stay until the file is cut. */
int map_free(struct fsys *fs, struct fsys_node *ip, uint32_t file_block);
/* Frees up to MINIX_TRIM_ZONES zones behind the end. -X_EAGAIN: more remain. */
int map_trim(struct fsys *fs, struct fsys_node *ip);
uint64_t map_blocks_max(const struct fsys *fs);
/* Zones that a file of this size has if it has no holes, with indirect ones. */
uint64_t map_zones_of_size(const struct fsys *fs, uint64_t size_bytes);

#endif
