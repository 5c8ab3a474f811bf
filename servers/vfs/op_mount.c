/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFS_MOUNT, VFS_UMOUNT and VFS_SYNC.
 *
 * What can be mounted: "proc" (once) and "devtmpfs" (also called "devfs").
 * A filesystem on a block device is a service of its own, started by rs, and
 * isn't mounted from here yet: -X_ENODEV.
 */

#include "servers/vfs/vfs.h"

enum { FLAG_RDONLY = 1, FLAG_REMOUNT = 32, FLAG_BIND = 4096, FLAG_MOVE = 8192 };
enum { UMOUNT_NOFOLLOW = 8 };
enum { PHASE_UNMOUNT, PHASE_UNMARK };

/* ---- start: the target is looked up first ---- */

void mountop_start(struct request *r)
{
	bool mount = r->in.msg.op == VFS_MOUNT;
	unsigned window = mount ? 1 : 0;
	int64_t bytes;

	if (r->who.uid) {
		request_finish(r, -X_EPERM);
		return;
	}
	if (mount && r->in.msg.a[0] & (FLAG_BIND | FLAG_MOVE)) {
		request_finish(r, -X_EINVAL);
		return;
	}
	bytes = mount ? walk_take_path(r, 2, r->data) : 0;
	if (bytes < 0) {
		request_finish(r, bytes);
		return;
	}
	r->walk.op = FS_LOOKUP;
	r->walk.flags = FS_HOLD;
	if (!mount && r->in.msg.a[0] & UMOUNT_NOFOLLOW)
		r->walk.flags |= FS_NOFOLLOW;
	walk_begin(r, walk_take_path(r, window, r->path), -1);
}

/* The mount whose root the target is. */
static struct mount *target_mount(const struct request *r)
{
	struct mount *m = &mounts[r->walk.at.mount];

	return m->root == r->call.r[0] ? m : NULL;
}

/* ---- mount ---- */

/* Read-only can't be taken back or imposed while it runs; asking for what is
 * already so is fine (mount -o remount,rw /). The other options become what
 * was asked, all of them, as mount(2) says. */
static int64_t remount(const struct request *r)
{
	struct mount *m = target_mount(r);
	bool rdonly = r->in.msg.a[0] & FLAG_RDONLY;

	if (!m)
		return -X_EINVAL;
	if (rdonly != m->rdonly)
		return rdonly ? -X_EBUSY : -X_EROFS;
	m->options = r->in.msg.a[0] & MOUNT_OPTIONS;
	return 0;
}

static struct mount *new_mount(struct request *r, int64_t *status)
{
	const char *type = r->data;
	bool dev = !strcmp(type, "devtmpfs") || !strcmp(type, "devfs");
	x_handle_t port = boot_handle("pm");
	struct mount *m;

	*status = -X_ENODEV;
	if (!dev && (strcmp(type, "proc") || port == X_NO_HANDLE))
		return NULL;
	*status = -X_EBUSY;
	if (!dev && mount_by_type("proc"))
		return NULL;
	m = mount_new(dev ? "devtmpfs" : "proc", dev ? "devtmpfs" : "proc");
	*status = m ? 0 : -X_ENFILE;
	if (m && !dev)
		m->port = port;
	if (m)
		m->internal = dev;
	return m;
}

/* The text shown in /proc/mounts: as it was asked for. */
static void set_mount_path(struct request *r, struct mount *m)
{
	int64_t bytes = walk_take_path(r, 1, r->path);

	while (bytes > 1 && r->path[bytes - 1] == '/')
		r->path[--bytes] = 0;
	strlcpy(m->path, bytes > 0 ? r->path : "?", sizeof(m->path));
}

static void mount_walked(struct request *r)
{
	struct place p = walk_place(r);
	int64_t status;
	struct mount *m;

	if (r->in.msg.a[0] & FLAG_REMOUNT) {
		request_finish(r, remount(r));
		return;
	}
	if ((r->call.r[1] & F_S_IFMT) != F_S_IFDIR) {
		request_finish(r, -X_ENOTDIR);
		return;
	}
	if (target_mount(r)) {          /* one mount on another's root, or on "/" */
		request_finish(r, -X_EBUSY);
		return;
	}
	m = new_mount(r, &status);
	if (!m) {
		request_finish(r, status);
		return;
	}
	hold_share(p);                  /* the mount's own */
	m->covered = p;
	m->waiter = r;
	m->options = r->in.msg.a[0] & MOUNT_OPTIONS;
	set_mount_path(r, m);
	mount_attach(m);
}

/* ---- umount ---- */

static bool has_children(uint32_t slot)
{
	for (uint32_t i = 1; i < MOUNTS_MAX; i++)
		if (mounts[i].state != MOUNT_FREE && mounts[i].covered.inode && mounts[i].covered.mount == slot)
			return true;
	return false;
}

/* References that are no user's: this request's, and for a remote mount its root. */
static bool busy(struct request *r, const struct mount *m)
{
	uint32_t own = m->internal ? 1 : 2;

	return hold_count(mount_slot(m)) > own || has_children(mount_slot(m)) ||
	       request_uses_mount(mount_slot(m), r) || m->state != MOUNT_READY;
}

static void unmark(struct request *r, struct mount *m)
{
	m->attached = false;
	request_prepare(r, &mounts[m->covered.mount], FS_MARK_MOUNT, m->covered.inode);
	request_call(r, PHASE_UNMARK);  /* a[1] is 0: no mount point any more */
}

static void umount_walked(struct request *r)
{
	struct mount *m = target_mount(r);

	if (!m || m == &mounts[0] || busy(r, m)) {
		request_finish(r, m ? -X_EBUSY : -X_EINVAL);
		return;
	}
	/* Nothing may be held when the filesystem is asked to let go. */
	hold_drop(r->held[--r->held_count]);
	if (m->internal) {
		unmark(r, m);
		return;
	}
	request_prepare(r, m, FS_UNMOUNT, m->root);
	request_call(r, PHASE_UNMOUNT);
}

static void umount_called(struct request *r)
{
	struct mount *m = &mounts[r->walk.at.mount];

	if (r->phase == PHASE_UNMARK) {
		mount_detach(m);
		request_finish(r, 0);
	} else if (r->call.status < 0) {
		request_finish(r, r->call.status);
	} else {
		unmark(r, m);
	}
}

/* ---- both ---- */

void mountop_walked(struct request *r)
{
	if (!walk_hold(r))
		return;
	if (r->in.msg.op == VFS_MOUNT)
		mount_walked(r);
	else
		umount_walked(r);
}

void mountop_called(struct request *r)
{
	umount_called(r);
}

/* ---- sync: one filesystem after the other; phase is the slot ---- */

static void sync_from(struct request *r, uint32_t slot)
{
	while (slot < MOUNTS_MAX && (mounts[slot].internal || !mounts[slot].attached))
		slot++;
	if (slot == MOUNTS_MAX) {
		request_finish(r, 0);
		return;
	}
	request_prepare(r, &mounts[slot], FS_SYNC, mounts[slot].root);
	request_call(r, (uint8_t)slot);
}

void sync_start(struct request *r)
{
	sync_from(r, 0);
}

/* sync(2) has no errors to give; the next filesystem still gets its turn. */
void sync_called(struct request *r)
{
	sync_from(r, r->phase + 1u);
}
