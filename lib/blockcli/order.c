/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which request may be sent now.
 *
 *   A read or write waits for every earlier one, sent or still queued, whose
 *   bytes overlap with its own, if either of the two is a write.
 *   A flush waits until every write submitted before it is completed.
 *
 * So whatever is outstanding together may be done, or done again, in any
 * order with the same outcome. That is what makes replay right.
 */
#include "lib/blockcli/internal.h"

#define HELD_MAX 32u /* held back before the search for others to send is given up */

struct held { uint32_t count; struct block_request *request[HELD_MAX]; };

static bool conflict(const struct block_request *a, const struct block_request *b)
{
	if (a->op == BLOCK_FLUSH || b->op == BLOCK_FLUSH || (a->op == BLOCK_READ && b->op == BLOCK_READ))
		return false;
	return a->offset_bytes < b->offset_bytes + b->length_bytes &&
	       b->offset_bytes < a->offset_bytes + a->length_bytes;
}

static bool flush_may_go(const struct block_client *c, const struct block_request *flush, const struct held *held)
{
	for (uint32_t i = 0; i < held->count; i++)
		if (bcli_is_write(held->request[i]))
			return false;
	if (!c->sent_writes)
		return true;
	for (const struct block_request *s = c->sent.first; s; s = s->next)
		if (bcli_is_write(s) && s->sequence < flush->sequence)
			return false;
	return true;
}

static bool may_go(const struct block_client *c, const struct block_request *r, const struct held *held)
{
	if (r->op == BLOCK_FLUSH)
		return flush_may_go(c, r, held);
	for (uint32_t i = 0; i < held->count; i++)
		if (conflict(r, held->request[i]))
			return false;
	if (r->op == BLOCK_READ && !c->sent_writes)
		return true;
	for (const struct block_request *s = c->sent.first; s; s = s->next)
		if (conflict(r, s))
			return false;
	return true;
}

static int check_vector(const struct block_client *c, const struct block_request *r)
{
	uint64_t sum = 0;

	if (r->extent_count > BLOCK_EXTENTS)
		return -X_EINVAL;
	for (uint32_t i = 0; i < r->extent_count; i++) {
		const struct block_extent *e = &r->extents[i];

		if (e->bytes > c->pool_bytes || e->pool_offset > c->pool_bytes - e->bytes)
			return -X_EINVAL;
		sum += e->bytes;
	}
	return sum == r->length_bytes ? 0 : -X_EINVAL;
}

static int check_data(const struct block_client *c, const struct block_request *r)
{
	if (r->length_bytes > c->info.max_request_bytes)
		return -X_EINVAL;
	if (r->flags & BLOCK_WINDOW)
		return 0;
	if (r->extents)
		return check_vector(c, r);
	return r->length_bytes > c->pool_bytes || r->pool_offset > c->pool_bytes - r->length_bytes ? -X_EINVAL : 0;
}

static int check_range(const struct block_client *c, const struct block_request *r)
{
	const struct block_info *i = &c->info;

	if (!r->length_bytes || r->length_bytes % i->logical_block_bytes || r->offset_bytes % i->logical_block_bytes)
		return -X_EINVAL;
	return r->length_bytes > i->size_bytes || r->offset_bytes > i->size_bytes - r->length_bytes ? -X_EINVAL : 0;
}

/* 0, or why it fails without being sent. */
static int check(struct block_client *c, const struct block_request *r)
{
	const struct block_info *i = &c->info;
	int err;

	if (r->op == BLOCK_FLUSH) {
		if (!c->cache_lost)
			return 0;
		/* Writes that were answered are gone: said once, by this flush. */
		c->cache_lost = false;
		c->writes_stable = c->writes_completed;
		return -X_EIO;
	}
	if (r->op == BLOCK_CALLS_STOP || r->op == BLOCK_CALLS_GO)
		return i->calls && !r->length_bytes ? 0 : -X_EOPNOTSUPP;
	if (r->op < BLOCK_READ || r->op > BLOCK_WRITE_ZEROES)
		return -X_EINVAL;
	err = check_range(c, r);
	if (err)
		return err;
	if (r->op != BLOCK_READ && i->read_only)
		return -X_EROFS;
	if (r->op == BLOCK_DISCARD)
		return !i->max_discard_bytes ? -X_EOPNOTSUPP : r->length_bytes > i->max_discard_bytes ? -X_EINVAL : 0;
	if (r->op == BLOCK_WRITE_ZEROES)
		return r->length_bytes > i->max_write_zeroes_bytes ? -X_EINVAL : 0;
	return check_data(c, r);
}

void bcli_order_send(struct block_client *c)
{
	struct held held;
	struct block_request *r, *next;

	if (!c->queue.first)
		return;
	held.count = 0;
	for (r = c->queue.first; r && c->free_id_count && held.count < HELD_MAX; r = next) {
		int err;

		next = r->next;
		if (!may_go(c, r, &held)) {
			held.request[held.count++] = r;
			continue;
		}
		err = check(c, r);
		bcli_request_unlink(&c->queue, r);
		if (err) {
			bcli_request_fail_later(c, r, err);
		} else if (bcli_session_push(c, r)) {
			bcli_request_insert(&c->queue, r);
			bcli_session_lost(c, true);
			return;
		}
	}
}
