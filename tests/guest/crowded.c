/* SPDX-License-Identifier: BSD-2-Clause */
/* A program that fills hundreds of pipes and sockets, and others who use some meanwhile, and afterwards. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static char big[300000], got[300000];

/* As much as is taken; never returns. */
static void fill(int told)
{
	int s[2];

	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 1000, 1000 });
	for (int n = 0; n < 230; n++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s))
			break;
		for (int way = 0; way < 2; way++)
			while (write(s[way], big, sizeof(big)) > 0)
				;
		if (pipe2(s, O_NONBLOCK))
			break;
		while (write(s[1], big, 65536) > 0)
			;
	}
	write(told, "x", 1);
	for (;;)
		pause();
}

/* All the bytes to a child that reads them. */
static void through(int to, int from)
{
	pid_t child = fork();
	size_t done = 0;
	long n;
	int status;

	if (child == 0) {
		close(to);
		while ((n = read(from, got + done, sizeof(got) - done)) > 0)
			done += (size_t)n;
		_exit(done == sizeof(big) && !memcmp(big, got, done) ? 0 : 1);
	}
	close(from);
	CHECK(write(to, big, sizeof(big)) == sizeof(big));
	close(to);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void use(void)
{
	int s[2];

	CHECK(pipe(s) == 0);
	CHECK(write(s[1], big, 4096) == 4096 && read(s[0], got, sizeof(got)) == 4096);
	through(s[1], s[0]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(send(s[0], big, 4096, 0) == 4096 && recv(s[1], got, sizeof(got), 0) == 4096);
	through(s[1], s[0]);
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	for (int i = 0; i < 20; i++)
		CHECK(send(s[0], big, 4000, 0) == 4000 && recv(s[1], got, sizeof(got), 0) == 4000);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	int told[2];
	pid_t greedy;
	char c;

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + (i >> 9));
	CHECK(pipe(told) == 0);
	greedy = fork();
	if (greedy == 0)
		fill(told[1]);
	CHECK(read(told[0], &c, 1) == 1);
	use();
	kill(greedy, SIGKILL);
	waitpid(greedy, NULL, 0);
	use();
	return check_end("crowded");
}
