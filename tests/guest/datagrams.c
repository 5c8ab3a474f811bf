/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * datagrams [SECONDS]: connected UDP sockets that send much, in every way there is, over the
 * loopback: each datagram arrives once, whole and in order; what changes between two of them
 * (an option, the peer, the end) changes between just those. With SECONDS the bursts go on so
 * long, for tests in which the network stack is killed meanwhile.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { BURST = 24, LONGEST = 5000, WARM_UP = 64 };

static uint32_t random_state = 7;
static char data[70000], got[LONGEST + 1];

static uint32_t next_random(void)
{
	random_state = random_state * 1664525u + 1013904223u;
	return random_state >> 8;
}

static int receiver(struct sockaddr_in *at)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct timeval patience = { .tv_sec = 60 };
	socklen_t length = sizeof(*at);

	*at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(!bind(fd, (struct sockaddr *)at, length));
	CHECK(!getsockname(fd, (struct sockaddr *)at, &length));
	CHECK(!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	return fd;
}

static int sender(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	CHECK(!connect(fd, (const struct sockaddr *)to, sizeof(*to)));
	return fd;
}

/* Datagram `number`: its length and its bytes follow from that. */
static size_t make(uint32_t number, char *to)
{
	uint32_t x = number * 2654435761u;
	size_t length = number % 16 == 5 ? 0 : number % 16 == 9 ? LONGEST - number % 7 : (x >> 12) % 1500 + 1;

	for (size_t i = 0; i < length; i++)
		to[i] = (char)(x >> (i & 3) * 8) + (char)(i >> 2);
	return length;
}

static ssize_t send_as(int fd, uint32_t way, size_t length)
{
	struct iovec v[2] = { { data, length / 3 }, { data + length / 3, length - length / 3 } };
	struct iovec whole = { data, length };
	struct mmsghdr m = { .msg_hdr = { .msg_iov = &whole, .msg_iovlen = 1 } };
	ssize_t n;

	switch (way % 7) {
	case 0: return send(fd, data, length, 0);
	case 1: return sendto(fd, data, length, MSG_NOSIGNAL, NULL, 0);
	case 2: return sendmsg(fd, &(struct msghdr){ .msg_iov = v, .msg_iovlen = 2 }, 0);
	case 3: return sendmmsg(fd, &m, 1, 0) == 1 ? (ssize_t)m.msg_len : -1;
	case 4:
		n = send(fd, data, length / 2, MSG_MORE);
		return n < 0 ? n : n + send(fd, data + length / 2, length - length / 2, 0);
	case 5:
		if (length && length <= 4096)
			return writev(fd, v, 2);
		/* fall through */
	default: return length ? write(fd, data, length) : send(fd, data, 0, 0);
	}
}

static void send_number(int fd, uint32_t number)
{
	size_t length = make(number, data);

	CHECK(send_as(fd, next_random(), length) == (ssize_t)length);
}

static void receive_number(int fd, uint32_t number)
{
	size_t length = make(number, data);
	ssize_t n = recv(fd, got, sizeof(got), 0);

	if (n != (ssize_t)length || memcmp(got, data, length))
		printf("datagram %u: %zd bytes for %zu\n", number, n, length);
	CHECK(n == (ssize_t)length && !memcmp(got, data, length));
}

static uint32_t bursts(int fd, int to, uint32_t number, uint32_t count)
{
	while (count-- && !failures) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		for (uint32_t i = 0; i < BURST; i++)
			send_number(fd, number + i);
		CHECK(poll(&p, 1, 60000) == 1 && p.revents == POLLOUT);
		for (uint32_t i = 0; i < BURST; i++)
			receive_number(to, number++);
	}
	return number;
}

static void test_options(int fd, int to)
{
	int on = 1, tos = 0x20;
	char control[64];

	CHECK(!setsockopt(to, IPPROTO_IP, IP_RECVTOS, &on, sizeof(on)));
	for (int i = 0; i < BURST; i++) {
		CHECK(send(fd, &i, sizeof(i), 0) == sizeof(i));
		if (i == BURST / 2)
			CHECK(!setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)));
	}
	for (int i = 0, k; i < BURST; i++) {
		struct iovec v = { &k, sizeof(k) };
		struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
		struct cmsghdr *c;

		CHECK(recvmsg(to, &m, 0) == sizeof(k) && k == i);
		c = CMSG_FIRSTHDR(&m);
		CHECK(c && c->cmsg_type == IP_TOS && *CMSG_DATA(c) == (i > BURST / 2 ? tos : 0));
	}
}

static void test_peers(int fd, int to)
{
	struct sockaddr_in second, unconnected = { .sin_family = AF_UNSPEC };
	int other = receiver(&second);

	for (int i = 0; i < BURST; i++) {
		CHECK(send(fd, &i, sizeof(i), 0) == sizeof(i));
		if (i == BURST / 2)
			CHECK(!connect(fd, (struct sockaddr *)&second, sizeof(second)));
	}
	for (int i = 0, k; i < BURST; i++)
		CHECK(recv(i <= BURST / 2 ? to : other, &k, sizeof(k), 0) == sizeof(k) && k == i);
	CHECK(!connect(fd, (struct sockaddr *)&unconnected, sizeof(unconnected)));
	FAILS(send(fd, "x", 1, 0), EDESTADDRREQ);
	close(other);
}

static void test_errors(void)
{
	struct sockaddr_in at;
	int to = receiver(&at), fd = sender(&at), refused = 0;
	uint32_t number = bursts(fd, to, 0, WARM_UP / BURST + 1);

	FAILS(send(fd, (void *)16, 100, 0), EFAULT);
	FAILS(send(fd, data, sizeof(data), 0), EMSGSIZE);
	for (int i = 0; i < 20; i++)
		CHECK(send(fd, &i, sizeof(i), 0) == sizeof(i));
	for (int i = 0, k; i < 20; i++)
		CHECK(recv(to, &k, sizeof(k), 0) == sizeof(k) && k == i);
	for (uint32_t i = 0; i < 20; i++)
		send_number(fd, number + i);
	close(fd); /* what was sent before arrives all the same */
	for (uint32_t i = 0; i < 20; i++)
		receive_number(to, number + i);
	fd = sender(&at);
	bursts(fd, to, 0, 2);
	close(to); /* now nobody is there: some later send hears of it */
	for (int i = 0; i < 1000 && !refused; i++) {
		refused = send(fd, "x", 1, 0) < 0 && errno == ECONNREFUSED;
		usleep(1000);
	}
	CHECK(refused);
	CHECK(!shutdown(fd, SHUT_WR));
	do /* what was sent last may have been refused, too */
		errno = 0;
	while (send(fd, "x", 1, MSG_NOSIGNAL) < 0 && errno == ECONNREFUSED);
	CHECK(errno == EPIPE);
	close(fd);
}

/* Nobody reads: what has no room is lost, but sending goes on. */
static void test_flood(void)
{
	struct sockaddr_in at;
	int to = receiver(&at), fd = sender(&at), sent = 0, last = -1;

	for (int i = 0; i < 3000; i++) {
		ssize_t n = send(fd, &i, sizeof(i), i & 1 ? MSG_DONTWAIT : 0);

		CHECK(n == sizeof(i) || (n < 0 && errno == EAGAIN && (i & 1)));
		sent += n > 0;
	}
	CHECK(sent >= 1500);
	for (int k; recv(to, &k, sizeof(k), last < 0 ? 0 : MSG_DONTWAIT) == sizeof(k); last = k)
		CHECK(k > last);
	CHECK(last >= 0);
	close(fd);
	close(to);
}

/* As getaddrinfo(3) looks which addresses could be used: one socket, for both families in turn. */
static void test_families(void)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(9) }, name;
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(9) };
	struct sockaddr nobody = { .sa_family = AF_UNSPEC };
	socklen_t length = sizeof(name);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	six.sin6_addr = in6addr_loopback;
	four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (!connect(fd, (struct sockaddr *)&six, sizeof(six))) {
		CHECK(!getsockname(fd, (struct sockaddr *)&name, &length) && IN6_IS_ADDR_LOOPBACK(&name.sin6_addr));
		CHECK(!connect(fd, &nobody, sizeof(nobody)));
	}
	CHECK(!connect(fd, (struct sockaddr *)&four, sizeof(four)));
	length = sizeof(name);
	CHECK(!getsockname(fd, (struct sockaddr *)&name, &length) && name.sin6_family == AF_INET6);
	CHECK(IN6_IS_ADDR_V4MAPPED(&name.sin6_addr));
	close(fd);
}

int main(int argc, char **argv)
{
	time_t end = time(NULL) + (argc > 1 ? atoi(argv[1]) : 0);
	struct sockaddr_in at;
	int to = receiver(&at), fd = sender(&at);
	uint32_t number = 0;

	do
		number = bursts(fd, to, number, 50);
	while (time(NULL) < end && !failures);
	test_options(fd, to);
	test_peers(fd, to);
	test_errors();
	test_flood();
	test_families();
	return check_end("datagrams");
}
