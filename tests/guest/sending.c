/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP connections that send much, so that their sends need no call in the guest (flows):
 * every byte and their order, the end right behind them, flags and vectors in between,
 * no room, readiness by level and by edge, timeouts, signals, shutdown and a peer that goes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { BLOCK = 60000, WARM = 1 << 20, ROUNDS = 3 };

static char block[4 << 20];
static size_t sent; /* bytes of the stream at hand: its place */

static char byte_at(size_t n) { return (char)(n * 2654435761u >> 13); }

static char *next(size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		block[i] = byte_at(sent + i);
	return block;
}

static void connected(int *a, int *b)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(to);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	*a = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(bind(listener, (struct sockaddr *)&to, sizeof(to)) == 0 && listen(listener, 1) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&to, &length) == 0);
	CHECK(connect(*a, (struct sockaddr *)&to, sizeof(to)) == 0);
	*b = accept(listener, NULL, NULL);
	CHECK(*b >= 0);
	close(listener);
	sent = 0;
}

/* Bytes of the stream from `at` on until there are `most`, or its end; all as they should be. */
static size_t take(int fd, size_t at, size_t most)
{
	static char got[BLOCK];
	size_t begin = at;

	while (at - begin < most) {
		ssize_t n = recv(fd, got, most - (at - begin) < BLOCK ? most - (at - begin) : BLOCK, 0);

		for (ssize_t i = 0; i < n; i++, at++)
			if (got[i] != byte_at(at))
				return 0;
		if (n <= 0)
			break;
	}
	return at - begin;
}

static void send_all(int fd, size_t bytes, size_t part)
{
	while (bytes) {
		size_t n = bytes < part ? bytes : part;

		CHECK(send(fd, next(n), n, 0) == (ssize_t)n);
		sent += n;
		bytes -= n;
	}
}

/* It sends in bulk from now on. */
static void warm(int a, int b)
{
	for (size_t done = 0; done < WARM; done += WARM / 16) {
		send_all(a, WARM / 16, BLOCK);
		CHECK(take(b, done, WARM / 16) == WARM / 16);
	}
}

/* A child that takes the whole stream and says how long it was by its status: 0, as long as told
 * through the pipe. */
static pid_t taker(int *a, int *b, int *told)
{
	int ends[2];
	pid_t child;

	connected(a, b);
	CHECK(pipe(ends) == 0);
	child = fork();
	if (!child) {
		size_t got, wanted = 0;

		close(*a);
		close(ends[1]);
		got = take(*b, 0, SIZE_MAX);
		_exit(read(ends[0], &wanted, sizeof(wanted)) != sizeof(wanted) || got != wanted);
	}
	close(*b);
	close(ends[0]);
	*told = ends[1];
	return child;
}

static void taken(pid_t child, int told)
{
	int status = -1;

	CHECK(write(told, &sent, sizeof(sent)) == sizeof(sent));
	close(told);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void ends(void)
{
	for (int how = 0; how < ROUNDS * 2; how++) {
		int a, b, told;
		pid_t child = taker(&a, &b, &told);

		send_all(a, (3u << 20) + (size_t)how * 12345, BLOCK + how);
		if (how & 1) {
			CHECK(shutdown(a, SHUT_WR) == 0);
			FAILS(send(a, block, 1, MSG_NOSIGNAL), EPIPE);
		} else {
			close(a);
		}
		taken(child, told);
		if (how & 1)
			close(a);
	}
	puts("ends");
}

static void parts(int fd, int flags, size_t first, size_t second, size_t third)
{
	struct iovec v[] = { { next(first + second + third), first }, { block + first, second }, { block + first + second, third } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 3 };
	size_t all = first + second + third;

	CHECK((flags < 0 ? writev(fd, v, 3) : sendmsg(fd, &m, flags)) == (ssize_t)all);
	sent += all;
}

static void mixed(void)
{
	int a, b, told, small = 4096;
	pid_t child = taker(&a, &b, &told);

	for (int round = 0; round < ROUNDS; round++) {
		send_all(a, WARM, BLOCK);
		for (int i = 0; i < 40; i++) {
			CHECK(send(a, next(700), 700, MSG_MORE) == 700);
			sent += 700;
			send_all(a, 1300, 1300);
			parts(a, 0, 500, 1, 90000);
			parts(a, -1, 3, 70000, 10);
			CHECK(write(a, next(5), 5) == 5);
			sent += 5;
		}
		send_all(a, 5000, 10);
	}
	CHECK(setsockopt(a, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
	send_all(a, 1 << 18, BLOCK);
	close(a);
	taken(child, told);
	puts("mixed");
}

static void no_room(void)
{
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET };
	int a, b, loop = epoll_create1(0);
	struct pollfd p;
	size_t got = WARM;

	connected(&a, &b);
	warm(a, b);
	CHECK(fcntl(a, F_SETFL, O_NONBLOCK) == 0);
	CHECK(epoll_ctl(loop, EPOLL_CTL_ADD, a, &e) == 0);
	p = (struct pollfd){ .fd = a, .events = POLLOUT };
	for (int round = 0; round < ROUNDS * 2; round++) {
		size_t before = sent;
		ssize_t n;

		CHECK(epoll_wait(loop, &e, 1, 5000) == 1 && (e.events & EPOLLOUT));
		CHECK(poll(&p, 1, 5000) == 1);
		while ((n = send(a, next(BLOCK), BLOCK, 0)) > 0)
			sent += (size_t)n;
		CHECK(n == -1 && errno == EAGAIN && sent > before);
		CHECK(take(b, got, sent - got) == sent - got);
		got = sent;
	}
	close(loop);
	close(a);
	close(b);
	puts("no room");
}

static void on_alarm(int sig) { (void)sig; }

/* Sends until it fails; then all that was sent is there. */
static void stuck(int wanted)
{
	struct itimerval often = { { 0, 100000 }, { 0, 100000 } }, never = { { 0, 0 }, { 0, 0 } };
	struct timeval limit = { 0, 150000 };
	struct sigaction act = { .sa_handler = on_alarm };
	int a, b;
	ssize_t n;

	connected(&a, &b);
	warm(a, b);
	sigaction(SIGALRM, &act, NULL);
	if (wanted == EINTR)
		setitimer(ITIMER_REAL, &often, NULL);
	else
		CHECK(setsockopt(a, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) == 0);
	while ((n = send(a, next(sizeof(block)), sizeof(block), 0)) > 0)
		sent += (size_t)n;
	CHECK(n == -1 && errno == wanted);
	setitimer(ITIMER_REAL, &never, NULL);
	close(a);
	CHECK(take(b, WARM, SIZE_MAX) == sent - WARM);
	close(b);
}

/* A sender that waits for room hears of the connection's end. */
static void gone(bool shut)
{
	int a, b, status = -1;
	pid_t child;

	connected(&a, &b);
	warm(a, b);
	child = fork();
	if (!child) {
		ssize_t n;

		close(b);
		while ((n = send(a, block, sizeof(block), MSG_NOSIGNAL)) > 0)
			;
		_exit(!(n == -1 && (errno == EPIPE || (errno == ECONNRESET && !shut))));
	}
	usleep(200000);
	if (shut)
		CHECK(shutdown(a, SHUT_WR) == 0);
	else
		close(b);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(a);
	if (shut)
		close(b);
}

int main(void)
{
	alarm(500);
	ends();
	mixed();
	no_room();
	alarm(0);
	stuck(EAGAIN);
	stuck(EINTR);
	gone(false);
	gone(true);
	puts("stuck");
	return check_end("sending");
}
