/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UNIX streams that are used much (the kernel carries them then), and what ends that. With an argument: so
 * many thousand pieces each way between two processes, each byte checked; whatever is killed meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "flowing.h"

static int a, b;

/* A pair that has been used much, each way. */
static void fresh(int flags)
{
	char text[3];
	int s[2];

	if (a)
		close(a), close(b);
	if (socketpair(AF_UNIX, SOCK_STREAM | flags, 0, s))
		exit(1);
	a = s[0];
	b = s[1];
	for (int i = 0; i < 40; i++)
		if (write(a, "abc", 3) != 3 || read(b, text, 3) != 3 || memcmp(text, "abc", 3) ||
		    send(b, "xyz", 3, 0) != 3 || recv(a, text, 3, 0) != 3 || memcmp(text, "xyz", 3))
			printf("WRONG\n");
}

/* Some bytes, and a descriptor if there is one to give. */
static long send_with(int fd, const char *text, int given)
{
	union { struct cmsghdr h; char bytes[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct iovec v[2] = { { (void *)text, 1 }, { (void *)(text + 1), strlen(text) - 1 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };

	if (given >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(&control.h), &given, sizeof(int));
	}
	return sendmsg(fd, &m, 0);
}

static long receive_with(int fd, char *text, size_t bytes, int flags, int *got)
{
	union { struct cmsghdr h; char bytes[CMSG_SPACE(sizeof(int))]; } control = { 0 };
	struct iovec v = { text, bytes };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	long n = recvmsg(fd, &m, flags);

	*got = -1;
	if (n >= 0 && m.msg_controllen && control.h.cmsg_type == SCM_RIGHTS)
		memcpy(got, CMSG_DATA(&control.h), sizeof(int));
	return n;
}

static volatile int alarms;
static void on_alarm(int s) { (void)s; alarms++; }

static void odd_ends(void)
{
	char text[100];
	int n = 0, given;

	fresh(0);
	printf("empty: poll %x %x\n", polled(a, POLLIN), polled(b, POLLOUT));
	write(a, "hello", 5);
	ioctl(b, FIONREAD, &n);
	printf("poll %x, FIONREAD %d", polled(b, POLLIN), n);
	printf(", peeked %s", said(recv(b, text, 3, MSG_PEEK)));
	printf(", nothing the other way: %s", said(recv(a, text, 3, MSG_DONTWAIT)));
	printf(", then %s\n", said(read(b, text, sizeof(text))));

	fresh(SOCK_NONBLOCK);
	printf("nonblock: %s", said(read(a, text, 1)));
	printf(", peeked: %s", said(recv(a, text, 1, MSG_PEEK)));
	printf(", %s\n", said(recv(a, text, 1, MSG_PEEK)));

	fresh(0);
	printf("gathered %s", said(send_with(a, "gathered", -1)));
	write(a, "+more", 5);
	printf(", %s", said(read(b, text, sizeof(text))));
	printf(" %.13s\n", text);

	fresh(0);
	write(a, "before", 6);
	printf("descriptor: %s", said(send_with(a, "with", a)));
	write(a, "after", 5);
	n = (int)receive_with(b, text, 6, 0, &given);
	printf(", %d %.6s %s", n, text, given >= 0 ? "too early" : "none");
	n = (int)receive_with(b, text, sizeof(text), 0, &given);
	printf(", %d %.4s %s", n, text, given >= 0 ? "came" : "none");
	n = (int)receive_with(b, text, sizeof(text), 0, &given);
	printf(", %d %.5s %s\n", n, text, given >= 0 ? "twice" : "none");

	fresh(0);
	write(a, "last", 4);
	shutdown(a, SHUT_WR);
	printf("shut: poll %x", polled(b, POLLIN | POLLRDHUP));
	printf(", %s", said(read(b, text, sizeof(text))));
	printf(", %s", said(read(b, text, sizeof(text))));
	printf(", %s", said(write(a, "x", 1)));
	printf(", back %s", said(write(b, "back", 4)));
	printf(" %s\n", said(read(a, text, sizeof(text))));

	fresh(0);
	write(a, "last", 4);
	close(a);
	printf("end: %s", said(read(b, text, sizeof(text))));
	printf(", %s, poll %x", said(read(b, text, sizeof(text))), polled(b, POLLIN | POLLOUT));
	printf(", %s\n", said(write(b, "x", 1)));
	a = dup(0);

	fresh(0);
	write(a, "unread", 6);
	close(b);
	printf("unread: %s", said(read(a, text, sizeof(text))));
	printf(", %s\n", said(read(a, text, sizeof(text))));
	b = dup(0);

	fresh(0);
	printf("nothing: %s", said(send(a, text, 0, MSG_DONTWAIT)));
	printf(", %s", said(write(a, text, 0)));
	printf(", %s\n", said(read(b, text, 0)));
	printf("bad: %s", said(write(a, (void *)8, 10)));
	write(a, "good", 4);
	printf(", %s", said(read(b, (void *)8, 10)));
	printf(", %s\n", said(read(b, text, 10)));

	fresh(0);
	setsockopt(a, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){ 0, 50000 }, sizeof(struct timeval));
	printf("time-out: %s", said(read(a, text, 1)));
	write(b, "in time", 7);
	printf(", %s\n", said(read(a, text, 10)));

	fresh(0);
	sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_alarm }, NULL);
	alarm(1);
	printf("interrupted: %s", said(read(a, text, 1)));
	printf(", %d alarm\n", alarms);
}

/* Pieces of all sizes; with oddities, at times one that the kernel does not know. */
static void put(int fd, long pieces, unsigned seed, bool odd)
{
	static uint8_t out[20000];
	uint64_t done = 0;
	long n;

	for (long i = 0; i < pieces; i++) {
		size_t bytes = piece(&seed, i, sizeof(out));

		fill_bytes(out, bytes, done);
		for (size_t at = 0; at < bytes; at += (size_t)n) {
			struct iovec v[2] = { { out + at, 1 }, { out + at + 1, bytes - at - 1 } };
			struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 };

			if (odd && i == pieces / 2)
				n = sendmsg(fd, &m, 0);
			else
				n = i % 2 ? send(fd, out + at, bytes - at, 0) : write(fd, out + at, bytes - at);
			if (n <= 0) {
				printf("WRONG: %s when sending\n", strerror(errno));
				exit(1);
			}
		}
		done += bytes;
	}
	shutdown(fd, SHUT_WR);
}

static void get(const char *who, int fd, unsigned seed, bool odd)
{
	static uint8_t in[20000];
	uint64_t got = 0;
	long n;

	while ((n = read(fd, in, 1 + (size_t)rand_r(&seed) % (sizeof(in) - 1))) > 0) {
		check_bytes(in, (size_t)n, got);
		got += (uint64_t)n;
		if (odd && rand_r(&seed) % 2000 == 0)
			recv(fd, in, 10, MSG_PEEK | MSG_DONTWAIT);
	}
	if (n)
		printf("WRONG: %s when receiving\n", strerror(errno));
	else
		printf("%s: %llu bytes, all right\n", who, (unsigned long long)got);
}

/* Both ways at once; a process for each end and way. */
static void streams(long pieces, bool odd)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, s))
		exit(1);
	fflush(stdout);
	for (int end = 0; end < 2; end++)
		if (fork() == 0) {
			close(s[1 - end]);
			if (fork() == 0) {
				put(s[end], pieces, 1, odd);
				exit(0);
			}
			get("a way", s[end], 7, odd);
			wait(&(int){ 0 });
			exit(0);
		}
	close(s[0]);
	close(s[1]);
	while (wait(&(int){ 0 }) > 0)
		;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc == 1) {
		odd_ends();
		fresh(0);
		edges(b, a);
		waits_for_room(b, a);
	}
	streams(argc > 1 ? 1000 * atol(argv[1]) : 1000, false);
	streams(argc > 1 ? 1000 * atol(argv[1]) : 1000, true);
	return 0;
}
