/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strlcpy, in a file of its own: a host libc may lack it.
 */
#include "lib/c/string.h"

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t len = strlen(src);

	if (size) {
		size_t n = len < size - 1 ? len : size - 1;

		memcpy(dst, src, n);
		dst[n] = '\0';
	}
	return len;
}
