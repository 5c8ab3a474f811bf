/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * PMCTL_SPAWN: the first Linux process, made from nothing.
 *
 *   created -> SESSION (vfs makes its session) -> CONSOLE (/dev/console opened
 *   through that session) -> EXEC -> running, call answered
 *
 * The struct proc is PROC_SPAWNING all the while. One at a time.
 */
#include "servers/pm/pm.h"

static struct {
	struct proc *proc;  /* NULL: none under way */
	struct x_in in;     /* the call, whose windows hold path and arguments */
} spawn;

static const char console_path[] = "/dev/console";

/* By exec, too: how it ended. */
void spawn_finished(struct proc *p, int status)
{
	if (spawn.proc != p)
		return;
	spawn.proc = NULL;
	if (status < 0) {
		out_do(X_SYS_proc_kill, p->process, (uint32_t)0, 0, 0, 0);
		proc_free(p);
		out_status(spawn.in.id, status);
		return;
	}
	proc_enter(p, PROC_RUNNING);
	answer_value(spawn.in.id, p->ids.pid);
}

static void console_opened(void *ctx, const struct x_in *reply)
{
	struct proc *p = ctx;
	int64_t err = reply->msg.status;

	if (spawn.proc != p) /* it was killed meanwhile */
		return;
	if (err >= 0 && reply->handle_count == 0)
		err = -X_EPROTO;
	for (uint32_t slot = 0; slot < 3 && err >= 0; slot++)
		err = x_proc_grant(p->process, reply->handles[0], 0, slot);
	if (err < 0) {
		server_log("cannot give the first process %s: %d", console_path, (int)err);
		spawn_finished(p, (int)err);
		return;
	}
	exec_begin(p, &spawn.in);
}

static void open_console(struct proc *p)
{
	struct x_out *out = out_start(p->vfs, console_opened, p, NULL);

	out->msg.op = VFS_OPEN;
	out->msg.a[0] = F_O_RDWR;
	out->win[0] = (struct x_window){ (uintptr_t)console_path, sizeof(console_path) - 1, X_WIN_READ };
	out->win_count = 1;
}

static void session_made(void *ctx, const struct x_in *reply)
{
	struct proc *p = ctx;
	int64_t err = reply->msg.status;

	if (err >= 0 && reply->handle_count == 0)
		err = -X_EPROTO;
	if (spawn.proc != p || err < 0) {
		spawn_finished(p, (int)err);
		return;
	}
	p->vfs_session = reply->msg.a[0];
	p->vfs = in_take(reply, 0);
	err = proc_give_sessions(p, p->vfs);
	if (err >= 0)
		err = proc_watch(p);
	if (err < 0) {
		spawn_finished(p, (int)err);
		return;
	}
	open_console(p);
}

static int64_t create(struct proc *p)
{
	int64_t h = x_proc_create(boot_handle("resource"), "init", X_PROC_LINUX, X_BAND_PROGRAM);

	if (h < 0)
		return h;
	p->process = (x_handle_t)h;
	p->ids.pid = p->ids.pgrp = p->ids.sid = 1;
	limits_default(p);
	ids_publish(p);
	return proc_learn_koid(p);
}

void spawn_call(const struct x_in *in)
{
	struct proc *p = NULL;
	struct x_out *out;
	int64_t err;

	if (!spawn.proc && !proc_by_pid(1))
		p = proc_new();
	if (!p) {
		out_status(in->id, -X_EBUSY);
		return;
	}
	spawn.proc = p;
	spawn.in = *in;
	spawn.in.handle_count = 0;
	proc_enter(p, PROC_SPAWNING);
	err = create(p);
	if (err < 0) {
		spawn_finished(p, (int)err);
		return;
	}
	out = out_start(vfs_port, session_made, p, NULL);
	out->msg.op = VFSCTL_SESSION;
	out->msg.a[0] = p->koid;
	out->msg.a[2] = p->ids.pid;
}
