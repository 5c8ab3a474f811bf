/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory and string functions of native programs; meanings as in ISO C, and
 * strlcpy as in BSD. The declarations agree with a hosted libc's, so that the
 * same sources also build for the host's unit tests.
 */
#ifndef LIB_C_STRING_H
#define LIB_C_STRING_H

#include <stddef.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
/* Copies what fits and always ends dst with NUL (if size > 0); returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);

#endif
