/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol between a block driver and its clients (through lib/blockcli).
 *
 * BLOCK_OPEN is a call on the driver's port and makes a session on a disk or a
 * partition: the client brings fresh ring memory, its pool and an event for
 * completions; it gets the session object and the driver's doorbell event. From
 * then on requests and completions travel in two rings (lib/ring) in the ring
 * memory, data by DMA between the device and the pool. The session ends when
 * the last handle of the session object is closed, or when the driver dies: the
 * object turns X_READY_DEAD, and the client opens a new session with new ring
 * memory. The call waits in the port's queue until there is a driver to answer
 * it. A disk that is unplugged hangs its sessions up (X_READY_HUP).
 *
 * Order: the driver gives none. Requests outstanding together may be done in
 * any order; a flush covers what was completed before it was sent. A client
 * that wants more does not have the two outstanding together. BLOCK_FUA on a
 * write: it is durable when it completes, without a flush.
 *
 * A request is outstanding from its publication to its completion, and at most
 * BLOCK_RING_SLOTS are: the completion ring can't overflow. A client releases
 * completions before it publishes further requests. Who breaks this, or names
 * a wrong generation or an id that is in use, is dropped: its object turns
 * X_READY_HUP.
 *
 * Data of a request is one run of the pool, or a vector: struct block_extent's
 * in the vector area of the ring memory, in the place of the request's id. The
 * driver copies them when it takes the request.
 *
 * With BLOCK_WINDOW the data is in a window of a call that the client has taken
 * and lent to the device (x_window_lend): struct block_window in the vector
 * area. Who wants that gives a handle of its port at BLOCK_OPEN, and gets one of
 * the device, good for nothing but lending. Such a request fails with -X_E2BIG,
 * and nothing done, if the window cannot be used as it is (too scattered, not
 * aligned, its caller gone): the client copies then.
 *
 * With BLOCK_INFO_CALLS the session object takes FILE_READ and FILE_WRITE (proto/file.h) that the
 * client routes to it (x_route): those of programs on its files. The driver does whole blocks
 * inside the disk or partition, and sends home (X_ANSWER_HOME) what it cannot do just so: the
 * client does that by its rings. What ends with an error is answered with it. Requests that overlap,
 * one of them a write, are not at the device together, whichever way they came. The client
 * stops calls while it reads blocks to write them again (BLOCK_CALLS_STOP).
 *
 * Cache epoch: changes when the device may have lost what it had completed but
 * not flushed (it was unplugged, or lost its power). A client that opens again
 * tells the epoch it knows; a driver that has seen no sign of a loss since its
 * predecessor gives it back. A reset of the controller does not clear a device's
 * cache, and for virtio-blk the cache is the host's: it outlives all of these.
 * The identity (a hash of model, serial number and size) tells another disk
 * under the same name: what was meant for the first must not be sent to it.
 */
#ifndef PROTO_BLOCK_H
#define PROTO_BLOCK_H

#include <xinim/abi.h>

enum block_call {
	BLOCK_OPEN = 0x900, /* win0 (read): disk or partition: "" or "0" the first disk, "1".."128" a
	                    partition of it, or a name ("sdb", "vda1"); a[0] generation, a[1] pool bytes,
	                    a[2] cache epoch known from the session before, 0: none;
	                    handle[0] ring memory (BLOCK_RING_BYTES, zeroed), [1] pool (contiguous),
	                    [2] completion event (X_R_WRITE), and for BLOCK_WINDOW [3] the client's port
	                    -> handle[0] session object, [1] doorbell event, with [3] also [2] the device; a[0] size in bytes,
	                    a[1] logical | physical block bytes << 32, a[2] max bytes of a request |
	                    BLOCK_INFO_* << 32, a[3] cache epoch, a[4..5] name, NUL padded, a[6] identity;
	                    struct block_limits is in the ring memory.
	                    -X_ENXIO no such disk or partition, -X_EBUSY too many sessions,
	                    -X_EINVAL, -X_ENOMEM */
	BLOCK_LIST,      /* win0 (write): text, a line a disk or partition: name, first byte, bytes, "ro" or
	                    "rw", its label -> status length */
	BLOCK_STATS,     /* win0 (read): disk name; win1 (write): text -> status length; -X_ENXIO */
	BLOCK_IDENTIFY,  /* win0 (read): disk name; win1 (write): struct block_identity; -X_ENXIO */
	BLOCK_CONTROL,   /* win0 (read): disk name, a blank, and "scheduler none|deadline|fair", "rescan"
	                    (read the partition table again), or with a SATA disk "replug MS" (its
	                    port is switched off for so long). -X_EBUSY: a partition is in use;
	                    -X_EINVAL, -X_ENXIO */
	BLOCK_WATCH,     /* a[0] count known: answered when the list of disks or partitions is another one:
	                    a[0] its count of changes */
};

#define BLOCK_INFO_READ_ONLY 1u
#define BLOCK_INFO_FUA       2u /* the device has it; else it costs a flush */
#define BLOCK_INFO_CALLS     4u /* calls may be routed to the session object */

/* Operations of requests. */
enum block_op {
	BLOCK_READ = 1, BLOCK_WRITE, BLOCK_FLUSH,
	BLOCK_DISCARD,      /* contents are not needed any more, and undefined */
	BLOCK_WRITE_ZEROES, /* no data; length up to max_write_zeroes_bytes */
	BLOCK_CALLS_STOP,   /* send home what calls come; done when none is under way */
	BLOCK_CALLS_GO,     /* do them again. Both have no length and no offset */
};

/* struct block_ring_request.flags */
#define BLOCK_FUA    1u /* WRITE, WRITE_ZEROES */
#define BLOCK_WINDOW 2u /* READ, WRITE: data in a window */

/* Doorbell bit; completion event's bits. */
#define BLOCK_EVENT_RING   1u
#define BLOCK_EVENT_LIMITS 2u /* struct block_limits changed: the disk was resized */

struct block_ring_request {
	uint32_t generation;     /* as given at BLOCK_OPEN */
	uint16_t id;             /* < BLOCK_RING_SLOTS, not in use by another outstanding one */
	uint16_t extent_count;   /* 0: one run at pool_offset; else in the vector area, at most BLOCK_EXTENTS */
	uint16_t op;             /* enum block_op */
	uint16_t flags;          /* BLOCK_FUA, BLOCK_WINDOW */
	uint32_t length_bytes;   /* multiple of the logical block; FLUSH: 0 */
	uint64_t offset_bytes;   /* on the disk or partition; FLUSH: 0 */
	uint64_t pool_offset;    /* multiple of 8; 0 without data or with a vector */
};

struct block_extent {
	uint64_t pool_offset;    /* multiple of 8 */
	uint32_t bytes;          /* multiple of 512; their sum is length_bytes */
	uint32_t reserved;
};

struct block_window {            /* in the vector area, with BLOCK_WINDOW */
	uint64_t call;           /* id of the call */
	uint32_t window, offset; /* where in it the data begins, in bytes */
};

struct block_ring_completion {
	uint32_t generation, id; /* as in the request */
	int32_t status;          /* 0, -X_EIO, -X_EINVAL, -X_EROFS, -X_EOPNOTSUPP, -X_E2BIG */
	uint32_t reserved;
};

struct block_limits {            /* of the session; written by the driver */
	uint64_t size_bytes;
	uint32_t max_request_bytes;
	uint32_t max_discard_bytes;      /* 0: DISCARD is not supported */
	uint32_t discard_granularity_bytes;
	uint32_t max_write_zeroes_bytes;
	uint32_t max_segments;           /* runs of memory of a request, ... */
	uint32_t max_segment_bytes;      /* ... each cut into pieces of this; 0: no limit */
	uint32_t change;                 /* counts changes */
	uint32_t reserved;
};

struct block_calls {             /* of the session; written by the driver */
	uint64_t writes;         /* done for calls, not durable by themselves: counted ahead of the answer */
};

struct block_identity {          /* as the device tells it, NUL-padded, printable ASCII */
	char model[48], serial[32], firmware[16];
	char bus[16];            /* "virtio", "ata" */
};

#define BLOCK_RING_SLOTS         256u
#define BLOCK_EXTENTS            64u    /* of one request */
#define BLOCK_REQUESTS_OFFSET    0u     /* client produces */
#define BLOCK_COMPLETIONS_OFFSET 12288u /* driver produces */
#define BLOCK_LIMITS_OFFSET      18432u /* struct block_limits */
#define BLOCK_CALLS_OFFSET       19456u /* struct block_calls */
#define BLOCK_VECTORS_OFFSET     20480u /* struct block_extent[BLOCK_RING_SLOTS][BLOCK_EXTENTS] */
#define BLOCK_RING_BYTES         (BLOCK_VECTORS_OFFSET + BLOCK_RING_SLOTS * BLOCK_EXTENTS * 16)

_Static_assert(sizeof(struct block_ring_request) == 32, "struct block_ring_request");
_Static_assert(sizeof(struct block_ring_completion) == 16, "struct block_ring_completion");
_Static_assert(sizeof(struct block_extent) == 16, "struct block_extent");
_Static_assert(sizeof(struct block_window) == 16, "struct block_window");
_Static_assert(256 + BLOCK_RING_SLOTS * 32 <= BLOCK_COMPLETIONS_OFFSET, "request ring fits");
_Static_assert(BLOCK_COMPLETIONS_OFFSET + 256 + BLOCK_RING_SLOTS * 16 <= BLOCK_LIMITS_OFFSET,
	       "completion ring fits");
_Static_assert(BLOCK_LIMITS_OFFSET + sizeof(struct block_limits) <= BLOCK_CALLS_OFFSET, "limits fit");
_Static_assert(BLOCK_CALLS_OFFSET + sizeof(struct block_calls) <= BLOCK_VECTORS_OFFSET, "counts fit");

#endif
