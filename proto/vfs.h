/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol of vfs.
 *
 * VFS_* calls come from Linux processes on their session object (slot
 * X_SLOT_VFS). Paths are windows without NUL. A call that is relative to a
 * directory descriptor (*at) carries a duplicate of that descriptor as
 * handle[0]; without a handle it is relative to the working directory.
 * Credentials, working directory, root and umask are the session's.
 *
 * VFSCTL_* calls come from pm on the port itself.
 */
#ifndef PROTO_VFS_H
#define PROTO_VFS_H

#include "proto/file.h"

enum vfs_op {
	VFS_OPEN = 0x300, /* win0 path; a[0] F_O_* flags, a[1] mode, a[2] RESOLVE_* -> handle[0] (the object's status
	                     flags are set to flags & ~(CREAT|EXCL|TRUNC|CLOEXEC|NOCTTY)) */
	VFS_STAT,         /* win0 path (may be empty with a handle: that descriptor),
	                     a[0] 1 = don't follow; win1 (write): struct file_attr */
	VFS_ACCESS,       /* win0, a[0] mode bits, a[1] 1 = effective ids */
	VFS_READLINK,     /* win0, win1 (write) -> length */
	VFS_CHDIR,        /* win0; or only handle[0] (fchdir) */
	VFS_CHROOT,       /* win0 */
	VFS_GETCWD,       /* win0 (write): path without NUL -> its length; -X_ERANGE */
	VFS_UMASK,        /* a[0] new, or ~0 to ask -> a[0] old */
	VFS_MKDIR,        /* win0, a[0] mode */
	VFS_MKNOD,        /* win0, a[0] mode, a[1] rdev */
	VFS_UNLINK,       /* win0, a[0] 1 = rmdir */
	VFS_SYMLINK,      /* win0 link path, win1 (read) target */
	VFS_LINK,         /* win0 old, win1 (read) new; handle[0]/[1] dirs if a[1] bit 0 / bit 1;
	                     a[0] 1 = follow old */
	VFS_RENAME,       /* win0 old, win1 (read) new; handles as LINK; a[0] RENAME_* flags */
	VFS_SETATTR,      /* win0 path (empty with a handle: that descriptor), win1 (read) struct fs_setattr, a[0] 1 = don't follow */
	VFS_XATTR,        /* win0 path (empty with a handle: that descriptor), win1 (read and write) and a[1] as
	                     FS_XATTR's win1 and a[3] (proto/fs.h), a[0] 1 = don't follow -> status */
	VFS_STATFS,       /* win0, win1 (write) struct file_statfs */
	VFS_PIPE,         /* a[0] F_O_NONBLOCK|F_O_CLOEXEC -> handle[0] read end, [1] write end */
	VFS_SYNC,           /* a[0] 0: all; else id of the memory object of the one file meant, wherever it is */
	VFS_MOUNT,        /* win0 source, win1 target, win2 type, win3 options, a[0] MS_* flags */
	VFS_UMOUNT,       /* win0 target, a[0] flags */
	VFS_FLOCK,        /* handle[0], a[0] LOCK_* as flock(2) has them; may wait; -X_EAGAIN, -X_ENOLCK */
	VFS_LOCK,         /* record lock: handle[0], a[0] VFS_LOCK_*, a[1] type as fcntl(2) numbers them
	                     (read 0, write 1, unlock 2), a[2] first and a[3] last byte (INT64_MAX: all
	                     behind), a[4] caller's pid as it is to be shown. GET -> a[0] type of a lock
	                     in the way (2: none), a[1] first, a[2] last byte, a[3] pid.
	                     -X_EAGAIN, -X_EDEADLK, -X_ENOLCK, -X_EBADF not open for that */
	VFS_LOCK_CLOSED,  /* the caller closes a descriptor of the file behind handle[0]: its record
	                     locks there end; without a handle: it closed one that flock was used on */
	VFS_SOCKET,       /* a[0] family | type << 32, a[1] protocol | SOCK_F_* << 32 (proto/socket.h):
	                     passed on to the family's server -> handle[0] */
	VFS_SOCKETPAIR,   /* the same -> handle[0], [1]; -X_EOPNOTSUPP unless UNIX sockets */

	VFSCTL_SESSION = 0x380, /* a[0] koid of the process, a[1] session id to copy (0: the first:
	                     root at /, uid 0), a[2] its pid -> a[0] new session id, handle[0] session */
	VFSCTL_CREDS,     /* a[0] session, a[1] fsuid | fsgid<<32, a[2] ruid | rgid<<32, win0 (read): groups u32[] */
	VFSCTL_EXEC,      /* a[0] session, win0 path, win1 (write): struct file_attr; checks X_OK and
	                     that it is a regular file -> handle[0]: file object open for reading.
	                     With handle[0] and an empty path: the same about that open file; no
	                     handle if it has no name */
	VFSCTL_MOUNTS,    /* a[0] VFS_MOUNTS_*, win0 (write): text of /proc/mounts, mountinfo, net/unix -> length */
	VFSCTL_READY,     /* answered when the root filesystem is mounted (or failed: error) */
	VFSCTL_NAME_OF,   /* handle[0] an open file, win0 (write): its path, or what it is, as
	                     /proc/N/fd shows it, without NUL -> its length */
	VFSCTL_MAPPED,    /* as FS_MAPPED (proto/fs.h), of all filesystems; paths from "/" */
	VFSCTL_CWD,       /* a[0] session, win0 (write): path of the working directory without NUL -> its length */
};

/* VFS_OPEN, a[2]: what the walk may not do, as openat2(2) numbers it. -X_EXDEV, -X_ELOOP. With BENEATH
 * and IN_ROOT the directory the walk begins in is its root; with IN_ROOT of absolute paths, too. */
#define RESOLVE_NO_XDEV       1u
#define RESOLVE_NO_MAGICLINKS 2u
#define RESOLVE_NO_SYMLINKS   4u
#define RESOLVE_BENEATH       8u
#define RESOLVE_IN_ROOT       16u

#define VFS_MOUNTS_TABLE 0u
#define VFS_MOUNTS_INFO  1u
#define VFS_MOUNTS_UNIX  2u
#define VFS_MOUNTS_CACHE 3u /* /proc/xinim/cache: what FS_STATFS says of caches, a line for each filesystem */

/* VFS_LOCK, a[0] */
#define VFS_LOCK_OP   3u
#define VFS_LOCK_GET  0u
#define VFS_LOCK_TRY  1u
#define VFS_LOCK_WAIT 2u
#define VFS_LOCK_OFD  4u /* the lock is the open file's, not the process's */

#endif
