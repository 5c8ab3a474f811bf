/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * virtio_net, inside: main.c brings the device up, queue.c moves packets,
 * control.c talks through the control queue.
 */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include "drivers/net/virtio_net/virtio_net_reg.h"
#include "lib/netdrv/netdrv.h"
#include "lib/virtio/bring_up.h"

/* A virtqueue with its memory, which is got once and used again after a reset. */
struct net_queue {
	struct dma_buffer memory;
	struct virtqueue ring;
	uint16_t index;
	uint32_t notify_offset;
};

/* queue.c */
int net_queue_setup(struct virtio_pci *v, struct net_queue *q, uint16_t index);
void net_queue_kick(struct virtio_pci *v, struct net_queue *q); /* if the device wants it */
int queues_start(struct virtio_pci *v);      /* fresh rings; 0 or negated error */
uint32_t queues_tx_pieces_max(void);
int queues_post(const struct netdrv_buffer *b);
int queues_send(const struct netdrv_packet *p);
void queues_kick(void);
void queues_poll(void);
bool queues_arm(void);

/* control.c */
int control_start(struct virtio_pci *v);
void control_configure(const struct netdrv_config *config);
void control_announced(void);                /* tell the device that we have announced ourselves */
void control_poll(void);
bool control_arm(void);

#endif
