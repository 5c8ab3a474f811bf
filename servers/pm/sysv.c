/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V IPC: ids, keys and permissions, the same for all three kinds.
 */
#include "servers/pm/sysctl.h"
#include "servers/pm/sysv.h"

static uint32_t slot_of(const struct sysv_table *t, const struct sysv_object *o)
{
	return (uint32_t)(((const char *)o - (const char *)t->objects) / t->stride);
}

uint32_t sysv_id(const struct sysv_table *t, const struct sysv_object *o)
{
	return o->chosen ? o->chosen - 1 : o->seq * SYSV_ID_STRIDE + slot_of(t, o);
}

struct sysv_object *sysv_find(const struct sysv_table *t, uint32_t id)
{
	uint32_t slot = id % SYSV_ID_STRIDE;
	struct sysv_object *o = slot < t->count ? sysv_at(t, slot) : NULL;

	if (o && o->used && !o->chosen && o->seq == id / SYSV_ID_STRIDE)
		return o;
	for (uint32_t i = 0; i < t->count; i++)
		if (sysv_at(t, i)->used && sysv_at(t, i)->chosen == id + 1)
			return sysv_at(t, i);
	return NULL;
}

struct sysv_object *sysv_by_key(const struct sysv_table *t, uint32_t key)
{
	for (uint32_t i = 0; i < t->count; i++)
		if (sysv_at(t, i)->used && sysv_at(t, i)->key == key)
			return sysv_at(t, i);
	return NULL;
}

struct sysv_object *sysv_new(const struct sysv_table *t, const struct proc *p, uint32_t key, uint32_t flags)
{
	int32_t wanted = sysctl_take_next(t->next);

	for (uint32_t i = 0; i < t->count; i++) {
		struct sysv_object *o = sysv_at(t, i);
		uint16_t seq = (uint16_t)((o->seq + 1) % (INT32_MAX / SYSV_ID_STRIDE));

		if (o->used)
			continue;
		memset(o, 0, t->stride);
		*o = (struct sysv_object){
			.used = true, .seq = seq, .chosen = wanted >= 0 && !sysv_find(t, (uint32_t)wanted) ? (uint32_t)wanted + 1 : 0,
			.key = key, .uid = p->ids.euid, .gid = p->ids.egid,
			.cuid = p->ids.euid, .cgid = p->ids.egid, .mode = flags & 0777,
			.ctime = sysv_seconds(),
		};
		return o;
	}
	return NULL;
}

uint32_t sysv_used(const struct sysv_table *t)
{
	uint32_t used = 0;

	for (uint32_t i = 0; i < t->count; i++)
		used += sysv_at(t, i)->used;
	return used;
}

int sysv_highest(const struct sysv_table *t)
{
	int highest = 0;

	for (uint32_t i = 0; i < t->count; i++)
		if (sysv_at(t, i)->used)
			highest = (int)i;
	return highest;
}

bool sysv_may(const struct sysv_object *o, const struct proc *p, uint32_t want)
{
	uint32_t granted = o->mode, asked = want >> 6 | want >> 3 | want;

	if (p->ids.euid == 0)
		return true;
	if (p->ids.euid == o->uid || p->ids.euid == o->cuid)
		granted >>= 6;
	else if (creds_in_group(&p->ids, o->gid) || creds_in_group(&p->ids, o->cgid))
		granted >>= 3;
	return !(asked & ~granted & 7);
}

bool sysv_owner(const struct sysv_object *o, const struct proc *p)
{
	return p->ids.euid == 0 || p->ids.euid == o->uid || p->ids.euid == o->cuid;
}

void sysv_perm_get(const struct sysv_object *o, struct sysv_perm *perm)
{
	*perm = (struct sysv_perm){ .key = o->key, .uid = o->uid, .gid = o->gid, .cuid = o->cuid,
				    .cgid = o->cgid, .mode = o->mode, .seq = o->seq };
}

void sysv_perm_set(struct sysv_object *o, const struct sysv_perm *perm)
{
	o->uid = perm->uid;
	o->gid = perm->gid;
	o->mode = (o->mode & ~0777u) | (perm->mode & 0777);
	o->ctime = sysv_seconds();
}

uint64_t sysv_seconds(void)
{
	return (uint64_t)x_clock(X_CLOCK_REALTIME) / NS_PER_SECOND;
}

int sysv_stat_target(const struct sysv_table *t, const struct proc *p, uint32_t id, bool by_slot, bool any,
		     struct sysv_object **found)
{
	struct sysv_object *o = by_slot ? NULL : sysv_find(t, id);

	id %= SYSV_ID_STRIDE;
	if (by_slot && id < t->count && sysv_at(t, id)->used)
		o = sysv_at(t, id);
	if (!o)
		return -X_EINVAL;
	*found = o;
	return any || sysv_may(o, p, 0444) ? 0 : -X_EACCES;
}

int sysv_put(const struct x_in *in, const void *data, size_t bytes)
{
	if (!in->win_count || in->win[0].len < bytes)
		return -X_EFAULT;
	return window_write(in->id, 0, 0, data, bytes) == (int64_t)bytes ? 0 : -X_EFAULT;
}

int sysv_take(const struct x_in *in, void *data, size_t bytes)
{
	if (!in->win_count || in->win[0].len < bytes)
		return -X_EFAULT;
	return window_read(in->id, 0, 0, data, bytes) == (int64_t)bytes ? 0 : -X_EFAULT;
}

void sysv_drop(struct proc *p, bool ends)
{
	shm_drop(p);
	sem_drop(p, ends);
	msg_drop(p);
}

bool sysv_cancel(uint64_t call_id)
{
	return sem_cancel(call_id) || msg_cancel(call_id);
}
