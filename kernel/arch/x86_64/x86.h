/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Private to kernel/arch/x86_64: instructions, registers and what the files of
 * this directory ask of each other. Numbers are from the Intel SDM, volumes 3
 * and 4, unless a line says otherwise.
 */
#ifndef X86_H
#define X86_H

/* Offsets that the assembly uses; asserted in cpu.c. */
#define CPU_CURRENT     8
#define CPU_KERNEL_RSP  16
#define CPU_SCRATCH_RSP 24
#define REGS_SIZE       160 /* struct x_regs */
#define FRAME_SIZE      64  /* struct trap_frame, above it at the top of the stack */
#define ARCH_NATIVE_BASE 832 /* struct arch_thread */
#define ARCH_NATIVE_END  840
#define ARCH_UPCALL      848
#define ARCH_ENTRY       856
#define THREAD_PROCESS   16  /* struct thread, struct process */
#define THREAD_PENDING  184
#define THREAD_MASK     192
#define THREAD_WORD     208
#define PROCESS_PENDING 336
#define PROCESS_IGNORE  344
#define UPCALL_REASON    0   /* struct x_upcall */
#define UPCALL_ERROR     8
#define UPCALL_ADDRESS   16
#define UPCALL_PENDING   24
#define UPCALL_MASK      32
#define UPCALL_INSTALLED 40
#define UPCALL_WORD      48
#define UPCALL_REGS      56
#define UPCALL_SYSCALL   1   /* X_UP_SYSCALL */

/* Selectors. SYSRET fixes the order of the user ones. */
#define SEL_KERNEL_CODE 0x10
#define SEL_KERNEL_DATA 0x18
#define SEL_SYSRET_BASE 0x23
#define SEL_USER_DATA   0x2b
#define SEL_USER_CODE   0x33
#define SEL_TSS         0x38

#define KERNEL_BASE     0xffffffff80000000
#define KSTACK_BASE     0xffffff0000000000 /* guarded kernel stacks */
#define DEVICE_BASE     0xffffff4000000000 /* uncached device mappings */
#define DEVICE_END      0xffffff6000000000

#define AP_TRAMPOLINE   0x8000             /* physical, below 1 MiB */

/* Which loader: told by entry.S to loader.c. */
#define PVH_MAGIC               0x336ec578u
#define MULTIBOOT2_MAGIC        0x36d76289u
#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6

#define RSDP_BYTES 36              /* ACPI's root pointer, revision 2 */

#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define CR4_PGE (1 << 7)
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXMMEXCPT (1 << 10)
#define CR4_UMIP (1 << 11)
#define CR4_FSGSBASE (1 << 16)
#define CR4_OSXSAVE (1 << 18)
#define CR4_SMEP (1 << 20)
#define CR4_SMAP (1 << 21)

#define MSR_APIC_BASE      0x1b
#define MSR_X2APIC         0x800
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_FMASK          0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define EFER_SCE 0x001
#define EFER_LME 0x100
#define EFER_NXE 0x800

#define RFLAGS_IF 0x200
#define RFLAGS_USER 0x240dd5 /* what a program may choose: CF PF AF ZF SF TF DF OF AC ID */
#define RFLAGS_ALWAYS 0x202
#define RFLAGS_SYSCALL_MASK 0x257fd5 /* cleared on entry: those, IF, IOPL, NT, RF */

#define VECTOR_NMI      2
#define VECTOR_NO_FPU   7
#define VECTOR_DOUBLE   8
#define VECTOR_GP       13
#define VECTOR_PAGE     14
#define VECTOR_PIC      0x20 /* legacy PIC: masked, may still be spurious */
#define VECTOR_FIRST    0x30
#define VECTOR_LAST     0xef
#define VECTOR_TIMER    0xf0
#define VECTOR_RESCHED  0xf1
#define VECTOR_TLB      0xf2
#define VECTOR_IOMMU    0xf3
#define VECTOR_SPURIOUS 0xff

#define PTE_PRESENT  0x001
#define PTE_WRITE    0x002
#define PTE_USER     0x004
#define PTE_UNCACHED 0x018 /* PWT | PCD */
#define PTE_ACCESSED 0x020
#define PTE_DIRTY    0x040
#define PTE_LARGE    0x080
#define PTE_GLOBAL   0x100
#define PTE_ANON     0x200
#define PTE_COW      0x400
#define PTE_PHYSICAL 0x800

#ifndef __ASSEMBLER__

#include "arch.h"

#define PTE_NOACCESS (1ull << 52) /* not present, but kept: PT_NOACCESS */
#define PTE_CLEAN    (1ull << 53) /* PT_CLEAN */
#define PTE_NX    (1ull << 63)
#define PTE_FRAME 0x000ffffffffff000ull

struct trap_frame { /* just above struct x_regs on the kernel stack */
	uint64_t pad, vector, error;
	uint64_t rip, cs, rflags, rsp, ss; /* pushed by the CPU */
};

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3], reserved1, ist[7], reserved2;
	uint16_t reserved3, iomap_offset;
} __attribute__((packed));

#define FPU_NOWHERE UINT32_MAX
#define FPU_BYTES 832 /* of x87, SSE and AVX: SDM volume 1, 13.4 */
#define XCR0_STATE 7  /* these three */
/* What native threads mostly have not. */
#define OWN_FPU   1u /* without it CR0.TS is set while the thread runs */
#define OWN_BASES 2u /* of FS and GS: programs' threads; without it they are 0 */
/* At the top of the kernel stack, whose page each switch needs anyway; the frames are below it. */
struct arch_thread {
	uint8_t fpu[FPU_BYTES] __attribute__((aligned(64))); /* FXSAVE or XSAVE image */
	/* For syscall_entry, as long as the thread lives. A native call leaves rip above the one, not
	 * beyond the other; all others go to the personality: where its struct x_upcall is, or 0,
	 * and where it begins. */
	uint64_t native_base, native_end, upcall, entry;
	uint64_t rsp;       /* while not running: its kernel stack pointer */
	uint32_t fpu_cpu;   /* CPU that loaded its state last */
	uint8_t own;        /* OWN_*: state of its own, saved when it is switched out */
	bool on_stack;      /* a CPU has not left its stack yet: arch_switch() */
};

struct cpu_arch {
	uint64_t gdt[10];
	struct tss tss;
	struct arch_thread *fpu_owner; /* whose state the FPU registers hold */
	uint8_t holds;                 /* OWN_*: of which there may be somebody's in the registers */
	paddr_t loaded_pt;             /* what CR3 holds, or is about to */
	paddr_t leaving_pt;            /* what it may still hold then; else 0 */
	bool left_is_orphan;           /* one of the two; pt_destroy() was asked to free it */
	uint64_t timer_armed_ns;
	/* Written by others: each on a line of its own. */
	bool tlb_pending __attribute__((aligned(64)));
	bool spinning __attribute__((aligned(64)));
	uint32_t pause; /* smp.c: enum pause */
};
static inline struct cpu_arch *cpu_arch(const struct cpu *c) { return c->arch; }

/* ---- instructions ---- */
static inline void cpu_pause(void) { __asm__ volatile("pause"); }
static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t lo, hi;
	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}
struct cpuid { uint32_t a, b, c, d; };
static inline struct cpuid cpuid(uint32_t leaf, uint32_t sub)
{
	struct cpuid r;
	__asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
	return r;
}
static inline uint64_t read_cr0(void) { uint64_t v; __asm__ volatile("mov %%cr0, %0" : "=r"(v)); return v; }
static inline uint64_t read_cr2(void) { uint64_t v; __asm__ volatile("mov %%cr2, %0" : "=r"(v)); return v; }
static inline uint64_t read_cr3(void) { uint64_t v; __asm__ volatile("mov %%cr3, %0" : "=r"(v)); return v; }
static inline uint64_t read_cr4(void) { uint64_t v; __asm__ volatile("mov %%cr4, %0" : "=r"(v)); return v; }
static inline void write_cr0(uint64_t v) { __asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory"); }
static inline void write_cr3(uint64_t v) { __asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory"); }
static inline void write_cr4(uint64_t v) { __asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory"); }
static inline void invlpg(uint64_t va) { __asm__ volatile("invlpg (%0)" : : "r"(va) : "memory"); }
static inline uint8_t inb(uint16_t p) { uint8_t v; __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline uint16_t inw(uint16_t p) { uint16_t v; __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline uint32_t inl(uint16_t p) { uint32_t v; __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(p)); return v; }
static inline void outb(uint16_t p, uint8_t v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(p)); }
static inline void outw(uint16_t p, uint16_t v) { __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(p)); }
static inline void outl(uint16_t p, uint32_t v) { __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(p)); }
static inline uint32_t mmio_read32(const volatile void *p) { return *(const volatile uint32_t *)p; }
static inline void mmio_write32(volatile void *p, uint32_t v) { *(volatile uint32_t *)p = v; }

/* ---- assembly ---- */
extern char kernel_start[], text_start[], text_end[], rodata_start[], rodata_end[], data_start[],
	kernel_end[], boot_stack_guard[];
extern char trap_stubs[], syscall_entry[], thread_start[], user_copy_begin[], user_copy_end[],
	user_copy_fault[];
extern struct user_try { uint64_t begin, end, missing; } user_tries[], user_tries_end[]; /* USER_TRY */
extern uint64_t boot_pml4[512], boot_pdpt[512];
extern char ap_trampoline[], ap_trampoline_end[];
extern volatile bool panicking;      /* read by the NMI entry: stop here */
extern uint64_t ap_stack;            /* the stack the next CPU to start takes */
void switch_stacks(uint64_t *save_rsp, uint64_t rsp, bool *on_stack);

/* ---- boot.c ---- */
extern uint64_t direct_map_end;      /* physical; all below is in the direct map */
void boot_add_range(uint64_t base, uint64_t bytes, bool usable); /* of the memory map */

/* ---- loader.c ---- */
/* Fill boot_info from what lies at a physical address below 4 GiB. */
void read_loader_info(uint64_t info_paddr, uint32_t loader_magic);

/* ---- cpu.c ---- */
extern bool have_fsgsbase, have_x2apic;
void cpu_init(struct cpu *c);        /* GDT, TSS, IDT, control registers, MSRs */
void fpu_first_use(struct thread *t);/* #NM; precondition: it has no OWN_FPU */

/* ---- paging.c ---- */
extern paddr_t kernel_pml4;
void pt_free_orphan(struct cpu *c);  /* with the kernel lock: CR3 no longer holds leaving_pt */
void *kstack_alloc(void);            /* KSTACK_SIZE bytes above an unmapped page, or NULL */
void kstack_free(void *stack);
bool peek64(paddr_t pt, uint64_t va, uint64_t *value); /* without faulting; RAM only */

/* ---- smp.c ---- */
extern struct kernel_lock { uint32_t held; } __attribute__((aligned(64))) the_kernel_lock;
void kernel_lock_contended(void);
void kernel_share_contended(void);
void kernel_wait_for_sharers(void);
static inline bool kernel_try_lock(void)
{
	return !__atomic_load_n(&the_kernel_lock.held, __ATOMIC_RELAXED) &&
	       !__atomic_exchange_n(&the_kernel_lock.held, 1, __ATOMIC_SEQ_CST);
}
/* Each side says first that it is there and looks at the other's word then, with a full
 * barrier in between: one of the two sees the other. */
static inline void kernel_lock_inline(void)
{
	if (__builtin_expect(__atomic_exchange_n(&the_kernel_lock.held, 1, __ATOMIC_SEQ_CST), 0))
		kernel_lock_contended();
	else if (cpu_count > 1)
		kernel_wait_for_sharers();
}
/* Or exclusively, if others come in between again and again. */
static inline void kernel_share_inline(void)
{
	(void)__atomic_exchange_n(&this_cpu()->sharing, true, __ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&the_kernel_lock.held, __ATOMIC_ACQUIRE), 0))
		kernel_share_contended();
}
static inline void kernel_unlock_inline(void)
{
	__atomic_store_n(&the_kernel_lock.held, 0, __ATOMIC_RELEASE);
}
static inline void kernel_unlock_either(void) /* of its sides, whichever we are on */
{
	struct cpu *c = this_cpu();

	if (c->sharing)
		__atomic_store_n(&c->sharing, false, __ATOMIC_RELEASE);
	else
		kernel_unlock_inline();
}
void wait_until_clear(const bool *flag); /* another CPU clears it soon, with no lock */
void smp_start(void);

/* ---- acpi.c ---- */
struct acpi_cpu { uint32_t apic_id; };
struct acpi_ioapic { uint32_t id, gsi_base; paddr_t base; };
struct acpi_override { uint32_t isa_irq, gsi, flags; };
struct acpi_info {
	struct acpi_cpu cpus[MAX_CPUS];
	uint32_t cpu_count;
	struct acpi_ioapic ioapics[8];
	uint32_t ioapic_count;
	struct acpi_override overrides[16];
	uint32_t override_count;
	paddr_t ecam_base;
	uint32_t ecam_first_bus, ecam_last_bus;
	uint16_t pm_timer_port;      /* 0: none */
	uint16_t pm1a_control, pm1b_control, smi_command;
	uint8_t acpi_enable, century_register;
	bool have_s5;
	uint8_t s5_a, s5_b;
	uint8_t reset_space, reset_value; /* space 0 memory, 1 I/O port */
	uint64_t reset_address;      /* 0: none */
	const void *dmar;            /* checked table, or NULL */
};
extern struct acpi_info acpi;
void acpi_init(void);

/* ---- apic.c ---- */
#define IPI_INIT    0x4500u
#define IPI_STARTUP 0x4600u
#define IPI_NMI     0x4400u
#define IPI_FIXED   0x4000u
void apic_early(void);               /* maps the APIC of this CPU */
void apic_init_cpu(void);
void ioapic_init(void);
void pic_mask(void);
void apic_eoi(void);
void apic_ipi(uint32_t apic_id, uint32_t command);
void apic_timer_fired(void);
uint32_t apic_id(void);
bool apic_is_x2apic(void);
void apic_message(int vector, uint64_t *address, uint32_t *data); /* to the first CPU */

/* ---- time.c ---- */
void time_init(void);
void busy_wait_us(uint32_t us);

/* ---- console.c ---- */
void console_init(void);

#endif
#endif
