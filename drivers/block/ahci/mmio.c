/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of the host bus adapter. In a file of its own: the tests put a
 * model in its place.
 */
#include "drivers/block/ahci/ahci.h"

static volatile uint8_t *base;

int ahci_map(x_handle_t device)
{
	int64_t addr = x_device_map(device, AHCI_BAR, 0, 0);

	if (addr < 0)
		return addr;
	base = (volatile uint8_t *)(uintptr_t)addr;
	return 0;
}

uint32_t hba_read(uint32_t reg)
{
	return *(volatile uint32_t *)(base + reg);
}

void hba_write(uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(base + reg) = value;
}
