/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The Linux personality over a faked kernel: upcalls go in as the kernel makes
 * them, x_resume and x_proc_exit are where they come out.
 */
// sources: tests/unit/pers_fake.c personality/linux/[!l]*.c personality/linux/lo*.c lib/c/strlcpy.c
// cflags: -include tests/unit/pers_fake.h
#include "personality/linux/pers.h"
#include "proto/fs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#define NR_read 0
#define NR_write 1
#define NR_open 2
#define NR_close 3
#define NR_fstat 5
#define NR_poll 7
#define NR_lseek 8
#define NR_mmap 9
#define NR_brk 12
#define NR_sigaction 13
#define NR_sigprocmask 14
#define NR_sigreturn 15
#define NR_writev 20
#define NR_nanosleep 35
#define NR_getpid 39
#define NR_fork 57
#define NR_kill 62
#define NR_sigsuspend 130
#define NR_sigaltstack 131
#define NR_futex 202
#define NR_exit_group 231
#define NR_openat 257
#define NR_renameat 264
#define NR_select 23
#define NR_uname 63

#define RIP 0x401002ull
#define BIT(sig) (1ull << ((sig) - 1))

const size_t pers_fake_process_bytes = sizeof(struct pers_process);

void pers_fake_fill(void *ids_page, void *start_page)
{
	struct pm_ids *i = ids_page;
	struct pers_start *p = start_page;

	memset(i, 0, sizeof(*i));
	i->pid = 42;
	i->ppid = 1;
	i->rlimit_nofile = 1024;
	i->rlimit_fsize = i->rlimit_as = i->rlimit_data = UINT64_MAX;
	memset(p, 0, sizeof(*p));
	p->version = PERS_START_VERSION;
	p->brk_start = 0x600000;
	p->brk_limit = 0x800000;
	strlcpy(p->comm, "prog", sizeof(p->comm));
}

static uint8_t stack[65536] __attribute__((aligned(64)));
static struct x_call last;      /* as the server got it */
static x_handle_t last_handle;
static uint32_t calls;
static int64_t answer;          /* status of the next answers */
static struct x_msg answer_msg;
static char written[8192];
static uint32_t written_bytes;

static int64_t record_call(x_handle_t h, struct x_call *c)
{
	last = *c;
	last_handle = h;
	calls++;
	if (c->msg.op == PM_EXIT)
		x_proc_exit((int)c->msg.a[0]);
	if (c->msg.op == FILE_WRITE) {
		memcpy(written + written_bytes, (void *)c->win[0].addr, c->win[0].len);
		written_bytes += c->win[0].len;
	}
	c->msg = answer_msg;
	c->msg.status = (int32_t)answer;
	return answer;
}

static int setup(void **state)
{
	(void)state;
	pers_fake_reset();
	fake.call = record_call;
	calls = 0;
	answer = 0;
	answer_msg = (struct x_msg){ 0 };
	written_bytes = 0;
	return 0;
}

static struct x_upcall fresh_frame(void)
{
	struct x_upcall f = { 0 };

	f.regs.rip = RIP;
	f.regs.rsp = (uint64_t)stack + sizeof(stack) - 1000;
	return f;
}

static struct x_upcall frame;

static int64_t run(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	frame.regs.rip = RIP;
	if (!frame.regs.rsp)
		frame = fresh_frame();
	if (!pers_fake_syscall(nr, (uint64_t[6]){ a, b, c, d, e, f }, &frame))
		return -9999; /* the process ended */
	return (int64_t)frame.regs.rax;
}
#define RUN(nr, a, b, c, d) run(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), 0, 0)

static void set_handler(uint32_t sig, uint64_t handler, uint64_t flags, uint64_t mask)
{
	struct linux_sigaction sa = { handler, flags | SA_RESTORER, 0x1234, mask };

	assert_int_equal(RUN(NR_sigaction, sig, &sa, 0, 8), 0);
}

/* ------------------------------------------------------------------ dispatch */

static void test_unknown_is_logged_once(void **state)
{
	(void)state;
	assert_int_equal(RUN(134, 0, 0, 0, 0), -X_ENOSYS);
	assert_string_equal(fake.log, "linux: 42 prog: system call 134 (uselib) not implemented\n");
	fake.log[0] = 0;
	assert_int_equal(RUN(134, 0, 0, 0, 0), -X_ENOSYS);
	assert_string_equal(fake.log, "");
	assert_int_equal(RUN(99999, 0, 0, 0, 0), -X_ENOSYS);
	assert_int_equal(RUN(NR_getpid, 0, 0, 0, 0), 42);
}

static void test_personality_memory_is_refused(void **state)
{
	(void)state;
	assert_int_equal(RUN(NR_read, 0, X_PERS_BASE + 64, 16, 0), -X_EFAULT);
	assert_int_equal(RUN(NR_write, 1, X_PERS_BASE - 8, 16, 0), -X_EFAULT);
	assert_int_equal(RUN(NR_uname, UINT64_MAX - 4, 0, 0, 0), -X_EFAULT);
	assert_int_equal(RUN(NR_uname, 8, 0, 0, 0), -X_EFAULT);
	assert_int_equal(RUN(NR_open, X_PERS_BASE, 0, 0, 0), -X_EFAULT);
	assert_int_equal(calls, 0);
}

static void test_native_errors_become_linux(void **state)
{
	(void)state;
	assert_int_equal(linux_error(-X_EDEAD), -X_EIO);
	assert_int_equal(linux_error(-X_EWRONGTYPE), -X_EINVAL);
	assert_int_equal(linux_error(-X_ENOENT), -X_ENOENT);
	assert_int_equal(linux_error(7), 7);
}

/* --------------------------------------------------------------------- files */

static void test_read_is_one_call(void **state)
{
	char buf[16];

	(void)state;
	answer = 5;
	assert_int_equal(RUN(NR_read, 3, buf, 16, 0), 5);
	assert_int_equal(last_handle, 3);
	assert_int_equal(last.msg.op, FILE_READ);
	assert_int_equal(last.win[0].addr, (uint64_t)buf);
	assert_int_equal(last.win[0].flags, X_WIN_WRITE);
	assert_true(last.flags & X_CALL_CURSOR);
	assert_int_equal(RUN(NR_read, 1024, buf, 16, 0), -X_EBADF);
	assert_int_equal(RUN(NR_read, 3, 16, 16, 0), -X_EFAULT);
}

static void test_writev_gathers(void **state)
{
	struct linux_iovec iov[3] = { { (uint64_t)"hello ", 6 }, { 0, 0 }, { (uint64_t)"world\n", 6 } };

	(void)state;
	answer = 12;
	assert_int_equal(RUN(NR_writev, 1, iov, 3, 0), 12);
	assert_int_equal(calls, 1);
	assert_memory_equal(written, "hello world\n", 12);
	iov[2].base = 16; /* bad: what comes before it is written */
	answer = 6;
	assert_int_equal(RUN(NR_writev, 1, iov, 3, 0), 6);
	iov[0].base = 16;
	assert_int_equal(RUN(NR_writev, 1, iov, 3, 0), -X_EFAULT);
	assert_int_equal(RUN(NR_writev, 1, iov, 1025, 0), -X_EINVAL);
}

static void test_epipe_raises_sigpipe(void **state)
{
	(void)state;
	answer = -X_EPIPE;
	assert_int_equal(RUN(NR_write, 1, "x", 1, 0), -X_EPIPE);
	assert_int_equal(fake.posted, BIT(SIGPIPE));
}

static void test_lseek(void **state)
{
	(void)state;
	answer_msg.a[0] = 100;
	fake.cursor = 10;
	assert_int_equal(RUN(NR_lseek, 3, 5, SEEK_CUR, 0), 15);
	assert_int_equal(RUN(NR_lseek, 3, -1, SEEK_END, 0), 99);
	assert_int_equal(RUN(NR_lseek, 3, 7, SEEK_HOLE, 0), 100);
	assert_int_equal(RUN(NR_lseek, 3, -7, SEEK_SET, 0), -X_EINVAL);
	assert_int_equal(RUN(NR_lseek, 3, 0, 9, 0), -X_EINVAL);
	fake.cursor = -X_ESPIPE;
	assert_int_equal(RUN(NR_lseek, 3, 5, SEEK_SET, 0), 0); /* what has a size all the same is always at its beginning */
	assert_int_equal(RUN(NR_lseek, 3, 0, 9, 0), -X_EINVAL);
	answer = -X_ESPIPE;
	assert_int_equal(RUN(NR_lseek, 3, 0, SEEK_CUR, 0), -X_ESPIPE);
}

static int64_t open_call(x_handle_t h, struct x_call *c)
{
	record_call(h, c);
	c->handle_count = 1;
	c->handles[0] = 5;
	return 0;
}

static void test_open_and_directories(void **state)
{
	(void)state;
	fake.call = open_call;
	assert_int_equal(RUN(NR_open, "/etc/passwd", F_O_RDWR | F_O_CLOEXEC, 0666, 0), 5);
	assert_int_equal(last_handle, X_SLOT_VFS);
	assert_int_equal(last.win[0].len, 11);
	assert_int_equal(last.handle_count, 0);
	assert_true(last.flags & X_CALL_CLOEXEC);
	assert_int_equal(last.recv_min, 0);
	assert_int_equal(last.recv_end, 1024);
	assert_int_equal(RUN(NR_openat, 7, "name", 0, 0), 5);
	assert_int_equal(last.handle_count, 1);
	assert_int_equal(last.handles[0], 7);
	assert_int_equal(RUN(NR_openat, 7, "/name", 0, 0), 5);
	assert_int_equal(last.handle_count, 0);
	assert_int_equal(RUN(NR_openat, -100, "", 0, 0), -X_ENOENT);
	assert_int_equal(RUN(NR_openat, 5000, "x", 0, 0), -X_EBADF);
	fake.call = record_call;
	assert_int_equal(RUN(NR_renameat, -100, "a", 6, "b"), 0);
	assert_int_equal(last.msg.a[1], 2);
	assert_int_equal(last.handle_count, 2);
	assert_int_equal(last.handles[1], 6);
}

static int64_t stat_call(x_handle_t h, struct x_call *c)
{
	struct file_attr *a = (void *)c->win[0].addr;

	(void)h;
	*a = (struct file_attr){ .dev = 0x803, .ino = 9, .mode = 0100644, .nlink = 2, .uid = 3, .gid = 4,
		.size = 4097, .blocks = 16, .block_bytes = 4096, .mtime_ns = 1500000000123456789ull };
	return 0;
}

static void test_fstat_layout(void **state)
{
	struct linux_stat st;
	struct linux_statx stx;
	struct file_attr a;
	struct x_call c = { .win[0].addr = (uint64_t)&a };

	(void)state;
	fake.call = stat_call;
	assert_int_equal(RUN(NR_fstat, 3, &st, 0, 0), 0);
	assert_int_equal(st.ino, 9);
	assert_int_equal(st.nlink, 2);
	assert_int_equal(st.mode, 0100644);
	assert_int_equal(st.size, 4097);
	assert_int_equal(st.mtime, 1500000000);
	assert_int_equal(st.mtime_ns, 123456789);
	stat_call(0, &c);
	convert_statx(&stx, &a);
	assert_int_equal(stx.dev_major, 8);
	assert_int_equal(stx.dev_minor, 3);
	assert_int_equal(stx.mtime.nsec, 123456789);
}

static void test_ioctl_shapes(void **state)
{
	(void)state;
	assert_int_equal(ioctl_shape(0x5401).bytes, 36);
	assert_int_equal(ioctl_shape(0x5401).flags, X_WIN_WRITE);
	assert_int_equal(ioctl_shape(0x5414).flags, X_WIN_READ);
	assert_int_equal(ioctl_shape(0x80045430).bytes, 4); /* TIOCGPTN: _IOR('T', 0x30, int) */
	assert_int_equal(ioctl_shape(0x80045430).flags, X_WIN_WRITE);
	assert_int_equal(ioctl_shape(0x40045431).flags, X_WIN_READ); /* TIOCSPTLCK */
	assert_int_equal(ioctl_shape(0x80081272).bytes, 8); /* BLKGETSIZE64 */
	assert_int_equal(ioctl_shape(0x540e).bytes, 0); /* TIOCSCTTY */
}

/* ------------------------------------------------------------------- signals */

static void test_handler_frame(void **state)
{
	struct linux_rt_sigframe *f;
	uint64_t rsp;

	(void)state;
	frame = fresh_frame();
	set_handler(SIGUSR1, 0x402000, SA_SIGINFO, BIT(SIGUSR2));
	frame.reason = X_UP_NOTIFY;
	frame.pending = BIT(SIGUSR1);
	frame.mask = BIT(SIGHUP);
	frame.regs.rax = 77;
	frame.regs.rflags = 0x402;
	rsp = frame.regs.rsp;
	answer_msg.a[1] = 1000;
	assert_int_equal(pers_fake_upcall(&frame), 1);
	assert_int_equal(fake.taken, BIT(SIGUSR1));
	assert_int_equal(frame.regs.rip, 0x402000);
	assert_int_equal(frame.regs.rdi, SIGUSR1);
	assert_int_equal(frame.regs.rsp % 16, 8);
	assert_true(frame.regs.rsp < rsp - 128 - 512 - sizeof(*f));
	assert_int_equal(frame.regs.rflags & 0x400, 0);
	f = (void *)frame.regs.rsp;
	assert_int_equal(f->return_address, 0x1234);
	assert_int_equal(frame.regs.rsi, (uint64_t)&f->info);
	assert_int_equal(frame.regs.rdx, (uint64_t)&f->uc);
	assert_int_equal(f->info.signo, SIGUSR1);
	assert_int_equal(f->info.child.pid, 1000);
	assert_int_equal(f->uc.mcontext.rip, RIP);
	assert_int_equal(f->uc.mcontext.rax, 77);
	assert_int_equal(f->uc.mcontext.rsp, rsp);
	assert_int_equal(f->uc.sigmask, BIT(SIGHUP));
	assert_int_equal(f->uc.mcontext.fpstate % 64, 0);
	assert_int_equal(frame.mask, BIT(SIGHUP) | BIT(SIGUSR1) | BIT(SIGUSR2));
	/* and back */
	frame.regs.rsp += 8;
	assert_int_equal(RUN(NR_sigreturn, 0, 0, 0, 0), 77);
	assert_int_equal(frame.regs.rsp, rsp);
	assert_int_equal(frame.regs.rip, RIP);
	assert_int_equal(frame.mask, BIT(SIGHUP));
}

static void test_restart_decision(void **state)
{
	struct x_regs r;

	(void)state;
#define SETTLE(code, handler, sa) (r = (struct x_regs){ .rip = 100 }, restart_settle(&r, code, 7, handler, sa))
	SETTLE(RESTART_SYS, false, false);
	assert_int_equal(r.rip, 98);
	assert_int_equal(r.rax, 7);
	SETTLE(RESTART_SYS, true, true);
	assert_int_equal(r.rip, 98);
	SETTLE(RESTART_SYS, true, false);
	assert_int_equal((int64_t)r.rax, -X_EINTR);
	assert_int_equal(r.rip, 100);
	SETTLE(RESTART_NOHAND, true, true);
	assert_int_equal((int64_t)r.rax, -X_EINTR);
	SETTLE(RESTART_NOHAND, false, false);
	assert_int_equal(r.rip, 98);
	SETTLE(RESTART_NOINTR, true, false);
	assert_int_equal(r.rip, 98);
	SETTLE(RESTART_BLOCK, false, false);
	assert_int_equal(r.rax, LINUX_SYS_RESTART);
	SETTLE(RESTART_BLOCK, true, true);
	assert_int_equal((int64_t)r.rax, -X_EINTR);
}

static void test_interrupted_read(void **state)
{
	struct linux_rt_sigframe *f;
	char buf[4];

	(void)state;
	frame = fresh_frame();
	set_handler(SIGALRM, 0x403000, 0, 0);
	answer = -X_EINTR;
	fake.pending = BIT(SIGALRM);
	RUN(NR_read, 0, buf, 4, 0);
	assert_int_equal(frame.regs.rip, 0x403000);
	f = (void *)frame.regs.rsp;
	assert_int_equal((int64_t)f->uc.mcontext.rax, -X_EINTR);
	frame = fresh_frame();
	set_handler(SIGALRM, 0x403000, SA_RESTART, 0);
	RUN(NR_read, 0, buf, 4, 0);
	f = (void *)frame.regs.rsp;
	assert_int_equal(f->uc.mcontext.rax, NR_read);
	assert_int_equal(f->uc.mcontext.rip, RIP - 2);
	/* another thread was faster: no handler, the call again */
	frame = fresh_frame();
	fake.resume_refusals = 1;
	assert_int_equal(RUN(NR_read, 0, buf, 4, 0), NR_read);
	assert_int_equal(frame.regs.rip, RIP - 2);
	assert_int_equal(fake.taken, 0);
}

static int64_t wait_eintr(struct x_wait_item *items, uint32_t count, uint64_t deadline, const uint64_t *mask)
{
	(void)items;
	(void)count;
	(void)deadline;
	(void)mask;
	return -X_EINTR;
}

static void test_sigsuspend_masks(void **state)
{
	uint64_t mask = BIT(SIGHUP);
	struct linux_rt_sigframe *f;

	(void)state;
	frame = fresh_frame();
	set_handler(SIGCHLD, 0x404000, 0, 0);
	assert_int_equal(fake.ignore & BIT(SIGCHLD), 0);
	frame.mask = BIT(SIGCHLD);
	fake.wait = wait_eintr;
	fake.pending = BIT(SIGCHLD);
	RUN(NR_sigsuspend, &mask, 8, 0, 0);
	assert_int_equal(frame.regs.rip, 0x404000);
	f = (void *)frame.regs.rsp;
	assert_int_equal(f->uc.sigmask, BIT(SIGCHLD));
	assert_int_equal((int64_t)f->uc.mcontext.rax, -X_EINTR);
	assert_int_equal(frame.mask, BIT(SIGHUP) | BIT(SIGCHLD));
}

static void test_nanosleep_restart_block(void **state)
{
	struct linux_timespec ts = { 5, 0 }, left = { 0, 0 };

	(void)state;
	frame = fresh_frame();
	fake.wait = wait_eintr;
	fake.pending = 0; /* stopped and continued: no handler */
	RUN(NR_nanosleep, &ts, &left, 0, 0);
	assert_int_equal(frame.regs.rax, LINUX_SYS_RESTART);
	assert_int_equal(frame.regs.rip, RIP - 2);
	assert_int_equal(left.sec, 5);
	fake.wait = NULL;
	assert_int_equal(RUN(LINUX_SYS_RESTART, 0, 0, 0, 0), 0);
	ts.nsec = 1000000000;
	assert_int_equal(RUN(NR_nanosleep, &ts, &left, 0, 0), -X_EINVAL);
}

static void test_default_actions(void **state)
{
	(void)state;
	frame = fresh_frame();
	frame.reason = X_UP_NOTIFY;
	frame.pending = BIT(SIGTERM);
	assert_int_equal(pers_fake_upcall(&frame), 0);
	assert_int_equal(fake.taken, SIGTERM); /* wait status */
	setup(NULL);
	frame = fresh_frame();
	frame.reason = X_UP_NOTIFY;
	frame.pending = BIT(SIGTSTP);
	assert_int_equal(pers_fake_upcall(&frame), 1);
	assert_int_equal(last.msg.op, PM_STOP_SELF);
	assert_int_equal(fake.taken, BIT(SIGTSTP));
	set_handler(SIGINT, SIG_IGN, 0, 0);
	assert_true(fake.ignore & BIT(SIGINT));
	assert_int_equal(RUN(NR_exit_group, 3, 0, 0, 0), -9999);
	assert_int_equal(fake.taken, 0x300);
}

static void test_faults(void **state)
{
	struct linux_rt_sigframe *f;

	(void)state;
	frame = fresh_frame();
	set_handler(SIGSEGV, 0x405000, SA_SIGINFO, 0);
	frame.reason = X_UP_FAULT;
	frame.vector = 14;
	frame.error_code = 6;
	frame.address = 0x30000000;
	assert_int_equal(pers_fake_upcall(&frame), 1);
	f = (void *)frame.regs.rsp;
	assert_int_equal(f->info.code, SEGV_MAPERR);
	assert_int_equal(f->info.address, 0x30000000);
	assert_int_equal(f->uc.mcontext.cr2, 0x30000000);
	assert_int_equal(f->uc.mcontext.trap, 14);
	frame = fresh_frame();
	frame.reason = X_UP_FAULT;
	frame.vector = 14;
	frame.error_code = 7;
	frame.address = 0x20000010;
	pers_fake_upcall(&frame);
	f = (void *)frame.regs.rsp;
	assert_int_equal(f->info.code, SEGV_ACCERR);
	frame.reason = X_UP_FAULT; /* again with the signal blocked: death */
	frame.mask = BIT(SIGSEGV);
	assert_int_equal(pers_fake_upcall(&frame), 0);
	assert_int_equal(fake.taken, SIGSEGV);
}

static void test_alternate_stack(void **state)
{
	static uint8_t alt[16384];
	struct linux_stack ss = { (uint64_t)alt, 0, 0, sizeof(alt) }, old;

	(void)state;
	frame = fresh_frame();
	assert_int_equal(RUN(NR_sigaltstack, &ss, &old, 0, 0), 0);
	assert_int_equal(old.flags, SS_DISABLE);
	set_handler(SIGUSR2, 0x406000, SA_ONSTACK, 0);
	frame.reason = X_UP_NOTIFY;
	frame.pending = BIT(SIGUSR2);
	pers_fake_upcall(&frame);
	assert_true(frame.regs.rsp > (uint64_t)alt && frame.regs.rsp < (uint64_t)alt + sizeof(alt));
	assert_int_equal(RUN(NR_sigaltstack, &ss, 0, 0, 0), -X_EPERM);
	assert_int_equal(RUN(NR_sigaltstack, 0, &old, 0, 0), 0);
	assert_int_equal(old.flags, SS_ONSTACK);
	ss.size = 100;
	frame = fresh_frame();
	assert_int_equal(RUN(NR_sigaltstack, &ss, 0, 0, 0), -X_ENOMEM);
}

/* --------------------------------------------------------- memory, waiting, rest */

static void test_brk(void **state)
{
	(void)state;
	assert_int_equal(RUN(NR_brk, 0, 0, 0, 0), 0x600000);
	assert_int_equal(RUN(NR_brk, 0x602345, 0, 0, 0), 0x602345);
	assert_int_equal(fake.maps[0].addr, 0x600000);
	assert_int_equal(fake.maps[0].len, 0x3000);
	assert_int_equal(RUN(NR_brk, 0x602400, 0, 0, 0), 0x602400);
	assert_int_equal(fake.map_count, 1);
	assert_int_equal(RUN(NR_brk, 0x601000, 0, 0, 0), 0x601000);
	assert_int_equal(fake.unmapped, 1);
	assert_int_equal(RUN(NR_brk, 0x900000, 0, 0, 0), 0x601000);
}

static int64_t mmap_call(x_handle_t h, struct x_call *c)
{
	record_call(h, c);
	c->handle_count = 1;
	c->handles[0] = X_SLOT_NATIVE;
	c->msg.a[0] = 5000; /* file size */
	return 0;
}

static void test_mmap(void **state)
{
	(void)state;
	assert_int_equal(run(NR_mmap, 0, 100, 3, MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0), 0x20000000);
	assert_int_equal(fake.maps[0].len, 4096);
	assert_int_equal(run(NR_mmap, 0, 0, 3, MAP_PRIVATE | MAP_ANONYMOUS, 0, 0), -X_EINVAL);
	assert_int_equal(run(NR_mmap, X_PERS_BASE, 4096, 3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0, 0), -X_ENOMEM);
	fake.map_count = 0;
	fake.call = mmap_call;
	/* longer than the file: what is behind its end is SIGBUS */
	assert_int_equal(run(NR_mmap, 0, 0x5000, 5, MAP_PRIVATE, 3, 0), 0x20000000);
	assert_int_equal(fake.map_count, 1);
	assert_int_equal(fake.maps[0].memory, X_SLOT_NATIVE);
	assert_int_equal(fake.maps[0].len, 0x5000);
	assert_int_equal(fake.closed, 1);
}

static int64_t wait_ready(struct x_wait_item *items, uint32_t count, uint64_t deadline, const uint64_t *mask)
{
	(void)deadline;
	(void)mask;
	for (uint32_t i = 0; i < count; i++) {
		if (items[i].handle != X_NO_HANDLE && items[i].handle >= 8)
			return -X_EBADF;
		items[i].ready = items[i].handle == 3 ? X_READY_IN | X_READY_HUP : 0;
	}
	return 1;
}

static void test_poll_and_select(void **state)
{
	struct linux_pollfd p[3] = { { 3, POLLIN, 0 }, { -1, POLLIN, 7 }, { 4, POLLOUT, 7 } };
	uint64_t in[16] = { 0x18 }, out[16] = { 0x10 };

	(void)state;
	fake.wait = wait_ready;
	assert_int_equal(RUN(NR_poll, p, 3, -1, 0), 1);
	assert_int_equal(p[0].revents, POLLIN | POLLHUP);
	assert_int_equal(p[1].revents, 0);
	assert_int_equal(p[2].revents, 0);
	p[2].fd = 100;
	assert_int_equal(RUN(NR_poll, p, 3, -1, 0), 2);
	assert_int_equal(p[2].revents, POLLNVAL);
	assert_int_equal(p[0].revents, POLLIN | POLLHUP);
	assert_int_equal(RUN(NR_select, 6, in, out, 0), 1);
	assert_int_equal(in[0], 8);
	assert_int_equal(out[0], 0);
	in[0] = 1ull << 40;
	assert_int_equal(RUN(NR_select, 64, in, 0, 0), -X_EBADF);
}

static void test_futex(void **state)
{
	uint32_t word = 1;
	struct linux_timespec ts = { 1, 0 };

	(void)state;
	fake.futex_result = -X_EAGAIN;
	assert_int_equal(RUN(NR_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, 0), -X_EAGAIN);
	fake.futex_result = -X_ETIMEDOUT;
	assert_int_equal(RUN(NR_futex, &word, FUTEX_WAIT, 1, &ts), -X_ETIMEDOUT);
	fake.wake_result = 3;
	assert_int_equal(RUN(NR_futex, &word, FUTEX_WAKE, 5, 0), 3);
	assert_int_equal(RUN(NR_futex, (char *)&word + 1, FUTEX_WAKE, 5, 0), -X_EINVAL);
	assert_int_equal(RUN(NR_futex, 4, FUTEX_WAKE, 5, 0), -X_EFAULT);
}

static void test_wait_status(void **state)
{
	struct linux_siginfo i;

	(void)state;
	convert_wait_status(&i, 7, 0x300);
	assert_int_equal(i.code, CLD_EXITED);
	assert_int_equal(i.child.status, 3);
	convert_wait_status(&i, 7, SIGKILL);
	assert_int_equal(i.code, CLD_KILLED);
	convert_wait_status(&i, 7, 0x137f);
	assert_int_equal(i.code, CLD_STOPPED);
	assert_int_equal(i.child.status, SIGSTOP);
	convert_wait_status(&i, 7, 0xffff);
	assert_int_equal(i.code, CLD_CONTINUED);
	convert_wait_status(&i, 0, 0);
	assert_int_equal(i.signo, 0);
}

static void test_fork_results(void **state)
{
	(void)state;
	answer_msg.a[0] = 43;
	assert_int_equal(RUN(NR_fork, 0, 0, 0, 0), 43);
	answer_msg.a[0] = 0;
	assert_int_equal(RUN(NR_fork, 0, 0, 0, 0), 0);
	assert_int_equal(process.lock, 0);
	assert_int_equal(process.threads, 1);
}

/* Whatever a program passes: no crash here, no wild store. */
static void test_any_arguments(void **state)
{
	static const uint64_t values[] = { 0, 1, 16, X_PERS_BASE, X_PERS_BASE - 1, X_PERS_END - 1, INT64_MAX,
					   UINT64_MAX, 1ull << 63, 0xdead000, 0xfffffffe };
	uint32_t seed = 1;

	(void)state;
	fake.call = NULL;
	frame = fresh_frame();
	for (uint64_t nr = 0; nr <= LINUX_SYSCALL_MAX; nr++)
		for (int round = 0; round < 40; round++) {
			uint64_t a[6];

			if (nr == NR_sigreturn)
				continue;
			for (int k = 0; k < 6; k++) {
				seed = seed * 1103515245 + 12345;
				a[k] = values[(seed >> 16) % (sizeof(values) / sizeof(values[0]))];
			}
			pers_fake_syscall(nr, a, &frame);
			frame = fresh_frame();
		}
}

int main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		T(test_unknown_is_logged_once), T(test_personality_memory_is_refused),
		T(test_native_errors_become_linux), T(test_read_is_one_call), T(test_writev_gathers),
		T(test_epipe_raises_sigpipe), T(test_lseek), T(test_open_and_directories),
		T(test_fstat_layout), T(test_ioctl_shapes), T(test_handler_frame),
		T(test_restart_decision), T(test_interrupted_read), T(test_sigsuspend_masks),
		T(test_nanosleep_restart_block), T(test_default_actions), T(test_faults),
		T(test_alternate_stack), T(test_brk), T(test_mmap), T(test_poll_and_select),
		T(test_futex), T(test_wait_status), T(test_fork_results), T(test_any_arguments),
	};

	pers_fake_start(argc, argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
