/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory in small pieces, of a few sizes, cut from chunks of 64 KiB that are
 * never given back to the system. A piece has a number: its chunk and its
 * place in that, in units of 16 bytes.
 */

#include "fs/tmpfs/tmpfs.h"

#include "lib/ipc/server.h"

enum { CHUNK_BYTES = 64 * 1024, CHUNKS_MAX = 1 << 14, UNIT = 16, CLASSES = 6 };

static const uint16_t class_bytes[CLASSES] = { 48, 96, 160, 288, 1024, 4096 };

static uint8_t *chunks[CHUNKS_MAX];
static uint32_t chunk_count, chunk_used;
static uint32_t free_piece[CLASSES];    /* list, through the first word */

extern struct fsys *const volume;

void *heap_at(uint32_t piece)
{
	return chunks[piece >> 12] + (piece & 0xfff) * UNIT;
}

static uint32_t class_of(uint32_t bytes)
{
	uint32_t i = 0;

	while (class_bytes[i] < bytes)
		i++;
	return i;
}

static bool new_chunk(void)
{
	if (chunk_count == CHUNKS_MAX ||
	    volume->pages_used + CHUNK_BYTES / TMPFS_PAGE > volume->pages_max)
		return false;
	chunks[chunk_count++] = server_memory(CHUNK_BYTES);
	chunk_used = chunk_count == 1 ? UNIT : 0;       /* number 0 is none */
	volume->pages_used += CHUNK_BYTES / TMPFS_PAGE;
	return true;
}

uint32_t heap_alloc(uint32_t bytes)
{
	uint32_t class = class_of(bytes), size = class_bytes[class];
	uint32_t piece = free_piece[class];

	if (piece) {
		free_piece[class] = *(uint32_t *)heap_at(piece);
	} else {
		if ((!chunk_count || chunk_used + size > CHUNK_BYTES) && !new_chunk())
			return 0;
		piece = (chunk_count - 1) << 12 | chunk_used / UNIT;
		chunk_used += size;
	}
	memset(heap_at(piece), 0, size);
	return piece;
}

void heap_free(uint32_t piece, uint32_t bytes)
{
	uint32_t class = class_of(bytes);

	if (!piece)
		return;
	*(uint32_t *)heap_at(piece) = free_piece[class];
	free_piece[class] = piece;
}
