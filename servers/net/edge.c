/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The edge: where packets of the stack become frames that a device and a wire
 * take. Checksums of TCP and UDP are made here or left to the device; TCP
 * packets that are longer than the interface's MTU are left to the device to
 * cut, or cut here; others are fragmented (RFC 791). The MSS option of a SYN is
 * brought down to the MTU.
 */
#include "lib/c/string.h"
#include "lwip/prot/ethernet.h"
#include "servers/net/bytes.h"
#include "servers/net/net.h"

#define ETHERNET 14u
#define DONT_FRAGMENT 0x4000u
#define TCP_FIN_FLAG 1u
#define TCP_SYN_FLAG 2u
#define TCP_PSH_FLAG 8u

/* ---- what a frame is ---- */

static void parse4(const uint8_t *b, uint32_t bytes, struct headers *h)
{
	uint32_t ihl = (b[14] & 15u) * 4;
	bool fragment = get16(b + 20) & 0x3fff;

	if (bytes < 34 || b[14] >> 4 != 4 || ihl < 20)
		return;
	h->l3 = ETHERNET;
	h->protocol = b[23];
	h->length = ETHERNET + get16(b + 16);
	if (!fragment)
		h->l4 = (uint16_t)(ETHERNET + ihl);
}

static void parse6(const uint8_t *b, uint32_t bytes, struct headers *h)
{
	if (bytes < 54 || b[14] >> 4 != 6)
		return;
	h->l3 = ETHERNET;
	h->v6 = true;
	h->protocol = b[20];
	h->length = ETHERNET + 40 + get16(b + 18);
	h->l4 = ETHERNET + 40; /* extension headers are a protocol of their own here */
}

void headers_parse(const struct pbuf *p, struct headers *h)
{
	uint8_t b[FRAME_HEAD_MOST];
	uint32_t bytes = pbuf_copy_partial(p, b, sizeof(b), 0);

	memset(h, 0, sizeof(*h));
	if (bytes < 34)
		return;
	if (get16(b + 12) == ETHTYPE_IP)
		parse4(b, bytes, h);
	else if (get16(b + 12) == ETHTYPE_IPV6)
		parse6(b, bytes, h);
	if (h->l4 && h->protocol == L_IPPROTO_TCP && bytes >= h->l4 + 20u)
		h->payload = (uint16_t)(h->l4 + (b[h->l4 + 12] >> 4) * 4);
	else if (h->l4 && h->protocol == L_IPPROTO_UDP && bytes >= h->l4 + 8u)
		h->payload = (uint16_t)(h->l4 + 8);
	if (h->length > p->tot_len || (h->payload && (h->payload > bytes || h->payload < h->l4)))
		h->payload = h->l4 = 0;
}

/* The pseudo-header's sum, for `bytes` of transport header and data. */
uint16_t pseudo_sum(const uint8_t *frame, const struct headers *h, uint32_t bytes)
{
	uint16_t sum = h->v6 ? checksum_of(frame + h->l3 + 8, 32) : checksum_of(frame + h->l3 + 12, 8);

	sum = checksum_add(sum, lwip_htons(h->protocol));
	return checksum_add(sum, lwip_htons((uint16_t)bytes));
}

static uint32_t checksum_at(const struct headers *h)
{
	return h->protocol == L_IPPROTO_TCP ? 16 : 6;
}

/* ---- one frame ---- */

/* Sum of bytes [offset, offset + bytes) of the chain, as if from an even place. */
static uint16_t sum_range(const struct pbuf *p, uint32_t offset, uint32_t bytes)
{
	uint32_t at = 0;
	uint16_t sum = 0;

	for (; p && bytes; p = p->next) {
		uint32_t part;
		uint16_t s;

		if (offset >= p->len) {
			offset -= p->len;
			continue;
		}
		part = p->len - offset < bytes ? p->len - offset : bytes;
		s = checksum_of((const uint8_t *)p->payload + offset, (int)part);
		sum = checksum_add(sum, at & 1 ? (uint16_t)(s << 8 | s >> 8) : s);
		at += part;
		bytes -= part;
		offset = 0;
	}
	return sum;
}

/* TCP or UDP in the frame's head, its data at `offset` of p: the device's sum to
 * make, or ours. */
static void set_checksum(struct frame *f, const struct headers *h, const struct pbuf *p, uint32_t offset,
			 uint32_t bytes, struct net_meta *meta)
{
	uint8_t *field = f->head + h->l4 + checksum_at(h);
	uint32_t l4_bytes = h->payload - h->l4 + bytes;
	uint16_t pseudo = pseudo_sum(f->head, h, l4_bytes), sum;

	put_sum(field, 0);
	if (f->to->info.features & NET_F_TX_CSUM) {
		meta->flags |= NET_CSUM_PARTIAL;
		meta->csum_start = h->l4;
		meta->csum_offset = (uint16_t)checksum_at(h);
		put_sum(field, pseudo);
		return;
	}
	sum = checksum_of(f->head + h->l4, h->payload - h->l4);
	sum = checksum_add(checksum_add(sum, pseudo), sum_range(p, offset, bytes));
	sum = (uint16_t)~sum;
	put_sum(field, sum ? sum : h->protocol == L_IPPROTO_UDP ? 0xffff : 0);
}

static void clamp_mss(uint8_t *tcp, uint32_t header_bytes, uint32_t most)
{
	uint32_t at = 20;

	while (at + 4 <= header_bytes && tcp[at]) {
		if (tcp[at] == 1) {
			at++;
			continue;
		}
		if (tcp[at] == 2 && tcp[at + 1] == 4 && get16(tcp + at + 2) > most)
			put16(tcp + at + 2, most);
		if (tcp[at + 1] < 2)
			return;
		at += tcp[at + 1];
	}
}

static struct burst *noted;

void edge_note_headers(struct burst *b) { noted = b; }

/* Of UDP, where the device makes the checksum and nobody else wants to see the packet. */
static void note_headers(struct interface *i, const struct headers *h, const uint8_t *head)
{
	noted->to = NULL;
	if (!h->payload || h->protocol != L_IPPROTO_UDP || !(i->info.features & NET_F_TX_CSUM) || packet_is_watched())
		return;
	noted->to = i;
	noted->headers = *h;
	memcpy(noted->head, head, h->payload);
}

/* Path MTU discovery (RFC 1191): a router on whose way out a segment is too long is to say so (icmp_error.c) instead of
 * cutting it. Not where the way is narrower than what that is believed of. */
static void forbid_cutting(uint8_t *ip)
{
	if (get16(ip + 6) & DONT_FRAGMENT)
		return;
	put16(ip + 6, get16(ip + 6) | DONT_FRAGMENT);
	put16(ip + 10, (uint16_t)~checksum_add((uint16_t)~get16(ip + 10), DONT_FRAGMENT));
}

static uint32_t ip_headers(const struct headers *h) { return h->v6 ? 40u : 20u; }

static err_t send_whole(struct interface *i, const struct pbuf *p, const struct headers *h, uint32_t gso_size)
{
	uint32_t head = h->payload ? h->payload : p->tot_len < FRAME_HEAD_MOST ? p->tot_len : FRAME_HEAD_MOST;
	struct net_meta meta = { .flags = 0 };
	struct frame f;

	if (!frame_begin(&f, i, p, head)) {
		i->tx_stalled = true;
		return ERR_WOULDBLOCK;
	}
	if (h->payload && h->protocol == L_IPPROTO_TCP && f.head[h->l4 + 13] & TCP_SYN_FLAG)
		clamp_mss(f.head + h->l4, h->payload - h->l4, i->mtu - ip_headers(h) - 20);
	if (h->payload)
		set_checksum(&f, h, p, h->payload, p->tot_len - h->payload, &meta);
	if (noted)
		note_headers(i, h, f.head);
	if (gso_size) {
		meta.gso_type = h->v6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4;
		meta.gso_size = (uint16_t)gso_size;
		meta.hdr_len = h->payload;
	}
	if (!frame_add(&f, p, head, p->tot_len - head)) {
		frame_drop(&f);
		i->tx_stalled = true;
		return ERR_WOULDBLOCK;
	}
	return frame_send(&f, &meta);
}

/* ---- cutting ---- */

/* The headers of a segment: as the whole's, but for lengths, sequence and flags. */
static void segment_headers(struct frame *f, const struct headers *h, uint32_t at, uint32_t bytes, bool last, uint32_t n)
{
	uint8_t *ip = f->head + h->l3, *tcp = f->head + h->l4;

	put32(tcp + 4, get32(tcp + 4) + at);
	if (!last)
		tcp[13] &= (uint8_t)~(TCP_FIN_FLAG | TCP_PSH_FLAG);
	if (h->v6) {
		put16(ip + 4, h->payload - h->l4 + bytes);
		return;
	}
	put16(ip + 4, get16(ip + 4) + n);
	finish_ip4(ip, h->payload - h->l3 + bytes);
}

static bool has_room(struct interface *i, uint32_t frames)
{
	if (net_send_room(i->client) >= frames * 3)
		return true;
	i->tx_stalled = true;
	return false;
}

static err_t cut_tcp(struct interface *i, const struct pbuf *p, const struct headers *h, uint32_t size)
{
	uint32_t total = p->tot_len - h->payload, n = 0;

	if (!has_room(i, total / size + 1))
		return ERR_WOULDBLOCK;
	for (uint32_t at = 0; at < total; at += size, n++) {
		uint32_t bytes = total - at < size ? total - at : size;
		struct net_meta meta = { .flags = 0 };
		struct frame f;

		if (!frame_begin(&f, i, p, h->payload))
			return at ? ERR_OK : ERR_WOULDBLOCK; /* the rest is lost, and sent again */
		segment_headers(&f, h, at, bytes, at + bytes == total, n);
		set_checksum(&f, h, p, h->payload + at, bytes, &meta);
		if (!frame_add(&f, p, h->payload + at, bytes)) {
			frame_drop(&f);
			return at ? ERR_OK : ERR_WOULDBLOCK;
		}
		if (frame_send(&f, &meta) != ERR_OK)
			break;
	}
	return ERR_OK;
}

/* Of IPv4; what is too long and not TCP. Its checksum is made over the whole. */
static err_t fragment(struct interface *i, struct pbuf *p, const struct headers *h)
{
	uint32_t ip_bytes = h->l4 - h->l3, data = h->length - h->l4, step = (i->mtu - ip_bytes) & ~7u;

	if (!has_room(i, data / step + 1))
		return ERR_WOULDBLOCK;
	if (h->payload && h->protocol == L_IPPROTO_UDP) {
		uint8_t head[FRAME_HEAD_MOST];
		uint16_t sum;

		pbuf_copy_partial(p, head, h->payload, 0);
		put_sum(head + h->l4 + 6, 0);
		sum = checksum_add(pseudo_sum(head, h, data), checksum_of(head + h->l4, 8));
		sum = (uint16_t)~checksum_add(sum, sum_range(p, h->payload, data - 8));
		sum = sum ? sum : 0xffff;
		pbuf_take_at(p, &sum, 2, (u16_t)(h->l4 + 6));
	}
	for (uint32_t at = 0; at < data; at += step) {
		uint32_t bytes = data - at < step ? data - at : step;
		struct net_meta meta = { .flags = 0 };
		struct frame f;

		if (!frame_begin(&f, i, p, h->l4))
			return ERR_OK;
		put16(f.head + h->l3 + 6, at / 8 | (at + bytes < data ? 0x2000 : 0));
		finish_ip4(f.head + h->l3, ip_bytes + bytes);
		if (!frame_add(&f, p, h->l4 + at, bytes)) {
			frame_drop(&f);
			return ERR_OK;
		}
		if (frame_send(&f, &meta) != ERR_OK)
			break;
	}
	return ERR_OK;
}

/* ---- out ---- */

err_t edge_output(struct netif *netif, struct pbuf *p)
{
	struct interface *i = interface_of(netif);
	struct headers h;
	uint32_t size;

	packet_deliver(netif, p, true);
	headers_parse(p, &h);
	if (h.protocol == L_IPPROTO_TCP && h.payload) {
		size = i->mtu - (h.payload - h.l3);
		if (tcp_output_mss && tcp_output_mss < size)
			size = tcp_output_mss;
		if (!h.v6 && tcp_output_mss > PATH_MTU_LEAST - 40)
			forbid_cutting((uint8_t *)p->payload + h.l3);
		if (p->tot_len <= h.payload + size)
			return send_whole(i, p, &h, 0);
		if ((i->info.features & (h.v6 ? NET_F_TX_TSO6 : NET_F_TX_TSO4)) && p->tot_len <= i->info.tx_packet_max)
			return send_whole(i, p, &h, size);
		return cut_tcp(i, p, &h, size);
	}
	if (p->tot_len <= i->mtu + ETHERNET)
		return send_whole(i, p, &h, 0);
	if (h.l4 && !h.v6)
		return fragment(i, p, &h);
	i->tx_dropped++;
	return ERR_VAL;
}
