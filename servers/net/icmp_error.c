/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors (RFC 792, RFC 4443) about what our sockets have sent: lwIP takes
 * no notice of them. The packet they quote names the socket. A connected UDP
 * socket hears of it by its next call; a TCP connection being made fails at
 * once, one that stands does not (RFC 1122, 4.2.3.9).
 *
 * That a segment was too long for the way (RFC 1191, RFC 8201) makes those of its
 * connection shorter, if what is quoted is under way just now (RFC 5927, 7.2), and
 * it is sent again at once. They do not grow again; other connections learn nothing.
 */
#include "lib/c/string.h"
#include "lwip/etharp.h"
#include "lwip/ip.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ip6.h"
#include "lwip/raw.h"
#include "servers/net/bytes.h"
#include "servers/net/lwip/hooks.h"
#include "servers/net/net.h"

#define QUOTE_BYTES 128u
#define PATH_MTU_LEAST_6 1280u /* of any way (RFC 8200, 5) */

struct quoted { uint8_t protocol; ip_addr_t source, destination; uint16_t source_port, destination_port; uint32_t sequence; bool has_sequence; };

static int errno_of_code4(uint8_t type, uint8_t code)
{
	static const int of_unreachable[] = {
		X_ENETUNREACH, X_EHOSTUNREACH, X_ENOPROTOOPT, X_ECONNREFUSED, X_EMSGSIZE, X_EOPNOTSUPP,
		X_ENETUNREACH, X_EHOSTUNREACH, X_ENONET, X_ENETUNREACH, X_EHOSTUNREACH,
		X_ENETUNREACH, X_EHOSTUNREACH, X_EHOSTUNREACH, X_EHOSTUNREACH, X_EHOSTUNREACH,
	};

	if (type == 3)
		return code < sizeof(of_unreachable) / sizeof(of_unreachable[0]) ? of_unreachable[code] : X_EHOSTUNREACH;
	return type == 11 ? X_EHOSTUNREACH : type == 12 ? X_EPROTO : 0;
}

static int errno_of_code6(uint8_t type, uint8_t code)
{
	if (type == 1)
		return code == 4 ? X_ECONNREFUSED : code == 1 ? X_EACCES : code == 0 ? X_ENETUNREACH : X_EHOSTUNREACH;
	return type == 2 ? X_EMSGSIZE : type == 3 ? X_EHOSTUNREACH : type == 4 ? X_EPROTO : 0;
}

static bool parse_quote(const uint8_t *at, uint32_t bytes, bool v6, struct quoted *q)
{
	uint32_t header;

	memset(q, 0, sizeof(*q));
	if (v6) {
		header = 40;
		if (bytes < header + 4)
			return false;
		q->protocol = at[6];
		IP_SET_TYPE(&q->source, IPADDR_TYPE_V6);
		IP_SET_TYPE(&q->destination, IPADDR_TYPE_V6);
		memcpy(ip_2_ip6(&q->source)->addr, at + 8, 16);
		memcpy(ip_2_ip6(&q->destination)->addr, at + 24, 16);
	} else {
		header = (at[0] & 15u) * 4;
		if (bytes < 20 || header < 20 || bytes < header + 4)
			return false;
		q->protocol = at[9];
		memcpy(&ip_2_ip4(&q->source)->addr, at + 12, 4);
		memcpy(&ip_2_ip4(&q->destination)->addr, at + 16, 4);
	}
	q->source_port = (uint16_t)(at[header] << 8 | at[header + 1]);
	q->destination_port = (uint16_t)(at[header + 2] << 8 | at[header + 3]);
	q->has_sequence = bytes >= header + 8;
	if (q->has_sequence)
		q->sequence = get32(at + header + 4);
	return true;
}

/* Bytes of the largest packet that the way takes; 0: this is about something else. */
static uint32_t told_mtu(const uint8_t *icmp, bool v6)
{
	uint32_t mtu = v6 ? get32(icmp + 4) : get16(icmp + 6), least = v6 ? PATH_MTU_LEAST_6 : PATH_MTU_LEAST;

	if (v6 ? icmp[0] != 2 : icmp[0] != 3 || icmp[1] != 4)
		return 0;
	return mtu > least ? mtu : least;
}

static bool is_under_way(const struct sock *s, const struct quoted *q)
{
	const struct tcp_pcb *pcb = s->pcb.tcp;

	return s->in_use && s->kind == SOCKET_TCP && pcb && !s->listening && pcb->state >= ESTABLISHED &&
	       q->protocol == L_IPPROTO_TCP && q->has_sequence && pcb->local_port == q->source_port &&
	       pcb->remote_port == q->destination_port && ip_addr_cmp_zoneless(&pcb->remote_ip, &q->destination) &&
	       ip_addr_cmp_zoneless(&pcb->local_ip, &q->source) && TCP_SEQ_GEQ(q->sequence, pcb->lastack) &&
	       TCP_SEQ_LT(q->sequence, pcb->snd_nxt);
}

static void narrow(uint32_t mtu, const struct quoted *q, bool v6)
{
	for (struct sock *s = sockets; s < sockets + sockets_end; s++) {
		uint32_t mss = mtu - (v6 ? 60 : 40);

		if (!is_under_way(s, q))
			continue;
		if (mss < s->pcb.tcp->mss) {
			s->pcb.tcp->mss = (u16_t)mss;
			s->narrowed = true; /* not from inside lwIP's input */
			sock_mark(s, 0);
		}
		return;
	}
}

static bool is_about(const struct sock *s, const struct quoted *q)
{
	if (!s->in_use || s->peer_port != q->destination_port || !ip_addr_cmp_zoneless(&s->peer, &q->destination))
		return false;
	if (q->protocol == L_IPPROTO_UDP)
		return s->kind == SOCKET_UDP && s->connected && s->pcb.udp->local_port == q->source_port;
	return q->protocol == L_IPPROTO_TCP && s->kind == SOCKET_TCP && s->connecting && s->pcb.tcp &&
	       s->pcb.tcp->local_port == q->source_port;
}

static u8_t received(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	bool v6 = IP_IS_V6(from);
	uint16_t header = ip_current_header_tot_len();
	uint8_t bytes[QUOTE_BYTES];
	uint32_t length = pbuf_copy_partial(p, bytes, sizeof(bytes), header);
	struct quoted q;
	uint32_t mtu;
	int error;

	(void)arg;
	(void)pcb;
	if (length < 8)
		return 0;
	error = v6 ? errno_of_code6(bytes[0], bytes[1]) : errno_of_code4(bytes[0], bytes[1]);
	if (!error || !parse_quote(bytes + 8, length - 8, v6, &q))
		return 0;
	mtu = told_mtu(bytes, v6);
	if (mtu && q.protocol == L_IPPROTO_TCP) {
		narrow(mtu, &q, v6);
		return 0;
	}
	for (uint32_t i = 0; i < sockets_end; i++) {
		struct sock *s = &sockets[i];

		if (!is_about(s, &q))
			continue;
		s->error = error;
		if (s->kind == SOCKET_TCP) /* settling ends it: not from inside lwIP's input */
			s->refused = true;
		sock_mark(s, X_READY_IN | X_READY_OUT | X_READY_ERR);
		break;
	}
	return 0;
}

/* What ICMP would say, were there a router: nobody on the wire answers for the next hop's address. */
void icmp_no_neighbour(struct sock *s)
{
	const ip_addr_t *to = &s->pcb.tcp->remote_ip;
	struct netif *netif = IP_IS_V4(to) ? ip4_route_src(NULL, ip_2_ip4(to)) : NULL;
	const ip4_addr_t *hop = ip_2_ip4(to), *found;
	struct eth_addr *hardware;

	if (!netif || !interface_of(netif)->client)
		return;
	if (!ip4_addr_netcmp(hop, netif_ip4_addr(netif), netif_ip4_netmask(netif)))
		hop = hook_gateway(netif, hop);
	if (etharp_find_addr(netif, hop, &hardware, &found) >= 0)
		return;
	s->error = X_EHOSTUNREACH;
	s->refused = true;
	sock_mark(s, X_READY_IN | X_READY_OUT | X_READY_ERR);
}

void icmp_errors_start(void)
{
	struct raw_pcb *v4 = raw_new_ip_type(IPADDR_TYPE_V4, L_IPPROTO_ICMP);
	struct raw_pcb *v6 = raw_new_ip_type(IPADDR_TYPE_V6, L_IPPROTO_ICMPV6);

	if (!v4 || !v6)
		server_die("no memory for ICMP");
	raw_recv(v4, received, NULL);
	raw_recv(v6, received, NULL);
}
