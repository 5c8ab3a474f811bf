/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The personality's region of a Linux process's address space: what lies
 * where, and the two structures through which pm (which maps it, at exec) and
 * the personality (which runs in it) know of each other. No code.
 *
 * Image. build/personality/linux.elf (archive entry "personality/linux") is an
 * ET_EXEC ELF64 without relocations, linked at X_PERS_BASE, with page-aligned
 * PT_LOAD segments: the first begins at X_PERS_BASE exactly with struct
 * pers_header; no segment is both writable and executable; all end below
 * PERS_IMAGE_END. pm reads its program headers once. In every new address
 * space, segments without PF_W are mapped shared from one memory object of
 * pm's; writable ones get a private copy (copy on write) of their file part,
 * then zeroes. So .data and .bss are the per-process data of the personality:
 * fresh after exec, copied by fork. All mappings carry X_MAP_PERSONALITY.
 *
 * Code is built -fPIC -fvisibility=hidden (the base is above 2 GiB, so no
 * 32-bit absolute addresses); jump tables and pointers in data are resolved by
 * the linker, which knows the final address.
 *
 *   X_PERS_BASE         image: header, text, rodata, data, bss
 *   PERS_START          struct pers_start, private, read-only to the program
 *   PERS_STACKS         upcall stacks: PERS_STACK_SLOTS slots of PERS_STACK_STRIDE
 *                       bytes, each a guard gap and, above it, PERS_STACK_BYTES
 *                       of stack. pm maps slot 0 for the first thread; the
 *                       personality maps (and unmaps) the others as threads come
 *   PERS_SCRATCH        free for the personality's own mappings, to PERS_SCRATCH_END
 *   PM_IDS_PAGE         struct pm_ids (proto/pm.h), read-only, written by pm
 */
#ifndef PERSONALITY_LINUX_LAYOUT_H
#define PERSONALITY_LINUX_LAYOUT_H

#include <xinim/abi.h>

#define PERS_IMAGE_END   (X_PERS_BASE + 0x01000000ull)
#define PERS_START       (X_PERS_BASE + 0x02000000ull)
#define PERS_START_BYTES 0x4000u /* mapped; struct pers_start is no larger */
#define PERS_STACKS      (X_PERS_BASE + 0x04000000ull)
#define PERS_STACK_BYTES 0x10000u
#define PERS_STACK_STRIDE 0x20000u
#define PERS_STACK_SLOTS 1024u
#define PERS_SCRATCH     (X_PERS_BASE + 0x100000000ull)
#define PERS_SCRATCH_END (X_PERS_END - 0x100000000ull)

/* Top of the upcall stack of a slot: x_thread_create.upcall_stack. */
#define PERS_STACK_TOP(slot) (PERS_STACKS + ((uint64_t)(slot) + 1) * PERS_STACK_STRIDE)

/* ------------------------------------------------- at X_PERS_BASE, read by pm */

#define PERS_MAGIC 0x31766e6c73726570ull /* "perslnv1" */

struct pers_header {
	uint64_t magic;
	uint32_t header_bytes;   /* sizeof(struct pers_header) */
	uint32_t start_version;  /* PERS_START_VERSION it was built with */
	uint64_t upcall_entry;   /* x_personality.entry; ELF e_entry is the same */
	uint64_t text_start, text_end; /* range in which `syscall` is native */
	uint64_t fixups;         /* uint64_t[2] pairs {faulting rip, continue rip} */
	uint64_t fixup_count;    /* pairs */
	uint64_t fixups_end;     /* if fixup_count is 0: end of the table, for linker scripts */
	uint64_t leave, leave_end; /* x_personality.leave */
	uint64_t vdso;           /* an ELF image, page aligned (vdso/vdso.c) */
	uint64_t reserved[5];
};

/* ------------------------------------- at PERS_START, written by pm at each exec */

#define PERS_START_VERSION 1u
#define PERS_AUXV_MAX 32u
#define PERS_PATH_MAX 4096u

struct pers_start {
	uint32_t version;        /* PERS_START_VERSION */
	uint32_t flags;          /* PERS_START_* */
	uint64_t program_entry;  /* the program's own e_entry, relocated */
	uint64_t thread_entry;   /* where the first thread starts: program or interpreter */
	uint64_t program_start, program_end; /* span of the program's segments */
	uint64_t interp_start, interp_end;   /* same of the interpreter; 0 if none */
	uint64_t brk_start;      /* page aligned; nothing is mapped for brk yet */
	uint64_t brk_limit;      /* highest value brk can be given */
	uint64_t stack_low;      /* lowest address the stack may grow down to */
	uint64_t stack_high;     /* one past its highest byte */
	uint64_t initial_rsp;    /* where argc lies */
	uint64_t arg_start, arg_end, env_start, env_end; /* the strings on the stack */
	uint64_t mmap_hint;      /* mappings without an address go below this */
	uint64_t mask;           /* notification mask the first thread starts with */
	uint64_t ignore;         /* ignore set in force: these stay SIG_IGN, all others SIG_DFL */
	uint32_t argc, envc;
	uint32_t auxc, pid;      /* auxc: pairs in auxv, AT_NULL included */
	struct { uint64_t type, value; } auxv[PERS_AUXV_MAX];
	char comm[16];           /* last component of the path, cut to 15 bytes */
	char exe[PERS_PATH_MAX]; /* path of the program file as it was given to exec
	                            (of the interpreter, for a script) */
};

#define PERS_START_SECURE 1u /* set-id program: AT_SECURE */

_Static_assert(sizeof(struct pers_header) == 128, "struct pers_header");
_Static_assert(sizeof(struct pers_start) <= PERS_START_BYTES, "struct pers_start");
_Static_assert(PERS_STACKS + (uint64_t)PERS_STACK_SLOTS * PERS_STACK_STRIDE <= PERS_SCRATCH,
	       "stacks end before the scratch area");

#endif
