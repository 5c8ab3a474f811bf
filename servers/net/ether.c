/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces with a driver: sessions (lib/netcli), receive buffers, packets in,
 * link state, and the address by DHCP.
 *
 * eth0, eth1, ... are numbered as their drivers answer. An interface is up and
 * asks for an address by DHCP from the beginning, so that the network works
 * without a program; `net.dhcp=off` on the kernel's command line prevents that,
 * and any address set by a program ends it.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "netif/ethernet.h"
#include "servers/net/net.h"

#define POLL_AT_ONCE   64u
#define BUFFERS_LARGE  64u
#define BUFFERS_SMALL  256u
#define COPY_BELOW     8192u /* of a large buffer: so much is copied out rather than kept in it */

static const char *const drivers[] = { "virtio_net", "virtio_net.1", "virtio_net.2", "e1000", "e1000.1", "e1000.2" };

static uint32_t next_number;

static void for_each_client(void (*fn)(struct interface *i))
{
	for (uint32_t k = 1; k < interface_count; k++)
		if (interfaces[k].present)
			fn(&interfaces[k]);
}

/* ---- receiving ---- */

/* Where there are few left, what arrived too early has them: the segment that it
 * waits for would find none. */
static void post_buffers(struct interface *i)
{
	while (i->posted < i->post_target) {
		struct chunk *c = chunk_get_buffer(i->post_bytes);
		struct net_piece piece;

		if (!c) {
			if (i->posted < i->post_target / 2)
				tcp_prune();
			return;
		}
		piece = (struct net_piece){ .pool = 0, .length = i->post_bytes,
					    .offset = (uint64_t)(c->data - pool.virt), .cookie = c };
		if (net_post(i->client, &piece)) {
			chunk_drop(c);
			return;
		}
		i->posted++;
	}
}

static struct pbuf *copy_of(const uint8_t *at, uint32_t bytes)
{
	struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)bytes, PBUF_RAM);

	if (p)
		memcpy(p->payload, at, bytes);
	return p;
}

/* Bytes of a frame that lwIP may write to: it turns headers around in place, and
 * after a warm restart the frame is looked at again. */
static uint32_t header_bytes(const uint8_t *b, uint32_t length)
{
	uint32_t bytes = 128;

	if (length >= 128 && b[12] == 8 && b[13] == 0 && b[23] == L_IPPROTO_TCP) {
		uint32_t l4 = 14 + (b[14] & 15u) * 4;

		bytes = l4 + (b[l4 + 12] >> 4) * 4u;
	}
	return bytes < length ? bytes : length;
}

/* The part of a buffer that holds data, as a pbuf, which holds the buffer if it refers to it. */
static struct pbuf *take_piece(const struct net_piece *piece, bool first)
{
	struct chunk *c = piece->cookie;
	const uint8_t *at = pool.virt + piece->offset;
	uint32_t head = first ? header_bytes(at, piece->length) : 0;
	struct pbuf *p, *rest = NULL;

	if (piece->length < (c->size == CHUNK_LARGE ? COPY_BELOW : 256u) ||
	    (c->size == CHUNK_SMALL && !chunks_are_plenty(CHUNK_SMALL)))
		head = piece->length;
	p = head ? copy_of(at, head) : NULL;
	if (head < piece->length && (p || !head))
		rest = chunk_pbuf(c, at + head, piece->length - head);
	if ((head && !p) || (head < piece->length && !rest)) {
		if (p)
			pbuf_free(p);
		return NULL;
	}
	if (p && rest)
		pbuf_cat(p, rest);
	return p ? p : rest;
}

static bool is_fragment(const struct pbuf *p)
{
	const uint8_t *b = p->payload;

	return p->len >= 34 && b[12] == 8 && b[13] == 0 && ((b[20] & 0x3f) || b[21]);
}

/* Into the stack. What the device or join.c has verified, or what never was on a
 * wire, is not summed again; the flags hold for this packet only. */
static void deliver(struct interface *i, struct pbuf *p, bool verified)
{
	if (server_part(interface_index(i), i->delivered++)) {
		i->rx_dropped++;
		pbuf_free(p);
		return;
	}
	packet_poison(p, 14);
	packet_deliver(&i->netif, p, false);
	if (verified && !is_fragment(p))
		NETIF_SET_CHECKSUM_CTRL(&i->netif, NETIF_CHECKSUM_ENABLE_ALL &
					~(NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP));
	else
		NETIF_SET_CHECKSUM_CTRL(&i->netif, NETIF_CHECKSUM_ENABLE_ALL);
	if (i->netif.input(p, &i->netif) != ERR_OK)
		pbuf_free(p);
	reopen_input_done();
	server_part_end();
}

void ether_deliver_joined(struct interface *i, const uint8_t *head, uint32_t head_bytes, struct chunk *c,
			  const uint8_t *data, uint32_t bytes)
{
	struct pbuf *p = copy_of(head, head_bytes), *rest = p ? chunk_pbuf(c, data, bytes) : NULL;

	chunk_drop(c);
	if (!rest || !i->up) {
		i->rx_dropped++;
		if (p)
			pbuf_free(p);
		if (rest)
			pbuf_free(rest);
		return;
	}
	pbuf_cat(p, rest);
	deliver(i, p, true);
}

/* Nobody has kept anything of it: it can be received into again. If this iteration is done over it still holds
 * what arrived, for it is not the driver's before the commit. */
static bool buffer_is_free(struct interface *i, struct chunk *c)
{
	if (c->refs == 1 && c->size == i->post_bytes && i->posted <= i->post_target)
		return true;
	i->posted--;
	chunk_drop(c);
	return false;
}

static bool received(void *ctx, const struct net_piece *pieces, uint32_t count, const struct net_meta *meta)
{
	struct interface *i = ctx;
	struct pbuf *p = NULL;
	uint32_t bytes = 0;
	bool lost = false, verified = meta->flags & (NET_CSUM_VALID | NET_CSUM_PARTIAL);

	if (count == 1 && (burst_in_frame(i, pool.virt + pieces->offset, pieces->length, verified) ||
			   (!(i->info.features & NET_F_RX_GSO) && i->up &&
			    join_frame(i, pieces->cookie, pool.virt + pieces->offset, pieces->length, verified)))) {
		i->rx_packets++;
		i->rx_bytes += pieces->length;
		return buffer_is_free(i, pieces->cookie);
	}

	for (uint32_t k = 0; k < count; k++) {
		struct pbuf *part = take_piece(&pieces[k], k == 0);

		if (count > 1) {
			i->posted--;
			chunk_drop(pieces[k].cookie);
		}
		bytes += pieces[k].length;
		if (!part || (p && p->tot_len + part->tot_len > 0xffff))
			lost = true;
		if (part && p)
			pbuf_cat(p, part);
		else if (part)
			p = part;
	}
	if (lost || !i->up || !p) {
		i->rx_dropped++;
		if (p)
			pbuf_free(p);
	} else {
		i->rx_packets++;
		i->rx_bytes += bytes;
		deliver(i, p, verified);
	}
	return count == 1 && buffer_is_free(i, pieces->cookie);
}

static void sent(void *ctx, void *cookie, int status)
{
	struct interface *i = ctx;

	if (status)
		i->tx_dropped++;
	frame_sent(i, cookie);
}

static void returned(void *ctx, void *cookie)
{
	struct interface *i = ctx;

	i->posted--;
	chunk_drop(cookie);
}

/* ---- configuration ---- */

void ether_filters_changed(struct interface *i)
{
	struct net_config config;

	memset(&config, 0, sizeof(config));
	config.mode = NET_MODE_ALL_MULTICAST | (i->promiscuous ? NET_MODE_PROMISCUOUS : 0);
	net_configure(i->client, &config);
}

static err_t initialise(struct netif *netif)
{
	struct interface *i = interface_of(netif);

	netif->name[0] = 'e';
	netif->name[1] = 't';
	netif->hostname = "xinim";
	netif->mtu = 65535; /* edge.c knows the real one */
	netif->output = etharp_output;
	netif->output_ip6 = ethip6_output;
	netif->linkoutput = edge_output;
	netif->hwaddr_len = 6;
	memcpy(netif->hwaddr, i->info.mac, 6);
	netif->flags |= NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_IGMP |
			NETIF_FLAG_MLD6;
	return ERR_OK;
}

static void take_info(struct interface *i, const struct net_info *info)
{
	bool large = info->rx_buffer_best > CHUNK_SMALL;

	i->info = *info;
	i->post_bytes = large ? CHUNK_LARGE : CHUNK_SMALL;
	i->post_target = large ? BUFFERS_LARGE : BUFFERS_SMALL;
	if (!i->mtu || i->mtu > info->mtu)
		i->mtu = info->mtu;
	post_buffers(i);
}

static void link_changed(struct interface *i, const struct net_link *link, bool announce)
{
	i->link = *link;
	if (link->up)
		netif_set_link_up(&i->netif);
	else
		netif_set_link_down(&i->netif);
	if (announce && i->up && !ip4_addr_isany(netif_ip4_addr(&i->netif)))
		etharp_gratuitous(&i->netif);
}

static bool dhcp_wanted(void)
{
	const char *option = boot_option("net.dhcp");

	return !option || strncmp(option, "off", 4);
}

static void opened(void *ctx, int status, const struct net_info *info)
{
	struct interface *i = ctx;
	struct net_link link;

	if (status)
		return;
	snprintf(i->name, sizeof(i->name), "eth%u", next_number++);
	i->present = true;
	take_info(i, info);
	netif_add_noaddr(&i->netif, i, initialise, ethernet_input);
	netif_create_ip6_linklocal_address(&i->netif, 1);
	netif_set_ip6_autoconfig_enabled(&i->netif, 1);
	ether_filters_changed(i);
	link = net_link(i->client);
	interface_set_up(i, true);
	link_changed(i, &link, false);
	server_log("%s: %s, %02x:%02x:%02x:%02x:%02x:%02x, mtu %u, features 0x%x", i->name, info->name, info->mac[0],
		   info->mac[1], info->mac[2], info->mac[3], info->mac[4], info->mac[5], i->mtu, info->features);
	if (!dhcp_wanted())
		return;
	i->dhcp = true;
	dhcp_start(&i->netif);
}

static void up_again(void *ctx, const struct net_info *info)
{
	struct interface *i = ctx;

	take_info(i, info);
	senders_may_go();
}

static void status(void *ctx, const struct net_link *link, bool announce)
{
	struct interface *i = ctx;

	if (i->present)
		link_changed(i, link, announce);
}

static const struct net_client_ops ops = {
	.opened = opened, .up = up_again, .received = received, .sent = sent, .returned = returned, .status = status,
};

/* ---- addresses ---- */

static void address_changed(struct netif *netif, netif_nsc_reason_t reason, const netif_ext_callback_args_t *args)
{
	struct interface *i = interface_of(netif);
	const uint8_t *b = (const uint8_t *)&netif_ip4_addr(netif)->addr;

	(void)args;
	burst_in_forget();
	if (!i->client || !(reason & (LWIP_NSC_IPV4_ADDRESS_CHANGED | LWIP_NSC_IPV4_GATEWAY_CHANGED)))
		return;
	if (i->dhcp)
		route_set_default(interface_index(i), netif_ip4_gw(netif));
	else
		route_interface_gone(interface_index(i));
	if (reason & LWIP_NSC_IPV4_ADDRESS_CHANGED)
		server_log("%s: address %u.%u.%u.%u", i->name, b[0], b[1], b[2], b[3]);
}

bool ether_poll(void)
{
	bool more = false;

	for (uint32_t k = 1; k < interface_count; k++)
		if (interfaces[k].client && interfaces[k].present)
			more |= net_poll(interfaces[k].client, POLL_AT_ONCE);
	joins_deliver();
	for_each_client(post_buffers);
	return more;
}

/* The driver has answered, so there is a device: only then is the pool made. */
static void driver_there(void *ctx, const struct x_in *in)
{
	struct interface *i = ctx;

	if (in->msg.status == -X_ENODEV)
		return;
	if (!pool_start())
		server_die("no memory for packets");
	i->client = net_open(i->driver, &pool, 1, &ops, i);
}

void ether_start(void)
{
	static netif_ext_callback_t callback;

	netif_add_ext_callback(&callback, address_changed);
	for (size_t k = 0; k < sizeof(drivers) / sizeof(drivers[0]) && interface_count < INTERFACES_MAX; k++) {
		struct interface *i = &interfaces[interface_count];

		i->driver = boot_handle(drivers[k]);
		if (i->driver == X_NO_HANDLE)
			continue;
		interface_count++;
		out_start(i->driver, driver_there, i, NULL)->msg.op = NET_LIST;
	}
}
