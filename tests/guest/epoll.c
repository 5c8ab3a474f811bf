/* SPDX-License-Identifier: BSD-2-Clause */
/* epoll (level, edge, once, nested), eventfd, timerfd, and poll on all of them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static struct epoll_event events[8];

static int set(int ep, int op, int fd, uint32_t mask, uint64_t data)
{
	struct epoll_event e = { .events = mask, .data.u64 = data };

	return epoll_ctl(ep, op, fd, &e);
}

static int ready(int ep) { return epoll_wait(ep, events, 8, 0); }

static void level_edge_once(void)
{
	int p[2], ep = epoll_create1(EPOLL_CLOEXEC);
	char buf[16];

	CHECK(ep >= 0 && fcntl(ep, F_GETFD) == FD_CLOEXEC);
	CHECK(pipe(p) == 0 && set(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 11) == 0);
	CHECK(ready(ep) == 0);
	CHECK(write(p[1], "ab", 2) == 2);
	CHECK(ready(ep) == 1 && events[0].data.u64 == 11 && events[0].events == EPOLLIN);
	CHECK(ready(ep) == 1); /* level: still */
	CHECK(set(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLET, 12) == 0);
	CHECK(ready(ep) == 1 && events[0].data.u64 == 12);
	CHECK(ready(ep) == 0); /* edge: not again */
	CHECK(write(p[1], "c", 1) == 1);
	CHECK(ready(ep) == 1 && ready(ep) == 0);
	CHECK(read(p[0], buf, 1) == 1 && ready(ep) == 0);
	CHECK(set(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 13) == 0);
	CHECK(ready(ep) == 1 && ready(ep) == 0);
	CHECK(write(p[1], "d", 1) == 1 && ready(ep) == 0);
	CHECK(set(ep, EPOLL_CTL_MOD, p[0], EPOLLIN | EPOLLONESHOT, 14) == 0 && ready(ep) == 1);
	CHECK(set(ep, EPOLL_CTL_ADD, p[1], EPOLLOUT, 15) == 0);
	CHECK(ready(ep) == 1 && events[0].data.u64 == 15 && events[0].events == EPOLLOUT);
	CHECK(set(ep, EPOLL_CTL_DEL, p[1], 0, 0) == 0 && ready(ep) == 0);
	CHECK(set(ep, EPOLL_CTL_MOD, p[0], EPOLLIN, 16) == 0);
	CHECK(read(p[0], buf, sizeof(buf)) == 3 && ready(ep) == 0);
	close(p[1]);
	CHECK(ready(ep) == 1 && events[0].events == EPOLLHUP);
	close(p[0]); /* leaves the set */
	CHECK(ready(ep) == 0);
	close(ep);
}

static void errors(void)
{
	int p[2], ep = epoll_create(1), other = epoll_create1(0), file = open("/etc/passwd", O_RDONLY);
	struct stat st;
	char c;

	CHECK(pipe(p) == 0);
	FAILS(syscall(SYS_epoll_create, 0), EINVAL);
	FAILS(epoll_create1(1), EINVAL);
	FAILS(set(ep, EPOLL_CTL_ADD, 999, EPOLLIN, 0), EBADF);
	FAILS(set(999, EPOLL_CTL_ADD, p[0], EPOLLIN, 0), EBADF);
	FAILS(set(p[1], EPOLL_CTL_ADD, p[0], EPOLLIN, 0), EINVAL);
	FAILS(set(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 0), EINVAL);
	FAILS(set(ep, 77, p[0], EPOLLIN, 0), EINVAL);
	FAILS(set(ep, EPOLL_CTL_MOD, p[0], EPOLLIN, 0), ENOENT);
	FAILS(set(ep, EPOLL_CTL_DEL, p[0], EPOLLIN, 0), ENOENT);
	FAILS(set(ep, EPOLL_CTL_ADD, file, EPOLLIN, 0), EPERM);
	FAILS(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], NULL), EFAULT);
	CHECK(set(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 0) == 0);
	FAILS(set(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 0), EEXIST);
	FAILS(epoll_wait(ep, events, 0, 0), EINVAL);
	FAILS(epoll_wait(ep, events, -1, 0), EINVAL);
	FAILS(epoll_wait(p[0], events, 1, 0), EINVAL);
	FAILS(epoll_wait(999, events, 1, 0), EBADF);
	CHECK(write(p[1], "x", 1) == 1);
	FAILS(epoll_wait(ep, (void *)8, 1, 0), EFAULT);
	FAILS(read(ep, &c, 1), EINVAL);
	FAILS(write(ep, &c, 1), EINVAL);
	CHECK(lseek(ep, 5, SEEK_SET) == 0);
	CHECK(fstat(ep, &st) == 0 && fcntl(ep, F_GETFL) == O_RDWR);
	CHECK(set(ep, EPOLL_CTL_ADD, other, EPOLLIN, 0) == 0);
	FAILS(set(other, EPOLL_CTL_ADD, ep, EPOLLIN, 0), ELOOP);
	close(ep);
	close(other);
	close(p[0]);
	close(p[1]);
	close(file);
}

static void nested(void)
{
	int p[2], inner = epoll_create1(0), outer = epoll_create1(0), copy;
	struct pollfd poll_inner = { inner, POLLIN, 0 };
	fd_set fds;
	struct timeval none = { 0, 0 };

	CHECK(pipe(p) == 0 && set(inner, EPOLL_CTL_ADD, p[0], EPOLLIN, 1) == 0);
	CHECK(set(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 2) == 0);
	CHECK(ready(outer) == 0 && poll(&poll_inner, 1, 0) == 0);
	CHECK(write(p[1], "x", 1) == 1);
	CHECK(ready(outer) == 1 && events[0].data.u64 == 2 && events[0].events == EPOLLIN);
	CHECK(poll(&poll_inner, 1, 0) == 1 && poll_inner.revents == POLLIN);
	FD_ZERO(&fds);
	FD_SET(outer, &fds);
	CHECK(select(outer + 1, &fds, NULL, NULL, &none) == 1);
	copy = dup(p[0]); /* the entry lives as long as the open file */
	close(p[0]);
	CHECK(ready(inner) == 1);
	close(copy);
	CHECK(ready(inner) == 0 && ready(outer) == 0);
	close(inner);
	CHECK(ready(outer) == 0);
	close(outer);
	close(p[1]);
}

static void *later(void *arg)
{
	struct timespec t = { 0, 50000000 };

	nanosleep(&t, NULL);
	CHECK(write(*(int *)arg, "w", 1) == 1);
	return NULL;
}

static void handler(int sig) { (void)sig; }

static void waiting(void)
{
	struct itimerspec soon = { { 0, 0 }, { 0, 30000000 } };
	struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	int p[2], ep = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0);
	sigset_t all, old;
	pthread_t thread;
	uint64_t count;
	pid_t child;

	CHECK(pipe(p) == 0 && set(ep, EPOLL_CTL_ADD, p[0], EPOLLIN, 1) == 0);
	pthread_create(&thread, NULL, later, &p[1]);
	CHECK(epoll_wait(ep, events, 8, -1) == 1 && events[0].data.u64 == 1);
	pthread_join(thread, NULL);
	CHECK(set(ep, EPOLL_CTL_MOD, p[0], 0, 1) == 0);
	CHECK(epoll_wait(ep, events, 8, 20) == 0);
	CHECK(set(ep, EPOLL_CTL_ADD, timer, EPOLLIN, 2) == 0 && timerfd_settime(timer, 0, &soon, NULL) == 0);
	CHECK(epoll_wait(ep, events, 8, 5000) == 1 && events[0].data.u64 == 2);
	CHECK(read(timer, &count, 8) == 8 && count == 1);
	/* A signal ends it, SA_RESTART or not; a mask keeps it out until the wait. */
	sigaction(SIGALRM, &action, NULL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	raise(SIGALRM);
	CHECK(epoll_wait(ep, events, 8, 20) == 0);
	FAILS(epoll_pwait(ep, events, 8, 5000, &old), EINTR);
	sigprocmask(SIG_SETMASK, &old, NULL);
	child = fork(); /* shares the set */
	if (child == 0)
		_exit(set(ep, EPOLL_CTL_DEL, timer, 0, 0) == 0 && set(ep, EPOLL_CTL_MOD, p[0], EPOLLIN, 9) == 0 ? 3 : 4);
	int status;
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
	CHECK(ready(ep) == 1 && events[0].data.u64 == 9);
	close(ep);
	close(timer);
	close(p[0]);
	close(p[1]);
}

static void *drain(void *arg)
{
	struct timespec t = { 0, 50000000 };
	uint64_t value;

	nanosleep(&t, NULL);
	CHECK(read(*(int *)arg, &value, 8) == 8);
	return NULL;
}

static void event_counter(void)
{
	int e = eventfd(3, EFD_NONBLOCK), s = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK), b = eventfd(0, EFD_CLOEXEC);
	struct pollfd p = { e, POLLIN | POLLOUT, 0 };
	uint64_t value = 0;
	pthread_t thread;
	char small[4];

	FAILS(eventfd(0, 64), EINVAL);
	CHECK(read(e, &value, 8) == 8 && value == 3);
	FAILS(read(e, &value, 8), EAGAIN);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	value = 5;
	CHECK(write(e, &value, 8) == 8 && write(e, &value, 8) == 8);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
	CHECK(read(e, &value, 8) == 8 && value == 10);
	FAILS(read(e, small, 4), EINVAL);
	FAILS(write(e, small, 4), EINVAL);
	value = UINT64_MAX;
	FAILS(write(e, &value, 8), EINVAL);
	value = UINT64_MAX - 1;
	CHECK(write(e, &value, 8) == 8 && poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	value = 1;
	FAILS(write(e, &value, 8), EAGAIN);
	CHECK(read(s, &value, 8) == 8 && value == 1 && read(s, &value, 8) == 8 && value == 1);
	FAILS(read(s, &value, 8), EAGAIN);
	CHECK(fcntl(e, F_GETFL) == (O_RDWR | O_NONBLOCK) && fcntl(b, F_GETFD) == FD_CLOEXEC);
	/* Blocking: a writer that does not fit waits for a reader. */
	value = UINT64_MAX - 1;
	CHECK(write(b, &value, 8) == 8);
	pthread_create(&thread, NULL, drain, &b);
	value = 7;
	CHECK(write(b, &value, 8) == 8);
	pthread_join(thread, NULL);
	CHECK(read(b, &value, 8) == 8 && value == 7);
	close(e);
	close(s);
	close(b);
}

static void timer_counter(void)
{
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), p[2];
	struct itimerspec off = { { 0, 0 }, { 0, 0 } }, often = { { 0, 5000000 }, { 0, 1 } }, now, once = off;
	struct pollfd watch = { t, POLLIN, 0 };
	uint64_t count;

	FAILS(timerfd_create(5, 0), EINVAL);
	FAILS(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
	CHECK(timerfd_gettime(t, &now) == 0 && now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
	FAILS(read(t, &count, 8), EAGAIN);
	CHECK(timerfd_settime(t, 0, &often, NULL) == 0 && poll(&watch, 1, 5000) == 1);
	usleep(30000);
	CHECK(read(t, &count, 8) == 8 && count >= 5);
	CHECK(timerfd_gettime(t, &now) == 0 && now.it_interval.tv_nsec == 5000000 && now.it_value.tv_nsec <= 5000000);
	CHECK(timerfd_settime(t, 0, &off, &now) == 0 && now.it_interval.tv_nsec == 5000000);
	FAILS(read(t, &count, 8), EAGAIN);
	clock_gettime(CLOCK_MONOTONIC, &once.it_value); /* past by now */
	CHECK(timerfd_settime(t, TFD_TIMER_ABSTIME, &once, NULL) == 0 && poll(&watch, 1, 1000) == 1);
	CHECK(read(t, &count, 8) == 8 && count == 1);
	once.it_value.tv_nsec = 1000000000;
	FAILS(timerfd_settime(t, 0, &once, NULL), EINVAL);
	FAILS(timerfd_settime(t, 8, &off, NULL), EINVAL);
	FAILS(timerfd_settime(999, 0, &off, NULL), EBADF);
	CHECK(pipe(p) == 0);
	FAILS(timerfd_settime(p[0], 0, &off, NULL), EINVAL);
	FAILS(timerfd_gettime(p[0], &now), EINVAL);
	FAILS(write(t, &count, 8), EINVAL);
	FAILS(timerfd_gettime(t, (void *)8), EFAULT);
	fcntl(t, F_SETFL, 0);
	once.it_value.tv_sec = 0;
	once.it_value.tv_nsec = 20000000;
	CHECK(timerfd_settime(t, 0, &once, NULL) == 0 && read(t, &count, 8) == 8 && count == 1);
	close(t);
	close(p[0]);
	close(p[1]);
}

int main(void)
{
	level_edge_once();
	errors();
	nested();
	waiting();
	event_counter();
	timer_counter();
	return check_end("epoll");
}
