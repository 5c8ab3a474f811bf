/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring in shared memory: one producer, one consumer, fixed-size entries.
 *
 * The two sides don't trust each other. Each keeps its own index (and the
 * geometry) in private memory and only publishes it; the peer's index is read,
 * compared with what is possible, and refused with -X_EPROTO if it is not. An
 * entry is copied out before it is looked at.
 *
 * Indices run freely (mod 2^32); slot = index % count, count a power of two.
 *
 * Notifications are suppressed on both sides with event indices: who is about
 * to sleep says after which index of the peer it wants to be woken
 * (ring_arm_*), and looks once more; who moves an index says whether that
 * index was passed (the result of ring_publish and ring_release). The race
 *
 *     producer                         consumer
 *     store tail                       store consumer_event
 *     full fence                (F)    full fence                (F)
 *     load consumer_event              load tail
 *
 * cannot lose both ways: at least one of the loads sees the other's store.
 *
 * Fresh rings are zeroed memory; a ring is never used by a second incarnation.
 * Header of ring_shared: 256 bytes, one cache line for each writer's word.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ring_shared {
	uint32_t tail;           /* producer: entries ever published */
	uint32_t pad0[15];
	uint32_t head;           /* consumer: entries ever released */
	uint32_t pad1[15];
	uint32_t consumer_event; /* consumer: wake me when tail goes past this */
	uint32_t pad2[15];
	uint32_t producer_event; /* producer: wake me when head goes past this */
	uint32_t pad3[15];
	uint8_t entries[];
};
_Static_assert(sizeof(struct ring_shared) == 256, "struct ring_shared");

#define RING_BYTES(count, entry_bytes) (sizeof(struct ring_shared) + (size_t)(count) * (entry_bytes))

/* One side's private view. */
struct ring {
	struct ring_shared *shared;
	uint32_t count;          /* slots, power of two */
	uint32_t entry_bytes;
	uint32_t mine;           /* producer: next to write; consumer: next to read */
	uint32_t published;      /* the value of `mine` that the peer was shown */
	uint32_t peer;           /* the peer's index as last read and checked */
};

/* Both sides. `memory` is zeroed and has RING_BYTES(count, entry_bytes). */
void ring_init(struct ring *r, void *memory, uint32_t count, uint32_t entry_bytes);

/* ---- producer ---- */
/* Slots that can be written now; -X_EPROTO if the consumer's index is impossible. */
int ring_space(struct ring *r);
/* Write one entry, not yet visible. 0, -X_EAGAIN (full), -X_EPROTO. */
int ring_push(struct ring *r, const void *entry);
/* Show all that was pushed. true: the consumer wants to be notified. */
bool ring_publish(struct ring *r);
/* Ask for a notification at the next release; true: there is space already. */
bool ring_arm_producer(struct ring *r);

/* ---- consumer ---- */
/* Entries that can be read now; -X_EPROTO if the producer's index is impossible. */
int ring_available(struct ring *r);
/* Copy out one entry. 1, 0 (empty), -X_EPROTO. The slot stays ours until released. */
int ring_pop(struct ring *r, void *entry);
/* Copy out some that lie behind each other, at most `most` (not 0): how many, 0 (empty), -X_EPROTO. */
int ring_pop_many(struct ring *r, void *entries, uint32_t most);
/* Give all popped slots back. true: the producer wants to be notified. */
bool ring_release(struct ring *r);
/* Ask for a notification at the next publish; true: there are entries already. */
bool ring_arm_consumer(struct ring *r);
/* The same, but `more` further entries need not be told of; true: there are more
 * than that already. */
bool ring_arm_consumer_after(struct ring *r, uint32_t more);

/*
 * For a side whose stores take effect at a commit (X_OUT_STORE32): the word
 * and the value to store instead of calling ring_publish() or ring_release(). The
 * peer's wish to be notified is looked at by the kernel, after the store: the word
 * it is in, and `published` from before the taking (out_signal_past()).
 */
const uint32_t *ring_event_word(const struct ring *r, bool producer);
uint32_t *ring_index_word(struct ring *r, bool producer);
uint32_t ring_index_take(struct ring *r); /* the value; counts as published */
bool ring_unpublished(const struct ring *r);

#endif
