// SPDX-License-Identifier: BSD-2-Clause
// io_uring without a library: rings, requests that end at once and that wait, chains, timeouts,
// cancelling, registered buffers and files, errors. Completions are printed by their user_data.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The kernel's interface: musl has no header of it.
enum { NOP, READV, WRITEV, FSYNC, READ_FIXED, WRITE_FIXED, POLL_ADD, POLL_REMOVE, SYNC_FILE_RANGE, SENDMSG, RECVMSG,
       TIMEOUT, TIMEOUT_REMOVE, ACCEPT, ASYNC_CANCEL, LINK_TIMEOUT, CONNECT, FALLOCATE, OPENAT, CLOSE, FILES_UPDATE,
       STATX, READ, WRITE, FADVISE, MADVISE, SEND, RECV, SHUTDOWN = 34, RENAMEAT, UNLINKAT, MKDIRAT };
enum { FIXED_FILE = 1, DRAIN = 2, LINK = 4, HARDLINK = 8, SKIP = 64 };
struct sqe {
	uint8_t opcode, flags;
	uint16_t ioprio;
	int32_t fd;
	uint64_t off, addr;
	uint32_t len, op_flags;
	uint64_t user_data;
	uint16_t buf_index, personality;
	uint32_t file_index;
	uint64_t pad[2];
};
struct cqe { uint64_t user_data; int32_t res; uint32_t flags; };
struct offsets { uint32_t head, tail, mask, entries, o4, o5, o6, o7; uint64_t user; };
struct params {
	uint32_t sq_entries, cq_entries, flags, cpu, idle, features, wq_fd, reserved[3];
	struct offsets sq, cq; // sq: flags, dropped, array; cq: overflow, cqes, flags
};
struct timespec64 { int64_t sec, nsec; };

struct ring {
	int fd;
	struct params p;
	char *memory;
	struct sqe *sqes;
	uint32_t prepared;
};

static int setup(unsigned n, struct params *p) { return (int)syscall(425, n, p); }
static int enter(int fd, unsigned n, unsigned least, unsigned flags, void *arg, size_t bytes)
{
	return (int)syscall(426, fd, n, least, flags, arg, bytes);
}
static int reg(int fd, unsigned op, const void *arg, unsigned n) { return (int)syscall(427, fd, op, arg, n); }

static uint32_t *at(struct ring *r, uint32_t offset) { return (uint32_t *)(void *)(r->memory + offset); }

static const char *error(long result) { return result < 0 ? strerror((int)-result) : ""; }
static void say(const char *what, long result)
{
	printf("%s: %ld %s\n", what, result < 0 ? -1 : result, result < 0 ? strerror(errno) : "");
}

static void make(struct ring *r, unsigned entries, unsigned flags, unsigned cq)
{
	memset(r, 0, sizeof(*r));
	r->p.flags = flags;
	r->p.cq_entries = cq;
	r->fd = setup(entries, &r->p);
	if (r->fd < 0) {
		say("setup", r->fd);
		exit(1);
	}
	r->memory = mmap(NULL, r->p.sq.o6 + r->p.sq_entries * 4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0);
	if (r->p.cq.o5 + r->p.cq_entries * 16 > r->p.sq.o6 + r->p.sq_entries * 4)
		r->memory = mmap(NULL, r->p.cq.o5 + r->p.cq_entries * 16, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	r->sqes = mmap(NULL, r->p.sq_entries * 64, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, r->fd, 0x10000000);
	if (r->memory == MAP_FAILED || r->sqes == MAP_FAILED) {
		say("mmap", -1);
		exit(1);
	}
}

static void drop(struct ring *r)
{
	munmap(r->sqes, r->p.sq_entries * 64);
	close(r->fd);
}

static struct sqe *prep(struct ring *r, int op, int fd, const void *addr, uint32_t len, uint64_t off, uint64_t data)
{
	uint32_t tail = *at(r, r->p.sq.tail), i = tail & (r->p.sq_entries - 1);
	struct sqe *e = &r->sqes[i];

	*e = (struct sqe){ .opcode = (uint8_t)op, .fd = fd, .addr = (uint64_t)(uintptr_t)addr, .len = len, .off = off, .user_data = data };
	at(r, r->p.sq.o6)[i] = i;
	__atomic_store_n(at(r, r->p.sq.tail), tail + 1, __ATOMIC_RELEASE);
	r->prepared++;
	return e;
}

static int submit(struct ring *r, unsigned least)
{
	int n = enter(r->fd, r->prepared, least, least ? 1 : 0, NULL, 0);

	if (n < 0 || (uint32_t)n != r->prepared)
		say("submitted", n);
	r->prepared = 0;
	return n;
}

static int take(struct ring *r, struct cqe *to, int most)
{
	uint32_t head = *at(r, r->p.cq.head);
	int n = 0;

	while (n < most && head != __atomic_load_n(at(r, r->p.cq.tail), __ATOMIC_ACQUIRE))
		to[n++] = ((struct cqe *)(void *)(r->memory + r->p.cq.o5))[head++ & (r->p.cq_entries - 1)];
	__atomic_store_n(at(r, r->p.cq.head), head, __ATOMIC_RELEASE);
	return n;
}

static int by_data(const void *a, const void *b)
{
	const struct cqe *x = a, *y = b;

	return x->user_data < y->user_data ? -1 : x->user_data > y->user_data;
}

// Submits, waits for so many and prints them in the order of user_data.
static void finish(struct ring *r, const char *what, unsigned count)
{
	struct cqe c[64];
	int n;

	submit(r, count);
	n = take(r, c, 64);
	qsort(c, (size_t)n, sizeof(*c), by_data);
	printf("%s:", what);
	for (int i = 0; i < n; i++)
		printf(" %llu=%d%s%s", (unsigned long long)c[i].user_data, c[i].res < 0 ? -1 : c[i].res, c[i].res < 0 ? "/" : "", error(c[i].res));
	printf("%s\n", (unsigned)n == count ? "" : " (another number)");
}

static void settings(void)
{
	static const struct { unsigned entries, flags, cq; } tries[] = {
		{ 0, 0, 0 }, { 1, 0, 0 }, { 5, 0, 0 }, { 4096, 0, 0 }, { 32769, 0, 0 }, { 40000, 16, 0 }, { 8, 8, 4 }, { 8, 8, 100 }, { 8, 8, 0 },
		{ 8, 1u << 30, 0 }, { 8, 512, 0 }, { 8, 8192, 0 }, { 8, 4096 | 8192, 0 },
	};
	struct params p;

	say("setup without parameters", setup(8, NULL));
	for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++) {
		int fd;

		memset(&p, 0, sizeof(p));
		p.flags = tries[i].flags;
		p.cq_entries = tries[i].cq;
		fd = setup(tries[i].entries, &p);
		if (fd < 0) {
			say("setup", fd);
			continue;
		}
		printf("%u entries: %u and %u, single map %d, cloexec %d\n", tries[i].entries, p.sq_entries, p.cq_entries, p.features & 1,
		       fcntl(fd, F_GETFD));
		close(fd);
	}
	memset(&p, 0, sizeof(p));
	p.reserved[1] = 1;
	say("reserved", setup(8, &p));
	say("enter no descriptor", enter(-1, 0, 0, 0, NULL, 0));
	say("enter a file", enter(0, 0, 0, 0, NULL, 0));
	say("register a file", reg(0, 0, NULL, 0));
}

static void nops(void)
{
	struct ring r;

	make(&r, 8, 0, 0);
	prep(&r, NOP, -1, NULL, 0, 0, 7);
	finish(&r, "nop", 1);
	for (uint64_t i = 0; i < 8; i++)
		prep(&r, NOP, -1, NULL, 0, 0, i);
	finish(&r, "nops", 8);
	prep(&r, 250, -1, NULL, 0, 0, 1);
	finish(&r, "no such operation", 1);
	prep(&r, NOP, -1, NULL, 0, 0, 2)->flags = 128;
	finish(&r, "bad flags", 1);
	say("enter flags", enter(r.fd, 0, 0, 1u << 20, NULL, 0));
	say("nothing to submit", enter(r.fd, 5, 0, 0, NULL, 0));
	at(&r, r.p.sq.o6)[*at(&r, r.p.sq.tail) & 7] = 99;
	++*at(&r, r.p.sq.tail);
	say("an index too high", enter(r.fd, 1, 0, 0, NULL, 0));
	printf("dropped %u\n", *at(&r, r.p.sq.o5));
	drop(&r);
}

static void files(void)
{
	char a[64] = "", b[64] = "", *far = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec out[2] = { { "vector ", 7 }, { "by vector", 9 } }, in[2] = { { a, 5 }, { b, 20 } }, one = { a, 10 };
	struct stat st;
	struct ring r;
	int fd, only;

	make(&r, 16, 0, 0);
	fd = open("uring.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
	only = open("uring.file", O_RDONLY);
	prep(&r, WRITE, fd, "hello, ring", 11, 0, 1);
	finish(&r, "write", 1);
	prep(&r, READ, fd, a, 64, 0, 1);
	prep(&r, READ, fd, b, 4, 7, 2);
	prep(&r, READ, fd, far + 1, 0, 100, 3);
	finish(&r, "reads", 3);
	printf("%s, %s\n", a, b);
	memset(a, 0, sizeof(a));
	memset(b, 0, sizeof(b));
	prep(&r, WRITEV, fd, out, 2, 20, 1);
	finish(&r, "writev", 1);
	prep(&r, READV, fd, in, 2, 20, 1);
	finish(&r, "readv", 1);
	printf("%s|%s\n", a, b);
	prep(&r, READV, fd, &one, 1, 27, 1);
	finish(&r, "readv of one", 1);
	printf("%s\n", a);
	lseek(fd, 3, SEEK_SET);
	prep(&r, READ, fd, a, 4, (uint64_t)-1, 1);
	finish(&r, "read at the cursor", 1);
	printf("%.4s, then at %ld\n", a, (long)lseek(fd, 0, SEEK_CUR));
	prep(&r, FSYNC, fd, NULL, 0, 0, 1);
	prep(&r, FSYNC, fd, NULL, 0, 0, 2)->op_flags = 1;
	prep(&r, FSYNC, 99, NULL, 0, 0, 3);
	finish(&r, "fsync", 3);
	prep(&r, FSYNC, fd, NULL, 0, 0, 4)->op_flags = 2;
	finish(&r, "fsync flags", 1);
	prep(&r, READ, 99, a, 4, 0, 1);
	prep(&r, READ, fd, far, 4, 0, 2);
	prep(&r, WRITE, only, a, 4, 0, 3);
	prep(&r, READ, fd, a, 4, (uint64_t)-2, 4);
	prep(&r, WRITE, fd, (void *)1, 4, 0, 5);
	prep(&r, READ, fd, a, 4, 1 << 20, 6);
	finish(&r, "errors", 6);
	prep(&r, READV, fd, far, 1, 0, 1);
	finish(&r, "a bad vector", 1);
	prep(&r, FALLOCATE, fd, (void *)5000, 0, 0, 1);
	finish(&r, "fallocate", 1);
	fstat(fd, &st);
	printf("%ld bytes\n", (long)st.st_size);
	close(fd);
	close(only);
	unlink("uring.file");
	drop(&r);
}

static void big(void)
{
	enum { BYTES = 3 << 20 };
	char *a = malloc(BYTES), *b = calloc(1, BYTES);
	struct ring r;
	int fd = open("uring.big", O_RDWR | O_CREAT | O_TRUNC, 0600);

	make(&r, 64, 0, 0);
	for (int i = 0; i < BYTES; i++)
		a[i] = (char)(i * 7 + i / 4096);
	prep(&r, WRITE, fd, a, BYTES, 0, 1);
	finish(&r, "a large write", 1);
	for (int i = 0; i < 48; i++)
		prep(&r, READ, fd, b + i * 65536, 65536, (uint64_t)i * 65536, (uint64_t)i);
	submit(&r, 48);
	struct cqe c[64];
	int n = take(&r, c, 64), good = 0;

	for (int i = 0; i < n; i++)
		good += c[i].res == 65536;
	printf("%d reads at once, %d whole, %s\n", n, good, memcmp(a, b, BYTES) ? "other bytes" : "the same bytes");
	close(fd);
	unlink("uring.big");
	drop(&r);
	free(a);
	free(b);
}

static void pipes(void)
{
	char a[32] = "", b[32] = "";
	struct cqe c;
	struct ring r;
	int p[2], n = 0;

	make(&r, 8, 0, 0);
	pipe(p);
	prep(&r, READ, p[0], a, 32, 0, 1);
	submit(&r, 0);
	printf("nothing in the pipe: %d completions\n", take(&r, &c, 1));
	write(p[1], "late", 4);
	while (!take(&r, &c, 1)) // by looking alone: nobody enters
		usleep(1000);
	printf("then %llu=%d %s\n", (unsigned long long)c.user_data, c.res, a);
	prep(&r, POLL_ADD, p[0], NULL, 0, 0, 2)->op_flags = POLLIN;
	submit(&r, 0);
	write(p[1], "x", 1);
	finish(&r, "poll", 1);
	prep(&r, POLL_ADD, p[0], NULL, 0, 0, 3)->op_flags = POLLIN | POLLOUT;
	prep(&r, POLL_ADD, p[1], NULL, 0, 0, 4)->op_flags = POLLOUT;
	prep(&r, POLL_ADD, 99, NULL, 0, 0, 5)->op_flags = POLLOUT;
	finish(&r, "polls", 3);
	read(p[0], a, 1);
	prep(&r, POLL_ADD, p[0], NULL, 0, 0, 6)->op_flags = POLLIN;
	submit(&r, 0);
	prep(&r, POLL_REMOVE, -1, (void *)77, 0, 0, 7);
	prep(&r, POLL_REMOVE, -1, (void *)6, 0, 0, 8);
	finish(&r, "poll removed", 3);
	prep(&r, POLL_ADD, p[0], NULL, 1, 0, 9)->op_flags = POLLIN; // several times
	submit(&r, 0);
	for (int i = 0; i < 3; i++) {
		write(p[1], "y", 1);
		finish(&r, "again", 1);
		read(p[0], a, 1);
	}
	prep(&r, ASYNC_CANCEL, -1, (void *)9, 0, 0, 10);
	finish(&r, "cancelled", 2);
	prep(&r, READ, p[0], a, 32, 0, 11)->op_flags = 8; // RWF_NOWAIT
	finish(&r, "not to wait", 1);
	prep(&r, READ, p[0], a, 32, 0, 12);
	prep(&r, READ, p[0], b, 32, 0, 13);
	submit(&r, 0);
	close(p[1]);
	finish(&r, "the end of the pipe", 2);
	close(p[0]);
	pipe(p);
	while (fcntl(p[1], F_SETFL, O_NONBLOCK), write(p[1], a, sizeof(a)) > 0)
		n++;
	fcntl(p[1], F_SETFL, 0);
	prep(&r, WRITE, p[1], "z", 1, 0, 14);
	submit(&r, 0);
	printf("full: %d completions\n", take(&r, &c, 1));
	for (int i = 0; i < n; i++)
		read(p[0], a, sizeof(a));
	finish(&r, "room again", 1);
	signal(SIGPIPE, SIG_IGN);
	close(p[0]);
	prep(&r, WRITE, p[1], "z", 1, 0, 15);
	finish(&r, "nobody reads", 1);
	close(p[1]);
	drop(&r);
}

static void sockets(void)
{
	char a[32] = "", b[32] = "";
	struct iovec out = { "message", 7 }, in = { b, 32 };
	struct msghdr mo = { .msg_iov = &out, .msg_iovlen = 1 }, mi = { .msg_iov = &in, .msg_iovlen = 1 };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
	socklen_t length = sizeof(to), from_length = sizeof(from);
	int s[2], l, c, taken;
	struct cqe done[4];
	struct ring r;

	make(&r, 16, 0, 0);
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	prep(&r, RECV, s[0], a, 32, 0, 1);
	submit(&r, 0);
	prep(&r, SEND, s[1], "data", 4, 0, 2);
	finish(&r, "send and receive", 2);
	printf("%s\n", a);
	prep(&r, RECVMSG, s[0], &mi, 1, 0, 3);
	prep(&r, SENDMSG, s[1], &mo, 1, 0, 4);
	finish(&r, "messages", 2);
	printf("%s\n", b);
	prep(&r, RECV, s[0], a, 32, 0, 5)->op_flags = MSG_DONTWAIT;
	finish(&r, "not to wait", 1);
	prep(&r, RECV, s[0], a, 8, 0, 6)->op_flags = MSG_WAITALL;
	submit(&r, 0);
	write(s[1], "half", 4);
	usleep(20000);
	printf("half of it: %d\n", take(&r, done, 1));
	write(s[1], "more", 4);
	finish(&r, "all of it", 1);
	printf("%.8s\n", a);
	prep(&r, SHUTDOWN, s[1], NULL, SHUT_WR, 0, 7);
	prep(&r, RECV, s[0], a, 8, 0, 8);
	finish(&r, "shut", 2);
	prep(&r, RECV, 1, a, 8, 0, 9);
	prep(&r, ACCEPT, 1, NULL, 0, 0, 10);
	prep(&r, ACCEPT, s[0], NULL, 0, 0, 11);
	finish(&r, "no such socket", 3);
	close(s[0]);
	close(s[1]);

	l = socket(AF_INET, SOCK_STREAM, 0);
	bind(l, (struct sockaddr *)&to, sizeof(to));
	listen(l, 4);
	getsockname(l, (struct sockaddr *)&to, &length);
	c = socket(AF_INET, SOCK_STREAM, 0);
	prep(&r, ACCEPT, l, &from, 0, (uint64_t)(uintptr_t)&from_length, 10)->op_flags = SOCK_CLOEXEC;
	submit(&r, 0);
	prep(&r, CONNECT, c, &to, 0, sizeof(to), 11);
	submit(&r, 2);
	printf("%d ended\n", take(&r, done, 4));
	taken = done[0].user_data == 10 ? done[0].res : done[1].res;
	printf("accepted %d, connected %d, from %s, cloexec %d\n", taken >= 0, done[0].user_data == 11 ? done[0].res : done[1].res,
	       inet_ntoa(from.sin_addr), fcntl(taken, F_GETFD));
	prep(&r, RECV, taken, a, 32, 0, 12);
	submit(&r, 0);
	prep(&r, WRITE, c, "tcp", 3, 0, 13);
	finish(&r, "tcp", 2);
	prep(&r, READ, c, b, 32, 0, 14);
	submit(&r, 0);
	close(taken);
	finish(&r, "closed", 1);
	close(l);
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	prep(&r, CONNECT, c, &to, 0, sizeof(to), 15);
	finish(&r, "nobody listens", 1);
	close(c);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	prep(&r, CONNECT, c, &to, 0, sizeof(to), 16);
	finish(&r, "nobody listens", 1);
	close(c);
	drop(&r);
}

static void timeouts(void)
{
	struct timespec64 soon = { 0, 20000000 }, late = { 100, 0 }, bad = { 0, -5 }, start;
	struct ring r;

	make(&r, 16, 0, 0);
	prep(&r, TIMEOUT, -1, &soon, 1, 0, 1);
	finish(&r, "timeout", 1);
	prep(&r, TIMEOUT, -1, &bad, 1, 0, 1);
	finish(&r, "no such time", 1);
	prep(&r, TIMEOUT, -1, &soon, 2, 0, 1);
	finish(&r, "two times", 1);
	prep(&r, TIMEOUT, -1, &late, 1, 2, 1);
	prep(&r, NOP, -1, NULL, 0, 0, 2);
	prep(&r, NOP, -1, NULL, 0, 0, 3);
	finish(&r, "a count", 3);
	prep(&r, TIMEOUT, -1, &late, 1, 0, 1);
	submit(&r, 0);
	prep(&r, TIMEOUT_REMOVE, -1, (void *)1, 0, 0, 2);
	finish(&r, "removed", 2);
	prep(&r, TIMEOUT_REMOVE, -1, (void *)1, 0, 0, 2);
	finish(&r, "not there", 1);
	prep(&r, TIMEOUT, -1, &late, 1, 0, 1);
	submit(&r, 0);
	prep(&r, TIMEOUT_REMOVE, -1, (void *)1, 0, (uint64_t)(uintptr_t)&soon, 2)->op_flags = 2;
	finish(&r, "sooner", 2);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &start);
	start.nsec += 20000000;
	if (start.nsec >= 1000000000)
		start.nsec -= 1000000000, start.sec++;
	prep(&r, TIMEOUT, -1, &start, 1, 0, 1)->op_flags = 1;
	finish(&r, "at a time", 1);
	drop(&r);
}

static void chains(void)
{
	struct timespec64 soon = { 0, 20000000 }, late = { 100, 0 };
	char a[16] = "", b[16] = "";
	struct ring r;
	int p[2], fd = open("uring.chain", O_RDWR | O_CREAT | O_TRUNC, 0600);

	make(&r, 16, 0, 0);
	pipe(p);
	prep(&r, WRITE, fd, "linked", 6, 0, 1)->flags = LINK;
	prep(&r, FSYNC, fd, NULL, 0, 0, 2)->flags = LINK;
	prep(&r, READ, fd, a, 6, 0, 3);
	prep(&r, NOP, -1, NULL, 0, 0, 4);
	finish(&r, "chain", 4);
	printf("%s\n", a);
	prep(&r, READ, fd, a, 16, 0, 1)->flags = LINK; // short
	prep(&r, NOP, -1, NULL, 0, 0, 2)->flags = LINK;
	prep(&r, NOP, -1, NULL, 0, 0, 3);
	finish(&r, "short", 3);
	prep(&r, READ, 99, a, 16, 0, 1)->flags = HARDLINK;
	prep(&r, NOP, -1, NULL, 0, 0, 2);
	finish(&r, "hard", 2);
	prep(&r, READ, p[0], a, 1, 0, 1)->flags = LINK;
	prep(&r, WRITE, fd, "after", 5, 0, 2);
	submit(&r, 0);
	write(p[1], "q", 1);
	finish(&r, "a chain that waits", 2);
	prep(&r, READ, p[0], a, 1, 0, 1)->flags = LINK;
	prep(&r, LINK_TIMEOUT, -1, &soon, 1, 0, 2);
	finish(&r, "its time is over", 2);
	prep(&r, READ, p[0], a, 1, 0, 1)->flags = LINK;
	prep(&r, LINK_TIMEOUT, -1, &late, 1, 0, 2)->flags = LINK;
	prep(&r, NOP, -1, NULL, 0, 0, 3);
	submit(&r, 0);
	write(p[1], "q", 1);
	finish(&r, "in time", 3);
	prep(&r, READ, p[0], b, 1, 0, 1);
	prep(&r, NOP, -1, NULL, 0, 0, 2)->flags = DRAIN;
	submit(&r, 0);
	struct cqe c[2];
	printf("drained after: %d\n", take(&r, c, 2));
	write(p[1], "q", 1);
	submit(&r, 2);
	int n = take(&r, c, 2);
	printf("%d, first %llu\n", n, (unsigned long long)c[0].user_data);
	prep(&r, NOP, -1, NULL, 0, 0, 1)->flags = SKIP;
	prep(&r, READ, 99, a, 1, 0, 2)->flags = SKIP;
	finish(&r, "told only if it fails", 1);
	close(p[0]);
	close(p[1]);
	close(fd);
	unlink("uring.chain");
	drop(&r);
}

static void cancelling(void)
{
	char a[8];
	struct ring r;
	int p[2];

	make(&r, 16, 0, 0);
	pipe(p);
	prep(&r, READ, p[0], a, 8, 0, 1);
	submit(&r, 0);
	prep(&r, ASYNC_CANCEL, -1, (void *)2, 0, 0, 3);
	finish(&r, "another", 1);
	prep(&r, ASYNC_CANCEL, -1, (void *)1, 0, 0, 3);
	finish(&r, "cancelled", 2);
	for (uint64_t i = 1; i < 4; i++)
		prep(&r, POLL_ADD, p[0], NULL, 0, 0, i)->op_flags = POLLIN;
	submit(&r, 0);
	prep(&r, ASYNC_CANCEL, p[0], NULL, 0, 0, 4)->op_flags = 3; // all of a descriptor
	finish(&r, "all of it", 4);
	prep(&r, READ, p[0], a, 8, 0, 1);
	submit(&r, 0);
	close(p[0]); // the request has it still
	write(p[1], "held", 4);
	finish(&r, "closed meanwhile", 1);
	prep(&r, ASYNC_CANCEL, -1, NULL, 0, 0, 4)->op_flags = 1u << 20;
	finish(&r, "flags", 1);
	close(p[1]);
	drop(&r);
}

static void paths(void)
{
	char x[512];
	struct cqe c;
	struct stat st;
	struct ring r;

	make(&r, 8, 0, 0);
	prep(&r, MKDIRAT, AT_FDCWD, "uring.dir", 0755, 0, 1)->flags = LINK;
	prep(&r, OPENAT, AT_FDCWD, "uring.dir/file", 0600, 0, 2)->op_flags = O_CREAT | O_WRONLY | O_CLOEXEC;
	submit(&r, 2);
	take(&r, &c, 1);
	take(&r, &c, 1);
	printf("opened %d, cloexec %d\n", c.res >= 0, fcntl(c.res, F_GETFD));
	prep(&r, WRITE, c.res, "12345", 5, 0, 1)->flags = LINK;
	prep(&r, CLOSE, c.res, NULL, 0, 0, 2)->flags = LINK;
	prep(&r, STATX, AT_FDCWD, "uring.dir/file", 0x7ff, (uint64_t)(uintptr_t)x, 3);
	finish(&r, "written, closed, looked at", 3);
	printf("%llu bytes, and closed %d\n", *(unsigned long long *)(void *)(x + 40), fcntl(c.res, F_GETFD));
	prep(&r, RENAMEAT, AT_FDCWD, "uring.dir/file", (uint32_t)AT_FDCWD, (uint64_t)(uintptr_t)"uring.dir/other", 1)->flags = LINK;
	prep(&r, UNLINKAT, AT_FDCWD, "uring.dir/other", 0, 0, 2)->flags = LINK;
	prep(&r, UNLINKAT, AT_FDCWD, "uring.dir", 0, 0, 3)->op_flags = AT_REMOVEDIR;
	finish(&r, "renamed, removed", 3);
	printf("%d\n", stat("uring.dir", &st));
	prep(&r, OPENAT, AT_FDCWD, "uring.none", 0, 0, 1)->op_flags = O_RDONLY;
	prep(&r, CLOSE, 99, NULL, 0, 0, 3);
	prep(&r, CLOSE, r.fd, NULL, 0, 0, 4);
	finish(&r, "errors", 3);
	prep(&r, STATX, AT_FDCWD, NULL, 0x7ff, (uint64_t)(uintptr_t)x, 2);
	finish(&r, "no path", 1);
	drop(&r);
}

static void registered(void)
{
	char *a = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec v[2] = { { a, 4096 }, { a + 4096, 100 } }, bad = { NULL, 10 };
	struct { uint32_t offset, reserved; uint64_t fds; } update;
	struct { uint8_t last, count; uint16_t r1; uint32_t r2[3]; struct { uint8_t op, r; uint16_t flags; uint32_t r2; } ops[64]; } probe;
	int fd = open("uring.reg", O_RDWR | O_CREAT | O_TRUNC, 0600), fds[3] = { fd, -1, 0 }, none[1] = { 99 }, event = eventfd(0, EFD_NONBLOCK);
	uint64_t count;
	struct ring r;

	make(&r, 16, 0, 0);
	say("unregister nothing", reg(r.fd, 1, NULL, 0));
	say("no buffers", reg(r.fd, 0, v, 0));
	say("a bad buffer", reg(r.fd, 0, &bad, 1));
	say("buffers", reg(r.fd, 0, v, 2));
	say("again", reg(r.fd, 0, v, 2));
	strcpy(a, "fixed");
	prep(&r, WRITE_FIXED, fd, a, 5, 0, 1)->buf_index = 0;
	finish(&r, "write", 1);
	prep(&r, READ_FIXED, fd, a + 4096, 5, 0, 1)->buf_index = 1;
	prep(&r, READ_FIXED, fd, a + 4096, 101, 0, 2)->buf_index = 1;
	prep(&r, READ_FIXED, fd, a, 5, 0, 3)->buf_index = 2;
	prep(&r, READ_FIXED, fd, a, 5, 0, 4)->buf_index = 1;
	finish(&r, "reads", 4);
	printf("%s\n", a + 4096);
	say("unregister", reg(r.fd, 1, NULL, 0));
	say("bad files", reg(r.fd, 2, none, 1));
	say("no files there", reg(r.fd, 3, NULL, 0));
	say("files", reg(r.fd, 2, fds, 3));
	close(fd);
	prep(&r, READ, 0, a + 10, 5, 0, 1)->flags = FIXED_FILE;
	prep(&r, READ, 1, a + 20, 5, 0, 2)->flags = FIXED_FILE;
	prep(&r, READ, 3, a + 30, 5, 0, 3)->flags = FIXED_FILE;
	finish(&r, "by number", 3);
	printf("%s\n", a + 10);
	fds[0] = -1;
	update.offset = 0;
	update.reserved = 0;
	update.fds = (uint64_t)(uintptr_t)fds;
	say("update", reg(r.fd, 6, &update, 1));
	prep(&r, READ, 0, a + 10, 5, 0, 1)->flags = FIXED_FILE;
	finish(&r, "taken away", 1);
	prep(&r, OPENAT, AT_FDCWD, "uring.reg", 0, 0, 1)->file_index = 2;
	finish(&r, "opened as the second", 1);
	prep(&r, READ, 1, a + 20, 5, 0, 2)->flags = FIXED_FILE;
	finish(&r, "read of it", 1);
	say("an eventfd", reg(r.fd, 4, &event, 1));
	prep(&r, NOP, -1, NULL, 0, 0, 1);
	finish(&r, "nop", 1);
	say("rung", read(event, &count, 8));
	say("once", read(event, &count, 8));
	say("unregister", reg(r.fd, 5, NULL, 0));
	memset(&probe, 0, sizeof(probe));
	say("probe", reg(r.fd, 8, &probe, 40));
	for (int i = 0; i < 40; i++)
		if (!(probe.ops[i].flags & 1))
			probe.r1 |= i != 30 && i != 31 && i != 32 && i != 33; // splice, provided buffers: not asked for
	printf("known to the probe: %d, the first %d\n", !probe.r1, probe.ops[0].flags);
	say("no such registration", reg(r.fd, 200, NULL, 0));
	unlink("uring.reg");
	close(event);
	drop(&r);
}

static void overflow(void)
{
	struct cqe c[16];
	struct ring r;
	int n;

	make(&r, 2, 0, 0);
	for (int round = 0; round < 4; round++) {
		for (uint64_t i = 0; i < 2; i++)
			prep(&r, NOP, -1, NULL, 0, 0, (uint64_t)round * 2 + i);
		submit(&r, 0);
	}
	n = take(&r, c, 16);
	printf("%d fit, overflow told %d\n", n, (*at(&r, r.p.sq.o4) & 2) != 0);
	enter(r.fd, 0, 0, 1, NULL, 0);
	n += take(&r, c, 16);
	printf("%d in all, the last is %llu, lost %u, told %d\n", n, (unsigned long long)c[3].user_data, *at(&r, r.p.cq.o4), (*at(&r, r.p.sq.o4) & 2) != 0);
	drop(&r);
}

static void on_alarm(int sig) { (void)sig; }

static void waiting(void)
{
	struct { uint64_t mask; uint32_t bytes, pad; uint64_t timeout; } arg = { 0, 0, 0, 0 };
	struct itimerval often = { { 0, 30000 }, { 0, 30000 } }, never = { 0 };
	struct timespec64 time = { 0, 20000000 };
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct epoll_event e = { .events = EPOLLIN };
	int set = epoll_create1(0), p[2];
	struct pollfd poller;
	struct cqe c;
	char a[8];
	struct ring r;

	make(&r, 8, 0, 0);
	pipe(p);
	arg.timeout = (uint64_t)(uintptr_t)&time;
	say("for a time", enter(r.fd, 0, 1, 1 | 8, &arg, sizeof(arg)));
	say("of another size", enter(r.fd, 0, 1, 1 | 8, &arg, 8));
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL); /* again and again: the first may come before the call waits */
	say("interrupted", enter(r.fd, 0, 1, 1, NULL, 0));
	setitimer(ITIMER_REAL, &never, NULL);
	poller = (struct pollfd){ .fd = r.fd, .events = POLLIN };
	printf("poll: %d\n", poll(&poller, 1, 0));
	epoll_ctl(set, EPOLL_CTL_ADD, r.fd, &e);
	printf("epoll: %d\n", epoll_wait(set, &e, 1, 0));
	prep(&r, READ, p[0], a, 8, 0, 1);
	submit(&r, 0);
	write(p[1], "w", 1);
	printf("poll: %d, epoll: %d\n", poll(&poller, 1, 1000), epoll_wait(set, &e, 1, 1000));
	printf("%d\n", take(&r, &c, 1));
	printf("poll: %d, epoll: %d\n", poll(&poller, 1, 0), epoll_wait(set, &e, 1, 0));
	close(set);
	prep(&r, READ, p[0], a, 8, 0, 2);
	submit(&r, 0);
	munmap(r.memory, 4096); // while it is mapped Linux keeps it
	drop(&r);               // and what waits is given up
	poller = (struct pollfd){ .fd = p[1], .events = 0 };
	close(p[0]);
	for (int i = 0; i < 1000 && poll(&poller, 1, 0) == 0; i++)
		usleep(1000);
	printf("nobody has the pipe any more: %d\n", (poller.revents & POLLERR) != 0);
	close(p[1]);
	make(&r, 8, 64, 0); // disabled at first
	prep(&r, NOP, -1, NULL, 0, 0, 1);
	say("disabled", enter(r.fd, 1, 0, 0, NULL, 0));
	say("enabled", reg(r.fd, 12, NULL, 0));
	finish(&r, "nop", 1);
	drop(&r);
}

// Many rings one after the other, and a child that has its parent's.
static void lives(void)
{
	struct ring r;
	int status, p[2];
	char a[4];

	for (int i = 0; i < 100; i++) {
		make(&r, 4, 0, 0);
		pipe(p);
		prep(&r, READ, p[0], a, 1, 0, 1);
		prep(&r, NOP, -1, NULL, 0, 0, 2);
		submit(&r, 1);
		munmap(r.memory, 4096);
		drop(&r);
		close(p[0]);
		close(p[1]);
	}
	make(&r, 4, 0, 0);
	if (fork() == 0) {
		struct ring mine;

		close(r.fd);
		make(&mine, 4, 0, 0);
		prep(&mine, NOP, -1, NULL, 0, 0, 3);
		finish(&mine, "the child", 1);
		fflush(stdout);
		_exit(0);
	}
	wait(&status);
	prep(&r, NOP, -1, NULL, 0, 0, 4);
	finish(&r, "the parent", 1);
	drop(&r);
}

int main(void)
{
	static void (*const parts[])(void) = { settings, nops, files, big, pipes, sockets, timeouts, chains, cancelling,
					       paths, registered, overflow, waiting, lives };

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		parts[i]();
	return 0;
}
