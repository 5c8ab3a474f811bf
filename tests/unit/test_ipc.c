/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lib/ipc against a kernel played by the test: the loop's iterations, exactly
 * one reply for each started call, timers, early commits, control requests.
 */
// sources: lib/ipc/boot.c lib/ipc/outbox.c lib/ipc/spoil.c lib/ipc/bind.c lib/ipc/timer.c lib/ipc/window.c lib/ipc/log.c
// sources: lib/ipc/control.c lib/ipc/server.c lib/ipc/warm.c lib/ipc/memory.c lib/region/log.c lib/c/strlcpy.c lib/c/error.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>
#include "lib/ipc/internal.h"
#include "proto/rs.h"

#define PORT 5u
#define RS_EVENT 6u
#define CONTROL 7u

static struct x_boot_page page;
static struct { struct x_in item[64]; uint32_t count; } feed; /* for the next receive */
static struct x_out sent[2000];
static uint32_t sent_count, commits, receives;
static uint64_t now, last_deadline;
static int64_t commit_result;
static jmp_buf out_of_loop;
static int left_by; /* exit status + 1000, or 1: nothing more to receive */
static char logged[4096];
static uint64_t bound_cookie[32];
static char window[64];
static uint32_t window_length;

static int64_t fake_commit(struct x_commit *c)
{
	const struct x_out *out = (const struct x_out *)c->out;
	uint32_t n = feed.count < c->in_max ? feed.count : c->in_max;

	if (commit_result) {
		c->out_error_at = 0;
		c->out_error = -X_EINVAL;
		return commit_result;
	}
	commits++;
	for (uint32_t i = 0; i < c->out_count; i++)
		sent[sent_count++] = out[i];
	if (c->in_max == 0)
		return 0;
	last_deadline = c->deadline_ns;
	if (receives++ && n == 0 && c->deadline_ns == X_FOREVER) {
		left_by = 1;
		longjmp(out_of_loop, 1);
	}
	if (n == 0 && c->deadline_ns != X_FOREVER && c->deadline_ns > now)
		now = c->deadline_ns;
	c->now_ns = now;
	memcpy((void *)c->in, feed.item, n * sizeof(feed.item[0]));
	feed.count = 0;
	return n;
}

int64_t x_syscall6(uint64_t n, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	const struct x_window_copy *w = (const void *)b;

	switch (n) {
	case X_SYS_commit_receive:
		return fake_commit((struct x_commit *)b);
	case X_SYS_clock:
		return now;
	case X_SYS_bind:
		bound_cookie[a] = c;
		return a == 31 ? -X_EBADF : 0;
	case X_SYS_log_write:
		strncat(logged, (const char *)a, b);
		return b;
	case X_SYS_proc_exit:
		left_by = 1000 + (int)a;
		longjmp(out_of_loop, 1);
	case X_SYS_window_copy:
		if (w->offset >= window_length)
			return 0;
		f = w->len < window_length - w->offset ? w->len : window_length - w->offset;
		memcpy((void *)w->addr, window + w->offset, f);
		return f;
	}
	fail_msg("system call %lu", n);
	return 0;
}

static void run(const struct server_ops *ops)
{
	receives = commits = 0;
	if (!setjmp(out_of_loop))
		server_run(ops);
}

static struct x_in *give(uint32_t kind, uint64_t id, uint64_t a0)
{
	struct x_in *in = &feed.item[feed.count++];

	memset(in, 0, sizeof(*in));
	in->kind = kind;
	in->id = id;
	in->msg.a[0] = a0;
	return in;
}

static uint32_t count_sent(uint32_t kind)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sent_count; i++)
		n += sent[i].kind == kind;
	return n;
}

static int setup(void **state)
{
	memset(&page, 0, sizeof(page));
	page.magic = X_BOOT_MAGIC;
	strcpy(page.name, "test");
	page.handle_count = 3;
	page.handles[0] = (struct x_boot_handle){ "port", PORT, 0 };
	page.handles[1] = (struct x_boot_handle){ "rs_event", RS_EVENT, 0 };
	page.handles[2] = (struct x_boot_handle){ "control", CONTROL, 0 };
	strcpy(page.cmdline, "root=x init=/bin/sh quiet rootflags=");
	memcpy(page.args, "first\0root=own", 15);
	page.arg_bytes = 15;
	now = 1000;
	sent_count = 0;
	feed.count = 0;
	commit_result = 0;
	logged[0] = 0;
	left_by = 0;
	outbox_count = 0;
	boot_init(&page);
	control_bind();
	return 0;
}

static void boot_texts(void **state)
{
	assert_int_equal(server_port, PORT);
	assert_int_equal(boot_handle("nothing"), X_NO_HANDLE);
	assert_string_equal(boot_arg(0), "first");
	assert_string_equal(boot_arg(1), "root=own");
	assert_null(boot_arg(2));
	assert_string_equal(boot_option("root"), "own");
	assert_string_equal(boot_option("init"), "/bin/sh");
	assert_string_equal(boot_option("rootflags"), "");
	assert_null(boot_option("quiet"));
	assert_null(boot_option("oot"));
}

static void unknown_call(const struct x_in *in) { out_status(in->id, -X_ENOSYS); }
static const struct server_ops simple = { .call = unknown_call };

static void ready_is_said_once(void **state)
{
	run(&simple);
	assert_int_equal(left_by, 1);
	assert_int_equal(sent_count, 1);
	assert_int_equal(sent[0].kind, X_OUT_SIGNAL);
	assert_int_equal(sent[0].target, RS_EVENT);
	assert_int_equal(sent[0].value, RS_EVENT_READY);
	run(&simple);
	server_ready();
	assert_int_equal(sent_count, 1);
}

static unsigned replies;
static uint64_t started_cookie;
static void replied(void *ctx, const struct x_in *in)
{
	assert_ptr_equal(ctx, &replies);
	replies++;
	if (in->msg.a[0] == 77) /* starts the next from inside: takes the same slot */
		out_start(9, replied, &replies, &started_cookie);
}

static void reply_exactly_once(void **state)
{
	uint64_t cookie;

	out_start(9, replied, &replies, &cookie);
	give(X_IN_REPLY, cookie, 77);
	give(X_IN_REPLY, cookie, 0);       /* a second answer */
	give(X_IN_REPLY, cookie + 100, 0); /* a slot not in use */
	feed.item[2].handle_count = 1;
	feed.item[2].handles[0] = 12;
	give(X_IN_REPLY, 0xffffffffffffffffull, 0);
	run(&simple);
	assert_int_equal(replies, 1);
	assert_int_equal(count_sent(X_OUT_START), 2);
	assert_int_equal(count_sent(X_OUT_CLOSE), 1);
	assert_true(started_cookie != cookie);
	give(X_IN_REPLY, cookie, 0);
	give(X_IN_REPLY, started_cookie, 0);
	run(&simple);
	assert_int_equal(replies, 2);
}

static x_handle_t taken;
static void takes_the_first(void *ctx, const struct x_in *in)
{
	if (in->msg.status >= 0)
		taken = in_take(in, 0);
	assert_int_equal(in_take(in, X_MAX_HANDLES), X_NO_HANDLE);
}

/* Whatever a server sends: what is not taken, or comes with an error, does not stay. */
static void handles_that_nobody_takes_are_closed(void **state)
{
	static const struct { int32_t status; uint32_t handles, closed; } replies_with[] = {
		{ 0, 1, 0 }, { 0, 3, 2 }, { 0, 0, 0 }, { -X_EIO, 2, 2 }, { -9999, 1, 1 },
	};

	for (unsigned i = 0; i < sizeof(replies_with) / sizeof(replies_with[0]); i++) {
		uint64_t cookie;

		taken = X_NO_HANDLE;
		outbox_forget();
		out_start(9, takes_the_first, NULL, &cookie);
		give(X_IN_REPLY, cookie, 0);
		feed.item[feed.count - 1].msg.status = replies_with[i].status;
		feed.item[feed.count - 1].handle_count = replies_with[i].handles;
		for (uint32_t k = 0; k < replies_with[i].handles; k++)
			feed.item[feed.count - 1].handles[k] = 50 + k;
		sent_count = 0;
		run(&simple);
		assert_int_equal(count_sent(X_OUT_CLOSE), replies_with[i].closed);
		assert_int_equal(taken, replies_with[i].status >= 0 && replies_with[i].handles ? 50 : X_NO_HANDLE);
	}
}

/* A fault on purpose leaves nothing behind that an answer without it would not have left. */
static void handles_that_nonsense_withholds_are_closed(void **state)
{
	uint32_t withheld = 0, closed = 0;

	for (uint32_t seed = 1; seed < 200; seed++) {
		struct x_out *o;

		spoil_start(seed);
		outbox_forget();
		sent_count = 0;
		o = out_answer_entry(5);
		o->handle_count = 1;
		o->handles[0] = 60;
		run(&simple);
		withheld += sent[0].handle_count == 0;
		closed += count_sent(X_OUT_CLOSE);
	}
	outbox_garbage = false;
	assert_true(withheld > 3);
	assert_int_equal(closed, withheld);
}

static void many_calls_at_once(void **state)
{
	static uint64_t cookies[1000];

	replies = 0;
	for (int i = 0; i < 1000; i++) /* the outbox is committed on the way */
		out_start(9, replied, &replies, &cookies[i]);
	for (int i = 0; i < 1000; i += 50) {
		for (int k = 0; k < 50; k++)
			give(X_IN_REPLY, cookies[i + k], 0);
		run(&simple);
	}
	assert_int_equal(replies, 1000);
	assert_int_equal(count_sent(X_OUT_START), 1000);
}

static void answer_ten_times(const struct x_in *in)
{
	for (int i = 0; i < 10; i++)
		out_status(in->id, i);
}

static unsigned batch_ends;
static void batch_end(void) { batch_ends++; }

static void commits_early(void **state)
{
	static const struct server_ops ops = { .call = answer_ten_times, .batch_end = batch_end };

	for (int i = 0; i < 64; i++)
		give(X_IN_CALL, i, 0);
	run(&ops);
	assert_int_equal(count_sent(X_OUT_ANSWER), 640);
	assert_true(commits > receives);
	assert_int_equal(batch_ends, commits);
	for (int i = 1; i < 640; i++)
		assert_true(sent[i].id >= sent[i - 1].id);
}

static uint64_t event_bits;
static void on_event(void *ctx, uint64_t bits) { event_bits |= bits; }

static void events(void **state)
{
	uint64_t old;

	event_bits = 0;
	assert_int_equal(server_bind(20, on_event, NULL), 0);
	old = bound_cookie[20];
	give(X_IN_EVENT, old, 3);
	run(&simple);
	assert_int_equal(event_bits, 3);
	assert_int_equal(server_bind(20, on_event, NULL), 0); /* again: the old cookie is void */
	give(X_IN_EVENT, old, 4);
	give(X_IN_EVENT, bound_cookie[20], 8);
	run(&simple);
	assert_int_equal(event_bits, 11);
	old = bound_cookie[20];
	server_unbind(20);
	give(X_IN_EVENT, old, 16);
	run(&simple);
	assert_int_equal(event_bits, 11);
	assert_int_equal(server_bind(31, on_event, NULL), -X_EBADF);
}

static char ran[16];
static struct server_timer ta, tb, tc;
static void mark(void *ctx) { strcat(ran, ctx); }
static void clear_b(void *ctx) { strcat(ran, "a"); timer_clear(&tb); }
static void again(void *ctx)
{
	strcat(ran, "x");
	if (strlen(ran) < 4)
		timer_set(&tc, server_now_ns); /* due at once, but in the next iteration */
}

static void timers(void **state)
{
	ta = (struct server_timer){ .fn = mark, .ctx = "a" };
	tb = (struct server_timer){ .fn = mark, .ctx = "b" };
	tc = (struct server_timer){ .fn = mark, .ctx = "c" };
	ran[0] = 0;
	timer_set(&tc, 3000);
	timer_set(&ta, 2500);
	timer_set(&tb, 2000);
	timer_set(&ta, 1500); /* moved */
	assert_int_equal(timer_next_deadline(), 1500);
	timer_clear(&tc);
	timer_clear(&tc);
	run(&simple);
	assert_string_equal(ran, "ab");
	assert_int_equal(ta.deadline_ns, 0);
	assert_int_equal(timer_next_deadline(), X_FOREVER);
}

static void timers_among_themselves(void **state)
{
	ta = (struct server_timer){ .fn = clear_b };
	tb = (struct server_timer){ .fn = mark, .ctx = "b" };
	ran[0] = 0;
	timer_set(&ta, 2000);
	timer_set(&tb, 2000);
	now = 5000; /* both are due: a clears b before it runs */
	run(&simple);
	assert_string_equal(ran, "a");
	tc = (struct server_timer){ .fn = again };
	ran[0] = 0;
	timer_set(&tc, 1);
	run(&simple);
	assert_string_equal(ran, "xxxx");
	assert_true(receives >= 4);
}

static void control_question_and_stop(void **state)
{
	give(X_IN_CALL, 41, 1234)->msg.op = RS_PROBE;
	run(&simple);
	assert_int_equal(sent[sent_count - 1].id, 41);
	assert_int_equal(sent[sent_count - 1].msg.a[0], ~1234ull);
	give(X_IN_CALL, 42, 0);
	give(X_IN_EVENT, bound_cookie[CONTROL], RS_CONTROL_STOP);
	run(&simple);
	assert_int_equal(left_by, 1000);
	assert_int_equal(sent[sent_count - 1].kind, X_OUT_ANSWER); /* committed before the exit */
	give(X_IN_EVENT, bound_cookie[CONTROL], RS_CONTROL_EXIT | RS_CONTROL_STOP);
	run(&simple);
	assert_int_equal(left_by, 1001);
}

static unsigned stops;
static void on_stop(void) { stops++; }

static void stop_may_take_time(void **state)
{
	static const struct server_ops ops = { .call = unknown_call, .stop = on_stop };

	give(X_IN_EVENT, bound_cookie[CONTROL], RS_CONTROL_STOP);
	run(&ops);
	assert_int_equal(stops, 1);
	assert_int_equal(left_by, 1);
}

static void refused_outbox_is_death(void **state)
{
	out_status(1, 0);
	commit_result = -X_EPROTO;
	run(&simple);
	assert_int_equal(left_by, 1001);
	assert_non_null(strstr(logged, "outbox entry 0 (kind 1) refused"));
	assert_non_null(strstr(logged, "] test "));
	outbox_count = 0;
}

static void without_functions(void **state)
{
	static const struct server_ops none;

	give(X_IN_CALL, 1, 0);
	feed.item[0].handle_count = 2;
	give(X_IN_CLOSURE, 0, 1);
	feed.item[1].object = 9;
	give(X_IN_CANCEL, 1, 0);
	give(99, 1, 0);
	run(&none);
	assert_int_equal(count_sent(X_OUT_ANSWER), 1);
	assert_int_equal(count_sent(X_OUT_CLOSE), 2);
	assert_int_equal(count_sent(X_OUT_CLOSURE_ACK), 1);
}

static void strings_from_windows(void **state)
{
	char text[8];

	memcpy(window, "path\0xyz", 8);
	window_length = 8;
	assert_int_equal(window_string(1, 0, 4, text, sizeof(text)), 4);
	assert_string_equal(text, "path");
	assert_int_equal(window_string(1, 0, 7, text, sizeof(text)), 4);
	assert_int_equal(window_string(1, 0, 8, text, sizeof(text)), -X_ENAMETOOLONG);
	assert_int_equal(window_string(1, 0, 0, text, sizeof(text)), -X_EFAULT);
	window_length = 2;
	assert_int_equal(window_string(1, 0, 4, text, sizeof(text)), -X_EFAULT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(boot_texts), T(ready_is_said_once), T(reply_exactly_once), T(many_calls_at_once), T(handles_that_nobody_takes_are_closed),
		T(handles_that_nonsense_withholds_are_closed),
		T(commits_early), T(events), T(timers), T(timers_among_themselves), T(control_question_and_stop),
		T(stop_may_take_time), T(refused_outbox_is_death), T(without_functions), T(strings_from_windows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
