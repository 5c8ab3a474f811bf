/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start of every native process: the kernel enters at _start with a stack and
 * one word that tells a cold start from a warm one; all else that a service is
 * given stands on the bootstrap page.
 */
#include "lib/ipc/internal.h"

void server_main(void);
__attribute__((noreturn, used)) void server_start(uint64_t arg);

/* The zeroed frame pointer ends backtraces. */
__asm__(".section .text._start, \"ax\", @progbits\n"
	".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	andq $-16, %rsp\n"
	"	call server_start\n"
	"	ud2\n"
	".size _start, . - _start\n"
	".previous\n");

void server_start(uint64_t arg)
{
	if (arg & X_WARM_START)
		warm_start(arg);
	boot_init((const struct x_boot_page *)X_BOOT_PAGE);
	control_bind();
	server_main();
	server_die("server_main returned");
}
