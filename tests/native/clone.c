/* SPDX-License-Identifier: BSD-2-Clause */
/* See clone.h. */
#include "tests/native/clone.h"

static int64_t copy_region(x_handle_t process, const struct x_mem_region *r)
{
	struct x_mem_map m = {
		.space = process, .memory = X_NO_HANDLE, .addr = r->start, .len = r->end - r->start,
		.prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_FIXED,
	};
	int64_t err = x_mem_map(&m);

	if (err >= 0)
		err = x_space_copy(process, r->start, (void *)r->start, r->end - r->start, 1);
	if (err >= 0 && r->prot != m.prot)
		err = x_mem_protect(process, r->start, r->end - r->start, r->prot);
	return err;
}

int64_t clone_memory(x_handle_t space)
{
	struct x_mem_region r = { 0 };
	int64_t err = 0;

	while (err >= 0 && x_mem_query(X_SELF, r.end, &r) >= 0)
		if (r.memory_koid == 0)
			err = copy_region(space, &r);
	return err < 0 ? err : 0;
}

int64_t clone_self(x_handle_t resource, const char *name, uint32_t band)
{
	int64_t process = x_proc_create(resource, name, 0, band);
	int64_t err = process < 0 ? process : clone_memory((x_handle_t)process);

	if (process < 0)
		return process;
	if (err >= 0)
		return process;
	x_handle_close(process);
	return err;
}

int64_t clone_thread(x_handle_t process, void (*entry)(uint64_t arg), uint64_t arg, void *stack)
{
	struct x_thread_create c = {
		.process = process, .entry = (uint64_t)entry, .stack = (((uint64_t)stack) & ~15ull) - 8, .arg = arg,
	};

	return x_thread_create(&c);
}
