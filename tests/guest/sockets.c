/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sockets of TCP and UDP over the loopback: what each call answers to bad
 * arguments and in wrong states, readiness at each turn of a connection, and
 * data. Answers are printed: those of the host are the right ones.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define TELL(call) do { \
	errno = 0; \
	long result_ = (long)(call); \
	printf("%s: %ld %s\n", #call, result_, result_ < 0 ? strerror(errno) : ""); \
} while (0)
#define BAD ((void *)8)

static struct sockaddr_in any_port(void)
{
	return (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static struct sockaddr_in name_of(int fd)
{
	struct sockaddr_in a = { 0 };
	socklen_t length = sizeof(a);

	CHECK(getsockname(fd, (struct sockaddr *)&a, &length) == 0 && length == sizeof(a));
	return a;
}

static int listener(void)
{
	struct sockaddr_in a = any_port();
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 8) == 0);
	return fd;
}

static void connected_pair(int fds[2])
{
	int l = listener();
	struct sockaddr_in a = name_of(l);

	fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(connect(fds[0], (struct sockaddr *)&a, sizeof(a)) == 0);
	fds[1] = accept(l, NULL, NULL);
	CHECK(fds[1] >= 0);
	close(l);
}

static int revents(int fd)
{
	struct pollfd p = { fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0 };

	poll(&p, 1, 0);
	return p.revents;
}

/* Until it is so, for at most twenty seconds. */
static int reaches(int fd, int wanted)
{
	for (int i = 0; i < 2000 && revents(fd) != wanted; i++)
		usleep(10000);
	return revents(fd);
}

/* Who listened there has closed: until it is so for who connects. */
static void until_refused(const struct sockaddr_in *a)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	for (int i = 0; i < 2000 && connect(fd, (const struct sockaddr *)a, sizeof(*a)) == 0; i++) {
		close(fd);
		usleep(10000);
		fd = socket(AF_INET, SOCK_STREAM, 0);
	}
	close(fd);
}

static void making(void)
{
	int fd;

	TELL(socket(AF_INET, SOCK_STREAM, 17));
	TELL(socket(AF_INET, SOCK_DGRAM, 6));
	TELL(socket(AF_INET, 0, 0));
	TELL(socket(AF_INET, 7, 0));
	TELL(socket(AF_INET, 11, 0));
	TELL(socket(AF_INET, SOCK_STREAM, 300));
	TELL(socket(AF_INET, SOCK_SEQPACKET, 0));
	TELL(socket(99, SOCK_STREAM, 0));
	TELL(socket(-1, SOCK_STREAM, 0));
	TELL(socket(AF_INET, SOCK_STREAM | 0x100000, 0));
	TELL(socket(AF_INET, SOCK_RAW, 0));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
	printf("flags %x %x\n", fcntl(fd, F_GETFL), fcntl(fd, F_GETFD));
	TELL(lseek(fd, 0, SEEK_CUR));
	TELL(ftruncate(fd, 0));
	close(fd);
	TELL(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){ 0, 0 }));
	TELL(socketpair(AF_INET, SOCK_DGRAM, 6, (int[2]){ 0, 0 }));
	TELL(socketpair(AF_INET, SOCK_RAW, 0, (int[2]){ 0, 0 }));
	TELL(socketpair(0, SOCK_STREAM, 0, (int[2]){ 0, 0 }));
}

/* Every call on what is no socket, and on no descriptor. */
static void no_socket(int fd)
{
	struct sockaddr_in a = any_port();
	socklen_t length = sizeof(a);
	int n = 0;
	char b[4];

	TELL(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	TELL(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	TELL(listen(fd, 1));
	TELL(accept(fd, NULL, NULL));
	TELL(send(fd, "x", 1, 0));
	TELL(recv(fd, b, 1, 0));
	TELL(shutdown(fd, 2));
	TELL(getsockname(fd, (struct sockaddr *)&a, &length));
	TELL(getpeername(fd, (struct sockaddr *)&a, &length));
	TELL(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &n, sizeof(n)));
	length = sizeof(n);
	TELL(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &n, &length));
}

static void bad_addresses(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), second;
	struct sockaddr_in a = any_port(), b;
	socklen_t length = sizeof(a);

	TELL(bind(fd, (struct sockaddr *)&a, 4));
	TELL(bind(fd, (struct sockaddr *)&a, 0));
	TELL(bind(fd, BAD, sizeof(a)));
	TELL(bind(fd, (struct sockaddr *)&a, 200));
	a.sin_family = 77;
	TELL(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	TELL(connect(udp, (struct sockaddr *)&a, sizeof(a)));
	a = any_port();
	a.sin_addr.s_addr = htonl(0x08080808);
	TELL(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	TELL(bind(udp, (struct sockaddr *)&a, sizeof(a)));
	a = any_port();
	TELL(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	TELL(bind(fd, (struct sockaddr *)&a, sizeof(a)));
	TELL(listen(fd, 2));
	TELL(listen(fd, 3));
	b = name_of(fd);
	second = socket(AF_INET, SOCK_STREAM, 0);
	TELL(bind(second, (struct sockaddr *)&b, sizeof(b)));
	setsockopt(second, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	TELL(bind(second, (struct sockaddr *)&b, sizeof(b)));
	TELL(connect(fd, (struct sockaddr *)&b, sizeof(b)));
	TELL(getpeername(fd, (struct sockaddr *)&a, &length));
	TELL(getsockname(fd, BAD, &length));
	TELL(getsockname(fd, (struct sockaddr *)&a, BAD));
	length = (socklen_t)-1;
	TELL(getsockname(fd, (struct sockaddr *)&a, &length));
	length = 4;
	TELL(getsockname(fd, (struct sockaddr *)&a, &length));
	printf("length %u\n", length);
	TELL(accept(udp, NULL, NULL));
	TELL(listen(udp, 1));
	TELL(accept(second, NULL, NULL));
	TELL(send(fd, "x", 1, MSG_NOSIGNAL));
	TELL(recv(fd, &b, 1, 0));
	TELL(shutdown(second, SHUT_RD));
	TELL(shutdown(second, 9));
	close(fd);
	close(udp);
	close(second);
}

static void options(void)
{
	int tcp = socket(AF_INET, SOCK_STREAM, 0), udp = socket(AF_INET, SOCK_DGRAM, 0), n = 1;
	struct timeval tv = { 0, 0 };
	struct linger linger = { 1, 5 };
	socklen_t length;
	char name[32];
	static const struct { int level, name; } get[] = {
		{ SOL_SOCKET, SO_TYPE }, { SOL_SOCKET, SO_ERROR }, { SOL_SOCKET, SO_REUSEADDR },
		{ SOL_SOCKET, SO_KEEPALIVE }, { SOL_SOCKET, SO_BROADCAST }, { SOL_SOCKET, SO_ACCEPTCONN },
		{ SOL_SOCKET, SO_DOMAIN }, { SOL_SOCKET, SO_PROTOCOL }, { SOL_SOCKET, SO_RCVLOWAT },
		{ SOL_SOCKET, SO_PRIORITY }, { SOL_SOCKET, 9999 }, { IPPROTO_IP, IP_TTL }, { IPPROTO_IP, IP_TOS },
		{ IPPROTO_IP, IP_MTU }, { IPPROTO_IP, IP_MULTICAST_TTL }, { IPPROTO_IP, 9999 },
		{ IPPROTO_TCP, TCP_NODELAY }, { IPPROTO_TCP, TCP_MAXSEG }, { IPPROTO_TCP, TCP_KEEPIDLE },
		{ IPPROTO_TCP, TCP_KEEPINTVL }, { IPPROTO_TCP, TCP_KEEPCNT }, { IPPROTO_TCP, TCP_SYNCNT },
		{ IPPROTO_TCP, 9999 }, { 9999, 1 }, { SOL_SOCKET, SO_SNDBUF },
	};

	for (size_t i = 0; i < sizeof(get) / sizeof(get[0]); i++) {
		for (int k = 0; k < 2; k++) {
			int value = -1, result;

			if (get[i].name == SO_SNDBUF && get[i].level == SOL_SOCKET && !k)
				continue; /* what a stream begins with differs from machine to machine */
			length = sizeof(value);
			result = getsockopt(k ? udp : tcp, get[i].level, get[i].name, &value, &length);
			printf("get %d %d %s: %d %d %u %s\n", get[i].level, get[i].name, k ? "udp" : "tcp", result,
			       result ? 0 : value, length, result ? strerror(errno) : "");
		}
	}
	TELL(setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, &n, 2));
	TELL(setsockopt(tcp, SOL_SOCKET, SO_REUSEADDR, BAD, sizeof(n)));
	TELL(setsockopt(tcp, SOL_SOCKET, 9999, &n, sizeof(n)));
	TELL(setsockopt(tcp, IPPROTO_TCP, TCP_KEEPIDLE, &(int){ 0 }, sizeof(n)));
	TELL(setsockopt(tcp, IPPROTO_TCP, TCP_KEEPCNT, &(int){ 200 }, sizeof(n)));
	TELL(setsockopt(tcp, IPPROTO_TCP, TCP_CORK, &n, sizeof(n)));
	TELL(setsockopt(tcp, IPPROTO_IP, IP_TTL, &(int){ 300 }, sizeof(n)));
	TELL(setsockopt(tcp, IPPROTO_IP, IP_TTL, &(int){ 9 }, sizeof(n)));
	TELL(setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, &(int){ 1 }, sizeof(n)));
	tv.tv_usec = 2000000;
	TELL(setsockopt(tcp, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	TELL(setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	TELL(setsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, 4));
	TELL(setsockopt(tcp, SOL_SOCKET, SO_BINDTODEVICE, "nosuch", 7));
	TELL(setsockopt(tcp, IPPROTO_TCP, TCP_CONGESTION, "nosuch", 6));
	memset(&linger, 0, sizeof(linger));
	length = sizeof(linger);
	TELL(getsockopt(tcp, SOL_SOCKET, SO_LINGER, &linger, &length));
	printf("linger %d %d %u\n", linger.l_onoff, linger.l_linger, length);
	n = 30000;
	TELL(setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &n, sizeof(n)));
	length = sizeof(n);
	TELL(getsockopt(udp, SOL_SOCKET, SO_RCVBUF, &n, &length));
	printf("receive buffer %d\n", n);
	length = 2;
	TELL(getsockopt(tcp, SOL_SOCKET, SO_TYPE, &n, &length));
	printf("short option %u\n", length);
	length = sizeof(n);
	TELL(getsockopt(tcp, SOL_SOCKET, SO_TYPE, BAD, &length));
	TELL(getsockopt(tcp, SOL_SOCKET, SO_TYPE, &n, BAD));
	length = sizeof(name);
	TELL(getsockopt(tcp, SOL_SOCKET, SO_BINDTODEVICE, name, &length));
	close(tcp);
	close(udp);
}

static volatile sig_atomic_t pipes;
static void on_pipe(int sig) { (void)sig; pipes++; }

static void states(void)
{
	int fds[2], l, fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a;
	char b[8];

	printf("new %x\n", revents(fd));
	TELL(recv(fd, b, 1, 0));
	TELL(send(fd, b, 1, MSG_NOSIGNAL));
	TELL(shutdown(fd, SHUT_WR));
	close(fd);
	l = listener();
	printf("listening %x\n", revents(l));
	fcntl(l, F_SETFL, O_NONBLOCK);
	TELL(accept(l, NULL, NULL));
	close(l);
	connected_pair(fds);
	printf("connected %x %x\n", revents(fds[0]), revents(fds[1]));
	CHECK(write(fds[0], "abc", 3) == 3);
	printf("data there %x\n", reaches(fds[1], POLLIN | POLLOUT));
	TELL(shutdown(fds[0], SHUT_WR));
	printf("peer shut %x %x\n", reaches(fds[1], POLLIN | POLLOUT | POLLRDHUP), revents(fds[0]));
	TELL(send(fds[0], b, 1, MSG_NOSIGNAL));
	TELL(recv(fds[1], b, 8, 0));
	TELL(recv(fds[1], b, 8, 0));
	TELL(write(fds[1], "back", 4));
	TELL(recv(fds[0], b, 8, 0));
	TELL(shutdown(fds[1], SHUT_RDWR));
	printf("both shut %x %x\n", reaches(fds[0], POLLIN | POLLOUT | POLLRDHUP | POLLHUP), revents(fds[1]));
	TELL(recv(fds[0], b, 8, 0));
	close(fds[0]);
	close(fds[1]);

	connected_pair(fds);
	a = name_of(fds[0]);
	TELL(connect(fds[0], (struct sockaddr *)&a, sizeof(a)));
	TELL(shutdown(fds[0], SHUT_RD));
	printf("own reading shut %x\n", revents(fds[0]));
	TELL(recv(fds[0], b, 1, 0));
	close(fds[1]);
	close(fds[0]);

	/* Unread data at close: the peer is told by a reset. */
	connected_pair(fds);
	CHECK(write(fds[0], "unread", 6) == 6);
	reaches(fds[1], POLLIN | POLLOUT);
	close(fds[1]);
	printf("reset %x\n", reaches(fds[0], POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	TELL(recv(fds[0], b, 1, 0));
	TELL(recv(fds[0], b, 1, 0));
	signal(SIGPIPE, on_pipe);
	TELL(write(fds[0], b, 1));
	TELL(send(fds[0], b, 1, MSG_NOSIGNAL));
	printf("SIGPIPE %d\n", (int)pipes);
	close(fds[0]);

	/* SO_LINGER with no time: reset, too. */
	connected_pair(fds);
	setsockopt(fds[1], SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
	close(fds[1]);
	reaches(fds[0], POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP);
	TELL(read(fds[0], b, 1));
	close(fds[0]);
}

static void connecting(void)
{
	int l = listener(), fd, value = -1;
	struct sockaddr_in a = name_of(l), peer;
	socklen_t length = sizeof(value);

	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	TELL(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	printf("connecting %x\n", reaches(fd, POLLOUT));
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0 && value == 0);
	TELL(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	length = sizeof(peer);
	TELL(getpeername(fd, (struct sockaddr *)&peer, &length));
	CHECK(peer.sin_port == a.sin_port && peer.sin_addr.s_addr == a.sin_addr.s_addr);
	close(fd);
	close(l);
	until_refused(&a);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	TELL(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	printf("refused %x\n", revents(fd));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	TELL(connect(fd, (struct sockaddr *)&a, sizeof(a)));
	printf("refused %x\n", reaches(fd, POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	length = sizeof(value);
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0);
	printf("error %s\n", strerror(value));
	CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, &length) == 0 && value == 0);
	close(fd);
}

static void messages(void)
{
	int fds[2], n = -1;
	char b[16] = "";
	struct iovec out[5] = { { "ab", 2 }, { "c", 1 }, { "", 0 }, { "def", 3 }, { "g", 1 } };
	struct iovec in[2] = { { b, 3 }, { b + 8, 8 } };
	struct msghdr m = { .msg_iov = out, .msg_iovlen = 5 };
	struct timeval tv = { 0, 50000 };

	connected_pair(fds);
	TELL(sendmsg(fds[0], &m, 0));
	reaches(fds[1], POLLIN | POLLOUT);
	TELL(ioctl(fds[1], FIONREAD, &n));
	printf("waiting %d\n", n);
	TELL(recv(fds[1], b, 4, MSG_PEEK));
	m = (struct msghdr){ .msg_iov = in, .msg_iovlen = 2 };
	TELL(recvmsg(fds[1], &m, 0));
	printf("%.3s|%.4s %x\n", b, b + 8, m.msg_flags);
	TELL(recv(fds[1], b, 4, MSG_DONTWAIT));
	TELL(recv(fds[1], b, 4, MSG_OOB));
	TELL(recv(fds[1], b, 0, MSG_DONTWAIT));
	TELL(send(fds[1], b, 0, 0));
	TELL(send(fds[1], BAD, 4, 0));
	TELL(syscall(SYS_sendmsg, fds[1], BAD, 0));
	TELL(syscall(SYS_recvmsg, fds[1], BAD, 0));
	setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	TELL(recv(fds[1], b, 4, 0));
	if (fork() == 0) {
		usleep(50000);
		CHECK(write(fds[0], "12", 2) == 2);
		usleep(50000);
		CHECK(write(fds[0], "34", 2) == 2);
		_exit(failures);
	}
	tv.tv_sec = 5;
	setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	TELL(recv(fds[1], b, 4, MSG_WAITALL));
	wait(NULL);
	close(fds[0]);
	close(fds[1]);
}

static void datagrams(void)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), n = -1;
	struct sockaddr_in to = any_port(), from;
	socklen_t length = sizeof(from);
	static char big[70000];
	char buf[16];

	printf("new %x\n", revents(a));
	CHECK(bind(a, (struct sockaddr *)&to, sizeof(to)) == 0);
	to = name_of(a);
	TELL(send(b, "x", 1, 0));
	TELL(sendto(b, big, sizeof(big), 0, (struct sockaddr *)&to, sizeof(to)));
	TELL(sendto(b, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)));
	TELL(sendto(b, "", 0, 0, (struct sockaddr *)&to, sizeof(to)));
	TELL(sendto(b, "third", 5, 0, (struct sockaddr *)&to, 3));
	reaches(a, POLLIN | POLLOUT);
	TELL(ioctl(a, FIONREAD, &n));
	printf("first %d\n", n);
	TELL(recv(a, buf, 2, MSG_PEEK | MSG_TRUNC));
	TELL(recvfrom(a, buf, 2, 0, (struct sockaddr *)&from, &length));
	CHECK(length == sizeof(from) && from.sin_port == name_of(b).sin_port);
	TELL(recv(a, buf, 2, 0));
	TELL(recv(a, buf, 2, MSG_DONTWAIT));
	TELL(connect(b, (struct sockaddr *)&to, sizeof(to)));
	TELL(write(b, "connected", 9));
	TELL(recv(a, buf, sizeof(buf), 0));
	TELL(sendto(b, big, 60000, 0, NULL, 0));
	TELL(recv(a, big, sizeof(big), 0));
	close(a);
	TELL(write(b, "nobody", 6));
	for (int i = 0; i < 2000 && !(revents(b) & POLLERR); i++)
		usleep(10000);
	printf("refused %x\n", revents(b));
	TELL(write(b, "nobody", 6));
	TELL(shutdown(b, SHUT_WR));
	TELL(send(b, "x", 1, MSG_NOSIGNAL));
	close(b);
}

/* A stream's bytes, held back by MSG_MORE: for 200 ms, which a busy machine may miss, or until
 * something else makes the stack send, as the end of the handshake may. Then we try again. */
static bool held_back(int fds[2])
{
	for (int try = 0; try < 50; try++) {
		char b;

		connected_pair(fds);
		CHECK(send(fds[0], "one", 3, MSG_MORE) == 3);
		if (recv(fds[1], &b, 1, MSG_DONTWAIT) == -1 && errno == EAGAIN)
			return true;
		close(fds[0]);
		close(fds[1]);
	}
	return false;
}

/* MSG_MORE: several sends, one datagram; a stream's are held back, not for ever. */
static void more(void)
{
	int a = socket(AF_INET, SOCK_DGRAM, 0), b = socket(AF_INET, SOCK_DGRAM, 0), fds[2];
	struct sockaddr_in to = any_port();
	char buf[64];

	CHECK(bind(a, (struct sockaddr *)&to, sizeof(to)) == 0);
	to = name_of(a);
	TELL(sendto(b, "one", 3, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	TELL(recv(a, buf, sizeof(buf), MSG_DONTWAIT));
	TELL(sendto(b, "two", 3, MSG_MORE, (struct sockaddr *)&to, sizeof(to)));
	TELL(sendto(b, "three", 5, 0, (struct sockaddr *)&to, sizeof(to)));
	TELL(recv(a, buf, sizeof(buf), 0));
	CHECK(!memcmp(buf, "onetwothree", 11));
	TELL(recv(a, buf, sizeof(buf), MSG_DONTWAIT));
	CHECK(held_back(fds));
	TELL(send(fds[0], "two", 3, 0));
	TELL(recv(fds[1], buf, 6, MSG_WAITALL));
	TELL(send(fds[0], "held", 4, MSG_MORE));
	TELL(recv(fds[1], buf, sizeof(buf), 0));
	/* The address of a stream's sender is not told, so its place is not looked at. */
	TELL(send(fds[0], "x", 1, 0));
	TELL(recvfrom(fds[1], buf, 1, 0, BAD, &(socklen_t){ 16 }));
	close(fds[0]);
	close(fds[1]);
	close(a);
	close(b);
}

static void groups(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ip_mreq m = { .imr_multiaddr.s_addr = htonl(0xe0000105) };
	struct group_req g = { .gr_interface = 0 };

	TELL(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, sizeof(m)));
	TELL(setsockopt(fd, IPPROTO_IP, IP_DROP_MEMBERSHIP, &m, 4));
	m.imr_multiaddr.s_addr = htonl(0x7f000001);
	TELL(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &m, sizeof(m)));
	*(struct sockaddr_in *)&g.gr_group = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xe0000105) };
	TELL(setsockopt(fd, IPPROTO_IP, MCAST_LEAVE_GROUP, &g, sizeof(g)));
	TELL(setsockopt(fd, IPPROTO_IP, MCAST_LEAVE_GROUP, &g, 8));
	close(fd);
}

/* A few megabytes there and back; the reader is slow, so that both have to wait. */
static void stream(void)
{
	enum { BYTES = 6 << 20 };
	unsigned long sum = 0, expected = 0;
	static unsigned char block[100000];
	long got = 0, n;
	int fds[2], status;

	connected_pair(fds);
	for (int i = 0; i < 50; i++)
		CHECK(write(fds[0], "four", 4) == 4 && read(fds[1], block, 4) == 4);
	CHECK(write(fds[0], block, 0) == 0 && read(fds[1], block, 0) == 0); /* nothing is asked for, nothing waited for */
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] = (unsigned char)(i * 7 + i / 251);
	if (fork() == 0) {
		close(fds[1]);
		for (long sent = 0; sent < BYTES; sent += n) {
			long part = BYTES - sent < (long)sizeof(block) ? BYTES - sent : (long)sizeof(block);

			n = write(fds[0], block, part);
			if (n != part)
				_exit(1);
		}
		_exit(0);
	}
	close(fds[0]);
	for (long i = 0; i < BYTES; i++)
		expected = expected * 31 + block[i % sizeof(block)];
	usleep(100000);
	while ((n = read(fds[1], block, 77777)) > 0) {
		for (long i = 0; i < n; i++)
			sum = sum * 31 + block[i];
		got += n;
	}
	CHECK(wait(&status) > 0 && status == 0);
	printf("stream %ld %s\n", got, sum == expected ? "right" : "wrong");
	close(fds[1]);
}

static void interrupted(int sig) { (void)sig; }

static void signals(void)
{
	struct sigaction action = { .sa_handler = interrupted };
	int l = listener(), fds[2];
	char b[4];

	sigaction(SIGALRM, &action, NULL);
	connected_pair(fds);
	ualarm(50000, 50000); /* again and again: the first may come before the call waits */
	TELL(recv(fds[0], b, 4, 0));
	TELL(accept(l, NULL, NULL));
	ualarm(0, 0);
	close(fds[0]);
	close(fds[1]);
	close(l);
}

static void interfaces(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = { .ifr_name = "lo" };

	TELL(ioctl(fd, SIOCGIFFLAGS, &r));
	printf("flags %x\n", r.ifr_flags & (IFF_UP | IFF_LOOPBACK | IFF_RUNNING));
	TELL(ioctl(fd, SIOCGIFADDR, &r));
	printf("%s\n", inet_ntoa(((struct sockaddr_in *)&r.ifr_addr)->sin_addr));
	TELL(ioctl(fd, SIOCGIFMTU, &r));
	printf("mtu %d\n", r.ifr_mtu);
	TELL(ioctl(fd, SIOCGIFINDEX, &r));
	printf("index %d\n", r.ifr_ifindex);
	strcpy(r.ifr_name, "nosuch0");
	TELL(ioctl(fd, SIOCGIFFLAGS, &r));
	TELL(ioctl(fd, SIOCGIFFLAGS, BAD));
	close(fd);
}

/* A port of IPv4 and the same of IPv6 alone are two; one of both families is in the way of either. */
static void two_families(void)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 };
	int four = socket(AF_INET, SOCK_STREAM, 0), six = socket(AF_INET6, SOCK_STREAM, 0), one = 1;
	socklen_t len = sizeof(a4);

	if (six < 0) /* a host without IPv6 */
		return;
	CHECK(bind(four, (struct sockaddr *)&a4, sizeof(a4)) == 0 && listen(four, 1) == 0);
	CHECK(getsockname(four, (struct sockaddr *)&a4, &len) == 0);
	a6.sin6_port = a4.sin_port;
	FAILS(bind(six, (struct sockaddr *)&a6, sizeof(a6)), EADDRINUSE);
	CHECK(setsockopt(six, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) == 0);
	CHECK(bind(six, (struct sockaddr *)&a6, sizeof(a6)) == 0 && listen(six, 1) == 0);
	close(six);
	close(four);
}

/* The same two ports again, at once: the server closed first, so it is the one that waits. */
static void same_ports(void)
{
	int l = listener(), one = 1, good = 0;
	struct sockaddr_in a = name_of(l), own = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval soon = { .tv_sec = 3 };

	for (int i = 0; i < 20; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0), peer;
		char byte = 'a';

		CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
		CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon)) == 0);
		CHECK(bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0);
		own = name_of(fd);
		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0) {
			peer = accept(l, NULL, NULL);
			CHECK(write(fd, &byte, 1) == 1 && read(peer, &byte, 1) == 1);
			close(peer);
			good += read(fd, &byte, 1) == 0;
		}
		close(fd);
		usleep(20000); /* its last acknowledgement */
	}
	close(l);
	printf("the same ports %d times\n", good);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	making();
	no_socket(open("/dev/null", O_RDWR));
	no_socket(900);
	no_socket(eventfd(0, 0));
	no_socket(epoll_create1(0));
	bad_addresses();
	options();
	states();
	connecting();
	messages();
	datagrams();
	more();
	groups();
	stream();
	signals();
	interfaces();
	two_families();
	same_ports();
	return check_end("sockets");
}
