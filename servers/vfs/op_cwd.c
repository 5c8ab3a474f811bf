/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The working directory and the root of a session: chdir, fchdir, chroot,
 * getcwd.
 *
 * A directory's path is put together from its end: its path in its filesystem,
 * before that the path of the mount point in the filesystem below, and so on.
 * With another root than "/", that root's path is found first (stage 0) and
 * then cut off the directory's (stage 1).
 */

#include "lib/c/stdio.h"
#include "servers/vfs/vfs.h"

/* ---- changing ---- */

/* "." is walked in the directory itself, so that it is one and is searchable. */
void chdir_start(struct request *r)
{
	int64_t bytes = walk_take_path(r, 0, r->path);

	if (!bytes && r->in.handle_count) {
		r->path[0] = '.';
		bytes = 1;
	} else if (bytes > 0) {
		r->path[bytes++] = '/';
		r->path[bytes++] = '.';
	}
	r->walk.op = FS_LOOKUP;
	r->walk.flags = FS_HOLD;
	walk_begin(r, bytes, r->in.handle_count ? 0 : -1);
}

void chdir_walked(struct request *r)
{
	struct session *s = session_find(r->session);
	int64_t status = r->call.status;

	if (status < 0) {
		request_finish(r, status);
		return;
	}
	if (!s || (r->in.msg.op == VFS_CHROOT && r->who.uid)) {
		fs_release(r->call.mount, r->call.r[0], 1);
		request_finish(r, s ? -X_EPERM : -X_ESRCH);
		return;
	}
	status = session_set_place(r->in.msg.op == VFS_CHROOT ? &s->root : &s->cwd, walk_place(r));
	request_finish(r, status);
}

/* ---- asking: text grows down from the end of a buffer ---- */

enum { STAGE_ROOT, STAGE_CWD };
enum { NAME_STAT = 1, NAME_PATH }; /* phase; else those of getcwd */

static char *target(struct request *r)
{
	return r->stage == STAGE_ROOT ? r->path : r->data;
}

static bool prepend(struct request *r, const char *text, uint32_t bytes)
{
	if (bytes > r->walk.consumed)
		return false;
	r->walk.consumed -= bytes;
	memcpy(target(r) + r->walk.consumed, text, bytes);
	return true;
}

static void finish(struct request *r)
{
	const char *root = r->path + r->walk.path_bytes, *cwd = r->data + r->walk.consumed;
	uint32_t root_bytes = BUFFER_BYTES - r->walk.path_bytes;
	uint32_t bytes = BUFFER_BYTES - r->walk.consumed, room = request_window(r, 0);

	if (root_bytes && bytes >= root_bytes && !memcmp(root, cwd, root_bytes) &&
	    (bytes == root_bytes || cwd[root_bytes] == '/')) {
		cwd += root_bytes;
		bytes -= root_bytes;
	} else if (root_bytes && !prepend(r, "(unreachable)", 13)) {
		request_finish(r, -X_ENAMETOOLONG);
		return;
	} else if (root_bytes) { /* it is not under the root, and libraries know that by this */
		cwd = r->data + r->walk.consumed;
		bytes += 13;
	}
	memmove(r->text, cwd, bytes);
	if (!bytes)
		r->text[bytes++] = '/';
	if (bytes > room) {
		request_finish(r, -X_ERANGE);
		return;
	}
	request_finish_data(r, 0, r->text, bytes, bytes);
}

static void ask(struct request *r, int phase)
{
	struct mount *m = &mounts[r->walk.at.mount];
	struct fs_call *call = request_prepare(r, m, FS_PATH, r->walk.at.inode);

	call->data = r->text;
	call->data_bytes = BUFFER_BYTES;
	call->data_write = true;
	call->a[3] = phase == NAME_PATH;
	request_call(r, phase);
}

static void begin_stage(struct request *r, uint8_t stage)
{
	const struct session *s = session_find(r->session);

	if (!s) {
		request_finish(r, -X_ESRCH);
		return;
	}
	r->stage = stage;
	r->walk.consumed = BUFFER_BYTES;
	r->walk.at = stage == STAGE_ROOT ? s->root : s->cwd;
	ask(r, 0);
}

/* At a root: on with the directory under the mount, or done. */
static void at_mount_root(struct request *r)
{
	struct mount *m = &mounts[r->walk.at.mount];

	if (m->covered.inode) {
		r->walk.at = m->covered;
		ask(r, 0);
	} else if (r->stage == STAGE_ROOT) {
		r->walk.path_bytes = r->walk.consumed;
		begin_stage(r, STAGE_CWD);
	} else {
		finish(r);
	}
}

/* ---- the name of an open file, for /proc/N/fd ---- */

void name_of_start(struct request *r)
{
	struct x_msg stat = { .op = FILE_STAT };

	if (r->in.handle_count)
		request_handle_call(r, REQUEST_CALL, NAME_STAT, r->in.handles[0], &stat, r->text, sizeof(struct file_attr));
	else
		request_finish(r, -X_EBADF);
}

static void give_name(struct request *r, const char *text, int bytes)
{
	uint32_t room = request_window(r, 0), length = (uint32_t)bytes < room ? (uint32_t)bytes : room;

	memmove(r->data, text, length);
	request_finish_data(r, 0, r->data, length, length);
}

static void name_by_kind(struct request *r, const struct file_attr *attr)
{
	unsigned long long ino = attr->ino;
	uint32_t type = attr->mode & F_S_IFMT;
	const char *kind = type == F_S_IFIFO ? "pipe" : type == F_S_IFSOCK ? "socket" : "file";
	char text[64];
	int bytes;

	if (type == F_S_IFCHR || type == F_S_IFBLK) {
		bytes = devfs_path_of_rdev(attr->rdev, text, sizeof(text));
		if (bytes > 0) {
			give_name(r, text, bytes);
			return;
		}
	}
	give_name(r, text, snprintf(text, sizeof(text), "%s:[%llu]", kind, ino));
}

/* Of what lies in a filesystem, that one knows where. */
static void name_in_fs(struct request *r, const struct mount *m, uint64_t inode)
{
	r->stage = STAGE_CWD;
	r->walk.path_bytes = r->walk.consumed = BUFFER_BYTES;
	r->walk.at = (struct place){ mount_slot(m), inode };
	ask(r, NAME_PATH);
}

void name_of_called(struct request *r)
{
	struct file_attr attr = { .ino = r->walk.at.inode, .mode = F_S_IFREG };
	struct mount *m;

	if (r->phase != NAME_STAT && !(r->phase == NAME_PATH && r->call.status < 0)) {
		getcwd_called(r);
		return;
	}
	if (r->phase == NAME_PATH) {
		name_by_kind(r, &attr);
		return;
	}
	if (r->call.status < 0) {
		request_finish(r, r->call.status);
		return;
	}
	memcpy(&attr, r->text, sizeof(attr));
	m = mount_opened_by(r, attr.dev);
	if (m && m->attached && ((attr.mode & F_S_IFMT) == F_S_IFDIR || (attr.mode & F_S_IFMT) == F_S_IFREG))
		name_in_fs(r, m, attr.ino);
	else
		name_by_kind(r, &attr);
}

void getcwd_start(struct request *r, const struct session *s)
{
	r->walk.path_bytes = BUFFER_BYTES;
	begin_stage(r, place_equal(s->root, mount_root_place()) ? STAGE_CWD : STAGE_ROOT);
}

void getcwd_called(struct request *r)
{
	int64_t bytes = r->call.status;
	const char *below;

	if (bytes <= 0 || bytes > BUFFER_BYTES) {
		request_finish(r, bytes < 0 ? bytes : -X_EIO);
		return;
	}
	below = bind_below(&mounts[r->walk.at.mount], r->text, &bytes);
	if (below == r->text && mounts[r->walk.at.mount].inside[0]) /* not in what a bind shows: another name of the file */
		r->walk.at.mount = mounts[r->walk.at.mount].of;
	if (bytes > (below == r->text) && !prepend(r, below, (uint32_t)bytes)) {
		request_finish(r, -X_ENAMETOOLONG);
		return;
	}
	at_mount_root(r);
}
