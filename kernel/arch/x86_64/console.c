/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Early console: a 16550 at I/O port 0x3f8 (QEMU: -serial), output only,
 * polled. It must work in a panic and must not hang on a machine without one,
 * so every wait is bounded and a UART that never gets ready is given up.
 */
#include "x86.h"

#define COM1     0x3f8
#define REG_DATA 0
#define REG_IER  1
#define REG_FCR  2
#define REG_LCR  3
#define REG_MCR  4
#define REG_LSR  5
#define REG_SCRATCH 7
#define LCR_8N1  0x03
#define LCR_DLAB 0x80
#define LSR_THRE 0x20
#define FIFO_BYTES 16
#define WAIT_READS 100000

static bool present;

void console_init(void)
{
	outb(COM1 + REG_SCRATCH, 0x5a);
	present = inb(COM1 + REG_SCRATCH) == 0x5a;
	if (!present)
		return;
	outb(COM1 + REG_IER, 0);
	outb(COM1 + REG_LCR, LCR_DLAB | LCR_8N1);
	outb(COM1 + REG_DATA, 1); /* 115200 baud */
	outb(COM1 + REG_IER, 0);
	outb(COM1 + REG_LCR, LCR_8N1);
	outb(COM1 + REG_FCR, 0x07); /* FIFOs on and cleared */
	outb(COM1 + REG_MCR, 0x03); /* DTR, RTS */
}

static void put(char c)
{
	static uint32_t room;

	if (room == 0) {
		uint32_t reads = 0;

		while (!(inb(COM1 + REG_LSR) & LSR_THRE))
			if (++reads == WAIT_READS) {
				present = false;
				return;
			}
		room = FIFO_BYTES;
	}
	room--;
	outb(COM1 + REG_DATA, (uint8_t)c);
}

void arch_console_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len && present; i++) {
		if (text[i] == '\n')
			put('\r');
		put(text[i]);
	}
}
