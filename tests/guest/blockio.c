// SPDX-License-Identifier: BSD-2-Clause
// Reads and writes a block device (or a file) with several threads.
//
//   blockio verify FILE SECONDS THREADS [direct]
//     Every block of 4 KiB carries its own number and how often it was written.
//     Threads own every Nth stripe of 1 MiB: they write, read and check random
//     blocks, whole stripes, and pieces of odd size and place. In the end all is
//     read and checked again. Destroys what is on the device.
//   blockio conform FILE
//     What every block device must do at its edges, with vectors, ioctls and
//     wrong requests. Destroys what is on the device.
//   blockio abandon FILE SECONDS
//     Children that read 1 MiB are killed in the middle of it, while the (slow) device
//     writes to their memory; what was freed is taken and filled, and must stay as it is.
//   blockio bench FILE SECONDS THREADS BYTES read|write seq|rand [direct]
//     Prints bytes and operations a second.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK  4096u
#define STRIPE (1u << 20)
#define BLOCKS_PER_STRIPE (STRIPE / BLOCK)
#define THREADS_MAX 64

static int fd;
static uint64_t size_bytes;
static unsigned threads;
static double seconds;
static int direct;
static uint32_t *written; // how often, by block

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, uint64_t at)
{
	printf("WRONG: %s at %llu: %s\n", what, (unsigned long long)at, strerror(errno));
	exit(1);
}

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static uint64_t next_random(uint64_t *state) { return mix(*state += 0x9e3779b97f4a7c15ull); }

static void fill(void *data, uint64_t block, uint32_t generation)
{
	uint64_t *words = data, seed = block << 24 ^ generation;

	words[0] = block;
	words[1] = generation;
	for (unsigned i = 2; i < BLOCK / 8; i++)
		words[i] = seed += 0x9e3779b97f4a7c15ull;
}

static void check(const void *data, uint64_t block, uint32_t generation)
{
	static __thread uint64_t want[BLOCK / 8];

	fill(want, block, generation);
	if (!memcmp(want, data, BLOCK))
		return;
	printf("WRONG: block %llu has number %llu, generation %llu, not %u\n", (unsigned long long)block,
	       (unsigned long long)((const uint64_t *)data)[0], (unsigned long long)((const uint64_t *)data)[1], generation);
	exit(1);
}

static void transfer(int write, void *data, uint64_t bytes, uint64_t at)
{
	for (uint64_t done = 0; done < bytes;) {
		ssize_t n = write ? pwrite(fd, (char *)data + done, bytes - done, (off_t)(at + done))
				  : pread(fd, (char *)data + done, bytes - done, (off_t)(at + done));

		if (n <= 0)
			die(write ? "write" : "read", at + done);
		done += (uint64_t)n;
	}
}

static void write_blocks(char *data, uint64_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		fill(data + i * BLOCK, first + i, ++written[first + i]);
	transfer(1, data, (uint64_t)count * BLOCK, first * BLOCK);
}

static void check_blocks(char *data, uint64_t first, unsigned count)
{
	memset(data, 0xee, (size_t)count * BLOCK);
	transfer(0, data, (uint64_t)count * BLOCK, first * BLOCK);
	for (unsigned i = 0; i < count; i++)
		check(data + i * BLOCK, first + i, written[first + i]);
}

// A block in two writes that meet at an odd place, then an odd piece read.
static void odd(char *data, uint64_t block, uint64_t random)
{
	unsigned cut = 1 + (unsigned)(random % (BLOCK - 1)), from = (unsigned)(random >> 32) % BLOCK;
	char piece[BLOCK];

	fill(data, block, ++written[block]);
	transfer(1, data, cut, block * BLOCK);
	transfer(1, data + cut, BLOCK - cut, block * BLOCK + cut);
	transfer(0, piece, BLOCK - from, block * BLOCK + from);
	if (memcmp(piece, data + from, BLOCK - from))
		die("an odd piece differs", block * BLOCK + from);
}

static void *verifier(void *arg)
{
	uint64_t self = (uint64_t)(uintptr_t)arg, stripes = size_bytes / STRIPE, state = self * 77 + 1, operations = 0;
	double end = now() + seconds;
	char *data;

	if (posix_memalign((void **)&data, BLOCK, STRIPE))
		exit(1);
	do {
		uint64_t r = next_random(&state), mine = (stripes - self + threads - 1) / threads;
		uint64_t stripe = self + next_random(&state) % mine * threads;
		uint64_t block = stripe * BLOCKS_PER_STRIPE + next_random(&state) % BLOCKS_PER_STRIPE;

		if (r % 64 == 0)
			write_blocks(data, stripe * BLOCKS_PER_STRIPE, BLOCKS_PER_STRIPE);
		else if (r % 64 == 1)
			check_blocks(data, stripe * BLOCKS_PER_STRIPE, BLOCKS_PER_STRIPE);
		else if (r % 64 == 2 && fsync(fd))
			die("fsync", 0);
		else if (r % 64 < 6 && !direct)
			odd(data, block, next_random(&state));
		else if (r % 2)
			write_blocks(data, block, 1);
		else
			check_blocks(data, block, 1);
		operations++;
	} while (now() < end);
	free(data);
	return (void *)(uintptr_t)operations;
}

static uint64_t run(void *(*work)(void *))
{
	pthread_t thread[THREADS_MAX];
	double start = now();
	uint64_t sum = 0;

	for (unsigned i = 0; i < threads; i++)
		while ((errno = pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)i)))
			if (errno != EAGAIN || now() > start + 20) // memory may be short for a while
				die("pthread_create", i);
			else
				usleep(10000);
	for (unsigned i = 0; i < threads; i++) {
		void *result;

		pthread_join(thread[i], &result);
		sum += (uint64_t)(uintptr_t)result;
	}
	return sum;
}

static int verify(void)
{
	uint64_t blocks = size_bytes / BLOCK, operations;
	char *data;

	written = calloc(blocks, sizeof(*written));
	if (!written || posix_memalign((void **)&data, BLOCK, STRIPE))
		return 1;
	for (uint64_t i = 0; i < blocks; i += BLOCKS_PER_STRIPE)
		write_blocks(data, i, BLOCKS_PER_STRIPE);
	operations = run(verifier);
	if (fsync(fd))
		die("fsync", 0);
	for (uint64_t i = 0; i < blocks; i += BLOCKS_PER_STRIPE)
		check_blocks(data, i, BLOCKS_PER_STRIPE);
	printf("%llu operations, all right\n", (unsigned long long)operations);
	return 0;
}

#define MUST(what) do { \
	if (!(what)) { \
		printf("WRONG: line %d: %s (errno %d)\n", __LINE__, #what, errno); \
		exit(1); \
	} \
} while (0)

#define BLKROGET   0x125e
#define BLKSSZGET  0x1268
#define BLKDISCARD 0x1277
#define BLKZEROOUT 0x127f
#define BLKGETSIZE64 0x80081272

static char page[65536], other[65536];

static int all_are(const char *data, size_t bytes, char value)
{
	while (bytes--)
		if (*data++ != value)
			return 0;
	return 1;
}

static void edges(uint64_t size)
{
	memset(page, 'a', sizeof(page));
	MUST(pread(fd, other, 512, (off_t)size) == 0);
	MUST(pread(fd, other, 4096, (off_t)size + 12345) == 0);
	errno = 0;
	MUST(pwrite(fd, page, 512, (off_t)size) == -1 && errno == ENOSPC);
	MUST(pwrite(fd, page, 4096, (off_t)size - 1024) == 1024);
	MUST(pread(fd, other, 4096, (off_t)size - 1024) == 1024 && all_are(other, 1024, 'a'));
	MUST(pwrite(fd, page, 1, (off_t)size - 1) == 1);
	MUST(pwrite(fd, page, 512, 0) == 512 && pread(fd, other, 512, 0) == 512 && all_are(other, 512, 'a'));
	MUST(lseek(fd, 0, SEEK_END) == (off_t)size && read(fd, other, 1) == 0);
	MUST(lseek(fd, -512, SEEK_END) == (off_t)size - 512 && read(fd, other, 4096) == 512);
	MUST(lseek(fd, 0, SEEK_CUR) == (off_t)size);
	MUST(pread(fd, other, 0, 0) == 0 && pwrite(fd, other, 0, 0) == 0);
}

static void vectors(void)
{
	struct iovec v[5] = { { page, 100 }, { page + 100, 1 }, { page + 101, 4000 }, { page + 4101, 0 }, { page + 4101, 12283 } };
	struct iovec w[3] = { { other, 9000 }, { other + 9000, 7000 }, { other + 16000, 384 } };

	for (unsigned i = 0; i < 16384; i++)
		page[i] = (char)(i * 7 + i / 256);
	MUST(pwritev(fd, v, 5, 8192 + 77) == 16384);
	MUST(preadv(fd, w, 3, 8192 + 77) == 16384);
	MUST(!memcmp(page, other, 16384));
}

static void zeroes_and_discards(uint64_t size)
{
	uint64_t range[2] = { 4096, 40960 }, whole[2] = { 0, size / 2 / 4096 * 4096 };

	memset(page, 'z', sizeof(page));
	MUST(pwrite(fd, page, 65536, 0) == 65536);
	MUST(ioctl(fd, BLKZEROOUT, range) == 0);
	MUST(pread(fd, other, 65536, 0) == 65536);
	MUST(all_are(other, 4096, 'z') && all_are(other + 4096, 40960, 0) && all_are(other + 45056, 20480, 'z'));
	MUST(ioctl(fd, BLKZEROOUT, whole) == 0);
	MUST(pread(fd, other, 65536, (off_t)whole[1] - 65536) == 65536 && all_are(other, 65536, 0));
	MUST(ioctl(fd, BLKDISCARD, range) == 0 || errno == EOPNOTSUPP);
	MUST(ioctl(fd, BLKDISCARD, whole) == 0 || errno == EOPNOTSUPP);
	MUST(pwrite(fd, page, 4096, 8192) == 4096 && pread(fd, other, 4096, 8192) == 4096 && all_are(other, 4096, 'z'));
	range[0] = 100;
	MUST(ioctl(fd, BLKZEROOUT, range) == -1 && errno == EINVAL);
	range[0] = size - 4096;
	MUST(ioctl(fd, BLKZEROOUT, range) == -1 && errno == EINVAL);
	range[0] = UINT64_MAX - 511;
	MUST(ioctl(fd, BLKDISCARD, range) == -1);
}

static void refusals(const char *path, uint64_t size)
{
	int reader = open(path, O_RDONLY), writer = open(path, O_WRONLY | O_DSYNC);
	uint64_t range[2] = { 0, 4096 };
	struct stat st;

	MUST(reader >= 0 && writer >= 0);
	MUST(pwrite(reader, page, 512, 0) == -1 && errno == EBADF);
	MUST(pread(writer, page, 512, 0) == -1 && errno == EBADF);
	MUST(ioctl(reader, BLKDISCARD, range) == -1 && ioctl(reader, BLKZEROOUT, range) == -1);
	MUST(ioctl(fd, 0x12ff, 0) == -1 && errno == ENOTTY);
	MUST(ftruncate(fd, 4096) == -1 && errno == EINVAL);
	MUST(fstat(fd, &st) == 0 && S_ISBLK(st.st_mode));
	MUST(pwrite(writer, page, 4096, 4096) == 4096);
	MUST(fsync(fd) == 0 && fdatasync(fd) == 0 && fsync(reader) == 0);
	errno = 0;
	MUST(pread(fd, (void *)16, 4096, 0) == -1 && errno == EFAULT);
	MUST(pwrite(fd, (void *)16, 4096, (off_t)size / 2) == -1 && errno == EFAULT);
	close(reader);
	close(writer);
}

static int conform(const char *path)
{
	uint64_t size = 0;
	int sector = 0, read_only = 1;

	MUST(ioctl(fd, BLKGETSIZE64, &size) == 0 && size == (uint64_t)lseek(fd, 0, SEEK_END));
	MUST(ioctl(fd, BLKSSZGET, &sector) == 0 && sector >= 512 && size % (unsigned)sector == 0);
	MUST(ioctl(fd, BLKROGET, &read_only) == 0 && !read_only);
	edges(size);
	vectors();
	zeroes_and_discards(size);
	refusals(path, size);
	printf("it conforms\n");
	return 0;
}

#define CANARY_BYTES (24u << 20)

/* A child in the middle of a read, killed; the descriptor is still the parent's. */
static void abandoned_read(uint64_t random)
{
	pid_t child = fork();
	char *data;

	if (child < 0)
		die("fork", 0);
	if (!child) {
		if (posix_memalign((void **)&data, BLOCK, STRIPE))
			_exit(1);
		memset(data, 1, STRIPE);
		for (;;)
			transfer(0, data, STRIPE, random % (size_bytes / STRIPE) * STRIPE);
	}
	usleep(50000 + random % 200000);
	kill(child, SIGKILL);
	if (waitpid(child, NULL, 0) != child)
		die("waitpid", 0);
}

static int abandon(void)
{
	uint64_t state = 5, rounds = 0, *canary;
	double end = now() + seconds;

	for (; now() < end; rounds++) {
		for (unsigned i = 0; i < 3; i++)
			abandoned_read(next_random(&state));
		canary = mmap(NULL, CANARY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (canary == MAP_FAILED)
			die("mmap", CANARY_BYTES);
		for (uint64_t i = 0; i < CANARY_BYTES / 8; i++)
			canary[i] = i ^ rounds << 40;
		usleep(700000);
		for (uint64_t i = 0; i < CANARY_BYTES / 8; i++)
			if (canary[i] != (i ^ rounds << 40))
				die("memory was changed", i * 8);
		munmap(canary, CANARY_BYTES);
	}
	printf("%llu rounds, nothing changed\n", (unsigned long long)rounds);
	return 0;
}

static unsigned bench_bytes;
static int bench_write, bench_random;
static uint64_t bench_next; // sequential: the next place, shared by all

static void *bencher(void *arg)
{
	uint64_t state = (uint64_t)(uintptr_t)arg * 99 + 7, places = size_bytes / bench_bytes, operations = 0;
	double end = now() + seconds;
	char *data;

	if (posix_memalign((void **)&data, BLOCK, bench_bytes))
		exit(1);
	memset(data, 0x5a, bench_bytes);
	do {
		uint64_t place = bench_random ? next_random(&state) : __atomic_fetch_add(&bench_next, 1, __ATOMIC_RELAXED);

		transfer(bench_write, data, bench_bytes, place % places * bench_bytes);
		operations++;
	} while (now() < end);
	free(data);
	return (void *)(uintptr_t)operations;
}

static int bench(void)
{
	double start = now(), took;
	uint64_t operations = run(bencher);

	took = now() - start;
	printf("%.0f MB/s %.0f IOPS\n", (double)operations * bench_bytes / took / 1e6, (double)operations / took);
	return 0;
}

int main(int argc, char **argv)
{
	int bench_wanted = argc > 1 && !strcmp(argv[1], "bench"), conform_wanted = argc == 3 && !strcmp(argv[1], "conform");
	int abandon_wanted = argc == 4 && !strcmp(argv[1], "abandon");

	if (argc < (bench_wanted ? 8 : conform_wanted ? 3 : abandon_wanted ? 4 : 5)) {
		printf("usage: see the head of blockio.c\n");
		return 2;
	}
	direct = !strcmp(argv[argc - 1], "direct");
	fd = open(argv[2], O_RDWR | (direct ? O_DIRECT : 0));
	if (fd < 0)
		die("open", 0);
	if (conform_wanted)
		return conform(argv[2]);
	seconds = atof(argv[3]);
	if (abandon_wanted) {
		size_bytes = (uint64_t)lseek(fd, 0, SEEK_END);
		return abandon();
	}
	threads = (unsigned)atoi(argv[4]);
	size_bytes = (uint64_t)lseek(fd, 0, SEEK_END) / STRIPE * STRIPE;
	if (threads < 1 || threads > THREADS_MAX || size_bytes < (uint64_t)threads * STRIPE)
		die("too many threads for so few stripes", size_bytes);
	if (!bench_wanted)
		return verify();
	bench_bytes = (unsigned)atoi(argv[5]);
	bench_write = !strcmp(argv[6], "write");
	bench_random = !strcmp(argv[7], "rand");
	return bench();
}
