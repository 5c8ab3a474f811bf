/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Clients' memory mapped for our device (contract in dma.h).
 */
#include "lib/dma/dma.h"

#include <xinim/syscall.h>

static uint64_t imported_bytes(const struct dma_import *import)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < import->count; i++) {
		if (!import->segments[i].bytes || import->segments[i].bytes > import->bytes - sum)
			return 0;
		sum += import->segments[i].bytes;
	}
	return sum;
}

int dma_import(x_handle_t device, x_handle_t memory, uint64_t bytes, struct dma_import *import)
{
	struct x_dma_map map = {
		.device = device, .memory = memory, .len = bytes,
		.segments = (uint64_t)(uintptr_t)import->segments, .segment_max = DMA_IMPORT_SEGMENTS,
	};
	int64_t err;

	*import = (struct dma_import){ .bytes = bytes };
	if (!bytes || bytes % X_PAGE_SIZE)
		return -X_EINVAL;
	err = x_dma_map(&map);
	if (err < 0)
		return err;
	if (map.segment_count > DMA_IMPORT_SEGMENTS)
		return -X_EINVAL;
	import->count = map.segment_count;
	return imported_bytes(import) == bytes ? 0 : -X_EINVAL;
}

void dma_import_drop(struct dma_import *import)
{
	*import = (struct dma_import){ 0 };
}

static int append(struct x_dma_segment *segments, uint32_t count, uint32_t max, uint64_t iova, uint64_t bytes)
{
	if (count && segments[count - 1].iova + segments[count - 1].bytes == iova) {
		segments[count - 1].bytes += bytes;
		return count;
	}
	if (count == max)
		return -X_E2BIG;
	segments[count] = (struct x_dma_segment){ iova, bytes };
	return count + 1;
}

int dma_import_translate(const struct dma_import *import, uint64_t offset, uint64_t bytes,
			 struct x_dma_segment *segments, uint32_t max)
{
	int count = 0;

	if (bytes > import->bytes || offset > import->bytes - bytes)
		return -X_EINVAL;
	for (uint32_t i = 0; i < import->count && bytes; i++) {
		const struct x_dma_segment *s = &import->segments[i];
		uint64_t part;

		if (offset >= s->bytes) {
			offset -= s->bytes;
			continue;
		}
		part = s->bytes - offset < bytes ? s->bytes - offset : bytes;
		count = append(segments, count, max, s->iova + offset, part);
		if (count < 0)
			return count;
		bytes -= part;
		offset = 0;
	}
	return count;
}
