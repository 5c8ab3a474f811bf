/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crosswise A B PAGES ROUNDS: writes to files from mappings of files, of the very page that is
 * written, and of two files (on two filesystems) from each other by two processes at once, with
 * nothing synced and most of the memory dirty. PAGES of each file; each round maps them anew, so that
 * what was given back meanwhile is fetched in the middle of a write. Then looks at every byte.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, WORDS = PAGE / 4, PRESSURE = 16 << 20 };

static long pages;

static void fail(const char *what, long page)
{
	fprintf(stderr, "%s, page %ld: ", what, page);
	perror(NULL);
	exit(1);
}

static void fill(uint32_t *to, uint32_t file, long page)
{
	for (uint32_t i = 0; i < WORDS; i++)
		to[i] = (file << 28) ^ (uint32_t)page * 2654435761u ^ i;
}

static int make(const char *path, uint32_t file)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);
	uint32_t buffer[WORDS];

	for (long p = 0; p < pages; p++) {
		fill(buffer, file, p);
		if (write(fd, buffer, PAGE) != PAGE)
			fail(path, p);
	}
	return fd;
}

static char *map(int fd)
{
	char *at = mmap(NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		fail("mmap", 0);
	return at;
}

/* Every second page of `to` becomes that of `from`. */
static void copy(int to, int from, long first)
{
	char *at = map(from);

	for (long p = first; p < pages; p += 2)
		if (pwrite(to, at + p * PAGE, PAGE, p * PAGE) != PAGE)
			fail("crosswise", p);
	munmap(at, (size_t)pages * PAGE);
}

/* Nothing changes. */
static void onto_itself(int fd)
{
	char *at = map(fd);

	for (long p = 0; p < pages; p++)
		if (pwrite(fd, at + p * PAGE, PAGE, p * PAGE) != PAGE || pwrite(fd, at + p * PAGE + 100, 3000, p * PAGE + 100) != 3000)
			fail("onto itself", p);
	munmap(at, (size_t)pages * PAGE);
}

static void in_child(void (*run)(int, int, long), int to, int from, long first)
{
	pid_t pid = fork();

	if (pid == 0) {
		run(to, from, first);
		exit(0);
	}
	if (pid < 0)
		fail("fork", 0);
}

static void press(int to, int from, long first)
{
	(void)to, (void)from, (void)first;
	for (volatile char *p = malloc(PRESSURE), *end = p + PRESSURE; p && p < end; p += PAGE)
		*p = 1;
}

static void all_end(void)
{
	int status;

	while (wait(&status) > 0)
		if (status)
			fail("a child", status);
}

/* Even pages of both are b's, odd ones a's. */
static void check(int fd, const char *path)
{
	uint32_t wanted[WORDS], got[WORDS];

	for (long p = 0; p < pages; p++) {
		fill(wanted, p % 2 ? 1 : 2, p);
		if (pread(fd, got, PAGE, p * PAGE) != PAGE || memcmp(wanted, got, PAGE))
			fail(path, p);
	}
}

int main(int argc, char **argv)
{
	int a, b;

	if (argc != 5)
		return 2;
	pages = atol(argv[3]);
	a = make(argv[1], 1);
	b = make(argv[2], 2);
	for (long round = atol(argv[4]); round; round--) {
		in_child(press, 0, 0, 0);
		all_end();
		onto_itself(a);
		onto_itself(b);
		in_child(copy, a, b, 0);
		in_child(copy, b, a, 1);
		all_end();
	}
	check(a, argv[1]);
	check(b, argv[2]);
	puts("all right");
	return 0;
}
