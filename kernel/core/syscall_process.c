/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls about processes, threads and notifications. */
#include "resource.h"
#include "syscall.h"

static struct process *process_get(uint32_t h, uint32_t rights, int *err)
{
	struct object *o;

	if (h == X_SELF) {
		object_ref(&current_process()->obj);
		return current_process();
	}
	o = handle_get(h, X_TYPE_PROCESS, rights, err);
	return o ? container_of(o, struct process, obj) : NULL;
}

int64_t call_proc_create(const struct args *a)
{
	struct process *p;
	char name[16];
	int err = resource_check(a->a, X_R_EXEC);

	if (err)
		return err;
	for (uint32_t i = 0; i < sizeof(name); i++) {
		if (copy_from_user(name + i, a->b + i, 1))
			return -X_EFAULT;
		if (!name[i])
			break;
		if (name[i] < ' ' || name[i] > '~') /* it ends up in the log */
			name[i] = '?';
	}
	name[sizeof(name) - 1] = 0;
	/* To run before oneself is more than the right to make processes. */
	if (a->d < current_process()->band)
		err = resource_check(a->a, X_R_MANAGE);
	if (!err)
		err = process_create(name, a->c, a->d, &p);
	return err ? err : object_hand_out(&p->obj, X_R_MANAGE | X_R_WAIT | X_R_DUP | X_R_TRANSFER);
}

int64_t call_proc_handle(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);
	uint32_t slot = a->b;
	struct handle *h;
	int64_t result = -X_ENOENT;

	if (!p)
		return err;
	h = a->c ? handle_slot(&p->handles, slot) : handle_after(&p->handles, &slot);
	if (h && a->c && !(h->rights & X_R_TRANSFER)) {
		result = -X_ERIGHTS;
	} else if (h && a->c) {
		object_ref(h->object);
		result = object_hand_out(h->object, h->rights);
	} else if (h) {
		result = slot;
	}
	object_unref(&p->obj);
	return result;
}

int64_t call_proc_grant(const struct args *a)
{
	struct handle h, copy;
	struct process *p;
	int err = handle_lookup(a->b, &h);

	if (err)
		return err;
	if (!(h.rights & X_R_TRANSFER))
		return -X_ERIGHTS;
	p = process_get(a->a, X_R_MANAGE, &err);
	if (!p)
		return err;
	if (p->dying) {
		object_unref(&p->obj);
		return -X_ESRCH;
	}
	copy = handle_hold(h.object, a->c ? h.rights & a->c : h.rights);
	err = handle_install_at(p, copy, a->d);
	if (err)
		handle_drop(copy);
	object_unref(&p->obj);
	return err;
}

int64_t call_proc_exec(const struct args *a)
{
	struct x_proc_exec e;
	struct object *space;
	struct handle consumed;
	struct process *p;
	int err;

	if (copy_from_user(&e, a->a, sizeof(e)))
		return -X_EFAULT;
	p = process_get(e.process, X_R_MANAGE, &err);
	if (!p)
		return err;
	space = handle_get(e.space, X_TYPE_SPACE, X_R_MANAGE, &err);
	if (space) {
		err = process_exec(p, container_of(space, struct space, obj), &e);
		if (!err && !handle_remove(current_process(), e.space, &consumed))
			handle_drop(consumed);
		object_unref(space);
	}
	object_unref(&p->obj);
	return err;
}

int64_t call_proc_kill(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	/* One that has halted meanwhile is dead enough: who resets it wants its state. */
	if (p->state != X_PROC_HALTED)
		process_kill(p, X_DEATH_KILLED, (int)a->b);
	object_unref(&p->obj);
	return 0;
}

int64_t call_proc_reset(const struct args *a)
{
	struct x_thread_create c;
	struct process *p;
	int err;

	if (copy_from_user(&c, a->b, sizeof(c)))
		return -X_EFAULT;
	p = process_get(a->a, X_R_MANAGE, &err);
	if (!p)
		return err;
	err = process_reset(p, &c);
	object_unref(&p->obj);
	return err;
}

int64_t call_proc_suspend(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	process_suspend(p, a->b != 0);
	object_unref(&p->obj);
	return 0;
}

int64_t call_proc_info(const struct args *a)
{
	struct x_proc_info i = { 0 };
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	i.koid = p->obj.koid;
	i.state = p->state;
	i.death = p->death;
	i.status = p->status;
	i.threads = p->thread_count;
	i.cpu_user_ns = process_cpu_ns(p);
	i.ran_ns = p->ran_ns;
	i.switches = p->switches;
	i.resident_pages = p->space->resident_pages;
	space_note_peak(p->space);
	i.peak_pages = MAX(p->peak_pages, p->space->peak_pages);
	i.charged = p->account->used;
	i.charged_kernel = p->account->kernel;
	i.limit = p->account->limit;
	i.pending = p->pending;
	i.ignored = p->told_ignored;
	i.caught = p->told_caught;
	if (!list_empty(&p->threads)) {
		i.thread_pending = list_first(&p->threads, struct thread, process_link)->pending;
		i.mask = list_first(&p->threads, struct thread, process_link)->mask;
	}
	i.handles = p->handles.used;
	i.vector = p->vector;
	i.fault_rip = p->fault_regs.rip;
	i.fault_address = p->fault_address;
	i.fault_error = p->fault_error;
	i.fault_regs = p->fault_regs;
	memcpy(i.backtrace, p->fault_backtrace, sizeof(i.backtrace));
	i.start_ns = p->start_ns;
	i.death_ns = p->death_ns;
	list_for_each(t, &p->threads, struct thread, process_link)
		i.runnable += t->state == THREAD_READY || t->state == THREAD_RUNNING;
	list_for_each(r, &p->space->regions, struct region, link)
		i.mapped_pages += (r->end - r->start) / PAGE_SIZE;
	memcpy(i.name, p->name, sizeof(i.name));
	object_unref(&p->obj);
	return copy_to_user(a->b, &i, sizeof(i));
}

int64_t call_proc_limit(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	if (p == current_process())
		err = -X_EPERM; /* it is others' to set */
	else
		p->account->limit = a->b;
	object_unref(&p->obj);
	return err;
}

int64_t call_proc_background(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	p->background = a->b != 0;
	object_unref(&p->obj);
	return 0;
}

int64_t call_proc_exit(const struct args *a)
{
	process_kill(current_process(), X_DEATH_EXIT, (int)a->a);
	return 0;
}

int64_t call_thread_create(const struct args *a)
{
	struct x_thread_create c;
	struct x_regs regs;
	struct process *p;
	int64_t id;
	int err;

	if (copy_from_user(&c, a->a, sizeof(c)))
		return -X_EFAULT;
	if (c.regs && copy_from_user(&regs, c.regs, sizeof(regs)))
		return -X_EFAULT;
	p = process_get(c.process, X_R_MANAGE, &err);
	if (!p)
		return err;
	id = process_add_thread(p, &c, c.regs ? &regs : NULL);
	object_unref(&p->obj);
	return id;
}

int64_t call_thread_affinity(const struct args *a)
{
	struct thread *t = NULL;
	uint64_t online = 0, was;
	struct process *p;
	int err;

	for (uint32_t i = 0; i < cpu_count; i++)
		online |= (uint64_t)cpus[i].online << i;
	if (a->c && !(a->c & online))
		return -X_EINVAL;
	p = process_get(a->a, X_R_MANAGE, &err);
	if (!p)
		return err;
	list_for_each(it, &p->threads, struct thread, process_link)
		if (a->b ? it->id == (uint32_t)a->b : it == current())
			t = it;
	object_unref(&p->obj);
	if (!t)
		return -X_ESRCH;
	was = t->affinity ? t->affinity : online;
	if (a->c)
		sched_set_affinity(t, a->c & online);
	return (int64_t)was;
}

int64_t call_thread_exit(const struct args *a)
{
	struct thread *t = current();

	if (t->process->thread_count == 1)
		return call_proc_exit(&(struct args){ 0 });
	if (a->a && !copy_to_user(a->a, &(uint32_t){ 0 }, sizeof(uint32_t)))
		sys_futex_wake(a->a, 1, ~0u, 0, 0);
	t->killed = true; /* it ends on the way out */
	return 0;
}

int64_t call_thread_set_fs(const struct args *a)
{
	if (a->a >= X_USER_MAX || !(current_process()->flags & X_PROC_LINUX))
		return -X_EPERM;
	current()->fs_base = a->a;
	arch_set_fs_base(a->a);
	return 0;
}

/* -------------------------------------------------------------- notifications */

int64_t call_notify_post(const struct args *a)
{
	int err;
	struct process *p = process_get(a->a, X_R_MANAGE, &err);

	if (!p)
		return err;
	err = process_notify(p, a->b, a->c);
	object_unref(&p->obj);
	return err;
}

int64_t call_notify_mask(const struct args *a)
{
	struct thread *t = current();
	uint64_t pending = t->pending | t->process->pending;

	thread_set_mask(t, a->a);
	return a->b ? copy_to_user(a->b, &pending, sizeof(pending)) : 0;
}

int64_t call_notify_take(const struct args *a)
{
	return thread_take_notifications(current(), a->a) != 0;
}

int64_t call_notify_ignore(const struct args *a)
{
	struct process *p = current_process();
	uint64_t dropped = a->a & ~p->ignore; /* what was ignored and is pending is masked: it may be waited for */

	p->ignore = a->a;
	p->told_ignored = a->b;
	p->told_caught = a->c;
	p->pending &= ~dropped;
	list_for_each(t, &p->threads, struct thread, process_link)
		t->pending &= ~dropped;
	return 0;
}
