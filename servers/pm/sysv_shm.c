/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * System V shared memory. A segment is a memory object, which a process maps
 * itself; pm counts who has it where, for it lives until it was removed and the
 * last one is gone.
 */
#include "lib/c/slots.h"
#include "servers/pm/sysv.h"
#include "servers/pm/sysctl.h"

enum { ATTACHES_MAX = 1024 };

static struct segment {
	struct sysv_object head;
	x_handle_t memory;
	uint64_t bytes, atime, dtime;
	uint32_t cpid, lpid, nattch;
} segments[SHM_SEGMENTS];

static const struct sysv_table table = { segments, SHM_SEGMENTS, sizeof(segments[0]), SYSCTL_SHM_NEXT };

static struct attach {
	const struct proc *proc; /* NULL: free */
	struct segment *segment;
	uint64_t addr;           /* 0: not mapped yet */
} attaches[ATTACHES_MAX];
static uint32_t attaches_end; /* all from here up are free */

#define for_each_attach(a) for (struct attach *a = attaches; a < attaches + attaches_end; a++)

static uint64_t pages(uint64_t bytes) { return (bytes + X_PAGE_SIZE - 1) / X_PAGE_SIZE; }

static uint64_t total_pages(void)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < SHM_SEGMENTS; i++)
		if (segments[i].head.used)
			total += pages(segments[i].bytes);
	return total;
}

static void destroy(struct segment *s)
{
	out_close(s->memory);
	s->head.used = false;
}

/* ---- who has what ---- */

static struct attach *attach_add(const struct proc *p, struct segment *s)
{
	struct attach *a = SLOT_FIND(attaches, attaches_end, proc);

	if (!a)
		return NULL;
	SLOT_TAKEN(attaches, attaches_end, a);
	*a = (struct attach){ .proc = p, .segment = s };
	s->nattch++;
	return a;
}

static void attach_end(struct attach *a, uint32_t pid)
{
	struct segment *s = a->segment;

	a->proc = NULL;
	SLOTS_TRIM(attaches, attaches_end, proc);
	s->dtime = sysv_seconds();
	s->lpid = pid;
	if (--s->nattch == 0 && (s->head.mode & SHM_MODE_DEST))
		destroy(s);
}

void shm_drop(struct proc *p)
{
	for_each_attach(a)
		if (a->proc == p)
			attach_end(a, p->ids.pid);
}

/* The child has what the parent has; where the table is full, uncounted. */
void shm_inherit(const struct proc *child, const struct proc *parent)
{
	for_each_attach(a) {
		struct attach *copy;

		if (a->proc != parent)
			continue;
		copy = attach_add(child, a->segment);
		if (!copy)
			return;
		copy->addr = a->addr;
	}
}

/* ---- calls ---- */

static int64_t make(struct proc *p, uint32_t key, uint32_t flags, uint64_t bytes)
{
	struct x_mem_create create = { .bytes = bytes };
	struct segment *s;
	int64_t memory;

	if (bytes < 1 || bytes > sysctl_value(SYSCTL_SHMMAX))
		return -X_EINVAL;
	if (flags & SYSV_NOWAIT) /* SHM_HUGETLB, of a system without such pages */
		return -X_EINVAL;
	if (sysv_used(&table) >= sysctl_value(SYSCTL_SHMMNI) || total_pages() + pages(bytes) > sysctl_value(SYSCTL_SHMALL))
		return -X_ENOSPC;
	memory = x_mem_create(&create);
	if (memory < 0)
		return -X_ENOMEM;
	s = (struct segment *)sysv_new(&table, p, key, flags);
	if (!s) {
		out_close((x_handle_t)memory);
		return -X_ENOSPC;
	}
	s->memory = (x_handle_t)memory;
	s->bytes = bytes;
	s->cpid = p->ids.pid;
	return sysv_id(&table, &s->head);
}

static int64_t get(struct proc *p, const struct x_in *in)
{
	uint32_t key = (uint32_t)in->msg.a[1], flags = (uint32_t)in->msg.a[2];
	struct sysv_object *o = key ? sysv_by_key(&table, key) : NULL;

	if (!o)
		return key && !(flags & SYSV_CREAT) ? -X_ENOENT : make(p, key, flags, in->msg.a[3]);
	if ((flags & (SYSV_CREAT | SYSV_EXCL)) == (SYSV_CREAT | SYSV_EXCL))
		return -X_EEXIST;
	if (in->msg.a[3] > ((struct segment *)o)->bytes)
		return -X_EINVAL;
	return sysv_may(o, p, flags & 0777) ? (int64_t)sysv_id(&table, o) : -X_EACCES;
}

static int64_t stat(struct proc *p, const struct x_in *in, bool by_slot, bool any)
{
	struct sysv_object *o;
	struct segment *s;
	struct sysv_shmid out = { .unused = { 0 } };
	int err = sysv_stat_target(&table, p, (uint32_t)in->msg.a[1], by_slot, any, &o);

	if (err)
		return err;
	s = (struct segment *)o;
	sysv_perm_get(o, &out.perm);
	out.bytes = s->bytes;
	out.atime = s->atime;
	out.dtime = s->dtime;
	out.ctime = o->ctime;
	out.cpid = s->cpid;
	out.lpid = s->lpid;
	out.nattch = s->nattch;
	err = sysv_put(in, &out, sizeof(out));
	return err ? err : by_slot ? (int64_t)sysv_id(&table, o) : 0;
}

static int64_t limits(const struct x_in *in)
{
	const struct sysv_shminfo out = {
		.shmmax = sysctl_value(SYSCTL_SHMMAX), .shmmin = 1, .shmmni = sysctl_value(SYSCTL_SHMMNI),
		.shmseg = sysctl_value(SYSCTL_SHMMNI), .shmall = sysctl_value(SYSCTL_SHMALL),
	};
	int err = sysv_put(in, &out, sizeof(out));

	return err ? err : sysv_highest(&table);
}

static int64_t use(const struct x_in *in)
{
	struct sysv_shm_info out = { .used_ids = sysv_used(&table), .total = total_pages() };
	int err;

	for (uint32_t i = 0; i < SHM_SEGMENTS; i++) {
		struct x_content_info c;

		if (segments[i].head.used && x_mem_state(segments[i].memory, &c) >= 0)
			out.resident += c.resident_pages;
	}
	err = sysv_put(in, &out, sizeof(out));
	return err ? err : sysv_highest(&table);
}

static int64_t change(struct proc *p, const struct x_in *in, uint64_t command)
{
	struct sysv_object *o = sysv_find(&table, (uint32_t)in->msg.a[1]);
	struct segment *s = (struct segment *)o;
	struct sysv_shmid new;

	if (command == IPC_SET && sysv_take(in, &new, sizeof(new)))
		return -X_EFAULT;
	if (!o)
		return -X_EINVAL;
	if (!sysv_owner(o, p))
		return -X_EPERM;
	switch (command) {
	case IPC_SET:
		sysv_perm_set(o, &new.perm);
		return 0;
	case SHM_LOCK:
		o->mode |= SHM_MODE_LOCKED;
		return 0;
	case SHM_UNLOCK:
		o->mode &= ~SHM_MODE_LOCKED;
		return 0;
	}
	o->key = 0;
	o->mode |= SHM_MODE_DEST;
	if (s->nattch == 0)
		destroy(s);
	return 0;
}

static int64_t control(struct proc *p, const struct x_in *in)
{
	switch (in->msg.a[2]) {
	case IPC_STAT: return stat(p, in, false, false);
	case SHM_STAT: return stat(p, in, true, false);
	case SHM_STAT_ANY: return stat(p, in, true, true);
	case IPC_INFO: return limits(in);
	case SHM_INFO: return use(in);
	case IPC_RMID: case IPC_SET: case SHM_LOCK: case SHM_UNLOCK: return change(p, in, in->msg.a[2]);
	default: return -X_EINVAL;
	}
}

static void attach(struct proc *p, const struct x_in *in)
{
	struct sysv_object *o = sysv_find(&table, (uint32_t)in->msg.a[1]);
	struct segment *s = (struct segment *)o;
	uint32_t flags = (uint32_t)in->msg.a[2], rights = X_R_READ, want = 0444;
	struct attach *a;
	struct x_out *out;
	int64_t h;

	if (!(flags & SHM_READ_ONLY)) {
		rights |= X_R_WRITE;
		want |= 0222;
	}
	if (flags & SHM_EXECUTE) {
		rights |= X_R_EXEC;
		want |= 0111;
	}
	if (!o || !sysv_may(o, p, want)) {
		out_status(in->id, o ? -X_EACCES : -X_EINVAL);
		return;
	}
	h = x_handle_dup(s->memory, rights | X_R_TRANSFER, 0, 0);
	a = h >= 0 ? attach_add(p, s) : NULL;
	if (!a) {
		if (h >= 0)
			out_close((x_handle_t)h);
		out_status(in->id, -X_ENOMEM);
		return;
	}
	s->atime = sysv_seconds();
	s->lpid = p->ids.pid;
	out = out_answer_entry(in->id);
	out->msg.a[0] = s->bytes;
	out->msg.a[1] = (uint64_t)(a - attaches);
	out->handles[0] = (x_handle_t)h;
	out->handle_count = 1;
}

static int64_t attached(const struct proc *p, const struct x_in *in)
{
	struct attach *a = &attaches[in->msg.a[1] % ATTACHES_MAX];

	if (in->msg.a[1] >= attaches_end || a->proc != p || a->addr)
		return -X_EINVAL;
	if (in->msg.a[2])
		a->addr = in->msg.a[2];
	else
		attach_end(a, p->ids.pid);
	return 0;
}

static void detach(const struct proc *p, const struct x_in *in)
{
	for_each_attach(a) {
		if (a->proc != p || a->addr != in->msg.a[1] || !a->addr)
			continue;
		answer_value(in->id, a->segment->bytes);
		attach_end(a, p->ids.pid);
		return;
	}
	out_status(in->id, -X_EINVAL);
}

void shm_call(struct proc *p, const struct x_in *in)
{
	switch (in->msg.a[0]) {
	case SYSV_GET: answer_result(in->id, get(p, in)); break;
	case SYSV_CONTROL: answer_result(in->id, control(p, in)); break;
	case SHM_ATTACH: attach(p, in); break;
	case SHM_ATTACHED: out_status(in->id, attached(p, in)); break;
	case SHM_DETACH: detach(p, in); break;
	default: out_status(in->id, -X_ENOSYS);
	}
}

void shm_text(struct text *t, const struct proc *p, uint64_t reader)
{
	(void)p, (void)reader;
	text_add(t, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid"
		 "      atime      dtime      ctime                   rss                  swap\n");
	for (uint32_t i = 0; i < SHM_SEGMENTS; i++) {
		const struct segment *s = &segments[i];
		const struct sysv_object *o = &s->head;
		struct x_content_info c = { 0 };

		if (!o->used)
			continue;
		x_mem_state(s->memory, &c);
		text_add(t, "%10d %10u  %4o %21llu %5u %5u  %5u %5u %5u %5u %5u %10llu %10llu %10llu %21llu %21u\n",
			 (int)o->key, sysv_id(&table, o), o->mode, (unsigned long long)s->bytes, s->cpid,
			 s->lpid, s->nattch, o->uid, o->gid, o->cuid, o->cgid, (unsigned long long)s->atime,
			 (unsigned long long)s->dtime, (unsigned long long)o->ctime,
			 (unsigned long long)c.resident_pages * X_PAGE_SIZE, 0u);
	}
}
