/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bulk send|receive|take|give ADDRESS PORT MIB
 *
 * One TCP stream in blocks of 128 KiB. `send` and `receive` connect; `take` and
 * `give` listen at that address and are the other end of these. Each 8 bytes are
 * a function of their place in the stream, and the receiver compares them all.
 * Says how many Mbit/s went through, by its own clock, from the connection to
 * the last byte. Fails where a block cannot be written, or no byte comes, in 30 s; the connection
 * is reset then, so that the other end does not take it for the end of the stream.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 128 << 10, STALL_S = 30 };

static uint64_t block[BLOCK / 8];
static int fd = -1;

static uint64_t word_at(uint64_t n) { return (n + 1) * 0x9e3779b97f4a7c15ull; }

static void die(const char *what, uint64_t at)
{
	struct linger reset = { .l_onoff = 1, .l_linger = 0 };

	printf("%s at byte %llu: %m\n", what, (unsigned long long)at);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	exit(1);
}

static void connection(const char *how, const char *address, int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct timeval limit = { .tv_sec = STALL_S };
	int one = 1;

	fd = socket(AF_INET, SOCK_STREAM, 0);
	inet_pton(AF_INET, address, &a.sin_addr);
	if (*how == 's' || *how == 'r') {
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
			die("connect", 0);
	} else {
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 1))
			die("listen", 0);
		puts("listens");
		fflush(stdout);
		fd = accept(fd, NULL, NULL);
		if (fd < 0)
			die("accept", 0);
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
}

static void send_all(uint64_t bytes)
{
	char extra;

	for (uint64_t at = 0; at < bytes; at += BLOCK) {
		for (uint64_t i = 0; i < BLOCK / 8; i++)
			block[i] = word_at(at / 8 + i);
		if (write(fd, block, BLOCK) != BLOCK) /* a part of it, and no error: time was up */
			die("write", at);
	}
	shutdown(fd, SHUT_WR);
	if (read(fd, &extra, 1) != 0)
		die("the other end", bytes);
}

static void receive_all(uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += BLOCK) {
		for (ssize_t done = 0, n; done < BLOCK; done += n) {
			n = read(fd, (char *)block + done, BLOCK - done);
			if (n <= 0)
				die("read", at + done);
		}
		for (uint64_t i = 0; i < BLOCK / 8; i++)
			if (block[i] != word_at(at / 8 + i))
				die("wrong", at + 8 * i);
	}
	if (read(fd, block, 1) != 0)
		die("too much", bytes);
}

int main(int argc, char **argv)
{
	struct timespec from, to;
	uint64_t bytes;
	double seconds;

	if (argc != 5 || !strstr("send receive take give", argv[1])) {
		fprintf(stderr, "bulk send|receive|take|give ADDRESS PORT MIB\n");
		return 2;
	}
	bytes = strtoull(argv[4], NULL, 10) << 20;
	connection(argv[1], argv[2], atoi(argv[3]));
	clock_gettime(CLOCK_MONOTONIC, &from);
	if (!strcmp(argv[1], "send") || !strcmp(argv[1], "give"))
		send_all(bytes);
	else
		receive_all(bytes);
	clock_gettime(CLOCK_MONOTONIC, &to);
	seconds = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	printf("%s: %llu bytes, %.0f Mbit/s\n", argv[1], (unsigned long long)bytes, (double)bytes * 8 / 1e6 / seconds);
	return 0;
}
