/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where a filesystem keeps what it holds: the part of a filesystem server that
 * lib/fs calls. One is linked with each. 0 or a negative error; -X_EWAIT: call
 * again when something has moved (server_progress), -X_EAGAIN: in a new
 * iteration.
 */
#ifndef LIB_FS_STORE_H
#define LIB_FS_STORE_H

#include "lib/fs/content.h"

/* Where a sync stands; begins zeroed, belongs to the store. */
struct store_sync { uint64_t words[12]; };

/* What is to be mounted (a device's path) and its options, texts of mount(2), before
 * the first store_mount(). -X_EINVAL: options. */
int store_choose(const char *source, const char *options);
int store_mount(bool read_only, struct store_sync *sync);
/* Back from read-only. -X_EROFS: the device, or what is on it, does not allow it. */
int store_make_writable(void);
void store_set_no_atime(bool no_atime);
int store_unmount(struct store_sync *sync);
/* All that was changed before the first call is stable. INO: of this file, and
 * all metadata; 0: everything. */
int store_sync(struct store_sync *sync, uint32_t ino);
/* Have writers run too far ahead of the device? Then it is told to hurry. */
bool store_writers_wait(void);
/* Missing pages of [offset, offset + bytes) come, or are being fetched: 0.
 * -X_EWAIT: nothing was done. Those that can't be had are failed. */
int store_fetch(struct content *c, uint64_t offset, uint64_t bytes);
/* Pages of [offset, offset + bytes) have their room from now on, and read as they did. -X_EWAIT,
 * -X_ENOSPC; -X_EOPNOTSUPP: behind the end of the file there can't be any. */
int store_reserve(struct content *c, uint64_t offset, uint64_t bytes);
/* Of metadata, ever: how often it was in memory, how often it was read. */
void store_cache_counts(uint64_t *hits, uint64_t *misses);
/* A content that nobody uses is to be dropped, but has dirty pages. True: they are
 * kept elsewhere now. */
bool store_evict(struct content *c);

#endif
