/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MINIX filesystem core on a host: a disk that is a file, or part of one,
 * and the loop that runs an operation until it needn't wait any more.
 *
 * For tests the disk can be slow (transfers end one at a time, in random
 * order, when host_pump() says so), forgetful (resident blocks look absent)
 * and broken (transfers fail).
 */
#ifndef TOOLS_MINIXFS_HOST_H
#define TOOLS_MINIXFS_HOST_H

#include <stdint.h>

#include "fs/minix/minix.h"

enum { HOST_QUEUE_MAX = 64 };

struct host_options {
	uint64_t offset_bytes;          /* of the filesystem in the file */
	bool read_only;
	uint32_t meta_frames_bytes;     /* 0: a default */
	uint32_t inode_slots;
	/* for tests */
	bool slow;
	uint32_t queue_max;             /* transfers at once; 0: HOST_QUEUE_MAX */
	uint32_t miss_one_in;           /* 0: never */
	uint32_t fail_one_in;
	uint64_t seed;
};

struct host_transfer {
	enum { HOST_READ, HOST_WRITE, HOST_FLUSH } what;
	struct cache_buf *first;
	uint64_t sum;                   /* of a slow write's data, at its start */
};

struct host_disk {
	int fd;
	uint64_t offset_bytes;
	struct host_options options;
	uint64_t random;
	struct host_transfer queue[HOST_QUEUE_MAX];
	uint32_t queue_count;
	uint64_t waits;
	uint64_t torn_writes;           /* data changed while it was written */
	struct fsys fs;
	struct minix_index indexes[2];
	void *memory[6];
};

/* 0 or a negative error; *reason then says more, or is NULL. */
int host_open(const char *path, const struct host_options *options,
	      struct host_disk **out, const char **reason);
/* Unmounts and frees. 0 or a negative error of the last write. */
int host_close(struct host_disk *disk);
/* Frees without unmounting: the power went. */
void host_abandon(struct host_disk *disk);

/* Ends one transfer of a slow disk; false if there is none. */
bool host_pump(struct host_disk *disk);
/* True if STATUS means "again"; then what was missing has been done. */
bool host_again(struct host_disk *disk, int64_t status);
uint32_t host_random(struct host_disk *disk, uint32_t below);

/* The bytes of files: straight to and from the disk. As write(2) and read(2) would. */
int64_t host_read(struct host_disk *disk, uint32_t ino, uint64_t offset, void *out,
		  size_t length);
int64_t host_write(struct host_disk *disk, const struct fsys_caller *who, uint32_t ino,
		   uint64_t offset, const void *data, size_t length);
int64_t host_truncate(struct host_disk *disk, const struct fsys_caller *who, uint32_t ino,
		      uint64_t size_bytes, bool check);

/* Runs an operation to its end and gives its status. */
#define HOST_RUN(disk, call)                                                   \
	({                                                                     \
		int64_t host_status_;                                          \
		do                                                             \
			host_status_ = (call);                                 \
		while (host_again(disk, host_status_));                        \
		host_status_;                                                  \
	})

#endif
