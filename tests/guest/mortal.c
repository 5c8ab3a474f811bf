/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processes that are killed at a random instant of whatever they do: nothing of them stays
 * (test_deaths.py looks). `mortal N SEED`.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static void files(void)
{
	char name[32], page[4096] = "x";
	int fd;

	snprintf(name, sizeof(name), "mortal.%d", (int)getpid() % 16); /* so that they do not grow many */
	fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	for (int i = 0; i < 20 && fd >= 0; i++)
		if (write(fd, page, sizeof(page)) < 0)
			break;
	fsync(fd);
	unlink(name);
	close(fd);
}

static void pipes(void)
{
	int p[2];
	char buf[70000] = { 0 };

	if (pipe(p) == 0 && fork() == 0)
		for (;;)
			if (read(p[0], buf, sizeof(buf)) <= 0)
				_exit(0);
	while (write(p[1], buf, sizeof(buf)) > 0)
		;
}

static void *thread(void *arg)
{
	while (usleep(100) == 0)
		;
	return arg;
}

static void threads(void)
{
	pthread_t t;

	for (int i = 0; i < 8; i++)
		pthread_create(&t, NULL, thread, NULL);
}

static void memory(void)
{
	for (int i = 0; i < 8; i++) {
		char *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, (i & 1 ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

		for (int k = 0; at != MAP_FAILED && k < 1 << 20; k += 8192)
			at[k] = 1;
	}
}

static void sockets(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(a);
	int pair[2], listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int poller = epoll_create1(0);
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };
	char buf[4096] = { 0 };

	socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
	bind(listener, (struct sockaddr *)&a, sizeof(a));
	listen(listener, 4);
	getsockname(listener, (struct sockaddr *)&a, &bytes);
	connect(client, (struct sockaddr *)&a, sizeof(a));
	epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
	epoll_ctl(poller, EPOLL_CTL_ADD, pair[0], &event);
	while (send(pair[0], buf, sizeof(buf), 0) > 0)
		send(client, buf, sizeof(buf), MSG_NOSIGNAL);
}

static void family(void)
{
	for (int i = 0; i < 4; i++)
		if (fork() == 0)
			pause();
}

static void replace(void)
{
	execl("/bin/busybox", "busybox", "sleep", "100", (char *)NULL);
}

static void timers(void)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec often = { { 0, 2000000 }, { 0, 2000000 } };
	timer_t t;

	signal(SIGRTMIN, SIG_IGN);
	for (int i = 0; i < 8 && timer_create(CLOCK_MONOTONIC, &event, &t) == 0; i++)
		timer_settime(t, 0, &often, NULL);
}

static void (*const works[])(void) = { files, pipes, threads, memory, sockets, family, replace, timers };
enum { WORKS = sizeof(works) / sizeof(works[0]) };

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 40, killed = 0;
	unsigned seed = argc > 2 ? (unsigned)atoi(argv[2]) : 1;

	for (int i = 0; i < count; i++) {
		unsigned choice = (unsigned)rand_r(&seed), wait_us = (unsigned)rand_r(&seed) % 4000;
		int status = 0;
		pid_t child = fork();

		if (child == 0) {
			setpgid(0, 0);
			for (;;)
				works[choice++ % WORKS]();
		}
		CHECK(child > 0);
		setpgid(child, child);
		usleep(wait_us);
		kill(-child, SIGKILL);
		CHECK(waitpid(child, &status, 0) == child);
		killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	CHECK(killed == count);
	return check_end("mortal");
}
