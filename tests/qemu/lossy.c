/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lossy TAP OURS THEIRS PER_MILLE
 *
 * A cable that loses frames: between a tap interface of the host and a guest
 * (QEMU's `-netdev dgram`, UNIX sockets OURS here and THEIRS there). Of the frames
 * from the guest that are longer than 200 bytes, PER_MILLE of 1,000 are lost, by a
 * generator that begins the same each time. Each is told by the line `lost`, and each
 * pause in which for SILENCE_MS nothing passes, either way, by `silence`. Runs until it
 * is killed.
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SILENCE_MS 150 /* less than the guest's least retransmission time-out (servers/net/tcp_loss.c) */

static char frame[65536];

static int open_tap(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	strncpy(r.ifr_name, name, IFNAMSIZ - 1);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &r)) {
		perror(name);
		exit(1);
	}
	return fd;
}

static int bind_unix(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), bytes = 4 << 20;

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a))) {
		perror(path);
		exit(1);
	}
	return fd;
}

static int lost(ssize_t bytes, unsigned per_mille)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return bytes > 200 && (state >> 20) % 1000 < per_mille;
}

static void tell(const char *what)
{
	puts(what);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct pollfd wait[2];
	unsigned per_mille;

	if (argc != 5)
		return 2;
	wait[0] = (struct pollfd){ open_tap(argv[1]), POLLIN, 0 };
	wait[1] = (struct pollfd){ bind_unix(argv[2]), POLLIN, 0 };
	strncpy(to.sun_path, argv[3], sizeof(to.sun_path) - 1);
	per_mille = (unsigned)atoi(argv[4]);
	tell("ready");
	for (;;) {
		ssize_t n;

		if (poll(wait, 2, SILENCE_MS) == 0) {
			tell("silence");
			poll(wait, 2, -1);
		}
		while ((n = read(wait[0].fd, frame, sizeof(frame))) > 0)
			sendto(wait[1].fd, frame, (size_t)n, 0, (struct sockaddr *)&to, sizeof(to));
		while ((n = recv(wait[1].fd, frame, sizeof(frame), 0)) > 0)
			if (lost(n, per_mille))
				tell("lost");
			else if (write(wait[0].fd, frame, (size_t)n) < 0)
				continue; /* the interface is down: lost, too */
	}
}
