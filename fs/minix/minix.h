/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MINIX filesystem, V1, V2 and V3, as a library over the buffer cache. The
 * server in the guest, the host tool minixfs and the unit tests are built from
 * it, with lib/fs (fsys.h tells what its functions are).
 *
 * Here are names, inodes and the room of files. The bytes of files are moved
 * by others: they ask minix_map() where on the disk they belong.
 *
 * No allocation, no blocking, one thread. All state is in struct fsys and the
 * memory named in its set-up, but for that of the operation under way (op.c).
 */
#ifndef FS_MINIX_MINIX_H
#define FS_MINIX_MINIX_H

#include "fs/minix/cache.h"
#include "fs/minix/minix_format.h"
#include "lib/fs/backend.h"

enum {
	MINIX_UNDO_RECORDS = 2048,
	MINIX_FRAMES_MIN = 32,          /* of the cache, or an operation may not fit in */
	MINIX_UNDO_BYTES = 64 * 1024,
	MINIX_INODE_HASH = 512,
	MINIX_IO_BLOCKS = 64,           /* of a file, given room in one operation */
	MINIX_SCAN_MEMOS = 32,
	MINIX_KNOWN = 1024,             /* remembered, see known.c ... */
	MINIX_KNOWN_TEXT = 47,          /* ... if no longer than this */
	MINIX_TRIM_ZONES = 128,         /* freed by one step of fsys_reap() */
};

/* One change that the operation under way made, and how to undo it. */
enum minix_undo_kind {
	MINIX_UNDO_BYTES_OF_BLOCK,
	MINIX_UNDO_INODE,
	MINIX_UNDO_INODE_LOADED,        /* made from nothing */
	MINIX_UNDO_FRESH_BLOCK,
	MINIX_UNDO_FREED_ZONE,
};

struct minix_undo_record {
	uint8_t kind;
	uint32_t length_bytes;
	uint32_t saved_offset;          /* in undo_bytes */
	uint32_t zone;
	struct cache_buf *buf;
	void *at;
};

/* Counters and hints of the allocators; part of every transaction. */
struct minix_alloc {
	uint32_t free_inodes;
	uint32_t free_zones;
	uint32_t inode_hint;
	uint32_t zone_hint;
};

struct minix_savepoint {
	uint32_t record_count;
	uint32_t saved_bytes;
	struct minix_alloc alloc;
};

/*
 * How far a search of a large directory came before something had to be
 * waited for: so that the next run goes on there, even if the directory is
 * larger than the cache. Good while the directory's version is the same.
 */
struct minix_scan_memo {
	uint64_t dir_version;
	char key[MINIX_NAME_MAX];       /* what is searched for, NUL padded */
	uint32_t next_block;
	uint32_t free_slot_bytes;       /* the first free slot seen */
};

/* See known.c. */
struct minix_name {
	uint64_t dir_version;           /* 0: none */
	uint32_t ino;                   /* 0: there is no such name */
	uint32_t slot_bytes;
	uint8_t bytes;
	char text[MINIX_KNOWN_TEXT];
};

/* See index.c. */
struct minix_index_entry {
	uint32_t hash, slot_plus_1;
};
struct minix_index {
	struct minix_index_entry *entries;
	uint32_t ino;                   /* 0: none */
	uint32_t used, next_block;
	uint32_t free_slot_bytes;       /* none before this */
	uint64_t last_use;
};

enum minix_state {
	MINIX_NEW,                      /* minix_init() done */
	MINIX_COUNTING_INODES,          /* superblock read */
	MINIX_COUNTING_ZONES,
	MINIX_CHECKING_ROOT,
	MINIX_RECLAIMING,               /* freeing what a power cut left unlinked */
	MINIX_MOUNTED,
	MINIX_UNMOUNTED,
};

struct minix_setup {
	const struct cache_ops *ops;
	void *ctx;
	uint64_t device_bytes;
	struct cache_memory memory;
	struct fsys_node *inodes;
	uint32_t inode_slots;
	struct minix_index *indexes;
	uint32_t index_count, index_entries;    /* entries of each */
	bool read_only;
	bool no_atime;                  /* else as Linux's relatime */
	/* Is the inode, which has no link and no holder, still wanted by somebody
	 * (mapped)? If not, its bytes are forgotten. May be NULL. */
	bool (*keep_unlinked)(uint32_t ino);
	uint32_t transfer_bytes_max;    /* 0: as the cache likes */
};

struct fsys {
	struct minix_setup setup;
	struct fsys_limits limits;      /* with read_only */
	struct cache cache;
	uint8_t state;
	bool was_clean;                 /* when it was mounted */
	const char *reason;             /* of the last -X_EUCLEAN or -X_EINVAL */
	uint64_t damage_count;          /* how often nonsense was met */

	uint8_t version;                /* 1, 2, 3 */
	uint32_t inode_bytes, dirent_bytes, number_bytes;
	uint32_t block_size;
	uint32_t inode_count;
	uint32_t zone_count;
	uint32_t first_data_zone;
	uint32_t inode_map_block, inode_map_blocks;
	uint32_t zone_map_block, zone_map_blocks;
	uint32_t inode_table_block, inode_table_blocks;
	uint32_t max_size_bytes;
	uint32_t count_block;           /* progress of COUNTING and RECLAIMING */

	struct minix_alloc alloc;
	struct fsys_node *inode_hash[MINIX_INODE_HASH];
	uint32_t inode_cursor;          /* where the search for a slot begins */
	uint32_t reap_cursor;
	bool reap_idle;                 /* all that is left is still wanted; look again later */
	uint32_t reap_count;            /* inodes that fsys_reap() has work on */

	uint64_t last_dir_version;
	struct minix_scan_memo scan_memo[MINIX_SCAN_MEMOS];
	uint32_t scan_memo_cursor;
	struct minix_name known[MINIX_KNOWN];
};

/* ---- mounting ---------------------------------------------------------- */

void minix_init(struct fsys *fs, const struct minix_setup *setup);

/* -X_EWAIT until it is 0. -X_EINVAL: not this kind of filesystem. */
int minix_mount(struct fsys *fs);

/*
 * Frees what is freed, writes all out, marks the disk clean: 0. -X_EBUSY
 * while inodes are held, unless FORCE. SYNC begins zeroed.
 */
int minix_unmount(struct fsys *fs, struct cache_sync *sync, bool force);

/* From now on nothing is changed. As for minix_unmount(), but all goes on. */
int minix_make_read_only(struct fsys *fs, struct cache_sync *sync);
/* Nonsense was met: from now on nothing is changed, or it would spread. What was changed
 * before is still written. True if that is so since now. */
bool minix_protect(struct fsys *fs);
/* -X_EROFS: the device is read-only, or what is on it damaged or not to be written. */
int minix_make_writable(struct fsys *fs);

/*
 * All metadata that was changed before the first call is on stable storage, and
 * so are bytes of files whose writes had ended. SYNC begins zeroed.
 */
int minix_sync(struct fsys *fs, struct cache_sync *sync);

/* ---- where files lie ------------------------------------------------------ */

/*
 * The zones of COUNT blocks from FILE_BLOCK on; 0 is a hole. -X_EWAIT and the
 * other usual errors.
 */
int minix_map(struct fsys *fs, uint32_t ino, uint32_t file_block,
	      uint32_t count, uint32_t *zones);

#endif
