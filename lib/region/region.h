/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The recoverable region of a server and its undo log (docs/recovery.md).
 *
 * The region is every writable section of the program and its heap, at fixed
 * addresses, one behind the other. While it is open, each store to it is preceded by a call of a hook,
 * made by the compiler, that writes the old contents to the log. A commit
 * empties the log; a rollback brings the region back to the last commit. Both
 * name the epoch of the server's port: a log of another epoch is void, for the
 * kernel had taken the commit already when its server died.
 *
 *   log:  [entry][entry][ old bytes, padded | entry with LONG ] ...  <- head
 *
 * Outside the region lie the stack, the log, and what is marked REGION_SCRATCH;
 * memory mapped by other means than region_heap() is payload: not rolled back.
 *
 * Everything here is compiled without the hooks.
 */
#ifndef LIB_REGION_REGION_H
#define LIB_REGION_REGION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The linker places .data here, .bss behind it, and scratch below. */
#define REGION_START 0x10000000ull
#define REGION_END   0x40000000ull
#define REGION_LOG   0x50000000ull /* nothing is mapped before and behind it */

/* Lasts as long as the process, keeps its contents over a restart in place, and
 * is neither logged nor rolled back. (clang stores no bytes for this section.) */
#define REGION_SCRATCH __attribute__((section(".llvm.linkonce.b.scratch")))

struct region_entry {
	uint64_t where; /* address | bytes << 56; REGION_LONG: `old` bytes precede the entry */
	uint64_t old;   /* what was there, or how much */
};
#define REGION_LONG  (0xffull << 56)
#define REGION_WHERE(where) ((where) & 0x00ffffffffffffffull)

struct region_control {
	uint64_t span;             /* REGION_END - REGION_START while open, else 0: hooks do nothing */
	struct region_entry *head; /* where the next entry goes */
	struct region_entry *log;
	uint64_t epoch;            /* of the port, at the last commit */
	uint64_t mapped_end;       /* of the region at the last commit: what was mapped since is gone
	                              when a rollback runs. REGION_END unless said otherwise */
	uint64_t entries_max;      /* most bytes of log an iteration has needed */
};
extern struct region_control region;
extern const bool region_hooks; /* the program's code has them */

/* Open the region: from here on all is logged. log: zeroed or not, REGION_LOG
 * in a server, between pages that are not mapped. */
void region_open(void *log, uint64_t epoch);
void region_commit(uint64_t epoch);
static inline bool region_is_open(void) { return region.span != 0; }
static inline size_t region_log_bytes(void) { return (char *)region.head - (char *)region.log; }

/* Back to the last commit if that was at `epoch`, else nothing. May be
 * interrupted anywhere and repeated. False: the log makes no sense. */
bool region_rollback(uint64_t epoch);

/* Log what is at [address, address + bytes), if that is in the region: before
 * the kernel, or code without hooks, stores there. */
void region_note(const void *address, size_t bytes);

/*
 * The same for memory whose contents nobody would miss after a rollback, since it was
 * free at the last commit (all of it: what says that it is free lies elsewhere). Stores
 * by region_fill() and region_put() are not logged, those of the compiler's hooks are.
 */
void region_fill(void *address, size_t bytes); /* with zeros; words only: bytes % 8 == 0 */
void region_put(void *address, const void *from, size_t bytes); /* the same */

/* A function whose stores go to REGION_SCRATCH and the stack only: no hooks in it. */
#ifdef __clang__
#define REGION_UNLOGGED __attribute__((no_sanitize("kernel-address")))
#else
#define REGION_UNLOGGED
#endif

/*
 * The verifier, for tests: with a copy of the region from the last commit, undo
 * the log on another copy and compare. Needs a buffer of twice `bytes`.
 */
void region_snapshot(void *snapshot, size_t bytes);            /* right after a commit */
/* Right before one: undo the log on a copy of the region. False: the log makes no sense. */
bool region_undo_copy(void *work, size_t bytes);
/* NULL, or the first address whose change was not logged. */
const void *region_compare(const void *snapshot, const void *work, size_t bytes);

#endif
