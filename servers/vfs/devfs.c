/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev: a small tree, served by the same calls (proto/fs.h) as any filesystem,
 * but in this process and at once. Nothing can be made or removed in it; modes
 * and owners can be changed until the next boot. Behind the fixed nodes come
 * disks and partitions, as bdev tells of them (blockdev.c).
 *
 * Opening a device node answers -X_ENXIO with its number, as a filesystem on
 * disk does for one of its own, so that device.c has one way in.
 *
 * An open directory has no state but its id:
 *   kind << 56 | id of the mount or bind by which it was opened << 40 | inode << 32 | serial
 */

#include "lib/c/stdio.h"
#include "servers/vfs/vfs.h"

enum {
	INODE_ROOT = 1,
	DT_CHR = 2, DT_DIR = 4, DT_BLK = 6, DT_LNK = 10,
	DEVFS_MAGIC = 0x1373,
};

struct node {
	const char *name;
	const char *link;       /* S_IFLNK: its text */
	uint64_t rdev;
	uint32_t mode, uid, gid;
};

enum { PTYS = 64, INODE_PTY = 0x1000, PTY_MAJOR = 136 };

#define CHR(name, major, minor, mode) { name, NULL, (major) << 8 | (minor), F_S_IFCHR | (mode), 0, 0 }
#define LNK(name, text)               { name, text, 0, F_S_IFLNK | 0777, 0, 0 }
#define DIR(name, mode)               { name, NULL, 0, F_S_IFDIR | (mode), 0, 0 }

enum { FIXED_NODES = 18, BLOCK_NODES_MAX = 48, DRIVER_NODES_MAX = 8 };

/* Inode n is nodes[n - 1]; all but the root lie in the root. One without a name,
 * behind the fixed ones, is not there. */
static struct node nodes[FIXED_NODES + BLOCK_NODES_MAX + DRIVER_NODES_MAX] = {
	DIR("", 0755),
	CHR("null", 1, 3, 0666),
	CHR("zero", 1, 5, 0666),
	CHR("full", 1, 7, 0666),
	CHR("random", 1, 8, 0666),
	CHR("urandom", 1, 9, 0666),
	CHR("tty", 5, 0, 0666),
	CHR("console", 5, 1, 0666),
	CHR("ptmx", 5, 2, 0666),
	CHR("ttyS0", 4, 64, 0666),
	CHR("svc", 10, 200, 0600),
	CHR("loop-control", 10, 237, 0660),
	LNK("fd", "/proc/self/fd"),
	LNK("stdin", "/proc/self/fd/0"),
	LNK("stdout", "/proc/self/fd/1"),
	LNK("stderr", "/proc/self/fd/2"),
	LNK("shm", "/tmp"), /* a tmpfs, as programs want it there */
	DIR("pts", 0755),
};
enum { NODES = sizeof(nodes) / sizeof(nodes[0]) };
_Static_assert(FIXED_NODES < 64, "struct mount.marks has a bit for each");

/* Pseudo-terminals: inode INODE_PTY + n, in /dev/pts while they exist. */
static struct node ptys[PTYS];          /* name NULL: does not exist */
static char pty_names[PTYS][4];

static uint64_t next_serial = 1;

static bool is_there(uint64_t inode) { return inode <= FIXED_NODES || nodes[inode - 1].name; }

static struct node *node_of(uint64_t inode)
{
	if (inode >= INODE_PTY && inode < INODE_PTY + PTYS)
		return ptys[inode - INODE_PTY].name ? &ptys[inode - INODE_PTY] : NULL;
	return inode >= 1 && inode <= NODES && is_there(inode) ? &nodes[inode - 1] : NULL;
}

void devfs_pty_added(uint32_t n, uint32_t uid, uint32_t gid)
{
	if (n >= PTYS)
		return;
	snprintf(pty_names[n], sizeof(pty_names[n]), "%u", n);
	ptys[n] = (struct node){
		.name = pty_names[n], .rdev = PTY_MAJOR << 8 | n, .mode = F_S_IFCHR | 0620, .uid = uid, .gid = gid,
	};
}

void devfs_pty_gone(uint32_t n)
{
	if (n < PTYS)
		ptys[n].name = NULL;
}

int devfs_path_of_rdev(uint64_t rdev, char *text, size_t size)
{
	uint64_t inode;

	if (rdev >> 8 == PTY_MAJOR)
		return snprintf(text, size, "/dev/pts/%u", (unsigned)(rdev & 0xff));
	for (inode = 1; inode <= NODES; inode++)
		if (is_there(inode) && nodes[inode - 1].rdev == rdev && nodes[inode - 1].rdev)
			return snprintf(text, size, "/dev/%s", nodes[inode - 1].name);
	return 0;
}

static bool is_pts(uint64_t inode)
{
	return inode > INODE_ROOT && inode <= FIXED_NODES && !strcmp(nodes[inode - 1].name, "pts");
}

static bool is_dir(const struct node *n) { return (n->mode & F_S_IFMT) == F_S_IFDIR; }
static bool is_link(const struct node *n) { return (n->mode & F_S_IFMT) == F_S_IFLNK; }

static bool is_name(const struct node *n, const char *name, uint32_t bytes)
{
	return n->name && strlen(n->name) == bytes && !memcmp(n->name, name, bytes);
}

static uint64_t find_name(uint64_t dir, const char *name, uint32_t bytes)
{
	for (uint64_t n = 0; is_pts(dir) && n < PTYS; n++)
		if (is_name(&ptys[n], name, bytes))
			return INODE_PTY + n;
	if (dir != INODE_ROOT)
		return 0;
	for (uint64_t inode = INODE_ROOT + 1; inode <= NODES; inode++)
		if (is_name(&nodes[inode - 1], name, bytes))
			return inode;
	return 0;
}

static void fill_attr(const struct mount *m, uint64_t inode, struct file_attr *attr)
{
	const struct node *n = node_of(inode);

	memset(attr, 0, sizeof(*attr));
	attr->dev = m ? m->id : 0;
	attr->ino = inode;
	attr->mode = n->mode;
	attr->nlink = inode == INODE_ROOT ? 3 : is_dir(n) ? 2 : 1;
	attr->uid = n->uid;
	attr->gid = n->gid;
	attr->rdev = n->rdev;
	attr->size = is_link(n) ? strlen(n->link) : 0;
	attr->block_bytes = 4096;
	attr->atime_ns = attr->mtime_ns = attr->ctime_ns = sys_realtime_ns();
}

void devfs_attr_of_rdev(uint64_t rdev, struct file_attr *attr)
{
	uint64_t inode = INODE_PTY + (rdev & 0xff);

	if (rdev >> 8 != PTY_MAJOR || !node_of(inode))
		for (inode = 1; inode < NODES && (!is_there(inode) || nodes[inode - 1].rdev != rdev); inode++)
			;
	fill_attr(mount_by_type("devtmpfs"), inode, attr);
}

static bool allowed(const struct fs_call *call, const struct node *n, uint32_t want)
{
	return creds_allow(call->who, n->mode, n->uid, n->gid, want);
}

/* A name keeps its inode while it is there; names are the caller's, and last. */
void devfs_set_blocks(const struct bdev_node *list, uint32_t count)
{
	static char names[BLOCK_NODES_MAX][sizeof(list->name)];
	uint64_t kept = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t inode = find_name(INODE_ROOT, list[i].name, (uint32_t)strlen(list[i].name));

		if (inode > FIXED_NODES)
			kept |= 1ull << (inode - FIXED_NODES - 1);
	}
	for (uint32_t i = 0; i < BLOCK_NODES_MAX; i++)
		if (!(kept >> i & 1))
			nodes[FIXED_NODES + i].name = NULL;
	for (uint32_t i = 0, slot = 0; i < count; i++) {
		if (find_name(INODE_ROOT, list[i].name, (uint32_t)strlen(list[i].name)))
			continue;
		while (slot < BLOCK_NODES_MAX && nodes[FIXED_NODES + slot].name)
			slot++;
		if (slot == BLOCK_NODES_MAX)
			return;
		memcpy(names[slot], list[i].name, sizeof(names[slot]));
		nodes[FIXED_NODES + slot] = (struct node){
			.name = names[slot], .rdev = list[i].rdev, .mode = F_S_IFBLK | 0660,
		};
	}
}

/* Nodes of services whose manifest says `node`: rs names their ports. The minor
 * number is the place of the handle in the list of those. */
void devfs_init(void)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < boot->handle_count && found < DRIVER_NODES_MAX; i++) {
		const char *name = boot->handles[i].name;

		if (strncmp(name, X_BOOT_NODE, strlen(X_BOOT_NODE)))
			continue;
		nodes[FIXED_NODES + BLOCK_NODES_MAX + found] = (struct node){
			.name = name + strlen(X_BOOT_NODE), .rdev = DRIVER_MAJOR << 8 | found, .mode = F_S_IFCHR | 0600,
		};
		found++;
	}
}

x_handle_t devfs_driver(uint64_t rdev)
{
	for (uint32_t i = FIXED_NODES + BLOCK_NODES_MAX; i < NODES; i++)
		if (nodes[i].name && nodes[i].rdev == rdev)
			return boot_handle(nodes[i].name - strlen(X_BOOT_NODE));
	return X_NO_HANDLE;
}

/* ---- the walk ---- */

struct walk_state {
	uint64_t inode;         /* where it is */
	uint32_t name, name_bytes; /* the last component looked at, in the path */
	uint32_t end;           /* behind it and the slashes that follow */
	bool slash;             /* some did */
};

static bool next_component(const struct fs_call *call, struct walk_state *w)
{
	uint32_t at = w->end;

	while (at < call->path_bytes && call->path[at] == '/')
		at++;
	w->name = at;
	while (at < call->path_bytes && call->path[at] != '/')
		at++;
	w->name_bytes = at - w->name;
	w->slash = at < call->path_bytes;
	while (at < call->path_bytes && call->path[at] == '/')
		at++;
	w->end = at;
	return w->name_bytes != 0;
}

static int64_t report_link(struct fs_call *call, const struct walk_state *w, const char *text)
{
	uint32_t bytes = (uint32_t)strlen(text);

	if (call->data_write && call->data_bytes >= bytes)
		memcpy(call->data, text, bytes);
	call->r[0] = INODE_ROOT;
	call->r[1] = w->end;
	call->r[2] = bytes;
	return -X_ESYMLINK;
}

static int64_t report_cross(struct fs_call *call, const struct walk_state *w, uint64_t inode, bool up)
{
	call->r[0] = inode;
	call->r[1] = w->end;
	call->r[2] = up;
	return -X_ECROSS;
}

static int64_t step(struct fs_call *call, struct walk_state *w, bool last)
{
	const struct node *n = node_of(w->inode);
	const char *name = call->path + w->name;
	uint64_t child;

	if (!is_dir(n))
		return -X_ENOTDIR;
	if (!allowed(call, n, 1))
		return -X_EACCES;
	if (w->name_bytes == 1 && name[0] == '.')
		return 0;
	if (w->name_bytes == 2 && name[0] == '.' && name[1] == '.') {
		if (w->inode == INODE_ROOT)
			return report_cross(call, w, INODE_ROOT, true);
		w->inode = INODE_ROOT;
		return 0;
	}
	child = find_name(w->inode, name, w->name_bytes);
	if (!child)
		return -X_ENOENT;
	if (child <= FIXED_NODES && call->mount->marks & 1ull << child)
		return report_cross(call, w, child, false);
	if (is_link(node_of(child)) && !(last && !w->slash && call->a[1] & FS_NOFOLLOW))
		return report_link(call, w, node_of(child)->link);
	w->inode = child;
	return 0;
}

/* To the end of the path, or (parent) to its last component, left in w->name. */
static int64_t walk(struct fs_call *call, struct walk_state *w, bool parent)
{
	int64_t status;
	bool last;

	memset(w, 0, sizeof(*w));
	w->inode = call->a[0];
	if (!node_of(w->inode))
		return -X_ENOENT;
	while (next_component(call, w)) {
		last = w->end == call->path_bytes;
		if (last && parent)
			return is_dir(node_of(w->inode)) ? 0 : -X_ENOTDIR;
		status = step(call, w, last);
		if (status)
			return status;
		if (w->slash && !is_dir(node_of(w->inode)))
			return -X_ENOTDIR;
	}
	return 0;
}

/* ---- operations ---- */

static int64_t open_dir(struct fs_call *call, uint64_t inode)
{
	uint64_t rest = (call->a[4] & 0xffff) << 40 | inode << 32 | (uint32_t)next_serial++;
	uint32_t flags = file_status_flags((uint32_t)call->a[3]);
	int64_t handle;

	handle = sys_mint(object_id(KIND_DEVDIR, rest), X_MINT_CURSOR, X_READY_IN, flags);
	if (handle < 0)
		return handle;
	call->handle = (x_handle_t)handle;
	return 0;
}

static int64_t do_open(struct fs_call *call, uint64_t inode)
{
	const struct node *n = node_of(inode);
	uint64_t flags = call->a[3];
	static const uint8_t want[] = { 4, 2, 6, 6 };

	call->r[0] = inode;
	call->r[1] = n->mode;
	call->r[2] = n->rdev;
	if ((flags & (F_O_CREAT | F_O_EXCL)) == (F_O_CREAT | F_O_EXCL))
		return -X_EEXIST;
	if (is_link(n))
		return -X_ELOOP;
	if (flags & F_O_DIRECTORY && !is_dir(n))
		return -X_ENOTDIR;
	if (is_dir(n) && flags & (F_O_ACCMODE | F_O_CREAT))
		return -X_EISDIR;
	if (!allowed(call, n, want[flags & F_O_ACCMODE]))
		return -X_EACCES;
	return is_dir(n) ? open_dir(call, inode) : -X_ENXIO;
}

static int64_t do_lookup(struct fs_call *call, uint64_t inode)
{
	struct file_attr attr;

	call->r[0] = inode;
	call->r[1] = node_of(inode)->mode;
	fill_attr(call->mount, inode, &attr);
	if (call->data_write && call->data_bytes >= sizeof(attr))
		memcpy(call->data, &attr, sizeof(attr));
	return 0;
}

static int64_t do_readlink(struct fs_call *call, uint64_t inode)
{
	const struct node *n = node_of(inode);
	uint32_t bytes;

	if (!is_link(n))
		return -X_EINVAL;
	bytes = (uint32_t)strlen(n->link);
	if (bytes > call->data_bytes)
		bytes = call->data_bytes;
	memcpy(call->data, n->link, bytes);
	return bytes;
}

static int64_t do_setattr(struct fs_call *call, uint64_t inode)
{
	struct node *n = node_of(inode);
	struct fs_setattr set;

	if (call->data_bytes < sizeof(set))
		return -X_EINVAL;
	memcpy(&set, call->data, sizeof(set));
	if (set.mask & (ATTR_UID | ATTR_GID) && call->who->uid)
		return -X_EPERM;
	if (call->who->uid && call->who->uid != n->uid)
		return -X_EPERM;
	if (set.mask & ATTR_MODE)
		n->mode = (n->mode & F_S_IFMT) | (set.mode & 07777);
	if (set.mask & ATTR_UID)
		n->uid = set.uid;
	if (set.mask & ATTR_GID)
		n->gid = set.gid;
	return 0;
}

static int64_t do_statfs(struct fs_call *call)
{
	struct file_statfs fs = {
		.type = DEVFS_MAGIC, .block_bytes = 4096, .files = NODES, .name_max = FS_NAME_MAX,
	};

	if (call->data_write && call->data_bytes >= sizeof(fs))
		memcpy(call->data, &fs, sizeof(fs));
	return 0;
}

static int64_t do_path(struct fs_call *call, uint64_t inode)
{
	const struct node *n = node_of(inode);
	uint32_t bytes = (uint32_t)strlen(n->name) + 1;

	if (inode >= INODE_PTY)
		return -X_EOPNOTSUPP;
	if (bytes > call->data_bytes)
		return -X_ERANGE;
	((char *)call->data)[0] = '/';
	memcpy((char *)call->data + 1, n->name, bytes - 1);
	return bytes;
}

static int64_t do_mark(struct fs_call *call, uint64_t inode)
{
	if (inode > FIXED_NODES)
		return -X_EOPNOTSUPP;
	if (call->a[1] & 1)
		call->mount->marks |= 1ull << inode;
	else
		call->mount->marks &= ~(1ull << inode);
	return 0;
}

/* Making and removing names: only the errors differ. */
static int64_t refuse_name(struct fs_call *call, bool makes)
{
	struct walk_state w;
	int64_t status = walk(call, &w, true);
	bool exists;

	if (status)
		return status;
	exists = find_name(w.inode, call->path + w.name, w.name_bytes) != 0;
	if (makes)
		return exists ? -X_EEXIST : -X_EPERM;
	return exists ? -X_EPERM : -X_ENOENT;
}

static int64_t do_parent(struct fs_call *call)
{
	struct walk_state w;
	int64_t status = walk(call, &w, true);

	if (status)
		return status;
	call->r[0] = w.inode;
	call->r[1] = w.name;
	call->r[2] = w.name_bytes;
	return 0;
}

static int64_t on_inode(struct fs_call *call, uint64_t inode)
{
	switch (call->op) {
	case FS_LOOKUP: return do_lookup(call, inode);
	case FS_OPEN: return do_open(call, inode);
	case FS_ACCESS: return allowed(call, node_of(inode), call->a[3] & 7) ? 0 : -X_EACCES;
	case FS_READLINK: return do_readlink(call, inode);
	case FS_SETATTR: return do_setattr(call, inode);
	default: return -X_ENOSYS;
	}
}

static int64_t serve(struct fs_call *call)
{
	struct walk_state w;
	int64_t status;

	if (call->op != FS_SYNC && !node_of(call->a[0]))
		return -X_ENOENT;
	switch (call->op) {
	case FS_PARENT: return do_parent(call);
	case FS_MKDIR: case FS_MKNOD: case FS_SYMLINK: case FS_LINK: return refuse_name(call, true);
	case FS_UNLINK: case FS_RMDIR: case FS_RENAME: return refuse_name(call, false);
	case FS_STATFS:
		status = walk(call, &w, false);
		return status ? status : do_statfs(call);
	case FS_SYNC: return 0;
	case FS_PATH: return do_path(call, call->a[0]);
	case FS_MARK_MOUNT: return do_mark(call, call->a[0]);
	default: break;
	}
	status = walk(call, &w, false);
	if (status == -X_ENOENT && call->op == FS_OPEN && call->a[3] & F_O_CREAT)
		return refuse_name(call, true);
	return status ? status : on_inode(call, w.inode);
}

bool devfs_call(struct fs_call *call)
{
	call->status = serve(call);
	return true;
}

/* ---- open directories ---- */

static uint8_t type_of(const struct node *n)
{
	return is_dir(n) ? DT_DIR : is_link(n) ? DT_LNK : (n->mode & F_S_IFMT) == F_S_IFBLK ? DT_BLK : DT_CHR;
}

/* The entry of a directory at *cursor or behind, where *cursor is then: 0 ".",
 * 1 "..", then the nodes, or the pseudo-terminals from 2 on. */
static bool entry(uint64_t dir, uint64_t *cursor, uint64_t *inode, const char **name)
{
	while (is_pts(dir) && *cursor >= 2 && *cursor < PTYS + 2 && !ptys[*cursor - 2].name)
		(*cursor)++;
	while (dir == INODE_ROOT && *cursor >= 2 && *cursor <= NODES && !is_there(*cursor))
		(*cursor)++;
	if (*cursor < 2) {
		*inode = *cursor ? INODE_ROOT : dir;
		*name = *cursor ? ".." : ".";
		return true;
	}
	*inode = is_pts(dir) ? INODE_PTY + *cursor - 2 : *cursor;
	if (is_pts(dir) ? *cursor >= PTYS + 2 : dir != INODE_ROOT || *cursor > NODES)
		return false;
	*name = node_of(*inode)->name;
	return true;
}

static void read_dir(const struct x_in *in, uint64_t dir)
{
	static uint64_t buffer[256];
	char *out = (char *)buffer;
	uint32_t room = in_window(in, 0, X_WIN_WRITE), at = 0, bytes;
	uint64_t cursor = in->cursor, inode;
	struct file_dirent *d;
	const char *name;
	struct x_out *answer;

	if (room > sizeof(buffer))
		room = sizeof(buffer);
	for (; entry(dir, &cursor, &inode, &name); cursor++) {
		bytes = (uint32_t)(offsetof(struct file_dirent, name) + strlen(name) + 1 + 7) & ~7u;
		if (bytes > room - at)
			break;
		d = (struct file_dirent *)(out + at);
		memset(d, 0, bytes);
		d->ino = inode;
		d->next = (int64_t)cursor + 1;
		d->reclen = (uint16_t)bytes;
		d->type = type_of(node_of(inode));
		strlcpy(d->name, name, bytes - offsetof(struct file_dirent, name));
		at += bytes;
	}
	if (!at && entry(dir, &cursor, &inode, &name)) {
		out_status(in->id, -X_EINVAL);
		return;
	}
	if (at && window_write(in->id, 0, 0, buffer, at) < (int64_t)at) {
		out_status(in->id, -X_EFAULT);
		return;
	}
	answer = out_answer_entry(in->id);
	answer->msg.status = (int32_t)at;
	answer->flags = X_ANSWER_CURSOR;
	answer->value = cursor;
}

static void stat_dir(const struct x_in *in, const struct mount *m, uint64_t dir)
{
	struct file_attr attr;

	fill_attr(m, dir, &attr);
	out_status(in->id, window_write(in->id, 0, 0, &attr, sizeof(attr)) < (int64_t)sizeof(attr) ?
			   -X_EFAULT : 0);
}

static void statfs_dir(const struct x_in *in)
{
	struct file_statfs fs;
	struct fs_call call = { .data = &fs, .data_bytes = sizeof(fs), .data_write = true };

	do_statfs(&call);
	out_status(in->id, window_write(in->id, 0, 0, &fs, sizeof(fs)) < (int64_t)sizeof(fs) ? -X_EFAULT : 0);
}

void devfs_dir_call(const struct x_in *in)
{
	const struct mount *by = mount_by_id(in->object >> 40 & 0xffff), *m = by ? mount_fs(by) : NULL;
	uint64_t dir = in->object >> 32 & 0xff;
	struct x_msg msg = { .op = 0 };

	in_close_handles(in);
	if (!m || !node_of(dir)) {
		out_status(in->id, -X_ENOENT);  /* unmounted */
		return;
	}
	switch (in->msg.op) {
	case FILE_READDIR: read_dir(in, dir); break;
	case FILE_STAT: stat_dir(in, m, dir); break;
	case FILE_STATFS: statfs_dir(in); break;
	case FILE_IDENT:
		msg.a[0] = m->id;
		msg.a[1] = dir;
		msg.a[2] = by->id;
		out_answer(in->id, &msg);
		break;
	case FILE_READ: case FILE_WRITE: out_status(in->id, -X_EISDIR); break;
	case FILE_SYNC: out_status(in->id, 0); break;
	case FILE_SETATTR: out_status(in->id, -X_EPERM); break;
	case FILE_IOCTL: out_status(in->id, -X_ENOTTY); break;
	case FILE_MMAP: out_status(in->id, -X_ENODEV); break;
	case FILE_SIZE: out_answer(in->id, &msg); break;
	default: out_status(in->id, -X_EINVAL); break;
	}
}
