/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What system calls cost a Linux program, in ticks of the TSC. With -icount
 * shift=0 a tick is an instruction, servers' and waits' for devices included.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static void report(const char *what, uint64_t start, uint64_t rounds)
{
	printf("%-42s %7llu\n", what, (unsigned long long)((tsc() - start) / rounds));
}

/* What a byte there and back costs, between this process and a child with the other ends. */
static void round_trips(const char *what, int to, int from, int other_to, int other_from)
{
	uint64_t start = 0;
	char byte = 0;

	if (fork() == 0) {
		close(to);
		while (read(other_from, &byte, 1) == 1)
			write(other_to, &byte, 1);
		_exit(0);
	}
	close(other_to);
	close(other_from);
	for (int i = 0; i < 210; i++) {
		if (i == 10)
			start = tsc();
		write(to, &byte, 1);
		read(from, &byte, 1);
	}
	report(what, start, 200);
	close(to);
	wait(NULL);
}

int main(void)
{
	static char buffer[65536];
	int fd = open("/bin/busybox", O_RDONLY), p[2], q[2];
	uint64_t start;
	volatile char *m;

	getppid();
	start = tsc();
	for (int i = 0; i < 1000; i++)
		getppid();
	report("getppid", start, 1000);
	m = mmap(NULL, 1000 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	start = tsc();
	for (int i = 0; i < 1000; i++)
		m[i * 4096] = 1;
	report("first write to a page, in order", start, 1000);
	munmap((void *)m, 1000 * 4096);
	m = mmap(NULL, 32 * 1000 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	start = tsc();
	for (int i = 0; i < 1000; i++)
		m[i * 32 * 4096 + 4096] = 1;
	report("first write to a page, scattered", start, 1000);
	munmap((void *)m, 32 * 1000 * 4096);
	pread(fd, buffer, sizeof(buffer), 0);
	start = tsc();
	for (int i = 0; i < 200; i++)
		pread(fd, buffer, 1, 0);
	report("read 1 byte of a cached file", start, 200);
	start = tsc();
	for (int i = 0; i < 200; i++)
		pread(fd, buffer, 4096, 0);
	report("read 4 KiB of a cached file", start, 200);
	start = tsc();
	for (int i = 0; i < 50; i++)
		pread(fd, buffer, 65536, 0);
	report("read 64 KiB of a cached file", start, 50);
	start = tsc();
	for (int i = 0; i < 200; i++)
		close(open("/bin/busybox", O_RDONLY));
	report("open and close a file", start, 200);
	pipe(p);
	write(p[1], buffer, 1);
	read(p[0], buffer, 1);
	start = tsc();
	for (int i = 0; i < 200; i++) {
		write(p[1], buffer, 1);
		read(p[0], buffer, 1);
	}
	report("1 byte through a pipe (write, read)", start, 200);
	pipe(q);
	round_trips("1 byte there and back, two pipes", p[1], q[0], q[1], p[0]);
	socketpair(AF_UNIX, SOCK_STREAM, 0, p);
	round_trips("1 byte there and back, UNIX socket", p[0], p[0], p[1], p[1]);
	for (int i = 0; i < 22; i++) {
		if (i == 2)
			start = tsc();
		if (fork() == 0)
			_exit(0);
		wait(NULL);
	}
	report("fork, exit, wait", start, 20);
	for (int i = 0; i < 12; i++) {
		if (i == 2)
			start = tsc();
		if (fork() == 0)
			execl("/bin/busybox", "true", NULL);
		wait(NULL);
	}
	report("fork, exec of busybox true, wait", start, 10);
	return 0;
}
