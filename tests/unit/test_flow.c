/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Flows: a process is server and program at once, step by step; two programs that
 * read a stream whose server dies and goes on; and a pipe that its server stops again and again.
 */
// sources: kernel/core/object.c kernel/core/account.c kernel/core/call.c kernel/core/span.c kernel/core/fastpath.c kernel/core/port.c kernel/core/record.c kernel/core/route.c kernel/core/event.c kernel/core/wait.c kernel/core/waitset.c kernel/core/flow.c kernel/core/stream.c
// sources: kernel/core/sched.c kernel/core/process.c tests/unit/fake_sched.c
// cflags: -DDIRECT_MAP_BASE=0 -DCALLS_KEPT=0u -DFAKE_USER_COPY -include tests/unit/fake_sched.h
#include "kernel/core/call.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static struct process *owner;
static struct port *port;
static uint32_t port_slot, object, memory;
static void (*script)(struct thread *t);
static uint32_t left;       /* threads that have not done their part */

static int64_t take(void *buf, uint64_t len, uint32_t flags)
{
	return sys_stream(object, X_STREAM_READ | flags, (uint64_t)buf, len, -1, 0);
}

static int64_t put(const void *buf, uint64_t len)
{
	return sys_stream(object, X_STREAM_WRITE | X_STREAM_NOWAIT, (uint64_t)buf, len, -1, 0);
}

static int64_t commit(struct x_out *out, uint32_t count, struct x_in *in, uint32_t in_max)
{
	struct x_commit c = { .out = (uint64_t)out, .out_count = count, .in = (uint64_t)in, .in_max = in_max };
	int64_t n = -X_EPROTO;

	for (int i = 0; i < 5 && n == -X_EPROTO; i++) /* fake_sched.c changes an entry now and then */
		n = sys_commit_receive(port_slot, (uint64_t)&c);
	return n == -X_ETIMEDOUT ? 0 : n;
}

static struct x_out entry(uint32_t which, uint32_t mode, uint64_t tell)
{
	struct x_out o = { .kind = X_OUT_FLOW, .id = 7, .mask = which, .flags = mode };

	o.msg.a[6] = tell;
	return o;
}

static void add(struct x_out *o, uint64_t offset, uint64_t bytes)
{
	o->msg.a[2 * o->msg.op] = offset;
	o->msg.a[2 * o->msg.op++ + 1] = bytes;
}

static struct x_flow_state state_of(uint32_t which)
{
	struct x_flow_state s = { 0 };

	assert_int_equal(sys_flow_state(port_slot, 7, which, (uint64_t)&s), 0);
	return s;
}

static uint32_t ready(void)
{
	return (uint32_t)sys_object_ctl(object, X_OBJ_GET_READY, 0);
}

static void stream_in(void)
{
	struct x_out o = entry(X_FLOW_IN, 0, 100), two[2];
	char buf[20000];
	struct x_in in;

	assert_int_equal(take(buf, 10, 0), -X_EWAIT);
	assert_int_equal(sys_flow_set(port_slot, 8, X_FLOW_IN, memory, 0), -X_ENOENT);
	assert_int_equal(sys_flow_set(port_slot, 7, 4, memory, 0), -X_EINVAL);
	for (int i = 0; i < 2; i++) /* again, after an iteration that was undone */
		assert_int_equal(sys_flow_set(port_slot, 7, X_FLOW_IN, memory, 04000), 0);
	assert_int_equal(take(buf, 10, 0), -X_EWAIT); /* still stopped */

	add(&o, 4000, 6000);
	add(&o, 100, 50);
	two[0] = two[1] = o;
	two[1].msg.a[1] = ARENA_PAGES * PAGE_SIZE;
	assert_int_equal(commit(two, 2, NULL, 0), -X_EPROTO); /* and nothing was appended */
	assert_int_equal(take(buf, 10, 0), -X_EWAIT);
	assert_int_equal(ready(), 0);
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	assert_int_equal(ready(), X_READY_IN);

	assert_int_equal(take(buf, 50, 0), 50);
	assert_memory_equal(buf, fake_arena + 4000, 50);
	assert_int_equal(state_of(X_FLOW_IN).bytes, 50);
	assert_int_equal(state_of(X_FLOW_IN).waiting, 2);
	assert_int_equal(commit(NULL, 0, &in, 1), 0); /* not enough to be told */
	assert_int_equal(take(buf, sizeof(buf), 0), 6000);
	assert_memory_equal(buf, fake_arena + 4050, 5950);
	assert_memory_equal(buf + 5950, fake_arena + 100, 50);
	assert_int_equal(ready(), 0);
	assert_int_equal(take(buf, 1, X_STREAM_NOWAIT), -X_EAGAIN);
	assert_int_equal(commit(NULL, 0, &in, 1), 1);
	assert_true(in.kind == X_IN_FLOW && in.object == 7 && in.msg.op == X_FLOW_IN);
	assert_int_equal(in.msg.a[0], 2);
	assert_int_equal(in.msg.a[1], 6050);
	port_undo(port, owner); /* died of it: told again */
	assert_int_equal(commit(NULL, 0, &in, 1), 1);
	assert_int_equal(in.msg.a[1], 6050);
	assert_int_equal(commit(NULL, 0, &in, 1), 0);

	sys_object_ctl(object, X_OBJ_SET_FLAGS, 04000);
	assert_int_equal(take(buf, 1, 0), -X_EAGAIN);
	sys_object_ctl(object, X_OBJ_SET_FLAGS, 0);
	o = entry(X_FLOW_IN, X_FLOW_LAST, 1);
	add(&o, 0, 10);
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	assert_int_equal(take(buf, 20, 0), 10);
	assert_int_equal(take(buf, 20, X_STREAM_GOES_ON), -X_EAGAIN);
	assert_int_equal(take(buf, 20, 0), -X_EWAIT);
	assert_int_equal(take((void *)8, 20, 0), -X_EWAIT);
}

static void stopping(void)
{
	struct x_out o = entry(X_FLOW_IN, 0, 1 << 20);
	struct x_in in;
	char buf[100];

	add(&o, 0, 10);
	add(&o, 10, 10);
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	assert_int_equal(take((void *)8, 5, 0), -X_EFAULT);
	assert_int_equal(take(buf, 5, 0), 5);
	o = entry(X_FLOW_IN, X_FLOW_STOP, 1 << 20);
	while (commit(NULL, 0, &in, 1))
		;
	assert_int_equal(commit(&o, 1, &in, 1), 1);
	assert_true(in.kind == X_IN_FLOW && in.msg.a[3]);
	assert_int_equal(in.msg.a[1] % 100, (6050 + 10 + 5) % 100);
	assert_int_equal(take(buf, 5, 0), -X_EWAIT);
	assert_int_equal(ready(), 0);
	o = entry(X_FLOW_IN, 0, 1 << 20);
	for (int i = 0; i < 22; i++) { /* 66 extents: too many, it stops */
		o.msg.op = 0;
		for (int k = 0; k < 3; k++)
			add(&o, 0, 1);
		assert_int_equal(commit(&o, 1, NULL, 0), 0);
		o.flags = 0;
		if (i == 20)
			assert_int_equal(state_of(X_FLOW_IN).waiting, 63);
	}
	assert_true(state_of(X_FLOW_IN).stopped);
	assert_int_equal(state_of(X_FLOW_IN).waiting, 0);
}

static void stream_out(void)
{
	struct x_out o = entry(X_FLOW_OUT, 0, 1);
	struct x_in in;

	assert_int_equal(sys_flow_set(port_slot, 7, X_FLOW_OUT, memory, 0), 0);
	while (commit(NULL, 0, &in, 1))
		;
	add(&o, PAGE_SIZE - 3, 8);
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	assert_int_equal(ready(), X_READY_OUT);
	assert_int_equal(put("abcde", 5), 5);
	assert_memory_equal(fake_arena + PAGE_SIZE - 3, "abcde", 5);
	assert_int_equal(ready(), X_READY_OUT);
	assert_int_equal(put("fghijkl", 7), 3);
	assert_int_equal(ready(), 0);
	assert_int_equal(put("x", 1), -X_EAGAIN);
	assert_int_equal(commit(NULL, 0, &in, 1), 1);
	assert_true(in.msg.op == X_FLOW_OUT && in.msg.a[0] == 1 && in.msg.a[1] == 8);
	assert_int_equal(sys_flow_set(port_slot, 7, X_FLOW_OUT, memory, 0), -X_EEXIST);
}

static void datagrams(void)
{
	struct x_out o = entry(X_FLOW_IN | X_FLOW_DATAGRAM, 0, 1);
	struct x_flow_address from, *sender = (struct x_flow_address *)&o.msg.a[2];
	char buf[100];

	object = sys_mint(port_slot, 7, 0, 0, 0);
	assert_int_equal(sys_flow_set(port_slot, 7, X_FLOW_IN | X_FLOW_DATAGRAM, memory, 0), 0);
	assert_int_equal(sys_flow_set(port_slot, 7, X_FLOW_OUT | X_FLOW_DATAGRAM, memory, 0), 0);
	o.msg.op = 1;
	o.msg.a[0] = 5000;
	o.msg.a[1] = 30;
	*sender = (struct x_flow_address){ { 1, 2, 3 }, 16 };
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	o.msg.a[1] = 0;
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	assert_int_equal(sys_stream(object, X_STREAM_READ, (uint64_t)buf, 20, -1, 8), -X_EFAULT); /* not used up */
	assert_int_equal(sys_stream(object, X_STREAM_READ, (uint64_t)buf, 20, -1, (uint64_t)&from), 30);
	assert_memory_equal(buf, fake_arena + 5000, 20);
	assert_true(from.length == 16 && from.bytes[2] == 3);
	assert_int_equal(state_of(X_FLOW_IN).bytes, 30); /* what was cut off counts */
	assert_int_equal(take(buf, 0, 0), -X_EWAIT);
	assert_int_equal(take(buf, 0, X_STREAM_FLOW), 0);
	assert_int_equal(take(buf, 20, X_STREAM_NOWAIT), -X_EAGAIN);
	assert_int_equal(state_of(X_FLOW_IN).extents, 2);

	o = entry(X_FLOW_OUT | X_FLOW_DATAGRAM, 0, 1);
	add(&o, 2, 100);
	assert_int_equal(commit(&o, 1, NULL, 0), -X_EPROTO); /* its length would not be aligned */
	o.msg.op = 0;
	add(&o, 4092, 14);
	add(&o, 0, 14);
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	assert_int_equal(put("0123456789a", 11), -X_EWAIT); /* too long */
	assert_int_equal(put("0123456789", 10), 10);
	assert_int_equal(*(uint32_t *)(fake_arena + 4092), 10);
	assert_memory_equal(fake_arena + 4096, "0123456789", 10);
	assert_int_equal(put("", 0), 0);
	assert_int_equal(*(uint32_t *)fake_arena, 0);
	assert_int_equal(state_of(X_FLOW_OUT).extents, 2);
}

/* ---- pipes ---- */

static uint32_t reading, writing; /* handles */

static int64_t from_pipe(void *buf, uint64_t len, uint32_t flags)
{
	return sys_stream(reading, X_STREAM_READ | flags, (uint64_t)buf, len, -1, 0);
}

static int64_t to_pipe(const void *buf, uint64_t len, uint32_t flags)
{
	return sys_stream(writing, X_STREAM_WRITE | flags, (uint64_t)buf, len, -1, 0);
}

static int64_t make_pipe(uint64_t reader, uint64_t writer, uint64_t offset, uint32_t bytes)
{
	struct x_flow_pipe args = { reader, writer, offset, bytes, memory, 04000, 0 };

	return sys_flow_pipe(port_slot, (uint64_t)&args);
}

static struct x_flow_state pipe_state(uint64_t id)
{
	struct x_flow_state s = { 0 };

	assert_int_equal(sys_flow_state(port_slot, id, X_FLOW_PIPE, (uint64_t)&s), 0);
	return s;
}

static struct x_out pipe_entry(uint64_t id, uint32_t mode)
{
	return (struct x_out){ .kind = X_OUT_FLOW, .id = id, .mask = X_FLOW_PIPE, .flags = mode };
}

static uint32_t readiness(uint32_t slot)
{
	return (uint32_t)sys_object_ctl(slot, X_OBJ_GET_READY, 0);
}

static void drop(uint32_t slot)
{
	struct handle h;

	assert_int_equal(handle_remove(current_process(), slot, &h), 0);
	handle_drop(h);
}

static void pipes(void)
{
	static char big[3 * PAGE_SIZE];
	struct x_out o = pipe_entry(11, 0), stop = pipe_entry(11, X_FLOW_STOP), acks[2];
	struct x_in in[4];
	char buf[100];

	reading = (uint32_t)sys_mint(port_slot, 11, 0, 0, 0);
	writing = (uint32_t)sys_mint(port_slot, 12, 0, 0, 0);
	while (commit(NULL, 0, in, 4))
		;
	assert_int_equal(make_pipe(11, 13, 0, 8192), -X_ENOENT);
	assert_int_equal(make_pipe(11, 11, 0, 8192), -X_EINVAL);
	assert_int_equal(make_pipe(11, 12, 0, 0), -X_EINVAL);
	assert_int_equal(make_pipe(11, 12, ARENA_PAGES * PAGE_SIZE - 8191, 8192), -X_EINVAL);
	assert_int_equal(make_pipe(11, 12, UINT64_MAX, 8192), -X_EINVAL);
	assert_int_equal(make_pipe(11, 12, 0, 4096), 0);
	assert_int_equal(make_pipe(11, 12, PAGE_SIZE, 8192), 0); /* again, after an iteration that was undone */
	assert_int_equal(to_pipe("a", 1, 0), -X_EWAIT);
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	assert_int_equal(make_pipe(11, 12, 0, 4096), -X_EEXIST);
	assert_int_equal(from_pipe(buf, 1, X_STREAM_WRITE), -X_EWAIT); /* the wrong end */
	assert_int_equal(readiness(reading), 0);
	assert_int_equal(readiness(writing), X_READY_OUT);
	assert_int_equal(from_pipe(buf, 10, X_STREAM_NOWAIT), -X_EAGAIN);
	sys_object_ctl(reading, X_OBJ_SET_FLAGS, 04000);
	assert_int_equal(from_pipe(buf, 10, 0), -X_EAGAIN);

	assert_int_equal(to_pipe("hello", 5, 0), 5);
	assert_int_equal(readiness(reading), X_READY_IN);
	assert_int_equal(from_pipe((void *)8, 3, 0), -X_EFAULT);
	assert_int_equal(from_pipe(buf, 3, 0), 3);
	assert_memory_equal(buf, "hel", 3);
	assert_int_equal(pipe_state(11).waiting, 2);
	memset(big, 'b', sizeof(big));
	assert_int_equal(to_pipe(big, 4094, 0), 4094);
	assert_int_equal(readiness(writing), X_READY_OUT); /* 4096 left */
	assert_int_equal(to_pipe("x", 1, 0), 1);
	assert_int_equal(readiness(writing), 0);
	assert_int_equal(to_pipe(big, 4096, X_STREAM_NOWAIT), -X_EAGAIN); /* all of it or nothing */
	assert_int_equal(from_pipe(buf, 2, 0), 2);
	assert_int_equal(readiness(writing), X_READY_OUT);
	assert_int_equal(to_pipe(big, sizeof(big), X_STREAM_NOWAIT), 8192 - 4095);
	assert_int_equal(commit(NULL, 0, in, 4), 0); /* of all that the server hears nothing */

	assert_int_equal(commit(&stop, 1, in, 4), 1);
	assert_true(in[0].kind == X_IN_FLOW && in[0].object == 11 && in[0].msg.a[3]);
	assert_int_equal(in[0].msg.a[2], 8192);
	assert_int_equal(in[0].msg.a[0], 5);
	assert_memory_equal(fake_arena + PAGE_SIZE + 5, "bbb", 3);
	assert_int_equal(readiness(reading) | readiness(writing), 0);
	assert_int_equal(from_pipe(buf, 2, 0), -X_EWAIT);
	assert_int_equal(pipe_state(11).waiting, 8192);

	assert_int_equal(commit(&o, 1, NULL, 0), 0); /* once more: it is empty */
	assert_int_equal(to_pipe("again", 5, 0), 5);
	drop(reading); /* an end is gone: nothing is written any more, and what is left is the server's */
	assert_int_equal(to_pipe("y", 1, 0), -X_EWAIT);
	assert_int_equal(commit(NULL, 0, in, 4), 2);
	assert_true(in[0].kind == X_IN_FLOW && in[0].msg.a[2] == 5 && in[1].kind == X_IN_CLOSURE && in[1].object == 11);
	acks[0] = o; /* too late: it does not begin, and that is told as the other end's */
	acks[1] = (struct x_out){ .kind = X_OUT_CLOSURE_ACK, .id = 11 };
	assert_int_equal(commit(acks, 2, in, 4), 1);
	assert_true(in[0].kind == X_IN_FLOW && in[0].object == 12 && in[0].msg.a[3]);
	assert_int_equal(to_pipe("y", 1, 0), -X_EWAIT);
	drop(writing);
	assert_int_equal(commit(NULL, 0, in, 4), 1);
	acks[0] = (struct x_out){ .kind = X_OUT_CLOSURE_ACK, .id = 12 };
	assert_int_equal(commit(acks, 1, NULL, 0), 0);
}

static void steps(struct thread *t)
{
	(void)t;
	for (uint32_t i = 0; i < ARENA_PAGES * PAGE_SIZE; i++)
		fake_arena[i] = (char)(i * 7 + (i >> 8));
	object = sys_mint(port_slot, 7, 0, 0, 0);
	stream_in();
	stopping();
	stream_out();
	{
		struct x_in in[8];
		struct x_out ack = { .kind = X_OUT_CLOSURE_ACK, .id = 7 };

		drop(object);
		while (commit(NULL, 0, in, 8))
			;
		assert_int_equal(commit(&ack, 1, NULL, 0), 0);
	}
	datagrams();
	pipes();
	left--;
}

/* ---- a server that dies, and readers ---- */

#define TOTAL 200000u

static uint64_t appended, got, sum_in, sum_out;

static void serve(void)
{
	while (appended < TOTAL) {
		struct x_out o = entry(X_FLOW_IN, 0, 4096);
		struct x_in in[4];
		uint64_t before = appended;

		for (uint32_t i = fake_random(4); i && state_of(X_FLOW_IN).waiting < 60 && appended < TOTAL; i--) {
			uint64_t at = fake_random(8 * PAGE_SIZE), n = 1 + fake_random(3 * PAGE_SIZE);

			add(&o, at, n);
			for (uint64_t k = 0; k < n; k++)
				sum_in += (uint8_t)fake_arena[at + k];
			appended += n;
		}
		if (fake_random(5) == 0) { /* it dies before its commit */
			for (uint32_t i = 0; i < o.msg.op; i++)
				for (uint64_t k = 0; k < o.msg.a[2 * i + 1]; k++)
					sum_in -= (uint8_t)fake_arena[o.msg.a[2 * i] + k];
			appended = before;
			port_undo(port, owner);
			continue;
		}
		commit(&o, 1, in, 4);
		fake_user_mode();
	}
	{
		struct x_out o = entry(X_FLOW_IN, X_FLOW_LAST, 1 << 20);

		commit(&o, 1, NULL, 0);
	}
}

static void read_all(void)
{
	uint8_t buf[9000];
	int64_t n;

	while ((n = take(buf, 1 + fake_random(sizeof(buf) - 1), 0)) != -X_EWAIT) {
		if (n < 0) /* fake_blocking never fails but for the killed */
			fail_msg("error %d", (int)n);
		for (int64_t i = 0; i < n; i++)
			sum_out += buf[i];
		got += (uint64_t)n;
		fake_user_mode();
	}
}

static void readers(struct thread *t)
{
	if (t->id == 1)
		serve();
	else
		read_all();
	left--;
}

/* ---- a pipe, and a server that stops it, takes what is left itself, and starts it again ---- */

static uint64_t put_in, taken_out;

static uint8_t nth(uint64_t n) { return (uint8_t)(n * 31 + (n >> 8)); }

static void check_next(const uint8_t *data, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(data[i], nth(taken_out + i));
	taken_out += n;
}

static void serve_pipe(void)
{
	struct x_out start = pipe_entry(21, 0), stop = pipe_entry(21, X_FLOW_STOP);
	struct x_flow_state s;
	struct x_in in[4];

	writing = (uint32_t)sys_mint(port_slot, 22, 0, 0, 0);
	assert_int_equal(make_pipe(21, 22, 3 * PAGE_SIZE, 8192), 0);
	commit(NULL, 0, in, 4);
	while (taken_out < TOTAL) {
		commit(&start, 1, in, 4);
		for (uint32_t i = fake_random(40); i; i--)
			fake_user_mode();
		commit(&stop, 1, in, 4);
		while (!(s = pipe_state(21)).stopped) {
			commit(NULL, 0, in, 4);
			fake_user_mode();
		}
		for (uint64_t i = 0; i < s.waiting; i++)
			check_next((uint8_t *)fake_arena + 3 * PAGE_SIZE + (s.extents + i) % 8192, 1);
		if (fake_random(3) == 0)
			port_undo(port, owner);
	}
}

static void write_pipe(void)
{
	uint8_t buf[9000];

	while (put_in < TOTAL) {
		uint64_t want = MIN(1 + fake_random(sizeof(buf) - 1), TOTAL - put_in);
		int64_t n;

		for (uint64_t i = 0; i < want; i++)
			buf[i] = nth(put_in + i);
		n = writing ? to_pipe(buf, want, 0) : -X_EWAIT;
		assert_true(n > 0 || n == -X_EWAIT);
		assert_true(n < 0 || want > X_PIPE_ATOMIC || n == (int64_t)want);
		put_in += n > 0 ? (uint64_t)n : 0;
		fake_user_mode();
	}
}

static void read_pipe(void)
{
	uint8_t buf[9000];

	while (taken_out < TOTAL) {
		int64_t n = from_pipe(buf, 1 + fake_random(sizeof(buf) - 1), 0);

		assert_true(n > 0 || n == -X_EWAIT);
		if (n > 0)
			check_next(buf, (uint64_t)n);
		fake_user_mode();
	}
}

static void piping(struct thread *t)
{
	if (t->id == 1)
		serve_pipe();
	else if (t->id == 2)
		write_pipe();
	else
		read_pipe();
	left--;
}

/* ---- what waits for more of it ---- */

static uint64_t served;     /* bytes that the server knows of */
static uint32_t iterations; /* of the server's, in which it heard of some */

static void serve_writer(void)
{
	struct x_out o = entry(X_FLOW_OUT, 0, 1);
	struct x_in in;

	assert_int_equal(sys_flow_set(port_slot, 7, X_FLOW_OUT, memory, 0), 0);
	add(&o, 0, PAGE_SIZE);
	assert_int_equal(commit(&o, 1, NULL, 0), 0);
	while (served < 11) {
		struct x_commit c = { .in = (uint64_t)&in, .in_max = 1, .deadline_ns = X_FOREVER };

		assert_int_equal(sys_commit_receive(port_slot, (uint64_t)&c), 1);
		if (in.kind != X_IN_FLOW || in.msg.op != X_FLOW_OUT)
			continue;
		served = in.msg.a[1];
		iterations++;
	}
}

static void write_little(void)
{
	int64_t n;

	while ((n = put("hello", 5)) != 5) {
		assert_true(n == -X_EWAIT || n == -X_EAGAIN);
		fake_user_mode();
	}
	assert_int_equal(put("there", 5), 5);
	assert_int_equal(served, 0);
	while (!served) /* it is told once we wait, and of both */
		thread_wait(NULL, fake_now + 1000000, 0);
	assert_true(served == 10 && iterations == 1);
	assert_int_equal(put("!", 1), 1);
	for (uint32_t i = 0; i < 1000 && served < 11; i++) /* and soon, if we do not */
		fake_user_mode();
	assert_true(served == 11 && iterations == 2);
}

static void little(struct thread *t)
{
	if (t->id == 1)
		serve_writer();
	else
		write_little();
	left--;
}

/* ---- the test ---- */

static void user(struct thread *t)
{
	script(t);
	for (;;) {
		fake_user_mode();
		thread_wait(NULL, fake_now + 1000000, 0);
		thread_return_to_user(t->regs);
	}
}

static void world(void (*body)(struct thread *t), uint32_t threads, uint64_t seed)
{
	struct x_thread_create c = { 0 };

	fake_sched_init(seed);
	fake_user = user;
	script = body;
	left = threads;
	assert_int_equal(process_create("p", 0, X_BAND_SERVER, &owner), 0);
	owner->creator = UINT64_MAX;
	assert_int_equal(port_create(&port), 0);
	port_slot = (uint32_t)handle_install(owner, handle_hold(&port->obj, X_R_ALL), X_SLOT_NATIVE, X_SLOT_MAX);
	object_unref(&port->obj);
	{
		struct memory *m = fake_memory();

		memory = (uint32_t)handle_install(owner, handle_hold(&m->obj, X_R_ALL), X_SLOT_NATIVE, X_SLOT_MAX);
		object_unref(&m->obj);
	}
	if (threads > 1) {
		struct record *r;

		cpus[fake_cpu].current->process = owner; /* who mints */
		object = (uint32_t)sys_mint(port_slot, 7, 0, 0, 0);
		reading = (uint32_t)sys_mint(port_slot, 21, 0, 0, 0);
		assert_int_equal(sys_flow_set(port_slot, 7, X_FLOW_IN, memory, 0), 0);
		cpus[fake_cpu].current->process = &process_none;
		record_find(port, 21)->born = UINT64_MAX;
		r = record_find(port, 7);
		r->born = UINT64_MAX; /* it is not undone */
		port_commit_point(port);
		object_ref(&r->obj);
		{
			struct x_out o = entry(X_FLOW_IN, 0, 4096);

			flow_apply(port, &o);
		}
		object_unref(&r->obj);
	}
	for (uint32_t i = 0; i < threads; i++)
		assert_true(process_add_thread(owner, &c, NULL) > 0);
	for (uint32_t i = 0; left && i < 100000; i++) {
		fake_run(10);
		fake_faults_settle();
	}
	assert_int_equal(left, 0);
	process_kill(owner, X_DEATH_KILLED, 0);
	object_unref(&owner->obj);
	fake_run(200);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(object_counts[i], 0);
	assert_int_equal(fake_pins(), 0);
	assert_int_equal(fake_allocations, 0);
}

static void test_steps(void **state)
{
	(void)state;
	fake_blocking = 0;
	world(steps, 1, 1);
}

static void test_deaths(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		appended = got = sum_in = sum_out = 0;
		fake_blocking = 5;
		world(readers, 3, seed);
		assert_int_equal(got, appended);
		assert_int_equal(sum_in, sum_out);
	}
}

static void test_pipe(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		put_in = taken_out = 0;
		writing = 0;
		fake_blocking = 5;
		world(piping, 3, seed);
		assert_int_equal(put_in, taken_out);
	}
}

static void test_little(void **state)
{
	(void)state;
	fake_blocking = 0;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		served = iterations = 0;
		world(little, 2, seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_steps), cmocka_unit_test(test_little), cmocka_unit_test(test_deaths), cmocka_unit_test(test_pipe) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
