/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PCI configuration space, as far as the kernel itself touches it.
 * PCI Local Bus Specification 3.0, chapter 6; PCI Express Base 5.0, 7.5.1.
 */
#ifndef PCI_REG_H
#define PCI_REG_H

#define PCI_VENDOR_ID        0x00
#define PCI_COMMAND          0x04
#define PCI_COMMAND_IO           0x0001u
#define PCI_COMMAND_MEMORY       0x0002u
#define PCI_COMMAND_MASTER       0x0004u
#define PCI_COMMAND_INTX_OFF     0x0400u
#define PCI_HEADER_TYPE      0x0e
#define PCI_HEADER_TYPE_MASK     0x7fu
#define PCI_SECONDARY_BUS    0x19 /* of a bridge */
#define PCI_SUBORDINATE_BUS  0x1a
#define PCI_BAR0             0x10
#define PCI_BARS_END         0x28 /* of a type 0 header */
#define PCI_ROM              0x30
#define PCI_ROM_END          0x34
#define PCI_HEADER_END       0x40
#define PCI_CONFIG_BYTES     0x100
#define PCIE_CONFIG_BYTES    0x1000

#define PCI_ADDRESS_PORT     0xcf8
#define PCI_DATA_PORT        0xcfc
#define PCI_ADDRESS_ENABLE   0x80000000u

/* Message signalled interrupts, 6.8.1: offsets from the capability */
#define PCI_CAP_MSI          0x05
#define MSI_CONTROL          0x02
#define MSI_CONTROL_ENABLE       0x0001u
#define MSI_CONTROL_COUNT        0x0070u /* messages enabled, log2 */
#define MSI_CONTROL_64BIT        0x0080u
#define MSI_ADDRESS          0x04
#define MSI_ADDRESS_HIGH     0x08
#define MSI_DATA_32          0x08
#define MSI_DATA_64          0x0c
#define MSI_CAP_BYTES        0x18 /* the longest form */

/* MSI-X, 6.8.2 */
#define PCI_CAP_MSIX         0x11
#define MSIX_CONTROL         0x02
#define MSIX_CONTROL_SIZE        0x07ffu /* entries - 1 */
#define MSIX_CONTROL_MASK        0x4000u
#define MSIX_CONTROL_ENABLE      0x8000u
#define MSIX_TABLE           0x04 /* offset | BAR */
#define MSIX_PBA             0x08
#define MSIX_BAR_MASK            0x7u
#define MSIX_CAP_BYTES       0x0c
#define MSIX_ENTRY_WORDS     4    /* address low, high, data, control */
#define MSIX_ENTRY_MASKED        1u

#endif
