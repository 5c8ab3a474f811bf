/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receive and the transmit ring.
 *
 * The device gives receive descriptors back in order, with DD set; so it does
 * with the last descriptor of each packet sent, because that has RS. The device
 * sets no indices that we read. In QEMU a write to TDT sends all before it
 * returns: one write a batch, and what was sent is taken right behind it.
 */
#include "drivers/net/e1000/e1000.h"

#include "lib/c/string.h"
#include <xinim/error.h>

#define RX_SIZE   512u   /* descriptors; rings are multiples of 128 bytes */
#define TX_SIZE   1024u
#define RX_BYTES  2048u  /* as RCTL says */
#define DATA_MAX  8192u  /* bytes of a descriptor (SDM 3.3.3: 16288) */
#define ETHERNET_HEADER 14u

static struct {
	struct dma_buffer memory;
	volatile struct e1000_rx_desc *rx;
	volatile union e1000_tx_desc *tx;
	/* indices run freely; slot = index % size */
	uint32_t rx_head, rx_tail, rx_shown; /* oldest posted, next to post, RDT */
	uint16_t rx_id[RX_SIZE];
	struct netdrv_piece pieces[NET_PIECES_MAX]; /* of a packet that is not whole yet */
	uint32_t count;
	bool too_long;
	uint32_t tx_head, tx_tail, tx_shown;
	/* packets the device has: [first, next), with the index behind their last descriptor */
	struct { uint32_t end; uint16_t id; } packets[TX_SIZE];
	uint32_t first, next;
	struct e1000_tx_context context; /* the last one given */
} ring;

static void set_base(uint32_t low, uint32_t high, uint64_t iova)
{
	reg_write(low, (uint32_t)iova);
	reg_write(high, iova >> 32);
}

int ring_start(void)
{
	uint32_t rx_bytes = RX_SIZE * sizeof(struct e1000_rx_desc), tx_bytes = TX_SIZE * sizeof(union e1000_tx_desc);
	struct dma_buffer memory = ring.memory;
	int err;

	if (!memory.bytes) {
		err = dma_alloc(e1000.device, rx_bytes + tx_bytes, 0, 0, &memory);
		if (err)
			return err;
	}
	memset(&ring, 0, sizeof(ring));
	memset(memory.virt, 0, rx_bytes + tx_bytes);
	ring.memory = memory;
	ring.rx = (volatile void *)memory.virt;
	ring.tx = (volatile void *)(memory.virt + rx_bytes);
	set_base(E1000_RDBAL, E1000_RDBAH, memory.iova);
	reg_write(E1000_RDLEN, rx_bytes);
	reg_write(E1000_RDH, 0);
	reg_write(E1000_RDT, 0);
	set_base(E1000_TDBAL, E1000_TDBAH, memory.iova + rx_bytes);
	reg_write(E1000_TDLEN, tx_bytes);
	reg_write(E1000_TDH, 0);
	reg_write(E1000_TDT, 0);
	return 0;
}

/* ------------------------------------------------------------------ to the device */

int ring_post(const struct netdrv_buffer *b)
{
	uint32_t slot = ring.rx_tail % RX_SIZE;

	if (b->bytes < RX_BYTES)
		return -X_EINVAL;
	if (ring.rx_tail - ring.rx_head >= RX_SIZE - 1) /* full would look like empty */
		return -X_EAGAIN;
	ring.rx[slot].addr = b->iova;
	ring.rx[slot].status = 0;
	ring.rx_id[slot] = b->id;
	ring.rx_tail++;
	return 0;
}

/* The checksum's place, and how to cut (SDM 3.3.6). */
static int make_context(const struct netdrv_packet *p, struct e1000_tx_context *c)
{
	bool cut = p->gso_type != NET_GSO_NONE, v4 = (p->gso_type & ~NET_GSO_ECN) == NET_GSO_TCPV4;

	if (p->csum_start + p->csum_offset > 255 || p->hdr_len > 255)
		return -X_EINVAL;
	*c = (struct e1000_tx_context){
		.tucss = p->csum_start, .tucso = p->csum_start + p->csum_offset, .command = TXD_DEXT,
	};
	if (!cut)
		return 0;
	c->command |= TXD_TSE | TXD_CONTEXT_TCP | (v4 ? TXD_CONTEXT_IPV4 : 0) | (p->bytes - p->hdr_len);
	c->ipcss = ETHERNET_HEADER;
	c->ipcso = ETHERNET_HEADER + 10;
	c->ipcse = p->csum_start - 1;
	c->header_bytes = p->hdr_len;
	c->mss = p->gso_size;
	return 0;
}

static uint32_t data_descriptors(const struct netdrv_packet *p)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < p->segment_count; i++)
		count += (p->segments[i].bytes + DATA_MAX - 1) / DATA_MAX;
	return count;
}

static void put_context(const struct e1000_tx_context *c)
{
	if (!memcmp(c, &ring.context, sizeof(*c)))
		return; /* it holds until the next one */
	ring.context = *c;
	*(volatile struct e1000_tx_context *)&ring.tx[ring.tx_tail++ % TX_SIZE].context = *c;
}

static void put_data(const struct netdrv_packet *p, uint32_t command, uint8_t options)
{
	for (uint32_t i = 0; i < p->segment_count; i++) {
		uint64_t at = p->segments[i].iova, left = p->segments[i].bytes;

		while (left) {
			uint32_t bytes = left < DATA_MAX ? left : DATA_MAX;
			bool last = i + 1 == p->segment_count && bytes == left;
			volatile struct e1000_tx_data *d = &ring.tx[ring.tx_tail++ % TX_SIZE].data;

			d->addr = at;
			d->status = 0;
			d->options = options;
			d->special = 0;
			d->command = command | bytes | (last ? TXD_EOP | TXD_RS : 0);
			at += bytes;
			left -= bytes;
		}
	}
}

int ring_send(const struct netdrv_packet *p)
{
	bool sum = p->flags & NET_CSUM_PARTIAL, cut = p->gso_type != NET_GSO_NONE;
	uint32_t used = ring.tx_tail - ring.tx_head, needed = 1 + data_descriptors(p);
	struct e1000_tx_context context;

	if (needed >= TX_SIZE || (sum && make_context(p, &context)))
		return -X_EINVAL;
	if (used + needed >= TX_SIZE)
		return -X_EAGAIN;
	if (sum)
		put_context(&context);
	put_data(p, TXD_DEXT | TXD_TYPE_DATA | TXD_IFCS | (cut ? TXD_TSE : 0),
		 sum ? TXD_OPTION_TCP_SUM | (cut && context.command & TXD_CONTEXT_IPV4 ? TXD_OPTION_IPV4_SUM : 0) : 0);
	ring.packets[ring.next % TX_SIZE].end = ring.tx_tail;
	ring.packets[ring.next++ % TX_SIZE].id = p->id;
	return 0;
}

/* Release: descriptors are there before the tails say so. */
void ring_kick(void)
{
	dma_sync_for_device();
	if (ring.rx_shown != ring.rx_tail)
		reg_write(E1000_RDT, ring.rx_tail % RX_SIZE);
	ring.rx_shown = ring.rx_tail;
	if (ring.tx_shown != ring.tx_tail)
		reg_write(E1000_TDT, ring.tx_tail % TX_SIZE);
	ring.tx_shown = ring.tx_tail;
}

/* ---------------------------------------------------------------- from the device */

static void take_piece(uint16_t id, uint32_t length)
{
	if (ring.count == NET_PIECES_MAX) { /* no frame is that long: give back what there is */
		netdrv_discarded(ring.pieces, ring.count);
		ring.count = 0;
		ring.too_long = true;
	}
	ring.pieces[ring.count++] = (struct netdrv_piece){ .id = id, .bytes = length };
}

static void take_packet(uint8_t status, uint8_t errors)
{
	struct netdrv_meta meta = { 0 };
	uint32_t count = ring.count;
	bool bad = ring.too_long || errors & RXD_ERR_FRAME;

	if (!(status & RXD_IXSM) && status & RXD_TCPCS && !(errors & RXD_ERR_TCPE) && e1000.is_82574)
		meta.flags = NET_CSUM_VALID;
	ring.count = 0;
	ring.too_long = false;
	if (bad ? netdrv_discarded(ring.pieces, count) : netdrv_received(ring.pieces, count, &meta))
		netdrv_broken("the receive ring is in disorder");
}

static void poll_received(void)
{
	while (ring.rx_head != ring.rx_shown) {
		volatile struct e1000_rx_desc *d = &ring.rx[ring.rx_head % RX_SIZE];
		uint8_t status = d->status, errors;
		uint16_t length;

		if (!(status & RXD_DD))
			break;
		dma_sync_for_cpu(); /* the rest is read after DD */
		errors = d->errors;
		length = d->length;
		take_piece(ring.rx_id[ring.rx_head % RX_SIZE], length);
		ring.rx_head++;
		if (status & RXD_EOP)
			take_packet(status, errors);
	}
}

static bool is_sent(uint32_t packet)
{
	uint32_t last = ring.packets[packet % TX_SIZE].end - 1;

	return ring.tx[last % TX_SIZE].data.status & TXD_DD;
}

static void poll_sent(void)
{
	while (ring.first != ring.next && is_sent(ring.first)) {
		uint32_t slot = ring.first++ % TX_SIZE;

		ring.tx_head = ring.packets[slot].end;
		if (netdrv_sent(ring.packets[slot].id, 0))
			netdrv_broken("the transmit ring is in disorder");
	}
}

void ring_poll(void)
{
	poll_received();
	poll_sent();
}

bool ring_has_work(void)
{
	return (ring.rx_head != ring.rx_shown && ring.rx[ring.rx_head % RX_SIZE].status & RXD_DD) ||
	       (ring.first != ring.next && is_sent(ring.first));
}

bool ring_sending(void)
{
	return ring.first != ring.next;
}
