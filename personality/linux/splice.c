/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying between descriptors: sendfile, copy_file_range, splice, tee, vmsplice.
 * Data goes through the thread's scratch buffer. What comes out of a pipe is
 * looked at first (FILE_PEEK) and taken when it has arrived at the other end,
 * so that nothing is lost if that end fails.
 */
#include "lib/ipc/file.h"
#include "personality/linux/pers.h"

#define SPLICE_NONBLOCK 2u
#define SPLICE_FLAGS    0xfull

struct end { /* of a copy */
	uint64_t fd;
	int64_t offset;         /* < 0: at the cursor */
	uint64_t open_flags;
	struct file_attr attr;
};

static bool is_type(const struct end *e, uint32_t type)
{
	return (e->attr.mode & F_S_IFMT) == type;
}

/* -X_EBADF: no such descriptor, or not open for that. -X_EINVAL: nothing to copy from or to.
 * What its attributes are is not asked. */
static int64_t end_open(struct end *e, uint64_t fd, bool writes)
{
	struct x_handle_info info;
	int64_t flags;

	*e = (struct end){ .fd = fd, .offset = -1 };
	if (check_fd(fd) || x_handle_info((x_handle_t)fd, &info) < 0)
		return -X_EBADF;
	flags = x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0);
	if (flags < 0)
		return -X_EINVAL; /* an epoll */
	e->open_flags = (uint64_t)flags;
	if (e->open_flags & F_O_PATH || !(writes ? file_may_write(e->open_flags) : file_may_read(e->open_flags)))
		return -X_EBADF;
	return 0;
}

static int64_t end_find(struct end *e, uint64_t fd, bool writes)
{
	int64_t error = end_open(e, fd, writes);

	if (!error)
		error = fd_attributes(fd, &e->attr);
	return error < 0 ? error : 0;
}

static int64_t wait_ready(uint64_t fd, uint32_t ready)
{
	struct x_wait_item item = { .handle = (uint32_t)fd, .mask = ready };
	int64_t n = x_wait(&item, 1, X_FOREVER, NULL);

	return n == -X_EINTR ? -RESTART_SYS : n < 0 ? linux_error(n) : 0;
}

/* An offset the caller keeps in its own memory: read, and written back moved. */
static int64_t get_offset(uint64_t addr, int64_t *offset)
{
	*offset = -1;
	if (!addr)
		return 0;
	if (copy_in(offset, addr, 8) || user_probe(addr, 8, true))
		return -X_EFAULT;
	return *offset < 0 ? -X_EINVAL : 0;
}

static int64_t put_offset(uint64_t addr, int64_t offset, int64_t moved)
{
	if (!addr || moved <= 0)
		return moved;
	offset += moved;
	return copy_out(addr, &offset, 8) ? -X_EFAULT : moved;
}

/* ------------------------------------------------------------ from files to files */

/* What was read and could not be written is given back. */
static int64_t copy_files(struct sys *s, const struct end *in, const struct end *out, uint64_t len)
{
	uint8_t *buf = thread_scratch(s->thread);
	int64_t total = 0;

	if (!buf)
		return -X_ENOMEM;
	while ((uint64_t)total < len) {
		uint64_t part = len - (uint64_t)total;
		int64_t n, written;

		if (part > PERS_SCRATCH_BUFFER)
			part = PERS_SCRATCH_BUFFER;
		n = file_transfer(in->fd, FILE_READ, (uint64_t)buf, part, in->offset < 0 ? -1 : in->offset + total, 0);
		if (n <= 0)
			return total ? total : n;
		written = file_transfer(out->fd, FILE_WRITE, (uint64_t)buf, (uint64_t)n,
					out->offset < 0 ? -1 : out->offset + total, 0);
		if (written < n && in->offset < 0)
			x_object_ctl((x_handle_t)in->fd, X_OBJ_ADD_CURSOR,
				     (uint64_t)((written < 0 ? 0 : written) - n));
		if (written < 0)
			return total ? total : written;
		total += written;
		if (written < n)
			break;
	}
	return total;
}

int64_t linux_sendfile(struct sys *s)
{
	struct end in, out;
	int64_t error = end_find(&in, s->a[1], false), moved;

	if (!error)
		error = end_open(&out, s->a[0], true);
	if (!error && !is_type(&in, F_S_IFREG) && !is_type(&in, F_S_IFBLK))
		error = -X_EINVAL;
	if (!error && out.open_flags & F_O_APPEND) /* else it may be anything */
		error = end_find(&out, s->a[0], true);
	if (!error && is_type(&out, F_S_IFREG) && out.open_flags & F_O_APPEND)
		error = -X_EINVAL;
	if (!error)
		error = get_offset(s->a[2], &in.offset);
	if (error)
		return error;
	moved = copy_files(s, &in, &out, s->a[3]);
	return broken_pipe(s, put_offset(s->a[2], in.offset, moved));
}

static int64_t check_copy_range(const struct end *in, const struct end *out, uint64_t len)
{
	uint64_t from, to;
	int64_t at;

	if (is_type(in, F_S_IFDIR) || is_type(out, F_S_IFDIR))
		return -X_EISDIR;
	if (!is_type(in, F_S_IFREG) || !is_type(out, F_S_IFREG))
		return -X_EINVAL;
	at = in->offset < 0 ? x_object_ctl((x_handle_t)in->fd, X_OBJ_GET_CURSOR, 0) : in->offset;
	from = (uint64_t)(at < 0 ? 0 : at);
	at = out->offset < 0 ? x_object_ctl((x_handle_t)out->fd, X_OBJ_GET_CURSOR, 0) : out->offset;
	to = (uint64_t)(at < 0 ? 0 : at);
	if (len > INT64_MAX - from || len > INT64_MAX - to)
		return -X_EOVERFLOW;
	if (in->attr.dev == out->attr.dev && in->attr.ino == out->attr.ino && from < to + len && to < from + len)
		return -X_EINVAL;
	return 0;
}

int64_t linux_copy_file_range(struct sys *s)
{
	struct end in, out;
	int64_t error, moved;

	if (s->a[5])
		return -X_EINVAL;
	error = end_find(&in, s->a[0], false);
	if (error == -X_EBADF && !fd_attributes(s->a[0], &in.attr) && is_type(&in, F_S_IFDIR))
		error = -X_EISDIR;
	if (!error) {
		error = end_find(&out, s->a[2], true);
		if (error == -X_EBADF && !check_fd(s->a[2]) && !fd_attributes(s->a[2], &out.attr) &&
		    is_type(&out, F_S_IFDIR))
			error = -X_EISDIR;
	}
	if (!error && out.open_flags & F_O_APPEND)
		error = -X_EBADF;
	if (!error)
		error = get_offset(s->a[1], &in.offset);
	if (!error)
		error = get_offset(s->a[3], &out.offset);
	if (!error)
		error = check_copy_range(&in, &out, s->a[4]);
	if (error)
		return error;
	moved = copy_files(s, &in, &out, s->a[4]);
	moved = put_offset(s->a[1], in.offset, moved);
	return put_offset(s->a[3], out.offset, moved);
}

/* ----------------------------------------------------------- from and to pipes */

/* Bytes that a pipe has room for just now. */
static int64_t pipe_room(const struct end *pipe)
{
	struct x_call c;
	uint32_t used = 0;
	int64_t capacity;

	call_init(&c, FILE_PIPE_SIZE);
	capacity = call_plain((x_handle_t)pipe->fd, &c);
	if (capacity < 0)
		return capacity;
	call_init(&c, FILE_IOCTL);
	c.msg.a[0] = 0x541b; /* FIONREAD */
	call_window(&c, &used, sizeof(used), X_WIN_WRITE);
	call_plain((x_handle_t)pipe->fd, &c);
	return capacity > (int64_t)used ? capacity - (int64_t)used : 0;
}

/* Room, waited for unless `nowait`: -X_EAGAIN. */
static int64_t await_room(const struct end *pipe, bool nowait)
{
	for (;;) {
		int64_t room = pipe_room(pipe), error;

		if (room)
			return room;
		if (nowait || pipe->open_flags & F_O_NONBLOCK)
			return -X_EAGAIN;
		error = wait_ready(pipe->fd, X_READY_OUT);
		if (error)
			return error;
	}
}

/* What a pipe holds, which stays in it; waited for unless `nowait`. 0: nobody writes any more. */
static int64_t look_into(const struct end *pipe, uint8_t *buf, uint64_t len, bool nowait)
{
	for (;;) {
		int64_t n = file_transfer(pipe->fd, FILE_READ, (uint64_t)buf, len, -1, FILE_PEEK | FILE_NOWAIT), error;

		if (n != -X_EAGAIN || nowait || pipe->open_flags & F_O_NONBLOCK)
			return n;
		error = wait_ready(pipe->fd, X_READY_IN);
		if (error)
			return error;
	}
}

static int64_t from_pipe(struct sys *s, const struct end *in, const struct end *out, uint64_t len, bool nowait,
			 bool stays)
{
	uint8_t *buf = thread_scratch(s->thread);
	bool to_pipe = is_type(out, F_S_IFIFO);
	int64_t n = len < PERS_SCRATCH_BUFFER ? (int64_t)len : PERS_SCRATCH_BUFFER, room, written;

	if (!buf)
		return -X_ENOMEM;
	n = look_into(in, buf, (uint64_t)n, nowait);
	if (n > 0 && to_pipe) {
		room = await_room(out, nowait);
		n = room < n ? room : n;
	}
	if (n <= 0)
		return n;
	written = broken_pipe(s, file_transfer(out->fd, FILE_WRITE, (uint64_t)buf, (uint64_t)n, out->offset, 0));
	if (written > 0 && !stays)
		file_transfer(in->fd, FILE_READ, (uint64_t)buf, (uint64_t)written, -1, 0);
	return written;
}

static int64_t to_pipe(struct sys *s, const struct end *in, const struct end *out, uint64_t len, bool nowait)
{
	int64_t room = await_room(out, nowait);

	if (room < 0)
		return room;
	return broken_pipe(s, copy_files(s, in, out, len < (uint64_t)room ? len : (uint64_t)room));
}

static bool can_splice(const struct end *e)
{
	return is_type(e, F_S_IFREG) || is_type(e, F_S_IFIFO) || is_type(e, F_S_IFSOCK) ||
	       is_type(e, F_S_IFCHR) || is_type(e, F_S_IFBLK);
}

static bool same_pipe(const struct end *a, const struct end *b)
{
	return is_type(a, F_S_IFIFO) && is_type(b, F_S_IFIFO) && a->attr.dev == b->attr.dev && a->attr.ino == b->attr.ino;
}

int64_t linux_splice(struct sys *s)
{
	uint64_t len = s->a[4] < INT32_MAX ? s->a[4] : INT32_MAX;
	bool nowait = s->a[5] & SPLICE_NONBLOCK, pipe_in, pipe_out;
	struct end in, out;
	int64_t error, moved;

	if (!len || s->a[5] & ~SPLICE_FLAGS)
		return len ? -X_EINVAL : 0;
	error = end_find(&in, s->a[0], false);
	if (!error)
		error = end_find(&out, s->a[2], true);
	if (error)
		return error;
	pipe_in = is_type(&in, F_S_IFIFO), pipe_out = is_type(&out, F_S_IFIFO);
	if ((pipe_in && s->a[1]) || (pipe_out && s->a[3]))
		return -X_ESPIPE;
	if (!(pipe_in || pipe_out) || !can_splice(&in) || !can_splice(&out) || same_pipe(&in, &out) ||
	    (!pipe_out && out.open_flags & F_O_APPEND))
		return -X_EINVAL;
	error = get_offset(s->a[1], &in.offset);
	if (!error)
		error = get_offset(s->a[3], &out.offset);
	if (error)
		return error;
	moved = pipe_in ? from_pipe(s, &in, &out, len, nowait, false) : to_pipe(s, &in, &out, len, nowait);
	moved = put_offset(s->a[1], in.offset, moved);
	return put_offset(s->a[3], out.offset, moved);
}

int64_t linux_tee(struct sys *s)
{
	struct end in, out;
	int64_t error;

	if (s->a[3] & ~SPLICE_FLAGS)
		return -X_EINVAL;
	if (!s->a[2])
		return 0;
	error = end_find(&in, s->a[0], false);
	if (!error)
		error = end_find(&out, s->a[1], true);
	if (error)
		return error;
	if (!is_type(&in, F_S_IFIFO) || !is_type(&out, F_S_IFIFO) || same_pipe(&in, &out))
		return -X_EINVAL;
	return from_pipe(s, &in, &out, s->a[2], s->a[3] & SPLICE_NONBLOCK, true);
}

/* The program's buffers are copied, so that they may be used again at once. Of one
 * vector after the other as much as there is room for, or data. */
int64_t linux_vmsplice(struct sys *s)
{
	bool nowait = s->a[3] & SPLICE_NONBLOCK, writes;
	struct linux_iovec v;
	struct end pipe;
	int64_t error, total = 0, n, room;

	if (s->a[3] & ~SPLICE_FLAGS)
		return -X_EINVAL;
	error = end_find(&pipe, s->a[0], false);
	writes = error == -X_EBADF;
	if (writes)
		error = end_find(&pipe, s->a[0], true);
	if (error || !is_type(&pipe, F_S_IFIFO))
		return error ? error : -X_EBADF;
	if (s->a[2] > LINUX_IOV_MAX)
		return -X_EINVAL;
	for (uint64_t i = 0; i < s->a[2]; i++) {
		if (copy_in(&v, s->a[1] + i * sizeof(v), sizeof(v)) || (v.len && !user_range(v.base, v.len)))
			return total ? total : -X_EFAULT;
		if (!v.len)
			continue;
		room = writes ? await_room(&pipe, nowait || total) : (int64_t)v.len;
		if (room < 0)
			return total ? total : room;
		n = file_transfer(pipe.fd, writes ? FILE_WRITE : FILE_READ, v.base,
				  v.len < (uint64_t)room ? v.len : (uint64_t)room, -1, nowait || total ? FILE_NOWAIT : 0);
		if (n < 0)
			return total ? total : broken_pipe(s, n);
		total += n;
		if ((uint64_t)n < v.len)
			break;
	}
	return total;
}
