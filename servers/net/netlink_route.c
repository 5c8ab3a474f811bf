/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What netlink is asked (rtnetlink(7)): interfaces, their addresses, routes of
 * IPv4 and neighbours are listed; flags and the MTU of an interface, its address
 * of IPv4, and routes are changed, by uid 0.
 */
#include "lib/c/string.h"
#include "lwip/etharp.h"
#include "servers/net/lwip/hooks.h"
#include "servers/net/netlink.h"

enum { IFLA_ADDRESS = 1, IFLA_BROADCAST, IFLA_IFNAME, IFLA_MTU, IFLA_QDISC = 6, IFLA_STATS = 7, IFLA_TXQLEN = 13,
       IFLA_OPERSTATE = 16, IFLA_LINKMODE = 17, IFLA_GROUP = 27, IFLA_CARRIER = 33 };
enum { IFA_ADDRESS = 1, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_FLAGS = 8 };
enum { RTA_DST = 1, RTA_OIF = 4, RTA_GATEWAY = 5, RTA_PRIORITY = 6, RTA_PREFSRC = 7, RTA_TABLE = 15 };
enum { NDA_DST = 1, NDA_LLADDR };
enum { SCOPE_GLOBAL = 0, SCOPE_LINK = 253, SCOPE_HOST = 254 };
enum { TABLE_MAIN = 254, PROTOCOL_KERNEL = 2, PROTOCOL_BOOT = 3, ROUTE_UNICAST = 1, ROUTE_LOCAL = 2 };
#define IFF_LOWER_UP     0x10000u
#define ADDRESS_PERMANENT 0x80u
#define ADDRESS_TENTATIVE 0x40u
#define NEIGHBOUR_REACHABLE 2
#define OPERATING_UNKNOWN 0
#define OPERATING_DOWN 2
#define OPERATING_UP 6

/* ---- interfaces ---- */

static void put_link(const struct interface *i, uint32_t flags)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t none[6];
	bool carrier = !i->client || i->link.up;
	struct nl_link l = {
		.hardware = i->client ? L_ARPHRD_ETHER : L_ARPHRD_LOOPBACK, .index = (int32_t)interface_index(i),
		.flags = interface_flags(i) | (i->up && carrier ? IFF_LOWER_UP : 0),
	};
	uint32_t queue = 1000, zero = 0;
	uint8_t operating = !i->client ? OPERATING_UNKNOWN : i->up && carrier ? OPERATING_UP : OPERATING_DOWN, mode = 0;
	uint32_t counters[23] = { (uint32_t)i->rx_packets, (uint32_t)i->tx_packets, (uint32_t)i->rx_bytes,
				  (uint32_t)i->tx_bytes, 0, 0, (uint32_t)i->rx_dropped, (uint32_t)i->tx_dropped };

	netlink_begin(RTM_NEWLINK, flags);
	netlink_put(&l, sizeof(l));
	netlink_attribute(IFLA_IFNAME, i->name, (uint32_t)strlen(i->name) + 1);
	netlink_attribute(IFLA_TXQLEN, &queue, sizeof(queue));
	netlink_attribute(IFLA_OPERSTATE, &operating, 1);
	netlink_attribute(IFLA_LINKMODE, &mode, 1);
	netlink_attribute(IFLA_MTU, &i->mtu, sizeof(i->mtu));
	netlink_attribute(IFLA_GROUP, &zero, sizeof(zero));
	netlink_attribute(IFLA_CARRIER, carrier ? (const uint8_t[]){ 1 } : (const uint8_t[]){ 0 }, 1);
	netlink_attribute(IFLA_QDISC, i->client ? "pfifo" : "noqueue", i->client ? 6 : 8);
	netlink_attribute(IFLA_ADDRESS, i->client ? i->netif.hwaddr : none, 6);
	netlink_attribute(IFLA_BROADCAST, i->client ? broadcast : none, 6);
	netlink_attribute(IFLA_STATS, counters, sizeof(counters));
	netlink_end();
}

/* By its number, or its name. */
static struct interface *named(const struct nl_header *h, const struct nl_link *l)
{
	const char *name = netlink_find_name(h, sizeof(*l), IFLA_IFNAME);

	if (l->index > 0)
		return interface_by_index((uint32_t)l->index);
	return name ? interface_by_name(name) : NULL;
}

static int64_t get_links(const struct nl_header *h, const struct nl_link *l, bool dump)
{
	const struct interface *i;

	if (!dump) {
		i = named(h, l);
		if (i)
			put_link(i, 0);
		return i ? 0 : -X_ENODEV;
	}
	for (i = interfaces; i < interfaces + interface_count; i++)
		if (i->present)
			put_link(i, NLM_F_MULTI);
	return 0;
}

static int64_t set_link(const struct nl_header *h, const struct nl_link *l)
{
	struct interface *i = named(h, l);
	const uint32_t *mtu = netlink_find(h, sizeof(*l), IFLA_MTU, sizeof(*mtu));
	int64_t status = 0;

	if (!i)
		return -X_ENODEV;
	if (mtu)
		status = interface_set_mtu(i, (int32_t)*mtu);
	if (!status && l->change)
		status = interface_set_flags(i, (interface_flags(i) & ~l->change) | (l->flags & l->change));
	return status;
}

/* ---- addresses ---- */

static uint8_t prefix_of(uint32_t mask) { return (uint8_t)__builtin_popcount(mask); }
static uint32_t mask_of(uint32_t bits) { return bits ? lwip_htonl(UINT32_MAX << (32 - bits)) : 0; }

static void put_address4(const struct interface *i)
{
	uint32_t own = netif_ip4_addr(&i->netif)->addr, mask = netif_ip4_netmask(&i->netif)->addr, last = own | ~mask;
	uint32_t flags = ADDRESS_PERMANENT;
	struct nl_address a = {
		.family = L_AF_INET, .prefix = prefix_of(mask), .flags = ADDRESS_PERMANENT,
		.scope = i->client ? SCOPE_GLOBAL : SCOPE_HOST, .index = interface_index(i),
	};

	netlink_begin(RTM_NEWADDR, NLM_F_MULTI);
	netlink_put(&a, sizeof(a));
	netlink_attribute(IFA_ADDRESS, &own, sizeof(own));
	netlink_attribute(IFA_LOCAL, &own, sizeof(own));
	if (i->client)
		netlink_attribute(IFA_BROADCAST, &last, sizeof(last));
	netlink_attribute(IFA_LABEL, i->name, (uint32_t)strlen(i->name) + 1);
	netlink_attribute(IFA_FLAGS, &flags, sizeof(flags));
	netlink_end();
}

static void put_address6(const struct interface *i, const ip6_addr_t *ip, bool tentative)
{
	bool link = ip6_addr_islinklocal(ip);
	uint32_t flags = ADDRESS_PERMANENT | (tentative ? ADDRESS_TENTATIVE : 0);
	struct nl_address a = {
		.family = L_AF_INET6, .prefix = i->client ? 64 : 128, .flags = (uint8_t)flags,
		.scope = !i->client ? SCOPE_HOST : link ? SCOPE_LINK : SCOPE_GLOBAL, .index = interface_index(i),
	};

	netlink_begin(RTM_NEWADDR, NLM_F_MULTI);
	netlink_put(&a, sizeof(a));
	netlink_attribute(IFA_ADDRESS, ip->addr, 16);
	netlink_attribute(IFA_FLAGS, &flags, sizeof(flags));
	netlink_end();
}

static void get_addresses(uint8_t family)
{
	for (const struct interface *i = interfaces; i < interfaces + interface_count; i++) {
		if (!i->present)
			continue;
		if (family != L_AF_INET6 && netif_ip4_addr(&i->netif)->addr)
			put_address4(i);
		for (s8_t k = 0; family != L_AF_INET && k < LWIP_IPV6_NUM_ADDRESSES; k++)
			if (!ip6_addr_isinvalid(netif_ip6_addr_state(&i->netif, k)))
				put_address6(i, netif_ip6_addr(&i->netif, k),
					     ip6_addr_istentative(netif_ip6_addr_state(&i->netif, k)));
	}
}

static int64_t change_address(const struct nl_header *h, const struct nl_address *a, bool add)
{
	struct interface *i = interface_by_index(a->index);
	const uint32_t *own = netlink_find(h, sizeof(*a), IFA_LOCAL, sizeof(*own));

	if (!own)
		own = netlink_find(h, sizeof(*a), IFA_ADDRESS, sizeof(*own));
	if (!i)
		return -X_ENODEV;
	if (a->family != L_AF_INET)
		return -X_EOPNOTSUPP;
	if (!own || a->prefix > 32)
		return -X_EINVAL;
	if (!add) {
		if (*own != netif_ip4_addr(&i->netif)->addr)
			return -X_EADDRNOTAVAIL;
		interface_set_address(i, 0, 0);
		return 0;
	}
	if (*own == netif_ip4_addr(&i->netif)->addr && mask_of(a->prefix) == netif_ip4_netmask(&i->netif)->addr)
		return -X_EEXIST;
	interface_set_address(i, *own, mask_of(a->prefix));
	return 0;
}

/* ---- routes ---- */

struct way { uint32_t to, bits, gateway, metric, own, index; };

static void put_route(const struct way *way, uint32_t flags, uint32_t type)
{
	struct nl_route r = {
		.family = L_AF_INET, .to_bits = (uint8_t)way->bits, .table = TABLE_MAIN,
		.protocol = way->own ? PROTOCOL_KERNEL : PROTOCOL_BOOT, .type = (uint8_t)type,
		.scope = way->gateway || way->bits == 32 ? SCOPE_GLOBAL : SCOPE_LINK,
	};
	uint32_t table = TABLE_MAIN;

	netlink_begin(RTM_NEWROUTE, flags);
	netlink_put(&r, sizeof(r));
	netlink_attribute(RTA_TABLE, &table, sizeof(table));
	if (way->bits)
		netlink_attribute(RTA_DST, &way->to, sizeof(way->to));
	if (way->gateway)
		netlink_attribute(RTA_GATEWAY, &way->gateway, sizeof(way->gateway));
	if (way->own)
		netlink_attribute(RTA_PREFSRC, &way->own, sizeof(way->own));
	netlink_attribute(RTA_OIF, &way->index, sizeof(way->index));
	if (way->metric)
		netlink_attribute(RTA_PRIORITY, &way->metric, sizeof(way->metric));
	netlink_end();
}

static void list_routes(void)
{
	for (const struct route *r = routes; r < routes + ROUTES_MAX; r++) {
		struct way way = { r->destination.addr, prefix_of(r->mask.addr), r->gateway.addr, r->metric, 0, r->interface };

		if (r->used && interface_by_index(r->interface))
			put_route(&way, NLM_F_MULTI, ROUTE_UNICAST);
	}
	for (const struct interface *i = interfaces + 1; i < interfaces + interface_count; i++) {
		uint32_t own = netif_ip4_addr(&i->netif)->addr, mask = netif_ip4_netmask(&i->netif)->addr;
		struct way way = { own & mask, prefix_of(mask), 0, 0, own, interface_index(i) };

		if (i->present && i->up && own)
			put_route(&way, NLM_F_MULTI, ROUTE_UNICAST);
	}
}

/* The way to one destination. */
static int64_t find_way(const struct nl_header *h)
{
	const uint32_t *to = netlink_find(h, sizeof(struct nl_route), RTA_DST, sizeof(*to));
	ip4_addr_t destination = { to ? *to : 0 };
	struct netif *netif = hook_route(NULL, &destination);
	struct way way = { .to = destination.addr, .bits = 32 };
	const ip4_addr_t *next;

	if (!to)
		return -X_EINVAL;
	if (!netif)
		return -X_ENETUNREACH;
	next = hook_gateway(netif, &destination);
	way.gateway = next->addr != destination.addr ? next->addr : 0;
	way.own = interface_of(netif)->client ? netif_ip4_addr(netif)->addr : destination.addr;
	way.index = interface_index(interface_of(netif));
	put_route(&way, 0, interface_of(netif)->client ? ROUTE_UNICAST : ROUTE_LOCAL);
	return 0;
}

static int64_t change_route(const struct nl_header *h, const struct nl_route *r, bool add)
{
	struct linux_rtentry e = {
		.destination.family = L_AF_INET, .gateway.family = L_AF_INET, .mask.family = L_AF_INET, .flags = L_RTF_UP,
	};
	const uint32_t *to = netlink_find(h, sizeof(*r), RTA_DST, 4), *by = netlink_find(h, sizeof(*r), RTA_GATEWAY, 4);
	const uint32_t *out = netlink_find(h, sizeof(*r), RTA_OIF, 4), *metric = netlink_find(h, sizeof(*r), RTA_PRIORITY, 4);
	const struct interface *i = out ? interface_by_index(*out) : NULL;

	if (r->family != L_AF_INET)
		return -X_EOPNOTSUPP;
	if (r->to_bits > 32 || (r->to_bits && !to) || (metric && *metric > INT16_MAX - 1))
		return -X_EINVAL;
	if (out && !i)
		return -X_ENODEV;
	e.destination.address = to ? *to : 0;
	e.mask.address = mask_of(r->to_bits);
	e.metric = (int16_t)(metric ? *metric + 1 : 0);
	if (by) {
		e.gateway.address = *by;
		e.flags |= L_RTF_GATEWAY;
	}
	return route_change(&e, i ? i->name : "", add);
}

/* ---- neighbours ---- */

static void list_neighbours(void)
{
	for (size_t k = 0; k < ARP_TABLE_SIZE; k++) {
		struct nl_neighbour n = { .family = L_AF_INET, .state = NEIGHBOUR_REACHABLE, .type = ROUTE_UNICAST };
		struct eth_addr *hardware;
		struct netif *netif;
		ip4_addr_t *ip;

		if (!etharp_get_entry(k, &ip, &netif, &hardware))
			continue;
		n.index = (int32_t)interface_index(interface_of(netif));
		netlink_begin(RTM_NEWNEIGH, NLM_F_MULTI);
		netlink_put(&n, sizeof(n));
		netlink_attribute(NDA_DST, &ip->addr, sizeof(ip->addr));
		netlink_attribute(NDA_LLADDR, hardware->addr, sizeof(hardware->addr));
		netlink_end();
	}
}

/* ---- all ---- */

/* Types come in fours: make, remove, list, set. Dumps may come with as little as a family. */
int64_t netlink_route_request(struct sock *s, const struct nl_header *h, bool dump)
{
	static const uint8_t fixed[] = { sizeof(struct nl_link), sizeof(struct nl_address), sizeof(struct nl_route),
					 sizeof(struct nl_neighbour) };
	uint32_t group = (h->type - NLMSG_FIRST) / 4u, least;
	const void *body = h + 1;

	if (group >= sizeof(fixed))
		return -X_EOPNOTSUPP;
	least = dump ? 1 : fixed[group];
	if (h->length < sizeof(*h) + least)
		return -X_EINVAL;
	if ((h->type & 3u) != (RTM_GETLINK & 3u) && s->uid)
		return -X_EPERM;
	switch (h->type) {
	case RTM_GETLINK: return get_links(h, body, dump);
	case RTM_NEWLINK: case RTM_SETLINK: return set_link(h, body);
	case RTM_GETADDR: if (dump) get_addresses(*(const uint8_t *)body); return dump ? 0 : -X_EOPNOTSUPP;
	case RTM_NEWADDR: case RTM_DELADDR: return change_address(h, body, h->type == RTM_NEWADDR);
	case RTM_GETROUTE:
		if (!dump)
			return find_way(h);
		if (*(const uint8_t *)body != L_AF_INET6)
			list_routes();
		return 0;
	case RTM_NEWROUTE: case RTM_DELROUTE: return change_route(h, body, h->type == RTM_NEWROUTE);
	case RTM_GETNEIGH:
		if (dump && *(const uint8_t *)body != L_AF_INET6)
			list_neighbours();
		return dump ? 0 : -X_EOPNOTSUPP;
	default: return -X_EOPNOTSUPP;
	}
}
