/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending: packets out through TX, completions in through TX_DONE.
 */
#include "lib/netcli/internal.h"

#define SESSIONS_MAX 6u /* a packet may be out in: it may be what kills the driver */

static struct tx_slot *slot(struct net_client *c, uint32_t index)
{
	return &c->slots[index % NET_SLOTS];
}

static uint32_t packet_bytes(struct net_client *c, uint32_t index)
{
	uint32_t bytes = 0;

	for (uint32_t i = 0; i < slot(c, index)->pieces; i++)
		bytes += slot(c, index + i)->length;
	return bytes;
}

static void prepare(struct net_client *c, uint32_t index)
{
	const struct tx_slot *s = slot(c, index);

	if (s->meta.gso_type != NET_GSO_NONE && c->info.features & NET_F_TSO_BARE)
		ncli_meta_make_bare(c->pools[s->pool].virt + s->offset, s->length, packet_bytes(c, index), &s->meta);
}

int ncli_send_push(struct net_client *c, uint32_t index)
{
	const struct tx_slot *first = slot(c, index);
	uint32_t pieces = first->pieces;

	if (ring_space(&c->tx) < (int)pieces)
		return -X_EPROTO;
	prepare(c, index);
	for (uint32_t i = 0; i < pieces; i++) {
		const struct tx_slot *s = slot(c, index + i);
		struct net_tx entry = {
			.generation = c->generation, .id = index % NET_SLOTS, .pool_offset = s->offset,
			.length_bytes = s->length, .pool = s->pool, .flags = i + 1 < pieces ? NET_MORE : 0,
		};

		if (!i) {
			entry.flags |= s->meta.flags;
			entry.csum_start = s->meta.csum_start;
			entry.csum_offset = s->meta.csum_offset;
			entry.gso_type = s->meta.gso_type;
			entry.gso_size = s->meta.gso_size;
			entry.hdr_len = s->meta.hdr_len;
		}
		ring_push(&c->tx, &entry); /* there is space */
	}
	return 0;
}

/* The slots of a packet are free again when all older ones are done too. */
static void finish(struct net_client *c, uint32_t index, int status)
{
	struct tx_slot *s = slot(c, index);

	s->done = true;
	c->tx_packets--;
	c->tx_bytes -= packet_bytes(c, index);
	while (c->tx_first != c->tx_next && slot(c, c->tx_first)->done)
		c->tx_first += slot(c, c->tx_first)->pieces;
	c->ops->sent(c->ctx, s->cookie, status);
}

static int may_replay(const struct net_client *c, const struct tx_slot *s, uint32_t bytes)
{
	if (s->tries > SESSIONS_MAX)
		return -X_EIO;
	if (!ncli_meta_can_send(c->info.features, &s->meta) || bytes > c->info.tx_packet_max ||
	    s->pieces > c->info.tx_pieces_max)
		return -X_EOPNOTSUPP;
	return 0;
}

/* In order, what is not known to be sent. Callbacks come last: what they send
 * has its place behind all of that. */
void ncli_send_replay(struct net_client *c)
{
	uint32_t end = c->tx_next;

	for (uint32_t i = c->tx_first; i != end; i += slot(c, i)->pieces) {
		struct tx_slot *s = slot(c, i);

		s->tries += !s->done;
		if (!s->done && !may_replay(c, s, packet_bytes(c, i)) && ncli_send_push(c, i)) {
			ncli_session_broken(c, "a fresh ring is full");
			return;
		}
	}
	for (uint32_t i = c->tx_first; (int32_t)(end - i) > 0;) {
		struct tx_slot *s = slot(c, i);
		int err = s->done ? 0 : may_replay(c, s, packet_bytes(c, i));

		i += s->pieces;
		if (err)
			finish(c, s - c->slots, err);
		if ((int32_t)(c->tx_first - i) > 0) /* what lies before may hold other packets now */
			i = c->tx_first;
	}
}

static const char *take(struct net_client *c, const struct net_tx_done *e)
{
	uint32_t index = c->tx_first + (e->id - c->tx_first) % NET_SLOTS; /* in [tx_first, + NET_SLOTS) */

	if (e->generation != c->generation || e->id >= NET_SLOTS || index - c->tx_first >= c->tx_next - c->tx_first ||
	    !slot(c, index)->pieces || slot(c, index)->done)
		return "a packet that was not sent";
	if (e->status && e->status != -X_EINVAL && e->status != -X_EIO)
		return "an unknown status";
	finish(c, index, e->status);
	return NULL;
}

uint32_t ncli_send_reap(struct net_client *c, uint32_t budget)
{
	enum client_state state = c->state;
	struct net_tx_done entry;
	const char *why = NULL;
	uint32_t taken = 0;
	int got = 0;

	while (taken < budget && c->state == state) {
		got = ring_pop(&c->tx_done, &entry);
		if (got <= 0)
			break;
		why = take(c, &entry);
		if (why)
			break;
		taken++;
	}
	if (got < 0)
		why = "an impossible index of TX_DONE";
	if (why)
		ncli_session_broken(c, why);
	return taken;
}

/* Completions are not urgent: be woken when most of what is out is done. Of little they are
 * seen when we run next, for something else or by the timer. */
bool ncli_send_arm(struct net_client *c)
{
	if (!c->tx_packets) {
		timer_clear(&c->lazy);
		return false;
	}
	if (c->tx_packets <= NET_LITTLE_PACKETS && c->tx_bytes <= NET_LITTLE_BYTES) {
		if (!c->lazy.deadline_ns)
			timer_set(&c->lazy, server_now_ns + NET_LITTLE_NS);
		return ring_arm_consumer_after(&c->tx_done, c->tx_packets);
	}
	return ring_arm_consumer_after(&c->tx_done, c->tx_packets - 1 - c->tx_packets / 4);
}
