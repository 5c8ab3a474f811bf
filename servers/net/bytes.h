/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Fields of packets: big-endian, at any address. Nothing is checked; the caller
 * knows that the bytes are there.
 */
#ifndef SERVERS_NET_BYTES_H
#define SERVERS_NET_BYTES_H

#include <stdint.h>

#include "lib/c/string.h"

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get32(const uint8_t *p) { return (uint32_t)get16(p) << 16 | get16(p + 2); }

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
