/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine for the unit test of the IPC core: the kernel's own scheduler and
 * processes run on it, with every thread a fiber (ucontext) and several CPUs
 * taking turns on one host thread. User memory is host memory; a copy from or
 * to it, and the pinning of a window, blocks now and then, as a page fault may.
 */
#ifndef FAKE_SCHED_H
#define FAKE_SCHED_H

#include "kernel/arch/x86_64/arch.h"

#define arch_time_ns() fake_now

#define FAKE_CPUS   3u
#define ARENA_PAGES 16u

extern uint32_t fake_cpu;         /* the one that runs now */
#define this_cpu() (&cpus[fake_cpu])
#undef current
#define current() (cpus[fake_cpu].current)

extern uint64_t fake_now;
extern uint64_t fake_allocations; /* kmalloc'ed and not freed */
extern uint32_t fake_threads;     /* with a kernel stack */
extern char *fake_arena;          /* what windows are made of; nothing beyond it is mapped */
extern uint32_t fake_blocking;    /* a copy blocks with a chance of 1 in this; 0: never */

uint32_t fake_random(uint32_t below);
struct memory *fake_memory(void); /* a new memory object: the arena's pages */
uint64_t fake_pins(void);         /* references on the arena's frames */

void fake_sched_init(uint64_t seed);
/* Body of every thread after its kernel part; it never returns. */
extern void (*fake_user)(struct thread *t);
/* In a thread: leave the kernel, let other CPUs run, come back in. */
void fake_user_mode(void);
/* Outside: let all CPUs run for that many turns. */
void fake_run(uint32_t turns);
void fake_faults_settle(void);    /* threads blocked in copies go on */

#endif
