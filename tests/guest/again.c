/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Files that are opened for reading again and again under the same name (vfs remembers
 * them, servers/vfs/known.c): each open is one of its own, and a name means what it means
 * now, to whoever asks.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { TIMES = 4 };

static void put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* What is in it, or errno as a number, the same each time. */
static const char *get(const char *path)
{
	static char text[64], before[64];

	for (int i = 0; i < TIMES; i++) {
		int fd = open(path, O_RDONLY);

		memset(text, 0, sizeof(text));
		if (fd < 0)
			snprintf(text, sizeof(text), "%s", strerror(errno));
		else
			CHECK(read(fd, text, sizeof(text) - 1) >= 0);
		close(fd);
		CHECK(i == 0 || !strcmp(text, before));
		memcpy(before, text, sizeof(text));
	}
	return text;
}

static void each_is_its_own(void)
{
	char a[4] = "", b[4] = "";
	struct stat s;
	int fd[2], again;
	char *map;

	put("f", "abcdef");
	get("f");
	fd[0] = open("f", O_RDONLY);
	fd[1] = open("f", O_RDONLY);
	CHECK(read(fd[0], a, 2) == 2 && read(fd[1], b, 3) == 3 && !strcmp(a, "ab") && !strcmp(b, "abc"));
	CHECK(lseek(fd[0], 0, SEEK_CUR) == 2 && lseek(fd[1], 0, SEEK_CUR) == 3);
	again = dup(fd[0]);
	CHECK(lseek(again, 1, SEEK_CUR) == 3 && lseek(fd[0], 0, SEEK_CUR) == 3);
	CHECK(fcntl(fd[0], F_SETFL, O_NONBLOCK) == 0 && fcntl(fd[0], F_GETFL) & O_NONBLOCK);
	CHECK(!(fcntl(fd[1], F_GETFL) & O_NONBLOCK));
	FAILS(write(fd[0], "x", 1), EBADF);
	CHECK(flock(fd[0], LOCK_EX) == 0);
	FAILS(flock(fd[1], LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(close(fd[0]) == 0);
	FAILS(flock(fd[1], LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(close(again) == 0 && flock(fd[1], LOCK_EX | LOCK_NB) == 0);
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd[1], 0);
	close(fd[1]);
	again = open("f", O_WRONLY);
	CHECK(pwrite(again, "X", 1, 0) == 1 && map[0] == 'X' && !strcmp(get("f"), "Xbcdef"));
	CHECK(ftruncate(again, 2) == 0 && !strcmp(get("f"), "Xb"));
	close(again);
	munmap(map, 4096);
	fd[0] = open("f", O_RDONLY);
	CHECK(unlink("f") == 0 && fstat(fd[0], &s) == 0 && s.st_nlink == 0 && read(fd[0], a, 2) == 2);
	close(fd[0]);
}

static void names_move(void)
{
	put("f", "first");
	put("g", "second");
	CHECK(!strcmp(get("f"), "first") && !strcmp(get("g"), "second"));
	CHECK(rename("g", "f") == 0 && !strcmp(get("f"), "second") && !strcmp(get("g"), strerror(ENOENT)));
	CHECK(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
	put("d/f", "in d");
	put("e/f", "in e");
	CHECK(symlink("d", "l") == 0 && !strcmp(get("l/f"), "in d") && !strcmp(get("d/f"), "in d"));
	CHECK(unlink("l") == 0 && symlink("e", "l") == 0 && !strcmp(get("l/f"), "in e"));
	CHECK(rename("d", "x") == 0 && !strcmp(get("d/f"), strerror(ENOENT)) && rename("e", "d") == 0);
	CHECK(!strcmp(get("d/f"), "in e") && !strcmp(get("l/f"), strerror(ENOENT)) && !strcmp(get("x/f"), "in d"));
	CHECK(chdir("x") == 0 && !strcmp(get("f"), "in d") && chdir("../d") == 0 && !strcmp(get("f"), "in e"));
	CHECK(!strcmp(get("../x/f"), "in d") && chdir("..") == 0);
	CHECK(unlink("d/f") == 0 && rmdir("d") == 0 && unlink("x/f") == 0 && rmdir("x") == 0 && unlink("l") == 0);
	CHECK(unlink("f") == 0 && !strcmp(get("f"), strerror(ENOENT)));
}

/* A child that is somebody else, or looks from elsewhere. */
static int child_says(const char *path, const char *text, int uid, const char *root)
{
	int status;

	if (fork() == 0) {
		if ((root && (chroot(root) || chdir("/"))) || setgid(uid) || setuid(uid))
			_exit(2);
		_exit(strcmp(get(path), text) != 0);
	}
	wait(&status);
	return status == 0;
}

static void others_may_not(void)
{
	put("f", "mine");
	CHECK(mkdir("d", 0755) == 0);
	put("d/f", "yours");
	CHECK(!strcmp(get("f"), "mine") && !strcmp(get("d/f"), "yours"));
	if (getuid() == 0) {
		CHECK(chmod(".", 0755) == 0 && child_says("f", "mine", 1000, NULL));
		CHECK(chmod("f", 0600) == 0 && child_says("f", strerror(EACCES), 1000, NULL));
		CHECK(chown("f", 1000, 0) == 0 && child_says("f", "mine", 1000, NULL) && child_says("f", strerror(EACCES), 1001, NULL));
		CHECK(child_says("d/f", "yours", 1000, NULL) && chmod("d", 0700) == 0 && child_says("d/f", strerror(EACCES), 1000, NULL));
		CHECK(!strcmp(get("d/f"), "yours"));
		CHECK(child_says("/f", "yours", 0, "d") && child_says("/f", strerror(ENOENT), 0, "/proc"));
	}
	CHECK(unlink("d/f") == 0 && rmdir("d") == 0 && unlink("f") == 0);
}

static int entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* A name that means something else to each process. */
static int is_own_stat(void)
{
	int own = 1;

	for (int i = 0; i < TIMES; i++) {
		char text[16] = "";
		int fd = open("/proc/self/stat", O_RDONLY);

		own &= read(fd, text, sizeof(text) - 1) > 0 && atoi(text) == getpid();
		close(fd);
	}
	return own;
}

static void directories_and_proc(void)
{
	char a[64];
	int status;

	CHECK(mkdir("d", 0755) == 0);
	for (int i = 0; i < TIMES; i++) {
		snprintf(a, sizeof(a), "d/%d", i);
		CHECK(entries("d") == 2 + i);
		put(a, "");
	}
	for (int i = 0; i < TIMES; i++) {
		snprintf(a, sizeof(a), "d/%d", i);
		CHECK(unlink(a) == 0 && entries("d") == 1 + TIMES - i);
	}
	CHECK(rmdir("d") == 0 && mkdir("d", 0755) == 0 && entries("d") == 2 && rmdir("d") == 0);
	CHECK(is_own_stat());
	if (fork() == 0)
		_exit(!is_own_stat());
	wait(&status);
	CHECK(status == 0);
}

int main(void)
{
	char dir[] = "again.XXXXXX";

	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	each_is_its_own();
	names_move();
	others_may_not();
	directories_and_proc();
	CHECK(chdir("..") == 0 && rmdir(dir) == 0);
	return check_end("again");
}
