/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The commands of svc(1): a line in, text out (docs/svc.md).
 */
#ifndef RS_COMMAND_H
#define RS_COMMAND_H

#include <stddef.h>
#include <stdint.h>

struct text { char *buf; size_t size, length; }; /* length < size; not NUL-terminated beyond it */

/* Runs a command (NUL-terminated, changed by this). Returns 0 or a negated
 * error: X_EINVAL not a command, X_ENOENT no such service, X_EBUSY, X_ESRCH not
 * running, X_EPERM not for this service. In case of error the text is one line
 * that says what is wrong. */
int command_run(char *line, struct text *out);

/* `svc stats`: form NULL, or "--json"; else -X_EINVAL. (stats.c) */
int command_stats(struct text *out, const char *form);
/* For `svc top`: microseconds, then a line a service: name, state, CPU us, memory KiB,
 * restarts, items its port has delivered, switches to it. (stats.c) */
void command_figures(struct text *out);
/* /proc/xinim/services and /proc/xinim/stats: a line of column names, a line a service. (stats.c) */
void text_services(struct text *out);
void text_stats(struct text *out);
__attribute__((format(printf, 2, 3))) void text_print(struct text *t, const char *fmt, ...); /* cut if full */

#endif
