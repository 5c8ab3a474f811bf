/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output: post-processing, a queue, and one write under way at the driver.
 * What is under way is kept until the driver answers, and sent again if the
 * driver died (a few characters may then appear twice, none is lost).
 */
#include "lib/c/string.h"
#include "proto/char.h"
#include "terminal.h"

static uint8_t queue[OUTPUT_BYTES];
static uint32_t head, tail;
static uint8_t sending[1024];
static uint32_t sending_len, sent;
static x_handle_t line_driver;
static struct server_timer retry;

static bool in_flight;

static void send(void *ctx);

static void written(void *ctx, const struct x_in *reply)
{
	int32_t n = reply->msg.status;

	(void)ctx;
	in_flight = false;
	if (n < 0 && n != -X_EDEAD) { /* the driver is up but can't: don't spin */
		timer_set(&retry, server_now_ns + 100000000);
		return;
	}
	if (n > 0)
		sent += n;
	if (sent >= sending_len)
		sending_len = 0;
	send(NULL);
	terminal_room();
}

static void send(void *ctx)
{
	struct x_out *o;

	(void)ctx;
	if (in_flight || line_driver == X_NO_HANDLE)
		return;
	if (sending_len == 0) {
		sent = 0;
		while (sending_len < sizeof(sending) && head != tail)
			sending[sending_len++] = queue[head++ % OUTPUT_BYTES];
		if (sending_len == 0)
			return;
	}
	in_flight = true;
	o = out_start(line_driver, written, NULL, NULL);
	o->msg.op = CHAR_WRITE;
	o->win_count = 1;
	o->win[0] = (struct x_window){
		.addr = (uint64_t)(sending + sent), .len = sending_len - sent, .flags = X_WIN_READ,
	};
}

void output_submit(void)
{
	send(NULL);
}

void output_init(x_handle_t driver)
{
	line_driver = driver;
	retry.fn = send;
}

uint32_t output_free(void)
{
	return OUTPUT_BYTES - (tail - head);
}

uint32_t output_pending(void)
{
	return tail - head + sending_len - sent;
}

static void put(uint8_t byte)
{
	queue[tail++ % OUTPUT_BYTES] = byte;
}

uint32_t output_write(const uint8_t *bytes, uint32_t len)
{
	uint32_t oflag = terminal.termios.oflag, i;

	for (i = 0; i < len && output_free() >= 2; i++) {
		uint8_t c = bytes[i];

		if ((oflag & OPOST) && c == '\n' && (oflag & ONLCR))
			put('\r');
		if ((oflag & OPOST) && c == '\r' && (oflag & OCRNL))
			c = '\n';
		put(c);
	}
	return i;
}

void output_echo(const char *bytes, uint32_t len)
{
	output_write((const uint8_t *)bytes, len);
}

void output_flush(void)
{
	head = tail;
}
