/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Block devices of virtio 1.2, section 5.2. Little-endian.
 */
#ifndef VIRTIO_BLK_REG_H
#define VIRTIO_BLK_REG_H

#include <stddef.h>
#include <stdint.h>

/* 5.2.3 feature bits */
#define VIRTIO_BLK_F_SIZE_MAX   (1ull << 1)
#define VIRTIO_BLK_F_SEG_MAX    (1ull << 2)
#define VIRTIO_BLK_F_RO         (1ull << 5)
#define VIRTIO_BLK_F_BLK_SIZE   (1ull << 6)
#define VIRTIO_BLK_F_FLUSH      (1ull << 9)
#define VIRTIO_BLK_F_TOPOLOGY   (1ull << 10)
#define VIRTIO_BLK_F_CONFIG_WCE (1ull << 11)
#define VIRTIO_BLK_F_MQ         (1ull << 12)
#define VIRTIO_BLK_F_DISCARD    (1ull << 13)
#define VIRTIO_BLK_F_WRITE_ZEROES (1ull << 14)

#define VIRTIO_BLK_SECTOR_BYTES 512u /* unit of capacity and request offsets, always */

/* 5.2.4 device configuration */
struct virtio_blk_config {
	uint64_t capacity;              /* sectors */
	uint32_t size_max, seg_max;     /* bytes of a segment; segments of a request */
	uint16_t cylinders;
	uint8_t heads, sectors;
	uint32_t blk_size;
	uint8_t physical_block_exp;     /* TOPOLOGY: logical blocks in a physical one, log2 */
	uint8_t alignment_offset;
	uint16_t min_io_size;
	uint32_t opt_io_size;
	uint8_t writeback;              /* CONFIG_WCE: 1 = there is a volatile cache */
	uint8_t reserved;
	uint16_t num_queues;            /* MQ */
	uint32_t max_discard_sectors, max_discard_seg, discard_sector_alignment;
	uint32_t max_write_zeroes_sectors, max_write_zeroes_seg;
	uint8_t write_zeroes_may_unmap;
	uint8_t reserved2[3];
} __attribute__((packed));
_Static_assert(sizeof(struct virtio_blk_config) == 60, "virtio_blk_config");
_Static_assert(offsetof(struct virtio_blk_config, blk_size) == 20, "virtio_blk_config");
_Static_assert(offsetof(struct virtio_blk_config, writeback) == 32, "virtio_blk_config");

/* 5.2.6 requests: this header, data, one status byte */
#define VIRTIO_BLK_T_IN     0u
#define VIRTIO_BLK_T_OUT    1u
#define VIRTIO_BLK_T_FLUSH  4u
#define VIRTIO_BLK_T_GET_ID 8u
#define VIRTIO_BLK_T_DISCARD 11u      /* data: ranges */
#define VIRTIO_BLK_T_WRITE_ZEROES 13u /* data: ranges */

struct virtio_blk_header {
	uint32_t type, reserved;
	uint64_t sector;
};
_Static_assert(sizeof(struct virtio_blk_header) == 16, "struct virtio_blk_header");

struct virtio_blk_range {
	uint64_t sector;
	uint32_t sectors, flags;
};
_Static_assert(sizeof(struct virtio_blk_range) == 16, "struct virtio_blk_range");
#define VIRTIO_BLK_RANGE_UNMAP 1u

#define VIRTIO_BLK_ID_BYTES 20u

#define VIRTIO_BLK_S_OK     0u
#define VIRTIO_BLK_S_IOERR  1u
#define VIRTIO_BLK_S_UNSUPP 2u

#endif
