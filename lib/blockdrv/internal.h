/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the parts of the block-driver library.
 *   driver.c    states, start, reset, timeouts, dispatch of calls
 *   request.c   the request table and the way to the device and back
 *   session.c   BLOCK_OPEN, rings, closures
 *   scan.c      partitions: reads for partition.h
 *   list.c      BLOCK_LIST
 */
#ifndef LIB_BLOCKDRV_INTERNAL_H
#define LIB_BLOCKDRV_INTERNAL_H

#include "lib/blockdrv/blockdrv.h"
#include "lib/blockdrv/partition.h"
#include "lib/ipc/server.h"
#include "lib/ring/ring.h"

#define SESSIONS_MAX 16u
#define NAME_BYTES   16u

enum driver_state { DRIVER_STARTING, DRIVER_SERVING, DRIVER_RESETTING };

struct blockdrv_session {
	uint64_t object;          /* id of the session object; 0: free */
	bool dead;                /* closed or broken: drains, answers nothing */
	uint32_t generation;
	uint64_t offset_bytes, size_bytes; /* the partition */
	x_handle_t pool, completion_event, doorbell;
	uint8_t *ring_memory;
	struct ring requests, completions;
	struct dma_import import;
	uint32_t in_flight;       /* accepted, not completed */
	bool waiting;             /* requests may be left in the ring */
	uint64_t in_use[BLOCK_RING_SLOTS / 64]; /* ids outstanding */
};

struct driver_stats {
	uint64_t reads, writes, flushes, read_bytes, written_bytes;
	uint64_t errors, retries, refused, resets;
};

struct driver {
	const struct blockdrv_ops *ops;
	enum driver_state state;
	struct blockdrv_geometry geometry;
	char name[NAME_BYTES];
	bool scanned;             /* partitions are known: not read again after a reset. Until
	                             then only the whole disk can be opened */
	uint32_t resets_in_row;
	uint64_t progress_ns;     /* last completion, or first submission after idleness */
	struct partition_scan scan;
	struct blockdrv_session sessions[SESSIONS_MAX];
	struct driver_stats stats;
};

extern struct driver bdrv;

static inline bool bdrv_driver_running(void)
{
	return bdrv.state == DRIVER_SERVING;
}

/* request.c */
void bdrv_request_init(void);
struct blockdrv_request *bdrv_request_get(void);          /* NULL: table is full */
void bdrv_request_queue(struct blockdrv_request *r);      /* FREE -> PENDING */
bool bdrv_request_pending(void);                          /* some wait for the device */
uint32_t bdrv_request_submitted_count(void);
bool bdrv_request_submit_all(void);                       /* true: the device got some */
void bdrv_request_take_back_all(void);                    /* SUBMITTED -> PENDING, in order */
const struct blockdrv_request *bdrv_request_oldest(void); /* the longest submitted, or NULL */
/* Fit segments to the device's limits; new count or -X_E2BIG. */
int bdrv_request_fit_segments(struct x_dma_segment *segments, int count);

/* session.c */
void bdrv_session_call(const struct x_in *in);            /* BLOCK_OPEN, BLOCK_LIST */
void bdrv_session_retry(void);                            /* those that waited: device up, or scanned */
void bdrv_session_closure(uint64_t object);
void bdrv_session_cancel(uint64_t call_id);
bool bdrv_session_consume_all(void);                      /* rings -> requests; true: some */
void bdrv_session_complete(struct blockdrv_session *s, struct blockdrv_request *r, int status);
void bdrv_session_publish_all(void);                      /* completions -> clients */
bool bdrv_session_arm_all(void);                          /* true: there is more to consume */

/* scan.c */
void bdrv_scan_begin(void);
void bdrv_scan_continue(void);                            /* if it waits for a free request */

/* driver.c */
void bdrv_driver_scanned(void);

/* list.c */
void bdrv_list_answer(const struct x_in *in);

#endif
