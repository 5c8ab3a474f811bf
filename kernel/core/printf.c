/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Formatted text: %d %i %u %x %X %o %p %s %c %%, flags 0 - + space #, width,
 * precision (also *), lengths hh h l ll z t j. The result is what snprintf's
 * would be: the length of the whole text, of which size - 1 bytes are stored.
 */
#include "kernel.h"

struct output { char *buf; size_t size, len; };
struct spec {
	bool left, zero, plus, space, alternate, upper, negative;
	int width, precision; /* precision -1: none */
};

static void put(struct output *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void pad(struct output *o, char c, int n)
{
	while (n-- > 0)
		put(o, c);
}

static void put_text(struct output *o, const struct spec *s, const char *text, int len)
{
	if (!s->left)
		pad(o, ' ', s->width - len);
	for (int i = 0; i < len; i++)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', s->width - len);
}

static void put_number(struct output *o, const struct spec *s, uint64_t v, uint32_t base)
{
	const char *digits = s->upper ? "0123456789ABCDEF" : "0123456789abcdef";
	const char *prefix = s->negative ? "-" : s->plus ? "+" : s->space ? " " : "";
	char text[24];
	int len = 0, zeros, prefix_len;

	if (s->alternate && base == 16 && v)
		prefix = s->upper ? "0X" : "0x";
	prefix_len = (int)strlen(prefix);
	for (; v || (len == 0 && s->precision != 0); v /= base)
		text[len++] = digits[v % base];
	zeros = MAX(s->precision - len, 0);
	if (s->zero && !s->left && s->precision < 0)
		zeros = MAX(s->width - prefix_len - len, 0);
	if (!s->left)
		pad(o, ' ', s->width - prefix_len - zeros - len);
	for (int i = 0; i < prefix_len; i++)
		put(o, prefix[i]);
	pad(o, '0', zeros);
	for (int i = len; i-- > 0;)
		put(o, text[i]);
	if (s->left)
		pad(o, ' ', s->width - prefix_len - zeros - len);
}

static int parse_number(const char **fmt)
{
	int n = 0;

	for (; **fmt >= '0' && **fmt <= '9'; (*fmt)++)
		n = MIN(n * 10 + (**fmt - '0'), 4096);
	return n;
}

static const char *parse_flags(const char *fmt, struct spec *s)
{
	for (;; fmt++) {
		switch (*fmt) {
		case '-': s->left = true; break;
		case '0': s->zero = true; break;
		case '+': s->plus = true; break;
		case ' ': s->space = true; break;
		case '#': s->alternate = true; break;
		default: return fmt;
		}
	}
}

static const char *parse_length(const char *fmt, int *bytes)
{
	*bytes = 4;
	for (;; fmt++) {
		switch (*fmt) {
		case 'l': case 'z': case 't': case 'j': *bytes = 8; break;
		case 'h': *bytes = *bytes == 2 ? 1 : 2; break;
		default: return fmt;
		}
	}
}

static void put_signed(struct output *o, struct spec *s, int64_t v)
{
	s->negative = v < 0;
	put_number(o, s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10);
}

static uint64_t cut(uint64_t v, int bytes) { return bytes == 8 ? v : v & ((1ull << (8 * bytes)) - 1); }

static void put_string(struct output *o, const struct spec *s, const char *text)
{
	int len = 0;

	if (!text)
		text = "(null)";
	while ((s->precision < 0 || len < s->precision) && text[len])
		len++;
	put_text(o, s, text, len);
}

int kvsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
{
	struct output o = { buf, size, 0 };

	while (*fmt) {
		struct spec s = { .precision = -1 };
		int bytes;
		char c;

		if (*fmt != '%') {
			put(&o, *fmt++);
			continue;
		}
		fmt = parse_flags(fmt + 1, &s);
		s.width = *fmt == '*' ? (fmt++, va_arg(ap, int)) : parse_number(&fmt);
		if (*fmt == '.') {
			fmt++;
			s.precision = *fmt == '*' ? (fmt++, va_arg(ap, int)) : parse_number(&fmt);
		}
		fmt = parse_length(fmt, &bytes);
		switch (*fmt) {
		case 'd': case 'i':
			if (bytes == 8)
				put_signed(&o, &s, va_arg(ap, int64_t));
			else
				put_signed(&o, &s, va_arg(ap, int));
			break;
		case 'u': case 'x': case 'X': case 'o': {
			uint64_t v = bytes == 8 ? va_arg(ap, uint64_t) : va_arg(ap, unsigned);

			s.upper = *fmt == 'X';
			s.plus = s.space = false;
			put_number(&o, &s, cut(v, bytes), *fmt == 'u' ? 10 : *fmt == 'o' ? 8 : 16);
			break;
		}
		case 'p':
			s.alternate = true;
			put_number(&o, &s, (uint64_t)va_arg(ap, void *), 16);
			break;
		case 's': put_string(&o, &s, va_arg(ap, const char *)); break;
		case 'c':
			c = (char)va_arg(ap, int);
			put_text(&o, &s, &c, 1);
			break;
		case '%': put(&o, '%'); break;
		case 0: goto end;
		default: put(&o, '%'); put(&o, *fmt);
		}
		fmt++;
	}
end:
	if (size)
		buf[MIN(o.len, size - 1)] = 0;
	return (int)o.len;
}

int ksnprintf(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = kvsnprintf(buf, size, fmt, ap);
	va_end(ap);
	return n;
}
