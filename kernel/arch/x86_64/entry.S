/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * First instructions of the first CPU (Xen PVH boot protocol, or Multiboot2: 32-bit
 * protected mode, paging off, ebx = what the loader says) and of the others (real
 * mode, from a copy at AP_TRAMPOLINE). Both end in long mode on the kernel's
 * addresses.
 */
#include "x86.h"

#define PHYS(s) ((s) - KERNEL_BASE)
#define LOW(s)  ((s) - ap_trampoline + AP_TRAMPOLINE)

	.section .note.xen, "a", @note
	.balign 4
	.long 4, 8, 18            /* name size, value size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad PHYS(pvh_entry)

	/* Multiboot2 specification 3.1: within the first 32 KiB of the file. */
	.section .multiboot2, "a", @progbits
	.balign 8
multiboot2_header:
	.long MULTIBOOT2_HEADER_MAGIC, 0, multiboot2_header_end - multiboot2_header
	.long 0x100000000 - (MULTIBOOT2_HEADER_MAGIC + (multiboot2_header_end - multiboot2_header))
	.balign 8
	.short 3, 0               /* entry address */
	.long 12, PHYS(multiboot2_entry)
	.balign 8
	.short 6, 1               /* modules at page boundaries; optional */
	.long 8
	.balign 8
	.short 0, 0               /* end */
	.long 8
multiboot2_header_end:

	.section .text.boot, "ax"
	.code32
multiboot2_entry:
	movl %eax, %ebp           /* MULTIBOOT2_MAGIC */
	jmp start
	.globl pvh_entry
pvh_entry:
	movl $PVH_MAGIC, %ebp
start:
	cli
	cld
	movl %ebx, %esi           /* kept over the clearing of .bss */
	movl $PHYS(bss_start), %edi
	movl $PHYS(bss_end), %ecx
	subl %edi, %ecx
	shrl $2, %ecx
	xorl %eax, %eax
	rep stosl
	movl $PHYS(boot_stack_top), %esp

	/* The first 4 GiB in 2 MiB pages, three times: identity, direct map, kernel. */
	movl $PHYS(boot_pd), %edi
	movl $(PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_ACCESSED | PTE_DIRTY), %eax
	movl $2048, %ecx
1:	movl %eax, (%edi)
	movl $0, 4(%edi)
	addl $0x200000, %eax
	addl $8, %edi
	loop 1b
	movl $PHYS(boot_pd) + PTE_PRESENT + PTE_WRITE, %eax
	movl %eax, PHYS(boot_pdpt_high) + 510 * 8
	movl $PHYS(boot_pdpt), %edi
	movl $4, %ecx
2:	movl %eax, (%edi)
	addl $4096, %eax
	addl $8, %edi
	loop 2b
	movl $PHYS(boot_pdpt) + PTE_PRESENT + PTE_WRITE, %eax
	movl %eax, PHYS(boot_pml4)
	movl %eax, PHYS(boot_pml4) + 256 * 8
	movl $PHYS(boot_pdpt_high) + PTE_PRESENT + PTE_WRITE, %eax
	movl %eax, PHYS(boot_pml4) + 511 * 8

	call long_mode
	lgdt PHYS(boot_gdt_pointer)
	ljmp $SEL_KERNEL_CODE, $PHYS(1f)
	.code64
1:	movabsq $2f, %rax
	jmp *%rax
2:	movw $SEL_KERNEL_DATA, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	xorl %eax, %eax
	movw %ax, %fs
	movw %ax, %gs
	leaq boot_stack_top(%rip), %rsp

	/* Before any C that is built with the stack protector. */
	movl $1, %eax
	cpuid
	xorl %edi, %edi
	btl $30, %ecx
	jnc 3f
	rdrand %rdi
3:	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	movabsq $0x9e3779b97f4a7c15, %rcx
	mulq %rcx
	xorq %rdi, %rax
	xorb %al, %al             /* a string overrun stops at the zero byte */
	movq %rax, __stack_chk_guard(%rip)

	movl %esi, %edi
	movl %ebp, %esi
	xorl %ebp, %ebp
	call arch_start
	ud2

/* 32-bit: paging on, EFER.LME and NXE, with boot_pml4. Called by physical address. */
	.code32
long_mode:
	movl %cr4, %eax
	orl $(CR4_PAE | CR4_PGE), %eax
	movl %eax, %cr4
	movl $PHYS(boot_pml4), %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $(EFER_LME | EFER_NXE), %eax
	wrmsr
	movl %cr0, %eax
	andl $~0x6000000c, %eax   /* caching on; no EM, TS */
	orl $(CR0_PG | CR0_WP | 0x22), %eax /* MP, NE */
	movl %eax, %cr0
	ret

/* ---- the other CPUs ---- */
	.code16
	.globl ap_trampoline, ap_trampoline_end
ap_trampoline:
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %ss
	lgdtl LOW(ap_gdt_pointer)
	movl %cr0, %eax
	orl $1, %eax
	movl %eax, %cr0
	ljmpl $8, $LOW(1f)
	.code32
1:	movw $0x18, %ax           /* flat data, see the table below */
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $AP_TRAMPOLINE, %esp /* a few words below the trampoline */
	movl $PHYS(long_mode), %eax
	call *%eax
	ljmp $0x10, $LOW(2f)
	.code64
2:	movabsq $ap_entry, %rax
	jmp *%rax
	.balign 8
ap_gdt:	.quad 0
	.quad 0x00cf9a000000ffff  /* 0x08: 32-bit code */
	.quad 0x00af9a000000ffff  /* 0x10: 64-bit code, as SEL_KERNEL_CODE */
	.quad 0x00cf92000000ffff  /* 0x18: data */
ap_gdt_pointer:
	.word ap_gdt_pointer - ap_gdt - 1
	.long LOW(ap_gdt)
ap_trampoline_end:

ap_entry:
	/* A CPU that answers too late finds no stack, and stops. */
	xorl %eax, %eax
	xchgq %rax, ap_stack(%rip)
	testq %rax, %rax
	jz 3f
	movq %rax, %rsp
	xorl %ebp, %ebp
	call ap_start
3:	cli
	hlt
	jmp 3b

	.section .rodata
	.balign 8
boot_gdt:
	.quad 0, 0
	.quad 0x00af9a000000ffff  /* SEL_KERNEL_CODE */
	.quad 0x00cf92000000ffff  /* SEL_KERNEL_DATA */
boot_gdt_pointer:
	.word boot_gdt_pointer - boot_gdt - 1
	.quad PHYS(boot_gdt)

	.section .bss.page, "aw", @nobits
	.balign 4096
	.globl boot_pml4, boot_pdpt, boot_stack_guard
boot_pml4:	.skip 4096
boot_pdpt:	.skip 4096        /* identity and direct map: GiB 0 to 511 */
boot_pdpt_high:	.skip 4096
boot_pd:	.skip 4 * 4096
boot_stack_guard: .skip 4096      /* unmapped by arch_init_memory() */
	.skip 16384
boot_stack_top:

	.section .note.GNU-stack, "", @progbits
