/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of locks. An owner's locks of one class on one file never overlap;
 * those of one type that touch are joined (POSIX.1-2017, fcntl).
 */

#include "servers/vfs/lock.h"

enum { BUCKETS = 256 };

static struct lock locks[LOCKS_MAX];    /* index + 1 in lists */
static uint16_t buckets[BUCKETS], free_head, never_used;
static uint32_t used;

static uint16_t *bucket_of(struct lock_file file)
{
	return &buckets[(file.ino + file.dev * 31) * 0x9e3779b97f4a7c15ull >> 56];
}

static bool file_equal(struct lock_file a, struct lock_file b)
{
	return a.dev == b.dev && a.ino == b.ino;
}

static struct lock *lock_at(uint16_t index) { return index ? &locks[index - 1] : NULL; }

static void insert(const struct lock *new)
{
	uint16_t self = free_head, *bucket = bucket_of(new->file);

	if (self)
		free_head = locks[self - 1].next;
	else
		self = ++never_used;
	locks[self - 1] = *new;
	locks[self - 1].next = *bucket;
	*bucket = self;
	used++;
}

static void discard(struct lock *l)
{
	uint16_t self = (uint16_t)(l - locks + 1), *link = bucket_of(l->file);

	while (*link != self)
		link = &locks[*link - 1].next;
	*link = l->next;
	*l = (struct lock){ .next = free_head };
	free_head = self;
	used--;
}

static bool overlaps(const struct lock *a, const struct lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

const struct lock *lock_conflict(const struct lock *want)
{
	const struct lock *l, *first = NULL;

	if (want->type == LOCK_NONE)
		return NULL;
	for (l = lock_at(*bucket_of(want->file)); l; l = lock_at(l->next)) {
		if (l->class != want->class || !file_equal(l->file, want->file) || !overlaps(l, want) ||
		    lock_owner_equal(l->owner, want->owner))
			continue;
		if ((l->type == LOCK_WRITE || want->type == LOCK_WRITE) && (!first || l->start < first->start))
			first = l;
	}
	return first;
}

/* Is `l` the owner's, and must it change when `want` is set? */
static bool concerns(const struct lock *l, const struct lock *want)
{
	if (l->class != want->class || !file_equal(l->file, want->file) ||
	    !lock_owner_equal(l->owner, want->owner))
		return false;
	if (overlaps(l, want))
		return true;
	return l->type == want->type &&
	       (l->end + 1 == want->start || want->end + 1 == l->start);
}

static uint32_t count_of(struct lock_owner owner)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < never_used; i++)
		count += locks[i].class && lock_owner_equal(locks[i].owner, owner);
	return count;
}

/* What is left of `l` before and behind `want`. */
static void cut(const struct lock *l, const struct lock *want)
{
	struct lock part = *l;

	if (l->start < want->start) {
		part.end = want->start - 1;
		insert(&part);
	}
	if (l->end > want->end) {
		part = *l;
		part.start = want->end + 1;
		insert(&part);
	}
}

int64_t lock_set(const struct lock *want)
{
	struct lock merged = *want, old;
	struct lock *l, *next;

	if (used + 2 > LOCKS_MAX || (want->type != LOCK_NONE && count_of(want->owner) >= LOCKS_PER_OWNER))
		return -X_ENOLCK;
	for (l = lock_at(*bucket_of(want->file)); l; l = next) {
		next = lock_at(l->next);
		if (!concerns(l, want))
			continue;
		old = *l;
		discard(l);
		if (old.type == want->type) {
			merged.start = old.start < merged.start ? old.start : merged.start;
			merged.end = old.end > merged.end ? old.end : merged.end;
		} else {
			cut(&old, want);
		}
	}
	if (want->type != LOCK_NONE)
		insert(&merged);
	return 0;
}

bool lock_drop(struct lock_owner owner, const struct lock_file *file)
{
	bool any = false;

	for (uint32_t i = 0; i < never_used; i++) {
		struct lock *l = &locks[i];

		if (!l->class || !lock_owner_equal(l->owner, owner) || (file && !file_equal(l->file, *file)))
			continue;
		discard(l);
		any = true;
	}
	return any;
}

bool lock_has(const struct lock *want)
{
	const struct lock *l;

	for (l = lock_at(*bucket_of(want->file)); l; l = lock_at(l->next))
		if (concerns(l, want) && l->type == want->type && l->start <= want->start && l->end >= want->end)
			return true;
	return false;
}

bool lock_held(struct lock_owner owner)
{
	return count_of(owner) != 0;
}
