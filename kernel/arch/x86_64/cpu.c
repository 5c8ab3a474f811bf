/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One CPU's descriptor tables and control registers; threads: stacks, FPU
 * state, segment bases, the switch.
 *
 * FPU: state is saved whenever a thread that has some is switched out, so that
 * any CPU can load it later; it is not loaded again if the registers still
 * hold it. Threads of Linux processes always have FPU state, and bases of FS and GS.
 * Threads of native processes, most of which never compute with it, get FPU state at first
 * use: until then CR0.TS is set while they run. They have no bases at all (if one
 * sets them, the next may find them set). So their switches need neither.
 */
#include <xinim/syscall.h>
#include "x86.h"

_Static_assert(offsetof(struct cpu, kernel_rsp) == CPU_KERNEL_RSP, "trap.S");
_Static_assert(offsetof(struct cpu, scratch_rsp) == CPU_SCRATCH_RSP, "trap.S");
_Static_assert(offsetof(struct cpu, current) == CPU_CURRENT, "trap.S");
_Static_assert(offsetof(struct arch_thread, native_base) == ARCH_NATIVE_BASE && offsetof(struct arch_thread, native_end) == ARCH_NATIVE_END &&
	       offsetof(struct arch_thread, upcall) == ARCH_UPCALL && offsetof(struct arch_thread, entry) == ARCH_ENTRY, "trap.S");
_Static_assert(offsetof(struct thread, process) == THREAD_PROCESS && offsetof(struct thread, pending) == THREAD_PENDING &&
	       offsetof(struct thread, mask) == THREAD_MASK && offsetof(struct thread, thread_word) == THREAD_WORD &&
	       offsetof(struct process, pending) == PROCESS_PENDING && offsetof(struct process, ignore) == PROCESS_IGNORE, "trap.S");
_Static_assert(offsetof(struct x_upcall, reason) == UPCALL_REASON && offsetof(struct x_upcall, error_code) == UPCALL_ERROR &&
	       offsetof(struct x_upcall, address) == UPCALL_ADDRESS && offsetof(struct x_upcall, pending) == UPCALL_PENDING &&
	       offsetof(struct x_upcall, mask) == UPCALL_MASK && offsetof(struct x_upcall, installed_mask) == UPCALL_INSTALLED &&
	       offsetof(struct x_upcall, thread_word) == UPCALL_WORD && offsetof(struct x_upcall, regs) == UPCALL_REGS &&
	       X_UP_SYSCALL == UPCALL_SYSCALL, "trap.S");
_Static_assert(sizeof(struct x_regs) == REGS_SIZE && offsetof(struct x_regs, rip) == 128, "trap.S");
_Static_assert(sizeof(struct trap_frame) == FRAME_SIZE, "trap.S");
_Static_assert(sizeof(struct tss) == 104, "SDM vol. 3, 8.7");

struct cpu cpus[MAX_CPUS];
uint32_t cpu_count = 1, cpus_online = 1;
bool have_fsgsbase, have_x2apic;

static struct cpu_arch cpu_archs[MAX_CPUS];
#define FAULT_STACK_SIZE 8192
#define NMI_STACK_SIZE 512
static struct cpu_stacks { /* of exceptions that may come with no usable stack */
	uint8_t fault[FAULT_STACK_SIZE] __attribute__((aligned(16)));
	uint8_t nmi[NMI_STACK_SIZE] __attribute__((aligned(16)));
} cpu_stacks[MAX_CPUS];
static bool have_smap;
static uint8_t initial_fpu[FPU_BYTES] __attribute__((aligned(64)));
static bool have_xsave; /* with AVX; else no program can use it */

struct idt_gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_middle;
	uint32_t offset_high, reserved;
};
static struct idt_gate idt[256] __attribute__((aligned(4096)));

struct table_pointer { uint16_t limit; uint64_t base; } __attribute__((packed));

#define GATE_INTERRUPT 0x8e
#define GATE_USER      0xee /* also by the INT instruction from ring 3 */
#define IST_FAULT 1
#define IST_NMI   2

static void build_idt(void)
{
	for (uint32_t v = 0; v < 256; v++) {
		uint64_t stub = (uint64_t)trap_stubs + 16 * v;

		idt[v] = (struct idt_gate){
			.offset_low = (uint16_t)stub,
			.offset_middle = (uint16_t)(stub >> 16),
			.offset_high = (uint32_t)(stub >> 32),
			.selector = SEL_KERNEL_CODE,
			.type = v == 3 ? GATE_USER : GATE_INTERRUPT,
			.ist = v == VECTOR_DOUBLE ? IST_FAULT : v == VECTOR_NMI ? IST_NMI : 0,
		};
	}
}

/* Runs before the kernel's text is write-protected. */
static void patch_out_smap(void)
{
	extern uint8_t *smap_sites[], *smap_sites_end[];
	static const uint8_t nop3[] = { 0x0f, 0x1f, 0x00 };

	for (uint8_t **site = smap_sites; site < smap_sites_end; site++)
		memcpy(*site, nop3, sizeof nop3);
}

static void load_tables(struct cpu *c, struct cpu_arch *a)
{
	struct cpu_stacks *stacks = &cpu_stacks[c->id];
	uint64_t tss = (uint64_t)&a->tss;
	struct table_pointer gdtr = { sizeof a->gdt - 1, (uint64_t)a->gdt };
	struct table_pointer idtr = { sizeof idt - 1, (uint64_t)idt };

	a->gdt[SEL_KERNEL_CODE / 8] = 0x00af9b000000ffff;
	a->gdt[SEL_KERNEL_DATA / 8] = 0x00cf93000000ffff;
	a->gdt[SEL_USER_DATA / 8] = 0x00cff3000000ffff;
	a->gdt[SEL_USER_CODE / 8] = 0x00affb000000ffff;
	a->gdt[SEL_TSS / 8] = (sizeof a->tss - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 |
			      (tss >> 24 & 0xff) << 56;
	a->gdt[SEL_TSS / 8 + 1] = tss >> 32;
	a->gdt[X_CPU_SELECTOR / 8] = 0x0040f00000000000ull | (c->id & 0xffff); /* data, for all rings */
	a->tss.iomap_offset = sizeof a->tss;
	/* double_fault_entry finds the struct cpu above its frame */
	a->tss.ist[IST_FAULT - 1] = (uint64_t)(stacks->fault + FAULT_STACK_SIZE - 16);
	*(struct cpu **)(stacks->fault + FAULT_STACK_SIZE - 16) = c;
	a->tss.ist[IST_NMI - 1] = (uint64_t)(stacks->nmi + NMI_STACK_SIZE);

	__asm__ volatile("lgdt %0\n\tlidt %1\n\tltr %w2\n\t"
			 "pushq %3\n\tleaq 1f(%%rip), %%rax\n\tpushq %%rax\n\tlretq\n1:\n\t"
			 "movw %w4, %%ds\n\tmovw %w4, %%es\n\tmovw %w4, %%ss\n\t"
			 "movw %w5, %%fs\n\tmovw %w5, %%gs"
			 : : "m"(gdtr), "m"(idtr), "r"(SEL_TSS), "i"(SEL_KERNEL_CODE),
			     "r"(SEL_KERNEL_DATA), "r"(0) : "rax", "memory");
}

static void set_control_registers(void)
{
	uint32_t features = cpuid(1, 0).c;
	struct cpuid f7 = cpuid(0, 0).a >= 7 ? cpuid(7, 0) : (struct cpuid){ 0 };
	uint64_t cr4 = CR4_PAE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT;

	have_fsgsbase = f7.b & 1u;
	have_smap = f7.b >> 20 & 1u;
	have_x2apic = features >> 21 & 1u;
	have_xsave = features >> 26 & features >> 28 & 1u && cpuid(13, 2).a == 256 && cpuid(13, 2).b == 576;
	if (have_fsgsbase)
		cr4 |= CR4_FSGSBASE;
	if (f7.b >> 7 & 1u)
		cr4 |= CR4_SMEP;
	if (have_smap)
		cr4 |= CR4_SMAP;
	if (f7.c >> 2 & 1u)
		cr4 |= CR4_UMIP;
	if (have_xsave)
		cr4 |= CR4_OSXSAVE;
	write_cr4(cr4);
	if (have_xsave)
		__asm__ volatile("xsetbv" : : "c"(0), "a"(XCR0_STATE), "d"(0));
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SCE | EFER_NXE);
	wrmsr(MSR_STAR, (uint64_t)SEL_SYSRET_BASE << 48 | (uint64_t)SEL_KERNEL_CODE << 32);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_FMASK, RFLAGS_SYSCALL_MASK);
}

static void fpu_restore(const uint8_t *image)
{
	if (have_xsave)
		__asm__ volatile("xrstor64 (%0)" : : "r"(image), "a"(XCR0_STATE), "d"(0) : "memory");
	else
		__asm__ volatile("fxrstor64 (%0)" : : "r"(image) : "memory");
}

void cpu_init(struct cpu *c)
{
	struct cpu_arch *a = &cpu_archs[c->id];

	c->self = c;
	c->arch = a;
	if (c->id == 0)
		build_idt();
	load_tables(c, a);
	wrmsr(MSR_GS_BASE, (uint64_t)c);
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	wrmsr(MSR_FS_BASE, 0);
	set_control_registers();
	if (c->id == 0) {
		if (!have_smap)
			patch_out_smap();
		*(uint16_t *)initial_fpu = 0x37f;       /* x87 control word */
		*(uint32_t *)(initial_fpu + 24) = 0x1f80; /* MXCSR */
	}
	fpu_restore(initial_fpu);
	a->holds = OWN_FPU;
	a->timer_armed_ns = UINT64_MAX;
	a->loaded_pt = read_cr3();
}

/* ------------------------------------------------------------------ FPU */

static void set_ts(struct cpu_arch *a, bool on)
{
	if (!(a->holds & OWN_FPU) == on)
		return;
	a->holds ^= OWN_FPU;
	if (on)
		write_cr0(read_cr0() | 8);
	else
		__asm__ volatile("clts");
}

static void fpu_save(struct arch_thread *t)
{
	if (have_xsave)
		__asm__ volatile("xsave64 (%0)" : : "r"(t->fpu), "a"(XCR0_STATE), "d"(0) : "memory");
	else
		__asm__ volatile("fxsave64 (%0)" : : "r"(t->fpu) : "memory");
}

static void fpu_load(struct cpu *c, struct arch_thread *t)
{
	struct cpu_arch *a = cpu_arch(c);

	set_ts(a, false);
	if (a->fpu_owner == t && t->fpu_cpu == c->id)
		return;
	fpu_restore(t->fpu);
	a->fpu_owner = t;
	t->fpu_cpu = c->id;
}

void fpu_first_use(struct thread *t)
{
	t->arch->own |= OWN_FPU;
	fpu_load(this_cpu(), t->arch);
}

void arch_thread_copy_fpu(struct thread *to, struct thread *from)
{
	if (from == this_cpu()->current && (from->arch->own & OWN_FPU))
		fpu_save(from->arch);
	memcpy(to->arch->fpu, from->arch->fpu, FPU_BYTES);
	to->arch->own |= from->arch->own & OWN_FPU;
	to->arch->fpu_cpu = FPU_NOWHERE;
}

void arch_thread_reset_fpu(struct thread *t)
{
	memcpy(t->arch->fpu, initial_fpu, FPU_BYTES);
	t->arch->fpu_cpu = FPU_NOWHERE;
	if (t == this_cpu()->current && (t->arch->own & OWN_FPU))
		fpu_load(this_cpu(), t->arch);
}

/* -------------------------------------------------------------- threads */

int arch_thread_init(struct thread *t, void (*fn)(struct thread *t))
{
	struct arch_thread *a;
	uint64_t *sp;

	t->kstack = kstack_alloc();
	if (!t->kstack)
		return -X_ENOMEM;
	a = (struct arch_thread *)((uint8_t *)t->kstack + KSTACK_SIZE) - 1;
	memcpy(a->fpu, initial_fpu, FPU_BYTES);
	a->fpu_cpu = FPU_NOWHERE;
	a->on_stack = false;
	a->own = t->process->flags & X_PROC_LINUX ? OWN_FPU | OWN_BASES : 0;
	a->native_base = a->upcall = 0;
	a->native_end = UINT64_MAX;
	t->arch = a;
	t->regs = (struct x_regs *)((uint8_t *)a - FRAME_SIZE - REGS_SIZE);
	memset(t->regs, 0, REGS_SIZE + FRAME_SIZE);

	/* What switch_stacks() pops: r15 r14 r13 r12 rbp rbx, return address. */
	sp = (uint64_t *)t->regs;
	*--sp = (uint64_t)thread_start;
	*--sp = (uint64_t)t;  /* rbx */
	*--sp = 0;            /* rbp */
	*--sp = (uint64_t)fn; /* r12 */
	*--sp = 0;
	*--sp = 0;
	*--sp = 0;
	a->rsp = (uint64_t)sp;
	return 0;
}

void arch_thread_upcalls(struct thread *t, uint64_t block)
{
	const struct x_personality *p = &t->process->personality;

	t->arch->native_base = p->base;
	t->arch->native_end = p->end;
	t->arch->entry = p->entry;
	/* to be written and gone to without a further look */
	if (have_fsgsbase && block <= X_USER_MAX - sizeof(struct x_upcall) && p->entry < X_USER_MAX)
		t->arch->upcall = block;
}

void arch_thread_destroy(struct thread *t)
{
	if (!t->arch)
		return;
	for (uint32_t i = 0; i < MAX_CPUS; i++)
		if (cpu_archs[i].fpu_owner == t->arch)
			cpu_archs[i].fpu_owner = NULL;
	kstack_free(t->kstack);
	t->arch = NULL;
}

static uint64_t canonical(uint64_t va) { return (uint64_t)((int64_t)(va << 16) >> 16); }

static void save_bases(struct thread *t)
{
	if (!have_fsgsbase)
		return; /* programs cannot change them but through the kernel */
	/* The user's gs base is the one that swapgs exchanges; an NMI in between
	 * does not look at gs. */
	__asm__ volatile("rdfsbase %0\n\tswapgs\n\trdgsbase %1\n\tswapgs"
			 : "=&r"(t->fs_base), "=&r"(t->gs_base));
}

/* Both are canonical: checked where they came from a program, or read from the CPU. */
static void load_bases(uint64_t fs_base, uint64_t gs_base)
{
	if (have_fsgsbase) {
		__asm__ volatile("wrfsbase %0\n\tswapgs\n\twrgsbase %1\n\tswapgs"
				 : : "r"(fs_base), "r"(gs_base));
	} else {
		wrmsr(MSR_FS_BASE, fs_base);
		wrmsr(MSR_KERNEL_GS_BASE, gs_base);
	}
}

static void save_own(struct thread *t)
{
	if (t->arch->own & OWN_FPU)
		fpu_save(t->arch);
	if (t->arch->own & OWN_BASES)
		save_bases(t);
}

/* Its own, or nobody's. */
static void load_own(struct cpu *c, struct cpu_arch *a, struct thread *t)
{
	if (t->arch->own & OWN_FPU)
		fpu_load(c, t->arch);
	else
		set_ts(a, true);
	if (t->arch->own & OWN_BASES) {
		load_bases(t->fs_base, t->gs_base);
		a->holds |= OWN_BASES;
	} else if (a->holds & OWN_BASES) {
		load_bases(0, 0);
		a->holds &= ~OWN_BASES;
	}
}

void arch_set_fs_base(uint64_t base)
{
	struct thread *t = this_cpu()->current;

	t->fs_base = canonical(base);
	if (have_fsgsbase)
		__asm__ volatile("wrfsbase %0" : : "r"(t->fs_base));
	else
		wrmsr(MSR_FS_BASE, t->fs_base);
}

void arch_read_bases(struct thread *t)
{
	save_bases(t);
	t->regs->fs_base = t->fs_base;
	t->regs->gs_base = t->gs_base;
}

/* A kernel thread leaves the last page table loaded and is not told of changes
 * to it; if the space is needed again, its generation tells whether the TLB is
 * stale. See smp.c. True: CR3 is to be loaded. */
static inline bool enter_space(struct cpu *c, struct cpu_arch *a, struct space *next)
{
	struct space *loaded = c->space;
	uint64_t bit = 1ull << c->id;
	bool stale = loaded != next || c->space_generation != next->tlb_generation;

	if (loaded && loaded != next)
		loaded->cpus_active &= ~bit;
	c->space = next;
	c->space_generation = next->tlb_generation;
	next->cpus_active |= bit;
	if (a->loaded_pt != next->page_table) {
		a->leaving_pt = a->loaded_pt;
		a->loaded_pt = next->page_table;
	}
	return stale;
}

static inline void table_left(struct cpu_arch *a)
{
	if (__builtin_expect(a->left_is_orphan, false) && a->leaving_pt)
		pt_free_orphan(this_cpu());
	a->leaving_pt = 0;
}

void arch_switched(void);
/* With other CPUs, a thread's first step on its own stack again, or for the first time. */
void arch_switched(void)
{
	kernel_lock_inline();
	table_left(cpu_arch(this_cpu()));
}

/*
 * The lock is given up in between: all that others look at is as after the switch by
 * then, and what is dear in it, to load a page table and to find everything anew, does
 * not keep them waiting. Two things are not as after it: prev's stack is still in use
 * (whoever is to run prev waits for `on_stack`; those that wait for each other so were
 * switched one after the other, so it ends), and CR3 holds the old table (leaving_pt).
 *
 * Idle threads, and what is left of a thread that has ended, are of no process
 * with a space. All threads have a kernel stack: the idle ones their first.
 */
void arch_switch(struct thread *prev, struct thread *next)
{
	struct cpu *c = this_cpu();
	struct cpu_arch *a = cpu_arch(c);
	struct arch_thread *from = prev->arch, *to = next->arch;
	struct space *space = next->process->space;
	bool load = false, others = cpus_online > 1;

	if (from->own)
		save_own(prev);
	if (space)
		load = enter_space(c, a, space);
	else if (c->space)
		c->space->cpus_active &= ~(1ull << c->id);
	c->kernel_rsp = a->tss.rsp[0] = (uint64_t)to;
	if (others) {
		from->on_stack = true;
		kernel_unlock_inline();
	}
	if (load)
		write_cr3(a->loaded_pt);
	if (space && (to->own | a->holds))
		load_own(c, a, next);
	if (!others)
		table_left(a);
	else if (__builtin_expect(__atomic_load_n(&to->on_stack, __ATOMIC_ACQUIRE), false))
		wait_until_clear(&to->on_stack);
	switch_stacks(&from->rsp, to->rsp, &from->on_stack);
}

void arch_idle_wait(void)
{
	if (__atomic_load_n(&this_cpu()->need_resched, __ATOMIC_RELAXED))
		return;
	/* sti holds interrupts back until hlt has begun: no wake-up is lost */
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}
