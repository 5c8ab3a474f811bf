/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Protocol between a network driver and its client (through lib/netcli).
 *
 * NET_OPEN is a call on the driver's port and makes a session: the client
 * brings fresh ring memory, one or two pools and an event; it gets the session
 * object and the driver's doorbell event. From then on packets travel as
 * descriptors in four rings (lib/ring) in the ring memory; their bytes go by DMA
 * between the device and the pools. A driver has one session at a time. It ends
 * when the last handle of its object is closed, or when the driver dies: the
 * object turns X_READY_DEAD and the client opens a new session with new ring
 * memory. The call waits in the port's queue until there is a driver to answer.
 *
 *   RX_POST  client -> driver  empty buffers
 *   RX_DONE  driver -> client  buffers with what arrived
 *   TX       client -> driver  packets to send, in this order
 *   TX_DONE  driver -> client  packets that the device is done with
 *
 * A receive buffer is the driver's from its publication in RX_POST until its id
 * comes back in RX_DONE, and a packet's pieces from their publication in TX
 * until its id comes back in TX_DONE. Meanwhile the device may read and, if they
 * are receive buffers, write any byte of them. After the death of a driver they
 * are the client's again (the kernel has stopped the device).
 *
 * At most NET_SLOTS receive buffers, and packets of at most NET_SLOTS pieces in
 * all, are out at a time, so no ring can overflow. The client releases RX_DONE
 * and TX_DONE before it publishes more. Who breaks this, names a wrong
 * generation, or an id that is in use, is dropped: its object turns X_READY_HUP.
 * A packet that is only wrong in itself comes back with a status.
 *
 * A packet of several pieces is consecutive descriptors, all but the last marked
 * NET_MORE. Metadata stands in its first one, and so does its id. On the wire a
 * packet begins with the Ethernet header; no frame check sequence.
 *
 * Nothing is promised about delivery: a packet that is out when the driver dies
 * may have been sent or not, and the client sends it again.
 */
#ifndef PROTO_NET_H
#define PROTO_NET_H

#include <stddef.h>
#include <xinim/abi.h>

enum net_call {
	NET_OPEN = 0xd00, /* on the port. a[0] generation, a[1] pools (1 or 2), a[2], a[3] bytes of each;
	                    handle[0] ring memory (NET_RING_BYTES, zeroed), [1] event (X_R_WRITE),
	                    [2], [3] pools (contiguous; READ | WRITE)
	                    -> handle[0] session object, [1] doorbell event;
	                    a[0] MAC address (byte 0 first, i.e. lowest), a[1] MTU | NET_F_* << 32,
	                    a[2] least | best bytes of a receive buffer << 32,
	                    a[3] most bytes of a packet to send | most pieces of one << 32,
	                    a[4..5] name, NUL padded
	                    -X_EBUSY there is a session, -X_EINVAL, -X_ENOMEM */
	NET_CONFIGURE,   /* on the session. Replaces the whole configuration, which is NET_MODE_*
	                    a[0], own MAC address a[1] (0: the device's), and in win0 (read) the
	                    multicast addresses to receive, 6 bytes each, at most NET_FILTER_MAX
	                    -> 0, -X_EINVAL, -X_EOPNOTSUPP (the MAC can't be changed), -X_EIO */
	NET_LIST,        /* on the port. win0 (write): text, state and counts -> length */
};

/* NET_F_*: what the device does for its client. */
#define NET_F_TX_CSUM  0x001u /* NET_CSUM_PARTIAL of packets to send */
#define NET_F_TX_TSO4  0x002u /* cuts TCP over IPv4; needs TX_CSUM */
#define NET_F_TX_TSO6  0x004u
#define NET_F_TX_ECN   0x008u /* cuts packets with CWR set (NET_GSO_ECN) */
#define NET_F_RX_CSUM  0x010u /* may say NET_CSUM_VALID or NET_CSUM_PARTIAL of what arrives */
#define NET_F_RX_GSO   0x020u /* may join TCP segments, up to 64 KiB; never without RX_CSUM */
#define NET_F_RX_CHAIN 0x040u /* a packet may fill several receive buffers */
#define NET_F_TSO_BARE 0x080u /* wants packets to cut prepared as the E1000 does: TCP checksum field
                                 without the length, IP length and IPv4 checksum 0 (lib/netcli
                                 does that; its user prepares all packets the same way) */
#define NET_F_MULTICAST 0x100u /* filters by address; else all multicast arrives */

/* NET_MODE_*: what to receive. Own unicast and broadcast always are. */
#define NET_MODE_PROMISCUOUS   1u
#define NET_MODE_ALL_MULTICAST 2u

#define NET_FILTER_MAX 64u

/* Bits of the client's event, and the bit of the doorbell. */
#define NET_EVENT_RING   1u
#define NET_EVENT_STATUS 2u /* the status page changed: link or announcements */

/* Flags of descriptors. */
#define NET_MORE         1u /* the packet goes on in the next one */
#define NET_CSUM_PARTIAL 2u /* the field at csum_start + csum_offset holds the pseudo-header's sum (not
                               inverted); sum from csum_start to the end and store it there. When
                               sending: the device is to do it. When receiving: the packet never was
                               on a wire, nobody did it, and there is no need to */
#define NET_CSUM_VALID   4u /* RX: the device has verified the transport's checksum */

/* gso_type, as virtio has them. */
#define NET_GSO_NONE  0u
#define NET_GSO_TCPV4 1u
#define NET_GSO_TCPV6 4u
#define NET_GSO_ECN   0x80u /* or-ed: the CWR flag is for the first segment only */

struct net_rx_post {
	uint32_t generation;
	uint32_t id;             /* < NET_SLOTS, not in use */
	uint64_t pool_offset;    /* multiple of 16 */
	uint32_t length_bytes;
	uint32_t pool;           /* 0 or 1 */
};

struct net_rx_done {
	uint32_t generation, id; /* as posted; any order */
	uint32_t offset_bytes;   /* of the data from the buffer's beginning */
	uint32_t length_bytes;   /* 0 (alone, no NET_MORE): the buffer comes back unused */
	uint16_t flags;
	/* in the first of a packet, else 0; offsets from the packet's beginning */
	uint16_t csum_start, csum_offset;
	uint16_t gso_size;       /* payload bytes of a segment, 0 if gso_type is NONE */
	uint16_t hdr_len;        /* a hint, may be 0: bytes of all headers */
	uint8_t gso_type, reserved8;
	uint32_t reserved;
};

struct net_tx {
	uint32_t generation;
	uint32_t id;             /* < NET_SLOTS, not in use; only of the first counts */
	uint64_t pool_offset;
	uint32_t length_bytes;   /* not 0 */
	uint16_t flags;
	/* only of the first count */
	uint16_t csum_start, csum_offset;
	uint16_t gso_size;
	uint16_t hdr_len;        /* exact if gso_type is not NONE */
	uint8_t gso_type;
	uint8_t pool;
};

struct net_tx_done {
	uint32_t generation, id;
	int32_t status;          /* 0: given to the wire; -X_EINVAL: not to be sent; -X_EIO: the device
	                            could not */
	uint32_t reserved;
};

/* Counts since the driver's start; a word each, stored at once. */
struct net_counters {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_dropped;     /* no buffer was there */
	uint64_t rx_errors, tx_errors;
	uint64_t rx_multicast;   /* where the device tells */
};

/* At NET_STATUS_OFFSET, written by the driver only. */
struct net_status {
	uint32_t link_up;        /* 0 or 1 */
	uint32_t speed_mbit;     /* 0: not known */
	uint32_t announcements;  /* rises when the client should announce its addresses on the wire
	                            (the host has moved us) */
	uint32_t reserved;
	struct net_counters counters;
};

#define NET_SLOTS          1024u
/* No more packets and bytes than these under way are little: neither side need be woken to hear that they were
 * sent. It looks when it runs next, and after the time. */
#define NET_LITTLE_PACKETS 8u
#define NET_LITTLE_BYTES   16384u
#define NET_LITTLE_NS      100000000u
#define NET_STATUS_OFFSET  0u
#define NET_RX_POST_OFFSET 0x1000u
#define NET_RX_DONE_OFFSET 0x8000u
#define NET_TX_OFFSET      0x11000u
#define NET_TX_DONE_OFFSET 0x1a000u
#define NET_RING_BYTES     0x1f000u
#define NET_POOLS_MAX      2u
#define NET_PIECES_MAX     32u     /* of a packet, either way; a driver may say less for sending */
#define NET_PACKET_MAX     65562u  /* 65,535 of IPv4, rounded up with headers of Ethernet and VLAN */

_Static_assert(sizeof(struct net_rx_post) == 24, "struct net_rx_post");
_Static_assert(sizeof(struct net_rx_done) == 32, "struct net_rx_done");
_Static_assert(sizeof(struct net_tx) == 32, "struct net_tx");
_Static_assert(sizeof(struct net_tx_done) == 16, "struct net_tx_done");
_Static_assert(offsetof(struct net_status, counters) == 16, "struct net_status");
_Static_assert(NET_RX_POST_OFFSET + 256 + NET_SLOTS * 24 <= NET_RX_DONE_OFFSET, "RX_POST fits");
_Static_assert(NET_RX_DONE_OFFSET + 256 + NET_SLOTS * 32 <= NET_TX_OFFSET, "RX_DONE fits");
_Static_assert(NET_TX_OFFSET + 256 + NET_SLOTS * 32 <= NET_TX_DONE_OFFSET, "TX fits");
_Static_assert(NET_TX_DONE_OFFSET + 256 + NET_SLOTS * 16 <= NET_RING_BYTES, "TX_DONE fits");

#endif
