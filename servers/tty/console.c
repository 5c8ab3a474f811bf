/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The console's line: one read and one write under way at its driver. What is
 * being written is kept until the driver answers, and sent again if the driver
 * died (a few characters may then appear twice, none is lost).
 */
#include "proto/char.h"
#include "terminal.h"

static uint8_t sending[1024], line_bytes[256];
static uint32_t sending_len, sent;
static uint8_t urgent[8];
static uint32_t urgent_len;
static bool in_flight;
static x_handle_t line_driver = X_NO_HANDLE;
static struct server_timer write_retry, read_retry;

/* ------------------------------------------------------------------ writing */

static void send(void *ctx);

static void written(void *ctx, const struct x_in *reply)
{
	int32_t n = reply->msg.status;

	(void)ctx;
	in_flight = false;
	if (n < 0 && n != -X_EDEAD) { /* the driver is up but can't: don't spin */
		timer_set(&write_retry, server_now_ns + 100000000);
		return;
	}
	if (n > 0)
		sent += (uint32_t)n;
	if (sent >= sending_len)
		sending_len = 0;
	send(NULL);
	terminal_room(console);
}

static void fill(void)
{
	sent = 0;
	memcpy(sending, urgent, urgent_len);
	sending_len = urgent_len;
	urgent_len = 0;
	if (!console->stopped)
		sending_len += output_take(console, sending + sending_len, sizeof(sending) - sending_len);
}

static void send(void *ctx)
{
	struct x_out *o;

	(void)ctx;
	if (in_flight || line_driver == X_NO_HANDLE)
		return;
	if (sending_len == 0)
		fill();
	if (sending_len == 0)
		return;
	in_flight = true;
	o = out_start(line_driver, written, NULL, NULL);
	o->msg.op = CHAR_WRITE;
	o->win_count = 1;
	o->win[0] = (struct x_window){
		.addr = (uint64_t)(sending + sent), .len = sending_len - sent, .flags = X_WIN_READ,
	};
}

void console_submit(void)
{
	send(NULL);
}

uint32_t console_pending(void)
{
	return sending_len - sent;
}

void console_send_now(uint8_t byte)
{
	if (urgent_len < sizeof(urgent))
		urgent[urgent_len++] = byte;
	send(NULL);
}

/* ------------------------------------------------------------------ reading */

static void line_read(void *ctx);

static void line_answered(void *ctx, const struct x_in *reply)
{
	int32_t n = reply->msg.status;

	(void)ctx;
	for (int32_t i = 0; i < n && i < (int32_t)sizeof(line_bytes); i++)
		line_input(console, line_bytes[i]);
	if (n < 0 && n != -X_EDEAD)
		timer_set(&read_retry, server_now_ns + 100000000);
	else
		line_read(NULL);
	terminal_input(console);
}

static void line_read(void *ctx)
{
	struct x_out *o = out_start(line_driver, line_answered, NULL, NULL);

	(void)ctx;
	o->msg.op = CHAR_READ;
	o->win_count = 1;
	o->win[0] = (struct x_window){
		.addr = (uint64_t)line_bytes, .len = sizeof(line_bytes), .flags = X_WIN_WRITE,
	};
}

void console_init(x_handle_t driver)
{
	line_driver = driver;
	console->used = true;
	console->gone = X_NO_HANDLE;
	console->winsize = (struct winsize){ .rows = 24, .columns = 80 };
	line_init(console);
	write_retry.fn = send;
	read_retry.fn = line_read;
	line_read(NULL);
}
