/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets to send: assembled from TX, given to the device, completed in TX_DONE.
 *
 * One packet at a time is assembled; it waits there for its last piece, and for
 * room in the device.
 */
#include "lib/netdrv/internal.h"

#define CONSUME_BATCH   NET_SLOTS
#define ETHERNET_HEADER 14u

static struct {
	struct netdrv_packet packet;  /* being assembled, or waiting */
	uint32_t pieces;              /* that it has; 0: none begun */
	bool whole;                   /* all of its pieces are here */
	bool stuck;                   /* the device had no room for it */
	int status;                   /* what is wrong with it */
	uint32_t first_bytes;         /* of its first piece */
	bool held[NET_SLOTS];         /* by id: the device has it */
	uint32_t bytes[NET_SLOTS];
	uint32_t held_count, held_bytes;
} tx;

void ndrv_send_begin(void)
{
	for (uint32_t i = 0; i < NET_SLOTS; i++)
		tx.held[i] = false;
	tx.held_count = tx.held_bytes = tx.pieces = 0;
	tx.whole = tx.stuck = false;
}

uint32_t ndrv_send_held(void)
{
	return tx.held_count;
}

bool netdrv_sends_little(void)
{
	return !tx.stuck && tx.held_count <= NET_LITTLE_PACKETS && tx.held_bytes <= NET_LITTLE_BYTES;
}

bool ndrv_send_stuck(void)
{
	return tx.stuck;
}

static void push_done(uint32_t id, int status)
{
	struct net_tx_done entry = { .generation = ndrv_session.generation, .id = id, .status = status };

	server_spoil(&entry, sizeof(entry));
	if (ndrv_session.open && ring_push(&ndrv_session.tx_done, &entry))
		ndrv_session_broken("TX_DONE is full or its index is wrong");
}

int netdrv_sent(uint32_t id, int status)
{
	if (id >= NET_SLOTS || !tx.held[id])
		return -X_EPROTO;
	tx.held[id] = false;
	tx.held_count--;
	tx.held_bytes -= tx.bytes[id];
	if (status) {
		ndrv.counters.tx_errors++;
	} else {
		ndrv.resets_in_row = 0;
		ndrv.counters.tx_packets++;
		ndrv.counters.tx_bytes += tx.bytes[id];
	}
	push_done(id, status ? -X_EIO : 0);
	return 0;
}

void ndrv_send_take_back(void)
{
	tx.stuck = false;
	for (uint32_t i = 0; i < NET_SLOTS; i++)
		if (tx.held[i])
			netdrv_sent(i, -X_EIO);
}

/* -------------------------------------------------------------------- assembling */

static bool gso_holds(const struct netdrv_packet *p)
{
	uint32_t needed = p->gso_type & NET_GSO_ECN ? NET_F_TX_ECN : 0, ip;

	switch (p->gso_type & ~NET_GSO_ECN) {
	case NET_GSO_TCPV4:
		needed |= NET_F_TX_TSO4;
		ip = 20;
		break;
	case NET_GSO_TCPV6:
		needed |= NET_F_TX_TSO6;
		ip = 40;
		break;
	default:
		return false;
	}
	return (ndrv.caps.features & needed) == needed && p->gso_size && p->flags & NET_CSUM_PARTIAL &&
	       p->csum_offset == 16 && p->csum_start >= ETHERNET_HEADER + ip && p->hdr_len >= p->csum_start + 20 &&
	       p->hdr_len <= tx.first_bytes && p->hdr_len < p->bytes;
}

static bool packet_holds(const struct netdrv_packet *p)
{
	if (p->bytes < ETHERNET_HEADER || p->bytes > ndrv.caps.tx_packet_max)
		return false;
	if (p->flags & NET_CSUM_PARTIAL &&
	    (!(ndrv.caps.features & NET_F_TX_CSUM) || (uint32_t)p->csum_start + p->csum_offset + 2 > p->bytes))
		return false;
	if (p->gso_type != NET_GSO_NONE)
		return gso_holds(p);
	return p->bytes <= ndrv.caps.mtu + ETHERNET_HEADER + 4; /* a VLAN tag */
}

static void begin_packet(const struct net_tx *in)
{
	tx.packet = (struct netdrv_packet){
		.id = in->id, .flags = in->flags & ~NET_MORE, .csum_start = in->csum_start,
		.csum_offset = in->csum_offset, .gso_type = in->gso_type, .gso_size = in->gso_size,
		.hdr_len = in->hdr_len,
	};
	tx.first_bytes = in->length_bytes;
	tx.status = in->flags & ~(NET_MORE | NET_CSUM_PARTIAL) ? -X_EINVAL : 0;
}

static int add_piece(const struct net_tx *in)
{
	struct netdrv_packet *p = &tx.packet;
	int count;

	if (in->pool >= ndrv_session.pool_count || !in->length_bytes || tx.pieces > ndrv.caps.tx_pieces_max ||
	    in->length_bytes > NET_PACKET_MAX - p->bytes)
		return -X_EINVAL;
	count = dma_import_translate(&ndrv_session.imports[in->pool], in->pool_offset, in->length_bytes,
				     p->segments + p->segment_count, NETDRV_SEGMENTS - p->segment_count);
	if (count <= 0)
		return -X_EINVAL;
	p->segment_count += count;
	p->bytes += in->length_bytes;
	return 0;
}

/* false: the session is broken */
static bool accept(const struct net_tx *in)
{
	if (in->generation != ndrv_session.generation || in->id >= NET_SLOTS ||
	    (!tx.pieces && tx.held[in->id]) || tx.pieces >= NET_PIECES_MAX) {
		ndrv_session_broken("wrong generation, id or number of pieces in TX");
		return false;
	}
	if (!tx.pieces++)
		begin_packet(in);
	if (!tx.status)
		tx.status = add_piece(in);
	tx.whole = !(in->flags & NET_MORE);
	if (tx.whole && !tx.status && !packet_holds(&tx.packet))
		tx.status = -X_EINVAL;
	return true;
}

/* false: no room in the device */
static bool give(void)
{
	int err = tx.status ? tx.status : ndrv.ops->send(&tx.packet);

	tx.stuck = err == -X_EAGAIN;
	if (tx.stuck)
		return false;
	tx.whole = false;
	tx.pieces = 0;
	if (err) {
		ndrv.stats.refused++;
		push_done(tx.packet.id, -X_EINVAL);
		return true;
	}
	tx.held[tx.packet.id] = true;
	tx.bytes[tx.packet.id] = tx.packet.bytes;
	tx.held_count++;
	tx.held_bytes += tx.packet.bytes;
	return true;
}

bool ndrv_send_consume(void)
{
	uint32_t before = tx.held_count;
	struct net_tx in;
	int got = 1;

	for (uint32_t n = 0; n < CONSUME_BATCH && ndrv_session.open; n++) {
		if ((tx.whole && !give()) || !ndrv_session.open)
			break;
		got = ring_pop(&ndrv_session.tx, &in);
		if (got <= 0 || !accept(&in))
			break;
	}
	/* The last one of the batch. */
	if (ndrv_session.open && tx.whole && !tx.stuck)
		give();
	if (got < 0)
		ndrv_session_broken("impossible index of TX");
	return tx.held_count > before;
}
