/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Native system calls, each as call_NAME(): arguments checked, handles resolved,
 * work handed on. What each does is said in include/xinim/syscall.h.
 */
#ifndef SYSCALL_H
#define SYSCALL_H

#include "port.h"

/* The arguments, where they lie in struct x_regs. */
struct args { uint64_t rax, rbx, rcx, c, b, a, rbp, rsp, e, r9, d; } __attribute__((may_alias));
_Static_assert(offsetof(struct args, a) == offsetof(struct x_regs, rdi) &&
	       offsetof(struct args, b) == offsetof(struct x_regs, rsi) &&
	       offsetof(struct args, c) == offsetof(struct x_regs, rdx) &&
	       offsetof(struct args, d) == offsetof(struct x_regs, r10) &&
	       offsetof(struct args, e) == offsetof(struct x_regs, r8), "struct args");

#define DECLARE(name, number) int64_t call_##name(const struct args *a);
X_SYSCALLS(DECLARE)
#undef DECLARE

#endif
