/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * flock and the locks of fcntl: vfs keeps them (proto/vfs.h). What only this
 * side knows: where a range begins, and when a descriptor is closed.
 */
#include "personality/linux/pers.h"

#define F_OFD_GETLK  36u
#define F_OFD_SETLK  37u
#define F_OFD_SETLKW 38u

struct linux_flock { /* fcntl(2) on x86-64 */
	int16_t type, whence;
	int32_t pad0;
	int64_t start, len;
	int32_t pid;
	int32_t pad1;
};
_Static_assert(sizeof(struct linux_flock) == 32, "struct flock");

static int64_t range_base(uint64_t fd, int16_t whence, int64_t *base)
{
	struct x_call c;
	int64_t result = 0;

	*base = 0;
	if (whence == SEEK_CUR) {
		result = x_object_ctl((x_handle_t)fd, X_OBJ_GET_CURSOR, 0);
		*base = result < 0 ? 0 : result;
		result = 0;
	} else if (whence == SEEK_END) {
		call_init(&c, FILE_SIZE);
		result = call_plain((x_handle_t)fd, &c);
		*base = (int64_t)c.msg.a[0];
	} else if (whence != SEEK_SET) {
		return -X_EINVAL;
	}
	return result < 0 ? result : 0;
}

/* First and last byte, as POSIX has it: a length of 0 is all behind, a
 * negative one is what lies before the start. */
static int64_t lock_range(uint64_t fd, const struct linux_flock *l, uint64_t *first, uint64_t *last)
{
	int64_t start, end, error = range_base(fd, l->whence, &start);

	if (error)
		return error;
	if (__builtin_add_overflow(start, l->start, &start))
		return -X_EOVERFLOW;
	if (start < 0)
		return -X_EINVAL;
	end = INT64_MAX;
	if (l->len > 0 && __builtin_add_overflow(start, l->len - 1, &end))
		return -X_EOVERFLOW;
	if (l->len < 0) {
		end = start - 1;
		if (__builtin_add_overflow(start, l->len, &start) || start < 0)
			return -X_EINVAL;
	}
	*first = (uint64_t)start;
	*last = (uint64_t)end;
	return 0;
}

static int64_t put_found(uint64_t addr, struct linux_flock *l, const struct x_msg *msg)
{
	l->type = (int16_t)msg->a[0];
	if (msg->a[0] != 2) { /* one is in the way */
		l->whence = SEEK_SET;
		l->start = (int64_t)msg->a[1];
		l->len = msg->a[2] == INT64_MAX ? 0 : (int64_t)(msg->a[2] - msg->a[1] + 1);
		l->pid = (int32_t)msg->a[3];
	}
	return copy_out(addr, l, sizeof(*l)) ? -X_EFAULT : 0;
}

bool lock_command(uint32_t command)
{
	return (command >= F_GETLK && command <= F_SETLKW) ||
	       (command >= F_OFD_GETLK && command <= F_OFD_SETLKW);
}

int64_t lock_fcntl(uint64_t fd, uint32_t command, uint64_t addr)
{
	bool ofd = command >= F_OFD_GETLK;
	uint32_t op = command - (ofd ? F_OFD_GETLK : F_GETLK);
	struct linux_flock l;
	struct x_call c;
	int64_t error;

	call_init(&c, VFS_LOCK);
	if (x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0) < 0)
		return -X_EBADF;
	if (copy_in(&l, addr, sizeof(l)))
		return -X_EFAULT;
	if (l.type < 0 || l.type > 2 || (op == VFS_LOCK_GET && l.type == 2) || (ofd && l.pid))
		return -X_EINVAL;
	error = lock_range(fd, &l, &c.msg.a[2], &c.msg.a[3]);
	if (error)
		return error;
	c.msg.a[0] = op | (ofd ? VFS_LOCK_OFD : 0);
	c.msg.a[1] = (uint64_t)l.type;
	c.msg.a[4] = ids()->pid;
	c.handles[0] = (x_handle_t)fd;
	c.handle_count = 1;
	if (op != VFS_LOCK_GET && ofd)
		process.file_locks = true;
	else if (op != VFS_LOCK_GET)
		process.record_locks = true;
	error = call_interruptible(X_SLOT_VFS, &c);
	return error < 0 || op != VFS_LOCK_GET ? error : put_found(addr, &l, &c.msg);
}

int64_t linux_flock(struct sys *s)
{
	struct x_call c;

	if (check_fd(s->a[0]))
		return -X_EBADF;
	call_init(&c, VFS_FLOCK);
	c.msg.a[0] = (uint32_t)s->a[1];
	c.handles[0] = (x_handle_t)s->a[0];
	c.handle_count = 1;
	process.file_locks = true;
	return call_interruptible(X_SLOT_VFS, &c);
}

void lock_closing(uint64_t fd)
{
	struct x_call c;

	if (!process.record_locks)
		return;
	call_init(&c, VFS_LOCK_CLOSED);
	c.handles[0] = (x_handle_t)fd;
	c.handle_count = 1;
	call_plain(X_SLOT_VFS, &c);
}

void lock_closed(void)
{
	struct x_call c;

	if (!process.file_locks)
		return;
	call_init(&c, VFS_LOCK_CLOSED);
	call_plain(X_SLOT_VFS, &c);
}
