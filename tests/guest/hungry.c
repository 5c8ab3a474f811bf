/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hungry [SECONDS]: takes all the memory there is and holds it. The end of
 * memory is ENOMEM from mmap or a signal at the first touch, and both are fine:
 * a child eats, its parent says how it ended.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static void stop(int sig) { (void)sig; sleep(1); _exit(10); }

static void eat(int seconds)
{
	const size_t piece = 256 << 10, most = 256 << 20; /* on a host it ends here */

	signal(SIGSEGV, stop);
	signal(SIGBUS, stop);
	for (size_t had = 0; had < most; had += piece) {
		char *p = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			break;
		for (size_t i = 0; i < piece; i += 4096)
			p[i] = 1;
	}
	sleep(seconds);
	_exit(10);
}

int main(int argc, char **argv)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		eat(argc > 1 ? atoi(argv[1]) : 0);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
	CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 10) ||
	      (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGSEGV ||
				       WTERMSIG(status) == SIGBUS)));
	return check_end("hungry");
}
