/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration space (PCI Local Bus 3.0, chapter 6; PCI-to-PCI bridge 1.2,
 * chapter 3) and the ACPI tables devmgr reads (ACPI 6.4, chapter 5).
 */
#ifndef DEVMGR_PCI_REG_H
#define DEVMGR_PCI_REG_H

#include <stdint.h>

#define PCI_VENDOR        0x00u
#define PCI_DEVICE        0x02u
#define PCI_COMMAND       0x04u
#define PCI_STATUS        0x06u
#define PCI_CLASS_REV     0x08u
#define PCI_HEADER_TYPE   0x0eu
#define PCI_BAR0          0x10u
#define PCI_SECONDARY_BUS 0x19u
#define PCI_CAPABILITIES  0x34u
#define PCI_IRQ_LINE      0x3cu
#define PCI_IRQ_PIN       0x3du
#define PCI_HEADER_END    0x40u

#define PCI_NO_VENDOR 0xffffu

#define PCI_COMMAND_IO     1u
#define PCI_COMMAND_MEMORY 2u
#define PCI_STATUS_CAPABILITIES 0x10u

#define PCI_TYPE_MASK   0x7fu
#define PCI_TYPE_DEVICE 0u
#define PCI_TYPE_BRIDGE 1u
#define PCI_TYPE_MULTI  0x80u

#define PCI_BAR_IO         1u
#define PCI_BAR_TYPE_MASK  6u
#define PCI_BAR_TYPE_64    4u
#define PCI_BAR_MEM_MASK   0xfffffff0u
#define PCI_BAR_IO_MASK    0xfffffffcu

#define PCI_CAP_MSI  0x05u
#define PCI_CAP_MSIX 0x11u

/* configuration by ports */
#define PCI_ADDRESS_PORT 0xcf8u
#define PCI_PORTS        8u
#define PCI_DATA_OFFSET  4u
#define PCI_ADDRESS_ENABLE 0x80000000u

/* ---- ACPI ---- */

struct acpi_rsdp {
	char signature[8]; /* "RSD PTR " */
	uint8_t checksum;  /* of the first 20 bytes */
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t checksum2;
	uint8_t reserved[3];
} __attribute__((packed));

struct acpi_header {
	char signature[4];
	uint32_t length;   /* of the whole table */
	uint8_t revision, checksum;
	char oem[6], oem_table[8];
	uint32_t oem_revision, creator, creator_revision;
} __attribute__((packed));

struct acpi_mcfg_entry { /* from offset 44 of MCFG */
	uint64_t base;
	uint16_t segment;
	uint8_t bus_first, bus_last;
	uint32_t reserved;
} __attribute__((packed));

struct acpi_madt_override { /* MADT entry type 2 */
	uint8_t type, length, bus, source;
	uint32_t gsi;
	uint16_t flags;    /* polarity 0-1, trigger 2-3: 0 = as the bus, 1 = high/edge, 3 = low/level */
} __attribute__((packed));

#define ACPI_MCFG_ENTRIES 44u
#define ACPI_MADT_ENTRIES 44u
#define ACPI_MADT_OVERRIDE 2u

_Static_assert(sizeof(struct acpi_rsdp) == 36, "struct acpi_rsdp");
_Static_assert(sizeof(struct acpi_header) == 36, "struct acpi_header");
_Static_assert(sizeof(struct acpi_mcfg_entry) == 16, "struct acpi_mcfg_entry");
_Static_assert(sizeof(struct acpi_madt_override) == 10, "struct acpi_madt_override");

#endif
