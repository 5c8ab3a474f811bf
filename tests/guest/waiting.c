/* SPDX-License-Identifier: BSD-2-Clause */
/* poll, ppoll, select, pselect over pipes and files; clocks and sleeping. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t alarms;
static void handler(int sig) { (void)sig; alarms++; }

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void polling(void)
{
	struct pollfd p[4];
	struct timespec start;
	int fds[2], file = open("/dev/null", O_RDWR);

	CHECK(pipe(fds) == 0);
	p[0] = (struct pollfd){ fds[0], POLLIN, 9 };
	p[1] = (struct pollfd){ fds[1], POLLOUT, 9 };
	p[2] = (struct pollfd){ -1, POLLIN, 9 };
	p[3] = (struct pollfd){ file, POLLIN | POLLOUT, 9 };
	CHECK(poll(p, 4, 0) == 2 && p[0].revents == 0 && p[1].revents == POLLOUT && p[2].revents == 0);
	printf("poll: null %x\n", p[3].revents);
	p[3].fd = 900;
	CHECK(poll(p, 4, -1) == 2 && p[3].revents == POLLNVAL && p[1].revents == POLLOUT);
	clock_gettime(CLOCK_MONOTONIC, &start);
	CHECK(poll(p, 1, 50) == 0 && elapsed_ms(&start) >= 49);
	CHECK(poll(NULL, 0, 10) == 0);
	if (fork() == 0) {
		usleep(50000);
		_exit(write(fds[1], "x", 1) != 1);
	}
	CHECK(poll(p, 1, 5000) == 1 && p[0].revents == POLLIN);
	wait(NULL);
	close(fds[1]);
	CHECK(poll(p, 1, 0) == 1 && p[0].revents == (POLLIN | POLLHUP));
	close(fds[0]);
	close(file);
}

static void selecting(void)
{
	struct timeval tv = { 0, 30000 };
	fd_set in, out;
	int fds[2];

	CHECK(pipe(fds) == 0);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fds[0], &in);
	CHECK(select(fds[0] + 1, &in, NULL, NULL, &tv) == 0 && !FD_ISSET(fds[0], &in));
	FD_SET(fds[0], &in);
	FD_SET(fds[1], &out);
	CHECK(select(fds[1] + 1, &in, &out, NULL, NULL) == 1 && FD_ISSET(fds[1], &out) && !FD_ISSET(fds[0], &in));
	CHECK(write(fds[1], "y", 1) == 1);
	FD_SET(fds[0], &in);
	CHECK(select(fds[1] + 1, &in, &out, NULL, NULL) == 2);
	close(fds[0]);
	close(fds[1]);
	FD_ZERO(&in);
	FD_SET(fds[1], &in); /* just closed: far above, Linux may not look at all */
	FAILS(select(fds[1] + 1, &in, NULL, NULL, NULL), EBADF);
	FAILS(select(-1, NULL, NULL, NULL, NULL), EINVAL);
}

static void with_signals(void)
{
	struct itimerval timer = { .it_value = { 0, 50000 } };
	struct sigaction sa = { .sa_handler = handler };
	struct timespec long_ = { 5, 0 };
	sigset_t block, open_;

	sa.sa_flags = SA_RESTART; /* poll and select are interrupted all the same */
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	FAILS(poll(NULL, 0, 5000), EINTR);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, &open_);
	setitimer(ITIMER_REAL, &timer, NULL);
	usleep(80000);
	CHECK(alarms == 1);
	FAILS(ppoll(NULL, 0, &long_, &open_), EINTR); /* pending already: no sleep */
	CHECK(alarms == 2);
	setitimer(ITIMER_REAL, &timer, NULL);
	FAILS(pselect(0, NULL, NULL, NULL, &long_, &open_), EINTR);
	CHECK(alarms == 3);
	sigprocmask(SIG_SETMASK, &open_, NULL);
	printf("signals: %d\n", alarms);
}

static void clocks(void)
{
	struct timespec start, ts = { 0, 30000000 }, bad = { 0, 1000000000 };
	struct timeval tv;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &start) == 0);
	CHECK(nanosleep(&ts, NULL) == 0 && elapsed_ms(&start) >= 29);
	ts = start;
	ts.tv_sec += 1;
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0 && elapsed_ms(&start) >= 999);
	FAILS(nanosleep(&bad, NULL), EINVAL);
	CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts) == 0);
	FAILS(clock_gettime(77, &ts), EINVAL);
	CHECK(gettimeofday(&tv, NULL) == 0 && tv.tv_sec > 1600000000 && time(NULL) >= tv.tv_sec);
	CHECK(alarm(100) == 0 && alarm(0) == 100);
}

/* A stopped sleep goes on where it was. */
static void stopped_sleep(void)
{
	struct timespec start;
	int status;
	pid_t pid;

	clock_gettime(CLOCK_MONOTONIC, &start);
	pid = fork();
	if (pid == 0) {
		struct timespec ts = { 0, 300000000 };

		_exit(nanosleep(&ts, NULL) == 0 && elapsed_ms(&start) >= 299 ? 0 : 1);
	}
	usleep(50000);
	kill(pid, SIGSTOP);
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	kill(pid, SIGCONT);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	polling();
	selecting();
	with_signals();
	clocks();
	stopped_sleep();
	return check_end("waiting");
}
