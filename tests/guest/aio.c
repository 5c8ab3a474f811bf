// SPDX-License-Identifier: BSD-2-Clause
// Linux's native asynchronous I/O: results, errors, many requests at once.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 4096
#define COUNT 64

// The kernel's interface: musl has no header of it.
typedef uint64_t aio_context_t;
enum { IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_FSYNC, IOCB_CMD_PREADV = 7, IOCB_FLAG_RESFD = 1 };
struct iocb {
	uint64_t aio_data;
	uint32_t aio_key, aio_rw_flags;
	uint16_t aio_lio_opcode;
	int16_t aio_reqprio;
	uint32_t aio_fildes;
	uint64_t aio_buf, aio_nbytes;
	int64_t aio_offset;
	uint64_t aio_reserved2;
	uint32_t aio_flags, aio_resfd;
};
struct io_event { uint64_t data, obj; int64_t res, res2; };

static aio_context_t ctx;
static int fd;

static long setup(unsigned n, aio_context_t *c) { return syscall(SYS_io_setup, n, c); }
static long destroy(aio_context_t c) { return syscall(SYS_io_destroy, c); }
static long submit(aio_context_t c, long n, struct iocb **list) { return syscall(SYS_io_submit, c, n, list); }
static long fetch(aio_context_t c, long least, long most, struct io_event *e, struct timespec *t)
{
	return syscall(SYS_io_getevents, c, least, most, e, t);
}

static void say(const char *what, long result)
{
	printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static struct iocb make(int file, int opcode, void *buf, uint64_t bytes, int64_t offset)
{
	return (struct iocb){ .aio_data = (uint64_t)offset + 1, .aio_lio_opcode = (uint16_t)opcode, .aio_fildes = (uint32_t)file,
			      .aio_buf = (uint64_t)(uintptr_t)buf, .aio_nbytes = bytes, .aio_offset = offset };
}

// One request from its submission to its end: the error of submitting, or its result.
static void one(const char *what, struct iocb i)
{
	struct iocb *list[1] = { &i };
	struct io_event e = { 0 };
	long n = submit(ctx, 1, list);

	if (n != 1) {
		say(what, n);
		return;
	}
	n = fetch(ctx, 1, 1, &e, NULL);
	if (n != 1 || e.obj != (uint64_t)(uintptr_t)&i || e.data != i.aio_data)
		say("fetch", n);
	printf("%s ends with %lld%s%s\n", what, (long long)e.res, e.res < 0 ? " " : "", e.res < 0 ? strerror((int)-e.res) : "");
}

static void errors(void)
{
	aio_context_t c = 0, other = 5;
	struct iocb i, *list[1] = { &i };
	struct timespec none = { 0, 0 };
	struct io_event e;
	char data[16] = "";
	int in = open("/dev/null", O_RDONLY), out = open("/dev/null", O_WRONLY);

	say("setup with an id", setup(4, &other));
	say("setup of none", setup(0, &c));
	say("setup to nowhere", setup(4, NULL));
	say("destroy of nothing", destroy(77));
	say("submit to nothing", submit(77, 1, list));
	say("submit fewer than none", submit(ctx, -1, list));
	say("submit none", submit(ctx, 0, list));
	say("submit from nowhere", submit(ctx, 1, (struct iocb **)-1));
	list[0] = NULL;
	say("submit nothing", submit(ctx, 1, list));
	say("fetch from nothing", fetch(77, 0, 1, &e, &none));
	say("fetch too few", fetch(ctx, 2, 1, &e, &none));
	say("fetch fewer than none", fetch(ctx, -1, 1, &e, &none));
	say("fetch of nothing", fetch(ctx, 0, 1, &e, &none));
	say("fetch at once", fetch(ctx, 1, 1, &e, &none));
	one("bad file", make(-1, IOCB_CMD_PREAD, data, 16, 0));
	one("bad operation", make(fd, 99, data, 16, 0));
	one("negative offset", make(fd, IOCB_CMD_PREAD, data, 16, -1));
	one("read of what is to be written", make(out, IOCB_CMD_PREAD, data, 16, 0));
	one("write to what is to be read", make(in, IOCB_CMD_PWRITE, data, 16, 0));
	i = make(fd, IOCB_CMD_PREAD, data, 16, 0);
	i.aio_reserved2 = 1;
	one("reserved", i);
	close(in);
	close(out);
}

// Writes and reads of all blocks, all at once, each with its own pattern.
static void many(int opcode, char *data)
{
	static struct iocb i[COUNT];
	struct iocb *list[COUNT];
	struct io_event e[COUNT];
	long n, ended = 0, sum = 0;
	uint64_t seen = 0;

	for (int k = 0; k < COUNT; k++) {
		i[k] = make(fd, opcode, data + k * BLOCK, BLOCK, (int64_t)(COUNT - 1 - k) * BLOCK);
		i[k].aio_data = (uint64_t)k;
		list[k] = &i[k];
	}
	say("submit many", submit(ctx, COUNT, list));
	while (ended < COUNT) {
		n = fetch(ctx, 1, COUNT, e, NULL);
		if (n <= 0) {
			say("fetch", n);
			return;
		}
		for (long k = 0; k < n; k++) {
			sum += e[k].res;
			seen |= 1ull << e[k].data;
		}
		ended += n;
	}
	printf("%ld ended, %ld bytes, each once: %d\n", ended, sum, seen == UINT64_MAX);
}

static void patterns(void)
{
	char *data = malloc(COUNT * BLOCK), *back = malloc(COUNT * BLOCK);

	for (int k = 0; k < COUNT * BLOCK; k++)
		data[k] = (char)(k * 7 + k / BLOCK);
	many(IOCB_CMD_PWRITE, data);
	one("sync", make(fd, IOCB_CMD_FSYNC, NULL, 0, 0));
	many(IOCB_CMD_PREAD, back);
	printf("the same: %d\n", !memcmp(data, back, COUNT * BLOCK));
	one("read at the end", make(fd, IOCB_CMD_PREAD, back, BLOCK, COUNT * BLOCK));
	one("read over the end", make(fd, IOCB_CMD_PREAD, back, BLOCK, COUNT * BLOCK - 100));
	one("read of nothing", make(fd, IOCB_CMD_PREAD, back, 0, 0));
	free(data);
	free(back);
}

static void large(void)
{
	const size_t bytes = 3 << 20;
	char *data = malloc(bytes), *back = calloc(1, bytes);
	struct iovec v[3] = { { back, 1000 }, { back + 1000, 5000 }, { back + 6000, 7 } };

	for (size_t k = 0; k < bytes; k++)
		data[k] = (char)(k ^ k >> 9);
	one("large write", make(fd, IOCB_CMD_PWRITE, data, bytes, 12345));
	one("large read", make(fd, IOCB_CMD_PREAD, back, bytes, 12345));
	printf("the same: %d\n", !memcmp(data, back, bytes));
	memset(back, 0, bytes);
	one("vectors", make(fd, IOCB_CMD_PREADV, v, 3, 12345));
	printf("the same: %d\n", !memcmp(data, back, 6007));
	free(data);
	free(back);
}

static void on_alarm(int sig) { (void)sig; }

static void waits(void)
{
	struct timespec soon = { 0, 30000000 }, before, after;
	struct itimerval often = { .it_value = { 0, 30000 }, .it_interval = { 0, 30000 } }, never = { 0 };
	struct sigaction a = { .sa_handler = on_alarm };
	struct io_event e;
	int64_t took;

	clock_gettime(CLOCK_MONOTONIC, &before);
	say("fetch with a deadline", fetch(ctx, 1, 1, &e, &soon));
	clock_gettime(CLOCK_MONOTONIC, &after);
	took = (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
	printf("in time: %d\n", took >= 30000000 && took < 60000000000);
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &often, NULL); /* again and again: the first may come before the call waits */
	say("fetch with a signal", fetch(ctx, 1, 1, &e, NULL));
	setitimer(ITIMER_REAL, &never, NULL);
}

static void full(void)
{
	aio_context_t c = 0;
	static struct iocb i[800];
	struct iocb *list[800];
	struct io_event e[100];
	char data[16];
	long n, total = 0;

	say("setup", setup(800, &c));
	for (int k = 0; k < 800; k++) {
		i[k] = make(fd, IOCB_CMD_PREAD, data, 16, 0);
		list[k] = &i[k];
	}
	n = submit(c, 800, list);
	printf("all were taken: %d\n", n == 800);
	while (total < 300 && (n = fetch(c, 1, 100, e, NULL)) > 0)
		total += n;
	say("destroy with some left", destroy(c));
	say("destroy again", destroy(c));
}

/* An eventfd is told of each end; what is none, is refused. */
static void bells(void)
{
	int bell = eventfd(0, EFD_NONBLOCK), files[2] = { fd, bell };
	struct io_event e;
	char data[16];
	uint64_t count = 0;
	struct iocb i;
	struct iocb *list[1] = { &i };
	struct timespec soon = { 1, 0 };

	for (int k = 0; k < 2; k++) {
		i = make(fd, IOCB_CMD_PREAD, data, 16, 0);
		i.aio_flags = IOCB_FLAG_RESFD;
		i.aio_resfd = (unsigned)files[k];
		say("submit with a bell", submit(ctx, 1, list));
	}
	say("fetch", fetch(ctx, 1, 1, &e, &soon));
	if (read(bell, &count, sizeof(count)) == sizeof(count))
		printf("read %lld, told %llu\n", (long long)e.res, (unsigned long long)count);
	close(bell);
}

static volatile sig_atomic_t interrupted;
static void interrupt(int sig)
{
	interrupted = sig;
}

/* io_pgetevents: with the mask of the wait a blocked signal ends it. */
static void masked(void)
{
	struct { const void *set; size_t bytes; } arg;
	struct sigaction action = { .sa_handler = interrupt };
	struct timespec soon = { 5, 0 }, none = { 0, 0 };
	uint64_t open_set = 0;
	sigset_t blocked, old;
	struct io_event e;

	arg.set = &open_set;
	arg.bytes = sizeof(open_set);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, &old);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	say("fetch, masked", syscall(SYS_io_pgetevents, ctx, 1L, 1L, &e, &none, NULL));
	say("fetch, open", syscall(SYS_io_pgetevents, ctx, 1L, 1L, &e, &soon, &arg));
	printf("interrupted: %d, still masked: %d\n", interrupted == SIGUSR1,
	       sigprocmask(SIG_SETMASK, NULL, &blocked) == 0 && sigismember(&blocked, SIGUSR1));
	arg.bytes = 4;
	say("fetch with half a mask", syscall(SYS_io_pgetevents, ctx, 1L, 1L, &e, &none, &arg));
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void child(void)
{
	struct io_event e;
	struct timespec none = { 0, 0 };
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		say("fetch in a child", fetch(ctx, 0, 1, &e, &none));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
}

int main(void)
{
	char name[] = "/tmp/aioXXXXXX";

	setvbuf(stdout, NULL, _IOLBF, 0);
	fd = mkstemp(name);
	unlink(name);
	say("setup", setup(COUNT, &ctx));
	errors();
	patterns();
	large();
	waits();
	bells();
	masked();
	full();
	child();
	say("destroy", destroy(ctx));
	return 0;
}
