/* SPDX-License-Identifier: BSD-2-Clause */
/* The vDSO as it was linked, on pages of its own behind the personality's code. */
	.section .vdso, "ax", @progbits
	.globl pers_vdso
	.hidden pers_vdso
	.balign 4096
pers_vdso:
	.incbin VDSO_FILE
	.balign 4096

	.section .note.GNU-stack, "", @progbits
