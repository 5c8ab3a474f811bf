/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes, shared by pipe.c (all that is open), pipe_flow.c (what goes on without calls)
 * and fifo.c (opening by name).
 */
#ifndef SERVERS_VFS_PIPE_H
#define SERVERS_VFS_PIPE_H

#include "servers/vfs/vfs.h"

enum {
	PIPES_MAX = 1024,
	PIPE_OPENS_MAX = 4096,
	PIPE_BYTES = 65536,     /* as made; F_SETPIPE_SZ goes up to */
	PIPE_BYTES_MAX = 1 << 20,
	PIPE_ATOMIC = 4096,     /* PIPE_BUF */
};

enum { PIPE_READS = 1, PIPE_WRITES = 2 };
enum pipe_flow { PIPE_BY_CALL, PIPE_FLOWS, PIPE_STOPS }; /* who has what is in it: we; the kernel; still it */
enum { PIPE_NO_FLOW = UINT8_MAX };

struct pipe {
	bool used;
	uint64_t serial;        /* st_ino of one without a name */
	uint64_t account;
	struct place place;     /* held, of a FIFO; else inode 0 */
	struct ring ring;
	struct queue reading, writing; /* parked */
	struct queue later;     /* until the flow is stopped */
	uint64_t flow_id;       /* the object as whose the kernel knows the flow */
	uint64_t flow_epoch;    /* that it began in */
	uint8_t flow;           /* enum pipe_flow */
	uint8_t calls;          /* of READ and WRITE since it goes by calls; or PIPE_NO_FLOW */
	uint32_t readers, writers;     /* open objects that count as such */
	uint32_t reader_count, writer_count; /* ever opened: what an open waits to see change */
	uint16_t opens;         /* list: index + 1 */
	uint32_t uid, gid;
	uint64_t created_ns;
};

struct pipe_open {              /* an object */
	uint64_t id;            /* 0: free */
	struct pipe *pipe;
	uint8_t mode;
	bool met_writer;
	uint32_t ready;         /* as the kernel was told */
	uint16_t next;          /* index + 1, of the same pipe or of the free ones */
};

struct pipe *pipe_new(uint64_t account);        /* NULL: too many */
void pipe_unused(struct pipe *p);               /* free again, if nothing is open on it */
struct pipe *pipe_at(struct place place);       /* the FIFO that is open there, or NULL */
/* A handle, or an error; the pipe stays as it was then. */
int64_t pipe_open_object(struct pipe *p, uint32_t mode, uint32_t status_flags);
void pipe_tell(struct pipe *p, bool wrote);
void pipe_pump(struct pipe *p);                 /* who is parked goes on, if he can */
bool pipe_never_waits(const struct x_in *in);
struct pipe *pipe_of(uint64_t object);          /* or NULL */
/* The one object that is open on it in just that mode, if there is one of each and no other. */
uint64_t pipe_end(const struct pipe *p, uint32_t mode);
int64_t pipe_later(struct pipe *p, const struct parked *w); /* the status of a call in `later` */

/* ---- pipe_flow.c ---- */

/* For a READ or WRITE: false, it is ours to serve. True: it is answered or parked. */
bool pipe_by_kernel(struct pipe *p, const struct x_in *in, uint32_t bytes);
bool pipe_settle(struct pipe *p); /* true: it goes by calls, as it did, or from now on as the kernel has stopped */
bool pipe_leave(struct pipe *p);  /* the same; false: it will, and calls meanwhile are parked */

#endif
