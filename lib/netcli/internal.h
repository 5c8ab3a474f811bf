/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between the parts of the network client.
 *   client.c   the public functions
 *   session.c  opening, losing and opening again; configuration; status page
 *   receive.c  receive buffers out, packets in
 *   send.c     packets out, completions in
 *   meta.c     checks of metadata; what NET_F_TSO_BARE wants
 *
 * States of a client:
 *   OPENING  NET_OPEN is under way (or waits for a driver to serve it)
 *   UP       the rings are in use
 *   LOST     the driver is dead: what it had finished is still to be taken, at
 *            the end of the batch; then OPENING
 *   PAUSED   opening failed for now: the timer opens again
 *   FAILED   there is no driver to be had; if there was one once, the timer asks
 *            again now and then
 */
#ifndef LIB_NETCLI_INTERNAL_H
#define LIB_NETCLI_INTERNAL_H

#include "lib/ipc/server.h"
#include "lib/netcli/netcli.h"
#include "lib/ring/ring.h"

enum client_state { CLIENT_FREE, CLIENT_OPENING, CLIENT_UP, CLIENT_LOST, CLIENT_PAUSED, CLIENT_FAILED };

enum rx_state {
	RX_FREE,
	RX_POSTED,   /* the driver's, or kept for the next one */
	RX_ARRIVED,  /* holds a part of a packet that is not complete yet */
};

struct rx_slot { struct net_piece buffer; enum rx_state state; };

/* A piece of a packet to send. Slots are used in order, as a ring; the first of
 * a packet has what concerns all of it, and its index is the packet's id. */
struct tx_slot {
	uint64_t offset;
	uint32_t length;
	uint8_t pool, pieces;    /* pieces: first of a packet, else 0 */
	bool done;               /* completed, but an older one is not */
	uint8_t tries;           /* sessions it was out in */
	struct net_meta meta;
	void *cookie;
};

struct net_client {
	enum client_state state;
	x_handle_t driver;
	uint32_t pool_count;
	struct net_pool pools[NET_POOLS_MAX];
	const struct net_client_ops *ops;
	void *ctx;
	bool announced;          /* opened() has run */
	struct net_info info;
	struct net_link link;
	/* session */
	uint32_t generation;
	uint32_t open_failures;  /* in a row */
	uint32_t reopened;
	bool pause;              /* LOST: the driver broke the protocol, don't open at once */
	x_handle_t object, doorbell, event;
	uint8_t *rings;          /* mapping of the ring memory */
	uint8_t *retired;        /* the one before, to be unmapped in a later iteration */
	struct ring rx_post, rx_done, tx, tx_done;
	struct server_timer retry;
	struct server_timer lazy;  /* to see that packets were sent */
	struct net_counters past; /* sums of sessions that are over */
	uint32_t announcements;  /* of the status page, as last seen */
	/* configuration */
	struct net_config wanted, asked;
	uint32_t wanted_version, active_version; /* 0: none */
	bool asking;
	uint32_t asked_version, asked_generation;
	uint8_t asked_filter[NET_FILTER_MAX * 6];
	/* receiving */
	struct rx_slot rx[NET_SLOTS];
	uint16_t rx_free[NET_SLOTS];
	uint32_t rx_free_count;
	uint16_t chain[NET_PIECES_MAX];      /* ids of the packet that is being put together */
	struct net_piece pieces[NET_PIECES_MAX];
	uint32_t chain_count, chain_bytes;
	struct net_meta chain_meta;
	/* sending: slots [tx_first, tx_next) are in use, indices run freely */
	struct tx_slot slots[NET_SLOTS];
	uint32_t tx_first, tx_next;
	uint32_t tx_packets, tx_bytes; /* not done */
};

static inline const volatile struct net_status *ncli_status(const struct net_client *c)
{
	return (const volatile struct net_status *)(c->rings + NET_STATUS_OFFSET);
}

/* session.c */
void ncli_session_init(struct net_client *c);
void ncli_session_open(struct net_client *c);
void ncli_session_end(struct net_client *c);       /* LOST -> OPENING or PAUSED */
void ncli_session_broken(struct net_client *c, const char *why); /* UP -> LOST */
void ncli_session_configure(struct net_client *c); /* if wanted is not active */
void ncli_session_publish(struct net_client *c);

/* receive.c */
void ncli_receive_init(struct net_client *c);
int ncli_receive_push(struct net_client *c, uint32_t id);
void ncli_receive_replay(struct net_client *c);
uint32_t ncli_receive_reap(struct net_client *c, uint32_t budget); /* packets taken */
void ncli_receive_abandon(struct net_client *c);   /* a packet that will not be completed */

/* send.c */
int ncli_send_push(struct net_client *c, uint32_t index);
void ncli_send_replay(struct net_client *c);
uint32_t ncli_send_reap(struct net_client *c, uint32_t budget);
bool ncli_send_arm(struct net_client *c);          /* true: there are completions to take */

/* meta.c */
int ncli_meta_check_send(const struct net_piece *pieces, uint32_t count, const struct net_meta *meta);
bool ncli_meta_can_send(uint32_t features, const struct net_meta *meta);
bool ncli_meta_check_received(const struct net_meta *meta, uint32_t bytes, uint32_t features);
void ncli_meta_make_bare(uint8_t *headers, uint32_t header_bytes, uint32_t packet_bytes,
			 const struct net_meta *meta);

#endif
