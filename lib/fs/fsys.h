/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What every filesystem of XINIM is to those who use it: walks, names,
 * attributes, the size and the room of files. lib/fs holds what all have in
 * common (permissions, walks, what may be renamed over what); a filesystem
 * defines struct fsys and the functions of backend.h, and is linked with it.
 *
 * EVERY OPERATION IS A TRANSACTION. It runs synchronously and either happens
 * wholly or leaves no trace. Besides its own errors it answers:
 *
 *   -X_EWAIT   something isn't in memory; it has been asked for. Call again,
 *              with the same arguments, when something has moved.
 *   -X_EAGAIN  call fsys_reap(), begin a new iteration, call again.
 *   -X_EIO     the device failed.
 *   -X_EUCLEAN the disk holds nonsense.
 *   -X_ENFILE  all in-core inodes are held.  -X_EROFS  as it says.
 *
 * A request being served is thus its arguments and little more.
 *
 * INODES are named by number. fsys_hold() keeps one alive (an open file, a
 * working directory); an inode without links or holders is freed by
 * fsys_reap(), a bounded step at a time, as is what a truncation cut off.
 *
 * The bytes of files are not here: see lib/fs/content.h. No blocking, one thread.
 */
#ifndef LIB_FS_FSYS_H
#define LIB_FS_FSYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xinim/error.h>

enum {
	FSYS_ROOT_INO = 1,
	FSYS_NAME_MAX = 255,            /* of any filesystem */
	FSYS_ZONES = 10,
	FSYS_LINK_TEXT_MAX = 4096,
};
#define FSYS_SEC 1000000000ull

/* File types and mode bits, equal to those of Linux. */
#define FSYS_S_IFMT 0170000u
#define FSYS_S_IFSOCK 0140000u
#define FSYS_S_IFLNK 0120000u
#define FSYS_S_IFREG 0100000u
#define FSYS_S_IFBLK 0060000u
#define FSYS_S_IFDIR 0040000u
#define FSYS_S_IFCHR 0020000u
#define FSYS_S_IFIFO 0010000u
#define FSYS_S_ISUID 04000u
#define FSYS_S_ISGID 02000u
#define FSYS_S_ISVTX 01000u
#define FSYS_S_IXGRP 00010u
#define FSYS_S_ASKED_IXGRP 0200000u /* only in a mode asked for: what it had before the umask */

#define FSYS_ISREG(mode) (((mode) & FSYS_S_IFMT) == FSYS_S_IFREG)
#define FSYS_ISDIR(mode) (((mode) & FSYS_S_IFMT) == FSYS_S_IFDIR)
#define FSYS_ISLNK(mode) (((mode) & FSYS_S_IFMT) == FSYS_S_IFLNK)
#define FSYS_ISCHR(mode) (((mode) & FSYS_S_IFMT) == FSYS_S_IFCHR)
#define FSYS_ISBLK(mode) (((mode) & FSYS_S_IFMT) == FSYS_S_IFBLK)
#define FSYS_ISDEV(mode) (FSYS_ISCHR(mode) || FSYS_ISBLK(mode))

struct fsys;

/* Who asks, and when. The groups are borrowed for the call. */
struct fsys_caller {
	uint32_t uid, gid;
	const uint32_t *groups;
	uint32_t group_count;
	uint64_t time_ns;               /* since 1970 */
};

enum { FSYS_R = 4, FSYS_W = 2, FSYS_X = 1 };

struct fsys_node {
	struct fsys_node *hash_next;
	uint32_t ino;                   /* 0: the slot is free */
	uint32_t holds;
	uint64_t use_serial;            /* of the operation that met it last */
	uint64_t undo_serial;           /* saved by the operation of this serial */
	uint32_t uses[2];               /* by enum fsys_use, of its holders */
	bool mounted_on;                /* with a mount on it */
	bool linkable;                  /* it has no name yet, and may get one (O_TMPFILE) */
	bool trim;                      /* what lies behind the end waits to be freed */
	bool damaged;                   /* freeing it failed; left to a check */

	uint32_t mode, link_count, uid, gid;
	uint64_t size_bytes;
	uint64_t atime_ns, mtime_ns, ctime_ns;
	/* The filesystem's own; a device node keeps its number in zone[0]. */
	uint32_t zone[FSYS_ZONES];

	uint64_t dir_version;           /* changes with every entry; never reused */

	/* Hints, right or wrong. */
	uint32_t goal_zone;             /* try this one next */
	uint32_t free_slot_bytes;       /* no free directory slot before this */
	uint32_t named_in;              /* not of directories: one that has a name of it, or 0 (named.c) */
};

/* ---- walking ----------------------------------------------------------- */

enum {
	FSYS_WALK_NOFOLLOW = 1,         /* a link as the last component is the end */
	FSYS_WALK_PARENT = 2,           /* stop before the last component */
};

struct fsys_walk {                      /* on the stack: changes are not logged */
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
int fsys_walk(struct fsys *fs, const struct fsys_caller *who,
	      struct fsys_walk *walk);

/* The path of a directory from the root. Gives its length; -X_ERANGE. */
int fsys_path_of(struct fsys *fs, uint32_t ino, char *out, uint32_t capacity);
/* The same of anything that is held: by one of its names, or (the last is gone) the last one and
 * " (deleted)". -X_ENOENT: it is not known. */
int fsys_name_of(struct fsys *fs, uint32_t ino, char *out, uint32_t capacity);

/* ---- holding ----------------------------------------------------------- */

/* Keeps the inode, also when its last name goes. -X_EWAIT, -X_ENFILE, or what reading it gives. */
int fsys_hold(struct fsys *fs, uint32_t ino);
/* False if the inode wasn't held that often: the caller's fault. */
bool fsys_release(struct fsys *fs, uint32_t ino, uint32_t count);
/* Is a file that is held written to, or run? Not both at once: -X_ETXTBSY. */
enum fsys_use { FSYS_WRITES, FSYS_RUNS };
int fsys_begin_use(struct fsys *fs, uint32_t ino, enum fsys_use use);
void fsys_end_use(struct fsys *fs, uint32_t ino, enum fsys_use use);
/* 0, or -X_ETXTBSY: it is being run, and so not to be written to. */
int fsys_check_use(struct fsys *fs, uint32_t ino);
/* The place of an inode among those in core, or UINT32_MAX; fixed while held. */
uint32_t fsys_slot(const struct fsys *fs, uint32_t ino);
uint32_t fsys_slot_count(const struct fsys *fs);
int fsys_mark_mount(struct fsys *fs, uint32_t ino, bool mounted_on);
/* A new vfs knows of no mounts. */
void fsys_forget_mounts(struct fsys *fs);

/* ---- names ------------------------------------------------------------- */

/* A component of a path: not NUL-terminated. */
struct fsys_name {
	const char *text;
	uint32_t bytes;
	bool must_be_dir;               /* it was written with a slash behind it */
};

/*
 * A regular file, made if it isn't there (-X_EEXIST if EXCLUSIVE). Found: INO
 * and CREATED are set, whatever it is; -X_ESYMLINK or -X_ECROSS say that INO
 * is a link or a mount point and the walk must go on.
 */
int fsys_create(struct fsys *fs, const struct fsys_caller *who,
		uint32_t dir_ino, struct fsys_name name, uint32_t mode,
		bool exclusive, uint32_t *ino, bool *created);
/* A regular file without a name, held once. LINKABLE: fsys_link() may give it one. */
int fsys_make_unnamed(struct fsys *fs, const struct fsys_caller *who, uint32_t dir_ino, uint32_t mode,
		      bool linkable, uint32_t *ino);
int fsys_mkdir(struct fsys *fs, const struct fsys_caller *who,
	       uint32_t dir_ino, struct fsys_name name, uint32_t mode,
	       uint32_t *ino);
/* MODE with its type; MAJOR and MINOR for devices. */
int fsys_mknod(struct fsys *fs, const struct fsys_caller *who,
	       uint32_t dir_ino, struct fsys_name name, uint32_t mode,
	       uint32_t major, uint32_t minor, uint32_t *ino);
int fsys_symlink(struct fsys *fs, const struct fsys_caller *who,
		 uint32_t dir_ino, struct fsys_name name, const char *target,
		 uint32_t target_bytes, uint32_t *ino);
int fsys_link(struct fsys *fs, const struct fsys_caller *who,
	      uint32_t target_ino, uint32_t dir_ino, struct fsys_name name);
int fsys_unlink(struct fsys *fs, const struct fsys_caller *who,
		uint32_t dir_ino, struct fsys_name name);
int fsys_rmdir(struct fsys *fs, const struct fsys_caller *who,
	       uint32_t dir_ino, struct fsys_name name);

enum { FSYS_RENAME_NOREPLACE = 1, FSYS_RENAME_EXCHANGE = 2 };
/* rename(2), with its errors; FLAGS: one of FSYS_RENAME_*: -X_EEXIST, or both names must be there. */
int fsys_rename(struct fsys *fs, const struct fsys_caller *who,
		uint32_t old_dir_ino, struct fsys_name old_name,
		uint32_t new_dir_ino, struct fsys_name new_name,
		uint32_t flags);

/* ---- attributes -------------------------------------------------------- */

struct fsys_attr {
	uint32_t ino, mode, link_count, uid, gid;
	uint32_t major, minor;
	uint64_t size_bytes, blocks_512;
	uint32_t block_size;
	uint64_t atime_ns, mtime_ns, ctime_ns;
};
/* What stat(2) tells; -X_EWAIT, -X_EUCLEAN, -X_EIO. */
int fsys_getattr(struct fsys *fs, uint32_t ino, struct fsys_attr *out);

enum {
	FSYS_SET_MODE = 1, FSYS_SET_UID = 2, FSYS_SET_GID = 4,
	FSYS_SET_ATIME = 16, FSYS_SET_MTIME = 32,
	FSYS_SET_ATIME_NOW = 64, FSYS_SET_MTIME_NOW = 128,
};
struct fsys_setattr {
	uint32_t mask, mode, uid, gid;
	uint64_t atime_ns, mtime_ns;
};
/* chmod(2), chown(2), utimensat(2) in one, with their rules: -X_EPERM, -X_EROFS. */
int fsys_setattr(struct fsys *fs, const struct fsys_caller *who,
		 uint32_t ino, const struct fsys_setattr *set);

/* Extended attributes, with the rules of xattr(7). All: -X_EOPNOTSUPP, the filesystem or the name
 * has none; -X_ENODATA; -X_EPERM. All of an inode's are FSYS_XATTRS_MAX bytes at most: -X_ENOSPC. */
enum { FSYS_XATTRS_MAX = 4096, FSYS_XATTR_CREATE = 1, FSYS_XATTR_REPLACE = 2 };
int fsys_set_xattr(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, struct fsys_name name,
		   const void *value, uint32_t value_bytes, uint32_t flags);
int fsys_remove_xattr(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, struct fsys_name name);
/* Give the bytes of the value, of the names (each ended by NUL), good until the next operation. */
int fsys_get_xattr(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, struct fsys_name name,
		   const uint8_t **value);
int fsys_list_xattrs(struct fsys *fs, const struct fsys_caller *who, uint32_t ino, const uint8_t **names);

/* May WHO do all of FSYS_R|W|X with the inode? 0 or -X_EACCES. */
int fsys_access(struct fsys *fs, const struct fsys_caller *who,
		uint32_t ino, uint32_t want);

/*
 * The file was read or written (times, 0: not) without an operation here.
 * Reads count as Linux's relatime has it.
 */
int fsys_touch(struct fsys *fs, uint32_t ino, uint64_t read_ns,
	       uint64_t written_ns);

/* Gives the length of the text, which is cut at CAPACITY. */
int fsys_readlink(struct fsys *fs, uint32_t ino, char *out, uint32_t capacity);

struct fsys_dirent {
	uint32_t ino;
	uint32_t next_cursor;           /* of the entry behind this one */
	uint16_t mode;                  /* only the type bits; 0: unknown */
	uint16_t name_bytes;
	char name[FSYS_NAME_MAX + 1];
};

/*
 * Entries from CURSOR on (0: the first). Gives their number, 0 at the end.
 * A cursor stays good whatever happens to the directory.
 */
int fsys_readdir(struct fsys *fs, const struct fsys_caller *who,
		 uint32_t ino, uint32_t cursor, struct fsys_dirent *out,
		 uint32_t capacity);

/* ---- the room of files -------------------------------------------------- */

/*
 * A write is about to happen: makes room for it, sets size and times, clears
 * set-id bits. Gives how many of the bytes it may be, perhaps fewer than asked
 * for: go on from there. It ends between two pages and blocks, or where it was to end,
 * or (if the disk is full and all was to lie in one page) between two blocks.
 * BACKED: all pages (of 4 KiB) that the bytes touch have all their room.
 * Errors besides the usual: -X_EISDIR, -X_EINVAL (not a regular file),
 * -X_ENOSPC, -X_EFBIG.
 */
int64_t fsys_write(struct fsys *fs, const struct fsys_caller *who,
		   uint32_t ino, uint64_t offset, uint32_t length_bytes,
		   bool *backed);
/* Room for all that a page, or a few, may hold inside the file's size. */
int fsys_back(struct fsys *fs, uint32_t ino, uint64_t offset,
	      uint32_t length_bytes);
/* Has the byte at OFFSET its room? *NEXT: it is the same for all before. */
int fsys_room_at(struct fsys *fs, uint32_t ino, uint64_t offset, bool *room, uint64_t *next);
/*
 * [offset, end), whole blocks and pages, are a hole from now on (offset == end: only times change,
 * as for a write). Gives how many of the bytes it did, perhaps fewer: go on from there.
 */
int64_t fsys_punch(struct fsys *fs, const struct fsys_caller *who, uint32_t ino,
		   uint64_t offset, uint64_t end);
/* CHECK: WHO needs permission to write (truncate(2), not ftruncate(2)). */
int fsys_truncate(struct fsys *fs, const struct fsys_caller *who,
		  uint32_t ino, uint64_t size_bytes, bool check);
/* What fsys_truncate() would say, but for lack of room. */
int fsys_may_truncate(struct fsys *fs, const struct fsys_caller *who,
		      uint32_t ino, uint64_t size_bytes, bool check);

/* ---- the whole ----------------------------------------------------------- */

struct fsys_statfs {
	uint32_t type, block_size, name_max;
	uint64_t blocks, blocks_free, inodes, inodes_free;
	bool read_only;
};
/* What statfs(2) tells. */
void fsys_statfs(const struct fsys *fs, struct fsys_statfs *out);
/* One bounded step of freeing. 0: nothing left to do. -X_EAGAIN: there is. */
int fsys_reap(struct fsys *fs);

#endif
