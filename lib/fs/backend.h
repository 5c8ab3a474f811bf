/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a filesystem defines for lib/fs, and what lib/fs offers it. All answer
 * 0 or a negative error, as in fsys.h, and run inside an operation.
 */
#ifndef LIB_FS_BACKEND_H
#define LIB_FS_BACKEND_H

#include "lib/fs/fsys.h"

/* ======== defined by the filesystem (besides what fsys.h declares and lib/fs
 * does not define: hold to mark_mount, readdir, the room of files, the whole) */

/* ---- the transaction ---- */

/* Begins an operation: what it changes from now on is undone or committed by op_end(). */
void op_begin(struct fsys *fs);
/* Commits if STATUS >= 0, undoes otherwise; gives STATUS back. */
int64_t op_end(struct fsys *fs, int64_t status);
/*
 * Lets go of what was met so far, for walks of any length. Only before the
 * first change, and no pointer got before is good after.
 */
void op_forget(struct fsys *fs);
/* Before anything in an inode is changed. */
int op_modify_inode(struct fsys *fs, struct fsys_node *ip);

/* ---- inodes ---- */

/* The inode, read if need be. -X_EWAIT (run again), -X_EUCLEAN: it is nonsense, -X_EIO; _dir: -X_ENOTDIR. */
int inode_get(struct fsys *fs, uint32_t ino, struct fsys_node **out);
int inode_get_dir(struct fsys *fs, uint32_t ino, struct fsys_node **out);
/* A new inode near its directory, all zero but for its number. */
int inode_alloc(struct fsys *fs, uint32_t near_ino, struct fsys_node **out);

/* ---- directories ---- */

/* The entry of that name: its inode and slot, -X_ENOENT. dir_add(): -X_ENOSPC, and -X_EEXIST is
 * the caller's to find. All: -X_EWAIT, -X_EUCLEAN, -X_EIO. */
int dir_lookup(struct fsys *fs, struct fsys_node *dir, struct fsys_name name,
	       uint32_t *ino, uint32_t *slot);
int dir_add(struct fsys *fs, struct fsys_node *dir, struct fsys_name name,
	    uint32_t ino, uint64_t time_ns);
int dir_remove(struct fsys *fs, struct fsys_node *dir, uint32_t slot,
	       uint64_t time_ns);
/* Points an entry to another inode. */
int dir_replace(struct fsys *fs, struct fsys_node *dir, uint32_t slot,
		uint32_t ino, uint64_t time_ns);
/* 0 or -X_ENOTEMPTY. */
int dir_check_empty(struct fsys *fs, struct fsys_node *dir);
/* A new directory. */
int dir_make(struct fsys *fs, struct fsys_node *dir, uint32_t parent_ino);
int dir_parent(struct fsys *fs, struct fsys_node *dir, uint32_t *ino);
/* It was moved. */
int dir_set_parent(struct fsys *fs, struct fsys_node *dir, uint32_t parent_ino);
/* The name under which a directory holds an inode. */
int dir_name_of(struct fsys *fs, struct fsys_node *dir, uint32_t ino,
		char name[static FSYS_NAME_MAX], uint32_t *name_bytes);

/* ---- symbolic links ---- */

/* The text of a link, cut at CAPACITY; gives its length. */
int link_read(struct fsys *fs, struct fsys_node *ip, char *out, uint32_t capacity);
int link_write(struct fsys *fs, struct fsys_node *ip, const char *target,
	       uint32_t target_bytes);

/* ---- extended attributes ---- */

/* The list of all, as one piece of at most FSYS_XATTRS_MAX bytes; -X_EOPNOTSUPP. */
int xattrs_load(struct fsys *fs, const struct fsys_node *ip, uint8_t *list, uint32_t *bytes);
/* Replaces it, whole or not at all; -X_EOPNOTSUPP, -X_ENOSPC. */
int xattrs_store(struct fsys *fs, struct fsys_node *ip, const uint8_t *list, uint32_t bytes);

/* ---- what it can ---- */

struct fsys_limits {
	uint32_t id_max;                /* largest uid and gid that can be stored */
	uint32_t link_max;
	uint32_t name_max;
	uint32_t link_text_max;
	uint32_t inode_max;             /* no more inodes than this */
	uint32_t block_bytes;           /* in which files get room */
	uint64_t file_max;              /* largest size of a file */
	uint64_t time_grain_ns;
	bool read_only, no_atime;
};
const struct fsys_limits *fsys_limits(const struct fsys *fs);
/* Blocks of 512 bytes and the size of its own. */
void fsys_usage(const struct fsys *fs, const struct fsys_node *ip,
		uint64_t *blocks_512, uint32_t *block_size);
/* Notes why the disk is nonsense. Always gives -X_EUCLEAN. */
int fsys_damaged(struct fsys *fs, const char *reason);

/* ======== defined by lib/fs */

/* ---- access.c ---- */

/* 0 if WHO may do WANT (4 read, 2 write, 1 execute) by mode, owner and groups; -X_EACCES. */
int access_check(const struct fsys_node *ip, const struct fsys_caller *who,
		 uint32_t want);
bool access_in_group(const struct fsys_caller *who, uint32_t gid);
/* May WHO add a name to DIR? */
int access_may_create(const struct fsys_node *dir, const struct fsys_caller *who);
/* May WHO remove VICTIM from DIR? IS_DIR: it is to be a directory. */
int access_may_delete(const struct fsys_node *dir, const struct fsys_node *victim,
		      const struct fsys_caller *who, bool is_dir);

/* ---- attr.c ---- */

/* Notes a read, as Linux's relatime does. */
int attr_touch_atime(struct fsys *fs, struct fsys_node *ip, uint64_t now_ns);
/* Set-id bits go when somebody other than root changes a file. */
void attr_clear_set_id(struct fsys_node *ip, const struct fsys_caller *who);
/* A point in time as this filesystem can store it. */
uint64_t attr_time(const struct fsys *fs, uint64_t time_ns);
/* Device numbers as Linux encodes them, so that small ones look as they always did. */
void attr_dev_decode(uint32_t encoded, uint32_t *major, uint32_t *minor);
int attr_dev_encode(uint32_t major, uint32_t minor, uint32_t *encoded);

/* ---- named.c ---- */

/* IP (not a directory) has a name in the directory DIR_INO. */
void named_note(struct fsys_node *ip, uint32_t dir_ino);
/* IP loses that name, which DIR_INO had; its link count is told already. */
void named_lost(struct fsys_node *ip, uint32_t dir_ino, struct fsys_name name);
/* INO never had one; or it is a directory that goes, in which nothing was. */
void named_forget(uint32_t ino);
/* The last name of an inode without links, and its directory; -X_ENOENT. */
int named_last(uint32_t ino, uint32_t *dir_ino, struct fsys_name *name);

/* ---- path.c ---- */

/* `.` and `..`, which are no entries to be made or removed. */
bool name_is_dot(struct fsys_name name);
bool name_is_dot_dot(struct fsys_name name);

#endif
