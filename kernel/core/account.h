/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Accounts: who pays for memory. Each process has one of its own, made with it.
 *
 * Charged, in bytes, to the account of
 *   whoever asks     what the kernel's heap gives (heap.c)
 *   the space        its page tables and private pages; a page shared by copy on
 *                    write is charged to each space that has it
 *   the process      the stacks of its threads, its handle table
 *   the maker        the pages of a memory object, mapped or not, by whomever
 * Over the limit, who asks is refused (-X_ENOMEM), nobody else. An account ends with
 * its last charge: an object that outlives its maker keeps that one's account. So
 * whoever holds a pointer to an account is itself charged to it, and need not count.
 * Why so: docs/decisions/0070-accounts.md.
 */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "kernel.h"

struct account {
	uint64_t used, limit;
	uint64_t kernel, kernel_limit; /* the part that is not pages of programs and objects */
	bool program;                  /* the reserve is not for it */
	bool closed;                   /* its process is no more */
};

extern struct account kernel_account; /* for what nobody asked for, without limit */
struct account *account_create(bool program); /* or NULL */
void account_free(struct account *a);
void account_close(struct account *a); /* ends with its last charge */

/* There is room for that many bytes more, of pages; of the kernel's own. */
static inline bool account_has(const struct account *a, uint64_t bytes)
{
	return a->used + bytes <= a->limit;
}
static inline bool account_has_kernel(const struct account *a, uint64_t bytes)
{
	return account_has(a, bytes) && a->kernel + bytes <= a->kernel_limit;
}
/* The same after clean pages of its files have gone, if need be. */
bool account_make_room(const struct account *a, uint64_t bytes);
static inline void account_add(struct account *a, uint64_t bytes) { a->used += bytes; }
static inline void account_sub(struct account *a, uint64_t bytes)
{
	KASSERT(a->used >= bytes);
	a->used -= bytes;
	if (__builtin_expect(!a->used && a->closed, 0))
		account_free(a);
}
static inline void account_add_kernel(struct account *a, uint64_t bytes)
{
	a->kernel += bytes;
	account_add(a, bytes);
}
static inline void account_sub_kernel(struct account *a, uint64_t bytes)
{
	a->kernel -= bytes;
	account_sub(a, bytes);
}

#endif
