/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest server over the MINIX core: requests, open files, paged objects.
 *
 * A request keeps its arguments and how far it came. Its step function runs
 * one operation of the core after the other; when one says -X_EWAIT (a block
 * is on its way) or -X_EAGAIN (a new iteration is needed), the request stays
 * and the step function is run again later, going on where it was.
 */
#ifndef FS_MINIX_SERVER_H
#define FS_MINIX_SERVER_H

#include "fs/minix/minix.h"
#include "lib/ipc/server.h"
#include "proto/fs.h"

#define REQUESTS_MAX 192u
#define OPEN_FILES_MAX 2048u
#define GROUPS_MAX 32u

struct open_file {
	uint64_t object;            /* object id; 0: free */
	uint32_t ino, flags;        /* F_O_* */
	uint32_t uid, gid;          /* of the opener: decides fchmod and the like */
	bool directory;
};

struct request {
	/* 0, a positive status or an error ends the request with that answer,
	 * unless the step answered itself (answered). */
	int64_t (*step)(struct request *r);
	struct x_in in;
	bool answered;
	uint32_t groups[GROUPS_MAX];
	struct minix_caller who;
	char path[FS_PATH_MAX];
	uint32_t path_bytes;
	char text[FS_NAME_MAX * 4 + 4]; /* a link's text, or a second name */
	uint32_t text_bytes;
	/* how far it came */
	uint32_t progress;          /* by operation */
	uint32_t ino;
	uint64_t offset, done;
	struct cache_sync sync;
	struct x_msg reply;         /* a[] of the answer */
};

extern struct minix_fs *volume;
extern bool volume_mounted;     /* vfs has mounted it, in this incarnation */
extern uint64_t mount_id;

/* main.c */
bool volume_pending(void);      /* still opening or mounting */

/* server_request.c */
struct request *request_new(const struct x_in *in, int64_t (*step)(struct request *r));
void request_start(struct request *r);      /* first run */
void request_run_waiting(void);             /* all that wait, once each */
void request_cancel(uint64_t call_id);
void request_again(void);                   /* make sure that another iteration follows soon */
void who_is(struct request *r, uint64_t ids, uint64_t group_count);
uint32_t now_sec(void);

/* server_fs.c: proto/fs.h */
void fs_call(const struct x_in *in);
void fill_attr(const struct minix_attr *from, struct file_attr *to);
void fill_statfs(struct file_statfs *to);

/* server_file.c: proto/file.h */
void file_call(const struct x_in *in);
void file_closed(uint64_t object);
void files_forget_all(void);
struct open_file *file_find(uint64_t object);
/* A new open file; the object handle, or an error. The inode is held by it. */
int64_t file_open(uint32_t ino, uint32_t flags, const struct minix_caller *who, bool directory);

/* server_pages.c: files as memory objects */
int64_t pages_object(uint32_t ino, uint64_t size_bytes); /* a handle to give away */
void pages_changed(uint32_t ino);           /* the file was written: later mappings see it */
void pages_wanted(const struct x_in *in);   /* X_IN_PAGE */

#endif
