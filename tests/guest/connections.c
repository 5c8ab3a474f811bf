/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thousand connections at once, each with data both ways, held by pairs of
 * processes; then many short ones, one after the other. With a number: only so
 * many short ones.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { AT_ONCE = 500, PROCESSES = 2, SHORT = 2000 };

static int listener(struct sockaddr_in *a)
{
	socklen_t length = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(bind(fd, (struct sockaddr *)a, sizeof(*a)) == 0 && listen(fd, 1024) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)a, &length) == 0);
	return fd;
}

static int connected(const struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0);
	return fd;
}

/* The other end: accepts all, gives back what comes until the end of each. */
static int echo(int l)
{
	static struct pollfd p[AT_ONCE];
	int open = 0;

	for (int i = 0; i < AT_ONCE; i++, open++)
		p[i] = (struct pollfd){ accept(l, NULL, NULL), POLLIN, 0 };
	while (open) {
		CHECK(poll(p, AT_ONCE, 30000) > 0);
		for (int i = 0; i < AT_ONCE && !failures; i++) {
			char b[64];
			long n;

			if (p[i].fd < 0 || !p[i].revents)
				continue;
			n = read(p[i].fd, b, sizeof(b));
			if (n > 0) {
				CHECK(write(p[i].fd, b, n) == n);
				continue;
			}
			close(p[i].fd);
			p[i].fd = -1;
			open--;
		}
		if (failures)
			return 1;
	}
	return 0;
}

static int many(void)
{
	static int fds[AT_ONCE];
	struct sockaddr_in a;
	int l = listener(&a), status;

	if (fork() == 0)
		_exit(echo(l));
	close(l);
	for (int i = 0; i < AT_ONCE; i++)
		fds[i] = connected(&a);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < AT_ONCE; i++)
			CHECK(write(fds[i], &i, sizeof(i)) == sizeof(i));
		for (int i = 0; i < AT_ONCE; i++) {
			int back = -1;

			CHECK(read(fds[i], &back, sizeof(back)) == sizeof(back) && back == i);
		}
	}
	for (int i = 0; i < AT_ONCE; i++)
		close(fds[i]);
	CHECK(wait(&status) > 0 && status == 0);
	return failures;
}

static void short_ones(int count)
{
	struct sockaddr_in a;
	int l = listener(&a);

	for (int i = 0; i < count && !failures; i++) {
		int c = connected(&a), s = accept(l, NULL, NULL);
		char b = 0;

		CHECK(s >= 0 && write(c, "x", 1) == 1 && read(s, &b, 1) == 1 && b == 'x');
		close(c);
		CHECK(read(s, &b, 1) == 0);
		close(s);
	}
	close(l);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		short_ones(atoi(argv[1]));
		return check_end("connections");
	}
	for (int i = 0; i < PROCESSES; i++)
		if (fork() == 0)
			_exit(many());
	for (int i = 0; i < PROCESSES; i++) {
		int status = -1;

		CHECK(wait(&status) > 0 && status == 0);
	}
	short_ones(SHORT);
	return check_end("connections");
}
