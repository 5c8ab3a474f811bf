/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bringing the virtio device of a driver process up, from any state and as often
 * as needed (virtio 1.2, 3.1.1):
 *
 *   PROBE       find and map the registers (once)
 *   RESET       wait until the device has reset itself; then DMA is allowed
 *   FEATURES    negotiate
 *   INTERRUPTS  connect them
 *   QUEUES      fresh rings; DRIVER_OK
 *   UP          the driver is in charge
 *
 * RESET waits, and has a deadline. What goes wrong is logged and ends the driver.
 */
#ifndef LIB_VIRTIO_BRING_UP_H
#define LIB_VIRTIO_BRING_UP_H

#include "lib/virtio/virtio_pci.h"

struct virtio_driver {
	uint64_t features;                 /* wanted; VIRTIO_F_VERSION_1 is needed besides */
	uint32_t (*queue_vectors)(void);   /* interrupts wanted for queues; NULL: one for all */
	int (*queues)(struct virtio_pci *v); /* set up fresh ones; 0 or an error */
	void (*up)(void);                  /* DRIVER_OK has been said */
	void (*interrupt)(uint32_t cause); /* VIRTIO_EVENT_*; in any state */
	void (*failed)(const char *why);   /* does not return */
};

extern struct virtio_pci virtio_device; /* the boot handle "device" */

void virtio_bring_up(const struct virtio_driver *driver); /* (again) from PROBE; up() tells when it is done */
bool virtio_is_up(void); /* up() has been called since the last virtio_bring_up(), or is about to be */
/* Makes the device let go of all memory, as far as can be known without waiting. */
void virtio_take_down(void);

#endif
