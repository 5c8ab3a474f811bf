/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path walk over all mounts.
 *
 * A walk is a place to start from, what is left of the path, and a goal: the
 * operation of proto/fs.h that is to happen at the path's end. The filesystem
 * at hand is given both at once, so that a path inside one filesystem costs
 * one call. It comes back early when
 *
 *   -X_ESYMLINK  it met a symbolic link: its text goes in front of the rest
 *   -X_ECROSS    the path goes down into a mount, or by ".." out of one
 *
 * and the walk goes on from there, here or in another filesystem.
 *
 * ".." never leaves the session's root. A filesystem only knows its own root,
 * so after a chroot to another directory a path is handed over in pieces, cut
 * before and behind each "..". So it is with a root of openat2(2).
 */

#include "servers/vfs/vfs.h"

/* ---- the path text: r->path[0 .. walk.path_bytes) ---- */

static void drop_front(struct request *r, uint32_t bytes)
{
	r->walk.path_bytes -= bytes;
	memmove(r->path, r->path + bytes, r->walk.path_bytes);
}

/* Puts text in the place of the first `bytes`. Two slashes do no harm. */
static int64_t replace_front(struct request *r, uint32_t bytes, const char *text, uint32_t text_bytes)
{
	uint32_t rest = r->walk.path_bytes - bytes;
	bool slash = bytes && r->path[bytes - 1] == '/';

	if (text_bytes + slash + rest >= BUFFER_BYTES)
		return -X_ENAMETOOLONG;
	memmove(r->path + text_bytes + slash, r->path + bytes, rest);
	memcpy(r->path, text, text_bytes);
	if (slash)
		r->path[text_bytes] = '/';
	r->walk.path_bytes = text_bytes + slash + rest;
	return 0;
}

static uint32_t slashes_at(const struct request *r, uint32_t at)
{
	uint32_t end = at;

	while (end < r->walk.path_bytes && r->path[end] == '/')
		end++;
	return end - at;
}

/* Where the first ".." begins, or path_bytes. */
static uint32_t find_dot_dot(const struct request *r)
{
	uint32_t at = 0, end;

	while (at < r->walk.path_bytes) {
		at += slashes_at(r, at);
		for (end = at; end < r->walk.path_bytes && r->path[end] != '/'; end++)
			;
		if (end - at == 2 && r->path[at] == '.' && r->path[at + 1] == '.')
			return at;
		at = end;
	}
	return r->walk.path_bytes;
}

/* ---- one call ---- */

/* At the root of what a bind shows, which is a directory like others to its filesystem. */
static bool at_bind_root(const struct request *r)
{
	const struct mount *m = &mounts[r->walk.at.mount];

	return m->inside[0] && r->walk.at.inode == m->root;
}

/* How much of the path the filesystem may have at once. */
static uint32_t next_piece(struct request *r)
{
	for (;;) {
		struct place covered;
		uint32_t at;

		if (place_equal(r->root, mount_root_place()) && !mounts[r->walk.at.mount].inside[0])
			return r->walk.path_bytes;
		at = find_dot_dot(r);
		if (at || r->walk.path_bytes < 2)
			return at;
		if (!place_equal(r->walk.at, r->root) && !at_bind_root(r))
			return 2;
		covered = mounts[r->walk.at.mount].covered;
		if (!place_equal(r->walk.at, r->root) && covered.inode) {
			r->walk.at = covered;
			continue;
		}
		r->path[1] = '/';       /* at the root, ".." is "." */
		if (r->walk.path_bytes == 2)
			r->walk.path_bytes = 1;
	}
}

/* Under RESOLVE_BENEATH ".." is an error where else it stays at the root. */
static bool may_not_leave(const struct request *r)
{
	bool at_root = place_equal(r->walk.at, r->root);

	return (at_root ? r->resolve & RESOLVE_BENEATH : r->resolve & RESOLVE_NO_XDEV && at_bind_root(r)) &&
	       r->walk.path_bytes >= 2 && find_dot_dot(r) == 0;
}

static void add_what_the_mount_says(struct fs_call *call, const struct walk *w)
{
	const struct mount *m = &mounts[w->at.mount];

	if (w->op == FS_OPEN) {
		call->a[4] = m->id;
		if (m->options & MOUNT_SYNC)
			call->a[3] |= F_O_DSYNC;
		if (m->options & MOUNT_NOEXEC && !m->makes_up_names)
			call->a[3] |= F_O_NOEXEC;
		if (bind_is_rdonly(w->at))
			call->a[3] |= F_O_NOWRITE;
	} else if (w->op == FS_ACCESS && bind_is_rdonly(w->at)) {
		call->a[3] |= FS_NOWRITE;
	}
}

static bool submit_piece(struct request *r)
{
	struct walk *w = &r->walk;
	struct fs_call *call;
	bool whole;

	if (mounts[w->at.mount].makes_up_names)
		r->known = 0;
	drop_front(r, slashes_at(r, 0));
	if (may_not_leave(r)) {
		request_enter(r, REQUEST_WALK);
		r->call.status = -X_EXDEV;
		return true;
	}
	w->piece_bytes = next_piece(r);
	whole = w->piece_bytes == w->path_bytes;
	if (whole && bind_refuses(r)) {
		request_enter(r, REQUEST_WALK);
		r->call.status = -X_EROFS;
		return true;
	}
	call = request_prepare(r, &mounts[w->at.mount], whole ? w->op : (uint32_t)FS_LOOKUP, w->at.inode);
	call->path = r->path;
	call->path_bytes = w->piece_bytes;
	call->data = r->text;
	call->data_bytes = BUFFER_BYTES;
	call->data_write = true;
	if (whole) {
		call->a[1] = w->flags | (uint64_t)w->mode << 32;
		call->a[3] = w->a3;
		call->a[4] = w->a4;
		add_what_the_mount_says(call, w);
	}
	if (whole && w->data) {
		call->data = w->data;
		call->data_bytes = w->data_bytes;
		call->data_write = false;
	}
	return request_submit(r, REQUEST_WALK);
}

/* ---- what came back ---- */

enum next { NEXT_PIECE, NEXT_READLINK, NEXT_ASKED, NEXT_OVER };

static enum next over(struct request *r, int64_t status)
{
	r->call.status = status;
	return NEXT_OVER;
}

/* Those links of /proc that lead out of it (exe, cwd, root) are no symbolic ones to openat2(2). */
static bool is_magic_text(const struct request *r)
{
	return r->resolve & RESOLVE_NO_MAGICLINKS && r->text[0] == '/' && !strcmp(mounts[r->walk.at.mount].type, "proc");
}

/* A link's text is known: r->text[0 .. bytes). */
static enum next follow_link(struct request *r, uint64_t bytes)
{
	int64_t status;

	if (++r->walk.links > LINKS_MAX || r->resolve & RESOLVE_NO_SYMLINKS || is_magic_text(r))
		return over(r, -X_ELOOP);
	if (!bytes)
		return over(r, -X_ENOENT);
	if (bytes >= BUFFER_BYTES)
		return over(r, -X_ENAMETOOLONG);
	status = replace_front(r, r->walk.consumed, r->text, (uint32_t)bytes);
	if (status)
		return over(r, status);
	if (r->path[0] == '/' && (r->resolve & RESOLVE_BENEATH ||
				  (r->resolve & RESOLVE_NO_XDEV && r->walk.at.mount != r->root.mount)))
		return over(r, -X_EXDEV);
	if (r->path[0] == '/')
		r->walk.at = r->root;
	return NEXT_PIECE;
}

/* The text didn't come along: ask, by the link's name in its directory. */
static bool submit_readlink(struct request *r)
{
	uint32_t end = r->walk.consumed, start;
	struct fs_call *call;

	while (end && r->path[end - 1] == '/')
		end--;
	for (start = end; start && r->path[start - 1] != '/'; start--)
		;
	call = request_prepare(r, &mounts[r->walk.at.mount], FS_READLINK, r->walk.at.inode);
	call->path = r->path + start;
	call->path_bytes = end - start;
	call->a[1] = FS_NOFOLLOW;
	call->data = r->text;
	call->data_bytes = BUFFER_BYTES;
	call->data_write = true;
	return request_submit(r, REQUEST_LINK);
}

/* A link that leads to an open file: where that is says its server. */
static enum next met_magic(struct request *r)
{
	struct x_msg stat = { .op = FILE_STAT };
	x_handle_t handle = r->call.handle;

	r->magic = handle;
	if (r->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		return over(r, -X_EXDEV);
	if (++r->walk.links > LINKS_MAX || r->resolve & (RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS))
		return over(r, -X_ELOOP);
	request_handle_call(r, REQUEST_MAGIC, 0, handle, &stat, r->text, sizeof(struct file_attr));
	return NEXT_ASKED;
}

static enum next met_link(struct request *r)
{
	struct fs_call *call = &r->call;
	bool have_text = call->data_write;

	if (!call->r[1] || call->r[1] > r->walk.piece_bytes)
		return over(r, -X_EIO);
	if (mounts[r->walk.at.mount].options & MOUNT_NOSYMFOLLOW)
		return over(r, -X_ELOOP);
	r->walk.consumed = (uint32_t)call->r[1];
	r->walk.at.inode = call->r[0];
	if (call->handle != X_NO_HANDLE)
		return met_magic(r);
	if (r->walk.op == FS_OPEN && r->walk.consumed == r->walk.path_bytes &&
	    (r->walk.a3 & (F_O_CREAT | F_O_EXCL)) == (F_O_CREAT | F_O_EXCL))
		return over(r, -X_EEXIST);
	return have_text ? follow_link(r, call->r[2]) : NEXT_READLINK;
}

/* ".." out of a filesystem's root, which is walk.at's mount. */
static enum next cross_up(struct request *r, uint32_t consumed)
{
	struct mount *m = &mounts[r->walk.at.mount];
	int64_t status = 0;

	r->walk.at.inode = m->root;
	if (place_equal(r->walk.at, r->root) || !m->covered.inode) {
		drop_front(r, consumed);
	} else {
		status = replace_front(r, consumed, "..", 2);
		r->walk.at = m->covered;
	}
	return status ? over(r, status) : NEXT_PIECE;
}

/* The goal would make or remove the name of a mount point. */
static int64_t refuse_mount_point(uint32_t op)
{
	switch (op) {
	case FS_MKDIR: case FS_MKNOD: case FS_SYMLINK: return -X_EEXIST;
	case FS_RMDIR: case FS_PARENT: return -X_EBUSY;
	case FS_UNLINK: return -X_EISDIR;
	default: return 0;
	}
}

/* The walk has come to a file that is bound there. It exists. */
static int64_t meet_bound_file(struct request *r, bool slash)
{
	if (slash || r->walk.path_bytes)
		return -X_ENOTDIR;
	if (r->walk.op == FS_OPEN && (r->walk.a3 & (F_O_CREAT | F_O_EXCL)) == (F_O_CREAT | F_O_EXCL))
		return -X_EEXIST;
	if (r->walk.op == FS_OPEN)
		r->walk.a3 &= ~(uint64_t)F_O_CREAT;
	return 0;
}

static enum next cross_down(struct request *r, uint32_t consumed)
{
	struct place p = { r->walk.at.mount, r->call.r[0] };
	struct mount *m = mount_on(p), *any = m ? m : mount_covering(p, NULL);
	bool slash = r->path[consumed - 1] == '/';
	int64_t status;

	drop_front(r, consumed);
	if (!any)
		return over(r, -X_EIO);
	status = r->walk.path_bytes ? 0 : refuse_mount_point(r->walk.op);
	if (!status && any->is_file)
		status = meet_bound_file(r, slash);
	if (status)
		return over(r, status);
	r->walk.at.inode = r->call.r[0];
	while (m) {     /* one may lie on another's root; none: it is one as seen by another mount */
		m->expiring &= r->in.msg.op == VFS_UMOUNT;
		r->walk.at = (struct place){ mount_slot(m), m->root };
		m = mount_on(r->walk.at);
	}
	return NEXT_PIECE;
}

static enum next crossed(struct request *r)
{
	uint64_t consumed = r->call.r[1];

	/* Each mount has one root, so a path of n bytes can't cross more often. */
	if (!consumed || consumed > r->walk.piece_bytes)
		return over(r, -X_EIO);
	if (r->resolve & RESOLVE_NO_XDEV)
		return over(r, -X_EXDEV);
	return r->call.r[2] ? cross_up(r, (uint32_t)consumed) : cross_down(r, (uint32_t)consumed);
}

static enum next piece_done(struct request *r)
{
	struct walk *w = &r->walk;

	if (w->piece_bytes == w->path_bytes)
		return NEXT_OVER;
	w->at.inode = r->call.r[0];
	drop_front(r, w->piece_bytes);
	return NEXT_PIECE;
}

static enum next take_reply(struct request *r)
{
	if (r->state == REQUEST_LINK)
		return r->call.status < 0 ? NEXT_OVER : follow_link(r, (uint64_t)r->call.status);
	if (r->call.status == -X_ESYMLINK)
		return met_link(r);
	if (r->call.status == -X_ECROSS)
		return crossed(r);
	if (r->call.status < 0)
		return NEXT_OVER;
	return piece_done(r);
}

/* devfs answers at once, so this may go round several times. */
void walk_replied(struct request *r)
{
	enum next next;

	do {
		next = take_reply(r);
		if (next == NEXT_OVER) {
			request_enter(r, REQUEST_CALL);
			op_walked(r);
			return;
		}
		if (next == NEXT_ASKED)
			return;
	} while (next == NEXT_PIECE ? submit_piece(r) : submit_readlink(r));
}

bool walk_hold(struct request *r)
{
	int64_t status = r->call.status;

	if (status >= 0 && !hold_adopt(walk_place(r)))
		status = -X_ENFILE;
	if (status < 0) {
		request_finish(r, status);
		return false;
	}
	request_hold(r, walk_place(r));
	return true;
}

/* ---- the start ---- */

int64_t walk_take_path(struct request *r, unsigned window, char *out)
{
	int64_t length;

	out[0] = 0;
	if (!in_window(&r->in, window, X_WIN_READ))
		return 0;
	length = window_string(r->call_id, window, r->in.win[window].len, out, BUFFER_BYTES);
	return length < 0 ? length : (int64_t)strnlen(out, (size_t)length);
}

static void start(struct request *r)
{
	if (submit_piece(r))
		walk_replied(r);
}

void walk_identified(struct request *r)
{
	struct mount *m = mount_opened_by(r, r->call.r[0]);

	if (r->call.handle != X_NO_HANDLE)
		out_close(r->call.handle);
	if (r->call.status < 0) {
		request_finish(r, r->call.status);
		return;
	}
	if (!m) {
		request_finish(r, -X_ENOENT);
		return;
	}
	r->walk.at = (struct place){ mount_slot(m), r->call.r[1] };
	if (r->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		r->root = r->walk.at;
	start(r);
}

/* What has no place in a filesystem: only opened again, if it is a pipe, or
 * looked at. */
static void magic_object(struct request *r, const struct file_attr *attr)
{
	int64_t handle;

	if (r->in.msg.op == VFS_STAT) {
		request_finish_data(r, 1, attr, sizeof(*attr), 0);
	} else if (r->in.msg.op == VFS_OPEN && (attr->mode & F_S_IFMT) == F_S_IFIFO) {
		handle = pipe_reopen(attr->ino, (uint32_t)r->in.msg.a[0]);
		if (handle < 0)
			request_finish(r, handle);
		else
			request_finish_handle(r, (x_handle_t)handle);
	} else {
		request_finish(r, r->in.msg.op == VFS_OPEN ? -X_ENXIO : r->in.msg.op == VFS_ACCESS ? 0 : -X_EACCES);
	}
}

void walk_magic_known(struct request *r)
{
	struct file_attr attr;
	struct mount *m;

	if (r->call.handle != X_NO_HANDLE)
		out_close(r->call.handle);
	out_close(r->magic);
	r->magic = X_NO_HANDLE;
	memcpy(&attr, r->text, sizeof(attr));
	if (r->call.status < 0) {
		request_finish(r, r->call.status);
		return;
	}
	drop_front(r, r->walk.consumed);
	m = mount_opened_by(r, attr.dev);
	if (m) {
		r->walk.at = (struct place){ mount_slot(m), attr.ino };
		start(r);
	} else if (r->walk.path_bytes) {
		request_finish(r, -X_ENOTDIR);
	} else {
		magic_object(r, &attr);
	}
}

void walk_begin(struct request *r, int64_t path_bytes, int handle)
{
	struct session *s = session_find(r->session);
	struct x_msg ident = { .op = FILE_IDENT };

	if (path_bytes <= 0) {
		request_finish(r, path_bytes ? path_bytes : -X_ENOENT);
		return;
	}
	r->walk.path_bytes = (uint32_t)path_bytes;
	if (r->path[0] == '/' && !(r->resolve & RESOLVE_IN_ROOT)) {
		r->walk.at = r->root;
		start(r);
	} else if (handle >= 0) {
		request_handle_call(r, REQUEST_IDENT, 0, r->in.handles[handle], &ident, NULL, 0);
	} else {
		r->walk.at = s ? s->cwd : r->root;
		if (r->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
			r->root = r->walk.at;
		start(r);
	}
}
