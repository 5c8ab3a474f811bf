/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * vsnprintf, snprintf.
 */
#include <stdbool.h>
#include <stdint.h>
#include "lib/c/stdio.h"
#include "lib/c/string.h"

struct output { char *buf; size_t size, length; };

struct spec {
	bool left, zero, plus, space, upper;
	int width, precision; /* precision -1: none given */
	int length;           /* size of the integer argument in bytes */
};

static void put(struct output *o, char c)
{
	if (o->length + 1 < o->size)
		o->buf[o->length] = c;
	o->length++;
}

static void put_repeated(struct output *o, char c, int count)
{
	while (count-- > 0)
		put(o, c);
}

static void put_text(struct output *o, const struct spec *s, const char *text, size_t length)
{
	int pad = s->width - (int)length;

	if (!s->left)
		put_repeated(o, ' ', pad);
	for (size_t i = 0; i < length; i++)
		put(o, text[i]);
	if (s->left)
		put_repeated(o, ' ', pad);
}

/* sign: text before the digits, which zeroes pad behind. */
static void put_number(struct output *o, struct spec *s, uint64_t value, unsigned base, const char *sign)
{
	const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	int count = 0, zeroes, pad;

	while (value || (count == 0 && s->precision != 0)) {
		text[count++] = digits[value % base];
		value /= base;
	}
	zeroes = s->precision > count ? s->precision - count : 0;
	pad = s->width - count - zeroes - (int)strlen(sign);
	if (s->zero && !s->left && s->precision < 0 && pad > 0) {
		zeroes += pad;
		pad = 0;
	}
	if (!s->left)
		put_repeated(o, ' ', pad);
	while (*sign)
		put(o, *sign++);
	put_repeated(o, '0', zeroes);
	while (count)
		put(o, text[--count]);
	if (s->left)
		put_repeated(o, ' ', pad);
}

static const char *parse_flags(const char *f, struct spec *s)
{
	for (;; f++) {
		switch (*f) {
		case '-': s->left = true; break;
		case '0': s->zero = true; break;
		case '+': s->plus = true; break;
		case ' ': s->space = true; break;
		default: return f;
		}
	}
}

static const char *parse_count(const char *f, int *out, int from_argument)
{
	if (*f == '*') {
		*out = from_argument;
		return f + 1;
	}
	for (*out = 0; *f >= '0' && *f <= '9' && *out < 100000; f++)
		*out = *out * 10 + (*f - '0');
	return f;
}

static const char *parse_length(const char *f, struct spec *s)
{
	s->length = 4;
	switch (*f) {
	case 'h':
		s->length = f[1] == 'h' ? 1 : 2;
		return f + (f[1] == 'h' ? 2 : 1);
	case 'l':
		s->length = 8;
		return f + (f[1] == 'l' ? 2 : 1);
	case 'z': case 't': case 'j':
		s->length = 8;
		return f + 1;
	}
	return f;
}

static int64_t signed_of(uint64_t v, int length)
{
	return length == 1 ? (int8_t)v : length == 2 ? (int16_t)v : (int64_t)v;
}

static uint64_t unsigned_of(uint64_t v, int length)
{
	return length == 1 ? (uint8_t)v : length == 2 ? (uint16_t)v : v;
}

static void put_signed(struct output *o, struct spec *s, int64_t v)
{
	put_number(o, s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10,
		   v < 0 ? "-" : s->plus ? "+" : s->space ? " " : "");
}

static void put_string(struct output *o, const struct spec *s, const char *text)
{
	if (!text)
		text = "(null)";
	put_text(o, s, text, s->precision >= 0 ? strnlen(text, s->precision) : strlen(text));
}

int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct output o = { buf, size, 0 };

	for (const char *f = fmt; *f; f++) {
		struct spec s = { .precision = -1 };
		char c;

		if (*f != '%') {
			put(&o, *f);
			continue;
		}
		f = parse_flags(f + 1, &s);
		f = parse_count(f, &s.width, *f == '*' ? va_arg(ap, int) : 0);
		if (s.width < 0) {
			s.left = true;
			s.width = -s.width;
		}
		if (*f == '.') {
			f++;
			f = parse_count(f, &s.precision, *f == '*' ? va_arg(ap, int) : 0);
		}
		f = parse_length(f, &s);
		switch (*f) {
		case 'd': case 'i':
			put_signed(&o, &s, signed_of(s.length == 8 ? va_arg(ap, int64_t) : va_arg(ap, int), s.length));
			break;
		case 'X':
			s.upper = true; /* fall through */
		case 'u': case 'x': case 'o':
			put_number(&o, &s,
				   unsigned_of(s.length == 8 ? va_arg(ap, uint64_t) : va_arg(ap, unsigned), s.length),
				   *f == 'u' ? 10 : *f == 'o' ? 8 : 16, "");
			break;
		case 'p':
			put_number(&o, &s, (uintptr_t)va_arg(ap, void *), 16, "0x");
			break;
		case 'c':
			c = va_arg(ap, int);
			put_text(&o, &s, &c, 1);
			break;
		case 's':
			put_string(&o, &s, va_arg(ap, const char *));
			break;
		case '%':
			put(&o, '%');
			break;
		default: /* our own mistake: show it as written */
			put(&o, '%');
			if (!*f)
				goto done;
			put(&o, *f);
		}
	}
done:
	if (size)
		buf[o.length < size ? o.length : size - 1] = '\0';
	return o.length;
}

int snprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
