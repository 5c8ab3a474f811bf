/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptrace, both sides of it. The tracer's: the system call, most of which pm carries to the
 * thread that is traced. That one's: it waits at pm while it is stopped, and does to itself what
 * it is asked for, so that nobody else needs a way to its registers or memory (proto/pm.h, PM_TRACE).
 */
#include "personality/linux/pers.h"

enum { PEEKTEXT = 1, PEEKDATA, PEEKUSER, POKETEXT, POKEDATA, POKEUSER, GETREGS = 12, SETREGS, GETFPREGS, SETFPREGS,
       ATTACH = 16, SETOPTIONS = 0x4200, GETEVENTMSG, GETSIGINFO, SETSIGINFO, GETREGSET, SETREGSET, SEIZE,
       GETSIGMASK = 0x420a, SETSIGMASK, GET_SYSCALL_INFO = 0x420e };
enum { NOTE_GENERAL = 1, NOTE_FPU = 2, NOTE_XSTATE = 0x202 }; /* register sets: NT_* */
enum { XCR0_AT = 464, XSTATE_BV_AT = 512, LEGACY_BYTES = 416 };

#define RFLAGS_TF 0x100u
#define RFLAGS_SETTABLE 0x50dd5u /* CF PF AF ZF SF TF DF OF RF AC */

#define USER_BYTES     928u /* struct user: registers first */
#define DEBUG_REGS_AT  848u /* u_debugreg[8] */

struct syscall_info { /* struct ptrace_syscall_info */
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t rip, rsp;
	union {
		struct { uint64_t number, args[6]; } begin;
		struct { int64_t result; uint8_t is_error; } end;
	};
};
#define AUDIT_ARCH_X86_64 0xc000003eu

_Static_assert(sizeof(struct user_regs) == 216, "user_regs_struct");
_Static_assert(FPSTATE_BYTES <= PM_TRACE_BYTES, "the largest thing that is carried");

/* ------------------------------------------------------------- being traced */

struct x_upcall *frame_of(const struct pers_thread *t)
{
	return (struct x_upcall *)((PERS_STACK_TOP(t->slot) - sizeof(struct x_upcall)) & ~15ull);
}

void user_regs_get(const struct pers_thread *t, struct user_regs *u)
{
	const struct x_regs *r = &frame_of(t)->regs;

	*u = (struct user_regs){
		.r15 = r->r15, .r14 = r->r14, .r13 = r->r13, .r12 = r->r12, .rbp = r->rbp, .rbx = r->rbx,
		.r11 = r->r11, .r10 = r->r10, .r9 = r->r9, .r8 = r->r8, .rax = r->rax, .rcx = r->rcx,
		.rdx = r->rdx, .rsi = r->rsi, .rdi = r->rdi, .orig_rax = t->call_number, .rip = r->rip,
		.cs = 0x33, .rflags = r->rflags, .rsp = r->rsp, .ss = 0x2b, .fs_base = r->fs_base,
		.gs_base = r->gs_base,
	};
}

static int64_t regs_set(struct pers_thread *t, const struct user_regs *u)
{
	struct x_regs *r = &frame_of(t)->regs;

	if (u->fs_base >= X_USER_MAX || u->gs_base >= X_USER_MAX || u->rip >= X_USER_MAX)
		return -X_EIO;
	r->r15 = u->r15; r->r14 = u->r14; r->r13 = u->r13; r->r12 = u->r12;
	r->rbp = u->rbp; r->rbx = u->rbx; r->r11 = u->r11; r->r10 = u->r10;
	r->r9 = u->r9; r->r8 = u->r8; r->rax = u->rax; r->rcx = u->rcx;
	r->rdx = u->rdx; r->rsi = u->rsi; r->rdi = u->rdi; r->rip = u->rip;
	r->rsp = u->rsp; r->gs_base = u->gs_base;
	r->rflags = (r->rflags & ~(uint64_t)RFLAGS_SETTABLE) | (u->rflags & RFLAGS_SETTABLE);
	if (r->fs_base != u->fs_base)
		x_thread_set_fs(u->fs_base);
	r->fs_base = u->fs_base;
	t->call_number = u->orig_rax;
	return 0;
}

static int64_t peek(uint64_t addr, uint64_t *value)
{
	return copy_in(value, addr, sizeof(*value)) ? -X_EIO : 0;
}

/* A breakpoint goes where the program may not write: made writable for as long as that takes. */
static int64_t poke(uint64_t addr, uint64_t value)
{
	uint64_t page = addr & ~(uint64_t)(X_PAGE_SIZE - 1), len = (addr & (X_PAGE_SIZE - 1)) > X_PAGE_SIZE - 8 ? 2 * X_PAGE_SIZE : X_PAGE_SIZE;
	struct x_mem_region r;
	int64_t error = copy_out(addr, &value, sizeof(value));

	if (!error)
		return 0;
	if (!user_range(page, len) || x_mem_query(X_SELF, addr, &r) < 0 || r.start > addr || r.end < page + len)
		return -X_EIO;
	if (x_mem_protect(X_SELF, page, len, X_PROT_READ | X_PROT_WRITE) < 0)
		return -X_EIO;
	error = copy_out(addr, &value, sizeof(value));
	x_mem_protect(X_SELF, page, len, r.prot);
	return error ? -X_EIO : 0;
}

static int64_t user_word(struct pers_thread *t, uint64_t at, uint64_t *value, bool write)
{
	struct user_regs u;

	if (at % 8 || at >= USER_BYTES)
		return -X_EIO;
	if (at >= sizeof(u)) { /* debug registers: none is ever set */
		if (write)
			return *value && at >= DEBUG_REGS_AT ? -X_EIO : 0;
		*value = 0;
		return 0;
	}
	user_regs_get(t, &u);
	if (!write) {
		memcpy(value, (uint8_t *)&u + at, 8);
		return 0;
	}
	memcpy((uint8_t *)&u + at, value, 8);
	return regs_set(t, &u);
}

/* The personality uses no FPU registers: they are as the program left them. */
static int64_t fpu_get(uint64_t note, uint8_t *buf, uint64_t *bytes)
{
	const uint64_t xcr0 = 7;
	uint8_t image[FPSTATE_BYTES] __attribute__((aligned(64)));

	if (note == NOTE_XSTATE && !has_xsave())
		return -X_ENODEV;
	fpu_save(image);
	memset(image + LEGACY_BYTES, 0, FXSAVE_BYTES - LEGACY_BYTES);
	if (note == NOTE_XSTATE)
		memcpy(image + XCR0_AT, &xcr0, sizeof(xcr0));
	*bytes = note == NOTE_XSTATE ? XSAVE_BYTES : FXSAVE_BYTES;
	memcpy(buf, image, *bytes);
	return 0;
}

static int64_t fpu_set(uint64_t note, const uint8_t *buf, uint64_t bytes)
{
	uint8_t image[FPSTATE_BYTES] __attribute__((aligned(64)));
	uint64_t features;

	if (bytes != (note == NOTE_XSTATE ? XSAVE_BYTES : FXSAVE_BYTES))
		return -X_EINVAL;
	fpu_save(image);
	memcpy(image, buf, LEGACY_BYTES);
	memcpy(&features, (note == NOTE_XSTATE ? buf : image) + XSTATE_BV_AT, sizeof(features));
	if (note == NOTE_XSTATE) {
		if (features & ~7ull)
			return -X_EINVAL;
		memcpy(image + XSTATE_BV_AT, buf + XSTATE_BV_AT, XSAVE_BYTES - XSTATE_BV_AT);
	} else {
		features |= 3;
		memcpy(image + XSTATE_BV_AT, &features, sizeof(features));
	}
	fpu_restore(image);
	return 0;
}

static int64_t regset(struct pers_thread *t, uint64_t note, bool set, uint8_t *buf, uint64_t *bytes)
{
	struct user_regs u;

	if (note == NOTE_FPU || note == NOTE_XSTATE)
		return set ? fpu_set(note, buf, *bytes) : fpu_get(note, buf, bytes);
	if (note != NOTE_GENERAL)
		return -X_EINVAL;
	user_regs_get(t, &u);
	if (!set) {
		memcpy(buf, &u, sizeof(u));
		*bytes = sizeof(u);
		return 0;
	}
	if (*bytes % 8 || *bytes > sizeof(u))
		return -X_EINVAL;
	memcpy(&u, buf, *bytes);
	return regs_set(t, &u);
}

/* told: the status of the stop, which names its signal and event */
static void siginfo_get(const struct pers_thread *t, uint64_t told, struct linux_siginfo *info)
{
	memset(info, 0, sizeof(*info));
	if (t->stop_info && told >> 16 == 0 && (uint64_t)t->stop_info->signo == (told >> 8 & 0xff)) {
		*info = *t->stop_info;
		return;
	}
	info->signo = SIGTRAP;
	info->code = (int32_t)(told >> 8);
	info->child.pid = (int32_t)t->tid;
	info->child.uid = ids()->uid;
}

static uint64_t syscall_info(const struct pers_thread *t, struct syscall_info *info)
{
	const struct x_regs *r = &frame_of(t)->regs;

	*info = (struct syscall_info){ .arch = AUDIT_ARCH_X86_64, .rip = r->rip, .rsp = r->rsp };
	if (t->call_stop == CALL_BEGINS) {
		info->op = 1;
		info->begin.number = t->call_number;
		memcpy(info->begin.args, (const uint64_t[]){ r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 },
		       sizeof(info->begin.args));
		return offsetof(struct syscall_info, begin) + sizeof(info->begin);
	}
	if (t->call_stop == CALL_ENDS) {
		info->op = 2;
		info->end.result = (int64_t)r->rax;
		info->end.is_error = (int64_t)r->rax < 0 && (int64_t)r->rax >= -4095;
		return offsetof(struct syscall_info, end.is_error) + 1;
	}
	return offsetof(struct syscall_info, begin);
}

/* One request; what comes back besides *value goes into buf, *bytes of it. */
static int64_t serve(struct pers_thread *t, const struct x_msg *msg, uint8_t *buf, uint64_t *bytes, uint64_t *value)
{
	uint64_t addr = msg->a[2], data = msg->a[3], sent = msg->a[4];
	struct syscall_info info;
	int64_t error;

	*bytes = *value = 0;
	if (sent > PM_TRACE_BYTES)
		return -X_EINVAL;
	switch (msg->a[1]) {
	case PEEKTEXT: case PEEKDATA:
		return peek(addr, value);
	case POKETEXT: case POKEDATA:
		return poke(addr, data);
	case PEEKUSER:
		return user_word(t, addr, value, false);
	case POKEUSER:
		return user_word(t, addr, &data, true);
	case GETREGSET:
		error = regset(t, addr, false, buf, bytes);
		*value = *bytes;
		return error;
	case SETREGSET:
		return regset(t, addr, true, buf, &sent);
	case GETSIGINFO:
		siginfo_get(t, msg->a[5], (struct linux_siginfo *)buf);
		*bytes = sizeof(struct linux_siginfo);
		return 0;
	case SETSIGINFO:
		if (!t->stop_info || sent != sizeof(*t->stop_info))
			return -X_EINVAL;
		memcpy(t->stop_info, buf, sizeof(*t->stop_info));
		return 0;
	case GETSIGMASK:
		*value = t->mask_saved ? t->saved_mask : frame_of(t)->mask;
		return 0;
	case SETSIGMASK:
		data &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
		if (t->mask_saved)
			t->saved_mask = data;
		else
			frame_of(t)->mask = data;
		return 0;
	case GET_SYSCALL_INFO:
		*value = *bytes = syscall_info(t, &info);
		memcpy(buf, &info, *bytes);
		return 0;
	}
	return -X_EIO;
}

static void end_of_exec(struct pers_thread *t)
{
	t->call_number = 59; /* execve: its end is seen, too */
	frame_of(t)->regs.rax = 0;
	trace_syscall(t, true);
	t->call_number = NO_CALL;
}

/* Stops, if pm finds a tracer who wants it. Returns the signal to act on. */
static uint32_t stop(struct pers_thread *t, enum pm_trace_stop why, uint64_t value, uint64_t event)
{
	uint8_t buf[PM_TRACE_BYTES] __attribute__((aligned(16)));
	uint64_t bytes, result;
	struct x_call c;

	call_init(&c, PM_TRACE);
	c.msg.a[0] = PM_TRACE_STOP;
	c.msg.a[2] = why;
	c.msg.a[3] = value;
	c.msg.a[4] = event;
	for (;;) {
		int64_t error;

		c.msg.a[1] = t->tid;
		call_window(&c, buf, sizeof(buf), X_WIN_READ | X_WIN_WRITE);
		error = call_plain(X_SLOT_PM, &c);
		if (error < 0)
			return 0;
		if (c.msg.a[0] != PM_TRACE_ASK)
			break;
		error = serve(t, &c.msg, buf, &bytes, &result);
		call_init(&c, PM_TRACE);
		c.msg.a[0] = PM_TRACE_REPLY;
		c.msg.a[2] = (uint64_t)error;
		c.msg.a[3] = result;
		c.msg.a[4] = bytes;
	}
	t->trace_mode = c.msg.a[1] == TRACE_DETACH ? 0 : c.msg.a[1];
	process_lock();
	signals_ignore(0);
	process_unlock();
	if (t->trace_mode == TRACE_SINGLESTEP) {
		t->stepping = true;
		frame_of(t)->regs.rflags |= RFLAGS_TF;
	}
	if (c.msg.a[3] && t->trace_mode == TRACE_SYSCALL)
		end_of_exec(t);
	return c.msg.a[2] <= SIGNAL_MAX ? (uint32_t)c.msg.a[2] : 0;
}

uint32_t trace_signal(struct pers_thread *t, struct linux_siginfo *info)
{
	uint32_t sig;

	t->stop_info = info;
	sig = stop(t, PM_TRACE_SIGNAL, (uint32_t)info->signo, 0);
	t->stop_info = NULL;
	if (sig && sig != (uint32_t)info->signo)
		*info = (struct linux_siginfo){ .signo = (int32_t)sig };
	return sig;
}

void trace_group(struct pers_thread *t, uint32_t sig)
{
	stop(t, PM_TRACE_GROUP, sig, 0);
}

void trace_event(struct pers_thread *t, enum pm_trace_event event, uint64_t message)
{
	stop(t, PM_TRACE_EVENT, message, event);
}

void trace_syscall(struct pers_thread *t, bool ends)
{
	uint32_t sig;

	t->call_stop = ends ? CALL_ENDS : CALL_BEGINS;
	sig = stop(t, PM_TRACE_CALL, SIGTRAP, 0);
	t->call_stop = NO_CALL_STOP;
	if (sig)
		post_signal_self(t, sig);
}

bool trace_stepped(struct pers_thread *t)
{
	bool was = t->stepping;

	if (was)
		frame_of(t)->regs.rflags &= ~(uint64_t)RFLAGS_TF;
	t->stepping = false;
	return was;
}

/* ------------------------------------------------------------------ tracing */

static int64_t ask(struct sys *s, uint64_t request, uint64_t addr, uint64_t data, uint8_t *buf, uint64_t sent, uint64_t *value)
{
	struct x_call c;
	int64_t error;

	call_init(&c, PM_TRACE);
	c.msg.a[0] = PM_TRACE_REQUEST;
	c.msg.a[1] = (uint32_t)s->a[1];
	c.msg.a[2] = request;
	c.msg.a[3] = addr;
	c.msg.a[4] = data;
	c.msg.a[5] = sent;
	call_window(&c, buf, PM_TRACE_BYTES, X_WIN_READ | X_WIN_WRITE);
	error = call_plain(X_SLOT_PM, &c);
	*value = c.msg.a[0];
	return error;
}

/* A whole set of registers from or to `user`; *len is cut to what there is. */
static int64_t ask_regset(struct sys *s, uint64_t note, bool set, uint64_t user, uint64_t *len)
{
	uint8_t buf[PM_TRACE_BYTES];
	uint64_t got;
	int64_t error;

	if (*len > sizeof(buf))
		*len = sizeof(buf);
	if (set && copy_in(buf, user, *len))
		return -X_EFAULT;
	error = ask(s, set ? SETREGSET : GETREGSET, note, 0, buf, set ? *len : 0, &got);
	if (error < 0 || set)
		return error;
	*len = *len < got ? *len : got;
	return copy_out(user, buf, *len);
}

static int64_t ask_regset_vec(struct sys *s, bool set)
{
	struct linux_iovec iov;
	int64_t error;

	if (copy_in(&iov, s->a[3], sizeof(iov)))
		return -X_EFAULT;
	error = ask_regset(s, (uint32_t)s->a[2], set, iov.base, &iov.len);
	return error < 0 ? error : copy_out(s->a[3], &iov, sizeof(iov));
}

static int64_t ask_siginfo(struct sys *s, bool set)
{
	uint8_t buf[PM_TRACE_BYTES];
	const uint64_t bytes = sizeof(struct linux_siginfo);
	uint64_t unused;
	int64_t error;

	if (set && copy_in(buf, s->a[3], bytes))
		return -X_EFAULT;
	error = ask(s, s->a[0], 0, 0, buf, set ? bytes : 0, &unused);
	return error < 0 || set ? error : copy_out(s->a[3], buf, bytes);
}

static int64_t ask_word(struct sys *s)
{
	uint8_t buf[PM_TRACE_BYTES];
	uint64_t value, set;
	int64_t error;

	switch (s->a[0]) {
	case POKETEXT: case POKEDATA: case POKEUSER:
		return ask(s, s->a[0], s->a[2], s->a[3], buf, 0, &value);
	case SETSIGMASK:
		if (s->a[2] != 8 || copy_in(&set, s->a[3], 8))
			return s->a[2] != 8 ? -X_EINVAL : -X_EFAULT;
		return ask(s, SETSIGMASK, 0, set, buf, 0, &value);
	case GETSIGMASK:
		if (s->a[2] != 8)
			return -X_EINVAL;
	}
	error = ask(s, s->a[0], s->a[2], 0, buf, 0, &value);
	return error < 0 ? error : copy_out(s->a[3], &value, 8);
}

static int64_t ask_syscall(struct sys *s)
{
	uint8_t buf[PM_TRACE_BYTES];
	uint64_t got;
	int64_t error = ask(s, GET_SYSCALL_INFO, 0, 0, buf, 0, &got);

	if (!error)
		error = copy_out(s->a[3], buf, s->a[2] < got ? s->a[2] : got);
	return error < 0 ? error : (int64_t)got;
}

static int64_t tell_pm(struct sys *s, enum pm_trace_op op, uint64_t tid, uint64_t a, uint64_t b, uint64_t *value)
{
	struct x_call c;
	int64_t error;

	(void)s;
	error = call_pm(&c, PM_TRACE, op, tid, a, b);
	*value = c.msg.a[0];
	return error;
}

#define OPTIONS_KNOWN (TRACE_OPT_SYSGOOD | TRACE_OPT_EVENTS | 0x80u /* seccomp: never happens */ | TRACE_OPT_EXITKILL)

int64_t linux_ptrace(struct sys *s)
{
	uint64_t pid = (uint32_t)s->a[1], value, len = sizeof(struct user_regs);
	int64_t error;

	switch (s->a[0]) {
	case 0: /* PTRACE_TRACEME */
		error = tell_pm(s, PM_TRACE_ME, s->thread->tid, 0, 0, &value);
		if (error >= 0) {
			process_lock();
			signals_ignore(0);
			process_unlock();
		}
		return error;
	case ATTACH:
		return tell_pm(s, PM_TRACE_ATTACH, pid, 0, 0, &value);
	case SEIZE:
		if (s->a[2] || (s->a[3] & ~(uint64_t)OPTIONS_KNOWN))
			return -X_EIO;
		return tell_pm(s, PM_TRACE_ATTACH, pid, 1, s->a[3], &value);
	case SETOPTIONS:
		if (s->a[3] & ~(uint64_t)OPTIONS_KNOWN)
			return -X_EINVAL;
		return tell_pm(s, PM_TRACE_OPTIONS, pid, s->a[3], 0, &value);
	case GETEVENTMSG:
		error = tell_pm(s, PM_TRACE_MESSAGE, pid, 0, 0, &value);
		return error < 0 ? error : copy_out(s->a[3], &value, 8);
	case TRACE_CONT: case TRACE_KILL: case TRACE_SINGLESTEP: case TRACE_DETACH: case TRACE_SYSCALL:
		return tell_pm(s, PM_TRACE_RESUME, pid, s->a[0], s->a[3], &value);
	case TRACE_INTERRUPT: case TRACE_LISTEN:
		return tell_pm(s, PM_TRACE_RESUME, pid, s->a[0], 0, &value);
	case PEEKTEXT: case PEEKDATA: case PEEKUSER: case POKETEXT: case POKEDATA: case POKEUSER:
	case GETSIGMASK: case SETSIGMASK:
		return ask_word(s);
	case GETREGS: case SETREGS:
		return ask_regset(s, NOTE_GENERAL, s->a[0] == SETREGS, s->a[3], &len);
	case GETFPREGS: case SETFPREGS:
		len = FXSAVE_BYTES;
		return ask_regset(s, NOTE_FPU, s->a[0] == SETFPREGS, s->a[3], &len);
	case GETREGSET: case SETREGSET:
		return ask_regset_vec(s, s->a[0] == SETREGSET);
	case GETSIGINFO: case SETSIGINFO:
		return ask_siginfo(s, s->a[0] == SETSIGINFO);
	case GET_SYSCALL_INFO:
		return ask_syscall(s);
	}
	error = tell_pm(s, PM_TRACE_MESSAGE, pid, 0, 0, &value); /* nothing known: is it even traced? */
	return error < 0 ? error : -X_EIO;
}
