/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the filesystem core share. All functions answer 0 or a
 * negative error, as in minix.h, and run inside an operation (op_begin).
 */
#ifndef FS_MINIX_INTERNAL_H
#define FS_MINIX_INTERNAL_H

#include "fs/minix/minix.h"

#include <string.h>

#include <xinim/error.h>

/* ---- op.c: the transaction --------------------------------------------- */

void op_begin(struct minix_fs *fs);
/* Commits if STATUS >= 0, undoes otherwise; starts I/O; gives STATUS back. */
int64_t op_end(struct minix_fs *fs, int64_t status);
/*
 * Lets go of the buffers and inodes met so far, for walks of any length.
 * Only before the first change, and no pointer got before is good after.
 */
void op_forget(struct minix_fs *fs);
/* Before the bytes AT in a resident metadata block are changed. */
int op_modify(struct minix_fs *fs, struct cache_buf *buf, void *at,
	      uint32_t length_bytes);
/* Before anything in an inode is changed; it is encoded at commit. */
int op_modify_inode(struct minix_fs *fs, struct minix_inode *ip);
/* The in-core inode is new: forgotten if the operation is undone. */
int op_note_loaded(struct minix_fs *fs, struct minix_inode *ip);
int op_note_fresh(struct minix_fs *fs, struct cache_buf *buf);
/* The zone's buffer is forgotten if the operation commits. */
int op_note_freed(struct minix_fs *fs, uint32_t zone);
void op_save(const struct minix_fs *fs, struct minix_savepoint *point);
void op_undo_to(struct minix_fs *fs, const struct minix_savepoint *point);
/* Notes why the disk is nonsense. Always gives -X_EUCLEAN. */
int minix_damaged(struct minix_fs *fs, const char *reason);

/* ---- bitmap.c ----------------------------------------------------------- */

int bitmap_alloc_inode(struct minix_fs *fs, uint32_t near_ino, uint32_t *ino);
int bitmap_free_inode(struct minix_fs *fs, uint32_t ino);
int bitmap_inode_is_used(struct minix_fs *fs, uint32_t ino, bool *used);
int bitmap_alloc_zone(struct minix_fs *fs, uint32_t goal, uint32_t *zone);
int bitmap_free_zone(struct minix_fs *fs, uint32_t zone);
/* Adds up free bits of one bitmap, a block a step; -X_EWAIT in between. */
int bitmap_count_free(struct minix_fs *fs, uint32_t first_block, uint32_t bits,
		      uint32_t *next_block, uint32_t *free_count);
uint32_t bitmap_zone_bits(const struct minix_fs *fs);

/* ---- inode.c ------------------------------------------------------------ */

int inode_get(struct minix_fs *fs, uint32_t ino, struct minix_inode **out);
int inode_get_dir(struct minix_fs *fs, uint32_t ino, struct minix_inode **out);
struct minix_inode *inode_find(const struct minix_fs *fs, uint32_t ino);
/* A new inode near its directory, all zero but for its number. */
int inode_alloc(struct minix_fs *fs, uint32_t near_ino, struct minix_inode **out);
/* The slot in the inode table, for reading or encoding. */
int inode_slot(struct minix_fs *fs, uint32_t ino, struct cache_buf **buf,
	       struct minix_inode_disk **slot);
void inode_encode(const struct minix_inode *ip, struct minix_inode_disk *out);
void inode_unhash(struct minix_fs *fs, struct minix_inode *ip);
/* Brings in an inode without links, for minix_reap() to free. */
int inode_load_unlinked(struct minix_fs *fs, uint32_t ino);
/* The type bits of an inode, without bringing it in core. */
int inode_peek_type(struct minix_fs *fs, uint32_t ino, uint16_t *mode);
bool inode_needs_reap(const struct minix_inode *ip);
void minix_dev_decode(uint32_t encoded, uint32_t *major, uint32_t *minor);
int minix_dev_encode(uint32_t major, uint32_t minor, uint32_t *encoded);

/* ---- map.c: from a file's blocks to zones -------------------------------- */

/* ZONE is 0 for a hole. */
int map_lookup(struct minix_fs *fs, struct minix_inode *ip, uint32_t file_block,
	       uint32_t *zone);
/* As map_lookup(), but fills a hole; FRESH: this was one. */
int map_alloc(struct minix_fs *fs, struct minix_inode *ip, uint32_t file_block,
	      uint32_t *zone, bool *fresh);
/* Frees up to MINIX_TRIM_ZONES zones behind the end. -X_EAGAIN: more remain. */
int map_trim(struct minix_fs *fs, struct minix_inode *ip);
uint64_t map_blocks_max(uint32_t block_size);
/* Zones that a file of this size has if it has no holes, with indirect ones. */
uint64_t map_zones_of_size(uint32_t block_size, uint32_t size_bytes);

/* ---- dir.c -------------------------------------------------------------- */

int dir_lookup(struct minix_fs *fs, struct minix_inode *dir,
	       struct minix_name name, uint32_t *ino, uint32_t *slot_bytes);
int dir_add(struct minix_fs *fs, struct minix_inode *dir, struct minix_name name,
	    uint32_t ino, uint32_t time_sec);
int dir_remove(struct minix_fs *fs, struct minix_inode *dir, uint32_t slot_bytes,
	       uint32_t time_sec);
/* Points an entry to another inode. */
int dir_replace(struct minix_fs *fs, struct minix_inode *dir,
		uint32_t slot_bytes, uint32_t ino, uint32_t time_sec);
/* 0 or -X_ENOTEMPTY. */
int dir_check_empty(struct minix_fs *fs, struct minix_inode *dir);
/* Fills a new directory with "." and "..". */
int dir_make(struct minix_fs *fs, struct minix_inode *dir, uint32_t parent_ino);
int dir_parent(struct minix_fs *fs, struct minix_inode *dir, uint32_t *ino);
/* The name under which a directory holds an inode. */
int dir_name_of(struct minix_fs *fs, struct minix_inode *dir, uint32_t ino,
		char name[static MINIX_NAME_MAX], uint32_t *name_bytes);
bool name_is_dot(struct minix_name name);
bool name_is_dot_dot(struct minix_name name);

/* ---- access.c ----------------------------------------------------------- */

int access_check(const struct minix_inode *ip, const struct minix_caller *who,
		 uint32_t want);
bool access_in_group(const struct minix_caller *who, uint32_t gid);
/* May WHO add a name to DIR? */
int access_may_create(const struct minix_inode *dir,
		      const struct minix_caller *who);
/* May WHO remove VICTIM from DIR? IS_DIR: it is to be a directory. */
int access_may_delete(const struct minix_inode *dir,
		      const struct minix_inode *victim,
		      const struct minix_caller *who, bool is_dir);

/* ---- file.c ------------------------------------------------------------- */

/* Notes a read, as Linux's relatime does. */
int file_touch_atime(struct minix_fs *fs, struct minix_inode *ip,
		     const struct minix_caller *who);
/* The text of a link, cut at CAPACITY; gives its length. */
int file_read_link(struct minix_fs *fs, uint32_t ino, char *out,
		   uint32_t capacity);
/* Set-id bits go when somebody other than root changes a file. */
void file_clear_set_id(struct minix_inode *ip, const struct minix_caller *who);

#endif
