/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mount as a whole: mounting, unmounting, what vfs holds.
 *
 * Holds of vfs are counted apart from those of open files, since a new vfs
 * begins without any.
 */

#include "lib/fs/server.h"

bool mounted;
uint64_t mount_id;

static uint32_t *vfs_holds, *held_ino;  /* by in-core slot */
static bool stopping;
static struct store_sync stop_sync;
static bool let_go;

/* ---- holds ------------------------------------------------------------------ */

int mount_hold(uint32_t ino)
{
	int status = fsys_hold(volume, ino);

	uint32_t slot;

	if (status)
		return status;
	slot = fsys_slot(volume, ino);
	vfs_holds[slot]++;
	held_ino[slot] = ino;
	return 0;
}

static int64_t release(uint32_t ino, uint64_t count)
{
	uint32_t slot = fsys_slot(volume, ino);

	if (slot == UINT32_MAX || vfs_holds[slot] < count)
		return -X_EINVAL;
	vfs_holds[slot] -= count;
	fsys_release(volume, ino, count);
	return 0;
}

/* A new vfs: whatever the old one held or marked is nothing to it. */
static void drop_holds_and_marks(void)
{
	uint32_t slot;

	for (slot = 0; slot < fsys_slot_count(volume); slot++)
		if (vfs_holds[slot])
			release(held_ino[slot], vfs_holds[slot]);
	fsys_forget_mounts(volume);
}

static bool is_busy(void)
{
	uint32_t root = fsys_slot(volume, FSYS_ROOT_INO);
	uint32_t slot;

	if (file_open_count() || content_any_shared())
		return true;
	for (slot = 0; slot < fsys_slot_count(volume); slot++)
		if (vfs_holds[slot] > (slot == root))
			return true;
	return false;
}

/* ---- mounting ------------------------------------------------------------------ */

void mount_statfs(struct file_statfs *out)
{
	struct fsys_statfs statfs;

	fsys_statfs(volume, &statfs);
	memset(out, 0, sizeof(*out));
	out->type = statfs.type;
	out->block_bytes = statfs.block_size;
	out->blocks = statfs.blocks;
	out->blocks_free = statfs.blocks_free;
	out->files = statfs.inodes;
	out->files_free = statfs.inodes_free;
	out->name_max = statfs.name_max;
	out->flags = statfs.read_only;
	out->fsid = mount_id;
}

static void fill_cache_counts(uint64_t *words)
{
	struct x_port_info port = { 0 };

	x_port_info(server_port, &port);
	words[0] = port.page_hits;
	words[1] = port.page_requests;
	words[2] = port.dirty_pages;
	words[3] = content_count();
	store_cache_counts(&words[4], &words[5]);
}

static int64_t write_statfs(struct request *r)
{
	struct file_statfs statfs;

	mount_statfs(&statfs);
	if (!(r->in.win[1].flags & X_WIN_WRITE))
		return 0;
	return window_write(r->in.id, 1, 0, &statfs, sizeof(statfs)) < 0 ? -X_EFAULT : 0;
}

/* Tells the store what it is to mount: two texts in window 0. */
static int64_t choose(struct request *r)
{
	static char text[FS_PATH_MAX];
	uint32_t bytes = r->in.win_count ? r->in.win[0].len : 0;
	const char *options;
	int64_t n;

	if (!bytes)
		return 0;
	if (bytes > sizeof(text))
		return -X_EINVAL;
	n = window_read(r->in.id, 0, 0, text, bytes);
	if (n != bytes || text[bytes - 1])
		return -X_EINVAL;
	options = text + strlen(text) + 1;
	return store_choose(text, options < text + bytes ? options : "");
}

static int64_t do_mount(struct request *r)
{
	int64_t status = mounted ? 0 : choose(r);

	if (!status)
		status = store_mount(r->in.msg.a[1] & FS_RDONLY, &r->sync);
	if (status)
		return status;
	store_set_no_atime(r->in.msg.a[1] & FS_NOATIME);
	if (!vfs_holds) {
		vfs_holds = server_memory(fsys_slot_count(volume) * sizeof(*vfs_holds));
		held_ino = server_memory(fsys_slot_count(volume) * sizeof(*held_ino));
	}
	drop_holds_and_marks();
	status = mount_hold(FSYS_ROOT_INO);
	if (status)
		return status;
	mounted = true;
	mount_id = r->in.msg.a[0];
	r->reply.a[0] = FSYS_ROOT_INO;
	r->reply.a[1] = fsys_limits(volume)->read_only;
	return write_statfs(r);
}

static int64_t do_remount(struct request *r)
{
	bool read_only = r->in.msg.a[1] & FS_RDONLY;
	int64_t status = 0;

	if (!r->started)
		status = choose(r);
	if (status)
		return status;
	if (read_only && !fsys_limits(volume)->read_only) {
		if (!r->started && (file_any_writable() || content_any_writable()))
			return -X_EBUSY;
		r->started = true;
		status = store_mount(true, &r->sync);
	} else if (!read_only && fsys_limits(volume)->read_only) {
		status = store_make_writable();
	}
	if (status)
		return status;
	store_set_no_atime(r->in.msg.a[1] & FS_NOATIME);
	r->reply.a[1] = fsys_limits(volume)->read_only;
	return 0;
}

/* All is written; then nothing is held any more, so that what has no link is freed. */
static int unmount(struct store_sync *sync, bool *let_go)
{
	int status = *let_go ? 0 : store_sync(sync, 0);

	if (status)
		return status;
	if (!*let_go) {
		*let_go = true;
		memset(sync, 0, sizeof(*sync));
		content_forget_all();
		file_forget_all();
		drop_holds_and_marks();
	}
	return store_unmount(sync);
}

static int64_t do_unmount(struct request *r)
{
	bool force = r->in.msg.a[1] & 1;
	int64_t status;

	if (!r->started && !force && is_busy())
		return -X_EBUSY;
	status = unmount(&r->sync, &r->started);
	if (status)
		return status;
	mounted = false;
	return 0;
}

/* ---- the rest ------------------------------------------------------------------ */

/* A file that has no pages any more has been written. */
static int64_t do_sync(struct request *r, uint64_t koid)
{
	const struct content *c = koid ? content_by_koid(koid) : NULL;

	return koid && !c ? 0 : store_sync(&r->sync, c ? c->ino : 0);
}

int64_t mount_request(struct request *r)
{
	const uint64_t *a = r->in.msg.a;

	if (r->in.msg.op == FS_MOUNT)
		return do_mount(r);
	if (!mounted)
		return -X_ESTALE_HANDLE;
	switch (r->in.msg.op) {
	case FS_UNMOUNT:
		return do_unmount(r);
	case FS_REMOUNT:
		return do_remount(r);
	case FS_STATFS:
		fill_cache_counts(r->reply.a);
		return write_statfs(r);
	case FS_RELEASE:
		return release(a[0], a[1]);
	case FS_SYNC:
		return do_sync(r, a[1]);
	case FS_MARK_MOUNT:
		return fsys_mark_mount(volume, a[0], a[1]);
	case FS_OPENED:
		r->reply.a[0] = file_opened_by((uint32_t)a[3], (uint32_t)a[4]);
		return 0;
	default:
		return -X_ENOSYS;
	}
}

void mount_stop(void)
{
	stopping = true;
	server_progress();
}

bool mount_stopping(void)
{
	int status = 0;

	if (!stopping)
		return false;
	if (mounted)
		status = unmount(&stop_sync, &let_go);
	if (status == -X_EWAIT || status == -X_EAGAIN)
		return true;
	if (status)
		server_log("unmounting failed: error %d", status);
	server_exit();
}
