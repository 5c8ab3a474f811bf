/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sessions: what a Linux process is to vfs. pm makes one for each process and
 * puts its handle where the process can neither pass it on nor inherit it, so
 * a call on the session object is the process's own.
 */

#include "servers/vfs/vfs.h"

const struct creds creds_root;
static struct session sessions[SESSIONS_MAX];
static uint64_t next_serial = 1;

bool creds_allow(const struct creds *who, uint32_t mode, uint32_t uid, uint32_t gid, uint32_t want)
{
	uint32_t i, granted = mode & 7;

	if (!who->uid)
		return !(want & 1) || (mode & 0111) || (mode & F_S_IFMT) == F_S_IFDIR;
	if (who->uid == uid)
		return ((mode >> 6) & want) == want;
	for (i = 0; i < who->group_count && who->groups[i] != gid; i++)
		;
	if (who->gid == gid || i < who->group_count)
		granted = mode >> 3 & 7;
	return (granted & want) == want;
}

struct session *session_find(uint64_t id)
{
	struct session *s = &sessions[id % SESSIONS_MAX];

	return id && s->id == id ? s : NULL;
}

/* The last one found is likely to be asked for again. */
struct session *session_of(uint64_t koid)
{
	static uint32_t last;

	if (sessions[last].id && sessions[last].koid == koid)
		return &sessions[last];
	for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
		if (!sessions[i].id || sessions[i].koid != koid)
			continue;
		last = i;
		return &sessions[i];
	}
	return NULL;
}

static struct session *find_free(void)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (!sessions[i].id)
			return &sessions[i];
	return NULL;
}

static void copy_or_begin(struct session *s, const struct session *from)
{
	if (from) {
		*s = *from;
	} else {
		memset(s, 0, sizeof(*s));
		s->root = s->cwd = mount_root_place();
		s->umask = 022;
	}
	s->id = 0;
	if (!hold_share(s->root))
		s->root = (struct place){ 0, 0 };
	if (!hold_share(s->cwd))
		s->cwd = (struct place){ 0, 0 };
}

static void drop_places(struct session *s)
{
	hold_drop(s->root);
	hold_drop(s->cwd);
}

/* VFSCTL_SESSION, when the root filesystem is there. */
void session_start(struct request *r)
{
	const struct session *from = session_find(r->in.msg.a[1]);
	struct session *s = find_free();
	struct x_out *out;
	int64_t handle;
	uint64_t id;

	if (r->in.msg.a[1] && !from) {
		request_finish(r, -X_ESRCH);
		return;
	}
	if (!s) {
		request_finish(r, -X_ENFILE);
		return;
	}
	copy_or_begin(s, from);
	id = object_id(KIND_SESSION, next_serial++ * SESSIONS_MAX + (uint64_t)(s - sessions));
	handle = sys_mint(id, 0, 0, 0);
	if (handle < 0) {
		drop_places(s);
		request_finish(r, handle);
		return;
	}
	s->id = id;
	s->koid = r->in.msg.a[0];
	s->pid = (uint32_t)r->in.msg.a[2];
	out = out_answer_entry(r->call_id);
	out->msg.a[0] = id;
	out->handles[0] = (x_handle_t)handle;
	out->handle_count = 1;
	request_drop(r);
}

bool sessions_use_mount(uint32_t mount)
{
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (sessions[i].id && (sessions[i].root.mount == mount || sessions[i].cwd.mount == mount))
			return true;
	return false;
}

void session_closed(uint64_t id)
{
	struct session *s = session_find(id);

	if (!s)
		return;
	drop_places(s);
	s->id = 0;
	lock_session_closed(id);
}

/* The object kind is 2^56 * n and SESSIONS_MAX a power of two: id % SESSIONS_MAX is the index. */
_Static_assert((SESSIONS_MAX & (SESSIONS_MAX - 1)) == 0, "session ids are split by a mask");

int64_t session_set_creds(const struct x_in *in)
{
	struct session *s = session_find(in->msg.a[0]);
	uint32_t groups[GROUPS_MAX], bytes = in_window(in, 0, X_WIN_READ);

	if (!s)
		return -X_ESRCH;
	if (bytes % 4 || bytes > sizeof(groups))
		return -X_EINVAL;
	if (bytes && window_read(in->id, 0, 0, groups, bytes) != bytes)
		return -X_EFAULT;
	memcpy(s->creds.groups, groups, bytes);
	s->creds.group_count = bytes / 4;
	s->creds.uid = (uint32_t)in->msg.a[1];
	s->creds.gid = (uint32_t)(in->msg.a[1] >> 32);
	s->creds.ruid = (uint32_t)in->msg.a[2];
	s->creds.rgid = (uint32_t)(in->msg.a[2] >> 32);
	return 0;
}

int64_t session_set_place(struct place *slot, struct place p)
{
	if (!hold_adopt(p))
		return -X_ENFILE;
	hold_drop(*slot);
	*slot = p;
	return 0;
}

uint32_t session_mode(const struct session *s, uint32_t mode)
{
	return (mode & ~s->umask) | (mode & 010 ? F_S_ASKED_IXGRP : 0);
}
