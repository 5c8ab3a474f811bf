/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The machine and the rest of the kernel, as far as the unit tests of memory
 * and devices need them. "Physical" memory is one sparse mapping of the host;
 * user addresses given to copy_to_user and copy_from_user are host pointers.
 *
 * The fake TLB remembers every translation that was taken away or reduced and
 * not yet flushed, and checks at the flush that its frame is still allocated.
 */
#ifndef FAKE_ARCH_H
#define FAKE_ARCH_H

#include <stdbool.h>
#include <stdint.h>

extern uint64_t fake_ram_base;     /* DIRECT_MAP_BASE */

struct waitq;
struct port;
struct process;

/* A fresh machine: memory of `bytes` from address 0, all ranges cleared. */
void fake_machine(uint64_t bytes);
void fake_range(uint64_t base, uint64_t bytes, bool usable);

extern unsigned fake_stale;        /* translations that await a flush */
extern int fake_pt_map_budget;     /* -1: endless; else pt_map fails after so many */
extern int (*fake_wait)(struct waitq *q);
/* What other CPUs do when the kernel lock is left next; NULL: it is not left. */
extern void (*fake_away)(void); /* what happens while a thread waits */
extern struct process *fake_process;      /* the current one */

struct port *fake_port(void);
void fake_port_free(struct port *p);

/* true if f(arg) panics */
bool fake_panics(void (*f)(void *arg), void *arg);

#endif
