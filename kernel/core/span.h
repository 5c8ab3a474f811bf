/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Spans: up to 64 KiB of pages that we hold references to, so that their bytes
 * can be copied without the kernel lock.
 */
#ifndef SPAN_H
#define SPAN_H

#include "mm.h"

#define SPAN_PAGES 16u

struct span {
	uint64_t bytes;
	uint32_t offset;            /* of the first byte in the first page */
	uint32_t count;
	paddr_t frames[SPAN_PAGES]; /* referenced, but for those that are not RAM's */
};

/* For bytes from `at` on in whatever the pages are of, as far as they fit. */
static inline void span_begin(struct span *s, uint64_t at, uint64_t bytes)
{
	s->offset = at % PAGE_SIZE;
	s->bytes = MIN(bytes, SPAN_PAGES * PAGE_SIZE - s->offset);
	s->count = 0;
}

static inline uint32_t span_pages(const struct span *s) /* that it will have */
{
	return (s->offset + s->bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* No more pages are to be had: it ends with those that it has. */
static inline void span_cut(struct span *s)
{
	s->bytes = s->count ? MIN(s->bytes, s->count * PAGE_SIZE - s->offset) : 0;
}

void span_drop(struct span *s);
int span_copy_user_long(struct span *s, uint64_t user, bool to_span);
/* Copies from or to the current process's memory and drops the span. May block.
 * 0 or -X_EFAULT; s->bytes is what was copied. */
static inline int span_copy_user(struct span *s, uint64_t user, bool to_span)
{
	char *at = (char *)phys_to_virt(s->frames[0]) + s->offset;
	int err;

	if (s->count != 1 || s->bytes >= LEAVE_BYTES)
		return span_copy_user_long(s, user, to_span);
	err = to_span ? copy_from_user(at, user, s->bytes) : copy_to_user(user, at, s->bytes);
	frame_unref(s->frames[0]);
	s->count = 0;
	s->bytes = err ? 0 : s->bytes;
	return err;
}
/* As many bytes as both have. Both are dropped, both `bytes` are what was copied. */
void span_copy(struct span *to, struct span *from);

#endif
