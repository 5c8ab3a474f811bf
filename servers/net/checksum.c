/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071): the one's-complement sum is the same
 * whatever width it is taken in, so 32-bit words are added into 64 bits.
 *
 * Loads are of 8 bytes, for in software emulation each costs more than what is
 * done with it; volatile, so that the compiler makes no vectors of them, which
 * cost more still, and no calls of memcpy(), each of which would be logged.
 */
#include "lib/c/string.h"
#include "servers/net/bytes.h"
#include "servers/net/net.h"

typedef volatile uint64_t __attribute__((may_alias, aligned(1))) word;

BYTES_INLINE uint64_t tail_sum(const uint8_t *p, uint32_t length)
{
	uint64_t sum = 0;

	for (; length >= 2; length -= 2, p += 2)
		sum += (uint32_t)(p[0] | p[1] << 8);
	return length ? sum + p[0] : sum;
}

/* A macro: with and without hooks don't inline each other. */
#define HALVES(w) (((w) & 0xffffffff) + ((w) >> 32))

uint16_t checksum_of(const void *data, int length)
{
	const uint8_t *p = data;
	uint64_t sum = 0;

	for (; length >= 32; length -= 32, p += 32) {
		const word *w = (const word *)p;
		uint64_t a = w[0], b = w[1], c = w[2], d = w[3];

		sum += HALVES(a) + HALVES(b) + HALVES(c) + HALVES(d);
	}
	for (; length >= 8; length -= 8, p += 8) {
		uint64_t a = *(const word *)p;

		sum += HALVES(a);
	}
	return fold_sum(sum + tail_sum(p, (uint32_t)length));
}

/* `to` is payload, which is not logged: so no hooks here. */
__attribute__((no_sanitize("kernel-address")))
uint16_t checksum_copy(void *to, const void *from, uint32_t length)
{
	const uint8_t *p = from;
	uint8_t *d = to;
	uint64_t sum = 0;

	for (; length >= 32; length -= 32, p += 32, d += 32) {
		const word *w = (const word *)p;
		word *v = (word *)d;
		uint64_t a = w[0], b = w[1], c = w[2], e = w[3];

		v[0] = a;
		v[1] = b;
		v[2] = c;
		v[3] = e;
		sum += HALVES(a) + HALVES(b) + HALVES(c) + HALVES(e);
	}
	for (; length >= 8; length -= 8, p += 8, d += 8) {
		uint64_t a = *(const word *)p;

		*(word *)d = a;
		sum += HALVES(a);
	}
	sum += tail_sum(p, length);
	for (; length; length--)
		*(volatile uint8_t *)d++ = *p++;
	return fold_sum(sum);
}

uint16_t checksum_add(uint16_t a, uint16_t b)
{
	return fold_sum((uint64_t)a + b);
}

void finish_ip4(uint8_t *ip, uint32_t total)
{
	put16(ip + 2, total);
	put_sum(ip + 10, 0);
	put_sum(ip + 10, (uint16_t)~checksum_of(ip, (ip[0] & 15) * 4));
}

bool ip4_is_plain(const uint8_t *ip, uint32_t bytes)
{
	return ip[0] == 0x45 && !(get16(ip + 6) & 0x3fff) && get16(ip + 2) <= bytes && ip4_sum_holds(ip);
}
