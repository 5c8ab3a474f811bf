/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows under torture: the first process serves an object with a flow each way, and
 * a pipe. A program's threads read, write, and check every byte, which follows from
 * its position; the program is suspended, killed at any moment and replaced by one
 * that goes on where the kernel says it was, while extents are appended and the flows
 * are stopped and started. Now and then the port is reset, and all begins anew.
 *
 * Looked at in each state that the kernel tells: bytes and extents never become less
 * or more than were appended, what waits is the rest, and what was written is there.
 */
#include "lib/c/string.h"
#include "lib/ipc/server.h"
#include "tests/native/clone.h"
#include "tests/native/torture/torture.h"

#define RUN_NS     3000000000ull   /* or until enough has flowed */
#define BYTES_LEAST 20000u         /* each way */
#define AREA_BYTES (192u * 1024)
#define PIPE_BYTES 50001u
#define EXTENTS    40u             /* of a flow at a time */
#define SLOT_BOTH  X_SLOT_NATIVE   /* the program's handles */
#define SLOT_READS (X_SLOT_NATIVE + 1)
#define SLOT_WRITES (X_SLOT_NATIVE + 2)
#define PART       20000u
#define STACK      16384u

enum { IN, OUT, PIPE_READ, PIPE_WRITE, ROLES }; /* of the program's threads; IN and OUT: which flow */

static struct way {
	uint64_t published, appended;  /* bytes and extents, ever */
	uint64_t bytes, extents;       /* moved, as last told */
	uint64_t looked_at;            /* OUT: bytes */
} ways[2];

static char stacks[ROLES][STACK] __attribute__((aligned(4096)));
static uint8_t buffers[ROLES][PART];
static uint64_t start_at[ROLES], object, total[2];
static x_handle_t port, memory, handles[3], program;
static uint8_t *area;

static uint8_t byte_at(uint64_t position)
{
	return (uint8_t)(position * 0x9e3779b97f4a7c15ull >> 51);
}

/* ---- the program ---- */

static void moved(uint32_t role, uint64_t at, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes && !(role & 1); i++)
		if (buffers[role][i] != byte_at(at + i))
			server_die("FAILED: flow %u: byte %llu is wrong", role, (unsigned long long)(at + i));
}

static void role_main(uint64_t role)
{
	static const x_handle_t slots[] = { SLOT_BOTH, SLOT_BOTH, SLOT_READS, SLOT_WRITES };
	uint64_t at = start_at[role], seed = (at + role + 1) * 0x9e3779b97f4a7c15ull;

	for (;;) {
		uint64_t bytes = (seed = seed * 6364136223846793005ull + 1442695040888963407ull) >> 33;
		uint32_t op = (role & 1 ? X_STREAM_WRITE : X_STREAM_READ) | (bytes & 1 ? X_STREAM_NOWAIT : 0);
		int64_t n;

		bytes = 1 + bytes % (bytes & 2 ? PART : 200);
		for (uint64_t i = 0; i < bytes && role & 1; i++)
			buffers[role][i] = byte_at(at + i);
		n = x_stream_flow(slots[role], op, buffers[role], bytes, NULL);
		if (n > (int64_t)bytes)
			server_die("FAILED: more was moved than asked for");
		if (n > 0) {
			moved((uint32_t)role, at, (uint64_t)n);
			at += (uint64_t)n;
		} else if (n == -X_EWAIT || n == -X_EAGAIN) {
			pause_ns(MS / 4);
		} else if (n != -X_EINTR) {
			server_die("FAILED: a flow says %d", (int)n);
		}
	}
}

/* ---- the server ---- */

static void commit(struct x_out *out, uint32_t count)
{
	struct x_in in[8];
	struct x_commit c = { .out = (uint64_t)out, .out_count = count, .in = (uint64_t)in, .in_max = 8,
			      .deadline_ns = now() + any(MASTER, 4) * (MS / 4) };
	int64_t n = x_commit_receive(port, &c);

	if (n < 0 && n != -X_ETIMEDOUT)
		fail("a commit with flows", n);
	for (int64_t i = 0; i < n; i++)
		if (in[i].kind != X_IN_FLOW)
			fail("something else than a flow", in[i].kind);
}

static struct x_out entry(uint64_t id, uint32_t which, uint32_t mode)
{
	struct x_out o = { .kind = X_OUT_FLOW, .id = id, .mask = which, .flags = mode, .value = 3 * MS };

	o.msg.a[6] = 1 + any(MASTER, 40000);
	return o;
}

static struct x_flow_state look(uint32_t which)
{
	struct way *w = &ways[which];
	struct x_flow_state s;
	int64_t err = x_flow_state(port, object, which, &s);

	if (err)
		fail("no state of a flow", err);
	if (s.bytes < w->bytes || s.bytes > w->published || s.extents < w->extents || s.extents > w->appended ||
	    s.waiting > w->appended - s.extents)
		fail("an impossible state of a flow", which);
	w->bytes = s.bytes;
	w->extents = s.extents;
	for (; which == OUT && w->looked_at < s.bytes; w->looked_at++)
		if (area[AREA_BYTES + w->looked_at % AREA_BYTES] != byte_at(w->looked_at))
			fail("what was written is not there", (int64_t)w->looked_at);
	return s;
}

/* Extents follow each other through the area again and again, so that a byte's place follows from its position. */
static void publish(uint32_t which)
{
	struct x_out out[3];
	uint32_t count = 1 + any(MASTER, 3);
	struct way *w = &ways[which];

	look(which);
	for (uint32_t i = 0; i < count; i++) {
		out[i] = entry(object, which, any(MASTER, 4) ? 0 : X_FLOW_LAST);
		while (out[i].msg.op < X_FLOW_OUT_EXTENTS && w->appended - w->extents < EXTENTS) {
			uint64_t at = w->published % AREA_BYTES, bytes = 1 + any(MASTER, any(MASTER, 2) ? 9000 : 90);
			uint64_t room = AREA_BYTES - (w->published - w->bytes);

			bytes = bytes < AREA_BYTES - at ? bytes : AREA_BYTES - at;
			if (bytes > room)
				break;
			for (uint64_t k = 0; k < bytes && which == IN; k++)
				area[at + k] = byte_at(w->published + k);
			for (uint64_t k = 0; k < bytes && which == OUT; k++)
				area[AREA_BYTES + at + k] = (uint8_t)~byte_at(w->published + k);
			out[i].msg.a[2 * out[i].msg.op] = which * AREA_BYTES + at;
			out[i].msg.a[2 * out[i].msg.op++ + 1] = bytes;
			w->published += bytes;
			w->appended++;
		}
	}
	commit(out, count);
}

static void wait_until_stopped(uint64_t id, uint32_t which)
{
	uint64_t deadline = now() + PATIENCE_NS;
	struct x_flow_state s;

	do {
		int64_t err = x_flow_state(port, id, which, &s);

		if (err || now() > deadline)
			fail("a flow does not stop", err);
		commit(NULL, 0);
	} while (!s.stopped);
}

static void stop(uint32_t which)
{
	struct x_out out = entry(object, which, X_FLOW_STOP);
	struct way *w = &ways[which];

	commit(&out, 1);
	wait_until_stopped(object, which);
	look(which);
	w->published = w->bytes;
	w->appended = w->extents;
}

static void restart_pipe(void)
{
	struct x_out out = entry(object + 1, X_FLOW_IN, X_FLOW_STOP);

	commit(&out, 1);
	wait_until_stopped(object + 1, X_FLOW_IN);
	out = entry(object + 1, X_FLOW_IN, 0);
	commit(&out, 1);
}

static void start_program(void)
{
	int64_t p, err;

	for (uint32_t i = 0; i < 2; i++)
		start_at[i] = look(i).bytes;
	restart_pipe();
	p = clone_self(boot_handle("resource"), "flows", X_BAND_PROGRAM);
	if (p < 0)
		fail("no process for flows", p);
	program = (x_handle_t)p;
	err = x_proc_grant(program, handles[0], X_R_CALL, SLOT_BOTH);
	for (uint32_t i = 1; i < 3 && err >= 0; i++)
		err = x_proc_grant(program, handles[i], X_R_CALL, SLOT_BOTH + i);
	for (uint32_t i = 0; i < ROLES && err >= 0; i++)
		err = clone_thread(program, role_main, i, stacks[i] + STACK);
	if (err < 0)
		fail("no program for flows", err);
}

static void make_objects(void)
{
	struct x_flow_pipe pipe = { .offset = 2 * AREA_BYTES, .bytes = PIPE_BYTES, .memory = memory };
	int64_t err = 0;

	object += 10;
	memset(ways, 0, sizeof(ways));
	for (uint32_t i = 0; i < 3; i++) {
		int64_t h = x_mint(port, object + i, 0, 0, 0);

		if (h < 0)
			fail("no object", h);
		handles[i] = (x_handle_t)h;
	}
	pipe.reader = object + 1;
	pipe.writer = object + 2;
	for (uint32_t i = 0; i < 2 && !err; i++)
		err = x_flow_set(port, object, i, memory, 0);
	if (!err)
		err = x_flow_pipe(port, &pipe);
	if (err)
		fail("no flow", err);
}

static void add_up(void)
{
	for (uint32_t i = 0; i < 2; i++)
		total[i] += look(i).bytes;
}

/* Of the two ways the one with less, as last told. */
static uint64_t has_flowed_least(void)
{
	uint64_t in = total[IN] + ways[IN].bytes, out = total[OUT] + ways[OUT].bytes;

	return in < out ? in : out;
}

static void begin_anew(void)
{
	end_process(program);
	add_up();
	if (x_port_reset(port))
		fail("a port with flows is not reset", 0);
	for (uint32_t i = 0; i < 3; i++)
		x_handle_close(handles[i]);
	make_objects();
	start_program();
}

static void one_step(void)
{
	uint32_t die = any(MASTER, 60);

	if (die == 0) {
		end_process(program);
		start_program();
	} else if (die == 1) {
		begin_anew();
	} else if (die == 2) {
		x_proc_suspend(program, 1);
		pause_ns(any(MASTER, 3) * MS);
		x_proc_suspend(program, 0);
	} else if (die < 7) {
		stop(any(MASTER, 2));
	} else {
		publish(any(MASTER, 2));
	}
}

void torture_flows(void)
{
	struct x_mem_create create = { .bytes = 2 * AREA_BYTES + PIPE_BYTES };
	struct x_mem_map map = { .space = X_SELF, .len = create.bytes, .prot = X_PROT_READ | X_PROT_WRITE };
	uint64_t start = now();

	port = (x_handle_t)x_port_create();
	memory = map.memory = (x_handle_t)x_mem_create(&create);
	area = (uint8_t *)x_mem_map(&map);
	make_objects();
	start_program();
	while (now() < start + RUN_NS || (has_flowed_least() < BYTES_LEAST && now() < start + PATIENCE_NS))
		one_step();
	end_process(program);
	add_up();
	server_log("flows moved %llu bytes in, %llu out", (unsigned long long)total[IN], (unsigned long long)total[OUT]);
	if (total[IN] < BYTES_LEAST || total[OUT] < BYTES_LEAST)
		fail("too little has flowed", (int64_t)total[IN]);
	for (uint32_t i = 0; i < 3; i++)
		x_handle_close(handles[i]);
	x_handle_close(memory);
	x_handle_close(port);
}
