/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending on a TCP socket.
 *
 * A program's bytes are copied once, into chunks of the pool, and given to lwIP
 * by reference. Segments are made large: while tcp_write() runs, pcb->mss is
 * raised, to a quarter of the congestion window at most, so that a segment of up
 * to 64 KiB goes through lwIP as one and is cut by the device (or edge.c) to the
 * real size, which lwIP keeps counting by for congestion control.
 *
 * lwIP sends a segment whole or not at all. One that is larger than what the
 * peer or the network takes is split here, without copying, before tcp_output().
 */
#include "lib/c/string.h"
#include "lwip/priv/tcp_priv.h"
#include "servers/net/net.h"

#define HELD_MOST_NS 200000000u
#define SEGMENT_MOST (65535u - 60u - 20u) /* of a packet of 64 KiB, headers with options off */

uint16_t tcp_output_mss;

u32_t *hook_tcp_segment(struct tcp_pcb *pcb, u32_t *options)
{
	tcp_output_mss = pcb && pcb->state != LISTEN ? pcb->mss : 0;
	return options;
}

static uint32_t segment_most(const struct tcp_pcb *pcb)
{
	return SEGMENT_MOST / pcb->mss * pcb->mss;
}

/* Never smaller than what waits at the end of the queue: lwIP counts on that. */
static uint32_t segment_size(const struct tcp_pcb *pcb)
{
	uint32_t bytes = pcb->cwnd / 4 / pcb->mss * pcb->mss, most = segment_most(pcb);
	const struct tcp_seg *last = pcb->unsent;

	if (bytes > most)
		bytes = most;
	if (bytes < pcb->mss)
		bytes = pcb->mss;
	while (last && last->next)
		last = last->next;
	return last && last->len > bytes ? last->len : bytes;
}

static err_t write_segments(struct tcp_pcb *pcb, const void *data, uint32_t bytes, bool more)
{
	u16_t mss = pcb->mss;
	err_t err;

	pcb->mss = (u16_t)segment_size(pcb);
	err = tcp_write(pcb, data, (u16_t)bytes, more ? TCP_WRITE_FLAG_MORE : 0);
	pcb->mss = mss;
	return err;
}

int64_t copy_from_windows(const struct waiter *w, uint64_t at, void *to, uint32_t bytes)
{
	uint32_t done = 0;

	for (unsigned i = 0; i < SOCK_DATA_WINDOWS && done < bytes; i++) {
		uint32_t part;
		int64_t n;

		if (at >= w->window[i]) {
			at -= w->window[i];
			continue;
		}
		part = w->window[i] - (uint32_t)at;
		part = part < bytes - done ? part : bytes - done;
		n = window_read(w->call_id, i, at, (uint8_t *)to + done, part);
		if (n < 0)
			return done ? (int64_t)done : n;
		done += (uint32_t)n;
		at = 0;
		if ((uint32_t)n < part)
			break;
	}
	return done;
}

/* What of a chunk a stream fills. Never all of it: lwIP joins references that are
 * neighbours in memory, and a reference must lie in one chunk. */
uint32_t tcp_usable(const struct tcp_pcb *pcb, const struct chunk *c)
{
	uint32_t most = segment_most(pcb), bytes = c->size - 64;

	return bytes < most ? bytes : most;
}

/* A chunk with room at its end, held: the last one, or a new one. */
static struct chunk *chunk_for(struct sock *s, uint32_t bytes)
{
	struct chunk *c = s->sending_last ? s->sending_last->chunk : NULL;

	if (c && !c->lent && c->used < tcp_usable(s->pcb.tcp, c)) {
		chunk_hold(c);
		return c;
	}
	/* The last ones are for those who hold little. */
	if (chunks_free_large() < 8 && s->sending_bytes > 2 * CHUNK_LARGE)
		return NULL;
	return chunk_get(bytes);
}

static void append_piece(struct sock *s, struct piece *p, struct chunk *c)
{
	*p = (struct piece){ .chunk = c };
	chunk_hold(c);
	if (s->sending_last)
		s->sending_last->next = p;
	else
		s->sending = p;
	s->sending_last = p;
}

err_t tcp_give(struct sock *s, struct chunk *c, uint32_t bytes, bool more)
{
	struct piece *p = s->sending_last && s->sending_last->chunk == c ? s->sending_last : NULL, *own = NULL;
	err_t err;

	if (!p)
		p = own = heap_allocate(sizeof(*p));
	if (!p)
		return ERR_MEM;
	err = write_segments(s->pcb.tcp, c->data + c->used, bytes, more);
	if (err != ERR_OK) {
		heap_free(own);
		return err;
	}
	if (own)
		append_piece(s, own, c);
	p->bytes += bytes;
	c->used += bytes;
	s->sending_bytes += bytes;
	s->sent_bytes += bytes;
	return ERR_OK;
}

int64_t tcp_queue(struct sock *s, struct waiter *w)
{
	uint64_t left = w->total - w->done;
	uint32_t room = s->send_limit > s->sending_bytes ? s->send_limit - s->sending_bytes : 0, bytes;
	struct chunk *c;
	int64_t n;
	err_t err = ERR_OK;

	/* One that waits goes on when a good part is free, not at each segment. */
	if (!room || (w->done && room < left && room < s->send_limit / 3) || stream_out_waits(s))
		return SOCK_WAIT;
	c = chunk_for(s, left < UINT32_MAX ? (uint32_t)left : UINT32_MAX);
	s->starved = !c;
	if (!c)
		return SOCK_WAIT;
	bytes = tcp_usable(s->pcb.tcp, c) - c->used;
	bytes = left < bytes ? (uint32_t)left : bytes;
	n = copy_from_windows(w, w->done, c->data + c->used, bytes);
	if (n > 0)
		err = tcp_give(s, c, (uint32_t)n, (w->flags & L_MSG_MORE) || w->done + (uint64_t)n < w->total);
	chunk_drop(c);
	if (n <= 0)
		return n ? n : -X_EFAULT;
	if (err != ERR_OK)
		return err == ERR_MEM ? SOCK_WAIT : -X_EPIPE;
	w->done += (uint64_t)n;
	return n;
}

static void drop_first_piece(struct sock *s)
{
	struct piece *p = s->sending;

	s->sending = p->next;
	if (!s->sending)
		s->sending_last = NULL;
	chunk_drop(p->chunk);
	heap_free(p);
}

/* The FIN counts as one byte that no chunk has. */
void tcp_sent_bytes(struct sock *s, uint32_t bytes)
{
	while (bytes && s->sending) {
		struct piece *p = s->sending;
		uint32_t part = p->bytes < bytes ? p->bytes : bytes;

		p->bytes -= part;
		bytes -= part;
		s->sending_bytes -= part;
		if (p->bytes)
			break;
		drop_first_piece(s);
	}
	s->starved = false; /* a chunk may be its own, given back */
	sock_mark(s, X_READY_OUT);
}

void tcp_drop_queue(struct sock *s)
{
	while (s->sending)
		drop_first_piece(s);
	s->sending_bytes = 0;
}

/* ---- splitting ---- */

/* References to the bytes of a chain from `offset` on. */
static struct pbuf *reference_tail(const struct pbuf *p, uint32_t offset)
{
	struct pbuf *tail = NULL;

	for (; p; p = p->next) {
		struct pbuf *r;

		if (offset >= p->len) {
			offset -= p->len;
			continue;
		}
		r = pbuf_alloc(PBUF_RAW, (u16_t)(p->len - offset), PBUF_ROM);
		if (!r) {
			if (tail)
				pbuf_free(tail);
			return NULL;
		}
		r->payload = (uint8_t *)p->payload + offset;
		offset = 0;
		if (tail)
			pbuf_cat(tail, r);
		else
			tail = r;
	}
	return tail;
}

static struct tcp_seg *make_segment(const struct tcp_pcb *pcb, struct pbuf *data, uint32_t seqno, uint8_t flags)
{
	struct pbuf *header = pbuf_alloc(PBUF_TRANSPORT, 0, PBUF_RAM);
	struct tcp_seg *segment = memp_malloc(MEMP_TCP_SEG);

	if (!header || !segment || pbuf_add_header(header, TCP_HLEN)) {
		if (header)
			pbuf_free(header);
		if (segment)
			memp_free(MEMP_TCP_SEG, segment);
		return NULL;
	}
	segment->flags = 0;
	segment->next = NULL;
	segment->len = data->tot_len;
	segment->p = header;
	segment->tcphdr = header->payload;
	memset(segment->tcphdr, 0, TCP_HLEN);
	segment->tcphdr->src = lwip_htons(pcb->local_port);
	segment->tcphdr->dest = lwip_htons(pcb->remote_port);
	segment->tcphdr->seqno = lwip_htonl(seqno);
	TCPH_HDRLEN_FLAGS_SET(segment->tcphdr, 5, flags);
	pbuf_cat(header, data);
	return segment;
}

/* The first `bytes` of a segment stay in it, the rest becomes the next one. Its
 * payload is in chunks, referred to by both. */
err_t segment_split(struct tcp_pcb *pcb, struct tcp_seg *segment, uint32_t bytes)
{
	uint32_t keep, seqno = lwip_ntohl(segment->tcphdr->seqno);
	uint8_t flags = TCPH_FLAGS(segment->tcphdr), later = flags & (TCP_FIN | TCP_PSH);
	struct tcp_seg *rest;
	struct pbuf *tail;

	if (!bytes || bytes >= segment->len || (flags & TCP_SYN))
		return ERR_VAL;
	keep = segment->p->tot_len - segment->len + bytes;
	tail = reference_tail(segment->p, keep);
	if (!tail)
		return ERR_MEM;
	rest = make_segment(pcb, tail, seqno + bytes, later);
	if (!rest) {
		pbuf_free(tail);
		return ERR_MEM;
	}
	pcb->snd_queuelen -= pbuf_clen(segment->p);
	pbuf_realloc(segment->p, (u16_t)keep);
	segment->len = (u16_t)bytes;
	TCPH_HDRLEN_FLAGS_SET(segment->tcphdr, TCPH_HDRLEN(segment->tcphdr), flags & ~later);
	rest->next = segment->next;
	segment->next = rest;
	pcb->snd_queuelen += pbuf_clen(segment->p) + pbuf_clen(rest->p);
	return ERR_OK;
}

/* An acknowledgement may end inside a large segment. Its part that has arrived is
 * not sent again, and lwIP would take it for one that never fits the window. lwIP
 * counts whole segments as acknowledged: this one is counted here. */
static void trim_head(struct sock *s, struct tcp_pcb *pcb, struct tcp_seg **list)
{
	struct tcp_seg *head = *list;
	uint32_t done = head ? pcb->lastack - lwip_ntohl(head->tcphdr->seqno) : 0;

	if (!head || (int32_t)done <= 0 || done >= head->len || segment_split(pcb, head, done) != ERR_OK)
		return;
	*list = head->next;
	pcb->snd_queuelen -= pbuf_clen(head->p);
	tcp_seg_free(head);
	pcb->snd_buf += done;
	tcp_sent_bytes(s, done);
}

/* What of the head may leave now; 0: nothing. */
static uint32_t head_room(const struct tcp_pcb *pcb)
{
	const struct tcp_seg *head = pcb->unsent;
	uint32_t window = pcb->snd_wnd < pcb->cwnd ? pcb->snd_wnd : pcb->cwnd;
	uint32_t before = lwip_ntohl(head->tcphdr->seqno) - pcb->lastack;
	uint32_t room = window > before ? window - before : 0;

	if (room >= head->len)
		return head->len;
	if (room >= pcb->mss)
		return room / pcb->mss * pcb->mss;
	return pcb->unacked ? 0 : room;
}

static void held_long_enough(void *ctx)
{
	sock_mark(ctx, 0);
}

/* Less than a segment waits for more, but not for ever (as in Linux). */
static bool corked(struct sock *s, const struct tcp_pcb *pcb)
{
	if (!(s->cork || s->more) || !pcb->unsent || pcb->unsent->next || pcb->unsent->len >= pcb->mss) {
		s->held_since_ns = 0;
		return false;
	}
	if (!s->held_since_ns) {
		s->held_since_ns = server_now_ns;
		s->held_timer.fn = held_long_enough;
		s->held_timer.ctx = s;
		timer_set(&s->held_timer, server_now_ns + HELD_MOST_NS);
	}
	return server_now_ns - s->held_since_ns < HELD_MOST_NS;
}

void tcp_push(struct sock *s)
{
	struct tcp_pcb *pcb = s->pcb.tcp;

	if (!pcb || s->listening || pcb->state == CLOSED || pcb->state == LISTEN || corked(s, pcb))
		return;
	trim_head(s, pcb, &pcb->unacked);
	trim_head(s, pcb, &pcb->unsent);
	tcp_recover(s);
	if (pcb->unsent && pcb->unsent->len) {
		tcp_output(pcb);
		if (pcb->unsent && pcb->unsent->len) {
			uint32_t room = head_room(pcb);

			if (room && room < pcb->unsent->len)
				segment_split(pcb, pcb->unsent, room);
		}
	}
	tcp_output(pcb);
}
