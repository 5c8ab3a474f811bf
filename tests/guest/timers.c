/* SPDX-License-Identifier: BSD-2-Clause */
/* Queued signals with what they carry, and the timers that send signals. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile int got[64], count;
static siginfo_t last;
static timer_t posix_timer;
static volatile int most_overruns;

static void note(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	last = *info;
	if (info->si_code == SI_TIMER && timer_getoverrun(posix_timer) > most_overruns)
		most_overruns = timer_getoverrun(posix_timer);
	if (count < 64)
		got[count++] = info->si_value.sival_int;
}

static void plain(int sig) { (void)sig; count++; }

static void handle(int sig)
{
	struct sigaction action = { .sa_sigaction = note, .sa_flags = SA_SIGINFO };

	CHECK(sigaction(sig, &action, NULL) == 0);
}

static void block(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(how, &set, NULL);
}

static void queued(void)
{
	int rt = SIGRTMIN + 3;
	struct timespec none = { 0, 0 };
	siginfo_t info;
	sigset_t set;

	handle(rt);
	block(SIG_BLOCK, rt);
	for (int i = 1; i <= 5; i++)
		CHECK(sigqueue(getpid(), rt, (union sigval){ .sival_int = i * 10 }) == 0);
	CHECK(kill(getpid(), rt) == 0);
	count = 0;
	block(SIG_UNBLOCK, rt);
	CHECK(count == 6 && got[0] == 10 && got[4] == 50);
	CHECK(last.si_code == SI_USER && last.si_pid == getpid());
	/* those below 32 are not counted, the first one's sender is told */
	handle(SIGUSR1);
	block(SIG_BLOCK, SIGUSR1);
	CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 1 }) == 0);
	CHECK(sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 2 }) == 0);
	count = 0;
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK(count == 1 && got[0] == 1 && last.si_code == SI_QUEUE);
	/* waited for, oldest and lowest first */
	sigemptyset(&set);
	sigaddset(&set, rt);
	sigaddset(&set, rt + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(sigqueue(getpid(), rt + 1, (union sigval){ .sival_int = 7 }) == 0);
	CHECK(sigqueue(getpid(), rt, (union sigval){ .sival_int = 8 }) == 0);
	CHECK(sigqueue(getpid(), rt, (union sigval){ .sival_int = 9 }) == 0);
	CHECK(sigtimedwait(&set, &info, &none) == rt && info.si_value.sival_int == 8 && info.si_code == SI_QUEUE);
	CHECK(sigtimedwait(&set, &info, &none) == rt && info.si_value.sival_int == 9);
	CHECK(sigtimedwait(&set, &info, &none) == rt + 1 && info.si_value.sival_int == 7);
	FAILS(sigtimedwait(&set, &info, &none), EAGAIN);
	/* ignoring forgets */
	CHECK(sigqueue(getpid(), rt, (union sigval){ .sival_int = 1 }) == 0);
	signal(rt, SIG_IGN);
	signal(rt, plain);
	FAILS(sigtimedwait(&set, &info, &none), EAGAIN);
	FAILS(sigqueue(getpid(), 65, (union sigval){ 0 }), EINVAL);
	CHECK(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &info) == 0);
	pid_t child = fork();
	if (child == 0) {
		info.si_code = SI_USER; /* to pose as kill(2) */
		FAILS(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info), EPERM);
		FAILS(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, (void *)8), EFAULT);
		FAILS(sigtimedwait(&set, &info, &none), EAGAIN); /* nothing pending is inherited */
		_exit(failures != 0);
	}
	int status;
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* A masked signal is kept even if its action is to ignore it. */
static void masked_default_ignored(void)
{
	struct timespec second = { 5, 0 };
	siginfo_t info;
	sigset_t set;
	pid_t child;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	child = fork();
	if (child == 0)
		_exit(4);
	while (waitid(P_PID, child, &info, WEXITED | WNOWAIT) < 0)
		;
	CHECK(sigtimedwait(&set, &info, &second) == SIGCHLD && info.si_pid == child && info.si_status == 4 &&
	      info.si_code == CLD_EXITED);
	CHECK(waitpid(child, NULL, 0) == child);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void posix_timers(void)
{
	struct itimerspec soon = { { 0, 0 }, { 0, 200000000 } }, often = { { 0, 10000000 }, { 0, 1000000 } }, off = { 0 }, now;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 5, .sigev_value.sival_int = 77 };
	struct timespec pause_for = { 60, 0 };
	timer_t t, u;

	handle(SIGRTMIN + 5);
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &t) == 0);
	posix_timer = t;
	count = 0;
	CHECK(timer_settime(t, 0, &soon, NULL) == 0);
	CHECK(timer_gettime(t, &now) == 0 && now.it_value.tv_nsec > 0 && now.it_value.tv_nsec <= 200000000);
	FAILS(nanosleep(&pause_for, NULL), EINTR);
	CHECK(count == 1 && got[0] == 77 && last.si_code == SI_TIMER);
	CHECK(timer_gettime(t, &now) == 0 && now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
	/* masked for a while: one signal, the others are counted */
	block(SIG_BLOCK, SIGRTMIN + 5);
	CHECK(timer_settime(t, 0, &often, NULL) == 0);
	usleep(100000);
	count = 0;
	block(SIG_UNBLOCK, SIGRTMIN + 5);
	for (int i = 0; i < 5000 && count < 2; i++)
		usleep(1000);
	CHECK(count >= 2 && most_overruns >= 5);
	usleep(30000);
	CHECK(timer_settime(t, 0, &off, &now) == 0 && now.it_interval.tv_nsec == 10000000);
	CHECK(timer_create(CLOCK_REALTIME, NULL, &u) == 0);
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	soon.it_value = (struct timespec){ wall.tv_sec + 1000, 0 };
	CHECK(timer_settime(u, TIMER_ABSTIME, &soon, NULL) == 0 && timer_gettime(u, &now) == 0);
	CHECK(now.it_value.tv_sec >= 998 && now.it_value.tv_sec <= 1000);
	CHECK(timer_delete(u) == 0);
	FAILS(timer_create(99, NULL, &u), EINVAL);
	event.sigev_signo = 99;
	FAILS(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &u), EINVAL);
	soon.it_value.tv_nsec = 1000000000;
	FAILS(timer_settime(t, 0, &soon, NULL), EINVAL);
	CHECK(timer_getoverrun(t) >= 0 && timer_delete(t) == 0);
	FAILS(syscall(SYS_timer_gettime, 55, &now), EINVAL);
	FAILS(syscall(SYS_timer_settime, 55, 0, &off, NULL), EINVAL);
	FAILS(syscall(SYS_timer_delete, 55), EINVAL);
}

static void interval_timers(void)
{
	struct itimerval soon = { { 0, 0 }, { 0, 30000 } }, old;
	volatile unsigned spin = 0;

	signal(SIGVTALRM, plain);
	signal(SIGPROF, plain);
	signal(SIGALRM, plain);
	count = 0;
	CHECK(setitimer(ITIMER_VIRTUAL, &soon, NULL) == 0);
	while (count == 0)
		spin++;
	CHECK(setitimer(ITIMER_PROF, &soon, NULL) == 0);
	while (count == 1)
		spin++;
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_usec > 0);
	pause();
	CHECK(count == 3);
	soon.it_value.tv_usec = 1000000;
	FAILS(setitimer(ITIMER_REAL, &soon, NULL), EINVAL);
	FAILS(setitimer(3, &old, NULL), EINVAL);
	FAILS(getitimer(3, &old), EINVAL);
	FAILS(getitimer(ITIMER_REAL, (void *)8), EFAULT);
	CHECK(alarm(100) == 0 && alarm(0) == 100);
}

static void *thread_main(void *arg)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 6);
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN + 6 && info.si_value.sival_int == 123 && info.si_code == SI_QUEUE);
	*(int *)arg = 1;
	return NULL;
}

static void to_a_thread(void)
{
	pthread_t thread;
	int done = 0;

	block(SIG_BLOCK, SIGRTMIN + 6);
	pthread_create(&thread, NULL, thread_main, &done);
	CHECK(sigqueue(getpid(), SIGRTMIN + 6, (union sigval){ .sival_int = 123 }) == 0);
	pthread_join(thread, NULL);
	CHECK(done == 1);
}

static int64_t in_ns(struct timespec t) { return t.tv_sec * 1000000000ll + t.tv_nsec; }

/* The C library's clock (by the vDSO) and the system call's are one. */
static void one_clock(void)
{
	static const clockid_t clocks[] = { CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME };
	struct timespec before, between, after;
	int wrong = 0;

	for (int i = 0; i < 3000; i++) {
		syscall(SYS_clock_gettime, clocks[i % 3], &before);
		clock_gettime(clocks[i % 3], &between);
		syscall(SYS_clock_gettime, clocks[i % 3], &after);
		wrong += in_ns(before) > in_ns(between) || in_ns(between) > in_ns(after);
	}
	CHECK(wrong == 0);
}

int main(void)
{
	one_clock();
	queued();
	masked_default_ignored();
	posix_timers();
	interval_timers();
	to_a_thread();
	return check_end("timers");
}
