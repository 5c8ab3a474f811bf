/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to the registers of a virtio device over PCI. `at` is an offset in the
 * region, inside it and aligned: the caller sees to that.
 */
#ifndef LIB_VIRTIO_REGISTERS_H
#define LIB_VIRTIO_REGISTERS_H

#include <stdint.h>

struct virtio_region { volatile uint8_t *base; uint32_t bytes; };

/* By width in bits: one access each. */
uint8_t reg_read8(const struct virtio_region *r, uint32_t at);
uint16_t reg_read16(const struct virtio_region *r, uint32_t at);
uint32_t reg_read32(const struct virtio_region *r, uint32_t at);
void reg_write8(const struct virtio_region *r, uint32_t at, uint8_t value);
void reg_write16(const struct virtio_region *r, uint32_t at, uint16_t value);
void reg_write32(const struct virtio_region *r, uint32_t at, uint32_t value);

#endif
