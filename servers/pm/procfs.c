/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The FS_* calls of vfs on /proc: path walk, attributes, links. Everything is
 * answered at once, except where vfs itself must be asked (the working
 * directory of a process): such a call is kept in `asked` meanwhile.
 */
#include "servers/pm/procfs.h"

enum { ASKED_MAX = 16, PATH_BYTES = FS_PATH_MAX };

uint64_t procfs_mount_id;

static struct asked {
	bool used;
	bool report;        /* the answer is -X_ESYMLINK with a[], else the text alone */
	struct x_in in;
	struct x_msg msg;   /* report */
	char text[PATH_BYTES];
} asked[ASKED_MAX];

static char path[PATH_BYTES];

void procfs_init(void)
{
	procfs_mount_id = 0;
}

void procfs_statfs(struct file_statfs *out)
{
	*out = (struct file_statfs){ .type = 0x9fa0, .block_bytes = X_PAGE_SIZE, .name_max = FS_NAME_MAX,
				     .fsid = procfs_mount_id };
}

/* ---- answers ---- */

static bool can_write(const struct x_in *in, unsigned window)
{
	return window < in->win_count && (in->win[window].flags & X_WIN_WRITE) && in->win[window].len;
}

static void answer_inode(const struct x_in *in, const struct place *at)
{
	struct x_msg msg = { 0 };
	struct file_attr attr;

	place_attr(at, &attr);
	msg.a[0] = at->inode;
	msg.a[1] = attr.mode;
	if (can_write(in, 1))
		window_write(in->id, 1, 0, &attr, sizeof(attr));
	out_answer(in->id, &msg);
}

/* A link's text is known: as what the caller wants it. */
static void answer_link(const struct x_in *in, struct x_msg *report, const char *text, size_t length)
{
	int64_t n = length;

	if (can_write(in, 1))
		n = window_write(in->id, 1, 0, text, length);
	if (!report) {
		out_status(in->id, n);
		return;
	}
	report->status = -X_ESYMLINK;
	report->a[2] = length;
	out_answer(in->id, report);
}

/* ---- links ---- */

static void cwd_known(void *ctx, const struct x_in *reply)
{
	struct asked *a = ctx;
	int64_t length = reply->msg.status;

	a->used = false;
	if (length <= 0 || length > PATH_BYTES)
		out_status(a->in.id, length < 0 ? length : -X_EIO);
	else
		answer_link(&a->in, a->report ? &a->msg : NULL, a->text, (size_t)length);
}

/* Of the working directory, or (handle) of an open file. */
static void ask_path(const struct x_in *in, const struct proc *p, x_handle_t handle, const struct x_msg *report)
{
	struct x_out *out;

	for (struct asked *a = asked; a < asked + ASKED_MAX; a++) {
		if (a->used)
			continue;
		a->used = true;
		a->in = *in;
		a->report = report != NULL;
		if (report)
			a->msg = *report;
		out = out_start(vfs_port, cwd_known, a, NULL);
		out->msg.op = handle == X_NO_HANDLE ? VFSCTL_CWD : VFSCTL_NAME_OF;
		out->msg.a[0] = p->vfs_session;
		if (handle != X_NO_HANDLE) {
			out->handles[0] = handle;
			out->handle_count = 1;
			out->flags = X_CALL_MOVE;
		}
		out->win[0] = (struct x_window){ (uintptr_t)a->text, sizeof(a->text), X_WIN_WRITE };
		out->win_count = 1;
		return;
	}
	out_close(handle);
	out_status(in->id, -X_EAGAIN);
}

static bool may_see_files(const struct proc *p, uint64_t koid)
{
	const struct proc *reader = proc_by_koid(koid);

	return reader && (reader == p || reader->ids.euid == 0 || reader->ids.euid == p->ids.euid);
}

/* An open file: to be followed it goes along itself, for its path may be none. */
static void give_fd(const struct x_in *in, const struct place *at, struct x_msg *report)
{
	int64_t handle = x_proc_handle(at->proc->process, at->fd, 1);
	struct x_out *out;

	if (!may_see_files(at->proc, in->msg.a[5]) || handle < 0) {
		if (handle >= 0)
			out_close((x_handle_t)handle);
		out_status(in->id, handle < 0 ? -X_ENOENT : -X_EACCES);
		return;
	}
	if (!report) {
		ask_path(in, at->proc, (x_handle_t)handle, NULL);
		return;
	}
	report->status = -X_ESYMLINK;
	report->a[2] = 0;
	out = out_answer_entry(in->id);
	out->msg = *report;
	out->handles[0] = (x_handle_t)handle;
	out->handle_count = 1;
}

/* vfs's own calls end without help. */
void procfs_cancel(uint64_t call_id)
{
	(void)call_id;
}

/* Length of the text, or an error; -X_EWAIT: ask vfs for it. */
static int link_text(const struct place *at, uint64_t koid, char *text, size_t size)
{
	const char *name = at->node->name;
	const struct proc *reader = proc_by_koid(koid);

	if (!at->proc && strcmp(name, "self") == 0)
		return reader ? snprintf(text, size, "%u", reader->ids.pid) : -X_ENOENT;
	if (!at->proc)
		return snprintf(text, size, "self/%s", name);
	if (at->proc->state == PROC_ZOMBIE)
		return -X_ENOENT;
	if (strcmp(name, "root") == 0)
		return snprintf(text, size, "/");
	if (strcmp(name, "exe") == 0)
		return at->proc->exe[0] ? snprintf(text, size, "%s", at->proc->exe) : -X_ENOENT;
	return -X_EWAIT;
}

/* Who only reads where `exe` leads is told where the program is now; who follows it, how it was
 * called when it was started. */
static bool ask_program(const struct x_in *in, const struct place *at)
{
	int64_t handle = -1;

	if (at->proc && strcmp(at->node->name, "exe") == 0 && proc_alive(at->proc) && at->proc->program != X_NO_HANDLE)
		handle = x_handle_dup(at->proc->program, 0, 0, 0);
	if (handle < 0)
		return false;
	ask_path(in, at->proc, (x_handle_t)handle, NULL);
	return true;
}

/* report: NULL for readlink. */
static void give_link(const struct x_in *in, const struct place *at, struct x_msg *report)
{
	char text[EXE_BYTES + 8];
	int n;

	if (at->is_fd) {
		give_fd(in, at, report);
		return;
	}
	if (!report && ask_program(in, at))
		return;
	n = link_text(at, in->msg.a[5], text, sizeof(text));
	if (n == -X_EWAIT)
		ask_path(in, at->proc, X_NO_HANDLE, report);
	else if (n < 0)
		out_status(in->id, n);
	else
		answer_link(in, report, text, (size_t)n);
}

/* ---- the walk ---- */

struct walk {
	struct place at;
	uint32_t length, next; /* of path; where the walk is */
	bool nofollow;
	uint64_t dir;          /* -X_ESYMLINK: that holds the link `at` */
};

static uint32_t skip_slashes(const struct walk *w, uint32_t from)
{
	while (from < w->length && path[from] == '/')
		from++;
	return from;
}

/* One component [start, end): 0, or why the walk stops. */
static int walk_component(struct walk *w, uint32_t start, uint32_t end)
{
	uint32_t length = end - start;
	uint64_t dir = w->at.inode, child;

	if (!place_is_dir(&w->at))
		return -X_ENOTDIR;
	if (length == 1 && path[start] == '.')
		return 0;
	if (length == 2 && path[start] == '.' && path[start + 1] == '.') {
		if (dir == PROC_ROOT_INODE)
			return -X_ECROSS;
		return place_find(place_parent(&w->at), &w->at) ? 0 : -X_ENOENT;
	}
	child = place_child(&w->at, path + start, length);
	if (!child || !place_find(child, &w->at))
		return -X_ENOENT;
	w->dir = dir;
	if (w->at.node->type == NODE_LINK && (end < w->length || !w->nofollow))
		return -X_ESYMLINK;
	return 0;
}

static int walk(struct walk *w)
{
	int result = 0;

	w->next = skip_slashes(w, 0);
	while (w->next < w->length && result == 0) {
		uint32_t end = w->next;

		while (end < w->length && path[end] != '/')
			end++;
		result = walk_component(w, w->next, end);
		w->next = skip_slashes(w, end);
		if (result == 0 && end < w->length && !place_is_dir(&w->at))
			result = -X_ENOTDIR;
	}
	return result;
}

static int64_t read_path(const struct x_in *in)
{
	uint32_t length = in->win_count ? in->win[0].len : 0;
	int64_t n;

	if (length > sizeof(path))
		return -X_ENAMETOOLONG;
	n = length ? window_read(in->id, 0, 0, path, length) : 0;
	return n == length ? n : n < 0 ? n : -X_EFAULT;
}

static int walk_begin(struct walk *w, const struct x_in *in)
{
	int64_t length = read_path(in);

	memset(w, 0, sizeof(*w));
	if (length < 0)
		return (int)length;
	w->length = (uint32_t)length;
	w->nofollow = (in->msg.a[1] & FS_NOFOLLOW) != 0;
	return place_find(in->msg.a[0], &w->at) ? 0 : -X_ENOENT;
}

/* The walk did not end at an inode here: says so to vfs. */
static void walk_stopped(const struct x_in *in, const struct walk *w, int why)
{
	struct x_msg msg = { .status = why };

	msg.a[1] = w->next;
	if (why == -X_ESYMLINK) {
		msg.a[0] = w->dir;
		give_link(in, &w->at, &msg);
	} else if (why == -X_ECROSS) {
		msg.a[0] = w->at.inode;
		msg.a[2] = 1;
		out_answer(in->id, &msg);
	} else {
		out_status(in->id, why);
	}
}

/* ---- operations ---- */

static void mount_op(const struct x_in *in)
{
	struct file_statfs statfs;
	struct x_msg msg = { .a = { PROC_ROOT_INODE } };

	procfs_mount_id = in->msg.a[0];
	procfs_statfs(&statfs);
	if (can_write(in, 1))
		window_write(in->id, 1, 0, &statfs, sizeof(statfs));
	out_answer(in->id, &msg);
}

static void statfs_op(const struct x_in *in)
{
	struct file_statfs statfs;

	procfs_statfs(&statfs);
	out_status(in->id, can_write(in, 1) &&
		   window_write(in->id, 1, 0, &statfs, sizeof(statfs)) == sizeof(statfs) ? 0 : -X_EFAULT);
}

/* Files of the system are uid 0's, those of a process its own. */
static bool may_write(const struct place *at, uint64_t koid)
{
	const struct proc *who = proc_by_koid(koid);

	return node_writable(at->node) && who &&
	       (who->ids.fsuid == 0 || (at->proc && who->ids.fsuid == at->proc->ids.euid));
}

static int access_result(const struct place *at, uint64_t want, uint64_t koid)
{
	if ((want & 2) && !may_write(at, koid))
		return -X_EACCES;
	return (want & 1) && at->node->type == NODE_FILE ? -X_EACCES : 0;
}

static int open_result(const struct place *at, uint32_t flags, uint64_t koid)
{
	bool writes = (flags & F_O_ACCMODE) != F_O_RDONLY;

	if ((flags & (F_O_CREAT | F_O_EXCL)) == (F_O_CREAT | F_O_EXCL))
		return -X_EEXIST;
	if (at->node->type == NODE_LINK)
		return -X_ELOOP;
	if (place_is_dir(at))
		return writes ? -X_EISDIR : 0;
	if (flags & F_O_DIRECTORY)
		return -X_ENOTDIR;
	if (node_is_memory(at->node)) {
		const struct proc *who = proc_by_koid(koid);

		return who && may_look_into(who, at->proc) ? 0 : -X_EACCES;
	}
	return writes && !may_write(at, koid) ? -X_EACCES : 0;
}

static void open_op(const struct x_in *in, const struct place *at)
{
	uint32_t flags = (uint32_t)in->msg.a[3];
	int err = open_result(at, flags, in->msg.a[5]);

	if (err)
		out_status(in->id, err);
	else
		procfile_open(in, at, flags);
}

/* The walk of all but the last component. */
static void parent_op(const struct x_in *in)
{
	struct walk w;
	struct x_msg msg = { 0 };
	uint32_t end, start;
	int err = walk_begin(&w, in);

	for (end = w.length; end > 0 && path[end - 1] == '/'; end--)
		;
	for (start = end; start > 0 && path[start - 1] != '/'; start--)
		;
	if (!err && start == end)
		err = -X_EEXIST; /* the root has no name */
	if (!err) {
		w.length = start;
		w.nofollow = false;
		err = walk(&w);
	}
	if (!err && !place_is_dir(&w.at))
		err = -X_ENOTDIR;
	if (err) {
		walk_stopped(in, &w, err);
		return;
	}
	msg.a[0] = w.at.inode;
	msg.a[1] = start;
	msg.a[2] = end - start;
	out_answer(in->id, &msg);
}

/* From its end; gives where it begins. */
static char *write_path(struct place at, char *end)
{
	while (at.inode != PROC_ROOT_INODE) {
		char number[12];
		const char *name = at.node->name;

		if (at.proc && !*name) {
			snprintf(number, sizeof(number), "%u", at.tid ? at.tid : at.proc->ids.pid);
			name = number;
		}
		end -= strlen(name);
		memcpy(end, name, strlen(name));
		*--end = '/';
		if (!place_find(place_parent(&at), &at))
			break;
	}
	return end;
}

static void path_op(const struct x_in *in)
{
	char text[128], *end = text + sizeof(text), *start;
	struct place at;

	if (!place_find(in->msg.a[0], &at) || at.is_fd || (!place_is_dir(&at) && !in->msg.a[3])) {
		out_status(in->id, -X_ENOENT);
		return;
	}
	start = write_path(at, end);
	if (start == end)
		*--start = '/';
	answer_link(in, NULL, start, (size_t)(end - start));
}

/* Operations on the inode that a walk found. */
static void found_op(const struct x_in *in, const struct place *at)
{
	switch (in->msg.op) {
	case FS_LOOKUP:
		answer_inode(in, at);
		break;
	case FS_OPEN:
		open_op(in, at);
		break;
	case FS_ACCESS:
		out_status(in->id, access_result(at, in->msg.a[3], in->msg.a[5]));
		break;
	case FS_READLINK:
		if (at->node->type == NODE_LINK)
			give_link(in, at, NULL);
		else
			out_status(in->id, -X_EINVAL);
		break;
	case FS_MKDIR:
	case FS_MKNOD:
	case FS_SYMLINK:
		out_status(in->id, -X_EEXIST);
		break;
	default:
		out_status(in->id, -X_EPERM); /* nothing here can be changed */
	}
}

static void walk_op(const struct x_in *in)
{
	struct walk w;
	int err = walk_begin(&w, in);

	if (in->msg.op == FS_READLINK || in->msg.op == FS_MKDIR || in->msg.op == FS_MKNOD ||
	    in->msg.op == FS_SYMLINK || in->msg.op == FS_UNLINK || in->msg.op == FS_RMDIR)
		w.nofollow = true;
	if (!err)
		err = walk(&w);
	if (err)
		walk_stopped(in, &w, err);
	else
		found_op(in, &w.at);
}

void procfs_call(const struct x_in *in)
{
	switch (in->msg.op) {
	case FS_MOUNT:
		mount_op(in);
		break;
	case FS_UNMOUNT:
		out_status(in->id, procfiles_open(0) && !(in->msg.a[1] & 1) ? -X_EBUSY : 0);
		break;
	case FS_LOOKUP: case FS_OPEN: case FS_ACCESS: case FS_READLINK: case FS_MKDIR: case FS_MKNOD:
	case FS_SYMLINK: case FS_UNLINK: case FS_RMDIR: case FS_SETATTR:
		walk_op(in);
		break;
	case FS_PARENT:
		parent_op(in);
		break;
	case FS_LINK: case FS_RENAME:
		out_status(in->id, -X_EPERM);
		break;
	case FS_STATFS:
		statfs_op(in);
		break;
	case FS_RELEASE: case FS_SYNC:
		out_status(in->id, 0);
		break;
	case FS_PATH:
		path_op(in);
		break;
	case FS_OPENED:
		answer_value(in->id, procfiles_open((uint32_t)in->msg.a[3]));
		break;
	case FS_MARK_MOUNT:
		out_status(in->id, in->msg.a[1] ? -X_EOPNOTSUPP : 0);
		break;
	default:
		out_status(in->id, -X_ENOSYS);
	}
}
