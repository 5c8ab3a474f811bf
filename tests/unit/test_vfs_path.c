/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The path walk and the operations of vfs over a filesystem in memory that
 * answers proto/fs.h, plus the real devfs and a second remote mount (/proc).
 */
// sources: servers/vfs/op.c servers/vfs/op_open.c servers/vfs/op_pair.c servers/vfs/op_cwd.c servers/vfs/op_mapped.c
// sources: servers/vfs/op_mount.c servers/vfs/resolve.c servers/vfs/request.c servers/vfs/session.c
// sources: servers/vfs/known.c servers/vfs/hold.c servers/vfs/mount.c servers/vfs/bind.c servers/vfs/fsclient.c servers/vfs/devfs.c
// sources: servers/vfs/device.c servers/vfs/blockdev.c servers/vfs/place.c servers/vfs/pipe.c servers/vfs/pipe_flow.c servers/vfs/fifo.c
// sources: servers/vfs/park.c servers/vfs/ring.c servers/vfs/buffers.c servers/vfs/lock.c servers/vfs/op_lock.c servers/vfs/op_socket.c
// sources: servers/vfs/unix.c servers/vfs/unix_name.c servers/vfs/unix_connect.c servers/vfs/unix_send.c
// sources: servers/vfs/unix_recv.c servers/vfs/unix_flow.c servers/vfs/unix_rights.c servers/vfs/unix_cycles.c servers/vfs/unix_option.c servers/vfs/random.c lib/c/strlcpy.c lib/region/log.c
#include "tests/unit/fake_ipc.h"
#include "servers/vfs/vfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

uint64_t sys_realtime_ns(void) { return 1000000000ull; }
int server_bind(x_handle_t h, event_fn fn, void *ctx) { (void)h, (void)fn, (void)ctx; return 0; }
void server_unbind(x_handle_t h) { (void)h; }
void sys_entropy(uint64_t out[8]) { memset(out, 0x5a, 64); }

/* ------------------------------------------------------- filesystems in memory */

enum { NODES_MAX = 128 };
struct node {
	bool used, marked;
	uint64_t parent;
	char name[64], link[256];
	uint32_t mode, uid, nlink;
	uint64_t rdev;
	int holds;
};
struct fs {
	x_handle_t port;
	uint64_t id;            /* mount id, 0: not mounted */
	bool text_withheld;     /* as if window 1 were absent */
	int die;                /* the next n calls end with -X_EDEAD */
	unsigned calls[0x20];
	struct node node[NODES_MAX];
};
static struct fs disk, proc;

static uint64_t add(struct fs *fs, uint64_t parent, const char *name, uint32_t mode)
{
	uint64_t i;

	for (i = 1; fs->node[i].used; i++)
		assert_true(i < NODES_MAX - 1);
	fs->node[i] = (struct node){ .used = true, .parent = parent ? parent : i, .mode = mode, .nlink = 1 };
	strlcpy(fs->node[i].name, name, sizeof(fs->node[i].name));
	return i;
}
static uint64_t dir(struct fs *fs, uint64_t parent, const char *name) { return add(fs, parent, name, F_S_IFDIR | 0755); }
static uint64_t file(struct fs *fs, uint64_t parent, const char *name) { return add(fs, parent, name, F_S_IFREG | 0644); }
static uint64_t link_to(struct fs *fs, uint64_t parent, const char *name, const char *text)
{
	uint64_t i = add(fs, parent, name, F_S_IFLNK | 0777);

	strlcpy(fs->node[i].link, text, sizeof(fs->node[i].link));
	return i;
}
static uint64_t child(struct fs *fs, uint64_t parent, const char *name, size_t bytes)
{
	for (uint64_t i = 1; i < NODES_MAX; i++)
		if (fs->node[i].used && i != parent && fs->node[i].parent == parent &&
		    strlen(fs->node[i].name) == bytes && !memcmp(fs->node[i].name, name, bytes))
			return i;
	return 0;
}
static bool is_dir(struct fs *fs, uint64_t i) { return (fs->node[i].mode & F_S_IFMT) == F_S_IFDIR; }
static bool is_link(struct fs *fs, uint64_t i) { return (fs->node[i].mode & F_S_IFMT) == F_S_IFLNK; }

struct fs_walk { uint64_t inode, child; const char *path; uint32_t bytes, name, name_bytes, end; bool slash; };

static bool component(struct fs_walk *w)
{
	uint32_t at = w->end;

	w->name = at;
	while (at < w->bytes && w->path[at] != '/')
		at++;
	w->name_bytes = at - w->name;
	w->slash = at < w->bytes;
	while (at < w->bytes && w->path[at] == '/')
		at++;
	w->end = at;
	return w->name_bytes;
}

/* Ends at the last component if stop; w->child is what it names, or 0. */
static int fs_walk(struct fs *fs, struct fs_walk *w, const struct x_out *o, bool stop, struct x_msg *m)
{
	const char *name;

	w->inode = o->msg.a[0];
	w->path = (const char *)o->win[0].addr;
	w->bytes = o->win[0].len;
	assert_true(w->bytes < FS_PATH_MAX);
	assert_true(!w->bytes || w->path[0] != '/');
	if (w->inode >= NODES_MAX || !fs->node[w->inode].used)
		return -X_ENOENT;
	while (component(w)) {
		bool last = w->end == w->bytes;

		name = w->path + w->name;
		if (!is_dir(fs, w->inode))
			return -X_ENOTDIR;
		if ((uint32_t)o->msg.a[2] && !(fs->node[w->inode].mode & 1))
			return -X_EACCES;
		if (last && stop) {
			w->child = child(fs, w->inode, name, w->name_bytes);
			return 0;
		}
		if (w->name_bytes == 1 && name[0] == '.')
			continue;
		if (w->name_bytes == 2 && !memcmp(name, "..", 2)) {
			if (w->inode == 1) {
				m->a[0] = 1, m->a[1] = w->end, m->a[2] = 1;
				return -X_ECROSS;
			}
			w->inode = fs->node[w->inode].parent;
			continue;
		}
		w->child = child(fs, w->inode, name, w->name_bytes);
		if (!w->child)
			return -X_ENOENT;
		if (fs->node[w->child].marked) {
			m->a[0] = w->child, m->a[1] = w->end, m->a[2] = 0;
			return -X_ECROSS;
		}
		if (is_link(fs, w->child) && !(last && !w->slash && o->msg.a[1] & FS_NOFOLLOW)) {
			m->a[0] = w->inode, m->a[1] = w->end, m->a[2] = strlen(fs->node[w->child].link);
			if (o->win[1].flags & X_WIN_WRITE && o->win[1].len >= m->a[2])
				memcpy((void *)o->win[1].addr, fs->node[w->child].link, m->a[2]);
			return -X_ESYMLINK;
		}
		w->inode = w->child;
		if (w->slash && !is_dir(fs, w->inode))
			return -X_ENOTDIR;
	}
	return 0;
}

static void attr_out(struct fs *fs, uint64_t inode, const struct x_out *o)
{
	struct file_attr a = { .dev = fs->id, .ino = inode, .mode = fs->node[inode].mode, .nlink = 1,
			       .uid = fs->node[inode].uid, .rdev = fs->node[inode].rdev };

	if (o->win[1].flags & X_WIN_WRITE && o->win[1].len >= sizeof(a))
		memcpy((void *)o->win[1].addr, &a, sizeof(a));
}

static int fs_open(struct fs *fs, const struct x_out *o, struct x_msg *m, struct x_in *in)
{
	struct fs_walk w = { 0 };
	int status = fs_walk(fs, &w, o, false, m);
	uint64_t flags = o->msg.a[3];

	if (status == -X_ENOENT && flags & F_O_CREAT && w.end == w.bytes && is_dir(fs, w.inode)) {
		char name[64] = { 0 };

		memcpy(name, w.path + w.name, w.name_bytes);
		w.inode = add(fs, w.inode, name, F_S_IFREG | (uint32_t)(o->msg.a[1] >> 32));
	} else if (status) {
		return status;
	} else if (flags & F_O_EXCL) {
		return -X_EEXIST;
	}
	m->a[0] = w.inode, m->a[1] = fs->node[w.inode].mode, m->a[2] = fs->node[w.inode].rdev;
	if (is_link(fs, w.inode))
		return -X_ELOOP;
	if ((fs->node[w.inode].mode & F_S_IFMT) == F_S_IFCHR || (fs->node[w.inode].mode & F_S_IFMT) == F_S_IFIFO)
		return -X_ENXIO;
	if ((uint32_t)o->msg.a[2] && !(fs->node[w.inode].mode & 4))
		return -X_EACCES;
	in->handle_count = 1;
	in->handles[0] = (x_handle_t)(8000 + w.inode);
	return 0;
}

static int fs_name_op(struct fs *fs, const struct x_out *o, struct x_msg *m)
{
	struct fs_walk w = { 0 };
	int status = fs_walk(fs, &w, o, true, m);
	char name[64] = { 0 };
	uint32_t mode = (uint32_t)(o->msg.a[1] >> 32);
	uint64_t i;

	if (status)
		return status;
	assert_true(w.name_bytes > 0);
	memcpy(name, w.path + w.name, w.name_bytes);
	switch (o->msg.op) {
	case FS_UNLINK: case FS_RMDIR:
		if (!w.child)
			return -X_ENOENT;
		if (fs->node[w.child].marked) {
			m->a[0] = w.child, m->a[1] = w.end, m->a[2] = 0;
			return -X_ECROSS;
		}
		fs->node[w.child].used = false;
		return 0;
	case FS_MKDIR: mode |= F_S_IFDIR; break;
	case FS_SYMLINK: mode |= F_S_IFLNK; break;
	case FS_LINK:
		assert_true(fs->node[o->msg.a[3]].holds > 0);
		mode = fs->node[o->msg.a[3]].mode;
		break;
	}
	if (w.child)
		return -X_EEXIST;
	if (o->msg.op == FS_LINK && ((char *)o->win[0].addr)[o->win[0].len - 1] == '/')
		return -X_ENOENT;
	if (o->msg.op == FS_LINK && (mode & F_S_IFMT) == F_S_IFDIR)
		return -X_EPERM;
	i = add(fs, w.inode, name, mode);
	if (o->msg.op == FS_SYMLINK)
		memcpy(fs->node[i].link, (void *)o->win[1].addr, o->win[1].len);
	if (o->msg.op == FS_MKNOD)
		fs->node[i].rdev = o->msg.a[3];
	return 0;
}

/* Of a name that may have a slash behind it. */
static uint64_t plain_bytes(const struct x_window *w, bool *slash)
{
	const char *text = (const char *)w->addr;

	*slash = text[w->len - 1] == '/';
	assert_null(memchr(text, '/', w->len - *slash));
	return w->len - *slash;
}

static int fs_rename(struct fs *fs, const struct x_out *o)
{
	bool old_slash, new_slash;
	uint64_t old_bytes = plain_bytes(&o->win[0], &old_slash), new_bytes = plain_bytes(&o->win[1], &new_slash);
	uint64_t from = child(fs, o->msg.a[0], (char *)o->win[0].addr, old_bytes);
	uint64_t to = child(fs, o->msg.a[3], (char *)o->win[1].addr, new_bytes);

	assert_true(fs->node[o->msg.a[0]].holds > 0 && fs->node[o->msg.a[3]].holds > 0);
	if (!from)
		return -X_ENOENT;
	if (to && o->msg.a[4] & 1)
		return -X_EEXIST;
	if ((old_slash || new_slash) && (fs->node[from].mode & F_S_IFMT) != F_S_IFDIR)
		return -X_ENOTDIR;
	if (to)
		fs->node[to].used = false;
	memset(fs->node[from].name, 0, 64);
	memcpy(fs->node[from].name, (char *)o->win[1].addr, new_bytes);
	fs->node[from].parent = o->msg.a[3];
	return 0;
}

static int fs_path(struct fs *fs, const struct x_out *o)
{
	char *out = (char *)o->win[1].addr, text[1024], before[1024] = "";

	if (!fs->node[o->msg.a[0]].used)
		return -X_ENOENT;
	for (uint64_t i = o->msg.a[0]; i != 1; i = fs->node[i].parent) {
		snprintf(text, sizeof(text), "/%s%.900s", fs->node[i].name, before);
		strcpy(before, text);
	}
	if (!before[0])
		strcpy(before, "/");
	memcpy(out, before, strlen(before));
	return (int)strlen(before);
}

static int fs_serve(struct fs *fs, const struct x_out *o, struct x_msg *m, struct x_in *in)
{
	struct fs_walk w = { 0 };
	int status;

	fs->calls[o->msg.op - FS_MOUNT]++;
	if (fs->die && o->msg.op != FS_MOUNT) {
		fs->die--, fs->id = 0;
		for (int i = 0; i < NODES_MAX; i++)
			fs->node[i].holds = fs->node[i].marked = 0;
		return -X_EDEAD;
	}
	if (o->msg.op == FS_MOUNT) {
		fs->id = o->msg.a[0];
		m->a[0] = 1, m->a[1] = o->msg.a[1];
		fs->node[1].holds = 1;
		return 0;
	}
	if (!fs->id)
		return -X_ESTALE_HANDLE;
	assert_true(o->msg.op == FS_MARK_MOUNT || o->msg.op == FS_RELEASE || o->msg.op == FS_SYNC ||
		    o->msg.op == FS_UNMOUNT || o->msg.a[6] * 4 == (o->win_count > 2 ? o->win[2].len : 0));
	switch (o->msg.op) {
	case FS_LOOKUP: case FS_ACCESS: case FS_STATFS: case FS_SETATTR: case FS_READLINK:
		status = fs_walk(fs, &w, o, false, m);
		if (status)
			return status;
		break;
	case FS_OPEN: return fs_open(fs, o, m, in);
	case FS_MKDIR: case FS_MKNOD: case FS_SYMLINK: case FS_UNLINK: case FS_RMDIR: case FS_LINK:
		return fs_name_op(fs, o, m);
	case FS_RENAME: return fs_rename(fs, o);
	case FS_PATH: return fs_path(fs, o);
	case FS_PARENT:
		status = fs_walk(fs, &w, o, true, m);
		if (status)
			return status;
		fs->node[w.inode].holds++;
		m->a[0] = w.inode, m->a[1] = w.name, m->a[2] = w.name_bytes;
		return 0;
	case FS_RELEASE:
		fs->node[o->msg.a[0]].holds -= (int)o->msg.a[1];
		assert_true(fs->node[o->msg.a[0]].holds >= 0);
		return 0;
	case FS_MARK_MOUNT:
		assert_true(!o->msg.a[1] || fs->node[o->msg.a[0]].holds > 0);
		fs->node[o->msg.a[0]].marked = o->msg.a[1];
		return 0;
	case FS_UNMOUNT: fs->id = 0; return 0;
	case FS_REMOUNT: return o->msg.a[1] & FS_RDONLY ? -X_EBUSY : 0; /* a file is open for writing */
	default: return 0;
	}
	m->a[0] = w.inode, m->a[1] = fs->node[w.inode].mode;
	if (o->msg.op == FS_LOOKUP) {
		fs->node[w.inode].holds += !!(o->msg.a[1] & FS_HOLD);
		attr_out(fs, w.inode, o);
	} else if (o->msg.op == FS_READLINK) {
		if (!is_link(fs, w.inode))
			return -X_EINVAL;
		memcpy((void *)o->win[1].addr, fs->node[w.inode].link, strlen(fs->node[w.inode].link));
		return (int)strlen(fs->node[w.inode].link);
	} else if (o->msg.op == FS_ACCESS) {
		return (fs->node[w.inode].mode & o->msg.a[3]) == o->msg.a[3] || !(uint32_t)o->msg.a[2] ? 0 : -X_EACCES;
	}
	return 0;
}

/* ------------------------------------------------------------------ the bench */

static struct { uint64_t number, flags, koid; unsigned opens; } tty;
static uint64_t session;
static bool stuck;              /* filesystems don't answer */

/* A call on a file object: of our devfs directories, or of the fake disk. */
static void serve_handle(const struct x_out *o, struct x_in *in)
{
	uint64_t inode = o->target - 8000;

	if (o->msg.op == DEV_OPEN) {
		tty.number = o->msg.a[0], tty.flags = o->msg.a[1], tty.koid = o->msg.a[2], tty.opens++;
		in->handle_count = 1;
		in->handles[0] = 9999;
	} else if (fake_object_of(o->target)) {
		struct x_in call;
		struct fake_call *c = fake_call_new(&call, fake_object_of(o->target), o->msg.op);

		if (o->win_count)
			fake_window(c, &call, (void *)o->win[0].addr, o->win[0].len, o->win[0].flags);
		if (object_kind(call.object) == KIND_DEVDIR)
			devfs_dir_call(&call);
		else if (object_kind(call.object) == KIND_PLACE)
			place_call(&call);
		else
			pipe_call(&call);
		fake_fix_answers();
		in->msg = c->msg;
	} else if (o->msg.op == FILE_IDENT) {
		in->msg.a[0] = disk.id, in->msg.a[1] = inode;
		in->msg.status = is_dir(&disk, inode) ? 0 : -X_ENOTDIR;
	} else if (o->msg.op == FILE_STAT) {
		struct file_attr a = { .ino = inode, .mode = disk.node[inode].mode };

		memcpy((void *)o->win[0].addr, &a, sizeof(a));
	}
}

static bool answer_one(void)
{
	struct fake_start *s = fake_next_start();
	struct x_in in = { .kind = X_IN_REPLY };
	struct x_out o;

	if (!s || stuck)
		return false;
	o = s->out;
	if (o.target == disk.port || o.target == proc.port)
		in.msg.status = fs_serve(o.target == disk.port ? &disk : &proc, &o, &in.msg, &in);
	else
		serve_handle(&o, &in);
	fake_reply(s, &in);
	return true;
}

static uint64_t time_to_pass_ns = 20ull * 1000 * 1000 * 1000; /* while nothing else happens */

static void run(void)
{
	do {
		while (answer_one())
			;
		fake_fix_answers();
	} while (fake_run_timer(time_to_pass_ns) || fake_next_start());
}

static struct fake_call *control(uint32_t op, uint64_t a0, uint64_t a1)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, 0, op);

	in.msg.a[0] = a0, in.msg.a[1] = a1;
	op_control_call(&in);
	return c;
}

static struct fake_call *begin(uint64_t sid, uint32_t op, const char *p0, const char *p1, void *out, uint32_t out_len,
			       uint64_t a0, uint64_t a1, x_handle_t h0, x_handle_t h1)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, sid, op);

	if (p0)
		fake_window(c, &in, p0, (uint32_t)strlen(p0), X_WIN_READ);
	if (p1)
		fake_window(c, &in, p1, (uint32_t)strlen(p1), X_WIN_READ);
	if (out)
		fake_window(c, &in, out, out_len, X_WIN_WRITE);
	in.msg.a[0] = a0, in.msg.a[1] = a1;
	if (h0)
		in.handles[in.handle_count++] = h0;
	if (h1)
		in.handles[in.handle_count++] = h1;
	assert_non_null(session_find(sid));
	op_session_call(session_find(sid), &in);
	return c;
}
static struct fake_call *finish(struct fake_call *c)
{
	run();
	assert_int_equal(c->answers, 1);
	for (int i = 0; i < REQUESTS_MAX; i++)
		assert_int_equal(requests[i].state, REQUEST_FREE);
	return c;
}
#define DO(...) finish(begin(session, __VA_ARGS__))

static int64_t stat_in(const char *path, uint64_t nofollow, x_handle_t h)
{
	struct file_attr a;
	struct fake_call *c = DO(VFS_STAT, path, NULL, &a, sizeof(a), nofollow, 0, h, 0);

	return c->msg.status < 0 ? c->msg.status : (int64_t)a.ino;
}
static int64_t ino(const char *path) { return stat_in(path, 0, 0); }
static int64_t op(uint32_t number, const char *path, uint64_t a0) { return DO(number, path, NULL, NULL, 0, a0, 0, 0, 0)->msg.status; }
static struct fake_call *open_path(const char *path, uint64_t flags) { return DO(VFS_OPEN, path, NULL, NULL, 0, flags, 0666, 0, 0); }
static int64_t two(uint32_t number, const char *a, const char *b, uint64_t flags) { return DO(number, a, b, NULL, 0, flags, 0, 0, 0)->msg.status; }
static const char *cwd(void)
{
	static char text[300];
	struct fake_call *c;

	memset(text, '#', sizeof(text));
	c = DO(VFS_GETCWD, NULL, NULL, text, sizeof(text), 0, 0, 0, 0);
	if (c->msg.status < 0)
		return "error";
	assert_int_equal(text[c->msg.status], '#');     /* no NUL: the caller adds it */
	text[c->msg.status] = 0;
	return text;
}

static uint64_t etc, passwd, home, user, proc_point, dev_point, self;

static void as_user(uint32_t uid)
{
	session_find(session)->creds.uid = session_find(session)->creds.ruid = uid;
}

static int setup(void **state)
{
	static uint64_t bin;

	(void)state;
	memset(&disk, 0, sizeof(disk));
	memset(&proc, 0, sizeof(proc));
	memset(&tty, 0, sizeof(tty));
	fake_call_count = 0;
	disk.port = boot_handle("minix");
	proc.port = boot_handle("pm");
	dir(&disk, 0, "");
	etc = dir(&disk, 1, "etc");
	passwd = file(&disk, etc, "passwd");
	home = dir(&disk, 1, "home");
	user = dir(&disk, home, "user");
	proc_point = dir(&disk, 1, "proc");
	bin = dir(&disk, 1, "bin");
	file(&disk, bin, "sh");
	disk.node[file(&disk, bin, "tool")].mode = F_S_IFREG | 0711;
	disk.node[file(&disk, bin, "su")].mode = F_S_IFREG | F_S_ISUID | F_S_ISGID | 0755;
	dir(&proc, 0, "");
	self = dir(&proc, 1, "self");
	file(&proc, self, "stat");
	memset(mounts, 0, sizeof(mounts));
	mounts_init();
	control(VFSCTL_READY, 0, 0);
	run();
	dev_point = child(&disk, 1, "dev", 3);
	struct fake_call *c = control(VFSCTL_SESSION, 77, 0);
	run();
	assert_int_equal(c->msg.status, 0);
	session = c->msg.a[0];
	return 0;
}

/* Nothing may be held once the session is gone but what mounts hold. */
static int teardown(void **state)
{
	(void)state;
	session_closed(session);
	run();
	assert_true(disk.node[1].holds > 0);
	for (uint64_t i = 2; i < NODES_MAX; i++)
		assert_int_equal(disk.node[i].holds, i == proc_point || i == dev_point);
	for (uint32_t i = 0; i < MOUNTS_MAX; i++)
		hold_forget_mount(i);
	return 0;
}

/* ------------------------------------------------------------------- the tests */

static void test_plain(void **state)
{
	(void)state;
	assert_int_equal(ino("/"), 1);
	assert_int_equal(ino("/etc/passwd"), passwd);
	assert_int_equal(ino("//etc///passwd"), passwd);
	assert_int_equal(ino("etc/./passwd"), passwd);
	assert_int_equal(ino("/home/../etc/passwd"), passwd);
	assert_int_equal(ino("/../../etc"), etc);
	assert_int_equal(ino(".."), 1);
	assert_int_equal(ino("/.."), 1);
	assert_int_equal(ino(""), -X_ENOENT);
	assert_int_equal(ino("/nothing"), -X_ENOENT);
	assert_int_equal(ino("/etc/passwd/"), -X_ENOTDIR);
	assert_int_equal(ino("/etc/passwd/x"), -X_ENOTDIR);
	assert_int_equal(ino("/etc/"), etc);
}

static void test_long(void **state)
{
	char path[5000];

	(void)state;
	memset(path, '/', sizeof(path));
	strcpy(path + 4091, "etc");
	assert_int_equal(ino(path), etc);
	memset(path, 'x', sizeof(path));
	path[4096] = 0;
	assert_int_equal(ino(path), -X_ENAMETOOLONG);
}

static void test_links(void **state)
{
	uint64_t l;

	(void)state;
	l = link_to(&disk, home, "abs", "/etc");
	link_to(&disk, home, "rel", "../etc/passwd");
	link_to(&disk, home, "chain", "abs/../home/rel");
	link_to(&disk, home, "root", "/");
	link_to(&disk, home, "gone", "nowhere");
	link_to(&disk, home, "empty", "");
	link_to(&disk, home, "loop", "loop2/x");
	link_to(&disk, home, "loop2", "/home/loop");
	assert_int_equal(ino("/home/abs"), etc);
	assert_int_equal(ino("/home/abs/passwd"), passwd);
	assert_int_equal(ino("/home/abs/"), etc);
	assert_int_equal(stat_in("/home/abs", 1, 0), l);
	assert_int_equal(stat_in("/home/abs/", 1, 0), etc);
	assert_int_equal(ino("home/rel"), passwd);
	assert_int_equal(ino("home/rel/"), -X_ENOTDIR);
	assert_int_equal(ino("home/chain"), passwd);
	assert_int_equal(ino("home/root"), 1);
	assert_int_equal(ino("home/root/etc"), etc);
	assert_int_equal(ino("home/gone"), -X_ENOENT);
	assert_int_equal(ino("home/empty"), -X_ENOENT);
	assert_int_equal(ino("home/loop"), -X_ELOOP);
}

static int64_t readlink_of(const char *path, char *text, uint32_t room)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, session, VFS_READLINK);

	fake_window(c, &in, path, (uint32_t)strlen(path), X_WIN_READ);
	fake_window(c, &in, text, room, X_WIN_WRITE);
	op_session_call(session_find(session), &in);
	return finish(c)->msg.status;
}

static void test_readlink(void **state)
{
	char text[64] = "";

	(void)state;
	link_to(&disk, home, "abs", "/etc");
	link_to(&disk, home, "via", "abs");
	assert_int_equal(readlink_of("/home/abs", text, 64), 4);
	assert_memory_equal(text, "/etc", 4);
	assert_int_equal(readlink_of("/home/via", text, 2), 2);
	assert_int_equal(readlink_of("/home", text, 64), -X_EINVAL);
	assert_int_equal(readlink_of("/dev/stdin", text, 64), 15);
}

/* FS_SETATTR's window 1 is data, so link texts are asked for separately. */
static void test_links_without_text(void **state)
{
	struct fs_setattr set = { .mask = ATTR_MODE, .mode = 0600 };
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, session, VFS_SETATTR);

	(void)state;
	link_to(&disk, home, "abs", "/etc");
	link_to(&disk, etc, "p", "./passwd");
	fake_window(c, &in, "home/abs//p", 11, X_WIN_READ);
	fake_window(c, &in, &set, sizeof(set), X_WIN_READ);
	op_session_call(session_find(session), &in);
	assert_int_equal(finish(c)->msg.status, 0);
	assert_int_equal(disk.calls[FS_READLINK - FS_MOUNT], 2);
	assert_int_equal(two(VFS_SYMLINK, "/home/abs/new", "target", 0), 0);
	assert_string_equal(disk.node[child(&disk, etc, "new", 3)].link, "target");
}

static void test_mounts(void **state)
{
	struct file_attr a;

	(void)state;
	assert_true(mounts[1].attached && mounts[2].attached);
	assert_int_equal(ino("/proc"), 1);
	assert_int_equal(ino("/proc/"), 1);
	assert_int_equal(ino("/proc/self"), self);
	assert_int_equal(ino("/proc/self/../.."), 1);
	assert_int_equal(ino("/proc/self/../../etc"), etc);
	assert_int_equal(ino("/proc/../proc/../etc/passwd"), passwd);
	assert_int_equal(ino("/dev/pts/../../proc/self/"), self);
	DO(VFS_STAT, "/dev/null", NULL, &a, sizeof(a), 0, 0, 0, 0);
	assert_int_equal(a.rdev, 0x103);
	assert_int_equal(ino("/dev/nope"), -X_ENOENT);
	assert_int_equal(ino("/dev/null/"), -X_ENOTDIR);
	assert_int_equal(ino("/dev/fd/"), -X_ENOENT);   /* fd -> /proc/self/fd, not there */
}

static void test_proc_link(void **state)
{
	(void)state;
	dir(&proc, self, "fd");
	link_to(&proc, self, "cwd", "/home");
	assert_int_equal(ino("/dev/fd/../stat"), self + 1);
	assert_int_equal(ino("/proc/self/cwd/user"), user);
}

static void test_names(void **state)
{
	(void)state;
	assert_int_equal(op(VFS_MKDIR, "/home/new", 0777), 0);
	assert_int_equal(disk.node[child(&disk, home, "new", 3)].mode, F_S_IFDIR | 0755);
	assert_int_equal(op(VFS_MKDIR, "/", 0777), -X_EEXIST);
	assert_int_equal(op(VFS_MKDIR, "/home/.", 0777), -X_EEXIST);
	assert_int_equal(op(VFS_MKDIR, "/nope/..", 0777), -X_ENOENT);
	assert_int_equal(op(VFS_MKDIR, "/proc", 0777), -X_EEXIST);
	assert_int_equal(op(VFS_MKDIR, "/dev/x", 0777), -X_EPERM);
	assert_int_equal(op(VFS_MKDIR, "/dev/null", 0777), -X_EEXIST);
	assert_int_equal(op(VFS_UNLINK, "/home/..", 1), -X_ENOTEMPTY);
	assert_int_equal(op(VFS_UNLINK, "/home/.", 1), -X_EINVAL);
	assert_int_equal(op(VFS_UNLINK, "/", 1), -X_EBUSY);
	assert_int_equal(op(VFS_UNLINK, "/proc", 1), -X_EBUSY);
	assert_int_equal(op(VFS_UNLINK, "/home/..", 0), -X_EISDIR);
	assert_int_equal(op(VFS_UNLINK, "/proc", 0), -X_EISDIR);
	assert_int_equal(op(VFS_UNLINK, "/etc/passwd", 0), 0);
	assert_int_equal(ino("/etc/passwd"), -X_ENOENT);
	as_user(1000);
	assert_int_equal(op(VFS_MKNOD, "/home/dev", F_S_IFCHR | 0666), -X_EPERM);
	assert_int_equal(op(VFS_MKNOD, "/home/pipe", F_S_IFIFO | 0666), 0);
}

static void test_open(void **state)
{
	struct fake_call *c;

	(void)state;
	c = open_path("/etc/passwd", F_O_RDONLY);
	assert_int_equal(c->handles[0], 8000 + passwd);
	assert_int_equal(open_path("/etc/none", 0)->msg.status, -X_ENOENT);
	c = open_path("/home/user/f", F_O_CREAT | F_O_WRONLY);
	assert_int_equal(c->handle_count, 1);
	assert_int_equal(disk.node[child(&disk, user, "f", 1)].mode & 07777, 0644);
	link_to(&disk, home, "dangling", "/home/user/made");
	assert_int_equal(open_path("/home/dangling", F_O_CREAT | F_O_EXCL)->msg.status, -X_EEXIST);
	assert_int_equal(open_path("/home/dangling", F_O_NOFOLLOW)->msg.status, -X_ELOOP);
	assert_int_equal(open_path("/home/dangling", F_O_CREAT)->msg.status, 0);
	assert_true(child(&disk, user, "made", 4) > 0);
}

static void test_devices(void **state)
{
	struct fake_call *c;

	(void)state;
	c = open_path("/dev/null", F_O_RDWR);
	assert_int_equal(object_kind(fake_object_of(c->handles[0])), KIND_DEVICE);
	c = open_path("/dev/tty", F_O_RDWR | F_O_NONBLOCK);
	assert_int_equal(c->handles[0], 9999);
	assert_int_equal(tty.number, DEV_CTTY);
	assert_int_equal(tty.flags, F_O_RDWR | F_O_NONBLOCK);
	assert_int_equal(tty.koid, 77);
	disk.node[file(&disk, home, "con")] = (struct node){ true, false, home, "con", "", F_S_IFCHR | 0600, 0, 1, 0x501, 0 };
	open_path("/home/con", 0);
	assert_int_equal(tty.number, DEV_CONSOLE);
	disk.node[file(&disk, home, "odd")] = (struct node){ true, false, home, "odd", "", F_S_IFCHR | 0600, 0, 1, 0x999, 0 };
	assert_int_equal(open_path("/home/odd", 0)->msg.status, -X_ENXIO);
	assert_int_equal(open_path("/dev/svc", F_O_RDWR)->msg.status, 0);
	as_user(5);
	assert_int_equal(open_path("/dev/svc", F_O_RDWR)->msg.status, -X_EACCES);
	assert_int_equal(open_path("/dev/zero", F_O_RDWR)->msg.status, 0);
	assert_int_equal(open_path("/dev/new", F_O_RDWR | F_O_CREAT)->msg.status, -X_EPERM);
	assert_int_equal(open_path("/dev", F_O_RDWR)->msg.status, -X_EISDIR);
	assert_int_equal(open_path("/dev/null", F_O_DIRECTORY)->msg.status, -X_ENOTDIR);
}

static void test_device_data(void **state)
{
	uint64_t zero = fake_object_of(open_path("/dev/zero", F_O_RDONLY)->handles[0]);
	uint64_t urandom = fake_object_of(open_path("/dev/urandom", F_O_RDWR)->handles[0]);
	uint64_t full = fake_object_of(open_path("/dev/full", F_O_WRONLY)->handles[0]);
	static uint8_t buffer[100000], other[100000];
	struct x_in in;
	struct fake_call *c;

	(void)state;
	memset(buffer, 1, sizeof(buffer));
	c = fake_call_new(&in, zero, FILE_READ);
	fake_window(c, &in, buffer, sizeof(buffer), X_WIN_WRITE);
	device_call(&in);
	fake_fix_answers();
	assert_int_equal(c->msg.status, sizeof(buffer));
	assert_memory_equal(buffer, other, sizeof(buffer));
	for (int i = 0; i < 2; i++) {
		c = fake_call_new(&in, urandom, FILE_READ);
		fake_window(c, &in, i ? other : buffer, sizeof(buffer), X_WIN_WRITE);
		device_call(&in);
		fake_fix_answers();
		assert_int_equal(c->msg.status, sizeof(buffer));
	}
	assert_memory_not_equal(buffer, other, 64);
	assert_memory_not_equal(buffer, buffer + 64, 64);
	c = fake_call_new(&in, full, FILE_WRITE);
	fake_window(c, &in, buffer, 10, X_WIN_READ);
	device_call(&in);
	fake_fix_answers();
	assert_int_equal(c->msg.status, -X_ENOSPC);
}

static void test_readdir(void **state)
{
	uint64_t object = fake_object_of(open_path("/dev", F_O_DIRECTORY)->handles[0]);
	uint64_t cursor = 0;
	char buffer[64] __attribute__((aligned(8)));
	int found = 0, entries = 0;
	struct x_in in;
	struct fake_call *c;

	(void)state;
	for (;;) {
		c = fake_call_new(&in, object, FILE_READDIR);
		in.cursor = cursor;
		fake_window(c, &in, buffer, sizeof(buffer), X_WIN_WRITE);
		devfs_dir_call(&in);
		fake_fix_answers();
		assert_true(c->msg.status >= 0);
		cursor = c->cursor;
		if (!c->msg.status)
			break;
		for (int at = 0; at < c->msg.status; entries++) {
			struct file_dirent *d = (struct file_dirent *)(buffer + at);

			found += !strcmp(d->name, "console") && d->type == 2;
			at += d->reclen;
		}
	}
	assert_int_equal(found, 1);
	assert_int_equal(entries, 19);
}

static void test_cwd(void **state)
{
	(void)state;
	assert_string_equal(cwd(), "/");
	assert_int_equal(op(VFS_CHDIR, "/home/user", 0), 0);
	assert_string_equal(cwd(), "/home/user");
	assert_int_equal(ino("."), user);
	assert_int_equal(ino("../../etc/passwd"), passwd);
	assert_int_equal(op(VFS_CHDIR, "/proc/self", 0), 0);
	assert_string_equal(cwd(), "/proc/self");
	assert_int_equal(op(VFS_CHDIR, "..", 0), 0);
	assert_string_equal(cwd(), "/proc");
	assert_int_equal(op(VFS_CHDIR, "/dev/pts", 0), 0);
	assert_string_equal(cwd(), "/dev/pts");
	assert_int_equal(op(VFS_CHDIR, "/etc/passwd", 0), -X_ENOTDIR);
	assert_int_equal(op(VFS_CHDIR, "/nope", 0), -X_ENOENT);
	disk.node[user].mode = F_S_IFDIR | 0700;
	as_user(9);
	assert_int_equal(op(VFS_CHDIR, "/home/user", 0), -X_EACCES);
	assert_string_equal(cwd(), "/dev/pts");
	assert_int_equal(DO(VFS_GETCWD, NULL, NULL, (char[8]){ 0 }, 7, 0, 0, 0, 0)->msg.status, -X_ERANGE);
	assert_int_equal(DO(VFS_GETCWD, NULL, NULL, (char[8]){ 0 }, 8, 0, 0, 0, 0)->msg.status, 8);
}

static void test_handles(void **state)
{
	x_handle_t dev, place;

	(void)state;
	assert_int_equal(stat_in("passwd", 0, (x_handle_t)(8000 + etc)), passwd);
	assert_int_equal(stat_in("../etc", 0, (x_handle_t)(8000 + home)), etc);
	assert_int_equal(stat_in("/etc", 0, (x_handle_t)(8000 + home)), etc);
	assert_int_equal(stat_in("x", 0, (x_handle_t)(8000 + passwd)), -X_ENOTDIR);
	assert_int_equal(stat_in("", 0, (x_handle_t)(8000 + passwd)), passwd);
	assert_int_equal(DO(VFS_ACCESS, "", NULL, NULL, 0, 4, 0, (x_handle_t)(8000 + passwd), 0)->msg.status, 0);
	as_user(8);
	assert_int_equal(DO(VFS_ACCESS, "", NULL, NULL, 0, 2, 0, (x_handle_t)(8000 + passwd), 0)->msg.status, -X_EACCES);
	as_user(0);
	dev = open_path("/dev", F_O_DIRECTORY)->handles[0];
	assert_int_equal(stat_in("../etc", 0, dev), etc);
	assert_int_equal(DO(VFS_CHDIR, NULL, NULL, NULL, 0, 0, 0, (x_handle_t)(8000 + user), 0)->msg.status, 0);
	assert_string_equal(cwd(), "/home/user");
	place = open_path("/home", F_O_PATH)->handles[0];
	assert_int_equal(object_kind(fake_object_of(place)), KIND_PLACE);
	assert_int_equal(stat_in("user", 0, place), user);
	assert_int_equal(open_path("/etc/passwd", F_O_PATH | F_O_DIRECTORY)->msg.status, -X_ENOTDIR);
	assert_true(disk.node[home].holds > 0);
	place_closed(fake_object_of(place));
	run();
	assert_int_equal(disk.node[home].holds, 0);
}

static void test_chroot(void **state)
{
	uint64_t jail = dir(&disk, home, "jail"), in = dir(&disk, jail, "etc"), deep = dir(&disk, in, "deep");

	(void)state;
	link_to(&disk, jail, "abs", "/etc");
	link_to(&disk, jail, "out", "../../../../etc");
	link_to(&disk, in, "up", "..");
	assert_int_equal(op(VFS_CHDIR, "/home/jail/etc", 0), 0);
	assert_int_equal(op(VFS_CHROOT, "/home/jail", 0), 0);
	assert_int_equal(ino("/"), jail);
	assert_int_equal(ino("/.."), jail);
	assert_int_equal(ino("/../../.."), jail);
	assert_int_equal(ino("/../etc"), in);
	assert_int_equal(ino("/etc/../../etc/deep/../../../etc/deep"), deep);
	assert_int_equal(ino("../../../etc"), in);
	assert_int_equal(ino("/abs/deep"), deep);
	assert_int_equal(ino("/abs/../.."), jail);
	assert_int_equal(ino("/out/deep"), deep);
	assert_int_equal(ino("/etc/up/../../etc/up/etc/"), in);
	assert_int_equal(ino("/passwd"), -X_ENOENT);
	assert_int_equal(ino("/etc/none/.."), -X_ENOENT);
	assert_string_equal(cwd(), "/etc");
	assert_int_equal(op(VFS_CHDIR, "/", 0), 0);
	assert_string_equal(cwd(), "/");
	assert_int_equal(op(VFS_MKDIR, "../../x", 0755), 0);
	assert_true(child(&disk, jail, "x", 1) > 0);
	assert_int_equal(two(VFS_RENAME, "/../x", "/etc/../y", 0), 0);
	assert_true(child(&disk, jail, "y", 1) > 0);
	as_user(3);
	assert_int_equal(op(VFS_CHROOT, "/etc", 0), -X_EPERM);
}

static void test_chroot_to_mount(void **state)
{
	(void)state;
	assert_int_equal(op(VFS_CHROOT, "/proc", 0), 0);
	assert_int_equal(op(VFS_CHDIR, "/", 0), 0);
	assert_int_equal(ino("/../../self"), self);
	assert_int_equal(ino("/self/../../../self/stat"), self + 1);
	assert_string_equal(cwd(), "/");
}

static void test_rename(void **state)
{
	(void)state;
	link_to(&disk, 1, "lnk", "/home");
	assert_int_equal(two(VFS_RENAME, "/etc/passwd", "/home/user/pw", 0), 0);
	assert_int_equal(ino("/home/user/pw"), passwd);
	assert_int_equal(two(VFS_RENAME, "/lnk/user/pw", "/lnk/./pw2", 0), 0);
	assert_int_equal(ino("/home/pw2"), passwd);
	assert_int_equal(two(VFS_RENAME, "/home/pw2/", "/home/pw3", 0), -X_ENOTDIR);
	assert_int_equal(two(VFS_RENAME, "/home/pw2", "/home/pw3/", 0), -X_ENOTDIR);
	assert_int_equal(two(VFS_RENAME, "/home/user/", "/etc/user2/", 0), 0);
	assert_int_equal(ino("/etc/user2"), user);
	assert_int_equal(two(VFS_RENAME, "/home/pw2", "/etc/user2", 1), -X_EEXIST);
	assert_int_equal(two(VFS_RENAME, "/home/pw2", "/etc/free", 1), 0);
	assert_int_equal(two(VFS_RENAME, "/etc/free", "/proc/free", 0), -X_EXDEV);
	assert_int_equal(two(VFS_RENAME, "/etc/free", "/dev/null", 0), -X_EXDEV);
	assert_int_equal(two(VFS_RENAME, "/etc/.", "/x", 0), -X_EBUSY);
	assert_int_equal(two(VFS_RENAME, "/etc", "/home/..", 0), -X_EBUSY);
	assert_int_equal(two(VFS_RENAME, "/", "/x", 0), -X_EBUSY);
	assert_int_equal(two(VFS_RENAME, "/etc/..", "/proc/x", 0), -X_EXDEV);
	assert_int_equal(two(VFS_RENAME, "/etc/..", "/nope/x", 0), -X_ENOENT);
	assert_int_equal(two(VFS_RENAME, "/etc/free", "/etc/.", 1), -X_EEXIST);
	assert_int_equal(two(VFS_RENAME, "/etc/free/", "/etc/user2", 1), -X_EEXIST);
	assert_int_equal(two(VFS_RENAME, "/etc/free", "/nope/x", 0), -X_ENOENT);
	assert_int_equal(two(VFS_RENAME, "/etc/free", "", 0), -X_ENOENT);
	assert_int_equal(two(VFS_RENAME, "/etc/free", "/etc/x", 4), -X_EINVAL);
	assert_int_equal(DO(VFS_RENAME, "free", "moved", NULL, 0, 0, 3, (x_handle_t)(8000 + etc), (x_handle_t)(8000 + home))->msg.status, 0);
	assert_int_equal(ino("/home/moved"), passwd);
	assert_int_equal(DO(VFS_RENAME, "/home/moved", "back", NULL, 0, 0, 2, (x_handle_t)(8000 + etc), 0)->msg.status, 0);
	assert_int_equal(ino("/etc/back"), passwd);
	assert_int_equal(DO(VFS_RENAME, "back", "y", NULL, 0, 0, 3, (x_handle_t)(8000 + etc), 0)->msg.status, -X_EBADF);
}

static void test_link(void **state)
{
	(void)state;
	link_to(&disk, home, "sym", "/etc/passwd");
	assert_int_equal(two(VFS_LINK, "/etc/passwd", "/home/hard", 0), 0);
	assert_int_equal(two(VFS_LINK, "/etc/passwd", "/home/hard", 0), -X_EEXIST);
	assert_int_equal(two(VFS_LINK, "/etc", "/home/d", 0), -X_EPERM);
	assert_int_equal(two(VFS_LINK, "/etc/passwd", "/home/new/", 0), -X_ENOENT);
	assert_int_equal(two(VFS_LINK, "/etc/passwd", "/home/..", 0), -X_EEXIST);
	assert_int_equal(two(VFS_LINK, "/etc/passwd", "/home/hard/", 0), -X_EEXIST);
	assert_int_equal(two(VFS_LINK, "/etc", "/nope/d", 0), -X_ENOENT);
	assert_int_equal(two(VFS_LINK, "/etc/passwd", "/proc/x", 0), -X_EXDEV);
	assert_int_equal(two(VFS_LINK, "/etc/passwd", "/proc/self/", 0), -X_EEXIST);
	assert_int_equal(two(VFS_LINK, "/etc/passwd", "/proc/x/", 0), -X_ENOENT);
	assert_int_equal(two(VFS_LINK, "/home/sym", "/home/l1", 0), 0);
	assert_true(is_link(&disk, child(&disk, home, "l1", 2)));
	assert_int_equal(two(VFS_LINK, "/home/sym", "/home/l2", 1), 0);
	assert_false(is_link(&disk, child(&disk, home, "l2", 2)));
}

static struct fake_call *exec_of(const char *path, struct file_attr *a)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, 0, VFSCTL_EXEC);

	in.msg.a[0] = session;
	fake_window(c, &in, path, (uint32_t)strlen(path), X_WIN_READ);
	fake_window(c, &in, a, sizeof(*a), X_WIN_WRITE);
	op_control_call(&in);
	return finish(c);
}

static void test_exec(void **state)
{
	struct file_attr a;

	(void)state;
	as_user(1);
	assert_int_equal(exec_of("/bin/tool", &a)->handle_count, 1);
	assert_int_equal(a.mode, F_S_IFREG | 0711);
	assert_int_equal(exec_of("/bin/sh", &a)->msg.status, -X_EACCES);
	assert_int_equal(exec_of("/bin", &a)->msg.status, -X_EACCES);
	assert_int_equal(exec_of("/bin/none", &a)->msg.status, -X_ENOENT);
}

static int64_t mount_type(const char *type, const char *where, uint64_t flags)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, session, VFS_MOUNT);

	fake_window(c, &in, "none", 4, X_WIN_READ);
	fake_window(c, &in, where, (uint32_t)strlen(where), X_WIN_READ);
	fake_window(c, &in, type, (uint32_t)strlen(type), X_WIN_READ);
	in.msg.a[0] = flags;
	op_session_call(session_find(session), &in);
	return finish(c)->msg.status;
}

static void test_mount(void **state)
{
	char text[1024];
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, 0, VFSCTL_MOUNTS);

	(void)state;
	assert_int_equal(mount_type("ext4", "/home", 0), -X_ENODEV);
	assert_int_equal(mount_type("proc", "/home", 0), -X_EBUSY);
	assert_int_equal(mount_type("devtmpfs", "/etc/passwd", 0), -X_ENOTDIR);
	assert_int_equal(mount_type("devtmpfs", "/", 0), -X_EBUSY);
	assert_int_equal(mount_type("devtmpfs", "/proc", 0), 0);      /* one over another */
	assert_int_equal(ino("/proc/null"), 2);
	assert_int_equal(op(VFS_UMOUNT, "/proc", 0), 0);
	assert_int_equal(ino("/proc/self"), self);
	assert_int_equal(mount_type("", "/", 32), 0);
	assert_int_equal(mount_type("", "/etc", 32), -X_EINVAL);
	assert_int_equal(mount_type("devtmpfs", "/home/user", 0), 0);
	assert_int_equal(ino("/home/user/../user/null"), 2);
	assert_int_equal(op(VFS_CHDIR, "/home/user/pts", 0), 0);
	assert_string_equal(cwd(), "/home/user/pts");
	assert_int_equal(op(VFS_UMOUNT, "/home/user", 0), -X_EBUSY);
	fake_window(c, &in, text, sizeof(text), X_WIN_WRITE);
	op_control_call(&in);
	finish(c);
	text[c->msg.status] = 0;
	assert_non_null(strstr(text, "/dev/vda / minix rw,relatime 0 0\n"));
	assert_non_null(strstr(text, "devtmpfs /home/user devtmpfs rw"));
	assert_int_equal(op(VFS_CHDIR, "/home", 0), 0);
	assert_int_equal(op(VFS_UMOUNT, "/home/user", 0), 0);
	assert_int_equal(ino("/home/user"), user);
	assert_int_equal(op(VFS_UMOUNT, "/home/user", 0), -X_EINVAL);
	assert_int_equal(op(VFS_UMOUNT, "/", 0), -X_EBUSY);
	assert_int_equal(op(VFS_UMOUNT, "/proc", 0), 0);
	assert_int_equal(ino("/proc/self"), -X_ENOENT);
	assert_int_equal(mount_type("proc", "/proc/", 0), 0);
	assert_int_equal(ino("/proc/self"), self);
	as_user(1);
	assert_int_equal(mount_type("devtmpfs", "/home", 0), -X_EPERM);
}

static void mounts_text(char *text, uint32_t bytes)
{
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, 0, VFSCTL_MOUNTS);

	fake_window(c, &in, text, bytes - 1, X_WIN_WRITE);
	op_control_call(&in);
	finish(c);
	assert_true(c->msg.status > 0);
	text[c->msg.status] = 0;
}

static void test_mount_options(void **state)
{
	enum { REMOUNT = 32 };
	struct file_attr a;
	char text[1024];

	(void)state;
	assert_int_equal(exec_of("/bin/tool", &a)->handle_count, 1);
	assert_int_equal(mount_type("", "/", REMOUNT | MOUNT_NOEXEC), 0);
	assert_int_equal(exec_of("/bin/tool", &a)->msg.status, -X_EACCES);
	mounts_text(text, sizeof(text));
	assert_non_null(strstr(text, "/dev/vda / minix rw,noexec,relatime 0 0\n"));
	/* What is refused changes nothing; what is allowed replaces all. */
	assert_int_equal(mount_type("", "/", REMOUNT | MOUNT_NODEV | 1), -X_EBUSY);
	assert_int_equal(exec_of("/bin/tool", &a)->msg.status, -X_EACCES);
	assert_int_equal(mount_type("", "/", REMOUNT | MOUNT_NOSUID), 0);
	assert_int_equal(exec_of("/bin/su", &a)->handle_count, 1);
	assert_int_equal(a.mode, F_S_IFREG | 0755);
	assert_int_equal(mount_type("", "/", REMOUNT), 0);
	assert_int_equal(exec_of("/bin/su", &a)->handle_count, 1);
	assert_int_equal(a.mode, F_S_IFREG | F_S_ISUID | F_S_ISGID | 0755);

	assert_int_equal(mount_type("devtmpfs", "/home/user", MOUNT_NODEV | MOUNT_NOSUID), 0);
	mounts_text(text, sizeof(text));
	assert_non_null(strstr(text, "/home/user devtmpfs rw,nosuid,nodev,relatime 0 0\n"));
	assert_int_equal(op(VFS_OPEN, "/home/user/null", F_O_RDONLY), -X_EACCES);
	assert_true(op(VFS_OPEN, "/dev/null", F_O_RDONLY) >= 0);
	assert_int_equal(mount_type("", "/home/user", REMOUNT), 0);
	assert_true(op(VFS_OPEN, "/home/user/null", F_O_RDONLY) >= 0);
	assert_int_equal(op(VFS_UMOUNT, "/home/user", 0), 0);
}

/* The filesystem restarts with nothing: cwd, holds and mounts come back. */
static void test_restart(void **state)
{
	(void)state;
	assert_int_equal(op(VFS_CHDIR, "/home/user", 0), 0);
	disk.die = 1;
	assert_int_equal(ino("../../etc/passwd"), passwd);
	assert_string_equal(cwd(), "/home/user");
	assert_int_equal(ino("/proc/self"), self);
	assert_int_equal(disk.node[user].holds, 1);
	disk.die = 1;
	assert_int_equal(op(VFS_MKDIR, "sub", 0755), -X_EIO);   /* may have happened */
	assert_int_equal(op(VFS_MKDIR, "sub", 0755), 0);
	disk.id = 0;                                            /* died unnoticed */
	for (int i = 1; i < NODES_MAX; i++)
		disk.node[i].holds = disk.node[i].marked = 0;
	assert_int_equal(op(VFS_MKDIR, "sub2", 0755), 0);
	assert_int_equal(ino("/dev/null"), 2);
	disk.die = 2;                                           /* dies while it is mounted again */
	assert_int_equal(ino("."), user);
	assert_int_equal(DO(VFS_SYNC, NULL, NULL, NULL, 0, 0, 0, 0, 0)->msg.status, 0);
	proc.id = 0;
	assert_int_equal(ino("/proc/self"), self);
}

static void test_sessions(void **state)
{
	struct fake_call *c;
	uint64_t parent = session;

	(void)state;
	assert_int_equal(op(VFS_CHDIR, "/home", 0), 0);
	c = control(VFSCTL_SESSION, 78, parent);
	run();
	session = c->msg.a[0];
	assert_string_equal(cwd(), "/home");
	assert_int_equal(op(VFS_CHDIR, "/etc", 0), 0);
	assert_int_equal(disk.node[home].holds, 1);
	session_closed(parent);
	run();
	assert_int_equal(disk.node[home].holds, 0);
	assert_string_equal(cwd(), "/etc");
	c = control(VFSCTL_SESSION, 79, 12345);
	run();
	assert_int_equal(c->msg.status, -X_ESRCH);
	c = DO(VFS_UMASK, NULL, NULL, NULL, 0, 077, 0, 0, 0);
	assert_int_equal(c->msg.a[0], 022);
	assert_int_equal(op(VFS_MKDIR, "m", 0777), 0);
	assert_int_equal(disk.node[child(&disk, etc, "m", 1)].mode & 0777, 0700);
}

/* What is held for ever isn't counted up for ever. */
static void test_surplus(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(op(VFS_CHDIR, i & 1 ? "/" : "/etc", 0), 0);
	assert_true(disk.node[1].holds < 100);
}

static void test_limits(void **state)
{
	struct fake_call *calls[REQUESTS_PER_ACCOUNT + 1];
	struct file_attr a[REQUESTS_PER_ACCOUNT + 1];

	(void)state;
	stuck = true;
	for (int i = 0; i <= REQUESTS_PER_ACCOUNT; i++)
		calls[i] = begin(session, VFS_STAT, "/etc", NULL, &a[i], sizeof(a[i]), 0, 0, 0, 0);
	fake_fix_answers();
	assert_int_equal(calls[REQUESTS_PER_ACCOUNT]->answers, 1);
	assert_int_equal(calls[REQUESTS_PER_ACCOUNT]->msg.status, -X_EAGAIN);
	request_cancel(calls[3]->id);
	assert_int_equal(fake_cancels, 1);
	stuck = false;
	run();
	for (int i = 0; i < REQUESTS_PER_ACCOUNT; i++) {
		assert_int_equal(calls[i]->answers, 1);
		assert_int_equal(calls[i]->msg.status, 0);
	}
}

/* How often the disk was asked to open: 0, it was known. */
static unsigned asked_to_open(const char *path, uint64_t flags, int64_t status)
{
	unsigned before = disk.calls[FS_OPEN - FS_MOUNT];
	struct fake_call *c = open_path(path, flags);

	assert_int_equal(c->msg.status, status);
	assert_int_equal(c->handle_count, status == 0);
	return disk.calls[FS_OPEN - FS_MOUNT] - before;
}

static void make_known(const char *path)
{
	for (int i = 0; i < 3; i++)
		asked_to_open(path, F_O_RDONLY, 0);
	assert_int_equal(asked_to_open(path, F_O_RDONLY, 0), 0);
}

static void test_known(void **state)
{
	(void)state;
	time_to_pass_ns = 0;
	assert_int_equal(asked_to_open("/etc/./passwd", F_O_RDONLY, 0), 1);
	assert_int_equal(asked_to_open("/etc/./passwd", F_O_RDONLY, 0), 1);
	assert_int_equal(asked_to_open("/etc/./passwd", F_O_RDONLY, 0), 0);
	make_known("/etc/passwd");
	assert_int_equal(asked_to_open("/etc/passwd", F_O_RDONLY | F_O_CLOEXEC, 0), 0);
	/* others than those */
	assert_int_equal(asked_to_open("/etc//passwd", F_O_RDONLY, 0), 1);
	for (int i = 0; i < 4; i++)
		assert_int_equal(asked_to_open("/etc/passwd", F_O_RDWR, 0), 1);
	assert_int_equal(asked_to_open("/etc/passwd", F_O_RDONLY | F_O_NOFOLLOW, 0), 1);
	/* by whom, and from where */
	make_known("/etc/passwd");
	as_user(5);
	assert_int_equal(asked_to_open("/etc/passwd", F_O_RDONLY, 0), 1);
	as_user(0);
	assert_int_equal(asked_to_open("/etc/passwd", F_O_RDONLY, 0), 0);
	assert_int_equal(op(VFS_CHDIR, "/etc", 0), 0);
	make_known("passwd");
	assert_int_equal(op(VFS_CHDIR, "/home", 0), 0);
	asked_to_open("passwd", F_O_RDONLY, -X_ENOENT);
	/* what makes it another one */
	make_known("/etc/passwd");
	assert_int_equal(two(VFS_RENAME, "/etc/passwd", "/etc/old", 0), 0);
	asked_to_open("/etc/passwd", F_O_RDONLY, -X_ENOENT);
	make_known("/etc/old");
	fake_closes = 0;
	assert_int_equal(op(VFS_UNLINK, "/etc/old", 0), 0);
	assert_int_equal(fake_closes, 1);
	asked_to_open("/etc/old", F_O_RDONLY, -X_ENOENT);
	make_known("/bin/sh");
	disk.node[child(&disk, child(&disk, 1, "bin", 3), "sh", 2)].mode = F_S_IFREG;
	struct fs_setattr set = { .mask = ATTR_MODE };
	struct x_in in;
	struct fake_call *c = fake_call_new(&in, session, VFS_SETATTR);

	fake_window(c, &in, "/bin/sh", 7, X_WIN_READ);
	fake_window(c, &in, &set, sizeof(set), X_WIN_READ);
	op_session_call(session_find(session), &in);
	assert_int_equal(finish(c)->msg.status, 0);
	as_user(5);
	asked_to_open("/bin/sh", F_O_RDONLY, -X_EACCES);
	as_user(0);
	/* what proc makes up is asked for each time */
	for (int i = 0; i < 4; i++) {
		unsigned before = proc.calls[FS_OPEN - FS_MOUNT];

		assert_int_equal(open_path("/proc/self/stat", F_O_RDONLY)->msg.status, 0);
		assert_int_equal(proc.calls[FS_OPEN - FS_MOUNT], before + 1);
	}
	/* one that has become stale is opened anew */
	make_known("/bin/tool");
	fake_stale = true;
	assert_int_equal(asked_to_open("/bin/tool", F_O_RDONLY, 0), 1);
	assert_int_equal(asked_to_open("/bin/tool", F_O_RDONLY, 0), 1);
	fake_stale = false;
	/* nobody asks */
	make_known("/bin/tool");
	fake_closes = 0;
	time_to_pass_ns = 20ull * 1000 * 1000 * 1000;
	run();
	assert_true(fake_closes > 0);
	assert_int_equal(asked_to_open("/bin/tool", F_O_RDONLY, 0), 1);
}

/* An open and a change at the same time: the open may be either, but is not remembered. */
static void test_known_race(void **state)
{
	struct fake_call *opened, *removed;

	(void)state;
	asked_to_open("/etc/passwd", F_O_RDONLY, 0);
	stuck = true;
	opened = begin(session, VFS_OPEN, "/etc/passwd", NULL, NULL, 0, F_O_RDONLY, 0, 0, 0);
	removed = begin(session, VFS_UNLINK, "/etc/passwd", NULL, NULL, 0, 0, 0, 0, 0);
	stuck = false;
	finish(opened);
	finish(removed);
	assert_int_equal(opened->msg.status, 0);
	asked_to_open("/etc/passwd", F_O_RDONLY, -X_ENOENT);

	asked_to_open("/bin/sh", F_O_RDONLY, 0);
	stuck = true;
	removed = begin(session, VFS_UNLINK, "/bin/su", NULL, NULL, 0, 0, 0, 0, 0);
	opened = begin(session, VFS_OPEN, "/bin/sh", NULL, NULL, 0, F_O_RDONLY, 0, 0, 0);
	stuck = false;
	finish(removed);
	finish(opened);
	time_to_pass_ns = 0;
	assert_int_equal(asked_to_open("/bin/sh", F_O_RDONLY, 0), 1);
	assert_int_equal(asked_to_open("/bin/sh", F_O_RDONLY, 0), 0);
	time_to_pass_ns = 20ull * 1000 * 1000 * 1000;
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_plain), T(test_long), T(test_links), T(test_readlink), T(test_links_without_text),
		T(test_mounts), T(test_proc_link), T(test_names), T(test_open), T(test_devices),
		T(test_device_data), T(test_readdir), T(test_cwd), T(test_handles), T(test_chroot),
		T(test_chroot_to_mount), T(test_rename), T(test_link), T(test_exec), T(test_mount), T(test_mount_options),
		T(test_restart), T(test_sessions), T(test_surplus), T(test_limits),
		T(test_known), T(test_known_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
