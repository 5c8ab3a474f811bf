/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFS_MOUNT, VFS_UMOUNT and VFS_SYNC.
 *
 * What can be mounted: "tmpfs" and "minix" (a disk or partition), for each of
 * which rs starts a process that ends with the mount; "proc" (once), and
 * "devtmpfs" (also called "devfs"); and, with MS_BIND, a directory or file that is there (bind.c),
 * with MS_REC with all that is mounted in it. MS_MOVE takes a mount to another place.
 *
 * mount:   TARGET is walked; for a disk SOURCE too; then PHASE_INSTANCE: rs is
 *          asked for a process; then mount.c brings the filesystem up.
 * umount:  FS_UNMOUNT, then the mount point is unmarked, then the process ends.
 *          MNT_DETACH: first out of the tree, the rest when nobody uses it.
 */

#include "servers/vfs/vfs.h"

enum {
	FLAG_RDONLY = 1, FLAG_REMOUNT = 32, FLAG_BIND = 4096, FLAG_MOVE = 8192, FLAG_REC = 16384,
	FLAG_UNBINDABLE = 1 << 17, FLAG_PRIVATE = 1 << 18, FLAG_SLAVE = 1 << 19, FLAG_SHARED = 1 << 20,
	FLAG_PROPAGATION = FLAG_UNBINDABLE | FLAG_PRIVATE | FLAG_SLAVE | FLAG_SHARED,
};
enum { UMOUNT_FORCE = 1, UMOUNT_DETACH = 2, UMOUNT_EXPIRE = 4, UMOUNT_NOFOLLOW = 8, UMOUNT_ALL = 15 };
enum { STAGE_TARGET, STAGE_SOURCE };
enum { PHASE_UNMOUNT, PHASE_OPENED, PHASE_UNMARK, PHASE_REMOUNT, PHASE_TOLD, PHASE_PATH, PHASE_INSIDE, PHASE_INSTANCE, PHASE_MOVE,
       PHASE_BELOW /* + slot of the mount that is looked at */ };
enum { TYPE_MAX = 64 };      /* r->data: the type; from here on the target's path */

/* ---- start: the target is looked up first ---- */

static int64_t check_flags(const struct request *r)
{
	uint64_t flags = r->in.msg.a[0];

	if (r->in.msg.op == VFS_UMOUNT) {
		if (flags & ~(uint64_t)UMOUNT_ALL ||
		    (flags & UMOUNT_EXPIRE && flags & (UMOUNT_FORCE | UMOUNT_DETACH)))
			return -X_EINVAL;
		return 0;
	}
	return 0;
}

void mountop_start(struct request *r)
{
	bool mount = r->in.msg.op == VFS_MOUNT;
	int64_t bytes = r->who.uid ? -X_EPERM : check_flags(r);

	if (!bytes && mount)
		bytes = walk_take_path(r, 2, r->data);
	if (bytes >= TYPE_MAX)
		bytes = -X_ENODEV;
	if (bytes < 0) {
		request_finish(r, bytes);
		return;
	}
	r->walk.op = FS_LOOKUP;
	r->walk.flags = FS_HOLD;
	if (!mount && r->in.msg.a[0] & UMOUNT_NOFOLLOW)
		r->walk.flags |= FS_NOFOLLOW;
	walk_begin(r, walk_take_path(r, mount ? 1 : 0, r->path), -1);
}

/* The mount whose root the target is. */
static struct mount *target_mount(const struct request *r)
{
	struct mount *m = &mounts[r->walk.at.mount];

	return m->root == r->call.r[0] ? m : NULL;
}

/* ---- mount -o remount ---- */

/* Options become what was asked, all of them, as mount(2) says. */
static void set_options(const struct request *r, struct mount *m)
{
	m->options = r->in.msg.a[0] & (MOUNT_OPTIONS | MOUNT_SYNC | MOUNT_NOSYMFOLLOW | MOUNT_NOATIME);
	known_forget_all();
}

/* Its options are set. What was opened by it before, its filesystem keeps: may that be run? */
static void tell_opened(struct request *r, const struct mount *m)
{
	if (mount_fs(m)->internal) {
		request_finish(r, 0);
		return;
	}
	request_prepare(r, mount_fs(m), FS_OPENED, 0);
	r->call.a[3] = m->id;
	r->call.a[4] = m->options & MOUNT_NOEXEC ? 2 : 1;
	request_call(r, PHASE_TOLD);
}

/* With MS_BIND only the options that vfs looks at change. */
static void remount(struct request *r)
{
	struct mount *m = target_mount(r);
	bool rdonly = r->in.msg.a[0] & FLAG_RDONLY, only_ours;
	int64_t bytes = walk_take_path(r, 3, r->text);
	uint32_t source;

	if (!m || bytes < 0 || bytes >= (int64_t)sizeof(m->data)) {
		request_finish(r, m && bytes < 0 ? bytes : -X_EINVAL);
		return;
	}
	if (mount_is_bind(m)) {
		m->want_rdonly = rdonly;
		set_options(r, m);
		tell_opened(r, m);
		return;
	}
	/* A filesystem may have become read-only by itself: it is asked to be writable again. */
	only_ours = m->internal || (rdonly && m->rdonly && !bytes &&
				    !((m->options ^ r->in.msg.a[0]) & MOUNT_NOATIME));
	if (only_ours) {
		if (rdonly != m->rdonly) {
			request_finish(r, -X_EBUSY);
			return;
		}
		set_options(r, m);
		tell_opened(r, m);
		return;
	}
	source = (uint32_t)strlen(m->source) + 1;
	memmove(r->text + source, r->text, (size_t)bytes);
	r->text[source + (uint32_t)bytes] = 0;
	memcpy(r->text, m->source, source);
	request_prepare(r, m, FS_REMOUNT, m->root);
	r->call.path = r->text;
	r->call.path_bytes = source + (uint32_t)bytes + 1;
	r->call.a[1] = (rdonly ? FS_RDONLY : 0) | (r->in.msg.a[0] & MOUNT_NOATIME ? FS_NOATIME : 0);
	request_call(r, PHASE_REMOUNT);
}

static void remounted(struct request *r)
{
	struct mount *m = &mounts[r->walk.at.mount];
	int64_t bytes;

	if (r->call.status < 0) {
		request_finish(r, r->call.status);
		return;
	}
	m->want_rdonly = r->in.msg.a[0] & FLAG_RDONLY;
	m->rdonly = m->want_rdonly || r->call.r[1];
	set_options(r, m);
	bytes = walk_take_path(r, 3, r->text);
	if (bytes > 0)
		strlcpy(m->data, r->text, sizeof(m->data));
	tell_opened(r, m);
}

/* ---- mount ---- */

enum kind { KIND_NONE, KIND_DEV, KIND_PROC, KIND_MEMORY, KIND_DISK };

static enum kind kind_of(const char *type)
{
	if (!strcmp(type, "devtmpfs") || !strcmp(type, "devfs"))
		return KIND_DEV;
	if (!strcmp(type, "proc") && boot_handle("pm") != X_NO_HANDLE)
		return KIND_PROC;
	if (!strcmp(type, "tmpfs") || !strcmp(type, "ramfs"))
		return KIND_MEMORY;
	return !strcmp(type, "minix") ? KIND_DISK : KIND_NONE;
}

/* The service that serves such mounts. */
static const char *service_of(enum kind kind)
{
	return kind == KIND_MEMORY ? "tmpfs" : "minix";
}

/* The target's place is r->first, held by the request; text has the device's path. */
static void attach(struct request *r, struct mount *m)
{
	hold_share(r->first);           /* the mount's own */
	m->covered = r->first;
	m->waiter = r;
	m->want_rdonly = r->in.msg.a[0] & FLAG_RDONLY;
	set_options(r, m);
	strlcpy(m->path, r->data + TYPE_MAX, sizeof(m->path));
	mount_attach(m);
}

static void attach_kind(struct request *r, enum kind kind)
{
	const char *type = kind == KIND_DEV ? "devtmpfs" : "proc";
	struct mount *m = NULL;

	if (kind == KIND_DEV || !mount_by_type("proc"))
		m = mount_new(type, type);
	if (!m) {
		request_finish(r, kind == KIND_PROC && mount_by_type("proc") ? -X_EBUSY : -X_ENFILE);
		return;
	}
	m->internal = kind == KIND_DEV;
	if (!m->internal)
		m->port = boot_handle("pm");
	attach(r, m);
}

/* rs has started a process for it. */
static void instance_started(struct request *r)
{
	enum kind kind = kind_of(r->data);
	const char *service = service_of(kind);
	uint32_t instance = (uint32_t)r->call.r[0];
	int64_t bytes = walk_take_path(r, 3, r->text);
	struct mount *m;

	if (r->call.status < 0) {
		request_finish(r, r->call.status);
		return;
	}
	m = bytes < 0 || bytes >= (int64_t)sizeof(m->data) ||
	    mount_instance_port(service, instance) == X_NO_HANDLE ? NULL : mount_new("", service);
	if (!m) {
		mount_end_instance(service, instance);
		request_finish(r, bytes < 0 ? bytes : -X_EINVAL);
		return;
	}
	m->instance = instance;
	m->port = mount_instance_port(service, instance);
	strlcpy(m->data, bytes ? r->text : "", sizeof(m->data));
	bytes = walk_take_path(r, 0, r->text);
	strlcpy(m->source, kind == KIND_DISK ? r->name : bytes > 0 ? r->text : "none", sizeof(m->source));
	attach(r, m);
}

static bool is_bind(const struct request *r)
{
	return r->in.msg.a[0] & FLAG_BIND;
}

static bool is_move(const struct request *r)
{
	return !is_bind(r) && r->in.msg.a[0] & FLAG_MOVE;
}

static void look_up_source(struct request *r)
{
	int64_t bytes = walk_take_path(r, 0, r->path);

	memset(&r->walk, 0, sizeof(r->walk));
	r->stage = STAGE_SOURCE;
	r->walk.op = FS_LOOKUP;
	r->walk.flags = is_bind(r) || is_move(r) ? FS_HOLD : 0;
	walk_begin(r, bytes, -1);
}

/* Only a device that /dev has a name for can be found by a filesystem's process. */
static void source_walked(struct request *r)
{
	struct file_attr attr;
	int bytes;

	if (r->call.status < 0) {
		request_finish(r, r->call.status);
		return;
	}
	memcpy(&attr, r->text, sizeof(attr));
	if ((attr.mode & F_S_IFMT) != F_S_IFBLK) {
		request_finish(r, -X_ENOTBLK);
		return;
	}
	bytes = devfs_path_of_rdev(attr.rdev, r->name, sizeof(r->name));
	if (bytes <= 0) {
		request_finish(r, -X_ENXIO);
		return;
	}
	for (uint32_t i = 0; i < MOUNTS_MAX; i++) {
		if (mounts[i].state != MOUNT_FREE && !strcmp(mounts[i].source, r->name)) {
			request_finish(r, -X_EBUSY);
			return;
		}
	}
	mount_ask_instance(r, PHASE_INSTANCE, service_of(KIND_DISK));
}

/* Of a directory or, by one of its names, a file in its filesystem. */
static void ask_path(struct request *r, struct place p, bool is_file, uint8_t phase)
{
	struct fs_call *call = request_prepare(r, &mounts[p.mount], FS_PATH, p.inode);

	call->a[3] = is_file;
	call->data = r->text;
	call->data_bytes = BUFFER_BYTES;
	call->data_write = true;
	request_call(r, phase);
}

static void bind_source_walked(struct request *r)
{
	if (!walk_hold(r))
		return;
	r->walk.at = walk_place(r);
	if (((r->call.r[1] & F_S_IFMT) != F_S_IFDIR) != r->target_is_file)
		request_finish(r, -X_ENOTDIR);
	else
		ask_path(r, r->walk.at, r->target_is_file, PHASE_INSIDE);
}

/* ---- binds of all that is mounted in a directory ---- */

/* The bind is r->first now, what it shows r->walk.at. Each mount on that mount is asked whether it is in the directory. */
static void look_below(struct request *r, uint32_t slot)
{
	for (; slot < MOUNTS_MAX; slot++) {
		const struct mount *m = &mounts[slot];

		if (slot == r->first.mount || m->state != MOUNT_READY || !m->attached || !m->covered.inode ||
		    m->covered.mount != r->walk.at.mount)
			continue;
		ask_path(r, m->covered, m->is_file, (uint8_t)(PHASE_BELOW + slot));
		return;
	}
	request_finish(r, 0);
}

static void below_known(struct request *r)
{
	const struct mount *top = &mounts[r->first.mount], *m = &mounts[r->phase - PHASE_BELOW];
	int64_t bytes = r->call.status;
	const char *below;

	if (bytes <= 0 || bytes >= BUFFER_BYTES) {
		request_finish(r, bytes < 0 ? bytes : -X_EIO);
		return;
	}
	r->text[bytes] = 0;
	below = bind_below(top, r->text, &bytes);
	if (m->attached && m->covered.mount == r->walk.at.mount && top->attached && (below != r->text || !top->inside[0]) &&
	    !bind_below_too(top, m, below))
		request_finish(r, -X_ENFILE);
	else
		look_below(r, r->phase - PHASE_BELOW + 1u);
}

void mountop_attached(struct request *r, const struct mount *m)
{
	if (!is_bind(r) || !(r->in.msg.a[0] & FLAG_REC)) {
		request_finish(r, 0);
		return;
	}
	r->first = (struct place){ mount_slot(m), m->root };
	look_below(r, 1);
}

/* ---- mount --move: the mount whose root the source is ---- */

static bool lies_in(uint32_t slot, const struct mount *m)
{
	while (slot != mount_slot(m) && mounts[slot].covered.inode)
		slot = mounts[slot].covered.mount;
	return slot == mount_slot(m);
}

static void moved(struct request *r)
{
	struct mount *m = &mounts[r->walk.at.mount];

	if (!m->attached || !mounts[r->first.mount].attached || lies_in(r->first.mount, m)) {
		mount_unmark(r->first);
		request_finish(r, -X_EINVAL);
		return;
	}
	mount_move(m, r->first, r->data + TYPE_MAX);
	request_finish(r, 0);
}

static void move_source_walked(struct request *r)
{
	struct mount *m;

	if (!walk_hold(r))
		return;
	m = target_mount(r);
	if (!m || m == &mounts[0] || m->state != MOUNT_READY || !m->attached) {
		request_finish(r, -X_EINVAL);
	} else if (m->is_file != r->target_is_file) {
		request_finish(r, -X_ENOTDIR);
	} else if (lies_in(r->first.mount, m)) {
		request_finish(r, -X_ELOOP);
	} else if (mount_covering(r->first, NULL)) {
		moved(r);
	} else {
		request_prepare(r, &mounts[r->first.mount], FS_MARK_MOUNT, r->first.inode)->a[1] = 1;
		request_call(r, PHASE_MOVE);
	}
}

/* The target's, with the path of the mount that it is in, is the new mount's. */

static void path_known(struct request *r)
{
	enum kind kind = kind_of(r->data);
	const struct mount *in = &mounts[r->first.mount];
	int64_t bytes = r->call.status;
	size_t at = strlen(in->path);
	const char *below;

	if (bytes <= 0 || bytes >= BUFFER_BYTES) {
		request_finish(r, bytes < 0 ? bytes : -X_EIO);
		return;
	}
	r->text[bytes] = 0;
	if (at == 1)
		at = 0;                 /* "/" */
	below = bind_below(in, r->text, &bytes);
	strlcpy(r->data + TYPE_MAX, in->path, sizeof(in->path));
	strlcpy(r->data + TYPE_MAX + at, bytes == 1 && at ? "" : below, sizeof(r->data) - TYPE_MAX - at);
	if (kind == KIND_DISK || is_bind(r) || is_move(r))
		look_up_source(r);
	else if (kind == KIND_MEMORY)
		mount_ask_instance(r, PHASE_INSTANCE, service_of(kind));
	else
		attach_kind(r, kind);
}

static void mount_walked(struct request *r)
{
	enum kind kind = kind_of(r->data);

	r->first = walk_place(r);
	r->target_is_file = (r->call.r[1] & F_S_IFMT) != F_S_IFDIR;
	if (r->in.msg.a[0] & FLAG_REMOUNT)
		remount(r);
	else if (r->in.msg.a[0] & FLAG_PROPAGATION) /* there is one namespace: nothing to propagate to */
		request_finish(r, target_mount(r) ? 0 : -X_EINVAL);
	else if (kind == KIND_NONE && !is_bind(r) && !is_move(r))
		request_finish(r, r->data[0] ? -X_ENODEV : -X_EINVAL);
	else if (r->target_is_file && !is_bind(r) && !is_move(r))
		request_finish(r, -X_ENOTDIR);
	else if (place_equal(r->first, mount_root_place()))
		request_finish(r, -X_EBUSY);
	else
		ask_path(r, r->first, r->target_is_file, PHASE_PATH);
}

/* ---- umount ---- */

static bool has_children(uint32_t slot)
{
	for (uint32_t i = 1; i < MOUNTS_MAX; i++)
		if (mounts[i].state != MOUNT_FREE && mounts[i].covered.inode && mounts[i].covered.mount == slot)
			return true;
	return false;
}

bool mount_is_used(const struct mount *m, uint32_t own_holds, const struct request *except)
{
	if (mount_is_bind(m))
		return bind_is_used(m, except) || has_children(mount_slot(m)) || m->state != MOUNT_READY;
	return hold_count(mount_slot(m)) > own_holds || has_children(mount_slot(m)) ||
	       request_uses_mount(mount_slot(m), except) || m->state != MOUNT_READY;
}

static void unmark(struct request *r, struct mount *m)
{
	m->attached = false;
	if (mount_covering(m->covered, m)) {
		mount_detach(m);
		request_finish(r, 0);
		return;
	}
	request_prepare(r, &mounts[m->covered.mount], FS_MARK_MOUNT, m->covered.inode);
	request_call(r, PHASE_UNMARK);  /* a[1] is 0: no mount point any more */
}

/* And all that is mounted in it: those first. */
static void detach_tree(struct mount *m)
{
	for (;;) {
		struct mount *last = m;

		for (uint32_t i = 1; i < MOUNTS_MAX; i++)
			if (mounts[i].attached && mounts[i].covered.inode &&
			    mounts[i].covered.mount == mount_slot(last)) {
				last = &mounts[i];
				i = 0;
			}
		mount_linger(last);
		if (last == m)
			return;
	}
}

static void umount_walked(struct request *r)
{
	struct mount *m = target_mount(r);
	uint64_t flags = r->in.msg.a[0];
	/* References that are no user's: this request's, and for a remote mount its root. */
	bool used = m && mount_is_used(m, m->internal ? 1 : 2, r);

	if (!m || m == &mounts[0]) {
		request_finish(r, m ? -X_EBUSY : -X_EINVAL);
		return;
	}
	if (flags & UMOUNT_DETACH && m->state == MOUNT_READY) {
		detach_tree(m);
		request_finish(r, 0);
		return;
	}
	if (used || (flags & UMOUNT_EXPIRE && !m->expiring)) {
		m->expiring = !used;
		request_finish(r, used ? -X_EBUSY : -X_EAGAIN);
		return;
	}
	/* Nothing may be held when the filesystem is asked to let go. */
	hold_drop(r->held[--r->held_count]);
	if (mount_fs(m)->internal) {
		unmark(r, m);
		return;
	}
	if (mount_is_bind(m)) {
		request_prepare(r, m, FS_OPENED, 0)->a[3] = m->id;
		request_call(r, PHASE_OPENED);
		return;
	}
	hold_trim((struct place){ mount_slot(m), m->root });
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
	} else if (r->phase == PHASE_OPENED && (r->call.r[0] || mount_is_used(m, 0, r))) {
		request_finish(r, -X_EBUSY);
	} else {
		unmark(r, m);
	}
}

/* ---- both ---- */

void mountop_walked(struct request *r)
{
	if (r->stage == STAGE_SOURCE) {
		(is_bind(r) ? bind_source_walked : is_move(r) ? move_source_walked : source_walked)(r);
		return;
	}
	if (!walk_hold(r))
		return;
	if (r->in.msg.op == VFS_MOUNT)
		mount_walked(r);
	else
		umount_walked(r);
}

void mountop_called(struct request *r)
{
	if (r->in.msg.op == VFS_UMOUNT)
		umount_called(r);
	else if (r->phase == PHASE_REMOUNT)
		remounted(r);
	else if (r->phase == PHASE_TOLD)
		request_finish(r, r->call.status < 0 ? r->call.status : 0);
	else if (r->phase == PHASE_PATH)
		path_known(r);
	else if (r->phase == PHASE_INSIDE)
		bind_make(r, r->text, r->call.status, r->data + TYPE_MAX);
	else if (r->phase >= PHASE_BELOW)
		below_known(r);
	else if (r->phase == PHASE_MOVE && r->call.status < 0)
		request_finish(r, r->call.status);
	else if (r->phase == PHASE_MOVE)
		moved(r);
	else
		instance_started(r);
}

/* ---- sync: one filesystem after the other; phase is the slot ---- */

/* Only that of this memory object; 0: all. */
static uint64_t file_asked_for(const struct request *r)
{
	return r->in.msg.a[0];
}

static void sync_from(struct request *r, uint32_t slot)
{
	while (slot < MOUNTS_MAX && (mounts[slot].internal || mount_is_bind(&mounts[slot]) || !mounts[slot].attached))
		slot++;
	if (slot == MOUNTS_MAX) {
		request_finish(r, 0);
		return;
	}
	request_prepare(r, &mounts[slot], FS_SYNC, mounts[slot].root);
	r->call.a[1] = file_asked_for(r);
	request_call(r, (uint8_t)slot);
}

void sync_start(struct request *r)
{
	sync_from(r, 0);
}

/* sync(2) has no errors to give; the next filesystem still gets its turn. */
void sync_called(struct request *r)
{
	if (r->call.status < 0 && file_asked_for(r))
		request_finish(r, r->call.status);
	else
		sync_from(r, r->phase + 1u);
}
