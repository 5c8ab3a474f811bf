/* SPDX-License-Identifier: BSD-2-Clause */
/* SSE and AVX registers stay what they are over calls, switches, signal handlers and fork. */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

typedef unsigned int ymm __attribute__((vector_size(32)));
static volatile int handled;

#define LOAD(v)  __asm__ volatile("vmovdqu %0, %%ymm7" : : "m"(v))
#define STORE(v) __asm__ volatile("vmovdqu %%ymm7, %0" : "=m"(v))

static void with_sse(int sig)
{
	(void)sig;
	__asm__ volatile("pxor %%xmm7, %%xmm7" : : : "xmm7");
	handled++;
}

static void with_avx(int sig)
{
	unsigned ones[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };

	(void)sig;
	LOAD(ones);
	handled++;
}

static int holds(const unsigned want[8], int rounds, pid_t tell)
{
	unsigned have[8];

	for (int i = 0; i < rounds; i++) {
		LOAD(*(const unsigned (*)[8])want);
		if (i % 16 == 0)
			tell ? kill(tell, SIGUSR1) : getppid();
		STORE(have);
		if (memcmp(have, want, sizeof(have)))
			return 0;
	}
	return 1;
}

int main(void)
{
	unsigned a[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, b[8] = { 9, 9, 9, 9, 9, 9, 9, 9 }, have[8];
	int avx = __builtin_cpu_supports("avx"), status;
	pid_t parent = getpid(), child;

	signal(SIGUSR1, avx ? with_avx : with_sse);
	if (avx) {
		child = fork();
		if (child == 0)
			_exit(!holds(b, 2000, parent));
		CHECK(holds(a, 200000, 0));
		LOAD(a);
		raise(SIGUSR1);
		STORE(have);
		CHECK(!memcmp(have, a, sizeof(a)));
		CHECK(waitpid(child, &status, 0) == child && status == 0);
		LOAD(a);
		child = fork();
		STORE(have);
		if (child == 0)
			_exit(memcmp(have, a, sizeof(a)) != 0);
		CHECK(waitpid(child, &status, 0) == child && status == 0);
	} else {
		raise(SIGUSR1);
	}
	CHECK(handled > 0);
	return check_end("fpu");
}
