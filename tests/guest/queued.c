/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Each signal comes once, with what was sent along: of an ordinary signal, sent when the one before
 * has been taken; of a queued one, many at once; of a child's end. `queued N`: N rounds.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

enum { BURST = 5 };

static void queue(pid_t to, int sig, int value)
{
	union sigval v = { .sival_int = value };

	while (sigqueue(to, sig, v) && errno == EAGAIN)
		usleep(1000);
}

/* Takes one of the set: it is this, with this value, from this process. */
static void expect(const sigset_t *set, int sig, int value, pid_t from)
{
	siginfo_t info;
	int got;

	while ((got = sigwaitinfo(set, &info)) < 0 && errno == EINTR)
		;
	if (got != sig || info.si_value.sival_int != value || info.si_pid != from) {
		printf("FAILED: signal %d value %d (wanted %d, %d), %s the sender\n", got, info.si_value.sival_int, sig, value,
		       info.si_pid == from ? "of" : "not of");
		failures++;
	}
}

static int receiver(const sigset_t *set, int rounds, pid_t from, int ready)
{
	struct timespec soon = { 0, 20000000 };

	for (int i = 0; i < rounds && !failures; i++) {
		expect(set, SIGUSR1, i, from);
		for (int k = 0; k < BURST; k++)
			expect(set, SIGRTMIN + 1, i * BURST + k, from);
		CHECK(write(ready, "x", 1) == 1);
	}
	CHECK(sigtimedwait(set, NULL, &soon) < 0 && errno == EAGAIN);
	return failures != 0;
}

static void ends(const sigset_t *set, int rounds)
{
	for (int i = 0; i < rounds && !failures; i++) {
		siginfo_t info = { 0 };
		int status = 0;
		pid_t child = fork();

		if (child == 0)
			_exit(i & 0x7f);
		CHECK(sigwaitinfo(set, &info) == SIGCHLD && info.si_pid == child && info.si_status == (i & 0x7f));
		CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == (i & 0x7f));
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 20, ready[2], status = 0;
	pid_t self = getpid(), child;
	sigset_t set, chld;
	char c;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMIN + 1);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && sigprocmask(SIG_BLOCK, &chld, NULL) == 0);
	CHECK(pipe(ready) == 0);
	fflush(stdout);
	child = fork();
	if (child == 0)
		exit(receiver(&set, rounds, self, ready[1]));
	close(ready[1]);
	for (int i = 0; i < rounds; i++) {
		queue(child, SIGUSR1, i);
		for (int k = 0; k < BURST; k++)
			queue(child, SIGRTMIN + 1, i * BURST + k);
		if (read(ready[0], &c, 1) != 1)
			break; /* it has failed, and said why */
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	expect(&chld, SIGCHLD, 0, child);
	ends(&chld, rounds);
	return check_end("queued");
}
