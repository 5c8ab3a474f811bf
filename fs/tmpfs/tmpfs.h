/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tmpfs: a filesystem in memory. Names, attributes and links are here; the
 * pages of files are their contents' (lib/fs/content.h), which are never given
 * back, since they stay dirty. When there are more files than contents, small
 * ones are kept here meanwhile (store.c).
 *
 *   options.c options of mount(2)
 *   main.c    start, limits, the event loop's hooks
 *   heap.c    memory in small pieces
 *   node.c    inodes, and undoing operations
 *   dir.c     directories
 *   pages.c   which pages of a file have room; files kept here
 *   store.c   between contents and pages.c
 */
#ifndef FS_TMPFS_TMPFS_H
#define FS_TMPFS_TMPFS_H

#include "lib/fs/backend.h"

#include <string.h>

enum {
	TMPFS_PAGE = 4096,
	TMPFS_TABLE_PAGES = TMPFS_PAGE / 4,     /* that one table has numbers for */
	TMPFS_TABLES_MAX = 512,                 /* so a file has at most 2 GiB */
	TMPFS_UNDO_MAX = 32,
	TMPFS_HASH = 1 << 14,
};

/* ---- heap.c: pieces by number; 0 is none ------------------------------------- */

/* Up to 4 KiB, zeroed; 0: the size limit is reached. */
uint32_t heap_alloc(uint32_t bytes);
void heap_free(uint32_t piece, uint32_t bytes);
void *heap_at(uint32_t piece);

/* ---- the volume ---------------------------------------------------------------- */

/* A name in a directory; in the directory's list, in order of cursors. */
struct tmpfs_entry {
	uint32_t next, prev, hash_next; /* pieces */
	uint32_t dir_ino, ino;
	uint32_t cursor;
	uint16_t name_bytes;
	char name[];
};

/* What a node has besides struct fsys_node. */
struct tmpfs_extra {
	uint32_t first, last;           /* directory: entries */
	uint32_t parent_ino;
	uint32_t entry_count;
	uint32_t next_cursor;
	uint32_t read_entry;            /* where the last listing ended, or 0 */
	uint32_t text;                  /* link: its text */
	uint32_t xattrs, xattr_bytes;   /* its extended attributes, or 0 */
	uint32_t tables, tables_end;    /* file: the table of tables of pages, or 0; none from the end on */
	uint32_t next_free;             /* free node: the next one's number */
};

enum tmpfs_undo_kind {
	TMPFS_UNDO_NODE,                /* saved as it was */
	TMPFS_UNDO_MADE,                /* a node from nothing */
	TMPFS_UNDO_ADDED,               /* an entry */
	TMPFS_UNDO_REMOVED,
	TMPFS_UNDO_REPLACED,            /* an entry's inode */
};
struct tmpfs_undo {
	enum tmpfs_undo_kind kind;
	struct fsys_node *node;
	struct fsys_node saved;
	struct tmpfs_extra saved_extra;
	uint32_t entry, ino;
};

struct fsys {
	struct fsys_limits limits;
	uint64_t pages_max, pages_used; /* of files and of the heap */
	uint32_t node_count, node_max, nodes_used; /* of the table, allowed, in use */
	uint32_t nodes_made, first_free; /* those behind were never used; 0: none */
	struct fsys_node *nodes;        /* [ino - 1] */
	struct tmpfs_extra *extras;
	uint32_t hash[TMPFS_HASH];
	uint32_t reap_count;            /* nodes without links and holders */
	uint32_t reap_cursor;
	bool reap_idle;
	bool (*keep_unlinked)(uint32_t ino);
};

static inline struct tmpfs_extra *extra_of(struct fsys *fs, const struct fsys_node *ip)
{
	return &fs->extras[ip->ino - 1];
}

/* Sets up the volume, empty but for its root. */
void tmpfs_init(struct fsys *fs, uint64_t time_ns);

/* ---- options.c, main.c ------------------------------------------------------------ */

/* -X_EINVAL: not understood, or less than what is used already. */
int options_set(struct fsys *fs, const char *text);
uint64_t volume_memory_bytes(void);     /* that it may have, for size=N% */

/* ---- node.c ---------------------------------------------------------------------- */

/* Room to note one more change, or -X_ENOMEM. */
int undo_note(enum tmpfs_undo_kind kind, struct tmpfs_undo **out);

/* ---- dir.c ------------------------------------------------------------------------ */

void dir_undo(struct fsys *fs, const struct tmpfs_undo *undo);
/* The operation has committed: what was removed goes for good. */
void dir_commit(struct fsys *fs, const struct tmpfs_undo *undo);
/* All entries of a directory that is freed. */
void dir_free(struct fsys *fs, struct fsys_node *dir);

/* ---- pages.c ---------------------------------------------------------------------- */

/* Room for the pages of [offset, end): 0 or -X_ENOSPC, with *DONE as far as it went. */
int pages_charge(struct fsys *fs, struct fsys_node *ip, uint64_t offset, uint64_t end,
		 uint64_t *done);
/* Gives back what lies behind SIZE_BYTES. */
void pages_trim(struct fsys *fs, struct fsys_node *ip, uint64_t size_bytes);
/* Has the page room? */
bool pages_has(struct fsys *fs, struct fsys_node *ip, uint64_t page);
/* A page kept here: takes a copy; gives it, or NULL; forgets it. */
bool pages_keep(struct fsys *fs, struct fsys_node *ip, uint64_t page, const void *data);
const void *pages_kept(struct fsys *fs, struct fsys_node *ip, uint64_t page);
void pages_unkeep(struct fsys *fs, struct fsys_node *ip, uint64_t page);
uint64_t pages_count(struct fsys *fs, const struct fsys_node *ip);

#endif
