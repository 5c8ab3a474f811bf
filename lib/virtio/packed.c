/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packed virtqueue, driver's side (virtio 1.2, 2.8; contract in virtqueue.h).
 *
 * One ring of descriptors, written by both sides. Bits AVAIL and USED of a
 * descriptor's flags, against a wrap counter that turns over with each round,
 * tell whose it is. What was added since the last publication becomes visible by
 * the flags of its first descriptor, written last.
 */
#include "lib/c/string.h"
#include "lib/virtio/virtqueue.h"
#include <xinim/error.h>

#define TABLE_BYTES (VIRTQUEUE_INDIRECT_MAX * sizeof(struct virtq_packed_desc))

int virtqueue_init_packed(struct virtqueue *q, const struct dma_buffer *memory, uint16_t size, bool event_idx,
			  bool indirect)
{
	uint64_t events = size * sizeof(struct virtq_packed_desc), tables = (events + 8 + 63) & ~63ull;

	if (!size || size > VIRTQUEUE_SIZE_MAX || memory->bytes < tables + (indirect ? size * TABLE_BYTES : 0))
		return -X_EINVAL;
	memset(q, 0, sizeof(*q));
	memset(memory->virt, 0, memory->bytes);
	q->size = size;
	q->event_idx = event_idx;
	q->indirect = indirect;
	q->packed = true;
	q->ring = (void *)memory->virt;
	q->driver_event = (void *)(memory->virt + events);
	q->device_event = q->driver_event + 1;
	q->tables = (void *)(memory->virt + tables);
	q->desc_iova = memory->iova;
	q->avail_iova = memory->iova + events;
	q->used_iova = memory->iova + events + sizeof(struct virtq_packed_event);
	q->tables_iova = memory->iova + tables;
	q->avail_wrap = q->used_wrap = 1;
	q->free_count = size;
	for (uint16_t i = 0; i < size; i++)
		q->slots[i].next = i + 1;
	q->slots[size - 1].next = VIRTQUEUE_NONE;
	return 0;
}

/* The next place in the ring; the first one since the last publication keeps
 * its old flags for now. */
static void place(struct virtqueue *q, uint64_t addr, uint32_t len, uint16_t id, uint16_t flags)
{
	struct virtq_packed_desc *d = &q->ring[q->avail_idx];

	flags |= q->avail_wrap ? VIRTQ_DESC_AVAIL : VIRTQ_DESC_USED;
	d->addr = addr;
	d->len = len;
	d->id = id;
	if (!q->added++) {
		q->first = q->avail_idx;
		q->first_flags = flags;
	} else {
		d->flags = flags;
	}
	if (++q->avail_idx == q->size) {
		q->avail_idx = 0;
		q->avail_wrap ^= 1;
	}
}

static void place_table(struct virtqueue *q, const struct virtq_segment *segments, uint32_t out, uint32_t count,
			uint16_t id)
{
	struct virtq_packed_desc *table = (void *)((uint8_t *)q->tables + id * TABLE_BYTES);

	for (uint32_t i = 0; i < count; i++)
		table[i] = (struct virtq_packed_desc){
			.addr = segments[i].iova, .len = segments[i].bytes, .flags = i >= out ? VIRTQ_DESC_WRITE : 0,
		};
	place(q, q->tables_iova + id * TABLE_BYTES, count * sizeof(*table), id, VIRTQ_DESC_INDIRECT);
}

static void place_chain(struct virtqueue *q, const struct virtq_segment *segments, uint32_t out, uint32_t count,
			uint16_t id)
{
	for (uint32_t i = 0; i < count; i++)
		place(q, segments[i].iova, segments[i].bytes, id,
		      (i >= out ? VIRTQ_DESC_WRITE : 0) | (i + 1 < count ? VIRTQ_DESC_NEXT : 0));
}

int packed_add(struct virtqueue *q, const struct virtq_segment *segments, uint32_t out, uint32_t in, uint32_t token)
{
	uint32_t count = out + in, places;
	bool indirect = q->indirect && count > 1;
	uint16_t id = q->free_first;
	uint64_t device_bytes = 0;

	if (!count || (indirect ? count > VIRTQUEUE_INDIRECT_MAX : count > q->size))
		return -X_E2BIG;
	places = indirect ? 1 : count;
	if (places > q->free_count)
		return -X_EAGAIN;
	for (uint32_t i = out; i < count; i++)
		device_bytes += segments[i].bytes;
	q->free_first = q->slots[id].next;
	q->free_count -= places;
	q->slots[id].chain_length = places;
	q->slots[id].token = token;
	q->slots[id].device_bytes = device_bytes > UINT32_MAX ? UINT32_MAX : device_bytes;
	q->in_flight++;
	if (indirect)
		place_table(q, segments, out, count, id);
	else
		place_chain(q, segments, out, count, id);
	return 0;
}

/*
 * Does the device want a kick? Yes, unless the place at which it does is still ahead
 * (2.8.10). One that was passed before counts, too, though the device had its kick
 * then: QEMU 7.2 leaves it there when it stops, having gone on sending by itself.
 * Places are compared on a circle of two rounds of the ring.
 */
static bool wanted(const struct virtqueue *q)
{
	uint16_t flags = __atomic_load_n(&q->device_event->flags, __ATOMIC_ACQUIRE) & 3;
	uint16_t at = __atomic_load_n(&q->device_event->place, __ATOMIC_RELAXED);
	uint32_t circle = 2u * q->size;
	uint32_t event = (at & 0x7fff) + (at >> 15 ? 0 : q->size), next = q->avail_idx + (q->avail_wrap ? 0 : q->size);

	if (flags != VIRTQ_EVENT_PLACE)
		return flags != VIRTQ_EVENT_NEVER;
	return (event + circle - next) % circle >= q->size;
}

bool packed_publish(struct virtqueue *q)
{
	if (!q->added)
		return false;
	/* Release: all the other descriptors are there before this one says so. */
	__atomic_store_n(&q->ring[q->first].flags, q->first_flags, __ATOMIC_RELEASE);
	q->added = 0;
	/* Pairs with the device's: it stores its event, then looks at the ring again. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return wanted(q);
}

/* The place `ahead` of the next one to be reaped, its wrap counter in bit 15 (2.8.10). */
static uint16_t place_ahead(const struct virtqueue *q, uint16_t ahead)
{
	uint16_t at = q->used_idx + ahead;

	return at < q->size ? at | q->used_wrap << 15 : (at - q->size) | (q->used_wrap ^ 1) << 15;
}

static bool is_used(const struct virtqueue *q, uint16_t place)
{
	/* Acquire: the rest of the descriptor, and the data, are read after. */
	uint16_t flags = __atomic_load_n(&q->ring[place & 0x7fff].flags, __ATOMIC_ACQUIRE);
	bool avail = flags & VIRTQ_DESC_AVAIL, used = flags & VIRTQ_DESC_USED;

	return avail == used && used == place >> 15;
}

int packed_reap(struct virtqueue *q, uint32_t *token, uint32_t *written)
{
	const volatile struct virtq_packed_desc *d = &q->ring[q->used_idx];
	uint16_t id, places;
	uint32_t len;

	if (!q->in_flight || !is_used(q, place_ahead(q, 0)))
		return 0;
	id = d->id; /* once: the device may change it under us */
	len = d->len;
	if (id >= q->size || !q->slots[id].chain_length || len > q->slots[id].device_bytes)
		return -X_EPROTO;
	*token = q->slots[id].token;
	*written = len;
	places = q->slots[id].chain_length;
	q->slots[id].chain_length = 0;
	q->slots[id].next = q->free_first;
	q->free_first = id;
	q->free_count += places;
	q->in_flight--;
	q->used_idx += places;
	if (q->used_idx >= q->size) {
		q->used_idx -= q->size;
		q->used_wrap ^= 1;
	}
	return 1;
}

bool packed_arm_after(struct virtqueue *q, uint16_t more)
{
	uint16_t ahead = q->event_idx && q->indirect ? more : 0; /* each takes one place then */
	uint16_t place = place_ahead(q, ahead);

	if (q->event_idx) {
		__atomic_store_n(&q->driver_event->place, place, __ATOMIC_RELAXED);
		__atomic_store_n(&q->driver_event->flags, VIRTQ_EVENT_PLACE, __ATOMIC_RELEASE);
	}
	/* Pairs with the device's: it uses a descriptor, then looks at our event. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return q->in_flight > ahead && is_used(q, place);
}
