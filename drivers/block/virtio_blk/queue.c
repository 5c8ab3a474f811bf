/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The request queue: a slot for each request that the device has, with the
 * header and the status byte in memory of its own. The slot's number is the
 * token in the virtqueue.
 */
#include "drivers/block/virtio_blk/virtio_blk.h"

#include "lib/c/string.h"
#include <xinim/error.h>

#define STATUS_PENDING 0xffu /* no status of the device */

struct slot_memory {
	struct virtio_blk_header header;
	uint8_t status;
	uint8_t pad[15];
};
_Static_assert(sizeof(struct slot_memory) == 32, "struct slot_memory");

static struct {
	struct virtio_pci *pci;
	struct dma_buffer ring_memory, slot_memory;
	struct virtqueue ring;
	uint32_t notify_offset;
	struct slot_memory *memory;             /* one a slot, then the identity */
	struct blockdrv_request *requests[VIRTQUEUE_SIZE_MAX];
	uint16_t free[VIRTQUEUE_SIZE_MAX];
	uint32_t free_count;
	uint32_t identity_slot;
	enum { IDENTITY_NONE, IDENTITY_ASKED, IDENTITY_KNOWN } identity;
	uint8_t id[VIRTIO_BLK_ID_BYTES];
} queue;

static int get_memory(uint16_t size, bool indirect)
{
	int err;

	if (queue.ring_memory.bytes && queue.ring_memory.bytes < virtqueue_bytes(size, indirect))
		dma_free(&queue.ring_memory);
	if (!queue.ring_memory.bytes) {
		err = dma_alloc(queue.pci->device, virtqueue_bytes(size, indirect), 0, 0, &queue.ring_memory);
		if (err)
			return err;
	}
	if (queue.slot_memory.bytes)
		return 0;
	return dma_alloc(queue.pci->device, (VIRTQUEUE_SIZE_MAX + 1) * sizeof(struct slot_memory), 0, 0,
			 &queue.slot_memory);
}

static uint16_t usable_size(uint32_t offered)
{
	uint16_t size = 1;

	while (size * 2u <= offered && size < VIRTQUEUE_SIZE_MAX)
		size *= 2;
	return size;
}

int queue_start(struct virtio_pci *v)
{
	bool indirect = v->features & VIRTIO_F_INDIRECT_DESC, event_idx = v->features & VIRTIO_F_EVENT_IDX;
	uint32_t offered = virtio_pci_queue_size(v, BLK_QUEUE);
	uint16_t size = usable_size(offered);
	int err;

	if (offered < 4) /* a header, data and a status must fit */
		return -X_ENODEV;
	queue.pci = v;
	err = get_memory(size, indirect);
	if (!err)
		err = virtqueue_init(&queue.ring, &queue.ring_memory, size, event_idx, indirect);
	if (err)
		return err;
	queue.memory = (void *)queue.slot_memory.virt;
	memset(queue.requests, 0, sizeof(queue.requests));
	queue.free_count = size;
	for (uint16_t i = 0; i < size; i++)
		queue.free[i] = size - 1 - i;
	queue.identity = IDENTITY_NONE;
	err = virtio_pci_notify_offset(v, BLK_QUEUE);
	if (err < 0)
		return err;
	queue.notify_offset = err;
	return virtio_pci_queue_setup(v, BLK_QUEUE, &queue.ring);
}

bool queue_has_indirect(void)
{
	return queue.ring.indirect;
}

uint32_t queue_size(void)
{
	return queue.ring.size;
}

static uint64_t slot_iova(uint32_t slot)
{
	return queue.slot_memory.iova + slot * sizeof(struct slot_memory);
}

/* Header, `count` data segments given in `s` from index 1 on, status. */
static int add(uint32_t type, uint64_t sector, struct virtq_segment *s, uint32_t count, bool device_writes,
	       uint32_t *slot_out)
{
	uint32_t slot, out;
	int err;

	if (!queue.free_count)
		return -X_EAGAIN;
	slot = queue.free[queue.free_count - 1];
	queue.memory[slot].header = (struct virtio_blk_header){ .type = type, .sector = sector };
	queue.memory[slot].status = STATUS_PENDING;
	s[0] = (struct virtq_segment){ slot_iova(slot), sizeof(struct virtio_blk_header) };
	s[count + 1] = (struct virtq_segment){ slot_iova(slot) + offsetof(struct slot_memory, status), 1 };
	out = 1 + (device_writes ? 0 : count);
	err = virtqueue_add(&queue.ring, s, out, count + 2 - out, slot);
	if (err)
		return err;
	queue.free_count--;
	*slot_out = slot;
	return 0;
}

int queue_submit(struct blockdrv_request *r)
{
	static const uint32_t types[] = {
		[BLOCK_READ] = VIRTIO_BLK_T_IN, [BLOCK_WRITE] = VIRTIO_BLK_T_OUT, [BLOCK_FLUSH] = VIRTIO_BLK_T_FLUSH,
	};
	struct virtq_segment s[BLOCKDRV_SEGMENTS + 2];
	uint32_t slot;
	int err;

	for (uint32_t i = 0; i < r->segment_count; i++)
		s[i + 1] = (struct virtq_segment){ r->segments[i].iova, r->segments[i].bytes };
	err = add(types[r->op], r->offset_bytes / VIRTIO_BLK_SECTOR_BYTES, s, r->segment_count,
		  r->op == BLOCK_READ, &slot);
	if (err)
		return err;
	r->device_slot = slot;
	queue.requests[slot] = r;
	return 0;
}

int queue_identify(void)
{
	struct virtq_segment s[3];

	s[1] = (struct virtq_segment){ slot_iova(VIRTQUEUE_SIZE_MAX), VIRTIO_BLK_ID_BYTES };
	memset(&queue.memory[VIRTQUEUE_SIZE_MAX], 0, sizeof(struct slot_memory));
	queue.identity = IDENTITY_ASKED;
	return add(VIRTIO_BLK_T_GET_ID, 0, s, 1, true, &queue.identity_slot);
}

const uint8_t *queue_identity(void)
{
	return queue.identity == IDENTITY_KNOWN ? queue.id : NULL;
}

void queue_kick(void)
{
	if (virtqueue_publish(&queue.ring))
		virtio_pci_kick(queue.pci, BLK_QUEUE, queue.notify_offset);
}

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

static void finish_slot(uint32_t slot, uint32_t written)
{
	struct blockdrv_request *r = queue.requests[slot];
	uint8_t status = *(volatile uint8_t *)&queue.memory[slot].status;

	queue.requests[slot] = NULL;
	queue.free[queue.free_count++] = slot;
	if (r) {
		blockdrv_complete(r, result(r, status, written));
	} else if (queue.identity == IDENTITY_ASKED && slot == queue.identity_slot) {
		memcpy(queue.id, &queue.memory[VIRTQUEUE_SIZE_MAX], sizeof(queue.id));
		if (status != VIRTIO_BLK_S_OK)
			memset(queue.id, 0, sizeof(queue.id));
		queue.identity = IDENTITY_KNOWN;
	}
}

bool queue_take(void)
{
	uint32_t slot, written;
	int got = 1;

	/* Bounded: no more can be in flight than the ring is long. */
	for (uint32_t i = 0; i < queue.ring.size && got > 0; i++) {
		got = virtqueue_reap(&queue.ring, &slot, &written);
		if (got > 0)
			finish_slot(slot, written);
	}
	if (got < 0)
		blockdrv_broken(0, "the device wrote an impossible used ring");
	return got >= 0;
}

bool queue_arm(void)
{
	return virtqueue_arm(&queue.ring);
}
