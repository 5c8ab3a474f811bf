/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SYN for a connection that is in TIME_WAIT here: the peer begins a new one from
 * the same port, which it may long before our 30 s are over. lwIP would answer with an
 * acknowledgement and ignore the reset that this brings, so the new connection would
 * time out. If its number is beyond all of the old connection's, the old one is
 * forgotten, and the SYN goes to whoever listens (RFC 1122, 4.2.2.13; RFC 9293, 3.10.7.4).
 *
 * Looked at before lwIP does: once it has found the connection it asks no listener.
 */
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip.h"
#include "servers/net/bytes.h"
#include "servers/net/net.h"

#define TCP_BYTES 20u

static struct tcp_pcb *waiting(const ip_addr_t *from, const ip_addr_t *to, uint16_t from_port, uint16_t to_port)
{
	for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
		if (pcb->remote_port == from_port && pcb->local_port == to_port &&
		    ip_addr_cmp(&pcb->remote_ip, from) && ip_addr_cmp(&pcb->local_ip, to))
			return pcb;
	return NULL;
}

static void look_at(const struct pbuf *p, uint32_t at, const ip_addr_t *from, const ip_addr_t *to)
{
	uint8_t tcp[TCP_BYTES];
	struct tcp_pcb *pcb;

	if (!tcp_tw_pcbs || pbuf_copy_partial(p, tcp, sizeof(tcp), (u16_t)at) != sizeof(tcp) ||
	    (tcp[13] & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) != TCP_SYN)
		return;
	pcb = waiting(from, to, get16(tcp), get16(tcp + 2));
	if (pcb && !pcb->callback_arg && TCP_SEQ_GT(get32(tcp + 4), pcb->rcv_nxt))
		tcp_abort(pcb); /* in TIME_WAIT nobody is told */
}

int hook_ip4_input(struct pbuf *p)
{
	const struct ip_hdr *h = p->payload;
	ip_addr_t from, to;

	if (p->len < IP_HLEN || IPH_V(h) != 4 || IPH_PROTO(h) != IP_PROTO_TCP)
		return 0;
	ip_addr_copy_from_ip4(from, h->src);
	ip_addr_copy_from_ip4(to, h->dest);
	look_at(p, IPH_HL_BYTES(h), &from, &to);
	return 0;
}

int hook_ip6_input(struct pbuf *p, struct netif *netif)
{
	const struct ip6_hdr *h = p->payload;
	ip_addr_t from, to;

	if (p->len < IP6_HLEN || IP6H_V(h) != 6 || IP6H_NEXTH(h) != IP6_NEXTH_TCP)
		return 0;
	ip_addr_copy_from_ip6_packed(from, h->src);
	ip_addr_copy_from_ip6_packed(to, h->dest);
	ip6_addr_assign_zone(ip_2_ip6(&from), IP6_UNICAST, netif);
	ip6_addr_assign_zone(ip_2_ip6(&to), IP6_UNICAST, netif);
	look_at(p, IP6_HLEN, &from, &to);
	return 0;
}
