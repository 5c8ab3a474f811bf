/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The pool of requests, from a client's call to its one answer.
 *
 * A request has at most one call of its own under way (r->call). If the
 * filesystem of that call restarts, the request waits in REQUEST_MOUNT and the
 * call is made again, unless it may have happened: then the client gets EIO.
 */

#include "lib/region/region.h"
#include "proto/socket.h"
#include "servers/vfs/vfs.h"

enum { RESUME_AT_ONCE = 32 };
#define MOUNT_PATIENCE_NS (60ull * 1000 * 1000 * 1000)
#define SWEEP_NS          (5ull * 1000 * 1000 * 1000)

struct request requests[REQUESTS_MAX];
static uint32_t requests_end; /* all from here up are free, and have no call under way */
static struct server_timer resume_timer, sweep_timer;

void request_enter(struct request *r, enum request_state state)
{
	r->state = state;
}

uint32_t request_window(const struct request *r, unsigned window)
{
	return window < r->in.win_count ? r->in.win[window].len : 0;
}

void file_refuse(const struct x_in *in)
{
	in_close_handles(in);
	out_status(in->id, -X_ENOSYS);
}

/* All but the buffers is zero. Of one that was free at the last commit a rollback need not
 * restore more than that it was: its state, and that no call is under way. */
static void begin(struct request *r, const struct x_in *in)
{
	_Static_assert(offsetof(struct request, call.pending) % 8 == 0 && offsetof(struct request, held_count) % 8 == 0,
		       "filled by words");
	if (r->freed_epoch == server_epoch()) {
		memset(r, 0, offsetof(struct request, name));
		r->in = *in;
		return;
	}
	region_fill(&r->call_id, offsetof(struct request, call.pending) - offsetof(struct request, call_id));
	region_fill(&r->first, offsetof(struct request, held_count) - offsetof(struct request, first));
	region_put(&r->in, in, sizeof(r->in));
	r->phase = r->retries = r->stage = 0;
	r->cancelled = r->synced = r->opened = false;
	r->refusal = 0;
	r->held_count = r->name_bytes = r->data_bytes = 0;
}

/* The last slots are pm's, without which no process would end. */
struct request *request_new(const struct x_in *in, const struct session *s)
{
	struct request *r = NULL;
	bool client = in->object != 0;
	uint32_t same = 0, end = client ? REQUESTS_MAX - 8 : REQUESTS_MAX;

	for (uint32_t i = 0; i < end && i < requests_end; i++) {
		if (requests[i].state == REQUEST_FREE)
			r = requests[i].call.pending || r ? r : &requests[i];
		else
			same += requests[i].account == in->account;
	}
	if (!r && requests_end < end)
		r = &requests[requests_end];
	if (!r || (client && same >= REQUESTS_PER_ACCOUNT)) {
		in_close_handles(in);
		out_status(in->id, -X_EAGAIN);
		return NULL;
	}
	if (r == &requests[requests_end])
		requests_end++;
	begin(r, in);
	r->call_id = in->id;
	r->account = in->account;
	r->koid = in->account;
	r->root = mount_root_place();
	if (s) /* else it is root's, which is zeros */
		request_act_for(r, s);
	request_enter(r, REQUEST_CALL);
	return r;
}

void request_act_for(struct request *r, const struct session *s)
{
	r->session = s->id;
	r->root = s->root;
	memcpy(&r->who, &s->creds, offsetof(struct creds, groups) + s->creds.group_count * sizeof(s->creds.groups[0]));
	r->koid = s->koid;
}

void request_hold(struct request *r, struct place p)
{
	if (r->held_count < 3)
		r->held[r->held_count++] = p;
	else
		hold_drop(p);
}

void request_drop(struct request *r)
{
	while (r->held_count)
		hold_drop(r->held[--r->held_count]);
	in_close_handles(&r->in);
	request_enter(r, REQUEST_FREE);
	r->freed_epoch = server_epoch();
	while (requests_end && requests[requests_end - 1].state == REQUEST_FREE && !requests[requests_end - 1].call.pending)
		requests_end--;
}

static void synced(struct request *r)
{
	if (r->call.status >= 0 && r->opened) {
		request_finish_handle(r, r->magic);
		return;
	}
	if (r->opened)
		out_close(r->magic);
	request_finish(r, r->call.status);
}

/* Has it changed what is to be on the disk before anybody hears of it? */
static bool sync_first(struct request *r)
{
	struct mount *m = &mounts[r->walk.at.mount];

	if (r->synced || !(m->options & MOUNT_SYNC) || mount_fs(m)->internal)
		return false;
	switch (r->call.op) {
	case FS_MKDIR: case FS_MKNOD: case FS_SYMLINK: case FS_UNLINK: case FS_RMDIR: case FS_LINK: case FS_RENAME:
	case FS_SETATTR:
		break;
	case FS_OPEN:
		if (r->call.a[3] & (F_O_CREAT | F_O_TRUNC))
			break;
		return false;
	default:
		return false;
	}
	r->synced = true;
	request_prepare(r, m, FS_SYNC, m->root);
	if (request_submit(r, REQUEST_SYNC))
		synced(r);
	return true;
}

void request_finish(struct request *r, int64_t status)
{
	if (status >= 0 && r->state == REQUEST_CALL && sync_first(r))
		return;
	if (fs_status_is_loss(status) || status == -X_ECROSS || status == -X_ESYMLINK)
		status = -X_EIO;
	out_status(r->call_id, status);
	request_drop(r);
}

void request_finish_handle(struct request *r, x_handle_t h)
{
	struct x_out *out;

	r->magic = h;
	r->opened = true;
	if (r->state == REQUEST_CALL && sync_first(r))
		return;
	out = out_answer_entry(r->call_id);
	out->handles[0] = h;
	out->handle_count = 1;
	request_drop(r);
}

void request_finish_data(struct request *r, unsigned window, const void *data, uint32_t bytes, int64_t status)
{
	int64_t copied = 0;

	if (bytes)
		copied = window_write(r->call_id, window, 0, data, bytes);
	request_finish(r, copied < (int64_t)bytes ? -X_EFAULT : status);
}

bool request_uses_mount(uint32_t mount, const struct request *except)
{
	for (uint32_t i = 0; i < requests_end; i++)
		if (requests[i].state > REQUEST_BOOT && &requests[i] != except &&
		    requests[i].walk.at.mount == mount)
			return true;
	return false;
}

/* ---- calls ---- */

struct fs_call *request_prepare(struct request *r, struct mount *m, uint32_t op, uint64_t inode)
{
	struct fs_call *call = &r->call;

	if (call->owner) /* else it is as it was made */
		memset(call, 0, sizeof(*call));
	call->mount = m ? mount_fs(m) : NULL;
	call->op = op;
	call->a[0] = inode;
	call->who = &r->who;
	call->koid = r->koid;
	call->owner = r;
	call->handle = X_NO_HANDLE;
	return call;
}

static void dispatch(struct request *r)
{
	if (r->state == REQUEST_SYNC)
		synced(r);
	else if (r->state == REQUEST_IDENT)
		walk_identified(r);
	else if (r->state == REQUEST_MAGIC)
		walk_magic_known(r);
	else if (r->state == REQUEST_WALK || r->state == REQUEST_LINK)
		walk_replied(r);
	else
		op_called(r);
}

/* May the call have had an effect that a second one would trip over? */
static bool repeatable(const struct fs_call *call)
{
	switch (call->op) {
	case FS_OPEN:
		return !(call->a[3] & (F_O_EXCL | F_O_TRUNC));
	case FS_XATTR:
		return (call->a[3] & FS_XATTR_OP) == FS_XATTR_GET || (call->a[3] & FS_XATTR_OP) == FS_XATTR_LIST;
	case FS_LOOKUP: case FS_PARENT: case FS_ACCESS: case FS_READLINK: case FS_SETATTR:
	case FS_STATFS: case FS_SYNC: case FS_PATH: case FS_MAPPED: case FS_MARK_MOUNT:
	case FS_OPENED:
		return true;
	default:
		return false;
	}
}

static void sweep(void *ctx);

static void wait_for_mount(struct request *r)
{
	if (!r->waiting_ns)
		r->waiting_ns = server_now_ns;
	r->resume_state = r->state;
	request_enter(r, REQUEST_MOUNT);
	if (!sweep_timer.deadline_ns) {
		sweep_timer.fn = sweep;
		timer_set(&sweep_timer, server_now_ns + SWEEP_NS);
	}
}

static void call_done(struct fs_call *call)
{
	struct request *r = call->owner;
	bool again;

	if (call->status == -X_EROFS) /* so it has become, for it met damage; to be seen in /proc/mounts */
		call->mount->rdonly = true;
	if (fs_status_is_loss(call->status)) {
		mount_lost(call->mount);
		again = call->status == -X_ESTALE_HANDLE || repeatable(call);
		if (again && r->retries++ < RETRIES_MAX) {
			wait_for_mount(r);
			return;
		}
		call->status = -X_EIO;
	}
	dispatch(r);
}

/* True: done already, and the caller goes on; else the result is dispatched. */
bool request_submit(struct request *r, enum request_state state)
{
	request_enter(r, state);
	r->call.done = call_done;
	if (r->call.mount->state == MOUNT_FREE || r->call.mount->state == MOUNT_FAILED) {
		r->call.status = -X_EIO;
		return true;
	}
	if (r->call.mount->state != MOUNT_READY) {
		wait_for_mount(r);
		return false;
	}
	return fs_submit(&r->call);
}

void request_call(struct request *r, uint8_t phase)
{
	r->phase = phase;
	if (request_submit(r, REQUEST_CALL))
		op_called(r);
}

/* ---- calls on handles ---- */

static void handle_replied(void *ctx, const struct x_in *in)
{
	struct request *r = ctx;

	r->call.pending = false;
	r->call.status = in->msg.status;
	memcpy(r->call.r, in->msg.a, sizeof(r->call.r));
	r->call.handle = in->msg.status < 0 ? X_NO_HANDLE : in_take(in, 0);
	r->call.second = X_NO_HANDLE;
	if (in->msg.status >= 0 && r->in.msg.op == VFS_OPEN && r->phase == OPEN_PTMX)
		r->call.second = in_take(in, 1);
	if (fs_status_is_loss(r->call.status))
		r->call.status = -X_EIO;
	dispatch(r);
}

void request_handle_call(struct request *r, enum request_state state, uint8_t phase, x_handle_t h,
			 const struct x_msg *msg, void *data, uint32_t data_bytes)
{
	struct x_out *out;

	request_prepare(r, NULL, 0, 0);
	out = out_start(h, handle_replied, r, &r->call.cookie);
	request_enter(r, state);
	r->phase = phase;
	r->call.pending = true;
	out->msg = *msg;
	if (data_bytes) {
		out->win[0].addr = (uintptr_t)data;
		out->win[0].len = data_bytes;
		out->win[0].flags = X_WIN_WRITE;
		out->win_count = 1;
	}
}

/* ---- waiting ---- */

void request_boot(struct request *r)
{
	int64_t status = mount_boot_status();

	request_enter(r, status ? REQUEST_CALL : REQUEST_BOOT);
	r->root = mount_root_place();
	if (status)
		op_boot(r, status);
}

/* A request whose mount is decided; false: it waits on. */
static bool resume_one(struct request *r)
{
	enum mount_state state;

	if (r->state == REQUEST_BOOT && mount_boot_status()) {
		request_boot(r);
		return true;
	}
	if (r->state != REQUEST_MOUNT)
		return false;
	state = (enum mount_state)r->call.mount->state;
	if (state != MOUNT_READY && state != MOUNT_FREE && state != MOUNT_FAILED)
		return false;
	r->waiting_ns = 0;
	if (request_submit(r, (enum request_state)r->resume_state))
		dispatch(r);
	return true;
}

/* In slices: one outbox must hold what they start. */
static void resume(void *ctx)
{
	unsigned resumed = 0;

	(void)ctx;
	for (uint32_t i = 0; i < requests_end && resumed < RESUME_AT_ONCE; i++)
		resumed += resume_one(&requests[i]);
	if (resumed == RESUME_AT_ONCE)
		timer_set(&resume_timer, server_now_ns + 1);
}

void requests_resume(void)
{
	resume_timer.fn = resume;
	timer_set(&resume_timer, server_now_ns + 1);
}

static void sweep(void *ctx)
{
	bool waiting = false;

	(void)ctx;
	for (uint32_t i = 0; i < requests_end; i++) {
		if (requests[i].state != REQUEST_MOUNT)
			continue;
		if (server_now_ns - requests[i].waiting_ns > MOUNT_PATIENCE_NS)
			request_finish(&requests[i], -X_EIO);
		else
			waiting = true;
	}
	if (waiting)
		timer_set(&sweep_timer, server_now_ns + SWEEP_NS);
}

/* A call under way is asked to hurry and answers for itself. Programs expect no
 * EINTR from opening a file; what waits for other programs (FIFOs, locks) looks
 * at `cancelled` first. */
void request_cancel(uint64_t call_id)
{
	for (uint32_t i = 0; i < requests_end; i++) {
		struct request *r = &requests[i];

		if (r->state == REQUEST_FREE || r->call_id != call_id)
			continue;
		r->cancelled = true;
		if (r->in.msg.op == VFS_OPEN || r->in.msg.op == VFS_FLOCK || r->in.msg.op == VFS_LOCK ||
		    r->in.msg.op == SOCK_CONNECT || r->in.msg.op == SOCK_SEND)
			return;
		if (r->call.pending)
			out_cancel(r->call.cookie);
		else if (r->state == REQUEST_MOUNT || r->state == REQUEST_BOOT)
			request_finish(r, -X_EINTR);
		return;
	}
}
