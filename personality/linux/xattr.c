/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extended attributes: twelve calls that are four, of a path, of a link itself,
 * of a descriptor. Name and value travel in one window (VFS_XATTR).
 */
#include "personality/linux/pers.h"
#include "proto/fs.h"

#define CWD ((uint64_t)(int64_t)LINUX_AT_FDCWD)
#define NAME_END 256u
#define FSYS_WINDOW 4096u /* what vfs takes and gives */
#define SIZE_MAX_LINUX 65536u

enum about { OF_PATH, OF_LINK, OF_DESCRIPTOR };

/* Begins the call: about the first argument. */
static int64_t target(struct sys *s, enum about about, struct x_call *c)
{
	int64_t flags;

	if (about != OF_DESCRIPTOR)
		return path_call(c, VFS_XATTR, CWD, s->a[0], false);
	flags = check_fd(s->a[0]) ? -X_EBADF : x_object_ctl((x_handle_t)s->a[0], X_OBJ_GET_FLAGS, 0);
	if (flags < 0 && flags != -X_EWRONGTYPE)
		return -X_EBADF;
	if (flags < 0 || (flags & F_O_PATH))
		return flags < 0 ? -X_EOPNOTSUPP : -X_EBADF;
	call_init(c, VFS_XATTR);
	call_window(c, "", 0, X_WIN_READ);
	c->handles[c->handle_count++] = (x_handle_t)s->a[0];
	return 0;
}

static int64_t take_name(uint64_t addr, char *name)
{
	int64_t length = user_string_length(addr, NAME_END);

	if (length < 0)
		return length;
	if (length == 0 || length == (int64_t)NAME_END)
		return -X_ERANGE;
	return copy_in(name, addr, (uint64_t)length + 1) ? -X_EFAULT : length;
}

static int64_t finish(struct x_call *c, enum about about, uint64_t what, char *buf, uint64_t bytes)
{
	c->msg.a[0] = about == OF_LINK;
	c->msg.a[1] = what;
	call_window(c, buf, bytes, X_WIN_READ | X_WIN_WRITE);
	return call_plain(X_SLOT_VFS, c);
}

static int64_t set(struct sys *s, enum about about)
{
	uint64_t bytes = s->a[3];
	char buf[NAME_END + FS_XATTR_VALUE_MAX];
	struct x_call c;
	int64_t name, error;

	if ((uint32_t)s->a[4] & ~3u)
		return -X_EINVAL;
	name = take_name(s->a[1], buf);
	if (name < 0)
		return name;
	if (bytes > SIZE_MAX_LINUX)
		return -X_E2BIG;
	error = target(s, about, &c);
	if (!error && bytes <= FS_XATTR_VALUE_MAX && copy_in(buf + name + 1, s->a[2], bytes))
		error = -X_EFAULT;
	if (error)
		return error;
	if (bytes > FS_XATTR_VALUE_MAX)
		return -X_ENOSPC;
	return finish(&c, about, FS_XATTR_SET | (s->a[4] & 3) << 8 | bytes << 32, buf, (uint64_t)name + 1 + bytes);
}

/* The answer goes to `addr`, if it fits; size 0 asks only how long it is. */
static int64_t give(int64_t bytes, const char *buf, uint64_t addr, uint64_t size)
{
	if (bytes <= 0 || size == 0)
		return bytes;
	if ((uint64_t)bytes > size)
		return -X_ERANGE;
	return copy_out(addr, buf, (uint64_t)bytes) ? -X_EFAULT : bytes;
}

static int64_t get(struct sys *s, enum about about)
{
	char buf[FSYS_WINDOW];
	struct x_call c;
	int64_t error = take_name(s->a[1], buf);

	if (error >= 0)
		error = target(s, about, &c);
	if (error < 0)
		return error;
	return give(finish(&c, about, FS_XATTR_GET, buf, sizeof(buf)), buf, s->a[2], s->a[3]);
}

static int64_t list(struct sys *s, enum about about)
{
	char buf[FSYS_WINDOW];
	struct x_call c;
	int64_t error = target(s, about, &c);

	buf[0] = 0;
	if (!error)
		error = finish(&c, about, FS_XATTR_LIST, buf, sizeof(buf));
	return error == -X_EOPNOTSUPP ? 0 : give(error, buf, s->a[1], s->a[2]);
}

static int64_t remove(struct sys *s, enum about about)
{
	char buf[NAME_END];
	struct x_call c;
	int64_t error = take_name(s->a[1], buf);

	if (error >= 0)
		error = target(s, about, &c);
	return error < 0 ? error : finish(&c, about, FS_XATTR_REMOVE, buf, sizeof(buf));
}

#define XATTR_CALL(name) \
	int64_t linux_##name##xattr(struct sys *s) { return name(s, OF_PATH); } \
	int64_t linux_l##name##xattr(struct sys *s) { return name(s, OF_LINK); } \
	int64_t linux_f##name##xattr(struct sys *s) { return name(s, OF_DESCRIPTOR); }
XATTR_CALL(set)
XATTR_CALL(get)
XATTR_CALL(list)
XATTR_CALL(remove)
