/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtqueues, driver's side, split and packed (virtio 1.2, 2.7 and 2.8), with
 * event indices and indirect descriptors.
 *
 * The device may lie: nothing it can write is believed. Which descriptors are
 * in flight, how they are chained and how much they hold is kept in private
 * memory; what the used ring says is compared with that, and -X_EPROTO is
 * returned for the impossible. After that the queue is not to be used until it
 * was initialised again behind a reset of the device.
 *
 *   virtqueue_add()      describe a chain, not yet visible
 *   virtqueue_publish()  make all added visible; true: kick the device
 *   virtqueue_reap()     take one finished chain
 *   virtqueue_arm()      ask for an interrupt at the next one
 */
#ifndef LIB_VIRTIO_VIRTQUEUE_H
#define LIB_VIRTIO_VIRTQUEUE_H

#include <stdbool.h>
#include "lib/dma/dma.h"
#include "lib/virtio/virtio_reg.h"

#define VIRTQUEUE_SIZE_MAX     256u
#define VIRTQUEUE_INDIRECT_MAX 66u  /* descriptors of an indirect table */
#define VIRTQUEUE_NONE         0xffffu

struct virtq_segment { uint64_t iova; uint32_t bytes; };

struct virtqueue {
	uint16_t size;          /* power of two */
	bool event_idx, indirect, packed;
	/* in memory shared with the device */
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct virtq_desc *tables; /* VIRTQUEUE_INDIRECT_MAX for each descriptor */
	uint64_t desc_iova, avail_iova, used_iova, tables_iova;
	/* private */
	uint16_t avail_idx;     /* next to fill */
	uint16_t avail_shown;   /* what the device was shown */
	uint16_t used_idx;      /* next to take */
	uint16_t free_first, free_count;
	uint16_t in_flight;     /* chains */
	/* packed only: avail_idx and used_idx are places in the ring */
	struct virtq_packed_desc *ring;
	struct virtq_packed_event *driver_event, *device_event;
	uint16_t avail_wrap, used_wrap; /* 0 or 1 */
	uint16_t added;         /* descriptors since the last publication */
	uint16_t first, first_flags; /* of these: where, and the flags that make all visible */
	struct {
		uint16_t next;          /* of the chain, or of the free list */
		uint16_t chain_length;  /* head of a chain in flight: descriptors, else 0 */
		uint32_t token;
		uint32_t device_bytes;  /* what the device may write in all */
	} slots[VIRTQUEUE_SIZE_MAX];
};

/* Bytes of memory (page aligned) for a queue of `size`. */
uint64_t virtqueue_bytes(uint16_t size, bool indirect);
/* memory: zeroed here, at least virtqueue_bytes(). Fresh indices, all free.
 * -X_EINVAL: size is no power of two or too large, memory too small. */
int virtqueue_init(struct virtqueue *q, const struct dma_buffer *memory, uint16_t size, bool event_idx, bool indirect);
/* The same for a packed ring (VIRTIO_F_RING_PACKED); size need not be a power of two. */
int virtqueue_init_packed(struct virtqueue *q, const struct dma_buffer *memory, uint16_t size, bool event_idx, bool indirect);
/* First `out` segments that the device reads, then `in` ones that it writes.
 * 0; -X_EAGAIN: not enough free descriptors now; -X_E2BIG: never. */
int virtqueue_add(struct virtqueue *q, const struct virtq_segment *segments, uint32_t out, uint32_t in, uint32_t token);
bool virtqueue_publish(struct virtqueue *q);
/* 1 and the token and number of bytes written; 0: none; -X_EPROTO. */
int virtqueue_reap(struct virtqueue *q, uint32_t *token, uint32_t *written);
/* true: there is something to reap already. */
bool virtqueue_arm(struct virtqueue *q);
/* The same, but not at the next `more` ones (with event indices only); true:
 * there are more than that already. A packed ring without indirect descriptors
 * interrupts at the next one all the same: how many places the others take is not known. */
bool virtqueue_arm_after(struct virtqueue *q, uint16_t more);

/* packed.c, called by virtqueue.c for packed rings */
int packed_add(struct virtqueue *q, const struct virtq_segment *segments, uint32_t out, uint32_t in, uint32_t token);
bool packed_publish(struct virtqueue *q);
int packed_reap(struct virtqueue *q, uint32_t *token, uint32_t *written);
bool packed_arm_after(struct virtqueue *q, uint16_t more);

#endif
