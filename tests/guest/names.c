/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What newer calls do with names: RENAME_EXCHANGE, which error is told first, openat2's limits of a walk,
 * fchmodat2, links and programs by O_PATH descriptor.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

struct how { uint64_t flags, mode, resolve; };
enum { NO_XDEV = 1, NO_MAGICLINKS = 2, NO_SYMLINKS = 4, BENEATH = 8, IN_ROOT = 16 };
#define EXCHANGE 2u

static void put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static int holds(const char *path, const char *text)
{
	char buf[64] = "";
	int fd = open(path, O_RDONLY);

	CHECK(read(fd, buf, sizeof(buf) - 1) >= 0);
	close(fd);
	return !strcmp(buf, text);
}

static long renameat2_(const char *from, const char *to, unsigned flags)
{
	return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void exchanged(void)
{
	struct stat a, d;

	put("a", "A");
	put("d/b", "B");
	CHECK(renameat2_("a", "d/b", EXCHANGE) == 0 && holds("a", "B") && holds("d/b", "A"));
	CHECK(mkdir("e", 0755) == 0 && mkdir("e/sub", 0755) == 0);
	CHECK(renameat2_("a", "e/sub", EXCHANGE) == 0); /* a file and a directory */
	CHECK(holds("e/sub", "B") && stat("a", &a) == 0 && S_ISDIR(a.st_mode) && a.st_nlink == 2);
	CHECK(stat("e", &a) == 0 && a.st_nlink == 2 && stat("a/..", &a) == 0 && stat(".", &d) == 0 && a.st_ino == d.st_ino);
	CHECK(renameat2_("a", "a", EXCHANGE) == 0);
	FAILS(renameat2_("a", "missing", EXCHANGE), ENOENT);
	FAILS(renameat2_("missing", "a", EXCHANGE), ENOENT);
	FAILS(renameat2_("e", "e/sub", EXCHANGE), EINVAL);
	FAILS(renameat2_("e/sub", "e", EXCHANGE), EINVAL);
	FAILS(renameat2_("a", "e", EXCHANGE | 1), EINVAL);
	CHECK(unlink("e/sub") == 0 && rmdir("e") == 0 && rmdir("a") == 0 && unlink("d/b") == 0);
}

/* Slashes behind names, last names that are none, and which of several errors is told. */
static void told_first(void)
{
	struct stat here, root;
	char longest[4200];
	int of_root;

	CHECK(stat(".", &here) == 0 && stat("/", &root) == 0);
	of_root = here.st_dev == root.st_dev ? EBUSY : EXDEV;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	put("f", "F");
	put("d/g", "G");
	CHECK(mkdir("e", 0755) == 0 && mkdir("e/sub", 0755) == 0 && symlink("e", "to_e") == 0);
	CHECK(renameat2_("f", "e/", EXCHANGE) == 0 && holds("e", "F"));
	FAILS(renameat2_("f", "e/", EXCHANGE), ENOTDIR);
	FAILS(renameat2_("e/", "f", EXCHANGE), ENOTDIR);
	CHECK(renameat2_("e", "f/", EXCHANGE) == 0 && holds("f", "F"));
	FAILS(renameat2_("e", "to_e/", EXCHANGE), ENOTDIR);
	FAILS(renameat2_("e", "e/sub/missing", EXCHANGE), ENOENT);
	FAILS(renameat2_("missing/", "f/", EXCHANGE), ENOENT);
	FAILS(renameat2_("f/", "missing", EXCHANGE), ENOENT);
	FAILS(renameat2_("f/", "d/g/", EXCHANGE), ENOTDIR);

	FAILS(renameat2_("f/", "e", 1), EEXIST);
	FAILS(renameat2_("f", "d/g/", 1), EEXIST);
	FAILS(renameat2_("e", "e/sub", 1), EEXIST);
	FAILS(renameat2_("e/sub", "e", 1), EEXIST);
	FAILS(renameat2_("f", "f", 1), EEXIST);
	FAILS(renameat2_("f", "e/.", 1), EEXIST);
	FAILS(renameat2_("e/..", "e/.", 1), EBUSY);
	FAILS(renameat2_("missing", "f", 1), ENOENT);
	FAILS(renameat2_("f/", "new", 1), ENOTDIR);
	FAILS(renameat2_("e", "e/sub/new", 1), EINVAL);

	FAILS(rename("f", "new/"), ENOTDIR);
	FAILS(rename("f/", "missing/new"), ENOENT);
	FAILS(rename("f/", "d/g/."), ENOTDIR);
	FAILS(rename("e/sub", "e"), ENOTEMPTY);
	FAILS(rename("f", "d/"), ENOTDIR);
	FAILS(rename("f", "d"), EISDIR);
	FAILS(rename("d", "f"), ENOTDIR);
	FAILS(rename("missing", "e/.."), EBUSY);
	FAILS(rename("e/.", "missing/new"), ENOENT);
	FAILS(rename("e/.", "/proc/new"), EXDEV);
	FAILS(rename("missing", "/proc/new"), EXDEV);
	FAILS(rename("/", "new"), of_root);
	FAILS(rename("f", "/"), of_root);
	FAILS(rename("missing/f", ""), ENOENT);
	FAILS(rename("", longest), ENOENT);
	FAILS(rename("f", longest), ENAMETOOLONG);
	FAILS(rename("to_e/", "new"), ENOTDIR);
	CHECK(rename("e/sub/", "e/new/") == 0 && rename("e/new///", "e/sub///") == 0);

	FAILS(link("e", "f"), EEXIST);
	FAILS(link("e", "new"), EPERM);
	FAILS(link("e", "new/"), ENOENT);
	FAILS(link("e", "missing/new"), ENOENT);
	FAILS(link("f", "d/g/"), EEXIST);
	FAILS(link("f", "e/"), EEXIST);
	FAILS(link("f", "e/.."), EEXIST);
	FAILS(link("f/", "e"), ENOTDIR);
	FAILS(link("f", "/proc/version"), EEXIST);
	FAILS(link("f", "/dev/null/"), EEXIST);
	FAILS(link("f", "/dev/names_new"), EXDEV);
	FAILS(link("f", "/dev/names_new/"), ENOENT);
	FAILS(link("e", "/dev/names_new"), EXDEV);
	FAILS(mknod("f/", S_IFIFO | 0600, 0), EEXIST);
	FAILS(mknod("new/", S_IFIFO | 0600, 0), ENOENT);
	FAILS(symlink("f", "new/"), ENOENT);
	CHECK(unlink("to_e") == 0 && unlink("f") == 0 && unlink("d/g") == 0 && rmdir("e/sub") == 0 && rmdir("e") == 0);
}

static int resolve(int dir, const char *path, uint64_t flags, uint64_t limits)
{
	struct how how = { flags, 0, limits };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

static int resolves(int dir, const char *path, uint64_t limits)
{
	int fd = resolve(dir, path, O_RDONLY, limits);

	if (fd < 0)
		return 0;
	close(fd);
	return 1;
}

static void walks_limited(void)
{
	int dir = open("d", O_PATH | O_DIRECTORY);

	CHECK(mkdir("d/s", 0755) == 0);
	put("d/f", "F");
	put("outside", "O");
	CHECK(symlink("f", "d/near") == 0 && symlink("../outside", "d/out") == 0 && symlink("/f", "d/abs") == 0);
	CHECK(resolves(dir, "f", BENEATH) && resolves(dir, "s/../f", BENEATH) && resolves(dir, "near", BENEATH));
	FAILS(resolve(dir, "../outside", 0, BENEATH), EXDEV);
	FAILS(resolve(dir, "s/../../outside", 0, BENEATH), EXDEV);
	FAILS(resolve(dir, "out", 0, BENEATH), EXDEV);
	FAILS(resolve(dir, "abs", 0, BENEATH), EXDEV);
	FAILS(resolve(dir, "/f", 0, BENEATH), EXDEV);
	CHECK(resolves(dir, "/f", IN_ROOT) && resolves(dir, "../f", IN_ROOT) && resolves(dir, "abs", IN_ROOT));
	FAILS(resolve(dir, "out", 0, IN_ROOT), ENOENT);
	FAILS(resolve(dir, "/outside", 0, IN_ROOT), ENOENT);
	FAILS(resolve(dir, "near", 0, NO_SYMLINKS), ELOOP);
	CHECK(resolves(dir, "f", NO_SYMLINKS) && resolves(dir, "near", NO_MAGICLINKS | NO_XDEV));
	FAILS(resolve(AT_FDCWD, "/proc/self/exe", 0, NO_MAGICLINKS), ELOOP);
	FAILS(resolve(AT_FDCWD, "/proc/version", 0, NO_XDEV), EXDEV);
	FAILS(resolve(dir, "f", 0, BENEATH | IN_ROOT), EINVAL);
	FAILS(resolve(dir, "f", 0, 64), EINVAL);
	unlink("d/near");
	unlink("d/out");
	unlink("d/abs");
	unlink("d/f");
	unlink("outside");
	rmdir("d/s");
	close(dir);
}

static void by_descriptor(void)
{
	char text[16] = "", *argv[] = { "true", NULL };
	int fd, status;
	struct stat st;

	put("file", "x");
	CHECK(symlink("file", "link") == 0);
	fd = open("link", O_PATH | O_NOFOLLOW);
	CHECK(readlinkat(fd, "", text, sizeof(text)) == 4 && !memcmp(text, "file", 4));
	close(fd);
	fd = open("file", O_PATH);
	FAILS(readlinkat(fd, "", text, sizeof(text)), ENOENT);
	close(fd);
	fd = open("/bin/true", O_PATH);
	if (fork() == 0) {
		syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
		_exit(9);
	}
	CHECK(wait(&status) > 0 && status == 0);
	close(fd);
	if (syscall(452, AT_FDCWD, "file", 0640, 0) == 0 || errno != ENOSYS) { /* fchmodat2: Linux 6.6 */
		CHECK(stat("file", &st) == 0 && (st.st_mode & 07777) == 0640);
		FAILS(syscall(452, AT_FDCWD, "link", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
		FAILS(syscall(452, AT_FDCWD, "file", 0600, 1), EINVAL);
	}
	unlink("link");
	unlink("file");
}

static void copy_file(const char *from, const char *to)
{
	static char text[65536];
	int source = open(from, O_RDONLY), target = open(to, O_CREAT | O_WRONLY | O_TRUNC, 0700);
	ssize_t n;

	while ((n = read(source, text, sizeof(text))) > 0)
		CHECK(write(target, text, (size_t)n) == n);
	CHECK(n == 0 && close(source) == 0 && close(target) == 0);
}

/* Nobody writes to a program while it runs, also if it was given by descriptor; nor is one run that is written to. */
static void written_while_run(void)
{
	char *argv[] = { "sleep", "1000", NULL }, c;
	int fd, began[2], status;
	pid_t pid;

	copy_file("/bin/busybox", "program");
	CHECK(pipe2(began, O_CLOEXEC) == 0);
	pid = fork();
	if (pid == 0) {
		syscall(SYS_execveat, open("program", O_RDONLY | O_CLOEXEC), "", argv, NULL, AT_EMPTY_PATH);
		_exit(9);
	}
	close(began[1]);
	CHECK(read(began[0], &c, 1) == 0); /* it closed at exec */
	close(began[0]);
	FAILS(open("program", O_WRONLY), ETXTBSY);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	fd = open("program", O_RDWR);
	CHECK(fd >= 0);
	FAILS(syscall(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH), ETXTBSY);
	close(fd);
	unlink("program");
}

/* Access mode 3 asks for both rights and gives none. */
static void for_ioctl_only(void)
{
	enum { IOCTL_ONLY = 3 };        /* musl's O_ACCMODE has O_PATH, too */
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	int fd = open("file", O_CREAT | IOCTL_ONLY, 0600), null = open("/dev/null", IOCTL_ONLY);
	struct stat st;
	char c;

	CHECK(fd >= 0 && null >= 0 && (fcntl(fd, F_GETFL) & 3) == IOCTL_ONLY);
	FAILS(read(fd, &c, 1), EBADF);
	FAILS(write(fd, "x", 1), EBADF);
	FAILS(ftruncate(fd, 0), EINVAL);
	FAILS(fcntl(fd, F_SETLK, &lock), EBADF);
	CHECK(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EACCES);
	CHECK(fstat(fd, &st) == 0 && fchmod(fd, 0400) == 0);
	FAILS(read(null, &c, 1), EBADF);
	FAILS(write(null, "x", 1), EBADF);
	FAILS(open("d", IOCTL_ONLY), EISDIR);
	CHECK(mkfifo("fifo", 0600) == 0);
	FAILS(open("fifo", IOCTL_ONLY), EINVAL);
	close(fd);
	close(null);
	unlink("fifo");
	unlink("file");
}

static void messages_copied(void)
{
	struct { long type; char text[8]; } m = { 1, "one" };
	int q = msgget(IPC_PRIVATE, 0600), flag = 040000;

	CHECK(msgsnd(q, &m, 8, 0) == 0);
	m.type = 2;
	strcpy(m.text, "two");
	CHECK(msgsnd(q, &m, 8, 0) == 0);
	memset(&m, 0, sizeof(m));
	if (msgrcv(q, &m, 8, 1, flag | IPC_NOWAIT) >= 0 || errno != ENOSYS) { /* it is a matter of configuration */
		CHECK(m.type == 2 && !strcmp(m.text, "two"));
		FAILS(msgrcv(q, &m, 8, 2, flag | IPC_NOWAIT), ENOMSG);
		FAILS(msgrcv(q, &m, 8, 0, flag), EINVAL);
		FAILS(msgrcv(q, &m, 2, 0, flag | IPC_NOWAIT), E2BIG);
	}
	CHECK(msgrcv(q, &m, 8, 0, 0) == 8 && m.type == 1);
	msgctl(q, IPC_RMID, NULL);
}

int main(void)
{
	CHECK(mkdir("names", 0755) == 0 && chdir("names") == 0 && mkdir("d", 0755) == 0);
	exchanged();
	told_first();
	walks_limited();
	by_descriptor();
	written_while_run();
	for_ioctl_only();
	messages_copied();
	rmdir("d");
	CHECK(chdir("..") == 0);
	rmdir("names");
	return check_end("names");
}
