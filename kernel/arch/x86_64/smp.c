/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What CPUs do to each other: the kernel lock, TLB shoot-down, stopping in a
 * panic, starting.
 *
 * Shoot-down. The asker holds the kernel lock, so there is one request at a
 * time and no space changes hands meanwhile. It changed the entries before; it
 * marks each CPU that has the space active and waits until all marks are gone.
 * Why that ends, by what a marked CPU may be doing (interrupts are on only in
 * user mode and in the idle wait):
 *   - in user mode: takes the interrupt, which needs no lock;
 *   - spinning for the kernel lock, or to share it: serves the mark in the loop. The
 *     asker sees `spinning`, which cannot end before it unlocks, and sends nothing;
 *   - on its way between user mode and the lock, or copying without it: comes
 *     to one of the above soon, for there it waits for nothing and nobody, and
 *     looks at the mark itself after each page;
 *   - switching threads without it: comes to the lock soon; it may wait for another
 *     that switches, and serves the mark in that loop. It is marked for the space
 *     that it goes to, and accesses none before it has loaded that one's table;
 *   - idle: is not marked. Its bit in cpus_active went when it left the space,
 *     and the generation, advanced under the lock, tells it on return.
 * Pausing (for changes of the memory map) goes the same way: a paused CPU waits
 * in the same places, with no access to any device under way.
 * A CPU that owns the lock is the asker itself, and none shares it then. So nobody
 * waits for one who waits for him.
 */
#include "vtd.h"
#include "x86.h"

#define FLUSH_PAGES_MAX 16u /* more: reload CR3 */
#define AP_TIMEOUT_MS 500u

enum pause { PAUSE_NONE, PAUSE_ASKED, PAUSED };

volatile bool panicking;
uint64_t ap_stack;

struct kernel_lock the_kernel_lock;
static uint32_t lock_waiters __attribute__((aligned(64)));

/* Written by the asker before it marks anyone (x86 keeps stores in order; the
 * mark is a release, pairing with the acquire in tlb_service). */
static struct { uint64_t start, end; } request __attribute__((aligned(64)));

static void stop_here(void)
{
	for (;;)
		__asm__ volatile("cli\n\thlt");
}

static uint64_t wait_begins(void)
{
	__atomic_fetch_add(&lock_waiters, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&cpu_arch(this_cpu())->spinning, true, __ATOMIC_SEQ_CST);
	return arch_time_ns();
}

static void wait_ends(uint64_t start)
{
	struct cpu *c = this_cpu();

	__atomic_store_n(&cpu_arch(c)->spinning, false, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&lock_waiters, 1, __ATOMIC_RELAXED);
	c->lock_waits++;
	c->lock_wait_ns += arch_time_ns() - start;
}

static void wait_a_little(uint32_t spins)
{
	tlb_service();
	if (panicking)
		stop_here();
	if (spins % 64 == 63) /* expensive in emulation */
		cpu_pause();
}

void kernel_lock_contended(void)
{
	uint64_t start = wait_begins();

	for (uint32_t spins = 0; !kernel_try_lock(); spins++)
		wait_a_little(spins);
	wait_ends(start);
	kernel_wait_for_sharers();
}

#define SHARE_TRIES 4u /* then alone: who does that again and again can't keep us out for ever */

void kernel_share_contended(void)
{
	struct cpu *c = this_cpu();
	uint32_t spins = 0, tries = 0;
	uint64_t start;

	__atomic_store_n(&c->sharing, false, __ATOMIC_RELEASE);
	start = wait_begins();
	while (!c->sharing && tries < SHARE_TRIES) {
		if (__atomic_load_n(&the_kernel_lock.held, __ATOMIC_ACQUIRE)) {
			wait_a_little(spins++);
			continue;
		}
		(void)__atomic_exchange_n(&c->sharing, true, __ATOMIC_SEQ_CST);
		if (__atomic_load_n(&the_kernel_lock.held, __ATOMIC_ACQUIRE)) {
			__atomic_store_n(&c->sharing, false, __ATOMIC_RELEASE);
			tries++;
		}
	}
	wait_ends(start);
	if (!c->sharing)
		kernel_lock_inline();
}

/* We have `held`, so none comes; those who share it wait for nobody. */
void kernel_wait_for_sharers(void)
{
	for (uint32_t i = 0; i < cpu_count; i++)
		if (__atomic_load_n(&cpus[i].sharing, __ATOMIC_ACQUIRE))
			wait_until_clear(&cpus[i].sharing);
}

/* Who has `held` waits for us as long as we share, so if it is free nobody has been alone since we
 * began; and once it is ours nobody will be before us. */
bool kernel_exclusive(void)
{
	struct cpu *c = this_cpu();
	bool undisturbed;

	if (!c->sharing)
		return true;
	undisturbed = !__atomic_exchange_n(&the_kernel_lock.held, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->sharing, false, __ATOMIC_RELEASE);
	if (!undisturbed)
		kernel_lock_inline();
	else if (cpu_count > 1)
		kernel_wait_for_sharers();
	return undisturbed;
}

void wait_until_clear(const bool *flag)
{
	for (uint32_t spins = 0; __atomic_load_n(flag, __ATOMIC_ACQUIRE); spins++)
		wait_a_little(spins);
}

#define TURN_SPINS 2000u /* within that a waiting CPU has seen that the lock is free */

void kernel_lock_breathe(void)
{
	if (!__atomic_load_n(&lock_waiters, __ATOMIC_RELAXED))
		return;
	kernel_unlock_inline();
	for (uint32_t i = 0; i < TURN_SPINS; i++)
		if (__atomic_load_n(&the_kernel_lock.held, __ATOMIC_RELAXED))
			break;
	kernel_lock_inline();
}

void kernel_lock(void)
{
	kernel_lock_inline();
}

void kernel_unlock(void)
{
	kernel_unlock_inline();
}

static void flush_local(uint64_t start, uint64_t end)
{
	if (end - start > FLUSH_PAGES_MAX * PAGE_SIZE) {
		write_cr3(read_cr3());
		return;
	}
	for (uint64_t va = start; va < end; va += PAGE_SIZE)
		invlpg(va);
}

static void pause_service(struct cpu_arch *a)
{
	if (__atomic_load_n(&a->pause, __ATOMIC_ACQUIRE) != PAUSE_ASKED)
		return;
	__atomic_store_n(&a->pause, PAUSED, __ATOMIC_RELEASE);
	while (__atomic_load_n(&a->pause, __ATOMIC_ACQUIRE) == PAUSED) {
		if (panicking)
			stop_here();
		cpu_pause(); /* the asker may be emulated by the same thread */
	}
}

void tlb_service(void)
{
	struct cpu_arch *a = cpu_arch(this_cpu());

	pause_service(a);
	if (!__atomic_load_n(&a->tlb_pending, __ATOMIC_ACQUIRE))
		return;
	flush_local(request.start, request.end);
	__atomic_store_n(&a->tlb_pending, false, __ATOMIC_RELEASE);
}

static bool is_target(const struct space *s, uint32_t cpu, uint32_t self)
{
	return cpu != self && (s->cpus_active >> cpu & 1);
}

void tlb_flush(struct space *s, uint64_t start, uint64_t end)
{
	struct cpu *self = this_cpu();

	KASSERT(!self->sharing);
	start = ALIGN_DOWN(start, PAGE_SIZE);
	end = ALIGN_UP(end, PAGE_SIZE);
	s->tlb_generation++;
	if (self->space == s) {
		/* A stale idle copy must stay marked as stale: flush all of it. */
		if (self->space_generation + 1 != s->tlb_generation)
			write_cr3(read_cr3());
		else
			flush_local(start, end);
		self->space_generation = s->tlb_generation;
	}
	if (!(s->cpus_active & ~(1ull << self->id)))
		return;
	request.start = start;
	request.end = end;
	for (uint32_t i = 0; i < cpu_count; i++) {
		if (!is_target(s, i, self->id))
			continue;
		__atomic_store_n(&cpu_arch(&cpus[i])->tlb_pending, true, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&cpu_arch(&cpus[i])->spinning, __ATOMIC_SEQ_CST))
			apic_ipi(cpus[i].apic_id, IPI_FIXED | VECTOR_TLB);
	}
	for (uint32_t i = 0; i < cpu_count; i++) {
		if (!is_target(s, i, self->id))
			continue;
		for (uint32_t spins = 0; __atomic_load_n(&cpu_arch(&cpus[i])->tlb_pending, __ATOMIC_ACQUIRE); spins++) {
			if (panicking)
				stop_here();
			if (spins % 64 == 63)
				cpu_pause();
		}
		cpus[i].space_generation = s->tlb_generation;
	}
}

bool kernel_leave(uint64_t bytes)
{
	if (bytes < LEAVE_BYTES)
		return false;
	this_cpu()->moved_bytes += bytes;
	if (cpus_online == 1)
		return false;
	current()->away = true;
	kernel_unlock_inline();
	return true;
}

void kernel_return(bool left)
{
	if (!left)
		return;
	kernel_lock_inline();
	current()->away = false;
}

bool tlb_forget(struct space *s)
{
	s->tlb_generation++;
	return !(s->cpus_active & ~(1ull << this_cpu()->id));
}

/* CR3 may still point to its tables: pt_destroy() knows. */
void arch_space_gone(struct space *s)
{
	for (uint32_t i = 0; i < cpu_count; i++)
		if (cpus[i].space == s)
			cpus[i].space = NULL;
}

void arch_send_resched(uint32_t cpu)
{
	struct cpu *c = &cpus[cpu];

	__atomic_store_n(&c->need_resched, true, __ATOMIC_SEQ_CST);
	/* A CPU at the lock looks at the flag before it leaves the kernel. */
	if (c != this_cpu() && c->online && !__atomic_load_n(&cpu_arch(c)->spinning, __ATOMIC_SEQ_CST)) {
		this_cpu()->wakeups++;
		apic_ipi(c->apic_id, IPI_FIXED | VECTOR_RESCHED);
	}
}

/* The same argument as for shoot-down says why all others get there. */
void arch_pause_others(void)
{
	for (uint32_t i = 0; i < cpu_count; i++) {
		if (!cpus[i].online || &cpus[i] == this_cpu())
			continue;
		__atomic_store_n(&cpu_arch(&cpus[i])->pause, PAUSE_ASKED, __ATOMIC_SEQ_CST);
		if (!__atomic_load_n(&cpu_arch(&cpus[i])->spinning, __ATOMIC_SEQ_CST))
			apic_ipi(cpus[i].apic_id, IPI_FIXED | VECTOR_TLB);
	}
	for (uint32_t i = 0; i < cpu_count; i++) {
		if (!cpus[i].online || &cpus[i] == this_cpu())
			continue;
		while (__atomic_load_n(&cpu_arch(&cpus[i])->pause, __ATOMIC_ACQUIRE) == PAUSE_ASKED) {
			if (panicking)
				stop_here();
			cpu_pause();
		}
	}
}

void arch_resume_others(void)
{
	for (uint32_t i = 0; i < cpu_count; i++)
		if (cpu_arch(&cpus[i]))
			__atomic_store_n(&cpu_arch(&cpus[i])->pause, PAUSE_NONE, __ATOMIC_RELEASE);
}

void arch_stop_others(void)
{
	panicking = true;
	for (uint32_t i = 0; i < cpu_count; i++)
		if (cpus[i].online && &cpus[i] != this_cpu())
			apic_ipi(cpus[i].apic_id, IPI_NMI);
}

void arch_halt_all(void)
{
	arch_stop_others();
	stop_here();
	__builtin_unreachable();
}

/* ------------------------------------------------------------- start of CPUs */

static struct cpu *volatile starting; /* whom the trampoline's stack is meant for */

/* Each CPU's first C code, on its own stack, still on the boot page tables. */
void ap_start(void);
void ap_start(void)
{
	struct cpu *c = starting;

	/* One that answers too late may hold a stack meant for another: it keeps
	 * it, the other finds none, and both stay out. */
	if (!c || (cpuid(1, 0).b >> 24) != (c->apic_id & 0xff))
		return;
	cpu_init(c);
	write_cr3(kernel_pml4);
	cpu_arch(c)->loaded_pt = kernel_pml4;
	apic_init_cpu();
	__atomic_store_n(&c->online, true, __ATOMIC_RELEASE);
	kernel_lock();
	sched_start_cpu();
}

static bool start_cpu(struct cpu *c)
{
	uint8_t *stack = kstack_alloc();

	if (!stack)
		return false;
	starting = c;
	__atomic_store_n(&ap_stack, (uint64_t)stack + KSTACK_SIZE, __ATOMIC_SEQ_CST);
	apic_ipi(c->apic_id, IPI_INIT);
	busy_wait_us(10000);
	for (int attempt = 0; attempt < 2; attempt++) {
		apic_ipi(c->apic_id, IPI_STARTUP | AP_TRAMPOLINE >> 12);
		for (uint32_t ms = 0; ms < (attempt ? AP_TIMEOUT_MS : 20); ms++) {
			for (uint32_t us = 0; us < 1000; us += 50) {
				if (__atomic_load_n(&c->online, __ATOMIC_ACQUIRE))
					return true;
				busy_wait_us(50);
			}
		}
	}
	/* It may be on its way with the stack; only if not, the stack is ours. */
	if (__atomic_exchange_n(&ap_stack, 0, __ATOMIC_SEQ_CST)) {
		starting = NULL;
		kstack_free(stack);
		return false;
	}
	for (uint32_t ms = 0; ms < AP_TIMEOUT_MS && !c->online; ms++)
		busy_wait_us(1000);
	return c->online;
}

void smp_start(void)
{
	/* Table pages of the stacks are under top-level entry 510, which the boot
	 * tables lack: the first pushes of a new CPU need it. */
	boot_pml4[510] = ((uint64_t *)phys_to_virt(kernel_pml4))[510];
	memcpy(phys_to_virt(AP_TRAMPOLINE), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
	for (uint32_t i = 1; i < cpu_count; i++) {
		sched_init_cpu(i);
		if (start_cpu(&cpus[i]))
			cpus_online++;
		else
			klog("cpu %u (APIC id %u) does not answer: left out", i, cpus[i].apic_id);
	}
	klog("%u of %u CPUs online", cpus_online, cpu_count);
}

void arch_init_cpus(void)
{
	struct cpu *boot = this_cpu();
	uint32_t count = 1;

	apic_early();
	boot->apic_id = apic_id();
	for (uint32_t i = 0; i < acpi.cpu_count; i++)
		if (acpi.cpus[i].apic_id != boot->apic_id && count < MAX_CPUS) {
			cpus[count].id = count;
			cpus[count++].apic_id = acpi.cpus[i].apic_id;
		}
	cpu_count = count;
	boot->online = true;
	pic_mask();
	apic_init_cpu();
	vtd_init();
	ioapic_init();
	smp_start();
}
