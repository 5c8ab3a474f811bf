/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioctl on sockets (netdevice(7), arp(7)): what is waiting, and the
 * configuration of interfaces, routes and the ARP table. Changes need uid 0.
 *
 * Commands that point to more memory bring it as win1: SIOCGIFCONF its buffer
 * (write), SIOCADDRT and SIOCDELRT the device's name (read).
 */
#include "lib/c/string.h"
#include "lwip/etharp.h"
#include "servers/net/net.h"

enum {
	C_TIOCOUTQ = 0x5411, C_FIONREAD = 0x541b,
	C_FIOSETOWN = 0x8901, C_SIOCSPGRP, C_FIOGETOWN, C_SIOCGPGRP, C_SIOCATMARK, C_SIOCGSTAMP,
	C_SIOCADDRT = 0x890b, C_SIOCDELRT = 0x890c,
	C_SIOCGIFNAME = 0x8910, C_SIOCGIFCONF = 0x8912, C_SIOCGIFFLAGS, C_SIOCSIFFLAGS, C_SIOCGIFADDR,
	C_SIOCSIFADDR, C_SIOCGIFDSTADDR, C_SIOCSIFDSTADDR, C_SIOCGIFBRDADDR, C_SIOCSIFBRDADDR,
	C_SIOCGIFNETMASK, C_SIOCSIFNETMASK, C_SIOCGIFMETRIC,
	C_SIOCGIFMTU = 0x8921, C_SIOCSIFMTU, C_SIOCSIFHWADDR = 0x8924, C_SIOCGIFHWADDR = 0x8927,
	C_SIOCGIFINDEX = 0x8933, C_SIOCDIFADDR = 0x8936, C_SIOCGIFTXQLEN = 0x8942, C_SIOCSIFTXQLEN,
	C_SIOCDARP = 0x8953, C_SIOCGARP, C_SIOCSARP, C_SIOCGIFMAP = 0x8970,
};

/* ---- of the socket itself ---- */

static int64_t put_int(const struct x_in *in, int32_t n)
{
	return window_write(in->id, 0, 0, &n, sizeof(n)) < (int64_t)sizeof(n) ? -X_EFAULT : 0;
}

static int64_t readable(struct sock *s, const struct x_in *in)
{
	flow_sync(s);
	sock_mark(s, 0);
	if (s->kind == SOCKET_TCP)
		return s->listening ? -X_EINVAL : put_int(in, (int32_t)s->received_bytes);
	return put_int(in, s->received ? s->received->p->tot_len : 0);
}

/* ---- interfaces ---- */

static void put_address(struct linux_ifreq *r, uint32_t address)
{
	memset(&r->in, 0, sizeof(r->in));
	r->in.family = L_AF_INET;
	r->in.address = address;
}

static uint32_t broadcast_of(const struct interface *i)
{
	uint32_t mask = netif_ip4_netmask(&i->netif)->addr;

	return i->client ? netif_ip4_addr(&i->netif)->addr | ~mask : 0;
}

static int64_t list_interfaces(const struct x_in *in)
{
	int32_t room = in->win_count > 1 ? (int32_t)in->win[1].len : 0, used = 0;
	struct linux_ifreq r;

	for (uint32_t k = 0; k < interface_count; k++) {
		const struct interface *i = &interfaces[k];

		/* As Linux: only those that have an address. */
		if (!i->present || ip4_addr_isany(netif_ip4_addr(&i->netif)))
			continue;
		if (in->win_count > 1 && used + (int32_t)sizeof(r) > room)
			break;
		memset(&r, 0, sizeof(r));
		strlcpy(r.name, i->name, sizeof(r.name));
		put_address(&r, netif_ip4_addr(&i->netif)->addr);
		if (in->win_count > 1 && window_write(in->id, 1, (uint64_t)used, &r, sizeof(r)) < (int64_t)sizeof(r))
			return -X_EFAULT;
		used += (int32_t)sizeof(r);
	}
	return put_int(in, used);
}

static int64_t get_from(const struct interface *i, uint32_t command, struct linux_ifreq *r)
{
	memset(r->bytes, 0, sizeof(r->bytes));
	switch (command) {
	case C_SIOCGIFFLAGS: r->flags = (int16_t)interface_flags(i); return 0;
	case C_SIOCGIFADDR: case C_SIOCGIFDSTADDR: case C_SIOCGIFNETMASK: case C_SIOCGIFBRDADDR:
		if (ip4_addr_isany(netif_ip4_addr(&i->netif)))
			return -X_EADDRNOTAVAIL;
		put_address(r, command == C_SIOCGIFNETMASK ? netif_ip4_netmask(&i->netif)->addr :
			       command == C_SIOCGIFBRDADDR ? broadcast_of(i) : netif_ip4_addr(&i->netif)->addr);
		return 0;
	case C_SIOCGIFMETRIC: return 0;
	case C_SIOCGIFMTU: r->number = (int32_t)i->mtu; return 0;
	case C_SIOCGIFTXQLEN: r->number = i->client ? 1000 : 0; return 0;
	case C_SIOCGIFINDEX: r->number = (int32_t)interface_index(i); return 0;
	case C_SIOCGIFMAP: return 0;
	case C_SIOCGIFHWADDR:
		r->address.family = i->client ? L_ARPHRD_ETHER : L_ARPHRD_LOOPBACK;
		memcpy(r->address.data, i->netif.hwaddr, i->client ? 6 : 0);
		return 0;
	default: return -X_EINVAL;
	}
}

/* The class of an address says its mask, as long as nobody gives another one. */
static uint32_t natural_mask(uint32_t address)
{
	uint8_t first = (uint8_t)address;

	return first < 128 ? PP_HTONL(0xff000000u) : first < 192 ? PP_HTONL(0xffff0000u) : PP_HTONL(0xffffff00u);
}

static int64_t set_on(struct interface *i, uint32_t command, const struct linux_ifreq *r)
{
	uint32_t own = netif_ip4_addr(&i->netif)->addr;

	switch (command) {
	case C_SIOCSIFFLAGS: return interface_set_flags(i, (uint16_t)r->flags);
	case C_SIOCSIFADDR:
		if (r->in.family != L_AF_INET)
			return -X_EINVAL;
		interface_set_address(i, r->in.address, natural_mask(r->in.address));
		if (r->in.address && !i->up)
			interface_set_up(i, true);
		return 0;
	case C_SIOCSIFNETMASK:
		if (r->in.family != L_AF_INET)
			return -X_EINVAL;
		if (!own)
			return -X_EADDRNOTAVAIL;
		interface_set_address(i, own, r->in.address);
		return 0;
	case C_SIOCSIFMTU: return interface_set_mtu(i, r->number);
	case C_SIOCSIFDSTADDR: case C_SIOCSIFBRDADDR: case C_SIOCSIFTXQLEN: return 0;
	case C_SIOCSIFHWADDR: return i->client ? -X_EOPNOTSUPP : -X_EINVAL;
	default: return -X_EINVAL;
	}
}

static bool sets(uint32_t command)
{
	switch (command) {
	case C_SIOCSIFFLAGS: case C_SIOCSIFADDR: case C_SIOCSIFNETMASK: case C_SIOCSIFMTU:
	case C_SIOCSIFDSTADDR: case C_SIOCSIFBRDADDR: case C_SIOCSIFHWADDR: case C_SIOCSIFTXQLEN:
		return true;
	default: return false;
	}
}

static int64_t set_address6(const struct sock *s, const struct x_in *in, bool add)
{
	struct linux_in6_ifreq r;
	struct interface *i;
	ip6_addr_t ip;
	s8_t slot;

	if (window_read(in->id, 0, 0, &r, sizeof(r)) < (int64_t)sizeof(r))
		return -X_EFAULT;
	if (s->uid)
		return -X_EPERM;
	i = interface_by_index((uint32_t)r.interface);
	if (!i)
		return -X_ENODEV;
	memset(&ip, 0, sizeof(ip));
	memcpy(ip.addr, r.address, 16);
	slot = netif_get_ip6_addr_match(&i->netif, &ip);
	if (!add) {
		if (slot < 0)
			return -X_EADDRNOTAVAIL;
		netif_ip6_addr_set_state(&i->netif, slot, IP6_ADDR_INVALID);
		return 0;
	}
	if (slot >= 0)
		return -X_EEXIST;
	if (netif_add_ip6_address(&i->netif, &ip, &slot) != ERR_OK)
		return -X_ENOBUFS;
	netif_ip6_addr_set_state(&i->netif, slot, IP6_ADDR_PREFERRED);
	return 0;
}

static int64_t interface_ioctl(struct sock *s, uint32_t command, const struct x_in *in)
{
	struct linux_ifreq r;
	struct interface *i;
	int64_t status;

	if (window_read(in->id, 0, 0, &r, sizeof(r)) < (int64_t)sizeof(r))
		return -X_EFAULT;
	r.name[sizeof(r.name) - 1] = '\0';
	if (strchr(r.name, ':'))
		*strchr(r.name, ':') = '\0';
	i = command == C_SIOCGIFNAME ? interface_by_index((uint32_t)r.number) : interface_by_name(r.name);
	if (!i)
		return -X_ENODEV;
	if (sets(command))
		return s->uid ? -X_EPERM : set_on(i, command, &r);
	status = command == C_SIOCGIFNAME ? 0 : get_from(i, command, &r);
	strlcpy(r.name, i->name, sizeof(r.name));
	if (!status && window_write(in->id, 0, 0, &r, sizeof(r)) < (int64_t)sizeof(r))
		status = -X_EFAULT;
	return status;
}

/* ---- routes and ARP ---- */

static int64_t route_ioctl(const struct sock *s, uint32_t command, const struct x_in *in)
{
	struct linux_rtentry r;
	char device[16] = "";

	if (s->uid)
		return -X_EPERM;
	if (window_read(in->id, 0, 0, &r, sizeof(r)) < (int64_t)sizeof(r))
		return -X_EFAULT;
	if (in->win_count > 1 && in->win[1].len) {
		uint32_t length = in->win[1].len < 15 ? in->win[1].len : 15;

		if (window_read(in->id, 1, 0, device, length) < (int64_t)length)
			return -X_EFAULT;
	}
	return route_change(&r, device, command == C_SIOCADDRT);
}

static int64_t arp_ioctl(const struct sock *s, uint32_t command, const struct x_in *in)
{
	struct linux_arpreq r;
	ip4_addr_t ip;
	const ip4_addr_t *found;
	struct eth_addr *hardware, set;
	err_t err;

	if (window_read(in->id, 0, 0, &r, sizeof(r)) < (int64_t)sizeof(r))
		return -X_EFAULT;
	if (command != C_SIOCGARP && s->uid)
		return -X_EPERM;
	if (r.protocol.family != L_AF_INET)
		return -X_EINVAL;
	ip.addr = r.protocol.address;
	switch (command) {
	case C_SIOCSARP:
		memcpy(set.addr, r.hardware.data, 6);
		err = etharp_add_static_entry(&ip, &set);
		return err == ERR_RTE ? -X_ENETUNREACH : errno_of(err);
	case C_SIOCDARP:
		return etharp_remove_static_entry(&ip) == ERR_OK ? 0 : -X_ENXIO;
	default:
		for (uint32_t k = 1; k < interface_count; k++) {
			if (etharp_find_addr(&interfaces[k].netif, &ip, &hardware, &found) < 0)
				continue;
			r.hardware.family = L_ARPHRD_ETHER;
			memcpy(r.hardware.data, hardware->addr, 6);
			r.flags = 2;
			strlcpy(r.device, interfaces[k].name, sizeof(r.device));
			return window_write(in->id, 0, 0, &r, sizeof(r)) < (int64_t)sizeof(r) ? -X_EFAULT : 0;
		}
		return -X_ENXIO;
	}
}

int64_t sock_ioctl(struct sock *s, const struct x_in *in)
{
	uint32_t command = (uint32_t)in->msg.a[0];

	switch (command) {
	case C_FIONREAD: return readable(s, in);
	case C_TIOCOUTQ: return s->listening ? -X_EINVAL : put_int(in, (int32_t)s->sending_bytes);
	case C_SIOCATMARK: return s->kind == SOCKET_TCP ? put_int(in, 0) : -X_ENOTTY;
	case C_FIOGETOWN: case C_SIOCGPGRP: return put_int(in, s->owner);
	case C_FIOSETOWN: case C_SIOCSPGRP:
		return window_read(in->id, 0, 0, &s->owner, sizeof(s->owner)) < (int64_t)sizeof(s->owner) ? -X_EFAULT : 0;
	case C_SIOCGSTAMP: return -X_ENOENT;
	case C_SIOCGIFCONF: return list_interfaces(in);
	case C_SIOCADDRT: case C_SIOCDELRT: return route_ioctl(s, command, in);
	case C_SIOCDARP: case C_SIOCGARP: case C_SIOCSARP: return arp_ioctl(s, command, in);
	default: break;
	}
	if (s->family == L_AF_INET6 && (command == C_SIOCSIFADDR || command == C_SIOCDIFADDR))
		return set_address6(s, in, command == C_SIOCSIFADDR);
	if (command >= C_SIOCGIFNAME && command <= 0x89ff)
		return interface_ioctl(s, command, in);
	return -X_ENOTTY;
}
