/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_blk, inside: main.c brings the device up, queue.c moves requests.
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include "drivers/block/virtio_blk/virtio_blk_reg.h"
#include "lib/blockdrv/blockdrv.h"
#include "lib/virtio/virtio_pci.h"

#define BLK_QUEUE 0u

struct queue_limits { uint32_t max_segments, max_segment_bytes; };

/* queue.c: the one request queue. Its memory is got once; each reset of the
 * device begins with fresh rings in it. */
int queue_start(struct virtio_pci *v);       /* 0 or negated error */
bool queue_has_indirect(void);
uint32_t queue_size(void);
int queue_submit(struct blockdrv_request *r);
void queue_kick(void);
bool queue_take(void);                       /* what is finished; false: the device is broken */
bool queue_arm(void);
int queue_identify(void);                    /* ask for the serial number */
const uint8_t *queue_identity(void);         /* VIRTIO_BLK_ID_BYTES, or NULL: not answered (yet) */

#endif
