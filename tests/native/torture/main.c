/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Torture of the kernel in a guest. Runs as the first process, in place of rs.
 *
 * Processes (copies of this one) with several threads each call each other,
 * serve, hand out objects and handles, ring events, start calls and forget
 * them, map and unmap, while the first one kills and replaces them at random,
 * suspends them and resets their ports. Every answer must be the one to its
 * call; at the end all objects must be gone. What flows is flows.c's. tests/qemu/test_kernel.py runs it
 * on 1 to 16 CPUs and reads the last line of the log.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "tests/native/clone.h"
#include "tests/native/torture/torture.h"

#define WORKERS 5u
#define STACK   16384u
#define ROUNDS  2u                           /* at least; rounds=N on the command line: more */
#define ROUND_NS 4000000000ull
#define ITEMS_LEAST 200u                      /* delivered in a round */
#define KILLS_LEAST 5u
#define SLOT_OWN  X_SLOT_NATIVE              /* worker: its port, to read */
#define SLOT_PORT (X_SLOT_NATIVE + 1)        /* ... all ports, to call */
#define SLOT_EVENT (SLOT_PORT + WORKERS)
#define SLOT_FREE (SLOT_EVENT + 1)
#define XOR 0x5a5aull
#define OPEN_MAX 32u
#define AREA 0x200000000000ull               /* where a worker's threads race for memory */
#define AREA_PAGES 64u

static char stacks[THREADS][STACK] __attribute__((aligned(4096)));
static char data[THREADS][3 * 4096] __attribute__((aligned(4096)));
static x_handle_t ports[WORKERS], event, workers[WORKERS];
static uint64_t seeds[THREADS + 1], next_object, next_cookie;
static uint32_t futex_word;

uint64_t now(void) { return (uint64_t)x_clock(X_CLOCK_MONOTONIC); }

uint32_t any(uint32_t who, uint32_t below)
{
	uint64_t *s = &seeds[who];

	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return (uint32_t)(*s >> 20) % below;
}

void pause_ns(uint64_t ns)
{
	x_wait(NULL, 0, now() + ns, NULL);
}

/* ---- workers ---- */

/* By the object's flows, if it has any: anything may come of it. */
static void move_some(uint32_t me, x_handle_t target)
{
	struct x_flow_address from;

	for (uint32_t i = any(me, 4); i; i--)
		x_stream_flow(target, (any(me, 2) ? X_STREAM_READ : X_STREAM_WRITE) | (any(me, 2) ? X_STREAM_NOWAIT : 0),
			      data[me], any(me, sizeof(data[0])), any(me, 2) ? &from : NULL);
}

static void call_one(uint32_t me, x_handle_t target)
{
	uint64_t request = any(me, 1u << 30);
	struct x_call c = {
		.deadline_ns = any(me, 8) ? now() + any(me, 20) * MS : X_FOREVER,
		.recv_min = SLOT_FREE, .recv_end = X_SLOT_MAX, .flags = any(me, 8),
	};
	int64_t status;

	c.msg.a[0] = request;
	c.win_count = any(me, 3);
	for (uint32_t i = 0; i < c.win_count; i++) {
		c.win[i].addr = (uint64_t)data[me] + any(me, 4096);
		c.win[i].len = any(me, sizeof(data[0]));
		c.win[i].flags = X_WIN_READ | X_WIN_WRITE;
	}
	if (any(me, 4) == 0) { /* a duplicate of the event travels along, and moves */
		int64_t copy = x_handle_dup(SLOT_EVENT, 0, SLOT_FREE, 0);

		c.handles[0] = (uint32_t)copy;
		c.handle_count = copy >= 0;
		c.flags |= X_CALL_MOVE;
	}
	status = x_call(target, &c);
	if (status < 0)
		return;
	if (c.msg.a[0] != (request ^ XOR))
		server_die("FAILED: wrong answer");
	for (uint32_t i = 0; i < c.handle_count; i++) {
		move_some(me, c.handles[i]);
		if (any(me, 2))
			call_one(me, c.handles[i]);
		x_handle_close(c.handles[i]);
	}
}

/* A flow of any kind for an object just minted, or a pipe between it and the one before; and
 * the entry that has it run: of a kind that it may not be. Those who wait do so for a while. */
static void give_flow(uint32_t me, uint64_t id, struct x_out *o)
{
	struct x_mem_create create = { .bytes = 65536 };
	int64_t memory = x_mem_create(&create);
	struct x_flow_pipe pipe = { .reader = id, .writer = id - 1, .offset = any(me, 30000), .bytes = 1 + any(me, 30000),
				    .memory = (uint32_t)memory };
	bool piped = false;

	*o = (struct x_out){ .kind = X_OUT_FLOW, .id = id, .value = MS + any(me, 3) * MS, .mask = any(me, 4),
			     .flags = any(me, 3) };
	if (memory < 0)
		return;
	if (any(me, 3))
		x_flow_set(SLOT_OWN, id, o->mask, (x_handle_t)memory, 0);
	else
		piped = !x_flow_pipe(SLOT_OWN, &pipe);
	o->mask = piped ? X_FLOW_IN : o->mask;
	x_handle_close((x_handle_t)memory);
	o->msg.a[6] = any(me, 3000);
	if (piped || o->flags == X_FLOW_STOP)
		return;
	o->msg.op = any(me, 2);
	o->msg.a[0] = any(me, 1000) * 64;
	o->msg.a[1] = 4 + any(me, 1500);
}

static void fill_answer(uint32_t me, struct x_out *o, const struct x_in *in)
{
	memset(o, 0, sizeof(*o));
	o->kind = X_OUT_ANSWER;
	o->id = in->id;
	o->msg.a[0] = in->msg.a[0] ^ XOR;
	if (in->win_count && any(me, 2)) {
		o->copy_src = (uint64_t)data[me];
		o->copy_len = any(me, 8192);
	}
	if (any(me, 4) == 0) {
		uint64_t id = __atomic_add_fetch(&next_object, 1, __ATOMIC_RELAXED);
		int64_t h = x_mint(SLOT_OWN, id, any(me, 2), 0, 0);

		o->handles[0] = (uint32_t)h;
		o->handle_count = h >= 0;
	}
}

static void serve_some(uint32_t me)
{
	struct x_out out[8];
	struct x_in in[4];
	struct x_commit c = { .out = (uint64_t)out, .in = (uint64_t)in };

	for (uint32_t round = 0; round < 4; round++) {
		struct x_out flow = { 0 };
		int64_t n;

		c.in_max = round < 3 ? 4 : 0; /* the last one only answers */
		c.deadline_ns = now() + any(me, 3) * MS;
		n = x_commit_receive(SLOT_OWN, &c);
		if (n < 0 && n != -X_EPROTO)
			return;
		c.out_count = 0;
		for (int64_t i = 0; i < n; i++) {
			for (uint32_t k = 0; k < in[i].handle_count; k++)
				x_handle_close(in[i].handles[k]);
			if (in[i].kind == X_IN_CLOSURE)
				out[c.out_count++] = (struct x_out){ .kind = X_OUT_CLOSURE_ACK, .id = in[i].object };
			if (in[i].kind != X_IN_CALL)
				continue;
			if (any(me, 4) == 0) {
				struct x_window_copy w = { .id = in[i].id, .to_window = any(me, 2),
							   .addr = (uint64_t)data[me], .len = any(me, 8192) };

				x_window_copy(SLOT_OWN, &w);
			}
			fill_answer(me, &out[c.out_count++], &in[i]);
			if (out[c.out_count - 1].handle_count && any(me, 2))
				give_flow(me, __atomic_load_n(&next_object, __ATOMIC_RELAXED), &flow);
		}
		if (flow.kind)
			out[c.out_count++] = flow;
		if (round < 2 && any(me, 3) == 0) {
			struct x_out *o = &out[c.out_count++];

			*o = (struct x_out){ .kind = X_OUT_START, .target = SLOT_PORT + any(me, WORKERS) };
			o->id = __atomic_add_fetch(&next_cookie, 1, __ATOMIC_RELAXED);
			o->win_count = 1;
			o->win[0] = (struct x_window){ (uint64_t)data[me], 4096, X_WIN_READ };
			if (any(me, 2))
				out[c.out_count++] = (struct x_out){ .kind = X_OUT_CANCEL, .id = o->id };
		}
	}
}

/* All threads of a worker change the same addresses, and have the kernel copy from
 * and to them meanwhile: what is gone by then is an error, never more. */
static void race_for_memory(uint32_t me)
{
	uint64_t at = AREA + any(me, AREA_PAGES) * 4096ull, len = (1 + any(me, 8)) * 4096ull;
	struct x_mem_create create = { .bytes = AREA_PAGES * 4096ull };
	struct x_mem_map m = { .space = X_SELF, .memory = X_NO_HANDLE, .addr = at, .len = len,
			       .prot = X_PROT_READ | X_PROT_WRITE, .flags = X_MAP_FIXED | X_MAP_LAZY };
	int64_t object;

	switch (any(me, 8)) {
	case 0: case 1:
		x_mem_map(&m);
		break;
	case 2:
		x_mem_unmap(X_SELF, at, len);
		break;
	case 3:
		x_mem_protect(X_SELF, at, len, any(me, 2) ? X_PROT_READ : X_PROT_READ | X_PROT_WRITE);
		break;
	case 4:
		x_mem_move(at, len, len + 4096, 0, X_MAP_NOREPLACE);
		break;
	case 5:
		object = x_mem_create(&create);
		if (object < 0)
			break;
		m.memory = (x_handle_t)object;
		m.flags |= any(me, 2) ? X_MAP_PRIVATE : 0;
		x_mem_copy((x_handle_t)object, any(me, 4096), (void *)at, any(me, 30000), 1);
		x_mem_map(&m);
		x_mem_copy((x_handle_t)object, any(me, 4096), (void *)at, any(me, 30000), 0);
		x_handle_close((x_handle_t)object);
		break;
	default:
		x_space_copy(X_SELF, at + any(me, 4096), (void *)(AREA + any(me, AREA_PAGES) * 4096ull), any(me, 70000), any(me, 2));
	}
}

static void do_other(uint32_t me)
{
	struct x_wait_item item = { SLOT_EVENT, 1, 0, 0 };
	struct x_mem_map m = { .space = X_SELF, .memory = X_NO_HANDLE, .len = 4096 * (1 + any(me, 8)),
			       .prot = X_PROT_READ | X_PROT_WRITE };
	int64_t at;

	switch (any(me, 8)) {
	case 6: case 7:
		race_for_memory(me);
		break;
	case 5:
		if (x_thread_affinity(X_SELF, 0, 1 + any(me, 15)) == 0)
			server_die("FAILED: no CPU to run on");
		break;
	case 0:
		x_event_signal(SLOT_EVENT, 1);
		break;
	case 1:
		x_wait(&item, 1, now() + any(me, 3) * MS, NULL);
		x_event_take(SLOT_EVENT, 1);
		break;
	case 2:
		x_futex_wait(&futex_word, 0, now() + any(me, 3) * MS, ~0u);
		break;
	case 3:
		x_futex_wake(&futex_word, 2, ~0u, NULL, 0);
		break;
	case 4:
		at = x_mem_map(&m);
		if (at > 0) {
			*(volatile uint32_t *)at = me;
			x_mem_unmap(X_SELF, (uint64_t)at, m.len);
		}
	}
}

static void worker(uint64_t arg)
{
	uint32_t me = (uint32_t)arg;

	for (;;) {
		switch (any(me, 4)) {
		case 0:
			call_one(me, SLOT_PORT + any(me, WORKERS));
			break;
		case 1: case 2:
			serve_some(me);
			break;
		case 3:
			do_other(me);
		}
		if (any(me, 2000) == 0)
			x_proc_exit(0);
	}
}

/* ---- the first process ---- */

void fail(const char *what, int64_t error)
{
	server_log("torture FAILED: %s (%d)", what, (int)error);
	x_system(boot_handle("resource"), X_SYS_POWEROFF, 0);
}

static void start_worker(uint32_t w)
{
	uint32_t running = 0;
	int64_t p, err;

	for (uint32_t i = 0; i < THREADS; i++)
		seeds[i] = (any(THREADS, UINT32_MAX) + i) * 0x9e3779b97f4a7c15ull + 1;
	p = clone_self(boot_handle("resource"), "worker", X_BAND_PROGRAM);
	if (p < 0)
		fail("no process", p);
	workers[w] = (x_handle_t)p;
	err = x_proc_grant(workers[w], ports[w], 0, SLOT_OWN);
	for (uint32_t i = 0; i < WORKERS && err >= 0; i++)
		err = x_proc_grant(workers[w], ports[i], X_R_CALL, SLOT_PORT + i);
	if (err >= 0)
		err = x_proc_grant(workers[w], event, 0, SLOT_EVENT);
	while (err >= 0 && running < THREADS) {
		err = clone_thread(workers[w], worker, running, stacks[running] + STACK);
		running += err >= 0;
	}
	/* one that runs already may have ended the process */
	if (err < 0 && !(running && err == -X_ESRCH))
		fail("no worker", err);
}

void end_process(x_handle_t process)
{
	struct x_proc_info info = { 0 };
	uint64_t deadline = now() + PATIENCE_NS;

	x_proc_kill(process, 9);
	for (;;) {
		x_proc_info(process, &info);
		if (info.state == X_PROC_DEAD)
			break;
		if (now() > deadline)
			fail("a killed process does not die", info.threads);
		pause_ns(MS / 4);
	}
	if (info.death == X_DEATH_EXCEPTION || (info.death == X_DEATH_EXIT && info.status != 0))
		fail("a worker failed", info.status);
	x_handle_close(process);
}

static uint32_t torment(void)
{
	uint32_t me = THREADS, w = any(me, WORKERS), kills = 0;

	switch (any(me, 4)) {
	case 0: case 1:
		end_process(workers[w]);
		if (any(me, 2))
			x_port_reset(ports[w]);
		start_worker(w);
		kills++;
		break;
	case 2:
		x_proc_suspend(workers[w], 1);
		pause_ns(any(me, 5) * MS);
		x_proc_suspend(workers[w], 0);
		break;
	case 3:
		x_port_reset(ports[w]);
	}
	pause_ns(any(me, 10) * MS);
	return kills;
}

/* Everything as it was, soon: dying threads may need a moment. */
static void check_baseline(const struct x_system_info *before)
{
	struct x_system_info after;
	uint64_t deadline = now() + PATIENCE_NS;

	do {
		x_system_info(&after);
		if (!memcmp(before->objects, after.objects, sizeof(after.objects)) &&
		    before->threads == after.threads)
			return;
		pause_ns(MS);
	} while (now() < deadline);
	for (uint32_t i = 0; i < 16; i++)
		if (before->objects[i] != after.objects[i])
			server_log("objects of type %u: %llu before, %llu after", i,
				   (unsigned long long)before->objects[i], (unsigned long long)after.objects[i]);
	fail("objects left", 0);
}

static uint64_t delivered_so_far(void)
{
	struct x_port_info info;
	uint64_t delivered = 0;

	for (uint32_t w = 0; w < WORKERS; w++) {
		x_port_info(ports[w], &info);
		delivered += info.delivered;
	}
	return delivered;
}

/* 16 CPUs of a host that has two, and is busy, get through few: then it takes longer. */
static uint32_t one_round(void)
{
	uint64_t start = now(), delivered;
	struct x_system_info before;
	uint32_t kills = 0;

	x_system_info(&before);
	event = (x_handle_t)x_event_create();
	for (uint32_t w = 0; w < WORKERS; w++)
		ports[w] = (x_handle_t)x_port_create();
	for (uint32_t w = 0; w < WORKERS; w++)
		start_worker(w);
	while (now() < start + ROUND_NS ||
	       ((delivered_so_far() < ITEMS_LEAST || kills < KILLS_LEAST) && now() < start + 20 * ROUND_NS))
		kills += torment();
	for (uint32_t w = 0; w < WORKERS; w++)
		end_process(workers[w]);
	delivered = delivered_so_far();
	for (uint32_t w = 0; w < WORKERS; w++)
		x_handle_close(ports[w]);
	x_handle_close(event);
	check_baseline(&before);
	server_log("%llu items delivered", (unsigned long long)delivered);
	if (delivered < ITEMS_LEAST)
		fail("too few calls", (int64_t)delivered);
	if (kills < KILLS_LEAST)
		fail("too few kills", kills);
	return kills;
}

static void spin(uint64_t unused)
{
	(void)unused;
	for (;;)
		__asm__ volatile("" : : : "memory");
}

static void ring(uint64_t unused)
{
	(void)unused;
	for (;;)
		x_event_signal(SLOT_EVENT, 1);
}

static x_handle_t start_in_band(const char *name, void (*entry)(uint64_t), uint32_t threads, uint32_t band)
{
	int64_t p = clone_self(boot_handle("resource"), name, band), err = p;

	if (err >= 0)
		err = x_proc_grant((x_handle_t)p, event, 0, SLOT_EVENT);
	for (uint32_t i = 0; i < threads && err >= 0; i++)
		err = clone_thread((x_handle_t)p, entry, 0, stacks[i % THREADS] + STACK);
	if (err < 0)
		fail("no process in another band", err);
	return (x_handle_t)p;
}

/* One server that never waits on each CPU: a driver that wakes (this process) runs
 * at once. If not it never wakes from its pauses, and the test does not end. */
static void check_preemption(void)
{
	struct x_system_info info;
	x_handle_t spinners;

	x_system_info(&info);
	event = (x_handle_t)x_event_create();
	spinners = start_in_band("spin", spin, (uint32_t)info.cpus_online, X_BAND_SERVER);
	for (uint32_t i = 0; i < 50; i++)
		pause_ns(MS);
	x_proc_kill(spinners, 9);
	x_handle_close(spinners);
	x_handle_close(event);
}

/* Servers that never wait, on all CPUs: programs get their turn nevertheless. */
static void check_budgets(void)
{
	struct x_wait_item item = { 0, 1, 0, 0 };
	x_handle_t spinners, program;

	event = (x_handle_t)x_event_create();
	item.handle = event;
	spinners = start_in_band("spin", spin, 16, X_BAND_SERVER);
	pause_ns(300 * MS);
	program = start_in_band("program", ring, 1, X_BAND_PROGRAM);
	if (x_wait(&item, 1, now() + PATIENCE_NS, NULL) != 1)
		fail("a program starved", 0);
	x_proc_kill(spinners, 9);
	x_proc_kill(program, 9);
	x_handle_close(spinners);
	x_handle_close(program);
	x_handle_close(event);
}

/* NAME=N of the kernel's command line. */
static uint64_t option(const char *name, uint64_t otherwise)
{
	const char *text = boot_option(name);
	uint64_t n = 0;

	for (; text && *text >= '0' && *text <= '9'; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	return n ? n : otherwise;
}

void server_main(void)
{
	struct x_system_info first, last;
	uint64_t rounds = option("rounds", ROUNDS);
	uint32_t kills = 0;

	seeds[THREADS] = option("seed", 1) * 0x9e3779b97f4a7c15ull | 1;
	for (uint32_t i = 0; i < rounds; i++) {
		kills += one_round();
		x_system_info(i ? &last : &first);
		server_log("round %u: %u kills, %llu KiB free", i, kills,
			   (unsigned long long)(i ? last : first).free_bytes >> 10);
	}
	check_preemption();
	check_budgets();
	torture_flows();
	/* What the first round left behind is caches; the second adds little. */
	if (last.free_bytes + (256u << 10) < first.free_bytes)
		fail("memory lost", (int64_t)(first.free_bytes - last.free_bytes));
	server_log("torture ok");
	x_system(boot_handle("resource"), X_SYS_POWEROFF, 0);
}
