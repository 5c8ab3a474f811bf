/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A SYN for a connection that is in TIME_WAIT here: the peer begins a new one from
 * the same port, which it may long before our 30 s are over. lwIP would answer with an
 * acknowledgement and ignore the reset that this brings, so the new connection would
 * time out. If its number is beyond all of the old connection's, the old one is
 * forgotten, and the SYN goes to whoever listens (RFC 1122, 4.2.2.13; RFC 9293, 3.10.7.4).
 *
 * Looked at before lwIP does: once it has found the connection it asks no listener.
 *
 * A server that closes first has thousands of connections in TIME_WAIT, and lwIP looks through all of them for each SYN. So
 * a filter tells which ones are surely not there, made anew by the timer; those that came since are the
 * head of lwIP's list, up to `newest`. Of a SYN that is for none of them the list is hidden while lwIP has it.
 */
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip.h"
#include "servers/net/bytes.h"
#include "servers/net/net.h"

#define TCP_BYTES 20u
#define FILTER_BITS 14u

/* Not worth logging: what an iteration left that was done over may at worst miss one that is there, until the timer; its
 * SYN then goes to the listener at once. */
static REGION_SCRATCH uint8_t filter[1u << FILTER_BITS];
static REGION_SCRATCH const struct tcp_pcb *newest;
static struct tcp_pcb *hidden;

static uint32_t place_of(const ip_addr_t *remote, uint16_t remote_port, uint16_t local_port)
{
	uint32_t ip = IP_IS_V6(remote) ? ip_2_ip6(remote)->addr[3] : ip_2_ip4(remote)->addr;

	return ((ip ^ (uint32_t)remote_port << 16 ^ local_port) * 0x9e3779b1u) >> (32 - FILTER_BITS);
}

REGION_UNLOGGED static void note_newer(void)
{
	for (const struct tcp_pcb *pcb = tcp_tw_pcbs; pcb && pcb != newest; pcb = pcb->next)
		filter[place_of(&pcb->remote_ip, pcb->remote_port, pcb->local_port)] = 1;
	newest = tcp_tw_pcbs;
}

void reopen_index(void)
{
	if (!tcp_tw_pcbs && !newest)
		return;
	memset(filter, 0, sizeof(filter));
	newest = NULL;
	note_newer();
}

/* Not if there is no control block left: lwIP would take one of these. */
static void hide(void)
{
	void *pcb = memp_malloc(MEMP_TCP_PCB);

	if (!pcb)
		return;
	memp_free(MEMP_TCP_PCB, pcb);
	hidden = tcp_tw_pcbs;
	tcp_tw_pcbs = NULL;
}

void reopen_input_done(void)
{
	if (hidden)
		tcp_tw_pcbs = hidden;
	hidden = NULL;
}

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
	note_newer();
	if (!filter[place_of(from, get16(tcp), get16(tcp + 2))]) {
		hide();
		return;
	}
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
