/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet sockets (packet(7)): frames of an interface as they came, with their
 * Ethernet header (SOCK_RAW) or without (SOCK_DGRAM), and frames to send.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lwip/prot/ethernet.h"
#include "servers/net/net.h"

#define ETH_P_ALL 3u
#define FRAME_MOST 1514u
enum { PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OTHERHOST, PACKET_OUTGOING };

static uint32_t watchers;

int64_t packet_open_socket(struct sock *s)
{
	if (s->type != L_SOCK_RAW && s->type != L_SOCK_DGRAM)
		return -X_ESOCKTNOSUPPORT;
	s->kind = SOCKET_PACKET;
	s->receive_limit = s->rcvbuf = s->send_limit = s->sndbuf = 212992;
	watchers++;
	return 0;
}

/* NULL: the socket ends. */
int64_t packet_bind(struct sock *s, const struct address *a)
{
	struct linux_sockaddr_ll ll;

	if (!a) {
		watchers--;
		return 0;
	}
	if (a->length < sizeof(ll) || address_family(a) != L_AF_PACKET)
		return -X_EINVAL;
	memcpy(&ll, a->bytes, sizeof(ll));
	if (ll.interface && !interface_by_index((uint32_t)ll.interface))
		return -X_ENODEV;
	s->interface = (uint32_t)ll.interface;
	if (ll.protocol)
		s->protocol = ll.protocol;
	return 0;
}

void packet_address(const struct sock *s, const struct packet *d, struct address *a)
{
	struct linux_sockaddr_ll ll = { .family = L_AF_PACKET, .halen = 6 };
	const struct interface *i = interface_by_index(d ? d->interface : s->interface);

	ll.interface = d ? d->interface : (int32_t)s->interface;
	ll.protocol = d ? d->port : s->protocol;
	ll.hardware_type = i && !i->client ? L_ARPHRD_LOOPBACK : L_ARPHRD_ETHER;
	if (d) {
		ll.packet_type = d->packet_type;
		memcpy(ll.address, d->hardware, 6);
	} else if (i) {
		memcpy(ll.address, i->netif.hwaddr, 6);
	}
	memset(a, 0, sizeof(*a));
	memcpy(a->bytes, &ll, sizeof(ll));
	a->length = sizeof(ll);
}

static uint8_t type_of(const struct netif *netif, const struct eth_hdr *eth, bool outgoing)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (outgoing)
		return PACKET_OUTGOING;
	if (!memcmp(eth->dest.addr, all, 6))
		return PACKET_BROADCAST;
	if (eth->dest.addr[0] & 1)
		return PACKET_MULTICAST;
	return memcmp(eth->dest.addr, netif->hwaddr, 6) ? PACKET_OTHERHOST : PACKET_HOST;
}

static void deliver_to(struct sock *s, struct netif *netif, const struct pbuf *p, const struct eth_hdr *eth,
		       bool outgoing)
{
	uint32_t skip = s->type == L_SOCK_DGRAM ? sizeof(*eth) : 0;
	struct pbuf *copy = pbuf_alloc(PBUF_RAW, p->tot_len - (u16_t)skip, PBUF_RAM);
	struct packet *d;

	if (!copy)
		return;
	pbuf_copy_partial(p, copy->payload, copy->len, (u16_t)skip);
	d = packet_queue(s, copy);
	if (!d)
		return;
	d->port = eth->type;
	d->interface = (uint8_t)interface_index(interface_of(netif));
	d->packet_type = type_of(netif, eth, outgoing);
	memcpy(d->hardware, eth->src.addr, 6);
}

bool packet_is_watched(void) { return watchers != 0; }

void packet_deliver(struct netif *netif, const struct pbuf *p, bool outgoing)
{
	uint32_t index = interface_index(interface_of(netif));
	struct eth_hdr eth;

	if (!watchers || pbuf_copy_partial(p, &eth, sizeof(eth), 0) != sizeof(eth))
		return;
	for (uint32_t i = 0; i < sockets_end; i++) {
		struct sock *s = &sockets[i];

		if (!s->in_use || s->kind != SOCKET_PACKET || (s->interface && s->interface != index))
			continue;
		if (s->protocol == lwip_htons(ETH_P_ALL) || (!outgoing && s->protocol == eth.type))
			deliver_to(s, netif, p, &eth, outgoing);
	}
}

/* For tests of the ladder: with net.poison=TEXT on the kernel's command line a UDP
 * datagram that begins with TEXT kills whoever looks at it. */
void packet_poison(const struct pbuf *p, uint16_t ip_at)
{
	static const char *poison;
	static bool asked;
	uint8_t text[16];
	uint32_t bytes;

	if (!asked) {
		const char *option = boot_option("net.poison");
		static char copy[sizeof(text)];

		asked = true;
		if (option) {
			snprintf(copy, sizeof(copy), "%s", option);
			poison = copy;
		}
	}
	if (!poison)
		return;
	bytes = (uint32_t)strlen(poison);
	if (bytes && pbuf_get_at(p, ip_at + 9) == L_IPPROTO_UDP &&
	    pbuf_copy_partial(p, text, (u16_t)bytes, ip_at + 28) == bytes && !memcmp(text, poison, bytes))
		__builtin_trap();
}

/* Where to, and for SOCK_DGRAM the header to put before it. */
static int64_t prepare(const struct sock *s, const struct address *a, struct interface **to, struct eth_hdr *eth)
{
	struct linux_sockaddr_ll ll = { .interface = (int32_t)s->interface, .protocol = s->protocol };

	if (a->length && a->length < 12)
		return -X_EINVAL;
	if (a->length)
		memcpy(&ll, a->bytes, a->length < sizeof(ll) ? a->length : sizeof(ll));
	*to = interface_by_index((uint32_t)ll.interface);
	if (!*to)
		return -X_ENXIO;
	if (!(*to)->up)
		return -X_ENETDOWN;
	if (s->type == L_SOCK_DGRAM && (!a->length || ll.halen < 6))
		return -X_EINVAL;
	memcpy(eth->dest.addr, ll.address, 6);
	memcpy(eth->src.addr, (*to)->netif.hwaddr, 6);
	eth->type = ll.protocol;
	return 0;
}

int64_t packet_send(struct sock *s, struct waiter *w, const struct address *a)
{
	uint32_t header = s->type == L_SOCK_DGRAM ? sizeof(struct eth_hdr) : 0;
	struct interface *to;
	struct eth_hdr eth;
	struct pbuf *p;
	int64_t status = prepare(s, a, &to, &eth);
	err_t err;

	if (status)
		return status;
	if (w->total + header > to->mtu + sizeof(struct eth_hdr))
		return -X_EMSGSIZE;
	if (w->total + header < sizeof(struct eth_hdr))
		return -X_EINVAL;
	p = pbuf_alloc(PBUF_RAW, (u16_t)(w->total + header), PBUF_RAM);
	if (!p)
		return -X_ENOBUFS;
	memcpy(p->payload, &eth, header);
	status = copy_from_windows(w, 0, (uint8_t *)p->payload + header, (uint32_t)w->total);
	if (status < (int64_t)w->total) {
		pbuf_free(p);
		return -X_EFAULT;
	}
	tcp_output_mss = 0;
	err = to->netif.linkoutput(&to->netif, p);
	pbuf_free(p);
	if (err != ERR_OK)
		return err == ERR_WOULDBLOCK ? SOCK_WAIT : errno_of(err);
	return (int64_t)w->total;
}
