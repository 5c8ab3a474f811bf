/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Socket options. Numbers and what is answered follow Linux; an option that is
 * kept but without effect here is named in docs/network.md.
 */
#include "lib/c/string.h"
#include "lwip/priv/tcp_priv.h"
#include "servers/net/net.h"

#define BUFFER_MAX 212992u /* net.core.[rw]mem_max */
#define VALUE_MAX  256u

struct value {
	uint8_t bytes[VALUE_MAX];
	uint32_t length;         /* set: given; get: the answer's */
	uint32_t room;           /* get */
};

static int64_t int_of(const struct value *v, int32_t *n)
{
	if (v->length < sizeof(*n))
		return -X_EINVAL;
	memcpy(n, v->bytes, sizeof(*n));
	return 0;
}

static int64_t put(struct value *v, const void *bytes, uint32_t length)
{
	memcpy(v->bytes, bytes, length);
	v->length = length < v->room ? length : v->room;
	return 0;
}

static int64_t put_int(struct value *v, int32_t n)
{
	return put(v, &n, sizeof(n));
}

/* ---- SOL_SOCKET ---- */

static void set_buffer(struct sock *s, int32_t n, bool receive, bool force)
{
	uint32_t least = receive ? 2304 : 4608, bytes = n < 0 ? 0 : (uint32_t)n;

	if (bytes > BUFFER_MAX && !force)
		bytes = BUFFER_MAX;
	if (bytes > TCP_WND / 2)
		bytes = TCP_WND / 2;
	bytes = bytes * 2 < least ? least : bytes * 2; /* Linux counts its own bookkeeping in */
	if (receive) {
		s->rcvbuf = bytes;
		s->receive_limit = bytes < 16384 && s->kind == SOCKET_TCP ? 16384 : bytes;
	} else {
		s->sndbuf = bytes;
		s->send_limit = bytes;
		s->send_limit_set = true;
	}
}

static int64_t set_timeout(const struct value *v, uint64_t *ns)
{
	int64_t tv[2];

	if (v->length < sizeof(tv))
		return -X_EINVAL;
	memcpy(tv, v->bytes, sizeof(tv));
	if (tv[1] < 0 || tv[1] >= 1000000)
		return -X_EDOM;
	if (tv[0] < 0)
		*ns = 1; /* Linux: do not wait */
	else
		*ns = (uint64_t)tv[0] > 1000000000u ? 0 : (uint64_t)tv[0] * 1000000000u + (uint64_t)tv[1] * 1000;
	return 0;
}

static int64_t get_timeout(struct value *v, uint64_t ns)
{
	int64_t tv[2] = { (int64_t)(ns / 1000000000u), (int64_t)(ns % 1000000000u / 1000) };

	return put(v, tv, sizeof(tv));
}

static int64_t set_device(struct sock *s, const struct value *v)
{
	char name[16] = "";
	struct interface *i;

	memcpy(name, v->bytes, v->length < 15 ? v->length : 15);
	i = name[0] ? interface_by_name(name) : NULL;
	if (name[0] && !i)
		return -X_ENODEV;
	memcpy(s->device, name, sizeof(s->device));
	if (s->kind == SOCKET_UDP)
		udp_bind_netif(s->pcb.udp, i ? &i->netif : NULL);
	else if (s->kind == SOCKET_RAW)
		raw_bind_netif(s->pcb.raw, i ? &i->netif : NULL);
	else if (s->kind == SOCKET_TCP && s->pcb.tcp)
		tcp_bind_netif(s->pcb.tcp, i ? &i->netif : NULL);
	else if (s->kind == SOCKET_PACKET)
		s->interface = i ? interface_index(i) : 0;
	return 0;
}

static void set_broadcast(struct sock *s, bool on)
{
	s->broadcast = on;
	if (s->kind == SOCKET_UDP) {
		if (on)
			ip_set_option(s->pcb.udp, SOF_BROADCAST);
		else
			ip_reset_option(s->pcb.udp, SOF_BROADCAST);
	} else if (s->kind == SOCKET_RAW) {
		if (on)
			ip_set_option(s->pcb.raw, SOF_BROADCAST);
		else
			ip_reset_option(s->pcb.raw, SOF_BROADCAST);
	}
}

static int64_t set_linger(struct sock *s, const struct value *v)
{
	int32_t linger[2];

	if (v->length < sizeof(linger))
		return -X_EINVAL;
	memcpy(linger, v->bytes, sizeof(linger));
	s->linger = linger[0] != 0;
	s->linger_s = linger[1] < 0 ? 0 : (uint32_t)linger[1];
	return 0;
}

static int64_t want_control(struct sock *s, uint32_t what, bool on)
{
	s->control_wanted = on ? s->control_wanted | what : s->control_wanted & ~what;
	if (on && s->kind == SOCKET_UDP && s->flow_in)
		flow_stop(s);
	return 0;
}

static int64_t set_socket(struct sock *s, uint32_t name, const struct value *v)
{
	int32_t n;
	int64_t status;

	if (name == L_SO_BINDTODEVICE)
		return set_device(s, v);
	status = int_of(v, &n);
	if (status)
		return status;
	switch (name) {
	case L_SO_REUSEADDR: s->reuse_address = n; break;
	case L_SO_REUSEPORT: s->reuse_port = n; break;
	case L_SO_BROADCAST: set_broadcast(s, n); break;
	case L_SO_KEEPALIVE: s->keepalive = n; break;
	case L_SO_SNDBUF: set_buffer(s, n, false, false); break;
	case L_SO_RCVBUF: set_buffer(s, n, true, false); break;
	case L_SO_SNDBUFFORCE: case L_SO_RCVBUFFORCE:
		if (s->uid)
			return -X_EPERM;
		set_buffer(s, n, name == L_SO_RCVBUFFORCE, true);
		break;
	case L_SO_LINGER: return set_linger(s, v);
	case L_SO_RCVTIMEO: case L_SO_RCVTIMEO_NEW:
		sock_mark(s, 0); /* its flow is to hear of it */
		return set_timeout(v, &s->receive_timeout_ns);
	case L_SO_SNDTIMEO: case L_SO_SNDTIMEO_NEW: return set_timeout(v, &s->send_timeout_ns);
	case L_SO_PRIORITY:
		if ((n < 0 || n > 6) && s->uid)
			return -X_EPERM;
		s->priority = (uint32_t)n;
		break;
	case L_SO_MARK:
		if (s->uid)
			return -X_EPERM;
		s->mark = (uint32_t)n;
		break;
	case L_SO_DEBUG:
		return n && s->uid ? -X_EACCES : 0;
	case L_SO_TIMESTAMP: case L_SO_TIMESTAMPNS: /* one or the other */
		want_control(s, CONTROL_TIME | CONTROL_TIME_NS, false);
		return want_control(s, name == L_SO_TIMESTAMP ? CONTROL_TIME : CONTROL_TIME_NS, n);
	case L_SO_DONTROUTE: s->dont_route = n; break;
	case L_SO_OOBINLINE: case L_SO_NO_CHECK: case L_SO_RCVLOWAT: case L_SO_BSDCOMPAT: case L_SO_PASSCRED: break;
	case L_SO_DETACH_FILTER: return -X_ENOENT;
	default: return -X_ENOPROTOOPT;
	}
	if (s->kind == SOCKET_TCP)
		tcp_apply_options(s);
	return 0;
}

static int64_t get_socket(struct sock *s, uint32_t name, struct value *v)
{
	int32_t linger[2] = { s->linger, (int32_t)s->linger_s };
	uint32_t credentials[3] = { 0, UINT32_MAX, UINT32_MAX };

	switch (name) {
	case L_SO_DEBUG: case L_SO_OOBINLINE: case L_SO_NO_CHECK: case L_SO_BSDCOMPAT: case L_SO_PASSCRED:
		return put_int(v, 0);
	case L_SO_REUSEADDR: return put_int(v, s->reuse_address);
	case L_SO_REUSEPORT: return put_int(v, s->reuse_port);
	case L_SO_TYPE: return put_int(v, s->type);
	case L_SO_ERROR: return put_int(v, (int32_t)-sock_take_error(s));
	case L_SO_DONTROUTE: return put_int(v, s->dont_route);
	case L_SO_BROADCAST: return put_int(v, s->broadcast);
	case L_SO_SNDBUF: return put_int(v, (int32_t)s->sndbuf);
	case L_SO_RCVBUF: return put_int(v, (int32_t)s->rcvbuf);
	case L_SO_KEEPALIVE: return put_int(v, s->keepalive);
	case L_SO_PRIORITY: return put_int(v, (int32_t)s->priority);
	case L_SO_LINGER: return put(v, linger, sizeof(linger));
	case L_SO_PEERCRED: return put(v, credentials, sizeof(credentials));
	case L_SO_RCVLOWAT: case L_SO_SNDLOWAT: return put_int(v, 1);
	case L_SO_RCVTIMEO: case L_SO_RCVTIMEO_NEW: return get_timeout(v, s->receive_timeout_ns);
	case L_SO_SNDTIMEO: case L_SO_SNDTIMEO_NEW: return get_timeout(v, s->send_timeout_ns);
	case L_SO_BINDTODEVICE: return put(v, s->device, s->device[0] ? (uint32_t)strlen(s->device) + 1 : 0);
	case L_SO_TIMESTAMP: return put_int(v, !!(s->control_wanted & CONTROL_TIME));
	case L_SO_TIMESTAMPNS: return put_int(v, !!(s->control_wanted & CONTROL_TIME_NS));
	case L_SO_ACCEPTCONN: return put_int(v, s->listening);
	case L_SO_MARK: return put_int(v, (int32_t)s->mark);
	case L_SO_PROTOCOL: return put_int(v, s->protocol);
	case L_SO_DOMAIN: return put_int(v, s->family);
	default: return -X_ENOPROTOOPT;
	}
}

/* ---- IP ---- */

static uint8_t *hop_field(struct sock *s)
{
	switch (s->kind) {
	case SOCKET_TCP: return s->pcb.tcp ? &s->pcb.tcp->ttl : NULL;
	case SOCKET_UDP: return &s->pcb.udp->ttl;
	case SOCKET_RAW: return &s->pcb.raw->ttl;
	default: return NULL;
	}
}

static uint8_t *tos_field(struct sock *s)
{
	switch (s->kind) {
	case SOCKET_TCP: return s->pcb.tcp ? &s->pcb.tcp->tos : NULL;
	case SOCKET_UDP: return &s->pcb.udp->tos;
	case SOCKET_RAW: return &s->pcb.raw->tos;
	default: return NULL;
	}
}

static int64_t set_byte(uint8_t *field, int32_t n, int32_t least, int32_t most, uint8_t standard)
{
	if (n != -1 && (n < least || n > most))
		return -X_EINVAL;
	if (field)
		*field = n == -1 ? standard : (uint8_t)n;
	return 0;
}

static int64_t set_ip(struct sock *s, uint32_t name, const struct value *v)
{
	int32_t n = 0;

	if (name == L_IP_MULTICAST_IF) {
		if (v->length < 4)
			return -X_EINVAL;
		if (s->kind == SOCKET_UDP)
			memcpy(&s->pcb.udp->mcast_ip4.addr, v->bytes + (v->length >= 12 ? 4 : 0), 4);
		return 0;
	}
	if (v->length >= sizeof(n))
		memcpy(&n, v->bytes, sizeof(n));
	else if (v->length) /* these options may be given as one byte; as none they are 0 */
		n = v->bytes[0];
	else if (name == L_IP_FREEBIND || name == L_IP_MULTICAST_TTL || name == L_IP_MULTICAST_LOOP)
		return -X_EINVAL;
	switch (name) {
	case L_IP_TOS: return set_byte(tos_field(s), n & 0xff, 0, 255, 0);
	case L_IP_TTL: return set_byte(hop_field(s), n, 1, 255, 64);
	case L_IP_HDRINCL:
		if (s->type != L_SOCK_RAW)
			return -X_ENOPROTOOPT;
		s->header_included = n;
		return 0;
	case L_IP_MULTICAST_TTL:
		return s->kind == SOCKET_TCP ? -X_EINVAL :
			set_byte(s->kind == SOCKET_UDP ? &s->pcb.udp->mcast_ttl : &s->pcb.raw->mcast_ttl, n, 0, 255, 1);
	case L_IP_MULTICAST_LOOP: return 0;
	case L_IP_MTU_DISCOVER:
		if (n < 0 || n > 5)
			return -X_EINVAL;
		s->mtu_discover = (uint32_t)n;
		return 0;
	case L_IP_PKTINFO: return want_control(s, CONTROL_PKTINFO, n);
	case L_IP_RECVTTL: return want_control(s, CONTROL_TTL, n);
	case L_IP_RECVTOS: return want_control(s, CONTROL_TOS, n);
	case L_IP_RECVERR: s->recv_error = n; return 0;
	case L_IP_RECVOPTS: case L_IP_FREEBIND: case L_IP_OPTIONS:
	case L_IP_BIND_ADDRESS_NO_PORT: return 0;
	default: return -X_ENOPROTOOPT;
	}
}

static int64_t get_ip(struct sock *s, uint32_t name, struct value *v)
{
	const uint8_t *field;

	switch (name) {
	case L_IP_TOS: field = tos_field(s); return put_int(v, field ? *field : 0);
	case L_IP_TTL: field = hop_field(s); return put_int(v, field ? *field : 64);
	case L_IP_HDRINCL: return s->type == L_SOCK_RAW ? put_int(v, s->header_included) : -X_ENOPROTOOPT;
	case L_IP_OPTIONS: return put(v, "", 0);
	case L_IP_MTU_DISCOVER: return put_int(v, (int32_t)s->mtu_discover);
	case L_IP_PKTINFO: return put_int(v, !!(s->control_wanted & CONTROL_PKTINFO));
	case L_IP_RECVTTL: return put_int(v, !!(s->control_wanted & CONTROL_TTL));
	case L_IP_RECVTOS: return put_int(v, !!(s->control_wanted & CONTROL_TOS));
	case L_IP_RECVERR: return put_int(v, s->recv_error);
	case L_IP_FREEBIND: return put_int(v, 0);
	case L_IP_MULTICAST_TTL: return put_int(v, s->kind == SOCKET_UDP ? s->pcb.udp->mcast_ttl : 1);
	case L_IP_MULTICAST_LOOP: return put_int(v, 1);
	case L_IP_MULTICAST_IF: return put(v, s->kind == SOCKET_UDP ? &s->pcb.udp->mcast_ip4.addr : (u32_t[]){ 0 }, 4);
	case L_IP_MTU: return s->connected ? put_int(v, (int32_t)interface_mtu_for(&s->peer)) : -X_ENOTCONN;
	default: return -X_ENOPROTOOPT;
	}
}

static int64_t set_ip6(struct sock *s, uint32_t name, const struct value *v)
{
	int32_t n;
	int64_t status;

	if (s->family != L_AF_INET6)
		return -X_ENOPROTOOPT;
	status = int_of(v, &n);
	if (status)
		return status;
	switch (name) {
	case L_IPV6_V6ONLY:
		if (s->bound)
			return -X_EINVAL;
		s->v6only = n;
		return 0;
	case L_IPV6_UNICAST_HOPS: return set_byte(hop_field(s), n, 0, 255, 64);
	case L_IPV6_TCLASS: return set_byte(tos_field(s), n, 0, 255, 0);
	case L_IPV6_MULTICAST_HOPS:
		return s->kind == SOCKET_UDP ? set_byte(&s->pcb.udp->mcast_ttl, n, 0, 255, 1) : 0;
	case L_IPV6_CHECKSUM: case L_IPV6_MULTICAST_IF: case L_IPV6_MULTICAST_LOOP: case L_IPV6_MTU_DISCOVER:
	case L_IPV6_RECVERR: case L_IPV6_HOPLIMIT: case L_IPV6_PKTINFO: return 0;
	case L_IPV6_RECVPKTINFO: return want_control(s, CONTROL_PKTINFO6, n);
	case L_IPV6_RECVHOPLIMIT: return want_control(s, CONTROL_HOPS6, n);
	case L_IPV6_RECVTCLASS: return want_control(s, CONTROL_CLASS6, n);
	default: return -X_ENOPROTOOPT;
	}
}

static int64_t get_ip6(struct sock *s, uint32_t name, struct value *v)
{
	const uint8_t *field;

	if (s->family != L_AF_INET6)
		return -X_ENOPROTOOPT;
	switch (name) {
	case L_IPV6_V6ONLY: return put_int(v, s->v6only);
	case L_IPV6_UNICAST_HOPS: field = hop_field(s); return put_int(v, field ? *field : 64);
	case L_IPV6_TCLASS: field = tos_field(s); return put_int(v, field ? *field : 0);
	case L_IPV6_MULTICAST_HOPS: return put_int(v, s->kind == SOCKET_UDP ? s->pcb.udp->mcast_ttl : 1);
	case L_IPV6_MULTICAST_LOOP: case L_IPV6_MTU_DISCOVER: return put_int(v, 1);
	case L_IPV6_RECVERR: case L_IPV6_MULTICAST_IF: return put_int(v, 0);
	case L_IPV6_RECVPKTINFO: return put_int(v, !!(s->control_wanted & CONTROL_PKTINFO6));
	case L_IPV6_RECVHOPLIMIT: return put_int(v, !!(s->control_wanted & CONTROL_HOPS6));
	case L_IPV6_RECVTCLASS: return put_int(v, !!(s->control_wanted & CONTROL_CLASS6));
	case L_IPV6_MTU: return s->connected ? put_int(v, (int32_t)interface_mtu_for(&s->peer)) : -X_ENOTCONN;
	default: return -X_ENOPROTOOPT;
	}
}

/* ---- TCP ---- */

static int64_t set_limited(uint32_t *field, int32_t n, int32_t least, int32_t most)
{
	if (n < least || n > most)
		return -X_EINVAL;
	*field = (uint32_t)n;
	return 0;
}

static int64_t set_tcp(struct sock *s, uint32_t name, const struct value *v)
{
	int64_t status;
	int32_t n;

	if (name == L_TCP_CONGESTION) {
		bool known = (v->length >= 4 && !memcmp(v->bytes, "reno", 4)) ||
			     (v->length >= 5 && !memcmp(v->bytes, "cubic", 5));

		return known ? 0 : v->length ? -X_ENOENT : -X_EINVAL;
	}
	status = int_of(v, &n);
	if (status)
		return status;
	switch (name) {
	case L_TCP_NODELAY:
		if (s->pcb.tcp && !s->listening) {
			if (n)
				tcp_nagle_disable(s->pcb.tcp);
			else
				tcp_nagle_enable(s->pcb.tcp);
			sock_mark(s, 0);
		}
		return 0;
	case L_TCP_CORK:
		s->cork = n;
		sock_mark(s, 0);
		return 0;
	case L_TCP_MAXSEG: status = set_limited(&s->maxseg, n, 88, 32767); break;
	case L_TCP_KEEPIDLE: status = set_limited(&s->keep_idle_s, n, 1, 32767); break;
	case L_TCP_KEEPINTVL: status = set_limited(&s->keep_interval_s, n, 1, 32767); break;
	case L_TCP_KEEPCNT: status = set_limited(&s->keep_count, n, 1, 127); break;
	case L_TCP_SYNCNT: status = set_limited(&s->syn_count, n, 1, 127); break;
	case L_TCP_DEFER_ACCEPT: s->defer_accept = n < 0 ? 0 : (uint32_t)n; break;
	case L_TCP_USER_TIMEOUT: status = set_limited(&s->user_timeout_ms, n, 0, INT32_MAX); break;
	case L_TCP_QUICKACK: case L_TCP_WINDOW_CLAMP: case L_TCP_LINGER2: break;
	default: return -X_ENOPROTOOPT;
	}
	tcp_apply_options(s);
	return status;
}

static int64_t get_info(const struct sock *s, struct value *v)
{
	struct linux_tcp_info info;
	const struct tcp_pcb *pcb = s->listening ? NULL : s->pcb.tcp;

	memset(&info, 0, sizeof(info));
	info.state = (uint8_t)tcp_state_of(s);
	if (pcb) {
		info.retransmits = pcb->nrtx;
		info.options = (pcb->flags & TF_SACK ? 2 : 0) | (pcb->flags & TF_WND_SCALE ? 4 : 0);
		info.wscale = (uint8_t)(pcb->snd_scale & 15) | (uint8_t)(pcb->rcv_scale << 4);
		info.rto = (uint32_t)pcb->rto * TCP_SLOW_INTERVAL * 1000;
		info.ato = TCP_TMR_INTERVAL * 1000;
		info.snd_mss = info.rcv_mss = info.advmss = pcb->mss;
		info.unacked = (pcb->snd_nxt - pcb->lastack + pcb->mss - 1) / pcb->mss;
		info.pmtu = interface_mtu_for(&pcb->remote_ip);
		info.rcv_ssthresh = info.rcv_space = pcb->rcv_wnd;
		info.rtt = (uint32_t)(pcb->sa >> 3) * TCP_SLOW_INTERVAL * 1000;
		info.rttvar = (uint32_t)(pcb->sv >> 2) * TCP_SLOW_INTERVAL * 1000;
		info.snd_ssthresh = pcb->ssthresh / pcb->mss;
		info.snd_cwnd = pcb->cwnd / pcb->mss;
		info.reordering = 3;
		info.total_retrans = s->retransmits;
		info.bytes_acked = s->sent_bytes - s->sending_bytes;
		info.bytes_received = s->got_bytes;
	}
	return put(v, &info, sizeof(info));
}

static int64_t get_tcp(struct sock *s, uint32_t name, struct value *v)
{
	struct tcp_pcb *pcb = s->listening ? NULL : s->pcb.tcp;

	switch (name) {
	case L_TCP_NODELAY: return put_int(v, pcb && tcp_nagle_disabled(pcb));
	case L_TCP_CORK: return put_int(v, s->cork);
	case L_TCP_MAXSEG: return put_int(v, s->connected && pcb ? pcb->mss : s->maxseg ? (int32_t)s->maxseg : 536);
	case L_TCP_KEEPIDLE: return put_int(v, (int32_t)s->keep_idle_s);
	case L_TCP_KEEPINTVL: return put_int(v, (int32_t)s->keep_interval_s);
	case L_TCP_KEEPCNT: return put_int(v, (int32_t)s->keep_count);
	case L_TCP_SYNCNT: return put_int(v, (int32_t)s->syn_count);
	case L_TCP_LINGER2: return put_int(v, 60);
	case L_TCP_DEFER_ACCEPT: return put_int(v, (int32_t)s->defer_accept);
	case L_TCP_WINDOW_CLAMP: return put_int(v, 0);
	case L_TCP_INFO: return get_info(s, v);
	case L_TCP_QUICKACK: return put_int(v, 1);
	case L_TCP_CONGESTION: return put(v, "reno\0\0\0\0\0\0\0\0\0\0\0", 16);
	case L_TCP_USER_TIMEOUT: return put_int(v, (int32_t)s->user_timeout_ms);
	default: return -X_ENOPROTOOPT;
	}
}

/* ---- the calls ---- */

int64_t sock_setopt(struct sock *s, const struct x_in *in)
{
	uint32_t level = (uint32_t)in->msg.a[0], name = (uint32_t)in->msg.a[1];
	struct value v;

	if (level == L_IPPROTO_IP && name == L_IP_MULTICAST_IF && s->kind == SOCKET_TCP)
		return -X_EINVAL; /* whatever is given */
	memset(&v, 0, sizeof(v));
	v.length = in->win_count ? in->win[0].len : 0;
	if (v.length > sizeof(v.bytes))
		v.length = sizeof(v.bytes);
	if (window_read(in->id, 0, 0, v.bytes, v.length) < (int64_t)v.length)
		return -X_EFAULT;
	if (level == L_SOL_SOCKET)
		return set_socket(s, name, &v);
	if (s->kind == SOCKET_NETLINK)
		return level == L_SOL_NETLINK ? 0 : -X_ENOPROTOOPT; /* what groups and extended answers there are: none */
	if (s->kind == SOCKET_PACKET)
		return -X_ENOPROTOOPT;
	if (multicast_is_option(level, name))
		return multicast_option(s, level, name, v.bytes, v.length);
	if (level == L_IPPROTO_IP)
		return set_ip(s, name, &v);
	if (level == L_IPPROTO_IPV6)
		return set_ip6(s, name, &v);
	if (level == L_IPPROTO_TCP && s->kind == SOCKET_TCP)
		return set_tcp(s, name, &v);
	if (level == L_IPPROTO_UDP && s->kind == SOCKET_UDP)
		return v.length < sizeof(int32_t) ? -X_EINVAL : -X_ENOPROTOOPT;
	if (level == L_SOL_RAW && s->kind == SOCKET_RAW && name == L_ICMP_FILTER && v.length >= 4) {
		memcpy(&s->icmp_filter, v.bytes, 4);
		return 0;
	}
	if (level == L_IPPROTO_ICMPV6 && s->kind == SOCKET_RAW && name == L_ICMPV6_FILTER) {
		memcpy(s->icmp6_filter, v.bytes, v.length < 32 ? v.length : 32);
		return 0;
	}
	if (level == L_SOL_RAW && s->family == L_AF_INET6 && name == L_IPV6_CHECKSUM)
		return 0; /* of ICMPv6 it is always made */
	return -X_ENOPROTOOPT;
}

int64_t sock_getopt(struct sock *s, const struct x_in *in)
{
	uint32_t level = (uint32_t)in->msg.a[0], name = (uint32_t)in->msg.a[1];
	struct value v;
	int64_t status = -X_ENOPROTOOPT;

	memset(&v, 0, sizeof(v));
	v.room = in->win_count ? in->win[0].len : 0;
	if (level == L_SOL_SOCKET)
		status = get_socket(s, name, &v);
	else if (s->kind == SOCKET_PACKET || s->kind == SOCKET_NETLINK)
		status = -X_ENOPROTOOPT;
	else if (level == L_IPPROTO_IP)
		status = get_ip(s, name, &v);
	else if (level == L_IPPROTO_IPV6 && s->family == L_AF_INET6)
		status = get_ip6(s, name, &v);
	else if (level == L_IPPROTO_UDP && s->kind == SOCKET_UDP)
		status = -X_ENOPROTOOPT;
	else if (level == L_IPPROTO_TCP && s->kind == SOCKET_TCP)
		status = get_tcp(s, name, &v);
	else if (level == L_SOL_RAW && s->kind == SOCKET_RAW && name == L_ICMP_FILTER)
		status = put(&v, &s->icmp_filter, 4);
	else if (level == L_IPPROTO_ICMPV6 && s->kind == SOCKET_RAW && name == L_ICMPV6_FILTER)
		status = put(&v, s->icmp6_filter, 32);
	else if ((level != L_SOL_RAW || s->kind != SOCKET_RAW) && s->family == L_AF_INET)
		return -X_EOPNOTSUPP; /* Linux: of a level that IP does not know */
	if (status)
		return status;
	if (v.length && window_write(in->id, 0, 0, v.bytes, v.length) < (int64_t)v.length)
		return -X_EFAULT;
	return v.length;
}
