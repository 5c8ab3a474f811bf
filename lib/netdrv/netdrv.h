/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Class library of network drivers. It owns the session and its rings, checks
 * what the client says, keeps the configuration for resets, and counts; the
 * device code is a table of operations over registers and descriptors and sees
 * no IPC. Packets are never touched, and their memory is mapped for the device
 * only (but see maps_pools).
 *
 * States of the driver:
 *   STARTING  ops->start() has run; waits for netdrv_ready()
 *   SERVING   the device works; a session may be open
 *   RESETTING the device is broken, or a session has ended while the device had
 *             buffers of its: ops->start() runs again
 * NET_OPEN calls that come earlier than SERVING wait, and so does one that comes
 * while the device still holds the last session's buffers.
 *
 * A receive buffer: FREE -> WAITING (posted, no room in the device yet) -> DEVICE
 * -> given back -> FREE. A reset sends it back to WAITING. A packet to send is
 * assembled, waits for room in the device, and is DEVICE until it is sent; a
 * reset ends it with -X_EIO.
 *
 * A driver restarts cold: no state here outlives the process.
 */
#ifndef LIB_NETDRV_H
#define LIB_NETDRV_H

#include <stdbool.h>
#include <stdint.h>
#include "lib/dma/dma.h"
#include "proto/net.h"

#define NETDRV_SEGMENTS 40u /* of a packet to send: its pieces, split by the device's limits */

struct netdrv_buffer {          /* a receive buffer */
	uint64_t iova;
	uint32_t bytes;
	uint32_t id;            /* < NET_SLOTS: to be told at netdrv_received() */
	const uint8_t *virt;    /* maps_pools only */
};

struct netdrv_packet {          /* to send */
	uint32_t id;            /* < NET_SLOTS: to be told at netdrv_sent() */
	uint32_t bytes, segment_count;
	struct x_dma_segment segments[NETDRV_SEGMENTS];
	/* Checked: offsets lie in the packet, features are those of the device. For
	 * gso_type: hdr_len within the first segment's piece, csum_offset 16. */
	uint16_t flags;         /* NET_CSUM_PARTIAL */
	uint16_t csum_start, csum_offset, gso_size, hdr_len;
	uint8_t gso_type;
};

struct netdrv_piece {           /* of a packet received */
	uint32_t id;            /* the buffer */
	uint32_t offset, bytes; /* of the data in it */
};

struct netdrv_meta {            /* as in proto/net.h */
	uint16_t flags, csum_start, csum_offset, gso_size, hdr_len;
	uint8_t gso_type;
};

struct netdrv_caps {
	x_handle_t device;      /* for DMA mappings */
	uint8_t mac[6];
	uint32_t mtu;           /* bytes behind the Ethernet header */
	uint32_t features;      /* NET_F_* */
	uint32_t rx_buffer_min, rx_buffer_best;
	uint32_t tx_packet_max; /* bytes, Ethernet header included */
	uint32_t tx_pieces_max; /* at most NET_PIECES_MAX */
};

struct netdrv_config {
	uint32_t mode;          /* NET_MODE_* */
	bool has_mac;
	uint8_t mac[6];         /* own address; the device's if not has_mac */
	uint32_t filter_count;
	uint8_t filter[NET_FILTER_MAX][6];
};

struct netdrv_ops {
	/* Map the pools for us too, read-only: the device puts headers of its own
	 * before the data of receive buffers. */
	bool maps_pools;
	uint64_t poll_ns;       /* look for work so long before sleeping; 0: don't */
	/* Bring the device up from any state; netdrv_ready() when it works, now or
	 * later. Must bound its own waits, and call netdrv_broken() or
	 * netdrv_failed(). By netdrv_ready() the device has forgotten all buffers. */
	void (*start)(void);
	/* Give to the device, not yet kicking it: 0, or -X_EAGAIN: no room (offered
	 * again after netdrv_received() or netdrv_sent()), others: it comes back. */
	int (*post)(const struct netdrv_buffer *b);
	int (*send)(const struct netdrv_packet *p);
	void (*kick)(void);     /* show the device what it was given */
	/* Take what the device has finished: netdrv_received(), netdrv_sent(). */
	void (*poll)(void);
	/* Ask for an interrupt when there is something; true: there is already. For packets
	 * sent none need be asked for while netdrv_sends_little(). */
	bool (*arm)(void);
	/* Begin to apply a configuration; netdrv_configured() when it is, now or
	 * later; one at a time. */
	void (*configure)(const struct netdrv_config *config);
	/* May be NULL: add to the counters what only the device knows. */
	void (*count)(struct net_counters *c);
	void (*stop)(void);     /* quiesce the device: the driver is about to exit */
};

/* The whole life of the driver; never returns. */
__attribute__((noreturn)) void netdrv_run(const struct netdrv_ops *ops);

/* ---- from the device code ---- */
void netdrv_ready(const struct netdrv_caps *caps);
/* A packet has arrived, in this order of pieces. Wrong metadata or lengths (the
 * device is not believed) make the packet lost, and the buffers come back. A
 * piece whose buffer the device does not have is -X_EPROTO: the device code calls
 * netdrv_broken(). */
int netdrv_received(const struct netdrv_piece *pieces, uint32_t count, const struct netdrv_meta *meta);
/* The buffers come back empty: the packet in them was bad (an error is counted). */
int netdrv_discarded(const struct netdrv_piece *pieces, uint32_t count);
/* status: 0, -X_EIO. -X_EPROTO: the device does not have such a packet. */
int netdrv_sent(uint32_t id, int status);
bool netdrv_sends_little(void); /* the device has so few packets to send that nobody waits for them */
void netdrv_configured(int status);
void netdrv_link(bool up, uint32_t speed_mbit);
void netdrv_announce(void);
void netdrv_interrupt(void); /* counts one */
/* The device doesn't keep its contract: reset it and go on. After three in a row
 * without a packet the driver gives up and dies. */
void netdrv_broken(const char *why);
/* There is no device to drive, or none that can be: tells rs, dies. */
__attribute__((noreturn)) void netdrv_failed(const char *why);

#endif
