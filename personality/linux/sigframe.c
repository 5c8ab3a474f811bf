/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frame a signal handler finds on its stack, and the way back from it:
 * pure functions over structures; signal.c moves them to and from the program.
 *
 *   rsp at the interruption
 *     128 bytes red zone (not on an alternate stack just entered)
 *   fpstate   64-byte aligned: the FXSAVE or XSAVE image
 *   frame     struct linux_rt_sigframe; its address is 8 below a multiple of
 *             16, as after a call, and is the handler's rsp
 */
#include "personality/linux/pers.h"

#define RED_ZONE_BYTES 128u
#define RFLAGS_TF 0x100u
#define RFLAGS_DF 0x400u
#define RFLAGS_RF 0x10000u
/* What rt_sigreturn may change of rflags: arithmetic flags, TF, DF, NT, AC. */
#define RFLAGS_RESTORED 0x54dd5u
#define USER_CS 0x33
#define USER_SS 0x2b

bool altstack_active(const struct linux_stack *alt, uint64_t rsp)
{
	if (((uint32_t)alt->flags & SS_AUTODISARM) || alt->size == 0)
		return false;
	return rsp > alt->sp && rsp - alt->sp <= alt->size;
}

int sigframe_place(const struct linux_stack *alt, const struct linux_sigaction *action,
		   uint64_t rsp, struct sigframe_place *place)
{
	bool active = altstack_active(alt, rsp);
	uint64_t sp = rsp - RED_ZONE_BYTES;

	if ((action->flags & SA_ONSTACK) && !active && alt->size) {
		sp = alt->sp + alt->size;
		active = true;
	} else if (!(action->flags & SA_ONSTACK)) {
		active = false;
	}
	place->fpstate = (sp - FPSTATE_BYTES) & ~63ull;
	place->frame = ((place->fpstate - sizeof(struct linux_rt_sigframe)) & ~15ull) - 8;
	if (place->frame > sp || (active && (place->frame <= alt->sp || sp - alt->sp > alt->size)))
		return -X_EFAULT; /* overrun */
	return 0;
}

void sigframe_fill(struct linux_rt_sigframe *f, const struct x_upcall *frame, uint64_t sigmask,
		   const struct linux_stack *alt, const struct linux_sigaction *action,
		   const struct linux_siginfo *info, uint64_t fpstate)
{
	const struct x_regs *r = &frame->regs;
	struct linux_sigcontext *c = &f->uc.mcontext;

	memset(f, 0, sizeof(*f));
	f->return_address = action->restorer;
	f->uc.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	f->uc.stack = *alt;
	if (alt->size == 0)
		f->uc.stack.flags = SS_DISABLE;
	else if (altstack_active(alt, r->rsp))
		f->uc.stack.flags |= SS_ONSTACK;
	f->uc.sigmask = sigmask;
	f->info = *info;
	c->r8 = r->r8; c->r9 = r->r9; c->r10 = r->r10; c->r11 = r->r11;
	c->r12 = r->r12; c->r13 = r->r13; c->r14 = r->r14; c->r15 = r->r15;
	c->rdi = r->rdi; c->rsi = r->rsi; c->rbp = r->rbp; c->rbx = r->rbx;
	c->rdx = r->rdx; c->rax = r->rax; c->rcx = r->rcx; c->rsp = r->rsp;
	c->rip = r->rip;
	c->rflags = r->rflags;
	c->cs = USER_CS;
	c->ss = USER_SS;
	if (frame->reason == X_UP_FAULT) {
		c->error = frame->error_code;
		c->trap = frame->vector;
		c->cr2 = frame->address;
	}
	c->old_mask = sigmask;
	c->fpstate = fpstate;
}

void sigframe_enter(struct x_regs *regs, uint32_t sig, const struct linux_sigaction *action,
		    uint64_t frame)
{
	regs->rdi = sig;
	regs->rsi = frame + offsetof(struct linux_rt_sigframe, info);
	regs->rdx = frame + offsetof(struct linux_rt_sigframe, uc);
	regs->rax = 0;
	regs->rsp = frame;
	regs->rip = action->handler;
	regs->rflags &= ~(uint64_t)(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
}

void sigframe_restore(struct x_regs *r, const struct linux_ucontext *uc)
{
	const struct linux_sigcontext *c = &uc->mcontext;

	r->r8 = c->r8; r->r9 = c->r9; r->r10 = c->r10; r->r11 = c->r11;
	r->r12 = c->r12; r->r13 = c->r13; r->r14 = c->r14; r->r15 = c->r15;
	r->rdi = c->rdi; r->rsi = c->rsi; r->rbp = c->rbp; r->rbx = c->rbx;
	r->rdx = c->rdx; r->rax = c->rax; r->rcx = c->rcx; r->rsp = c->rsp;
	r->rip = c->rip;
	r->rflags = (r->rflags & ~(uint64_t)RFLAGS_RESTORED) | (c->rflags & RFLAGS_RESTORED);
}
