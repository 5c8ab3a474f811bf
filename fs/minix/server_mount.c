/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mount as a whole: mounting, unmounting, what vfs holds.
 *
 * Holds of vfs are counted apart from those of open files, since a new vfs
 * begins without any.
 */

#include "fs/minix/server.h"

bool mounted;
uint64_t mount_id;

static uint32_t vfs_holds[INODE_SLOTS];         /* by in-core slot */
static bool stopping;
static struct cache_sync stop_sync;

/* ---- holds ------------------------------------------------------------------ */

int mount_hold(uint32_t ino)
{
	int status = minix_hold(&fs, ino);

	if (!status)
		vfs_holds[minix_slot(&fs, ino)]++;
	return status;
}

static int64_t release(uint32_t ino, uint64_t count)
{
	uint32_t slot = minix_slot(&fs, ino);

	if (slot == UINT32_MAX || vfs_holds[slot] < count)
		return -X_EINVAL;
	vfs_holds[slot] -= count;
	minix_release(&fs, ino, count);
	return 0;
}

/* A new vfs: whatever the old one held or marked is nothing to it. */
static void drop_holds_and_marks(void)
{
	uint32_t slot;

	for (slot = 0; slot < INODE_SLOTS; slot++) {
		uint32_t ino = disk_setup.inodes[slot].ino;

		if (vfs_holds[slot])
			release(ino, vfs_holds[slot]);
		disk_setup.inodes[slot].mounted_on = false;
	}
}

static bool is_busy(void)
{
	uint32_t root = minix_slot(&fs, MINIX_ROOT_INO);
	uint32_t slot;

	if (file_open_count())
		return true;
	for (slot = 0; slot < INODE_SLOTS; slot++)
		if (vfs_holds[slot] > (slot == root))
			return true;
	return false;
}

/* ---- mounting ------------------------------------------------------------------ */

void mount_statfs(struct file_statfs *out)
{
	struct minix_statfs statfs;

	minix_statfs(&fs, &statfs);
	memset(out, 0, sizeof(*out));
	out->type = MINIX_V3_MAGIC;
	out->block_bytes = statfs.block_size;
	out->blocks = statfs.blocks;
	out->blocks_free = statfs.blocks_free;
	out->files = statfs.inodes;
	out->files_free = statfs.inodes_free;
	out->name_max = statfs.name_max;
	out->flags = fs.read_only;
	out->fsid = mount_id;
}

static int64_t write_statfs(struct request *r)
{
	struct file_statfs statfs;

	mount_statfs(&statfs);
	if (!(r->in.win[1].flags & X_WIN_WRITE))
		return 0;
	return window_write(r->in.id, 1, 0, &statfs, sizeof(statfs)) < 0 ? -X_EFAULT : 0;
}

static int64_t do_mount(struct request *r)
{
	int64_t status = 0;

	if (disk_state == DISK_FAILED)
		return -X_ENODEV;
	if (disk_state != DISK_READY)
		return -X_EWAIT;
	if (fs.state == MINIX_UNMOUNTED)
		minix_init(&fs, &disk_setup);
	if (fs.state != MINIX_MOUNTED)
		status = minix_mount(&fs);
	if (!status && r->in.msg.a[1] & FS_RDONLY)
		status = minix_make_read_only(&fs, &r->sync);
	if (status)
		return status;
	drop_holds_and_marks();
	status = mount_hold(MINIX_ROOT_INO);
	if (status)
		return status;
	mounted = true;
	mount_id = r->in.msg.a[0];
	r->reply.a[0] = MINIX_ROOT_INO;
	r->reply.a[1] = fs.read_only;
	return write_statfs(r);
}

static int64_t do_unmount(struct request *r)
{
	bool force = r->in.msg.a[1] & 1;
	int64_t status;

	page_tidy(true);
	if (fs.state == MINIX_MOUNTED && !force && is_busy())
		return -X_EBUSY;
	status = minix_unmount(&fs, &r->sync, true);
	if (status)
		return status;
	memset(vfs_holds, 0, sizeof(vfs_holds));
	file_forget_all();
	mounted = false;
	return 0;
}

/* ---- the rest ------------------------------------------------------------------ */

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
	case FS_STATFS:
		return write_statfs(r);
	case FS_RELEASE:
		return release(a[0], a[1]);
	case FS_SYNC:
		return minix_sync(&fs, &r->sync, 0);
	case FS_MARK_MOUNT:
		return minix_mark_mount(&fs, a[0], a[1]);
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
	if (disk_state == DISK_READY && fs.state == MINIX_MOUNTED)
		status = minix_unmount(&fs, &stop_sync, true);
	if (status == -X_EWAIT || status == -X_EAGAIN)
		return true;
	if (status)
		server_log("unmounting failed: error %d", status);
	server_exit();
}
