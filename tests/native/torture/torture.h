/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the torture share. Random numbers of the first process are
 * those of `who` == MASTER.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <xinim/syscall.h>

#define THREADS 3u
#define MASTER  THREADS
#define MS      1000000ull
#define PATIENCE_NS (60000 * MS) /* what takes longer hangs: a host with much else to do may stand still for seconds */

uint64_t now(void);
uint32_t any(uint32_t who, uint32_t below);
void pause_ns(uint64_t ns);
void fail(const char *what, int64_t error); /* says so, and ends the machine */
/* Kills it, waits for its death, and fails if it had failed by itself. */
void end_process(x_handle_t process);

/* flows.c: the first process is the server of flows from here on, and must go on committing. */
void torture_flows(void);

#endif
