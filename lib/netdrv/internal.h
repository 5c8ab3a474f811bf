/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the parts of the network-driver library.
 *   driver.c   states, start, reset, the loop's work at the end of a batch
 *   session.c  NET_OPEN, NET_CONFIGURE, closures, the status page
 *   receive.c  RX_POST -> device -> RX_DONE
 *   send.c     TX -> device -> TX_DONE
 *   list.c     NET_LIST
 */
#ifndef LIB_NETDRV_INTERNAL_H
#define LIB_NETDRV_INTERNAL_H

#include "lib/ipc/server.h"
#include "lib/netdrv/netdrv.h"
#include "lib/ring/ring.h"

enum driver_state { DRIVER_STARTING, DRIVER_SERVING, DRIVER_RESETTING };

struct driver_stats {
	uint64_t resets, refused, sessions, kicks, wakes, doorbells, interrupts;
};

struct driver {
	const struct netdrv_ops *ops;
	enum driver_state state;
	struct netdrv_caps caps;
	uint32_t resets_in_row;
	bool link_up;
	uint32_t speed_mbit, announcements;
	struct net_counters counters;
	struct driver_stats stats;
};

/* The one session. `object` outlives `open`: a session that has ended keeps its
 * pools until the device has given its buffers back. */
struct netdrv_session {
	uint64_t object;          /* id of the session object; 0: none */
	bool open;
	uint32_t generation;
	uint32_t pool_count;
	x_handle_t pools[NET_POOLS_MAX], event, doorbell;
	uint64_t pool_bytes[NET_POOLS_MAX];
	const uint8_t *pool_virt[NET_POOLS_MAX]; /* maps_pools only */
	struct dma_import imports[NET_POOLS_MAX];
	uint8_t *rings;
	struct ring rx_post, rx_done, tx, tx_done;
	struct netdrv_config config; /* active, or being made so */
};

extern struct driver ndrv;
extern struct netdrv_session ndrv_session;

static inline bool ndrv_running(void)
{
	return ndrv.state == DRIVER_SERVING;
}

static inline bool ndrv_serving(void)
{
	return ndrv_running() && ndrv_session.open;
}

/* driver.c */
void ndrv_driver_reset(void);         /* start the device again, at the end of the batch */

/* session.c */
void ndrv_session_call(const struct x_in *in);
void ndrv_session_closure(uint64_t object);
void ndrv_session_cancel(uint64_t call_id);
void ndrv_session_device_quiet(void); /* it holds no buffers: end what has ended, replay, open what waits */
void ndrv_session_broken(const char *why);
void ndrv_session_status(bool tell);  /* counters and link -> status page */
void ndrv_session_publish(void);

/* receive.c */
void ndrv_receive_begin(void);        /* of a session */
void ndrv_receive_take_back(void);    /* the device has forgotten all buffers */
uint32_t ndrv_receive_held(void);     /* buffers that the device has */
bool ndrv_receive_consume(void);      /* true: the device got some */
bool ndrv_receive_stuck(void);        /* a buffer waits for room in the device */

/* send.c */
void ndrv_send_begin(void);
void ndrv_send_take_back(void);
uint32_t ndrv_send_held(void);        /* packets that the device has */
bool ndrv_send_consume(void);
bool ndrv_send_stuck(void);           /* a packet waits for room in the device */

/* list.c */
void ndrv_list_answer(const struct x_in *in);

#endif
