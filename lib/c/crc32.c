/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CRC-32, bit by bit: what is summed is small, a table would be larger.
 */
#include "lib/c/crc32.h"

#define POLYNOMIAL 0xedb88320u /* reflected */

uint32_t crc32(uint32_t before, const void *data, size_t bytes)
{
	uint32_t crc = ~before;

	for (const uint8_t *p = data; bytes; bytes--, p++) {
		crc ^= *p;
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
	}
	return ~crc;
}
