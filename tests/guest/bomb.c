/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bomb [SECONDS]: a fork bomb, ended by its first process after some seconds.
 * Every process forks as fast as it can until fork fails, which must be EAGAIN
 * or ENOMEM; afterwards all are gone. On a host: at most BOMB_MAX processes.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { REFUSED = 7, WRONG = 8 };

static void explode(void)
{
	for (;;) {
		pid_t pid = fork();

		if (pid < 0 && errno != EAGAIN && errno != ENOMEM)
			_exit(WRONG);
		if (pid < 0)
			usleep(100000); /* and again: room may come and go */
	}
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 2, status;
	pid_t pid = fork();

	if (pid == 0) {
		if (geteuid() != 0) { /* on a host */
			struct rlimit limit = { 400, 400 };

			setrlimit(RLIMIT_NPROC, &limit);
		}
		setpgid(0, 0);
		explode();
	}
	CHECK(pid > 0);
	sleep(seconds);
	CHECK(kill(-pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (int round = 0; round < 50 && kill(-pid, SIGKILL) == 0; round++)
		usleep(100000); /* orphans: init reaps them */
	CHECK(kill(-pid, 0) < 0 && errno == ESRCH);
	pid = fork();
	if (pid == 0)
		_exit(0);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	return check_end("bomb");
}
