/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Configuration space: in memory (ECAM, a MiB a bus, mapped at first use)
 * where ACPI tells of it, else by the two ports. The kernel also uses the
 * ports, and puts the address back when it has.
 */
#include "lib/c/string.h"
#include "servers/devmgr/devmgr.h"
#include "servers/devmgr/pci_reg.h"

#define BUS_BYTES        (1u << 20)
#define CAPABILITIES_MAX 48u  /* ends a looping list */

static struct {
	x_handle_t resource, ports;
	uint64_t ecam_base;
	uint32_t ecam_bus_last;
	volatile uint8_t *bus[256];   /* mapped; NULL: not yet */
} config = { .ports = X_NO_HANDLE };

void config_init(x_handle_t resource, const struct acpi_info *acpi)
{
	int64_t ports;

	config.resource = resource;
	config.ecam_base = acpi->ecam_base;
	config.ecam_bus_last = acpi->ecam_bus_last;
	if (config.ecam_base)
		return;
	ports = x_ioports_create(resource, PCI_ADDRESS_PORT, PCI_PORTS);
	if (ports < 0)
		server_die("no way to configuration space: error %d", (int)ports);
	config.ports = ports;
}

static volatile uint8_t *map_bus(uint32_t bus)
{
	struct x_mem_map map = { .space = X_SELF, .len = BUS_BYTES, .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t memory, at;

	if (config.bus[bus])
		return config.bus[bus];
	if (bus > config.ecam_bus_last)
		return NULL;
	memory = x_memory_physical(config.resource, config.ecam_base + (uint64_t)bus * BUS_BYTES, BUS_BYTES);
	if (memory < 0)
		return NULL;
	map.memory = memory;
	at = x_mem_map(&map);
	x_handle_close(memory);
	if (at < 0)
		return NULL;
	config.bus[bus] = (volatile uint8_t *)(uintptr_t)at;
	return config.bus[bus];
}

static void select(uint32_t bdf, uint32_t offset)
{
	x_ioport(config.ports, 0, 4, PCI_ADDRESS_ENABLE | bdf << 8 | (offset & 0xfc), 1);
}

static uint32_t ecam_read(uint32_t bdf, uint32_t offset, uint32_t width)
{
	volatile uint8_t *bus = map_bus(bdf >> 8 & 0xff);

	if (!bus)
		return ~0u;
	bus += (bdf & 0xff) << 12 | offset;
	if (width == 1)
		return *bus;
	return width == 2 ? *(volatile uint16_t *)bus : *(volatile uint32_t *)bus;
}

uint32_t config_read(uint32_t bdf, uint32_t offset, uint32_t width)
{
	int64_t value;

	if (config.ecam_base)
		return ecam_read(bdf, offset, width);
	select(bdf, offset);
	value = x_ioport(config.ports, PCI_DATA_OFFSET + offset % 4, width, 0, 0);
	return value < 0 ? ~0u : (uint32_t)value;
}

void config_write(uint32_t bdf, uint32_t offset, uint32_t width, uint32_t value)
{
	volatile uint8_t *bus;

	if (!config.ecam_base) {
		select(bdf, offset);
		x_ioport(config.ports, PCI_DATA_OFFSET + offset % 4, width, value, 1);
		return;
	}
	bus = map_bus(bdf >> 8 & 0xff);
	if (!bus)
		return;
	bus += (bdf & 0xff) << 12 | offset;
	if (width == 1)
		*bus = value;
	else if (width == 2)
		*(volatile uint16_t *)bus = value;
	else
		*(volatile uint32_t *)bus = value;
}

void config_write_command(uint32_t bdf, uint32_t value)
{
	x_system(config.resource, X_SYS_PCI_COMMAND, (uint64_t)bdf << 16 | (value & 0xffff));
}

uint32_t config_capability(uint32_t bdf, uint8_t id)
{
	uint32_t at, left = CAPABILITIES_MAX;

	if (!(config_read(bdf, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return 0;
	at = config_read(bdf, PCI_CAPABILITIES, 1) & 0xfc;
	for (; at >= PCI_HEADER_END && left; left--) {
		if (config_read(bdf, at, 1) == id)
			return at;
		at = config_read(bdf, at + 1, 1) & 0xfc;
	}
	return 0;
}
