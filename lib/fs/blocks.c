/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Blocks of several pages. Room is given to a whole block, which then holds what the
 * disk held there: so whoever gives it room, or makes the file end later in it, has all
 * its other pages inside the file in memory and dirty, to be written as they read. What
 * a block holds behind the end of its file means nothing.
 */
#include "lib/fs/server.h"

static uint64_t block_bytes(void)
{
	uint32_t bytes = fsys_limits(volume)->block_bytes;

	return bytes > CONTENT_PAGE ? bytes : 0;
}

static int has_room(const struct content *c, uint64_t offset, bool *room)
{
	uint64_t next;

	return fsys_room_at(volume, c->ino, offset, room, &next);
}

static int hold_pages(struct content *c, uint64_t at, uint64_t end)
{
	for (; at < end; at += CONTENT_PAGE) {
		int status = content_hold(c, at, 1);

		if (status == -X_EWAIT) /* those behind it, too */
			(void)store_fetch(c, at, end - at);
		if (status)
			return status;
	}
	return 0;
}

int blocks_hold(struct content *c, uint64_t from, uint64_t end)
{
	const uint64_t edges[] = { from, end };
	uint64_t bytes = block_bytes();
	uint32_t i;

	for (i = 0; bytes && i < 2; i++) {
		uint64_t start = edges[i] - edges[i] % bytes;
		bool room = false;
		int status;

		if (start == edges[i] || start >= c->bytes)
			continue;
		status = has_room(c, start, &room);
		if (!status && !room)
			status = hold_pages(c, start, start + bytes < c->bytes ? start + bytes : c->bytes);
		if (status)
			return status;
	}
	return 0;
}

/* Pages of zeros that were not there before, to be written. */
static int add_zeros(struct content *c, uint64_t at, uint64_t end)
{
	int64_t status = 0;

	for (at = (at + CONTENT_PAGE - 1) & ~(CONTENT_PAGE - 1); at < end && !status; at += CONTENT_PAGE) {
		status = x_mem_supply(c->memory, at, NULL, CONTENT_PAGE, 0);
		if (!status && x_mem_content(c->memory, X_CONTENT_HOLD, at, 1) != 1)
			status = -X_ENOMEM; /* given back between the two */
	}
	return status;
}

static int fill(struct content *c, uint64_t old_bytes, uint64_t from)
{
	const uint64_t blocks[] = { old_bytes, from };
	uint64_t bytes = block_bytes();
	uint32_t i;

	for (i = 0; bytes && from > old_bytes && i < 2; i++) {
		uint64_t start = blocks[i] - blocks[i] % bytes;
		bool room = false;
		int status = start == blocks[i] ? 0 : has_room(c, start, &room);

		if (room)
			status = add_zeros(c, start > old_bytes ? start : old_bytes,
					   start + bytes < from ? start + bytes : from);
		if (status)
			return status;
	}
	return 0;
}

int blocks_grow(struct content *c, const struct fsys_caller *who, uint64_t old_bytes, uint64_t from)
{
	int status = fill(c, old_bytes, from);

	if (!status)
		return 0;
	(void)fsys_truncate(volume, who, c->ino, old_bytes, false);
	content_resize(c, old_bytes);
	return status;
}

bool blocks_end_inside(uint64_t bytes)
{
	uint64_t grain = block_bytes() ? block_bytes() : CONTENT_PAGE;

	return bytes % grain;
}
