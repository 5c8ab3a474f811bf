/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * together FILE THREADS ROUNDS: threads and a child read one open file at one cursor.
 *
 * Each byte of the file follows from its place. Every read takes the next bytes: in all each
 * place is read exactly once, and what is read is one stretch of the file, whatever the
 * buffer's pages are doing: some are given back all the while, and come anew as they are
 * read to. Meanwhile one thread writes the same bytes again, and has them written back, so
 * that pages become dirty and clean; another reads by offset.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { WORDS = 24000, LARGEST = 2200, SIZE = WORDS * 8 };

static atomic_uchar *taken; /* by word; shared with the child */
static atomic_bool ended;
static int file;

static uint64_t word_at(uint64_t place)
{
	return (place + 1) * 0x9e3779b97f4a7c15ull;
}

/* Words: the cursor is always at the beginning of one. */
static bool read_on(uint64_t *to, uint64_t words)
{
	ssize_t n = read(file, to, words * 8);
	uint64_t first;

	CHECK(n >= 0 && n % 8 == 0);
	if (n <= 0)
		return false;
	first = to[0] * 0xf1de83e19937733dull - 1; /* the inverse */
	CHECK(first < WORDS && first + (uint64_t)n / 8 <= WORDS);
	for (uint64_t i = 0; first < WORDS && i < (uint64_t)n / 8 && first + i < WORDS; i++) {
		CHECK(to[i] == word_at(first + i));
		CHECK(atomic_fetch_add(&taken[first + i], 1) == 0);
	}
	return true;
}

static void *reader(void *seed)
{
	uint64_t random = (uintptr_t)seed * 0x9e3779b97f4a7c15ull, *to;

	to = mmap(NULL, LARGEST * 8, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	do {
		random = random * 6364136223846793005ull + 1442695040888963407ull;
		if (random >> 62 == 0)
			madvise(to, LARGEST * 8, MADV_DONTNEED);
	} while (read_on(to, 1 + (random >> 33) % LARGEST));
	munmap(to, LARGEST * 8);
	return NULL;
}

static void *writer(void *unused)
{
	uint64_t words[700];

	for (uint64_t at = 0; !atomic_load(&ended); at = (at + 331) % (WORDS - 700)) {
		for (uint64_t i = 0; i < 700; i++)
			words[i] = word_at(at + i);
		CHECK(pwrite(file, words, sizeof(words), (off_t)at * 8) == sizeof(words));
		if (at % 16 == 0)
			CHECK(fdatasync(file) == 0);
	}
	return unused;
}

static void *looker(void *unused)
{
	uint64_t words[900];

	for (uint64_t at = 0; !atomic_load(&ended); at = (at + 257) % (WORDS - 900)) {
		CHECK(pread(file, words, sizeof(words), (off_t)at * 8) == sizeof(words));
		for (uint64_t i = 0; i < 900; i++)
			CHECK(words[i] == word_at(at + i));
	}
	return unused;
}

static void round_of(uint32_t threads)
{
	pthread_t id[32], others[2];
	pid_t child;
	int status;

	CHECK(lseek(file, 0, SEEK_SET) == 0);
	memset((void *)taken, 0, WORDS);
	child = fork();
	if (child == 0) {
		reader((void *)99);
		_exit(failures != 0);
	}
	CHECK(child > 0);
	atomic_store(&ended, false);
	CHECK(pthread_create(&others[0], NULL, writer, NULL) == 0 && pthread_create(&others[1], NULL, looker, NULL) == 0);
	for (uint32_t i = 0; i < threads; i++)
		CHECK(pthread_create(&id[i], NULL, reader, (void *)(uintptr_t)(i + 1)) == 0);
	for (uint32_t i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	atomic_store(&ended, true);
	pthread_join(others[0], NULL);
	pthread_join(others[1], NULL);
	for (uint32_t i = 0; i < WORDS; i++)
		CHECK(taken[i] == 1);
}

int main(int argc, char **argv)
{
	uint64_t words[WORDS / 100];
	uint32_t threads = argc > 2 ? (uint32_t)atoi(argv[2]) : 0;

	if (argc < 4 || threads < 1 || threads > 32)
		return 2;
	taken = mmap(NULL, WORDS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	file = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(file >= 0 && taken != MAP_FAILED);
	for (uint64_t at = 0; at < WORDS; at += WORDS / 100) {
		for (uint64_t i = 0; i < WORDS / 100; i++)
			words[i] = word_at(at + i);
		CHECK(write(file, words, sizeof(words)) == sizeof(words));
	}
	for (int i = 0; i < atoi(argv[3]) && !failures; i++)
		round_of(threads);
	return check_end("together");
}
