/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The few facts devmgr takes from ACPI: MCFG (where configuration space is in
 * memory) and MADT (how ISA interrupts reach the I/O APIC). Tables are copied
 * out of the firmware's memory, bounded, before they are believed.
 */
#include "lib/c/string.h"
#include "servers/devmgr/devmgr.h"
#include "servers/devmgr/pci_reg.h"

#define TABLE_MAX  16384u
#define TABLES_MAX 64u

static uint8_t table[TABLE_MAX];

/* Copy [paddr, paddr + bytes) of physical memory. */
static bool read_physical(x_handle_t resource, uint64_t paddr, void *to, uint32_t bytes)
{
	uint64_t page = paddr & ~(uint64_t)(X_PAGE_SIZE - 1), len = paddr - page + bytes;
	struct x_mem_map map = { .space = X_SELF, .len = len, .prot = X_PROT_READ };
	int64_t memory = x_memory_physical(resource, page, len), at;

	if (memory < 0)
		return false;
	map.memory = memory;
	at = x_mem_map(&map);
	x_handle_close(memory);
	if (at < 0)
		return false;
	memcpy(to, (const uint8_t *)(uintptr_t)at + (paddr - page), bytes);
	x_mem_unmap(X_SELF, at, len);
	return true;
}

static bool sums_to_zero(const void *data, uint32_t bytes)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	while (bytes--)
		sum += *p++;
	return !sum;
}

/* The table at paddr in `table`; its length, 0 if there is none that holds.
 * want: only read further if it has this signature (NULL: any). */
static uint32_t read_table(x_handle_t resource, uint64_t paddr, const char *want)
{
	struct acpi_header h;

	if (!paddr || !read_physical(resource, paddr, &h, sizeof(h)) || (want && memcmp(h.signature, want, 4)))
		return 0;
	if (h.length < sizeof(h) || h.length > TABLE_MAX || !read_physical(resource, paddr, table, h.length) ||
	    !sums_to_zero(table, h.length))
		return 0;
	return h.length;
}

static void take_mcfg(uint32_t length, struct acpi_info *info)
{
	struct acpi_mcfg_entry e;

	for (uint32_t at = ACPI_MCFG_ENTRIES; at + sizeof(e) <= length; at += sizeof(e)) {
		memcpy(&e, table + at, sizeof(e));
		if (e.segment || e.bus_first || !e.base || e.base % (1u << 20))
			continue;
		info->ecam_base = e.base;
		info->ecam_bus_last = e.bus_last;
	}
}

static void take_override(struct acpi_info *info)
{
	struct acpi_madt_override o;
	uint32_t flags = 0;

	memcpy(&o, table, sizeof(o));
	if (o.bus || o.source > 15)
		return;
	if ((o.flags & 3) == 3)
		flags |= X_IRQ_ACTIVE_LOW;
	if ((o.flags >> 2 & 3) == 3)
		flags |= X_IRQ_LEVEL;
	info->isa[o.source].set = true;
	info->isa[o.source].gsi = o.gsi;
	info->isa[o.source].flags = flags;
}

static void take_madt(uint32_t length, struct acpi_info *info)
{
	uint32_t at = ACPI_MADT_ENTRIES;

	while (at + 2 <= length && table[at + 1] >= 2 && at + table[at + 1] <= length) {
		uint32_t bytes = table[at + 1];

		if (table[at] == ACPI_MADT_OVERRIDE && bytes >= sizeof(struct acpi_madt_override)) {
			memmove(table, table + at, sizeof(struct acpi_madt_override));
			take_override(info);
		}
		at += bytes;
	}
}

static uint32_t list_tables(x_handle_t resource, const struct acpi_rsdp *rsdp, uint64_t *tables)
{
	bool wide = rsdp->revision >= 2 && rsdp->xsdt;
	uint32_t entry = wide ? 8 : 4, count = 0;
	uint32_t length = read_table(resource, wide ? rsdp->xsdt : rsdp->rsdt, wide ? "XSDT" : "RSDT");

	for (uint32_t at = sizeof(struct acpi_header); at + entry <= length && count < TABLES_MAX; at += entry) {
		tables[count] = 0;
		memcpy(&tables[count++], table + at, entry);
	}
	return count;
}

void acpi_read(x_handle_t resource, struct acpi_info *info)
{
	static uint64_t tables[TABLES_MAX];
	struct x_system_info system;
	struct acpi_rsdp rsdp;
	uint32_t count, length;

	memset(info, 0, sizeof(*info));
	if (x_system_info(&system) < 0 || !system.rsdp || !read_physical(resource, system.rsdp, &rsdp, 20) ||
	    memcmp(rsdp.signature, "RSD PTR ", 8) || !sums_to_zero(&rsdp, 20)) {
		server_log("no ACPI tables");
		return;
	}
	if (rsdp.revision >= 2 && (!read_physical(resource, system.rsdp, &rsdp, sizeof(rsdp)) ||
				   !sums_to_zero(&rsdp, sizeof(rsdp))))
		rsdp.revision = 0;
	count = list_tables(resource, &rsdp, tables);
	for (uint32_t i = 0; i < count; i++) {
		length = read_table(resource, tables[i], "MCFG");
		if (length)
			take_mcfg(length, info);
		length = read_table(resource, tables[i], "APIC");
		if (length)
			take_madt(length, info);
	}
}
