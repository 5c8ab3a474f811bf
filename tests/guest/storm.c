/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Connections on which every byte is known: each side sends what follows from the
 * connection's number, the direction and the position, in all the ways there are
 * (write, writev, send with MSG_MORE or MSG_DONTWAIT, sendmsg), and checks what it
 * receives (read, readv, recv with MSG_PEEK, MSG_WAITALL, MSG_DONTWAIT), in odd
 * sizes, some slowly, and after the other side has ended its half.
 *
 *   storm local LANES SECONDS SEED        both ends here, over the loopback
 *   storm listen PORT                     one end, until killed
 *   storm connect HOST PORT LANES SECONDS SEED
 *
 * A lane makes one connection after the other. Ends with "storm: ok" and how much
 * was checked, or with what was wrong first.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER (320u * 1024)

struct side {
	int fd;
	uint64_t key;        /* of the connection */
	uint64_t out, in;    /* which direction's bytes: 0 or 1 */
	uint64_t out_total, in_total;
	uint64_t dice;
};

static uint8_t out_bytes[BUFFER], in_bytes[BUFFER];

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static uint64_t roll(struct side *s, uint64_t most)
{
	s->dice = mix(s->dice);
	return s->dice % most;
}

static void make(uint8_t *to, uint64_t key, uint64_t direction, uint64_t at, uint64_t bytes)
{
	uint64_t done = 0;

	key ^= direction << 62;
	while (done < bytes) {
		uint64_t word = mix(key + (at + done) / 8), skip = (at + done) % 8;
		uint64_t part = 8 - skip < bytes - done ? 8 - skip : bytes - done;

		memcpy(to + done, (uint8_t *)&word + skip, part);
		done += part;
	}
}

static void fail(const struct side *s, const char *what, uint64_t at, long n)
{
	printf("storm: WRONG: %s, connection %llx direction %llu at %llu: %ld (%s)\n", what, (unsigned long long)s->key,
	       (unsigned long long)s->in, (unsigned long long)at, n, strerror(errno));
	fflush(stdout);
	exit(1);
}

static void check(const struct side *s, const uint8_t *got, uint64_t at, uint64_t bytes, const char *how)
{
	static uint8_t want[BUFFER];
	char what[400];
	int n;

	make(want, s->key, s->in, at, bytes);
	if (!memcmp(want, got, bytes))
		return;
	for (uint64_t i = 0; i < bytes; i++) {
		if (want[i] == got[i])
			continue;
		n = snprintf(what, sizeof(what), "%s of %llu bytes differs at %llu: want", how, (unsigned long long)bytes,
			     (unsigned long long)i);
		for (uint64_t k = i; k < i + 16 && k < bytes; k++)
			n += snprintf(what + n, sizeof(what) - (size_t)n, " %02x", want[k]);
		n += snprintf(what + n, sizeof(what) - (size_t)n, " got");
		for (uint64_t k = i; k < i + 16 && k < bytes; k++)
			n += snprintf(what + n, sizeof(what) - (size_t)n, " %02x", got[k]);
		fail(s, what, at + i, 0);
	}
}

static uint64_t size_of_part(struct side *s)
{
	static const uint32_t about[] = { 7, 600, 4096, 20000, 65536, 131072, 300000 };

	return 1 + roll(s, about[roll(s, 7)]);
}

static void pause_a_little(struct side *s, uint64_t one_in)
{
	if (roll(s, one_in) == 0)
		usleep((useconds_t)roll(s, 60000));
}

/* ---- sending ---- */

static long send_part(struct side *s, uint64_t bytes)
{
	struct iovec v[5];
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2 + roll(s, 4) };
	uint64_t at = 0;

	for (uint64_t i = 0; i < (uint64_t)m.msg_iovlen; i++) {
		uint64_t part = i + 1 < (uint64_t)m.msg_iovlen ? roll(s, bytes - at + 1) : bytes - at;

		v[i] = (struct iovec){ out_bytes + at, part };
		at += part;
	}
	switch (roll(s, 8)) {
	case 0: return writev(s->fd, v, (int)m.msg_iovlen);
	case 1: return sendmsg(s->fd, &m, MSG_NOSIGNAL);
	case 2: return send(s->fd, out_bytes, bytes, MSG_MORE);
	case 3: return send(s->fd, out_bytes, bytes, MSG_DONTWAIT);
	default: return write(s->fd, out_bytes, bytes);
	}
}

/* At most one part; false: all is sent. */
static bool send_some(struct side *s, uint64_t *at)
{
	uint64_t bytes = size_of_part(s);
	long n;

	if (*at == s->out_total)
		return false;
	bytes = bytes < s->out_total - *at ? bytes : s->out_total - *at;
	make(out_bytes, s->key, s->out, *at, bytes);
	n = send_part(s, bytes);
	if (n < 0 && errno == EAGAIN) {
		struct pollfd p = { s->fd, POLLOUT, 0 };

		if (poll(&p, 1, 60000) != 1)
			fail(s, "waiting to send", *at, 0);
		return true;
	}
	if (n <= 0)
		fail(s, "sending", *at, n);
	memset(out_bytes, 0xee, bytes); /* it is no longer ours to look at */
	*at += (uint64_t)n;
	return true;
}

/* ---- receiving ---- */

static long receive_part(struct side *s, uint64_t bytes, const char **how)
{
	struct iovec v[3] = { { in_bytes, bytes / 3 }, { in_bytes + bytes / 3, bytes / 2 },
			      { in_bytes + bytes / 3 + bytes / 2, bytes - bytes / 3 - bytes / 2 } };

	switch (roll(s, 8)) {
	case 0: *how = "readv"; return readv(s->fd, v, 3);
	case 1: *how = "recv MSG_WAITALL"; return recv(s->fd, in_bytes, bytes, MSG_WAITALL);
	case 2: *how = "recv MSG_DONTWAIT"; return recv(s->fd, in_bytes, bytes, MSG_DONTWAIT);
	case 3: *how = "recv"; return recv(s->fd, in_bytes, bytes, 0);
	default: *how = "read"; return read(s->fd, in_bytes, bytes);
	}
}

static bool receive_some(struct side *s, uint64_t *at, bool peeks)
{
	uint64_t bytes = size_of_part(s);
	const char *how = "";
	long n;

	if (peeks && roll(s, 20) == 0) {
		n = recv(s->fd, in_bytes, bytes, MSG_PEEK);
		if (n > 0)
			check(s, in_bytes, *at, (uint64_t)n, "peek");
	}
	n = receive_part(s, bytes, &how);
	if (n < 0 && errno == EAGAIN) {
		struct pollfd p = { s->fd, POLLIN, 0 };

		if (poll(&p, 1, 60000) != 1)
			fail(s, "waiting to receive", *at, 0);
		return true;
	}
	if (n < 0)
		fail(s, how, *at, n);
	if (n == 0 && *at != s->in_total)
		fail(s, "the end comes too early", *at, (long)s->in_total);
	if (n == 0)
		return false;
	check(s, in_bytes, *at, (uint64_t)n, how);
	*at += (uint64_t)n;
	if (*at > s->in_total)
		fail(s, "more than was sent", *at, (long)s->in_total);
	return true;
}

/* ---- both ---- */

static void send_all(struct side *s, bool slow)
{
	uint64_t at = 0;

	while (send_some(s, &at))
		pause_a_little(s, slow ? 4 : 200);
	if (shutdown(s->fd, SHUT_WR))
		fail(s, "shutdown", at, 0);
}

static void receive_all(struct side *s, bool slow)
{
	uint64_t at = 0;
	bool peeks = roll(s, 3) == 0;

	while (receive_some(s, &at, peeks))
		pause_a_little(s, slow ? 3 : 200);
}

/* Both ways in one process that never blocks. */
static void both_at_once(struct side *s)
{
	uint64_t sent = 0, got = 0;
	bool sending = true, receiving = true;

	fcntl(s->fd, F_SETFL, O_NONBLOCK);
	while (sending || receiving) {
		struct pollfd p = { s->fd, (short)((sending ? POLLOUT : 0) | (receiving ? POLLIN : 0)), 0 };

		if (poll(&p, 1, 60000) != 1)
			fail(s, "poll", got, (long)sent);
		if (sending && p.revents & (POLLOUT | POLLERR)) {
			sending = send_some(s, &sent);
			if (!sending)
				shutdown(s->fd, SHUT_WR);
		}
		if (receiving && p.revents & (POLLIN | POLLHUP | POLLERR))
			receiving = receive_some(s, &got, true);
	}
}

static void exchange(int fd, uint64_t key, bool client)
{
	static const uint32_t most[] = { 1, 2000, 200000, 3000000, 12000000 };
	uint64_t size[2] = { mix(key + 1) % most[mix(key + 2) % 5], mix(key + 3) % most[mix(key + 4) % 5] };
	struct side s = {
		.fd = fd, .key = key, .out = !client, .in = client, .out_total = size[!client], .in_total = size[client],
		.dice = mix(key + 77 + client),
	};
	uint64_t way = mix(key + 5) % 4;
	bool slow = mix(key + 6) % 6 == 0 && size[0] + size[1] < 1000000;
	pid_t child;
	int status;

	if (way == 0) {
		both_at_once(&s);
		return;
	}
	child = fork();
	if (child == 0) {
		s.dice ^= 0x5555;
		send_all(&s, slow);
		_exit(0);
	}
	receive_all(&s, slow);
	if (waitpid(child, &status, 0) != child || status)
		fail(&s, "the sender's end", 0, status);
}

/* ---- ends ---- */

static void serve(int listener)
{
	signal(SIGCHLD, SIG_DFL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (fd < 0)
			continue;
		if (fork() == 0) {
			uint64_t key;

			if (recv(fd, &key, sizeof(key), MSG_WAITALL) == (long)sizeof(key))
				exchange(fd, key, false);
			_exit(0);
		}
		close(fd);
	}
}

static int listener_at(uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(*port) };
	socklen_t length = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 100) || getsockname(fd, (struct sockaddr *)&a, &length)) {
		perror("storm: listen");
		exit(1);
	}
	*port = ntohs(a.sin_port);
	return fd;
}

static void lane(uint32_t host, uint16_t port, uint64_t seed, time_t end)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = host };
	struct side none = { .key = seed };
	uint32_t count = 0;

	for (; time(NULL) < end; count++) {
		uint64_t key = mix(seed + count) >> 2;
		int fd = socket(AF_INET, SOCK_STREAM, 0);

		none.key = key;
		if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)))
			fail(&none, "connect", 0, fd);
		if (send(fd, &key, sizeof(key), MSG_NOSIGNAL) != (long)sizeof(key))
			fail(&none, "first send", 0, 0);
		exchange(fd, key, true);
		close(fd);
	}
	printf("storm: lane: %u connections\n", count);
	fflush(stdout);
	_exit(0);
}

static int lanes(uint32_t host, uint16_t port, int count, int seconds, uint64_t seed)
{
	time_t end = time(NULL) + seconds;
	int status, bad = 0;

	for (int i = 0; i < count; i++)
		if (fork() == 0)
			lane(host, port, mix(seed + (uint64_t)i), end);
	for (int i = 0; i < count; i++) {
		wait(&status);
		bad += status != 0;
	}
	return bad;
}

int main(int argc, char **argv)
{
	uint16_t port = argc > 2 ? (uint16_t)atoi(argv[argc > 3 && !strcmp(argv[1], "connect") ? 3 : 2]) : 0;
	int bad = 1;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(argv[1], "listen")) {
		serve(listener_at(&port));
	} else if (argc == 7 && !strcmp(argv[1], "connect")) {
		bad = lanes(inet_addr(argv[2]), port, atoi(argv[4]), atoi(argv[5]), (uint64_t)atoll(argv[6]));
	} else if (argc == 5 && !strcmp(argv[1], "local")) {
		int fd;
		pid_t server;

		port = 0;
		fd = listener_at(&port);
		server = fork();
		if (server == 0)
			serve(fd);
		close(fd);
		bad = lanes(htonl(INADDR_LOOPBACK), port, atoi(argv[2]), atoi(argv[3]), (uint64_t)atoll(argv[4]));
		kill(server, SIGKILL);
	} else {
		fprintf(stderr, "usage: storm local LANES SECONDS SEED | listen PORT | connect HOST PORT LANES SECONDS SEED\n");
	}
	printf(bad ? "storm: %d lanes ended badly\n" : "storm: ok\n", bad);
	return bad != 0;
}
