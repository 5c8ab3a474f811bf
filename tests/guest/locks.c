/* SPDX-License-Identifier: BSD-2-Clause */
/* flock, record locks of processes and of open files. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define NAME "locks.test"
#ifndef F_OFD_GETLK
#define F_OFD_GETLK 36
#define F_OFD_SETLK 37
#define F_OFD_SETLKW 38
#endif

static int fd;

static void handler(int sig) { (void)sig; }

static int lock(int f, int command, int type, int whence, off_t start, off_t len)
{
	struct flock l = { .l_type = (short)type, .l_whence = (short)whence, .l_start = start, .l_len = len };

	return fcntl(f, command, &l);
}

/* What another process would meet: 'r', 'w' or '-' for each of the first bytes. */
static void show(const char *what)
{
	char text[11] = "";
	int p[2];

	CHECK(pipe(p) == 0);
	if (fork() == 0) {
		for (int i = 0; i < 10; i++) {
			struct flock l = { .l_type = F_WRLCK, .l_start = i, .l_len = 1 };

			fcntl(fd, F_GETLK, &l);
			text[i] = l.l_type == F_UNLCK ? '-' : l.l_type == F_RDLCK ? 'r' : 'w';
		}
		_exit(write(p[1], text, 10) != 10);
	}
	CHECK(read(p[0], text, 10) == 10);
	wait(NULL);
	close(p[0]);
	close(p[1]);
	printf("%s: %s\n", what, text);
}

static void ranges(void)
{
	struct flock l;

	CHECK(lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 2, 4) == 0);
	show("write 2-5");
	CHECK(lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 3, 2) == 0);
	show("read 3-4");
	CHECK(lock(fd, F_SETLK, F_UNLCK, SEEK_SET, 4, 1) == 0);
	show("none 4");
	CHECK(lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 4, 0) == 0);
	show("read from 4");
	lseek(fd, 8, SEEK_SET);
	CHECK(lock(fd, F_SETLK, F_WRLCK, SEEK_CUR, 0, -2) == 0);
	show("write 6-7");
	CHECK(lock(fd, F_SETLK, F_UNLCK, SEEK_END, -95, 5) == 0); /* the file has 100 bytes */
	show("none 5-9");
	FAILS(lock(fd, F_SETLK, F_WRLCK, SEEK_SET, -1, 5), EINVAL);
	FAILS(lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 5, -6), EINVAL);
	FAILS(lock(fd, F_SETLK, F_WRLCK, 7, 0, 0), EINVAL);
	FAILS(lock(fd, F_SETLK, 9, SEEK_SET, 0, 0), EINVAL);
	FAILS(lock(fd, F_GETLK, F_UNLCK, SEEK_SET, 0, 0), EINVAL);
	FAILS(fcntl(fd, F_SETLK, (void *)1), EFAULT);
	FAILS(lock(777, F_SETLK, F_WRLCK, SEEK_SET, 0, 0), EBADF);
	l = (struct flock){ .l_type = F_WRLCK };
	CHECK(fcntl(fd, F_GETLK, &l) == 0 && l.l_type == F_UNLCK); /* one's own don't count */
	CHECK(lock(fd, F_SETLK, F_UNLCK, SEEK_SET, 0, 0) == 0);
	show("none");
}

static void modes(void)
{
	int r = open(NAME, O_RDONLY), w = open(NAME, O_WRONLY);

	FAILS(lock(r, F_SETLK, F_WRLCK, SEEK_SET, 0, 1), EBADF);
	FAILS(lock(w, F_SETLK, F_RDLCK, SEEK_SET, 0, 1), EBADF);
	CHECK(lock(r, F_SETLK, F_RDLCK, SEEK_SET, 0, 1) == 0);
	CHECK(lock(w, F_SETLK, F_WRLCK, SEEK_SET, 1, 1) == 0);
	show("r and w");
	close(r); /* any close of the file ends all of them */
	show("closed");
	close(w);
}

static void between_processes(void)
{
	struct flock l = { .l_type = F_RDLCK };
	int p[2], asked[2], status;
	pid_t pid;
	char byte;

	CHECK(pipe(p) == 0 && pipe(asked) == 0);
	pid = fork();
	if (pid == 0) {
		lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 10, 10);
		if (write(p[1], "x", 1) != 1 || read(asked[0], &byte, 1) != 1)
			_exit(1);
		usleep(80000);
		_exit(0); /* and with it the lock */
	}
	CHECK(read(p[0], &byte, 1) == 1);
	FAILS(lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 19, 1), EAGAIN);
	CHECK(lock(fd, F_SETLK, F_RDLCK, SEEK_SET, 20, 1) == 0);
	CHECK(fcntl(fd, F_GETLK, &l) == 0 && l.l_pid == pid && l.l_start == 10 && l.l_len == 10 && l.l_type == F_WRLCK);
	CHECK(write(asked[1], "x", 1) == 1);
	CHECK(lock(fd, F_SETLKW, F_RDLCK, SEEK_SET, 15, 1) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(lock(fd, F_SETLK, F_UNLCK, SEEK_SET, 0, 0) == 0);
	for (int i = 0; i < 2; i++) {
		close(p[i]);
		close(asked[i]);
	}
}

/* Who asks last is told; which of the two that is the machine decides. */
static void deadlock(void)
{
	int p[2], status, told;
	char byte;

	CHECK(pipe(p) == 0);
	CHECK(lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 1) == 0);
	if (fork() == 0) {
		lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 1, 1);
		if (write(p[1], "x", 1) != 1)
			_exit(1);
		_exit(lock(fd, F_SETLKW, F_WRLCK, SEEK_SET, 0, 1) == 0 ? 1 : errno == EDEADLK ? 2 : 3);
	}
	CHECK(read(p[0], &byte, 1) == 1);
	usleep(80000);
	told = lock(fd, F_SETLKW, F_WRLCK, SEEK_SET, 1, 1);
	CHECK(told == 0 || errno == EDEADLK);
	CHECK(lock(fd, F_SETLK, F_UNLCK, SEEK_SET, 0, 2) == 0);
	CHECK(wait(&status) > 0 && status == (told == 0 ? 2 : 1) << 8);
	close(p[0]);
	close(p[1]);
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler };
	int status, p[2];
	char c;
	pid_t pid;

	CHECK(pipe(p) == 0);
	pid = fork();
	if (pid == 0) {
		lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 1);
		CHECK(write(p[1], "", 1) == 1);
		pause();
	}
	CHECK(read(p[0], &c, 1) == 1); /* it has the lock */
	close(p[0]);
	close(p[1]);
	sigaction(SIGALRM, &sa, NULL);
	ualarm(50000, 50000); /* again and again: the first may come before the call waits */
	FAILS(lock(fd, F_SETLKW, F_WRLCK, SEEK_SET, 0, 1), EINTR);
	ualarm(0, 0);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	CHECK(lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 1) == 0);
	CHECK(lock(fd, F_SETLK, F_UNLCK, SEEK_SET, 0, 1) == 0);
}

static void open_files(void)
{
	int a = open(NAME, O_RDWR), b = open(NAME, O_RDWR), c;
	struct flock l = { .l_type = F_WRLCK };
	int status;

	CHECK(lock(a, F_OFD_SETLK, F_WRLCK, SEEK_SET, 0, 5) == 0);
	FAILS(lock(b, F_OFD_SETLK, F_RDLCK, SEEK_SET, 4, 1), EAGAIN);
	CHECK(fcntl(b, F_OFD_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_pid == -1 && l.l_len == 5);
	l = (struct flock){ .l_type = F_WRLCK, .l_pid = 5 };
	FAILS(fcntl(b, F_OFD_SETLK, &l), EINVAL);
	c = dup(a);
	close(a);
	FAILS(lock(b, F_OFD_SETLK, F_RDLCK, SEEK_SET, 4, 1), EAGAIN);
	if (fork() == 0) {
		close(b);
		usleep(50000);
		close(c);
		_exit(0);
	}
	close(c); /* the child has it still */
	CHECK(lock(b, F_OFD_SETLKW, F_RDLCK, SEEK_SET, 4, 1) == 0);
	CHECK(wait(&status) > 0 && status == 0);
	close(b);
}

static void whole_files(void)
{
	int a = open(NAME, O_RDONLY), b = open(NAME, O_RDONLY), status;

	CHECK(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
	FAILS(flock(b, LOCK_EX | LOCK_NB), EAGAIN);
	CHECK(flock(a, LOCK_EX | LOCK_NB) == 0); /* b gave its own up when it asked */
	FAILS(flock(b, LOCK_SH | LOCK_NB), EAGAIN);
	CHECK(flock(a, LOCK_UN) == 0 && flock(b, LOCK_EX | LOCK_NB) == 0);
	CHECK(lock(fd, F_SETLK, F_WRLCK, SEEK_SET, 0, 0) == 0); /* the other kind does not see it */
	if (fork() == 0) {
		usleep(50000);
		_exit(flock(b, LOCK_UN));
	}
	CHECK(flock(a, LOCK_EX) == 0);
	CHECK(wait(&status) > 0 && status == 0);
	close(a);
	CHECK(flock(b, LOCK_EX | LOCK_NB) == 0);
	FAILS(flock(b, 0), EINVAL);
	FAILS(flock(b, LOCK_NB), EINVAL);
	FAILS(flock(b, LOCK_SH | LOCK_EX), EINVAL);
	FAILS(flock(777, LOCK_SH), EBADF);
	close(b);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, 100) == 0);
	ranges();
	modes();
	between_processes();
	deadlock();
	interrupted();
	open_files();
	whole_files();
	unlink(NAME);
	return check_end("locks");
}
