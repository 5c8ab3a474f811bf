/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams of a UDP socket, given out by the kernel: as flow_in.c does for streams,
 * with one extent for each datagram and its sender's address beside it. Of the queue
 * `received`, all before flow_next are published and not known to be taken.
 *
 *   none --some received by call--> RUNNING --control messages wanted, a call that a flow
 *     ^                                                            can't do--> STOPPING
 *     +--------the kernel says that it has stopped; next time it takes twice as many calls--+
 *
 * What arrives is packed (pack.c). What is not stays on the heap, and is given out by a call
 * when it is its turn (the flow is then `last`), as is an error.
 */
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "lwip/udp.h"
#include "servers/net/net.h"

#define RECEIVES_FIRST 12u       /* by call, before a socket has a flow */
#define ENTRIES_MOST   256u      /* of the outbox, in one iteration */

static uint32_t entries_left;
static bool postponed;

/* ---- the flow ---- */

static bool begin(struct sock *s)
{
	return !s->flow_in && !s->control_wanted && !s->shut_read && s->calls_received >= RECEIVES_FIRST << s->flow_stops &&
	       pool.virt && flow_open(s, X_FLOW_IN | X_FLOW_DATAGRAM);
}

static bool lies_in_pool(const struct pbuf *p)
{
	return !p->next && chunk_of(p->payload);
}

REGION_UNLOGGED static struct x_out *append(struct sock *s, struct packet *d)
{
	struct x_out *o = out_flow(s->id, X_FLOW_IN, 0, 1, 0);
	struct x_flow_address from = { .length = 0 };
	struct address a;

	address_make(s, &d->from, d->port, &a);
	from.length = a.length;
	memcpy(from.bytes, a.bytes, sizeof(from.bytes));
	o->msg.op = 1;
	o->msg.a[0] = (uint64_t)((uint8_t *)d->p->payload - pool.virt);
	o->msg.a[1] = d->p->tot_len;
	memcpy(&o->msg.a[2], &from, sizeof(from));
	return o;
}

/* When a program that takes what it finds is to be told of: for what waits for room, before it
 * finds nothing; else when buffers are worth having back. */
static uint32_t tell_when(const struct sock *s)
{
	uint32_t out = s->flow_published + (uint32_t)(s->flow_appended - s->flow_taken);
	uint32_t step = s->flow_next ? out / 2 : s->receive_limit / 4;

	return step ? step : 1;
}

static void publish(struct sock *s)
{
	uint32_t mode, tell;
	struct x_out *last = NULL;

	while (s->flow_next && lies_in_pool(s->flow_next->p) && entries_left &&
	       s->flow_appended - s->flow_taken < X_FLOW_EXTENTS) {
		last = append(s, s->flow_next);
		entries_left--;
		s->flow_appended++;
		s->flow_published += s->flow_next->p->tot_len;
		s->flow_next = s->flow_next->next;
	}
	if (s->flow_next && !entries_left)
		postponed = true;
	mode = (s->flow_next && !lies_in_pool(s->flow_next->p)) || s->error || s->shut_read ? X_FLOW_LAST : 0;
	tell = tell_when(s);
	if (!last && mode == s->flow_mode && tell == s->flow_tell && s->flow_timeout_ns == s->receive_timeout_ns)
		return;
	if (!last)
		last = out_flow(s->id, X_FLOW_IN, mode, tell, s->receive_timeout_ns);
	last->flags = mode;
	last->msg.a[6] = tell;
	last->value = s->receive_timeout_ns;
	s->flow_mode = mode;
	s->flow_tell = tell;
	s->flow_timeout_ns = s->receive_timeout_ns;
}

void datagrams_publish(struct sock *s)
{
	if (s->flow_in)
		flow_sync(s);
	if ((s->flow_in && !s->flow_stopping) || begin(s))
		publish(s);
	if (!s->received)
		pack_let_go(s);
}

/* The kernel's count is ahead of ours, or the same. */
void datagrams_taken(struct sock *s, uint64_t extents)
{
	for (; s->flow_taken != extents && s->received; s->flow_taken++) {
		s->flow_published -= s->received->p->tot_len;
		received_drop_datagram(s);
	}
}

/* ---- all of them ---- */

void datagram_flows_begin(void)
{
	entries_left = ENTRIES_MOST;
	if (postponed)
		for (struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next) {
			struct sock *s = pcb->recv_arg;

			if (s && s->flow_in && s->flow_next)
				sock_mark(s, 0);
		}
	postponed = false;
}

bool datagram_flows_wait(void) { return postponed; }

void datagram_flows_sync(void)
{
	for (struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next) {
		struct sock *s = pcb->recv_arg;

		if (s && s->flow_in && s->flow_appended != s->flow_taken)
			sock_mark(s, 0);
	}
}
