/* SPDX-License-Identifier: BSD-2-Clause */
/* What the programs share that look at pipes and streams the kernel carries: results in words, bytes that can be checked. */
#ifndef GUEST_FLOWING_H
#define GUEST_FLOWING_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

/* A number, or what errno says. */
static inline const char *said(long n)
{
	static char text[64];

	if (n < 0)
		snprintf(text, sizeof(text), "%s", strerror(errno));
	else
		snprintf(text, sizeof(text), "%ld", n);
	return text;
}

static inline int polled(int fd, int what)
{
	struct pollfd p = { fd, (short)what, 0 };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* The bytes of a stream from its n-th on: filled in, or compared (the program ends if they differ). */
static inline uint8_t nth(uint64_t n) { return (uint8_t)(n * 31 + (n >> 8)); }

static inline void fill_bytes(uint8_t *out, size_t bytes, uint64_t n)
{
	for (size_t k = 0; k < bytes; k++)
		out[k] = nth(n + k);
}

static inline void check_bytes(const uint8_t *in, size_t bytes, uint64_t n)
{
	for (size_t k = 0; k < bytes; k++)
		if (in[k] != nth(n + k)) {
			printf("WRONG at %llu\n", (unsigned long long)(n + k));
			exit(1);
		}
}

/* Mostly small ones. */
static inline size_t piece(unsigned *seed, long i, size_t most)
{
	return 1 + (size_t)rand_r(seed) % (i % 8 ? 300 : most - 1);
}

/* Of an edge-triggered wait, when `reads` is told of what `writes` sends. */
static inline void edges(int reads, int writes)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLET }, got;
	int ep = epoll_create1(0), n[4];
	char text[10];

	epoll_ctl(ep, EPOLL_CTL_ADD, reads, &e);
	n[0] = epoll_wait(ep, &got, 1, 0);
	write(writes, "a", 1);
	n[1] = epoll_wait(ep, &got, 1, 0);
	n[2] = epoll_wait(ep, &got, 1, 0);
	write(writes, "b", 1);
	n[3] = epoll_wait(ep, &got, 1, 0);
	printf("edges %d %d %d %d\n", n[0], n[1], n[2], n[3]);
	read(reads, text, sizeof(text));
	close(ep);
}

/* A child reads 4 MiB with large reads, while we write pieces of `bytes`, each time after a wait for room:
 * a reader and a writer inside the kernel at once must not leave the writer waiting. False: it waited in vain. */
static inline bool room_comes(int reads, int writes, size_t bytes, uint32_t events)
{
	static uint8_t buffer[1 << 16];
	struct epoll_event e = { .events = events }, got;
	size_t total = 4 << 20, done = 0;
	int ep = epoll_create1(0);
	pid_t child = fork();

	if (child == 0) {
		for (ssize_t n; done < total && (n = read(reads, buffer, sizeof(buffer))) > 0; done += (size_t)n)
			check_bytes(buffer, (size_t)n, done);
		_exit(0);
	}
	fcntl(writes, F_SETFL, fcntl(writes, F_GETFL) | O_NONBLOCK);
	epoll_ctl(ep, EPOLL_CTL_ADD, writes, &e);
	while (done < total) {
		size_t part = bytes < total - done ? bytes : total - done;
		ssize_t n;

		fill_bytes(buffer, part, done);
		n = write(writes, buffer, part);
		done += n > 0 ? (size_t)n : 0;
		/* Who is told of changes waits when there was less room than it wanted, others each time. */
		if ((!(events & EPOLLET) || n < (ssize_t)part) && epoll_wait(ep, &got, 1, 60000) <= 0)
			break;
	}
	kill(child, done < total ? SIGKILL : 0);
	close(ep);
	wait(NULL);
	return done == total;
}

static inline void waits_for_room(int reads, int writes)
{
	printf("room for 512 comes: %d\n", room_comes(reads, writes, 512, EPOLLOUT));
	printf("room for 60,000 comes: %d\n", room_comes(reads, writes, 60000, EPOLLOUT | EPOLLET));
}

#endif
