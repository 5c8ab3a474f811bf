/* SPDX-License-Identifier: BSD-2-Clause */
/* Pipes: order, atomicity, parking, closing, cancelling, readiness; and what goes to the kernel and comes back. */
// sources: servers/vfs/ring.c servers/vfs/buffers.c servers/vfs/pipe_flow.c lib/c/strlcpy.c
#include "tests/unit/fake_ipc.h"
#include "servers/vfs/park.c"
#include "servers/vfs/pipe.c"

#include <setjmp.h>
#include <cmocka.h>

uint64_t sys_realtime_ns(void) { return 1; }
void hold_drop(struct place p) { (void)p; }
void place_stat(const struct x_in *in, struct place p) { (void)p; out_status(in->id, 0); }

static void stop_now(uint64_t as)
{
	fake_flow_busy = false;
	fake_flow_state.stopped = 1;
	pipe_flow(as, &fake_flow_state);
	fake_fix_answers();
}

static bool cancelled(uint64_t call_id)
{
	struct parked *w = parked_find(call_id);

	return w && pipe_cancel(w);
}

static const struct session owner = { .creds = { .uid = 3, .gid = 4 } };
static uint64_t r, w;
static uint32_t flags;
static uint64_t account = 42;
static bool streams, peeks;

static int setup(void **state)
{
	struct x_in in;
	struct fake_call *c;

	(void)state;
	fake_call_count = fake_ready_count = 0;
	flags = 0;
	account = 42;
	fake_flow_busy = streams = peeks = false;
	fake_epoch = 0;
	c = fake_call_new(&in, 1, VFS_PIPE);
	pipe_create(&in, &owner);
	fake_fix_answers();
	assert_int_equal(c->handle_count, 2);
	r = fake_object_of(c->handles[0]);
	w = fake_object_of(c->handles[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	pipe_closed(r);
	pipe_closed(w);
	fake_fix_answers();
	for (unsigned i = 0; i < PARKED_MAX; i++)
		assert_int_equal(parked[i].call_id, 0);
	for (unsigned i = 0; i < fake_call_count; i++)
		assert_int_equal(fake_calls[i].answers, 1);
	return 0;
}

static struct fake_call *call(uint64_t object, uint32_t op, void *data, uint32_t len)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, object, op);

	if (data)
		fake_window(c, &in, data, len, op == FILE_WRITE ? X_WIN_READ : X_WIN_WRITE);
	in.status_flags = flags;
	in.account = account;
	in.msg.status |= (streams ? FILE_STREAMS : 0) | (peeks ? FILE_PEEK : 0);
	pipe_call(&in);
	fake_fix_answers();
	return c;
}
static struct fake_call *put(void *data, uint32_t len) { return call(w, FILE_WRITE, data, len); }
static struct fake_call *get(void *data, uint32_t len) { return call(r, FILE_READ, data, len); }
static void closed(uint64_t id) { pipe_closed(id); fake_fix_answers(); }

static uint32_t told(uint64_t id)
{
	uint32_t now = find(id) ? find(id)->ready : 0;

	for (unsigned i = 0; i < fake_ready_count; i++)
		if (fake_ready[i].id == id)
			now = fake_ready[i].levels;
	return now;
}

static void test_plain(void **state)
{
	char buffer[16];

	(void)state;
	assert_int_equal(put("hello", 5)->msg.status, 5);
	assert_int_equal(told(r), X_READY_IN);
	assert_int_equal(get(buffer, 3)->msg.status, 3);
	assert_memory_equal(buffer, "hel", 3);
	assert_int_equal(get(buffer, 16)->msg.status, 2);
	assert_int_equal(told(r), 0);
	assert_int_equal(call(r, FILE_WRITE, buffer, 1)->msg.status, -X_EBADF);
	assert_int_equal(call(w, FILE_READ, buffer, 1)->msg.status, -X_EBADF);
	assert_int_equal(call(w, FILE_SIZE, NULL, 0)->msg.status, -X_ESPIPE);
}

static void test_parked_readers(void **state)
{
	char a[4] = "", b[4] = "";
	struct fake_call *first = get(a, 4), *second = get(b, 4);

	(void)state;
	assert_int_equal(first->answers + second->answers, 0);
	put("123", 3);
	assert_int_equal(first->msg.status, 3);
	assert_int_equal(second->answers, 0);
	put("456789", 6);
	assert_int_equal(second->msg.status, 4);
	assert_memory_equal(b, "4567", 4);
	assert_int_equal(get(a, 4)->msg.status, 2);
}

static void test_eof(void **state)
{
	char a[8], b[8];
	struct fake_call *c;

	(void)state;
	put("xy", 2);
	closed(w);
	assert_int_equal(told(r), X_READY_IN | X_READY_HUP);
	assert_int_equal(get(a, 8)->msg.status, 2);
	assert_int_equal(get(a, 8)->msg.status, 0);
	closed(r);
	assert_null(find(r));
	setup(NULL);
	c = get(b, 8);
	closed(w);
	assert_int_equal(c->answers, 1);
	assert_int_equal(c->msg.status, 0);
}

static void test_broken(void **state)
{
	static char big[100000];
	struct fake_call *c = put(big, sizeof(big)), *d = put("x", 1);

	(void)state;
	assert_int_equal(c->answers + d->answers, 0);
	closed(r);
	assert_int_equal(c->msg.status, PIPE_BYTES);
	assert_int_equal(d->msg.status, -X_EPIPE);
	assert_int_equal(told(w), X_READY_ERR);
	assert_int_equal(put("x", 1)->msg.status, -X_EPIPE);
}

static void test_big_write(void **state)
{
	static uint8_t out[300000], in[300000];
	struct fake_call *c;
	uint32_t got = 0;

	(void)state;
	for (uint32_t i = 0; i < sizeof(out); i++)
		out[i] = (uint8_t)(i * 7 + i / 251);
	c = put(out, sizeof(out));
	while (got < sizeof(in)) {
		int32_t n = get(in + got, 7777)->msg.status;

		assert_true(n > 0);
		got += (uint32_t)n;
	}
	assert_int_equal(c->msg.status, sizeof(out));
	assert_memory_equal(in, out, sizeof(out));
}

static void test_atomic(void **state)
{
	static char fill[PIPE_BYTES - 100], page[4096], buffer[8192];
	struct fake_call *c, *d;

	(void)state;
	put(fill, sizeof(fill));
	assert_int_equal(told(w), 0);
	flags = F_O_NONBLOCK;
	assert_int_equal(put(page, 101)->msg.status, -X_EAGAIN);
	assert_int_equal(put(page, 100)->msg.status, 100);
	assert_int_equal(put(page, 1)->msg.status, -X_EAGAIN);
	flags = 0;
	c = put(page, 4096);
	d = put("z", 1);                /* stays behind it */
	assert_int_equal(get(buffer, 4095)->msg.status, 4095);
	assert_int_equal(c->answers + d->answers, 0);
	assert_int_equal(get(buffer, 1)->msg.status, 1);
	assert_int_equal(c->msg.status, 4096);
	assert_int_equal(d->answers, 0);
	get(buffer, 8192);
	assert_int_equal(d->msg.status, 1);
	assert_int_equal(told(w), X_READY_OUT);
}

static void test_nonblock(void **state)
{
	static char big[PIPE_BYTES + 50], byte;

	(void)state;
	flags = F_O_NONBLOCK;
	assert_int_equal(get(&byte, 1)->msg.status, -X_EAGAIN);
	assert_int_equal(put(big, sizeof(big))->msg.status, PIPE_BYTES);
	assert_int_equal(put(big, sizeof(big))->msg.status, -X_EAGAIN);
	assert_int_equal(get(big, sizeof(big))->msg.status, PIPE_BYTES);
}

static void test_cancel(void **state)
{
	static char big[PIPE_BYTES + 50], a[4], b[4];
	struct fake_call *first = get(a, 4), *second = get(b, 4), *c, *d;

	(void)state;
	assert_true(cancelled(first->id));
	fake_fix_answers();
	assert_int_equal(first->msg.status, -X_EINTR);
	assert_false(cancelled(first->id));
	put("ab", 2);
	assert_int_equal(second->msg.status, 2);
	c = put(big, sizeof(big));
	d = put(a, 4);
	assert_true(cancelled(c->id));
	fake_fix_answers();
	assert_int_equal(c->msg.status, PIPE_BYTES);
	assert_true(cancelled(d->id));
	fake_fix_answers();
	assert_int_equal(d->msg.status, -X_EINTR);
	assert_false(cancelled(12345));
}

static void test_pulses(void **state)
{
	char buffer[4];
	unsigned before;

	(void)state;
	put("a", 1);
	before = fake_ready_count;
	put("b", 1);                    /* level stays, edge is told */
	assert_int_equal(fake_ready_count, before + 1);
	assert_int_equal(fake_ready[before].pulse, X_READY_IN);
	get(buffer, 4);
	assert_int_equal(told(r), 0);
	assert_int_equal(told(w), X_READY_OUT);
}

static void test_stat_ioctl(void **state)
{
	struct file_attr a;
	int count = 0;
	struct x_in in;
	struct fake_call *c;

	(void)state;
	put("abc", 3);
	assert_int_equal(call(r, FILE_STAT, &a, sizeof(a))->msg.status, 0);
	assert_int_equal(a.mode, F_S_IFIFO | 0600);
	assert_int_equal(a.uid, 3);
	c = fake_call_new(&in, r, FILE_IOCTL);
	in.msg.a[0] = IOCTL_FIONREAD;
	fake_window(c, &in, &count, 4, X_WIN_WRITE);
	pipe_call(&in);
	fake_fix_answers();
	assert_int_equal(count, 3);
	assert_int_equal(call(r, FILE_IOCTL, NULL, 0)->msg.status, -X_ENOTTY);
}

static void test_limits(void **state)
{
	static uint64_t ids[PIPES_MAX][2];
	struct x_in in;
	struct fake_call *c;
	char byte;
	unsigned i, open = 0;

	(void)state;
	for (i = 0; i < PIPES_MAX + 2; i++) {
		c = fake_call_new(&in, 1, VFS_PIPE);
		in.account = i % 4;
		pipe_create(&in, &owner);
		fake_fix_answers();
		if (c->msg.status < 0) {
			assert_int_equal(c->msg.status, -X_ENFILE);
			continue;
		}
		ids[open][0] = fake_object_of(c->handles[0]);
		ids[open++][1] = fake_object_of(c->handles[1]);
	}
	assert_int_equal(open, PIPES_MAX - 1);
	for (i = 0; i < open; i++) {
		closed(ids[i][0]);
		closed(ids[i][1]);
		assert_null(find(ids[i][0]));
	}
	for (i = 0; i < PARKED_MAX / 2; i++)
		assert_int_equal(get(&byte, 1)->answers, 0);
	assert_int_equal(get(&byte, 1)->msg.status, -X_EAGAIN);
	account = 43;
	assert_int_equal(get(&byte, 1)->answers, 0);
	closed(w);
}

/* What was taken since the last commit may be asked for again: it is not written over. */
static void test_rollback(void **state)
{
	static char a[4096], b[PIPE_BYTES], out[PIPE_BYTES];
	uint8_t *was;
	uint32_t buffer, head;
	struct ring *ring;

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	fake_epoch = 5;
	ring = &find(r)->pipe->ring;
	put(a, sizeof(a));
	fake_epoch++;
	buffer = ring->buffer;
	was = buffer_at(buffer);
	assert_int_equal(get(out, sizeof(out))->msg.status, sizeof(a));
	assert_int_equal(put(b, sizeof(a))->msg.status, sizeof(a)); /* in another block */
	assert_memory_equal(was, a, sizeof(a));
	fake_epoch++;
	assert_int_equal(put(b, PIPE_BYTES - sizeof(a))->msg.status, PIPE_BYTES - sizeof(a));
	fake_epoch++;
	buffer = ring->buffer;
	head = ring->head;
	was = buffer_at(buffer) + head;
	assert_int_equal(get(out, 100)->msg.status, 100);
	memset(a, 'c', sizeof(a));
	flags = F_O_NONBLOCK;
	assert_int_equal(put(a, 100)->msg.status, 100); /* by moving to another block */
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(was[i], 'b');
	fake_epoch++;
	while (get(out, sizeof(out))->msg.status > 0)
		;
	fake_epoch = 0;
}

/* As what programs write and read by the kernel: it is at offset + n % bytes of the memory. */
static void kernel_has(const char *text, uint32_t at)
{
	for (uint32_t i = 0; text[i]; i++)
		buffer_at(find(r)->pipe->ring.buffer)[(at + i) % fake_flow.bytes] = (uint8_t)text[i];
	fake_flow_state = (struct x_flow_state){ .extents = at, .waiting = strlen(text) };
}

/* Until a call is answered that the kernel has it. */
static void begin_flow(void)
{
	char buffer[4];

	streams = true;
	for (int i = 0; i < 20; i++) {
		if (put("abc", 3)->msg.status == -X_EWAIT) {
			assert_int_equal(put("abc", 3)->msg.status, -X_EWAIT); /* in the same iteration */
			fake_epoch++;
			return;
		}
		get(buffer, 3);
	}
	fail_msg("no flow");
}

static void test_flow(void **state)
{
	struct fake_call *waits, *size;
	char buffer[16];
	uint32_t count;
	struct x_in in;

	(void)state;
	for (int i = 0; i < 20; i++) { /* callers that know nothing of it */
		assert_int_equal(put("abc", 3)->msg.status, 3);
		assert_int_equal(get(buffer, 16)->msg.status, 3);
	}
	streams = true;
	assert_int_equal(put("old", 3)->msg.status, 3);
	for (int i = 0; i < 20; i++)
		assert_int_equal(call(r, FILE_SYNC, NULL, 0)->msg.status, -X_EINVAL);
	assert_int_equal(get(buffer, 16)->msg.status, 3);
	begin_flow();
	assert_true(fake_flow.reader == r && fake_flow.writer == w && fake_flow.bytes == PIPE_BYTES && fake_flow.nowait == F_O_NONBLOCK);
	assert_int_equal(fake_flow.offset, buffer_offset(find(r)->pipe->ring.buffer));
	assert_int_equal(told(r) | told(w), 0); /* of what they can do the kernel knows */
	assert_int_equal(get(buffer, 16)->msg.status, -X_EWAIT);
	assert_int_equal(get(buffer, 0)->msg.status, 0);
	kernel_has("hello", 65534);
	waits = fake_call_new(&in, r, FILE_IOCTL);
	in.msg.a[0] = IOCTL_FIONREAD;
	fake_window(waits, &in, &count, 4, X_WIN_WRITE);
	pipe_call(&in);
	fake_fix_answers();
	assert_int_equal(count, 5);

	/* A call that does not stream ends it: served when the kernel has stopped. */
	streams = false;
	fake_flow_busy = true;
	waits = get(buffer, 16);
	size = fake_call_new(&in, r, FILE_PIPE_SIZE);
	in.msg.a[0] = 1 << 17;
	pipe_call(&in);
	fake_fix_answers();
	assert_int_equal(waits->answers + size->answers, 0);
	flags = F_O_NONBLOCK;
	assert_int_equal(put("x", 1)->msg.status, -X_EAGAIN);
	flags = 0;
	stop_now(r);
	assert_int_equal(size->msg.status, 1 << 17);
	assert_int_equal(waits->msg.status, 5);
	assert_memory_equal(buffer, "hello", 5);
	assert_int_equal(told(w), X_READY_OUT);
}

static void test_flow_closed(void **state)
{
	char buffer[16];

	(void)state;
	begin_flow();
	kernel_has("left", 100);
	fake_flow_state.stopped = 1; /* as the kernel does by itself */
	closed(w);
	assert_int_equal(told(r), X_READY_IN | X_READY_HUP);
	assert_int_equal(get(buffer, 16)->msg.status, 4);
	assert_memory_equal(buffer, "left", 4);
	assert_int_equal(get(buffer, 16)->msg.status, 0);
}

/* The reader is gone while a write goes on; then the writer is told. */
static void test_flow_broken(void **state)
{
	struct fake_call *waits;

	(void)state;
	begin_flow();
	fake_flow_busy = true;
	closed(r);
	waits = put("more", 4);
	assert_int_equal(waits->answers, 0);
	fake_flow.reader = 0;
	stop_now(w);
	assert_int_equal(waits->msg.status, -X_EPIPE);
	assert_int_equal(put("more", 4)->msg.status, -X_EPIPE);
}

static void test_flow_opened_again(void **state)
{
	char buffer[16];
	int64_t handle;

	(void)state;
	begin_flow();
	kernel_has("ab", 0);
	handle = pipe_reopen(find(r)->pipe->serial, F_O_RDONLY);
	fake_fix_answers();
	assert_true(handle >= 0);
	assert_int_equal(get(buffer, 16)->msg.status, 2);
	for (int i = 0; i < 20; i++) { /* there are two readers now */
		assert_int_equal(put("abc", 3)->msg.status, 3);
		assert_int_equal(get(buffer, 16)->msg.status, 3);
	}
	closed(fake_object_of((x_handle_t)handle));
	begin_flow();
}

/* Whoever looked at what is in it will look again: it stays with calls. */
static void test_flow_peeked(void **state)
{
	char buffer[16];

	(void)state;
	begin_flow();
	kernel_has("look", 7);
	fake_flow_state.stopped = 1;
	peeks = true;
	assert_int_equal(get(buffer, 16)->msg.status, 4);
	peeks = false;
	assert_int_equal(get(buffer, 16)->msg.status, 4);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(put("abc", 3)->msg.status, 3);
		assert_int_equal(get(buffer, 16)->msg.status, 3);
	}
}

static void test_mint_fails(void **state)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, 1, VFS_PIPE);

	(void)state;
	fake_mint_error = -X_ENOMEM;
	pipe_create(&in, &owner);
	fake_fix_answers();
	fake_mint_error = 0;
	assert_int_equal(c->msg.status, -X_ENOMEM);
}

/* Memory that nothing lies in goes back, pieces join, and what a rollback may want stays. */
static void test_buffers(void **state)
{
	enum { MANY = 400 };
	static uint32_t ids[MANY];
	uint32_t whole, small;
	const uint8_t *start;
	unsigned before;

	(void)state;
	while (fake_run_timer(10000000000ull))
		;
	fake_epoch = 5;
	before = fake_unmaps;
	for (uint32_t i = 0; i < MANY; i++) {
		ids[i] = buffer_get(1u << (12 + i % 7));
		assert_true(ids[i] && buffer_bytes(ids[i]) == 1u << (12 + i % 7));
		memset(buffer_at(ids[i]), (int)i, buffer_bytes(ids[i]));
	}
	for (uint32_t i = 0; i < MANY; i++) {
		uint8_t *at = buffer_at(ids[i]);

		assert_true(at[0] == (uint8_t)i && at[buffer_bytes(ids[i]) - 1] == (uint8_t)i);
		assert_int_equal(buffer_offset(ids[i]) % buffer_bytes(ids[i]), 0);
		buffer_put(ids[i]);
	}
	small = buffer_get(4096); /* none of those: they may be wanted */
	for (uint32_t i = 0; i < MANY; i++)
		assert_true(buffer_at(small) != buffer_at(ids[i]));
	while (fake_run_timer(10000000000ull))
		;
	assert_true(fake_unmaps > before + MANY / 7); /* all but that of `small` */
	fake_epoch++;
	start = buffer_at(small) - buffer_offset(small);
	buffer_put(small);
	fake_epoch++;
	whole = buffer_get(65536);
	assert_ptr_equal(buffer_at(whole), start); /* joined */
	buffer_put(whole);
	while (fake_run_timer(10000000000ull))
		;
	for (uint32_t i = 0; i < 48; i++)
		assert_true((ids[i] = buffer_get(1 << 20)) != 0);
	assert_int_equal(buffer_get(4096), 0); /* no more than 48 MiB */
	for (uint32_t i = 0; i < 48; i++)
		buffer_put(ids[i]);
	while (fake_run_timer(10000000000ull))
		;
	assert_true((small = buffer_get(4096)) != 0);
	buffer_put(small);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_plain), T(test_parked_readers), T(test_eof), T(test_broken), T(test_big_write),
		T(test_atomic), T(test_nonblock), T(test_cancel), T(test_pulses), T(test_stat_ioctl),
		T(test_limits), T(test_buffers), T(test_rollback), T(test_mint_fails),
		T(test_flow), T(test_flow_closed), T(test_flow_broken), T(test_flow_opened_again), T(test_flow_peeked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
