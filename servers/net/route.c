/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes of IPv4 beside the interfaces' own networks: static ones and defaults,
 * longest prefix first. lwIP asks by its hooks.
 */
#include "lib/c/string.h"
#include "lwip/ip4.h"
#include "servers/net/net.h"

struct route routes[ROUTES_MAX];
static uint32_t routes_end;      /* behind the last one that was ever used */

static uint32_t prefix_bits(uint32_t mask) { return (uint32_t)__builtin_popcount(mask); }

static bool better(const struct route *a, const struct route *b)
{
	uint32_t bits_a = prefix_bits(a->mask.addr), bits_b = prefix_bits(b->mask.addr);

	return bits_a != bits_b ? bits_a > bits_b : a->metric < b->metric;
}

static const struct route *find_route(uint32_t destination)
{
	const struct route *best = NULL;

	for (const struct route *r = routes; r < routes + routes_end; r++) {
		const struct interface *i = r->used ? interface_by_index(r->interface) : NULL;

		if (!i || !i->up || (destination & r->mask.addr) != r->destination.addr)
			continue;
		if (!best || better(r, best))
			best = r;
	}
	return best;
}

/* Is the destination in the interface's own network? How narrow is that? */
static struct interface *own_network(uint32_t destination, uint32_t *bits)
{
	struct interface *best = NULL;

	*bits = 0;
	for (uint32_t k = 0; k < interface_count; k++) {
		struct interface *i = &interfaces[k];
		uint32_t own = netif_ip4_addr(&i->netif)->addr, mask = netif_ip4_netmask(&i->netif)->addr;

		if (!i->present || !i->up || !own)
			continue;
		if (own == destination)
			return &interfaces[0]; /* to ourselves */
		if ((own & mask) != (destination & mask) || (best && prefix_bits(mask) <= *bits))
			continue;
		best = i;
		*bits = prefix_bits(mask);
	}
	return best;
}

struct netif *hook_route(const ip4_addr_t *source, const ip4_addr_t *destination)
{
	uint32_t bits;
	struct interface *near = own_network(destination->addr, &bits);
	const struct route *r = find_route(destination->addr);

	if (near == &interfaces[0])
		return &near->netif;
	if (destination->addr == IPADDR_BROADCAST || ip4_addr_ismulticast(destination)) {
		for (uint32_t k = 1; k < interface_count; k++) {
			struct interface *i = &interfaces[k];

			if (i->present && i->up && (!source || ip4_addr_isany(source) ||
						    ip4_addr_cmp(source, netif_ip4_addr(&i->netif))))
				return &i->netif;
		}
	}
	if (r && (!near || prefix_bits(r->mask.addr) > bits))
		return &interface_by_index(r->interface)->netif;
	return near ? &near->netif : NULL;
}

const ip4_addr_t *hook_gateway(struct netif *netif, const ip4_addr_t *destination)
{
	const struct route *r = find_route(destination->addr);

	if (!r || interface_by_index(r->interface) != interface_of(netif))
		return destination; /* taken to be on the wire */
	return ip4_addr_isany(&r->gateway) ? destination : &r->gateway;
}

static struct route *free_route(void)
{
	for (struct route *r = routes; r < routes + ROUTES_MAX; r++)
		if (!r->used) {
			if (routes_end <= (uint32_t)(r - routes))
				routes_end = (uint32_t)(r - routes) + 1;
			return r;
		}
	return NULL;
}

static struct route *same_route(const struct route *want, bool any_gateway)
{
	for (struct route *r = routes; r < routes + ROUTES_MAX; r++)
		if (r->used && r->destination.addr == want->destination.addr && r->mask.addr == want->mask.addr &&
		    (any_gateway || r->gateway.addr == want->gateway.addr) &&
		    (!want->interface || r->interface == want->interface))
			return r;
	return NULL;
}

static int64_t read_route(const struct linux_rtentry *in, const char *device, struct route *r)
{
	const struct interface *i = device[0] ? interface_by_name(device) : NULL;

	memset(r, 0, sizeof(*r));
	if (device[0] && !i)
		return -X_ENODEV;
	if (in->destination.family != L_AF_INET)
		return -X_EAFNOSUPPORT;
	r->destination.addr = in->destination.address;
	r->mask.addr = in->flags & L_RTF_HOST ? UINT32_MAX : in->mask.address;
	r->metric = in->metric > 0 ? (uint32_t)in->metric - 1 : 0;
	if (r->destination.addr & ~r->mask.addr)
		return -X_EINVAL;
	if (in->flags & L_RTF_GATEWAY)
		r->gateway.addr = in->gateway.address;
	if (i)
		r->interface = interface_index(i);
	return 0;
}

int64_t route_change(const struct linux_rtentry *in, const char *device, bool add)
{
	struct route want, *r;
	uint32_t bits;
	int64_t status = read_route(in, device, &want);

	if (status)
		return status;
	if (!add) {
		r = same_route(&want, !(in->flags & L_RTF_GATEWAY));
		if (!r)
			return -X_ESRCH;
		r->used = false;
		return 0;
	}
	if (in->flags & L_RTF_GATEWAY) {
		const struct interface *i = own_network(want.gateway.addr, &bits);

		if (!i)
			return -X_ENETUNREACH;
		if (!want.interface)
			want.interface = interface_index(i);
	}
	if (!want.interface)
		return -X_ENODEV;
	if (same_route(&want, true) && same_route(&want, true)->metric == want.metric)
		return -X_EEXIST;
	r = free_route();
	if (!r)
		return -X_ENOBUFS;
	*r = want;
	r->used = true;
	return 0;
}

void route_interface_gone(uint32_t index)
{
	for (struct route *r = routes; r < routes + ROUTES_MAX; r++)
		if (r->interface == index)
			r->used = false;
}

void route_set_default(uint32_t index, const ip4_addr_t *gateway)
{
	struct route want = { .interface = index, .used = true };
	struct route *r = same_route(&want, true);

	if (!r)
		r = free_route();
	if (!r)
		return;
	ip4_addr_copy(want.gateway, *gateway);
	want.used = !ip4_addr_isany(gateway);
	*r = want;
}
