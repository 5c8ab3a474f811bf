/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memfd_create: a file without a name in /tmp, which is kept in memory. No
 * sealing, no huge pages.
 */
#include "lib/c/stdio.h"
#include "personality/linux/pers.h"

#define MFD_CLOEXEC 1u
#define MFD_ALLOW_SEALING 2u
#define NAME_MAX 249

static int64_t vfs_path(struct x_call *c, uint32_t op, const char *path)
{
	c->msg.op = op;
	call_window(c, path, strlen(path), X_WIN_READ);
	return call_plain(X_SLOT_VFS, c);
}

int64_t linux_memfd_create(struct sys *s)
{
	static uint32_t serial;
	uint32_t flags = (uint32_t)s->a[1];
	char path[64];
	struct x_call c;
	int64_t error = user_string_length(s->a[0], NAME_MAX + 1);

	if (error < 0)
		return error;
	if (error > NAME_MAX || (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING)))
		return -X_EINVAL;
	snprintf(path, sizeof(path), "/tmp/.memfd-%u-%u", ids()->pid,
		 __atomic_fetch_add(&serial, 1, __ATOMIC_RELAXED));
	call_init(&c, 0);
	c.msg.a[0] = F_O_RDWR | F_O_CREAT | F_O_EXCL;
	c.msg.a[1] = 0700;
	call_receive_fds(&c, flags & MFD_CLOEXEC);
	error = vfs_path(&c, VFS_OPEN, path);
	if (error < 0 || c.handle_count != 1)
		return error < 0 ? error : -X_EIO;
	error = c.handles[0];
	call_init(&c, 0);
	vfs_path(&c, VFS_UNLINK, path);
	return error;
}
