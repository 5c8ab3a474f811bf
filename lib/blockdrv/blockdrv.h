/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Class library of block drivers. It owns the sessions and their rings, the
 * request table, schedulers, merging, partitions, retries, time-outs and
 * statistics; the device code is a table of operations over registers and
 * descriptors and sees no IPC.
 *
 * A driver has disks 0 .. disk_count - 1, the places where a disk can be (the
 * ports of an AHCI controller; one for virtio_blk). States of a disk:
 *   EMPTY     there is none
 *   STARTING  ops->start() has run for it; waits for blockdrv_ready() or _gone()
 *   SERVING   requests flow
 *   RESETTING the disk is broken: ops->start() runs again, requests that it had
 *             are given to it again afterwards
 * Calls that ask for a disk which is STARTING or RESETTING wait.
 *
 * A request: FREE -> PENDING (accepted, not yet given to the device) ->
 * SUBMITTED (the device's) -> completed -> FREE. A device error sends it back
 * to PENDING up to three times. A write with BLOCK_FUA goes round once more, as
 * a flush, if the device has no FUA of its own.
 *
 * A driver restarts cold: no state here outlives the process.
 */
#ifndef LIB_BLOCKDRV_H
#define LIB_BLOCKDRV_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/dma/dma.h"
#include "proto/block.h"

#define BLOCKDRV_SEGMENTS BLOCK_EXTENTS
#define BLOCKDRV_REQUESTS 512u
#define BLOCKDRV_DISKS    32u

enum blockdrv_request_state { REQUEST_FREE, REQUEST_PENDING, REQUEST_SUBMITTED };

struct blockdrv_request {
	/* for the device code */
	uint32_t disk;
	uint32_t op;                /* enum block_op */
	bool fua;                   /* only if the geometry has fua */
	bool alone;                 /* an earlier try failed: the device should be asked plainly */
	uint32_t length_bytes;
	uint64_t offset_bytes;      /* on the whole disk, in bounds, block aligned */
	uint32_t segment_count;
	uint32_t device_slot;       /* the device code's own */
	/* private to the library */
	enum blockdrv_request_state state;
	struct blockdrv_session *session; /* NULL: the library's own */
	uint32_t id;                /* the client's */
	uint64_t call;              /* a program's, to be answered; 0: it came by a ring */
	bool moves_cursor;          /* the call does */
	int buffer;                 /* number of the one that has the call's data, or -1 */
	uint32_t tries;
	uint32_t kind;              /* enum block_op as the client said it */
	uint32_t own_bytes, own_segments; /* without those merged into it */
	bool wants_fua;
	uint64_t accepted_ns, submitted_ns, deadline_ns;
	struct blockdrv_request *next, *prev;
	uint32_t range;             /* SUBMITTED: its place in the table of ranges */
	struct blockdrv_request *merged; /* done by this one too */
	int window;                 /* number of the window it uses (x_dma_window), or -1 */
	void (*done)(struct blockdrv_request *r, int status); /* the library's own */
	/* last: the rest fits few cache lines */
	struct x_dma_segment segments[BLOCKDRV_SEGMENTS];
};

struct blockdrv_geometry {
	x_handle_t device;          /* for DMA mappings */
	uint64_t size_bytes;
	uint32_t logical_block_bytes, physical_block_bytes;
	uint32_t max_request_bytes;
	uint32_t max_segments;      /* of a request */
	uint32_t max_segment_bytes; /* 0: no limit */
	uint32_t depth;             /* requests the device takes at once; 0: it says so by -X_EAGAIN */
	uint32_t max_discard_bytes, discard_granularity_bytes; /* 0: no DISCARD */
	uint32_t max_write_zeroes_bytes; /* 0: done here, by writing zeroes */
	bool read_only;
	bool no_write_cache;        /* what is completed is durable: flushes are answered here */
	bool fua;                   /* the device knows FUA */
	uint64_t cache_epoch;       /* proto/block.h */
	bool cache_kept;            /* no sign that the cache was lost since the driver before */
	uint64_t identity_hash;     /* proto/block.h; 0: made from `identity` and the size */
	struct block_identity identity;
};

struct blockdrv_ops {
	const char *disk_prefix;    /* "vd": disks are vda, vdb, ... */
	uint64_t progress_timeout_ns; /* no completion at all for so long: broken; 0 = 30 s */
	uint32_t poll_us;           /* look for completions so long before an interrupt is waited for. 0: do not,
	                               for a poll() that reads registers costs the device more than it gains */
	/* Once, before all else: how many disks there can be (at most
	 * BLOCKDRV_DISKS). May call blockdrv_failed(). */
	uint32_t (*probe)(void);
	/* Bring a disk up from any state; blockdrv_ready() when it works, now or
	 * later, or blockdrv_gone(). Must bound its own waits. All that the disk
	 * had is forgotten by it. */
	void (*start)(uint32_t disk);
	/* Give a request to the device, not yet kicking it. 0; -X_EAGAIN: no room,
	 * offered again later; other errors end the request. */
	int (*submit)(struct blockdrv_request *r);
	void (*kick)(void);         /* start what was submitted */
	/* Take what the device has finished: blockdrv_complete() each. */
	void (*poll)(void);
	/* Ask for an interrupt at the next completion; true: there are some already. */
	bool (*arm)(void);
	/* BLOCK_CONTROL's that are the device's own; -X_EINVAL: no such. May be NULL. */
	int (*control)(uint32_t disk, const char *command);
	void (*stop)(void);         /* quiesce the device: the driver is about to exit */
};

/* The whole life of the driver; never returns. */
__attribute__((noreturn)) void blockdrv_run(const struct blockdrv_ops *ops);

/* ---- from the device code ---- */
void blockdrv_ready(uint32_t disk, const struct blockdrv_geometry *g);
/* There is no disk, or it was taken out: requests it had are failed, its
 * sessions hung up. The device code has none of them any more. */
void blockdrv_gone(uint32_t disk);
/* A disk is there, or may be: ops->start() will run for it. */
void blockdrv_plugged(uint32_t disk);
/* A serving disk has another size now. */
void blockdrv_resized(uint32_t disk, uint64_t size_bytes);
/* status: 0; -X_EIO (retried); -X_EAGAIN (the device did not do it, through no
 * fault of the request: given to it again); others end the request. */
void blockdrv_complete(struct blockdrv_request *r, int status);
/* The disk doesn't keep its contract: reset it and go on. After three in a row
 * without a completion it is given up: a driver of one disk dies, another takes
 * the disk as gone. */
void blockdrv_broken(uint32_t disk, const char *why);
bool blockdrv_serving(uint32_t disk);
const char *blockdrv_name(uint32_t disk);
/* There is no device to drive, or none that can be: tells rs, dies. */
__attribute__((noreturn)) void blockdrv_failed(const char *why);

/* FNV-1a, for identities and epochs; begin with BLOCKDRV_HASH. */
#define BLOCKDRV_HASH 0xcbf29ce484222325ull
uint64_t blockdrv_hash(uint64_t h, const void *data, uint32_t bytes);

#endif
