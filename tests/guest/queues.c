/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * signalfd and POSIX message queues, with what they share with other
 * descriptors: flags, poll, errors.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static int ready(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, ms) == 1 ? p.revents : 0;
}

/* ---- signalfd ---- */

static void signals_read(void)
{
	struct signalfd_siginfo info[4];
	union sigval value = { .sival_int = 42 };
	sigset_t set;
	pid_t child;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	FAILS(read(fd, info, sizeof(info)), EAGAIN);
	FAILS(read(fd, info, 100), EINVAL);
	CHECK(ready(fd, POLLIN, 0) == 0);
	raise(SIGUSR1);
	CHECK(ready(fd, POLLIN, 1000) == POLLIN);
	CHECK(read(fd, info, sizeof(info)) == sizeof(info[0]));
	CHECK(info[0].ssi_signo == SIGUSR1 && info[0].ssi_code == SI_TKILL && info[0].ssi_pid == (unsigned)getpid());
	CHECK(ready(fd, POLLIN, 0) == 0);
	kill(getpid(), SIGUSR1);
	CHECK(read(fd, info, sizeof(info)) == sizeof(info[0]) && info[0].ssi_code == SI_USER);
	for (int i = 0; i < 3; i++)
		CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
	CHECK(read(fd, info, 2 * sizeof(info[0])) == 2 * sizeof(info[0]));
	CHECK(info[1].ssi_signo == (unsigned)SIGRTMIN && info[1].ssi_int == 42 && info[1].ssi_code == SI_QUEUE);
	CHECK(ready(fd, POLLIN, 1000) == POLLIN);
	CHECK(read(fd, info, sizeof(info)) == sizeof(info[0]));
	CHECK(ready(fd, POLLIN, 0) == 0);
	child = fork();
	if (child == 0)
		_exit(7);
	CHECK(ready(fd, POLLIN, 5000) == POLLIN);
	CHECK(read(fd, info, sizeof(info)) == sizeof(info[0]));
	CHECK(info[0].ssi_signo == SIGCHLD && info[0].ssi_pid == (unsigned)child && info[0].ssi_status == 7 &&
	      info[0].ssi_code == CLD_EXITED);
	waitpid(child, NULL, 0);
	close(fd);
}

static void *sender(void *unused)
{
	usleep(50000);
	kill(getpid(), SIGUSR2);
	return unused;
}

static void signals_waited_for(void)
{
	struct signalfd_siginfo info;
	pthread_t thread;
	sigset_t set;
	int fd, other;

	sigemptyset(&set);
	fd = signalfd(-1, &set, 0);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(signalfd(fd, &set, 0) == fd);
	pthread_create(&thread, NULL, sender, NULL);
	CHECK(read(fd, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGUSR2);
	pthread_join(thread, NULL);
	FAILS(write(fd, &info, sizeof(info)), EINVAL);
	other = open("/dev/null", O_RDONLY);
	FAILS(signalfd(other, &set, 0), EINVAL);
	close(other);
	FAILS(signalfd(other, &set, 0), EBADF);
	FAILS(signalfd(-1, &set, 1), EINVAL);
	close(fd);
}

/* ---- message queues ---- */

#define NAME "/xinim-guest-queue"

static void queues_made(void)
{
	struct mq_attr attr = { .mq_maxmsg = 3, .mq_msgsize = 64 }, got;
	char name[NAME_MAX + 10], line[100];
	struct stat st;
	mqd_t q, again;

	mq_unlink(NAME);
	mq_unlink("/xinim-other");
	FAILS(mq_open(NAME, O_RDONLY), ENOENT);
	q = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0640, &attr);
	CHECK(q >= 0);
	CHECK(fcntl(q, F_GETFD) == FD_CLOEXEC);
	FAILS(mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &attr), EEXIST);
	CHECK(fstat(q, &st) == 0 && S_ISREG(st.st_mode));
	CHECK(mq_getattr(q, &got) == 0 && got.mq_maxmsg == 3 && got.mq_msgsize == 64 && !got.mq_curmsgs && !got.mq_flags);
	again = mq_open(NAME, O_RDONLY | O_NONBLOCK);
	CHECK(again >= 0 && mq_getattr(again, &got) == 0 && got.mq_flags == O_NONBLOCK);
	FAILS(mq_send(again, "x", 1, 0), EBADF);
	attr.mq_flags = O_NONBLOCK;
	CHECK(mq_setattr(q, &attr, &got) == 0 && got.mq_flags == 0);
	CHECK(mq_getattr(q, &got) == 0 && got.mq_flags == O_NONBLOCK);
	attr.mq_flags = O_RDWR;
	FAILS(mq_setattr(q, &attr, NULL), EINVAL);
	attr.mq_flags = 0;
	attr.mq_maxmsg = 0;
	memset(line, 0, sizeof(line));
	CHECK(read(q, line, sizeof(line)) > 0 && !strcmp(line, "QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n"));
	CHECK(read(q, line, sizeof(line)) == 0);
	FAILS(mq_open("/xinim-other", O_RDWR | O_CREAT, 0600, &attr), EINVAL);
	FAILS(mq_open("/xinim/other", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	memset(name, 'a', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = 0;
	FAILS(mq_open(name, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
	FAILS(mq_getattr(0, &got), EBADF);
	CHECK(mq_unlink(NAME) == 0);
	FAILS(mq_unlink(NAME), ENOENT);
	CHECK(mq_send(q, "still", 5, 0) == 0);
	CHECK(mq_close(q) == 0 && mq_close(again) == 0);
}

static void messages_in_order(void)
{
	struct mq_attr attr = { .mq_maxmsg = 4, .mq_msgsize = 3000 };
	struct timespec past = { 1, 0 }, wrong = { 1, 2000000000 };
	static char big[3000];
	char buf[3000];
	unsigned priority;
	mqd_t q = mq_open(NAME, O_RDWR | O_CREAT, 0600, &attr);

	CHECK(ready(q, POLLIN | POLLOUT, 0) == POLLOUT);
	CHECK(mq_send(q, "low", 3, 1) == 0 && mq_send(q, "high", 4, 9) == 0 && mq_send(q, "low2", 4, 1) == 0);
	memset(big, 'b', sizeof(big));
	CHECK(mq_send(q, big, sizeof(big), 5) == 0);
	CHECK(ready(q, POLLIN | POLLOUT, 0) == POLLIN);
	FAILS(mq_timedsend(q, "x", 1, 0, &past), ETIMEDOUT);
	FAILS(mq_timedsend(q, "x", 1, 0, &wrong), EINVAL);
	FAILS(mq_send(q, big, sizeof(big) + 1, 0), EMSGSIZE);
	FAILS(mq_send(q, "x", 1, 32768), EINVAL);
	FAILS(mq_receive(q, buf, 100, NULL), EMSGSIZE);
	CHECK(mq_receive(q, buf, sizeof(buf), &priority) == 4 && priority == 9 && !memcmp(buf, "high", 4));
	CHECK(mq_receive(q, buf, sizeof(buf), &priority) == 3000 && priority == 5 && !memcmp(buf, big, 3000));
	CHECK(mq_receive(q, buf, sizeof(buf), &priority) == 3 && priority == 1 && !memcmp(buf, "low", 3));
	CHECK(mq_receive(q, buf, sizeof(buf), NULL) == 4 && !memcmp(buf, "low2", 4));
	FAILS(mq_timedreceive(q, buf, sizeof(buf), NULL, &past), ETIMEDOUT);
	mq_close(q);
	mq_unlink(NAME);
}

static volatile sig_atomic_t notified, code;

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	notified = info->si_value.sival_int;
	code = info->si_code;
}

static void queues_between_processes(void)
{
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = 16 };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM, .sigev_value.sival_int = 77 };
	struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO };
	char buf[16];
	int sum = 0, status;
	pid_t child;
	mqd_t q = mq_open(NAME, O_RDWR | O_CREAT, 0600, &attr);

	child = fork();
	if (child == 0) {
		for (int i = 1; i <= 20; i++)
			if (mq_send(q, (const char *)&i, sizeof(i), 0))
				_exit(1);
		_exit(0);
	}
	for (int i = 0; i < 20; i++) {
		int n = 0;

		CHECK(mq_receive(q, buf, sizeof(buf), NULL) == sizeof(n));
		memcpy(&n, buf, sizeof(n));
		sum = sum * 3 % 10007 + n;
	}
	printf("received: %d\n", sum);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	sigaction(SIGALRM, &action, NULL);
	CHECK(mq_notify(q, &event) == 0);
	FAILS(mq_notify(q, &event), EBUSY);
	CHECK(mq_send(q, "x", 1, 0) == 0);
	for (int i = 0; i < 100 && !notified; i++)
		usleep(10000);
	CHECK(notified == 77 && code == SI_MESGQ);
	notified = 0;
	CHECK(mq_notify(q, &event) == 0 && mq_notify(q, NULL) == 0);
	event.sigev_signo = 1000;
	FAILS(mq_notify(q, &event), EINVAL);
	mq_close(q);
	mq_unlink(NAME);
}

int main(void)
{
	signals_read();
	signals_waited_for();
	queues_made();
	messages_in_order();
	queues_between_processes();
	return check_end("queues");
}
