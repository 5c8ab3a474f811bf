/* SPDX-License-Identifier: BSD-2-Clause */
/* FIFOs and pipes: opening, sizes, atomic writes, end of file, errors. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define NAME "fifo.test"

static void handler(int sig) { (void)sig; }

static void nonblocking(void)
{
	struct pollfd p;
	char buffer[16];
	int r, w;

	FAILS(open(NAME, O_WRONLY | O_NONBLOCK), ENXIO);
	r = open(NAME, O_RDONLY | O_NONBLOCK);
	CHECK(r >= 0);
	CHECK(read(r, buffer, 1) == 0);
	p = (struct pollfd){ r, POLLIN, 0 };
	CHECK(poll(&p, 1, 0) == 0);
	w = open(NAME, O_WRONLY | O_NONBLOCK);
	CHECK(w >= 0);
	FAILS(read(r, buffer, 1), EAGAIN);
	CHECK(write(w, "abc", 3) == 3);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	close(w);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLHUP));
	CHECK(read(r, buffer, 16) == 3 && read(r, buffer, 16) == 0);
	w = open(NAME, O_WRONLY);
	CHECK(w >= 0 && poll(&p, 1, 0) == 0);
	close(r);
	signal(SIGPIPE, SIG_IGN);
	FAILS(write(w, "x", 1), EPIPE);
	p.fd = w;
	p.events = POLLOUT;
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLOUT | POLLERR));
	close(w);
}

/* Each side waits for the other; several writers, one reader. */
static void blocking(void)
{
	char buffer[64];
	int total = 0, n, fd, status;

	for (int i = 0; i < 3; i++)
		if (fork() == 0) {
			fd = open(NAME, O_WRONLY);
			_exit(fd < 0 || write(fd, "hello ", 6) != 6);
		}
	fd = open(NAME, O_RDONLY);
	CHECK(fd >= 0);
	while (total < 18 && (n = read(fd, buffer, sizeof(buffer))) >= 0)
		total += n; /* may see the end between two writers */
	CHECK(total == 18);
	for (int i = 0; i < 3; i++)
		CHECK(wait(&status) > 0 && status == 0);
	CHECK(read(fd, buffer, 1) == 0);
	close(fd);
	if (fork() == 0) {
		usleep(30000);
		fd = open(NAME, O_RDONLY);
		_exit(read(fd, buffer, 2) != 2 || memcmp(buffer, "go", 2));
	}
	fd = open(NAME, O_WRONLY);
	CHECK(fd >= 0 && write(fd, "go", 2) == 2);
	close(fd);
	CHECK(wait(&status) > 0 && status == 0);
	printf("blocking: %d bytes\n", total);
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler };

	sigaction(SIGALRM, &sa, NULL);
	ualarm(50000, 50000); /* again and again: the first may come before the call waits */
	FAILS(open(NAME, O_RDONLY), EINTR);
	FAILS(open(NAME, O_WRONLY), EINTR);
	ualarm(0, 0);
	FAILS(open(NAME, O_WRONLY | O_NONBLOCK), ENXIO); /* it left no reader behind */
}

static void both_ways(void)
{
	struct stat a, b;
	char buffer[8];
	int fd = open(NAME, O_RDWR), other;

	CHECK(fd >= 0 && write(fd, "12345", 5) == 5 && read(fd, buffer, 8) == 5);
	other = open(NAME, O_RDONLY);
	CHECK(other >= 0 && write(fd, "67", 2) == 2 && read(other, buffer, 8) == 2);
	CHECK(fstat(fd, &a) == 0 && stat(NAME, &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	CHECK(S_ISFIFO(a.st_mode) && (a.st_mode & 0777) == 0640);
	FAILS(lseek(fd, 0, SEEK_SET), ESPIPE);
	FAILS(pread(fd, buffer, 1, 0), ESPIPE);
	FAILS(ftruncate(fd, 0), EINVAL);
	FAILS(fsync(fd), EINVAL);
	close(fd);
	close(other);
	FAILS(open(NAME, O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	fd = open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	close(fd);
}

static void sizes(void)
{
	static char big[200000];
	int p[2], n;
	pid_t pid;
	long total = 0;

	CHECK(pipe(p) == 0);
	CHECK(fcntl(p[0], F_GETPIPE_SZ) == 65536);
	CHECK(fcntl(p[1], F_SETPIPE_SZ, 5000) == 8192 && fcntl(p[0], F_GETPIPE_SZ) == 8192);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	CHECK(write(p[1], big, 20000) == 8192);
	FAILS(write(p[1], big, 1), EAGAIN);
	FAILS(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
	FAILS(fcntl(p[1], F_SETPIPE_SZ, 0), EBUSY);
	CHECK(ioctl(p[0], FIONREAD, &n) == 0 && n == 8192);
	CHECK(read(p[0], big, 4095) == 4095);
	FAILS(write(p[1], big, 4096), EAGAIN); /* whole or not at all */
	CHECK(read(p[0], big, 10000) == 4097);
	CHECK(fcntl(p[1], F_SETPIPE_SZ, 1 << 20) == 1 << 20);
	CHECK(write(p[1], big, sizeof(big)) == sizeof(big));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	while (total < (long)sizeof(big) && (n = read(p[0], big, 7777)) > 0)
		total += n;
	CHECK(total == sizeof(big));
	FAILS(fcntl(0x7fff, F_GETPIPE_SZ), EBADF);
	FAILS(read(p[1], big, 1), EBADF);
	FAILS(write(p[0], big, 1), EBADF);
	fcntl(p[0], F_SETFL, 0);
	fcntl(p[1], F_SETFL, 0);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 253);
	pid = fork();
	if (pid == 0)
		_exit(write(p[1], big, sizeof(big)) != sizeof(big));
	close(p[1]);
	for (total = 0; (n = read(p[0], big, 3001)) > 0; total += n)
		for (int i = 0; i < n; i++)
			if (big[i] != (char)((total + i) * 7 + (total + i) / 253)) {
				CHECK(!"contents");
				break;
			}
	CHECK(total == sizeof(big));
	CHECK(waitpid(pid, &n, 0) == pid && n == 0);
	close(p[0]);
	printf("pipe: %ld bytes\n", total);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	unlink(NAME);
	umask(027);
	CHECK(mkfifo(NAME, 0666) == 0);
	FAILS(mkfifo(NAME, 0666), EEXIST);
	nonblocking();
	blocking();
	interrupted();
	both_ways();
	sizes();
	CHECK(unlink(NAME) == 0);
	return check_end("fifo");
}
