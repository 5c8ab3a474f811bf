/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between contents and pages.c. A page that is missing from a content is a
 * hole, or was kept in the heap while the file had no content; what is dirty
 * stays dirty, so the kernel keeps it.
 */

#include "lib/fs/clean.h"
#include "lib/region/region.h"
#include "fs/tmpfs/tmpfs.h"
#include "lib/fs/server.h"

enum { EVICT_PAGES_MAX = 64 };

static REGION_SCRATCH uint8_t bounce[TMPFS_PAGE] __attribute__((aligned(TMPFS_PAGE)));

int store_choose(const char *source, const char *options)
{
	(void)source;
	return options_set(volume, options);
}

int store_make_writable(void)
{
	volume->limits.read_only = false;
	return 0;
}

void store_set_no_atime(bool no_atime)
{
	volume->limits.no_atime = no_atime;
}

int store_mount(bool read_only, struct store_sync *sync)
{
	(void)sync;
	volume->limits.read_only = read_only;
	return 0;
}

int store_unmount(struct store_sync *sync)
{
	(void)sync;
	return 0;
}

int store_sync(struct store_sync *sync, uint32_t ino)
{
	(void)sync;
	(void)ino;
	return 0;
}

/* Room is a number here; pages come when they are used. */
int store_reserve(struct content *c, uint64_t offset, uint64_t bytes)
{
	return fsys_back(volume, c->ino, offset, bytes);
}

bool store_writers_wait(void)
{
	return false;
}

static int bring_page(struct content *c, struct fsys_node *ip, uint64_t page)
{
	const void *kept = pages_kept(volume, ip, page);
	int backed = pages_has(volume, ip, page) ? X_SUPPLY_BACKED : 0;
	int status = x_mem_supply(c->memory, page * TMPFS_PAGE, kept, TMPFS_PAGE, backed);

	if (status || !kept)
		return status;
	/* From here on it is the content's, which must not lose it. */
	if (x_mem_content(c->memory, X_CONTENT_HOLD, page * TMPFS_PAGE, TMPFS_PAGE) != TMPFS_PAGE)
		return -X_EWAIT;
	pages_unkeep(volume, ip, page);
	return 0;
}

int store_fetch(struct content *c, uint64_t offset, uint64_t bytes)
{
	uint64_t page = offset / TMPFS_PAGE, end = (offset + bytes + TMPFS_PAGE - 1) / TMPFS_PAGE;
	struct fsys_node *ip = &volume->nodes[c->ino - 1];
	int status = 0;

	for (; page < end && page * TMPFS_PAGE < c->bytes && !status; page++)
		status = bring_page(c, ip, page);
	return status;
}

/* It is nowhere else. */
void store_cache_counts(uint64_t *hits, uint64_t *misses)
{
	*hits = *misses = 0;
}

bool store_evict(struct content *c)
{
	struct fsys_node *ip = &volume->nodes[c->ino - 1];
	struct x_dirty dirty = { .addr = (uintptr_t)bounce, .len = sizeof(bounce) };
	bool kept = true;
	uint64_t page;
	int64_t n = 0;

	if (pages_count(volume, ip) > EVICT_PAGES_MAX)
		return false;
	for (; kept && (n = pages_clean(c->memory, &dirty)) > 0; dirty.offset += TMPFS_PAGE, dirty.len = sizeof(bounce))
		kept = pages_keep(volume, ip, dirty.offset / TMPFS_PAGE, bounce);
	if (kept && n == 0)
		return true;
	/* No memory for a page: all stay with the content. */
	for (page = 0; page * TMPFS_PAGE < c->bytes; page++)
		pages_unkeep(volume, ip, page);
	x_mem_content(c->memory, X_CONTENT_LOST, 0, c->bytes);
	return false;
}
