/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Native calls as the personality makes them: preparing struct x_call, and
 * the one place where native errors become Linux's.
 */
#include "personality/linux/pers.h"
#include "proto/socket.h"

#define ERROR_MAX 133 /* of Linux's */

int64_t linux_error(int64_t native)
{
	if (native >= -ERROR_MAX || native == -X_EWAIT) /* a flow has something: not seen by programs */
		return native;
	if (native == -X_EWRONGTYPE)
		return -X_EINVAL; /* no open file: the descriptor of an epoll */
	if (native == -X_ERIGHTS)
		return -X_EBADF;
	return -X_EIO;
}

void call_init(struct x_call *c, uint32_t op)
{
	memset(c, 0, sizeof(*c));
	c->msg.op = op;
	c->deadline_ns = X_FOREVER;
	c->recv_min = X_SLOT_NATIVE;
	c->recv_end = X_SLOT_MAX;
}

void call_window_at(struct x_call *c, uint64_t addr, uint64_t len, uint32_t flags)
{
	struct x_window *w = &c->win[c->win_count++];

	w->addr = addr;
	w->len = len < X_WINDOW_MAX ? len : X_WINDOW_MAX;
	w->flags = flags;
}

void call_receive_fds(struct x_call *c, bool cloexec)
{
	uint64_t limit = ids()->rlimit_nofile;

	c->recv_min = 0;
	c->recv_end = limit < X_SLOT_FD_END ? limit : X_SLOT_FD_END;
	if (cloexec)
		c->flags |= X_CALL_CLOEXEC;
}

int64_t call_new_fd(const struct x_call *c, int64_t result)
{
	if (result < 0)
		return result;
	return c->handle_count == 1 ? (int64_t)c->handles[0] : -X_EIO;
}

/* ---- what servers answer is believed as far as it can be true ---- */

static uint64_t room(const struct x_call *c, uint32_t first, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = first; i < first + count && i < c->win_count; i++)
		bytes += c->win[i].len;
	return bytes;
}

/* The largest status that is an answer to op; programs take it for the bytes they have. */
static uint64_t status_max(uint32_t op, const struct x_call *c)
{
	switch (op) {
	case FILE_READ: case FILE_WRITE: case FILE_READDIR: case VFS_GETCWD: case MQ_RECEIVE: case PM_VM:
		return room(c, 0, 1);
	case VFS_READLINK: case VFS_XATTR:
		return room(c, 1, 1);
	case SOCK_SEND:
		return room(c, 0, SOCK_DATA_WINDOWS);
	case FILE_STAT: case FILE_SETATTR: case FILE_SYNC: case FILE_STATFS: case FILE_IDENT: case FILE_SIZE:
	case FILE_TRUNCATE: case FILE_SEEK: case FILE_ALLOCATE: case VFS_STAT: case VFS_ACCESS: case VFS_STATFS:
		return 0;
	default:
		return INT32_MAX;
	}
}

/* Entries by which a program gets to the end, whatever is in them. */
static bool entries_are_sound(uint64_t addr, uint64_t bytes)
{
	uint16_t length;

	for (uint64_t at = 0; at < bytes; at += length)
		if (bytes - at < sizeof(struct file_dirent) ||
		    copy_in(&length, addr + at + offsetof(struct file_dirent, reclen), sizeof(length)) ||
		    length < sizeof(struct file_dirent) || length % 8 || length > bytes - at)
			return false;
	return true;
}

/* A call, its answer looked at: -X_EIO if that is nonsense. */
static int64_t call(x_handle_t h, struct x_call *c)
{
	uint32_t op = c->msg.op;
	int64_t n = x_call(h, c);

	if (n < 0)
		return linux_error(n);
	if ((uint64_t)n <= status_max(op, c) && (op != FILE_READDIR || entries_are_sound(c->win[0].addr, (uint64_t)n)))
		return n;
	for (uint32_t i = 0; i < c->handle_count; i++)
		x_handle_close(c->handles[i]);
	return -X_EIO;
}

int64_t call_plain(x_handle_t h, struct x_call *c)
{
	c->flags |= X_CALL_KILLABLE;
	return call(h, c);
}

/* Who must not wait says so. Terminals and counters don't listen: they are only asked for
 * what is ready, and only being overtaken makes that wait. */
#define NOWAIT_NS 20000000u

int64_t call_interruptible(x_handle_t h, struct x_call *c)
{
	bool nowait = thread_here()->nowait;
	int64_t result;

	c->flags |= X_CALL_INTERRUPTIBLE;
	if (nowait) {
		c->msg.status |= FILE_NOWAIT;
		c->deadline_ns = now_ns() + NOWAIT_NS;
	}
	result = call(h, c);
	if (nowait && (result == -X_ETIMEDOUT || result == -X_EINTR))
		return -X_EAGAIN;
	return result == -X_EINTR ? -RESTART_SYS : result;
}

int64_t call_pm(struct x_call *c, uint32_t op, uint64_t a0, uint64_t a1, uint64_t a2, uint64_t a3)
{
	call_init(c, op);
	c->msg.a[0] = a0;
	c->msg.a[1] = a1;
	c->msg.a[2] = a2;
	c->msg.a[3] = a3;
	return call_plain(X_SLOT_PM, c);
}

/* The frame this thread came here with lies at the top of its stack. */
int32_t job_flags(void)
{
	uint64_t slot = ((uint64_t)__builtin_frame_address(0) - PERS_STACKS) / PERS_STACK_STRIDE, mask = process.ignored;
	int32_t flags = 0;

	if (slot < PERS_STACK_SLOTS)
		mask |= ((const struct x_upcall *)((PERS_STACK_TOP(slot) - sizeof(struct x_upcall)) & ~15ull))->mask;
	if (mask & signal_bit(SIGTTIN))
		flags |= FILE_NO_TTIN;
	if (mask & signal_bit(SIGTTOU))
		flags |= FILE_NO_TTOU;
	return flags;
}

int64_t check_fd(uint64_t fd)
{
	return (uint32_t)fd < X_SLOT_FD_END || (uint32_t)fd == thread_here()->file ? 0 : -X_EBADF;
}
