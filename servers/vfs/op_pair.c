/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFS_RENAME and VFS_LINK: two paths.
 *
 * stage 0: the old path: its directory and name (rename), or the file (link)
 * stage 1: the new path: its directory and name
 * then calls in the one filesystem that must hold both:
 *   CHECK_OLD  rename, a name with a slash behind it: must be a directory
 *   CHECK_NEW  rename, RENAME_NOREPLACE: must not exist
 *   DO         FS_RENAME or FS_LINK
 *
 * The old name is kept in r->name, the new one in r->data.
 */

#include "servers/vfs/vfs.h"

enum { CHECK_OLD, CHECK_NEW, DO };
enum { RENAME_NOREPLACE = 1, RENAME_EXCHANGE = 2 };
enum { HAS_OLD_DIR = 1, HAS_NEW_DIR = 2 };

static bool is_rename(const struct request *r)
{
	return r->in.msg.op == VFS_RENAME;
}

/* -X_EBADF's stand-in for a handle that was announced but didn't come. */
static bool handles_missing(const struct request *r)
{
	uint64_t which = r->in.msg.a[1];
	uint32_t wanted = !!(which & HAS_OLD_DIR) + !!(which & HAS_NEW_DIR);

	return r->in.handle_count < wanted;
}

static int old_handle(const struct request *r)
{
	return r->in.msg.a[1] & HAS_OLD_DIR ? 0 : -1;
}

static int new_handle(const struct request *r)
{
	return r->in.msg.a[1] & HAS_NEW_DIR ? (int)r->in.handle_count - 1 : -1;
}

void pair_start(struct request *r)
{
	int64_t old_bytes = walk_take_path(r, 0, r->path);
	int64_t new_bytes = walk_take_path(r, 1, r->data);

	if (handles_missing(r)) {
		request_finish(r, -X_EBADF);
	} else if (old_bytes <= 0 || new_bytes <= 0) {
		request_finish(r, old_bytes < 0 ? old_bytes : new_bytes < 0 ? new_bytes : -X_ENOENT);
	} else if (is_rename(r) && r->in.msg.a[0] > RENAME_EXCHANGE) {
		request_finish(r, -X_EINVAL);
	} else if (path_last(r->data, new_bytes) != LAST_NAME) {
		request_finish(r, is_rename(r) ? -X_EBUSY : -X_EEXIST);
	} else if (is_rename(r) && path_last(r->path, old_bytes) != LAST_NAME) {
		request_finish(r, -X_EBUSY);
	} else {
		r->data_bytes = (uint32_t)new_bytes;
		r->walk.op = is_rename(r) ? FS_PARENT : FS_LOOKUP;
		if (!is_rename(r))
			r->walk.flags = FS_HOLD | (r->in.msg.a[0] & 1 ? 0 : FS_NOFOLLOW);
		walk_begin(r, old_bytes, old_handle(r));
	}
}

/* Takes the name that FS_PARENT found. 0 or an error. */
static int64_t take_name(struct request *r, char *out, uint32_t *out_bytes)
{
	uint64_t start = r->call.r[1], bytes = r->call.r[2];

	if (!bytes || start > r->walk.path_bytes || bytes > r->walk.path_bytes - start)
		return -X_EIO;
	if (bytes > FS_NAME_MAX)
		return -X_ENAMETOOLONG;
	if (start + bytes < r->walk.path_bytes)
		r->must_be_dir = true;
	memmove(out, r->path + start, bytes);
	out[bytes] = 0;
	*out_bytes = (uint32_t)bytes;
	return 0;
}

static void begin_new(struct request *r)
{
	uint32_t bytes = r->data_bytes;

	memcpy(r->path, r->data, bytes);
	memset(&r->walk, 0, sizeof(r->walk));
	r->stage = 1;
	r->walk.op = FS_PARENT;
	walk_begin(r, bytes, new_handle(r));
}

static void old_walked(struct request *r)
{
	int64_t status = 0;

	r->first = walk_place(r);
	if (is_rename(r))
		status = take_name(r, r->name, &r->name_bytes);
	else if ((r->call.r[1] & F_S_IFMT) == F_S_IFDIR)
		status = -X_EPERM;
	if (status)
		request_finish(r, status);
	else
		begin_new(r);
}

static struct fs_call *check(struct request *r, uint64_t dir, const char *name, uint32_t bytes)
{
	struct fs_call *call = request_prepare(r, &mounts[r->first.mount], FS_LOOKUP, dir);

	call->a[1] = FS_NOFOLLOW;
	call->path = name;
	call->path_bytes = bytes;
	return call;
}

/* The call of a phase, or the next phase that has one. */
static void advance(struct request *r, uint8_t phase)
{
	uint64_t new_dir = r->walk.at.inode;
	struct fs_call *call;

	if (phase == CHECK_OLD && (!is_rename(r) || !r->must_be_dir))
		phase = CHECK_NEW;
	if (phase == CHECK_NEW && (!is_rename(r) || !(r->in.msg.a[0] & RENAME_NOREPLACE)))
		phase = DO;
	if (phase == CHECK_OLD) {
		check(r, r->first.inode, r->name, r->name_bytes);
	} else if (phase == CHECK_NEW) {
		check(r, new_dir, r->data, r->data_bytes);
	} else if (is_rename(r)) {
		call = request_prepare(r, &mounts[r->first.mount], FS_RENAME, r->first.inode);
		call->path = r->name;
		call->path_bytes = r->name_bytes;
		call->a[3] = new_dir;
		call->a[4] = r->in.msg.a[0];
		call->data = r->data;
		call->data_bytes = r->data_bytes;
	} else {
		call = request_prepare(r, &mounts[r->first.mount], FS_LINK, new_dir);
		call->path = r->data;
		call->path_bytes = r->data_bytes;
		call->a[3] = r->first.inode;
	}
	request_call(r, phase);
}

static void new_walked(struct request *r)
{
	int64_t status = take_name(r, r->data, &r->data_bytes);

	r->walk.at = walk_place(r);
	if (!status && mounts[r->walk.at.mount].of != mounts[r->first.mount].of)
		status = -X_EXDEV;
	if (!status && (bind_is_rdonly(r->walk.at) || (is_rename(r) && bind_is_rdonly(r->first))))
		status = -X_EROFS;
	if (!status && !is_rename(r) && r->must_be_dir)
		status = -X_ENOENT;     /* link("a", "new/") */
	if (status)
		request_finish(r, status);
	else
		advance(r, CHECK_OLD);
}

void pair_walked(struct request *r)
{
	if (!walk_hold(r))
		return;
	r->stage ? new_walked(r) : old_walked(r);
}

void pair_called(struct request *r)
{
	int64_t status = r->call.status;

	if (r->phase == CHECK_OLD && status >= 0) {
		if ((r->call.r[1] & F_S_IFMT) != F_S_IFDIR)
			request_finish(r, -X_ENOTDIR);
		else
			advance(r, CHECK_NEW);
	} else if (r->phase == CHECK_NEW && (status >= 0 || status == -X_ECROSS)) {
		request_finish(r, -X_EEXIST);
	} else if (r->phase == CHECK_NEW && status == -X_ENOENT) {
		advance(r, DO);
	} else if (status == -X_ECROSS) {
		request_finish(r, -X_EBUSY);
	} else {
		request_finish(r, status < 0 ? status : 0);
	}
}
