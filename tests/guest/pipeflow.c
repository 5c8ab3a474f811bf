/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes that are used much (the kernel carries them then), and what ends that. With an argument: so many
 * thousand pieces between two processes, each byte checked; whatever is killed meanwhile.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "flowing.h"

static int r, w;

static void fresh(int flags)
{
	char b[3];
	int p[2];

	if (r)
		close(r), close(w);
	if (pipe2(p, flags))
		exit(1);
	r = p[0];
	w = p[1];
	for (int i = 0; i < 40; i++)
		if (write(w, "abc", 3) != 3 || read(r, b, 3) != 3 || memcmp(b, "abc", 3))
			printf("WRONG\n");
}

static volatile int alarms;
static void on_alarm(int s) { (void)s; alarms++; }

static void odd_ends(void)
{
	static char big[70000];
	char path[40], b[100];
	int n = 0, other;

	fresh(0);
	printf("empty: poll %x %x\n", polled(r, POLLIN), polled(w, POLLOUT));
	write(w, "hello", 5);
	ioctl(r, FIONREAD, &n);
	printf("poll %x, FIONREAD %d\n", polled(r, POLLIN), n);
	printf("size %s", said(fcntl(r, F_SETPIPE_SZ, 131072)));
	printf(", then %s\n", said(read(r, b, sizeof(b))));
	printf("nothing: %s", said(read(w, b, 1)));
	printf(", %s", said(write(r, b, 1)));
	printf(", %s\n", said(lseek(r, 0, SEEK_CUR)));

	fresh(O_NONBLOCK);
	printf("nonblock: %s", said(read(r, b, 1)));
	printf(", %s", said(write(w, big, sizeof(big))));
	printf(", %s, poll %x\n", said(write(w, big, 1)), polled(w, POLLOUT));
	printf("of a page: %s", said(read(r, big, 4095)));
	printf(", room for one more: %x", polled(w, POLLOUT));
	printf(", %s", said(read(r, big, 1)));
	printf(": %x\n", polled(w, POLLOUT));

	fresh(0);
	write(w, "last", 4);
	close(w);
	printf("end: %s", said(read(r, b, sizeof(b))));
	printf(", %s, poll %x\n", said(read(r, b, sizeof(b))), polled(r, POLLIN));
	w = dup(0);
	fresh(0);
	close(r);
	printf("broken: %s", said(write(w, b, 1)));
	printf(", poll %x\n", polled(w, POLLOUT));
	r = dup(0);

	fresh(0);
	write(w, "shared", 6);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r);
	other = open(path, O_RDONLY | O_NONBLOCK);
	printf("opened again: %s", said(read(other, b, 3)));
	printf(", %s", said(read(r, b, 100)));
	printf(", %s\n", said(read(other, b, 100)));
	close(other);
	fresh(0);
	write(w, "peeked", 6);
	{
		int to[2];

		pipe(to);
		printf("tee %s", said(tee(r, to[1], 4, 0)));
		printf(", %s", said(splice(r, NULL, to[1], NULL, 100, 0)));
		printf(", %s\n", said(read(to[0], b, 100)));
	}
	fresh(0);
	printf("bad: %s", said(write(w, (void *)8, 10)));
	write(w, "good", 4);
	printf(", %s", said(read(r, (void *)8, 10)));
	printf(", %s\n", said(read(r, b, 10)));

	fresh(0);
	signal(SIGALRM, on_alarm);
	{
		struct sigaction a = { .sa_handler = on_alarm };

		sigaction(SIGALRM, &a, NULL);
	}
	alarm(1);
	printf("interrupted: %s", said(read(r, b, 1)));
	printf(", %d alarm\n", alarms);
}

/* Pieces of all sizes; at times the reader asks what only vfs knows. */
static int stream(long pieces)
{
	static uint8_t out[20000], in[20000];
	uint64_t put = 0, got = 0;
	unsigned seed = 1;
	long n;

	fresh(0);
	if (fork() == 0) {
		close(r);
		for (long i = 0; i < pieces; i++) {
			size_t bytes = piece(&seed, i, sizeof(out));

			fill_bytes(out, bytes, put);
			for (size_t done = 0; done < bytes; done += (size_t)n)
				if ((n = write(w, out + done, bytes - done)) <= 0)
					_exit(1);
			put += bytes;
		}
		_exit(0);
	}
	close(w);
	w = dup(0);
	seed = 7;
	while ((n = read(r, in, 1 + (size_t)rand_r(&seed) % (sizeof(in) - 1))) > 0) {
		check_bytes(in, (size_t)n, got);
		got += (uint64_t)n;
		if (rand_r(&seed) % 500 == 0)
			fcntl(r, F_SETPIPE_SZ, rand_r(&seed) % 2 ? 1 << 16 : 1 << 17);
	}
	wait(&(int){ 0 });
	printf("%llu bytes, all right\n", (unsigned long long)got);
	return n != 0;
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1)
		return stream(1000 * atol(argv[1]));
	odd_ends();
	fresh(0);
	edges(r, w);
	waits_for_room(r, w);
	return stream(2000);
}
