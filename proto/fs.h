/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol between vfs and a filesystem (minix, the proc tree of pm): calls on
 * the filesystem's port itself (object 0), which only vfs holds.
 *
 * Every operation that takes a path walks it inside this filesystem from a
 * start inode, checking permissions with the given credentials. All have:
 *   a[0] start inode
 *   a[1] FS_* flags (low 32) | mode (high 32)
 *   a[2] uid | gid << 32
 *   a[3], a[4] by operation;  a[6] number of supplementary groups in win2 (u32 each)
 *   a[5] koid of the process on whose behalf (0: vfs itself); for /proc/self
 *   win0 (read): path, without NUL; empty = the start inode itself
 *   win1 (write or read): by operation; on -X_ESYMLINK it receives the link's
 *         text (if it is a write window; else the caller asks FS_READLINK)
 * When the walk cannot end here:
 *   -X_ESYMLINK: a[0] directory that holds the link, a[1] path bytes consumed
 *         (through the link's name and following slashes), a[2] length of the
 *         link's text, which is in win1
 *         With handle[0] (/proc/N/fd) the link leads to that open file itself
 *   -X_ECROSS: a[0] inode, a[1] path bytes consumed, a[2] 1 = ".." out of the
 *         root (".." is consumed), 0 = down into the mount point a[0]
 * A symbolic link as the last component is followed (reported) unless
 * FS_NOFOLLOW. Inodes returned "held" stay valid until FS_RELEASE.
 *
 * An incarnation that was not mounted yet answers everything but FS_MOUNT with
 * -X_ESTALE_HANDLE, having done nothing: vfs then mounts it again, holds what
 * it held, marks the mount points, and repeats the call. So inode numbers must
 * outlive an incarnation. FS_MOUNT of what is mounted already is a new vfs:
 * all holds and marks are dropped and the root is given as before.
 */
#ifndef PROTO_FS_H
#define PROTO_FS_H

#include "proto/file.h"

enum fs_op {
	FS_MOUNT = 0x200, /* a[0] mount id, a[1] FS_RDONLY, FS_NOATIME; win0 (read): what is to be mounted
	                     and its options as in mount(2), each ended by NUL (may be absent: then the
	                     filesystem knows); win1 (write): struct file_statfs
	                     -> a[0] root inode (held), a[1] 1 if the fs is read-only.
	                     -X_EINVAL bad options, or no such filesystem on the device */
	FS_UNMOUNT,       /* -> -X_EBUSY while inodes are held or files open (a[1] bit 0: force) */
	FS_LOOKUP,        /* -> a[0] inode (held if FS_HOLD), a[1] mode; win1: struct file_attr
	                     on success (write window, may be absent) */
	FS_PARENT,        /* walk all but the last component -> a[0] directory inode (held),
	                     a[1] offset of the last component in path, a[2] its length */
	FS_OPEN,          /* a[3] open flags F_O_*, mode in a[1] high, a[4] number of the mount or bind by which it
	                     is reached, which the file's FILE_IDENT and FILE_STAT tell -> handle[0]: file object,
	                     a[0] inode, a[1] mode. Device nodes: -X_ENXIO and a[0], a[1], a[2] = rdev.
	                     FIFOs: -X_ENXIO likewise. O_CREAT, O_EXCL, O_TRUNC, O_DIRECTORY
	                     as open(2) has them, O_TMPFILE; F_O_RUN -X_ETXTBSY */
	FS_ACCESS,        /* a[3] R_OK 4 | W_OK 2 | X_OK 1 | FS_NOWRITE -> a[1] mode (0: no regular file) */
	FS_READLINK,      /* win1 (write): text -> status length */
	FS_MKDIR,         /* mode */
	FS_MKNOD,         /* mode with type, a[3] rdev */
	FS_SYMLINK,       /* win1 (read): target text */
	FS_UNLINK, FS_RMDIR,
	FS_LINK,          /* win0: name in directory a[0]; a[3] inode of the target (held by vfs) */
	FS_RENAME,        /* a[0] old directory, win0 old name; a[3] new directory, win1 (read) new name;
	                     a[4] 1 = the new name must not exist (-X_EEXIST), 2 = it must, and the two
	                     change places */
	FS_SETATTR,       /* a[3] ATTR_* mask | uid<<32; a[4] gid | size: see struct fs_setattr in win1 (read) */
	FS_STATFS,        /* win1 (write): struct file_statfs. -> of the caches, since the start: a[0] pages that were
	                     in memory, a[1] requests for such that were not; a[2] dirty pages and a[3] files with
	                     pages, now; a[4] blocks of metadata that were in memory, a[5] that were read */
	FS_RELEASE,       /* a[0] inode, a[1] count */
	FS_SYNC,          /* a[1] 0: all; else id (x_handle_info.koid) of the memory object of the one file meant */
	FS_PATH,          /* a[0] directory inode; win1 (write): its path from the root, "/a/b", "/"
	                     for the root -> status length. a[3] 1: of any inode that is open, by one of its
	                     names, or its last one and " (deleted)"; -X_ENOENT: that is not known */
	FS_REMOUNT,       /* win0 as FS_MOUNT (a device is not changed); a[1] FS_RDONLY, FS_NOATIME as they are to be -> a[1] 1 if it is read-only;
	                     -X_EBUSY: files are open for writing; -X_EROFS: it cannot be written */
	FS_XATTR,         /* a[3] enum fs_xattr_op | FS_XATTR_* flags as setxattr(2) has them << 8 | bytes of the
	                     value << 32; win1 (read and write): name, NUL, value to set, and then what was
	                     asked for -> status its bytes. As in xattr(7); -X_EOPNOTSUPP, -X_ENODATA */
	FS_MAPPED,        /* win0 (read): ids (x_handle_info.koid) of memory objects, u64 each, at most FS_MAPPED_MAX;
	                     win1 (write): struct fs_mapped for each: whose contents they are here */
	FS_MARK_MOUNT,    /* a[0] inode (held), a[1] 1/0: a mount point from now on */
	FS_OPENED,        /* a[3] number as in FS_OPEN; a[4] 1: what was opened by it may be mapped to be run from
	                     now on, 2: it may not, 0: as before -> a[0] how many files opened by it are open */
};

struct fs_setattr { /* FS_SETATTR, win1 */
	uint32_t mask, mode, uid, gid;
	uint64_t size, atime_ns, mtime_ns;
};

struct fs_mapped { /* FS_MAPPED, win1; all zero: none of ours */
	uint64_t ino;
	uint32_t dev;    /* st_dev */
	char path[116];  /* from the root of the filesystem, as FS_PATH with a[3]; "": not known, or longer */
};
#define FS_MAPPED_MAX 32u

enum fs_xattr_op { FS_XATTR_GET, FS_XATTR_SET, FS_XATTR_LIST, FS_XATTR_REMOVE, FS_XATTR_OP = 0xff };
#define FS_XATTR_VALUE_MAX 3800u /* name and value fit into one window, and all of an inode into one piece */

/* a[3] of FS_ACCESS: as if the filesystem could only be read */
#define FS_NOWRITE 8u

/* a[1] low 32 */
#define FS_NOFOLLOW 1u
#define FS_HOLD     2u
#define FS_RDONLY   4u
#define FS_NOATIME  8u

#define FS_NAME_MAX 255u
#define FS_PATH_MAX 4096u

#endif
