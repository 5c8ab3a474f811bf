/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What arrives in small pieces is packed into a chunk of the pool, one behind the other, so that the kernel can
 * give it out (flow_in.c, flow_datagram.c). `packing` is the socket's chunk that still has room; it is let go when
 * nothing waits in the queue. Where there is no chunk to be had a piece stays as it is, and is given out by a call.
 */
#include "servers/net/net.h"

#define ALIGNED(n) (((n) + 7u) & ~7u)

/* A stream's small pieces are few: more would come as one. */
static struct chunk *fresh_chunk(const struct sock *s, uint32_t bytes)
{
	if (s->kind != SOCKET_TCP && chunks_are_plenty(CHUNK_LARGE))
		return chunk_get_buffer(CHUNK_LARGE);
	return bytes <= CHUNK_SMALL && chunks_are_plenty(CHUNK_SMALL) ? chunk_get_buffer(CHUNK_SMALL) : NULL;
}

void pack_let_go(struct sock *s)
{
	if (s->packing)
		chunk_drop(s->packing);
	s->packing = NULL;
}

struct pbuf *pack_room(struct sock *s, uint32_t bytes)
{
	struct chunk *c = s->packing;

	if (c && c->size - c->used < bytes) {
		pack_let_go(s);
		c = NULL;
	}
	if (!c)
		c = s->packing = fresh_chunk(s, bytes);
	return c ? chunk_pbuf(c, c->data + c->used, bytes) : NULL;
}

void pack_fill(struct sock *s, uint32_t bytes)
{
	struct chunk *c = s->packing;

	c->used = ALIGNED(c->used + bytes);
	if (c->used > c->size)
		c->used = c->size;
}

struct pbuf *pack(struct sock *s, struct pbuf *p)
{
	struct pbuf *packed = pack_room(s, p->tot_len);

	if (!packed)
		return NULL;
	pbuf_copy_partial(p, packed->payload, p->tot_len, 0);
	pack_fill(s, p->tot_len);
	pbuf_free(p);
	return packed;
}
