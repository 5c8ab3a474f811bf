/* SPDX-License-Identifier: BSD-2-Clause */
/* mmap, mprotect, mremap, madvise, brk, and what fork does to each. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

static sigjmp_buf env;
static void fault(int sig) { (void)sig; siglongjmp(env, 1); }

/* Can the byte be stored to? */
static int writable(volatile char *p)
{
	if (sigsetjmp(env, 1))
		return 0;
	*p = *p;
	return 1;
}

static int readable(volatile char *p)
{
	if (sigsetjmp(env, 1))
		return 0;
	(void)*p;
	return 1;
}

static void protection(void)
{
	char *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);

	CHECK(p != MAP_FAILED);
	memset(p, 7, 4 * PAGE);
	CHECK(mprotect(p + PAGE, PAGE, PROT_READ) == 0 && readable(p + PAGE) && !writable(p + PAGE));
	CHECK(mprotect(p + 2 * PAGE, PAGE, PROT_NONE) == 0 && !readable(p + 2 * PAGE) && writable(p + 3 * PAGE));
	CHECK(mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE) == 0 && p[2 * PAGE] == 7);
	CHECK(munmap(p + PAGE, PAGE) == 0 && !readable(p + PAGE) && readable(p));
	FAILS(mprotect(p, 4 * PAGE, PROT_READ), ENOMEM);
	CHECK(mmap(p + PAGE, PAGE, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + PAGE && p[PAGE] == 0);
	CHECK(madvise(p + 3 * PAGE, PAGE, MADV_DONTNEED) == 0 && p[3 * PAGE] == 0);
	CHECK(munmap(p, 4 * PAGE) == 0);
	FAILS(munmap(p + 1, PAGE), EINVAL);
	FAILS((long)mmap(NULL, 0, PROT_READ, ANON, -1, 0), EINVAL);
	FAILS((long)mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	FAILS((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
}

static void lazy(void)
{
	char *p = mmap(NULL, 128ul << 20, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);

	CHECK(p != MAP_FAILED && mprotect(p + (64ul << 20), PAGE, PROT_READ | PROT_WRITE) == 0);
	p[64ul << 20] = 1;
	CHECK(munmap(p, 128ul << 20) == 0);
}

static void moving(void)
{
	char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0), *q;

	strcpy(p, "moved");
	q = mremap(p, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && !strcmp(q, "moved") && q[63 * PAGE] == 0);
	CHECK(mremap(q, 64 * PAGE, PAGE, 0) == q && !readable(q + PAGE));
	CHECK(munmap(q, PAGE) == 0);
}

static void heap(void)
{
	char *start = (char *)syscall(SYS_brk, 0), *grown = start + 10 * PAGE;

	CHECK((char *)syscall(SYS_brk, grown) == grown);
	memset(start, 5, 10 * PAGE);
	CHECK((char *)syscall(SYS_brk, start + PAGE) == start + PAGE);
	CHECK((char *)syscall(SYS_brk, grown) == grown && grown[-1] == 0 && start[0] == 5);
	CHECK((char *)syscall(SYS_brk, 8) == grown);
	CHECK((char *)syscall(SYS_brk, start) == start);
}

static void sharing(void)
{
	volatile int *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile int *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, ANON, -1, 0);
	int status;

	*shared = *own = 1;
	if (fork() == 0) {
		*shared = *own = 2;
		_exit(0);
	}
	CHECK(wait(&status) > 0 && *shared == 2 && *own == 1);
}

static void file_mapping(void)
{
	char name[] = "/tmp/memory-XXXXXX", buf[8];
	int fd = mkstemp(name);
	char *p;

	CHECK(write(fd, "file contents", 13) == 13);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && !memcmp(p, "file contents", 13) && p[13] == 0 && p[PAGE - 1] == 0);
	p[0] = 'F';
	CHECK(pread(fd, buf, 4, 0) == 4 && !memcmp(buf, "file", 4));
	CHECK(munmap(p, PAGE) == 0);
	p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && p[5] == 'c' && munmap(p, PAGE) == 0);
	FAILS((long)mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 3), EINVAL);
	close(fd);
	unlink(name);
}

/* Locked pages are there, and stay; the range is the whole pages. */
static void locking(void)
{
	size_t page = 4096;
	unsigned char there[4];
	char *m = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(m != MAP_FAILED && mincore(m, 4 * page, there) == 0);
	CHECK(!(there[0] & 1) && !(there[3] & 1));
	CHECK(mlock(m + 100, page) == 0); /* two pages */
	CHECK(mincore(m, 4 * page, there) == 0);
	printf("locked: %d %d %d %d\n", there[0] & 1, there[1] & 1, there[2] & 1, there[3] & 1);
	FAILS(madvise(m, page, MADV_DONTNEED), EINVAL);
	FAILS(msync(m, page, MS_INVALIDATE), EBUSY);
	FAILS(msync(m, page, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK(munlock(m, 2 * page) == 0 && madvise(m, page, MADV_DONTNEED) == 0);
	CHECK(mincore(m, 4 * page, there) == 0 && !(there[0] & 1) && (there[1] & 1));
	CHECK(munmap(m + 2 * page, page) == 0);
	FAILS(mlock(m, 4 * page), ENOMEM);
	FAILS(mlockall(0), EINVAL);
	FAILS(syscall(SYS_mlock2, m, page, 2), EINVAL);
	munmap(m, 4 * page);
}

/* What a fork is told to leave behind. */
static void after_fork(void)
{
	size_t page = 4096;
	char *m = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int status;

	memset(m, 7, 3 * page);
	CHECK(madvise(m, page, MADV_WIPEONFORK) == 0);
	CHECK(madvise(m + page, page, MADV_DONTFORK) == 0);
	if (fork() == 0) {
		unsigned char there;
		int left_out = mincore(m + page, page, &there) == -1 && errno == ENOMEM;

		_exit(m[0] == 0 && m[2 * page] == 7 && left_out ? 0 : 1);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(m[0] == 7 && m[page] == 7);
	CHECK(madvise(m, 2 * page, MADV_KEEPONFORK) == 0 && madvise(m, 2 * page, MADV_DOFORK) == 0);
	if (fork() == 0)
		_exit(m[0] == 7 && m[page] == 7 ? 0 : 1);
	CHECK(wait(&status) > 0 && status == 0);
	FAILS(madvise(m, page, 1212), EINVAL);
	FAILS(madvise(m + 1, page, MADV_NORMAL), EINVAL);
	munmap(m, 3 * page);
}

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* The old place stays mapped, and empty; a shared /dev/zero opened for reading stays read-only. */
static void left_behind(void)
{
	size_t page = 4096;
	char *p = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;
	int zero = open("/dev/zero", O_RDONLY);

	p[0] = 1;
	p[page] = 2;
	q = mremap(p, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	CHECK(q != MAP_FAILED && q != p && q[0] == 1 && q[page] == 2 && p[0] == 0 && p[page] == 0);
	p[0] = 3;
	CHECK(mremap(p, page, page, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q) == q && q[0] == 3 && p[0] == 0);
	FAILS((long)mremap(p, 2 * page, page, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), EINVAL);
	FAILS((long)mremap(p, page, page, MREMAP_DONTUNMAP), EINVAL);
	munmap(p, 2 * page);
	munmap(q, 2 * page);
	p = mmap(NULL, page, PROT_READ, MAP_SHARED, zero, 0);
	CHECK(p != MAP_FAILED && p[0] == 0);
	FAILS(mprotect(p, page, PROT_READ | PROT_WRITE), EACCES);
	munmap(p, page);
	close(zero);
}

int main(void)
{
	signal(SIGSEGV, fault);
	signal(SIGBUS, fault);
	setvbuf(stdout, NULL, _IONBF, 0);
	protection();
	lazy();
	moving();
	heap();
	sharing();
	file_mapping();
	locking();
	after_fork();
	left_behind();
	return check_end("memory");
}
