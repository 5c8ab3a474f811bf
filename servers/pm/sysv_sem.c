/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V semaphores. An operation list is done as a whole or not at all; one
 * that cannot be done now is parked and looked at again, oldest first, whenever
 * a value of its set changed.
 */
#include "lib/c/slots.h"
#include "servers/pm/sysctl.h"
#include "servers/pm/sysv.h"

enum { PARKED_MAX = 256, UNDO_MAX = 2048 };

struct semaphore { uint16_t value; uint32_t pid; };

static struct set {
	struct sysv_object head;
	uint32_t count;
	uint64_t otime;
	struct semaphore sem[SEM_PER_SET];
} sets[SEM_SETS];

static const struct sysv_table table = { sets, SEM_SETS, sizeof(sets[0]), SYSCTL_SEM_NEXT };

static struct parked {
	uint64_t call_id, order; /* call_id 0: free */
	struct proc *proc;
	struct set *set;
	uint32_t count;
	struct sysv_sembuf ops[SEM_OPS], *blocked; /* blocked: the one that cannot be done */
} parked[PARKED_MAX];
static uint64_t parked_order;
static uint32_t parked_end;      /* all from here up are free */

#define for_each_parked(w) for (struct parked *w = parked; w < parked + parked_end; w++)

static void unpark(struct parked *w)
{
	w->call_id = 0;
	SLOTS_TRIM(parked, parked_end, call_id);
}

static struct undo {
	const struct proc *proc; /* NULL: free */
	struct set *set;
	uint32_t num;
	int32_t adjust;
} undos[UNDO_MAX];
static uint32_t undos_end;       /* all from here up are free */

#define for_each_undo(u) for (struct undo *u = undos; u < undos + undos_end; u++)

/* ---- undo ---- */

static struct undo *undo_of(const struct proc *p, struct set *s, uint32_t num)
{
	struct undo *free = NULL;

	for_each_undo(u) {
		if (u->proc == p && u->set == s && u->num == num)
			return u;
		if (!u->proc && !free)
			free = u;
	}
	if (!free && undos_end < UNDO_MAX)
		free = &undos[undos_end++];
	if (free)
		*free = (struct undo){ p, s, num, 0 };
	return free;
}

static void undo_forget(const struct set *s, int64_t num) /* -1: of all */
{
	for_each_undo(u)
		if (u->proc && u->set == s && (num < 0 || u->num == num))
			u->proc = NULL;
}

bool sem_has_undo(const struct proc *p)
{
	for_each_undo(u)
		if (u->proc == p)
			return true;
	return false;
}

static int undo_add(const struct proc *p, struct set *s, const struct sysv_sembuf *op)
{
	struct undo *u = undo_of(p, s, op->num);

	if (!u)
		return -X_ENOSPC;
	if (u->adjust - op->op > SEM_VALUE_MAX || u->adjust - op->op < -SEM_VALUE_MAX - 1)
		return -X_ERANGE;
	u->adjust -= op->op;
	return 0;
}

/* ---- operations ---- */

/* Takes the first `count` back. */
static void take_back(const struct proc *p, struct set *s, const struct sysv_sembuf *ops, uint32_t count)
{
	while (count-- > 0) {
		s->sem[ops[count].num].value = (uint16_t)(s->sem[ops[count].num].value - ops[count].op);
		if ((ops[count].flags & SEM_UNDONE) && ops[count].op)
			undo_of(p, s, ops[count].num)->adjust += ops[count].op;
	}
}

/* 1: it cannot be done now. */
static int operate_one(const struct proc *p, struct set *s, const struct sysv_sembuf *op)
{
	int32_t value = s->sem[op->num].value;
	int err = 0;

	if (op->op == 0)
		return value == 0 ? 0 : op->flags & (int)SYSV_NOWAIT ? -X_EAGAIN : 1;
	if (value + op->op < 0)
		return op->flags & (int)SYSV_NOWAIT ? -X_EAGAIN : 1;
	if (value + op->op > SEM_VALUE_MAX)
		return -X_ERANGE;
	if (op->flags & SEM_UNDONE)
		err = undo_add(p, s, op);
	if (!err)
		s->sem[op->num].value = (uint16_t)(value + op->op);
	return err;
}

/* All of them, or none: 0, an error, or 1 with *blocked. */
static int operate(const struct proc *p, struct set *s, struct sysv_sembuf *ops, uint32_t count,
		   struct sysv_sembuf **blocked)
{
	for (uint32_t i = 0; i < count; i++) {
		int result = operate_one(p, s, &ops[i]);

		if (result == 0)
			continue;
		*blocked = &ops[i];
		take_back(p, s, ops, i);
		return result;
	}
	for (uint32_t i = 0; i < count; i++)
		s->sem[ops[i].num].pid = p->ids.pid;
	s->otime = sysv_seconds();
	return 0;
}

static struct parked *next_parked(const struct set *s, uint64_t order)
{
	struct parked *next = NULL;

	for_each_parked(w)
		if (w->call_id && w->set == s && w->order > order && (!next || w->order < next->order))
			next = w;
	return next;
}

/* A value changed: from the oldest on, and again from there after each success. */
static void look_again(struct set *s)
{
	struct parked *w = next_parked(s, 0);

	while (w) {
		int result = operate(w->proc, s, w->ops, w->count, &w->blocked);
		uint64_t order = result == 0 ? 0 : w->order;

		if (result <= 0) {
			out_status(w->call_id, result);
			unpark(w);
		}
		w = next_parked(s, order);
	}
}

static void semop_call(struct proc *p, const struct x_in *in)
{
	struct set *s = (struct set *)sysv_find(&table, (uint32_t)in->msg.a[1]);
	uint64_t count = in->msg.a[2];
	struct parked *w = SLOT_FIND(parked, parked_end, call_id);
	uint32_t want = 0444;
	int result;

	if (!w) {
		out_status(in->id, -X_ENOMEM);
		return;
	}
	if (count < 1 || count > SEM_OPS) {
		out_status(in->id, count < 1 ? -X_EINVAL : -X_E2BIG);
		return;
	}
	result = sysv_take(in, w->ops, count * sizeof(w->ops[0]));
	if (!result && !s)
		result = -X_EINVAL;
	for (uint32_t i = 0; i < count && !result; i++) {
		if (w->ops[i].num >= s->count)
			result = -X_EFBIG;
		if (w->ops[i].op)
			want = 0222;
	}
	if (!result && !sysv_may(&s->head, p, want))
		result = -X_EACCES;
	if (!result)
		result = operate(p, s, w->ops, (uint32_t)count, &w->blocked);
	if (result <= 0) {
		out_status(in->id, result);
		if (result == 0)
			look_again(s);
		return;
	}
	if (in->msg.a[3] == 1) {
		out_status(in->id, -X_EINPROGRESS);
		return;
	}
	SLOT_TAKEN(parked, parked_end, w);
	w->call_id = in->id;
	w->order = ++parked_order;
	w->proc = p;
	w->set = s;
	w->count = (uint32_t)count;
}

bool sem_cancel(uint64_t call_id)
{
	for_each_parked(w) {
		if (w->call_id != call_id)
			continue;
		unpark(w);
		out_status(call_id, -X_EINTR);
		return true;
	}
	return false;
}

/* An exec (undo false) takes the undone operations along. */
void sem_drop(struct proc *p, bool undo)
{
	for_each_parked(w)
		if (w->proc == p)
			unpark(w);
	for_each_undo(u) {
		struct semaphore *sem;
		int32_t value;

		if (!undo || u->proc != p)
			continue;
		sem = &u->set->sem[u->num];
		value = sem->value + u->adjust;
		u->proc = NULL;
		sem->value = (uint16_t)(value < 0 ? 0 : value > SEM_VALUE_MAX ? SEM_VALUE_MAX : value);
		sem->pid = p->ids.pid;
		look_again(u->set);
	}
	SLOTS_TRIM(undos, undos_end, proc);
}

/* ---- making and controlling ---- */

static int64_t get(struct proc *p, const struct x_in *in)
{
	uint32_t key = (uint32_t)in->msg.a[1], flags = (uint32_t)in->msg.a[2];
	int32_t count = (int32_t)in->msg.a[3];
	struct sysv_object *o = key ? sysv_by_key(&table, key) : NULL;

	if (count < 0 || count > SEM_PER_SET)
		return -X_EINVAL;
	if (!o) {
		if (key && !(flags & SYSV_CREAT))
			return -X_ENOENT;
		if (count == 0)
			return -X_EINVAL;
		o = sysv_new(&table, p, key, flags);
		if (!o)
			return -X_ENOSPC;
		((struct set *)o)->count = (uint32_t)count;
		return sysv_id(&table, o);
	}
	if ((flags & (SYSV_CREAT | SYSV_EXCL)) == (SYSV_CREAT | SYSV_EXCL))
		return -X_EEXIST;
	if ((uint32_t)count > ((struct set *)o)->count)
		return -X_EINVAL;
	return sysv_may(o, p, flags & 0777) ? (int64_t)sysv_id(&table, o) : -X_EACCES;
}

static int64_t stat(struct proc *p, const struct x_in *in, bool by_slot, bool any)
{
	struct sysv_semid out = { .unused1 = 0 };
	struct sysv_object *o;
	int err = sysv_stat_target(&table, p, (uint32_t)in->msg.a[1], by_slot, any, &o);

	if (err)
		return err;
	sysv_perm_get(o, &out.perm);
	out.otime = ((struct set *)o)->otime;
	out.ctime = o->ctime;
	out.nsems = ((struct set *)o)->count;
	err = sysv_put(in, &out, sizeof(out));
	return err ? err : by_slot ? (int64_t)sysv_id(&table, o) : 0;
}

static int64_t limits(const struct x_in *in, bool use)
{
	struct sysv_seminfo out = {
		.semmap = SEM_SETS * SEM_PER_SET, .semmni = SEM_SETS, .semmns = SEM_SETS * SEM_PER_SET,
		.semmnu = UNDO_MAX, .semmsl = SEM_PER_SET, .semopm = SEM_OPS, .semume = SEM_OPS,
		.semusz = 20, .semvmx = SEM_VALUE_MAX, .semaem = SEM_VALUE_MAX,
	};
	int err;

	if (use) {
		out.semusz = (int32_t)sysv_used(&table);
		out.semaem = 0;
		for (uint32_t i = 0; i < SEM_SETS; i++)
			out.semaem += sets[i].head.used ? (int32_t)sets[i].count : 0;
	}
	err = sysv_put(in, &out, sizeof(out));
	return err ? err : sysv_highest(&table);
}

static uint32_t waiters(const struct set *s, uint32_t num, bool for_zero)
{
	uint32_t count = 0;

	for_each_parked(w)
		if (w->call_id && w->set == s && w->blocked->num == num && (w->blocked->op == 0) == for_zero)
			count++;
	return count;
}

static int64_t values(struct set *s, const struct x_in *in, bool change)
{
	uint16_t all[SEM_PER_SET];
	uint32_t bytes = s->count * 2;

	if (!change) {
		for (uint32_t i = 0; i < s->count; i++)
			all[i] = s->sem[i].value;
		return sysv_put(in, all, bytes);
	}
	if (sysv_take(in, all, bytes))
		return -X_EFAULT;
	for (uint32_t i = 0; i < s->count; i++)
		if (all[i] > SEM_VALUE_MAX)
			return -X_ERANGE;
	for (uint32_t i = 0; i < s->count; i++)
		s->sem[i].value = all[i];
	undo_forget(s, -1);
	s->head.ctime = sysv_seconds();
	look_again(s);
	return 0;
}

static int64_t one_value(struct proc *p, struct set *s, const struct x_in *in)
{
	uint64_t num = (uint32_t)in->msg.a[3];
	int32_t value = (int32_t)in->msg.a[4];

	if (in->msg.a[2] == SEM_SETVAL && (value < 0 || value > SEM_VALUE_MAX))
		return -X_ERANGE;
	if (num >= s->count)
		return -X_EINVAL;
	switch (in->msg.a[2]) {
	case SEM_GETVAL: return s->sem[num].value;
	case SEM_GETPID: return s->sem[num].pid;
	case SEM_GETNCNT: return waiters(s, (uint32_t)num, false);
	case SEM_GETZCNT: return waiters(s, (uint32_t)num, true);
	}
	s->sem[num].value = (uint16_t)value;
	s->sem[num].pid = p->ids.pid;
	s->head.ctime = sysv_seconds();
	undo_forget(s, (int64_t)num);
	look_again(s);
	return 0;
}

static int64_t change(struct proc *p, struct set *s, const struct x_in *in)
{
	struct sysv_semid new;

	if (in->msg.a[2] == IPC_SET && sysv_take(in, &new, sizeof(new)))
		return -X_EFAULT;
	if (!s)
		return -X_EINVAL;
	if (!sysv_owner(&s->head, p))
		return -X_EPERM;
	if (in->msg.a[2] == IPC_SET) {
		sysv_perm_set(&s->head, &new.perm);
		return 0;
	}
	undo_forget(s, -1);
	for_each_parked(w) {
		if (w->set != s || !w->call_id)
			continue;
		out_status(w->call_id, -X_EIDRM);
		unpark(w);
	}
	s->head.used = false;
	return 0;
}

static int64_t control(struct proc *p, const struct x_in *in)
{
	struct set *s = (struct set *)sysv_find(&table, (uint32_t)in->msg.a[1]);
	uint64_t command = in->msg.a[2];
	bool changes = command == SEM_SETVAL || command == SEM_SETALL;

	switch (command) {
	case IPC_STAT: return stat(p, in, false, false);
	case SEM_STAT: return stat(p, in, true, false);
	case SEM_STAT_ANY: return stat(p, in, true, true);
	case IPC_INFO: return limits(in, false);
	case SEM_INFO: return limits(in, true);
	case IPC_RMID: case IPC_SET: return change(p, s, in);
	case SEM_GETPID: case SEM_GETVAL: case SEM_GETALL: case SEM_GETNCNT: case SEM_GETZCNT:
	case SEM_SETVAL: case SEM_SETALL:
		break;
	default: return -X_EINVAL;
	}
	if (!s)
		return -X_EINVAL;
	if (!sysv_may(&s->head, p, changes ? 0222 : 0444))
		return -X_EACCES;
	if (command == SEM_GETALL || command == SEM_SETALL)
		return values(s, in, changes);
	return one_value(p, s, in);
}

void sem_call(struct proc *p, const struct x_in *in)
{
	int64_t result;

	switch (in->msg.a[0]) {
	case SEM_OPERATE: semop_call(p, in); return;
	case SYSV_GET: result = get(p, in); break;
	case SYSV_CONTROL: result = control(p, in); break;
	default: result = -X_ENOSYS;
	}
	answer_result(in->id, result);
}

void sem_text(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	for (uint32_t i = 0; i < SEM_SETS; i++) {
		const struct sysv_object *o = &sets[i].head;

		if (o->used)
			text_add(t, "%10d %10u  %4o %10u %5u %5u %5u %5u %10llu %10llu\n", (int)o->key,
				 sysv_id(&table, o), o->mode, sets[i].count, o->uid, o->gid, o->cuid, o->cgid,
				 (unsigned long long)sets[i].otime, (unsigned long long)o->ctime);
	}
}
