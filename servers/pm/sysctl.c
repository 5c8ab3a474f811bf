/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What /proc/sys holds: numbers within limits, and a few texts. The first group
 * has an effect here; the others are kept and told, for programs that set them
 * and look whether it took.
 */
#include "servers/pm/sysctl.h"

static struct { uint64_t value, lowest, highest; } numbers[SYSCTL_NUMBERS] = {
	[SYSCTL_PID_MAX] = { PID_MAX, 301, PID_MAX },
	[SYSCTL_SHMMAX] = { UINT64_MAX - (1ull << 24), 0, UINT64_MAX },
	[SYSCTL_SHMALL] = { UINT64_MAX, 0, UINT64_MAX }, /* sysctl_init() */
	[SYSCTL_SHMMNI] = { 128, 0, 128 },
	[SYSCTL_MSGMNI] = { 64, 0, 64 },
	[SYSCTL_MQ_QUEUES] = { 256, 0, INT32_MAX },
	[SYSCTL_MQ_MESSAGES] = { 10, 1, 65536 },
	[SYSCTL_MQ_BYTES] = { 8192, 128, 16 << 20 },
	[SYSCTL_MQ_DEFAULT] = { 10, 1, 65536 },
	[SYSCTL_MQ_BYTES_DEFAULT] = { 8192, 128, 16 << 20 },
	[SYSCTL_OVERCOMMIT] = { 1, 0, 2 },
	[SYSCTL_OVERCOMMIT_RATIO] = { 50, 0, INT32_MAX },
	[SYSCTL_SWAPPINESS] = { 0, 0, 200 },
	[SYSCTL_MAX_MAP_COUNT] = { 65530, 0, INT32_MAX },
	[SYSCTL_DROP_CACHES] = { 0, 1, 4 },
	/* the next object's id, once; UINT64_MAX, told as -1: any */
	[SYSCTL_SHM_NEXT] = { UINT64_MAX, 0, INT32_MAX },
	[SYSCTL_SEM_NEXT] = { UINT64_MAX, 0, INT32_MAX },
	[SYSCTL_MSG_NEXT] = { UINT64_MAX, 0, INT32_MAX },
	[SYSCTL_RR_SLICE] = { 10, 0, INT32_MAX },
	[SYSCTL_RT_PERIOD] = { 1000000, 1, INT32_MAX },
	[SYSCTL_RT_RUNTIME] = { 950000, 0, INT32_MAX },
};

static char core_pattern[128] = "core", printk[32] = "7\t4\t1\t7";

/* Half of the memory may be shared. */
void sysctl_init(void)
{
	struct x_system_info info;

	if (x_system_info(&info) >= 0)
		numbers[SYSCTL_SHMALL].value = numbers[SYSCTL_SHMALL].highest = info.memory_bytes / 2 / X_PAGE_SIZE;
}

uint64_t sysctl_value(enum sysctl which)
{
	return numbers[which].value;
}

int32_t sysctl_take_next(enum sysctl which)
{
	int32_t next = (int32_t)numbers[which].value;

	if (next >= 0)
		numbers[which].value = UINT64_MAX;
	return next;
}

static bool is_next(enum sysctl which) { return which >= SYSCTL_SHM_NEXT && which <= SYSCTL_MSG_NEXT; }

static char *place(enum sysctl which, size_t *size)
{
	switch (which) {
	case SYSCTL_CORE_PATTERN: *size = sizeof(core_pattern); return core_pattern;
	case SYSCTL_PRINTK: *size = sizeof(printk); return printk;
	default: *size = SYSTEM_NAME_BYTES; return system_names[which == SYSCTL_DOMAINNAME];
	}
}

void sysctl_text(struct text *t, enum sysctl which)
{
	size_t size;

	if (is_next(which) && numbers[which].value == UINT64_MAX)
		text_add(t, "-1\n");
	else if (which < SYSCTL_NUMBERS)
		text_add(t, "%llu\n", (unsigned long long)numbers[which].value);
	else
		text_add(t, "%s\n", place(which, &size));
}

static int parse(const char *text, size_t bytes, uint64_t *value)
{
	size_t i = 0;

	*value = 0;
	while (i < bytes && (text[i] == ' ' || text[i] == '\t'))
		i++;
	if (i == bytes || text[i] < '0' || text[i] > '9')
		return -X_EINVAL;
	for (; i < bytes && text[i] >= '0' && text[i] <= '9'; i++)
		if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, text[i] - '0', value))
			return -X_EINVAL;
	return i == bytes || text[i] == '\n' || text[i] == '\0' || text[i] == ' ' ? 0 : -X_EINVAL;
}

int sysctl_write(enum sysctl which, const char *text, size_t bytes)
{
	uint64_t value;
	size_t size;
	char *to;

	if (which < SYSCTL_NUMBERS) {
		if (parse(text, bytes, &value) || value < numbers[which].lowest || value > numbers[which].highest)
			return -X_EINVAL;
		numbers[which].value = value;
		return 0;
	}
	while (bytes && (text[bytes - 1] == '\n' || text[bytes - 1] == '\0'))
		bytes--;
	to = place(which, &size);
	if (bytes >= size)
		return -X_EINVAL;
	memcpy(to, text, bytes);
	memset(to + bytes, 0, size - bytes);
	return 0;
}
