/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strtoul, strtoull.
 */
#include <limits.h>
#include "lib/c/stdlib.h"

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 10;
	return INT_MAX;
}

unsigned long long strtoull(const char *text, char **end, int base)
{
	const char *p = text, *after = text;
	unsigned long long value = 0;
	int negative = 0, overflow = 0;

	while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
		p++;
	if (*p == '+' || *p == '-')
		negative = *p++ == '-';
	if ((base == 0 || base == 16) && p[0] == '0' && (p[1] | 0x20) == 'x' && digit_value(p[2]) < 16) {
		p += 2;
		base = 16;
	} else if (base == 0) {
		base = *p == '0' ? 8 : 10;
	}
	for (int d; (d = digit_value(*p)) < base; after = ++p) {
		overflow |= __builtin_mul_overflow(value, (unsigned long long)base, &value);
		overflow |= __builtin_add_overflow(value, (unsigned long long)d, &value);
	}
	if (end)
		*end = (char *)after;
	if (overflow)
		return ULLONG_MAX;
	return negative ? 0 - value : value;
}

unsigned long strtoul(const char *text, char **end, int base)
{
	_Static_assert(sizeof(unsigned long) == sizeof(unsigned long long), "LP64");
	return strtoull(text, end, base);
}
