/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Split virtqueue, driver's side (contract in virtqueue.h).
 */
#include "lib/virtio/virtqueue.h"

#include "lib/c/string.h"
#include <xinim/error.h>

#define TABLE_BYTES (VIRTQUEUE_INDIRECT_MAX * sizeof(struct virtq_desc))

static uint64_t round_up(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) & ~(to - 1);
}

static uint64_t avail_offset(uint16_t size)
{
	return size * sizeof(struct virtq_desc);
}

static uint64_t used_offset(uint16_t size)
{
	return round_up(avail_offset(size) + sizeof(struct virtq_avail) + (size + 1) * sizeof(uint16_t), 64);
}

static uint64_t tables_offset(uint16_t size)
{
	return round_up(used_offset(size) + sizeof(struct virtq_used) +
			size * sizeof(struct virtq_used_elem) + sizeof(uint16_t), 64);
}

uint64_t virtqueue_bytes(uint16_t size, bool indirect)
{
	return round_up(tables_offset(size) + (indirect ? size * TABLE_BYTES : 0), X_PAGE_SIZE);
}

/* used_event stands behind the available ring, avail_event behind the used one. */
static uint16_t *used_event(struct virtqueue *q)
{
	return &q->avail->ring[q->size];
}

static const uint16_t *avail_event(struct virtqueue *q)
{
	return (const uint16_t *)&q->used->ring[q->size];
}

int virtqueue_init(struct virtqueue *q, const struct dma_buffer *memory, uint16_t size, bool event_idx, bool indirect)
{
	if (!size || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) ||
	    memory->bytes < virtqueue_bytes(size, indirect))
		return -X_EINVAL;
	memset(q, 0, sizeof(*q));
	memset(memory->virt, 0, virtqueue_bytes(size, indirect));
	q->size = size;
	q->event_idx = event_idx;
	q->indirect = indirect;
	q->desc = (void *)memory->virt;
	q->avail = (void *)(memory->virt + avail_offset(size));
	q->used = (void *)(memory->virt + used_offset(size));
	q->tables = (void *)(memory->virt + tables_offset(size));
	q->desc_iova = memory->iova;
	q->avail_iova = memory->iova + avail_offset(size);
	q->used_iova = memory->iova + used_offset(size);
	q->tables_iova = memory->iova + tables_offset(size);
	q->free_count = size;
	for (uint16_t i = 0; i < size; i++)
		q->slots[i].next = i + 1;
	q->slots[size - 1].next = VIRTQUEUE_NONE;
	return 0;
}

static void describe(struct virtq_desc *d, const struct virtq_segment *s, bool device_writes, uint16_t next, bool last)
{
	d->addr = s->iova;
	d->len = s->bytes;
	d->flags = (device_writes ? VIRTQ_DESC_WRITE : 0) | (last ? 0 : VIRTQ_DESC_NEXT);
	d->next = last ? 0 : next;
}

static void fill_indirect(struct virtqueue *q, uint16_t head, const struct virtq_segment *segments,
			  uint32_t out, uint32_t count)
{
	struct virtq_desc *table = q->tables + (size_t)head * VIRTQUEUE_INDIRECT_MAX;

	for (uint32_t i = 0; i < count; i++)
		describe(&table[i], &segments[i], i >= out, i + 1, i + 1 == count);
	q->desc[head] = (struct virtq_desc){
		.addr = q->tables_iova + head * TABLE_BYTES,
		.len = count * sizeof(struct virtq_desc),
		.flags = VIRTQ_DESC_INDIRECT,
	};
}

static void fill_chain(struct virtqueue *q, uint16_t head, const struct virtq_segment *segments,
		       uint32_t out, uint32_t count)
{
	uint16_t id = head;

	for (uint32_t i = 0; i < count; i++) {
		describe(&q->desc[id], &segments[i], i >= out, q->slots[id].next, i + 1 == count);
		id = q->slots[id].next;
	}
}

int virtqueue_add(struct virtqueue *q, const struct virtq_segment *segments, uint32_t out, uint32_t in, uint32_t token)
{
	uint32_t count = out + in;
	bool indirect = q->indirect && count > 1;
	uint32_t descriptors = indirect ? 1 : count;
	uint16_t head = q->free_first, after;
	uint64_t device_bytes = 0;

	if (q->packed)
		return packed_add(q, segments, out, in, token);
	if (!count || count > q->size || (indirect && count > VIRTQUEUE_INDIRECT_MAX))
		return -X_E2BIG;
	if (descriptors > q->free_count)
		return -X_EAGAIN;
	if (indirect)
		fill_indirect(q, head, segments, out, count);
	else
		fill_chain(q, head, segments, out, count);
	for (uint32_t i = out; i < count; i++)
		device_bytes += segments[i].bytes;
	after = head;
	for (uint32_t i = 0; i < descriptors; i++)
		after = q->slots[after].next;
	q->free_first = after;
	q->free_count -= descriptors;
	q->slots[head].chain_length = descriptors;
	q->slots[head].token = token;
	q->slots[head].device_bytes = device_bytes > UINT32_MAX ? UINT32_MAX : device_bytes;
	q->in_flight++;
	q->avail->ring[q->avail_idx & (q->size - 1)] = head;
	q->avail_idx++;
	return 0;
}

/* Did the step old -> now pass the event index? (2.7.7.1) */
static bool passed(uint16_t event, uint16_t old, uint16_t now)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

bool virtqueue_publish(struct virtqueue *q)
{
	uint16_t old = q->avail_shown;

	if (q->packed)
		return packed_publish(q);
	if (old == q->avail_idx)
		return false;
	/* Release: descriptors and ring entries are there before the index says so. */
	__atomic_store_n(&q->avail->idx, q->avail_idx, __ATOMIC_RELEASE);
	q->avail_shown = q->avail_idx;
	/* Pairs with the device's: it stores avail_event, then looks at idx again. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_idx)
		return passed(__atomic_load_n(avail_event(q), __ATOMIC_RELAXED), old, q->avail_idx);
	return !(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & VIRTQ_USED_NO_NOTIFY);
}

static void free_chain(struct virtqueue *q, uint16_t head)
{
	uint16_t last = head;

	for (uint16_t i = 1; i < q->slots[head].chain_length; i++)
		last = q->slots[last].next;
	q->free_count += q->slots[head].chain_length;
	q->slots[head].chain_length = 0;
	q->slots[last].next = q->free_first;
	q->free_first = head;
	q->in_flight--;
}

static int split_reap(struct virtqueue *q, uint32_t *token, uint32_t *written)
{
	/* Acquire: the entry, and the data, are read after the index. */
	uint16_t idx = __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
	const volatile struct virtq_used_elem *elem = &q->used->ring[q->used_idx & (q->size - 1)];
	uint32_t id, len;

	if (idx == q->used_idx)
		return 0;
	if ((uint16_t)(idx - q->used_idx) > q->in_flight)
		return -X_EPROTO;
	id = elem->id; /* once: the device may change it under us */
	len = elem->len;
	if (id >= q->size || !q->slots[id].chain_length || len > q->slots[id].device_bytes)
		return -X_EPROTO;
	*token = q->slots[id].token;
	*written = len;
	free_chain(q, id);
	q->used_idx++;
	return 1;
}

int virtqueue_reap(struct virtqueue *q, uint32_t *token, uint32_t *written)
{
	return q->packed ? packed_reap(q, token, written) : split_reap(q, token, written);
}

bool virtqueue_arm(struct virtqueue *q)
{
	return virtqueue_arm_after(q, 0);
}

bool virtqueue_arm_after(struct virtqueue *q, uint16_t more)
{
	if (q->packed)
		return packed_arm_after(q, more);
	if (q->event_idx)
		__atomic_store_n(used_event(q), (uint16_t)(q->used_idx + more), __ATOMIC_RELAXED);
	/* Pairs with the device's: it stores used idx, then looks at used_event. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (uint16_t)(__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) - q->used_idx) > more;
}
