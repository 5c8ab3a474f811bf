/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What holds a process back (RLIMIT_CPU, _AS, _NPROC, _NOFILE), and what /proc says of its files
 * and mappings, its program and its directory.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static volatile sig_atomic_t warned;

static void warn(int sig)
{
	warned += sig == SIGXCPU;
}

static int in_child(int (*run)(void))
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(run());
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* One second of work, then a warning; one more, then the end. */
static int spin(void)
{
	struct rlimit limit = { 1, 2 }, same;

	signal(SIGXCPU, warn);
	if (setrlimit(RLIMIT_CPU, &limit) || getrlimit(RLIMIT_CPU, &same) || same.rlim_max != 2)
		return 1;
	alarm(100);
	while (!warned)
		;
	if (fork() == 0) /* a child begins anew, under the same limits */
		_exit(getrlimit(RLIMIT_CPU, &same) || same.rlim_cur != 1);
	for (;;)
		;
}

static int map_much(void)
{
	struct rlimit limit = { 64 << 20, 64 << 20 };
	void *p;

	if (setrlimit(RLIMIT_AS, &limit))
		return 1;
	p = mmap(NULL, 16 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 2;
	if (mmap(NULL, 64 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED || errno != ENOMEM)
		return 3;
	if (mremap(p, 16 << 20, 96 << 20, MREMAP_MAYMOVE) != MAP_FAILED || errno != ENOMEM)
		return 4;
	return sbrk(80 << 20) != (void *)-1 || errno != ENOMEM ? 5 : 0;
}

static int fork_much(void)
{
	struct rlimit limit = { 1, 1 };

	if (setgid(4711) || setuid(4711) || setrlimit(RLIMIT_NPROC, &limit))
		return 1;
	return fork() != -1 || errno != EAGAIN ? 2 : 0;
}

/* The text that a link holds, in a static buffer. */
static const char *link_text(const char *path)
{
	static char text[512];
	ssize_t n = readlink(path, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *name_of(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return link_text(path);
}

static void names(void)
{
	char here[256], path[600], text[700];
	int fd;

	CHECK(getcwd(here, sizeof(here)) != NULL && mkdir("sub", 0700) == 0);
	fd = open("file", O_CREAT | O_RDWR, 0600);
	snprintf(path, sizeof(path), "%s/file", here);
	CHECK(!strcmp(name_of(fd), path));
	CHECK(rename("file", "sub/other") == 0);
	snprintf(path, sizeof(path), "%s/sub/other", here);
	CHECK(!strcmp(name_of(fd), path));
	CHECK(rename("sub", "top") == 0);
	snprintf(path, sizeof(path), "%s/top/other", here);
	CHECK(!strcmp(name_of(fd), path));
	CHECK(unlink("top/other") == 0);
	snprintf(text, sizeof(text), "%s (deleted)", path);
	CHECK(!strcmp(name_of(fd), text));
	close(fd);
	fd = open("top", O_RDONLY | O_DIRECTORY);
	CHECK(rmdir("top") == 0);
	snprintf(text, sizeof(text), "%s/top (deleted)", here);
	CHECK(!strcmp(name_of(fd), text));
	close(fd);
	CHECK((fd = open("/proc/sys/kernel/ostype", O_RDONLY)) >= 0);
	CHECK(!strcmp(name_of(fd), "/proc/sys/kernel/ostype"));
	close(fd);
}

/* The mapping at `at` as /proc/self/maps has it: its last field. */
static const char *mapped_name(const void *at)
{
	static char line[512];
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long start, end;
	int where = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &start, &end, &where) != 2 || start > (unsigned long)at ||
		    end <= (unsigned long)at)
			continue;
		fclose(f);
		line[strcspn(line, "\n")] = '\0';
		return line + where;
	}
	if (f)
		fclose(f);
	return "none";
}

static void mappings(void)
{
	char here[256], path[600];
	int fd = open("mapped", O_CREAT | O_RDWR, 0600);
	void *p;

	CHECK(fd >= 0 && ftruncate(fd, 8192) == 0 && getcwd(here, sizeof(here)) != NULL);
	p = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	snprintf(path, sizeof(path), "%s/mapped", here);
	CHECK(!strcmp(mapped_name(p), path));
	CHECK(!strcmp(mapped_name((const void *)mappings), link_text("/proc/self/exe")));
	CHECK(!strcmp(mapped_name(&fd), "[stack]"));
	CHECK(unlink("mapped") == 0);
	strcat(path, " (deleted)");
	CHECK(!strcmp(mapped_name(p), path));
	munmap(p, 8192);
}

/* RLIMIT_DATA is about own memory that can be written to, and no other. */
static int map_data(void)
{
	struct rlimit limit = { 8 << 20, 8 << 20 };
	const int own = MAP_PRIVATE | MAP_ANONYMOUS, much = 16 << 20;
	void *p;

	if (setrlimit(RLIMIT_DATA, &limit))
		return 1;
	p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, own, -1, 0);
	if (p == MAP_FAILED || mmap(NULL, much, PROT_READ, own, -1, 0) == MAP_FAILED ||
	    mmap(NULL, much, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		return 2;
	if (mmap(NULL, much, PROT_READ | PROT_WRITE, own, -1, 0) != MAP_FAILED || errno != ENOMEM)
		return 3;
	if (mremap(p, 1 << 20, much, MREMAP_MAYMOVE) != MAP_FAILED || errno != ENOMEM)
		return 4;
	return sbrk(much) != (void *)-1 || errno != ENOMEM ? 5 : 0;
}

enum { MUCH = 24 << 20, MUCH_KIB = MUCH / 1024, SPARE = 1 << 20 }; /* Linux counts pages by 64 at a time, by thread */

static int touch_much(void)
{
	struct rusage usage;
	char *p = mmap(NULL, MUCH + SPARE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return 1;
	for (long at = 0; at < MUCH + SPARE; at += 4096)
		p[at] = 1;
	munmap(p, MUCH + SPARE); /* what was there before counts */
	return getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss >= MUCH_KIB ? 0 : 2;
}

/* The largest size: a child's is told with its end, and kept for those that were waited for. */
static void largest(void)
{
	struct rusage own, ended, children;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		_exit(touch_much());
	CHECK(wait4(pid, &status, 0, &ended) == pid && status == 0 && ended.ru_maxrss >= MUCH_KIB);
	CHECK(getrusage(RUSAGE_CHILDREN, &children) == 0 && children.ru_maxrss >= ended.ru_maxrss);
	CHECK(getrusage(RUSAGE_SELF, &own) == 0 && own.ru_maxrss > 0);
}

/* Without a descriptor for it nothing is made, and nothing cut. */
static int open_too_many(void)
{
	int fd = open("cut", O_CREAT | O_WRONLY, 0600);
	struct rlimit limit = { (rlim_t)fd, (rlim_t)fd };
	struct stat st;

	if (fd < 0 || write(fd, "four", 4) != 4 || close(fd) || setrlimit(RLIMIT_NOFILE, &limit))
		return 1;
	if (open("none", O_CREAT | O_WRONLY, 0600) >= 0 || errno != EMFILE || open("cut", O_WRONLY | O_TRUNC) >= 0 || errno != EMFILE ||
	    open("nowhere/none", O_CREAT | O_WRONLY, 0600) >= 0 || errno != EMFILE)
		return 2;
	return stat("none", &st) == 0 || stat("cut", &st) || st.st_size != 4 ? 3 : 0;
}

int main(void)
{
	int status;

	largest();
	CHECK(in_child(open_too_many) == 0);
	names();
	mappings();
	CHECK(in_child(map_much) == 0);
	CHECK(in_child(map_data) == 0);
	CHECK(in_child(fork_much) == 0);
	status = in_child(spin);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return check_end("limits");
}
