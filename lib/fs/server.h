/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A filesystem server: how a filesystem (fsys.h, backend.h) and its store
 * (store.h) meet vfs, open files and the kernel.
 *
 *   request.c   calls that are being served
 *   calls.c     calls of vfs (proto/fs.h)
 *   mount.c     ... those that concern the mount as a whole
 *   files.c     calls on open files (proto/file.h)
 *   allocate.c  fallocate(2)
 *   content.c   files in memory
 *   blocks.c    ... with blocks of several pages
 */
#ifndef LIB_FS_SERVER_H
#define LIB_FS_SERVER_H

#include "lib/fs/backend.h"
#include "lib/fs/store.h"
#include "lib/ipc/server.h"
#include "proto/fs.h"

#include <string.h>

/* Sizes of tables, in machines with TABLES_FULL_MIB of memory; in smaller ones less. */
enum {
	TABLES_FULL_MIB = 256,
	REQUESTS_MAX = 1024,
	FILES_MAX = 4096,
	GROUPS_MAX = 64,                /* of a caller; more are not looked at */
	FILE_GROUPS_MAX = 16,           /* kept with an open file */
};

/* ---- defined by the filesystem's main.c ------------------------------------ */

extern struct fsys *const volume;
/* Something changed that a waiting request may have waited for. */
void server_progress(void);
uint64_t server_time_ns(void);          /* since 1970 */

/* ---- request.c --------------------------------------------------------------- */

/*
 * A call being served. Its handler runs again from the start until it says
 * neither -X_EWAIT nor -X_EAGAIN; what it must remember meanwhile is here.
 */
struct request {
	struct request *prev, *next;    /* in order of arrival */
	bool used;
	struct x_in in;
	/* progress */
	bool started, written;
	uint32_t ino;                   /* reads, writes: the file */
	uint64_t offset;                /* where the transfer began; fallocate: how far it came */
	uint64_t old_bytes;             /* fallocate: the size before */
	uint8_t stage;                  /* fallocate */
	uint32_t done_bytes;
	uint64_t failures;              /* content_failures when it came */
	struct store_sync sync;
	/* the answer */
	struct x_msg reply;
	x_handle_t handle;              /* or X_NO_HANDLE; moved to the caller */
	bool set_cursor;
	uint64_t cursor;
};

typedef int64_t (*request_fn)(struct request *r);

/* A call has come: it is run, or waits for its turn. */
void request_take(const struct x_in *in);
/* The caller has lost patience: what waits is answered. */
void request_cancel(uint64_t call_id);
/* Runs what waits, oldest first. True if something wants a new iteration. */
bool request_run_all(void);
/* The memory of the machine, or what the manifest grants if that is less. */
uint64_t server_memory_bytes(void);
/* A table for the life of the server, as large as that allows. */
void *server_table(uint32_t most, size_t item_bytes, uint32_t *count);
/* Is a writer of the file ahead of this one? It would be torn apart. */
bool request_writer_ahead(const struct request *r);

/* ---- calls.c, mount.c --------------------------------------------------------- */

/* What a request is answered with, -X_EWAIT: run it again later. fs_request: vfs's calls on the
 * mount; mount_request: FS_MOUNT and the like; mount_statfs: the figures of the filesystem. */
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

/* ---- files.c -------------------------------------------------------------------- */

/* The same for calls on open files (proto/file.h). */
int64_t file_request(struct request *r);
/* Opens: a handle, or an error. */
int64_t file_open(uint32_t ino, bool is_dir, uint32_t open_flags, uint32_t opened_by, const struct fsys_caller *who);
/* FS_OPENED: a[4] is RUN. */
uint32_t file_opened_by(uint32_t id, uint32_t run);
void file_closure(uint64_t object, uint64_t mints);
uint32_t file_open_count(void);
bool file_any_writable(void);
void file_forget_all(void);
void file_fill_attr(const struct fsys_attr *attr, struct file_attr *out);
/* Changes the size of a file and its content. */
int file_truncate(const struct fsys_caller *who, uint32_t ino, uint64_t size_bytes,
		  bool check);

/* ---- blocks.c --------------------------------------------------------------------- */

/* Before room is given to [from, end): 0, -X_EWAIT, or an error of the filesystem. */
int blocks_hold(struct content *c, uint64_t from, uint64_t end);
/* The file, of OLD_BYTES before, and its content have grown, what is new from FROM on will be
 * written. An error: they have not grown. */
int blocks_grow(struct content *c, const struct fsys_caller *who, uint64_t old_bytes, uint64_t from);
/* Would a file of that size end inside a block or a page? */
bool blocks_end_inside(uint64_t bytes);

/* ---- allocate.c ------------------------------------------------------------------- */

/* FILE_ALLOCATE on r->ino. */
int64_t allocate_run(struct request *r, const struct fsys_caller *who);

#endif
