/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The texts of /proc that concern the whole system, in Linux's formats.
 */
#include "servers/pm/procfs.h"

#define TICK_NS (NS_PER_SECOND / 100) /* CLK_TCK 100 */

static struct x_system_info system_info(void)
{
	struct x_system_info info;

	memset(&info, 0, sizeof(info));
	if (x_system_info(&info) < 0 || info.cpus_online == 0)
		info.cpus_online = 1;
	return info;
}

static unsigned long long kib(uint64_t bytes) { return bytes / 1024; }
static unsigned long long ticks(uint64_t ns) { return ns / TICK_NS; }

void text_meminfo(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_system_info info = system_info();
	static const char *const zero[] = { "Buffers:", "Cached:", "SwapCached:", "Active:", "Inactive:",
					    "SwapTotal:", "SwapFree:", "Dirty:", "Writeback:",
					    "AnonPages:", "Mapped:", "Shmem:", "Slab:", "SReclaimable:",
					    "SUnreclaim:" };

	(void)p, (void)reader;
	text_add(t, "%-16s%8llu kB\n", "MemTotal:", kib(info.memory_bytes));
	text_add(t, "%-16s%8llu kB\n", "MemFree:", kib(info.free_bytes));
	text_add(t, "%-16s%8llu kB\n", "MemAvailable:", kib(info.free_bytes));
	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		text_add(t, "%-16s%8u kB\n", zero[i], 0u);
}

/* What is counted: there is no swapping. */
void text_vmstat(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "nr_free_pages %llu\npswpin 0\npswpout 0\n", (unsigned long long)(system_info().free_bytes / X_PAGE_SIZE));
}

static void add_seconds(struct text *t, uint64_t ns)
{
	text_add(t, "%llu.%02llu", (unsigned long long)(ns / NS_PER_SECOND),
		 (unsigned long long)(ns % NS_PER_SECOND / TICK_NS));
}

void text_uptime(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_system_info info = system_info();

	(void)p, (void)reader;
	add_seconds(t, server_now_ns);
	text_add(t, " ");
	add_seconds(t, info.idle_ns);
	text_add(t, "\n");
}

/* ---- load: busy processors, averaged as Linux averages its run queues ---- */

#define LOAD_STEP_NS (5 * NS_PER_SECOND)
#define LOAD_ONE     2048u

/* exp(-5 s / 1, 5, 15 min), in units of 1/LOAD_ONE */
static const uint32_t load_decay[3] = { 1884, 2014, 2037 };
static uint64_t load_average[3];        /* units of 1/LOAD_ONE */
static uint64_t load_time_ns, load_idle_ns;

static void load_update(const struct x_system_info *info)
{
	uint64_t elapsed = server_now_ns - load_time_ns, capacity = elapsed * info->cpus_online;
	uint64_t idle = info->idle_ns - load_idle_ns, busy = capacity > idle ? capacity - idle : 0;
	uint64_t level, steps = elapsed / LOAD_STEP_NS;

	if (steps == 0)
		return;
	level = busy / (elapsed / LOAD_ONE + 1);
	if (steps > 1024) /* more makes no difference */
		steps = 1024;
	for (; steps; steps--)
		for (int i = 0; i < 3; i++)
			load_average[i] = (load_average[i] * load_decay[i] +
					   level * (LOAD_ONE - load_decay[i])) / LOAD_ONE;
	load_time_ns = server_now_ns;
	load_idle_ns = info->idle_ns;
}

void load_averages(uint64_t average[3])
{
	struct x_system_info info = system_info();

	load_update(&info);
	for (int i = 0; i < 3; i++)
		average[i] = load_average[i] * 65536 / LOAD_ONE;
}

void text_loadavg(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_system_info info = system_info();
	uint32_t running = proc_by_koid(reader) != NULL;

	(void)p;
	load_update(&info);
	for (int i = 0; i < 3; i++)
		text_add(t, "%u.%02u ", (uint32_t)(load_average[i] / LOAD_ONE),
			 (uint32_t)(load_average[i] % LOAD_ONE * 100 / LOAD_ONE));
	text_add(t, "%u/%u %u\n", running, procs_count(), pid_last());
}

/* ---- stat ---- */

struct cpu_ticks { unsigned long long user, system, idle; };

/* Programs' own time is user time; what else is not idle is the system's:
 * servers, drivers, kernel. */
static struct cpu_ticks cpu_ticks(const struct x_system_info *info)
{
	uint64_t total = server_now_ns * info->cpus_online, user = 0, busy;
	struct x_proc_info proc;

	busy = total > info->idle_ns ? total - info->idle_ns : 0;
	for_each_proc(p) {
		if (!proc_alive(p) || x_proc_info(p->process, &proc) < 0)
			continue;
		user += proc.cpu_user_ns + p->children_user_ns;
	}
	if (user > busy)
		user = busy;
	return (struct cpu_ticks){ ticks(user), ticks(busy - user), ticks(info->idle_ns) };
}

void text_stat(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_system_info info = system_info();
	struct cpu_ticks all = cpu_ticks(&info);
	uint32_t cpus = info.cpus_online;

	(void)p;
	text_add(t, "cpu  %llu 0 %llu %llu 0 0 0 0 0 0\n", all.user, all.system, all.idle);
	for (uint32_t i = 0; i < cpus; i++)
		text_add(t, "cpu%u %llu 0 %llu %llu 0 0 0 0 0 0\n", i, all.user / cpus,
			 all.system / cpus, all.idle / cpus);
	text_add(t, "intr 0\nctxt %llu\nbtime %llu\nprocesses %u\n",
		 (unsigned long long)info.context_switches,
		 (unsigned long long)(info.realtime_offset_ns / NS_PER_SECOND), pid_last());
	text_add(t, "procs_running %u\nprocs_blocked 0\n", proc_by_koid(reader) ? 1u : 0u);
}

/* What the kernel holds: a name and a number a line (docs/debugging.md). */
void text_kernel(struct text *t, const struct proc *p, uint64_t reader)
{
	static const char *const names[] = {
		[X_TYPE_PORT] = "ports", [X_TYPE_OBJECT] = "objects", [X_TYPE_EVENT] = "events",
		[X_TYPE_MEMORY] = "memories", [X_TYPE_SPACE] = "spaces", [X_TYPE_DEVICE] = "devices",
		[X_TYPE_IRQ] = "irqs", [X_TYPE_WAITSET] = "waitsets",
	};
	struct x_system_info info = system_info();

	(void)p, (void)reader;
	text_add(t, "memory_kib %llu\nfree_kib %llu\nidle_ms %llu\nswitches %llu\nprocesses %llu\nthreads %llu\n",
		 kib(info.memory_bytes), kib(info.free_bytes), (unsigned long long)(info.idle_ns / 1000000),
		 (unsigned long long)info.context_switches, (unsigned long long)info.processes,
		 (unsigned long long)info.threads);
	text_add(t, "wakeups %llu\nmoved_kib %llu\nlock_waits %llu\nlock_wait_us %llu\n", (unsigned long long)info.wakeups,
		 kib(info.moved_bytes), (unsigned long long)info.lock_waits, (unsigned long long)(info.lock_wait_ns / 1000));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i])
			text_add(t, "%s %llu\n", names[i], (unsigned long long)info.objects[i]);
}

/* ---- who and what the machine is ---- */

void text_version(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_system_info info = system_info();

	(void)p, (void)reader;
	text_add(t, "Linux version 6.1.0-xinim (XINIM %.32s) #1 SMP\n", info.version);
}

static void cpuid(uint32_t leaf, uint32_t r[4])
{
	r[0] = leaf;
	r[2] = 0;
	__asm__("cpuid" : "+a"(r[0]), "=b"(r[1]), "+c"(r[2]), "=d"(r[3]));
}

static void cpu_brand(char brand[49])
{
	uint32_t r[4];

	memset(brand, 0, 49);
	cpuid(0x80000000u, r);
	for (uint32_t i = 0; i < 3 && r[0] >= 0x80000004u; i++) {
		uint32_t part[4];

		cpuid(0x80000002u + i, part);
		memcpy(brand + i * 16, part, 16);
	}
}

static void add_flags(struct text *t)
{
	static const struct { uint8_t reg, bit; char name[12]; } known[] = {
		{ 3, 0, "fpu" }, { 3, 4, "tsc" }, { 3, 5, "msr" }, { 3, 6, "pae" }, { 3, 8, "cx8" },
		{ 3, 9, "apic" }, { 3, 15, "cmov" }, { 3, 19, "clflush" }, { 3, 23, "mmx" },
		{ 3, 24, "fxsr" }, { 3, 25, "sse" }, { 3, 26, "sse2" }, { 2, 0, "pni" },
		{ 2, 1, "pclmulqdq" }, { 2, 9, "ssse3" }, { 2, 13, "cx16" }, { 2, 19, "sse4_1" },
		{ 2, 20, "sse4_2" }, { 2, 23, "popcnt" }, { 2, 25, "aes" }, { 2, 30, "rdrand" },
		{ 2, 31, "hypervisor" },
	};
	uint32_t r[4];

	cpuid(1, r);
	text_add(t, "flags\t\t:");
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (r[known[i].reg] >> known[i].bit & 1)
			text_add(t, " %s", known[i].name);
	text_add(t, " lm\n");
}

void text_cpuinfo(struct text *t, const struct proc *p, uint64_t reader)
{
	struct x_system_info info = system_info();
	uint32_t id[4], one[4];
	char vendor[13] = "", brand[49];

	(void)p, (void)reader;
	cpuid(0, id);
	cpuid(1, one);
	memcpy(vendor, &id[1], 4);
	memcpy(vendor + 4, &id[3], 4);
	memcpy(vendor + 8, &id[2], 4);
	cpu_brand(brand);
	for (uint32_t i = 0; i < info.cpus_online; i++) {
		text_add(t, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", i,
			 vendor, one[0] >> 8 & 15, (one[0] >> 4 & 15) | (one[0] >> 12 & 0xf0));
		text_add(t, "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %u.%03u\n", brand, one[0] & 15,
			 info.tsc_khz / 1000, info.tsc_khz % 1000);
		text_add(t, "physical id\t: 0\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n",
			 info.cpus_online, i, info.cpus_online);
		add_flags(t);
		text_add(t, "\n");
	}
}

void text_filesystems(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "nodev\tproc\nnodev\tdevtmpfs\nnodev\ttmpfs\n\tminix\n");
}

void text_cmdline(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "%.512s\n", boot->cmdline);
}

void text_swaps(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
}

#define FIXED_TEXT(name, contents) \
	void name(struct text *t, const struct proc *p, uint64_t reader) \
	{ \
		(void)p, (void)reader; \
		text_add(t, "%s\n", contents); \
	}

FIXED_TEXT(text_ostype, "Linux")
FIXED_TEXT(text_osrelease, "6.1.0-xinim")
FIXED_TEXT(text_os_version, "#1 SMP XINIM 0.1")
FIXED_TEXT(text_zero, "0")
FIXED_TEXT(text_sem, "250\t32000\t32\t128") /* SEM_PER_SET, all, SEM_OPS, SEM_SETS */
FIXED_TEXT(text_msgmax, "8192")
FIXED_TEXT(text_msgmnb, "16384")
FIXED_TEXT(text_threads_max, "2048")
FIXED_TEXT(text_last_capability, "40")
FIXED_TEXT(text_nr_open, "1024")
FIXED_TEXT(text_entropy, "256")
FIXED_TEXT(text_ngroups_max, "32")
FIXED_TEXT(text_file_max, "65536")
FIXED_TEXT(text_pipe_max_size, "1048576")
