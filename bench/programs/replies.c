/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replies PORT: the server of the row "TCP connections": accept, read a request,
 * answer as much, close; one connection after the other.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	char request[512];

	a.sin_port = htons((uint16_t)atoi(argc > 1 ? argv[1] : "7"));
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 128)) {
		perror("replies: listen");
		return 1;
	}
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		ssize_t n;

		if (fd < 0) {
			perror("replies: accept");
			return 1;
		}
		n = read(fd, request, sizeof(request));
		if (n > 0 && write(fd, request, (size_t)n) != n)
			perror("replies: write");
		close(fd);
	}
}
