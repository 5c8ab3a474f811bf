/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The event log of rs: the last EVENT_MAX things that happened to services.
 */
#ifndef RS_EVENTS_H
#define RS_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#define EVENT_MAX 256u
#define EVENT_TEXT 120u

/* Into the event log only. */
__attribute__((format(printf, 2, 3))) void event_add(const char *service, const char *fmt, ...);
/* Into the event log and, as a line of its own, the kernel log. */
__attribute__((format(printf, 2, 3))) void event_announce(const char *service, const char *fmt, ...);
/* The last `count` events, a line each; returns the bytes written (no NUL). */
size_t event_print(char *buf, size_t size, uint32_t count);

#endif
