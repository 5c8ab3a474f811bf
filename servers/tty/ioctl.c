/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioctl_tty(2): settings, window size, flow control.
 */
#include "terminal.h"

static void give(struct request *r, const void *data, uint32_t len)
{
	int64_t n = r->in.win_count ? window_write(r->in.id, 0, 0, data, len) : -X_EFAULT;

	request_end(r, n < 0 ? n : n == len ? 0 : -X_EFAULT);
}

static void give_int(struct request *r, uint32_t value)
{
	give(r, &value, sizeof(value));
}

static bool take(struct request *r, void *data, uint32_t len)
{
	if (r->in.win_count && window_read(r->in.id, 0, 0, data, len) == len)
		return true;
	request_end(r, -X_EFAULT);
	return false;
}

/* ---- termios ---- */

static const uint8_t speeds_of = 15; /* B38400 and what lies above it by the same table */

static uint32_t speed(const struct termios *t)
{
	static const uint32_t speeds[] = { 0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400 };
	static const uint32_t high[] = { 0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000,
					 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000 };
	uint32_t code = t->cflag & CBAUD;

	return code <= speeds_of ? speeds[code] : high[code & 15];
}

static void get_termio(struct request *r)
{
	const struct termios *s = &r->terminal->termios;
	struct termio old = {
		.iflag = (uint16_t)s->iflag, .oflag = (uint16_t)s->oflag, .cflag = (uint16_t)s->cflag,
		.lflag = (uint16_t)s->lflag, .line = s->line,
	};

	memcpy(old.cc, s->cc, sizeof(old.cc));
	give(r, &old, sizeof(old));
}

static bool take_termio(struct request *r, struct termios *new)
{
	struct termio old;

	if (!take(r, &old, sizeof(old)))
		return false;
	*new = r->terminal->termios;
	new->iflag = (new->iflag & ~0xffffu) | old.iflag;
	new->oflag = (new->oflag & ~0xffffu) | old.oflag;
	new->cflag = (new->cflag & ~0xffffu) | old.cflag;
	new->lflag = (new->lflag & ~0xffffu) | old.lflag;
	memcpy(new->cc, old.cc, sizeof(old.cc));
	return true;
}

/* Programs that wait in packet mode want to know who handles flow control. */
static void tell_flow(struct terminal *t, const struct termios *old)
{
	bool was = old->iflag & IXON && old->cc[VSTOP] == 0x13 && old->cc[VSTART] == 0x11;
	bool is = t->termios.iflag & IXON && t->termios.cc[VSTOP] == 0x13 && t->termios.cc[VSTART] == 0x11;

	if (was != is)
		pty_packet(t, is ? PKT_DOSTOP : PKT_NOSTOP);
}

static void set_termios(struct request *r, bool old_style, bool flush)
{
	struct terminal *t = r->terminal;
	struct termios old = t->termios, new;

	if (!(old_style ? take_termio(r, &new) : take(r, &new, sizeof(new))))
		return;
	if (flush)
		line_flush_input(t);
	t->termios = new;
	line_settings_changed(t, &old);
	tell_flow(t, &old);
	request_end(r, 0);
	terminal_input(t);
}

static void get_termios2(struct request *r)
{
	struct termios2 two = { r->terminal->termios, 0, 0 };

	two.ispeed = two.ospeed = speed(&two.t);
	give(r, &two, sizeof(two));
}

/* ---- the rest ---- */

static void set_winsize(struct request *r)
{
	struct terminal *t = r->terminal;
	struct winsize new;

	if (!take(r, &new, sizeof(new)))
		return;
	if (memcmp(&new, &t->winsize, sizeof(new))) {
		t->winsize = new;
		jobs_signal(t, SIGWINCH_);
	}
	request_end(r, 0);
}

static void flush(struct request *r, uint64_t what)
{
	struct open *o = open_find(r->object);
	bool master = o && o->master;

	if (what > 2) {
		request_end(r, -X_EINVAL);
		return;
	}
	/* What the master reads is what the slave wrote. */
	if (what == 2 || what == (master ? 1u : 0u))
		line_flush_input(r->terminal);
	if (what == 2 || what == (master ? 0u : 1u))
		output_flush(r->terminal);
	request_end(r, 0);
	terminal_room(r->terminal);
}

static void flow(struct request *r, uint64_t what)
{
	struct terminal *t = r->terminal;
	uint8_t byte = what < 4 ? t->termios.cc[what == 2 ? VSTOP : VSTART] : 0;

	switch (what) {
	case 0: output_stop(t, true); break;
	case 1: output_stop(t, false); break;
	case 2: case 3:
		if (byte && t->pty)
			output_echo(t, (char *)&byte, 1);
		else if (byte)
			console_send_now(byte);
		break;
	default: request_end(r, -X_EINVAL); return;
	}
	request_end(r, 0);
}

static void group_or_session(struct request *r, bool session)
{
	const struct terminal *t = r->terminal;
	const struct open *o = open_find(r->object);

	if (!(o && o->master) && (!r->sid || r->sid != t->sid))
		request_end(r, -X_ENOTTY);
	else if (session && !t->sid)
		request_end(r, -X_ENOTTY);
	else
		give_int(r, session ? t->sid : t->pgrp);
}

static void hang_up(struct request *r)
{
	if (r->uid) {
		request_end(r, -X_EPERM);
		return;
	}
	request_end(r, 0);
	jobs_hangup(r->terminal);
	opens_hang_up(r->terminal);
}

static bool changes(uint32_t command)
{
	switch (command) {
	case TCSETS: case TCSETSW: case TCSETSF: case TCSETA: case TCSETAW: case TCSETAF:
	case TCSETS2: case TCSETSW2: case TCSETSF2: case TCSBRK: case TCSBRKP: case TCXONC:
	case TCFLSH: case TIOCSPGRP: case TIOCSETD: case TIOCSBRK: case TIOCCBRK:
		return true;
	default:
		return false;
	}
}

bool ioctl_needs_who(uint32_t command)
{
	return changes(command) || command == TIOCSCTTY || command == TIOCNOTTY || command == TIOCGPGRP ||
	       command == TIOCGSID || command == TIOCVHANGUP;
}

/* Those that wait until all that was written is out. */
static bool drains(const struct request *r)
{
	switch ((uint32_t)r->in.msg.a[0]) {
	case TCSETSW: case TCSETSF: case TCSETAW: case TCSETAF: case TCSETSW2: case TCSETSF2: case TCSBRKP:
		return true;
	case TCSBRK:
		return true;
	default:
		return false;
	}
}

static bool wait_for_drain(struct request *r)
{
	struct terminal *t = r->terminal;

	if (!drains(r) || t->pty || !output_pending(t))
		return false;
	if (r->cancelled)
		request_end(r, -X_EINTR);
	else
		r->state = PARKED_DRAIN;
	return true;
}

void ioctl_run(struct request *r)
{
	struct terminal *t = r->terminal;
	const struct open *o = open_find(r->object);
	uint32_t command = (uint32_t)r->in.msg.a[0];

	if (o && o->master && pty_ioctl(r))
		return;
	if (changes(command) && !r->checked && !jobs_check_change(r))
		return;
	r->checked = true;
	if (wait_for_drain(r))
		return;
	switch (command) {
	case TCGETS: give(r, &t->termios, sizeof(t->termios)); break;
	case TCGETS2: get_termios2(r); break;
	case TCGETA: get_termio(r); break;
	case TCSETS: case TCSETSW: case TCSETS2: case TCSETSW2: set_termios(r, false, false); break;
	case TCSETSF: case TCSETSF2: set_termios(r, false, true); break;
	case TCSETA: case TCSETAW: set_termios(r, true, false); break;
	case TCSETAF: set_termios(r, true, true); break;
	case TIOCGWINSZ: give(r, &t->winsize, sizeof(t->winsize)); break;
	case TIOCSWINSZ: set_winsize(r); break;
	case TIOCSCTTY: jobs_set_controlling(r); break;
	case TIOCNOTTY: jobs_give_up(r); break;
	case TIOCSPGRP: jobs_set_group(r); break;
	case TIOCGPGRP: group_or_session(r, false); break;
	case TIOCGSID: group_or_session(r, true); break;
	case FIONREAD: give_int(r, o && o->master ? t->out_tail - t->out_head : line_readable(t)); break;
	case TIOCOUTQ: give_int(r, t->pty ? 0 : output_pending(t)); break;
	case TIOCGETD: give_int(r, 0); break;
	case TIOCGEXCL: give_int(r, t->exclusive); break;
	case TIOCEXCL: case TIOCNXCL:
		t->exclusive = command == TIOCEXCL;
		request_end(r, 0);
		break;
	case TCFLSH: flush(r, r->in.msg.a[1]); break;
	case TCXONC: flow(r, r->in.msg.a[1]); break;
	case TIOCVHANGUP: hang_up(r); break;
	case TIOCSTI: request_end(r, -X_EIO); break; /* as Linux without legacy_tiocsti */
	case TCSBRK: case TCSBRKP: case TIOCSETD: case TIOCSBRK: case TIOCCBRK: request_end(r, 0); break;
	default: request_end(r, -X_ENOTTY);
	}
}
