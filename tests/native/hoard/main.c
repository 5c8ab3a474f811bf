/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who takes more than there is for it is refused, nobody else. Runs as the first
 * process, in place of rs.
 *
 * A hoarder makes one kind of thing until it is refused: once as a service with a
 * limit (LIMIT), once as a program, for which the kernel keeps a quarter of the memory
 * at most. While it holds all that, a neighbour makes some of everything
 * and ends well. When both are gone, so is everything they made; the second pass
 * leaves as much memory free as the first. tests/qemu/test_kernel.py reads the log's last line.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "tests/native/clone.h"

#define MS          1000000ull
#define LIMIT       (4ull << 20)
#define SLOT_REPORT X_SLOT_NATIVE /* of both: the report's memory object, and when to begin */
#define SLOT_GO     (X_SLOT_NATIVE + 1)
#define SLOT_PORT   (X_SLOT_NATIVE + 2)
#define THREADS_MAX 1100u
#define STACK       256u
#define ODDS        (256u << 10)  /* caches of the kernel: a few pages of each size */
#define PASSES      2u

struct report { /* what two processes tell us */
	uint64_t count, done;
	int64_t error;
	uint64_t neighbour;
};

static char stacks[THREADS_MAX][STACK] __attribute__((aligned(4096)));
static char main_stack[2][16384] __attribute__((aligned(4096)));
static struct report *report;
static x_handle_t report_memory, go, port;

static uint64_t now(void) { return (uint64_t)x_clock(X_CLOCK_MONOTONIC); }

static void fail(const char *what, const char *kind, int64_t error)
{
	server_log("hoard FAILED: %s: %s (%d)", kind, what, (int)error);
	x_system(boot_handle("resource"), X_SYS_POWEROFF, 0);
}

static void sleeper(uint64_t unused)
{
	(void)unused;
	x_wait(NULL, 0, X_FOREVER, NULL);
}

/* ---- what can be made: a handle or anything positive; or why not ---- */

static int64_t make_event(uint32_t i) { (void)i; return x_event_create(); }
static int64_t make_port(uint32_t i) { (void)i; return x_port_create(); }

static int64_t make_waitset(uint32_t i)
{
	static int64_t first, set;

	if (i % 2 == 0)
		set = x_waitset_create();
	if (i == 0)
		first = set;
	return i % 2 == 0 || i == 1 ? set : x_waitset_ctl((x_handle_t)set, X_WAITSET_ADD, (x_handle_t)first, X_READY_IN, 0);
}

static int64_t make_mapping(uint32_t i)
{
	struct x_mem_map m = { .space = X_SELF, .memory = X_NO_HANDLE, .len = X_PAGE_SIZE, .flags = X_MAP_LAZY,
			       .prot = X_PROT_READ | (i % 2 ? X_PROT_WRITE : 0) };

	return x_mem_map(&m);
}

static int64_t make_touched(uint32_t i)
{
	struct x_mem_map m = { .space = X_SELF, .memory = X_NO_HANDLE, .len = 65536, .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t at = x_mem_map(&m);

	for (uint64_t k = 0; at > 0 && k < m.len; k += X_PAGE_SIZE)
		*(volatile uint32_t *)(at + (int64_t)k) = i;
	return at;
}

static int64_t make_thread(uint32_t i)
{
	return i < THREADS_MAX ? clone_thread(X_SELF, sleeper, 0, stacks[i] + STACK) : -X_EAGAIN;
}

static int64_t make_memory(uint32_t i)
{
	struct x_mem_create c = { .bytes = 65536, .flags = i % 2 ? X_MEM_POPULATE : X_MEM_CONTIGUOUS };

	return x_mem_create(&c);
}

/* One page here and there: most of what it costs is where it says which are there. */
static int64_t make_sparse(uint32_t i)
{
	static int64_t memory;
	struct x_mem_create c = { .bytes = 1ull << 40 };

	if (i == 0)
		memory = x_mem_create(&c);
	return memory < 0 ? memory : x_mem_copy((x_handle_t)memory, (uint64_t)i << 26, &i, sizeof(i), 1);
}

static int64_t make_call(uint32_t i)
{
	static int64_t from;
	struct x_out out = { .kind = X_OUT_START, .id = i, .target = SLOT_PORT };
	struct x_commit c = { .out = (uint64_t)&out, .out_count = 1 };
	int64_t err;

	if (i % 1000 == 0)
		from = x_port_create();
	err = from < 0 ? from : x_commit_receive((x_handle_t)from, &c);
	return err == -X_EPROTO ? c.out_error : err == -X_ETIMEDOUT ? 0 : err;
}

static const struct kind { const char *name; int64_t (*make)(uint32_t i); } kinds[] = {
	{ "events", make_event }, { "ports", make_port }, { "wait sets", make_waitset }, { "mappings", make_mapping },
	{ "touched memory", make_touched }, { "threads", make_thread }, { "unmapped memory", make_memory },
	{ "sparse memory", make_sparse }, { "started calls", make_call },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- the two ---- */

static void map_report(void)
{
	struct x_mem_map m = { .space = X_SELF, .memory = SLOT_REPORT, .len = X_PAGE_SIZE, .prot = X_PROT_READ | X_PROT_WRITE };

	report = (struct report *)x_mem_map(&m);
}

static void hoarder(uint64_t kind)
{
	int64_t err = 0;

	map_report();
	while (err >= 0 && report->count < 1000000)
		if ((err = kinds[kind].make((uint32_t)report->count)) >= 0)
			report->count++;
	report->error = err;
	__atomic_store_n(&report->done, 1, __ATOMIC_SEQ_CST);
	sleeper(0);
}

/* Some of everything, ten times: what else is the matter is not its. */
static void neighbour(uint64_t unused)
{
	struct x_wait_item item = { SLOT_GO, 1, 0, 0 };
	int64_t err;

	(void)unused;
	map_report();
	x_wait(&item, 1, X_FOREVER, NULL);
	for (uint32_t k = 0; k < KINDS; k++)
		for (uint32_t i = 0; i < 10; i++)
			if ((err = kinds[k].make(i)) < 0)
				x_proc_exit((int)(err - 1000 * k));
	report->neighbour = 1;
	x_proc_exit(0);
}

/* ---- the first process ---- */

/* A service; or a program: then its memory is another space's, which x_proc_exec gives it. */
static x_handle_t start(const char *name, bool program, void (*entry)(uint64_t), uint64_t arg, char *stack, const char *kind)
{
	x_handle_t resource = boot_handle("resource");
	struct x_proc_exec e = { .thread = { .entry = (uint64_t)entry, .stack = ((uint64_t)stack & ~15ull) - 8, .arg = arg },
				 .personality = { .base = X_USER_MIN, .end = 1ull << 32 } };
	int64_t p = program ? x_proc_create(resource, name, X_PROC_LINUX, X_BAND_PROGRAM) : clone_self(resource, name, X_BAND_PROGRAM);
	int64_t err = p;

	if (err >= 0)
		err = x_proc_grant((x_handle_t)p, report_memory, 0, SLOT_REPORT);
	if (err >= 0)
		err = x_proc_grant((x_handle_t)p, go, 0, SLOT_GO);
	if (err >= 0)
		err = x_proc_grant((x_handle_t)p, port, X_R_CALL, SLOT_PORT);
	if (err >= 0 && !program)
		err = clone_thread((x_handle_t)p, entry, arg, stack);
	if (err >= 0 && program) {
		err = x_space_create((x_handle_t)p);
		e.process = (x_handle_t)p;
		e.space = (x_handle_t)err;
		strlcpy(e.name, name, sizeof(e.name));
		if (err >= 0)
			err = clone_memory(e.space);
		if (err >= 0)
			err = x_proc_exec(&e);
	}
	if (err < 0)
		fail("no process", kind, err);
	return (x_handle_t)p;
}

/* Until it has ended (or, with done, has told us): what is known of it then. */
static struct x_proc_info await(x_handle_t process, const uint64_t *done, const char *kind)
{
	uint64_t deadline = now() + 20000 * MS;
	struct x_proc_info info;

	while (x_proc_info(process, &info) >= 0 && info.state != X_PROC_DEAD &&
	       !(done && __atomic_load_n(done, __ATOMIC_SEQ_CST))) {
		if (now() > deadline)
			fail("it does not end", kind, (int64_t)report->count);
		x_wait(NULL, 0, now() + MS, NULL);
	}
	return info;
}

static void check_baseline(const struct x_system_info *before, const char *kind)
{
	uint64_t deadline = now() + 5000 * MS;
	struct x_system_info after;

	while (x_system_info(&after) >= 0 &&
	       (memcmp(before->objects, after.objects, sizeof(after.objects)) || before->threads != after.threads)) {
		if (now() > deadline)
			fail("objects left", kind, 0);
		x_wait(NULL, 0, now() + MS, NULL);
	}
}

static void one(const struct kind *k, bool program, bool told)
{
	struct x_proc_info info;
	struct x_system_info before;
	x_handle_t one, other;

	x_system_info(&before);
	memset(report, 0, sizeof(*report));
	other = start("neighbour", true, neighbour, 0, main_stack[1] + sizeof(main_stack[1]), k->name);
	one = start("hoarder", program, hoarder, (uint64_t)(k - kinds), main_stack[0] + sizeof(main_stack[0]), k->name);
	if (!program)
		x_proc_limit(one, LIMIT);
	info = await(one, &report->done, k->name);
	if (told)
		server_log("%s, a %s: %llu, then error %d, death %u; %llu KiB charged, %llu of them the kernel's", k->name,
			   program ? "program" : "service", (unsigned long long)report->count, (int)report->error, info.death,
			   (unsigned long long)info.charged >> 10, (unsigned long long)info.charged_kernel >> 10);
	if (info.state == X_PROC_DEAD ? info.death != X_DEATH_MEMORY
				      : report->error != -X_ENOMEM && report->error != -X_EAGAIN && report->error != -X_EMFILE)
		fail("it was not refused", k->name, report->error);
	if (info.charged > (program ? before.memory_bytes : LIMIT) || info.charged_kernel > before.memory_bytes / 4)
		fail("more than its share", k->name, (int64_t)info.charged);
	x_event_signal(go, 1);
	info = await(other, NULL, k->name);
	if (info.death != X_DEATH_EXIT || info.status || !report->neighbour)
		fail("its neighbour suffers", k->name, info.status);
	x_event_take(go, 1);
	x_proc_kill(one, 9);
	await(one, NULL, k->name);
	x_handle_close(one);
	x_handle_close(other);
	x_port_reset(port);
	check_baseline(&before, k->name);
}

void server_main(void)
{
	struct x_mem_create c = { .bytes = X_PAGE_SIZE, .flags = X_MEM_POPULATE };
	struct x_mem_map m = { .space = X_SELF, .len = X_PAGE_SIZE, .prot = X_PROT_READ | X_PROT_WRITE };
	struct x_system_info after[PASSES];

	report_memory = m.memory = (x_handle_t)x_mem_create(&c);
	report = (struct report *)x_mem_map(&m);
	go = (x_handle_t)x_event_create();
	port = (x_handle_t)x_port_create();
	for (uint32_t pass = 0; pass < PASSES; pass++) {
		for (uint32_t k = 0; k < 2 * KINDS; k++)
			one(&kinds[k / 2], k % 2, pass == 0);
		x_system_info(&after[pass]);
	}
	if (after[1].free_bytes + ODDS < after[0].free_bytes)
		fail("memory lost", "all", (int64_t)(after[0].free_bytes - after[1].free_bytes));
	server_log("hoard ok");
	x_system(boot_handle("resource"), X_SYS_POWEROFF, 0);
}
