/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For native programs that run instead of rs, as the first process: make
 * another process out of a copy of all of our own memory.
 */
#ifndef CLONE_H
#define CLONE_H

#include <xinim/syscall.h>

/* Returns a process handle, or an error. */
int64_t clone_self(x_handle_t resource, const char *name, uint32_t band);
/* All of our memory into another space: of a process, or one for x_proc_exec. 0 or an error. */
int64_t clone_memory(x_handle_t space);
/* A thread in it (or in ourselves: X_SELF); stack: its top. */
int64_t clone_thread(x_handle_t process, void (*entry)(uint64_t arg), uint64_t arg, void *stack);

#endif
