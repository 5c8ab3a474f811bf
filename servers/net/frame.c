/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A frame on its way to a driver: headers copied into a header of the pool, the
 * rest referred to where it lies in chunks, or copied into a chunk if it lies
 * elsewhere. What it holds is given back when the driver is done with it.
 */
#include "lib/c/string.h"
#include "servers/net/net.h"

#define PIECES 24u
#define SHORT_BYTES 128u /* are copied behind the headers */

struct tx_packet {
	struct tx_packet *next;  /* free list */
	uint8_t *header;
	uint32_t count;
	struct net_piece piece[PIECES];
	struct chunk *chunk[PIECES]; /* held for that piece, NULL for the header */
};

static struct tx_packet *record_get(struct interface *i)
{
	struct tx_packet *r = i->tx_free;

	if (!r)
		return heap_allocate(sizeof(*r));
	i->tx_free = r->next;
	return r;
}

static void record_put(struct interface *i, struct tx_packet *r)
{
	header_put(r->header);
	for (uint32_t k = 0; k < r->count; k++)
		if (r->chunk[k])
			chunk_drop(r->chunk[k]);
	r->next = i->tx_free;
	i->tx_free = r;
}

bool frame_open(struct frame *f, struct interface *to, uint32_t head_bytes)
{
	uint8_t *head = header_get();
	struct tx_packet *r = head ? record_get(to) : NULL;

	if (!r) {
		if (head)
			header_put(head);
		return false;
	}
	r->header = head;
	r->count = 1;
	r->chunk[0] = NULL;
	*f = (struct frame){ to, r, head, head_bytes };
	return true;
}

bool frame_begin(struct frame *f, struct interface *to, const struct pbuf *p, uint32_t head_bytes)
{
	if (!frame_open(f, to, head_bytes))
		return false;
	pbuf_copy_partial(p, f->head, (u16_t)head_bytes, 0);
	return true;
}

static uint32_t most_pieces(const struct interface *i)
{
	return i->info.tx_pieces_max < PIECES ? i->info.tx_pieces_max : PIECES;
}

static bool add_piece(struct frame *f, struct chunk *c, const uint8_t *at, uint32_t bytes)
{
	struct tx_packet *r = f->record;
	struct net_piece *last = &r->piece[r->count - 1];
	uint64_t offset = (uint64_t)(at - pool.virt);

	if (r->count > 1 && r->chunk[r->count - 1] == c && last->offset + last->length == offset) {
		last->length += bytes;
		return true;
	}
	if (r->count == most_pieces(f->to))
		return false;
	chunk_hold(c);
	r->chunk[r->count] = c;
	r->piece[r->count++] = (struct net_piece){ .pool = 0, .length = bytes, .offset = offset };
	return true;
}

/* All that is left, into one chunk: too many pieces, or bytes that lie elsewhere. */
static bool add_copy(struct frame *f, const struct pbuf *p, uint32_t offset, uint32_t bytes)
{
	struct tx_packet *r = f->record;
	struct chunk *c;
	bool added;

	if (r->count == 1 && f->head_bytes + bytes <= HEADER_BYTES) {
		pbuf_copy_partial(p, f->head + f->head_bytes, (u16_t)bytes, (u16_t)offset);
		f->head_bytes += bytes;
		return true;
	}
	c = chunk_get(bytes);
	if (!c)
		return false;
	if (c->size < bytes) {
		chunk_drop(c);
		return false;
	}
	pbuf_copy_partial(p, c->data, (u16_t)bytes, (u16_t)offset);
	added = add_piece(f, c, c->data, bytes);
	chunk_drop(c); /* the piece holds it */
	return added;
}

/* Bytes [offset, offset + bytes) of the chain, which lie behind the head. */
bool frame_add(struct frame *f, const struct pbuf *p, uint32_t offset, uint32_t bytes)
{
	const struct pbuf *first = p;
	uint32_t from = offset, left = bytes, pieces = 1;

	for (; p && from >= p->len; p = p->next)
		from -= p->len;
	for (const struct pbuf *q = p; q; q = q->next)
		pieces++;
	if (!bytes)
		return true;
	if (pieces > most_pieces(f->to) || bytes <= SHORT_BYTES)
		return add_copy(f, first, offset, bytes);
	for (; p && left; p = p->next, from = 0) {
		uint32_t part = p->len - from < left ? p->len - from : left;
		const uint8_t *at = (const uint8_t *)p->payload + from;
		struct chunk *c = chunk_of(at);

		if (!part)
			continue;
		if (!c ? !add_copy(f, p, from, part) : !add_piece(f, c, at, part))
			return false;
		left -= part;
	}
	return left == 0;
}

/* To a frame that has nothing but its headers. */
void frame_add_chunk(struct frame *f, struct chunk *c, const uint8_t *at, uint32_t bytes)
{
	if (bytes > SHORT_BYTES) {
		add_piece(f, c, at, bytes);
		return;
	}
	memcpy(f->head + f->head_bytes, at, bytes);
	f->head_bytes += bytes;
}

void frame_drop(struct frame *f)
{
	record_put(f->to, f->record);
}

err_t frame_send(struct frame *f, const struct net_meta *meta)
{
	struct tx_packet *r = f->record;
	uint32_t bytes = f->head_bytes;
	int err;

	r->piece[0] = (struct net_piece){ .pool = 0, .length = f->head_bytes, .offset = (uint64_t)(f->head - pool.virt) };
	for (uint32_t k = 1; k < r->count; k++)
		bytes += r->piece[k].length;
	err = net_send(f->to->client, r->piece, r->count, meta, r);
	if (err) {
		record_put(f->to, r);
		if (err == -X_EAGAIN) {
			f->to->tx_stalled = true;
			return ERR_WOULDBLOCK;
		}
		f->to->tx_dropped++;
		return ERR_OK; /* it can't be sent, now or later: lost, as on a wire */
	}
	f->to->tx_packets++;
	f->to->tx_bytes += bytes;
	return ERR_OK;
}

void frame_sent(struct interface *i, struct tx_packet *record)
{
	record_put(i, record);
	if (i->tx_stalled && net_send_room(i->client) > NET_SLOTS / 4) {
		i->tx_stalled = false;
		senders_may_go();
	}
}
