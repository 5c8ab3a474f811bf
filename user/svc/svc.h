/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the files of svc. */
#ifndef USER_SVC_H
#define USER_SVC_H

#include <stddef.h>

/* One command to /dev/svc, its result as a string. 0, or an errno. */
int svc_ask(const char *command, char *result, size_t size);

#define SERVICES_MAX 64

/* Since the start of the service (CPU time, calls, switches to it) or of the system (restarts). */
struct figures {
	char name[16], state[16];
	unsigned long long cpu_us, memory_kib, restarts, calls, switches;
};

/* Of all services, at *now_us since boot. Their number, or -1. */
int svc_figures(struct figures list[SERVICES_MAX], unsigned long long *now_us);

/* That of the same name, or NULL. */
const struct figures *svc_find(const struct figures *list, int count, const char *name);

/* What a counter has grown by; it begins anew with a new process. */
static inline unsigned long long grown(unsigned long long now, unsigned long long was)
{
	return now >= was ? now - was : now;
}

/* Exit status. */
int svc_top(void);
int svc_spent(char **command);

#endif
