/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fuzz: a native service that makes random system calls, with valid handles of
 * every kind, boundary numbers, wild pointers and structures of such. The
 * kernel must survive, and so must this process: it never gives the kernel an
 * address or a handle that it needs itself. Options on the kernel command
 * line: fuzz=CALLS (500000), seed=N.
 *
 * Workers are threads that may get stuck for good in a call (nobody answers, a
 * page that no pager supplies); the main thread, which keeps to the event loop,
 * starts another one instead, and at the end logs "done".
 */
#include "lib/c/stdlib.h"
#include "lib/c/string.h"
#include "lib/ipc/server.h"

#define ARENA        0x10000000000ull /* wild pointers that are good point here */
#define ARENA_BYTES  (256u << 10)
#define WORKERS      3u
#define WORKERS_MAX  48u
#define STACK_BYTES  16384u
#define LOOK_NS      50000000ull
#define STUCK_LOOKS  4u
#define IDS          64u

struct worker {
	uint64_t seed, calls, seen;
	uint32_t idle_looks, number;
	bool lost;
	uint64_t arg[128];      /* structures for the kernel */
	uint64_t more[512];     /* ... and what they point to */
	struct x_in in[4];
};

static struct worker workers[WORKERS_MAX];
static uint8_t stacks[WORKERS_MAX][STACK_BYTES] __attribute__((aligned(16)));
static uint32_t worker_count, first_slot;
static uint64_t wanted = 500000, seed = 1;
static uint64_t ids[IDS];       /* calls received by some worker, to be answered by any */
static x_handle_t base[16];     /* one of each kind, made again and again */
static struct server_timer look;

/*
 * The arguments of each call: h handle, o handle but not X_SELF, p pointer,
 * w wild pointer only, l length, d deadline, n number, f small number, s a
 * structure of ours (filled at random), c a count of up to 4 for it. 0: not made.
 */
static const char *const signature[X_SYSCALL_COUNT] = {
	[X_SYS_null] = "", [X_SYS_handle_close] = "h", [X_SYS_handle_dup] = "hfof",
	[X_SYS_handle_cloexec] = "hf", [X_SYS_thread_affinity] = "ofn", [X_SYS_handle_info] = "hp", [X_SYS_port_create] = "",
	[X_SYS_port_info] = "hp", [X_SYS_port_reset] = "o", [X_SYS_mint] = "hnfff", [X_SYS_call] = "hs",
	[X_SYS_commit_receive] = "hs", [X_SYS_window_copy] = "hs", [X_SYS_object_ctl] = "hfn",
	[X_SYS_wait] = "scdw", [X_SYS_event_create] = "", [X_SYS_event_signal] = "hn",
	[X_SYS_event_take] = "hn", [X_SYS_bind] = "hon", [X_SYS_clock] = "f", [X_SYS_mem_create] = "s",
	[X_SYS_mem_map] = "s", [X_SYS_mem_unmap] = "hpl", [X_SYS_mem_protect] = "hplf",
	[X_SYS_mem_query] = "hnp", [X_SYS_mem_supply] = "hnplf", [X_SYS_mem_copy] = "hnplf",
	[X_SYS_mem_move] = "pllpf", [X_SYS_space_create] = "", [X_SYS_space_copy] = "hpplf",
	[X_SYS_proc_create] = "hpff", [X_SYS_proc_grant] = "ohff", [X_SYS_proc_fork] = "s",
	[X_SYS_proc_exec] = "s", [X_SYS_proc_kill] = "of", [X_SYS_proc_suspend] = "of",
	[X_SYS_proc_info] = "hp", [X_SYS_thread_create] = "s", [X_SYS_thread_set_fs] = "n",
	[X_SYS_notify_post] = "hfn", [X_SYS_notify_mask] = "np", [X_SYS_notify_ignore] = "nnn",
	[X_SYS_resume] = "wn", [X_SYS_futex_wait] = "pfdf", [X_SYS_futex_wake] = "pffpf", [X_SYS_yield] = "",
	[X_SYS_log_write] = "wl", [X_SYS_log_read] = "nplp", [X_SYS_system] = "hfn", [X_SYS_system_info] = "p",
	[X_SYS_device_create] = "s", [X_SYS_device_map] = "hfnl", [X_SYS_device_config] = "hnffn",
	[X_SYS_device_irq] = "hfhn", [X_SYS_device_ctl] = "hfn", [X_SYS_dma_map] = "s",
	[X_SYS_ioports_create] = "hnf", [X_SYS_ioport] = "hffnf", [X_SYS_irq_create] = "hfhn",
	[X_SYS_irq_ack] = "h", [X_SYS_memory_physical] = "hnl", [X_SYS_waitset_create] = "",
	[X_SYS_waitset_ctl] = "hfhnn", [X_SYS_waitset_wait] = "hpfdw", [X_SYS_notify_take] = "n", [X_SYS_proc_handle] = "hnf",
	[X_SYS_thread_robust] = "pf", [X_SYS_route] = "hnhff",
};

/* ---------------------------------------------------------------- random values */

static uint64_t next(struct worker *w)
{
	w->seed ^= w->seed << 13;
	w->seed ^= w->seed >> 7;
	w->seed ^= w->seed << 17;
	return w->seed;
}

static uint64_t below(struct worker *w, uint64_t n)
{
	return next(w) % n;
}

/* Nothing can ever be mapped there. */
static uint64_t wild_pointer(struct worker *w)
{
	static const uint64_t wild[] = {
		0, 8, X_USER_MIN - 4096, X_USER_MAX, 0x800000000000ull, 0xffff800000000000ull,
		0xffffffff80100000ull, 0xfffffffffffffff8ull, 0xdead0000beef0000ull,
	};

	return wild[below(w, sizeof(wild) / sizeof(wild[0]))];
}

static uint64_t pointer(struct worker *w)
{
	static const uint64_t borders[] = { X_USER_MIN, X_PERS_BASE, X_PERS_END - 4096, ARENA - 4, ARENA + ARENA_BYTES };
	uint64_t at = below(w, ARENA_BYTES);

	if (below(w, 4) == 0)
		return wild_pointer(w);
	if (below(w, 16) == 0)
		return borders[below(w, sizeof(borders) / sizeof(borders[0]))];
	if (below(w, 2))
		at &= ~4095ull;
	else if (below(w, 8) == 0)
		at |= 4093; /* across a page's end */
	return ARENA + at;
}

/* Never long enough to reach what follows the arena, unless beyond user space. */
static uint64_t length(struct worker *w)
{
	static const uint64_t lengths[] = {
		0, 1, 8, 4095, 4096, 4097, 8192, 65536, ~0ull, ~0ull - 4095, 1ull << 63, X_USER_MAX, 1ull << 47,
	};

	return below(w, 3) ? below(w, 3 * 4096) : lengths[below(w, sizeof(lengths) / sizeof(lengths[0]))];
}

static uint64_t number(struct worker *w)
{
	switch (below(w, 6)) {
	case 0: return 1ull << below(w, 64);
	case 1: return (1ull << below(w, 64)) - 1;
	case 2: return ~below(w, 5000);
	case 3: return below(w, 64) * 4096;
	case 4: return next(w);
	}
	return below(w, 17);
}

/* Mostly handles that are there; never one of those that we were started with. */
static uint64_t handle(struct worker *w)
{
	switch (below(w, 8)) {
	case 0: return first_slot + below(w, X_SLOT_MAX - first_slot + 2);
	case 1: return below(w, X_SLOT_NATIVE);
	case 2: return X_NO_HANDLE - 2 - below(w, 4);
	case 3: return first_slot + below(w, 200);
	}
	return base[below(w, 16)];
}

static uint64_t deadline(struct worker *w)
{
	return below(w, 3) ? 0 : x_clock(X_CLOCK_MONOTONIC) + below(w, 100000);
}

/* ------------------------------------------------------------------- structures */

static void fill_windows(struct worker *w, struct x_window *win)
{
	for (uint32_t i = 0; i < X_MAX_WINDOWS; i++)
		win[i] = (struct x_window){ pointer(w), length(w), below(w, 5) };
}

static void fill_handles(struct worker *w, uint32_t *handles)
{
	for (uint32_t i = 0; i < X_MAX_HANDLES; i++)
		handles[i] = handle(w);
}

static void fill_call(struct worker *w, struct x_call *c)
{
	c->msg.op = number(w);
	fill_windows(w, c->win);
	fill_handles(w, c->handles);
	c->win_count = below(w, 6);
	c->handle_count = below(w, 4) ? 0 : below(w, 6);
	c->flags = below(w, 64);
	c->recv_min = below(w, 2) ? first_slot : number(w);
	if (c->recv_min < first_slot)
		c->recv_min = first_slot;
	c->recv_end = below(w, 2) ? X_SLOT_MAX : number(w);
	c->deadline_ns = deadline(w);
}

static void fill_out(struct worker *w, struct x_out *o)
{
	o->kind = below(w, 10);
	o->flags = below(w, 4) ? below(w, 32) : number(w);
	o->id = below(w, 2) ? ids[below(w, IDS)] : below(w, 8);
	o->target = handle(w);
	o->mask = number(w);
	o->value = number(w);
	o->addr = pointer(w);
	o->copy_src = pointer(w);
	o->copy_len = below(w, 2) ? 0 : length(w);
	o->copy_window = below(w, 5);
	o->win_count = below(w, 5);
	o->handle_count = below(w, 3) ? 0 : below(w, 6);
	fill_windows(w, o->win);
	fill_handles(w, o->handles);
	o->pulse = number(w);
}

static void fill_commit(struct worker *w, struct x_commit *c)
{
	struct x_out *out = (struct x_out *)w->more;

	for (uint32_t i = 0; i < 4; i++)
		fill_out(w, &out[i]);
	c->out = below(w, 8) ? (uintptr_t)out : wild_pointer(w);
	c->in = below(w, 8) ? (uintptr_t)w->in : wild_pointer(w);
	c->out_count = below(w, 16) ? below(w, 5) : 257 + below(w, 1000);
	c->in_max = below(w, 5);
	c->deadline_ns = deadline(w);
}

static void fill_thread(struct worker *w, struct x_thread_create *t)
{
	t->process = base[below(w, 16)];
	t->entry = number(w);
	t->stack = number(w);
	t->fs_base = number(w);
	t->upcall_stack = below(w, 2) ? 0 : number(w);
	t->mask = number(w);
	t->regs = below(w, 2) ? 0 : pointer(w);
}

static void fill_exec(struct worker *w, struct x_proc_exec *e)
{
	e->process = base[below(w, 16)];
	e->space = handle(w);
	fill_thread(w, &e->thread);
	e->personality = (struct x_personality){ number(w), pointer(w), number(w), pointer(w), number(w),
						  number(w), number(w) };
}

static void fill_map(struct worker *w, struct x_mem_map *m)
{
	m->space = below(w, 3) ? X_SELF : handle(w);
	m->memory = below(w, 2) ? X_NO_HANDLE : handle(w);
	m->offset = below(w, 3) ? 0 : number(w);
	m->addr = pointer(w);
	m->len = below(w, 8) ? below(w, 4 * 4096) : length(w);
	m->prot = below(w, 9);
	m->flags = below(w, 2) ? X_MAP_FIXED : below(w, 64);
}

static void fill_mem_create(struct worker *w, struct x_mem_create *c)
{
	c->bytes = below(w, 4) ? below(w, 65536) : number(w);
	c->flags = below(w, 33);
	if (c->bytes > 65536)
		c->flags &= ~(uint32_t)(X_MEM_POPULATE | X_MEM_CONTIGUOUS); /* not a test of shortage */
	c->port = handle(w);
	c->id = number(w);
	c->align = below(w, 3) ? 0 : number(w);
}

static void fill_window_copy(struct worker *w, struct x_window_copy *c)
{
	*c = (struct x_window_copy){
		.id = ids[below(w, IDS)], .window = below(w, 6), .to_window = below(w, 3), .offset = number(w),
		.addr = pointer(w), .len = length(w), .id2 = below(w, 2) ? 0 : ids[below(w, IDS)],
		.window2 = below(w, 6),
	};
}

static void fill_device(struct worker *w, struct x_device_create *d)
{
	d->resource = handle(w);
	d->bdf = number(w);
	d->bar[0].base = number(w);
	d->bar[0].bytes = number(w);
}

static void fill_wait(struct worker *w, struct x_wait_item *items)
{
	for (uint32_t i = 0; i < 4; i++)
		items[i] = (struct x_wait_item){ handle(w), number(w), 0, 0 };
}

static uint64_t structure(struct worker *w, uint32_t call)
{
	memset(w->arg, 0, sizeof(w->arg));
	switch (call) {
	case X_SYS_call: fill_call(w, (void *)w->arg); break;
	case X_SYS_commit_receive: fill_commit(w, (void *)w->arg); break;
	case X_SYS_window_copy: fill_window_copy(w, (void *)w->arg); break;
	case X_SYS_wait: fill_wait(w, (void *)w->arg); break;
	case X_SYS_mem_create: fill_mem_create(w, (void *)w->arg); break;
	case X_SYS_mem_map: fill_map(w, (void *)w->arg); break;
	case X_SYS_thread_create: fill_thread(w, (void *)w->arg); break;
	case X_SYS_proc_exec: fill_exec(w, (void *)w->arg); break;
	case X_SYS_device_create: fill_device(w, (void *)w->arg); break;
	case X_SYS_proc_fork: *(struct x_proc_fork *)w->arg = (struct x_proc_fork){
		.port = handle(w), .call_id = ids[below(w, IDS)] }; break;
	case X_SYS_dma_map: *(struct x_dma_map *)w->arg = (struct x_dma_map){
		handle(w), handle(w), number(w), length(w), pointer(w), number(w), 0 }; break;
	}
	return below(w, 16) ? (uintptr_t)w->arg : wild_pointer(w);
}

/* ---------------------------------------------------------------------- a call */

static uint64_t argument(struct worker *w, uint32_t call, char kind)
{
	switch (kind) {
	case 'h': return below(w, 12) ? handle(w) : X_SELF;
	case 'o': return handle(w);
	case 'p': return pointer(w);
	case 'w': return wild_pointer(w);
	case 'l': return length(w);
	case 'd': return deadline(w);
	case 'f': return below(w, 16) ? below(w, 20) : number(w);
	case 'c': return below(w, 5);
	case 's': return structure(w, call);
	}
	return number(w);
}

/* What a call gave may be of use: a handle of its kind, ids of calls to answer. */
static void keep(struct worker *w, uint32_t call, int64_t result)
{
	static const uint8_t makes[X_SYSCALL_COUNT] = {
		[X_SYS_port_create] = 1, [X_SYS_mint] = 2, [X_SYS_event_create] = 4, [X_SYS_mem_create] = 5,
		[X_SYS_space_create] = 7, [X_SYS_proc_create] = 8,
	};

	if (makes[call] && result >= (int64_t)first_slot)
		base[makes[call] + (call == X_SYS_mint || call == X_SYS_mem_create ? below(w, 2) : 0)] = result;
	if (call == X_SYS_commit_receive)
		for (int64_t i = 0; i < result && i < 4; i++)
			if (w->in[i].kind == X_IN_CALL)
				ids[below(w, IDS)] = w->in[i].id;
}

static void one(struct worker *w)
{
	uint32_t call = below(w, X_SYSCALL_COUNT + 2);
	const char *s = call < X_SYSCALL_COUNT ? signature[call] : "nnnnnn";
	uint64_t a[6] = { 0 };

	if (!s)
		return;
	if (below(w, 3) == 0) /* more of those that matter */
		call = X_SYS_call + below(w, 3), s = signature[call];
	w->number = call;
	for (uint32_t i = 0; s[i]; i++)
		a[i] = argument(w, call, s[i]);
	/* A handle made by dup lies where it hurts nobody. */
	if (call == X_SYS_handle_dup && a[2] < first_slot)
		a[2] = first_slot;
	if (call == X_SYS_system && a[1] <= X_SYS_LOG_MIRROR && a[0] == boot_handle("resource"))
		return;
	keep(w, call, x_syscall6(call < X_SYSCALL_COUNT ? call : number(w) | 128, a[0], a[1], a[2], a[3], a[4], a[5]));
}

static void work(struct worker *w)
{
	for (;;) {
		one(w);
		__atomic_store_n(&w->calls, w->calls + 1, __ATOMIC_RELAXED);
		if (below(w, 200) == 0) { /* the other servers of this band want to live, too */
			uint32_t word = 0;

			x_futex_wait(&word, 0, x_clock(X_CLOCK_MONOTONIC) + 1000000, ~0u);
		}
	}
}

/* -------------------------------------------------------------------- main thread */

static void start_worker(void)
{
	struct worker *w = &workers[worker_count];
	struct x_thread_create t = {
		.process = X_SELF, .entry = (uintptr_t)work, .arg = (uintptr_t)w,
		.stack = (uintptr_t)stacks[worker_count] + STACK_BYTES - 8,
	};

	w->seed = seed * 0x9e3779b97f4a7c15ull + ++worker_count;
	if (x_thread_create(&t) < 0)
		server_die("no thread");
}

static void renew_arena(void)
{
	struct x_mem_map m = {
		.space = X_SELF, .memory = X_NO_HANDLE, .addr = ARENA, .len = ARENA_BYTES,
		.prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_FIXED,
	};

	x_mem_map(&m);
}

/* Duplicates, so that closing them does no harm. */
static void renew_handles(void)
{
	static const char *const names[] = { "device", "ioports", "irq", "irq_event", "resource" };

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int64_t h = x_handle_dup(boot_handle(names[i]), 0, first_slot, 0);

		if (h >= 0)
			base[10 + i] = h;
	}
	if (base[0] == 0)
		base[0] = x_port_create();
}

static void report(uint64_t calls)
{
	uint32_t lost = 0;

	for (uint32_t i = 0; i < worker_count; i++) {
		if (!workers[i].lost)
			continue;
		lost++;
		server_log("worker %u stays in call %u", i, workers[i].number);
	}
	server_log("done: %llu calls, %u of %u workers stuck", (unsigned long long)calls, lost, worker_count);
	x_proc_exit(0);
}

static void look_at_workers(void *ctx)
{
	uint64_t calls = 0;

	(void)ctx;
	for (uint32_t i = 0; i < worker_count; i++) {
		struct worker *w = &workers[i];
		uint64_t now = __atomic_load_n(&w->calls, __ATOMIC_RELAXED);

		calls += now;
		w->idle_looks = now == w->seen ? w->idle_looks + 1 : 0;
		w->seen = now;
		if (w->idle_looks) { /* probably in a call that nobody answers: end it */
			x_port_reset(base[0]);
			x_port_reset(base[1]);
		}
		if (!w->lost && w->idle_looks == STUCK_LOOKS && worker_count < WORKERS_MAX) {
			w->lost = true;
			start_worker();
		}
	}
	if (calls >= wanted)
		report(calls);
	renew_arena();
	renew_handles();
	timer_set(&look, server_now_ns + LOOK_NS);
}

static uint64_t option(const char *name, uint64_t otherwise)
{
	const char *text = boot_option(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

static void refuse(const struct x_in *in)
{
	out_status(in->id, -X_ENOSYS);
}

static const struct server_ops ops = { .call = refuse };

void server_main(void)
{
	wanted = option("fuzz", wanted);
	seed = option("seed", seed);
	for (uint32_t i = 0; i < boot->handle_count; i++)
		if (boot->handles[i].handle >= first_slot)
			first_slot = boot->handles[i].handle + 1;
	server_log("%llu calls, seed %llu", (unsigned long long)wanted, (unsigned long long)seed);
	renew_arena();
	renew_handles();
	for (uint32_t i = 0; i < 16; i++)
		if (base[i] == 0)
			base[i] = base[0];
	look.fn = look_at_workers;
	timer_set(&look, server_now_ns + LOOK_NS);
	for (uint32_t i = 0; i < WORKERS; i++)
		start_worker();
	server_run(&ops);
}
