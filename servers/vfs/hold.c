/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inodes kept alive for sessions, mounts and O_PATH descriptors.
 *
 * Thousands of processes share a few working directories, so references are
 * counted here, per (mount, inode), and the filesystem is told only when the
 * last one is gone. fs_holds is how often the filesystem counts us: each
 * lookup that ends "held" adds one, and FS_RELEASE gives them all back.
 *
 * A filesystem that restarted with nothing has forgotten its holds; mount.c
 * then takes each anew (inode numbers stay the same). Entries for which that
 * fails keep fs_holds 0: their users meet -X_ENOENT.
 */

#include "servers/vfs/vfs.h"

enum { BUCKETS = 512, SURPLUS = 64 };

struct hold {
	struct place place;
	uint64_t fs_holds;
	uint32_t refs;          /* 0: free */
	uint16_t next;          /* index + 1, in the bucket or the free list */
};

static struct hold holds[HOLDS_MAX];
static uint16_t buckets[BUCKETS];       /* index + 1 */
static uint16_t free_head;              /* index + 1 */
static uint16_t never_used;             /* entries from here up are fresh */

/* Places here are those in filesystems, whichever mount they were reached by. */
static uint16_t *bucket_of(struct place p)
{
	uint64_t hash = (p.inode + p.mount * 0x1001ull) * 0x9e3779b97f4a7c15ull;

	return &buckets[hash >> 55];
}

static struct hold *find(struct place p)
{
	uint16_t at;

	for (at = *bucket_of(p); at; at = holds[at - 1].next)
		if (place_equal(holds[at - 1].place, p))
			return &holds[at - 1];
	return NULL;
}

static struct hold *insert(struct place p)
{
	uint16_t *bucket = bucket_of(p), at;

	if (free_head) {
		at = free_head;
		free_head = holds[at - 1].next;
	} else if (never_used < HOLDS_MAX) {
		at = ++never_used;
	} else {
		return NULL;
	}
	holds[at - 1] = (struct hold){ .place = p, .next = *bucket };
	*bucket = at;
	return &holds[at - 1];
}

static void discard(struct hold *h)
{
	uint16_t self = (uint16_t)(h - holds + 1), *link = bucket_of(h->place);

	while (*link != self)
		link = &holds[*link - 1].next;
	*link = h->next;
	h->refs = 0;
	h->next = free_head;
	free_head = self;
}

bool hold_adopt(struct place seen)
{
	struct place p = place_in_fs(seen);
	struct hold *h = find(p);

	if (!h)
		h = insert(p);
	if (!h) {
		fs_release(&mounts[p.mount], p.inode, 1);
		return false;
	}
	h->fs_holds++;
	h->refs++;
	if (h->fs_holds > SURPLUS) {    /* "/" is looked up for ever: keep the count small */
		fs_release(&mounts[p.mount], p.inode, h->fs_holds - 1);
		h->fs_holds = 1;
	}
	return true;
}

bool hold_share(struct place p)
{
	struct hold *h = find(place_in_fs(p));

	if (!h)
		return false;
	h->refs++;
	return true;
}

void hold_drop(struct place seen)
{
	struct place p = place_in_fs(seen);
	struct hold *h = find(p);

	if (!h || --h->refs)
		return;
	if (h->fs_holds)
		fs_release(&mounts[p.mount], p.inode, h->fs_holds);
	discard(h);
}

void hold_trim(struct place p)
{
	struct hold *h = find(p);

	if (!h || h->fs_holds < 2)
		return;
	fs_release(&mounts[p.mount], p.inode, h->fs_holds - 1);
	h->fs_holds = 1;
}

uint32_t hold_count(uint32_t mount)
{
	uint32_t i, count = 0;

	for (i = 0; i < never_used; i++)
		if (holds[i].refs && holds[i].place.mount == mount)
			count += holds[i].refs;
	return count;
}

void hold_forget_mount(uint32_t mount)
{
	uint32_t i;

	for (i = 0; i < never_used; i++)
		if (holds[i].refs && holds[i].place.mount == mount)
			discard(&holds[i]);
}

void hold_lost(uint32_t mount)
{
	uint32_t i;

	for (i = 0; i < never_used; i++)
		if (holds[i].refs && holds[i].place.mount == mount)
			holds[i].fs_holds = 0;
}

bool hold_next(uint32_t mount, uint32_t *cursor, uint64_t *inode)
{
	for (; *cursor < never_used; (*cursor)++) {
		struct hold *h = &holds[*cursor];

		if (!h->refs || h->place.mount != mount)
			continue;
		*inode = h->place.inode;
		(*cursor)++;
		return true;
	}
	return false;
}

void hold_renewed(uint32_t mount, uint64_t inode, bool held)
{
	struct hold *h = find((struct place){ mount, inode });

	if (h)
		h->fs_holds += held;
	else if (held)  /* its last user went meanwhile */
		fs_release(&mounts[mount], inode, 1);
}
