/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Binds (mount --bind): a directory or file that is there already, seen in another place, too. A
 * bind is an entry of mounts[] without a filesystem of its own (`of` is whose it shows): it
 * has a root, a mount point and options. Places of walks and sessions name the bind; what
 * is asked of the filesystem, and what is held in it, is asked and held by its own mount
 * (mount_fs(), place_in_fs()).
 *
 * A filesystem does not know that ".." ends at a bind's root: a walk in a bind is cut
 * there (resolve.c). By which mount a file was opened its filesystem is told, and tells
 * (FS_OPEN, FILE_IDENT, FILE_STAT), and it counts what keeps a bind busy (FS_OPENED).
 */

#include "lib/c/stdio.h"
#include "servers/vfs/vfs.h"

struct mount *mount_opened_by(const struct request *r, uint64_t dev)
{
	struct mount *fs = mount_by_id(dev), *m = mount_by_id(r->call.r[2]);

	return fs && m && mount_fs(m) == fs ? m : fs;
}

/* The target is r->first, the source r->walk.at; both are held by the request. */
void bind_make(struct request *r, const char *inside, int64_t bytes, const char *path)
{
	const struct mount *from = &mounts[r->walk.at.mount], *fs = mount_fs(from);
	struct mount *m;

	if (bytes <= 0 || bytes >= (int64_t)sizeof(m->inside)) {
		request_finish(r, bytes < 0 ? bytes : bytes ? -X_ENAMETOOLONG : -X_EIO);
		return;
	}
	m = mount_new(fs->source, fs->type);
	if (!m) {
		request_finish(r, -X_ENFILE);
		return;
	}
	m->of = mount_slot(fs);
	m->root = r->walk.at.inode;
	m->is_file = r->target_is_file;
	if (bytes > 1)
		memcpy(m->inside, inside, (size_t)bytes);
	strlcpy(m->data, fs->data, sizeof(m->data));
	strlcpy(m->path, path, sizeof(m->path));
	m->options = from->options;
	m->want_rdonly = mount_is_bind(from) && from->want_rdonly;
	hold_share(r->walk.at);
	hold_share(r->first);
	m->covered = r->first;
	m->waiter = r;
	mount_attach(m);
}

/* Where its mount point is seen by another mount, at `path`: it is one to the filesystem already. */
static struct mount *copy(const struct mount *m, struct place covered, const char *path)
{
	struct mount *bind = mount_new(m->source, m->type);
	struct place root = { mount_slot(m), m->root };

	if (!bind)
		return NULL;
	bind->of = m->of;
	bind->root = m->root;
	bind->is_file = m->is_file;
	bind->options = m->options;
	bind->want_rdonly = bind_is_rdonly(root);
	memcpy(bind->inside, m->inside, sizeof(bind->inside));
	memcpy(bind->data, m->data, sizeof(bind->data));
	strlcpy(bind->path, path, sizeof(bind->path));
	if (!hold_share(root)) /* of /dev nobody holds it */
		(void)hold_adopt(root);
	hold_share(covered);
	bind->covered = covered;
	mount_attach(bind);
	return bind;
}

/* IN: the mount in which it is to be seen; TOP is not seen in itself. */
static bool copy_tree(const struct mount *m, const struct mount *in, const char *path, const struct mount *top)
{
	struct mount *bind = copy(m, (struct place){ mount_slot(in), m->covered.inode }, path);
	size_t bytes = strlen(m->path);
	char below[sizeof(m->path)];

	for (uint32_t i = 1; bind && i < MOUNTS_MAX; i++) {
		const struct mount *child = &mounts[i];

		if (!child->attached || child == top || child->covered.mount != mount_slot(m))
			continue;
		snprintf(below, sizeof(below), "%s%s", path, strncmp(child->path, m->path, bytes) ? "" : child->path + bytes);
		if (!copy_tree(child, bind, below, top))
			return false;
	}
	return bind;
}

bool bind_below_too(const struct mount *top, const struct mount *m, const char *below)
{
	char path[sizeof(top->path)];

	snprintf(path, sizeof(path), "%s%s", top->path, below);
	return copy_tree(m, top, path, top);
}

bool bind_is_used(const struct mount *m, const struct request *except)
{
	return sessions_use_mount(mount_slot(m)) || places_use_mount(mount_slot(m)) ||
	       request_uses_mount(mount_slot(m), except);
}

const char *bind_below(const struct mount *m, const char *path, int64_t *bytes)
{
	int64_t root = (int64_t)strlen(m->inside);

	if (!root || *bytes < root || memcmp(path, m->inside, (size_t)root) || (*bytes > root && path[root] != '/'))
		return path;
	*bytes -= root;
	return path + root;
}

bool bind_refuses(const struct request *r)
{
	const struct walk *w = &r->walk;
	const struct mount *fs = mount_fs(&mounts[w->at.mount]);
	bool names_are_made_up = fs->makes_up_names && !fs->internal;

	if (!bind_is_rdonly(w->at))
		return false;
	switch (w->op) {
	case FS_MKDIR: case FS_MKNOD: case FS_SYMLINK: case FS_UNLINK: case FS_RMDIR: case FS_SETATTR:
		return true;
	case FS_OPEN: /* other filesystems are told: to write to a FIFO or device changes no file */
		return names_are_made_up && ((w->a3 & F_O_ACCMODE) != F_O_RDONLY || w->a3 & F_O_TRUNC);
	case FS_ACCESS:
		return names_are_made_up && w->a3 & 2;
	case FS_XATTR:
		return (w->a3 & FS_XATTR_OP) != FS_XATTR_GET && (w->a3 & FS_XATTR_OP) != FS_XATTR_LIST;
	default:
		return false;
	}
}
