/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP sockets, raw sockets and "ping" sockets (ICMP echo without privilege to
 * more): whole messages in and out. What arrives waits in the socket's queue, up
 * to its receive limit; what does not fit is dropped, as on any wire.
 */
#include "lib/c/string.h"
#include "lwip/icmp.h"
#include "lwip/ip.h"
#include "servers/net/net.h"

#define BUFFER_LIMIT 212992u
#define QUEUED_MAX   512u
#define UDP_MOST     65507u
#define SMALL_COPY   2048u  /* longer ones keep the buffer they came in */

uint32_t raw_sockets;

static bool is_ping(const struct sock *s) { return s->kind == SOCKET_RAW && s->type == L_SOCK_DGRAM; }

/* ---- receiving ---- */

/* Not by pbuf_clone(): where lwIP cuts a long chain of segments in two, the first part may
 * end with an empty pbuf, the next segment's headers, and it takes that for a second packet. */
static struct pbuf *compact(struct pbuf *p)
{
	struct pbuf *copy;

	if (p->tot_len > SMALL_COPY || (!p->next && (p->type_internal & PBUF_TYPE_FLAG_STRUCT_DATA_CONTIGUOUS)))
		return p;
	copy = pbuf_alloc(PBUF_RAW, p->tot_len, PBUF_RAM);
	if (!copy)
		return p;
	pbuf_copy_partial(p, copy->payload, p->tot_len, 0);
	pbuf_free(p);
	return copy;
}

static bool would_fit(const struct sock *s, uint32_t bytes)
{
	return s->received_count < QUEUED_MAX && s->received_bytes + bytes <= s->receive_limit;
}

/* Of those that the kernel gives out some may have been taken meanwhile. */
bool datagram_has_room(struct sock *s, uint32_t bytes)
{
	if (would_fit(s, bytes))
		return true;
	flow_sync(s);
	return would_fit(s, bytes);
}

/* What a packet keeps from others. A chunk that several lie in, one behind the other, counts for the first of them. */
static uint32_t held_by(struct sock *s, const struct pbuf *p)
{
	uint32_t bytes = 0;

	if (!s->received)
		s->held_last = NULL;
	for (; p; p = p->next) {
		const struct chunk *c = chunk_of(p->payload);

		if (!c)
			bytes += p->len;
		else if (c != s->held_last)
			bytes += c->size;
		s->held_last = c ? c : s->held_last;
	}
	return bytes;
}

/* Where the kernel may give it out from: a stream's first bytes are there before its flow. */
static struct pbuf *place(struct sock *s, struct pbuf *p)
{
	bool flows = s->kind == SOCKET_TCP ? p->tot_len <= SMALL_COPY && !chunk_of(p->payload) :
			s->kind == SOCKET_UDP && s->flow_in && !s->flow_stopping;
	struct pbuf *packed = flows ? pack(s, p) : NULL;

	return packed ? packed : compact(p);
}

struct packet *packet_queue(struct sock *s, struct pbuf *p)
{
	if (s->kind != SOCKET_TCP && !datagram_has_room(s, p->tot_len)) {
		pbuf_free(p);
		return NULL;
	}
	return packet_line_up(s, place(s, p));
}

struct packet *packet_line_up(struct sock *s, struct pbuf *p)
{
	bool stream = s->kind == SOCKET_TCP;
	struct packet *d = heap_allocate_zeroed(1, sizeof(*d));
	if (!d) {
		/* Of a stream nothing may be lost once lwIP has acknowledged it. */
		if (stream)
			server_die("no memory for what was received");
		pbuf_free(p);
		return NULL;
	}
	d->p = p;
	d->arrived_ns = server_now_ns;
	if (stream)
		s->held += d->held = held_by(s, p);
	if (s->received_last)
		s->received_last->next = d;
	else
		s->received = d;
	if (s->flow_in && !s->flow_next)
		s->flow_next = d;
	s->received_last = d;
	s->received_count++;
	s->received_bytes += p->tot_len;
	sock_mark(s, X_READY_IN);
	return d;
}

int64_t copy_to_windows(struct waiter *w, uint64_t at, const struct pbuf *p, uint32_t offset, uint32_t bytes)
{
	uint32_t done = 0;
	unsigned i = 0;

	for (; p && offset >= p->len; p = p->next)
		offset -= p->len;
	while (p && done < bytes && i < SOCK_DATA_WINDOWS) {
		uint32_t part = p->len - offset;
		int64_t n;

		if (at >= w->window[i]) {
			at -= w->window[i++];
			continue;
		}
		part = part < bytes - done ? part : bytes - done;
		part = part < w->window[i] - at ? part : w->window[i] - (uint32_t)at;
		n = window_write(w->call_id, i, at, (uint8_t *)p->payload + offset, part);
		if (n < (int64_t)part)
			return n > 0 ? done + n : done ? (int64_t)done : -X_EFAULT;
		done += part;
		at += part;
		offset += part;
		if (offset == p->len) {
			p = p->next;
			offset = 0;
		}
	}
	return done;
}

void received_drop_datagram(struct sock *s)
{
	struct packet *d = s->received;

	s->received = d->next;
	if (s->flow_next == d)
		s->flow_next = d->next;
	if (!s->received)
		s->received_last = NULL;
	s->received_count--;
	s->received_bytes -= d->p->tot_len;
	pbuf_free(d->p);
	heap_free(d);
}

int64_t datagram_receive(struct sock *s, struct waiter *w, struct x_msg *msg)
{
	uint32_t length, part;
	struct packet *d;
	struct address a;
	int64_t n;

	if (s->error)
		return sock_take_error(s);
	n = flow_goes_first(s, w);
	if (n)
		return n;
	d = s->received;
	if (!d)
		return s->shut_read && !(w->flags & L_MSG_DONTWAIT) ? 0 : SOCK_WAIT; /* the end is for who would wait */
	length = d->p->tot_len;
	part = w->total < length ? (uint32_t)w->total : length;
	if (part)
		n = copy_to_windows(w, 0, d->p, 0, part);
	if (n < 0)
		return n;
	if (s->kind == SOCKET_PACKET)
		packet_address(s, d, &a);
	else if (s->kind == SOCKET_NETLINK)
		netlink_address(s, false, &a);
	else
		address_make(s, &d->from, d->port, &a);
	address_out(msg, &a);
	msg->a[0] = part < length ? L_MSG_TRUNC : 0;
	control_write(s, d, w, msg);
	n = w->flags & L_MSG_TRUNC ? length : part;
	if (w->flags & L_MSG_PEEK)
		return n;
	received_drop_datagram(s);
	s->calls_received += s->kind == SOCKET_UDP && flow_could(w) && !s->flow_stopping;
	return n;
}

static void udp_received(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from, u16_t port)
{
	struct arrival arrival;
	struct sock *s = arg;
	struct packet *d;

	(void)pcb;
	control_note(&arrival); /* queueing may give up p, and the headers with it */
	if (s->flow_in)
		burst_in_note(s);
	d = packet_queue(s, p);
	if (!d)
		return;
	d->arrival = arrival;
	ip_addr_copy(d->from, *from);
	d->port = port;
}

/* A ping socket takes answers to its own number, without the IP header. */
static bool for_ping(const struct sock *s, const struct pbuf *p, uint32_t header)
{
	uint8_t icmp[8];
	uint8_t reply = s->family == L_AF_INET ? ICMP_ER : 129;

	return pbuf_copy_partial(p, icmp, 8, (u16_t)header) == 8 && icmp[0] == reply &&
	       (icmp[4] << 8 | icmp[5]) == s->peer_port && s->bound;
}

static bool filtered(const struct sock *s, const struct pbuf *p, uint32_t header)
{
	uint8_t type = pbuf_get_at(p, (u16_t)header);

	if (s->family == L_AF_INET6)
		return s->protocol == L_IPPROTO_ICMPV6 && s->icmp6_filter[type / 32] >> type % 32 & 1;
	return s->protocol == L_IPPROTO_ICMP && type < 32 && s->icmp_filter >> type & 1;
}

static u8_t raw_received(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
	struct sock *s = arg;
	uint32_t header = ip_current_header_tot_len(), skip = s->family == L_AF_INET && !is_ping(s) ? 0 : header;
	struct pbuf *copy;
	struct packet *d;

	(void)pcb;
	if (p->tot_len < header || (is_ping(s) ? !for_ping(s, p, header) : filtered(s, p, header)))
		return 0;
	copy = pbuf_alloc(PBUF_RAW, p->tot_len - (u16_t)skip, PBUF_RAM);
	if (!copy)
		return 0;
	pbuf_copy_partial(p, copy->payload, copy->len, (u16_t)skip);
	d = packet_queue(s, copy);
	if (d) {
		ip_addr_copy(d->from, *from);
		control_note(&d->arrival); /* p is still there */
	}
	return 0; /* others get it too */
}

/* ---- making ---- */

static void set_limits(struct sock *s)
{
	s->receive_limit = s->rcvbuf = BUFFER_LIMIT;
	s->send_limit = s->sndbuf = BUFFER_LIMIT;
}

int64_t udp_open_socket(struct sock *s)
{
	s->pcb.udp = udp_new_ip_type(s->family == L_AF_INET6 ? IPADDR_TYPE_ANY : IPADDR_TYPE_V4);
	if (!s->pcb.udp)
		return -X_ENOBUFS;
	s->kind = SOCKET_UDP;
	s->protocol = L_IPPROTO_UDP;
	set_limits(s);
	s->pcb.udp->mcast_ttl = 1;
	udp_recv(s->pcb.udp, udp_received, s);
	return 0;
}

int64_t raw_open_socket(struct sock *s)
{
	s->pcb.raw = raw_new_ip_type(s->family == L_AF_INET6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4, (u8_t)s->protocol);
	if (!s->pcb.raw)
		return -X_ENOBUFS;
	s->kind = SOCKET_RAW;
	s->header_included = s->protocol == L_IPPROTO_RAW;
	set_limits(s);
	if (s->family == L_AF_INET6 && s->protocol == L_IPPROTO_ICMPV6) {
		s->pcb.raw->chksum_reqd = 1;
		s->pcb.raw->chksum_offset = 2;
	}
	raw_recv(s->pcb.raw, raw_received, s);
	raw_sockets++;
	return 0;
}

/* ---- addresses ---- */

static bool may_bind(const ip_addr_t *ip)
{
	return address_is_local(ip) || ip_addr_ismulticast(ip) ||
	       (IP_IS_V4(ip) && ip_2_ip4(ip)->addr == IPADDR_BROADCAST);
}

int64_t datagram_bind(struct sock *s, const ip_addr_t *ip, uint16_t port)
{
	err_t err;

	if (!may_bind(ip))
		return -X_EADDRNOTAVAIL;
	if (s->kind == SOCKET_RAW) {
		if (is_ping(s)) {
			s->peer_port = port ? port : (uint16_t)random_u32();
			s->bound = true;
		}
		return errno_of(raw_bind(s->pcb.raw, ip));
	}
	if (s->bound)
		return -X_EINVAL;
	if (s->reuse_address || s->reuse_port)
		ip_set_option(s->pcb.udp, SOF_REUSEADDR);
	if (s->family == L_AF_INET6 && !s->v6only && IP_IS_V6(ip) && ip_addr_isany(ip))
		ip = IP_ANY_TYPE;
	err = udp_bind(s->pcb.udp, ip, port);
	s->bound = err == ERR_OK;
	return errno_of(err);
}

static int64_t disconnect(struct sock *s)
{
	if (s->kind == SOCKET_UDP)
		udp_disconnect(s->pcb.udp);
	else if (s->kind == SOCKET_RAW)
		raw_disconnect(s->pcb.raw);
	if (s->kind == SOCKET_UDP && s->local_chosen)
		ip_addr_copy(s->pcb.udp->local_ip, s->local_before);
	s->connected = s->local_chosen = false;
	return 0;
}

static ip_addr_t *usable(ip_addr_t *ip)
{
	if (!ip_addr_isany(ip))
		return ip;
	if (IP_IS_V6(ip))
		ip_addr_set_loopback(1, ip);
	else
		ip_addr_set_loopback(0, ip);
	return ip;
}

static bool is_broadcast(const ip_addr_t *ip)
{
	struct netif *n = IP_IS_V4(ip) ? ip4_route(ip_2_ip4(ip)) : NULL;

	return n && ip_addr_isbroadcast(ip, n);
}

int64_t datagram_connect(struct sock *s, const struct address *a)
{
	ip_addr_t ip;
	uint16_t port;
	int64_t status;
	err_t err;

	if (s->kind == SOCKET_PACKET)
		return -X_EOPNOTSUPP;
	if (s->kind == SOCKET_NETLINK) /* there is nobody to talk to but us */
		return address_family(a) == L_AF_NETLINK || address_family(a) == L_AF_UNSPEC ? 0 : -X_EINVAL;
	if (address_family(a) == L_AF_UNSPEC)
		return disconnect(s);
	status = address_parse(s, a, &ip, &port);
	if (status)
		return status;
	usable(&ip);
	if (!s->broadcast && is_broadcast(&ip))
		return -X_EACCES;
	if (!ip_route(s->kind == SOCKET_UDP ? &s->pcb.udp->local_ip : &s->pcb.raw->local_ip, &ip))
		return -X_ENETUNREACH;
	if (s->kind == SOCKET_UDP) {
		const ip_addr_t *local;

		err = udp_connect(s->pcb.udp, &ip, port);
		local = ip_netif_get_local_ip(ip_route(&s->pcb.udp->local_ip, &ip), &ip);
		if (err == ERR_OK && local && ip_addr_isany(&s->pcb.udp->local_ip)) {
			s->local_chosen = true;
			ip_addr_copy(s->local_before, s->pcb.udp->local_ip);
			ip_addr_copy(s->pcb.udp->local_ip, *local);
		}
	} else {
		err = raw_connect(s->pcb.raw, &ip);
	}
	if (err != ERR_OK)
		return errno_of(err);
	ip_addr_copy(s->peer, ip);
	if (!is_ping(s))
		s->peer_port = port;
	s->connected = true;
	s->bound |= s->kind == SOCKET_UDP;
	return 0;
}

/* ---- sending ---- */

static int64_t send_errno(err_t err)
{
	if (err == ERR_WOULDBLOCK) /* the interface's queue is full */
		return SOCK_WAIT;
	return err == ERR_VAL ? -X_EINVAL : errno_of(err);
}

/* What the call has to send, behind what earlier ones with MSG_MORE had: in *out. */
static int64_t gather(struct sock *s, struct waiter *w, const ip_addr_t *ip, uint16_t port, struct chunk **out)
{
	struct chunk *c = s->gathered;
	int64_t n;

	if (w->total > UDP_MOST - (c ? c->used : 0))
		return -X_EMSGSIZE;
	if (!c)
		c = chunk_get(w->flags & L_MSG_MORE ? UDP_MOST : (uint32_t)w->total);
	s->starved = !c;
	if (!c)
		return SOCK_WAIT;
	n = copy_from_windows(w, 0, c->data + c->used, (uint32_t)w->total);
	if (n < (int64_t)w->total) {
		if (!s->gathered)
			chunk_drop(c);
		return -X_EFAULT;
	}
	c->used += (uint32_t)n;
	if (!s->gathered && w->flags & L_MSG_MORE) {
		ip_addr_copy(s->gathered_to, *ip);
		s->gathered_port = port;
	}
	s->gathered = w->flags & L_MSG_MORE ? c : NULL;
	*out = c;
	return n;
}

/* With what control messages have said for this one. */
static err_t send_by(struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *ip, uint16_t port, const struct control *c)
{
	uint8_t ttl = pcb->ttl, tos = pcb->tos;
	struct interface *i = c->interface ? interface_by_index(c->interface) : NULL;
	struct netif *netif = i ? &i->netif : NULL;
	const ip_addr_t *source = &c->source;
	err_t err;

	if (c->hop_limit >= 0)
		pcb->ttl = (uint8_t)c->hop_limit;
	if (c->tos >= 0)
		pcb->tos = (uint8_t)c->tos;
	if (!netif && !ip_addr_isany(source))
		netif = ip_route(source, ip);
	if (netif && ip_addr_isany(source))
		source = ip_netif_get_local_ip(netif, ip);
	if (netif && source)
		err = udp_sendto_if_src(pcb, p, ip, port, netif, source);
	else
		err = udp_sendto(pcb, p, ip, port);
	pcb->ttl = ttl;
	pcb->tos = tos;
	return err;
}

static int64_t send_udp(struct sock *s, struct waiter *w, const ip_addr_t *ip, uint16_t port)
{
	struct chunk *c;
	struct pbuf *p;
	int64_t n = gather(s, w, ip, port, &c);
	err_t err;

	if (n < 0 || s->gathered)
		return n;
	p = chunk_pbuf(c, c->data, c->used);
	chunk_drop(c);
	if (!p)
		return -X_ENOBUFS;
	err = send_by(s->pcb.udp, p, ip, port, &w->control);
	pbuf_free(p);
	if (err != ERR_OK)
		return send_errno(err);
	s->bound = true;
	return n;
}

/* The number and the checksum of an echo request are the socket's to say. */
static int64_t prepare_ping(struct sock *s, struct pbuf *p)
{
	uint8_t *icmp = p->payload;
	uint16_t sum;

	if (p->len < 8 || icmp[0] != (s->family == L_AF_INET ? ICMP_ECHO : 128) || icmp[1])
		return -X_EINVAL;
	if (!s->bound) {
		s->peer_port = (uint16_t)random_u32();
		s->bound = true;
	}
	icmp[4] = (uint8_t)(s->peer_port >> 8);
	icmp[5] = (uint8_t)s->peer_port;
	if (s->family != L_AF_INET)
		return 0;
	icmp[2] = icmp[3] = 0;
	sum = (uint16_t)~checksum_of(icmp, p->len);
	memcpy(icmp + 2, &sum, 2);
	return 0;
}

static int64_t send_raw(struct sock *s, struct waiter *w, const ip_addr_t *ip)
{
	struct pbuf *p;
	int64_t n;
	err_t err;

	if (w->total > 65515)
		return -X_EMSGSIZE;
	p = pbuf_alloc(PBUF_IP, (u16_t)w->total, PBUF_RAM);
	if (!p)
		return -X_ENOBUFS;
	n = copy_from_windows(w, 0, p->payload, (uint32_t)w->total);
	if (n == (int64_t)w->total && is_ping(s))
		n = prepare_ping(s, p) ? -X_EINVAL : n;
	else if (n < (int64_t)w->total)
		n = -X_EFAULT;
	if (n >= 0) {
		if (s->header_included)
			raw_set_flags(s->pcb.raw, RAW_FLAGS_HDRINCL);
		else
			raw_clear_flags(s->pcb.raw, RAW_FLAGS_HDRINCL);
		tcp_output_mss = 0;
		err = raw_sendto(s->pcb.raw, p, ip);
		n = err == ERR_OK ? n : send_errno(err);
	}
	pbuf_free(p);
	return n;
}

int64_t datagram_send(struct sock *s, struct waiter *w, const struct address *a)
{
	ip_addr_t ip;
	uint16_t port = 0;
	int64_t status;

	if (s->kind == SOCKET_PACKET)
		return packet_send(s, w, a);
	if (s->kind == SOCKET_NETLINK)
		return netlink_send(s, w, a);
	if (s->error)
		return sock_take_error(s);
	if (s->gathered) {
		ip_addr_copy(ip, s->gathered_to);
		return send_udp(s, w, &ip, s->gathered_port);
	}
	if (!a->length && !s->connected)
		return -X_EDESTADDRREQ;
	if (a->length) {
		status = address_parse(s, a, &ip, &port);
		if (status) /* of an unknown family; as Linux has it */
			return s->family == L_AF_INET6 ? -X_EINVAL : status;
		if (s->kind == SOCKET_UDP && !port)
			return -X_EINVAL;
		usable(&ip);
	} else {
		ip_addr_copy(ip, s->peer);
		port = s->peer_port;
	}
	if (s->shut_write)
		return -X_EPIPE;
	if (!s->broadcast && is_broadcast(&ip))
		return -X_EACCES;
	return s->kind == SOCKET_UDP ? send_udp(s, w, &ip, port) : send_raw(s, w, &ip);
}

uint32_t datagram_readiness(const struct sock *s)
{
	uint32_t ready = 0;

	if (!s->wait[WAIT_SEND] && !s->starved)
		ready |= X_READY_OUT;
	if ((s->received && !flow_hides_received(s)) || s->shut_read)
		ready |= X_READY_IN;
	if (s->error)
		ready |= X_READY_ERR;
	if (s->shut_read)
		ready |= X_READY_RDHUP;
	if (s->shut_read && s->shut_write)
		ready |= X_READY_HUP;
	return ready;
}

void datagram_close(struct sock *s)
{
	if (s->send_flow)
		send_flow_drop(s);
	if (s->kind == SOCKET_UDP) {
		udp_remove(s->pcb.udp);
	} else if (s->kind == SOCKET_RAW) {
		raw_remove(s->pcb.raw);
		raw_sockets--;
	} else if (s->kind == SOCKET_PACKET) {
		packet_bind(s, NULL);
	}
	sock_free(s);
}
