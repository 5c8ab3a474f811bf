/* SPDX-License-Identifier: BSD-2-Clause */
#include "mm.h"

/* Of all memory, what the kernel may hold for one program: tables, stacks, objects. */
#define PROGRAM_SHARE 4u

struct account kernel_account = { .limit = UINT64_MAX, .kernel_limit = UINT64_MAX };

struct account *account_create(bool program)
{
	struct account *a = kmalloc_for(&kernel_account, sizeof(*a));

	if (a)
		*a = (struct account){
			.limit = UINT64_MAX, .program = program,
			.kernel_limit = program ? frame_total() * PAGE_SIZE / PROGRAM_SHARE : UINT64_MAX,
		};
	return a;
}

#define RECLAIM_PAGES 32u

bool account_make_room(const struct account *a, uint64_t bytes)
{
	if (frame_reclaim && !a->program)
		frame_reclaim(MAX(RECLAIM_PAGES, bytes / PAGE_SIZE), a);
	return account_has_kernel(a, bytes);
}

void account_free(struct account *a)
{
	kfree(a);
}

void account_close(struct account *a)
{
	a->closed = true;
	account_sub(a, 0);
}
