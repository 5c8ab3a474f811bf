/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's log: a ring of the last 256 KiB of text, addressed by position
 * since the start, so that any number of readers can follow it and notice what
 * they missed. It is copied to the early console until user space takes that
 * over. Positions and ring are under the kernel lock; a panic writes without.
 */
#include "kernel/arch/x86_64/arch.h"

#define RING_BYTES (256u << 10)
#define LINE_MAX 512

static char ring[RING_BYTES];
static uint64_t end_pos; /* bytes ever written */
static bool mirror = true;

static void append(const char *text, size_t len)
{
	if (mirror)
		arch_console_write(text, len);
	while (len) {
		size_t at = end_pos % RING_BYTES, n = MIN(len, RING_BYTES - at);

		memcpy(ring + at, text, n);
		text += n;
		len -= n;
		end_pos += n;
	}
}

void klog_text(const char *text, size_t len) { append(text, len); }

void klog(const char *fmt, ...)
{
	uint64_t us = arch_time_ns() / 1000;
	char line[LINE_MAX];
	size_t n;
	va_list ap;

	n = (size_t)ksnprintf(line, sizeof line, "[%4llu.%06llu] ", (unsigned long long)(us / 1000000),
			      (unsigned long long)(us % 1000000));
	va_start(ap, fmt);
	n += (size_t)kvsnprintf(line + n, sizeof line - n, fmt, ap);
	va_end(ap);
	n = MIN(n, sizeof line - 2);
	if (line[n - 1] != '\n')
		line[n++] = '\n';
	append(line, n);
}

/* Up to len bytes from pos, or from the oldest byte there is if pos is gone.
 * Gives their number and, in *next, the position behind them. */
int64_t klog_read(uint64_t pos, char *buf, size_t len, uint64_t *next)
{
	uint64_t oldest = end_pos > RING_BYTES ? end_pos - RING_BYTES : 0;
	size_t done = 0;

	pos = MIN(MAX(pos, oldest), end_pos);
	len = MIN(len, end_pos - pos);
	while (done < len) {
		size_t at = (pos + done) % RING_BYTES, n = MIN(len - done, RING_BYTES - at);

		memcpy(buf + done, ring + at, n);
		done += n;
	}
	*next = pos + done;
	return (int64_t)done;
}

void log_mirror(bool on) { mirror = on; }
