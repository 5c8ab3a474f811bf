/* SPDX-License-Identifier: BSD-2-Clause */
/* UNIX sockets: streams, datagrams, packets; names, descriptors, credentials, errors. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define NAME "unix.test"

static char big[400000];

static socklen_t address(struct sockaddr_un *a, const char *name)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (name[0] == '@') {
		memcpy(a->sun_path + 1, name + 1, strlen(name + 1));
		return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
	}
	strcpy(a->sun_path, name);
	return sizeof(*a);
}

static int bound(int type, const char *name)
{
	struct sockaddr_un a;
	socklen_t length = address(&a, name);
	int s = socket(AF_UNIX, type, 0);

	CHECK(s >= 0 && bind(s, (struct sockaddr *)&a, length) == 0);
	return s;
}

static int connect_to(int s, const char *name)
{
	struct sockaddr_un a;
	socklen_t length = address(&a, name);

	return connect(s, (struct sockaddr *)&a, length);
}

static int ready(int s, int events)
{
	struct pollfd p = { s, (short)events, 0 };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

static void pairs(void)
{
	char buffer[64];
	int s[2], n;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(ready(s[0], POLLIN | POLLOUT) == POLLOUT);
	CHECK(write(s[0], "hello", 5) == 5 && ready(s[1], POLLIN) == POLLIN);
	CHECK(ioctl(s[1], FIONREAD, &n) == 0 && n == 5);
	CHECK(recv(s[1], buffer, 2, MSG_PEEK) == 2 && !memcmp(buffer, "he", 2));
	CHECK(read(s[1], buffer, 3) == 3 && send(s[0], " you", 4, 0) == 4);
	CHECK(recv(s[1], buffer, 64, 0) == 6 && !memcmp(buffer, "lo you", 6));
	FAILS(recv(s[1], buffer, 64, MSG_DONTWAIT), EAGAIN);
	CHECK(shutdown(s[0], SHUT_WR) == 0);
	CHECK(ready(s[1], POLLIN | POLLRDHUP) & POLLRDHUP);
	while ((n = (int)recv(s[1], buffer, 64, 0)) > 0)
		;
	CHECK(n == 0);
	FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(write(s[1], "back", 4) == 4 && read(s[0], buffer, 64) == 4);
	close(s[1]);
	CHECK(ready(s[0], POLLIN) == (POLLIN | POLLHUP));
	CHECK(read(s[0], buffer, 1) == 0);
	close(s[0]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(write(s[0], "x", 1) == 1);
	close(s[1]); /* with something unread */
	FAILS(read(s[0], buffer, 1), ECONNRESET);
	CHECK(read(s[0], buffer, 1) == 0);
	FAILS(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(s[0]);
	FAILS(socketpair(AF_UNIX, 77, 0, s), EINVAL);
	FAILS(socketpair(AF_UNIX, SOCK_STREAM, 5, s), EPROTONOSUPPORT);
	FAILS(socketpair(AF_UNIX, SOCK_RDM, 0, s), ESOCKTNOSUPPORT);
	FAILS(recv(0x7ff, buffer, 1, 0), EBADF);
	FAILS(listen(open("/dev/null", O_RDONLY), 1), ENOTSOCK);
}

/* More than fits: the writer waits; WAITALL gathers. */
static void long_stream(void)
{
	int s[2], status, n;
	long total = 0;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 13 + i / 1021);
	if (fork() == 0) {
		close(s[1]);
		_exit(write(s[0], big, sizeof(big)) != sizeof(big));
	}
	close(s[0]);
	memset(big, 0, sizeof(big));
	CHECK(recv(s[1], big, 100000, MSG_WAITALL) == 100000);
	for (total = 100000; (n = (int)read(s[1], big + total, 7001)) > 0;)
		total += n;
	for (size_t i = 0; i < sizeof(big); i++)
		if (big[i] != (char)(i * 13 + i / 1021)) {
			CHECK(!"contents");
			break;
		}
	CHECK(total == sizeof(big));
	CHECK(wait(&status) > 0 && status == 0);
	close(s[1]);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) == 0);
	while ((n = (int)write(s[0], big, 10000)) > 0)
		;
	CHECK(n < 0 && errno == EAGAIN && ready(s[0], POLLOUT) == 0);
	while ((n = (int)read(s[1], big, sizeof(big))) > 0)
		;
	CHECK(n < 0 && errno == EAGAIN && ready(s[0], POLLOUT) == POLLOUT);
	close(s[0]);
	close(s[1]);
	printf("stream: %ld bytes\n", total);
}

static void names(void)
{
	struct sockaddr_un a;
	socklen_t length = sizeof(a);
	struct stat st;
	int s = bound(SOCK_STREAM, NAME), t = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(stat(NAME, &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK(getsockname(s, (struct sockaddr *)&a, &length) == 0 && length == 2 + sizeof(NAME) && !strcmp(a.sun_path, NAME));
	length = sizeof(a);
	CHECK(getsockname(t, (struct sockaddr *)&a, &length) == 0 && length == 2);
	FAILS(getpeername(t, (struct sockaddr *)&a, &length), ENOTCONN);
	FAILS(connect_to(t, NAME), ECONNREFUSED); /* nobody listens */
	length = address(&a, NAME);
	FAILS(bind(t, (struct sockaddr *)&a, length), EADDRINUSE);
	length = address(&a, "other");
	FAILS(bind(s, (struct sockaddr *)&a, length), EINVAL);
	FAILS(connect_to(t, "not.there"), ENOENT);
	FAILS(open(NAME, O_RDWR), ENXIO);
	a.sun_family = AF_INET;
	FAILS(bind(t, (struct sockaddr *)&a, length), EINVAL);
	FAILS(bind(t, (struct sockaddr *)&a, 1), EINVAL);
	FAILS(bind(t, (struct sockaddr *)&a, 111), EINVAL);
	FAILS(listen(t, 1), EINVAL);
	FAILS(accept(s, NULL, NULL), EINVAL);
	FAILS(read(s, big, 1), EINVAL);
	FAILS(send(s, big, 1, MSG_NOSIGNAL), ENOTCONN);
	close(s);
	FAILS(connect_to(t, NAME), ECONNREFUSED);
	close(open("plain", O_CREAT | O_WRONLY, 0600));
	FAILS(connect_to(t, "plain"), ECONNREFUSED);
	unlink("plain");
	unlink(NAME);
	close(t);
	a.sun_family = AF_UNIX;
	s = bound(SOCK_DGRAM, "@abstract");
	t = socket(AF_UNIX, SOCK_DGRAM, 0);
	length = address(&a, "@abstract");
	FAILS(bind(t, (struct sockaddr *)&a, length), EADDRINUSE);
	CHECK(bind(t, (struct sockaddr *)&a, 2) == 0); /* any */
	length = sizeof(a);
	CHECK(getsockname(t, (struct sockaddr *)&a, &length) == 0 && length == 8 && a.sun_path[0] == 0);
	CHECK(connect_to(t, "@abstract") == 0 && write(t, "q", 1) == 1 && read(s, big, 1) == 1);
	close(s);
	FAILS(write(t, "q", 1), ECONNREFUSED);
	close(t);
}

static void connections(void)
{
	struct sockaddr_un a;
	struct ucred cred;
	socklen_t length = sizeof(cred);
	int listener = bound(SOCK_STREAM, NAME), c = socket(AF_UNIX, SOCK_STREAM, 0), s, status, value;
	char buffer[16];

	CHECK(ready(c, POLLIN | POLLOUT) == (POLLOUT | POLLHUP));
	CHECK(listen(listener, 2) == 0 && ready(listener, POLLIN) == 0);
	CHECK(getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &value, &(socklen_t){ 4 }) == 0 && value == 1);
	CHECK(connect_to(c, NAME) == 0 && ready(listener, POLLIN) == POLLIN);
	FAILS(connect_to(c, NAME), EISCONN);
	CHECK(write(c, "early", 5) == 5);
	length = sizeof(a);
	s = accept4(listener, (struct sockaddr *)&a, &length, SOCK_CLOEXEC);
	CHECK(s >= 0 && length == 2 && fcntl(s, F_GETFD) == FD_CLOEXEC);
	CHECK(read(s, buffer, 16) == 5 && ready(listener, POLLIN) == 0);
	length = sizeof(a);
	CHECK(getpeername(c, (struct sockaddr *)&a, &length) == 0 && !strcmp(a.sun_path, NAME));
	length = sizeof(cred);
	CHECK(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &length) == 0 && cred.pid == getpid() && cred.uid == getuid());
	close(c);
	CHECK(read(s, buffer, 1) == 0);
	close(s);
	fcntl(listener, F_SETFL, O_NONBLOCK);
	FAILS(accept(listener, NULL, NULL), EAGAIN);
	fcntl(listener, F_SETFL, 0);
	if (fork() == 0) {
		usleep(30000);
		c = socket(AF_UNIX, SOCK_STREAM, 0);
		_exit(connect_to(c, NAME) || write(c, "child", 5) != 5 || read(c, buffer, 16) != 2);
	}
	s = accept(listener, NULL, NULL);
	CHECK(s >= 0 && recv(s, buffer, 5, MSG_WAITALL) == 5 && write(s, "ok", 2) == 2);
	CHECK(wait(&status) > 0 && status == 0);
	close(s);
	c = socket(AF_UNIX, SOCK_DGRAM, 0);
	FAILS(connect_to(c, NAME), EPROTOTYPE);
	close(c);
	c = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	CHECK(connect_to(c, NAME) == 0);
	close(listener); /* before it was accepted */
	FAILS(read(c, buffer, 1), ECONNRESET);
	close(c);
	unlink(NAME);
}

static void datagrams(void)
{
	struct sockaddr_un a, from;
	socklen_t length = sizeof(from), target;
	int s = bound(SOCK_DGRAM, NAME), t = bound(SOCK_DGRAM, "@sender"), p[2];
	char buffer[16];
	struct iovec v = { buffer, 4 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	target = address(&a, NAME);
	CHECK(sendto(t, "one", 3, 0, (struct sockaddr *)&a, target) == 3);
	CHECK(sendto(t, "", 0, 0, (struct sockaddr *)&a, target) == 0);
	CHECK(sendto(t, "longer", 6, 0, (struct sockaddr *)&a, target) == 6);
	CHECK(sendto(t, "longer", 6, 0, (struct sockaddr *)&a, target) == 6);
	CHECK(recvfrom(s, buffer, 16, 0, (struct sockaddr *)&from, &length) == 3 && length == 9 && !memcmp(from.sun_path, "\0sender", 7));
	CHECK(ready(s, POLLIN) == POLLIN && recv(s, buffer, 16, 0) == 0);
	CHECK(recvmsg(s, &m, 0) == 4 && m.msg_flags == MSG_TRUNC);
	CHECK(recv(s, buffer, 2, MSG_TRUNC) == 6);
	FAILS(recv(s, buffer, 2, MSG_DONTWAIT), EAGAIN);
	FAILS(send(t, "x", 1, 0), ENOTCONN);
	FAILS(listen(s, 1), EOPNOTSUPP);
	FAILS(accept(s, NULL, NULL), EOPNOTSUPP);
	CHECK(connect_to(t, NAME) == 0 && send(t, "x", 1, 0) == 1 && recv(s, buffer, 2, 0) == 1);
	close(s);
	unlink(NAME);
	FAILS(send(t, "x", 1, 0), ECONNREFUSED);
	close(t);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
	CHECK(write(p[0], "packet", 6) == 6 && write(p[0], "two", 3) == 3);
	CHECK(recvmsg(p[1], &m, 0) == 4 && (m.msg_flags & MSG_TRUNC) && read(p[1], buffer, 16) == 3);
	close(p[0]);
	CHECK(read(p[1], buffer, 16) == 0);
	FAILS(send(p[1], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(p[1]);
	t = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	FAILS(recv(t, buffer, 1, 0), ENOTCONN);
	close(t);
}

static ssize_t send_fds(int s, const int *fds, int count, const char *text)
{
	char control[CMSG_SPACE(sizeof(int) * 64)] = "";
	struct iovec v = { (void *)text, strlen(text) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(sizeof(int) * (unsigned)count) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * (unsigned)count);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * (unsigned)count);
	return sendmsg(s, &m, MSG_NOSIGNAL);
}

/* Descriptors received into fds; how many, and the flags. */
static int receive_fds(int s, int *fds, int room, int flags, int *result, ssize_t *bytes)
{
	char control[CMSG_SPACE(sizeof(int) * 64)] = "", buffer[64];
	struct iovec v = { buffer, sizeof(buffer) };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_LEN(sizeof(int) * (unsigned)room) };
	struct cmsghdr *c;
	int count = 0;

	*bytes = recvmsg(s, &m, flags);
	*result = m.msg_flags;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS) {
		count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), (size_t)count * sizeof(int));
	}
	return count;
}

static void descriptors(void)
{
	int s[2], p[2], many[20], got[64], flags, count, status;
	char buffer[64];
	ssize_t n;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && pipe(p) == 0);
	CHECK(write(s[0], "ab", 2) == 2 && send_fds(s[0], &p[0], 1, "cd") == 2 && write(s[0], "ef", 2) == 2);
	close(p[0]);
	CHECK(write(p[1], "through", 7) == 7);
	count = receive_fds(s[1], got, 4, 0, &flags, &n);
	CHECK(count == 0 || n >= 2); /* Linux may or may not join the first two */
	if (count == 0)
		count = receive_fds(s[1], got, 4, MSG_CMSG_CLOEXEC, &flags, &n);
	CHECK(count == 1 && read(got[0], buffer, 64) == 7);
	CHECK(read(s[1], buffer, 64) == 2);
	close(got[0]);
	signal(SIGPIPE, SIG_IGN);
	FAILS(write(p[1], "x", 1), EPIPE); /* that was the last one */
	for (int i = 0; i < 20; i++)
		many[i] = p[1];
	CHECK(send_fds(s[0], many, 20, "x") == 1);
	count = receive_fds(s[1], got, 30, 0, &flags, &n);
	CHECK(count == 20 && !(flags & MSG_CTRUNC));
	for (int i = 0; i < count; i++)
		CHECK(close(got[i]) == 0);
	CHECK(send_fds(s[0], many, 3, "x") == 1);
	count = receive_fds(s[1], got, 2, 0, &flags, &n);
	CHECK(count == 2 && (flags & MSG_CTRUNC) && n == 1);
	close(got[0]);
	close(got[1]);
	CHECK(send_fds(s[0], many, 1, "x") == 1 && read(s[1], buffer, 1) == 1); /* dropped */
	many[1] = 777;
	FAILS(send_fds(s[0], many, 2, "x"), EBADF);
	if (fork() == 0) {
		int file = open("/dev/zero", O_RDONLY);

		_exit(send_fds(s[0], &file, 1, "z") != 1);
	}
	CHECK(receive_fds(s[1], got, 1, 0, &flags, &n) == 1 && wait(&status) > 0 && status == 0);
	CHECK(read(got[0], buffer, 8) == 8 && buffer[7] == 0);
	close(got[0]);
	CHECK(send_fds(s[0], &s[0], 1, "self") == 4);
	close(s[0]);
	close(s[1]);
	close(p[1]);
}

static void credentials(void)
{
	char control[CMSG_SPACE(sizeof(struct ucred))], buffer[8];
	struct iovec v = { buffer, 8 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };
	struct cmsghdr *c;
	struct ucred cred;
	int s[2], on = 1, status;
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, s) == 0);
	CHECK(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
	pid = fork();
	if (pid == 0)
		_exit(write(s[0], "me", 2) != 2);
	CHECK(recvmsg(s[1], &m, 0) == 2);
	c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_type == SCM_CREDENTIALS);
	memcpy(&cred, CMSG_DATA(c), sizeof(cred));
	CHECK(cred.pid == pid && cred.uid == getuid() && cred.gid == getgid());
	CHECK(wait(&status) == pid && status == 0);
	close(s[0]);
	close(s[1]);
}

static void options(void)
{
	struct timeval tv = { 0, 50000 }, before, after;
	int s[2], value;
	socklen_t length = sizeof(value);
	char byte;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_TYPE, &value, &length) == 0 && value == SOCK_STREAM);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_DOMAIN, &value, &length) == 0 && value == AF_UNIX);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_ERROR, &value, &length) == 0 && value == 0 && length == 4);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &(int){ 20000 }, 4) == 0);
	CHECK(getsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &value, &length) == 0 && value == 40000);
	CHECK(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	gettimeofday(&before, NULL);
	FAILS(read(s[0], &byte, 1), EAGAIN);
	gettimeofday(&after, NULL);
	timersub(&after, &before, &tv);
	CHECK(tv.tv_sec > 0 || tv.tv_usec >= 49000);
	FAILS(setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &value, 2), EINVAL);
	FAILS(setsockopt(s[0], SOL_SOCKET, 999, &value, 4), ENOPROTOOPT);
	FAILS(getsockopt(s[0], SOL_SOCKET, 999, &value, &length), ENOPROTOOPT);
	FAILS(getsockopt(s[0], 6, 1, &value, &length), EOPNOTSUPP);
	FAILS(shutdown(s[0], 9), EINVAL);
	int fresh = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(shutdown(fresh, SHUT_RDWR) == 0); /* of none it is remembered */
	close(fresh);
	close(s[0]);
	close(s[1]);
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	unlink(NAME);
	pairs();
	long_stream();
	names();
	connections();
	datagrams();
	descriptors();
	credentials();
	options();
	return check_end("unix");
}
