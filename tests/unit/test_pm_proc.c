/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The whole of pm on a kernel that is only played (pm_kernel.h): processes
 * from spawn to wait, exec of programs and scripts, signals, job control,
 * credentials, /proc, and failures at each step.
 */
// sources: servers/pm/*.c lib/c/strlcpy.c lib/c/crc32.c
// cflags: -DXINIM_FAKE_SYSCALLS
#include "tests/unit/fake_ipc.h"
#include "tests/unit/pm_kernel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct x_boot_page boot_page = { .cmdline = "quiet root=vda" };

/* ---- calling pm ---- */

static struct fake_call *last;

static uint64_t session_of(const struct proc *p) { return object_id(OBJECT_SESSION, p->generation, proc_slot(p)); }

static struct fake_call *call(struct proc *p, uint32_t op, uint64_t a0, uint64_t a1, uint64_t a2)
{
	struct x_in in;

	last = fake_call_new(&in, p ? session_of(p) : 0, op);
	in.account = p ? p->koid : 1;
	in.msg.a[0] = a0;
	in.msg.a[1] = a1;
	in.msg.a[2] = a2;
	pm_call(&in);
	k_run();
	return last;
}
static int status(void) { assert_int_equal(last->answers, 1); return last->msg.status; }

static struct fake_call *exec_raw(struct proc *p, uint32_t op, const char *path, const char *args,
				  uint32_t arg_bytes, uint64_t argc, const char *env, uint32_t env_bytes,
				  uint64_t envc)
{
	struct x_in in;

	last = fake_call_new(&in, p ? session_of(p) : 0, op);
	in.account = p ? p->koid : 1;
	fake_window(last, &in, path, (uint32_t)strlen(path), X_WIN_READ);
	fake_window(last, &in, args, arg_bytes, X_WIN_READ);
	fake_window(last, &in, env, env_bytes, X_WIN_READ);
	in.msg.a[0] = argc;
	in.msg.a[1] = envc;
	in.msg.a[3] = 0x1000;
	in.msg.a[4] = 0x22;
	pm_call(&in);
	k_run();
	return last;
}
static struct fake_call *exec_simple(struct proc *p, const char *path)
{
	return exec_raw(p, PM_EXEC, path, "prog\0arg", 9, 2, "A=b", 4, 1);
}

static struct k_proc *kernel_of(const struct proc *p) { return k_proc_of(p->process); }
static struct k_space *space_of(const struct proc *p) { return k_space_of(kernel_of(p)->exec.space); }

/* ---- programs ---- */

static uint8_t static_program[0x3000], dynamic_program[0x3000], interpreter[0x3000];

static void make_program(uint8_t *f, uint16_t type, uint64_t base, const char *interp)
{
	uint64_t *e = (uint64_t *)f;
	uint32_t *p = (uint32_t *)(f + 64);

	memset(f, 0x11, 0x3000);
	memset(f, 0, 64 + 4 * 56);
	memcpy(f, "\177ELF\2\1\1", 7);
	((uint16_t *)e)[8] = type;
	((uint16_t *)e)[9] = 62;
	((uint32_t *)e)[5] = 1;
	e[3] = base + 0x200;
	e[4] = 64;
	((uint16_t *)e)[27] = 56;
	((uint16_t *)e)[28] = interp ? 3 : 2;
	p[0] = 1, p[1] = 5;
	memcpy(p + 2, (uint64_t[]){ 0, base, 0, 0x1800, 0x1800, 0x1000 }, 48);
	p[14] = 1, p[15] = 6;
	memcpy(p + 16, (uint64_t[]){ 0x1800, base + 0x2800, 0, 0x900, 0x3000, 0x1000 }, 48);
	if (interp) {
		p[28] = 3, p[29] = 4;
		memcpy(p + 30, (uint64_t[]){ 0x500, 0x500, 0, strlen(interp) + 1, strlen(interp) + 1, 1 }, 48);
		strcpy((char *)f + 0x500, interp);
	}
}

static void add_file(const char *path, const void *data, uint32_t size, uint32_t mode, uint32_t uid)
{
	k_files[k_file_count++] = (struct k_file){ path, data, size, F_S_IFREG | mode, uid, uid };
}

/* ---- each test starts with the first process running ---- */

static struct proc *init;

static int setup(void **state)
{
	static bool once;

	(void)state;
	boot = &boot_page;
	fake_handles = "vfs tty rs resource personality";
	if (!once) {
		k_make_personality();
		table_init();
		pers_init(K_MEMORY_BASE);
		procfs_init();
		vfs_port = boot_handle("vfs");
		tty_port = boot_handle("tty");
		rs_port = boot_handle("rs");
		make_program(static_program, 2, 0x400000, NULL);
		make_program(dynamic_program, 3, 0, "/lib/ld.so");
		make_program(interpreter, 3, 0, NULL);
		add_file("/sbin/init", static_program, 0x3000, 0755, 0);
		add_file("/bin/dyn", dynamic_program, 0x3000, 0755, 0);
		add_file("/lib/ld.so", interpreter, 0x3000, 0755, 0);
		add_file("/bin/su", static_program, 0x3000, 04755, 0);
		add_file("/bin/plain", static_program, 0x3000, 0644, 0);
		add_file("script", "#!/sbin/init -x y \nrest\n", 24, 0755, 0);
		add_file("/loop", "#!/loop\n", 8, 0755, 0);
		add_file("/text", "hello\n", 6, 0755, 0);
		add_file("/short", static_program, 100, 0755, 0);
		once = true;
	}
	fake_call_count = 0;
	exec_raw(NULL, PMCTL_SPAWN, "/sbin/init", "init", 5, 1, "TERM=x", 7, 1);
	assert_int_equal(status(), 0);
	init = proc_by_pid(1);
	assert_non_null(init);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	k_hold = 0;
	k_fork_error = k_mint_error = k_grant_error = k_map_error = k_space_error = k_session_status = 0;
	k_run();
	init = proc_init();
	if (init)
		proc_kill(init, 0);
	k_run();
	for_each_proc(p)
		assert_int_equal(p->state, PROC_FREE);
	for (unsigned i = 0; i < fake_call_count; i++)
		assert_true(fake_calls[i].answers <= 1);
	return 0;
}

static struct proc *fork_of(struct proc *p)
{
	call(p, PM_FORK, 0, SIGNAL_CHLD, 0);
	assert_int_equal(status(), 0);
	return proc_by_pid((uint32_t)last->msg.a[0]);
}

static void exit_with(struct proc *p, int wait_status)
{
	call(p, PM_EXIT, (uint64_t)wait_status, 0, 0);
	assert_int_equal(last->answers, 0);
}

/* ---- birth ---- */

static void test_spawn(void **state)
{
	struct k_proc *k = kernel_of(init);
	struct k_space *s = space_of(init);
	uint64_t rsp = k->exec.thread.stack;

	(void)state;
	assert_int_equal(init->ids.sid, 1);
	assert_int_equal(k->grant_count, 5); /* pm, vfs, 0, 1, 2 */
	assert_int_equal(k->grants[0], X_SLOT_PM);
	assert_int_equal(k->grant_rights[0], X_R_CALL);
	assert_int_equal(k->grants[1], X_SLOT_VFS);
	assert_int_equal(k->exec.thread.entry, 0x400200);
	assert_int_equal(k->exec.thread.upcall_stack, PERS_STACK_TOP(0));
	assert_int_equal(k->exec.personality.entry, X_PERS_BASE + 0x100);
	assert_int_equal(k->exec.personality.fixup_count, 2);
	assert_string_equal(k->exec.name, "init");
	assert_int_equal(k_word(s, rsp), 1);
	assert_string_equal(k_text(s, k_word(s, rsp + 8)), "init");
	assert_string_equal(k_text(s, k_word(s, rsp + 24)), "TERM=x");
	/* a second one is refused */
	exec_raw(NULL, PMCTL_SPAWN, "/sbin/init", "init", 5, 1, "", 0, 0);
	assert_int_equal(status(), -X_EBUSY);
}

static void test_fork(void **state)
{
	struct proc *child = fork_of(init), *grand;

	(void)state;
	assert_int_equal(child->ids.ppid, 1);
	assert_int_equal(child->ids.pgrp, 1);
	assert_true(kernel_of(child)->started && !kernel_of(child)->suspended);
	assert_int_equal(child->vfs_session, child->koid + 5000);
	grand = fork_of(child);
	assert_int_equal(grand->ids.ppid, child->ids.pid);
	/* identity is the handle's: another process's koid on it is refused */
	{
		struct x_in in;

		last = fake_call_new(&in, session_of(child), PM_GETSID);
		in.account = grand->koid;
		pm_call(&in);
		fake_fix_answers();
		assert_int_equal(status(), -X_ESRCH);
	}
	exit_with(child, 0);
	assert_int_equal(grand->ids.ppid, 1);
	call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	exit_with(grand, 3 << 8);
	call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	assert_int_equal(last->msg.a[1], 3 << 8);
	call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	assert_int_equal(status(), -X_ECHILD);
}

static void test_fork_failures(void **state)
{
	uint32_t before = procs_count();

	(void)state;
	k_fork_error = -X_ENOMEM;
	call(init, PM_FORK, 0, SIGNAL_CHLD, 0);
	assert_int_equal(status(), -X_ENOMEM);
	k_fork_error = 0;
	k_session_status = -X_EDEAD;
	call(init, PM_FORK, 0, SIGNAL_CHLD, 0);
	assert_int_equal(status(), -X_EAGAIN);
	k_session_status = 0;
	k_mint_error = -X_ENOMEM;
	call(init, PM_FORK, 0, SIGNAL_CHLD, 0);
	assert_int_equal(status(), -X_ENOMEM);
	k_mint_error = 0;
	k_grant_error = -X_ESRCH;
	call(init, PM_FORK, 0, SIGNAL_CHLD, 0);
	assert_int_equal(status(), -X_EAGAIN);
	k_grant_error = 0;
	k_map_error = -X_ENOMEM;
	call(init, PM_FORK, 0, SIGNAL_CHLD, 0);
	assert_int_equal(status(), -X_ENOMEM);
	k_map_error = 0;
	assert_int_equal(procs_count(), before);
	for_each_proc(p)
		assert_true(p == init || p->state == PROC_FREE);
	for (unsigned i = 0; i < k_proc_count && i < K_PROCS; i++) /* no clone was left running */
		assert_true(k_procs[i].dead || K_PROC_BASE + i == init->process);
}

/* Until the table is full, and again after all have gone. */
static void test_fork_many(void **state)
{
	(void)state;
	for (int round = 0; round < 2; round++) {
		uint32_t made = 0;

		for (;; made++) {
			call(init, PM_FORK, 0, SIGNAL_CHLD, 0);
			if (status() < 0)
				break;
		}
		assert_int_equal(made, PROCS_MAX - 1);
		assert_int_equal(status(), -X_EAGAIN);
		call(init, PM_KILL, (uint64_t)-1, SIGNAL_KILL, 0);
		while (call(init, PM_WAIT, (uint64_t)-1, 1, 0), status() == 0 && last->msg.a[0])
			made--;
		assert_int_equal(made, 0);
		fake_call_count = 0;
	}
}

/* The parent is killed while vfs makes the child's session. */
static void test_fork_parent_dies(void **state)
{
	struct proc *p = fork_of(init);

	(void)state;
	k_hold = 1;
	call(p, PM_FORK, 0, SIGNAL_CHLD, 0);
	proc_kill(p, SIGNAL_KILL);
	k_run();
	call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	assert_int_equal(last->msg.a[1], SIGNAL_KILL);
	k_hold = 0;
	k_run();
	assert_int_equal(procs_count(), 1);
}

static void test_vfork(void **state)
{
	struct fake_call *parent;
	struct proc *child;

	(void)state;
	parent = call(init, PM_FORK, PM_FORK_WAIT, 0, 0);
	assert_int_equal(parent->answers, 0);
	child = proc_by_pid(pid_last());
	exec_simple(child, "/nothing");
	assert_int_equal(status(), -X_ENOENT);
	assert_int_equal(parent->answers, 0);
	exec_simple(child, "/sbin/init");
	assert_int_equal(last->answers, 0);
	assert_int_equal(parent->answers, 1);
	assert_int_equal(parent->msg.a[0], child->ids.pid);
	parent = call(init, PM_FORK, PM_FORK_WAIT, 0, 0);
	exit_with(proc_by_pid(pid_last()), 1 << 8);
	assert_int_equal(parent->answers, 1);
}

/* ---- exec ---- */

static void test_exec_static(void **state)
{
	struct proc *p = fork_of(init);
	struct k_space *s;
	struct x_mem_map *m;
	struct pers_start start;
	uint64_t r;

	(void)state;
	exec_simple(p, "/sbin/init");
	assert_int_equal(last->answers, 0);
	s = space_of(p);
	assert_int_equal(kernel_of(p)->exec.thread.mask, 0x22);
	assert_int_equal(kernel_of(p)->exec.ignore, 0x1000);
	/* text, file part of data, the page that is part zeroes, bss */
	m = k_map_at(s, 0x400000);
	assert_int_equal(m->len, 0x2000);
	assert_int_equal(m->prot, X_PROT_READ | X_PROT_EXEC);
	assert_int_not_equal(m->memory, X_NO_HANDLE);
	m = k_map_at(s, 0x402000);
	assert_int_equal(m->offset, 0x1000);
	assert_int_not_equal(m->memory, X_NO_HANDLE);
	m = k_map_at(s, 0x403000);
	assert_int_equal(m->memory, X_NO_HANDLE);
	assert_int_equal(m->addr + m->len, 0x406000);
	assert_int_equal(k_page(s, 0x403000)[0xff], 0x11);
	assert_int_equal(k_page(s, 0x403000)[0x100], 0);
	/* stack, personality, ids */
	r = kernel_of(p)->exec.thread.stack;
	m = k_map_at(s, r);
	assert_true(m->flags & X_MAP_GROWSDOWN);
	assert_int_equal(k_word(s, r), 2);
	assert_string_equal(k_text(s, k_word(s, r + 16)), "arg");
	m = k_map_at(s, PM_IDS_PAGE);
	assert_int_equal(m->prot, X_PROT_READ);
	assert_int_equal(m->offset, proc_slot(p) * 4096ull);
	assert_int_equal(k_map_at(s, X_PERS_BASE)->prot, X_PROT_READ | X_PROT_EXEC);
	assert_int_equal(k_map_at(s, X_PERS_BASE + 0x1000)->flags & X_MAP_PRIVATE, X_MAP_PRIVATE);
	assert_int_equal(k_map_at(s, X_PERS_BASE + 0x2000)->memory, X_NO_HANDLE);
	assert_non_null(k_map_at(s, PERS_STACK_TOP(0) - 8));
	assert_null(k_map_at(s, PERS_STACK_TOP(0)));
	assert_int_equal(k_copy(s, PERS_START, (uint8_t *)&start, sizeof(start), false), 0);
	assert_string_equal(start.exe, "/sbin/init");
	assert_string_equal(start.comm, "init");
	assert_int_equal(start.brk_start, 0x406000);
	assert_int_equal(start.program_entry, 0x400200);
	assert_int_equal(start.initial_rsp, r);
	assert_int_equal(start.pid, p->ids.pid);
	assert_int_equal(start.auxv[start.auxc - 1].type, AT_NULL);
	for (uint32_t i = 0; i < start.auxc; i++) {
		if (start.auxv[i].type == AT_PHDR)
			assert_int_equal(start.auxv[i].value, 0x400040);
		if (start.auxv[i].type == AT_PLATFORM)
			assert_string_equal(k_text(s, start.auxv[i].value), "x86_64");
		if (start.auxv[i].type == AT_EXECFN)
			assert_string_equal(k_text(s, start.auxv[i].value), "/sbin/init");
	}
	exit_with(p, 0);
}

static void test_exec_dynamic(void **state)
{
	struct proc *p = fork_of(init);
	struct pers_start start;

	(void)state;
	exec_simple(p, "/bin/dyn");
	assert_int_equal(last->answers, 0);
	k_copy(space_of(p), PERS_START, (uint8_t *)&start, sizeof(start), false);
	assert_true(start.interp_start > start.program_end);
	assert_int_equal(start.thread_entry, start.interp_start + 0x200);
	assert_int_equal(kernel_of(p)->exec.thread.entry, start.thread_entry);
	assert_int_equal(start.program_entry, start.program_start + 0x200);
	assert_true(start.program_start >= 0x555555554000);
	for (uint32_t i = 0; i < start.auxc; i++)
		if (start.auxv[i].type == AT_BASE)
			assert_int_equal(start.auxv[i].value, start.interp_start);
	assert_int_equal(k_page(space_of(p), start.program_start + 0x3000)[0x10], 0x11);
	assert_int_equal(k_page(space_of(p), start.interp_start + 0x3000)[0x10], 0x11);
	k_files[2].mode &= ~0111u; /* the interpreter cannot be used */
	exec_simple(p, "/bin/dyn");
	assert_int_equal(status(), -X_EACCES);
	k_files[2].mode |= 0755;
}

static void test_exec_script(void **state)
{
	static const char *const args[] = { "/sbin/init", "-x y", "script", "arg" };
	struct proc *p = fork_of(init);
	struct k_space *s;
	uint64_t r;

	(void)state;
	exec_simple(p, "script");
	assert_int_equal(last->answers, 0);
	s = space_of(p);
	r = kernel_of(p)->exec.thread.stack;
	assert_int_equal(k_word(s, r), 4);
	for (int i = 0; i < 4; i++)
		assert_string_equal(k_text(s, k_word(s, r + 8 + 8 * i)), args[i]);
	assert_string_equal(p->comm, "script");
	assert_string_equal(p->exe, "/sbin/init");
	exec_simple(p, "/loop");
	assert_int_equal(status(), -X_ELOOP);
}

static void test_exec_failures(void **state)
{
	struct proc *p = fork_of(init);
	unsigned spaces = k_space_count;
	static char big[200000];

	(void)state;
	exec_simple(p, "/text");
	assert_int_equal(status(), -X_ENOEXEC);
	exec_simple(p, "/short");
	assert_int_equal(status(), -X_ENOEXEC);
	exec_simple(p, "/bin/plain");
	assert_int_equal(status(), -X_EACCES);
	exec_simple(p, "");
	assert_int_equal(status(), -X_ENOENT);
	exec_raw(p, PM_EXEC, "/sbin/init", "a\0b", 3, 2, "", 0, 0); /* last one not ended */
	assert_int_equal(status(), -X_EINVAL);
	exec_raw(p, PM_EXEC, "/sbin/init", "a\0b", 4, 3, "", 0, 0); /* miscounted */
	assert_int_equal(status(), -X_EINVAL);
	exec_raw(p, PM_EXEC, "/sbin/init", "a\0b", 4, UINT64_MAX, "", 0, 0);
	assert_int_equal(status(), -X_E2BIG);
	memset(big, 'x', sizeof(big) - 1);
	exec_raw(p, PM_EXEC, "/sbin/init", big, sizeof(big), 1, "", 0, 0); /* one string too long */
	assert_int_equal(status(), -X_E2BIG);
	assert_int_equal(spaces, k_space_count);
	k_space_error = -X_ENOMEM;
	exec_simple(p, "/sbin/init");
	assert_int_equal(status(), -X_ENOMEM);
	k_space_error = 0;
	k_map_error = -X_ENOMEM;
	exec_simple(p, "/sbin/init");
	assert_int_equal(status(), -X_ENOMEM);
	k_map_error = 0;
	assert_false(p->execed);
	for (int i = 0; i < 40; i++) /* nothing was used up */
		exec_simple(p, "/text");
	memset(big + 100000, 0, 1);
	exec_raw(p, PM_EXEC, "/sbin/init", big, sizeof(big), 2, "", 0, 0);
	assert_int_equal(last->answers, 0);
	assert_true(p->execed);
}

/* More at once than there are structs for: the others wait their turn, also
 * when one of them dies meanwhile or its patience ends. */
static void test_exec_many(void **state)
{
	enum { COUNT = EXECS_MAX * 3 };
	struct proc *p[COUNT];
	struct fake_call *calls[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++)
		p[i] = fork_of(init);
	k_hold = 1;
	for (int i = 0; i < COUNT; i++)
		calls[i] = exec_simple(p[i], i % 5 == 4 ? "/text" : "/sbin/init");
	exec_simple(p[0], "/sbin/init");
	assert_int_equal(status(), -X_EAGAIN);
	proc_kill(p[1], SIGNAL_KILL);
	proc_kill(p[COUNT - 1], SIGNAL_KILL);
	k_hold = 0;
	k_run();
	for (int i = 0; i < COUNT - 1; i++) {
		if (i == 1)
			continue;
		assert_int_equal(p[i]->execed, i % 5 != 4);
		assert_int_equal(calls[i]->answers, i % 5 == 4);
	}
	k_hold = 1;
	exec_simple(p[0], "/sbin/init");
	while (fake_run_timer(EXEC_PATIENCE_NS))
		;
	fake_fix_answers();
	assert_int_equal(status(), -X_ETIMEDOUT);
	k_hold = 0;
	k_run();
	exec_simple(p[0], "/text");
	assert_int_equal(status(), -X_ENOEXEC);
}

static void test_script_lines(void **state)
{
	static const struct { const char *line, *interp, *arg; } good[] = {
		{ "#!/bin/sh\n", "/bin/sh", "" }, { "#! /bin/sh -e \n", "/bin/sh", "-e" },
		{ "#!\t/usr/bin/env python3 -x\r\n", "/usr/bin/env", "python3 -x" },
	};
	char interp[16], arg[16];

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(script_parse(good[i].line, strlen(good[i].line), interp, 16, arg, 16), 0);
		assert_string_equal(interp, good[i].interp);
		assert_string_equal(arg, good[i].arg);
	}
	assert_int_equal(script_parse("#!\n", 3, interp, 16, arg, 16), -X_ENOEXEC);
	assert_int_equal(script_parse("#!  \n", 5, interp, 16, arg, 16), -X_ENOEXEC);
	assert_int_equal(script_parse("#!/bin/sh", 9, interp, 16, arg, 16), -X_ENOEXEC);
	assert_int_equal(script_parse("#!/a-path-of-sixteen\n", 21, interp, 16, arg, 16), -X_ENOEXEC);
	srand(3);
	for (int round = 0; round < 20000; round++) {
		char line[40];

		for (unsigned i = 0; i < sizeof(line); i++)
			line[i] = "#!/ \t\n\r\0a"[rand() % 9];
		memcpy(line, "#!", 2);
		script_parse(line, sizeof(line), interp, 16, arg, 16);
	}
}

static void test_setuid(void **state)
{
	struct proc *p = fork_of(init);
	const struct pm_ids *page = (void *)(k_memory[1].bytes + proc_slot(p) * 4096);
	uint32_t groups[2] = { 20, 30 };
	struct x_in in;

	(void)state;
	last = fake_call_new(&in, session_of(p), PM_SETIDS);
	in.account = p->koid;
	in.msg.a[0] = 8;
	fake_window(last, &in, groups, 8, X_WIN_READ);
	pm_call(&in);
	k_run();
	assert_int_equal(status(), 0);
	assert_int_equal(page->ngroups, 2);
	call(p, PM_SETIDS, 1, 100, 0);
	call(p, PM_SETIDS, 0, 500, 0);
	assert_int_equal(status(), 0);
	assert_int_equal(page->euid, 500);
	assert_int_equal(page->fsgid, 100);
	assert_int_equal(k_creds_fs, 500 | 100ull << 32);
	call(p, PM_SETIDS, 0, 0, 0);
	assert_int_equal(status(), -X_EPERM);
	call(p, PM_KILL, 1, 15, 0);
	assert_int_equal(status(), -X_EPERM);
	k_hold = 1;
	exec_simple(p, "/bin/su");
	for (int i = 0; i < 20 && !p->execed; i++) { /* up to the switch, not further */
		struct fake_start *s = fake_next_start();
		struct x_out out = s->out;
		struct x_in reply = { .kind = X_IN_REPLY };

		k_answer(&out, &reply);
		fake_reply(s, &reply);
	}
	assert_int_equal(page->euid, 0);
	assert_int_equal(page->uid, 500);
	assert_true(kernel_of(p)->suspended); /* until vfs knows */
	k_hold = 0;
	k_run();
	assert_false(kernel_of(p)->suspended);
	assert_int_equal(k_creds_fs, 0 | 100ull << 32);
	call(p, PM_SETIDS, 4, 7, 8); /* setresuid(7, 8, 0) */
	assert_int_equal(page->euid, 8);
	assert_int_equal(page->suid, 0);
	call(p, PM_SETIDS, 2, 0xffffffff, 0); /* back to the saved one */
	assert_int_equal(page->euid, 0);
}

/* ---- wait, signals ---- */

static void test_wait(void **state)
{
	struct proc *a = fork_of(init), *b = fork_of(init);
	uint32_t a_pid = a->ids.pid, b_pid = b->ids.pid;
	struct fake_call *parked, *for_b;

	(void)state;
	call(init, PM_WAIT, (uint64_t)-1, 1, 0); /* WNOHANG */
	assert_int_equal(last->msg.a[0], 0);
	for_b = call(init, PM_WAIT, b_pid, 0, 0);
	parked = call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	call(init, PM_WAIT, 12345, 0, 0);
	assert_int_equal(status(), -X_ECHILD);
	kernel_of(a)->user_ns = 5000;
	kernel_of(init)->pending = 0;
	exit_with(a, 7 << 8);
	assert_int_equal(for_b->answers, 0);
	assert_int_equal(parked->msg.a[0], a_pid);
	assert_int_equal(parked->msg.a[1], 7 << 8);
	assert_int_equal(parked->msg.a[2], 5000);
	assert_true(kernel_of(init)->pending & signal_bit(SIGNAL_CHLD));
	call(init, PM_SIGINFO, SIGNAL_CHLD, 0, 0);
	assert_int_equal(last->msg.a[0], CHILD_EXITED);
	assert_int_equal(last->msg.a[1], a_pid);
	assert_int_equal(last->msg.a[3], 7);
	pm_cancel(for_b->id);
	fake_fix_answers();
	assert_int_equal(for_b->msg.status, -X_EINTR);
	pm_cancel(for_b->id); /* once is enough */
	call(init, PM_RUSAGE, (uint64_t)-1, 0, 0);
	assert_int_equal(last->msg.a[0], 5000);
	/* waitid: WNOWAIT leaves it */
	call(init, PM_KILL, b_pid, SIGNAL_KILL, 0);
	call(init, PM_WAIT, b_pid, 4 | 0x1000000, 1);
	assert_int_equal(last->msg.a[1], SIGNAL_KILL);
	call(init, PM_WAIT, b_pid, 2, 1); /* stopped ones only */
	assert_int_equal(last->answers, 0);
	pm_cancel(last->id);
	call(init, PM_WAIT, b_pid, 0, 0);
	assert_int_equal(last->msg.a[0], b_pid);
	call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	assert_int_equal(status(), -X_ECHILD);
}

/* A parked waiter learns that its last child went to another thread's wait. */
static void test_wait_last_child(void **state)
{
	struct proc *a = fork_of(init);
	struct fake_call *first = call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	struct fake_call *second = call(init, PM_WAIT, (uint64_t)-1, 0, 0);

	(void)state;
	exit_with(a, 0);
	assert_int_equal(first->msg.status, 0);
	assert_int_equal(second->msg.status, -X_ECHILD);
}

static void test_broken_process(void **state)
{
	struct proc *a = fork_of(init);

	(void)state;
	kernel_of(a)->dead = true;
	kernel_of(a)->death = X_DEATH_EXCEPTION;
	k_run();
	call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	assert_int_equal(last->msg.a[1], SIGNAL_SEGV);
}

static void test_stop(void **state)
{
	struct proc *a = fork_of(init);
	struct fake_call *stopped, *waiter;

	(void)state;
	call(a, PM_SETPGID, 0, 0, 0);
	assert_int_equal(status(), 0);
	waiter = call(init, PM_WAIT, (uint64_t)-1, 2 | 8, 0);
	stopped = call(a, PM_STOP_SELF, 20, 0, 0);
	assert_int_equal(stopped->answers, 0);
	assert_true(kernel_of(a)->suspended);
	assert_int_equal(waiter->msg.a[1], 0x7f | 20 << 8);
	call(init, PM_WAIT, (uint64_t)-1, 1 | 2, 0); /* told once */
	assert_int_equal(last->msg.a[0], 0);
	kernel_of(a)->pending = 0;
	call(init, PM_KILL, a->ids.pid, 15, 0);
	assert_true(kernel_of(a)->suspended && kernel_of(a)->pending == signal_bit(15));
	call(init, PM_KILL, a->ids.pid, SIGNAL_CONT, 0);
	assert_false(kernel_of(a)->suspended);
	assert_int_equal(stopped->answers, 1);
	call(init, PM_WAIT, (uint64_t)-1, 8, 0);
	assert_int_equal(last->msg.a[1], 0xffff);
	call(init, PM_KILL, a->ids.pid, SIGNAL_STOP, 0);
	call(init, PM_KILL, a->ids.pid, SIGNAL_KILL, 0); /* a stopped one dies too */
	call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	assert_int_equal(last->msg.a[1], SIGNAL_KILL);
	call(init, PM_STOP_SELF, 20, 0, 0); /* its group is orphaned */
	assert_int_equal(status(), 0);
	call(init, PM_KILL, 1, SIGNAL_KILL, 0);
	assert_int_equal(status(), 0);
	assert_false(kernel_of(init)->dead);
}

static void test_kill_forms(void **state)
{
	struct proc *a = fork_of(init), *b = fork_of(init);

	(void)state;
	call(b, PM_SETPGID, 0, 0, 0);
	kernel_of(a)->pending = kernel_of(b)->pending = kernel_of(init)->pending = 0;
	call(init, PM_KILL, (uint64_t)-(int64_t)b->ids.pid, 10, 0);
	assert_int_equal(kernel_of(b)->pending, signal_bit(10));
	call(a, PM_KILL, 0, 12, 0);
	assert_int_equal(kernel_of(a)->pending, signal_bit(12));
	assert_int_equal(kernel_of(init)->pending, signal_bit(12));
	assert_int_equal(kernel_of(b)->pending, signal_bit(10));
	call(a, PM_KILL, (uint64_t)-1, 15, 0);
	assert_int_equal(kernel_of(b)->pending, signal_bit(10) | signal_bit(15));
	assert_int_equal(kernel_of(init)->pending, signal_bit(12));
	call(a, PM_KILL, b->ids.pid, 0, 0);
	assert_int_equal(status(), 0);
	call(a, PM_KILL, 9999, 0, 0);
	assert_int_equal(status(), -X_ESRCH);
	call(a, PM_KILL, b->ids.pid, 65, 0);
	assert_int_equal(status(), -X_EINVAL);
	call(a, PM_KILL, a->ids.pid, SIGNAL_KILL, 0); /* oneself */
	assert_int_equal(a->state, PROC_ZOMBIE);
}

static int64_t siginfo(struct proc *p, uint32_t signal)
{
	call(p, PM_SIGINFO, signal, 0, 0);
	kernel_of(p)->pending &= ~signal_bit(signal); /* it is taken, which comes first */
	return last->msg.status ? last->msg.status : (int64_t)last->msg.a[3];
}

static void queue_signal(struct proc *from, struct proc *to, uint32_t signal, uint64_t value)
{
	struct x_in in;

	last = fake_call_new(&in, session_of(from), PM_KILL);
	in.account = from->koid;
	in.msg.a[0] = to->ids.pid;
	in.msg.a[1] = signal;
	in.msg.a[2] = 1;
	in.msg.a[3] = (uint64_t)INFO_QUEUE;
	in.msg.a[4] = value;
	pm_call(&in);
}

/* What goes with a signal is decided by what the commit says of it, in the next iteration. */
static void test_siginfo(void **state)
{
	struct proc *a = fork_of(init);

	(void)state;
	queue_signal(init, a, 10, 1);
	k_run();
	queue_signal(init, a, 10, 2); /* pending: the first is told */
	k_run();
	assert_int_equal(siginfo(a, 10), 1);
	queue_signal(init, a, 10, 3);
	queue_signal(init, a, 10, 4); /* of the same iteration */
	k_run();
	assert_int_equal(siginfo(a, 10), 3);
	queue_signal(init, a, 40, 5);
	queue_signal(init, a, 40, 6);
	k_run();
	queue_signal(init, a, 40, 7);
	k_run();
	kernel_of(a)->pending = 0;
	assert_int_equal(siginfo(a, 40), 5);
	assert_int_equal(siginfo(a, 40), 6);
	assert_int_equal(siginfo(a, 40), 7);
	assert_int_equal(siginfo(a, 40), -X_EAGAIN);
	kernel_of(a)->ignore = signal_bit(40);
	queue_signal(init, a, 40, 8);
	k_run();
	kernel_of(a)->ignore = 0;
	assert_int_equal(siginfo(a, 40), -X_EAGAIN);
	queue_signal(init, a, 40, 9); /* and then it ends */
	call(init, PM_KILL, a->ids.pid, SIGNAL_KILL, 0);
	call(init, PM_WAIT, (uint64_t)-1, 0, 0);
	assert_int_equal(last->msg.a[1], SIGNAL_KILL);
}

static void test_threads(void **state)
{
	struct proc *a = fork_of(init);
	uint32_t tid;

	(void)state;
	call(a, PM_THREAD, 0, 0, 0);
	tid = (uint32_t)last->msg.a[0];
	assert_int_not_equal(tid, a->ids.pid);
	call(init, PM_TGKILL, a->ids.pid, tid, 10);
	assert_int_equal(status(), -X_ESRCH); /* the kernel's number is not known */
	call(a, PM_THREAD_BIND, tid, 2, 0);
	call(init, PM_TGKILL, a->ids.pid, tid, 10);
	assert_int_equal(status(), 0);
	call(init, PM_TGKILL, a->ids.pid, a->ids.pid, 10);
	assert_int_equal(status(), 0);
	call(init, PM_THREAD_END, tid, 0, 0);
	assert_int_equal(status(), -X_ESRCH); /* not its own */
	exec_simple(a, "/sbin/init");
	assert_int_equal(thread_count(a), 0);
	for (int i = 0; i < 1024; i++)
		call(a, PM_THREAD, 0, 0, 0);
	assert_int_equal(status(), 0);
	call(a, PM_THREAD, 0, 0, 0);
	assert_int_equal(status(), -X_EAGAIN);
	proc_kill(a, 9);
	k_run();
	assert_false(tid_in_use(tid));
}

static void test_alarm(void **state)
{
	(void)state;
	call(init, PM_ALARM, 1, 1000000000, 0);
	assert_int_equal(last->msg.a[0], 0);
	server_now_ns += 400000000;
	call(init, PM_ALARM, 0, 0, 0);
	assert_int_equal(last->msg.a[0], 600000000);
	kernel_of(init)->pending = 0;
	assert_true(fake_run_timer(1000000000));
	assert_int_equal(kernel_of(init)->pending, signal_bit(SIGNAL_ALRM));
	assert_false(fake_run_timer(10000000000));
	call(init, PM_ALARM, 1, 10, 5000000);
	assert_true(fake_run_timer(1000000) && fake_run_timer(5000000) && fake_run_timer(5000000));
	call(init, PM_ALARM, 1, 0, 0);
	assert_false(fake_run_timer(1000000000));
}

/* ---- groups and sessions ---- */

static void test_groups(void **state)
{
	struct proc *shell = fork_of(init), *job, *other;

	(void)state;
	call(shell, PM_SETSID, 0, 0, 0);
	assert_int_equal(last->msg.a[0], shell->ids.pid);
	call(shell, PM_SETSID, 0, 0, 0);
	assert_int_equal(status(), -X_EPERM);
	call(shell, PM_SETPGID, 0, 0, 0);
	assert_int_equal(status(), -X_EPERM); /* leads a session */
	job = fork_of(shell);
	other = fork_of(shell);
	call(shell, PM_SETPGID, job->ids.pid, job->ids.pid, 0);
	assert_int_equal(status(), 0);
	call(shell, PM_SETPGID, other->ids.pid, job->ids.pid, 0);
	assert_int_equal(status(), 0);
	call(job, PM_SETPGID, other->ids.pid, 0, 0);
	assert_int_equal(status(), -X_ESRCH); /* no child of its */
	call(shell, PM_SETPGID, other->ids.pid, 1, 0);
	assert_int_equal(status(), -X_EPERM); /* group of another session */
	exec_simple(other, "/sbin/init");
	call(shell, PM_SETPGID, other->ids.pid, 0, 0);
	assert_int_equal(status(), -X_EACCES);
	call(init, PM_GETPGID, other->ids.pid, 0, 0);
	assert_int_equal(last->msg.a[0], job->ids.pid);
	call(init, PM_GETSID, other->ids.pid, 0, 0);
	assert_int_equal(last->msg.a[0], shell->ids.pid);
	call(NULL, PMCTL_WHO, other->koid, 0, 0);
	assert_int_equal(last->msg.a[0], other->ids.pid | (uint64_t)job->ids.pid << 32);
	assert_int_equal(last->msg.a[1], shell->ids.pid);
	call(NULL, PMCTL_PGRP_INFO, job->ids.pid, 0, 0);
	assert_int_equal(last->msg.a[0], shell->ids.pid);
	assert_int_equal(last->msg.a[1], 0);
	call(NULL, PMCTL_PGRP_INFO, shell->ids.pid, 0, 0);
	assert_int_equal(last->msg.a[1], 1);
	kernel_of(job)->pending = kernel_of(other)->pending = 0;
	call(NULL, PMCTL_SIGNAL_PGRP, job->ids.pid, 2, 0);
	assert_int_equal(kernel_of(job)->pending & kernel_of(other)->pending, signal_bit(2));
	call(NULL, PMCTL_SESSION_HANGUP, shell->ids.pid, job->ids.pid, 0);
	assert_true(kernel_of(shell)->pending & signal_bit(SIGNAL_HUP));
	assert_true(kernel_of(other)->pending & signal_bit(SIGNAL_HUP));
}

/* The shell dies: its stopped job is orphaned and woken, tty hears of it. */
static void test_orphaned_group(void **state)
{
	struct proc *shell = fork_of(init), *job;

	(void)state;
	call(shell, PM_SETSID, 0, 0, 0);
	job = fork_of(shell);
	call(job, PM_SETPGID, 0, 0, 0);
	call(job, PM_STOP_SELF, 20, 0, 0);
	assert_true(kernel_of(job)->suspended);
	kernel_of(job)->pending = 0;
	k_tty_ended = 0;
	uint32_t sid = shell->ids.pid;
	exit_with(shell, 0);
	assert_int_equal(k_tty_ended, sid);
	assert_false(kernel_of(job)->suspended);
	assert_int_equal(kernel_of(job)->pending, signal_bit(SIGNAL_HUP) | signal_bit(SIGNAL_CONT));
	assert_int_equal(job->ids.ppid, 1);
}

/* The job's last member with a parent in the session dies, not the shell. */
static void test_orphaned_by_member(void **state)
{
	struct proc *shell = fork_of(init), *a, *b;

	(void)state;
	call(shell, PM_SETSID, 0, 0, 0);
	a = fork_of(shell);
	call(a, PM_SETPGID, 0, 0, 0);
	b = fork_of(a); /* same group; its parent is in it */
	call(init, PM_KILL, b->ids.pid, SIGNAL_STOP, 0);
	kernel_of(b)->pending = 0;
	exit_with(a, 0);
	assert_false(kernel_of(b)->suspended);
	assert_int_equal(kernel_of(b)->pending, signal_bit(SIGNAL_HUP) | signal_bit(SIGNAL_CONT));
}

/* ---- the rest ---- */

static void test_limits(void **state)
{
	struct proc *a = fork_of(init);

	(void)state;
	call(a, PM_RLIMIT, 0, 7, 0);
	assert_int_equal(last->msg.a[0], X_SLOT_FD_END);
	call(a, PM_RLIMIT, 0, 16, 0);
	assert_int_equal(status(), -X_EINVAL);
	call(a, PM_SYSINFO, 0, 0, 0);
	assert_int_equal(last->msg.a[0], 2);
	{
		struct x_in in;

		last = fake_call_new(&in, session_of(a), PM_PRIORITY);
		in.account = a->koid;
		in.msg.a[0] = 1;
		in.msg.a[3] = 5;
		pm_call(&in);
		fake_fix_answers();
		assert_int_equal(last->msg.a[0], 15);
	}
	call(a, PM_FORK + 60, 0, 0, 0);
	assert_int_equal(status(), -X_ENOSYS);
}

static void test_reboot(void **state)
{
	struct proc *a = fork_of(init);

	(void)state;
	call(a, PM_SETIDS, 0, 5, 0);
	call(a, PM_REBOOT, 0x4321fedc, 0, 0);
	assert_int_equal(status(), -X_EPERM);
	k_syncs = 0;
	call(init, PM_REBOOT, 0x01234567, 0, 0);
	assert_int_equal(status(), 0);
	assert_int_equal(k_syncs, 1);
	assert_int_equal(k_rs_how, 1);
	k_rs_how = 99;
	fork_of(init);
	proc_kill(init, 5 << 8); /* the end of everything */
	k_run();
	assert_int_equal(k_rs_how, 0);
	assert_int_equal(procs_count(), 0);
}

/* ---- /proc ---- */

static struct fake_call *fs(uint32_t op, uint64_t start, const char *path, void *win1, uint32_t len, uint64_t a1,
			    uint64_t a3, uint64_t koid)
{
	struct x_in in;

	last = fake_call_new(&in, 0, op);
	fake_window(last, &in, path, (uint32_t)strlen(path), X_WIN_READ);
	fake_window(last, &in, win1, len, X_WIN_WRITE);
	in.msg.a[0] = start;
	in.msg.a[1] = a1;
	in.msg.a[3] = a3;
	in.msg.a[5] = koid;
	pm_call(&in);
	k_run();
	return last;
}

static char text[40000];

static uint64_t open_proc(const char *path, uint64_t koid)
{
	fs(FS_OPEN, 1, path, text, 100, 0, F_O_RDONLY, koid);
	if (last->msg.status < 0)
		return 0;
	assert_int_equal(last->handle_count, 1);
	return k_minted[last->handles[0] - K_MINT_BASE];
}

static int file_op(uint64_t object, uint32_t op, void *buf, uint32_t len, uint64_t cursor)
{
	struct x_in in;

	last = fake_call_new(&in, object, op);
	fake_window(last, &in, buf, len, X_WIN_WRITE);
	in.cursor = cursor;
	pm_call(&in);
	k_run();
	return status();
}

static const char *read_proc(const char *path, uint64_t koid)
{
	uint64_t object = open_proc(path, koid), cursor = 0;
	int n;

	memset(text, 0, sizeof(text));
	if (!object)
		return NULL;
	while ((n = file_op(object, FILE_READ, text + cursor, 1000, cursor)) > 0) {
		cursor += (uint64_t)n;
		assert_int_equal(last->cursor, cursor);
	}
	assert_int_equal(n, 0);
	pm_closure(object, 1);
	return text;
}

static void test_proc_texts(void **state)
{
	static const char *const files[] = { "meminfo", "uptime", "loadavg", "stat", "version", "cpuinfo",
		"filesystems", "cmdline", "swaps", "sys/kernel/pid_max", "sys/vm/overcommit_memory",
		"1/status", "1/statm", "1/maps", "1/limits", "1/mounts", "1/comm", "1/cmdline" };
	char state_letter, comm[32];
	int fields = 1, pid, ppid, pgrp, sid;

	(void)state;
	for (unsigned round = 0; round < 10; round++) { /* more than there are big buffers */
		server_now_ns += 60000000000;
		for (unsigned i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
			assert_non_null(read_proc(files[i], init->koid));
			assert_true(strlen(text) > 0);
		}
	}
	assert_int_equal(procfiles_open(0), 0);
	read_proc("1/stat", init->koid);
	assert_int_equal(sscanf(text, "%d (%31[^)]) %c %d %d %d", &pid, comm, &state_letter, &ppid, &pgrp, &sid), 6);
	assert_true(pid == 1 && state_letter == 'R' && sid == 1);
	assert_string_equal(comm, "init");
	for (char *p = text; *p; p++)
		fields += *p == ' ';
	assert_int_equal(fields, 52);
	read_proc("1/mounts", 0);
	assert_string_equal(text, "x / minix rw 0 0\n");
	read_proc("cmdline", 0);
	assert_string_equal(text, "quiet root=vda\n");
	read_proc("1/maps", 0);
	assert_non_null(strstr(text, "00400000-00402000 r-xp 00000000 00:03 77"));
	assert_non_null(strstr(text, " /usr/lib/libc.so.6\n"));
	read_proc("stat", 0);
	assert_int_equal(strncmp(text, "cpu  ", 5), 0);
	assert_non_null(strstr(text, "\ncpu1 "));
	assert_non_null(strstr(text, "\nbtime 1700000000\n"));
	assert_int_equal(file_op(open_proc("1/cmdline", 0), FILE_READ, text, 100, 0), 5);
	assert_memory_equal(text, "init", 5);
	assert_int_equal(fs(FS_UNMOUNT, 0, "", text, 0, 0, 0, 0)->msg.status, -X_EBUSY);
	pm_closure(object_id(OBJECT_PROCFILE, 0, 0), 1); /* not its object: stays open */
	assert_int_equal(procfiles_open(0), 1);
}

static void test_proc_walk(void **state)
{
	struct file_attr attr;
	char win[64];

	(void)state;
	fs(FS_MOUNT, 9, "", win, sizeof(win), 0, 0, 0);
	fs(FS_LOOKUP, 1, "/1//stat", &attr, sizeof(attr), 0, 0, 0);
	assert_int_equal(status(), 0);
	assert_int_equal(attr.mode, F_S_IFREG | 0444);
	assert_int_equal(last->msg.a[0], attr.ino);
	fs(FS_LOOKUP, 1, "1/stat/x", &attr, sizeof(attr), 0, 0, 0);
	assert_int_equal(status(), -X_ENOTDIR);
	fs(FS_LOOKUP, 1, "1/stat/", &attr, sizeof(attr), 0, 0, 0);
	assert_int_equal(status(), -X_ENOTDIR);
	fs(FS_LOOKUP, 1, "1/../sys/./kernel/../..", &attr, sizeof(attr), 0, 0, 0);
	assert_int_equal(last->msg.a[0], 1);
	fs(FS_LOOKUP, 1, "77", &attr, sizeof(attr), 0, 0, 0);
	assert_int_equal(status(), -X_ENOENT);
	fs(FS_LOOKUP, 1, "01", &attr, sizeof(attr), 0, 0, 0);
	assert_int_equal(status(), -X_ENOENT);
	fs(FS_LOOKUP, 999, "", &attr, sizeof(attr), 0, 0, 0);
	assert_int_equal(status(), -X_ENOENT);
	fs(FS_LOOKUP, 1, "1/..//../etc/passwd", win, sizeof(win), 0, 0, 0);
	assert_int_equal(status(), -X_ECROSS);
	assert_int_equal(last->msg.a[0], 1);
	assert_int_equal(last->msg.a[1], 9); /* the slash too */
	assert_int_equal(last->msg.a[2], 1);
	fs(FS_OPEN, 1, "self//stat", win, sizeof(win), 0, 0, init->koid);
	assert_int_equal(status(), -X_ESYMLINK);
	assert_int_equal(last->msg.a[0], 1);
	assert_int_equal(last->msg.a[1], 6);
	assert_int_equal(last->msg.a[2], 1);
	assert_int_equal(win[0], '1');
	fs(FS_OPEN, 1, "self", win, sizeof(win), 0, 0, 12345); /* no Linux process asks */
	assert_int_equal(status(), -X_ENOENT);
	fs(FS_LOOKUP, 1, "self", &attr, sizeof(attr), FS_NOFOLLOW, 0, init->koid);
	assert_int_equal(attr.mode & F_S_IFMT, F_S_IFLNK);
	fs(FS_READLINK, 1, "1/exe", win, sizeof(win), 0, 0, 0);
	assert_int_equal(status(), 14); /* where vfs says it is, not as it was called */
	assert_memory_equal(win, "/usr/sbin/init", 14);
	fs(FS_READLINK, 1, "1/cwd", win, sizeof(win), 0, 0, 0);
	assert_int_equal(status(), 5);
	assert_memory_equal(win, "/home", 5);
	fs(FS_OPEN, 1, "1/cwd/file", win, sizeof(win), 0, F_O_CREAT | F_O_WRONLY, 0);
	assert_int_equal(status(), -X_ESYMLINK);
	assert_int_equal(last->msg.a[1], 6);
	assert_int_equal(last->msg.a[2], 5);
	fs(FS_OPEN, 1, "meminfo", win, sizeof(win), 0, F_O_RDWR, 0);
	assert_int_equal(status(), -X_EACCES);
	fs(FS_OPEN, 1, "meminfo", win, sizeof(win), 0, F_O_DIRECTORY, 0);
	assert_int_equal(status(), -X_ENOTDIR);
	fs(FS_UNLINK, 1, "meminfo", win, 0, 0, 0, 0);
	assert_int_equal(status(), -X_EPERM);
	fs(FS_MKDIR, 1, "new", win, 0, 0, 0, 0);
	assert_int_equal(status(), -X_ENOENT);
	fs(FS_PARENT, 1, "1//comm/", win, 0, 0, 0, 0);
	assert_int_equal(last->msg.a[1], 3);
	assert_int_equal(last->msg.a[2], 4);
	fs(FS_PATH, (1 << 16) + 1, "", win, sizeof(win), 0, 0, 0);
	assert_int_equal(status(), 2);
	assert_memory_equal(win, "/1", 2);
	fs(0x2ff, 1, "", win, 0, 0, 0, 0);
	assert_int_equal(status(), -X_ENOSYS);
}

static void test_proc_list(void **state)
{
	struct proc *kids[20];
	uint64_t object, cursor = 0;
	unsigned pids = 0, entries = 0;
	int n;

	(void)state;
	for (int i = 0; i < 20; i++)
		kids[i] = fork_of(init);
	object = open_proc("", 0);
	assert_true(object != 0);
	assert_int_equal(file_op(object, FILE_READDIR, text, 20, 0), -X_EINVAL);
	while ((n = file_op(object, FILE_READDIR, text, 100, cursor)) > 0) {
		for (int at = 0; at < n;) {
			struct file_dirent *d = (struct file_dirent *)(text + at);

			pids += d->name[0] >= '0' && d->name[0] <= '9';
			entries++;
			at += d->reclen;
			assert_int_equal(d->reclen % 8, 0);
		}
		cursor = last->cursor;
	}
	assert_int_equal(pids, 21);
	assert_int_equal(entries, 21 + 20);
	pm_closure(object, 1);
	object = open_proc("1", 0);
	exit_with(kids[0], 0);
	read_proc("loadavg", 0);
	{
		char path[32];
		uint64_t zombie;

		snprintf(path, sizeof(path), "%u/stat", kids[0]->ids.pid);
		zombie = open_proc(path, 0);
		call(init, PM_WAIT, kids[0]->ids.pid, 0, 0);
		assert_int_equal(file_op(zombie, FILE_READ, text, 100, 0), -X_ESRCH);
		pm_closure(zombie, 1);
	}
	pm_closure(object, 1);
}

/* Random calls from random processes: every one is answered at most once, and
 * nothing is left over (teardown). */
static void test_noise(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 30000; round++) {
		struct proc *p = &procs[rand() % 40];
		uint32_t op = PM_FORK + (uint32_t)(rand() % 24);

		if (fake_call_count > FAKE_CALLS_MAX - 2 * PROCS_MAX) {
			k_hold = 0;
			k_run();
			for (unsigned i = 0; i < fake_call_count; i++) { /* nobody waits for those any more */
				assert_true(fake_calls[i].answers <= 1);
				pm_cancel(fake_calls[i].id);
			}
			fake_fix_answers();
			k_run();
			for_each_proc(q)
				if (q->state == PROC_STOPPED)
					call(init, PM_KILL, q->ids.pid, SIGNAL_CONT, 0);
			for_each_proc(q)
				if (q->vfork_call)
					proc_kill(q, 9);
			k_run();
			fake_call_count = 0;
		}
		if (!proc_alive(p) || (p == init && (op == PM_EXIT || op == PM_REBOOT)))
			p = init;
		if (p == init && (op == PM_EXIT || op == PM_SETIDS))
			op = PM_FORK;
		if (op == PM_REBOOT || op == PM_STOP_SELF)
			op = PM_WAIT;
		k_hold = rand() % 4 == 0;
		if (op == PM_EXEC)
			exec_simple(p, rand() & 1 ? "/bin/dyn" : "/text");
		else
			call(p, op, rand() % 3 ? (uint64_t)(rand() % 45 - 3) : (uint64_t)-1,
			     (uint64_t)(rand() % 20), (uint64_t)(rand() % 3));
	}
	k_hold = 0;
	k_run();
	for_each_proc(p)
		if (proc_alive(p) && p != init)
			proc_kill(p, 9);
	k_run();
	fake_call_count = 0;
	while (call(init, PM_WAIT, (uint64_t)-1, 1, 0), last->msg.status == 0 && last->msg.a[0])
		;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_spawn), T(test_fork), T(test_fork_failures), T(test_fork_many),
		T(test_fork_parent_dies), T(test_vfork), T(test_exec_static), T(test_exec_dynamic),
		T(test_exec_script), T(test_exec_failures), T(test_exec_many), T(test_script_lines),
		T(test_setuid), T(test_wait), T(test_wait_last_child), T(test_broken_process), T(test_stop),
		T(test_kill_forms), T(test_siginfo), T(test_threads), T(test_alarm), T(test_groups), T(test_orphaned_group),
		T(test_orphaned_by_member), T(test_limits), T(test_reboot), T(test_proc_texts),
		T(test_proc_walk), T(test_proc_list), T(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
