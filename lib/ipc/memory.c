/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for the life of the process.
 */
#include "lib/ipc/internal.h"

void *server_memory(size_t bytes)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = X_NO_HANDLE, .len = bytes,
		.prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_PRIVATE | X_MAP_WIRED,
	};
	int64_t addr = x_mem_map(&m);

	if (addr < 0)
		server_die("no memory for %zu bytes: error %d", bytes, (int)addr);
	return (void *)addr;
}
