/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * uart16550: serial line of a PC (QEMU: -serial). Speaks proto/char.h to tty.
 *
 * Output waits in a queue that the transmit interrupt drains 16 bytes at a
 * time; a write is answered once all of it is in the queue, so a slow line
 * holds its writer back. Input waits in a queue until somebody reads; what
 * does not fit is dropped and counted. Losing this process loses at most both
 * queues: tty asks again.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "proto/char.h"
#include "uart16550_reg.h"

#define QUEUE_BYTES 4096u /* power of two */
#define WAITING_MAX 16u

struct queue { uint8_t bytes[QUEUE_BYTES]; uint32_t head, tail; };

struct waiting { uint64_t call_id; uint32_t len, done; };

static struct queue tx, rx;
static struct waiting writers[WAITING_MAX], readers[WAITING_MAX];
static uint32_t writer_count, reader_count;
static x_handle_t ports, irq;
static uint32_t dropped;
static bool stopping;

static uint32_t queue_used(const struct queue *q) { return q->tail - q->head; }
static uint32_t queue_free(const struct queue *q) { return QUEUE_BYTES - queue_used(q); }

static uint8_t reg_read(uint32_t reg)
{
	return (uint8_t)x_ioport(ports, reg, 1, 0, 0);
}

static void reg_write(uint32_t reg, uint8_t value)
{
	x_ioport(ports, reg, 1, value, 1);
}

static void waiting_remove(struct waiting *list, uint32_t *count, uint32_t i)
{
	memmove(&list[i], &list[i + 1], (*count - i - 1) * sizeof(*list));
	(*count)--;
}

/* Move bytes of the first writers into the queue; answer those who are done. */
static void writers_feed(void)
{
	while (writer_count && queue_free(&tx)) {
		struct waiting *w = &writers[0];
		uint32_t at = tx.tail % QUEUE_BYTES, run = QUEUE_BYTES - at;
		int64_t n;

		if (run > queue_free(&tx))
			run = queue_free(&tx);
		if (run > w->len - w->done)
			run = w->len - w->done;
		n = run ? window_read(w->call_id, 0, w->done, tx.bytes + at, run) : 0;
		if (n > 0) {
			tx.tail += n;
			w->done += n;
		}
		if (n <= 0 || w->done == w->len) {
			out_status(w->call_id, n < 0 ? n : (int64_t)w->done);
			waiting_remove(writers, &writer_count, 0);
		}
	}
}

static void transmit(void)
{
	static uint8_t enabled;
	uint8_t want;

	while (queue_used(&tx) && (reg_read(UART_LSR) & LSR_TX_EMPTY)) {
		uint32_t at = tx.head % QUEUE_BYTES, run = QUEUE_BYTES - at;

		if (run > queue_used(&tx))
			run = queue_used(&tx);
		if (run > UART_FIFO_BYTES)
			run = UART_FIFO_BYTES;
		x_ioport_write(ports, UART_THR, tx.bytes + at, run);
		tx.head += run;
		writers_feed();
	}
	/* The transmit interrupt only while there is something to send. */
	want = IER_RX_AVAILABLE | IER_LINE_STATUS | (queue_used(&tx) ? IER_TX_EMPTY : 0);
	if (want != enabled) {
		enabled = want;
		reg_write(UART_IER, want);
	}
}

static void readers_serve(void)
{
	while (reader_count && queue_used(&rx)) {
		struct waiting *r = &readers[0];
		uint8_t bytes[256];
		uint32_t n = 0;
		int64_t status;

		while (n < sizeof(bytes) && n < r->len && n < queue_used(&rx)) {
			bytes[n] = rx.bytes[(rx.head + n) % QUEUE_BYTES];
			n++;
		}
		status = window_write(r->call_id, 0, 0, bytes, n);
		if (status > 0)
			rx.head += status;
		out_status(r->call_id, status);
		waiting_remove(readers, &reader_count, 0);
	}
}

static void receive(void)
{
	/* Bounded: a line that never falls silent must not keep us here. */
	for (uint32_t i = 0; i < 256 && (reg_read(UART_LSR) & LSR_DATA_READY); i++) {
		uint8_t byte = reg_read(UART_RBR);

		if (queue_free(&rx))
			rx.bytes[rx.tail++ % QUEUE_BYTES] = byte;
		else if (dropped++ == 0)
			server_log("input overrun: bytes are dropped");
	}
	readers_serve();
}

static void interrupt(void *ctx, uint64_t bits)
{
	(void)ctx;
	(void)bits;
	reg_read(UART_IIR);
	receive();
	transmit();
	x_irq_ack(irq);
}

static void wait_in(struct waiting *list, uint32_t *count, const struct x_in *in)
{
	if (in->win_count < 1 || in->win[0].len == 0) {
		out_status(in->id, in->win_count < 1 ? -X_EINVAL : 0);
		return;
	}
	if (*count == WAITING_MAX) {
		out_status(in->id, -X_EAGAIN);
		return;
	}
	list[(*count)++] = (struct waiting){ .call_id = in->id, .len = in->win[0].len };
}

static void set_baud(uint64_t baud, uint64_t call_id)
{
	uint32_t divisor;

	if (baud == 0 || baud > UART_CLOCK_BAUD) {
		out_status(call_id, -X_EINVAL);
		return;
	}
	divisor = UART_CLOCK_BAUD / baud;
	reg_write(UART_LCR, LCR_8N1 | LCR_DLAB);
	reg_write(UART_DLL, divisor & 0xff);
	reg_write(UART_DLM, divisor >> 8);
	reg_write(UART_LCR, LCR_8N1);
	out_status(call_id, 0);
}

static void call(const struct x_in *in)
{
	switch (in->msg.op) {
	case CHAR_WRITE:
		wait_in(writers, &writer_count, in);
		writers_feed();
		transmit();
		break;
	case CHAR_READ:
		wait_in(readers, &reader_count, in);
		readers_serve();
		break;
	case CHAR_CONFIG:
		set_baud(in->msg.a[0], in->id);
		break;
	default:
		out_status(in->id, -X_ENOSYS);
	}
}

static void cancel_in(struct waiting *list, uint32_t *count, uint64_t id)
{
	for (uint32_t i = 0; i < *count; i++) {
		if (list[i].call_id != id)
			continue;
		out_status(id, list[i].done ? (int64_t)list[i].done : -X_EINTR);
		waiting_remove(list, count, i);
		return;
	}
}

static void cancel(uint64_t call_id)
{
	cancel_in(readers, &reader_count, call_id);
	cancel_in(writers, &writer_count, call_id);
}

/* What was written is sent before the machine is switched off. */
static void stop(void)
{
	stopping = true;
}

static void batch_end(void)
{
	if (stopping && !queue_used(&tx))
		server_exit();
}

static const struct server_ops ops = { .call = call, .cancel = cancel, .stop = stop, .batch_end = batch_end };

void server_main(void)
{
	x_handle_t event = boot_handle("irq_event");

	ports = boot_handle("ioports");
	irq = boot_handle("irq");
	if (ports == X_NO_HANDLE || irq == X_NO_HANDLE || event == X_NO_HANDLE)
		server_die("the manifest gives no ioports or irq");
	reg_write(UART_SCR, 0x5a);
	if (reg_read(UART_SCR) != 0x5a)
		server_die("no 16550 at this port");
	reg_write(UART_IER, 0);
	reg_write(UART_FCR, FCR_ENABLE | FCR_CLEAR | FCR_TRIGGER_8);
	reg_write(UART_LCR, LCR_8N1);
	reg_write(UART_MCR, MCR_DTR_RTS_OUT2);
	server_bind(event, interrupt, NULL);
	transmit();
	x_irq_ack(irq);
	receive();
	server_run(&ops);
}
