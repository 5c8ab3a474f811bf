/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to the program's memory. A pointer of the program is first checked
 * not to reach into the personality's own region, then used with fix-ups.
 */
#include "personality/linux/pers.h"

bool user_range(uint64_t addr, uint64_t len)
{
	uint64_t end = addr + len;

	if (end < addr || end > X_USER_MAX)
		return false;
	return end <= X_PERS_BASE || addr >= X_PERS_END;
}

int64_t copy_in(void *dst, uint64_t src, uint64_t len)
{
	return user_range(src, len) ? pers_copy(dst, (const void *)src, len) : -X_EFAULT;
}

int64_t copy_out(uint64_t dst, const void *src, uint64_t len)
{
	return user_range(dst, len) ? pers_copy((void *)dst, src, len) : -X_EFAULT;
}

int64_t user_string_length(uint64_t addr, uint64_t max)
{
	uint64_t room = addr < X_PERS_BASE ? X_PERS_BASE - addr : X_USER_MAX - addr;
	int64_t len;

	if (!user_range(addr, 1))
		return -X_EFAULT;
	len = pers_strnlen((const char *)addr, max < room ? max : room);
	if (len >= 0 && (uint64_t)len == room && room < max)
		return -X_EFAULT; /* ran into the end of what it may use */
	return len;
}

int64_t user_probe(uint64_t addr, uint64_t len, bool write)
{
	if (!user_range(addr, len))
		return -X_EFAULT;
	return len ? pers_touch((const void *)addr, write) : 0;
}

int64_t clear_user(uint64_t addr, uint64_t len)
{
	static const uint8_t zeros[256];
	int64_t error = 0;

	for (uint64_t done = 0; done < len && !error; done += sizeof(zeros))
		error = copy_out(addr + done, zeros,
				 len - done < sizeof(zeros) ? len - done : sizeof(zeros));
	return error;
}

void *thread_scratch(struct pers_thread *t)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = X_NO_HANDLE,
		.addr = PERS_SCRATCH + (uint64_t)t->slot * 2 * PERS_SCRATCH_BUFFER,
		.len = PERS_SCRATCH_BUFFER, .prot = X_PROT_READ | X_PROT_WRITE,
		.flags = X_MAP_FIXED | X_MAP_PRIVATE | X_MAP_PERSONALITY,
	};
	int64_t addr;

	if (t->scratch)
		return t->scratch;
	addr = x_mem_map(&m);
	if (addr < 0)
		return NULL;
	t->scratch = (void *)m.addr;
	return t->scratch;
}
