/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The MINIX server's own part; lib/fs/server.h tells of the rest.
 *
 *   main.c    start, the event loop's hooks, the clock
 *   disk.c    the session with the block driver, and mounting
 *   store.c   the bytes of files: from the disk and back
 */
#ifndef FS_MINIX_SERVER_H
#define FS_MINIX_SERVER_H

#include "fs/minix/minix.h"
#include "lib/fs/server.h"

extern struct fsys fs;

/* ---- disk.c ---------------------------------------------------------------------- */

enum disk_state { DISK_IDLE, DISK_OPENING, DISK_MOUNTING, DISK_READY, DISK_FAILED };
extern enum disk_state disk_state;
extern struct minix_setup disk_setup;   /* for minix_init() */
extern uint8_t *disk_slots;             /* part of the pool, for the bytes of files */
extern uint64_t disk_slots_bytes;
void disk_open(void);
/* A further instance: it gets its disk with the mount, and nothing before. */
bool disk_on_demand(void);
/* The disk of a further instance: a path below /dev. Not heeded when there is one. */
int disk_choose(const char *path);
int disk_failure(void);                 /* why DISK_FAILED */
/* Goes on mounting. */
void disk_step(void);
/* Gives the driver what was gathered. */
void disk_batch_end(void);
/* How many transfers can be begun now. */
uint32_t disk_room(void);
uint32_t disk_transfer_bytes_max(void);
/* Begins one, of which there must be room; done(ctx, status) tells its end. */
void disk_transfer(uint32_t op, uint32_t flags, uint64_t offset_bytes, void *data, uint32_t length_bytes,
		   void (*done)(void *ctx, int status), void *ctx);

/* ---- store.c ---------------------------------------------------------------------- */

/* How many dirty pages there may be. */
void store_init(uint64_t dirty_bytes);
/* Goes on with what waits. */
void store_run(void);
/* Begins to write back. */
void store_write_back(void);
/* A flush ended, or the device lost its cache. */
void store_flushed(void);
void store_lost(void);
bool store_is_stable(void);

#endif
