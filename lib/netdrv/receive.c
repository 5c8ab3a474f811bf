/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receive buffers: from RX_POST to the device, and back in RX_DONE.
 *
 * An entry stays in RX_POST until the device has room for its buffer, one
 * apart, which is `waiting`. After a reset, all that the device had are offered
 * again before that.
 */
#include "lib/netdrv/internal.h"

#define CONSUME_BATCH NET_SLOTS

enum buffer_state { BUFFER_FREE, BUFFER_WAITING, BUFFER_DEVICE };

static struct {
	struct netdrv_buffer buffers[NET_SLOTS];
	uint8_t state[NET_SLOTS];     /* enum buffer_state */
	uint32_t held;                /* DEVICE */
	uint32_t again;               /* ids from here on may be WAITING */
	uint32_t waiting_count;
} rx;

void ndrv_receive_begin(void)
{
	for (uint32_t i = 0; i < NET_SLOTS; i++)
		rx.state[i] = BUFFER_FREE;
	rx.held = rx.waiting_count = 0;
	rx.again = NET_SLOTS;
}

uint32_t ndrv_receive_held(void)
{
	return rx.held;
}

bool ndrv_receive_stuck(void)
{
	return rx.waiting_count;
}

void ndrv_receive_take_back(void)
{
	for (uint32_t i = 0; i < NET_SLOTS; i++) {
		if (rx.state[i] != BUFFER_DEVICE)
			continue;
		rx.state[i] = BUFFER_WAITING;
		rx.waiting_count++;
	}
	rx.held = 0;
	rx.again = 0;
}

/* ------------------------------------------------------------------------- back */

static void push_done(const struct net_rx_done *entry)
{
	struct net_rx_done e = *entry;

	/* At most NET_SLOTS are out, so there is room unless the client does not
	 * release what it has seen. */
	server_spoil(&e, sizeof(e));
	if (ring_push(&ndrv_session.rx_done, &e))
		ndrv_session_broken("RX_DONE is full or its index is wrong");
}

static void give_back_empty(uint32_t id)
{
	struct net_rx_done entry = { .generation = ndrv_session.generation, .id = id };

	if (rx.state[id] == BUFFER_DEVICE)
		rx.held--;
	else if (rx.state[id] == BUFFER_WAITING)
		rx.waiting_count--;
	rx.state[id] = BUFFER_FREE;
	if (ndrv_session.open)
		push_done(&entry);
}

static bool gso_known(uint8_t type)
{
	type &= ~NET_GSO_ECN;
	return type == NET_GSO_TCPV4 || type == NET_GSO_TCPV6;
}

static bool meta_holds(const struct netdrv_meta *m, uint32_t bytes)
{
	uint32_t features = ndrv.caps.features;

	if (m->flags & ~(NET_CSUM_PARTIAL | NET_CSUM_VALID) || (m->flags && !(features & NET_F_RX_CSUM)))
		return false;
	if (m->flags & NET_CSUM_PARTIAL && (uint32_t)m->csum_start + m->csum_offset + 2 > bytes)
		return false;
	if (m->gso_type == NET_GSO_NONE)
		return true;
	return features & NET_F_RX_GSO && gso_known(m->gso_type) && m->gso_size && m->hdr_len <= bytes;
}

/* Bytes of the packet; 0: it can't be one; -X_EPROTO: not the device's buffers. */
static int measure(const struct netdrv_piece *pieces, uint32_t count)
{
	uint32_t bytes = 0;
	bool holds = count == 1 || ndrv.caps.features & NET_F_RX_CHAIN;

	for (uint32_t i = 0; i < count; i++) {
		const struct netdrv_piece *p = &pieces[i];
		uint32_t room;

		if (p->id >= NET_SLOTS || rx.state[p->id] != BUFFER_DEVICE)
			return -X_EPROTO;
		room = rx.buffers[p->id].bytes;
		if (!p->bytes || p->bytes > room || p->offset > room - p->bytes || p->bytes > NET_PACKET_MAX - bytes)
			holds = false;
		else
			bytes += p->bytes;
	}
	return holds ? (int)bytes : 0;
}

int netdrv_discarded(const struct netdrv_piece *pieces, uint32_t count)
{
	int bytes = measure(pieces, count);

	if (bytes < 0)
		return bytes;
	ndrv.counters.rx_errors++;
	for (uint32_t i = 0; i < count; i++)
		give_back_empty(pieces[i].id);
	return 0;
}

int netdrv_received(const struct netdrv_piece *pieces, uint32_t count, const struct netdrv_meta *meta)
{
	int bytes = measure(pieces, count);

	if (bytes < 0)
		return bytes;
	if (!bytes || count > NET_PIECES_MAX || !meta_holds(meta, bytes))
		return netdrv_discarded(pieces, count);
	ndrv.resets_in_row = 0;
	ndrv.counters.rx_packets++;
	ndrv.counters.rx_bytes += bytes;
	for (uint32_t i = 0; i < count; i++) {
		struct net_rx_done entry = {
			.generation = ndrv_session.generation, .id = pieces[i].id,
			.offset_bytes = pieces[i].offset, .length_bytes = pieces[i].bytes,
			.flags = i + 1 < count ? NET_MORE : 0,
		};

		if (rx.state[pieces[i].id] != BUFFER_DEVICE) /* twice in one packet */
			return -X_EPROTO;
		if (!i) {
			entry.flags |= meta->flags;
			entry.csum_start = meta->csum_start;
			entry.csum_offset = meta->csum_offset;
			entry.gso_type = meta->gso_type;
			entry.gso_size = meta->gso_size;
			entry.hdr_len = meta->hdr_len;
		}
		rx.state[pieces[i].id] = BUFFER_FREE;
		rx.held--;
		if (ndrv_session.open)
			push_done(&entry);
	}
	return 0;
}

/* ------------------------------------------------------------------------- there */

/* A buffer must lie in one run for the device. */
static int translate(const struct net_rx_post *in, struct netdrv_buffer *b)
{
	const struct netdrv_session *s = &ndrv_session;
	struct x_dma_segment segment;

	if (in->pool >= s->pool_count || in->pool_offset % 16 || in->length_bytes < ndrv.caps.rx_buffer_min ||
	    dma_import_translate(&s->imports[in->pool], in->pool_offset, in->length_bytes, &segment, 1) != 1)
		return -X_EINVAL;
	*b = (struct netdrv_buffer){
		.iova = segment.iova, .bytes = in->length_bytes, .id = in->id,
		.virt = s->pool_virt[in->pool] ? s->pool_virt[in->pool] + in->pool_offset : NULL,
	};
	return 0;
}

/* WAITING -> DEVICE, or back to the client. false: the device has no room. */
static bool give(uint32_t id)
{
	int err = ndrv.ops->post(&rx.buffers[id]);

	if (err == -X_EAGAIN)
		return false;
	if (err) {
		ndrv.stats.refused++;
		give_back_empty(id);
		return true;
	}
	rx.waiting_count--;
	rx.state[id] = BUFFER_DEVICE;
	rx.held++;
	return true;
}

static bool give_waiting(void)
{
	while (rx.waiting_count && rx.again < NET_SLOTS) {
		if (rx.state[rx.again] == BUFFER_WAITING && !give(rx.again))
			return false;
		rx.again++;
	}
	return true;
}

/* false: the session is broken */
static bool accept(const struct net_rx_post *in)
{
	if (in->generation != ndrv_session.generation || in->id >= NET_SLOTS || rx.state[in->id] != BUFFER_FREE) {
		ndrv_session_broken("wrong generation or id in RX_POST");
		return false;
	}
	rx.state[in->id] = BUFFER_WAITING;
	rx.waiting_count++;
	if (translate(in, &rx.buffers[in->id])) {
		ndrv.stats.refused++;
		give_back_empty(in->id);
		return ndrv_session.open;
	}
	if (!give(in->id))
		rx.again = in->id; /* the only one that waits */
	return true;
}

bool ndrv_receive_consume(void)
{
	struct ring *ring = &ndrv_session.rx_post;
	uint32_t before = rx.held;
	struct net_rx_post in;
	int got = 1;

	for (uint32_t n = 0; n < CONSUME_BATCH && ndrv_session.open; n++) {
		if (!give_waiting() || !ndrv_session.open)
			break;
		got = ring_pop(ring, &in);
		if (got <= 0 || !accept(&in))
			break;
	}
	if (got < 0)
		ndrv_session_broken("impossible index of RX_POST");
	return rx.held > before;
}
