/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop: disks over files. To its clients (lib/blockcli: filesystems, and bdev for /dev/loop0) it is
 * a block driver; but it restarts warm, for nobody else has the files, and its requests become calls
 * on these that outlive it.
 *
 *   main.c     what arrives; the list of disks, and who watches it
 *   disk.c     disks: what they lie on
 *   control.c  ioctl(2)
 *   session.c  sessions: rings, pools
 *   op.c       requests under way: calls on the file, its bytes straight from and to the client's pool
 *
 * A disk is FREE (of no bytes: it can be opened, to be bound), BINDING (its file is asked what
 * it is), BOUND. Bytes are where the file is: a write is as durable as one to it, a flush is
 * its fsync. Discarded bytes become a hole of it.
 */
#ifndef SERVERS_LOOP_H
#define SERVERS_LOOP_H

#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "lib/ring/ring.h"
#include "proto/block.h"
#include "proto/loop.h"

enum { SESSIONS_MAX = 24, OPS_MAX = 64, SECTOR = 512, REQUEST_BYTES_MAX = 1 << 20, DISCARD_BYTES_MAX = 1 << 30 };

enum disk_state { DISK_FREE, DISK_BINDING, DISK_BOUND };

struct disk {
	enum disk_state state;
	x_handle_t file;                /* BINDING, BOUND */
	bool read_only, autoclear, can_punch;
	uint32_t block_bytes;
	uint64_t offset, size_limit;    /* of what is used of the file */
	uint64_t bytes;                 /* of the disk; 0 if not BOUND */
	char file_name[64];
	struct file_attr attr;          /* of the file, when it was bound */
	uint64_t bind_call;             /* the ioctl that waits for what the file says; 0: none */
	/* BINDING */
	struct loop_config config;
	uint64_t file_bytes;
};
extern struct disk disks[LOOP_DISKS];

struct session {
	uint64_t object;                /* id of the session object; 0: free */
	struct disk *disk;
	bool dead;                      /* closed or broken: its requests end, unanswered */
	bool waiting;                   /* requests may be left in the ring */
	uint32_t generation, in_flight;
	x_handle_t completion_event, doorbell;
	uint8_t *ring_memory, *pool;
	uint64_t pool_bytes;
	struct ring requests, completions;
	uint64_t in_use[BLOCK_RING_SLOTS / 64];
};

/* main.c */
void list_changed(void);

/* disk.c */
void disk_bind(struct disk *d, uint64_t call_id, x_handle_t file, const struct loop_config *config);
void disk_unbind(struct disk *d);
void disk_settle(struct disk *d);       /* nobody uses it any more: unbound, if it is to be */
/* What the file has is looked at again: the call is answered when it is done. */
void disk_measure(struct disk *d, uint64_t call_id);
void disk_resized(struct disk *d);      /* offset or limit are others */
void disk_configure(struct disk *d, const struct loop_info64 *info); /* info is good */
static inline uint32_t disk_number(const struct disk *d) { return (uint32_t)(d - disks); }

/* control.c */
void control_disk(const struct x_in *in);       /* LOOP_IOCTL */
void control_call(const struct x_in *in);       /* FILE_IOCTL of /dev/loop-control */

/* session.c */
void session_open(const struct x_in *in, struct disk *d);
void session_closed(uint64_t object);
uint32_t session_count(const struct disk *d);
void session_limits(const struct disk *d);      /* tells them of another size */
void session_consume_all(void);
void session_publish_all(void);
void session_complete(struct session *s, uint32_t id, int status);
/* The place in memory of a run of the pool, or NULL. */
uint8_t *session_data(const struct session *s, uint64_t offset, uint64_t bytes);

/* op.c */
bool op_room(void);
/* A request that was found good; its end is told by session_complete(). */
void op_start(struct session *s, const struct block_ring_request *request);

#endif
