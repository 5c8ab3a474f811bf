/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The request table, and the way of a request to the device and back.
 *
 * A request may carry others, merged into it (schedule.c): they are on no list
 * meanwhile, and share its outcome. If that is an error, each is tried alone.
 */
#include "lib/blockdrv/internal.h"

#define TRIES_MAX 4u /* the first and three more */

/* What a device may be reading or changing; a flush has none of it. */
struct range {
	uint64_t from, to;
	struct blockdrv_request *of;
	uint32_t disk;
	bool change;
};

static struct {
	struct blockdrv_request table[BLOCKDRV_REQUESTS];
	struct request_list free; /* that of the last one first: its memory was just used */
	struct range ranges[BLOCKDRV_REQUESTS]; /* of those submitted, in no order: a request has a page's third, these are together */
	uint32_t submitted;
} requests;

void bdrv_list_add(struct request_list *list, struct blockdrv_request *r)
{
	r->next = NULL;
	r->prev = list->last;
	*(list->last ? &list->last->next : &list->first) = r;
	list->last = r;
	list->count++;
}

static void list_add_first(struct request_list *list, struct blockdrv_request *r)
{
	r->prev = NULL;
	r->next = list->first;
	*(list->first ? &list->first->prev : &list->last) = r;
	list->first = r;
	list->count++;
}

void bdrv_list_remove(struct request_list *list, struct blockdrv_request *r)
{
	*(r->prev ? &r->prev->next : &list->first) = r->next;
	*(r->next ? &r->next->prev : &list->last) = r->prev;
	r->next = r->prev = NULL;
	list->count--;
}

void bdrv_request_init(void)
{
	for (uint32_t i = 0; i < BLOCKDRV_REQUESTS; i++)
		bdrv_list_add(&requests.free, &requests.table[i]);
}

struct blockdrv_request *bdrv_request_get(void)
{
	struct blockdrv_request *r = requests.free.first;

	if (r) {
		r->session = NULL;
		r->done = NULL;
		r->merged = NULL;
		r->tries = 0;
		r->segment_count = 0;
		r->window = r->buffer = -1;
		r->call = 0;
		r->moves_cursor = false;
		r->alone = r->fua = r->wants_fua = false;
	}
	return r;
}

void bdrv_request_queue(struct disk *d, struct blockdrv_request *r)
{
	bdrv_list_remove(&requests.free, r);
	r->disk = d->number;
	r->state = REQUEST_PENDING;
	r->fua = r->wants_fua && d->geometry.fua;
	r->own_bytes = r->length_bytes;
	r->own_segments = r->segment_count;
	r->accepted_ns = bdrv.round_ns;
	bdrv_schedule_deadline(d, r);
	bdrv_list_add(&d->pending, r);
}

uint32_t bdrv_request_submitted_count(void)
{
	return requests.submitted;
}

int bdrv_request_fit_segments(const struct disk *d, struct x_dma_segment *segments, int count)
{
	uint32_t limit = d->geometry.max_segment_bytes;
	uint32_t max = d->geometry.max_segments < BLOCKDRV_SEGMENTS ? d->geometry.max_segments : BLOCKDRV_SEGMENTS;

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

/* --------------------------------------------------------------------------- ends */

static void count_latency(struct disk_stats *st, uint64_t ns)
{
	uint64_t us = ns / 1000;
	uint32_t bucket = us ? 64 - (uint32_t)__builtin_clzll(us) : 0;

	st->latency[bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1]++;
}

static void count_end(struct disk_stats *st, const struct blockdrv_request *r, int status)
{
	if (status < 0) {
		st->errors++;
		return;
	}
	st->ops[r->kind]++;
	st->bytes[r->kind] += r->own_bytes;
	count_latency(st, bdrv.round_ns - r->accepted_ns);
}

/* Off all lists -> FREE, with all that is merged into it. */
static void finish(struct disk *d, struct blockdrv_request *r, int status)
{
	while (r) {
		struct blockdrv_request *next = r->merged;
		struct blockdrv_session *session = r->session;

		count_end(&d->stats, r, status);
		if (r->window >= 0)
			x_dma_release(d->geometry.device, (uint32_t)r->window);
		r->state = REQUEST_FREE;
		r->merged = NULL;
		list_add_first(&requests.free, r);
		if (session)
			bdrv_session_complete(session, r, status);
		else if (r->done)
			r->done(r, status);
		r = next;
	}
}

/* Each to the head of the queue, on its own; the last first, to keep the order. */
static void split(struct disk *d, struct blockdrv_request *r)
{
	struct blockdrv_request *next = r->merged;

	if (next)
		split(d, next);
	r->merged = NULL;
	r->length_bytes = r->own_bytes;
	r->segment_count = r->own_segments;
	r->alone = true;
	r->state = REQUEST_PENDING;
	list_add_first(&d->pending, r);
}

static void put_back(struct disk *d, struct blockdrv_request *r)
{
	r->state = REQUEST_PENDING;
	list_add_first(&d->pending, r);
}

static bool is_change(const struct blockdrv_request *r)
{
	return r->op != BLOCK_READ && r->op != BLOCK_FLUSH;
}

static void off_device(struct disk *d, struct blockdrv_request *r)
{
	struct range *last = &requests.ranges[--requests.submitted];

	bdrv_list_remove(&d->submitted, r);
	d->submitted_writes -= is_change(r);
	last->of->range = r->range;
	requests.ranges[r->range] = *last;
}

static bool flush_is_due(const struct disk *d, const struct blockdrv_request *r)
{
	return r->wants_fua && !r->fua && r->op != BLOCK_FLUSH && !d->geometry.no_write_cache;
}

void blockdrv_complete(struct blockdrv_request *r, int status)
{
	struct disk *d = &bdrv.disks[r->disk];

	if (r->state != REQUEST_SUBMITTED)
		server_die("device code completes a request that it does not have");
	off_device(d, r);
	d->progress_ns = bdrv.round_ns;
	if (status == -X_EAGAIN) {
		r->alone = true;
		put_back(d, r);
	} else if (status == -X_EIO && r->merged && r->op != BLOCK_FLUSH) {
		split(d, r);
	} else if (status == -X_EIO && ++r->tries < TRIES_MAX) {
		d->stats.retries++;
		r->alone = true;
		put_back(d, r);
	} else if (!status && flush_is_due(d, r)) {
		r->op = BLOCK_FLUSH;
		r->length_bytes = r->segment_count = 0;
		put_back(d, r);
	} else {
		if (!status)
			d->resets_in_row = 0;
		finish(d, r, status);
	}
}

/* -------------------------------------------------------------------- to the device */

static struct range range_of(const struct disk *d, struct blockdrv_request *r)
{
	bool flush = r->op == BLOCK_FLUSH;

	return (struct range){
		.from = flush ? 0 : r->offset_bytes, .to = flush ? 0 : r->offset_bytes + r->length_bytes,
		.of = r, .disk = d->number, .change = is_change(r),
	};
}

static void submitted(struct disk *d, struct blockdrv_request *r)
{
	if (!d->submitted.first)
		d->progress_ns = bdrv.round_ns;
	r->state = REQUEST_SUBMITTED;
	r->submitted_ns = bdrv.round_ns;
	bdrv_list_add(&d->submitted, r);
	d->submitted_writes += is_change(r);
	r->range = requests.submitted++;
	requests.ranges[r->range] = range_of(d, r);
	d->stats.depth_sum += d->submitted.count;
	if (d->submitted.count > d->stats.depth_max)
		d->stats.depth_max = d->submitted.count;
}

/* With something that the device has, one of the two a write. */
static bool overlaps(const struct disk *d, struct blockdrv_request *r)
{
	struct range mine = range_of(d, r);

	if (r->op == BLOCK_FLUSH || (!mine.change && !d->submitted_writes))
		return false;
	for (const struct range *o = requests.ranges; o < requests.ranges + requests.submitted; o++)
		if (o->from < mine.to && mine.from < o->to && o->disk == d->number && (o->change || mine.change))
			return true;
	return false;
}

/*
 * The last try of a request is made with nothing else at the device: QEMU's virtio-blk
 * makes one of those that come together and touch each other on the disk, so with one
 * bad sector all of them fail, each time.
 */
static bool is_last_try(const struct blockdrv_request *r)
{
	return r->tries == TRIES_MAX - 1;
}

static bool submit(struct disk *d)
{
	struct blockdrv_request *r;
	bool any = false;

	while (bdrv_serving(d) && (r = bdrv_schedule_next(d))) {
		int err;

		bdrv_schedule_merge(d, r);
		if (overlaps(d, r))
			break;
		if (d->submitted.first && (is_last_try(r) || is_last_try(d->submitted.first)))
			break;
		err = bdrv.ops->submit(r);
		if (err == -X_EAGAIN)
			break;
		bdrv_list_remove(&d->pending, r);
		if (err) {
			finish(d, r, err);
			continue;
		}
		submitted(d, r);
		any = true;
	}
	d->stats.kicks += any;
	return any;
}

bool bdrv_request_submit_all(void)
{
	bool any = false;

	for (uint32_t i = 0; i < bdrv.disk_count; i++)
		any |= submit(&bdrv.disks[i]);
	return any;
}

void bdrv_request_take_back_all(struct disk *d)
{
	struct blockdrv_request *r;

	while ((r = d->submitted.last)) { /* to the head of the queue: they were first */
		off_device(d, r);
		put_back(d, r);
	}
}

void bdrv_request_fail_all(struct disk *d, int status)
{
	struct request_list failed;

	bdrv_request_take_back_all(d);
	failed = d->pending;
	d->pending = (struct request_list){ 0 };
	while (failed.first) {
		struct blockdrv_request *r = failed.first;

		bdrv_list_remove(&failed, r);
		finish(d, r, status);
	}
}
