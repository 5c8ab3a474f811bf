/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What servers of files (proto/file.h) have in common.
 */
#ifndef LIB_IPC_FILE_H
#define LIB_IPC_FILE_H

#include <stdbool.h>

#include "proto/file.h"

/* The answer to an operation that the object at hand, no directory and without
 * a size, has no use for. */
static inline int64_t file_default(uint32_t op)
{
	switch (op) {
	case FILE_READDIR: case FILE_IDENT: return -X_ENOTDIR;
	case FILE_SIZE: return -X_ESPIPE;
	case FILE_MMAP: return -X_ENODEV;
	case FILE_SETATTR: return -X_EPERM;
	case FILE_IOCTL: return -X_ENOTTY;
	case FILE_READ: case FILE_WRITE: case FILE_SYNC: case FILE_TRUNCATE: return -X_EINVAL;
	default: return -X_ENOSYS;
	}
}

/* Was it opened for that? Not if its access mode is 3: that is for ioctl only. */
static inline bool file_may_read(uint64_t open_flags)
{
	return (open_flags & F_O_ACCMODE) == F_O_RDONLY || (open_flags & F_O_ACCMODE) == F_O_RDWR;
}

/* Likewise. */
static inline bool file_may_write(uint64_t open_flags)
{
	return (open_flags & F_O_ACCMODE) == F_O_WRONLY || (open_flags & F_O_ACCMODE) == F_O_RDWR;
}

/* The open flags that an open file keeps. */
static inline uint32_t file_status_flags(uint32_t flags)
{
	return flags & ~(F_O_CREAT | F_O_EXCL | F_O_TRUNC | F_O_CLOEXEC | F_O_NOCTTY);
}

#endif
