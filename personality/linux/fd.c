/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls on open descriptors. A descriptor is a handle slot: the call
 * goes straight to the server that owns the file (proto/file.h), with the
 * program's own buffer as its window.
 *
 * A window is cut at its first bad page, so an unusable buffer would look like
 * an empty one: its first byte is tried here beforehand.
 */
#include "lib/ipc/file.h"
#include "personality/linux/socket.h"
#include "proto/loop.h"

#define GATHER_BYTES 4096u /* vectors up to this size travel as one call (PIPE_BUF) */

int64_t broken_pipe(struct sys *s, int64_t result)
{
	if (result == -X_EPIPE)
		post_signal_self(s->thread, SIGPIPE);
	return result;
}

/* One FILE_READ or FILE_WRITE; offset < 0: at the cursor; flags: FILE_*. buf is trusted. */
static int64_t transfer_by_call(uint64_t fd, uint32_t op, uint64_t buf, uint64_t len, int64_t offset,
				int32_t flags)
{
	struct x_call c;

	call_init(&c, op);
	c.msg.status = job_flags() | flags;
	call_window(&c, buf, len, op == FILE_READ ? X_WIN_WRITE : X_WIN_READ);
	if (offset >= 0) {
		c.msg.status |= FILE_AT;
		c.msg.a[0] = (uint64_t)offset;
	} else {
		c.flags = X_CALL_CURSOR;
	}
	return call_interruptible((x_handle_t)fd, &c);
}

/* goes_on: this is another part of it, X_STREAM_GOES_ON or 0. */
static int64_t transfer_part(uint64_t fd, uint32_t op, uint64_t buf, uint64_t len, int64_t offset, int32_t flags,
			     uint32_t goes_on)
{
	uint32_t way = (op == FILE_READ ? X_STREAM_READ | goes_on : X_STREAM_WRITE) | (flags & FILE_NOWAIT ? X_STREAM_NOWAIT : 0);
	int64_t n, more;

	if (flags & FILE_PEEK)
		return transfer_by_call(fd, op, buf, len, offset, flags);
	while ((n = x_stream((x_handle_t)fd, way, (void *)buf, len, offset)) == -X_EWAIT) {
		n = transfer_by_call(fd, op, buf, len, offset, flags | FILE_STREAMS);
		if (n != -X_EWAIT) /* or there is something without a call by now */
			return n;
	}
	if (n < 0)
		return n == -X_EINTR ? -RESTART_SYS : linux_error(n);
	if (!n || (uint64_t)n >= len || (op == FILE_READ && (uint64_t)n < X_STREAM_MAX))
		return (uint64_t)n < len ? n : (int64_t)len; /* of a datagram we hear how long it was */
	more = transfer_part(fd, op, buf + (uint64_t)n, len - (uint64_t)n, offset < 0 ? offset : offset + n, flags,
			     X_STREAM_GOES_ON);
	return more > 0 ? n + more : n;
}

/* What the kernel has at hand needs no call. It may settle only the first part. */
int64_t file_transfer(uint64_t fd, uint32_t op, uint64_t buf, uint64_t len, int64_t offset, int32_t flags)
{
	return transfer_part(fd, op, buf, len, offset, flags, 0);
}

static int64_t transfer(uint64_t fd, uint32_t op, uint64_t buf, uint64_t len, int64_t offset)
{
	return file_transfer(fd, op, buf, len, offset, thread_here()->nowait ? FILE_NOWAIT : 0);
}

/* Another part behind a full one. A write does not end before all is written; a read
 * waits for no more than it has. */
static bool goes_on(uint64_t fd, uint32_t op)
{
	return op == FILE_WRITE || (x_object_ctl((x_handle_t)fd, X_OBJ_GET_READY, 0) & X_READY_IN);
}

/* As transfer, for a buffer of the program of any length: split at the window
 * size; ends at a short count. Only the first part may fail or be repeated. */
int64_t transfer_user(uint64_t fd, uint32_t op, uint64_t buf, uint64_t len, int64_t offset)
{
	int64_t total = 0, error = check_fd(fd);

	if (len > 0x7ffff000)
		len = 0x7ffff000;
	if (!error)
		error = user_probe(buf, len, op == FILE_READ);
	if (error)
		return error;
	do {
		uint64_t part = len - (uint64_t)total < X_WINDOW_MAX ? len - (uint64_t)total : X_WINDOW_MAX;
		int64_t n = transfer(fd, op, buf + (uint64_t)total, part,
				     offset < 0 ? offset : offset + total);

		if (n < 0)
			return total ? total : n;
		total += n;
		if ((uint64_t)n < part || (uint64_t)total == len)
			break;
	} while (goes_on(fd, op));
	return total;
}

static int64_t fd_size(uint64_t fd, uint64_t *size);

/* RLIMIT_FSIZE: how much of `len` may be written to a file; offset < 0: at its
 * cursor. -X_EFBIG, and SIGXFSZ, if nothing. Objects without a cursor are no files. */
int64_t below_size_limit(struct sys *s, uint64_t fd, int64_t offset, uint64_t *len)
{
	uint64_t limit = ids()->rlimit_fsize, at;
	int64_t cursor;

	if (limit > INT64_MAX || check_fd(fd) || *len == 0)
		return 0;
	cursor = x_object_ctl((x_handle_t)fd, X_OBJ_GET_CURSOR, 0);
	if (cursor < 0)
		return 0;
	at = (uint64_t)(offset < 0 ? cursor : offset);
	if (offset < 0 && (x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0) & F_O_APPEND) &&
	    fd_size(fd, &at))
		return 0;
	if (at >= limit) {
		post_signal_self(s->thread, SIGXFSZ);
		return -X_EFBIG;
	}
	if (*len > limit - at)
		*len = limit - at;
	return 0;
}

int64_t linux_read(struct sys *s)
{
	int64_t n = transfer_user(s->a[0], FILE_READ, s->a[1], s->a[2], -1);

	return n == -X_EIO ? signalfd_read(s) : n;
}

int64_t linux_write(struct sys *s)
{
	int64_t error = below_size_limit(s, s->a[0], -1, &s->a[2]);

	return error ? error : broken_pipe(s, transfer_user(s->a[0], FILE_WRITE, s->a[1], s->a[2], -1));
}

int64_t linux_pread64(struct sys *s)
{
	if ((int64_t)s->a[3] < 0)
		return -X_EINVAL;
	return transfer_user(s->a[0], FILE_READ, s->a[1], s->a[2], (int64_t)s->a[3]);
}

int64_t linux_pwrite64(struct sys *s)
{
	int64_t error;

	if ((int64_t)s->a[3] < 0)
		return -X_EINVAL;
	error = below_size_limit(s, s->a[0], (int64_t)s->a[3], &s->a[2]);
	return error ? error : broken_pipe(s, transfer_user(s->a[0], FILE_WRITE, s->a[1], s->a[2], (int64_t)s->a[3]));
}

bool fd_is_of_messages(uint64_t fd)
{
	int64_t flags = check_fd(fd) ? 0 : x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0);

	return flags > 0 && flags & F_O_MESSAGES;
}

/* ------------------------------------------------------------------- vectors */

/* Next vector of the program's array. */
static int64_t get_iovec(uint64_t iov, uint64_t index, struct linux_iovec *v)
{
	if (copy_in(v, iov + index * sizeof(*v), sizeof(*v)))
		return -X_EFAULT;
	if ((int64_t)v->len < 0)
		return -X_EINVAL;
	return user_range(v->base, v->len) ? 0 : -X_EFAULT;
}

static int64_t iovec_total(uint64_t iov, uint64_t count, uint64_t *total)
{
	struct linux_iovec v;

	*total = 0;
	if (count > LINUX_IOV_MAX)
		return -X_EINVAL;
	for (uint64_t i = 0; i < count; i++) {
		int64_t error = get_iovec(iov, i, &v);

		if (error)
			return error;
		*total += v.len;
		if (*total > INT64_MAX)
			return -X_EINVAL;
	}
	return 0;
}

/* Between the program's vectors and a buffer: bytes moved, short at a bad address. */
static uint64_t move_iovecs(uint64_t iov, uint64_t count, uint8_t *buf, uint64_t len, bool gather)
{
	struct linux_iovec v;
	uint64_t done = 0;

	for (uint64_t i = 0; i < count && done < len; i++) {
		uint64_t part;

		if (get_iovec(iov, i, &v))
			break;
		part = v.len < len - done ? v.len : len - done;
		if (gather ? copy_in(buf + done, v.base, part) : copy_out(v.base, buf + done, part))
			break;
		done += part;
	}
	return done;
}

/* Small vectors: one call through a buffer, so that a line or a pipe message
 * stays whole and a reader does not wait for more than there is. */
static int64_t transfer_gathered(struct sys *s, uint32_t op, uint64_t total, int64_t offset)
{
	uint8_t buf[GATHER_BYTES];
	int64_t n;

	if (op == FILE_WRITE) {
		uint64_t have = move_iovecs(s->a[1], s->a[2], buf, total, true);

		if (have == 0 && total > 0)
			return -X_EFAULT;
		return transfer(s->a[0], op, (uint64_t)buf, have, offset);
	}
	n = transfer(s->a[0], op, (uint64_t)buf, total, offset);
	if (n > 0) {
		uint64_t moved = move_iovecs(s->a[1], s->a[2], buf,
					     (uint64_t)n < total ? (uint64_t)n : total, false);

		return moved ? (int64_t)moved : -X_EFAULT;
	}
	return n;
}

static int64_t transfer_vectors(struct sys *s, uint32_t op, int64_t offset)
{
	uint64_t total;
	int64_t done = 0, error = check_fd(s->a[0]);

	if (!error)
		error = iovec_total(s->a[1], s->a[2], &total);
	if (error)
		return error;
	if (total <= GATHER_BYTES)
		return transfer_gathered(s, op, total, offset);
	if (offset < 0 && fd_is_of_messages(s->a[0]))
		return socket_vectors(s, op == FILE_READ);
	for (uint64_t i = 0; i < s->a[2]; i++) {
		struct linux_iovec v;
		int64_t n = get_iovec(s->a[1], i, &v);

		if (!n && v.len == 0)
			continue;
		if (!n && done && !goes_on(s->a[0], op))
			break;
		if (!n)
			n = transfer_user(s->a[0], op, v.base, v.len, offset < 0 ? offset : offset + done);
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((uint64_t)n < v.len)
			break;
	}
	return done;
}

int64_t linux_readv(struct sys *s) { return transfer_vectors(s, FILE_READ, -1); }
int64_t linux_writev(struct sys *s) { return broken_pipe(s, transfer_vectors(s, FILE_WRITE, -1)); }

int64_t linux_preadv(struct sys *s)
{
	return (int64_t)s->a[3] < 0 ? -X_EINVAL : transfer_vectors(s, FILE_READ, (int64_t)s->a[3]);
}

int64_t linux_pwritev(struct sys *s)
{
	if ((int64_t)s->a[3] < 0)
		return -X_EINVAL;
	return broken_pipe(s, transfer_vectors(s, FILE_WRITE, (int64_t)s->a[3]));
}

#define RWF_HIPRI 1u
#define RWF_DSYNC 2u
#define RWF_SYNC  4u

/* Offset -1 means the cursor. RWF_NOWAIT and RWF_APPEND are not known here. */
int64_t linux_preadv2(struct sys *s)
{
	if (s->a[5] & ~(uint64_t)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -X_EOPNOTSUPP;
	return s->a[3] == UINT64_MAX ? linux_readv(s) : linux_preadv(s);
}

int64_t linux_pwritev2(struct sys *s)
{
	int64_t written, error;

	if (s->a[5] & ~(uint64_t)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC))
		return -X_EOPNOTSUPP;
	written = s->a[3] == UINT64_MAX ? linux_writev(s) : linux_pwritev(s);
	if (written <= 0 || !(s->a[5] & (RWF_DSYNC | RWF_SYNC)))
		return written;
	error = s->a[5] & RWF_SYNC ? linux_fsync(s) : linux_fdatasync(s);
	return error < 0 ? error : written;
}

/* ------------------------------------------------------------- file positions */

static int64_t fd_call(uint64_t fd, uint32_t op, uint64_t a0, struct x_call *c)
{
	call_init(c, op);
	c->msg.a[0] = a0;
	return check_fd(fd) ? -X_EBADF : call_plain((x_handle_t)fd, c);
}

static int64_t fd_size(uint64_t fd, uint64_t *size)
{
	struct x_call c;
	int64_t error = fd_call(fd, FILE_SIZE, 0, &c);

	*size = c.msg.a[0];
	return error < 0 ? error : 0;
}

/* Of what knows no holes: it is all data, with one hole behind it. */
static int64_t seek_in_data(uint64_t fd, bool hole, int64_t *offset)
{
	uint64_t size = 0;
	int64_t error = fd_size(fd, &size);

	if (error)
		return error;
	if ((uint64_t)*offset >= size)
		return -X_ENXIO;
	if (hole)
		*offset = (int64_t)size;
	return 0;
}

static int64_t seek_data(uint64_t fd, bool hole, int64_t *offset)
{
	struct x_call c;
	int64_t error;

	if (*offset < 0)
		return -X_ENXIO;
	call_init(&c, FILE_SEEK);
	c.msg.a[0] = (uint64_t)*offset;
	c.msg.a[1] = hole;
	error = call_plain((x_handle_t)fd, &c);
	if (error == -X_ENOSYS)
		return seek_in_data(fd, hole, offset);
	*offset = (int64_t)c.msg.a[0];
	return error < 0 ? error : 0;
}

/* The cursor is the kernel's; only the size is the server's to know. */
int64_t linux_lseek(struct sys *s)
{
	uint64_t fd = s->a[0], size = 0;
	uint32_t whence = (uint32_t)s->a[2];
	int64_t offset = (int64_t)s->a[1], base = 0, result, error, cursor;

	if (check_fd(fd))
		return -X_EBADF;
	cursor = x_object_ctl((x_handle_t)fd, X_OBJ_GET_CURSOR, 0);
	if (cursor == -X_EWRONGTYPE)
		return 0; /* an epoll */
	if (cursor == -X_ESPIPE)
		return whence > SEEK_HOLE ? -X_EINVAL : fd_size(fd, &size) ? -X_ESPIPE : 0;
	if (cursor < 0)
		return linux_error(cursor);
	error = whence == SEEK_END ? fd_size(fd, &size)
	      : whence == SEEK_DATA || whence == SEEK_HOLE ? seek_data(fd, whence == SEEK_HOLE, &offset) : 0;
	if (error)
		return error;
	switch (whence) {
	case SEEK_SET: break;
	case SEEK_CUR:
		base = cursor;
		if (offset == 0)
			return base;
		break;
	case SEEK_END: base = (int64_t)size; break;
	case SEEK_DATA:
	case SEEK_HOLE: break;
	default: return -X_EINVAL;
	}
	if (__builtin_add_overflow(base, offset, &result))
		return -X_EOVERFLOW;
	if (result < 0)
		return -X_EINVAL;
	error = x_object_ctl((x_handle_t)fd, X_OBJ_SET_CURSOR, (uint64_t)result);
	return error < 0 ? linux_error(error) : result;
}

int64_t linux_ftruncate(struct sys *s)
{
	struct x_call c;

	if ((int64_t)s->a[1] < 0)
		return -X_EINVAL;
	if (s->a[1] > ids()->rlimit_fsize) {
		post_signal_self(s->thread, SIGXFSZ);
		return -X_EFBIG;
	}
	return fd_call(s->a[0], FILE_TRUNCATE, s->a[1], &c);
}

/* Flags of an open file that data can be asked of: -X_EBADF otherwise. */
static int64_t data_flags(uint64_t fd)
{
	int64_t flags = check_fd(fd) ? -X_EBADF : x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0);

	return flags < 0 || flags & F_O_PATH ? -X_EBADF : flags;
}

/* Of a descriptor that data can go through. */
static int64_t data_attributes(uint64_t fd, struct file_attr *attr)
{
	int64_t flags = data_flags(fd);

	return flags < 0 ? flags : fd_attributes(fd, attr);
}

int64_t linux_fallocate(struct sys *s)
{
	uint32_t mode = (uint32_t)s->a[1];
	struct x_call c;
	uint64_t end, size;
	int64_t error = data_flags(s->a[0]);

	if (error >= 0 && ((int64_t)s->a[2] < 0 || (int64_t)s->a[3] <= 0))
		return -X_EINVAL;
	if (error < 0 || !file_may_write((uint64_t)error))
		return -X_EBADF;
	end = s->a[2] + s->a[3];
	if (end > INT64_MAX)
		return -X_EFBIG;
	if (!(mode & FALLOC_KEEP_SIZE) && end > ids()->rlimit_fsize) {
		post_signal_self(s->thread, SIGXFSZ);
		return -X_EFBIG;
	}
	call_init(&c, FILE_ALLOCATE);
	c.msg.a[0] = mode;
	c.msg.a[1] = s->a[2];
	c.msg.a[2] = s->a[3];
	error = call_plain((x_handle_t)s->a[0], &c);
	if (error != -X_ENOSYS)
		return error;
	error = fd_size(s->a[0], &size); /* no file: -X_ESPIPE if it is a pipe */
	return error == -X_ESPIPE ? error : -X_ENODEV;
}

int64_t linux_fsync(struct sys *s)
{
	struct x_call c;

	return fd_call(s->a[0], FILE_SYNC, 0, &c);
}

int64_t linux_fdatasync(struct sys *s)
{
	struct x_call c;

	return fd_call(s->a[0], FILE_SYNC, 1, &c);
}

int64_t linux_syncfs(struct sys *s) { return linux_fsync(s); }

int64_t linux_sync_file_range(struct sys *s)
{
	int64_t offset = (int64_t)s->a[1], len = (int64_t)s->a[2], end;
	struct file_attr attr;
	int64_t error = data_attributes(s->a[0], &attr);

	if (error < 0)
		return error;
	if ((uint32_t)s->a[3] & ~7u || offset < 0 || len < 0 || __builtin_add_overflow(offset, len, &end))
		return -X_EINVAL;
	if ((attr.mode & F_S_IFMT) == F_S_IFIFO || (attr.mode & F_S_IFMT) == F_S_IFSOCK ||
	    (attr.mode & F_S_IFMT) == F_S_IFCHR)
		return -X_ESPIPE;
	return linux_fdatasync(s);
}

static int64_t fd_exists(uint64_t fd)
{
	struct x_handle_info info;

	return check_fd(fd) || x_handle_info((x_handle_t)fd, &info) < 0 ? -X_EBADF : 0;
}

/* Advice is checked, and not needed: see how files are read ahead (docs/files.md). */
int64_t linux_fadvise64(struct sys *s)
{
	struct file_attr attr;
	int64_t error = data_attributes(s->a[0], &attr);

	if (error < 0)
		return error;
	if ((attr.mode & F_S_IFMT) == F_S_IFIFO || (attr.mode & F_S_IFMT) == F_S_IFSOCK)
		return -X_ESPIPE;
	return (int64_t)s->a[2] < 0 || (uint32_t)s->a[3] > 5 ? -X_EINVAL : 0;
}

int64_t linux_readahead(struct sys *s)
{
	struct file_attr attr;
	int64_t flags = data_flags(s->a[0]), error;

	if (flags < 0 || !file_may_read((uint64_t)flags))
		return -X_EBADF;
	error = fd_attributes(s->a[0], &attr);
	if (error < 0)
		return error;
	return (attr.mode & F_S_IFMT) == F_S_IFREG || (attr.mode & F_S_IFMT) == F_S_IFBLK ? 0 : -X_EINVAL;
}

int64_t linux_getdents64(struct sys *s)
{
	struct x_call c;
	int64_t error = check_fd(s->a[0]);

	if (!error)
		error = user_probe(s->a[1], (uint32_t)s->a[2], true);
	if (error)
		return error;
	call_init(&c, FILE_READDIR);
	call_window(&c, (void *)s->a[1], (uint32_t)s->a[2], X_WIN_WRITE);
	c.flags = X_CALL_CURSOR;
	return call_plain((x_handle_t)s->a[0], &c);
}

/* The old entry is as long as the new one: its type is the last byte. */
static int64_t old_dirents(uint64_t addr, int64_t bytes)
{
	uint8_t entry[8 + 8 + 2 + 1 + 256 + 8];
	uint16_t length;

	for (int64_t at = 0; at < bytes; at += length) {
		uint8_t type;

		if (copy_in(&length, addr + (uint64_t)at + 16, 2))
			return -X_EFAULT;
		if (length < 24 || length > sizeof(entry) || length > bytes - at)
			return -X_EIO;
		if (copy_in(entry, addr + (uint64_t)at, length))
			return -X_EFAULT;
		type = entry[18];
		memmove(entry + 18, entry + 19, length - 19u);
		entry[length - 1] = type;
		if (copy_out(addr + (uint64_t)at, entry, length))
			return -X_EFAULT;
	}
	return bytes;
}

int64_t linux_getdents(struct sys *s)
{
	int64_t bytes = linux_getdents64(s);

	return bytes > 0 ? old_dirents(s->a[1], bytes) : bytes;
}

/* ------------------------------------------------------- descriptors themselves */

int64_t linux_close(struct sys *s)
{
	struct x_call c;
	int64_t result;
	bool told;

	if (check_fd(s->a[0]))
		return -X_EBADF;
	lock_closing(s->a[0]);
	told = x_object_ctl((x_handle_t)s->a[0], X_OBJ_CLOSURE_NEXT, X_SLOT_VFS) == 1;
	result = x_handle_close((x_handle_t)s->a[0]);
	lock_closed();
	uring_fd_closed();
	if (result || !told)
		return linux_error(result);
	/* poll at the other end of a pipe is to see it from now on: a call to vfs of no
	 * other effect (asking for the umask) comes back behind the closure. */
	call_init(&c, VFS_UMASK);
	c.msg.a[0] = ~0ull;
	call_plain(X_SLOT_VFS, &c);
	return 0;
}

int64_t linux_close_range(struct sys *s)
{
	uint32_t first = (uint32_t)s->a[0], last = (uint32_t)s->a[1], flags = (uint32_t)s->a[2];

	if (first > last || (flags & ~6u))
		return -X_EINVAL;
	for (uint32_t fd = first; fd <= last && fd < X_SLOT_FD_END; fd++) {
		if (flags & 4) { /* CLOSE_RANGE_CLOEXEC */
			x_handle_cloexec(fd, 1);
			continue;
		}
		lock_closing(fd);
		x_handle_close(fd);
	}
	lock_closed();
	uring_fd_closed();
	return 0;
}

static uint64_t fd_limit(void)
{
	uint64_t limit = ids()->rlimit_nofile;

	return limit < X_SLOT_FD_END ? limit : X_SLOT_FD_END;
}

int64_t duplicate(uint64_t fd, uint64_t lowest, uint32_t flags)
{
	int64_t slot;

	if (flags & X_DUP_EXACT)
		lock_closing(lowest);
	slot = x_handle_dup((x_handle_t)fd, 0, (uint32_t)lowest, flags);
	if (slot >= 0 && (uint64_t)slot >= fd_limit()) {
		x_handle_close((x_handle_t)slot);
		return -X_EMFILE;
	}
	if (flags & X_DUP_EXACT)
		uring_fd_closed();
	return linux_error(slot);
}

int64_t linux_dup(struct sys *s) { return check_fd(s->a[0]) ? -X_EBADF : duplicate(s->a[0], 0, 0); }

int64_t linux_dup2(struct sys *s)
{
	if ((uint32_t)s->a[1] >= fd_limit())
		return -X_EBADF;
	if ((uint32_t)s->a[0] == (uint32_t)s->a[1])
		return fd_exists(s->a[0]) ? -X_EBADF : (int64_t)(uint32_t)s->a[0];
	return check_fd(s->a[0]) ? -X_EBADF : duplicate(s->a[0], (uint32_t)s->a[1], X_DUP_EXACT);
}

int64_t linux_dup3(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[2];

	if ((flags & ~F_O_CLOEXEC) || (uint32_t)s->a[0] == (uint32_t)s->a[1])
		return -X_EINVAL;
	if ((uint32_t)s->a[1] >= fd_limit())
		return -X_EBADF;
	if (check_fd(s->a[0]))
		return -X_EBADF;
	return duplicate(s->a[0], (uint32_t)s->a[1], X_DUP_EXACT | (flags ? X_DUP_CLOEXEC : 0));
}

static int64_t set_status_flags(uint64_t fd, uint64_t flags)
{
	const uint64_t settable = F_O_APPEND | F_O_NONBLOCK | F_O_DIRECT | L_O_ASYNC | L_O_NOATIME;
	int64_t old = x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0), error;

	if (old < 0)
		return old == -X_EWRONGTYPE ? 0 : linux_error(old);
	error = x_object_ctl((x_handle_t)fd, X_OBJ_SET_FLAGS,
			     ((uint64_t)old & ~settable) | (flags & settable));
	return error < 0 ? linux_error(error) : 0;
}

/* Asks (0) or sets; what is no pipe answers -X_EINVAL, and Linux -EBADF. */
static int64_t pipe_size(uint64_t fd, uint64_t bytes)
{
	struct x_call c;
	int64_t result = fd_call(fd, FILE_PIPE_SIZE, bytes, &c);

	return result == -X_EINVAL || result == -X_ENOSYS ? -X_EBADF : result;
}

int64_t linux_fcntl(struct sys *s)
{
	uint64_t fd = s->a[0], arg = s->a[2];

	if (check_fd(fd))
		return -X_EBADF;
	switch ((uint32_t)s->a[1]) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if ((uint32_t)arg >= fd_limit())
			return fd_exists(fd) ? -X_EBADF : -X_EINVAL;
		return duplicate(fd, (uint32_t)arg,
				 (uint32_t)s->a[1] == F_DUPFD ? 0 : X_DUP_CLOEXEC);
	case F_GETFD:
		return linux_error(x_handle_cloexec((x_handle_t)fd, -1));
	case F_SETFD: {
		int64_t old = x_handle_cloexec((x_handle_t)fd, arg & FD_CLOEXEC);

		return old < 0 ? linux_error(old) : 0;
	}
	case F_GETFL: {
		int64_t flags = x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0);

		flags = flags == -X_EWRONGTYPE ? (int64_t)F_O_RDWR : linux_error(flags); /* an epoll */
		return flags < 0 ? flags : flags & ~(int64_t)F_O_MESSAGES;
	}
	case F_SETFL:
		return set_status_flags(fd, arg);
	case F_GETPIPE_SZ:
		return pipe_size(fd, 0);
	case F_SETPIPE_SZ:
		if ((uint32_t)arg > 1u << 31)
			return fd_exists(fd) ? -X_EBADF : -X_EINVAL;
		return pipe_size(fd, (uint32_t)arg ? (uint32_t)arg : 1);
	case F_SETOWN:
		return fd_exists(fd) ? -X_EBADF : socket_set_owner(fd, (int32_t)arg);
	case F_GETOWN:
		return fd_exists(fd) ? -X_EBADF : socket_owner(fd);
	default:
		if (lock_command((uint32_t)s->a[1]))
			return lock_fcntl(fd, (uint32_t)s->a[1], arg);
		return fd_exists(fd) ? -X_EBADF : -X_EINVAL;
	}
}

static int64_t make_pipe(uint64_t fds_addr, uint32_t flags)
{
	struct x_call c;
	int32_t fds[2];
	int64_t error;

	if (flags & ~(F_O_NONBLOCK | F_O_CLOEXEC | F_O_DIRECT))
		return -X_EINVAL;
	error = user_probe(fds_addr, sizeof(fds), true);
	if (error)
		return error;
	call_init(&c, VFS_PIPE);
	c.msg.a[0] = flags;
	call_receive_fds(&c, flags & F_O_CLOEXEC);
	error = call_plain(X_SLOT_VFS, &c);
	if (error < 0)
		return error;
	fds[0] = (int32_t)c.handles[0];
	fds[1] = (int32_t)c.handles[1];
	error = c.handle_count == 2 ? copy_out(fds_addr, fds, sizeof(fds)) : -X_EIO;
	for (uint32_t i = 0; error && i < c.handle_count; i++)
		x_handle_close(c.handles[i]);
	return error;
}

int64_t linux_pipe(struct sys *s) { return make_pipe(s->a[0], 0); }
int64_t linux_pipe2(struct sys *s) { return make_pipe(s->a[0], (uint32_t)s->a[1]); }

/* -------------------------------------------------------------------- control */

static int64_t fd_nonblocking(uint64_t fd, uint64_t arg)
{
	uint32_t on;
	int64_t flags;

	if (copy_in(&on, arg, sizeof(on)))
		return -X_EFAULT;
	flags = x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0);
	if (flags < 0)
		return linux_error(flags);
	flags = on ? flags | F_O_NONBLOCK : flags & ~(int64_t)F_O_NONBLOCK;
	return set_status_flags(fd, (uint64_t)flags);
}

#define FIONCLEX 0x5450u
#define FICLONE      0x40049409u
#define FICLONERANGE 0x4020940du
#define FIOCLEX  0x5451u
#define FIONBIO  0x5421u
#define FIOASYNC 0x5452u

static bool is_block_device(uint64_t fd)
{
	struct file_attr attr;

	return fd_attributes(fd, &attr) >= 0 && (attr.mode & F_S_IFMT) == F_S_IFBLK;
}

/* Commands of loop devices whose argument is, or begins with, a descriptor: that goes along. */
static int64_t ioctl_file(struct x_call *c, uint32_t command, uint64_t arg)
{
	uint32_t fd = (uint32_t)arg;

	if (command != LOOP_SET_FD && command != LOOP_CHANGE_FD && command != LOOP_CONFIGURE)
		return 0;
	if (command == LOOP_CONFIGURE && copy_in(&fd, arg, sizeof(fd)))
		return -X_EFAULT;
	if (fd_exists(fd))
		return -X_EBADF;
	c->handles[c->handle_count++] = fd;
	return 0;
}

static int64_t ioctl_on(uint64_t fd, uint32_t command, uint64_t arg, struct ioctl_shape shape)
{
	struct x_call c;
	int64_t error;

	call_init(&c, FILE_IOCTL);
	c.msg.status = job_flags();
	c.msg.a[0] = command;
	c.msg.a[1] = arg;
	if (shape.bytes)
		call_window(&c, (void *)arg, shape.bytes, shape.flags);
	error = command >> 8 == 0x89 ? socket_ioctl_window(fd, &c, command, arg) : 0;
	if (error)
		return error;
	if (command >> 8 == 0x4c && is_block_device(fd) && ioctl_file(&c, command, arg))
		return -X_EBADF;
	return call_interruptible((x_handle_t)fd, &c);
}

int64_t linux_ioctl(struct sys *s)
{
	uint64_t fd = s->a[0], arg = s->a[2];
	uint32_t command = (uint32_t)s->a[1];
	struct ioctl_shape shape = ioctl_shape(command);
	int64_t result, other;

	if (check_fd(fd))
		return -X_EBADF;
	if (command == FIOCLEX || command == FIONCLEX) {
		int64_t old = x_handle_cloexec((x_handle_t)fd, command == FIOCLEX);

		return old < 0 ? linux_error(old) : 0;
	}
	if (command == FICLONE || command == FICLONERANGE) /* no filesystem shares blocks */
		return fd_exists(fd) ? -X_EBADF : -X_EOPNOTSUPP;
	if (command == FIONBIO || command == FIOASYNC)
		return command == FIONBIO ? fd_nonblocking(fd, arg) : fd_exists(fd);
	if (shape.bytes && user_probe(arg, shape.bytes, shape.flags & X_WIN_WRITE))
		return fd_exists(fd) ? -X_EBADF : socket_ioctl_fault(fd, command);
	result = ioctl_on(fd, command, arg, shape);
	if (result != -X_ENOTTY || command < 0x8910 || command > 0x89ff)
		return result;
	other = socket_for_interfaces(fd);
	if (other < 0)
		return result;
	result = ioctl_on((uint64_t)other, command, arg, shape);
	x_handle_close((x_handle_t)other);
	return result;
}
