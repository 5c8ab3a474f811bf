/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring in shared memory (contract and race analysis in ring.h).
 */
#include "lib/ring/ring.h"

#include "lib/c/string.h"
#include <xinim/error.h>

void ring_init(struct ring *r, void *memory, uint32_t count, uint32_t entry_bytes)
{
	*r = (struct ring){ .shared = memory, .count = count, .entry_bytes = entry_bytes };
}

static uint8_t *slot(struct ring *r, uint32_t index)
{
	return r->shared->entries + (size_t)(index & (r->count - 1)) * r->entry_bytes;
}

/* Acquire: what the peer did to the entries before it moved its index is seen. */
static uint32_t load_index(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void full_fence(void) /* F in ring.h */
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Did moving our index from `old` to `now` pass the peer's event index? */
static bool passed(uint32_t event, uint32_t old, uint32_t now)
{
	return now - event - 1 < now - old;
}

static bool show(struct ring *r, uint32_t *word, const uint32_t *event)
{
	uint32_t old = r->published;

	if (old == r->mine)
		return false;
	/* Release: entries written (or read) before are so for who sees the index. */
	__atomic_store_n(word, r->mine, __ATOMIC_RELEASE);
	r->published = r->mine;
	full_fence();
	return passed(__atomic_load_n(event, __ATOMIC_RELAXED), old, r->mine);
}

int ring_space(struct ring *r)
{
	uint32_t head = load_index(&r->shared->head);

	/* The consumer can't go back, nor past what was published. */
	if (head - r->peer > r->published - r->peer)
		return -X_EPROTO;
	r->peer = head;
	return r->count - (r->mine - head);
}

int ring_push(struct ring *r, const void *entry)
{
	if (r->mine - r->peer >= r->count) {
		int space = ring_space(r);

		if (space <= 0)
			return space < 0 ? space : -X_EAGAIN;
	}
	memcpy(slot(r, r->mine), entry, r->entry_bytes);
	r->mine++;
	return 0;
}

bool ring_publish(struct ring *r)
{
	return show(r, &r->shared->tail, &r->shared->consumer_event);
}

bool ring_arm_producer(struct ring *r)
{
	__atomic_store_n(&r->shared->producer_event, r->peer, __ATOMIC_RELAXED);
	full_fence();
	return ring_space(r) != 0; /* an error is for ring_push() to report */
}

int ring_available(struct ring *r)
{
	uint32_t tail = load_index(&r->shared->tail);

	/* The producer can't go back, nor overrun slots we have not released. */
	if (tail - r->published > r->count || tail - r->published < r->peer - r->published)
		return -X_EPROTO;
	r->peer = tail;
	return tail - r->mine;
}

int ring_pop(struct ring *r, void *entry)
{
	return ring_pop_many(r, entry, 1);
}

int ring_pop_many(struct ring *r, void *entries, uint32_t most)
{
	uint32_t count, until_wrap = r->count - (r->mine & (r->count - 1));

	if (r->mine == r->peer) {
		int available = ring_available(r);

		if (available <= 0)
			return available;
	}
	count = r->peer - r->mine;
	count = count < most ? count : most;
	count = count < until_wrap ? count : until_wrap; /* what lies in one run */
	memcpy(entries, slot(r, r->mine), (size_t)count * r->entry_bytes);
	r->mine += count;
	return (int)count;
}

bool ring_release(struct ring *r)
{
	return show(r, &r->shared->head, &r->shared->producer_event);
}

bool ring_arm_consumer(struct ring *r)
{
	return ring_arm_consumer_after(r, 0);
}

bool ring_arm_consumer_after(struct ring *r, uint32_t more)
{
	int available;

	__atomic_store_n(&r->shared->consumer_event, r->mine + more, __ATOMIC_RELAXED);
	full_fence();
	available = ring_available(r);
	return available < 0 || (uint32_t)available > more; /* an error is for ring_pop() to report */
}

uint32_t *ring_index_word(struct ring *r, bool producer)
{
	return producer ? &r->shared->tail : &r->shared->head;
}

const uint32_t *ring_event_word(const struct ring *r, bool producer)
{
	return producer ? &r->shared->consumer_event : &r->shared->producer_event;
}

uint32_t ring_index_take(struct ring *r)
{
	r->published = r->mine;
	return r->mine;
}

bool ring_unpublished(const struct ring *r)
{
	return r->published != r->mine;
}
