/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exec, one step per answer (the steps are in exec.h). A failure before the
 * switch is the caller's answer and leaves the process as it was.
 */
#include "servers/pm/exec.h"

static struct exec execs[EXECS_MAX];
static uint64_t order;
static uint32_t execs_waiting;

static void step(void *ctx, const struct x_in *reply);

static struct exec_image *image_now(struct exec *e)
{
	return &e->image[e->current];
}

/* ---- ends ---- */

static void image_close(struct exec_image *i)
{
	out_close(i->file);
	out_close(i->memory);
	i->file = i->memory = X_NO_HANDLE;
}

static void exec_free(struct exec *e)
{
	timer_clear(&e->patience);
	image_close(&e->image[0]);
	image_close(&e->image[1]);
	out_close(e->space);
	args_release(e);
	if (e->proc)
		e->proc->exec = NULL;
	e->state = EXEC_FREE;
}

/* The answer to the caller; e stays while a started call still writes to it. */
static void exec_fail(struct exec *e, int error)
{
	struct proc *p = e->proc;

	if (p) {
		p->exec = NULL;
		e->proc = NULL;
		if (p->state == PROC_SPAWNING)
			spawn_finished(p, error);
		else
			out_status(e->call_id, error);
	}
	if (!e->pending) {
		exec_free(e);
		return;
	}
	if (!e->failed)
		out_cancel(e->cookie);
	e->failed = true;
}

static void exec_finish(struct exec *e)
{
	struct proc *p = e->proc;
	int err = exec_switch(e);

	if (err < 0) {
		exec_fail(e, err);
		return;
	}
	exec_free(e);
	if (p->state == PROC_SPAWNING)
		spawn_finished(p, 0);
}

static void out_of_patience(void *ctx)
{
	struct exec *e = ctx;

	server_log("exec of %s takes too long", e->path);
	exec_fail(e, -X_ETIMEDOUT);
}

void exec_abandon(struct proc *p)
{
	execs_waiting -= p->exec_waiting;
	p->exec_waiting = false;
	if (p->exec) {
		struct exec *e = p->exec;

		p->exec = NULL;
		e->proc = NULL;
		exec_fail(e, -X_ESRCH);
	}
}

/* ---- steps: starting a call ---- */

static struct x_out *start_call(struct exec *e, enum exec_state state, x_handle_t target, uint32_t op)
{
	struct x_out *out = out_start(target, step, e, &e->cookie);

	e->state = state;
	e->pending = true;
	out->msg.op = op;
	return out;
}

static void set_window(struct x_out *out, unsigned i, const void *addr, size_t bytes, uint32_t flags)
{
	out->win[i] = (struct x_window){ (uintptr_t)addr, (uint32_t)bytes, flags };
	out->win_count = i + 1;
}

static void start_read(struct exec *e, enum exec_state state, uint64_t offset, void *to, size_t bytes)
{
	struct x_out *out = start_call(e, state, image_now(e)->file, FILE_READ);

	out->msg.status = FILE_AT;
	out->msg.a[0] = offset;
	set_window(out, 0, to, bytes, X_WIN_WRITE);
}

static void open_image(struct exec *e)
{
	struct exec_image *i = image_now(e);
	const char *path = e->current ? e->interp_path : e->file_path;
	struct x_out *out;

	if (i->file != X_NO_HANDLE) { /* it was given */
		out = start_call(e, EXEC_OPEN, vfs_port, VFSCTL_EXEC);
		out->msg.a[0] = e->proc->vfs_session;
		out->handles[0] = i->file;
		out->handle_count = 1;
		set_window(out, 0, "", 0, X_WIN_READ);
		set_window(out, 1, &i->attr, sizeof(i->attr), X_WIN_WRITE);
		return;
	}
	out = start_call(e, EXEC_OPEN, vfs_port, VFSCTL_EXEC);
	out->msg.a[0] = e->proc->vfs_session;
	set_window(out, 0, path, strlen(path), X_WIN_READ);
	set_window(out, 1, &i->attr, sizeof(i->attr), X_WIN_WRITE);
}

static void map_image(struct exec *e)
{
	start_call(e, EXEC_MMAP, image_now(e)->file, FILE_MMAP);
}

/* All images are in place. */
static void images_done(struct exec *e)
{
	struct x_out *out;

	if (e->file_path[0] == '/' || e->file_path[0] == '\0') {
		exec_finish(e);
		return;
	}
	memset(e->cwd, 0, sizeof(e->cwd));
	out = start_call(e, EXEC_CWD, vfs_port, VFSCTL_CWD);
	out->msg.a[0] = e->proc->vfs_session;
	set_window(out, 0, e->cwd, sizeof(e->cwd) - 1, X_WIN_WRITE);
}

static void image_done(struct exec *e)
{
	if (e->current == 0 && e->image[0].elf.has_interp) {
		e->current = 1;
		open_image(e);
		return;
	}
	images_done(e);
}

static void next_tail(struct exec *e)
{
	uint64_t addr, offset;
	uint32_t bytes;

	if (!image_next_tail(image_now(e), &addr, &offset, &bytes)) {
		image_done(e);
		return;
	}
	e->tail_bytes = bytes;
	start_read(e, EXEC_TAIL, offset, e->tail, bytes);
}

/* ---- steps: their answers. An error ends the exec ---- */

static int opened(struct exec *e, const struct x_in *reply)
{
	struct exec_image *i = image_now(e);

	if (reply->handle_count) {
		out_close(i->file); /* it was given: this one keeps others from writing, too */
		i->file = in_take(reply, 0);
	} else if (i->file == X_NO_HANDLE) {
		return -X_EPROTO;
	}
	start_read(e, EXEC_HEADER, 0, e->header, sizeof(e->header));
	return 0;
}

static int script(struct exec *e)
{
	int err = script_enter(e);

	if (err)
		return err;
	image_close(image_now(e));
	e->by_handle = false;
	open_image(e);
	return 0;
}

static int interp_named(struct exec *e, const struct x_in *reply)
{
	(void)reply;
	if (e->interp_path[e->image[0].elf.interp_bytes - 1] != '\0' || e->interp_path[0] == '\0')
		return -X_ENOEXEC;
	map_image(e);
	return 0;
}

static int parse_image(struct exec *e)
{
	struct exec_image *i = image_now(e);
	int err = elf_parse(e->header, e->header_bytes, i->attr.size, X_USER_MIN, PROGRAM_MAX, &i->elf);

	if (!err)
		err = image_place(e, i);
	if (err)
		return err;
	if (e->current == 0 && i->elf.has_interp)
		start_read(e, EXEC_INTERP_PATH, i->elf.interp_offset, e->interp_path, i->elf.interp_bytes);
	else
		map_image(e);
	return 0;
}

static int header_read(struct exec *e, const struct x_in *reply)
{
	if (reply->msg.status > (int)sizeof(e->header))
		return -X_EPROTO;
	e->header_bytes = (uint32_t)reply->msg.status;
	if (e->current == 0 && e->header_bytes >= 2 && e->header[0] == '#' && e->header[1] == '!')
		return script(e);
	return parse_image(e);
}

static int mapped(struct exec *e, const struct x_in *reply)
{
	struct exec_image *i = image_now(e);
	int err;

	if (reply->handle_count == 0)
		return -X_EPROTO;
	i->memory = in_take(reply, 0);
	if (e->space == X_NO_HANDLE) {
		int64_t space = e->proc ? x_space_create(e->proc->process) : -X_ESRCH;

		if (space < 0)
			return (int)space;
		e->space = (x_handle_t)space;
	}
	err = image_map(e, i);
	if (err)
		return err;
	next_tail(e);
	return 0;
}

static int tail_read(struct exec *e, const struct x_in *reply)
{
	struct exec_image *i = image_now(e);
	const struct elf_segment *s = &i->elf.segments[i->tail - 1];
	uint64_t end = s->vaddr + s->file_bytes + i->bias;
	int64_t err;

	if (reply->msg.status != (int)e->tail_bytes)
		return -X_ENOEXEC; /* the file has become shorter */
	err = x_space_copy(e->space, end - e->tail_bytes, e->tail, e->tail_bytes, 1);
	if (err >= 0)
		err = image_tail_done(e, i);
	if (err < 0)
		return (int)err;
	next_tail(e);
	return 0;
}

static int cwd_known(struct exec *e, const struct x_in *reply)
{
	if (reply->msg.status <= 0 || reply->msg.status >= PATH_BYTES)
		return -X_EPROTO;
	e->cwd[reply->msg.status] = '\0';
	exec_finish(e);
	return 0;
}

static int (*const answered[])(struct exec *e, const struct x_in *reply) = {
	[EXEC_OPEN] = opened,
	[EXEC_HEADER] = header_read,
	[EXEC_INTERP_PATH] = interp_named,
	[EXEC_MMAP] = mapped,
	[EXEC_TAIL] = tail_read,
	[EXEC_CWD] = cwd_known,
};

static void step(void *ctx, const struct x_in *reply)
{
	struct exec *e = ctx;
	int err = reply->msg.status;

	e->pending = false;
	if (e->failed) {
		exec_free(e);
		return;
	}
	if (err >= 0 && e->state == EXEC_INTERP_PATH && err != (int)e->image[0].elf.interp_bytes)
		err = -X_ENOEXEC;
	if (err >= 0)
		err = answered[e->state](e, reply);
	if (err < 0)
		exec_fail(e, err);
}

/* ---- beginnings ---- */

static struct exec *exec_new(struct proc *p, const struct x_in *in)
{
	for (struct exec *e = execs; e < execs + EXECS_MAX; e++) {
		if (e->state != EXEC_FREE)
			continue;
		memset(e, 0, offsetof(struct exec, path));
		e->big = -1;
		e->proc = p;
		e->call_id = in->id;
		e->ignore = in->msg.a[3];
		e->mask = in->msg.a[4];
		e->space = X_NO_HANDLE;
		for (int i = 0; i < 2; i++)
			e->image[i].file = e->image[i].memory = X_NO_HANDLE;
		e->patience.fn = out_of_patience;
		e->patience.ctx = e;
		e->cwd[0] = '\0';
		p->exec = e;
		return e;
	}
	return NULL;
}

static bool room_for(const struct x_in *in)
{
	if (args_need_big(in) && !args_big_free())
		return false;
	for (struct exec *e = execs; e < execs + EXECS_MAX; e++)
		if (e->state == EXEC_FREE)
			return true;
	return false;
}

static void begin(struct proc *p, const struct x_in *in)
{
	struct exec *e = exec_new(p, in);
	int err;

	e->state = EXEC_OPEN;
	timer_set(&e->patience, server_now_ns + EXEC_PATIENCE_NS);
	if (in->handle_count > 0 && in->msg.a[2] == 1) {
		e->by_handle = true;
		e->image[0].file = in->handles[0];
	}
	err = args_read(e, in);
	if (err)
		exec_fail(e, err);
	else
		open_image(e);
}

/* First come, first served: one that needs a big buffer holds up the others
 * only until one is free. */
void exec_serve_waiting(void)
{
	while (execs_waiting) {
		struct proc *first = NULL;

		for_each_proc(p)
			if (p->exec_waiting && (!first || p->exec_order < first->exec_order))
				first = p;
		if (!first || !room_for(&first->exec_in))
			return;
		first->exec_waiting = false;
		execs_waiting--;
		begin(first, &first->exec_in);
	}
}

void exec_begin(struct proc *p, const struct x_in *in)
{
	if (room_for(in)) {
		begin(p, in);
		return;
	}
	p->exec_waiting = true;
	execs_waiting++;
	p->exec_order = ++order;
	p->exec_in = *in;
}

void exec_call(struct proc *p, const struct x_in *in)
{
	struct x_in own = *in;

	/* Only the one file is of use, and only if it is said to be there. */
	for (uint32_t i = in->msg.a[2] == 1 ? 1 : 0; i < in->handle_count && i < X_MAX_HANDLES; i++)
		out_close(in->handles[i]);
	own.handle_count = in->msg.a[2] == 1 && in->handle_count ? 1 : 0;
	if (p->exec || p->exec_waiting) { /* another thread's */
		in_close_handles(&own);
		out_status(in->id, -X_EAGAIN);
		return;
	}
	exec_begin(p, &own);
}
