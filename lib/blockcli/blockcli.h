/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block client: a server's session with a block driver, which outlives the
 * driver. What is outstanding is kept here and replayed to the next
 * incarnation (RECOVERY.md 11, 12): requests whose byte ranges overlap with a
 * write are never outstanding together, a flush is sent after every write
 * submitted before it, writes since the last flush are kept by the caller's
 * pool until a flush of the same cache epoch answers.
 *
 * Works inside the event loop of lib/ipc: nothing blocks, completions are
 * callbacks, never from inside block_submit(); submitting from them is fine.
 * A request fails with -X_EIO if the device reports an error (the driver has
 * retried it), if it was outstanding in more than five incarnations of the
 * driver (twenty, if they completed others), if the session cannot be opened
 * again, or if another disk is found under the name. Data moves by DMA between
 * the device and the pool given at open, or (BLOCK_WINDOW) a window of a call
 * that the caller has taken and does not answer before done(); -X_E2BIG: that
 * window will not do, the data must be copied.
 */
#ifndef LIB_BLOCKCLI_H
#define LIB_BLOCKCLI_H

#include <stdbool.h>
#include <stdint.h>
#include <xinim/abi.h>
#include "proto/block.h" /* enum block_op, struct block_extent */

struct block_request {        /* owned by the caller, untouched by it until done() */
	uint32_t op;          /* enum block_op */
	uint32_t length_bytes;/* multiple of the logical block size */
	uint64_t offset_bytes;/* on the device or partition */
	uint64_t pool_offset; /* where in the pool the data is, if there are no extents */
	const struct block_extent *extents; /* NULL, or the data's runs in the pool ... */
	uint32_t extent_count;              /* ... at most BLOCK_EXTENTS */
	uint32_t flags;       /* BLOCK_FUA, BLOCK_WINDOW */
	struct block_window window; /* BLOCK_WINDOW: where the data is instead */
	void (*done)(struct block_request *r, int status); /* 0 or negated error */
	void *ctx;
	/* private to the library */
	struct block_request *next, *prev;
	uint32_t id, state, tries;
	uint64_t submitted_ns;
	uint64_t sequence;     /* order of submission */
	uint64_t mark;         /* flush: writes completed before it was sent */
};

struct block_info {
	uint64_t size_bytes;
	uint32_t logical_block_bytes, physical_block_bytes;
	uint32_t max_request_bytes;
	uint32_t max_discard_bytes, discard_granularity_bytes; /* 0: no BLOCK_DISCARD */
	uint32_t max_write_zeroes_bytes;
	uint32_t max_segments, max_segment_bytes; /* of extents; 0 bytes: no limit */
	bool read_only;
	bool fua;              /* BLOCK_FUA costs no flush */
	bool calls;            /* calls may be routed to block_session_of() */
	char name[16];         /* "vda", "vda1" */
};

struct block_client;

#define BLOCK_WINDOW_MIN 16384u /* bytes from which a window costs less than a copy */

/* Open a session on the driver at `driver` (a boot handle to its port) for
 * disk or partition `name` ("" = the whole first disk; "1".."128" = partition
 * number). `pool` is a CONTIGUOUS memory object of pool_bytes holding all data
 * buffers. opened(ctx, status, info) runs once at the first success (or final
 * failure); reopening after a driver's death is silent.
 * Returns NULL only when out of table space (one client per call, at most 16). */
struct block_client *block_open(x_handle_t driver, const char *name, x_handle_t pool, uint64_t pool_bytes,
				void (*opened)(void *ctx, int status, const struct block_info *info), void *ctx);
/* Queue a request; it is sent when order allows. Kicks are batched until
 * block_batch_end(). Bad ranges complete with -X_EINVAL. */
void block_submit(struct block_client *c, struct block_request *r);
/* End the session of a client that has no request under way. */
void block_close(struct block_client *c);
/* fn(ctx) runs when the device turns out to have lost writes that were completed
 * but not flushed (its cache epoch changed): what is unstable must be written
 * again. The next flush fails with -X_EIO whether or not there is such a hook. */
void block_on_cache_lost(struct block_client *c, void (*fn)(void *ctx));
/* fn(ctx) runs when the disk has another size; block_info_of() tells it. */
void block_on_resize(struct block_client *c, void (*fn)(void *ctx));
const struct block_info *block_info_of(const struct block_client *c);
/* fn(ctx) runs when a session is open in place of one that was lost: routes to that are gone. */
void block_on_reopen(struct block_client *c, void (*fn)(void *ctx));
/* The session's object, for x_route(); X_NO_HANDLE: there is none now, or its driver takes no calls. What is
 * written by calls counts as this client's: a flush covers it, and its loss is told. */
x_handle_t block_session_of(const struct block_client *c);
/* Can requests have BLOCK_WINDOW? */
bool block_takes_windows(const struct block_client *c);
/* From server_ops.batch_end: one doorbell for all that was queued. */
void block_batch_end(void);

#endif
