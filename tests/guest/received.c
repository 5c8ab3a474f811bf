/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * received: a UDP socket that receives much, over the loopback, in every way there is: each
 * datagram is taken once, whole and in order, with its sender's address; what is rare (peeking, a
 * buffer that is too short, control messages) hits the datagram whose turn it is, and what comes
 * after it goes as what came before.
 * received again COUNT: some the plain way, then something rare, then COUNT the plain way.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { SENDERS = 3, WARM_UP = 30, LONG = 9000 };

struct end { int fd; struct sockaddr_in at; };

static struct end to, from[SENDERS];
static char data[LONG], got[LONG + 1];

static struct end open_end(void)
{
	struct end e = { .fd = socket(AF_INET, SOCK_DGRAM, 0) };
	socklen_t length = sizeof(e.at);

	e.at = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(!bind(e.fd, (struct sockaddr *)&e.at, length));
	CHECK(!getsockname(e.fd, (struct sockaddr *)&e.at, &length));
	return e;
}

static size_t length_of(uint32_t number) { return number % 11 == 3 ? 0 : number * 2654435761u % 1400 + 4; }

static void fill(uint32_t number, size_t length)
{
	for (size_t i = 0; i < length; i++)
		data[i] = (char)(number + i * 3 + (i >> 8));
}

static void send_one(uint32_t number, size_t length)
{
	fill(number, length);
	CHECK(sendto(from[number % SENDERS].fd, data, length, 0, (struct sockaddr *)&to.at, sizeof(to.at)) == (ssize_t)length);
}

static void send_number(uint32_t number) { send_one(number, length_of(number)); }

static bool is_number(uint32_t number, const char *bytes, size_t length)
{
	fill(number, length);
	return !memcmp(bytes, data, length);
}

static bool is_sender(uint32_t number, const struct sockaddr_in *a, socklen_t length)
{
	const struct sockaddr_in *b = &from[number % SENDERS].at;

	return length == sizeof(*a) && a->sin_family == AF_INET && a->sin_port == b->sin_port &&
	       a->sin_addr.s_addr == b->sin_addr.s_addr;
}

/* By each of the calls in its turn. A read(2) does not tell an empty datagram from nothing, so it waits for none. */
static ssize_t receive_by(uint32_t way, uint32_t number)
{
	struct sockaddr_in a;
	socklen_t length = sizeof(a);
	struct iovec v[3] = { { got, 3 }, { got + 3, 0 }, { got + 3, sizeof(got) - 3 } };
	struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = v, .msg_iovlen = 3 };
	struct mmsghdr mm = { .msg_hdr = { .msg_iov = v + 2, .msg_iovlen = 1 } };
	ssize_t n;

	switch (way % 7) {
	case 0: return recv(to.fd, got, sizeof(got), 0);
	case 1:
		n = recvfrom(to.fd, got, sizeof(got), 0, (struct sockaddr *)&a, &length);
		CHECK(is_sender(number, &a, length));
		return n;
	case 2:
		n = recvmsg(to.fd, &m, 0);
		CHECK(is_sender(number, &a, m.msg_namelen) && !m.msg_flags && !m.msg_controllen);
		return n;
	case 3: return read(to.fd, got, sizeof(got));
	case 4: return readv(to.fd, v, 3);
	case 5: return recv(to.fd, got, sizeof(got), MSG_WAITALL); /* of a datagram it says nothing */
	default:
		v[2].iov_base = got;
		return recvmmsg(to.fd, &mm, 1, 0, NULL) == 1 ? (ssize_t)mm.msg_len : -1;
	}
}

static void receive_number(uint32_t way, uint32_t number)
{
	size_t length = length_of(number);
	ssize_t n;

	memset(got, 0, sizeof(got));
	n = receive_by(way, number);
	if (n != (ssize_t)length || !is_number(number, got, length))
		printf("datagram %u by way %u: %zd bytes for %zu\n", number, way % 7, n, length);
	CHECK(n == (ssize_t)length && is_number(number, got, length));
}

/* Filled and emptied by turns, a few at a time and many. */
static uint32_t test_ways(uint32_t number)
{
	for (uint32_t round = 0, count = 1; round < 60 && !failures; round++, count = count * 5 % 101) {
		for (uint32_t i = 0; i < count; i++)
			send_number(number + i);
		for (uint32_t i = 0; i < count; i++)
			receive_number(number + round, number + i);
		number += count;
	}
	return number;
}

static void test_rare(uint32_t number)
{
	struct iovec v = { got, 10 };
	struct sockaddr_in a;
	struct msghdr m = { .msg_name = &a, .msg_namelen = sizeof(a), .msg_iov = &v, .msg_iovlen = 1 };
	int bytes = 0;

	number += (11 - number % 11) % 11; /* of the next ones only the fourth is empty */
	for (uint32_t i = 0; i < 3; i++)
		send_one(number + i, 100 + i);
	CHECK(!ioctl(to.fd, FIONREAD, &bytes) && bytes == 100);
	for (int i = 0; i < 3; i++)
		CHECK(recv(to.fd, got, sizeof(got), MSG_PEEK) == 100 && is_number(number, got, 100));
	CHECK(read(to.fd, got, 0) == 0); /* takes nothing */
	CHECK(recvmsg(to.fd, &m, 0) == 10 && m.msg_flags == MSG_TRUNC && is_number(number, got, 10));
	CHECK(is_sender(number, &a, m.msg_namelen));
	CHECK(recv(to.fd, got, 10, 0) == 10 && is_number(number + 1, got, 10)); /* the rest of it is lost */
	CHECK(recv(to.fd, NULL, 0, 0) == 0);                                   /* takes the third */
	FAILS(recv(to.fd, got, 10, MSG_DONTWAIT), EAGAIN);
	send_one(number, LONG);
	CHECK(recv(to.fd, got, sizeof(got), 0) == LONG && is_number(number, got, LONG));
}

static void test_vectors(uint32_t number)
{
	struct iovec v[5];

	fill(number, LONG);
	for (int i = 0; i < 5; i++)
		v[i] = (struct iovec){ data + i * (LONG / 5), LONG / 5 };
	CHECK(!connect(from[0].fd, (struct sockaddr *)&to.at, sizeof(to.at)));
	CHECK(writev(from[0].fd, v, 5) == LONG); /* one datagram, though long */
	for (int i = 0; i < 5; i++)
		v[i].iov_base = got + i * (LONG / 5);
	CHECK(readv(to.fd, v, 5) == LONG && is_number(number, got, LONG));
	CHECK(writev(from[0].fd, v, 2) == LONG / 5 * 2);
	CHECK(readv(to.fd, v, 5) == LONG / 5 * 2);
	FAILS(recv(to.fd, got, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(!connect(from[0].fd, &(struct sockaddr){ .sa_family = AF_UNSPEC }, sizeof(struct sockaddr)));
}

static int ready(int ep)
{
	struct epoll_event e;

	return epoll_wait(ep, &e, 1, 100) == 1 ? (int)e.events : 0;
}

static void test_readiness(uint32_t number)
{
	int ep = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN | EPOLLET };
	struct pollfd p = { .fd = to.fd, .events = POLLIN };

	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, to.fd, &e) && ready(ep) == 0);
	for (uint32_t i = 0; i < 5; i++) {
		CHECK(poll(&p, 1, 0) == 0);
		send_number(number);
		CHECK(ready(ep) == EPOLLIN && ready(ep) == 0); /* an edge */
		CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
		send_number(number + 1);
		CHECK(ready(ep) == EPOLLIN);
		receive_number(0, number);
		CHECK(poll(&p, 1, 0) == 1);
		receive_number(i, number + 1);
	}
	close(ep);
}

static long elapsed_ms(const struct timeval *since)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_usec - since->tv_usec) / 1000;
}

/* Who waits is woken by a datagram, by patience, by an error, by the end. */
static void test_waiting(uint32_t number)
{
	struct timeval patience = { .tv_usec = 100000 }, none = { 0 }, begin;
	int status;

	CHECK(!setsockopt(to.fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	gettimeofday(&begin, NULL);
	FAILS(recv(to.fd, got, sizeof(got), 0), EAGAIN);
	CHECK(elapsed_ms(&begin) >= 90);
	CHECK(!setsockopt(to.fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none)));
	for (uint32_t i = 0; i < 10; i++) {
		if (fork() == 0) {
			usleep(5000);
			send_number(number + i);
			_exit(failures);
		}
		receive_number(i, number + i);
		CHECK(wait(&status) > 0 && status == 0);
	}
}

static void test_control(uint32_t number)
{
	int on = 1;
	char control[64];
	struct iovec v = { got, sizeof(got) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	send_number(number);
	CHECK(!setsockopt(to.fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)));
	send_number(number + 1);
	CHECK(recvmsg(to.fd, &m, 0) == (ssize_t)length_of(number)); /* Linux knows of the option when it is taken */
	m.msg_controllen = sizeof(control);
	CHECK(recvmsg(to.fd, &m, 0) == (ssize_t)length_of(number + 1));
	CHECK(m.msg_controllen && CMSG_FIRSTHDR(&m)->cmsg_type == IP_TTL && *(int *)CMSG_DATA(CMSG_FIRSTHDR(&m)) == 64);
	on = 0;
	CHECK(!setsockopt(to.fd, IPPROTO_IP, IP_RECVTTL, &on, sizeof(on)));
}

/* A socket that is connected hears its peer only, and of it that nobody is there. */
static void test_connected(uint32_t number)
{
	struct end peer = open_end();
	int refused = 0;

	CHECK(!connect(to.fd, (struct sockaddr *)&peer.at, sizeof(peer.at)));
	for (uint32_t i = 0; i < 40; i++) {
		send_number(number); /* of a stranger */
		CHECK(sendto(peer.fd, &i, sizeof(i), 0, (struct sockaddr *)&to.at, sizeof(to.at)) == sizeof(i));
	}
	for (uint32_t i = 0, k; i < 40; i++)
		CHECK(recv(to.fd, &k, sizeof(k), 0) == sizeof(k) && k == i);
	close(peer.fd);
	CHECK(send(to.fd, "x", 1, 0) == 1);
	refused = recv(to.fd, got, 1, 0) < 0 && errno == ECONNREFUSED;
	CHECK(refused);
	CHECK(!shutdown(to.fd, SHUT_RD) && recv(to.fd, got, 1, 0) == 0);
}

static void begin(void)
{
	to = open_end();
	for (int i = 0; i < SENDERS; i++)
		from[i] = open_end();
	for (uint32_t i = 0; i < WARM_UP; i++) {
		send_number(i);
		receive_number(0, i);
	}
}

static void end(void)
{
	close(to.fd);
	for (int i = 0; i < SENDERS; i++)
		close(from[i].fd);
}

static int again(uint32_t count)
{
	begin();
	send_number(7);
	send_number(8);
	CHECK(recv(to.fd, got, 1, MSG_TRUNC) == (ssize_t)length_of(7));
	for (uint32_t i = 0; i < count; i++) {
		send_number(i);
		receive_number(i, i ? i - 1 : 8);
	}
	end();
	return check_end("received again");
}

int main(int argc, char **argv)
{
	if (argc > 2)
		return again((uint32_t)atoi(argv[2]));
	begin();
	test_rare(test_ways(WARM_UP));
	test_rare(test_ways(5000)); /* and once more, as if nothing had been */
	test_readiness(1);
	test_waiting(100);
	test_control(12);
	test_ways(9000);
	test_vectors(7);
	end();
	begin();
	test_connected(4);
	end();
	return check_end("received");
}
