/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output: post-processing (termios(3), c_oflag) into the terminal's queue.
 */
#include "terminal.h"

enum { TAB_COLUMNS = 8 };

uint32_t output_free(const struct terminal *t)
{
	return OUTPUT_BYTES - (t->out_tail - t->out_head);
}

uint32_t output_pending(const struct terminal *t)
{
	return t->out_tail - t->out_head + (t->pty ? 0 : console_pending());
}

uint32_t output_column_after(const struct terminal *t, uint32_t column, uint8_t byte)
{
	switch (byte) {
	case '\n': return t->termios.oflag & (ONLCR | ONLRET) ? 0 : column;
	case '\r': return 0;
	case '\t': return (column / TAB_COLUMNS + 1) * TAB_COLUMNS;
	case '\b': return column ? column - 1 : 0;
	default: return byte >= 0x20 && byte != 0x7f ? column + 1 : column;
	}
}

static void put(struct terminal *t, uint8_t byte)
{
	t->output[t->out_tail++ % OUTPUT_BYTES] = byte;
}

static void put_processed(struct terminal *t, uint8_t c)
{
	uint32_t oflag = t->termios.oflag, next;

	if (c == '\r' && oflag & ONOCR && !t->column)
		return;
	if (c == '\n' && oflag & ONLCR)
		put(t, '\r');
	if (c == '\r' && oflag & OCRNL)
		c = '\n';
	if (oflag & OLCUC && c >= 'a' && c <= 'z')
		c -= 'a' - 'A';
	next = output_column_after(t, t->column, c);
	if (c == '\t' && (oflag & TABDLY) == TABDLY)
		for (uint32_t n = next - t->column; n; n--)
			put(t, ' ');
	else
		put(t, c);
	t->column = next;
}

static uint32_t process(struct terminal *t, const uint8_t *bytes, uint32_t len)
{
	uint32_t i;

	for (i = 0; i < len && output_free(t) >= TAB_COLUMNS; i++) {
		if (t->termios.oflag & OPOST)
			put_processed(t, bytes[i]);
		else
			put(t, bytes[i]);
	}
	return i;
}

uint32_t output_write(struct terminal *t, const uint8_t *bytes, uint32_t len)
{
	return t->stopped ? 0 : process(t, bytes, len);
}

void output_echo(struct terminal *t, const char *bytes, uint32_t len)
{
	process(t, (const uint8_t *)bytes, len);
}

uint32_t output_take(struct terminal *t, uint8_t *to, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && t->out_head != t->out_tail)
		to[n++] = t->output[t->out_head++ % OUTPUT_BYTES];
	return n;
}

/* What a master has not read yet was sent all the same. */
void output_flush(struct terminal *t)
{
	if (!t->pty)
		t->out_head = t->out_tail;
	pty_packet(t, PKT_FLUSHWRITE);
}

void output_stop(struct terminal *t, bool stop)
{
	if (t->stopped == stop)
		return;
	t->stopped = stop;
	pty_packet(t, stop ? PKT_STOP : PKT_START);
	if (!stop)
		terminal_room(t);
}
