/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receive and the transmit queue.
 *
 * A receive buffer is one descriptor; the device puts struct virtio_net_hdr
 * before the data, in the first buffer of a packet only. A packet to send is a
 * chain: its header, in memory of ours, then its segments. Tokens in the
 * virtqueues are the ids of lib/netdrv.
 */
#include "drivers/net/virtio_net/virtio_net.h"

#include "lib/c/string.h"
#include <xinim/error.h>

static struct {
	struct virtio_pci *pci;
	struct net_queue rx, tx;
	struct dma_buffer header_memory;
	struct virtio_net_hdr *headers;  /* by id of the packet to send */
	const uint8_t *virt[NET_SLOTS];  /* by id of the receive buffer */
	uint32_t length[NET_SLOTS];
	bool mergeable;
	/* the packet being put together */
	struct netdrv_piece pieces[NET_PIECES_MAX];
	uint32_t count, wanted;
	struct netdrv_meta meta;
	bool bad;
} net;

/* ----------------------------------------------------------------------- set-up */

static uint16_t usable_size(uint32_t offered)
{
	uint16_t size = 1;

	while (size * 2u <= offered && size < VIRTQUEUE_SIZE_MAX)
		size *= 2;
	return size;
}

int net_queue_setup(struct virtio_pci *v, struct net_queue *q, uint16_t index)
{
	bool indirect = v->features & VIRTIO_F_INDIRECT_DESC, event_idx = v->features & VIRTIO_F_EVENT_IDX;
	bool packed = v->features & VIRTIO_F_RING_PACKED;
	uint32_t offered = virtio_pci_queue_size(v, index);
	uint16_t size = usable_size(offered);
	int err = 0;

	if (offered < 4)
		return -X_ENODEV;
	q->index = index;
	if (q->memory.bytes && q->memory.bytes < virtqueue_bytes(size, indirect))
		dma_free(&q->memory);
	if (!q->memory.bytes)
		err = dma_alloc(v->device, virtqueue_bytes(size, indirect), 0, 0, &q->memory);
	if (!err)
		err = (packed ? virtqueue_init_packed : virtqueue_init)(&q->ring, &q->memory, size, event_idx, indirect);
	if (err)
		return err;
	err = virtio_pci_notify_offset(v, index);
	if (err < 0)
		return err;
	q->notify_offset = err;
	return virtio_pci_queue_setup(v, index, &q->ring);
}

void net_queue_kick(struct virtio_pci *v, struct net_queue *q)
{
	if (virtqueue_publish(&q->ring))
		virtio_pci_kick(v, q->index, q->notify_offset);
}

int queues_start(struct virtio_pci *v)
{
	int err = 0;

	net.pci = v;
	net.count = net.wanted = 0;
	net.mergeable = v->features & VIRTIO_NET_F_MRG_RXBUF;
	if (!net.header_memory.bytes)
		err = dma_alloc(v->device, NET_SLOTS * sizeof(struct virtio_net_hdr), 0, 0, &net.header_memory);
	if (!err)
		err = net_queue_setup(v, &net.rx, VIRTIO_NET_QUEUE_RX);
	if (!err)
		err = net_queue_setup(v, &net.tx, VIRTIO_NET_QUEUE_TX);
	net.headers = (void *)net.header_memory.virt;
	return err;
}

uint32_t queues_tx_pieces_max(void)
{
	uint32_t most = net.tx.ring.indirect ? VIRTQUEUE_INDIRECT_MAX : net.tx.ring.size / 2;

	if (most > net.tx.ring.size)
		most = net.tx.ring.size;
	most -= 2; /* the header, and one more if a piece is in two runs */
	return most < NET_PIECES_MAX ? most : NET_PIECES_MAX;
}

/* ------------------------------------------------------------------ to the device */

int queues_post(const struct netdrv_buffer *b)
{
	struct virtq_segment s = { b->iova, b->bytes };
	int err = virtqueue_add(&net.rx.ring, &s, 0, 1, b->id);

	if (err)
		return err;
	net.virt[b->id] = b->virt;
	net.length[b->id] = b->bytes;
	return 0;
}

int queues_send(const struct netdrv_packet *p)
{
	struct virtio_net_hdr *h = &net.headers[p->id];
	struct virtq_segment s[NETDRV_SEGMENTS + 1];

	s[0] = (struct virtq_segment){ net.header_memory.iova + p->id * sizeof(*h), sizeof(*h) };
	for (uint32_t i = 0; i < p->segment_count; i++)
		s[i + 1] = (struct virtq_segment){ p->segments[i].iova, p->segments[i].bytes };
	*h = (struct virtio_net_hdr){ 0 };
	if (p->flags & NET_CSUM_PARTIAL) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = p->csum_start;
		h->csum_offset = p->csum_offset;
	}
	if (p->gso_type != NET_GSO_NONE) {
		h->gso_type = p->gso_type; /* the same numbers */
		h->gso_size = p->gso_size;
		h->hdr_len = p->hdr_len;
	}
	return virtqueue_add(&net.tx.ring, s, p->segment_count + 1, 0, p->id);
}

void queues_kick(void)
{
	net_queue_kick(net.pci, &net.rx);
	net_queue_kick(net.pci, &net.tx);
}

/* ---------------------------------------------------------------- from the device */

static void read_header(uint32_t id)
{
	struct virtio_net_hdr h;

	memcpy(&h, net.virt[id], sizeof(h)); /* once: the client may change it under us */
	net.wanted = net.mergeable ? h.num_buffers : 1;
	net.bad = !net.wanted || net.wanted > NET_PIECES_MAX;
	if (net.bad)
		net.wanted = 1;
	net.meta = (struct netdrv_meta){ .gso_type = h.gso_type, .gso_size = h.gso_size, .hdr_len = h.hdr_len };
	if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		net.meta.flags = NET_CSUM_PARTIAL;
		net.meta.csum_start = h.csum_start;
		net.meta.csum_offset = h.csum_offset;
	} else if (h.flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		net.meta.flags = NET_CSUM_VALID;
	}
	if (h.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		net.meta.gso_size = net.meta.hdr_len = 0;
}

/* One buffer; the packet when it is its last. 0 or -X_EPROTO. */
static int take_received(uint32_t id, uint32_t written)
{
	uint32_t header = net.count ? 0 : sizeof(struct virtio_net_hdr), count;

	if (!net.count) {
		if (written < header)
			return -X_EPROTO;
		read_header(id);
	}
	net.pieces[net.count++] = (struct netdrv_piece){ .id = id, .offset = header, .bytes = written - header };
	if (net.count < net.wanted)
		return 0;
	count = net.count;
	net.count = 0;
	return net.bad ? netdrv_discarded(net.pieces, count) : netdrv_received(net.pieces, count, &net.meta);
}

/* Bounded: no more can be in flight than the ring is long. */
static int poll_received(void)
{
	uint32_t id, written;
	int got = 1;

	for (uint32_t i = 0; i < net.rx.ring.size && got > 0; i++) {
		got = virtqueue_reap(&net.rx.ring, &id, &written);
		if (got > 0 && take_received(id, written))
			return -X_EPROTO;
	}
	return got < 0 ? got : 0;
}

static int poll_sent(void)
{
	uint32_t id, written;
	int got = 1;

	for (uint32_t i = 0; i < net.tx.ring.size && got > 0; i++) {
		got = virtqueue_reap(&net.tx.ring, &id, &written);
		if (got > 0 && netdrv_sent(id, 0))
			return -X_EPROTO;
	}
	return got < 0 ? got : 0;
}

void queues_poll(void)
{
	if (poll_received())
		netdrv_broken("the device wrote an impossible receive ring");
	else if (poll_sent())
		netdrv_broken("the device wrote an impossible transmit ring");
}

/* Packets sent are not urgent: be told when most of them are, and of little not at all. */
bool queues_arm(void)
{
	uint16_t out = net.tx.ring.in_flight;
	bool more = virtqueue_arm(&net.rx.ring);

	if (out && (!netdrv_sends_little() || net.tx.ring.free_count < net.tx.ring.size / 2))
		more |= virtqueue_arm_after(&net.tx.ring, out - 1 - out / 4);
	return more;
}
