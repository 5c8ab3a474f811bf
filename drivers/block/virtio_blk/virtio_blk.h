/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_blk, inside: main.c brings the device up, queue.c moves requests.
 */
#ifndef VIRTIO_BLK_H
#define VIRTIO_BLK_H

#include "drivers/block/virtio_blk/virtio_blk_reg.h"
#include "lib/blockdrv/blockdrv.h"
#include "lib/virtio/bring_up.h"

#define QUEUES_MAX 4u

/* queue.c: the request queues. The first is used as long as it has room: one
 * kick a batch is worth more than several queues. Memory is got once; each
 * reset of the device begins with fresh rings in it. */
int queues_start(struct virtio_pci *v, uint32_t count); /* 0 or negated error */
uint32_t queues_segments_max(void);          /* of a request's data */
int queue_submit(struct blockdrv_request *r);
void queue_kick(void);
bool queue_take(void);                       /* what is finished; false: the device is broken */
bool queue_arm(void);
int queue_identify(void);                    /* ask for the serial number */
const uint8_t *queue_identity(void);         /* VIRTIO_BLK_ID_BYTES, or NULL: not answered (yet) */

#endif
