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

/* Sum of a chain from byte `skip` on; a piece at an odd place counts swapped. */
uint16_t checksum_chain(const struct pbuf *p, uint32_t skip)
{
	uint64_t sum = 0;
	uint32_t at = 0;

	for (; p; p = p->next) {
		uint32_t from = skip < p->len ? skip : p->len;
		uint32_t bytes = p->len - from;
		uint16_t part;

		skip -= from;
		if (!bytes)
			continue;
		part = checksum_of((const uint8_t *)p->payload + from, (int)bytes);
		sum += at & 1 ? (uint16_t)(part << 8 | part >> 8) : part;
		at += bytes;
	}
	return fold(sum);
}
