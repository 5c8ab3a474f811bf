/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of svc. */
#ifndef USER_SVC_H
#define USER_SVC_H

#include <stddef.h>

/* One command to /dev/svc, its result as a string. 0, or an errno. */
int svc_ask(const char *command, char *result, size_t size);

/* Exit status. */
int svc_top(void);

#endif
