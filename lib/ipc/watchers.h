/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls that wait until something is another than the caller knows (BLOCK_WATCH, BDEV_WATCH); few may. */
#ifndef LIB_IPC_WATCHERS_H
#define LIB_IPC_WATCHERS_H

#include "lib/ipc/server.h"

struct watchers {
	uint64_t calls[4];
	uint32_t count;
};

/* Or it is answered that there are too many. */
static inline void watchers_add(struct watchers *w, uint64_t call_id)
{
	if (w->count == sizeof(w->calls) / sizeof(w->calls[0]))
		out_status(call_id, -X_EBUSY);
	else
		w->calls[w->count++] = call_id;
}

/* One that is to be answered now; 0: none is left. */
static inline uint64_t watchers_next(struct watchers *w)
{
	return w->count ? w->calls[--w->count] : 0;
}

/* Whether it was one of them. */
static inline bool watchers_cancel(struct watchers *w, uint64_t call_id)
{
	for (uint32_t i = 0; i < w->count; i++) {
		if (w->calls[i] != call_id)
			continue;
		w->calls[i] = w->calls[--w->count];
		out_status(call_id, -X_ECANCELED);
		return true;
	}
	return false;
}

#endif
