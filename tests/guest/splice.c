/* SPDX-License-Identifier: BSD-2-Clause */
/* splice, tee, vmsplice, sendfile, copy_file_range; changes by descriptor under other ids. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define NAME "splice.test"
#define COPY "splice.copy"
#define BYTES 150000

static char data[BYTES], back[BYTES];

static int make(const char *name, int flags)
{
	int fd = open(name, O_CREAT | O_TRUNC | flags, 0644);

	CHECK(fd >= 0);
	return fd;
}

/* A child moves a file into a pipe, we move it out into another. */
static void through_pipe(void)
{
	int p[2], in, out, status;
	ssize_t n, total = 0;
	off_t at = 0;

	in = make(NAME, O_RDWR);
	CHECK(write(in, data, BYTES) == BYTES);
	out = make(COPY, O_RDWR);
	CHECK(pipe(p) == 0);
	if (fork() == 0) {
		close(p[0]);
		while ((n = splice(in, &at, p[1], NULL, BYTES, 0)) > 0)
			;
		_exit(n != 0 || at != BYTES);
	}
	close(p[1]);
	while ((n = splice(p[0], NULL, out, NULL, 9000, 0)) > 0)
		total += n;
	CHECK(n == 0 && total == BYTES);
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(pread(out, back, BYTES, 0) == BYTES && memcmp(data, back, BYTES) == 0);
	close(p[0]);
	close(in);
	close(out);
}

static void between_pipes(void)
{
	int a[2], b[2];
	char text[16] = "";

	CHECK(pipe(a) == 0 && pipe(b) == 0);
	FAILS(tee(a[0], b[1], 16, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK(write(a[1], "abcdef", 6) == 6);
	CHECK(tee(a[0], b[1], 4, 0) == 4);
	CHECK(splice(a[0], NULL, b[1], NULL, 2, 0) == 2);
	CHECK(read(b[0], text, 16) == 6 && memcmp(text, "abcdab", 6) == 0);
	CHECK(read(a[0], text, 16) == 4 && memcmp(text, "cdef", 4) == 0);
	FAILS(tee(a[0], a[1], 4, 0), EINVAL);
	FAILS(splice(a[0], NULL, a[1], NULL, 4, 0), EINVAL);
	close(b[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK(write(a[1], "x", 1) == 1);
	FAILS(splice(a[0], NULL, b[1], NULL, 4, 0), EPIPE);
	CHECK(read(a[0], text, 16) == 1); /* nothing is lost by that */
	close(a[1]);
	close(a[0]);
	close(b[1]);
}

static void from_memory(void)
{
	struct iovec v[2] = { { data, 3000 }, { data + 3000, 100 } };
	int p[2];

	CHECK(pipe(p) == 0);
	CHECK(vmsplice(p[1], v, 2, 0) == 3100);
	CHECK(read(p[0], back, BYTES) == 3100 && memcmp(data, back, 3100) == 0);
	v[0].iov_len = BYTES;
	CHECK(vmsplice(p[1], v, 1, SPLICE_F_NONBLOCK) > 32768);
	while (vmsplice(p[1], v, 1, SPLICE_F_NONBLOCK) > 0)
		;
	FAILS(vmsplice(p[1], v, 1, SPLICE_F_NONBLOCK), EAGAIN);
	FAILS(vmsplice(0x3ff, v, 1, 0), EBADF);
	close(p[0]);
	close(p[1]);
}

static void errors(void)
{
	int p[2], in = make(NAME, O_RDWR), wr = open(COPY, O_WRONLY), ap = open(COPY, O_WRONLY | O_APPEND), dir = open(".", O_RDONLY);
	off_t at = 0;

	CHECK(pipe(p) == 0 && write(in, data, 100) == 100);
	FAILS(splice(0x3ff, NULL, p[1], NULL, 1, 0), EBADF);
	FAILS(splice(wr, NULL, p[1], NULL, 1, 0), EBADF);
	FAILS(splice(in, NULL, wr, NULL, 1, 0), EINVAL);
	FAILS(splice(p[0], NULL, ap, NULL, 1, 0), EINVAL);
	FAILS(splice(p[0], &at, wr, NULL, 1, 0), ESPIPE);
	FAILS(splice(in, &at, p[1], NULL, 1, 1 << 8), EINVAL);
	CHECK(splice(in, &at, p[1], NULL, 0, 0) == 0);
	FAILS(sendfile(wr, wr, NULL, 1), EBADF);
	FAILS(sendfile(in, in, (off_t *)-1l, 1), EFAULT);
	FAILS(copy_file_range(in, NULL, ap, NULL, 1, 0), EBADF);
	FAILS(copy_file_range(dir, NULL, wr, NULL, 1, 0), EISDIR);
	FAILS(copy_file_range(p[0], NULL, wr, NULL, 1, 0), EINVAL);
	FAILS(copy_file_range(in, &at, in, &(off_t){ 50 }, 60, 0), EINVAL);
	CHECK(copy_file_range(in, &at, in, &(off_t){ 50 }, 50, 0) == 50 && at == 50);
	CHECK(posix_fadvise(in, 0, 0, 9) == EINVAL && posix_fadvise(p[0], 0, 0, 0) == ESPIPE);
	FAILS(readahead(p[0], 0, 1), EINVAL);
	FAILS(sync_file_range(in, -1, 1, 0), EINVAL);
	FAILS(fallocate(wr, 0, -1, 1), EINVAL);
	close(p[0]);
	close(p[1]);
	close(in);
	close(wr);
	close(ap);
	close(dir);
}

/* What counts is who asks, not who opened. */
static void by_descriptor(void)
{
	struct timespec now[2] = { { 0, UTIME_NOW }, { 0, UTIME_NOW } }, then[2] = { { 5, 0 }, { 6, 0 } };
	int fd = make(NAME, O_RDWR), status;
	struct stat st;

	if (geteuid() != 0)
		return;
	CHECK(fchmod(fd, 0666) == 0);
	if (fork() == 0) {
		CHECK(setgid(1234) == 0 && setuid(1234) == 0);
		FAILS(fchmod(fd, 0600), EPERM);
		FAILS(fchown(fd, 1234, 1234), EPERM);
		FAILS(futimens(fd, then), EPERM);
		CHECK(futimens(fd, now) == 0);
		_exit(failures);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(fchown(fd, 7, 8) == 0 && futimens(fd, then) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_uid == 7 && st.st_gid == 8 && st.st_mtime == 6);
	close(fd);
	fd = open(NAME, O_PATH);
	FAILS(syscall(SYS_fchmod, fd, 0600), EBADF);
	FAILS(syscall(SYS_fchown, fd, 7, 8), EBADF);
	FAILS(utimensat(AT_FDCWD, NULL, then, 0), EFAULT);
	close(fd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < BYTES; i++)
		data[i] = (char)(i * 7 + i / 251);
	through_pipe();
	between_pipes();
	from_memory();
	errors();
	by_descriptor();
	unlink(NAME);
	unlink(COPY);
	return check_end("splice");
}
