/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The bytes of files in memory. A regular file that is read, written or mapped
 * gets a content: a paged memory object, whose pages the kernel keeps, and
 * which serves reads, writes, mappings and the running of programs alike. Open
 * files get it as their stream, so that what is in memory costs no call.
 *
 * The filesystem's store (store.h) brings pages that are missing, and keeps
 * those that were written. A content's size is that of its file, always.
 */
#ifndef LIB_FS_CONTENT_H
#define LIB_FS_CONTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <xinim/abi.h>

struct content {
	uint32_t ino;                   /* 0: free */
	uint32_t generation;            /* how often the slot was used */
	x_handle_t memory;
	uint64_t koid;                  /* of it, once content_by_koid() was asked; else 0 */
	uint64_t bytes;                 /* the file's size */
	uint32_t version;               /* advanced when something is cut off */
	uint32_t busy;                  /* what the store has under way or not yet stable */
	bool lent_writable;             /* to somebody, once */
	bool held;                      /* mapped once: the inode is held until it isn't */
	bool dead;                      /* its mount is gone; somebody still maps it */
	bool spared;                    /* used since the search for a free slot came by */
	uint64_t cut_epoch;             /* the iteration at whose commit something of it is cut off */
	/* reading ahead */
	uint64_t ahead_end;             /* bytes asked for up to here */
	uint32_t ahead_bytes;           /* how much at once */
	/* what could not be had last: for those who waited for it */
	uint64_t failed_offset, failed_bytes;
	uint64_t failed_serial;         /* 0: nothing */
	int failed_status;
	uint64_t sweep;                 /* the store's: where writing back goes on */
	struct content *hash_next;
};

enum { CONTENTS_MAX = 2048 };
#define CONTENT_PAGE ((uint64_t)X_PAGE_SIZE)

/* How many there are. */
uint32_t content_count(void);
/* That of an inode, of a place in the table, of a pager's object; NULL: there is none. */
struct content *content_find(uint32_t ino);
struct content *content_at(uint32_t index);     /* of CONTENTS_MAX; NULL: free */
uint64_t content_id(const struct content *c);
struct content *content_by_id(uint64_t id);
/* That whose memory object it is. */
struct content *content_by_koid(uint64_t koid);
/* That of a regular file, made if need be. -X_EWAIT, -X_ENFILE, -X_ENOMEM; -X_EAGAIN: something is
 * cut off at the end of this iteration. */
int content_get(uint32_t ino, struct content **out);
/* A handle to map it by, for the caller. */
int64_t content_lend(struct content *c, bool writable, bool executable);
/* The open file `object` reads and, if it may, writes by itself from now on. */
void content_attach(struct content *c, uint64_t object, bool readable, bool writable);
void content_resize(struct content *c, uint64_t bytes);
/* [offset, offset + bytes) reads as zeros: _punch, it has lost its room; _zero, it is held. */
void content_punch(struct content *c, uint64_t offset, uint64_t bytes);
void content_zero(struct content *c, uint64_t offset, uint64_t bytes);
/* After a rollback: what the kernel was told of in the iteration that is undone. */
void content_rolled_back(void);
/* Pages of [offset, offset + bytes) are in memory and stay there: 0, or -X_EWAIT. */
int content_hold(struct content *c, uint64_t offset, uint64_t bytes);
/* Pages around offset are wanted; reads ahead if the reader goes on. */
int content_fetch(struct content *c, uint64_t offset, uint64_t bytes);
/*
 * The store could not bring these: who waits for them gets STATUS, and who comes later
 * makes it try again. What came before the request at hand is no answer to it: it
 * notes content_failures when it comes, and says so in content_patience when it runs.
 */
void content_failed(struct content *c, uint64_t offset, uint64_t bytes, int status);
extern uint64_t content_failures;       /* ever */
extern uint64_t content_patience;
/* The kernel knows of reads and writes that the inode doesn't yet. */
void content_note_times(uint32_t ino);
/* Writes clear set-id bits: streams ask if there are some. */
void content_mode(uint32_t ino, uint32_t mode);
/* Is the unlinked file still mapped? If not, its content is forgotten. */
bool content_keep_unlinked(uint32_t ino);
/* Does anybody map a file, or have one as its stream? */
bool content_any_shared(void);
/* Does anybody map a file who may write to it? */
bool content_any_writable(void);
/* The mount ends: who still maps something gets no page any more. */
void content_forget_all(void);
/* From time to time: lets go of inodes that nobody maps any more. */
void content_tidy(void);

/* X_IN_PAGE, and what of that must wait. True: a new iteration will help one. */
void content_page_missing(const struct x_in *in);
bool content_run_all(void);

#endif
