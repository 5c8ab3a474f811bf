/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What lwIP asks of compiler and platform. A broken invariant of lwIP ends the
 * incarnation (server_die), as one of ours does.
 */
#ifndef SERVERS_NET_LWIP_CC_H
#define SERVERS_NET_LWIP_CC_H

#include <stddef.h>
#include <stdint.h>
#include "lib/c/stdlib.h"

#define LWIP_NO_INTTYPES_H 1
#define X8_F "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#define SSIZE_MAX INT64_MAX
typedef int64_t ssize_t;
#define atoi(text) ((int)strtoul(text, NULL, 10))
#ifndef BYTE_ORDER /* a host's headers, in unit tests */
#define BYTE_ORDER LITTLE_ENDIAN
#endif

__attribute__((noreturn, format(printf, 1, 2))) void server_die(const char *fmt, ...);
#define LWIP_PLATFORM_DIAG(x) do { } while (0)
#define LWIP_PLATFORM_ASSERT(text) server_die("lwIP: %s (%s:%d)", text, __FILE__, __LINE__)

void *heap_allocate(size_t bytes);
void *heap_allocate_zeroed(size_t count, size_t bytes);
void heap_free(void *block);
uint32_t random_u32(void);
uint16_t checksum_of(const void *data, int length);

#endif
