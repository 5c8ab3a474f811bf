/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lines for the kernel log, and the end of a server that can't go on.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/ipc/internal.h"

__attribute__((format(printf, 1, 0)))
static void log_line(const char *fmt, va_list ap)
{
	char line[256];
	uint64_t now_us = (uint64_t)x_clock(X_CLOCK_MONOTONIC) / 1000;
	size_t n = snprintf(line, sizeof(line), "[%5llu.%06llu] %-10s ",
			    (unsigned long long)(now_us / 1000000),
			    (unsigned long long)(now_us % 1000000), boot ? boot->name : "?");

	vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	n = strlen(line);
	line[n++] = '\n';
	x_log_write(line, n);
}

void server_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(fmt, ap);
	va_end(ap);
}

void server_die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_line(fmt, ap);
	va_end(ap);
	for (;;)
		x_proc_exit(1);
}
