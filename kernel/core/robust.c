/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Robust futexes: what a thread holds when it ends is marked, and who waits for it
 * is woken. The list of it is the thread's own, in its memory (set_robust_list(2)); only the
 * kernel is there at each end, and can still read it: of a thread that is stopped,
 * waits for a server, or is ended because there is no memory. Whatever the list says it
 * reaches nothing but the thread's own memory: all is by its own addresses.
 */
#include "port.h"

#define ENTRIES_MAX 2048u /* of a list; it may be a ring that does not come back */
#define ENTRIES_AT_ONCE 64u

static void word_release(uint64_t address, uint32_t owner, bool pending)
{
	uint32_t word;

	if ((address & 3) || copy_from_user(&word, address, sizeof(word)))
		return;
	/* Twice: others add X_ROBUST_WAITERS to it, and no more, until they see the mark. */
	for (uint32_t tries = 0; tries < 2 && (word & X_ROBUST_OWNER) == owner; tries++) {
		int64_t seen = user_replace((uint32_t *)address, word, (word & X_ROBUST_WAITERS) | X_ROBUST_DIED);

		if (seen < 0)
			return;
		if ((uint32_t)seen == word) {
			if (word & X_ROBUST_WAITERS)
				sys_futex_wake(address, 1, ~0u, 0, 0);
			return;
		}
		word = (uint32_t)seen;
	}
	if (pending && word == 0) /* it was given up, but not yet told to who waits */
		sys_futex_wake(address, 1, ~0u, 0, 0);
}

void robust_release(void)
{
	struct thread *t = current();
	struct x_robust_list head;
	uint64_t list = t->robust_list, entry;

	t->robust_list = 0;
	if (!list || copy_from_user(&head, list, sizeof(head)))
		return;
	entry = head.next & ~1ull;
	head.pending &= ~1ull;
	for (uint32_t i = 0; i < ENTRIES_MAX && entry != list; i++) {
		uint64_t next;

		/* First: who gets the word may take the entry off. */
		if (copy_from_user(&next, entry, sizeof(next)))
			break;
		if (entry != head.pending)
			word_release(entry + (uint64_t)head.offset, t->robust_owner, false);
		entry = next & ~1ull;
		if (i % ENTRIES_AT_ONCE == ENTRIES_AT_ONCE - 1)
			kernel_lock_breathe();
	}
	if (head.pending)
		word_release(head.pending + (uint64_t)head.offset, t->robust_owner, true);
}

int64_t sys_thread_robust(uint64_t list, uint32_t owner)
{
	struct thread *t = current();

	if (owner & ~X_ROBUST_OWNER)
		return -X_EINVAL;
	if (!owner) {
		robust_release();
		return 0;
	}
	t->robust_list = list;
	t->robust_owner = owner;
	return 0;
}
