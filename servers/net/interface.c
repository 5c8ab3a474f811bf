/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interfaces: the table, and what Linux programs see of them. Number 0 is the
 * loopback (loopback.c), the others have a driver (ether.c). Linux counts from 1.
 */
#include "lib/c/string.h"
#include "lwip/dhcp.h"
#include "lwip/ip.h"
#include "servers/net/net.h"

struct interface interfaces[INTERFACES_MAX];
uint32_t interface_count;

struct interface *interface_of(struct netif *netif)
{
	return (struct interface *)netif->state;
}

struct interface *interface_by_name(const char *name)
{
	for (uint32_t i = 0; i < interface_count; i++)
		if (interfaces[i].present && !strncmp(interfaces[i].name, name, sizeof(interfaces[i].name)))
			return &interfaces[i];
	return NULL;
}

uint32_t interface_index(const struct interface *i) { return (uint32_t)(i - interfaces) + 1; }

struct interface *interface_by_index(uint32_t index)
{
	return index && index <= interface_count && interfaces[index - 1].present ? &interfaces[index - 1] : NULL;
}

void interface_set_up(struct interface *i, bool up)
{
	i->up = up;
	if (up) {
		netif_set_up(&i->netif);
	} else {
		netif_set_down(&i->netif);
		route_interface_gone(interface_index(i));
	}
}

uint32_t interface_flags(const struct interface *i)
{
	uint32_t flags = i->up ? L_IFF_UP : 0;

	if (!i->client)
		return flags | L_IFF_LOOPBACK | (i->up ? L_IFF_RUNNING : 0);
	flags |= L_IFF_BROADCAST | L_IFF_MULTICAST | (i->promiscuous ? L_IFF_PROMISC : 0);
	return flags | (i->up && i->link.up ? L_IFF_RUNNING : 0);
}

int64_t interface_set_flags(struct interface *i, uint32_t flags)
{
	bool up = flags & L_IFF_UP, promiscuous = flags & L_IFF_PROMISC;

	if (up != i->up)
		interface_set_up(i, up);
	if (i->client && promiscuous != i->promiscuous) {
		i->promiscuous = promiscuous;
		ether_filters_changed(i);
	}
	return 0;
}

void interface_set_address(struct interface *i, uint32_t address, uint32_t mask)
{
	ip4_addr_t ip = { address }, netmask = { mask }, none = { 0 };

	if (i->dhcp) { /* from now on somebody else decides */
		dhcp_release_and_stop(&i->netif);
		i->dhcp = false;
	}
	netif_set_addr(&i->netif, &ip, &netmask, &none);
}

int64_t interface_set_mtu(struct interface *i, int32_t mtu)
{
	int32_t most = i->client ? (int32_t)i->info.mtu : 65536;

	if (mtu < 68 || mtu > most)
		return -X_EINVAL;
	i->mtu = (uint32_t)mtu;
	return 0;
}

uint32_t interface_mtu_for(const ip_addr_t *ip)
{
	struct netif *n = ip_route(IP_IS_V6(ip) ? IP6_ADDR_ANY : IP4_ADDR_ANY, ip);

	return n ? interface_of(n)->mtu : 1500;
}

void interfaces_start(void)
{
	struct interface *lo = &interfaces[0];

	interface_count = 1;
	strlcpy(lo->name, "lo", sizeof(lo->name));
	lo->present = true;
	lo->mtu = 65536;
	loopback_start(lo);
	interface_set_up(lo, true);
}
