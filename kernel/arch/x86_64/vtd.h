/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VT-d as the interrupt controllers see it (the rest is in arch.h), and its
 * registers and formats (VT-d specification 4.1, chapters 6, 8 to 11).
 */
#ifndef VTD_H
#define VTD_H

#include "arch.h"

void vtd_init(void);                 /* after the local APIC, before any route */
/* If the device is remapped: the message of a vector is accepted from it only,
 * and *address, *data become that message. */
void vtd_msi(uint32_t bdf, int vector, uint64_t *address, uint32_t *data);
/* *high: upper word of a redirection entry for the vector; false: not remapped. */
bool vtd_ioapic(uint32_t ioapic_id, int vector, bool level, uint32_t *high);
void vtd_vector_free(int vector);
void vtd_faults(void);               /* VECTOR_IOMMU came */

enum { DMAR_DRHD = 0 };
enum { SCOPE_ENDPOINT = 1, SCOPE_BRIDGE = 2, SCOPE_IOAPIC = 3 };

#define VTD_CAP     0x08
#define VTD_ECAP    0x10
#define VTD_GCMD    0x18
#define VTD_GSTS    0x1c
#define VTD_RTADDR  0x20
#define VTD_FSTS    0x34
#define VTD_FECTL   0x38
#define VTD_FEDATA  0x3c
#define VTD_FEADDR  0x40
#define VTD_FEUADDR 0x44
#define VTD_IQT     0x88
#define VTD_IQA     0x90
#define VTD_IRTA    0xb8

#define CAP_CACHING     (1ull << 7)
#define CAP_LEVELS_3    (1ull << 9)  /* SAGAW: 39 bits */
#define CAP_LEVELS_4    (1ull << 10) /* 48 bits */
#define CAP_2M          (1ull << 34)
#define CAP_DRAIN_WRITE (1ull << 54)
#define CAP_DRAIN_READ  (1ull << 55)
#define ECAP_COHERENT   (1ull << 0)
#define ECAP_QUEUE      (1ull << 1)
#define ECAP_INTERRUPTS (1ull << 3)

#define GCMD_TRANSLATE      (1u << 31)
#define GCMD_SET_ROOT       (1u << 30)
#define GCMD_QUEUE          (1u << 26)
#define GCMD_INTERRUPTS     (1u << 25)
#define GCMD_SET_INTERRUPTS (1u << 24)
#define GSTS_KEPT           (GCMD_TRANSLATE | GCMD_QUEUE | GCMD_INTERRUPTS)

#define FSTS_OVERFLOW    (1u << 0)
#define FSTS_QUEUE_ERROR (1u << 4)

#define QUEUE_ENTRIES    256u
#define INV_CONTEXT      1ull
#define INV_IOTLB        2ull
#define INV_INTERRUPTS   4ull         /* all entries */
#define INV_WAIT         5ull
#define INV_WAIT_STATUS  (1ull << 5)
#define CONTEXT_GLOBAL   (1ull << 4)
#define CONTEXT_DEVICE   (3ull << 4)  /* | requester << 32 | domain << 16 */
#define IOTLB_GLOBAL     (1ull << 4)
#define IOTLB_DOMAIN     (2ull << 4)  /* | domain << 16 */
#define IOTLB_DRAIN_WRITE (1ull << 6)
#define IOTLB_DRAIN_READ (1ull << 7)

#define IRTA_256_ENTRIES 7u
#define IRTA_X2APIC      (1u << 11)
#define IRTE_LEVEL       (1u << 4)
#define IRTE_VERIFY      (1ull << 18) /* the requester's id, all of it */

#define SL_READ   1ull
#define SL_WRITE  2ull
#define SL_ACCESS 3ull                /* read, write */
#define SL_LARGE  (1ull << 7)

#endif
