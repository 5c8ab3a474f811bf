/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Access to the windows of open calls.
 */
#include "lib/c/string.h"
#include "lib/ipc/internal.h"

REGION_UNLOGGED static int64_t window_access(uint64_t call_id, unsigned window, uint64_t offset, uint64_t addr,
			     size_t len, bool to_window)
{
	struct x_window_copy c = {
		.id = call_id, .window = window, .to_window = to_window,
		.offset = offset, .addr = addr, .len = len,
	};

	return len ? x_window_copy(server_port, &c) : 0;
}

int64_t window_read(uint64_t call_id, unsigned window, uint64_t offset, void *dst, size_t len)
{
	region_note(dst, len);
	return window_read_payload(call_id, window, offset, dst, len);
}

int64_t window_read_payload(uint64_t call_id, unsigned window, uint64_t offset, void *dst, size_t len)
{
	return window_access(call_id, window, offset, (uintptr_t)dst, len, false);
}

int64_t window_write(uint64_t call_id, unsigned window, uint64_t offset, const void *src, size_t len)
{
	int64_t n = window_access(call_id, window, offset, (uintptr_t)src, len, true);
	uint64_t word;
	size_t at;

	if (!outbox_garbage || n <= 0)
		return n;
	at = spoil_window((size_t)n, &word);
	if (at != SIZE_MAX)
		window_access(call_id, window, offset + at, (uintptr_t)&word, sizeof(word), true);
	return n;
}

int64_t window_string(uint64_t call_id, unsigned window, uint32_t window_len, char *dst, size_t size)
{
	int64_t n;

	if (window_len == 0)
		return -X_EFAULT;
	if (window_len >= size)
		return -X_ENAMETOOLONG;
	n = window_read(call_id, window, 0, dst, window_len);
	if (n < 0)
		return n;
	if (n != window_len)
		return -X_EFAULT;
	dst[n] = '\0';
	return strlen(dst); /* a NUL inside ends it */
}
