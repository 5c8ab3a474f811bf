/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for devices: buffers (contract in dma.h).
 */
#include "lib/dma/dma.h"

#include "lib/c/string.h"
#include <xinim/syscall.h>

#define KEPT_MAX 16u

static struct {
	struct dma_stats stats;
	struct dma_buffer kept[KEPT_MAX]; /* freed runs, still mapped for the device */
} dma;

const struct dma_stats *dma_stats(void)
{
	return &dma.stats;
}

static uint64_t page_round(uint64_t bytes)
{
	return (bytes + X_PAGE_SIZE - 1) & ~(uint64_t)(X_PAGE_SIZE - 1);
}

static uint64_t iova_limit(uint32_t flags)
{
	if (flags & DMA_BELOW_16M)
		return 1u << 24;
	return flags & DMA_BELOW_4G ? 1ull << 32 : UINT64_MAX;
}

static bool suits(const struct dma_buffer *b, uint64_t align, uint32_t flags)
{
	return !(b->iova & (align - 1)) && b->bytes <= iova_limit(flags) &&
	       b->iova <= iova_limit(flags) - b->bytes;
}

static bool take_kept(x_handle_t device, uint64_t bytes, uint64_t align, uint32_t flags, struct dma_buffer *out)
{
	for (uint32_t i = 0; i < KEPT_MAX; i++) {
		struct dma_buffer *b = &dma.kept[i];

		if (!b->bytes || b->device != device || b->bytes != bytes || !suits(b, align, flags))
			continue;
		*out = *b;
		*b = (struct dma_buffer){ 0 };
		dma.stats.kept--;
		dma.stats.kept_bytes -= bytes;
		memset(out->virt, 0, bytes);
		return true;
	}
	return false;
}

static int map_for_device(struct dma_buffer *b)
{
	struct x_dma_segment segment = { 0 };
	struct x_dma_map map = {
		.device = b->device, .memory = b->memory, .offset = 0, .len = b->bytes,
		.segments = (uint64_t)(uintptr_t)&segment, .segment_max = 1,
	};
	int64_t err = x_dma_map(&map);

	if (err < 0)
		return err;
	if (map.segment_count != 1 || segment.bytes < b->bytes)
		return -X_EIO;
	b->iova = segment.iova;
	return 0;
}

static int make(x_handle_t device, uint64_t bytes, uint64_t align, uint32_t flags, struct dma_buffer *b)
{
	struct x_mem_create create = {
		.bytes = bytes, .align = align,
		.flags = X_MEM_CONTIGUOUS | (flags & DMA_BELOW_4G ? X_MEM_BELOW_4G : 0) |
			 (flags & DMA_BELOW_16M ? X_MEM_BELOW_16M : 0),
	};
	struct x_mem_map map = {
		.space = X_SELF, .len = bytes, .prot = X_PROT_READ | X_PROT_WRITE,
	};
	int64_t memory = x_mem_create(&create), virt, err;

	if (memory < 0)
		return memory;
	map.memory = memory;
	virt = x_mem_map(&map);
	if (virt < 0) {
		err = virt;
		goto close;
	}
	*b = (struct dma_buffer){ .virt = (void *)virt, .bytes = bytes, .device = device, .memory = memory };
	err = map_for_device(b);
	if (!err && !suits(b, align, flags))
		err = -X_EIO;
	if (!err)
		return 0;
	x_mem_unmap(X_SELF, virt, bytes);
close:
	x_handle_close(memory);
	*b = (struct dma_buffer){ 0 };
	return err;
}

int dma_alloc(x_handle_t device, uint64_t bytes, uint64_t align, uint32_t flags, struct dma_buffer *b)
{
	int err = 0;

	if (!align)
		align = X_PAGE_SIZE;
	if (!bytes || bytes > 1ull << 40 || (align & (align - 1)))
		return -X_EINVAL;
	if (align < X_PAGE_SIZE)
		align = X_PAGE_SIZE;
	bytes = page_round(bytes);
	if (!take_kept(device, bytes, align, flags, b))
		err = make(device, bytes, align, flags, b);
	if (err) {
		dma.stats.failures++;
		return err;
	}
	dma.stats.buffers++;
	dma.stats.allocated_bytes += bytes;
	return 0;
}

void dma_free(struct dma_buffer *b)
{
	if (!b->bytes)
		return;
	dma.stats.buffers--;
	dma.stats.allocated_bytes -= b->bytes;
	for (uint32_t i = 0; i < KEPT_MAX; i++) {
		if (dma.kept[i].bytes)
			continue;
		dma.kept[i] = *b;
		dma.stats.kept++;
		dma.stats.kept_bytes += b->bytes;
		*b = (struct dma_buffer){ 0 };
		return;
	}
	x_mem_unmap(X_SELF, (uint64_t)(uintptr_t)b->virt, b->bytes);
	x_handle_close(b->memory);
	*b = (struct dma_buffer){ 0 };
}

uint64_t dma_iova(const struct dma_buffer *b, const void *virt)
{
	return b->iova + (uint64_t)((const uint8_t *)virt - b->virt);
}

void *dma_virt(const struct dma_buffer *b, uint64_t iova)
{
	return iova - b->iova < b->bytes ? b->virt + (iova - b->iova) : NULL;
}
