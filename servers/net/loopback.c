/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loopback interface. A packet sent is queued, with headers copied and
 * payload in chunks referred to, and received from sockets_settle()'s loop: no
 * byte of a stream is copied between the two windows but into its chunk.
 */
#include "lib/c/string.h"
#include "lwip/ip.h"
#include "lwip/ip6.h"
#include "lwip/mld6.h"
#include "servers/net/net.h"

#define QUEUE_MAX 2048u

static struct pbuf *queue[QUEUE_MAX];
static uint32_t head, count;
static struct interface *lo;

/* The same bytes, so that sender and receiver can do with headers what they like. */
static struct pbuf *clone(const struct pbuf *p)
{
	struct pbuf *copy = NULL;

	for (; p; p = p->next) {
		struct chunk *c = chunk_of(p->payload);
		struct pbuf *part = c ? chunk_pbuf(c, p->payload, p->len) : pbuf_alloc(PBUF_LINK, p->len, PBUF_RAM);

		if (!part) {
			if (copy)
				pbuf_free(copy);
			return NULL;
		}
		if (!c)
			memcpy(part->payload, p->payload, p->len);
		if (copy)
			pbuf_cat(copy, part);
		else
			copy = part;
	}
	return copy;
}

static err_t output(struct pbuf *p)
{
	struct pbuf *copy;

	if (count == QUEUE_MAX)
		return ERR_WOULDBLOCK;
	copy = clone(p);
	if (!copy)
		return ERR_MEM;
	queue[(head + count++) % QUEUE_MAX] = copy;
	lo->tx_packets++;
	lo->tx_bytes += p->tot_len;
	return ERR_OK;
}

static err_t output4(struct netif *netif, struct pbuf *p, const ip4_addr_t *to)
{
	(void)netif;
	(void)to;
	return output(p);
}

static err_t output6(struct netif *netif, struct pbuf *p, const ip6_addr_t *to)
{
	(void)netif;
	(void)to;
	return output(p);
}

static err_t link_output(struct netif *netif, struct pbuf *p)
{
	(void)netif;
	pbuf_remove_header(p, 14);
	return output(p);
}

static err_t initialise(struct netif *netif)
{
	netif->name[0] = 'l';
	netif->name[1] = 'o';
	netif->mtu = 65535;
	netif->output = output4;
	netif->output_ip6 = output6;
	netif->linkoutput = link_output;
	netif->flags |= NETIF_FLAG_LINK_UP;
	NETIF_SET_CHECKSUM_CTRL(netif, NETIF_CHECKSUM_GEN_IP | NETIF_CHECKSUM_GEN_ICMP | NETIF_CHECKSUM_GEN_ICMP6);
	return ERR_OK;
}

void loopback_start(struct interface *i)
{
	ip4_addr_t address, mask, none;

	lo = i;
	IP4_ADDR(&address, 127, 0, 0, 1);
	IP4_ADDR(&mask, 255, 0, 0, 0);
	ip4_addr_set_zero(&none);
	netif_add(&i->netif, &address, &mask, &none, i, initialise, ip_input);
	ip_addr_set_loopback(1, &i->netif.ip6_addr[0]);
	netif_ip6_addr_set_state(&i->netif, 0, IP6_ADDR_PREFERRED);
}

static void take(struct pbuf *p)
{
	bool drop = server_part(interface_index(lo), lo->rx_packets) || !lo->up;

	if (!drop)
		packet_poison(p, 0);
	if (drop || lo->netif.input(p, &lo->netif) != ERR_OK)
		pbuf_free(p);
	reopen_input_done();
	server_part_end();
}

bool loopback_run(uint32_t most)
{
	for (; count && most; most--) {
		struct pbuf *p = queue[head];

		head = (head + 1) % QUEUE_MAX;
		count--;
		lo->rx_packets++;
		lo->rx_bytes += p->tot_len;
		take(p);
	}
	return count != 0;
}
