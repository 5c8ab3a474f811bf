/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the parts of the block-driver library.
 *   driver.c    states of the disks, resets, time-outs, the event loop's work
 *   request.c   the request table and the way to the device and back
 *   schedule.c  which pending request is next, and which of them are one
 *   session.c   sessions: their rings, requests, end
 *   calls.c     reads and writes of programs, routed to a session's object
 *   open.c      calls: BLOCK_OPEN and those that ask about disks
 *   scan.c      partitions: reads for partition.h
 *   list.c      the texts
 *   remember.c  what the next incarnation should know
 */
#ifndef LIB_BLOCKDRV_INTERNAL_H
#define LIB_BLOCKDRV_INTERNAL_H

#include "lib/blockdrv/blockdrv.h"
#include "lib/blockdrv/partition.h"
#include "lib/ipc/server.h"
#include "lib/ring/ring.h"

#define SESSIONS_MAX    32u
#define NAME_BYTES      16u
#define LATENCY_BUCKETS 24u   /* bucket n: below 2^n microseconds */
#define PENDING_MAX     128u  /* of a disk, before its sessions' rings are left full */
#define ZEROES_BYTES    65536u

enum disk_state { DISK_EMPTY, DISK_STARTING, DISK_SERVING, DISK_RESETTING };
enum scheduler { SCHEDULER_NONE, SCHEDULER_DEADLINE, SCHEDULER_FAIR, SCHEDULERS };

struct blockdrv_session {
	uint64_t object;          /* id of the session object; 0: free */
	struct disk *disk;
	bool dead;                /* closed or broken: drains, answers nothing */
	uint32_t generation;
	uint32_t partition;       /* its number, 0: the disk */
	uint64_t offset_bytes, size_bytes; /* the partition */
	x_handle_t pool, completion_event, doorbell;
	x_handle_t client;        /* its port, where its windows are; or X_NO_HANDLE */
	uint8_t *ring_memory;
	struct ring requests, completions;
	struct dma_import import;
	uint32_t in_flight;       /* accepted, not completed */
	bool waiting;             /* requests may be left in the ring */
	uint32_t calls;           /* of in_flight: programs' */
	bool calls_stopped;       /* by the client, ... */
	bool stop_waits;          /* ... who is told when there are none: */
	uint16_t stop_id;         /* the completion of this one, in flight until then */
	uint64_t served_bytes;    /* fair: since it was idle */
	uint64_t in_use[BLOCK_RING_SLOTS / 64]; /* ids outstanding */
};

struct disk_stats {
	uint64_t ops[BLOCK_WRITE_ZEROES + 1], bytes[BLOCK_WRITE_ZEROES + 1]; /* by enum block_op */
	uint64_t errors, retries, refused, resets, merged;
	uint64_t kicks;           /* of the driver, this disk among those that got requests */
	uint64_t latency[LATENCY_BUCKETS];
	uint32_t depth_max;       /* requests at the device */
	uint64_t depth_sum;       /* at each submission, for the mean */
	uint64_t calls, sent_home; /* of programs: taken; not */
};

struct request_list { struct blockdrv_request *first, *last; uint32_t count; };

struct disk {
	uint32_t number;
	enum disk_state state;
	bool start_wanted;        /* ops->start() is to run at the end of the batch */
	bool given_up;            /* not started again until it is plugged in anew */
	struct blockdrv_geometry geometry;
	uint64_t last_identity;   /* of the disk served before */
	char name[NAME_BYTES];
	bool scanned;             /* partitions are known: not read again after a reset. Until
	                             then only the whole disk can be opened */
	uint32_t resets_in_row;
	uint64_t progress_ns;     /* last completion, or first submission after idleness */
	struct request_list pending, submitted; /* submitted: oldest first */
	uint32_t submitted_writes; /* and discards, write-zeroes */
	enum scheduler scheduler;
	uint64_t sweep_bytes;     /* deadline: where the last dispatched request ended */
	uint32_t reads_in_row;    /* deadline: while writes waited */
	uint64_t fair_bytes;      /* fair: served_bytes of the session that was served last */
	struct partition_scan scan;
	struct disk_stats stats;
	uint64_t remembered_ns, remembered_depth_sum; /* when, and of which state */
};

struct driver {
	const struct blockdrv_ops *ops;
	struct disk disks[BLOCKDRV_DISKS];
	uint32_t disk_count;
	uint64_t changes;         /* of the list of disks and partitions */
	uint64_t round_ns;        /* monotonic time, sampled once a round */
	uint64_t rounds, kicks, polls_won, polls_lost;
	uint32_t session_limit;   /* none from here on was ever used */
	struct blockdrv_session sessions[SESSIONS_MAX];
};

extern struct driver bdrv;

static inline bool bdrv_serving(const struct disk *d) { return d->state == DISK_SERVING; }
static inline bool bdrv_coming(const struct disk *d)
{
	return d->state == DISK_STARTING || d->state == DISK_RESETTING;
}

/* remember.c */
void bdrv_recall(struct disk *d);                         /* once, named: what was remembered of it */
void bdrv_remember(struct disk *d);
void bdrv_remember_all(void);                             /* those of which there is news, if it is time */

/* request.c */
void bdrv_request_init(void);
struct blockdrv_request *bdrv_request_get(void);          /* NULL: table is full */
void bdrv_request_queue(struct disk *d, struct blockdrv_request *r); /* FREE -> PENDING */
uint32_t bdrv_request_submitted_count(void);              /* of all disks */
bool bdrv_request_submit_all(void);                       /* true: the device got some */
void bdrv_request_take_back_all(struct disk *d);          /* SUBMITTED -> PENDING, in order */
void bdrv_request_fail_all(struct disk *d, int status);
/* Fit segments to the device's limits; new count or -X_E2BIG. */
int bdrv_request_fit_segments(const struct disk *d, struct x_dma_segment *segments, int count);
void bdrv_list_add(struct request_list *list, struct blockdrv_request *r);
void bdrv_list_remove(struct request_list *list, struct blockdrv_request *r);

/* schedule.c */
struct blockdrv_request *bdrv_schedule_next(struct disk *d); /* still pending; NULL: none */
void bdrv_schedule_merge(struct disk *d, struct blockdrv_request *r); /* pending ones into r */
void bdrv_schedule_deadline(struct disk *d, struct blockdrv_request *r);
int bdrv_scheduler_find(const char *name);                /* or -X_EINVAL */
const char *bdrv_scheduler_name(enum scheduler s);

/* session.c */
struct blockdrv_session *bdrv_session_of(uint64_t object); /* dead or not; or NULL */
void bdrv_session_closure(uint64_t object);
bool bdrv_session_consume_all(void);                      /* rings -> requests; true: some */
void bdrv_session_complete(struct blockdrv_session *s, struct blockdrv_request *r, int status);
bool bdrv_session_publish_all(void);                      /* completions -> clients; true: the commit wakes one */
bool bdrv_session_look_all(void);                         /* true: there is more to consume */
bool bdrv_session_arm_all(void);                          /* true: there is more to consume */
void bdrv_session_free(struct blockdrv_session *s);
void bdrv_session_hang_up(struct disk *d);                /* all of its sessions */
void bdrv_session_limits(struct blockdrv_session *s);     /* tell struct block_limits */
/* The segments of a window of an open call of `port`, lent to the device: 0, or -X_E2BIG */
int bdrv_session_use_window(const struct disk *d, x_handle_t port, const struct block_window *window, uint32_t bytes,
			    struct blockdrv_request *r);
int bdrv_session_doorbell(struct blockdrv_session *s, x_handle_t *for_client);
bool bdrv_session_uses_partitions(const struct disk *d);

/* calls.c */
void bdrv_calls_take(const struct x_in *in);              /* on an object: does it, or sends it home */
void bdrv_calls_end(struct blockdrv_session *s, struct blockdrv_request *r, int status);
bool bdrv_calls_answered(void);                           /* since asked last */

/* open.c */
void bdrv_open_call(const struct x_in *in);
void bdrv_open_retry(void);                               /* those that waited: a disk is up, scanned, gone */
void bdrv_open_cancel(uint64_t call_id);
void bdrv_open_changed(void);                             /* the list of disks or partitions */

/* scan.c */
int bdrv_scan_begin(struct disk *d);
void bdrv_scan_continue(void);                            /* if it waits for a free request, or its turn */
void bdrv_scan_abort(struct disk *d);

/* driver.c */
void bdrv_driver_scanned(struct disk *d);
const struct dma_buffer *bdrv_zeroes(const struct disk *d); /* ZEROES_BYTES of them, or NULL */

/* list.c */
void bdrv_list_disks(const struct x_in *in);
void bdrv_list_stats(const struct x_in *in, const struct disk *d);

#endif
