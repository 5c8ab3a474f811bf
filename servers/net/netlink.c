/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Netlink sockets of NETLINK_ROUTE (netlink(7), rtnetlink(7)): requests are
 * answered in the call that sends them, so answers wait in the socket before the
 * program asks for them. What is asked is in netlink_route.c; here are messages,
 * addresses and acknowledgements. Nobody is told of changes: groups can be joined,
 * and stay silent.
 */
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "servers/net/netlink.h"

#define NETLINK_ROUTE   0
#define REQUEST_MOST    16384u
#define ANSWER_BYTES    3840u /* of a datagram: readers have 4 KiB at least */
#define FIRST_PORT 0x10000u

struct sockaddr_nl { uint16_t family, pad; uint32_t port, groups; };

static struct {                   /* the answer that is being put together */
	struct sock *sock;
	const struct nl_header *request;
	uint32_t bytes, begin;    /* so far; of the message at hand */
} answer;
static REGION_SCRATCH uint8_t answer_bytes[ANSWER_BYTES + 1024];
static REGION_SCRATCH uint8_t request_bytes[REQUEST_MOST] __attribute__((aligned(8)));

int64_t netlink_open_socket(struct sock *s)
{
	if (s->type != L_SOCK_RAW && s->type != L_SOCK_DGRAM)
		return -X_ESOCKTNOSUPPORT;
	if (s->protocol != NETLINK_ROUTE)
		return -X_EPROTONOSUPPORT;
	s->kind = SOCKET_NETLINK;
	s->receive_limit = s->rcvbuf = s->send_limit = s->sndbuf = 212992;
	return 0;
}

/* Ports are the sockets' own numbers, unless a program wants another one. */
static uint32_t own_port(const struct sock *s)
{
	return s->netlink_port ? s->netlink_port : FIRST_PORT + (uint32_t)(s - sockets);
}

int64_t netlink_bind(struct sock *s, const struct address *a)
{
	struct sockaddr_nl nl;

	if (a->length < sizeof(nl) || address_family(a) != L_AF_NETLINK)
		return -X_EINVAL;
	memcpy(&nl, a->bytes, sizeof(nl));
	if (s->bound && nl.port != own_port(s))
		return -X_EINVAL;
	for (struct sock *o = sockets; nl.port && o < sockets + sockets_end; o++)
		if (o != s && o->in_use && o->kind == SOCKET_NETLINK && own_port(o) == nl.port)
			return -X_EADDRINUSE;
	s->netlink_port = nl.port;
	s->bound = true;
	return 0;
}

/* own: the socket's, else the kernel's, which is 0. */
void netlink_address(const struct sock *s, bool own, struct address *a)
{
	struct sockaddr_nl nl = { .family = L_AF_NETLINK, .port = own && s->bound ? own_port(s) : 0 };

	memset(a, 0, sizeof(*a));
	memcpy(a->bytes, &nl, sizeof(nl));
	a->length = sizeof(nl);
}

/* ---- answers ---- */

static void send_answer(void)
{
	struct pbuf *p;

	if (!answer.begin)
		return;
	p = pbuf_alloc(PBUF_RAW, (u16_t)answer.begin, PBUF_RAM);
	if (p) {
		memcpy(p->payload, answer_bytes, answer.begin);
		packet_queue(answer.sock, p);
	}
	answer.bytes -= answer.begin;
	memmove(answer_bytes, answer_bytes + answer.begin, answer.bytes);
	answer.begin = 0;
}

void netlink_put(const void *data, uint32_t bytes)
{
	uint8_t *at = answer_bytes + answer.bytes;

	if (answer.bytes + bytes + 4 > sizeof(answer_bytes)) /* no message of ours is so long */
		server_die("netlink: a message of more than 1 KiB");
	if (data)
		memcpy(at, data, bytes);
	else
		memset(at, 0, bytes);
	memset(at + bytes, 0, -bytes & 3u);
	answer.bytes += (bytes + 3) & ~3u;
}

void netlink_begin(uint32_t type, uint32_t flags)
{
	struct nl_header h = {
		.type = (uint16_t)type, .flags = (uint16_t)flags, .sequence = answer.request->sequence,
		.port = own_port(answer.sock),
	};

	if (answer.begin > ANSWER_BYTES - 1024)
		send_answer();
	netlink_put(&h, sizeof(h));
}

void netlink_attribute(uint32_t type, const void *data, uint32_t bytes)
{
	struct nl_attribute a = { .length = (uint16_t)(sizeof(a) + bytes), .type = (uint16_t)type };

	netlink_put(&a, sizeof(a));
	if (bytes)
		netlink_put(data, bytes);
}

void netlink_end(void)
{
	uint32_t length = answer.bytes - answer.begin;

	memcpy(answer_bytes + answer.begin, &length, sizeof(length));
	answer.begin = answer.bytes;
}

static void put_status(const struct nl_header *request, int64_t status)
{
	int32_t error = (int32_t)status;

	netlink_begin(NLMSG_ERROR, status ? 0 : NLM_F_CAPPED);
	netlink_put(&error, sizeof(error));
	netlink_put(request, sizeof(*request));
	netlink_end();
}

static void put_done(void)
{
	int32_t error = 0;

	netlink_begin(NLMSG_DONE, NLM_F_MULTI);
	netlink_put(&error, sizeof(error));
	netlink_end();
}

/* ---- requests ---- */

const void *netlink_find(const struct nl_header *h, uint32_t fixed, uint32_t type, uint32_t bytes)
{
	uint32_t at = sizeof(*h) + ((fixed + 3) & ~3u);

	while (at + sizeof(struct nl_attribute) <= h->length) {
		const struct nl_attribute *a = (const void *)((const uint8_t *)h + at);

		if (a->length < sizeof(*a) || a->length > h->length - at)
			return NULL;
		if ((a->type & 0x3fffu) == type)
			return a->length - sizeof(*a) >= bytes ? a + 1 : NULL;
		at += (a->length + 3u) & ~3u;
	}
	return NULL;
}

/* Only with its terminator is a name one. */
const char *netlink_find_name(const struct nl_header *h, uint32_t fixed, uint32_t type)
{
	const char *name = netlink_find(h, fixed, type, 1);

	if (!name)
		return NULL;
	return memchr(name, '\0', ((const struct nl_attribute *)(const void *)name)[-1].length - sizeof(struct nl_attribute)) ?
		name : NULL;
}

static void serve(const struct nl_header *h)
{
	bool dump = (h->flags & NLM_F_DUMP) == NLM_F_DUMP;
	int64_t status;

	if (!(h->flags & NLM_F_REQUEST) || h->type < NLMSG_FIRST)
		return;
	answer.request = h;
	status = netlink_route_request(answer.sock, h, dump);
	if (status || (!dump && h->flags & NLM_F_ACK))
		put_status(h, status);
	else if (dump)
		put_done();
}

int64_t netlink_send(struct sock *s, struct waiter *w, const struct address *a)
{
	struct sockaddr_nl nl = { 0 };
	uint32_t at = 0, bytes;
	int64_t n;

	if (a->length && a->length < sizeof(nl))
		return -X_EINVAL;
	memcpy(&nl, a->bytes, a->length ? sizeof(nl) : 0);
	if (a->length && nl.family != L_AF_NETLINK)
		return -X_EINVAL;
	if (nl.port || nl.groups) /* nobody but us is there */
		return s->uid ? -X_EPERM : -X_ECONNREFUSED;
	if (w->total > REQUEST_MOST)
		return -X_EMSGSIZE;
	n = w->total ? copy_from_windows(w, 0, request_bytes, (uint32_t)w->total) : 0;
	if (n < (int64_t)w->total)
		return n < 0 ? n : -X_EFAULT;
	bytes = (uint32_t)w->total;
	s->bound = true;
	answer.sock = s;
	answer.bytes = answer.begin = 0;
	while (at + sizeof(struct nl_header) <= bytes) {
		const struct nl_header *h = (const void *)(request_bytes + at);

		if (h->length < sizeof(*h) || h->length > bytes - at)
			break;
		serve(h);
		at += (h->length + 3u) & ~3u;
	}
	send_answer();
	return bytes;
}
