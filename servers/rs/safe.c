/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Safe mode: where no program can run (init.c has given up: no vfs, no pm, no root
 * filesystem) the console takes the commands of svc(1), so that a user can look,
 * start again what failed, and go on.
 *
 *   OFF --safe_begin--> open --> settings --> write --> read --a line: done--> write ...
 *    ^                   ^  |        |          |        |  |
 *    |                   +1 s--------+----------+--------+  | any error: the terminal has died
 *    +---------------------- `boot`, `poweroff`, `reboot` --+
 *
 * One call at a time to tty, each started; nothing here waits. While the terminal is ours
 * the kernel's log does not go to its line, too: it would come between what is written.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/region/region.h"
#include "proto/dev.h"
#include "servers/rs/command.h"
#include "servers/rs/service.h"
#include "servers/tty/termios.h"

#define TEXT_BYTES 16384u
#define LINE_BYTES 256u
#define AGAIN_NS   1000000000ull /* to the next try to open the terminal */
#define TCSETS     0x5402u       /* asm-generic/ioctls.h */

static const char advice[] =
	"XINIM: Safe mode: commands of svc(1) work here; `help` lists them, `boot` tries again.\n";
static const char help[] =
	"list, tree, stats       all services\n"
	"status NAME             one of them: its state, and why\n"
	"start|stop|restart NAME, kill NAME... [cold]\n"
	"log [N], log -k         what happened; the kernel's log\n"
	"boot                    try again to start the first program\n"
	"reboot, poweroff\n";

static REGION_SCRATCH char text[TEXT_BYTES]; /* being written; what a death of ours leaves of it will do */
static REGION_SCRATCH char line[LINE_BYTES];
static size_t length, written;
static bool on;
static x_handle_t console = X_NO_HANDLE;
static struct server_timer again;

static void say(void);

static void mirror_log(bool to_console)
{
	out_do(X_SYS_system, boot_handle("resource"), X_SYS_LOG_MIRROR, to_console, 0, 0);
}

static void leave(void)
{
	mirror_log(true);
	out_close(console);
	console = X_NO_HANDLE;
}

static void try_later(void)
{
	leave();
	timer_set(&again, server_now_ns + AGAIN_NS);
}

static void end_text(size_t bytes)
{
	static const char sign[] = "svc> ";

	memcpy(text + bytes, sign, sizeof(sign) - 1);
	length = bytes + sizeof(sign) - 1;
	written = 0;
}

/* ------------------------------------------------------------------ a command */

/* True: there is a prompt to be written. */
static bool command(char *words)
{
	struct text t = { text, TEXT_BYTES - 16, 0 };

	if (!strncmp(words, "svc ", 4))
		words += 4;
	if (!strcmp(words, "boot") || !strcmp(words, "poweroff") || !strcmp(words, "reboot")) {
		on = false;
		leave();
		if (words[0] == 'b')
			init_again();
		else
			poweroff_start(words[0] == 'r');
		return false;
	}
	if (!strcmp(words, "help"))
		text_print(&t, "%s", help);
	else if (words[0])
		command_run(words, &t); /* an error is a line of text, too */
	end_text(t.length);
	return true;
}

/* ---------------------------------------------------------------- the terminal */

static void heard(void *ctx, const struct x_in *reply)
{
	int32_t n = reply->msg.status;

	(void)ctx;
	if (n < 0 || n >= (int32_t)LINE_BYTES) {
		try_later();
		return;
	}
	while (n && line[n - 1] <= ' ')
		n--;
	line[n] = '\0';
	if (command(line))
		say();
}

static void said(void *ctx, const struct x_in *reply)
{
	struct x_out *o;

	(void)ctx;
	if (reply->msg.status <= 0 || (size_t)reply->msg.status > length - written) {
		try_later();
		return;
	}
	written += reply->msg.status;
	if (written < length) {
		say();
		return;
	}
	o = out_start(console, heard, NULL, NULL);
	o->msg.op = FILE_READ;
	o->win_count = 1;
	o->win[0] = (struct x_window){ (uintptr_t)line, LINE_BYTES - 1, X_WIN_WRITE };
}

static void say(void)
{
	struct x_out *o = out_start(console, said, NULL, NULL);

	o->msg.op = FILE_WRITE;
	o->win_count = 1;
	o->win[0] = (struct x_window){ (uintptr_t)text + written, length - written, X_WIN_READ };
}

static void set(void *ctx, const struct x_in *reply)
{
	(void)ctx;
	if (reply->msg.status < 0) {
		try_later();
		return;
	}
	mirror_log(false);
	written = 0; /* all of it: what was written to one that died may not have been seen */
	say();
}

/* Lines and echo, whatever the last program wanted. */
static void opened(void *ctx, const struct x_in *reply)
{
	static const struct termios sane = {
		.iflag = ICRNL | IXON, .oflag = OPOST | ONLCR, .cflag = B38400 | CS8 | CREAD,
		.lflag = ISIG | ICANON | ECHO | ECHOE,
		.cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VMIN] = 1,
			[VSTART] = 17, [VSTOP] = 19, [VSUSP] = 26 },
	};
	struct x_out *o;

	(void)ctx;
	if (reply->msg.status < 0 || reply->handle_count != 1) {
		timer_set(&again, server_now_ns + AGAIN_NS);
		return;
	}
	console = in_take(reply, 0);
	o = out_start(console, set, NULL, NULL);
	o->msg.op = FILE_IOCTL;
	o->msg.a[0] = TCSETS;
	o->win_count = 1;
	o->win[0] = (struct x_window){ (uintptr_t)&sane, sizeof(sane), X_WIN_READ };
}

static void open_terminal(void *ctx)
{
	struct service *tty = service_find("tty");
	struct x_out *o;

	(void)ctx;
	if (!tty || !on)
		return;
	o = out_start(tty->port, opened, NULL, NULL);
	o->msg.op = DEV_OPEN;
	o->msg.a[0] = DEV_CONSOLE;
	o->msg.a[1] = F_O_RDWR | F_O_NOCTTY;
}

void safe_begin(const char *why)
{
	struct text t = { text, TEXT_BYTES - 16, 0 };

	text_print(&t, "%s%s", why, advice);
	end_text(t.length);
	again.fn = open_terminal;
	on = true;
	open_terminal(NULL);
}
