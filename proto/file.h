/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of open files: calls on the object handle that a file descriptor
 * is. Spoken by filesystems, pipes, terminals, devices; callers are Linux
 * programs (through the personality), pm and vfs. Flags and constants are
 * those of Linux where it has them, so that nothing is translated.
 *
 * "position": with FILE_AT in msg.status the offset is a[0]; else the object's
 * cursor (struct x_in.cursor) is used and the answer moves it
 * (X_ANSWER_CURSOR); such calls are made with X_CALL_CURSOR.
 */
#ifndef PROTO_FILE_H
#define PROTO_FILE_H

#include <xinim/abi.h>

#define FILE_AT 1 /* msg.status of READ and WRITE: a[0] is the offset */
/* msg.status of READ, WRITE and IOCTL: the caller ignores or blocks SIGTTIN, SIGTTOU */
#define FILE_NO_TTIN 2
#define FILE_NO_TTOU 4
/* msg.status of READ and WRITE of pipes: */
#define FILE_PEEK 8    /* what is read stays; nothing there: -X_EAGAIN */
#define FILE_NOWAIT 16 /* as if it were open with O_NONBLOCK; of SOCK_ACCEPT, too */
/* msg.status of READ and WRITE, SOCK_RECV and SOCK_SEND: the caller has tried x_stream, and will again
 * if told -X_EWAIT */
#define FILE_STREAMS 32

enum file_op {
	FILE_READ = 0x100, /* win0 (write): data. -> status bytes. a[0] offset if FILE_AT */
	FILE_WRITE,        /* win0 (read): data. -> status bytes. O_APPEND, O_NONBLOCK by status_flags */
	FILE_STAT,         /* win0 (write): struct file_attr -> of filesystems a[2] as FILE_IDENT */
	FILE_SETATTR,      /* a[0] ATTR_* mask, a[1] mode | uid<<32, a[2] gid, a[3] size,
	                      a[4] atime ns, a[5] mtime ns (ATTR_*_NOW: server's time),
	                      a[6] caller's uid | gid<<32 (claimed by the personality is NOT
	                      believed: servers use the rights the object was opened with).
	                      Mode, uid and gid of what lies in a filesystem are changed by VFS_SETATTR */
	FILE_READDIR,      /* win0 (write): struct file_dirent[]; cursor = position. -> bytes */
	FILE_SYNC,         /* a[0]: 1 = data only */
	FILE_IOCTL,        /* a[0] command, a[1] argument value, win0 (read|write): argument buffer */
	FILE_MMAP,         /* -> handle[0]: memory object of the file's pages (READ, and EXEC but for F_O_NOEXEC), a[0] size */
	FILE_STATFS,       /* win0 (write): struct file_statfs */
	FILE_IDENT,        /* directories: -> a[0] mount id, a[1] inode, a[2] id of the mount or bind by which it was opened;
	                      else -X_ENOTDIR */
	FILE_SIZE,         /* -> a[0] size in bytes; -X_ESPIPE if it has none. What has one and no cursor (/dev/null) is always at 0 */
	FILE_TRUNCATE,     /* a[0] new size; needs the object open for writing */
	FILE_SEEK,         /* a[0] offset, a[1] 0 to data, 1 to a hole, as lseek(2) finds them -> a[0] where; -X_ENXIO */
	FILE_ALLOCATE,     /* a[0] FALLOC_*, a[1] offset, a[2] bytes, as fallocate(2) has them; needs the
	                      object open for writing. -X_EOPNOTSUPP also: the filesystem can't */

	FILE_PIPE_SIZE = 0x140, /* pipes: a[0] capacity wanted in bytes, 0: asked for
	                      -> status capacity; -X_EBUSY holds more, -X_EPERM too much */

	FILE_TIMER_SET = 0x150, /* timerfd: a[0] first ns (0: disarm), a[1] interval ns, a[2] 1 =
	                      absolute on its clock; 3 = and reading it fails once with -X_ECANCELED when
	                      that is the time of day and is set -> as FILE_TIMER_GET, what was before */
	FILE_TIMER_GET,    /* -> a[0] ns left, 0: disarmed; a[1] interval ns */
};

#define ATTR_MODE 1u
#define ATTR_UID 2u
#define ATTR_GID 4u
#define ATTR_SIZE 8u
#define ATTR_ATIME 16u
#define ATTR_MTIME 32u
#define ATTR_ATIME_NOW 64u
#define ATTR_MTIME_NOW 128u

struct file_attr {
	uint64_t dev, ino;
	uint32_t mode, nlink;
	uint32_t uid, gid;
	uint64_t rdev;           /* (major << 8 | minor) as Linux packs small ones */
	uint64_t size, blocks;   /* bytes; 512-byte units */
	uint64_t block_bytes;
	uint64_t atime_ns, mtime_ns, ctime_ns; /* since 1970 */
};

struct file_dirent {             /* same layout as linux_dirent64 */
	uint64_t ino;
	int64_t next;            /* cursor of the entry after this one */
	uint16_t reclen;         /* multiple of 8 */
	uint8_t type;            /* DT_* */
	char name[];             /* NUL-terminated */
};

struct file_statfs {
	uint64_t type, block_bytes, blocks, blocks_free, files, files_free, name_max, flags, fsid;
};

/* open flags, as Linux numbers them */
#define F_O_ACCMODE   03u
#define F_O_RDONLY    00u
#define F_O_WRONLY    01u
#define F_O_RDWR      02u
#define F_O_CREAT     0100u
#define F_O_EXCL      0200u
#define F_O_NOCTTY    0400u
#define F_O_TRUNC     01000u
#define F_O_APPEND    02000u
#define F_O_NONBLOCK  04000u
#define F_O_DSYNC     010000u   /* O_SYNC has it too */
#define F_O_DIRECT    040000u
#define F_O_DIRECTORY 0200000u
#define F_O_NOFOLLOW  0400000u
#define F_O_NOATIME   01000000u
#define F_O_CLOEXEC   02000000u
#define F_O_PATH      010000000u
#define F_O_MESSAGES  02000000000u /* none of Linux's, nor told to programs: each read or write is a whole message */

#define F_O_TMPFILE   020000000u /* a file without a name in that directory */
#define F_O_RUN       0400000000u /* from vfs only: a program; until all is closed nobody writes to it */
#define F_O_NOWRITE   04000000000u /* from vfs only: its bind may only be read, so -X_EROFS for what would change a file */
#define F_O_NOEXEC    01000000000u /* from vfs only: its mount is noexec, so it is not mapped to be run */

/* FILE_ALLOCATE */
#define FALLOC_KEEP_SIZE  1u
#define FALLOC_PUNCH_HOLE 2u /* with KEEP_SIZE */
#define FALLOC_ZERO_RANGE 16u

/* mode bits */
#define F_S_IFMT   0170000u
#define F_S_IFSOCK 0140000u
#define F_S_IFLNK  0120000u
#define F_S_IFREG  0100000u
#define F_S_IFBLK  0060000u
#define F_S_IFDIR  0040000u
#define F_S_IFCHR  0020000u
#define F_S_IFIFO  0010000u
#define F_S_ISUID  04000u
#define F_S_ISGID  02000u
#define F_S_ISVTX  01000u
/* Of a mode asked for: it had group execution, whatever the umask left of that. (A set-gid bit
 * that goes with it is not given to those outside the group.) */
#define F_S_ASKED_IXGRP 0200000u

_Static_assert(sizeof(struct file_attr) == 88, "struct file_attr");

#endif
