/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ways into and out of the kernel, stack switching, and the copy loop that may
 * fault on user memory.
 *
 * Every entry builds the same picture on the kernel stack: struct trap_frame
 * at the top (the part pushed by the CPU is left empty by a system call) and
 * struct x_regs below it. Interrupts stay off from entry to exit.
 */
#include "x86.h"

/* SMAP's instructions do not exist on older CPUs: cpu.c turns them into NOPs. */
	.macro SMAP_INSTRUCTION name
771:	\name
	.pushsection .smap_sites, "a"
	.quad 771b
	.popsection
	.endm

	.macro PUSH_REGISTERS rip, rflags, rsp
	pushq \rflags
	pushq \rip
	pushq %r15
	pushq %r14
	pushq %r13
	pushq %r12
	pushq %r11
	pushq %r10
	pushq %r9
	pushq %r8
	pushq \rsp
	pushq %rbp
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rcx
	pushq %rbx
	pushq %rax
	movq %rsp, %rdi
	xorl %ebp, %ebp
	.endm

/* To user mode from a struct x_regs at rsp; rcx and r11 hold rip and rflags, and what C preserves, but rbp, is as it is to be. */
	.macro SYSRET_RESTORED
	movq 0(%rsp), %rax
	movq 24(%rsp), %rdx
	movq 32(%rsp), %rsi
	movq 40(%rsp), %rdi
	movq 48(%rsp), %rbp
	movq 64(%rsp), %r8
	movq 72(%rsp), %r9
	movq 80(%rsp), %r10
	movq 56(%rsp), %rsp
	swapgs
	sysretq
	.endm

/* From `begin` to `end` user memory that is not there as it is makes the CPU go on at `missing`. */
	.macro USER_TRY begin, end, missing
	.pushsection .user_tries, "a"
	.quad \begin, \end, \missing
	.popsection
	.endm

	.text
/* ---- system calls ---- */
	.globl syscall_entry
	.balign 16
syscall_entry:
	swapgs
	movq %rsp, %gs:CPU_SCRATCH_RSP
	movq %gs:CPU_KERNEL_RSP, %rsp /* = the thread's struct arch_thread */
	cmpq %rcx, ARCH_NATIVE_BASE(%rsp)
	jae upcall
	cmpq %rcx, ARCH_NATIVE_END(%rsp)
	jb upcall
	subq $(FRAME_SIZE + 16), %rsp
	PUSH_REGISTERS %rcx, %r11, %gs:CPU_SCRATCH_RSP
	call arch_syscall
	testb %al, %al
	jz exit_to_user
	/* Nothing has changed the registers: those that C preserves (but rbp, which was
	 * cleared to end backtraces) are as they came, rip and
	 * rflags are what syscall gave (canonical: the last page of user space is never mapped). */
	movq 128(%rsp), %rcx
	movq 136(%rsp), %r11
	SYSRET_RESTORED

/* rsp = the thread's struct x_regs; kernel lock given up. */
exit_to_user:
	movq 128(%rsp), %rcx      /* rip */
	movq 136(%rsp), %r11      /* rflags */
	andl $RFLAGS_USER, %r11d
	orl $RFLAGS_ALWAYS, %r11d
	/* sysret gives the user rcx = rip and r11 = rflags, and must not see a
	 * non-canonical rip (it would fault on the user's stack). */
	cmpq %rcx, 16(%rsp)
	jne 1f
	cmpq %r11, 88(%rsp)
	jne 1f
	movq %rcx, %rax
	shrq $47, %rax
	jnz 1f
	movq 8(%rsp), %rbx
	movq 96(%rsp), %r12
	movq 104(%rsp), %r13
	movq 112(%rsp), %r14
	movq 120(%rsp), %r15
	SYSRET_RESTORED

1:	/* iretq would fault in the kernel on a non-canonical rip: make it a kernel
	 * address, so that the user faults. */
	shlq $16, %rcx
	sarq $16, %rcx
	movq %rcx, REGS_SIZE + 24(%rsp)
	movq $SEL_USER_CODE, REGS_SIZE + 32(%rsp)
	movq %r11, REGS_SIZE + 40(%rsp)
	movq 56(%rsp), %rax
	movq %rax, REGS_SIZE + 48(%rsp)
	movq $SEL_USER_DATA, REGS_SIZE + 56(%rsp)
	swapgs
	/* fall through */

restore_and_iret:
	popq %rax
	popq %rbx
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	popq %rbp
	addq $8, %rsp             /* rsp: iretq loads it */
	popq %r8
	popq %r9
	popq %r10
	popq %r11
	popq %r12
	popq %r13
	popq %r14
	popq %r15
	addq $(32 + 24), %rsp     /* rip, rflags, bases; pad, vector, error */
	iretq

/*
 * A program's system call: the registers go straight into its struct x_upcall, the rest of
 * which is as thread_upcall() has it, and the personality begins. No lock is
 * needed, as docs/locking.md says; nor a look at what there may be to do on the way out: who
 * has something sends an interrupt, which comes when this is over. Where the block can't be
 * written as it is, all is done again the general way, so what is used here is saved.
 */
	USER_TRY upcall_begin, upcall_end, upcall_general
upcall:
	pushq %rdi
	pushq %rsi
	pushq %rdx
	pushq %rax
	movq 32 + ARCH_UPCALL(%rsp), %rdi
	testq %rdi, %rdi
	jz upcall_general
	SMAP_INSTRUCTION stac
upcall_begin:
	movq %rax, UPCALL_REGS + 0(%rdi)
	movq %rbx, UPCALL_REGS + 8(%rdi)
	movq %rcx, UPCALL_REGS + 16(%rdi)
	movq %rdx, UPCALL_REGS + 24(%rdi)
	movq %rsi, UPCALL_REGS + 32(%rdi)
	movq 24(%rsp), %rax
	movq %rax, UPCALL_REGS + 40(%rdi)
	movq %rbp, UPCALL_REGS + 48(%rdi)
	movq %gs:CPU_SCRATCH_RSP, %rax
	movq %rax, UPCALL_REGS + 56(%rdi)
	movq %r8, UPCALL_REGS + 64(%rdi)
	movq %r9, UPCALL_REGS + 72(%rdi)
	movq %r10, UPCALL_REGS + 80(%rdi)
	movq %r11, UPCALL_REGS + 88(%rdi)
	movq %r12, UPCALL_REGS + 96(%rdi)
	movq %r13, UPCALL_REGS + 104(%rdi)
	movq %r14, UPCALL_REGS + 112(%rdi)
	movq %r15, UPCALL_REGS + 120(%rdi)
	movq %rcx, UPCALL_REGS + 128(%rdi) /* rip */
	movq %r11, UPCALL_REGS + 136(%rdi) /* rflags */
	rdfsbase %rax
	movq %rax, UPCALL_REGS + 144(%rdi)
	swapgs
	rdgsbase %rax
	swapgs
	movq %rax, UPCALL_REGS + 152(%rdi)
	movq %gs:CPU_CURRENT, %rax
	movq THREAD_PROCESS(%rax), %rdx
	movq THREAD_PENDING(%rax), %rsi
	orq PROCESS_PENDING(%rdx), %rsi
	movq PROCESS_IGNORE(%rdx), %rdx
	orq THREAD_MASK(%rax), %rdx
	notq %rdx
	andq %rdx, %rsi
	movq THREAD_MASK(%rax), %rdx
	movq THREAD_WORD(%rax), %rax
	movq $UPCALL_SYSCALL, UPCALL_REASON(%rdi) /* and vector 0 */
	movq $0, UPCALL_ERROR(%rdi)
	movq $0, UPCALL_ADDRESS(%rdi)
	movq %rsi, UPCALL_PENDING(%rdi)
	movq %rdx, UPCALL_MASK(%rdi)
	movq %rdx, UPCALL_INSTALLED(%rdi)
	movq %rax, UPCALL_WORD(%rdi)
upcall_end:
	SMAP_INSTRUCTION clac
	movq 32 + ARCH_ENTRY(%rsp), %rcx
	movl $RFLAGS_ALWAYS, %r11d
	leaq -8(%rdi), %rsp       /* as if called: the ABI's alignment */
	swapgs
	sysretq

upcall_general:
	SMAP_INSTRUCTION clac
	popq %rax
	popq %rdx
	popq %rsi
	popq %rdi
	subq $(FRAME_SIZE + 16), %rsp
	PUSH_REGISTERS %rcx, %r11, %gs:CPU_SCRATCH_RSP
	call arch_upcall
	jmp exit_to_user

/* ---- exceptions and interrupts ---- */
	.section .text.stubs, "ax"
	.balign 16
	.globl trap_stubs
trap_stubs:                       /* 256 stubs of 16 bytes */
	.set vector, 0
	.rept 256
	.balign 16
	.if vector == 2
	jmp nmi_entry
	.elseif vector == 8
	pushq $8
	jmp double_fault_entry
	.else
	.if !(vector == 10 || vector == 11 || vector == 12 || vector == 13 || vector == 14 || vector == 17 || vector == 21 || vector == 29 || vector == 30)
	pushq $0
	.endif
	pushq $vector
	jmp trap_entry
	.endif
	.set vector, vector + 1
	.endr

	.text
	.balign 16
trap_entry:                       /* vector, error, rip, cs, rflags, rsp, ss */
	cld
	SMAP_INSTRUCTION clac
	testb $3, 24(%rsp)
	jz build_frame
	swapgs
build_frame:
	subq $(8 + 16), %rsp      /* pad; bases */
	PUSH_REGISTERS 48(%rsp), 56(%rsp), 144(%rsp) /* beyond 3 words, and then 11 more */
	call arch_trap
	testb $3, REGS_SIZE + 32(%rsp)
	jnz exit_to_user
	movq 128(%rsp), %rax      /* a fix-up may have moved rip */
	movq %rax, REGS_SIZE + 24(%rsp)
	jmp restore_and_iret

/* Own stack, with this CPU's struct cpu above the frame, for gs may be anyone's. */
double_fault_entry:
	cld
	pushq %rax
	pushq %rcx
	pushq %rdx
	movl $MSR_GS_BASE, %ecx
	movq 24 + 56(%rsp), %rax
	movq %rax, %rdx
	shrq $32, %rdx
	wrmsr
	popq %rdx
	popq %rcx
	popq %rax
	jmp build_frame

/* Only used to stop the other CPUs in a panic; touches no register before. */
nmi_entry:
	cmpb $0, panicking(%rip)
	jne 1f
	iretq
1:	hlt
	jmp 1b

/* ---- threads ---- */
/* void switch_stacks(uint64_t *save_rsp, uint64_t rsp, bool *on_stack): cleared when the old
 * one has been left. With other CPUs the first step on the new one is to take the lock. */
	.globl switch_stacks
	.balign 16
switch_stacks:
	pushq %rbx
	pushq %rbp
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	movb $0, (%rdx)
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	cmpl $1, cpus_online(%rip)
	ja arch_switched
	ret

/* First switch to a thread: rbx = thread, r12 = its function, rsp = its x_regs. */
	.globl thread_start
thread_start:
	movq %rbx, %rdi
	call *%r12
	movq %rsp, %rdi
	call arch_leave
	jmp exit_to_user

/* ---- int user_copy(void *dst, const void *src, size_t n) ----
 * 0, or -X_EFAULT when a fault on user memory could not be settled. Unrolled
 * 8-byte moves: the string instructions are slow in emulation. Blocks of 512 bytes
 * first, then of 128; what is left is a jump into a row of moves of 8 bytes of
 * code each. Keeps nothing on the stack, so that a fault anywhere can go on at
 * user_copy_fault. */
	.macro MOVE2 offset
	movq \offset(%rsi), %rax
	movq \offset + 8(%rsi), %rcx
	movq %rax, \offset(%rdi)
	movq %rcx, \offset + 8(%rdi)
	.endm
	.macro MOVES bytes
	.set offset, 0
	.rept \bytes / 16
	MOVE2 offset
	.set offset, offset + 16
	.endr
	addq $\bytes, %rsi
	addq $\bytes, %rdi
	.endm

	.globl user_copy, user_replace, user_copy_begin, user_copy_end, user_copy_fault
	.balign 16
user_copy:
	SMAP_INSTRUCTION stac
user_copy_begin:
	cmpq $128, %rdx
	jb 2f
	subq $512, %rdx
	jb 6f
1:	MOVES 512
	subq $512, %rdx
	jae 1b
6:	addq $512 - 128, %rdx
	jnc 8f
7:	MOVES 128
	subq $128, %rdx
	jae 7b
8:	subq $-128, %rdx
	jz 5f
2:	movl %edx, %ecx
	andl $-8, %ecx
	leaq 3f(%rip), %rax
	subq %rcx, %rax
	jmp *%rax
	.set offset, 120
	.rept 16
	{disp8} movq offset(%rsi), %rax
	{disp8} movq %rax, offset(%rdi)
	.set offset, offset - 8
	.endr
3:	andl $7, %edx
	jz 5f
	addq %rcx, %rsi
	addq %rcx, %rdi
4:	movb (%rsi), %al
	movb %al, (%rdi)
	incq %rsi
	incq %rdi
	decl %edx
	jnz 4b
5:	SMAP_INSTRUCTION clac
	xorl %eax, %eax
	ret
/* ---- int64_t user_replace(uint32_t *word, uint32_t old, uint32_t new) ----
 * What was there, atomically replaced if it was `old`; or -X_EFAULT. */
user_replace:
	SMAP_INSTRUCTION stac
	movl %esi, %eax
	lock cmpxchgl %edx, (%rdi)
	SMAP_INSTRUCTION clac
	movl %eax, %eax
	ret
user_copy_end:
user_copy_fault:
	SMAP_INSTRUCTION clac
	movq $-14, %rax           /* -X_EFAULT */
	ret

	.section .note.GNU-stack, "", @progbits
