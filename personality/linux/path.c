/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System calls that name files by path: they go to vfs (proto/vfs.h), the path
 * being a window into the program's memory. Relative to a directory
 * descriptor, that descriptor is sent along.
 */
#include "lib/c/stdio.h"
#include "personality/linux/pers.h"
#include "proto/fs.h"

#define CWD ((uint64_t)(int64_t)LINUX_AT_FDCWD)

static bool is_cwd(uint64_t dirfd) { return (int32_t)dirfd == LINUX_AT_FDCWD; }

/* Add the path as the next window. An empty one is -X_ENOENT unless allowed. */
static int64_t add_path(struct x_call *c, uint64_t path, bool may_be_empty)
{
	int64_t len = user_string_length(path, LINUX_PATH_MAX);

	if (len < 0)
		return len;
	if (len >= (int64_t)LINUX_PATH_MAX)
		return -X_ENAMETOOLONG;
	if (len == 0 && !may_be_empty)
		return -X_ENOENT;
	call_window(c, (const void *)path, (uint64_t)len, X_WIN_READ);
	return 0;
}

static bool path_is_absolute(const struct x_call *c, uint32_t window)
{
	char first = 0;

	return c->win[window].len && !copy_in(&first, c->win[window].addr, 1) && first == '/';
}

/* Start a call about dirfd and path. */
int64_t path_call(struct x_call *c, uint32_t op, uint64_t dirfd, uint64_t path, bool may_be_empty)
{
	int64_t error;

	call_init(c, op);
	error = add_path(c, path, may_be_empty);
	if (error || is_cwd(dirfd) || path_is_absolute(c, 0))
		return error;
	if (check_fd(dirfd))
		return -X_EBADF;
	c->handles[c->handle_count++] = (x_handle_t)dirfd;
	return 0;
}

/* As path_call, for two paths: bits of a[1] say which of the handles count. If
 * only the second does, it is sent in both places. */
static int64_t two_path_call(struct x_call *c, uint32_t op, const uint64_t dirs[2], const uint64_t paths[2])
{
	int64_t error = 0;

	call_init(c, op);
	for (uint32_t i = 0; i < 2 && !error; i++) {
		error = add_path(c, paths[i], false);
		if (error || is_cwd(dirs[i]) || path_is_absolute(c, i))
			continue;
		if (check_fd(dirs[i]))
			return -X_EBADF;
		c->msg.a[1] |= 1u << i;
		if (i == 1 && c->handle_count == 0)
			c->handles[c->handle_count++] = (x_handle_t)dirs[1];
		c->handles[c->handle_count++] = (x_handle_t)dirs[i];
	}
	return error;
}

static int64_t vfs(struct x_call *c) { return call_plain(X_SLOT_VFS, c); }

/* ------------------------------------------------------------------------ open */

static int64_t finish_open(struct x_call *c, uint32_t flags, uint32_t mode)
{
	int64_t error = flags & (F_O_CREAT | F_O_TRUNC) ? room_for_descriptor() : 0;

	if (error)
		return error;
	c->msg.a[0] = flags;
	c->msg.a[1] = mode & 07777;
	call_receive_fds(c, flags & F_O_CLOEXEC);
	/* Only the opening of a FIFO waits for another program: vfs lets nothing
	 * else be interrupted. */
	return call_new_fd(c, call_interruptible(X_SLOT_VFS, c));
}

static int64_t open_file(uint64_t dirfd, uint64_t path, uint32_t flags, uint32_t mode)
{
	struct x_call c;
	int64_t error = path_call(&c, VFS_OPEN, dirfd, path, false);

	return error ? error : finish_open(&c, flags, mode);
}

int64_t open_again(uint64_t fd, uint32_t flags)
{
	char path[32];
	struct x_call c;

	snprintf(path, sizeof(path), "/proc/self/fd/%u", (uint32_t)fd);
	call_init(&c, VFS_OPEN);
	call_window(&c, path, strlen(path), X_WIN_READ);
	return finish_open(&c, flags, 0);
}

int64_t open_path(uint64_t dirfd, uint64_t path, uint32_t flags) { return open_file(dirfd, path, flags, 0); }

int64_t linux_open(struct sys *s)
{
	return open_file(CWD, s->a[0], (uint32_t)s->a[1], (uint32_t)s->a[2]);
}

int64_t linux_openat(struct sys *s)
{
	return open_file(s->a[0], s->a[1], (uint32_t)s->a[2], (uint32_t)s->a[3]);
}

struct linux_open_how { uint64_t flags, mode, resolve; };
#define RESOLVE_ALL 0x3full
#define RESOLVE_CACHED 0x20u

/* dirfd counts for an absolute path too, if it is the root. */
static int64_t open_resolving(uint64_t dirfd, uint64_t path, const struct linux_open_how *how)
{
	struct x_call c;
	int64_t error = path_call(&c, VFS_OPEN, dirfd, path, false);

	if (error)
		return error;
	if (how->resolve & RESOLVE_CACHED)
		return -X_EAGAIN; /* it may always have to be looked for */
	if (path_is_absolute(&c, 0) && (how->resolve & RESOLVE_BENEATH))
		return -X_EXDEV;
	if (path_is_absolute(&c, 0) && (how->resolve & RESOLVE_IN_ROOT) && !is_cwd(dirfd)) {
		if (check_fd(dirfd))
			return -X_EBADF;
		c.handles[c.handle_count++] = (x_handle_t)dirfd;
	}
	c.msg.a[2] = how->resolve;
	return finish_open(&c, (uint32_t)how->flags, (uint32_t)how->mode);
}

int64_t linux_openat2(struct sys *s)
{
	const uint64_t known = 037777703; /* all O_* flags there are */
	struct linux_open_how how;
	uint64_t size = s->a[3], rest = 0;

	if (size < sizeof(how))
		return -X_EINVAL;
	if (size > X_PAGE_SIZE)
		return -X_E2BIG;
	if (copy_in(&how, s->a[2], sizeof(how)))
		return -X_EFAULT;
	for (uint64_t at = sizeof(how); at < size; at += 8) {
		if (copy_in(&rest, s->a[2] + at, size - at < 8 ? size - at : 8))
			return -X_EFAULT;
		if (rest)
			return -X_E2BIG;
	}
	if ((how.flags & ~known) || (how.mode & ~07777ull) || (how.resolve & ~RESOLVE_ALL) ||
	    (how.mode && !(how.flags & F_O_CREAT)))
		return -X_EINVAL;
	if ((how.resolve & RESOLVE_BENEATH) && (how.resolve & RESOLVE_IN_ROOT))
		return -X_EINVAL;
	return open_resolving(s->a[0], s->a[1], &how);
}

int64_t linux_creat(struct sys *s)
{
	return open_file(CWD, s->a[0], F_O_CREAT | F_O_WRONLY | F_O_TRUNC, (uint32_t)s->a[1]);
}

/* ------------------------------------------------------------------------ stat */

int64_t fd_attributes(uint64_t fd, struct file_attr *attr)
{
	struct x_handle_info info;
	struct x_call c;

	if (check_fd(fd) || x_handle_info((x_handle_t)fd, &info) < 0)
		return -X_EBADF;
	if (info.type == X_TYPE_WAITSET) { /* an epoll */
		*attr = (struct file_attr){ .dev = 15, .ino = 1, .mode = 0600, .nlink = 1,
					    .block_bytes = X_PAGE_SIZE };
		return 0;
	}
	call_init(&c, FILE_STAT);
	call_window(&c, attr, sizeof(*attr), X_WIN_WRITE);
	return call_plain((x_handle_t)fd, &c);
}

static int64_t path_attributes(uint64_t dirfd, uint64_t path, uint32_t flags, struct file_attr *attr)
{
	struct x_call c;
	char first;
	int64_t error;

	if ((flags & AT_EMPTY_PATH) && !is_cwd(dirfd) &&
	    (!path || (!copy_in(&first, path, 1) && first == 0)))
		return fd_attributes(dirfd, attr);
	error = path_call(&c, VFS_STAT, dirfd, path, flags & AT_EMPTY_PATH);
	if (error)
		return error;
	c.msg.a[0] = !!(flags & AT_SYMLINK_NOFOLLOW);
	if (c.win[0].len == 0) { /* the working directory itself */
		c.win[0].addr = (uint64_t)".";
		c.win[0].len = 1;
	}
	call_window(&c, attr, sizeof(*attr), X_WIN_WRITE);
	return vfs(&c);
}

static int64_t put_stat(int64_t error, const struct file_attr *attr, uint64_t to)
{
	struct linux_stat st;

	if (error < 0)
		return error;
	convert_stat(&st, attr);
	return copy_out(to, &st, sizeof(st));
}

int64_t linux_stat(struct sys *s)
{
	struct file_attr attr;

	return put_stat(path_attributes(CWD, s->a[0], 0, &attr), &attr, s->a[1]);
}

int64_t linux_lstat(struct sys *s)
{
	struct file_attr attr;

	return put_stat(path_attributes(CWD, s->a[0], AT_SYMLINK_NOFOLLOW, &attr), &attr, s->a[1]);
}

int64_t linux_fstat(struct sys *s)
{
	struct file_attr attr;

	return put_stat(fd_attributes(s->a[0], &attr), &attr, s->a[1]);
}

int64_t linux_newfstatat(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[3];
	struct file_attr attr;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH))
		return -X_EINVAL;
	return put_stat(path_attributes(s->a[0], s->a[1], flags, &attr), &attr, s->a[2]);
}

int64_t linux_statx(struct sys *s)
{
	uint32_t flags = (uint32_t)s->a[2];
	struct file_attr attr;
	struct linux_statx stx;
	int64_t error;

	if ((flags & ~(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE)) ||
	    (s->a[3] & 0x80000000u))
		return -X_EINVAL;
	error = path_attributes(s->a[0], s->a[1], flags, &attr);
	if (error < 0)
		return error;
	convert_statx(&stx, &attr);
	return copy_out(s->a[4], &stx, sizeof(stx));
}

static int64_t put_statfs(int64_t error, const struct file_statfs *fs, uint64_t to)
{
	struct linux_statfs st;

	if (error < 0)
		return error;
	convert_statfs(&st, fs);
	return copy_out(to, &st, sizeof(st));
}

int64_t linux_statfs(struct sys *s)
{
	struct file_statfs fs;
	struct x_call c;
	int64_t error = path_call(&c, VFS_STATFS, CWD, s->a[0], false);

	if (error)
		return error;
	call_window(&c, &fs, sizeof(fs), X_WIN_WRITE);
	return put_statfs(vfs(&c), &fs, s->a[1]);
}

int64_t linux_fstatfs(struct sys *s)
{
	struct file_statfs fs;
	struct x_call c;

	if (check_fd(s->a[0]))
		return -X_EBADF;
	call_init(&c, FILE_STATFS);
	call_window(&c, &fs, sizeof(fs), X_WIN_WRITE);
	return put_statfs(call_plain((x_handle_t)s->a[0], &c), &fs, s->a[1]);
}

/* --------------------------------------------------------- access, links, names */

static int64_t check_access(uint64_t dirfd, uint64_t path, uint32_t mode, uint32_t flags)
{
	struct x_call c;
	int64_t error;

	if (mode & ~7u)
		return -X_EINVAL;
	error = path_call(&c, VFS_ACCESS, dirfd, path, flags & AT_EMPTY_PATH);
	c.msg.a[0] = mode;
	c.msg.a[1] = !!(flags & AT_EACCESS);
	return error ? error : vfs(&c);
}

int64_t linux_access(struct sys *s) { return check_access(CWD, s->a[0], (uint32_t)s->a[1], 0); }
int64_t linux_faccessat(struct sys *s) { return check_access(s->a[0], s->a[1], (uint32_t)s->a[2], 0); }

int64_t linux_faccessat2(struct sys *s)
{
	if ((uint32_t)s->a[3] & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -X_EINVAL;
	return check_access(s->a[0], s->a[1], (uint32_t)s->a[2], (uint32_t)s->a[3]);
}

static int64_t read_link(uint64_t dirfd, uint64_t path, uint64_t buf, uint64_t size)
{
	struct x_call c;
	int64_t error;

	if ((int32_t)size <= 0)
		return -X_EINVAL;
	error = path_call(&c, VFS_READLINK, dirfd, path, true);
	if (!error && c.win[0].len == 0 && c.handle_count == 0)
		error = -X_ENOENT;
	if (!error)
		error = user_probe(buf, (uint32_t)size, true);
	if (error)
		return error;
	call_window(&c, (void *)buf, (uint32_t)size, X_WIN_WRITE);
	return vfs(&c);
}

int64_t linux_readlink(struct sys *s) { return read_link(CWD, s->a[0], s->a[1], s->a[2]); }
int64_t linux_readlinkat(struct sys *s) { return read_link(s->a[0], s->a[1], s->a[2], s->a[3]); }

/* A call about one path with up to two words. */
static int64_t simple(uint32_t op, uint64_t dirfd, uint64_t path, uint64_t a0, uint64_t a1)
{
	struct x_call c;
	int64_t error = path_call(&c, op, dirfd, path, false);

	c.msg.a[0] = a0;
	c.msg.a[1] = a1;
	return error ? error : vfs(&c);
}

int64_t linux_mkdir(struct sys *s) { return simple(VFS_MKDIR, CWD, s->a[0], (uint32_t)s->a[1] & 07777, 0); }
int64_t linux_mkdirat(struct sys *s) { return simple(VFS_MKDIR, s->a[0], s->a[1], (uint32_t)s->a[2] & 07777, 0); }
int64_t linux_unlink(struct sys *s) { return simple(VFS_UNLINK, CWD, s->a[0], 0, 0); }
int64_t linux_rmdir(struct sys *s) { return simple(VFS_UNLINK, CWD, s->a[0], 1, 0); }
int64_t linux_mknod(struct sys *s) { return simple(VFS_MKNOD, CWD, s->a[0], (uint32_t)s->a[1], (uint32_t)s->a[2]); }
int64_t linux_mknodat(struct sys *s) { return simple(VFS_MKNOD, s->a[0], s->a[1], (uint32_t)s->a[2], (uint32_t)s->a[3]); }
int64_t linux_chdir(struct sys *s) { return simple(VFS_CHDIR, CWD, s->a[0], 0, 0); }
int64_t linux_chroot(struct sys *s) { return simple(VFS_CHROOT, CWD, s->a[0], 0, 0); }

int64_t linux_unlinkat(struct sys *s)
{
	if ((uint32_t)s->a[2] & ~AT_REMOVEDIR)
		return -X_EINVAL;
	return simple(VFS_UNLINK, s->a[0], s->a[1], !!((uint32_t)s->a[2] & AT_REMOVEDIR), 0);
}

int64_t linux_fchdir(struct sys *s)
{
	struct x_call c;

	if (check_fd(s->a[0]))
		return -X_EBADF;
	call_init(&c, VFS_CHDIR);
	c.handles[0] = (x_handle_t)s->a[0];
	c.handle_count = 1;
	return vfs(&c);
}

int64_t linux_getcwd(struct sys *s)
{
	uint64_t size = s->a[1];
	struct x_call c;
	int64_t len;

	if (size < 2) /* not even "/" */
		return -X_ERANGE;
	len = user_probe(s->a[0], size, true);
	if (len)
		return len;
	call_init(&c, VFS_GETCWD);
	call_window(&c, (void *)s->a[0], size - 1, X_WIN_WRITE);
	len = vfs(&c);
	if (len < 0)
		return len;
	return copy_out(s->a[0] + (uint64_t)len, "", 1) ? -X_EFAULT : len + 1;
}

int64_t linux_umask(struct sys *s)
{
	struct x_call c;
	int64_t error;

	call_init(&c, VFS_UMASK);
	c.msg.a[0] = (uint32_t)s->a[0] & 0777;
	error = vfs(&c);
	return error < 0 ? error : (int64_t)(c.msg.a[0] & 0777);
}

static int64_t make_symlink(uint64_t target, uint64_t dirfd, uint64_t path)
{
	struct x_call c;
	int64_t error = path_call(&c, VFS_SYMLINK, dirfd, path, false);

	if (!error)
		error = add_path(&c, target, false);
	return error ? error : vfs(&c);
}

int64_t linux_symlink(struct sys *s) { return make_symlink(s->a[0], CWD, s->a[1]); }
int64_t linux_symlinkat(struct sys *s) { return make_symlink(s->a[0], s->a[1], s->a[2]); }

/* AT_EMPTY_PATH, in the way that others use for an O_TMPFILE: by its name in /proc. */
static int64_t link_open_file(uint64_t fd, uint64_t new_dir, uint64_t new)
{
	char name[32];
	struct x_call c;
	int64_t error;

	if (is_cwd(fd) || check_fd(fd))
		return is_cwd(fd) ? -X_EPERM : -X_EBADF;
	call_init(&c, VFS_LINK);
	snprintf(name, sizeof(name), "/proc/self/fd/%u", (uint32_t)fd);
	call_window(&c, name, strlen(name), X_WIN_READ);
	error = add_path(&c, new, false);
	if (!error && !is_cwd(new_dir) && !path_is_absolute(&c, 1)) {
		if (check_fd(new_dir))
			return -X_EBADF;
		c.msg.a[1] = 2;
		c.handles[0] = c.handles[1] = (x_handle_t)new_dir;
		c.handle_count = 2;
	}
	c.msg.a[0] = 1;
	return error ? error : vfs(&c);
}

static int64_t make_link(uint64_t old_dir, uint64_t old, uint64_t new_dir, uint64_t new, uint32_t flags)
{
	const uint64_t dirs[2] = { old_dir, new_dir }, paths[2] = { old, new };
	struct x_call c;
	int64_t error;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -X_EINVAL;
	if ((flags & AT_EMPTY_PATH) && user_string_length(old, 1) == 0)
		return link_open_file(old_dir, new_dir, new);
	error = two_path_call(&c, VFS_LINK, dirs, paths);
	c.msg.a[0] = !!(flags & AT_SYMLINK_FOLLOW);
	return error ? error : vfs(&c);
}

int64_t linux_link(struct sys *s) { return make_link(CWD, s->a[0], CWD, s->a[1], 0); }
int64_t linux_linkat(struct sys *s) { return make_link(s->a[0], s->a[1], s->a[2], s->a[3], (uint32_t)s->a[4]); }

static int64_t rename_file(uint64_t old_dir, uint64_t old, uint64_t new_dir, uint64_t new, uint32_t flags)
{
	const uint64_t dirs[2] = { old_dir, new_dir }, paths[2] = { old, new };
	struct x_call c;
	int64_t error;

	if ((flags & ~7u) || ((flags & 2) && (flags & 5)))
		return -X_EINVAL;
	error = two_path_call(&c, VFS_RENAME, dirs, paths);
	c.msg.a[0] = flags;
	return error ? error : vfs(&c);
}

int64_t linux_rename(struct sys *s) { return rename_file(CWD, s->a[0], CWD, s->a[1], 0); }
int64_t linux_renameat(struct sys *s) { return rename_file(s->a[0], s->a[1], s->a[2], s->a[3], 0); }
int64_t linux_renameat2(struct sys *s) { return rename_file(s->a[0], s->a[1], s->a[2], s->a[3], (uint32_t)s->a[4]); }

/* ------------------------------------------------------------------- attributes */

static int64_t path_setattr(uint64_t dirfd, uint64_t path, bool nofollow, const struct fs_setattr *set)
{
	struct x_call c;
	int64_t error = path_call(&c, VFS_SETATTR, dirfd, path, false);

	if (error)
		return error;
	call_window(&c, set, sizeof(*set), X_WIN_READ);
	c.msg.a[0] = nofollow;
	return vfs(&c);
}

/* By way of vfs, which knows who the caller is now: the file only knows who opened it. */
static int64_t fd_setattr(uint64_t fd, const struct fs_setattr *set)
{
	struct x_call c;

	if (check_fd(fd))
		return -X_EBADF;
	call_init(&c, VFS_SETATTR);
	call_window(&c, "", 0, X_WIN_READ);
	call_window(&c, set, sizeof(*set), X_WIN_READ);
	c.handles[0] = (x_handle_t)fd;
	c.handle_count = 1;
	return vfs(&c);
}

/* Not by a descriptor that is only a place. */
static int64_t open_file_setattr(uint64_t fd, const struct fs_setattr *set)
{
	int64_t flags = check_fd(fd) ? -X_EBADF : x_object_ctl((x_handle_t)fd, X_OBJ_GET_FLAGS, 0);

	return flags < 0 || flags & F_O_PATH ? -X_EBADF : fd_setattr(fd, set);
}

static struct fs_setattr mode_change(uint64_t mode)
{
	return (struct fs_setattr){ .mask = ATTR_MODE, .mode = (uint32_t)mode & 07777 };
}

/* -1 leaves an owner as it is. */
static struct fs_setattr owner_change(uint64_t uid, uint64_t gid)
{
	struct fs_setattr set = { .uid = (uint32_t)uid, .gid = (uint32_t)gid };

	if ((uint32_t)uid != UINT32_MAX)
		set.mask |= ATTR_UID;
	if ((uint32_t)gid != UINT32_MAX)
		set.mask |= ATTR_GID;
	return set;
}

int64_t linux_chmod(struct sys *s)
{
	struct fs_setattr set = mode_change(s->a[1]);

	return path_setattr(CWD, s->a[0], false, &set);
}

int64_t linux_fchmodat(struct sys *s)
{
	struct fs_setattr set = mode_change(s->a[2]);

	return path_setattr(s->a[0], s->a[1], false, &set);
}

int64_t linux_fchmodat2(struct sys *s)
{
	struct fs_setattr set = mode_change(s->a[2]);
	uint32_t flags = (uint32_t)s->a[3];
	struct file_attr attr;
	char first;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -X_EINVAL;
	if ((flags & AT_EMPTY_PATH) && !copy_in(&first, s->a[1], 1) && first == 0 && !is_cwd(s->a[0]))
		return fd_setattr(s->a[0], &set);
	if ((flags & AT_SYMLINK_NOFOLLOW) && path_attributes(s->a[0], s->a[1], flags, &attr) >= 0 &&
	    (attr.mode & F_S_IFMT) == F_S_IFLNK)
		return -X_EOPNOTSUPP;
	return path_setattr(s->a[0], s->a[1], flags & AT_SYMLINK_NOFOLLOW, &set);
}

int64_t linux_fchmod(struct sys *s)
{
	struct fs_setattr set = mode_change(s->a[1]);

	return open_file_setattr(s->a[0], &set);
}

int64_t linux_chown(struct sys *s)
{
	struct fs_setattr set = owner_change(s->a[1], s->a[2]);

	return path_setattr(CWD, s->a[0], false, &set);
}

int64_t linux_lchown(struct sys *s)
{
	struct fs_setattr set = owner_change(s->a[1], s->a[2]);

	return path_setattr(CWD, s->a[0], true, &set);
}

int64_t linux_fchown(struct sys *s)
{
	struct fs_setattr set = owner_change(s->a[1], s->a[2]);

	return open_file_setattr(s->a[0], &set);
}

int64_t linux_fchownat(struct sys *s)
{
	struct fs_setattr set = owner_change(s->a[2], s->a[3]);
	uint32_t flags = (uint32_t)s->a[4];
	char first;

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -X_EINVAL;
	if ((flags & AT_EMPTY_PATH) && !copy_in(&first, s->a[1], 1) && first == 0)
		return fd_setattr(s->a[0], &set);
	return path_setattr(s->a[0], s->a[1], flags & AT_SYMLINK_NOFOLLOW, &set);
}

int64_t linux_truncate(struct sys *s)
{
	struct fs_setattr set = { .mask = ATTR_SIZE, .size = s->a[1] };

	if ((int64_t)s->a[1] < 0)
		return -X_EINVAL;
	if (s->a[1] > ids()->rlimit_fsize) {
		post_signal_self(s->thread, SIGXFSZ);
		return -X_EFBIG;
	}
	return path_setattr(CWD, s->a[0], false, &set);
}

static bool utime_field(const struct linux_timespec *t, uint32_t set, uint32_t now, uint32_t *mask,
			uint64_t *ns)
{
	if (t->nsec == UTIME_OMIT)
		return true;
	*mask |= set;
	if (t->nsec == UTIME_NOW) {
		*mask |= now;
		return true;
	}
	return convert_timespec(t, ns);
}

/* times NULL: both now. path NULL: the descriptor itself. */
static int64_t set_times(uint64_t dirfd, uint64_t path, const struct linux_timespec *times, uint32_t flags)
{
	struct fs_setattr set = { 0 };

	if (!times) {
		set.mask = ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW;
	} else if (!utime_field(&times[0], ATTR_ATIME, ATTR_ATIME_NOW, &set.mask, &set.atime_ns) ||
		   !utime_field(&times[1], ATTR_MTIME, ATTR_MTIME_NOW, &set.mask, &set.mtime_ns)) {
		return -X_EINVAL;
	}
	if (!path && is_cwd(dirfd))
		return -X_EFAULT;
	if (!path)
		return open_file_setattr(dirfd, &set);
	return path_setattr(dirfd, path, flags & AT_SYMLINK_NOFOLLOW, &set);
}

int64_t linux_utimensat(struct sys *s)
{
	struct linux_timespec times[2];
	uint32_t flags = (uint32_t)s->a[3];

	if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -X_EINVAL;
	if (s->a[2] && copy_in(times, s->a[2], sizeof(times)))
		return -X_EFAULT;
	return set_times(s->a[0], s->a[1], s->a[2] ? times : NULL, flags);
}

static int64_t set_timevals(uint64_t dirfd, uint64_t path, uint64_t addr)
{
	struct linux_timeval tv[2];
	struct linux_timespec times[2];

	if (!addr)
		return set_times(dirfd, path, NULL, 0);
	if (copy_in(tv, addr, sizeof(tv)))
		return -X_EFAULT;
	for (int i = 0; i < 2; i++) {
		if (tv[i].usec < 0 || tv[i].usec >= 1000000)
			return -X_EINVAL;
		times[i] = (struct linux_timespec){ tv[i].sec, tv[i].usec * 1000 };
	}
	return set_times(dirfd, path, times, 0);
}

int64_t linux_utimes(struct sys *s) { return s->a[0] ? set_timevals(CWD, s->a[0], s->a[1]) : -X_EFAULT; }
int64_t linux_futimesat(struct sys *s) { return set_timevals(s->a[0], s->a[1], s->a[2]); }

int64_t linux_utime(struct sys *s)
{
	int64_t seconds[2];
	struct linux_timespec times[2];

	if (!s->a[0])
		return -X_EFAULT;
	if (s->a[1] && copy_in(seconds, s->a[1], sizeof(seconds)))
		return -X_EFAULT;
	if (!s->a[1])
		return set_times(CWD, s->a[0], NULL, 0);
	times[0] = (struct linux_timespec){ seconds[0], 0 };
	times[1] = (struct linux_timespec){ seconds[1], 0 };
	return set_times(CWD, s->a[0], times, 0);
}

/* ------------------------------------------------------------------------ mounts */

/* A string that may be absent: then its window is empty. */
static int64_t add_optional(struct x_call *c, uint64_t string)
{
	if (string)
		return add_path(c, string, true);
	call_window(c, "", 0, X_WIN_READ);
	return 0;
}

int64_t linux_mount(struct sys *s)
{
	struct x_call c;
	int64_t error;

	call_init(&c, VFS_MOUNT);
	error = add_optional(&c, s->a[0]);
	if (!error)
		error = add_path(&c, s->a[1], false);
	if (!error)
		error = add_optional(&c, s->a[2]);
	if (!error)
		error = add_optional(&c, s->a[4]);
	c.msg.a[0] = s->a[3];
	return error ? error : vfs(&c);
}

int64_t linux_umount2(struct sys *s) { return simple(VFS_UMOUNT, CWD, s->a[0], (uint32_t)s->a[1], 0); }

int64_t linux_sync(struct sys *s)
{
	struct x_call c;

	(void)s;
	call_init(&c, VFS_SYNC);
	vfs(&c);
	return 0;
}
