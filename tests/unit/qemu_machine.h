/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A machine of QEMU's with real devices, for unit tests of unmodified drivers: its
 * processor stands, and the test is its only program. Registers, configuration
 * space and interrupt lines are reached by QEMU's qtest protocol over a pipe; a
 * part of its memory is mapped here *at the address it has there*, so that a byte's
 * address for the device is its address in the test, and DMA costs the pipe nothing.
 * Message interrupts are words that the device writes into that memory.
 *
 * A driver lives in a process that the test forks, an incarnation; what is told
 * here of the machine outlives it.
 */
#ifndef TESTS_UNIT_QEMU_MACHINE_H
#define TESTS_UNIT_QEMU_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include <xinim/abi.h>

#define MACHINE_KILLED 77 /* exit status of a driver that was killed at an access */

/* ---- the test's own process ---- */

/* `options` of QEMU, NULL at the end, behind machine type, memory and processor. */
void machine_start(const char *const *options);
void machine_stop(void);
/* The device that the driver is for: its addresses are set. With `messages` it may use MSI-X or MSI, else INTx. */
void machine_device(uint32_t device, uint32_t function, bool messages);
/* A driver's life in a process of its own, which is killed at its `accesses`th access to a register (0: not);
 * then the device is cut off as the kernel does it (RECOVERY 10). Its exit status. */
int machine_incarnation(int (*life)(void), uint32_t accesses);

/* ---- the driver's process ---- */

uint64_t machine_read(uint64_t address, uint32_t width);
void machine_write(uint64_t address, uint32_t width, uint64_t value);
/* For fake_kernel.h: fake_memory and fake_device. */
void *machine_memory(uint64_t bytes);
int64_t machine_device_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d);
/* Interrupts that came since: signal(event, bits) each; how many. */
unsigned machine_interrupts(void (*signal)(x_handle_t event, uint64_t bits));
/* The device was reset: what a dead driver had is nobody's. From here on it is an error to write there. */
void machine_forget_the_dead(void);
/* Has the device written where it may not? Beside what was allocated, or to what the dead had. */
bool machine_memory_untouched(void);
uint64_t machine_now_ns(void);

#endif
