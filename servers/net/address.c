/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Socket addresses: between messages, Linux's sockaddr and lwIP's.
 */
#include "lib/c/string.h"
#include "servers/net/net.h"

int64_t address_in(const struct x_in *in, struct address *a)
{
	uint64_t length = in->msg.a[1];

	memset(a, 0, sizeof(*a));
	if (length > sizeof(a->bytes))
		return -X_EINVAL;
	a->length = (uint32_t)length;
	if (length <= SOCK_ADDRESS_INLINE) {
		memcpy(a->bytes, &in->msg.a[2], length);
		return 0;
	}
	return window_read(in->id, SOCK_ADDRESS_WINDOW, 0, a->bytes, length) == (int64_t)length ? 0 : -X_EFAULT;
}

void address_out(struct x_msg *msg, const struct address *a)
{
	msg->a[1] = a->length;
	memcpy(&msg->a[2], a->bytes, a->length < SOCK_ADDRESS_INLINE ? a->length : SOCK_ADDRESS_INLINE);
}

uint16_t address_family(const struct address *a)
{
	uint16_t family;

	memcpy(&family, a->bytes, sizeof(family));
	return a->length >= sizeof(family) ? family : 0;
}

static void make_in6(const ip_addr_t *ip, uint16_t port, struct address *a)
{
	struct linux_sockaddr_in6 in6 = { .family = L_AF_INET6, .port = lwip_htons(port) };

	if (IP_IS_V6(ip) && !IP_IS_ANY_TYPE_VAL(*ip)) {
		memcpy(in6.address, ip_2_ip6(ip)->addr, 16);
		if (ip6_addr_has_zone(ip_2_ip6(ip)))
			in6.scope = ip6_addr_zone(ip_2_ip6(ip));
	} else if (IP_IS_V4(ip) && !ip_addr_isany(ip)) {
		in6.address[10] = in6.address[11] = 0xff;
		memcpy(in6.address + 12, &ip_2_ip4(ip)->addr, 4);
	}
	memcpy(a->bytes, &in6, sizeof(in6));
	a->length = sizeof(in6);
}

void address_make(const struct sock *s, const ip_addr_t *ip, uint16_t port, struct address *a)
{
	struct linux_sockaddr_in in = { .family = L_AF_INET, .port = lwip_htons(port) };

	memset(a, 0, sizeof(*a));
	if (s->family == L_AF_INET6) {
		make_in6(ip, port, a);
		return;
	}
	in.address = ip_2_ip4(ip)->addr;
	memcpy(a->bytes, &in, sizeof(in));
	a->length = sizeof(in);
}

static int64_t parse_in6(const struct sock *s, const struct address *a, ip_addr_t *ip, uint16_t *port)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct linux_sockaddr_in6 in6;

	if (a->length < 24)
		return -X_EINVAL;
	memcpy(&in6, a->bytes, sizeof(in6));
	*port = lwip_ntohs(in6.port);
	memset(ip, 0, sizeof(*ip));
	if (!memcmp(in6.address, mapped, 12)) {
		if (s->v6only)
			return -X_ENETUNREACH;
		IP_SET_TYPE(ip, IPADDR_TYPE_V4);
		memcpy(&ip_2_ip4(ip)->addr, in6.address + 12, 4);
		return 0;
	}
	IP_SET_TYPE(ip, IPADDR_TYPE_V6);
	memcpy(ip_2_ip6(ip)->addr, in6.address, 16);
	if (ip6_addr_has_scope(ip_2_ip6(ip), IP6_UNKNOWN))
		ip6_addr_set_zone(ip_2_ip6(ip), (u8_t)in6.scope);
	return 0;
}

int64_t address_parse(const struct sock *s, const struct address *a, ip_addr_t *ip, uint16_t *port)
{
	struct linux_sockaddr_in in;
	uint16_t family = address_family(a);

	if (a->length < 2)
		return -X_EINVAL;
	if (s->family == L_AF_INET6 && family == L_AF_INET6)
		return parse_in6(s, a, ip, port);
	if (s->family == L_AF_INET6 && family != L_AF_INET)
		return a->length < 24 ? -X_EINVAL : -X_EAFNOSUPPORT;
	if (a->length < sizeof(in))
		return -X_EINVAL;
	if (family != L_AF_INET)
		return -X_EAFNOSUPPORT;
	memcpy(&in, a->bytes, sizeof(in));
	*port = lwip_ntohs(in.port);
	memset(ip, 0, sizeof(*ip));
	IP_SET_TYPE(ip, IPADDR_TYPE_V4);
	ip_2_ip4(ip)->addr = in.address;
	return 0;
}

static bool is_local4(const ip4_addr_t *ip)
{
	struct netif *n;

	if (ip4_addr_isloopback(ip))
		return true;
	NETIF_FOREACH(n)
		if (netif_is_up(n) && ip4_addr_cmp(ip, netif_ip4_addr(n)))
			return true;
	return false;
}

bool address_is_local(const ip_addr_t *ip)
{
	struct netif *n;

	if (ip_addr_isany(ip))
		return true;
	if (IP_IS_V4(ip))
		return is_local4(ip_2_ip4(ip));
	NETIF_FOREACH(n)
		if (netif_get_ip6_addr_match(n, ip_2_ip6(ip)) >= 0)
			return true;
	return false;
}
