/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's objects, calls, ports, waits, scheduler and processes under
 * random threads that do everything at once: call, serve, start calls, move
 * handles, close what others use, die, get killed, reset ports. Checked all
 * the way: a call is delivered once (one that was routed once more, where it went
 * home to) and answered once with its own answer, a
 * started call is replied to once, queues and their counts agree; at the end
 * nothing is left. Some processes are kept when their threads have ended, and
 * reset in place: what they had received is delivered once more. The address
 * sanitizer looks for what was used after its end.
 */
// sources: kernel/core/object.c kernel/core/account.c kernel/core/call.c kernel/core/span.c kernel/core/fastpath.c kernel/core/port.c kernel/core/record.c kernel/core/route.c kernel/core/event.c kernel/core/wait.c kernel/core/waitset.c kernel/core/flow.c kernel/core/stream.c
// sources: kernel/core/sched.c kernel/core/process.c tests/unit/fake_sched.c
// cflags: -DDIRECT_MAP_BASE=0 -DCALLS_KEPT=0u -DCALLS_IN_FRONT=1u -DSTARTED_IN_FRONT=1u -DFAKE_USER_COPY -include tests/unit/fake_sched.h
#include "kernel/core/call.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define PROCESSES_MAX 12u
#define THREADS_MAX_EACH 6u
#define SERIALS (1u << 20)
#define ANSWER_XOR 0x5a5a5a5aull
#define HELD_MAX 256u

enum { STARTED = 1, REPLIED, REFUSED }; /* of a started call's cookie */
static uint8_t cookies[SERIALS], delivered[SERIALS];
static uint64_t delivered_at[SERIALS]; /* koid of the port */
static uint32_t next_cookie;

static struct held { uint64_t port, id, request; } held[HELD_MAX]; /* calls taken by someone */
static char copy_buffer[20 * PAGE_SIZE];  /* servers' memory, no window is made of it */
static struct x_call fork_scratch;     /* where a forked child finds the call */
static bool stopping;
static struct process *root;           /* owns a handle to most things, is not killed */
static uint64_t counts_calls, counts_answers, counts_replies, counts_resets, counts_again, counts_behind, counts_flows, counts_moved, counts_home;

/* ---- choosing ---- */

static uint32_t any_slot(uint32_t type, uint32_t rights)
{
	struct handle_table *t = &current_process()->handles;
	uint32_t end = t->part[1].size ? X_SLOT_FD_END + t->part[1].size : t->part[0].size;
	uint32_t start = end ? fake_random(end) : 0;

	for (uint32_t i = 0; i < end; i++) {
		uint32_t slot = (start + i) % end;
		struct handle *h = handle_slot(t, slot);

		if (h && (!type || h->object->type == type) && (h->rights & rights) == rights)
			return slot;
	}
	return fake_random(4) ? X_NO_HANDLE : fake_random(X_SLOT_MAX + 10);
}

static uint64_t any_deadline(void)
{
	switch (fake_random(16)) {
	case 0: return 0;
	case 1: return X_FOREVER;
	default: return fake_now + fake_random(1000000);
	}
}

static uint32_t any_windows(struct x_window *w)
{
	uint32_t count = fake_random(X_MAX_WINDOWS + 1);

	for (uint32_t i = 0; i < count; i++) {
		w[i].addr = (uint64_t)fake_arena + fake_random(ARENA_PAGES * PAGE_SIZE);
		w[i].len = fake_random(5 * PAGE_SIZE);
		w[i].flags = fake_random(4);
	}
	return count;
}

static uint32_t any_handles(uint32_t *slots)
{
	uint32_t count = fake_random(3) ? 0 : fake_random(X_MAX_HANDLES + 1);

	for (uint32_t i = 0; i < count; i++) {
		slots[i] = any_slot(0, X_R_TRANSFER);
		if (slots[i] == X_NO_HANDLE)
			return 0;
	}
	return count;
}

/* ---- what threads do ---- */

static void do_call(void)
{
	struct x_call c = { .deadline_ns = any_deadline(), .recv_min = fake_random(2000), .recv_end = X_SLOT_MAX };
	uint64_t request = fake_random(1u << 30);
	int64_t status;

	c.msg.a[0] = request;
	c.flags = fake_random(32);
	c.win_count = any_windows(c.win);
	c.handle_count = any_handles(c.handles);
	current()->regs->rsi = (uint64_t)&fork_scratch;
	status = sys_call(any_slot(fake_random(2) ? X_TYPE_PORT : X_TYPE_OBJECT, X_R_CALL), (uint64_t)&c);
	if (status < 0)
		return;
	assert_int_equal(c.msg.a[0], request ^ ANSWER_XOR);
	counts_calls++;
}

static struct held *any_held(uint64_t port)
{
	uint32_t start = fake_random(HELD_MAX);

	for (uint32_t i = 0; i < HELD_MAX; i++)
		if (held[(start + i) % HELD_MAX].id && held[(start + i) % HELD_MAX].port == port)
			return &held[(start + i) % HELD_MAX];
	return NULL;
}

static void take_in(const struct x_in *in, uint64_t port)
{
	struct held *h;

	switch (in->kind) {
	case X_IN_CALL:
		assert_true(in->id < SERIALS);
		assert_true(delivered[in->id] == 0 || (delivered[in->id] == 1 && delivered_at[in->id] != port));
		counts_home += delivered[in->id]++;
		delivered_at[in->id] = port;
		h = &held[fake_random(HELD_MAX)]; /* whom it displaces is never answered */
		*h = (struct held){ port, in->id, in->msg.a[0] };
		break;
	case X_IN_REPLY:
		assert_true(in->id < SERIALS);
		assert_int_equal(cookies[in->id], STARTED);
		cookies[in->id] = REPLIED;
		counts_replies++;
		break;
	case X_IN_CLOSURE:
		assert_int_equal(in->msg.a[0], 1);
		break;
	case X_IN_FLOW:
		counts_flows++;
		break;
	default:
		assert_true(in->kind == X_IN_CANCEL || in->kind == X_IN_EVENT);
	}
}

static void fill_out(struct x_out *o, uint64_t port)
{
	struct held *h;

	memset(o, 0, sizeof(*o));
	switch (fake_random(12)) {
	case 0: case 1: case 2: case 3:
		h = any_held(port);
		o->kind = X_OUT_ANSWER;
		o->id = h ? h->id : fake_random(1000);
		o->msg.a[0] = h ? h->request ^ ANSWER_XOR : 0;
		o->msg.status = h ? 0 : -1;
		o->flags = fake_random(2) ? X_ANSWER_CURSOR : fake_random(3) ? 0 : X_ANSWER_HOME;
		o->handle_count = any_handles(o->handles);
		if (fake_random(3) == 0) {
			o->copy_src = (uint64_t)copy_buffer;
			o->copy_len = fake_random(2 * PAGE_SIZE);
			o->copy_window = fake_random(2);
		}
		counts_answers++;
		break;
	case 4: case 5:
		o->kind = X_OUT_START;
		o->target = any_slot(fake_random(2) ? X_TYPE_PORT : X_TYPE_OBJECT, X_R_CALL);
		o->id = ++next_cookie;
		assert_true(next_cookie < SERIALS);
		cookies[o->id] = STARTED;
		o->flags = fake_random(32);
		o->win_count = any_windows(o->win);
		o->handle_count = any_handles(o->handles);
		break;
	case 6:
		o->kind = X_OUT_CANCEL;
		o->id = next_cookie > 20 ? next_cookie - fake_random(20) : 1;
		break;
	case 7:
		o->kind = X_OUT_CLOSURE_ACK;
		o->id = 1 + fake_random(8);
		break;
	case 8:
		o->kind = X_OUT_READY;
		o->id = 1 + fake_random(8);
		o->value = fake_random(32);
		o->mask = fake_random(32);
		o->pulse = fake_random(2);
		break;
	case 9:
		o->kind = fake_random(3) ? X_OUT_SIGNAL : X_OUT_CLOSE;
		o->target = any_slot(o->kind == X_OUT_SIGNAL ? X_TYPE_EVENT : 0, 0);
		o->value = 1 + fake_random(8);
		break;
	default:
		o->kind = X_OUT_FLOW;
		o->id = 1 + fake_random(8);
		o->mask = fake_random(5);
		o->flags = fake_random(4) ? 0 : fake_random(4);
		o->value = fake_random(2) ? fake_random(1000000) : 0;
		o->msg.op = o->flags & X_FLOW_STOP ? 0 : fake_random(o->mask == X_FLOW_DATAGRAM ? 2 : 4);
		for (uint32_t i = 0; i < 3; i++) {
			o->msg.a[2 * i] = fake_random(ARENA_PAGES * PAGE_SIZE) & ~3u;
			o->msg.a[2 * i + 1] = 4 + fake_random(o->msg.a[2 * i] < 4 * PAGE_SIZE ? 10000 : 10);
		}
		o->msg.a[6] = fake_random(20000);
	}
}

static void do_serve(void)
{
	uint32_t slot = any_slot(X_TYPE_PORT, X_R_RECEIVE);
	struct x_out out[4];
	struct x_in in[4];
	struct x_commit c = {
		.out = (uint64_t)out, .in = (uint64_t)in, .out_count = fake_random(5), .in_max = fake_random(5),
		.deadline_ns = fake_random(2) ? 0 : any_deadline(),
	};
	struct handle h;
	uint64_t port;
	int64_t n;

	if (handle_lookup(slot, &h))
		return;
	port = h.object->koid;
	for (uint32_t i = 0; i < c.out_count; i++)
		fill_out(&out[i], port);
	n = sys_commit_receive(slot, (uint64_t)&c);
	for (int64_t i = 0; i < n; i++)
		take_in(&in[i], port);
	if (n == -X_EPROTO)
		for (uint32_t i = 0; i < c.out_count; i++)
			if (out[i].kind == X_OUT_START)
				cookies[out[i].id] = REFUSED;
}

static void do_window_copy(void)
{
	uint32_t slot = any_slot(X_TYPE_PORT, X_R_RECEIVE);
	struct x_window_copy w = { .window = fake_random(5), .to_window = fake_random(2),
				   .offset = fake_random(2 * PAGE_SIZE), .len = fake_random(4 * PAGE_SIZE) };
	struct held *a, *b;
	struct handle h;

	if (handle_lookup(slot, &h))
		return;
	a = any_held(h.object->koid);
	b = any_held(h.object->koid);
	w.id = a ? a->id : 1;
	w.addr = (uint64_t)copy_buffer;
	if (b && fake_random(2)) {
		w.id2 = b->id;
		w.window2 = fake_random(5);
		w.addr = fake_random(PAGE_SIZE);
	}
	sys_window_copy(slot, (uint64_t)&w);
}

static void do_wait(void)
{
	struct x_wait_item items[20];
	uint32_t count = fake_random(20);

	for (uint32_t i = 0; i < count; i++)
		items[i] = (struct x_wait_item){ any_slot(fake_random(2) ? X_TYPE_EVENT : X_TYPE_OBJECT, X_R_WAIT),
						 fake_random(32), 0, 0 };
	sys_wait((uint64_t)items, count, fake_random(2) ? fake_now + fake_random(100000) : any_deadline(), 0);
}

static void do_futex(void)
{
	static uint32_t words[4] __attribute__((aligned(64)));
	uint64_t word = (uint64_t)&words[fake_random(4)], other = (uint64_t)&words[fake_random(4)];

	if (fake_random(2))
		sys_futex_wait(word, 0, any_deadline(), 1 + fake_random(3));
	else
		sys_futex_wake(word, fake_random(3), 1 + fake_random(3), fake_random(2) ? other : 0, fake_random(3));
}

static void give_new(struct object *o, uint32_t rights)
{
	struct handle h = handle_hold(o, rights);

	if (handle_install(current_process(), h, X_SLOT_NATIVE, X_SLOT_MAX) < 0)
		handle_drop(h);
	object_unref(o);
}

static void do_handles(void)
{
	struct handle h, copy;
	struct event *e;
	struct port *p;
	uint32_t slot = any_slot(0, 0);

	switch (fake_random(7)) {
	case 0:
		if (!handle_remove(current_process(), slot, &h))
			handle_drop(h);
		break;
	case 1:
		if (handle_lookup(slot, &h))
			break;
		copy = handle_hold(h.object, h.rights & (fake_random(4) ? X_R_ALL : fake_random(X_R_ALL)));
		if (handle_install_at(current_process(), copy, fake_random(2) ? slot : fake_random(1500)))
			handle_drop(copy);
		break;
	case 2:
		if (!event_create(&e))
			give_new(&e->obj, X_R_ALL & ~X_R_CALL);
		break;
	case 3:
		if (fake_random(3) == 0 && !port_create(&p))
			give_new(&p->obj, X_R_ALL);
		break;
	case 4:
		sys_bind(slot, fake_random(4) ? any_slot(X_TYPE_PORT, X_R_RECEIVE) : X_NO_HANDLE, 7);
		break;
	case 5:
		if (fake_random(3) == 0)
			give_new(&fake_memory()->obj, X_R_ALL);
		break;
	case 6:
		sys_mint(any_slot(X_TYPE_PORT, X_R_RECEIVE), fake_random(9), fake_random(8), fake_random(32), 0);
	}
}

static void add_thread(struct process *p)
{
	struct x_thread_create c = { .mask = fake_random(4) };

	if (p->thread_count < THREADS_MAX_EACH)
		process_add_thread(p, &c, NULL);
}

static void do_process(void)
{
	uint32_t slot = any_slot(X_TYPE_PROCESS, X_R_MANAGE);
	struct x_proc_fork f = { .port = any_slot(X_TYPE_PORT, X_R_RECEIVE) };
	struct x_proc_exec e = { .name = "new" };
	struct space *s;
	struct process *p;
	struct object *o;
	struct held *held_call;
	struct handle h;
	int err;

	if (stopping)
		return;
	switch (fake_random(5)) {
	case 0:
		held_call = handle_lookup(f.port, &h) ? NULL : any_held(h.object->koid);
		f.call_id = held_call ? held_call->id : 1;
		if (object_counts[X_TYPE_PROCESS] < PROCESSES_MAX)
			sys_proc_fork((uint64_t)&f);
		return;
	case 1:
		if (current_process() != root)
			add_thread(current_process());
		return;
	}
	o = handle_get(slot, X_TYPE_PROCESS, X_R_MANAGE, &err);
	if (!o)
		return;
	p = container_of(o, struct process, obj);
	switch (fake_random(6)) {
	case 0:
		if (p != root && fake_random(4) == 0)
			process_kill(p, X_DEATH_KILLED, 9);
		break;
	case 1:
		if (p != root)
			process_suspend(p, fake_random(3) == 0);
		break;
	case 2:
		process_notify(p, fake_random(3), 1 + fake_random(7));
		break;
	case 3:
		if (p == root || space_create(false, p->account, &s))
			break;
		process_exec(p, s, &e);
		object_unref(&s->obj);
		break;
	default:
		if (!p->dying && !handle_lookup(any_slot(0, X_R_TRANSFER), &h)) {
			struct handle copy = handle_hold(h.object, h.rights);

			if (handle_install_at(p, copy, X_SLOT_NATIVE + fake_random(30)))
				handle_drop(copy);
		}
	}
	object_unref(o);
}

static void do_flow(void)
{
	struct x_flow_address from;
	struct x_flow_state state;
	uint32_t op = fake_random(2) ? X_STREAM_READ : X_STREAM_WRITE;
	int64_t n;

	switch (fake_random(8)) {
	case 0: case 1: case 2:
		sys_flow_set(any_slot(X_TYPE_PORT, X_R_RECEIVE), fake_random(9), fake_random(4),
			     any_slot(X_TYPE_MEMORY, 0), fake_random(3));
		break;
	case 3: {
		struct x_flow_pipe pipe = { fake_random(9), fake_random(9), fake_random(3) * PAGE_SIZE, fake_random(9000),
					    any_slot(X_TYPE_MEMORY, 0), fake_random(3), 0 };

		sys_flow_pipe(any_slot(X_TYPE_PORT, X_R_RECEIVE), (uint64_t)&pipe);
		break;
	}
	case 4:
		sys_flow_state(any_slot(X_TYPE_PORT, X_R_RECEIVE), fake_random(9), fake_random(5), (uint64_t)&state);
		break;
	default:
		n = sys_stream(any_slot(X_TYPE_OBJECT, X_R_CALL), op | fake_random(16), (uint64_t)copy_buffer,
			       fake_random(sizeof(copy_buffer)), -1, fake_random(2) ? (uint64_t)&from : 0);
		counts_moved += n > 0;
	}
}

static void do_event(void)
{
	int err;
	struct object *o = handle_get(any_slot(X_TYPE_EVENT, X_R_WRITE), X_TYPE_EVENT, X_R_WRITE, &err);

	if (!o)
		return;
	event_signal(o, 1 + fake_random(16));
	object_unref(o);
}

/* Of all objects of a port: few of them are ever called while there is a route. */
static void do_route(void)
{
	uint32_t port = any_slot(X_TYPE_PORT, X_R_RECEIVE);
	uint32_t to = fake_random(8) ? any_slot(X_TYPE_OBJECT, X_R_CALL | X_R_TRANSFER) : X_NO_HANDLE;

	for (uint64_t id = 1; id < 9; id++)
		sys_route(port, id, to, 0, fake_random(2));
}

/* What is reopened is called, bound, waited for and closed as all others. */
static void do_object(void)
{
	sys_object_ctl(any_slot(X_TYPE_OBJECT, X_R_CALL), fake_random(X_OBJ_REOPEN + 1), fake_random(1000));
}

static void do_something(void)
{
	switch (fake_random(20)) {
	case 19:
		do_route();
		break;
	case 0: case 1: case 2: case 3:
		do_call();
		break;
	case 4: case 5: case 6: case 7: case 8:
		do_serve();
		break;
	case 9:
		do_window_copy();
		break;
	case 10:
		do_wait();
		break;
	case 11:
		do_futex();
		break;
	case 12: case 13:
		do_handles();
		break;
	case 14:
		do_process();
		do_event();
		break;
	case 15:
		do_object();
		if (fake_random(200) == 0)
			current()->killed = true; /* x_thread_exit */
		break;
	default:
		do_flow();
	}
}

/* ---- the root process: makes the others, resets ports, and ends it all ---- */

static void root_reset(void)
{
	int err;
	struct object *o = handle_get(any_slot(X_TYPE_PORT, X_R_MANAGE), X_TYPE_PORT, X_R_MANAGE, &err);

	if (!o)
		return;
	port_reset(container_of(o, struct port, obj));
	object_unref(o);
}

/* Going back to the queue: to be delivered again, by the port's next reader. One that nobody has
 * seen was just being copied out (-X_EFAULT) when its reader was killed. */
static void forget_deliveries(struct port *p)
{
	list_for_each(it, &p->delivered, struct item, link) {
		if (it->kind == X_IN_CALL) {
			uint64_t id = container_of(it, struct call, item)->id;

			delivered[id] -= delivered[id] != 0;
			delivered_at[id] = 0;
		}
		if (it->kind == X_IN_REPLY)
			cookies[container_of(it, struct call, reply_item)->cookie] = STARTED;
		counts_again++;
	}
}

static void root_revive(struct process *p)
{
	struct x_thread_create c = { 0 };

	object_ref(&p->obj);
	if (fake_random(4) == 0) {
		process_kill(p, X_DEATH_KILLED, 0);
		assert_int_equal(p->state, X_PROC_DEAD);
		object_unref(&p->obj);
		return;
	}
	handles_for_each(h, i, &p->handles) {
		struct object *o = h->object;
		struct port *port = container_of(o, struct port, obj);
		bool twice = false;

		if (!p->commits || o->type != X_TYPE_PORT || port->reader != p->obj.koid)
			continue;
		handles_for_each(other, k, &p->handles)
			twice |= k < i && other->object == o;
		if (!twice)
			forget_deliveries(port);
	}
	counts_resets += process_reset(p, &c) == 0;
	object_unref(&p->obj);
}

static struct process *any_halted(void)
{
	list_for_each(p, &all_processes, struct process, all_link)
		if (p->state == X_PROC_HALTED)
			return p;
	return NULL;
}

static void root_spawn(void)
{
	struct process *p;
	struct handle h;

	if (object_counts[X_TYPE_PROCESS] >= PROCESSES_MAX) {
		list_for_each(old, &all_processes, struct process, all_link)
			if (old != root && fake_random(200) == 0) {
				process_kill(old, X_DEATH_KILLED, 0);
				break;
			}
		return;
	}
	if (process_create("p", fake_random(2) ? X_PROC_LINUX : fake_random(3) ? X_PROC_KEPT : 0, fake_random(3), &p))
		return;
	for (uint32_t i = 0; i < 12; i++) {
		if (handle_lookup(any_slot(i % 3 ? X_TYPE_PORT : 0, 0), &h))
			continue;
		h = handle_hold(h.object, fake_random(2) ? h.rights : h.rights & ~(X_R_RECEIVE | X_R_MANAGE));
		if (handle_install(p, h, X_SLOT_NATIVE, X_SLOT_MAX) < 0)
			handle_drop(h);
	}
	for (uint32_t n = fake_random(4); n > 0; n--)
		add_thread(p);
	give_new(&p->obj, X_R_ALL);
}

static void root_trim(void) /* it may have been given anything: keep it small */
{
	struct handle h;

	while (current_process()->handles.used > 40)
		if (!handle_remove(current_process(), any_slot(0, 0), &h))
			handle_drop(h);
}

static void root_step(void)
{
	struct process *halted = any_halted();
	struct port *p;

	if (halted) {
		root_revive(halted);
		return;
	}
	switch (fake_random(8)) {
	case 0:
		if (!port_create(&p))
			give_new(&p->obj, X_R_ALL);
		break;
	case 1: case 2:
		root_spawn();
		break;
	case 3:
		if (fake_random(4) == 0)
			root_reset();
		break;
	case 4:
		root_trim();
		break;
	default:
		do_handles();
		do_process();
		do_event();
	}
}

static void user(struct thread *t)
{
	for (;;) {
		fake_user_mode();
		if (t->process != root)
			do_something();
		else if (stopping)
			process_kill(root, X_DEATH_EXIT, 0);
		else
			root_step();
		if (fake_random(4) == 0)
			this_cpu()->need_resched = true;
		if (t->band < X_BAND_PROGRAM && fake_random(3)) /* or nobody below ever runs */
			thread_wait(NULL, fake_now + fake_random(400000), 0);
		thread_return_to_user(t->regs);
	}
}

/* ---- invariants ---- */

static uint32_t list_length(struct list *l)
{
	uint32_t n = 0;

	for (struct list *at = l->next; at != l; at = at->next) {
		assert_ptr_equal(at->next->prev, at);
		n++;
	}
	return n;
}

static void check_port(struct port *p)
{
	uint32_t open = 0;

	assert_int_equal(list_length(&p->items) + list_length(&p->crowd), p->item_count);
	list_for_each(it, &p->crowd, struct item, link) {
		assert_true(it->behind && !it->few && (it->kind == X_IN_CALL || it->kind == X_IN_CANCEL));
		counts_behind++;
	}
	for (uint32_t i = 0; i < CALL_BUCKETS; i++) {
		open += list_length(&p->open_calls[i]);
		list_for_each(c, &p->open_calls[i], struct call, open_link)
			assert_int_equal(c->state, CALL_TAKEN);
		list_for_each(r, &p->records[i], struct record, hash_link)
			assert_true(r->port == p && (r->closing || r->obj.handles > 0));
	}
	assert_int_equal(open, p->open_count);
	list_for_each(c, &p->started, struct call, origin_link)
		assert_ptr_equal(c->origin, p);
}

static void check_all(void)
{
	list_for_each(p, &all_processes, struct process, all_link) {
		uint32_t used = 0;

		assert_int_equal(list_length(&p->threads), p->thread_count);
		handles_for_each(h, slot, &p->handles) {
			struct object *o = h->object;

			used++;
			assert_true(o->handles > 0 && o->refs >= o->handles);
			if (o->type == X_TYPE_PORT)
				check_port(container_of(o, struct port, obj));
		}
		assert_int_equal(used, p->handles.used);
	}
}

/* ---- the test ---- */

static void one_world(uint64_t seed, uint32_t turns)
{
	struct x_thread_create c = { 0 };
	uint32_t rounds = 0;

	fake_sched_init(seed);
	memset(cookies, 0, sizeof(cookies));
	memset(held, 0, sizeof(held));
	next_cookie = 0;
	stopping = false;
	fake_user = user;
	fake_blocking = fake_random(2) ? 6 : 0;
	assert_int_equal(process_create("root", 0, X_BAND_SERVER, &root), 0);
	root->creator = UINT64_MAX; /* not the first process: its end is no panic */
	assert_true(process_add_thread(root, &c, NULL) > 0);
	for (uint32_t i = 0; i < turns; i++) {
		fake_run(20);
		check_all();
	}
	stopping = true;
	fake_run(200);
	while (!list_empty(&all_processes)) {
		list_for_each(p, &all_processes, struct process, all_link)
			if (p->state == X_PROC_HALTED || (!p->dying && (p->thread_count || p->obj.handles))) {
				process_kill(p, X_DEATH_KILLED, 0);
				break;
			}
		assert_true(++rounds < 1000); /* what nobody can reach ends by itself */
		if (root) {
			object_unref(&root->obj);
			root = NULL;
		}
		fake_faults_settle();
		fake_run(50);
	}
	fake_run(50);
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(object_counts[i], 0);
	assert_int_equal(fake_pins(), 0);
	assert_int_equal(fake_threads, 0);
	assert_int_equal(fake_allocations, 0);
}

static void test_random_worlds(void **state)
{
	const char *one = getenv("SEED");
	uint64_t first = one ? strtoull(one, NULL, 0) : 1, last = one ? first : 40;

	(void)state;
	for (uint64_t seed = first; seed <= last; seed++) {
		printf("seed %lu\n", seed);
		fflush(stdout);
		one_world(seed, 1500);
	}
	printf("%lu calls answered, %lu replies, %lu answers tried, %lu resets with %lu items\n", counts_calls,
	       counts_replies, counts_answers, counts_resets, counts_again);
	printf("%lu times seen behind\n", counts_behind);
	printf("%lu calls went home\n", counts_home);
	printf("%lu times moved through flows, of %lu told\n", counts_moved, counts_flows);
	assert_true(one || (counts_calls > 1000 && counts_replies > 1000 && counts_resets > 100 && counts_again > 100));
	assert_true(one || (counts_moved > 10 && counts_flows > 10 && counts_behind > 100));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_random_worlds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
