/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for the life of the process.
 */
#include "lib/ipc/internal.h"

#define PAGES(bytes) (((bytes) + X_PAGE_SIZE - 1) & ~(uint64_t)(X_PAGE_SIZE - 1))

/* Of a service restarted warm: the heap is in the region, right behind .bss. */
static uint64_t heap_end;

uint64_t server_memory_end(void)
{
	extern char _end[];

	return heap_end ? heap_end : PAGES((uint64_t)_end);
}

static void *memory_at(uint64_t addr, size_t bytes, uint32_t flags)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = X_NO_HANDLE, .addr = addr, .len = bytes,
		.prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_PRIVATE | X_MAP_LAZY | flags,
	};
	int64_t at = x_mem_map(&m);

	if (at < 0)
		server_die("no memory for %zu bytes: error %d", bytes, (int)at);
	return (void *)at;
}

void *server_memory(size_t bytes)
{
	uint64_t addr = server_memory_end();

	if (!boot->log_bytes)
		return memory_at(0, bytes, 0);
	if (bytes > REGION_END - addr)
		server_die("no room for %zu bytes", bytes);
	heap_end = addr + PAGES(bytes);
	return memory_at(addr, bytes, X_MAP_FIXED | X_MAP_NOREPLACE);
}

void *server_memory_payload(size_t bytes)
{
	return memory_at(0, bytes, 0);
}
