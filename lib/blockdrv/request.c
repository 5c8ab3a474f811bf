/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The request table, and the way of a request to the device and back.
 */
#include "lib/blockdrv/internal.h"

#define TRIES_MAX 4u /* the first and three more */

struct queue {
	struct blockdrv_request *first, *last;
	uint32_t count;
};

static struct {
	struct blockdrv_request table[BLOCKDRV_REQUESTS];
	struct queue free, pending, submitted; /* submitted: oldest first */
} requests;

static void queue_add(struct queue *q, struct blockdrv_request *r)
{
	r->next = NULL;
	r->prev = q->last;
	*(q->last ? &q->last->next : &q->first) = r;
	q->last = r;
	q->count++;
}

static void queue_remove(struct queue *q, struct blockdrv_request *r)
{
	*(r->prev ? &r->prev->next : &q->first) = r->next;
	*(r->next ? &r->next->prev : &q->last) = r->prev;
	r->next = r->prev = NULL;
	q->count--;
}

void bdrv_request_init(void)
{
	for (uint32_t i = 0; i < BLOCKDRV_REQUESTS; i++)
		queue_add(&requests.free, &requests.table[i]);
}

struct blockdrv_request *bdrv_request_get(void)
{
	struct blockdrv_request *r = requests.free.first;

	if (r) {
		r->session = NULL;
		r->done = NULL;
		r->tries = 0;
		r->segment_count = 0;
	}
	return r;
}

void bdrv_request_queue(struct blockdrv_request *r)
{
	queue_remove(&requests.free, r);
	r->state = REQUEST_PENDING;
	queue_add(&requests.pending, r);
}

bool bdrv_request_pending(void)
{
	return requests.pending.first != NULL;
}

uint32_t bdrv_request_submitted_count(void)
{
	return requests.submitted.count;
}

const struct blockdrv_request *bdrv_request_oldest(void)
{
	return requests.submitted.first;
}

int bdrv_request_fit_segments(struct x_dma_segment *segments, int count)
{
	uint32_t limit = bdrv.geometry.max_segment_bytes;
	uint32_t max = bdrv.geometry.max_segments < BLOCKDRV_SEGMENTS
		? bdrv.geometry.max_segments : BLOCKDRV_SEGMENTS;

	for (int i = 0; limit && i < count; i++) {
		if (segments[i].bytes <= limit)
			continue;
		if (count == (int)BLOCKDRV_SEGMENTS)
			return -X_E2BIG;
		for (int k = count; k > i + 1; k--)
			segments[k] = segments[k - 1];
		segments[i + 1].iova = segments[i].iova + limit;
		segments[i + 1].bytes = segments[i].bytes - limit;
		segments[i].bytes = limit;
		count++;
	}
	return count > (int)max ? -X_E2BIG : count;
}

static void count_completion(const struct blockdrv_request *r, int status)
{
	struct driver_stats *st = &bdrv.stats;

	if (status < 0) {
		st->errors++;
	} else if (r->op == BLOCK_READ) {
		st->reads++;
		st->read_bytes += r->length_bytes;
	} else if (r->op == BLOCK_WRITE) {
		st->writes++;
		st->written_bytes += r->length_bytes;
	} else {
		st->flushes++;
	}
}

/* PENDING or SUBMITTED (already off its queue) -> FREE */
static void finish(struct blockdrv_request *r, int status)
{
	struct blockdrv_session *session = r->session;

	count_completion(r, status);
	r->state = REQUEST_FREE;
	queue_add(&requests.free, r);
	if (session)
		bdrv_session_complete(session, r, status);
	else if (r->done)
		r->done(r, status);
}

bool bdrv_request_submit_all(void)
{
	bool any = false;

	while (requests.pending.first && bdrv_driver_running()) {
		struct blockdrv_request *r = requests.pending.first;
		int err = bdrv.ops->submit(r);

		if (err == -X_EAGAIN)
			break;
		queue_remove(&requests.pending, r);
		if (err) {
			finish(r, err);
			continue;
		}
		if (!requests.submitted.first)
			bdrv.progress_ns = server_now_ns;
		r->state = REQUEST_SUBMITTED;
		r->submitted_ns = server_now_ns;
		queue_add(&requests.submitted, r);
		any = true;
	}
	return any;
}

void blockdrv_complete(struct blockdrv_request *r, int status)
{
	if (r->state != REQUEST_SUBMITTED)
		server_die("device code completes a request that it does not have");
	queue_remove(&requests.submitted, r);
	bdrv.progress_ns = server_now_ns;
	if (status == -X_EIO && ++r->tries < TRIES_MAX) {
		bdrv.stats.retries++;
		r->state = REQUEST_PENDING;
		queue_add(&requests.pending, r);
		return;
	}
	if (!status)
		bdrv.resets_in_row = 0;
	finish(r, status);
}

void bdrv_request_take_back_all(void)
{
	while (requests.submitted.last) {
		struct blockdrv_request *r = requests.submitted.last;

		queue_remove(&requests.submitted, r);
		r->state = REQUEST_PENDING;
		/* To the head of the queue: they were first. */
		r->next = requests.pending.first;
		*(r->next ? &r->next->prev : &requests.pending.last) = r;
		requests.pending.first = r;
		requests.pending.count++;
	}
}
