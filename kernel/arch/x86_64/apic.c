/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Interrupt controllers: the local APIC of each CPU (x2APIC where there is
 * one, for its registers are cheaper), its timer, the IOAPICs, and the legacy
 * PICs, which are only silenced. SDM volume 3, chapter 11; 82093AA data sheet.
 * Device interrupts all go to the first CPU.
 */
#include "vtd.h"
#include "x86.h"

/* Register numbers are MMIO offsets / 16, which is also the x2APIC MSR index. */
#define LAPIC_ID        0x02
#define LAPIC_TPR       0x08
#define LAPIC_EOI       0x0b
#define LAPIC_SVR       0x0f
#define LAPIC_ICR       0x30
#define LAPIC_ICR_HIGH  0x31
#define LAPIC_LVT_TIMER 0x32
#define LAPIC_LVT_LINT0 0x35
#define LAPIC_LVT_LINT1 0x36
#define LAPIC_LVT_ERROR 0x37
#define LAPIC_TIMER_INITIAL 0x38
#define LAPIC_TIMER_CURRENT 0x39
#define LAPIC_TIMER_DIVIDE  0x3e
#define LVT_MASKED      0x10000
#define SVR_ENABLE      0x100
#define ICR_PENDING     0x1000
#define DIVIDE_BY_16    0x3
#define TIMER_CALIBRATE_US 2000u

#define IOAPIC_VERSION  1
#define IOAPIC_REDIRECT 0x10
#define REDIRECT_ACTIVE_LOW 0x2000
#define REDIRECT_LEVEL  0x8000
#define REDIRECT_MASKED 0x10000
#define IOAPIC_PINS_MAX 240u

static bool x2apic;
static volatile uint8_t *lapic; /* xAPIC only */
static uint64_t timer_per_ns_32; /* timer ticks after the divider = ns * this >> 32 */

static uint32_t lapic_read(uint32_t reg)
{
	return x2apic ? (uint32_t)rdmsr(MSR_X2APIC + reg) : mmio_read32(lapic + reg * 16);
}

static void lapic_write(uint32_t reg, uint32_t v)
{
	if (x2apic)
		wrmsr(MSR_X2APIC + reg, v);
	else
		mmio_write32(lapic + reg * 16, v);
}

void apic_eoi(void) { lapic_write(LAPIC_EOI, 0); }

bool apic_is_x2apic(void) { return x2apic; }

uint32_t apic_id(void) { return x2apic ? lapic_read(LAPIC_ID) : lapic_read(LAPIC_ID) >> 24; }

void apic_ipi(uint32_t apic_id, uint32_t command)
{
	if (x2apic) {
		/* Unlike MMIO this does not order earlier stores, which the target is
		 * to see. */
		__asm__ volatile("mfence" : : : "memory");
		wrmsr(MSR_X2APIC + LAPIC_ICR, (uint64_t)apic_id << 32 | command);
		return;
	}
	if (!lapic)
		return; /* panic before apic_early() */
	lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
	lapic_write(LAPIC_ICR, command);
	for (uint32_t reads = 0; (lapic_read(LAPIC_ICR) & ICR_PENDING) && reads < 100000; reads++)
		cpu_pause();
}

void apic_early(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	x2apic = have_x2apic;
	if (!x2apic)
		lapic = arch_map_device(base & PTE_FRAME, PAGE_SIZE);
	else
		wrmsr(MSR_APIC_BASE, base | 0xc00);
	if (!x2apic && !lapic)
		panic("no memory to map the local APIC");
}

/* ----------------------------------------------------------------- timer */

static void calibrate_timer(void)
{
	uint64_t start, ns;
	uint32_t count;

	lapic_write(LAPIC_TIMER_INITIAL, UINT32_MAX);
	start = arch_time_ns();
	busy_wait_us(TIMER_CALIBRATE_US);
	count = UINT32_MAX - lapic_read(LAPIC_TIMER_CURRENT);
	ns = arch_time_ns() - start;
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	if (count == 0)
		panic("the local APIC's timer does not run");
	timer_per_ns_32 = ((uint64_t)count << 32) / ns;
	klog("apic: %s, timer at %llu kHz", x2apic ? "x2APIC" : "xAPIC",
	     (unsigned long long)(count * 1000000ull / ns));
}

void arch_timer_arm(uint64_t deadline_ns)
{
	struct cpu_arch *a = cpu_arch(this_cpu());
	uint64_t now, count = 0;

	if (a->timer_armed_ns == deadline_ns)
		return;
	a->timer_armed_ns = deadline_ns;
	if (deadline_ns != UINT64_MAX) {
		now = arch_time_ns();
		/* Rounded up, so that the deadline has passed; a far one gets an
		 * early interrupt, after which the core arms again. */
		count = deadline_ns <= now ? 1 :
			(uint64_t)((unsigned __int128)(deadline_ns - now) * timer_per_ns_32 >> 32) + 1;
		count = MIN(count, (uint64_t)UINT32_MAX);
	}
	lapic_write(LAPIC_TIMER_INITIAL, (uint32_t)count);
}

void apic_timer_fired(void) { cpu_arch(this_cpu())->timer_armed_ns = UINT64_MAX; }

void apic_init_cpu(void)
{
	uint64_t base = rdmsr(MSR_APIC_BASE);

	wrmsr(MSR_APIC_BASE, base | (x2apic ? 0xc00 : 0x800));
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LVT_MASKED);
	lapic_write(LAPIC_LVT_ERROR, LVT_MASKED);
	lapic_write(LAPIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	lapic_write(LAPIC_TIMER_DIVIDE, DIVIDE_BY_16);
	lapic_write(LAPIC_LVT_TIMER, VECTOR_TIMER); /* one-shot */
	if (!timer_per_ns_32)
		calibrate_timer();
}

/* --------------------------------------------------------------- IOAPICs */

static struct ioapic {
	volatile uint8_t *regs;
	uint32_t id, gsi_base, pins;
	uint32_t low[IOAPIC_PINS_MAX]; /* copy of the entries' low words */
} ioapics[ARRAY_SIZE(acpi.ioapics)];
static uint32_t ioapic_count;

static uint32_t ioapic_read(struct ioapic *io, uint32_t reg)
{
	mmio_write32(io->regs, reg);
	return mmio_read32(io->regs + 0x10);
}

static void ioapic_write(struct ioapic *io, uint32_t reg, uint32_t v)
{
	mmio_write32(io->regs, reg);
	mmio_write32(io->regs + 0x10, v);
}

static void write_low(struct ioapic *io, uint32_t pin, uint32_t v)
{
	io->low[pin] = v;
	ioapic_write(io, IOAPIC_REDIRECT + 2 * pin, v);
}

void ioapic_init(void)
{
	for (uint32_t i = 0; i < acpi.ioapic_count; i++) {
		struct ioapic *io = &ioapics[ioapic_count];

		io->regs = arch_map_device(acpi.ioapics[i].base, PAGE_SIZE);
		if (!io->regs)
			continue;
		io->id = acpi.ioapics[i].id;
		io->gsi_base = acpi.ioapics[i].gsi_base;
		io->pins = MIN((ioapic_read(io, IOAPIC_VERSION) >> 16 & 0xff) + 1, IOAPIC_PINS_MAX);
		for (uint32_t pin = 0; pin < io->pins; pin++)
			write_low(io, pin, REDIRECT_MASKED);
		ioapic_count++;
	}
}

static struct ioapic *ioapic_of(uint32_t gsi)
{
	for (uint32_t i = 0; i < ioapic_count; i++)
		if (gsi - ioapics[i].gsi_base < ioapics[i].pins)
			return &ioapics[i];
	return NULL;
}

void arch_ioapic_route(uint32_t gsi, int vector, uint32_t flags)
{
	struct ioapic *io = ioapic_of(gsi);
	uint32_t low = REDIRECT_MASKED | (uint32_t)vector, high = cpus[0].apic_id << 24;

	if (!io)
		return;
	if (flags & X_IRQ_LEVEL)
		low |= REDIRECT_LEVEL;
	if (flags & X_IRQ_ACTIVE_LOW)
		low |= REDIRECT_ACTIVE_LOW;
	if (arch_iommu_on() && !vtd_ioapic(io->id, vector, flags & X_IRQ_LEVEL, &high))
		klog("iommu: interrupts of IOAPIC %u are not remapped", io->id);
	write_low(io, gsi - io->gsi_base, low);
	ioapic_write(io, IOAPIC_REDIRECT + 2 * (gsi - io->gsi_base) + 1, high);
}

void arch_ioapic_mask(uint32_t gsi, bool masked)
{
	struct ioapic *io = ioapic_of(gsi);
	uint32_t pin, low;

	if (!io)
		return;
	pin = gsi - io->gsi_base;
	low = masked ? io->low[pin] | REDIRECT_MASKED : io->low[pin] & ~(uint32_t)REDIRECT_MASKED;
	if (low != io->low[pin])
		write_low(io, pin, low);
}

void pic_mask(void)
{
	outb(0x20, 0x11); /* initialise, to move what is spurious off the exceptions */
	outb(0xa0, 0x11);
	outb(0x21, VECTOR_PIC);
	outb(0xa1, VECTOR_PIC + 8);
	outb(0x21, 4);
	outb(0xa1, 2);
	outb(0x21, 1);
	outb(0xa1, 1);
	outb(0x21, 0xff);
	outb(0xa1, 0xff);
}

/* --------------------------------------------------------------- vectors */

static bool vector_used[VECTOR_LAST + 1];

int arch_irq_alloc_vector(void)
{
	for (int v = VECTOR_FIRST; v <= VECTOR_LAST; v++)
		if (!vector_used[v]) {
			vector_used[v] = true;
			return v;
		}
	return -X_ENOSPC;
}

void arch_irq_free_vector(int vector)
{
	if (vector >= VECTOR_FIRST && vector <= VECTOR_LAST)
		vector_used[vector] = false;
	vtd_vector_free(vector);
}

void apic_message(int vector, uint64_t *address, uint32_t *data)
{
	*address = 0xfee00000ull | (uint64_t)(cpus[0].apic_id & 0xff) << 12;
	*data = (uint32_t)vector;
}

void arch_msi_message(uint32_t bdf, int vector, uint64_t *address, uint32_t *data)
{
	apic_message(vector, address, data);
	if (arch_iommu_on())
		vtd_msi(bdf, vector, address, data);
}
