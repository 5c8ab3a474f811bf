/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which pending request goes to the device next.
 *
 *   none      in the order of arrival; the device sorts
 *   deadline  one sweep over the disk after the other, reads before writes; who
 *             has waited too long goes first
 *   fair      the session that has been served least since all were busy
 *
 * A flush goes at once: it covers only what is completed already, so nothing
 * that waits can profit from holding it back.
 *
 * With deadline and fair the device gets few requests at once: what it has
 * can't be sorted any more.
 *
 * Reads, and writes, that touch each other on the disk become one request if
 * both are waiting and the device's limits allow it. With `none` only
 * neighbours in the queue do.
 */
#include "lib/blockdrv/internal.h"
#include "lib/c/string.h"

#define SORTED_DEPTH     32u
#define READ_EXPIRES_NS  500000000ull
#define WRITE_EXPIRES_NS 5000000000ull
#define READS_IN_ROW     32u /* while a write waits */

static const char *const names[SCHEDULERS] = { "none", "deadline", "fair" };

int bdrv_scheduler_find(const char *name)
{
	for (uint32_t i = 0; i < SCHEDULERS; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -X_EINVAL;
}

const char *bdrv_scheduler_name(enum scheduler s)
{
	return names[s];
}

void bdrv_schedule_deadline(struct disk *d, struct blockdrv_request *r)
{
	struct blockdrv_session *s = r->session;

	r->deadline_ns = r->accepted_ns + (r->op == BLOCK_READ ? READ_EXPIRES_NS : WRITE_EXPIRES_NS);
	/* Who was idle has saved nothing up. */
	if (s && !s->in_flight && s->served_bytes < d->fair_bytes)
		s->served_bytes = d->fair_bytes;
}

/* ------------------------------------------------------------------------- deadline */

struct choice { struct blockdrv_request *ahead, *lowest, *oldest; };

static void consider(struct choice *c, struct blockdrv_request *r, uint64_t sweep_bytes)
{
	if (!c->oldest)
		c->oldest = r;
	if (!c->lowest || r->offset_bytes < c->lowest->offset_bytes)
		c->lowest = r;
	if (r->offset_bytes >= sweep_bytes && (!c->ahead || r->offset_bytes < c->ahead->offset_bytes))
		c->ahead = r;
}

static struct blockdrv_request *next_deadline(struct disk *d)
{
	struct choice reads = { 0 }, others = { 0 }, *from;
	struct blockdrv_request *r;

	for (r = d->pending.first; r; r = r->next) {
		if (r->op == BLOCK_FLUSH || r->alone)
			return r;
		consider(r->op == BLOCK_READ ? &reads : &others, r, d->sweep_bytes);
	}
	if (reads.oldest && reads.oldest->deadline_ns <= bdrv.round_ns)
		r = reads.oldest;
	else if (others.oldest && others.oldest->deadline_ns <= bdrv.round_ns)
		r = others.oldest;
	if (!r) {
		from = reads.oldest && (!others.oldest || d->reads_in_row < READS_IN_ROW) ? &reads : &others;
		r = from->ahead ? from->ahead : from->lowest;
	}
	d->reads_in_row = r->op == BLOCK_READ && others.oldest ? d->reads_in_row + 1 : 0;
	d->sweep_bytes = r->offset_bytes + r->length_bytes;
	return r;
}

/* ----------------------------------------------------------------------------- fair */

static uint64_t served(const struct blockdrv_request *r)
{
	return r->session ? r->session->served_bytes : 0; /* our own come first */
}

static struct blockdrv_request *next_fair(struct disk *d)
{
	struct blockdrv_request *best = d->pending.first;

	for (struct blockdrv_request *r = best; r; r = r->next) {
		if (r->op == BLOCK_FLUSH || r->alone)
			return r;
		if (served(r) < served(best))
			best = r;
	}
	if (best->session) {
		d->fair_bytes = best->session->served_bytes;
		best->session->served_bytes += best->length_bytes + 4096; /* small ones cost too */
	}
	return best;
}

struct blockdrv_request *bdrv_schedule_next(struct disk *d)
{
	uint32_t depth = d->geometry.depth;

	if (d->scheduler != SCHEDULER_NONE && (!depth || depth > SORTED_DEPTH))
		depth = SORTED_DEPTH;
	if (!d->pending.first || (depth && d->submitted.count >= depth))
		return NULL;
	switch (d->scheduler) {
	case SCHEDULER_DEADLINE: return next_deadline(d);
	case SCHEDULER_FAIR: return next_fair(d);
	default: return d->pending.first;
	}
}

/* -------------------------------------------------------------------------- merging */

static bool fits_behind(const struct disk *d, const struct blockdrv_request *r, const struct blockdrv_request *next)
{
	const struct blockdrv_geometry *g = &d->geometry;

	if (next->op != r->op || next->alone || next->merged || next->wants_fua != r->wants_fua ||
	    next->offset_bytes != r->offset_bytes + r->length_bytes)
		return false;
	return next->length_bytes <= g->max_request_bytes - r->length_bytes &&
	       next->segment_count <= BLOCKDRV_SEGMENTS - r->segment_count &&
	       next->segment_count + r->segment_count <= g->max_segments;
}

static void append(struct blockdrv_request *r, struct blockdrv_request *next)
{
	memcpy(&r->segments[r->segment_count], next->segments, next->segment_count * sizeof(next->segments[0]));
	r->segment_count += next->segment_count;
	r->length_bytes += next->length_bytes;
	while (r->merged)
		r = r->merged;
	r->merged = next;
}

static struct blockdrv_request *find_behind(const struct disk *d, const struct blockdrv_request *r)
{
	struct blockdrv_request *next;

	if (d->scheduler == SCHEDULER_NONE)
		return r->next && fits_behind(d, r, r->next) ? r->next : NULL;
	for (next = d->pending.first; next; next = next->next)
		if (next != r && fits_behind(d, r, next))
			return next;
	return NULL;
}

void bdrv_schedule_merge(struct disk *d, struct blockdrv_request *r)
{
	struct blockdrv_request *next;

	if ((r->op != BLOCK_READ && r->op != BLOCK_WRITE) || r->alone || !r->session)
		return;
	while ((next = find_behind(d, r))) {
		if (!next->session) /* the library's own scan */
			return;
		bdrv_list_remove(&d->pending, next);
		append(r, next);
		d->stats.merged++;
	}
}
