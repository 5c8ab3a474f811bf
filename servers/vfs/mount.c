/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The mounted filesystems: how each starts, and how it comes back.
 *
 * First start:  MOUNTING (FS_MOUNT, remote ones) -> FINDING (look up the mount
 *               point; MAKING if it may be made) -> MARKING -> READY.
 *               The root has no mount point; VFS_MOUNT brings its own.
 * Restart:      a filesystem that lost its memory answers -X_ESTALE_HANDLE to
 *               all but FS_MOUNT, or -X_EDEAD to what it was doing. Then
 *               MOUNTING -> REHOLDING (inodes of sessions and mounts are held
 *               again, one by one) -> REMARKING (mount points) -> READY.
 *               Requests for it wait in REQUEST_MOUNT meanwhile.
 *
 * MOUNT_LOST waits a little, longer each time, before it begins anew.
 */

#include "lib/c/stdio.h"
#include "proto/rs.h"
#include "servers/vfs/vfs.h"

enum {
	FIRST_ATTEMPTS = 10,
	RETRY_FIRST_NS = 100 * 1000 * 1000,
	RETRY_SHIFT_MAX = 6,
	LEAVE_PERIOD_NS = 200 * 1000 * 1000,
};

struct mount mounts[MOUNTS_MAX];
static uint32_t next_id = 1;
static int64_t boot_status;             /* see mount_boot_status() */
static uint32_t boot_pending;           /* of /dev and /tmp: not decided yet */

static void begin(struct mount *m);
static void advance(struct mount *m);

static void mount_enter(struct mount *m, enum mount_state state)
{
	if (state == MOUNT_READY || state == MOUNT_LOST)
		server_log("%s on %s: %s", m->type, m->path,
			   state == MOUNT_LOST ? "lost, mounting again" : "mounted");
	m->state = state;
	known_forget_all();
}

/* ---- finding mounts ---- */

struct mount *mount_by_id(uint64_t id)
{
	for (uint32_t i = 0; i < MOUNTS_MAX; i++)
		if (mounts[i].state != MOUNT_FREE && mounts[i].id == id)
			return &mounts[i];
	return NULL;
}

struct mount *mount_by_type(const char *type)
{
	for (uint32_t i = 0; i < MOUNTS_MAX; i++)
		if (mounts[i].state != MOUNT_FREE && !mount_is_bind(&mounts[i]) && !strcmp(mounts[i].type, type))
			return &mounts[i];
	return NULL;
}

struct mount *mount_on(struct place covered)
{
	for (uint32_t i = 1; i < MOUNTS_MAX; i++)
		if (mounts[i].attached && place_equal(mounts[i].covered, covered))
			return &mounts[i];
	return NULL;
}

struct mount *mount_covering(struct place seen, const struct mount *except)
{
	for (uint32_t i = 1; i < MOUNTS_MAX; i++)
		if (&mounts[i] != except && mounts[i].attached &&
		    place_equal(place_in_fs(mounts[i].covered), place_in_fs(seen)))
			return &mounts[i];
	return NULL;
}

struct place mount_root_place(void)
{
	return (struct place){ 0, mounts[0].root };
}

struct mount *mount_new(const char *source, const char *type)
{
	for (uint32_t i = 0; i < MOUNTS_MAX; i++) {
		struct mount *m = &mounts[i];

		if (m->state != MOUNT_FREE || m->call.pending)
			continue;
		memset(m, 0, sizeof(*m));
		m->id = next_id++;
		m->of = i;
		m->port = X_NO_HANDLE;
		strlcpy(m->source, source, sizeof(m->source));
		strlcpy(m->type, type, sizeof(m->type));
		m->makes_up_names = strcmp(type, "minix") && strcmp(type, "tmpfs");
		return m;
	}
	return NULL;
}

/* ---- the end of a job ---- */

static void begin_others(void)
{
	for (uint32_t i = 1; i < MOUNTS_MAX; i++)
		if (mounts[i].state == MOUNT_NEW)
			begin(&mounts[i]);
}

/* Boot is over when the root and the first /dev and /tmp are decided. */
static void boot_advance(const struct mount *m, int64_t status)
{
	if (boot_status)
		return;
	if (m == &mounts[0] && status < 0)
		boot_status = status;
	else if (m == &mounts[0])
		begin_others();
	else if (!strcmp(m->type, "devtmpfs") || !strcmp(m->type, "tmpfs"))
		boot_status = --boot_pending == 0;
}

static void ready(struct mount *m)
{
	struct request *waiter = m->waiter;

	mount_enter(m, MOUNT_READY);
	m->was_ready = true;
	m->attempts = 0;
	m->waiter = NULL;
	boot_advance(m, 0);
	if (waiter)
		mountop_attached(waiter, m);
	if (m->leave.fn)
		timer_set(&m->leave, server_now_ns + LEAVE_PERIOD_NS);
	requests_resume();
}

static void fail(struct mount *m, int64_t status)
{
	struct request *waiter = m->waiter;

	server_log("%s on %s: failed, error %d", m->type, m->path, (int)-status);
	m->waiter = NULL;
	if (m == &mounts[0])
		mount_enter(m, MOUNT_FAILED);
	else
		mount_detach(m);
	boot_advance(m, status);
	if (waiter)
		request_finish(waiter, status);
	requests_resume();
}

/* ---- processes for filesystems mounted besides those of the boot ---- */

static void pack_type(struct x_msg *msg, const char *type)
{
	char name[16] = "";

	strlcpy(name, type, sizeof(name));
	memcpy(msg->a, name, sizeof(name));
}

void mount_ask_instance(struct request *r, uint8_t phase, const char *type)
{
	struct x_msg msg = { .op = RS_INSTANCE_START };

	pack_type(&msg, type);
	request_handle_call(r, REQUEST_CALL, phase, boot_handle("rs"), &msg, NULL, 0);
}

x_handle_t mount_instance_port(const char *type, uint32_t instance)
{
	char name[24];

	snprintf(name, sizeof(name), "%s.%u", type, instance);
	return boot_handle(name);
}

static void ended(void *ctx, const struct x_in *in)
{
	(void)ctx;
	(void)in;       /* if rs died, it knows of no instances either */
}

void mount_end_instance(const char *type, uint32_t instance)
{
	struct x_out *out = out_start(boot_handle("rs"), ended, NULL, NULL);

	out->msg.op = RS_INSTANCE_STOP;
	pack_type(&out->msg, type);
	out->msg.a[2] = instance;
}

void mount_detach(struct mount *m)
{
	timer_clear(&m->retry);
	timer_clear(&m->leave);
	if (m->instance)
		mount_end_instance(m->type, m->instance);
	m->instance = 0;
	if (mount_is_bind(m))
		hold_drop((struct place){ mount_slot(m), m->root });
	else
		hold_forget_mount(mount_slot(m));
	if (m->covered.inode)
		hold_drop(m->covered);
	m->covered = (struct place){ 0, 0 };
	m->attached = false;
	m->path[0] = 0;
	mount_enter(m, MOUNT_FREE);
}

static void retry(void *ctx)
{
	struct mount *m = ctx;

	if (m->state == MOUNT_LOST && !m->call.pending)
		begin(m);
}

static void lose(struct mount *m)
{
	uint32_t shift = m->attempts < RETRY_SHIFT_MAX ? m->attempts : RETRY_SHIFT_MAX;

	mount_enter(m, MOUNT_LOST);
	hold_lost(mount_slot(m));
	m->lost_ns = server_now_ns;
	m->retry.fn = retry;
	m->retry.ctx = m;
	/* The new incarnation shares the old one's port, so the first try can go
	 * out at once: it waits in the queue. */
	timer_set(&m->retry, server_now_ns + (m->attempts ? (uint64_t)RETRY_FIRST_NS << shift : 1));
	if (m->attempts < UINT8_MAX)
		m->attempts++;
}

void mount_lost(struct mount *m)
{
	if (m->state == MOUNT_READY && !m->internal)
		lose(m);
}

/* ---- steps ---- */

static void step_done(struct fs_call *call);
static void left(struct mount *m, int64_t status);

static struct fs_call *prepare(struct mount *m, struct mount *at, uint32_t op, uint64_t inode)
{
	struct fs_call *call = &m->call;

	memset(call, 0, sizeof(*call));
	call->mount = mount_fs(at);
	call->op = op;
	call->a[0] = inode;
	call->who = &creds_root;
	call->done = step_done;
	call->owner = m;
	return call;
}

static void submit(struct mount *m)
{
	if (fs_submit(&m->call))
		step_done(&m->call);
}

/* Source and options for the filesystem: two texts, each with its NUL. */
static uint32_t mount_text(struct mount *m)
{
	uint32_t source = (uint32_t)strlen(m->source) + 1, data = (uint32_t)strlen(m->data) + 1;

	memcpy(m->text, m->source, source);
	memcpy(m->text + source, m->data, data);
	return source + data;
}

static void step_mount(struct mount *m)
{
	struct fs_call *call = prepare(m, m, FS_MOUNT, m->id);

	mount_enter(m, MOUNT_MOUNTING);
	call->a[1] = (m->want_rdonly ? FS_RDONLY : 0) | (m->options & MOUNT_NOATIME ? FS_NOATIME : 0);
	call->path = m->text;
	call->path_bytes = mount_text(m);
	call->data = m->buffer;
	call->data_bytes = sizeof(struct file_statfs);
	call->data_write = true;
	submit(m);
}

/* Mount points made by ourselves are at the top: "/dev", "/proc". */
static void step_find(struct mount *m)
{
	struct fs_call *call = prepare(m, &mounts[0], FS_LOOKUP, mounts[0].root);

	mount_enter(m, MOUNT_FINDING);
	call->path = m->path + 1;
	call->path_bytes = (uint32_t)strlen(m->path + 1);
	call->a[1] = FS_HOLD | FS_NOFOLLOW;
	submit(m);
}

static void step_make(struct mount *m)
{
	struct fs_call *call = prepare(m, &mounts[0], FS_MKDIR, mounts[0].root);

	mount_enter(m, MOUNT_MAKING);
	m->make_point = false;
	call->path = m->path + 1;
	call->path_bytes = (uint32_t)strlen(m->path + 1);
	call->a[1] = 0755ull << 32;
	submit(m);
}

static void step_mark(struct mount *m)
{
	struct fs_call *call = prepare(m, &mounts[m->covered.mount], FS_MARK_MOUNT, m->covered.inode);

	mount_enter(m, MOUNT_MARKING);
	call->a[1] = 1;
	if (mount_covering(m->covered, m)) {
		m->attached = true;
		ready(m);
	} else {
		submit(m);
	}
}

static void step_remark(struct mount *m)
{
	mount_enter(m, MOUNT_REMARKING);
	for (; m->cursor < MOUNTS_MAX; m->cursor++) {
		struct mount *child = &mounts[m->cursor];

		if (!child->attached || child == m || !child->covered.inode ||
		    mounts[child->covered.mount].of != mount_slot(m))
			continue;
		m->cursor++;
		prepare(m, m, FS_MARK_MOUNT, child->covered.inode)->a[1] = 1;
		submit(m);
		return;
	}
	ready(m);
}

static void step_rehold(struct mount *m)
{
	uint64_t inode;

	mount_enter(m, MOUNT_REHOLDING);
	while (hold_next(mount_slot(m), &m->cursor, &inode)) {
		if (inode == m->root)
			continue;       /* FS_MOUNT held it */
		prepare(m, m, FS_LOOKUP, inode)->a[1] = FS_HOLD;
		submit(m);
		return;
	}
	m->cursor = 0;
	step_remark(m);
}

static void begin(struct mount *m)
{
	if (!m->internal && !mount_is_bind(m)) {
		step_mount(m);
		return;
	}
	if (m->internal)
		m->root = 1;
	advance(m);
}

/* The filesystem runs: attach it, or take up again what it was. */
static void advance(struct mount *m)
{
	if (m->was_ready) {
		m->cursor = 0;
		step_rehold(m);
	} else if (m == &mounts[0]) {
		m->attached = true;
		ready(m);
	} else if (m->covered.inode) {
		step_mark(m);
	} else {
		step_find(m);
	}
}

static void mounted(struct mount *m, const struct fs_call *call)
{
	if (m->was_ready && call->r[0] != m->root) { /* it would be the same as before */
		server_complain(m->port);
		lose(m);
		return;
	}
	m->root = call->r[0];
	m->rdonly = m->want_rdonly || call->r[1];
	if (m->was_ready)
		hold_renewed(mount_slot(m), m->root, true);
	else if (!hold_adopt((struct place){ mount_slot(m), m->root })) {
		fail(m, -X_ENFILE);
		return;
	}
	advance(m);
}

static void found(struct mount *m, const struct fs_call *call)
{
	struct place covered = { 0, call->r[0] };

	if (!hold_adopt(covered)) {
		fail(m, -X_ENFILE);
		return;
	}
	m->covered = covered;
	if ((call->r[1] & F_S_IFMT) != F_S_IFDIR)
		fail(m, -X_ENOTDIR);
	else
		step_mark(m);
}

/* Its own filesystem, or the one it is mounted on, is gone: begin again. */
static void step_lost(struct mount *m, struct mount *at)
{
	if (at != m)
		mount_lost(at);
	if (!m->was_ready && m->attempts >= FIRST_ATTEMPTS)
		fail(m, -X_EIO);
	else
		lose(m);
}

/* ---- leaving: detached mounts go when nobody uses them any more ---- */

static void try_to_leave(void *ctx)
{
	struct mount *m = ctx;

	if (m->state != MOUNT_READY || mount_is_used(m, m->internal ? 0 : 1, NULL)) {
		timer_set(&m->leave, server_now_ns + LEAVE_PERIOD_NS);
	} else if (mount_fs(m)->internal) {
		mount_detach(m);
	} else if (mount_is_bind(m)) {
		m->state = MOUNT_LEAVING;
		prepare(m, m, FS_OPENED, 0)->a[3] = m->id;
		submit(m);
	} else {
		mount_enter(m, MOUNT_LEAVING);
		hold_trim((struct place){ mount_slot(m), m->root });
		prepare(m, m, FS_UNMOUNT, m->root);
		submit(m);
	}
}

static void left(struct mount *m, int64_t status)
{
	if (status >= 0) {
		mount_detach(m);
		return;
	}
	m->state = MOUNT_READY;         /* a file is open, or mapped */
	timer_set(&m->leave, server_now_ns + LEAVE_PERIOD_NS);
	requests_resume();
}

static void unmarked(void *ctx, const struct x_in *in)
{
	(void)ctx;
	(void)in;       /* a filesystem that restarted has no marks left */
}

void mount_unmark(struct place covered)
{
	struct mount *below = mount_fs(&mounts[covered.mount]);

	if (mount_covering(covered, NULL)) {
		;       /* it stays marked */
	} else if (below->internal) {
		struct fs_call call = { .mount = below, .op = FS_MARK_MOUNT, .a = { covered.inode } };

		(void)fs_submit(&call); /* devfs answers at once */
	} else {
		struct x_out *out = out_start(below->port, unmarked, NULL, NULL);

		out->msg.op = FS_MARK_MOUNT;
		out->msg.a[0] = covered.inode;
	}
}

/* And of all that is mounted in it. */
static void set_path(struct mount *m, const char *path)
{
	char old[sizeof(m->path)];
	size_t bytes = strlen(m->path);

	strlcpy(old, m->path, sizeof(old));
	strlcpy(m->path, path, sizeof(m->path));
	for (uint32_t i = 1; i < MOUNTS_MAX; i++) {
		struct mount *in = &mounts[i];
		char below[sizeof(m->path)];

		if (!in->attached || in->covered.mount != mount_slot(m) || strncmp(in->path, old, bytes))
			continue;
		snprintf(below, sizeof(below), "%s%s", path, in->path + bytes);
		set_path(in, below);
	}
}

void mount_move(struct mount *m, struct place covered, const char *path)
{
	struct place before = m->covered;

	known_forget_all();
	hold_share(covered);
	m->covered = covered;
	set_path(m, path);
	mount_unmark(before);
	hold_drop(before);
}

void mount_linger(struct mount *m)
{
	known_forget_all();
	m->attached = false;
	mount_unmark(m->covered);
	hold_drop(m->covered);
	m->covered = (struct place){ 0, 0 };
	m->leave.fn = try_to_leave;
	m->leave.ctx = m;
	timer_set(&m->leave, server_now_ns + 1);
}

static void step_done(struct fs_call *call)
{
	struct mount *m = call->owner;

	if (call->handle != X_NO_HANDLE)
		out_close(call->handle);
	if (fs_status_is_loss(call->status)) {
		step_lost(m, call->mount);
		return;
	}
	switch ((enum mount_state)m->state) {
	case MOUNT_MOUNTING:
		if (call->status < 0)
			m->was_ready ? lose(m) : fail(m, call->status);
		else
			mounted(m, call);
		break;
	case MOUNT_FINDING:
		if (call->status == -X_ENOENT && m->make_point)
			step_make(m);
		else if (call->status < 0)
			fail(m, call->status);
		else
			found(m, call);
		break;
	case MOUNT_MAKING:
		step_find(m);
		break;
	case MOUNT_MARKING:
		m->attached = call->status >= 0;
		call->status < 0 ? fail(m, call->status) : ready(m);
		break;
	case MOUNT_LEAVING:
		left(m, mount_is_bind(m) && call->status >= 0 && call->r[0] ? -X_EBUSY : call->status);
		break;
	case MOUNT_REHOLDING:
		hold_renewed(mount_slot(m), call->a[0], call->status >= 0);
		step_rehold(m);
		break;
	case MOUNT_REMARKING:
		step_remark(m);
		break;
	default:
		break;  /* detached meanwhile */
	}
}

void mount_attach(struct mount *m)
{
	begin(m);
}

/* ---- boot ---- */

static struct mount *boot_mount(const char *source, const char *type, const char *path, x_handle_t port)
{
	struct mount *m = mount_new(source, type);

	m->port = port;
	strlcpy(m->path, path, sizeof(m->path));
	m->state = MOUNT_NEW;
	return m;
}

static bool option_has_ro(const char *flags)
{
	return flags && flags[0] == 'r' && flags[1] == 'o' && (!flags[2] || flags[2] == ',');
}

void mounts_init(void)
{
	struct mount *root = boot_mount("/dev/vda", "minix", "/", boot_handle("minix"));
	struct mount *dev = boot_mount("devtmpfs", "devtmpfs", "/dev", X_NO_HANDLE);
	x_handle_t pm = boot_handle("pm"), tmpfs = boot_handle("tmpfs");

	boot_status = 0;
	boot_pending = 1;
	dev->internal = true;
	dev->make_point = true;
	if (tmpfs != X_NO_HANDLE) {
		boot_mount("tmpfs", "tmpfs", "/tmp", tmpfs)->make_point = true;
		boot_pending++;
	}
	if (pm != X_NO_HANDLE)
		boot_mount("proc", "proc", "/proc", pm);
	if (root->port == X_NO_HANDLE) {
		fail(root, -X_ENODEV);
		return;
	}
	root->want_rdonly = option_has_ro(boot_option("rootflags"));
	begin(root);
}

int64_t mount_boot_status(void)
{
	return boot_status > 0 && !blockdev_settled() ? 0 : boot_status;
}

/* ---- /proc/mounts, /proc/self/mountinfo ---- */

struct list { char *text; size_t bytes, at; };

__attribute__((format(printf, 2, 3)))
static void list_add(struct list *l, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(l->text + l->at, l->bytes - l->at, fmt, ap);
	va_end(ap);
	l->at += n > 0 && (size_t)n < l->bytes - l->at ? (size_t)n : l->bytes - l->at - 1;
}

/* What would end a word goes as \ooo. */
static void list_word(struct list *l, const char *word)
{
	for (; *word; word++)
		if (*word == ' ' || *word == '\t' || *word == '\n' || *word == '\\')
			list_add(l, "\\%03o", (unsigned)*word);
		else
			list_add(l, "%c", *word);
}

static void list_flags(struct list *l, const struct mount *m)
{
	list_add(l, "%s%s%s%s%s%s%s", m->want_rdonly || mount_fs(m)->rdonly ? "ro" : "rw", m->options & MOUNT_SYNC ? ",sync" : "",
		 m->options & MOUNT_NOSUID ? ",nosuid" : "",
		 m->options & MOUNT_NODEV ? ",nodev" : "", m->options & MOUNT_NOEXEC ? ",noexec" : "",
		 m->options & MOUNT_NOSYMFOLLOW ? ",nosymfollow" : "", m->options & MOUNT_NOATIME ? ",noatime" : ",relatime");
}

static void list_mount(struct list *l, const struct mount *m)
{
	list_word(l, m->source[0] ? m->source : "none");
	list_add(l, " ");
	list_word(l, m->path);
	list_add(l, " %s ", m->type);
	list_flags(l, m);
	list_add(l, "%s%s 0 0\n", m->data[0] ? "," : "", m->data);
}

static void list_info(struct list *l, const struct mount *m)
{
	bool is_root = m == &mounts[0];

	list_add(l, "%u %u 0:%u ", m->id, is_root ? 0 : mounts[m->covered.mount].id, mount_fs(m)->id);
	list_word(l, m->inside[0] ? m->inside : "/");
	list_add(l, " ");
	list_word(l, m->path);
	list_add(l, " ");
	list_flags(l, m);
	list_add(l, " - %s ", m->type);
	list_word(l, m->source[0] ? m->source : "none");
	list_add(l, " %s%s%s\n", mount_fs(m)->rdonly ? "ro" : "rw", m->data[0] ? "," : "", m->data);
}

int64_t mount_list(char *text, size_t bytes, bool info)
{
	struct list l = { text, bytes, 0 };

	for (uint32_t i = 0; i < MOUNTS_MAX; i++) {
		size_t before = l.at;

		if (!mounts[i].attached)
			continue;
		(info ? list_info : list_mount)(&l, &mounts[i]);
		if (l.at == bytes - 1)          /* no half lines */
			return (int64_t)before;
	}
	return (int64_t)l.at;
}
