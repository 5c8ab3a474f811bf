/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fields of packets: big-endian, at any address. Nothing is checked; the caller
 * knows that the bytes are there.
 */
#ifndef SERVERS_NET_BYTES_H
#define SERVERS_NET_BYTES_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/c/string.h"

/* Always: else a function without hooks (lib/region/region.h) would call those that have them. */
#define BYTES_INLINE static inline __attribute__((always_inline))

BYTES_INLINE uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
BYTES_INLINE uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }

/* As the processor has them: to compare, and to sum. Volatile: compilers are to make no vectors of them (checksum.c). */
BYTES_INLINE uint64_t get_word(const uint8_t *p, uint32_t offset)
{
	typedef volatile uint64_t __attribute__((may_alias, aligned(1))) word;

	return *(const word *)(p + offset);
}

BYTES_INLINE uint32_t get_half(const uint8_t *p, uint32_t offset)
{
	typedef volatile uint32_t __attribute__((may_alias, aligned(1))) half;

	return *(const half *)(p + offset);
}

/* A sum of 16-bit words, of any width, as the 16 bits that it is (RFC 1071). */
BYTES_INLINE uint16_t fold_sum(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* What of a TCP or UDP sum is not payload: `bytes` of addresses and, right behind them, the header; the protocol; the length
 * of header and payload (RFC 9293, 3.1). */
BYTES_INLINE uint64_t header_sum(const uint8_t *addresses, uint32_t bytes, uint8_t protocol, uint32_t length)
{
	uint64_t sum = ((uint64_t)protocol << 8) + __builtin_bswap16((uint16_t)length);

	for (uint32_t at = 0; at < bytes; at += 4)
		sum += get_half(addresses, at);
	return sum;
}

/* Of an IPv4 header without options. */
BYTES_INLINE bool ip4_sum_holds(const uint8_t *ip)
{
	uint64_t sum = 0;

	for (uint32_t at = 0; at < 20; at += 4)
		sum += get_half(ip, at);
	return fold_sum(sum) == 0xffff;
}

static inline void put16(uint8_t *p, uint32_t n)
{
	p[0] = (uint8_t)(n >> 8);
	p[1] = (uint8_t)n;
}

static inline void put32(uint8_t *p, uint32_t n)
{
	put16(p, n >> 16);
	put16(p + 2, n);
}

/* A sum of checksum_of() is in the order of the packet already. */
static inline void put_sum(uint8_t *p, uint16_t sum) { memcpy(p, &sum, 2); }

#endif
