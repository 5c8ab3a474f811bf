/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the filesystem server share. The filesystem itself is the
 * core (minix.h); this is how it meets vfs, open files and the disk.
 *
 *   main.c            start, the event loop's hooks, the clock
 *   server_disk.c     the cache's blocks to and from the block driver
 *   server_request.c  calls that are being served
 *   server_fs.c       calls of vfs (proto/fs.h)
 *   server_mount.c    ... those that concern the mount as a whole
 *   server_file.c     calls on open files (proto/file.h)
 *   server_page.c     files as memory objects
 */
#ifndef FS_MINIX_SERVER_H
#define FS_MINIX_SERVER_H

#include "fs/minix/minix.h"
#include "lib/ipc/server.h"
#include "proto/fs.h"

#include <string.h>

enum {
	REQUESTS_MAX = 1024,
	FILES_MAX = 4096,
	INODE_SLOTS = 6144,
	GROUPS_MAX = 64,                /* of a caller; more are not looked at */
	FILE_GROUPS_MAX = 16,           /* kept with an open file */
};

/* ---- main.c --------------------------------------------------------------- */

extern struct minix_fs fs;
/* Something changed that a waiting request may have waited for. */
void server_progress(void);
uint32_t server_time_sec(void);

/* ---- server_disk.c --------------------------------------------------------- */

enum disk_state { DISK_OPENING, DISK_MOUNTING, DISK_READY, DISK_FAILED };
extern enum disk_state disk_state;
extern struct minix_setup disk_setup;   /* for minix_init() */
void disk_open(void);
/* Goes on mounting. */
void disk_step(void);
/* Gives the driver what was gathered. */
void disk_batch_end(void);

/* ---- server_request.c ------------------------------------------------------- */

/*
 * A call being served. Its handler runs again from the start until it says
 * neither -X_EWAIT nor -X_EAGAIN; what it must remember meanwhile is here.
 */
struct request {
	struct request *prev, *next;    /* in order of arrival */
	bool used;
	struct x_in in;
	/* progress */
	bool started;
	uint32_t ino;                   /* reads, writes: the file */
	uint64_t offset;                /* where the transfer began */
	uint32_t done_bytes;
	struct cache_sync sync;
	/* the answer */
	struct x_msg reply;
	x_handle_t handle;              /* or X_NO_HANDLE; moved to the caller */
	bool set_cursor;
	uint64_t cursor;
};

typedef int64_t (*request_fn)(struct request *r);

void request_take(const struct x_in *in);
/* The caller has lost patience: what waits is answered. */
void request_cancel(uint64_t call_id);
/* Runs what waits, oldest first. True if something wants a new iteration. */
bool request_run_all(void);
/* Is a writer of the file ahead of this one? It would be torn apart. */
bool request_writer_ahead(const struct request *r);

/* ---- server_fs.c, server_mount.c --------------------------------------------- */

int64_t fs_request(struct request *r);
int64_t mount_request(struct request *r);
extern bool mounted;
extern uint64_t mount_id;
void mount_statfs(struct file_statfs *out);
/* One hold of vfs more. */
int mount_hold(uint32_t ino);
/* Begins to end the server: all is written, then it exits. */
void mount_stop(void);
/* Goes on with that; false if it isn't wanted. */
bool mount_stopping(void);

/* ---- server_file.c ------------------------------------------------------------ */

int64_t file_request(struct request *r);
/* Opens: a handle, or an error. */
int64_t file_open(uint32_t ino, uint32_t open_flags, const struct minix_caller *who);
void file_closure(uint64_t object, uint64_t mints);
uint32_t file_open_count(void);
void file_forget_all(void);
void file_fill_attr(const struct minix_attr *attr, struct file_attr *out);

/* ---- server_page.c -------------------------------------------------------------- */

/* A handle to the pages of a regular file, for the caller to map. */
int64_t page_object(uint32_t ino, uint64_t size_bytes);
void page_missing(const struct x_in *in);
bool page_run_all(void);
/* The file's bytes changed: who maps it from now on gets new pages. */
void page_file_changed(uint32_t ino);
/* Gives back what nobody maps. HARD: even if it might soon be mapped again. */
void page_tidy(bool hard);

#endif
