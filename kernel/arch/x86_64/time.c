/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Time: the TSC, calibrated once (hypervisor or CPUID leaf if they tell, else
 * against the ACPI PM timer, else PIT channel 2), and the CMOS clock for the
 * date. The TSCs of all CPUs are taken to run together, as they do since 2008
 * and in every emulator.
 */
#include "x86.h"

#define PM_TIMER_HZ  3579545u
#define PM_TIMER_MASK 0xffffffu /* 24 bits are always there */
#define PIT_HZ       1193182u
#define CALIBRATE_MS 12u
#define WAIT_READS   10000000u

uint64_t tsc_base, ns_per_tsc_32;
static uint32_t tsc_khz;
static uint64_t realtime_base_ns;        /* realtime at monotonic 0 */

static uint64_t tsc_khz_by_cpuid(void)
{
	struct cpuid l15;

	if (cpuid(1, 0).c >> 31 & 1u) /* hypervisor: leaf 15h may be the host's */
		return cpuid(0x40000000u, 0).a >= 0x40000010u ? cpuid(0x40000010u, 0).a : 0;
	if (cpuid(0, 0).a < 0x15)
		return 0;
	l15 = cpuid(0x15, 0);
	return l15.a && l15.b && l15.c ? (uint64_t)l15.c * l15.b / l15.a / 1000 : 0;
}

struct sample { uint64_t tsc, pm; };

/* The tightest of several readings: we may be interrupted by a host. */
static struct sample sample_pm(void)
{
	struct sample best = { 0, 0 };
	uint64_t best_width = UINT64_MAX;

	for (int i = 0; i < 8; i++) {
		uint64_t before = rdtsc();
		uint32_t pm = inl(acpi.pm_timer_port) & PM_TIMER_MASK;
		uint64_t width = rdtsc() - before;

		if (width < best_width) {
			best_width = width;
			best = (struct sample){ before + width / 2, pm };
		}
	}
	return best;
}

static uint64_t tsc_khz_by_pm_timer(void)
{
	const uint32_t wanted = PM_TIMER_HZ / 1000 * CALIBRATE_MS;
	struct sample a, b;
	uint64_t ticks;

	if (!acpi.pm_timer_port)
		return 0;
	a = sample_pm();
	for (uint32_t reads = 0; ((inl(acpi.pm_timer_port) - a.pm) & PM_TIMER_MASK) < wanted; reads++)
		if (reads == WAIT_READS)
			return 0;
	b = sample_pm();
	ticks = (b.pm - a.pm) & PM_TIMER_MASK;
	return (b.tsc - a.tsc) * PM_TIMER_HZ / ticks / 1000;
}

static uint64_t tsc_khz_by_pit(void)
{
	const uint32_t count = PIT_HZ / 1000 * CALIBRATE_MS;
	uint64_t start, end;
	uint32_t reads = 0;

	outb(0x61, (inb(0x61) & ~2u) | 1u); /* gate on, speaker off */
	outb(0x43, 0xb0);                   /* channel 2, both bytes, mode 0 */
	outb(0x42, count & 0xff);
	outb(0x42, count >> 8);
	start = rdtsc();
	while (!(inb(0x61) & 0x20))
		if (++reads == WAIT_READS)
			return 0;
	end = rdtsc();
	return (end - start) / CALIBRATE_MS;
}

uint32_t arch_tsc_khz(void) { return tsc_khz; }

void arch_tsc_formula(uint64_t *base, uint64_t *ns_per_tsc)
{
	*base = tsc_base;
	*ns_per_tsc = ns_per_tsc_32;
}

void arch_set_realtime(uint64_t ns) { realtime_base_ns = ns - arch_time_ns(); }
uint64_t arch_realtime_offset_ns(void) { return realtime_base_ns; }
uint64_t arch_realtime_ns(void) { return realtime_base_ns + arch_time_ns(); }

void busy_wait_us(uint32_t us)
{
	uint64_t end = arch_time_ns() + us * 1000ull;

	while (arch_time_ns() < end)
		cpu_pause();
}

/* ------------------------------------------------------------ CMOS clock */

static uint8_t cmos(uint8_t reg)
{
	outb(0x70, reg | 0x80);
	return inb(0x71);
}

struct date { uint8_t second, minute, hour, day, month, year, century; };

static struct date read_date(void)
{
	struct date d;

	for (uint32_t reads = 0; (cmos(10) & 0x80) && reads < 100000; reads++)
		;
	d = (struct date){ cmos(0), cmos(2), cmos(4), cmos(7), cmos(8), cmos(9), 0 };
	if (acpi.century_register)
		d.century = cmos(acpi.century_register);
	return d;
}

static uint32_t bcd(uint8_t v) { return (v >> 4) * 10u + (v & 15u); }

/* Days from 1970-01-01; the year is counted from March, so leap days end it. */
static uint64_t days_since_1970(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t y = month <= 2 ? year - 1 : year;
	uint32_t m = month <= 2 ? month + 9 : month - 3;

	return 365ull * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static uint64_t read_rtc_seconds(void)
{
	struct date d = read_date(), again;
	bool binary = cmos(11) & 4, clock24 = cmos(11) & 2;
	uint32_t hour, year;

	for (int i = 0; i < 10; i++) { /* until two readings agree */
		again = read_date();
		if (!memcmp(&d, &again, sizeof d))
			break;
		d = again;
	}
#define FIELD(v) (binary ? (uint32_t)(v) : bcd(v))
	hour = FIELD(d.hour & 0x7f);
	if (!clock24)
		hour = hour % 12 + (d.hour & 0x80 ? 12 : 0);
	year = FIELD(d.year) + (d.century ? FIELD(d.century) * 100 : 2000);
	if (year < 1970 || year > 2300)
		year = 2000 + FIELD(d.year) % 100;
	return days_since_1970(year, FIELD(d.month), FIELD(d.day)) * 86400 + hour * 3600ull +
	       FIELD(d.minute) * 60ull + FIELD(d.second);
#undef FIELD
}

void time_init(void)
{
	const char *source = "CPUID";
	uint64_t khz;

	tsc_base = rdtsc();
	khz = tsc_khz_by_cpuid();
	if (!khz) {
		source = "the ACPI PM timer";
		khz = tsc_khz_by_pm_timer();
	}
	if (!khz) {
		source = "the PIT";
		khz = tsc_khz_by_pit();
	}
	if (!khz || khz > UINT32_MAX) {
		source = "a guess";
		khz = 1000000;
	}
	tsc_khz = (uint32_t)khz;
	ns_per_tsc_32 = (1000000ull << 32) / khz;
	realtime_base_ns = read_rtc_seconds() * 1000000000ull - arch_time_ns();
	klog("time: TSC runs at %u kHz, by %s", tsc_khz, source);
}
