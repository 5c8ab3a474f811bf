/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Groups that sockets are in (ip(7), ipv6(7), RFC 3678 without sources): kept for
 * each socket, which leaves them when it is closed. lwIP counts the members.
 */
#include "lwip/igmp.h"
#include "lwip/mld6.h"
#include "lib/c/string.h"
#include "servers/net/net.h"

#define MOST 20u                   /* of a socket; net.ipv4.igmp_max_memberships */
#define L_MCAST_JOIN_GROUP  42u
#define L_MCAST_LEAVE_GROUP 45u
#define GROUP_AT 8u                /* of the address in struct group_req */

struct membership {
	struct membership *next;
	ip_addr_t group;
	struct interface *interface;
};

bool multicast_is_option(uint32_t level, uint32_t name)
{
	if (level == L_IPPROTO_IP)
		return name == L_IP_ADD_MEMBERSHIP || name == L_IP_DROP_MEMBERSHIP || name == L_MCAST_JOIN_GROUP ||
		       name == L_MCAST_LEAVE_GROUP;
	return level == L_IPPROTO_IPV6 && (name == L_IPV6_ADD_MEMBERSHIP || name == L_IPV6_DROP_MEMBERSHIP ||
					   name == L_MCAST_JOIN_GROUP || name == L_MCAST_LEAVE_GROUP);
}

struct request {
	ip_addr_t group;
	ip4_addr_t own;            /* IPv4: of the interface; any: index says */
	uint32_t index;            /* 0: any */
};

/* struct ip_mreq { group, own } or ip_mreqn with an index behind it. */
static int64_t parse4(const uint8_t *value, uint32_t length, struct request *r)
{
	ip4_addr_t group;

	if (length < 8)
		return -X_EINVAL;
	memcpy(&group.addr, value, 4);
	memcpy(&r->own.addr, value + 4, 4);
	if (length >= 12)
		memcpy(&r->index, value + 8, 4);
	ip_addr_copy_from_ip4(r->group, group);
	return 0;
}

static int64_t parse6(const uint8_t *value, uint32_t length, struct request *r)
{
	ip6_addr_t group;

	if (length < 20)
		return -X_EINVAL;
	memset(&group, 0, sizeof(group));
	memcpy(group.addr, value, 16);
	memcpy(&r->index, value + 16, 4);
	ip_addr_copy_from_ip6(r->group, group);
	return 0;
}

/* struct group_req { index, sockaddr_storage } */
static int64_t parse_group(struct sock *s, const uint8_t *value, uint32_t length, struct request *r)
{
	struct address a;
	uint16_t port;

	if (length < GROUP_AT + sizeof(a.bytes))
		return -X_EINVAL;
	memcpy(&r->index, value, 4);
	a.length = sizeof(a.bytes);
	memcpy(a.bytes, value + GROUP_AT, sizeof(a.bytes));
	return address_parse(s, &a, &r->group, &port);
}

static bool can(const struct interface *i, const ip_addr_t *group)
{
	return i && i->present && i->netif.flags & (IP_IS_V6(group) ? NETIF_FLAG_MLD6 : NETIF_FLAG_IGMP);
}

/* The one that is asked for; the one on the way there; the first. */
static struct interface *find(const struct request *r)
{
	struct netif *way;

	if (r->index)
		return interface_by_index(r->index);
	for (uint32_t k = 0; k < interface_count; k++)
		if (!ip4_addr_isany_val(r->own) && ip4_addr_cmp(netif_ip4_addr(&interfaces[k].netif), &r->own))
			return &interfaces[k];
	if (!ip4_addr_isany_val(r->own))
		return NULL;
	way = IP_IS_V6(&r->group) ? NULL : ip4_route(ip_2_ip4(&r->group));
	if (way && can(interface_of(way), &r->group))
		return interface_of(way);
	for (uint32_t k = 0; k < interface_count; k++)
		if (can(&interfaces[k], &r->group))
			return &interfaces[k];
	return NULL;
}

static err_t tell_lwip(const struct membership *m, bool join)
{
	struct netif *n = &m->interface->netif;

	if (IP_IS_V6(&m->group))
		return join ? mld6_joingroup_netif(n, ip_2_ip6(&m->group)) : mld6_leavegroup_netif(n, ip_2_ip6(&m->group));
	return join ? igmp_joingroup_netif(n, ip_2_ip4(&m->group)) : igmp_leavegroup_netif(n, ip_2_ip4(&m->group));
}

static int64_t join(struct sock *s, const struct request *r)
{
	struct membership *m, new = { .interface = find(r) };
	uint32_t count = 0;

	if (!can(new.interface, &r->group))
		return -X_ENODEV;
	ip_addr_copy(new.group, r->group);
	if (IP_IS_V6(&new.group))
		ip6_addr_assign_zone(ip_2_ip6(&new.group), IP6_MULTICAST, &new.interface->netif);
	for (m = s->memberships; m; m = m->next, count++)
		if (m->interface == new.interface && ip_addr_cmp(&m->group, &new.group))
			return -X_EADDRINUSE;
	m = count < MOST ? heap_allocate(sizeof(*m)) : NULL;
	if (!m || tell_lwip(&new, true) != ERR_OK) {
		heap_free(m);
		return -X_ENOBUFS;
	}
	new.next = s->memberships;
	*m = new;
	s->memberships = m;
	return 0;
}

/* The interface counts only if one was named. */
static int64_t leave(struct sock *s, const struct request *r)
{
	struct interface *i = r->index || !ip4_addr_isany_val(r->own) ? find(r) : NULL;

	for (struct membership **at = &s->memberships; *at; at = &(*at)->next) {
		struct membership *m = *at;

		if ((i && m->interface != i) || !ip_addr_cmp_zoneless(&m->group, &r->group))
			continue;
		tell_lwip(m, false);
		*at = m->next;
		heap_free(m);
		return 0;
	}
	return -X_EADDRNOTAVAIL;
}

int64_t multicast_option(struct sock *s, uint32_t level, uint32_t name, const uint8_t *value, uint32_t length)
{
	bool v6 = level == L_IPPROTO_IPV6, by_request = name == L_MCAST_JOIN_GROUP || name == L_MCAST_LEAVE_GROUP;
	struct request r;
	int64_t status;

	memset(&r, 0, sizeof(r));
	if (v6 && s->family != L_AF_INET6)
		return -X_ENOPROTOOPT;
	status = by_request ? parse_group(s, value, length, &r) : v6 ? parse6(value, length, &r) : parse4(value, length, &r);
	if (!status && !ip_addr_ismulticast(&r.group))
		status = -X_EINVAL;
	if (status)
		return status;
	if (name == L_MCAST_JOIN_GROUP || name == (v6 ? (uint32_t)L_IPV6_ADD_MEMBERSHIP : (uint32_t)L_IP_ADD_MEMBERSHIP))
		return join(s, &r);
	return leave(s, &r);
}

void multicast_leave_all(struct sock *s)
{
	while (s->memberships) {
		struct membership *m = s->memberships;

		tell_lwip(m, false);
		s->memberships = m->next;
		heap_free(m);
	}
}
