/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VFS_RENAME and VFS_LINK: two paths.
 *
 * stage 0: the old path: its directory and name (rename), or the file (link)
 * stage 1: the new path: its directory and name
 * then calls in the one filesystem that must hold both:
 *   CHECK      link, refused for where the new name is: that it is there already is told first
 *   DO         FS_RENAME or FS_LINK
 *
 * The old name is kept in r->name, the new one in r->data, each with a slash behind it if there
 * was one. Of several errors the one is told that Linux meets first.
 */

#include "servers/vfs/vfs.h"

enum { CHECK, DO };
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
	if (handles_missing(r)) {
		request_finish(r, -X_EBADF);
	} else if (is_rename(r) && r->in.msg.a[0] > RENAME_EXCHANGE) {
		request_finish(r, -X_EINVAL);
	} else {
		r->walk.op = is_rename(r) ? FS_PARENT : FS_LOOKUP;
		if (!is_rename(r))
			r->walk.flags = FS_HOLD | (r->in.msg.a[0] & 1 ? 0 : FS_NOFOLLOW);
		walk_begin(r, walk_take_path(r, 0, r->path), old_handle(r));
	}
}

/* Takes the name that FS_PARENT found; none, of "/". 0 or an error. */
static int64_t take_name(struct request *r, char *out, uint32_t *out_bytes)
{
	uint64_t start = r->call.r[1], bytes = r->call.r[2];

	if (start > r->walk.path_bytes || bytes > r->walk.path_bytes - start)
		return -X_EIO;
	if (bytes > FS_NAME_MAX)
		return -X_ENAMETOOLONG;
	bytes += start + bytes < r->walk.path_bytes; /* a slash behind it */
	memmove(out, r->path + start, bytes);
	*out_bytes = (uint32_t)bytes;
	return 0;
}

static void begin_new(struct request *r)
{
	memset(&r->walk, 0, sizeof(r->walk));
	r->stage = 1;
	r->walk.op = FS_PARENT;
	walk_begin(r, walk_take_path(r, 1, r->path), new_handle(r));
}

static void old_walked(struct request *r)
{
	int64_t status = 0;

	r->first = walk_place(r);
	if (is_rename(r))
		status = take_name(r, r->name, &r->name_bytes);
	if (status)
		request_finish(r, status);
	else
		begin_new(r);
}

static void call_fs(struct request *r)
{
	uint64_t new_dir = r->walk.at.inode;
	struct fs_call *call;

	if (is_rename(r)) {
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
	request_call(r, DO);
}

/* Is there a slash behind the new name? */
static bool new_has_slash(const struct request *r)
{
	return r->data[r->data_bytes - 1] == '/';
}

static void check_new(struct request *r)
{
	struct fs_call *call = request_prepare(r, &mounts[r->walk.at.mount], FS_LOOKUP, r->walk.at.inode);

	call->a[1] = FS_NOFOLLOW;
	call->path = r->data;
	call->path_bytes = r->data_bytes - new_has_slash(r);
	request_call(r, CHECK);
}

static bool crosses(const struct request *r)
{
	return r->walk.at.mount != r->first.mount;
}

/* What forbids it whatever the names mean, or 0. */
static int64_t rename_refusal(const struct request *r)
{
	if (crosses(r))
		return -X_EXDEV;
	if (path_last(r->name, r->name_bytes) != LAST_NAME)
		return -X_EBUSY;
	if (path_last(r->data, r->data_bytes) != LAST_NAME)
		return r->in.msg.a[0] & RENAME_NOREPLACE ? -X_EEXIST : -X_EBUSY;
	return bind_is_rdonly(r->walk.at) || bind_is_rdonly(r->first) ? -X_EROFS : 0;
}

/* The same, unless the new name exists. */
static int64_t link_refusal(const struct request *r)
{
	return bind_is_rdonly(r->walk.at) ? -X_EROFS : crosses(r) ? -X_EXDEV : 0;
}

static void new_walked(struct request *r)
{
	int64_t status = take_name(r, r->data, &r->data_bytes);

	r->walk.at = walk_place(r);
	if (!status && is_rename(r))
		status = rename_refusal(r);
	else if (!status && path_last(r->data, r->data_bytes) != LAST_NAME)
		status = -X_EEXIST;
	if (status)
		request_finish(r, status);
	else if (!is_rename(r) && link_refusal(r))
		check_new(r);
	else
		call_fs(r);
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

	if (r->phase == CHECK && (status >= 0 || status == -X_ECROSS))
		request_finish(r, -X_EEXIST);
	else if (r->phase == CHECK && status == -X_ENOENT)
		request_finish(r, new_has_slash(r) ? status : link_refusal(r));
	else if (status == -X_ECROSS)
		request_finish(r, -X_EBUSY);
	else
		request_finish(r, status < 0 ? status : 0);
}
