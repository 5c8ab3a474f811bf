/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The files of /proc/net, in the form Linux gives them (proc(5)), and
 * resolv.conf as DHCP told it.
 */
#include <stdarg.h>
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/priv/tcp_priv.h"
#include "servers/net/net.h"

struct text { char *at, *end; };

__attribute__((format(printf, 2, 3)))
static void put(struct text *t, const char *fmt, ...)
{
	size_t room = (size_t)(t->end - t->at);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < room) /* a line that does not fit is left out */
		t->at += n;
}

static void put_devices(struct text *t)
{
	put(t, "Inter-|   Receive                                                |  Transmit\n"
	       " face |bytes    packets errs drop fifo frame compressed multicast|"
	       "bytes    packets errs drop fifo colls carrier compressed\n");
	for (uint32_t k = 0; k < interface_count; k++) {
		const struct interface *i = &interfaces[k];
		struct net_counters c;

		if (!i->present)
			continue;
		memset(&c, 0, sizeof(c));
		if (i->client)
			net_counters(i->client, &c);
		put(t, "%6s: %7llu %7llu %4llu %4llu    0     0          0 %9llu %8llu %7llu %4llu %4llu"
		       "    0     0       0          0\n", i->name,
		    (unsigned long long)i->rx_bytes, (unsigned long long)i->rx_packets,
		    (unsigned long long)c.rx_errors, (unsigned long long)(c.rx_dropped + i->rx_dropped),
		    (unsigned long long)c.rx_multicast, (unsigned long long)i->tx_bytes,
		    (unsigned long long)i->tx_packets, (unsigned long long)c.tx_errors,
		    (unsigned long long)i->tx_dropped);
	}
}

static void put_route(struct text *t, const char *name, uint32_t destination, uint32_t gateway, uint32_t flags,
		      uint32_t metric, uint32_t mask)
{
	char line[128];

	snprintf(line, sizeof(line), "%s\t%08X\t%08X\t%04X\t0\t0\t%u\t%08X\t0\t0\t0", name, destination, gateway,
		 flags, metric, mask);
	put(t, "%-127s\n", line);
}

static void put_routes(struct text *t)
{
	put(t, "%-127s\n", "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
	for (const struct route *r = routes; r < routes + ROUTES_MAX; r++)
		if (r->used && interface_by_index(r->interface))
			put_route(t, interface_by_index(r->interface)->name, r->destination.addr, r->gateway.addr,
				  L_RTF_UP | (r->gateway.addr ? L_RTF_GATEWAY : 0) |
				  (r->mask.addr == UINT32_MAX ? L_RTF_HOST : 0), r->metric, r->mask.addr);
	for (uint32_t k = 1; k < interface_count; k++) {
		const struct interface *i = &interfaces[k];
		uint32_t own = netif_ip4_addr(&i->netif)->addr, mask = netif_ip4_netmask(&i->netif)->addr;

		if (i->present && i->up && own)
			put_route(t, i->name, own & mask, 0, L_RTF_UP, 0, mask);
	}
}

static void put_arp(struct text *t)
{
	put(t, "IP address       HW type     Flags       HW address            Mask     Device\n");
	for (size_t k = 0; k < ARP_TABLE_SIZE; k++) {
		ip4_addr_t *ip;
		struct netif *netif;
		struct eth_addr *hardware;
		const uint8_t *b;

		if (!etharp_get_entry(k, &ip, &netif, &hardware))
			continue;
		b = (const uint8_t *)&ip->addr;
		put(t, "%u.%u.%u.%u%*s 0x1         0x2         %02x:%02x:%02x:%02x:%02x:%02x     *        %s\n",
		    b[0], b[1], b[2], b[3], 1, "", hardware->addr[0], hardware->addr[1], hardware->addr[2],
		    hardware->addr[3], hardware->addr[4], hardware->addr[5], interface_of(netif)->name);
	}
}

/* An address and port as these files have them: words of the machine in hex. */
static void format_end(char *out, size_t size, const ip_addr_t *ip, uint16_t port, bool v6)
{
	uint32_t w[4] = { 0, 0, 0, 0 };

	if (v6 && IP_IS_V6(ip))
		memcpy(w, ip_2_ip6(ip)->addr, 16);
	else if (v6 && ip_2_ip4(ip)->addr)
		w[2] = PP_HTONL(0xffff), w[3] = ip_2_ip4(ip)->addr;
	else if (!v6)
		w[0] = ip_2_ip4(ip)->addr;
	if (v6)
		snprintf(out, size, "%08X%08X%08X%08X:%04X", w[0], w[1], w[2], w[3], port);
	else
		snprintf(out, size, "%08X:%04X", w[0], port);
}

static void put_socket(struct text *t, uint32_t number, const ip_addr_t *local, uint16_t local_port,
		       const ip_addr_t *remote, uint16_t remote_port, uint32_t state, const struct sock *s, bool v6)
{
	char from[48], to[48];

	format_end(from, sizeof(from), local, local_port, v6);
	format_end(to, sizeof(to), remote, remote_port, v6);
	put(t, "%4u: %s %s %02X %08X:%08X 00:00000000 00000000 %5u        0 %llu 1 0000000000000000 20 4 30 10 -1\n",
	    number, from, to, state, s ? s->sending_bytes : 0, s ? s->received_bytes : 0, s ? s->uid : 0,
	    (unsigned long long)(s ? s->id >> 16 : 0));
}

static const char socket_header[] =
	"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

static void put_tcp_list(struct text *t, uint32_t *number, const struct tcp_pcb *list, bool v6)
{
	static const uint8_t states[] = { 7, 10, 2, 3, 1, 4, 5, 8, 11, 9, 6 }; /* by enum tcp_state */

	for (const struct tcp_pcb *pcb = list; pcb; pcb = pcb->next) {
		const struct sock *s = pcb->callback_arg;
		bool is_v6 = s && pcb->state != TIME_WAIT ? s->family == L_AF_INET6 : IP_IS_V6(&pcb->local_ip);

		if (is_v6 != v6)
			continue;
		put_socket(t, (*number)++, &pcb->local_ip, pcb->local_port,
			   pcb->state == LISTEN ? IP_ADDR_ANY : &pcb->remote_ip,
			   pcb->state == LISTEN ? 0 : pcb->remote_port, states[pcb->state], s, v6);
	}
}

static void put_tcp(struct text *t, bool v6)
{
	uint32_t number = 0;

	put(t, "%s", socket_header);
	put_tcp_list(t, &number, tcp_listen_pcbs.pcbs, v6);
	put_tcp_list(t, &number, tcp_active_pcbs, v6);
	put_tcp_list(t, &number, tcp_tw_pcbs, v6);
}

static void put_datagram(struct text *t, enum sock_kind kind, bool v6)
{
	ip_addr_t any = *IP_ADDR_ANY;
	uint32_t number = 0;

	put(t, "%s", socket_header);
	for (const struct sock *s = sockets; s < sockets + sockets_end; s++) {
		if (!s->in_use || s->kind != kind || (s->family == L_AF_INET6) != v6)
			continue;
		if (kind == SOCKET_UDP && !s->pcb.udp->local_port)
			continue;
		put_socket(t, number++, kind == SOCKET_UDP ? &s->pcb.udp->local_ip : &s->pcb.raw->local_ip,
			   kind == SOCKET_UDP ? s->pcb.udp->local_port : s->protocol,
			   s->connected ? &s->peer : &any, s->connected ? s->peer_port : 0,
			   s->connected ? L_TCP_ESTABLISHED : L_TCP_CLOSE, s, v6);
	}
}

static void put_packet_sockets(struct text *t)
{
	put(t, "sk       RefCnt Type Proto  Iface R Rmem   User   Inode\n");
	for (const struct sock *s = sockets; s < sockets + sockets_end; s++)
		if (s->in_use && s->kind == SOCKET_PACKET)
			put(t, "0000000000000000 3      %u    %04x   %u     1 %u      %u      %llu\n", s->type,
			    lwip_ntohs(s->protocol), s->interface, s->received_bytes, s->uid,
			    (unsigned long long)(s->id >> 16));
}

static void put_inet6(struct text *t)
{
	for (uint32_t k = 0; k < interface_count; k++) {
		const struct interface *i = &interfaces[k];

		for (int n = 0; i->present && n < LWIP_IPV6_NUM_ADDRESSES; n++) {
			const ip6_addr_t *ip = netif_ip6_addr(&i->netif, n);
			uint32_t scope = ip6_addr_isloopback(ip) ? 0x10 : ip6_addr_islinklocal(ip) ? 0x20 : 0;

			if (!ip6_addr_isvalid(netif_ip6_addr_state(&i->netif, n)))
				continue;
			put(t, "%08x%08x%08x%08x %02x %02x %02x %02x %8s\n", lwip_htonl(ip->addr[0]),
			    lwip_htonl(ip->addr[1]), lwip_htonl(ip->addr[2]), lwip_htonl(ip->addr[3]),
			    interface_index(i), scope == 0x10 ? 128 : 64, scope, 0x80, i->name);
		}
	}
}

static void put_resolv(struct text *t)
{
	for (u8_t n = 0; n < DNS_MAX_SERVERS; n++) {
		const ip_addr_t *server = dns_getserver(n);

		if (!ip_addr_isany(server))
			put(t, "nameserver %s\n", ipaddr_ntoa(server));
	}
}

/* Bytes that the sockets of a kind hold of what they received, in pages as Linux counts them. */
static uint64_t held_pages(enum sock_kind kind)
{
	uint64_t bytes = 0;

	for (const struct sock *s = sockets; s < sockets + sockets_end; s++)
		if (s->in_use && s->kind == kind)
			bytes += kind == SOCKET_TCP ? s->held : s->received_bytes;
	return (bytes + 4095) / 4096;
}

static uint32_t count_kind(enum sock_kind kind)
{
	uint32_t count = 0;

	for (const struct sock *s = sockets; s < sockets + sockets_end; s++)
		count += s->in_use && (kind == SOCKET_NONE || s->kind == kind);
	return count;
}

static void put_sockstat(struct text *t)
{
	uint32_t orphans = 0, waiting = 0;

	for (const struct sock *s = sockets; s < sockets + sockets_end; s++)
		orphans += s->in_use && s->orphan;
	for (const struct tcp_pcb *pcb = tcp_tw_pcbs; pcb; pcb = pcb->next)
		waiting++;
	put(t, "sockets: used %u\n", count_kind(SOCKET_NONE));
	put(t, "TCP: inuse %u orphan %u tw %u alloc %u mem %llu\n", count_kind(SOCKET_TCP) - orphans, orphans, waiting,
	    count_kind(SOCKET_TCP), (unsigned long long)held_pages(SOCKET_TCP));
	put(t, "UDP: inuse %u mem %llu\n", count_kind(SOCKET_UDP), (unsigned long long)held_pages(SOCKET_UDP));
	put(t, "RAW: inuse %u\n", count_kind(SOCKET_RAW));
}

/* Of Linux's counters those that we have, under its names. */
static void put_netstat(struct text *t)
{
	put(t, "TcpExt: PruneCalled TCPRcvQDrop TCPSackRecovery\nTcpExt: %llu %llu %llu\n", (unsigned long long)tcp_counts.pruned,
	    (unsigned long long)tcp_counts.refused, (unsigned long long)tcp_counts.recoveries);
}

int64_t text_read(uint32_t which, char *buffer, size_t size)
{
	struct text t = { buffer, buffer + size };

	switch (which) {
	case SOCK_TEXT_DEV: put_devices(&t); break;
	case SOCK_TEXT_ROUTE: put_routes(&t); break;
	case SOCK_TEXT_ARP: put_arp(&t); break;
	case SOCK_TEXT_TCP: put_tcp(&t, false); break;
	case SOCK_TEXT_TCP6: put_tcp(&t, true); break;
	case SOCK_TEXT_UDP: put_datagram(&t, SOCKET_UDP, false); break;
	case SOCK_TEXT_UDP6: put_datagram(&t, SOCKET_UDP, true); break;
	case SOCK_TEXT_RAW: put_datagram(&t, SOCKET_RAW, false); break;
	case SOCK_TEXT_RAW6: put_datagram(&t, SOCKET_RAW, true); break;
	case SOCK_TEXT_PACKET: put_packet_sockets(&t); break;
	case SOCK_TEXT_IF_INET6: put_inet6(&t); break;
	case SOCK_TEXT_RESOLV: put_resolv(&t); break;
	case SOCK_TEXT_SOCKSTAT: put_sockstat(&t); break;
	case SOCK_TEXT_NETSTAT: put_netstat(&t); break;
	default: break;
	}
	return t.at - buffer;
}
