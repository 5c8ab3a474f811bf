/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What space.c (regions) and fault.c (their pages) share.
 *
 * Page table entries, by what backs the page:
 *   PT_ANON            the frame belongs to page tables only
 *   PT_ANON | PT_COW   ... and perhaps to several: copy before writing
 *   PT_COW             a memory object's frame, mapped privately
 *   PT_CLEAN           a page of a paged object, shared: ask before the first write
 *   none of them       a memory object's frame, shared
 *   PT_PHYSICAL        not counted
 * Every entry but a physical one holds one reference on its frame. PT_COW stays
 * with the entry whatever the region's protection is; PT_WRITE, PT_EXEC and
 * PT_NOACCESS always follow from it and the protection.
 */
#ifndef SPACE_H
#define SPACE_H

#include "kernel/arch/x86_64/arch.h"

#define PT_KEPT (PT_ANON | PT_COW | PT_CLEAN | PT_PHYSICAL | PT_UNCACHED)

#define STACK_BYTES_MAX (8ull << 20) /* a GROWSDOWN region grows up to this */
#define STACK_GUARD     (1ull << 20) /* and stays this far from the one below */

/* In region.flags: pages are those of the lender's region at the same address. */
#define REGION_LENT (1u << 16)

static inline bool region_private(const struct region *r)
{
	return r->memory == NULL || (r->flags & X_MAP_PRIVATE);
}

/* Flags of a page of r; kept: those of PT_KEPT that it has. */
static inline uint32_t region_pte_flags(const struct region *r, uint32_t kept)
{
	uint32_t flags = kept;

	if (r->prot == 0)
		flags |= PT_NOACCESS;
	if ((r->prot & X_PROT_WRITE) && !(kept & (PT_COW | PT_CLEAN)))
		flags |= PT_WRITE;
	if (r->prot & X_PROT_EXEC)
		flags |= PT_EXEC;
	return flags;
}

/* An entry with these flags is made (pages 1) or goes (-1). */
static inline void page_counted(struct space *s, uint32_t flags, int64_t pages)
{
	if (flags & PT_PHYSICAL)
		return;
	if (pages < 0)
		space_note_peak(s);
	s->resident_pages += (uint64_t)pages;
	if (!(flags & PT_ANON))
		return;
	if (pages > 0)
		account_add(s->account, PAGE_SIZE);
	else
		account_sub(s->account, PAGE_SIZE);
}

/* space.c: the first region that ends above addr, or NULL */
struct region *space_find(struct space *s, uint64_t addr);

/* fault.c: make all pages of a part of r present, with copies made where they
 * would be on a write. Does not block: pages a pager must supply are left out.
 * -X_ENOMEM, or -X_EINVAL beyond the end of the memory object. */
int region_populate(struct space *s, struct region *r, uint64_t start, uint64_t end);
/* fault.c: r's private pages for the child, *at_once of them copied now; pages of memory
 * objects are left for its faults to map. */
int region_clone_pages(struct space *s, struct space *child, struct region *r, uint32_t *at_once);

#endif
