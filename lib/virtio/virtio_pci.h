/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio over PCI, modern interface (virtio 1.2, 4.1). Transitional devices
 * are used through it too; the legacy interface is not.
 *
 * The order of calls (3.1): probe, reset_begin, reset_finished until 0,
 * negotiate, then for each queue queue_setup, interrupts, driver_ok. A reset
 * may be begun again at any time after the probe and forgets all the rest.
 * Nothing here blocks: who waits for the end of a reset sets the timer.
 */
#ifndef LIB_VIRTIO_VIRTIO_PCI_H
#define LIB_VIRTIO_VIRTIO_PCI_H

#include <stdbool.h>
#include "lib/virtio/registers.h"
#include "lib/virtio/virtqueue.h"

#define VIRTIO_EVENT_QUEUE  1u /* bits of the interrupt event */
#define VIRTIO_EVENT_CONFIG 2u
#define VIRTIO_EVENT_INTX   4u

struct virtio_pci {
	x_handle_t device;
	struct virtio_region common, notify, isr, config; /* config may be absent */
	uint32_t notify_multiplier;
	uint64_t features;      /* negotiated */
	uint32_t queue_vectors; /* wanted for queues, before virtio_pci_interrupts(); 0: one */
	uint32_t vectors;       /* MSI-X vectors in use: 0 (INTx), 1 (for all), or 1 and those of queues */
	bool irq_connected;
	uint8_t config_generation; /* as last seen */
};

/* Find and map the capabilities, switch decoding on. -X_ENODEV: not a modern
 * virtio device; or the kernel's error. */
int virtio_pci_probe(struct virtio_pci *v, x_handle_t device);

/* Writes 0 to the device's status; virtio_pci_reset_finished() tells when it has taken effect. */
void virtio_pci_reset_begin(struct virtio_pci *v);
/* 0: it is over, DMA is allowed again (ends the kernel's quarantine);
 * -X_EAGAIN: ask again a little later; or the kernel's error. */
int virtio_pci_reset_finished(struct virtio_pci *v);

/* Accept what both want. -X_EOPNOTSUPP: the device lacks one of `needed`, or
 * refuses the choice. */
int virtio_pci_negotiate(struct virtio_pci *v, uint64_t wanted, uint64_t needed);

uint32_t virtio_pci_queue_size(struct virtio_pci *v, uint16_t index); /* 0: no such queue */
int virtio_pci_queue_setup(struct virtio_pci *v, uint16_t index, const struct virtqueue *q);
/* Connect interrupts to bits VIRTIO_EVENT_* of the event; before queue_setup. */
int virtio_pci_interrupts(struct virtio_pci *v, x_handle_t event);
/* Call with the bits that arrived; returns QUEUE and CONFIG bits meant. CONFIG
 * may be told without need where queue and configuration share a vector:
 * virtio_pci_config_changed() knows. */
uint32_t virtio_pci_interrupt_cause(struct virtio_pci *v, uint64_t bits);
void virtio_pci_driver_ok(struct virtio_pci *v);
void virtio_pci_failed(struct virtio_pci *v);
bool virtio_pci_needs_reset(struct virtio_pci *v);
void virtio_pci_kick(struct virtio_pci *v, uint16_t index, uint32_t notify_offset);
/* For virtio_pci_kick(): where the queue is kicked, -X_EPROTO if out of range. */
int virtio_pci_notify_offset(struct virtio_pci *v, uint16_t index);

/* Did the configuration change since this was last asked? */
bool virtio_pci_config_changed(struct virtio_pci *v);

/* Device configuration (4.1.4.6), consistent: read again while the generation
 * changes. Bytes past its end read as 0. */
void virtio_pci_config(struct virtio_pci *v, uint32_t offset, void *buf, uint32_t bytes);

#endif
