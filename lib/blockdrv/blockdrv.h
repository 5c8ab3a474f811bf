/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Class library of block drivers. It owns the sessions and their rings, the
 * request table, partitions, retries, timeouts and statistics; the device code
 * is a table of operations over registers and descriptors and sees no IPC.
 *
 * States of the driver:
 *   STARTING  ops->start() has run; waits for blockdrv_ready()
 *   SCANNING  the device works; reading the partition table
 *   SERVING   sessions are opened, requests flow
 *   RESETTING the device is broken: ops->start() runs again, requests that it
 *             had are given to it again afterwards
 * BLOCK_OPEN calls that come earlier than SERVING wait.
 *
 * A request: FREE -> PENDING (accepted, not yet given to the device) ->
 * SUBMITTED (the device's) -> completed -> FREE. A device error sends it back
 * to PENDING up to three times.
 *
 * A driver restarts cold: no state here outlives the process.
 */
#ifndef LIB_BLOCKDRV_H
#define LIB_BLOCKDRV_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/dma/dma.h"
#include "proto/block.h"

#define BLOCKDRV_SEGMENTS 20u
#define BLOCKDRV_REQUESTS 512u

enum blockdrv_request_state { REQUEST_FREE, REQUEST_PENDING, REQUEST_SUBMITTED };

struct blockdrv_request {
	/* for the device code */
	uint32_t op;                /* enum block_op */
	uint32_t length_bytes;
	uint64_t offset_bytes;      /* on the whole disk, in bounds, block aligned */
	struct x_dma_segment segments[BLOCKDRV_SEGMENTS];
	uint32_t segment_count;
	uint32_t device_slot;       /* the device code's own */
	/* private to the library */
	enum blockdrv_request_state state;
	struct blockdrv_session *session; /* NULL: the library's own */
	uint32_t id;                /* the client's */
	uint32_t tries;
	uint64_t submitted_ns;
	struct blockdrv_request *next, *prev;
	void (*done)(struct blockdrv_request *r, int status); /* the library's own */
};

struct blockdrv_geometry {
	x_handle_t device;          /* for DMA mappings */
	uint64_t size_bytes;
	uint32_t logical_block_bytes, physical_block_bytes;
	uint32_t max_request_bytes;
	uint32_t max_segments;      /* of a request */
	uint32_t max_segment_bytes; /* 0: no limit */
	bool read_only;
	bool no_write_cache;        /* what is completed is durable: flushes are answered here */
	uint64_t cache_epoch;       /* proto/block.h */
};

struct blockdrv_ops {
	const char *disk_prefix;    /* "vd": disks are vda, vdb, ... */
	uint64_t progress_timeout_ns; /* no completion at all for so long: broken; 0 = 30 s */
	/* Bring the device up from any state; blockdrv_ready() when it works, now
	 * or later. Must bound its own waits, and call blockdrv_broken() or
	 * blockdrv_failed(). All the device had is forgotten by it. */
	void (*start)(void);
	/* Give a request to the device, not yet kicking it. 0; -X_EAGAIN: no room,
	 * offered again later; other errors end the request. */
	int (*submit)(struct blockdrv_request *r);
	void (*kick)(void);         /* start what was submitted */
	/* Take what the device has finished: blockdrv_complete() each. */
	void (*poll)(void);
	/* Ask for an interrupt at the next completion; true: there are some already. */
	bool (*arm)(void);
	void (*stop)(void);         /* quiesce the device: the driver is about to exit */
};

/* The whole life of the driver; never returns. */
__attribute__((noreturn)) void blockdrv_run(const struct blockdrv_ops *ops);

/* ---- from the device code ---- */
void blockdrv_ready(const struct blockdrv_geometry *g);
/* status: 0; -X_EIO (retried); others end the request. */
void blockdrv_complete(struct blockdrv_request *r, int status);
/* The device doesn't keep its contract: reset it and go on. After three in a
 * row without a completion the driver gives up and dies. */
void blockdrv_broken(const char *why);
/* There is no device to drive, or none that can be: tells rs, dies. */
__attribute__((noreturn)) void blockdrv_failed(const char *why);

#endif
