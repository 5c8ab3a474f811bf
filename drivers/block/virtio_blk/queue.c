/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The request queues: a slot for each request that the device has, with the
 * header, the range of a discard and the status byte in memory of its own. The
 * slot's number is the token in the virtqueue.
 */
#include "drivers/block/virtio_blk/virtio_blk.h"

#include "lib/c/string.h"
#include <xinim/error.h>

#define STATUS_PENDING 0xffu /* no status of the device */

struct slot_memory {
	struct virtio_blk_header header;
	struct virtio_blk_range range;
	uint8_t status;
	uint8_t pad[31];
};
_Static_assert(sizeof(struct slot_memory) == 64, "struct slot_memory");

struct queue {
	uint16_t index;
	struct dma_buffer ring_memory, slot_memory;
	struct virtqueue ring;
	uint32_t notify_offset;
	struct slot_memory *memory;
	struct blockdrv_request *requests[VIRTQUEUE_SIZE_MAX]; /* NULL in use: the identity */
	uint16_t free[VIRTQUEUE_SIZE_MAX];
	uint32_t free_count;
};

static struct {
	struct virtio_pci *pci;
	struct queue queue[QUEUES_MAX];
	uint32_t count;
	struct dma_buffer identity_memory;
	uint32_t identity_slot;      /* of queue 0 */
	enum { IDENTITY_NONE, IDENTITY_ASKED, IDENTITY_KNOWN } identity;
	uint8_t id[VIRTIO_BLK_ID_BYTES];
} all;

/* -------------------------------------------------------------------------- starting */

static int get_memory(struct queue *q, uint16_t size, bool indirect)
{
	x_handle_t device = all.pci->device;
	int err = 0;

	if (q->ring_memory.bytes && q->ring_memory.bytes < virtqueue_bytes(size, indirect))
		dma_free(&q->ring_memory);
	if (!q->ring_memory.bytes)
		err = dma_alloc(device, virtqueue_bytes(size, indirect), 0, 0, &q->ring_memory);
	if (!err && !q->slot_memory.bytes)
		err = dma_alloc(device, VIRTQUEUE_SIZE_MAX * sizeof(struct slot_memory), 0, 0, &q->slot_memory);
	if (!err && !all.identity_memory.bytes)
		err = dma_alloc(device, X_PAGE_SIZE, 0, 0, &all.identity_memory);
	return err;
}

static uint16_t usable_size(uint32_t offered)
{
	uint16_t size = 1;

	while (size * 2u <= offered && size < VIRTQUEUE_SIZE_MAX)
		size *= 2;
	return size;
}

static int start(struct queue *q, uint16_t index)
{
	uint64_t features = all.pci->features;
	bool indirect = features & VIRTIO_F_INDIRECT_DESC, event_idx = features & VIRTIO_F_EVENT_IDX;
	bool packed = features & VIRTIO_F_RING_PACKED;
	uint32_t offered = virtio_pci_queue_size(all.pci, index);
	uint16_t size = usable_size(offered);
	int err;

	if (offered < 4) /* a header, data and a status must fit */
		return -X_ENODEV;
	q->index = index;
	err = get_memory(q, size, indirect);
	if (!err)
		err = (packed ? virtqueue_init_packed : virtqueue_init)(&q->ring, &q->ring_memory, size, event_idx,
									indirect);
	if (err)
		return err;
	q->memory = (void *)q->slot_memory.virt;
	memset(q->requests, 0, sizeof(q->requests));
	q->free_count = size;
	for (uint16_t i = 0; i < size; i++)
		q->free[i] = size - 1 - i;
	err = virtio_pci_notify_offset(all.pci, index);
	if (err < 0)
		return err;
	q->notify_offset = err;
	return virtio_pci_queue_setup(all.pci, index, &q->ring);
}

int queues_start(struct virtio_pci *v, uint32_t count)
{
	int err = 0;

	all.pci = v;
	all.identity = IDENTITY_NONE;
	for (all.count = 0; all.count < count && !err; all.count += !err)
		err = start(&all.queue[all.count], all.count);
	return all.count ? 0 : err; /* the first must be there, further ones may */
}

uint32_t queues_segments_max(void)
{
	uint32_t room = all.queue[0].ring.indirect ? VIRTQUEUE_INDIRECT_MAX : all.queue[0].ring.size;

	if (room > all.queue[0].ring.size)
		room = all.queue[0].ring.size;
	return room - 2;
}

/* ------------------------------------------------------------------------ submitting */

static uint64_t slot_iova(const struct queue *q, uint32_t slot, size_t offset)
{
	return q->slot_memory.iova + slot * sizeof(struct slot_memory) + offset;
}

/* Header, `count` data segments given in `s` from index 1 on, status. The slot
 * is the last of `free`: the caller may have prepared its memory. */
static int add(struct queue *q, uint32_t type, uint64_t sector, struct virtq_segment *s, uint32_t count,
	       bool device_writes)
{
	uint32_t slot = q->free[q->free_count - 1], out = 1 + (device_writes ? 0 : count);
	int err;

	q->memory[slot].header = (struct virtio_blk_header){ .type = type, .sector = sector };
	q->memory[slot].status = STATUS_PENDING;
	s[0] = (struct virtq_segment){ slot_iova(q, slot, 0), sizeof(struct virtio_blk_header) };
	s[count + 1] = (struct virtq_segment){ slot_iova(q, slot, offsetof(struct slot_memory, status)), 1 };
	err = virtqueue_add(&q->ring, s, out, count + 2 - out, slot);
	if (!err)
		q->free_count--;
	return err;
}

/* Ranges of DISCARD and WRITE_ZEROES are data to the device. */
static uint32_t fill_range(struct queue *q, const struct blockdrv_request *r, struct virtq_segment *s)
{
	uint32_t slot = q->free[q->free_count - 1];

	q->memory[slot].range = (struct virtio_blk_range){
		.sector = r->offset_bytes / VIRTIO_BLK_SECTOR_BYTES,
		.sectors = r->length_bytes / VIRTIO_BLK_SECTOR_BYTES,
	};
	s[1] = (struct virtq_segment){
		slot_iova(q, slot, offsetof(struct slot_memory, range)), sizeof(struct virtio_blk_range),
	};
	return 1;
}

static int submit_to(struct queue *q, struct blockdrv_request *r)
{
	static const uint32_t types[] = {
		[BLOCK_READ] = VIRTIO_BLK_T_IN, [BLOCK_WRITE] = VIRTIO_BLK_T_OUT, [BLOCK_FLUSH] = VIRTIO_BLK_T_FLUSH,
		[BLOCK_DISCARD] = VIRTIO_BLK_T_DISCARD, [BLOCK_WRITE_ZEROES] = VIRTIO_BLK_T_WRITE_ZEROES,
	};
	struct virtq_segment s[BLOCKDRV_SEGMENTS + 2];
	bool ranged = r->op == BLOCK_DISCARD || r->op == BLOCK_WRITE_ZEROES;
	uint32_t count = r->segment_count;
	int err;

	if (!q->free_count)
		return -X_EAGAIN;
	for (uint32_t i = 0; i < count; i++)
		s[i + 1] = (struct virtq_segment){ r->segments[i].iova, r->segments[i].bytes };
	if (ranged)
		count = fill_range(q, r, s);
	err = add(q, types[r->op], ranged ? 0 : r->offset_bytes / VIRTIO_BLK_SECTOR_BYTES, s, count,
		  r->op == BLOCK_READ);
	if (err)
		return err;
	r->device_slot = q->free[q->free_count];
	q->requests[r->device_slot] = r;
	return 0;
}

int queue_submit(struct blockdrv_request *r)
{
	int err = -X_EAGAIN;

	for (uint32_t i = 0; i < all.count && err == -X_EAGAIN; i++)
		err = submit_to(&all.queue[i], r);
	return err;
}

int queue_identify(void)
{
	struct queue *q = &all.queue[0];
	struct virtq_segment s[3];

	s[1] = (struct virtq_segment){ all.identity_memory.iova, VIRTIO_BLK_ID_BYTES };
	memset(all.identity_memory.virt, 0, VIRTIO_BLK_ID_BYTES);
	all.identity = IDENTITY_ASKED;
	all.identity_slot = q->free[q->free_count - 1];
	return add(q, VIRTIO_BLK_T_GET_ID, 0, s, 1, true);
}

const uint8_t *queue_identity(void)
{
	return all.identity == IDENTITY_KNOWN ? all.id : NULL;
}

void queue_kick(void)
{
	for (uint32_t i = 0; i < all.count; i++)
		if (virtqueue_publish(&all.queue[i].ring))
			virtio_pci_kick(all.pci, all.queue[i].index, all.queue[i].notify_offset);
}

/* ---------------------------------------------------------------------------- taking */

/* "OK" for a read whose data the device says it has not written is no OK. */
static int result(const struct blockdrv_request *r, uint8_t status, uint32_t written)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return r->op == BLOCK_READ && written < r->length_bytes ? -X_EIO : 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -X_EOPNOTSUPP;
	default:
		return -X_EIO;
	}
}

static void take_identity(uint8_t status)
{
	memcpy(all.id, all.identity_memory.virt, sizeof(all.id));
	if (status != VIRTIO_BLK_S_OK)
		memset(all.id, 0, sizeof(all.id));
	all.identity = IDENTITY_KNOWN;
}

static void finish_slot(struct queue *q, uint32_t slot, uint32_t written)
{
	struct blockdrv_request *r = q->requests[slot];
	uint8_t status = *(volatile uint8_t *)&q->memory[slot].status;

	q->requests[slot] = NULL;
	q->free[q->free_count++] = slot;
	if (r)
		blockdrv_complete(r, result(r, status, written));
	else if (q == &all.queue[0] && all.identity == IDENTITY_ASKED && slot == all.identity_slot)
		take_identity(status);
}

static bool take(struct queue *q)
{
	uint32_t slot, written;
	int got = 1;

	/* Bounded: no more can be in flight than the ring is long. */
	for (uint32_t i = 0; i < q->ring.size && got > 0; i++) {
		got = virtqueue_reap(&q->ring, &slot, &written);
		if (got > 0)
			finish_slot(q, slot, written);
	}
	if (got < 0)
		blockdrv_broken(0, "the device wrote an impossible used ring");
	return got >= 0;
}

bool queue_take(void)
{
	for (uint32_t i = 0; i < all.count; i++)
		if (!take(&all.queue[i]))
			return false;
	return true;
}

bool queue_arm(void)
{
	bool more = false;

	for (uint32_t i = 0; i < all.count; i++)
		more |= virtqueue_arm(&all.queue[i].ring);
	return more;
}
