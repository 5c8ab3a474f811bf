/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oneway: two little sends, read at the other end of a TCP connection over the loopback, which sends
 * nothing itself, again and again. Prints the mean of such a round in µs.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 100 };

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), to = socket(AF_INET, SOCK_STREAM, 0), from;
	struct timespec begin, end;
	char data[160] = { 0 };

	if (bind(listener, (void *)&address, length) || listen(listener, 1) || getsockname(listener, (void *)&address, &length) ||
	    connect(to, (void *)&address, length))
		return 1;
	from = accept(listener, NULL, NULL);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < ROUNDS; i++)
		if (send(to, data, 100, 0) != 100 || send(to, data, 60, 0) != 60 || recv(from, data, 160, MSG_WAITALL) != 160)
			return 1;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%ld\n", ((end.tv_sec - begin.tv_sec) * 1000000 + (end.tv_nsec - begin.tv_nsec) / 1000) / ROUNDS);
	return 0;
}
