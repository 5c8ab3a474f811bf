/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Advisory locks on files of any filesystem: flock(2), record locks of
 * processes (POSIX) and of open files (OFD). lock.c keeps them, op_lock.c
 * takes the calls and knows when an owner is gone.
 */
#ifndef SERVERS_VFS_LOCK_H
#define SERVERS_VFS_LOCK_H

#include "servers/vfs/vfs.h"

enum { LOCKS_MAX = 4096, LOCKS_PER_OWNER = 1024, LOCK_WAITS_MAX = 256 };

/* As fcntl(2) numbers them. */
enum lock_type { LOCK_READ, LOCK_WRITE, LOCK_NONE };

/* The two kinds don't see each other. */
enum lock_class { LOCK_FLOCK = 1, LOCK_RECORD };

struct lock_file { uint64_t dev, ino; };

/* A session, whose locks end with it or with a close of the file, or an open
 * file (koid of its object), whose locks end with its last close. */
struct lock_owner { uint64_t id; bool object; };

struct lock {
	uint8_t class, type;    /* class 0: free */
	uint32_t pid;           /* as its process says; for F_GETLK */
	struct lock_file file;
	struct lock_owner owner;
	uint64_t start, end;    /* last byte, INT64_MAX: to the end of all */
	uint16_t next;          /* index + 1 */
};

/* What keeps `want` from being had, or NULL. */
const struct lock *lock_conflict(const struct lock *want);
/* Sets or (LOCK_NONE) takes away, cutting and joining the owner's others. There
 * must be no conflict. -X_ENOLCK: table full, nothing changed. */
int64_t lock_set(const struct lock *want);
/* All of an owner, of one file or (NULL) of every one. True: there were some. */
bool lock_drop(struct lock_owner owner, const struct lock_file *file);
bool lock_held(struct lock_owner owner);
/* The owner has all of it already, with this type. */
bool lock_has(const struct lock *want);

static inline bool lock_owner_equal(struct lock_owner a, struct lock_owner b)
{
	return a.id == b.id && a.object == b.object;
}

#endif
