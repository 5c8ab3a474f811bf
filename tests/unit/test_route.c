/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Routes: one process has the port of a server that opens, that of one that does the
 * work, and one that calls, step by step. Whatever becomes of the worker, each call is
 * answered once, by it or at home.
 */
// sources: kernel/core/object.c kernel/core/account.c kernel/core/call.c kernel/core/span.c kernel/core/fastpath.c kernel/core/port.c kernel/core/record.c kernel/core/route.c kernel/core/event.c kernel/core/wait.c kernel/core/waitset.c kernel/core/flow.c kernel/core/stream.c
// sources: kernel/core/sched.c kernel/core/process.c tests/unit/fake_sched.c
// cflags: -DDIRECT_MAP_BASE=0 -DCALLS_KEPT=0u -DFAKE_USER_COPY -include tests/unit/fake_sched.h
#include "kernel/core/call.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

enum { FILE_ID = 7, WORK_ID = 3, READ = 0x100, WRITE, SYNC };

static struct process *owner;
static struct port *home, *worker, *caller;
static uint32_t home_slot, worker_slot, caller_slot, file, work;
static uint64_t next_cookie;
static bool done;
static struct dma_window uses[2]; /* of a device that never stops */

static int64_t commit(uint32_t slot, struct x_out *out, uint32_t count, struct x_in *in, uint32_t in_max)
{
	struct x_commit c = { .out = (uint64_t)out, .out_count = count, .in = (uint64_t)in, .in_max = in_max };
	int64_t n = -X_EPROTO;

	for (int i = 0; i < 5 && n == -X_EPROTO; i++) /* fake_sched.c changes an entry now and then */
		n = sys_commit_receive(slot, (uint64_t)&c);
	return n == -X_ETIMEDOUT ? 0 : n;
}

/* A call on the file; its cookie. */
static uint64_t start(uint32_t op)
{
	struct x_out o = { .kind = X_OUT_START, .id = ++next_cookie, .target = file, .win_count = 1 };

	o.msg.op = op;
	o.win[0] = (struct x_window){ (uint64_t)fake_arena, 100, X_WIN_READ | X_WIN_WRITE };
	assert_int_equal(commit(caller_slot, &o, 1, NULL, 0), 0);
	return next_cookie;
}

/* The next call there, as it is delivered; false: none. */
static bool call_at(uint32_t slot, struct x_in *in)
{
	while (commit(slot, NULL, 0, in, 1) == 1)
		if (in->kind == X_IN_CALL)
			return true;
	return false;
}

static void answer(uint32_t slot, uint64_t id, int32_t status, uint32_t flags, uint64_t cursor)
{
	struct x_out o = { .kind = X_OUT_ANSWER, .id = id, .flags = flags, .value = cursor };

	o.msg.status = status;
	assert_int_equal(commit(slot, &o, 1, NULL, 0), 0);
}

/* The caller has this answer, and no other. */
static void answered(uint64_t cookie, int32_t status)
{
	struct x_in in;

	assert_int_equal(commit(caller_slot, NULL, 0, &in, 1), 1);
	assert_true(in.kind == X_IN_REPLY && in.id == cookie);
	assert_int_equal(in.msg.status, status);
	assert_int_equal(commit(caller_slot, NULL, 0, &in, 1), 0);
}

static void drop(uint32_t slot)
{
	struct handle h;

	assert_int_equal(handle_remove(owner, slot, &h), 0);
	handle_drop(h);
}

static uint32_t mint(uint32_t port, uint64_t id, uint32_t flags, uint32_t status_flags)
{
	int64_t slot = sys_mint(port, id, flags, 0, status_flags);

	assert_true(slot >= 0);
	return (uint32_t)slot;
}

static void mint_file(void)
{
	file = mint(home_slot, FILE_ID, X_MINT_CURSOR, 2);
	sys_object_ctl(file, X_OBJ_SET_CURSOR, 5000);
}

/* A new one, in place of one that has turned stale. */
static void mint_work(void)
{
	if (work)
		drop(work);
	work = mint(worker_slot, WORK_ID, 0, 0);
	assert_int_equal(sys_route(home_slot, FILE_ID, work, READ, WRITE), 0);
}

/* Answered or sent home by who it was routed to; what is not of the range is not routed. */
static void plain(void)
{
	struct x_in in;
	uint64_t cookie = start(READ);

	assert_false(call_at(home_slot, &in));
	assert_true(call_at(worker_slot, &in));
	assert_int_equal(in.object, WORK_ID);
	assert_int_equal(in.cursor, 5000);
	assert_int_equal(in.status_flags, 2);
	assert_int_equal(in.win[0].len, 100);
	answer(worker_slot, in.id, 100, X_ANSWER_CURSOR, 5100);
	answered(cookie, 100);
	assert_int_equal(sys_object_ctl(file, X_OBJ_GET_CURSOR, 0), 5100);
	sys_object_ctl(file, X_OBJ_SET_CURSOR, 5000);

	cookie = start(SYNC);
	assert_false(call_at(worker_slot, &in));
	assert_true(call_at(home_slot, &in));
	assert_int_equal(in.object, FILE_ID);
	answer(home_slot, in.id, 0, 0, 0);
	answered(cookie, 0);

	cookie = start(WRITE);
	assert_true(call_at(worker_slot, &in));
	answer(worker_slot, in.id, -X_ENOSYS, X_ANSWER_HOME, 0);
	answer(worker_slot, in.id, 33, 0, 0); /* not his any more */
	assert_true(call_at(home_slot, &in));
	assert_int_equal(in.object, FILE_ID);
	assert_int_equal(in.win[0].len, 100);
	answer(home_slot, in.id, -X_ENOSYS, X_ANSWER_HOME, 0); /* is an answer where it is at home */
	answered(cookie, -X_ENOSYS);
}

/* The worker dies: what it has taken, has just been given, or not yet seen, goes home. */
static void reset(void)
{
	struct x_in in[3];
	uint64_t cookies[3];

	for (int i = 0; i < 3; i++) {
		cookies[i] = start(i ? READ : WRITE);
		if (i < 2)
			assert_true(call_at(worker_slot, &in[i]));
	}
	port_reset(worker);
	assert_false(call_at(worker_slot, &in[0]));
	for (int i = 0; i < 3; i++) {
		assert_true(call_at(home_slot, &in[i]));
		assert_int_equal(in[i].object, FILE_ID);
		answer(worker_slot, in[i].id, 1, 0, 0); /* late */
		answer(home_slot, in[i].id, 10 + i, 0, 0);
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(commit(caller_slot, NULL, 0, &in[0], 1), 1);
		assert_true(in[0].id >= cookies[0] && in[0].id <= cookies[2] && in[0].msg.status >= 10);
	}
	cookies[0] = start(READ); /* the route is gone */
	assert_true(call_at(home_slot, &in[0]));
	answer(home_slot, in[0].id, 0, 0, 0);
	answered(cookies[0], 0);
	mint_work();
}

/* Its object turns stale while a call waits for it; the next one of that name is not meant. */
static void stale(void)
{
	struct x_in in;
	uint64_t cookie = start(READ);

	record_forget(record_find(worker, WORK_ID));
	mint_work();
	assert_false(call_at(worker_slot, &in));
	assert_true(call_at(home_slot, &in));
	answer(home_slot, in.id, 4, 0, 0);
	answered(cookie, 4);
}

/* The home dies, cold: what is under way is answered by who has it, or by nobody. */
static void homeless(void)
{
	struct x_in in;
	uint64_t one = start(READ), two;

	assert_true(call_at(worker_slot, &in));
	port_reset(home);
	answer(worker_slot, in.id, 100, 0, 0);
	answered(one, 100);
	drop(file);
	mint_file();
	assert_int_equal(sys_route(home_slot, FILE_ID, work, READ, WRITE), 0);
	one = start(READ);
	assert_true(call_at(worker_slot, &in));
	two = start(READ);
	port_reset(home);
	port_reset(worker);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(commit(caller_slot, NULL, 0, &in, 1), 1);
		assert_true((in.id == one || in.id == two) && in.msg.status == -X_EDEAD);
	}
}

/* Both die while a device writes to windows: who called hears of it when that has ended, or is no more himself. */
static void held(void)
{
	struct call *c[2];
	uint64_t cookies[2];
	struct x_in in;

	drop(file);
	mint_file();
	mint_work();
	assert_int_equal(sys_route(home_slot, FILE_ID, work, READ, WRITE), 0);
	for (int i = 0; i < 2; i++) {
		cookies[i] = start(READ);
		assert_true(call_at(worker_slot, &in));
		c[i] = port_find_call(worker, in.id);
		uses[i] = (struct dma_window){ .call = c[i], .of = &c[i]->win[0], .frames = c[i]->win[0].frames,
					       .frame_count = c[i]->win[0].frame_count };
		c[i]->win[0].dma = &uses[i];
	}
	port_reset(home);
	port_reset(worker);
	call_cancel_started(caller, cookies[0]);
	assert_int_equal(commit(caller_slot, NULL, 0, &in, 1), 0);
	uses[0].of->dma = NULL;
	call_device_done(c[0]);
	answered(cookies[0], -X_EDEAD);
	call_device_done(c[1]); /* with another window */
	assert_int_equal(commit(caller_slot, NULL, 0, &in, 1), 0);
}

static void refused(void)
{
	uint32_t other = mint(home_slot, 8, 0, 0), weak;

	assert_int_equal(sys_route(home_slot, 99, work, READ, WRITE), -X_ENOENT);
	assert_int_equal(sys_route(home_slot, FILE_ID, other, READ, WRITE), -X_EINVAL); /* of the same port */
	assert_int_equal(sys_route(home_slot, FILE_ID, worker_slot, READ, WRITE), -X_EWRONGTYPE);
	weak = (uint32_t)handle_install(owner, handle_hold(&record_find(worker, WORK_ID)->obj, X_R_CALL), X_SLOT_NATIVE, X_SLOT_MAX);
	assert_int_equal(sys_route(home_slot, FILE_ID, weak, READ, WRITE), -X_ERIGHTS); /* may use it, not give it on */
	drop(weak);
	drop(other);
}

static void all(struct thread *t)
{
	(void)t;
	mint_file();
	mint_work();
	refused();
	plain();
	reset();
	stale();
	homeless();
	held();
	done = true;
}

static void user(struct thread *t)
{
	if (!done)
		all(t);
	for (;;) {
		fake_user_mode();
		thread_wait(NULL, fake_now + 1000000, 0);
		thread_return_to_user(t->regs);
	}
}

static uint32_t give_port(struct port **p)
{
	uint32_t slot;

	assert_int_equal(port_create(p), 0);
	slot = (uint32_t)handle_install(owner, handle_hold(&(*p)->obj, X_R_ALL), X_SLOT_NATIVE, X_SLOT_MAX);
	object_unref(&(*p)->obj);
	return slot;
}

static void test_routes(void **state)
{
	struct x_thread_create c = { 0 };

	(void)state;
	fake_blocking = 0;
	fake_sched_init(1);
	fake_user = user;
	assert_int_equal(process_create("p", 0, X_BAND_SERVER, &owner), 0);
	owner->creator = UINT64_MAX;
	home_slot = give_port(&home);
	worker_slot = give_port(&worker);
	caller_slot = give_port(&caller);
	assert_true(process_add_thread(owner, &c, NULL) > 0);
	for (uint32_t i = 0; !done && i < 100000; i++)
		fake_run(10);
	assert_true(done);
	process_kill(owner, X_DEATH_KILLED, 0);
	object_unref(&owner->obj);
	fake_run(200);
	assert_null(uses[1].of); /* its frames are the device's */
	frames_unref(uses[1].frames, uses[1].frame_count);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(object_counts[i], 0);
	assert_int_equal(fake_pins(), 0);
	assert_int_equal(fake_allocations, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_routes) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
