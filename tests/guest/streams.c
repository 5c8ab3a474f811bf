/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * streams serve ADDRESS PORT            the host's end, until it is killed
 * streams run ADDRESS PORT COUNT SECONDS  COUNT connections to it, both ways at once
 *
 * One edge-triggered epoll loop, nothing blocks. Each end sends, on each
 * connection, bytes that are a function of the connection and of their place in
 * the stream, and compares all that it receives; `run` ends its sending after
 * SECONDS and expects the other end's end, in good order, after its own. `run` also
 * listens, at PORT + 1: the other end connects there again and again and asks for
 * an answer. Prints the bytes of each way; fails at the first wrong byte, at a
 * connection that ends early, and where nothing at all moves for STALL_S, which is more than Linux ever waits before it
 * sends again (TCP_RTO_MAX, 120 s).
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 1100, STALL_S = 150, BLOCK = 64 << 10, ASK_MS = 50 };
enum kind { FREE, LISTENER, STREAM, QUESTION };

static struct connection {
	enum kind kind;
	int fd;
	uint32_t number;          /* the connecting end's, told in the first four bytes */
	uint64_t sent, received;  /* those four included, one way */
	bool connects, told, write_ends, fin_sent, fin_seen;
} connections[CONNECTIONS];

static int loop;
static bool serving;
static uint64_t moved, total_in, total_out, asked, answered, started_ms, stalled_ms;
static struct sockaddr_in other;
static char block[BLOCK], expected[BLOCK];

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void die(const char *what, const struct connection *c)
{
	printf("streams: %s: connection %u, sent %llu, received %llu: %m\n", what, c ? c->number : 0,
	       (unsigned long long)(c ? c->sent : 0), (unsigned long long)(c ? c->received : 0));
	exit(1);
}

/* Byte `at` of the stream of a connection; the two ways differ. */
static void fill(char *to, const struct connection *c, bool ours, uint64_t at, size_t bytes)
{
	uint64_t seed = c->number * 2 + (ours == c->connects);

	for (size_t i = 0; i < bytes;) {
		uint64_t word = ((at >> 3) + seed) * 0x9e3779b97f4a7c15ull;

		if (!(at & 7) && bytes - i >= 8) {
			memcpy(to + i, &word, 8);
			i += 8;
			at += 8;
		} else {
			to[i++] = (char)(word >> (at++ & 7) * 8);
		}
	}
}

static struct connection *add(int fd, enum kind kind, bool connects)
{
	struct connection *c = connections;
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };

	while (c < connections + CONNECTIONS && c->kind != FREE)
		c++;
	if (c == connections + CONNECTIONS)
		die("too many connections", NULL);
	*c = (struct connection){ .kind = kind, .fd = fd, .connects = connects };
	e.data.ptr = c;
	if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e))
		die("epoll_ctl", c);
	return c;
}

static void end(struct connection *c)
{
	close(c->fd);
	c->kind = FREE;
}

static int connect_to(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || (connect(fd, (const struct sockaddr *)to, sizeof(*to)) && errno != EINPROGRESS))
		die("connect", NULL);
	return fd;
}

/* ---- streams ---- */

static void send_some(struct connection *c)
{
	if (c->connects && c->sent < 4) { /* who we are */
		if (send(c->fd, &c->number, 4, MSG_NOSIGNAL) != 4) {
			if (errno == EAGAIN || errno == ENOTCONN)
				return;
			die("first bytes", c);
		}
		c->sent = 4;
	}
	while (c->told && !c->fin_sent) {
		ssize_t n;

		if (c->write_ends) {
			if (shutdown(c->fd, SHUT_WR))
				die("shutdown", c);
			c->fin_sent = true;
			return;
		}
		fill(block, c, true, c->sent, BLOCK);
		n = send(c->fd, block, BLOCK, MSG_NOSIGNAL);
		if (n < 0) {
			if (errno != EAGAIN)
				die("send", c);
			return;
		}
		c->sent += (uint64_t)n;
		total_out += (uint64_t)n;
		moved++;
	}
}

static void receive_some(struct connection *c)
{
	while (!c->fin_seen) {
		ssize_t n;

		if (!c->told) { /* the accepting end learns whose it is */
			n = recv(c->fd, &c->number, 4, 0);
			if (n == 4) {
				c->told = true;
				c->received = 4;
				continue;
			}
		} else {
			n = recv(c->fd, block, BLOCK, 0);
		}
		if (n < 0) {
			if (errno != EAGAIN && errno != ENOTCONN)
				die("receive", c);
			return;
		}
		moved++;
		if (!n) {
			c->fin_seen = true;
			c->write_ends = true; /* ours ends after theirs */
			return;
		}
		fill(expected, c, false, c->received, (size_t)n);
		if (memcmp(block, expected, (size_t)n))
			die("wrong bytes", c);
		c->received += (uint64_t)n;
		total_in += (uint64_t)n;
	}
}

static void stream_event(struct connection *c)
{
	receive_some(c);
	send_some(c);
	if (!c->fin_seen || !c->fin_sent)
		return;
	if (c->connects != !serving)
		die("who is who", c);
	end(c);
}

/* ---- questions: short connections the other way ---- */

static void question_event(struct connection *c, uint32_t events)
{
	char text[16];
	ssize_t n;

	if (c->connects && !c->told && events & EPOLLOUT) {
		if (send(c->fd, "question", 8, MSG_NOSIGNAL) != 8)
			die("question", c);
		c->told = true;
	}
	if (!c->connects && c->told) {
		n = send(c->fd, "answer", 6, MSG_NOSIGNAL);
		if (n == 6)
			end(c);
		else if (n >= 0 || errno != EAGAIN)
			die("answering", c);
		return;
	}
	n = recv(c->fd, text, sizeof(text), 0);
	if (n < 0 && (errno == EAGAIN || errno == ENOTCONN))
		return;
	if (c->connects) {
		if (n != 6 || memcmp(text, "answer", 6))
			die("answer", c);
		answered++;
	} else {
		if (n != 8)
			die("asked", c);
		answered++;
		c->told = true;
		question_event(c, events);
		return;
	}
	moved++;
	end(c);
}

static void listener_event(struct connection *l)
{
	int fd;

	while ((fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct connection *c = add(fd, serving ? STREAM : QUESTION, false);

		if (serving)
			stream_event(c);
		else
			question_event(c, EPOLLIN);
	}
	if (errno != EAGAIN)
		die("accept", l);
}

static void listen_at(uint32_t address, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = address };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 255))
		die("listen", NULL);
	add(fd, LISTENER, false);
	puts("listens");
	fflush(stdout);
}

/* The peer of a stream is the one to ask. */
static void ask(void)
{
	for (struct connection *c = connections; c < connections + CONNECTIONS; c++) {
		struct sockaddr_in own;
		socklen_t length = sizeof(other);

		if (c->kind != STREAM || c->fin_seen || getpeername(c->fd, (struct sockaddr *)&other, &length))
			continue;
		length = sizeof(own);
		getsockname(c->fd, (struct sockaddr *)&own, &length);
		other.sin_port = htons((uint16_t)(ntohs(own.sin_port) + 1));
		add(connect_to(&other), QUESTION, true);
		asked++;
		return;
	}
}

static unsigned live(enum kind kind)
{
	unsigned count = 0;

	for (struct connection *c = connections; c < connections + CONNECTIONS; c++)
		count += c->kind == kind;
	return count;
}

static void wait_and_work(void)
{
	struct epoll_event events[64];
	int count = epoll_wait(loop, events, 64, ASK_MS);
	uint64_t before = moved;

	for (int i = 0; i < count; i++) {
		struct connection *c = events[i].data.ptr;

		if (c->kind == LISTENER)
			listener_event(c);
		else if (c->kind == STREAM)
			stream_event(c);
		else if (c->kind == QUESTION)
			question_event(c, events[i].events);
	}
	if (moved != before)
		stalled_ms = now_ms();
	if (now_ms() - stalled_ms > STALL_S * 1000 && live(STREAM)) {
		for (struct connection *c = connections; c < connections + CONNECTIONS; c++)
			if (c->kind == STREAM)
				printf("connection %u: sent %llu received %llu, fin %d %d\n", c->number,
				       (unsigned long long)c->sent, (unsigned long long)c->received, c->fin_sent,
				       c->fin_seen);
		errno = ETIMEDOUT;
		die("nothing moves", NULL);
	}
}

static void serve(void)
{
	uint64_t next = 0;

	serving = true;
	listen_at(other.sin_addr.s_addr, ntohs(other.sin_port));
	for (;;) {
		wait_and_work();
		if (now_ms() >= next && live(QUESTION) < 8) {
			ask();
			next = now_ms() + ASK_MS;
		}
	}
}

static void run(uint32_t count, uint32_t seconds)
{
	listen_at(INADDR_ANY, (uint16_t)(ntohs(other.sin_port) + 1));
	for (uint32_t i = 0; i < count; i++) {
		struct connection *c = add(connect_to(&other), STREAM, true);

		c->number = 100 + i;
		c->told = true;
		stream_event(c);
	}
	while (live(STREAM)) {
		wait_and_work();
		if (now_ms() - started_ms < seconds * 1000ull)
			continue;
		for (struct connection *c = connections; c < connections + CONNECTIONS; c++)
			if (c->kind == STREAM && !c->write_ends) {
				c->write_ends = true;
				stream_event(c);
			}
	}
	printf("streams: ok, %llu MiB out, %llu MiB in, %llu questions answered\n", (unsigned long long)total_out >> 20,
	       (unsigned long long)total_in >> 20, (unsigned long long)answered);
}

int main(int argc, char **argv)
{
	if (argc < 4 || (argv[1][0] == 'r' && argc != 6))
		return 2;
	loop = epoll_create1(0);
	started_ms = stalled_ms = now_ms();
	other = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3])) };
	if (inet_pton(AF_INET, argv[2], &other.sin_addr) != 1)
		return 2;
	if (argv[1][0] == 's')
		serve();
	run((uint32_t)atoi(argv[4]), (uint32_t)atoi(argv[5]));
	return 0;
}
