/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MINIX V3 filesystem, as a library over the buffer cache. The server in
 * the guest, the host tool minixfs and the unit tests are built from it.
 *
 * EVERY OPERATION IS A TRANSACTION. It runs synchronously over the cache and
 * either happens wholly or leaves no trace. Besides its own errors it answers:
 *
 *   -X_EWAIT   a block isn't resident; it has been asked for. Call again, with
 *              the same arguments, after the next completion.
 *   -X_EAGAIN  call minix_reap(), begin a new iteration, call again.
 *   -X_EIO     the device failed.
 *   -X_EUCLEAN the disk holds nonsense; fs->reason says which.
 *   -X_ENFILE  all in-core inodes are held.  -X_EROFS  as it says.
 *
 * A request being served is thus its arguments and little more. File data is
 * payload: it isn't undone, so operations touch it last.
 *
 * INODES are named by number. minix_hold() keeps one alive (an open file, a
 * working directory); an inode without links or holders is freed by
 * minix_reap(), a bounded step at a time, as are blocks behind a truncation.
 *
 * No allocation, no blocking, one thread. All state is in struct minix_fs and
 * the memory named in its set-up.
 */
#ifndef FS_MINIX_MINIX_H
#define FS_MINIX_MINIX_H

#include "fs/minix/cache.h"
#include "fs/minix/minix_format.h"

/* Who asks, and when. The groups are borrowed for the call. */
struct minix_caller {
	uint32_t uid, gid;
	const uint32_t *groups;
	uint32_t group_count;
	uint32_t time_sec;
};

enum { MINIX_R = 4, MINIX_W = 2, MINIX_X = 1 };

struct minix_inode {
	struct minix_inode *hash_next;
	uint32_t ino;                   /* 0: the slot is free */
	uint32_t holds;
	uint64_t use_serial;            /* stays in core while equal to the cache's */
	uint64_t undo_serial;           /* saved by the operation of this serial */
	bool mounted_on;                /* a directory with a mount on it */
	bool trim;                      /* zones behind the end wait to be freed */
	bool damaged;                   /* freeing it failed; left to a check */

	uint16_t mode;
	uint16_t link_count;
	uint16_t uid, gid;
	uint32_t size_bytes;
	uint32_t atime_sec, mtime_sec, ctime_sec;
	uint32_t zone[MINIX_ZONES];

	uint64_t dir_version;           /* changes with every entry; never reused */

	/* Hints, right or wrong. */
	uint32_t goal_zone;             /* try this one next */
	uint32_t free_slot_bytes;       /* no free directory slot before this */
	uint32_t read_next_block;       /* where a sequential reader goes on */
	uint32_t read_ahead_blocks;     /* how far ahead of it */
	uint32_t read_ahead_end;        /* asked for up to here */
};

enum {
	MINIX_UNDO_RECORDS = 2048,
	MINIX_UNDO_BYTES = 64 * 1024,
	MINIX_INODE_HASH = 512,
	MINIX_IO_BLOCKS = 64,           /* of file data, in one operation */
	MINIX_SCAN_MEMOS = 32,
	MINIX_TRIM_ZONES = 128,         /* freed by one step of minix_reap() */
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

struct minix_op {
	bool open;
	uint32_t record_count;
	uint32_t saved_bytes;
	struct minix_alloc alloc_before;
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
	struct minix_inode *inodes;
	uint32_t inode_slots;
	bool read_only;
	bool no_atime;                  /* else as Linux's relatime */
	bool strict_iterations;         /* see cache.h; for the server */
	uint32_t transfer_bytes_max;    /* 0: as the cache likes */
};

struct minix_fs {
	struct minix_setup setup;
	struct cache cache;
	uint8_t state;
	bool read_only;
	bool was_clean;                 /* when it was mounted */
	const char *reason;             /* of the last -X_EUCLEAN or -X_EINVAL */
	uint64_t damage_count;          /* how often nonsense was met */

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
	struct minix_inode *inode_hash[MINIX_INODE_HASH];
	uint32_t inode_cursor;          /* where the search for a slot begins */
	uint32_t reap_count;            /* inodes that minix_reap() has work on */

	uint64_t last_dir_version;
	struct minix_scan_memo scan_memo[MINIX_SCAN_MEMOS];
	uint32_t scan_memo_cursor;

	struct minix_op op;
	struct minix_undo_record undo[MINIX_UNDO_RECORDS];
	_Alignas(8) uint8_t undo_bytes[MINIX_UNDO_BYTES];
};

/* ---- mounting ---------------------------------------------------------- */

void minix_init(struct minix_fs *fs, const struct minix_setup *setup);

/* -X_EWAIT until it is 0. -X_EINVAL: not this kind of filesystem. */
int minix_mount(struct minix_fs *fs);

/*
 * Frees what is freed, writes all out, marks the disk clean: 0. -X_EBUSY
 * while inodes are held, unless FORCE. SYNC begins zeroed.
 */
int minix_unmount(struct minix_fs *fs, struct cache_sync *sync, bool force);

/* From now on nothing is changed. As for minix_unmount(), but all goes on. */
int minix_make_read_only(struct minix_fs *fs, struct cache_sync *sync);

/* Tells the cache that a new iteration begins. Between operations only. */
void minix_begin_iteration(struct minix_fs *fs);

/* One bounded step of freeing. 0: nothing left to do. -X_EAGAIN: there is. */
int minix_reap(struct minix_fs *fs);

/*
 * All that was changed before the first call is on stable storage. INO: only
 * data of this file (and all metadata); 0: everything. SYNC begins zeroed.
 */
int minix_sync(struct minix_fs *fs, struct cache_sync *sync, uint32_t ino);

struct minix_statfs {
	uint32_t block_size, blocks, blocks_free, inodes, inodes_free, name_max;
};
void minix_statfs(const struct minix_fs *fs, struct minix_statfs *out);

/* ---- walking ----------------------------------------------------------- */

enum {
	MINIX_WALK_NOFOLLOW = 1,        /* a link as the last component is the end */
	MINIX_WALK_PARENT = 2,          /* stop before the last component */
};

struct minix_walk {
	/* given */
	uint32_t start_ino;
	uint32_t root_ino;              /* ".." stays here; 0: nowhere but the root */
	const char *path;
	uint32_t path_bytes;
	uint32_t flags;
	char *link;                     /* receives a link's text; may be NULL */
	uint32_t link_capacity;
	/* found */
	uint32_t ino;                   /* where the walk stopped */
	uint32_t parent_ino;            /* the directory before that */
	uint32_t name_offset;           /* the last component looked at */
	uint32_t name_bytes;
	uint32_t consumed_bytes;        /* of the path, with the slashes behind it */
	uint32_t link_bytes;
	bool up;                        /* -X_ECROSS: ".." out of the root */
	bool must_be_dir;               /* a slash follows the last component */
};

/*
 *  0            at the end: ino (PARENT: ino is the directory, name_ the last
 *               component; it has 0 bytes if the path is only slashes)
 *  -X_ESYMLINK  ino is a link met in parent_ino; link, link_bytes; go on from
 *               parent_ino with the text and what of the path isn't consumed
 *  -X_ECROSS    ino is a mount point, or (up) the root left by ".."
 *  -X_ENOENT, -X_ENOTDIR, -X_EACCES, -X_ENAMETOOLONG
 */
int minix_walk(struct minix_fs *fs, const struct minix_caller *who,
	       struct minix_walk *walk);

/* The path of a directory from the root. Gives its length; -X_ERANGE. */
int minix_path_of(struct minix_fs *fs, uint32_t ino, char *out,
		  uint32_t capacity);

/* ---- holding ----------------------------------------------------------- */

int minix_hold(struct minix_fs *fs, uint32_t ino);
/* False if the inode wasn't held that often: the caller's fault. */
bool minix_release(struct minix_fs *fs, uint32_t ino, uint32_t count);
/* The place of an inode in setup.inodes, or UINT32_MAX; fixed while held. */
uint32_t minix_slot(const struct minix_fs *fs, uint32_t ino);
int minix_mark_mount(struct minix_fs *fs, uint32_t ino, bool mounted_on);

/* ---- names ------------------------------------------------------------- */

/* A component of a path: not NUL-terminated. */
struct minix_name {
	const char *text;
	uint32_t bytes;
	bool must_be_dir;               /* it was written with a slash behind it */
};

/*
 * A regular file, made if it isn't there (-X_EEXIST if EXCLUSIVE). Found: INO
 * and CREATED are set, whatever it is; -X_ESYMLINK or -X_ECROSS say that INO
 * is a link or a mount point and the walk must go on.
 */
int minix_create(struct minix_fs *fs, const struct minix_caller *who,
		 uint32_t dir_ino, struct minix_name name, uint32_t mode,
		 bool exclusive, uint32_t *ino, bool *created);
int minix_mkdir(struct minix_fs *fs, const struct minix_caller *who,
		uint32_t dir_ino, struct minix_name name, uint32_t mode,
		uint32_t *ino);
/* MODE with its type; MAJOR and MINOR for devices. */
int minix_mknod(struct minix_fs *fs, const struct minix_caller *who,
		uint32_t dir_ino, struct minix_name name, uint32_t mode,
		uint32_t major, uint32_t minor, uint32_t *ino);
int minix_symlink(struct minix_fs *fs, const struct minix_caller *who,
		  uint32_t dir_ino, struct minix_name name, const char *target,
		  uint32_t target_bytes, uint32_t *ino);
int minix_link(struct minix_fs *fs, const struct minix_caller *who,
	       uint32_t target_ino, uint32_t dir_ino, struct minix_name name);
int minix_unlink(struct minix_fs *fs, const struct minix_caller *who,
		 uint32_t dir_ino, struct minix_name name);
int minix_rmdir(struct minix_fs *fs, const struct minix_caller *who,
		uint32_t dir_ino, struct minix_name name);

enum { MINIX_RENAME_NOREPLACE = 1, MINIX_RENAME_EXCHANGE = 2 };
int minix_rename(struct minix_fs *fs, const struct minix_caller *who,
		 uint32_t old_dir_ino, struct minix_name old_name,
		 uint32_t new_dir_ino, struct minix_name new_name,
		 uint32_t flags);

/* ---- attributes -------------------------------------------------------- */

struct minix_attr {
	uint32_t ino, mode, link_count, uid, gid;
	uint32_t major, minor;
	uint64_t size_bytes, blocks_512;
	uint32_t block_size;
	uint32_t atime_sec, mtime_sec, ctime_sec;
};
int minix_getattr(struct minix_fs *fs, uint32_t ino, struct minix_attr *out);

enum {
	MINIX_SET_MODE = 1, MINIX_SET_UID = 2, MINIX_SET_GID = 4,
	MINIX_SET_ATIME = 16, MINIX_SET_MTIME = 32,
	MINIX_SET_ATIME_NOW = 64, MINIX_SET_MTIME_NOW = 128,
};
struct minix_setattr {
	uint32_t mask, mode, uid, gid, atime_sec, mtime_sec;
};
int minix_setattr(struct minix_fs *fs, const struct minix_caller *who,
		  uint32_t ino, const struct minix_setattr *set);

/* May WHO do all of MINIX_R|W|X with the inode? 0 or -X_EACCES. */
int minix_access(struct minix_fs *fs, const struct minix_caller *who,
		 uint32_t ino, uint32_t want);

/* Gives the length of the text, which is cut at CAPACITY. */
int minix_readlink(struct minix_fs *fs, uint32_t ino, char *out,
		   uint32_t capacity);

/* ---- file data --------------------------------------------------------- */

/*
 * Moves LENGTH bytes between the caller's buffer at OFFSET (from the start of
 * this call's data) and DATA, in a frame of the cache or zeros. 0 or an error.
 */
typedef int (*minix_copy_fn)(void *ctx, uint32_t offset, void *data,
			     uint32_t length_bytes);

/*
 * Both give the number of bytes moved, which may be less than asked for
 * without any reason but the bound on one operation: go on from there. A read
 * of 0 bytes is the end of the file. Errors besides the usual: -X_EISDIR,
 * -X_EINVAL (not a regular file), -X_ENOSPC, -X_EFBIG.
 * WHO: sets times, and tells whether a write clears set-id bits.
 */
int64_t minix_read(struct minix_fs *fs, const struct minix_caller *who,
		   uint32_t ino, uint64_t offset, uint32_t length_bytes,
		   minix_copy_fn copy_out, void *ctx);
int64_t minix_write(struct minix_fs *fs, const struct minix_caller *who,
		    uint32_t ino, uint64_t offset, uint32_t length_bytes,
		    minix_copy_fn copy_in, void *ctx);

/* CHECK: WHO needs permission to write (truncate(2), not ftruncate(2)). */
int minix_truncate(struct minix_fs *fs, const struct minix_caller *who,
		   uint32_t ino, uint64_t size_bytes, bool check);

struct minix_dirent {
	uint32_t ino;
	uint32_t next_cursor;           /* of the entry behind this one */
	uint16_t mode;                  /* only the type bits; 0: unknown */
	uint16_t name_bytes;
	char name[MINIX_NAME_MAX + 1];
};

/*
 * Entries from CURSOR on (0: the first). Gives their number, 0 at the end.
 * A cursor stays good whatever happens to the directory.
 */
int minix_readdir(struct minix_fs *fs, const struct minix_caller *who,
		  uint32_t ino, uint32_t cursor, struct minix_dirent *out,
		  uint32_t capacity);

#endif
