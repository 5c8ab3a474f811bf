/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Enumeration: every function of bus 0, and of each bus behind a bridge that
 * firmware gave a number. A bus is visited once, whatever the bridges say.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "servers/devmgr/devmgr.h"
#include "servers/devmgr/pci_reg.h"

static struct {
	struct function functions[FUNCTIONS_MAX];
	uint32_t count;
	bool visited[256];
	uint8_t to_visit[256];
	uint32_t to_visit_count;
} bus;

uint32_t function_count(void)
{
	return bus.count;
}

struct function *function_at(uint32_t index)
{
	return index < bus.count ? &bus.functions[index] : NULL;
}

static void visit_later(uint32_t number)
{
	if (bus.visited[number])
		return;
	bus.visited[number] = true;
	bus.to_visit[bus.to_visit_count++] = number;
}

static void take_bridge(const struct function *f)
{
	uint32_t secondary = config_read(f->bdf, PCI_SECONDARY_BUS, 1);

	if (!secondary || secondary > 255)
		server_log("%s: a bridge without a bus number; nothing behind it is seen", f->name);
	else
		visit_later(secondary);
}

static void take_function(uint32_t bdf)
{
	struct function *f = &bus.functions[bus.count];

	if (bus.count == FUNCTIONS_MAX) {
		server_log("more than %u functions: the rest is left out", FUNCTIONS_MAX);
		return;
	}
	bus.count++;
	*f = (struct function){
		.bdf = bdf,
		.vendor = config_read(bdf, PCI_VENDOR, 2), .device = config_read(bdf, PCI_DEVICE, 2),
		.class_code = config_read(bdf, PCI_CLASS_REV, 4) >> 8,
		.header_type = config_read(bdf, PCI_HEADER_TYPE, 1) & PCI_TYPE_MASK,
		.irq_line = config_read(bdf, PCI_IRQ_LINE, 1), .irq_pin = config_read(bdf, PCI_IRQ_PIN, 1),
		.handle = X_NO_HANDLE,
	};
	snprintf(f->name, sizeof(f->name), "0000:%02x:%02x.%x", bdf >> 8 & 0xff, bdf >> 3 & 31, bdf & 7);
	if (f->header_type == PCI_TYPE_BRIDGE)
		take_bridge(f);
}

static void scan_device(uint32_t bdf)
{
	uint32_t functions;

	if (config_read(bdf, PCI_VENDOR, 2) == PCI_NO_VENDOR)
		return;
	functions = config_read(bdf, PCI_HEADER_TYPE, 1) & PCI_TYPE_MULTI ? 8 : 1;
	take_function(bdf);
	for (uint32_t i = 1; i < functions; i++)
		if (config_read(bdf + i, PCI_VENDOR, 2) != PCI_NO_VENDOR)
			take_function(bdf + i);
}

void bus_scan(void)
{
	memset(&bus, 0, sizeof(bus));
	visit_later(0);
	for (uint32_t i = 0; i < bus.to_visit_count; i++)
		for (uint32_t device = 0; device < 32; device++)
			scan_device((uint32_t)bus.to_visit[i] << 8 | device << 3);
}
