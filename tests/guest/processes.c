/* SPDX-License-Identifier: BSD-2-Clause */
/* fork, vfork, exec, wait, pipes, ids, posix_spawn. Runs itself with arguments. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static int value = 1;
extern char **environ;
static const char *self;

static void fork_copies(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		value = 2;
		_exit(getpid() != getppid() && value == 2 ? 5 : 6);
	}
	CHECK(pid > 0);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
	CHECK(value == 1);
	FAILS(waitpid(pid, &status, 0), ECHILD);
	FAILS(waitpid(-1, &status, WNOHANG), ECHILD);
	FAILS(wait4(-1, NULL, 0xffff, NULL), EINVAL);
}

static void pipes(void)
{
	char buf[64];
	int fds[2];
	pid_t pid;

	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], 1);
		execl(self, self, "echo", "hello", "", "two words", (char *)NULL);
		_exit(127);
	}
	close(fds[1]);
	memset(buf, 0, sizeof(buf));
	for (ssize_t n, at = 0; (n = read(fds[0], buf + at, sizeof(buf) - 1 - at)) > 0;)
		at += n;
	printf("pipe: %s", buf);
	CHECK(waitpid(pid, NULL, 0) == pid);
	close(fds[0]);
}

static void nothing(int sig) { (void)sig; }

static int run(char *const argv[], char *const envp[])
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		execve(self, argv, envp);
		_exit(126);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static void exec_details(void)
{
	char *args[] = { (char *)self, "env", NULL }, *env[] = { "A=1", "LONG=xyz", NULL };
	char *code[] = { (char *)self, "exit", "41", NULL }, *ign[] = { (char *)self, "signals", NULL };

	CHECK(run(args, env) == 0);
	CHECK(WEXITSTATUS(run(code, env)) == 41);
	signal(SIGUSR1, SIG_IGN);
	signal(SIGUSR2, nothing);
	printf("exec: ignored and handled give %d\n", WEXITSTATUS(run(ign, env)));
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
	FAILS(execl("/nonexistent", "x", (char *)NULL), ENOENT);
	FAILS(execl("/", "x", (char *)NULL), EACCES);
	FAILS(execl("", "x", (char *)NULL), ENOENT);
}

static void waiting(void)
{
	siginfo_t info = { 0 };
	int status;
	pid_t a = fork(), b;

	if (a == 0)
		_exit(1);
	b = fork();
	if (b == 0) {
		pause();
		_exit(2);
	}
	CHECK(waitid(P_PID, a, &info, WEXITED | WNOWAIT) == 0);
	CHECK(info.si_code == CLD_EXITED && info.si_status == 1 && info.si_pid == a);
	CHECK(waitpid(a, &status, 0) == a);
	CHECK(waitpid(-1, &status, WNOHANG) == 0);
	kill(b, SIGKILL);
	CHECK(waitpid(-1, &status, 0) == b && WTERMSIG(status) == SIGKILL);
}

static void spawning(void)
{
	char *args[] = { (char *)self, "exit", "9", NULL };
	int status;
	pid_t pid;

	CHECK(posix_spawn(&pid, self, NULL, NULL, args, environ) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 9);
	CHECK(posix_spawn(&pid, "/nonexistent", NULL, NULL, args, environ) == ENOENT);
	pid = vfork();
	if (pid == 0)
		_exit(4);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
}

/* What a vfork child stores is its parent's, handlers and descriptors are not. */
static void shares_memory(void)
{
	static volatile int filled = 1, empty[3000];
	volatile int on_stack = 1;
	volatile char *fresh = malloc(1 << 20);
	struct sigaction action;
	int status;
	pid_t pid;

	CHECK(fresh != NULL);
	pid = fork(); /* leaves pages that both have until one of them writes */
	if (pid == 0)
		_exit(0);
	CHECK(waitpid(pid, &status, 0) == pid);
	pid = vfork();
	if (pid == 0) {
		filled = on_stack = 2;
		empty[2500] = 3;
		fresh[500000] = 4;
		signal(SIGUSR1, nothing);
		close(0);
		_exit(filled + empty[2500]);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
	CHECK(filled == 2 && on_stack == 2 && empty[2500] == 3 && fresh[500000] == 4);
	CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(fcntl(0, F_GETFD) >= 0);
	pid = fork(); /* and is its own again afterwards */
	if (pid == 0) {
		fresh[500000] = 9;
		filled = 9;
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && fresh[500000] == 4 && filled == 2);
	pid = vfork(); /* a child of the child has copies */
	if (pid == 0) {
		pid_t grandchild = fork();

		if (grandchild == 0) {
			filled = filled == 2 && fresh[500000] == 4 ? 7 : 8;
			_exit(filled);
		}
		waitpid(grandchild, &status, 0);
		_exit(WEXITSTATUS(status) == 7 && filled == 2 ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	free((void *)fresh);
}

static void identity(void)
{
	struct utsname u;
	struct rlimit r;
	int status, fds[2];
	char c = 0;
	pid_t pid;

	CHECK(getpgrp() == getpgid(0) && getsid(0) > 0);
	CHECK(pipe(fds) == 0);
	pid = fork();
	if (pid == 0) {
		close(fds[1]);
		if (read(fds[0], &c, 1) != 1 || getpgrp() != getpid())
			_exit(1);
		if (setsid() != -1 || errno != EPERM) /* a group leader */
			_exit(2);
		_exit(0);
	}
	CHECK(setpgid(pid, pid) == 0 && getpgid(pid) == pid);
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(uname(&u) == 0 && strcmp(u.sysname, "Linux") == 0 && strcmp(u.machine, "x86_64") == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur > 0);
	FAILS(getrlimit(99, &r), EINVAL);
	FAILS(getpgid(999999), ESRCH);
}

static int child(int argc, char **argv)
{
	if (strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	if (strcmp(argv[1], "echo") == 0)
		for (int i = 2; i < argc; i++)
			printf("[%s]%s", argv[i], i + 1 < argc ? " " : "\n");
	if (strcmp(argv[1], "env") == 0)
		for (char **e = environ; *e; e++)
			puts(*e);
	if (strcmp(argv[1], "signals") == 0) {
		struct sigaction one, two;

		sigaction(SIGUSR1, NULL, &one);
		sigaction(SIGUSR2, NULL, &two);
		return (one.sa_handler == SIG_IGN) * 2 + (two.sa_handler == SIG_DFL);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return child(argc, argv);
	setvbuf(stdout, NULL, _IONBF, 0);
	self = argv[0];
	fork_copies();
	pipes();
	exec_details();
	waiting();
	spawning();
	shares_memory();
	identity();
	return check_end("processes");
}
