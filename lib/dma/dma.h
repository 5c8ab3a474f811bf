/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for devices, on the driver's side.
 *
 * A dma_buffer is one run of zeroed memory, contiguous for the device, mapped
 * into the driver and into its device's domain at once. A dma_pool cuts a
 * buffer into objects of one size. A dma_import is somebody else's memory
 * object (a client's pool) mapped for the device only.
 *
 * `iova` is what the device is told; it equals the physical address where
 * there is no IOMMU. x86 is coherent: dma_sync_* only order.
 *
 * Frames mapped for a device stay pinned until the device is taken from the
 * driver: freeing gives back addresses, and keeps the run for the next
 * dma_alloc that it fits. Everything comes back when the driver dies.
 * Nothing here blocks; one thread only.
 */
#ifndef LIB_DMA_H
#define LIB_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xinim/abi.h>

#define DMA_BELOW_4G  1u /* the iova fits 32 bits */
#define DMA_BELOW_16M 2u

struct dma_buffer {
	uint8_t *virt;
	uint64_t iova;
	uint64_t bytes;      /* as mapped: rounded up to pages */
	x_handle_t device, memory;
};

struct dma_stats {
	uint64_t allocated_bytes;  /* in use now */
	uint64_t kept_bytes;       /* freed, kept for reuse */
	uint32_t buffers, kept, failures;
};

/* align: power of two, 0 = page. 0, -X_ENOMEM, -X_EINVAL, -X_EIO (not
 * contiguous for the device), or the kernel's error. */
int dma_alloc(x_handle_t device, uint64_t bytes, uint64_t align, uint32_t flags, struct dma_buffer *b);
void dma_free(struct dma_buffer *b); /* the device must be done with it */
const struct dma_stats *dma_stats(void);

/* Device address of a byte of the buffer, and back (NULL: not in it). */
uint64_t dma_iova(const struct dma_buffer *b, const void *virt);
void *dma_virt(const struct dma_buffer *b, uint64_t iova);

/* Before telling the device of memory we wrote; before reading what it wrote. */
static inline void dma_sync_for_device(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
static inline void dma_sync_for_cpu(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }

/* ---- objects of one size ---- */
#define DMA_POOL_OBJECTS_MAX 1024u
struct dma_pool {
	struct dma_buffer buffer;
	uint32_t object_bytes, count, free_count;
	uint16_t free[DMA_POOL_OBJECTS_MAX];           /* stack of free indices */
	uint64_t used[DMA_POOL_OBJECTS_MAX / 64];      /* catches double frees */
};

/* COUNT objects (at most DMA_POOL_OBJECTS_MAX) in one buffer: as dma_alloc(). */
int dma_pool_init(struct dma_pool *p, x_handle_t device, uint32_t object_bytes, uint32_t align,
		  uint32_t count, uint32_t flags);
int dma_pool_get(struct dma_pool *p);                  /* index, or -X_EAGAIN */
int dma_pool_put(struct dma_pool *p, uint32_t index);  /* -X_EINVAL if not in use */
void *dma_pool_virt(struct dma_pool *p, uint32_t index);
uint64_t dma_pool_iova(struct dma_pool *p, uint32_t index);
void dma_pool_destroy(struct dma_pool *p);

/* ---- memory of others ---- */
#define DMA_IMPORT_SEGMENTS 16u
struct dma_import {
	uint64_t bytes;
	uint32_t count;
	struct x_dma_segment segments[DMA_IMPORT_SEGMENTS];
};

/* 0, -X_EINVAL (not page sized, or too scattered), or the kernel's error. */
int dma_import(x_handle_t device, x_handle_t memory, uint64_t bytes, struct dma_import *import);
void dma_import_drop(struct dma_import *import);       /* the frames stay pinned, see above */
/* The device's segments of [offset, offset + bytes), neighbours joined; their
 * number, -X_EINVAL if out of bounds, -X_E2BIG if more than max. */
int dma_import_translate(const struct dma_import *import, uint64_t offset, uint64_t bytes,
			 struct x_dma_segment *segments, uint32_t max);

#endif
