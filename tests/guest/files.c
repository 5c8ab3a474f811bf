/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors, files, directories, and the errno of what must fail. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "check.h"

static void descriptors(void)
{
	int fd = open("a", O_CREAT | O_RDWR | O_TRUNC, 0644), other;
	char buf[32] = { 0 };

	CHECK(fd >= 3);
	CHECK(write(fd, "0123456789", 10) == 10);
	other = dup(fd);
	CHECK(lseek(other, 2, SEEK_SET) == 2 && read(fd, buf, 3) == 3 && !memcmp(buf, "234", 3));
	CHECK(lseek(other, 0, SEEK_CUR) == 5);
	CHECK(lseek(fd, -1, SEEK_END) == 9);
	FAILS(lseek(fd, -20, SEEK_END), EINVAL);
	CHECK(pread(fd, buf, 4, 6) == 4 && !memcmp(buf, "6789", 4) && lseek(fd, 0, SEEK_CUR) == 9);
	CHECK(pwrite(fd, "AB", 2, 1) == 2);
	CHECK(dup2(fd, 20) == 20 && fcntl(20, F_GETFD) == 0);
	CHECK(dup2(20, 20) == 20);
	CHECK(dup3(fd, 21, O_CLOEXEC) == 21 && fcntl(21, F_GETFD) == FD_CLOEXEC);
	FAILS(dup3(fd, fd, 0), EINVAL);
	CHECK(fcntl(fd, F_DUPFD, 30) >= 30 && fcntl(fd, F_DUPFD_CLOEXEC, 40) >= 40);
	CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0 && (fcntl(other, F_GETFL) & O_APPEND));
	lseek(fd, 0, SEEK_SET);
	CHECK(write(fd, "end", 3) == 3 && lseek(fd, 0, SEEK_CUR) == 13);
	for (int i = 20; i < 45; i++)
		close(i);
	close(other);
	CHECK(close(fd) == 0);
	FAILS(close(fd), EBADF);
	FAILS(read(fd, buf, 1), EBADF);
	FAILS(read(-1, buf, 1), EBADF);
	FAILS(fcntl(99, F_GETFD), EBADF);
	FAILS(dup(5000), EBADF);
}

static void vectors(void)
{
	int fd = open("v", O_CREAT | O_RDWR | O_TRUNC, 0600);
	static char big[100000], back[100000];
	struct iovec out[3] = { { "one ", 4 }, { NULL, 0 }, { big, sizeof(big) } };
	struct iovec in[2] = { { back, 10 }, { back + 10, sizeof(back) - 10 } };

	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7);
	CHECK(writev(fd, out, 3) == 100004);
	CHECK(lseek(fd, 4, SEEK_SET) == 4 && readv(fd, in, 2) == 100000);
	CHECK(memcmp(big, back, sizeof(big)) == 0);
	FAILS(writev(fd, out, -1), EINVAL);
	CHECK(ftruncate(fd, 10) == 0 && lseek(fd, 0, SEEK_END) == 10);
	FAILS(ftruncate(fd, -1), EINVAL);
	close(fd);
}

static void attributes(void)
{
	struct timespec times[2] = { { 1000000000, 0 }, { 1234567890, 0 } };
	struct stat st;

	CHECK(stat("v", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 10 && st.st_nlink == 1);
	CHECK(chmod("v", 0640) == 0 && stat("v", &st) == 0 && (st.st_mode & 07777) == 0640);
	CHECK(utimensat(AT_FDCWD, "v", times, 0) == 0 && stat("v", &st) == 0 && st.st_mtime == 1234567890);
	CHECK(link("v", "v2") == 0 && stat("v2", &st) == 0 && st.st_nlink == 2);
	CHECK(symlink("v", "s") == 0 && lstat("s", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 1);
	CHECK(stat("s", &st) == 0 && S_ISREG(st.st_mode));
	CHECK(truncate("v", 3) == 0 && stat("v2", &st) == 0 && st.st_size == 3);
	CHECK(access("v", R_OK | W_OK) == 0);
	FAILS(access("v", 64), EINVAL);
	CHECK(unlink("v2") == 0 && unlink("s") == 0);
}

static void directories(void)
{
	char cwd[PATH_MAX], link_[64];
	struct dirent *e;
	int n = 0, dir, fd;
	DIR *d;

	CHECK(mkdir("d", 0755) == 0 && mkdir("d/e", 0755) == 0);
	FAILS(mkdir("d", 0755), EEXIST);
	FAILS(rmdir("d"), ENOTEMPTY);
	CHECK(chdir("d") == 0 && getcwd(cwd, sizeof(cwd)) && !strcmp(cwd + strlen(cwd) - 2, "/d"));
	FAILS((long)getcwd(cwd, 1) ? 0 : -1, ERANGE);
	CHECK(chdir("..") == 0);
	dir = open("d", O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0);
	fd = openat(dir, "f", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0);
	CHECK(symlinkat("f", dir, "l") == 0 && readlinkat(dir, "l", link_, sizeof(link_)) == 1 && link_[0] == 'f');
	d = opendir("d");
	while (d && (e = readdir(d)))
		n += strlen(e->d_name);
	printf("directory: %d characters of names\n", n);
	if (d) {
		rewinddir(d);
		CHECK(readdir(d) != NULL);
		closedir(d);
	}
	CHECK(renameat(dir, "f", AT_FDCWD, "g") == 0 && access("g", F_OK) == 0);
	CHECK(renameat(AT_FDCWD, "g", dir, "h") == 0 && faccessat(dir, "h", F_OK, 0) == 0);
	CHECK(fchdir(dir) == 0 && access("h", F_OK) == 0 && chdir("..") == 0);
	CHECK(unlinkat(dir, "h", 0) == 0 && unlinkat(dir, "l", 0) == 0 && unlinkat(dir, "e", AT_REMOVEDIR) == 0);
	close(dir);
	CHECK(rmdir("d") == 0);
}

static void copying(void)
{
	int in = open("big", O_CREAT | O_RDWR | O_TRUNC, 0600), out = open("copy", O_CREAT | O_RDWR | O_TRUNC, 0600);
	static char block[70000], back[70000];
	off_t offset = 5;

	memset(block, 'q', sizeof(block));
	CHECK(write(in, block, sizeof(block)) == sizeof(block));
	CHECK(sendfile(out, in, &offset, 66000) == 66000 && offset == 66005);
	CHECK(pread(out, back, sizeof(back), 0) == 66000 && back[65999] == 'q');
	close(in);
	close(out);
	CHECK(unlink("big") == 0 && unlink("copy") == 0);
}

static void errors(void)
{
	char buf[8], name[5000];
	struct winsize ws;
	int fds[2], fd;

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	FAILS(open("nothing", O_RDONLY), ENOENT);
	FAILS(open("v/x", O_RDONLY), ENOTDIR);
	FAILS(open("v", O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(open("v", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST);
	FAILS(open(".", O_WRONLY), EISDIR);
	FAILS(open("", O_RDONLY), ENOENT);
	FAILS(open(name, O_RDONLY), ENAMETOOLONG);
	FAILS(unlink("."), EISDIR);
	FAILS(rmdir("v"), ENOTDIR);
	FAILS(unlink("nothing"), ENOENT);
	FAILS(rename("nothing", "x"), ENOENT);
	FAILS(chdir("v"), ENOTDIR);
	FAILS(readlink("v", buf, sizeof(buf)), EINVAL);
	CHECK(symlink("loop", "loop") == 0);
	FAILS(open("loop", O_RDONLY), ELOOP);
	FAILS(open("loop", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK(unlink("loop") == 0);
	fd = open("v", O_RDONLY);
	FAILS(write(fd, "x", 1), EBADF);
	FAILS(ioctl(fd, TIOCGWINSZ, &ws), ENOTTY);
	close(fd);
	fd = open(".", O_RDONLY);
	FAILS(read(fd, buf, 1), EISDIR);
	close(fd);
	CHECK(pipe(fds) == 0);
	FAILS(lseek(fds[0], 0, SEEK_CUR), ESPIPE);
	FAILS(pread(fds[0], buf, 1, 0), ESPIPE);
	FAILS(read(fds[1], buf, 1), EBADF);
	CHECK(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
	FAILS(read(fds[0], buf, 1), EAGAIN);
	FAILS(write(fds[1], (void *)8, 4), EFAULT);
	FAILS(open((char *)8, O_RDONLY), EFAULT);
}

static void devices(void)
{
	char buf[16] = "unchanged";
	int fd = open("/dev/null", O_RDWR);

	CHECK(write(fd, "x", 1) == 1 && read(fd, buf, 1) == 0);
	close(fd);
	fd = open("/dev/zero", O_RDONLY);
	CHECK(read(fd, buf, 4) == 4 && buf[0] == 0 && buf[3] == 0 && buf[4] == 'a');
	close(fd);
	fd = open("/dev/full", O_WRONLY);
	FAILS(write(fd, "x", 1), ENOSPC);
	CHECK(lseek(fd, 5, SEEK_SET) == 0 && lseek(fd, -9, SEEK_CUR) == 0 && lseek(fd, 3, SEEK_END) == 0); /* always at 0 */
	FAILS(lseek(fd, 0, 99), EINVAL);
	close(fd);
}

int main(void)
{
	char dir[] = "/tmp/files-XXXXXX";

	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	umask(022);
	descriptors();
	vectors();
	attributes();
	directories();
	copying();
	errors();
	devices();
	CHECK(unlink("a") == 0 && unlink("v") == 0);
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	return check_end("files");
}
