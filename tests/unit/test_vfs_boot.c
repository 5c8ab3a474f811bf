/* SPDX-License-Identifier: BSD-2-Clause */
/* vfs before the root filesystem has answered, and without one. */
// sources: servers/vfs/op.c servers/vfs/op_open.c servers/vfs/op_pair.c servers/vfs/op_cwd.c servers/vfs/op_mapped.c
// sources: servers/vfs/op_mount.c servers/vfs/resolve.c servers/vfs/request.c servers/vfs/session.c
// sources: servers/vfs/known.c servers/vfs/hold.c servers/vfs/bind.c servers/vfs/fsclient.c servers/vfs/devfs.c
// sources: servers/vfs/device.c servers/vfs/blockdev.c servers/vfs/place.c servers/vfs/pipe.c servers/vfs/pipe_flow.c servers/vfs/fifo.c
// sources: servers/vfs/park.c servers/vfs/ring.c servers/vfs/buffers.c servers/vfs/lock.c servers/vfs/op_lock.c servers/vfs/op_socket.c
// sources: servers/vfs/unix.c servers/vfs/unix_name.c servers/vfs/unix_connect.c servers/vfs/unix_send.c
// sources: servers/vfs/unix_recv.c servers/vfs/unix_flow.c servers/vfs/unix_rights.c servers/vfs/unix_cycles.c servers/vfs/unix_option.c servers/vfs/random.c lib/c/strlcpy.c lib/region/log.c
#include "tests/unit/fake_ipc.h"
#include "servers/vfs/mount.c"

#include <setjmp.h>
#include <cmocka.h>

uint64_t sys_realtime_ns(void) { return 1; }
int server_bind(x_handle_t h, event_fn fn, void *ctx) { (void)h, (void)fn, (void)ctx; return 0; }
void server_unbind(x_handle_t h) { (void)h; }
void sys_entropy(uint64_t out[8]) { memset(out, 1, 64); }

static struct fake_call *control(uint32_t op)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, 0, op);

	op_control_call(&in);
	fake_fix_answers();
	return c;
}

static void reply(int status, uint64_t a0, uint64_t a1)
{
	struct x_in in = { .kind = X_IN_REPLY, .msg = { .status = status, .a = { a0, a1 } } };

	fake_reply(fake_next_start(), &in);
	while (fake_run_timer(1000))
		;
	fake_fix_answers();
}

static int setup(void **state)
{
	(void)state;
	memset(mounts, 0, sizeof(mounts));
	fake_handles = "minix pm tty rs";
	fake_rootflags = NULL;
	fake_start_next = fake_start_count;
	hold_forget_mount(0);
	hold_forget_mount(1);
	hold_forget_mount(2);
	return 0;
}

static void test_waits_for_root_and_dev(void **state)
{
	struct fake_call *ready, *first;

	(void)state;
	fake_rootflags = "ro,noatime";
	mounts_init();
	ready = control(VFSCTL_READY);
	first = control(VFSCTL_SESSION);
	assert_int_equal(ready->answers + first->answers, 0);
	assert_int_equal(fake_next_start()->out.msg.op, FS_MOUNT);
	assert_int_equal(fake_next_start()->out.msg.a[1], FS_RDONLY);
	reply(0, 1, 1);
	assert_int_equal(ready->answers, 0);
	assert_int_equal(fake_next_start()->out.msg.op, FS_LOOKUP);     /* /dev */
	assert_memory_equal((char *)fake_next_start()->out.win[0].addr, "dev", 3);
	reply(0, 5, F_S_IFDIR | 0755);
	assert_int_equal(fake_next_start()->out.msg.op, FS_MOUNT);      /* proc: pm is not there yet */
	struct fake_start *pm = fake_next_start();
	struct fake_start *mark = &fake_starts[(fake_start_next + 1) % FAKE_OUT_MAX];
	struct x_in ok = { .kind = X_IN_REPLY };
	assert_int_equal(mark->out.msg.op, FS_MARK_MOUNT);
	assert_int_equal(pm->out.target, boot_handle("pm"));
	mark->done(mark->ctx, &ok);
	while (fake_run_timer(1000))
		;
	fake_fix_answers();
	assert_int_equal(ready->answers, 1);
	assert_int_equal(ready->msg.status, 0);
	assert_int_equal(first->answers, 1);
	assert_int_equal(first->handle_count, 1);
	assert_true(mounts[0].rdonly);
	assert_int_equal(control(VFSCTL_READY)->answers, 1);
}

static void test_no_root(void **state)
{
	struct fake_call *ready;

	(void)state;
	fake_handles = "pm tty rs";
	mounts_init();
	ready = control(VFSCTL_READY);
	assert_int_equal(ready->msg.status, -X_ENODEV);
	assert_int_equal(control(VFSCTL_SESSION)->msg.status, -X_ENODEV);
}

static void test_root_refused(void **state)
{
	struct fake_call *ready;

	(void)state;
	mounts_init();
	ready = control(VFSCTL_READY);
	reply(-X_EINVAL, 0, 0);
	assert_int_equal(ready->answers, 1);
	assert_int_equal(ready->msg.status, -X_EINVAL);
}

static void test_root_keeps_dying(void **state)
{
	struct fake_call *ready;
	int tries;

	(void)state;
	mounts_init();
	ready = control(VFSCTL_READY);
	for (tries = 0; tries < 100 && !ready->answers; tries++) {
		if (fake_next_start())
			reply(-X_EDEAD, 0, 0);
		fake_run_timer(10ull * 1000 * 1000 * 1000);
		fake_fix_answers();
	}
	assert_int_equal(ready->answers, 1);
	assert_int_equal(ready->msg.status, -X_EIO);
}

static void test_no_dev_directory(void **state)
{
	struct fake_call *ready;

	(void)state;
	fake_handles = "minix";
	mounts_init();
	ready = control(VFSCTL_READY);
	reply(0, 1, 0);
	reply(-X_ENOENT, 0, 0);
	assert_int_equal(fake_next_start()->out.msg.op, FS_MKDIR);
	reply(-X_EROFS, 0, 0);
	reply(-X_ENOENT, 0, 0);
	assert_int_equal(ready->answers, 1);
	assert_int_equal(ready->msg.status, 0);         /* the root is there all the same */
}

#define T(name) cmocka_unit_test_setup(name, setup)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_waits_for_root_and_dev), T(test_no_root), T(test_root_refused),
		T(test_root_keeps_dying), T(test_no_dev_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
