/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Open files of /proc (proto/file.h). A file's text is made once, when it is
 * opened; a directory is listed as it is at each call.
 */
#include <stdarg.h>

#include "lib/ipc/file.h"
#include "proto/bdev.h"
#include "proto/rs.h"
#include "proto/socket.h"
#include "servers/pm/sysctl.h"

enum { FILES_MAX = 64, SMALL_BYTES = 4096, BIG_FILES = 8, BIG_BYTES = 32768, LIST_BYTES = 4096, MAPPINGS_MAX = 4 };

static struct procfile {
	bool used;
	uint32_t generation;
	uint64_t inode;
	uint32_t length;
	char *data;            /* small[], or a big buffer */
	int big;               /* index, or -1 */
	struct x_in opening;   /* the FS_OPEN call, while vfs is asked */
	uint32_t flags, opened_by;
	char small[SMALL_BYTES];
} files[FILES_MAX];

static char big_buffer[BIG_FILES][BIG_BYTES];
static bool big_used[BIG_FILES];

#define for_each_file(f) for (struct procfile *f = files; f < files + FILES_MAX; f++)

void text_add(struct text *t, const char *fmt, ...)
{
	uint32_t room = t->size - t->length;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = room ? vsnprintf(t->buf + t->length, room, fmt, ap) : 0;
	va_end(ap);
	if (n > 0) /* a full buffer keeps one byte less: vsnprintf ends it with NUL */
		t->length += (uint32_t)n < room ? (uint32_t)n : room - 1;
}

/* ---- the table ---- */

static void file_free(struct procfile *f)
{
	if (f->big >= 0)
		big_used[f->big] = false;
	f->used = false;
}

static struct procfile *file_new(uint64_t inode, bool big)
{
	for_each_file(f) {
		if (f->used)
			continue;
		f->big = -1;
		f->data = f->small;
		for (int i = 0; big && i < BIG_FILES && f->big < 0; i++)
			if (!big_used[i])
				f->big = i;
		if (big && f->big < 0)
			return NULL;
		if (big) {
			big_used[f->big] = true;
			f->data = big_buffer[f->big];
		}
		f->used = true;
		f->generation++;
		f->inode = inode;
		f->length = 0;
		return f;
	}
	return NULL;
}

static struct procfile *file_find(uint64_t object)
{
	uint32_t index = object_index(object);
	struct procfile *f = &files[index % FILES_MAX];

	if (index >= FILES_MAX || !f->used ||
	    object != object_id(OBJECT_PROCFILE, f->generation, index))
		return NULL;
	return f;
}

void procfile_closed(uint64_t object)
{
	struct procfile *f = file_find(object);

	if (f)
		file_free(f);
}

uint32_t procfiles_open(uint32_t opened_by)
{
	uint32_t count = 0;

	for_each_file(f)
		count += f->used && (!opened_by || f->opened_by == opened_by);
	return count;
}

/* ---- opening ---- */

static void file_opened(struct procfile *f, const struct x_in *in, uint32_t mode)
{
	uint32_t flags = file_status_flags(f->flags);
	uint64_t id = object_id(OBJECT_PROCFILE, f->generation, (uint32_t)(f - files));
	int64_t h = x_mint(server_port, id, X_MINT_CURSOR, X_READY_IN | X_READY_OUT, flags);
	struct x_out *out;

	if (h < 0) {
		file_free(f);
		out_status(in->id, h);
		return;
	}
	out = out_answer_entry(in->id);
	out->msg.a[0] = f->inode;
	out->msg.a[1] = mode;
	out->handles[0] = (x_handle_t)h;
	out->handle_count = 1;
}

static void text_known(void *ctx, const struct x_in *reply)
{
	struct procfile *f = ctx;
	int64_t length = reply->msg.status;

	if (length < 0 || length > BIG_BYTES) {
		file_free(f);
		out_status(f->opening.id, length < 0 ? length : -X_EIO);
		return;
	}
	f->length = (uint32_t)length;
	file_opened(f, &f->opening, F_S_IFREG | 0444);
}

/* Who knows it (X_NO_HANDLE: a system without), and how it is asked. */
static x_handle_t text_source(uint16_t asked, struct x_msg *msg)
{
	if (!asked || asked == ASKED_MOUNTINFO || asked == ASKED_UNIX || asked == ASKED_CACHE) {
		msg->op = VFSCTL_MOUNTS;
		msg->a[0] = asked == ASKED_UNIX ? VFS_MOUNTS_UNIX : asked == ASKED_CACHE ? VFS_MOUNTS_CACHE :
			    asked ? VFS_MOUNTS_INFO : VFS_MOUNTS_TABLE;
		return vfs_port;
	}
	if (asked >= ASKED_RS) {
		msg->op = RS_TEXT;
		msg->a[0] = asked - ASKED_RS;
		return rs_port;
	}
	if (asked >= ASKED_BDEV) {
		msg->op = BDEV_TEXT;
		msg->a[0] = asked - ASKED_BDEV;
		return bdev_port;
	}
	msg->op = SOCK_TEXT;
	msg->a[0] = asked - 1u;
	return net_port;
}

static void ask_text(struct procfile *f, const struct x_in *in, uint16_t asked)
{
	struct x_msg msg = { 0 };
	x_handle_t server = text_source(asked, &msg);
	struct x_out *out;

	if (server == X_NO_HANDLE) {
		file_opened(f, in, F_S_IFREG | 0444);
		return;
	}
	out = out_start(server, text_known, f, NULL);
	f->opening = *in;
	out->msg = msg;
	out->win[0] = (struct x_window){ (uintptr_t)f->data, BIG_BYTES, X_WIN_WRITE };
	out->win_count = 1;
}

/* ---- what is mapped: vfs asks the filesystems ---- */

static struct mapping {
	struct procfile *file;  /* NULL: free */
	struct mapped mapped;
} mappings[MAPPINGS_MAX];

static void make_text(struct procfile *f, const struct x_in *in, const struct place *at, const struct mapped *mapped)
{
	struct text t = { f->data, f->big >= 0 ? BIG_BYTES : SMALL_BYTES, 0, at->tid, mapped };

	if (at->node->sysctl)
		sysctl_text(&t, at->node->sysctl);
	else
		at->node->text(&t, at->proc, in->msg.a[5]);
	f->length = t.length;
	file_opened(f, in, F_S_IFREG | 0444);
}

/* Without an answer the text has no names. */
static void mapped_known(void *ctx, const struct x_in *reply)
{
	struct mapping *m = ctx;
	struct procfile *f = m->file;
	struct place at;

	for (uint32_t i = 0; i < m->mapped.count; i++)
		m->mapped.files[i].path[sizeof(m->mapped.files[i].path) - 1] = '\0';
	m->file = NULL;
	if (place_find(f->inode, &at)) {
		make_text(f, &f->opening, &at, reply->msg.status < 0 ? NULL : &m->mapped);
	} else {
		file_free(f);
		out_status(f->opening.id, -X_ESRCH);
	}
}

/* False: nothing is mapped, or too many ask at once. */
static bool ask_mapped(struct procfile *f, const struct x_in *in, const struct proc *p)
{
	for (struct mapping *m = mappings; m < mappings + MAPPINGS_MAX; m++) {
		struct x_out *out;

		if (m->file)
			continue;
		mapped_find(&m->mapped, p);
		if (!m->mapped.count)
			return false;
		m->file = f;
		f->opening = *in;
		out = out_start(vfs_port, mapped_known, m, NULL);
		out->msg.op = VFSCTL_MAPPED;
		out->win[0] = (struct x_window){ (uintptr_t)m->mapped.koids, m->mapped.count * (uint32_t)sizeof(m->mapped.koids[0]),
						 X_WIN_READ };
		out->win[1] = (struct x_window){ (uintptr_t)m->mapped.files, m->mapped.count * (uint32_t)sizeof(m->mapped.files[0]),
						 X_WIN_WRITE };
		out->win_count = 2;
		return true;
	}
	return false;
}

void procfile_open(const struct x_in *in, const struct place *at, uint32_t flags)
{
	struct procfile *f = file_new(at->inode, at->node->big);

	if (!f) {
		out_status(in->id, -X_ENFILE);
		return;
	}
	f->flags = flags;
	f->opened_by = (uint32_t)in->msg.a[4];
	if (node_is_memory(at->node))
		file_opened(f, in, F_S_IFREG | 0600);
	else if (place_is_dir(at))
		file_opened(f, in, F_S_IFDIR | 0555);
	else if (!at->node->sysctl && !at->node->text)
		ask_text(f, in, at->node->asked);
	else if (at->node->asked != ASKED_MAPPED || !ask_mapped(f, in, at->proc))
		make_text(f, in, at, NULL);
}

/* ---- calls ---- */

static void answer_cursor(const struct x_in *in, int64_t status, uint64_t cursor, bool set)
{
	struct x_out *out = out_answer_entry(in->id);

	out->msg.status = (int32_t)status;
	if (set && status >= 0) {
		out->flags = X_ANSWER_CURSOR;
		out->value = cursor;
	}
}

static uint32_t room(const struct x_in *in)
{
	return in->win_count && (in->win[0].flags & X_WIN_WRITE) ? in->win[0].len : 0;
}

/* Its rights may be other ones than when it was opened, and it may run another program: whoever reads is asked again. */
static void memory_call(const struct place *at, const struct x_in *in, bool write)
{
	const struct proc *who = proc_by_koid(in->account);
	bool positioned = in->msg.status & FILE_AT;
	uint64_t from = positioned ? in->msg.a[0] : in->cursor;
	int64_t n = 0;

	if (!who || !may_look_into(who, at->proc)) {
		out_status(in->id, -X_EACCES);
		return;
	}
	if (proc_alive(at->proc))
		n = memory_copy(at->proc, in, from, write ? MEMORY_FORCE : MEMORY_READ);
	answer_cursor(in, n == -X_EFAULT ? -X_EIO : n, from + (uint64_t)n, !positioned);
}

static void read_call(const struct procfile *f, const struct place *at, const struct x_in *in)
{
	bool positioned = in->msg.status & FILE_AT;
	uint64_t from = positioned ? in->msg.a[0] : in->cursor;
	uint32_t length = room(in);
	int64_t n = 0;

	if (place_is_dir(at)) {
		out_status(in->id, -X_EISDIR);
		return;
	}
	if (!file_may_read(f->flags)) {
		out_status(in->id, -X_EBADF);
		return;
	}
	if (node_is_memory(at->node)) {
		memory_call(at, in, false);
		return;
	}
	if (from < f->length) {
		if (length > f->length - from)
			length = (uint32_t)(f->length - from);
		n = length ? window_write(in->id, 0, 0, f->data + from, length) : 0;
	}
	answer_cursor(in, n, from + (uint64_t)n, !positioned);
}

/* The whole is written at once, as programs do. */
static void write_call(const struct procfile *f, const struct place *at, const struct x_in *in)
{
	const struct proc *writer = proc_by_koid(in->account);
	uint32_t bytes = in->win_count ? in->win[0].len : 0;
	char data[256];
	int err;

	if (!file_may_write(f->flags) || !node_writable(at->node)) {
		out_status(in->id, -X_EBADF);
		return;
	}
	if (node_is_memory(at->node)) {
		memory_call(at, in, true);
		return;
	}
	if (!writer || bytes > sizeof(data) || (bytes && window_read(in->id, 0, 0, data, bytes) != bytes)) {
		out_status(in->id, bytes > sizeof(data) ? -X_EINVAL : -X_EFAULT);
		return;
	}
	err = at->node->sysctl ? sysctl_write(at->node->sysctl, data, bytes) :
	      at->node->write(at->proc, writer, data, bytes);
	answer_cursor(in, err ? err : (int64_t)bytes, in->cursor + bytes, !(in->msg.status & FILE_AT));
}

/* One entry into the buffer: its bytes, 0 if it does not fit. */
static uint32_t put_dirent(uint8_t *at, uint32_t space, const struct entry *e, uint64_t next)
{
	uint32_t length = (uint32_t)strlen(e->name) + 1;
	uint32_t bytes = ((uint32_t)offsetof(struct file_dirent, name) + length + 7) & ~7u;
	struct file_dirent d = { .ino = e->inode, .next = (int64_t)next, .reclen = (uint16_t)bytes,
				 .type = e->type };

	if (bytes > space)
		return 0;
	memset(at, 0, bytes);
	memcpy(at, &d, offsetof(struct file_dirent, name));
	memcpy(at + offsetof(struct file_dirent, name), e->name, length);
	return bytes;
}

static void readdir_call(const struct place *at, const struct x_in *in)
{
	static uint8_t list[LIST_BYTES];
	uint32_t space = room(in) < LIST_BYTES ? room(in) : LIST_BYTES, used = 0, bytes;
	uint64_t cursor = in->cursor, next = cursor;
	struct entry e;
	bool any = false;
	int64_t n;

	if (!place_is_dir(at)) {
		out_status(in->id, -X_ENOTDIR);
		return;
	}
	while (place_entry(at, &next, &e)) {
		any = true;
		bytes = put_dirent(list + used, space - used, &e, next);
		if (!bytes)
			break;
		used += bytes;
		cursor = next;
	}
	if (any && !used) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	n = used ? window_write(in->id, 0, 0, list, used) : 0;
	answer_cursor(in, n, cursor, true);
}

static void write_window(const struct x_in *in, const void *data, uint32_t bytes)
{
	out_status(in->id, window_write(in->id, 0, 0, data, bytes) == bytes ? 0 : -X_EFAULT);
}

static void stat_call(const struct procfile *f, const struct file_attr *attr, const struct x_in *in)
{
	struct x_msg msg = { .a = { [2] = f->opened_by } };

	if (window_write(in->id, 0, 0, attr, sizeof(*attr)) == sizeof(*attr))
		out_answer(in->id, &msg);
	else
		out_status(in->id, -X_EFAULT);
}

static void ident_call(const struct procfile *f, const struct place *at, const struct x_in *in)
{
	struct x_msg msg = { .a = { procfs_mount_id, at->inode, f->opened_by } };

	if (place_is_dir(at))
		out_answer(in->id, &msg);
	else
		out_status(in->id, -X_ENOTDIR);
}

static void place_call(const struct procfile *f, const struct place *at, const struct x_in *in)
{
	struct file_attr attr;
	struct file_statfs statfs;

	switch (in->msg.op) {
	case FILE_READ:
		read_call(f, at, in);
		break;
	case FILE_READDIR:
		readdir_call(at, in);
		break;
	case FILE_STAT:
		place_attr(at, &attr);
		stat_call(f, &attr, in);
		break;
	case FILE_STATFS:
		procfs_statfs(&statfs);
		write_window(in, &statfs, sizeof(statfs));
		break;
	case FILE_IDENT:
		ident_call(f, at, in);
		break;
	case FILE_SIZE:
		answer_value(in->id, 0);
		break;
	case FILE_WRITE:
		write_call(f, at, in);
		break;
	case FILE_TRUNCATE:
		out_status(in->id, file_may_write(f->flags) ? 0 : -X_EBADF);
		break;
	default:
		out_status(in->id, file_default(in->msg.op));
	}
}

void procfile_call(const struct x_in *in)
{
	struct procfile *f = file_find(in->object);
	struct place at;

	if (!f) {
		out_status(in->id, -X_ESTALE_HANDLE);
	} else if (!place_find(f->inode, &at)) {
		/* Its process is gone: as on Linux, there is nothing to read. */
		out_status(in->id, in->msg.op == FILE_READDIR ? -X_ENOENT : -X_ESRCH);
	} else if (at.proc && (f->inode & 0xffff) == PROC_ROOT_INODE && (in->msg.op == PIDFD_PID || in->msg.op == PIDFD_SIGNAL)) {
		pidfd_process_call(at.proc, in); /* /proc/N names a process as its pidfd does */
	} else {
		place_call(f, &at, in);
	}
}
