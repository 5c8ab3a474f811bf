/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fallocate (room, holes, zeros), files without a name (O_TMPFILE), programs that run and are
 * not written to (ETXTBSY), set-gid bits of new files. With an argument: on a filesystem that
 * counts no holes in st_blocks, and keeps no room behind the end of a file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define MIB (1 << 20)
#ifndef FALLOC_FL_ZERO_RANGE
#define FALLOC_FL_ZERO_RANGE 16
#endif

static unsigned char *data, *back;
static int counts_holes;

static long long size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : (long long)st.st_size;
}

static long long blocks_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : (long long)st.st_blocks;
}

static void fill(int fd, int bytes)
{
	for (int i = 0; i < bytes; i++)
		data[i] = (unsigned char)(i * 7 + i / 251 + 1);
	CHECK(pwrite(fd, data, (size_t)bytes, 0) == bytes);
}

/* The file is `data` but for zeros in [from, end). */
static void expect(int fd, int bytes, int from, int end)
{
	memset(data + from, 0, (size_t)(end - from));
	memset(back, 0xee, MIB);
	CHECK(size_of(fd) == bytes);
	CHECK(pread(fd, back, (size_t)bytes, 0) == bytes && !memcmp(data, back, (size_t)bytes));
}

static void reserving(void)
{
	int fd = open("room", O_RDWR | O_CREAT | O_TRUNC, 0644), reader = open("room", O_RDONLY), fds[2];
	long long blocks;

	CHECK(fallocate(fd, 0, 0, 300000) == 0 && size_of(fd) == 300000);
	CHECK(blocks_of(fd) >= 300000 / 512);
	CHECK(pread(fd, back, 5000, 250000) == 5000 && back[0] == 0 && !memcmp(back, back + 1, 4999));
	CHECK(ftruncate(fd, 0) == 0 && blocks_of(fd) == 0);
	fill(fd, 10000);
	CHECK(fallocate(fd, 0, 5000, 100000) == 0 && size_of(fd) == 105000);
	CHECK(pread(fd, back, 10000, 0) == 10000 && !memcmp(data, back, 10000));
	CHECK(ftruncate(fd, 600000) == 0);
	blocks = blocks_of(fd);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 400000, 100000) == 0 && size_of(fd) == 600000);
	CHECK(!counts_holes || blocks_of(fd) >= blocks + 90000 / 512);
	if (counts_holes) {
		blocks = blocks_of(fd);
		CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 700000, 100000) == 0 && size_of(fd) == 600000);
		CHECK(blocks_of(fd) >= blocks + 90000 / 512);
	}
	FAILS(fallocate(reader, 0, 0, 10), EBADF);
	FAILS(fallocate(fd, 0, 0, 0), EINVAL);
	FAILS(fallocate(fd, 0, -1, 10), EINVAL);
	FAILS(fallocate(fd, 0, INT64_MAX, 10), EFBIG);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
	CHECK(pipe(fds) == 0);
	FAILS(fallocate(fds[1], 0, 0, 10), ESPIPE);
	close(fds[0]);
	close(fds[1]);
	close(fd);
	close(reader);
	unlink("room");
}

static void holes(int flags, int from, int end)
{
	int fd = open("holes", O_RDWR | O_CREAT | O_TRUNC, 0644), status;
	long long blocks;
	unsigned char *map;

	fill(fd, 500000);
	map = mmap(NULL, 500000, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED && map[from] == data[from]);
	blocks = blocks_of(fd);
	status = fallocate(fd, flags, from, end - from);
	CHECK(status == 0);
	CHECK(map[from] == 0 && map[end - 1] == 0);
	expect(fd, 500000, from, end);
	if (counts_holes && flags & FALLOC_FL_PUNCH_HOLE && end - from >= 16384)
		CHECK(blocks_of(fd) < blocks);
	if (flags & FALLOC_FL_PUNCH_HOLE && from % 4096 == 0 && end % 4096 == 0) {
		CHECK(lseek(fd, 0, SEEK_HOLE) == from && lseek(fd, from, SEEK_DATA) == end);
		CHECK(lseek(fd, end + 5, SEEK_HOLE) == 500000 && lseek(fd, end + 5, SEEK_DATA) == end + 5);
		FAILS(lseek(fd, 500000, SEEK_HOLE), ENXIO);
	}
	/* What is written there afterwards stays. */
	map[from] = data[from] = 77;
	CHECK(pwrite(fd, "abc", 3, end - 3) == 3);
	memcpy(data + end - 3, "abc", 3);
	CHECK(fsync(fd) == 0);
	expect(fd, 500000, 0, 0);
	munmap(map, 500000);
	close(fd);
	unlink("holes");
}

static void zero_range_grows(void)
{
	int fd = open("zeros", O_RDWR | O_CREAT | O_TRUNC, 0644);

	fill(fd, 20000);
	CHECK(fallocate(fd, FALLOC_FL_ZERO_RANGE, 10000, 30000) == 0);
	memset(data + 20000, 0, 20000);
	expect(fd, 40000, 10000, 20000);
	close(fd);
	unlink("zeros");
}

static void unnamed(void)
{
	char path[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0640), other;
	struct stat st;

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0 && (st.st_mode & 07777) == 0640);
	CHECK(write(fd, "without a name", 14) == 14);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 1);
	other = open("named", O_RDONLY);
	CHECK(read(other, back, 100) == 14 && !memcmp(back, "without a name", 14));
	close(other);
	CHECK(linkat(fd, "", AT_FDCWD, "again", AT_EMPTY_PATH) == 0);
	CHECK(unlink("again") == 0 && unlink("named") == 0);
	close(fd);
	fd = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(fd >= 0);
	FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW), ENOENT);
	close(fd);
	FAILS(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
	FAILS(open("nowhere", O_TMPFILE | O_RDWR, 0600), ENOENT);
}

static int copy(const char *from, const char *to)
{
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ssize_t n, done = -1;

	while (in >= 0 && out >= 0 && (n = read(in, back, MIB)) > 0)
		done = write(out, back, (size_t)n);
	close(in);
	close(out);
	return done > 0 ? 0 : -1;
}

static int run(const char *path, int *input)
{
	int pipes[2] = { -1, -1 }, ready[2], pid;
	char byte;

	if ((input && pipe(pipes)) || pipe2(ready, O_CLOEXEC))
		return -1;
	pid = fork();
	if (pid == 0) {
		if (input) {
			dup2(pipes[0], 0);
			close(pipes[1]);
		}
		execl(path, path, "wait", (char *)NULL);
		byte = (char)errno;
		_exit(write(ready[1], &byte, 1) == 1 ? byte : 0);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 0) /* else closed by the exec */
		pid = -pid;
	close(ready[0]);
	if (input) {
		close(pipes[0]);
		*input = pipes[1];
	}
	return pid;
}

static void busy_programs(void)
{
	int status, fd, input, pid;

	CHECK(copy("/proc/self/exe", "prog") == 0);
	pid = run("./prog", &input);
	CHECK(pid > 0);
	FAILS(open("prog", O_WRONLY), ETXTBSY);
	FAILS(open("prog", O_RDWR | O_TRUNC), ETXTBSY);
	FAILS(truncate("prog", 0), ETXTBSY);
	CHECK((fd = open("prog", O_RDONLY)) >= 0);
	close(fd);
	close(input);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK((fd = open("prog", O_WRONLY)) >= 0);
	pid = run("./prog", NULL);
	CHECK(pid < 0 && waitpid(-pid, &status, 0) == -pid && WEXITSTATUS(status) == ETXTBSY);
	close(fd);
	CHECK(unlink("prog") == 0);
}

static void set_gid(void)
{
	struct stat st;
	int pid, status, before = failures;

	CHECK(mkdir("shared", 0777) == 0 && chown("shared", 0, 1234) == 0 && chmod("shared", 02777) == 0);
	pid = fork();
	if (pid == 0) {
		CHECK(chdir("shared") == 0 && setgroups(0, NULL) == 0 && setgid(4321) == 0 && setuid(4321) == 0);
		umask(077);
		CHECK((status = open("file", O_CREAT | O_WRONLY, 02777)) >= 0);
		CHECK(fstat(status, &st) == 0 && st.st_gid == 1234 && (st.st_mode & 07777) == 0700);
		CHECK(mknod("node", S_IFREG | 02777, 0) == 0 && stat("node", &st) == 0);
		CHECK((st.st_mode & 07777) == 0700);
		CHECK(open("other", O_CREAT | O_WRONLY, 02700) >= 0 && stat("other", &st) == 0);
		CHECK((st.st_mode & 07777) == 02700);
		_exit(failures != before);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(unlink("shared/file") == 0 && unlink("shared/node") == 0 && unlink("shared/other") == 0 && rmdir("shared") == 0);
}

int main(int argc, char **argv)
{
	char byte;

	if (argc > 1 && !strcmp(argv[1], "wait"))
		return read(0, &byte, 1) != 0;
	counts_holes = argc == 1;
	umask(022);
	data = malloc(MIB);
	back = malloc(MIB);
	reserving();
	holes(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 409600);
	holes(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 3000);
	holes(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5001, 499999);
	holes(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5001, 500000);
	holes(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 499000, 500000);
	holes(FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 4097, 300000);
	holes(FALLOC_FL_ZERO_RANGE, 0, 500000);
	zero_range_grows();
	unnamed();
	busy_programs();
	set_gid();
	return check_end("room");
}
