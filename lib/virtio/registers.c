/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Registers of a virtio device (registers.h). In a file of its own: tests on the
 * host reach a device of QEMU's in another way.
 */
#include "lib/virtio/registers.h"

uint8_t reg_read8(const struct virtio_region *r, uint32_t at) { return r->base[at]; }
uint16_t reg_read16(const struct virtio_region *r, uint32_t at) { return *(volatile uint16_t *)(r->base + at); }
uint32_t reg_read32(const struct virtio_region *r, uint32_t at) { return *(volatile uint32_t *)(r->base + at); }
void reg_write8(const struct virtio_region *r, uint32_t at, uint8_t value) { r->base[at] = value; }
void reg_write16(const struct virtio_region *r, uint32_t at, uint16_t value)
{
	*(volatile uint16_t *)(r->base + at) = value;
}
void reg_write32(const struct virtio_region *r, uint32_t at, uint32_t value)
{
	*(volatile uint32_t *)(r->base + at) = value;
}
