/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams of one socket to one peer that follow each other at once. The first
 * goes through lwIP, and edge.c notes the headers it left with; the others get the
 * same headers, but for lengths, number and checksums, and go straight to the
 * driver. As nothing comes between, routes, neighbours and options are as they were.
 */
#include "lib/c/string.h"
#include "servers/net/bytes.h"
#include "servers/net/net.h"

#define FIRST_NUMBER 0x8000u /* of fragments' identification: away from lwIP's own */

bool burst_takes(const struct burst *b, uint32_t bytes)
{
	return b->to && bytes + b->headers.payload - b->headers.l3 <= b->to->mtu;
}

static void finish_headers(uint8_t *head, const struct headers *h, uint32_t bytes)
{
	static uint16_t number;
	uint8_t *ip = head + h->l3, *udp = head + h->l4;
	uint32_t udp_bytes = h->payload - h->l4 + bytes;

	put16(udp + 4, udp_bytes);
	put_sum(udp + 6, pseudo_sum(head, h, udp_bytes)); /* the device makes the rest */
	if (h->v6) {
		put16(ip + 4, udp_bytes);
		return;
	}
	put16(ip + 4, FIRST_NUMBER + number++);
	finish_ip4(ip, h->payload - h->l3 + bytes);
}

err_t burst_send(const struct burst *b, struct chunk *c, const uint8_t *at, uint32_t bytes)
{
	const struct headers *h = &b->headers;
	struct net_meta meta = { .flags = NET_CSUM_PARTIAL, .csum_start = h->l4, .csum_offset = 6 };
	struct frame f;

	if (!frame_open(&f, b->to, h->payload)) {
		b->to->tx_stalled = true;
		return ERR_WOULDBLOCK;
	}
	memcpy(f.head, b->head, h->payload);
	finish_headers(f.head, h, bytes);
	frame_add_chunk(&f, c, at, bytes);
	return frame_send(&f, &meta);
}
