/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * When programs have taken all memory but a reserve.
 *
 * The reserve is for servers and for the kernel's own objects; a program that
 * touches a new page while only the reserve is left first has the program with
 * the most memory ended (cause X_DEATH_MEMORY), waits until its memory is back,
 * and tries again. So who has taken too much pays, not who asks next. If it is
 * itself the largest, or nothing comes back, it gets -X_ENOMEM. New programs
 * may use half of the reserve: what they touch then makes room. A server that
 * touches a page for the first time takes it from the reserve; when that is used
 * up, programs end for it too.
 */
#include "kernel/arch/x86_64/arch.h"

#define RESERVE_SHARE 32u              /* a 32nd of the memory, but ... */
#define RESERVE_MAX   ((4ull << 20) / PAGE_SIZE)
#define PAUSE_NS      2000000ull
#define PAUSES_MAX    100u
#define RECLAIM_PAGES 256u             /* of files, given up before a program is */

static uint64_t reserve_pages(void)
{
	return MIN(frame_total() / RESERVE_SHARE, RESERVE_MAX);
}

bool memory_denied(void)
{
	return (current_process()->flags & X_PROC_LINUX) && frame_free_count() < reserve_pages();
}

bool memory_denied_to_new(void)
{
	return frame_free_count() < reserve_pages() / 2;
}

/* What it is charged, or what it has mapped, if that is more: a part may have been
 * made by processes that are no more. */
static uint64_t size_of(const struct process *p)
{
	return MAX(p->account->used, p->space->resident_pages * PAGE_SIZE);
}

/* Among equals the youngest. One that is ending already counts: its memory is
 * what we wait for. */
static struct process *largest_program(void)
{
	struct process *largest = NULL;

	list_for_each(p, &all_processes, struct process, all_link) {
		if (!(p->flags & X_PROC_LINUX) || p->state == X_PROC_DEAD)
			continue;
		if (!largest || size_of(p) >= size_of(largest))
			largest = p;
	}
	return largest;
}

int memory_shortage(void)
{
	struct process *me = current_process();

	if (memory_reclaim(RECLAIM_PAGES, NULL) > 0)
		return 0;
	if (memory_files_are_many() && memory_reclaim_mapped(RECLAIM_PAGES) > 0)
		return 0;
	for (uint32_t i = 0; i < PAUSES_MAX; i++) {
		struct process *p = largest_program();
		int err;

		if (p == NULL || p == me)
			return -X_ENOMEM;
		if (!p->dying) {
			klog("%s: out of memory: ended, as the largest program (%llu KiB)\n", p->name,
			     (unsigned long long)size_of(p) >> 10);
			process_kill(p, X_DEATH_MEMORY, -X_ENOMEM);
		}
		err = thread_wait(NULL, arch_time_ns() + PAUSE_NS, 0);
		if (err != -X_ETIMEDOUT)
			return err;
		if (!memory_denied())
			return 0;
	}
	return -X_ENOMEM;
}
