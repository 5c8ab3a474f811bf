/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random operations on files, names and mappings by several processes, each in
 * a directory of its own: what every call gave, and now and then all that is
 * there, goes into a sum that is printed. The same program on another system,
 * or another filesystem, must print the same.
 *
 *   tree DIR [SEED [OPERATIONS [PROCESSES [BYTES OF A LONG NAME [keep]]]]]
 *
 * keep: what it made stays there.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

enum { NAMES = 14, DIRS = 4, SIZE_MAX_ = 400000, REPORT_EVERY = 100, OPEN_MAX_ = 4 };

static uint64_t state, sum;
static char out[1 << 16];
static size_t out_length;
static int long_name_bytes = 50;
static int kept[OPEN_MAX_];             /* descriptors kept open over unlinking */
static unsigned char buffer[SIZE_MAX_];

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

static void add(uint64_t value)
{
	sum = (sum ^ value) * 1099511628211u;
	sum ^= sum >> 29;
}

static void add_bytes(const void *data, size_t length)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < length; i++)
		sum = (sum ^ p[i]) * 1099511628211u;
	add(length);
}

/* A call's result, and its errno if it failed. */
static long note(long result)
{
	add(result < 0 ? 1000000 + (uint64_t)errno : (uint64_t)result);
	return result;
}

/* A new descriptor: which one it is depends on what the program was started with. */
static int opened(int fd)
{
	note(fd < 0 ? -1 : 0);
	return fd;
}

static void say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	out_length += (size_t)vsnprintf(out + out_length, sizeof(out) - out_length, format, arguments);
	va_end(arguments);
}

/* Some names are as long as every filesystem can have. */
static const char *name(void)
{
	static char names[4][80];
	static int turn;
	char *path = names[turn++ % 4];
	uint32_t dir = below(DIRS + 2), n = below(NAMES);
	int at = dir < DIRS ? sprintf(path, "d%u/", dir) : 0;

	if (n < 3)
		sprintf(path + at, "%c%0*d", 'a' + (int)n, long_name_bytes - 1, (int)n);
	else
		sprintf(path + at, "f%u", n);
	return path;
}

static const char *dir_name(void)
{
	static char names[4][16];
	static int turn;
	char *path = names[turn++ % 4];

	sprintf(path, below(3) ? "d%u" : "d0/d%u", below(DIRS));
	return path;
}

static uint32_t offset(void)
{
	static const uint32_t near[] = { 0, 1023, 4095, 7168, 28672, 65536, 269312, 274432 };

	return below(2) ? near[below(8)] + below(3000) : below(SIZE_MAX_ - 70000);
}

static uint32_t fill(void)
{
	uint32_t length = below(6) ? below(6000) : below(70000), salt = below(256);

	for (uint32_t i = 0; i < length; i++)
		buffer[i] = (unsigned char)(salt + i * 7 + (i >> 8));
	return length;
}

static void write_some(void)
{
	static const int flags[] = { O_WRONLY, O_RDWR | O_CREAT, O_WRONLY | O_APPEND, O_RDWR };
	int which = (int)below(4), fd = opened(open(name(), flags[which], 0644));
	uint32_t at = offset(), length = fill();

	if (fd < 0)
		return;
	if (which == 2)
		note(write(fd, buffer, length % 3000));
	else
		note(pwrite(fd, buffer, length, at));
	if (!below(20))
		note(fsync(fd));
	close(fd);
}

static void read_some(void)
{
	int fd = opened(open(name(), O_RDONLY));
	uint32_t at = offset(), length = below(4) ? below(9000) : below(100000);
	long n;

	if (fd < 0)
		return;
	n = note(pread(fd, buffer, length, at));
	if (n > 0)
		add_bytes(buffer, (size_t)n);
	note(lseek(fd, 0, SEEK_END));
	close(fd);
}

static void map_some(void)
{
	int fd = opened(open(name(), O_RDWR)), private = !below(4);
	struct stat st;
	unsigned char *m;

	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size == 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	m = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, private ? MAP_PRIVATE : MAP_SHARED, fd, 0);
	note(m == MAP_FAILED ? -1 : 0);
	if (m != MAP_FAILED) {
		for (uint32_t i = below(20); i > 0; i--)
			m[below((uint32_t)st.st_size)] = (unsigned char)below(256);
		add_bytes(m, (size_t)st.st_size < 10000 ? (size_t)st.st_size : 10000);
		if (!below(30))
			note(msync(m, (size_t)st.st_size, MS_SYNC));
		/* What is written to the file shows in a shared mapping. */
		if (!private && note(pwrite(fd, "seen", 4, 0)) == 4)
			add(m[0] == 's');
		munmap(m, (size_t)st.st_size);
	}
	close(fd);
}

static void resize(void)
{
	uint32_t size = below(3) ? offset() : below(200);
	int fd;

	if (below(2)) {
		note(truncate(name(), size));
		return;
	}
	fd = opened(open(name(), below(5) ? O_WRONLY : O_RDONLY));
	if (fd >= 0) {
		note(ftruncate(fd, size));
		close(fd);
	}
}

static void punch(void)
{
	int fd = opened(open(name(), O_RDWR));
	uint32_t at = offset(), length = 1 + below(90000);

	if (fd < 0)
		return;
	note(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length));
	close(fd);
}

/* Opens a file, unlinks it and goes on with it; some stay open for a while. */
static void keep_open(void)
{
	int slot = (int)below(OPEN_MAX_);
	const char *path = name();
	long n;

	if (kept[slot] >= 0) {
		n = note(pread(kept[slot], buffer, 20000, 0));
		if (n > 0)
			add_bytes(buffer, (size_t)n);
		note(pwrite(kept[slot], "still here", 10, offset()));
		close(kept[slot]);
		kept[slot] = -1;
		return;
	}
	kept[slot] = opened(open(path, O_RDWR));
	if (kept[slot] >= 0)
		note(unlink(path));
}

static void names_(uint32_t what)
{
	char text[64];
	struct stat st;
	long n;

	switch (what) {
	case 0:
		n = opened(open(name(), O_CREAT | O_EXCL | O_WRONLY, 0600));
		if (n >= 0)
			close((int)n);
		break;
	case 1: note(mkdir(dir_name(), 0755)); break;
	case 2: note(rmdir(dir_name())); break;
	case 3: note(unlink(name())); break;
	case 4: note(rename(name(), name())); break;
	case 5: note(rename(dir_name(), dir_name())); break;
	case 6: note(link(name(), name())); break;
	case 7: note(symlink(below(2) ? "f5" : "nowhere", name())); break;
	case 8:
		n = note(readlink(name(), text, sizeof(text)));
		if (n > 0)
			add_bytes(text, (size_t)n);
		break;
	case 9: note(chmod(name(), 0600 + below(64))); break;
	case 10:
		if (note(lstat(name(), &st)) == 0)
			add(st.st_mode | (uint64_t)st.st_nlink << 32);
		break;
	case 11: note(access(name(), R_OK | W_OK)); break;
	}
}

static int compare(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Everything that is there, in order of names. */
static void add_tree(const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, NULL, compare);

	for (int i = 0; i < count; i++) {
		char full[1024];
		struct stat st;
		int fd;

		snprintf(full, sizeof(full), "%s/%s", path, entries[i]->d_name);
		if (strcmp(entries[i]->d_name, ".") && strcmp(entries[i]->d_name, "..") && !lstat(full, &st)) {
			add_bytes(entries[i]->d_name, strlen(entries[i]->d_name));
			add(st.st_mode);
			if (!S_ISDIR(st.st_mode))
				add((uint64_t)st.st_nlink << 40 ^ (uint64_t)st.st_size);
			if (S_ISDIR(st.st_mode))
				add_tree(full);
			fd = S_ISREG(st.st_mode) ? open(full, O_RDONLY) : -1;
			if (fd >= 0) {
				long n;

				while ((n = read(fd, buffer, sizeof(buffer))) > 0)
					add_bytes(buffer, (size_t)n);
				close(fd);
			}
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void step(void)
{
	uint32_t what = below(100);

	if (what < 22)
		write_some();
	else if (what < 36)
		read_some();
	else if (what < 46)
		map_some();
	else if (what < 53)
		resize();
	else if (what < 55)
		punch();
	else if (what < 60)
		keep_open();
	else
		names_(below(12));
}

static void child(unsigned number, uint64_t seed, unsigned operations, int to)
{
	char dir[16];

	state = seed * 1000003 + number;
	for (int i = 0; i < OPEN_MAX_; i++)
		kept[i] = -1;
	snprintf(dir, sizeof(dir), "p%u", number);
	if (mkdir(dir, 0755) || chdir(dir))
		say("child %u: no directory (errno %d)\n", number, errno);
	for (unsigned i = 1; i <= operations; i++) {
		step();
		if (i % REPORT_EVERY == 0) {
			add_tree(".");
			say("child %u, %u operations: %016llx\n", number, i, (unsigned long long)sum);
		}
	}
	for (size_t done = 0; done < out_length;) {
		ssize_t n = write(to, out + done, out_length - done);

		if (n <= 0)
			_exit(1);
		done += (size_t)n;
	}
	_exit(0);
}

static int remove_tree(const char *path)
{
	char command[300];

	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	return system(command);
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
	unsigned operations = argc > 3 ? (unsigned)atoi(argv[3]) : 300, processes = argc > 4 ? (unsigned)atoi(argv[4]) : 3;
	char dir[256];
	int pipes[16][2], status;

	if (processes > 16)
		processes = 16;
	if (argc > 5 && atoi(argv[5]) > 1 && atoi(argv[5]) < 70)
		long_name_bytes = atoi(argv[5]);
	snprintf(dir, sizeof(dir), "%s/tree-XXXXXX", argc > 1 ? argv[1] : "/tmp");
	umask(022);
	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	for (unsigned i = 0; i < processes; i++) {
		CHECK(pipe(pipes[i]) == 0);
		if (fork() == 0)
			child(i, seed, operations, pipes[i][1]);
		close(pipes[i][1]);
	}
	for (unsigned i = 0; i < processes; i++) {
		char text[4096];
		ssize_t n;

		while ((n = read(pipes[i][0], text, sizeof(text))) > 0)
			fwrite(text, 1, (size_t)n, stdout);
	}
	while (wait(&status) > 0)
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	CHECK(chdir("/") == 0);
	CHECK(argc > 6 || remove_tree(dir) == 0);
	return check_end("tree");
}
