/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where system calls, exceptions and interrupts arrive from trap.S. All that
 * come from user mode but a few system calls take the kernel lock, do their work,
 * and go back through thread_return_to_user(). Interrupts reach kernel mode only
 * in the idle wait, which does not hold the lock.
 */
#include "vtd.h"
#include "x86.h"

bool arch_syscall(struct x_regs *regs);
void arch_upcall(struct x_regs *regs);
void arch_leave(struct x_regs *regs);
void arch_trap(struct x_regs *regs);

/* Nearly always there is nothing to do on the way out. Whoever changes what is
 * looked at sends an interrupt afterwards, so it may be asked without the lock. */
static inline bool may_leave(void)
{
	const struct thread *t = current();

	return !(t->killed || t->process->suspended || this_cpu()->need_resched ||
		 (t->upcall_stack && thread_notifications(t)));
}

static inline void return_to_user(struct x_regs *regs)
{
	if (!may_leave())
		thread_return_to_user(regs);
}

/* With the lock for this CPU alone: there is something to do on the way out. */
static bool leave_late(struct x_regs *regs)
{
	thread_return_to_user(regs);
	kernel_unlock_inline();
	return false;
}

/* Native ones; what is on the way out may be asked without the lock here too. False: all
 * registers are to be loaded, as they may have changed. */
static inline bool unlocked_syscall(struct x_regs *regs, uint64_t number)
{
	trap_syscall(regs, number);
	if (may_leave())
		return true;
	kernel_lock_inline();
	return leave_late(regs);
}

static inline bool sharing_syscall(struct x_regs *regs, uint64_t number)
{
	kernel_share_inline();
	trap_syscall(regs, number);
	if (may_leave()) {
		kernel_unlock_either();
		return true;
	}
	(void)kernel_exclusive();
	return leave_late(regs);
}

static inline bool locked_syscall(struct x_regs *regs, uint64_t number)
{
	kernel_lock_inline();
	trap_syscall(regs, number);
	if (may_leave()) {
		kernel_unlock_inline();
		return number != X_SYS_resume;
	}
	return leave_late(regs);
}

bool arch_syscall(struct x_regs *regs)
{
	uint64_t number = regs->rax;

	if (number >= 64) /* in two parts: all below exist */
		return syscall_may_share(number) ? sharing_syscall(regs, number) : locked_syscall(regs, number);
	return SYSCALLS_UNLOCKED >> number & 1 ? unlocked_syscall(regs, number) : locked_syscall(regs, number);
}

/* A program's, for which there is more to do than trap.S did. */
void arch_upcall(struct x_regs *regs)
{
	kernel_lock();
	thread_upcall(X_UP_SYSCALL, 0, 0, 0);
	return_to_user(regs);
	kernel_unlock();
}

/* A new thread's first way out; it came from schedule() with the lock. */
void arch_leave(struct x_regs *regs)
{
	return_to_user(regs);
	kernel_unlock();
}

static const char *const exception_names[32] = {
	[0] = "divide error", [1] = "debug", [2] = "NMI", [3] = "breakpoint", [4] = "overflow",
	[5] = "bound range", [6] = "invalid opcode", [7] = "no FPU",
	[8] = "double fault (kernel stack overflow?)", [10] = "invalid TSS", [11] = "segment not present",
	[12] = "stack fault", [13] = "general protection", [14] = "page fault", [16] = "x87 error",
	[17] = "alignment check", [18] = "machine check", [19] = "SIMD error", [21] = "control protection",
};

static bool in_user_copy(uint64_t rip)
{
	return rip >= (uint64_t)user_copy_begin && rip < (uint64_t)user_copy_end;
}

/* Where to go on if it is one that only tries; or 0. */
static uint64_t user_try_missing(uint64_t rip)
{
	for (const struct user_try *t = user_tries; t < user_tries_end; t++)
		if (rip >= t->begin && rip < t->end)
			return t->missing;
	return 0;
}

static void kernel_exception(struct x_regs *regs, const struct trap_frame *f, uint64_t address)
{
	const char *name = exception_names[f->vector];

	if (f->vector == VECTOR_PAGE && address < X_USER_MAX && !in_user_copy(regs->rip) && user_try_missing(regs->rip)) {
		regs->rip = user_try_missing(regs->rip);
		return;
	}
	if (f->vector == VECTOR_PAGE && address < X_USER_MAX && in_user_copy(regs->rip)) {
		bool away = current()->away;

		if (this_cpu()->sharing) { /* who asked goes on exclusively */
			regs->rip = (uint64_t)user_copy_fault;
			return;
		}
		kernel_return(away);
		if (!trap_exception(regs, VECTOR_PAGE, f->error, address, false))
			regs->rip = (uint64_t)user_copy_fault;
		if (away) {
			current()->away = true;
			kernel_unlock();
		}
		return;
	}
	panic_at(regs, "%s in the kernel (vector %u, error %#llx, address %#llx)", name ? name : "exception",
		 (unsigned)f->vector, (unsigned long long)f->error, (unsigned long long)address);
}

static void exception(struct x_regs *regs, const struct trap_frame *f)
{
	uint64_t address = f->vector == VECTOR_PAGE ? read_cr2() : 0;
	struct thread *t = this_cpu()->current;

	if (!(f->cs & 3) || f->vector == VECTOR_DOUBLE) {
		kernel_exception(regs, f, address);
		return;
	}
	if (f->vector == VECTOR_NO_FPU && !(t->arch->own & OWN_FPU)) {
		fpu_first_use(t);
		return;
	}
	kernel_lock();
	trap_exception(regs, (uint32_t)f->vector, f->error, address, true);
	return_to_user(regs);
	kernel_unlock();
}

/* An interrupt is acknowledged after its handler has masked a level-triggered
 * line (or it would come again at once), and before the thread may be switched
 * away. */
static void interrupt(struct x_regs *regs, uint32_t vector, bool user)
{
	switch (vector) {
	case VECTOR_TLB: /* the asker holds the lock */
		apic_eoi();
		tlb_service();
		return;
	case VECTOR_RESCHED:
		apic_eoi();
		this_cpu()->need_resched = true;
		if (!user)
			return; /* the idle loop looks at it */
		kernel_lock();
		break;
	case VECTOR_TIMER:
		apic_timer_fired();
		apic_eoi();
		kernel_lock();
		sched_tick();
		break;
	case VECTOR_IOMMU:
		apic_eoi();
		kernel_lock();
		vtd_faults();
		break;
	default:
		if (vector < VECTOR_FIRST || vector > VECTOR_LAST)
			return; /* spurious ones want no acknowledgement */
		kernel_lock();
		trap_irq(vector);
		apic_eoi();
	}
	if (user)
		return_to_user(regs);
	kernel_unlock();
}

void arch_trap(struct x_regs *regs)
{
	const struct trap_frame *f = (const struct trap_frame *)(regs + 1);

	if (f->vector < 32)
		exception(regs, f);
	else
		interrupt(regs, (uint32_t)f->vector, f->cs & 3);
}
