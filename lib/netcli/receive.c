/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receiving: buffers out through RX_POST, packets in through RX_DONE.
 */
#include "lib/netcli/internal.h"
#include "lib/region/region.h"

#define REAP_AT_ONCE 64u

void ncli_receive_init(struct net_client *c)
{
	c->rx_free_count = NET_SLOTS;
	for (uint32_t i = 0; i < NET_SLOTS; i++)
		c->rx_free[i] = NET_SLOTS - 1 - i;
}

REGION_UNLOGGED int ncli_receive_push(struct net_client *c, uint32_t id)
{
	const struct net_piece *b = &c->rx[id].buffer;
	struct net_rx_post entry = {
		.generation = c->generation, .id = id, .pool_offset = b->offset,
		.length_bytes = b->length, .pool = b->pool,
	};

	return ring_push(&c->rx_post, &entry);
}

/* The functions below with REGION_UNLOGGED change nothing but their own variables; what they call does, and logs it. */

static void slot_free(struct net_client *c, uint32_t id)
{
	c->rx[id].state = RX_FREE;
	c->rx_free[c->rx_free_count++] = id;
}

static void give_back(struct net_client *c, uint32_t id)
{
	void *cookie = c->rx[id].buffer.cookie;

	slot_free(c, id);
	if (c->ops->returned)
		c->ops->returned(c->ctx, cookie);
}

void ncli_receive_abandon(struct net_client *c)
{
	for (uint32_t i = 0; i < c->chain_count; i++)
		c->rx[c->chain[i]].state = RX_POSTED;
	c->chain_count = c->chain_bytes = 0;
}

/* All buffers to a new driver. Those too short for it go back to the user. */
void ncli_receive_replay(struct net_client *c)
{
	for (uint32_t id = 0; id < NET_SLOTS && c->state == CLIENT_UP; id++) {
		if (c->rx[id].state != RX_POSTED)
			continue;
		if (c->rx[id].buffer.length < c->info.rx_buffer_min)
			give_back(c, id);
		else if (ncli_receive_push(c, id))
			ncli_session_broken(c, "a fresh ring is full");
	}
}

/* Hand the packet over. The slots are free before: its receiver may post. */
static void deliver(struct net_client *c)
{
	uint32_t count = c->chain_count;
	struct net_meta meta = c->chain_meta;

	for (uint32_t i = 0; i < count; i++)
		slot_free(c, c->chain[i]);
	c->chain_count = c->chain_bytes = 0;
	c->ops->received(c->ctx, c->pieces, count, &meta); /* more than one piece */
}

/* What is wrong with the entry, or NULL. */
static const char *wrong(const struct net_client *c, const struct net_rx_done *e)
{
	const struct rx_slot *s = &c->rx[e->id % NET_SLOTS];

	if (e->generation != c->generation || e->id >= NET_SLOTS || s->state != RX_POSTED)
		return "a buffer that was not posted";
	if (e->length_bytes > s->buffer.length || e->offset_bytes > s->buffer.length - e->length_bytes)
		return "data outside its buffer";
	if (e->length_bytes > NET_PACKET_MAX - c->chain_bytes || c->chain_count == NET_PIECES_MAX)
		return "a packet that is too long";
	if (!e->length_bytes && (e->flags || c->chain_count))
		return "an empty piece";
	if (e->flags & NET_MORE && !(c->info.features & NET_F_RX_CHAIN))
		return "a packet in pieces";
	return NULL;
}

REGION_UNLOGGED static struct net_meta meta_of(const struct net_rx_done *e)
{
	return (struct net_meta){
		.flags = e->flags & ~NET_MORE, .csum_start = e->csum_start, .csum_offset = e->csum_offset,
		.gso_type = e->gso_type, .gso_size = e->gso_size, .hdr_len = e->hdr_len,
	};
}

/* In one buffer, as most are: nothing of it need be kept. The slot stays the buffer's until it is known whether
 * it is posted again. */
REGION_UNLOGGED static const char *take_whole(struct net_client *c, const struct net_rx_done *e)
{
	const struct net_piece *buffer = &c->rx[e->id].buffer;
	struct net_piece piece = {
		.pool = buffer->pool, .offset = buffer->offset + e->offset_bytes, .length = e->length_bytes,
		.cookie = buffer->cookie,
	};
	struct net_meta meta = meta_of(e);
	bool plain = !meta.flags && meta.gso_type == NET_GSO_NONE;

	if (!plain && !ncli_meta_check_received(&meta, e->length_bytes, c->info.features))
		return "impossible metadata";
	if (!c->ops->received(c->ctx, &piece, 1, &meta))
		slot_free(c, e->id);
	else if (c->state == CLIENT_UP && ncli_receive_push(c, e->id))
		return "it does not give slots of RX_POST back";
	return NULL;
}

static const char *take(struct net_client *c, const struct net_rx_done *e)
{
	const char *why = wrong(c, e);
	struct net_piece *piece = &c->pieces[c->chain_count];

	if (why)
		return why;
	if (!e->length_bytes) {
		give_back(c, e->id);
		return NULL;
	}
	if (!c->chain_count && !(e->flags & NET_MORE))
		return take_whole(c, e);
	if (!c->chain_count)
		c->chain_meta = meta_of(e);
	*piece = c->rx[e->id].buffer;
	piece->offset += e->offset_bytes;
	piece->length = e->length_bytes;
	c->rx[e->id].state = RX_ARRIVED;
	c->chain[c->chain_count++] = e->id;
	c->chain_bytes += e->length_bytes;
	if (e->flags & NET_MORE)
		return NULL;
	if (!ncli_meta_check_received(&c->chain_meta, c->chain_bytes, c->info.features))
		return "impossible metadata";
	deliver(c);
	return NULL;
}

/* What is left of those that were popped when the session ends is as lost as what the driver still had. */
uint32_t ncli_receive_reap(struct net_client *c, uint32_t budget)
{
	static REGION_SCRATCH struct net_rx_done entries[REAP_AT_ONCE];
	enum client_state state = c->state;
	const char *why = NULL;
	uint32_t taken = 0;
	int got = 0;

	while (taken < budget && c->state == state && !why) {
		uint32_t room = budget - taken;

		got = ring_pop_many(&c->rx_done, entries, room < REAP_AT_ONCE ? room : REAP_AT_ONCE);
		if (got <= 0)
			break;
		for (int i = 0; i < got && c->state == state && !why; i++) {
			why = take(c, &entries[i]);
			taken += !why;
		}
	}
	if (got < 0)
		why = "an impossible index of RX_DONE";
	if (why)
		ncli_session_broken(c, why);
	return taken;
}
