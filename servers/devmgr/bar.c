/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Base address registers: sizes, and addresses where firmware gave none.
 *
 * Sizing writes ones to a BAR, so the function decodes nothing meanwhile, and
 * nobody may be using it (devmgr.h). Firmware normally has assigned all BARs;
 * the fall-back takes addresses from a window above all it did assign, and
 * only for bus 0: behind a bridge its windows would have to be moved too.
 */
#include "servers/devmgr/devmgr.h"
#include "servers/devmgr/pci_reg.h"

#define MEMORY_WINDOW_START 0xf0000000ull
#define MEMORY_WINDOW_END   0xfe000000ull
#define PORT_WINDOW_START   0xe000ull
#define PORT_WINDOW_END     0xff00ull
#define MEMORY_MARGIN       (64ull << 20) /* above the highest BAR seen, whose size we don't know */
#define PORT_MARGIN         0x100ull

static struct { uint64_t memory, port; } next_free; /* 0: not yet known */

static void see_bar(uint32_t value)
{
	uint64_t end;

	if (value & PCI_BAR_IO) {
		end = (value & PCI_BAR_IO_MASK) + PORT_MARGIN;
		if ((value & PCI_BAR_IO_MASK) >= PORT_WINDOW_START && end > next_free.port)
			next_free.port = end;
	} else if ((value & PCI_BAR_MEM_MASK) >= MEMORY_WINDOW_START) {
		end = (value & PCI_BAR_MEM_MASK) + MEMORY_MARGIN;
		if (end > next_free.memory)
			next_free.memory = end;
	}
}

static void find_free(void)
{
	next_free.memory = MEMORY_WINDOW_START;
	next_free.port = PORT_WINDOW_START;
	for (uint32_t i = 0; i < function_count(); i++) {
		const struct function *f = function_at(i);
		uint32_t count = f->header_type == PCI_TYPE_DEVICE ? BARS_MAX : 0;

		for (uint32_t n = 0; n < count; n++)
			see_bar(config_read(f->bdf, PCI_BAR0 + 4 * n, 4));
	}
}

/* An address for a BAR that has none, or 0. */
static uint64_t assign(const struct function *f, const struct x_bar *bar)
{
	uint64_t *next = bar->is_io ? &next_free.port : &next_free.memory;
	uint64_t end = bar->is_io ? PORT_WINDOW_END : MEMORY_WINDOW_END, at;

	if (!next_free.memory)
		find_free();
	at = (*next + bar->bytes - 1) & ~(bar->bytes - 1);
	if (f->bdf >> 8 || at + bar->bytes > end) {
		server_log("%s: no address for a BAR of %llu bytes", f->name, (unsigned long long)bar->bytes);
		return 0;
	}
	*next = at + bar->bytes;
	server_log("%s: BAR of %llu bytes put at %llx", f->name, (unsigned long long)bar->bytes,
		   (unsigned long long)at);
	return at;
}

/* What a register reads as after ones were written to it; it is put back. */
static uint32_t probe(uint32_t bdf, uint32_t at, uint32_t original)
{
	uint32_t value;

	config_write(bdf, at, 4, ~0u);
	value = config_read(bdf, at, 4);
	config_write(bdf, at, 4, original);
	return value;
}

/* One BAR; returns how many registers it takes. */
static uint32_t read_one(const struct function *f, uint32_t index, struct x_bar *bar)
{
	uint32_t at = PCI_BAR0 + 4 * index, low = config_read(f->bdf, at, 4), high = 0;
	uint32_t mask = low & PCI_BAR_IO ? PCI_BAR_IO_MASK : PCI_BAR_MEM_MASK;
	bool wide = !(low & PCI_BAR_IO) && (low & PCI_BAR_TYPE_MASK) == PCI_BAR_TYPE_64 && index + 1 < BARS_MAX;
	uint64_t bits = probe(f->bdf, at, low) & mask;

	if (!bits && !wide)
		return 1;
	if (low & PCI_BAR_IO)
		bits |= 0xffff0000u; /* the upper half may be hard-wired to 0 */
	bits |= 0xffffffffull << 32;
	if (wide) {
		high = config_read(f->bdf, at + 4, 4);
		bits = (bits & 0xffffffffu) | (uint64_t)probe(f->bdf, at + 4, high) << 32;
	}
	if (!bits)
		return 2;
	bar->is_io = low & PCI_BAR_IO;
	bar->bytes = bits & -bits;
	bar->base = (low & mask) | (uint64_t)high << 32;
	if (!bar->base) {
		bar->base = assign(f, bar);
		config_write(f->bdf, at, 4, (uint32_t)bar->base);
		if (wide)
			config_write(f->bdf, at + 4, 4, bar->base >> 32);
	}
	if (!bar->base)
		bar->bytes = 0; /* nowhere: the driver can't have it */
	return wide ? 2 : 1;
}

void bars_read(const struct function *f, struct x_bar bars[BARS_MAX])
{
	uint32_t command = config_read(f->bdf, PCI_COMMAND, 2);

	for (uint32_t i = 0; i < BARS_MAX; i++)
		bars[i] = (struct x_bar){ 0 };
	if (f->header_type != PCI_TYPE_DEVICE)
		return;
	config_write_command(f->bdf, command & ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY));
	for (uint32_t i = 0; i < BARS_MAX; )
		i += read_one(f, i, &bars[i]);
	config_write_command(f->bdf, command);
}
