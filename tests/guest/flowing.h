/* SPDX-License-Identifier: BSD-2-Clause */
/* What the programs share that look at pipes and streams the kernel carries: results in words, bytes that can be checked. */
#ifndef GUEST_FLOWING_H
#define GUEST_FLOWING_H

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
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

#endif
