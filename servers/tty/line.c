/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline: POSIX.1-2017 chapter 11 (General Terminal Interface),
 * termios(3).
 */
#include "terminal.h"

#define CTRL(c) ((c) & 0x1f)

static const struct termios defaults = {
	.iflag = ICRNL | IXON,
	.oflag = OPOST | ONLCR,
	.cflag = B38400 | CS8 | CREAD,
	.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.cc = {
		[VINTR] = CTRL('C'), [VQUIT] = CTRL('\\'), [VERASE] = 0x7f, [VKILL] = CTRL('U'),
		[VEOF] = CTRL('D'), [VMIN] = 1, [VSTART] = CTRL('Q'), [VSTOP] = CTRL('S'),
		[VSUSP] = CTRL('Z'), [VREPRINT] = CTRL('R'), [VDISCARD] = CTRL('O'),
		[VWERASE] = CTRL('W'), [VLNEXT] = CTRL('V'),
	},
};

void line_init(struct terminal *t)
{
	t->termios = defaults;
}

static bool has(const struct terminal *t, uint32_t lflag) { return t->termios.lflag & lflag; }

static bool is_cc(const struct terminal *t, uint8_t byte, uint32_t which)
{
	return byte && t->termios.cc[which] == byte;
}

/* ------------------------------------------------------------------- echo */

static bool shown_as_caret(const struct terminal *t, uint8_t byte)
{
	return has(t, ECHOCTL) && (byte < 0x20 || byte == 0x7f) && byte != '\t' && byte != '\n';
}

static void echo(struct terminal *t, uint8_t byte)
{
	if (!has(t, ECHO) && !(byte == '\n' && has(t, ECHONL) && has(t, ICANON)))
		return;
	if (t->tail == t->ready)
		t->line_column = t->column;
	if (shown_as_caret(t, byte)) {
		char caret[2] = { '^', (char)(byte ^ 0x40) };

		output_echo(t, caret, 2);
	} else {
		output_echo(t, (char *)&byte, 1);
	}
}

static bool continues_utf8(const struct terminal *t, uint8_t byte)
{
	return (t->termios.iflag & IUTF8) && (byte & 0xc0) == 0x80;
}

/* Where the cursor is behind [ready, end) of the line being typed. */
static uint32_t column_at(const struct terminal *t, uint32_t end)
{
	uint32_t column = t->line_column;

	for (uint32_t at = t->ready; at != end; at++) {
		uint8_t byte = t->input[at % INPUT_BYTES];

		if (shown_as_caret(t, byte))
			column += 2;
		else if (!continues_utf8(t, byte))
			column = output_column_after(t, column, byte);
	}
	return column;
}

static void echo_back(struct terminal *t, uint32_t columns)
{
	while (columns--)
		output_echo(t, "\b \b", 3);
}

/* Remove one character from the line being typed. */
static bool erase_one(struct terminal *t)
{
	uint32_t before;
	uint8_t byte;

	if (t->tail == t->ready)
		return false;
	before = column_at(t, t->tail);
	do
		byte = t->input[--t->tail % INPUT_BYTES];
	while (continues_utf8(t, byte) && t->tail != t->ready);
	if (!has(t, ECHO))
		return true;
	if (!has(t, ECHOE)) {
		echo(t, t->termios.cc[VERASE]);
	} else if (byte == '\t') { /* nothing to blank: only back */
		for (uint32_t n = before - column_at(t, t->tail); n; n--)
			output_echo(t, "\b", 1);
	} else {
		echo_back(t, shown_as_caret(t, byte) ? 2 : 1);
	}
	return true;
}

static bool in_word(uint8_t byte)
{
	return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
	       byte == '_' || byte >= 0x80;
}

static void erase_word(struct terminal *t)
{
	bool seen = false;

	while (t->tail != t->ready) {
		bool word = in_word(t->input[(t->tail - 1) % INPUT_BYTES]);

		if (!word && seen)
			break;
		seen |= word;
		erase_one(t);
	}
}

static void erase_line(struct terminal *t)
{
	if (has(t, ECHO) && has(t, ECHOKE) && has(t, ECHOK) && has(t, ECHOE)) {
		while (erase_one(t))
			;
		return;
	}
	t->tail = t->ready;
	if (has(t, ECHO)) {
		echo(t, t->termios.cc[VKILL]);
		if (has(t, ECHOK))
			output_echo(t, "\n", 1);
	}
}

static void reprint(struct terminal *t)
{
	echo(t, t->termios.cc[VREPRINT]);
	output_echo(t, "\n", 1);
	t->line_column = t->column;
	for (uint32_t at = t->ready; at != t->tail; at++)
		echo(t, t->input[at % INPUT_BYTES]);
}

/* ------------------------------------------------------------------ input */

static void store(struct terminal *t, uint8_t byte, uint8_t mark)
{
	uint32_t at = t->tail % INPUT_BYTES;

	/* The last place is kept for the byte that ends the line. */
	if (t->tail - t->head >= INPUT_BYTES - !mark) {
		if (t->termios.iflag & IMAXBEL)
			output_echo(t, "\a", 1);
		return;
	}
	t->input[at] = byte;
	t->marks[at] = mark;
	t->tail++;
	if (mark || !has(t, ICANON)) {
		t->ready = t->tail;
		t->arrived = true;
	}
}

static bool signal_char(struct terminal *t, uint8_t byte)
{
	uint32_t signal = is_cc(t, byte, VINTR) ? SIGINT_ : is_cc(t, byte, VQUIT) ? SIGQUIT_ :
			  is_cc(t, byte, VSUSP) ? SIGTSTP_ : 0;

	if (!signal)
		return false;
	output_stop(t, false);
	if (!has(t, NOFLSH)) {
		line_flush_input(t);
		output_flush(t);
	}
	echo(t, byte);
	if (has(t, ECHO) && !t->pty)
		output_echo(t, "\n", 1);
	jobs_signal(t, signal);
	return true;
}

/* VSTOP and VSTART; with IXANY anything goes on. */
static bool flow_char(struct terminal *t, uint8_t byte)
{
	if (is_cc(t, byte, VSTART)) {
		output_stop(t, false);
		return true;
	}
	if (is_cc(t, byte, VSTOP)) {
		output_stop(t, true);
		return true;
	}
	if (t->stopped && t->termios.iflag & IXANY)
		output_stop(t, false);
	return false;
}

/* Editing of the line being typed; false: an ordinary byte. */
static bool edit_char(struct terminal *t, uint8_t byte)
{
	if (is_cc(t, byte, VERASE) || (!t->pty && byte == '\b' && t->termios.cc[VERASE] == 0x7f)) {
		erase_one(t);
	} else if (is_cc(t, byte, VKILL)) {
		erase_line(t);
	} else if (has(t, IEXTEN) && is_cc(t, byte, VWERASE)) {
		erase_word(t);
	} else if (has(t, IEXTEN) && is_cc(t, byte, VREPRINT) && has(t, ECHO)) {
		reprint(t);
	} else if (is_cc(t, byte, VEOF)) {
		store(t, 0, MARK_LINE | MARK_EOF);
	} else {
		return false;
	}
	return true;
}

void line_input(struct terminal *t, uint8_t byte)
{
	uint32_t iflag = t->termios.iflag;
	bool ends;

	if (iflag & ISTRIP)
		byte &= 0x7f;
	if (t->literal_next) {
		t->literal_next = false;
		echo(t, byte);
		store(t, byte, 0);
		return;
	}
	if (iflag & IUCLC && has(t, IEXTEN) && byte >= 'A' && byte <= 'Z')
		byte += 'a' - 'A';
	if (iflag & IXON && flow_char(t, byte))
		return;
	if (has(t, ISIG) && signal_char(t, byte))
		return;
	if (byte == '\r' && (iflag & IGNCR))
		return;
	if (byte == '\r' && (iflag & ICRNL))
		byte = '\n';
	else if (byte == '\n' && (iflag & INLCR))
		byte = '\r';
	if (has(t, ICANON) && edit_char(t, byte))
		return;
	if (has(t, ICANON) && has(t, IEXTEN) && is_cc(t, byte, VLNEXT)) {
		t->literal_next = true;
		if (has(t, ECHO) && has(t, ECHOCTL))
			output_echo(t, "^\b", 2);
		return;
	}
	ends = has(t, ICANON) && (byte == '\n' || is_cc(t, byte, VEOL) || (has(t, IEXTEN) && is_cc(t, byte, VEOL2)));
	echo(t, byte);
	store(t, byte, ends ? MARK_LINE : 0);
}

/* In canonical mode a line too long loses its end; raw input waits. */
bool line_full(const struct terminal *t)
{
	return t->tail - t->head >= INPUT_BYTES - 1 && (!has(t, ICANON) || t->ready != t->head);
}

/* ------------------------------------------------------------------- reads */

uint32_t line_readable(const struct terminal *t)
{
	return t->ready - t->head;
}

bool line_can_read(const struct terminal *t, uint32_t want)
{
	uint32_t have = line_readable(t), min = t->termios.cc[VMIN];

	if (has(t, ICANON))
		return have > 0;
	return have && (have >= min || have >= want);
}

uint32_t line_take(struct terminal *t, uint8_t *to, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && t->head != t->ready) {
		uint32_t at = t->head % INPUT_BYTES;
		uint8_t mark = t->marks[at];

		t->head++;
		if (mark & MARK_EOF && has(t, ICANON))
			break;
		to[n++] = t->input[at];
		if (mark & MARK_LINE && has(t, ICANON))
			break;
	}
	/* An end-of-file mark right behind a full buffer belongs to this read. */
	if (n == max && n && has(t, ICANON) && t->head != t->ready && t->marks[t->head % INPUT_BYTES] & MARK_EOF &&
	    !(t->marks[(t->head - 1) % INPUT_BYTES] & MARK_LINE))
		t->head++;
	return n;
}

/* Leaving canonical mode gives out what was typed so far. */
void line_settings_changed(struct terminal *t, const struct termios *old)
{
	if ((old->lflag & ICANON) && !has(t, ICANON) && t->ready != t->tail) {
		t->ready = t->tail;
		t->arrived = true;
	}
	if (old->iflag & IXON && !(t->termios.iflag & IXON))
		output_stop(t, false);
}

void line_flush_input(struct terminal *t)
{
	t->head = t->ready = t->tail;
	pty_packet(t, PKT_FLUSHREAD);
}
