/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile SECONDS: does to the servers what a program may do at worst, while a neighbour
 * (nice, small, of no interest to it) measures how long its own small calls take.
 *
 *   opens     as many files, pipes, sockets, event and epoll descriptors as it gets, of all
 *             kinds, left to its death to close; and files opened and closed without end
 *   deadlines waits of a microsecond, and waits cut off by a timer's signals
 *   crowd     a thousand threads that call at once
 *   cycles    sockets sent into each other's queues, then closed: nobody can reach them
 *   stuffed   a thousand descriptors in a socket's queue, all dropped with it
 *   spinners  four processes that compute at the lowest priority
 *
 * It prints "p99 of the neighbour: N us alone, M us among them (xR)", what could not
 * be done at all as FAILED, and its number of opens.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { THREADS = 1000, SAMPLES = 100000 };

struct shared { volatile uint64_t opens, waits, calls, cycles, stuffed; };
static struct shared *shared;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- the hostile ones: each for ever, in a process of its own ---- */

static void open_all_kinds(void)
{
	for (int i = 0, fd[2]; ; i++) {
		int ok;

		switch (i % 6) {
		case 0: ok = pipe(fd); break;
		case 1: ok = socketpair(AF_UNIX, SOCK_STREAM, 0, fd); break;
		case 2: ok = open("/etc/passwd", O_RDONLY); break;
		case 3: ok = eventfd(1, 0); break;
		case 4: ok = epoll_create1(0); break;
		default: ok = socket(AF_INET, SOCK_DGRAM, 0); break;
		}
		if (ok < 0 && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS && errno != EAGAIN)
			break; /* its own table is full */
		shared->opens++;
		if (i > 20000)
			break;
	}
}

static void opens(void)
{
	struct rlimit many = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &many);
	for (;;) {
		int fd = 0;

		if (fork() == 0) {
			open_all_kinds();
			_exit(0); /* with all of them at once */
		}
		for (int i = 0; i < 3000; i++, shared->opens++) {
			fd = open("/tmp/hostile", O_RDWR | O_CREAT, 0600);
			close(fd);
		}
		wait(NULL);
	}
}

static void ignore(int signal) { (void)signal; }

static void deadlines(void)
{
	struct itimerval often = { { 0, 200 }, { 0, 200 } };
	struct timespec instant = { 0, 1000 };
	struct timeval instant_tv = { 0, 1 };
	struct sigaction action = { .sa_handler = ignore };
	int p[2], s[2], poller = epoll_create1(0);
	char byte;

	CHECK(pipe(p) == 0 && socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &instant_tv, sizeof(instant_tv));
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (;; shared->waits++) {
		struct pollfd polled[2] = { { p[0], POLLIN, 0 }, { s[0], POLLIN, 0 } };
		struct epoll_event event;

		ppoll(polled, 2, &instant, NULL);
		recv(s[0], &byte, 1, 0);
		epoll_pwait(poller, &event, 1, 1, NULL);
		nanosleep(&instant, NULL);
		read(p[0], &byte, 1);           /* until a signal comes */
	}
}

static void *caller(void *arg)
{
	struct stat st;
	char byte = 0;
	int p[2];

	if (pipe(p))
		return NULL;
	for (;; shared->calls++) {
		stat("/bin/busybox", &st);
		write(p[1], &byte, 1);
		read(p[0], &byte, 1);
	}
	return arg;
}

static void crowd(void)
{
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 32 << 10);
	for (int i = 0; i < THREADS; i++)
		pthread_create(&thread, &small, caller, NULL);
	for (;;)
		pause();
}

static int send_some(int to, const int *what, int count)
{
	static char control[CMSG_SPACE(250 * sizeof(int))];
	char byte = 0;
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	memcpy(CMSG_DATA(c), what, (size_t)count * sizeof(int));
	return (int)sendmsg(to, &m, MSG_DONTWAIT);
}

static int send_one(int to, int what) { return send_some(to, &what, 1); }

static void close_all(void)
{
	for (int fd = 3; fd < 16; fd++)
		close(fd);
}

static void stuffed(void)
{
	int same[250];

	for (;;) {
		int s[2], p[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, s) || pipe(p)) {
			close_all();
			usleep(10000);
			continue;
		}
		for (int i = 0; i < 250; i++)
			same[i] = p[0];
		for (int i = 0; i < 4; i++)
			shared->stuffed += send_some(s[0], same, 250) == 1;
		close_all();
	}
}

/* a's queue holds b, b's holds a, and c, whose queue holds itself, hangs on them. */
static void cycles(void)
{
	for (;;) {
		int a[2], b[2], c[2];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, a) || socketpair(AF_UNIX, SOCK_STREAM, 0, b) ||
		    socketpair(AF_UNIX, SOCK_STREAM, 0, c)) {
			close_all();
			usleep(10000);
			continue;
		}
		send_one(a[0], b[1]);
		send_one(b[0], a[1]);
		send_one(c[0], c[1]);
		shared->cycles += send_one(a[0], c[0]) == 1;
		close_all();
	}
}

static void spinners(void)
{
	nice(19);
	for (volatile uint64_t n = 0; ; n++)
		;
}

/* ---- the neighbour ---- */

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Of a look at a file, a write and a read of one, a byte through a pipe: us. */
static uint32_t p99(double seconds)
{
	static uint32_t us[SAMPLES];
	uint32_t n = 0;
	char buf[512] = "neighbour";
	struct stat st;
	int p[2], fd = open("/tmp/neighbour", O_RDWR | O_CREAT, 0600);
	double end = now() + seconds;

	CHECK(fd >= 0 && pipe(p) == 0);
	while (n < SAMPLES && (now() < end || n < 40)) {
		double start = now();

		CHECK(stat("/bin/busybox", &st) == 0);
		CHECK(pwrite(fd, buf, sizeof(buf), 0) == sizeof(buf) && pread(fd, buf, sizeof(buf), 0) == sizeof(buf));
		CHECK(write(p[1], buf, 1) == 1 && read(p[0], buf, 1) == 1);
		us[n++] = (uint32_t)((now() - start) * 1e6);
		usleep(2000);
	}
	close(fd);
	close(p[0]);
	close(p[1]);
	qsort(us, n, sizeof(us[0]), by_size);
	return us[n * 99 / 100];
}

int main(int argc, char **argv)
{
	void (*const all[])(void) = { opens, deadlines, crowd, cycles, stuffed, spinners, spinners, spinners, spinners };
	int count = sizeof(all) / sizeof(all[0]);
	double seconds = argc > 1 ? atof(argv[1]) : 3;
	const char *only = argc > 2 ? argv[2] : "012345678";
	uint32_t alone, among;
	pid_t pid[9] = { 0 };

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	alone = p99(seconds / 3);
	for (int i = 0; i < count; i++)
		if (strchr(only, '0' + i) && (pid[i] = fork()) == 0) {
			setpgid(0, 0);
			all[i]();
		}
	sleep(1);
	among = p99(seconds);
	for (int i = 0; i < count; i++)
		if (pid[i] > 0)
			kill(-pid[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	printf("p99 of the neighbour: %u us alone, %u us among them (x%u)\n", alone, among, among / (alone ? alone : 1));
	printf("%llu opens, %llu waits, %llu calls of the crowd, %llu cycles, %llu stuffed\n", (unsigned long long)shared->opens,
	       (unsigned long long)shared->waits, (unsigned long long)shared->calls, (unsigned long long)shared->cycles,
	       (unsigned long long)shared->stuffed);
	return check_end("hostile");
}
