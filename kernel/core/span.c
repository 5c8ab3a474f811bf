/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying between user memory and pages, and between pages, without the kernel
 * lock where it takes long (kernel_leave).
 */
#include "span.h"
#include "kernel/arch/x86_64/arch.h"

void span_drop(struct span *s)
{
	frames_unref(s->frames, s->count);
	s->count = 0;
}

static char *span_at(const struct span *s, uint64_t done, uint64_t *run)
{
	uint64_t at = s->offset + done;

	*run = MIN(PAGE_SIZE - at % PAGE_SIZE, s->bytes - done);
	return (char *)phys_to_virt(s->frames[at / PAGE_SIZE]) + at % PAGE_SIZE;
}

int span_copy_user_long(struct span *s, uint64_t user, bool to_span)
{
	bool left = kernel_leave(s->bytes);
	uint64_t at = s->offset, end = at + s->bytes;
	int err = 0;

	for (const paddr_t *frame = s->frames; at < end; frame++) {
		char *page = (char *)phys_to_virt(*frame) + at % PAGE_SIZE;
		uint64_t run = MIN(PAGE_SIZE - at % PAGE_SIZE, end - at);

		err = to_span ? copy_from_user(page, user, run) : copy_to_user(user, page, run);
		if (err)
			break;
		at += run;
		user += run;
		if (left)
			tlb_service();
	}
	kernel_return(left);
	span_drop(s);
	s->bytes = at - s->offset;
	return err;
}

void span_copy(struct span *to, struct span *from)
{
	uint64_t bytes = MIN(to->bytes, from->bytes), run, run_to;
	bool left = kernel_leave(bytes);

	to->bytes = from->bytes = bytes;
	for (uint64_t done = 0; done < bytes; done += run) {
		const char *source = span_at(from, done, &run);
		char *target = span_at(to, done, &run_to);

		run = MIN(run, run_to);
		memmove(target, source, run); /* they may share pages */
		if (left)
			tlb_service();
	}
	kernel_return(left);
	span_drop(to);
	span_drop(from);
}
