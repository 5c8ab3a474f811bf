/* SPDX-License-Identifier: BSD-2-Clause */
/* Cleaning dirty pages (clean.c). */
#ifndef LIB_FS_CLEAN_H
#define LIB_FS_CLEAN_H

#include "lib/ipc/server.h"

/* x_mem_clean(); -X_EWAIT: enough for one iteration. */
int64_t pages_clean(x_handle_t memory, struct x_dirty *dirty);
/* For state_check, after a rollback. */
void pages_unclean(void);

#endif
