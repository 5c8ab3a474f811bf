/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes for AT_RANDOM and for where things lie in a new address space:
 * from the processor if it has any, with the time stamp mixed in.
 */
#include "servers/pm/pm.h"

#define CPUID_RDRAND (1u << 30)

static bool has_rdrand(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c & CPUID_RDRAND;
}

static uint64_t rdrand(void)
{
	uint64_t value = 0;

	__asm__ volatile("rdrand %0" : "=r"(value) : : "cc");
	return value;
}

static uint64_t time_stamp(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}

/* The finishing step of a splitmix generator: every bit in decides every bit out. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

void random_bytes(void *out, size_t bytes)
{
	static uint64_t state;
	uint8_t *p = out;

	while (bytes) {
		size_t n = bytes < 8 ? bytes : 8;
		uint64_t word;

		state += 0x9e3779b97f4a7c15ull + time_stamp();
		word = mix(state);
		if (has_rdrand())
			word ^= rdrand();
		memcpy(p, &word, n);
		p += n;
		bytes -= n;
	}
}
