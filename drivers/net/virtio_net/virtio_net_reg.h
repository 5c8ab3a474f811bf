/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio network devices: what the specification lays down (OASIS virtio 1.2,
 * section 5.1). All fields are little-endian.
 */
#ifndef VIRTIO_NET_REG_H
#define VIRTIO_NET_REG_H

#include <stdint.h>

/* 5.1.3 feature bits */
#define VIRTIO_NET_F_CSUM           (1ull << 0)  /* device completes checksums of what we send */
#define VIRTIO_NET_F_GUEST_CSUM     (1ull << 1)  /* we take packets with partial checksums */
#define VIRTIO_NET_F_MTU            (1ull << 3)
#define VIRTIO_NET_F_MAC            (1ull << 5)
#define VIRTIO_NET_F_GUEST_TSO4     (1ull << 7)
#define VIRTIO_NET_F_GUEST_TSO6     (1ull << 8)
#define VIRTIO_NET_F_GUEST_ECN      (1ull << 9)
#define VIRTIO_NET_F_HOST_TSO4      (1ull << 11)
#define VIRTIO_NET_F_HOST_TSO6      (1ull << 12)
#define VIRTIO_NET_F_HOST_ECN       (1ull << 13)
#define VIRTIO_NET_F_MRG_RXBUF      (1ull << 15)
#define VIRTIO_NET_F_STATUS         (1ull << 16)
#define VIRTIO_NET_F_CTRL_VQ        (1ull << 17)
#define VIRTIO_NET_F_CTRL_RX        (1ull << 18)
#define VIRTIO_NET_F_GUEST_ANNOUNCE (1ull << 21)
#define VIRTIO_NET_F_CTRL_MAC_ADDR  (1ull << 23)
#define VIRTIO_NET_F_SPEED_DUPLEX   (1ull << 63)

/* 5.1.4 configuration */
struct virtio_net_config {
	uint8_t mac[6];
	uint16_t status;
	uint16_t max_virtqueue_pairs;
	uint16_t mtu;
	uint32_t speed;          /* Mbit/s, 0xffffffff: not known */
	uint8_t duplex;
} __attribute__((packed));
_Static_assert(sizeof(struct virtio_net_config) == 17, "struct virtio_net_config");

#define VIRTIO_NET_S_LINK_UP  1u
#define VIRTIO_NET_S_ANNOUNCE 2u

/* 5.1.2 queues, without VIRTIO_NET_F_MQ */
#define VIRTIO_NET_QUEUE_RX   0u
#define VIRTIO_NET_QUEUE_TX   1u
#define VIRTIO_NET_QUEUE_CTRL 2u

/* 5.1.6 header before each packet */
struct virtio_net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	uint16_t num_buffers;    /* receiving, with MRG_RXBUF */
};
_Static_assert(sizeof(struct virtio_net_hdr) == 12, "struct virtio_net_hdr");

#define VIRTIO_NET_HDR_F_NEEDS_CSUM 1u
#define VIRTIO_NET_HDR_F_DATA_VALID 2u
#define VIRTIO_NET_HDR_GSO_NONE  0u
#define VIRTIO_NET_HDR_GSO_TCPV4 1u
#define VIRTIO_NET_HDR_GSO_TCPV6 4u
#define VIRTIO_NET_HDR_GSO_ECN   0x80u

/* 5.1.6.5 control queue: class and command, data, and the device's answer */
struct virtio_net_ctrl { uint8_t class, command; };

#define VIRTIO_NET_OK 0u

#define VIRTIO_NET_CTRL_RX            0u
#define VIRTIO_NET_CTRL_RX_PROMISC    0u /* data: 1 byte, on or off */
#define VIRTIO_NET_CTRL_RX_ALLMULTI   1u
#define VIRTIO_NET_CTRL_MAC           1u
#define VIRTIO_NET_CTRL_MAC_TABLE_SET 0u /* data: table of unicast, table of multicast addresses,
                                            each a 32-bit count and 6 bytes each */
#define VIRTIO_NET_CTRL_MAC_ADDR_SET  1u /* data: 6 bytes */
#define VIRTIO_NET_CTRL_ANNOUNCE      3u
#define VIRTIO_NET_CTRL_ANNOUNCE_ACK  0u /* no data */

#endif
