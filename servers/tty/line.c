/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The line discipline: POSIX.1-2017 chapter 11 (General Terminal Interface).
 */
#include "lib/c/string.h"
#include "terminal.h"

#define CTRL(c) ((c) & 0x1f)
#define SIGINT 2u
#define SIGQUIT 3u
#define SIGTSTP 20u

struct terminal terminal;

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

void line_init(void)
{
	terminal.termios = defaults;
	terminal.winsize = (struct winsize){ .rows = 24, .columns = 80 };
}

static bool has(uint32_t lflag) { return terminal.termios.lflag & lflag; }

static bool is_cc(uint8_t byte, uint32_t which)
{
	return byte && terminal.termios.cc[which] == byte;
}

/* ------------------------------------------------------------------- echo */

static bool shown_as_caret(uint8_t byte)
{
	return has(ECHOCTL) && (byte < 0x20 || byte == 0x7f) && byte != '\t' && byte != '\n';
}

static void echo(uint8_t byte)
{
	if (!has(ECHO) && !(byte == '\n' && has(ECHONL) && has(ICANON)))
		return;
	if (shown_as_caret(byte)) {
		char caret[2] = { '^', (char)(byte ^ 0x40) };

		output_echo(caret, 2);
	} else {
		output_echo((char *)&byte, 1);
	}
}

static bool continues_utf8(uint8_t byte)
{
	return (terminal.termios.iflag & IUTF8) && (byte & 0xc0) == 0x80;
}

/* Remove one character from the line being typed. */
static bool erase_one(void)
{
	uint8_t byte;

	if (terminal.tail == terminal.ready)
		return false;
	do
		byte = terminal.input[--terminal.tail % INPUT_BYTES];
	while (continues_utf8(byte) && terminal.tail != terminal.ready);
	if (has(ECHO) && has(ECHOE))
		output_echo(shown_as_caret(byte) ? "\b \b\b \b" : "\b \b", shown_as_caret(byte) ? 6 : 3);
	return true;
}

static void erase_word(void)
{
	bool in_word = false;

	while (terminal.tail != terminal.ready) {
		uint8_t byte = terminal.input[(terminal.tail - 1) % INPUT_BYTES];
		bool space = byte == ' ' || byte == '\t';

		if (space && in_word)
			break;
		in_word |= !space;
		erase_one();
	}
}

static void erase_line(void)
{
	if (has(ECHOKE) && has(ECHOE)) {
		while (erase_one())
			;
		return;
	}
	terminal.tail = terminal.ready;
	if (has(ECHOK))
		echo('\n');
}

/* ------------------------------------------------------------------ input */

static void store(uint8_t byte, bool ends_line, bool is_eof)
{
	uint32_t at = terminal.tail % INPUT_BYTES;

	/* The last place is kept for the byte that ends the line. */
	if (terminal.tail - terminal.head >= INPUT_BYTES - !ends_line) {
		output_echo("\a", 1);
		return;
	}
	terminal.input[at] = byte;
	terminal.ends_line[at] = ends_line;
	terminal.is_eof[at] = is_eof;
	terminal.tail++;
	if (ends_line || !has(ICANON))
		terminal.ready = terminal.tail;
}

static bool signal_char(uint8_t byte)
{
	uint32_t signal = is_cc(byte, VINTR) ? SIGINT : is_cc(byte, VQUIT) ? SIGQUIT :
			  is_cc(byte, VSUSP) ? SIGTSTP : 0;

	if (!signal)
		return false;
	if (!has(NOFLSH)) {
		line_flush_input();
		output_flush();
	}
	echo(byte);
	if (has(ECHO))
		output_echo("\n", 1);
	terminal_signal(signal);
	return true;
}

/* Editing of the line being typed; false: an ordinary byte. */
static bool edit_char(uint8_t byte)
{
	if (is_cc(byte, VERASE) || (byte == '\b' && terminal.termios.cc[VERASE] == 0x7f)) {
		erase_one();
	} else if (is_cc(byte, VKILL)) {
		erase_line();
	} else if (has(IEXTEN) && is_cc(byte, VWERASE)) {
		erase_word();
	} else if (has(IEXTEN) && is_cc(byte, VLNEXT)) {
		terminal.literal_next = true;
		if (has(ECHO) && has(ECHOCTL))
			output_echo("^\b", 2);
	} else if (is_cc(byte, VEOF)) {
		store(0, true, true);
	} else {
		return false;
	}
	return true;
}

void line_input(uint8_t byte)
{
	uint32_t iflag = terminal.termios.iflag;

	if (iflag & ISTRIP)
		byte &= 0x7f;
	if (terminal.literal_next) {
		terminal.literal_next = false;
		echo(byte);
		store(byte, false, false);
		return;
	}
	if (byte == '\r' && (iflag & IGNCR))
		return;
	if (byte == '\r' && (iflag & ICRNL))
		byte = '\n';
	else if (byte == '\n' && (iflag & INLCR))
		byte = '\r';
	if (has(ISIG) && signal_char(byte))
		return;
	if (has(ICANON) && edit_char(byte))
		return;
	echo(byte);
	store(byte, has(ICANON) && (byte == '\n' || is_cc(byte, VEOL) || is_cc(byte, VEOL2)), false);
}

/* ------------------------------------------------------------------- reads */

uint32_t line_readable(void)
{
	return terminal.ready - terminal.head;
}

bool line_can_read(uint32_t want)
{
	uint32_t have = line_readable(), min = terminal.termios.cc[VMIN];

	if (has(ICANON))
		return have > 0;
	return have >= min || have >= want;
}

uint32_t line_take(uint8_t *to, uint32_t max)
{
	uint32_t n = 0;

	while (n < max && terminal.head != terminal.ready) {
		uint32_t at = terminal.head % INPUT_BYTES;
		bool ends = terminal.ends_line[at];

		terminal.head++;
		if (terminal.is_eof[at])
			break;
		to[n++] = terminal.input[at];
		if (ends && has(ICANON))
			break;
	}
	/* An end-of-file mark right behind a full buffer belongs to this read. */
	if (n == max && n && has(ICANON) && terminal.head != terminal.ready &&
	    terminal.is_eof[terminal.head % INPUT_BYTES])
		terminal.head++;
	return n;
}

/* Leaving canonical mode gives out what was typed so far. */
void line_settings_changed(const struct termios *old)
{
	if ((old->lflag & ICANON) && !has(ICANON))
		terminal.ready = terminal.tail;
}

void line_flush_input(void)
{
	terminal.head = terminal.ready = terminal.tail;
}
