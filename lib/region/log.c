/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The undo log: commit, rollback, and old contents of whole ranges.
 */
#include "lib/region/region.h"

#define PAD(bytes) (((bytes) + 15) & ~(size_t)15)

REGION_SCRATCH struct region_control region;

#ifdef XINIM_WARM
const bool region_hooks = true;
#else
const bool region_hooks = false;
#endif

/* Loops of our own: memcpy() is what the region's code uses, and notes. */
static void copy(void *to, const void *from, size_t bytes)
{
	volatile uint64_t *d = to;
	const volatile uint64_t *s = from;
	volatile unsigned char *tail_d;
	const volatile unsigned char *tail_s;

	for (; bytes >= 32; bytes -= 32, d += 4, s += 4) {
		uint64_t first = s[0], second = s[1], third = s[2], fourth = s[3];

		d[0] = first;
		d[1] = second;
		d[2] = third;
		d[3] = fourth;
	}
	for (; bytes >= 8; bytes -= 8)
		*d++ = *s++;
	tail_d = (volatile unsigned char *)d;
	tail_s = (const volatile unsigned char *)s;
	while (bytes--)
		*tail_d++ = *tail_s++;
}

/* What was filled or put since the commit: not for the verifier to wonder about. */
#define FREE_MOST 64u
static REGION_SCRATCH struct {
	struct { uintptr_t at; size_t bytes; } range[FREE_MOST];
	uint32_t count;
} was_free;

/* More than can be remembered is logged. */
static void note_free(void *address, size_t bytes)
{
	if ((uintptr_t)address - REGION_START >= region.span)
		return;
	if (was_free.count == FREE_MOST) {
		region_note(address, bytes);
		return;
	}
	was_free.range[was_free.count].at = (uintptr_t)address;
	was_free.range[was_free.count++].bytes = bytes;
}

void region_fill(void *address, size_t bytes)
{
	volatile uint64_t *d = address;

	note_free(address, bytes);
	for (; bytes >= 32; bytes -= 32, d += 4) {
		d[0] = 0;
		d[1] = 0;
		d[2] = 0;
		d[3] = 0;
	}
	for (; bytes >= 8; bytes -= 8)
		*d++ = 0;
}

void region_put(void *address, const void *from, size_t bytes)
{
	note_free(address, bytes);
	copy(address, from, bytes);
}

void region_open(void *log, uint64_t epoch)
{
	region.log = region.head = log;
	region.epoch = epoch;
	region.mapped_end = REGION_END;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	region.span = REGION_END - REGION_START;
}

/* Empty first: between the two stores the epoch is the old one, the log void. */
void region_commit(uint64_t epoch)
{
	if (region_log_bytes() > region.entries_max)
		region.entries_max = region_log_bytes();
	region.head = region.log;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	region.epoch = epoch;
	was_free.count = 0;
}

void region_note(const void *address, size_t bytes)
{
	uint64_t offset = (uintptr_t)address - REGION_START;
	struct region_entry *e;

	if (offset >= region.span || bytes == 0)
		return;
	copy(region.head, address, bytes);
	e = (struct region_entry *)((char *)region.head + PAD(bytes));
	e->where = (uintptr_t)address | REGION_LONG;
	e->old = bytes;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	region.head = e + 1;
}

/* Undo one entry below `end`, at address + shift; returns the one before it, NULL: nonsense. */
static struct region_entry *undo(struct region_entry *e, uint64_t end, uint64_t shift)
{
	uint64_t address = REGION_WHERE(e->where), bytes = e->where >> 56;
	char *old = (char *)&e->old;

	if (bytes == 0xff) {
		bytes = e->old;
		if (bytes > (uint64_t)((char *)e - (char *)region.log))
			return NULL;
		old = (char *)e - PAD(bytes);
	} else if (bytes > 8) {
		return NULL;
	}
	if (old < (char *)region.log || address < REGION_START || address >= REGION_END ||
	    bytes > REGION_END - address)
		return NULL;
	if (address + bytes <= end)
		copy((void *)(address + shift), old, bytes);
	return old == (char *)&e->old ? e - 1 : (struct region_entry *)old - 1;
}

static bool undo_all(uint64_t end, uint64_t shift)
{
	struct region_entry *e = region.head - 1;

	while (e && e >= region.log)
		e = undo(e, end, shift);
	return e != NULL;
}

bool region_rollback(uint64_t epoch)
{
	if (epoch == region.epoch && !undo_all(region.mapped_end, 0))
		return false;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	region_commit(epoch);
	return true;
}

/* ------------------------------------------------------------------ verifier */

void region_snapshot(void *snapshot, size_t bytes)
{
	copy(snapshot, (const void *)REGION_START, bytes);
}

bool region_undo_copy(void *work, size_t bytes)
{
	copy(work, (const void *)REGION_START, bytes);
	return undo_all(REGION_START + bytes, (uintptr_t)work - REGION_START);
}

static bool is_free(uintptr_t at)
{
	for (uint32_t i = 0; i < was_free.count; i++)
		if (at - was_free.range[i].at < was_free.range[i].bytes)
			return true;
	return false;
}

const void *region_compare(const void *snapshot, const void *work, size_t bytes)
{
	const unsigned char *was = snapshot, *is = work;

	for (size_t i = 0; i < bytes; i++)
		if (was[i] != is[i] && !is_free(REGION_START + i))
			return (const void *)(REGION_START + i);
	return NULL;
}
