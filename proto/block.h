/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol between a block driver and its clients (through lib/blockcli).
 *
 * BLOCK_OPEN is a call on the driver's port and makes a session: the client
 * brings fresh ring memory, its pool and an event for completions; it gets the
 * session object and the driver's doorbell event. From then on requests and
 * completions travel in two rings (lib/ring) in the ring memory, data by DMA
 * between the device and the pool. The session ends when the last handle of
 * the session object is closed, or when the driver dies: the object turns
 * X_READY_DEAD, and the client opens a new session with new ring memory. The
 * call waits in the port's queue until there is a driver to answer it.
 *
 * Order: the driver gives none. Requests outstanding together may be done in
 * any order; a flush covers what was completed before it was sent. A client
 * that wants more does not have the two outstanding together.
 *
 * A request is outstanding from its publication to its completion, and at most
 * BLOCK_RING_SLOTS are: the completion ring can't overflow. A client releases
 * completions before it publishes further requests. Who breaks this, or names
 * a wrong generation or an id that is in use, is dropped: its object turns
 * X_READY_HUP.
 *
 * Cache epoch: changes when the device may have lost what it had completed but
 * not flushed. A driver that only resets its controller keeps the epoch if the
 * reset does not clear the device's cache. For virtio-blk the cache is the
 * host's and outlives every reset and restart of the driver: the epoch is a
 * hash of the device's identity (serial number, capacity), so it changes only
 * if the device is another one.
 */
#ifndef PROTO_BLOCK_H
#define PROTO_BLOCK_H

#include <xinim/abi.h>

enum block_call {
	BLOCK_OPEN = 0x900, /* win0 (read): disk or partition: "" or "0" the disk, "1".."128" a
	                    partition, or its name ("vda1"); a[0] generation, a[1] pool bytes;
	                    handle[0] ring memory (BLOCK_RING_BYTES, zeroed), [1] pool (contiguous),
	                    [2] completion event (X_R_WRITE)
	                    -> handle[0] session object, [1] doorbell event; a[0] size in bytes,
	                    a[1] logical | physical block bytes << 32, a[2] max bytes of a request |
	                    BLOCK_INFO_* << 32, a[3] cache epoch, a[4..5] name, NUL padded.
	                    -X_ENXIO no such disk or partition, -X_EBUSY too many sessions,
	                    -X_EINVAL, -X_ENOMEM */
	BLOCK_LIST,      /* win0 (write): text, a line a disk or partition with size and counts
	                    -> status length */
};

#define BLOCK_INFO_READ_ONLY 1u

/* Operations of requests. */
enum block_op { BLOCK_READ = 1, BLOCK_WRITE, BLOCK_FLUSH };

/* Doorbell bit and completion bit of the two events. */
#define BLOCK_EVENT_RING 1u

struct block_ring_request {
	uint32_t generation;     /* as given at BLOCK_OPEN */
	uint32_t id;             /* < BLOCK_RING_SLOTS, not in use by another outstanding one */
	uint32_t op;             /* enum block_op */
	uint32_t length_bytes;   /* multiple of the logical block; FLUSH: 0 */
	uint64_t offset_bytes;   /* on the disk or partition; FLUSH: 0 */
	uint64_t pool_offset;    /* multiple of 8; FLUSH: 0 */
};

struct block_ring_completion {
	uint32_t generation, id; /* as in the request */
	int32_t status;          /* 0, -X_EIO, -X_EINVAL, -X_EROFS, -X_EOPNOTSUPP */
	uint32_t reserved;
};

#define BLOCK_RING_SLOTS         256u
#define BLOCK_REQUESTS_OFFSET    0u     /* client produces */
#define BLOCK_COMPLETIONS_OFFSET 12288u /* driver produces */
#define BLOCK_RING_BYTES         20480u

_Static_assert(sizeof(struct block_ring_request) == 32, "struct block_ring_request");
_Static_assert(sizeof(struct block_ring_completion) == 16, "struct block_ring_completion");
_Static_assert(256 + BLOCK_RING_SLOTS * 32 <= BLOCK_COMPLETIONS_OFFSET, "request ring fits");
_Static_assert(BLOCK_COMPLETIONS_OFFSET + 256 + BLOCK_RING_SLOTS * 16 <= BLOCK_RING_BYTES,
	       "completion ring fits");

#endif
