/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CRC-32 as GPT (UEFI 2.10, 4.2.1), gzip (RFC 1952, 8) and the boot archive use it:
 * polynomial 0x04c11db7, bits reflected, all ones at the start, inverted at the end.
 */
#ifndef LIB_C_CRC32_H
#define LIB_C_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from the sum of the bytes before; 0: there are none. */
uint32_t crc32(uint32_t before, const void *data, size_t bytes);

#endif
