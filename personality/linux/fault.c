/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processor exceptions of the program, turned into signals.
 */
#include "personality/linux/pers.h"

#define FAULT_WRITE 2u  /* page-fault error code */
#define FAULT_FETCH 16u

struct vector_signal { uint8_t sig; uint8_t code; bool at_rip; };

/* Vectors that are not here (#GP, #SS, ...) are SIGSEGV from the kernel, no address. */
static const struct vector_signal vector_signals[] = {
	[0] = { SIGFPE, FPE_INTDIV, true },
	[1] = { SIGTRAP, TRAP_TRACE, true },
	[3] = { SIGTRAP, SI_KERNEL, false },
	[6] = { SIGILL, ILL_ILLOPN, true },
	[16] = { SIGFPE, FPE_FLTINV, true },
	[17] = { SIGBUS, BUS_ADRALN, false },
	[19] = { SIGFPE, FPE_FLTINV, true },
};

/* Not mapped, not allowed, or allowed but without a page to be had. */
static void page_fault(const struct x_upcall *frame, struct linux_siginfo *info)
{
	struct x_mem_region r;
	uint32_t need = X_PROT_READ;

	if (frame->error_code & FAULT_WRITE)
		need = X_PROT_WRITE;
	else if (frame->error_code & FAULT_FETCH)
		need = X_PROT_EXEC;
	info->signo = SIGSEGV;
	info->code = SEGV_MAPERR;
	info->address = frame->address;
	if (x_mem_query(X_SELF, frame->address, &r) < 0 || frame->address < r.start ||
	    frame->address >= r.end)
		return;
	info->code = SEGV_ACCERR;
	if ((r.prot & need) && frame->address < X_PERS_BASE) {
		info->signo = SIGBUS;
		info->code = BUS_ADRERR;
	}
}

void fault_upcall(struct pers_thread *t, struct x_upcall *frame)
{
	struct linux_siginfo info;
	const struct vector_signal *v = NULL;

	memset(&info, 0, sizeof(info));
	if (frame->vector < sizeof(vector_signals) / sizeof(vector_signals[0]))
		v = &vector_signals[frame->vector];
	if (frame->vector == 14) {
		page_fault(frame, &info);
	} else if (v && v->sig) {
		info.signo = v->sig;
		info.code = v->code;
		info.address = v->at_rip ? frame->regs.rip : 0;
	} else {
		info.signo = SIGSEGV;
		info.code = SI_KERNEL;
	}
	if (frame->vector == 1)
		trace_stepped(t);
	signal_force(t, frame, &info);
}
