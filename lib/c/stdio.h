/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatting into memory. Conversions: d i u x X o c s p %, with flags - 0 +
 * and space, width and precision (also *), lengths hh h l ll z t j. No floats.
 * Returns the length the whole text would have.
 */
#ifndef LIB_C_STDIO_H
#define LIB_C_STDIO_H

#include <stdarg.h>
#include <stddef.h>

__attribute__((format(printf, 3, 0)))
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
__attribute__((format(printf, 3, 4)))
int snprintf(char *buf, size_t size, const char *fmt, ...);

#endif
