/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The numbers and texts of /proc/sys that may be changed by uid 0.
 */
#ifndef SERVERS_PM_SYSCTL_H
#define SERVERS_PM_SYSCTL_H

#include "servers/pm/procfs.h"

enum sysctl {
	SYSCTL_NONE, SYSCTL_PID_MAX, SYSCTL_SHMMAX, SYSCTL_SHMALL, SYSCTL_SHMMNI, SYSCTL_MSGMNI,
	/* kept and told */
	SYSCTL_OVERCOMMIT, SYSCTL_OVERCOMMIT_RATIO, SYSCTL_SWAPPINESS, SYSCTL_MAX_MAP_COUNT,
	SYSCTL_DROP_CACHES, SYSCTL_RR_SLICE, SYSCTL_RT_PERIOD, SYSCTL_RT_RUNTIME, SYSCTL_NUMBERS,
	SYSCTL_CORE_PATTERN = SYSCTL_NUMBERS, SYSCTL_PRINTK, SYSCTL_HOSTNAME, SYSCTL_DOMAINNAME,
};

void sysctl_init(void);
uint64_t sysctl_value(enum sysctl which); /* of a number */
void sysctl_text(struct text *t, enum sysctl which);
int sysctl_write(enum sysctl which, const char *text, size_t bytes); /* 0, -X_EINVAL */

#endif
