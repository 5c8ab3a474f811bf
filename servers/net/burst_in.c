/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Datagrams received one after the other, as burst.c has it for those that are sent. Where the first of
 * them went lwIP knows: who has the socket, between which two ends, over which interface. The next ones with the same
 * headers (RFC 768, RFC 791: no options, no fragments) are summed on the way into the socket's chunk, and
 * lwIP never sees them. Only for a socket whose datagrams the kernel gives out (flow_datagram.c).
 *
 *   nothing known --one went to such a socket--> KNOWN --any call but those that move data, a closed socket,
 *        ^                                         |      an address that changes: it might go elsewhere now
 *        +-----------------------------------------+
 *
 * What finds no room in the socket ends here, before anything is done with it: else what is thrown away would take
 * the time that its reader needs. What is in any way special goes its usual way, as all does while somebody watches packets, or a raw socket is
 * open, and after a death of ours, when packets come one by one (server_careful()).
 */
#include "lib/c/string.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "servers/net/bytes.h"
#include "servers/net/net.h"

#define ETHERNET 14u
#define UDP      (ETHERNET + 20u)
#define HEAD     (UDP + 8u)

static struct {
	struct sock *s;          /* NULL: nothing is known */
	struct interface *from;
	uint8_t ends[12];        /* addresses, then ports: as in the packet */
	uint64_t full_ns;        /* the iteration in which the socket had no room: asking anew is a system call */
} known;

void burst_in_forget(void) { known.s = NULL; }

/* Of the datagram that lwIP has just given to s. */
void burst_in_note(struct sock *s)
{
	struct netif *netif = ip_current_input_netif();
	const struct ip_hdr *ip = ip4_current_header();

	if (ip_current_is_v6() || IPH_HL(ip) != 5 || !ip4_addr_cmp(ip4_current_dest_addr(), netif_ip4_addr(netif)))
		return;
	known.s = s;
	known.full_ns = 0;
	known.from = interface_of(netif);
	memcpy(known.ends, &ip->src, sizeof(known.ends)); /* the ports follow: no options */
}

static bool is_next(const uint8_t *b, uint32_t length)
{
	uint32_t total = get16(b + ETHERNET + 2);

	return get16(b + 12) == ETHTYPE_IP && b[ETHERNET + 9] == L_IPPROTO_UDP &&
	       !__builtin_memcmp(b + ETHERNET + 12, known.ends, sizeof(known.ends)) &&
	       !__builtin_memcmp(b, known.from->netif.hwaddr, 6) &&
	       total >= HEAD - ETHERNET && get16(b + UDP + 4) == total - (UDP - ETHERNET) &&
	       ip4_is_plain(b + ETHERNET, length - ETHERNET);
}

static bool has_room(struct sock *s, uint32_t bytes)
{
	if (known.full_ns == server_now_ns)
		return false;
	if (datagram_has_room(s, bytes))
		return true;
	known.full_ns = server_now_ns;
	return false;
}

/* Into the socket's chunk; NULL: no room, or the sum is wrong, and nothing has changed. */
static struct pbuf *copy_summed(struct sock *s, const uint8_t *b, uint32_t bytes, bool verified)
{
	struct pbuf *p = pack_room(s, bytes);
	uint16_t sum;

	if (!p)
		return NULL;
	sum = checksum_copy(p->payload, b + HEAD, bytes);
	if (!verified && get16(b + UDP + 6) && /* 0: the sender made none */
	    fold_sum(sum + header_sum(b + UDP - 8, 8 + HEAD - UDP, L_IPPROTO_UDP, HEAD - UDP + bytes)) != 0xffff) {
		pbuf_free(p);
		return NULL;
	}
	pack_fill(s, bytes);
	return p;
}

bool burst_in_frame(struct interface *i, const uint8_t *b, uint32_t length, bool verified)
{
	struct sock *s = known.s;
	ip4_addr_t ends[2];
	struct packet *d;
	struct pbuf *p;

	if (!s || i != known.from || !i->up || length < HEAD || !s->flow_in || s->flow_stopping || s->shut_read || packet_is_watched() ||
	    raw_sockets || server_careful() || !is_next(b, length))
		return false;
	if (!has_room(s, get16(b + UDP + 4)))
		return true;
	p = copy_summed(s, b, get16(b + UDP + 4) - 8u, verified);
	d = p ? packet_line_up(s, p) : NULL;
	if (!d)
		return false;
	memcpy(ends, b + ETHERNET + 12, sizeof(ends));
	ip_addr_copy_from_ip4(d->from, ends[0]);
	ip_addr_copy_from_ip4(d->arrival.to, ends[1]);
	d->port = get16(b + UDP);
	d->arrival.hop_limit = b[ETHERNET + 8];
	d->arrival.tos = b[ETHERNET + 1];
	d->arrival.interface = (uint8_t)interface_index(i);
	i->delivered++;
	return true;
}
