/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers from text, as in ISO C but without errno: too large a value gives
 * the type's largest, text that is no number gives 0 with *end == text.
 */
#ifndef LIB_C_STDLIB_H
#define LIB_C_STDLIB_H

unsigned long strtoul(const char *text, char **end, int base);
unsigned long long strtoull(const char *text, char **end, int base);

#endif
