/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memcpy, memmove, memset, memcmp, memchr.
 *
 * Moves are unrolled 8-byte loads and stores: measured fastest where this
 * system runs most (software emulation), and good enough on real machines.
 * String instructions ("rep movsb") are up to a hundred times slower there.
 * The accesses are volatile so that compilers neither make vectors of them nor
 * recognise the loop as a memcpy and call themselves.
 */
#include <stdint.h>
#include "lib/c/string.h"
#ifdef XINIM_WARM /* compiled without hooks: says itself what it is about to change */
#include "lib/region/region.h"
#else
static inline void region_note(const void *address, size_t bytes) { (void)address; (void)bytes; }
#endif

typedef uint64_t __attribute__((may_alias, aligned(1))) word;
#define WORD_BYTES sizeof(word)
#define BLOCK_WORDS 8u
#define BLOCK_BYTES (BLOCK_WORDS * WORD_BYTES)

static inline void copy_block(volatile word *d, const volatile word *s)
{
	uint64_t a = s[0], b = s[1], c = s[2], e = s[3];

	d[0] = a;
	d[1] = b;
	d[2] = c;
	d[3] = e;
	a = s[4], b = s[5], c = s[6], e = s[7];
	d[4] = a;
	d[5] = b;
	d[6] = c;
	d[7] = e;
}

static void copy_forward(unsigned char *d, const unsigned char *s, size_t n)
{
	for (; n >= BLOCK_BYTES; n -= BLOCK_BYTES, d += BLOCK_BYTES, s += BLOCK_BYTES)
		copy_block((volatile word *)d, (const volatile word *)s);
	for (; n >= WORD_BYTES; n -= WORD_BYTES, d += WORD_BYTES, s += WORD_BYTES)
		*(volatile word *)d = *(const volatile word *)s;
	for (; n; n--)
		*(volatile unsigned char *)d++ = *s++;
}

static void copy_backward(unsigned char *d, const unsigned char *s, size_t n)
{
	d += n;
	s += n;
	for (; n >= WORD_BYTES; n -= WORD_BYTES) {
		d -= WORD_BYTES;
		s -= WORD_BYTES;
		*(volatile word *)d = *(const volatile word *)s;
	}
	for (; n; n--)
		*(volatile unsigned char *)--d = *--s;
}

void *memcpy(void *dst, const void *src, size_t n)
{
	region_note(dst, n);
	copy_forward(dst, src, n);
	return dst;
}

/* Forward is right for d below s: a store never reaches what is yet to be read. */
void *memmove(void *dst, const void *src, size_t n)
{
	uintptr_t d = (uintptr_t)dst, s = (uintptr_t)src;

	if (d == s || n == 0)
		return dst;
	region_note(dst, n);
	if (d < s || d - s >= n)
		copy_forward(dst, src, n);
	else
		copy_backward(dst, src, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	unsigned char *d = dst;
	uint64_t fill = 0x0101010101010101ull * (unsigned char)c;

	region_note(dst, n);
	for (; n >= BLOCK_BYTES; n -= BLOCK_BYTES, d += BLOCK_BYTES) {
		volatile word *w = (volatile word *)d;

		w[0] = fill;
		w[1] = fill;
		w[2] = fill;
		w[3] = fill;
		w[4] = fill;
		w[5] = fill;
		w[6] = fill;
		w[7] = fill;
	}
	for (; n >= WORD_BYTES; n -= WORD_BYTES, d += WORD_BYTES)
		*(volatile word *)d = fill;
	for (; n; n--)
		*(volatile unsigned char *)d++ = c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const unsigned char *x = a, *y = b;

	for (; n >= WORD_BYTES && *(const word *)x == *(const word *)y; n -= WORD_BYTES) {
		x += WORD_BYTES;
		y += WORD_BYTES;
	}
	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x - *y;
	return 0;
}

void *memchr(const void *s, int c, size_t n)
{
	for (const unsigned char *p = s; n; n--, p++)
		if (*p == (unsigned char)c)
			return (void *)p;
	return NULL;
}
