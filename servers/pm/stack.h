/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The initial stack of a Linux program, as the AMD64 ABI and Linux lay it out.
 * Pure: memory is written through a function that the caller gives.
 *
 *   high   8 zero bytes
 *          execfn, environment strings, argument strings (each with its NUL)
 *          "x86_64", 16 random bytes
 *          auxv pairs to AT_NULL, envp to NULL, argv to NULL
 *   rsp -> argc                                            (16-byte aligned)
 */
#ifndef SERVERS_PM_STACK_H
#define SERVERS_PM_STACK_H

#include <stddef.h>
#include <stdint.h>

enum {
	AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5, AT_PAGESZ = 6, AT_BASE = 7, AT_FLAGS = 8,
	AT_ENTRY = 9, AT_UID = 11, AT_EUID = 12, AT_GID = 13, AT_EGID = 14, AT_PLATFORM = 15,
	AT_HWCAP = 16, AT_CLKTCK = 17, AT_SECURE = 23, AT_RANDOM = 25, AT_HWCAP2 = 26, AT_EXECFN = 31,
	AT_SYSINFO_EHDR = 33,
	AT_MINSIGSTKSZ = 51,
};

struct auxv_pair { uint64_t type, value; };

struct stack_strings {   /* packed, NUL after each; bytes includes the NULs */
	const char *text;
	uint32_t bytes, count;
};

struct stack_input {
	uint64_t high;           /* one past the top, 16-byte aligned */
	uint64_t limit_bytes;    /* most that may be used */
	struct stack_strings args[2]; /* in this order */
	struct stack_strings env;
	const char *execfn;
	uint8_t random[16];
	/* Values of AT_RANDOM, AT_PLATFORM and AT_EXECFN are filled in here. The
	 * last pair is AT_NULL. */
	struct auxv_pair *auxv;
	uint32_t auxv_count;
};

struct stack_layout {
	uint64_t rsp, low;       /* low: page-aligned down */
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t execfn, platform, random;
	uint64_t argc, envc;
};

/* 0, or -X_E2BIG. */
int stack_plan(const struct stack_input *in, struct stack_layout *out);
/* put() writes to the new address space: 0 or an error, which ends it. */
int stack_write(const struct stack_input *in, const struct stack_layout *layout,
		int (*put)(void *ctx, uint64_t addr, const void *data, size_t bytes), void *ctx);

#endif
