/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every socket call with bad arguments, on sockets of each kind in each state: the
 * answers (-errno, 1 for more than 0) are printed and compared with the host's.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>
#include "check.h"

#define BAD ((void *)8)
#define EACH(i, array) (size_t i = 0; i < sizeof(array) / sizeof((array)[0]); i++)

enum state { FRESH, BOUND, LISTENING, CONNECTED, SHUT, ENDED, STATES };

static const struct kind { const char *name; int family, type; } kinds[] = {
	{ "tcp", AF_INET, SOCK_STREAM }, { "udp", AF_INET, SOCK_DGRAM },
	{ "tcp6", AF_INET6, SOCK_STREAM }, { "udp6", AF_INET6, SOCK_DGRAM },
	{ "unix", AF_UNIX, SOCK_STREAM }, { "unix datagram", AF_UNIX, SOCK_DGRAM }, { "unix packet", AF_UNIX, SOCK_SEQPACKET },
};
static const char *const states[] = { "fresh", "bound", "listening", "connected", "shut", "ended" };
static char block[70000];

/* Of UNIX sockets: what bind(2) chooses a name for. */
static socklen_t loopback(const struct kind *k, uint16_t port, struct sockaddr_storage *a)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)a;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)a;

	memset(a, 0, sizeof(*a));
	a->ss_family = (sa_family_t)k->family;
	if (k->family == AF_UNIX)
		return sizeof(a->ss_family);
	if (k->family == AF_INET) {
		v4->sin_port = port;
		v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		return sizeof(*v4);
	}
	v6->sin6_port = port;
	v6->sin6_addr = in6addr_loopback;
	return sizeof(*v6);
}

/* A socket in that state, *other what it is connected to; -1: there is no such state. */
static int make(const struct kind *k, enum state state, int *other)
{
	int fd = socket(k->family, k->type, 0), listener;
	struct sockaddr_storage a;
	socklen_t length = loopback(k, 0, &a);

	*other = -1;
	CHECK(fd >= 0);
	if (state == BOUND || state == LISTENING)
		CHECK(bind(fd, (struct sockaddr *)&a, length) == 0);
	if (k->type == SOCK_DGRAM && (state == LISTENING || state == ENDED)) {
		close(fd);
		return -1;
	}
	if (state == LISTENING)
		CHECK(listen(fd, 4) == 0);
	if (state < CONNECTED)
		return fd;
	listener = socket(k->family, k->type, 0);
	CHECK(bind(listener, (struct sockaddr *)&a, length) == 0);
	if (k->type != SOCK_DGRAM)
		CHECK(listen(listener, 4) == 0);
	length = sizeof(a);
	CHECK(getsockname(listener, (struct sockaddr *)&a, &length) == 0);
	CHECK(connect(fd, (struct sockaddr *)&a, length) == 0);
	*other = k->type != SOCK_DGRAM ? accept(listener, NULL, NULL) : listener;
	CHECK(*other >= 0);
	if (k->type != SOCK_DGRAM)
		close(listener);
	if (state == SHUT)
		CHECK(shutdown(fd, SHUT_RDWR) == 0);
	if (state == ENDED) {
		char c;

		close(*other);
		*other = -1;
		CHECK(recv(fd, &c, 1, 0) == 0);
	}
	return fd;
}

#define TELL(what, call) do { \
	errno = 0; \
	long result_ = (long)(call); \
	printf(" %s=%d", what, result_ < 0 ? -errno : result_ != 0); \
} while (0)

static void addresses(int fd, const struct kind *k)
{
	struct sockaddr_storage a;
	socklen_t full = loopback(k, htons(1), &a), length;
	static const int lengths[] = { -1, 0, 1, 2, 7, 15, 16, 24, 28, 128, 129 };

	TELL("connect NULL", syscall(SYS_connect, fd, NULL, full));
	TELL("bind NULL", syscall(SYS_bind, fd, NULL, full));
	TELL("sendto NULL", syscall(SYS_sendto, fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, BAD, full));
	for EACH(i, lengths) {
		char what[24];

		a.ss_family = 99;
		snprintf(what, sizeof(what), "bind99/%d", lengths[i]);
		TELL(what, bind(fd, (struct sockaddr *)&a, (socklen_t)lengths[i]));
		snprintf(what, sizeof(what), "connect99/%d", lengths[i]);
		TELL(what, connect(fd, (struct sockaddr *)&a, (socklen_t)lengths[i]));
		snprintf(what, sizeof(what), "sendto99/%d", lengths[i]);
		if (lengths[i])
			TELL(what, syscall(SYS_sendto, fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, &a, (socklen_t)lengths[i]));
	}
	length = sizeof(a);
	TELL("getsockname NULL", syscall(SYS_getsockname, fd, NULL, &length));
	TELL("getsockname length NULL", syscall(SYS_getsockname, fd, &a, NULL));
	length = (socklen_t)-1;
	TELL("getsockname length -1", getsockname(fd, (struct sockaddr *)&a, &length));
	length = 0;
	TELL("getsockname length 0", getsockname(fd, (struct sockaddr *)&a, &length));
	printf(" %u", length);
	length = sizeof(a);
	TELL("getpeername", getpeername(fd, (struct sockaddr *)&a, &length));
	length = sizeof(a);
	TELL("getpeername NULL", syscall(SYS_getpeername, fd, NULL, &length));
	length = (socklen_t)-1;
	TELL("getpeername length -1", getpeername(fd, (struct sockaddr *)&a, &length));
}

static void data(int fd, int other)
{
	static const int flags[] = { 0, MSG_OOB, MSG_PEEK, MSG_DONTROUTE, MSG_CTRUNC, MSG_TRUNC, MSG_EOR, MSG_WAITALL,
				     MSG_FIN, MSG_ERRQUEUE, MSG_CONFIRM, 0x10000000 };
	struct iovec v = { block, 4 }, bad = { BAD, 4 }, huge = { block, (size_t)-1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };
	struct sockaddr_storage a;
	socklen_t length = sizeof(a);
	bool connected;

	for EACH(i, flags) {
		char what[24];

		snprintf(what, sizeof(what), "recv/%x", flags[i]);
		TELL(what, recv(fd, block, 4, flags[i] | MSG_DONTWAIT));
		if (flags[i] != MSG_FIN && flags[i] != MSG_OOB) {
			snprintf(what, sizeof(what), "send/%x", flags[i]);
			TELL(what, send(fd, block, 4, flags[i] | MSG_DONTWAIT | MSG_NOSIGNAL));
			recv(other, block, sizeof(block), MSG_DONTWAIT); /* how many messages may wait is not the same */
		}
	}
	connected = getpeername(fd, (struct sockaddr *)&a, &length) == 0 && send(fd, block, 0, MSG_NOSIGNAL) == 0;
	if (connected) /* else either fault may be told first */
		TELL("send bad", syscall(SYS_sendto, fd, BAD, 4, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0));
	TELL("send nothing", syscall(SYS_sendto, fd, BAD, 0, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0));
	TELL("recv nothing", recv(fd, NULL, 0, MSG_DONTWAIT));
	TELL("sendmsg", syscall(SYS_sendmsg, fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
	m.msg_iov = &bad;
	if (connected)
		TELL("sendmsg bad data", syscall(SYS_sendmsg, fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
	m.msg_iov = &huge;
	TELL("sendmsg huge", syscall(SYS_sendmsg, fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
	m.msg_iov = BAD;
	TELL("sendmsg bad vector", syscall(SYS_sendmsg, fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
	TELL("recvmsg bad vector", syscall(SYS_recvmsg, fd, &m, MSG_DONTWAIT));
	m.msg_iov = &v;
	m.msg_iovlen = 1025;
	TELL("sendmsg 1025", syscall(SYS_sendmsg, fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
	TELL("recvmsg 1025", syscall(SYS_recvmsg, fd, &m, MSG_DONTWAIT));
	m.msg_iovlen = 1;
	m.msg_control = BAD;
	m.msg_controllen = 64;
	TELL("sendmsg bad control", syscall(SYS_sendmsg, fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL));
	TELL("sendmsg NULL", syscall(SYS_sendmsg, fd, NULL, MSG_DONTWAIT));
	TELL("recvmsg NULL", syscall(SYS_recvmsg, fd, NULL, MSG_DONTWAIT));
	TELL("sendmmsg 0", syscall(SYS_sendmmsg, fd, NULL, 0, MSG_DONTWAIT));
	TELL("sendmmsg NULL", syscall(SYS_sendmmsg, fd, NULL, 1, MSG_DONTWAIT));
	TELL("recvmmsg NULL", syscall(SYS_recvmmsg, fd, NULL, 1, MSG_DONTWAIT, NULL));
	TELL("pread", pread(fd, block, 1, 0));
	TELL("lseek", lseek(fd, 0, SEEK_CUR));
	TELL("ftruncate", ftruncate(fd, 0));
	TELL("fsync", fsync(fd));
	TELL("getdents", syscall(SYS_getdents64, fd, block, 100));
	TELL("fchdir", fchdir(fd));
}

static void others(int fd, int other)
{
	struct sockaddr_storage a;
	socklen_t length = sizeof(a);
	static const int how[] = { -1, 3, 4 };

	(void)other;
	TELL("accept4 flags", syscall(SYS_accept4, fd, NULL, NULL, 1));
	fcntl(fd, F_SETFL, O_NONBLOCK);
	TELL("accept", accept(fd, (struct sockaddr *)&a, &length));
	TELL("accept NULL length", syscall(SYS_accept, fd, &a, NULL));
	TELL("accept BAD", syscall(SYS_accept, fd, BAD, &length));
	for EACH(i, how)
		TELL("shutdown wrong", shutdown(fd, how[i]));
}

static void last(int fd, int other)
{
	(void)other;
	TELL("shutdown RD", shutdown(fd, SHUT_RD));
	TELL("recv", recv(fd, block, 4, MSG_DONTWAIT));
	TELL("shutdown WR", shutdown(fd, SHUT_WR));
	TELL("send", send(fd, block, 4, MSG_DONTWAIT | MSG_NOSIGNAL));
	TELL("listen", listen(fd, 1));
}

static void all_calls(void)
{
	for EACH(k, kinds) {
		for (enum state state = FRESH; state < STATES; state++) {
			static void (*const groups[])(int, int) = { data, others, last };
			int other, fd = make(&kinds[k], state, &other);

			if (fd < 0)
				continue;
			printf("%s %s addresses:", kinds[k].name, states[state]);
			addresses(fd, &kinds[k]);
			close(fd);
			close(other);
			for EACH(g, groups) {
				fd = make(&kinds[k], state, &other);
				printf("\n%s %s %zu:", kinds[k].name, states[state], g);
				groups[g](fd, other);
				close(fd);
				close(other);
			}
			putchar('\n');
		}
	}
}

/* Options that every Linux has, by level; -1: no level, or none of that number. */
static const struct { int level, names[24]; } options[] = {
	{ SOL_SOCKET, { -1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 18, 19, 20, 21, 25, 29, 30, 38, 39, 999 } },
	{ IPPROTO_IP, { -1, 1, 2, 4, 8, 10, 11, 12, 13, 14, 15, 32, 33, 34, 999 } },
	{ IPPROTO_TCP, { -1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18, 999 } },
	{ IPPROTO_UDP, { -1, 2, 3, 999 } },
	{ IPPROTO_IPV6, { -1, 16, 17, 18, 19, 23, 24, 25, 26, 49, 51, 67, 999 } },
	{ IPPROTO_ICMP, { 1 } }, { 255, { 1 } }, { 999, { 1 } }, { -1, { 1 } },
};

static void all_options(void)
{
	for EACH(k, kinds) {
		int other, fd = make(&kinds[k], FRESH, &other);

		for EACH(l, options) {
			printf("%s level %d:", kinds[k].name, options[l].level);
			for EACH(n, options[l].names) {
				struct { int n[64]; } value = { { 0 } };
				int name = options[l].names[n], result;
				socklen_t length = 4;

				if (!name)
					break;
				errno = 0;
				result = getsockopt(fd, options[l].level, name, &value, &length);
				printf(result ? " %d:-%d" : " %d:/%d", name, result ? errno : (int)length);
				if (options[l].level == IPPROTO_IPV6)
					continue;
				TELL("set nothing", setsockopt(fd, options[l].level, name, NULL, 0));
				if (result)
					continue;
				if (options[l].level != IPPROTO_IP || name != IP_MULTICAST_IF) /* no option of a stream: either fault */
					TELL("set bad", setsockopt(fd, options[l].level, name, BAD, 16));
				TELL("get bad", getsockopt(fd, options[l].level, name, BAD, &length));
				TELL("get NULL", getsockopt(fd, options[l].level, name, &value, NULL));
				length = (socklen_t)-1;
				TELL("length -1", getsockopt(fd, options[l].level, name, &value, &length));
			}
			putchar('\n');
		}
		close(fd);
	}
}

static void controls(void)
{
	static const unsigned long requests[] = { TCGETS, TIOCGWINSZ, TIOCSWINSZ, FIONREAD, TIOCOUTQ, SIOCATMARK,
		FIOSETOWN, SIOCSPGRP, FIOGETOWN, SIOCGPGRP, SIOCGIFCONF, SIOCGIFNAME, SIOCGIFFLAGS, SIOCGIFMTU, SIOCGIFHWADDR,
		SIOCGIFINDEX, FIONBIO, 0x1234 };

	for EACH(k, kinds) {
		int other, fd = make(&kinds[k], FRESH, &other);

		printf("%s ioctl:", kinds[k].name);
		for EACH(r, requests) {
			struct ifreq none = { .ifr_name = "none" };
			char what[32];

			snprintf(what, sizeof(what), "%lx bad", requests[r]);
			TELL(what, ioctl(fd, requests[r], BAD));
			snprintf(what, sizeof(what), "%lx none", requests[r]);
			if (requests[r] != SIOCGIFCONF)
				TELL(what, ioctl(fd, requests[r], &none));
		}
		putchar('\n');
		close(fd);
	}
}

static void no_socket(void)
{
	int pipes[2], epoll = epoll_create1(0), file = open("/dev/null", O_RDWR);
	int fds[] = { -1, 9999, 0, epoll, file };
	struct sockaddr_storage a = { .ss_family = AF_INET };
	socklen_t length = sizeof(a);
	int n = 1;

	CHECK(pipe(pipes) == 0);
	fds[2] = pipes[0];
	for EACH(i, fds) {
		int fd = fds[i];

		printf("no socket %zu:", i);
		TELL("bind", bind(fd, (struct sockaddr *)&a, 16));
		TELL("connect", connect(fd, (struct sockaddr *)&a, 16));
		TELL("listen", listen(fd, 1));
		TELL("accept", accept(fd, NULL, NULL));
		TELL("send", send(fd, "x", 1, MSG_NOSIGNAL));
		TELL("recv", recv(fd, block, 1, MSG_DONTWAIT));
		TELL("getsockname", getsockname(fd, (struct sockaddr *)&a, &length));
		TELL("getpeername", getpeername(fd, (struct sockaddr *)&a, &length));
		TELL("getsockopt", getsockopt(fd, SOL_SOCKET, SO_TYPE, &n, &length));
		TELL("setsockopt", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &n, sizeof(n)));
		TELL("shutdown", shutdown(fd, SHUT_RD));
		TELL("sendmsg", syscall(SYS_sendmsg, fd, BAD, 0));
		TELL("recvmsg", syscall(SYS_recvmsg, fd, BAD, MSG_DONTWAIT));
		putchar('\n');
	}
}

static void making(void)
{
	static const int families[] = { -1, 0, AF_UNIX, AF_INET, AF_INET6, 45, 46, 1000 };
	int pair[2];

	for EACH(f, families) {
		printf("socket family %d:", families[f]);
		for (int type = 0; type < 12; type++) {
			if (type == SOCK_RAW || type == SOCK_PACKET) /* as the user may */
				continue;
			for (int protocol = -1; protocol < 20; protocol += protocol ? 6 : 2) { /* not 1: ping, as the user may */
				int fd = socket(families[f], type, protocol);

				printf(" %d/%d=%d", type, protocol, fd < 0 ? -errno : 0);
				close(fd);
			}
		}
		putchar('\n');
	}
	printf("socketpair:");
	TELL("inet", socketpair(AF_INET, SOCK_STREAM, 0, pair));
	TELL("inet datagram", socketpair(AF_INET, SOCK_DGRAM, 0, pair));
	TELL("NULL", syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, NULL));
	TELL("flags", socketpair(AF_UNIX, SOCK_STREAM | 0x100, 0, pair));
	TELL("raw", socketpair(AF_UNIX, SOCK_RDM, 0, pair));
	TELL("protocol", socketpair(AF_UNIX, SOCK_STREAM, 6, pair));
	putchar('\n');
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	making();
	no_socket();
	all_calls();
	all_options();
	controls();
	return check_end("sockerr");
}
