/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Objects of one size in memory for devices (contract in dma.h).
 */
#include "lib/dma/dma.h"

#include <xinim/error.h>

int dma_pool_init(struct dma_pool *p, x_handle_t device, uint32_t object_bytes, uint32_t align,
		  uint32_t count, uint32_t flags)
{
	int err;

	if (!align)
		align = 8;
	if (!object_bytes || (align & (align - 1)) || !count || count > DMA_POOL_OBJECTS_MAX ||
	    object_bytes > 1u << 24)
		return -X_EINVAL;
	*p = (struct dma_pool){ .object_bytes = (object_bytes + align - 1) & ~(align - 1),
				.count = count, .free_count = count };
	err = dma_alloc(device, (uint64_t)p->object_bytes * count, align, flags, &p->buffer);
	if (err)
		return err;
	for (uint32_t i = 0; i < count; i++)
		p->free[i] = count - 1 - i;
	return 0;
}

int dma_pool_get(struct dma_pool *p)
{
	uint32_t index;

	if (!p->free_count)
		return -X_EAGAIN;
	index = p->free[--p->free_count];
	p->used[index / 64] |= 1ull << (index % 64);
	return index;
}

int dma_pool_put(struct dma_pool *p, uint32_t index)
{
	if (index >= p->count || !(p->used[index / 64] & 1ull << (index % 64)))
		return -X_EINVAL;
	p->used[index / 64] &= ~(1ull << (index % 64));
	p->free[p->free_count++] = index;
	return 0;
}

void *dma_pool_virt(struct dma_pool *p, uint32_t index)
{
	return p->buffer.virt + (uint64_t)index * p->object_bytes;
}

uint64_t dma_pool_iova(struct dma_pool *p, uint32_t index)
{
	return p->buffer.iova + (uint64_t)index * p->object_bytes;
}

void dma_pool_destroy(struct dma_pool *p)
{
	dma_free(&p->buffer);
	*p = (struct dma_pool){ 0 };
}
