/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The vDSO: time and the number of the CPU without a system call. A shared
 * library of its own, carried in the personality's image (vdso.S) and found by
 * the C library through AT_SYSINFO_EHDR. It reads the time-stamp counter and
 * the process's page of pm (struct pm_ids), by the kernel's own formula
 * (kernel/arch/x86_64/time.c), so both give the same time. `syscall` in it is
 * the program's: what it does not know goes the usual way.
 */
#include "personality/linux/linux_abi.h"
#include "proto/pm.h"

#define EXPORT __attribute__((visibility("default")))
#define NS_PER_SECOND 1000000000u

enum { REALTIME, MONOTONIC, MONOTONIC_RAW = 4, REALTIME_COARSE, MONOTONIC_COARSE, BOOTTIME };
enum { SYS_GETTIMEOFDAY = 96, SYS_TIME = 201, SYS_CLOCK_GETTIME = 228, SYS_CLOCK_GETRES };

static long linux_call(long number, long a, long b)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "0"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return result;
}

static inline const volatile struct pm_ids *page(void)
{
	return (const volatile struct pm_ids *)PM_IDS_PAGE;
}

static inline uint64_t monotonic_ns(void)
{
	uint32_t low, high;
	uint64_t ticks;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	ticks = ((uint64_t)high << 32 | low) - page()->tsc_base;
	return (uint64_t)((unsigned __int128)ticks * page()->ns_per_tsc_32 >> 32);
}

static inline uint64_t realtime_ns(void)
{
	return monotonic_ns() + page()->realtime_offset_ns;
}

EXPORT int __vdso_clock_gettime(int clock, struct linux_timespec *t)
{
	uint64_t ns;

	switch (clock) {
	case REALTIME: case REALTIME_COARSE: ns = realtime_ns(); break;
	case MONOTONIC: case MONOTONIC_RAW: case MONOTONIC_COARSE: case BOOTTIME: ns = monotonic_ns(); break;
	default: return (int)linux_call(SYS_CLOCK_GETTIME, clock, (long)t);
	}
	t->sec = (int64_t)(ns / NS_PER_SECOND);
	t->nsec = (int64_t)(ns % NS_PER_SECOND);
	return 0;
}

EXPORT int __vdso_clock_getres(int clock, struct linux_timespec *t)
{
	return (int)linux_call(SYS_CLOCK_GETRES, clock, (long)t);
}

EXPORT int __vdso_gettimeofday(struct linux_timeval *t, void *zone)
{
	uint64_t ns;

	if (zone)
		return (int)linux_call(SYS_GETTIMEOFDAY, (long)t, (long)zone);
	if (!t)
		return 0;
	ns = realtime_ns();
	t->sec = (int64_t)(ns / NS_PER_SECOND);
	t->usec = (int64_t)(ns % NS_PER_SECOND / 1000);
	return 0;
}

EXPORT long __vdso_time(long *t)
{
	long seconds = (long)(realtime_ns() / NS_PER_SECOND);

	if (t)
		*t = seconds;
	return seconds;
}

EXPORT long __vdso_getcpu(uint32_t *cpu, uint32_t *node, void *unused)
{
	uint32_t limit = 0;

	(void)unused;
	__asm__ volatile("lsll %1, %0" : "+r"(limit) : "r"(X_CPU_SELECTOR) : "cc");
	if (cpu)
		*cpu = limit;
	if (node)
		*node = 0;
	return 0;
}
