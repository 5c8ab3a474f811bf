/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071): the one's-complement sum is the same
 * whatever width it is taken in, so 32-bit words are added into 64 bits.
 */
#include "lib/c/string.h"
#include "servers/net/net.h"

static uint16_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t checksum_of(const void *data, int length)
{
	const uint8_t *p = data;
	uint64_t sum = 0;
	uint32_t w[4];

	for (; length >= 16; length -= 16, p += 16) {
		memcpy(w, p, 16);
		sum += (uint64_t)w[0] + w[1] + w[2] + w[3];
	}
	for (; length >= 2; length -= 2, p += 2)
		sum += (uint32_t)(p[0] | p[1] << 8);
	if (length)
		sum += p[0];
	return fold(sum);
}

uint16_t checksum_add(uint16_t a, uint16_t b)
{
	return fold((uint64_t)a + b);
}
