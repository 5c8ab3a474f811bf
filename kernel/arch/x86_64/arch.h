/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the portable kernel asks of the machine.
 */
#ifndef ARCH_H
#define ARCH_H

#include "kernel/core/thread.h"

#define MAX_CPUS 16u

struct tlb_request;
struct run_queue;

struct cpu {                      /* at gs:0 in kernel mode */
	struct cpu *self;
	struct thread *current;
	uint64_t kernel_rsp;      /* top of the current thread's kernel stack */
	uint64_t scratch_rsp;     /* syscall entry: user rsp */
	uint32_t id, apic_id;
	bool online, idle, need_resched;
	bool sharing;             /* has the kernel lock together with others: docs/locking.md */
	struct space *space;      /* whose page table is loaded; NULL: kernel's own */
	uint64_t space_generation;
	struct run_queue *rq;     /* sched.c */
	uint64_t idle_ns, switches;
	uint64_t lock_waits, lock_wait_ns; /* for the kernel lock */
	uint64_t wakeups, moved_bytes; /* x_system_info */
	void *arch;               /* TSS, GDT, double-fault and NMI stacks */
};
extern struct cpu cpus[MAX_CPUS];
extern uint32_t cpu_count;        /* found; cpus_online: started */
extern uint32_t cpus_online;
static inline struct cpu *this_cpu(void)
{
	struct cpu *c;
	__asm__ volatile("movq %%gs:0, %0" : "=r"(c));
	return c;
}

/* The thread whose code this is. Not volatile: it stays the same for that code,
 * whatever CPU it goes on on. Unit tests have a function of their own. */
#ifdef FAKE_CURRENT_THREAD
struct thread *current(void);
#else
static inline struct thread *current_thread(void)
{
	struct thread *t;
	__asm__("movq %%gs:%c1, %0" : "=r"(t) : "i"(offsetof(struct cpu, current)));
	return t;
}
#define current() current_thread()
#endif
#define current_process() (current()->process)

/* ---- start: entry.S (PVH note, long mode) -> arch_start() -> kernel_main() ---- */
void arch_init_memory(void);      /* direct map etc. after frame_init(); see boot.c */
void arch_init_cpus(void);        /* ACPI MADT, LAPIC, IOAPIC, timer; then starts the other CPUs,
                                     each of which ends in sched_start_cpu() */

/* ---- threads ---- */
/* New kernel stack contents such that the first switch to t runs fn(t) with
 * the lock held and, if that returns, leaves to user mode with t->regs. */
int arch_thread_init(struct thread *t, void (*fn)(struct thread *t));
void arch_thread_destroy(struct thread *t);
/* Its system calls from outside the personality's code are that's, with the struct x_upcall at block. */
void arch_thread_upcalls(struct thread *t, uint64_t block);
void arch_thread_copy_fpu(struct thread *to, struct thread *from); /* from may be running */
void arch_thread_reset_fpu(struct thread *t);
/* Save FPU and stack of prev, load next's (FPU, fs/gs base, page table, TSS). */
void arch_switch(struct thread *prev, struct thread *next);
void arch_idle_wait(void);        /* lock NOT held: sti; hlt; cli, unless need_resched */
void arch_set_fs_base(uint64_t base);
void arch_read_bases(struct thread *t); /* the current thread's fs and gs base into t and its regs */

/* ---- page tables: 4 KiB user pages ---- */
/* Where the bits of an entry are, folded to 32 (paging.c). */
#define PT_WRITE    0x002u
#define PT_UNCACHED 0x018u
#define PT_ANON     0x200u        /* software bit: frame is private to page tables */
#define PT_COW      0x400u        /* software bit: writable region, shared frame */
#define PT_PHYSICAL 0x800u        /* software bit: not RAM, no frame reference */
#define PT_NOACCESS (1u << 20)    /* not present to the CPU (any access faults), but kept, and seen by
                                     pt_get and pt_next with all its flags: PROT_NONE pages */
#define PT_CLEAN    (1u << 21)    /* software bit: ask the object before the first write */
#define PT_EXEC     (1u << 31)
paddr_t pt_create(struct account *payer); /* of all its tables; with the kernel half; NO_FRAME if out of memory */
void pt_destroy(paddr_t pt);      /* frees table pages only; all user pages already unmapped */
int pt_map(paddr_t pt, uint64_t va, paddr_t pa, uint32_t flags); /* replaces; -X_ENOMEM */
bool pt_get(paddr_t pt, uint64_t va, paddr_t *pa, uint32_t *flags);
void pt_clear(paddr_t pt, uint64_t va);
/* First mapped page at or after va and below end, skipping holes quickly. */
bool pt_next(paddr_t pt, uint64_t *va, uint64_t end, paddr_t *pa, uint32_t *flags);
/* After changing live entries: make sure no CPU has a stale translation. */
void tlb_flush(struct space *s, uint64_t start, uint64_t end);
/* Instead, if no thread will run in the space before it is loaded anew. False: it
 * is active on another CPU, and must be flushed. */
bool tlb_forget(struct space *s);
void arch_space_gone(struct space *s); /* about to be freed: unload it everywhere */

/* ---- time ---- */
#ifdef FAKE_CURRENT_THREAD
uint64_t arch_time_ns(void);
#else
extern uint64_t tsc_base, ns_per_tsc_32; /* ns = ticks * this >> 32 */
static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;
	__asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}
static inline uint64_t arch_time_ns(void) /* monotonic since kernel entry, same on all CPUs */
{
	return (uint64_t)((unsigned __int128)(rdtsc() - tsc_base) * ns_per_tsc_32 >> 32);
}
#endif
void arch_set_realtime(uint64_t ns);
uint64_t arch_realtime_offset_ns(void); /* realtime - monotonic */
uint64_t arch_realtime_ns(void);  /* RTC at boot + monotonic; ns since 1970 */
uint32_t arch_tsc_khz(void);
void arch_tsc_formula(uint64_t *base, uint64_t *ns_per_tsc_32); /* of arch_time_ns() */
void arch_timer_arm(uint64_t deadline_ns); /* this CPU; UINT64_MAX: off */
void arch_send_resched(uint32_t cpu);
/* With the kernel lock: until the resume no other CPU runs, or touches a device. */
void arch_pause_others(void);
void arch_resume_others(void);

/* ---- interrupts ---- */
int arch_irq_alloc_vector(void);  /* 0x30..0xef, -X_ENOSPC */
void arch_irq_free_vector(int vector);
void arch_ioapic_route(uint32_t gsi, int vector, uint32_t flags /* X_IRQ_* */); /* masked */
void arch_ioapic_mask(uint32_t gsi, bool masked);
int arch_isa_to_gsi(uint32_t isa_irq, uint32_t *flags); /* MADT overrides */
/* The message by which the function may raise the vector. */
void arch_msi_message(uint32_t bdf, int vector, uint64_t *address, uint32_t *data);

/* ---- IOMMU: device addresses are physical; a domain says which the device may use ---- */
struct iommu_domain;
bool arch_iommu_on(void);
struct iommu_domain *arch_domain_create(uint32_t bdf); /* one a function; NULL: out of memory, or domains */
int arch_domain_map(struct iommu_domain *d, paddr_t base, uint64_t bytes); /* grant; -X_ENOMEM, -X_EINVAL */
/* When this returns the device reaches nothing, and nothing is under way. */
/* Grant one way at an address (2 MiB aligned) that is not physical, until unmapped. */
int arch_domain_window(struct iommu_domain *d, uint64_t address, const paddr_t *frames, uint32_t count, bool write);
void arch_domain_unmap(struct iommu_domain *d, uint64_t address, uint64_t bytes); /* no DMA there is under way any more */
void arch_domain_destroy(struct iommu_domain *d);

/* ---- machine ---- */
#define PANIC_RECORD       0x1fc000ull /* physical, below the image: panic.c */
#define PANIC_RECORD_BYTES 0x4000u
void panic_recall(void);               /* panic.c: into the log what the last panic left */
uint64_t arch_pci_ecam(uint32_t bus);  /* physical base of a bus's config space, 0: use ports */
uint32_t arch_io_read(uint16_t port, uint32_t width);
void arch_io_write(uint16_t port, uint32_t width, uint32_t value);
void *arch_map_device(paddr_t base, uint64_t bytes); /* kernel mapping, uncached */
void arch_poweroff(void);
void arch_reboot(void) __attribute__((noreturn));
void arch_console_write(const char *text, size_t len); /* early serial, 0x3f8 */
void arch_halt_all(void) __attribute__((noreturn));
void arch_stop_others(void);      /* panic: the other CPUs stop where they are */
__attribute__((noreturn, format(printf, 2, 3)))
void panic_at(const struct x_regs *regs, const char *fmt, ...); /* panic.c: of an exception */
uint32_t arch_backtrace(const struct x_regs *regs, uint64_t *out, uint32_t max); /* kernel or user frames */
const char *arch_symbol(uint64_t address, uint64_t *offset); /* kernel symbols, or NULL */

#endif
