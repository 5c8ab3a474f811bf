/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtual I/O devices: what the specification lays down (OASIS virtio 1.2;
 * sections named below). All fields are little-endian.
 */
#ifndef LIB_VIRTIO_REG_H
#define LIB_VIRTIO_REG_H

#include <stddef.h>
#include <stdint.h>

/* 2.1 device status */
#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER      2u
#define VIRTIO_STATUS_DRIVER_OK   4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_NEEDS_RESET 64u
#define VIRTIO_STATUS_FAILED      128u

/* 6 reserved feature bits */
#define VIRTIO_F_INDIRECT_DESC   (1ull << 28)
#define VIRTIO_F_EVENT_IDX       (1ull << 29)
#define VIRTIO_F_VERSION_1       (1ull << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ull << 33)
#define VIRTIO_F_RING_PACKED     (1ull << 34)
#define VIRTIO_F_ORDER_PLATFORM  (1ull << 36)

/* 2.7 split virtqueues */
#define VIRTQ_DESC_NEXT     1u
#define VIRTQ_DESC_WRITE    2u /* the device writes it */
#define VIRTQ_DESC_INDIRECT 4u
#define VIRTQ_AVAIL_NO_INTERRUPT 1u
#define VIRTQ_USED_NO_NOTIFY     1u

struct virtq_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct virtq_avail {
	uint16_t flags, idx;
	uint16_t ring[]; /* queue size entries, then used_event */
};

/* 2.8 packed virtqueues */
#define VIRTQ_DESC_AVAIL (1u << 7)
#define VIRTQ_DESC_USED  (1u << 15)

struct virtq_packed_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

struct virtq_packed_event { /* 2.8.14 */
	uint16_t place; /* descriptor | wrap counter << 15, for VIRTQ_EVENT_PLACE */
	uint16_t flags; /* VIRTQ_EVENT_* */
};
#define VIRTQ_EVENT_ALWAYS 0u
#define VIRTQ_EVENT_NEVER  1u
#define VIRTQ_EVENT_PLACE  2u

struct virtq_used_elem { uint32_t id, len; };

struct virtq_used {
	uint16_t flags, idx;
	struct virtq_used_elem ring[]; /* queue size entries, then avail_event (16 bits) */
};

_Static_assert(sizeof(struct virtq_desc) == 16, "struct virtq_desc");
_Static_assert(sizeof(struct virtq_used_elem) == 8, "struct virtq_used_elem");
_Static_assert(sizeof(struct virtq_packed_desc) == 16, "struct virtq_packed_desc");

/* 4.1 virtio over PCI */
#define VIRTIO_PCI_VENDOR 0x1af4u

#define PCI_STATUS              0x06u
#define PCI_STATUS_CAPABILITIES 0x10u
#define PCI_CAPABILITIES        0x34u
#define PCI_CAP_VENDOR          0x09u

enum virtio_pci_cap_type {
	VIRTIO_PCI_CAP_COMMON = 1, VIRTIO_PCI_CAP_NOTIFY, VIRTIO_PCI_CAP_ISR, VIRTIO_PCI_CAP_DEVICE,
	VIRTIO_PCI_CAP_PCI,
};

/* 4.1.4 offsets in the vendor capability */
#define VIRTIO_CAP_LEN         2u
#define VIRTIO_CAP_TYPE        3u
#define VIRTIO_CAP_BAR         4u
#define VIRTIO_CAP_OFFSET      8u
#define VIRTIO_CAP_LENGTH      12u
#define VIRTIO_CAP_NOTIFY_MULT 16u

/* 4.1.4.3 common configuration */
struct virtio_pci_common {
	uint32_t device_feature_select, device_feature;
	uint32_t driver_feature_select, driver_feature;
	uint16_t config_msix_vector, num_queues;
	uint8_t device_status, config_generation;
	uint16_t queue_select, queue_size, queue_msix_vector, queue_enable, queue_notify_off;
	uint32_t queue_desc_lo, queue_desc_hi;
	uint32_t queue_driver_lo, queue_driver_hi;
	uint32_t queue_device_lo, queue_device_hi;
};
_Static_assert(sizeof(struct virtio_pci_common) == 56, "struct virtio_pci_common");
_Static_assert(offsetof(struct virtio_pci_common, queue_desc_lo) == 32, "queue_desc");

#define VIRTIO_NO_VECTOR 0xffffu

/* 4.1.4.5 ISR status: reading clears */
#define VIRTIO_ISR_QUEUE  1u
#define VIRTIO_ISR_CONFIG 2u

#endif
