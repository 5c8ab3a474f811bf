/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evil: a driver for QEMU's edu device (docs/specs/edu of QEMU) that abuses it.
 * Kernel command line: evil=dma lets the device write to memory that it was not
 * granted (where the kernel lies); evil=spy lets it read there, and shows what it has
 * read; evil=flood makes interrupts as fast as it can and never receives. First it does one transfer that is allowed and checks it.
 */
#include "lib/c/string.h"
#include "lib/dma/dma.h"
#include "lib/ipc/server.h"

#define EDU_INTERRUPT 0x60
#define EDU_DMA_FROM  0x80
#define EDU_DMA_TO    0x88
#define EDU_DMA_BYTES 0x90
#define EDU_DMA_GO    0x98
#define EDU_BUFFER    0x40000u
#define GO            1u
#define GO_TO_MEMORY  2u

#define FORBIDDEN 0x200000u

#define TRANSFER_NS 400000000ull /* edu takes 100 ms for one */

static volatile uint8_t *regs;
static struct dma_buffer buffer;
static struct server_timer timer;
static uint32_t step;

static void transfer(uint64_t from, uint64_t to, uint32_t direction)
{
	*(volatile uint64_t *)(regs + EDU_DMA_FROM) = from;
	*(volatile uint64_t *)(regs + EDU_DMA_TO) = to;
	*(volatile uint64_t *)(regs + EDU_DMA_BYTES) = 64;
	*(volatile uint64_t *)(regs + EDU_DMA_GO) = GO | direction;
}

static void flood(void)
{
	for (;;)
		*(volatile uint32_t *)(regs + EDU_INTERRUPT) = 1;
}

static void next(void *ctx)
{
	(void)ctx;
	switch (step++) {
	case 0: /* memory to device, and back to another place */
		memset(buffer.virt, 0x5a, 64);
		transfer(buffer.iova, EDU_BUFFER, 0);
		break;
	case 1:
		transfer(EDU_BUFFER, buffer.iova + 2048, GO_TO_MEMORY);
		break;
	case 2:
		server_log("allowed: %s", memcmp(buffer.virt, buffer.virt + 2048, 64) ? "LOST" : "arrived");
		if (!strcmp(boot_option("evil"), "flood"))
			flood();
		if (!strcmp(boot_option("evil"), "spy"))
			transfer(FORBIDDEN, EDU_BUFFER, 0);
		else
			transfer(EDU_BUFFER, FORBIDDEN, GO_TO_MEMORY);
		break;
	case 3:
		transfer(EDU_BUFFER, buffer.iova + 2048, GO_TO_MEMORY);
		break;
	default:
		server_log("nobody stops me: %s", memcmp(buffer.virt, buffer.virt + 2048, 64) ? "I have read it" : "written");
		return;
	}
	timer_set(&timer, server_now_ns + TRANSFER_NS);
}

static void call(const struct x_in *in)
{
	out_status(in->id, -X_EINVAL);
}

void server_main(void)
{
	static const struct server_ops ops = { .call = call };
	x_handle_t device = boot_handle("device");
	int64_t at, event;
	int err;

	if (!boot_option("evil"))
		server_die("no evil=");
	err = x_device_ctl(device, X_DEV_ENABLE, 0);
	at = x_device_map(device, 0, 0, 0);
	event = x_event_create();
	if (err || at < 0 || event < 0 || dma_alloc(device, 4096, 0, DMA_BELOW_4G, &buffer))
		server_die("cannot use the device");
	regs = (volatile uint8_t *)at;
	x_device_irq(device, 0, event, 1);
	x_device_ctl(device, X_DEV_BUS_MASTER_ON, 0);
	timer.fn = next;
	timer_set(&timer, server_now_ns);
	server_run(&ops);
}
