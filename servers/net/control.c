/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control messages of datagram sockets (cmsg(3), ip(7), ipv6(7), socket(7)): where
 * a packet came to, with which hop limit and class, and when; and for one that is
 * sent the interface, the source, hop limit and class.
 */
#include "lib/c/string.h"
#include "lwip/ip.h"
#include "servers/net/net.h"

struct linux_cmsghdr { uint64_t length; int32_t level, type; };
struct in_pktinfo { uint32_t interface, local, destination; };
struct in6_pktinfo { uint8_t address[16]; uint32_t interface; };

struct text { uint8_t bytes[SOCK_CONTROL_MOST]; uint32_t used; };

/* ---- received ---- */

void control_note(struct arrival *d)
{
	ip_addr_copy(d->to, *ip_current_dest_addr());
	d->interface = (uint8_t)interface_index(interface_of(ip_current_input_netif()));
	if (ip_current_is_v6()) {
		d->hop_limit = IP6H_HOPLIM(ip6_current_header());
		d->tos = (uint8_t)IP6H_TC(ip6_current_header());
	} else {
		d->hop_limit = IPH_TTL(ip4_current_header());
		d->tos = IPH_TOS(ip4_current_header());
	}
}

static void put(struct text *t, int32_t level, uint32_t type, const void *data, uint32_t bytes)
{
	struct linux_cmsghdr h = { sizeof(h) + bytes, level, (int32_t)type };

	memcpy(t->bytes + t->used, &h, sizeof(h));
	memcpy(t->bytes + t->used + sizeof(h), data, bytes);
	t->used += ((uint32_t)h.length + 7) & ~7u;
}

static void put_time(struct text *t, const struct sock *s, const struct packet *d)
{
	uint64_t ns = (uint64_t)x_clock(X_CLOCK_REALTIME) - ((uint64_t)x_clock(X_CLOCK_MONOTONIC) - d->arrived_ns);
	int64_t at[2] = { (int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u) };

	if (s->control_wanted & CONTROL_TIME)
		at[1] /= 1000;
	put(t, L_SOL_SOCKET, s->control_wanted & CONTROL_TIME ? L_SO_TIMESTAMP : L_SO_TIMESTAMPNS, at, sizeof(at));
}

static void put_ip4(struct text *t, uint32_t wanted, const struct arrival *d)
{
	uint32_t to = ip_2_ip4(&d->to)->addr, own = to;
	const struct interface *i = interface_by_index(d->interface);
	struct in_pktinfo info;
	int32_t ttl = d->hop_limit;

	if (i && !address_is_local(&d->to)) /* to a group, or to all */
		own = netif_ip4_addr(&i->netif)->addr;
	info = (struct in_pktinfo){ d->interface, own, to };
	if (wanted & CONTROL_PKTINFO)
		put(t, L_IPPROTO_IP, L_IP_PKTINFO, &info, sizeof(info));
	if (wanted & CONTROL_TTL)
		put(t, L_IPPROTO_IP, L_IP_TTL, &ttl, sizeof(ttl));
	if (wanted & CONTROL_TOS)
		put(t, L_IPPROTO_IP, L_IP_TOS, &d->tos, 1);
}

static void put_ip6(struct text *t, uint32_t wanted, const struct arrival *d)
{
	struct in6_pktinfo info = { .interface = d->interface };
	int32_t hops = d->hop_limit, traffic = d->tos;

	if (IP_IS_V6(&d->to)) {
		memcpy(info.address, ip_2_ip6(&d->to)->addr, 16);
	} else {
		info.address[10] = info.address[11] = 0xff;
		memcpy(info.address + 12, &ip_2_ip4(&d->to)->addr, 4);
	}
	if (wanted & CONTROL_PKTINFO6)
		put(t, L_IPPROTO_IPV6, L_IPV6_PKTINFO, &info, sizeof(info));
	if (!IP_IS_V6(&d->to))
		return;
	if (wanted & CONTROL_HOPS6)
		put(t, L_IPPROTO_IPV6, L_IPV6_HOPLIMIT, &hops, sizeof(hops));
	if (wanted & CONTROL_CLASS6)
		put(t, L_IPPROTO_IPV6, L_IPV6_TCLASS, &traffic, sizeof(traffic));
}

void control_write(const struct sock *s, const struct packet *d, struct waiter *w, struct x_msg *msg)
{
	struct text t = { .used = 0 };
	bool ip = s->kind == SOCKET_UDP || s->kind == SOCKET_RAW;

	if (!s->control_wanted)
		return;
	if (s->control_wanted & (CONTROL_TIME | CONTROL_TIME_NS))
		put_time(&t, s, d);
	if (ip && !IP_IS_V6(&d->arrival.to))
		put_ip4(&t, s->control_wanted, &d->arrival);
	if (ip && s->family == L_AF_INET6)
		put_ip6(&t, s->control_wanted, &d->arrival);
	if (t.used && w->control_room < SOCK_CONTROL_AT + SOCK_CONTROL_MOST)
		msg->a[0] |= L_MSG_CTRUNC; /* nobody asked for it */
	else if (t.used && window_write(w->call_id, SOCK_ADDRESS_WINDOW, SOCK_CONTROL_AT, t.bytes, t.used) == (int64_t)t.used)
		msg->a[6] = SOCK_CONTROL_HERE | t.used;
}

/* ---- to be sent ---- */

static int64_t read_pktinfo(const struct in_pktinfo *info, struct control *c)
{
	c->interface = info->interface;
	IP_SET_TYPE(&c->source, IPADDR_TYPE_V4);
	ip_2_ip4(&c->source)->addr = info->local;
	return 0;
}

static int64_t read_pktinfo6(const struct in6_pktinfo *info, struct control *c)
{
	static const uint8_t none[16];

	c->interface = info->interface;
	if (!memcmp(info->address, none, 16))
		return 0;
	IP_SET_TYPE(&c->source, IPADDR_TYPE_V6);
	memcpy(ip_2_ip6(&c->source)->addr, info->address, 16);
	return 0;
}

static int64_t read_one(int32_t level, int32_t type, const uint8_t *data, uint64_t bytes, struct control *c)
{
	int32_t n = 0;

	memcpy(&n, data, bytes < sizeof(n) ? bytes : sizeof(n));
	if (level == L_IPPROTO_IP && type == L_IP_PKTINFO)
		return bytes == sizeof(struct in_pktinfo) ? read_pktinfo((const void *)data, c) : -X_EINVAL;
	if (level == L_IPPROTO_IPV6 && type == L_IPV6_PKTINFO)
		return bytes >= sizeof(struct in6_pktinfo) ? read_pktinfo6((const void *)data, c) : -X_EINVAL;
	if ((level == L_IPPROTO_IP && type == L_IP_TTL) || (level == L_IPPROTO_IPV6 && type == L_IPV6_HOPLIMIT)) {
		if (bytes != sizeof(n) || n < (level == L_IPPROTO_IP ? 1 : -1) || n > 255)
			return -X_EINVAL;
		c->hop_limit = (int16_t)n;
		return 0;
	}
	if ((level == L_IPPROTO_IP && type == L_IP_TOS) || (level == L_IPPROTO_IPV6 && type == L_IPV6_TCLASS)) {
		if ((bytes != sizeof(n) && (bytes != 1 || level != L_IPPROTO_IP)) || n < (level == L_IPPROTO_IP ? 0 : -1) ||
		    n > 255)
			return -X_EINVAL;
		c->tos = (int16_t)n;
		return 0;
	}
	return level == L_IPPROTO_IP || level == L_IPPROTO_IPV6 ? -X_EINVAL : 0;
}

int64_t control_read(const struct sock *s, const struct x_in *in, struct control *c)
{
	uint8_t bytes[SOCK_CONTROL_MOST] __attribute__((aligned(8)));
	uint64_t length = in->msg.a[6] & 0xffff, at = 0;
	int64_t status = 0;

	if (in->msg.op != SOCK_SEND || !(in->msg.a[6] & SOCK_CONTROL_HERE) || s->kind != SOCKET_UDP)
		return 0;
	if (length > sizeof(bytes) ||
	    window_read(in->id, SOCK_ADDRESS_WINDOW, SOCK_CONTROL_AT, bytes, length) != (int64_t)length)
		return -X_EFAULT;
	while (!status && length - at >= sizeof(struct linux_cmsghdr)) {
		const struct linux_cmsghdr *h = (const void *)(bytes + at);

		if (h->length < sizeof(*h) || h->length > length - at)
			return -X_EINVAL;
		status = read_one(h->level, h->type, bytes + at + sizeof(*h), h->length - sizeof(*h), c);
		at += (h->length + 7) & ~7ull;
		if (at > length)
			break;
	}
	if (!status && c->interface && !interface_by_index(c->interface))
		status = -X_ENODEV;
	if (!status && !ip_addr_isany(&c->source) && !address_is_local(&c->source))
		status = -X_EINVAL;
	return status;
}
