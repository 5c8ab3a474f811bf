/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * e1000, inside: main.c brings the controller up and answers interrupts, nvm.c
 * reads its address, ring.c moves packets, filter.c chooses what is received.
 */
#ifndef E1000_H
#define E1000_H

#include "drivers/net/e1000/e1000_reg.h"
#include "lib/netdrv/netdrv.h"

struct e1000 {
	x_handle_t device;
	volatile uint8_t *base;
	bool is_82574;
	bool vectors;            /* message-signalled interrupt, else INTx */
	uint8_t mac[6];
	uint64_t missed, errors, multicast; /* statistics taken from the device */
};

extern struct e1000 e1000;

static inline uint32_t reg_read(uint32_t at)
{
	return *(volatile uint32_t *)(e1000.base + at);
}

static inline void reg_write(uint32_t at, uint32_t value)
{
	*(volatile uint32_t *)(e1000.base + at) = value;
}

/* nvm.c: 0 and the address; -X_EIO: none that holds */
int nvm_read_mac(uint8_t mac[6]);

/* filter.c */
void filter_set(const struct netdrv_config *config); /* NULL: own address and broadcast only */
uint32_t filter_rctl(const struct netdrv_config *config);

/* ring.c: rings in memory of their own, got once, empty after ring_start() */
int ring_start(void);
int ring_post(const struct netdrv_buffer *b);
int ring_send(const struct netdrv_packet *p);
void ring_kick(void);
void ring_poll(void);
bool ring_has_work(void);
bool ring_sending(void); /* packets are not reported as sent yet */

#endif
