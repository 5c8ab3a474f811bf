/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Control messages of datagrams over the loopback (ip(7), ipv6(7), socket(7)): what
 * is received with a datagram, and what can be said of one that is sent.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define TOLD 512

static union { struct cmsghdr header; char bytes[TOLD]; } control;

static void on(int fd, int level, int name)
{
	int one = 1, got = 0;
	socklen_t length = sizeof(got);

	CHECK(setsockopt(fd, level, name, &one, sizeof(one)) == 0);
	CHECK(getsockopt(fd, level, name, &got, &length) == 0 && got == 1);
}

static void tell(const struct cmsghdr *c)
{
	const unsigned char *data = CMSG_DATA(c);
	long long t[2];
	int n;

	printf(" level %d type %d length %zu:", c->cmsg_level, c->cmsg_type, (size_t)c->cmsg_len);
	if (c->cmsg_level == SOL_SOCKET) {
		struct timespec now;

		memcpy(t, data, sizeof(t));
		clock_gettime(CLOCK_REALTIME, &now);
		printf(" a time%s", now.tv_sec - t[0] >= 0 && now.tv_sec - t[0] < 30 ? "" : ", but not now");
		return;
	}
	for (n = 0; n < (int)(c->cmsg_len - CMSG_LEN(0)); n++)
		printf(" %u", data[n]);
}

static void receive(int fd, size_t room)
{
	char byte;
	struct iovec v = { &byte, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = room };

	CHECK(recvmsg(fd, &m, 0) == 1);
	printf("flags %x length %zu", m.msg_flags, (size_t)m.msg_controllen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c && room >= TOLD; c = CMSG_NXTHDR(&m, c))
		tell(c);
	putchar('\n');
}

static long send_with(int fd, const struct sockaddr *to, socklen_t length, int level, int type, const void *data, size_t bytes)
{
	struct iovec v = { "x", 1 };
	struct msghdr m = {
		.msg_name = (void *)to, .msg_namelen = length, .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = CMSG_SPACE(bytes),
	};

	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = level;
	control.header.cmsg_type = type;
	control.header.cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(&control.header), data, bytes);
	return sendmsg(fd, &m, 0) < 0 ? -errno : 1;
}

static void ip4(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(a);
	int in = socket(AF_INET, SOCK_DGRAM, 0), out = socket(AF_INET, SOCK_DGRAM, 0), n;
	struct in_pktinfo info = { 0 };
	struct sockaddr *to = (struct sockaddr *)&a;

	CHECK(bind(in, to, length) == 0 && getsockname(in, to, &length) == 0);
	CHECK(sendto(out, "x", 1, 0, to, length) == 1);
	receive(in, TOLD);
	on(in, IPPROTO_IP, IP_PKTINFO);
	on(in, IPPROTO_IP, IP_RECVTTL);
	on(in, IPPROTO_IP, IP_RECVTOS);
	on(in, SOL_SOCKET, SO_TIMESTAMP);
	CHECK(sendto(out, "x", 1, 0, to, length) == 1);
	receive(in, TOLD);
	on(in, SOL_SOCKET, SO_TIMESTAMPNS);
	for (size_t room = 0; room < 60; room += 10) {
		CHECK(sendto(out, "x", 1, 0, to, length) == 1);
		receive(in, room);
	}
	n = 7;
	printf("ttl %ld\n", send_with(out, to, length, IPPROTO_IP, IP_TTL, &n, 4));
	receive(in, TOLD);
	n = 0x48;
	printf("tos %ld\n", send_with(out, to, length, IPPROTO_IP, IP_TOS, &n, 4));
	receive(in, TOLD);
	info.ipi_ifindex = 1;
	printf("interface %ld\n", send_with(out, to, length, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info)));
	receive(in, TOLD);
	info.ipi_spec_dst.s_addr = htonl(0x7f000005);
	printf("source %ld\n", send_with(out, to, length, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info)));
	receive(in, TOLD);
	for (n = -1; n < 257; n += 257) {
		printf("ttl %d: %ld\n", n, send_with(out, to, length, IPPROTO_IP, IP_TTL, &n, 4));
		printf("tos %d: %ld\n", n, send_with(out, to, length, IPPROTO_IP, IP_TOS, &n, 4));
		if (n > 0)
			continue;
		while (recv(in, &info, 1, MSG_DONTWAIT) > 0)
			;
	}
	printf("short %ld\n", send_with(out, to, length, IPPROTO_IP, IP_PKTINFO, &info, 5));
	printf("unknown %ld\n", send_with(out, to, length, IPPROTO_IP, 99, &info, 4));
	close(in);
	close(out);
}

static void ip6(void)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	socklen_t length = sizeof(a);
	int in = socket(AF_INET6, SOCK_DGRAM, 0), out = socket(AF_INET6, SOCK_DGRAM, 0), n = 9;
	struct sockaddr *to = (struct sockaddr *)&a;

	CHECK(bind(in, to, length) == 0 && getsockname(in, to, &length) == 0);
	on(in, IPPROTO_IPV6, IPV6_RECVPKTINFO);
	on(in, IPPROTO_IPV6, IPV6_RECVHOPLIMIT);
	on(in, IPPROTO_IPV6, IPV6_RECVTCLASS);
	CHECK(sendto(out, "x", 1, 0, to, length) == 1);
	receive(in, TOLD);
	printf("hops %ld\n", send_with(out, to, length, IPPROTO_IPV6, IPV6_HOPLIMIT, &n, 4));
	receive(in, TOLD);
	printf("class %ld\n", send_with(out, to, length, IPPROTO_IPV6, IPV6_TCLASS, &n, 4));
	receive(in, TOLD);
	close(in);
	close(out);
}

int main(void)
{
	ip4();
	ip6();
	return check_end("control");
}
