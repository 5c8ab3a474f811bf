/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The numbers and texts of /proc/sys that may be changed by uid 0.
 */
#ifndef SERVERS_PM_SYSCTL_H
#define SERVERS_PM_SYSCTL_H

#include "servers/pm/procfs.h"

enum sysctl {
	SYSCTL_NONE, SYSCTL_PID_MAX, SYSCTL_SHMMAX, SYSCTL_SHMALL, SYSCTL_SHMMNI, SYSCTL_MSGMNI,
	SYSCTL_MQ_QUEUES, SYSCTL_MQ_MESSAGES, SYSCTL_MQ_BYTES, SYSCTL_MQ_DEFAULT, SYSCTL_MQ_BYTES_DEFAULT,
	/* kept and told */
	SYSCTL_OVERCOMMIT, SYSCTL_OVERCOMMIT_RATIO, SYSCTL_SWAPPINESS, SYSCTL_MAX_MAP_COUNT,
	SYSCTL_DROP_CACHES, SYSCTL_SHM_NEXT, SYSCTL_SEM_NEXT, SYSCTL_MSG_NEXT, SYSCTL_RR_SLICE, SYSCTL_RT_PERIOD, SYSCTL_RT_RUNTIME, SYSCTL_NUMBERS,
	SYSCTL_CORE_PATTERN = SYSCTL_NUMBERS, SYSCTL_PRINTK, SYSCTL_HOSTNAME, SYSCTL_DOMAINNAME,
};

void sysctl_init(void);
uint64_t sysctl_value(enum sysctl which); /* of a number */
int32_t sysctl_take_next(enum sysctl which); /* of SYSCTL_*_NEXT: -1 from now on */
void sysctl_text(struct text *t, enum sysctl which);
int sysctl_write(enum sysctl which, const char *text, size_t bytes); /* 0, -X_EINVAL */

#endif
