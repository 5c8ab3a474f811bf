/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cleaning dirty pages, in a way that survives a warm restart: the kernel takes
 * them for clean at once, not at the commit. What was cleaned in an iteration
 * that is rolled back is made dirty again.
 *
 * The kernel says in struct x_dirty itself what it did (addr becomes 0), so that
 * a death on the way back from it leaves no doubt.
 */
#include "lib/fs/clean.h"
#include "lib/region/region.h"

#define CLEANED_MAX 64u

static REGION_SCRATCH struct {
	uint64_t epoch;
	uint32_t count;
	struct { x_handle_t memory; struct x_dirty dirty; } run[CLEANED_MAX];
} cleaned;

int64_t pages_clean(x_handle_t memory, struct x_dirty *dirty)
{
	uint64_t addr = dirty->addr;
	int64_t n;

	if (cleaned.epoch != server_epoch())
		cleaned.count = 0;
	cleaned.epoch = server_epoch();
	if (cleaned.count == CLEANED_MAX)
		return -X_EWAIT;
	cleaned.run[cleaned.count].memory = memory;
	cleaned.run[cleaned.count].dirty = *dirty;
	cleaned.count++;
	n = x_mem_clean(memory, &cleaned.run[cleaned.count - 1].dirty);
	*dirty = cleaned.run[cleaned.count - 1].dirty;
	dirty->addr = addr;
	if (n <= 0)
		cleaned.count--;
	return n;
}

void pages_unclean(void)
{
	for (uint32_t i = 0; i < cleaned.count && cleaned.epoch == server_epoch(); i++)
		if (cleaned.run[i].dirty.addr == 0)
			x_mem_content(cleaned.run[i].memory, X_CONTENT_LOST, cleaned.run[i].dirty.offset,
				      cleaned.run[i].dirty.len);
	cleaned.count = 0;
}
