/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the compiler calls ahead of each store of the region's code. clang's
 * -fsanitize=kernel-address, with reads, stack and globals left out, calls for
 * every store, and memcpy, memmove and memset for every copy of a structure.
 * (Its trace-stores was tried: it misses copies of structures.)
 *
 * The entry first, then the head, then back: a death anywhere here is a death
 * before the store.
 */
#include "lib/region/region.h"

void __asan_store1_noabort(uintptr_t address);
void __asan_store2_noabort(uintptr_t address);
void __asan_store4_noabort(uintptr_t address);
void __asan_store8_noabort(uintptr_t address);
void __asan_store16_noabort(uintptr_t address);
void __asan_storeN_noabort(uintptr_t address, size_t bytes);
void __asan_loadN_noabort(uintptr_t address, size_t bytes);
void __asan_handle_no_return(void);

#define LOG(address, type) do { \
	struct region_entry *e = region.head; \
	e->where = (address) | (uint64_t)sizeof(type) << 56; \
	e->old = *(const type *)(address); \
	__atomic_signal_fence(__ATOMIC_SEQ_CST); \
	region.head = e + 1; \
} while (0)

#define HOOK(bytes, type) \
void __asan_store##bytes##_noabort(uintptr_t address) \
{ \
	if (address - REGION_START < region.span) \
		LOG(address, type); \
}

HOOK(1, uint8_t)
HOOK(2, uint16_t)
HOOK(4, uint32_t)
HOOK(8, uint64_t)

void __asan_store16_noabort(uintptr_t address)
{
	if (address - REGION_START >= region.span)
		return;
	LOG(address, uint64_t);
	LOG(address + 8, uint64_t);
}

void __asan_storeN_noabort(uintptr_t address, size_t bytes)
{
	region_note((const void *)address, bytes);
}

/* Called for structures passed by value, though reads are left out. */
void __asan_loadN_noabort(uintptr_t address, size_t bytes)
{
	(void)address;
	(void)bytes;
}

void __asan_handle_no_return(void)
{
}
