/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bdev: disks and partitions as files. A client of the block drivers
 * (lib/blockcli), so that an open /dev/vda outlives the driver behind it.
 *
 *   main.c    what arrives
 *   disks.c   drivers, the list of their disks and partitions, its watchers
 *   node.c    open devices: sessions with the driver, file objects
 *   route.c   reads and writes that go to the driver without us
 *   op.c      operations under way: read, write, flush, discard, zeroes
 *   pool.c    the memory that data passes through
 *   ioctl.c   BLK* and our own
 *   text.c    /proc/partitions, /proc/xinim/block
 *
 * Whole blocks go straight between a program and the driver, as long as that lives;
 * what it does not do, or has not done when it dies, comes here (proto/block.h).
 * Nothing is cached: a write is with the disk when it is answered, and durable
 * after fsync (or with O_DSYNC). What is not aligned to the disk's blocks is
 * read, changed and written; nothing else touches those blocks meanwhile.
 */
#ifndef SERVERS_BDEV_H
#define SERVERS_BDEV_H

#include "lib/blockcli/blockcli.h"
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "proto/bdev.h"
#include "proto/loop.h"

enum {
	DRIVERS_MAX = 16,
	NODES_MAX = 48,
	OPS_MAX = 512,
	CHUNK_BYTES = 16384,
	CHUNKS_MAX = 1024,
	TRANSFER_MAX = BLOCK_EXTENTS * CHUNK_BYTES, /* 1 MiB */
};

/* Calls of programs go to the driver; or not: while blocks are read to be written again. */
enum node_calls { CALLS_GO, CALLS_STOPPING, CALLS_STOPPED, CALLS_STARTING };

enum node_state { NODE_FREE, NODE_CLOSED, NODE_OPENING, NODE_OPEN };

struct node {                   /* a disk or a partition */
	enum node_state state;
	bool there;             /* its driver tells of it; else only kept until it is closed */
	bool read_only;
	char name[16];
	char disk[16];          /* the disk it is on: its own name, or another's */
	uint32_t driver;
	uint64_t offset_bytes, size_bytes, rdev;
	struct block_client *client;
	struct block_info info;
	uint32_t objects, ops;  /* open files; operations and requests of ours under way */
	enum node_calls calls;
	uint32_t partial;       /* writes under way, or waiting, that do not cover their blocks */
	struct block_request calls_request;
};
extern struct node nodes[NODES_MAX];

struct driver { x_handle_t port; char name[16]; uint64_t changes; uint32_t major; char text[4096]; };
extern struct driver drivers[DRIVERS_MAX];
extern uint32_t driver_count;

/* disks.c */
void disks_init(void);
void disks_watch(const struct x_in *in);        /* BDEV_WATCH */
bool disks_cancel(uint64_t call_id);

/* node.c */
struct node *node_by_rdev(uint64_t rdev);
struct node *node_of_object(uint64_t object);
void node_open(const struct x_in *in);          /* DEV_OPEN */
bool node_cancel(uint64_t call_id);
void node_closed(uint64_t object);
void node_settle(struct node *n);               /* nobody uses it any more: end the session */
bool node_may(const struct x_in *in, bool write); /* was the object opened for it? */
uint64_t node_size(const struct node *n);

/* route.c */
void route_object(struct node *n, uint64_t object);
void route_forget(uint64_t object);
void route_node(struct node *n);                /* all of its objects: a new session */
bool route_stopped(struct node *n);             /* else it will be: op_retry() comes */
void route_resume(struct node *n);              /* nobody needs it stopped any more */

/* pool.c: the pool is got at the first use. */
int pool_init(void);
x_handle_t pool_memory(void);
uint64_t pool_bytes(void);
uint8_t *pool_at(uint64_t offset);
/* Extents of `bytes`; their number, 0: not now. */
uint32_t pool_get(uint32_t bytes, struct block_extent extents[BLOCK_EXTENTS]);
void pool_put(const struct block_extent *extents, uint32_t count);

/* op.c */
extern uint64_t requests_ended;                 /* of ours at the drivers, ever */
enum op_kind { OP_READ, OP_WRITE, OP_FLUSH, OP_DISCARD, OP_ZEROES };
/* Answers the call now or when it is done. Range: of the node, in bytes. */
void op_start(struct node *n, const struct x_in *in, enum op_kind kind, uint64_t offset, uint64_t bytes);
void op_transfer(struct node *n, const struct x_in *in); /* FILE_READ, FILE_WRITE */
bool op_retry(void);                            /* those that wait for memory or for each other; true: there were some */

/* ioctl.c */
void ioctl_call(struct node *n, const struct x_in *in);
/* LOOP_*: takes what handle came with it. */
void ioctl_loop(struct node *n, const struct x_in *in);

/* text.c */
void text_answer(const struct x_in *in);        /* BDEV_TEXT */

#endif
