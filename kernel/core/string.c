/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and string functions. Bulk work is unrolled 8-byte moves, which are
 * the fastest general-register copy in emulation and good on hardware.
 */
#include "kernel.h"

#ifndef __clang__ /* or GCC turns the loops into calls of what they implement */
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

#define FEW  8u  /* words at once, ... */
#define MANY 32u /* ... and of pages */

static inline void copy_words(word *to, const word *from, uint32_t count)
{
#pragma GCC unroll 32
	for (uint32_t i = 0; i < count; i++)
		to[i] = from[i];
}

static inline void fill_words(word *to, uint64_t v, uint32_t count)
{
#pragma GCC unroll 32
	for (uint32_t i = 0; i < count; i++)
		to[i] = v;
}

void *memcpy(void *d, const void *s, size_t n)
{
	uint8_t *to = d;
	const uint8_t *from = s;

	for (; n >= 8 * MANY; n -= 8 * MANY, to += 8 * MANY, from += 8 * MANY)
		copy_words((word *)to, (const word *)from, MANY);
	for (; n >= 8 * FEW; n -= 8 * FEW, to += 8 * FEW, from += 8 * FEW)
		copy_words((word *)to, (const word *)from, FEW);
	for (; n >= 8; n -= 8, to += 8, from += 8)
		*(word *)to = *(const word *)from;
	while (n--)
		*to++ = *from++;
	return d;
}

void *memmove(void *d, const void *s, size_t n)
{
	uint8_t *to = d;
	const uint8_t *from = s;

	if ((uintptr_t)d - (uintptr_t)s >= n) /* d below s, or no overlap */
		return memcpy(d, s, n);       /* goes upwards, each load before its store */
	for (; n >= 8; n -= 8)
		*(word *)(to + n - 8) = *(const word *)(from + n - 8);
	while (n--)
		to[n] = from[n];
	return d;
}

void *memset(void *d, int c, size_t n)
{
	uint8_t *to = d;
	uint64_t v = 0x0101010101010101ull * (uint8_t)c;

	for (; n >= 8 * MANY; n -= 8 * MANY, to += 8 * MANY)
		fill_words((word *)to, v, MANY);
	for (; n >= 8 * FEW; n -= 8 * FEW, to += 8 * FEW)
		fill_words((word *)to, v, FEW);
	for (; n >= 8; n -= 8, to += 8)
		*(word *)to = v;
	while (n--)
		*to++ = (uint8_t)c;
	return d;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n >= 8 && *(const word *)x == *(const word *)y; n -= 8)
		x += 8, y += 8;
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return (uint8_t)*a - (uint8_t)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	while (n && *a && *a == *b)
		a++, b++, n--;
	return n ? (uint8_t)*a - (uint8_t)*b : 0;
}

/* Copies as much as fits, always terminated if size > 0; the length of s. */
size_t strlcpy(char *d, const char *s, size_t size)
{
	size_t n = strlen(s);

	if (size) {
		size_t m = MIN(n, size - 1);

		memcpy(d, s, m);
		d[m] = 0;
	}
	return n;
}
