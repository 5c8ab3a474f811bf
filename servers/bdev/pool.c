/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The memory that data passes through on its way between a program and a disk:
 * one contiguous object, in chunks. Runs of chunks are preferred: fewer extents
 * for the device, fewer copies.
 */
#include "servers/bdev/bdev.h"

enum { POOL_BYTES_MIN = 1 << 20, POOL_BYTES_MAX = CHUNKS_MAX * CHUNK_BYTES };

static struct {
	x_handle_t memory;
	uint64_t bytes;
	uint8_t *at;
	uint32_t chunks, free_count, next;
	uint8_t used[CHUNKS_MAX];
} pool = { .memory = X_NO_HANDLE };

static int make(uint64_t bytes)
{
	struct x_mem_create create = { .bytes = bytes, .flags = X_MEM_CONTIGUOUS };
	struct x_mem_map map = {
		.space = X_SELF, .len = bytes, .prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_WIRED,
	};
	int64_t memory = x_mem_create(&create), at;

	if (memory < 0)
		return (int)memory;
	map.memory = (x_handle_t)memory;
	at = x_mem_map(&map);
	if (at < 0) {
		x_handle_close((x_handle_t)memory);
		return (int)at;
	}
	pool.memory = (x_handle_t)memory;
	pool.bytes = bytes;
	pool.at = (uint8_t *)at;
	pool.chunks = pool.free_count = (uint32_t)(bytes / CHUNK_BYTES);
	return 0;
}

/* At most a sixteenth of what is free. */
int pool_init(void)
{
	struct x_system_info info;
	uint64_t bytes = POOL_BYTES_MAX, limit = 0;
	int err = -X_ENOMEM;

	if (pool.bytes)
		return 0;
	if (x_system_info(&info) == 0)
		limit = info.free_bytes / 16;
	while (bytes > POOL_BYTES_MIN && bytes > limit)
		bytes /= 2;
	for (; err && bytes >= POOL_BYTES_MIN; bytes /= 2)
		err = make(bytes);
	return err;
}

x_handle_t pool_memory(void) { return pool.memory; }
uint64_t pool_bytes(void) { return pool.bytes; }
uint8_t *pool_at(uint64_t offset) { return pool.at + offset; }

/* First chunk of a free run of `count`, from `next` on; chunks if there is none. */
static uint32_t find_run(uint32_t count)
{
	uint32_t run = 0;

	for (uint32_t i = 0; i < 2 * pool.chunks; i++) {
		uint32_t chunk = (pool.next + i) % pool.chunks;

		run = pool.used[chunk] || !chunk ? !pool.used[chunk] : run + 1;
		if (run == count)
			return chunk + 1 - count;
	}
	return pool.chunks;
}

static void take(uint32_t first, uint32_t count, struct block_extent *e)
{
	memset(pool.used + first, 1, count);
	pool.free_count -= count;
	pool.next = (first + count) % pool.chunks;
	*e = (struct block_extent){ .pool_offset = (uint64_t)first * CHUNK_BYTES, .bytes = count * CHUNK_BYTES };
}

uint32_t pool_get(uint32_t bytes, struct block_extent extents[BLOCK_EXTENTS])
{
	uint32_t count = (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES, extent_count = 0, first;

	if (!count || count > BLOCK_EXTENTS || count > pool.free_count)
		return 0;
	first = find_run(count);
	if (first < pool.chunks)
		take(first, count, &extents[extent_count++]);
	for (uint32_t i = 0; first == pool.chunks && extent_count < count; i++)
		if (!pool.used[i])
			take(i, 1, &extents[extent_count++]);
	extents[extent_count - 1].bytes -= count * CHUNK_BYTES - bytes;
	return extent_count;
}

void pool_put(const struct block_extent *extents, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t chunks = (extents[i].bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;

		memset(pool.used + extents[i].pool_offset / CHUNK_BYTES, 0, chunks);
		pool.free_count += chunks;
	}
}
