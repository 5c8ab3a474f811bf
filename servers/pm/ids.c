/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Credentials: the set*id calls by the rules of Linux, and telling vfs, which
 * checks permissions by what it was told last. A call is answered when vfs
 * knows, so that the next open(2) goes by the new ids.
 */
#include "servers/pm/pm.h"

enum { UPDATES_MAX = 64 };

static struct update {
	bool used;
	uint32_t generation;     /* of proc */
	struct proc *proc;
	uint64_t call_id;        /* 0: exec; the process is suspended until vfs knows */
	uint64_t result;
} updates[UPDATES_MAX];

/* A new program must not run with what vfs thinks of the old one. */
static void go_on(struct proc *p, int status)
{
	if (status < 0)
		proc_kill(p, SIGNAL_KILL);
	else if (p->state == PROC_RUNNING || p->state == PROC_SPAWNING)
		out_do(X_SYS_proc_suspend, p->process, 0, 0, 0, 0);
}

static void creds_known(void *ctx, const struct x_in *reply)
{
	struct update *u = ctx;
	bool there = u->proc->state != PROC_FREE && u->proc->generation == u->generation;

	if (reply->msg.status < 0)
		server_log("vfs did not take new credentials: %d", (int)reply->msg.status);
	if (u->call_id == 0 && there)
		go_on(u->proc, reply->msg.status);
	else if (u->call_id && reply->msg.status < 0)
		out_status(u->call_id, -X_EAGAIN);
	else if (u->call_id)
		answer_value(u->call_id, u->result);
	u->used = false;
}

static struct update *update_new(void)
{
	for (struct update *u = updates; u < updates + UPDATES_MAX; u++)
		if (!u->used)
			return u;
	return NULL;
}

void creds_send(struct proc *p, uint64_t call_id, uint64_t result)
{
	struct update *u = update_new();
	struct pm_ids *ids = &p->ids;
	struct x_out *out;

	if (!u) { /* no table space */
		if (call_id)
			out_status(call_id, -X_EAGAIN);
		else
			go_on(p, -X_EAGAIN);
		return;
	}
	*u = (struct update){ true, p->generation, p, call_id, result };
	out = out_start(vfs_port, creds_known, u, NULL);
	out->msg.op = VFSCTL_CREDS;
	out->msg.a[0] = p->vfs_session;
	out->msg.a[1] = ids->fsuid | (uint64_t)ids->fsgid << 32;
	out->msg.a[2] = ids->uid | (uint64_t)ids->gid << 32;
	out->win[0] = (struct x_window){ (uintptr_t)ids->groups, ids->ngroups * 4, X_WIN_READ };
	out->win_count = 1;
}

bool creds_in_group(const struct pm_ids *ids, uint32_t gid)
{
	if (ids->fsgid == gid)
		return true;
	for (uint32_t i = 0; i < ids->ngroups && i < GROUPS_MAX; i++)
		if (ids->groups[i] == gid)
			return true;
	return false;
}

bool creds_may(const struct pm_ids *ids, const struct file_attr *attr, uint32_t want)
{
	uint32_t bits = attr->mode;

	if (ids->fsuid == 0) /* may all, but execute only what somebody may */
		return !(want & 1) || (attr->mode & 0111);
	if (ids->fsuid == attr->uid)
		bits >>= 6;
	else if (creds_in_group(ids, attr->gid))
		bits >>= 3;
	return (bits & want) == want;
}

/* ---- the rules, once for user and once for group ids ---- */

struct triple { uint32_t real, effective, saved, fs; };

#define KEEP 0xffffffffu

static bool one_of(uint32_t id, const struct triple *t, bool saved_too)
{
	return id == KEEP || id == t->real || id == t->effective || (saved_too && id == t->saved);
}

static int set_one(struct triple *t, bool privileged, uint32_t id)
{
	if (id == KEEP)
		return -X_EINVAL;
	if (privileged)
		t->real = t->saved = id;
	else if (id != t->real && id != t->saved)
		return -X_EPERM;
	t->effective = t->fs = id;
	return 0;
}

static int set_re(struct triple *t, bool privileged, uint32_t real, uint32_t effective)
{
	struct triple old = *t;

	if (!privileged && (!one_of(real, t, false) || !one_of(effective, t, true)))
		return -X_EPERM;
	if (real != KEEP)
		t->real = real;
	if (effective != KEEP)
		t->effective = effective;
	if (real != KEEP || (effective != KEEP && effective != old.real))
		t->saved = t->effective;
	t->fs = t->effective;
	return 0;
}

static int set_res(struct triple *t, bool privileged, uint32_t real, uint32_t effective, uint32_t saved)
{
	if (!privileged && (!one_of(real, t, true) || !one_of(effective, t, true) ||
			    !one_of(saved, t, true)))
		return -X_EPERM;
	if (real != KEEP)
		t->real = real;
	if (effective != KEEP)
		t->effective = effective;
	if (saved != KEEP)
		t->saved = saved;
	t->fs = t->effective;
	return 0;
}

/* Never fails: it says what was before, and the caller compares. */
static void set_fs(struct triple *t, bool privileged, uint32_t id)
{
	if (id != KEEP && (privileged || one_of(id, t, true) || id == t->fs))
		t->fs = id;
}

static int set_triple(struct triple *t, bool privileged, uint32_t what, const uint64_t *a)
{
	switch (what) {
	case 0:
		return set_one(t, privileged, (uint32_t)a[0]);
	case 2:
		return set_re(t, privileged, (uint32_t)a[0], (uint32_t)a[1]);
	case 4:
		return set_res(t, privileged, (uint32_t)a[0], (uint32_t)a[1], (uint32_t)a[2]);
	}
	set_fs(t, privileged, (uint32_t)a[0]);
	return 0;
}

static int set_groups(struct proc *p, const struct x_in *in)
{
	uint32_t groups[GROUPS_MAX], bytes = in->win_count ? in->win[0].len : 0;

	if (p->ids.euid != 0)
		return -X_EPERM;
	if (bytes > sizeof(groups) || bytes % 4)
		return -X_EINVAL;
	if (bytes && window_read(in->id, 0, 0, groups, bytes) != bytes)
		return -X_EFAULT;
	memcpy(p->ids.groups, groups, bytes);
	p->ids.ngroups = bytes / 4;
	return 0;
}

static int set_ids(struct proc *p, uint32_t what, const struct x_in *in)
{
	struct pm_ids *i = &p->ids;
	bool privileged = i->euid == 0, group = what & 1;
	struct triple t = { i->uid, i->euid, i->suid, i->fsuid };
	int err;

	if (group)
		t = (struct triple){ i->gid, i->egid, i->sgid, i->fsgid };
	err = set_triple(&t, privileged, what & ~1u, &in->msg.a[1]);
	if (err)
		return err;
	if (group) {
		i->gid = t.real, i->egid = t.effective, i->sgid = t.saved, i->fsgid = t.fs;
	} else {
		i->uid = t.real, i->euid = t.effective, i->suid = t.saved, i->fsuid = t.fs;
	}
	return 0;
}

void setids_call(struct proc *p, const struct x_in *in)
{
	uint64_t what = in->msg.a[0], result = 0;
	int err;

	if (what == 6)
		result = p->ids.fsuid;
	if (what == 7)
		result = p->ids.fsgid;
	if (what < 8)
		err = set_ids(p, (uint32_t)what, in);
	else
		err = what == 8 ? set_groups(p, in) : -X_EINVAL;
	if (err) {
		out_status(in->id, err);
		return;
	}
	ids_publish(p);
	creds_send(p, in->id, result);
}
