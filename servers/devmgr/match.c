/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Match texts of manifests: one or more parts, separated by ';' or blanks:
 *
 *   pci:VVVV:DDDD,VVVV:DDDD,...     vendor and device
 *   pci-class:CC[SS[PP]],...        class, subclass, interface
 *
 * all in hexadecimal. A function matches if any item does.
 */
#include "lib/c/string.h"
#include "servers/devmgr/devmgr.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Up to max digits; their number. */
static uint32_t parse_hex(const char **text, uint32_t max, uint32_t *value)
{
	uint32_t digits = 0;

	for (*value = 0; digits < max && hex_digit(**text) >= 0; digits++)
		*value = *value << 4 | hex_digit(*(*text)++);
	return digits;
}

/* One item, `text` moved past it: -X_EINVAL, 1, 0. */
static int match_id(const char **text, const struct function *f)
{
	uint32_t vendor, device;

	if (parse_hex(text, 4, &vendor) != 4 || *(*text)++ != ':' || parse_hex(text, 4, &device) != 4)
		return -X_EINVAL;
	return vendor == f->vendor && device == f->device;
}

static int match_class(const char **text, const struct function *f)
{
	uint32_t code, digits = parse_hex(text, 6, &code);

	if (!digits || digits % 2)
		return -X_EINVAL;
	return code == f->class_code >> (24 - 4 * digits);
}

static bool skip(const char **text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*text, prefix, len))
		return false;
	*text += len;
	return true;
}

static int match_part(const char **text, const struct function *f)
{
	int (*item)(const char **, const struct function *);
	int any = 0, one;

	if (skip(text, "pci:"))
		item = match_id;
	else if (skip(text, "pci-class:"))
		item = match_class;
	else
		return -X_EINVAL;
	do {
		one = item(text, f);
		if (one < 0)
			return one;
		any |= one;
	} while (skip(text, ","));
	return any;
}

int match_function(const char *text, const struct function *f)
{
	int any = 0, one;

	do {
		one = match_part(&text, f);
		if (one < 0)
			return one;
		any |= one;
		if (*text && *text != ';' && *text != ' ')
			return -X_EINVAL;
		while (*text == ';' || *text == ' ')
			text++;
	} while (*text);
	return any;
}
