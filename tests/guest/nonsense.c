/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nonsense SERVICE FIRST LAST SECONDS WORK CHECK: for each seed from FIRST to LAST the service answers
 * nonsense (`svc inject SERVICE garbage SEED`) while the shell runs the script WORK, for SECONDS at most.
 * Then it is killed, unless it has been replaced, and the script CHECK must succeed.
 *
 * This program is itself a client of what answers nonsense. So it asks for nothing meanwhile that it cannot
 * do without, believes nothing it is told, and ends what is left over by looking for its descendants.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECKS 40 /* tries, 250 ms apart, that the system has to be sound again */

static void pause_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* 0, if rs has taken it. */
static int svc(int fd, const char *verb, const char *service, const char *more)
{
	char line[100];
	int n = snprintf(line, sizeof(line), "%s %s%s", verb, service, more);

	return write(fd, line, (size_t)n) == n ? 0 : -1;
}

static int open_svc(void)
{
	for (int i = 0; i < CHECKS; i++, pause_ms(250)) {
		int fd = open("/dev/svc", O_RDWR | O_CLOEXEC);

		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* A shell in a process of its own; its number is not believed. */
static int run(const char *script)
{
	for (int i = 0; i < 20; i++, pause_ms(20)) {
		int self = (int)getpid(); /* from the page with the ids: pm has no say in that */
		int pid = fork();

		if ((int)getpid() != self) {
			execl("/bin/sh", "sh", script, NULL);
			_exit(127);
		}
		if (pid > 0)
			return 0;
	}
	return -1;
}

static int parent_of(const char *pid)
{
	char path[64], text[512], *at;
	int fd, n;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -1;
	n = (int)read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	at = strrchr(text, ')');
	return at && strlen(at) > 4 ? atoi(at + 4) : -1;
}

/* Children, among them (this is a subreaper) all descendants whose parents are gone. Returns how many. */
static int kill_children(void)
{
	DIR *d = opendir("/proc");
	int killed = 0, pid;
	struct dirent *e;

	while (d && (e = readdir(d))) {
		pid = atoi(e->d_name);
		if (pid > 1 && parent_of(e->d_name) == (int)getpid()) {
			kill(pid, SIGKILL);
			killed++;
		}
	}
	if (d)
		closedir(d);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return d ? killed : 1;
}

static int sound(const char *script)
{
	int status, pid = fork();

	if (pid == 0) {
		execl("/bin/sh", "sh", script, NULL);
		_exit(127);
	}
	for (int i = 0; pid > 0 && i < 200; i++, pause_ms(25))
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) && WEXITSTATUS(status) == 0;
	return 0;
}

static int round_of(const char *service, int seed, int seconds, const char *work, const char *check)
{
	char number[16];
	int fd = open_svc(), kill_fd = open_svc(), tries;

	snprintf(number, sizeof(number), " garbage %d", seed);
	if (fd < 0 || kill_fd < 0 || svc(fd, "inject", service, number)) {
		printf("seed %d: cannot inject: %s\n", seed, strerror(errno));
		return 1;
	}
	run(work);
	pause_ms(seconds * 1000);
	for (tries = 0; svc(kill_fd, "kill", service, "") && errno != ENODEV && tries < 20; tries++)
		pause_ms(50);
	close(fd);
	close(kill_fd);
	for (tries = 0; tries < CHECKS; tries++, pause_ms(250))
		if (!kill_children() && sound(check))
			break;
	printf("seed %d: %s\n", seed, tries < CHECKS ? "sound" : "NOT SOUND");
	return tries == CHECKS;
}

int main(int argc, char **argv)
{
	int wrong = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 7 || prctl(PR_SET_CHILD_SUBREAPER, 1))
		return 2;
	for (int seed = atoi(argv[2]); seed <= atoi(argv[3]) && !wrong; seed++)
		wrong = round_of(argv[1], seed, atoi(argv[4]), argv[5], argv[6]);
	printf("%s %s\n", argv[1], wrong ? "WRONG" : "ALL RIGHT");
	return wrong;
}
