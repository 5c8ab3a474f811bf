/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the parts of the block client.
 *   client.c   the public functions, completion and failure of requests
 *   order.c    which request may be sent now
 *   session.c  opening, losing and opening again; the rings
 *
 * States of a client:
 *   OPENING  BLOCK_OPEN is under way (or waits for a driver to serve it)
 *   UP       the rings are in use
 *   PAUSED   opening failed for now: the timer opens again
 *   FAILED   there is no driver to be had, and requests fail at once (`failing`,
 *            which outlasts the state while opening is tried again)
 *
 * A request is QUEUED (list `queue`, by sequence), SENT (list `sent`, and in
 * slots[id]) or FAILED (list `failed`: its done() is due). Losing the session
 * moves SENT ones back to the queue, each to its place by sequence, so that
 * the rules of order.c hold for the replay as they did before.
 */
#ifndef LIB_BLOCKCLI_INTERNAL_H
#define LIB_BLOCKCLI_INTERNAL_H

#include "lib/blockcli/blockcli.h"
#include "lib/ipc/server.h"
#include "lib/ring/ring.h"

enum client_state { CLIENT_FREE, CLIENT_OPENING, CLIENT_UP, CLIENT_PAUSED, CLIENT_FAILED };
enum request_state { REQUEST_IDLE, REQUEST_QUEUED, REQUEST_SENT, REQUEST_FAILED };

struct request_list { struct block_request *first, *last; };

struct block_client {
	enum client_state state;
	x_handle_t driver, pool;
	uint64_t pool_bytes;
	char name[16];             /* as wanted */
	uint32_t name_bytes;
	void (*opened)(void *ctx, int status, const struct block_info *info);
	void (*cache_lost_fn)(void *ctx);
	void (*resize_fn)(void *ctx);
	void (*reopen_fn)(void *ctx);
	void *ctx;
	bool announced;            /* opened() has run */
	struct block_info info;
	uint64_t identity;         /* of the disk; another one is not ours */
	/* session */
	uint32_t generation;
	uint32_t open_failures;    /* in a row */
	bool failing;
	x_handle_t object, doorbell, event;
	x_handle_t device;         /* to lend windows to; X_NO_HANDLE: not possible */
	uint64_t opening;          /* cookie of the BLOCK_OPEN under way */
	uint32_t completed;        /* in this session: a driver that does something is no deadly one */
	uint8_t *rings;            /* mapping of the ring memory */
	uint8_t *retired;          /* the one before, to be unmapped in a later iteration */
	struct ring requests, completions;
	struct server_timer retry, drain;
	/* requests */
	struct request_list queue, sent, failed;
	uint64_t next_sequence;
	uint32_t sent_count, sent_writes; /* writes: all that change the disk */
	struct block_request *slots[BLOCK_RING_SLOTS];
	uint16_t free_ids[BLOCK_RING_SLOTS];
	uint32_t free_id_count;
	/* durability */
	bool epoch_known, cache_lost;
	uint64_t cache_epoch;
	uint64_t writes_completed; /* ever; those of calls as far as they were counted */
	uint64_t calls_counted;    /* of this session */
	uint64_t writes_stable;    /* of those, covered by a flush */
};

static inline bool bcli_is_write(const struct block_request *r)
{
	return r->op == BLOCK_WRITE || r->op == BLOCK_DISCARD || r->op == BLOCK_WRITE_ZEROES;
}

/* client.c */
void bcli_request_unlink(struct request_list *list, struct block_request *r);
void bcli_request_append(struct request_list *list, struct block_request *r);
void bcli_request_insert(struct request_list *list, struct block_request *r); /* by sequence */
void bcli_request_fail_later(struct block_client *c, struct block_request *r, int status); /* unlinked */
void bcli_client_fail_all(struct block_client *c, int status);

/* order.c */
void bcli_order_send(struct block_client *c); /* all that may be sent now */

/* session.c */
void bcli_session_init(struct block_client *c);
void bcli_session_open(struct block_client *c);
void bcli_session_close(struct block_client *c);
void bcli_session_lost(struct block_client *c, bool pause);
int bcli_session_push(struct block_client *c, struct block_request *r); /* QUEUED (unlinked) -> SENT */
void bcli_session_reap(struct block_client *c);
void bcli_session_count_calls(struct block_client *c); /* their writes, into writes_completed */
void bcli_session_publish(struct block_client *c);

#endif
