/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network client: a server's session with a network driver, which outlives the
 * driver. Configuration is kept as wanted and active; what is posted and what is
 * being sent is kept too. When the driver dies the next one is given the
 * configuration, the receive buffers, and what is not known to be sent, in
 * order. Its user notices nothing but `up` and packets lost or doubled, as on
 * any wire.
 *
 * Works inside the event loop of lib/ipc: nothing blocks. Callbacks run from
 * net_poll() and net_batch_end(), and from the event loop when a session opens;
 * never from inside net_post(), net_send() or net_configure(), which may all be
 * called from callbacks. Index stores and the doorbell are outbox entries: a
 * packet leaves with the commit of the iteration that sent it.
 *
 * Buffers lie in one or two pools. Their bytes are the caller's, until it posts
 * or sends them; then the driver's (proto/net.h), until they come back by
 * received(), sent() or returned().
 *
 * Everything the driver says is checked here; a driver that breaks the protocol
 * costs the session, and the user sees only what the checks let through.
 */
#ifndef LIB_NETCLI_H
#define LIB_NETCLI_H

#include <stdbool.h>
#include <stdint.h>
#include "proto/net.h"

struct net_client;

struct net_pool {
	x_handle_t memory;    /* CONTIGUOUS memory object, rights READ | WRITE | TRANSFER | DUP */
	uint8_t *virt;        /* where the user has mapped it */
	uint64_t bytes;       /* multiple of the page */
};

struct net_info {
	uint8_t mac[6];       /* the device's own */
	uint32_t mtu;         /* bytes behind the Ethernet header; 68..65535 */
	uint32_t features;    /* NET_F_* */
	uint32_t rx_buffer_min, rx_buffer_best; /* bytes; shorter ones are refused (net_post).
	                         `best` holds any packet that may arrive in one piece */
	uint32_t tx_packet_max;  /* bytes, Ethernet header included */
	uint32_t tx_pieces_max;
	char name[16];        /* of the driver's instance: "virtio_net", "e1000.1" */
};

struct net_link {
	bool up;
	uint32_t speed_mbit;  /* 0: not known */
};

/* One piece of a packet's bytes, or a receive buffer. */
struct net_piece {
	uint32_t pool;        /* index into the pools given at net_open() */
	uint32_t length;      /* bytes */
	uint64_t offset;      /* in the pool */
	void *cookie;         /* received(): as given to net_post() */
};

/* Offsets count from the Ethernet header. Packets to cut (gso_type not NONE)
 * have NET_CSUM_PARTIAL, csum_start at the TCP header, hdr_len exact and in the
 * first piece, and the pseudo-header's sum computed with the length of the whole,
 * whatever the driver is (as virtio has it). */
struct net_meta {
	uint16_t flags;       /* NET_CSUM_PARTIAL, NET_CSUM_VALID */
	uint16_t csum_start, csum_offset;
	uint8_t gso_type;     /* NET_GSO_* */
	uint16_t gso_size, hdr_len;
};

struct net_client_ops {
	/* Once: the first session is open (0), or there is no such driver or device
	 * (-X_ENODEV), or it can't be had (other errors). Before it, posting and
	 * sending are allowed, but who wants to know rx_buffer_best waits. */
	void (*opened)(void *ctx, int status, const struct net_info *info);
	/* May be NULL. A new driver has taken over, everything is replayed. The
	 * features may differ: packets that it can't send come back by sent() with
	 * -X_EOPNOTSUPP. */
	void (*up)(void *ctx, const struct net_info *info);
	/* A packet has arrived, in 1..NET_PIECES_MAX pieces, whose buffers are the
	 * caller's again. Each piece is the part of its buffer that holds data. True, of
	 * one piece: its buffer is done with, and posted again as it was (which costs less
	 * than net_post(), and takes effect with the commit, as that does). */
	bool (*received)(void *ctx, const struct net_piece *pieces, uint32_t count, const struct net_meta *meta);
	/* A packet's pieces are the caller's again. status: 0; -X_EINVAL the driver
	 * finds it wrong, -X_EIO, -X_EOPNOTSUPP: not sent. Any order. */
	void (*sent)(void *ctx, void *cookie, int status);
	/* May be NULL. A posted buffer comes back with nothing in it: it is too short
	 * for the new driver, or the driver did not want it. */
	void (*returned)(void *ctx, void *cookie);
	/* May be NULL. Link state changed; or announce: tell the wire of our addresses. */
	void (*status)(void *ctx, const struct net_link *link, bool announce);
};

/* Wanted configuration: all of it each time. */
struct net_config {
	uint32_t mode;        /* NET_MODE_* */
	uint8_t mac[6];       /* own address; all 0: the device's */
	uint32_t filter_count;
	uint8_t filter[NET_FILTER_MAX][6]; /* multicast addresses to receive; more: use the mode */
};

/* Open a session on the driver at `driver` (boot handle to its port). pools: 1
 * or 2, copied. NULL: no room (at most 8 clients). */
struct net_client *net_open(x_handle_t driver, const struct net_pool *pools, uint32_t pool_count,
			    const struct net_client_ops *ops, void *ctx);

/* Give a receive buffer: length >= rx_buffer_min (known once opened), offset a
 * multiple of 16. 0; -X_EAGAIN: NET_SLOTS are out; -X_EINVAL: out of bounds, too
 * short. */
int net_post(struct net_client *c, const struct net_piece *buffer);

/* Send a packet. 0: its pieces are the driver's until sent(ctx, cookie). Nothing
 * else changes on failure: -X_EAGAIN: no room, sent() will tell of some;
 * -X_EINVAL: out of bounds, metadata that contradicts itself; -X_E2BIG: too many
 * pieces or bytes; -X_EOPNOTSUPP: the device lacks the feature. While there is
 * no driver (restart) packets are kept, up to the room there is.
 * Packets for a NET_F_TSO_BARE device have headers changed in place. */
int net_send(struct net_client *c, const struct net_piece *pieces, uint32_t count,
	     const struct net_meta *meta, void *cookie);
/* Pieces that can be sent now. */
uint32_t net_send_room(const struct net_client *c);

/* What the device is to be set to; told again to each new driver. */
void net_configure(struct net_client *c, const struct net_config *wanted);

/* Last known, also while the driver is away; link is down until first told. */
const struct net_info *net_info(const struct net_client *c);
struct net_link net_link(const struct net_client *c);
/* Sums over all incarnations of the driver. */
void net_counters(const struct net_client *c, struct net_counters *sum);
/* Sessions opened after the first: restarts survived. */
uint32_t net_reopened(const struct net_client *c);

/* Take what has come, at most about `budget` packets; true: there may be more. */
bool net_poll(struct net_client *c, uint32_t budget);
/* From server_ops.batch_end, after the user's own work for the batch: takes what
 * has come (bounded), shows the driver what was posted and sent with at most one
 * doorbell, and asks to be woken. */
void net_batch_end(void);

#endif
