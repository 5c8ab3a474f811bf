/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the personality cannot say in C: the upcall entry, and the copies from
 * and to the program's memory that survive a bad address. A fault at an
 * address listed in .fixups (pairs: faulting rip, continue rip) that the kernel
 * cannot settle continues at the second address, registers unchanged.
 */

	.macro fixup from, to
	.pushsection .fixups, "a", @progbits
	.quad \from, \to
	.popsection
	.endm

	.text

/* Upcall: rdi = struct x_upcall *, rsp just below it. */
	.globl pers_entry
	.hidden pers_entry
	.type pers_entry, @function
pers_entry:
	cld
	xorl %ebp, %ebp
	andq $-16, %rsp
	call pers_upcall
	ud2
	.size pers_entry, . - pers_entry

/* void pers_leave(struct x_upcall *frame): back to the program without the
 * kernel (include/xinim/abi.h tells when). Returns if a notification is pending.
 * The block serves as the stack, so nothing is stored, and the red zone below
 * the program's own stack pointer stays as it is. rcx and r11 are the program's
 * to lose at a system call: rcx carries the way back. */
	.globl pers_leave, pers_leave_end
	.hidden pers_leave, pers_leave_end
	.type pers_leave, @function
pers_leave:
	cmpq $0, 24(%rdi)	/* pending */
	jne pers_leave_end
	leaq 56(%rdi), %rsp	/* regs */
	popq %rax
	popq %rbx
	popq %rcx
	popq %rdx
	popq %rsi
	popq %rdi
	popq %rbp
	popq %r11		/* rsp: loaded last */
	popq %r8
	popq %r9
	popq %r10
	popq %r11
	popq %r12
	popq %r13
	popq %r14
	popq %r15
	popq %rcx		/* rip */
	popfq
	movq -88(%rsp), %rsp
	jmp *%rcx
pers_leave_end:
	ret
	.size pers_leave, . - pers_leave

/* int64_t pers_copy(void *dst, const void *src, uint64_t len)
 * Plain moves: string instructions are slow under software emulation. */
	.globl pers_copy
	.hidden pers_copy
	.type pers_copy, @function
pers_copy:
	xorl %ecx, %ecx
	movq %rdx, %r8
	andq $-8, %r8
	jz 4f
1:	movq (%rsi,%rcx), %rax
2:	movq %rax, (%rdi,%rcx)
	addq $8, %rcx
	cmpq %r8, %rcx
	jb 1b
4:	cmpq %rdx, %rcx
	jae 7f
5:	movzbl (%rsi,%rcx), %eax
6:	movb %al, (%rdi,%rcx)
	incq %rcx
	jmp 4b
7:	xorl %eax, %eax
	ret
	fixup 1b, pers_fault
	fixup 2b, pers_fault
	fixup 5b, pers_fault
	fixup 6b, pers_fault
	.size pers_copy, . - pers_copy

/* int64_t pers_strnlen(const char *s, uint64_t max) */
	.globl pers_strnlen
	.hidden pers_strnlen
	.type pers_strnlen, @function
pers_strnlen:
	xorl %eax, %eax
1:	cmpq %rsi, %rax
	jae 3f
2:	cmpb $0, (%rdi,%rax)
	je 3f
	incq %rax
	jmp 1b
3:	ret
	fixup 2b, pers_fault
	.size pers_strnlen, . - pers_strnlen

/* int64_t pers_touch(const void *addr, uint64_t write): a store that changes nothing */
	.globl pers_touch
	.hidden pers_touch
	.type pers_touch, @function
pers_touch:
	xorl %eax, %eax
	testq %rsi, %rsi
	jne 2f
1:	testb $0, (%rdi)
	ret
2:	lock orb $0, (%rdi)
	ret
	fixup 1b, pers_fault
	fixup 2b, pers_fault
	.size pers_touch, . - pers_touch

/* int64_t pers_cmpxchg32(uint32_t *addr, uint32_t expected, uint32_t desired, uint32_t *old) */
	.globl pers_cmpxchg32
	.hidden pers_cmpxchg32
	.type pers_cmpxchg32, @function
pers_cmpxchg32:
	movl %esi, %eax
1:	lock cmpxchgl %edx, (%rdi)
	movl %eax, (%rcx)
	xorl %eax, %eax
	ret
	fixup 1b, pers_fault
	.size pers_cmpxchg32, . - pers_cmpxchg32

pers_fault:
	movq $-14, %rax		/* -X_EFAULT */
	ret

	.section .note.GNU-stack, "", @progbits
