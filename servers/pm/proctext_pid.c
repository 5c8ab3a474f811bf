/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The texts of /proc/N, in Linux's formats (proc(5)).
 */
#include "personality/linux/layout.h"
#include "servers/pm/procfs.h"

#define TICK_NS (NS_PER_SECOND / 100)

typedef unsigned long long ull;

static struct x_proc_info process_info(const struct proc *p)
{
	struct x_proc_info info;

	memset(&info, 0, sizeof(info));
	if (p->state == PROC_ZOMBIE || x_proc_info(p->process, &info) < 0) {
		info.cpu_user_ns = p->user_ns;
		info.cpu_system_ns = p->system_ns;
	}
	return info;
}

static const char *name_of(const struct text *t, const struct proc *p)
{
	return t->tid ? thread_name(p, t->tid) : p->comm;
}

/* Whoever reads is running; the others are if the kernel says so. Which thread reads is not known:
 * of a process of several it is told what the kernel knows while that one waits for us. */
static char state_letter(const struct text *t, const struct proc *p, const struct x_proc_info *info, uint64_t reader)
{
	switch (p->state) {
	case PROC_STOPPED:
		return 'T';
	case PROC_DYING:
	case PROC_ZOMBIE:
		return 'Z';
	}
	if (trace_stopped(p))
		return 't';
	return (p->koid == reader && !t->tid && info->threads <= 1) || info->runnable ? 'R' : 'S';
}

static const char *state_name(char letter)
{
	switch (letter) {
	case 'R':
		return "running";
	case 'T':
		return "stopped";
	case 't':
		return "tracing stop";
	case 'Z':
		return "zombie";
	}
	return "sleeping";
}

/* 52 fields; the numbers in front are proc(5)'s. */
void text_pid_stat(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_proc_info info = process_info(p);
	const struct proc *leader = session_leader(p);
	const struct pm_ids *i = &p->ids;
	bool has_tty = leader && leader->tty;

	/* 1 pid .. 8 tpgid */
	text_add(t, "%u (%.15s) %c %u %u %u %u %d ", t->tid ? t->tid : i->pid, name_of(t, p), state_letter(t, p, &info, reader), i->ppid,
		 i->pgrp, i->sid, has_tty ? leader->tty : 0, has_tty ? (int)leader->tty_pgrp : -1);
	/* 9 flags, 10-13 faults, 14-17 times */
	text_add(t, "0 0 0 0 0 %llu %llu %llu %llu ", (ull)(info.cpu_user_ns / TICK_NS),
		 (ull)(info.cpu_system_ns / TICK_NS), (ull)(p->children_user_ns / TICK_NS),
		 (ull)(p->children_system_ns / TICK_NS));
	/* 18 priority, 19 nice, 20 threads, 21 itrealvalue, 22 starttime */
	text_add(t, "%d %d %u 0 %llu ", 20 + p->nice, p->nice, info.threads ? info.threads : 1,
		 (ull)(p->start_ns / TICK_NS));
	/* 23 vsize, 24 rss, 25 rsslim, 26-28 addresses, 29, 30 esp, eip */
	text_add(t, "%llu %llu %llu %llu %llu %llu 0 0 ", (ull)info.mapped_pages * X_PAGE_SIZE,
		 (ull)info.resident_pages, (ull)UINT64_MAX, (ull)p->code_start, (ull)p->code_end,
		 (ull)p->stack_start);
	/* 31-34 signals, 35 wchan, 36 37 swap, 38 exit_signal, 39 processor,
	 * 40 rt_priority, 41 policy, 42 delayacct, 43 44 guest */
	text_add(t, "0 0 0 0 0 0 0 17 0 0 0 0 0 0 ");
	/* 45 46 data, 47 brk, 48-51 arguments and environment, 52 exit code */
	text_add(t, "%llu %llu %llu %llu %llu %llu %llu %d\n", (ull)p->code_end, (ull)p->brk_start,
		 (ull)p->brk_start, (ull)p->arg_start, (ull)p->arg_end, (ull)p->env_start,
		 (ull)p->env_end, p->state == PROC_ZOMBIE ? p->wait_status : 0);
}

/* As it was at exec; zombies have none. */
void text_pid_cmdline(struct text *t, const struct proc *p, uint64_t reader)
{
	uint32_t n = p->cmdline_bytes < t->size ? p->cmdline_bytes : t->size;

	(void)reader;
	if (p->state == PROC_ZOMBIE)
		return;
	memcpy(t->buf, p->cmdline, n);
	t->length = n;
}

/* As the program has it now, for those who may look into it. */
void text_pid_environ(struct text *t, const struct proc *p, uint64_t reader)
{
	const struct proc *who = proc_by_koid(reader);
	uint64_t bytes = p->env_end - p->env_start;

	if (!proc_alive(p) || !who || (who->ids.euid && who->ids.euid != p->ids.euid))
		return;
	bytes = bytes < t->size ? bytes : t->size;
	if (bytes && x_space_copy(p->process, p->env_start, t->buf, bytes, 0) >= 0)
		t->length = (uint32_t)bytes;
}

/* What the program was started with: the same as on its stack. */
void text_pid_auxv(struct text *t, const struct proc *p, uint64_t reader)
{
	const struct proc *who = proc_by_koid(reader);
	const uint64_t bytes = sizeof(((struct pers_start *)0)->auxv);

	if (!proc_alive(p) || !who || !may_look_into(who, p) || t->size < bytes)
		return;
	if (x_space_copy(p->process, PERS_START + offsetof(struct pers_start, auxv), t->buf, bytes, 0) >= 0)
		t->length = (uint32_t)bytes;
}

void text_pid_comm(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)reader;
	text_add(t, "%.15s\n", name_of(t, p));
}

void text_pid_statm(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_proc_info info = process_info(p);
	uint64_t code = (p->code_end - p->code_start) / X_PAGE_SIZE;

	(void)reader;
	text_add(t, "%llu %llu 0 %llu 0 %llu 0\n", (ull)info.mapped_pages, (ull)info.resident_pages,
		 (ull)code, (ull)(info.mapped_pages > code ? info.mapped_pages - code : 0));
}

/* The next region from *addr on: false at the end. */
static bool next_region(const struct proc *p, uint64_t *addr, struct x_mem_region *r)
{
	if (p->state == PROC_ZOMBIE || *addr >= X_USER_MAX || x_mem_query(p->process, *addr, r) < 0 || r->end <= *addr)
		return false;
	*addr = r->end;
	return true;
}

static void add_memory(struct text *t, const struct proc *p, const struct x_proc_info *info)
{
	ull mapped = (ull)info->mapped_pages * 4, resident = (ull)info->resident_pages * 4;
	ull locked = 0, stack = 0, anonymous = 0, files = 0;
	uint64_t addr = X_USER_MIN;
	struct x_mem_region r;

	while (next_region(p, &addr, &r)) {
		ull kib = (ull)(r.end - r.start) / 1024;

		locked += r.flags & X_MAP_LOCKED ? kib : 0;
		stack += p->stack_start >= r.start && p->stack_start < r.end ? kib : 0;
		anonymous += r.memory_koid ? 0 : (ull)r.resident_pages * 4;
		files += r.memory_koid ? (ull)r.resident_pages * 4 : 0;
	}
	text_add(t, "VmPeak:\t%8llu kB\nVmSize:\t%8llu kB\nVmLck:\t%8llu kB\nVmPin:\t%8u kB\n", mapped, mapped, locked, 0u);
	text_add(t, "VmHWM:\t%8llu kB\nVmRSS:\t%8llu kB\nRssAnon:\t%8llu kB\nRssFile:\t%8llu kB\n", (ull)info->peak_pages * 4, resident,
		 anonymous, files);
	text_add(t, "VmData:\t%8llu kB\nVmStk:\t%8llu kB\nVmExe:\t%8llu kB\nVmSwap:\t%8u kB\n", mapped, stack,
		 (ull)(p->code_end - p->code_start) / 1024, 0u);
}

void text_pid_status(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_proc_info info = process_info(p);
	const struct pm_ids *i = &p->ids;
	char letter = state_letter(t, p, &info, reader);
	const char *caps = i->euid == 0 ? "000001ffffffffff" : "0000000000000000";

	text_add(t, "Name:\t%.15s\nUmask:\t0022\nState:\t%c (%s)\n", name_of(t, p), letter, state_name(letter));
	text_add(t, "Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t%u\n", i->pid, t->tid ? t->tid : i->pid, i->ppid,
		 tracer_pid(p));
	text_add(t, "Uid:\t%u\t%u\t%u\t%u\n", i->uid, i->euid, i->suid, i->fsuid);
	text_add(t, "Gid:\t%u\t%u\t%u\t%u\n", i->gid, i->egid, i->sgid, i->fsgid);
	text_add(t, "FDSize:\t%u\nGroups:\t", X_SLOT_FD_END);
	for (uint32_t n = 0; n < i->ngroups && n < GROUPS_MAX; n++)
		text_add(t, "%u ", i->groups[n]);
	text_add(t, "\n");
	if (p->state != PROC_ZOMBIE)
		add_memory(t, p, &info);
	text_add(t, "Threads:\t%u\n", info.threads ? info.threads : 1);
	text_add(t, "SigQ:\t%llu/%llu\n", (ull)signals_queued(p), (ull)p->rlimit[RLIMIT_SIGPENDING].soft);
	text_add(t, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		 (ull)info.thread_pending, (ull)info.pending, (ull)info.mask, (ull)info.ignored, (ull)info.caught);
	text_add(t, "CapInh:\t%016x\nCapPrm:\t%s\nCapEff:\t%s\nCapBnd:\t%s\nCapAmb:\t%016x\n", 0u, caps,
		 caps, "000001ffffffffff", 0u);
	text_add(t, "NoNewPrivs:\t0\nSeccomp:\t0\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n");
}

static void add_limit_value(struct text *t, uint64_t value)
{
	if (value == UINT64_MAX)
		text_add(t, "%-21s", "unlimited");
	else
		text_add(t, "%-21llu", (ull)value);
}

void text_pid_limits(struct text *t, const struct proc *p, uint64_t reader)
{
	static const struct { const char *name, *unit; } rows[RLIMITS] = {
		{ "Max cpu time", "seconds" }, { "Max file size", "bytes" }, { "Max data size", "bytes" },
		{ "Max stack size", "bytes" }, { "Max core file size", "bytes" },
		{ "Max resident set", "bytes" }, { "Max processes", "processes" },
		{ "Max open files", "files" }, { "Max locked memory", "bytes" },
		{ "Max address space", "bytes" }, { "Max file locks", "locks" },
		{ "Max pending signals", "signals" }, { "Max msgqueue size", "bytes" },
		{ "Max nice priority", "" }, { "Max realtime priority", "" },
		{ "Max realtime timeout", "us" },
	};

	(void)reader;
	text_add(t, "%-26s%-21s%-21s%-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (uint32_t i = 0; i < RLIMITS; i++) {
		text_add(t, "%-26s", rows[i].name);
		add_limit_value(t, p->rlimit[i].soft);
		add_limit_value(t, p->rlimit[i].hard);
		text_add(t, "%-10s\n", rows[i].unit);
	}
}

/* ---- maps ---- */

void mapped_find(struct mapped *m, const struct proc *p)
{
	struct x_mem_region r;
	uint64_t addr = X_USER_MIN;
	uint32_t i;

	m->count = 0;
	while (m->count < FS_MAPPED_MAX && next_region(p, &addr, &r)) {
		if (!r.memory_koid || (r.start >= X_PERS_BASE && r.start < X_PERS_END))
			continue;
		for (i = 0; i < m->count && m->koids[i] != r.memory_koid; i++)
			;
		m->koids[i] = r.memory_koid;
		m->count += i == m->count;
	}
}

static const struct fs_mapped *region_file(const struct text *t, const struct x_mem_region *r)
{
	static const struct fs_mapped none;

	for (uint32_t i = 0; t->mapped && r->memory_koid && i < t->mapped->count; i++)
		if (t->mapped->koids[i] == r->memory_koid)
			return &t->mapped->files[i];
	return &none;
}

static const char *region_name(const struct proc *p, const struct x_mem_region *r)
{
	if (p->stack_start >= r->start && p->stack_start < r->end)
		return "[stack]";
	if (r->start >= X_PERS_BASE && r->start < X_PERS_END)
		return "[personality]";
	if (r->memory_koid)
		return "";
	return r->start <= p->brk_start && r->end > p->brk_start ? "[heap]" : "";
}

static void add_region(struct text *t, const struct proc *p, const struct x_mem_region *r)
{
	uint32_t before = t->length;
	const struct fs_mapped *file = region_file(t, r);
	const char *name = file->path[0] ? file->path : region_name(p, r);

	text_add(t, "%08llx-%08llx %c%c%c%c %08llx 00:%02x %llu ", (ull)r->start, (ull)r->end,
		 r->prot & X_PROT_READ ? 'r' : '-', r->prot & X_PROT_WRITE ? 'w' : '-',
		 r->prot & X_PROT_EXEC ? 'x' : '-',
		 r->memory_koid && !(r->flags & X_MAP_PRIVATE) ? 's' : 'p', (ull)r->offset,
		 file->dev, (ull)file->ino);
	if (name[0])
		text_add(t, "%*s%s", (int)(73 - (t->length - before)), "", name);
	text_add(t, "\n");
}

void text_pid_maps(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_mem_region r;
	uint64_t addr = X_USER_MIN;

	(void)reader;
	while (t->length + 160 < t->size && next_region(p, &addr, &r))
		add_region(t, p, &r);
}

/* What is not counted here (sharing, dirt, swap) is told as none. */
void text_pid_smaps(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_mem_region r;
	uint64_t addr = X_USER_MIN;

	(void)reader;
	while (t->length + 640 < t->size && next_region(p, &addr, &r)) {
		ull size = (ull)(r.end - r.start) / 1024, resident = (ull)r.resident_pages * 4;
		bool shared = r.memory_koid && !(r.flags & X_MAP_PRIVATE);

		add_region(t, p, &r);
		text_add(t, "Size:           %8llu kB\nKernelPageSize: %8u kB\nMMUPageSize:    %8u kB\n", size, 4u, 4u);
		text_add(t, "Rss:            %8llu kB\nPss:            %8llu kB\n", resident, resident);
		text_add(t, "Shared_Clean:   %8u kB\nShared_Dirty:   %8llu kB\nPrivate_Clean:  %8u kB\n", 0u,
			 shared ? resident : 0, 0u);
		text_add(t, "Private_Dirty:  %8llu kB\nReferenced:     %8llu kB\nAnonymous:      %8llu kB\n",
			 shared ? 0 : resident, resident, r.memory_koid ? 0 : resident);
		text_add(t, "Swap:           %8u kB\nLocked:         %8llu kB\n", 0u,
			 r.flags & X_MAP_LOCKED ? resident : 0);
		text_add(t, "VmFlags:%s%s%s%s%s\n", r.prot & X_PROT_READ ? " rd" : "", r.prot & X_PROT_WRITE ? " wr" : "",
			 r.prot & X_PROT_EXEC ? " ex" : "", shared ? " sh" : "", r.flags & X_MAP_LOCKED ? " lo" : "");
	}
}

/* There is one group of everything. */
void text_pid_cgroup(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "0::/\n");
}

/* The share of the memory it uses, in thousandths, and what was asked to add. */
void text_pid_oom_score(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_proc_info info = process_info(p);
	struct x_system_info system = { .memory_bytes = 1 };
	int64_t score;

	(void)reader;
	x_system_info(&system);
	score = (int64_t)(info.resident_pages * X_PAGE_SIZE * 1000 / system.memory_bytes) + p->oom_adjust;
	text_add(t, "%lld\n", (long long)(score < 0 ? 0 : score));
}

void text_pid_oom_adjust(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)reader;
	text_add(t, "%d\n", p->oom_adjust);
}

/* Kept and told: the kernel ends the largest program whatever it asked for. */
int write_pid_oom_adjust(struct proc *p, const struct proc *writer, const char *data, size_t bytes)
{
	bool negative = bytes && data[0] == '-';
	int value = 0;
	size_t i = negative;

	for (; i < bytes && data[i] >= '0' && data[i] <= '9' && value <= 1000; i++)
		value = value * 10 + (data[i] - '0');
	if (i == negative || (i < bytes && data[i] != '\n' && data[i] != '\0') || value > 1000)
		return -X_EINVAL;
	value = negative ? -value : value;
	if (value < p->oom_adjust && writer->ids.euid != 0)
		return -X_EACCES;
	p->oom_adjust = value;
	return 0;
}

/* Reads and writes are not counted. */
void text_pid_io(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
		 "cancelled_write_bytes: 0\n");
}

void text_pid_wchan(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "0");
}

int write_pid_comm(struct proc *p, const struct proc *writer, const char *data, size_t bytes)
{
	size_t n = bytes < COMM_BYTES - 1 ? bytes : COMM_BYTES - 1;

	if (writer != p)
		return -X_EINVAL;
	while (n && (data[n - 1] == '\n' || data[n - 1] == '\0'))
		n--;
	memset(p->comm, 0, sizeof(p->comm));
	memcpy(p->comm, data, n);
	return 0;
}
