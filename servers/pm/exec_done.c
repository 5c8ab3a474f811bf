/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The end of an exec: when the program's segments are mapped, the new address
 * space gets its stack, the personality and the ids page; then the kernel
 * exchanges the program in one step. Before x_proc_exec nothing of the old
 * program has changed; after it nothing can fail.
 */
#include "servers/pm/exec.h"

#define STACK_TOP   (X_USER_MAX - X_PAGE_SIZE)
#define STACK_EXTRA (128ull << 10) /* mapped at once, below what is in use */
#define BRK_SPAN    (64ull << 30)

static struct pers_start start; /* too large for the stack; used within one function */

struct new_ids { uint32_t euid, egid; bool secure; };

static struct new_ids ids_after(const struct exec *e)
{
	const struct pm_ids *ids = &e->proc->ids;
	const struct file_attr *attr = &e->image[0].attr;
	struct new_ids n = { ids->euid, ids->egid, false };

	if (attr->mode & F_S_ISUID)
		n.euid = attr->uid;
	if ((attr->mode & (F_S_ISGID | 0010)) == (F_S_ISGID | 0010))
		n.egid = attr->gid;
	n.secure = n.euid != ids->uid || n.egid != ids->gid;
	return n;
}

static uint64_t cpu_features(void)
{
	uint32_t a = 1, b, c = 0, d;

	__asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d;
}

static uint32_t fill_auxv(const struct exec *e, struct auxv_pair *auxv)
{
	const struct exec_image *program = &e->image[0], *interp = &e->image[1];
	const struct pm_ids *ids = &e->proc->ids;
	struct new_ids n = ids_after(e);
	const struct auxv_pair list[] = {
		{ AT_SYSINFO_EHDR, pers_vdso() },
		{ AT_HWCAP, cpu_features() },
		{ AT_PAGESZ, X_PAGE_SIZE },
		{ AT_CLKTCK, 100 },
		{ AT_PHDR, program->elf.phdr_vaddr ? program->elf.phdr_vaddr + program->bias : 0 },
		{ AT_PHENT, ELF_PHDR_BYTES },
		{ AT_PHNUM, program->elf.phdr_count },
		{ AT_BASE, program->elf.has_interp ? interp->bias + interp->elf.low : 0 },
		{ AT_FLAGS, 0 },
		{ AT_ENTRY, program->elf.entry + program->bias },
		{ AT_UID, ids->uid }, { AT_EUID, n.euid }, { AT_GID, ids->gid }, { AT_EGID, n.egid },
		{ AT_SECURE, n.secure },
		{ AT_RANDOM, 0 },
		{ AT_HWCAP2, 0 },
		{ AT_EXECFN, 0 },
		{ AT_PLATFORM, 0 },
		{ AT_MINSIGSTKSZ, 2048 },
		{ AT_NULL, 0 },
	};

	_Static_assert(sizeof(list) / sizeof(list[0]) <= PERS_AUXV_MAX, "auxv fits pers_start");
	memcpy(auxv, list, sizeof(list));
	return sizeof(list) / sizeof(list[0]);
}

static int put(void *ctx, uint64_t addr, const void *data, size_t bytes)
{
	const struct exec *e = ctx;

	return (int)x_space_copy(e->space, addr, (void *)(uintptr_t)data, bytes, 1);
}

static int64_t map_stack(const struct exec *e, const struct stack_layout *layout, uint64_t high)
{
	struct x_mem_map m = {
		.space = e->space, .memory = X_NO_HANDLE, .addr = layout->low - STACK_EXTRA,
		.prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_FIXED | X_MAP_GROWSDOWN,
	};

	m.len = high - m.addr;
	return x_mem_map(&m);
}

static int make_stack(struct exec *e, struct stack_layout *layout, struct auxv_pair *auxv, uint32_t *auxc)
{
	struct stack_input in = {
		.limit_bytes = STACK_BYTES - (1 << 20),
		.args = { { e->prefix, e->prefix_bytes, e->prefix_count },
			  { e->strings + e->arg_skip_bytes, e->arg_bytes - e->arg_skip_bytes,
			    e->argc - e->arg_skip } },
		.env = { e->strings + e->arg_bytes, e->env_bytes, e->envc },
		.execfn = e->path,
		.auxv = auxv,
	};
	uint64_t r, page_top;
	int64_t err;

	random_bytes(&r, sizeof(r));
	random_bytes(in.random, sizeof(in.random));
	page_top = STACK_TOP - (r & 0xfff) * X_PAGE_SIZE;
	in.high = page_top - (r >> 12 & 0x3f) * 64; /* ... and within its page */
	in.auxv_count = *auxc = fill_auxv(e, auxv);
	err = stack_plan(&in, layout);
	if (err >= 0)
		err = map_stack(e, layout, page_top);
	if (err >= 0)
		err = stack_write(&in, layout, put, e);
	start.stack_high = page_top;
	start.stack_low = page_top - STACK_BYTES;
	return err < 0 ? (int)err : 0;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

static void describe_images(const struct exec *e)
{
	const struct exec_image *program = &e->image[0], *interp = &e->image[1];

	start.program_entry = program->elf.entry + program->bias;
	start.thread_entry = start.program_entry;
	start.program_start = program->elf.low + program->bias;
	start.program_end = program->elf.high + program->bias;
	if (program->elf.has_interp) {
		start.thread_entry = interp->elf.entry + interp->bias;
		start.interp_start = interp->elf.low + interp->bias;
		start.interp_end = interp->elf.high + interp->bias;
	}
	start.brk_start = start.program_end;
	start.brk_limit = start.brk_start + BRK_SPAN;
	if (start.interp_start > start.brk_start && start.brk_limit > start.interp_start)
		start.brk_limit = start.interp_start;
	if (start.brk_limit > PROGRAM_MAX)
		start.brk_limit = PROGRAM_MAX;
}

static int write_start(struct exec *e, const struct stack_layout *layout, uint32_t auxc)
{
	start.version = PERS_START_VERSION;
	start.flags = ids_after(e).secure ? PERS_START_SECURE : 0;
	describe_images(e);
	start.initial_rsp = layout->rsp;
	start.arg_start = layout->arg_start;
	start.arg_end = layout->arg_end;
	start.env_start = layout->env_start;
	start.env_end = layout->env_end;
	start.mmap_hint = X_PERS_BASE;
	start.mask = e->mask;
	start.ignore = e->ignore;
	start.argc = (uint32_t)layout->argc;
	start.envc = (uint32_t)layout->envc;
	start.auxc = auxc;
	start.pid = e->proc->ids.pid;
	strlcpy(start.comm, last_component(e->path), sizeof(start.comm));
	exe_path(e, start.exe, sizeof(start.exe));
	return (int)x_space_copy(e->space, PERS_START, &start, sizeof(start), 1);
}

static bool ids_change(const struct proc *p, struct new_ids n)
{
	return p->ids.fsuid != n.euid || p->ids.fsgid != n.egid;
}

/* At the commit. Should it fail, for lack of memory, that is the process's death. */
static void replace(struct exec *e, const struct stack_layout *layout)
{
	struct x_proc_exec x = {
		.process = e->proc->process,
		.space = e->space,
		.thread = {
			.process = e->proc->process, .entry = start.thread_entry, .stack = layout->rsp,
			.upcall_stack = PERS_STACK_TOP(0), .mask = e->mask,
		},
		.personality = *pers_entry(),
		.keep_pending = UINT64_MAX,
		.ignore = e->ignore,
	};

	memcpy(x.name, start.comm, sizeof(x.name));
	if (ids_change(e->proc, ids_after(e))) /* until vfs knows the new ids */
		out_do(X_SYS_proc_suspend, e->proc->process, 1, 0, 0, 0);
	out_do(X_SYS_proc_exec, (uintptr_t)out_keep(&x, sizeof(x)), 0, 0, 0, 0);
	out_close(e->space); /* if it was not consumed */
}

/* ---- after the switch ---- */

static void copy_cmdline(struct proc *p, const struct exec *e)
{
	uint32_t first = e->prefix_bytes, rest = e->arg_bytes - e->arg_skip_bytes;

	if (first > CMDLINE_BYTES)
		first = CMDLINE_BYTES;
	if (rest > CMDLINE_BYTES - first)
		rest = CMDLINE_BYTES - first;
	memcpy(p->cmdline, e->prefix, first);
	memcpy(p->cmdline + first, e->strings + e->arg_skip_bytes, rest);
	p->cmdline_bytes = first + rest;
}

static void remember(struct proc *p, const struct exec *e)
{
	p->execed = true;
	p->children = e->ignore & signal_bit(SIGNAL_CHLD) ? PM_CHILDREN_REAP : 0;
	p->code_start = start.program_start;
	p->code_end = start.program_end;
	p->stack_start = start.initial_rsp;
	p->brk_start = start.brk_start;
	p->arg_start = start.arg_start;
	p->arg_end = start.arg_end;
	p->env_start = start.env_start;
	p->env_end = start.env_end;
	memcpy(p->comm, start.comm, sizeof(p->comm));
	/* A path too long to be kept is not told at all, rather than a wrong one. */
	if (strlcpy(p->exe, start.exe, sizeof(p->exe)) >= sizeof(p->exe))
		p->exe[0] = '\0';
	copy_cmdline(p, e);
}

static void change_ids(struct proc *p, struct new_ids n)
{
	struct pm_ids *i = &p->ids;
	bool changed = ids_change(p, n);

	i->euid = i->suid = i->fsuid = n.euid;
	i->egid = i->sgid = i->fsgid = n.egid;
	ids_publish(p);
	if (changed)
		creds_send(p, 0, 0);
}

int exec_switch(struct exec *e)
{
	struct proc *p = e->proc;
	struct auxv_pair auxv[PERS_AUXV_MAX];
	struct stack_layout layout;
	struct new_ids n = ids_after(e);
	uint32_t auxc = 0;
	int64_t err;

	memset(&start, 0, sizeof(start));
	err = make_stack(e, &layout, auxv, &auxc);
	if (err >= 0)
		err = pers_map(e->space);
	if (err >= 0)
		err = ids_map(p, e->space);
	for (uint32_t i = 0; i < auxc; i++) {
		start.auxv[i].type = auxv[i].type;
		start.auxv[i].value = auxv[i].value;
	}
	if (err >= 0)
		err = write_start(e, &layout, auxc);
	if (err < 0)
		return (int)err;
	replace(e, &layout);
	e->space = X_NO_HANDLE;
	out_close(p->program);
	p->program = e->image[0].file;
	e->image[0].file = X_NO_HANDLE;
	remember(p, e);
	change_ids(p, n);
	trace_exec(p);
	threads_drop(p);
	sysv_drop(p, false);
	timers_drop(p, false);
	p->stop_call = 0;
	fork_release_parent(p);
	return 0;
}
