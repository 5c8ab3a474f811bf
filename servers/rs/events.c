/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event log of rs.
 */
#include "lib/c/stdio.h"
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "servers/rs/events.h"

static struct event { uint64_t ns; char service[16]; char text[EVENT_TEXT]; } events[EVENT_MAX];
static uint64_t event_count;

static int format_line(char *buf, size_t size, const struct event *e)
{
	uint64_t us = e->ns / 1000;

	return snprintf(buf, size, "[%5llu.%06llu] %-10s %s\n", (unsigned long long)(us / 1000000),
			(unsigned long long)(us % 1000000), e->service, e->text);
}

__attribute__((format(printf, 2, 0)))
static struct event *event_record(const char *service, const char *fmt, va_list ap)
{
	struct event *e = &events[event_count++ % EVENT_MAX];

	e->ns = x_clock(X_CLOCK_MONOTONIC);
	strlcpy(e->service, service, sizeof(e->service));
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	return e;
}

void event_add(const char *service, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	event_record(service, fmt, ap);
	va_end(ap);
}

void event_announce(const char *service, const char *fmt, ...)
{
	char line[EVENT_TEXT + 48];
	va_list ap;

	va_start(ap, fmt);
	format_line(line, sizeof(line), event_record(service, fmt, ap));
	va_end(ap);
	x_log_write(line, strlen(line));
}

size_t event_print(char *buf, size_t size, uint32_t count)
{
	uint64_t kept = event_count < EVENT_MAX ? event_count : EVENT_MAX;
	uint64_t i = event_count - (count < kept ? count : kept);
	size_t length = 0;

	for (; i < event_count; i++) {
		int n = format_line(buf + length, size - length, &events[i % EVENT_MAX]);

		if (n < 0 || (size_t)n >= size - length)
			break;
		length += n;
	}
	return length;
}
